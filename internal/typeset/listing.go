package typeset

import (
	"bytes"
	"fmt"
	"strings"
	"time"
	"unicode"

	"codeberg.org/go-pdf/fpdf"
	"github.com/go-fonts/dejavu/dejavusanscondensed"
	"github.com/go-fonts/dejavu/dejavusanscondensedbold"
)

// ListingData is a long table for reading and printing.
type ListingData struct {
	Title string
	// Language is the PDF's: "ru-KZ".
	Language string
	// At is the PDF's time of creation.
	At time.Time
	// Facts stand above the table: labels and values.
	Facts   [][2]string
	Columns []ListingColumn
	Rows    [][]string
	// Empty stands in place of rows where there are none, Note below them.
	Empty, Note string
	// Page is the foot of a page, with {n} and {total} to be filled in.
	Page string
}

// ListingColumn is a column. Widths are shares of the page's.
type ListingColumn struct {
	Title string
	Width float64
	// Right sets its cells to the right, as sums are.
	Right bool
}

// A4 across, in millimetres.
const (
	acrossWidth, acrossHeight = 297.0, 210.0
	acrossMargin              = 12.0
	acrossTop, acrossBottom   = 18.0, 14.0
	acrossInner               = acrossWidth - 2*acrossMargin
	cellPad                   = 1.0
	cellLine                  = 3.5
)

// Listing sets a table as a PDF on A4 across, its heading repeated on every
// page. Characters that the font cannot have become U+FFFD.
func Listing(data ListingData) ([]byte, error) {
	pdf := fpdf.New("L", "mm", "A4", "")
	l := &listing{pdf: pdf, data: data}
	pdf.SetCatalogSort(true)
	pdf.SetCreationDate(data.At.UTC())
	pdf.SetModificationDate(data.At.UTC())
	pdf.SetProducer("Dalel", false)
	pdf.SetTitle(printable(data.Title), true)
	pdf.SetLang(data.Language)
	// fpdf renumbers glyphs in the very bytes it is given.
	pdf.AddUTF8FontFromBytes("sans", "", bytes.Clone(dejavusanscondensed.TTF))
	pdf.AddUTF8FontFromBytes("sans", "B", bytes.Clone(dejavusanscondensedbold.TTF))
	pdf.SetMargins(acrossMargin, acrossTop, acrossMargin)
	pdf.SetAutoPageBreak(false, 0)
	pdf.SetCellMargin(0)
	pdf.AliasNbPages("{pages}")
	pdf.SetFooterFunc(l.footer)
	pdf.AddPage()
	l.head()
	l.heading()
	for _, row := range data.Rows {
		l.row(row)
	}
	if len(data.Rows) == 0 {
		l.paragraph(data.Empty)
	}
	l.paragraph(data.Note)
	var out bytes.Buffer
	if err := pdf.Output(&out); err != nil {
		return nil, fmt.Errorf("typeset a listing: %w", err)
	}
	return out.Bytes(), nil
}

type listing struct {
	pdf  *fpdf.Fpdf
	data ListingData
}

// printable is a text in one line with what fpdf can print.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r), r == '\u2028', r == '\u2029':
			return ' '
		case r > 0xffff, unicode.Is(unicode.Cf, r) && r != '\u00ad':
			return '\ufffd'
		}
		return r
	}, strings.ToValidUTF8(text, "\ufffd"))
}

func (l *listing) font(style string, size float64) { l.pdf.SetFont("sans", style, size) }

func (l *listing) line(x, y, width float64, text, align string) {
	l.pdf.SetXY(x, y)
	l.pdf.CellFormat(width, cellLine, text, "", 0, align+"M", false, 0, "")
}

func (l *listing) wrap(text string, width float64) []string {
	if text = printable(text); text == "" {
		return nil
	}
	return l.pdf.SplitText(text, width)
}

func (l *listing) footer() {
	l.font("", 7)
	l.pdf.SetTextColor(100, 100, 100)
	page := strings.NewReplacer("{n}", fmt.Sprint(l.pdf.PageNo()), "{total}", "{pages}").Replace(printable(l.data.Page))
	// On the left: the sign that stands for the number is wider than it.
	l.line(acrossMargin, acrossHeight-9, acrossInner, page, "L")
	l.pdf.SetTextColor(20, 20, 20)
}

// head sets title and facts on the first page.
func (l *listing) head() {
	const label = 48.0
	y := 10.0
	l.pdf.SetTextColor(20, 20, 20)
	l.font("B", 13)
	for _, line := range l.wrap(l.data.Title, acrossInner) {
		l.line(acrossMargin, y, acrossInner, line, "L")
		y += 6
	}
	y += 1.5
	for _, fact := range l.data.Facts {
		if fact[1] == "" {
			continue
		}
		l.font("", 8)
		l.pdf.SetTextColor(95, 95, 95)
		l.line(acrossMargin, y, label, printable(fact[0]), "L")
		l.pdf.SetTextColor(20, 20, 20)
		for _, line := range l.wrap(fact[1], acrossInner-label) {
			l.line(acrossMargin+label, y, acrossInner-label, line, "L")
			y += 4.2
		}
	}
	l.pdf.SetY(y + 2)
}

// page begins one, with the title and the heading of the table on top.
func (l *listing) page() {
	l.pdf.AddPage()
	l.font("", 7)
	l.pdf.SetTextColor(100, 100, 100)
	lines := l.wrap(l.data.Title, acrossInner)
	if len(lines) > 0 {
		l.line(acrossMargin, 9, acrossInner, lines[0], "L")
	}
	l.pdf.SetTextColor(20, 20, 20)
	l.pdf.SetY(14)
	l.heading()
}

func (l *listing) width(column int) float64 {
	total := 0.0
	for _, c := range l.data.Columns {
		total += c.Width
	}
	return acrossInner * l.data.Columns[column].Width / total
}

func (l *listing) heading() {
	l.font("B", 7)
	cells := make([][]string, len(l.data.Columns))
	tall := 1
	for i, c := range l.data.Columns {
		cells[i] = l.wrap(c.Title, l.width(i)-2*cellPad)
		tall = max(tall, len(cells[i]))
	}
	l.pdf.SetFillColor(236, 238, 241)
	l.pdf.Rect(acrossMargin, l.pdf.GetY(), acrossInner, float64(tall)*cellLine+2*cellPad, "F")
	l.set(cells, tall)
}

// row sets a row. It stays on one page unless it is higher than one.
func (l *listing) row(row []string) {
	l.font("", 7)
	cells := make([][]string, len(l.data.Columns))
	tall := 1
	for i := range l.data.Columns {
		if i < len(row) {
			cells[i] = l.wrap(row[i], l.width(i)-2*cellPad)
			tall = max(tall, len(cells[i]))
		}
	}
	const page = acrossHeight - acrossBottom - 30
	for tall > 0 {
		room := int((acrossHeight - acrossBottom - l.pdf.GetY() - 2*cellPad) / cellLine)
		if room < tall && (float64(tall)*cellLine < page || room < 5) {
			l.page()
			l.font("", 7)
			room = int((acrossHeight - acrossBottom - l.pdf.GetY() - 2*cellPad) / cellLine)
		}
		n := min(tall, room)
		l.set(cells, n)
		for i := range cells {
			cells[i] = cells[i][min(n, len(cells[i])):]
		}
		tall -= n
	}
}

// set sets up to n lines of cells, and a rule below.
func (l *listing) set(cells [][]string, n int) {
	x, y := acrossMargin, l.pdf.GetY()
	for i, lines := range cells {
		align := "L"
		if l.data.Columns[i].Right {
			align = "R"
		}
		for j, line := range lines[:min(n, len(lines))] {
			l.line(x+cellPad, y+cellPad+cellLine*float64(j), l.width(i)-2*cellPad, line, align)
		}
		x += l.width(i)
	}
	y += cellLine*float64(n) + 2*cellPad
	l.pdf.SetDrawColor(190, 192, 198)
	l.pdf.SetLineWidth(0.12)
	l.pdf.Line(acrossMargin, y, acrossWidth-acrossMargin, y)
	l.pdf.SetY(y)
}

func (l *listing) paragraph(text string) {
	l.font("B", 8)
	for i, line := range l.wrap(text, acrossInner) {
		if l.pdf.GetY()+8 > acrossHeight-acrossBottom {
			l.page()
			l.font("B", 8)
		}
		if i == 0 {
			l.pdf.SetY(l.pdf.GetY() + 2)
		}
		y := l.pdf.GetY()
		l.line(acrossMargin, y, acrossInner, line, "L")
		l.pdf.SetY(y + 4.2)
	}
}
