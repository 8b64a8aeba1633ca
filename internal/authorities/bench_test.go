package authorities_test

import (
	"crypto/x509"
	"math/big"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"dalel/internal/authorities"
	"dalel/internal/crl"
	"dalel/internal/crl/crltest"
	"dalel/internal/testca"

	"github.com/stretchr/testify/require"
)

// nationalEntries make a list of about 22 MB.
const nationalEntries = 580_000

// BenchmarkNationalList has a list of the national one's size fetched, checked and
// put on disk; read from disk by a program that has just started; and returned
// again.
func BenchmarkNationalList(b *testing.B) {
	for name, kind := range map[string]testca.KeyKind{"RSA": testca.RSA2048, "GOST": testca.GOST512} {
		root, err := testca.NewRoot(testca.CA{Name: "Test root", Key: kind})
		require.NoError(b, err)
		now := time.Now().UTC().Truncate(time.Second)
		list := crltest.List{ThisUpdate: now, NextUpdate: now.Add(24 * time.Hour), Number: big.NewInt(1)}
		serial := new(big.Int).Lsh(big.NewInt(1), 150)
		for i := range nationalEntries {
			list.Entries = append(list.Entries, crltest.Entry{Serial: new(big.Int).Add(serial, big.NewInt(int64(i))), At: now})
		}
		der, err := crltest.Sign(list, crltest.By(root))
		require.NoError(b, err)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(der) }))
		person, err := root.Issue(testca.Leaf{CRL: server.URL, Key: kind})
		require.NoError(b, err)
		ask := func(b *testing.B, c *authorities.Client) {
			lists, err := c.CRLs(b.Context(), person.Certificate, root.Certificate)
			require.NoError(b, err)
			require.Len(b, lists, 1)
			require.Equal(b, crl.Good, crltest.Judge(lists[0], nil, root.Certificate, known(), crl.Question{Subject: crl.Subject{Serial: big.NewInt(1)}, At: now}).Status)
		}
		open := func(b *testing.B, dir string) *authorities.Client {
			c, err := authorities.Open(authorities.Config{Cache: dir, Roots: []*x509.Certificate{root.Certificate}})
			require.NoError(b, err)
			return c
		}
		fetch := func(b *testing.B, c *authorities.Client) {
			lists, err := c.CRLs(b.Context(), person.Certificate, root.Certificate)
			require.NoError(b, err)
			require.Len(b, lists[0], len(der))
		}
		warm := b.TempDir()
		first := open(b, warm)
		ask(b, first)
		b.Run(name+"/fetched", func(b *testing.B) {
			b.SetBytes(int64(len(der)))
			for b.Loop() {
				c := open(b, b.TempDir())
				fetch(b, c)
				require.NoError(b, c.Close())
			}
		})
		b.Run(name+"/from disk", func(b *testing.B) {
			b.SetBytes(int64(len(der)))
			for b.Loop() {
				c := open(b, warm)
				fetch(b, c)
				require.NoError(b, c.Close())
			}
		})
		b.Run(name+"/again", func(b *testing.B) {
			for b.Loop() {
				fetch(b, first)
			}
		})
		require.NoError(b, first.Close())
		server.Close()
	}
}
