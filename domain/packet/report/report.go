// Package report sets the readable report of a proof packet, and the extract
// from the electronic journals (R-M1, R-G2): what a clerk of a court reads
// before anybody runs a program, in Russian, Kazakh and English.
//
// A report is a function of plain data ([Document], [Overview], [Extract])
// that package packet reads out of events. It says in words what the events
// say, with the codes beside, and it decides nothing. Each is made twice from
// one layout: as HTML in one file, with no script and nothing to load, which
// prints and reads on a phone; and as PDF with its fonts inside and bookmarks.
//
// The same data give the same bytes, on every machine and with every later
// version of Go, so that a verifier can make a report again and compare. Hence
// the words are this package's own, not those of the pages, which may change
// any day; nothing here asks a Unicode table of the standard library or its
// compressor; and the moment is that of the newest event, not of the clock.
package report

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"dalel/internal/dates"
)

// Document is the report on one document.
type Document struct {
	Source
	ID string
	// Number is the ledger's of 20 digits, "" before completion.
	Number string
	// Kind, Headline, Role and the like are the codes of package document; what
	// they are called is in the words. Headline is the one status that the
	// document is shown with everywhere.
	Kind, Headline string
	Title          string
	// SenderNumber and Date are those that the sender gave it.
	SenderNumber, Date string
	// Minor is the sum in hundredths of Currency, "" for none.
	Minor, Currency string
	EndReason       string
	Held, Destroyed bool
	Files           []File
	Parties         []Party
	Signatures      []Signature
	Events          []Event
	Chain           Chain
	// Log is nil where the packet's format knows no transparency log.
	Log    *Log
	Absent Absent
	// Commands are to be typed in the packet's folder to check the first
	// signature.
	Commands []string
}

// Source says where a report comes from.
type Source struct {
	Ledger                        string
	VerifierName, VerifierVersion string
	// Seal is the SHA-256 of the operator's certificate, hex.
	Seal string
	// Position is that of the newest event, recorded At.
	Position uint64
	At       time.Time
}

// File is a file of the document. Entry is its path in the packet, "" for one
// that is not there any more.
type File struct {
	Name, MediaType, SHA256, Entry string
	Size                           int64
	// Cautions are the codes of what can make the file look different later.
	Cautions []string
}

// Who is a participant, the system or the operator. Name is "" where the packet
// does not open it; Erased says that it was destroyed.
type Who struct {
	ID, Name string
	Erased   bool
}

// Party is a party of the document.
type Party struct {
	Who
	// Kind is the participant's: "legal-entity". Identifier is the IIN or BIN.
	Kind, Identifier string
	Sender           bool
	Role, Outcome    string
	Order, Attempts  int
	// Moments are zero where there is none.
	Deadline, DeliveredAt, ViewedAt, AcknowledgedAt, ActedAt time.Time
}

// Verdict is what was found of a signature for a moment.
type Verdict struct {
	Status string
	At     time.Time
	// Codes are the reasons'.
	Codes []string
}

// Evidence is a file of the packet that a verdict rests on. Kind is
// "signature", "certificate", "chain", "ocsp", "crl", "timestamp", "tsa" or
// "verdict".
type Evidence struct{ Kind, Entry string }

// Subject is what a certificate says of whose it is. Name is the organisation
// of a legal entity's certificate and Person the person in it; Name is the
// person, and Person "", in all others. Role is the certificate's: "head".
type Subject struct {
	Person string `json:"person,omitempty"`
	Name   string `json:"name,omitempty"`
	IIN    string `json:"iin,omitempty"`
	BIN    string `json:"bin,omitempty"`
	Role   string `json:"role,omitempty"`
	Serial string `json:"serial"`
	Issuer string `json:"issuer"`
}

// Signature is one signature over one file.
type Signature struct {
	Number            int
	Party, By         Who
	OnBehalf          bool
	Files             []string
	Method, Algorithm string
	Seal, Trusted     bool
	// Subject is what the certificate says of whose it is; Kind and Identifier
	// what the ledger registered of the party.
	Subject          Subject
	Kind, Identifier string
	NotBefore        time.Time
	NotAfter         time.Time
	Certificate      string
	ClaimedAt        time.Time
	Signing, Receipt Verdict
	Evidence         []Evidence
	EventEntry       string
	// Force, Since, Source and Ground say whether it stands, as
	// document.Standing does.
	Force    string
	Since    time.Time
	Source   string
	Ground   string
	Replaced bool
}

// Value is one thing that an event says.
type Value struct {
	Text string
	// Family has Text looked up among the words of that family; with Coded the
	// code stands beside.
	Family string
	Coded  bool
	At     time.Time
	// Due is a deadline, which is said by its last day.
	Due time.Time
	Who *Who
}

// Fact is a value under a label, which is the key of a word: "fact.reason".
type Fact struct {
	Label string
	Value Value
}

// Event is one event in words.
type Event struct {
	Number   int
	Type     string
	At       time.Time
	Actor    Who
	OnBehalf *Who
	Facts    []Fact
	// Withheld and Destroyed say that a part of its data is not opened, or was
	// destroyed.
	Withheld, Destroyed bool
	Entry               string
}

// Chain is what the packet's events are linked by.
type Chain struct {
	Events, Streams, Own int
	First, Last          string
}

// Log is what the packet shows of the transparency log. The zero Log is that of
// a ledger that keeps none.
type Log struct {
	// Origin is its name. Size is that of the checkpoint that covers the events,
	// 0 where none did when the packet was made.
	Origin string
	Size   uint64
	Root   string
	// Proofs is how many events are proven to be under it.
	Proofs int
	// Witnesses have cosigned it, Stamps are the moments of the time tokens
	// over it.
	Witnesses []string
	Stamps    []time.Time
	// Since is the size of an earlier checkpoint that it continues, 0 for none.
	Since uint64
	// Losses are what the ledger has lost.
	Losses []Loss
}

// Loss says that events were lost, and that the ledger went on under another log.
type Loss struct {
	At             time.Time
	Former, Log    string
	Known, Missing uint64
	Ground         string
}

// facts are what there is to say of the log, and of what the ledger has lost.
func (l *Log) facts(w words) []fact {
	if l == nil {
		return nil
	}
	facts := l.covering(w)
	for _, loss := range l.Losses {
		facts = append(facts,
			fact{label: w.say("log.loss"), value: w.say("log.lost", "when", w.moment(loss.At), "known", loss.Known,
				"missing", loss.Missing, "former", loss.Former, "log", loss.Log)},
			fact{label: w.say("log.ground"), value: loss.Ground})
	}
	return facts
}

// covering is what there is to say of the log.
func (l *Log) covering(w words) []fact {
	switch {
	case l.Origin == "":
		return []fact{{label: w.say("log"), value: w.say("log.none")}}
	case l.Size == 0:
		return []fact{{label: w.say("log"), value: w.say("log.notcovered", "log", l.Origin)}}
	}
	facts := []fact{
		{label: w.say("log"), value: w.say("log.covered", "log", l.Origin, "n", l.Size)},
		{label: w.say("log.root"), value: l.Root, mono: true},
	}
	if l.Proofs > 0 {
		facts = append(facts, fact{label: w.say("log.proofs"), value: strconv.Itoa(l.Proofs)})
	}
	witnesses := strings.Join(l.Witnesses, ", ")
	if witnesses == "" {
		witnesses = w.say("log.unwitnessed")
	}
	facts = append(facts, fact{label: w.say("log.witnesses"), value: witnesses})
	if len(l.Stamps) == 0 {
		facts = append(facts, fact{label: w.say("log.stamps"), value: w.say("log.unstamped")})
	}
	for i, at := range l.Stamps {
		label := ""
		if i == 0 {
			label = w.say("log.stamps")
		}
		facts = append(facts, fact{label: label, value: w.moment(at)})
	}
	if l.Since > 0 {
		facts = append(facts, fact{label: w.say("log.since"), value: w.say("log.since.size", "n", l.Since)})
	}
	return facts
}

// Absent is what is not in the packet, and why.
type Absent struct{ Withheld, Erased, Drafts, Refused int }

// Overview is the report on a packet of several documents.
type Overview struct {
	Source
	// Participant is whose journal was asked for, with the period; its ID is
	// "" where documents were named.
	Participant Who
	From, To    time.Time
	Documents   []Part
	Log         *Log
}

// Part is one document of an overview.
type Part struct {
	Folder, ID, Number, Kind, Title, Headline string
	Sender                                    Who
	At                                        time.Time
}

// part is a report in one language; title is that of the whole.
type part struct {
	words
	title, lead string
	sections    []section
}

type section struct {
	id, title string
	blocks    []block
}

// tone is how a text stands out. What it means is in the words too: paper and
// many people know no colours.
type tone string

const (
	plain tone = ""
	good  tone = "good"
	bad   tone = "bad"
	open  tone = "open"
	quiet tone = "quiet"
)

// block is a paragraph, facts, a card, commands or a table: the one that is
// set.
type block struct {
	text  string
	tone  tone
	facts []fact
	card  *card
	code  []string
	table *table
}

// card is a thing of its own: a party, a signature, an event.
type card struct {
	number, title, badge string
	tone                 tone
	facts                []fact
}

// fact is a label with its value. An empty label goes on with the one above.
type fact struct {
	label, value string
	// link is the entry that value names.
	link         string
	mono, strong bool
	tone         tone
}

// table has a head that is repeated on each page. Widths are parts of 100.
type table struct {
	head   []string
	widths []float64
	rows   [][]cell
}

// cell is one cell's lines.
type cell []run

type run struct {
	text         string
	mono, strong bool
	quiet        bool
}

// zoneChange is when the time of Almaty went from UTC+6 to UTC+5.
var zoneChange = time.Date(2024, 2, 29, 18, 0, 0, 0, time.UTC)

const stamp = "02.01.2006 15:04:05"

// moment writes a moment twice.
func (w words) moment(t time.Time) string {
	return w.universal(t) + " · " + w.almaty(t)
}

// deadline writes the last day on which acting was in time, by the clocks of
// Kazakhstan.
func (w words) deadline(t time.Time) string {
	return dates.Deadline(dates.Language(w.language), t, time.Time{}) + " (UTC+5)"
}

func (w words) universal(t time.Time) string { return w.say("utc", "when", t.UTC().Format(stamp)) }

func (w words) almaty(t time.Time) string {
	offset := 5
	if t.Before(zoneChange) {
		offset = 6
	}
	return w.say("almaty", "when", t.UTC().Add(time.Duration(offset)*time.Hour).Format(stamp), "offset", offset)
}

func (w words) who(p Who) string {
	switch {
	case p.ID == "system" || p.ID == "operator":
		return w.say("who." + p.ID)
	case p.Name != "":
		return p.Name
	case p.Erased:
		return w.say("participant.erased")
	}
	return w.say("who.closed")
}

// behalf names somebody who acted for a party.
func (w words) behalf(p, party Who) string {
	return w.say("by.onbehalf", "who", w.who(p), "party", w.who(party))
}

func (w words) value(v Value) string {
	switch {
	case v.Who != nil:
		return w.who(*v.Who)
	case !v.At.IsZero():
		return w.moment(v.At)
	case !v.Due.IsZero():
		return w.deadline(v.Due)
	case v.Family != "" && v.Coded:
		return w.code(v.Family, v.Text)
	case v.Family != "":
		return w.name(v.Family, v.Text)
	case v.Text == "yes":
		return w.say("yes")
	}
	return v.Text
}

func (w words) documentName(kind, title string) string {
	if title == "" {
		return w.name("kind", kind)
	}
	return title
}

// money writes a sum: the tenge by its sign, other currencies by their codes.
func (w words) money(minor, currency string) string {
	if minor == "" {
		return ""
	}
	sign := ""
	if rest, negative := strings.CutPrefix(minor, "-"); negative {
		sign, minor = "-", rest
	}
	if currency == "KZT" {
		currency = "₸"
	}
	for len(minor) < 3 {
		minor = "0" + minor
	}
	thousands, point := "\u00a0", ","
	if w.language == "en" {
		thousands, point = ",", "."
	}
	return sign + threes(minor[:len(minor)-2], thousands) + point + minor[len(minor)-2:] + "\u00a0" + currency
}

func threes(digits, between string) string {
	var b strings.Builder
	for i, r := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteString(between)
		}
		b.WriteRune(r)
	}
	return b.String()
}

// fours sets a number of 20 digits in groups.
func fours(digits string) string {
	var b strings.Builder
	for i, r := range digits {
		if i > 0 && i%4 == 0 {
			b.WriteString("\u00a0")
		}
		b.WriteRune(r)
	}
	return b.String()
}

func paragraph(text string, t tone) block { return block{text: text, tone: t} }

// parts lays the report out in each language.
func (d Document) parts() ([]part, error) {
	all, err := catalogue()
	if err != nil {
		return nil, err
	}
	var list []part
	for _, w := range all {
		p := part{words: w, title: w.say("report.title"), lead: w.say("report.lead") + " " + w.say("report.time")}
		p.sections = []section{
			{"conclusion", w.say("conclusion"), d.conclusion(w)},
			{"what", w.say("what"), d.what(w)},
			{"parties", w.say("parties"), d.parties(w)},
			{"signatures", w.say("signatures"), d.signatures(w)},
			{"timeline", w.say("timeline"), d.timeline(w)},
			{"proofs", w.say("proofs"), d.proofs(w)},
			{"absent", w.say("absent"), d.absent(w)},
			{"check", w.say("check"), d.check(w)},
		}
		list = append(list, p)
	}
	return list, nil
}

// conclusion is what a court reads first: who signed, and whether it stands.
func (d Document) conclusion(w words) []block {
	facts := []fact{{label: w.say("what.title"), value: d.Title, strong: true}}
	if len(d.Signatures) == 0 {
		facts = append(facts, fact{label: w.say("signatures"), value: w.say("conclusion.none")})
	}
	for _, s := range d.Signatures {
		by := w.registered(s)
		if s.OnBehalf {
			by = w.say("by.onbehalf", "who", w.who(s.By), "party", by)
		}
		stands, mark := w.say("force.stands"), toneOf(s.Signing.Status)
		switch {
		case s.Signing.Status != "valid":
			stands = w.name("verdict", s.Signing.Status)
		case s.Force == "lost":
			mark = bad
			stands = w.name("force", s.Force) + ": " + w.say("signature.lost.why", "at", w.moment(s.Since), "source", w.name("source", s.Source), "ground", w.name("crl", s.Ground))
		case s.Force == "in-doubt":
			mark = open
			stands = w.name("force", s.Force) + ": " + w.say("signature.doubt.why", "at", w.moment(s.Since))
		}
		facts = append(facts,
			fact{label: w.say("conclusion.signature", "n", fmt.Sprintf("%02d", s.Number)), value: by, strong: true},
			fact{label: w.say("signature.owner"), value: w.subject(s.Subject)},
			fact{label: w.say("conclusion.at"), value: w.moment(s.Signing.At)},
			fact{label: w.say("conclusion.stands"), value: stands, strong: true, tone: mark})
	}
	until := w.say("conclusion.until.text", "at", w.moment(d.At), "position", d.Position)
	if d.Log != nil && d.Log.Size > 0 {
		until += " " + w.say("conclusion.checkpoint", "origin", d.Log.Origin, "size", d.Log.Size)
	}
	return []block{{facts: append(facts, fact{label: w.say("conclusion.until"), value: until})}}
}

// registered is the party of a signature as the ledger registered it.
func (w words) registered(s Signature) string {
	said := w.who(s.Party)
	if s.Identifier != "" {
		said += ", " + w.name("identifier", s.Kind) + " " + s.Identifier
	}
	return said
}

// subject is whose a certificate is, as it says itself.
func (w words) subject(s Subject) string {
	if s.Person == "" && s.Name == "" && s.IIN == "" && s.BIN == "" {
		return w.say("who.closed")
	}
	said := []string{s.names(w)}
	if numbers := s.numbers(w); numbers != "" {
		said = append(said, numbers)
	}
	if s.Role != "" {
		said = append(said, w.name("signer-role", s.Role))
	}
	return strings.Join(said, ", ")
}

// names are the person's name and the organisation's.
func (s Subject) names(w words) string {
	switch {
	case s.Person != "" && s.Name != "":
		return s.Person + ", " + s.Name
	case s.Person != "" || s.Name != "":
		return s.Person + s.Name
	}
	return w.say("who.closed")
}

// numbers are the IIN and the BIN.
func (s Subject) numbers(w words) string {
	var said []string
	if s.IIN != "" {
		said = append(said, w.say("identifier.natural-person")+" "+s.IIN)
	}
	if s.BIN != "" {
		said = append(said, w.say("identifier.legal-entity")+" "+s.BIN)
	}
	return strings.Join(said, ", ")
}

func (d Document) what(w words) []block {
	number := w.say("what.nonumber")
	if d.Number != "" {
		number = fours(d.Number)
	}
	sender := d.SenderNumber
	if d.Date != "" {
		sender = strings.TrimPrefix(sender+", "+dates.Own(dates.Language(w.language), d.Date), ", ")
	}
	facts := []fact{
		{label: w.say("what.title"), value: d.Title, strong: true},
		{label: w.say("what.kind"), value: w.name("kind", d.Kind)},
		{label: w.say("what.number"), value: number, strong: true},
		{label: w.say("what.sendernumber"), value: sender},
		{label: w.say("what.sum"), value: w.money(d.Minor, d.Currency)},
		{label: w.say("what.status"), value: w.name("headline", d.Headline), strong: true},
		{label: w.say("what.ended"), value: d.EndReason},
	}
	if d.Held {
		facts = append(facts, fact{label: w.say("what.held"), value: w.say("what.held.yes"), strong: true})
	}
	facts = append(facts, fact{label: w.say("what.id"), value: d.ID, mono: true})
	facts = append(facts, d.source(w)...)
	blocks := []block{{facts: facts}}
	if d.Destroyed {
		blocks = append([]block{paragraph(w.say("absent.destroyed"), bad)}, blocks...)
	}
	if len(d.Files) == 0 {
		return append(blocks, paragraph(w.say("what.nofiles"), quiet))
	}
	for i, f := range d.Files {
		name := f.Name
		if name == "" {
			name = w.say("file.destroyed")
		}
		facts := []fact{
			{label: w.say("file.in"), value: f.Entry, link: f.Entry},
			{label: w.say("file.type"), value: f.MediaType},
			{label: w.say("file.size"), value: threes(strconv.FormatInt(f.Size, 10), "\u00a0")},
			{label: w.say("file.hash"), value: f.SHA256, mono: true},
		}
		if len(f.Cautions) > 0 {
			facts = append(facts, fact{label: w.say("file.cautions"), value: w.cautions(f.Cautions)})
		}
		if f.Entry == "" {
			facts[0] = fact{label: w.say("file.in"), value: w.say("file.destroyed")}
		}
		blocks = append(blocks, block{card: &card{number: strconv.Itoa(i + 1), title: w.say("fact.file") + ": " + name, facts: facts}})
	}
	return blocks
}

// cautions are the words of a file's cautions, each with its code.
func (w words) cautions(codes []string) string {
	var said []string
	for _, code := range codes {
		said = append(said, w.code("caution", code)+" ("+code+")")
	}
	return strings.Join(said, "; ")
}

func (s Source) source(w words) []fact {
	return []fact{
		{label: w.say("what.ledger"), value: s.Ledger},
		{label: w.say("what.asof"), value: w.moment(s.At)},
		{label: w.say("what.position"), value: strconv.FormatUint(s.Position, 10)},
	}
}

func (d Document) parties(w words) []block {
	var blocks []block
	for i, p := range d.Parties {
		role := w.name("role", p.Role)
		if p.Sender {
			role = w.say("party.sender")
			if p.Role == "sign" {
				role += ", " + strings.ToLower(w.name("role", p.Role))
			}
		}
		c := card{number: strconv.Itoa(i + 1), title: w.who(p.Who)}
		add := func(label, value string) {
			if value != "" {
				c.facts = append(c.facts, fact{label: label, value: value})
			}
		}
		when := func(label string, t time.Time) {
			if !t.IsZero() {
				add(w.say(label), w.moment(t))
			}
		}
		add(w.say("party.role"), role)
		if p.Kind != "" {
			add(w.say("party.kind"), w.name("participant-kind", p.Kind))
			if p.Identifier != "" {
				add(w.name("identifier", p.Kind), p.Identifier)
			}
		}
		if p.Order > 0 {
			add(w.say("party.step"), strconv.Itoa(p.Order))
		}
		if !p.Deadline.IsZero() {
			add(w.say("party.deadline"), w.deadline(p.Deadline))
		}
		when("party.delivered", p.DeliveredAt)
		when("party.viewed", p.ViewedAt)
		when("party.acknowledged", p.AcknowledgedAt)
		if p.Outcome != "" {
			outcome := w.name("state", p.Outcome)
			c.badge, c.tone = outcome, good
			if p.Outcome == "rejected" {
				c.tone = bad
			}
			if !p.ActedAt.IsZero() {
				outcome += ", " + w.moment(p.ActedAt)
			}
			add(w.say("party.outcome"), outcome)
		}
		if p.Attempts > 0 {
			add(w.say("party.attempts"), strconv.Itoa(p.Attempts))
		}
		c.facts = append(c.facts, fact{label: w.say("party.id"), value: p.ID, mono: true})
		blocks = append(blocks, block{card: &c})
	}
	if len(d.Parties) < 2 {
		blocks = append(blocks, paragraph(w.say("unsent"), quiet))
	}
	return blocks
}

func toneOf(status string) tone {
	switch status {
	case "valid":
		return good
	case "invalid":
		return bad
	}
	return open
}

func (d Document) signatures(w words) []block {
	if len(d.Signatures) == 0 {
		key := "signatures.none"
		if d.Destroyed {
			key = "signatures.gone"
		}
		return []block{paragraph(w.say(key), quiet)}
	}
	var blocks []block
	for _, s := range d.Signatures {
		c := card{title: w.say("signature.title", "n", fmt.Sprintf("%02d", s.Number), "party", w.who(s.Party)),
			badge: w.name("verdict", s.Signing.Status), tone: toneOf(s.Signing.Status)}
		add := func(f fact) {
			if f.value != "" {
				c.facts = append(c.facts, f)
			}
		}
		if s.Force == "lost" || s.Force == "in-doubt" {
			c.badge, c.tone = w.name("force", s.Force), open
			why := w.say("signature.doubt.why", "at", w.moment(s.Since))
			if s.Force == "lost" {
				c.tone = bad
				why = w.say("signature.lost.why", "at", w.moment(s.Since), "source", w.name("source", s.Source), "ground", w.name("crl", s.Ground))
			}
			add(fact{label: c.badge, value: why, strong: true})
			if s.Replaced {
				add(fact{value: w.say("signature.replaced")})
			}
		}
		for i, f := range s.Files {
			label := ""
			if i == 0 {
				label = w.say("signature.file")
			}
			add(fact{label: label, value: f, link: f})
		}
		by := w.who(s.By)
		if s.OnBehalf {
			by = w.behalf(s.By, s.Party)
		}
		add(fact{label: w.say("signature.by"), value: by})
		add(fact{label: w.say("signature.method"), value: w.name("method", s.Method)})
		if s.Seal {
			add(fact{label: w.say("signature.seal"), value: w.say("signature.seal.yes")})
		}
		for _, v := range []struct {
			label string
			Verdict
			trusted bool
		}{{"signature.signing", s.Signing, s.Trusted}, {"signature.receipt", s.Receipt, false}} {
			marked := toneOf(v.Status)
			if c.tone != good {
				marked = plain // a green mark beside a signature that does not stand would be a second verdict
			}
			add(fact{label: w.say(v.label), value: w.name("verdict", v.Status), strong: true, tone: marked})
			how := w.say("signature.untrusted")
			if v.trusted {
				how = w.say("signature.trusted")
			}
			add(fact{value: w.moment(v.At) + " — " + how})
			for _, code := range v.Codes {
				add(fact{value: "– " + w.code("reason", code)})
			}
		}
		add(fact{label: w.say("signature.registered"), value: w.registered(s)})
		add(fact{label: w.say("signature.owner"), value: w.subject(s.Subject)})
		add(fact{label: w.say("signature.serial"), value: s.Subject.Serial, mono: true})
		add(fact{label: w.say("signature.issuer"), value: s.Subject.Issuer})
		if !s.NotBefore.IsZero() {
			add(fact{label: w.say("signature.period"), value: w.universal(s.NotBefore) + " – " + w.universal(s.NotAfter)})
		}
		add(fact{label: w.say("signature.algorithm"), value: s.Algorithm})
		if !s.ClaimedAt.IsZero() {
			add(fact{label: w.say("signature.claimed"), value: w.moment(s.ClaimedAt)})
		}
		add(fact{label: w.say("signature.certificate"), value: s.Certificate, mono: true})
		for i, e := range s.Evidence {
			label := ""
			if i == 0 {
				label = w.say("signature.rests")
			}
			add(fact{label: label, value: w.say("evidence."+e.Kind) + ": " + e.Entry, link: e.Entry})
		}
		add(fact{label: w.say("signature.event"), value: s.EventEntry, link: s.EventEntry})
		blocks = append(blocks, block{card: &c})
	}
	return blocks
}

// Bounds of what a report shows: of more events the first and the last, of a
// longer text its beginning.
const (
	maxEvents = 4000
	maxText   = 6000 // characters
)

// hashes are the labels of values that are hashes.
var hashes = []string{"fact.hash", "fact.replaces", "fact.certificate", "fact.letter"}

func (d Document) timeline(w words) []block {
	blocks := []block{paragraph(w.say("timeline.lead"), quiet)}
	for i, e := range d.Events {
		// Nobody reads more, and a hostile packet may have any number.
		if omitted := len(d.Events) - maxEvents; omitted > 0 && i >= maxEvents/2 && i < maxEvents/2+omitted {
			if i == maxEvents/2 {
				blocks = append(blocks, paragraph(w.say("timeline.omitted", "n", omitted), open))
			}
			continue
		}
		c := card{number: strconv.Itoa(e.Number), title: w.name("event", e.Type)}
		c.facts = append(c.facts, fact{label: w.say("when"), value: w.moment(e.At), strong: true})
		by := w.who(e.Actor)
		if e.OnBehalf != nil {
			by = w.behalf(e.Actor, *e.OnBehalf)
		}
		c.facts = append(c.facts, fact{label: w.say("by"), value: by})
		last := ""
		for _, f := range e.Facts {
			if f.Label == "fact.at" && w.universal(f.Value.At) == w.universal(e.At) {
				continue // it was recorded when it was done
			}
			label := w.say(f.Label)
			if f.Label == last {
				label = ""
			}
			last = f.Label
			c.facts = append(c.facts, fact{label: label, value: w.value(f.Value), mono: slices.Contains(hashes, f.Label)})
		}
		if e.Withheld {
			c.facts = append(c.facts, fact{value: w.say("withheld"), tone: open})
		}
		if e.Destroyed {
			c.facts = append(c.facts, fact{value: w.say("withheld.destroyed"), tone: open})
		}
		c.facts = append(c.facts, fact{label: w.say("fact.event"), value: e.Entry, link: e.Entry})
		blocks = append(blocks, block{card: &c})
	}
	return blocks
}

func (d Document) proofs(w words) []block {
	return []block{
		paragraph(w.say("proofs.lead"), plain),
		{facts: append([]fact{
			{label: w.say("proofs.events"), value: strconv.Itoa(d.Chain.Events)},
			{label: w.say("proofs.streams"), value: strconv.Itoa(d.Chain.Streams)},
			{label: w.say("proofs.own"), value: strconv.Itoa(d.Chain.Own)},
			{label: w.say("proofs.first"), value: d.Chain.First, mono: true},
			{label: w.say("proofs.last"), value: d.Chain.Last, mono: true},
			{label: w.say("proofs.seal"), value: w.say("proofs.seal.how", "hash", d.Seal)},
			{label: w.say("proofs.time"), value: w.say("proofs.time.how")},
		}, d.Log.facts(w)...)},
	}
}

func (d Document) absent(w words) []block {
	var blocks []block
	add := func(text string) { blocks = append(blocks, paragraph("– "+text, plain)) }
	if d.Destroyed {
		add(w.say("absent.destroyed"))
	}
	if n := d.Absent.Withheld; n > 0 {
		add(w.say("absent.withheld", "n", n))
	}
	if n := d.Absent.Erased; n > 0 {
		add(w.say("absent.erased", "n", n))
	}
	if n := d.Absent.Drafts; n > 0 {
		add(w.say("absent.drafts", "n", n))
	}
	if n := d.Absent.Refused; n > 0 {
		add(w.say("absent.refused", "n", n))
	}
	add(w.say("absent.others", "position", d.Position))
	return blocks
}

func (d Document) check(w words) []block {
	blocks := d.Source.check(w)
	if len(d.Commands) > 0 {
		blocks = append(blocks, block{code: d.Commands})
	}
	return append(blocks, paragraph(w.say("check.rest"), plain))
}

// check is what every report says of checking.
func (s Source) check(w words) []block {
	return []block{
		paragraph(w.say("check.program"), plain),
		{code: []string{"dalel verify --trust DIR PACKET"}},
		{facts: []fact{{label: w.say("check.made"), value: strings.TrimSpace(s.VerifierName + " " + s.VerifierVersion)}}},
		paragraph(w.say("check.hand"), plain),
		{code: []string{"sha256sum -c manifest-sha256.txt"}},
	}
}

func (o Overview) parts() ([]part, error) {
	all, err := catalogue()
	if err != nil {
		return nil, err
	}
	var list []part
	for _, w := range all {
		facts := []fact{{label: w.say("overview.chosen"), value: w.say("overview.chosen.value", "n", len(o.Documents))}}
		if o.Participant.ID != "" {
			facts = []fact{
				{label: w.say("overview.participant"), value: w.who(o.Participant), strong: true},
				{label: w.say("party.id"), value: o.Participant.ID, mono: true},
				{label: w.say("overview.period"), value: w.period(o.From, o.To)},
				{label: w.say("overview.chosen"), value: w.say("overview.chosen.period", "n", len(o.Documents))},
			}
		}
		about := []block{{facts: append(facts, o.source(w)...)}}
		if o.Participant.ID != "" {
			about = append(about, paragraph(w.say("overview.complete"), quiet))
		}
		var documents []block
		for i, d := range o.Documents {
			number := w.say("what.nonumber")
			if d.Number != "" {
				number = fours(d.Number)
			}
			documents = append(documents, block{card: &card{
				number: strconv.Itoa(i + 1), title: w.documentName(d.Kind, d.Title), badge: w.name("headline", d.Headline),
				facts: []fact{
					{label: w.say("what.kind"), value: w.name("kind", d.Kind)},
					{label: w.say("what.number"), value: number},
					{label: w.say("party.sender"), value: w.who(d.Sender)},
					{label: w.say("overview.newest"), value: w.moment(d.At)},
					{label: w.say("what.id"), value: d.ID, mono: true},
					{label: w.say("overview.report"), value: d.Folder + "report.html", link: d.Folder + "report.html"},
				},
			}})
		}
		list = append(list, part{words: w, title: w.say("overview.title"), lead: w.say("overview.lead") + " " + w.say("report.time"), sections: []section{
			{"what", w.say("overview.what"), about},
			{"documents", w.say("overview.documents"), documents},
			{"proofs", w.say("proofs"), []block{{facts: append([]fact{{label: w.say("proofs.seal"), value: w.say("proofs.seal.how", "hash", o.Seal)}}, o.Log.facts(w)...)}}},
			{"check", w.say("check"), append(o.Source.check(w), paragraph(w.say("check.rest"), plain))},
		}})
	}
	return list, nil
}

func (w words) period(from, to time.Time) string {
	return w.say("overview.period.value", "from", w.almaty(from), "to", w.almaty(to))
}
