package access

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"io"
	"strings"
	"time"

	"dalel/domain/event"
	"dalel/domain/participant"
	"dalel/domain/wording"
	"dalel/internal/fault"
)

// How long a token may live.
const (
	MinTTL = time.Minute
	MaxTTL = 366 * 24 * time.Hour
)

// MaxLabel and MaxReason are in characters.
const (
	MaxLabel  = 100
	MaxReason = 500
)

// prefix makes a token that leaked into a text easy to find by a scanner.
const prefix = "dalel_"

// A token has randomBytes that nobody can guess, and sealBytes by which those
// who have the ledger's key tell that it was issued here.
const (
	randomBytes = 24
	sealBytes   = 8
	tokenBytes  = randomBytes + sealBytes
)

// NewToken makes a token and its hash. The token is shown to its holder once
// and kept nowhere; the hash names its stream and goes into events. The key is
// the ledger's, the same on every node. The error comes from random alone.
func NewToken(random io.Reader, key []byte) (token, hash string, err error) {
	secret := make([]byte, randomBytes, tokenBytes)
	if _, err := io.ReadFull(random, secret); err != nil {
		return "", "", fault.Wrap(fault.Internal, err, "read random bytes for a token")
	}
	token = prefix + base64.RawURLEncoding.EncodeToString(append(secret, sealOf(secret, key)...))
	return token, hashOf(token), nil
}

// HashToken returns the hash of a token as it was presented: SHA-256 of the
// whole text in lower-case hexadecimal digits. A text of another form, or one
// that was not made with the key, is token.invalid; the error does not repeat
// it. So what somebody makes up costs no question to the store. A plain hash is
// enough, since nobody can try 2^192 tokens.
func HashToken(token string, key []byte) (hash string, err error) {
	encoded, ok := strings.CutPrefix(token, prefix)
	if !ok || len(encoded) != base64.RawURLEncoding.EncodedLen(tokenBytes) {
		return "", fault.New(fault.TokenInvalid, "this does not have the form of a token")
	}
	secret, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil || len(secret) != tokenBytes {
		return "", fault.New(fault.TokenInvalid, "this does not have the form of a token")
	}
	if !hmac.Equal(secret[randomBytes:], sealOf(secret[:randomBytes], key)) {
		return "", fault.New(fault.TokenInvalid, "this token was not issued here")
	}
	return hashOf(token), nil
}

// sealOf is what a token's random bytes are followed by.
func sealOf(random, key []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(random)
	return mac.Sum(nil)[:sealBytes]
}

func hashOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// State is what a token's events come to. The zero State is that of a token
// that was never issued.
type State struct {
	// Token is the hash.
	Token string
	By    event.By
	Role  Role
	// Employment is 0 unless an employee acts.
	Employment uint64
	Label      string
	IssuedAt   time.Time
	ExpiresAt  time.Time
	// RevokedAt is nil until then.
	RevokedAt *time.Time
}

// Exists reports whether the token was issued.
func (s State) Exists() bool { return s.Token != "" }

// Check says whether the token opens anything now: token.invalid,
// token.revoked or token.expired if not. A token lives until just before
// ExpiresAt. A revoked one is refused whatever the clock says.
func (s State) Check(now time.Time) error {
	switch {
	case !s.Exists():
		return fault.New(fault.TokenInvalid, "no such token was issued")
	case s.RevokedAt != nil:
		return fault.New(fault.TokenRevoked, "the token was revoked at %s", s.RevokedAt.Format(time.RFC3339))
	case !now.Before(s.ExpiresAt):
		return fault.New(fault.TokenExpired, "the token expired at %s", s.ExpiresAt.Format(time.RFC3339))
	}
	return nil
}

// Command is a request to a token; the types of this package are all there
// are.
type Command interface{ command() }

// Issue binds a token to a participant and a role (R-O4).
type Issue struct {
	// Token is the hash that NewToken gave.
	Token string
	By    event.By
	Role  Role
	// Employment is 0 unless the person of By is an employee.
	Employment uint64
	// Label may be empty.
	Label string
	// TTL is how long the token lives, MinTTL to MaxTTL.
	TTL time.Duration
	Now time.Time
}

// Revoke ends a token at once.
type Revoke struct {
	// Reason may be empty: a holder need not explain.
	Reason string
	Now    time.Time
}

func (Issue) command()  {}
func (Revoke) command() {}

// Decide says what follows from a command in a state: events, or a
// *fault.Error. Whether the participant exists and who may issue or revoke is
// decided before. Times are recorded in UTC, to the microsecond.
func Decide(state State, command Command) ([]event.Event, error) {
	switch c := command.(type) {
	case Issue:
		return issue(state, c)
	case Revoke:
		return revoke(state, c)
	}
	return nil, fault.New(fault.Internal, "tokens have no command %T", command)
}

func issue(state State, c Issue) ([]event.Event, error) {
	if state.Exists() {
		return nil, fault.New(fault.TokenState, "this token was issued before; make another")
	}
	if hash, err := hex.DecodeString(c.Token); err != nil || len(hash) != sha256.Size || strings.ToLower(c.Token) != c.Token {
		return nil, fault.New(fault.RequestInvalid, "a token is named by its SHA-256 in lower-case hexadecimal digits")
	}
	if c.Role != RoleParticipant && c.Role != RoleAuditor && c.Role != RoleOperator {
		return nil, fault.New(fault.RequestInvalid, "the role of a token must be participant, auditor or operator")
	}
	if participant.StreamID(c.By.Participant).Check() != nil ||
		c.By.Person != "" && participant.StreamID(c.By.Person).Check() != nil {
		return nil, fault.New(fault.RequestInvalid, "a token needs the id of the participant whose acts are its own")
	}
	if c.Label != "" {
		if err := wording.Line(c.Label, MaxLabel); err != nil {
			return nil, wording.Refuse(fault.RequestInvalid, "the label", err)
		}
	}
	if c.TTL < MinTTL || c.TTL > MaxTTL {
		return nil, fault.New(fault.RequestInvalid, "a token lives one minute to 366 days")
	}
	if err := checkNow(c.Now); err != nil {
		return nil, err
	}
	return []event.Event{TokenIssued{
		Token: c.Token, By: c.By, Role: c.Role, Employment: c.Employment, Label: c.Label,
		IssuedAt: recorded(c.Now), ExpiresAt: recorded(c.Now.Add(c.TTL)),
	}}, nil
}

func revoke(state State, c Revoke) ([]event.Event, error) {
	switch {
	case !state.Exists():
		return nil, fault.New(fault.TokenUnknown, "no such token was issued")
	case state.RevokedAt != nil:
		return nil, fault.New(fault.TokenState, "the token is revoked already")
	}
	if c.Reason != "" {
		if err := wording.Prose(c.Reason, MaxReason); err != nil {
			return nil, wording.Refuse(fault.RequestInvalid, "the reason", err)
		}
	}
	if err := checkNow(c.Now); err != nil {
		return nil, err
	}
	return []event.Event{TokenRevoked{Token: state.Token, RevokedAt: recorded(c.Now), Reason: c.Reason}}, nil
}

func checkNow(now time.Time) error {
	if now.IsZero() || now.UTC().Year() < 1 || now.UTC().Year() > 9000 {
		return fault.New(fault.Internal, "a command without the time of now")
	}
	return nil
}

func recorded(moment time.Time) time.Time { return moment.UTC().Truncate(time.Microsecond) }

// Evolve returns the state after an event. It leaves its argument as it was.
func Evolve(state State, e event.Event) State {
	switch e := e.(type) {
	case TokenIssued:
		return State{
			Token: e.Token, By: e.By, Role: e.Role, Employment: e.Employment, Label: e.Label, IssuedAt: e.IssuedAt, ExpiresAt: e.ExpiresAt,
		}
	case TokenRevoked:
		state.RevokedAt = &e.RevokedAt
	default:
		// The codec stops at every type that it does not know: nothing else
		// comes here.
	}
	return state
}
