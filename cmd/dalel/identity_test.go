package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"dalel/domain/access"
	"dalel/domain/event"
	"dalel/domain/ledger"
	"dalel/domain/transfer"
	"dalel/eventstore"
	"dalel/internal/fault"
	"dalel/internal/testca"
	"dalel/projections/transparency"
	"dalel/tests/esdbserver"
)

// parts is a ledger whose parts lie apart: the settings, the content, the event
// store and the folder of a node that knows it.
type parts struct {
	t     testing.TB
	dir   string
	store string
	// node is the node's folder, the one that knows the ledger unless a case
	// says otherwise.
	node string
}

func (p *parts) path(names ...string) string {
	return filepath.Join(append([]string{p.dir}, names...)...)
}

// at are the flags that name the parts.
func (p *parts) at() []string {
	return []string{"--dir", p.node, "--settings", p.path("settings"), "--store", p.store, "--blobs", p.path("blobs")}
}

// manyEvents is how many more events the first of the two ledgers has than the
// set back store.
const manyEvents = 1000

// twoLedgers founds two ledgers in a folder that TestMain removes, the first with
// more than a thousand events; tests get copies.
var twoLedgers = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "dalel-founded-*")
	if err != nil {
		return "", err
	}
	for name, tokens := range map[string]int{"one": manyEvents + 2, "two": 3} {
		p := &parts{dir: filepath.Join(dir, name), node: filepath.Join(dir, name, "node")}
		p.store = sqliteURL(p.path(eventsFile))
		if err := p.grow(tokens); err != nil {
			return dir, err
		}
	}
	return dir, nil
})

var twoFounded atomic.Bool

// grow founds a ledger, has so many tokens issued, and a checkpoint signed that
// covers them.
func (p *parts) grow(tokens int) error {
	ctx := context.Background()
	at := location{dir: p.node, settings: p.path("settings"), store: p.store, blobs: p.path("blobs")}
	if _, err := (foundation{at: at, name: filepath.Base(p.dir)}).found(ctx); err != nil {
		return err
	}
	n, err := openNode(ctx, at)
	if err != nil {
		return err
	}
	act := ledger.Act{By: event.By{Participant: ledger.Operator}, Role: access.RoleOperator}
	var group errgroup.Group
	group.SetLimit(64)
	for range tokens {
		group.Go(func() error {
			_, err := n.ledger.IssueToken(ctx, act, act.By, access.RoleOperator, "one of many", time.Hour)
			return err
		})
	}
	err = group.Wait()
	if err == nil {
		_, err = n.checkpointNow(ctx, nil)
	}
	return errors.Join(err, n.Close())
}

// founded returns a copy of one of the two ledgers.
func founded(t testing.TB, name string) *parts {
	t.Helper()
	twoFounded.Store(true)
	from, err := twoLedgers()
	require.NoError(t, err)
	p := &parts{t: t, dir: filepath.Join(t.TempDir(), name)}
	copyFolder(t, filepath.Join(from, name), p.dir)
	p.node, p.store = p.path("node"), sqliteURL(p.path(eventsFile))
	return p
}

// copyFolder copies a folder with the rights of its files.
func copyFolder(t testing.TB, from, to string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		within, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return os.MkdirAll(filepath.Join(to, within), info.Mode().Perm())
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, within), content, info.Mode().Perm())
	}))
}

// bytes are the hashes of everything that the parts hold, by name. What SQLite
// and locks keep beside the files says nothing.
func (p *parts) bytes() map[string]string {
	held := map[string]string{}
	require.NoError(p.t, filepath.WalkDir(p.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		for _, beside := range []string{"-wal", "-shm", "-lock", "/lock", "/guard"} {
			if strings.HasSuffix(path, beside) {
				return nil
			}
		}
		if entry.IsDir() {
			held[path] = "a folder"
			return nil
		}
		content, err := os.ReadFile(path)
		sum := sha256.Sum256(content)
		held[path] = hex.EncodeToString(sum[:])
		return err
	}))
	if _, file := sqlitePath(p.store); !file {
		for i, e := range p.events() {
			held[fmt.Sprintf("event %d", i)] = e.Commitment.String()
		}
	}
	return held
}

func (p *parts) events() (list []eventstore.Recorded) {
	store, err := openStore(p.t.Context(), p.store)
	require.NoError(p.t, err)
	defer store.Close()
	for recorded, err := range store.ReadAll(p.t.Context(), 0, 0) {
		require.NoError(p.t, err)
		list = append(list, recorded)
	}
	return list
}

// refused requires that every command refuses the parts by a code, tells how to
// restore, listens nowhere and writes nothing.
func (p *parts) refused(code fault.Code, commands ...string) {
	p.t.Helper()
	before := p.bytes()
	for _, name := range commands {
		args := slices.Concat(strings.Fields(name), p.at())
		switch name {
		case "serve":
			args = append(args, "--listen", "127.0.0.1:0")
		case "token":
			args = append(args, "--role", "operator")
		case "export":
			args = append(args, "--document", "0b3c9f0e-52d0-4c0a-9c3e-6f3c2f0a7d11", "--out", filepath.Join(p.t.TempDir(), "packet.zip"))
		case "backup":
			args = append(args, "--out", filepath.Join(p.t.TempDir(), "out"), "--keys-out", filepath.Join(p.t.TempDir(), "keys"))
		case "trust add":
			args = append(args, newAuthority(p.t))
		}
		ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
		var out, said strings.Builder
		status := run(ctx, args, &out, &said)
		require.NoError(p.t, ctx.Err(), "%s went on: %s%s", name, &out, &said)
		cancel()
		require.NotEqual(p.t, exitGood, status, "%s: %s%s", name, &out, &said)
		require.Contains(p.t, said.String(), string(code)+": ", name)
		require.Contains(p.t, said.String(), "dalel restore --from", name)
		require.NotContains(p.t, out.String(), "dalel serves", name)
		require.Equal(p.t, before, p.bytes(), "%s wrote something", name)
	}
}

// newAuthority is a file with the certificate of an authority.
func newAuthority(t testing.TB) string {
	t.Helper()
	root, err := testca.NewRoot(testca.CA{Name: "A root"})
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "root.pem")
	require.NoError(t, os.WriteFile(path, root.CertificatePEM(), 0o600))
	return path
}

// beginning is an event store with the first so many events of another.
type beginning struct {
	eventstore.Store
	n int
}

func (f beginning) ReadEverything(ctx context.Context, after eventstore.Position, _ int) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		count := 0
		for recorded, err := range f.Store.ReadEverything(ctx, 0, 0) {
			if count++; err == nil && count > f.n {
				return
			}
			if err == nil && recorded.Position <= after {
				continue
			}
			if !yield(recorded, err) {
				return
			}
		}
	}
}

// holding is the URL of a new event store that holds the first events of a
// ledger, all but a number of them.
func holding(t testing.TB, p *parts, kind string, less int) string {
	t.Helper()
	url := sqliteURL(filepath.Join(t.TempDir(), eventsFile))
	if kind == "EventStoreDB" {
		address := os.Getenv("DALEL_TEST_ESDB")
		if address == "" {
			address = esdbserver.New(t, esdbserver.Options{}).URL()
		}
		url, _ = esdbserver.FreshPrefix(address)
	}
	from, err := openStore(t.Context(), p.store)
	require.NoError(t, err)
	defer from.Close()
	to, err := openStore(t.Context(), url)
	require.NoError(t, err)
	defer to.Close()
	count := 0
	for _, err := range from.ReadAll(t.Context(), 0, 0) {
		require.NoError(t, err)
		count++
	}
	if count -= less; count > 0 {
		_, err = transfer.Copy(t.Context(), beginning{from, count}, to, nil)
		require.NoError(t, err)
	}
	return url
}

// everyCommand are the commands that open a ledger.
func everyCommand() []string {
	return []string{"serve", "token", "trust add", "export", "log publish", "log rebuild", "backup", "retain", "sweep", "rebuild"}
}

// TestR_M8_AStoreThatIsNotTheLedgersIsRefusedByName is over both stores, with a
// node that knows the ledger and with one that has seen nothing yet.
func TestR_M8_AStoreThatIsNotTheLedgersIsRefusedByName(t *testing.T) {
	for _, kind := range []string{"SQLite", "EventStoreDB"} {
		for name, c := range map[string]struct {
			of   string
			less int
			code fault.Code
		}{
			"emptied":             {"one", 1 << 20, fault.StoreEmpty},
			"of another ledger":   {"two", 0, fault.StoreOther},
			"set back by 1":       {"one", 1, fault.StoreSetBack},
			"set back by 1,000":   {"one", manyEvents, fault.StoreSetBack},
			"set back to nothing": {"one", manyEvents + 3, fault.StoreSetBack},
		} {
			t.Run(kind+", "+name, func(t *testing.T) {
				t.Parallel()
				p := founded(t, "one")
				of := p
				if c.of != "one" {
					of = founded(t, c.of)
				}
				p.store = holding(t, of, kind, c.less)
				p.refused(c.code, "serve", "token")
				p.node = p.path("fresh")
				p.refused(c.code, "serve", "token")
			})
		}
		t.Run(kind+", the right one", func(t *testing.T) {
			t.Parallel()
			p := founded(t, "one")
			p.store = holding(t, p, kind, 0)
			for _, p.node = range []string{p.node, p.path("fresh")} {
				status, said, stderr := dalel(t, append([]string{"token", "--role", "operator"}, p.at()...)...)
				require.Equal(t, exitGood, status, said+stderr)
			}
		})
	}
}

func TestR_M8_EveryCommandRefusesTheWrongStore(t *testing.T) {
	p := founded(t, "one")
	p.store = holding(t, p, "SQLite", 1)
	p.refused(fault.StoreSetBack, slices.DeleteFunc(everyCommand(), func(c string) bool { return c == "log rebuild" })...)
	p = founded(t, "one")
	p.store = holding(t, founded(t, "two"), "SQLite", 0)
	p.refused(fault.StoreOther, append(everyCommand(), "fsck", "trust list")...)
	require.NoDirExists(t, p.path("fresh"))
}

func TestR_M8_WhatIsMissingOrAnothersIsRefusedByName(t *testing.T) {
	for name, c := range map[string]struct {
		change   func(t *testing.T, p, other *parts)
		code     fault.Code
		commands []string
	}{
		"no events":                {gone(eventsFile), fault.StoreMissing, []string{"trust list", "fsck"}},
		"no keys":                  {gone("settings", keysFile), fault.KeysMissing, []string{"keys list", "keys rotate"}},
		"no settings":              {gone("settings", settingsFile), fault.SettingsMissing, []string{"keys list", "trust list", "fsck", "log key"}},
		"no content":               {gone("blobs"), fault.ContentMissing, []string{"fsck"}},
		"no trust":                 {gone("settings", trustDir), fault.SettingsMissing, nil},
		"no seal's certificate":    {gone("settings", trustDir, sealCertificateFile), fault.SettingsMissing, nil},
		"no seal":                  {gone("settings", secretsDir, sealFile), fault.SettingsMissing, nil},
		"no log key":               {gone("settings", secretsDir, logKeyFile), fault.SettingsMissing, []string{"log key"}},
		"no identifier key":        {gone("settings", secretsDir, identifierFile), fault.SettingsMissing, nil},
		"no master key":            {gone("settings", secretsDir, masterFile), fault.SettingsMissing, nil},
		"no secrets":               {gone("settings", secretsDir), fault.SettingsMissing, nil},
		"another's keys":           {swapped("settings", keysFile), fault.KeysOther, []string{"keys list", "keys rotate"}},
		"another's content":        {swapped("blobs"), fault.ContentOther, []string{"fsck"}},
		"another's log key":        {swapped("settings", secretsDir, logKeyFile), fault.SettingsOther, []string{"fsck"}},
		"another's identifiers":    {swapped("settings", secretsDir, identifierFile), fault.SettingsOther, []string{"fsck"}},
		"another's settings":       {swapped("settings"), fault.StoreOther, nil},
		"another's seal":           {both(swapped("settings", secretsDir, sealFile), swapped("settings", trustDir, sealCertificateFile)), fault.SettingsOther, nil},
		"another's events":         {swapped(eventsFile), fault.StoreOther, nil},
		"emptied content":          {both(gone("blobs"), func(t *testing.T, p, _ *parts) { require.NoError(t, os.MkdirAll(p.path("blobs", "sha256"), 0o700)) }), fault.ContentMissing, nil},
		"no event but those files": {both(gone("blobs"), swapped("blobs")), fault.ContentOther, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, other := founded(t, "one"), founded(t, "two")
			c.change(t, p, other)
			p.refused(c.code, append([]string{"serve", "token"}, c.commands...)...)
			p.node = p.path("fresh")
			p.refused(c.code, "serve", "token")
		})
	}
}

// gone removes a part.
func gone(names ...string) func(t *testing.T, p, _ *parts) {
	return func(t *testing.T, p, _ *parts) { require.NoError(t, os.RemoveAll(p.path(names...))) }
}

// swapped puts another ledger's part in a part's place.
func swapped(names ...string) func(t *testing.T, p, other *parts) {
	return func(t *testing.T, p, other *parts) {
		require.NoError(t, os.RemoveAll(p.path(names...)))
		require.NoError(t, os.Rename(other.path(names...), p.path(names...)))
	}
}

func both(one, two func(t *testing.T, p, other *parts)) func(t *testing.T, p, other *parts) {
	return func(t *testing.T, p, other *parts) {
		one(t, p, other)
		two(t, p, other)
	}
}

func TestR_M8_ANodeWithoutItsMemoryIsRefusedUnlessItsFolderIsEmpty(t *testing.T) {
	p := founded(t, "one")
	status, said, stderr := dalel(t, append([]string{"rebuild"}, p.at()...)...)
	require.Equal(t, exitGood, status, said+stderr)
	kept, err := os.ReadFile(filepath.Join(p.node, logFile))
	require.NoError(t, err)

	require.NoError(t, os.Remove(filepath.Join(p.node, logFile)))
	p.refused(fault.NodeMissing, everyCommand()...)
	require.NoError(t, os.WriteFile(filepath.Join(p.node, logFile), kept[:len(kept)/2-100], 0o600))
	p.refused(fault.NodeDamaged, "serve", "token")
	other := founded(t, "two")
	require.NoError(t, os.Rename(filepath.Join(other.node, logFile), filepath.Join(p.node, logFile)))
	status, said, stderr = dalel(t, append([]string{"fsck"}, p.at()...)...)
	require.Equal(t, exitGood, status, said+stderr, "what another log's file knows says nothing of this one")

	require.NoError(t, os.WriteFile(filepath.Join(p.node, logFile), kept, 0o600))
	require.NoError(t, os.Remove(filepath.Join(p.node, modelsFile)))
	status, said, stderr = dalel(t, append([]string{"token", "--role", "operator"}, p.at()...)...)
	require.Equal(t, exitGood, status, said+stderr, "read models may always be missing")
	require.NoError(t, os.RemoveAll(p.node))
	status, said, stderr = dalel(t, append([]string{"token", "--role", "operator"}, p.at()...)...)
	require.Equal(t, exitGood, status, said+stderr, "a node may begin anew in an empty folder")
	require.FileExists(t, filepath.Join(p.node, logFile))
}

func TestR_M8_FsckNamesAStoreThatWasSetBack(t *testing.T) {
	p := founded(t, "one")
	p.store = holding(t, p, "SQLite", 1)
	before := p.bytes()
	status, said, stderr := dalel(t, append([]string{"fsck"}, p.at()...)...)
	require.Equal(t, exitBad, status, stderr)
	require.Contains(t, said, "this node has seen")
	require.Contains(t, said, "fsck.ledger-rewound")
	require.Equal(t, before, p.bytes())
}

func TestR_M8_ALedgerIsFoundedOnceAndOverNothing(t *testing.T) {
	p := founded(t, "two")
	status, _, stderr := dalel(t, append([]string{"init"}, p.at()...)...)
	require.Equal(t, exitFailed, status)
	require.Contains(t, stderr, "ledger.already-founded")
	status, said, stderr := dalel(t, append([]string{"init", "--unless-founded"}, p.at()...)...)
	require.Equal(t, exitGood, status, stderr)
	require.Contains(t, said, "was founded before")
	for name, at := range map[string][]string{
		"another's events":  {"--store", p.store},
		"another's keys":    {"--keys", p.path("settings", keysFile)},
		"another's content": {"--blobs", p.path("blobs")},
		"another's node":    {"--dir", p.node, "--settings", p.path("new")},
	} {
		t.Run(name, func(t *testing.T) {
			before := p.bytes()
			dir := t.TempDir()
			status, said, stderr := dalel(t, append([]string{"init", "--dir", dir}, at...)...)
			require.Equal(t, exitFailed, status, said)
			require.Regexp(t, "ledger.already-founded|founding.occupied", stderr)
			entries, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.Empty(t, entries)
			require.Equal(t, before, p.bytes())
		})
	}
}

func TestR_M8_OfTwoFoundingsInOneStoreOneIsFirst(t *testing.T) {
	for _, kind := range []string{"SQLite", "EventStoreDB"} {
		t.Run(kind, func(t *testing.T) {
			p := founded(t, "two")
			url := holding(t, p, kind, 1<<20)
			said := make(chan error, 2)
			for i := range 2 {
				go func() {
					_, err := foundation{at: location{dir: p.path(fmt.Sprint("founder", i)), store: url}}.found(t.Context())
					said <- err
				}()
			}
			one, two := <-said, <-said
			require.True(t, (one == nil) != (two == nil), "%v, %v", one, two)
			refused := errors.Join(one, two)
			require.True(t, fault.Is(refused, fault.LedgerFounded) || fault.Is(refused, fault.StoreLocked), "%v", refused)
			store, err := openStore(t.Context(), url)
			require.NoError(t, err)
			defer store.Close()
			state, err := ledger.ReadFounding(t.Context(), store)
			require.NoError(t, err)
			require.NotEmpty(t, state.Ledger)
		})
	}
}

func TestR_M8_AFoundingThatWasCutOffIsFinishedByTheSameCommand(t *testing.T) {
	var steps []string
	cut := errors.New("cut off")
	(func() {
		f := foundation{at: location{dir: t.TempDir()}, step: func(what string) error { steps = append(steps, what); return nil }}
		_, err := f.found(t.Context())
		require.NoError(t, err)
	})()
	require.Len(t, steps, 9)
	for i, at := range steps[1:] {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "ledger")
			f := foundation{at: location{dir: dir}, name: "A ledger", step: func(what string) error {
				if what == at {
					return cut
				}
				return nil
			}}
			begun, err := f.found(t.Context())
			require.ErrorIs(t, err, cut)
			if i < len(steps)-2 {
				status, _, stderr := dalel(t, "serve", "--dir", dir, "--listen", "127.0.0.1:0")
				require.Equal(t, exitFailed, status)
				require.Contains(t, stderr, "ledger.not-founded")
				require.Contains(t, stderr, "run the same command again")
				other := f
				other.name, other.step = "Another", nil
				_, err = other.found(t.Context())
				require.True(t, fault.Is(err, fault.FoundingOccupied), "%v", err)
			}
			f.step = nil
			done, err := f.found(t.Context())
			require.NoError(t, err)
			require.Equal(t, begun.Ledger, done.Ledger)
			require.NoFileExists(t, filepath.Join(dir, foundingFile))
			status, said, stderr := dalel(t, "token", "--dir", dir, "--role", "operator")
			require.Equal(t, exitGood, status, said+stderr)
		})
	}
}

func TestR_M8_TheOperatorsOwnSealAndSettingsAreTakenAndNeverOverwritten(t *testing.T) {
	dir := t.TempDir()
	foundedIn(t, dir)
	seal, certificate := filepath.Join(dir, secretsDir, sealFile), filepath.Join(dir, trustDir, sealCertificateFile)
	next := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(next, settingsFile), []byte(`{"name": "Mine", "public": "https://dalel.example.kz"}`), 0o600))
	copyFolder(t, filepath.Join(dir, trustDir), filepath.Join(next, trustDir))
	status, _, stderr := dalel(t, "init", "--dir", next)
	require.Equal(t, exitFailed, status)
	require.Contains(t, stderr, "founding.occupied", "a certificate without its key")
	require.NoError(t, os.MkdirAll(filepath.Join(next, secretsDir), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(next, secretsDir, sealFile), read(t, seal), 0o600))
	require.NoError(t, os.Remove(filepath.Join(next, trustDir, logVKeyFile)))
	foundedIn(t, next, "--origin", "dalel.example.kz/log")
	require.Equal(t, read(t, certificate), read(t, filepath.Join(next, trustDir, sealCertificateFile)))
	set, err := readSettings(next)
	require.NoError(t, err)
	require.Equal(t, "Mine", set.Name)
	require.Equal(t, "https://dalel.example.kz", set.Public)
	require.Equal(t, "dalel.example.kz/log", set.Log.Origin)
}

func TestR_M8_ANodeThatWasStoppedKnowsEverythingThatItAcknowledged(t *testing.T) {
	p := founded(t, "two")
	n, err := openNode(t.Context(), location{dir: p.node, settings: p.path("settings"), store: p.store, blobs: p.path("blobs")})
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	s, err := start(ctx, n, listener, false, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	act := ledger.Act{By: event.By{Participant: ledger.Operator}, Role: access.RoleOperator}
	_, err = n.ledger.IssueToken(t.Context(), act, act.By, access.RoleOperator, "the last", time.Hour)
	require.NoError(t, err)
	cancel()
	require.NoError(t, errors.Join(s.wait(ctx), n.Close()))

	seen, err := transparency.ReadSeen(t.Context(), filepath.Join(p.node, logFile), n.logKey.verifier.Name())
	require.NoError(t, err)
	events := p.events()
	require.EqualValues(t, len(events), seen.Size)
	last := events[len(events)-1]
	require.Equal(t, event.Reference{Stream: last.Stream, Revision: last.Revision, Commitment: last.Commitment}, seen.Last)
}
