package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"strings"
	"time"

	"dalel/blobs"
	blobfile "dalel/blobs/file"
	"dalel/blobs/keys"
	"dalel/blobs/keys/master"
	keyss3 "dalel/blobs/keys/s3"
	keysqlite "dalel/blobs/keys/sqlite"
	blobs3 "dalel/blobs/s3"
	"dalel/domain/retention"
	"dalel/internal/clamav"
	"dalel/internal/fault"
)

// masterFile is the master key's file in secrets/.
const masterFile = "master.key"

// blobStore is where content is kept: a folder or a bucket.
type blobStore interface {
	blobs.Archive
	io.Closer
}

// openBlobs opens a folder, which is made if there is none unless it is to exist,
// or a bucket by its s3:// URL.
func openBlobs(ctx context.Context, place string, rules retention.Rules, existing bool) (blobStore, error) {
	if !strings.HasPrefix(place, "s3://") {
		// A nil store in an interface is not nil, and somebody would close it.
		store, err := blobfile.OpenWith(place, blobfile.Options{First: first(rules), Existing: existing})
		if err != nil {
			return nil, err
		}
		return store, nil
	}
	options, err := blobs3.ParseURL(place)
	if err != nil {
		return nil, err
	}
	if options.First == 0 {
		options.First = first(rules)
	}
	store, err := blobs3.Open(ctx, options)
	if err != nil {
		return nil, err
	}
	return store, nil
}

// openKeyStore opens a key store without its master key: a SQLite file, which
// must be there unless create, or a bucket by its s3:// URL.
func openKeyStore(ctx context.Context, place string, create bool) (keys.Store, error) {
	if strings.HasPrefix(place, "s3://") {
		options, err := keyss3.ParseURL(place)
		if err != nil {
			return nil, err
		}
		return keyss3.Open(ctx, options)
	}
	if _, missing := os.Stat(place); errors.Is(missing, fs.ErrNotExist) && !create {
		return nil, restorable(fault.New(fault.KeysMissing, "there are no keys at %s", place), "Name their place with --keys; without its keys a ledger cannot be read")
	}
	return keysqlite.Open(ctx, place)
}

// openMaster opens a master key: a file, or a URL.
func openMaster(ctx context.Context, place string) (keys.Master, error) {
	if strings.Contains(place, "://") {
		return master.FromURL(ctx, place)
	}
	return master.FromFile(place)
}

// openKeys opens the keys of a ledger under its master key.
func openKeys(ctx context.Context, at location, ledger string) (*keys.Ring, error) {
	if _, missing := os.Stat(at.master); !strings.Contains(at.master, "://") && errors.Is(missing, fs.ErrNotExist) {
		return nil, restorable(fault.New(fault.SettingsMissing, "the master key %s is missing, and the keys cannot be opened without it", at.master),
			"Put it back as it was, or name its place with --master")
	}
	key, err := openMaster(ctx, at.master)
	if err != nil {
		return nil, fmt.Errorf("open the master key: %w", err)
	}
	store, err := openKeyStore(ctx, at.keys, false)
	if err != nil {
		return nil, err
	}
	if err := keysOf(ctx, store, at.keys, ledger); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	ring, err := keys.OpenRing(ctx, store, key, keys.RingOptions{})
	if fault.Is(err, fault.ConfigInvalid) {
		err = restorable(err, "Put the right master key at "+canonicalPlace(at.master)+", or name its place with --master")
	}
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return ring, nil
}

// keysOf refuses keys that are not a ledger's.
func keysOf(ctx context.Context, store keys.Store, place, ledger string) error {
	theirs, err := keys.LedgerOf(ctx, store)
	if err != nil || theirs == ledger {
		return err
	}
	what := "Name the right place with --keys"
	if theirs != "" {
		return restorable(fault.New(fault.KeysOther, "the keys at %s belong to the ledger %.80q, and this is the ledger %s", canonicalPlace(place), theirs, ledger), what)
	}
	for _, err := range store.All(ctx) {
		if err != nil {
			return err
		}
		return restorable(fault.New(fault.KeysOther, "the keys at %s do not say that they belong to the ledger %s", canonicalPlace(place), ledger), what)
	}
	return restorable(fault.New(fault.KeysMissing, "there are no keys at %s", canonicalPlace(place)), what)
}

// scanner answers the ledger with the verdicts of a ClamAV daemon.
type scanner struct{ daemon *clamav.Scanner }

func openScanner(address string) (*scanner, error) {
	daemon, err := clamav.New(clamav.Options{Address: address})
	if err != nil {
		return nil, fmt.Errorf("the scanner in %s: %w", settingsFile, err)
	}
	return &scanner{daemon}, nil
}

// Scan implements ledger.Scanner.
func (s *scanner) Scan(ctx context.Context, content io.Reader) error {
	found, err := s.daemon.Scan(ctx, content)
	if err != nil {
		return err
	}
	if found.Malware {
		return fault.New(fault.FileMalware, "the scanner calls it %q", found.Signature)
	}
	return nil
}

// checkURL is the address of the check page, to which a number is added.
func checkURL(public string) string {
	if public == "" {
		return ""
	}
	joined, err := url.JoinPath(public, "check")
	if err != nil {
		return ""
	}
	return joined + "/"
}

// first is how long content is locked for before anything is known of it.
func first(rules retention.Rules) time.Duration {
	now := time.Now()
	return rules.First().After(now).Sub(now)
}
