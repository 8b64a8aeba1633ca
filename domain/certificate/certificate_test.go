package certificate_test

import (
	"flag"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"dalel/domain/certificate"
	"dalel/domain/event"
	"dalel/domain/event/eventtest"
	"dalel/domain/participant"
	"dalel/internal/fault"
)

var update = flag.Bool("update", false, "write the tables in doc.go anew")

const (
	fingerprint = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	owner       = "22222222-2222-4222-8222-222222222222"
	stranger    = "44444444-4444-4444-8444-444444444444"
	// As the test keys of the national CA have them.
	iin = "123456789011"
	bin = "123456789021"
)

// start is the moment of registration; at counts hours from it.
var start = time.Date(2026, 6, 1, 9, 0, 0, 0, time.UTC)

func at(hours int) time.Time { return start.Add(time.Duration(hours) * time.Hour) }

// followed is certificate.Decide, whose every event must be one that whoever
// checks a certificate's events later finds possible.
func followed(s certificate.State, c certificate.Command) ([]event.Event, error) {
	happened, err := certificate.Decide(s, c)
	for _, e := range happened {
		if why := certificate.Follows(s, e); why != nil {
			return nil, why
		}
		s = certificate.Evolve(s, e)
	}
	return happened, err
}

func given(t testing.TB, history ...event.Event) *eventtest.Scenario[certificate.State, certificate.Command] {
	return eventtest.Given(t, followed, certificate.Evolve, history...)
}

func register() certificate.Register {
	return certificate.Register{
		Certificate: fingerprint, Participant: owner,
		Owner: certificate.Owner{
			IIN: iin, BIN: bin, Name: "SURNAME NAME", Purpose: certificate.Signing, Role: "head",
			Algorithm: "1.2.398.3.10.1.1.2.2", Serial: "5f3c", Issuer: "CN=NCA",
			NotBefore: at(-24), NotAfter: at(365 * 24),
		},
		ParticipantKind: participant.LegalEntity, ParticipantIdentifier: bin, EmployeeIINs: []string{"850101300129", iin},
		Now: at(0),
	}
}

func registered() certificate.Registered {
	return certificate.Registered{
		Certificate: fingerprint, Participant: owner, OwnerIIN: iin, OwnerBIN: bin, OwnerName: "SURNAME NAME",
		Purpose: "signing", Role: "head", Algorithm: "1.2.398.3.10.1.1.2.2", Serial: "5f3c", Issuer: "CN=NCA",
		NotBefore: at(-24), NotAfter: at(365 * 24),
	}
}

// notice says at hour 20 that the key is not trusted from hour 10 on.
func notice() certificate.ReportCompromise {
	return certificate.ReportCompromise{
		Notice: "n1", Channel: certificate.ByPhone, ReceivedAt: at(20), CompromisedFrom: at(10),
		Circumstances: "The token was stolen.", Officer: "D. Akhmetova, key officer", Now: at(21),
	}
}

func reported() certificate.KeyCompromiseReported {
	return certificate.KeyCompromiseReported{
		Certificate: fingerprint, Participant: owner, Notice: "n1", Channel: certificate.ByPhone,
		ReceivedAt: at(20), CompromisedFrom: at(10), Circumstances: "The token was stolen.",
		Officer: "D. Akhmetova, key officer",
	}
}

func suspended() certificate.Suspended {
	return certificate.Suspended{Certificate: fingerprint, Notice: "n1", SuspendedAt: at(21), ReactionSeconds: 3600, WithinLimit: true}
}

func resume() certificate.Resume {
	return certificate.Resume{Requester: owner, Channel: certificate.InWriting, Reason: "The token was found.", Now: at(30)}
}

func resumed() certificate.Resumed {
	return certificate.Resumed{
		Certificate: fingerprint, Notice: "n1", Channel: certificate.InWriting, ResumedAt: at(30),
		Reason: "The token was found.", Participant: owner,
	}
}

func annul() certificate.Annul {
	return certificate.Annul{Requester: owner, Reason: "The head has left.", Now: at(40)}
}

func annulled() certificate.Annulled {
	return certificate.Annulled{Certificate: fingerprint, Participant: owner, AnnulledAt: at(40), Reason: "The head has left."}
}

func revocation() certificate.RecordRevocation {
	return certificate.RecordRevocation{RevokedAt: at(12), Reason: "keyCompromise", Kind: certificate.EvidenceCRL, SHA256: "bb", Now: at(35)}
}

func revoked() certificate.Revoked {
	return certificate.Revoked{
		Certificate: fingerprint, Participant: owner, RevokedAt: at(12), Reason: "keyCompromise",
		Kind: certificate.EvidenceCRL, SHA256: "bb", RecordedAt: at(35),
	}
}

func situations() []eventtest.Situation {
	return []eventtest.Situation{
		{Name: "unknown"},
		{Name: "registered", History: []event.Event{registered()}},
		{Name: "suspended", History: []event.Event{registered(), reported(), suspended()}},
		{Name: "resumed", History: []event.Event{registered(), reported(), suspended(), resumed()}},
		{Name: "annulled", History: []event.Event{registered(), annulled()}},
		{Name: "suspended, annulled", History: []event.Event{registered(), reported(), suspended(), annulled()}},
		{Name: "suspended, revoked", History: []event.Event{registered(), reported(), suspended(), revoked()}},
	}
}

func TestEveryCommandInEveryStateIsAsDocumented(t *testing.T) {
	same, earlier, later := notice(), notice(), notice()
	earlier.Notice, earlier.CompromisedFrom = "n2", at(5)
	later.Notice, later.CompromisedFrom = "n3", at(15)
	byStranger, stopByStranger, byOperator := resume(), annul(), annul()
	withReported := resume()
	withReported.SessionCertificate = fingerprint
	byStranger.Requester, stopByStranger.Requester = stranger, stranger
	byOperator.Requester, byOperator.ByOperator = "", true
	matrix := eventtest.Matrix[certificate.State, certificate.Command]{
		Decide: followed, Evolve: certificate.Evolve, Definitions: certificate.Events(),
		Situations: situations(),
		Cases: []eventtest.Case[certificate.Command]{
			{Name: "Register", Command: register()},
			{Name: "ReportCompromise, the same notice", Command: same},
			{Name: "ReportCompromise, another, earlier", Command: earlier},
			{Name: "ReportCompromise, another, later", Command: later},
			{Name: "Resume by the owner", Command: resume()},
			{Name: "Resume by a stranger", Command: byStranger},
			{Name: "Resume in a session of the reported key", Command: withReported},
			{Name: "RecordRevocation", Command: revocation(), MayBeIdle: true},
			{Name: "Annul by the owner", Command: annul()},
			{Name: "Annul by the operator", Command: byOperator},
			{Name: "Annul by a stranger", Command: stopByStranger},
			{Name: "WarnOfExpiry, 31 days before", Command: certificate.WarnOfExpiry{Now: at(334 * 24)}, MayBeIdle: true},
			{Name: "WarnOfExpiry, 30 days before", Command: certificate.WarnOfExpiry{Now: at(335 * 24)}, MayBeIdle: true},
		},
	}
	eventtest.Document(t, "doc.go", "Decisions", matrix.Run(t), *update)
}

func TestR_C7_WhatCountsAsASignatureInEveryStateIsAsDocumented(t *testing.T) {
	header, rows := []string{"made"}, [][]string{}
	for _, situation := range situations() {
		header = append(header, situation.Name)
	}
	for _, moment := range []struct {
		name string
		at   time.Time
	}{
		{"before the compromise", at(10).Add(-time.Microsecond)},
		{"from the compromise on", at(10)},
	} {
		row := []string{moment.name}
		for _, situation := range situations() {
			answer := "counts"
			if err := given(t, situation.History...).State().CheckSigning(owner, moment.at); err != nil {
				answer = string(fault.CodeOf(err))
			}
			row = append(row, answer)
		}
		rows = append(rows, row)
	}
	eventtest.Document(t, "doc.go", "Signing", eventtest.Table(header, rows), *update)
}

func TestR_C1_RegistrationRecordsWhatTheCertificateSays(t *testing.T) {
	state := given(t).When(register()).Then(registered()).State()
	require.True(t, state.Exists())
	require.Equal(t, register().Owner, state.Owner)
	require.NoError(t, state.CheckSigning(owner, at(1)))
	require.Equal(t, fault.CertificateOfAnother, fault.CodeOf(state.CheckSigning(stranger, at(1))))
	require.Equal(t, fault.CertificateOfAnother, fault.CodeOf(state.CheckSigning("", at(1))))
}

func TestR_C1_ACertificateOfSomebodyElseIsRefused(t *testing.T) {
	const internal = "N23456789ABC"
	for _, test := range []struct {
		name       string
		kind       participant.Kind
		identifier string
		iin, bin   string
		employees  []string
		want       fault.Code
	}{
		{"an entity's head", participant.LegalEntity, bin, iin, bin, []string{iin}, ""},
		{"an entity's information system", participant.LegalEntity, bin, "", bin, nil, ""},
		{"another entity's", participant.LegalEntity, "140940012347", iin, bin, []string{iin}, fault.CertificateOfAnother},
		{"an entity, but a private person's", participant.LegalEntity, bin, iin, "", []string{iin}, fault.CertificateOfAnother},
		{"somebody who does not work there", participant.LegalEntity, bin, iin, bin, []string{"850101300129"}, fault.CertificateOfAnother},
		{"nobody works there", participant.LegalEntity, bin, iin, bin, nil, fault.CertificateOfAnother},
		{"a person's own", participant.NaturalPerson, iin, iin, "", nil, ""},
		{"another person's", participant.NaturalPerson, "850101300129", iin, "", nil, fault.CertificateOfAnother},
		{"a person's, for an entity", participant.NaturalPerson, iin, iin, bin, nil, fault.CertificateOfAnother},
		{"a sole trader's own", participant.SoleTrader, iin, iin, "", nil, ""},
		{"a sole trader's own, with the IIN as BIN", participant.SoleTrader, iin, iin, iin, nil, ""},
		{"a sole trader's, for an entity", participant.SoleTrader, iin, iin, bin, nil, fault.CertificateOfAnother},
		{"a non-resident's with the internal number", participant.NonResident, internal, internal, "", nil, ""},
		{"a non-resident's without any number", participant.NonResident, internal, "", "", nil, fault.CertificateOfAnother},
		{"a non-resident, but a person's", participant.NonResident, internal, iin, "", nil, fault.CertificateOfAnother},
		{"a participant without identifier", participant.NaturalPerson, "", "", "", nil, fault.ParticipantUnknown},
		{"a participant of no kind", "", iin, iin, "", nil, fault.ParticipantUnknown},
	} {
		t.Run(test.name, func(t *testing.T) {
			command := register()
			command.ParticipantKind, command.ParticipantIdentifier = test.kind, test.identifier
			command.Owner.IIN, command.Owner.BIN, command.EmployeeIINs = test.iin, test.bin, test.employees
			scenario := given(t).When(command)
			if test.want != "" {
				scenario.ThenRefused(test.want)
				return
			}
			require.True(t, scenario.State().Exists())
		})
	}
}

func TestR_C1_WhatCannotBeACertificateIsRefused(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*certificate.Register)
		want   fault.Code
	}{
		"no fingerprint":         {func(c *certificate.Register) { c.Certificate = "" }, fault.CertificateInvalid},
		"capitals":               {func(c *certificate.Register) { c.Certificate = strings.ToUpper(fingerprint) }, fault.CertificateInvalid},
		"no participant":         {func(c *certificate.Register) { c.Participant = "" }, fault.ParticipantUnknown},
		"no purpose":             {func(c *certificate.Register) { c.Owner.Purpose = "" }, fault.CertificatePurpose},
		"a role nobody knows":    {func(c *certificate.Register) { c.Owner.Role = "king" }, fault.CertificateInvalid},
		"no algorithm":           {func(c *certificate.Register) { c.Owner.Algorithm = "" }, fault.CertificateInvalid},
		"a name without end":     {func(c *certificate.Register) { c.Owner.Name = strings.Repeat("a", 1001) }, fault.CertificateInvalid},
		"a name in broken UTF-8": {func(c *certificate.Register) { c.Owner.Name = "\xff" }, fault.CertificateInvalid},
		"no end":                 {func(c *certificate.Register) { c.Owner.NotAfter = time.Time{} }, fault.CertificateInvalid},
		"an end before the start": {func(c *certificate.Register) { c.Owner.NotAfter = c.Owner.NotBefore.Add(-1) },
			fault.CertificateInvalid},
		"expired": {func(c *certificate.Register) { c.Now = c.Owner.NotAfter.Add(1) }, fault.CertificateExpired},
	} {
		t.Run(name, func(t *testing.T) {
			command := register()
			test.change(&command)
			given(t).When(command).ThenRefused(test.want)
		})
	}
	atTheEnd := register()
	atTheEnd.Now = atTheEnd.Owner.NotAfter
	given(t).When(atTheEnd).Then(registered())
}

func TestR_C1_ACertificateForAuthenticationAloneNeverSigns(t *testing.T) {
	command := register()
	command.Owner.Purpose = certificate.Authentication
	state := given(t).When(command).State()
	require.True(t, state.Exists())
	require.Equal(t, fault.CertificatePurpose, fault.CodeOf(state.CheckSigning(owner, at(1))))
	command.Owner.Purpose = certificate.SigningAndAuthentication
	require.NoError(t, given(t).When(command).State().CheckSigning(owner, at(1)))
}

func TestR_C7_ANoticeSuspendsAtOnceAndTheReactionIsMeasured(t *testing.T) {
	given(t, registered()).When(notice()).Then(reported(), suspended())
	for _, test := range []struct {
		reaction time.Duration
		seconds  int64
		within   bool
	}{
		{0, 0, true},
		{24 * time.Hour, 86400, true},
		{24*time.Hour + time.Microsecond, 86400, false},
		{30 * time.Hour, 108000, false},
	} {
		command := notice()
		command.Now = command.ReceivedAt.Add(test.reaction)
		given(t, registered()).When(command).Then(reported(), certificate.Suspended{
			Certificate: fingerprint, Notice: "n1", SuspendedAt: command.Now,
			ReactionSeconds: test.seconds, WithinLimit: test.within,
		})
	}
}

func TestR_C7_ANoticeMustMakeSense(t *testing.T) {
	for name, change := range map[string]func(*certificate.ReportCompromise){
		"no id":                      func(c *certificate.ReportCompromise) { c.Notice = "" },
		"an id that names no stream": func(c *certificate.ReportCompromise) { c.Notice = "a b" },
		"no channel":                 func(c *certificate.ReportCompromise) { c.Channel = "" },
		"no moment of compromise":    func(c *certificate.ReportCompromise) { c.CompromisedFrom = time.Time{} },
		"no moment of receipt":       func(c *certificate.ReportCompromise) { c.ReceivedAt = time.Time{} },
		"received in the future":     func(c *certificate.ReportCompromise) { c.ReceivedAt = c.Now.Add(1) },
		"compromised in the future":  func(c *certificate.ReportCompromise) { c.CompromisedFrom = c.ReceivedAt.Add(1) },
		"endless circumstances":      func(c *certificate.ReportCompromise) { c.Circumstances = strings.Repeat("a", 4001) },
		"a year RFC 3339 cannot say": func(c *certificate.ReportCompromise) { c.Now = c.Now.AddDate(9000, 0, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			command := notice()
			change(&command)
			given(t, registered()).When(command).ThenRefused(fault.NoticeInvalid)
		})
	}
}

func TestR_C7_AnEarlierMomentInAnotherNoticeMovesTheMomentBack(t *testing.T) {
	earlier := notice()
	earlier.Notice, earlier.CompromisedFrom, earlier.Circumstances = "n2", at(5), ""
	scenario := given(t, registered(), reported(), suspended()).When(earlier).Then(certificate.KeyCompromiseReported{
		Certificate: fingerprint, Participant: owner, Notice: "n2", Channel: certificate.ByPhone,
		ReceivedAt: at(20), CompromisedFrom: at(5), Officer: earlier.Officer,
	})
	require.Equal(t, at(5), *scenario.State().CompromisedFrom)
	closed := resumed()
	closed.Notice = "n2"
	state := scenario.When(resume()).Then(closed).State()
	require.Nil(t, state.CompromisedFrom)
	require.Empty(t, state.Notice)
	require.NoError(t, state.CheckSigning(owner, at(12)), "the owner has taken the notices back")
}

func TestR_C7_AKeyIsRefusedWithEveryGround(t *testing.T) {
	state := given(t, registered(), reported(), suspended()).State()
	var refusal *fault.Error
	require.ErrorAs(t, state.CheckSigning(owner, at(10)), &refusal)
	require.Equal(t, fault.CertificateCompromised, refusal.Code)
	require.Len(t, refusal.Reasons, 2)
	require.Equal(t, string(fault.CertificateSuspended), refusal.Reasons[1].Code)
	require.ErrorAs(t, state.CheckSigning(owner, at(9)), &refusal)
	require.Equal(t, fault.CertificateSuspended, refusal.Code, "a moment before does not help while it is suspended")
	require.Empty(t, refusal.Reasons)
}

func TestR_C7_ResumingAndAnnullingNeedAReason(t *testing.T) {
	suspendedHistory := []event.Event{registered(), reported(), suspended()}
	again := resume()
	again.Reason = ""
	given(t, suspendedHistory...).When(again).ThenRefused(fault.ReasonMissing)
	again.Reason = "\x00"
	given(t, suspendedHistory...).When(again).ThenRefused(fault.TextCharacter)
	again = resume()
	again.Channel = "pigeon"
	given(t, suspendedHistory...).When(again).ThenRefused(fault.NoticeInvalid)
	again = resume()
	again.Requester = ""
	given(t, suspendedHistory...).When(again).ThenRefused(fault.Forbidden)
	end := annul()
	end.Reason = ""
	given(t, registered()).When(end).ThenRefused(fault.ReasonMissing)
	end = annul()
	end.Requester = ""
	given(t, registered()).When(end).ThenRefused(fault.Forbidden)
	end = annul()
	end.Now = time.Time{}
	given(t, registered()).When(end).ThenRefused(fault.Internal)
}

func TestMomentsAreRecordedInUTCToTheMicrosecond(t *testing.T) {
	zone := time.FixedZone("", 5*3600)
	command := notice()
	command.ReceivedAt = at(20).Add(999).In(zone)
	command.CompromisedFrom = at(10).Add(999).In(zone)
	command.Now = at(21).Add(999).In(zone)
	given(t, registered()).When(command).Then(reported(), suspended())
}

// TestWhateverHappensTheRulesHold runs random commands and requires, after
// each, what must hold of every certificate.
func TestWhateverHappensTheRulesHold(t *testing.T) {
	codec, err := event.NewCodec(certificate.Events())
	require.NoError(t, err)
	rapid.Check(t, func(t *rapid.T) {
		hour := 0
		draw := func() certificate.Command {
			hour++
			requester := rapid.SampledFrom([]string{owner, stranger, ""}).Draw(t, "requester")
			switch rapid.IntRange(0, 5).Draw(t, "command") {
			case 0:
				command := register()
				command.Owner.Purpose = rapid.SampledFrom([]string{certificate.Signing, certificate.Authentication}).Draw(t, "purpose")
				return command
			case 1, 2:
				command := notice()
				command.Notice = rapid.SampledFrom([]string{"n1", "n2", "n3"}).Draw(t, "notice")
				command.ReceivedAt, command.Now = at(hour), at(hour)
				command.CompromisedFrom = at(rapid.IntRange(-10, hour).Draw(t, "from"))
				return command
			case 3:
				command := resume()
				command.Requester, command.Now = requester, at(hour)
				return command
			case 4:
				return certificate.WarnOfExpiry{OwnerErased: rapid.Bool().Draw(t, "erased"), Now: at(hour + 24*rapid.IntRange(300, 400).Draw(t, "day"))}
			}
			command := annul()
			command.Requester, command.Now = requester, at(hour)
			return command
		}
		var state, replayed certificate.State
		for range rapid.IntRange(0, 30).Draw(t, "length") {
			before := state
			command := draw()
			events, err := certificate.Decide(state, command)
			if _, ok := command.(certificate.WarnOfExpiry); !ok {
				require.Equal(t, err != nil, len(events) == 0)
			}
			for _, e := range events {
				state = certificate.Evolve(state, e)
				replayed = certificate.Evolve(replayed, eventtest.Recorded(t, codec, e))
			}
			require.Equal(t, state, replayed, "the state is that of the recorded events")
			require.Equal(t, state.CompromisedFrom == nil, state.Notice == "")
			if before.Status == certificate.StatusAnnulled {
				require.Equal(t, certificate.StatusAnnulled, state.Status, "annulment is for good")
			}
			if before.CompromisedFrom != nil && state.CompromisedFrom != nil {
				require.False(t, state.CompromisedFrom.After(*before.CompromisedFrom), "while a notice is open, trust only shrinks")
			}
			for at := -12; at < hour+2; at++ {
				err := state.CheckSigning(owner, start.Add(time.Duration(at)*time.Hour))
				require.Equal(t, err == nil, state.Status == certificate.StatusRegistered && state.Purpose == certificate.Signing)
				require.Error(t, state.CheckSigning(stranger, start))
			}
		}
	})
}

func warned(hours int) certificate.ExpiryWarned {
	return certificate.ExpiryWarned{Certificate: fingerprint, Participant: owner, NotAfter: at(365 * 24), WarnedAt: at(hours)}
}

// idle returns what follows from a command that is allowed.
func idle(t *testing.T, command certificate.Command, history ...event.Event) []event.Event {
	events, err := certificate.Decide(given(t, history...).State(), command)
	require.NoError(t, err)
	return events
}

func TestR_C5_ItIsWarnedFromThirtyDaysBeforeTheEndToTheEndAndOnce(t *testing.T) {
	end := at(365 * 24)
	for _, c := range []struct {
		now  time.Time
		warn bool
	}{
		{end.Add(-certificate.ExpiryWarning - time.Microsecond), false},
		{end.Add(-certificate.ExpiryWarning), true},
		{end.Add(-time.Hour), true},
		{end, true},
		{end.Add(time.Microsecond), false},
		{end.AddDate(1, 0, 0), false},
	} {
		events, err := certificate.Decide(given(t, registered()).State(), certificate.WarnOfExpiry{Now: c.now})
		require.NoError(t, err)
		require.Equal(t, c.warn, len(events) == 1, c.now)
		require.Equal(t, c.warn, certificate.EndsSoon(end, c.now))
	}
	given(t, registered()).When(certificate.WarnOfExpiry{Now: at(340 * 24)}).Then(warned(340 * 24))
	require.Empty(t, idle(t, certificate.WarnOfExpiry{Now: at(341 * 24)}, registered(), warned(340*24)))
	given(t, registered()).When(certificate.WarnOfExpiry{}).ThenRefused(fault.Internal)
	given(t).When(certificate.WarnOfExpiry{Now: at(340 * 24)}).ThenRefused(fault.CertificateUnknown)
}

func TestR_C5_WhatIsAnnulledOrNobodysIsNotWarnedOf(t *testing.T) {
	require.Empty(t, idle(t, certificate.WarnOfExpiry{Now: at(340 * 24)}, registered(), annulled()))
	require.Empty(t, idle(t, certificate.WarnOfExpiry{OwnerErased: true, Now: at(340 * 24)}, registered()))
	given(t, registered(), reported(), suspended()).When(certificate.WarnOfExpiry{Now: at(340 * 24)}).
		Then(warned(340 * 24)) // it may be resumed
}

func TestR_C5_TheDaysLeftAreWholeDays(t *testing.T) {
	end := at(365 * 24)
	for left, want := range map[time.Duration]int{
		31 * 24 * time.Hour: 31, 30*24*time.Hour - 1: 29, 24 * time.Hour: 1, 24*time.Hour - 1: 0, 0: 0, -time.Hour: 0, -1000 * time.Hour: 0,
	} {
		require.Equal(t, want, certificate.DaysLeft(end, end.Add(-left)), left)
	}
}

// However often it is asked, by whichever node and in whatever order with what
// else befalls the certificate, there is at most one warning, and none outside
// of the thirty days.
func TestR_C5_WhateverHappensThereIsOneWarningAtMost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		state := certificate.Evolve(certificate.State{}, registered())
		end := state.NotAfter
		now, warnings, due := end.AddDate(0, -3, 0), 0, false
		for range rapid.IntRange(1, 40).Draw(t, "length") {
			now = now.Add(time.Duration(rapid.IntRange(0, 5*24).Draw(t, "hours")) * time.Hour)
			var command certificate.Command = certificate.WarnOfExpiry{Now: now}
			if rapid.IntRange(0, 9).Draw(t, "annul") == 0 {
				command = certificate.Annul{Requester: owner, Reason: "why not", Now: now}
			}
			before := state
			events, _ := certificate.Decide(state, command)
			for _, e := range events {
				state = certificate.Evolve(state, e)
				if w, ok := e.(certificate.ExpiryWarned); ok {
					warnings++
					require.False(t, w.WarnedAt.Before(end.Add(-certificate.ExpiryWarning)))
					require.False(t, w.WarnedAt.After(end))
					require.NotEqual(t, certificate.StatusAnnulled, before.Status)
				}
			}
			if _, asked := command.(certificate.WarnOfExpiry); asked && before.EndsSoon(now) {
				due = true
			}
		}
		require.LessOrEqual(t, warnings, 1)
		require.Equal(t, due, warnings == 1, "whoever asks in time is the one who warns")
	})
}

func TestR_C7_TheOfficerWhoTookANoticeIsNamedAndNobodyIsForOneThatCameOnline(t *testing.T) {
	nobody, online := notice(), notice()
	nobody.Officer = ""
	online.Channel = certificate.Online
	given(t, registered()).When(nobody).ThenRefused(fault.NoticeInvalid)
	given(t, registered()).When(online).ThenRefused(fault.NoticeInvalid)
	online.Officer = ""
	state := given(t, registered()).When(online).State()
	require.Len(t, state.Notices, 1)
	require.Equal(t, certificate.Online, state.Notices[0].Channel)
	require.Equal(t, time.Hour, state.Notices[0].Reaction)
	require.True(t, state.Notices[0].WithinLimit)
}

func TestR_C8_ANoticeCoversWhatWasSignedSinceItsMomentUntilItIsWithdrawn(t *testing.T) {
	state := given(t, registered()).When(notice()).State()
	require.Empty(t, state.Covering(at(9)))
	require.Len(t, state.Covering(at(10)), 1)
	require.Len(t, state.Covering(at(25)), 1, "a signature that was on its way when the notice came")
	withdrawn := given(t, registered(), reported(), suspended()).When(resume()).State()
	require.Empty(t, withdrawn.Covering(at(10)))
	require.Len(t, withdrawn.Notices, 1, "what was said stays on record")
}

func TestR_C8_TheReportedKeyDoesNotClearItself(t *testing.T) {
	own := resume()
	own.SessionCertificate = fingerprint
	given(t, registered(), reported(), suspended()).When(own).ThenRefused(fault.CertificateReported)
	own.SessionCertificate = strings.Repeat("b", 64)
	given(t, registered(), reported(), suspended()).When(own).Then(resumed())
}

func TestR_C8_TheAuthoritysRevocationCountsFromTheEarliestDateThatItNames(t *testing.T) {
	given(t, registered()).When(revocation()).Then(revoked())
	state := given(t, registered(), revoked()).State()
	require.False(t, state.RevokedBefore(at(11)))
	require.True(t, state.RevokedBefore(at(12)))
	given(t, registered(), revoked()).When(revocation()).Then()

	earlier := revocation()
	earlier.Invalidity = at(8)
	route := given(t, registered(), revoked()).When(earlier)
	require.True(t, route.State().RevokedBefore(at(8)))
	given(t, registered(), reported(), suspended(), revoked()).When(resume())
	require.True(t, given(t, registered(), reported(), suspended(), revoked(), resumed()).State().RevokedBefore(at(12)),
		"no word of the owner undoes the authority's")
	require.Equal(t, fault.CertificateRevoked, fault.CodeOf(given(t, registered(), revoked()).State().CheckSigning(owner, at(1))))
}
