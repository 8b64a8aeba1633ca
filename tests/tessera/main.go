// Command tessera is somebody else's eye on the transparency log: it reads a
// log over HTTP with the client and the fsck of github.com/transparency-dev/tessera
// and nothing of Dalel's, computes every tile and the root from the entries
// again, and compares.
//
//	tessera URL ORIGIN VKEY
//
// It ends with status 0 if nothing is wrong, 1 if something is, which it says
// on standard error, and 2 if it could not do its work. It is a module of its
// own because the library brings the client libraries of three clouds with it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"k8s.io/klog/v2"
)

const (
	// workers: with one, the library's check can wait for itself for ever.
	workers = 4
	// patience is for a check that waits for ever in spite of that.
	patience = 60 * time.Second
)

func main() {
	klog.InitFlags(nil)
	_ = flag.Set("logtostderr", "true")
	_ = flag.Set("stderrthreshold", "FATAL")
	flag.Parse()
	status, err := run(flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(status)
}

func run(args []string) (int, error) {
	if len(args) != 3 {
		return 2, errors.New("usage: tessera URL ORIGIN VKEY")
	}
	root, err := url.Parse(args[0])
	if err != nil {
		return 2, err
	}
	verifier, err := note.NewVerifier(args[2])
	if err != nil {
		return 2, err
	}
	fetcher, err := client.NewHTTPFetcher(root, &http.Client{Timeout: 10 * time.Second})
	if err != nil {
		return 2, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	found := make(chan error, 1)
	go func() {
		// The library takes for granted that a bundle has as many entries as
		// it should, and fails in its own way if it has not.
		defer func() {
			if failure := recover(); failure != nil {
				found <- fmt.Errorf("the check cannot go on: %v", failure)
			}
		}()
		found <- fsck.New(args[1], verifier, fetcher, hashBundle, fsck.Opts{N: workers}).Check(ctx)
	}()
	select {
	case err := <-found:
		if err != nil {
			return 1, err
		}
		return 0, nil
	case <-ctx.Done():
		return 2, errors.New("the check did not come to an end")
	}
}

// hashBundle returns the leaf hashes of an entry bundle.
func hashBundle(bundle []byte) ([][]byte, error) {
	var entries api.EntryBundle
	if err := entries.UnmarshalText(bundle); err != nil {
		return nil, err
	}
	hashes := make([][]byte, len(entries.Entries))
	for i, entry := range entries.Entries {
		hash := tlog.RecordHash(entry)
		hashes[i] = hash[:]
	}
	return hashes, nil
}
