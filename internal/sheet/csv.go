package sheet

import (
	"bytes"
	"encoding/csv"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const byteOrderMark = "\ufeff"

// Layouts of moments in CSV, as Russian writes them.
const (
	layoutMoment = "02.01.2006 15:04:05"
	layoutDay    = "02.01.2006"
)

// MediaType is that of CSV.
const MediaType = "text/csv; charset=utf-8; header=present"

// CSV writes one table line by line.
type CSV struct {
	columns []Column
	lines   *csv.Writer
}

// NewCSV begins a table with its heading. Nothing reaches w for certain before
// Flush.
func NewCSV(w io.Writer, columns []Column) (*CSV, error) {
	if _, err := io.WriteString(w, byteOrderMark); err != nil {
		return nil, err
	}
	c := &CSV{columns: columns, lines: csv.NewWriter(w)}
	c.lines.Comma, c.lines.UseCRLF = ';', true
	titles := make([]string, len(columns))
	for i, column := range columns {
		titles[i] = defused(plain(column.Title))
	}
	return c, c.lines.Write(titles)
}

// Write writes a row.
func (c *CSV) Write(row []Cell) error {
	cells := make([]string, len(c.columns))
	for i, column := range c.columns {
		if i < len(row) {
			cells[i] = written(column.Kind, row[i])
		}
	}
	return c.lines.Write(cells)
}

// Note writes a line that is no row.
func (c *CSV) Note(text string) error {
	cells := make([]string, len(c.columns))
	cells[0] = defused(plain(text))
	return c.lines.Write(cells)
}

// Flush passes on what was written. Errors are those of the writer.
func (c *CSV) Flush() error {
	c.lines.Flush()
	return c.lines.Error()
}

// CSV is the table as text.
func (t Table) CSV() ([]byte, error) {
	var out bytes.Buffer
	c, err := NewCSV(&out, t.Columns)
	if err != nil {
		return nil, err
	}
	for _, row := range t.Rows {
		if err := c.Write(row); err != nil {
			return nil, err
		}
	}
	if t.Note != "" {
		if err := c.Note(t.Note); err != nil {
			return nil, err
		}
	}
	err = c.Flush()
	return out.Bytes(), err
}

// written is a cell as CSV has it.
func written(kind Kind, c Cell) string {
	switch kind {
	case Sum:
		if text, ok := amount(c.Text, ","); ok {
			return text
		}
	case Count:
		if count(c.Text) {
			return c.Text
		}
	case Moment, Day:
		layout := layoutMoment
		if kind == Day {
			layout = layoutDay
		}
		if c.Time.IsZero() {
			return defused(plain(c.Text))
		}
		if dated(c.Time) {
			return c.Time.In(Zone).Format(layout)
		}
		return defused(c.Time.UTC().Format(time.RFC3339))
	case Digits:
		text := plain(c.Text)
		if text != "" && number(text) && len(text)%4 == 0 && len(text) > 12 {
			text = fours(text)
		}
		if text != "" && c.Mark != "" {
			text = c.Mark + " " + text
		}
		return defused(text)
	}
	return defused(plain(c.Text))
}

func fours(digits string) string {
	var b strings.Builder
	for i, r := range digits {
		if i > 0 && i%4 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// formula has the characters that begin a formula in some spreadsheet, with
// their wide, small, raised and lowered forms, which some take for the same.
const formula = "=+-@|%" + "＝＋－＠｜％" + "﹦﹢﹣﹫﹪" + "⁼⁺⁻" + "₌₊₋" + "−"

// defused returns a text that no spreadsheet takes for anything but text.
func defused(text string) string {
	if strings.ContainsFunc(first(text), func(r rune) bool { return strings.ContainsRune(formula, r) }) || guessed(text) {
		return "'" + inside(text, false)
	}
	return inside(text, true)
}

// first is the first character of a text that a program does not pass over.
func first(text string) string {
	text = strings.TrimLeftFunc(text, skipped)
	_, size := utf8.DecodeRuneInString(text)
	return text[:size]
}

// inside marks what could begin a formula in the middle of a text, for a program
// with other separators.
func inside(text string, begins bool) string {
	var b strings.Builder
	for _, r := range text {
		if begins && strings.ContainsRune(formula, r) {
			b.WriteByte('\'')
		}
		switch {
		case r == ',', r == ';', r == '"':
			begins = true
		case !skipped(r):
			begins = false
		}
		b.WriteRune(r)
	}
	return b.String()
}

// skipped says that a program may pass over a character in search of a cell's
// first.
func skipped(r rune) bool { return unicode.Is(invisible, r) }

// invisible has the characters that are controls, blanks or have no form of
// their own. The list is not the standard library's: a new version of Unicode
// must not change what was written.
var invisible = &unicode.RangeTable{
	R16: []unicode.Range16{
		{0x0000, 0x0020, 1}, {0x007f, 0x00a0, 1}, {0x00ad, 0x00ad, 1}, {0x034f, 0x034f, 1}, {0x0600, 0x0605, 1}, {0x061c, 0x061c, 1}, {0x06dd, 0x06dd, 1},
		{0x070f, 0x070f, 1}, {0x0890, 0x0891, 1}, {0x08e2, 0x08e2, 1}, {0x115f, 0x1160, 1}, {0x1680, 0x1680, 1}, {0x17b4, 0x17b5, 1}, {0x180b, 0x180f, 1},
		{0x2000, 0x200f, 1}, {0x2028, 0x202f, 1}, {0x205f, 0x206f, 1}, {0x2800, 0x2800, 1}, {0x3000, 0x3000, 1}, {0x3164, 0x3164, 1}, {0xfe00, 0xfe0f, 1},
		{0xfeff, 0xfeff, 1}, {0xffa0, 0xffa0, 1}, {0xfff0, 0xfffb, 1},
	},
	R32: []unicode.Range32{
		{0x110bd, 0x110bd, 1}, {0x110cd, 0x110cd, 1}, {0x13430, 0x1343f, 1}, {0x1bca0, 0x1bca3, 1}, {0x1d173, 0x1d17a, 1}, {0xe0000, 0xe0fff, 1},
	},
	LatinOffset: 3,
}

// digit knows the wide forms too, which some programs read as numbers.
func digit(r rune) bool { return r >= '0' && r <= '9' || r >= '０' && r <= '９' }

// guessed says that a spreadsheet could take a text for a number, a day, a time
// or a logical value: it has digits and, besides, only signs of such values,
// names of months and the like.
func guessed(text string) bool {
	lower := strings.ToLower(strings.TrimFunc(text, skipped))
	if lower == "true" || lower == "false" || lower == "истина" || lower == "ложь" {
		return true
	}
	digits := false
	words := strings.FieldsFunc(lower, func(r rune) bool {
		digits = digits || digit(r)
		return digit(r) || skipped(r) || strings.ContainsRune(`.,:/\-+–−()%'$¢£¤¥`, r) || r >= 0x20a0 && r <= 0x20cf
	})
	if !digits {
		return false
	}
	for _, word := range words {
		if !calendar(word) {
			return false
		}
	}
	return true
}

// months are beginnings of the names of months, in Russian, Kazakh and English.
var months = strings.Fields(`янв фев мар апр ма июн июл авг сен окт ноя дек
	қаң ақп нау сәу мам мау шіл там қыр қаз қар жел
	jan feb mar apr may jun jul aug sep oct nov dec`)

// calendar says that a word may stand in a number or a day.
func calendar(word string) bool {
	switch word {
	case "e", "d", "е", "г", "ж", "am", "pm", "a", "p", "р", "руб", "тг":
		return true
	}
	for _, month := range months {
		if strings.HasPrefix(word, month) && len([]rune(word)) <= 9 {
			return true
		}
	}
	return false
}
