package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"dalel/domain/checkpoint"
	"dalel/domain/event"
	"dalel/domain/fsck"
	"dalel/eventstore"
	"dalel/internal/translog"
)

// fscked runs fsck and returns what it says.
func fscked(t *testing.T, dir string, args ...string) (status int, summary fsck.Summary, problems []fsck.Problem) {
	t.Helper()
	status, out, stderr := dalel(t, append([]string{"fsck", "--json", "--dir", dir}, args...)...)
	require.NotEqual(t, exitFailed, status, stderr)
	var report struct {
		Summary  fsck.Summary
		Problems []fsck.Problem
	}
	require.NoError(t, json.Unmarshal([]byte(out), &report))
	return status, report.Summary, report.Problems
}

// requireNamed makes sure that a problem of a code is named at a place, which
// may be given by its beginning.
func requireNamed(t *testing.T, problems []fsck.Problem, code fsck.Code, where string) {
	t.Helper()
	for _, p := range problems {
		if p.Code == code && strings.HasPrefix(p.Where, where) {
			require.NotEmpty(t, p.What)
			return
		}
	}
	require.Failf(t, "not named", "%s at %q among %v", code, where, problems)
}

// unguarded does things to the events as somebody who may do everything.
func unguarded(t *testing.T, dir string, statements ...string) {
	t.Helper()
	db := openDatabase(t, dir)
	defer db.Close()
	statements = append([]string{
		"DROP TRIGGER events_refuse_update", "DROP TRIGGER events_refuse_delete",
		"DROP TRIGGER streams_refuse_update", "DROP TRIGGER streams_refuse_delete",
	}, statements...)
	for _, s := range statements {
		_, err := db.ExecContext(t.Context(), s)
		require.NoError(t, err, s)
	}
}

// placed is the place of the first event of a type, or of the one after it.
func placed(t *testing.T, dir, eventType string, further int) string {
	t.Helper()
	db := openDatabase(t, dir)
	defer db.Close()
	var stream string
	var revision int
	require.NoError(t, db.QueryRowContext(t.Context(), `SELECT s.name, e.revision FROM events e JOIN streams s ON s.id = e.stream
		WHERE e.type = ? ORDER BY e.position LIMIT 1`, eventType).Scan(&stream, &revision))
	return fmt.Sprintf("%s@%d", stream, revision+further)
}

func firstOf(eventType string) string {
	return fmt.Sprintf("position = (SELECT min(position) FROM events WHERE type = '%s')", eventType)
}

// rewritten changes an event and writes all that follow in its stream anew, so
// that ids and links are right again.
func rewritten(t *testing.T, dir, stream string, from int) {
	t.Helper()
	unguarded(t, dir)
	db := openDatabase(t, dir)
	defer db.Close()
	rows, err := db.QueryContext(t.Context(), `SELECT e.position, e.revision, e.type, e.data, e.metadata FROM events e JOIN streams s ON s.id = e.stream
		WHERE s.name = ? ORDER BY e.revision`, stream)
	require.NoError(t, err)
	type row struct {
		position, revision int
		kind               string
		data, metadata     []byte
	}
	var all []row
	for rows.Next() {
		var r row
		require.NoError(t, rows.Scan(&r.position, &r.revision, &r.kind, &r.data, &r.metadata))
		all = append(all, r)
	}
	require.NoError(t, errorsOf(rows))
	var was, is eventstore.Hash
	for i, r := range all {
		old := eventstore.Restore(eventstore.StreamID(stream), eventstore.Revision(r.revision), r.kind, r.data, r.metadata)
		if i == from {
			changed := strings.Replace(string(r.metadata), `"recordedAt":"2`, `"recordedAt":"1`, 1)
			require.NotEqual(t, string(r.metadata), changed)
			r.metadata = []byte(changed)
		}
		if i > from {
			r.metadata = []byte(strings.Replace(string(r.metadata), was.String(), is.String(), 1))
		}
		now := eventstore.Restore(old.Stream, old.Revision, r.kind, r.data, r.metadata)
		was, is = old.Commitment, now.Commitment
		if i >= from {
			_, err := db.ExecContext(t.Context(), "UPDATE events SET metadata = ?, id = ? WHERE position = ?", string(r.metadata), now.ID.String(), r.position)
			require.NoError(t, err)
		}
	}
}

func errorsOf(rows *sql.Rows) error {
	if err := rows.Err(); err != nil {
		return err
	}
	return rows.Close()
}

// overwrite changes a file that is written once.
func overwrite(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	content := change(read(t, path))
	require.NoError(t, os.Remove(path))
	require.NoError(t, os.WriteFile(path, content, 0o400))
}

func flipped(content []byte) []byte {
	content[len(content)/2] ^= 1
	return content
}

func cut(content []byte) []byte { return content[:len(content)-40] }

// logObject is the path of one of the log's files, of which there is one.
func logObject(t *testing.T, dir, pattern string) (path, name string) {
	t.Helper()
	root := filepath.Join(dir, blobsDir, logDir)
	size := servedCheckpoint(t, dir).Size
	name = fmt.Sprintf(pattern, size/256, size%256)
	return filepath.Join(root, filepath.FromSlash(name)), name
}

// putBackEvents puts another ledger's events in place of a ledger's.
func putBackEvents(t *testing.T, dir, other string) {
	t.Helper()
	for _, rest := range []string{"-wal", "-shm"} {
		_ = os.Remove(filepath.Join(dir, eventsFile+rest))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, eventsFile), read(t, filepath.Join(other, eventsFile)), 0o600))
}

// putBackKeys puts another ledger's keys in place of a ledger's.
func putBackKeys(t *testing.T, dir, other string) {
	t.Helper()
	for _, rest := range []string{"-wal", "-shm"} {
		_ = os.Remove(filepath.Join(dir, keysFile+rest))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, keysFile), read(t, filepath.Join(other, keysFile)), 0o600))
}

// published records a checkpoint as who holds the log's key can, whatever it
// says.
func published(t *testing.T, dir string, change func(*checkpoint.Publish), sign func(translog.Checkpoint, *node) []byte) string {
	t.Helper()
	var where string
	changed(t, dir, func(n *node) {
		state, err := n.ledger.Checkpoints(t.Context())
		require.NoError(t, err)
		next := checkpoint.Publish{Origin: n.logKey.signer.Name(), After: state.Newest().Size, Now: time.Now()}
		var tree translog.Frontier
		for recorded, err := range n.store.ReadAll(t.Context(), 0, 0) {
			require.NoError(t, err)
			tree.Append(recorded.Leaf())
			next.Last = event.Reference{Stream: recorded.Stream, Revision: recorded.Revision, Commitment: recorded.Commitment}
		}
		next.Size, next.Root = tree.Size(), eventstore.Hash(tree.Root())
		change(&next)
		next.Note = string(sign(translog.Checkpoint{Origin: next.Origin, Size: next.Size, Root: translog.Hash(next.Root)}, n))
		require.NoError(t, n.ledger.PublishCheckpoint(t.Context(), next))
		head, err := eventstore.ReadHead(t.Context(), n.store, checkpoint.StreamID(checkpoint.Log))
		require.NoError(t, err)
		where = fmt.Sprintf("checkpoint-log@%d", head.Next-1)
	})
	return where
}

func byTheLog(t *testing.T) func(translog.Checkpoint, *node) []byte {
	return func(c translog.Checkpoint, n *node) []byte {
		text, err := translog.Sign(c, n.logKey.signer)
		require.NoError(t, err)
		return text
	}
}

func byAnother(t *testing.T) func(translog.Checkpoint, *node) []byte {
	return func(c translog.Checkpoint, _ *node) []byte {
		secret, _, err := note.GenerateKey(rand.Reader, c.Origin)
		require.NoError(t, err)
		signer, err := note.NewSigner(secret)
		require.NoError(t, err)
		text, err := translog.Sign(c, signer)
		require.NoError(t, err)
		return text
	}
}

// TestR_M4_FsckNamesEachKindOfDeviation does one thing at a time to a ledger,
// as an administrator would who has every right and the log's key, and asks for
// the code and the place.
func TestR_M4_FsckNamesEachKindOfDeviation(t *testing.T) {
	inTheWholeRun(t)
	older := played(t)
	newer := filepath.Join(t.TempDir(), "newer")
	copyLedgerFolder(t, newer, older)
	destroyed(t, newer)
	status, said, stderr := dalel(t, "log", "publish", "--dir", newer)
	require.Zero(t, status, said+stderr)
	status, summary, problems := fscked(t, newer)
	require.Zero(t, status, problems)
	require.GreaterOrEqual(t, summary.Checkpoints, 2)
	require.GreaterOrEqual(t, summary.Files, 0)
	served := func(dir string) string { return filepath.Join(dir, blobsDir, logDir, "checkpoint") }

	type expected struct {
		code  fsck.Code
		where string
	}
	one := func(code fsck.Code, where string) []expected { return []expected{{code, where}} }
	for name, do := range map[string]func(t *testing.T, dir string) []expected{
		"data": func(t *testing.T, dir string) []expected {
			unguarded(t, dir, `UPDATE events SET data = replace(data, '"rejectedAt":"2', '"rejectedAt":"3') WHERE `+firstOf("DocumentRejected"))
			return one(fsck.EventChanged, placed(t, dir, "DocumentRejected", 0))
		},
		"data that is no longer an event's": func(t *testing.T, dir string) []expected {
			unguarded(t, dir, `UPDATE events SET data = substr(data, 1, length(data) - 1) WHERE `+firstOf("DocumentRejected"))
			return one(fsck.EventDataChanged, placed(t, dir, "DocumentRejected", 0))
		},
		"metadata": func(t *testing.T, dir string) []expected {
			unguarded(t, dir, `UPDATE events SET metadata = replace(metadata, '"recordedAt":"2', '"recordedAt":"3') WHERE `+firstOf("DocumentRejected"))
			return one(fsck.EventChanged, placed(t, dir, "DocumentRejected", 0))
		},
		"the link in the metadata": func(t *testing.T, dir string) []expected {
			unguarded(t, dir, `UPDATE events SET metadata = replace(metadata, '"prev":"', '"prev":"00') WHERE `+firstOf("DocumentRejected"),
				`UPDATE events SET metadata = substr(metadata, 1, instr(metadata, '"prev":"00') + 71) || substr(metadata, instr(metadata, '"prev":"00') + 74) WHERE `+firstOf("DocumentRejected"))
			return one(fsck.EventMetadataChanged, placed(t, dir, "DocumentRejected", 0))
		},
		"an event in the middle taken away": func(t *testing.T, dir string) []expected {
			next := placed(t, dir, "DocumentViewed", 1)
			unguarded(t, dir, `DELETE FROM events WHERE `+firstOf("DocumentViewed"))
			return []expected{{fsck.EventMissing, next}, {fsck.EventMissing, "position "}, {fsck.CheckpointDiverged, "checkpoint"}}
		},
		"the tail cut off": func(t *testing.T, dir string) []expected {
			unguarded(t, dir, `DELETE FROM events WHERE position > (SELECT max(position) - 3 FROM events)`)
			return []expected{{fsck.TailCut, "position "}, {fsck.LedgerRewound, "the ledger"}}
		},
		"the tail cut off and forgotten": func(t *testing.T, dir string) []expected {
			unguarded(t, dir, `DELETE FROM events WHERE position > (SELECT max(position) - 3 FROM events)`,
				`UPDATE sqlite_sequence SET seq = (SELECT max(position) FROM events) WHERE name = 'events'`)
			return one(fsck.LedgerRewound, "the ledger")
		},
		"what the file knows of positions": func(t *testing.T, dir string) []expected {
			unguarded(t, dir, `DELETE FROM sqlite_sequence`)
			return one(fsck.SequenceChanged, "the event store")
		},
		"the guards": func(t *testing.T, dir string) []expected {
			unguarded(t, dir)
			return one(fsck.SchemaChanged, "the event store: events_refuse_update was dropped")
		},
		"an event rewritten with all that follows it": func(t *testing.T, dir string) []expected {
			stream, _, _ := strings.Cut(placed(t, dir, "DocumentRejected", 0), "@")
			rewritten(t, dir, stream, 1)
			return []expected{{fsck.EventRewritten, stream + "@1"}, {fsck.CheckpointDiverged, "checkpoint-log@0"}}
		},
		"an older copy of the events": func(t *testing.T, dir string) []expected {
			putBackEvents(t, dir, older)
			return one(fsck.LedgerRewound, "the ledger")
		},
		"an older copy of the events, the keys and the checkpoint": func(t *testing.T, dir string) []expected {
			putBackEvents(t, dir, older)
			putBackKeys(t, dir, older)
			overwrite(t, served(dir), func([]byte) []byte { return read(t, served(older)) })
			return one(fsck.LogBeyond, "tile/")
		},
		"content changed": func(t *testing.T, dir string) []expected {
			path := largestBlob(t, dir)
			overwrite(t, path, flipped)
			return one(fsck.ContentChanged, "content "+filepath.Base(filepath.Dir(path))+filepath.Base(path))
		},
		"content taken away": func(t *testing.T, dir string) []expected {
			path := largestBlob(t, dir)
			require.NoError(t, os.Remove(path))
			return one(fsck.ContentMissing, "content "+filepath.Base(filepath.Dir(path))+filepath.Base(path))
		},
		"something among the content": func(t *testing.T, dir string) []expected {
			require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(largestBlob(t, dir)), "note.txt"), []byte("hello"), 0o600))
			return one(fsck.ContentForeign, "content folder, ")
		},
		"a tile changed": func(t *testing.T, dir string) []expected {
			path, name := logObject(t, dir, "tile/0/%03d.p/%d")
			overwrite(t, path, flipped)
			return one(fsck.TileChanged, name)
		},
		"a tile cut": func(t *testing.T, dir string) []expected {
			path, name := logObject(t, dir, "tile/0/%03d.p/%d")
			overwrite(t, path, cut)
			return one(fsck.TileCut, name)
		},
		"a tile taken away": func(t *testing.T, dir string) []expected {
			path, name := logObject(t, dir, "tile/0/%03d.p/%d")
			require.NoError(t, os.Remove(path))
			return one(fsck.TileMissing, name)
		},
		"a bundle changed": func(t *testing.T, dir string) []expected {
			path, name := logObject(t, dir, "tile/entries/%03d.p/%d")
			overwrite(t, path, flipped)
			return one(fsck.BundleChanged, name)
		},
		"a bundle cut": func(t *testing.T, dir string) []expected {
			path, name := logObject(t, dir, "tile/entries/%03d.p/%d")
			overwrite(t, path, cut)
			return one(fsck.BundleCut, name)
		},
		"a bundle taken away": func(t *testing.T, dir string) []expected {
			path, name := logObject(t, dir, "tile/entries/%03d.p/%d")
			require.NoError(t, os.Remove(path))
			return one(fsck.BundleMissing, name)
		},
		"the log's key signs another tree, served": func(t *testing.T, dir string) []expected {
			c := servedCheckpoint(t, dir)
			c.Root[0] ^= 1
			changed(t, dir, func(n *node) { overwrite(t, served(dir), func([]byte) []byte { return byTheLog(t)(c, n) }) })
			return one(fsck.CheckpointDiverged, "checkpoint")
		},
		"the log's key signs another tree, recorded": func(t *testing.T, dir string) []expected {
			where := published(t, dir, func(p *checkpoint.Publish) { p.Root[0] ^= 1 }, byTheLog(t))
			return one(fsck.CheckpointDiverged, where)
		},
		"a recorded checkpoint that another key signed": func(t *testing.T, dir string) []expected {
			return one(fsck.CheckpointSignature, published(t, dir, func(*checkpoint.Publish) {}, byAnother(t)))
		},
		"a recorded checkpoint that names another last event": func(t *testing.T, dir string) []expected {
			return one(fsck.CheckpointMisplaced, published(t, dir, func(p *checkpoint.Publish) { p.Last.Revision++ }, byTheLog(t)))
		},
		"a recorded checkpoint of more events than there were": func(t *testing.T, dir string) []expected {
			return one(fsck.CheckpointOrder, published(t, dir, func(p *checkpoint.Publish) { p.Size += 100 }, byTheLog(t)))
		},
		"an older checkpoint served": func(t *testing.T, dir string) []expected {
			overwrite(t, served(dir), func([]byte) []byte { return read(t, served(older)) })
			return one(fsck.CheckpointRewound, "checkpoint")
		},
		"no checkpoint served": func(t *testing.T, dir string) []expected {
			require.NoError(t, os.Remove(served(dir)))
			return one(fsck.CheckpointMissing, "checkpoint")
		},
		"a checkpoint served that another key signed": func(t *testing.T, dir string) []expected {
			c := servedCheckpoint(t, dir)
			overwrite(t, served(dir), func([]byte) []byte { return byAnother(t)(c, nil) })
			return one(fsck.CheckpointForeign, "checkpoint")
		},
		"a cosignature that is none": func(t *testing.T, dir string) []expected {
			changed(t, dir, func(n *node) {
				state, err := n.ledger.Checkpoints(t.Context())
				require.NoError(t, err)
				require.NoError(t, n.ledger.CosignCheckpoint(t.Context(), checkpoint.Cosign{
					Size: state.Newest().Size, Root: state.Newest().Root, Witness: "w", KeyID: "00ff10ab", Line: "— w AAAAAAAA", Now: time.Now(),
				}))
			})
			return one(fsck.CosignatureWrong, "checkpoint-log@")
		},
		"a time token that is none": func(t *testing.T, dir string) []expected {
			changed(t, dir, func(n *node) {
				state, err := n.ledger.Checkpoints(t.Context())
				require.NoError(t, err)
				require.NoError(t, n.ledger.StampCheckpoint(t.Context(), checkpoint.Stamp{
					Size: state.Newest().Size, Root: state.Newest().Root, Authority: "another", Time: time.Now(), Over: checkpoint.OverNote, Now: time.Now(),
				}, []byte("no token")))
			})
			return one(fsck.TokenWrong, "checkpoint-log@")
		},
		"a known witness's line from under another checkpoint": func(t *testing.T, dir string) []expected {
			changed(t, dir, func(n *node) {
				state, err := n.ledger.Checkpoints(t.Context())
				require.NoError(t, err)
				was := cosignedIn(t, state)
				require.NoError(t, n.ledger.CosignCheckpoint(t.Context(), checkpoint.Cosign{
					Size: state.Newest().Size, Root: state.Newest().Root, Witness: was.Witness, KeyID: was.KeyID, Line: was.Line, Now: time.Now(),
				}))
			})
			return one(fsck.CosignatureWrong, "checkpoint-log@")
		},
		"a good time token of another checkpoint": func(t *testing.T, dir string) []expected {
			changed(t, dir, func(n *node) {
				state, err := n.ledger.Checkpoints(t.Context())
				require.NoError(t, err)
				i := slices.IndexFunc(state.Checkpoints, func(c checkpoint.Signed) bool { return len(c.Stamps) > 0 })
				require.GreaterOrEqual(t, i, 0, "the demo's authority has stamped")
				was := state.Checkpoints[i].Stamps[0]
				token, err := n.ledger.TimeToken(t.Context(), was)
				require.NoError(t, err)
				require.NoError(t, n.ledger.StampCheckpoint(t.Context(), checkpoint.Stamp{
					Size: state.Newest().Size, Root: state.Newest().Root, Authority: "another", Time: was.Time, Over: checkpoint.OverNote, Now: time.Now(),
				}, token))
			})
			return one(fsck.TokenWrong, "checkpoint-log@")
		},
		"a byte of the file's index": func(t *testing.T, dir string) []expected {
			db := openDatabase(t, dir)
			var page, size int64
			require.NoError(t, db.QueryRowContext(t.Context(), `SELECT rootpage FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'events' LIMIT 1`).Scan(&page))
			require.NoError(t, db.QueryRowContext(t.Context(), `PRAGMA page_size`).Scan(&size))
			_, err := db.ExecContext(t.Context(), `PRAGMA wal_checkpoint(TRUNCATE)`)
			require.NoError(t, err)
			require.NoError(t, db.Close())
			file, err := os.OpenFile(filepath.Join(dir, eventsFile), os.O_RDWR, 0)
			require.NoError(t, err)
			defer file.Close()
			last := make([]byte, 1) // of a key, at the page's end
			at := page*size - 1
			_, err = file.ReadAt(last, at)
			require.NoError(t, err)
			last[0] ^= 1
			_, err = file.WriteAt(last, at)
			require.NoError(t, err)
			return one(fsck.StoreDamaged, "the event store")
		},
		"a destroyed key back": func(t *testing.T, dir string) []expected {
			putBackKeys(t, dir, older)
			return one(fsck.KeyBack, "key of document-")
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "ledger")
			copyLedgerFolder(t, dir, newer)
			expected := do(t, dir)
			status, _, problems := fscked(t, dir)
			require.Equal(t, exitBad, status)
			for _, e := range expected {
				requireNamed(t, problems, e.code, e.where)
			}
			// One change is one problem, but for the guards that had to go first
			// and what follows of necessity: a checkpoint that was only recorded
			// is neither served nor in files, and an event that is gone moves
			// all others.
			others := 0
			for _, p := range problems {
				if p.Code != fsck.SchemaChanged {
					others++
				}
			}
			require.LessOrEqual(t, others, len(expected)+3, "%v", problems)
		})
	}
}

// cosignedIn is a witness's line that the ledger has recorded.
func cosignedIn(t *testing.T, state checkpoint.State) checkpoint.Cosigned {
	t.Helper()
	for _, c := range state.Checkpoints {
		if len(c.Cosignatures) > 0 {
			return c.Cosignatures[0]
		}
	}
	require.Fail(t, "the demo's witness has cosigned nothing")
	return checkpoint.Cosigned{}
}

func TestR_M4_WhatIsServedUnderTheCheckpointIsWhatIsRecorded(t *testing.T) {
	older := played(t)
	path := func(dir string) string { return filepath.Join(dir, blobsDir, logDir, "checkpoint") }
	lines := strings.SplitAfter(string(read(t, path(older))), "\n")
	require.Len(t, lines, 7, "a body of three lines, an empty one, the log's signature, a witness's, and the end")
	witness := lines[5]
	status, summary, problems := fscked(t, older)
	require.Zero(t, status, problems)
	require.Zero(t, summary.Unserved)

	swapped := []byte(witness)
	at := len(swapped) - 20
	swapped[at] = map[bool]byte{true: 'B', false: 'A'}[swapped[at] == 'A']
	name := strings.Fields(witness)[1]
	for what, c := range map[string]struct {
		served   string
		code     fsck.Code
		where    string
		unserved int
	}{
		"taken out":           {strings.Join(lines[:5], ""), "", "", 1},
		"changed":             {strings.Join(lines[:5], "") + string(swapped), fsck.CosignatureForeign, "checkpoint, line 6", 1},
		"a stranger's":        {strings.Join(lines, "") + strings.Replace(witness, name, "witness.example/1", 1), fsck.CosignatureForeign, "checkpoint, line 7", 0},
		"twice":               {strings.Join(lines, "") + witness, fsck.CosignatureForeign, "checkpoint, line 7", 0},
		"before the log's":    {strings.Join(lines[:4], "") + witness + lines[4], fsck.CheckpointForeign, "checkpoint", 0},
		"instead of the name": {strings.Join(lines[:5], "") + strings.Replace(witness, name, "witness.example/1", 1), fsck.CosignatureForeign, "checkpoint, line 6", 1},
	} {
		t.Run(what, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "ledger")
			copyLedgerFolder(t, dir, older)
			overwrite(t, path(dir), func([]byte) []byte { return []byte(c.served) })
			status, summary, problems := fscked(t, dir)
			require.Equal(t, c.unserved, summary.Unserved)
			if c.code != "" {
				require.Equal(t, exitBad, status)
				require.Len(t, problems, 1, "%v", problems)
				requireNamed(t, problems, c.code, c.where)
				return
			}
			// So it is left by a node that dies between recording and serving.
			require.Zero(t, status, problems)
			_, out, _ := dalel(t, "fsck", "--dir", dir)
			require.Contains(t, out, "lacks 1 cosignatures that are recorded")
			status, said, stderr := dalel(t, "log", "publish", "--dir", dir)
			require.Zero(t, status, said+stderr)
			_, summary, _ = fscked(t, dir)
			require.Zero(t, summary.Unserved)
			require.Equal(t, string(read(t, path(older))), string(read(t, path(dir))))
		})
	}
}

func TestR_M4_FsckSaysWhatIsUnderNoCheckpoint(t *testing.T) {
	dir := played(t)
	covered := int(servedCheckpoint(t, dir).Size)
	status, summary, problems := fscked(t, dir)
	require.Zero(t, status, problems)
	require.Equal(t, covered, summary.Covered)
	require.Equal(t, summary.Events-covered, summary.Uncovered)
	require.Nil(t, summary.UncoveredSince, "only what the log records of itself comes after it")
	_, out, _ := dalel(t, "fsck", "--dir", dir)
	require.Contains(t, out, fmt.Sprintf("%d events; the newest signed checkpoint covers %d, %d are under no checkpoint yet", summary.Events, covered, summary.Events-covered))
	require.Contains(t, out, ": all is as committed\n")
	require.NotContains(t, out, "NOT UNDER A CHECKPOINT")

	destroyed(t, dir)
	status, summary, problems = fscked(t, dir)
	require.Zero(t, status, "commands alone publish nothing: %v", problems)
	require.Equal(t, covered, summary.Covered)
	require.NotNil(t, summary.UncoveredSince)
	_, out, _ = dalel(t, "fsck", "--dir", dir)
	require.Contains(t, out, fmt.Sprintf("NOT UNDER A CHECKPOINT  %d events", summary.Events-covered))
	require.Contains(t, out, "all is as committed, as far as the ledger itself can show\n")

	// Without the key of the log nothing is known to be signed, and nothing is said.
	require.NoError(t, os.Remove(filepath.Join(dir, secretsDir, logKeyFile)))
	status, _, stderr := dalel(t, "fsck", "--dir", dir)
	require.Equal(t, exitFailed, status)
	require.Contains(t, stderr, "settings.missing: secrets/log.key is missing")
}

func TestR_M4_ACheckpointThatSomebodyKeptShowsWhatNothingInsideCan(t *testing.T) {
	older := played(t)
	branch := func(change func(dir string)) string {
		dir := filepath.Join(t.TempDir(), "branch")
		copyLedgerFolder(t, dir, older)
		change(dir)
		status, said, stderr := dalel(t, "log", "publish", "--dir", dir)
		require.Zero(t, status, said+stderr)
		return dir
	}
	kept := filepath.Join(branch(func(dir string) { destroyed(t, dir) }), blobsDir, logDir, "checkpoint")

	// Everything is set back to an older copy.
	status, _, problems := fscked(t, older)
	require.Zero(t, status, "nothing inside shows it: %v", problems)
	status, _, problems = fscked(t, older, "--checkpoint", kept)
	require.Equal(t, exitBad, status)
	requireNamed(t, problems, fsck.LedgerRewound, kept)

	// Everything after it is written anew, signed with the log's own key.
	other := branch(func(dir string) {
		destroyed(t, dir)
		changed(t, dir, func(n *node) {
			_, err := n.ledger.IssueExemplar(t.Context(), actOf(storyOf(t, dir)), storyOf(t, dir).Documents[0])
			require.NoError(t, err)
		})
	})
	status, _, problems = fscked(t, other)
	require.Zero(t, status, problems)
	first := filepath.Join(older, blobsDir, logDir, "checkpoint")
	status, _, problems = fscked(t, other, "--checkpoint", first, "--checkpoint", kept)
	require.Equal(t, exitBad, status)
	require.Len(t, problems, 1, "the first is of both histories")
	requireNamed(t, problems, fsck.HistoryRewritten, kept)

	// And with another key: then the log is another.
	stranger := playedAnew(t)
	status, _, problems = fscked(t, stranger, "--checkpoint", kept)
	require.Equal(t, exitBad, status)
	requireNamed(t, problems, fsck.CheckpointForeign, kept)

	status, _, stderr := dalel(t, "fsck", "--dir", older, "--checkpoint", filepath.Join(older, "nowhere"))
	require.Equal(t, exitFailed, status, stderr)
}

// interrupter ends a context when something is shown.
type interrupter struct {
	at     string
	cancel func()
	said   bytes.Buffer
}

func (i *interrupter) Write(p []byte) (int, error) {
	if i.cancel != nil && strings.Contains(string(p), i.at) {
		i.cancel()
	}
	return i.said.Write(p)
}

// stateOf is the file that a check of a ledger leaves if nobody names another.
func stateOf(t *testing.T, dir string) string {
	t.Helper()
	path, err := ownState(location{dir: dir})
	require.NoError(t, err)
	return path
}

// interruptedAt interrupts a check when something is shown.
func interruptedAt(t *testing.T, at string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out bytes.Buffer
	require.Equal(t, exitFailed, run(ctx, append([]string{"fsck", "--progress"}, args...), &out, &interrupter{at: at, cancel: cancel}))
}

// TestR_M4_WhoCanChangeTheLedgerCannotSayWhatWasReadAlready puts the state of a
// check from before the change wherever an administrator of the ledger can.
func TestR_M4_WhoCanChangeTheLedgerCannotSayWhatWasReadAlready(t *testing.T) {
	dir := played(t)
	planted := filepath.Join(t.TempDir(), "planted")
	interruptedAt(t, "content", "--dir", dir, "--state", planted)
	unguarded(t, dir, `UPDATE events SET data = replace(data, '"rejectedAt":"2', '"rejectedAt":"3') WHERE `+firstOf("DocumentRejected"))
	where := placed(t, dir, "DocumentRejected", 0)
	own := stateOf(t, dir)
	for _, name := range []string{"fsck.state", filepath.Base(own)} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), read(t, planted), 0o600))
	}
	status, summary, problems := fscked(t, dir)
	require.Equal(t, exitBad, status)
	requireNamed(t, problems, fsck.EventChanged, where)
	require.Zero(t, summary.EventsBefore)

	// Whoever goes on from a file all the same is told what was not read.
	for _, asJSON := range []bool{true, false} {
		again := filepath.Join(t.TempDir(), "again")
		require.NoError(t, os.WriteFile(again, read(t, planted), 0o600))
		if asJSON {
			_, summary, _ := fscked(t, dir, "--state", again)
			require.Equal(t, summary.Events, summary.EventsBefore)
			require.WithinDuration(t, time.Now(), summary.Interrupted, time.Hour)
			continue
		}
		_, out, _ := dalel(t, "fsck", "--dir", dir, "--state", again)
		require.Contains(t, out, fmt.Sprintf("of these, %d events", summary.Events))
	}

	// A cache folder in the ledger's folder is no place of the checker's own.
	t.Setenv("XDG_CACHE_HOME", filepath.Join(dir, "cache"))
	inside := filepath.Join(dir, "cache", "dalel", filepath.Base(own))
	require.NoError(t, os.MkdirAll(filepath.Dir(inside), 0o700))
	require.NoError(t, os.WriteFile(inside, read(t, planted), 0o600))
	for _, none := range []string{filepath.Join(dir, "cache"), "not/absolute"} {
		t.Setenv("XDG_CACHE_HOME", none)
		status, out, stderr := dalel(t, "fsck", "--dir", dir)
		require.Equal(t, exitBad, status)
		require.Contains(t, out, where)
		require.Equal(t, 1, strings.Count(stderr, "--state FILE"), stderr)
	}
	require.FileExists(t, inside, "what is not the checker's is left alone")

	// Nor is a file that others may write.
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	own = stateOf(t, dir)
	info, err := os.Stat(filepath.Dir(own))
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o700), info.Mode().Perm())
	require.NoError(t, os.WriteFile(own, read(t, planted), 0o600))
	require.NoError(t, os.Chmod(own, 0o666))
	status, _, stderr := dalel(t, "fsck", "--dir", dir)
	require.Equal(t, exitFailed, status)
	require.Contains(t, stderr, "check.state-unfit")
	status, _, stderr = dalel(t, "fsck", "--dir", dir, "--fresh")
	require.Equal(t, exitBad, status, stderr)
}

func TestTheStateOfACheckIsOfOneLedgerWhoeverNamesIt(t *testing.T) {
	dir := t.TempDir()
	own := func(at location) string {
		path, err := ownState(at)
		require.NoError(t, err)
		return path
	}
	require.Equal(t, own(location{dir: dir}), own(location{dir: dir + "/.", store: sqliteURL(filepath.Join(dir, eventsFile))}))
	t.Chdir(dir)
	require.Equal(t, own(location{dir: dir}), own(location{dir: "."}))
	require.NotEqual(t, own(location{dir: dir}), own(location{dir: t.TempDir()}))
	require.NotEqual(t, own(location{dir: dir}), own(location{dir: dir, store: "esdb://one:2113"}))
	require.Equal(t, own(location{dir: dir, store: "esdb://me:secret@one:2113?tls=false"}), own(location{dir: dir, store: "esdb://one:2113?tls=false"}))
	require.NotEqual(t, own(location{dir: dir, blobs: "s3://one/a"}), own(location{dir: dir, blobs: "s3://one/b"}))
}

func TestAnInterruptedCheckSaysHowToGoOnAndGoesOn(t *testing.T) {
	dir := played(t)
	path := largestBlob(t, dir)
	overwrite(t, path, flipped)
	elsewhere := filepath.Join(t.TempDir(), "state")
	for name, c := range map[string]struct {
		args []string
		file string
	}{
		"in the checker's folder": {nil, stateOf(t, dir)},
		"in a file that is named": {[]string{"--state", elsewhere}, elsewhere},
	} {
		for _, at := range []string{"the store's own file", "events", "content"} {
			t.Run(name+", at "+at, func(t *testing.T) {
				args := append([]string{"fsck", "--progress", "--dir", dir}, c.args...)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				errors, out := &interrupter{at: at, cancel: cancel}, &bytes.Buffer{}
				require.Equal(t, exitFailed, run(ctx, args, out, errors))
				require.Contains(t, errors.said.String(), "goes on from "+c.file)
				info, err := os.Stat(c.file)
				require.NoError(t, err)
				require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())

				errors = &interrupter{}
				require.Equal(t, exitBad, run(t.Context(), args, out, errors))
				require.Contains(t, errors.said.String(), "going on after the ")
				require.Contains(t, out.String(), "[fsck.content-changed]")
				if at == "content" {
					require.Contains(t, out.String(), "were read by the run that was interrupted on 2")
				}
				require.NoFileExists(t, c.file, "a check that was done leaves nothing")
			})
		}
	}
	require.NoError(t, os.WriteFile(elsewhere, []byte("something else"), 0o600))
	status, _, stderr := dalel(t, "fsck", "--dir", dir, "--state", elsewhere)
	require.Equal(t, exitFailed, status)
	require.Contains(t, stderr, "check.state-unfit")
	require.FileExists(t, elsewhere, "what is not ours stays")
	status, _, stderr = dalel(t, "fsck", "--dir", dir, "--state", elsewhere, "--fresh")
	require.Equal(t, exitFailed, status, stderr)
	require.FileExists(t, elsewhere, "nor does --fresh take it away")
	require.NoError(t, os.WriteFile(elsewhere, []byte("dalel fsck state\ncut off"), 0o600))
	status, _, stderr = dalel(t, "fsck", "--dir", dir, "--state", elsewhere)
	require.Equal(t, exitFailed, status, stderr)
	status, _, stderr = dalel(t, "fsck", "--dir", dir, "--state", elsewhere, "--fresh")
	require.Equal(t, exitBad, status, stderr)
	require.NoFileExists(t, elsewhere)
	require.NotContains(t, stderr, "events:", "no progress where there is no terminal")
}

// TestR_G5_AKeyThatIsDestroyedWithoutAnOrderIsNamed destroys keys behind the
// ledger's back: of documents, and of participants,
// who have no content.
func TestR_G5_AKeyThatIsDestroyedWithoutAnOrderIsNamed(t *testing.T) {
	dir := played(t)
	ordered := destroyed(t, dir)
	status, _, problems := fscked(t, dir)
	require.Zero(t, status, problems)
	var subjects []string
	changed(t, dir, func(n *node) {
		for record, err := range n.keys.All(t.Context()) {
			require.NoError(t, err)
			if record.Destroyed() {
				require.Equal(t, event.Subject("document", ordered), record.Subject)
				continue
			}
			subjects = append(subjects, record.Subject)
		}
	})
	kinds := map[string]int{}
	for _, subject := range subjects {
		kind, _, _ := strings.Cut(subject, "-")
		if kinds[kind]++; kinds[kind] > 2 {
			continue
		}
		t.Run(subject, func(t *testing.T) {
			branch := filepath.Join(t.TempDir(), "branch")
			copyLedgerFolder(t, branch, dir)
			changed(t, branch, func(n *node) { require.NoError(t, n.keys.Destroy(t.Context(), subject)) })
			for _, args := range [][]string{nil, {"--sealed"}} {
				status, _, problems := fscked(t, branch, args...)
				require.Equal(t, exitBad, status, args)
				require.Len(t, problems, 1, "%v", problems)
				requireNamed(t, problems, fsck.KeyDestroyed, "key of "+subject)
			}
		})
	}
	require.NotZero(t, kinds["participant"])
	require.NotZero(t, kinds["document"])
}

func TestFsckThatLeavesEverythingShutNeedsNoKeyAndStillSeesEveryByte(t *testing.T) {
	dir := played(t)
	status, whole, problems := fscked(t, dir)
	require.Zero(t, status, problems)
	status, shut, problems := fscked(t, dir, "--sealed")
	require.Zero(t, status, problems)
	require.Equal(t, whole.Root, shut.Root)
	require.Equal(t, whole.Contents, shut.Contents)
	require.Greater(t, shut.Bytes, whole.Bytes, "what is sealed is longer")
	path := largestBlob(t, dir)
	overwrite(t, path, flipped)
	status, _, problems = fscked(t, dir, "--sealed")
	require.Equal(t, exitBad, status)
	requireNamed(t, problems, fsck.ContentChanged, "content ")
}
