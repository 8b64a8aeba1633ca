package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"time"

	"dalel/domain/access"
	"dalel/domain/event"
	"dalel/domain/ledger"
	"dalel/domain/packet"
	"dalel/httpapi"
	"dalel/httpapi/check"
	"dalel/httpapi/pages"
	"dalel/internal/fault"
	"dalel/projections"
	"dalel/projections/process"
	"dalel/projections/transparency"

	"golang.org/x/sync/errgroup"
)

// shutdownTime is how long requests under way may take to finish.
const shutdownTime = 10 * time.Second

// serve serves a ledger until it is interrupted.
func serve(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	var at location
	at.register(flags)
	listen := flags.String("listen", "127.0.0.1:8080", "the address to listen on")
	proxied := flags.Bool("behind-proxy", false, "believe X-Forwarded-For and X-Forwarded-Proto: a proxy of ours stands in front")
	var watching monitorFlags
	watching.register(flags)
	if !arguments(flags, args, stderr) {
		return exitFailed
	}
	if err := need(map[string]string{"dir": at.dir}); err != nil {
		return fail(stderr, "serve", err)
	}
	log := slog.New(slog.NewJSONHandler(stderr, nil))
	at.log = log
	// Nobody is answered before it is known that this is the right ledger.
	n, err := openNode(ctx, at)
	if err != nil {
		return fail(stderr, "serve", err)
	}
	if err := n.examineStore(ctx); err != nil {
		return fail(stderr, "serve", errors.Join(err, n.Close()))
	}
	listener, err := net.Listen("tcp", *listen)
	if err == nil {
		err = n.reachedAt(publicURL(listener))
	}
	if err != nil {
		return fail(stderr, "serve", errors.Join(err, n.Close()))
	}
	if n.watching, err = watching.open(); err != nil {
		return fail(stderr, "serve", errors.Join(err, listener.Close(), n.Close()))
	}
	s, err := start(ctx, n, listener, *proxied, log)
	if err != nil {
		return fail(stderr, "serve", errors.Join(err, n.Close()))
	}
	fmt.Fprint(stdout, screen(fmt.Sprintf("dalel serves %s on %s", at.dir, s.url), n.lacks(*proxied, time.Now())))
	if err := errors.Join(s.wait(ctx), n.Close()); err != nil {
		return fail(stderr, "serve", err)
	}
	return exitGood
}

// server is a node at work: read models, process managers and HTTP.
type server struct {
	url    string
	models *projections.Models
	work   *errgroup.Group
	stop   context.CancelFunc
	close  func() error
}

// start sets a node to work and returns when it can be reached.
// The listener is its own from then on.
func start(ctx context.Context, n *node, listener net.Listener, proxied bool, log *slog.Logger) (_ *server, err error) {
	opened := []io.Closer{closing(listener)}
	closeAll := func() error {
		var errs []error
		for i := range opened {
			errs = append(errs, opened[len(opened)-1-i].Close())
		}
		return errors.Join(errs...)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, closeAll())
		}
	}()
	if err := n.recordTrust(ctx, log); err != nil {
		return nil, err
	}
	models, err := openModels(ctx, n, log)
	if err != nil {
		return nil, fmt.Errorf("open the read models: %w", err)
	}
	opened = append(opened, models)
	processes, err := process.Open(ctx, filepath.Join(n.dir, processFile), n.ledger.Codec(), n.store, n.ledger, models, process.Options{Logger: log, Rules: n.rules, Forget: n.keys.Forget})
	if err != nil {
		return nil, fmt.Errorf("open the process managers: %w", err)
	}
	opened = append(opened, processes)
	tlog, err := n.openLog(ctx, transparency.Options{Logger: log})
	if err != nil {
		return nil, fmt.Errorf("open the transparency log: %w", err)
	}
	// A folder of anchors is to packets what it is to `dalel verify`.
	anchors, err := packet.LoadTrust(n.trust)
	if err != nil {
		return nil, fmt.Errorf("read the trust anchors: %w", err)
	}
	if !slices.ContainsFunc(anchors.Logs, func(known packet.Key) bool { return known.VKey == n.logKey.vkey }) {
		// Of a packet of its own it expects the proofs.
		anchors.Logs = append(anchors.Logs, packet.Key{VKey: n.logKey.vkey})
	}
	checked := check.Config{Ledger: n.ledger, Index: models, Policy: n.policy, Trust: anchors}
	shown := pages.Config{Ledger: n.ledger, Models: models, Recoveries: n.founded.Recoveries}
	served := httpapi.Config{Ledger: n.ledger, Models: models, Packets: n, TrustProxy: proxied, Log: log, Limits: n.settings.Limits}
	opened = append(opened, closeFunc(func() error { return closeLog(ctx, tlog, log) }))
	n.log = tlog
	shown.Log, shown.LogKey = tlog, n.logKey.vkey
	served.Transparency, served.LogKey, served.Renewals = tlog, n.logKey.vkey, n
	checked.Log = tlog
	if served.Check, err = check.New(checked); err != nil {
		return nil, fmt.Errorf("prepare the check of uploads: %w", err)
	}
	shown.Uploads = served.Check
	watched := newMonitor(n, models, processes, tlog)
	closeSecurity, err := watched.prepare(&served)
	if err != nil {
		return nil, err
	}
	opened = append(opened, closeSecurity)
	site, err := pages.New(shown)
	if err != nil {
		return nil, fmt.Errorf("prepare the pages: %w", err)
	}
	served.Pages, served.PageError = site.Routes(), site.Error
	api, err := httpapi.New(served)
	if err != nil {
		return nil, fmt.Errorf("prepare the interface: %w", err)
	}
	web := httpapi.NewHTTPServer(api)
	listener = served.Metrics.Listener(listener)

	inner, stop := context.WithCancel(context.WithoutCancel(ctx))
	work, inner := errgroup.WithContext(inner)
	work.Go(func() error { return models.Run(inner) })
	work.Go(func() error { return processes.Run(inner) })
	work.Go(func() error { return followLog(inner, tlog, log) })
	work.Go(func() error {
		watched.run(inner)
		return nil
	})
	if monitoring := n.watching.listener; monitoring != nil {
		work.Go(func() error { return serveMonitoring(inner, monitoring, api.Monitoring()) })
	}
	if store, ok := n.blobs.(uploads); ok {
		work.Go(func() error {
			sweepUploads(inner, store, log)
			return nil
		})
	}
	work.Go(func() error {
		if err := web.Serve(api.Listen(listener)); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	work.Go(func() error {
		<-inner.Done()
		bounded, cancel := context.WithTimeout(context.WithoutCancel(inner), shutdownTime)
		defer cancel()
		if err := web.Shutdown(bounded); err != nil {
			return web.Close()
		}
		return nil
	})
	return &server{url: "http://" + listener.Addr().String(), models: models, work: work, stop: stop, close: closeAll}, nil
}

// uploads is a content store that may be left with uploads that were cut off.
type uploads interface {
	// Sweep removes those that are old enough and returns how many they were.
	Sweep(ctx context.Context) (int, error)
}

// sweepEvery is how often cut uploads are looked for.
const sweepEvery = 24 * time.Hour

// sweepUploads removes cut uploads now and once a day.
func sweepUploads(ctx context.Context, store uploads, log *slog.Logger) {
	for {
		swept, err := store.Sweep(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			log.Warn("cut uploads could not be swept", "code", fault.CodeOf(err))
		case swept > 0:
			log.Info("cut uploads were removed", "uploads", swept)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(sweepEvery):
		}
	}
}

// closing closes a listener that the web server may have closed before.
func closing(listener net.Listener) io.Closer {
	return closeFunc(func() error {
		if err := listener.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
}

// closeLog closes the transparency log. What was acknowledged last may not have
// come up to it: the node remembers that too, so that it knows its store again.
func closeLog(ctx context.Context, tlog *transparency.Log, log *slog.Logger) error {
	if tlog.Stopped() == nil {
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime/2)
		defer cancel()
		if err := tlog.CatchUp(bounded); err != nil {
			log.Warn("the newest events are not in this node's memory", "code", fault.CodeOf(err))
		}
	}
	return tlog.Close()
}

type closeFunc func() error

func (f closeFunc) Close() error { return f() }

// publicURL is where the pages are reached unless the settings say otherwise:
// the address that is listened on, if it is one that a browser can go to.
func publicURL(listener net.Listener) string {
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok || address.IP.IsUnspecified() {
		return ""
	}
	return "http://" + address.String()
}

// wait returns when ctx has ended and everything has come to rest, or when a
// part has failed.
func (s *server) wait(ctx context.Context) error {
	failed := make(chan error, 1)
	go func() { failed <- s.work.Wait() }()
	var err error
	select {
	case <-ctx.Done():
		s.stop()
		err = <-failed
	case err = <-failed:
		s.stop()
	}
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	return errors.Join(err, s.close())
}

// issueToken makes a token on a ledger that nobody serves at the moment: the
// way in for its first operator.
func issueToken(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("token", flag.ContinueOnError)
	var at location
	at.register(flags)
	role := flags.String("role", "", "participant, auditor or operator")
	holder := flags.String("participant", ledger.Operator, "whose token it is: a participant's id")
	person := flags.String("person", "", "the employee who holds it, where the participant is a legal entity")
	days := flags.Int("days", 30, "how many days it is good for")
	if !arguments(flags, args, stderr) {
		return exitFailed
	}
	if err := need(map[string]string{"dir": at.dir, "role": *role}); err != nil {
		return fail(stderr, "token", err)
	}
	n, err := openNode(ctx, at)
	if err != nil {
		return fail(stderr, "token", err)
	}
	if err := n.recordTrust(ctx, slog.New(slog.NewTextHandler(stderr, nil))); err != nil {
		return fail(stderr, "token", errors.Join(err, n.Close()))
	}
	act := ledger.Act{By: event.By{Participant: ledger.Operator}, Role: access.RoleOperator, Device: "dalel token"}
	issued, err := n.ledger.IssueToken(ctx, act, event.By{Participant: *holder, Person: *person}, access.Role(*role), "command line", time.Duration(*days)*24*time.Hour)
	if err = errors.Join(err, n.Close()); err != nil {
		return fail(stderr, "token", err)
	}
	fmt.Fprintln(stdout, issued.Token)
	return exitGood
}
