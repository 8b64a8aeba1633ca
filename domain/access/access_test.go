package access_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"flag"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"dalel/domain/access"
	"dalel/domain/event"
	"dalel/domain/event/eventtest"
	"dalel/internal/fault"
)

var update = flag.Bool("update", false, "write the table in doc.go anew")

const (
	hash   = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	holder = "22222222-2222-4222-8222-222222222222"
	worker = "33333333-3333-4333-8333-333333333333"
)

var start = time.Date(2026, 6, 1, 9, 0, 0, 0, time.UTC)

func given(t testing.TB, history ...event.Event) *eventtest.Scenario[access.State, access.Command] {
	return eventtest.Given(t, access.Decide, access.Evolve, history...)
}

func issue() access.Issue {
	return access.Issue{
		Token: hash, By: event.By{Participant: holder, Person: worker}, Role: access.RoleParticipant,
		Label: "bookkeeping", TTL: time.Hour, Now: start,
	}
}

func issued() access.TokenIssued {
	return access.TokenIssued{
		Token: hash, By: event.By{Participant: holder, Person: worker}, Role: access.RoleParticipant,
		Label: "bookkeeping", IssuedAt: start, ExpiresAt: start.Add(time.Hour),
	}
}

func revoked() access.TokenRevoked {
	return access.TokenRevoked{Token: hash, RevokedAt: start.Add(time.Minute), Reason: "lost"}
}

func TestEveryCommandInEveryStateIsAsDocumented(t *testing.T) {
	matrix := eventtest.Matrix[access.State, access.Command]{
		Decide: access.Decide, Evolve: access.Evolve, Definitions: access.Events(),
		Situations: []eventtest.Situation{
			{Name: "unknown"},
			{Name: "issued", History: []event.Event{issued()}},
			{Name: "revoked", History: []event.Event{issued(), revoked()}},
		},
		Cases: []eventtest.Case[access.Command]{
			{Name: "Issue", Command: issue()},
			{Name: "Revoke", Command: access.Revoke{Reason: "lost", Now: start.Add(time.Minute)}},
			{Name: "Revoke, after it expired", Command: access.Revoke{Now: start.Add(2 * time.Hour)}},
		},
	}
	eventtest.Document(t, "doc.go", "Decisions", matrix.Run(t), *update)
}

func TestR_O4_ATokenOpensUntilItsTime(t *testing.T) {
	state := given(t).When(issue()).Then(issued()).State()
	require.NoError(t, state.Check(start))
	require.NoError(t, state.Check(start.Add(time.Hour-1)))
	require.Equal(t, fault.TokenExpired, fault.CodeOf(state.Check(start.Add(time.Hour))))
	require.NoError(t, state.Check(start.Add(-time.Second)), "the clocks of two nodes differ")
	require.Equal(t, fault.TokenInvalid, fault.CodeOf(access.State{}.Check(start)))
}

func TestR_O4_ARevokedTokenOpensNothingWhateverTheClockSays(t *testing.T) {
	state := given(t, issued()).
		When(access.Revoke{Reason: "lost", Now: start.Add(time.Minute)}).Then(revoked()).State()
	for _, now := range []time.Time{start.Add(-time.Hour), start, start.Add(time.Minute), start.Add(48 * time.Hour)} {
		require.Equal(t, fault.TokenRevoked, fault.CodeOf(state.Check(now)))
	}
}

func TestR_O4_WhatNoTokenCanBeIsRefused(t *testing.T) {
	for name, change := range map[string]func(*access.Issue){
		"no hash":               func(c *access.Issue) { c.Token = "" },
		"the token for a hash":  func(c *access.Issue) { c.Token, _, _ = access.NewToken(rand.Reader, key) },
		"capitals":              func(c *access.Issue) { c.Token = strings.ToUpper(hash) },
		"no participant":        func(c *access.Issue) { c.By.Participant = "" },
		"a person of two lines": func(c *access.Issue) { c.By.Person = "a\nb" },
		"no role":               func(c *access.Issue) { c.Role = "" },
		"a role of its own":     func(c *access.Issue) { c.Role = "root" },
		"a label not composed":  func(c *access.Issue) { c.Label = "и\u0306" },
		"no time to live":       func(c *access.Issue) { c.TTL = 0 },
		"less than a minute":    func(c *access.Issue) { c.TTL = access.MinTTL - 1 },
		"more than 366 days":    func(c *access.Issue) { c.TTL = access.MaxTTL + 1 },
	} {
		t.Run(name, func(t *testing.T) {
			command := issue()
			change(&command)
			given(t).When(command).ThenRefused(fault.RequestInvalid)
		})
	}
	labelled := issue()
	labelled.Label = "a\nb"
	given(t).When(labelled).ThenRefused(fault.TextCharacter)
	command := issue()
	command.Now = time.Time{}
	given(t).When(command).ThenRefused(fault.Internal)
	for _, ttl := range []time.Duration{access.MinTTL, access.MaxTTL} {
		command := issue()
		command.TTL = ttl
		require.True(t, given(t).When(command).State().ExpiresAt.Equal(start.Add(ttl)))
	}
}

func TestANewTokenIsFoundAgainByItsHash(t *testing.T) {
	seen := map[string]bool{}
	for range 200 {
		token, hash, err := access.NewToken(rand.Reader, key)
		require.NoError(t, err)
		require.Regexp(t, regexp.MustCompile(`^dalel_[A-Za-z0-9_-]{43}$`), token)
		again, err := access.HashToken(token, key)
		require.NoError(t, err)
		require.Equal(t, hash, again)
		require.NoError(t, access.StreamID(hash).Check())
		require.NotContains(t, seen, token)
		seen[token] = true
	}
	_, _, err := access.NewToken(iotest.ErrReader(errors.New("no entropy")), key)
	require.Equal(t, fault.Internal, fault.CodeOf(err))
	_, _, err = access.NewToken(strings.NewReader("23 bytes are too few yet"[:23]), key)
	require.Equal(t, fault.Internal, fault.CodeOf(err))
}

func TestATokenHasOneSpelling(t *testing.T) {
	token, _, err := access.NewToken(bytes.NewReader(make([]byte, 24)), key)
	require.NoError(t, err)
	require.Equal(t, "dalel_"+strings.Repeat("A", 32), token[:38])
	last := token[len(token)-1]
	for _, other := range []string{
		"", "dalel_", token[:len(token)-1], token + "=", token + "A", " " + token, strings.ToUpper(token),
		"other_" + strings.Repeat("A", 43),
		token[:48] + string(last+1), // bits beyond the 32nd byte
		token[:48] + "\n",
		token[:48] + "+",
	} {
		_, err := access.HashToken(other, key)
		require.Equal(t, fault.TokenInvalid, fault.CodeOf(err), "%q", other)
		if other != "" {
			require.NotContains(t, err.Error(), other)
		}
	}
}

// key is the ledger's.
var key = []byte("a key that the nodes of a ledger share")

func TestR_O4_WhatWasNotIssuedHereIsToldWithoutAQuestion(t *testing.T) {
	token, hash, err := access.NewToken(rand.Reader, key)
	require.NoError(t, err)
	found, err := access.HashToken(token, key)
	require.NoError(t, err)
	require.Equal(t, hash, found)
	_, err = access.HashToken(token, []byte("another ledger's key"))
	require.Equal(t, fault.TokenInvalid, fault.CodeOf(err))
	for i := len("dalel_"); i < len(token); i++ {
		other := []byte(token)
		if other[i] = 'A'; token[i] == 'A' {
			other[i] = 'Q'
		}
		_, err := access.HashToken(string(other), key)
		require.Equal(t, fault.TokenInvalid, fault.CodeOf(err), "character %d is another", i)
	}
}

func FuzzHashToken(f *testing.F) {
	f.Add("dalel_" + strings.Repeat("A", 43))
	f.Add("dalel_")
	f.Add("")
	form := regexp.MustCompile(`^dalel_[A-Za-z0-9_-]{43}$`)
	f.Fuzz(func(t *testing.T, token string) {
		hash, err := access.HashToken(token, key)
		if err == nil {
			require.True(t, form.MatchString(token) && !strings.HasSuffix(token, "\n"))
			require.Len(t, hash, 64)
			return
		}
		require.Equal(t, fault.TokenInvalid, fault.CodeOf(err))
		require.Empty(t, hash)
	})
}

func TestWhateverHappensTheRulesHold(t *testing.T) {
	codec, err := event.NewCodec(access.Events())
	require.NoError(t, err)
	rapid.Check(t, func(t *rapid.T) {
		var state, replayed access.State
		for step := range rapid.IntRange(0, 10).Draw(t, "length") {
			var command access.Command = access.Revoke{Now: start.Add(time.Duration(step) * time.Minute)}
			if rapid.Bool().Draw(t, "issue") {
				again := issue()
				again.TTL = time.Duration(rapid.Int64Range(0, int64(2*access.MaxTTL)).Draw(t, "ttl"))
				command = again
			}
			before := state
			events, err := access.Decide(state, command)
			require.Equal(t, err != nil, len(events) == 0)
			for _, e := range events {
				state = access.Evolve(state, e)
				replayed = access.Evolve(replayed, eventtest.Recorded(t, codec, e))
			}
			require.Equal(t, state, replayed, "the state is that of the recorded events")
			if before.RevokedAt != nil {
				require.Equal(t, before, state, "nothing comes after a revocation")
			}
			if before.Exists() {
				require.Equal(t, before.ExpiresAt, state.ExpiresAt, "a token is never renewed")
			}
			if state.Exists() {
				require.LessOrEqual(t, state.ExpiresAt.Sub(state.IssuedAt), access.MaxTTL)
			}
			require.Error(t, state.Check(start.Add(access.MaxTTL+time.Second)))
		}
	})
}
