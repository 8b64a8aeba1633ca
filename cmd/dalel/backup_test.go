package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dalel/blobs"
	blobfile "dalel/blobs/file"
	"dalel/cmd/dalel/story"
	"dalel/domain/access"
	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/domain/ledger"
	"dalel/internal/backup"
	"dalel/tests/esdbserver"
)

// childArguments has the arguments with which TestDalelChild is the program.
const childArguments = "DALEL_TEST_ARGUMENTS"

func TestDalelChild(t *testing.T) {
	arguments := os.Getenv(childArguments)
	if arguments == "" {
		t.Skip("run by tests that kill a process")
	}
	os.Exit(run(context.Background(), strings.Split(arguments, "\n"), os.Stdout, os.Stderr))
}

// child prepares a process of its own that runs a command.
func child(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDalelChild$")
	c.Env = append(os.Environ(), childArguments+"="+strings.Join(args, "\n"))
	return c
}

// killedAt starts a command and kills it after a while; it reports whether the
// command was through before that.
func killedAt(t *testing.T, after time.Duration, args ...string) bool {
	t.Helper()
	c := child(t, args...)
	require.NoError(t, c.Start())
	timer := time.AfterFunc(after, func() { _ = c.Process.Kill() })
	err := c.Wait()
	timer.Stop()
	var exited *exec.ExitError
	if errors.As(err, &exited) {
		require.Equal(t, -1, exited.ExitCode(), "it was killed and did not fail")
		return false
	}
	require.NoError(t, err)
	return true
}

func storyOf(t *testing.T, dir string) story.Result {
	t.Helper()
	var result story.Result
	require.NoError(t, json.Unmarshal(read(t, filepath.Join(dir, storyFile)), &result))
	return result
}

// changed lets do act on a ledger that nobody serves.
func changed(t *testing.T, dir string, do func(n *node)) {
	t.Helper()
	n, err := openNode(t.Context(), location{dir: dir})
	require.NoError(t, err)
	do(n)
	require.NoError(t, n.Close())
}

// destroyed destroys the invoice of the story, on its sender's request.
func destroyed(t *testing.T, dir string) string {
	t.Helper()
	result := storyOf(t, dir)
	id := result.Documents[3]
	changed(t, dir, func(n *node) {
		sender := ledger.Act{By: result.Viewers[0].By, Role: access.RoleParticipant, Key: "ask"}
		_, err := n.ledger.RequestDestruction(t.Context(), sender, id, "It was made by mistake.", "text/plain", strings.NewReader("We ask to destroy it."))
		require.NoError(t, err)
		operator := ledger.Act{By: event.By{Participant: ledger.Operator}, Role: access.RoleOperator, Key: "order"}
		_, err = n.ledger.OrderDestruction(t.Context(), operator, id, document.BasisRequest)
		require.NoError(t, err)
		require.NoError(t, n.ledger.Destroy(t.Context(), id))
	})
	return id
}

// folders for a backup, its keys, and a restored ledger.
func folders(t *testing.T) (out, keysOut, into string) {
	t.Helper()
	dir := t.TempDir()
	return filepath.Join(dir, "backup"), filepath.Join(dir, "keys"), filepath.Join(dir, "restored")
}

func backedUp(t *testing.T, dir, out, keysOut string) string {
	t.Helper()
	status, said, stderr := dalel(t, "backup", "--dir", dir, "--out", out, "--keys-out", keysOut)
	require.Zero(t, status, said+stderr)
	return said
}

// restore restores with the master key of a ledger, which it copies to its
// place in the restored one in the end.
func restore(t *testing.T, out, keysOut, into, from string) (status int, said, stderr string) {
	t.Helper()
	key := filepath.Join(from, secretsDir, masterFile)
	status, said, stderr = dalel(t, "restore", "--from", out, "--keys-from", keysOut, "--dir", into, "--master", key)
	if status == exitGood {
		require.NoError(t, os.WriteFile(filepath.Join(into, secretsDir, masterFile), read(t, key), 0o600))
	}
	return status, said, stderr
}

func exported(t *testing.T, dir, id string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "packet.zip")
	status, out, stderr := dalel(t, "export", "--dir", dir, "--document", id, "--out", path)
	require.Zero(t, status, out+stderr)
	requireHolds(t, dir, path)
	return read(t, path)
}

func flip(t *testing.T, path string, at int) {
	t.Helper()
	content := read(t, path)
	content[at] ^= 1
	require.NoError(t, os.Chmod(path, 0o600))
	require.NoError(t, os.WriteFile(path, content, 0o600))
}

// flipEvent changes a byte of an event in the file of an event store, wherever
// a page of the file has it.
func flipEvent(t *testing.T, path string) {
	t.Helper()
	content := read(t, path)
	at := bytes.Index(content, []byte(`"recordedAt":"`))
	require.Positive(t, at)
	moment := content[at : at+36]
	other := bytes.Clone(moment)
	other[35] ^= 1
	require.NoError(t, os.WriteFile(path, bytes.ReplaceAll(content, bytes.Clone(moment), other), 0o600))
}

// requireSameLedger holds a restored ledger against the one it was copied from.
func requireSameLedger(t *testing.T, dir, into string) {
	t.Helper()
	require.Equal(t, checked(t, dir), checked(t, into))
	require.Equal(t, eventsOf(t, filepath.Join(dir, eventsFile)), eventsOf(t, filepath.Join(into, eventsFile)))
	for _, id := range storyOf(t, dir).Documents {
		require.Equal(t, exported(t, dir, id), exported(t, into, id), "the packet of %s", id)
	}
	for _, name := range []string{settingsFile, "secrets/identifier.key", "secrets/seal.key", "trust/operator-seal.cer", policyFile} {
		require.Equal(t, read(t, filepath.Join(dir, name)), read(t, filepath.Join(into, name)))
	}
	locks := func(dir string) map[blobs.Digest]blobs.Lock {
		store, err := blobfile.Open(filepath.Join(dir, blobsDir))
		require.NoError(t, err)
		defer store.Close()
		all := map[blobs.Digest]blobs.Lock{}
		for info, err := range store.All(t.Context()) {
			require.NoError(t, err)
			lock, err := store.Lock(t.Context(), info.Digest)
			require.NoError(t, err)
			all[info.Digest] = lock
		}
		return all
	}
	was, is := locks(dir), locks(into)
	require.Len(t, is, len(was))
	for digest, lock := range was {
		require.Equal(t, lock.Held, is[digest].Held)
		require.False(t, is[digest].Until.Before(lock.Until), "it is locked for as long at least")
		require.WithinDuration(t, lock.Until, is[digest].Until, 2*time.Hour, "and for not much longer")
	}
}

func TestR_G5_ABackupIsTheWholeLedgerAndARestoredOneTheSame(t *testing.T) {
	dir := played(t)
	gone := destroyed(t, dir)
	changed(t, dir, func(n *node) {
		operator := ledger.Act{By: event.By{Participant: ledger.Operator}, Role: access.RoleOperator, Key: "hold"}
		_, err := n.ledger.PlaceHold(t.Context(), operator, storyOf(t, dir).Documents[0], "A dispute.")
		require.NoError(t, err)
	})
	out, keysOut, into := folders(t)
	said := backedUp(t, dir, out, keysOut)
	require.Contains(t, said, "root "+checked(t, dir).Root.String())
	require.Contains(t, said, "1 destroyed")
	require.NoFileExists(t, filepath.Join(keysOut, secretsDir, masterFile))

	status, said, stderr := restore(t, out, keysOut, into, dir)
	require.Zero(t, status, said+stderr)
	require.Contains(t, said, "all is as committed")
	require.Contains(t, said, ": the same\n")
	require.NotContains(t, said, "destroyed again")
	requireSameLedger(t, dir, into)
	changed(t, into, func(n *node) {
		_, err := n.keys.Key(t.Context(), "document-"+gone)
		require.ErrorContains(t, err, "key.destroyed")
	})
	status, _, stderr = restore(t, out, keysOut, into, dir)
	require.Equal(t, exitFailed, status)
	require.Contains(t, stderr, "is not empty")
}

func TestABackupGoesOnBesideALedgerInUseAndLaterTakesInWhatIsNew(t *testing.T) {
	dir := played(t)
	out, keysOut, into := folders(t)
	changed(t, dir, func(*node) { backedUp(t, dir, out, keysOut) })
	first, err := backup.ReadManifest(out)
	require.NoError(t, err)
	backedUp(t, dir, out, keysOut)
	again, err := backup.ReadManifest(out)
	require.NoError(t, err)
	first.Folder = again.Folder
	require.Equal(t, first, again, "nothing was new")

	destroyed(t, dir)
	backedUp(t, dir, out, keysOut)
	newest, err := backup.ReadManifest(out)
	require.NoError(t, err)
	require.Greater(t, newest.Events, first.Events)
	require.Greater(t, newest.Contents, first.Contents, "the letter")
	status, said, stderr := restore(t, out, keysOut, into, dir)
	require.Zero(t, status, said+stderr)
	require.NotContains(t, said, "destroyed again", "the backup of the keys was brought up to date, and the key destroyed in it")
	requireSameLedger(t, dir, into)
}

func TestR_B4_AnOlderBackupOfTheKeysDoesNotBringBackWhatWasDestroyed(t *testing.T) {
	dir := played(t)
	out, keysOut, into := folders(t)
	backedUp(t, dir, out, keysOut)
	gone := destroyed(t, dir)
	status, said, stderr := dalel(t, "backup", "--dir", dir, "--out", out, "--no-keys")
	require.Zero(t, status, said+stderr)

	// The letter is under the operator's key, which is new, or was there.
	_, said, stderr = restore(t, out, keysOut, into, dir)
	require.Contains(t, said, "destroyed again: the key of document-"+gone+", as the ledger records\n", stderr)
	status, listed, stderr := dalel(t, "keys", "list", "--dir", into)
	require.Zero(t, status, stderr)
	require.Contains(t, listed, "document-"+gone+"  destroyed ")
	require.NotContains(t, said, "key of document-"+gone+": is there")
}

func TestABackupThatIsKilledAtAnyMomentIsNoBackupOrTheFormerOneAndGoesOn(t *testing.T) {
	if testing.Short() {
		t.Skip("short: the program is started and killed again and again")
	}
	dir := played(t)
	out, keysOut, into := folders(t)
	args := []string{"backup", "--dir", dir, "--out", out, "--keys-out", keysOut}
	began := time.Now()
	require.True(t, killedAt(t, time.Minute, "backup", "--dir", dir, "--out", out+"-timed", "--keys-out", keysOut+"-timed"))
	whole := time.Since(began)
	random := rand.New(rand.NewPCG(11, 7))
	kills := 0
	for range 12 {
		// One that goes on has less to do than the first.
		if !killedAt(t, time.Duration(random.Int64N(int64(whole/2))), args...) {
			kills++
		}
		if _, err := backup.ReadManifest(out); err != nil {
			require.ErrorIs(t, err, fs.ErrNotExist)
			status, _, stderr := restore(t, out, keysOut, into, dir)
			require.Equal(t, exitFailed, status)
			require.Contains(t, stderr, "is no backup, or one that was cut off")
			require.NoDirExists(t, into)
		}
	}
	require.Positive(t, kills)
	backedUp(t, dir, out, keysOut)

	t.Run("and one that is being brought up to date stands meanwhile", func(t *testing.T) {
		was := checked(t, dir)
		destroyed(t, dir)
		for range 8 {
			killedAt(t, time.Duration(random.Int64N(int64(whole*3/4))), args...)
			manifest, err := backup.ReadManifest(out)
			require.NoError(t, err)
			if manifest.Root != was.Root {
				break
			}
			into := filepath.Join(t.TempDir(), "restored")
			status, said, stderr := restore(t, out, keysOut, into, dir)
			// The keys may be further than the events, and then say so.
			if status != exitGood {
				require.Contains(t, said, "is destroyed, and no event orders that", stderr)
			}
			require.Contains(t, said, ": the same\n", stderr)
		}
		backedUp(t, dir, out, keysOut)
	})
	t.Run("and so does a restore", func(t *testing.T) {
		key := filepath.Join(dir, secretsDir, masterFile)
		args := []string{"restore", "--from", out, "--keys-from", keysOut, "--dir", into, "--master", key}
		began := time.Now()
		require.True(t, killedAt(t, time.Minute, "restore", "--from", out, "--keys-from", keysOut, "--dir", into+"-timed", "--master", key))
		whole, kills := time.Since(began), 0
		done := func() bool {
			_, err := os.Stat(filepath.Join(into, eventsFile))
			return err == nil && !backup.Began(into)
		}
		for range 8 {
			if killedAt(t, time.Duration(random.Int64N(int64(whole/2))), args...) {
				break
			}
			kills++
			if done() {
				break // it was killed after that
			}
		}
		require.Positive(t, kills)
		if !done() {
			status, said, stderr := restore(t, out, keysOut, into, dir)
			require.Zero(t, status, said+stderr)
		} else {
			require.NoError(t, os.WriteFile(filepath.Join(into, secretsDir, masterFile), read(t, key), 0o600))
		}
		requireSameLedger(t, dir, into)
	})
}

func TestWhatIsDamagedInABackupIsNamed(t *testing.T) {
	dir := played(t)
	pristine, keysOut, _ := folders(t)
	backedUp(t, dir, pristine, keysOut)
	damaged := func(t *testing.T) (out, into string) {
		out, _, into = folders(t)
		require.NoError(t, os.CopyFS(out, os.DirFS(pristine)))
		return out, into
	}
	t.Run("a byte of content", func(t *testing.T) {
		out, into := damaged(t)
		blob := largestBlob(t, out)
		flip(t, blob, 1000)
		name := "content " + filepath.Base(filepath.Dir(blob)) + filepath.Base(blob)
		status, said, stderr := restore(t, out, keysOut, into, dir)
		require.Equal(t, exitBad, status, stderr)
		require.Contains(t, said, "NOT WHOLE  "+name)
		require.Contains(t, said, "blob.corrupt")
		require.Contains(t, said, "is not stored, but document-", "fsck says the same")
		status, _, stderr = dalel(t, "backup", "--dir", dir, "--out", out, "--keys-out", keysOut+"-again")
		require.Equal(t, exitFailed, status)
		require.Contains(t, stderr, "the backup is damaged: "+name)

		require.NoError(t, os.Rename(blob, filepath.Join(t.TempDir(), "evidence")))
		backedUp(t, dir, out, keysOut)
		status, said, stderr = restore(t, out, keysOut, filepath.Join(t.TempDir(), "whole"), dir)
		require.Zero(t, status, said+stderr)
	})
	t.Run("a byte of an event", func(t *testing.T) {
		out, into := damaged(t)
		path := filepath.Join(out, backup.EventsFile)
		flipEvent(t, path)
		status, said, stderr := restore(t, out, keysOut, into, dir)
		require.Equal(t, exitFailed, status, said)
		require.Contains(t, stderr, "event.chain-broken")
		require.Regexp(t, `[a-z]+-[0-9a-z-]+@\d+`, stderr)
		require.NoDirExists(t, into)
	})
	for name, change := range map[string]func(t *testing.T, out string, m backup.Manifest) string{
		"a setting": func(t *testing.T, out string, m backup.Manifest) string {
			flip(t, filepath.Join(out, m.Folder, settingsFile), 5)
			return settingsFile + " does not have the SHA-256"
		},
		"the list of content": func(t *testing.T, out string, m backup.Manifest) string {
			flip(t, filepath.Join(out, m.Folder, "contents.jsonl"), 40)
			return "contents.jsonl does not have the SHA-256"
		},
		"the root": func(t *testing.T, out string, m backup.Manifest) string {
			m.Root[5] ^= 1
			text, err := json.Marshal(m)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(out, "backup.json"), text, 0o600))
			return "transfer.target-differs: the backup's"
		},
		"a path that leads away": func(t *testing.T, out string, m backup.Manifest) string {
			m.Files["trust/../../../x"] = "00"
			text, err := json.Marshal(m)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(out, "backup.json"), text, 0o600))
			return "which no backup has"
		},
	} {
		t.Run(name, func(t *testing.T) {
			out, into := damaged(t)
			m, err := backup.ReadManifest(out)
			require.NoError(t, err)
			says := change(t, out, m)
			status, said, stderr := restore(t, out, keysOut, into, dir)
			require.Equal(t, exitFailed, status, said)
			require.Contains(t, stderr, says)
			require.NoFileExists(t, filepath.Join(into, settingsFile))
		})
	}
	t.Run("a secret", func(t *testing.T) {
		_, _, into := folders(t)
		spoiled := filepath.Join(t.TempDir(), "keys")
		require.NoError(t, os.CopyFS(spoiled, os.DirFS(keysOut)))
		flip(t, filepath.Join(spoiled, secretsDir, "identifier.key"), 3)
		status, _, stderr := restore(t, pristine, spoiled, into, dir)
		require.Equal(t, exitFailed, status)
		require.Contains(t, stderr, "identifier.key does not have the SHA-256")
	})
}

func TestALedgerThatLacksContentIsBackedUpAndSaidToLackIt(t *testing.T) {
	dir := played(t)
	out, keysOut, into := folders(t)
	backedUp(t, dir, out, keysOut)
	blob := largestBlob(t, dir)
	name := "content " + filepath.Base(filepath.Dir(blob)) + filepath.Base(blob)
	require.NoError(t, os.Remove(blob))

	status, said, stderr := dalel(t, "backup", "--dir", dir, "--out", out, "--keys-out", keysOut)
	require.Equal(t, exitBad, status, stderr)
	require.Contains(t, said, "NOT WHOLE  "+name)
	require.Contains(t, said, "the backup has it")
	status, said, stderr = restore(t, out, keysOut, into, dir)
	require.Zero(t, status, "what the former backup had is there: %s", said+stderr)

	fresh, freshKeys, elsewhere := folders(t)
	status, said, _ = dalel(t, "backup", "--dir", dir, "--out", fresh, "--keys-out", freshKeys)
	require.Equal(t, exitBad, status)
	require.Contains(t, said, "NOT WHOLE  "+name)
	manifest, err := backup.ReadManifest(fresh)
	require.NoError(t, err)
	require.Len(t, manifest.Missing, 1)
	status, said, _ = restore(t, fresh, freshKeys, elsewhere, dir)
	require.Equal(t, exitBad, status)
	require.Contains(t, said, "is not in the backup, and document-")
}

func TestABackupThatCannotBeMadeOrRestoredSaysWhyAndLeavesNothing(t *testing.T) {
	inTheWholeRun(t)
	dir := played(t)
	out, keysOut, into := folders(t)
	refused := func(t *testing.T, says string, args ...string) {
		t.Helper()
		status, said, stderr := dalel(t, args...)
		require.Equal(t, exitFailed, status, said)
		require.Contains(t, stderr, says)
		require.NoDirExists(t, into)
	}
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(dir, link))
	for says, args := range map[string][]string{
		"needed: --dir, --out":             {},
		"needed: --keys-out, or --no-keys": {"--dir", dir, "--out", out},
		"--no-keys goes with neither":      {"--dir", dir, "--out", out, "--keys-out", keysOut, "--no-keys"},
		"--keys-out is in --out":           {"--dir", dir, "--out", out, "--keys-out", filepath.Join(out, "keys")},
		"--out is in --keys-out":           {"--dir", dir, "--out", filepath.Join(keysOut, "in"), "--keys-out", keysOut},
		"--out and the ledger's":           {"--dir", dir, "--out", filepath.Join(link, "backup"), "--keys-out", keysOut},
		"--keys-out and the ledger's":      {"--dir", dir, "--out", out, "--keys-out", filepath.Dir(dir)},
		"there is no ledger.json in":       {"--dir", t.TempDir(), "--out", out, "--keys-out", keysOut},
		"does not give it away":            {"--dir", dir, "--out", out, "--keys-out", keysOut, "--with-master", "--master", "hcvault://vault/transit/keys/x"},
	} {
		refused(t, says, append([]string{"backup"}, args...)...)
		require.NoDirExists(t, out)
		require.NoDirExists(t, keysOut)
	}
	backedUp(t, dir, out, keysOut)
	key := filepath.Join(dir, secretsDir, masterFile)
	other := playedAnew(t)
	for says, args := range map[string][]string{
		"needed: --dir, --from, --keys-from": {},
		"name its place":                     {"--from", out, "--keys-from", keysOut, "--dir", into},
		"and this is":                        {"--from", out, "--keys-from", keysOut, "--dir", into, "--master", filepath.Join(other, secretsDir, masterFile)},
		"is no backup, or":                   {"--from", keysOut, "--keys-from", keysOut, "--dir", into, "--master", key},
		"is no backup of keys":               {"--from", out, "--keys-from", out + "-none", "--dir", into, "--master", key},
		"is not empty":                       {"--from", out, "--keys-from", keysOut, "--dir", other, "--master", key},
		"holds events":                       {"--from", out, "--keys-from", keysOut, "--dir", filepath.Join(t.TempDir(), "x"), "--master", key, "--store", sqliteURL(filepath.Join(other, eventsFile))},
		"holds content":                      {"--from", out, "--keys-from", keysOut, "--dir", filepath.Join(t.TempDir(), "x"), "--master", key, "--blobs", filepath.Join(other, blobsDir)},
		"holds keys":                         {"--from", out, "--keys-from", keysOut, "--dir", filepath.Join(t.TempDir(), "x"), "--master", key, "--keys", filepath.Join(other, keysFile)},
	} {
		refused(t, says, append([]string{"restore"}, args...)...)
	}
	checked(t, other)
}

func TestTheMasterKeyIsInABackupOnlyWhenAskedForAndThatIsSaidLoudly(t *testing.T) {
	inTheWholeRun(t)
	dir := played(t)
	out, keysOut, into := folders(t)
	status, said, stderr := dalel(t, "backup", "--dir", dir, "--out", out, "--keys-out", keysOut, "--with-master")
	require.Zero(t, status, stderr)
	require.Contains(t, said, "THE MASTER KEY IS IN ")
	status, said, stderr = dalel(t, "restore", "--from", out, "--keys-from", keysOut, "--dir", into)
	require.Zero(t, status, said+stderr)
	requireSameLedger(t, dir, into)
}

func TestABackupOfEventStoreDBIsRestoredToAnotherOne(t *testing.T) {
	dir := played(t)
	one, two := esdbserver.New(t, esdbserver.Options{}), esdbserver.New(t, esdbserver.Options{})
	status, _, stderr := dalel(t, "copy", "--from", sqliteURL(filepath.Join(dir, eventsFile)), "--to", one.URL())
	require.Zero(t, status, stderr)
	out, keysOut, into := folders(t)
	status, said, stderr := dalel(t, "backup", "--dir", dir, "--store", one.URL(), "--out", out, "--keys-out", keysOut)
	require.Zero(t, status, said+stderr)
	require.Contains(t, said, "root "+checked(t, dir).Root.String())
	// Others' events do not make it a store that holds the ledger's.
	require.NoError(t, two.WriteSystemEvents(1000))
	status, said, stderr = dalel(t, "restore", "--from", out, "--keys-from", keysOut, "--dir", into, "--store", two.URL(), "--master", filepath.Join(dir, secretsDir, masterFile))
	require.Zero(t, status, said+stderr)
}

func TestKeysAreListedAndRotated(t *testing.T) {
	dir := played(t)
	gone := destroyed(t, dir)
	before := checked(t, dir)
	status, said, stderr := dalel(t, "keys", "list", "--dir", dir)
	require.Zero(t, status, stderr)
	require.Contains(t, said, "document-"+gone+"  destroyed ")
	require.Contains(t, said, "under ring-00000001")
	require.Contains(t, said, ", and 1 destroyed\n")

	status, said, stderr = dalel(t, "keys", "rotate", "--dir", dir)
	require.Zero(t, status, stderr)
	require.Contains(t, said, "under ring-00000002")
	require.Contains(t, said, "destroyed: ring-00000001\n")
	require.Equal(t, before, checked(t, dir))

	next := filepath.Join(t.TempDir(), "new.key")
	for range 2 {
		// The second time the old master key opens nothing any more.
		status, said, stderr = dalel(t, "keys", "rotate", "--dir", dir, "--new-master", next)
		require.Zero(t, status, stderr)
		require.Contains(t, said, "from now on the ledger opens with the master key at "+next)
	}
	status, _, stderr = dalel(t, "fsck", "--dir", dir)
	require.Equal(t, exitFailed, status)
	require.Contains(t, stderr, "is wrapped by the master key")
	status, said, stderr = dalel(t, "fsck", "--dir", dir, "--master", next)
	require.Zero(t, status, said+stderr)

	t.Run("a backup from before needs the old one", func(t *testing.T) {
		out, keysOut, into := folders(t)
		status, said, stderr := dalel(t, "backup", "--dir", dir, "--master", next, "--out", out, "--keys-out", keysOut)
		require.Zero(t, status, said+stderr)
		status, _, stderr = restore(t, out, keysOut, into, dir)
		require.Equal(t, exitFailed, status)
		require.Contains(t, stderr, "the keys are under the master key")
		status, said, stderr = dalel(t, "restore", "--from", out, "--keys-from", keysOut, "--dir", into, "--master", next)
		require.Zero(t, status, said+stderr)
	})
	for says, args := range map[string][]string{
		"usage":                    {"keys"},
		"needed: --dir":            {"keys", "list"},
		"there is no ledger.json":  {"keys", "list", "--dir", t.TempDir()},
		"is the master key that":   {"keys", "rotate", "--dir", dir, "--new-master", filepath.Join(dir, secretsDir, masterFile)},
		"is wrapped by the master": {"keys", "rotate", "--dir", dir},
	} {
		status, _, stderr := dalel(t, args...)
		require.Equal(t, exitFailed, status)
		require.Contains(t, stderr, says)
	}
}

func TestKeysThatAreNotThereAreNotRotated(t *testing.T) {
	dir := t.TempDir()
	foundedIn(t, dir)
	status, _, stderr := dalel(t, "keys", "rotate", "--dir", dir)
	require.Equal(t, exitFailed, status)
	require.Contains(t, stderr, "there is nothing to rotate")
}

// upload puts content that no event names, some time ago.
func upload(t *testing.T, dir, text string, ago time.Duration) blobs.Digest {
	t.Helper()
	store, err := blobfile.OpenWith(filepath.Join(dir, blobsDir), blobfile.Options{First: 24 * time.Hour, Clock: func() time.Time { return time.Now().Add(-ago) }})
	require.NoError(t, err)
	defer store.Close()
	info, err := store.Put(t.Context(), strings.NewReader(text), 1000)
	require.NoError(t, err)
	return info.Digest
}

func TestASweepRemovesWhatNobodyNamesAndNothingElse(t *testing.T) {
	inTheWholeRun(t)
	dir := played(t)
	before := checked(t, dir)
	old, young := upload(t, dir, "an upload of a month ago", 30*24*time.Hour), upload(t, dir, "an upload of an hour ago", time.Hour)
	held := upload(t, dir, "an old upload on hold", 30*24*time.Hour)
	unlocked := upload(t, dir, "from before there were locks", 30*24*time.Hour)
	lockOf := func(d blobs.Digest) string {
		return filepath.Join(dir, blobsDir, "locks", d.String()[:2], d.String()[2:]+".json")
	}
	require.NoError(t, os.Remove(lockOf(unlocked)))
	store, err := blobfile.Open(filepath.Join(dir, blobsDir))
	require.NoError(t, err)
	require.NoError(t, store.Hold(t.Context(), held, true))
	stored := func(d blobs.Digest) bool {
		_, err := store.Stat(t.Context(), d)
		return err == nil
	}
	t.Cleanup(func() { require.NoError(t, store.Close()) })

	status, said, stderr := dalel(t, "sweep", "--dir", dir, "--dry-run")
	require.Zero(t, status, stderr)
	require.Contains(t, said, "1 contents of 24 bytes that no event names would be removed; 2 are locked still, 1 were never locked")
	require.True(t, stored(old))

	t.Run("nothing when events and content do not belong together", func(t *testing.T) {
		other := playedAnew(t)
		status, _, stderr := dalel(t, "sweep", "--dir", dir, "--store", sqliteURL(filepath.Join(other, eventsFile)))
		require.Equal(t, exitFailed, status)
		require.Contains(t, stderr, "store.other-ledger")
		require.True(t, stored(old))
	})
	t.Run("nothing when an event cannot be believed", func(t *testing.T) {
		spoiled := filepath.Join(t.TempDir(), "spoiled.db")
		require.NoError(t, os.WriteFile(spoiled, read(t, filepath.Join(dir, eventsFile)), 0o600))
		flipEvent(t, spoiled)
		status, _, stderr := dalel(t, "sweep", "--dir", dir, "--store", sqliteURL(spoiled))
		require.Equal(t, exitFailed, status)
		require.Contains(t, stderr, "event.chain-broken")
		require.True(t, stored(old))
	})
	changed(t, dir, func(*node) {
		// A lock that cannot be read keeps its content.
		text := read(t, lockOf(held))
		require.NoError(t, os.WriteFile(lockOf(held), []byte("{}"), 0o600))
		status, said, stderr = dalel(t, "sweep", "--dir", dir)
		require.Equal(t, exitBad, status, "beside a process that has the ledger open: %s", stderr)
		require.Contains(t, said, "KEPT  content "+held.String())
		require.Contains(t, said, "1 contents of 24 bytes that no event names removed")
		require.NoError(t, os.WriteFile(lockOf(held), text, 0o600))
	})
	require.False(t, stored(old))
	for _, kept := range []blobs.Digest{young, held, unlocked} {
		require.True(t, stored(kept))
	}
	after := checked(t, dir)
	require.Equal(t, before.Root, after.Root)
	require.Equal(t, before.Contents+3, after.Contents)
}
