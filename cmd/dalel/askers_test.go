package main

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"dalel/internal/cosignature"
)

func TestSettingsOfWitnessesAndStampsThatCannotBeAreRefused(t *testing.T) {
	inTheWholeRun(t)
	key, err := cosignature.NewKey("witness.example.kz/w1", zeros{})
	require.NoError(t, err)
	dir := played(t)
	vkey, err := json.Marshal(key.VKey())
	require.NoError(t, err)
	for name, test := range map[string]struct{ settings, want string }{
		"a witness without a key":    {`"log": {"witnesses": [{"url": "https://w.example"}]}`, "key-invalid"},
		"a witness without an URL":   {fmt.Sprintf(`"log": {"witnesses": [{"key": %s}]}`, vkey), "https://host/path"},
		"the same witness twice":     {fmt.Sprintf(`"log": {"witnesses": [{"url": "https://a.example", "key": %s}, {"url": "https://b.example", "key": %s}]}`, vkey, vkey), "two witnesses"},
		"two of one name":            {`"authorities": {"fetch": true, "timeStamps": [{"name": "a", "url": "http://a.example/"}, {"name": "a", "url": "http://b.example/"}]}`, "two time-stamping authorities"},
		"two at one host":            {`"authorities": {"fetch": true, "timeStamps": [{"url": "http://a.example/1"}, {"url": "http://a.example/2"}]}`, "two time-stamping authorities"},
		"a period of nothing":        {`"log": {"stamp": "1ms"}`, "100ms to 24h"},
		"a proxy that is none":       {fmt.Sprintf(`"log": {"proxy": "proxy.example", "witnesses": [{"url": "https://a.example", "key": %s}]}`, vkey), "not an http or https address"},
		"a proxy to ask nobody by":   {`"log": {"proxy": "http://proxy.example"}`, "no witness"},
		"what is no algorithm":       {`"log": {"aged": [{"from": "2035-01-01"}]}`, "aged algorithm"},
		"a setting that is misspelt": {`"retension": {}`, `unknown field "retension"`},
		"one inside another":         {`"log": {"witneses": []}`, `unknown field "witneses"`},
		"settings that go on":        {`"log": {}} {`, "behind the settings"},
		"stamps that nobody asks":    {`"authorities": {"timeStamps": [{"url": "http://a.example/"}]}`, "fetch"},
	} {
		t.Run(name, func(t *testing.T) {
			putSettings(t, dir, `{"name": "A ledger", `+test.settings+`}`)
			status, _, stderr := dalel(t, "log", "publish", "--dir", dir)
			require.Equal(t, exitFailed, status)
			require.Contains(t, stderr, test.want)
		})
	}
}

// zeros is where a key comes from that need not be secret.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
