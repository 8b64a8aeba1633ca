package participant_test

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"dalel/domain/event"
	"dalel/domain/event/eventtest"
	"dalel/domain/identifier"
	"dalel/domain/participant"
	"dalel/internal/fault"
)

var update = flag.Bool("update", false, "write the tables in doc.go anew")

const (
	person  = "11111111-1111-4111-8111-111111111111"
	entity  = "22222222-2222-4222-8222-222222222222"
	worker  = "33333333-3333-4333-8333-333333333333"
	another = "44444444-4444-4444-8444-444444444444"
)

func number(t require.TestingT, eleven string) string {
	text, err := identifier.WithCheckDigit(eleven)
	require.NoError(t, err)
	return text
}

func given(t testing.TB, history ...event.Event) *eventtest.Scenario[participant.State, participant.Command] {
	return eventtest.Given(t, participant.Decide, participant.Evolve, history...)
}

func registerPerson(t require.TestingT) participant.Register {
	return participant.Register{
		Participant: person, Kind: participant.NaturalPerson, Identifier: number(t, "85010130012"),
		Name: "Әлия Сапарова", Email: "aliya@example.kz", Phone: "+77011234567",
	}
}

func registerEntity(t require.TestingT) participant.Register {
	return participant.Register{
		Participant: entity, Kind: participant.LegalEntity, Identifier: number(t, "14094001234"), Name: `ТОО "Дәлел"`,
	}
}

func personRegistered(t require.TestingT) participant.Registered {
	c := registerPerson(t)
	return participant.Registered{
		Participant: c.Participant, Kind: c.Kind, Identifier: c.Identifier, Name: c.Name,
		Country: "KZ", Email: c.Email, Phone: c.Phone,
	}
}

func entityRegistered(t require.TestingT) participant.Registered {
	c := registerEntity(t)
	return participant.Registered{Participant: c.Participant, Kind: c.Kind, Identifier: c.Identifier, Name: c.Name, Country: "KZ"}
}

func activated(id string) participant.Activated {
	return participant.Activated{Participant: id, Basis: "identity card seen"}
}

func hired() participant.EmployeeAdded {
	return participant.EmployeeAdded{
		Participant: entity, Person: worker, Position: "accountant",
		Rights: []participant.Right{participant.RightDraft, participant.RightSign},
	}
}

func addWorker() participant.AddEmployee {
	return participant.AddEmployee{
		Person: worker, PersonKind: participant.NaturalPerson, PersonActive: true, Position: "accountant",
		Rights: []participant.Right{participant.RightSign, participant.RightDraft},
	}
}

func situations(t require.TestingT) []eventtest.Situation {
	return []eventtest.Situation{
		{Name: "unknown"},
		{Name: "person, pending", History: []event.Event{personRegistered(t)}},
		{Name: "person, active", History: []event.Event{personRegistered(t), activated(person)}},
		{Name: "entity, pending", History: []event.Event{entityRegistered(t)}},
		{Name: "entity, active", History: []event.Event{entityRegistered(t), activated(entity)}},
		{Name: "entity with the employee", History: []event.Event{entityRegistered(t), activated(entity), hired()}},
		{Name: "held", History: heldHistory(t)},
		{Name: "asked to erase", History: askedHistory(t)},
		{Name: "ordered to erase", History: orderedHistory(t)},
		{Name: "erased", History: erasedHistory(t)},
	}
}

func TestEveryCommandInEveryStateIsAsDocumented(t *testing.T) {
	inactive, company, nobody := addWorker(), addWorker(), addWorker()
	inactive.PersonActive = false
	company.PersonKind = participant.LegalEntity
	nobody.PersonKind, nobody.PersonActive = "", false
	matrix := eventtest.Matrix[participant.State, participant.Command]{
		Decide: participant.Decide, Evolve: participant.Evolve, Definitions: participant.Events(),
		Situations: situations(t),
		Cases: []eventtest.Case[participant.Command]{
			{Name: "Register", Command: registerEntity(t)},
			{Name: "Activate", Command: participant.Activate{Basis: "register extract of 1 June"}},
			{Name: "AddEmployee", Command: addWorker()},
			{Name: "AddEmployee, a person not active", Command: inactive},
			{Name: "AddEmployee, no person", Command: company},
			{Name: "AddEmployee, not registered", Command: nobody},
			{Name: "ChangeEmployeeRights", Command: participant.ChangeEmployeeRights{Person: worker, Rights: []participant.Right{participant.RightRead}}},
			{Name: "ChangeEmployeeRights to the same", Command: participant.ChangeEmployeeRights{Person: worker, Rights: hired().Rights}},
			{Name: "RemoveEmployee", Command: participant.RemoveEmployee{Person: worker, Reason: "left"}},
			{Name: "PlaceHold", Command: placeHold(), MayBeIdle: true},
			{Name: "PlaceHold, no ground", Command: participant.PlaceHold{Hold: "h2", By: byOperator(), Now: at(1)}},
			{Name: "LiftHold", Command: participant.LiftHold{Hold: "h1", By: byOperator(), Reason: "settled", Now: at(2)}},
			{Name: "RequestErasure", Command: requestErasure()},
			{Name: "OrderErasure", Command: participant.OrderErasure{By: byOperator(), Now: at(4)}, MayBeIdle: true},
			{Name: "MarkErased", Command: participant.MarkErased{Now: at(5)}, MayBeIdle: true},
		},
	}
	eventtest.Document(t, "doc.go", "Decisions", matrix.Run(t), *update)
}

func TestR_A4_WhoMayActInEveryStateIsAsDocumented(t *testing.T) {
	header, rows := []string{""}, [][]string{}
	for _, who := range []struct{ name, person string }{{"itself", ""}, {"the employee", worker}, {"somebody else", another}} {
		for _, right := range []participant.Right{participant.RightRead, participant.RightSign, participant.RightManage, "dance"} {
			rows = append(rows, []string{fmt.Sprintf("%s, %s", who.name, right)})
			for _, situation := range situations(t) {
				state := given(t, situation.History...).State()
				err := state.CheckMayAct(who.person, right)
				answer := "yes"
				if err != nil {
					answer = string(fault.CodeOf(err))
				}
				require.Equal(t, err == nil, state.May(who.person, right))
				if who.person == "" && state.Exists() {
					require.Equal(t, fault.CodeOf(err), fault.CodeOf(state.CheckMayAct(state.ID, right)), "its own id is itself")
				}
				rows[len(rows)-1] = append(rows[len(rows)-1], answer)
			}
		}
	}
	for _, situation := range situations(t) {
		header = append(header, situation.Name)
	}
	eventtest.Document(t, "doc.go", "Acting", eventtest.Table(header, rows), *update)
}

func TestR_A1_RegistrationRecordsWhatWasGivenAndDefaultsToKazakhstan(t *testing.T) {
	given(t).When(registerPerson(t)).Then(personRegistered(t))
	state := given(t).When(registerEntity(t)).Then(entityRegistered(t)).State()
	require.True(t, state.Exists())
	require.False(t, state.Active())
	require.Equal(t, participant.Pending, state.Status)
}

func TestR_A1_EachKindNeedsItsOwnIdentifier(t *testing.T) {
	internal, err := identifier.NewInternal(strings.NewReader(strings.Repeat("NR7 KZ42 QWERTY", 10)))
	require.NoError(t, err)
	iin, bin := number(t, "85010130012"), number(t, "14094001234")
	for _, test := range []struct {
		kind  participant.Kind
		valid string
		wrong []string
	}{
		{participant.NaturalPerson, iin, []string{"", internal, iin[:11] + "x"}},
		{participant.SoleTrader, iin, []string{"", internal}},
		{participant.LegalEntity, bin, []string{"", iin, internal}},
		{participant.NonResident, internal, []string{"", iin, bin}},
	} {
		command := participant.Register{Participant: person, Kind: test.kind, Identifier: test.valid, Name: "A"}
		if test.kind == participant.NonResident {
			command.Country = "TR"
		}
		require.Equal(t, test.valid, given(t).When(command).State().Identifier, test.kind)
		for _, wrong := range test.wrong {
			command.Identifier = wrong
			given(t).When(command).ThenRefused(fault.IdentifierInvalid)
		}
	}
}

func TestR_A1_WrongDetailsAreRefused(t *testing.T) {
	for name, change := range map[string]func(*participant.Register){
		"no id":                    func(c *participant.Register) { c.Participant = "" },
		"an id of two lines":       func(c *participant.Register) { c.Participant = "a\nb" },
		"no kind":                  func(c *participant.Register) { c.Kind = "" },
		"another kind":             func(c *participant.Register) { c.Kind = "bank" },
		"no name":                  func(c *participant.Register) { c.Name = "" },
		"a name of spaces":         func(c *participant.Register) { c.Name = "   " },
		"a name of 301 letters":    func(c *participant.Register) { c.Name = strings.Repeat("Ә", 301) },
		"a name not composed":      func(c *participant.Register) { c.Name = "И\u0306" },
		"a country in words":       func(c *participant.Register) { c.Country = "Kazakhstan" },
		"a country in small":       func(c *participant.Register) { c.Country = "kz" },
		"a country that is none":   func(c *participant.Register) { c.Country = "ZZ" },
		"a country that was":       func(c *participant.Register) { c.Country = "SU" },
		"a code kept free":         func(c *participant.Register) { c.Country = "EU" },
		"a country of three":       func(c *participant.Register) { c.Country = "KAZ" },
		"an e-mail with a name":    func(c *participant.Register) { c.Email = "A <a@example.kz>" },
		"an e-mail without place":  func(c *participant.Register) { c.Email = "a" },
		"an e-mail with a header":  func(c *participant.Register) { c.Email = "a@example.kz\r\nBcc: b@example.kz" },
		"an e-mail beyond bounds":  func(c *participant.Register) { c.Email = strings.Repeat("a", 250) + "@b.kz" },
		"a phone without plus":     func(c *participant.Register) { c.Phone = "87011234567" },
		"a phone with spaces":      func(c *participant.Register) { c.Phone = "+7 701 123 45 67" },
		"a phone too short for +7": func(c *participant.Register) { c.Phone = "+7701123456" },
		"a phone too long":         func(c *participant.Register) { c.Phone = "+4912345678901234" },
		"a phone of country 0":     func(c *participant.Register) { c.Phone = "+01234567890" },
	} {
		t.Run(name, func(t *testing.T) {
			command := registerPerson(t)
			change(&command)
			given(t).When(command).ThenRefused(fault.ParticipantInvalid)
		})
	}
	for _, name := range []string{"A\nB", "A\u202eB", "A\u200bB", "A\u3164B", "\u0301A", "A\u00a0B"} {
		command := registerPerson(t)
		command.Name = name
		given(t).When(command).ThenRefused(fault.TextCharacter)
	}
}

func TestR_A1_ANonResidentSaysWhereItLives(t *testing.T) {
	internal, err := identifier.NewInternal(strings.NewReader(strings.Repeat("NR7 KZ42 QWERTY", 10)))
	require.NoError(t, err)
	command := participant.Register{Participant: person, Kind: participant.NonResident, Identifier: internal, Name: "J. Doe", Phone: "+442071234567"}
	for _, country := range []string{"", "KZ"} {
		command.Country = country
		given(t).When(command).ThenRefused(fault.ParticipantInvalid)
	}
	command.Country = "GB"
	require.Equal(t, "GB", given(t).When(command).State().Country)
}

func TestNoRefusalRepeatsPersonalData(t *testing.T) {
	for _, change := range []func(*participant.Register){
		func(c *participant.Register) { c.Identifier = "850101300999" },
		func(c *participant.Register) { c.Name = "SECRET\n" },
		func(c *participant.Register) { c.Email = "SECRET" },
		func(c *participant.Register) { c.Phone = "SECRET" },
	} {
		command := registerPerson(t)
		change(&command)
		_, err := participant.Decide(participant.State{}, command)
		require.Error(t, err)
		require.NotContains(t, err.Error(), "SECRET")
		require.NotContains(t, err.Error(), "850101300999")
	}
}

func TestR_A3_ActivationNeedsABasis(t *testing.T) {
	given(t, personRegistered(t)).When(participant.Activate{}).ThenRefused(fault.ReasonMissing)
	given(t, personRegistered(t)).When(participant.Activate{Basis: " "}).ThenRefused(fault.ParticipantInvalid)
	state := given(t, personRegistered(t)).
		When(participant.Activate{Basis: "identity card seen"}).Then(activated(person)).State()
	require.True(t, state.Active())
}

func TestR_A4_RightsAreKnownWithoutDuplicatesAndSorted(t *testing.T) {
	for _, rights := range [][]participant.Right{
		nil, {}, {"dance"}, {""}, {participant.RightSign, participant.RightSign}, slices.Repeat(participant.Rights(), 2),
	} {
		command := addWorker()
		command.Rights = rights
		given(t, entityRegistered(t), activated(entity)).When(command).ThenRefused(fault.ParticipantInvalid)
		given(t, entityRegistered(t), activated(entity), hired()).
			When(participant.ChangeEmployeeRights{Person: worker, Rights: rights}).ThenRefused(fault.ParticipantInvalid)
	}
	command := addWorker()
	given(t, entityRegistered(t), activated(entity)).When(command).Then(hired())
	require.Equal(t, participant.RightSign, command.Rights[0], "the caller's list is left alone")
}

func TestR_A4_ASoleTraderMayBeAnEmployee(t *testing.T) {
	command := addWorker()
	command.PersonKind = participant.SoleTrader
	given(t, entityRegistered(t), activated(entity)).When(command).Then(hired())
}

func TestR_A4_ChangedRightsCountAtOnceAndRemovalEndsThem(t *testing.T) {
	scenario := given(t, entityRegistered(t), activated(entity), hired()).
		When(participant.ChangeEmployeeRights{Person: worker, Rights: []participant.Right{participant.RightSend}}).
		Then(participant.EmployeeRightsChanged{Participant: entity, Person: worker, Rights: []participant.Right{participant.RightSend}})
	require.True(t, scenario.State().May(worker, participant.RightSend))
	require.False(t, scenario.State().May(worker, participant.RightSign))
	require.Equal(t, "accountant", scenario.State().Employees[worker].Position)
	scenario.When(participant.RemoveEmployee{Person: worker}).
		Then(participant.EmployeeRemoved{Participant: entity, Person: worker})
	require.False(t, scenario.State().May(worker, participant.RightSend))
}

func TestTheNumberOfEmployeesIsBounded(t *testing.T) {
	state := given(t, entityRegistered(t), activated(entity)).State()
	state.Employees = map[string]participant.Employee{}
	for i := range participant.MaxEmployees {
		state.Employees[fmt.Sprint(i)] = participant.Employee{}
	}
	_, err := participant.Decide(state, addWorker())
	require.Equal(t, fault.ParticipantState, fault.CodeOf(err))
}

// TestWhateverHappensTheRulesHold runs random commands and requires, after
// each, what must hold of every participant.
func TestWhateverHappensTheRulesHold(t *testing.T) {
	codec, err := event.NewCodec(participant.Events())
	require.NoError(t, err)
	rapid.Check(t, func(t *rapid.T) {
		people := []string{person, worker, another, ""}
		draw := rapid.Custom(func(t *rapid.T) participant.Command {
			who := rapid.SampledFrom(people).Draw(t, "person")
			rights := rapid.SliceOfN(rapid.SampledFrom(append(participant.Rights(), "dance")), 0, 3).Draw(t, "rights")
			switch rapid.IntRange(0, 10).Draw(t, "command") {
			case 0:
				return registerEntity(t)
			case 1:
				return registerPerson(t)
			case 2:
				return participant.Activate{Basis: rapid.SampledFrom([]string{"", "seen"}).Draw(t, "basis")}
			case 3:
				return participant.AddEmployee{
					Person: who, Rights: rights, PersonActive: rapid.Bool().Draw(t, "active"),
					PersonKind: rapid.SampledFrom([]participant.Kind{participant.NaturalPerson, participant.LegalEntity, ""}).Draw(t, "kind"),
				}
			case 4:
				return participant.ChangeEmployeeRights{Person: who, Rights: rights}
			case 5:
				return participant.PlaceHold{Hold: rapid.SampledFrom([]string{"h1", "h2"}).Draw(t, "hold"), By: byOperator(), Ground: "dispute", Now: at(1)}
			case 6:
				return participant.LiftHold{Hold: rapid.SampledFrom([]string{"h1", "h2"}).Draw(t, "hold"), By: byOperator(), Reason: "settled", Now: at(1)}
			case 7:
				return requestErasure()
			case 8:
				return participant.OrderErasure{By: byOperator(), Now: at(4)}
			case 9:
				return participant.MarkErased{Now: at(5)}
			}
			return participant.RemoveEmployee{Person: who}
		})
		var state, replayed participant.State
		for range rapid.IntRange(0, 40).Draw(t, "length") {
			command := draw.Draw(t, "next")
			before := state
			events, err := participant.Decide(state, command)
			if err != nil || repeatable(command) {
				require.LessOrEqual(t, len(events), 1)
				require.True(t, err == nil || len(events) == 0)
			} else {
				require.NotEmpty(t, events)
			}
			for _, e := range events {
				state = participant.Evolve(state, e)
				replayed = participant.Evolve(replayed, eventtest.Recorded(t, codec, e))
			}
			require.Equal(t, state, replayed, "the state is that of the recorded events")
			require.True(t, before.Erased() || !before.Held() || !state.Erased(), "R-G4: nothing on hold is destroyed")
			require.True(t, !before.Erased() || state.Erased(), "R-B4: there is no way back")
			if state.Erased() {
				require.Empty(t, state.Identifier+state.Name+state.Email+state.Phone)
				require.False(t, state.Active())
				require.NotNil(t, state.Erasure)
			}
			for _, right := range participant.Rights() {
				for _, who := range people {
					allowed := state.May(who, right)
					if !state.Active() && right != participant.RightRead {
						require.False(t, allowed, "R-A3")
					}
					if state.Erased() {
						require.False(t, allowed, "R-B4")
					} else if employee, ok := state.Employees[who]; ok && state.Kind == participant.LegalEntity {
						require.Equal(t, slices.Contains(employee.Rights, right), allowed, "R-A4")
					} else if state.Kind == participant.LegalEntity {
						require.False(t, allowed, "a legal entity acts through employees alone")
					}
				}
			}
			for who, employee := range state.Employees {
				require.Equal(t, participant.LegalEntity, state.Kind)
				require.NotEmpty(t, who)
				require.True(t, slices.IsSorted(employee.Rights))
				require.NotEmpty(t, employee.Rights)
			}
		}
	})
}

func TestAnEventOfAnotherStreamChangesNothing(t *testing.T) {
	state := given(t, personRegistered(t)).State()
	require.Equal(t, state, participant.Evolve(state, participant.IdentifierClaimed{Participant: another}))
}
