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
	"dalel/domain/checkpoint"
	"dalel/domain/content"
	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/domain/participant"
	"dalel/eventstore"
	"dalel/internal/fault"
	"dalel/internal/translog"
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
	// Root is the Merkle tree root (RFC 6962) over the commitments of all
	// events as they stand, in order: that of the transparency log. It does not depend on positions:
	// two stores show the same root exactly when they hold the same ledger.
	Root eventstore.Hash `json:"root"`
}

// Source is the ledger to be read.
type Source struct {
	Store eventstore.Store
	Blobs blobs.Store
	// Codec opens what is sealed in the events.
	Codec *event.Codec
	// Content, if set, decrypts sealed content, so that it is held against the
	// hash of its clear bytes too; without it only the encrypted bytes are
	// read.
	Content Content
	// Keys, if set, are looked through for keys whose destruction is recorded.
	Keys event.Keys
	// StoreCheck, if set, gives the problems that the store sees in its own
	// files.
	StoreCheck func(ctx context.Context, report func(Problem)) error
}

// Content gives sealed content in clear; *content.Store does.
type Content interface {
	Open(ctx context.Context, ref content.Ref) (io.ReadCloser, error)
}

// Progress is told how far the check is; total is 0 when it is not known.
type Progress func(what string, done, total int64)

// Run reads everything. Problems are given to report as they are found; the
// error is for what could not be read at all.
func Run(ctx context.Context, source Source, report func(Problem), progress Progress) (Summary, error) {
	c := checker{source: source, heads: map[eventstore.StreamID]eventstore.Head{}, named: map[blobs.Digest]reference{}, ended: map[string]bool{}, destroyed: map[string]string{}}
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
	if err := c.destroyedKeys(ctx); err != nil {
		return c.summary, err
	}
	c.summary.Streams = len(c.heads)
	c.summary.Root = eventstore.Hash(c.tree.Root())
	return c.summary, nil
}

type checker struct {
	source  Source
	report  func(where, format string, args ...any)
	summary Summary
	heads   map[eventstore.StreamID]eventstore.Head
	tree    translog.Frontier
	// named has the content that events refer to, by address.
	named map[blobs.Digest]reference
	// ended has the subjects whose destruction was ordered, destroyed those of
	// which it is recorded that the key is gone, with that event.
	ended     map[string]bool
	destroyed map[string]string
}

// reference is what events say of content: the first that names it, and what
// it is in clear.
type reference struct {
	where string
	ref   content.Ref
	found bool
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
		// Of the bytes as they stand, whatever the store says of them.
		c.tree.Append(eventstore.Restore(recorded.Stream, recorded.Revision, recorded.Type, recorded.Data, recorded.Metadata).Leaf())
		head, err := eventstore.Follow(c.heads[recorded.Stream], recorded.Event)
		if err != nil {
			c.report(where, "%v", err)
			// Go on from what is there, so that one change is one problem
			// and not as many as there are events after it.
			head = recorded.Head()
		}
		c.heads[recorded.Stream] = head
		happened, err := c.source.Codec.Decode(ctx, recorded.Event)
		if fault.Lookup(fault.CodeOf(err)).Kind == fault.KindUnavailable && err != nil {
			// The keys cannot be reached: that is no finding on the event.
			return fmt.Errorf("read %s: %w", where, err)
		}
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
	switch e := happened.(type) {
	case document.DestructionOrdered:
		c.ended[event.Subject("document", e.Document)] = true
	case document.Destroyed:
		c.destroyed[event.Subject("document", e.Document)] = where
	case participant.Erased:
		c.destroyed[event.Subject("participant", e.Participant)] = where
	case participant.ErasureOrdered:
		c.ended[event.Subject("participant", e.Participant)] = true
	}
	refs, err := References(happened)
	if err != nil {
		c.report(where, "%v", err)
	}
	for _, ref := range refs {
		if _, ok := c.named[ref.Address()]; !ok {
			c.named[ref.Address()] = reference{where: where, ref: ref}
		}
	}
}

// References returns all content that an event refers to. With an error it
// returns those that it could read.
func References(happened event.Event) ([]content.Ref, error) {
	var list []content.Ref
	var failed error
	add := func(subject, sha, stored string, size int64) {
		ref, err := content.ParseRef(subject, sha, stored, size)
		if err != nil {
			failed = err
			return
		}
		list = append(list, ref)
	}
	signatures := func(id string, all []document.FileSignature) {
		subject := event.Subject("document", id)
		for _, sig := range all {
			add(subject, sig.CMS, sig.Stored, -1)
			for _, piece := range sig.Evidence {
				add(subject, piece.SHA256, piece.Stored, -1)
			}
			if sig.Stored != "" {
				continue
			}
			// Older versions kept in clear each certificate that the verdict
			// names.
			for _, signer := range sig.Verdict.Signers {
				if signer.Certificate != "" {
					add(subject, signer.Certificate, "", -1)
				}
				for _, fingerprint := range signer.Chain {
					add(subject, fingerprint, "", -1)
				}
			}
		}
	}
	switch e := happened.(type) {
	case document.FileAttached:
		add(event.Subject("document", e.Document), e.File.SHA256, e.File.Stored, e.File.Size)
	case document.Signed:
		signatures(e.Document, e.Signatures)
	case document.SignatureRefused:
		signatures(e.Document, e.Signatures)
	case document.PaperCopyIssued:
		add(event.Subject("document", e.Document), e.SHA256, e.Stored, e.Size)
	case document.DestructionRequested:
		add(event.Subject("participant", operator), e.Letter.SHA256, e.Letter.Stored, e.Letter.Size)
	case participant.ErasureRequested:
		add(event.Subject("participant", operator), e.Letter.SHA256, e.Letter.Stored, e.Letter.Size)
	case checkpoint.TimeStamped:
		add("", e.Token, "", e.Bytes)
	case checkpoint.EvidenceKept:
		for _, piece := range e.Pieces {
			add("", piece.SHA256, "", piece.Bytes)
		}
	case certificate.Registered:
		add(event.Subject("participant", e.Participant), e.Certificate, e.Stored, -1)
	}
	return list, failed
}

// operator is the participant under whose key letters are kept.
const operator = "operator"

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
		named, known := c.named[info.Digest]
		where := "content " + info.Digest.String()
		n, err := c.read(ctx, info.Digest, named)
		c.summary.Bytes += n
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case fault.Is(err, fault.BlobCorrupt):
			c.report(where, "%v%s", err, of(named))
		case fault.Is(err, fault.KeyDestroyed) && !c.ended[named.ref.Subject]:
			c.report(where, "the key of %s is destroyed, and no event orders that%s", named.ref.Subject, of(named))
		case fault.Is(err, fault.KeyUnknown):
			c.report(where, "the key of %s is missing%s", named.ref.Subject, of(named))
		case err != nil && !fault.Is(err, fault.KeyDestroyed):
			return fmt.Errorf("read %s: %w", where, err)
		}
		if known {
			named.found = true
			c.named[info.Digest] = named
		}
		progress("content", int64(c.summary.Contents), total)
	}
	for digest, named := range c.named {
		if named.found {
			continue
		}
		if _, err := c.source.Blobs.Stat(ctx, digest); err != nil {
			c.report("content "+digest.String(), "is not stored, but %s refers to it", named.where)
		}
	}
	return nil
}

// destroyedKeys looks for keys that came back, as from an old backup.
func (c *checker) destroyedKeys(ctx context.Context) error {
	if c.source.Keys == nil {
		return nil
	}
	for _, subject := range slices.Sorted(maps.Keys(c.destroyed)) {
		_, err := c.source.Keys.Key(ctx, subject)
		switch {
		case err == nil:
			c.report("key of "+subject, "is there, though %s records that it was destroyed", c.destroyed[subject])
		case !fault.Is(err, fault.KeyDestroyed) && !fault.Is(err, fault.KeyUnknown):
			return fmt.Errorf("look for the key of %s: %w", subject, err)
		}
	}
	return nil
}

func of(named reference) string {
	if named.where != "" {
		return " (" + named.where + " refers to it)"
	}
	return ""
}

// read reads content to its end: decrypted where an event says what it is in
// clear and its key is there, as it is stored otherwise.
func (c *checker) read(ctx context.Context, address blobs.Digest, named reference) (int64, error) {
	var keyless error
	if c.source.Content != nil && named.where != "" && named.ref.Stored == address {
		reader, err := c.source.Content.Open(ctx, named.ref)
		if err == nil {
			n, err := io.Copy(io.Discard, reader)
			return n, errors.Join(err, reader.Close())
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
	n, err := io.Copy(io.Discard, reader)
	if err = errors.Join(err, reader.Close()); err != nil {
		return n, err
	}
	return n, keyless
}
