package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"dalel/domain/event"
	"dalel/domain/founding"
	"dalel/domain/ledger"
	"dalel/eventstore"
	"dalel/internal/backup"
	"dalel/internal/durable"
	"dalel/internal/fault"
	"dalel/internal/translog"
	"dalel/projections/feed"
	"dalel/projections/transparency"

	"golang.org/x/mod/sumdb/note"
)

// nextKeyFile is in secrets/ while a ledger is being recovered: the new log's key.
const nextKeyFile = "log-next.key"

// recoverCommand has a ledger that lost events for good go on under another
// transparency log, and states what is missing.
func recoverCommand(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("recover", flag.ContinueOnError)
	var r recovery
	r.at.register(flags)
	flags.StringVar(&r.origin, "origin", "",
		"the `name` of the new transparency log: a host and a path of the operator's without https://, another than before")
	flags.StringVar(&r.ground, "ground", "", "what happened, and why no copy has what is missing: it is recorded")
	if !arguments(flags, args, stderr) {
		return exitFailed
	}
	if err := need(map[string]string{"dir": r.at.dir, "origin": r.origin, "ground": r.ground}); err != nil {
		return fail(stderr, "recover", err)
	}
	r.at = r.at.filled()
	stated, err := r.recover(ctx)
	if err != nil {
		return fail(stderr, "recover", err)
	}
	fmt.Fprintln(stdout, sayRecovered(stated))
	if r.compared < stated.Events {
		fmt.Fprintf(stdout, "of the %d events that are there, %d were held against what the former log had published\n",
			stated.Events, r.compared)
	}
	fmt.Fprintf(stdout, "the ledger goes on under the log %s; the former log's key is kept and signs nothing any more\n",
		stated.Origin)
	fmt.Fprintf(stdout, "give every node the same secrets/, trust/ and %s, remove %s and %s from its folder, and start it; give witnesses and auditors the new key (`dalel log key`)\n",
		settingsFile, modelsFile, processFile)
	return exitGood
}

// sayRecovered states a recovery on one line.
func sayRecovered(r founding.Recovered) string {
	text := fmt.Sprintf("RECOVERED after a loss on %s: of at least %d events %d were left, at least %d are missing",
		r.RecoveredAt.Format("2006-01-02"), r.Known, r.Events, r.Missing())
	if c := r.Checkpoint; c != nil {
		text += fmt.Sprintf("; the newest checkpoint known of the former log %s is of %d events, root %s",
			r.FormerOrigin, c.Size, c.Root)
	}
	return text + ". Ground: " + strings.Join(strings.Fields(r.Ground), " ")
}

// recovery recovers a ledger.
//
// The new log's key lies in secrets/log-next.key until all is done: what was cut
// off is finished by the same command, and nothing else works meanwhile.
type recovery struct {
	at             location
	origin, ground string
	// compared is how many of the events that are there were held against the
	// files of the former log.
	compared uint64
	// step, if set, is told of each step before it is done; an error cuts the
	// recovery off there.
	step func(what string) error
}

func (r *recovery) before(what string) error {
	if r.step == nil {
		return nil
	}
	return r.step(what)
}

// recovering refuses to work with a ledger whose recovery was cut off.
func recovering(at location) error {
	if path := filepath.Join(at.settings, secretsDir, nextKeyFile); exists(path) {
		return fault.New(fault.SettingsOther, "%s is there: `dalel recover` was cut off, run the same command again", path)
	}
	return nil
}

func (r *recovery) recover(ctx context.Context) (stated founding.Recovered, err error) {
	if backup.Began(r.at.dir) {
		return stated, fmt.Errorf("a restore into %s was cut off: run it again", r.at.dir)
	}
	set, err := readSettings(r.at.settings)
	if err != nil {
		return stated, err
	}
	next, begun, err := r.nextKey()
	if err != nil {
		return stated, err
	}
	store, founded, err := openFounded(ctx, r.at, set.Ledger)
	if err != nil {
		return stated, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if founded.LogKey != next.vkey {
		if err := r.order(ctx, set, store, founded, next, begun); err != nil {
			return stated, err
		}
		if founded, err = foundingIn(ctx, store, r.at.store, set.Ledger); err != nil {
			return stated, err
		}
	}
	if n := len(founded.Recoveries); n > 0 && founded.LogKey == next.vkey {
		stated = founded.Recoveries[n-1]
		return stated, r.settle(set, stated, next)
	}
	return stated, fault.New(fault.Internal, "the recovery is not on record")
}

// nextKey returns the new log's key: that of a recovery which was cut off, or one
// that is not stored yet.
func (r *recovery) nextKey() (key *logKey, begun bool, err error) {
	path := filepath.Join(r.at.settings, secretsDir, nextKeyFile)
	text, err := readBounded(path, 4<<10)
	if errors.Is(err, fs.ErrNotExist) {
		secret, _, err := note.GenerateKey(rand.Reader, r.origin)
		if err != nil {
			return nil, false, fault.New(fault.RecoveryInvalid, "%.100q is no name of a log", r.origin)
		}
		key, err = parseLogKey(secret)
		if err == nil {
			key.secret = secret
		}
		return key, false, err
	}
	if err != nil {
		return nil, true, err
	}
	if key, err = parseLogKey(strings.TrimSpace(string(text))); err != nil {
		return nil, true, fault.New(fault.ConfigInvalid, "%s is no key of a log", path)
	}
	key.secret = strings.TrimSpace(string(text))
	if key.verifier.Name() != r.origin {
		return nil, true, fault.New(fault.RecoveryInvalid, "a recovery under the log %q was cut off here: finish it with the same --origin", key.verifier.Name())
	}
	return key, true, nil
}

// order finds out what is missing, and has the recovery recorded.
func (r *recovery) order(ctx context.Context, set settings, store eventstore.Store, founded founding.State, next *logKey, begun bool) error {
	command := founding.Recover{LogKey: next.vkey, Ground: r.ground, By: event.By{Participant: ledger.Operator}}
	if err := r.examine(ctx, set, store, founded, &command); err != nil {
		return err
	}
	// What would be refused leaves nothing behind.
	trial := command
	trial.Now = founded.FoundedAt
	if _, err := founding.Decide(founded, trial); err != nil {
		return err
	}
	if !begun {
		if err := r.before("make the new log's key"); err != nil {
			return err
		}
		if err := durable.Create(filepath.Join(r.at.settings, secretsDir, nextKeyFile), []byte(next.secret+"\n"), 0o600); err != nil {
			return err
		}
	}
	if err := r.before("record the recovery"); err != nil {
		return err
	}
	return ledger.Recover(ctx, store, command)
}

// examine compares the event store with what this node has seen and with what the
// log has published, and fills in what was and what is there. It writes nothing.
func (r *recovery) examine(ctx context.Context, set settings, store eventstore.Store, founded founding.State, command *founding.Recover) (err error) {
	key, err := openLogKey(r.at.settings, set.Log.Origin)
	if err != nil {
		return fmt.Errorf("open the transparency log's key: %w", err)
	}
	_, certificate, err := openSeal(r.at.settings)
	if err != nil {
		return fmt.Errorf("open the operator's seal: %w", err)
	}
	identifierKey, err := readSecret(filepath.Join(r.at.settings, secretsDir, identifierFile))
	if err != nil {
		return err
	}
	if err := founded.CheckSecrets(key.vkey, certificate, identifierKey); err != nil {
		return restorable(err, putBack)
	}
	seen, _, err := seenAt(ctx, r.at, set.Ledger, founded.Origin)
	if err != nil {
		return err
	}
	rules, err := retentionOf(set)
	if err != nil {
		return err
	}
	content, err := openContent(ctx, r.at, rules, founded)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, content.Close()) }()
	objects, files, err := openObjects(content, r.at.blobs, logFiles(founded))
	if err != nil {
		return fmt.Errorf("open the transparency log's files: %w", err)
	}
	defer func() { err = errors.Join(err, files.Close()) }()
	size, root, err := transparency.Served(ctx, objects, key.verifier)
	if err != nil {
		return fmt.Errorf("read the published checkpoint: %w", err)
	}
	lost := false
	for _, found := range []error{holdsSeen(ctx, store, seen), holdsServed(ctx, store, objects, founded, key.verifier)} {
		if found != nil && !fault.Is(found, fault.StoreSetBack) {
			return found // another history is no loss
		}
		lost = lost || found != nil
	}
	if !lost {
		return fault.New(fault.LedgerWhole, "the event store has what this node has seen and what the log has published")
	}
	recorded, err := ledger.ReadCheckpoints(ctx, store, founded.Log())
	if err != nil {
		return fmt.Errorf("read the recorded checkpoints: %w", err)
	}
	if newest := recorded.Newest(); newest.Size >= size && newest.Size > 0 {
		command.Checkpoint = &founding.Checkpoint{Size: newest.Size, Root: newest.Root}
	} else if size > 0 {
		command.Checkpoint = &founding.Checkpoint{Size: size, Root: root}
		size++ // a checkpoint is recorded before it is published, in an event after those that it covers
	}
	command.Known = max(seen.Size, size)
	if c := command.Checkpoint; c != nil {
		command.Known = max(command.Known, c.Size)
	}
	return r.count(ctx, store, translog.NewReader(objects, 16), command)
}

// count counts the events that are there, and holds them against what the former
// log has published: the beginning of another history is no loss.
func (r *recovery) count(ctx context.Context, store eventstore.Store, reader *translog.Reader, command *founding.Recover) error {
	var published uint64
	if c := command.Checkpoint; c != nil {
		published = c.Size
		reader.Know(translog.Checkpoint{Size: c.Size, Root: translog.Hash(c.Root)})
	}
	var leaves [][]byte
	for recorded, err := range store.ReadAll(ctx, 0, 0) {
		if err != nil {
			return fmt.Errorf("read the events that are there: %w", err)
		}
		index := command.Events
		command.Events++
		command.Last = event.Reference{Stream: recorded.Stream, Revision: recorded.Revision, Commitment: recorded.Commitment}
		if index >= published {
			continue
		}
		if index%translog.Width == 0 {
			leaves, err = reader.Bundle(ctx, index/translog.Width, published)
			if err != nil && (feed.Transient(err) || ctx.Err() != nil) {
				return fmt.Errorf("read the files of the former log: %w", err)
			}
			if err != nil {
				published = 0 // they are lost too, or cannot be relied on
				continue
			}
		}
		if !bytes.Equal(leaves[index%translog.Width], recorded.Leaf()) {
			return setBack(fault.New(fault.StoreChanged, "%s@%d is not the event which the log has published as number %d",
				recorded.Stream, recorded.Revision, index))
		}
		r.compared++
	}
	return nil
}

// settle puts the new log's key in force among the settings. The former one is
// kept under another name.
func (r *recovery) settle(set settings, stated founding.Recovered, next *logKey) error {
	secrets, trust := filepath.Join(r.at.settings, secretsDir), filepath.Join(r.at.settings, trustDir)
	former := "log-" + shortHash(stated.FormerKey)
	for _, s := range []struct {
		what string
		do   func() error
	}{
		{"keep the former key", func() error {
			text, err := readBounded(filepath.Join(secrets, logKeyFile), 4<<10)
			if err != nil {
				return err
			}
			key, err := parseLogKey(strings.TrimSpace(string(text)))
			if err != nil || key.vkey != stated.FormerKey {
				return nil // it was done before
			}
			return keepOnce(filepath.Join(secrets, former+".key"), text, 0o600)
		}},
		{"keep the former public key", func() error {
			return keepOnce(filepath.Join(trust, former+".vkey"), []byte(stated.FormerKey+"\n"), 0o644)
		}},
		{"replace the key", func() error {
			return durable.Replace(filepath.Join(secrets, logKeyFile), []byte(next.secret+"\n"))
		}},
		{"replace the public key", func() error {
			return durable.Replace(filepath.Join(trust, logVKeyFile), []byte(next.vkey+"\n"))
		}},
		{"write the settings", func() error { return renameLog(r.at.settings, set, stated.Origin) }},
		{"forget what was computed", func() error { return r.forget() }},
		{"finish", func() error { return os.Remove(filepath.Join(secrets, nextKeyFile)) }},
	} {
		if err := r.before(s.what); err != nil {
			return err
		}
		if err := s.do(); err != nil {
			return fmt.Errorf("%s: %w", s.what, err)
		}
	}
	return nil
}

// keepOnce puts a file in place unless it is there.
func keepOnce(path string, content []byte, mode fs.FileMode) error {
	if err := durable.Create(path, content, mode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// renameLog has the settings name the new log, where they name one.
func renameLog(folder string, set settings, origin string) error {
	if set.Log.Origin == "" || set.Log.Origin == origin {
		return nil
	}
	set.Log.Origin = origin
	text, err := json.MarshalIndent(set, "", "  ")
	if err != nil {
		return err
	}
	return durable.Replace(filepath.Join(folder, settingsFile), append(text, '\n'))
}

// forget removes what this node has computed of events that are gone.
func (r *recovery) forget() error {
	for _, name := range []string{modelsFile, processFile} {
		for _, suffix := range []string{"", "-wal", "-shm"} {
			if err := os.Remove(filepath.Join(r.at.dir, name+suffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}
