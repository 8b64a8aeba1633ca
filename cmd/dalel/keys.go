package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"dalel/blobs/keys"
	"dalel/blobs/keys/master"
	"dalel/internal/fault"
)

// keyCommands has the commands that deal with keys.
func keyCommands(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	verb := ""
	if len(args) > 0 {
		verb = args[0]
	}
	switch verb {
	case "list":
		return listKeys(ctx, args[1:], stdout, stderr)
	case "rotate":
		return rotateKeys(ctx, args[1:], stdout, stderr)
	}
	fmt.Fprintln(stderr, "usage: dalel keys {list | rotate [--new-master PLACE]} --dir DIR [--settings DIR] [--keys PLACE] [--master PLACE]")
	return exitFailed
}

// listKeys says whose keys there are and what became of them. It needs no
// master key and shows no key, wrapped or not.
func listKeys(ctx context.Context, args []string, stdout, stderr io.Writer) (status int) {
	flags := flag.NewFlagSet("keys list", flag.ContinueOnError)
	var at location
	at.register(flags)
	if !arguments(flags, args, stderr) {
		return exitFailed
	}
	if err := need(map[string]string{"dir": at.dir}); err != nil {
		return fail(stderr, "keys list", err)
	}
	at = at.filled()
	store, err := openOwnKeys(ctx, at)
	if err != nil {
		return fail(stderr, "keys list", err)
	}
	defer func() {
		if err := store.Close(); err != nil {
			status = fail(stderr, "keys list", err)
		}
	}()
	live, destroyed := 0, 0
	for record, err := range store.All(ctx) {
		switch {
		case err != nil:
			return fail(stderr, "keys list", err)
		case record.Subject == keys.LedgerSubject:
		case record.Destroyed():
			destroyed++
			fmt.Fprintf(stdout, "%s  destroyed %s\n", record.Subject, record.DestroyedAt.UTC().Format(time.RFC3339))
		default:
			live++
			fmt.Fprintf(stdout, "%s  under %s\n", record.Subject, record.Wrapping)
		}
	}
	if live+destroyed == 0 {
		return fail(stderr, "keys list", fault.New(fault.KeyUnknown, "there are no keys at %s", at.keys))
	}
	fmt.Fprintf(stdout, "%d keys, and %d destroyed\n", live, destroyed)
	return exitGood
}

// openOwnKeys opens the keys of the ledger whose settings are named, without the
// master key.
func openOwnKeys(ctx context.Context, at location) (keys.Store, error) {
	set, err := readSettings(at.settings)
	if err != nil {
		return nil, err
	}
	store, err := openKeyStore(ctx, at.keys, false)
	if err != nil {
		return nil, err
	}
	if err := keysOf(ctx, store, at.keys, set.Ledger); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return store, nil
}

// rotateKeys wraps every key anew. Asked again after it was cut off, it goes
// on.
func rotateKeys(ctx context.Context, args []string, stdout, stderr io.Writer) (status int) {
	flags := flag.NewFlagSet("keys rotate", flag.ContinueOnError)
	var at location
	at.register(flags)
	next := flags.String("new-master", "", "the `place` of the master key from now on; a file that is missing is made")
	if !arguments(flags, args, stderr) {
		return exitFailed
	}
	if err := need(map[string]string{"dir": at.dir}); err != nil {
		return fail(stderr, "keys rotate", err)
	}
	at = at.filled()
	failed := func(err error) int { return fail(stderr, "keys rotate", err) }
	if *next != "" && !strings.Contains(*next, "://") && real(*next) == real(at.master) {
		return failed(errors.New("--new-master is the master key that the keys are under"))
	}
	store, err := openOwnKeys(ctx, at)
	if err != nil {
		return failed(err)
	}
	ring, to, err := openToRotate(ctx, store, at.master, *next, stdout)
	if err != nil {
		return failed(errors.Join(err, store.Close()))
	}
	defer func() {
		if err := ring.Close(); err != nil {
			status = failed(err)
		}
	}()
	empty := true
	for _, err := range ring.All(ctx) {
		if err != nil {
			return failed(err)
		}
		empty = false
		break
	}
	if empty && *next == "" {
		return failed(errors.New("there is nothing to rotate: the ledger has no keys yet"))
	}
	line := progressLine(stderr)
	show := line.seldom()
	summary, err := ring.Rotate(ctx, to, func(done, total int) { show("keys", int64(done), int64(total)) })
	line.end()
	if err != nil {
		return failed(fmt.Errorf("%w\nno key is lost; the same command goes on from there", err))
	}
	if summary.Resumed {
		fmt.Fprintln(stdout, "a rotation that was cut off is finished")
	}
	fmt.Fprintf(stdout, "%d keys are wrapped anew under %s, under the master key %s; destroyed: %s\n",
		summary.Moved, summary.Ring, to.ID(), cmp.Or(strings.Join(summary.Former, ", "), "none"))
	if *next != "" {
		fmt.Fprintf(stdout, "from now on the ledger opens with the master key at %s alone: start every node with --master %[1]s, or put it in the place of the old one\n", *next)
	}
	fmt.Fprintln(stdout, "older backups of the keys open with what they were made with: keep the old master key as long as them, and no longer")
	return exitGood
}

// openToRotate opens the ring by the master key that it is under: after a
// change that was cut off, that may be the new one already.
func openToRotate(ctx context.Context, store keys.Store, place, next string, stdout io.Writer) (*keys.Ring, keys.Master, error) {
	present, err := openMaster(ctx, place)
	if err != nil && next == "" {
		return nil, nil, fmt.Errorf("open the master key: %w", err)
	}
	missing := err
	to := present
	if next != "" {
		if !strings.Contains(next, "://") {
			if _, err := os.Stat(next); errors.Is(err, fs.ErrNotExist) && missing == nil {
				if _, err := master.MakeFile(next); err != nil {
					return nil, nil, fmt.Errorf("make the new master key: %w", err)
				}
				fmt.Fprintf(stdout, "a new master key is in %s\n", next)
			}
		}
		if to, err = openMaster(ctx, next); err != nil {
			return nil, nil, fmt.Errorf("open the new master key: %w", err)
		}
	}
	if missing == nil {
		ring, err := keys.OpenRing(ctx, store, present, keys.RingOptions{})
		if err == nil || next == "" || !fault.Is(err, fault.ConfigInvalid) {
			return ring, to, err
		}
	}
	ring, err := keys.OpenRing(ctx, store, to, keys.RingOptions{})
	return ring, to, err
}
