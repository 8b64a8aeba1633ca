package audit_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dalel/internal/audit"
	"dalel/internal/proxytest"
)

func TestAProxyIsUsedIfItIsNamedAndTheEnvironmentsNever(t *testing.T) {
	proxytest.Require(t, func(proxy *url.URL) error { return askBy(t, proxy) })
}

func askBy(t *testing.T, proxy *url.URL) error {
	source, err := audit.OverHTTP(audit.HTTPOptions{URL: "http://log.invalid", Timeout: 5 * time.Second, Attempts: 1, Proxy: proxy})
	require.NoError(t, err)
	_, err = source.Get(t.Context(), "checkpoint", 1000)
	return err
}
