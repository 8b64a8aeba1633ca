package main

import (
	"context"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dalel/tests/esdbserver"
)

// TestAServerThatDoesNotLetTheNodeWorkIsNamedAtItsStart starts a node on an
// EventStoreDB with TLS and users.
func TestAServerThatDoesNotLetTheNodeWorkIsNamedAtItsStart(t *testing.T) {
	certificate, authority := esdbserver.NewCertificate(t)
	server := esdbserver.New(t, esdbserver.Options{Certificate: &certificate})
	const enough = esdbserver.MayRead | esdbserver.MayReadAll | esdbserver.MayWrite
	may := func(rights esdbserver.Right) {
		server.SetUsers(map[string]esdbserver.User{"dalel": {Password: "right", May: rights}})
	}
	store := strings.Replace(server.URL(), "esdb://", "esdb://dalel:right@", 1)
	dir := t.TempDir()
	at := func(store string) []string {
		return []string{"--dir", filepath.Join(dir, "node"), "--settings", filepath.Join(dir, "settings"), "--store", store,
			"--blobs", filepath.Join(dir, "blobs"), "--keys", filepath.Join(dir, "keys.db")}
	}
	trusted := store + "&tlsCAFile=" + authority
	may(enough)
	status, said, stderr := dalel(t, append([]string{"init"}, at(trusted)...)...)
	require.Equal(t, exitGood, status, said+stderr)
	started := shown(t, at(trusted)...)
	require.NotContains(t, started, "rights on the store")

	for name, c := range map[string]struct {
		store  string
		rights esdbserver.Right
		code   string
	}{
		"its certificate":          {store, enough, "store.certificate"},
		"TLS":                      {strings.Replace(trusted, "tls=true", "tls=false", 1), enough, "store.tls"},
		"the password":             {strings.Replace(trusted, ":right@", ":wrong@", 1), enough, "store.password"},
		"the right to append":      {trusted, enough &^ esdbserver.MayWrite, "store.denied"},
		"the right to read it all": {trusted, enough &^ esdbserver.MayReadAll, "store.denied"},
	} {
		t.Run(name, func(t *testing.T) {
			may(c.rights)
			begun := time.Now()
			status, said, stderr := dalel(t, append([]string{"serve", "--listen", "127.0.0.1:0"}, at(c.store)...)...)
			require.Equal(t, exitFailed, status, said+stderr)
			require.Contains(t, stderr, c.code)
			require.NotContains(t, stderr, "right@")
			require.Less(t, time.Since(begun), 10*time.Second)
		})
	}
	may(esdbserver.MayAll)
	require.Regexp(t, `(?m)^  rights on the store +too many: the node's user may delete streams and write their metadata`, shown(t, at(trusted)...))
}

func TestARequestThatReadsWaitsBrieflyForAStoreThatIsAway(t *testing.T) {
	server := esdbserver.New(t, esdbserver.Options{})
	dir := t.TempDir()
	at := []string{"--dir", filepath.Join(dir, "node"), "--settings", filepath.Join(dir, "settings"), "--store", server.URL(),
		"--blobs", filepath.Join(dir, "blobs"), "--keys", filepath.Join(dir, "keys.db")}
	status, said, stderr := dalel(t, append([]string{"init"}, at...)...)
	require.Equal(t, exitGood, status, said+stderr)
	status, token, stderr := dalel(t, append([]string{"token", "--role", "operator"}, at...)...)
	require.Equal(t, exitGood, status, stderr)

	ctx, cancel := context.WithCancel(t.Context())
	var stdout, stderrs transcript
	done := make(chan int)
	go func() {
		done <- run(ctx, append([]string{"serve", "--listen", "127.0.0.1:0"}, at...), &stdout, &stderrs)
	}()
	address := regexp.MustCompile(`http://127\.0\.0\.1:\d+`)
	require.Eventually(t, func() bool { return address.MatchString(stdout.String()) }, time.Minute, 20*time.Millisecond, stderrs.String())
	get := func() int {
		t.Helper()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, address.FindString(stdout.String())+"/api/v1/participants", nil)
		require.NoError(t, err)
		request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(token))
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		return response.StatusCode
	}
	require.Equal(t, http.StatusOK, get())
	server.Down()
	begun := time.Now()
	require.Equal(t, http.StatusServiceUnavailable, get())
	require.Less(t, time.Since(begun), 15*time.Second, "it is waited for five seconds, not thirty")
	require.NoError(t, server.Up())
	require.Eventually(t, func() bool { return get() == http.StatusOK }, time.Minute, 100*time.Millisecond)
	cancel()
	require.Equal(t, exitGood, <-done, stderrs.String())
}
