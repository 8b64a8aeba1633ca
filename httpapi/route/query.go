package route

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"dalel/internal/fault"
)

// Kind says how the value of a query member is written.
type Kind string

// The kinds.
const (
	// Text has 1 to MaxText bytes of UTF-8 and no control characters.
	Text Kind = "text"
	// Lines is Text that may have line feeds, or be empty.
	Lines Kind = "lines"
	// Number is a whole number from Least to Most.
	Number Kind = "number"
	// Position is a place among the events; one that is none is
	// request.cursor-invalid.
	Position Kind = "position"
	// Moment is written as RFC 3339 has it, Day as YYYY-MM-DD.
	Moment      Kind = "moment"
	Day         Kind = "day"
	DayOrMoment Kind = "day-or-moment"
	// Flag is true or false.
	Flag Kind = "flag"
	// Choice is one of Values.
	Choice Kind = "choice"
)

// MaxText bounds a value of kind Text or Lines.
const MaxText = 8 << 10

// Parameter is a member of the query that a route takes. All are optional;
// what a route cannot do without it says itself.
type Parameter struct {
	Name string
	Kind Kind
	// Repeats says that the member may stand there several times.
	Repeats bool
	// Least and Most bound a Number; Values are those of a Choice.
	Least, Most int
	Values      []string
}

// The codes of what is wrong with a query; the detail of the reason is the
// member's name.
const (
	MemberUnknown  = "query.unknown"
	MemberRepeated = "query.repeated"
	MemberInvalid  = "query.value"
)

// CheckQuery refuses a query with a member that the route does not take, with
// one that stands there twice, or with a value that cannot be: a filter that
// is passed over in silence would show more than was asked for. A form in a
// page sends its empty fields too, so there an empty value stands for none.
// Errors: request.invalid, whose detail and reason name the member, and
// request.cursor-invalid.
func (r Route) CheckQuery(raw string) error {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return fault.Wrap(fault.RequestInvalid, err, "the query is not written as names and values")
	}
	names := make([]string, 0, len(query))
	for name := range query {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		i := slices.IndexFunc(r.Query, func(p Parameter) bool { return p.Name == name })
		if i < 0 {
			return wrongMember(MemberUnknown, name, "the query member %q is not known here; known are: %s", short(name), r.members())
		}
		declared, values := r.Query[i], query[name]
		if len(values) > 1 && !declared.Repeats {
			return wrongMember(MemberRepeated, name, "the query member %s stands there %d times", name, len(values))
		}
		for _, value := range values {
			if value == "" && r.Page {
				continue
			}
			if form := declared.mismatch(value); form != "" {
				refusal := wrongMember(MemberInvalid, name, "the query member %s must be %s", name, form)
				if declared.Kind == Position {
					refusal.Code = fault.CursorInvalid
				}
				return refusal
			}
		}
	}
	return nil
}

// members lists the declared names, for a detail.
func (r Route) members() string {
	if len(r.Query) == 0 {
		return "none"
	}
	names := make([]string, 0, len(r.Query))
	for _, p := range r.Query {
		names = append(names, p.Name)
	}
	return strings.Join(names, ", ")
}

func wrongMember(code, name, format string, args ...any) *fault.Error {
	refusal := fault.New(fault.RequestInvalid, format, args...)
	refusal.Reasons = []fault.Reason{{Code: code, Detail: short(name)}}
	return refusal
}

// short is a name that somebody sent, cut and without what cannot be shown.
func short(name string) string {
	const most = 40
	clean := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(name, "?"))
	if runes := []rune(clean); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return clean
}

// mismatch says how a value must be written, "" if it is.
func (p Parameter) mismatch(value string) string {
	switch p.Kind {
	case Number:
		n, err := strconv.Atoi(value)
		if err != nil || n < p.Least || n > p.Most || strings.HasPrefix(value, "+") {
			return "a whole number from " + strconv.Itoa(p.Least) + " to " + strconv.Itoa(p.Most)
		}
	case Position:
		if _, err := strconv.ParseUint(value, 10, 63); err != nil {
			return "a position, which is a whole number"
		}
	case Moment:
		if _, err := time.Parse(time.RFC3339, value); err != nil {
			return "a moment as RFC 3339 writes it"
		}
	case Day:
		if _, err := time.Parse(time.DateOnly, value); err != nil {
			return "a day, written YYYY-MM-DD"
		}
	case DayOrMoment:
		_, noDay := time.Parse(time.DateOnly, value)
		if _, noMoment := time.Parse(time.RFC3339, value); noDay != nil && noMoment != nil {
			return "a day, written YYYY-MM-DD, or a moment as RFC 3339 writes it"
		}
	case Flag:
		if value != "true" && value != "false" {
			return "true or false"
		}
	case Choice:
		if !slices.Contains(p.Values, value) {
			return "one of " + strings.Join(p.Values, ", ")
		}
	default:
		return p.text(value)
	}
	return ""
}

func (p Parameter) text(value string) string {
	control := func(r rune) bool {
		return unicode.IsControl(r) && r != '\t' && (p.Kind != Lines || r != '\n' && r != '\r')
	}
	switch {
	case value == "" && p.Kind != Lines:
		return "left out rather than empty"
	case len(value) > MaxText:
		return "at most " + strconv.Itoa(MaxText) + " bytes long"
	case !utf8.ValidString(value) || strings.ContainsFunc(value, control):
		return "plain text in UTF-8"
	}
	return ""
}
