package pages

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"dalel/domain/document"
	"dalel/domain/identifier"
	"dalel/domain/ledger"
	"dalel/httpapi/route"
	"dalel/internal/fault"

	"github.com/labstack/echo/v4"
)

// This file has the page on which anybody who holds a document's number
// checks it (R-M3); see upload.go for those who hold a file or a packet.

// checkView is the page: the forms, and what is known of a number, a file or a
// packet.
type checkView struct {
	frame
	// Typed is the number as it was given.
	Typed string
	// Trouble says that there is no answer, and TroubleText why.
	Trouble, TroubleText string
	Found                *foundView
	// Uploads are the forms for a file and for a packet.
	Uploads []*uploadView
	File    *fileAnswer
	Packet  *packetAnswer
}

// checkPage is the page with its forms and nothing else.
func (p *Pages) checkPage(c echo.Context, caller route.Caller) checkView {
	v := checkView{frame: p.frame(c, caller, "check")}
	v.Title = v.T("check.title")
	v.Uploads = v.uploads(p.uploads.Bounds())
	if c.Request().Method != http.MethodGet {
		// What was sent is not kept: another language begins anew.
		for i := range v.Switch {
			v.Switch[i].Href = "/check?lang=" + string(v.Switch[i].Lang)
		}
	}
	return v
}

// foundView is what an outsider sees of a document.
type foundView struct {
	words
	publicAnswer
	Number          []string
	Status          badge
	Sent, Completed moment
	Destroyed       *moment
	Files           []fileView
}

// guesses counts unknown numbers by address, in one window of a minute for
// all. It bounds what trying numbers costs; with 18 free digits, trying them
// is hopeless.
type guesses struct {
	mu    sync.Mutex
	until time.Time
	of    map[string]int
}

const (
	maxGuesses   = 60
	maxGuessers  = 10_000
	guessWindow  = time.Minute
	maxTypedText = 100
)

// tooMany reports whether an address has no further try now; a wrong one adds
// to its count.
func (g *guesses) tooMany(address string, now time.Time, wrong bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	// Under an attack from everywhere, forgetting is better than growing.
	if g.of == nil || !now.Before(g.until) || len(g.of) >= maxGuessers {
		g.of, g.until = map[string]int{}, now.Add(guessWindow)
	}
	if wrong {
		g.of[address]++
	}
	return g.of[address] >= maxGuesses
}

// checkForm is the page without an answer; a number from its form leads on to
// the address that the code on a paper copy leads to.
func (p *Pages) checkForm(c echo.Context, caller route.Caller) error {
	typed := c.QueryParam("number")
	if number := digits(typed); document.CheckNumber(number) == nil {
		return p.seeOther(c, "/check/"+number)
	}
	return p.answerCheck(c, caller, typed)
}

func (p *Pages) checkNumber(c echo.Context, caller route.Caller) error {
	if number := c.Param("number"); number == "file" || number == "packet" {
		// Where a form was sent to, asked for again.
		return p.seeOther(c, "/check")
	}
	return p.answerCheck(c, caller, c.Param("number"))
}

// digits is a number as people write it, without its spaces and hyphens.
func digits(typed string) string {
	if len(typed) > maxTypedText {
		return ""
	}
	return identifier.Bare(typed)
}

func (p *Pages) answerCheck(c echo.Context, caller route.Caller, typed string) error {
	v := p.checkPage(c, caller)
	if len(typed) <= maxTypedText {
		v.Typed = typed
	}
	status := http.StatusOK
	if number := digits(typed); typed != "" {
		now := p.clock()
		if p.guesses.tooMany(caller.Act.IP, now, false) {
			return fault.New(fault.Throttled, "too many unknown numbers from this address; try again in a minute")
		}
		if document.CheckNumber(number) != nil {
			status = route.StatusOf(fault.DocumentInvalid)
			v.Trouble, v.TroubleText = v.T("check.mistyped"), v.T("check.mistyped.text")
		} else {
			found, err := p.ledger.CheckNumber(c.Request().Context(), number)
			switch {
			case fault.Is(err, fault.DocumentUnknown):
				p.guesses.tooMany(caller.Act.IP, now, true)
				status = route.StatusOf(fault.DocumentUnknown)
				v.Trouble, v.TroubleText = v.T("check.unknown"), v.T("check.unknown.text")
			case err != nil:
				return err
			default:
				v.Found = v.numbered(found)
			}
		}
	}
	c.Response().Header().Set("X-Robots-Tag", "noindex, nofollow")
	return p.render(c, status, "check", v)
}

// numbered tells of a document by its number: one answer, and the same status word
// beneath it.
func (w words) numbered(view ledger.PublicView) *foundView {
	f := &foundView{
		words: w, publicAnswer: w.publicAnswer(view.Headline, view.Forces), Number: parts(view.Number), Status: w.headline(view.Headline),
		Sent: w.moment(view.SentAt), Completed: w.moment(view.CompletedAt), Destroyed: w.momentOf(view.DestroyedAt),
	}
	for i, file := range view.Files {
		f.Files = append(f.Files, fileView{Name: w.T("gone.file", "n", strconv.Itoa(i+1)), Size: w.size(file.Size), Hash: file.SHA256})
	}
	return f
}

// publicAnswer is the headline answer to whoever checks a document.
type publicAnswer struct {
	look
	Answer string
	// Signed says how many signatures there are, and of how many there is more
	// to say. That all stand is said of nothing but a document that stands.
	Signed string
	Notes  []string
}

func (w words) publicAnswer(headline document.Headline, forces ledger.Forces) publicAnswer {
	a := publicAnswer{look: headlineLook(headline), Signed: w.T("check.signed", "n", forces.Signatures)}
	switch headline {
	case document.HeadlineDestroyed:
		a.Answer = w.T("check.destroyed")
	case document.HeadlineRevoked:
		a.Answer = w.T("check.revoked")
	case document.HeadlineLost:
		a.Answer = w.T("check.fallen", "n", forces.Lost, "total", forces.Signatures)
	case document.HeadlineDoubt:
		a.Answer = w.T("check.doubted", "n", forces.Doubted, "total", forces.Signatures)
	case document.HeadlineRevocationProposed:
		a.Answer = w.T("check.proposed")
	case document.HeadlineSigned:
		a.Answer = w.T("check.good")
		if forces.Signatures == 0 {
			a.Answer = w.T("check.nosignatures")
		} else {
			a.Signed = w.T("check.stand", "n", forces.Signatures)
		}
	default:
		a.Answer = w.T("check.open") // no number is given before completion
	}
	if forces.Lost > 0 {
		a.Notes = append(a.Notes, w.T("check.lost", "n", forces.Lost))
	}
	if forces.Doubted > 0 {
		a.Notes = append(a.Notes, w.T("check.indoubt", "n", forces.Doubted))
	}
	return a
}
