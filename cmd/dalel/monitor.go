package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"dalel/domain/ledger"
	"dalel/eventstore"
	"dalel/httpapi"
	"dalel/internal/build"
	"dalel/internal/fault"
	"dalel/internal/health"
	"dalel/projections"
	"dalel/projections/process"
	"dalel/projections/transparency"
)

// healthSettings are the bounds within which a node is ready.
type healthSettings struct {
	// DiskMiB is how many MiB must be free on each disk that the node writes to;
	// 256 unless set.
	DiskMiB uint64 `json:"diskMiB,omitempty"`
	// Lag is how long an event may wait for a read model, a process manager or
	// the log, and how long the log may wait for its files; 1m unless set.
	Lag period `json:"lag,omitzero"`
	// Clock is how far clocks may differ; 1m unless set.
	Clock period `json:"clock,omitzero"`
}

// monitorOptions are what the command line says of watching the node.
type monitorOptions struct {
	// listener is an address of its own for health and metrics, nil for none.
	listener net.Listener
	// token opens the metrics among the other routes, "" for nobody.
	token string
	// security is the security log's file, "" for the node's own log.
	security string
}

// prober is an event store that can be asked whether it would write.
type prober interface {
	Probe(ctx context.Context) error
}

// queue is an event store that says how many appends wait.
type queue interface {
	Waiting() int
}

// monitor knows how a node is.
type monitor struct {
	node      *node
	models    *projections.Models
	processes *process.Processes
	log       *transparency.Log
	bounds    healthSettings
	began     time.Time

	writes    *health.Writes
	clock     *health.Clock
	followers *health.Followers
	logged    logged
	board     *health.Board
	appends   appendMetrics
}

// newMonitor makes the monitor of a node; the node tells it of its appends from
// then on.
func newMonitor(n *node, models *projections.Models, processes *process.Processes, tlog *transparency.Log) *monitor {
	m := &monitor{node: n, models: models, processes: processes, log: tlog,
		bounds: n.settings.Health, began: time.Now(), appends: newAppendMetrics()}
	m.writes = &health.Writes{}
	if store, ok := n.store.(prober); ok {
		m.writes.Probe = store.Probe
	}
	m.clock = &health.Clock{Folder: n.dir, Tolerance: time.Duration(m.bounds.Clock)}
	m.followers = &health.Followers{Store: n.store, Next: m.next, Bound: time.Duration(m.bounds.Lag)}
	m.follow()
	m.board = health.NewBoard(0, 0,
		health.Check{Name: "writes", Ask: m.writes.Check},
		health.Check{Name: "clock", Ask: m.clock.Check},
		health.Check{Name: "disk", Ask: health.Disks(m.bounds.DiskMiB<<20, n.disks...)},
		health.Check{Name: "log", Ask: m.checkLog},
		health.Check{Name: "read-models", Ask: m.checkModels},
		health.Check{Name: "process-managers", Ask: m.checkProcesses},
		health.Check{Name: "caught-up", Ask: m.followers.Check},
		health.Check{Name: "streams", Ask: m.checkStreams},
	)
	n.monitor = m
	return m
}

// follow lists those who follow the events.
func (m *monitor) follow() {
	add := func(name string, at func() (taken, reached eventstore.Position)) {
		m.followers.All = append(m.followers.All, health.Follower{Name: name, At: at})
	}
	add("read-models", func() (eventstore.Position, eventstore.Position) {
		s := m.models.Status()
		return s.Position, s.Reached
	})
	for i, s := range m.processes.Status() {
		add("process-"+s.Name, func() (eventstore.Position, eventstore.Position) {
			s := m.processes.Status()[i]
			return s.Position, s.Reached
		})
	}
	add("log", func() (eventstore.Position, eventstore.Position) {
		s := m.log.Status()
		return s.Position, s.Reached
	})
}

// next returns the position of the ledger's first event after a position.
func (m *monitor) next(ctx context.Context, after eventstore.Position) (eventstore.Position, error) {
	for recorded, err := range m.node.store.ReadAll(ctx, after, 1) {
		return recorded.Position, err
	}
	return 0, nil
}

// appended is told by the ledger of each append.
func (n *node) appended(how ledger.Appended) {
	if m := n.monitor; m != nil {
		m.writes.Note(how.Err)
		m.appends.note(how)
		if how.Err == nil {
			m.clock.Saw(how.RecordedAt)
			m.followers.Reached(how.Position)
		}
	}
}

// sampleEvery is how often it is looked where those are who follow the events.
const sampleEvery = time.Second

// run samples until ctx ends.
func (m *monitor) run(ctx context.Context) {
	ticker := time.NewTicker(sampleEvery)
	defer ticker.Stop()
	for {
		bounded, cancel := context.WithTimeout(ctx, health.DefaultPatience)
		m.followers.Sample(bounded)
		cancel()
		m.clock.Saw(m.models.Status().RecordedAt)
		if published := m.log.Status().PublishedAt; published != nil {
			m.clock.Saw(*published)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// checkLog says whether the transparency log integrates and has not diverged.
func (m *monitor) checkLog(context.Context) health.Finding {
	return m.logged.judge(m.log.Status(), time.Duration(m.bounds.Lag), time.Now())
}

// logged remembers since when the log has not been live.
type logged struct {
	mu   sync.Mutex
	live bool // it was live once
	gone time.Time
}

// judge says what a log's status means for a node. A log that starts again
// after a fault that passes is given as long as an event may wait.
func (l *logged) judge(status transparency.Status, bound time.Duration, now time.Time) health.Finding {
	l.mu.Lock()
	defer l.mu.Unlock()
	if bound <= 0 {
		bound = health.DefaultLag
	}
	switch status.Phase {
	case transparency.PhaseLive:
		l.live, l.gone = true, time.Time{}
		return health.Well("")
	case transparency.PhaseStopped:
		if status.Code == fault.StreamBroken {
			return health.Bad(status.Code, "somebody else has written to the log's own stream: nothing more is signed on this node, and writing goes on")
		}
		return health.Bad(status.Code, "the log has stopped, and nothing is written on this node")
	}
	if l.gone.IsZero() {
		l.gone = now
	}
	away := now.Sub(l.gone)
	switch {
	case l.live && away <= bound:
		return health.Well("")
	case status.Phase == transparency.PhaseWaiting:
		return health.Bad(health.CodeLogWaits, fmt.Sprintf("the log has been waiting for %s: %s", away.Round(time.Second), status.Code))
	}
	return health.Bad(health.CodeBehind, fmt.Sprintf("the log is %s; %d events are in it", status.Phase, status.Integrated))
}

func (m *monitor) checkModels(context.Context) health.Finding {
	status := m.models.Status()
	switch status.Phase {
	case projections.PhaseLive:
		return health.Well("")
	case projections.PhaseStopped:
		return health.Bad(fault.ProjectionStopped, "the read models have stopped")
	}
	return health.Bad(health.CodeBehind, "the read models are "+string(status.Phase))
}

func (m *monitor) checkProcesses(context.Context) health.Finding {
	for _, status := range m.processes.Status() {
		if status.Err != nil {
			return health.Bad(fault.CodeOf(status.Err), "the process manager "+status.Name+" has stopped")
		}
	}
	return health.Well("")
}

// checkStreams tells of frozen streams: the rest of the ledger goes on, and so
// the node is ready all the same.
func (m *monitor) checkStreams(ctx context.Context) health.Finding {
	count, err := m.models.FrozenStreams(ctx)
	if err != nil {
		return health.Bad(fault.CodeOf(err), "the read models cannot be read")
	}
	found := health.Well("")
	if count > 0 {
		found.Code = health.CodeStreamsFrozen
		found.Detail = fmt.Sprintf("%d streams are frozen by events that the ledger did not write", count)
	}
	return found
}

// disks are the places where a node writes.
func (l location) disks() []health.Place {
	places := []health.Place{{Name: "node", Path: l.dir}, {Name: "temporary", Path: os.TempDir()}}
	if path, ok := sqlitePath(l.store); ok {
		places = append(places, health.Place{Name: "events", Path: filepath.Dir(path)})
	}
	if !strings.Contains(l.blobs, "://") {
		places = append(places, health.Place{Name: "content", Path: l.blobs})
	}
	return places
}

// monitorKey makes the key of the security log's pseudonyms from a secret of
// the ledger, so that all nodes use the same, and go on using it.
func monitorKey(identifierKey []byte) []byte {
	mac := hmac.New(sha256.New, identifierKey)
	mac.Write([]byte("dalel security log\x00"))
	return mac.Sum(nil)
}

// monitorFlags are the flags of `dalel serve` on watching the node.
type monitorFlags struct{ listen, token, security string }

func (f *monitorFlags) register(flags *flag.FlagSet) {
	flags.StringVar(&f.listen, "metrics", "", "an `address` of its own for metrics and readiness, "+
		"which only who watches the node can reach, such as 127.0.0.1:9464; none unless given")
	flags.StringVar(&f.token, "metrics-token", "", "the `file` with the token that opens /metrics, "+
		"and what the checks of /readyz have found, among the other routes; closed unless given")
	flags.StringVar(&f.security, "security-log", "", "the `file` that the security log is added to, "+
		"if it is not to go with the rest to standard error")
}

func (f *monitorFlags) open() (options monitorOptions, err error) {
	options.security = f.security
	if options.token, err = readMonitorToken(f.token); err != nil {
		return options, fmt.Errorf("read the monitor's token: %w", err)
	}
	if f.listen != "" {
		if options.listener, err = net.Listen("tcp", f.listen); err != nil {
			return options, fmt.Errorf("listen for who watches the node: %w", err)
		}
	}
	return options, nil
}

// prepare adds to the interface's configuration what it needs to be watched.
// The security log is the node's own log unless there is a file.
func (m *monitor) prepare(served *httpapi.Config) (io.Closer, error) {
	served.Health, served.Build, served.MonitorToken = m.board, thisBuild(), m.node.watching.token
	served.Metrics = httpapi.NewMetrics(served.Log)
	served.Metrics.Register(m, m.appends.took, m.appends.outcome)
	path := m.node.watching.security
	if path == "" {
		served.Security = httpapi.NewSecurity(served.Log.With("log", "security"), m.node.securityKey)
		return closeFunc(func() error { return nil }), nil
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the security log: %w", err)
	}
	served.Security = httpapi.NewSecurity(slog.New(slog.NewJSONHandler(file, nil)), m.node.securityKey)
	return file, nil
}

// serveMonitoring serves who watches the node until ctx ends.
func serveMonitoring(ctx context.Context, listener net.Listener, handler http.Handler) error {
	web := &http.Server{
		Handler: handler, ReadTimeout: 10 * time.Second, WriteTimeout: time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10,
	}
	stop := context.AfterFunc(ctx, func() { _ = web.Close() })
	defer stop()
	if err := web.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve who watches the node: %w", err)
	}
	return nil
}

// minMonitorToken is how many characters a monitor's token has at least.
const minMonitorToken = 24

// readMonitorToken reads the monitor's token from a file, "" for none.
func readMonitorToken(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	text, err := readBounded(path, 4096)
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(text))
	if len(token) < minMonitorToken || strings.ContainsAny(token, " \t\r\n") {
		return "", fault.New(fault.ConfigInvalid, "%s holds no monitor's token: one word of %d characters or more", path, minMonitorToken)
	}
	return token, nil
}

// thisBuild is what /version and `dalel version` tell.
func thisBuild() build.Info { return build.Read(version) }
