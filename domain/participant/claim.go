package participant

import (
	"maps"
	"slices"
	"time"

	"dalel/domain/event"
	"dalel/internal/fault"
)

// Claims says which participant an identifier belongs to: one, or two where one
// human being is registered as a natural person and as a sole trader with the
// same IIN (R-A1). The zero Claims is that of an identifier that nobody has.
type Claims struct{ by map[Kind]string }

// Of returns the participant of a kind; "" if there is none.
func (c Claims) Of(kind Kind) string { return c.by[kind] }

// Kinds lists the kinds of whom the identifier belongs to, sorted.
func (c Claims) Kinds() []Kind { return slices.Sorted(maps.Keys(c.by)) }

// One returns the participant whom the identifier means: that of the kind, or,
// where no kind is given, the only one. Errors: participant.unknown, and
// participant.ambiguous where it means two and the kind was not said.
func (c Claims) One(kind Kind) (string, error) {
	if kind != "" {
		if id := c.by[kind]; id != "" {
			return id, nil
		}
		return "", fault.New(fault.ParticipantUnknown, "no participant of this kind has the identifier")
	}
	switch kinds := c.Kinds(); len(kinds) {
	case 0:
		return "", fault.New(fault.ParticipantUnknown, "no participant has this identifier")
	case 1:
		return c.by[kinds[0]], nil
	default:
		return "", fault.New(fault.ParticipantAmbiguous, "two participants have this identifier; say which by the kind, natural-person or sole-trader")
	}
}

// Claim asks for an identifier.
type Claim struct {
	Participant string
	Kind        Kind
	Now         time.Time
}

// DecideClaim says whether an identifier becomes a participant's: if nobody has
// it, or if it is an IIN that the other one of a natural person and a sole
// trader has. Else it is participant.exists, and for who has it already as this
// kind there is nothing to do.
func DecideClaim(claims Claims, c Claim) ([]event.Event, error) {
	if claims.by[c.Kind] == c.Participant && c.Participant != "" {
		return nil, nil
	}
	for kind := range claims.by {
		if kind == c.Kind || !kind.IsPerson() || !c.Kind.IsPerson() {
			return nil, fault.New(fault.ParticipantExists, "a participant with this identifier is registered")
		}
	}
	return []event.Event{IdentifierClaimed{Participant: c.Participant, Kind: c.Kind, ClaimedAt: c.Now}}, nil
}

// EvolveClaims returns the claims after an event.
func EvolveClaims(claims Claims, e event.Event) Claims {
	if claimed, ok := e.(IdentifierClaimed); ok {
		by := maps.Clone(claims.by)
		if by == nil {
			by = map[Kind]string{}
		}
		if by[claimed.Kind] == "" {
			by[claimed.Kind] = claimed.Participant
		}
		claims.by = by
	}
	return claims
}
