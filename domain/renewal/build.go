package renewal

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
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
	// Name is what the stream of the log's checkpoints is called,
	// checkpoint-<name>; checkpoint.Log unless set.
	Name string
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
// It reads the log's stream from the checkpoint on. Errors: log.checkpoint-invalid
// for what the log has not signed, checkpoint.unknown for a checkpoint that it does
// not have, renewal.not-stamped where no stamp with evidence is on it or on a later
// one, renewal.too-large where the record would be larger than one is read
// ([MaxRecord], [MaxLinks]).
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
	if err = errors.Join(b.failed, err); err == nil {
		err = made.fits()
	}
	if err != nil {
		return nil, err
	}
	return made, nil
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

// readStream reads the log's stream and keeps what links can be made of. It reads
// from the end back to the checkpoint in question: what lies before is not needed,
// and of a stamp it is known by then whether there is evidence on it. A stamp
// without is let go at once, and there may be one a minute; evidence is recorded
// once a day.
func (b *builder) readStream(size uint64, root eventstore.Hash, aged Table) error {
	type tree struct {
		size uint64
		root eventstore.Hash
	}
	begun := false
	evidence := map[string]checkpoint.EvidenceKept{} // by token, the first on it
	stamps := map[tree][]node{}                      // whose checkpoint comes yet
	kept := ends{}
	stream := checkpoint.StreamID(cmp.Or(b.Name, checkpoint.Log))
reading:
	for recorded, err := range b.Store.ReadStreamBackwards(b.ctx, stream, 0) {
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
			this := tree{e.Size, e.Root}
			for _, n := range stamps[this] {
				n.note = e.Note
				kept.add(n)
			}
			delete(stamps, this)
			begun = this == tree{size, root}
			if e.Size <= size { // sizes only grow
				break reading
			}
		case checkpoint.TimeStamped:
			own, ok := evidence[e.Token]
			if !ok {
				continue
			}
			delete(evidence, e.Token)
			n := node{stamped: e, recorded: recorded, kept: own, limit: own.Until}
			var algorithms []Algorithm
			for _, a := range own.Algorithms {
				algorithms = append(algorithms, Algorithm(a))
			}
			if _, row, ok := aged.First(algorithms); ok {
				n.limit = earlier(n.limit, row.From.Add(-time.Nanosecond))
			}
			this := tree{e.Size, e.Root}
			stamps[this] = append(stamps[this], n)
		case checkpoint.EvidenceKept:
			b.pieces[e.Certificate] = append(b.pieces[e.Certificate], &piece{kept: e, recorded: recorded})
			if e.Size >= size {
				evidence[e.Token] = e
			}
		}
	}
	if !begun {
		return fault.New(fault.CheckpointUnknown, "the log has no checkpoint of %d events with this root", size)
	}
	if err := b.take(kept.nodes()); err != nil {
		return err
	}
	for i := range b.nodes {
		n := &b.nodes[i]
		var err error
		if n.index, n.covered, err = b.locate(n.recorded); err != nil {
			return err
		}
	}
	for _, list := range b.pieces {
		slices.Reverse(list)
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

// maxNodes bounds the stamps that a search is among: its work grows with their
// cube.
const maxNodes = 1024

// ends are the first and the last stamp by each certificate in each bucket, so
// that a search stays short whatever was stamped. They lead on as well as those
// between: stamps of one certificate in one month do.
type ends map[stretch][2]node

type stretch struct {
	certificate string
	month       int64
}

func (e ends) add(n node) {
	key := stretch{n.kept.Certificate, n.stamped.Time.Unix() / int64(bucket/time.Second)}
	known, ok := e[key]
	if !ok || n.before(known[0]) {
		known[0] = n
	}
	if !ok || known[1].before(n) {
		known[1] = n
	}
	e[key] = known
}

func (n node) before(m node) bool { return n.compare(m) < 0 }

// compare is by time, and by the order of their events at one time.
func (n node) compare(m node) int {
	return cmp.Or(n.stamped.Time.Compare(m.stamped.Time), cmp.Compare(n.recorded.Revision, m.recorded.Revision))
}

// nodes returns them in the order of their times.
func (e ends) nodes() []node {
	var list []node
	for _, both := range e {
		list = append(list, both[0])
		if both[0].before(both[1]) {
			list = append(list, both[1])
		}
	}
	slices.SortFunc(list, node.compare)
	return list
}

// take leaves so many stamps as a search can be among: where there are too many,
// the first and the last by each certificate in longer and longer times.
func (b *builder) take(nodes []node) error {
	b.nodes = nodes
	for apart := 2 * bucket; len(b.nodes) > maxNodes; apart *= 2 {
		if apart > 100*365*24*time.Hour {
			return fault.New(fault.RenewalTooLarge, "the stamps since the checkpoint are by more certificates than a record is searched among: more than %d", maxNodes/2)
		}
		b.thin(apart)
	}
	return nil
}

// thin leaves the first and the last stamp by each certificate in each stretch of
// time.
func (b *builder) thin(apart time.Duration) {
	of := func(n node) stretch {
		return stretch{n.kept.Certificate, n.stamped.Time.Unix() / int64(apart/time.Second)}
	}
	count, at := map[stretch]int{}, map[stretch]int{}
	for _, n := range b.nodes {
		count[of(n)]++
	}
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
	r := &Record{Format: Format, Origin: b.Key.Name(), Log: further(b.Name), Start: Start{Size: size, Root: hash(root), Consistency: []hash{}}, Pieces: [][]byte{}}
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
	total := 0
	add := func(name string, content []byte) error {
		pieces[name] = content
		if total += written(len(content)); total > MaxRecord || len(pieces) > maxPieces {
			return tooLarge()
		}
		return nil
	}
	for i, n := range chosen {
		token, err := b.Token(b.ctx, n.stamped)
		if err != nil {
			return nil, fmt.Errorf("read the time token of the checkpoint of %d events: %w", n.stamped.Size, err)
		}
		if err := add(n.stamped.Token, token); err != nil {
			return nil, err
		}
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
				if p.Bytes > MaxRecord || total+written(int(p.Bytes)) > MaxRecord {
					return nil, tooLarge() // and is not read
				}
				content, err := b.Piece(b.ctx, p)
				if err != nil {
					return nil, fmt.Errorf("read evidence on a time stamp: %w", err)
				}
				if err := add(p.SHA256, content); err != nil {
					return nil, err
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

// further is the name of a log's stream as a record has it: "" for that of a
// ledger's first log.
func further(name string) string {
	if name == checkpoint.Log {
		return ""
	}
	return name
}

// cover proves an event under the checkpoint of a link.
func (b *builder) cover(recorded eventstore.Recorded, index uint64, chosen []node, under int) (Covered, error) {
	hashes, err := b.Log.Inclusion(b.ctx, index, chosen[under].stamped.Size)
	if err != nil {
		return Covered{}, fmt.Errorf("prove %s@%d: %w", recorded.Stream, recorded.Revision, err)
	}
	return Covered{Event: eventOf(recorded.Event), Under: under + 1, Index: index, Hashes: hashesOf(hashes)}, nil
}

// written is how many bytes a piece has in a record, as base64 between quotes.
func written(n int) int { return base64.StdEncoding.EncodedLen(n) + len(`"",`) }

func tooLarge() error {
	return fault.New(fault.RenewalTooLarge, "the record of renewals would be of more than %d bytes, %d stamps or %d pieces of evidence: ask from a later checkpoint on", MaxRecord, MaxLinks, maxPieces)
}

// fits says that what was made can be read again: it is measured without the
// pieces, which are most of it, being written.
func (r *Record) fits() error {
	if err := r.bounded(); err != nil {
		return fault.Wrap(fault.RenewalTooLarge, err, "make a record of renewals")
	}
	bare := *r
	bare.Pieces = [][]byte{}
	text, err := bare.Encode()
	if err != nil {
		return err
	}
	total := len(text)
	for _, piece := range r.Pieces {
		total += written(len(piece))
	}
	if len(r.Pieces) > 0 {
		total-- // no comma behind the last
	}
	if total > MaxRecord {
		return tooLarge()
	}
	return nil
}
