package founding_test

import (
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
	"dalel/internal/fault"
	"dalel/internal/testca"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the table in doc.go")

const (
	id      = "0b3c9f0e-52d0-4c0a-9c3e-6f3c2f0a7d11"
	another = "7f0d2f4a-8f0b-4a57-a6a6-0a4f6f7f1c22"
	// A verifier's key is its name, the key's short hash and the key itself.
	logKey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
)

var start = time.Date(2026, 6, 1, 9, 0, 0, 0, time.UTC)

func found(t testing.TB, ledger string, certificate []byte) founding.Found {
	t.Helper()
	return founding.Found{Ledger: ledger, Name: "Dalel", LogKey: logKey, Certificate: certificate, Now: start}
}

func founded(c founding.Found) founding.Founded {
	seal, mark := sha256.Sum256(c.Certificate), sha256.Sum256(founding.Mark(c.Ledger))
	return founding.Founded{
		Ledger: c.Ledger, Name: c.Name, Origin: "PeterNeumann", LogKey: c.LogKey, Seal: hex.EncodeToString(seal[:]),
		Certificate: base64.StdEncoding.EncodeToString(c.Certificate), Content: hex.EncodeToString(mark[:]), Bytes: 50, FoundedAt: c.Now,
	}
}

func given(t testing.TB, history ...event.Event) *eventtest.Scenario[founding.State, founding.Command] {
	return eventtest.Given(t, founding.Decide, founding.Evolve, history...)
}

func TestEveryCommandInEveryStateIsAsDocumented(t *testing.T) {
	one, other, third := certificate(t), certificate(t), certificate(t)
	this, those := found(t, id, one), found(t, another, one)
	matrix := eventtest.Matrix[founding.State, founding.Command]{
		Decide: founding.Decide, Evolve: founding.Evolve, Definitions: founding.Events(),
		Situations: []eventtest.Situation{
			{Name: "nothing founded"},
			{Name: "founded", History: []event.Event{founded(this)}},
			{Name: "another founded", History: []event.Event{founded(those)}},
			{Name: "its seal replaced", History: []event.Event{founded(this), replaced(one, third)}},
		},
		Cases: []eventtest.Case[founding.Command]{
			{Name: "Found", Command: this, MayBeIdle: true},
			{Name: "Found with another seal", Command: found(t, id, other)},
			{Name: "Replace the seal", Command: founding.ReplaceSeal{Certificate: third, Now: start}, MayBeIdle: true},
			{Name: "Replace it with the first", Command: founding.ReplaceSeal{Certificate: one, Now: start},
				MayBeIdle: true},
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
	require.NoError(t, state.CheckSecrets(logKey, c.Certificate))
	require.True(t, fault.Is(state.CheckSecrets("other"+logKey, c.Certificate), fault.SettingsOther))
	require.True(t, fault.Is(state.CheckSecrets(logKey, certificate(t)), fault.SettingsOther))
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
	require.NoError(t, scenario.State().CheckSecrets(logKey, two))
	require.True(t, fault.Is(scenario.State().CheckSecrets(logKey, one), fault.SettingsOther))
	scenario.When(founding.ReplaceSeal{Certificate: one, Now: start}).ThenRefused(fault.FoundingInvalid)
	given(t).When(founding.ReplaceSeal{Certificate: two, Now: start}).ThenRefused(fault.LedgerNotFounded)
	given(t, founded(found(t, id, one))).When(founding.ReplaceSeal{Certificate: []byte("none"),
		Now: start}).ThenRefused(fault.FoundingInvalid)
}
