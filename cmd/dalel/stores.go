package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"dalel/eventstore"
	"dalel/eventstore/esdb"
	"dalel/eventstore/sqlite"
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
