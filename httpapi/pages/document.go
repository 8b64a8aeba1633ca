package pages

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"dalel/domain/access"
	"dalel/domain/document"
	"dalel/domain/signature"
	"dalel/eventstore"
	"dalel/httpapi/route"
	"dalel/internal/fault"
	"dalel/projections"

	"github.com/labstack/echo/v4"
)

// timelinePage is how many events a document's page shows at once. A document
// with a hundred recipients has some five hundred.
const timelinePage = 500

// documentView is the page of one document.
type documentView struct {
	frame
	ID, Kind, Heading string
	Status            badge
	// Number is empty before completion, and NumberToCome says that there
	// can still be one.
	Number                []string
	NumberToCome          bool
	SenderNumber, OwnDate string
	Sum                   string
	Sent, Completed       *moment
	EndReason             string
	// Broken says that somebody else has written into the document's history:
	// what stood before is shown, and nothing can follow.
	Broken bool
	Packet string
	// Marks are lines under the status; Against says what stands against
	// signatures where that is the status.
	Marks         []badge
	Against       *againstView
	Proposal      *proposalView
	Parties       []partyView
	Files         []fileView
	Signatures    []signatureView
	Timeline      []eventView
	TimelineNext  string
	TimelineFirst string
	// Live is the address of the stream of changes, "" where the page does
	// not show the newest events.
	Live    string
	Actions []actionView
	Keeping keepingView
	// Gone is set where the document's destruction is ordered or done.
	Gone *goneView
	// PacketHint says what is in the packet.
	PacketHint string
}

type proposalView struct{ Reason, Consents string }

type partyView struct {
	Name, Role, Order, State, Attempts string
	You, Turn                          bool
	// Due is a deadline that still matters, Deadline one that does not.
	Due      *dueView
	Deadline string
	Steps    []stepView
}

type stepView struct {
	Text string
	At   moment
}

type fileView struct {
	Name, Type, Size, Hash, Href string
	// Cautions say what can make the file look different later.
	Cautions []string
}

// signatureView is a signature: who signed, for whom, one sentence on whether
// it stands, and why.
type signatureView struct {
	// Signer is the person whom the certificate names, else who acted; Party for
	// whom; Owner whose certificate it is, as that itself says.
	Signer, Party, Owner string
	Method               string
	Seal                 bool
	// Verdict is the one answer, with its look; Why are the reasons in words, the
	// weightiest first.
	Verdict badge
	Why     []string
	Moment  moment
	Basis   string
	// What follows is for technical details.
	Certificate, Algorithm string
	Serial, Issuer         string
	Claimed                *moment
	Files                  []signedFileView
}

// signedFileView is a signature over one file, with both verdicts: they are one
// where no time token names another moment than that of receipt.
type signedFileView struct {
	Name     string
	Verdicts []verdictView
	Evidence []evidenceView
}

type verdictView struct {
	Label   string
	Moment  moment
	Verdict badge
	Reasons []reasonView
}

// reasonView is a reason in words, with its code.
type reasonView struct{ Text, Code string }

// evidenceView is what a verdict rests on, or the signature itself.
type evidenceView struct{ Kind, Hash, Href string }

type eventView struct {
	Class, Title, Who string
	Position          string
	Revision          string
	At                moment
	Facts             []factView
}

type factView struct {
	Label, Text string
	// Code is for hashes and numbers, which are set in one width.
	Code  bool
	Alarm bool
}

func (p *Pages) document(c echo.Context, caller route.Caller) error {
	ctx, id := c.Request().Context(), c.Param("id")
	snapshot, err := p.ledger.Document(ctx, caller.Act, id)
	if err != nil {
		return err
	}
	shown := c.Request().Method != http.MethodHead
	if you, ok := snapshot.State.Party(caller.By.Participant); shown && ok && snapshot.Broken == nil && caller.Role == access.RoleParticipant &&
		caller.By.Participant != snapshot.State.Sender && you.ViewedAt == nil && !snapshot.State.Gone() {
		// Recorded before it is shown; the ledger does it once.
		seen, err := p.ledger.ViewDocument(ctx, caller.Act, id)
		if err != nil {
			return err
		}
		if err := p.models.WaitFor(ctx, seen.Position); err != nil && !fault.Is(err, fault.PositionNotReady) {
			return err
		}
		if snapshot, err = p.ledger.Document(ctx, caller.Act, id); err != nil {
			return err
		}
	}
	s := snapshot.State
	after, err := strconv.ParseUint("0"+c.QueryParam("after"), 10, 64)
	if err != nil {
		return fault.New(fault.CursorInvalid, "not a position")
	}
	rows, err := p.models.Timeline(ctx, id, eventstore.Position(after), timelinePage+1)
	if err != nil {
		return err
	}
	v := documentView{frame: p.frame(c, caller, "document"), ID: id, Heading: s.Details.Title, Broken: snapshot.Broken != nil}
	if s.Gone() {
		// From the order on nobody is shown its words, wherever they are kept.
		v.Heading = v.T("gone.title")
		for i := range rows {
			rows[i].Destroyed = true
		}
	}
	v.Title = v.Heading
	v.Outcome = p.outcome(c, documentPages, v.words)
	address := "/documents/" + url.PathEscape(id)
	api := "/api/v1/documents/" + url.PathEscape(id)
	if after > 0 {
		v.TimelineFirst = address + "#timeline"
	}
	if len(rows) > timelinePage {
		rows = rows[:timelinePage]
		v.TimelineNext = address + "?after=" + strconv.FormatUint(uint64(rows[timelinePage-1].Position), 10) + "#timeline"
	} else {
		v.Live = api + "/timeline/live"
	}
	facts := make([]projections.Facts, len(rows))
	ids := []string{s.Sender}
	for i, row := range rows {
		if err := json.Unmarshal(row.Facts, &facts[i]); err != nil {
			return fault.Wrap(fault.EventInvalid, err, "the facts of an event cannot be read")
		}
		if row.Destroyed {
			facts[i] = wordless(facts[i])
		}
		ids = append(ids, row.Actor, row.OnBehalfOf, row.Party)
		ids = slices.Concat(ids, facts[i].Recipients, facts[i].Parties, facts[i].Standing)
	}
	for _, party := range s.Parties {
		ids = append(ids, party.Participant)
	}
	for _, r := range s.Requests {
		ids = append(ids, r.Party)
	}
	for _, issued := range s.Copies {
		ids = append(ids, issued.Party)
	}
	for _, sig := range s.Signatures {
		ids = append(ids, sig.By.Person)
	}
	n, err := p.lookup(ctx, v.words, slices.DeleteFunc(ids, func(id string) bool { return id == "" })...)
	if err != nil {
		return err
	}
	weighed, err := p.weigh(ctx, s)
	if err != nil {
		return err
	}
	v.describe(s, weighed, n, caller)
	if v.PacketHint = v.T("document.packet.hint"); !v.Broken {
		v.Packet = api + "/packet"
	}
	v.Keeping, v.Gone = p.keep(ctx, n, s, caller), n.gone(s)
	if s.Gone() {
		v.PacketHint = v.T("gone.packet")
	}
	for i, f := range s.Files {
		view := fileView{
			Name: f.Name, Type: f.MediaType, Size: v.size(f.Size), Hash: f.SHA256,
			Href: api + "/files/" + url.PathEscape(f.Name),
		}
		if s.Gone() {
			view.Name, view.Href = v.T("gone.file", "n", i+1), ""
		}
		for _, caution := range f.Cautions {
			view.Cautions = append(view.Cautions, v.T("caution."+string(caution)))
		}
		v.Files = append(v.Files, view)
	}
	v.outcomeLinks()
	v.Signatures = n.signatures(s, weighed, api)
	for i, row := range rows {
		v.Timeline = append(v.Timeline, n.event(row, facts[i]))
	}
	if caller.Role == access.RoleParticipant && !v.Broken {
		v.Actions = v.offered(s, caller.By.Participant, p.clock())
		v.Keeping.Actions = n.offeredKeeping(s, caller.By.Participant)
		for _, list := range [][]actionView{v.Actions, v.Keeping.Actions} {
			for i := range list {
				list[i].Href = address + "/" + list[i].Name
			}
		}
	}
	return p.render(c, http.StatusOK, "document", v)
}

// outcomeLinks leads from the outcome of issuing something to what was issued.
func (v *documentView) outcomeLinks() {
	if v.Outcome == nil || v.Gone != nil {
		return
	}
	switch copies := v.Keeping.Copies; v.Outcome.Name {
	case "exemplar":
		for _, f := range v.Files {
			v.Outcome.Links = append(v.Outcome.Links, link{Href: f.Href, Text: f.Name})
		}
	case "copy":
		if len(copies) > 0 {
			last := copies[len(copies)-1]
			v.Outcome.Links = []link{{Href: last.Href, Text: last.Label}}
		}
	}
}

// describe fills in what the document says of itself and its route.
func (v *documentView) describe(s document.State, weighed weighed, n names, caller route.Caller) {
	v.Kind = v.T("kind." + string(s.Details.Kind))
	viewer := ""
	if caller.Role == access.RoleParticipant {
		viewer = caller.By.Participant
	}
	headline := s.Situation(weighed.force, viewer).Headline()
	var until *time.Time
	turn := viewer != "" && s.IsTurn(viewer)
	if turn {
		you, _ := s.Party(viewer)
		until = you.Deadline
	}
	v.Status, v.Marks, v.Against = v.headline(headline), v.marks(headline, turn, s.Held(), until), n.against(s, headline, weighed)
	v.Number, v.NumberToCome = parts(s.Number), s.Status == document.Draft || s.Status == document.Awaiting
	v.SenderNumber, v.Sum = s.Details.Number, v.Lang.money(s.Details.Sum)
	if s.Details.Date != "" {
		v.OwnDate = v.ownDate(s.Details.Date)
	}
	v.Sent, v.Completed, v.EndReason = v.momentOf(s.SentAt), v.momentOf(s.CompletedAt), s.EndReason
	if s.Proposal != nil {
		v.Proposal = &proposalView{Reason: s.Proposal.Reason, Consents: n.all(s.Proposal.Consents)}
	}
	for _, party := range s.Parties {
		v.Parties = append(v.Parties, v.party(s, party, n, caller))
	}
}

func (v *documentView) party(s document.State, party document.Party, n names, caller route.Caller) partyView {
	sender := party.Participant == s.Sender
	view := partyView{
		Name: n.of(party.Participant), You: caller.Role == access.RoleParticipant && party.Participant == caller.By.Participant,
		Turn: s.IsTurn(party.Participant),
	}
	if party.Role != "" {
		view.Role = v.T("role." + string(party.Role))
	}
	if sender {
		view.Order = v.T("party.sender")
	} else {
		view.Order = v.T("party.order", "n", party.Order)
	}
	if party.Attempts > 0 {
		view.Attempts = v.T("party.attempts", "n", party.Attempts)
	}
	switch {
	case party.Deadline == nil:
	case s.Status == document.Awaiting && party.Outcome == "" && party.Role != document.RoleRead:
		view.Due = v.dueOf(party.Deadline)
	default:
		view.Deadline = v.deadline(*party.Deadline)
	}
	step := func(key string, at *time.Time) {
		if at != nil {
			view.Steps = append(view.Steps, stepView{Text: v.T(key), At: v.moment(*at)})
		}
	}
	step("party.delivered", party.DeliveredAt)
	step("party.viewed", party.ViewedAt)
	step("party.acknowledged", party.AcknowledgedAt)
	if party.Outcome != "" {
		step("state."+string(party.Outcome), party.ActedAt)
	}
	switch {
	case party.Outcome != "":
		view.State = v.T("state." + string(party.Outcome))
	case sender && party.Role == "":
	case sender:
		view.State = v.state(projections.StatePending, projections.RoleSender)
	case party.AcknowledgedAt != nil:
		view.State = v.state(projections.StateAcknowledged, "")
	case party.ViewedAt != nil:
		view.State = v.state(projections.StateViewed, "")
	case party.DeliveredAt != nil:
		view.State = v.state(projections.StateDelivered, "")
	default:
		view.State = v.state(projections.StatePending, "")
	}
	return view
}

func (w words) fileName(s document.State, hash string) string {
	for i, f := range s.Files {
		switch {
		case f.SHA256 != hash:
		case f.Name == "":
			return w.T("gone.file", "n", i+1)
		default:
			return f.Name
		}
	}
	return hash
}

// classes say how an event of the timeline stands out.
func class(eventType string) string {
	switch eventType {
	case document.SignaturesRevoked{}.EventType(), document.Rejected{}.EventType():
		return "alarm"
	case document.SignaturesDoubted{}.EventType(), document.SignatureRefused{}.EventType(), document.Revoked{}.EventType(), document.Expired{}.EventType(),
		document.RevocationProposed{}.EventType(), document.RevocationDeclined{}.EventType(),
		document.FileRefused{}.EventType(), document.HoldPlaced{}.EventType(),
		document.DestructionRequested{}.EventType(), document.DestructionOrdered{}.EventType(), document.Destroyed{}.EventType():
		return "warn"
	case document.Signed{}.EventType(), document.Approved{}.EventType(), document.Completed{}.EventType():
		return "good"
	}
	return "plain"
}

// event tells of one event.
func (n names) event(row projections.TimelineRow, f projections.Facts) eventView {
	view := eventView{
		Class: class(row.Type), Title: n.or("event."+row.Type, row.Type), At: n.moment(row.RecordedAt),
		Position: strconv.FormatUint(uint64(row.Position), 10), Revision: strconv.FormatUint(uint64(row.Revision), 10),
		Who: n.T("event.by", "who", n.of(row.Actor)),
	}
	if row.OnBehalfOf != "" {
		view.Who = n.T("event.onbehalf", "who", n.of(row.Actor), "party", n.of(row.OnBehalfOf))
	}
	fact := func(key, text string) {
		if text != "" {
			view.Facts = append(view.Facts, factView{Label: n.T(key), Text: text})
		}
	}
	mono := func(key, text string) {
		if text != "" {
			view.Facts = append(view.Facts, factView{Label: n.T(key), Text: text, Code: true})
		}
	}
	when := func(key string, at *time.Time) {
		if at != nil {
			fact(key, n.moment(*at).Text)
		}
	}
	if row.Party != "" && row.Party != row.Actor && row.Party != row.OnBehalfOf {
		fact("fact.party", n.of(row.Party))
	}
	if f.Kind != "" {
		fact("fact.kind", n.T("kind."+string(f.Kind)))
	}
	fact("fact.title", f.Title)
	fact("fact.sendernumber", f.SenderNumber)
	if f.File != "" {
		text := f.File
		if f.Size > 0 {
			text += " (" + n.size(f.Size) + ")"
		}
		fact("fact.file", text)
	}
	mono("fact.hash", f.SHA256)
	mono("fact.replaces", f.Replaces)
	if len(f.Recipients) > 0 {
		fact("fact.recipients", n.all(f.Recipients))
	}
	if f.SenderSigns {
		view.Facts = append(view.Facts, factView{Label: n.T("fact.sendersigns"), Text: n.T("app.yes")})
	}
	if f.Method != "" {
		fact("fact.method", n.T("method."+string(f.Method)))
	}
	if f.Verdict != "" {
		fact("fact.verdict", n.verdict(signature.Status(f.Verdict)).Text)
	}
	if f.Ruling != "" {
		fact("fact.ruling", n.T("ruling."+string(f.Ruling)))
	}
	for _, code := range f.Found {
		fact("signature.reasons", n.reason(code, code)+" ("+code+")")
	}
	if f.Attempt > 0 && f.Attempted != nil {
		fact("fact.attempt", n.T("fact.attempt.which", "n", f.Attempt, "at", n.moment(*f.Attempted).Text))
	}
	if f.Again {
		view.Facts = append(view.Facts, factView{Label: n.T("fact.again"), Text: n.T("fact.again.how")})
	}
	if f.Signatures > 0 {
		fact("fact.files", strconv.Itoa(f.Signatures))
	}
	mono("fact.certificate", f.Certificate)
	if f.Code != "" {
		key := "fact.refused"
		if row.Type == (document.FileRefused{}).EventType() {
			key = "fact.whynot"
			mono("fact.type", f.MediaType)
		}
		fact(key, n.fault(fault.Code(f.Code)))
	}
	if f.Exemplar > 0 {
		fact("fact.exemplar", strconv.Itoa(f.Exemplar))
	}
	if f.Copy > 0 {
		fact("fact.copy", strconv.Itoa(f.Copy))
	}
	mono("fact.hold", f.Hold)
	if f.Basis != "" {
		fact("fact.basis", capital(n.or("basis."+string(f.Basis), string(f.Basis))))
	}
	if f.Rule != "" {
		fact("fact.rule", n.rule(f.Rule))
	}
	when("fact.retained", f.RetainedUntil)
	if f.Ruling != "" {
		fact("fact.ruling", n.T("ruling."+string(f.Ruling)))
	}
	fact("fact.reason", f.Reason)
	mono("fact.number", f.Number)
	if f.AfterCompletion {
		view.Facts = append(view.Facts, factView{Label: n.T("fact.after"), Text: n.T("app.yes")})
	}
	if len(f.Parties) > 0 {
		key := "fact.doubted"
		switch row.Type {
		case document.SignaturesRevoked{}.EventType():
			key = "fact.lost"
		case document.DoubtLifted{}.EventType():
			key = "fact.standing"
		case document.Expired{}.EventType():
			key = "fact.late"
		case document.DestructionOrdered{}.EventType():
			key = "fact.asked"
		}
		view.Facts = append(view.Facts, factView{Label: n.T(key), Text: n.all(f.Parties), Alarm: key == "fact.lost"})
	}
	if len(f.Standing) > 0 {
		fact("fact.standing", n.all(f.Standing))
	}
	if f.Deadline != nil {
		fact("fact.deadline", n.deadline(*f.Deadline))
	}
	when("fact.from", f.CompromisedFrom)
	mono("fact.notice", f.Notice)
	// The event's own moment is told where it is another than that of its
	// recording.
	if f.At != nil && f.At.Sub(row.RecordedAt).Abs() >= time.Second {
		when("fact.at", f.At)
	}
	return view
}
