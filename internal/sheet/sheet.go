// Package sheet writes tables that spreadsheets open right: [Table.CSV] and
// [CSV] as text, [Workbook] as XLSX.
//
// A reader double-clicks the file in an Excel that speaks Russian, and must see
// Cyrillic letters, whole numbers of twenty digits, leading zeros, sums that
// can be added up and days that can be sorted. Nothing that somebody else wrote
// into a title may be computed. So that this holds everywhere, no other package
// writes CSV or XLSX.
//
// # CSV
//
// UTF-8 with a byte order mark, ";" between cells, CRLF between lines. Excel
// takes text for UTF-8 only by the mark, and splits at the list separator of
// the system, which is ";" in Russian and in Kazakh. A first line "sep=;" would
// name it to an Excel of any language; but there are versions that ignore the
// mark when that line is there, and every other program takes it for data.
//
// CSV has no types: a program guesses what a cell is. So each kind of column
// has a form that leaves nothing to guess:
//
//   - Digits is written with a mark and in groups of four: "№ 2027 0302 0000
//     0000 0017", "БИН 010140000017". Bare digits become 2.02703E+19 or lose
//     their zeros. Blanks alone do not help, since a blank parts thousands in
//     Russian. The idiom ="0017" is a formula. An apostrophe or a tab would be
//     seen in every line. With the mark it is plainly text, as people write it.
//   - Sum has two decimals after a comma, and no sign of currency: -100,00.
//   - Moment and Day are 02.01.2006 15:04:05 and 02.01.2006.
//   - Text that a spreadsheet could take for a formula, a number, a day or a
//     logical value has an apostrophe in front: "'=1+1", "'0045", "'1/2". It is
//     seen there, which is the price; such texts are rare, and it is what
//     spreadsheets themselves mark text with. Inside a cell the same is done
//     after a comma, a semicolon or a quotation mark, at which a program with
//     other separators would begin another cell.
//
// A cell is one line: line breaks, tabs and other control characters become
// blanks. Characters that turn the order of reading become U+FFFD, as in reports.
//
// # XLSX
//
// Every text is a string cell, which is never computed, in format "@", which
// keeps it text when somebody edits it. Sums and moments are numbers. The same
// tables give the same bytes, whatever the clock: a packet's verifier makes them
// again. So the archive is packed by a compressor that go.mod pins, as it pins
// the writer of the XML; a test holds the bytes.
package sheet

import (
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// Kind says how the cells of a column are written.
type Kind int

// The kinds of columns. A cell that its kind cannot have, such as a sum of more
// digits than spreadsheets keep, is written as text.
const (
	Text   Kind = iota
	Digits      // digits that name something: a document's number, an IIN
	Sum         // an amount in hundredths
	Count       // a whole number
	Moment      // a moment, shown in [Zone]
	Day         // a day without a time
)

// Zone is Kazakhstan's time, in which moments are written. A column's title
// must say so.
var Zone = time.FixedZone("UTC+5", 5*60*60)

// MaxCell is how many UTF-16 units a cell may have, which is Excel's own bound.
// A longer text ends with [Cut].
const MaxCell = 32_767

// Cut is what a text ends with that was longer than a cell may be.
const Cut = " […]"

// significant is how many digits a spreadsheet keeps of a number.
const significant = 15

// Column is a column of a table.
type Column struct {
	Title string
	Kind  Kind
	// Width is in characters, as spreadsheets count; 0 leaves it to the program.
	Width float64
}

// Cell is the content of a cell. The zero Cell is empty.
type Cell struct {
	// Text is the text, the digits, the amount in hundredths or the count.
	Text string
	// Mark stands before digits in CSV: №, БИН.
	Mark string
	// Time is the moment or the day.
	Time time.Time
}

// Of is a cell with a text, an amount in hundredths or a count.
func Of(text string) Cell { return Cell{Text: text} }

// Named is a cell with digits and the mark before them.
func Named(mark, digits string) Cell { return Cell{Mark: mark, Text: digits} }

// At is a cell with a moment or a day.
func At(t time.Time) Cell { return Cell{Time: t} }

// Table is one table.
type Table struct {
	// Name is the worksheet's, of at most 31 characters.
	Name    string
	Columns []Column
	// Rows have a cell for each column.
	Rows [][]Cell
	// Note is a last line below the rows, such as that there are more; "" for none.
	Note string
}

// plain makes a text one line that every format can hold.
func plain(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case r < ' ', r >= 0x7f && r < 0xa0, r == '\u2028', r == '\u2029':
			return ' '
		case r >= 0xfdd0 && r <= 0xfdef, r&0xfffe == 0xfffe:
			return utf8.RuneError // XML has no such characters
		case r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
			return utf8.RuneError // they turn the order in which a line is read
		}
		return r
	}, strings.ReplaceAll(strings.ToValidUTF8(text, "\ufffd"), "\r\n", "\n"))
	return cut(text)
}

// cut shortens a text to what a cell holds.
func cut(text string) string {
	if len(text) <= MaxCell { // bytes are no fewer than units
		return text
	}
	units, room := 0, MaxCell-len(utf16.Encode([]rune(Cut)))
	end := -1
	for i, r := range text {
		if end < 0 && units+utf16.RuneLen(r) > room {
			end = i
		}
		if units += utf16.RuneLen(r); units > MaxCell {
			return text[:end] + Cut
		}
	}
	return text
}

// amount is the decimal of an amount in hundredths, with the given mark; false
// for what is none, or has more digits than a spreadsheet keeps.
func amount(minor, point string) (string, bool) {
	digits, negative := strings.CutPrefix(minor, "-")
	if digits == "" || !number(digits) {
		return "", false
	}
	digits = strings.TrimLeft(digits, "0")
	if len(digits) > significant {
		return "", false
	}
	for len(digits) < 3 {
		digits = "0" + digits
	}
	text := digits[:len(digits)-2] + point + digits[len(digits)-2:]
	if negative && strings.Trim(digits, "0") != "" {
		text = "-" + text
	}
	return text, true
}

// count is a whole number that a spreadsheet keeps.
func count(text string) bool { return text != "" && len(text) <= significant && number(text) }

// number says that a text has only digits.
func number(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r < '0' || r > '9' })
}

// dated says that spreadsheets know the day: their calendar begins in 1900.
func dated(t time.Time) bool {
	year := t.In(Zone).Year()
	return year > 1900 && year < 10_000
}
