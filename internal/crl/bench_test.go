package crl_test

import (
	"crypto/x509"
	"math/big"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"dalel/internal/crl"
	"dalel/internal/crl/crltest"
	"dalel/internal/testca"

	"github.com/stretchr/testify/require"
)

const many = 300_000

// big300k is a list of the size of a national one.
func big300k(t testing.TB) (data []byte, issuer *x509.Certificate, serials []*big.Int) {
	t.Helper()
	ca := authority(t, testca.CA{})
	random := rand.New(rand.NewPCG(1, 2))
	l := list()
	l.Entries = nil
	for range many {
		octets := make([]byte, 20)
		for i := range octets {
			octets[i] = byte(random.Uint32())
		}
		octets[0] = octets[0]&0x7f | 0x40
		serial := new(big.Int).SetBytes(octets)
		serials = append(serials, serial)
		reasons := []crl.Reason{crl.Unspecified, crl.CessationOfOperation, crl.Superseded, crl.CertificateHold}
		l.Entries = append(l.Entries, crltest.Entry{Serial: serial, At: now.Add(-time.Duration(random.IntN(1e8)) * time.Second), Reason: reasons[random.IntN(4)]})
	}
	return sign(t, l, crltest.By(ca)), ca.Certificate, serials
}

// A list of 300,000 entries is walked over, not copied: what parsing and asking
// it take in memory does not depend on its size.
func TestR_C2_AListOfANationIsNotCopied(t *testing.T) {
	data, issuer, serials := big300k(t)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	parsed, err := crl.Parse(data)
	require.NoError(t, err)
	for _, serial := range []*big.Int{serials[0], serials[many/2], serials[many-1]} {
		_, found, err := parsed.Find(serial)
		require.NoError(t, err)
		require.True(t, found)
	}
	runtime.ReadMemStats(&after)
	taken := after.TotalAlloc - before.TotalAlloc
	t.Logf("%d bytes of list, %d bytes allocated to parse it and to ask it three times", len(data), taken)
	require.Less(t, taken, uint64(64<<10))
	require.Equal(t, many, parsed.Entries)
	verified, err := crl.Verify(parsed, issuer, known())
	require.NoError(t, err)
	require.Equal(t, crl.CodeRevoked, verified.Check(crl.Question{Subject: crl.Subject{Serial: serials[7]}, At: now}).Code)
	require.Equal(t, crl.CodeGood, verified.Check(crl.Question{Subject: crl.Subject{Serial: big.NewInt(7)}, At: now}).Code)
}

// BenchmarkAgainstStandardLibrary runs both sides in one go: to parse a list of
// 300,000 entries and to ask it once.
func BenchmarkAgainstStandardLibrary(b *testing.B) {
	data, _, serials := big300k(b)
	wanted := serials[many-1]
	var here, there, parse, find time.Duration
	for b.Loop() {
		start := time.Now()
		parsed, err := crl.Parse(data)
		require.NoError(b, err)
		parse += time.Since(start)
		middle := time.Now()
		_, found, err := parsed.Find(wanted)
		require.True(b, err == nil && found)
		find += time.Since(middle)
		here += time.Since(start)

		start = time.Now()
		list, err := x509.ParseRevocationList(data)
		require.NoError(b, err)
		found = false
		for i := range list.RevokedCertificateEntries {
			found = found || list.RevokedCertificateEntries[i].SerialNumber.Cmp(wanted) == 0
		}
		require.True(b, found)
		there += time.Since(start)
	}
	b.ReportMetric(float64(parse.Microseconds())/float64(b.N)/1000, "parse-ms")
	b.ReportMetric(float64(find.Microseconds())/float64(b.N)/1000, "find-ms")
	b.ReportMetric(float64(there)/float64(here), "times-x509")
	b.ReportMetric(float64(len(data))/1e6, "MB")
}
