package authorities

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

// Codes of [Error], besides those of packages ocsp, crl and tsp. They are stable.
const (
	NoAddress       = "authority.no-address"       // the certificate or the settings name no service
	AddressRefused  = "authority.address-refused"  // the address is none that is asked
	Away            = "authority.away"             // it has failed, and is left alone for now
	TimedOut        = "authority.timed-out"        // it did not answer in time
	Unreachable     = "authority.unreachable"      // there was no connection, or it broke
	HTTPStatus      = "authority.http-status"      // it answered with another status than 200
	RedirectRefused = "authority.redirect-refused" // it led to another host, or from https to http
	TooLarge        = "authority.too-large"        // it sent more than is read
	Declined        = "authority.declined"         // a time-stamping authority gave no token
	ClockOff        = "authority.clock-off"        // a token's time is not now
	ListOlder       = "authority.list-older"       // a list is older than one that is at hand
	ListAsked       = "authority.list-asked"       // what was fetched a moment ago was of no use
	CacheFailed     = "authority.cache-failed"     // the cache's folder cannot be used
	Closed          = "authority.closed"           // the client is closed
)

// Error says why there is no evidence.
type Error struct {
	// Service is "ocsp", "crl" or "tsp".
	Service string
	// Host is the host and port that was asked, "" if none was.
	Host string
	// Code is stable.
	Code string
	// Detail is for people and has nothing of a certificate.
	Detail string

	down  bool          // the service failed, and not just this answer
	after time.Duration // it asked to be left alone for so long
	cause error
}

// Error implements error.
func (e *Error) Error() string {
	text := e.Service
	if e.Host != "" {
		text += " at " + e.Host
	}
	text += ": " + e.Code
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	return text
}

// Unwrap returns the cause, nil if there is none.
func (e *Error) Unwrap() error { return e.cause }

// CodeOf is the code of an error of this package, "" for another.
func CodeOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func useless(code, format string, args ...any) *Error {
	return &Error{Code: code, Detail: fmt.Sprintf(format, args...)}
}

func failing(code, format string, args ...any) *Error {
	e := useless(code, format, args...)
	e.down = true
	return e
}

// broken says what became of a request. The text of a transport's error is left
// out: it holds addresses.
func broken(err error) *Error {
	var known *Error
	if errors.As(err, &known) {
		return known
	}
	var late net.Error
	code := Unreachable
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &late) && late.Timeout() {
		code = TimedOut
	}
	return &Error{Code: code, down: true, cause: err}
}
