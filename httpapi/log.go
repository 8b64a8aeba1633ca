package httpapi

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"dalel/domain/checkpoint"
	"dalel/httpapi/route"
	"dalel/internal/fault"
	"dalel/projections/transparency"

	"github.com/labstack/echo/v4"
)

// Log is the transparency log; *transparency.Log is it.
type Log interface {
	// Object returns one of the log's files by its name in the layout of
	// c2sp.org/tlog-tiles; blob.not-found where there is none.
	Object(ctx context.Context, name string) ([]byte, error)
	Status() transparency.Status
	Newest() checkpoint.Signed
}

// Renewals makes records of how time stamps were renewed; see package renewal.
type Renewals interface {
	// Renewals makes the record from a checkpoint on, as the log signed it:
	// log.checkpoint-invalid for what is none, checkpoint.unknown,
	// renewal.not-stamped, renewal.too-large.
	Renewals(ctx context.Context, signed []byte) ([]byte, error)
}

// Where the log lies. Its address is what monitors and witnesses know it by.
const logPrefix = "/log"

// What the log's files are served as. Tiles never change, so they may be kept
// for ever; the checkpoint is asked for each time.
const (
	tileType       = "application/octet-stream"
	checkpointType = "text/plain; charset=utf-8"
	forEver        = "public, max-age=31536000, immutable"
	eachTime       = "no-cache"
)

// openToAll lets pages of other sites read what is public: a monitor may be a
// page.
func openToAll(c echo.Context, cache string) {
	h := c.Response().Header()
	h.Set("Cache-Control", cache)
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
}

func (s *Server) log() (Log, error) {
	if s.Transparency == nil {
		return nil, fault.New(fault.LogAbsent, "no key for one was made")
	}
	return s.Transparency, nil
}

func (s *Server) logCheckpoint(c echo.Context, _ route.Caller) error {
	log, err := s.log()
	if err != nil {
		return err
	}
	text, err := log.Object(c.Request().Context(), "checkpoint")
	if err != nil {
		return err
	}
	openToAll(c, eachTime)
	return route.Send(c, checkpointType, text)
}

func (s *Server) logKey(c echo.Context, _ route.Caller) error {
	if _, err := s.log(); err != nil {
		return err
	}
	openToAll(c, "public, max-age=300")
	return route.Send(c, checkpointType, []byte(s.LogKey+"\n"))
}

// logTile serves a tile or an entry bundle, whole or partial. A partial one is
// there for the sizes of checkpoints; who asks for another takes the whole one,
// as the layout says.
func (s *Server) logTile(c echo.Context, _ route.Caller) error {
	log, err := s.log()
	if err != nil {
		return err
	}
	data, err := log.Object(c.Request().Context(), "tile/"+strings.TrimPrefix(c.Param("*"), "/"))
	if fault.Is(err, fault.RequestInvalid) {
		// What is no name of a tile names nothing here.
		return fault.New(fault.BlobNotFound, "the log has no such tile")
	}
	if err != nil {
		return err
	}
	openToAll(c, forEver)
	return route.Send(c, tileType, data)
}

// logRenewals answers with the record of how the time stamp on a checkpoint was
// renewed since (R-M5). It may take a while, so that it waits for its turn among
// the packets.
func (s *Server) logRenewals(c echo.Context, caller route.Caller) error {
	if _, err := s.log(); err != nil {
		return err
	}
	return s.built(c, caller, func(ctx context.Context, w io.Writer) error {
		record, err := s.Renewals.Renewals(ctx, []byte(c.QueryParam("checkpoint")))
		if err != nil {
			return fmt.Errorf("make the record of renewals: %w", err)
		}
		_, err = w.Write(record)
		return err
	}, func(size int64) {
		describeContent(c, "", "application/json", "dalel-renewals.json", size)
	})
}

// logStatusView is how the log is on this node, for who is responsible for it.
type logStatusView struct {
	transparency.Status
	// Key is what checkpoints are checked with.
	Key string `json:"key"`
	// Cosigned are the witnesses whose lines the newest checkpoint has, Stamped
	// the authorities that have stamped it.
	Cosigned []string `json:"cosigned"`
	Stamped  []string `json:"stamped"`
}

func (s *Server) logStatus(c echo.Context, _ route.Caller) error {
	log, err := s.log()
	if err != nil {
		return err
	}
	view := logStatusView{Status: log.Status(), Key: s.LogKey, Cosigned: []string{}, Stamped: []string{}}
	newest := log.Newest()
	for _, cosigned := range newest.Cosignatures {
		view.Cosigned = append(view.Cosigned, cosigned.Witness)
	}
	for _, stamped := range newest.Stamps {
		view.Stamped = append(view.Stamped, stamped.Authority)
	}
	return c.JSON(http.StatusOK, view)
}
