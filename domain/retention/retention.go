package retention

import (
	"encoding/json"
	"slices"
	"time"

	jsonv2 "github.com/go-json-experiment/json"

	"dalel/domain/document"
	"dalel/internal/fault"
)

// Bounds of an operator's rules.
const (
	MaxRules      = 200
	MaxRulesBytes = 1 << 20
)

// Record is what a rule keeps.
type Record string

// The records. Document, journal and delivery facts are a document's own and
// end with its key; consent and personal data are a participant's.
const (
	Document     Record = "document"
	Journal      Record = "journal"
	Delivery     Record = "delivery"
	Consent      Record = "consent"
	PersonalData Record = "personal-data"
)

// Records lists all records.
func Records() []Record { return []Record{Document, Journal, Delivery, Consent, PersonalData} }

// TitleKey is the key of the record's name among the texts of pages.
func (r Record) TitleKey() string { return "retention.record." + string(r) }

// From is the moment at which a period begins.
type From string

// The moments.
const (
	Sent      From = "sent"      // the document was sent
	Ended     From = "ended"     // its route ended, or the agreement did
	Delivered From = "delivered" // its last recipient had it
	Recorded  From = "recorded"  // the last act in the journal
)

// ReasonKey is the key of the words "since it was sent" and so on among the
// texts of pages.
func (f From) ReasonKey() string { return "retention.from." + string(f) }

// Rule says for how long one kind of record is kept.
type Rule struct {
	Record Record `json:"record"`
	// Kind is the kind of documents that the rule is about, "" for all.
	Kind   document.Kind `json:"kind,omitempty"`
	Period Period        `json:"period"`
	From   From          `json:"from"`
}

// ID names the rule by what it says, such as "document/contract/P10Y/ended",
// with "all" for all kinds. Two rules with one id say the same.
func (r Rule) ID() string {
	kind := string(r.Kind)
	if kind == "" {
		kind = "all"
	}
	return string(r.Record) + "/" + kind + "/" + r.Period.String() + "/" + string(r.From)
}

// floor is what R-G3 asks for a record at least: so many years, from one of
// these moments, each of which is never before the one that the row names.
type floor struct {
	record Record
	years  int
	from   []From
}

func floors() []floor {
	return []floor{
		{Document, 10, []From{Ended, Recorded}},
		{Journal, 10, []From{Recorded}},
		{Delivery, 3, []From{Delivered, Recorded}},
		{Consent, 5, []From{Ended, Recorded}},
	}
}

// check refuses a rule that says nothing or too little.
func (r Rule) check() error {
	invalid := func(format string, args ...any) error { return fault.New(fault.ConfigInvalid, format, args...) }
	ofDocument := slices.Contains([]Record{Document, Journal, Delivery}, r.Record)
	switch {
	case !slices.Contains(Records(), r.Record):
		return invalid("the record is one of %v", Records())
	case r.Kind != "" && !slices.Contains(document.Kinds(), r.Kind):
		return invalid("the kind is one of %v, or left out", document.Kinds())
	case r.Kind != "" && !ofDocument:
		return invalid("%s has no kinds of documents", r.Record)
	case !slices.Contains([]From{Sent, Ended, Delivered, Recorded}, r.From):
		return invalid("from is sent, ended, delivered or recorded")
	case !ofDocument && r.From != Ended && r.From != Recorded:
		return invalid("%s is kept from ended or recorded", r.Record)
	}
	if err := r.Period.check(); err != nil {
		return err
	}
	for _, f := range floors() {
		if f.record == r.Record && 12*r.Period.Years+r.Period.Months < 12*f.years {
			return invalid("%s is kept for %d years at least, counted in years and months", r.Record, f.years)
		}
	}
	return nil
}

// Rules are an operator's rules, checked. The zero Rules have none: by them
// nothing's retention ever ends.
type Rules struct {
	first Period
	list  []Rule
}

// firstPeriod leaves a sender a month to finish a draft.
func firstPeriod() Period { return Period{Days: 30} }

// Default returns the rules of R-G3 and no more: documents for ten years from
// the end of their route, journals for ten from their last record, delivery
// facts for three from delivery, consent for five after its end.
func Default() Rules {
	return Rules{first: firstPeriod(), list: []Rule{
		{Record: Document, Period: Period{Years: 10}, From: Ended},
		{Record: Journal, Period: Period{Years: 10}, From: Recorded},
		{Record: Delivery, Period: Period{Years: 3}, From: Delivered},
		{Record: Consent, Period: Period{Years: 5}, From: Ended},
	}}
}

// New makes rules of a list; a zero first stands for P30D. What is not as the
// package's page says is config.invalid.
func New(first Period, list ...Rule) (Rules, error) {
	invalid := func(format string, args ...any) (Rules, error) {
		return Rules{}, fault.New(fault.ConfigInvalid, "retention: "+format, args...)
	}
	if first == (Period{}) {
		first = firstPeriod()
	}
	if err := first.check(); err != nil {
		return Rules{}, fault.Wrap(fault.ConfigInvalid, err, "retention: the first period cannot be used")
	}
	if len(list) > MaxRules {
		return invalid("there are %d rules at most", MaxRules)
	}
	seen := map[string]bool{}
	for i, rule := range list {
		if err := rule.check(); err != nil {
			return Rules{}, fault.Wrap(fault.ConfigInvalid, err, "retention: rule %d cannot be used", i+1)
		}
		if seen[rule.ID()] {
			return invalid("rule %d stands there twice", i+1)
		}
		seen[rule.ID()] = true
	}
	for _, f := range floors() {
		if !slices.ContainsFunc(list, func(r Rule) bool {
			return r.Record == f.record && r.Kind == "" && slices.Contains(f.from, r.From)
		}) {
			return invalid("no rule keeps every %s for %d years from %v", f.record, f.years, f.from)
		}
	}
	return Rules{first: first, list: slices.Clone(list)}, nil
}

// Parse reads the JSON of the package's page. Anything else in it, or more
// than MaxRulesBytes, is config.invalid.
func Parse(text []byte) (Rules, error) {
	if len(text) > MaxRulesBytes {
		return Rules{}, fault.New(fault.ConfigInvalid, "retention: the rules have %d bytes at most", MaxRulesBytes)
	}
	var written wire
	if err := jsonv2.Unmarshal(text, &written, jsonv2.RejectUnknownMembers(true)); err != nil {
		return Rules{}, fault.Wrap(fault.ConfigInvalid, err, "retention: the rules cannot be read")
	}
	return New(written.First, written.Rules...)
}

type wire struct {
	First Period `json:"first,omitzero"`
	Rules []Rule `json:"rules"`
}

// MarshalJSON writes the rules as Parse reads them.
func (r Rules) MarshalJSON() ([]byte, error) { return json.Marshal(wire{r.First(), r.list}) }

// List returns the rules in their order.
func (r Rules) List() []Rule { return slices.Clone(r.list) }

// First is for how long an upload is locked before anything else is known of
// it.
func (r Rules) First() Period {
	if r.first == (Period{}) {
		return firstPeriod()
	}
	return r.first
}

// End is what one rule comes to.
type End struct {
	// Rule is the rule's id.
	Rule   string `json:"rule"`
	Record Record `json:"record"`
	From   From   `json:"from"`
	// Since is the moment that From names, Until the first at which the
	// period has passed. Both are in UTC.
	Since time.Time `json:"since"`
	Until time.Time `json:"until"`
}

// Retention is until when something is kept: the end that is latest, and what
// the other rules that apply came to, in the order of the rules. Of two equal
// ends the first rule's counts.
type Retention struct {
	End
	Others []End `json:"others,omitempty"`
}

// Moments are what the periods begin with, nil for what has not happened: a
// rule from such a moment does not apply.
type Moments struct{ Sent, Ended, Delivered, Recorded *time.Time }

func (m Moments) at(from From) *time.Time {
	switch from {
	case Sent:
		return m.Sent
	case Ended:
		return m.Ended
	case Delivered:
		return m.Delivered
	case Recorded:
		return m.Recorded
	default:
		return nil
	}
}

// Longest returns the retention by all rules about these records that apply at
// these moments, to documents of a kind ("" where there is none). It is false
// if no rule applies, which says that no end is known, and not that there is
// none to wait for.
func (r Rules) Longest(kind document.Kind, moments Moments, records ...Record) (Retention, bool) {
	var ends []End
	longest := 0
	for _, rule := range r.list {
		since := moments.at(rule.From)
		if since == nil || rule.Kind != "" && rule.Kind != kind || !slices.Contains(records, rule.Record) {
			continue
		}
		ends = append(ends, End{Rule: rule.ID(), Record: rule.Record, From: rule.From, Since: since.UTC(), Until: rule.Period.After(*since)})
		if last := len(ends) - 1; ends[last].Until.After(ends[longest].Until) {
			longest = last
		}
	}
	if len(ends) == 0 {
		return Retention{}, false
	}
	end := ends[longest]
	return Retention{End: end, Others: slices.Delete(ends, longest, longest+1)}, true
}

// ForDocument returns until when a document is kept, its journal and its
// delivery facts with it. It is false while no end is in sight: for a draft,
// and while somebody is awaited.
//
// lastRecorded is when the document's journal had its last record, if the
// caller knows of a later one than [document.State.LastRecorded]; else the
// zero time. It must not be the time of a hold or of a proposal to destroy:
// each of them would then begin the ten years anew.
func (r Rules) ForDocument(s document.State, lastRecorded time.Time) (Retention, bool) {
	if s.EndedAt == nil {
		return Retention{}, false
	}
	recorded := *s.EndedAt
	if s.LastRecorded != nil && s.LastRecorded.After(recorded) {
		recorded = *s.LastRecorded
	}
	if lastRecorded.After(recorded) {
		recorded = lastRecorded
	}
	moments := Moments{Sent: s.SentAt, Ended: s.EndedAt, Delivered: s.LastDelivery, Recorded: &recorded}
	return r.Longest(s.Details.Kind, moments, Document, Journal, Delivery)
}
