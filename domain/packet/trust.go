package packet

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	anchors "dalel/domain/trust"
	"dalel/internal/cosignature"
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
	// Logs are the public keys of transparency logs, Witnesses those of
	// witnesses of logs.
	Logs, Witnesses []Key
	// Policy says which witnesses must have cosigned a checkpoint
	// (c2sp.org/tlog-policy); with none, one of Witnesses is enough. The logs
	// and witnesses that it names are anchors too.
	Policy *cosignature.Policy
	// policyLogs are the keys of the logs in the policy.
	policyLogs []Key
}

// Key is a public key as a signed note's are written (a vkey).
type Key struct{ VKey string }

// IsZero reports whether there is nothing that a packet could rest on.
func (t Trust) IsZero() bool {
	return len(t.Roots) == 0 && len(t.Operators) == 0 && len(t.logs()) == 0 && len(t.Witnesses) == 0 && t.Policy == nil
}

// logs are the keys of all logs that are trusted.
func (t Trust) logs() []Key { return slices.Concat(t.Logs, t.policyLogs) }

// asksForLog says that somebody with these anchors expects proofs of a
// transparency log.
func (t Trust) asksForLog() bool {
	return len(t.logs()) > 0 || len(t.Witnesses) > 0 || t.asksForWitnesses()
}

// asksForWitnesses says that a checkpoint without cosignatures is not enough.
func (t Trust) asksForWitnesses() bool { return t.Policy != nil && t.Policy.AsksForWitnesses() }

// policy is the policy, with enough true, or one that names all witnesses. A
// key that cannot be read is passed over: LoadTrust lets none in.
func (t Trust) policy() (policy cosignature.Policy, enough bool) {
	if t.Policy != nil {
		return *t.Policy, true
	}
	var keys []string
	for _, key := range t.Witnesses {
		if _, err := cosignature.ParseWitnessKey(key.VKey); err == nil && !slices.Contains(keys, key.VKey) {
			keys = append(keys, key.VKey)
		}
	}
	policy, err := cosignature.AllOf(keys...)
	if err != nil {
		return cosignature.Policy{}, false
	}
	return policy, false
}

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
//
// A file *.vkey has public keys of logs and of witnesses, one a line: which of
// the two a key is for is in the key. A file named policy is a tlog-policy
// (c2sp.org/tlog-policy), of which there is one at most.
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
			case ".cer", ".crt", ".pem", ".der", ".vkey":
				paths = append(paths, path)
			case "":
				if entry.Name() == policyName {
					paths = append(paths, path)
				}
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
		var err error
		switch {
		case filepath.Base(path) == policyName:
			err = trust.readPolicy(path)
		case strings.EqualFold(filepath.Ext(path), ".vkey"):
			err = trust.readKeys(path)
		default:
			err = trust.readCertificates(path)
		}
		if err != nil {
			return Trust{}, fault.Wrap(fault.ConfigInvalid, err, "trust anchor %s cannot be read", filepath.Base(path))
		}
	}
	return trust, nil
}

// policyName is the file of a policy.
const policyName = "policy"

func readTrustFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close() // it was only read
	content, err := io.ReadAll(io.LimitReader(file, maxTrustBytes+1))
	if err == nil && len(content) > maxTrustBytes {
		err = fmt.Errorf("more than %d bytes", maxTrustBytes)
	}
	return content, err
}

func (t *Trust) readPolicy(path string) error {
	content, err := readTrustFile(path)
	if err != nil {
		return err
	}
	if t.Policy != nil {
		return errors.New("there is another policy")
	}
	policy, err := cosignature.ParsePolicy(content)
	if err != nil {
		return err
	}
	t.Policy = &policy
	for line := range strings.Lines(string(content)) {
		if words := strings.Fields(line); len(words) > 1 && words[0] == "log" {
			t.policyLogs = append(t.policyLogs, Key{words[1]})
		}
	}
	return nil
}

// readKeys reads public keys, one a line.
func (t *Trust) readKeys(path string) error {
	content, err := readTrustFile(path)
	if err != nil {
		return err
	}
	found := false
	for line := range strings.Lines(string(content)) {
		text := strings.TrimSpace(line)
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		found = true
		if _, err := cosignature.ParseLogKey(text); err == nil {
			t.Logs = append(t.Logs, Key{text})
			continue
		}
		if _, err := cosignature.ParseWitnessKey(text); err != nil {
			return fmt.Errorf("it is the key of neither a log nor a witness: %w", err)
		}
		t.Witnesses = append(t.Witnesses, Key{text})
	}
	if !found {
		return errors.New("no key in it")
	}
	return nil
}

func (t *Trust) readCertificates(path string) error {
	certificates, err := readCertificates(path)
	if err != nil {
		return err
	}
	for _, certificate := range certificates {
		kind, _ := anchors.KindOf(certificate)
		switch {
		case certificate.BasicConstraintsValid && certificate.IsCA:
			t.Roots = append(t.Roots, certificate)
		case kind == anchors.Responder:
			t.Responders = append(t.Responders, certificate)
		case kind == anchors.TimeStamping:
			// The key that stamps time must seal no packets.
		default:
			t.Operators = append(t.Operators, certificate)
		}
	}
	return nil
}
func readCertificates(path string) ([]*x509.Certificate, error) {
	content, err := readTrustFile(path)
	if err != nil {
		return nil, err
	}
	return pki.ParseCertificates(content)
}
