package renewal_test

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"
	"pgregory.net/rapid"

	"dalel/domain/renewal"
	"dalel/domain/signature"
	"dalel/internal/fault"
)

const days = 24 * time.Hour

var start = time.Date(2026, 6, 1, 9, 0, 0, 0, time.UTC)

func TestR_M5_AStampIsRenewedAMarginBeforeItsEnd(t *testing.T) {
	for name, test := range map[string]struct {
		until  time.Duration
		aged   renewal.Table
		now    time.Duration
		due    time.Duration
		reason string
	}{
		"half a year before the end of five years":       {until: 1825 * days, due: 1645 * days, reason: "ends at"},
		"a third of the time before the end of a year":   {until: 360 * days, due: 240 * days, reason: "ends at"},
		"a day after a stamp whose certificate ends":     {until: 12 * time.Hour, due: 24 * time.Hour},
		"at once where the time has passed":              {until: 360 * days, now: 300 * days, due: 300 * days},
		"before an algorithm is aged":                    {until: 1825 * days, aged: renewal.Table{{Algorithm: "RSA", Below: 3072, From: start.Add(730 * days)}}, due: 550 * days, reason: "RSA-2048 is aged"},
		"not for keys that are long enough":              {until: 1825 * days, aged: renewal.Table{{Algorithm: "RSA", Below: 2048, From: start.Add(730 * days)}}, due: 1645 * days, reason: "ends at"},
		"a day after a stamp by what has aged already":   {until: 1825 * days, aged: renewal.Table{{Algorithm: "SHA256", From: start.Add(-days)}}, due: days, reason: "SHA256"},
		"by an algorithm where no certificate's end is":  {aged: renewal.Table{{Algorithm: "RSA-2048", From: start.Add(30 * days)}}, due: 20 * days},
		"the nearest end of several is what counts here": {until: 30 * days, aged: renewal.Table{{Algorithm: "RSA", From: start.Add(3000 * days)}}, due: 20 * days},
	} {
		t.Run(name, func(t *testing.T) {
			stamp := renewal.Stamp{Authority: "tsa", Time: start, Algorithms: []renewal.Algorithm{"RSA-2048", "SHA256"}}
			if test.until > 0 {
				stamp.Until = start.Add(test.until)
			}
			due, ok := renewal.NextRenewal([]renewal.Stamp{stamp}, test.aged, start.Add(test.now))
			require.True(t, ok)
			require.Equal(t, start.Add(test.due), due.At)
			require.Contains(t, due.Why, test.reason)
			require.Equal(t, "tsa", due.Authority)
		})
	}
	_, ok := renewal.NextRenewal([]renewal.Stamp{{Time: start, Algorithms: []renewal.Algorithm{"ED25519"}}}, renewal.Published(), start)
	require.False(t, ok, "nothing is known to end")
	_, ok = renewal.NextRenewal(nil, renewal.Published(), start)
	require.False(t, ok)
}

func TestR_M5_WhoRenewsWhenItIsDueIsNeverLate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lasts := time.Duration(rapid.IntRange(3, 4000).Draw(t, "days")) * days
		end := start.Add(lasts)
		now := start
		stamps := 0
		// The authority goes on with its certificate: the renewals must neither
		// pile up nor come after the end.
		for ; now.Before(end); stamps++ {
			due, ok := renewal.NextRenewal([]renewal.Stamp{{Time: now, Until: end}}, nil, now)
			require.True(t, ok)
			require.GreaterOrEqual(t, due.At.Sub(now), 24*time.Hour)
			if end.Sub(now) > 2*days {
				require.True(t, due.At.Before(end))
			}
			now = due.At
		}
		require.Less(t, stamps, 200)
	})
}

func TestR_M5_TheTableOfAgedAlgorithmsIsDataThatAnOperatorAddsTo(t *testing.T) {
	published := renewal.Published()
	for _, row := range published {
		require.NotEmpty(t, row.Why, "%s", row.Algorithm)
	}
	aged := func(table renewal.Table, algorithm renewal.Algorithm, year int) bool {
		_, _, is := table.At([]renewal.Algorithm{algorithm}, time.Date(year, 6, 1, 0, 0, 0, 0, time.UTC))
		return is
	}
	require.True(t, aged(published, "SHA1", 2026))
	require.True(t, aged(published, "RSA-1024", 2026))
	require.False(t, aged(published, "RSA-2048", 2026))
	require.True(t, aged(published, "RSA-2048", 2031))
	require.False(t, aged(published, "RSA-3072", 2099))
	require.False(t, aged(published, "ECDSA-256", 2099))
	require.False(t, aged(published, "STREEBOG512", 2099))
	further, err := renewal.ParseTable([]byte(`[{"algorithm": "ecdsa", "from": "2035-01-01", "why": "quantum"}, {"algorithm": "1.2.398.3.10.1.1.2.2", "from": "2040-01-01T00:00:00Z"}]`))
	require.NoError(t, err)
	both := published.With(further...)
	require.True(t, aged(both, "ECDSA-521", 2035))
	require.True(t, aged(both, "1.2.398.3.10.1.1.2.2", 2040))
	require.True(t, aged(both, "RSA-2048", 2031))
	for _, wrong := range []string{"", "{}", `[{"from": "2035-01-01"}]`, `[{"algorithm": "RSA"}]`, `[{"algorithm": "RSA", "from": "soon"}]`,
		`[{"algorithm": "RSA", "from": "2035-01-01", "below": -1}]`, `[{"algorithm": "RSA", "from": "2035-01-01", "bits": 1}]`} {
		_, err := renewal.ParseTable([]byte(wrong))
		require.Equal(t, fault.ConfigInvalid, fault.CodeOf(err), wrong)
	}
}

func TestR_M5_WhatIsNoRecordIsSaidToBeNone(t *testing.T) {
	key := logKey(t)
	for name, text := range map[string]string{
		"nothing":        "",
		"another file":   "<html>",
		"no links":       `{"format":1,"links":[],"origin":"a","pieces":[],"start":{"consistency":[],"root":"` + strings.Repeat("A", 43) + `=","size":1}}` + "\n",
		"a later format": `{"format":2,"links":[],"origin":"a","pieces":[],"start":{"consistency":[],"root":"` + strings.Repeat("A", 43) + `=","size":1}}` + "\n",
		"more beside":    `{"format":1,"more":1}`,
	} {
		_, err := renewal.Verify(context.Background(), []byte(text), renewal.Options{Log: key, Policy: &signature.Policy{}, At: start})
		require.Equal(t, renewal.RecordMalformed, fault.CodeOf(err), name)
	}
	_, err := renewal.Verify(context.Background(), nil, renewal.Options{})
	require.Equal(t, fault.Internal, fault.CodeOf(err))
}

func logKey(t testing.TB) note.Verifier {
	_, public, err := note.GenerateKey(rand.Reader, "dalel.example.kz/log")
	require.NoError(t, err)
	key, err := note.NewVerifier(public)
	require.NoError(t, err)
	return key
}

// FuzzVerify: no bytes make a verifier panic, and none that nobody has signed
// are good.
func FuzzVerify(f *testing.F) {
	made := renewal.Record{Format: renewal.Format, Origin: "dalel.example.kz/log", Start: renewal.Start{Size: 1}, Links: []renewal.Link{
		{Note: "dalel.example.kz/log\n1\nAAAA\n\n— dalel.example.kz/log AAAA\n", Token: strings.Repeat("0", 64), Stamped: &renewal.Covered{Under: 2}, Evidence: []renewal.Covered{{Under: 2}, {Under: 7}, {Under: -1}}},
		{Note: "x", Loose: []string{"a"}},
	}, Pieces: [][]byte{{0x30, 0}, []byte("x")}}
	text, err := made.Encode()
	require.NoError(f, err)
	f.Add(text)
	f.Add([]byte(`{"format":1,"links":[{}],"origin":"","pieces":[],"start":{}}`))
	key := logKey(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		report, err := renewal.Verify(context.Background(), text, renewal.Options{Log: key, Policy: &signature.Policy{}, At: start})
		if err != nil {
			require.Equal(t, renewal.RecordMalformed, fault.CodeOf(err))
			return
		}
		require.NotEqual(t, renewal.Good, report.Status)
	})
}
