package pages

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"dalel/domain/access"
	"dalel/domain/document"
	"dalel/domain/ledger"
	"dalel/domain/participant"
	"dalel/httpapi/route"
	"dalel/internal/fault"
	"dalel/projections"

	"github.com/labstack/echo/v4"
)

// This file has the pages of the operator, who keeps documents that it may
// not read: what waits for destruction, holds, orders.

// destructionsView is the list of what waits to be destroyed, and of what was.
type destructionsView struct {
	frame
	Rows             []destructionRow
	States, Subjects []option
	Shown            string
	Next, First      string
}

type destructionRow struct {
	// Href is where it is decided, ID the document's or the participant's.
	Href, ID, What, Sender string
	Bases                  []string
	Asked, Missing         string
	Since                  moment
	State                  badge
	Held                   *badge
}

func (p *Pages) destructions(c echo.Context, caller route.Caller) error {
	v := destructionsView{frame: p.frame(c, caller, "destructions")}
	v.Title, v.Outcome = v.T("operator.title"), p.outcome(c, operatorPages, v.words)
	keep := url.Values{}
	choose := func(name, prefix, chosen string, values []string) []option {
		if chosen != "" {
			keep.Set(name, chosen)
		}
		list := []option{{Text: v.T("journal.any"), Chosen: chosen == ""}}
		for _, value := range values {
			list = append(list, option{Value: value, Text: v.T(prefix + value), Chosen: value == chosen})
		}
		return list
	}
	filter := projections.DestructionFilter{
		State: projections.DestructionState(c.QueryParam("state")), Subject: projections.DestructionSubject(c.QueryParam("subject")),
	}
	if !c.QueryParams().Has("state") {
		filter.State = projections.DestructionWaiting
	}
	v.States = choose("state", "destruction-state.", string(filter.State), texts(destructionStates()))
	v.Subjects = choose("subject", "destruction-subject.", string(filter.Subject), texts(destructionSubjects()))
	if filter.State == "" {
		keep.Set("state", "")
	}
	page, around := paging(c, keep)
	found, err := p.models.Destructions(c.Request().Context(), filter, page)
	if err != nil {
		return err
	}
	v.Next, v.First = around(found.Next)
	var ids []string
	for _, row := range found.Items {
		ids = slices.Concat(ids, []string{row.Sender, row.Participant}, row.Requests, row.Missing)
	}
	n, err := p.lookup(c.Request().Context(), v.words, slices.DeleteFunc(ids, func(id string) bool { return id == "" })...)
	if err != nil {
		return err
	}
	for _, row := range found.Items {
		v.Rows = append(v.Rows, n.destructionRow(row, caller))
	}
	v.Shown = v.T("destructions.shown", "n", len(v.Rows))
	return p.render(c, http.StatusOK, "destructions", v)
}

func destructionStates() []projections.DestructionState {
	return []projections.DestructionState{projections.DestructionWaiting, projections.DestructionOrdered, projections.DestructionDone}
}

func destructionSubjects() []projections.DestructionSubject {
	return []projections.DestructionSubject{projections.SubjectDocument, projections.SubjectParticipant}
}

func (n names) destructionRow(row projections.Destruction, caller route.Caller) destructionRow {
	how := lookWait
	switch row.State {
	case projections.DestructionOrdered:
		how = lookDoubt
	case projections.DestructionDone:
		how = lookGone
	}
	view := destructionRow{Since: n.moment(row.Since), State: badge{how, n.T("destruction-state." + string(row.State))}}
	if row.Subject == projections.SubjectDocument {
		view.ID, view.What = row.Document, n.T("kind."+string(row.Kind))+" · "+n.T("status."+string(row.Status))
		view.Sender = n.of(row.Sender)
		view.Href = operatorPages + "documents/" + url.PathEscape(row.Document)
		if row.State == projections.DestructionWaiting && caller.Role == access.RoleOperator {
			view.Href += "/destruction"
		}
	} else {
		view.ID, view.What, view.Sender = row.Participant, n.T("operator.participant"), n.of(row.Participant)
		view.Href = operatorPages + "participants/" + url.PathEscape(row.Participant)
	}
	for _, basis := range row.Bases {
		view.Bases = append(view.Bases, capital(n.T("basis."+string(basis))))
	}
	if len(view.Bases) == 0 {
		view.Bases = []string{n.T("operator.notyet")}
	}
	if len(row.Requests) > 0 {
		view.Asked = n.T("operator.asked", "who", n.all(row.Requests))
	}
	if len(row.Missing) > 0 {
		view.Missing = n.T("operator.missing", "who", n.all(row.Missing))
	}
	if row.Held {
		view.Held = &badge{lookHeld, n.T("mark.held")}
	}
	return view
}

// operatedView is a document as its keeper sees it: nothing of its content.
type operatedView struct {
	frame
	ID, Kind                           string
	Status                             badge
	Marks                              []badge
	Number                             []string
	Sent, Completed, Ended             *moment
	Parties, Files, Signatures, Sender string
	Gone                               *goneView
	Keeping                            keepingView
	Place                              *actionView
	Destruction                        string
	Confirm                            *confirmView
	Entitled                           string
}

// confirmView asks for the word without which nothing is ordered.
type confirmView struct {
	words
	Href, Key string
	Bases     []option
	// Refused says why nothing can be ordered now, "" if it can.
	Refused string
	// Means says what will be lost, Button what the button says.
	Means string
	Wrong bool
	// Ask is the question, Cancel leads away.
	Ask, Cancel string
}

// operated reads a document for its keeper's page.
func (p *Pages) operated(c echo.Context, caller route.Caller, page string) (*operatedView, names, document.State, error) {
	ctx, id := c.Request().Context(), c.Param("id")
	snapshot, err := p.ledger.Keeping(ctx, caller.Act, id)
	if err != nil {
		return nil, names{}, document.State{}, err
	}
	s := snapshot.State
	v := &operatedView{frame: p.frame(c, caller, page), ID: s.ID}
	v.Outcome = p.outcome(c, operatorPages, v.words)
	ids := []string{s.Sender}
	for _, party := range s.Parties {
		ids = append(ids, party.Participant)
	}
	for _, r := range s.Requests {
		ids = append(ids, r.Party)
	}
	n, err := p.lookup(ctx, v.words, ids...)
	if err != nil {
		return nil, n, s, err
	}
	weighed, err := p.weigh(ctx, s)
	if err != nil {
		return nil, n, s, err
	}
	v.Kind, v.Status = v.T("kind."+string(s.Details.Kind)), v.headline(s.Situation(weighed.force, "").Headline())
	v.Marks = v.marks("", false, s.Held(), nil)
	v.Number, v.Sent, v.Completed, v.Ended = parts(s.Number), v.momentOf(s.SentAt), v.momentOf(s.CompletedAt), nil
	if s.EndedAt != nil && (s.CompletedAt == nil || !s.EndedAt.Equal(*s.CompletedAt)) {
		v.Ended = v.momentOf(s.EndedAt)
	}
	parties := max(len(s.Parties), 1)
	v.Parties, v.Files, v.Signatures = strconv.Itoa(parties), strconv.Itoa(len(s.Files)), strconv.Itoa(len(s.Signatures))
	v.Sender, v.Gone = n.of(s.Sender), n.gone(s)
	v.Entitled = v.T("operator.rights", "who", n.all(entitled(s)))
	found, ended := p.ledger.Retention(s)
	v.Keeping = keepingView{words: v.words, Holds: v.holds(s, true)}
	if !s.Gone() {
		v.Keeping.termView = v.term(s, found, ended, p.clock())
	}
	v.Keeping.Steps, v.Keeping.Missing = n.destruction(s, "/api/v1/documents/"+url.PathEscape(id)+"/letters/")
	return v, n, s, nil
}

func (p *Pages) keeping(c echo.Context, caller route.Caller) error {
	v, _, s, err := p.operated(c, caller, "keeping")
	if err != nil {
		return err
	}
	v.Title = v.T("operator.document")
	if caller.Role == access.RoleOperator && !s.Gone() {
		address := operatorPages + "documents/" + url.PathEscape(s.ID)
		v.Place = &actionView{
			Name: "hold", Href: address + "/hold", Key: newKey(), Label: v.T("operator.placehold"),
			Hint: v.T("operator.placehold.hint"), Reason: v.T("operator.placehold.ground"),
		}
		for i, h := range v.Keeping.Holds {
			v.Keeping.Holds[i].Lift = &actionView{
				Name: "lift-" + strconv.Itoa(i), Href: address + "/lift", Key: newKey(), Label: v.T("operator.lifthold"),
				Reason: v.T("operator.lifthold.reason"), Hold: h.ID, Danger: true,
			}
		}
		v.Destruction = address + "/destruction"
	}
	return p.render(c, http.StatusOK, "keeping", v)
}

func (p *Pages) placeHold(c echo.Context, caller route.Caller) error {
	return p.operate(c, caller, "hold", func(ctx context.Context, act ledger.Act, id string) (ledger.Outcome, error) {
		return p.ledger.PlaceHold(ctx, act, id, prose(c.FormValue("reason")))
	})
}

func (p *Pages) liftHold(c echo.Context, caller route.Caller) error {
	return p.operate(c, caller, "lift", func(ctx context.Context, act ledger.Act, id string) (ledger.Outcome, error) {
		return p.ledger.LiftHold(ctx, act, id, c.FormValue("hold"), prose(c.FormValue("reason")))
	})
}

// operate carries out a command of the operator on a document and goes back
// to its page.
func (p *Pages) operate(c echo.Context, caller route.Caller, name string,
	do func(ctx context.Context, act ledger.Act, id string) (ledger.Outcome, error)) error {
	act, err := keyed(caller, c.FormValue("key"))
	if err != nil {
		return err
	}
	id := c.Param("id")
	done, err := do(c.Request().Context(), act, id)
	return p.finish(c, name, operatorPages, operatorPages+"documents/"+url.PathEscape(id), done, err)
}

func (p *Pages) confirm(c echo.Context, caller route.Caller) error {
	return p.askToConfirm(c, caller, false)
}

// askToConfirm shows what an order would destroy, and asks for the word.
func (p *Pages) askToConfirm(c echo.Context, caller route.Caller, wrong bool) error {
	v, n, s, err := p.operated(c, caller, "confirm")
	if err != nil {
		return err
	}
	v.Title = v.T("confirm.title")
	address := operatorPages + "documents/" + url.PathEscape(s.ID)
	v.Confirm = &confirmView{
		words: v.words, Href: address + "/destruction", Key: newKey(), Cancel: address, Wrong: wrong,
		Means: v.T("confirm.means"), Ask: v.T("confirm.type", "word", v.T("confirm.word")),
	}
	add := func(basis document.Basis) {
		v.Confirm.Bases = append(v.Confirm.Bases, option{
			Value: string(basis), Text: capital(v.T("basis." + string(basis))), Chosen: len(v.Confirm.Bases) == 0,
		})
	}
	if len(s.Requests) > 0 && len(unasked(s)) == 0 {
		add(document.BasisRequest)
	}
	if s.DestructionProposal != nil {
		add(document.BasisRetention)
	}
	switch {
	case s.Gone():
		v.Confirm.Refused = v.T("confirm.done")
	case s.Held():
		v.Confirm.Refused = v.T("confirm.held")
	case len(v.Confirm.Bases) == 0:
		v.Confirm.Refused = v.T("confirm.none")
		if len(s.Requests) > 0 {
			v.Confirm.Refused = v.T("keeping.missing", "who", n.all(unasked(s)))
		}
	}
	status := http.StatusOK
	if wrong {
		status = route.StatusOf(fault.RequestInvalid)
	}
	return p.render(c, status, "confirm", v)
}

// confirmed reports whether the word was typed, in any of the languages: the
// page may have been switched meanwhile.
func (p *Pages) confirmed(c echo.Context) bool {
	typed := strings.TrimSpace(c.FormValue("confirm"))
	for _, l := range Languages() {
		if typed == p.catalogue.text(l, "confirm.word") {
			return true
		}
	}
	return false
}

func (p *Pages) order(c echo.Context, caller route.Caller) error {
	if !p.confirmed(c) {
		return p.askToConfirm(c, caller, true)
	}
	return p.operate(c, caller, "order", func(ctx context.Context, act ledger.Act, id string) (ledger.Outcome, error) {
		return p.ledger.OrderDestruction(ctx, act, id, document.Basis(c.FormValue("basis")))
	})
}

// participantView is a participant as its keeper sees it.
type participantView struct {
	frame
	ID, Name, Kind string
	Status         badge
	Marks          []badge
	Holds          []holdView
	Steps          []destructionStep
	// Record is the form for a request that came in writing, nil where there
	// is one already or the viewer is no operator.
	Record  *actionView
	Confirm *confirmView
	// Back leads to the list that the operator came from, Certificates to the
	// participant's.
	Back, Certificates string
}

func (p *Pages) participant(c echo.Context, caller route.Caller) error {
	return p.showParticipant(c, caller, c.Param("id"), false)
}

// ownData is a participant's page of its own data.
func (p *Pages) ownData(c echo.Context, caller route.Caller) error {
	return p.showParticipant(c, caller, caller.By.Participant, false)
}

// askErasure takes a participant's own request.
func (p *Pages) askErasure(c echo.Context, caller route.Caller) error {
	done, err := p.official(c, caller, caller.By.Participant, p.ledger.RequestErasure)
	return p.finish(c, "destroy", ownPage, ownPage, done, err)
}

func (p *Pages) showParticipant(c echo.Context, caller route.Caller, id string, wrong bool) error {
	snapshot, err := p.ledger.Participant(c.Request().Context(), id)
	if err != nil {
		return err
	}
	s := snapshot.State
	v := participantView{frame: p.frame(c, caller, "participant"), ID: s.ID}
	own := caller.Role == access.RoleParticipant
	if own {
		v.Outcome, v.Certificates = p.outcome(c, ownPage, v.words), "/certificates"
	} else {
		v.Certificates = operatorPages + "certificates?" + url.Values{"participant": {id}}.Encode()
		v.Outcome, v.Back = p.outcome(c, operatorPages, v.words), operatorPages+"destructions"
	}
	v.Title, v.Name, v.Kind = v.T("operator.participant"), s.Name, v.T("participant-kind."+string(s.Kind))
	switch {
	case s.Erased():
		v.Name, v.Status = v.T("participant.erased"), v.participantStatus(projections.ParticipantErased)
	case s.Active():
		v.Status = v.participantStatus(projections.ParticipantActive)
	default:
		v.Status = v.participantStatus(projections.ParticipantRegistered)
	}
	for _, h := range s.Holds {
		view := holdView{ID: h.ID, Since: v.moment(h.PlacedAt), Ground: h.Ground}
		if own {
			view.Ground = ""
		}
		v.Holds = append(v.Holds, view)
	}
	v.Marks = v.marks("", false, len(s.Holds) > 0, nil)
	address := operatorPages + "participants/" + url.PathEscape(id)
	operator := caller.Role == access.RoleOperator
	if s.Erasure == nil {
		if own {
			v.Record = &actionView{
				Name: "erasure", Href: ownPage + "/erasure-request", Key: newKey(), Label: v.T("own.ask"), Danger: true,
				Hint: v.T("operator.erasure.means"), More: v.T("own.decides"),
				Reason: v.T("action.destroy.reason"), Letter: v.T("action.destroy.letter"), Accept: letterTypes(),
			}
		}
		if operator && !s.Erased() {
			v.Record = &actionView{
				Name: "erasure", Href: address + "/erasure-request", Key: newKey(), Label: v.T("operator.erasure.record"),
				Reason: v.T("action.destroy.reason"), Letter: v.T("action.destroy.letter"), Accept: letterTypes(),
			}
		}
	} else {
		letter := ""
		if !own {
			letter = "/api/v1/participants/" + url.PathEscape(id) + "/erasure-request/letter"
		}
		v.Steps = v.erasure(*s.Erasure, letter)
		if operator && s.Erasure.OrderedAt == nil {
			v.Confirm = &confirmView{
				words: v.words, Href: address + "/erasure", Key: newKey(), Cancel: operatorPages + "destructions", Wrong: wrong,
				Means: v.T("operator.erasure.means"), Ask: v.T("confirm.type", "word", v.T("confirm.word")),
			}
			if s.Held() {
				v.Confirm.Refused = v.T("confirm.held")
			}
		}
	}
	status := http.StatusOK
	if wrong {
		status = route.StatusOf(fault.RequestInvalid)
	}
	return p.render(c, status, "participant", v)
}

func (w words) erasure(e participant.Erasure, letter string) []destructionStep {
	list := []destructionStep{{Text: w.T("operator.erasure.requested"), At: w.moment(e.RequestedAt), Letter: letter, LetterText: w.T("keeping.letter")}}
	if e.OrderedAt != nil {
		list = append(list, destructionStep{Text: w.T("operator.erasure.ordered"), At: w.moment(*e.OrderedAt)})
	}
	if e.ErasedAt != nil {
		list = append(list, destructionStep{Text: w.T("operator.erasure.erased"), At: w.moment(*e.ErasedAt)})
	}
	return list
}

func (p *Pages) requestErasure(c echo.Context, caller route.Caller) error {
	id := c.Param("id")
	done, err := p.official(c, caller, id, p.ledger.RequestErasure)
	return p.finish(c, "erasure", operatorPages, operatorPages+"participants/"+url.PathEscape(id), done, err)
}

func (p *Pages) orderErasure(c echo.Context, caller route.Caller) error {
	if !p.confirmed(c) {
		return p.showParticipant(c, caller, c.Param("id"), true)
	}
	act, err := keyed(caller, c.FormValue("key"))
	if err != nil {
		return err
	}
	id := c.Param("id")
	done, err := p.ledger.OrderErasure(c.Request().Context(), act, id)
	return p.finish(c, "order", operatorPages, operatorPages+"participants/"+url.PathEscape(id), done, err)
}
