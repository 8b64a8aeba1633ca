package httpapi

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"dalel/domain/event"
	"dalel/domain/trust"
	"dalel/httpapi/route"
	"dalel/internal/fault"
	"dalel/projections"

	"github.com/labstack/echo/v4"
)

// anchorView is a trust anchor. Its certificate is at an address of its own.
type anchorView struct {
	Fingerprint string     `json:"fingerprint"`
	Kind        trust.Kind `json:"kind"`
	Subject     string     `json:"subject"`
	Algorithm   string     `json:"algorithm"`
	NotBefore   time.Time  `json:"notBefore"`
	NotAfter    time.Time  `json:"notAfter"`
	// Known is what was known of the fingerprint when the anchor was added,
	// Authority what is known of it now.
	Known     bool   `json:"known"`
	Authority string `json:"authority,omitempty"`
}

func viewAnchor(anchor trust.Anchor) anchorView {
	view := anchorView{
		Fingerprint: anchor.Fingerprint, Kind: anchor.Kind, Subject: anchor.Subject, Algorithm: anchor.Algorithm,
		NotBefore: anchor.NotBefore, NotAfter: anchor.NotAfter, Known: anchor.Known,
	}
	if known, ok := trust.Known(anchor.Fingerprint); ok {
		view.Authority = fmt.Sprintf("%s, %d", known.Name, known.Year)
	}
	return view
}

type standingView struct {
	anchorView
	How   trust.How `json:"how"`
	By    event.By  `json:"by"`
	Since time.Time `json:"since"`
}

type trustView struct {
	// At is the moment that was asked about, missing for now.
	At       *time.Time     `json:"at,omitempty"`
	Items    []standingView `json:"items"`
	Revision uint64         `json:"revision"`
	Position uint64         `json:"position"`
}

// trust answers with the anchors that are recorded as in force, now or at a
// moment.
func (s *Server) trust(c echo.Context, caller route.Caller) error {
	history, err := s.Ledger.TrustHistory(c.Request().Context())
	if err != nil {
		return err
	}
	view := trustView{Items: []standingView{}}
	var state trust.State
	if text := c.QueryParam("at"); text != "" {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return fault.New(fault.RequestInvalid, "at is a moment as RFC 3339 writes it")
		}
		at = at.UTC()
		view.At, state = &at, trust.At(history.State, at)
	} else {
		for _, e := range history.State {
			state = trust.Evolve(state, e)
		}
	}
	for _, standing := range state.Anchors {
		view.Items = append(view.Items, standingView{viewAnchor(standing.Anchor), standing.How, standing.By, standing.Since})
	}
	view.Revision, view.Position = place(c, history)
	return c.JSON(http.StatusOK, view)
}

type trustChange struct {
	Revision uint64     `json:"revision"`
	Change   string     `json:"change"`
	Anchor   anchorView `json:"anchor"`
	How      trust.How  `json:"how"`
	By       event.By   `json:"by"`
	At       time.Time  `json:"at"`
}

// trustHistory answers with the changes of trust, the latest first. A page's
// cursor is the revision of its last row.
func (s *Server) trustHistory(c echo.Context, caller route.Caller) error {
	p, err := page(c)
	if err != nil {
		return err
	}
	if p.Limit == 0 {
		p.Limit = projections.DefaultPage
	}
	history, err := s.Ledger.TrustHistory(c.Request().Context())
	if err != nil {
		return err
	}
	changes := trust.Changes(history.State)
	below := len(changes)
	if p.After != "" {
		revision, err := strconv.ParseUint(p.After, 10, 31)
		if err != nil {
			return fault.New(fault.CursorInvalid, "not a cursor of this list")
		}
		below = min(below, int(revision))
	}
	first := max(below-p.Limit, 0)
	var result projections.Result[trustChange]
	for i, change := range slices.Backward(changes[:below]) {
		if i < first {
			break
		}
		word := "added"
		if !change.Added {
			word = "removed"
		}
		result.Items = append(result.Items, trustChange{uint64(i), word, viewAnchor(change.Anchor), change.How, change.By, change.At})
	}
	if first > 0 {
		result.Next = strconv.Itoa(first)
	}
	return answerPage(c, result, nil)
}

// trustAnchor sends the certificate of an anchor that is or was in force.
func (s *Server) trustAnchor(c echo.Context, caller route.Caller) error {
	fingerprint := param(c, "fingerprint")
	der, err := s.Ledger.TrustAnchor(c.Request().Context(), fingerprint)
	if err != nil {
		return err
	}
	return sendBytes(c, fingerprint, "application/pkix-cert", fingerprint+".cer", der)
}
