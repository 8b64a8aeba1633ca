package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"dalel/domain/transfer"
	"dalel/eventstore"
	"dalel/eventstore/sqlite"
	"dalel/internal/fault"
)

// copyLedger copies all events from one event store to another: 0 the target
// holds the ledger, 2 it could not be done. Asked again, it goes on where it
// was cut off. Content is not in an event store: blobs/ is shared between the
// ledgers or copied with ordinary tools.
func copyLedger(ctx context.Context, args []string, stdout, stderr io.Writer) (status int) {
	flags := flag.NewFlagSet("copy", flag.ContinueOnError)
	from := flags.String("from", "", "the `URL` of the event store to copy: sqlite:///path or esdb://…")
	to := flags.String("to", "", "the `URL` of the event store to fill: empty, or with a beginning of the same ledger")
	var leaveOut []eventstore.Position
	flags.Func("leave-out", "the `POSITION` of an event that is not the ledger's and stays behind, as dalel fsck and a copy that is refused name it; several with commas, or the flag again",
		func(text string) error {
			for _, one := range strings.Split(text, ",") {
				position, err := strconv.ParseUint(strings.TrimSpace(one), 10, 63)
				if err != nil || position == 0 {
					return fmt.Errorf("%q is no position", one)
				}
				leaveOut = append(leaveOut, eventstore.Position(position))
			}
			return nil
		})
	if !arguments(flags, args, stderr) {
		return exitFailed
	}
	if err := need(map[string]string{"from": *from, "to": *to}); err != nil {
		return fail(stderr, "copy", err)
	}
	line := progressLine(stderr)
	source, target, err := openBoth(ctx, *from, *to, leaveOut, line)
	if err != nil {
		line.end()
		return fail(stderr, "copy", err)
	}
	defer func() {
		// What was copied is on stable storage all the same.
		if err := errors.Join(target.Close(), source.Close()); err != nil {
			status = fail(stderr, "copy", err)
		}
	}()
	var summary transfer.Summary
	if len(leaveOut) > 0 {
		summary, err = transfer.CopyWithout(ctx, source, target, leaveOut, line.copying())
	} else {
		summary, err = transfer.Copy(ctx, source, target, line.copying())
	}
	line.end()
	if err != nil {
		if fault.Is(err, fault.StreamBroken) && len(leaveOut) == 0 {
			err = fmt.Errorf("%w\ndalel fsck says of each what it is; --leave-out with their positions leaves them behind", err)
		}
		// Neither a broken source nor another ledger's target gets better by
		// trying again.
		if summary.Copied > 0 && !fault.Is(err, fault.ChainBroken) && !fault.Is(err, fault.StreamBroken) && !fault.Is(err, fault.TransferDiffers) {
			err = fmt.Errorf("%w\nthe target now holds the first %d events; the same command goes on from there", err, summary.Events)
		}
		return fail(stderr, "copy", err)
	}
	for _, event := range summary.LeftOut {
		fmt.Fprintf(stdout, "left out: position %d, %s@%d, a %q\n", event.Position, event.Stream, event.Revision, event.Type)
	}
	fmt.Fprintf(stdout, "%d events in %d streams, %d of them copied now, root %s\n", summary.Events, summary.Streams, summary.Copied, summary.Root)
	return exitGood
}

// openBoth opens the two stores of a copy. A source must be there already; a
// target that is a file is made, once the source is known to be sound.
func openBoth(
	ctx context.Context, from, to string, leaveOut []eventstore.Position, line *progress,
) (source, target eventstore.Store, err error) {
	if from == to {
		return nil, nil, errors.New("--from and --to are the same event store")
	}
	if path, ok := sqlitePath(from); ok {
		if _, err := os.Stat(path); err != nil {
			return nil, nil, fmt.Errorf("there is no event store to copy: %w", err)
		}
	}
	source, changed, err := openSound(ctx, from, line)
	if err != nil {
		return nil, nil, fmt.Errorf("open the event store to copy: %w", err)
	}
	if changed {
		if err := transfer.Check(ctx, source, leaveOut); err != nil {
			return nil, nil, errors.Join(fmt.Errorf("check the event store to copy: %w", err), source.Close())
		}
	}
	if target, _, err = openSound(ctx, to, line); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("open the event store to fill: %w", err), source.Close())
	}
	return source, target, nil
}

// notFollowing is the error of a file with a fault that keeps it from being copied.
func notFollowing(p sqlite.Problem) error {
	return fault.New(fault.ChainBroken, "%s (`dalel fsck` names all that is wrong). %s", p, transfer.Unrepaired)
}

// openSound opens an event store and has it look at its own file, where it is
// one. Some damage shows there alone, a tail that was cut off for one: a copy
// of the events would look whole. changed says that there are events whose bytes
// are not those of their ids: foreign ones, or the ledger's own.
func openSound(ctx context.Context, address string, line *progress) (store eventstore.Store, changed bool, err error) {
	store, err = openStore(ctx, address)
	if fault.Is(err, fault.StoreLocked) {
		err = fmt.Errorf("%w (is it being served? stop `dalel serve` first)", err)
	}
	if err != nil {
		return nil, false, err
	}
	if file, ok := store.(*sqlite.Store); ok {
		line.say("checking " + address)
		err = file.Check(ctx, func(p sqlite.Problem) error {
			if p.Kind == sqlite.EventChanged {
				changed = true // reading in order tells foreign ones from changed ones
				return nil
			}
			return notFollowing(p)
		})
	}
	if err != nil {
		return nil, false, errors.Join(err, store.Close())
	}
	return store, changed, nil
}

// copying shows a copy on the line, a few times a second.
func (p *progress) copying() func(transfer.Progress) {
	if p.w == nil {
		return nil
	}
	var shown time.Time
	return func(at transfer.Progress) {
		if time.Since(shown) < 200*time.Millisecond {
			return
		}
		shown = time.Now()
		percent := ""
		if at.End > 0 {
			// Positions need not be dense, and a source in use may have grown.
			percent = fmt.Sprintf(", %.0f %%", min(100, 100*float64(at.At)/float64(at.End)))
		}
		p.say(fmt.Sprintf("%s: %d events%s", at.Doing, at.Events, percent))
	}
}

// say puts a text on the line.
func (p *progress) say(text string) {
	if p.w == nil {
		return
	}
	p.shown = true
	fmt.Fprint(p.w, "\r\x1b[K"+text)
}
