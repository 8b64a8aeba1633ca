package audit

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"dalel/internal/cosignature"
	"dalel/internal/fault"
)

// Log is a log under audit. It is used by one goroutine at a time; make one
// with [New].
type Log struct {
	o      Options
	origin string
	// known are the earlier checkpoints, each verified: what was handed in,
	// and what is in the state or came in a check before.
	known []checkpoint
	last  *checkpoint
	// unwitnessed is the last that was consistent but not cosigned by enough:
	// not one to rely on, but one that the log has signed all the same.
	unwitnessed *checkpoint
}

// checkpoint is one that the log has signed.
type checkpoint struct {
	cosignature.Checkpoint
	signed []byte
}

// New begins an audit. Errors: config.invalid if there are no keys, or keys of
// several logs, or an earlier checkpoint that none of them has signed; the
// state's, if it cannot be read.
func New(o Options) (*Log, error) {
	if len(o.Keys) == 0 {
		return nil, fault.New(fault.ConfigInvalid, "an audit needs the log's public key")
	}
	l := &Log{o: o, origin: o.Keys[0].Name()}
	for _, key := range o.Keys {
		if key.Name() != l.origin {
			return nil, fault.New(fault.ConfigInvalid, "the keys are of two logs, %q and %q; each needs an audit of its own", l.origin, key.Name())
		}
	}
	if l.o.Attempts <= 0 {
		l.o.Attempts = 3
	}
	if l.o.Pause <= 0 {
		l.o.Pause = 2 * time.Second
	}
	if l.o.Now == nil {
		l.o.Now = time.Now
	}
	for _, signed := range o.Earlier {
		c, err := l.open(signed)
		if err != nil {
			return nil, fault.Wrap(fault.ConfigInvalid, err, "the earlier checkpoint cannot be used")
		}
		l.known = append(l.known, c)
	}
	if o.State != nil {
		l.o.Evidence = filepath.Join(o.State.dir, "evidence")
		var err error
		if l.last, err = l.recall(checkpointName); err != nil {
			return nil, err
		}
		if l.unwitnessed, err = l.recall(unwitnessedName); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// recall reads a checkpoint from the state, nil if there is none.
func (l *Log) recall(name string) (*checkpoint, error) {
	signed, err := l.o.State.read(name)
	if err != nil {
		return nil, fmt.Errorf("read the auditor's folder: %w", err)
	}
	if signed == nil {
		return nil, nil
	}
	c, err := l.open(signed)
	if err != nil {
		return nil, fmt.Errorf("the file %q in the auditor's folder cannot be used: %w", name, err)
	}
	return &c, nil
}

// open verifies that the log has signed a checkpoint.
func (l *Log) open(signed []byte) (checkpoint, error) {
	c, _, err := cosignature.OpenCheckpoint(signed, l.o.Keys...)
	var unverified *note.UnverifiedNoteError
	var wrong *note.InvalidSignatureError
	switch {
	case errors.As(err, &unverified):
		if named, _, _ := strings.Cut(unverified.Note.Text, "\n"); named != l.origin {
			return checkpoint{}, fail(AnotherLog, "what is served names the log %.100q, not %q, and bears no signature of the key that you gave: a ledger that has lost events goes on under another log, and its pages and packets say so", named, l.origin)
		}
		return checkpoint{}, fail(NotSigned, "the checkpoint bears no signature of the key of %s that you gave", l.origin)
	case errors.As(err, &wrong):
		return checkpoint{}, fail(NotSigned, "the signature of %s on the checkpoint does not verify", l.origin)
	case err != nil:
		return checkpoint{}, fail(Unreadable, "this is no signed checkpoint: %w", err)
	case c.Origin != l.origin:
		return checkpoint{}, fail(AnotherLog, "the checkpoint is of the log %q, not of %q", c.Origin, l.origin)
	case c.Size == 0 && c.Root != cosignature.EmptyRoot():
		return checkpoint{}, fail(Unreadable, "the checkpoint is of no entries and has a hash that such a tree cannot have")
	}
	return checkpoint{Checkpoint: c, signed: signed}, nil
}

// Check looks once. It never returns an error: what could not be done is
// [CannotTell]. Whatever was found consistent is kept in the state before it
// returns, and evidence of misbehaviour before that is reported; a report of
// misbehaviour whose evidence could not be kept says so in its detail.
func (l *Log) Check(ctx context.Context) Report {
	var report Report
	for attempt := 1; ; attempt++ {
		found := l.once(ctx)
		report = found.Report
		// A lagging copy, or a line that changes bytes, looks like these. What
		// is signed twice over does not.
		passing := slices.Contains([]string{Rewound, TilesDiffer, EntriesDiffer}, report.Code)
		if passing && attempt < l.o.Attempts {
			if err := wait(ctx, l.o.Pause); err == nil {
				continue
			}
			report.Outcome, report.Code = CannotTell, Stopped
			report.Detail = "the check was ended before it could be repeated; it had found: " + report.Detail
		}
		if report.Outcome == Misbehaviour {
			report = l.keep(found)
		}
		break
	}
	if l.o.Evidence != "" {
		report.EvidenceKept = evidenceKept(l.o.Evidence)
	}
	return report
}

// finding is a report with what is evidence of it.
type finding struct {
	Report
	known, served []byte
	implied       string
	proof         []string
}

func (l *Log) keep(f finding) Report {
	if l.o.Evidence == "" {
		f.Detail += "; no evidence was kept, since no folder for it was named"
		return f.Report
	}
	folder, err := keepEvidence(l.o.Evidence, evidence{Report: f.Report, ImpliedRoot: f.implied, Proof: f.proof}, f.known, f.served)
	if err != nil {
		f.Detail += fmt.Sprintf("; the evidence could not be kept: %v", err)
		return f.Report
	}
	f.Evidence = folder
	return f.Report
}

func (l *Log) once(ctx context.Context) (f finding) {
	f.CheckedAt = l.o.Now().UTC()
	say := func(outcome Outcome, code, format string, args ...any) finding {
		f.Outcome, f.Code, f.Detail = outcome, code, fmt.Sprintf(format, args...)
		return f
	}
	failed := func(err error) finding {
		var why *failure
		if errors.As(err, &why) {
			return say(CannotTell, why.code, "%v", err)
		}
		return say(CannotTell, Unreachable, "%v", err)
	}

	signed, err := fetch(ctx, l.o.Source, checkpointName, maxCheckpoint)
	if err != nil {
		return failed(err)
	}
	served, err := l.open(signed)
	if err != nil {
		return failed(err)
	}
	f.Origin, f.Size, f.Root, f.served = served.Origin, served.Size, served.Root.String(), served.signed
	seen, enough := l.o.Policy.Check(signed, f.CheckedAt)
	f.Witnesses = seen

	read := newTiles(ctx, l.o.Source)
	known := slices.Clone(l.known)
	for _, c := range []*checkpoint{l.last, l.unwitnessed} {
		if c != nil {
			known = append(known, *c)
		}
	}
	for _, k := range known {
		f.KnownSize, f.known = k.Size, k.signed
		code, err := l.compare(&f, read, k, served)
		switch {
		case err != nil:
			var why *failure
			if errors.As(err, &why) {
				return say(CannotTell, why.code, "it cannot be told whether the tree of %d entries is the beginning of the one of %d: %v", min(k.Size, served.Size), max(k.Size, served.Size), err)
			}
			return say(Misbehaviour, TilesDiffer, "the tiles that are served are not of the tree of %d entries that is signed: %v", max(k.Size, served.Size), err)
		case code == SplitView:
			return say(Misbehaviour, code, "the log has signed two trees of %d entries, one with the root %s, one with %s", k.Size, k.Root, served.Root)
		case code == Rewritten:
			return say(Misbehaviour, code, "the log has signed a tree of %d entries and one of %d, and the smaller is not the beginning of the larger", min(k.Size, served.Size), max(k.Size, served.Size))
		case code == Rewound && f.Beginning == Proven:
			return say(Misbehaviour, code, "the log has signed a tree of %d entries and now serves its beginning of %d entries as the newest: entries were taken away, or an old copy is served", k.Size, served.Size)
		case code == Rewound:
			return say(Misbehaviour, code, "the log has signed a tree of %d entries and now serves one of %d as the newest: whether those are the same entries is not told, since the larger tree's tiles are not to be had", k.Size, served.Size)
		}
	}
	f.KnownSize, f.known = largest(known), nil
	// With nothing to compare, the edge of the tree is read all the same: a
	// log that cannot show it would be found out by the next check only.
	if _, err := tlog.TreeHash(served.Size, l.reader(read, served)); err != nil {
		var why *failure
		if errors.As(err, &why) {
			return failed(err)
		}
		return say(Misbehaviour, TilesDiffer, "the tiles that are served are not of the tree of %d entries that is signed: %v", served.Size, err)
	}
	if !enough {
		if err := l.accept(served, unwitnessedName, &l.unwitnessed); err != nil {
			return say(CannotTell, StateFailed, "the checkpoint is consistent and could not be kept: %v", err)
		}
		return say(CannotTell, NotWitnessed, "the tree of %d entries is not cosigned by enough of the witnesses that you ask for", served.Size)
	}
	if err := l.accept(served, checkpointName, &l.last); err != nil {
		return say(CannotTell, StateFailed, "the checkpoint is consistent and could not be kept: %v", err)
	}
	if l.o.Entries {
		done, code, err := l.entries(ctx, read, served)
		f.Entries = done
		switch {
		case err == nil:
		case code == EntriesDiffer || code == TilesDiffer:
			return say(Misbehaviour, code, "%v", err)
		default:
			return say(CannotTell, code, "the tree is consistent, and %d of its %d entries fit it; then: %v", done, served.Size, err)
		}
	} else if l.o.State != nil {
		if p, err := l.o.State.progress(); err == nil {
			f.Entries = p.Entries
		}
	}
	if len(known) == 0 {
		return say(Consistent, FirstSeen, "the log has signed a tree of %d entries; there was no earlier checkpoint to hold it against", served.Size)
	}
	return say(Consistent, Grown, "nothing that was there at %d entries was changed or removed; there are %d now", f.KnownSize, served.Size)
}

func largest(known []checkpoint) (size int64) {
	for _, k := range known {
		size = max(size, k.Size)
	}
	return size
}

func (l *Log) reader(read *tiles, c checkpoint) tlog.HashReader {
	return tlog.TileHashReader(tlog.Tree{N: c.Size, Hash: c.Root}, read)
}

// compare says how two signed trees contradict each other: [SplitView],
// [Rewritten], [Rewound], or "". Every hash that it uses was led up to the root
// of the larger tree. An error that is no failure is of tiles that do not lead
// there.
func (l *Log) compare(f *finding, read *tiles, known, served checkpoint) (string, error) {
	small, large := known, served
	if served.Size < known.Size {
		small, large = served, known
	}
	if small.Size == large.Size {
		if small.Root != large.Root {
			return SplitView, nil
		}
		return "", nil
	}
	hashes := l.reader(read, large)
	beginning := cosignature.EmptyRoot()
	if small.Size > 0 {
		var err error
		if beginning, err = tlog.TreeHash(small.Size, hashes); err != nil {
			if served.Size < known.Size {
				// A log that was wound back may not have the larger tree's
				// tiles any more, and nothing else leads from one root to the
				// other. That it serves less than it signed stands.
				f.Beginning = NotTold
				return Rewound, nil
			}
			return "", err
		}
	}
	if beginning != small.Root {
		f.prove(large.Size, small.Size, beginning, hashes)
		return Rewritten, nil
	}
	if served.Size < known.Size {
		f.Beginning = Proven
		f.prove(large.Size, small.Size, beginning, hashes)
		return Rewound, nil
	}
	return "", nil
}

// prove keeps what leads from the larger tree's root to the hash that its
// beginning has.
func (f *finding) prove(large, small int64, beginning tlog.Hash, hashes tlog.HashReader) {
	f.implied = beginning.String()
	if small == 0 {
		return // the tree of no entries is the beginning of any
	}
	if proof, err := tlog.ProveTree(large, small, hashes); err == nil {
		for _, hash := range proof {
			f.proof = append(f.proof, hash.String())
		}
	}
}

// accept makes a checkpoint one that the next is held against.
func (l *Log) accept(c checkpoint, name string, as **checkpoint) error {
	if l.o.State != nil && (*as == nil || string((*as).signed) != string(c.signed)) {
		if err := l.o.State.save(name, c.signed); err != nil {
			return err
		}
	}
	*as = &c
	return nil
}

// savedEach is after how many entries the progress is kept.
const savedEach = 256 * width

// entries holds the entries that were not yet held against the tree. It
// returns how many fit, from the first on.
func (l *Log) entries(ctx context.Context, read *tiles, c checkpoint) (done int64, code string, err error) {
	if l.o.State != nil {
		p, err := l.o.State.progress()
		if err != nil {
			return 0, StateFailed, fmt.Errorf("read how far the entries were checked: %w", err)
		}
		// It counts only if the tree that was checked is the beginning of this
		// one, which is asked again here: the files of a state can be mixed up.
		if p.Size <= c.Size && p.Entries > 0 {
			beginning, err := tlog.TreeHash(p.Size, l.reader(read, c))
			if err != nil {
				return 0, codeOf(err), err
			}
			if beginning.String() == p.Root {
				done = p.Entries
			}
		}
	}
	save := func() error {
		if l.o.State == nil {
			return nil
		}
		return l.o.State.saveProgress(progress{Entries: done, Size: c.Size, Root: c.Root.String()})
	}
	hashes := l.reader(read, c)
	saved := done
	for done < c.Size {
		if err := ctx.Err(); err != nil {
			return done, Stopped, errors.Join(fmt.Errorf("the check was ended: %w", err), save())
		}
		n := done / width
		w := int(min(c.Size-n*width, width))
		entries, err := read.bundle(n, w)
		if err != nil {
			return done, codeOf(err), errors.Join(err, save())
		}
		indexes := make([]int64, w)
		for i := range indexes {
			indexes[i] = tlog.StoredHashIndex(0, n*width+int64(i))
		}
		want, err := hashes.ReadHashes(indexes)
		if err != nil {
			return done, codeOf(err), errors.Join(err, save())
		}
		for i, entry := range entries {
			if tlog.RecordHash(entry) != want[i] {
				return done, EntriesDiffer, errors.Join(fmt.Errorf("entry %d as it is served does not have the hash that is in the tree", n*width+int64(i)), save())
			}
		}
		done = n*width + int64(w)
		if l.o.Progress != nil {
			l.o.Progress(done, c.Size)
		}
		if done-saved >= savedEach {
			if err := save(); err != nil {
				return done, StateFailed, err
			}
			saved = done
		}
	}
	if err := save(); err != nil {
		return done, StateFailed, err
	}
	return done, "", nil
}

// codeOf is a failure's code, and that of tiles that do not fit for whatever
// the library says of them.
func codeOf(err error) string {
	var why *failure
	if errors.As(err, &why) {
		return why.code
	}
	return TilesDiffer
}
