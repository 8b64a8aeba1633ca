package pages

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"dalel/domain/access"
	"dalel/domain/document"
	"dalel/domain/identifier"
	"dalel/domain/ledger"
	"dalel/domain/participant"
	"dalel/httpapi/route"
	"dalel/internal/fault"
	"dalel/projections"

	"github.com/labstack/echo/v4"
)

// card is one document in a list, whichever list it is.
type card struct {
	// Href is empty where the viewer may not open it.
	Href, Title, Kind, Sum, Number, SenderNumber string
	Direction                                    string
	// Whose is whose journal the row stands in.
	Whose   *party
	Parties []party
	When    *moment
	Status  badge
	State   string
	Marks   []badge
}

// party is a participant by name; Href narrows the journal to it.
type party struct{ Name, Href string }

// listView is a list of documents.
type listView struct {
	frame
	Cards []card
	// PartiesColumn and WhenColumn head the two columns that differ.
	PartiesColumn, WhenColumn string
	// Sums says that the list has the sums.
	Sums         bool
	Empty, Shown string
	Next, First  string
	Filter       *filterView
	Extract      *extractView
	Export       *exportView
}

// names are the display names of participants.
type names struct {
	words
	found map[string]projections.Participant
}

// lookup reads the names of all ids, in as many questions as it takes.
func (p *Pages) lookup(ctx context.Context, w words, ids ...string) (names, error) {
	n := names{words: w, found: map[string]projections.Participant{}}
	slices.Sort(ids)
	for chunk := range slices.Chunk(slices.Compact(ids), projections.MaxNames) {
		found, err := p.models.Names(ctx, chunk...)
		if err != nil {
			return n, err
		}
		for id, participant := range found {
			n.found[id] = participant
		}
	}
	return n, nil
}

// of is a participant's name, and its id where the directory has none yet.
func (n names) of(id string) string {
	switch id {
	case "":
		return ""
	case ledger.System:
		return n.T("who.system")
	case ledger.Operator:
		return n.T("who.operator")
	}
	found, ok := n.found[id]
	switch {
	case ok && found.Status == projections.ParticipantErased:
		// The id tells two of them apart.
		return n.T("participant.erased.of", "id", id[:min(8, len(id))])
	case ok && found.Name != "":
		return found.Name
	}
	return id
}

func (n names) all(ids []string) string {
	list := make([]string, 0, len(ids))
	for _, id := range ids {
		list = append(list, n.of(id))
	}
	return strings.Join(list, ", ")
}

// heading is a document's title in a list, and of one whose words are gone
// that it is.
func (w words) heading(title string, destroyed bool) string {
	if destroyed {
		return w.T("list.destroyed")
	}
	return title
}

// cited is the sender's own number and date of a document.
func (w words) cited(number, date string) string {
	if date != "" {
		date = w.ownDate(date)
	}
	switch {
	case number != "" && date != "":
		return w.T("sender.cited", "number", number, "date", date)
	case number != "":
		return w.T("sender.number", "number", number)
	}
	return date
}

// paging reads the cursor and makes the addresses of the pages about.
func paging(c echo.Context, keep url.Values) (projections.Page, func(next string) (string, string)) {
	after := c.QueryParam("after")
	return projections.Page{After: after}, func(next string) (string, string) {
		address := func(cursor string) string {
			query := url.Values{}
			for name, values := range keep {
				query[name] = values
			}
			if cursor != "" {
				query.Set("after", cursor)
			}
			return "?" + query.Encode()
		}
		toNext, toFirst := "", ""
		if next != "" {
			toNext = address(next)
		}
		if after != "" {
			toFirst = address("")
		}
		return toNext, toFirst
	}
}

func (p *Pages) inbox(c echo.Context, caller route.Caller) error {
	page, around := paging(c, nil)
	found, err := p.models.Inbox(c.Request().Context(), caller.By.Participant, page)
	if err != nil {
		return err
	}
	v := listView{frame: p.frame(c, caller, "inbox")}
	v.Title, v.Empty = v.T("nav.inbox"), v.T("box.inbox.empty")
	v.PartiesColumn, v.WhenColumn = v.T("column.sender"), v.T("column.received")
	v.Next, v.First = around(found.Next)
	return p.box(c, v, found.Items)
}

func (p *Pages) outbox(c echo.Context, caller route.Caller) error {
	page, around := paging(c, nil)
	found, err := p.models.Outbox(c.Request().Context(), caller.By.Participant, page)
	if err != nil {
		return err
	}
	v := listView{frame: p.frame(c, caller, "outbox")}
	v.Title, v.Empty = v.T("nav.outbox"), v.T("box.outbox.empty")
	v.PartiesColumn, v.WhenColumn = v.T("column.recipients"), v.T("column.sent")
	v.Next, v.First = around(found.Next)
	return p.box(c, v, found.Items)
}

func (p *Pages) box(c echo.Context, v listView, rows []projections.BoxRow) error {
	var ids []string
	for _, row := range rows {
		for _, other := range row.Counterparties {
			ids = append(ids, other.Participant)
		}
	}
	names, err := p.lookup(c.Request().Context(), v.words, ids...)
	if err != nil {
		return err
	}
	for _, row := range rows {
		item := card{
			Href: "/documents/" + url.PathEscape(row.Document), Title: v.heading(row.Title, row.Destroyed), Kind: v.T("kind." + string(row.Kind)),
			Sum: v.Lang.money(row.Sum), Number: row.Number, SenderNumber: v.cited(row.SenderNumber, row.Date),
			Status: v.headline(row.Headline), When: v.momentOf(row.SentAt),
			Marks: v.marks(row.Headline, row.Turn, false, deadline(row.Status, row.Deadline)),
		}
		if row.Direction == projections.In {
			item.State, item.When = v.part(row.State, row.Status), v.momentOf(row.DeliveredAt)
		}
		for _, other := range row.Counterparties {
			// An inbox names the sender; the other recipients are on the
			// document's own page.
			if row.Direction == projections.Out || other.Role == projections.RoleSender {
				item.Parties = append(item.Parties, party{Name: names.of(other.Participant)})
			}
		}
		v.Cards = append(v.Cards, item)
	}
	v.Sums, v.Shown = true, v.T("list.shown", "n", len(rows))
	return p.render(c, http.StatusOK, "list", v)
}

// deadline is one that still matters.
func deadline(status projections.Status, at *time.Time) *time.Time {
	if status != projections.StatusAwaiting {
		return nil
	}
	return at
}

func (w words) state(state projections.State, role string) string {
	if state == "" {
		return ""
	}
	if state == projections.StatePending && role == projections.RoleSender {
		return w.T("state.waiting")
	}
	return w.T("state." + string(state))
}

// part is how far a document has come with a participant who has yet to act, ""
// for every other: what was done is the status's to say.
func (w words) part(state projections.State, status projections.Status) string {
	switch state {
	case projections.StateDelivered, projections.StateViewed, projections.StateAcknowledged:
		if status == projections.StatusAwaiting {
			return w.state(state, "")
		}
	}
	return ""
}

func (p *Pages) documents(c echo.Context, caller route.Caller) error {
	page, around := paging(c, nil)
	ctx := c.Request().Context()
	found, err := p.models.Documents(ctx, page)
	if err != nil {
		return err
	}
	v := listView{frame: p.frame(c, caller, "documents")}
	v.Title, v.Empty = v.T("nav.documents"), v.T("documents.empty")
	v.PartiesColumn, v.WhenColumn = v.T("column.sender"), v.T("column.created")
	v.Next, v.First = around(found.Next)
	var ids []string
	for _, row := range found.Items {
		ids = append(ids, row.Sender)
	}
	names, err := p.lookup(ctx, v.words, ids...)
	if err != nil {
		return err
	}
	for _, row := range found.Items {
		v.Cards = append(v.Cards, card{
			Href: "/documents/" + url.PathEscape(row.Document), Title: v.heading(row.Title, row.Destroyed), Kind: v.T("kind." + string(row.Kind)),
			Sum: v.Lang.money(row.Sum), Number: row.Number, SenderNumber: v.cited(row.SenderNumber, row.Date),
			Parties: []party{{Name: names.of(row.Sender)}}, When: v.momentOf(&row.CreatedAt),
			Status: v.headline(row.Headline), Marks: v.marks(row.Headline, false, row.Held, deadline(row.Status, row.Deadline)),
		})
	}
	v.Sums, v.Shown = true, v.T("list.shown", "n", len(found.Items))
	return p.render(c, http.StatusOK, "list", v)
}

// filterView is the journal's form as it was filled in.
type filterView struct {
	words
	From, To, Number, Identifier string
	// Party is the id of a counterparty chosen from a row, PartyName its name.
	Party, PartyName            string
	Directions, Kinds, Statuses []option
	// Unknown says that nobody has the identifier asked for.
	Unknown bool
	// Choices are the two participants, by kind, of an identifier that means
	// two.
	Choices []choiceView
	Reset   string
}

type choiceView struct{ Text, Href string }

// extractView is the form that takes out a sealed extract from the journal, or
// the packet of what it has in a period. Both ends are filled in as the filter
// has them.
type extractView struct {
	words
	From, To, Extract, Packet string
}

// exportView leads to the journal as files, as it is narrowed on the page.
type exportView struct {
	words
	Links []link
	// Hint says how many entries a file has at most; More says that there are
	// more than that, and is "" where there are not.
	Hint, More string
}

// export makes the addresses of the journal's files. An identifier that nobody
// has lets nothing through, and leads nowhere.
func (p *Pages) export(ctx context.Context, w words, filter projections.JournalFilter, more bool) (*exportView, error) {
	query := url.Values{"lang": {string(w.Lang)}}
	for name, value := range map[string]string{
		"direction": string(filter.Direction), "kind": string(filter.Kind), "status": string(filter.Status), "counterparty": filter.Counterparty, "number": filter.Number,
	} {
		if value != "" {
			query.Set(name, value)
		}
	}
	for name, t := range map[string]time.Time{"from": filter.From, "to": filter.To} {
		if !t.IsZero() {
			query.Set(name, t.UTC().Format(time.RFC3339))
		}
	}
	view := &exportView{words: w}
	for _, one := range []struct {
		format JournalFormat
		words  string
	}{{JournalXLSX, "journal.export.xlsx"}, {JournalCSV, "journal.export.csv"}, {JournalPDF, "journal.export.pdf"}} {
		view.Links = append(view.Links, link{Href: "/api/v1/journal." + string(one.format) + "?" + query.Encode(), Text: w.T(one.words)})
	}
	rows, pdf := group(strconv.Itoa(JournalRows), nbsp), group(strconv.Itoa(JournalPDFRows), nbsp)
	view.Hint = w.T("journal.export.hint", "rows", rows, "pdf", pdf)
	if more {
		found, err := p.models.CountJournal(ctx, filter, JournalPDFRows+1)
		if err != nil {
			return nil, err
		}
		if found > JournalPDFRows {
			view.More = w.T("journal.export.more", "rows", rows, "pdf", pdf)
		}
	}
	return view, nil
}

type option struct {
	Value, Text string
	Chosen      bool
}

// statuses are those that a sent document can have: a draft is in no journal.
func statuses() []projections.Status {
	return []projections.Status{
		projections.StatusAwaiting, projections.StatusSigned, projections.StatusRejected,
		projections.StatusRevoked, projections.StatusExpired,
	}
}

// filter reads the journal's form. keep are the parameters that the addresses
// of further pages carry on.
func (p *Pages) filter(c echo.Context, w words) (view *filterView, filter projections.JournalFilter, keep url.Values, err error) {
	keep = url.Values{}
	get := func(name string) string {
		value := strings.TrimSpace(c.QueryParam(name))
		if value != "" {
			keep.Set(name, value)
		}
		return value
	}
	view = &filterView{words: w, From: get("from"), To: get("to"), Number: get("number"), Identifier: get("identifier"), Party: get("party"), Reset: c.Request().URL.Path}
	day := func(text string, plus int) time.Time {
		if text == "" || err != nil {
			return time.Time{}
		}
		t, failed := time.ParseInLocation(time.DateOnly, text, zone)
		if failed != nil {
			err = fault.New(fault.RequestInvalid, "a day is written YYYY-MM-DD")
		}
		return t.AddDate(0, 0, plus)
	}
	filter.From, filter.To = day(view.From, 0), day(view.To, 1)
	if err == nil && !filter.From.IsZero() && !filter.To.IsZero() && !filter.From.Before(filter.To) {
		err = fault.New(fault.RequestInvalid, "the period ends before it begins")
	}
	choose := func(name string, values []string, key string) ([]option, string) {
		chosen := get(name)
		list := []option{{Value: "", Text: w.T("journal.any"), Chosen: chosen == ""}}
		for _, value := range values {
			list = append(list, option{Value: value, Text: w.T(key + value), Chosen: value == chosen})
		}
		if chosen != "" && !slices.Contains(values, chosen) {
			err = fault.New(fault.RequestInvalid, "%s has no such value", name)
		}
		return list, chosen
	}
	var direction, kind, status string
	view.Directions, direction = choose("direction", []string{string(projections.In), string(projections.Out)}, "direction.")
	view.Kinds, kind = choose("kind", texts(document.Kinds()), "kind.")
	view.Statuses, status = choose("status", texts(statuses()), "status.")
	filter.Direction, filter.Kind, filter.Status = projections.Direction(direction), document.Kind(kind), projections.Status(status)
	// The 20-digit number is often copied with its spaces, or as tables have it.
	filter.Number = view.Number
	if digits := strings.TrimPrefix(identifier.Bare(view.Number), "№"); len(digits) == document.NumberDigits {
		filter.Number = digits
	}
	filter.Counterparty = view.Party
	if err == nil && view.Identifier != "" {
		found, failed := p.ledger.FindParticipant(c.Request().Context(), identifier.Typed(view.Identifier), "")
		switch {
		case fault.Is(failed, fault.ParticipantAmbiguous):
			view.Choices, err = p.choices(c, w, keep, identifier.Typed(view.Identifier))
		case fault.Is(failed, fault.ParticipantUnknown), fault.Is(failed, fault.StreamInvalid):
			view.Unknown = true
		case failed != nil:
			err = failed
		default:
			filter.Counterparty = found
		}
	}
	return view, filter, keep, err
}

// choices are the filter's addresses for a natural person and a sole trader who
// have one identifier.
func (p *Pages) choices(c echo.Context, w words, keep url.Values, number string) ([]choiceView, error) {
	var list []choiceView
	for _, kind := range []participant.Kind{participant.NaturalPerson, participant.SoleTrader} {
		found, err := p.ledger.FindParticipant(c.Request().Context(), number, kind)
		if err != nil {
			return nil, err
		}
		query := maps.Clone(keep)
		query.Del("identifier")
		query.Set("party", found)
		list = append(list, choiceView{w.T("participant-kind." + string(kind)), c.Request().URL.Path + "?" + query.Encode()})
	}
	return list, nil
}

func texts[T ~string](values []T) []string {
	list := make([]string, 0, len(values))
	for _, v := range values {
		list = append(list, string(v))
	}
	return list
}

func (p *Pages) journal(c echo.Context, caller route.Caller) error {
	ctx := c.Request().Context()
	v := listView{frame: p.frame(c, caller, "journal")}
	v.Title, v.Empty = v.T("journal.title"), v.T("journal.empty")
	v.PartiesColumn, v.WhenColumn = v.T("column.counterparties"), v.T("column.registered")
	view, filter, keep, err := p.filter(c, v.words)
	if err != nil {
		return err
	}
	v.Filter = view
	if caller.Role != access.RoleOperator {
		// Operators read no titles, and an extract has them.
		v.Extract = &extractView{words: v.words, From: view.From, To: view.To, Extract: "/api/v1/extract"}
	}
	if caller.Role == access.RoleParticipant {
		v.Extract.Packet = "/api/v1/packet"
	}
	if caller.Role == access.RoleParticipant {
		filter.Participant = caller.By.Participant
	}
	page, around := paging(c, keep)
	var found projections.Result[projections.JournalRow]
	if !view.Unknown && len(view.Choices) == 0 {
		if found, err = p.models.Journal(ctx, filter, page); err != nil {
			return err
		}
	}
	v.Next, v.First = around(found.Next)
	if len(found.Items) > 0 {
		if v.Export, err = p.export(ctx, v.words, filter, found.Next != ""); err != nil {
			return err
		}
	}
	ids := []string{}
	if view.Party != "" {
		ids = append(ids, view.Party)
	}
	for _, row := range found.Items {
		ids = append(append(ids, row.Participant), row.Counterparties...)
	}
	names, err := p.lookup(ctx, v.words, ids...)
	if err != nil {
		return err
	}
	view.PartyName = names.of(view.Party)
	for _, row := range found.Items {
		item := card{
			Title: v.heading(row.Title, row.Destroyed), Kind: v.T("kind." + string(row.Kind)), Number: row.Number, SenderNumber: v.cited(row.SenderNumber, ""),
			Direction: v.T("direction." + string(row.Direction)), When: v.momentOf(&row.RegisteredAt),
			Status: v.headline(row.Headline),
		}
		if caller.Role == access.RoleOperator {
			// A title is content, which operators do not read.
			item.Title, item.Kind, item.SenderNumber = item.Kind, "", ""
			item.Href = operatorPages + "documents/" + url.PathEscape(row.Document)
		} else {
			item.Href = "/documents/" + url.PathEscape(row.Document)
		}
		if caller.Role != access.RoleParticipant {
			item.Whose = &party{Name: names.of(row.Participant)}
		} else {
			if row.Direction == projections.In {
				item.State = v.part(row.State, row.Status)
			}
		}
		for _, id := range row.Counterparties {
			query := url.Values{}
			for name, values := range keep {
				query[name] = values
			}
			query.Del("identifier")
			query.Set("party", id)
			item.Parties = append(item.Parties, party{Name: names.of(id), Href: "?" + query.Encode()})
		}
		v.Cards = append(v.Cards, item)
	}
	v.Shown = v.T("journal.shown", "n", len(found.Items))
	return p.render(c, http.StatusOK, "list", v)
}

func (w words) participantStatus(status string) badge {
	how := lookWait
	switch status {
	case projections.ParticipantActive:
		how = lookGood
	case projections.ParticipantErased:
		how = lookGone
	}
	return badge{how, w.T("participant-status." + status)}
}

// participantsView is the directory.
type participantsView struct {
	frame
	Rows               []participantRow
	Shown, Next, First string
}

type participantRow struct {
	ID, Name, Kind, Href string
	Status               badge
}

func (p *Pages) participants(c echo.Context, caller route.Caller) error {
	page, around := paging(c, nil)
	found, err := p.models.Participants(c.Request().Context(), page)
	if err != nil {
		return err
	}
	v := participantsView{frame: p.frame(c, caller, "participants")}
	v.Title = v.T("nav.participants")
	v.Next, v.First = around(found.Next)
	for _, row := range found.Items {
		v.Rows = append(v.Rows, participantRow{
			ID: row.ID, Name: names{v.words, map[string]projections.Participant{row.ID: row}}.of(row.ID),
			Href: operatorPages + "participants/" + url.PathEscape(row.ID),
			Kind: v.T("participant-kind." + string(row.Kind)), Status: v.participantStatus(row.Status),
		})
	}
	v.Shown = v.T("participants.shown", "n", len(v.Rows))
	return p.render(c, http.StatusOK, "participants", v)
}
