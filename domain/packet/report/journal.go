package report

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"

	spreadsheet "dalel/internal/sheet"
)

// Named is a participant as an entry of a journal names it: Kind is its kind,
// Identifier its IIN or BIN. Erased says that its data were destroyed.
type Named struct {
	ID         string `json:"id"`
	Name       string `json:"name,omitempty"`
	Kind       string `json:"kind,omitempty"`
	Identifier string `json:"identifier,omitempty"`
	Erased     bool   `json:"erased,omitempty"`
}

func (n Named) who() Who { return Who{ID: n.ID, Name: n.Name, Erased: n.Erased} }

// Signer is who made the signatures of an event. By acted for Party, both as the
// ledger registered them; Certificate is whose the certificate is as it says
// itself. A name or a number that is not opened is "".
type Signer struct {
	By          Named   `json:"by"`
	Party       Named   `json:"onBehalfOf"`
	Certificate Subject `json:"certificate"`
}

// Entry is one event in one participant's journal. Journal is "incoming" or
// "outgoing", Others are the other parties, Headline is the document's one status
// after the event, Signature says who signed with it, Minor its sum in hundredths of Currency. File is the event's entry
// in a packet; the other values are as in an [Event].
type Entry struct {
	At           time.Time `json:"recordedAt"`
	Journal      string    `json:"journal"`
	Participant  Named     `json:"participant"`
	Others       []Named   `json:"counterparties,omitempty"`
	Document     string    `json:"document"`
	Number       string    `json:"number,omitempty"`
	Kind         string    `json:"kind"`
	Title        string    `json:"title,omitempty"`
	SenderNumber string    `json:"senderNumber,omitempty"`
	Date         string    `json:"date,omitempty"`
	Minor        string    `json:"minor,omitempty"`
	Currency     string    `json:"currency,omitempty"`
	Headline     string    `json:"headline"`
	Type         string    `json:"event"`
	Actor        Named     `json:"actor"`
	OnBehalf     Named     `json:"onBehalfOf"`
	Party        Named     `json:"party"`
	Signature    *Signer   `json:"signature,omitempty"`
	Verdict      string    `json:"verdict,omitempty"`
	Code         string    `json:"code,omitempty"`
	Reasons      []string  `json:"reasons,omitempty"`
	Text         string    `json:"text,omitempty"`
	Hashes       []string  `json:"hashes,omitempty"`
	Revision     uint64    `json:"revision"`
	Position     uint64    `json:"position"`
	Commitment   string    `json:"commitment"`
	File         string    `json:"file,omitempty"`
}

// Journal are entries as tables.
type Journal struct {
	// At is the moment of the newest event.
	At      time.Time
	Entries []Entry
	// Files says that the entries name the files of their events.
	Files bool
}

// CSV is the journal as text, in Russian: a text has no room for three
// languages.
func (j Journal) CSV() ([]byte, error) {
	all, err := catalogue()
	if err != nil {
		return nil, err
	}
	return j.table(all[0]).CSV()
}

// XLSX is the journal as a workbook with a worksheet for each language.
func (j Journal) XLSX() ([]byte, error) {
	all, err := catalogue()
	if err != nil {
		return nil, err
	}
	book := spreadsheet.Workbook{Title: all[0].say("journal.title"), Language: "ru-KZ", At: j.At}
	for _, w := range all {
		book.Tables = append(book.Tables, j.table(w))
	}
	var out bytes.Buffer
	if err := book.Write(&out); err != nil {
		return nil, fmt.Errorf("write the journal: %w", err)
	}
	return out.Bytes(), nil
}

func (j Journal) table(w words) spreadsheet.Table {
	t := spreadsheet.Table{Name: w.say("journal.sheet")}
	column := func(key string, kind spreadsheet.Kind, width float64) {
		t.Columns = append(t.Columns, spreadsheet.Column{Title: w.say("journal.column." + key), Kind: kind, Width: width})
	}
	column("number", spreadsheet.Digits, 23)
	column("when", spreadsheet.Moment, 19)
	column("direction", spreadsheet.Text, 13)
	column("kind", spreadsheet.Text, 16)
	column("title", spreadsheet.Text, 40)
	column("own", spreadsheet.Text, 15)
	column("date", spreadsheet.Day, 12)
	column("sum", spreadsheet.Sum, 16)
	column("currency", spreadsheet.Text, 8)
	column("whose", spreadsheet.Text, 30)
	column("whose.id", spreadsheet.Digits, 14)
	column("other", spreadsheet.Text, 30)
	column("other.id", spreadsheet.Digits, 14)
	column("status", spreadsheet.Text, 18)
	column("event", spreadsheet.Text, 26)
	column("actor", spreadsheet.Text, 30)
	for _, key := range []string{"signer", "position-held", "behalf", "owner", "owner.id", "serial", "issuer"} {
		column(key, spreadsheet.Text, 30)
	}
	column("particulars", spreadsheet.Text, 40)
	column("position", spreadsheet.Count, 10)
	column("commitment", spreadsheet.Text, 24)
	if j.Files {
		column("file", spreadsheet.Text, 30)
	}
	for _, e := range j.Entries {
		t.Rows = append(t.Rows, e.row(w, j.Files))
	}
	return t
}

// row is an entry in the order of the columns.
func (e Entry) row(w words, files bool) []spreadsheet.Cell {
	var others []string
	for _, other := range e.Others {
		others = append(others, w.who(other.who()))
	}
	date := spreadsheet.Of(e.Date)
	if day, err := time.ParseInLocation(time.DateOnly, e.Date, spreadsheet.Zone); err == nil {
		date = spreadsheet.At(day)
	}
	row := []spreadsheet.Cell{
		spreadsheet.Named("№", e.Number), spreadsheet.At(e.At), spreadsheet.Of(w.name("journal", e.Journal)), spreadsheet.Of(w.name("kind", e.Kind)), spreadsheet.Of(e.Title),
		spreadsheet.Of(e.SenderNumber), date, spreadsheet.Of(e.Minor), spreadsheet.Of(e.Currency),
		spreadsheet.Of(w.who(e.Participant.who())), w.identifier(e.Participant), spreadsheet.Of(strings.Join(others, "; ")), w.identifier(e.Others...),
		spreadsheet.Of(w.name("headline", e.Headline)), spreadsheet.Of(w.name("event", e.Type)), spreadsheet.Of(w.acting(e)),
	}
	for _, said := range e.Signature.cells(w) {
		row = append(row, spreadsheet.Of(said))
	}
	row = append(row, spreadsheet.Of(strings.Join(e.particulars(w), "; ")),
		spreadsheet.Of(strconv.FormatUint(e.Position, 10)), spreadsheet.Of(e.Commitment))
	if files {
		row = append(row, spreadsheet.Of(e.File))
	}
	return row
}

// identifier is the IIN or BIN of participants, with which it is where there
// are several.
func (w words) identifier(all ...Named) spreadsheet.Cell {
	if len(all) == 1 {
		return spreadsheet.Named(w.mark(all[0]), all[0].Identifier)
	}
	var list []string
	for _, one := range all {
		if one.Identifier != "" {
			list = append(list, strings.TrimSpace(w.mark(one)+" "+one.Identifier))
		}
	}
	return spreadsheet.Of(strings.Join(list, "; "))
}

// mark is what stands before a participant's identifier.
func (w words) mark(n Named) string {
	if n.Kind == "" {
		return ""
	}
	return w.name("identifier", n.Kind)
}

// cells are the columns of a signature, empty for an event that is none.
func (s *Signer) cells(w words) []string {
	if s == nil {
		return make([]string, 7)
	}
	held := w.say("who.closed")
	if role := s.Certificate.Role; role != "" {
		held = w.name("signer-role", role)
	}
	return []string{
		w.named(s.By), held, w.named(s.Party), s.Certificate.names(w), s.Certificate.numbers(w), s.Certificate.Serial, s.Certificate.Issuer,
	}
}

// named is a participant with its identifier.
func (w words) named(n Named) string {
	said := w.who(n.who())
	if n.Identifier != "" {
		said += ", " + strings.TrimSpace(w.mark(n)+" "+n.Identifier)
	}
	return said
}

// acting names who acted, and for whom.
func (w words) acting(e Entry) string {
	if e.OnBehalf.ID == "" || e.OnBehalf.ID == e.Actor.ID {
		return w.who(e.Actor.who())
	}
	return w.behalf(e.Actor.who(), e.OnBehalf.who())
}

// particulars are what else an entry says.
func (e Entry) particulars(w words) []string {
	var list []string
	if e.Party.ID != "" && e.Party.ID != e.Actor.ID && e.Party.ID != e.OnBehalf.ID {
		list = append(list, w.say("fact.party")+": "+w.who(e.Party.who()))
	}
	if e.Verdict != "" {
		list = append(list, w.name("verdict", e.Verdict))
	}
	if e.Code != "" {
		list = append(list, w.code("fault", e.Code))
	}
	for _, reason := range e.Reasons {
		list = append(list, w.code("reason", reason))
	}
	if e.Text != "" {
		list = append(list, e.Text)
	}
	return list
}
