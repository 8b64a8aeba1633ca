package pages

import (
	"net/http"
	"strconv"

	"dalel/httpapi/route"
	"dalel/internal/fault"
	"dalel/projections/transparency"

	"github.com/labstack/echo/v4"
)

// This file has the page on which the operator, and an auditor, see how the
// transparency log is (R-M4, R-M5).

// logView is the page; Phase is nil where the ledger keeps no log.
type logView struct {
	frame
	Origin, Key         string
	Phase               *badge
	Integrated, Covered string
	Root                string
	Published           *moment
	// Trouble says what it waits for or why it has stopped, Code the fault's.
	Trouble, Code string
	Stopped       bool
	// Renewal is when the newest time stamps must be renewed, RenewalOf whose it is
	// that ends first; nil where there is nothing to renew.
	Renewal   *moment
	RenewalOf string
	// Asked are those who confirm checkpoints.
	Asked []askedView
}

type askedView struct {
	Kind, Name string
	Size       string
	At         *moment
	State      badge
}

func (p *Pages) logStatus(c echo.Context, caller route.Caller) error {
	v := logView{frame: p.frame(c, caller, "log")}
	v.Title = v.T("log.title")
	if p.log == nil {
		return p.render(c, http.StatusOK, "log", v)
	}
	s := p.log.Status()
	v.Origin, v.Key = s.Origin, p.logKey
	v.Phase = &badge{phaseLook(s.Phase), v.T("log-phase." + string(s.Phase))}
	v.Integrated, v.Covered = strconv.FormatUint(s.Integrated, 10), strconv.FormatUint(s.Published, 10)
	if s.Root != nil {
		v.Root = s.Root.String()
	}
	v.Published = v.momentOf(s.PublishedAt)
	if s.Code != "" {
		v.Trouble, v.Code, v.Stopped = v.fault(s.Code), string(s.Code), s.Phase == transparency.PhaseStopped
	}
	add := func(kind string, list []transparency.Asked) {
		for _, a := range list {
			row := askedView{Kind: v.T("log.kind." + kind), Name: a.Name, At: v.momentOf(a.At), State: badge{lookGood, v.T("log.answers")}}
			if a.Size > 0 {
				row.Size = strconv.FormatUint(a.Size, 10)
			}
			switch {
			case a.Failures > 0:
				row.State = badge{lookDoubt, v.T("log.silent", "n", a.Failures, "why", v.why(a.Code))}
			case a.Size == 0:
				row.State = badge{lookRest, v.T("log.notyet")}
			}
			v.Asked = append(v.Asked, row)
		}
	}
	add("witness", s.Witnesses)
	add("authority", s.Authorities)
	add("evidence", s.Evidence)
	if s.Renewal != nil {
		v.Renewal, v.RenewalOf = v.momentOf(&s.Renewal.At), s.Renewal.Authority
	}
	return p.render(c, http.StatusOK, "log", v)
}

// why says why somebody has not answered. Those who are asked have codes of
// their own, which are shown as they are.
func (v logView) why(code fault.Code) string {
	if fault.Lookup(code).Code != code {
		return string(code)
	}
	return v.fault(code)
}

func phaseLook(phase transparency.Phase) look {
	switch phase {
	case transparency.PhaseLive:
		return lookGood
	case transparency.PhaseStopped:
		return lookBad
	case transparency.PhaseWaiting:
		return lookDoubt
	}
	return lookRest
}
