package httpapi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"dalel/domain/ledger"
	"dalel/internal/fault"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/labstack/echo/v4"
)

// Bounds of JSON bodies.
const (
	maxJSON = 1 << 20
	// maxSignatures is room for one CMS per file of the largest document at
	// the size that signers really make.
	maxSignatures = 16 << 20
	// maxDepth is how deep JSON may be nested; ours is four deep.
	maxDepth = 16
)

// readJSON reads the body into target: JSON in UTF-8, no duplicate and no
// unknown members, nothing behind. Errors: request.media-type,
// request.invalid and those of the body.
func readJSON(c echo.Context, target any) error {
	name, params, err := mime.ParseMediaType(c.Request().Header.Get("Content-Type"))
	if charset := params["charset"]; err != nil || name != "application/json" || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return fault.New(fault.MediaType, "send application/json")
	}
	text, err := io.ReadAll(c.Request().Body)
	if err != nil {
		return fmt.Errorf("read the body: %w", err)
	}
	// Some editors and programs begin a file with it (RFC 8259, 8.1 lets it be
	// ignored).
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	tokens := jsontext.NewDecoder(bytes.NewReader(text))
	for {
		if _, err := tokens.ReadToken(); err == io.EOF {
			break
		} else if err != nil {
			return fault.Wrap(fault.RequestInvalid, err, "the body is no well-formed JSON at byte %d", tokens.InputOffset())
		}
		if tokens.StackDepth() > maxDepth {
			return fault.New(fault.RequestInvalid, "the JSON is nested more than %d deep", maxDepth)
		}
	}
	if err := json.Unmarshal(text, target, json.RejectUnknownMembers(true)); err != nil {
		var wrong *json.SemanticError
		switch {
		case errors.Is(err, json.ErrUnknownName) && errors.As(err, &wrong):
			return fault.Wrap(fault.RequestInvalid, err, "the member at %s is not known here", wrong.JSONPointer)
		case errors.As(err, &wrong):
			return fault.Wrap(fault.RequestInvalid, err, "the value at %q is not of the right type", string(wrong.JSONPointer))
		default:
			return fault.Wrap(fault.RequestInvalid, err, "the body is not one JSON value")
		}
	}
	return nil
}

// receipt is the answer to a command.
type receipt struct {
	ID       string `json:"id"`
	Revision uint64 `json:"revision"`
	Position uint64 `json:"position"`
	Repeated bool   `json:"repeated"`
}

// done answers a command that was carried out.
func done(c echo.Context, status int, outcome ledger.Outcome, err error) error {
	if err != nil {
		return err
	}
	return c.JSON(status, receiptOf(c, outcome))
}

// receiptOf makes the receipt of a command that was carried out, and sets the
// headers that say the same.
func receiptOf(c echo.Context, outcome ledger.Outcome) receipt {
	header := c.Response().Header()
	header.Set("ETag", strconv.Quote(strconv.FormatUint(uint64(outcome.Revision), 10)))
	header.Set("Dalel-Position", strconv.FormatUint(uint64(outcome.Position), 10))
	return receipt{ID: outcome.ID, Revision: uint64(outcome.Revision), Position: uint64(outcome.Position), Repeated: outcome.Repeated}
}

// created is done with the address of what was made.
func created(c echo.Context, under string, outcome ledger.Outcome, err error) error {
	if err == nil {
		c.Response().Header().Set("Location", prefix+under+outcome.ID)
	}
	return done(c, http.StatusCreated, outcome, err)
}
