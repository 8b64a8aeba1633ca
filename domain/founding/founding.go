package founding

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"

	"dalel/domain/checkpoint"
	"dalel/domain/event"
	"dalel/domain/wording"
	"dalel/internal/fault"
	"dalel/internal/pki"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"
)

// Bounds in characters.
const (
	MaxName   = 200
	MaxOrigin = 100
	MaxKey    = 400
	MaxGround = 2000
)

// State is what a ledger's founding came to. The zero State is that of a store in
// which no ledger was founded.
type State struct {
	// Ledger is the ledger's id, "" where none was founded.
	Ledger string
	// Name is what the operator called it, FoundedAt when.
	Name      string
	FoundedAt time.Time
	// Origin and LogKey are those of the transparency log, Seal the SHA-256 of
	// the seal's certificate, Content that of the mark among the content,
	// Identifiers what [Identifiers] makes of the ledger's key.
	Origin, LogKey string
	Seal           string
	Content        string
	Identifiers    string
	// Former are the certificates that were the seal's before, by SHA-256.
	Former []string
	// Recoveries are what was stated after each loss, the newest last. Origin and
	// LogKey are those of the log since.
	Recoveries []Recovered
}

// Log returns what the stream of the log's checkpoints is called,
// checkpoint-<log>: each log has its own.
func (s State) Log() string {
	if n := len(s.Recoveries); n > 0 {
		return s.Recoveries[n-1].Log
	}
	return checkpoint.Log
}

// Command is a request to a founding; the types of this package are all there are.
type Command interface{ command() }

// Found founds a ledger.
type Found struct {
	Ledger string
	Name   string
	// LogKey is the public key of the transparency log, a vkey: its name is the
	// log's origin.
	LogKey string
	// Certificate is that of the operator's seal (DER).
	Certificate []byte
	// Identifiers is [Identifiers] of the ledger's key.
	Identifiers string
	Now         time.Time
}

// ReplaceSeal has another certificate (DER) of the operator's seal take the place
// of the one in force.
type ReplaceSeal struct {
	Certificate []byte
	Now         time.Time
}

// Recover has the ledger go on under another log, where events that were there
// are gone.
type Recover struct {
	// LogKey is the public key of the new log, a vkey: its name is the origin.
	LogKey string
	// Checkpoint is the newest signed one of the log in force, if one is known.
	Checkpoint *Checkpoint
	// Known is how many events there were at least, Events how many there are,
	// Last names the last of those.
	Known, Events uint64
	Last          event.Reference
	// Ground is why, By who orders it.
	Ground string
	By     event.By
	Now    time.Time
}

func (Found) command()       {}
func (ReplaceSeal) command() {}
func (Recover) command()     {}

// Mark is the piece of content by which the content says whose it is.
func Mark(ledger string) []byte { return []byte("dalel ledger " + ledger + "\n") }

// Identifiers tells the key that a ledger hashes identifiers with from any other:
// an HMAC-SHA-256 under the key itself, in lower-case hex. It does not give the key
// away. Another key would find nobody who is registered and register them again.
func Identifiers(key []byte, ledger string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("dalel identifiers of the ledger " + ledger))
	return hex.EncodeToString(mac.Sum(nil))
}

// Decide says what follows from a command in a state: events, or a *fault.Error.
// Asked again with the same, a founding is done and leads to no event.
func Decide(state State, command Command) ([]event.Event, error) {
	switch c := command.(type) {
	case Found:
		return found(state, c)
	case ReplaceSeal:
		return replaceSeal(state, c)
	case Recover:
		return recoverLedger(state, c)
	}
	return nil, fault.New(fault.Internal, "foundings have no command %T", command)
}

func found(state State, c Found) ([]event.Event, error) {
	id, err := uuid.Parse(c.Ledger)
	if err != nil || id.String() != c.Ledger || id == uuid.Nil {
		return nil, invalid("a ledger's id is a UUID in lower case")
	}
	if err := wording.Line(c.Name, MaxName); err != nil || c.Name == "" {
		return nil, invalid("a ledger has a name of at most %d characters in one line", MaxName)
	}
	verifier, err := note.NewVerifier(c.LogKey)
	if err != nil || len(c.LogKey) > MaxKey || len(verifier.Name()) > MaxOrigin {
		return nil, invalid("the key of the transparency log is no verifier's key with a name of at most %d bytes",
			MaxOrigin)
	}
	if _, err := pki.ParseCertificate(c.Certificate); err != nil {
		return nil, invalid("the certificate of the operator's seal cannot be read")
	}
	if mac, err := hex.DecodeString(c.Identifiers); err != nil || len(mac) != sha256.Size {
		return nil, invalid("nothing tells the key that identifiers are hashed with")
	}
	if err := checkNow(c.Now); err != nil {
		return nil, err
	}
	mark := Mark(c.Ledger)
	e := Founded{
		Ledger: c.Ledger, Name: c.Name, Origin: verifier.Name(), LogKey: c.LogKey,
		Seal: fingerprint(c.Certificate), Certificate: base64.StdEncoding.EncodeToString(c.Certificate),
		Identifiers: c.Identifiers, Content: fingerprint(mark), Bytes: int64(len(mark)), FoundedAt: c.Now.UTC().Truncate(time.Microsecond),
	}
	switch {
	case state.Ledger == "":
		return []event.Event{e}, nil
	case state.Ledger != e.Ledger:
		return nil, fault.New(fault.LedgerFounded, "the event store holds the ledger %s (%s), founded on %s",
			state.Ledger, state.Name, state.FoundedAt.Format(time.RFC3339))
	case state.LogKey != e.LogKey || state.Seal != e.Seal || state.Name != e.Name || state.Identifiers != e.Identifiers:
		return nil, fault.New(fault.LedgerFounded, "the ledger %s was founded with another name, log, seal or key of identifiers",
			state.Ledger)
	}
	return nil, nil
}

func replaceSeal(state State, c ReplaceSeal) ([]event.Event, error) {
	if state.Ledger == "" {
		return nil, fault.New(fault.LedgerNotFounded, "no ledger was founded here")
	}
	if _, err := pki.ParseCertificate(c.Certificate); err != nil {
		return nil, invalid("the certificate of the operator's seal cannot be read")
	}
	if err := checkNow(c.Now); err != nil {
		return nil, err
	}
	seal := fingerprint(c.Certificate)
	switch {
	case seal == state.Seal:
		return nil, nil
	case slices.Contains(state.Former, seal):
		return nil, invalid("this certificate was the seal's before, and was replaced")
	}
	return []event.Event{SealReplaced{
		Former: state.Seal, Seal: seal, Certificate: base64.StdEncoding.EncodeToString(c.Certificate), ReplacedAt: c.Now.UTC().Truncate(time.Microsecond),
	}}, nil
}

func recoverLedger(state State, c Recover) ([]event.Event, error) {
	if state.Ledger == "" {
		return nil, fault.New(fault.LedgerNotFounded, "no ledger was founded here")
	}
	verifier, err := note.NewVerifier(c.LogKey)
	if err != nil || len(c.LogKey) > MaxKey || len(verifier.Name()) > MaxOrigin {
		return nil, unrecoverable("the key of the new log is no verifier's key with a name of at most %d bytes", MaxOrigin)
	}
	if n := len(state.Recoveries); n > 0 && state.LogKey == c.LogKey {
		return nil, nil // this very one
	}
	if slices.Contains(state.origins(), verifier.Name()) {
		return nil, unrecoverable("the ledger has had a log of the name %q: another log has another name", verifier.Name())
	}
	switch {
	case wording.Prose(c.Ground, MaxGround) != nil:
		return nil, unrecoverable("a recovery has a ground, of at most %d characters", MaxGround)
	case c.By.Participant == "":
		return nil, unrecoverable("a recovery is ordered by somebody")
	case c.Events == 0 || c.Last.Stream.Check() != nil || c.Last.Commitment.IsZero():
		return nil, unrecoverable("what is there is said with the last of its events")
	case c.Checkpoint != nil && (c.Checkpoint.Size == 0 || c.Checkpoint.Root.IsZero() || c.Checkpoint.Size > c.Known):
		return nil, unrecoverable("the newest checkpoint covers something, and no more events than there were")
	case c.Known <= c.Events:
		return nil, fault.New(fault.LedgerWhole, "%d events are known of, and %d are there: none is missing", c.Known, c.Events)
	}
	if err := checkNow(c.Now); err != nil {
		return nil, err
	}
	return []event.Event{Recovered{
		FormerOrigin: state.Origin, FormerKey: state.LogKey, Checkpoint: c.Checkpoint,
		Known: c.Known, Events: c.Events, Last: c.Last, Origin: verifier.Name(), LogKey: c.LogKey,
		// The first log is the first.
		Log: strconv.Itoa(len(state.Recoveries) + 2), Ground: c.Ground, By: c.By,
		RecoveredAt: c.Now.UTC().Truncate(time.Microsecond),
	}}, nil
}

// origins are the names of the ledger's logs, former ones first.
func (s State) origins() []string {
	var names []string
	for _, r := range s.Recoveries {
		names = append(names, r.FormerOrigin)
	}
	return append(names, s.Origin)
}

func checkNow(now time.Time) error {
	if now.IsZero() || now.UTC().Year() < 1 || now.UTC().Year() > 9000 {
		return fault.New(fault.Internal, "a command without its moment")
	}
	return nil
}

// Evolve returns the state after an event. It leaves its argument as it was.
func Evolve(state State, e event.Event) State {
	switch e := e.(type) {
	case Founded:
		return State{
			Ledger: e.Ledger, Name: e.Name, FoundedAt: e.FoundedAt, Origin: e.Origin, LogKey: e.LogKey, Seal: e.Seal,
			Identifiers: e.Identifiers, Content: e.Content,
		}
	case SealReplaced:
		state.Former = append(slices.Clone(state.Former), e.Former)
		state.Seal = e.Seal
	case Recovered:
		state.Recoveries = append(slices.Clone(state.Recoveries), e)
		state.Origin, state.LogKey = e.Origin, e.LogKey
	}
	return state
}

// CheckSecrets returns settings.other-ledger unless the log's public key, the
// seal's certificate (DER) and the key of identifiers are those of the ledger.
func (s State) CheckSecrets(logKey string, certificate, identifierKey []byte) error {
	name, _, _ := strings.Cut(logKey, "+")
	switch {
	case logKey != s.LogKey:
		return fault.New(fault.SettingsOther,
			"the transparency log's key is of %q and not the one of the ledger %s, whose log is %q", name, s.Ledger, s.Origin)
	case fingerprint(certificate) != s.Seal:
		return fault.New(fault.SettingsOther,
			"the certificate of the operator's seal (SHA-256 %s) is not the one of the ledger %s (SHA-256 %s)",
			fingerprint(certificate), s.Ledger, s.Seal)
	case Identifiers(identifierKey, s.Ledger) != s.Identifiers:
		return fault.New(fault.SettingsOther,
			"the key that identifiers are hashed with is not the one of the ledger %s: with it nobody who is registered would be found", s.Ledger)
	}
	return nil
}

func fingerprint(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

func unrecoverable(format string, args ...any) error {
	return fault.New(fault.RecoveryInvalid, format, args...)
}

func invalid(format string, args ...any) error {
	return fault.New(fault.FoundingInvalid, format, args...)
}
