package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"dalel/domain/signature"
	"dalel/domain/trust"
	"dalel/internal/durable"
	"dalel/internal/pki"
)

// This file is about the folder of trust anchors, which is what a node trusts
// from its start on.

// readAnchors reads the certificates in a folder that can be anchors. The
// others in it (the operator's seal) trust nobody.
func readAnchors(dir string) ([]*x509.Certificate, error) {
	roots, others, err := readRoots(dir)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Concat(roots, others), func(c *x509.Certificate) bool {
		_, ok := trust.KindOf(c)
		return !ok
	}), nil
}

// policyOf is the policy that rests on anchors. A time-stamping authority's
// certificate is at hand and no more: it has to lead to a root by itself.
func policyOf(anchors []*x509.Certificate) *signature.Policy {
	policy := &signature.Policy{}
	for _, certificate := range anchors {
		switch kind, _ := trust.KindOf(certificate); kind {
		case trust.Root:
			policy.Roots = append(policy.Roots, certificate)
		case trust.Issuing:
			policy.Intermediates = append(policy.Intermediates, certificate)
		case trust.Responder:
			policy.Responders = append(policy.Responders, certificate)
		case trust.TimeStamping:
			policy.Offered = append(policy.Offered, certificate)
		}
	}
	return policy
}

// recordTrust records anchors that came into the folder or went from it
// without a command, so that nothing is trusted in silence.
func (n *node) recordTrust(ctx context.Context, log *slog.Logger) error {
	changes, err := n.ledger.RecordTrust(ctx, ders(n.anchors))
	if err != nil {
		return fmt.Errorf("record the trust anchors in %s: %w", n.trust, err)
	}
	for _, change := range changes {
		what := "a trust anchor was found in the folder"
		if !change.Added {
			what = "a trust anchor is gone from the folder"
		}
		log.Info(what, "kind", change.Anchor.Kind, "fingerprint", change.Anchor.Fingerprint, "known", change.Anchor.Known)
	}
	return nil
}

func ders(certificates []*x509.Certificate) [][]byte {
	list := make([][]byte, len(certificates))
	for i, certificate := range certificates {
		list[i] = certificate.Raw
	}
	return list
}

// readAnchorFile reads the certificates in a file that somebody gave: any
// number in PEM, or one in DER or base64.
func readAnchorFile(path string) ([]*x509.Certificate, error) {
	data, err := readBounded(path, maxRootFileSize)
	if err != nil {
		return nil, err
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if !bytes.Contains(data, []byte("-----BEGIN ")) {
		if data, err = unwrapped(data); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	certificates, err := pki.ParseCertificates(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return certificates, nil
}

// staged are files of anchors that are written and synced under names which
// nobody reads, and only have to be named rightly.
type staged struct {
	dir   string
	paths map[string]string // from the name now to that in the end
}

const stagedSuffix = ".new"

// stage writes certificates into the folder without putting them into force.
func stage(dir string, certificates []*x509.Certificate) (s staged, err error) {
	s = staged{dir: dir, paths: map[string]string{}}
	defer func() {
		if err != nil {
			s.discard()
		}
	}()
	for _, certificate := range certificates {
		path := filepath.Join(dir, trust.FingerprintOf(certificate.Raw)+".cer")
		if err := replaceNew(path+stagedSuffix, certificate.Raw); err != nil {
			return s, err
		}
		s.paths[path+stagedSuffix] = path
	}
	return s, nil
}

// replaceNew writes a file of ours, in the place of what a command that was
// cut off has left.
func replaceNew(path string, content []byte) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return durable.Create(path, content, 0o644)
}

// publish puts the certificates into force for the nodes that start from now
// on.
func (s staged) publish() error {
	for from, to := range s.paths {
		if err := os.Rename(from, to); err != nil {
			return err
		}
	}
	return durable.SyncFolder(s.dir)
}

// discard removes what is not published. What it cannot remove is never read.
func (s staged) discard() {
	for path := range s.paths {
		_ = os.Remove(path)
	}
}

// removeAnchorFiles takes a certificate out of a folder: a file that has it
// alone is removed, one that has others beside it is written anew with those.
func removeAnchorFiles(dir, fingerprint string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.IsDir() || !slices.Contains(rootExtensions(), strings.ToLower(filepath.Ext(entry.Name()))) {
			continue
		}
		path := filepath.Join(dir, entry.Name())
		certificates, err := readAnchorFile(path)
		if err != nil {
			return err
		}
		var left bytes.Buffer
		found := false
		for _, certificate := range certificates {
			if trust.FingerprintOf(certificate.Raw) == fingerprint {
				found = true
				continue
			}
			if err := pem.Encode(&left, &pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw}); err != nil {
				return err
			}
		}
		switch {
		case !found:
		case left.Len() == 0:
			err = os.Remove(path)
		default:
			if err = replaceNew(path+stagedSuffix, left.Bytes()); err == nil {
				err = os.Rename(path+stagedSuffix, path)
			}
		}
		if err != nil {
			return err
		}
	}
	return durable.SyncFolder(dir)
}
