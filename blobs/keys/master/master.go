// Package master has the master keys that wrap ring keys: one from a file, and
// one that stays inside HashiCorp Vault or OpenBao and is asked to wrap and
// unwrap.
//
// [FromURL] takes
//
//	file:///etc/dalel/master.key
//	hcvault://vault.example.kz:8200/transit/keys/dalel
//
// The second names a key of Vault's transit engine: host and port, the
// engine's mount path, keys, the key's name. It should be a key of type
// aes256-gcm96 that is not derived. The token comes from VAULT_TOKEN; VAULT_CACERT,
// VAULT_NAMESPACE and the other variables of Vault's own client apply. The
// connection is always TLS. The token needs "update" on the engine's
// encrypt/NAME and decrypt/NAME, and should not have "create": with it, Vault
// makes a new key for a name that was mistyped.
package master

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/url"

	"dalel/blobs/keys"
	"dalel/internal/fault"
)

// FromURL returns the master key that a URL names; config.invalid if it cannot
// be had, key.failed if the service is away.
func FromURL(ctx context.Context, address string) (keys.Master, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	u, err := url.Parse(address)
	if err != nil {
		// The error would repeat the address, and somebody may have written a
		// secret into it.
		return nil, fault.New(fault.ConfigInvalid, "the master key's address is no URL")
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fault.New(fault.ConfigInvalid, "the master key's address has no user, query or fragment")
	}
	switch u.Scheme {
	case "file":
		if u.Host != "" || u.Path == "" {
			return nil, fault.New(fault.ConfigInvalid, "a master key's file is written as file:///path")
		}
		return FromFile(u.Path)
	case "hcvault":
		return fromVault(ctx, u)
	}
	return nil, fault.New(fault.ConfigInvalid, "a master key's address begins with file:// or hcvault://")
}

// name makes an ID that tells two masters apart and gives nothing away.
func name(domain string, parts ...[]byte) string {
	sum := sha256.New()
	sum.Write([]byte(domain))
	for _, part := range parts {
		sum.Write(part)
	}
	return hex.EncodeToString(sum.Sum(nil)[:8])
}
