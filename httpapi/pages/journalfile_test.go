package pages_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pdfcpu/pdfcpu/pkg/api"
	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"

	"dalel/domain/document"
	"dalel/domain/ledger"
	"dalel/domain/participant"
	"dalel/eventstore"
	"dalel/httpapi/pages"
	"dalel/internal/fault"
	"dalel/projections"
)

// office are the read models and the ledger of a journal with so many entries.
type office struct{ entries int }

var people = map[string]participant.State{
	"me":    {ID: "me", Kind: participant.LegalEntity, Identifier: "010140000017", Name: "ТОО «Жетісу Инжиниринг»", Status: participant.Active},
	"other": {ID: "other", Kind: participant.LegalEntity, Identifier: "090240007654", Name: "=АО «Құрылыс Өнім»", Status: participant.Active},
	"third": {ID: "third", Kind: participant.SoleTrader, Identifier: "900101300123", Name: "ИП Ысқақов Н. Ұ.", Status: participant.Active},
	"who":   {ID: "who", Kind: participant.NaturalPerson, Identifier: "800101300123", Name: "Әбенова Гүлнар Қанатқызы", Status: participant.Active},
}

func (o office) Position(context.Context) (eventstore.Position, error) {
	return eventstore.Position(o.entries + 100), nil
}

func (o office) Names(_ context.Context, ids ...string) (map[string]projections.Participant, error) {
	found := map[string]projections.Participant{}
	for _, id := range ids {
		if one, ok := people[id]; ok {
			found[id] = projections.Participant{ID: id, Kind: one.Kind, Name: one.Name, Status: projections.ParticipantActive}
		}
	}
	return found, nil
}

func (o office) Participant(_ context.Context, id string) (ledger.Snapshot[participant.State], error) {
	if one, ok := people[id]; ok {
		return ledger.Snapshot[participant.State]{State: one}, nil
	}
	return ledger.Snapshot[participant.State]{}, fault.New(fault.ParticipantUnknown, "no such participant")
}

func (o office) Journal(_ context.Context, _ projections.JournalFilter, page projections.Page) (projections.Result[projections.JournalRow], error) {
	from := 0
	if page.After != "" {
		from, _ = strconv.Atoi(page.After)
	}
	var r projections.Result[projections.JournalRow]
	for i := from; i < o.entries && len(r.Items) < page.Limit; i++ {
		row := projections.JournalRow{
			Participant: "me", Direction: projections.Out, Position: eventstore.Position(o.entries - i), Document: fmt.Sprint(i), Kind: document.Contract,
			RegisteredAt: time.Date(2026, 11, 30, 21, 15, 30, 0, time.UTC).Add(-time.Duration(i) * time.Hour), Title: "=Договор; \"поставка\"", SenderNumber: "0045", Date: "2026-11-30",
			Sum: &document.Sum{Minor: "-10000", Currency: "KZT"}, Number: "20270302000000000017", Actor: "who", Counterparties: []string{"other"}, Status: projections.StatusSigned, Headline: document.HeadlineSigned,
		}
		if i == 1 {
			row.Counterparties, row.Actor, row.Headline = []string{"other", "third"}, "me", document.HeadlineLost
		}
		r.Items = append(r.Items, row)
	}
	if from+len(r.Items) < o.entries {
		r.Next = strconv.Itoa(from + len(r.Items))
	}
	return r, nil
}

func written(t testing.TB, entries int, request pages.JournalRequest) []byte {
	t.Helper()
	journals, err := pages.NewJournals(office{entries}, office{entries})
	require.NoError(t, err)
	journals.Bound(250, 120)
	request.Now = time.Date(2026, 12, 1, 5, 0, 0, 0, time.UTC)
	var out bytes.Buffer
	require.NoError(t, journals.Write(t.Context(), &out, request))
	return out.Bytes()
}

func cells(t testing.TB, content []byte) [][]string {
	t.Helper()
	text, marked := strings.CutPrefix(string(content), "\ufeff")
	require.True(t, marked)
	reader := csv.NewReader(strings.NewReader(text))
	reader.Comma = ';'
	rows, err := reader.ReadAll()
	require.NoError(t, err)
	return rows
}

var own = projections.JournalFilter{Participant: "me"}

func TestR_G1_AJournalAsCSVNamesPeopleAndOpensInARussianExcel(t *testing.T) {
	rows := cells(t, written(t, 2, pages.JournalRequest{Filter: own, Format: pages.JournalCSV, Language: pages.Russian}))
	require.Equal(t, [][]string{
		{"Номер", "Дата и время (UTC+5)", "Направление", "Вид", "Заголовок", "Исходящий №", "Дата документа", "Сумма", "Валюта", "Контрагенты", "БИН/ИИН контрагента", "Статус", "Кто действовал"},
		{"№ 2027 0302 0000 0000 0017", "01.12.2026 02:15:30", "Исходящий", "Договор", "'=Договор; \"поставка\"", "'0045", "30.11.2026", "-100,00", "KZT",
			"'=АО «Құрылыс Өнім»", "БИН 090240007654", "Подписан всеми", "Әбенова Гүлнар Қанатқызы"},
		{"№ 2027 0302 0000 0000 0017", "01.12.2026 01:15:30", "Исходящий", "Договор", "'=Договор; \"поставка\"", "'0045", "30.11.2026", "-100,00", "KZT",
			"'=АО «Құрылыс Өнім»; ИП Ысқақов Н. Ұ.", "БИН 090240007654; ИИН 900101300123", "Подпись утратила силу", ""},
	}, rows)
	kazakh := cells(t, written(t, 1, pages.JournalRequest{Filter: own, Format: pages.JournalCSV, Language: pages.Kazakh}))
	require.Equal(t, "БСН 090240007654", kazakh[1][10])
	everybody := cells(t, written(t, 1, pages.JournalRequest{Format: pages.JournalCSV, Language: pages.English}))
	require.Contains(t, everybody[0], "Participant")
	require.Contains(t, everybody[1], "ТОО «Жетісу Инжиниринг»")
}

func TestR_G1_OperatorsGetNothingOfADocumentsContentInAFile(t *testing.T) {
	for _, format := range []pages.JournalFormat{pages.JournalCSV, pages.JournalXLSX, pages.JournalPDF} {
		closed := pages.JournalRequest{Format: format, Language: pages.Russian, Closed: true}
		text := string(written(t, 1, closed))
		if format == pages.JournalXLSX {
			book, err := excelize.OpenReader(strings.NewReader(text))
			require.NoError(t, err)
			rows, err := book.GetRows("Журнал")
			require.NoError(t, err)
			require.NoError(t, book.Close())
			text = fmt.Sprint(rows)
		}
		for _, content := range []string{"поставка", "0045", "100,00", "100.00", "Исходящий №"} {
			require.NotContains(t, text, content, format)
		}
	}
}

func TestR_G1_AFileThatHasNotAllSaysSo(t *testing.T) {
	const said = "По этому отбору есть и более ранние"
	whole := cells(t, written(t, 250, pages.JournalRequest{Filter: own, Format: pages.JournalCSV, Language: pages.Russian}))
	require.Len(t, whole, 1+250)
	require.NotContains(t, fmt.Sprint(whole), said)
	cut := cells(t, written(t, 251, pages.JournalRequest{Filter: own, Format: pages.JournalCSV, Language: pages.Russian}))
	require.Len(t, cut, 1+250+1)
	require.True(t, strings.HasPrefix(cut[251][0], "Здесь 250 новейших записей. "+said), cut[251][0])

	book, err := excelize.OpenReader(bytes.NewReader(written(t, 251, pages.JournalRequest{Filter: own, Format: pages.JournalXLSX, Language: pages.Russian})))
	require.NoError(t, err)
	defer book.Close()
	rows, err := book.GetRows("Журнал")
	require.NoError(t, err)
	require.Contains(t, rows[251][0], said)
	about, err := book.GetRows("Сведения")
	require.NoError(t, err)
	facts := map[string]string{}
	for _, row := range about {
		facts[row[0]] = row[1]
	}
	require.Equal(t, "ТОО «Жетісу Инжиниринг», БИН 010140000017", facts["Участник"])
	require.Equal(t, "351", facts["По состоянию на позицию реестра"])
	require.Contains(t, facts["Записей"], said)
	require.Contains(t, facts["Составлен"], "2026")
	require.Equal(t, "всё время", facts["Период"])
}

func TestR_G1_AJournalAsPDFIsAcrossWithItsHeadingOnEveryPage(t *testing.T) {
	filter := projections.JournalFilter{
		Participant: "me", Counterparty: "other", Direction: projections.Out, Kind: document.Contract, Status: projections.StatusSigned,
		From: time.Date(2026, 10, 31, 19, 0, 0, 0, time.UTC), To: time.Date(2026, 11, 30, 19, 0, 0, 0, time.UTC),
	}
	content := written(t, 121, pages.JournalRequest{Filter: filter, Format: pages.JournalPDF, Language: pages.Russian})
	require.Equal(t, content, written(t, 121, pages.JournalRequest{Filter: filter, Format: pages.JournalPDF, Language: pages.Russian}))
	dims, err := api.PageDims(bytes.NewReader(content), nil)
	require.NoError(t, err)
	require.Greater(t, len(dims), 3)
	for _, d := range dims {
		require.Greater(t, d.Width, d.Height)
	}
	tool, err := exec.LookPath("pdftotext")
	if err != nil {
		t.Skip("no pdftotext here")
	}
	path := filepath.Join(t.TempDir(), "journal.pdf")
	require.NoError(t, os.WriteFile(path, content, 0o600))
	output, err := exec.CommandContext(t.Context(), tool, "-layout", path, "-").Output()
	require.NoError(t, err)
	text := string(output)
	sheets := strings.Split(strings.TrimSuffix(text, "\f"), "\f")
	require.Len(t, sheets, len(dims))
	for i, one := range sheets[:len(sheets)-1] {
		require.Contains(t, one, "Исходящий №", "page %d has the heading", i+1)
		require.Contains(t, one, fmt.Sprintf("Страница %d из %d", i+1, len(sheets)))
	}
	flat := regexp.MustCompile(`[\s\x{00a0}]+`).ReplaceAllString(text, " ")
	for _, want := range []string{
		"ТОО «Жетісу Инжиниринг», БИН 010140000017", "с 1 ноября 2026 г. по 30 ноября 2026 г.", "=АО «Құрылыс Өнім», БИН 090240007654",
		"По состоянию на позицию реестра 221", "Здесь 120 новейших записей.", "-100,00 ₸", "Әбенова Гүлнар",
	} {
		require.Contains(t, flat, want)
	}
}
