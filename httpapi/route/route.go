// Package route says what a route is: one row of the one table by which every
// request is authorised. The JSON interface and the pages each give a list of
// rows; the server serves what stands in the table and nothing else, and a
// test visits every row with every kind of caller.
package route

import (
	"time"

	"dalel/domain/access"
	"dalel/domain/ledger"

	"github.com/labstack/echo/v4"
)

// Caller is who a request is from, as its token says. The zero Caller is
// somebody without a token, who reaches public routes only.
type Caller struct {
	ledger.Principal
	// Act is what the caller's commands carry: who, role, session, address,
	// device, and for commands the idempotency key and the expected revision.
	Act ledger.Act
}

// SignedIn reports whether the caller showed a good token.
func (c Caller) SignedIn() bool { return c.Role != "" }

// Scope says what, beyond the role, decides whether a caller may see what a
// route is about.
type Scope string

// The scopes.
const (
	// Public: anybody, no token asked for.
	Public Scope = "public"
	// Own: the route shows or changes only what belongs to the caller itself,
	// and there is nothing in the address that could name another's.
	Own Scope = "own"
	// Self: the address names a participant, which must be the caller's own
	// unless the role is operator or auditor.
	Self Scope = "self"
	// Document: the address names a document; a participant must be a party
	// that can see it, and to anybody else it does not exist.
	Document Scope = "document"
	// Documents: the query names documents (document=…), and a participant
	// must see each as with Document; one that names none is about what is the
	// caller's own, as with Own.
	Documents Scope = "documents"
	// Certificate: the address names a certificate, which must be the
	// caller's own, or name the person who acts, unless the role is operator
	// or auditor.
	Certificate Scope = "certificate"
	// Token: the address names a token, which must be the caller's own unless
	// the role is operator.
	Token Scope = "token"
	// All: everything there is; for operators and auditors alone.
	All Scope = "all"
)

// SessionCookie is the cookie in which a browser keeps its token. Over TLS it
// has the prefix with which a browser takes it from this host alone, and only
// over TLS (RFC 6265bis, 4.1.3.2).
const (
	SessionCookie = "dalel_session"
	hostPrefix    = "__Host-"
)

const keySecure = "dalel secure"

// SetSecure notes that the client speaks TLS, to us or to a proxy of ours.
func SetSecure(c echo.Context) { c.Set(keySecure, true) }

// Secure reports whether the client speaks TLS, to us or to a proxy of ours.
func Secure(c echo.Context) bool { return c.Get(keySecure) == true }

// SessionName is the name of the session's cookie on this connection.
func SessionName(c echo.Context) string {
	if Secure(c) {
		return hostPrefix + SessionCookie
	}
	return SessionCookie
}

// KeyEntered is where the sign-in page leaves, in echo's context, the
// ledger.Principal that has just signed in, for the security log.
const KeyEntered = "dalel entered"

// Handler answers a request whose caller has one of the route's roles.
type Handler func(c echo.Context, caller Caller) error

// Route is one row of the table.
type Route struct {
	Method string
	// Path is echo's: parameters are :id.
	Path string
	// Name is the operation's name in the description of the interface, or
	// the page's.
	Name string
	// Roles may use the route; empty for a public one, and only for such.
	Roles []access.Role
	Scope Scope
	// Query are the members of the query that the route takes, and no others:
	// CheckQuery holds a request to them before its handler is called.
	Query []Parameter
	// Command says that the route changes something: it needs an
	// Idempotency-Key. A page, whose form cannot send the header, puts the key
	// of its form into Caller.Act itself.
	Command bool
	// Page says that people look at it in a browser: a missing token leads to
	// the sign-in page, an error is a page too.
	Page bool
	// Stream says that the answer goes on for as long as there is something to
	// tell: it is not compressed, and HEAD does not ask for it.
	Stream bool
	// Always says that the route is answered whoever else takes the node's
	// places: it tells how the node is.
	Always bool
	// MaxBody is how many bytes of body are taken; 0 for none.
	MaxBody int64
	// Within is how long the whole body may take to come in; 0 for as long as
	// some of it keeps coming.
	Within  time.Duration
	Handler Handler
}
