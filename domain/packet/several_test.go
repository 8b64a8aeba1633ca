package packet_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"

	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/domain/packet"
	"dalel/domain/packet/packettest"
	"dalel/internal/fault"
)

// two is a ledger with two documents of the same story.
func two(t testing.TB) *packettest.Ledger {
	t.Helper()
	l := newLedger(t)
	require.NoError(t, l.Next(t.Context(), packettest.Second, packettest.SecondNumber))
	return l
}

func exported(t testing.TB, request packet.Request) []byte {
	t.Helper()
	var out bytes.Buffer
	_, err := packet.Export(t.Context(), &out, request)
	require.NoError(t, err)
	return out.Bytes()
}

func several(l *packettest.Ledger, ids ...string) packet.Request {
	request := l.Request()
	request.Document, request.Documents = "", ids
	return request
}

// period is the request for all that a participant's journal has.
func period(l *packettest.Ledger, participant string) packet.Request {
	request := several(l, packettest.Document, packettest.Second)
	request.Participant, request.From, request.To = participant, l.Now().Add(-24*time.Hour), l.Now()
	return request
}

func contents(entries []entry) map[string]string {
	all := map[string]string{}
	for _, e := range entries {
		all[e.name] = string(e.content)
	}
	return all
}

func TestR_M1_APacketOfSeveralDocumentsHasEachInItsFolderUnderOneSeal(t *testing.T) {
	l := two(t)
	for what, request := range map[string]packet.Request{
		"a set, in any order":           several(l, packettest.Second, packettest.Document),
		"a participant's period":        period(l, packettest.Sender),
		"a recipient's period, as sent": period(l, packettest.Reader),
	} {
		packed := exported(t, request)
		require.Equal(t, packed, exported(t, request), "%s: the same subject gives the same bytes", what)
		report := verify(t, packed, l.Trust())
		require.Equal(t, packet.Good, report.Status, "%s: %+v", what, report.Problems)
		for _, claim := range []string{"archive", "manifest", "seal", "0001/events", "0001/signature-04", "0002/story", "0002/certificates", "0002/report", "journal", "report", "contents"} {
			require.Equal(t, packet.Yes, holds(t, report, claim), what)
		}
		members := report.Manifest.Subject.Documents
		require.Equal(t, []packet.Member{
			{Folder: "documents/0001/", Document: packettest.Document, Number: packettest.Number},
			{Folder: "documents/0002/", Document: packettest.Second, Number: packettest.SecondNumber},
		}, members, "%s: in order of their first events", what)
		files := contents(unzip(t, packed))
		alone := contents(unzip(t, export(t, l)))
		for name, content := range alone {
			switch {
			case strings.HasPrefix(name, "META-INF/"), name == "mimetype", name == "journal.csv", name == "journal.xlsx", name == "README.txt", strings.HasPrefix(name, "manifest"):
			case strings.HasPrefix(name, "report."): // the commands' roots lie elsewhere
				require.Contains(t, files, "documents/0001/"+name)
			default:
				require.Equal(t, content, files["documents/0001/"+name], "%s: %s lies as in a packet of its own", what, name)
			}
		}
		require.Contains(t, files["report.html"], "documents/0002/report.html")
		_, rows := table(t, files["journal.csv"])
		require.Len(t, rows, 2*28)
		require.Contains(t, files["journal.csv"], "documents/0002/events/")
	}
}

func TestR_M1_APacketOfOneNamedDocumentIsOfSeveralToo(t *testing.T) {
	l := newLedger(t)
	report := verify(t, exported(t, several(l, packettest.Document)), l.Trust())
	require.Equal(t, packet.Good, report.Status, "%+v", report.Problems)
	require.Equal(t, packet.KindDocuments, report.Manifest.Subject.Kind)
}

func TestR_M1_WhatCannotBeOnePacketIsRefusedBeforeTheFirstByte(t *testing.T) {
	l := two(t)
	many := make([]string, packet.MaxDocuments+1)
	later := period(l, packettest.Sender)
	later.From, later.To = l.Now(), l.Now().Add(time.Hour)
	backwards := period(l, packettest.Sender)
	backwards.From, backwards.To = backwards.To, backwards.From
	stranger := period(l, "0190c2aa-0000-7000-8000-0000000000ff")
	for what, c := range map[string]struct {
		request packet.Request
		code    fault.Code
		says    string
	}{
		"none":                        {several(l), fault.RequestInvalid, "no document"},
		"too many":                    {several(l, many...), fault.RequestTooLarge, "200 documents"},
		"one twice":                   {several(l, packettest.Document, packettest.Document), fault.RequestInvalid, "twice"},
		"one that is not there":       {several(l, packettest.Document, "nowhere"), fault.DocumentUnknown, ""},
		"not in the period":           {later, fault.RequestInvalid, "no entry of the document"},
		"a period that ends first":    {backwards, fault.RequestInvalid, "ends after it begins"},
		"of somebody who is no party": {stranger, fault.RequestInvalid, "no entry of the document"},
	} {
		var out bytes.Buffer
		_, err := packet.Export(t.Context(), &out, c.request)
		require.Equal(t, c.code, fault.CodeOf(err), "%s: %v", what, err)
		require.ErrorContains(t, err, c.says, what)
		require.Zero(t, out.Len(), what)
	}
}

func TestWhatAVerifierWouldNotHoldIsNotExported(t *testing.T) {
	require.NoError(t, packet.Held(map[string]int64{"document/a": 1 << 40, "documents/0001/document/b": 1 << 40, "verifier/dalel-linux-amd64": 1 << 30, "journal.csv": 64 << 20}))
	require.Equal(t, fault.RequestTooLarge, fault.CodeOf(packet.Held(map[string]int64{"signatures/01/crl/01.crl": 64<<20 + 1})))
	many := map[string]int64{}
	for _, n := range "abcdefghi" {
		many["documents/0001/signatures/"+string(n)] = 50 << 20
	}
	require.Equal(t, fault.RequestTooLarge, fault.CodeOf(packet.Held(many)))
}

func TestR_M2_AChangeInAPacketOfSeveralIsFoundAndNamed(t *testing.T) {
	l := two(t)
	m := &tamperer{t: t, ledger: l, original: exported(t, period(l, packettest.Sender))}
	m.entries = unzip(t, m.original)
	require.Equal(t, m.entries, m.relist(m.entries, nil))
	for _, changed := range []string{
		"report.html", "report.pdf", "journal.csv", "journal.xlsx", "README.txt", "documents/0001/report.html", "documents/0002/report.pdf", "documents/0002/README.txt",
		"documents/0001/document/Supplement (1).txt", "documents/0002/signatures/03/signature.p7s", "documents/0002/events/0010-DocumentSent.json",
	} {
		for _, operator := range []bool{false, true} {
			if testing.Short() && !operator {
				continue // the harder half
			}
			entries := m.clone()
			i := slices.IndexFunc(entries, func(e entry) bool { return e.name == changed })
			require.Positive(t, i, changed)
			entries[i].content = append([]byte(nil), entries[i].content...)
			entries[i].content[len(entries[i].content)/2] ^= 1
			packed := zip(entries)
			if operator { // who has the seal's key and makes all lists anew
				packed = zip(m.relist(entries, l.Sealer))
			}
			report := verify(t, packed, l.Trust())
			require.Equal(t, packet.Bad, report.Status, changed)
			require.True(t, slices.ContainsFunc(report.Problems, func(p packet.Problem) bool { return p.File == changed }), "%s: %+v", changed, report.Problems)
		}
	}
	// Documents taken out, added or exchanged by the operator itself.
	only := func(keep func(string) bool, rename func(string) string, members func([]packet.Member) []packet.Member) []byte {
		var entries []entry
		var manifest packet.Manifest
		for _, e := range m.clone() {
			if keep(e.name) {
				e.name = rename(e.name)
				entries = append(entries, e)
			}
		}
		slices.SortFunc(entries[1:], func(a, b entry) int { return strings.Compare(a.name, b.name) })
		for i, e := range entries {
			if e.name == "manifest.json" {
				require.NoError(t, json.Unmarshal(e.content, &manifest))
				manifest.Subject.Documents = members(manifest.Subject.Documents)
				manifest.Files = slices.DeleteFunc(manifest.Files, func(f packet.File) bool { return !keep(f.Path) })
				for j := range manifest.Files {
					manifest.Files[j].Path = rename(manifest.Files[j].Path)
				}
				slices.SortFunc(manifest.Files, func(a, b packet.File) int { return strings.Compare(a.Path, b.Path) })
				entries[i].content, _ = json.Marshal(manifest)
			}
		}
		return zip(m.relist(entries, l.Sealer))
	}
	same := func(name string) string { return name }
	second := func(name string) bool { return strings.HasPrefix(name, "documents/0002/") }
	for what, packed := range map[string][]byte{
		"the second taken out": only(func(n string) bool { return !second(n) }, same, func(all []packet.Member) []packet.Member { return all[:1] }),
		"the second renumbered": only(func(string) bool { return true }, func(n string) string { return strings.Replace(n, "documents/0002/", "documents/0003/", 1) },
			func(all []packet.Member) []packet.Member { all[1].Folder = "documents/0003/"; return all }),
		"another document named": only(func(string) bool { return true }, same, func(all []packet.Member) []packet.Member { all[1].Document = "x"; return all }),
	} {
		require.Equal(t, packet.Bad, verify(t, packed, l.Trust()).Status, what)
	}
}

func TestR_M1_TheReportIsInThreeLanguagesAndEscapesEverything(t *testing.T) {
	l, err := packettest.NewDraft(t.Context())
	require.NoError(t, err)
	evil := `<script>alert("x")</script>'` + "\u202egpj.exe"
	l.Append(document.StreamID(packettest.Document), document.Described{
		Document: packettest.Document, Sender: packettest.Sender, By: event.By{Participant: packettest.Sender}, Details: document.Details{Kind: document.ActOfWork, Title: evil},
	})
	require.NoError(t, l.Complete(t.Context()))
	packed := export(t, l)
	require.Equal(t, packet.Good, verify(t, packed, l.Trust()).Status)
	html := contents(unzip(t, packed))["report.html"]
	require.NotContains(t, html, "<script")
	require.NotContains(t, html, "\u202e")
	require.Contains(t, html, "&lt;script&gt;")
	for _, absent := range []string{"http://", "https://", "src=", "@import", "url("} {
		require.NotContains(t, html, absent, "it loads nothing")
	}
	for _, said := range []string{
		`lang="ru"`, `lang="kk"`, `lang="en"`, "Подпись верна", "Қолтаңба дұрыс", "signatures/04/chain/02.cer", "[digest.mismatch]", "[signature.invalid]",
		"02.03.2026 09:08:41 UTC · 02.03.2026 14:08:41", "ТОО Test b", "events/0021-DocumentAcknowledged.json", "sha256sum -c manifest-sha256.txt",
	} {
		require.Contains(t, html, said)
	}
}

func TestR_C8_TheReportSaysThatASignatureIsInDoubt(t *testing.T) {
	l := newLedger(t)
	compromise(l, packettest.Recipient, l.Now().Add(-time.Hour), true)
	html := contents(unzip(t, export(t, l)))["report.html"]
	require.NotContains(t, html, "Подпись утратила силу")
	require.Equal(t, 1+2*2, strings.Count(html, ">Подпись оспаривается<"), "as the document's one status; as a mark and in words, for each of the two files")
	require.NotContains(t, html, "Подписан всеми", "one status")
	require.Contains(t, html, "решения ещё нет")
}

func TestR_G5_TheReportSaysWhatIsNotThere(t *testing.T) {
	l := newLedger(t)
	destroy(t, l)
	erase(t, l, packettest.Reader)
	files := contents(unzip(t, export(t, l)))
	for _, said := range []string{"Документ уничтожен по распоряжению", "Құжат өкім бойынша жойылған", "The document was destroyed by order", "содержимое уничтожено", "Данные участника уничтожены"} {
		require.Contains(t, files["report.html"], said)
	}
}

func TestR_M2_APacketOfTheFormatBeforeTheReportStillVerifies(t *testing.T) {
	l := newLedger(t)
	var out bytes.Buffer
	_, err := packet.ExportFormat(t.Context(), 2, &out, l.Request())
	require.NoError(t, err)
	report := verify(t, out.Bytes(), l.Trust())
	require.Equal(t, packet.Good, report.Status, "%+v", report.Problems)
	require.Len(t, report.Claims, 13)
	files := contents(unzip(t, out.Bytes()))
	require.NotContains(t, files, "report.html")
	_, text, _ := strings.Cut(files["README.txt"], "== РУССКИЙ ==")
	text, _, _ = strings.Cut(text, "\nC.\n")
	require.Equal(t, "6e9f2c0ba9a34a4beb7a13c6edff4cd200f35aa3a58d262e293cd29138c5d816", packet.DigestText([]byte(text)), "its words do not change any more")
}

func TestR_G7_APacketCarriesTheVerifierWhereItIsAskedTo(t *testing.T) {
	l := newLedger(t)
	program := bytes.Repeat([]byte("\x7fELF"), 1000)
	request := l.Request()
	request.Carry = &packet.Program{OS: "linux", Arch: "amd64", Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(program)), nil }}
	packed := exported(t, request)
	report := verify(t, packed, l.Trust())
	require.Equal(t, packet.Good, report.Status, "%+v", report.Problems)
	require.Equal(t, packet.Verifier{Name: "dalel verify", Version: "test", File: "verifier/dalel-linux-amd64"}, report.Manifest.Verifier)
	m := &tamperer{t: t, ledger: l, entries: unzip(t, packed)}
	i := slices.IndexFunc(m.entries, func(e entry) bool { return e.name == "verifier/dalel-linux-amd64" })
	require.Equal(t, program, m.entries[i].content)
	var manifest packet.Manifest
	require.NoError(t, json.Unmarshal([]byte(contents(m.entries)["manifest.json"]), &manifest))
	require.Contains(t, manifest.Files, packet.File{Path: "verifier/dalel-linux-amd64", MediaType: "application/octet-stream", Size: int64(len(program)), SHA256: packet.DigestText(program)})

	entries := m.clone()
	entries[i].content = bytes.Replace(program, []byte("ELF"), []byte("ELV"), 1)
	report = verify(t, zip(entries), l.Trust())
	require.Equal(t, packet.Bad, report.Status)
	require.Equal(t, "verifier/dalel-linux-amd64", report.Problems[0].File)
	report = verify(t, zip(slices.Delete(m.clone(), i, i+1)), l.Trust())
	require.Equal(t, packet.Bad, report.Status)
	require.NotContains(t, contents(unzip(t, export(t, l))), "verifier/dalel-linux-amd64", "and nowhere else")

	request.Carry.OS = "../../etc"
	_, err := packet.Export(t.Context(), io.Discard, request)
	require.Equal(t, fault.RequestInvalid, fault.CodeOf(err))
}

func extracted(t testing.TB, request packet.Request) []byte {
	t.Helper()
	var out bytes.Buffer
	_, err := packet.ExportExtract(t.Context(), &out, request)
	require.NoError(t, err)
	return out.Bytes()
}

func TestR_G2_AnExtractIsSealedAndItsPartsSayTheSame(t *testing.T) {
	l := two(t)
	own := l.Request()
	own.Participant = packettest.Recipient
	all := period(l, "")
	for what, c := range map[string]struct {
		request packet.Request
		rows    int
	}{
		"a document":                {l.Request(), 28},
		"a document, of one party":  {own, 8},
		"a participant's period":    {period(l, packettest.Recipient), 16},
		"a period, of all journals": {all, 56},
	} {
		packed := extracted(t, c.request)
		require.Equal(t, packed, extracted(t, c.request), what)
		report := verify(t, packed, l.Trust())
		require.Equal(t, packet.Good, report.Status, "%s: %+v", what, report.Problems)
		require.Equal(t, packet.Untrusted, verify(t, packed, packet.Trust{}).Status, "an extract does not vouch for itself")
		files := contents(unzip(t, packed))
		require.Len(t, files, 10, what)
		_, rows := table(t, files["journal.csv"])
		require.Len(t, rows, c.rows, what)
		refused := 0
		for _, row := range rows {
			require.Equal(t, `'=Договор, "поставка"`, row["Заголовок"], "no spreadsheet takes it for a formula")
			if strings.Contains(row["Сведения"], "[signature.invalid]") {
				refused++
				require.Contains(t, row["Сведения"], "[digest.mismatch]")
			}
		}
		require.Positive(t, refused)
		signatures := 0
		for _, row := range rows {
			require.NotEmpty(t, row["Статус"])
			if row["Кто подписал"] == "" {
				continue
			}
			signatures++
			require.Equal(t, "TESTOV TEST, Test LLP", row["Владелец регистрационного свидетельства"])
			require.Equal(t, "ИИН 123456789011, БИН 123456789021", row["ИИН и БИН владельца"])
			require.Equal(t, "первый руководитель", row["Должность по регистрационному свидетельству"])
			require.NotEmpty(t, row["Серийный номер свидетельства"])
			require.NotEmpty(t, row["Кем выдано свидетельство"])
		}
		require.Positive(t, signatures)
		last := rows[len(rows)-1]
		require.Equal(t, uint64(report.Manifest.Position), number(t, last["Позиция"]))
		require.Len(t, last["Хеш события"], 64)
		var entries []map[string]any
		require.NoError(t, json.Unmarshal([]byte(files["journal.json"]), &entries))
		require.Len(t, entries, c.rows, what)
		book, err := excelize.OpenReader(strings.NewReader(files["journal.xlsx"]))
		require.NoError(t, err)
		cells, err := book.GetRows("Журнал")
		require.NoError(t, err)
		require.Len(t, cells, 1+c.rows, what)
		require.NoError(t, book.Close())
		require.True(t, strings.HasPrefix(files["extract.pdf"], "%PDF-"))
	}
}

func number(t testing.TB, text string) (n uint64) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(text), &n))
	return n
}

func TestR_G2_AChangedExtractIsFoundAndNamed(t *testing.T) {
	l := two(t)
	m := &tamperer{t: t, ledger: l, entries: unzip(t, extracted(t, period(l, packettest.Recipient)))}
	for _, changed := range []string{"journal.json", "journal.csv", "journal.xlsx", "extract.pdf", "README.txt", "manifest.json", "META-INF/signature.p7s"} {
		entries := m.clone()
		i := slices.IndexFunc(entries, func(e entry) bool { return e.name == changed })
		entries[i].content = append([]byte(nil), entries[i].content...)
		entries[i].content[len(entries[i].content)/2] ^= 1
		report := verify(t, zip(entries), l.Trust())
		require.Equal(t, packet.Bad, report.Status, changed)
		require.True(t, slices.ContainsFunc(report.Problems, func(p packet.Problem) bool { return p.File == changed }), "%s: %+v", changed, report.Problems)
		if strings.Contains(changed, "README") || strings.Contains(changed, "extract") || changed == "journal.csv" || changed == "journal.xlsx" {
			require.Equal(t, packet.Bad, verify(t, zip(m.relist(entries, l.Sealer)), l.Trust()).Status, "even if the operator seals it")
		}
	}
	report := verify(t, zip(m.relist(append(m.clone(), entry{name: "zz", content: []byte("x")}), nil)), l.Trust())
	require.Equal(t, packet.Bad, report.Status)
}

func TestR_G2_WhatHasNoEntryHasNoExtract(t *testing.T) {
	l := newLedger(t)
	later := period(l, packettest.Sender)
	later.From, later.To = l.Now().Add(time.Hour), l.Now().Add(2*time.Hour)
	_, err := packet.ExportExtract(t.Context(), io.Discard, later)
	require.Equal(t, fault.RequestInvalid, fault.CodeOf(err))
	both := l.Request()
	both.From, both.To = l.Now().Add(-time.Hour), l.Now()
	_, err = packet.ExportExtract(t.Context(), io.Discard, both)
	require.Equal(t, fault.RequestInvalid, fault.CodeOf(err))
}

// Programs of somebody else see the seal of an extract and the commands of a
// folder hold.
func TestR_M2_TheCommandsOfAPacketOfSeveralCheckIt(t *testing.T) {
	needTools(t)
	l := two(t)
	for what, packed := range map[string][]byte{"packet": exported(t, several(l, packettest.Document, packettest.Second)), "extract": extracted(t, period(l, packettest.Sender))} {
		entries := unzip(t, packed)
		root := unpacked(t, l, entries)
		folders := []string{root}
		if what == "packet" {
			folders = append(folders, filepath.Join(root, "documents", "0001"), filepath.Join(root, "documents", "0002"))
		}
		count := map[string]int{}
		for _, folder := range folders {
			for _, command := range commands(t, folder) {
				said, failed := run(t, folder, command)
				require.False(t, failed, "%s\n%s", command, said)
				count[strings.Fields(command)[0]]++
			}
		}
		want := map[string]int{"sha256sum": 1, "openssl": 3, "python3": 1}
		if what == "packet" {
			want = map[string]int{"sha256sum": 1, "openssl": 3 + 2*4*3, "python3": 1 + 2*3, "for": 2 * 4, "jq": 2 * 2}
		}
		require.Equal(t, want, count, what)
	}
}

func TestEveryLabelOfAFactIsAmongTheWordsOfTheReport(t *testing.T) {
	source, err := os.ReadFile("reading.go")
	require.NoError(t, err)
	words, err := os.ReadFile(filepath.Join("report", "messages.txt"))
	require.NoError(t, err)
	labels := regexp.MustCompile(`f\.(?:text|who|at|coded|add)\("([a-z]+)"`).FindAllStringSubmatch(string(source), -1)
	require.Greater(t, len(labels), 50)
	for _, label := range labels {
		require.Contains(t, string(words), "\nfact."+label[1]+" | ")
	}
}

// BenchmarkExport measures a document of 20 events, two files and four
// signatures, with the reports and without.
func BenchmarkExport(b *testing.B) {
	l := newLedger(b)
	for name, export := range map[string]func(context.Context, io.Writer, packet.Request) (packet.Manifest, error){
		"with reports": packet.Export, "without": func(ctx context.Context, out io.Writer, request packet.Request) (packet.Manifest, error) {
			return packet.ExportFormat(ctx, 2, out, request)
		},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := export(b.Context(), io.Discard, l.Request()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("extract", func(b *testing.B) {
		for b.Loop() {
			if _, err := packet.ExportExtract(b.Context(), io.Discard, l.Request()); err != nil {
				b.Fatal(err)
			}
		}
	})
}
