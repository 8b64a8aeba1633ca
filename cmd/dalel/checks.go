package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"

	"dalel/eventstore"
	"dalel/projections"
)

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
	n, err := openNode(ctx, at)
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
