package packet

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"dalel/domain/certificate"
	"dalel/domain/content"
	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/domain/packet/container"
	"dalel/domain/participant"
	"dalel/eventstore"
	"dalel/internal/fault"
)

// Source gives the events of a ledger. Every eventstore.Store is one.
type Source interface {
	// ReadStream yields a stream's events from a revision on, oldest first.
	ReadStream(ctx context.Context, stream eventstore.StreamID, from eventstore.Revision, limit int) iter.Seq2[eventstore.Recorded, error]
	// End returns the position of the newest event.
	End(ctx context.Context) (eventstore.Position, error)
}

// Content gives sealed content in clear; *content.Store does.
type Content interface {
	Open(ctx context.Context, ref content.Ref) (io.ReadCloser, error)
}

// Request says what to export, from where.
type Request struct {
	// Document is the id of the document. A packet of several has Documents in
	// its place: any number up to [MaxDocuments], each once, in any order.
	Document  string
	Documents []string
	// Participant says that Documents are those that its journal has between
	// From and To (not included): [DocumentsOf] finds them. A document that it
	// has no such entry of is request.invalid.
	Participant string
	From, To    time.Time
	// At is the position up to which events are taken in; 0 means up to now.
	At eventstore.Position
	// Ledger names the ledger, as its operator calls it.
	Ledger string
	// Verifier names the program that the packet can be checked with.
	Verifier Verifier
	Events   Source
	Content  Content
	// Reader is the participant for whom the packet is: of others' acts the
	// addresses and devices stay closed, and of others' certificates everything
	// but their registration. It is "" for an auditor, a commission, a court.
	Reader string
	// Openers open what is sealed in the events that the packet carries; nil
	// for a ledger that seals nothing.
	Openers event.Openers
	Sealer  Sealer
	// Log is the transparency log; nil for a ledger that keeps none.
	Log *LogSource
	// Losses are what the packet states of events that were lost.
	Losses []Loss
	// Carry is the verifying program that goes into the packet; nil for none
	// (R-G7).
	Carry *Program
	// Progress, if set, is told how many of the documents have been read.
	Progress func(done, total int)
}

// Program is a file that is a program.
type Program struct {
	// OS and Arch are as Go names them: "linux", "amd64".
	OS, Arch string
	// Open gives its content from the start, the same each time.
	Open func() (io.ReadCloser, error)
}

func (p Program) entry() string {
	name := "verifier/dalel-" + p.OS + "-" + p.Arch
	if p.OS == "windows" {
		name += ".exe"
	}
	return name
}

// MaxEvents is how many events a packet holds at most, of all its documents
// together.
const MaxEvents = 50_000

// Export writes the proof packet of a document, or of several, and returns its
// manifest.
//
// Everything is read and checked once before the first byte is written, so
// that missing or changed content (blob.not-found, blob.corrupt) or a broken
// chain (event.chain-broken) leaves out empty; content is then read again and
// copied, and only small files are held in memory. After any other error what
// out has is not a packet. request.too-large names the bound that the request
// goes over. document.unknown says that there is no such document
// up to that position.
func Export(ctx context.Context, out io.Writer, request Request) (Manifest, error) {
	if request.Events == nil || request.Content == nil || request.Sealer == nil {
		return Manifest{}, fault.New(fault.Internal, "an export needs events, content and a sealer")
	}
	codec, err := newCodec()
	if err != nil {
		return Manifest{}, fault.Wrap(fault.Internal, err, "event types")
	}
	return exportWith(ctx, codec, out, request)
}

// exportWith exports what a codec can read.
func exportWith(ctx context.Context, codec *event.Codec, out io.Writer, request Request) (Manifest, error) {
	head, stories, err := gather(ctx, request, codec)
	if err != nil {
		return Manifest{}, err
	}
	log, err := gatherLog(ctx, request, stories)
	if err != nil {
		return Manifest{}, err
	}
	if log != nil {
		head.Log = &log.head
	}
	w, err := composeWhole(head, stories, log)
	if err != nil {
		return Manifest{}, err
	}
	if request.Carry != nil {
		name := request.Carry.entry()
		if !verifierName.MatchString(name) {
			return Manifest{}, fault.New(fault.RequestInvalid, "no packet carries a program for %q on %q", request.Carry.OS, request.Carry.Arch)
		}
		w.carry(name, request.Carry.Open)
	}
	return write(ctx, out, request.Content, request.Sealer, w.manifest, w.items)
}

// write measures, seals and writes what was composed.
func write(ctx context.Context, w io.Writer, content Content, sealer Sealer, manifest Manifest, items []item) (Manifest, error) {
	var err error
	sums32 := make([]uint32, len(items))
	for i := range items {
		if sums32[i], err = measure(ctx, content, &items[i]); err != nil {
			return Manifest{}, err
		}
	}
	if err := held(items); err != nil {
		return Manifest{}, err
	}
	manifest = withFiles(manifest, items)
	if items, err = seal(ctx, sealer, items, manifest); err != nil {
		return Manifest{}, err
	}
	order := make([]int, len(items))
	for i := range items {
		order[i] = i
		if i >= len(sums32) {
			sums32 = append(sums32, crc32.ChecksumIEEE(items[i].content))
		}
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(-compareBool(items[a].name == mimetypeName, items[b].name == mimetypeName), strings.Compare(items[a].name, items[b].name))
	})
	entries := make([]container.Entry, len(order))
	for i, n := range order {
		entries[i] = container.Entry{Name: items[n].name, Size: items[n].size, CRC32: sums32[n]}
	}
	buffered := bufio.NewWriterSize(w, 256<<10)
	err = container.Write(buffered, entries, func(i int) (io.ReadCloser, error) {
		return open(ctx, content, items[order[i]])
	})
	if err == nil {
		err = buffered.Flush()
	}
	if err != nil {
		return Manifest{}, fmt.Errorf("write the packet: %w", err)
	}
	return manifest, nil
}

// held refuses what a verifier would not hold in memory: everything but the
// documents' own files and a carried verifier.
func held(items []item) error {
	var all int64
	for _, i := range items {
		if streamed(i.name) {
			continue
		}
		if all += i.size; i.size > maxHeldFile || all > maxHeld-maxLists {
			return fault.New(fault.RequestTooLarge, "the events, signatures and evidence of a packet have at most %d bytes, and one of them at most %d: ask for a shorter period, or for fewer documents at a time", maxHeld-maxLists, maxHeldFile)
		}
	}
	return nil
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// ExportFile writes the packet to a file, all or nothing: into a temporary
// file beside it that takes its place once everything is on the disk. A file
// that is there already stays as it is if the export fails. Errors are those
// of [Export], storage.full, and those of the operating system.
func ExportFile(ctx context.Context, path string, request Request) (Manifest, error) {
	return exportFile(ctx, path, request, Export)
}

// ExportExtractFile does for [ExportExtract] what ExportFile does for Export.
func ExportExtractFile(ctx context.Context, path string, request Request) (Manifest, error) {
	return exportFile(ctx, path, request, ExportExtract)
}

func exportFile(ctx context.Context, path string, request Request, export func(context.Context, io.Writer, Request) (Manifest, error)) (Manifest, error) {
	file, err := os.CreateTemp(filepath.Dir(path), ".packet-*.partial")
	if err != nil {
		return Manifest{}, fmt.Errorf("begin the packet: %w", err)
	}
	done := false
	defer func() {
		if !done {
			file.Close()
			os.Remove(file.Name())
		}
	}()
	manifest, err := export(ctx, file, request)
	if err == nil {
		err = errors.Join(file.Sync(), file.Close())
	}
	if errors.Is(err, syscall.ENOSPC) {
		return Manifest{}, fault.Wrap(fault.StorageFull, err, "no room for the packet")
	}
	if err != nil {
		return Manifest{}, fmt.Errorf("export to a file: %w", err)
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return Manifest{}, fmt.Errorf("put the packet in its place: %w", err)
	}
	done = true
	if folder, err := os.Open(filepath.Dir(path)); err == nil {
		// The name may be lost with the power; the packet can be made again.
		_ = folder.Sync()
		folder.Close()
	}
	return manifest, nil
}

// seal adds the three lists and the operator's seal to what was composed.
func seal(ctx context.Context, sealer Sealer, items []item, manifest Manifest) ([]item, error) {
	encoded, err := encode(manifest)
	if err != nil {
		return nil, err
	}
	sums := sums(manifest, encoded)
	asic := asicManifest(manifest, encoded, sums)
	sealed, err := sealer.Seal(ctx, asic)
	if err != nil {
		return nil, fmt.Errorf("seal the packet: %w", err)
	}
	return append(items,
		made(manifestName, typeJSON, ClaimManifest, encoded),
		made(sumsName, typeText, ClaimManifest, sums),
		made(asicManifestName, "application/xml", ClaimSeal, asic),
		made(sealName, typeCMS, ClaimSeal, sealed)), nil
}

// gather reads what a request asks for, and says what the packet's head is.
func gather(ctx context.Context, request Request, codec *event.Codec) (Manifest, []story, error) {
	head := Manifest{
		Format: Format, Ledger: request.Ledger, Verifier: request.Verifier, Reader: request.Reader, Subject: Subject{Kind: KindDocument},
		Losses: request.Losses, Operator: Operator{Certificate: fingerprint(request.Sealer.Certificate())},
	}
	if request.Carry != nil {
		head.Verifier.File = request.Carry.entry()
	}
	ids := []string{request.Document}
	if request.Document == "" {
		head.Subject.Kind, ids = KindDocuments, request.Documents
	}
	if request.Participant != "" {
		from, to := request.From.UTC(), request.To.UTC()
		if request.Document != "" || !from.Before(to) {
			return Manifest{}, nil, fault.New(fault.RequestInvalid, "a participant's packet has a period that ends after it begins, and no one document")
		}
		head.Subject = Subject{Kind: KindParticipant, Participant: request.Participant, From: &from, To: &to}
	}
	stories, err := gatherStories(ctx, request, ids, codec)
	return head, stories, err
}

// gatherStories reads the events of documents, as they were at one position.
func gatherStories(ctx context.Context, request Request, ids []string, codec *event.Codec) ([]story, error) {
	switch {
	case len(ids) == 0:
		return nil, fault.New(fault.RequestInvalid, "there is no document to make a packet of")
	case len(ids) > MaxDocuments:
		return nil, fault.New(fault.RequestTooLarge, "a packet holds at most %d documents, and these are %d: ask for a shorter period, or for fewer at a time", MaxDocuments, len(ids))
	}
	if request.At == 0 {
		// The position is fixed first: what comes later on any stream is out.
		var err error
		if request.At, err = request.Events.End(ctx); err != nil {
			return nil, fmt.Errorf("find the newest event: %w", err)
		}
	}
	var stories []story
	events := 0
	for i, id := range ids {
		if slices.Contains(ids[:i], id) {
			return nil, fault.New(fault.RequestInvalid, "a document is named twice: %s", id)
		}
		request.Document = id
		history, err := collect(ctx, request, codec)
		if err != nil {
			return nil, err
		}
		if events += len(history); events > MaxEvents {
			return nil, fault.New(fault.RequestTooLarge, "a packet holds at most %d events: ask for a shorter period, or for fewer documents at a time", MaxEvents)
		}
		stories = append(stories, story{id, history})
		if request.Progress != nil {
			request.Progress(i+1, len(ids))
		}
	}
	return stories, nil
}

// collect reads the events that belong into the packet, as they were at one
// position, in order of position, their chains checked.
func collect(ctx context.Context, request Request, codec *event.Codec) ([]record, error) {
	at := request.At
	own := document.StreamID(request.Document)
	history, err := readStream(ctx, request, codec, need{stream: own}, at, 0)
	if err != nil {
		return nil, err
	}
	if len(history) == 0 {
		return nil, fault.New(fault.DocumentUnknown, "no such document up to position %d", uint64(at))
	}
	for _, n := range needs(history) {
		events, err := readStream(ctx, request, codec, n, at, len(history))
		if err != nil {
			return nil, err
		}
		if len(events) == 0 {
			code := fault.ChainBroken
			if n.stream.Category() == participant.Category {
				code = fault.ParticipantUnknown
			}
			return nil, fault.New(code, "the ledger has no stream %s, which the document refers to", n.stream)
		}
		history = append(history, events...)
	}
	slices.SortFunc(history, func(a, b record) int { return cmp.Compare(a.Position, b.Position) })
	destroyed := destroyedIn(history)
	for i, r := range history {
		opened := slices.DeleteFunc(slices.Clone(r.openings), func(o opening) bool {
			return destroyed[o.Subject] || !mayOpen(request.Reader, r, o)
		})
		if len(opened) == len(r.openings) {
			continue
		}
		if history[i], err = readRecord(ctx, codec, r.Recorded, opened); err != nil {
			return nil, err
		}
	}
	return history, nil
}

// mayOpen says whether a packet for a participant ("" for who may read
// everything) opens a box: of the document all, of its own side all, and of
// others who they are.
func mayOpen(reader string, r record, o opening) bool {
	switch r.event.(type) {
	case participant.Registered, certificate.Registered:
		if o.of(r.Event) != metadataBox {
			return true
		}
	}
	switch {
	case reader == "" || o.Subject == event.Subject("participant", reader):
		return true
	case o.of(r.Event) == metadataBox:
		return r.metadata.OnBehalfOf == reader
	}
	return o.Subject == event.Subject("document", r.Stream.ID())
}

func readStream(ctx context.Context, request Request, codec *event.Codec, n need, at eventstore.Position, before int) ([]record, error) {
	var records []record
	var head eventstore.Head
	for recorded, err := range request.Events.ReadStream(ctx, n.stream, 0, 0) {
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", n.stream, err)
		}
		if recorded.Position > at {
			break
		}
		if head, _, err = eventstore.FollowStored(head, recorded); err != nil {
			return nil, err
		}
		if n.person && !ofPerson(recorded.Event) {
			continue
		}
		openings, err := openingsOf(ctx, request.Openers, recorded.Event)
		if err != nil {
			return nil, err
		}
		r, err := readRecord(ctx, codec, recorded, openings)
		if err != nil {
			return nil, err
		}
		if records = append(records, r); before+len(records) > MaxEvents {
			return nil, fault.New(fault.RequestTooLarge, "a packet holds at most %d events", MaxEvents)
		}
	}
	return records, nil
}

// measure reads an item's content once, checks it against its digest, and sets
// its size. It returns the CRC-32.
func measure(ctx context.Context, from Content, i *item) (uint32, error) {
	if !i.stored && i.open == nil {
		return crc32.ChecksumIEEE(i.content), nil
	}
	reader, err := open(ctx, from, *i)
	if err != nil {
		return 0, err
	}
	defer reader.Close()
	sum, digest := crc32.NewIEEE(), newDigest()
	size, err := io.Copy(io.MultiWriter(sum, digest), reader)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", i.name, err)
	}
	if i.open != nil {
		i.digest, i.size = digest.sum(), size
		return sum.Sum32(), nil
	}
	if digest.sum() != i.digest || i.size >= 0 && size != i.size {
		return 0, fault.New(fault.BlobCorrupt, "the content of %s is not what the events say", i.name)
	}
	i.size = size
	return sum.Sum32(), nil
}

// open opens an item's content.
func open(ctx context.Context, from Content, i item) (io.ReadCloser, error) {
	if !i.stored && i.open == nil {
		return io.NopCloser(bytes.NewReader(i.content)), nil
	}
	var reader io.ReadCloser
	var err error
	if i.open != nil {
		reader, err = i.open()
	} else {
		reader, err = from.Open(ctx, i.ref)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", i.name, err)
	}
	return cancellable{ctx, reader}, nil
}

// cancellable stops a long copy when its context ends.
type cancellable struct {
	ctx context.Context
	io.ReadCloser
}

func (c cancellable) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.ReadCloser.Read(p)
}
