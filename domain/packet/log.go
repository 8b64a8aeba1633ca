package packet

import (
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"dalel/blobs"
	"dalel/domain/checkpoint"
	"dalel/domain/content"
	"dalel/domain/event"
	"dalel/domain/signature"
	"dalel/eventstore"
	"dalel/internal/cosignature"
	"dalel/internal/fault"
	"dalel/internal/translog"
	"dalel/internal/tsp"

	"golang.org/x/mod/sumdb/note"
)

// Log proves that events are in the ledger's transparency log;
// *transparency.Log does.
type Log interface {
	// Locate returns the index of an event that a published checkpoint covers,
	// and log.not-covered as long as none does.
	Locate(ctx context.Context, recorded eventstore.Recorded) (uint64, error)
	// WaitFor waits until a published checkpoint covers an event.
	WaitFor(ctx context.Context, recorded eventstore.Recorded) error
	// Inclusion and Consistency are the proofs of RFC 6962, 2.1.1 and 2.1.2,
	// between trees of the sizes of checkpoints.
	Inclusion(ctx context.Context, index, size uint64) ([]translog.Hash, error)
	Consistency(ctx context.Context, old, size uint64) ([]translog.Hash, error)
}

// LogSource is the transparency log and what is asked of it.
type LogSource struct {
	Log Log
	// Name is what the stream of the log's checkpoints is called,
	// checkpoint-<name>; checkpoint.Log unless set.
	Name string
	// Key is the log's public key, a vkey (c2sp.org/signed-note).
	Key string
	// Policy says which witnesses the operator asks for (c2sp.org/tlog-policy);
	// nil for none.
	Policy []byte
	// Roots and Intermediates are the certification authorities that the operator
	// knows. The packet takes along those between a time token and its root.
	Roots, Intermediates []*x509.Certificate
	// Checkpoint is the size of the checkpoint to prove the events under; 0
	// chooses one, as the package comment says.
	Checkpoint uint64
	// AsOf is how many events of the log's own stream are looked at: the packet
	// is then that of the time when there were so many. 0 looks at all.
	AsOf uint64
	// Since is an earlier checkpoint, a signed note, that the packet shows to be
	// the beginning of the log; nil for none.
	Since []byte
	// Patience is how long a checkpoint is waited for that covers the newest
	// event; DefaultPatience if 0.
	Patience time.Duration
}

// DefaultPatience is several times as long as a checkpoint is away while the
// log is kept.
const DefaultPatience = 5 * time.Second

// LogHead is what the manifest says of the transparency log. A ledger that
// keeps none has none.
type LogHead struct {
	// Origin is the log's name.
	Origin string `json:"origin"`
	// Size is that of the checkpoint.
	Size uint64 `json:"size,omitempty"`
	// AsOf is how many events the log's own stream had when the last thing was
	// said of the checkpoint that the packet has.
	AsOf uint64 `json:"asOf,omitempty"`
	// NotCovered says that no checkpoint covered the newest event in time: the
	// packet then has nothing of the log.
	NotCovered bool `json:"notCovered,omitempty"`
}

// Names of the entries about the log.
const (
	logCheckpointName  = "log/checkpoint"
	logNoteName        = "log/checkpoint.note"
	logKeyName         = "log/log.vkey"
	logPolicyName      = "log/policy"
	logSinceName       = "log/since"
	logConsistencyName = "log/consistency.txt"
	logStampPattern    = "log/timestamps/%02d.tst"
	logIssuerPattern   = "log/timestamps/%02d-issuer-%02d.cer"
	logIssuersPattern  = "log/timestamps/%02d-issuer-*.cer"

	typeProof = "text/plain; charset=utf-8"
)

func proofName(number int) string { return fmt.Sprintf("proofs/%04d.tlog-proof", number) }

// logPart is what a packet has of the log. All of it is as it stands in the
// packet: of a packet that is verified nothing of it is checked yet.
type logPart struct {
	head LogHead
	// checkpoint has the log's signature and those of witnesses, note that of
	// the log alone; note is nil where that is the same or no token is over it.
	checkpoint, note   []byte
	key                []byte
	policy             []byte
	since, consistency []byte
	stamps             [][]byte
	// issuers are, for each stamp, the certificates from its authority's issuer to
	// the last below the root.
	issuers   [][][]byte
	proofs    map[eventstore.Hash][]byte
	sinceSize uint64
	times     []time.Time // of the stamps; zero for one that cannot be read
	witnesses []string    // names in the checkpoint's lines
	root      string      // the checkpoint's third line

	// What a verification has found: verifier is nil until the checkpoint has
	// been found to be the log's.
	verifier note.Verifier
	opened   translog.Checkpoint
	anchored bool
}

// read fills in what is said to people, out of what cannot be relied on.
func (l *logPart) read() {
	l.times, l.witnesses, l.root, l.sinceSize = nil, nil, "", 0
	for _, token := range l.stamps {
		var at time.Time
		if parsed, err := tsp.Parse(token); err == nil {
			at = parsed.Time
		}
		l.times = append(l.times, at)
	}
	text, signatures, _ := bytes.Cut(l.checkpoint, []byte("\n\n"))
	if lines := strings.Split(string(text), "\n"); len(lines) >= 3 {
		l.root = lines[2]
	}
	for line := range strings.Lines(string(signatures)) {
		if words := strings.Fields(line); len(words) == 3 && words[1] != l.head.Origin {
			l.witnesses = append(l.witnesses, words[1])
		}
	}
	if l.since != nil {
		if c, err := checkpointOf(l.since); err == nil {
			l.sinceSize = c.Size
		}
	}
}

// checkpointOf reads a checkpoint's text without checking who signed it.
func checkpointOf(signed []byte) (translog.Checkpoint, error) {
	text, err := cosignature.TextOf(signed)
	if err != nil {
		return translog.Checkpoint{}, err
	}
	parsed, err := cosignature.ParseCheckpoint(text)
	if err != nil {
		return translog.Checkpoint{}, err
	}
	return translog.Checkpoint{Origin: parsed.Origin, Size: uint64(parsed.Size), Root: translog.Hash(parsed.Root)}, nil
}

// covered says that there are proofs.
func (l *logPart) covered() bool { return l != nil && !l.head.NotCovered }

// items are the entries at the packet's root.
func (l *logPart) items() []item {
	if !l.covered() {
		return nil
	}
	items := []item{
		made(logCheckpointName, typeProof, ClaimCheckpoint, l.checkpoint),
		made(logKeyName, typeProof, ClaimCheckpoint, l.key),
	}
	add := func(name, mediaType, claim string, content []byte) {
		if content != nil {
			items = append(items, made(name, mediaType, claim, content))
		}
	}
	add(logNoteName, typeProof, ClaimCheckpoint, l.note)
	add(logPolicyName, typeProof, ClaimWitnesses, l.policy)
	add(logSinceName, typeProof, ClaimConsistency, l.since)
	add(logConsistencyName, typeProof, ClaimConsistency, l.consistency)
	for i, token := range l.stamps {
		add(fmt.Sprintf(logStampPattern, i+1), typeCMS, stampClaim(i), token)
		for j, der := range l.issuers[i] {
			add(fmt.Sprintf(logIssuerPattern, i+1, j+1), typeCertificate, stampClaim(i), der)
		}
	}
	return items
}

func stampClaim(i int) string { return fmt.Sprintf("timestamp-%02d", i+1) }

// noteName is the entry that time tokens are over.
func (l *logPart) noteName() string {
	if l.note != nil {
		return logNoteName
	}
	return logCheckpointName
}

// gatherLog proves the events of stories under one checkpoint. It is nil for a
// ledger without a log.
func gatherLog(ctx context.Context, request Request, stories []story) (*logPart, error) {
	source := request.Log
	if source == nil || source.Log == nil {
		return nil, nil
	}
	verifier, err := cosignature.ParseLogKey(strings.TrimSpace(source.Key))
	if err != nil {
		return nil, fault.Wrap(fault.ConfigInvalid, err, "the log's public key")
	}
	if source.Policy != nil {
		if _, err := cosignature.ParsePolicy(source.Policy); err != nil {
			return nil, fault.Wrap(fault.ConfigInvalid, err, "the policy of witnesses")
		}
	}
	part := &logPart{head: LogHead{Origin: verifier.Name()}, key: []byte(strings.TrimSpace(source.Key) + "\n"), policy: source.Policy, proofs: map[eventstore.Hash][]byte{}}
	least := source.Checkpoint
	var earlier translog.Checkpoint
	if source.Since != nil {
		if earlier, _, err = translog.ParseCheckpoint(source.Since, verifier.Name(), verifier); err != nil {
			return nil, fault.Wrap(fault.RequestInvalid, err, "the earlier checkpoint")
		}
		part.since = source.Since
		least = max(least, earlier.Size)
	}
	var newest eventstore.Recorded
	for _, s := range stories {
		if last := s.history[len(s.history)-1]; last.Position > newest.Position {
			newest = last.Recorded
		}
	}
	index, err := source.locate(ctx, newest)
	if fault.Is(err, fault.LogNotCovered) && source.Checkpoint == 0 && source.Since == nil {
		return &logPart{head: LogHead{Origin: verifier.Name(), NotCovered: true}}, nil
	}
	if err != nil {
		return nil, err
	}
	if source.Checkpoint != 0 && source.Checkpoint <= index {
		return nil, fault.New(fault.RequestInvalid, "a checkpoint of %d events does not cover the packet's newest, which is number %d", source.Checkpoint, index+1)
	}
	chosen, asOf, err := choose(ctx, request, max(least, index+1))
	if err != nil {
		return nil, err
	}
	if source.Checkpoint != 0 && chosen.Size != source.Checkpoint {
		return nil, fault.New(fault.RequestInvalid, "the log has no checkpoint of %d events", source.Checkpoint)
	}
	part.head.Size, part.head.AsOf = chosen.Size, asOf
	part.checkpoint = chosen.Text()
	if len(chosen.Stamps) > 0 && len(chosen.Cosignatures) > 0 {
		part.note = []byte(chosen.Note)
	}
	for _, stamp := range chosen.Stamps {
		token, err := readToken(ctx, request.Content, stamp)
		if err != nil {
			return nil, err
		}
		part.stamps = append(part.stamps, token)
		part.issuers = append(part.issuers, source.issuersOf(token, []byte(chosen.Note)))
	}
	if part.since != nil {
		if part.consistency, err = source.consistency(ctx, earlier, chosen); err != nil {
			return nil, err
		}
	}
	for _, s := range stories {
		for _, r := range s.history {
			if _, done := part.proofs[r.Commitment]; done {
				continue
			}
			if part.proofs[r.Commitment], err = source.prove(ctx, r.Recorded, part, verifier.Name(), chosen.Size); err != nil {
				return nil, err
			}
		}
	}
	// What is exported must hold: everything is checked as a stranger would.
	for commitment, proof := range part.proofs {
		if _, _, _, err := translog.CheckProof(proof, commitment[:], verifier.Name(), verifier); err != nil {
			return nil, fault.Wrap(fault.LogDiverged, err, "the log's own proof does not hold")
		}
	}
	part.read()
	return part, nil
}

// locate returns an event's index, and waits for a checkpoint that covers it.
func (s *LogSource) locate(ctx context.Context, newest eventstore.Recorded) (uint64, error) {
	index, err := s.Log.Locate(ctx, newest)
	if !fault.Is(err, fault.LogNotCovered) {
		return index, err
	}
	patience := s.Patience
	if patience == 0 {
		patience = DefaultPatience
	}
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_ = s.Log.WaitFor(bounded, newest) // whatever it says, it is looked at again
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	return s.Log.Locate(ctx, newest)
}

func (s *LogSource) prove(ctx context.Context, recorded eventstore.Recorded, part *logPart, origin string, size uint64) ([]byte, error) {
	index, err := s.Log.Locate(ctx, recorded)
	if err != nil {
		return nil, err
	}
	path, err := s.Log.Inclusion(ctx, index, size)
	if err != nil {
		return nil, fmt.Errorf("prove %s@%d: %w", recorded.Stream, recorded.Revision, err)
	}
	return translog.EncodeProof(index, path, part.checkpoint), nil
}

// consistency is log/consistency.txt: what a witness would be asked with.
func (s *LogSource) consistency(ctx context.Context, earlier translog.Checkpoint, chosen checkpoint.Signed) ([]byte, error) {
	path, err := s.Log.Consistency(ctx, earlier.Size, chosen.Size)
	if err != nil {
		return nil, err
	}
	newer := translog.Checkpoint{Origin: chosen.Origin, Size: chosen.Size, Root: translog.Hash(chosen.Root)}
	if err := translog.CheckConsistency(earlier, newer, path); err != nil {
		return nil, fault.Wrap(fault.LogDiverged, err, "the log does not continue the earlier checkpoint")
	}
	return cosignature.Request{OldSize: int64(earlier.Size), Proof: path, Checkpoint: chosen.Text()}.Encode(), nil
}

// readToken reads a time token, which lies in clear.
func readToken(ctx context.Context, from Content, stamp checkpoint.TimeStamped) ([]byte, error) {
	ref, err := content.ParseRef("", stamp.Token, "", stamp.Bytes)
	if err != nil {
		return nil, err
	}
	stored, err := from.Open(ctx, ref)
	if err != nil {
		return nil, fmt.Errorf("open a time token: %w", err)
	}
	defer stored.Close()
	token, err := io.ReadAll(io.LimitReader(stored, checkpoint.MaxToken+1))
	if err != nil {
		return nil, fmt.Errorf("read a time token: %w", err)
	}
	if blobs.Sum(token) != ref.SHA256 {
		return nil, fault.New(fault.BlobCorrupt, "a time token is not the one that the events name")
	}
	return token, nil
}

// issuersOf returns the certificates between a time token and its root, as far
// as the operator knows them.
func (s *LogSource) issuersOf(token, stamped []byte) (issuers [][]byte) {
	answer := tsp.Judge(token, signature.StandardAlgorithms(), tsp.Question{Message: stamped, At: never(), Roots: s.Roots, Intermediates: s.Intermediates})
	if answer.Status != tsp.Good || len(answer.Path) < 2 {
		return nil
	}
	for _, c := range answer.Path[1 : len(answer.Path)-1] {
		issuers = append(issuers, c.Raw)
	}
	return issuers
}

// ahead is how many events of the log's stream are looked at for a checkpoint
// with a time token: more than there are in a quarter of an hour.
const ahead = 1024

// choose returns a checkpoint of at least so many events, with what is said of
// it, and how many events the stream had by then; see the package comment.
func choose(ctx context.Context, request Request, least uint64) (checkpoint.Signed, uint64, error) {
	codec, err := event.NewCodec(checkpoint.Events())
	if err != nil {
		return checkpoint.Signed{}, 0, fault.Wrap(fault.Internal, err, "event types")
	}
	stream := logStream{request.Events, codec, checkpoint.StreamID(cmp.Or(request.Log.Name, checkpoint.Log)), request.Log.AsOf}
	from, err := stream.search(ctx, least)
	if err != nil {
		return checkpoint.Signed{}, 0, err
	}
	var list []*checkpoint.Signed
	last := map[uint64]uint64{}
	var stamped, cosigned *checkpoint.Signed
	find := func(size uint64) *checkpoint.Signed {
		for _, c := range slices.Backward(list) {
			if c.Size == size {
				return c
			}
		}
		return nil
	}
	since := 0 // checkpoints after the stamped one
	for e, err := range stream.from(ctx, from, ahead) {
		if err != nil {
			return checkpoint.Signed{}, 0, err
		}
		switch said := e.event.(type) {
		case checkpoint.Published:
			if stamped != nil {
				if since++; since > checkpoint.Kept {
					break
				}
			}
			if request.Log.Checkpoint == 0 || said.Size == request.Log.Checkpoint {
				list = append(list, &checkpoint.Signed{Published: said})
				last[said.Size] = uint64(e.revision) + 1
			}
		case checkpoint.Cosigned:
			if c := find(said.Size); c != nil && c.Root == said.Root {
				c.Cosignatures = append(c.Cosignatures, said)
				last[c.Size] = uint64(e.revision) + 1
				if cosigned == nil {
					cosigned = c
				}
			}
		case checkpoint.TimeStamped:
			if c := find(said.Size); c != nil && c.Root == said.Root && said.Over == checkpoint.OverNote {
				c.Stamps = append(c.Stamps, said)
				last[c.Size] = uint64(e.revision) + 1
				if stamped == nil {
					stamped = c
				}
			}
		}
		if since > checkpoint.Kept {
			break // nothing more can be said of it
		}
	}
	for _, c := range []*checkpoint.Signed{stamped, cosigned} {
		if c != nil {
			return *c, last[c.Size], nil
		}
	}
	if len(list) == 0 {
		return checkpoint.Signed{}, 0, fault.New(fault.RequestInvalid, "the log has no such checkpoint")
	}
	return *list[0], last[list[0].Size], nil
}

// logStream reads the log's own stream.
type logStream struct {
	events Source
	codec  *event.Codec
	stream eventstore.StreamID
	// asOf is how many events of it there are; 0 for all.
	asOf uint64
}

type logEvent struct {
	revision eventstore.Revision
	event    event.Event
}

func (s logStream) from(ctx context.Context, revision uint64, limit int) func(func(logEvent, error) bool) {
	return func(yield func(logEvent, error) bool) {
		for recorded, err := range s.events.ReadStream(ctx, s.stream, eventstore.Revision(revision), limit) {
			if err != nil {
				yield(logEvent{}, fmt.Errorf("read the log's checkpoints: %w", err))
				return
			}
			if s.asOf > 0 && uint64(recorded.Revision) >= s.asOf {
				return
			}
			said, err := s.codec.Decode(ctx, recorded.Event)
			if err != nil {
				yield(logEvent{}, fmt.Errorf("read %s@%d: %w", recorded.Stream, recorded.Revision, err))
				return
			}
			if !yield(logEvent{recorded.Revision, said}, nil) {
				return
			}
		}
	}
}

// published returns the first checkpoint at a revision or after it; ok is
// false where there is none.
func (s logStream) published(ctx context.Context, revision uint64) (at, size uint64, ok bool, err error) {
	for {
		any := false
		for e, err := range s.from(ctx, revision, 16) {
			if err != nil {
				return 0, 0, false, err
			}
			if said, is := e.event.(checkpoint.Published); is {
				return uint64(e.revision), said.Size, true, nil
			}
			any, revision = true, uint64(e.revision)+1
		}
		if !any {
			return 0, 0, false, nil
		}
	}
}

// search returns the revision of the first checkpoint of at least so many
// events. The stream may be long, and sizes only grow in it.
func (s logStream) search(ctx context.Context, least uint64) (uint64, error) {
	// enough says of a revision that the next checkpoint from there on is large
	// enough, or that there is none; at is that checkpoint's.
	enough := func(revision uint64) (yes bool, at uint64, ok bool, err error) {
		at, size, ok, err := s.published(ctx, revision)
		return !ok || size >= least, at, ok, err
	}
	low, high := uint64(0), uint64(1) // low-1 is not enough
	for {
		yes, _, _, err := enough(high)
		if err != nil {
			return 0, err
		}
		if yes {
			break
		}
		low, high = high+1, high*2
	}
	for low < high {
		middle := low + (high-low)/2
		yes, _, _, err := enough(middle)
		if err != nil {
			return 0, err
		}
		if yes {
			high = middle
		} else {
			low = middle + 1
		}
	}
	_, at, ok, err := enough(low)
	if err == nil && !ok {
		err = fault.New(fault.LogNotCovered, "the log has no checkpoint of %d events", least)
	}
	return at, err
}
