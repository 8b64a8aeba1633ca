package httpapi

import (
	"net/http"
	"strconv"
	"time"

	"dalel/domain/fileformat"
	"dalel/domain/ledger"
	"dalel/httpapi/check"
	"dalel/httpapi/route"
	"dalel/internal/fault"

	"github.com/labstack/echo/v4"
)

// This file has the routes of exemplars and paper copies (R-D10), and the
// check of a number by an outsider (R-M3).

// issuedReceipt is the answer to a command that issued something numbered.
type issuedReceipt struct {
	receipt
	// Number counts what was issued of its kind on the document, from 1.
	Number int `json:"number"`
}

// issued answers with the number of what the command issued: also when it was
// sent again, and others were issued since.
func (s *Server) issued(c echo.Context, outcome ledger.Outcome, copies bool) error {
	id := param(c, "id")
	number, copied, err := s.Ledger.Issued(c.Request().Context(), id, outcome.Position)
	if err != nil {
		return err
	}
	header := c.Response().Header()
	if copies {
		number = copied
		header.Set("Location", prefix+"/documents/"+id+"/copies/"+strconv.Itoa(number))
	}
	return c.JSON(http.StatusCreated, issuedReceipt{receiptOf(c, outcome), number})
}

func (s *Server) issueExemplar(c echo.Context, caller route.Caller) error {
	outcome, err := s.Ledger.IssueExemplar(c.Request().Context(), caller.Act, param(c, "id"))
	if err != nil {
		return err
	}
	return s.issued(c, outcome, false)
}

func (s *Server) issueCopy(c echo.Context, caller route.Caller) error {
	var body struct {
		Language string `json:"language"`
	}
	if err := readJSON(c, &body); err != nil {
		return err
	}
	outcome, err := s.Ledger.IssuePaperCopy(c.Request().Context(), caller.Act, param(c, "id"), body.Language)
	if err != nil {
		return err
	}
	return s.issued(c, outcome, true)
}

func (s *Server) paperCopy(c echo.Context, caller route.Caller) error {
	n, err := strconv.Atoi(param(c, "n"))
	if err != nil {
		return fault.New(fault.FileUnknown, "the document has no paper copy of that number")
	}
	content, issued, err := s.Ledger.OpenCopy(c.Request().Context(), caller.Act, param(c, "id"), n)
	if err != nil {
		return err
	}
	defer content.Close()
	return s.sendContent(c, caller, issued.SHA256, "application/pdf", "copy-"+strconv.Itoa(n)+".pdf", issued.Size, content)
}

// extension is the usual ending of names of files of a media type.
func extension(mediaType string) string {
	format, err := fileformat.Lookup(mediaType)
	if err != nil || len(format.Extensions) == 0 {
		return ""
	}
	return format.Extensions[0]
}

// checkNumber answers whoever holds a paper with a number on it. Numbers that
// are none are counted by address as unknown tokens are: nobody finds
// documents by trying.
func (s *Server) checkNumber(c echo.Context, caller route.Caller) error {
	address := check.Neighbourhood(caller.Act.IP)
	if wait := s.places.guesses.tooMany(address, time.Now()); wait > 0 {
		return throttled(c, wait, "too many unknown numbers from this address; try again in a minute")
	}
	view, err := s.Ledger.CheckNumber(c.Request().Context(), param(c, "number"))
	if fault.Is(err, fault.DocumentUnknown) {
		s.places.guesses.note(address, time.Now())
	}
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, view)
}
