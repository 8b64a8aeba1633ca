package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"dalel/internal/durable"
	"dalel/internal/filelock"
)

// State is what an auditor keeps between checks, in a folder of its own:
//
//	checkpoint      the last signed checkpoint that was consistent with those before
//	unwitnessed     the last one that was consistent but not cosigned by enough witnesses
//	entries.json    how many entries were held against the tree, and of which checkpoint
//	evidence/<…>/   two checkpoints that contradict each other, and what they are
//	.lock           held while an audit runs
type State struct {
	dir  string
	lock *os.File
}

// maxEvidence bounds the folders of evidence. Each needs a signature of the log.
const maxEvidence = 1000

// OpenState opens dir, making it if there is none, and holds it until Close.
// filelock.ErrHeld, wrapped, means that another audit has it.
func OpenState(dir string) (*State, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the auditor's folder: %w", err)
	}
	lock, err := filelock.Own(filepath.Join(dir, ".lock"))
	if err != nil {
		return nil, fmt.Errorf("take the auditor's folder %s: %w", dir, err)
	}
	// What a killed audit was writing has no name yet, and counts for nothing.
	for _, pattern := range []string{".part-*", "evidence/*/.part-*"} {
		parts, err := filepath.Glob(filepath.Join(dir, filepath.FromSlash(pattern)))
		for _, part := range parts {
			err = errors.Join(err, os.Remove(part))
		}
		if err != nil {
			return nil, fmt.Errorf("tidy the auditor's folder: %w", errors.Join(err, lock.Close()))
		}
	}
	return &State{dir: dir, lock: lock}, nil
}

// Close lets the folder go.
func (s *State) Close() error { return s.lock.Close() }

const unwitnessedName = "unwitnessed"

// read returns a checkpoint that was kept, nil if there is none.
func (s *State) read(name string) ([]byte, error) {
	path := filepath.Join(s.dir, name)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxCheckpoint {
		return nil, fmt.Errorf("%s is no signed checkpoint", path)
	}
	return os.ReadFile(path)
}

func (s *State) save(name string, signed []byte) error {
	return durable.Replace(filepath.Join(s.dir, name), signed)
}

// progress is entries.json: entries [0, Entries) fit the tree of this size and
// root, which is the beginning of every checkpoint kept later.
type progress struct {
	Entries int64  `json:"entries"`
	Size    int64  `json:"size"`
	Root    string `json:"root"`
}

func (s *State) progress() (progress, error) {
	content, err := os.ReadFile(filepath.Join(s.dir, "entries.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return progress{}, nil
	}
	var p progress
	if err == nil {
		err = json.Unmarshal(content, &p)
	}
	if err == nil && (p.Entries < 0 || p.Entries > p.Size) {
		err = errors.New("the numbers in entries.json cannot be")
	}
	return p, err
}

func (s *State) saveProgress(p progress) error {
	content, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return durable.Replace(filepath.Join(s.dir, "entries.json"), append(content, '\n'))
}

// evidence is what is written beside two checkpoints.
type evidence struct {
	Report
	// Known and Served name the files.
	Known  string `json:"known"`
	Served string `json:"served"`
	// ImpliedRoot is, of a log that was rewritten or wound back, the root that
	// the beginning of the larger tree has at the smaller one's size, and Proof
	// the hashes of a consistency proof (RFC 6962, 2.1.2) from it to the larger
	// tree's root: with them the contradiction, or that the smaller tree is that
	// beginning, is checked without asking the log. Neither is there where
	// Beginning is [NotTold].
	ImpliedRoot string   `json:"impliedRoot,omitempty"`
	Proof       []string `json:"proof,omitempty"`
}

const explanation = `Two checkpoints of one transparency log (C2SP tlog-checkpoint), signed by the log's
own key, as they were received. report.json says how they contradict each other.

Each file has the log's name, the number of entries and the hash of the whole tree,
an empty line, and then the signatures. Anybody verifies them with the log's public
key and any program for signed notes (C2SP signed-note), for instance the package
golang.org/x/mod/sumdb/note. What each code means:

log.split-view       both have the same number of entries and another hash. A log
                     that never changes anything has one hash for each number.
log.rewritten        the smaller tree is not the beginning of the larger one:
                     impliedRoot is the hash that the larger tree's beginning has,
                     and proof leads from it to the larger tree's hash
                     (RFC 6962, section 2.1.2).
log.rewound          after the larger tree the log served the smaller one as its
                     newest. The signatures show that both were signed; the order
                     in which they were served rests on who received them. Where
                     beginning is "proven", the smaller tree is the beginning of
                     the larger: impliedRoot is its hash, and proof leads from it
                     to the larger tree's hash. Where it is "not-told", the larger
                     tree's hashes were not served any more: whether the smaller
                     has the same entries is not known.
log.tiles-differ,    what was served for the signed tree does not have its hashes.
log.entries-differ   What was served is not signed, so this rests on who received it.
`

// keepEvidence writes a folder with both checkpoints below dir and returns its
// path; the same evidence is kept once.
func keepEvidence(dir string, e evidence, known, served []byte) (string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	kept, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	// What was not told at first may be proven later: that is more evidence.
	fmt.Fprintf(sum, "%s\n%s\n%s%s", e.Code, bodyOf(known), bodyOf(served), e.Beginning)
	folder := filepath.Join(dir, strings.ReplaceAll(e.Code, ".", "-")+"-"+hex.EncodeToString(sum.Sum(nil)[:8]))
	if _, err := os.Stat(filepath.Join(folder, "report.json")); err == nil {
		return folder, nil
	}
	if len(kept) >= maxEvidence {
		return "", fmt.Errorf("there are %d folders of evidence already", len(kept))
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", err
	}
	e.Served, e.Evidence = "served.checkpoint", ""
	if known != nil {
		e.Known = "known.checkpoint"
		if err := durable.Replace(filepath.Join(folder, e.Known), known); err != nil {
			return "", err
		}
	}
	report, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return "", err
	}
	return folder, errors.Join(
		durable.Replace(filepath.Join(folder, e.Served), served),
		durable.Replace(filepath.Join(folder, "README.txt"), []byte(explanation)),
		durable.Replace(filepath.Join(folder, "report.json"), append(report, '\n')), // last: the folder is whole
		durable.SyncFolder(dir))
}

// evidenceKept counts the folders of evidence.
func evidenceKept(dir string) int {
	kept, err := filepath.Glob(filepath.Join(dir, "*", "report.json"))
	if err != nil {
		return 0
	}
	return len(kept)
}

// bodyOf is a signed note without its signatures.
func bodyOf(signed []byte) string {
	text := string(signed)
	if at := strings.LastIndex(text, "\n\n"); at >= 0 {
		return text[:at+1]
	}
	return text
}
