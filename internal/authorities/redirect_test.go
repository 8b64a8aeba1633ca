package authorities

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"dalel/internal/testca"

	"github.com/stretchr/testify/require"
)

func TestARedirectIsFollowedOnlyToTheSameHost(t *testing.T) {
	for _, c := range []struct {
		method, from, then, to string
		good                   bool
	}{
		{"GET", "http://crl.example/a.crl", "GET", "http://crl.example/b.crl", true},
		{"GET", "http://crl.example/a.crl", "GET", "https://crl.example/a.crl", true},
		{"GET", "http://CRL.example/a.crl", "GET", "http://crl.EXAMPLE/a.crl", true},
		{"POST", "http://ocsp.example/", "POST", "http://ocsp.example/v2", true},
		{"GET", "https://crl.example/a.crl", "GET", "http://crl.example/a.crl", false},
		{"GET", "http://crl.example/a.crl", "GET", "http://other.example/a.crl", false},
		{"GET", "http://crl.example/a.crl", "GET", "http://crl.example.other/a.crl", false},
		{"GET", "http://crl.example/a.crl", "GET", "http://crl.example:8080/a.crl", false},
		{"GET", "http://crl.example:80/a.crl", "GET", "https://crl.example:22/a.crl", false},
		{"GET", "http://crl.example/a.crl", "GET", "file://crl.example/etc/passwd", false},
		{"GET", "http://crl.example/a.crl", "GET", "http://who@crl.example/a.crl", false},
		{"POST", "http://ocsp.example/", "GET", "http://ocsp.example/", false},
	} {
		from, err := url.Parse(c.from)
		require.NoError(t, err)
		to, err := url.Parse(c.to)
		require.NoError(t, err)
		err = redirect(&http.Request{Method: c.then, URL: to}, []*http.Request{{Method: c.method, URL: from}})
		if c.good {
			require.NoError(t, err, "%s → %s", c.from, c.to)
		} else {
			require.Equal(t, RedirectRefused, CodeOf(err), "%s → %s", c.from, c.to)
		}
	}
}

func TestOnlyWebAddressesAreAsked(t *testing.T) {
	for text, good := range map[string]bool{
		"http://ocsp.pki.gov.kz/": true, "https://ocsp.example:8443/x?y=z": true,
		"": false, "ldap://pki.gov.kz/cn=x": false, "file:///etc/passwd": false, "http://": false, "http:opaque": false,
		"http://name:word@ocsp.example/": false, "//ocsp.example/": false, "http://[::1": false,
	} {
		_, err := address(text)
		require.Equal(t, good, err == nil, text)
	}
	_, err := Open(Config{Cache: t.TempDir(), Stamps: []Stamps{{URL: "ldap://x"}}})
	require.Equal(t, AddressRefused, CodeOf(err))
	_, err = Open(Config{Cache: t.TempDir(), Issuers: map[string]Issuer{"x": {Delta: "ldap://x"}}})
	require.Equal(t, AddressRefused, CodeOf(err))
}

func TestTheEnvironmentNamesNoProxy(t *testing.T) {
	c, err := Open(Config{Cache: t.TempDir()})
	require.NoError(t, err)
	require.Nil(t, c.http.Transport.(*http.Transport).Proxy)
	require.NoError(t, c.Close())
}

func TestAServiceThatFailsIsLeftAloneForAWhileThatGrowsToABound(t *testing.T) {
	g := gates{longest: time.Minute}
	now := time.Unix(1e9, 0)
	for range patience {
		require.True(t, g.enter("x", now))
		g.leave("x", now, true, 0)
	}
	pause := firstPause
	for range 20 {
		require.False(t, g.enter("x", now.Add(pause-1)))
		require.True(t, g.enter("y", now), "another service is not to blame")
		now = now.Add(pause)
		require.True(t, g.enter("x", now))
		require.False(t, g.enter("x", now), "one tries it, not all at once")
		g.leave("x", now, true, 0)
		pause = min(pause*2, time.Minute)
	}
	now = now.Add(time.Minute)
	require.True(t, g.enter("x", now))
	g.leave("x", now, false, 0)
	for range 3 {
		require.True(t, g.enter("x", now))
	}
	// What it asks for itself is heeded, up to the same bound.
	for range patience {
		g.leave("z", now, true, time.Hour)
	}
	require.False(t, g.enter("z", now.Add(59*time.Second)))
	require.True(t, g.enter("z", now.Add(time.Minute)))
}

func FuzzPoints(f *testing.F) {
	root, err := testca.NewRoot(testca.CA{Name: "Test root"})
	require.NoError(f, err)
	who, err := root.Issue(testca.Leaf{Freshest: "http://crl.example/d.crl"})
	require.NoError(f, err)
	require.Equal(f, []string{"http://crl.example/d.crl"}, freshest(who.Certificate))
	for _, e := range who.Certificate.Extensions {
		f.Add(e.Value)
	}
	f.Fuzz(func(t *testing.T, value []byte) { require.LessOrEqual(t, len(points(value)), maxAddresses) })
}
