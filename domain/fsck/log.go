package fsck

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"dalel/blobs"
	"dalel/domain/checkpoint"
	"dalel/domain/event"
	"dalel/eventstore"
	"dalel/internal/fault"
	"dalel/internal/translog"
	"dalel/internal/tsp"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/sync/errgroup"
)

// Bounds of what is kept in mind.
const (
	// filesAtOnce is how many of the log's files are on their way.
	filesAtOnce = 8
	// recentLeaves is how many of the newest leaves need not be read again for
	// a checkpoint's root: a checkpoint is recorded soon after what it covers.
	recentLeaves = 8192
	// recentNotes are the checkpoints that cosignatures and time stamps may
	// speak of.
	recentNotes = 2 * checkpoint.Kept
	// maxMisfits is how many files and checkpoints that do not fit are kept.
	maxMisfits = 10_000
	// served is asked for again so often, where a node may be about to serve.
	servedAgain = 5
)

// clockSkew is how far an authority's clock may be off.
const clockSkew = 10 * time.Minute

// misfit is a file that is not what the events come to.
type misfit struct {
	Name   string
	Bundle bool
	// Start and End are the leaves that it covers; First is the first entry of
	// a bundle that differs.
	Start, End, First uint64
	Cut, Missing      bool
	What              string
}

func (m misfit) code() Code {
	code := map[bool][3]Code{true: {BundleMissing, BundleCut, BundleChanged}, false: {TileMissing, TileCut, TileChanged}}[m.Bundle]
	switch {
	case m.Missing:
		return code[0]
	case m.Cut:
		return code[1]
	}
	return code[2]
}

// claim says that the first events come to a root. Signed says that the log's
// key has signed that.
type claim struct {
	Size   uint64
	Root   eventstore.Hash
	Where  string
	Signed bool
}

// claims are what came of them: the largest size with the right root, the
// largest of those that are signed, and those with a wrong one.
type claims struct {
	Good, Signed uint64
	Bad          []claim
}

// holds notes a claim that is right.
func (c *claims) holds(this claim) {
	c.Good = max(c.Good, this.Size)
	if this.Signed {
		c.Signed = max(c.Signed, this.Size)
	}
}

// signed is a recorded checkpoint as others may speak of it. Lines are the
// cosignatures that are recorded of it.
type signed struct {
	Claim claim
	Note  string
	At    time.Time
	Lines []string
}

// stamp is a time stamp that is yet to be read.
type stamp struct {
	Where place
	Token blobs.Digest
	Note  string
	// Time is what the event says, Published and Recorded the ledger's clock.
	Time, Published, Recorded time.Time
}

// leafOf is an event as a leaf.
type leafOf struct {
	place
	hash eventstore.Hash
}

// logWork is what is under way on the log.
type logWork struct {
	mu     sync.Mutex
	group  *errgroup.Group
	ctx    context.Context
	recent []leafOf
	// served is the size of the checkpoint that was served at the beginning.
	served uint64
}

func (w *logWork) begin(ctx context.Context) {
	w.group, w.ctx = errgroup.WithContext(ctx)
	w.group.SetLimit(filesAtOnce)
}

func (w *logWork) wait() error { return w.group.Wait() }

func (c *checker) root() translog.Hash {
	if c.Stands != nil {
		return c.Stands.Root()
	}
	return c.Layout.Root()
}

// leaf adds a leaf and has the files that it makes full looked at.
func (c *checker) leaf(at place, commitment eventstore.Hash) {
	if len(c.log.recent) == 2*recentLeaves {
		c.log.recent = append(c.log.recent[:0], c.log.recent[recentLeaves:]...)
	}
	c.log.recent = append(c.log.recent, leafOf{at, commitment})
	c.Layout.Append(commitment[:], func(f translog.File) {
		if c.source.Log.Objects == nil {
			return
		}
		end := c.Layout.Size()
		c.log.mu.Lock()
		c.Pending[f.Name] = pendingFile{f, end}
		c.log.mu.Unlock()
		c.log.group.Go(func() error { return c.holdPending(c.log.ctx, pendingFile{f, end}) })
	})
}

// pendingFile is a full file and the size at which it became full.
type pendingFile struct {
	File translog.File
	End  uint64
}

// holdPending holds one full file against what is stored.
func (c *checker) holdPending(ctx context.Context, p pendingFile) error {
	found, err := c.hold(ctx, p.File, p.End)
	if err != nil {
		return err
	}
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	delete(c.Pending, p.File.Name)
	if found == nil || !found.Missing {
		c.Counts.Files++
	}
	if found != nil && len(c.Misfits) < maxMisfits {
		c.Misfits = append(c.Misfits, *found)
	}
	return nil
}

// pending looks at the files that an interrupted check had not come to.
func (c *checker) pending(ctx context.Context) error {
	if c.source.Log.Objects == nil {
		clear(c.Pending)
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(c.Pending)) {
		if err := c.holdPending(ctx, c.Pending[name]); err != nil {
			return err
		}
	}
	return nil
}

// hold reads a file and says how it differs; nil if it does not.
func (c *checker) hold(ctx context.Context, f translog.File, end uint64) (*misfit, error) {
	name := f.Name
	data, err := c.source.Log.Objects.Get(ctx, name)
	whole := true
	if fault.Is(err, fault.BlobNotFound) && f.Full != "" {
		// Partial files may be tidied up once there is a full one.
		if full, fullErr := c.source.Log.Objects.Get(ctx, f.Full); !fault.Is(fullErr, fault.BlobNotFound) {
			name, data, err, whole = f.Full, full, fullErr, false
		}
	}
	m := &misfit{Name: name, Bundle: f.Bundle, Start: startOf(f, end), End: end, First: math.MaxUint64}
	switch {
	case fault.Is(err, fault.BlobNotFound):
		m.Missing, m.What = true, "is not there"
		return m, nil
	case fault.Is(err, fault.BlobCorrupt):
		m.What = err.Error()
		return m, nil
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", name, err)
	case bytes.Equal(data, f.Data) || !whole && bytes.HasPrefix(data, f.Data):
		return nil, nil
	case len(data) < len(f.Data) && bytes.HasPrefix(f.Data, data):
		m.Cut, m.What = true, fmt.Sprintf("has %d bytes of %d", len(data), len(f.Data))
		return m, nil
	case len(data) > len(f.Data) && whole && bytes.HasPrefix(data, f.Data):
		m.What = fmt.Sprintf("has %d bytes after its end", len(data)-len(f.Data))
		return m, nil
	}
	m.What = "is not what the events come to"
	if f.Bundle {
		stored, _ := translog.ParseBundle(data, -1)
		wanted, err := translog.ParseBundle(f.Data, -1)
		if err != nil {
			return nil, err
		}
		for i := range wanted {
			if i >= len(stored) || !bytes.Equal(stored[i], wanted[i]) {
				m.First = m.Start + uint64(i)
				m.What += fmt.Sprintf(", from its entry %d on", i)
				break
			}
		}
	}
	return m, nil
}

// startOf is the first leaf that a file covers, given the size at which it is
// as it is.
func startOf(f translog.File, end uint64) uint64 {
	span := uint64(1)
	if !f.Bundle {
		level, _ := strconv.Atoi(strings.Split(f.Name, "/")[1])
		for range min(level, 6) {
			span *= translog.Width
		}
	}
	if f.Full == "" {
		return end - span*translog.Width
	}
	return end - end%(span*translog.Width)
}

// inPlaceOf returns the commitment that the log has in place of a changed
// event's, if it is the one that the event's id was cut from; and else that of
// the bytes.
func (c *checker) inPlaceOf(ctx context.Context, index uint64, s *seen) eventstore.Hash {
	if c.source.Log.Objects == nil {
		return s.commitment
	}
	n := index / translog.Width
	names := []string{translog.BundleName(n, translog.Width)}
	if size := c.servedSize(ctx); size/translog.Width == n && size%translog.Width > 0 {
		names = append(names, translog.BundleName(n, int(size%translog.Width)))
	}
	for _, name := range names {
		data, err := c.source.Log.Objects.Get(ctx, name)
		if err != nil {
			continue
		}
		entries, err := translog.ParseBundle(data, -1)
		if i := int(index % translog.Width); err == nil && i < len(entries) && len(entries[i]) == len(eventstore.Hash{}) {
			if logged := eventstore.Hash(entries[i]); eventstore.EventID(logged) == s.id {
				return logged
			}
		}
	}
	return s.commitment
}

// servedSize is the size of what is served, 0 where that cannot be read. What
// it leads to is held against an event's id.
func (c *checker) servedSize(ctx context.Context) uint64 {
	if c.log.served == 0 {
		c.log.served = math.MaxUint64
		if text, err := c.source.Log.Objects.Get(ctx, blobs.CheckpointName); err == nil {
			if lines := strings.SplitN(string(text), "\n", 3); len(lines) == 3 {
				if size, err := strconv.ParseUint(lines[1], 10, 64); err == nil {
					c.log.served = size
				}
			}
		}
	}
	return c.log.served
}

// leaves returns the leaves from one of the log's bundles' beginning on.
func (c *checker) leaves(ctx context.Context, from, count uint64) ([]leafOf, error) {
	if count == 0 {
		return nil, nil
	}
	if base := c.Layout.Size() - uint64(len(c.log.recent)); from >= base {
		return c.log.recent[from-base : from-base+count], nil
	}
	var list []leafOf
	for recorded, err := range c.source.Store.ReadAll(ctx, c.Before[from/translog.Width], int(count)) {
		if err != nil {
			return nil, err
		}
		stands := eventstore.Restore(recorded.Stream, recorded.Revision, recorded.Type, recorded.Data, recorded.Metadata)
		hash := stands.Commitment
		if committed, ok := c.Differs[from+uint64(len(list))]; ok {
			hash = committed
		}
		list = append(list, leafOf{place{recorded.Stream, recorded.Revision}, hash})
	}
	if uint64(len(list)) != count {
		return nil, fault.New(fault.StoreFailed, "events that were read before are no longer there")
	}
	return list, nil
}

// rest returns the leaves after a size's last full bundle.
func (c *checker) rest(ctx context.Context, size uint64) ([][]byte, error) {
	list, err := c.leaves(ctx, size-size%translog.Width, size%translog.Width)
	if err != nil {
		return nil, err
	}
	rest := make([][]byte, len(list))
	for i := range list {
		rest[i] = list[i].hash[:]
	}
	return rest, nil
}

// leads reports whether the first events lead to a root.
func (c *checker) leads(ctx context.Context, size uint64, root eventstore.Hash) (bool, error) {
	rest, err := c.rest(ctx, size)
	if err != nil {
		return false, err
	}
	right, err := c.Layout.RootAt(size, rest)
	return err == nil && eventstore.Hash(right) == root, err
}

// errText is the finding that a checkpoint's text is not that of its event.
var errText = errors.New("its signed text is of another checkpoint than its event")

// verifier is the key of the log whose checkpoints are in a stream, nil for none.
func (l Log) verifier(stream eventstore.StreamID) note.Verifier {
	for _, f := range l.Former {
		if checkpoint.StreamID(f.Name) == stream {
			return f.Verifier
		}
	}
	if stream == l.stream() {
		return l.Verifier
	}
	return nil
}

// former returns the log before with a name, nil for none.
func (l Log) former(origin string) *Former {
	for i := range l.Former {
		if l.Former[i].Verifier.Name() == origin {
			return &l.Former[i]
		}
	}
	return nil
}

// stream is that of the checkpoints of the log in force.
func (l Log) stream() eventstore.StreamID { return checkpoint.StreamID(cmp.Or(l.Name, checkpoint.Log)) }

// signature checks the text of a recorded checkpoint.
func (c *checker) signature(stream eventstore.StreamID, e checkpoint.Published) error {
	verifier := c.source.Log.verifier(stream)
	if verifier == nil {
		return fault.New(fault.LogCheckpointInvalid, "the ledger has no log whose checkpoints are in %s", stream)
	}
	read, _, err := translog.ParseCheckpoint([]byte(e.Note), e.Origin, verifier)
	if err != nil {
		return err
	}
	if read.Size != e.Size || eventstore.Hash(read.Root) != e.Root {
		return errText
	}
	return nil
}

// published looks at a recorded checkpoint.
func (c *checker) published(ctx context.Context, index uint64, s *seen, e checkpoint.Published) error {
	c.Counts.Checkpoints++
	where := s.String()
	switch {
	case c.source.Log.Verifier == nil && c.source.Log.Wanted:
		c.report(LogKeyMissing, "the log's key", "%s is a checkpoint, and there is no key to check it with", where)
	case errors.Is(s.signature, errText):
		c.report(CheckpointChanged, where, "%v", errText)
	case s.signature != nil:
		c.report(CheckpointSignature, where, "the log's key has not signed this checkpoint: %v", s.signature)
	}
	this := claim{e.Size, e.Root, where, c.source.Log.Verifier != nil && s.signature == nil}
	if s.Stream != checkpoint.StreamID(cmp.Or(c.Log, checkpoint.Log)) {
		c.report(CheckpointOrder, where, "it is of a log of the ledger that was not in force when it was recorded")
		return nil
	}
	before := c.Newest
	if e.Size <= before.Size || e.After != before.Size {
		c.report(CheckpointOrder, where, "a checkpoint of %d events, which follows one of %d, comes after one of %d", e.Size, e.After, before.Size)
	}
	if e.Size > before.Size {
		c.Newest = this
	}
	if len(c.Recent) == recentNotes {
		c.Recent = slices.Delete(c.Recent, 0, 1)
	}
	c.Recent = append(c.Recent, signed{Claim: this, Note: e.Note, At: e.PublishedAt})
	if e.Size > index || e.Size == 0 {
		c.report(CheckpointOrder, where, "a checkpoint of %d events was published when there were %d", e.Size, index)
		return nil
	}
	// Leaves may have to be read again, and that may be interrupted.
	c.Waiting = append(c.Waiting, waiting{this, e.Last})
	return c.waited(ctx)
}

// waiting is a recorded checkpoint that is yet to be held against the events.
type waiting struct {
	Claim claim
	Last  event.Reference
}

// waited holds the checkpoints that wait against the events.
func (c *checker) waited(ctx context.Context) error {
	for len(c.Waiting) > 0 {
		this, last := c.Waiting[0].Claim, c.Waiting[0].Last
		begin := (this.Size - 1) / translog.Width * translog.Width
		leaves, err := c.leaves(ctx, begin, this.Size-begin)
		if err != nil {
			return err
		}
		right, err := c.leads(ctx, this.Size, this.Root)
		if err != nil {
			return err
		}
		if final := leaves[len(leaves)-1]; final.Stream != last.Stream || final.Revision != last.Revision || final.hash != last.Commitment {
			c.report(CheckpointMisplaced, this.Where, "it names %s@%d as its last event, and the last of its %d events is %s", last.Stream, last.Revision, this.Size, final.place)
		}
		switch {
		case right:
			c.Claims.holds(this)
		case len(c.Claims.Bad) < maxMisfits:
			c.Claims.Bad = append(c.Claims.Bad, this)
		}
		c.Waiting = c.Waiting[1:]
	}
	return nil
}

// spoken returns the checkpoint that somebody's word is about.
func (c *checker) spoken(size uint64, root eventstore.Hash) (about *signed, ok bool) {
	for i := range slices.Backward(c.Recent) {
		if s := &c.Recent[i]; s.Claim.Size == size && s.Claim.Root == root {
			return s, true
		}
	}
	return nil, false
}

// cosigned looks at a witness's line.
func (c *checker) cosigned(s *seen, e checkpoint.Cosigned) {
	c.Counts.Cosignatures++
	about, ok := c.spoken(e.Size, e.Root)
	if !ok {
		c.report(CosignatureWrong, s.String(), "it is of a checkpoint of %d events that was not published before", e.Size)
		return
	}
	// It is served with the checkpoint, whatever it is.
	about.Lines = append(about.Lines, e.Line)
	opened, err := note.Open([]byte(about.Note+e.Line+"\n"), note.VerifierList(c.source.Log.Witnesses...))
	var unverified *note.UnverifiedNoteError
	switch {
	case errors.As(err, &unverified):
		opened = unverified.Note
	case err != nil:
		c.report(CosignatureWrong, s.String(), "the line of %s is no good signature of the checkpoint: %v", e.Witness, err)
		return
	}
	for _, line := range append(opened.Sigs, opened.UnverifiedSigs...) {
		if line.Name == e.Witness && fmt.Sprintf("%08x", line.Hash) == e.KeyID {
			return
		}
	}
	c.report(CosignatureWrong, s.String(), "the line is not by the key %s of %s", e.KeyID, e.Witness)
}

// stamped notes a time stamp, to be read when the content is.
func (c *checker) stamped(s *seen, e checkpoint.TimeStamped) {
	c.Counts.Stamps++
	about, ok := c.spoken(e.Size, e.Root)
	token, err := blobs.ParseDigest(e.Token)
	if !ok || err != nil {
		c.report(TokenWrong, s.String(), "it is of a checkpoint of %d events that was not published before, or names no token", e.Size)
		return
	}
	c.Stamps = append(c.Stamps, stamp{Where: s.place, Token: token, Note: about.Note, Time: e.Time, Published: about.At, Recorded: e.RecordedAt})
}

// tokens reads the time tokens that are recorded.
func (c *checker) tokens(ctx context.Context) error {
	c.Counts.Judged = 0
	if c.source.Log.Algorithms == nil {
		return nil
	}
	for _, s := range c.Stamps {
		if c.said["content "+s.Token.String()] {
			continue // it is missing, or not the token
		}
		token, err := blobs.ReadAll(ctx, c.source.Blobs, s.Token, checkpoint.MaxToken)
		if err != nil {
			return fmt.Errorf("read the time token of %s: %w", s.Where, err)
		}
		if what := c.token(token, s); what != "" {
			c.tell(Problem{TokenWrong, s.Where.String(), what})
		}
	}
	return nil
}

// token says what is wrong with a time token.
func (c *checker) token(token []byte, s stamp) string {
	l := c.source.Log
	parsed, err := tsp.Parse(token)
	if err != nil {
		return fmt.Sprintf("its token cannot be read: %v", err)
	}
	imprint, err := tsp.ImprintOf(l.Algorithms, parsed.Imprint.Digest, []byte(s.Note))
	switch {
	case err != nil:
		return fmt.Sprintf("its token is over a digest that is not taken: %v", err)
	case !bytes.Equal(imprint.Sum, parsed.Imprint.Sum):
		return "its token is not over the checkpoint's text"
	case !parsed.Time.UTC().Truncate(time.Microsecond).Equal(s.Time):
		return fmt.Sprintf("its token is of %s, not of %s", parsed.Time.UTC().Format(time.RFC3339Nano), s.Time.UTC().Format(time.RFC3339Nano))
	case parsed.Time.Before(s.Published.Add(-clockSkew)):
		return "its token is older than the checkpoint"
	}
	if len(l.Roots) == 0 {
		return ""
	}
	answer := parsed.Check(l.Algorithms, tsp.Question{
		Message: []byte(s.Note), At: s.Recorded, Tolerance: clockSkew, Roots: l.Roots, Intermediates: l.Intermediates,
	})
	switch answer.Code {
	case tsp.CodeGood:
		c.Counts.Judged++
	case tsp.Signers, tsp.Attributes, tsp.DigestMismatch, tsp.SignatureMismatch, tsp.AlgorithmMismatch, tsp.CertificateMismatch:
		return fmt.Sprintf("its token is rejected (%s): %s", answer.Code, answer.Detail)
	}
	// Whether to trust an authority that leads to no anchor cannot be told here;
	// the summary counts the tokens of which it could.
	return ""
}

// judgeLog says what is wrong with the log: the files and checkpoints that did
// not fit, what is served, and what was given from outside. What it finds is
// found anew each time, and not remembered.
func (c *checker) judgeLog(ctx context.Context) error {
	c.progress("the transparency log", 0, 0)
	c.heard = claims{}
	for _, step := range []func(context.Context) error{c.beyond, c.served, c.given, c.uncovered} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	// Only now, since more events may have been read on the way.
	found := claims{Good: max(c.Claims.Good, c.heard.Good), Bad: slices.Concat(c.Claims.Bad, c.heard.Bad)}
	misfits, err := c.edge(ctx)
	if err != nil {
		return err
	}
	newer, err := c.newest(ctx)
	if err != nil {
		return err
	}
	misfits = slices.Concat(misfits, newer, c.Misfits)
	slices.SortStableFunc(misfits, func(a, b misfit) int {
		return 2*compare(a.Start, b.Start) + compare(a.End, b.End)
	})
	slices.SortStableFunc(found.Bad, func(a, b claim) int { return compare(a.Size, b.Size) })
	return c.judge(ctx, found, misfits)
}

func compare(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// judge tells files and checkpoints that are wrong from events that are.
func (c *checker) judge(ctx context.Context, found claims, misfits []misfit) error {
	var beyond []claim
	for _, bad := range found.Bad {
		if bad.Size > found.Good {
			beyond = append(beyond, bad)
			continue
		}
		c.tell(Problem{CheckpointDiverged, bad.Where, fmt.Sprintf("the first %d events do not lead to its root, and do lead to that of a later checkpoint", bad.Size)})
	}
	// A bundle and the tile of its hashes that both have another event.
	rewritten := uint64(math.MaxUint64)
	if len(beyond) > 0 {
		tiles := map[uint64]bool{}
		for _, m := range misfits {
			if !m.Bundle && !m.Missing && !m.Cut && m.End-m.Start <= translog.Width && strings.HasPrefix(m.Name, "tile/0/") {
				tiles[m.Start] = true
			}
		}
		for _, m := range misfits {
			if m.Bundle && tiles[m.Start] && m.First < rewritten && m.End > found.Good {
				rewritten = m.First
			}
		}
		what := fmt.Sprintf("the first %d events do not lead to its root", beyond[0].Size)
		if found.Good > 0 {
			what += fmt.Sprintf("; up to %d they are as a signed checkpoint says", found.Good)
		}
		if n := len(beyond) - 1; n > 0 {
			what += fmt.Sprintf(" (nor to those of %d larger ones)", n)
		}
		c.tell(Problem{CheckpointDiverged, beyond[0].Where, what})
	}
	if rewritten < c.Layout.Size() {
		begin := rewritten / translog.Width * translog.Width
		list, err := c.leaves(ctx, begin, rewritten-begin+1)
		if err != nil {
			return err
		}
		c.tell(Problem{EventRewritten, list[len(list)-1].place.String(), fmt.Sprintf("is whole, but the log has another event in its place, as number %d", rewritten)})
	}
	for _, m := range misfits {
		switch {
		case m.Missing && m.End > c.Newest.Size:
			// No checkpoint speaks of it: it may not have been stored yet.
		case !m.Missing && !m.Cut && m.End > rewritten:
			// The events changed, not the file.
		default:
			c.tell(Problem{m.code(), m.Name, m.What})
		}
	}
	return nil
}

// edge holds the partial files of the newest checkpoint against the events.
func (c *checker) edge(ctx context.Context) ([]misfit, error) {
	size := c.Newest.Size
	if c.source.Log.Objects == nil || size == 0 || size > c.Layout.Size() {
		return nil, nil
	}
	rest, err := c.rest(ctx, size)
	if err != nil {
		return nil, err
	}
	files, err := c.Layout.EdgeAt(size, rest)
	if err != nil {
		return nil, err
	}
	var misfits []misfit
	for _, f := range files {
		found, err := c.hold(ctx, f, size)
		if err != nil {
			return nil, err
		}
		if found != nil {
			misfits = append(misfits, *found)
		}
	}
	return misfits, nil
}

// newest holds the partial files of the last events, which no checkpoint speaks
// of yet, against these, where there are any: they are made when a node stops or
// is about to publish.
func (c *checker) newest(ctx context.Context) ([]misfit, error) {
	size := c.Layout.Size()
	begin := size - size%translog.Width
	if c.source.Log.Objects == nil || begin == size {
		return nil, nil
	}
	var mu sync.Mutex
	var misfits []misfit
	group, running := errgroup.WithContext(ctx)
	group.SetLimit(filesAtOnce)
	for _, whole := range c.Layout.Edge()[:2] { // the bundle and the tile of its hashes
		each := len(whole.Data) / int(size-begin)
		name, _, _ := strings.Cut(whole.Name, ".p/")
		for entries := size - begin; begin+entries > max(begin, c.Newest.Size); entries-- {
			f := translog.File{Name: fmt.Sprintf("%s.p/%d", name, entries), Full: whole.Full, Data: whole.Data[:each*int(entries)], Bundle: whole.Bundle}
			group.Go(func() error {
				if _, err := c.source.Log.Objects.Get(running, f.Name); fault.Is(err, fault.BlobNotFound) {
					return nil
				}
				found, err := c.hold(running, f, begin+entries)
				if found == nil {
					return err
				}
				mu.Lock()
				defer mu.Unlock()
				misfits = append(misfits, *found)
				return nil
			})
		}
	}
	err := group.Wait()
	slices.SortFunc(misfits, func(a, b misfit) int { return strings.Compare(a.Name, b.Name) })
	return misfits, err
}

// beyond looks for files of more events than there are. A node makes them of
// events that it has read from the store, once these are there for good; only
// one that is at work may have made them of events that came since.
func (c *checker) beyond(ctx context.Context) error {
	if c.source.Log.Objects == nil {
		return nil
	}
	for attempt := 1; ; attempt++ {
		name, leaves, err := c.largest(ctx)
		if err != nil || leaves == 0 {
			return err
		}
		if err := c.events(ctx); err != nil {
			return err
		}
		switch {
		case leaves <= c.Layout.Size():
			return nil
		case !c.source.OneTable && attempt < servedAgain:
			// A node of a cluster may be behind the one that was read from.
			if err := c.pause(ctx); err != nil {
				return err
			}
		default:
			c.tell(Problem{LogBeyond, name, fmt.Sprintf("is a file of the log when it had %d events at least, and there are %d: the newest were cut off", leaves, c.Layout.Size())})
			return nil
		}
	}
}

// pause lets a node go on that is at work.
func (c *checker) pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(500 * time.Millisecond):
		return nil
	}
}

// largest returns the file that speaks of the most events beyond those that
// there are; 0 if none does.
func (c *checker) largest(ctx context.Context) (name string, leaves uint64, err error) {
	var mu sync.Mutex
	group, running := errgroup.WithContext(ctx)
	group.SetLimit(filesAtOnce)
	for candidate, least := range translog.Larger(c.Layout.Size()) {
		if running.Err() != nil {
			break
		}
		group.Go(func() error {
			_, err := c.source.Log.Objects.Get(running, candidate)
			switch {
			case fault.Is(err, fault.BlobNotFound):
				return nil
			case err != nil && !fault.Is(err, fault.BlobCorrupt):
				return fmt.Errorf("look for %s: %w", candidate, err)
			}
			mu.Lock()
			defer mu.Unlock()
			if least > leaves || least == leaves && candidate < name {
				name, leaves = candidate, least
			}
			return nil
		})
	}
	return name, leaves, group.Wait()
}

// uncovered finds when the first event was recorded that is under no checkpoint
// and should be under the next.
func (c *checker) uncovered(ctx context.Context) error {
	const most = 4096 // of the log's own, between two of others
	c.Counts.UncoveredSince = nil
	first, index := max(c.Claims.Signed, c.heard.Signed), uint64(0)
	if first >= c.Layout.Size() {
		return nil
	}
	skip := first % translog.Width
	for recorded, err := range c.source.Store.ReadAll(ctx, c.Before[first/translog.Width], int(skip)+most) {
		if err != nil {
			return fmt.Errorf("read the events after the newest checkpoint: %w", err)
		}
		if index++; index <= skip || recorded.Stream == c.source.Log.stream() {
			continue
		}
		// Where it cannot be read, that was said; it is under no checkpoint all
		// the same.
		metadata, _ := recorded.ReadMetadata()
		at := metadata.RecordedAt.UTC()
		c.Counts.UncoveredSince = &at
		return nil
	}
	return nil
}

// served looks at the checkpoint that is served. A node may be at work: it
// records a checkpoint, and then serves it.
func (c *checker) served(ctx context.Context) error {
	l := c.source.Log
	if l.Objects == nil || l.Verifier == nil {
		return nil
	}
	const where = blobs.CheckpointName
	c.Counts.Unserved = 0
	for attempt := 1; ; attempt++ {
		text, err := l.Objects.Get(ctx, blobs.CheckpointName)
		absent := fault.Is(err, fault.BlobNotFound)
		if err != nil && !absent && !fault.Is(err, fault.BlobCorrupt) {
			return fmt.Errorf("read the served checkpoint: %w", err)
		}
		var read translog.Checkpoint
		if err == nil {
			read, _, err = translog.ParseCheckpoint(text, l.Verifier.Name(), l.Verifier)
		}
		root := eventstore.Hash(read.Root)
		unlike := func() bool {
			switch {
			case absent:
				return c.Newest.Size > 0
			case err != nil:
				return false
			}
			return read.Size != c.Newest.Size || len(c.lines(string(text), read.Size, root).strange) > 0
		}
		if err == nil && unlike() {
			// Perhaps it was recorded meanwhile.
			if err := c.events(ctx); err != nil {
				return err
			}
		}
		if unlike() && !c.source.OneTable && attempt < servedAgain {
			if err := c.pause(ctx); err != nil {
				return err
			}
			continue
		}
		switch {
		case absent && c.Newest.Size == 0:
		case absent:
			c.tell(Problem{CheckpointMissing, where, fmt.Sprintf("none is served, and %s records one; `dalel log publish` serves it", c.Newest.Where)})
		case err != nil:
			c.tell(Problem{CheckpointForeign, where, fmt.Sprintf("what is served is no checkpoint of this log: %v", err)})
		case read.Size > c.Layout.Size():
			c.tell(Problem{LedgerRewound, "the ledger", fmt.Sprintf("a checkpoint of %d events was served, and there are %d: the ledger was set back", read.Size, c.Layout.Size())})
		default:
			if err := c.hear(ctx, claim{read.Size, root, where, true}, CheckpointDiverged); err != nil {
				return err
			}
			held := c.lines(string(text), read.Size, root)
			for _, line := range held.strange {
				c.tell(Problem{CosignatureForeign, fmt.Sprintf("%s, line %d", where, line.number), fmt.Sprintf("no event records this cosignature of it: %.200q", line.text)})
			}
			switch {
			case read.Size > c.Newest.Size:
				c.tell(Problem{LedgerRewound, "the ledger", fmt.Sprintf("a checkpoint of %d events was served, and no event records it: the newest events are gone", read.Size)})
			case read.Size < c.Newest.Size:
				c.tell(Problem{CheckpointRewound, where, fmt.Sprintf("what is served is of %d events, and %s records one of %d: it was replaced by an older one, or the node died before it was served; `dalel log publish` puts it right", read.Size, c.Newest.Where, c.Newest.Size)})
			case held.other:
				c.tell(Problem{CheckpointForeign, where, fmt.Sprintf("what is served is signed, and is not the text that %s records", c.Newest.Where)})
			default:
				c.Counts.Unserved = held.unserved
			}
		}
		return nil
	}
}

// linesOf is what a served checkpoint has beside what is recorded.
type linesOf struct {
	// other says that it does not begin with the recorded text.
	other bool
	// strange are the lines after that which nothing records.
	strange []line
	// unserved is how many recorded lines it has not.
	unserved int
}

// line is a line of a text, the first of which has number 1.
type line struct {
	number int
	text   string
}

// lines holds a checkpoint's text, which is one, against the recorded checkpoint
// and its cosignatures. Of one that nothing recent records it says nothing. A
// cosignature is recorded, and then served: some may be missing.
func (c *checker) lines(text string, size uint64, root eventstore.Hash) (l linesOf) {
	about, ok := c.spoken(size, root)
	if !ok {
		return l
	}
	rest, ok := strings.CutPrefix(text, about.Note)
	if !ok {
		l.other = true
		return l
	}
	recorded, number := slices.Clone(about.Lines), strings.Count(about.Note, "\n")
	for served := range strings.Lines(rest) {
		number++
		// Each stands there once.
		if i := slices.Index(recorded, strings.TrimSuffix(served, "\n")); i >= 0 {
			recorded = slices.Delete(recorded, i, i+1)
			continue
		}
		l.strange = append(l.strange, line{number, strings.TrimSuffix(served, "\n")})
	}
	l.unserved = len(recorded)
	return l
}

// hear holds a checkpoint from elsewhere against the events.
func (c *checker) hear(ctx context.Context, said claim, code Code) error {
	right, err := c.leads(ctx, said.Size, said.Root)
	switch {
	case err != nil:
		return err
	case right:
		c.heard.holds(said)
	case code == CheckpointDiverged:
		c.heard.Bad = append(c.heard.Bad, said)
	default:
		c.tell(Problem{code, said.Where, fmt.Sprintf("the first %d events do not lead to its root: the ledger's history is another than it was", said.Size)})
	}
	return nil
}

// given holds checkpoints from outside against the events.
func (c *checker) given(ctx context.Context) error {
	l := c.source.Log
	c.Counts.Lost = nil
	for _, g := range l.Given {
		if l.Verifier == nil {
			c.tell(Problem{CheckpointForeign, g.Name, "there is no key of a log to check it with"})
			continue
		}
		origin, _, _ := strings.Cut(string(g.Text), "\n")
		verifier, former := l.Verifier, l.former(origin)
		if former != nil {
			verifier = former.Verifier
		}
		read, _, err := translog.ParseCheckpoint(g.Text, verifier.Name(), verifier)
		switch {
		case err != nil:
			c.tell(Problem{CheckpointForeign, g.Name, fmt.Sprintf("is not signed by this log's key: %v", err)})
		case former != nil && read.Size > former.Events && read.Size <= former.Known:
			c.Counts.Lost = append(c.Counts.Lost, fmt.Sprintf("%s is of %d events of the former log %s; %d of them are there, as the recovery states", g.Name, read.Size, origin, former.Events))
		case former != nil && read.Size > former.Known:
			c.tell(Problem{LedgerRewound, g.Name, fmt.Sprintf("is of %d events of the former log %s, and the recovery states that there were %d: more were lost than it says", read.Size, origin, former.Known)})
		case read.Size > c.Layout.Size():
			c.tell(Problem{LedgerRewound, g.Name, fmt.Sprintf("is of %d events, and there are %d: the ledger was set back to an older copy", read.Size, c.Layout.Size())})
		default:
			if err := c.hear(ctx, claim{read.Size, eventstore.Hash(read.Root), g.Name, true}, HistoryRewritten); err != nil {
				return err
			}
		}
	}
	return nil
}
