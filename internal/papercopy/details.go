package papercopy

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"dalel/internal/dates"
)

// The type of the sheets of details.
const (
	headingSize, headingHeight = 17.0, 8.0
	titleSize, titleHeight     = 11.5, 5.4
	sectionSize                = 11.0
	valueSize, valueHeight     = 9.0, 4.2
	labelSize                  = 8.0
	hashSize, hashHeight       = 7.2, 3.6
	labelWidth                 = 56.0
	factGap                    = 0.7
)

// details sets what is to be said of the document beside its files.
func (s *sheet) details() {
	s.detailsSheet()
	s.heading()
	s.parties()
	s.signatures()
	s.files()
	s.checking()
}

func (s *sheet) detailsSheet() {
	s.begin(paperWidth, paperHeight, bodyEdge, s.say("footer.details"), nil)
	s.pdf.SetY(bodyTop)
}

func (s *sheet) inner() float64 { return s.width - 2*s.side }

// room begins a sheet unless height fits on this one, and says whether it did.
func (s *sheet) room(height float64) bool {
	if s.pdf.GetY()+height <= s.bottom() {
		return false
	}
	s.detailsSheet()
	return true
}

// lines sets text from x, and leaves y below it.
func (s *sheet) lines(x, width, height float64, text string) {
	y := s.pdf.GetY()
	for _, line := range s.wrap(text, width) {
		if y+height > s.bottom() {
			family, style := s.face, ""
			if rest, bold := strings.CutSuffix(family, "B"); bold {
				family, style = rest, "B"
			}
			size, _ := s.pdf.GetFontSize()
			s.detailsSheet()
			s.font(family, style, size)
			y = s.pdf.GetY()
		}
		s.cell(x, y, width, height, line, "L")
		y += height
	}
	s.pdf.SetY(y)
}

// fact is a label with its value.
type fact struct {
	label, value string
	strong, mono bool
}

// facts sets labels on the left and their values beside them. Again is set
// once more at the top where they go on to another sheet.
func (s *sheet) facts(x, width float64, all []fact, again string) {
	for _, f := range all {
		lines := s.factLines(f, width)
		if f.value == "" {
			continue
		}
		for i, line := range lines {
			if s.room(valueHeight) && again != "" {
				s.font("sans", "B", valueSize)
				s.lines(x, width, valueHeight+1, again)
			}
			y := s.pdf.GetY()
			if i == 0 {
				s.font("sans", "", labelSize)
				s.gray(90)
				s.cell(x, y, labelWidth-2, valueHeight, s.fit(f.label, labelWidth-2), "L")
				s.gray(0)
			}
			s.factFont(f)
			s.cell(x+labelWidth, y, width-labelWidth, valueHeight, line, "L")
			s.pdf.SetY(y + valueHeight)
		}
		s.pdf.SetY(s.pdf.GetY() + factGap)
	}
}

func (s *sheet) factFont(f fact) {
	switch {
	case f.mono:
		s.font("mono", "", 8.2)
	case f.strong:
		s.font("sans", "B", valueSize)
	default:
		s.font("sans", "", valueSize)
	}
}

func (s *sheet) factLines(f fact, width float64) []string {
	s.factFont(f)
	return s.wrap(f.value, width-labelWidth)
}

// tall is how high facts will be.
func (s *sheet) tall(all []fact, width float64) float64 {
	height := 0.0
	for _, f := range all {
		if f.value != "" {
			height += float64(len(s.factLines(f, width)))*valueHeight + factGap
		}
	}
	return height
}

// heading says what this is a copy of, beside a QR code that can be read from
// a hand's distance.
func (s *sheet) heading() {
	side := max(largeCode, largeModule*float64(s.code.modules()))
	x, top := s.width-s.side-side, s.pdf.GetY()
	s.drawCode(x, top, side)
	s.font("sans", "B", 8)
	s.cell(x, top+side, side, 4, s.say("scan"), "C")
	s.pdf.SetY(top)

	width := s.inner() - side - 8
	s.font("sans", "B", headingSize)
	s.lines(s.side, width, headingHeight, s.say("mark"))
	s.pdf.SetY(s.pdf.GetY() + 2)
	s.font("sans", "B", titleSize)
	sheets := s.count
	s.lines(s.side, width, titleHeight, s.Title)
	s.pdf.SetY(s.pdf.GetY() + 1.5)
	lead := "lead"
	if len(s.Signatures) == 0 {
		lead = "lead.unsigned"
	}
	s.font("sans", "", 8.5)
	s.gray(60)
	s.lines(s.side, width, 4, s.say(lead, "ledger", s.LedgerName))
	s.gray(0)
	y := s.pdf.GetY()
	if s.count == sheets {
		y = max(y, top+side+4)
	}
	s.pdf.SetY(y + 4)

	number := s.say("number.none")
	if s.Number != "" {
		number = fours(s.Number)
	}
	s.facts(s.side, s.inner(), []fact{
		{label: s.say("document.number"), value: number, strong: true},
		{label: s.say("document.kind"), value: s.Kind},
		{label: s.say("document.sender"), value: s.SenderNumber},
		{label: s.say("document.date"), value: dates.Own(s.language(), s.Date)},
		{label: s.say("document.status"), value: s.Status, strong: true},
		{label: s.say("document.id"), value: s.DocumentID},
		{label: s.say("copy.number"), value: strconv.Itoa(s.CopyNumber)},
		{label: s.say("copy.issued"), value: dates.Moment(s.language(), s.IssuedAt)},
		{label: s.say("copy.to"), value: s.IssuedTo},
	}, "")
}

// section sets a heading that stays with what follows.
func (s *sheet) section(title string, follows float64) {
	s.pdf.SetY(s.pdf.GetY() + 4)
	s.room(8 + follows)
	s.font("sans", "B", sectionSize)
	s.cell(s.side, s.pdf.GetY(), s.inner(), 6, title, "L")
	s.pdf.SetY(s.pdf.GetY() + 7.5)
}

func (s *sheet) none(text string) {
	s.font("sans", "", valueSize)
	s.lines(s.side, s.inner(), valueHeight, text)
}

// column is one of a table; entry one of its cells, in paragraphs.
type column struct {
	title, align string
	width        float64
}

// inner is the room for text. Numbers, which stand on the right, keep away from
// the next column's words.
func (c column) inner(pad float64) float64 {
	if c.align == "R" {
		return c.width - 2*pad - 3
	}
	return c.width - 2*pad
}

type entry []paragraph

type paragraph struct {
	text string
	look look
}

// look is how a paragraph of a table is set.
type look int

const (
	plain look = iota
	strong
	pale
	hash
)

func (s *sheet) look(l look) (height float64) {
	s.gray(0)
	switch l {
	case strong:
		s.font("sans", "B", 8.5)
	case pale:
		s.font("sans", "", 8)
		s.gray(70)
	case hash:
		s.font("mono", "", hashSize)
		return hashHeight
	default:
		s.font("sans", "", 8.5)
	}
	return 4
}

// table sets rows below a head that is repeated on every sheet. A row stays on
// one sheet unless it is higher than one.
func (s *sheet) table(columns []column, rows [][]entry) {
	const pad = 1.3
	type set struct {
		text   string
		look   look
		height float64
	}
	head := func() {
		height := 0.0
		lines := make([][]string, len(columns))
		s.font("sans", "B", labelSize)
		for i, c := range columns {
			lines[i] = s.wrap(c.title, c.inner(pad))
			height = max(height, float64(len(lines[i]))*3.7+2*pad)
		}
		y, x := s.pdf.GetY(), s.side
		s.pdf.SetFillColor(236, 238, 241)
		s.pdf.Rect(s.side, y, s.inner(), height, "F")
		for i, c := range columns {
			for j, line := range lines[i] {
				s.cell(x+pad, y+pad+3.7*float64(j), c.inner(pad), 3.7, line, c.align)
			}
			x += c.width
		}
		s.pdf.SetY(y + height)
	}
	s.room(24)
	head()
	for _, row := range rows {
		cells := make([][]set, len(row))
		height := 0.0
		for i, e := range row {
			cell := 0.0
			for _, p := range e {
				line := s.look(p.look)
				for _, text := range s.wrap(p.text, columns[i].inner(pad)) {
					cells[i] = append(cells[i], set{text, p.look, line})
					cell += line
				}
			}
			height = max(height, cell)
		}
		page := s.bottom() - bodyTop - 14
		if s.pdf.GetY()+min(height, page)+2*pad > s.bottom() {
			s.detailsSheet()
			head()
		}
		for more := true; more; {
			more = false
			y, lowest, x := s.pdf.GetY()+pad, s.pdf.GetY()+pad, s.side
			for i, c := range columns {
				at := y
				for len(cells[i]) > 0 {
					next := cells[i][0]
					if at+next.height > s.bottom()-pad {
						more = true
						break
					}
					s.look(next.look)
					s.cell(x+pad, at, c.inner(pad), next.height, next.text, c.align)
					at += next.height
					cells[i] = cells[i][1:]
				}
				lowest = max(lowest, at)
				x += c.width
			}
			s.pdf.SetY(lowest + pad)
			if more {
				s.detailsSheet()
				head()
			}
		}
		s.rule(s.pdf.GetY())
	}
	s.gray(0)
}

func (s *sheet) parties() {
	s.section(s.say("parties"), 24)
	if len(s.Parties) == 0 {
		s.none(s.say("parties.none"))
		return
	}
	width := s.inner()
	columns := []column{{s.say("party.name"), "L", width - 104}, {s.say("party.role"), "L", 32}, {s.say("party.outcome"), "L", 36}, {s.say("party.when"), "L", 36}}
	var rows [][]entry
	for _, p := range s.Parties {
		name := entry{{p.Name, strong}}
		if p.Identifier != "" {
			name = append(name, paragraph{strings.TrimSpace(p.IdentifierLabel + " " + p.Identifier), pale})
		}
		when := entry{}
		if !p.When.IsZero() {
			at := p.When.In(zone)
			when = entry{{dates.Day(s.language(), at), plain}, {at.Format("15:04"), pale}}
		}
		rows = append(rows, []entry{name, {{p.Role, plain}}, {{p.Outcome, plain}}, when})
	}
	s.table(columns, rows)
}

func (s *sheet) signatures() {
	s.section(s.say("signatures"), 45)
	if len(s.Signatures) == 0 {
		s.none(s.say("signatures.none"))
		return
	}
	for i, signature := range s.Signatures {
		s.signature(i+1, signature)
	}
}

// signature sets a block with a bar on its left. What the verdict is stands in
// words: a printer knows no colours.
func (s *sheet) signature(n int, sig Signature) {
	const indent = 4.0
	verdict := s.say("verdict." + string(sig.Status))
	against := sig.Doubt
	if against != "" {
		verdict = s.say("verdict.doubt")
	}
	if sig.Lost {
		verdict = s.say("verdict.lost")
		if against = sig.LostReason; against == "" {
			against = s.say("signature.lost.noreason")
		}
		if sig.Status != Valid {
			against += "; " + s.say("verdict."+string(sig.Status))
		}
	}
	name := sig.SignerName
	if name == "" {
		name = s.say("signature.nameless")
	}
	at := "–"
	if !sig.SignedAt.IsZero() {
		at = dates.Exact(s.language(), sig.SignedAt) + ", " + s.say(map[bool]string{true: "signature.trusted", false: "signature.received"}[sig.TrustedTime])
	}
	seal := ""
	if sig.Seal {
		seal = s.say("signature.sealed")
	}
	period := ""
	if !sig.ValidFrom.IsZero() || !sig.ValidTo.IsZero() {
		period = s.say("signature.period", "from", s.day(sig.ValidFrom), "to", s.day(sig.ValidTo))
	}
	all := []fact{
		{label: s.say("signature.force"), value: against, strong: true},
		{label: s.say("signature.party"), value: sig.Party},
		{label: s.say("signature.organisation"), value: sig.Organisation},
		{label: s.say("signature.seal"), value: seal},
		{label: s.say("signature.at"), value: at},
		{label: s.say("signature.serial"), value: sig.Serial, mono: true},
		{label: s.say("signature.issuer"), value: sig.Issuer},
		{label: s.say("signature.valid"), value: period},
		{label: s.say("signature.algorithm"), value: sig.Algorithm},
	}
	x, width := s.side+indent, s.inner()-indent
	s.font("sans", "B", 9.5)
	verdictWidth := s.pdf.GetStringWidth(verdict) + 5
	named := s.wrap(fmt.Sprintf("%d. %s", n, name), width-verdictWidth-3)
	height := float64(len(named))*4.8 + 1 + s.tall(all, width)
	if height < 150 {
		s.room(height)
	}
	sheets, top := s.count, s.pdf.GetY()
	s.font("sans", "B", 9.5)
	s.pdf.SetDrawColor(60, 60, 60)
	s.pdf.SetLineWidth(0.25)
	s.pdf.Rect(s.width-s.side-verdictWidth, top, verdictWidth, 5, "D")
	s.cell(s.width-s.side-verdictWidth, top, verdictWidth, 5, verdict, "C")
	s.lines(x, width-verdictWidth-3, 4.8, fmt.Sprintf("%d. %s", n, name))
	s.pdf.SetY(s.pdf.GetY() + 1)
	s.facts(x, width, all, s.say("signature.continued", "n", n))
	if s.count == sheets {
		s.pdf.SetFillColor(120, 120, 120)
		s.pdf.Rect(s.side, top, 1, s.pdf.GetY()-top-factGap, "F")
	}
	s.pdf.SetY(s.pdf.GetY() + 3.5)
}

func (s *sheet) files() {
	s.section(s.say("files"), 24)
	if len(s.Files) == 0 {
		s.none(s.say("files.none"))
		return
	}
	columns := []column{{"№", "L", 9}, {s.say("file.name"), "L", s.inner() - 9 - 28 - 46}, {s.say("file.size"), "R", 28}, {s.say("file.printed"), "L", 46}}
	var rows [][]entry
	for i, f := range s.Files {
		digits := strings.ToLower(f.SHA256)
		named := entry{{f.Name, strong}, {f.MediaType, pale}, {grouped(digits[:32], 8, " "), hash}, {grouped(digits[32:], 8, " "), hash}}
		for _, caution := range f.Cautions {
			named = append(named, paragraph{caution, plain})
		}
		rows = append(rows, []entry{
			{{strconv.Itoa(i + 1), plain}},
			named,
			{{threes(f.Size), plain}},
			s.printed(i),
		})
	}
	s.table(columns, rows)
}

// printed says on which sheets a file is, or why it is on none.
func (s *sheet) printed(i int) entry {
	file := s.shown[i]
	if file.reason != "" {
		return entry{{s.say("printed.none", "why", s.say(string(file.reason), "max", MaxFilePages)), strong}}
	}
	where := paragraph{s.say("printed.one", "from", s.first[i]), plain}
	if s.last[i] > s.first[i] {
		where.text = s.say("printed.many", "from", s.first[i], "to", s.last[i])
	}
	if file.rest {
		return entry{where, {s.say("printed.rest"), strong}}
	}
	return entry{where}
}

func (s *sheet) checking() {
	s.section(s.say("check"), 30)
	s.font("sans", "", valueSize)
	s.lines(s.side, s.inner(), valueHeight, "1. "+s.say("check.open"))
	s.font("mono", "", 8.2)
	s.lines(s.side+4, s.inner()-4, valueHeight, s.CheckURL)
	s.font("sans", "", valueSize)
	s.lines(s.side, s.inner(), valueHeight, "2. "+s.say("check.compare"))
	s.lines(s.side, s.inner(), valueHeight, "3. "+s.say("check.hash"))
	notes := []string{s.say("note.time")}
	if s.scaled {
		notes = append(notes, s.say("note.scaled"))
	}
	if s.replaced {
		notes = append(notes, s.say("note.replaced"))
	}
	s.pdf.SetY(s.pdf.GetY() + 2)
	s.font("sans", "", labelSize)
	s.gray(70)
	s.lines(s.side, s.inner(), 3.8, strings.Join(notes, " "))
	s.gray(0)
}

func threes(n int64) string {
	digits := strconv.FormatInt(n, 10)
	lead := len(digits) % 3
	if lead == 0 {
		return grouped(digits, 3, "\u00a0")
	}
	return strings.TrimSuffix(digits[:lead]+"\u00a0"+grouped(digits[lead:], 3, "\u00a0"), "\u00a0")
}

func (s *sheet) language() dates.Language { return dates.Language(s.Language) }

// day writes the day of a moment in Kazakhstan's time, and of none a question
// mark.
func (s *sheet) day(t time.Time) string {
	if t.IsZero() {
		return "?"
	}
	return dates.Day(s.language(), t)
}
