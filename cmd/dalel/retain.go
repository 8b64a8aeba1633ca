package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"

	"dalel/domain/document"
)

// retain locks the content of every document for as long as the rules in
// ledger.json say now: what is to be done when a rule was made longer, since a
// document's locks otherwise follow its own events.
func retain(ctx context.Context, args []string, stdout, stderr io.Writer) (status int) {
	flags := flag.NewFlagSet("retain", flag.ContinueOnError)
	var at location
	at.register(flags)
	if !arguments(flags, args, stderr) {
		return exitFailed
	}
	if err := need(map[string]string{"dir": at.dir}); err != nil {
		return fail(stderr, "retain", err)
	}
	n, err := openNode(ctx, at)
	if err != nil {
		return fail(stderr, "retain", err)
	}
	defer func() {
		if err := n.Close(); err != nil {
			status = fail(stderr, "retain", err)
		}
	}()
	line := progressLine(stderr)
	documents, err := n.retainAll(ctx, line.show)
	line.end()
	if err != nil {
		return fail(stderr, "retain", err)
	}
	fmt.Fprintf(stdout, "the content of %d documents is locked for as long as the rules say\n", documents)
	return exitGood
}

// retainAll does so for every document that was sent. One that fails holds up
// no other.
func (n *node) retainAll(ctx context.Context, progress func(what string, done, total int64)) (documents int, err error) {
	end, err := n.store.End(ctx)
	if err != nil {
		return 0, err
	}
	var failures []error
	for recorded, err := range n.store.ReadAll(ctx, 0, 0) {
		if err != nil {
			return documents, err
		}
		if recorded.Type != (document.Sent{}).EventType() {
			continue
		}
		id := recorded.Stream.ID()
		if err := n.ledger.RetainDocument(ctx, id); err != nil {
			if ctx.Err() != nil {
				return documents, ctx.Err()
			}
			failures = append(failures, fmt.Errorf("document %s: %w", id, err))
			continue
		}
		documents++
		progress("documents", int64(recorded.Position), int64(end))
	}
	return documents, errors.Join(failures...)
}
