package main

import (
	"cmp"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"time"

	"dalel/blobs"
	"dalel/blobs/keys"
	"dalel/blobs/keys/master"
	"dalel/domain/founding"
	"dalel/domain/ledger"
	"dalel/internal/backup"
	"dalel/internal/durable"
	"dalel/internal/fault"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"
)

// initialise founds a ledger. It is the one command that does, but for the demo.
func initialise(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("init", flag.ContinueOnError)
	var f foundation
	f.at.register(flags)
	flags.StringVar(&f.name, "name", "",
		"what the operator calls the ledger; packets and the seal's certificate carry it")
	flags.StringVar(&f.origin, "origin", "",
		"the `name` of the transparency log for ever: a host and a path of the operator's without https://, such as dalel.example.kz/log")
	unless := flags.Bool("unless-founded", false,
		"do nothing where the settings are those of a ledger that was founded already")
	if !arguments(flags, args, stderr) {
		return exitFailed
	}
	if err := need(map[string]string{"dir": f.at.dir}); err != nil {
		return fail(stderr, "init", err)
	}
	if set, err := readSettings(f.at.filled().settings); err == nil && *unless {
		fmt.Fprintf(stdout, "the ledger %s (%s) was founded before\n", set.Ledger, set.Name)
		return exitGood
	}
	set, err := f.found(ctx)
	if err != nil {
		return fail(stderr, "init", err)
	}
	fmt.Fprintf(stdout, "the ledger %s (%s) is founded, its settings are in %s\n", set.Ledger, set.Name,
		f.at.filled().settings)
	fmt.Fprintln(stdout,
		"now say with `dalel trust add` which authorities you trust, and make the first operator's token with `dalel token`")
	return exitGood
}

// foundation founds a ledger.
//
// While it is being founded its settings are in founding.json, and become
// ledger.json as the last thing, after the founding event: a founding that is cut
// off is finished by the same command, and nothing else takes what is there for a
// ledger.
type foundation struct {
	at           location
	name, origin string
	// step, if set, is told of each step before it is done; an error cuts the
	// founding off there.
	step func(what string) error
}

func (f foundation) before(what string) error {
	if f.step == nil {
		return nil
	}
	return f.step(what)
}

// found founds the ledger and returns its settings.
func (f foundation) found(ctx context.Context) (settings, error) {
	f.at = f.at.filled()
	set, begun, err := f.draft()
	if err != nil {
		return set, err
	}
	if begun {
		err = f.vacantStore(ctx, set.Ledger)
	} else {
		err = f.vacant(ctx, set)
	}
	if err != nil {
		return set, err
	}
	text, err := json.MarshalIndent(set, "", "  ")
	if err != nil {
		return set, err
	}
	text = append(text, '\n')
	for _, s := range []struct {
		what string
		do   func() error
	}{
		{"write down what is to be", func() error {
			if begun {
				return nil
			}
			return durable.Create(filepath.Join(f.at.settings, foundingFile), text, 0o600)
		}},
		{"make the identifier key", func() error { return makeSecret(filepath.Join(f.at.settings, secretsDir, identifierFile)) }},
		{"make the seal", func() error { return makeSeal(f.at.settings, set.Name) }},
		{"make the log's key", func() error { return makeLogKey(f.at.settings, set.Log.Origin) }},
		{"make the master key", func() error { return f.makeMaster() }},
		{"make the keys", func() error { return f.makeKeys(ctx, set) }},
		{"found the ledger", func() error { return f.append(ctx, set) }},
		{"write the settings", func() error { return durable.Replace(filepath.Join(f.at.settings, settingsFile), text) }},
		{"finish", func() error { return os.Remove(filepath.Join(f.at.settings, foundingFile)) }},
	} {
		if err := f.before(s.what); err != nil {
			return set, err
		}
		if err := s.do(); err != nil {
			return set, fmt.Errorf("%s: %w", s.what, err)
		}
	}
	return set, nil
}

// draft returns the settings to be: those of a founding that was cut off, or new
// ones on top of a ledger.json that the operator has prepared.
func (f foundation) draft() (set settings, begun bool, err error) {
	if backup.Began(f.at.dir) {
		return set, false, fault.New(fault.FoundingOccupied, "a restore into %s was cut off", f.at.dir)
	}
	path, to := filepath.Join(f.at.settings, foundingFile), filepath.Join(f.at.settings, settingsFile)
	text, err := readBounded(path, 1<<20)
	begun = err == nil
	if errors.Is(err, fs.ErrNotExist) {
		path = to
		text, err = readBounded(to, 1<<20)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return set, false, err
	default:
		if set, err = decodeSettings(path, text); err != nil {
			return set, false, err
		}
	}
	if begun {
		if f.name != "" && f.name != set.Name || f.origin != "" && f.origin != set.Log.Origin {
			return set, true, fault.New(fault.FoundingOccupied,
				"the founding of the ledger %q was cut off here: finish it with the same --name and --origin", set.Name)
		}
		return set, true, nil
	}
	if set.Ledger != "" {
		return set, false, fault.New(fault.LedgerFounded,
			"%s has the settings of the ledger %s (%s): a ledger is founded once, and another one needs a folder of its own", f.at.settings, set.Ledger, set.Name)
	}
	id, err := uuid.NewRandom()
	if err != nil {
		return set, false, err
	}
	set.Ledger, set.Name = id.String(), cmp.Or(f.name, set.Name, "Dalel")
	if f.origin != "" {
		set.Log.Origin = f.origin
	}
	return set, false, nil
}

// vacant refuses to found a ledger where something of another is.
func (f foundation) vacant(ctx context.Context, set settings) error {
	for _, path := range []string{
		filepath.Join(f.at.settings, secretsDir, identifierFile), filepath.Join(f.at.settings, secretsDir, logKeyFile),
		filepath.Join(f.at.dir, logFile), filepath.Join(f.at.dir, modelsFile), filepath.Join(f.at.dir, processFile),
	} {
		if exists(path) {
			return occupied("%s is there", path)
		}
	}
	if key, certificate := filepath.Join(f.at.settings, secretsDir, sealFile), filepath.Join(f.at.settings, trustDir, sealCertificateFile); exists(key) != exists(certificate) {
		return occupied("of %s and %s one is there without the other", key, certificate)
	}
	if err := f.vacantStore(ctx, ""); err != nil {
		return err
	}
	if err := f.vacantKeys(ctx); err != nil {
		return err
	}
	return f.vacantContent(ctx, set)
}

func occupied(format string, args ...any) error {
	return fault.New(fault.FoundingOccupied,
		format+"; a ledger is founded where there is nothing yet, and nothing was changed", args...)
}

// vacantStore refuses a store that holds anything, unless it is the founding of
// the ledger itself.
func (f foundation) vacantStore(ctx context.Context, own string) (err error) {
	if path, ok := sqlitePath(f.at.store); ok && !exists(path) {
		return nil
	}
	store, err := openStore(ctx, f.at.store)
	if err != nil {
		return fmt.Errorf("open the event store: %w", err)
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	founded, err := ledger.ReadFounding(ctx, store)
	if err != nil {
		return fmt.Errorf("look for a founding in the event store: %w", err)
	}
	switch founded.Ledger {
	case "":
	case own:
		return nil
	default:
		return fault.New(fault.LedgerFounded, "the event store %s holds the ledger %s (%s), founded on %s",
			canonicalPlace(f.at.store), founded.Ledger, founded.Name, founded.FoundedAt.Format(time.RFC3339))
	}
	empty, err := vacantStore(ctx, store)
	if err == nil && !empty {
		err = occupied("the event store %s holds events", canonicalPlace(f.at.store))
	}
	return err
}

func (f foundation) vacantKeys(ctx context.Context) (err error) {
	if !strings.Contains(f.at.keys, "://") && !exists(f.at.keys) {
		return nil
	}
	store, err := openKeyStore(ctx, f.at.keys, false)
	if err != nil {
		return fmt.Errorf("open the keys: %w", err)
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	for _, err := range store.All(ctx) {
		if err != nil {
			return err
		}
		return occupied("there are keys at %s", canonicalPlace(f.at.keys))
	}
	return nil
}

func (f foundation) vacantContent(ctx context.Context, set settings) (err error) {
	if !strings.Contains(f.at.blobs, "://") && !exists(f.at.blobs) {
		return nil
	}
	store, err := f.openContent(ctx, set)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	for _, err := range store.All(ctx) {
		if err != nil {
			return err
		}
		return occupied("there is content at %s", canonicalPlace(f.at.blobs))
	}
	objects, closer, err := openObjects(store, f.at.blobs, logDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closer.Close()) }()
	if _, err := objects.Get(ctx, blobs.CheckpointName); !fault.Is(err, fault.BlobNotFound) {
		return errors.Join(err, occupied("there are the files of a transparency log at %s", canonicalPlace(f.at.blobs)))
	}
	return nil
}

func (f foundation) openContent(ctx context.Context, set settings) (blobStore, error) {
	rules, err := retentionOf(set)
	if err != nil {
		return nil, err
	}
	store, err := openBlobs(ctx, f.at.blobs, rules, false)
	if err != nil {
		return nil, fmt.Errorf("open the content store: %w", err)
	}
	return store, nil
}

// makeMaster makes the master key where it is a file and there is none.
func (f foundation) makeMaster() error {
	if strings.Contains(f.at.master, "://") || exists(f.at.master) {
		return nil
	}
	_, err := master.MakeFile(f.at.master)
	return err
}

// makeKeys makes the first ring key and writes down whose keys they are.
func (f foundation) makeKeys(ctx context.Context, set settings) error {
	key, err := openMaster(ctx, f.at.master)
	if err != nil {
		return fmt.Errorf("open the master key: %w", err)
	}
	if !strings.Contains(f.at.keys, "://") {
		if err := os.MkdirAll(filepath.Dir(f.at.keys), 0o700); err != nil {
			return err
		}
	}
	store, err := openKeyStore(ctx, f.at.keys, true)
	if err != nil {
		return err
	}
	ring, err := keys.OpenRing(ctx, store, key, keys.RingOptions{})
	if err != nil {
		return errors.Join(err, store.Close())
	}
	return errors.Join(ring.Found(ctx, set.Ledger), ring.Close())
}

// append marks the content and appends the founding event.
func (f foundation) append(ctx context.Context, set settings) (err error) {
	var open closers
	defer func() { err = errors.Join(err, open.Close()) }()
	kept, err := openSecrets(f.at.settings, set)
	if err != nil {
		return err
	}
	ring, err := openKeys(ctx, f.at, set.Ledger)
	if err != nil {
		return err
	}
	open.add(ring)
	content, err := f.openContent(ctx, set)
	if err != nil {
		return err
	}
	open.add(content)
	if path, ok := sqlitePath(f.at.store); ok {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
	}
	store, err := openStore(ctx, f.at.store)
	if err != nil {
		return fmt.Errorf("open the event store: %w", err)
	}
	open.add(store)
	l, err := ledger.New(ledger.Config{Store: store, Blobs: content, Keys: ring, Signatures: kept.policy,
		IdentifierKey: kept.identifierKey})
	if err != nil {
		return err
	}
	return l.Found(ctx, ledger.SystemAct(), founding.Found{Ledger: set.Ledger, Name: set.Name,
		LogKey: kept.logKey.vkey, Certificate: kept.seal,
		Identifiers: founding.Identifiers(kept.identifierKey, set.Ledger)})
}

// makeSecret makes 32 random bytes, unless they are there.
func makeSecret(path string) error {
	if exists(path) {
		return nil
	}
	key := make([]byte, secretSize)
	if _, err := rand.Read(key); err != nil {
		return err
	}
	return durable.Create(path, key, 0o600)
}

// makeLogKey makes the log's key, under an origin or a name of its own, and its
// public half, unless they are there.
func makeLogKey(dir, origin string) error {
	if path := filepath.Join(dir, secretsDir, logKeyFile); !exists(path) {
		if origin == "" {
			// Names of logs must differ, and this one has no address yet.
			var random [8]byte
			if _, err := rand.Read(random[:]); err != nil {
				return err
			}
			origin = "dalel/" + hex.EncodeToString(random[:])
		}
		secret, _, err := note.GenerateKey(rand.Reader, origin)
		if err != nil {
			return err
		}
		if err := durable.Create(path, []byte(secret+"\n"), 0o600); err != nil {
			return err
		}
	}
	key, err := openLogKey(dir, origin)
	if err != nil {
		return err
	}
	public := filepath.Join(dir, trustDir, logVKeyFile)
	if exists(public) {
		return nil
	}
	return durable.Create(public, []byte(key.vkey+"\n"), 0o644)
}

// makeSeal makes the operator's seal: a key and a certificate that it signs
// itself. An operator with a certificate of the national CA puts that pair there
// before; a certificate that is there is never overwritten. RSA, since its
// signatures are the same each time, and so is a packet.
func makeSeal(dir, name string) error {
	keyPath := filepath.Join(dir, secretsDir, sealFile)
	certificatePath := filepath.Join(dir, trustDir, sealCertificateFile)
	if !exists(keyPath) {
		if exists(certificatePath) {
			return fault.New(fault.FoundingOccupied, "%s is there without %s", certificatePath, keyPath)
		}
		key, err := rsa.GenerateKey(rand.Reader, 3072)
		if err != nil {
			return err
		}
		encoded, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return err
		}
		if err := durable.Create(keyPath, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}), 0o600); err != nil {
			return err
		}
	}
	if exists(certificatePath) {
		return nil
	}
	key, err := readSealKey(keyPath)
	if err != nil {
		return err
	}
	der, err := certify(key, name)
	if err != nil {
		return err
	}
	return durable.Create(certificatePath, der, 0o644)
}

// certify makes a certificate for the seal's key that the key signs itself.
func certify(key crypto.Signer, name string) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial.Add(serial, big.NewInt(1)),
		Subject:      pkix.Name{CommonName: name + " operator's seal", Organization: []string{name}},
		NotBefore:    time.Now().Add(-time.Minute).UTC(),
		// Ten years of retention, and time to check what was sealed last.
		NotAfter:              time.Now().AddDate(20, 0, 0).UTC(),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment,
		BasicConstraintsValid: true,
	}
	return x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
}
