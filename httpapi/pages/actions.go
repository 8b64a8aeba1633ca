package pages

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"dalel/domain/document"
	"dalel/domain/ledger"
	"dalel/httpapi/route"
	"dalel/internal/fault"

	"github.com/labstack/echo/v4"
)

// action is one thing that a party can do on a document's page.
type action struct {
	name string
	do   func(c echo.Context, act ledger.Act, id string) (ledger.Outcome, error)
}

// actions lists all; which of them a page offers is said by offered.
func (p *Pages) actions() []action {
	plain := func(do func(p Ledger, c echo.Context, act ledger.Act, id string) (ledger.Outcome, error)) func(echo.Context, ledger.Act, string) (ledger.Outcome, error) {
		return func(c echo.Context, act ledger.Act, id string) (ledger.Outcome, error) {
			return do(p.ledger, c, act, id)
		}
	}
	return []action{
		{"acknowledge", plain(func(l Ledger, c echo.Context, act ledger.Act, id string) (ledger.Outcome, error) {
			return l.AcknowledgeDocument(c.Request().Context(), act, id)
		})},
		{"approve", plain(func(l Ledger, c echo.Context, act ledger.Act, id string) (ledger.Outcome, error) {
			return l.ApproveDocument(c.Request().Context(), act, id)
		})},
		{"sign", p.sign},
		{"reject", plain(func(l Ledger, c echo.Context, act ledger.Act, id string) (ledger.Outcome, error) {
			return l.RejectDocument(c.Request().Context(), act, id, c.FormValue("reason"))
		})},
		{"revoke", plain(func(l Ledger, c echo.Context, act ledger.Act, id string) (ledger.Outcome, error) {
			return l.RevokeDocument(c.Request().Context(), act, id, c.FormValue("reason"))
		})},
		{"consent", plain(func(l Ledger, c echo.Context, act ledger.Act, id string) (ledger.Outcome, error) {
			return l.ConsentToRevocation(c.Request().Context(), act, id)
		})},
		{"decline", plain(func(l Ledger, c echo.Context, act ledger.Act, id string) (ledger.Outcome, error) {
			return l.DeclineRevocation(c.Request().Context(), act, id, c.FormValue("reason"))
		})},
	}
}

// act carries an action out and goes back to the document, which shows what
// came of it. A document that the caller may not see gives an error page.
func (p *Pages) act(a action) route.Handler {
	return func(c echo.Context, caller route.Caller) error {
		id, act := c.Param("id"), caller.Act
		if act.Key == "" {
			act.Key = c.FormValue("key")
		}
		if act.Key == "" {
			return fault.New(fault.IdempotencyMissing, "the form has no key")
		}
		if len(act.Key) > 200 {
			return fault.New(fault.IdempotencyInvalid, "the form's key is too long")
		}
		done, err := a.do(c, act, id)
		var refused *fault.Error
		switch {
		case errors.As(err, &refused) && shown(refused.Code):
			p.leave(c, "refused:"+string(refused.Code))
		case err != nil:
			return err
		default:
			p.leave(c, "done:"+a.name)
		}
		if done.Position > 0 {
			// The page to come shows what was done. If the read models are
			// behind, it shows it a little later.
			if err := p.models.WaitFor(c.Request().Context(), done.Position); err != nil && !fault.Is(err, fault.PositionNotReady) {
				return err
			}
		}
		return p.seeOther(c, "/documents/"+url.PathEscape(id))
	}
}

// shown reports whether a refusal is shown on the document's own page: it is
// about what was asked, and not about who asked or a failure.
func shown(code fault.Code) bool {
	switch fault.Lookup(code).Kind {
	case fault.KindConflict, fault.KindRefused, fault.KindInvalid:
		return true
	}
	return false
}

// sign takes one signature file for each file of the document.
func (p *Pages) sign(c echo.Context, act ledger.Act, id string) (ledger.Outcome, error) {
	ctx := c.Request().Context()
	snapshot, err := p.ledger.Document(ctx, act, id)
	if err != nil {
		return ledger.Outcome{}, err
	}
	var submitted []ledger.SubmittedSignature
	for i, file := range snapshot.State.Files {
		header, err := c.FormFile("signature-" + strconv.Itoa(i))
		if errors.Is(err, http.ErrMissingFile) {
			return ledger.Outcome{}, fault.New(fault.SignatureIncomplete, "file %d has no signature", i+1)
		}
		if err != nil {
			return ledger.Outcome{}, fault.Wrap(fault.RequestInvalid, err, "the form cannot be read")
		}
		if header.Size > ledger.MaxCMSBytes {
			return ledger.Outcome{}, fault.New(fault.RequestTooLarge, "a signature has at most %d bytes", ledger.MaxCMSBytes)
		}
		content, err := header.Open()
		if err != nil {
			return ledger.Outcome{}, fmt.Errorf("open an uploaded signature: %w", err)
		}
		cms, err := io.ReadAll(io.LimitReader(content, ledger.MaxCMSBytes))
		if err := errors.Join(err, content.Close()); err != nil {
			return ledger.Outcome{}, fmt.Errorf("read an uploaded signature: %w", err)
		}
		submitted = append(submitted, ledger.SubmittedSignature{File: file.Name, CMS: cms})
	}
	return p.ledger.SignDocument(ctx, act, id, submitted)
}

// actionView is a form of the document's page.
type actionView struct {
	Name, Href, Key, Label, Hint string
	// Reason is the label of the reason that is asked for, "" for none.
	Reason string
	// Uploads are the labels of the files asked for.
	Uploads []string
	// Danger sets what cannot be undone apart.
	Danger bool
}

// offered says what a participant can do with a document now. The ledger
// decides when it is done; this only spares people forms that would be
// refused.
func (w words) offered(s document.State, me string, now time.Time) []actionView {
	var list []actionView
	offer := func(name string) *actionView {
		list = append(list, actionView{Name: name, Key: newKey(), Label: w.T("action." + name)})
		return &list[len(list)-1]
	}
	you, ok := s.Party(me)
	if !ok {
		return nil
	}
	if s.IsTurn(me) && (you.Deadline == nil || now.Before(*you.Deadline)) {
		if you.Role == document.RoleApprove {
			offer("approve")
		} else {
			a := offer("sign")
			a.Hint = w.T("action.sign.hint")
			for _, f := range s.Files {
				a.Uploads = append(a.Uploads, w.T("action.sign.file", "name", f.Name))
			}
		}
	}
	if me != s.Sender && you.DeliveredAt != nil && you.AcknowledgedAt == nil {
		offer("acknowledge")
	}
	if s.Proposal != nil && me != s.Sender && (you.Role == document.RoleSign || you.Role == document.RoleApprove) && !slices.Contains(s.Proposal.Consents, me) {
		offer("consent")
		a := offer("decline")
		a.Reason, a.Danger = w.T("action.decline.reason"), true
	}
	if s.IsTurn(me) && (you.Deadline == nil || now.Before(*you.Deadline)) {
		a := offer("reject")
		a.Reason, a.Hint, a.Danger = w.T("action.reject.reason"), w.T("action.reject.hint"), true
	}
	if me == s.Sender && (s.Status == document.Awaiting || s.Status == document.Complete && s.Proposal == nil) {
		a := offer("revoke")
		a.Reason, a.Hint, a.Danger = w.T("action.revoke.reason"), w.T("action.revoke.hint"), true
		if s.Status == document.Complete {
			a.Hint = w.T("action.propose.hint")
		}
	}
	return list
}
