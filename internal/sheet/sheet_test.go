package sheet_test

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"dalel/internal/sheet"

	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"
	"pgregory.net/rapid"
)

var columns = []sheet.Column{
	{Title: "Номер", Kind: sheet.Digits, Width: 24}, {Title: "Дата и время (UTC+5)", Kind: sheet.Moment, Width: 19},
	{Title: "Заголовок", Width: 40}, {Title: "БИН/ИИН", Kind: sheet.Digits, Width: 14},
	{Title: "Сумма", Kind: sheet.Sum, Width: 16}, {Title: "Исходящий №", Width: 14},
	{Title: "Дата", Kind: sheet.Day, Width: 12}, {Title: "Записей", Kind: sheet.Count},
}

func sample() sheet.Table {
	at := time.Date(2026, 11, 30, 21, 15, 30, 0, time.UTC) // the next day in Kazakhstan
	row := func(title, minor, own string) []sheet.Cell {
		return []sheet.Cell{
			sheet.Named("№", "20270302000000000017"), sheet.At(at), sheet.Of(title), sheet.Named("БИН", "001040000017"),
			sheet.Of(minor), sheet.Of(own), sheet.At(at), sheet.Of("12"),
		}
	}
	return sheet.Table{Name: "Журнал", Columns: columns, Note: "Показаны первые 3 записи.", Rows: [][]sheet.Cell{
		row("Договор поставки; «Үміт» & Ко", "-10000", "0045"),
		row("=HYPERLINK(\"http://example.com\")", "125000050", "03/04"),
		row("Акт\r\nсверки\tза март", "99999999999999999", "12-А"),
	}}
}

func parse(t require.TestingT, content []byte) [][]string {
	text, marked := strings.CutPrefix(string(content), "\ufeff")
	require.True(t, marked, "a spreadsheet takes it for UTF-8 by the mark alone")
	reader := csv.NewReader(strings.NewReader(text))
	reader.Comma = ';'
	rows, err := reader.ReadAll()
	require.NoError(t, err)
	return rows
}

func TestR_G1_CSVLeavesARussianExcelNothingToGuess(t *testing.T) {
	content, err := sample().CSV()
	require.NoError(t, err)
	require.Equal(t, strings.Count(string(content), "\n"), strings.Count(string(content), "\r\n"))
	require.Equal(t, [][]string{
		{"Номер", "Дата и время (UTC+5)", "Заголовок", "БИН/ИИН", "Сумма", "Исходящий №", "Дата", "Записей"},
		{"№ 2027 0302 0000 0000 0017", "01.12.2026 02:15:30", "Договор поставки; «Үміт» & Ко", "БИН 001040000017", "-100,00", "'0045", "01.12.2026", "12"},
		{"№ 2027 0302 0000 0000 0017", "01.12.2026 02:15:30", "'=HYPERLINK(\"http://example.com\")", "БИН 001040000017", "1250000,50", "'03/04", "01.12.2026", "12"},
		// More digits than a spreadsheet keeps: text.
		{"№ 2027 0302 0000 0000 0017", "01.12.2026 02:15:30", "Акт сверки за март", "БИН 001040000017", "'99999999999999999", "12-А", "01.12.2026", "12"},
		{"Показаны первые 3 записи.", "", "", "", "", "", "", ""},
	}, parse(t, content))
}

func TestWhatASpreadsheetWouldTakeForSomethingElseIsMarkedAsText(t *testing.T) {
	for text, want := range map[string]string{
		"=1+1": "'=1+1", "+7 701 000 00 00": "'+7 701 000 00 00", "-5": "'-5", "@SUM(A1)": "'@SUM(A1)", " =1": "' =1", "\u00a0=1": "'\u00a0=1",
		"\t=1": "' =1", "\u200b=1": "'\u200b=1", "\u0600=1": "'\u0600=1", "＝1": "'＝1", "＋1": "'＋1", "－1": "'－1", "＠1": "'＠1", "﹦1": "'﹦1", "−5": "'−5", "|cmd": "'|cmd",
		"скидка, -5 %": "скидка, '-5 %", "a;=1": "a;'=1", `a"=1`: `a"'=1`, "a,=1,@b": "a,'=1,'@b", "a\r\n=1": "a =1", "a\u202eb": "a\ufffdb", "\n=1": "' =1", "\r=1": "' =1", "%x": "'%x",
		"0045": "'0045", "1e5": "'1e5", "1E+19": "'1E+19", "1,5": "'1,5", "1 234": "'1 234", "1\u00a0234": "'1\u00a0234", "50%": "'50%", "12:30": "'12:30",
		"03/04": "'03/04", "3-4": "'3-4", "01.02.2027": "'01.02.2027", "2027": "'2027", "100 ₸": "'100 ₸", "(5)": "'(5)",
		"март 2027": "'март 2027", "1 янв": "'1 янв", "SEP1": "'SEP1", "2027 ж. қаңтар": "'2027 ж. қаңтар", "ИСТИНА": "'ИСТИНА", "true": "'true",
		"": "", "Договор": "Договор", "Договор № 12": "Договор № 12", "12-А": "12-А", "a=b": "a=b", "цех 5, 6": "цех 5, 6", "март": "март", "e": "e",
		"УЛ-2026/122": "УЛ-2026/122", "x@example.com": "x@example.com", "O'Brien": "O'Brien", "'quoted'": "'quoted'", "— тире": "— тире",
	} {
		content, err := sheet.Table{Columns: []sheet.Column{{Title: "t"}, {Title: "u"}}, Rows: [][]sheet.Cell{{sheet.Of(text), sheet.Of("end")}}}.CSV()
		require.NoError(t, err)
		require.Equal(t, want, parse(t, content)[1][0], "%q", text)
	}
}

const formulas = "=+-@|%＝＋－＠｜％﹦﹢﹣﹫﹪⁼⁺⁻₌₊₋−"

// undefused takes away the apostrophes that stand where a cell could begin.
func undefused(text string) string {
	begins := true
	return strings.Map(func(r rune) rune {
		if begins && r == '\'' {
			return -1
		}
		begins = strings.ContainsRune(`,;"`, r) || begins && sheet.Skipped(r)
		return r
	}, text)
}

// requireHarmless fails on a cell that could be taken for a formula by a
// program that splits at any separator.
func requireHarmless(t require.TestingT, kind sheet.Kind, cell string) {
	if kind == sheet.Sum && regexp.MustCompile(`^-?\d{1,13},\d\d$`).MatchString(cell) {
		return
	}
	for _, piece := range regexp.MustCompile(`[;,"\t\r\n]`).Split(cell, -1) {
		first := strings.TrimLeftFunc(piece, func(r rune) bool { return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) })
		require.False(t, first != "" && strings.ContainsRune(formulas, []rune(first)[0]), "%q in %q", piece, cell)
	}
	require.NotContains(t, cell, "\t")
	require.NotContains(t, cell, "\r")
	require.NotContains(t, cell, "\n")
}

// anyText has the characters that matter far more often than chance would.
func anyText() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		special := rapid.SampledFrom([]rune(formulas + "'\";, \t\r\n\v\u00a0\u200b\ufeff\u2028_x0123456789.eE:/Аямарт\ufffe\x00"))
		return string(rapid.SliceOfN(rapid.OneOf(special, rapid.Rune()), 0, 24).Draw(t, "text"))
	})
}

func anyTable(t *rapid.T) sheet.Table {
	table := sheet.Table{Name: "T", Columns: columns, Note: anyText().Draw(t, "note")}
	for range rapid.IntRange(1, 4).Draw(t, "rows") {
		var row []sheet.Cell
		for range columns {
			cell := sheet.Cell{Text: anyText().Draw(t, "cell"), Mark: rapid.SampledFrom([]string{"", "№", "БИН"}).Draw(t, "mark")}
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				cell.Text = rapid.StringMatching(`-?[0-9]{1,22}`).Draw(t, "digits")
			case 1:
				cell.Time = time.Unix(rapid.Int64Range(-1<<36, 1<<39).Draw(t, "moment"), 0)
			}
			row = append(row, cell)
		}
		table.Rows = append(table.Rows, row)
	}
	return table
}

func TestNoCellOfAnyTextIsAFormulaAndCSVParsesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := anyTable(t)
		content, err := table.CSV()
		require.NoError(t, err)
		rows := parse(t, content)
		require.GreaterOrEqual(t, len(rows), 1+len(table.Rows))
		for i, row := range rows {
			for j, cell := range row {
				kind := columns[j].Kind
				if i == 0 || i > len(table.Rows) {
					kind = sheet.Text
				}
				requireHarmless(t, kind, cell)
				if i > 0 && i <= len(table.Rows) && columns[j].Kind == sheet.Text {
					require.Equal(t, undefused(oneLine(table.Rows[i-1][j].Text)), undefused(cell))
				}
			}
		}
	})
}

// oneLine is a text as a table may hold it.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r), r == '\u2028', r == '\u2029':
			return ' '
		case r&0xfffe == 0xfffe, r >= 0xfdd0 && r <= 0xfdef, r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
			return '\ufffd'
		}
		return r
	}, strings.ReplaceAll(text, "\r\n", "\n"))
}

func workbook(t require.TestingT, tables ...sheet.Table) []byte {
	var out bytes.Buffer
	require.NoError(t, sheet.Workbook{Title: "Журнал", Language: "ru-KZ", At: time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC), Tables: tables}.Write(&out))
	return out.Bytes()
}

func TestNoCellOfAWorkbookIsAFormulaAndEveryTextComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := anyTable(t)
		f, err := excelize.OpenReader(bytes.NewReader(workbook(t, table)))
		require.NoError(t, err)
		defer f.Close()
		for i, row := range table.Rows {
			for j, cell := range row {
				name, err := excelize.CoordinatesToCellName(j+1, i+2)
				require.NoError(t, err)
				found, err := f.GetCellFormula("T", name)
				require.NoError(t, err)
				require.Empty(t, found)
				if columns[j].Kind != sheet.Text {
					continue
				}
				text, err := f.GetCellValue("T", name, excelize.Options{RawCellValue: true})
				require.NoError(t, err)
				require.Equal(t, oneLine(cell.Text), text)
			}
		}
	})
}

func TestR_G1_AWorkbookHasNumbersDaysAndTextsAsTheyAre(t *testing.T) {
	f, err := excelize.OpenReader(bytes.NewReader(workbook(t, sample())))
	require.NoError(t, err)
	defer f.Close()
	for name, want := range map[string][3]string{ // as stored, as shown, kind
		"A2": {"20270302000000000017", "20270302000000000017", "text"}, "D2": {"001040000017", "001040000017", "text"},
		"E2": {"-100.00", "-100.00", "number"}, "E3": {"1250000.50", "1,250,000.50", "number"}, "E4": {"99999999999999999", "99999999999999999", "text"},
		"B2": {"46357.09409722222", "01.12.2026 02:15:30", "number"}, "G2": {"46357", "01.12.2026", "number"},
		"C3": {`=HYPERLINK("http://example.com")`, `=HYPERLINK("http://example.com")`, "text"}, "F2": {"0045", "0045", "text"}, "F3": {"03/04", "03/04", "text"},
		"H2": {"12", "12", "number"}, "A5": {"Показаны первые 3 записи.", "Показаны первые 3 записи.", "text"},
	} {
		stored, err := f.GetCellValue("Журнал", name, excelize.Options{RawCellValue: true})
		require.NoError(t, err)
		shown, err := f.GetCellValue("Журнал", name)
		require.NoError(t, err)
		kind, err := f.GetCellType("Журнал", name)
		require.NoError(t, err)
		is := "number"
		if kind == excelize.CellTypeSharedString {
			is = "text"
		}
		require.Equal(t, want, [3]string{stored, shown, is}, name)
	}
	panes, err := f.GetPanes("Журнал")
	require.NoError(t, err)
	require.True(t, panes.Freeze)
	require.Equal(t, 1, panes.YSplit)
	width, err := f.GetColWidth("Журнал", "C")
	require.NoError(t, err)
	require.Equal(t, 40.0, width)
	properties, err := f.GetDocProps()
	require.NoError(t, err)
	require.Equal(t, "2026-11-30T00:00:00Z", properties.Created)
	require.Equal(t, "2026-11-30T00:00:00Z", properties.Modified)
}

func TestAWorkbookIsTheSameEveryTime(t *testing.T) {
	second := sample()
	second.Name = "Journal"
	want := workbook(t, sample(), second)
	for range 10 {
		require.Equal(t, want, workbook(t, sample(), second))
	}
	archive, err := zip.NewReader(bytes.NewReader(want), int64(len(want)))
	require.NoError(t, err)
	require.Equal(t, "[Content_Types].xml", archive.File[0].Name)
	var sheets bool
	for _, file := range archive.File {
		require.True(t, file.Modified.Before(time.Date(1980, 1, 2, 0, 0, 0, 0, time.UTC)), "%s has the time %s", file.Name, file.Modified)
		content, err := file.Open()
		require.NoError(t, err)
		text, err := io.ReadAll(content)
		require.NoError(t, err)
		require.NotContains(t, string(text), "<f>", "%s has a formula", file.Name)
		if strings.HasPrefix(file.Name, "xl/worksheets/") {
			sheets = true
			require.Contains(t, string(text), "<autoFilter")
			require.Contains(t, string(text), `numberStoredAsText="true"`)
		}
	}
	require.True(t, sheets)
	// A packet's verifier makes the workbook again, years later: bytes that
	// change with a library are another format of packets.
	digest := sha256.Sum256(want)
	require.Equal(t, "43ca7222de00cda54165cd7d400bd8353fbfb9dd052805c791f42edba1c86ffa", hex.EncodeToString(digest[:]))
}

func TestNothingIsCutOffInSilence(t *testing.T) {
	long := strings.Repeat("я", sheet.MaxCell+1)
	table := sheet.Table{Name: "T", Columns: []sheet.Column{{Title: "t"}}, Rows: [][]sheet.Cell{{sheet.Of(long)}, {sheet.Of(long[:2*sheet.MaxCell])}, {sheet.Of(strings.Repeat("😀", sheet.MaxCell))}}}
	content, err := table.CSV()
	require.NoError(t, err)
	rows := parse(t, content)
	f, err := excelize.OpenReader(bytes.NewReader(workbook(t, table)))
	require.NoError(t, err)
	defer f.Close()
	book, err := f.GetRows("T")
	require.NoError(t, err)
	require.Equal(t, rows, book)
	require.Equal(t, strings.Repeat("я", sheet.MaxCell-len([]rune(sheet.Cut)))+sheet.Cut, rows[1][0])
	require.Equal(t, long[:2*sheet.MaxCell], rows[2][0])
	require.True(t, strings.HasSuffix(rows[3][0], "😀"+sheet.Cut))
}

func TestLibreOfficeReadsWhatWasWritten(t *testing.T) {
	office, err := exec.LookPath("soffice")
	if err != nil || testing.Short() {
		t.Skip("LibreOffice is not installed, or tests are short")
	}
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "book.xlsx"), workbook(t, sample()), 0o600))
	// 59;34;76: cells parted by semicolons, in UTF-8; then all texts in quotation
	// marks, so that what became a number shows.
	command := exec.CommandContext(t.Context(), office, "-env:UserInstallation=file://"+dir+"/profile", "--headless",
		"--convert-to", "csv:Text - txt - csv (StarCalc):59,34,76,1,,0,true,true,false", "--outdir", dir, filepath.Join(dir, "book.xlsx"))
	output, err := command.CombinedOutput()
	require.NoError(t, err, string(output))
	content, err := os.ReadFile(filepath.Join(dir, "book.csv"))
	require.NoError(t, err)
	text := string(content)
	for _, want := range []string{`"20270302000000000017"`, `"001040000017"`, `"0045"`, `"03/04"`, `"=HYPERLINK(""http://example.com"")"`, ";12/01/2026 02:15:30;", ";-100;", `"Договор поставки; «Үміт» & Ко"`} {
		require.Contains(t, text, want)
	}
}
