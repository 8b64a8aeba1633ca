package document_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"dalel/domain/certificate"
	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/internal/fault"
)

// keyState folds events of the certificate of beta's key.
func keyState(events ...event.Event) certificate.State {
	state := certificate.Evolve(certificate.State{}, certificate.Registered{Certificate: betaKey, Participant: beta, Purpose: certificate.Signing})
	for _, e := range events {
		state = certificate.Evolve(state, e)
	}
	return state
}

func noticeOf(id string, from int) certificate.KeyCompromiseReported {
	return certificate.KeyCompromiseReported{Certificate: betaKey, Participant: beta, Notice: id, ReceivedAt: at(6), CompromisedFrom: at(from)}
}

func withdrawal() certificate.Resumed {
	return certificate.Resumed{Certificate: betaKey, Participant: beta, ResumedAt: at(9)}
}

// reported is the state of beta's certificate with an open notice.
func reported(id string, from int) certificate.State { return keyState(noticeOf(id, from)) }

func decideOn(ruling document.Ruling, state certificate.State) document.DecideSignature {
	return document.DecideSignature{By: by(operator), Signature: 2, Ruling: ruling, Ground: "it was stolen", State: state, Now: at(8)}
}

// Beta's is the second signature of these histories, made at hour 3.
const byBetas = 1

func standing(t testing.TB, history []event.Event, state certificate.State) document.Standing {
	return given(t, history...).State().Standing(byBetas, state)
}

func TestR_C8_ANoticePutsInDoubtWhatWasSignedSinceItsMomentAndTakesNothing(t *testing.T) {
	require.Equal(t, document.ForceDoubt, standing(t, complete, reported("n1", 3)).Force)
	require.Equal(t, document.ForceDoubt, standing(t, complete, reported("n1", 1)).Force)
	before := standing(t, complete, reported("n1", 4))
	require.Equal(t, document.ForceStands, before.Force)
	require.True(t, before.Before, "it is said that it was made before the moment")
	require.False(t, before.Proved, "only a token proves it")
	require.Equal(t, document.ForceStands, standing(t, complete, keyState(noticeOf("n1", 1), withdrawal())).Force, "withdrawal lifts the doubt")
	require.Equal(t, document.Standing{Force: document.ForceStands}, standing(t, complete, keyState()))
}

func TestR_C8_NobodyUndoesAContractByDatingBackHisOwnNotice(t *testing.T) {
	route := given(t, complete...).When(document.NoteCertificate{State: reported("n1", 0), Now: at(7)})
	require.Equal(t, document.Complete, route.State().Status)
	party, _ := route.State().Party(beta)
	require.Equal(t, document.OutcomeSigned, party.Outcome)
	require.Equal(t, document.ForceDoubt, route.State().Standing(byBetas, reported("n1", 0)).Force)
}

func TestR_C8_ADoubtBlocksNobodysActs(t *testing.T) {
	for name, history := range map[string][]event.Event{"told": doubted, "not told": byBeta} {
		t.Run(name, func(t *testing.T) {
			require.True(t, given(t, history...).State().IsTurn(gamma))
			route := given(t, history...).When(document.Approve{By: by(gamma), Number: number, Now: at(9)})
			require.Equal(t, document.Complete, route.State().Status)
			given(t, history...).When(document.Reject{By: by(gamma), Reason: "no", Now: at(9)}).
				Then(document.Rejected{Document: doc, Party: gamma, By: by(gamma), Reason: "no", RejectedAt: at(9)})
		})
	}
}

func TestR_C8_TheAuthoritysRevocationTakesForceFromItsDateOn(t *testing.T) {
	revoked := func(hour int) certificate.Revoked {
		return certificate.Revoked{Certificate: betaKey, RevokedAt: at(hour), Reason: "keyCompromise", RecordedAt: at(10)}
	}
	lost := standing(t, complete, keyState(noticeOf("n1", 1), revoked(3)))
	require.Equal(t, document.ForceLost, lost.Force)
	require.Equal(t, document.SourceAuthority, lost.Source)
	require.Equal(t, at(10), lost.Since)
	later := standing(t, complete, keyState(revoked(4)))
	require.Equal(t, document.ForceStands, later.Force)
	require.True(t, later.Before)
	require.Equal(t, document.ForceLost, standing(t, complete, keyState(noticeOf("n1", 1), withdrawal(), revoked(3))).Force, "no withdrawal undoes it")
}

func TestR_C8_ASignatureWithATrustedTimeBeforeTheMomentStands(t *testing.T) {
	stamped := signed(beta, 5)
	stamped.SignedAt, stamped.TrustedTime = at(2), true
	history := append(bySender[:6:6], stamped)
	stands := standing(t, history, reported("n1", 3))
	require.Equal(t, document.ForceStands, stands.Force)
	require.True(t, stands.Before && stands.Proved)
	require.Equal(t, document.ForceDoubt, standing(t, history, reported("n1", 2)).Force)
}

func TestR_C8_TheOperatorDecidesWithAGroundAndOnlyWhatIsInDoubt(t *testing.T) {
	decided := document.SignatureDecided{Document: doc, By: by(operator), Signature: 2, Party: beta, Certificate: betaKey,
		Notices: []string{"n1"}, Ruling: document.RulingLost, Ground: "it was stolen", DecidedAt: at(8)}
	lost := given(t, complete...).When(decideOn(document.RulingLost, reported("n1", 3)))
	lost.Then(decided)
	found := lost.State().Standing(byBetas, reported("n1", 3))
	require.Equal(t, document.ForceLost, found.Force)
	require.Equal(t, document.SourceOperator, found.Source)
	require.Equal(t, "it was stolen", found.Ground)
	require.Equal(t, document.ForceLost, lost.State().Standing(byBetas, keyState(noticeOf("n1", 3), withdrawal())).Force, "a decision outlasts the notice")
	lost.When(decideOn(document.RulingStands, reported("n1", 3))).ThenRefused(fault.SignatureNotDisputed)

	given(t, complete...).When(decideOn(document.RulingLost, keyState())).ThenRefused(fault.SignatureNotDisputed)
	given(t, complete...).When(decideOn(document.RulingLost, reported("n1", 4))).ThenRefused(fault.SignatureNotDisputed)
	third := decideOn(document.RulingLost, reported("n1", 3))
	third.Signature = 3
	given(t, complete...).When(third).ThenRefused(fault.SignatureUnknownNumber)
}

func TestR_C8_ADecisionThatItStandsAnswersTheNoticesUntilThen(t *testing.T) {
	first, both := keyState(noticeOf("n1", 3)), keyState(noticeOf("n1", 3), noticeOf("n2", 1))
	route := given(t, complete...).When(decideOn(document.RulingStands, first))
	require.Equal(t, document.ForceStands, route.State().Standing(byBetas, first).Force)
	again := route.State().Standing(byBetas, both)
	require.Equal(t, document.ForceDoubt, again.Force, "a later notice is another claim")
	require.Equal(t, []string{"n2"}, again.Notices)
	route.When(decideOn(document.RulingStands, both))
	require.Equal(t, document.ForceStands, route.State().Standing(byBetas, both).Force, "and the first is still answered")
}

func TestR_C8_WhoseSignatureLostItsForceInsideTheRouteSignsAgainWithAnotherKey(t *testing.T) {
	route := given(t, lostInside...)
	require.True(t, route.State().IsTurn(beta))
	another := sign(beta, 8)
	another.Certificate = "beta-new-certificate"
	route.When(another)
	require.True(t, route.State().IsTurn(gamma))
	require.True(t, route.State().Replaced(byBetas))
	// What is said against the old key does not undo the signature by the new.
	gone := keyState(noticeOf("n1", 2), certificate.Revoked{Certificate: betaKey, RevokedAt: at(2), RecordedAt: at(9)})
	route.When(document.NoteCertificate{State: gone, Now: at(9)}).Then()
	require.True(t, route.State().IsTurn(gamma))
	require.Equal(t, document.ForceStands, route.State().Weakest(route.State().Standings(map[string]certificate.State{betaKey: gone})))
}

func TestR_C8_MarksTellThePartiesOnceAndMayComeLate(t *testing.T) {
	note := func(state certificate.State) document.NoteCertificate {
		return document.NoteCertificate{State: state, Now: at(9)}
	}
	told := document.SignaturesDoubted{Document: doc, Notice: "n1", Certificate: betaKey, CompromisedFrom: at(3), Affected: []string{beta}, MarkedAt: at(9)}
	route := given(t, complete...).When(note(reported("n1", 3)))
	route.Then(told)
	route.When(note(reported("n1", 3))).Then()
	route.When(note(keyState(noticeOf("n1", 3), withdrawal()))).Then(document.DoubtLifted{
		Document: doc, Notice: "n1", Certificate: betaKey, Parties: []string{beta}, WithdrawnAt: at(9), LiftedAt: at(9),
	})
	route.When(note(keyState(noticeOf("n1", 3), withdrawal()))).Then()
	given(t, complete...).When(note(keyState(noticeOf("n1", 3), withdrawal()))).Then()

	revoked := certificate.Revoked{Certificate: betaKey, RevokedAt: at(2), RecordedAt: at(9)}
	given(t, complete...).When(note(keyState(revoked))).Then(document.SignaturesRevoked{
		Document: doc, Certificate: betaKey, From: at(2), Parties: []string{beta}, MarkedAt: at(9),
	})
}

func TestR_C8_NoMarkChangesAVerdict(t *testing.T) {
	marks := map[string]event.Event{
		"a doubt that nobody raised": document.SignaturesDoubted{Document: doc, Notice: "n9", Certificate: betaKey, CompromisedFrom: at(1), Affected: []string{beta}, MarkedAt: at(9)},
		"a doubt lifted by nobody":   document.DoubtLifted{Document: doc, Notice: "n1", Certificate: betaKey, Parties: []string{beta}, LiftedAt: at(9)},
		"a revocation by nobody":     document.SignaturesRevoked{Document: doc, Certificate: betaKey, From: at(1), Parties: []string{beta}, MarkedAt: at(9)},
	}
	for name, mark := range marks {
		t.Run(name, func(t *testing.T) {
			marked := append(complete[:10:10], mark)
			for _, state := range []certificate.State{keyState(), reported("n1", 3)} {
				require.Equal(t, standing(t, complete, state), standing(t, marked, state))
			}
		})
	}
}

// TestR_C8_WhateverComesInWhateverOrderTheRulesHold gives random notices,
// withdrawals, revocations and decisions in a random order.
func TestR_C8_WhateverComesInWhateverOrderTheRulesHold(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		key, route := keyState(), given(t, complete...)
		var revokedBefore, decidedLost bool
		open := map[string]bool{} // covering notices that nobody answered
		for i := range rapid.IntRange(0, 12).Draw(r, "steps") {
			id := "n" + string(rune('a'+i))
			switch rapid.IntRange(0, 4).Draw(r, "what") {
			case 0:
				from := rapid.IntRange(0, 6).Draw(r, "from")
				key = certificate.Evolve(key, noticeOf(id, from))
				if from <= 3 {
					open[id] = true
				}
			case 1:
				key = certificate.Evolve(key, withdrawal())
				clear(open)
			case 2:
				hour := rapid.IntRange(0, 6).Draw(r, "revoked")
				key = certificate.Evolve(key, certificate.Revoked{Certificate: betaKey, RevokedAt: at(hour), RecordedAt: at(10)})
				revokedBefore = revokedBefore || hour <= 3
			case 3:
				ruling := rapid.SampledFrom([]document.Ruling{document.RulingLost, document.RulingStands}).Draw(r, "ruling")
				_, err := document.Decide(route.State(), decideOn(ruling, key))
				require.Equal(r, len(open) > 0 && !revokedBefore && !decidedLost, err == nil)
				if err == nil {
					route.When(decideOn(ruling, key))
					decidedLost = ruling == document.RulingLost
					clear(open)
				}
			case 4:
				if happened, err := document.Decide(route.State(), document.NoteCertificate{State: key, Now: at(20)}); err == nil && len(happened) > 0 {
					route.When(document.NoteCertificate{State: key, Now: at(20)})
				}
			}
			want := document.ForceStands
			switch {
			case revokedBefore, decidedLost:
				want = document.ForceLost
			case len(open) > 0:
				want = document.ForceDoubt
			}
			require.Equal(r, want, route.State().Standing(byBetas, key).Force)
			require.Equal(r, document.Complete, route.State().Status)
		}
	})
}

func TestTheHeadlineIsTheFirstThatApplies(t *testing.T) {
	of := func(history []event.Event, viewer string, force document.Force) document.Headline {
		return given(t, history...).State().Situation(force, viewer).Headline()
	}
	refused := append(created[:1:1], document.FileRefused{Document: doc, Sender: alpha, AttemptedAt: at(0).Add(time.Minute)})
	stands, doubt, lost := document.ForceStands, document.ForceDoubt, document.ForceLost
	for _, c := range []struct {
		history []event.Event
		viewer  string
		force   document.Force
		want    document.Headline
	}{
		{created, alpha, stands, document.HeadlineDraft},
		{refused, alpha, stands, document.HeadlineFileRefused},
		{sent, alpha, stands, document.HeadlineSign},
		{sent, beta, stands, document.HeadlineSent},
		{bySender, beta, stands, document.HeadlineSign},
		{bySender, alpha, stands, document.HeadlineWaiting},
		{bySender, delta, stands, document.HeadlineRead},
		{bySender, "", stands, document.HeadlineWaiting},
		{byBeta, gamma, stands, document.HeadlineApprove},
		{byBeta, gamma, doubt, document.HeadlineDoubt},
		{byBeta, gamma, lost, document.HeadlineLost},
		{complete, alpha, stands, document.HeadlineSigned},
		{complete, "", doubt, document.HeadlineDoubt},
		{complete, "", lost, document.HeadlineLost},
		{proposed, alpha, stands, document.HeadlineRevocationProposed},
		{proposed, alpha, doubt, document.HeadlineDoubt},
		{rejected, alpha, doubt, document.HeadlineRejected},
		{rejected, alpha, lost, document.HeadlineLost},
		{revoked, alpha, lost, document.HeadlineRevoked},
		{expired, alpha, stands, document.HeadlineExpired},
		{destroyed, alpha, lost, document.HeadlineDestroyed},
	} {
		require.Equal(t, c.want, of(c.history, c.viewer, c.force), "%s for %q", c.want, c.viewer)
	}
	require.Len(t, document.Headlines(), 16)
}
