// Package fault is the ledger's one error type.
//
// Every refusal and every failure that a person or a program outside may see
// carries a [Code]. A code is stable: once published it keeps its meaning, so a
// client may switch on it. Those that the ledger answers with are in the catalogue
// in codes.go, which gives each its kind: who has to act (the caller, the
// operator, nobody). The HTTP layer turns kinds into statuses in one place.
//
// Packages that judge, or talk to others, have further codes of their own, named
// where they arise (witness.*, authority.* and most of renewal.*, among them). They go
// into reports, states, logs and the reasons of an error; for the HTTP layer one
// that is not in the catalogue is a fault of ours ([Lookup]).
//
// Details are for people. They never hold personal data beyond what the
// caller itself sent, and never a secret.
package fault

import (
	"errors"
	"fmt"
)

// Error is a failure with a stable code. The zero value is not useful; make
// one with [New] or [Wrap].
type Error struct {
	// Code says what went wrong, for programs.
	Code Code
	// Detail says what went wrong here, for people, in plain English.
	Detail string
	// Reasons are further codes with details, where one refusal has several
	// grounds (a signature's verdict, for one). Usually empty.
	Reasons []Reason
	// Err is the cause, if another error lies beneath. It is never shown
	// outside.
	Err error
}

// Reason is one of several grounds of an [Error].
type Reason struct {
	Code   string `json:"code"`
	Detail string `json:"detail,omitempty"`
}

// New makes an error with the given code; format and args make its detail.
func New(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Detail: fmt.Sprintf(format, args...)}
}

// Wrap makes an error with the given code around cause. The detail is shown
// outside, the cause only in logs.
func Wrap(code Code, cause error, format string, args ...any) *Error {
	return &Error{Code: code, Detail: fmt.Sprintf(format, args...), Err: cause}
}

// Error implements error: the code, the detail, the cause.
func (e *Error) Error() string {
	text := string(e.Code)
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// CodeOf returns the code of the outermost [Error] in err's tree, "" for a
// nil err, and [Internal] for an error that carries none.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return Internal
}

// DetailOf returns what an error says beside its code: the detail of the first
// *Error in its tree, or the whole text where there is none.
func DetailOf(err error) string {
	var known *Error
	if errors.As(err, &known) {
		return known.Detail
	}
	return err.Error()
}

// Is reports whether err carries code.
func Is(err error, code Code) bool { return err != nil && CodeOf(err) == code }
