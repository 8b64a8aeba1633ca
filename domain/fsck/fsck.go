// Package fsck reads a whole ledger again and names each thing that is not as
// it was committed: an event whose bytes changed, a link that is missing, an
// event that no longer decodes, content that is gone or was altered.
//
// It trusts nothing that the ledger's other parts have computed: chains are
// followed from the first event on, content is hashed byte by byte. What the
// store itself can tell of its file (a cut tail, a missing guard) comes in
// through [Source].
package fsck

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"dalel/blobs"
	"dalel/domain/certificate"
	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/eventstore"
	"dalel/internal/fault"
	"dalel/internal/merkle"
)

// Problem is one thing that is not as it was committed.
type Problem struct {
	// Where names it: "document-…@3", "content 5e88…", "store".
	Where string `json:"where"`
	// What says what is wrong.
	What string `json:"what"`
}

// Summary counts what was read.
type Summary struct {
	Events   int `json:"events"`
	Streams  int `json:"streams"`
	Contents int `json:"contents"`
	// Bytes is the content read.
	Bytes    int64 `json:"bytes"`
	Problems int   `json:"problems"`
	// Root is the Merkle tree root (RFC 6962) over the commitment records of
	// all events as they stand, in order. It does not depend on positions:
	// two stores show the same root exactly when they hold the same ledger.
	Root eventstore.Hash `json:"root"`
}

// Source is the ledger to be read.
type Source struct {
	Store eventstore.Store
	Blobs blobs.Store
	Codec *event.Codec
	// StoreCheck, if set, gives the problems that the store sees in its own
	// files.
	StoreCheck func(ctx context.Context, report func(Problem)) error
}

// Progress is told how far the check is; total is 0 when it is not known.
type Progress func(what string, done, total int64)

// Run reads everything. Problems are given to report as they are found; the
// error is for what could not be read at all.
func Run(ctx context.Context, source Source, report func(Problem), progress Progress) (Summary, error) {
	c := checker{source: source, heads: map[eventstore.StreamID]eventstore.Head{}, named: map[blobs.Digest]string{}}
	reported := map[string]bool{}
	c.report = func(where, format string, args ...any) {
		// What the store has said of an event needs no second voice.
		if reported[where] {
			return
		}
		reported[where] = true
		c.summary.Problems++
		report(Problem{Where: where, What: fmt.Sprintf(format, args...)})
	}
	if progress == nil {
		progress = func(string, int64, int64) {}
	}
	if source.StoreCheck != nil {
		storeSays := func(p Problem) {
			reported[p.Where] = true
			c.summary.Problems++
			report(p)
		}
		if err := source.StoreCheck(ctx, storeSays); err != nil {
			return c.summary, fmt.Errorf("check the store: %w", err)
		}
	}
	if err := c.events(ctx, progress); err != nil {
		return c.summary, err
	}
	if err := c.ends(ctx); err != nil {
		return c.summary, err
	}
	if err := c.contents(ctx, progress); err != nil {
		return c.summary, err
	}
	c.summary.Streams = len(c.heads)
	c.summary.Root = c.tree.Root()
	return c.summary, nil
}

type checker struct {
	source  Source
	report  func(where, format string, args ...any)
	summary Summary
	heads   map[eventstore.StreamID]eventstore.Head
	tree    merkle.Tree
	// named has the content that events refer to, with the first event.
	named map[blobs.Digest]string
}

func (c *checker) events(ctx context.Context, progress Progress) error {
	end, err := c.source.Store.End(ctx)
	if err != nil {
		return fmt.Errorf("find the last event: %w", err)
	}
	var last eventstore.Position
	for recorded, err := range c.source.Store.ReadAll(ctx, 0, 0) {
		if err != nil {
			return fmt.Errorf("read the events: %w", err)
		}
		where := fmt.Sprintf("%s@%d", recorded.Stream, recorded.Revision)
		if recorded.Position <= last {
			c.report(where, "position %d comes after %d", recorded.Position, last)
		}
		last = recorded.Position
		c.summary.Events++
		c.tree.Append(eventstore.CommitmentRecord(recorded.Stream, recorded.Revision, recorded.Type, recorded.Data, recorded.Metadata))
		head, err := eventstore.Follow(c.heads[recorded.Stream], recorded.Event)
		if err != nil {
			c.report(where, "%v", err)
			// Go on from what is there, so that one change is one problem
			// and not as many as there are events after it.
			head = recorded.Head()
		}
		c.heads[recorded.Stream] = head
		happened, err := c.source.Codec.Decode(recorded.Event)
		if err != nil {
			c.report(where, "%v", err)
			continue
		}
		c.references(where, happened)
		if c.summary.Events%1000 == 0 {
			progress("events", int64(recorded.Position), int64(end))
		}
	}
	progress("events", int64(end), int64(end))
	return nil
}

// ends reads the first and the last event of each stream by the stream's name.
// A store may hide events from those who read a stream while its list of all
// events still has them ($maxCount, $tb, a soft delete in EventStoreDB before
// the next scavenge).
func (c *checker) ends(ctx context.Context) error {
	for _, stream := range slices.Sorted(maps.Keys(c.heads)) {
		head := c.heads[stream]
		first, last := eventstore.Head{}, eventstore.Head{}
		for recorded, err := range c.source.Store.ReadStream(ctx, stream, 0, 1) {
			if err != nil {
				return fmt.Errorf("read %s: %w", stream, err)
			}
			first = recorded.Head()
		}
		for recorded, err := range c.source.Store.ReadStreamBackwards(ctx, stream, 1) {
			if err != nil {
				return fmt.Errorf("read %s: %w", stream, err)
			}
			last = recorded.Head()
		}
		switch {
		case first.Next == 0:
			c.report(string(stream), "is hidden: whoever reads the stream finds no event")
		case first.Next != 1:
			c.report(string(stream), "is cut: whoever reads the stream finds revision %d first", first.Next-1)
		case last != head:
			c.report(string(stream), "ends with another event for whoever reads the stream than among all events")
		}
	}
	return nil
}

func (c *checker) references(where string, happened event.Event) {
	for _, text := range References(happened) {
		digest, err := blobs.ParseDigest(text)
		if err != nil {
			c.report(where, "refers to content by %q: %v", text, err)
			continue
		}
		if _, ok := c.named[digest]; !ok {
			c.named[digest] = where
		}
	}
}

// References returns the SHA-256 of all content that an event refers to.
func References(happened event.Event) []string {
	var list []string
	signatures := func(all []document.FileSignature) {
		for _, sig := range all {
			list = append(list, sig.CMS)
			for _, signer := range sig.Verdict.Signers {
				if signer.Certificate != "" {
					list = append(list, signer.Certificate)
				}
				list = append(list, signer.Chain...)
			}
		}
	}
	switch e := happened.(type) {
	case document.FileAttached:
		list = append(list, e.File.SHA256)
	case document.Signed:
		signatures(e.Signatures)
	case document.SignatureRefused:
		signatures(e.Signatures)
	case certificate.Registered:
		list = append(list, e.Certificate)
	}
	return list
}

func (c *checker) contents(ctx context.Context, progress Progress) error {
	// What events name but nobody stores is missing; what is stored but
	// nobody names is harmless (an upload whose event never came), and is
	// read all the same.
	total := int64(len(c.named))
	for info, err := range c.source.Blobs.All(ctx) {
		if err != nil {
			return fmt.Errorf("list the content: %w", err)
		}
		c.summary.Contents++
		n, err := c.read(ctx, info.Digest)
		c.summary.Bytes += n
		where := "content " + info.Digest.String()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case fault.Is(err, fault.BlobCorrupt):
			c.report(where, "%v%s", err, c.of(info.Digest))
		case err != nil:
			return fmt.Errorf("read %s: %w", where, err)
		}
		if named := c.named[info.Digest]; named != "" {
			c.named[info.Digest] = ""
		}
		progress("content", int64(c.summary.Contents), total)
	}
	for digest, where := range c.named {
		if where == "" {
			continue
		}
		if _, err := c.source.Blobs.Stat(ctx, digest); err != nil {
			c.report("content "+digest.String(), "is not stored, but %s refers to it", where)
		}
	}
	return nil
}

func (c *checker) of(digest blobs.Digest) string {
	if where := c.named[digest]; where != "" {
		return " (" + where + " refers to it)"
	}
	return ""
}

func (c *checker) read(ctx context.Context, digest blobs.Digest) (int64, error) {
	reader, _, err := c.source.Blobs.Open(ctx, digest)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(io.Discard, reader)
	return n, errors.Join(err, reader.Close())
}
