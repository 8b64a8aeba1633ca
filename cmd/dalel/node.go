package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"dalel/blobs/keys"
	"dalel/domain/event"
	"dalel/domain/founding"
	"dalel/domain/ledger"
	"dalel/domain/packet"
	"dalel/domain/retention"
	"dalel/domain/signature"
	"dalel/eventstore"
	"dalel/httpapi"
	"dalel/httpapi/pages"
	"dalel/internal/authorities"
	"dalel/internal/backup"
	"dalel/internal/fault"
	"dalel/internal/health"
	"dalel/internal/pki"
	"dalel/internal/translog"
	"dalel/projections/transparency"
)

// version names this program in packets.
const version = "0.1.0"

// A ledger's folder, as README describes it.
const (
	eventsFile   = "events.db"     // the event store: the one thing that cannot be made again
	blobsDir     = "blobs"         // sealed content by hash, as precious
	keysFile     = "keys.db"       // the keys of all that is sealed, wrapped; backed up apart
	modelsFile   = "readmodels.db" // computed from the events; `dalel rebuild` makes it anew
	processFile  = "processes.db"  // how far the process managers have come
	secretsDir   = "secrets"       // the master key, the identifier key, the keys of the seal and of the log
	trustDir     = "trust"         // certificates: CA roots, issuing CAs, the operator's seal
	settingsFile = "ledger.json"
	foundingFile = "founding.json"  // the settings to be, while the ledger is being founded
	cacheDir     = "evidence-cache" // revocation lists, fetched again if they are missing
)

// The files of secrets/ and trust/ that a ledger is founded with, beside the
// master key and the log's.
const (
	identifierFile      = "identifier.key"    // in secrets/: hides IINs and BINs in the names of streams
	sealFile            = "seal.key"          // in secrets/: what packets are sealed with
	sealCertificateFile = "operator-seal.cer" // in trust/: its certificate
)

// settings is what a ledger's folder says of itself.
type settings struct {
	// Ledger is the id of the ledger that these are the settings of; `dalel init`
	// writes it when the ledger is founded.
	Ledger string `json:"ledger,omitempty"`
	// Name is how the operator calls the ledger; packets carry it.
	Name string `json:"name"`
	// Public is the address at which outsiders reach the pages, such as
	// https://dalel.example.kz; paper copies lead to the check page there.
	Public string `json:"public,omitempty"`
	// Retention are the retention rules (package retention); those of R-G3 if
	// there are none.
	Retention json.RawMessage `json:"retention,omitempty"`
	// Log are the settings of the transparency log.
	Log logSettings `json:"log,omitzero"`
	// Scanner is the address of a ClamAV daemon, tcp://host:port or
	// unix:///path; files are not looked through for malware without one.
	Scanner string `json:"scanner,omitempty"`
	// Authorities says whether and where OCSP answers, revocation lists and time
	// tokens are fetched. Nothing is unless it says so.
	Authorities authoritySettings `json:"authorities,omitzero"`
	// Health are the bounds within which a node is ready.
	Health healthSettings `json:"health,omitzero"`
	// Limits say how much one address, one participant and all together may take
	// of a node.
	Limits httpapi.Limits `json:"limits,omitzero"`
}

// logSettings is what may be said of the transparency log.
type logSettings struct {
	// Origin is the log's name, which stands in every checkpoint and in its
	// key: a host and a path of the operator's without https://, such as
	// dalel.example.kz/log. A new key gets it; a key that is there keeps its
	// name for ever.
	Origin string `json:"origin,omitempty"`
	// Interval is how often a checkpoint is made while something happens, such
	// as "1s"; see package transparency for the default.
	Interval duration `json:"interval,omitzero"`
	// Witnesses are asked to cosign checkpoints.
	Witnesses []witnessSettings `json:"witnesses,omitempty"`
	// Proxy is the http or https address of a proxy to ask the witnesses by. The
	// environment's is never used.
	Proxy string `json:"proxy,omitempty"`
	// Cosign and Stamp are how often witnesses and time-stamping authorities are
	// asked at most; see package transparency for the defaults.
	Cosign period `json:"cosign,omitzero"`
	Stamp  period `json:"stamp,omitzero"`
	// Aged are algorithms that prove nothing any more from a day on, besides
	// those that are known here (package renewal): stamps that rest on them are
	// renewed before.
	Aged json.RawMessage `json:"aged,omitempty"`
}

// witnessSettings are one witness (c2sp.org/tlog-witness).
type witnessSettings struct {
	// URL is its submission prefix, Key its public key, a vkey.
	URL string `json:"url"`
	Key string `json:"key"`
}

// period is a time between two questions.
type period time.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *period) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err == nil && (parsed < 100*time.Millisecond || parsed > 24*time.Hour) {
		err = errors.New("there are 100ms to 24h between two questions")
	}
	*p = period(parsed)
	return err
}

// MarshalText implements encoding.TextMarshaler.
func (p period) MarshalText() ([]byte, error) { return []byte(time.Duration(p).String()), nil }

// duration is a time.Duration as people write it.
type duration time.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err == nil && (parsed < 100*time.Millisecond || parsed > time.Hour) {
		err = errors.New("an interval lasts 100ms to 1h")
	}
	*d = duration(parsed)
	return err
}

// MarshalText implements encoding.TextMarshaler.
func (d duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

func (l logSettings) interval() time.Duration { return time.Duration(l.Interval) }

// The environment variables that stand in for --store, --blobs, --keys and
// --master, so that nothing secret need be on the command line.
const (
	storeVariable  = "DALEL_STORE"
	blobsVariable  = "DALEL_BLOBS"
	keysVariable   = "DALEL_KEYS"
	masterVariable = "DALEL_MASTER"
)

// location says where the parts of a ledger lie. Only dir is always given; the
// others are in it unless they are named.
type location struct {
	// dir is the node's own folder.
	dir string
	// settings is the folder of ledger.json, secrets/ and trust/.
	settings string
	// store is the event store's URL.
	store string
	// blobs is the folder of the content, or the URL of a bucket.
	blobs string
	// keys is the file of the keys, or the URL of a bucket.
	keys string
	// master is the file of the master key, or the URL of a key management
	// service.
	master string
	// public is where the pages are reached if the settings do not say it.
	public string
	// restoring is set for the check of a restore that is not done yet, examining
	// for `dalel fsck`, which writes nothing and names what the others refuse.
	restoring, examining bool
	// log is told of authorities whose services fail; slog.Default() if nil.
	log *slog.Logger
	// authorities stand in for those of the settings, for the demo, whose
	// authority lives no longer than it.
	authorities *authoritySettings
}

// register adds the flags that name a location.
func (l *location) register(flags *flag.FlagSet) {
	flags.StringVar(&l.dir, "dir", "", "the ledger's `folder`")
	flags.StringVar(&l.settings, "settings", "", "the `folder` of ledger.json, secrets/ and trust/, if it is not --dir")
	flags.StringVar(&l.store, "store", "", "the event store's `URL`, if it is not events.db in --dir: esdb://… or sqlite://…; also $"+storeVariable)
	flags.StringVar(&l.blobs, "blobs", "", "the `place` of the content, if it is not blobs in --dir: a folder, or s3://bucket/prefix?endpoint=https://…; also $"+blobsVariable)
	l.registerKeys(flags)
}

// registerKeys adds the flags that say where the keys are.
func (l *location) registerKeys(flags *flag.FlagSet) {
	flags.StringVar(&l.keys, "keys", "", "the `place` of the keys, if it is not keys.db among the settings: a file, or s3://bucket/prefix?endpoint=https://…; also $"+keysVariable)
	flags.StringVar(&l.master, "master", "", "the `place` of the master key, if it is not secrets/master.key among the settings: a file, or hcvault://host:port/transit/keys/name; also $"+masterVariable)
}

// filled returns the location with its defaults.
func (l location) filled() location {
	if l.settings == "" {
		l.settings = l.dir
	}
	// Not the flags' defaults: those are printed with the usage, and a
	// connection string may hold a password.
	l.store = cmp.Or(l.store, os.Getenv(storeVariable), sqliteURL(filepath.Join(l.dir, eventsFile)))
	l.blobs = cmp.Or(l.blobs, os.Getenv(blobsVariable), filepath.Join(l.dir, blobsDir))
	l.keys = cmp.Or(l.keys, os.Getenv(keysVariable), filepath.Join(l.settings, keysFile))
	l.master = cmp.Or(l.master, os.Getenv(masterVariable), filepath.Join(l.settings, secretsDir, masterFile))
	return l
}

// node is an open ledger.
type node struct {
	dir      string
	settings settings
	// founded is what the founding of the ledger came to.
	founded founding.State
	store   eventstore.Store
	blobs   blobStore
	keys    *keys.Ring
	rules   retention.Rules
	policy  *signature.Policy
	// authorities is nil if nothing is fetched.
	authorities *authorities.Client
	// stamping are the settings that the latter was made of, stampNames how its
	// time-stamping authorities are called.
	stamping   authoritySettings
	stampNames []string
	// trust is the folder of the anchors, anchors what was read there.
	trust   string
	anchors []*x509.Certificate
	ledger  *ledger.Ledger
	config  ledger.Config // what ledger was made of
	sealer  packet.Sealer
	// logKey is nil where the ledger keeps no transparency log; objects are the
	// log's files.
	logKey  *logKey
	objects translog.Objects
	tiles   io.Closer
	// log is the transparency log while it is open, for packets' proofs.
	log *transparency.Log
	// witnesses is which witnesses the operator asks for.
	witnesses witnessPolicy
	// excess is what its user may do on the event store beyond what it takes.
	excess []string
	// disks are where it writes, monitor knows how it is while it is served.
	disks   []health.Place
	monitor *monitor
	// watching says who may see that, securityKey makes the security log's
	// pseudonyms.
	watching    monitorOptions
	securityKey []byte
	// refused says why nothing may be written here, where the node was opened to
	// be examined.
	refused error
}

// openNode opens a ledger that was founded. It makes and replaces nothing but
// what a node may always compute anew, and refuses by name whatever is missing,
// is another ledger's, or holds less than this node has seen.
func openNode(ctx context.Context, at location) (_ *node, err error) {
	at = at.filled()
	if backup.Began(at.dir) && !at.restoring {
		return nil, fmt.Errorf("a restore into %s was cut off: run it again", at.dir)
	}
	if err := recovering(at); err != nil {
		return nil, err
	}
	n := &node{dir: at.dir, disks: at.disks()}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.Close())
		}
	}()
	kept, err := openSettings(at.settings)
	if err != nil {
		return nil, err
	}
	n.trust, n.anchors = filepath.Join(at.settings, trustDir), kept.anchors
	if n.witnesses, err = readWitnessPolicy(at.settings, kept.settings.Log); err != nil {
		return nil, err
	}
	n.securityKey = monitorKey(kept.identifierKey)
	n.settings, n.sealer, n.policy, n.logKey = kept.settings, kept.sealer, kept.policy, kept.logKey
	if n.rules, err = retentionOf(n.settings); err != nil {
		return nil, err
	}
	if err := n.openStores(ctx, at, kept); err != nil {
		return nil, err
	}
	words, err := pages.NewWords()
	if err != nil {
		return nil, err
	}
	config := ledger.Config{
		Store: judging{n.store, n.judge}, Blobs: n.blobs, Keys: n.keys, Retention: &n.rules, Signatures: n.policy, IdentifierKey: kept.identifierKey,
		Log: n.founded.Log(), Name: n.settings.Name, CheckURL: checkURL(cmp.Or(n.settings.Public, at.public)), Words: words,
		Writable: n.mayWrite, Appended: n.appended,
	}
	asked := n.settings.Authorities
	if at.authorities != nil {
		asked = *at.authorities
	}
	n.stamping = asked
	if n.stampNames, err = asked.names(); err != nil {
		return nil, err
	}
	if n.authorities, err = asked.open(n.policy, filepath.Join(at.dir, cacheDir), at.log); err != nil {
		return nil, fmt.Errorf("open the client of the authorities' services: %w", err)
	}
	if n.authorities != nil {
		config.Signatures = &signature.Online{Policy: n.policy, Sources: n.authorities, Clock: time.Now}
	}
	if n.settings.Scanner != "" {
		if config.Scanner, err = openScanner(n.settings.Scanner); err != nil {
			return nil, err
		}
	}
	n.config = config
	if n.ledger, err = ledger.New(config); err != nil {
		return nil, err
	}
	if err := n.meet(ctx, at); err != nil {
		return nil, err
	}
	return n, nil
}

// reachedAt says where the pages are reached if the settings do not. Nothing may
// use the ledger yet.
func (n *node) reachedAt(public string) (err error) {
	if n.settings.Public == "" {
		n.config.CheckURL = checkURL(public)
		n.ledger, err = ledger.New(n.config)
	}
	return err
}

// openStores opens the event store, the keys and the content, and holds each
// against the founding of the ledger before the next is opened.
func (n *node) openStores(ctx context.Context, at location, kept kept) (err error) {
	if n.store, n.founded, err = openFounded(ctx, at, n.settings.Ledger); err != nil {
		return err
	}
	founded := n.founded
	if founded.Ledger != "" {
		if err := founded.CheckSecrets(n.logKey.vkey, kept.seal, kept.identifierKey); err != nil {
			return restorable(err, putBack)
		}
	}
	if n.keys, err = openKeys(ctx, at, n.settings.Ledger); err != nil {
		return fmt.Errorf("open the keys: %w", err)
	}
	if n.blobs, err = openContent(ctx, at, n.rules, founded); err != nil {
		return fmt.Errorf("open the content store: %w", err)
	}
	if n.objects, n.tiles, err = openObjects(n.blobs, at.blobs, logFiles(founded)); err != nil {
		return fmt.Errorf("open the transparency log's files: %w", err)
	}
	return nil
}

// Close lets go of the stores.
func (n *node) Close() error {
	var errs []error
	if n.tiles != nil {
		errs = append(errs, n.tiles.Close())
	}
	if n.authorities != nil {
		errs = append(errs, n.authorities.Close())
	}
	if n.blobs != nil {
		errs = append(errs, n.blobs.Close())
	}
	if n.keys != nil {
		errs = append(errs, n.keys.Close())
	}
	if n.store != nil {
		errs = append(errs, n.store.Close())
	}
	return errors.Join(errs...)
}

// packet is the request for a document's proof packet.
func (n *node) packet(document string) packet.Request {
	return packet.Request{
		Log:      n.proofs(),
		Document: document, Ledger: n.settings.Name, Losses: n.losses(),
		Verifier: packet.Verifier{Name: "dalel", Version: version},
		Events:   judging{n.store, n.judge}, Content: n.ledger.Content(), Openers: event.OpenersOf(n.keys), Sealer: n.sealer,
	}
}

// losses are what packets state of events that were lost.
func (n *node) losses() []packet.Loss {
	var list []packet.Loss
	for _, r := range n.founded.Recoveries {
		list = append(list, packet.Loss{
			At: r.RecoveredAt, FormerOrigin: r.FormerOrigin, Origin: r.Origin, Known: r.Known, Events: r.Events, Ground: r.Ground,
		})
	}
	return list
}

// proofs is what packets are proven with; nil for a ledger that keeps no
// transparency log.
func (n *node) proofs() *packet.LogSource {
	if n.log == nil {
		return nil
	}
	return &packet.LogSource{
		Log: n.log, Name: n.founded.Log(), Key: n.logKey.vkey, Policy: n.witnesses.text,
		Roots: n.policy.Roots, Intermediates: slices.Concat(n.policy.Intermediates, n.policy.Offered),
	}
}

// Export implements httpapi.Packets.
func (n *node) Export(ctx context.Context, w io.Writer, of httpapi.Selection) error {
	_, err := packet.Export(ctx, w, n.selected(of))
	return err
}

// ExportSeveral implements httpapi.Packets.
func (n *node) ExportSeveral(ctx context.Context, w io.Writer, of httpapi.Selection) error {
	_, err := packet.Export(ctx, w, n.selected(of))
	return err
}

// ExportExtract implements httpapi.Packets.
func (n *node) ExportExtract(ctx context.Context, w io.Writer, of httpapi.Selection) error {
	_, err := packet.ExportExtract(ctx, w, n.selected(of))
	return err
}

func (n *node) selected(of httpapi.Selection) packet.Request {
	request := n.packet(of.Document)
	request.Reader = of.Reader
	request.Documents, request.Participant, request.From, request.To = of.Documents, of.Participant, of.From, of.To
	return request
}

// kept is what the settings' folder holds.
type kept struct {
	settings      settings
	identifierKey []byte
	sealer        packet.Sealer
	// seal is the certificate of the operator's seal (DER).
	seal    []byte
	policy  *signature.Policy
	anchors []*x509.Certificate
	logKey  *logKey
}

// openSettings reads the settings of a ledger, its secrets and its trust anchors;
// settings.missing names what is not there.
func openSettings(dir string) (kept, error) {
	set, err := readSettings(dir)
	if err != nil {
		return kept{}, err
	}
	return openSecrets(dir, set)
}

// openSecrets is openSettings for settings that were read.
func openSecrets(dir string, set settings) (k kept, err error) {
	k.settings = set
	for _, name := range []string{trustDir, filepath.Join(secretsDir, identifierFile), filepath.Join(secretsDir, sealFile), filepath.Join(trustDir, sealCertificateFile), filepath.Join(secretsDir, logKeyFile)} {
		if _, err := os.Stat(filepath.Join(dir, name)); errors.Is(err, fs.ErrNotExist) {
			return k, restorable(fault.New(fault.SettingsMissing, "%s is missing from the settings in %s", name, dir), "Put it back as it was: no other can take its place")
		}
	}
	if k.identifierKey, err = readSecret(filepath.Join(dir, secretsDir, identifierFile)); err != nil {
		return k, err
	}
	if k.sealer, k.seal, err = openSeal(dir); err != nil {
		return k, fmt.Errorf("open the operator's seal: %w", err)
	}
	if k.logKey, err = openLogKey(dir, set.Log.Origin); err != nil {
		return k, fmt.Errorf("open the transparency log's key: %w", err)
	}
	if k.anchors, err = readAnchors(filepath.Join(dir, trustDir)); err != nil {
		return k, fmt.Errorf("read the trust anchors: %w", err)
	}
	k.policy = policyOf(k.anchors)
	return k, nil
}

// readSettings reads the settings of a ledger that was founded.
func readSettings(dir string) (settings, error) {
	path := filepath.Join(dir, settingsFile)
	text, err := readBounded(path, 1<<20)
	unfinished := exists(filepath.Join(dir, foundingFile))
	switch {
	case errors.Is(err, fs.ErrNotExist) && !unfinished:
		return settings{}, restorable(fault.New(fault.SettingsMissing, "there is no %s in %s, and so no ledger", settingsFile, dir),
			"Name its folder with --settings; a new ledger is founded by `dalel init`")
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return settings{}, err
	}
	var set settings
	if err == nil {
		if set, err = decodeSettings(path, text); err != nil {
			return settings{}, err
		}
	}
	if set.Ledger == "" {
		what := "no ledger was founded with it yet: `dalel init` does that"
		if unfinished {
			what = "`dalel init` was cut off there: run the same command again"
		}
		return settings{}, fault.New(fault.LedgerNotFounded, "%s names no ledger: %s", path, what)
	}
	return set, nil
}

func decodeSettings(path string, text []byte) (s settings, err error) {
	// A setting that is misspelt would have no effect, and nobody would know.
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&s); err != nil {
		return s, fault.Wrap(fault.ConfigInvalid, err, "read %s", path)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return s, fault.New(fault.ConfigInvalid, "%s has something behind the settings", path)
	}
	return s, nil
}

// secretSize is the size of the identifier key.
const secretSize = 32

// readSecret reads 32 random bytes.
func readSecret(path string) ([]byte, error) {
	key, err := readBounded(path, secretSize)
	if err == nil && len(key) != secretSize {
		err = fault.New(fault.ConfigInvalid, "%s has %d bytes and should have %d", path, len(key), secretSize)
	}
	return key, err
}

// openSeal opens the operator's seal, secrets/seal.key and
// trust/operator-seal.cer, and returns its certificate (DER) too.
func openSeal(dir string) (packet.Sealer, []byte, error) {
	keyPath, certificatePath := filepath.Join(dir, secretsDir, sealFile), filepath.Join(dir, trustDir, sealCertificateFile)
	key, err := readSealKey(keyPath)
	if err != nil {
		return nil, nil, err
	}
	der, err := os.ReadFile(certificatePath)
	if err != nil {
		return nil, nil, err
	}
	certificate, err := pki.ParseCertificate(der)
	if err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", certificatePath, err)
	}
	sealer, err := packet.NewSealer(certificate, key)
	return sealer, der, err
}

func readSealKey(keyPath string) (crypto.Signer, error) {
	text, err := os.ReadFile(keyPath)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s is not PEM", keyPath)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", keyPath, err)
	}
	key, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%s holds no key that signs", keyPath)
	}
	return key, nil
}
