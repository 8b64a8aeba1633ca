package main

import (
	"path/filepath"
	"testing"

	"dalel/domain/ledger"
	"dalel/domain/trust"

	"github.com/stretchr/testify/require"
)

// sealFiles are a new key and its certificate, for the seal of a ledger.
func sealFiles(t *testing.T) (dir, key, certificate string) {
	t.Helper()
	dir = t.TempDir()
	require.NoError(t, makeSeal(dir, "The next seal"))
	return dir, filepath.Join(dir, secretsDir, sealFile), filepath.Join(dir, trustDir, sealCertificateFile)
}

func TestTheSealIsReplacedByCommandAloneAndTheFormerCertificateIsKept(t *testing.T) {
	p := founded(t, "two")
	_, key, certificate := sealFiles(t)
	keyPath, path := p.path("settings", secretsDir, sealFile), p.path("settings", trustDir, sealCertificateFile)
	was := read(t, path)
	replace := func(key, certificate string) (int, string) {
		status, said, stderr := dalel(t, append([]string{"seal", "--key", key, "--certificate", certificate}, p.at()...)...)
		return status, said + stderr
	}
	_, another, _ := sealFiles(t)
	status, said := replace(another, certificate)
	require.Equal(t, exitFailed, status, "a key of another certificate: %s", said)

	// Cut off after it was recorded: neither the old pair is taken, nor anything lost.
	require.Equal(t, was, read(t, path))
	store, err := openStore(t.Context(), p.store)
	require.NoError(t, err)
	require.NoError(t, ledger.ReplaceSeal(t.Context(), store, read(t, certificate)))
	require.NoError(t, store.Close())
	status, said, stderr := dalel(t, append([]string{"token", "--role", "operator"}, p.at()...)...)
	require.Equal(t, exitFailed, status, said)
	require.Contains(t, stderr, "settings.other-ledger: the certificate of the operator's seal")

	status, said = replace(key, certificate)
	require.Equal(t, exitGood, status, said)
	require.Equal(t, read(t, certificate), read(t, path))
	require.Equal(t, read(t, key), read(t, keyPath))
	require.Equal(t, was, read(t, p.path("settings", trustDir, "operator-seal-"+trust.FingerprintOf(was)[:16]+".cer")))

	_, next, nextCertificate := sealFiles(t)
	status, said = replace(next, nextCertificate)
	require.Equal(t, exitGood, status, said)
	kept := p.path("settings", trustDir, "operator-seal-"+trust.FingerprintOf(read(t, certificate))[:16]+".cer")
	require.Equal(t, read(t, certificate), read(t, kept))
	status, said, stderr = dalel(t, append([]string{"token", "--role", "operator"}, p.at()...)...)
	require.Equal(t, exitGood, status, said+stderr)
	status, said = replace(key, certificate)
	require.Equal(t, exitFailed, status)
	require.Contains(t, said, "was replaced", "one that was the seal's before does not return")
}
