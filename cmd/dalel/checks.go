package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"dalel/domain/fsck"
	"dalel/eventstore"
	"dalel/eventstore/sqlite"
	"dalel/projections"
)

// fsckLedger reads everything again: 0 all is as committed, 1 it says what is
// not, 2 it could not be read.
func fsckLedger(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("fsck", flag.ContinueOnError)
	var at location
	at.register(flags)
	asJSON := flags.Bool("json", false, "print one JSON object")
	if !arguments(flags, args, stderr) {
		return exitFailed
	}
	if err := need(map[string]string{"dir": at.dir}); err != nil {
		return fail(stderr, "fsck", err)
	}
	n, err := openNode(ctx, at, false)
	if err != nil {
		return fail(stderr, "fsck", err)
	}
	defer n.Close()
	summary, problems, err := n.check(ctx, stderr)
	if err != nil {
		return fail(stderr, "fsck", err)
	}
	if *asJSON {
		if problems == nil {
			problems = []fsck.Problem{}
		}
		encoder := json.NewEncoder(stdout)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(map[string]any{"summary": summary, "problems": problems}); err != nil {
			return fail(stderr, "fsck", err)
		}
	} else {
		printChecked(stdout, summary, problems)
	}
	if len(problems) > 0 {
		return exitBad
	}
	return exitGood
}

// check reads an open ledger again.
func (n *node) check(ctx context.Context, stderr io.Writer) (summary fsck.Summary, problems []fsck.Problem, err error) {
	line := progressLine(stderr)
	defer line.end()
	summary, err = fsck.Run(ctx, fsck.Source{
		Store: n.store, Blobs: n.blobs, Content: n.ledger.Content(), Keys: n.keys, Codec: n.ledger.Codec(), StoreCheck: n.checkStore,
	}, func(p fsck.Problem) { problems = append(problems, p) }, line.show)
	return summary, problems, err
}

// printChecked is what fsck says to people.
func printChecked(stdout io.Writer, summary fsck.Summary, problems []fsck.Problem) {
	for _, p := range problems {
		fmt.Fprintf(stdout, "NOT AS COMMITTED  %s: %s\n", p.Where, p.What)
	}
	fmt.Fprintf(stdout, "%d events in %d streams, %d contents of %d bytes: ", summary.Events, summary.Streams, summary.Contents, summary.Bytes)
	if len(problems) == 0 {
		fmt.Fprintln(stdout, "all is as committed")
	} else {
		fmt.Fprintf(stdout, "%d not as committed\n", len(problems))
	}
	fmt.Fprintf(stdout, "root %s\n", summary.Root)
}

// checkStore has the store look at its own file, where it is one.
func (n *node) checkStore(ctx context.Context, report func(fsck.Problem)) error {
	store, ok := n.store.(*sqlite.Store)
	if !ok {
		return nil
	}
	return store.Check(ctx, func(p sqlite.Problem) error {
		where := "the event store"
		switch {
		case p.Stream != "":
			where = fmt.Sprintf("%s@%d", p.Stream, p.Revision)
		case p.Position != 0:
			where = fmt.Sprintf("position %d", p.Position)
		}
		report(fsck.Problem{Where: where, What: p.What})
		return nil
	})
}

// rebuild throws the read models away and replays the events.
func rebuild(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("rebuild", flag.ContinueOnError)
	var at location
	at.register(flags)
	if !arguments(flags, args, stderr) {
		return exitFailed
	}
	if err := need(map[string]string{"dir": at.dir}); err != nil {
		return fail(stderr, "rebuild", err)
	}
	n, err := openNode(ctx, at, false)
	if err != nil {
		return fail(stderr, "rebuild", err)
	}
	defer n.Close()
	models, err := openModels(ctx, n, slog.New(slog.NewTextHandler(stderr, nil)))
	if err != nil {
		return fail(stderr, "rebuild", err)
	}
	defer models.Close()
	line := progressLine(stderr)
	var last eventstore.Position
	err = models.Rebuild(ctx, func(done, end eventstore.Position) {
		last = done
		line.show("events", int64(done), int64(end))
	})
	line.end()
	if err != nil {
		return fail(stderr, "rebuild", err)
	}
	fmt.Fprintf(stdout, "rebuilt up to position %d\n", last)
	return exitGood
}

func openModels(ctx context.Context, n *node, log *slog.Logger) (*projections.Models, error) {
	return projections.Open(ctx, filepath.Join(n.dir, modelsFile), n.ledger.Codec(), n.store, projections.Options{Logger: log})
}

// progress shows how far long work has come, on one line of a terminal and
// not at all in a pipe.
type progress struct {
	w     io.Writer
	shown bool
}

func progressLine(w io.Writer) *progress {
	file, ok := w.(*os.File)
	if !ok {
		return &progress{}
	}
	if info, err := file.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return &progress{}
	}
	return &progress{w: w}
}

func (p *progress) show(what string, done, total int64) {
	if p.w == nil {
		return
	}
	p.shown = true
	if total > 0 {
		fmt.Fprintf(p.w, "\r\x1b[K%s: %d of %d", what, done, total)
	} else {
		fmt.Fprintf(p.w, "\r\x1b[K%s: %d", what, done)
	}
}

func (p *progress) end() {
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
