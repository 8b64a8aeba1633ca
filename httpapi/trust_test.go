package httpapi_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dalel/domain/access"
	"dalel/domain/certificate"
	"dalel/domain/event"
	"dalel/internal/testca"
)

func TestR_C2_TrustAnchorsAreShownWithFingerprintsNowAndAtAMoment(t *testing.T) {
	w := newWorld(t)
	started := time.Now()
	w.clock.Store(int64(30 * time.Minute))
	another, err := testca.NewRoot(testca.CA{Name: "Another root"})
	require.NoError(t, err)
	changes, err := w.ledger.AddTrust(t.Context(), operatorAct, [][]byte{another.Certificate.Raw})
	require.NoError(t, err)
	require.Len(t, changes, 1)
	fingerprint := changes[0].Anchor.Fingerprint
	for _, token := range []string{w.operator, w.auditor} {
		now := w.get("/api/v1/trust", token).value()["items"].([]any)
		require.Len(t, now, 2)
		first, second := now[0].(map[string]any), now[1].(map[string]any)
		require.Equal(t, w.anchor(), first["fingerprint"])
		require.Equal(t, "start", first["how"])
		require.Equal(t, "system", first["by"].(map[string]any)["participant"])
		require.Equal(t, "command", second["how"])
		require.Equal(t, "CN=Another root,C=KZ", second["subject"])
		require.Equal(t, false, second["known"])
	}
	then := w.get("/api/v1/trust?at="+started.Add(time.Minute).UTC().Format(time.RFC3339), w.operator).value()["items"].([]any)
	require.Len(t, then, 1)
	require.Equal(t, "request.invalid", w.do(request{method: "GET", path: "/api/v1/trust?at=yesterday", token: w.operator}).code())

	_, err = w.ledger.RemoveTrust(t.Context(), operatorAct, fingerprint)
	require.NoError(t, err)
	page := w.get("/api/v1/trust/history?limit=2", w.operator)
	items := page.value()["items"].([]any)
	require.Len(t, items, 2)
	require.Equal(t, "removed", items[0].(map[string]any)["change"])
	require.Equal(t, fingerprint, items[0].(map[string]any)["anchor"].(map[string]any)["fingerprint"])
	rest := w.get("/api/v1/trust/history?limit=2&after="+page.text("next"), w.operator).value()
	require.Len(t, rest["items"].([]any), 1)
	require.NotContains(t, rest, "next")
	require.Equal(t, "request.cursor-invalid", w.do(request{method: "GET", path: "/api/v1/trust/history?after=x", token: w.operator}).code())
	require.Equal(t, string(another.Certificate.Raw), w.get("/api/v1/trust/"+fingerprint+"/certificate.cer", w.operator).body, "what was trusted can be had")
	require.Equal(t, "trust.unknown", w.do(request{method: "GET", path: "/api/v1/trust/" + w.sender.fingerprint() + "/certificate.cer", token: w.operator}).code())
}

func TestR_C5_WhatEndsSoonIsSaidOfACertificateAndInLists(t *testing.T) {
	w := newWorld(t)
	of := "/api/v1/participants/" + w.sender.id + "/certificates"
	row := func(path string) map[string]any {
		items := w.get(path, w.sender.token).value()["items"].([]any)
		require.Len(t, items, 1)
		return items[0].(map[string]any)
	}
	require.Equal(t, false, row(of)["endsSoon"])
	require.EqualValues(t, 364, row(of)["daysLeft"])
	require.Empty(t, w.get(of+"?ending=true", w.sender.token).value()["items"])
	require.Equal(t, "request.invalid", w.do(request{method: "GET", path: of + "?ending=soon", token: w.sender.token}).code())

	// The tokens of the test end in an hour; these act eleven months later.
	end := w.sender.key.Certificate.NotAfter
	w.clock.Store(int64(time.Until(end.Add(-20*24*time.Hour - time.Hour))))
	sender := w.token(event.By{Participant: w.sender.id}, access.RoleParticipant, time.Hour)
	operator := w.token(operatorAct.By, operatorAct.Role, time.Hour)
	early, err := w.ledger.WarnOfExpiry(t.Context(), w.sender.fingerprint())
	require.NoError(t, err)
	require.False(t, early)
	_, err = w.ledger.WarnOfExpiry(t.Context(), w.sender.fingerprint())
	require.NoError(t, err)
	held, err := w.ledger.Certificate(t.Context(), w.sender.fingerprint())
	require.NoError(t, err)
	one := w.get("/api/v1/certificates/"+w.sender.fingerprint(), sender).value()
	require.Equal(t, true, one["endsSoon"])
	require.EqualValues(t, 20, one["daysLeft"])
	require.NotEmpty(t, one["warnedAt"])
	warned := 0
	for recorded, err := range w.store.ReadStream(t.Context(), certificate.StreamID(w.sender.fingerprint()), 0, 0) {
		require.NoError(t, err)
		if recorded.Type == "CertificateExpiryWarned" {
			warned++
		}
	}
	require.Equal(t, 1, warned)
	w.sender.token = sender
	require.Eventually(t, func() bool { return row(of)["warnedAt"] != nil }, time.Minute, 5*time.Millisecond)
	require.Equal(t, true, row(of + "?ending=true")["endsSoon"])
	all := w.get("/api/v1/certificates?ending=true", operator).value()["items"].([]any)
	require.NotEmpty(t, all)
	require.NotContains(t, w.get("/api/v1/certificates", operator).body, secretName)

	require.NotNil(t, held.State.WarnedAt)
	_, err = w.ledger.AnnulCertificate(t.Context(), operatorAct, w.sender.fingerprint(), "lost")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return row(of)["status"] == "annulled" }, time.Minute, 5*time.Millisecond)
	require.Equal(t, false, row(of)["endsSoon"])
}
