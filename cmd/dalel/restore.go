package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	blobfile "dalel/blobs/file"
	"dalel/domain/ledger"
	"dalel/internal/backup"
	"dalel/internal/fault"
	"dalel/projections/transparency"
)

// restoreBackup makes a ledger of a backup: 0 it is as it was, 1 it is restored
// and something is not as committed, 2 it could not be restored.
func restoreBackup(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("restore", flag.ContinueOnError)
	var at location
	at.register(flags)
	from := flags.String("from", "", "the `folder` of the backup")
	keysFrom := flags.String("keys-from", "", "the `folder` of the backup of the keys")
	if !arguments(flags, args, stderr) {
		return exitFailed
	}
	if err := need(map[string]string{"dir": at.dir, "from": *from, "keys-from": *keysFrom}); err != nil {
		return fail(stderr, "restore", err)
	}
	r := restoring{at: at.filled(), from: *from, keysFrom: *keysFrom, stdout: stdout, stderr: stderr}
	restored, problems, err := r.restore(ctx)
	for _, p := range problems {
		fmt.Fprintf(stdout, "NOT WHOLE  %s: %s\n", p.Where, p.What)
	}
	if err != nil {
		return fail(stderr, "restore", err)
	}
	for _, subject := range restored.Again {
		fmt.Fprintf(stdout, "destroyed again: the key of %s, as the ledger records\n", subject)
	}
	if len(restored.Again) > 0 {
		fmt.Fprintf(stdout, "the backup of the keys in %s still has them: a destruction is final when that is destroyed too\n", *keysFrom)
	}
	return r.check(ctx, restored, len(problems) > 0)
}

type restoring struct {
	at             location
	from, keysFrom string
	stdout, stderr io.Writer
}

func (r restoring) restore(ctx context.Context) (restored backup.Restored, problems []backup.Problem, err error) {
	manifest, err := backup.ReadManifest(r.from)
	if err != nil {
		return restored, nil, err
	}
	text, err := manifest.Settings(r.from)
	if err != nil {
		return restored, nil, err
	}
	set, err := decodeSettings(filepath.Join(r.from, settingsFile), text)
	if err != nil {
		return restored, nil, err
	}
	rules, err := retentionOf(set)
	if err != nil {
		return restored, nil, err
	}
	if err := apart(r.at, map[string]string{"--from": r.from, "--keys-from": r.keysFrom}); err != nil {
		return restored, nil, err
	}
	if err := r.haveMaster(ctx); err != nil {
		return restored, nil, err
	}
	var open closers
	defer func() { err = errors.Join(err, open.Close()) }()
	kept := backup.Kept{Dir: r.from, KeysDir: r.keysFrom}
	if kept.Codec, err = ledger.NewCodec(); err != nil {
		return restored, nil, err
	}
	line := progressLine(r.stderr)
	defer line.end()
	if kept.Events, err = openToRead(ctx, sqliteURL(filepath.Join(r.from, backup.EventsFile)), false, line); err != nil {
		return restored, nil, fmt.Errorf("open the backup's events: %w", err)
	}
	open.add(kept.Events)
	if _, err := os.Stat(filepath.Join(r.from, backup.BlobsDir)); err != nil {
		return restored, nil, fmt.Errorf("open the backup's content: %w", err)
	}
	content, err := blobfile.OpenWith(filepath.Join(r.from, backup.BlobsDir), blobfile.Options{First: time.Nanosecond})
	if err != nil {
		return restored, nil, fmt.Errorf("open the backup's content: %w", err)
	}
	kept.Blobs = content
	open.add(content)
	if kept.Keys, err = openKeyStore(ctx, filepath.Join(r.keysFrom, backup.KeysFile), false); err != nil {
		return restored, nil, fmt.Errorf("open the backup's keys: %w", err)
	}
	open.add(kept.Keys)

	resumed := backup.Began(r.at.dir)
	for _, dir := range []string{r.at.dir, r.at.settings} {
		if err := backup.Begin(dir, manifest); err != nil {
			return restored, nil, err
		}
	}
	to := backup.Empty{Dir: r.at.dir, Settings: r.at.settings}
	if to.Events, err = openStore(ctx, r.at.store); err != nil {
		return restored, nil, fmt.Errorf("open the event store to restore to: %w", err)
	}
	open.add(to.Events)
	archive, err := openBlobs(ctx, r.at.blobs, rules, false)
	if err != nil {
		return restored, nil, fmt.Errorf("open the content store to restore to: %w", err)
	}
	to.Blobs = archive
	open.add(archive)
	if to.Keys, err = openKeyStore(ctx, r.at.keys, true); err != nil {
		return restored, nil, fmt.Errorf("open the key store to restore to: %w", err)
	}
	open.add(to.Keys)
	if !resumed {
		if err := backup.Vacant(ctx, to); err != nil {
			return restored, nil, err
		}
	}
	restored, err = backup.Restore(ctx, kept, to, func(p backup.Problem) { problems = append(problems, p) }, line.seldom())
	if err != nil {
		err = fmt.Errorf("%w\nthe restore is not finished; the same command goes on from there", err)
	}
	return restored, problems, err
}

// haveMaster makes sure that the keys can be opened in the end, before anything
// is written.
func (r restoring) haveMaster(ctx context.Context) error {
	kept, err := backup.ReadKeysManifest(r.keysFrom)
	if err != nil {
		return err
	}
	place := r.at.master
	if _, inBackup := kept.Secrets[masterFile]; inBackup {
		if at := filepath.Join(r.at.settings, secretsDir, masterFile); place != at {
			return fmt.Errorf("the backup of the keys has the master key, which is restored to %s: leave --master out", at)
		}
		place = filepath.Join(r.keysFrom, backup.SecretsDir, masterFile)
	} else if !strings.Contains(place, "://") && within(place, r.at.dir) {
		return fmt.Errorf("the keys are under the master key %s: name its place, which is not in the folder to restore to, with --master", kept.Master)
	}
	key, err := openMaster(ctx, place)
	if err != nil {
		return fmt.Errorf("open the master key: %w", err)
	}
	if key.ID() != kept.Master {
		return fault.New(fault.ConfigInvalid, "the keys are under the master key %s, and this is %s", kept.Master, key.ID())
	}
	return nil
}

// log computes the transparency log of the restored events and holds it against
// every checkpoint that they record. Nothing is signed.
func (r restoring) log(ctx context.Context, n *node) (good bool) {
	log, err := n.openLog(ctx, transparency.Options{Logger: slog.New(slog.NewTextHandler(r.stderr, &slog.HandlerOptions{Level: slog.LevelError}))})
	if err == nil {
		err = log.Rebuild(ctx)
		err = errors.Join(err, log.Close())
	}
	if err != nil {
		fmt.Fprintf(r.stdout, "NOT AS COMMITTED  transparency log: %v\n", err)
		return false
	}
	printLog(r.stdout, log.Status())
	return true
}

// check reads the restored ledger and holds it against the backup.
func (r restoring) check(ctx context.Context, restored backup.Restored, incomplete bool) int {
	r.at.restoring = true
	n, err := openNode(ctx, r.at)
	if err != nil {
		return fail(r.stderr, "restore", fmt.Errorf("open the restored ledger: %w", err))
	}
	defer n.Close()
	summary, problems, err := n.check(ctx, checking{rebuilding: true, line: progressLine(r.stderr)}, r.stderr)
	if err != nil {
		return fail(r.stderr, "restore", fmt.Errorf("check the restored ledger: %w", err))
	}
	printChecked(r.stdout, summary, problems)
	same := summary.Root == restored.Manifest.Root
	word := map[bool]string{true: "the same", false: "NOT THE SAME"}[same]
	fmt.Fprintf(r.stdout, "root %s is the backup's, of %s: %s\n", restored.Manifest.Root, restored.Manifest.When.UTC().Format(time.RFC3339), word)
	same = r.log(ctx, n) && same
	if !same || len(problems) > 0 || incomplete {
		fmt.Fprintln(r.stdout, "the ledger is restored as far as the backup goes; the same command tries again what is missing")
		return exitBad
	}
	for _, dir := range []string{r.at.dir, r.at.settings} {
		if err := backup.End(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fail(r.stderr, "restore", err)
		}
	}
	return exitGood
}
