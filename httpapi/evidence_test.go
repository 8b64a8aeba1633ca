package httpapi_test

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// evidenceOf is the hash of the first piece of evidence that a document names.
func evidenceOf(t testing.TB, a answer) string {
	t.Helper()
	all := evidence(t, a)
	require.NotEmpty(t, all)
	return all[0][1]
}

// evidence has kind and hash of every piece.
func evidence(t testing.TB, a answer) (all [][2]string) {
	t.Helper()
	for _, sig := range a.value()["signatures"].([]any) {
		for _, file := range sig.(map[string]any)["files"].([]any) {
			for _, e := range file.(map[string]any)["evidence"].([]any) {
				piece := e.(map[string]any)
				all = append(all, [2]string{piece["kind"].(string), piece["sha256"].(string)})
			}
		}
	}
	return all
}

func TestR_C3_WhatAVerdictRestsOnIsHandedOutToWhoMayReadTheDocument(t *testing.T) {
	w := newWorld(t)
	document := "/api/v1/documents/" + w.sent()
	w.ok("POST", document+"/signatures", w.party.token, w.signatures(w.party, letter))
	signed := w.get(document, w.sender.token)
	all := evidence(t, signed)
	require.GreaterOrEqual(t, len(all), 2, "the signer's certificate and its issuers'")
	for _, piece := range all {
		for _, token := range []string{w.sender.token, w.party.token, w.auditor} {
			a := w.get(document+"/evidence/"+piece[1], token)
			sum := sha256.Sum256([]byte(a.body))
			require.Equal(t, piece[1], hex.EncodeToString(sum[:]))
			require.Equal(t, `"`+piece[1]+`"`, a.header.Get("ETag"))
			require.Equal(t, map[string]string{"certificate": "application/pkix-cert"}[piece[0]], a.header.Get("Content-Type"))
			require.Contains(t, a.header.Get("Content-Disposition"), "attachment")
		}
		require.Equal(t, 404, w.do(request{method: "GET", path: document + "/evidence/" + piece[1], token: w.stranger.token}).status)
	}
	for _, none := range []string{strings.Repeat("0", 64), "x", "..%2f"} {
		require.Equal(t, "file.unknown", w.do(request{method: "GET", path: document + "/evidence/" + none, token: w.party.token}).code())
	}
	// Hashes of other things of the document are not evidence.
	file := signed.value()["files"].([]any)[0].(map[string]any)["sha256"].(string)
	require.Equal(t, "file.unknown", w.do(request{method: "GET", path: document + "/evidence/" + file, token: w.party.token}).code())
}
