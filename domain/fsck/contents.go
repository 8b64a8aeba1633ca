package fsck

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"

	"dalel/blobs"
	"dalel/domain/content"
	"dalel/internal/fault"

	"golang.org/x/sync/errgroup"
)

// Content gives sealed content in clear; *content.Store does.
type Content interface {
	Open(ctx context.Context, ref content.Ref) (io.ReadCloser, error)
}

// pieces are what content is read in: large, since hashing is faster than the
// way between two buffers.
var pieces = sync.Pool{New: func() any { b := make([]byte, 256<<10); return &b }}

// contents reads all content, several at a time.
func (c *checker) contents(ctx context.Context) error {
	c.strays.contents, c.strays.bytes = 0, 0
	// What events name but nobody stores is missing; what is stored but
	// nobody names is harmless (an upload whose event never came), and is
	// read all the same.
	for _, named := range c.Named {
		named.Found = false
	}
	done, total := int64(0), int64(len(c.Named))
	group, running := errgroup.WithContext(ctx)
	group.SetLimit(2 + runtime.GOMAXPROCS(0))
	var listing error
	for info, err := range c.source.Blobs.All(ctx) {
		if running.Err() != nil {
			break
		}
		if fault.Is(err, fault.BlobCorrupt) {
			c.mu.Lock()
			c.tell(Problem{ContentForeign, foreignPlace(err), err.Error()})
			c.mu.Unlock()
			continue
		}
		if err != nil {
			listing = fmt.Errorf("list the content: %w", err)
			break
		}
		c.mu.Lock()
		named := c.Named[info.Digest]
		if named != nil {
			named.Found = true
		}
		done++
		c.progress("content", done, max(done, total))
		err := c.saved()
		c.mu.Unlock()
		if err != nil {
			listing = err
			break
		}
		if named != nil && named.Read {
			continue
		}
		group.Go(func() error { return c.one(running, info.Digest, named) })
	}
	if err := errors.Join(group.Wait(), listing); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	// In order, so that the same ledger is always spoken of in the same words.
	absent := make([]blobs.Digest, 0, 16)
	for digest, named := range c.Named {
		if !named.Found {
			absent = append(absent, digest)
		}
	}
	slices.SortFunc(absent, func(a, b blobs.Digest) int { return bytes.Compare(a[:], b[:]) })
	for _, digest := range absent {
		named := c.Named[digest]
		switch _, err := c.source.Blobs.Stat(ctx, digest); {
		case err == nil: // stored since
		case ctx.Err() != nil:
			return ctx.Err()
		case fault.Is(err, fault.BlobNotFound):
			c.tell(Problem{ContentMissing, "content " + digest.String(), fmt.Sprintf("is not stored, but %s refers to it", named.Where)})
		case fault.Is(err, fault.BlobCorrupt):
			c.tell(Problem{ContentChanged, "content " + digest.String(), fmt.Sprintf("%v%s", err, of(named))})
		default:
			return fmt.Errorf("look for content %s: %w", digest, err)
		}
	}
	return c.tokens(ctx)
}

// foreignPlace names what is no content by what the store says of it.
func foreignPlace(err error) string {
	_, name, _ := strings.Cut(err.Error(), `"`)
	if name, _, ok := strings.Cut(name, `"`); ok {
		return "content folder, " + name
	}
	return "content folder"
}

// one reads one content and says what is wrong with it.
func (c *checker) one(ctx context.Context, digest blobs.Digest, named *reference) error {
	n, err := c.readContent(ctx, digest, named)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	where := "content " + digest.String()
	switch {
	case err == nil:
	case fault.Is(err, fault.BlobCorrupt):
		c.report(ContentChanged, where, "%v%s", err, of(named))
	case fault.Is(err, fault.KeyDestroyed):
		// Who orders that is told by all events together, see destroyedKeys.
		if _, known := c.Locked[named.Ref.Subject]; !known {
			c.Locked[named.Ref.Subject] = named.Where
		}
	case fault.Is(err, fault.KeyUnknown):
		c.report(KeyMissing, "key of "+named.Ref.Subject, "is missing%s", of(named))
	case fault.Is(err, fault.BlobNotFound):
		// Taken away since it was listed: if events name it, it is missing.
		if named != nil {
			named.Found = false
		}
		return nil
	default:
		return fmt.Errorf("read %s: %w", where, err)
	}
	if named == nil {
		// Read each time: nothing remembers that it was.
		c.strays.contents++
		c.strays.bytes += n
		return nil
	}
	c.Counts.Contents++
	c.Counts.Bytes += n
	named.Read = true
	return nil
}

// destroyedKeys looks for keys that were destroyed and no event orders that, and
// for keys that came back, as from an old backup. What it finds is found anew
// each time, and not remembered.
func (c *checker) destroyedKeys(ctx context.Context) error {
	c.progress("destroyed keys", 0, 0)
	if err := c.unordered(ctx); err != nil {
		return err
	}
	if c.source.Keys == nil {
		return nil
	}
	for _, subject := range slices.Sorted(maps.Keys(c.Destroyed)) {
		_, err := c.source.Keys.Key(ctx, subject)
		switch {
		case err == nil:
			c.tell(Problem{KeyBack, "key of " + subject, fmt.Sprintf("is there, though %s records that it was destroyed", c.Destroyed[subject])})
		case !fault.Is(err, fault.KeyDestroyed) && !fault.Is(err, fault.KeyUnknown):
			return fmt.Errorf("look for the key of %s: %w", subject, err)
		}
	}
	return nil
}

// unordered names keys that are destroyed and no event orders that: those that
// are listed, and those by which content could not be opened.
func (c *checker) unordered(ctx context.Context) error {
	destroyed := maps.Clone(c.Locked)
	if c.source.DestroyedKeys != nil {
		for subject, err := range c.source.DestroyedKeys(ctx) {
			if err != nil {
				return fmt.Errorf("list the keys that are destroyed: %w", err)
			}
			if _, known := destroyed[subject]; !known {
				destroyed[subject] = place{}
			}
		}
	}
	ordered := func(subject string, _ place) bool { return c.Ended[subject] }
	maps.DeleteFunc(destroyed, ordered)
	had := c.Layout.Size()
	for attempt := 1; len(destroyed) > 0; attempt++ {
		// Where a node is at work the order may have been recorded, and carried
		// out, since the events were read.
		if err := c.events(ctx); err != nil {
			return err
		}
		maps.DeleteFunc(destroyed, ordered)
		if c.source.OneTable || attempt == servedAgain {
			break
		}
		if err := c.pause(ctx); err != nil {
			return err
		}
	}
	if c.Layout.Size() > had {
		for _, step := range []func(context.Context) error{c.judgeLog, c.contents} {
			if err := step(ctx); err != nil {
				return err
			}
		}
	}
	for _, subject := range slices.Sorted(maps.Keys(destroyed)) {
		what := "is destroyed, and no event orders that"
		if at := destroyed[subject]; at != (place{}) {
			what += " (" + at.String() + " refers to content under it)"
		}
		c.tell(Problem{KeyDestroyed, "key of " + subject, what})
	}
	return nil
}

func of(named *reference) string {
	if named != nil {
		return " (" + named.Where.String() + " refers to it)"
	}
	return ""
}

// readContent reads content to its end: decrypted where an event says what it
// is in clear and its key is there, as it is stored otherwise.
func (c *checker) readContent(ctx context.Context, address blobs.Digest, named *reference) (int64, error) {
	var keyless error
	if c.source.Content != nil && named != nil && named.Ref.Stored == address {
		reader, err := c.source.Content.Open(ctx, named.Ref)
		if err == nil {
			return drain(reader)
		}
		if !fault.Is(err, fault.KeyDestroyed) && !fault.Is(err, fault.KeyUnknown) {
			return 0, err
		}
		keyless = err
	}
	reader, _, err := c.source.Blobs.Open(ctx, address)
	if err != nil {
		return 0, err
	}
	n, err := drain(reader)
	if err != nil {
		return n, err
	}
	return n, keyless
}

// drain reads to the end, which is where readers say whether all was as it was
// put.
func drain(reader io.ReadCloser) (n int64, err error) {
	piece := pieces.Get().(*[]byte)
	defer pieces.Put(piece)
	for err == nil {
		var got int
		got, err = reader.Read(*piece)
		n += int64(got)
	}
	if err == io.EOF {
		err = nil
	}
	return n, errors.Join(err, reader.Close())
}
