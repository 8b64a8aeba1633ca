package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dalel/domain/certificate"
	"dalel/domain/document"
	"dalel/domain/fileformat"
	"dalel/domain/participant"
	"dalel/domain/signature"
	"dalel/internal/crl"
	"dalel/internal/wordstest"
)

func TestR_M1_EveryMessageIsThereInThreeLanguagesWithTheSamePlaces(t *testing.T) {
	all, err := catalogue()
	require.NoError(t, err)
	places := regexp.MustCompile(`\{[a-z]+\}`)
	for key, russian := range all[0].texts {
		for _, w := range all {
			text := w.texts[key]
			require.NotEmpty(t, text, "%s in %s", key, w.language)
			require.ElementsMatch(t, places.FindAllString(russian, -1), places.FindAllString(text, -1), "%s in %s", key, w.language)
		}
	}
	rows := map[string]wordstest.Row{}
	for key := range all[0].texts {
		rows[key] = wordstest.Row{{all[0].texts[key]}, {all[1].texts[key]}, {all[2].texts[key]}}
	}
	wordstest.Check(t, rows, nil)
	_, err = readMessages("a | b | c\n")
	require.Error(t, err)
	_, err = readMessages("a | b | c | d\na | b | c | d\n")
	require.Error(t, err)
}

func TestR_M1_WhateverAPacketHoldsHasItsWords(t *testing.T) {
	all, err := catalogue()
	require.NoError(t, err)
	var keys []string
	for _, d := range append(document.Events(), certificate.Events()...) {
		keys = append(keys, "event."+d.Zero.EventType())
	}
	keys = append(keys, "event."+participant.Registered{}.EventType())
	for _, d := range signature.Definitions() {
		keys = append(keys, "reason."+d.Code)
	}
	for _, k := range document.Kinds() {
		keys = append(keys, "kind."+string(k))
	}
	for _, h := range document.Headlines() {
		keys = append(keys, "headline."+string(h))
	}
	for _, force := range []document.Force{document.ForceDoubt, document.ForceLost} {
		keys = append(keys, "force."+string(force))
	}
	for _, role := range certificate.Roles() {
		if role != "" {
			keys = append(keys, "signer-role."+role)
		}
	}
	for _, source := range []document.Source{document.SourceAuthority, document.SourceOperator} {
		keys = append(keys, "source."+string(source))
	}
	for reason := crl.Unspecified; reason <= crl.AACompromise; reason++ {
		if reason.Known() {
			keys = append(keys, "crl."+reason.String())
		}
	}
	for _, ruling := range []document.Ruling{document.RulingLost, document.RulingStands} {
		keys = append(keys, "ruling."+string(ruling))
	}
	for _, channel := range []certificate.Channel{certificate.ByPhone, certificate.InWriting, certificate.Online} {
		keys = append(keys, "channel."+string(channel))
	}
	keys = append(keys, "limit.kept", "limit.late")
	for _, s := range []signature.Status{signature.Valid, signature.Invalid, signature.Unknown} {
		keys = append(keys, "verdict."+string(s))
	}
	for _, k := range []participant.Kind{participant.NaturalPerson, participant.SoleTrader, participant.LegalEntity, participant.NonResident} {
		keys = append(keys, "participant-kind."+string(k), "identifier."+string(k))
	}
	keys = append(keys, "role.sign", "role.approve", "role.read", "method.certificate", "state.signed", "state.approved", "state.rejected", "basis.request", "basis.retention-ended")
	for _, c := range fileformat.Cautions() {
		keys = append(keys, "caution."+string(c))
	}
	for _, key := range keys {
		require.NotEmpty(t, all[0].texts[key], key)
	}
	require.Equal(t, "new.code", all[0].code("reason", "new.code"), "a code without words stands alone")
}

func TestR_M1_NoReportHasAWordThatDoesNotExist(t *testing.T) {
	d := twenty()
	html, err := d.HTML()
	require.NoError(t, err)
	require.NotContains(t, string(html), "⟦")
}

func TestR_D2_AFilesCautionsStandInTheReportWithTheirCodes(t *testing.T) {
	d := twenty()
	before, err := d.HTML()
	require.NoError(t, err)
	d.Files[0].Cautions = []string{"file.trailer", "file.of-a-later-version"}
	after, err := d.HTML()
	require.NoError(t, err)
	for _, word := range []string{"как их записывают телефоны", "(file.trailer)", "file.of-a-later-version"} {
		require.NotContains(t, string(before), word)
		require.Contains(t, string(after), word)
	}
}

func TestTheSameDataGiveTheSameBytes(t *testing.T) {
	d := twenty()
	for _, make := range []func() ([]byte, error){d.HTML, d.PDF} {
		first, err := make()
		require.NoError(t, err)
		again, err := make()
		require.NoError(t, err)
		require.True(t, bytes.Equal(first, again))
	}
	other := twenty()
	other.Title = "Другой"
	one, err := d.PDF()
	require.NoError(t, err)
	two, err := other.PDF()
	require.NoError(t, err)
	require.False(t, bytes.Equal(one, two))
}

// A changed hash here means that packets of the present format no longer
// verify: what changed it (a word, a margin, fpdf, the compressor, the fonts)
// needs a new format, with the present one still made for the verifier.
func TestTheBytesOfAReportBelongToTheFormat(t *testing.T) {
	d := twenty()
	html, err := d.HTML()
	require.NoError(t, err)
	pdf, err := d.PDF()
	require.NoError(t, err)
	x := Extract{Source: d.Source, From: d.At, To: d.At.Add(time.Hour), Newest: d.Seal, Entries: []Entry{{At: d.At, Journal: "incoming", Participant: Named{ID: d.Parties[0].ID, Name: d.Parties[0].Name}, Document: d.ID, Kind: "act", Type: "DocumentSigned", Verdict: "valid", Commitment: d.Seal}}}
	extract, err := x.PDF()
	require.NoError(t, err)
	journal := Journal{At: d.At, Entries: x.Entries, Files: true}
	text, err := journal.CSV()
	require.NoError(t, err)
	book, err := journal.XLSX()
	require.NoError(t, err)
	got := map[string]string{}
	for name, content := range map[string][]byte{"html": html, "pdf": pdf, "extract": extract, "csv": text, "xlsx": book} {
		sum := sha256.Sum256(content)
		got[name] = hex.EncodeToString(sum[:8])
	}
	require.Equal(t, map[string]string{"html": "5e735f0595933f66", "pdf": "fe636ff9841c9a8d", "extract": "62ad708687e4c22f", "csv": "df5fec21a2ec0316", "xlsx": "223d9290f00e8f2d"}, got)
}

func TestAHostileTextIsEscapedAndCannotTurnTheOrderOfReading(t *testing.T) {
	require.Equal(t, "&lt;b&gt;&#34;&amp;&#39; \ufffd x", escaped("<b>\"&'\n\u202e x"))
	require.Equal(t, "./a%3Ab/%D0%B6%20%22.pdf", reference(`a:b/ж ".pdf`))
	d := twenty()
	d.Title = strings.Repeat("Ж", 3000) + "\u202e\U0001F600 العربية 中文"
	d.Events[0].Facts = []Fact{{"fact.reason", Value{Text: strings.Repeat("<script>", 2000)}}}
	html, err := d.HTML()
	require.NoError(t, err)
	require.NotContains(t, string(html), "<script")
	_, err = d.PDF()
	require.NoError(t, err)
}

func TestALongHistoryAndALongTextAreCutAndSaySo(t *testing.T) {
	d := twenty()
	for len(d.Events) < maxEvents+500 {
		e := d.Events[0]
		e.Number = len(d.Events) + 1
		e.Facts = nil
		d.Events = append(d.Events, e)
	}
	d.EndReason = strings.Repeat("ы", maxText+1)
	html, err := d.HTML()
	require.NoError(t, err)
	require.Contains(t, string(html), "Events not shown here: 500.")
	require.Contains(t, string(html), ">4500<")
	require.Contains(t, string(html), ">2000<")
	require.NotContains(t, string(html), ">2001<")
	require.Contains(t, string(html), strings.Repeat("ы", maxText)+"…")
	require.Less(t, len(html), 16<<20)
}

func TestTheFontsHaveTheKazakhLettersAndTheReportReadsAsText(t *testing.T) {
	fonts, err := faces()
	require.NoError(t, err)
	for _, f := range fonts {
		for _, r := range "АӘБВГҒДЕЁЖЗИЙКҚЛМНҢОӨПРСТУҰҮФХҺЦЧШЩЪЫІЬЭЮЯаәбвгғдеёжзийкқлмнңоөпрстуұүфхһцчшщъыіьэюя№«»—–·₸" {
			require.True(t, f.known[r], "%s%s has no %q", f.family, f.style, r)
		}
	}
	if _, err := exec.LookPath("pdftotext"); err != nil {
		t.Skip("no pdftotext here")
	}
	pdf, err := twenty().PDF()
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "r.pdf")
	require.NoError(t, os.WriteFile(path, pdf, 0o600))
	text, err := exec.CommandContext(t.Context(), "pdftotext", "-layout", path, "-").CombinedOutput()
	require.NoError(t, err)
	for _, said := range []string{"Подпись верна", "Қолтаңба дұрыс", "At receipt", "ТОО «Алма»", "1234 5678 9012", "регистрационное свидетельство на этот момент не отозвано [revocation.good]", "02.03.2026 14:00:00"} {
		require.Contains(t, string(text), said)
	}
}

func TestMomentsAreThoseOfAlmatyAlsoBeforeTheChangeOfItsTime(t *testing.T) {
	all, err := catalogue()
	require.NoError(t, err)
	w := all[2]
	require.Equal(t, "29.02.2024 23:59:59 Almaty (UTC+6)", w.almaty(time.Date(2024, 2, 29, 17, 59, 59, 0, time.UTC)))
	require.Equal(t, "29.02.2024 23:00:00 Almaty (UTC+5)", w.almaty(time.Date(2024, 2, 29, 18, 0, 0, 0, time.UTC)))
	require.Equal(t, "1,234,567.05\u00a0₸", w.money("123456705", "KZT"))
	require.Equal(t, "-0.05\u00a0₸", w.money("-5", "KZT"))
}

func TestADeadlineSaysItsLastDayInTheReport(t *testing.T) {
	d := twenty()
	d.Parties[0].Deadline = time.Date(2026, 12, 8, 19, 0, 0, 0, time.UTC)
	d.Events = append(d.Events, Event{Number: 99, Type: "DocumentExpired", At: d.At, Facts: []Fact{{Label: "fact.deadline", Value: Value{Due: d.Parties[0].Deadline}}}})
	html, err := d.HTML()
	require.NoError(t, err)
	for _, want := range []string{"8\u00a0декабря\u00a02026\u00a0г., вторник, конец дня (UTC+5)", "сейсенбі, күннің соңы (UTC+5)", "Tuesday 8\u00a0December\u00a02026, end of the day (UTC+5)"} {
		require.Equal(t, 2, strings.Count(string(html), want), "of the party and of the event: %s", want)
	}
	require.NotContains(t, string(html), "09.12.2026")
}

func TestR_M1_TheReportNamesThePersonInTheCertificateAndTheOrganisationOnce(t *testing.T) {
	d := twenty()
	d.Signatures = d.Signatures[:1]
	s := &d.Signatures[0]
	s.Party, s.Kind, s.Identifier = Who{ID: "p-1", Name: "ТОО Алтын Дән"}, string(participant.LegalEntity), "990140000385"
	s.By, s.OnBehalf = Who{ID: "e-1", Name: "Бекетов Серик"}, true
	s.Subject = Subject{Person: "БЕКЕТОВ СЕРІК", Name: "ТОО «Алтын Дән Астық»", IIN: "850412300561", BIN: "990140000385", Role: "head"}
	html, err := d.HTML()
	require.NoError(t, err)
	require.Contains(t, string(html), "Бекетов Серик, действует за: ТОО Алтын Дән, БИН 990140000385<")
	require.Contains(t, string(html), "БЕКЕТОВ СЕРІК, ТОО «Алтын Дән Астық», ИИН 850412300561, БИН 990140000385, первый руководитель")
	s.Subject = Subject{Role: "head", Serial: "1f"}
	html, err = d.HTML()
	require.NoError(t, err)
	require.Contains(t, string(html), "имя не раскрыто", "a role alone names nobody")
	require.NotContains(t, string(html), ">e-1<")
}
