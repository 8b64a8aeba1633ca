package participant_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dalel/domain/event"
	"dalel/domain/participant"
	"dalel/internal/fault"
)

func at(hours int) time.Time {
	return time.Date(2026, 6, 1, 9, 0, 0, 0, time.UTC).Add(time.Duration(hours) * time.Hour)
}

func byOperator() event.By { return event.By{Participant: "operator"} }

func letter() participant.RequestLetter {
	return participant.RequestLetter{MediaType: "application/pdf", Size: 900, SHA256: "1e77e4", Stored: "5ea1ed"}
}

func placeHold() participant.PlaceHold {
	return participant.PlaceHold{Hold: "h1", By: byOperator(), Ground: "dispute 7", Now: at(1)}
}

func requestErasure() participant.RequestErasure {
	return participant.RequestErasure{By: event.By{Participant: person}, Reason: "closing the account", Letter: letter(), Now: at(3)}
}

func holdPlaced() participant.HoldPlaced {
	return participant.HoldPlaced{Participant: person, Hold: "h1", By: byOperator(), Ground: "dispute 7", PlacedAt: at(1)}
}

func erasureRequested() participant.ErasureRequested {
	return participant.ErasureRequested{
		Participant: person, By: event.By{Participant: person}, Reason: "closing the account", Letter: letter(), RequestedAt: at(3),
	}
}

func heldHistory(t require.TestingT) []event.Event {
	return []event.Event{personRegistered(t), activated(person), holdPlaced()}
}

func askedHistory(t require.TestingT) []event.Event {
	return []event.Event{personRegistered(t), activated(person), erasureRequested()}
}

func orderedHistory(t require.TestingT) []event.Event {
	return append(askedHistory(t), participant.ErasureOrdered{Participant: person, By: byOperator(), OrderedAt: at(4)})
}

func erasedHistory(t require.TestingT) []event.Event {
	return append(orderedHistory(t), participant.Erased{Participant: person, ErasedAt: at(5)})
}

// repeatable says of a command that it may come to nothing without a refusal.
func repeatable(command participant.Command) bool {
	switch command.(type) {
	case participant.PlaceHold, participant.OrderErasure, participant.MarkErased:
		return true
	}
	return false
}

func TestR_B4_DataAreDestroyedOnRequestByOrder(t *testing.T) {
	scenario := given(t, personRegistered(t), activated(person))
	order := participant.OrderErasure{By: byOperator(), Now: at(4)}
	scenario.When(order).ThenRefused(fault.DestructionState)
	scenario.When(participant.MarkErased{Now: at(5)}).ThenRefused(fault.ParticipantState)
	scenario.When(requestErasure()).Then(erasureRequested())
	scenario.When(requestErasure()).ThenRefused(fault.ParticipantState)
	require.True(t, scenario.State().May(person, participant.RightSign), "a request takes nothing away yet")
	scenario.When(order).Then(participant.ErasureOrdered{Participant: person, By: byOperator(), OrderedAt: at(4)})
	scenario.When(order).Then()
	require.True(t, scenario.State().Erased())
	require.Nil(t, scenario.State().Erasure.ErasedAt)
	scenario.When(participant.MarkErased{Now: at(5)}).Then(participant.Erased{Participant: person, ErasedAt: at(5)})
	scenario.When(participant.MarkErased{Now: at(6)}).Then()
	ordered, erased := at(4), at(5)
	require.Equal(t, participant.State{
		ID: person, Kind: participant.NaturalPerson, Country: "KZ", Status: participant.Ended,
		Erasure: &participant.Erasure{RequestedAt: at(3), Letter: letter(), OrderedAt: &ordered, ErasedAt: &erased},
	}, scenario.State())
}

func TestR_B4_AnErasedParticipantIsKnownAndMayNotEvenRead(t *testing.T) {
	for _, history := range [][]event.Event{orderedHistory(t), erasedHistory(t)} {
		state := given(t, history...).State()
		require.True(t, state.Exists())
		require.False(t, state.Active())
		for _, right := range participant.Rights() {
			require.Equal(t, fault.ParticipantNotActive, fault.CodeOf(state.CheckMayAct("", right)), right)
		}
	}
}

func TestR_B4_FromTheOrderOnTheStateHasNoPersonalDataKeyOrNoKey(t *testing.T) {
	keyless := orderedHistory(t)
	registered := keyless[0].(participant.Registered)
	registered.Identifier, registered.Name, registered.Email, registered.Phone = "", "", "", ""
	keyless[0], keyless[1] = registered, participant.Activated{Participant: person}
	asked := erasureRequested()
	asked.Reason = ""
	keyless[2] = asked
	with, without := given(t, orderedHistory(t)...).State(), given(t, keyless...).State()
	require.Equal(t, with, without)
	text, err := json.Marshal(with)
	require.NoError(t, err)
	for _, words := range []string{"Әлия", "aliya", "+7701", number(t, "85010130012"), "closing"} {
		require.NotContains(t, string(text), words)
	}
}

func TestR_B4_ARequestNeedsAReason(t *testing.T) {
	for reason, code := range map[string]fault.Code{
		"": fault.ReasonMissing, " \n": fault.ReasonMissing, "a\u202eb": fault.TextCharacter,
		strings.Repeat("ә", participant.MaxProse+1): fault.RequestInvalid,
	} {
		wrong := requestErasure()
		wrong.Reason = reason
		given(t, personRegistered(t)).When(wrong).ThenRefused(code)
	}
}

func TestR_G4_NothingIsDestroyedWhileAnyHoldStands(t *testing.T) {
	order := participant.OrderErasure{By: byOperator(), Now: at(9)}
	scenario := given(t, askedHistory(t)...)
	scenario.When(placeHold()).Then(holdPlaced())
	second := placeHold()
	second.Hold = "h2"
	scenario.When(second).When(second).Then()
	require.Equal(t, []participant.Hold{{ID: "h1", Ground: "dispute 7", PlacedAt: at(1)}, {ID: "h2", Ground: "dispute 7", PlacedAt: at(1)}}, scenario.State().Holds)
	lift := participant.LiftHold{Hold: "h1", By: byOperator(), Reason: "settled", Now: at(2)}
	scenario.When(order).ThenRefused(fault.HoldInForce)
	scenario.When(lift).Then(participant.HoldLifted{Participant: person, Hold: "h1", By: byOperator(), Reason: "settled", LiftedAt: at(2)})
	scenario.When(lift).ThenRefused(fault.HoldUnknown)
	scenario.When(order).ThenRefused(fault.HoldInForce)
	lift.Hold = "h2"
	scenario.When(lift).When(order)
	require.True(t, scenario.State().Erased())
}

func TestR_G4_AHoldNeedsAnIDAndAGround(t *testing.T) {
	for _, id := range []string{"", "Ivanov v. Petrov", strings.Repeat("h", 300)} {
		wrong := placeHold()
		wrong.Hold = id
		given(t, personRegistered(t)).When(wrong).ThenRefused(fault.RequestInvalid)
	}
	for ground, code := range map[string]fault.Code{"": fault.ReasonMissing, " \n": fault.ReasonMissing, "a\x00": fault.TextCharacter} {
		wrong := placeHold()
		wrong.Ground = ground
		given(t, personRegistered(t)).When(wrong).ThenRefused(code)
	}
	given(t, heldHistory(t)...).
		When(participant.LiftHold{Hold: "h1", By: byOperator(), Reason: " ", Now: at(2)}).ThenRefused(fault.ReasonMissing)
}

func TestR_G4_TheNumberOfHoldsIsBounded(t *testing.T) {
	holds := make([]event.Event, 0, participant.MaxHolds)
	for i := range participant.MaxHolds {
		holds = append(holds, participant.HoldPlaced{Participant: person, Hold: fmt.Sprint(i)})
	}
	given(t, slices.Concat([]event.Event{personRegistered(t)}, holds)...).When(placeHold()).ThenRefused(fault.Throttled)
}
