package httpapi

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"dalel/domain/access"
	"dalel/domain/certificate"
	"dalel/domain/document"
	"dalel/domain/ledger"
	"dalel/domain/packet"
	"dalel/domain/participant"
	"dalel/eventstore"
	"dalel/httpapi/route"
	"dalel/internal/fault"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
)

// Names of what a request carries through echo's context.
const (
	keyRequestID   = "dalel request id"
	keyDocument    = "dalel document"
	keyCertificate = "dalel certificate"
	keyToken       = "dalel token"
	keyAborted     = "dalel aborted"
	keyPlaces      = "dalel places"
)

// contentSecurity lets a page load from here alone and run no inline script.
const contentSecurity = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
	"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// around is what every request gets, also one that no route answers.
func (s *Server) around(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		began := time.Now()
		id := requestID(c.Request())
		c.Set(keyRequestID, id)
		header := c.Response().Header()
		header.Set("X-Request-Id", id)
		header.Set("Content-Security-Policy", contentSecurity)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("X-Frame-Options", "DENY")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		// Private unless a public route says otherwise.
		header.Set("Cache-Control", "no-store")
		if s.overTLS(c.Request()) {
			route.SetSecure(c)
			header.Set("Strict-Transport-Security", "max-age=31536000")
		}
		defer func() {
			thrown := recover()
			if thrown != nil && thrown != http.ErrAbortHandler {
				// The value of a panic may hold anything: only its type is told.
				s.Log.Error("a handler panicked", "request", id, "route", c.Path(), "type", typeName(thrown))
				s.answerError(c, route.Route{}, route.Caller{}, errors.New("panic"))
				err = nil
			}
			status := c.Response().Status
			if aborted, _ := c.Get(keyAborted).(bool); aborted {
				status = statusAborted
			}
			s.Metrics.answered(c.Request().Method, c.Path(), status)
			s.Log.Info("request", "request", id, "method", methodName(c.Request().Method), "route", c.Path(),
				"status", status, "ms", time.Since(began).Milliseconds())
			if thrown == http.ErrAbortHandler {
				panic(thrown)
			}
		}()
		s.paced(c)
		if err := next(c); err != nil {
			s.answerError(c, route.Route{}, route.Caller{}, err)
		}
		return nil
	}
}

// statusAborted is what logs and metrics say of a request whose client did not
// wait for the answer.
const statusAborted = 499

// wentAway reports whether a request's client has closed its connection.
func wentAway(r *http.Request) bool { return errors.Is(r.Context().Err(), context.Canceled) }

// requestID is the client's own name for its request, if it gave one, so that
// its log and ours can be laid side by side, or else a new one.
func requestID(r *http.Request) string {
	sent := r.Header.Values("X-Request-Id")
	if len(sent) == 1 && requestIDs.MatchString(sent[0]) {
		return sent[0]
	}
	return uuid.NewString()
}

var requestIDs = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// readPatience is how long a request that only reads waits for an event store
// that is out of reach. A command waits longer: what it is to do may be half done.
const readPatience = 5 * time.Second

// serve makes the handler of a row: admission, then the row's own.
func (s *Server) serve(r route.Route) echo.HandlerFunc {
	return func(c echo.Context) error {
		defer func() {
			leavePlaces(c)
			if form := c.Request().MultipartForm; form != nil {
				// Files of a form that nobody reads any more.
				_ = form.RemoveAll()
			}
		}()
		if request := c.Request(); request.Method == http.MethodGet || request.Method == http.MethodHead {
			c.SetRequest(request.WithContext(eventstore.ReadWithin(request.Context(), readPatience)))
		}
		caller, err := s.admit(c, r)
		if err == nil {
			err = r.Handler(c, caller)
		}
		if err != nil {
			s.answerError(c, r, caller, err)
		} else {
			s.noteSuccess(c, r, caller)
		}
		return nil
	}
}

// admit lets a request in or says why not, in the order of the package
// comment.
func (s *Server) admit(c echo.Context, r route.Route) (route.Caller, error) {
	request := c.Request()
	caller := route.Caller{Act: ledger.Act{IP: s.address(request), Device: device(request)}}
	if err := s.bound(c, r); err != nil {
		return caller, err
	}
	if err := s.origins.Check(request); err != nil {
		return caller, fault.Wrap(fault.Forbidden, err, "the request comes from another site")
	}
	if err := s.enter(c, r); err != nil {
		return caller, err
	}
	ctx := request.Context()
	token, presented := presentedToken(request, route.SessionName(c))
	if r.Scope == route.Public {
		if presented && r.Page {
			if principal, err := s.Ledger.Authenticate(ctx, token); err == nil {
				caller = signedIn(caller, principal)
			}
		}
		if err := r.CheckQuery(request.URL.RawQuery); err != nil {
			return caller, err
		}
		return caller, s.prepare(c, r, &caller)
	}
	if !presented {
		return caller, fault.New(fault.TokenMissing, "send a token: Authorization: Bearer, or sign in")
	}
	principal, err := s.Ledger.Authenticate(ctx, token)
	if err != nil {
		return caller, err
	}
	caller = signedIn(caller, principal)
	c.Set(keyToken, token)
	if !slices.Contains(r.Roles, caller.Role) {
		return caller, fault.New(fault.Forbidden, "the role %s may not do this", caller.Role)
	}
	if err := s.enterOwn(c, r, caller); err != nil {
		return caller, err
	}
	if err := r.CheckQuery(request.URL.RawQuery); err != nil {
		return caller, err
	}
	if err := s.inScope(ctx, c, r, caller); err != nil {
		return caller, err
	}
	return caller, s.prepare(c, r, &caller)
}

func signedIn(caller route.Caller, principal ledger.Principal) route.Caller {
	caller.Principal = principal
	caller.Act.By, caller.Act.Role = principal.By, principal.Role
	caller.Act.Session = principal.TokenID[:min(16, len(principal.TokenID))]
	return caller
}

// absent is a refusal that means "no such thing", whatever the kind of its
// code is elsewhere: a certificate that is not registered is no ground to
// refuse a signature here, but an address at which nothing is.
type absent struct{ error }

func (a absent) Unwrap() error { return a.error }

// inScope says whether what the address names is the caller's to see, by the
// ledger's own streams.
func (s *Server) inScope(ctx context.Context, c echo.Context, r route.Route, caller route.Caller) error {
	switch r.Scope {
	case route.All:
		if caller.Role == access.RoleParticipant {
			return fault.New(fault.Forbidden, "the role %s may not do this", caller.Role)
		}
	case route.Own:
		if caller.Role != access.RoleParticipant || r.Command {
			// A command's right is asked by the ledger, in its streams.
			return nil
		}
		holder, err := s.Ledger.Participant(ctx, caller.By.Participant)
		if err != nil {
			return err
		}
		return holder.State.CheckMayAct(caller.By.Person, participant.RightRead)
	case route.Self:
		if caller.Role != access.RoleParticipant {
			return nil
		}
		if param(c, "id") != caller.By.Participant {
			return absent{fault.New(fault.ParticipantUnknown, "no such participant")}
		}
		return s.mayKnow(ctx, r, caller)
	case route.Document:
		snapshot, err := s.Ledger.Document(ctx, caller.Act, param(c, "id"))
		if err != nil {
			return err
		}
		c.Set(keyDocument, snapshot)
	case route.Documents:
		named := namedDocuments(c)
		if len(named) > packet.MaxDocuments {
			return fault.New(fault.RequestTooLarge, "at most %d documents at a time", packet.MaxDocuments)
		}
		if len(named) == 0 {
			return s.inScope(ctx, c, route.Route{Scope: route.Own}, caller)
		}
		for _, id := range named {
			if _, err := s.Ledger.Document(ctx, caller.Act, id); err != nil {
				return err
			}
		}
	case route.Certificate:
		snapshot, err := s.Ledger.Certificate(ctx, param(c, "fingerprint"))
		if err == nil && caller.Role == access.RoleParticipant {
			err = s.certificateInScope(ctx, r, caller, snapshot.State)
		}
		if fault.Is(err, fault.CertificateUnknown) {
			return absent{err}
		}
		if err != nil {
			return err
		}
		c.Set(keyCertificate, snapshot)
	case route.Token:
		// Whose token it is stands in its stream, which RevokeToken reads and
		// decides by; see revokeToken.
	}
	return nil
}

// certificateInScope admits whom the certificate names, who may look at it and
// report it, and who may know what its owner has.
func (s *Server) certificateInScope(ctx context.Context, r route.Route, caller route.Caller, state certificate.State) error {
	holds, err := s.Ledger.HoldsCertificate(ctx, caller.Act, state)
	switch {
	case err != nil || holds:
		return err
	case state.Participant != caller.By.Participant:
		return fault.New(fault.CertificateUnknown, "the certificate is not registered")
	}
	return s.mayKnow(ctx, r, caller)
}

// mayKnow asks for the right to read what the participant has. A command's own
// right is asked by the ledger, in its streams.
func (s *Server) mayKnow(ctx context.Context, r route.Route, caller route.Caller) error {
	if r.Command {
		return nil
	}
	holder, err := s.Ledger.Participant(ctx, caller.By.Participant)
	if err != nil {
		return err
	}
	return holder.State.CheckMayKnow(caller.By.Person)
}

// namedDocuments are the documents that the query names.
func namedDocuments(c echo.Context) []string { return c.QueryParams()["document"] }

// documentOf and certificateOf return what inScope has read.
func documentOf(c echo.Context) ledger.Snapshot[document.State] {
	return c.Get(keyDocument).(ledger.Snapshot[document.State])
}

func certificateOf(c echo.Context) ledger.Snapshot[certificate.State] {
	return c.Get(keyCertificate).(ledger.Snapshot[certificate.State])
}

// prepare reads the headers that all commands, or all reads, have.
func (s *Server) prepare(c echo.Context, r route.Route, caller *route.Caller) error {
	header := c.Request().Header
	if r.Command {
		key := header.Get("Idempotency-Key")
		switch {
		case key == "" && r.Page:
		case key == "":
			return fault.New(fault.IdempotencyMissing, "choose a key of 1 to 128 characters and keep it for retries")
		case len(key) > 128 || strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' }):
			return fault.New(fault.IdempotencyInvalid, "a key has 1 to 128 printable ASCII characters")
		}
		caller.Act.Key = key
		if match := header.Get("If-Match"); match != "" {
			revision, err := parseRevision(match)
			if err != nil {
				return err
			}
			caller.Act.Expected = &revision
		}
		return nil
	}
	if wait := header.Get("Dalel-Wait-For"); wait != "" {
		position, err := parsePosition(wait)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(c.Request().Context(), waitLimit)
		defer cancel()
		return s.Models.WaitFor(ctx, position)
	}
	return nil
}

func parseRevision(tag string) (eventstore.Revision, error) {
	inner, ok := strings.CutPrefix(tag, `"`)
	inner, closed := strings.CutSuffix(inner, `"`)
	revision, err := strconv.ParseUint(revisionOf(inner), 10, 63)
	if !ok || !closed || err != nil {
		return 0, fault.New(fault.RequestInvalid, `If-Match holds one revision in quotes, as in "12"`)
	}
	return eventstore.Revision(revision), nil
}

func parsePosition(text string) (eventstore.Position, error) {
	position, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return 0, fault.New(fault.CursorInvalid, "a position is a whole number")
	}
	return eventstore.Position(position), nil
}

// presentedToken returns the token of the header or else of the cookie. A
// header that holds no bearer token is presented, and wrong.
func presentedToken(r *http.Request, cookieName string) (string, bool) {
	if header := r.Header.Get("Authorization"); header != "" {
		scheme, token, _ := strings.Cut(header, " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return "", true
		}
		return strings.TrimSpace(token), true
	}
	if cookie, err := r.Cookie(cookieName); err == nil && cookie.Value != "" {
		return cookie.Value, true
	}
	return "", false
}

// overTLS reports whether the client speaks TLS, to us or to a proxy of ours,
// which says so in the last X-Forwarded-Proto.
func (s *Server) overTLS(r *http.Request) bool {
	if r.TLS != nil || !s.TrustProxy {
		return r.TLS != nil
	}
	all := strings.Split(strings.Join(r.Header.Values("X-Forwarded-Proto"), ","), ",")
	return strings.EqualFold(strings.TrimSpace(all[len(all)-1]), "https")
}

// address is where the request comes from, without its port.
func (s *Server) address(r *http.Request) string {
	if s.TrustProxy {
		// The last entry is the one that the proxy itself wrote.
		all := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		last := strings.TrimSpace(all[len(all)-1])
		if address, err := netip.ParseAddr(strings.Trim(last, "[]")); err == nil {
			return address.WithZone("").String()
		}
		// Some proxies write the port too.
		if address, err := netip.ParseAddrPort(last); err == nil {
			return address.Addr().WithZone("").String()
		}
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	return host
}

// deviceBytes is how much of the User-Agent is kept.
const deviceBytes = 200

func device(r *http.Request) string {
	agent := strings.ToValidUTF8(r.UserAgent(), "")
	if len(agent) > deviceBytes {
		agent = strings.ToValidUTF8(agent[:deviceBytes], "")
	}
	return agent
}

// param is a part of the address, its escapes undone.
func param(c echo.Context, name string) string {
	value := c.Param(name)
	if c.Request().URL.RawPath == "" {
		return value
	}
	if plain, err := url.PathUnescape(value); err == nil {
		return plain
	}
	return value
}
