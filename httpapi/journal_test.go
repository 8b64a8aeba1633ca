package httpapi_test

import (
	"encoding/csv"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"
)

// rowsOf reads a journal as CSV.
func rowsOf(t testing.TB, body string) [][]string {
	t.Helper()
	text, marked := strings.CutPrefix(body, "\ufeff")
	require.True(t, marked, "a spreadsheet takes it for UTF-8 by the mark alone")
	reader := csv.NewReader(strings.NewReader(text))
	reader.Comma = ';'
	rows, err := reader.ReadAll()
	require.NoError(t, err)
	return rows
}

func TestR_G1_TheJournalComesAsCSVXLSXAndPDFToWhomMayReadIt(t *testing.T) {
	w := newWorld(t)
	id := w.draft()
	doc := "/api/v1/documents/" + id
	w.ok("PUT", doc+"/details", w.sender.token, map[string]any{"kind": "contract", "title": "=cmd|'/c calc'!A1", "number": "0045", "sum": map[string]any{"minor": "123456", "currency": "KZT"}})
	sent := w.ok("POST", doc+"/send", w.sender.token, map[string]any{"recipients": []any{map[string]any{"participant": w.party.id, "role": "sign"}}})
	get := func(path, token string) answer {
		return w.do(request{method: "GET", path: path, token: token, header: map[string]string{"Dalel-Wait-For": position(sent)}})
	}
	answer := get("/api/v1/journal.csv?direction=out&kind=contract&status=awaiting", w.sender.token)
	require.Equal(t, 200, answer.status, answer.body)
	require.True(t, strings.HasPrefix(answer.header.Get("Content-Type"), "text/csv"))
	require.Contains(t, answer.header.Get("Content-Disposition"), `filename="journal.csv"`)
	rows := rowsOf(t, answer.body)
	require.Len(t, rows, 2)
	column := func(title string) string {
		for i, cell := range rows[0] {
			if cell == title {
				return rows[1][i]
			}
		}
		t.Fatalf("no column %q", title)
		return ""
	}
	require.Equal(t, "'=cmd|'/c calc'!A1", column("Заголовок"))
	require.Equal(t, "'0045", column("Исходящий №"))
	require.Equal(t, "1234,56", column("Сумма"))
	require.Contains(t, column("БИН/ИИН контрагента"), w.party.number)
	require.NotContains(t, answer.body, w.party.id, "people are named")
	require.Len(t, rowsOf(t, get("/api/v1/journal.csv?kind=act", w.sender.token).body), 1)

	operators := get("/api/v1/journal.csv?lang=en", w.operator)
	require.Equal(t, 200, operators.status)
	require.NotContains(t, operators.body, "calc", "operators read no content")
	require.NotContains(t, operators.body, "1234,56")
	require.NotContains(t, get("/api/v1/journal", w.operator).body, "123456")
	require.Contains(t, get("/api/v1/journal", w.sender.token).body, `"sum":{"minor":"123456","currency":"KZT"}`)

	answer = get("/api/v1/journal.xlsx?lang=kk", w.auditor)
	require.Equal(t, 200, answer.status)
	book, err := excelize.OpenReader(strings.NewReader(answer.body))
	require.NoError(t, err)
	defer book.Close()
	require.Equal(t, []string{"Журнал", "Мәліметтер"}, book.GetSheetList())
	answer = get("/api/v1/journal.pdf", w.sender.token)
	require.Equal(t, "application/pdf", answer.header.Get("Content-Type"))
	require.True(t, strings.HasPrefix(answer.body, "%PDF-"))

	for _, wrong := range []string{"lang=de", "status=lost", "kind=poem", "direction=up", "from=yesterday"} {
		require.Equal(t, "request.invalid", get("/api/v1/journal.xlsx?"+wrong, w.sender.token).code(), wrong)
	}
	require.Equal(t, http.StatusForbidden, get("/api/v1/journal.csv?participant="+w.party.id, w.sender.token).status)
}
