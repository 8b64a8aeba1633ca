package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"dalel/eventstore"
	"dalel/eventstore/esdb"
	"dalel/eventstore/sqlite"
	"dalel/internal/fault"
)

// openStore opens an event store by its URL: sqlite:///absolute/path or
// sqlite://relative/path, where a file that is missing is made, or the
// connection string of an EventStoreDB, esdb://host:2113 or esdb+discover://….
// A connection string may hold a password; no error repeats it.
func openStore(ctx context.Context, address string) (eventstore.Store, error) {
	if path, ok := sqlitePath(address); ok {
		// Not the two results as they come: a nil store in an interface is not
		// nil, and somebody would close it.
		store, err := sqlite.Open(ctx, path, sqlite.Options{})
		if err != nil {
			return nil, err
		}
		return store, nil
	}
	scheme, _, ok := strings.Cut(address, "://")
	switch {
	case scheme == "esdb", scheme == "esdb+discover":
		store, err := esdb.Open(ctx, address, esdb.Options{})
		if err != nil {
			return nil, err
		}
		return store, nil
	case !ok:
		return nil, errors.New("an event store is named by a URL: sqlite://… or esdb://…")
	}
	return nil, fmt.Errorf("an event store's URL begins with sqlite:// or esdb://, not %s://", scheme)
}

// sqlitePath returns the file of a sqlite:// URL.
func sqlitePath(address string) (string, bool) {
	escaped, ok := strings.CutPrefix(address, "sqlite://")
	if !ok {
		return "", false
	}
	path, err := url.PathUnescape(escaped)
	return path, err == nil && path != ""
}

// sqliteURL is the URL of a file.
func sqliteURL(path string) string { return "sqlite://" + (&url.URL{Path: path}).EscapedPath() }

// examined is an event store with users and rights.
type examined interface {
	Probe(ctx context.Context) error
	Excess(ctx context.Context) ([]string, error)
}

// examineStore asks an event store that has users whether this node's may do what
// serving takes, and refuses by name if not; what it may do beyond that is told on
// the startup screen. Other faults are for whoever uses the store next.
func (n *node) examineStore(ctx context.Context) error {
	store, ok := n.store.(examined)
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, examineWithin)
	defer cancel()
	switch err := store.Probe(ctx); fault.CodeOf(err) {
	case fault.StoreDenied, fault.StorePassword, fault.StoreCertificate, fault.StoreTLS:
		return err
	}
	excess, err := store.Excess(ctx)
	if err != nil {
		excess = []string{"do what could not be found out (" + string(fault.CodeOf(err)) + ")"}
	}
	n.excess = excess
	return nil
}

// examineWithin bounds the questions about rights at the start.
const examineWithin = 5 * time.Second
