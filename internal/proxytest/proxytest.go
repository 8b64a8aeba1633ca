// Package proxytest is for the tests of clients that go by the proxy that is
// named to them and never by the environment's, which may be anybody's.
package proxytest

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// asks tells the process that is started from the one that starts it.
const asks = "DALEL_TEST_ASKS"

// Require requires that a client goes by the proxy that it is given, and by none
// where it is given none. ask has it ask once, at a name that nobody has, and
// returns its error. Go reads the environment's proxy once in a process, so the
// test that calls this is run again in another one.
func Require(t *testing.T, ask func(proxy *url.URL) error) {
	t.Helper()
	if os.Getenv(asks) != "" {
		require.Error(t, ask(nil), "nobody has this name")
		return
	}
	var asked atomic.Int64
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusTeapot)
	}))
	defer proxy.Close()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	child.Env = append(os.Environ(), asks+"=1", "NO_PROXY=", "no_proxy=")
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"} {
		child.Env = append(child.Env, name+"="+proxy.URL)
	}
	out, err := child.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "PASS: "+t.Name())
	require.Zero(t, asked.Load())

	named, err := url.Parse(proxy.URL)
	require.NoError(t, err)
	require.Error(t, ask(named))
	require.Positive(t, asked.Load())
}
