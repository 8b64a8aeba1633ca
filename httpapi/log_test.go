package httpapi_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"dalel/httpapi"
	"dalel/internal/translog"
)

// open asks without a token.
func (w *world) open(path string) answer {
	w.t.Helper()
	return w.do(request{method: "GET", path: path})
}

func TestR_M4_AnybodyReadsTheLogAndChecksIt(t *testing.T) {
	w := newWorld(t)
	document := w.sent()
	require.NoError(t, w.tlog.Publish(t.Context()))

	key := w.open("/log/log.vkey")
	require.Equal(t, 200, key.status)
	verifier, err := note.NewVerifier(strings.TrimSpace(key.body))
	require.NoError(t, err)
	served := w.open("/log/checkpoint")
	require.Equal(t, "text/plain; charset=utf-8", served.header.Get("Content-Type"))
	require.Equal(t, "no-cache", served.header.Get("Cache-Control"))
	require.Equal(t, "*", served.header.Get("Access-Control-Allow-Origin"))
	c, _, err := translog.ParseCheckpoint([]byte(served.body), "ledger.example/log", verifier)
	require.NoError(t, err)
	require.Less(t, c.Size, uint64(256), "one bundle has it all")

	bundle := w.open(fmt.Sprintf("/log/tile/entries/000.p/%d", c.Size))
	require.Equal(t, 200, bundle.status)
	require.Equal(t, "application/octet-stream", bundle.header.Get("Content-Type"))
	require.Equal(t, "public, max-age=31536000, immutable", bundle.header.Get("Cache-Control"))
	leaves, err := translog.ParseBundle([]byte(bundle.body), int(c.Size))
	require.NoError(t, err)
	var tree translog.Frontier
	for _, leaf := range leaves {
		tree.Append(leaf)
	}
	require.Equal(t, c.Root, tree.Root())
	hashes := w.open(fmt.Sprintf("/log/tile/0/000.p/%d", c.Size))
	require.Equal(t, 200, hashes.status)
	require.Len(t, hashes.body, int(c.Size)*tlog.HashSize)

	// It says nothing of what happened.
	for _, body := range []string{bundle.body, hashes.body, served.body} {
		for _, secret := range []string{document, w.sender.id, "document-", "DocumentSent", secretName} {
			require.NotContains(t, body, secret)
		}
	}
}

func TestR_M4_WhatTheLogDoesNotHaveIsNotThere(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{
		"/log/tile/0/001", "/log/tile/0/000", "/log/tile/entries/000.p/1", "/log/tile/", "/log/tile/0", "/log/tile/64/000", "/log/tile/entries/../../checkpoint",
		"/log/tile/checkpoint", "/log/tile/%2e%2e/checkpoint", "/log/tile/0/000.p/256", "/log/tile/0/x001/000/", "/log/tile/" + strings.Repeat("x001/", 200) + "000", "/log/tile/0/000%00",
	} {
		a := w.open(path)
		require.Equal(t, 404, a.status, "%s: %s", path, a.body)
	}
	without := newWorld(t, func(config *httpapi.Config) { config.Transparency = nil })
	for _, path := range []string{"/log/checkpoint", "/log/log.vkey", "/log/tile/0/000"} {
		require.Equal(t, "log.absent", without.open(path).code())
	}
}

func TestR_M4_TheOperatorSeesHowTheLogIs(t *testing.T) {
	w := newWorld(t)
	status := w.get("/api/v1/log", w.operator)
	require.Equal(t, "ledger.example/log", status.text("origin"))
	require.Equal(t, w.logKey, status.text("key"))
	require.Equal(t, "idle", status.text("phase"))
	require.Equal(t, float64(w.tlog.Newest().Size), status.value()["published"])
	require.Equal(t, 403, w.do(request{method: "GET", path: "/api/v1/log", token: w.sender.token}).status)
}

func TestR_M5_WhoHasAnOldCheckpointAsksHowItsTimeStampWasRenewed(t *testing.T) {
	w := newWorld(t)
	w.sent()
	require.NoError(t, w.tlog.Publish(t.Context()))
	ask := func(token, checkpoint string) answer {
		return w.do(request{method: "GET", path: "/api/v1/log/renewals?checkpoint=" + url.QueryEscape(checkpoint), token: token})
	}
	checkpoint := w.open("/log/checkpoint").body
	// Nobody has stamped this one: that there is nothing to show is an answer of
	// its own. `dalel serve` over a ledger with stamps is tried with the command.
	for _, token := range []string{w.auditor, w.operator, w.stranger.token} {
		none := ask(token, checkpoint)
		require.Equal(t, 404, none.status, none.body)
		require.Equal(t, "renewal.not-stamped", none.code())
	}
	require.Equal(t, "token.missing", ask("", checkpoint).code())
	for name, text := range map[string]string{
		"nothing":   "",
		"no note":   "ledger.example/log\n5\n",
		"another's": strings.Replace(checkpoint, "ledger.example/log", "another.example/log", 1),
		"changed":   strings.Replace(checkpoint, "\n\n", "x\n\n", 1),
		"large":     strings.Repeat("x", 8<<10),
	} {
		require.Equal(t, "log.checkpoint-invalid", ask(w.auditor, text).code(), name)
	}

	without := newWorld(t, func(config *httpapi.Config) { config.Transparency = nil })
	none := without.do(request{method: "GET", path: "/api/v1/log/renewals", token: without.auditor})
	require.Equal(t, "log.absent", none.code())
}
