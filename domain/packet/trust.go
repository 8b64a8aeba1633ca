package packet

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	anchors "dalel/domain/trust"
	"dalel/internal/fault"
	"dalel/internal/pki"
)

// Trust is the anchors of the person who checks. The zero Trust has none.
type Trust struct {
	// Roots are certificates of certification authorities.
	Roots []*x509.Certificate
	// Operators are certificates of the seals of operators, each trusted as it
	// stands: whoever put it here vouches for it, and its own dates are not
	// asked, so that a packet can be checked when it has ended. Keep the
	// earlier certificates of an operator beside the present one.
	Operators []*x509.Certificate
	// Responders are certificates of OCSP responders, trusted for answers about
	// certificates as they stand. They anchor nothing by themselves.
	Responders []*x509.Certificate
}

// IsZero reports whether there is nothing that a packet could rest on.
func (t Trust) IsZero() bool { return len(t.Roots) == 0 && len(t.Operators) == 0 }

// Bounds of a folder of anchors.
const (
	maxTrustFiles = 1000
	maxTrustBytes = 1 << 20
)

// LoadTrust reads anchors from the files *.cer, *.crt, *.pem and *.der in a
// folder and in its folders, one level deep. A file is one certificate in DER
// or any number in PEM. A certificate that says it is a CA's (basicConstraints)
// is a root, one of an OCSP responder or a time-stamping authority (extended
// key usage) is that, and any other an operator's; so an operator's own
// certificate must say none of it. A time-stamping authority is passed over:
// packets bring what their tokens need, and it must lead to a root. A file that cannot be read is config.invalid: an anchor that is
// passed over in silence would look like a packet that is not trusted.
func LoadTrust(folder string) (Trust, error) {
	var trust Trust
	var paths []string
	var list func(folder string, deeper bool) error
	list = func(folder string, deeper bool) error {
		entries, err := os.ReadDir(folder)
		if err != nil {
			return fault.Wrap(fault.ConfigInvalid, err, "the folder of trust anchors cannot be read")
		}
		for _, entry := range entries {
			path := filepath.Join(folder, entry.Name())
			if info, err := os.Stat(path); err == nil && info.IsDir() {
				if deeper {
					if err := list(path, false); err != nil {
						return err
					}
				}
				continue
			}
			switch strings.ToLower(filepath.Ext(path)) {
			case ".cer", ".crt", ".pem", ".der":
				paths = append(paths, path)
			}
			if len(paths) > maxTrustFiles {
				return fault.New(fault.ConfigInvalid, "more than %d trust anchors", maxTrustFiles)
			}
		}
		return nil
	}
	if err := list(folder, true); err != nil {
		return Trust{}, err
	}
	for _, path := range paths {
		certificates, err := readCertificates(path)
		if err != nil {
			return Trust{}, fault.Wrap(fault.ConfigInvalid, err, "trust anchor %s cannot be read", filepath.Base(path))
		}
		for _, certificate := range certificates {
			kind, _ := anchors.KindOf(certificate)
			switch {
			case certificate.BasicConstraintsValid && certificate.IsCA:
				trust.Roots = append(trust.Roots, certificate)
			case kind == anchors.Responder:
				trust.Responders = append(trust.Responders, certificate)
			case kind == anchors.TimeStamping:
				// The key that stamps time must seal no packets.
			default:
				trust.Operators = append(trust.Operators, certificate)
			}
		}
	}
	return trust, nil
}

func readCertificates(path string) ([]*x509.Certificate, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxTrustBytes+1))
	if err != nil {
		return nil, err
	}
	if len(content) > maxTrustBytes {
		return nil, fmt.Errorf("more than %d bytes", maxTrustBytes)
	}
	if !bytes.Contains(content, []byte("-----BEGIN ")) {
		certificate, err := pki.ParseCertificate(content)
		if err != nil {
			return nil, err
		}
		return []*x509.Certificate{certificate}, nil
	}
	var certificates []*x509.Certificate
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("a PEM block is %q, not CERTIFICATE", block.Type)
		}
		certificate, err := pki.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		certificates = append(certificates, certificate)
	}
	if len(certificates) == 0 {
		return nil, fmt.Errorf("no certificate in it")
	}
	return certificates, nil
}
