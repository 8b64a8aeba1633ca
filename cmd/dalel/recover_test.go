package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dalel/domain/founding"
	"dalel/domain/fsck"
	"dalel/domain/packet"
	"dalel/internal/translog"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"
)

const nextOrigin = "dalel.example.kz/log-2"

// recoveredAs runs dalel recover on the parts of a ledger.
func (p *parts) recoveredAs(origin string) (status int, said string) {
	p.t.Helper()
	var out strings.Builder
	args := []string{"recover", "--origin", origin, "--ground", "The disk died,\nand no copy was newer."}
	status = run(p.t.Context(), append(args, p.at()...), &out, &out)
	return status, out.String()
}

// runs requires that a command on the parts of a ledger ends well.
func (p *parts) runs(args ...string) string {
	p.t.Helper()
	var out, stderr strings.Builder
	status := run(p.t.Context(), append(args, p.at()...), &out, &stderr)
	require.Equal(p.t, exitGood, status, out.String()+stderr.String())
	return out.String()
}

// published returns the checkpoint that is served for a log.
func (p *parts) published(folder, vkey string) translog.Checkpoint {
	p.t.Helper()
	verifier, err := note.NewVerifier(strings.TrimSpace(vkey))
	require.NoError(p.t, err)
	c, _, err := translog.ParseCheckpoint(read(p.t, p.path("blobs", folder, "checkpoint")), verifier.Name(), verifier)
	require.NoError(p.t, err)
	return c
}

func TestR_M8_ALedgerThatLostEventsGoesOnUnderAnotherLogAndSaysSo(t *testing.T) {
	for _, kind := range []string{"SQLite", "EventStoreDB"} {
		for _, node := range []string{"a node that knows", "a fresh one"} {
			t.Run(kind+", "+node, func(t *testing.T) {
				t.Parallel()
				p := founded(t, "two")
				status, said := p.recoveredAs(nextOrigin)
				require.Equal(t, exitFailed, status)
				require.Contains(t, said, "ledger.nothing-missing")
				formerKey := string(read(t, p.path("settings", trustDir, logVKeyFile)))
				formerSecret := read(t, p.path("settings", secretsDir, logKeyFile))
				seal := read(t, p.path("settings", trustDir, sealCertificateFile))
				before, text := p.published(logDir, formerKey), read(t, p.path("blobs", logDir, "checkpoint"))
				had := len(p.events())
				if node == "a fresh one" {
					p.node = filepath.Join(t.TempDir(), "fresh")
				}
				p.store = holding(t, p, kind, 2)
				left := len(p.events())
				require.Less(t, left, int(before.Size))
				p.refused("store.set-back", "token")

				status, said = p.recoveredAs(nextOrigin)
				require.Equal(t, exitGood, status, said)
				require.Contains(t, said, "at least 2 are missing")
				require.Equal(t, seal, read(t, p.path("settings", trustDir, sealCertificateFile)))
				former := "log-" + shortHash(strings.TrimSpace(formerKey))
				require.Equal(t, formerSecret, read(t, p.path("settings", secretsDir, former+".key")))
				require.Equal(t, formerKey, string(read(t, p.path("settings", trustDir, former+".vkey"))))
				last := p.events()[left]
				require.Equal(t, "LedgerRecovered", last.Type)
				var stated founding.Recovered
				require.NoError(t, json.Unmarshal(last.Data, &stated))
				require.EqualValues(t, had, stated.Known)
				require.EqualValues(t, left, stated.Events)
				require.Equal(t, &founding.Checkpoint{Size: before.Size, Root: stated.Checkpoint.Root}, stated.Checkpoint)
				require.Equal(t, before.Root[:], stated.Checkpoint.Root[:])
				require.Equal(t, "The disk died,\nand no copy was newer.", stated.Ground)

				// It works, under the new log alone.
				p.runs("token", "--role", "operator")
				require.Contains(t, p.runs("log", "publish"), nextOrigin)
				newKey := string(read(t, p.path("settings", trustDir, logVKeyFile)))
				after := p.published(logDir+"-"+shortHash(nextOrigin), newKey)
				require.Equal(t, nextOrigin, after.Origin)
				require.EqualValues(t, left+2, after.Size, "what is left, the recovery and a token")
				require.Equal(t, text, read(t, p.path("blobs", logDir, "checkpoint")), "what was served stays as evidence")
				status, said = p.recoveredAs("third.example/log")
				require.Equal(t, exitFailed, status)
				require.Contains(t, said, "ledger.nothing-missing")
				p.checkedAfter(text)
				n, err := openNode(t.Context(), location{dir: p.node, settings: p.path("settings"), store: p.store, blobs: p.path("blobs")})
				require.NoError(t, err)
				losses := n.packet("").Losses
				require.NoError(t, n.Close())
				require.Equal(t, []packet.Loss{{
					At: stated.RecoveredAt, FormerOrigin: before.Origin, Origin: nextOrigin, Known: stated.Known, Events: stated.Events, Ground: stated.Ground,
				}}, losses)
			})
		}
	}
}

// checkedAfter requires that fsck finds nothing wrong with a recovered ledger,
// and states its loss; old is the former log's last checkpoint.
func (p *parts) checkedAfter(old []byte) {
	p.t.Helper()
	file := filepath.Join(p.t.TempDir(), "checkpoint")
	require.NoError(p.t, os.WriteFile(file, old, 0o600))
	said := p.runs("fsck", "--checkpoint", file)
	require.Contains(p.t, said, "RECOVERED after a loss")
	require.Contains(p.t, said, "at least 2 are missing")
	require.Contains(p.t, said, "cannot be held against the events")
	var answer struct {
		Recoveries []founding.Recovered
		Problems   []fsck.Problem
	}
	require.NoError(p.t, json.Unmarshal([]byte(p.runs("fsck", "--json")), &answer))
	require.Len(p.t, answer.Recoveries, 1)
	require.Empty(p.t, answer.Problems)
}

func TestR_M8_ARecoveryThatIsCutOffIsFinishedByTheSameCommand(t *testing.T) {
	p := founded(t, "two")
	p.store = holding(t, p, "SQLite", 1)
	cut := map[string]bool{}
	for done := false; !done; {
		r := recovery{origin: nextOrigin, ground: "It was lost."}
		r.at = location{dir: p.node, settings: p.path("settings"), store: p.store, blobs: p.path("blobs")}.filled()
		stop, at := errors.New("cut off"), ""
		r.step = func(what string) error {
			if cut[what] {
				return nil
			}
			cut[what], at = true, what
			return stop
		}
		_, err := r.recover(t.Context())
		if done = err == nil; done {
			break
		}
		require.ErrorIs(t, err, stop)
		status, said, stderr := dalel(t, append([]string{"token", "--role", "operator"}, p.at()...)...)
		require.Equal(t, exitFailed, status, "after being cut off before %q: %s", at, said)
		require.NotContains(t, stderr, "internal")
	}
	require.Len(t, cut, 9)
	count := 0
	for _, e := range p.events() {
		if e.Type == "LedgerRecovered" {
			count++
		}
	}
	require.Equal(t, 1, count)
	require.NoFileExists(t, p.path("settings", secretsDir, nextKeyFile))
	p.runs("token", "--role", "operator")
}

func TestR_M8_AnotherHistoryIsNoLossAndALogsNameIsNotUsedTwice(t *testing.T) {
	p := founded(t, "two")
	right := p.store
	p.store = holding(t, p, "SQLite", 2)
	status, said := p.recoveredAs(p.origin())
	require.Equal(t, exitFailed, status)
	require.Contains(t, said, "recovery.invalid")
	// Somebody writes on behind the loss: a node that knows nothing of it founds its
	// own events there.
	other := founded(t, "two")
	other.node, other.store = filepath.Join(t.TempDir(), "fresh"), p.store
	require.NoError(t, os.RemoveAll(other.path("blobs", logDir)))
	other.runs("token", "--role", "operator")
	before := p.bytes()
	status, said = p.recoveredAs(nextOrigin)
	require.Equal(t, exitFailed, status)
	require.Contains(t, said, "store.changed")
	require.NotContains(t, said, "RECOVERED")
	require.Equal(t, before, p.bytes())
	p.store = right
	p.runs("token", "--role", "operator")
}

// origin is the name of the ledger's log.
func (p *parts) origin() string {
	name, _, _ := strings.Cut(string(read(p.t, p.path("settings", trustDir, logVKeyFile))), "+")
	return name
}
