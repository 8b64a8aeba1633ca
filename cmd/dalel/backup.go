package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	blobfile "dalel/blobs/file"
	keysqlite "dalel/blobs/keys/sqlite"
	"dalel/domain/founding"
	"dalel/domain/ledger"
	"dalel/domain/retention"
	"dalel/eventstore"
	"dalel/eventstore/sqlite"
	"dalel/internal/backup"
)

// makeBackup copies a whole ledger, served or not: 0 the backup is whole, 1 it
// is made and something of the ledger was missing or damaged, 2 it could not
// be made.
func makeBackup(ctx context.Context, args []string, stdout, stderr io.Writer) (status int) {
	flags := flag.NewFlagSet("backup", flag.ContinueOnError)
	var at location
	at.register(flags)
	out := flags.String("out", "", "the `folder` of the backup; one that is there is brought up to date")
	keysOut := flags.String("keys-out", "", "the `folder` of the backup of the keys; it must be kept apart from the other")
	noKeys := flags.Bool("no-keys", false, "do not copy the keys: they are backed up in another way")
	withMaster := flags.Bool("with-master", false, "copy the master key's file too")
	if !arguments(flags, args, stderr) {
		return exitFailed
	}
	err := need(map[string]string{"dir": at.dir, "out": *out})
	switch {
	case err != nil:
	case *noKeys && (*keysOut != "" || *withMaster):
		err = errors.New("--no-keys goes with neither --keys-out nor --with-master")
	case !*noKeys && *keysOut == "":
		err = errors.New("needed: --keys-out, or --no-keys: without its keys a backup cannot be read")
	}
	if err != nil {
		return fail(stderr, "backup", err)
	}
	at = at.filled()
	if err := apart(at, map[string]string{"--out": *out, "--keys-out": *keysOut}); err != nil {
		return fail(stderr, "backup", err)
	}
	source, closeSource, err := openSource(ctx, at, !*noKeys, *withMaster, progressLine(stderr))
	if err != nil {
		return fail(stderr, "backup", err)
	}
	defer func() {
		if err := closeSource(); err != nil {
			status = fail(stderr, "backup", err)
		}
	}()
	target, closeTarget, err := openTarget(ctx, *out, *keysOut)
	if err != nil {
		return fail(stderr, "backup", err)
	}
	defer func() {
		// What makes the folder a backup is on stable storage all the same.
		if err := closeTarget(); err != nil {
			status = fail(stderr, "backup", err)
		}
	}()
	var problems []backup.Problem
	line := progressLine(stderr)
	manifest, err := backup.Make(ctx, source, target, func(p backup.Problem) { problems = append(problems, p) }, line.seldom())
	line.end()
	for _, p := range problems {
		fmt.Fprintf(stdout, "NOT WHOLE  %s: %s\n", p.Where, p.What)
	}
	if err != nil {
		return fail(stderr, "backup", fmt.Errorf("%w\nthe backup is not finished; the same command goes on from there", err))
	}
	fmt.Fprintf(stdout, "%d events in %d streams, %d contents of %d bytes, as of %s\nroot %s\n",
		manifest.Events, manifest.Streams, manifest.Contents, manifest.Bytes, manifest.When.UTC().Format(time.RFC3339), manifest.Root)
	writeBackupMark(at.dir, backupMark{When: time.Now().UTC(), Events: manifest.Events, Root: manifest.Root, Whole: len(problems) == 0}, stderr)
	if *keysOut != "" {
		kept, err := backup.ReadKeysManifest(*keysOut)
		if err != nil {
			return fail(stderr, "backup", err)
		}
		fmt.Fprintf(stdout, "%d keys, %d destroyed, under the master key %s: in %s; keep it apart from %s, and not for long\n",
			kept.Live, kept.Destroyed, kept.Master, *keysOut, *out)
	}
	if *withMaster {
		fmt.Fprintf(stdout, "THE MASTER KEY IS IN %s: whoever has that folder and the backup reads everything\n", filepath.Join(*keysOut, backup.SecretsDir))
	}
	if len(problems) > 0 {
		return exitBad
	}
	return exitGood
}

// seldom shows progress a few times a second.
func (p *progress) seldom() backup.Progress {
	var shown time.Time
	return func(what string, done, total int64) {
		if p.w != nil && time.Since(shown) >= 200*time.Millisecond {
			shown = time.Now()
			p.show(what, done, total)
		}
	}
}

// openSource opens a ledger for copying. Its event store may be open
// elsewhere: nothing is written to it.
func openSource(ctx context.Context, at location, withKeys, withMaster bool, line *progress) (source backup.Source, closeAll func() error, err error) {
	var open closers
	defer func() {
		if err != nil {
			err = errors.Join(err, open.Close())
		}
	}()
	kept, err := openSettings(at.settings)
	if err != nil {
		return source, nil, err
	}
	set := kept.settings
	rules, err := retentionOf(set)
	if err != nil {
		return source, nil, err
	}
	source = backup.Source{Name: set.Name, Version: version, Settings: at.settings}
	if source.Codec, err = ledger.NewCodec(); err != nil {
		return source, nil, err
	}
	if err := storeThere(at); err != nil {
		return source, nil, err
	}
	if source.Events, err = openToRead(ctx, at.store, true, line); err != nil {
		return source, nil, fmt.Errorf("open the event store: %w", err)
	}
	open.add(source.Events)
	founded, err := sameStore(ctx, at, kept, source.Events)
	if err != nil {
		return source, nil, err
	}
	archive, err := openContent(ctx, at, rules, founded)
	if err != nil {
		return source, nil, fmt.Errorf("open the content store: %w", err)
	}
	source.Blobs = archive
	open.add(archive)
	if err := holdsPublished(ctx, source.Events, archive, at.blobs, founded, kept.logKey); err != nil {
		return source, nil, err
	}
	if !withKeys {
		return source, open.Close, nil
	}
	if source.Keys, err = openKeyStore(ctx, at.keys, false); err != nil {
		return source, nil, fmt.Errorf("open the keys: %w", err)
	}
	open.add(source.Keys)
	if err := keysOf(ctx, source.Keys, at.keys, set.Ledger); err != nil {
		return source, nil, err
	}
	source.Secrets = map[string]string{}
	// The log's files need no copy: they are computed from the events, byte for
	// byte, and its checkpoints are events.
	for _, name := range []string{identifierFile, sealFile, logKeyFile} {
		source.Secrets[name] = filepath.Join(at.settings, secretsDir, name)
	}
	if withMaster {
		path := strings.TrimPrefix(at.master, "file://")
		if strings.Contains(path, "://") {
			return source, nil, errors.New("--with-master: the master key is in a key management service, which does not give it away")
		}
		source.Secrets[masterFile] = path
	}
	return source, open.Close, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// holdsPublished refuses a store that does not record the checkpoint among the
// content; a backup of it would take the place of a better one.
func holdsPublished(ctx context.Context, store eventstore.Store, content blobStore, place string,
	founded founding.State, key *logKey) (err error) {
	if !strings.Contains(place, "://") && !exists(filepath.Join(place, logFiles(founded))) {
		return nil
	}
	objects, closer, err := openObjects(content, place, logFiles(founded))
	if err != nil {
		return fmt.Errorf("open the transparency log's files: %w", err)
	}
	defer func() { err = errors.Join(err, closer.Close()) }()
	return holdsServed(ctx, store, objects, founded, key.verifier)
}

// retentionOf returns the retention rules in the settings of a ledger.
func retentionOf(set settings) (retention.Rules, error) {
	if set.Retention == nil {
		return retention.Default(), nil
	}
	rules, err := retention.Parse(set.Retention)
	if err != nil {
		return rules, fmt.Errorf("read the retention rules in %s: %w", settingsFile, err)
	}
	return rules, nil
}

// openToRead opens an event store that another process may have open, and has
// a file looked through first: some damage shows there alone.
// Foreign events in it are let by where they may be there: who reads the events
// looks at each, and tells foreign ones from changed ones.
func openToRead(ctx context.Context, address string, foreign bool, line *progress) (eventstore.Store, error) {
	path, ok := sqlitePath(address)
	if !ok {
		return openStore(ctx, address)
	}
	reader, err := sqlite.OpenReader(ctx, path)
	if err != nil {
		return nil, err
	}
	line.say("checking the event store")
	err = reader.Check(ctx, func(p sqlite.Problem) error {
		if foreign && p.Kind == sqlite.EventChanged {
			return nil
		}
		return notFollowing(p)
	})
	line.end()
	if err != nil {
		return nil, errors.Join(err, reader.Close())
	}
	return reader, nil
}

// openTarget opens the folders of a backup.
func openTarget(ctx context.Context, dir, keysDir string) (target backup.Target, closeAll func() error, err error) {
	var open closers
	defer func() {
		if err != nil {
			err = errors.Join(err, open.Close())
		}
	}()
	target = backup.Target{Dir: dir, KeysDir: keysDir}
	for _, folder := range []string{dir, keysDir} {
		if folder == "" {
			continue
		}
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return target, nil, err
		}
	}
	if target.Events, err = sqlite.Open(ctx, filepath.Join(dir, backup.EventsFile), sqlite.Options{}); err != nil {
		return target, nil, fmt.Errorf("open the backup's events: %w", err)
	}
	open.add(target.Events)
	// Nothing is ever removed from a backup's folder by this program, so its
	// own locks say nothing; the ledger's are in the backup as data.
	content, err := blobfile.OpenWith(filepath.Join(dir, backup.BlobsDir), blobfile.Options{First: time.Nanosecond})
	if err != nil {
		return target, nil, fmt.Errorf("open the backup's content: %w", err)
	}
	target.Blobs = content
	open.add(content)
	if keysDir == "" {
		return target, open.Close, nil
	}
	if target.Keys, err = keysqlite.Open(ctx, filepath.Join(keysDir, backup.KeysFile)); err != nil {
		return target, nil, fmt.Errorf("open the backup's keys: %w", err)
	}
	open.add(target.Keys)
	return target, open.Close, nil
}

// closers are closed together, the last first.
type closers []io.Closer

func (c *closers) add(one io.Closer) { *c = append(*c, one) }

// Close implements io.Closer.
func (c *closers) Close() error {
	var errs []error
	for i := range *c {
		errs = append(errs, (*c)[len(*c)-1-i].Close())
	}
	*c = nil
	return errors.Join(errs...)
}

// apart refuses folders that lie within each other: keys beside what they
// open, or a backup within the ledger that it is of.
func apart(at location, folders map[string]string) error {
	places := map[string]string{"--dir": at.dir, "--settings": at.settings}
	if !strings.Contains(at.blobs, "://") {
		places["--blobs"] = at.blobs
	}
	for name, folder := range folders {
		if folder == "" {
			continue
		}
		for other, place := range folders {
			if other != name && place != "" && within(folder, place) {
				return fmt.Errorf("%s is in %s, and the two must be kept apart: whoever has both can read everything", name, other)
			}
		}
		for other, place := range places {
			if within(folder, place) || within(place, folder) {
				return fmt.Errorf("%s and the ledger's %s lie within each other: what befalls one befalls both", name, other)
			}
		}
	}
	return nil
}

// within reports whether a folder is another one or lies in it, whatever links
// lead there.
func within(folder, other string) bool {
	relative, err := filepath.Rel(real(other), real(folder))
	return err == nil && (relative == "." || filepath.IsLocal(relative))
}

// real is a path without links, as far as it exists.
func real(path string) string {
	path, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		return resolved
	}
	parent := filepath.Dir(path)
	if parent == path {
		return path
	}
	return filepath.Join(real(parent), filepath.Base(path))
}
