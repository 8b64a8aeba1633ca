package httpapi

import (
	"context"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strconv"
	"time"

	"dalel/domain/access"
	"dalel/domain/document"
	"dalel/domain/ledger"
	"dalel/domain/retention"
	"dalel/httpapi/route"
	"dalel/internal/fault"
	"dalel/projections"

	"github.com/labstack/echo/v4"
)

// This file has the routes of keeping what is recorded and of ending it:
// retention, legal holds, destruction, erasure.

type retentionView struct {
	Until  time.Time        `json:"until"`
	Rule   string           `json:"rule"`
	Record retention.Record `json:"record"`
	From   retention.From   `json:"from"`
	Since  time.Time        `json:"since"`
}

type holdView struct {
	ID       string    `json:"id"`
	PlacedAt time.Time `json:"placedAt"`
	// Ground is for the operator and auditors alone.
	Ground string `json:"ground,omitempty"`
}

type requestView struct {
	// N is the place at which the letter is found: …/letters/N.
	N     int       `json:"n"`
	Party string    `json:"party"`
	At    time.Time `json:"at"`
}

type destructionProposalView struct {
	At            time.Time `json:"at"`
	Rule          string    `json:"rule"`
	RetainedUntil time.Time `json:"retainedUntil"`
}

type destructionOrderView struct {
	At            time.Time      `json:"at"`
	Basis         document.Basis `json:"basis"`
	Rule          string         `json:"rule,omitempty"`
	RetainedUntil *time.Time     `json:"retainedUntil,omitempty"`
}

type destructionView struct {
	RequestedBy []requestView            `json:"requestedBy"`
	Proposed    *destructionProposalView `json:"proposed,omitempty"`
	Ordered     *destructionOrderView    `json:"ordered,omitempty"`
	DestroyedAt *time.Time               `json:"destroyedAt,omitempty"`
}

// keepingOf says until when a document is kept, what keeps it from being
// destroyed, and how far its destruction has come.
func (s *Server) keepingOf(state document.State, role access.Role) (*retentionView, []holdView, *destructionView) {
	var kept *retentionView
	if found, ended := s.Ledger.Retention(state); ended {
		kept = &retentionView{Until: found.Until, Rule: found.Rule, Record: found.Record, From: found.From, Since: found.Since}
	}
	holds := []holdView{}
	for _, h := range state.Holds {
		view := holdView{ID: h.ID, PlacedAt: h.PlacedAt}
		if role != access.RoleParticipant {
			view.Ground = h.Ground
		}
		holds = append(holds, view)
	}
	ending := destructionView{RequestedBy: []requestView{}, DestroyedAt: state.DestroyedAt}
	for i, r := range state.Requests {
		ending.RequestedBy = append(ending.RequestedBy, requestView{N: i + 1, Party: r.Party, At: r.At})
	}
	if p := state.DestructionProposal; p != nil {
		ending.Proposed = &destructionProposalView{At: p.ProposedAt, Rule: p.Rule, RetainedUntil: p.RetainedUntil}
	}
	if o := state.Ordered; o != nil {
		ending.Ordered = &destructionOrderView{At: o.OrderedAt, Basis: o.Basis, Rule: o.Rule, RetainedUntil: o.RetainedUntil}
	}
	if len(ending.RequestedBy) == 0 && ending.Proposed == nil && !state.Gone() {
		return kept, holds, nil
	}
	return kept, holds, &ending
}

// The answers to whether an original exists (R-D11).
const (
	originalYes        = "yes"
	originalNo         = "no"
	originalCannotTell = "cannot-tell"
)

// originalLimit bounds the question whether an original exists.
const originalLimit = 5 * time.Second

type originalView struct {
	Exists string `json:"exists"`
	// Code and Detail say why not, or why nobody can tell.
	Code   fault.Code `json:"code,omitempty"`
	Detail string     `json:"detail,omitempty"`
}

// original asks whether an original of a document exists. That it cannot be
// told is an answer, and no reason to show nothing else of the document.
func (s *Server) original(ctx context.Context, act ledger.Act, id string) originalView {
	ctx, cancel := context.WithTimeout(ctx, originalLimit)
	defer cancel()
	switch err := s.Ledger.Original(ctx, act, id); {
	case err == nil:
		return originalView{Exists: originalYes}
	case fault.Is(err, fault.OriginalNone):
		refusal := asRefusal(err)
		return originalView{Exists: originalNo, Code: refusal.Code, Detail: refusal.Detail}
	default:
		return originalView{Exists: originalCannotTell, Code: asRefusal(err).Code}
	}
}

// keepingView is what the operator sees of a document: nothing of its content.
type keepingView struct {
	ID           string           `json:"id"`
	Sender       string           `json:"sender"`
	Kind         document.Kind    `json:"kind"`
	Status       document.Status  `json:"status"`
	Retention    *retentionView   `json:"retention,omitempty"`
	Holds        []holdView       `json:"holds"`
	Destruction  *destructionView `json:"destruction,omitempty"`
	Exemplars    int              `json:"exemplars"`
	Copies       int              `json:"copies"`
	RefusedFiles int              `json:"refusedFiles"`
	Revision     uint64           `json:"revision"`
	Position     uint64           `json:"position"`
}

func (s *Server) keeping(c echo.Context, caller route.Caller) error {
	snapshot, err := s.Ledger.Keeping(c.Request().Context(), caller.Act, param(c, "id"))
	if err != nil {
		return err
	}
	state := snapshot.State
	view := keepingView{
		ID: state.ID, Sender: state.Sender, Kind: state.Details.Kind, Status: state.Status,
		Exemplars: state.Exemplars, Copies: len(state.Copies), RefusedFiles: state.FileRefusals,
	}
	view.Retention, view.Holds, view.Destruction = s.keepingOf(state, caller.Role)
	view.Revision, view.Position = place(c, snapshot)
	return c.JSON(http.StatusOK, view)
}

func (s *Server) placeHold(c echo.Context, caller route.Caller) error {
	var body struct {
		Ground string `json:"ground"`
	}
	if err := readJSON(c, &body); err != nil {
		return err
	}
	outcome, err := s.Ledger.PlaceHold(c.Request().Context(), caller.Act, param(c, "id"), body.Ground)
	return done(c, http.StatusCreated, outcome, err)
}

func (s *Server) liftHold(c echo.Context, caller route.Caller) error {
	var body reason
	if err := readJSON(c, &body); err != nil {
		return err
	}
	outcome, err := s.Ledger.LiftHold(c.Request().Context(), caller.Act, param(c, "id"), param(c, "hold"), body.Reason)
	return done(c, http.StatusOK, outcome, err)
}

func (s *Server) orderDestruction(c echo.Context, caller route.Caller) error {
	var body struct {
		Basis document.Basis `json:"basis"`
	}
	if err := readJSON(c, &body); err != nil {
		return err
	}
	outcome, err := s.Ledger.OrderDestruction(c.Request().Context(), caller.Act, param(c, "id"), body.Basis)
	return done(c, http.StatusOK, outcome, err)
}

func (s *Server) requestDestruction(c echo.Context, caller route.Caller) error {
	return s.officialRequest(c, caller, s.Ledger.RequestDestruction)
}

func (s *Server) requestErasure(c echo.Context, caller route.Caller) error {
	return s.officialRequest(c, caller, s.Ledger.RequestErasure)
}

// Bounds of an official request's form besides its letter.
const (
	maxReasonBytes = 4 * document.MaxReasonRunes
	maxPreamble    = maxReasonBytes + 16<<10
	maxOfficial    = ledger.MaxLetterBytes + maxPreamble
)

// officialRequest reads a form of two parts, in this order: reason, which is
// text, and letter, a file whose Content-Type says what it is. The reason is
// in the body, and not in the address, since addresses end up in the logs of
// others. The letter is never in memory, nor in clear on a disk.
func (s *Server) officialRequest(c echo.Context, caller route.Caller,
	command func(ctx context.Context, act ledger.Act, id, reason, mediaType string, letter io.Reader) (ledger.Outcome, error)) error {
	name, params, err := mime.ParseMediaType(c.Request().Header.Get("Content-Type"))
	if err != nil || name != "multipart/form-data" || params["boundary"] == "" {
		return fault.New(fault.MediaType, "send multipart/form-data: reason, then letter")
	}
	bounded := &preamble{Reader: c.Request().Body, left: maxPreamble}
	form := multipart.NewReader(bounded, params["boundary"])
	next := func(wanted string) (*multipart.Part, error) {
		part, err := form.NextPart()
		switch {
		case err != nil:
			return nil, formFailure(err)
		case part.FormName() != wanted:
			return nil, fault.New(fault.RequestInvalid, "the form has reason and then letter; here %s is missing", wanted)
		}
		return part, nil
	}
	first, err := next("reason")
	if err != nil {
		return err
	}
	why, err := io.ReadAll(io.LimitReader(formPart{first}, maxReasonBytes+1))
	switch {
	case err != nil:
		return err
	case len(why) > maxReasonBytes:
		return fault.New(fault.RequestInvalid, "a reason has at most %d characters", document.MaxReasonRunes)
	}
	letter, err := next("letter")
	if err != nil {
		return err
	}
	bounded.over = true
	mediaType := letter.Header.Get("Content-Type")
	if mediaType == "" {
		return fault.New(fault.MediaType, "say in the part's Content-Type what the letter is")
	}
	outcome, err := command(c.Request().Context(), caller.Act, param(c, "id"), string(why), mediaType, formPart{letter})
	return done(c, http.StatusOK, outcome, err)
}

// preamble bounds what stands in a form before the letter, which is kept in
// memory: the headers of parts, and the reason.
type preamble struct {
	io.Reader
	left int
	over bool
}

// Read implements io.Reader.
func (p *preamble) Read(b []byte) (int, error) {
	if p.over {
		return p.Reader.Read(b)
	}
	if p.left == 0 {
		return 0, fault.New(fault.RequestInvalid, "there are more than %d bytes before the letter", maxPreamble)
	}
	n, err := p.Reader.Read(b[:min(len(b), p.left)])
	p.left -= n
	return n, err
}

// formPart is a part of a form whose errors have codes.
type formPart struct{ io.Reader }

// Read implements io.Reader.
func (p formPart) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	if err != nil && err != io.EOF {
		err = formFailure(err)
	}
	return n, err
}

// formFailure says what is wrong with a form: the body's own error, if it has
// one, or that the form is none.
func formFailure(err error) error {
	var known *fault.Error
	if errors.As(err, &known) {
		return err
	}
	return fault.Wrap(fault.RequestInvalid, err, "the form has no end, or a part that was announced is missing")
}

func (s *Server) letter(c echo.Context, caller route.Caller) error {
	n, err := strconv.Atoi(param(c, "n"))
	if err != nil {
		n = 0
	}
	content, letter, err := s.Ledger.OpenLetter(c.Request().Context(), caller.Act, param(c, "id"), n)
	if err != nil {
		return err
	}
	defer content.Close()
	return s.sendContent(c, caller, letter.SHA256, letter.MediaType, "letter-"+strconv.Itoa(n)+extension(letter.MediaType), letter.Size, content)
}

func (s *Server) erasureLetter(c echo.Context, caller route.Caller) error {
	content, letter, err := s.Ledger.OpenErasureLetter(c.Request().Context(), caller.Act, param(c, "id"))
	if err != nil {
		return err
	}
	defer content.Close()
	return s.sendContent(c, caller, letter.SHA256, letter.MediaType, "letter"+extension(letter.MediaType), letter.Size, content)
}

func (s *Server) orderErasure(c echo.Context, caller route.Caller) error {
	outcome, err := s.Ledger.OrderErasure(c.Request().Context(), caller.Act, param(c, "id"))
	return done(c, http.StatusOK, outcome, err)
}

func (s *Server) destructions(c echo.Context, caller route.Caller) error {
	p, err := page(c)
	if err != nil {
		return err
	}
	filter := projections.DestructionFilter{
		State: projections.DestructionState(c.QueryParam("state")), Subject: projections.DestructionSubject(c.QueryParam("subject")),
	}
	result, err := s.Models.Destructions(c.Request().Context(), filter, p)
	return answerPage(c, result, err)
}
