package report

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"codeberg.org/go-pdf/fpdf"
)

// PDF is the report as a file with its fonts inside.
func (d Document) PDF() ([]byte, error) {
	parts, err := d.parts()
	if err != nil {
		return nil, err
	}
	about := d.ID
	if d.Number != "" {
		about = "№ " + fours(d.Number)
	}
	return pdf(parts, d.At, about)
}

// PDF is the overview as a file with its fonts inside.
func (o Overview) PDF() ([]byte, error) {
	parts, err := o.parts()
	if err != nil {
		return nil, err
	}
	return pdf(parts, o.At, o.Ledger)
}

// Millimetres on A4, and sizes of type in points.
const (
	paperWidth, paperHeight = 210.0, 297.0
	leftEdge, rightEdge     = 18.0, 15.0
	topEdge, bottomEdge     = 20.0, 20.0
	inner                   = paperWidth - leftEdge - rightEdge
	labelWidth              = 42.0
	indent                  = 4.5

	textSize, textHeight = 9.0, 4.4
	monoSize             = 7.6
	labelSize            = 8.2
)

// sheet is a report being set.
type sheet struct {
	pdf *fpdf.Fpdf
	// known has the characters of each face.
	known map[string]map[rune]bool
	face  string
	part  part
	about string
	// replaced says that a character could not be printed.
	replaced bool
}

// pdf sets parts one after the other, each beginning a page.
func pdf(parts []part, at time.Time, about string) ([]byte, error) {
	s := &sheet{pdf: fpdf.New("P", "mm", "A4", ""), known: map[string]map[rune]bool{}, about: about}
	s.pdf.SetCatalogSort(true)
	s.pdf.SetCreationDate(at.UTC())
	s.pdf.SetModificationDate(at.UTC())
	s.pdf.SetProducer("Dalel", false)
	s.pdf.SetLang(parts[0].language + "-KZ")
	// Streams are compressed by settled, whose result no version of Go changes.
	s.pdf.SetCompression(false)
	s.pdf.SetAutoPageBreak(false, 0)
	s.pdf.SetMargins(leftEdge, topEdge, rightEdge)
	s.pdf.SetCellMargin(0)
	s.pdf.AliasNbPages("{pages}")
	fonts, err := faces()
	if err != nil {
		return nil, err
	}
	for _, f := range fonts {
		s.pdf.AddUTF8FontFromBytes(f.family, f.style, bytes.Clone(f.ttf))
		s.known[f.family+f.style] = f.known
	}
	s.font("sans", "", textSize)
	s.pdf.SetTitle(s.clean(parts[0].title), true)
	s.pdf.SetFooterFunc(s.footer)
	for _, p := range parts {
		s.set(p)
	}
	var out bytes.Buffer
	if err := s.pdf.Output(&out); err != nil {
		return nil, fmt.Errorf("set the report: %w", err)
	}
	return settled(out.Bytes())
}

func (s *sheet) font(family, style string, size float64) {
	s.face = family + style
	s.pdf.SetFont(family, style, size)
}

func (s *sheet) gray(level int) { s.pdf.SetTextColor(level, level, level) }

// colour sets the colour of a tone.
func (s *sheet) colour(t tone) {
	switch t {
	case good:
		s.pdf.SetTextColor(29, 107, 63)
	case bad:
		s.pdf.SetTextColor(163, 32, 29)
	case open:
		s.pdf.SetTextColor(138, 90, 0)
	case quiet:
		s.gray(80)
	default:
		s.gray(20)
	}
}

// clean makes text printable in the present font, in one line.
func (s *sheet) clean(text string) string {
	return strings.Map(func(r rune) rune {
		if !s.known[s.face][r] {
			s.replaced = true
			return missing
		}
		return r
	}, oneLine(text))
}

// wrap breaks text into lines: at blanks, and within a word that is wider than
// a line.
func (s *sheet) wrap(text string, width float64) []string {
	var lines []string
	var line []rune
	used, space := 0.0, s.pdf.GetStringWidth(" ")
	next := func() {
		lines = append(lines, string(line))
		line, used = line[:0], 0
	}
	for word := range strings.SplitSeq(s.clean(text), " ") {
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

// cell sets one line that is already clean.
func (s *sheet) cell(x, y, width, height float64, text, align string) {
	s.pdf.SetXY(x, y)
	s.pdf.CellFormat(width, height, text, "", 0, align+"M", false, 0, "")
}

func (s *sheet) bottom() float64 { return paperHeight - bottomEdge }

func (s *sheet) y() float64 { return s.pdf.GetY() }

func (s *sheet) down(by float64) { s.pdf.SetY(s.pdf.GetY() + by) }

// page begins one, with the report's name on top.
func (s *sheet) page() {
	s.pdf.AddPage()
	s.font("sans", "", 7.5)
	s.gray(110)
	s.cell(leftEdge, 9, inner, 4, s.fit(s.part.title, inner*0.6), "L")
	s.cell(leftEdge, 9, inner, 4, s.fit(s.about, inner*0.38), "R")
	s.rule(14)
	s.gray(20)
	s.pdf.SetXY(leftEdge, topEdge)
}

func (s *sheet) footer() {
	s.font("sans", "", 7.5)
	s.gray(110)
	s.rule(paperHeight - 14)
	// On the left: the sign that stands for the number is wider than it.
	s.cell(leftEdge, paperHeight-12.5, inner, 4, s.part.say("page", "n", s.pdf.PageNo(), "total", "{pages}"), "L")
	s.gray(20)
}

func (s *sheet) rule(y float64) {
	s.pdf.SetDrawColor(175, 178, 185)
	s.pdf.SetLineWidth(0.15)
	s.pdf.Line(leftEdge, y, paperWidth-rightEdge, y)
}

// fit cuts text, with an ellipsis, to what a line has room for.
func (s *sheet) fit(text string, width float64) string {
	text = s.clean(text)
	if s.pdf.GetStringWidth(text) <= width {
		return text
	}
	runes := []rune(text)
	for len(runes) > 0 && s.pdf.GetStringWidth(string(runes)+"…") > width {
		runes = runes[:len(runes)-1]
	}
	return string(runes) + "…"
}

// room begins a page unless height fits on this one.
func (s *sheet) room(height float64) {
	if s.y()+height > s.bottom() {
		s.page()
	}
}

// set sets one language's part.
func (s *sheet) set(p part) {
	s.part = p
	s.replaced = false
	s.page()
	s.pdf.Bookmark(s.clean(p.say("language")+". "+p.title), 0, 0)
	s.font("sans", "B", 15)
	for _, line := range s.wrap(p.title, inner) {
		s.cell(leftEdge, s.y(), inner, 7.5, line, "L")
		s.down(7.5)
	}
	s.down(1)
	s.text(p.lead, quiet)
	for _, one := range p.sections {
		s.section(one)
	}
	if s.replaced {
		s.down(2)
		s.text(p.say("report.replaced"), quiet)
	}
}

func (s *sheet) section(one section) {
	s.down(4)
	s.room(28) // a heading stays with what follows
	y := s.y()
	s.pdf.Bookmark(s.clean(one.title), 1, y)
	s.font("sans", "B", 11.5)
	s.gray(20)
	s.cell(leftEdge, y, inner, 6, s.clean(one.title), "L")
	s.rule(y + 6.6)
	s.pdf.SetY(y + 8.6)
	for _, b := range one.blocks {
		switch {
		case b.card != nil:
			s.card(*b.card)
		case b.facts != nil:
			s.facts(leftEdge, inner, b.facts)
			s.down(1.5)
		case b.code != nil:
			s.code(b.code)
		case b.table != nil:
			s.table(*b.table)
		default:
			s.text(b.text, b.tone)
		}
	}
}

func (s *sheet) text(text string, t tone) {
	style := ""
	if t == bad {
		style = "B"
	}
	s.font("sans", style, textSize)
	lines := s.wrap(text, inner)
	s.room(textHeight * float64(min(3, len(lines))))
	for _, line := range lines {
		s.room(textHeight)
		s.font("sans", style, textSize)
		s.colour(t)
		s.cell(leftEdge, s.y(), inner, textHeight, line, "L")
		s.down(textHeight)
	}
	s.gray(20)
	s.down(1.6)
}

func (s *sheet) code(commands []string) {
	for _, command := range commands {
		s.font("mono", "", monoSize)
		lines := s.wrap(command, inner-6)
		for i, line := range lines {
			s.room(4)
			s.font("mono", "", monoSize)
			s.pdf.SetFillColor(243, 244, 247)
			y := s.y()
			s.pdf.Rect(leftEdge, y, inner, 4.05, "F")
			x := leftEdge + 2
			if i > 0 {
				x += 2
			}
			s.cell(x, y, inner-4, 4, line, "L")
			s.pdf.SetY(y + 4)
		}
		s.down(0.8)
	}
	s.down(1.5)
}

// factFont readies the font of a value, and says how high its lines are.
func (s *sheet) factFont(f fact) float64 {
	switch {
	case f.mono:
		s.font("mono", "", monoSize)
	case f.strong:
		s.font("sans", "B", textSize)
	default:
		s.font("sans", "", textSize)
	}
	return textHeight
}

// facts sets labels on the left and their values beside them.
func (s *sheet) facts(x, width float64, all []fact) {
	for _, f := range all {
		if f.value == "" {
			continue
		}
		s.font("sans", "", labelSize)
		var labels []string
		if f.label != "" {
			labels = s.wrap(f.label, labelWidth-3)
		}
		height := s.factFont(f)
		values := s.wrap(f.value, width-labelWidth)
		for i := range max(len(labels), len(values)) {
			s.room(height)
			y := s.y()
			if i < len(labels) {
				s.font("sans", "", labelSize)
				s.gray(95)
				s.cell(x, y, labelWidth-3, height, labels[i], "L")
			}
			if i < len(values) {
				s.factFont(f)
				s.colour(f.tone)
				s.cell(x+labelWidth, y, width-labelWidth, height, values[i], "L")
			}
			s.pdf.SetY(y + height)
		}
		s.down(0.5)
	}
	s.gray(20)
}

// tall is how high facts will be.
func (s *sheet) tall(all []fact, width float64) float64 {
	height := 0.0
	for _, f := range all {
		if f.value == "" {
			continue
		}
		s.font("sans", "", labelSize)
		labels := 0
		if f.label != "" {
			labels = len(s.wrap(f.label, labelWidth-3))
		}
		line := s.factFont(f)
		height += line*float64(max(labels, len(s.wrap(f.value, width-labelWidth)))) + 0.5
	}
	return height
}

// card sets a thing with a bar on its left. What its colour means stands in
// words: a printer knows no colours.
func (s *sheet) card(c card) {
	x, width := leftEdge+indent, inner-indent
	badge := 0.0
	if c.badge != "" {
		s.font("sans", "B", labelSize)
		badge = s.pdf.GetStringWidth(s.clean(c.badge)) + 4
	}
	title := c.title
	if c.number != "" {
		title = c.number + ". " + title
	}
	s.font("sans", "B", 9.6)
	lines := s.wrap(title, width-badge-3)
	height := 4.8*float64(len(lines)) + 0.6 + s.tall(c.facts, width)
	// A card stays on one page unless that would leave most of one empty.
	if left := s.bottom() - s.y(); height > s.bottom()-topEdge || height > left && left > 75 {
		s.room(40)
	} else {
		s.room(height)
	}
	page, top := s.pdf.PageNo(), s.y()
	if badge > 0 {
		s.font("sans", "B", labelSize)
		s.colour(c.tone)
		s.pdf.SetDrawColor(120, 124, 132)
		s.pdf.SetLineWidth(0.2)
		s.pdf.Rect(paperWidth-rightEdge-badge, top+0.1, badge, 4.6, "D")
		s.cell(paperWidth-rightEdge-badge, top+0.1, badge, 4.6, s.clean(c.badge), "C")
		s.gray(20)
	}
	s.font("sans", "B", 9.6)
	s.pdf.SetY(top)
	for _, line := range lines {
		s.cell(x, s.y(), width-badge-3, 4.8, line, "L")
		s.down(4.8)
	}
	s.down(0.6)
	s.facts(x, width, c.facts)
	if s.pdf.PageNo() == page {
		switch c.tone {
		case good:
			s.pdf.SetFillColor(29, 107, 63)
		case bad:
			s.pdf.SetFillColor(163, 32, 29)
		case open:
			s.pdf.SetFillColor(138, 90, 0)
		default:
			s.pdf.SetFillColor(201, 205, 214)
		}
		s.pdf.Rect(leftEdge, top, 0.9, s.y()-top-0.5, "F")
	}
	s.down(3)
}

// runFont readies the font of a run, and says how high its lines are.
func (s *sheet) runFont(r run) float64 {
	s.gray(20)
	switch {
	case r.mono:
		s.font("mono", "", 6.1)
		return 3.1
	case r.strong:
		s.font("sans", "B", 8)
	case r.quiet:
		s.font("sans", "", 7.4)
		s.gray(85)
		return 3.5
	default:
		s.font("sans", "", 8)
	}
	return 3.8
}

// table sets rows below a head that is repeated on each page. A row stays on
// one page unless it is higher than one.
func (s *sheet) table(t table) {
	const pad = 1.0
	wide := func(i int) float64 { return inner * t.widths[i] / 100 }
	head := func() {
		s.font("sans", "B", 7.4)
		height := 0.0
		lines := make([][]string, len(t.head))
		for i, text := range t.head {
			lines[i] = s.wrap(text, wide(i)-2*pad)
			height = max(height, 3.5*float64(len(lines[i]))+2*pad)
		}
		x, y := leftEdge, s.y()
		s.pdf.SetFillColor(236, 238, 241)
		s.pdf.Rect(leftEdge, y, inner, height, "F")
		for i := range t.head {
			for j, line := range lines[i] {
				s.cell(x+pad, y+pad+3.5*float64(j), wide(i)-2*pad, 3.5, line, "L")
			}
			x += wide(i)
		}
		s.pdf.SetY(y + height)
	}
	type set struct {
		run
		height float64
	}
	s.room(24)
	head()
	for _, row := range t.rows {
		cells := make([][]set, len(row))
		height := 0.0
		for i, c := range row {
			tall := 0.0
			for _, r := range c {
				line := s.runFont(r)
				for _, text := range s.wrap(r.text, wide(i)-2*pad) {
					r.text = text
					cells[i] = append(cells[i], set{r, line})
					tall += line
				}
			}
			height = max(height, tall)
		}
		if s.y()+min(height, s.bottom()-topEdge-12)+2*pad > s.bottom() {
			s.page()
			head()
		}
		for more := true; more; {
			more = false
			x, top := leftEdge, s.y()+pad
			lowest := top
			for i := range cells {
				at := top
				for len(cells[i]) > 0 {
					next := cells[i][0]
					if at+next.height > s.bottom()-pad {
						more = true
						break
					}
					s.runFont(next.run)
					s.cell(x+pad, at, wide(i)-2*pad, next.height, next.text, "L")
					at += next.height
					cells[i] = cells[i][1:]
				}
				lowest = max(lowest, at)
				x += wide(i)
			}
			s.pdf.SetY(lowest + pad)
			if more {
				s.page()
				head()
			}
		}
		s.rule(s.y())
	}
	s.gray(20)
	s.down(2)
}
