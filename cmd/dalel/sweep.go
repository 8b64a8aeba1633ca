package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"dalel/blobs"
	"dalel/internal/backup"
	"dalel/internal/fault"
)

// sweep removes content that no event names and whose lock has lapsed, and
// uploads that were cut off: 0 done, 1 something was kept since it could not be
// told what locks it, 2 it could not be done. Whatever is not certain is kept.
func sweep(ctx context.Context, args []string, stdout, stderr io.Writer) (status int) {
	flags := flag.NewFlagSet("sweep", flag.ContinueOnError)
	var at location
	at.register(flags)
	dry := flags.Bool("dry-run", false, "say what would be removed and remove nothing")
	if !arguments(flags, args, stderr) {
		return exitFailed
	}
	if err := need(map[string]string{"dir": at.dir}); err != nil {
		return fail(stderr, "sweep", err)
	}
	line := progressLine(stderr)
	// From before the events are read: content that comes in after this is
	// locked for longer, whether its event is seen here or not.
	began := time.Now()
	source, closeAll, err := openSource(ctx, at.filled(), false, false, line)
	if err != nil {
		return fail(stderr, "sweep", err)
	}
	defer func() {
		if err := closeAll(); err != nil {
			status = fail(stderr, "sweep", err)
		}
	}()
	s := sweeping{source: source, began: began, dry: *dry, stdout: stdout}
	err = s.run(ctx, line.seldom())
	line.end()
	if err != nil {
		return fail(stderr, "sweep", err)
	}
	verb := map[bool]string{false: "removed", true: "would be removed"}[*dry]
	fmt.Fprintf(stdout, "%d contents of %d bytes that no event names %s; %d are locked still, %d were never locked and stay; %d are named by events\n",
		s.removed, s.bytes, verb, s.locked, s.unlocked, s.named)
	if uploads, ok := source.Blobs.(interface {
		Sweep(ctx context.Context) (int, error)
	}); ok && !*dry {
		n, err := uploads.Sweep(ctx)
		fmt.Fprintf(stdout, "%d uploads that were cut off removed\n", n)
		if err != nil {
			return fail(stderr, "sweep", err)
		}
	}
	if s.unclear > 0 {
		return exitBad
	}
	return exitGood
}

type sweeping struct {
	source backup.Source
	began  time.Time
	dry    bool
	stdout io.Writer

	named, removed, locked, unlocked, unclear int
	bytes                                     int64
}

func (s *sweeping) run(ctx context.Context, show backup.Progress) error {
	named, err := backup.Named(ctx, s.source.Events, s.source.Codec, show)
	if err != nil {
		return fmt.Errorf("nothing is removed: %w", err)
	}
	if len(named) == 0 {
		return errors.New("nothing is removed: no event names any content, and so this may be the wrong event store")
	}
	type candidate struct {
		info blobs.Info
		lock blobs.Lock
	}
	var candidates []candidate
	for info, err := range s.source.Blobs.All(ctx) {
		if err != nil {
			return fmt.Errorf("list the content: %w", err)
		}
		if _, ok := named[info.Digest]; ok {
			s.named++
			continue
		}
		lock, err := s.source.Blobs.Lock(ctx, info.Digest)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case fault.Is(err, fault.BlobNotFound):
		case err != nil:
			s.unclear++
			fmt.Fprintf(s.stdout, "KEPT  content %s: %v\n", info.Digest, err)
		case lock.Keeps(s.began):
			s.locked++
		case lock.Until.IsZero():
			// Put locks whatever it stores, so nothing is known of this.
			s.unlocked++
		default:
			candidates = append(candidates, candidate{info, lock})
		}
	}
	// Events and content that do not belong together are no ground to remove
	// anything on.
	if missing := len(named) - s.named; missing > 0 {
		return fmt.Errorf("nothing is removed: %d contents that events name are not there (`dalel fsck` names them)", missing)
	}
	for _, c := range candidates {
		if !s.dry {
			err := s.source.Blobs.Remove(ctx, c.info.Digest)
			if fault.Is(err, fault.BlobRetained) {
				// It was put again just now.
				s.locked++
				continue
			}
			if err != nil {
				return fmt.Errorf("remove content %s: %w", c.info.Digest, err)
			}
		}
		s.removed++
		s.bytes += c.info.Size
		fmt.Fprintf(s.stdout, "%s  %d bytes, locked until %s\n", c.info.Digest, c.info.Size, c.lock.Until.UTC().Format(time.RFC3339))
	}
	return nil
}
