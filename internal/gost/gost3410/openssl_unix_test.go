//go:build unix

package gost3410

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// engine is an openssl with the GOST engine: the other side of the tests here.
type engine struct {
	t   testing.TB
	dir string
}

func needEngine(t testing.TB) engine {
	t.Helper()
	if exec.Command("openssl", "dgst", "-engine", "gost", "-md_gost12_256", "/dev/null").Run() != nil {
		t.Skip("openssl has no GOST engine: nothing to check against")
	}
	return engine{t, t.TempDir()}
}

func (e engine) path(name string) string { return filepath.Join(e.dir, name) }

func (e engine) write(name string, data []byte) string {
	e.t.Helper()
	require.NoError(e.t, os.WriteFile(e.path(name), data, 0o600))
	return e.path(name)
}

func (e engine) read(name string) []byte {
	e.t.Helper()
	data, err := os.ReadFile(e.path(name))
	require.NoError(e.t, err)
	return data
}

// run returns the process's own time and whether it said yes.
func (e engine) run(args ...string) (time.Duration, bool) {
	command := exec.CommandContext(e.t.Context(), "openssl", args...)
	err := command.Run()
	return command.ProcessState.UserTime(), err == nil
}

func (e engine) must(args ...string) {
	e.t.Helper()
	_, ok := e.run(args...)
	require.True(e.t, ok, "%v", args)
}

// sets are the parameter sets that the engine offers, as it names them.
var sets = []struct{ algorithm, name, oid, curve, digest string }{
	{"gost2001", "0", OIDKey2001, "1.2.643.2.2.35.0", "1.2.643.2.2.30.1"},
	{"gost2001", "A", OIDKey2001, "1.2.643.2.2.35.1", "1.2.643.2.2.30.1"},
	{"gost2001", "B", OIDKey2001, "1.2.643.2.2.35.2", "1.2.643.2.2.30.1"},
	{"gost2001", "C", OIDKey2001, "1.2.643.2.2.35.3", "1.2.643.2.2.30.1"},
	{"gost2001", "XA", OIDKey2001, "1.2.643.2.2.36.0", "1.2.643.2.2.30.1"},
	{"gost2001", "XB", OIDKey2001, "1.2.643.2.2.36.1", "1.2.643.2.2.30.1"},
	{"gost2012_256", "A", OIDKey2012256, "1.2.643.2.2.35.1", "1.2.643.7.1.1.2.2"},
	{"gost2012_256", "TCA", OIDKey2012256, "1.2.643.7.1.2.1.1.1", ""},
	{"gost2012_256", "TCB", OIDKey2012256, "1.2.643.7.1.2.1.1.2", ""},
	{"gost2012_256", "TCC", OIDKey2012256, "1.2.643.7.1.2.1.1.3", ""},
	{"gost2012_256", "TCD", OIDKey2012256, "1.2.643.7.1.2.1.1.4", ""},
	{"gost2012_512", "A", OIDKey2012512, "1.2.643.7.1.2.1.2.1", "1.2.643.7.1.1.2.3"},
	{"gost2012_512", "B", OIDKey2012512, "1.2.643.7.1.2.1.2.2", "1.2.643.7.1.1.2.3"},
	{"gost2012_512", "C", OIDKey2012512, "1.2.643.7.1.2.1.2.3", ""},
}

// places are where a signature is changed.
func places(signature []byte) []int {
	n := len(signature)
	return []int{0, n/2 - 1, n / 2, n - 1}
}

func TestR_C2_WhatOpensslSignsVerifiesHereForEveryParameterSet(t *testing.T) {
	needEngine(t)
	for _, set := range sets {
		t.Run(set.algorithm+"-"+set.name, func(t *testing.T) {
			e := needEngine(t)
			key, public := e.path("key.pem"), e.path("public.pem")
			e.must("genpkey", "-engine", "gost", "-algorithm", set.algorithm, "-pkeyopt", "paramset:"+set.name, "-out", key)
			e.must("pkey", "-engine", "gost", "-in", key, "-pubout", "-out", public)
			block, _ := pem.Decode(e.read("public.pem"))
			require.NotNil(t, block)
			subject, err := ParsePublicKey(block.Bytes)
			require.NoError(t, err)
			require.Equal(t, set.oid, subject.Algorithm)
			require.Equal(t, set.digest, subject.Digest)
			want, ok := CurveByOID(set.curve)
			require.True(t, ok)
			require.Same(t, want, subject.Key.Curve())
			again, err := MarshalPublicKey(subject.Key, set.oid, set.curve, set.digest)
			require.NoError(t, err)
			require.Equal(t, block.Bytes, again)

			digest := make([]byte, want.Size())
			_, _ = rand.Read(digest)
			in := e.write("digest", digest)
			e.must("pkeyutl", "-engine", "gost", "-sign", "-inkey", key, "-in", in, "-out", e.path("signature"))
			signature := Reversed(e.read("signature"))
			require.NoError(t, subject.Key.Verify(digest, signature))
			for _, i := range places(signature) {
				changed := bytes.Clone(signature)
				changed[i] ^= 0x10
				require.ErrorIs(t, subject.Key.Verify(digest, changed), ErrSignature)
				_, ok := e.run("pkeyutl", "-engine", "gost", "-verify", "-pubin", "-inkey", public, "-in", in,
					"-sigfile", e.write("changed", Reversed(changed)))
				require.False(t, ok)
			}
		})
	}
}

func TestR_C2_OpensslAcceptsWhatIsSignedHereForEveryParameterSet(t *testing.T) {
	needEngine(t)
	for _, set := range sets {
		t.Run(set.algorithm+"-"+set.name, func(t *testing.T) {
			e := needEngine(t)
			c, ok := CurveByOID(set.curve)
			require.True(t, ok)
			_, public, digest, signature := newKey(t, c)
			der, err := MarshalPublicKey(public, set.oid, set.curve, set.digest)
			require.NoError(t, err)
			key := e.write("public.pem", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
			in := e.write("digest", digest)
			verify := func(signature []byte) bool {
				_, ok := e.run("pkeyutl", "-engine", "gost", "-verify", "-pubin", "-inkey", key, "-in", in,
					"-sigfile", e.write("signature", Reversed(signature)))
				return ok
			}
			require.True(t, verify(signature))
			for _, i := range places(signature) {
				changed := bytes.Clone(signature)
				changed[i] ^= 0x10
				require.False(t, verify(changed))
				require.ErrorIs(t, public.Verify(digest, changed), ErrSignature)
			}
		})
	}
}

// BenchmarkBesideOpenssl lets openssl verify one certificate many times over in
// one process, and verifies its signature here as often, key and all. Both are
// measured in processor time; what the process costs otherwise is taken off.
// openssl also reads and hashes the certificate and builds its path each time,
// which is counted against it: it is a bound and no race.
func BenchmarkBesideOpenssl(b *testing.B) {
	for _, which := range []struct{ name, algorithm, set, hash string }{
		{"512", "gost2012_512", "A", "md_gost12_512"},
		{"256", "gost2012_256", "TCA", "md_gost12_256"},
		{"2004", "gost2012_256", "TCB", "md_gost12_256"},
	} {
		b.Run(which.name, func(b *testing.B) {
			e := needEngine(b)
			request := []string{"req", "-engine", "gost", "-newkey", which.algorithm, "-pkeyopt", "paramset:" + which.set, "-nodes", "-" + which.hash}
			e.must(append(request, "-x509", "-subj", "/CN=root", "-keyout", e.path("root.key"), "-out", e.path("root.pem"))...)
			e.must(append(request, "-subj", "/CN=leaf", "-keyout", e.path("leaf.key"), "-out", e.path("leaf.csr"))...)
			e.must("x509", "-engine", "gost", "-req", "-in", e.path("leaf.csr"), "-CA", e.path("root.pem"), "-CAkey", e.path("root.key"),
				"-set_serial", "1", "-"+which.hash, "-out", e.path("leaf.pem"))
			block, _ := pem.Decode(e.read("root.pem"))
			require.NotNil(b, block)
			root, err := x509.ParseCertificate(block.Bytes)
			require.NoError(b, err)
			c := root.RawSubjectPublicKeyInfo
			subject, err := ParsePublicKey(c)
			require.NoError(b, err)
			_, public, digest, signature := newKey(b, subject.Key.Curve())
			const many = 500
			openssl := func(times int) time.Duration {
				args := []string{"verify", "-engine", "gost", "-CAfile", e.path("root.pem")}
				for range times {
					args = append(args, e.path("leaf.pem"))
				}
				spent, ok := e.run(args...)
				require.True(b, ok)
				return spent
			}
			var ours, theirs time.Duration
			for b.Loop() {
				start := processorTime(b)
				for range many {
					fresh, err := public.Curve().NewPublicKey(public.xy)
					if err != nil || fresh.Verify(digest, signature) != nil {
						b.Fatal("not verified")
					}
				}
				ours += processorTime(b) - start
				theirs += openssl(many+1) - openssl(1)
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(ours.Microseconds())/many/float64(b.N), "cpu-us-here")
			b.ReportMetric(float64(theirs.Microseconds())/many/float64(b.N), "cpu-us-openssl")
			b.ReportMetric(theirs.Seconds()/ours.Seconds(), "times-openssl")
		})
	}
}

func processorTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano())
}
