// Package typeset makes documents as people in Kazakhstan exchange them:
// contracts and acts in Russian, or in Kazakh and Russian side by side, as PDF
// on A4. The demonstration and the tests need real ones.
//
// [Contract] sets any [ContractData]; [Services], [Supply] and [Completion]
// write the texts of three usual documents. The same data give the same bytes.
package typeset

import (
	"bytes"
	"fmt"
	"strings"
	"time"
	"unicode"

	"codeberg.org/go-pdf/fpdf"
	"github.com/go-fonts/dejavu/dejavuserifcondensed"
	"github.com/go-fonts/dejavu/dejavuserifcondensedbold"

	"dalel/internal/fault"
)

// Text is one text in Russian and, for a document in two languages, in Kazakh.
type Text struct{ RU, KK string }

// ContractData is what a document says. Every field is for people and is set
// as it is; nothing is looked up or checked for sense.
type ContractData struct {
	// Bilingual sets Kazakh on the left and Russian on the right.
	Bilingual bool
	// Kind is the word at the top: contract, act.
	Kind  Text
	Title Text
	// Number is the document's number in its author's books.
	Number string
	// Date is the document's date; it is also the PDF's time of creation.
	Date time.Time
	City Text
	// Preamble names the parties; it is not numbered.
	Preamble Text
	Sections []Section
	// Seller and Buyer are the parties, in the order of their details.
	Seller, Buyer Party
	// Items are set as a table after the section of index ItemsAfter.
	Items      []Item
	ItemsAfter int
	// VATPercent is the rate of value added tax contained in the prices; 0
	// says "without VAT".
	VATPercent int64
}

// Section is a numbered heading with numbered clauses.
type Section struct {
	Heading Text
	Clauses []Text
}

// Party is one side of a contract.
type Party struct {
	Role Text
	Name Text
	// IDKind is "БИН" for organisations and "ИИН" for people; ID is the
	// number's twelve digits.
	IDKind, ID string
	Address    Text
	Bank       string
	// Account is the IBAN; BankCode is the bank's BIC, and BeneficiaryCode
	// the two digits of the payments classifier (КБе).
	Account, BankCode, BeneficiaryCode string
	Phone, Email                       string
	// Position and Signer are who signs.
	Position Text
	Signer   string
}

// Item is one line of the table of goods or services.
type Item struct {
	Name     Text
	Unit     Text
	Quantity int64
	// Price is for one unit, VAT contained, in tiyn (1/100 tenge).
	Price int64
}

// Total is what the items cost together, in tiyn.
func (d ContractData) Total() int64 {
	var total int64
	for _, item := range d.Items {
		total += item.Quantity * item.Price
	}
	return total
}

// Millimetres on A4, and sizes in points.
const (
	pageWidth    = 210.0
	pageHeight   = 297.0
	leftMargin   = 25.0
	rightMargin  = 15.0
	topMargin    = 20.0
	bottomMargin = 22.0
	width        = pageWidth - leftMargin - rightMargin
	gutter       = 7.0
	column       = (width - gutter) / 2

	bodySize   = 10.0
	smallSize  = 8.5
	titleSize  = 14.0
	lineHeight = 4.9
)

// Contract sets data as a PDF. A text with characters that the font cannot
// have, and data without a number, a date or a party's name, are
// document.invalid.
func Contract(data ContractData) ([]byte, error) {
	if data.Number == "" || data.Date.IsZero() || data.Seller.Name.RU == "" || data.Buyer.Name.RU == "" {
		return nil, fault.New(fault.DocumentInvalid, "a contract needs a number, a date and the names of both parties")
	}
	if err := data.readable(); err != nil {
		return nil, err
	}
	s := newSheet(data)
	s.heading()
	s.paragraph(data.Preamble)
	for i, section := range data.Sections {
		s.section(i+1, section)
		if len(data.Items) > 0 && i == data.ItemsAfter {
			s.table()
		}
	}
	s.parties()
	var out bytes.Buffer
	if err := s.pdf.Output(&out); err != nil {
		return nil, fmt.Errorf("typeset %s: %w", data.Kind.RU, err)
	}
	return out.Bytes(), nil
}

// readable refuses what the PDF library would print wrongly or not at all.
func (d ContractData) readable() error {
	for _, r := range fmt.Sprint(d) {
		if r > 0xffff || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return fault.New(fault.DocumentInvalid, "the character %U cannot be typeset", r)
		}
	}
	return nil
}

// sheet is a document being set.
type sheet struct {
	pdf  *fpdf.Fpdf
	data ContractData
}

func newSheet(data ContractData) *sheet {
	pdf := fpdf.New("P", "mm", "A4", "")
	date := data.Date.UTC()
	pdf.SetCatalogSort(true)
	pdf.SetCreationDate(date)
	pdf.SetModificationDate(date)
	pdf.SetProducer("Dalel", false)
	pdf.SetTitle(fmt.Sprintf("%s № %s", data.Kind.RU, data.Number), true)
	pdf.SetSubject(data.Title.RU, true)
	pdf.SetAuthor(data.Seller.Name.RU, true)
	pdf.SetLang(map[bool]string{false: "ru-KZ", true: "kk-KZ"}[data.Bilingual])
	// fpdf renumbers glyphs in the very bytes it is given: shared bytes would
	// make the second document another than the first.
	pdf.AddUTF8FontFromBytes("serif", "", bytes.Clone(dejavuserifcondensed.TTF))
	pdf.AddUTF8FontFromBytes("serif", "B", bytes.Clone(dejavuserifcondensedbold.TTF))
	pdf.SetMargins(leftMargin, topMargin, rightMargin)
	pdf.SetAutoPageBreak(true, bottomMargin)
	pdf.SetCellMargin(0)
	pdf.AliasNbPages("{pages}")
	s := &sheet{pdf: pdf, data: data}
	pdf.SetHeaderFunc(s.header)
	pdf.SetFooterFunc(s.footer)
	pdf.AddPage()
	s.font("", bodySize)
	return s
}

func (s *sheet) font(style string, size float64) { s.pdf.SetFont("serif", style, size) }

func (s *sheet) rule(y float64) {
	s.pdf.SetDrawColor(150, 150, 150)
	s.pdf.SetLineWidth(0.15)
	s.pdf.Line(leftMargin, y, pageWidth-rightMargin, y)
}

// header repeats on every page but the first which document this is.
func (s *sheet) header() {
	if s.pdf.PageNo() == 1 {
		return
	}
	s.font("", 7.5)
	s.pdf.SetTextColor(110, 110, 110)
	s.pdf.SetXY(leftMargin, 10)
	s.pdf.CellFormat(width, 4, s.both(s.data.Kind, " / ")+" № "+s.data.Number, "", 0, "L", false, 0, "")
	s.pdf.SetXY(leftMargin, 10)
	s.pdf.CellFormat(width, 4, s.data.Date.Format("02.01.2006"), "", 0, "R", false, 0, "")
	s.rule(15)
	s.pdf.SetTextColor(0, 0, 0)
	s.pdf.SetXY(leftMargin, topMargin)
}

func (s *sheet) footer() {
	s.rule(pageHeight - 16)
	s.font("", 7.5)
	s.pdf.SetTextColor(110, 110, 110)
	// The alias is wider than the number it stands for: set from the right, the
	// label would not reach the margin.
	label := fmt.Sprintf("Страница %d из {pages}", s.pdf.PageNo())
	if s.data.Bilingual {
		label = fmt.Sprintf("Бет / Страница %d, барлығы / всего {pages}", s.pdf.PageNo())
	}
	s.pdf.SetXY(leftMargin, pageHeight-14)
	s.pdf.CellFormat(width, 4, label, "", 0, "L", false, 0, "")
	s.pdf.SetXY(leftMargin, pageHeight-14)
	s.pdf.CellFormat(width, 4, s.both(Text{"подписывается электронной цифровой подписью", "электрондық цифрлық қолтаңба қойылады"}, " / "), "", 0, "R", false, 0, "")
	s.pdf.SetTextColor(0, 0, 0)
}

func (s *sheet) both(text Text, between string) string {
	if s.data.Bilingual && text.KK != "" && text.KK != text.RU {
		return text.KK + between + text.RU
	}
	return text.RU
}

func (s *sheet) heading() {
	if s.data.Bilingual {
		s.columns(Text{RU: s.data.Kind.RU, KK: s.data.Kind.KK}, "B", titleSize, 7, "C")
		s.columns(s.data.Title, "B", bodySize+0.5, 5.2, "C")
		s.pdf.Ln(1)
		s.columns(Text{RU: "№ " + s.data.Number, KK: "№ " + s.data.Number}, "", bodySize, lineHeight, "C")
	} else {
		s.font("B", titleSize)
		s.pdf.MultiCell(width, 7, s.data.Kind.RU+" № "+s.data.Number, "", "C", false)
		s.font("B", bodySize+0.5)
		s.pdf.MultiCell(width, 5.5, s.data.Title.RU, "", "C", false)
	}
	s.pdf.Ln(5)
	s.font("", bodySize)
	y := s.pdf.GetY()
	if s.data.Bilingual {
		s.columns(Text{KK: s.data.City.KK, RU: s.data.City.RU}, "", bodySize, lineHeight, "L")
		s.pdf.SetXY(leftMargin, y)
		s.columns(Text{KK: kazakhDate(s.data.Date), RU: russianDate(s.data.Date)}, "", bodySize, lineHeight, "R")
	} else {
		s.pdf.CellFormat(width, lineHeight, s.data.City.RU, "", 0, "L", false, 0, "")
		s.pdf.SetXY(leftMargin, y)
		s.pdf.CellFormat(width, lineHeight, russianDate(s.data.Date), "", 1, "R", false, 0, "")
	}
	s.pdf.Ln(4)
}

// room begins a new page unless height fits on this one.
func (s *sheet) room(height float64) {
	if s.pdf.GetY()+height > pageHeight-bottomMargin {
		s.pdf.AddPage()
	}
}

func (s *sheet) linesOf(text string, w float64) int {
	if text == "" {
		return 0
	}
	return len(s.pdf.SplitText(text, w))
}

// columns sets Kazakh on the left and Russian on the right, from one height.
func (s *sheet) columns(text Text, style string, size, height float64, align string) {
	s.font(style, size)
	s.room(height * float64(max(s.linesOf(text.KK, column), s.linesOf(text.RU, column))))
	y := s.pdf.GetY()
	s.pdf.SetXY(leftMargin, y)
	s.pdf.MultiCell(column, height, text.KK, "", align, false)
	left := s.pdf.GetY()
	s.pdf.SetXY(leftMargin+column+gutter, y)
	s.pdf.MultiCell(column, height, text.RU, "", align, false)
	s.pdf.SetXY(leftMargin, max(left, s.pdf.GetY()))
}

func (s *sheet) paragraph(text Text) {
	if s.data.Bilingual {
		s.columns(text, "", bodySize-0.5, lineHeight-0.3, "L")
	} else {
		s.font("", bodySize)
		// No line of a paragraph of up to three stands alone on a page.
		s.room(lineHeight * float64(min(3, s.linesOf(text.RU, width))))
		s.pdf.MultiCell(width, lineHeight, text.RU, "", "J", false)
	}
	s.pdf.Ln(1.6)
}

func (s *sheet) section(number int, section Section) {
	s.pdf.Ln(2.2)
	s.room(22) // a heading stays with what follows
	heading := Text{RU: fmt.Sprintf("%d. %s", number, section.Heading.RU), KK: fmt.Sprintf("%d. %s", number, section.Heading.KK)}
	if s.data.Bilingual {
		s.columns(heading, "B", bodySize, lineHeight, "L")
	} else {
		s.font("B", bodySize+0.3)
		s.pdf.MultiCell(width, lineHeight, heading.RU, "", "L", false)
	}
	s.pdf.Ln(1.4)
	for i, clause := range section.Clauses {
		mark := fmt.Sprintf("%d.%d. ", number, i+1)
		s.paragraph(Text{RU: mark + clause.RU, KK: mark + clause.KK})
	}
}

// table sets the items with their sums.
func (s *sheet) table() {
	const pad, height = 1.2, 4.2
	widths := []float64{8, 0, 17, 15, 29, 31}
	widths[1] = width - widths[0] - widths[2] - widths[3] - widths[4] - widths[5]
	aligns := []string{"C", "L", "C", "R", "R", "R"}
	row := func(cells []string, style string, align []string, fill bool) {
		s.font(style, smallSize)
		lines := 1
		for i, cell := range cells {
			lines = max(lines, s.linesOf(cell, widths[i]-2*pad))
		}
		tall := float64(lines)*height + 2*pad
		s.room(tall)
		y, x := s.pdf.GetY(), leftMargin
		s.pdf.SetDrawColor(150, 150, 150)
		s.pdf.SetLineWidth(0.15)
		s.pdf.SetFillColor(238, 240, 244)
		for i, cell := range cells {
			s.pdf.Rect(x, y, widths[i], tall, map[bool]string{true: "FD", false: "D"}[fill])
			s.pdf.SetXY(x+pad, y+pad)
			s.pdf.MultiCell(widths[i]-2*pad, height, cell, "", align[i], false)
			x += widths[i]
		}
		s.pdf.SetXY(leftMargin, y+tall)
	}
	s.pdf.Ln(1)
	s.room(35)
	centred := []string{"C", "C", "C", "C", "C", "C"}
	row([]string{"№", s.both(Text{"Наименование", "Атауы"}, " / "), s.both(Text{"Ед.", "Өлш. бірл."}, " / "), s.both(Text{"Кол-во", "Саны"}, " / "),
		s.both(Text{"Цена, тенге", "Бағасы, теңге"}, " / "), s.both(Text{"Сумма, тенге", "Сомасы, теңге"}, " / ")}, "B", centred, true)
	for i, item := range s.data.Items {
		row([]string{fmt.Sprint(i + 1), s.both(item.Name, " / "), s.both(item.Unit, " / "), grouped(item.Quantity),
			Tenge(item.Price), Tenge(item.Quantity * item.Price)}, "", aligns, false)
	}
	total := s.data.Total()
	tax := s.both(Text{"Без НДС", "ҚҚС-сыз"}, " / ")
	amount := ""
	if p := s.data.VATPercent; p > 0 {
		tax = s.both(Text{fmt.Sprintf("в том числе НДС %d %%", p), fmt.Sprintf("оның ішінде ҚҚС %d %%", p)}, " / ")
		amount = Tenge((total*p + (100+p)/2) / (100 + p))
	}
	for _, sum := range []struct{ label, amount, style string }{{s.both(Text{"Итого", "Барлығы"}, " / "), Tenge(total), "B"}, {tax, amount, ""}} {
		s.font(sum.style, smallSize)
		s.room(height + 2*pad)
		y := s.pdf.GetY()
		s.pdf.Rect(leftMargin, y, width-widths[5], height+2*pad, "D")
		s.pdf.Rect(leftMargin+width-widths[5], y, widths[5], height+2*pad, "D")
		s.pdf.SetXY(leftMargin, y+pad)
		s.pdf.CellFormat(width-widths[5]-pad, height, sum.label, "", 0, "R", false, 0, "")
		s.pdf.CellFormat(widths[5], height, sum.amount, "", 0, "R", false, 0, "")
		s.pdf.SetXY(leftMargin, y+height+2*pad)
	}
	s.pdf.Ln(3)
	s.font("", bodySize)
}

// parties sets the details of both sides beside each other, on one page.
func (s *sheet) parties() {
	sides := [2][]line{s.details(s.data.Seller), s.details(s.data.Buyer)}
	tall := 16.0
	for _, side := range sides {
		tall = max(tall, s.height(side)+34)
	}
	s.pdf.Ln(3)
	s.room(tall)
	s.font("B", bodySize+0.3)
	heading := s.both(Text{"Адреса, реквизиты и подписи сторон", "Тараптардың мекенжайлары, деректемелері және қолдары"}, " / ")
	s.pdf.MultiCell(width, lineHeight, fmt.Sprintf("%d. %s", len(s.data.Sections)+1, heading), "", "L", false)
	s.pdf.Ln(2)
	top := s.pdf.GetY()
	bottom := top
	for i, side := range sides {
		x := leftMargin + float64(i)*(column+gutter)
		y := top
		for _, l := range side {
			s.font(l.style, l.size)
			s.pdf.SetXY(x, y+l.before)
			s.pdf.MultiCell(column, detailHeight, l.text, "", "L", false)
			y = s.pdf.GetY()
		}
		bottom = max(bottom, y)
	}
	for i, party := range []Party{s.data.Seller, s.data.Buyer} {
		x := leftMargin + float64(i)*(column+gutter)
		s.font("", smallSize)
		s.pdf.SetXY(x, bottom+4)
		s.pdf.MultiCell(column, detailHeight, s.both(party.Position, " / "), "", "L", false)
		s.pdf.SetDrawColor(90, 90, 90)
		s.pdf.SetLineWidth(0.2)
		s.pdf.Line(x, bottom+18, x+column*0.45, bottom+18)
		s.font("B", smallSize)
		s.pdf.SetXY(x+column*0.48, bottom+14.5)
		s.pdf.CellFormat(column*0.52, detailHeight, party.Signer, "", 0, "L", false, 0, "")
		s.font("", 7)
		s.pdf.SetTextColor(110, 110, 110)
		s.pdf.SetXY(x, bottom+18.6)
		s.pdf.CellFormat(column*0.45, 3.4, s.both(Text{"ЭЦП", "ЭЦҚ"}, " / "), "", 0, "C", false, 0, "")
		s.pdf.SetTextColor(0, 0, 0)
	}
}

const detailHeight = 4.3

// line is one line, or wrapped lines, of a party's details.
type line struct {
	text, style  string
	size, before float64
}

func (s *sheet) height(lines []line) float64 {
	var tall float64
	for _, l := range lines {
		s.font(l.style, l.size)
		tall += l.before + detailHeight*float64(s.linesOf(l.text, column))
	}
	return tall
}

func (s *sheet) details(p Party) []line {
	kind := p.IDKind
	if s.data.Bilingual {
		kind = map[string]string{"БИН": "БСН / БИН", "ИИН": "ЖСН / ИИН"}[p.IDKind]
	}
	lines := []line{{s.both(p.Role, " / "), "B", bodySize, 0}, {s.both(p.Name, "\n"), "B", smallSize, 1}}
	for _, d := range []struct {
		label Text
		value string
	}{
		{Text{kind, kind}, p.ID},
		{Text{"Адрес", "Мекенжайы"}, s.both(p.Address, " / ")},
		{Text{"Банк", "Банк"}, p.Bank},
		{Text{"ИИК", "ЖСК"}, p.Account},
		{Text{"БИК", "БСК"}, p.BankCode},
		{Text{"КБе", "Бек"}, p.BeneficiaryCode},
		{Text{"Тел.", "Тел."}, p.Phone},
		{Text{"Эл. почта", "Эл. пошта"}, p.Email},
	} {
		if d.value != "" {
			lines = append(lines, line{s.both(d.label, " / ") + ": " + d.value, "", smallSize, 0.4})
		}
	}
	return lines
}

// Tenge writes an amount in tiyn as it stands in a table: 1 250 000,00.
func Tenge(tiyn int64) string {
	if tiyn < 0 {
		return "-" + Tenge(-tiyn)
	}
	return fmt.Sprintf("%s,%02d", grouped(tiyn/100), tiyn%100)
}

// grouped sets digits in threes, with spaces that do not break.
func grouped(n int64) string {
	digits := fmt.Sprint(n)
	var out strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			out.WriteRune('\u00a0')
		}
		out.WriteRune(d)
	}
	return out.String()
}

func russianDate(date time.Time) string {
	months := [...]string{"января", "февраля", "марта", "апреля", "мая", "июня", "июля", "августа", "сентября", "октября", "ноября", "декабря"}
	return fmt.Sprintf("«%02d» %s %d года", date.Day(), months[date.Month()-1], date.Year())
}

func kazakhDate(date time.Time) string {
	months := [...]string{"қаңтар", "ақпан", "наурыз", "сәуір", "мамыр", "маусым", "шілде", "тамыз", "қыркүйек", "қазан", "қараша", "желтоқсан"}
	return fmt.Sprintf("%d жылғы «%02d» %s", date.Year(), date.Day(), months[date.Month()-1])
}
