package httpapi

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"dalel/domain/access"
	"dalel/domain/document"
	"dalel/domain/identifier"
	"dalel/eventstore"
	"dalel/httpapi/pages"
	"dalel/httpapi/route"
	"dalel/internal/fault"
	"dalel/projections"

	"github.com/labstack/echo/v4"
)

func page(c echo.Context) (projections.Page, error) {
	p := projections.Page{After: c.QueryParam("after")}
	if limit := c.QueryParam("limit"); limit != "" {
		n, err := strconv.Atoi(limit)
		if err != nil || n < 1 || n > projections.MaxPage {
			return p, fault.New(fault.RequestInvalid, "limit is 1 to %d", projections.MaxPage)
		}
		p.Limit = n
	}
	return p, nil
}

// answerPage writes a page, and where the next one is (RFC 8288).
func answerPage[T any](c echo.Context, result projections.Result[T], err error) error {
	if err != nil {
		return err
	}
	if result.Items == nil {
		result.Items = []T{}
	}
	linkNext(c, result.Next)
	return c.JSON(http.StatusOK, result)
}

func linkNext(c echo.Context, next string) {
	if next == "" {
		return
	}
	query := url.Values{}
	for name, values := range c.QueryParams() {
		query[name] = values
	}
	query.Set("after", next)
	c.Response().Header().Set("Link", "<"+c.Request().URL.EscapedPath()+"?"+query.Encode()+`>; rel="next"`)
}

// whose returns whose box or journal is asked for: a participant's own, and
// for the others the one they name.
func whose(c echo.Context, caller route.Caller, needed bool) (string, error) {
	named := c.QueryParam("participant")
	if caller.Role == access.RoleParticipant {
		if named != "" && named != caller.By.Participant {
			return "", fault.New(fault.Forbidden, "participants see their own")
		}
		return caller.By.Participant, nil
	}
	if named == "" && needed {
		return "", fault.New(fault.RequestInvalid, "say whose: participant=")
	}
	return named, nil
}

func (s *Server) inbox(c echo.Context, caller route.Caller) error {
	return box(c, caller, s.Models.Inbox)
}

func (s *Server) outbox(c echo.Context, caller route.Caller) error {
	return box(c, caller, s.Models.Outbox)
}

func box(c echo.Context, caller route.Caller, read func(context.Context, string, projections.Page) (projections.Result[projections.BoxRow], error)) error {
	participant, err := whose(c, caller, true)
	if err != nil {
		return err
	}
	p, err := page(c)
	if err != nil {
		return err
	}
	result, err := read(c.Request().Context(), participant, p)
	return answerPage(c, result, err)
}

// journalFilter reads what a journal is narrowed by.
func journalFilter(c echo.Context, caller route.Caller) (projections.JournalFilter, error) {
	participant, err := whose(c, caller, false)
	if err != nil {
		return projections.JournalFilter{}, err
	}
	filter := projections.JournalFilter{
		Participant: participant, Direction: projections.Direction(c.QueryParam("direction")),
		Kind: document.Kind(c.QueryParam("kind")), Status: projections.Status(c.QueryParam("status")),
		Counterparty: c.QueryParam("counterparty"), Number: identifier.Typed(c.QueryParam("number")),
	}
	for name, into := range map[string]*time.Time{"from": &filter.From, "to": &filter.To} {
		if text := c.QueryParam(name); text != "" {
			if *into, err = time.Parse(time.RFC3339, text); err != nil {
				return filter, fault.New(fault.RequestInvalid, "%s is a moment as RFC 3339 writes it", name)
			}
		}
	}
	if !filter.From.IsZero() && !filter.To.IsZero() && !filter.From.Before(filter.To) {
		return filter, fault.New(fault.RequestInvalid, "to is not after from")
	}
	return filter, nil
}

func (s *Server) journal(c echo.Context, caller route.Caller) error {
	p, err := page(c)
	if err != nil {
		return err
	}
	filter, err := journalFilter(c, caller)
	if err != nil {
		return err
	}
	result, err := s.Models.Journal(c.Request().Context(), filter, p)
	if caller.Role == access.RoleOperator {
		// These are content, which operators do not read.
		for i := range result.Items {
			row := &result.Items[i]
			row.Title, row.SenderNumber, row.Date, row.Sum = "", "", "", nil
		}
	}
	return answerPage(c, result, err)
}

// journalFile sends the journal as a file in the language asked for (R-G1). It
// is written whole before the first byte is sent: an error has its own answer.
func (s *Server) journalFile(format pages.JournalFormat) route.Handler {
	return func(c echo.Context, caller route.Caller) error {
		filter, err := journalFilter(c, caller)
		if err != nil {
			return err
		}
		language := pages.Language(cmp.Or(c.QueryParam("lang"), string(pages.Russian)))
		name := "journal." + string(format)
		if asWhole(c, format.MediaType(), name) {
			return nil
		}
		return s.built(c, caller, func(ctx context.Context, w io.Writer) error {
			err := s.journals.Write(ctx, w, pages.JournalRequest{
				Filter: filter, Format: format, Language: language, Closed: caller.Role == access.RoleOperator, Now: s.Clock(),
			})
			if err != nil {
				return fmt.Errorf("write the journal: %w", err)
			}
			return nil
		}, func(size int64) {
			header := c.Response().Header()
			header.Set("Content-Disposition", disposition(name))
			header.Set("Content-Type", format.MediaType())
			header.Set("Content-Length", strconv.FormatInt(size, 10))
		})
	}
}

func (s *Server) documents(c echo.Context, caller route.Caller) error {
	p, err := page(c)
	if err != nil {
		return err
	}
	result, err := s.Models.Documents(c.Request().Context(), p)
	return answerPage(c, result, err)
}

func (s *Server) participants(c echo.Context, caller route.Caller) error {
	p, err := page(c)
	if err != nil {
		return err
	}
	result, err := s.Models.Participants(c.Request().Context(), p)
	return answerPage(c, result, err)
}

// timelinePage is how many events a timeline gives at a time unless asked.
const timelinePage = 100

type timelineView struct {
	Items []projections.TimelineRow `json:"items"`
	// Next is the after of the next page; missing when there is none yet.
	Next string `json:"next,omitempty"`
}

func (s *Server) timeline(c echo.Context, caller route.Caller) error {
	var after eventstore.Position
	var err error
	if text := c.QueryParam("after"); text != "" {
		if after, err = parsePosition(text); err != nil {
			return err
		}
	}
	p := projections.Page{Limit: timelinePage}
	if c.QueryParam("limit") != "" {
		if p, err = page(c); err != nil {
			return err
		}
	}
	rows, err := s.Models.Timeline(c.Request().Context(), documentOf(c).State.ID, after, p.Limit)
	if err != nil {
		return err
	}
	view := timelineView{Items: append([]projections.TimelineRow{}, rows...)}
	if len(rows) == p.Limit {
		view.Next = strconv.FormatUint(uint64(rows[len(rows)-1].Position), 10)
	}
	linkNext(c, view.Next)
	return c.JSON(http.StatusOK, view)
}
