package takeout_test

import (
	"net/url"
	"testing"
	"time"

	"dalel/internal/proxytest"
	"dalel/internal/takeout"
)

func TestAProxyIsUsedIfItIsNamedAndTheEnvironmentsNever(t *testing.T) {
	proxytest.Require(t, func(proxy *url.URL) error { return askBy(t, proxy) })
}

func askBy(t *testing.T, proxy *url.URL) error {
	_, err := takeout.Fetch(t.Context(), takeout.Options{URL: "https://ledger.invalid", Token: "token", Dir: t.TempDir(), Pause: time.Millisecond, Proxy: proxy})
	return err
}
