package testca_test

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"dalel/internal/testca"

	"github.com/stretchr/testify/require"
)

func TestACertificateIsShapedLikeThoseOfTheNationalCA(t *testing.T) {
	root, err := testca.NewRoot(testca.CA{Name: "Test root"})
	require.NoError(t, err)
	issuing, err := root.NewIntermediate(testca.CA{Name: "Test issuing CA"})
	require.NoError(t, err)
	who, err := issuing.Issue(testca.Leaf{Owner: testca.Owner{
		IIN: "123456789011", BIN: "123456789021", Surname: "TESTOV", GivenName: "TEST", Organization: "Test LLP", Role: testca.RightOfSignature,
	}, CRL: "http://crl.example/ca.crl", OCSP: "http://ocsp.example/"})
	require.NoError(t, err)
	c := who.Certificate
	require.Equal(t, "IIN123456789011", c.Subject.SerialNumber)
	require.Equal(t, []string{"BIN123456789021"}, c.Subject.OrganizationalUnit)
	require.Equal(t, []string{"KZ"}, c.Subject.Country)
	require.Equal(t, []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}, c.ExtKeyUsage)
	require.Len(t, c.UnknownExtKeyUsage, 2)
	require.Equal(t, "1.2.398.3.3.4.1.2.2", c.UnknownExtKeyUsage[1].String())
	require.Equal(t, "1.2.398.3.3.2", c.Policies[0].String())
	require.Equal(t, []string{"http://crl.example/ca.crl"}, c.CRLDistributionPoints)
	require.Equal(t, []string{"http://ocsp.example/"}, c.OCSPServer)
	require.Equal(t, issuing.Certificate.SubjectKeyId, c.AuthorityKeyId)
	require.NoError(t, c.CheckSignatureFrom(issuing.Certificate))
	require.Equal(t, []*x509.Certificate{issuing.Certificate, root.Certificate}, who.Chain)

	key, err := who.KeyPEM()
	require.NoError(t, err)
	block, _ := pem.Decode(key)
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	require.NoError(t, err)
	require.Equal(t, who.Key, parsed)
}

func TestUnknownKindsAndRolesAreRefused(t *testing.T) {
	_, err := testca.NewKey(testca.KeyKind(99))
	require.Error(t, err)
	root, err := testca.NewRoot(testca.CA{Name: "Test root"})
	require.NoError(t, err)
	_, err = root.Issue(testca.Leaf{Owner: testca.Owner{Role: "emperor"}})
	require.Error(t, err)
}

func TestOpensslAcceptsTheChain(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not installed: nothing to check against")
	}
	dir := t.TempDir()
	write := func(name string, i *testca.Identity) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, i.CertificatePEM(), 0o600))
		return path
	}
	root, err := testca.NewRoot(testca.CA{Name: "Test root", Key: testca.RSA2048})
	require.NoError(t, err)
	issuing, err := root.NewIntermediate(testca.CA{Name: "Test issuing CA", Key: testca.P384})
	require.NoError(t, err)
	who, err := issuing.Issue(testca.Leaf{Key: testca.Ed25519})
	require.NoError(t, err)
	out, err := exec.CommandContext(t.Context(), "openssl", "verify", "-x509_strict", "-CAfile", write("root.pem", root),
		"-untrusted", write("issuing.pem", issuing), write("who.pem", who)).CombinedOutput()
	require.NoError(t, err, string(out))
	require.True(t, strings.HasSuffix(strings.TrimSpace(string(out)), "OK"))
}

// Nobody else may hold keys (R-C6): what imports this is a test, a package for
// tests ("...test", below tests/), or the story that the demo plays.
func TestR_C6_OnlyTestsAndTheDemoImportThisPackage(t *testing.T) {
	root := filepath.Join("..", "..")
	require.FileExists(t, filepath.Join(root, "go.mod"))
	err := filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() && strings.HasPrefix(name, ".") && name != ".." {
			return filepath.SkipDir
		}
		folder := filepath.ToSlash(filepath.Dir(path))
		allowed := strings.HasSuffix(name, "_test.go") || strings.HasSuffix(folder, "test") ||
			strings.Contains(folder, "/tests") || strings.HasSuffix(folder, "cmd/dalel/story") || strings.HasSuffix(folder, "internal/testca/services") ||
			strings.HasSuffix(folder, "cmd/dalel") && strings.HasPrefix(name, "demo")
		if entry.IsDir() || !strings.HasSuffix(name, ".go") || allowed {
			return nil
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		require.False(t, strings.Contains(string(source), "\"dalel/internal/testca"), path)
		return nil
	})
	require.NoError(t, err)
}
