package httpapi

import (
	"context"
	"io"
	"log"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"dalel/domain/ledger"
	"dalel/eventstore"
	"dalel/httpapi/check"
	"dalel/httpapi/pages"
	"dalel/httpapi/route"
	"dalel/internal/build"
	"dalel/internal/fault"
	"dalel/projections"

	"github.com/labstack/echo/v4"
)

// Models is what is read of the read models; *projections.Models gives it.
type Models interface {
	Inbox(ctx context.Context, participant string, page projections.Page) (projections.Result[projections.BoxRow], error)
	Outbox(ctx context.Context, participant string, page projections.Page) (projections.Result[projections.BoxRow], error)
	Journal(ctx context.Context, filter projections.JournalFilter, page projections.Page) (projections.Result[projections.JournalRow], error)
	Documents(ctx context.Context, page projections.Page) (projections.Result[projections.DocumentRow], error)
	Participants(ctx context.Context, page projections.Page) (projections.Result[projections.Participant], error)
	Names(ctx context.Context, ids ...string) (map[string]projections.Participant, error)
	Destructions(ctx context.Context, filter projections.DestructionFilter, page projections.Page) (projections.Result[projections.Destruction], error)
	Certificates(ctx context.Context, filter projections.CertificateFilter, page projections.Page) (projections.Result[projections.Certificate], error)
	Position(ctx context.Context) (eventstore.Position, error)
	Timeline(ctx context.Context, document string, after eventstore.Position, limit int) ([]projections.TimelineRow, error)
	WaitFor(ctx context.Context, position eventstore.Position) error
	Changed(ctx context.Context, document string) <-chan struct{}
}

// Packets exports proof packets.
type Packets interface {
	// Export writes the proof packet of the selection's Document.
	Export(ctx context.Context, w io.Writer, of Selection) error
	// ExportSeveral writes one packet of several documents.
	ExportSeveral(ctx context.Context, w io.Writer, of Selection) error
	// ExportExtract writes a sealed extract from the journals.
	ExportExtract(ctx context.Context, w io.Writer, of Selection) error
}

// Selection is what a packet of several documents or an extract is about; see
// packet.Request and packet.ExportExtract.
type Selection struct {
	Document, Participant string
	Documents             []string
	From, To              time.Time
	// Reader is the participant who takes it out, "" for who may read everything.
	Reader string
}

// DefaultHeartbeat is the default of [Config].
const DefaultHeartbeat = 15 * time.Second

// waitLimit bounds Dalel-Wait-For.
const waitLimit = 5 * time.Second

// Config is what a server is made of. Ledger, Models, Packets and Check are
// needed.
type Config struct {
	Ledger  *ledger.Ledger
	Models  Models
	Packets Packets
	// Check answers who uploads something to have it checked; the pages have the
	// same.
	Check *check.Checker
	// Pages are further rows of the table, and PageError answers an error on
	// one of them, or on an address that is none where the client asks for
	// HTML. Without it a page's error is a problem document too.
	Pages     []route.Route
	PageError func(c echo.Context, caller route.Caller, refusal *fault.Error) error
	// Transparency is the transparency log, nil where the ledger keeps none, and
	// LogKey the text of its public key.
	Transparency Log
	LogKey       string
	// Renewals is needed where there is a transparency log.
	Renewals Renewals
	// TrustProxy takes the client's address from the last entry of
	// X-Forwarded-For: right behind a proxy that sets it, and nowhere else.
	TrustProxy bool
	// Clock is time.Now unless set; it says which certificates end soon.
	Clock func() time.Time
	// Log is slog.Default() unless set.
	Log *slog.Logger
	// Health answers /readyz; without it, whether the store and the read models
	// can be read is asked.
	Health Health
	// Metrics counts; one that nobody sees unless set. Each is one server's.
	Metrics *Metrics
	// Security is the security log; Log unless set, under a key of the process.
	Security *Security
	// MonitorToken opens /metrics, and what the checks of /readyz have found, to
	// whoever shows it as a bearer token; "" for nobody.
	MonitorToken string
	// Build is what /version tells.
	Build build.Info

	// Limits bound what one caller, and all together, may take of this node.
	Limits Limits
	// Heartbeat is how often a stream says that it is alive, and looks whether
	// its token still is; 0 for the default.
	Heartbeat time.Duration
	// Folder is where packets are built before they are sent; "" is the
	// system's folder for temporary files.
	Folder string
}

// Server is the interface as an http.Handler.
type Server struct {
	Config
	echo     *echo.Echo
	table    []route.Route
	origins  *http.CrossOriginProtection
	places   *places
	journals *pages.Journals
	refusals *pages.Refusals
	compress func(http.Handler) http.HandlerFunc
	closing  chan struct{}
	close    sync.Once
}

// New makes a server. Errors: config.invalid.
func New(config Config) (*Server, error) {
	if config.Ledger == nil || config.Models == nil || config.Packets == nil || config.Check == nil {
		return nil, fault.New(fault.ConfigInvalid, "the HTTP interface needs Ledger, Models, Packets and Check")
	}
	if config.Transparency != nil && config.Renewals == nil {
		return nil, fault.New(fault.ConfigInvalid, "the HTTP interface of a ledger with a transparency log needs Renewals")
	}
	var err error
	if config.Limits, err = config.Limits.Filled(); err != nil {
		return nil, err
	}
	if config.Heartbeat <= 0 {
		config.Heartbeat = DefaultHeartbeat
	}
	if config.Clock == nil {
		config.Clock = time.Now
	}
	if config.Log == nil {
		config.Log = slog.Default()
	}
	if config.Metrics == nil {
		config.Metrics = NewMetrics(config.Log)
	}
	if config.Security == nil {
		config.Security = NewSecurity(config.Log, nil)
	}
	journals, err := pages.NewJournals(config.Models, config.Ledger)
	if err != nil {
		return nil, err
	}
	s := &Server{
		Config: config, journals: journals, echo: echo.New(), origins: http.NewCrossOriginProtection(),
		places: newPlaces(config.Limits), closing: make(chan struct{}),
	}
	if s.Health == nil {
		s.Health = s.readable()
	}
	if s.refusals, err = pages.NewRefusals(); err != nil {
		return nil, err
	}
	if s.compress, err = newCompression(); err != nil {
		return nil, fault.Wrap(fault.Internal, err, "compression of answers")
	}
	s.table = append(s.routes(), config.Pages...)
	s.echo.HideBanner, s.echo.HidePort = true, true
	s.echo.Logger.SetOutput(io.Discard)
	s.echo.JSONSerializer = jsonAnswers{}
	s.echo.HTTPErrorHandler = func(err error, c echo.Context) { s.answerError(c, route.Route{}, route.Caller{}, err) }
	s.echo.Pre(s.around)
	seen := map[string]bool{}
	for _, r := range s.table {
		key := r.Method + " " + r.Path
		if seen[key] {
			return nil, fault.New(fault.ConfigInvalid, "two routes for %s", key)
		}
		seen[key] = true
		if err := checkRow(r); err != nil {
			return nil, err
		}
		s.register(r, slices.ContainsFunc(s.table, func(other route.Route) bool {
			return other.Method == http.MethodHead && other.Path == r.Path
		}))
	}
	s.Metrics.slots(s)
	return s, nil
}

// checkRow refuses a row that would let somebody in by omission.
func checkRow(r route.Route) error {
	name := r.Method + " " + r.Path
	switch {
	case r.Handler == nil || r.Name == "":
		return fault.New(fault.ConfigInvalid, "%s has no handler or no name", name)
	case (r.Scope == route.Public) != (len(r.Roles) == 0):
		return fault.New(fault.ConfigInvalid, "%s: a route has roles unless it is public", name)
	}
	switch r.Scope {
	case route.Public, route.Own, route.All, route.Self, route.Document, route.Documents, route.Certificate, route.Token:
		return nil
	default:
		return fault.New(fault.ConfigInvalid, "%s: no such scope: %q", name, string(r.Scope))
	}
}

// Routes returns the table, for tests and for the description.
func (s *Server) Routes() []route.Route { return append([]route.Route(nil), s.table...) }

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	noteAnswering(r.Context())
	s.echo.ServeHTTP(w, r)
}

// Close ends the live streams; further ones end at once.
func (s *Server) Close() { s.close.Do(func() { close(s.closing) }) }

// NewHTTPServer returns an http.Server for s with its time-outs set: 10 s for
// a request's header, two minutes between requests. Bodies and answers have
// deadlines of their own that move on as long as bytes do at the least rate
// (pace.go), since a file of 4 GiB takes its time. Its Shutdown ends the live
// streams.
func NewHTTPServer(s *Server) *http.Server {
	server := &http.Server{
		Handler: s, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10,
		// What net/http reports here names clients' addresses.
		ErrorLog: log.New(faceless{s.Log}, "", 0),
		// For connections of Server.Listen.
		ConnContext: noteConn, ConnState: noteState,
	}
	server.RegisterOnShutdown(s.Close)
	return server
}

type faceless struct{ log *slog.Logger }

func (f faceless) Write(p []byte) (int, error) {
	f.log.Debug("a connection failed")
	return len(p), nil
}
