package httpapi

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"time"

	"dalel/domain/ledger"
	"dalel/httpapi/route"
	"dalel/internal/fault"

	"github.com/labstack/echo/v4"
)

// SecurityEvent is the type of an entry in the security log.
type SecurityEvent string

// The types of events.
const (
	// SecurityDenied: a caller who is known asked for what is not the caller's.
	SecurityDenied SecurityEvent = "denied"
	// SecurityThrottled: too much at once, or too often.
	SecurityThrottled SecurityEvent = "throttled"
	// SecurityLockedOut: an address that has shown too many unknown tokens.
	SecurityLockedOut SecurityEvent = "locked-out"
	// SecurityUnknownToken, SecurityExpiredToken, SecurityRevokedToken: a token
	// that lets nobody in.
	SecurityUnknownToken SecurityEvent = "unknown-token"
	SecurityExpiredToken SecurityEvent = "expired-token"
	SecurityRevokedToken SecurityEvent = "revoked-token"
	// SecurityTokenIssued and SecurityTokenRevoked: what became of a token.
	SecurityTokenIssued  SecurityEvent = "token-issued"
	SecurityTokenRevoked SecurityEvent = "token-revoked"
	// SecuritySignedIn and SecuritySignedOut: a browser's session.
	SecuritySignedIn  SecurityEvent = "signed-in"
	SecuritySignedOut SecurityEvent = "signed-out"
)

// Security is the security log. It names people and addresses by pseudonyms
// alone: the same person has the same pseudonym for as long as the key is the
// same, the same address for a day (UTC), and who has no key learns neither.
type Security struct {
	log *slog.Logger
	key []byte
}

// NewSecurity makes a security log. A nil key is replaced by a random one,
// which lasts as long as the process.
func NewSecurity(log *slog.Logger, key []byte) *Security {
	if key == nil {
		key = make([]byte, sha256.Size)
		_, _ = rand.Read(key) // never fails
	}
	return &Security{log: log, key: key}
}

// pseudonym is a keyed hash, of a length that is read out on a telephone.
func (s *Security) pseudonym(parts ...string) string {
	mac := hmac.New(sha256.New, s.key)
	for _, part := range parts {
		mac.Write([]byte(part))
		mac.Write([]byte{0})
	}
	return hex.EncodeToString(mac.Sum(nil)[:8])
}

// Actor is the pseudonym of who acts: a person, or a participant.
func (s *Security) Actor(participant, person string) string {
	if participant == "" {
		return ""
	}
	return s.pseudonym("dalel security actor", participant, person)
}

func (s *Security) address(address string, at time.Time) string {
	if address == "" {
		return ""
	}
	return s.pseudonym("dalel security address", at.UTC().Format(time.DateOnly), address)
}

// Names of what handlers leave for the security log.
const (
	keyLockedOut = "dalel locked out"
	keyObject    = "dalel object"
)

// succeeded are the routes whose success is an event of its own.
var succeeded = map[string]SecurityEvent{
	"issueToken": SecurityTokenIssued, "revokeToken": SecurityTokenRevoked, "page-signout": SecuritySignedOut,
}

// noteSuccess writes an entry of what was done, if it is an event at all.
func (s *Server) noteSuccess(c echo.Context, r route.Route, caller route.Caller) {
	event := succeeded[r.Name]
	if principal, entered := c.Get(route.KeyEntered).(ledger.Principal); entered {
		event, caller = SecuritySignedIn, signedIn(caller, principal)
	}
	s.noteSecurity(c, r, caller, event, "")
}

// refusedAs returns the event that a refusal is, "" for one that is none.
func refusedAs(c echo.Context, r route.Route, caller route.Caller, code fault.Code, status int) SecurityEvent {
	switch code {
	case fault.Throttled:
		if locked, _ := c.Get(keyLockedOut).(bool); locked {
			return SecurityLockedOut
		}
		return SecurityThrottled
	case fault.TokenInvalid:
		return SecurityUnknownToken
	case fault.TokenExpired:
		return SecurityExpiredToken
	case fault.TokenRevoked:
		return SecurityRevokedToken
	}
	// What is not the caller's answers as if it were not there.
	hidden := status == http.StatusNotFound && caller.SignedIn() && r.Scope != route.Public && code != fault.RouteUnknown
	if status == http.StatusForbidden || hidden {
		return SecurityDenied
	}
	return ""
}

// noteSecurity writes an entry: who by a pseudonym, with which token, on what.
func (s *Server) noteSecurity(c echo.Context, r route.Route, caller route.Caller, event SecurityEvent, code fault.Code) {
	if event == "" {
		return
	}
	s.Metrics.security.WithLabelValues(string(event)).Inc()
	id, _ := c.Get(keyRequestID).(string)
	attributes := []slog.Attr{
		slog.String("event", string(event)), slog.String("request", id), slog.String("route", c.Path()),
		slog.String("address", s.Security.address(s.address(c.Request()), time.Now())),
	}
	add := func(name, value string) {
		if value != "" {
			attributes = append(attributes, slog.String(name, value))
		}
	}
	add("actor", s.Security.Actor(caller.By.Participant, caller.By.Person))
	add("role", string(caller.Role))
	add("token", caller.TokenID)
	add("object", s.objectOf(c, r))
	add("code", string(code))
	s.Security.log.LogAttrs(context.WithoutCancel(c.Request().Context()), slog.LevelInfo, "security", attributes...)
}

var (
	uuidForm = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	hashForm = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// objectOf names what a request was about: a document, a certificate or a token
// by its id, a participant by its pseudonym. Whatever else stands in an address
// may be anything, and is left out.
func (s *Server) objectOf(c echo.Context, r route.Route) string {
	if named, _ := c.Get(keyObject).(string); named != "" {
		return named
	}
	for _, name := range []string{"fingerprint", "id"} {
		id := param(c, name)
		switch {
		case !uuidForm.MatchString(id) && !hashForm.MatchString(id):
		case strings.Contains(r.Path, "/participants/:id"):
			return s.Security.Actor(id, "")
		default:
			return id
		}
	}
	return ""
}
