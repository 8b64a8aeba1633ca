package master

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/tink-crypto/tink-go-hcvault/v2/integration/hcvault"
	"github.com/tink-crypto/tink-go/v2/tink"

	"dalel/blobs/keys"
	"dalel/internal/fault"
)

// Bounds of a request to Vault: how long it may take with its retries, how long one try
// may, and how often it is tried again.
const (
	vaultPatience = 20 * time.Second
	vaultTimeout  = 8 * time.Second
	vaultRetries  = 2
	// vaultHeader bounds an answer's header in bytes.
	vaultHeader = 64 << 10
)

// vaultMaster asks a transit engine.
type vaultMaster struct {
	id   string
	aead tink.AEAD
}

var _ keys.Master = (*vaultMaster)(nil)

// fromVault also tries the key once, so that a wrong name or token is found at
// the start.
func fromVault(ctx context.Context, u *url.URL) (keys.Master, error) {
	parts := strings.Split(u.Path, "/")
	if n := len(parts); u.Host == "" || n < 4 || parts[n-2] != "keys" || parts[n-1] == "" || path.Clean(u.Path) != u.Path {
		return nil, fault.New(fault.ConfigInvalid, "a key of Vault is written as hcvault://host:port/transit/keys/name")
	}
	token := os.Getenv(api.EnvVaultToken)
	if token == "" {
		return nil, fault.New(fault.ConfigInvalid, "the master key is in Vault, and VAULT_TOKEN is not set")
	}
	config := api.DefaultConfig()
	if config.Error != nil {
		return nil, fault.Wrap(fault.ConfigInvalid, config.Error, "the variables of Vault's client cannot be used")
	}
	// The URL decides where to go, whatever else the environment says.
	config.Address, config.AgentAddress = "https://"+u.Host, ""
	config.Timeout, config.MaxRetries = vaultTimeout, vaultRetries
	config.MinRetryWait, config.MaxRetryWait = 100*time.Millisecond, time.Second
	if transport, ok := config.HttpClient.Transport.(*http.Transport); ok {
		transport.MaxResponseHeaderBytes = vaultHeader
	}
	client, err := api.NewClient(config)
	if err != nil {
		return nil, fault.Wrap(fault.ConfigInvalid, err, "Vault's client cannot be set up")
	}
	client.SetToken(token)
	aead, err := hcvault.NewAEAD(u.EscapedPath(), client.Logical())
	if err != nil {
		return nil, fault.Wrap(fault.ConfigInvalid, err, "Vault's key cannot be set up")
	}
	// The host is left out: Vault may move.
	m := &vaultMaster{id: "hcvault-" + name("dalel hcvault key v1", []byte(u.EscapedPath())), aead: aead}
	return m, m.try(ctx)
}

// try wraps something and unwraps it again.
func (m *vaultMaster) try(ctx context.Context) error {
	trial, bound := []byte("dalel asks whether this key can be used"), []byte("trial")
	wrapped, err := m.Wrap(ctx, trial, bound)
	if err != nil {
		return err
	}
	again, err := m.Unwrap(ctx, wrapped, bound)
	if err != nil {
		return err
	}
	if !bytes.Equal(again, trial) {
		return fault.New(fault.ConfigInvalid, "the key in Vault does not give back what it wrapped")
	}
	return nil
}

// ID implements keys.Master.
func (m *vaultMaster) ID() string { return m.id }

// Wrap implements keys.Master. The context goes into Vault's associated data,
// and its SHA-256 before the secret: a Vault that is too old for associated
// data would pass over it in silence.
func (m *vaultMaster) Wrap(ctx context.Context, secret, bound []byte) ([]byte, error) {
	sum := sha256.Sum256(bound)
	plain := append(sum[:], secret...)
	defer clear(plain)
	wrapped, err := m.ask(ctx, func() ([]byte, error) { return m.aead.Encrypt(plain, bound) })
	if err != nil {
		return nil, m.failure(ctx, err, false)
	}
	return wrapped, nil
}

// Unwrap implements keys.Master.
func (m *vaultMaster) Unwrap(ctx context.Context, wrapped, bound []byte) ([]byte, error) {
	if !bytes.HasPrefix(wrapped, []byte("vault:v")) {
		return nil, fault.New(fault.KeyUnknown, "the master key %s did not wrap this", m.id)
	}
	plain, err := m.ask(ctx, func() ([]byte, error) { return m.aead.Decrypt(wrapped, bound) })
	if err != nil {
		return nil, m.failure(ctx, err, true)
	}
	if len(plain) == 0 {
		// The library reads an answer without a text as an empty one.
		return nil, fault.New(fault.KeyFailed, "Vault's answer for the master key %s is not whole", m.id)
	}
	sum := sha256.Sum256(bound)
	secret, ok := bytes.CutPrefix(plain, sum[:])
	if !ok {
		return nil, fault.New(fault.KeyUnknown, "the master key %s wrapped this for something else", m.id)
	}
	return secret, nil
}

// ask lets the caller go when its context ends; the library's own request ends
// by its time limit.
func (m *vaultMaster) ask(ctx context.Context, request func() ([]byte, error)) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, vaultPatience)
	defer cancel()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	type result struct {
		bytes []byte
		err   error
	}
	answered := make(chan result, 1)
	go func() {
		bytes, err := request()
		answered <- result{bytes, err}
	}()
	select {
	case r := <-answered:
		return r.bytes, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// failure says what an error of Vault means here. What Vault wrote is not
// repeated: it is not known what it holds.
func (m *vaultMaster) failure(ctx context.Context, err error, unwrapping bool) error {
	if ended := ctx.Err(); ended != nil {
		return fmt.Errorf("ask Vault for the master key %s: %w", m.id, ended)
	}
	var response *api.ResponseError
	if errors.As(err, &response) {
		switch status := response.StatusCode; {
		case status == http.StatusBadRequest && unwrapping:
			return fault.New(fault.KeyUnknown, "Vault does not unwrap this by the master key %s", m.id)
		case status == http.StatusBadRequest, status == http.StatusNotFound, status == http.StatusMethodNotAllowed:
			return fault.New(fault.ConfigInvalid, "Vault has no transit key for the master key %s at this address (status %d)", m.id, status)
		case status == http.StatusForbidden:
			return fault.New(fault.KeyFailed, "Vault refuses the token for the master key %s (status 403): VAULT_TOKEN may have expired or lack the right", m.id)
		case status == http.StatusServiceUnavailable:
			return fault.New(fault.KeyFailed, "Vault is sealed or in standby (status 503), and the master key %s with it", m.id)
		default:
			return fault.New(fault.KeyFailed, "Vault answered status %d for the master key %s", status, m.id)
		}
	}
	var away *url.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fault.New(fault.KeyFailed, "Vault does not answer in time for the master key %s", m.id)
	case errors.As(err, &away):
		// Its cause is the network's, and has only addresses in it.
		return fault.Wrap(fault.KeyFailed, away.Err, "Vault cannot be reached for the master key %s", m.id)
	}
	return fault.New(fault.KeyFailed, "Vault's answer for the master key %s cannot be read", m.id)
}
