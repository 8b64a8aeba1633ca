// Package vaulttest has a stand-in for the transit engine of HashiCorp Vault:
// a server on loopback that speaks its protocol over TLS, and can be made to
// fail. Tests of this project use it where no Vault is at hand.
package vaulttest

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Token is the one that the server takes.
const Token = "hvs.stand-in-token-that-must-not-be-logged"

// Fault is what the server does instead of answering.
type Fault int32

// The faults.
const (
	None      Fault = iota
	Away            // the connection is cut
	Slow            // no answer before the client gives up
	Forbidden       // 403
	Sealed          // 503
	Truncated       // the answer ends in its middle
	Garbled         // the answer is no JSON
	Empty           // the answer has no data
	Echo            // 500, and the error repeats the request
)

// Server is a transit engine with keys dalel and other, mounted at transit.
type Server struct {
	// Host is host:port of the server.
	Host string
	// Requests counts what was asked.
	Requests atomic.Int64

	fault   atomic.Int32
	mu      sync.Mutex
	keys    map[string]cipher.AEAD
	stopped chan struct{}
}

// Start starts a server for one test and points Vault's client at it by the
// environment (VAULT_TOKEN, VAULT_CACERT).
func Start(t *testing.T) *Server {
	s := &Server{keys: make(map[string]cipher.AEAD), stopped: make(chan struct{})}
	for _, name := range []string{"dalel", "other"} {
		var key [32]byte
		_, err := rand.Read(key[:])
		require.NoError(t, err)
		block, err := aes.NewCipher(key[:])
		require.NoError(t, err)
		s.keys[name], err = cipher.NewGCM(block)
		require.NoError(t, err)
	}
	server := httptest.NewTLSServer(s)
	t.Cleanup(func() {
		close(s.stopped)
		server.CloseClientConnections()
		server.Close()
	})
	certificate := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	require.NoError(t, os.WriteFile(certificate, block, 0o600))
	t.Setenv("VAULT_CACERT", certificate)
	t.Setenv("VAULT_TOKEN", Token)
	s.Host = strings.TrimPrefix(server.URL, "https://")
	return s
}

// URL is the address of a key.
func (s *Server) URL(key string) string { return "hcvault://" + s.Host + "/transit/keys/" + key }

// Fail makes every request from now on fail, or none.
func (s *Server) Fail(fault Fault) { s.fault.Store(int32(fault)) }

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.Requests.Add(1)
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return
	}
	fault := Fault(s.fault.Load())
	switch fault {
	case Away:
		panic(http.ErrAbortHandler)
	case Slow:
		select {
		case <-r.Context().Done():
		case <-s.stopped:
		case <-time.After(time.Minute):
		}
		return
	case Forbidden:
		refuse(w, http.StatusForbidden, "permission denied")
		return
	case Sealed:
		refuse(w, http.StatusServiceUnavailable, "Vault is sealed")
		return
	case Echo:
		refuse(w, http.StatusInternalServerError, r.Header.Get("X-Vault-Token")+" "+string(body))
		return
	case Garbled:
		_, _ = w.Write([]byte("<html>" + string(body)))
		return
	case Empty:
		_, _ = w.Write([]byte(`{"data":{}}`))
		return
	}
	status, answer := s.answer(r, body)
	if status != http.StatusOK {
		refuse(w, status, answer)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if fault == Truncated {
		_, _ = w.Write([]byte(answer[:len(answer)/2]))
		return
	}
	_, _ = w.Write([]byte(answer))
}

// answer does what Vault's documentation of the transit engine says
// (encrypt-data, decrypt-data), for keys of type aes256-gcm96 that are not
// derived: associated_data is authenticated, context is passed over.
func (s *Server) answer(r *http.Request, body []byte) (status int, answer string) {
	if r.Header.Get("X-Vault-Token") != Token {
		return http.StatusForbidden, "permission denied"
	}
	verb, name, ok := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v1/transit/"), "/")
	if !ok || !strings.HasPrefix(r.URL.Path, "/v1/transit/") || (verb != "encrypt" && verb != "decrypt") {
		return http.StatusNotFound, "no handler for route"
	}
	if r.Method != http.MethodPut && r.Method != http.MethodPost {
		return http.StatusMethodNotAllowed, "unsupported operation"
	}
	s.mu.Lock()
	key := s.keys[name]
	s.mu.Unlock()
	if key == nil {
		// A token without "create" for encrypt.
		if verb == "encrypt" {
			return http.StatusForbidden, "permission denied"
		}
		return http.StatusBadRequest, "encryption key not found"
	}
	var request struct {
		Plaintext  string `json:"plaintext"`
		Ciphertext string `json:"ciphertext"`
		Associated string `json:"associated_data"`
		Context    string `json:"context"`
	}
	if err := json.Unmarshal(body, &request); err != nil {
		return http.StatusBadRequest, "error parsing JSON"
	}
	associated, err := base64.StdEncoding.DecodeString(request.Associated)
	if err != nil {
		return http.StatusBadRequest, "failed to base64-decode associated_data"
	}
	data := map[string]any{"key_version": 1}
	if verb == "encrypt" {
		plain, err := base64.StdEncoding.DecodeString(request.Plaintext)
		if err != nil {
			return http.StatusBadRequest, "failed to base64-decode plaintext"
		}
		nonce := make([]byte, key.NonceSize())
		if _, err := rand.Read(nonce); err != nil {
			return http.StatusInternalServerError, "no randomness"
		}
		data["ciphertext"] = "vault:v1:" + base64.StdEncoding.EncodeToString(key.Seal(nonce, nonce, plain, associated))
	} else {
		text, ok := strings.CutPrefix(request.Ciphertext, "vault:v1:")
		sealed, err := base64.StdEncoding.DecodeString(text)
		if !ok || err != nil || len(sealed) < key.NonceSize() {
			return http.StatusBadRequest, "invalid ciphertext: no prefix"
		}
		plain, err := key.Open(nil, sealed[:key.NonceSize()], sealed[key.NonceSize():], associated)
		if err != nil {
			return http.StatusBadRequest, "cipher: message authentication failed"
		}
		data = map[string]any{"plaintext": base64.StdEncoding.EncodeToString(plain)}
	}
	encoded, err := json.Marshal(map[string]any{"request_id": "1", "lease_id": "", "renewable": false, "lease_duration": 0, "data": data})
	if err != nil {
		return http.StatusInternalServerError, err.Error()
	}
	return http.StatusOK, string(encoded)
}

func refuse(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string][]string{"errors": {text}})
}
