package papercopy

import (
	"bytes"
	"fmt"
	"strings"

	"codeberg.org/go-pdf/fpdf"
	"github.com/go-fonts/dejavu/dejavusanscondensed"
	"github.com/go-fonts/dejavu/dejavusanscondensedbold"
	"github.com/go-fonts/dejavu/dejavusansmono"

	"dalel/internal/fault"
)

// Millimetres, and sizes of type in points.
const (
	paperWidth  = 210.0
	paperHeight = 297.0
	point       = 25.4 / 72 // millimetres

	edge       = 8.0  // around a reproduced page
	bodyEdge   = 16.0 // around the package's own text
	markTop    = 6.0
	frameTop   = 13.0
	bodyTop    = 18.0
	footerGap  = 2.5
	bottomEdge = 6.0

	smallModule, smallCode = 0.36, 16.0
	largeModule, largeCode = 0.5, 38.0

	textSize, textHeight = 8.4, 4.0
)

// sheet is a copy being laid out.
type sheet struct {
	Copy
	words
	pdf   *fpdf.Fpdf
	code  code
	shown []shown
	// total is how many sheets there are, as far as known; count how many
	// have been begun.
	total, count int
	// width and height are those of the sheet being set, side its margin.
	width, height, side float64
	// first has the sheet on which each file begins, last where it ends.
	first, last []int
	// placed has the names under which sheets draw the writer's objects.
	placed   map[string]object
	names    map[object]string
	faces    map[string]*glyphs
	face     string
	scaled   bool
	replaced bool
}

// layOut sets everything; total is printed as the number of sheets.
func layOut(c Copy, w words, files []shown, total int) (*sheet, error) {
	encoded, err := encode(c.CheckURL)
	if err != nil {
		return nil, err
	}
	s := &sheet{
		Copy: c, words: w, code: encoded, shown: files, total: total, pdf: fpdf.New("P", "mm", "A4", ""),
		first: make([]int, len(files)), last: make([]int, len(files)),
		placed: map[string]object{}, names: map[object]string{}, faces: map[string]*glyphs{},
	}
	issued := c.IssuedAt.UTC()
	s.pdf.SetCatalogSort(true)
	s.pdf.SetCreationDate(issued)
	s.pdf.SetModificationDate(issued)
	s.pdf.SetProducer("Dalel", false)
	s.pdf.SetLang(c.Language + "-KZ")
	s.pdf.SetAutoPageBreak(false, 0)
	s.pdf.SetMargins(0, 0, 0)
	s.pdf.SetCellMargin(0)
	for _, face := range []struct {
		family, style string
		ttf           []byte
	}{{"sans", "", dejavusanscondensed.TTF}, {"sans", "B", dejavusanscondensedbold.TTF}, {"mono", "", dejavusansmono.TTF}} {
		// fpdf renumbers glyphs in the very bytes it is given: shared bytes
		// would make the second copy another than the first.
		s.pdf.AddUTF8FontFromBytes(face.family, face.style, bytes.Clone(face.ttf))
		if s.faces[face.family+face.style], err = newGlyphs(face.ttf); err != nil {
			return nil, fault.Wrap(fault.Internal, err, "read the font")
		}
	}
	s.font("sans", "", 9)
	s.pdf.SetTitle(s.clean(s.say("mark")+": "+c.Title), true)
	for i := range files {
		s.file(i)
	}
	s.details()
	if err := s.pdf.Error(); err != nil {
		return nil, fmt.Errorf("lay out the copy for paper: %w", err)
	}
	return s, nil
}

func (s *sheet) font(family, style string, size float64) {
	s.face = family + style
	s.pdf.SetFont(family, style, size)
}

// clean makes text printable in the present font.
func (s *sheet) clean(text string) string {
	cleaned, replaced := s.faces[s.face].clean(text)
	s.replaced = s.replaced || replaced
	return cleaned
}

func (s *sheet) gray(level int) { s.pdf.SetTextColor(level, level, level) }

// cell sets one line that is already clean.
func (s *sheet) cell(x, y, width, height float64, text, align string) {
	s.pdf.SetXY(x, y)
	s.pdf.CellFormat(width, height, text, "", 0, align+"M", false, 0, "")
}

// fit cleans text and cuts it, with an ellipsis, to what a line has room for.
func (s *sheet) fit(text string, width float64) string {
	text = s.clean(text)
	if s.pdf.GetStringWidth(text) <= width {
		return text
	}
	runes := []rune(text)
	room, used := width-s.pdf.GetStringWidth("…"), 0.0
	for i, r := range runes {
		if used += s.pdf.GetStringWidth(string(r)); used > room {
			return string(runes[:i]) + "…"
		}
	}
	return text
}

// wrap cleans text and breaks it into lines: at spaces, and within a word that
// is wider than a line.
func (s *sheet) wrap(text string, width float64) []string {
	var lines []string
	var line []rune
	used, space := 0.0, s.pdf.GetStringWidth(" ")
	next := func() {
		lines = append(lines, string(line))
		line, used = line[:0], 0
	}
	for _, word := range strings.Split(s.clean(text), " ") {
		if word == "" {
			continue
		}
		wide := s.pdf.GetStringWidth(word)
		if len(line) > 0 {
			if used+space+wide > width {
				next()
			} else {
				line, used = append(line, ' '), used+space
			}
		}
		if wide <= width {
			line, used = append(line, []rune(word)...), used+wide
			continue
		}
		for _, r := range word {
			wide := s.pdf.GetStringWidth(string(r))
			if used+wide > width && len(line) > 0 {
				next()
			}
			line, used = append(line, r), used+wide
		}
	}
	if len(line) > 0 || len(lines) == 0 {
		next()
	}
	return lines
}

func (s *sheet) rule(y float64) {
	s.pdf.SetDrawColor(150, 150, 150)
	s.pdf.SetLineWidth(0.15)
	s.pdf.Line(s.side, y, s.width-s.side, y)
}

// footer is how high the bottom of a sheet is, the QR code included.
func (s *sheet) footer() float64 {
	return max(smallCode, smallModule*float64(s.code.modules())) + bottomEdge
}

// bottom is where the room for content ends.
func (s *sheet) bottom() float64 { return s.height - s.footer() - footerGap }

// begin starts a sheet, draws under the mark what before draws, and sets the
// mark: above and below, upright, and always of the same size.
func (s *sheet) begin(width, height, side float64, about string, before func()) {
	s.count++
	s.width, s.height, s.side = width, height, side
	s.pdf.AddPageFormat("P", fpdf.SizeType{Wd: width, Ht: height})
	if before != nil {
		before()
	}
	inner := width - 2*side
	s.gray(0)
	s.font("sans", "B", 9)
	mark := s.say("mark")
	s.cell(side, markTop, inner, 4, mark, "L")
	after := s.pdf.GetStringWidth(mark) + 3
	s.font("sans", "", 9)
	sheets := s.say("sheet", "n", s.count, "total", s.total)
	s.cell(side, markTop, inner, 4, sheets, "R")
	number := s.say("number.sign", "number", fours(s.Number))
	if s.Number == "" {
		number = s.say("id.sign", "id", s.DocumentID)
	}
	s.cell(side+after, markTop, 0, 4, s.fit(number, inner-after-3-s.pdf.GetStringWidth(sheets)), "L")
	s.rule(markTop + 5)

	top := height - s.footer()
	s.rule(top - footerGap/2)
	square := s.footer() - bottomEdge
	s.drawCode(width-side-square, top, square)
	s.font("sans", "", 7.5)
	s.gray(40)
	room := inner - square - 4
	for i, line := range []string{about, s.say("footer.check", "url", s.CheckURL),
		s.say("footer.original", "n", s.CopyNumber, "date", s.date())} {
		if i == 1 {
			for j, part := range s.wrap(line, room) {
				if j > 0 {
					top += 3.6
				}
				s.cell(side, top+0.6+3.9*float64(i), room, 3.6, part, "L")
			}
			continue
		}
		s.cell(side, top+0.6+3.9*float64(i), room, 3.6, s.fit(line, room), "L")
	}
	s.gray(0)
}

func (s *sheet) date() string { return s.day(s.IssuedAt) }

// drawCode draws the QR code with its upper left corner at x, y.
func (s *sheet) drawCode(x, y, side float64) {
	s.pdf.RawWriteStr(s.code.path(x/point, (s.height-y-side)/point, side/point))
}

// file sets the pages of a file.
func (s *sheet) file(i int) {
	file := s.shown[i]
	s.first[i] = s.count + 1
	about := func(n, pages int) string {
		// The name comes last: it alone may be cut.
		return s.say("footer.page", "file", i+1, "files", len(s.shown), "n", n, "pages", pages, "name", s.short(s.Files[i].Name))
	}
	for n, p := range file.pages {
		s.reproduce(p, about(n+1, len(file.pages)))
	}
	for n, lines := range file.text {
		s.begin(paperWidth, paperHeight, bodyEdge, about(n+1, len(file.text)), nil)
		s.font("mono", "", textSize)
		for row, line := range lines {
			s.cell(s.side, bodyTop-2+textHeight*float64(row), 0, textHeight, s.clean(line), "L")
		}
		if file.rest && n == len(file.text)-1 {
			s.font("sans", "B", 8.5)
			s.cell(s.side, s.bottom()-4.5, 0, 4, s.say("text.rest"), "L")
		}
	}
	s.last[i] = s.count
}

// short keeps the beginning and the end of a long name, where its kind stands.
func (s *sheet) short(name string) string {
	const most = 60
	runes := []rune(name)
	if len(runes) <= most {
		return name
	}
	return string(runes[:most-16]) + "…" + string(runes[len(runes)-15:])
}

// reproduce sets a page on a sheet that is A4, or larger where the page is.
func (s *sheet) reproduce(p page, about string) {
	width, height := paperWidth, paperHeight
	if p.width > p.height {
		width, height = height, width
	}
	// A page just over A4 is one that was cut badly.
	const limit = 1.02
	if !p.pixels && (p.width*point > width*limit || p.height*point > height*limit) {
		width, height = max(width, p.width*point), max(height, p.height*point)
	}
	s.begin(width, height, edge, about, func() {
		roomX, roomY := width-2*edge, s.bottom()-frameTop
		scale := min(1, roomX/(p.width*point), roomY/(p.height*point))
		s.scaled = s.scaled || scale < 1
		x, y := (width-p.width*point*scale)/2, frameTop+(roomY-p.height*point*scale)/2
		at := p.upright.then(matrix{scale, 0, 0, scale, x / point, (height-y)/point - p.height*scale})
		var out strings.Builder
		// Content finds the state that it would find on a page of its own.
		fmt.Fprintf(&out, "q 0 J 0 j 1 w 10 M [] 0 d 0 g 0 G\n%s cm\n", numbers(at[:]...))
		fmt.Fprintf(&out, "%s re W n\n", numbers(p.box[0], p.box[1], p.box[2]-p.box[0], p.box[3]-p.box[1]))
		for _, d := range p.draws {
			fmt.Fprintf(&out, "q %s cm /%s Do Q\n", numbers(d.at[:]...), s.name(d.object))
		}
		out.WriteString("Q\n")
		s.pdf.RawWriteStr(out.String())
		s.pdf.SetDrawColor(190, 190, 190)
		s.pdf.SetLineWidth(0.1)
		s.pdf.Rect(x, y, p.width*point*scale, p.height*point*scale, "D")
	})
}

func (s *sheet) name(o object) string {
	name, ok := s.names[o]
	if !ok {
		name = fmt.Sprintf("Content%d", o)
		s.names[o], s.placed[name] = name, o
	}
	return name
}

func numbers(all ...float64) string {
	texts := make([]string, len(all))
	for i, n := range all {
		texts[i] = fmt.Sprintf("%.5f", n)
	}
	return strings.Join(texts, " ")
}

// fours sets digits in groups of four, with spaces that do not break.
func fours(digits string) string { return grouped(digits, 4, "\u00a0") }

func grouped(text string, size int, between string) string {
	var out strings.Builder
	for i, r := range []rune(text) {
		if i > 0 && i%size == 0 {
			out.WriteString(between)
		}
		out.WriteRune(r)
	}
	return out.String()
}
