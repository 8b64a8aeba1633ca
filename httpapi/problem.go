package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"syscall"
	"time"

	"dalel/httpapi/check"
	"dalel/httpapi/pages"
	"dalel/httpapi/route"
	"dalel/internal/fault"

	"github.com/google/uuid"
	"github.com/klauspost/compress/gzhttp"
	"github.com/labstack/echo/v4"
)

// Problem is an error as RFC 9457 writes it.
type Problem struct {
	// Type is /problems/<code>.
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	// English is the detail in plain English, where title and detail are in
	// another language.
	English string `json:"english,omitempty"`
	// Code is stable: clients switch on it.
	Code    fault.Code     `json:"code"`
	Reasons []fault.Reason `json:"reasons,omitempty"`
	// RequestID is that of the header X-Request-Id: the client's own if it sent
	// one. Instance is the same as a URI.
	RequestID string `json:"requestId"`
	Instance  string `json:"instance"`
}

const problemType = "application/problem+json"

// asRefusal returns what may be told of an error.
func asRefusal(err error) *fault.Error {
	var refusal *fault.Error
	var router *echo.HTTPError
	switch {
	case errors.As(err, &refusal):
		if fault.Lookup(refusal.Code).Kind == fault.KindInternal {
			// What is wrong inside is for the log alone.
			return &fault.Error{Code: refusal.Code, Err: err}
		}
		return refusal
	case errors.As(err, &router):
		switch router.Code {
		case http.StatusNotFound:
			return fault.New(fault.RouteUnknown, "there is nothing at this address")
		case http.StatusMethodNotAllowed:
			return fault.New(fault.MethodUnknown, "this method is not allowed here")
		}
	case errors.Is(err, syscall.ENOSPC):
		return fault.Wrap(fault.StorageFull, err, "there is no room left to write")
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return fault.Wrap(fault.Unavailable, err, "it took too long")
	}
	return &fault.Error{Code: fault.Internal, Err: err}
}

// answerError answers a request with a problem, or a page that says the same.
// An answer that has begun cannot be taken back: its connection is broken, so
// that nobody takes it for whole.
func (s *Server) answerError(c echo.Context, r route.Route, caller route.Caller, err error) {
	refusal := asRefusal(err)
	status := route.StatusOf(refusal.Code)
	if errors.As(err, new(absent)) {
		status = http.StatusNotFound
	}
	id, _ := c.Get(keyRequestID).(string)
	s.Metrics.problem(refusal.Code)
	s.noteSecurity(c, r, caller, refusedAs(c, r, caller, refusal.Code, status), refusal.Code)
	if wentAway(c.Request()) {
		// No fault of ours. The answer is written all the same: a client may have
		// closed its half alone.
		c.Set(keyAborted, true)
		s.Log.Info("request aborted by its client", "request", id, "route", c.Path(), "code", refusal.Code)
	} else if status >= 500 {
		s.Log.Error("request failed", "request", id, "route", c.Path(), "code", refusal.Code, "error", err)
	} else {
		s.Log.Info("request refused", "request", id, "route", c.Path(), "code", refusal.Code)
	}
	if refusal.Code == fault.TokenInvalid {
		s.places.failures.note(check.Neighbourhood(s.address(c.Request())), time.Now())
	}
	if c.Response().Committed {
		panic(http.ErrAbortHandler)
	}
	header := c.Response().Header()
	for _, name := range []string{"Content-Type", "ETag", "Content-Disposition", "Content-Length", "Repr-Digest", "Digest", "Accept-Ranges", "Location", "Link"} {
		header.Del(name)
	}
	header.Del(gzhttp.HeaderNoCompression)
	if status != http.StatusRequestedRangeNotSatisfiable {
		header.Del("Content-Range")
	}
	header.Set("Cache-Control", "no-store")
	switch status {
	case http.StatusUnauthorized:
		header.Set("WWW-Authenticate", `Bearer realm="dalel"`)
	case http.StatusTooManyRequests:
		retryAfter(header, "60")
	case http.StatusServiceUnavailable:
		retryAfter(header, "5")
	}
	if s.PageError != nil && (r.Page || r.Path == "" && wantsPage(c.Request())) {
		if err := s.PageError(c, caller, refusal); err != nil {
			s.Log.Error("an error page failed", "request", id, "route", c.Path(), "error", err)
		}
		if c.Response().Committed {
			return
		}
	}
	if !caller.SignedIn() && (refusal.Code == fault.StreamBroken || refusal.Code == fault.ChainBroken) {
		// Where in the store that is, is nothing to the public.
		refusal = fault.New(refusal.Code, "%s", fault.Lookup(refusal.Code).Title)
	}
	problem := Problem{
		Type: "/problems/" + string(refusal.Code), Title: fault.Lookup(refusal.Code).Title, Status: status,
		Detail: refusal.Detail, Code: refusal.Code, Reasons: refusal.Reasons, RequestID: id, Instance: instanceOf(id),
	}
	spoken := s.refusals.Language(c.Request())
	if spoken != pages.English {
		problem.English = problem.Detail
		problem.Title, problem.Detail = s.refusals.Words(spoken, refusal)
	}
	header.Set("Content-Language", string(spoken))
	header.Add("Vary", "Accept-Language, Cookie")
	encoded, err := json.Marshal(problem)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if err := c.Blob(status, problemType, encoded); err != nil {
		s.Log.Debug("an answer was not taken", "request", id)
	}
}

// instanceOf is a request's id as a URI.
func instanceOf(id string) string {
	if uuid.Validate(id) == nil {
		return "urn:uuid:" + id
	}
	return "urn:dalel:request:" + id
}

// retryAfter says when to try again, unless it was said for how long what was
// asked for is used up.
func retryAfter(header http.Header, seconds string) {
	if header.Get("Retry-After") == "" {
		header.Set("Retry-After", seconds)
	}
}

// wantsPage reports whether somebody looks at an address that is none in a
// browser.
func wantsPage(r *http.Request) bool {
	return !strings.HasPrefix(r.URL.Path, "/api/") && strings.Contains(r.Header.Get("Accept"), "text/html")
}
