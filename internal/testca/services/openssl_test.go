package services_test

import (
	"bytes"
	"encoding/pem"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"dalel/internal/crl"
	"dalel/internal/testca"
	"dalel/internal/testca/services"

	"github.com/stretchr/testify/require"
)

// What the stand-in says is understood, and believed, by a program that is not
// ours.
func TestOpensslUnderstandsTheStandIn(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not installed: nothing to check against")
	}
	root, err := testca.NewRoot(testca.CA{Name: "Test root"})
	require.NoError(t, err)
	s, err := services.Start(root, services.Options{})
	require.NoError(t, err)
	defer s.Close()
	person, err := s.Issue(testca.Leaf{})
	require.NoError(t, err)
	dir := t.TempDir()
	file := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, content, 0o600))
		return path
	}
	openssl := func(args ...string) string {
		out, err := exec.CommandContext(t.Context(), "openssl", args...).CombinedOutput()
		require.NoError(t, err, "%s", out)
		return string(out)
	}
	ca, certificate := file("ca.pem", root.CertificatePEM()), file("person.pem", person.CertificatePEM())
	ask := func() string {
		return openssl("ocsp", "-url", s.OCSPAddress(), "-header", "User-Agent=openssl", "-sha256", "-issuer", ca, "-CAfile", ca, "-cert", certificate)
	}
	require.Contains(t, ask(), "person.pem: good")

	content := file("content", []byte("the contract"))
	query := filepath.Join(dir, "query.tsq")
	openssl("ts", "-query", "-data", content, "-sha256", "-cert", "-out", query)
	asked, err := os.ReadFile(query)
	require.NoError(t, err)
	reply := file("reply.tsr", fetch(t, http.MethodPost, s.StampsAddress(), asked))
	require.Contains(t, openssl("ts", "-verify", "-queryfile", query, "-in", reply, "-CAfile", ca), "OK")

	require.NoError(t, s.Revoke(person.Certificate, services.Revocation{At: time.Now().Add(-time.Minute), Reason: crl.KeyCompromise}))
	require.Contains(t, ask(), "person.pem: revoked")
	require.NoError(t, s.Publish())
	for _, address := range []string{s.CRLAddress(), s.DeltaAddress()} {
		list := file("list.pem", pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: fetch(t, http.MethodGet, address, nil)}))
		require.Contains(t, openssl("crl", "-in", list, "-CAfile", ca, "-noout", "-text"), "verify OK")
	}
	list := file("list.pem", pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: fetch(t, http.MethodGet, s.CRLAddress(), nil)}))
	require.Contains(t, openssl("crl", "-in", list, "-noout", "-text"), "Key Compromise")
}

func fetch(t *testing.T, method, address string, body []byte) []byte {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, address, bytes.NewReader(body))
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, http.StatusOK, response.StatusCode)
	answer, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return answer
}

func TestWhoSendsNoUserAgentIsLedElsewhere(t *testing.T) {
	root, err := testca.NewRoot(testca.CA{Name: "Test root"})
	require.NoError(t, err)
	s, err := services.Start(root, services.Options{})
	require.NoError(t, err)
	defer s.Close()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.CRLAddress(), nil)
	require.NoError(t, err)
	request.Header["User-Agent"] = []string{""}
	response, err := http.DefaultTransport.RoundTrip(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusSeeOther, response.StatusCode)
}
