package document_test

import (
	"testing"

	"dalel/domain/document"
	"dalel/domain/signature"
	"dalel/internal/fault"

	"github.com/stretchr/testify/require"
)

// undecided are signatures of which nothing but revocation cannot be told.
func undecided() []document.FileSignature {
	s := signatures(signature.Unknown)
	s[0].Verdict.Signers[0].Reasons = []signature.Reason{{Code: signature.RevocationNoEvidence, Detail: "no answer"}}
	return s
}

func attempt() document.Sign {
	c := sign(beta, 3)
	c.Signatures = undecided()
	return c
}

func recheck(status signature.Status, hours int) document.Recheck {
	c := document.Recheck{Sign: sign(beta, hours), Attempt: 1}
	c.Signatures = signatures(status)
	return c
}

func TestR_C4_WhatCannotBeToldNowDoesNotCountAndIsCheckedAgain(t *testing.T) {
	route := given(t, bySender...).When(attempt())
	state := route.State()
	require.Len(t, state.Undecided, 1)
	require.Equal(t, 1, state.Undecided[0].Attempt)
	party, _ := state.Party(beta)
	require.Empty(t, party.Outcome, "it does not count")

	t.Run("valid: it counts from the moment when it came", func(t *testing.T) {
		route := given(t, bySender...).When(attempt()).When(recheck(signature.Valid, 30))
		want := signed(beta, 3)
		want.Attempt = 1
		route.Then(want)
		require.Empty(t, route.State().Undecided)
		route.When(recheck(signature.Valid, 31)).Then()
	})
	t.Run("after the deadline: it came before", func(t *testing.T) {
		want := signed(beta, 3)
		want.Attempt = 1
		given(t, bySender...).When(attempt()).When(recheck(signature.Valid, 60)).Then(want)
	})
	t.Run("invalid: that is recorded, and no further attempt is counted", func(t *testing.T) {
		route := given(t, bySender...).When(attempt()).When(recheck(signature.Invalid, 4))
		state := route.State()
		require.Empty(t, state.Undecided)
		party, _ := state.Party(beta)
		require.Equal(t, 1, party.Attempts)
		require.Empty(t, party.Outcome)
		route.When(recheck(signature.Valid, 5)).Then()
	})
	t.Run("still unknown: nothing happens, for a week", func(t *testing.T) {
		again := recheck(signature.Unknown, 100)
		again.Signatures = undecided()
		route := given(t, bySender...).When(attempt()).When(again).Then()
		again.Now = at(3).Add(document.RecheckFor)
		route.When(again)
		require.Empty(t, route.State().Undecided)
	})
	t.Run("signed anew meanwhile: the first attempt is settled by that", func(t *testing.T) {
		route := given(t, bySender...).When(attempt()).When(sign(beta, 4))
		require.Empty(t, route.State().Undecided)
		route.When(recheck(signature.Valid, 5)).Then()
	})
	t.Run("revoked meanwhile: nothing waits for it", func(t *testing.T) {
		given(t, bySender...).When(attempt()).
			When(document.Revoke{By: by(alpha), Reason: "wrong price", Now: at(4)}).
			When(recheck(signature.Valid, 5)).Then()
	})
	t.Run("suspended meanwhile: it does not count", func(t *testing.T) {
		again := recheck(signature.Valid, 5)
		again.Objection = fault.New(fault.CertificateSuspended, "suspended")
		route := given(t, bySender...).When(attempt()).When(again)
		party, _ := route.State().Party(beta)
		require.Empty(t, party.Outcome)
		require.Empty(t, route.State().Undecided)
	})
}

func TestR_C4_WhatWillNotPassByItselfIsNotCheckedAgain(t *testing.T) {
	c := attempt()
	c.Signatures[0].Verdict.Signers[0].Reasons = append(c.Signatures[0].Verdict.Signers[0].Reasons, signature.Reason{Code: signature.ChainUntrusted})
	require.Empty(t, given(t, bySender...).When(c).State().Undecided)
}

func TestR_C3_TheMomentOfSigningIsThatOfTheTrustedToken(t *testing.T) {
	c := sign(beta, 3)
	moment := at(2)
	signing := verdict(signature.Valid)
	signing.At, signing.Signers[0].At, signing.Signers[0].Certificate = moment, &moment, c.Certificate
	// The certificate has ended since: for the moment of receipt it is invalid.
	c.Signatures[0].Verdict = verdict(signature.Invalid)
	c.Signatures[0].Signing = &signing
	state := given(t, bySender...).When(c).State()
	last := state.Signatures[len(state.Signatures)-1]
	require.True(t, last.TrustedTime)
	require.Equal(t, moment, last.SignedAt)
	require.Equal(t, at(3), last.ReceivedAt)
}
