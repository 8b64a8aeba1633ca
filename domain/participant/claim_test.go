package participant_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dalel/domain/participant"
	"dalel/internal/fault"
)

// claims are those of an identifier that participants of these kinds have, each
// with its kind for its id.
func claims(t *testing.T, kinds ...participant.Kind) participant.Claims {
	t.Helper()
	var held participant.Claims
	for _, kind := range kinds {
		events, err := participant.DecideClaim(held, participant.Claim{Participant: string(kind), Kind: kind, Now: time.Unix(1, 0)})
		require.NoError(t, err)
		for _, e := range events {
			held = participant.EvolveClaims(held, e)
		}
	}
	return held
}

func TestR_A1_OneIINMayBeAPersonAndASoleTraderAndNothingElseSharesANumber(t *testing.T) {
	kinds := []participant.Kind{participant.NaturalPerson, participant.SoleTrader, participant.LegalEntity, participant.NonResident}
	for _, first := range kinds {
		for _, second := range kinds {
			held := claims(t, first)
			_, err := participant.DecideClaim(held, participant.Claim{Participant: "another", Kind: second})
			if first != second && first.IsPerson() && second.IsPerson() {
				require.NoError(t, err, "%s, then %s", first, second)
				continue
			}
			require.True(t, fault.Is(err, fault.ParticipantExists), "%s, then %s: %v", first, second, err)
		}
	}
	both := claims(t, participant.SoleTrader, participant.NaturalPerson)
	require.Equal(t, []participant.Kind{participant.NaturalPerson, participant.SoleTrader}, both.Kinds())
	for _, third := range kinds {
		_, err := participant.DecideClaim(both, participant.Claim{Participant: "another", Kind: third})
		require.True(t, fault.Is(err, fault.ParticipantExists), "%s as a third: %v", third, err)
	}
	again, err := participant.DecideClaim(both, participant.Claim{Participant: string(participant.SoleTrader), Kind: participant.SoleTrader})
	require.NoError(t, err)
	require.Empty(t, again)
}

func TestR_A1_AnIdentifierThatMeansTwoIsAnsweredByKindOnly(t *testing.T) {
	both := claims(t, participant.NaturalPerson, participant.SoleTrader)
	_, err := both.One("")
	require.True(t, fault.Is(err, fault.ParticipantAmbiguous), "%v", err)
	for _, kind := range []participant.Kind{participant.NaturalPerson, participant.SoleTrader} {
		found, err := both.One(kind)
		require.NoError(t, err)
		require.Equal(t, string(kind), found)
		alone, err := claims(t, kind).One("")
		require.NoError(t, err)
		require.Equal(t, string(kind), alone)
	}
	for _, held := range []participant.Claims{{}, claims(t, participant.NaturalPerson)} {
		_, err := held.One(participant.SoleTrader)
		require.True(t, fault.Is(err, fault.ParticipantUnknown), "%v", err)
	}
	_, err = participant.Claims{}.One("")
	require.True(t, fault.Is(err, fault.ParticipantUnknown), "%v", err)
}
