package packet_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"dalel/blobs"
	"dalel/domain/certificate"
	"dalel/domain/content"
	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/domain/packet"
	"dalel/domain/packet/container"
	"dalel/domain/packet/packettest"
	"dalel/domain/signature"
	"dalel/eventstore"
	"dalel/internal/fault"
	"dalel/internal/testca"

	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"
)

func newLedger(t testing.TB) *packettest.Ledger {
	t.Helper()
	l, err := packettest.New(t.Context())
	require.NoError(t, err)
	return l
}

func export(t testing.TB, l *packettest.Ledger) []byte {
	t.Helper()
	var out bytes.Buffer
	_, err := packet.Export(t.Context(), &out, l.Request())
	require.NoError(t, err)
	return out.Bytes()
}

func verify(t testing.TB, packed []byte, trust packet.Trust) packet.Report {
	t.Helper()
	report, err := packet.Verify(t.Context(), bytes.NewReader(packed), int64(len(packed)), packet.Options{Trust: trust})
	require.NoError(t, err)
	return report
}

func holds(t testing.TB, report packet.Report, id string) packet.Answer {
	t.Helper()
	claim, ok := report.Claim(id)
	require.True(t, ok, "no claim %s", id)
	return claim.Holds
}

func TestR_M2_AnUntouchedPacketHoldsOnItsAnchors(t *testing.T) {
	l := newLedger(t)
	report := verify(t, export(t, l), l.Trust())
	require.Empty(t, report.Problems)
	for _, claim := range report.Claims {
		require.Equal(t, packet.Yes, claim.Holds, "%s: %s", claim.ID, claim.Detail)
	}
	require.Equal(t, packet.Good, report.Status)
	require.Len(t, report.Claims, 14)
}

func TestR_M1_ThePacketHasWhatItMustHave(t *testing.T) {
	l := newLedger(t)
	entries := unzip(t, export(t, l))
	contents := map[string]string{}
	for _, e := range entries {
		contents[e.name] = string(e.content)
	}
	require.Equal(t, "mimetype", entries[0].name)
	require.Equal(t, "application/vnd.etsi.asic-e+zip", contents["mimetype"])
	for name, content := range l.Files {
		require.Equal(t, string(content), contents["document/"+name])
	}
	for _, name := range []string{
		"README.txt", "manifest.json", "manifest-sha256.txt", "journal.csv", "journal.xlsx", "report.html", "report.pdf", "META-INF/ASiCManifest.xml", "META-INF/signature.p7s",
		"events/0001-ParticipantRegistered.json", "events/0006-DocumentCreated.json", "events/0007-FileAttached.json", "events/0019-DocumentCompleted.json", "events/0020-DocumentAcknowledged.json",
		"signatures/01/signature.p7s", "signatures/04/verdict.json", "signatures/04/certificate.cer", "signatures/04/chain/02.cer", "signatures/04/signature.json",
	} {
		require.Contains(t, contents, name)
	}
	require.NotContains(t, contents["README.txt"], "CERTIFICATE")
	for _, event := range []string{"ParticipantActivated"} {
		require.NotContains(t, contents["manifest.json"], event, "only the first event of a participant belongs here")
	}
	var m packet.Manifest
	require.NoError(t, json.Unmarshal([]byte(contents["manifest.json"]), &m))
	require.Equal(t, packettest.Number, m.Subject.Number)
	require.Equal(t, len(entries)-4, len(m.Files))
}

// table reads a journal.csv: its heading and its rows by their columns' titles.
func table(t testing.TB, text string) (head []string, rows []map[string]string) {
	t.Helper()
	text, marked := strings.CutPrefix(text, "\ufeff")
	require.True(t, marked)
	require.Equal(t, strings.Count(text, "\n"), strings.Count(text, "\r\n"))
	reader := csv.NewReader(strings.NewReader(text))
	reader.Comma = ';'
	all, err := reader.ReadAll()
	require.NoError(t, err)
	for _, cells := range all[1:] {
		row := map[string]string{}
		for i, cell := range cells {
			row[all[0][i]] = cell
		}
		rows = append(rows, row)
	}
	return all[0], rows
}

func TestR_G2_TheJournalHasEachPartysExtract(t *testing.T) {
	l := newLedger(t)
	files := contents(unzip(t, export(t, l)))
	_, rows := table(t, files["journal.csv"])
	count := map[string]int{}
	numbered := 0
	for _, row := range rows {
		count[row["Направление"]+" "+row["Чей журнал"]+" "+row["БИН/ИИН"]]++
		require.Equal(t, `'=Договор, "поставка"`, row["Заголовок"], "no spreadsheet takes it for a formula")
		require.Equal(t, "Договор", row["Вид"])
		require.Regexp(t, `^[0-3]\d\.[01]\d\.20\d\d [0-2]\d:[0-5]\d:[0-5]\d$`, row["Дата и время (UTC+5)"])
		require.Contains(t, files, row["Файл события"])
		for title, cell := range row {
			require.NotRegexp(t, `[0-9a-f]{8}-[0-9a-f]{4}-`, cell, "%s names nobody by an id", title)
		}
		if row["Номер"] != "" {
			numbered++
			n := packettest.Number
			require.Equal(t, "№ "+strings.Join([]string{n[:4], n[4:8], n[8:12], n[12:16], n[16:]}, " "), row["Номер"])
			require.Contains(t, []string{"Подписан всеми"}, row["Статус"])
		}
	}
	require.Positive(t, numbered)
	require.Equal(t, map[string]int{
		"Исходящие ТОО Test a БИН 123456789021": 14,
		"Входящие ТОО Test b БИН 123456789021":  8, // from its delivery on
		"Входящие ТОО Test c БИН 123456789021":  6,
	}, count)
	require.Equal(t, files["journal.csv"], contents(unzip(t, export(t, l)))["journal.csv"])
}

func TestR_G1_TheWorkbookOfAPacketHasTheJournalInThreeLanguages(t *testing.T) {
	l := newLedger(t)
	files := contents(unzip(t, export(t, l)))
	head, rows := table(t, files["journal.csv"])
	book, err := excelize.OpenReader(strings.NewReader(files["journal.xlsx"]))
	require.NoError(t, err)
	defer book.Close()
	require.Equal(t, []string{"Журнал", "Журнал (қазақша)", "Journal"}, book.GetSheetList())
	for i, want := range []string{"Вид", "Түрі", "Kind"} {
		name := book.GetSheetName(i)
		cells, err := book.GetRows(name)
		require.NoError(t, err)
		require.Len(t, cells, 1+len(rows), "as many entries as journal.csv has")
		require.Contains(t, cells[0], want)
		if i == 0 {
			require.Equal(t, head, cells[0])
		}
		title, err := book.GetCellValue(name, "E2")
		require.NoError(t, err)
		require.Equal(t, `=Договор, "поставка"`, title, "a string cell needs no mark")
		formula, err := book.GetCellFormula(name, "E2")
		require.NoError(t, err)
		require.Empty(t, formula)
	}
}

func TestR_M1_TheSameSubjectAtTheSamePositionGivesTheSameBytes(t *testing.T) {
	l := newLedger(t)
	first := export(t, l)
	require.Equal(t, first, export(t, l))
	end, err := l.End(t.Context())
	require.NoError(t, err)

	// What happens elsewhere, and on this document later, changes nothing.
	l.Append(document.StreamID("other"), document.Created{Document: "other", Sender: packettest.Sender})
	require.Equal(t, first, export(t, l))
	l.Append(document.StreamID(packettest.Document), document.Acknowledged{
		Document: packettest.Document, Recipient: packettest.Recipient, By: event.By{Participant: packettest.Recipient}, AcknowledgedAt: l.Now(),
	})
	require.NotEqual(t, first, export(t, l))
	request := l.Request()
	request.At = end
	var out bytes.Buffer
	_, err = packet.Export(t.Context(), &out, request)
	require.NoError(t, err)
	require.Equal(t, first, out.Bytes())
	require.Equal(t, packet.Good, verify(t, export(t, l), l.Trust()).Status)
}

func TestR_M1_ADraftHasAPacketToo(t *testing.T) {
	l, err := packettest.NewDraft(t.Context())
	require.NoError(t, err)
	report := verify(t, export(t, l), l.Trust())
	require.Equal(t, packet.Good, report.Status, "%+v", report.Problems)
	request := l.Request()
	request.At = 1
	_, err = packet.Export(t.Context(), io.Discard, request)
	require.Equal(t, fault.DocumentUnknown, fault.CodeOf(err))
}

func TestR_M2_WithoutTheAnchorsThePacketIsOnlyConsistent(t *testing.T) {
	l := newLedger(t)
	packed := export(t, l)
	stranger, err := testca.NewRoot(testca.CA{Name: "Test root"})
	require.NoError(t, err)
	for what, trust := range map[string]packet.Trust{
		"none":               {},
		"only the roots":     {Roots: l.Trust().Roots},
		"only the operator":  {Operators: l.Trust().Operators},
		"somebody else's":    {Roots: []*x509.Certificate{stranger.Certificate}, Operators: []*x509.Certificate{l.Signers[packettest.Sender].Certificate}},
		"roots as operators": {Roots: l.Trust().Operators, Operators: l.Trust().Roots},
	} {
		report := verify(t, packed, trust)
		require.Equal(t, packet.Untrusted, report.Status, "%s: %+v", what, report.Problems)
		require.Empty(t, report.Problems)
		want := packet.NotAnchored
		if len(trust.Roots) == 1 && trust.Roots[0] == l.Root.Certificate {
			want = packet.Yes
		}
		require.Equal(t, want, holds(t, report, "signature-01"), what)
		want = packet.NotAnchored
		if slices.Contains(trust.Operators, l.Operator.Certificate) {
			want = packet.Yes
		}
		require.Equal(t, want, holds(t, report, packet.ClaimSeal), what)
	}
}

func TestR_C4_AnUnknownAlgorithmIsNeverYesOrNo(t *testing.T) {
	l := newLedger(t)
	packed := export(t, l)
	report, err := packet.Verify(t.Context(), bytes.NewReader(packed), int64(len(packed)), packet.Options{Trust: l.Trust(), Algorithms: &signature.Algorithms{}})
	require.NoError(t, err)
	require.Equal(t, packet.Untrusted, report.Status)
	require.Equal(t, packet.CannotTell, holds(t, report, "signature-01"))
	require.Equal(t, packet.CannotTell, holds(t, report, packet.ClaimSeal))
	require.Equal(t, packet.Yes, holds(t, report, packet.ClaimEvents))
}

func TestR_M2_WhatIsNoPacketCannotBeRead(t *testing.T) {
	for _, text := range []string{"", "x", "not a packet at all", strings.Repeat("PK", 5000)} {
		_, err := packet.Verify(t.Context(), strings.NewReader(text), int64(len(text)), packet.Options{})
		require.Equal(t, fault.PacketUnreadable, fault.CodeOf(err))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	packed := export(t, newLedger(t))
	_, err := packet.Verify(ctx, bytes.NewReader(packed), int64(len(packed)), packet.Options{})
	require.ErrorIs(t, err, context.Canceled)
}

func TestMissingOrChangedContentStopsTheExportBeforeTheFirstByte(t *testing.T) {
	for code, harm := range map[fault.Code]func(*packettest.Ledger, blobs.Digest){
		fault.BlobNotFound: (*packettest.Ledger).Forget,
		fault.BlobCorrupt:  (*packettest.Ledger).Corrupt,
	} {
		l := newLedger(t)
		harm(l, blobs.Sum(l.Files["Supplement (1).txt"]))
		var out bytes.Buffer
		_, err := packet.Export(t.Context(), &out, l.Request())
		require.Equal(t, code, fault.CodeOf(err))
		require.Zero(t, out.Len())

		path := filepath.Join(t.TempDir(), "p.asice")
		require.NoError(t, os.WriteFile(path, []byte("before"), 0o600))
		_, err = packet.ExportFile(t.Context(), path, l.Request())
		require.Equal(t, code, fault.CodeOf(err))
		kept, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, "before", string(kept))
		left, err := os.ReadDir(filepath.Dir(path))
		require.NoError(t, err)
		require.Len(t, left, 1)
	}
}

func TestExportFileWritesThePacketAndNothingElse(t *testing.T) {
	l := newLedger(t)
	path := filepath.Join(t.TempDir(), "p.asice")
	m, err := packet.ExportFile(t.Context(), path, l.Request())
	require.NoError(t, err)
	require.Equal(t, packettest.Document, m.Subject.Document)
	written, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, export(t, l), written)
	left, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, left, 1)
}

// compromise records a notice on a participant's certificate, as the ledger
// does, and the mark on the document if asked for.
func compromise(l *packettest.Ledger, name string, from time.Time, mark bool) {
	print := l.Certificate(name)
	l.Append(certificate.StreamID(print), certificate.KeyCompromiseReported{
		Certificate: print, Participant: name, Notice: "n1", Channel: certificate.ByPhone, ReceivedAt: l.Now(), CompromisedFrom: from,
	})
	l.Append(certificate.StreamID(print), certificate.Suspended{Certificate: print, Notice: "n1", SuspendedAt: l.Now(), WithinLimit: true})
	if mark {
		l.Append(document.StreamID(packettest.Document), document.SignaturesDoubted{
			Document: packettest.Document, Notice: "n1", Certificate: print, CompromisedFrom: from, Affected: []string{name}, MarkedAt: l.Now(),
		})
	}
}

func TestR_C8_ASignatureInDoubtIsNamedInAPacketThatHoldsMarkedOrNot(t *testing.T) {
	for _, marked := range []bool{true, false} {
		l := newLedger(t)
		from := l.Now().Add(-time.Hour)
		compromise(l, packettest.Recipient, from, marked)
		report := verify(t, export(t, l), l.Trust())
		require.Equal(t, packet.Good, report.Status, "%+v", report.Problems)
		require.Len(t, report.Disputed, 2, "one for each of the two files")
		for i, folder := range []string{"03", "04"} {
			d := report.Disputed[i]
			require.Equal(t, folder, d.Signature)
			require.Equal(t, packettest.Recipient, d.Party)
			require.Equal(t, document.ForceDoubt, d.Force)
			require.Equal(t, []string{"n1"}, d.Notices)
		}
		claim, _ := report.Claim(packet.ClaimCertificates)
		require.Contains(t, claim.Detail, "is in doubt")
	}
}

func TestR_C8_AWithdrawnNoticeLeavesNothingAgainstTheSignature(t *testing.T) {
	l := newLedger(t)
	compromise(l, packettest.Recipient, l.Now().Add(-time.Hour), true)
	print := l.Certificate(packettest.Recipient)
	l.Append(certificate.StreamID(print), certificate.Resumed{Certificate: print, Notice: "n1", Channel: certificate.ByPhone, ResumedAt: l.Now(), Participant: packettest.Recipient})
	l.Append(document.StreamID(packettest.Document), document.DoubtLifted{
		Document: packettest.Document, Notice: "n1", Certificate: print, Parties: []string{packettest.Recipient}, WithdrawnAt: l.Now(), LiftedAt: l.Now(),
	})
	report := verify(t, export(t, l), l.Trust())
	require.Equal(t, packet.Good, report.Status, "%+v", report.Problems)
	require.Empty(t, report.Disputed)

	l.Append(document.StreamID(packettest.Document), document.SignatureDecided{
		Document: packettest.Document, By: event.By{Participant: "operator"}, Signature: 2, Party: packettest.Recipient, Certificate: print,
		Notices: []string{"n1"}, Ruling: document.RulingLost, Ground: "so", DecidedAt: l.Now(),
	})
	require.Equal(t, packet.Bad, verify(t, export(t, l), l.Trust()).Status, "nothing was left to decide on")
}

func TestR_C8_ADecisionIsInThePacketAndWeighed(t *testing.T) {
	l := newLedger(t)
	from := l.Now().Add(-time.Hour)
	compromise(l, packettest.Recipient, from, false)
	l.Append(document.StreamID(packettest.Document), document.SignatureDecided{
		Document: packettest.Document, By: event.By{Participant: "operator"}, Signature: 2, Party: packettest.Recipient, Certificate: l.Certificate(packettest.Recipient),
		Notices: []string{"n1"}, Ruling: document.RulingLost, Ground: "it was stolen", DecidedAt: l.Now(),
	})
	report := verify(t, export(t, l), l.Trust())
	require.Equal(t, packet.Good, report.Status, "%+v", report.Problems)
	require.Len(t, report.Disputed, 2)
	require.Equal(t, document.ForceLost, report.Disputed[0].Force)
	require.Equal(t, "it was stolen", report.Disputed[0].Ground)
}

func TestR_C8_ASignatureMadeBeforeTheCompromiseStands(t *testing.T) {
	l := newLedger(t)
	compromise(l, packettest.Recipient, l.Now(), false)
	report := verify(t, export(t, l), l.Trust())
	require.Equal(t, packet.Good, report.Status)
	require.Empty(t, report.Disputed)
}

func TestR_C8_ASignatureThatLostItsForceAndWasMadeAgainLeavesThePacketGood(t *testing.T) {
	l, err := packettest.NewDraft(t.Context())
	require.NoError(t, err)
	l.Send()
	require.NoError(t, l.Sign(t.Context(), packettest.Sender))
	compromise(l, packettest.Sender, l.Now().Add(-time.Hour), true)
	l.Append(document.StreamID(packettest.Document), document.SignatureDecided{
		Document: packettest.Document, By: event.By{Participant: "operator"}, Signature: 1, Party: packettest.Sender, Certificate: l.Certificate(packettest.Sender),
		Notices: []string{"n1"}, Ruling: document.RulingLost, Ground: "it was stolen", DecidedAt: l.Now(),
	})
	other, err := l.Issue(testca.RSA2048)
	require.NoError(t, err)
	require.NoError(t, l.Register(packettest.Sender, other))
	require.NoError(t, l.Sign(t.Context(), packettest.Sender))
	require.NoError(t, l.Finish(t.Context()))
	report := verify(t, export(t, l), l.Trust())
	require.Equal(t, packet.Good, report.Status, "%+v", report.Problems)
	require.Empty(t, report.Disputed)
	require.Equal(t, packet.Yes, holds(t, report, "signature-06"))
}

func TestR_C8_WhatTheCertificatesEventsDoNotHaveIsFound(t *testing.T) {
	for what, told := range map[string]func(l *packettest.Ledger, print string) event.Event{
		"a mark without its notice": func(l *packettest.Ledger, print string) event.Event {
			return document.SignaturesDoubted{Document: packettest.Document, Notice: "n2", Certificate: print, CompromisedFrom: l.Now().Add(-time.Hour),
				Affected: []string{packettest.Sender}, MarkedAt: l.Now()}
		},
		"a doubt lifted with no withdrawal": func(l *packettest.Ledger, print string) event.Event {
			return document.DoubtLifted{Document: packettest.Document, Notice: "n2", Certificate: print, Parties: []string{packettest.Sender}, LiftedAt: l.Now()}
		},
		"a revocation that the authority did not make": func(l *packettest.Ledger, print string) event.Event {
			return document.SignaturesRevoked{Document: packettest.Document, Certificate: print, From: l.Now().Add(-time.Hour), Parties: []string{packettest.Sender}, MarkedAt: l.Now()}
		},
		"a decision that nothing gave rise to": func(l *packettest.Ledger, print string) event.Event {
			return document.SignatureDecided{Document: packettest.Document, By: event.By{Participant: "operator"}, Signature: 1, Party: packettest.Sender, Certificate: print,
				Notices: []string{"n2"}, Ruling: document.RulingLost, Ground: "so", DecidedAt: l.Now()}
		},
	} {
		t.Run(what, func(t *testing.T) {
			l := newLedger(t)
			l.Append(document.StreamID(packettest.Document), told(l, l.Certificate(packettest.Sender)))
			report := verify(t, export(t, l), l.Trust())
			require.Equal(t, packet.Bad, report.Status)
			require.Equal(t, packet.No, holds(t, report, packet.ClaimStory))
		})
	}
}

func TestR_M2_TheOperatorsSealDoesNotMakeASignatureValid(t *testing.T) {
	valid := func(s *document.Signed) {
		for i := range s.Signatures {
			s.Signatures[i].Verdict.Status = signature.Valid
			for j := range s.Signatures[i].Verdict.Signers {
				s.Signatures[i].Verdict.Signers[j].Status = signature.Valid
			}
		}
	}
	for what, c := range map[string]struct {
		alter   func(*packettest.Ledger, *document.Signed)
		leaf    testca.Leaf
		claim   string
		answer  packet.Answer
		outcome packet.Status
	}{
		"the signature of another file": {func(_ *packettest.Ledger, s *document.Signed) {
			s.Signatures[0].CMS, s.Signatures[1].CMS = s.Signatures[1].CMS, s.Signatures[0].CMS
			s.Signatures[0].Stored, s.Signatures[1].Stored = s.Signatures[1].Stored, s.Signatures[0].Stored
		}, testca.Leaf{}, "signature-01", packet.No, packet.Bad},
		"a verdict for another moment": {func(_ *packettest.Ledger, s *document.Signed) {
			s.Signatures[0].Verdict.At = s.Signatures[0].Verdict.At.AddDate(0, 0, -3)
		}, testca.Leaf{}, "signature-01", packet.No, packet.Bad},
		"another signer than the one recorded": {func(l *packettest.Ledger, s *document.Signed) {
			s.Certificate = l.Certificate(packettest.Recipient)
		}, testca.Leaf{}, "signature-01", packet.No, packet.Bad},
		"a verdict that names another algorithm": {func(_ *packettest.Ledger, s *document.Signed) {
			s.Signatures[0].Verdict.Signers[0].Algorithm = "RSA-SHA256"
		}, testca.Leaf{}, "signature-01", packet.No, packet.Bad},
		"a verdict that names another claimed time": {func(_ *packettest.Ledger, s *document.Signed) {
			s.Signatures[0].Verdict.Signers[0].ClaimedAt = nil
		}, testca.Leaf{}, "signature-01", packet.No, packet.Bad},
		"a certificate that had ended": {func(*packettest.Ledger, *document.Signed) {},
			testca.Leaf{NotBefore: time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2025, 2, 1, 0, 0, 0, 0, time.UTC)},
			"signature-01", packet.No, packet.Bad},
		"a certificate for signing in": {func(*packettest.Ledger, *document.Signed) {},
			testca.Leaf{Authentication: true, NotBefore: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}, "signature-01", packet.No, packet.Bad},
		"a certificate of nobody's authority": {func(*packettest.Ledger, *document.Signed) {},
			testca.Leaf{NotBefore: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Key: testca.Ed25519}, "signature-01", packet.NotAnchored, packet.Untrusted},
	} {
		l, err := packettest.NewDraft(t.Context())
		require.NoError(t, err)
		if !c.leaf.NotBefore.IsZero() {
			authority := l.Issuing
			if c.answer == packet.NotAnchored {
				authority, err = testca.NewRoot(testca.CA{Name: "Nobody's root", NotBefore: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)})
				require.NoError(t, err)
				// The operator trusts it; the one who checks does not.
				l.Policy.Roots = append(l.Policy.Roots, authority.Certificate)
			}
			c.leaf.Owner = testca.Owner{IIN: "123456789011", BIN: "123456789021", Organization: "Test LLP", Role: testca.Head}
			identity, err := authority.Issue(c.leaf)
			require.NoError(t, err)
			require.NoError(t, l.Register(packettest.Sender, identity))
		}
		l.Alter = func(s *document.Signed) { valid(s); c.alter(l, s) }
		require.NoError(t, l.Complete(t.Context()))
		report := verify(t, export(t, l), l.Trust())
		require.Equal(t, c.answer, holds(t, report, c.claim), "%s: %+v", what, report.Problems)
		require.Equal(t, c.outcome, report.Status, what)
		require.Equal(t, packet.Yes, holds(t, report, packet.ClaimSeal), what)
	}
}

func TestR_M6_AStrangersCertificateDoesNotSignForAnybody(t *testing.T) {
	victim := func(e *certificate.Registered) { // what the operator writes to have it look right
		e.OwnerBIN, e.OwnerIIN, e.OwnerName = "123456789021", "123456789011", "Test LLP"
	}
	for what, c := range map[string]struct {
		owner testca.Owner
		alter func(*certificate.Registered)
		says  string
	}{
		"an accomplice's, registered as the victim's": {testca.Owner{IIN: "850412300561", BIN: "990140000385", Organization: "Accomplice LLP", Role: testca.Head}, victim, "the certificate is of BIN \"990140000385\""},
		"an accomplice's, registered as it stands":    {testca.Owner{IIN: "850412300561", BIN: "990140000385", Organization: "Accomplice LLP", Role: testca.Head}, nil, "for the legal entity 123456789021"},
		"of the entity, with another name recorded":   {testca.Owner{IIN: "123456789011", BIN: "123456789021", Organization: "Test LLP", Role: testca.Head}, func(e *certificate.Registered) { e.OwnerName = "Another LLP" }, "the certificate says the name"},
		"of the entity, with another person recorded": {testca.Owner{IIN: "123456789011", BIN: "123456789021", Surname: "TESTOV", Organization: "Test LLP", Role: testca.Head}, func(e *certificate.Registered) { e.OwnerPerson = "ANOTHER" }, "the certificate says the person"},
		"of an employee, recorded as a head's":        {testca.Owner{IIN: "123456789011", BIN: "123456789021", Organization: "Test LLP", Role: testca.Employee}, func(e *certificate.Registered) { e.Role = "head" }, "the certificate says the role"},
	} {
		l, err := packettest.NewDraft(t.Context())
		require.NoError(t, err)
		identity, err := l.Issuing.Issue(testca.Leaf{NotBefore: l.Now().AddDate(0, -1, 0), NotAfter: l.Now().AddDate(1, 0, 0), Owner: c.owner})
		require.NoError(t, err)
		l.AlterOwner = c.alter
		require.NoError(t, l.Register(packettest.Sender, identity))
		require.NoError(t, l.Complete(t.Context()))
		report := verify(t, export(t, l), l.Trust())
		require.Equal(t, packet.Bad, report.Status, what)
		require.True(t, slices.ContainsFunc(report.Problems, func(p packet.Problem) bool {
			return p.Claim == packet.ClaimCertificates && strings.HasSuffix(p.File, "certificate.cer") && strings.Contains(p.Detail, c.says) &&
				slices.Contains([]packet.Code{packet.CodeOwner, packet.CodeRegistration}, p.Code)
		}), "%s: %+v", what, report.Problems)
	}
}

func TestR_M2_TheOperatorsSealDoesNotMakeAFileBelong(t *testing.T) {
	m := newTamperer(t, 3)
	entries := append(m.clone(), entry{name: "zz.txt", content: []byte("added by the operator itself")})
	var manifest packet.Manifest
	for i, e := range entries {
		if e.name == "manifest.json" {
			require.NoError(t, json.Unmarshal(e.content, &manifest))
			manifest.Files = append(manifest.Files, packet.File{Path: "zz.txt", MediaType: "text/plain"})
			var err error
			entries[i].content, err = json.Marshal(manifest)
			require.NoError(t, err)
		}
	}
	report := verify(t, zip(m.relist(entries, m.ledger.Sealer)), m.ledger.Trust())
	require.Equal(t, packet.Yes, holds(t, report, packet.ClaimArchive))
	require.Equal(t, packet.Yes, holds(t, report, packet.ClaimManifest))
	require.Equal(t, packet.Yes, holds(t, report, packet.ClaimSeal))
	require.Equal(t, packet.Bad, report.Status)
	require.Equal(t, "zz.txt", report.Problems[0].File)
	require.Equal(t, packet.ClaimContents, report.Problems[0].Claim)
}

// Every store and every place for content is a source.
var (
	_ packet.Source  = eventstore.Store(nil)
	_ packet.Content = (*content.Store)(nil)
)

// largeContent is stored content of zeros, beside a ledger's.
type largeContent struct {
	packet.Content
	digest blobs.Digest
	size   int64
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func (c largeContent) Open(ctx context.Context, ref content.Ref) (io.ReadCloser, error) {
	if ref.SHA256 != c.digest {
		return c.Content.Open(ctx, ref)
	}
	return io.NopCloser(io.LimitReader(zeros{}, c.size)), nil
}

func TestALargeFileIsNeverHeldInMemory(t *testing.T) {
	const size = 256 << 20
	sum := sha256.New()
	_, err := io.CopyN(sum, zeros{}, size)
	require.NoError(t, err)
	l, err := packettest.NewDraft(t.Context())
	require.NoError(t, err)
	large := largeContent{l, blobs.Digest(sum.Sum(nil)), size}
	l.Append(document.StreamID(packettest.Document), document.FileAttached{
		Document: packettest.Document, Sender: packettest.Sender, By: event.By{Participant: packettest.Sender},
		File: document.File{Name: "large.bin", MediaType: "application/octet-stream", Size: size, SHA256: large.digest.String()},
	})
	request := l.Request()
	request.Content = large
	path := filepath.Join(t.TempDir(), "p.asice")
	var before, between, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err = packet.ExportFile(t.Context(), path, request)
	require.NoError(t, err)
	runtime.ReadMemStats(&between)
	file, err := os.Open(path)
	require.NoError(t, err)
	defer file.Close()
	info, err := file.Stat()
	require.NoError(t, err)
	report, err := packet.Verify(t.Context(), file, info.Size(), packet.Options{Trust: l.Trust()})
	require.NoError(t, err)
	require.Equal(t, packet.Good, report.Status, "%+v", report.Problems)
	runtime.ReadMemStats(&after)
	t.Logf("packet of %d bytes: %d bytes allocated by the export, %d by the verification",
		info.Size(), between.TotalAlloc-before.TotalAlloc, after.TotalAlloc-between.TotalAlloc)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(128<<20))
}

func TestR_C7_ASignatureTakenWhileTheCertificateWasSuspendedDoesNotHold(t *testing.T) {
	l, err := packettest.NewDraft(t.Context())
	require.NoError(t, err)
	compromise(l, packettest.Sender, l.Now().Add(time.Hour), false)
	require.NoError(t, l.Complete(t.Context()))
	report := verify(t, export(t, l), l.Trust())
	require.Equal(t, packet.Bad, report.Status)
	require.Equal(t, packet.No, holds(t, report, packet.ClaimCertificates))
}

func TestR_C1_ASignatureWithACertificateOfAnotherDoesNotHold(t *testing.T) {
	l, err := packettest.NewDraft(t.Context())
	require.NoError(t, err)
	other, err := l.Issue(testca.P256)
	require.NoError(t, err)
	require.NoError(t, l.Register(packettest.Reader, other))
	l.Use(packettest.Sender, other)
	require.NoError(t, l.Complete(t.Context()))
	report := verify(t, export(t, l), l.Trust())
	require.Equal(t, packet.Bad, report.Status)
	require.Equal(t, packet.No, holds(t, report, packet.ClaimCertificates))

	// Registering it once more, for the one who signs, does not help.
	l, err = packettest.NewDraft(t.Context())
	require.NoError(t, err)
	other, err = l.Issue(testca.P256)
	require.NoError(t, err)
	require.NoError(t, l.Register(packettest.Reader, other))
	require.NoError(t, l.Register(packettest.Sender, other))
	require.NoError(t, l.Complete(t.Context()))
	report = verify(t, export(t, l), l.Trust())
	require.Equal(t, packet.Bad, report.Status)
	require.Equal(t, packet.No, holds(t, report, packet.ClaimStory))
}

func TestAStoryThatCannotBeIsFound(t *testing.T) {
	stream := document.StreamID(packettest.Document)
	by := event.By{Participant: packettest.Sender}
	for what, happened := range map[string]event.Event{
		"a file after sending":    document.FileAttached{Document: packettest.Document, Sender: packettest.Sender, By: by, File: document.File{Name: "x", SHA256: strings.Repeat("0", 64)}},
		"created twice":           document.Created{Document: packettest.Document, Sender: packettest.Sender, By: by},
		"another document":        document.Acknowledged{Document: "x", Recipient: packettest.Recipient, AcknowledgedAt: time.Unix(1, 0)},
		"signed after the end":    document.Signed{Document: packettest.Document, Party: packettest.Recipient},
		"completed twice":         document.Completed{Document: packettest.Document, Number: packettest.Number},
		"expired after the end":   document.Expired{Document: packettest.Document},
		"revoked alone":           document.Revoked{Document: packettest.Document, Party: packettest.Sender, AfterCompletion: true},
		"consent to nothing":      document.RevocationConsented{Document: packettest.Document, Party: packettest.Recipient},
		"delivered to a stranger": document.Delivered{Document: packettest.Document, Recipient: "nobody"},
	} {
		l := newLedger(t)
		l.Append(stream, happened)
		var out bytes.Buffer
		_, err := packet.Export(t.Context(), &out, l.Request())
		if err != nil {
			// What refers to things that are not there has no packet at all.
			require.Contains(t, []fault.Code{fault.BlobNotFound, fault.ChainBroken, fault.EventInvalid}, fault.CodeOf(err), what)
			continue
		}
		report := verify(t, out.Bytes(), l.Trust())
		require.Equal(t, packet.Bad, report.Status, what)
		require.Equal(t, packet.No, holds(t, report, packet.ClaimStory), what)
	}
}

func TestNamesAreSafeAndDistinctEverywhere(t *testing.T) {
	got := packet.SafeNames("a.pdf", "A.PDF", "a.pdf ", "../../etc/passwd", "CON", "nul.txt", "x\u202ey.exe", "", "...", "O'Brien.pdf", "е\u0308.txt", "ё.txt", strings.Repeat("ж", 300)+".pdf", "\xff\xfe")
	require.Equal(t, []string{"a.pdf", "A (2).PDF", "a (3).pdf", ".._._etc_passwd", "_CON", "_nul.txt", "x_y.exe", "file", "file (2)", "O'Brien.pdf", "ё.txt", "ё (2).txt"}, got[:12])
	require.LessOrEqual(t, len(got[12]), 255)
	require.True(t, strings.HasSuffix(got[12], "ж.pdf"))
	folded := map[string]bool{}
	for _, name := range got {
		require.NoError(t, container.CheckName("document/"+name), "%q", name)
		require.False(t, folded[strings.ToLower(name)], "%q", name)
		folded[strings.ToLower(name)] = true
	}
}

func TestLoadTrustTellsRootsFromOperators(t *testing.T) {
	l := newLedger(t)
	folder := t.TempDir()
	require.NoError(t, l.WriteTrust(folder))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "README.txt"), []byte("not looked at"), 0o600))
	trust, err := packet.LoadTrust(folder)
	require.NoError(t, err)
	require.Len(t, trust.Roots, 1)
	require.Len(t, trust.Operators, 1)
	require.Equal(t, packet.Good, verify(t, export(t, l), trust).Status)

	require.NoError(t, os.WriteFile(filepath.Join(folder, "broken.cer"), []byte("no certificate"), 0o600))
	_, err = packet.LoadTrust(folder)
	require.Equal(t, fault.ConfigInvalid, fault.CodeOf(err), "an anchor is not passed over in silence")
	_, err = packet.LoadTrust(filepath.Join(folder, "nowhere"))
	require.Equal(t, fault.ConfigInvalid, fault.CodeOf(err))
}

func TestPrivateKeysAreNoAnchors(t *testing.T) {
	l := newLedger(t)
	folder := t.TempDir()
	key, err := l.Operator.KeyPEM()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "key.pem"), key, 0o600))
	_, err = packet.LoadTrust(folder)
	require.Equal(t, fault.ConfigInvalid, fault.CodeOf(err))
}

// FuzzVerify holds Verify to this: it ends, within bounds, and calls nothing
// good that is not the packet itself. A change is a cut and what is put in its
// place, in the packet as a whole or, with the archive made anew around it, in
// one of its files: small inputs that go deep. (Raw archives are given to
// container.FuzzRead.)
func FuzzVerify(f *testing.F) {
	m := newTamperer(f, 1)
	trust := m.ledger.Trust()
	f.Add(uint16(0), uint32(0), uint16(0), []byte{})
	f.Add(uint16(0), uint32(100), uint16(1), []byte("x"))
	f.Add(uint16(3), uint32(10), uint16(4), []byte(`{"a":1}`))
	f.Add(uint16(9), uint32(0), uint16(60000), []byte("PK\x03\x04"))
	splice := func(content []byte, at uint32, cut uint16, put []byte) []byte {
		from := int(at) % (len(content) + 1)
		return slices.Concat(content[:from], put, content[min(from+int(cut), len(content)):])
	}
	f.Fuzz(func(t *testing.T, file uint16, at uint32, cut uint16, put []byte) {
		var changed []byte
		if n := int(file) % (len(m.entries) + 1); n == 0 {
			changed = splice(m.original, at, cut, put)
		} else {
			entries := m.clone()
			entries[n-1].content = splice(entries[n-1].content, at, cut, put)
			changed = zip(entries)
		}
		report, err := packet.Verify(context.Background(), bytes.NewReader(changed), int64(len(changed)), packet.Options{Trust: trust})
		switch {
		case err != nil:
			require.Equal(t, fault.PacketUnreadable, fault.CodeOf(err))
		case bytes.Equal(changed, m.original):
			require.Equal(t, packet.Good, report.Status)
		default:
			require.Equal(t, packet.Bad, report.Status)
			require.NotEmpty(t, report.Problems)
		}
	})
}

// A key that answers about certificates or stamps time, and lies among the
// anchors of a ledger for that, vouches for no packet.
func TestAServicesCertificateIsNoOperators(t *testing.T) {
	root, err := testca.NewRoot(testca.CA{Name: "Root"})
	require.NoError(t, err)
	folder := t.TempDir()
	for i, usage := range []int{8, 9} {
		service, err := root.Issue(testca.Leaf{Owner: testca.Owner{Organization: "A service"}, Usages: []asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, usage}}})
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(folder, fmt.Sprintf("%d.cer", i)), service.Certificate.Raw, 0o600))
	}
	trust, err := packet.LoadTrust(folder)
	require.NoError(t, err)
	require.Empty(t, trust.Operators)
	require.Empty(t, trust.Roots)
	require.Len(t, trust.Responders, 1)
	require.True(t, trust.IsZero())
}

// A stranger's upload is verified, too: what reading it takes must not be a
// hundred times what it has.
func TestR_M2_AManifestOfElementsWithoutEndTakesNoMemory(t *testing.T) {
	l := newLedger(t)
	m := &tamperer{t: t, ledger: l, entries: unzip(t, export(t, l))}
	entries := m.clone()
	for i := range entries {
		if entries[i].name == "META-INF/ASiCManifest.xml" {
			entries[i].content = bytes.Repeat([]byte("<a>"), 1<<20)
		}
	}
	packed, honest := zip(entries), zip(m.clone())
	var before, between, after runtime.MemStats
	runtime.ReadMemStats(&before)
	verify(t, honest, l.Trust())
	runtime.ReadMemStats(&between)
	report := verify(t, packed, l.Trust())
	runtime.ReadMemStats(&after)
	require.Equal(t, packet.No, holds(t, report, packet.ClaimSeal))
	whole := between.TotalAlloc - before.TotalAlloc // that of all the rest
	require.Less(t, after.TotalAlloc-between.TotalAlloc, whole+uint64(10*len(packed)))
}
