package audit_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dalel/internal/audit"
)

// Go reads the environment's proxy once in a process, so another one asks.
func TestAProxyIsUsedIfItIsNamedAndTheEnvironmentsNever(t *testing.T) {
	if os.Getenv("DALEL_TEST_ASKS") != "" {
		require.Error(t, askBy(t, nil), "nobody has this name")
		return
	}
	var asked atomic.Int64
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusTeapot)
	}))
	defer proxy.Close()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	child.Env = append(os.Environ(), "DALEL_TEST_ASKS=1", "NO_PROXY=", "no_proxy=")
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"} {
		child.Env = append(child.Env, name+"="+proxy.URL)
	}
	out, err := child.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "PASS: "+t.Name())
	require.Zero(t, asked.Load())

	named, err := url.Parse(proxy.URL)
	require.NoError(t, err)
	require.Error(t, askBy(t, named))
	require.Positive(t, asked.Load())
}

func askBy(t *testing.T, proxy *url.URL) error {
	source, err := audit.OverHTTP(audit.HTTPOptions{URL: "http://log.invalid", Timeout: 5 * time.Second, Attempts: 1, Proxy: proxy})
	require.NoError(t, err)
	_, err = source.Get(t.Context(), "checkpoint", 1000)
	return err
}
