package founding_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"flag"
	"strings"
	"testing"
	"time"

	"dalel/domain/event"
	"dalel/domain/event/eventtest"
	"dalel/domain/founding"
	"dalel/eventstore"
	"dalel/internal/fault"
	"dalel/internal/testca"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"
)

var update = flag.Bool("update", false, "write the table in doc.go")

const (
	id      = "0b3c9f0e-52d0-4c0a-9c3e-6f3c2f0a7d11"
	another = "7f0d2f4a-8f0b-4a57-a6a6-0a4f6f7f1c22"
	// A verifier's key is its name, the key's short hash and the key itself.
	logKey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
)

// nextKey and thirdKey are those of other logs.
var nextKey, thirdKey = keyOf("next.example/log"), keyOf("third.example/log")

func keyOf(origin string) string {
	seed := sha256.Sum256([]byte(origin))
	key := ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey)
	vkey, err := note.NewEd25519VerifierKey(origin, key)
	if err != nil {
		panic(err)
	}
	return vkey
}

// identifierKey is what the ledgers of these tests hash identifiers with.
var identifierKey = bytes.Repeat([]byte{7}, 32)

var start = time.Date(2026, 6, 1, 9, 0, 0, 0, time.UTC)

func found(t testing.TB, ledger string, certificate []byte) founding.Found {
	t.Helper()
	return founding.Found{Ledger: ledger, Name: "Dalel", LogKey: logKey, Certificate: certificate,
		Identifiers: founding.Identifiers(identifierKey, ledger), Now: start}
}

func founded(c founding.Found) founding.Founded {
	seal, mark := sha256.Sum256(c.Certificate), sha256.Sum256(founding.Mark(c.Ledger))
	return founding.Founded{
		Ledger: c.Ledger, Name: c.Name, Origin: "PeterNeumann", LogKey: c.LogKey, Seal: hex.EncodeToString(seal[:]),
		Certificate: base64.StdEncoding.EncodeToString(c.Certificate), Identifiers: c.Identifiers,
		Content: hex.EncodeToString(mark[:]), Bytes: 50, FoundedAt: c.Now,
	}
}

func given(t testing.TB, history ...event.Event) *eventtest.Scenario[founding.State, founding.Command] {
	return eventtest.Given(t, founding.Decide, founding.Evolve, history...)
}

func TestEveryCommandInEveryStateIsAsDocumented(t *testing.T) {
	one, other, third := certificate(t), certificate(t), certificate(t)
	this, those := found(t, id, one), found(t, another, one)
	whole := recoveryUnder(thirdKey)
	whole.Known, whole.Checkpoint = whole.Events, nil
	matrix := eventtest.Matrix[founding.State, founding.Command]{
		Decide: founding.Decide, Evolve: founding.Evolve, Definitions: founding.Events(),
		Situations: []eventtest.Situation{
			{Name: "nothing founded"},
			{Name: "founded", History: []event.Event{founded(this)}},
			{Name: "another founded", History: []event.Event{founded(those)}},
			{Name: "its seal replaced", History: []event.Event{founded(this), replaced(one, third)}},
			{Name: "recovered", History: []event.Event{founded(this), recovered(recoveryUnder(nextKey))}},
		},
		Cases: []eventtest.Case[founding.Command]{
			{Name: "Found", Command: this, MayBeIdle: true},
			{Name: "Found with another seal", Command: found(t, id, other)},
			{Name: "Replace the seal", Command: founding.ReplaceSeal{Certificate: third, Now: start}, MayBeIdle: true},
			{Name: "Replace it with the first", Command: founding.ReplaceSeal{Certificate: one, Now: start},
				MayBeIdle: true},
			{Name: "Recover", Command: recoveryUnder(nextKey), MayBeIdle: true},
			{Name: "Recover under the first log", Command: recoveryUnder(logKey)},
			{Name: "Recover though nothing is missing", Command: whole},
		},
	}
	eventtest.Document(t, "doc.go", "Decisions", matrix.Run(t), *update)
}

func TestR_M8_WhatIsNoFoundingIsRefused(t *testing.T) {
	for name, change := range map[string]func(*founding.Found){
		"no id":                   func(c *founding.Found) { c.Ledger = "" },
		"an id in upper case":     func(c *founding.Found) { c.Ledger = strings.ToUpper(id) },
		"the id of nothing":       func(c *founding.Found) { c.Ledger = "00000000-0000-0000-0000-000000000000" },
		"no name":                 func(c *founding.Found) { c.Name = "" },
		"a name of two lines":     func(c *founding.Found) { c.Name = "a\nb" },
		"no key of a log":         func(c *founding.Found) { c.LogKey = "dalel.example.kz/log" },
		"a key with another hash": func(c *founding.Found) { c.LogKey = strings.Replace(logKey, "c74f", "c74e", 1) },
		"no certificate":          func(c *founding.Found) { c.Certificate = nil },
	} {
		t.Run(name, func(t *testing.T) {
			command := found(t, id, certificate(t))
			change(&command)
			given(t).When(command).ThenRefused(fault.FoundingInvalid)
		})
	}
}

func TestR_M8_ALedgerIsFoundedOnce(t *testing.T) {
	c := found(t, id, certificate(t))
	given(t).When(c).Then(founded(c)).When(c).Then()
	c.Ledger = another
	given(t, founded(found(t, id, c.Certificate))).When(c).ThenRefused(fault.LedgerFounded)
}

func TestR_M8_AnothersLogKeyAndSealAreNamed(t *testing.T) {
	c := found(t, id, certificate(t))
	state := given(t).When(c).State()
	require.NoError(t, state.CheckSecrets(logKey, c.Certificate, identifierKey))
	require.True(t, fault.Is(state.CheckSecrets(logKey, c.Certificate, []byte("another")), fault.SettingsOther))
	require.True(t, fault.Is(state.CheckSecrets("other"+logKey, c.Certificate, identifierKey), fault.SettingsOther))
	require.True(t, fault.Is(state.CheckSecrets(logKey, certificate(t), identifierKey), fault.SettingsOther))
}

func certificate(t testing.TB) []byte {
	t.Helper()
	root, err := testca.NewRoot(testca.CA{Name: "the operator's seal"})
	require.NoError(t, err)
	return root.Certificate.Raw
}

func replaced(former, seal []byte) founding.SealReplaced {
	was, is := sha256.Sum256(former), sha256.Sum256(seal)
	return founding.SealReplaced{
		Former: hex.EncodeToString(was[:]), Seal: hex.EncodeToString(is[:]), Certificate: base64.StdEncoding.EncodeToString(seal), ReplacedAt: start,
	}
}

func TestTheSealsCertificateIsReplacedAndNeverReturns(t *testing.T) {
	one, two := certificate(t), certificate(t)
	scenario := given(t, founded(found(t, id, one))).When(founding.ReplaceSeal{Certificate: two,
		Now: start}).Then(replaced(one, two))
	require.NoError(t, scenario.State().CheckSecrets(logKey, two, identifierKey))
	require.True(t, fault.Is(scenario.State().CheckSecrets(logKey, one, identifierKey), fault.SettingsOther))
	scenario.When(founding.ReplaceSeal{Certificate: one, Now: start}).ThenRefused(fault.FoundingInvalid)
	given(t).When(founding.ReplaceSeal{Certificate: two, Now: start}).ThenRefused(fault.LedgerNotFounded)
	given(t, founded(found(t, id, one))).When(founding.ReplaceSeal{Certificate: []byte("none"),
		Now: start}).ThenRefused(fault.FoundingInvalid)
}

// recoveryUnder orders a recovery of a ledger that had 100 events and has 60,
// under a log with a key.
func recoveryUnder(key string) founding.Recover {
	return founding.Recover{
		LogKey: key, Checkpoint: &founding.Checkpoint{Size: 98, Root: eventstore.Hash{1}}, Known: 100, Events: 60,
		Last:   event.Reference{Stream: "document-1", Revision: 3, Commitment: eventstore.Hash{2}},
		Ground: "the disk died, and so did the newest backup", By: event.By{Participant: "operator"}, Now: start,
	}
}

// recovered is what follows from a recovery of a ledger with its first log.
func recovered(c founding.Recover) founding.Recovered {
	origin, _, _ := strings.Cut(c.LogKey, "+")
	return founding.Recovered{
		FormerOrigin: "PeterNeumann", FormerKey: logKey, Checkpoint: c.Checkpoint, Known: c.Known, Events: c.Events,
		Last: c.Last, Origin: origin, LogKey: c.LogKey, Log: "2", Ground: c.Ground, By: c.By, RecoveredAt: c.Now,
	}
}

func TestR_M8_ALedgerGoesOnUnderAnotherLogAndStatesWhatIsMissing(t *testing.T) {
	seal := certificate(t)
	c := recoveryUnder(nextKey)
	scenario := given(t, founded(found(t, id, seal))).When(c).Then(recovered(c)).When(c).Then()
	state := scenario.State()
	require.Equal(t, "next.example/log", state.Origin)
	require.Equal(t, "2", state.Log())
	require.EqualValues(t, 40, state.Recoveries[0].Missing())
	require.NoError(t, state.CheckSecrets(nextKey, seal, identifierKey))
	require.True(t, fault.Is(state.CheckSecrets(logKey, seal, identifierKey), fault.SettingsOther), "the former log signs nothing more")

	// It may happen again; no log's name comes back.
	again := recoveryUnder(thirdKey)
	state = scenario.When(again).State()
	require.Equal(t, "3", state.Log())
	require.Equal(t, "next.example/log", state.Recoveries[1].FormerOrigin)
	require.Equal(t, nextKey, state.Recoveries[1].FormerKey)
	for _, key := range []string{logKey, nextKey} {
		scenario.When(recoveryUnder(key)).ThenRefused(fault.RecoveryInvalid)
	}
}

func TestR_M8_WhatIsNoRecoveryIsRefused(t *testing.T) {
	before := founded(found(t, id, certificate(t)))
	for name, refused := range map[string]struct {
		change func(*founding.Recover)
		code   fault.Code
	}{
		"nothing missing":                     {func(c *founding.Recover) { c.Known = c.Events; c.Checkpoint = nil }, fault.LedgerWhole},
		"more than there were":                {func(c *founding.Recover) { c.Events = c.Known + 1 }, fault.LedgerWhole},
		"no ground":                           {func(c *founding.Recover) { c.Ground = " " }, fault.RecoveryInvalid},
		"too long a ground":                   {func(c *founding.Recover) { c.Ground = strings.Repeat("a", 2001) }, fault.RecoveryInvalid},
		"nobody's order":                      {func(c *founding.Recover) { c.By = event.By{} }, fault.RecoveryInvalid},
		"no key":                              {func(c *founding.Recover) { c.LogKey = "next.example/log" }, fault.RecoveryInvalid},
		"nothing there":                       {func(c *founding.Recover) { c.Events = 0 }, fault.RecoveryInvalid},
		"no last event":                       {func(c *founding.Recover) { c.Last = event.Reference{} }, fault.RecoveryInvalid},
		"an empty checkpoint":                 {func(c *founding.Recover) { c.Checkpoint = &founding.Checkpoint{} }, fault.RecoveryInvalid},
		"a checkpoint of more than was known": {func(c *founding.Recover) { c.Checkpoint.Size = c.Known + 1 }, fault.RecoveryInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			command := recoveryUnder(nextKey)
			refused.change(&command)
			given(t, before).When(command).ThenRefused(refused.code)
		})
	}
}
