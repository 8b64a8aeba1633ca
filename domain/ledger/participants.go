package ledger

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"dalel/domain/access"
	"dalel/domain/event"
	"dalel/domain/identifier"
	"dalel/domain/participant"
	"dalel/domain/wording"
	"dalel/eventstore"
	"dalel/internal/fault"
)

// Registration is what is told of a new participant (R-A1).
type Registration struct {
	Kind participant.Kind `json:"kind"`
	// Identifier is the IIN or BIN; empty for a non-resident, who is given an
	// internal number.
	Identifier string `json:"identifier"`
	Name       string `json:"name"`
	Country    string `json:"country"`
	Email      string `json:"email"`
	Phone      string `json:"phone"`
}

// RegisterParticipant registers a participant, who can do nothing but read
// until it is activated. An identifier belongs to one participant only, an IIN
// perhaps to a natural person and a sole trader: participant.exists otherwise.
func (l *Ledger) RegisterParticipant(ctx context.Context, act Act, r Registration) (Outcome, error) {
	r.Name, r.Identifier = wording.Tidy(r.Name), identifier.Typed(r.Identifier)
	if err := require(act, access.RoleOperator); err != nil {
		return Outcome{}, err
	}
	id, err := l.newID(act, "participant")
	if err != nil {
		return Outcome{}, err
	}
	number := r.Identifier
	if r.Kind == participant.NonResident && number == "" {
		// A retry must not claim a second number: look for the first try's.
		snapshot, err := load(ctx, l, participant.StreamID(id), participant.Evolve, "")
		if err != nil {
			return Outcome{}, err
		}
		if number = snapshot.State.Identifier; number == "" {
			if number, err = identifier.NewInternal(l.random); err != nil {
				return Outcome{}, err
			}
		}
	}
	register := participant.Register{
		Participant: id, Kind: r.Kind, Identifier: number, Name: r.Name,
		Country: r.Country, Email: r.Email, Phone: r.Phone,
	}
	// Nothing is claimed for details that will be refused.
	if _, err := participant.Decide(participant.State{}, register); err != nil {
		return Outcome{}, err
	}
	owner, err := l.claimIdentifier(ctx, act, number, participant.Claim{Participant: id, Kind: r.Kind, Now: l.now()})
	if err != nil {
		return Outcome{}, err
	}
	if owner != id {
		taken, err := load(ctx, l, participant.StreamID(owner), participant.Evolve, "")
		if err != nil {
			return Outcome{}, err
		}
		if taken.Head.Next > 0 {
			return Outcome{}, fault.New(fault.ParticipantExists, "a participant with this identifier is registered")
		}
		// An earlier registration stopped between claim and first event: it
		// is finished here under the id that it chose.
		id, register.Participant = owner, owner
	}
	return run(ctx, l, command[participant.State]{
		act: act, name: "register-participant", id: id, request: r,
		stream: participant.StreamID(id), evolve: participant.Evolve,
		decide: func(_ context.Context, s participant.State) ([]event.Event, error) {
			return participant.Decide(s, register)
		},
	})
}

// claimStream is the stream that says whose an identifier is. Its
// name is keyed, since an IIN could be found by trying all from a plain hash.
func (l *Ledger) claimStream(number string) eventstore.StreamID {
	mac := hmac.New(sha256.New, l.identifierKey)
	mac.Write([]byte(number))
	return eventstore.Stream(participant.ClaimCategory, hex.EncodeToString(mac.Sum(nil)))
}

// claims returns whose an identifier is.
func (l *Ledger) claims(ctx context.Context, number string) (Snapshot[participant.Claims], error) {
	return load(ctx, l, l.claimStream(number), participant.EvolveClaims, "")
}

// claimIdentifier claims an identifier unless a participant of that kind has
// it, and returns who has it as that kind.
func (l *Ledger) claimIdentifier(ctx context.Context, act Act, number string, claim participant.Claim) (string, error) {
	for range maxAttempts {
		held, err := l.claims(ctx, number)
		if err != nil {
			return "", err
		}
		if owner := held.State.Of(claim.Kind); owner != "" {
			return owner, nil
		}
		claimed, err := participant.DecideClaim(held.State, claim)
		if err != nil {
			return "", err
		}
		_, err = l.append(ctx, l.claimStream(number), held.Head, l.metadata(act, "", held.recordedAt), claimed)
		if !fault.Is(err, fault.StreamConflict) {
			return claim.Participant, err
		}
	}
	return "", fault.New(fault.StreamConflict, "others kept being faster; try again")
}

// ActivateParticipant records the operator's check (R-A3).
func (l *Ledger) ActivateParticipant(ctx context.Context, act Act, id, basis string) (Outcome, error) {
	basis = wording.Tidy(basis)
	if err := require(act, access.RoleOperator); err != nil {
		return Outcome{}, err
	}
	return l.onParticipant(ctx, act, "activate-participant", id, basis, func(context.Context) (participant.Command, error) {
		return participant.Activate{Basis: basis}, nil
	})
}

// AddEmployee lets a natural person act for a legal entity (R-A4).
func (l *Ledger) AddEmployee(ctx context.Context, act Act, id, person, position string, rights []participant.Right) (Outcome, error) {
	position = wording.Tidy(position)
	if err := l.mayManage(ctx, act, id); err != nil {
		return Outcome{}, err
	}
	request := map[string]any{"person": person, "position": position, "rights": rights}
	return l.onParticipant(ctx, act, "add-employee", id, request, func(ctx context.Context) (participant.Command, error) {
		employee, err := l.Participant(ctx, person)
		if err != nil {
			return nil, err
		}
		return participant.AddEmployee{
			Person: person, Position: position, Rights: rights,
			PersonKind: employee.State.Kind, PersonActive: employee.State.Active(),
		}, nil
	})
}

// ChangeEmployeeRights replaces an employee's rights.
func (l *Ledger) ChangeEmployeeRights(ctx context.Context, act Act, id, person string, rights []participant.Right) (Outcome, error) {
	if err := l.mayManage(ctx, act, id); err != nil {
		return Outcome{}, err
	}
	request := map[string]any{"person": person, "rights": rights}
	return l.onParticipant(ctx, act, "change-employee-rights", id, request, func(context.Context) (participant.Command, error) {
		return participant.ChangeEmployeeRights{Person: person, Rights: rights}, nil
	})
}

// RemoveEmployee ends an employee's rights.
func (l *Ledger) RemoveEmployee(ctx context.Context, act Act, id, person, reason string) (Outcome, error) {
	reason = wording.Tidy(reason)
	if err := l.mayManage(ctx, act, id); err != nil {
		return Outcome{}, err
	}
	request := map[string]any{"person": person, "reason": reason}
	return l.onParticipant(ctx, act, "remove-employee", id, request, func(context.Context) (participant.Command, error) {
		return participant.RemoveEmployee{Person: person, Reason: reason}, nil
	})
}

// Participant returns a participant by id; participant.unknown if there is
// none.
func (l *Ledger) Participant(ctx context.Context, id string) (Snapshot[participant.State], error) {
	stream := participant.StreamID(id)
	if stream.Check() != nil {
		return Snapshot[participant.State]{}, fault.New(fault.ParticipantUnknown, "no such participant")
	}
	snapshot, err := load(ctx, l, stream, participant.Evolve, "")
	if err != nil {
		return snapshot, err
	}
	if !snapshot.State.Exists() {
		return snapshot, fault.New(fault.ParticipantUnknown, "no such participant")
	}
	return snapshot, nil
}

// FindParticipant returns the id of the participant of a kind with an IIN, BIN
// or internal number; with no kind, of the only one. Errors:
// participant.unknown, and participant.ambiguous where the number means a
// person and a sole trader and no kind is given.
func (l *Ledger) FindParticipant(ctx context.Context, number string, kind participant.Kind) (string, error) {
	held, err := l.claims(ctx, identifier.Typed(number))
	if err != nil {
		return "", err
	}
	return held.State.One(kind)
}

func (l *Ledger) onParticipant(ctx context.Context, act Act, name, id string, request any, make func(context.Context) (participant.Command, error)) (Outcome, error) {
	stream := participant.StreamID(id)
	if stream.Check() != nil {
		return Outcome{}, fault.New(fault.ParticipantUnknown, "no such participant")
	}
	return run(ctx, l, command[participant.State]{
		act: act, name: name, id: id, request: request, stream: stream, evolve: participant.Evolve,
		decide: func(ctx context.Context, s participant.State) ([]event.Event, error) {
			if !s.Exists() {
				return nil, fault.New(fault.ParticipantUnknown, "no such participant")
			}
			c, err := make(ctx)
			if err != nil {
				return nil, err
			}
			return participant.Decide(s, c)
		},
	})
}

// mayManage refuses unless the act is the operator's, or by somebody with the
// right to manage the participant.
func (l *Ledger) mayManage(ctx context.Context, act Act, id string) error {
	if act.Role == access.RoleOperator {
		return nil
	}
	if act.By.Participant != id {
		return fault.New(fault.ParticipantUnknown, "no such participant")
	}
	_, err := l.mayAct(ctx, act, participant.RightManage)
	return err
}

// mayAct refuses unless the acting person has a right with the participant it
// acts for, both as their streams are now; it returns what it relied on.
func (l *Ledger) mayAct(ctx context.Context, act Act, right participant.Right) ([]event.Reference, error) {
	if err := require(act, access.RoleParticipant); err != nil {
		return nil, err
	}
	party, err := l.Participant(ctx, act.By.Participant)
	if err != nil {
		return nil, fmt.Errorf("who acts: %w", err)
	}
	if err := party.State.CheckMayAct(act.By.Person, right); err != nil {
		return nil, err
	}
	return []event.Reference{party.Reference()}, nil
}

// IssuedToken is a new token. Its text is given out once and kept nowhere.
type IssuedToken struct {
	Token     string
	ID        string
	ExpiresAt time.Time
	Position  eventstore.Position
}

// IssueToken makes a token for a participant (and a person acting for it) in
// a role. The operator's own participant needs no registration.
func (l *Ledger) IssueToken(ctx context.Context, act Act, by event.By, role access.Role, label string, life time.Duration) (IssuedToken, error) {
	label = wording.Tidy(label)
	if err := require(act, access.RoleOperator); err != nil {
		return IssuedToken{}, err
	}
	var employment uint64
	if by.Participant != Operator || role != access.RoleOperator {
		holder, err := l.Participant(ctx, by.Participant)
		if err != nil {
			return IssuedToken{}, err
		}
		if employment, err = holder.State.Employment(by.Person); err != nil {
			return IssuedToken{}, err
		}
		if err := holder.State.CheckMayAct(by.Person, participant.RightRead); err != nil && role == access.RoleParticipant {
			return IssuedToken{}, err
		}
	}
	token, hash, err := access.NewToken(l.random, l.tokenKey)
	if err != nil {
		return IssuedToken{}, err
	}
	now := l.now()
	outcome, err := run(ctx, l, command[access.State]{
		act: act, name: "issue-token", id: hash, stream: access.StreamID(hash), evolve: access.Evolve,
		decide: func(_ context.Context, s access.State) ([]event.Event, error) {
			return access.Decide(s, access.Issue{
				Token: hash, By: by, Role: role, Employment: employment, Label: label, Now: now, TTL: life,
			})
		},
	})
	if err != nil {
		return IssuedToken{}, err
	}
	return IssuedToken{Token: token, ID: hash, ExpiresAt: now.Add(life), Position: outcome.Position}, nil
}

// RevokeToken ends a token by its id (its hash).
func (l *Ledger) RevokeToken(ctx context.Context, act Act, id, reason string) (Outcome, error) {
	reason = wording.Tidy(reason)
	stream := access.StreamID(id)
	if stream.Check() != nil {
		return Outcome{}, fault.New(fault.TokenInvalid, "no such token")
	}
	return run(ctx, l, command[access.State]{
		act: act, name: "revoke-token", id: id, request: reason, stream: stream, evolve: access.Evolve,
		decide: func(_ context.Context, s access.State) ([]event.Event, error) {
			if act.Role != access.RoleOperator && s.By != act.By {
				return nil, fault.New(fault.TokenInvalid, "no such token")
			}
			return access.Decide(s, access.Revoke{Now: l.now(), Reason: reason})
		},
	})
}

// Principal is who a token stands for.
type Principal struct {
	By      event.By
	Role    access.Role
	TokenID string
	Expires time.Time
}

// TokenID returns the hash that a token's events carry: of one that was issued
// with this ledger's key, whether or not it still opens anything. It asks the
// store nothing; anything else is token.invalid.
func (l *Ledger) TokenID(token string) (string, error) { return access.HashToken(token, l.tokenKey) }

// Authenticate returns who a token stands for: token.invalid, token.expired
// or token.revoked otherwise. An employee's token ends with the employment, and
// stays ended when the person comes back (R-A4).
func (l *Ledger) Authenticate(ctx context.Context, token string) (Principal, error) {
	hash, err := access.HashToken(token, l.tokenKey)
	if err != nil {
		return Principal{}, err
	}
	snapshot, err := load(ctx, l, access.StreamID(hash), access.Evolve, "")
	if err != nil {
		return Principal{}, err
	}
	if err := snapshot.State.Check(l.now()); err != nil {
		return Principal{}, err
	}
	s := snapshot.State
	if s.Employment != 0 {
		holder, err := l.Participant(ctx, s.By.Participant)
		if err != nil {
			return Principal{}, err
		}
		if now, err := holder.State.Employment(s.By.Person); err != nil || now != s.Employment {
			return Principal{}, fault.New(fault.TokenRevoked, "the person acts for the participant no more")
		}
	}
	return Principal{By: s.By, Role: s.Role, TokenID: hash, Expires: s.ExpiresAt}, nil
}
