package pages

import (
	"context"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"dalel/domain/signature"
	"dalel/httpapi/check"
	"dalel/httpapi/route"
	"dalel/internal/fault"

	"github.com/labstack/echo/v4"
)

// This file has the part of the check page that takes uploads (R-M3): a file,
// or a proof packet, in a plain form. Nothing changes by it, so there is no key
// and no session; a form on another site is refused by the server as all are.

// Uploads checks what is uploaded; *check.Checker does it.
type Uploads interface {
	Enter(address string) (leave func(), err error)
	File(ctx context.Context, from io.Reader) (check.File, error)
	Packet(ctx context.Context, from io.Reader) (check.Packet, error)
	Bounds() check.Bounds
}

// uploadView is one of the forms, and what is wrong with what it sent.
type uploadView struct {
	// Name is file or packet: of the form, its field and its address.
	Name, Title, Lead, Label, Hint string
	Accept                         string
	// Trouble says why there is no answer, TroubleText what to do.
	Trouble, TroubleText string
}

func (w words) uploads(bounds check.Bounds) []*uploadView {
	return []*uploadView{
		{Name: "file", Title: w.T("check.file.title"), Lead: w.T("check.file.lead"), Label: w.T("check.file.label", "n", w.size(bounds.File)), Hint: w.T("check.file.hint", "n", w.size(check.MaxInside))},
		{Name: "packet", Title: w.T("check.packet.title"), Lead: w.T("check.packet.lead"), Label: w.T("check.packet.label", "n", w.size(bounds.Packet)), Hint: w.T("check.packet.hint", "command", "dalel verify"), Accept: ".zip,.asice,.sce,application/zip,application/vnd.etsi.asic-e+zip"},
	}
}

// fileAnswer is what is told of a file.
type fileAnswer struct {
	words
	Hash, Size string
	// Answer says it in short, Text what that means.
	look
	Answer, Text string
	Matches      []matchView
	More         string
	Inside       *insideView
}

// matchView is a document with the file.
type matchView struct {
	words
	publicAnswer
	ID string
	// Number is nil for a document of which nothing is told.
	Number          []string
	Href            string
	Status          badge
	Sent, Completed moment
	Revoked         *moment
	Log             string
}

type insideView struct {
	words
	Form    string
	Verdict badge
	// Now is the verdict for now where it is another than Verdict, which a time
	// token may have made one for an earlier moment.
	Now     *badge
	At      moment
	Reasons []reasonView
	Signers []insideSigner
}

type insideSigner struct {
	words
	N       string
	Verdict badge
	// Subject is nil where the certificate is not at hand.
	Subject                *subjectView
	Certificate, Algorithm string
	SignedBy               *moment
	Reasons                []reasonView
}

// checkUpload answers an upload. A refusal is told beside its form.
func (p *Pages) checkUpload(name string) route.Handler {
	return func(c echo.Context, caller route.Caller) error {
		v := p.checkPage(c, caller)
		status := http.StatusOK
		err := p.answerUpload(c, caller, name, &v)
		var refusal *fault.Error
		if errors.As(err, &refusal) && besides(refusal.Code) {
			status = route.StatusOf(refusal.Code)
			for _, form := range v.Uploads {
				if form.Name == name {
					form.Trouble, form.TroubleText = v.uploadTrouble(name, refusal.Code)
				}
			}
		} else if err != nil {
			return err
		}
		c.Response().Header().Set("X-Robots-Tag", "noindex, nofollow")
		return p.render(c, status, "check", v)
	}
}

// besides reports whether a refusal is about what was sent, and not a failure.
func besides(code fault.Code) bool {
	switch fault.Lookup(code).Kind {
	case fault.KindInvalid, fault.KindTooLarge, fault.KindThrottled, fault.KindUnsupported:
		return true
	}
	return false
}

func (w words) uploadTrouble(name string, code fault.Code) (trouble, text string) {
	switch code {
	case fault.FileTooLarge, fault.RequestTooLarge:
		return w.T("check.upload.large"), w.T("check.upload.large." + name)
	case fault.FileInvalid:
		return w.T("check.upload.empty"), w.T("check.upload.empty.text")
	case fault.PacketUnreadable:
		return w.fault(code), w.T("check.packet.unreadable")
	case fault.Throttled:
		return w.fault(code), w.T("check.upload.wait")
	}
	return w.fault(code), w.T("check.upload.again")
}

func (p *Pages) answerUpload(c echo.Context, caller route.Caller, name string, v *checkView) error {
	leave, err := p.uploads.Enter(caller.Act.IP)
	if err != nil {
		return err
	}
	defer leave()
	ctx := c.Request().Context()
	body := c.Request().Body
	// A browser that still sends is told nothing: what is left is read, within
	// the bound and the time that the route has.
	defer func() { _, _ = io.Copy(io.Discard, body) }()
	part, err := uploaded(c, name)
	if err != nil {
		return err
	}
	if name == "packet" {
		found, err := p.uploads.Packet(ctx, formPart{part})
		if err == nil {
			v.Packet = v.packetAnswer(found)
		}
		return err
	}
	found, err := p.uploads.File(ctx, formPart{part})
	if err == nil {
		v.File = v.fileAnswer(found)
	}
	return err
}

// uploaded is the part of the form that has the file, as it comes in.
func uploaded(c echo.Context, field string) (io.Reader, error) {
	name, params, err := mime.ParseMediaType(c.Request().Header.Get("Content-Type"))
	if err != nil || name != "multipart/form-data" || params["boundary"] == "" {
		return nil, fault.New(fault.MediaType, "send the form with the file in it")
	}
	parts := multipart.NewReader(c.Request().Body, params["boundary"])
	for range 10 {
		part, err := parts.NextPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, formFailure(err)
		}
		if part.FormName() == field {
			return part, nil
		}
	}
	return nil, fault.New(fault.FileInvalid, "the form has no file")
}

func (w words) fileAnswer(found check.File) *fileAnswer {
	a := &fileAnswer{words: w, Hash: found.SHA256, Size: w.size(found.Size), look: lookGood, Answer: w.T("check.file.found", "n", len(found.Documents))}
	if len(found.Documents) == 0 {
		a.look, a.Answer, a.Text = lookRest, w.T("check.file.none"), w.T("check.file.none.text")
	}
	if found.More {
		a.More = w.T("check.file.more", "n", len(found.Documents))
	}
	for i, d := range found.Documents {
		m := w.match(d)
		m.ID = "document-" + strconv.Itoa(i+1)
		a.Matches = append(a.Matches, m)
		if m.Tone != lookGood.Tone {
			a.look = lookRest
		}
	}
	if in := found.Inside; in != nil {
		a.Inside = w.inside(in)
	}
	return a
}

func (w words) match(d check.Document) matchView {
	if d.Withheld {
		return matchView{words: w, publicAnswer: publicAnswer{look: lookRest, Answer: w.T("check.withheld")}}
	}
	m := matchView{
		words: w, publicAnswer: w.publicAnswer(d.Headline, d.Forces), Number: parts(d.Number), Href: "/check/" + url.PathEscape(d.Number),
		Status: w.headline(d.Headline), Sent: w.moment(d.SentAt), Completed: w.moment(d.CompletedAt), Revoked: w.momentOf(d.RevokedAt),
	}
	if d.Annulled > 0 {
		m.Notes = append(m.Notes, w.T("check.annulled", "n", d.Annulled))
	}
	switch {
	case d.Log == nil:
	case d.Log.Covered:
		m.Log = w.T("check.log.covered", "n", d.Log.Size)
	default:
		m.Log = w.T("check.log.waiting", "n", d.Log.Size)
	}
	return m
}

func (w words) inside(in *check.Inside) *insideView {
	v := &insideView{
		words: w, Form: strings.ToUpper(string(in.Form)), Verdict: w.verdict(in.Status),
		At: w.moment(in.At), Reasons: w.reasons(in.Reasons),
	}
	if in.StatusNow != in.Status {
		now := w.verdict(in.StatusNow)
		v.Now = &now
	}
	for i, s := range in.Signers {
		v.Signers = append(v.Signers, insideSigner{
			Subject: w.subject(s.Subject),
			words:   w, N: strconv.Itoa(i + 1), Verdict: w.verdict(s.Status), Certificate: s.Certificate, Algorithm: s.Algorithm,
			SignedBy: w.momentOf(s.SignedBy), Reasons: w.reasons(s.Reasons),
		})
	}
	return v
}

// subjectView is what a certificate says of its owner and of itself.
type subjectView struct {
	words
	Name, Organization, IIN, BIN, Role, Serial, Issuer string
}

// subject is nil where there is nothing to show.
func (w words) subject(of *check.Subject) *subjectView {
	if of == nil || *of == (check.Subject{}) {
		return nil
	}
	v := &subjectView{
		words: w, Name: of.Name, Organization: of.Organization, IIN: of.IIN, BIN: of.BIN, Serial: of.Serial, Issuer: of.Issuer,
	}
	if of.Role != signature.RoleNone {
		v.Role = w.T("certificate-role." + string(of.Role))
	}
	return v
}

func (w words) reasons(found []signature.Reason) []reasonView {
	var list []reasonView
	for _, r := range found {
		list = append(list, reasonView{w.reason(r.Code, r.Detail), r.Code})
	}
	return list
}
