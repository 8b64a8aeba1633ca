package pages

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"dalel/domain/document"
	"dalel/domain/ledger"
	"dalel/httpapi/route"
	"dalel/internal/fault"

	"github.com/labstack/echo/v4"
)

// action is one thing that a party can do on a document's page. It has do, or
// official where its form carries an official letter.
type action struct {
	name     string
	do       func(c echo.Context, act ledger.Act, id string) (ledger.Outcome, error)
	official func(ctx context.Context, act ledger.Act, id, reason, mediaType string, letter io.Reader) (ledger.Outcome, error)
}

// actions lists all; which of them a page offers is said by offered and
// offeredKeeping.
func (p *Pages) actions() []action {
	plain := func(do func(l Ledger, ctx context.Context, act ledger.Act, id string) (ledger.Outcome, error)) func(echo.Context, ledger.Act, string) (ledger.Outcome, error) {
		return func(c echo.Context, act ledger.Act, id string) (ledger.Outcome, error) {
			return do(p.ledger, c.Request().Context(), act, id)
		}
	}
	reasoned := func(do func(l Ledger, ctx context.Context, act ledger.Act, id, reason string) (ledger.Outcome, error)) func(echo.Context, ledger.Act, string) (ledger.Outcome, error) {
		return func(c echo.Context, act ledger.Act, id string) (ledger.Outcome, error) {
			return do(p.ledger, c.Request().Context(), act, id, prose(c.FormValue("reason")))
		}
	}
	return []action{
		{name: "acknowledge", do: plain(Ledger.AcknowledgeDocument)},
		{name: "approve", do: plain(Ledger.ApproveDocument)},
		{name: "sign", do: p.sign},
		{name: "reject", do: reasoned(Ledger.RejectDocument)},
		{name: "revoke", do: reasoned(Ledger.RevokeDocument)},
		{name: "consent", do: plain(Ledger.ConsentToRevocation)},
		{name: "decline", do: reasoned(Ledger.DeclineRevocation)},
		{name: "copy", do: func(c echo.Context, act ledger.Act, id string) (ledger.Outcome, error) {
			chosen := Language(c.FormValue("language"))
			if !known(chosen) {
				return ledger.Outcome{}, fault.New(fault.RequestInvalid, "the language is ru, kk or en")
			}
			return p.ledger.IssuePaperCopy(c.Request().Context(), act, id, string(chosen))
		}},
		{name: "exemplar", do: plain(Ledger.IssueExemplar)},
		{name: "destroy", official: func(ctx context.Context, act ledger.Act, id, reason, mediaType string, letter io.Reader) (ledger.Outcome, error) {
			return p.ledger.RequestDestruction(ctx, act, id, reason, mediaType, letter)
		}},
	}
}

// maxBody is how many bytes the action's form may have.
func (a action) maxBody() int64 {
	switch {
	case a.official != nil:
		return maxOfficialBytes
	case a.name == "sign":
		return maxSigningBytes
	default:
		return maxFormBytes
	}
}

// prose is a text as somebody typed it into a form: browsers end its lines
// with CR LF, which no event takes.
func prose(text string) string { return strings.ReplaceAll(text, "\r\n", "\n") }

// act carries an action out and goes back to the document, which shows what
// came of it. A document that the caller may not see gives an error page.
func (p *Pages) act(a action) route.Handler {
	return func(c echo.Context, caller route.Caller) error {
		id := c.Param("id")
		var done ledger.Outcome
		var err error
		if a.official != nil {
			done, err = p.official(c, caller, id, a.official)
		} else {
			var act ledger.Act
			if act, err = keyed(caller, c.FormValue("key")); err != nil {
				return err
			}
			done, err = a.do(c, act, id)
		}
		return p.finish(c, a.name, documentPages, "/documents/"+url.PathEscape(id), done, err)
	}
}

// keyed is the caller's act with the key of the form.
func keyed(caller route.Caller, key string) (ledger.Act, error) {
	act := caller.Act
	if act.Key == "" {
		act.Key = key
	}
	switch {
	case act.Key == "":
		return act, fault.New(fault.IdempotencyMissing, "the form has no key")
	case len(act.Key) > 200:
		return act, fault.New(fault.IdempotencyInvalid, "the form's key is too long")
	}
	return act, nil
}

// finish goes on to the page that shows what came of a command; under is the
// part of the site that page is in.
func (p *Pages) finish(c echo.Context, name, under, to string, done ledger.Outcome, err error) error {
	var refused *fault.Error
	switch {
	case errors.As(err, &refused) && shown(refused.Code):
		p.leave(c, under, "refused:"+string(refused.Code))
	case err != nil:
		return err
	default:
		p.leave(c, under, "done:"+name)
	}
	if done.Position > 0 {
		// The page to come shows what was done. If the read models are
		// behind, it shows it a little later.
		if err := p.models.WaitFor(c.Request().Context(), done.Position); err != nil && !fault.Is(err, fault.PositionNotReady) {
			return err
		}
	}
	return p.seeOther(c, to)
}

// official reads a form of key, reason and letter, in this order, and hands
// the letter on as it comes in: it is never in memory as a whole, nor in clear
// on a disk.
func (p *Pages) official(c echo.Context, caller route.Caller, id string,
	command func(ctx context.Context, act ledger.Act, id, reason, mediaType string, letter io.Reader) (ledger.Outcome, error)) (ledger.Outcome, error) {
	none := ledger.Outcome{}
	body := c.Request().Body
	name, params, err := mime.ParseMediaType(c.Request().Header.Get("Content-Type"))
	if err != nil || name != "multipart/form-data" || params["boundary"] == "" {
		return none, fault.New(fault.RequestInvalid, "the form has no letter")
	}
	parts := multipart.NewReader(body, params["boundary"])
	fields := map[string]string{}
	for range 10 {
		part, err := parts.NextPart()
		if err != nil {
			return none, formFailure(err)
		}
		if part.FormName() != "letter" {
			text, err := io.ReadAll(io.LimitReader(part, maxFormBytes))
			if err != nil {
				return none, formFailure(err)
			}
			fields[part.FormName()] = string(text)
			continue
		}
		act, err := keyed(caller, fields["key"])
		if err != nil {
			return none, err
		}
		if part.FileName() == "" {
			return none, fault.New(fault.FileInvalid, "attach the letter")
		}
		done, err := command(c.Request().Context(), act, id, prose(fields["reason"]), part.Header.Get("Content-Type"), formPart{part})
		// A browser that still sends is told nothing: what is left is read.
		_, _ = io.Copy(io.Discard, body)
		return done, err
	}
	return none, fault.New(fault.RequestInvalid, "the form has no letter")
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

// formFailure is the body's own error, if it has one, or says that the form is
// none.
func formFailure(err error) error {
	var coded *fault.Error
	if errors.As(err, &coded) {
		return err
	}
	return fault.Wrap(fault.RequestInvalid, err, "the form cannot be read to its end")
}

// shown reports whether a refusal is shown on the document's own page: it is
// about what was asked, and not about who asked or a failure.
func shown(code fault.Code) bool {
	if code == fault.FileTooLarge || code == fault.HoldUnknown {
		return true
	}
	switch fault.Lookup(code).Kind {
	case fault.KindConflict, fault.KindRefused, fault.KindInvalid, fault.KindGone:
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
		if header.Size > ledger.MaxSignatureBytes {
			return ledger.Outcome{}, fault.New(fault.RequestTooLarge, "a signature file has at most %d bytes", ledger.MaxSignatureBytes)
		}
		content, err := header.Open()
		if err != nil {
			return ledger.Outcome{}, fmt.Errorf("open an uploaded signature: %w", err)
		}
		cms, err := io.ReadAll(io.LimitReader(content, ledger.MaxSignatureBytes))
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
	// More is what stands beneath the hint.
	More string
	// Select is the label of a choice among Options, "" for none.
	Select  string
	Options []option
	// Hold is the id of the hold that the form lifts.
	Hold string
	// Letter is the label of the official letter that is asked for, "" for
	// none; Accept are the types that it may have.
	Letter, Accept string
	// Danger sets what cannot be undone apart.
	Danger bool
}

func (w words) form(name string) actionView {
	return actionView{Name: name, Key: newKey(), Label: w.T("action." + name)}
}

// offered says what a participant can do with a document now. The ledger
// decides when it is done; this only spares people forms that would be
// refused.
func (w words) offered(s document.State, me string, now time.Time) []actionView {
	var list []actionView
	offer := func(name string) *actionView {
		list = append(list, w.form(name))
		return &list[len(list)-1]
	}
	you, ok := s.Party(me)
	if !ok || s.Gone() {
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
