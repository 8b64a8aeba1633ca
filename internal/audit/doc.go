// Package audit follows a transparency log that somebody else serves, for
// somebody who does not trust them (R-M4).
//
// An auditor keeps the last checkpoint that he saw. [Log.Check] fetches the
// one that is served now, verifies its signature and as many witnesses'
// cosignatures as a policy asks for, and computes from the served tiles
// whether his tree is the beginning of the new one. Every hash that it uses
// leads up to the signed root, so a server cannot answer but with the tree
// that was signed. What comes out is one of three:
//
//   - consistent: nothing that he saw was changed or removed;
//   - misbehaviour: the log has signed what cannot all be true, or serves what
//     it has not signed. Both signed checkpoints are kept as files;
//   - cannot tell: it was not reached or not readable, is not signed by the
//     log's key, or not by enough witnesses. This is never turned into yes.
//
// The package reads any log in the C2SP tlog-tiles layout and shares no code
// with the one that writes ours, except for the tree arithmetic of
// golang.org/x/mod/sumdb/tlog: an auditor who uses it finds faults of the
// writer too.
package audit

import (
	"time"

	"golang.org/x/mod/sumdb/note"

	"dalel/internal/cosignature"
)

// Outcome is what can be said of a log. The zero value says nothing.
type Outcome string

// The outcomes.
const (
	Consistent   Outcome = "consistent"
	Misbehaviour Outcome = "misbehaviour"
	CannotTell   Outcome = "cannot-tell"
)

// Codes of findings. They are stable: a code keeps its meaning and its outcome.
const (
	// FirstSeen: the checkpoint stands, and there was none to compare it with.
	FirstSeen = "log.first-seen"
	// Grown: the tree known is the beginning of the one served, or is it.
	Grown = "log.consistent"

	// Rewound: the log serves a smaller tree than it has signed before. Whether it
	// is the beginning of that one is in [Report.Beginning].
	Rewound = "log.rewound"
	// SplitView: it has signed two trees of one size.
	SplitView = "log.split-view"
	// Rewritten: of two trees that it has signed, the smaller is not the
	// beginning of the larger.
	Rewritten = "log.rewritten"
	// TilesDiffer: the tiles that it serves are not of the tree that it has
	// signed. Tiles are not signed: this convinces who sees it, not a court.
	TilesDiffer = "log.tiles-differ"
	// EntriesDiffer: an entry that it serves does not have the hash that is in
	// the tree. As with tiles, what was served is not signed.
	EntriesDiffer = "log.entries-differ"

	// Unreachable: no answer in time, or an error.
	Unreachable = "log.unreachable"
	// Incomplete: a tile or bundle of the signed tree is not there.
	Incomplete = "log.incomplete"
	// Unreadable: what is served is no checkpoint, no tile, no bundle.
	Unreadable = "log.unreadable"
	// NotSigned: the checkpoint bears no signature of the log's key that
	// verifies. Who made it cannot be told.
	NotSigned = "log.not-signed"
	// AnotherLog: the checkpoint is of another origin.
	AnotherLog = "log.another-origin"
	// NotWitnessed: it is consistent, but not enough witnesses say so.
	NotWitnessed = "log.not-witnessed"
	// StateFailed: the auditor's own folder cannot be read or written.
	StateFailed = "audit.state-failed"
	// Stopped: the caller ended the check.
	Stopped = "audit.stopped"
)

// What [Report.Beginning] says.
const (
	Proven  = "proven"
	NotTold = "not-told"
)

// Report is what one check found.
type Report struct {
	Outcome Outcome `json:"outcome"`
	// Code is one of the codes above, Detail says the same to people.
	Code   string `json:"code"`
	Detail string `json:"detail"`
	// CheckedAt is when, by the auditor's clock.
	CheckedAt time.Time `json:"checkedAt"`
	// Origin, Size and Root are what the log has signed now, if that is known.
	Origin string `json:"origin,omitempty"`
	Size   int64  `json:"size"`
	Root   string `json:"root,omitempty"`
	// KnownSize is the size of the checkpoint that it was held against; of
	// several the largest, and the one that contradicts if any does.
	KnownSize int64 `json:"knownSize"`
	// Beginning says, of a log that was wound back, whether the smaller tree is
	// the beginning of the larger: [Proven] by tiles that lead up to the larger
	// one's root, or [NotTold] where those are not to be had any more. "" for all
	// else.
	Beginning string `json:"beginning,omitempty"`
	// Witnesses are those that the policy names.
	Witnesses []cosignature.Seen `json:"witnesses,omitempty"`
	// Entries is how many entries, from the first on, were held against the
	// tree, in this check or an earlier one.
	Entries int64 `json:"entries"`
	// Evidence is the folder with the two checkpoints, "" if there is none.
	Evidence string `json:"evidence,omitempty"`
	// EvidenceKept is how many folders of evidence there are, old ones too.
	EvidenceKept int `json:"evidenceKept,omitempty"`
}

// Options say what is audited and against what.
type Options struct {
	// Source is where the log is read from.
	Source Source
	// Keys are the log's, one or several of one name, which is the origin.
	Keys []note.Verifier
	// Policy says which witnesses must have cosigned.
	Policy cosignature.Policy
	// Earlier are signed checkpoints that the auditor got before, from
	// wherever: his own, another's, one out of a proof packet.
	Earlier [][]byte
	// State is where the last checkpoint is kept; nil keeps none.
	State *State
	// Evidence is the folder for evidence if there is no State; "" keeps none.
	Evidence string
	// Entries asks for all entries to be held against the tree.
	Entries bool
	// Progress is told how far that is; may be nil.
	Progress func(done, total int64)
	// Attempts is how often a check is made before misbehaviour is reported
	// that a lagging copy or a broken line explains as well: a smaller tree,
	// tiles and entries that differ. 3 unless set, Pause apart, which is 2
	// seconds unless set. Two signed trees that contradict each other are
	// reported at once.
	Attempts int
	Pause    time.Duration
	// Now is the clock; time.Now unless set.
	Now func() time.Time
}
