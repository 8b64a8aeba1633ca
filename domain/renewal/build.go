package renewal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"time"

	"dalel/domain/checkpoint"
	"dalel/domain/event"
	"dalel/eventstore"
	"dalel/internal/fault"
	"dalel/internal/translog"

	"golang.org/x/mod/sumdb/note"
)

// Log proves what is in the transparency log; *transparency.Log does.
type Log interface {
	// Locate returns the index of an event under the newest checkpoint, and
	// log.not-covered for one that is not.
	Locate(ctx context.Context, recorded eventstore.Recorded) (uint64, error)
	Inclusion(ctx context.Context, index, size uint64) ([]translog.Hash, error)
	Consistency(ctx context.Context, old, size uint64) ([]translog.Hash, error)
}

// Source is what a record is made from.
type Source struct {
	Store eventstore.Store
	Codec *event.Codec
	Log   Log
	// Key is the log's public key.
	Key note.Verifier
	// Token and Piece read what is kept; *ledger.Ledger has both.
	Token func(ctx context.Context, stamped checkpoint.TimeStamped) ([]byte, error)
	Piece func(ctx context.Context, piece checkpoint.Piece) ([]byte, error)
}

// slack is how far a moment of ours may be before one of an authority that came
// first.
const slack = 10 * time.Minute

// node is a stamp with evidence of its own, from which and to which links go.
type node struct {
	stamped  checkpoint.TimeStamped
	recorded eventstore.Recorded
	note     string
	index    uint64 // of the event in the log; none while no checkpoint covers it
	covered  bool
	kept     checkpoint.EvidenceKept
	limit    time.Time // until when it can be renewed
}

// piece is an event of evidence. Where it is in the log is looked up when it is
// asked for: there is one a day, and few are needed.
type piece struct {
	kept     checkpoint.EvidenceKept
	recorded eventstore.Recorded
	located  bool
	index    uint64
	covered  bool
}

// Build makes the record from a checkpoint, as the log signed it, to the newest
// stamp. Where the stamps were not renewed in time the record is made all the
// same, of the stamps that there are: a verification says which link is missing.
// It reads the log's whole stream. Errors: log.checkpoint-invalid for what the log
// has not signed, checkpoint.unknown for a checkpoint that it does not have,
// renewal.not-stamped where no stamp with evidence is on it or on a later one.
func Build(ctx context.Context, source Source, signed []byte, aged Table, now time.Time) (*Record, error) {
	from, _, err := translog.ParseCheckpoint(signed, source.Key.Name(), source.Key)
	if err != nil {
		return nil, err
	}
	size, root := from.Size, eventstore.Hash(from.Root)
	b := &builder{Source: source, ctx: ctx, now: now, pieces: map[string][]*piece{}}
	if aged == nil {
		aged = Published()
	}
	if err := b.readStream(size, root, aged); err != nil {
		return nil, err
	}
	if len(b.nodes) == 0 {
		return nil, fault.New(fault.RenewalNotStamped, "no time stamp with evidence on its authority is on the checkpoint of %d events or on a later one", size)
	}
	path, ok := b.search(true)
	if !ok {
		path, _ = b.search(false)
	}
	made, err := b.record(path, size, root)
	return made, errors.Join(b.failed, err)
}

type builder struct {
	Source
	ctx   context.Context
	now   time.Time
	nodes []node // in the order of their times
	// pieces are the evidence on each certificate, in the order of time.
	pieces map[string][]*piece
	failed error // of a look into the log
}

// readStream reads the log's stream and keeps what links can be made of.
func (b *builder) readStream(size uint64, root eventstore.Hash, aged Table) error {
	begun := false
	var recent []checkpoint.Published
	type seen struct {
		stamped  checkpoint.TimeStamped
		recorded eventstore.Recorded
		note     string
	}
	stamps := map[string]seen{} // by token
	stream := checkpoint.StreamID(checkpoint.Log)
	for recorded, err := range b.Store.ReadStream(b.ctx, stream, 0, 0) {
		if err != nil {
			return fmt.Errorf("read %s: %w", stream, err)
		}
		if recorded.Type == (checkpoint.Cosigned{}).EventType() {
			continue
		}
		happened, err := b.Codec.Decode(b.ctx, recorded.Event)
		if err != nil {
			return fmt.Errorf("read %s@%d: %w", stream, recorded.Revision, err)
		}
		switch e := happened.(type) {
		case checkpoint.Published:
			begun = begun || e.Size == size && e.Root == root
			if recent = append(recent, e); len(recent) > checkpoint.Kept {
				recent = recent[1:]
			}
		case checkpoint.TimeStamped:
			if !begun || e.Size < size {
				continue
			}
			for _, p := range recent {
				if p.Size == e.Size && p.Root == e.Root {
					stamps[e.Token] = seen{e, recorded, p.Note}
				}
			}
		case checkpoint.EvidenceKept:
			b.pieces[e.Certificate] = append(b.pieces[e.Certificate], &piece{kept: e, recorded: recorded})
			s, ok := stamps[e.Token]
			if !ok {
				continue
			}
			delete(stamps, e.Token)
			n := node{stamped: s.stamped, recorded: s.recorded, note: s.note, kept: e, limit: e.Until}
			var algorithms []Algorithm
			for _, a := range e.Algorithms {
				algorithms = append(algorithms, Algorithm(a))
			}
			if _, row, ok := aged.First(algorithms); ok {
				n.limit = earlier(n.limit, row.From.Add(-time.Nanosecond))
			}
			b.nodes = append(b.nodes, n)
		}
	}
	if !begun {
		return fault.New(fault.CheckpointUnknown, "the log has no checkpoint of %d events with this root", size)
	}
	slices.SortStableFunc(b.nodes, func(x, y node) int { return x.stamped.Time.Compare(y.stamped.Time) })
	b.thin()
	for i := range b.nodes {
		n := &b.nodes[i]
		var err error
		if n.index, n.covered, err = b.locate(n.recorded); err != nil {
			return err
		}
	}
	for _, list := range b.pieces {
		slices.SortStableFunc(list, func(x, y *piece) int { return x.kept.At.Compare(y.kept.At) })
	}
	return nil
}

func (b *builder) locate(recorded eventstore.Recorded) (uint64, bool, error) {
	index, err := b.Log.Locate(b.ctx, recorded)
	if fault.Is(err, fault.LogNotCovered) {
		return 0, false, nil
	}
	return index, err == nil, err
}

// bucket is how far apart stamps are looked at.
const bucket = 30 * 24 * time.Hour

// thin leaves the first and the last stamp by each certificate in each bucket,
// so that a search stays short whatever was stamped. What is left leads on as
// well as what is not: stamps of one certificate in one month do.
func (b *builder) thin() {
	type key struct {
		certificate string
		month       int64
	}
	of := func(n node) key {
		return key{n.kept.Certificate, n.stamped.Time.Unix() / int64(bucket/time.Second)}
	}
	count := map[key]int{}
	for _, n := range b.nodes {
		count[of(n)]++
	}
	at := map[key]int{}
	b.nodes = slices.DeleteFunc(b.nodes, func(n node) bool {
		k := of(n)
		at[k]++
		return at[k] != 1 && at[k] != count[k]
	})
}

// under says that an event is under the checkpoint of a stamp.
func (n node) under(index uint64, covered bool) bool { return covered && index < n.stamped.Size }

// evidenceFor returns the first evidence on a stamp's certificate that was asked
// for after a moment, nil if there is none.
func (b *builder) evidenceFor(n node, after time.Time) *piece {
	list := b.pieces[n.kept.Certificate]
	at := sort.Search(len(list), func(i int) bool { return !list[i].kept.At.Before(after.Add(-slack)) })
	if at == len(list) {
		return nil
	}
	return list[at]
}

// newestFor returns the last evidence on a stamp's certificate that can be
// believed at a moment, nil if there is none; the last link's authority is judged
// by it.
func (b *builder) newestFor(n node, at time.Time) *piece {
	for _, p := range slices.Backward(b.pieces[n.kept.Certificate]) {
		if at.Before(p.kept.EvidenceUntil) {
			return p
		}
	}
	return nil
}

// underOf says that a piece of evidence is under the checkpoint of a stamp.
func (b *builder) underOf(n node, p *piece) bool {
	if !p.located && b.failed == nil {
		p.index, p.covered, b.failed = b.locate(p.recorded)
		p.located = true
	}
	return n.under(p.index, p.covered)
}

// search finds the chain with the fewest links to a stamp that is good now. If
// it is not strict, a chain over stamps that came too late, or on which evidence
// is missing, will do.
func (b *builder) search(strict bool) ([]int, bool) {
	n := len(b.nodes)
	if !strict {
		// As dense as there is: whichever is missing shows.
		path := []int{0}
		for i := 1; i < n; i++ {
			last := b.nodes[path[len(path)-1]]
			if b.nodes[i].under(last.index, last.covered) {
				path = append(path, i)
			}
		}
		return path, true
	}
	const never = math.MaxInt32
	// hops[i][j] is how many links there are from i over j to the end; next the
	// stamp after j.
	hops, next := make([][]int32, n), make([][]int, n)
	end := make([]bool, n)
	for i := range n {
		hops[i], next[i] = make([]int32, n), make([]int, n)
		own := b.newestFor(b.nodes[i], b.now)
		end[i] = own != nil && !own.kept.At.Before(b.nodes[i].stamped.Time.Add(-slack)) && b.now.Before(b.nodes[i].limit)
	}
	edge := func(i, j int) *piece {
		from, to := b.nodes[i], b.nodes[j]
		if to.stamped.Time.After(from.limit) || !to.under(from.index, from.covered) {
			return nil
		}
		return b.evidenceFor(from, to.stamped.Time)
	}
	for j := n - 1; j >= 0; j-- {
		for i := range j {
			hops[i][j] = never
			found := edge(i, j)
			if found == nil {
				continue
			}
			if end[j] && b.now.Before(found.kept.EvidenceUntil) {
				hops[i][j], next[i][j] = 1, -1
			}
			for k := j + 1; k < n; k++ {
				if hops[j][k] == 0 || hops[j][k] == never || hops[j][k]+1 >= hops[i][j] {
					continue
				}
				if to := b.nodes[k]; b.underOf(to, found) && to.stamped.Time.Before(found.kept.EvidenceUntil) {
					hops[i][j], next[i][j] = hops[j][k]+1, k
				}
			}
		}
	}
	best, path := int32(never), []int(nil)
	for i := range n {
		// Of the first stamps, any will do: the others of the same time may be by
		// authorities that are gone. A later one would prove less.
		if b.nodes[i].stamped.Time.After(b.nodes[0].stamped.Time.Add(bucket)) {
			break
		}
		if end[i] {
			return []int{i}, true // it needs no renewal yet
		}
		for j := i + 1; j < n; j++ {
			if hops[i][j] > 0 && hops[i][j] < best {
				best, path = hops[i][j], []int{i, j}
			}
		}
		if best != never {
			break
		}
	}
	if path == nil {
		return nil, false
	}
	for {
		i, j := path[len(path)-2], path[len(path)-1]
		if next[i][j] < 0 {
			return path, true
		}
		path = append(path, next[i][j])
	}
}

// record puts a chain into the form of a record.
func (b *builder) record(path []int, size uint64, root eventstore.Hash) (*Record, error) {
	first := b.nodes[path[0]]
	r := &Record{Format: Format, Origin: b.Key.Name(), Start: Start{Size: size, Root: hash(root), Consistency: []hash{}}, Pieces: [][]byte{}}
	if first.stamped.Size != size {
		proof, err := b.Log.Consistency(b.ctx, size, first.stamped.Size)
		if err != nil {
			return nil, fmt.Errorf("prove that the checkpoint of %d events is the beginning of that of %d: %w", size, first.stamped.Size, err)
		}
		r.Start.Consistency = hashesOf(proof)
	}
	var chosen []node
	for _, i := range path {
		chosen = append(chosen, b.nodes[i])
	}
	pieces := map[string][]byte{}
	for i, n := range chosen {
		token, err := b.Token(b.ctx, n.stamped)
		if err != nil {
			return nil, fmt.Errorf("read the time token of the checkpoint of %d events: %w", n.stamped.Size, err)
		}
		pieces[n.stamped.Token] = token
		link := Link{Note: n.note, Token: n.stamped.Token, Evidence: []Covered{}, Loose: []string{}}
		found := b.newestFor(n, b.now)
		if i+1 < len(chosen) {
			if found = b.evidenceFor(n, chosen[i+1].stamped.Time); found == nil {
				found = b.newestFor(n, time.Time{}) // what there is
			}
			stamped, err := b.cover(n.recorded, n.index, chosen, i+1)
			if err != nil {
				return nil, err
			}
			link.Stamped = &stamped
		}
		if found != nil {
			for _, p := range found.kept.Pieces {
				if pieces[p.SHA256] != nil {
					continue
				}
				if pieces[p.SHA256], err = b.Piece(b.ctx, p); err != nil {
					return nil, fmt.Errorf("read evidence on a time stamp: %w", err)
				}
			}
			under := slices.IndexFunc(chosen, func(later node) bool { return b.underOf(later, found) })
			if under > i {
				covered, err := b.cover(found.recorded, found.index, chosen, under)
				if err != nil {
					return nil, err
				}
				link.Evidence = append(link.Evidence, covered)
			} else {
				for _, p := range found.kept.Pieces {
					link.Loose = append(link.Loose, p.SHA256)
				}
			}
		}
		r.Links = append(r.Links, link)
	}
	for _, content := range pieces {
		r.Pieces = append(r.Pieces, content)
	}
	slices.SortFunc(r.Pieces, bytes.Compare)
	return r, nil
}

// cover proves an event under the checkpoint of a link.
func (b *builder) cover(recorded eventstore.Recorded, index uint64, chosen []node, under int) (Covered, error) {
	hashes, err := b.Log.Inclusion(b.ctx, index, chosen[under].stamped.Size)
	if err != nil {
		return Covered{}, fmt.Errorf("prove %s@%d: %w", recorded.Stream, recorded.Revision, err)
	}
	return Covered{Event: eventOf(recorded.Event), Under: under + 1, Index: index, Hashes: hashesOf(hashes)}, nil
}
