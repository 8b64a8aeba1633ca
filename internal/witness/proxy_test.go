package witness_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dalel/internal/proxytest"
	"dalel/internal/witness"
	"dalel/internal/witness/logtest"
)

func TestAProxyIsUsedIfItIsNamedAndTheEnvironmentsNever(t *testing.T) {
	proxytest.Require(t, func(proxy *url.URL) error { return askBy(t, proxy) })
}

func askBy(t *testing.T, proxy *url.URL) error {
	log := logtest.New(t, origin, 1)
	client, err := witness.NewClient(witness.ClientOptions{VKey: newKey(t, "witness.example.kz/w1").VKey(), URL: "http://witness.invalid", Timeout: 5 * time.Second, Proxy: proxy})
	require.NoError(t, err)
	_, err = client.Cosign(t.Context(), log.Checkpoint(1), log.Prover(1))
	return err
}
