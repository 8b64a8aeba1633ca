// Package fsck reads a whole ledger again and names each thing that is not as
// it was committed, with a stable [Code]: an event whose bytes changed, a link
// that is missing, an event that no longer decodes, content that is gone or was
// altered, and everything that the transparency log's files, checkpoints,
// cosignatures and time stamps say otherwise than the events.
//
// It trusts nothing that the ledger's other parts have computed: commitments
// are computed from the bytes, chains are followed from the first event on, the
// log is computed from the events alone, content is hashed byte by byte. What
// the store itself can tell of its file (a cut tail, a missing guard) comes in
// through [Source].
//
// # One change, one problem
//
// Where an event was changed in place, the store still has the id that was cut
// from its commitment, and the log's bundle has the commitment: the check goes
// on with that, so that the roots after it can still be told good from bad.
// Where the log's files and the events differ and nothing else does, signed
// checkpoints decide: up to the largest size at which the events lead to a root
// that was signed the events are right and the files are wrong. Beyond it the
// first event in whose place the log has another is named.
//
// # What nothing inside can show
//
// Who holds the log's key and rewrites everything, or puts back an older copy
// of everything, leaves a ledger that is consistent. Checkpoints that others
// keep show it: see [Log.Given].
//
// # Going on after an interruption
//
// A [State] remembers how far a check has come and what it found. Events that
// were appended meanwhile are simply read on; content that was read is not read
// again. A state whose last event is not in the ledger as it was is refused.
package fsck

import (
	"context"
	"crypto/x509"
	"fmt"
	"iter"
	"time"

	"dalel/blobs"
	"dalel/domain/event"
	"dalel/eventstore"
	"dalel/internal/pki"
	"dalel/internal/translog"

	"golang.org/x/mod/sumdb/note"
)

// Problem is one thing that is not as it was committed.
type Problem struct {
	// Code says what kind it is, and is stable.
	Code Code `json:"code"`
	// Where names it: "document-…@3", "content 5e88…", "tile/0/x001/234".
	Where string `json:"where"`
	// What says what is wrong, for people.
	What string `json:"what"`
}

// Summary counts what was read.
type Summary struct {
	Events   int `json:"events"`
	Streams  int `json:"streams"`
	Contents int `json:"contents"`
	// Bytes is the content read.
	Bytes int64 `json:"bytes"`
	// Files of the transparency log that are full and there, Checkpoints,
	// Cosignatures and Stamps were held against the events. Judged counts the stamps of which could be told
	// that their authority is trusted.
	Files        int `json:"logFiles"`
	Checkpoints  int `json:"checkpoints"`
	Cosignatures int `json:"cosignatures"`
	Stamps       int `json:"timeStamps"`
	Judged       int `json:"timeStampsJudged"`
	Problems     int `json:"problems"`
	// Unserved are the recorded cosignatures of the newest checkpoint that are
	// not served with it, as a node leaves it that died in between: no problem,
	// and the next one that starts serves them.
	Unserved int `json:"cosignaturesNotServed"`
	// Covered is how many events are under the newest checkpoint that was found
	// (recorded, served or given) with a good signature of the log's key and to
	// whose root they lead; Uncovered are those after it, which nothing that was
	// signed speaks of. UncoveredSince says when the first of these was recorded
	// that is not the log's own, whose events always come after; nil if all are.
	Covered        int        `json:"underCheckpoint"`
	Uncovered      int        `json:"underNoCheckpoint"`
	UncoveredSince *time.Time `json:"underNoCheckpointSince,omitempty"`
	// Lost are checkpoints that were given from outside and are of a log which
	// the ledger had before a loss, of more events than were left: that they can
	// not be held against the events is what the recovery states.
	Lost []string `json:"checkpointsOfLostEvents,omitempty"`
	// EventsBefore and ContentsBefore are those of Events and Contents that were
	// not read this time, since a run that was interrupted had read them;
	// Interrupted is when it wrote that down last, in UTC. What was done to them
	// since is not seen.
	EventsBefore   int       `json:"eventsNotReadAgain"`
	ContentsBefore int       `json:"contentsNotReadAgain"`
	Interrupted    time.Time `json:"interruptedAt,omitzero"`
	// Root is the Merkle tree root (RFC 6962) over the commitments of all
	// events as they stand, in order: that of the transparency log. It does not depend on positions:
	// two stores show the same root exactly when they hold the same ledger.
	Root eventstore.Hash `json:"root"`
}

// Source is the ledger to be read.
type Source struct {
	Store eventstore.Store
	Blobs blobs.Store
	// Codec opens what is sealed in the events. One that opens nothing leaves
	// their sealed parts unread, but for their bytes.
	Codec *event.Codec
	// Content, if set, decrypts sealed content, so that it is held against the
	// hash of its clear bytes too; without it only the encrypted bytes are
	// read.
	Content Content
	// Keys, if set, are looked through for keys whose destruction is recorded.
	Keys event.Keys
	// DestroyedKeys, if set, lists the subjects whose keys are destroyed. Nothing
	// is opened for that. Without it only those are known by which content cannot
	// be opened.
	DestroyedKeys func(ctx context.Context) iter.Seq2[string, error]
	// StoreCheck, if set, gives the problems that the store sees in its own
	// files.
	StoreCheck func(ctx context.Context, report func(Problem)) error
	// OneTable says that the store reads streams and all events from the same
	// table, and that StoreCheck has held its indexes against it: nothing can
	// then be hidden from who reads a stream alone.
	OneTable bool
	// Log says what is known of the transparency log.
	Log Log
	// State, if set, is where an interrupted check goes on, and what is written
	// down of this one. It is changed.
	State *State
	// Save, if set, is called now and then with the state; it must be done with
	// it when it returns.
	Save func(*State) error
}

// Log is what is known of the transparency log. With the zero Log the recorded
// checkpoints' roots are still held against the events.
type Log struct {
	// Objects are the log's files; nil: they are not looked at.
	Objects translog.Objects
	// Verifier is the log's key; nil: no signature is checked.
	Verifier note.Verifier
	// Name is what the stream of its checkpoints is called, checkpoint-<name>;
	// checkpoint.Log unless set.
	Name string
	// Former are the ledger's logs before, after each of which it went on without
	// some of its events.
	Former []Former
	// Wanted says that a log whose key is missing is a problem.
	Wanted bool
	// Witnesses are the keys of witnesses that are known.
	Witnesses []note.Verifier
	// Given are signed checkpoints from outside, that somebody kept.
	Given []Given
	// Roots and Intermediates judge time tokens; without roots a token is only
	// held against what it is over.
	Roots, Intermediates []*x509.Certificate
	// Algorithms are those that tokens may use; without, tokens are not read.
	Algorithms *pki.Algorithms
}

// Former is a log that the ledger had before it was recovered.
type Former struct {
	Verifier note.Verifier
	// Name is what the stream of its checkpoints is called, checkpoint-<name>.
	Name string
	// Known is how many events there were at least, Events how many of them the
	// recovery found.
	Known, Events uint64
}

// Given is a checkpoint from outside.
type Given struct {
	// Name is how to speak of it.
	Name string
	Text []byte
}

// Progress is told how far the check is; total is 0 when it is not known.
type Progress func(what string, done, total int64)

// Run reads everything. Problems are given to report as they are found, those
// that a state remembers first; the error is for what could not be read at all,
// and for the end of ctx: a check that is to go on later ends in that way.
func Run(ctx context.Context, source Source, report func(Problem), progress Progress) (Summary, error) {
	state := source.State
	if state == nil {
		state = NewState()
	}
	c := &checker{source: source, State: state, give: report, progress: progress, said: map[string]bool{}, lastSave: time.Now()}
	if progress == nil {
		c.progress = func(string, int64, int64) {}
	}
	err := c.run(ctx)
	return c.summary(), err
}

func (c *checker) summary() Summary {
	s := c.Counts
	s.Streams = len(c.Heads)
	s.Contents += c.strays.contents
	s.Bytes += c.strays.bytes
	s.Problems = c.reported
	s.Covered = int(max(c.Claims.Signed, c.heard.Signed))
	s.Uncovered = s.Events - s.Covered
	s.Root = eventstore.Hash(c.root())
	return s
}

func (c *checker) run(ctx context.Context) error {
	if err := c.fits(ctx); err != nil {
		return err
	}
	c.Counts.EventsBefore, c.Counts.ContentsBefore, c.Counts.Interrupted = c.Counts.Events, c.Counts.Contents, c.Written
	for _, p := range c.Problems {
		c.said[p.Where] = true
		c.reported++
		c.give(p)
	}
	stop := c.beginStore(ctx)
	defer stop()
	steps := []func(context.Context) error{c.events, func(context.Context) error { return c.settle() }, c.ends, c.judgeLog, c.contents, c.destroyedKeys}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// storeCheck is what the store sees in its own files, looked for while the
// events are read.
type storeCheck struct {
	ended    chan struct{}
	problems []Problem
	err      error
}

// beginStore has the store look through its own files. stop ends that.
func (c *checker) beginStore(ctx context.Context) (stop func()) {
	if c.source.StoreCheck == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	check := &storeCheck{ended: make(chan struct{})}
	c.store = check
	c.progress("the store's own file", 0, 0)
	go func() {
		defer close(check.ended)
		check.err = c.source.StoreCheck(ctx, func(p Problem) { check.problems = append(check.problems, p) })
	}()
	return func() { cancel(); <-check.ended }
}

// settle waits for what the store sees, and gives that. It is asked anew each
// time, and not remembered.
func (c *checker) settle() error {
	check := c.store
	if check == nil {
		return nil
	}
	<-check.ended
	for _, p := range check.problems {
		c.giveOnce(p)
	}
	check.problems = nil
	if check.err != nil {
		return fmt.Errorf("check the store: %w", check.err)
	}
	c.store = nil
	return nil
}

// checker is one check under way.
type checker struct {
	*State
	source   Source
	give     func(Problem)
	progress Progress
	// said has the places of which something was said already: what is wrong
	// with an event needs no second voice.
	said     map[string]bool
	reported int
	lastSave time.Time
	saveTook time.Duration
	log      logWork
	// heard is what came of the checkpoints that are served or were given.
	heard claims
	// store is there until all that the store sees was given.
	store *storeCheck
	// strays is content that no event names.
	strays struct {
		contents int
		bytes    int64
	}
}

// tell reports a problem that is not remembered. What the store sees comes
// before it: of what both see of one event, the store's word is given.
func (c *checker) tell(p Problem) bool {
	_ = c.settle() // the check ends with its error when the events are read
	return c.giveOnce(p)
}

func (c *checker) giveOnce(p Problem) bool {
	if c.said[p.Where] {
		return false
	}
	c.said[p.Where] = true
	c.reported++
	c.give(p)
	return true
}

// report reports a problem and remembers it.
func (c *checker) report(code Code, where, format string, args ...any) {
	p := Problem{Code: code, Where: where, What: fmt.Sprintf(format, args...)}
	if c.tell(p) {
		c.Problems = append(c.Problems, p)
	}
}

// saved has the state written down if that was not done for a while: at most a
// twentieth of the time goes into it.
func (c *checker) saved() error {
	if c.source.Save == nil || time.Since(c.lastSave) < max(10*time.Second, 20*c.saveTook) {
		return nil
	}
	began := time.Now()
	if err := c.source.Save(c.State); err != nil {
		return fmt.Errorf("write down how far the check has come: %w", err)
	}
	c.lastSave, c.saveTook = time.Now(), time.Since(began)
	return nil
}
