package main

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	blobfile "dalel/blobs/file"
	blobs3 "dalel/blobs/s3"
	"dalel/domain/founding"
	"dalel/internal/fault"
	"dalel/internal/translog"
	"dalel/projections/transparency"

	"golang.org/x/mod/sumdb/note"
)

// The transparency log's files in a ledger's folders.
const (
	logKeyFile  = "log.key"  // in secrets/: what checkpoints are signed with
	logVKeyFile = "log.vkey" // in trust/: its public half
	logFile     = "log.db"   // in the node's folder: where the log has come to
	logDir      = "log"      // among the content: tiles and checkpoint
)

// logKey is the log's key: Ed25519, written as a signed note's keys are
// (c2sp.org/signed-note). Its name is the log's origin.
type logKey struct {
	signer   note.Signer
	verifier note.Verifier
	// vkey is the public key's text; secret that of a key that is not stored yet.
	vkey, secret string
}

// openLogKey reads the log's key, and refuses one of another origin than the
// settings give, if they give one.
func openLogKey(dir, origin string) (*logKey, error) {
	path := filepath.Join(dir, secretsDir, logKeyFile)
	text, err := readBounded(path, 4<<10)
	if err != nil {
		return nil, err
	}
	key, err := parseLogKey(strings.TrimSpace(string(text)))
	if err != nil {
		// What note says may quote the key.
		return nil, fault.New(fault.ConfigInvalid, "%s is no key of a log", path)
	}
	if origin != "" && origin != key.signer.Name() {
		return nil, fault.New(fault.ConfigInvalid, "the log's key in %s is %q, and %s says %q", path, key.signer.Name(), settingsFile, origin)
	}
	return key, nil
}

func parseLogKey(secret string) (*logKey, error) {
	signer, err := note.NewSigner(secret)
	if err != nil {
		return nil, err
	}
	// PRIVATE+KEY+name+hash+base64 of the algorithm's byte and the seed; there
	// may be a plus in the base64 too.
	encoded := base64.StdEncoding.EncodedLen(1 + ed25519.SeedSize)
	raw, err := base64.StdEncoding.DecodeString(secret[max(0, len(secret)-encoded):])
	if err != nil {
		return nil, err
	}
	if len(raw) != 1+ed25519.SeedSize {
		return nil, errors.New("the key is no Ed25519 key")
	}
	vkey, err := note.NewEd25519VerifierKey(signer.Name(), ed25519.NewKeyFromSeed(raw[1:]).Public().(ed25519.PublicKey))
	if err != nil {
		return nil, err
	}
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, err
	}
	if verifier.KeyHash() != signer.KeyHash() {
		return nil, errors.New("the key's two halves do not belong together")
	}
	return &logKey{signer: signer, verifier: verifier, vkey: vkey}, nil
}

// logFiles is the folder of the log's files among the content: log of a ledger's
// first log, and one of its own of each that it goes on with after a loss. What
// the former log has published stays where it is, and in nobody's way.
func logFiles(founded founding.State) string {
	if len(founded.Recoveries) == 0 {
		return logDir
	}
	return logDir + "-" + shortHash(founded.Origin)
}

// shortHash tells names of logs, and their keys, from one another.
func shortHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}

// openObjects opens the log's files, which lie among the content: in a folder of
// its folder, or below its prefix in the bucket.
func openObjects(store blobStore, place, dir string) (translog.Objects, io.Closer, error) {
	if bucket, ok := store.(*blobs3.Store); ok {
		return bucket.ObjectsIn(dir, 0), closeFunc(func() error { return nil }), nil
	}
	objects, err := blobfile.OpenObjects(filepath.Join(place, dir))
	return objects, objects, err
}

// openLog opens the node's transparency log.
func (n *node) openLog(ctx context.Context, options transparency.Options) (*transparency.Log, error) {
	kept := n.settings.Log
	options.Interval, options.Cosign, options.Stamp = kept.interval(), time.Duration(kept.Cosign), time.Duration(kept.Stamp)
	witnesses, err := kept.witnesses()
	if err != nil {
		return nil, err
	}
	if options.Aged, err = kept.aged(); err != nil {
		return nil, err
	}
	return transparency.Open(ctx, transparency.Config{
		Path: filepath.Join(n.dir, logFile), Ledger: n.settings.Ledger, Name: n.founded.Log(), Store: n.store, Codec: n.ledger.Codec(), Objects: n.objects, Checkpoints: n.ledger,
		Signer: n.logKey.signer, Verifier: n.logKey.verifier, Options: options,
		Witnesses: witnesses, Authorities: n.stampers(), Voucher: n.voucher(),
	})
}

// checkpointNow brings the log up to date with every event, signs a checkpoint
// and serves it.
func (n *node) checkpointNow(ctx context.Context, log *slog.Logger) (transparency.Status, error) {
	opened, err := n.openLog(ctx, transparency.Options{Logger: log})
	if err != nil {
		return transparency.Status{}, err
	}
	err = opened.Publish(ctx)
	if err == nil {
		err = opened.Collect(ctx)
	}
	return opened.Status(), errors.Join(err, opened.Close())
}

// proving has a ledger that nobody serves prove its events: the log is brought
// up to date, a checkpoint is signed where one is due, and the log stays open
// until close.
func (n *node) proving(ctx context.Context, log *slog.Logger) (close func() error, err error) {
	opened, err := n.openLog(ctx, transparency.Options{Logger: log})
	if err != nil {
		return nil, err
	}
	if err := opened.Publish(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("bring the transparency log up to date: %w", err), opened.Close())
	}
	n.log = opened
	return func() error {
		n.log = nil
		return opened.Close()
	}, nil
}

// logCommands are those about the transparency log.
func logCommands(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	form := "usage: dalel log {key | publish | rebuild} --dir DIR"
	if len(args) == 0 {
		fmt.Fprintln(stderr, form)
		return exitFailed
	}
	flags := flag.NewFlagSet("log "+args[0], flag.ContinueOnError)
	var at location
	at.register(flags)
	if !arguments(flags, args[1:], stderr) {
		return exitFailed
	}
	if err := need(map[string]string{"dir": at.dir}); err != nil {
		return fail(stderr, "log", err)
	}
	var err error
	switch args[0] {
	case "key":
		err = printLogKey(at.filled(), stdout)
	case "publish", "rebuild":
		err = keepLog(ctx, at, args[0] == "rebuild", stdout, stderr)
	default:
		fmt.Fprintln(stderr, form)
		return exitFailed
	}
	if err != nil {
		status := fail(stderr, "log "+args[0], err)
		if fault.Is(err, fault.LogDiverged) || fault.Is(err, fault.StoreSetBack) || fault.Is(err, fault.StoreChanged) {
			return exitBad
		}
		return status
	}
	return exitGood
}

// printLogKey prints the log's public key, on which its checkpoints are
// checked. The ledger may be served meanwhile.
func printLogKey(at location, stdout io.Writer) error {
	kept, err := openSettings(at.settings)
	if err != nil {
		return err
	}
	fmt.Fprintln(stdout, kept.logKey.vkey)
	return nil
}

// keepLog does once, on a ledger that nobody serves, what a node does all the
// time; or computes the log anew and signs nothing.
func keepLog(ctx context.Context, at location, rebuild bool, stdout, stderr io.Writer) (err error) {
	n, err := openNode(ctx, at)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	log, err := n.openLog(ctx, transparency.Options{Logger: slog.New(slog.NewTextHandler(stderr, nil))})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	if rebuild {
		err = log.Rebuild(ctx)
	} else if err = log.Publish(ctx); err == nil {
		err = log.Collect(ctx)
	}
	if err != nil {
		return err
	}
	printLog(stdout, log.Status())
	return nil
}

func printLog(w io.Writer, s transparency.Status) {
	if s.Root == nil {
		fmt.Fprintf(w, "%s: %d events, no checkpoint yet\n", s.Origin, s.Integrated)
		return
	}
	fmt.Fprintf(w, "%s: %d events, the newest checkpoint is of %d, root %s\n", s.Origin, s.Integrated, s.Published, s.Root)
}
