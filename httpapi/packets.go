package httpapi

import (
	"context"
	"io"
	"time"

	"dalel/domain/access"
	"dalel/domain/packet"
	"dalel/httpapi/route"
	"dalel/internal/fault"
	"dalel/projections"

	"github.com/labstack/echo/v4"
)

// maxExtractDocuments is how many documents are looked into for an extract.
const maxExtractDocuments = 2000

// packetOfSeveral sends one packet of the documents that the query names, or
// of those that a participant's journal has in a period (R-M1).
func (s *Server) packetOfSeveral(c echo.Context, caller route.Caller) error {
	of, err := selected(c, caller)
	if err != nil {
		return err
	}
	name := "packet"
	if len(of.Documents) == 0 {
		if of.Participant == "" || of.To.IsZero() {
			return fault.New(fault.RequestInvalid, "name documents, or give participant=, from= and to=")
		}
		if of.Documents, err = s.entered(c.Request().Context(), of); err != nil {
			return err
		}
		name = "packet-" + of.Participant
	} else {
		if !of.To.IsZero() {
			return fault.New(fault.RequestInvalid, "a packet is of named documents or of a period")
		}
		// What a participant may see of the named ones was asked at the door.
		of.Participant = ""
	}
	return s.sendBuilt(c, caller, name, func(ctx context.Context, w io.Writer) error { return s.Packets.ExportSeveral(ctx, w, of) })
}

// extract sends a sealed extract from the journals (R-G2): of one document or
// of a period, from the caller's own journal or, to an auditor, from that of
// whom it names, or all.
func (s *Server) extract(c echo.Context, caller route.Caller) error {
	of, err := selected(c, caller)
	if err != nil {
		return err
	}
	name := "extract"
	switch len(of.Documents) {
	case 0:
		if of.To.IsZero() {
			return fault.New(fault.RequestInvalid, "name a document, or give from= and to=")
		}
		of.Documents, err = s.touched(c.Request().Context(), of)
	case 1:
		of.Document, of.Documents = of.Documents[0], nil
		name = "extract-" + of.Document
		if !of.To.IsZero() {
			err = fault.New(fault.RequestInvalid, "an extract is about a document or about a period")
		}
	default:
		err = fault.New(fault.RequestInvalid, "an extract is about one document or about a period")
	}
	if err != nil {
		return err
	}
	return s.sendBuilt(c, caller, name, func(ctx context.Context, w io.Writer) error { return s.Packets.ExportExtract(ctx, w, of) })
}

// reader is the participant for whom something is taken out, "" for an auditor.
func reader(caller route.Caller) string {
	if caller.Role == access.RoleAuditor {
		return ""
	}
	return caller.By.Participant
}

// selected reads what the query asks for.
func selected(c echo.Context, caller route.Caller) (of Selection, err error) {
	of.Documents, of.Reader = namedDocuments(c), reader(caller)
	if of.Participant, err = whose(c, caller, false); err != nil {
		return of, err
	}
	from, to := c.QueryParam("from"), c.QueryParam("to")
	if from == "" && to == "" {
		return of, nil
	}
	if from == "" || to == "" {
		return of, fault.New(fault.RequestInvalid, "a period needs both from= and to=")
	}
	if of.From, err = packet.ParseDay(from, false); err != nil {
		return of, err
	}
	if of.To, err = packet.ParseDay(to, true); err != nil {
		return of, err
	}
	if !of.From.Before(of.To) {
		return of, fault.New(fault.RequestInvalid, "the period ends before it begins")
	}
	return of, nil
}

// gathered are the documents of pages, each once, up to a bound.
type gathered struct {
	ids   []string
	known map[string]bool
	most  int
}

func (g *gathered) add(id string) error {
	if g.known == nil {
		g.known = map[string]bool{}
	}
	if g.known[id] {
		return nil
	}
	if len(g.ids) == g.most {
		return fault.New(fault.RequestTooLarge, "more than %d documents: ask for a shorter period", g.most)
	}
	g.known[id], g.ids = true, append(g.ids, id)
	return nil
}

// each reads all pages of a list.
func each[T any](read func(projections.Page) (projections.Result[T], error), take func(T) error) error {
	for page := (projections.Page{Limit: projections.MaxPage}); ; {
		result, err := read(page)
		if err != nil {
			return err
		}
		for _, item := range result.Items {
			if err := take(item); err != nil {
				return err
			}
		}
		if page.After = result.Next; page.After == "" {
			return nil
		}
	}
}

// entered are the documents that a participant's journal has in the period.
func (s *Server) entered(ctx context.Context, of Selection) ([]string, error) {
	found := gathered{most: packet.MaxDocuments}
	err := each(func(page projections.Page) (projections.Result[projections.JournalRow], error) {
		return s.Models.Journal(ctx, projections.JournalFilter{Participant: of.Participant, From: of.From, To: of.To}, page)
	}, func(row projections.JournalRow) error { return found.add(row.Document) })
	return found.ids, err
}

// touched are documents of which something may have been recorded in the
// period: those that have changed since it began.
func (s *Server) touched(ctx context.Context, of Selection) ([]string, error) {
	found := gathered{most: maxExtractDocuments}
	take := func(id string, created, updated time.Time) error {
		if updated.Before(of.From) || !created.Before(of.To) {
			return nil
		}
		return found.add(id)
	}
	if of.Participant == "" {
		err := each(func(page projections.Page) (projections.Result[projections.DocumentRow], error) {
			return s.Models.Documents(ctx, page)
		},
			func(row projections.DocumentRow) error { return take(row.Document, row.CreatedAt, row.UpdatedAt) })
		return found.ids, err
	}
	for _, read := range []func(context.Context, string, projections.Page) (projections.Result[projections.BoxRow], error){s.Models.Outbox, s.Models.Inbox} {
		err := each(func(page projections.Page) (projections.Result[projections.BoxRow], error) {
			return read(ctx, of.Participant, page)
		},
			func(row projections.BoxRow) error { return take(row.Document, row.CreatedAt, row.UpdatedAt) })
		if err != nil {
			return nil, err
		}
	}
	return found.ids, nil
}
