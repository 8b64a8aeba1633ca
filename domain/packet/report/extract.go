package report

import (
	"strconv"
	"strings"
	"time"
)

// Extract is an extract from the electronic journals.
type Extract struct {
	Source
	// Document, Participant and the period are what it is about; each may be
	// missing.
	Document    string
	Participant Named
	From, To    time.Time
	// Newest is the commitment of the newest event.
	Newest  string
	Entries []Entry
}

// PDF is the extract as a file with its fonts inside.
func (x Extract) PDF() ([]byte, error) {
	parts, err := x.parts()
	if err != nil {
		return nil, err
	}
	return pdf(parts, x.At, x.Ledger)
}

func (x Extract) parts() ([]part, error) {
	all, err := catalogue()
	if err != nil {
		return nil, err
	}
	var list []part
	for _, w := range all {
		var facts []fact
		if x.Document != "" {
			facts = append(facts, fact{label: w.say("extract.document"), value: x.Document, mono: true})
		}
		switch {
		case x.Participant.ID != "":
			facts = append(facts, fact{label: w.say("extract.participant"), value: w.who(x.Participant.who()), strong: true},
				fact{label: w.mark(x.Participant), value: x.Participant.Identifier},
				fact{label: w.say("party.id"), value: x.Participant.ID, mono: true})
		case x.Document == "":
			facts = append(facts, fact{label: w.say("extract.participant"), value: w.say("extract.all")})
		}
		if !x.To.IsZero() {
			facts = append(facts, fact{label: w.say("extract.period"), value: w.period(x.From, x.To)})
		}
		facts = append(facts, fact{label: w.say("extract.rows"), value: strconv.Itoa(len(x.Entries))})
		facts = append(facts, x.source(w)...)
		facts = append(facts, fact{label: w.say("extract.newest"), value: x.Newest, mono: true},
			fact{label: w.say("proofs.seal"), value: w.say("proofs.seal.how", "hash", x.Seal)})
		t := table{
			head: []string{w.say("extract.column.when"), w.say("extract.column.journal"), w.say("extract.column.document"),
				w.say("extract.column.event"), w.say("extract.column.commitment")},
			widths: []float64{16, 19, 22, 26, 17},
		}
		for _, e := range x.Entries {
			t.rows = append(t.rows, e.cells(w))
		}
		list = append(list, part{words: w, title: w.say("extract.title"), lead: w.say("extract.lead") + " " + w.say("report.time"), sections: []section{
			{"what", w.say("extract.what"), []block{{facts: facts}}},
			{"entries", w.say("extract.entries"), []block{{table: &t}}},
			{"check", w.say("extract.check"), append(x.Source.check(w), paragraph(w.say("extract.check.how"), plain))},
		}})
	}
	return list, nil
}

// runs say who signed: the person, the position and the party, and beside them
// whose the certificate is.
func (s *Signer) runs(w words) []run {
	if s == nil {
		return nil
	}
	of := s.Certificate
	runs := []run{{text: w.say("journal.column.signer") + ": " + w.named(s.By)}}
	if s.By.ID != s.Party.ID {
		runs = append(runs, run{text: w.say("journal.column.behalf") + ": " + w.named(s.Party)})
	}
	return append(runs,
		run{text: w.say("signature.owner") + ": " + w.subject(of)},
		run{text: w.say("signature.serial") + ": " + of.Serial, mono: true},
		run{text: w.say("signature.issuer") + ": " + of.Issuer, quiet: true})
}

// cells are an entry's cells.
func (e Entry) cells(w words) []cell {
	document := cell{{text: w.documentName(e.Kind, e.Title), strong: true}, {text: w.name("kind", e.Kind), quiet: true}}
	if e.Number != "" {
		document = append(document, run{text: "№ " + fours(e.Number)})
	}
	if own := strings.TrimPrefix(e.SenderNumber+", "+e.Date, ", "); own != "" {
		document = append(document, run{text: strings.TrimSuffix(own, ", "), quiet: true})
	}
	document = append(document, run{text: w.name("headline", e.Headline), strong: true}, run{text: e.Document, mono: true})
	event := cell{{text: w.name("event", e.Type), strong: true}, {text: w.acting(e)}}
	event = append(event, e.Signature.runs(w)...)
	for _, text := range e.particulars(w) {
		event = append(event, run{text: text})
	}
	return []cell{
		{{text: w.universal(e.At)}, {text: w.almaty(e.At), quiet: true}},
		{{text: w.name("journal", e.Journal), strong: true}, {text: w.who(e.Participant.who())}, {text: strings.TrimSpace(w.mark(e.Participant) + " " + e.Participant.Identifier), quiet: true}},
		document, event,
		{{text: strconv.FormatUint(e.Position, 10)}, {text: e.Commitment, mono: true}},
	}
}
