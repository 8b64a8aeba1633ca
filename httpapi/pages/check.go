package pages

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"dalel/domain/document"
	"dalel/domain/ledger"
	"dalel/httpapi/route"
	"dalel/internal/fault"
	"dalel/projections"

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
	// Class says how the answer stands out.
	Class, Answer   string
	Number          []string
	Status          badge
	Sent, Completed moment
	Destroyed       *moment
	Signed, Fallen  string
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
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || r == '-' || r == '\u2013' {
			return -1
		}
		return r
	}, typed)
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
				v.Found = v.found(found)
			}
		}
	}
	c.Response().Header().Set("X-Robots-Tag", "noindex, nofollow")
	return p.render(c, status, "check", v)
}

func (w words) found(view ledger.PublicView) *foundView {
	f := &foundView{
		words: w, Class: "good", Answer: w.T("check.good"), Number: parts(view.Number), Status: w.status(projections.Status(view.Status), view.Lost+view.Doubted > 0),
		Sent: w.moment(view.SentAt), Completed: w.moment(view.CompletedAt), Destroyed: w.momentOf(view.DestroyedAt),
		Signed: w.T("check.signed", "n", view.Signatures),
	}
	switch {
	case view.Lost > 0:
		f.Fallen = w.T("check.lost", "n", view.Lost)
	case view.Doubted > 0:
		f.Fallen = w.T("check.doubted", "n", view.Doubted)
	case view.Status == document.Withdrawn:
	case view.Signatures > 0:
		f.Signed = w.T("check.stand", "n", view.Signatures)
	}
	switch {
	case view.DestroyedAt != nil:
		f.Class, f.Answer = "warn", w.T("check.destroyed")
	case view.Status == document.Withdrawn:
		f.Class, f.Answer = "warn", w.T("check.revoked")
	case view.Lost > 0:
		f.Class, f.Answer = "alarm", w.T("check.fallen")
	case view.Doubted > 0:
		f.Class, f.Answer = "warn", w.T("check.doubt")
	case view.Signatures == 0:
		f.Answer = w.T("check.nosignatures")
	}
	for i, file := range view.Files {
		f.Files = append(f.Files, fileView{Name: w.T("gone.file", "n", strconv.Itoa(i+1)), Size: w.size(file.Size), Hash: file.SHA256})
	}
	return f
}
