package pages

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"dalel/domain/access"
	"dalel/domain/document"
	"dalel/domain/fileformat"
	"dalel/domain/ledger"
	"dalel/domain/retention"
	"dalel/httpapi/route"
	"dalel/internal/fault"
	"dalel/projections"
)

// originalLimit bounds the question whether an original exists.
const originalLimit = 5 * time.Second

// keepingView is the section of a document's page, and the operator's page,
// that says until when the document is kept and how far its end has come.
type keepingView struct {
	words
	termView
	Holds []holdView
	// Original is nil where nobody is told: for drafts, and on the operator's
	// page.
	Original    *badge
	OriginalWhy string
	// Exemplars is how many were issued, "" for none.
	Exemplars string
	// Issued says that the document has copies, or could.
	Issued bool
	Copies []copyView
	Steps  []destructionStep
	// Missing says who must still ask, or that nobody must.
	Missing string
	Actions []actionView
}

// termView is until when a document is kept, in words.
type termView struct {
	// Term is the sentence, TermEnd the moment in full where there is one, and
	// Rule the rule that lasts longest.
	Term    string
	TermEnd *moment
	Rule    string
	// Over says that the time has run out.
	Over bool
}

type holdView struct {
	ID    string
	Since moment
	// Ground is empty for the parties, who are not told it.
	Ground string
	// Lift is the operator's form, nil for others.
	Lift *actionView
}

type copyView struct {
	Text, Who, Href, Label string
	At                     moment
}

// destructionStep is one thing that happened on the way to a destruction.
type destructionStep struct {
	Text, More string
	At         moment
	// Letter is where the request's letter is found, "" for those who are not
	// shown it.
	Letter, LetterText string
}

// goneView is the banner of a document whose destruction is ordered or done.
type goneView struct{ Text string }

// term says until when a document is kept.
func (w words) term(s document.State, found retention.Retention, ended bool, now time.Time) termView {
	switch {
	case s.Status == document.Draft:
		return termView{Term: w.T("keeping.draft")}
	case !ended && s.EndedAt == nil:
		return termView{Term: w.T("keeping.open")}
	case !ended:
		return termView{Term: w.T("keeping.unknown")}
	}
	return termView{
		Term: capital(w.T("keeping.until", "period", w.period(found.Rule), "from", w.T(found.From.ReasonKey()), "when", w.date(found.Until))),
		Rule: w.T("keeping.rule", "record", w.T(found.Record.TitleKey())), TermEnd: w.momentOf(&found.Until),
		Over: !now.Before(found.Until),
	}
}

// period is the period of a retention rule in words, by the rule's id; the id
// itself if that is none.
func (w words) period(rule string) string {
	parts := strings.Split(rule, "/")
	if len(parts) != 4 {
		return rule
	}
	period, err := retention.ParsePeriod(parts[2])
	if err != nil {
		return rule
	}
	var list []string
	part := func(text string, n int) {
		if n > 0 {
			list = append(list, strings.ReplaceAll(text, " ", nbsp))
		}
	}
	part(w.T("period.years", "n", period.Years), period.Years)
	part(w.T("period.months", "n", period.Months), period.Months)
	part(w.T("period.days", "n", period.Days), period.Days)
	return strings.Join(list, " ")
}

// capital begins a text with a capital letter.
func capital(text string) string {
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + text[size:]
}

// rule is a retention rule in words, by its id; the id itself if that is none.
func (w words) rule(id string) string {
	parts, period := strings.Split(id, "/"), w.period(id)
	if period == id || !w.catalogue.has("retention.from."+parts[3]) || !w.catalogue.has("retention.record."+parts[0]) {
		return id
	}
	return capital(w.T("retention.rule", "record", w.T("retention.record."+parts[0]), "period", period, "from", w.T("retention.from."+parts[3])))
}

// holds are the legal holds that stand, with their grounds for who may read
// them.
func (w words) holds(s document.State, grounds bool) []holdView {
	var list []holdView
	for _, h := range s.Holds {
		view := holdView{ID: h.ID, Since: w.moment(h.PlacedAt)}
		if grounds {
			view.Ground = h.Ground
		}
		list = append(list, view)
	}
	return list
}

// destruction tells how far a destruction has come. letters is where the
// letters of requests are found, "" for those who are not shown them.
func (n names) destruction(s document.State, letters string) (steps []destructionStep, missing string) {
	for i, r := range s.Requests {
		step := destructionStep{Text: n.T("keeping.requested", "who", n.of(r.Party)), At: n.moment(r.At)}
		if letters != "" {
			step.Letter, step.LetterText = letters+strconv.Itoa(i+1), n.T("keeping.letter")
		}
		steps = append(steps, step)
	}
	if p := s.DestructionProposal; p != nil {
		steps = append(steps, destructionStep{Text: n.T("keeping.proposed"), More: n.rule(p.Rule), At: n.moment(p.ProposedAt)})
	}
	if o := s.Ordered; o != nil {
		steps = append(steps, destructionStep{Text: n.T("keeping.ordered"), More: n.T("keeping.basis", "basis", n.T("basis."+string(o.Basis))), At: n.moment(o.OrderedAt)})
	}
	if s.DestroyedAt != nil {
		steps = append(steps, destructionStep{Text: n.T("keeping.destroyed"), At: n.moment(*s.DestroyedAt)})
	}
	if len(s.Requests) > 0 && !s.Gone() {
		missing = n.T("keeping.complete")
		if list := unasked(s); len(list) > 0 {
			missing = n.T("keeping.missing", "who", n.all(list))
		}
	}
	return steps, missing
}

// entitled are those whose requests a destruction on request needs.
func entitled(s document.State) []string {
	list := []string{s.Sender}
	for _, party := range s.Signatories() {
		if !slices.Contains(list, party) {
			list = append(list, party)
		}
	}
	return list
}

// unasked are those of them who have not asked.
func unasked(s document.State) []string {
	return slices.DeleteFunc(entitled(s), func(party string) bool {
		return slices.ContainsFunc(s.Requests, func(r document.Request) bool { return r.Party == party })
	})
}

// gone is the banner of a document that is destroyed, or will be at any
// moment; nil for every other.
func (n names) gone(s document.State) *goneView {
	o := s.Ordered
	if o == nil {
		return nil
	}
	key, at := "gone.ordered.", o.OrderedAt
	if s.DestroyedAt != nil {
		key, at = "gone.destroyed.", *s.DestroyedAt
	}
	when := n.date(at)
	if o.Basis == document.BasisRequest {
		return &goneView{n.T(key+string(o.Basis), "when", when, "who", n.all(o.Requests))}
	}
	return &goneView{n.T(key+string(o.Basis), "when", when)}
}

// keep makes the section of a document's page.
func (p *Pages) keep(ctx context.Context, n names, s document.State, caller route.Caller) keepingView {
	found, ended := p.ledger.Retention(s)
	v := keepingView{words: n.words, Holds: n.holds(s, caller.Role != access.RoleParticipant)}
	if !s.Gone() {
		v.termView = n.term(s, found, ended, p.clock())
	}
	letters := ""
	api := "/api/v1/documents/" + url.PathEscape(s.ID)
	if caller.Role != access.RoleParticipant {
		letters = api + "/letters/"
	}
	v.Steps, v.Missing = n.destruction(s, letters)
	if s.Exemplars > 0 {
		v.Exemplars = strconv.Itoa(s.Exemplars)
	}
	v.Issued = s.Status != document.Draft
	for _, c := range s.Copies {
		view := copyView{
			Text: n.T("keeping.copy", "n", c.Number), Who: n.T("keeping.copy.to", "who", n.of(c.Party)), At: n.moment(c.IssuedAt),
		}
		if !s.Gone() {
			view.Href, view.Label = api+"/copies/"+strconv.Itoa(c.Number), n.T("keeping.copy.download", "n", c.Number)
		}
		v.Copies = append(v.Copies, view)
	}
	if s.Status != document.Draft {
		v.Original, v.OriginalWhy = p.original(ctx, n.words, caller.Act, s)
	}
	return v
}

// original says whether an original exists (R-D11). That it cannot be told is
// an answer, and no reason to show nothing else of the document.
func (p *Pages) original(ctx context.Context, w words, act ledger.Act, s document.State) (*badge, string) {
	if s.Gone() {
		return &badge{lookBad, w.T("keeping.original.no")}, w.T("keeping.original.destroyed")
	}
	ctx, cancel := context.WithTimeout(ctx, originalLimit)
	defer cancel()
	err := p.ledger.Original(ctx, act, s.ID)
	var refused *fault.Error
	switch {
	case err == nil:
		return &badge{lookGood, w.T("keeping.original.yes")}, ""
	case errors.As(err, &refused) && refused.Code == fault.OriginalNone:
		why := w.T("keeping.original.destroyed")
		if len(refused.Reasons) > 0 {
			why = w.T("keeping.original.part", "why", w.fault(fault.Code(refused.Reasons[0].Code)))
		}
		return &badge{lookBad, w.T("keeping.original.no")}, why
	default:
		return &badge{lookUnknown, w.T("keeping.original.unknown")}, w.T("keeping.original.later")
	}
}

// offeredKeeping says what a party can ask of a document besides its route.
func (n names) offeredKeeping(s document.State, me string) []actionView {
	if s.Gone() {
		return nil
	}
	var list []actionView
	if s.Status != document.Draft {
		paper := n.form("copy")
		paper.Hint, paper.Select = n.T("action.copy.hint"), n.T("action.copy.language")
		for _, l := range Languages() {
			paper.Options = append(paper.Options, option{Value: string(l), Text: l.Name(), Chosen: l == n.Lang})
		}
		exemplar := n.form("exemplar")
		exemplar.Hint = n.T("action.exemplar.hint")
		list = append(list, paper, exemplar)
	}
	if all := entitled(s); s.Status != document.Awaiting && slices.Contains(all, me) && slices.Contains(unasked(s), me) {
		ask := n.form("destroy")
		ask.Hint, ask.More = n.T("action.destroy.hint"), n.T("action.destroy.all", "who", n.all(all))
		ask.Reason, ask.Letter, ask.Accept, ask.Danger = n.T("action.destroy.reason"), n.T("action.destroy.letter"), letterTypes(), true
		list = append(list, ask)
	}
	return list
}

// letterTypes are the endings of names that a letter may have.
func letterTypes() string {
	var list []string
	for _, format := range fileformat.Formats() {
		for _, extension := range format.Extensions {
			if !slices.Contains(list, extension) {
				list = append(list, extension)
			}
		}
	}
	return strings.Join(list, ",")
}

// wordless is a row's facts without what nobody is shown of a destroyed
// document any more, in case the read models are behind.
func wordless(f projections.Facts) projections.Facts {
	f.Title, f.SenderNumber, f.File, f.Reason = "", "", "", ""
	return f
}
