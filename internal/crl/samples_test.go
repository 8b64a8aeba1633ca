package crl_test

import (
	"bytes"
	"crypto/x509"
	"math/big"
	"path/filepath"
	"testing"

	"dalel/internal/crl"
	"dalel/internal/crl/crltest"
	"dalel/internal/nucsamples"
	"dalel/internal/pki"

	"github.com/stretchr/testify/require"
)

// TestR_C2_SamplesOfTheNationalAuthority verifies every list among the known samples,
// asks it about all that it names, and adds the deltas to their bases.
func TestR_C2_SamplesOfTheNationalAuthority(t *testing.T) {
	var issuers []*x509.Certificate
	lists := map[string]*crl.List{}
	for _, file := range nucsamples.Known(t) {
		if certificate, err := pki.ParseCertificate(file.DER); err == nil && certificate.IsCA {
			issuers = append(issuers, certificate)
		}
		if filepath.Ext(file.Path) == ".crl" {
			list, err := crl.Parse(file.DER)
			require.NoError(t, err, file.Path)
			lists[file.Path] = list
		}
	}
	require.NotEmpty(t, lists, "there are no revocation lists among the samples")
	verified := map[string]*crl.Verified{}
	for path, list := range lists {
		for _, issuer := range issuers {
			v, err := crl.Verify(list, issuer, known())
			if err != nil {
				require.ErrorContains(t, err, crl.OtherIssuer, path)
				continue
			}
			verified[path] = v
			changed := bytes.Clone(list.Raw())
			changed[len(changed)/2] ^= 1
			require.Equal(t, crl.Unreliable, crltest.Judge(changed, nil, issuer, known(), crl.Question{Subject: crl.Subject{Serial: big.NewInt(1)}, At: list.ThisUpdate}).Status)
		}
		require.NotNil(t, verified[path], "%s: its issuer is not among the samples", path)
		t.Logf("%s: %d entries, number %s, base %v, to %s", filepath.Base(path), list.Entries, list.Number, list.Base, list.NextUpdate)
		want := crl.CodeGood
		if list.Base != nil {
			want = crl.BaseMissing
		}
		require.Equal(t, want, verified[path].Check(crl.Question{Subject: crl.Subject{Serial: big.NewInt(1)}, At: list.ThisUpdate}).Code)
		if theirs, err := x509.ParseRevocationList(list.Raw()); err == nil {
			require.Len(t, theirs.RevokedCertificateEntries, list.Entries)
			for _, entry := range theirs.RevokedCertificateEntries {
				answer := verified[path].Check(crl.Question{Subject: crl.Subject{Serial: entry.SerialNumber}, At: list.ThisUpdate})
				require.Equal(t, crl.CodeRevoked, answer.Code)
				require.True(t, entry.RevocationTime.Equal(answer.RevokedAt))
				require.Equal(t, entry.ReasonCode, int(answer.Reason))
			}
		} else {
			t.Logf("%s: the standard library does not read it: %v", filepath.Base(path), err)
		}
	}
	for deltaPath, delta := range verified {
		for path, full := range verified {
			if delta.List().Base == nil || full.List().Base != nil || !bytes.Equal(delta.List().Issuer, full.List().Issuer) {
				continue
			}
			both, err := full.WithDelta(delta)
			if err != nil {
				t.Logf("%s to %s: %v", filepath.Base(deltaPath), filepath.Base(path), err)
				require.Negative(t, full.List().Number.Cmp(delta.List().Base), "only a base that is too old is refused")
				continue
			}
			answer := both.Check(crl.Question{Subject: crl.Subject{Serial: big.NewInt(1)}, At: delta.List().ThisUpdate})
			require.Equal(t, crl.CodeGood, answer.Code, answer.Detail)
			t.Logf("%s (number %s) to %s (number %s): good from %s to %s", filepath.Base(deltaPath), answer.DeltaNumber, filepath.Base(path), answer.Number, answer.From, answer.To)
		}
	}
}

// TestR_C4_WhateverASampleIsItsListIsOfTheTable asks all that may be put among the
// samples what must hold of every list: its answer's code is of the table, it is
// the same a second time, and whoever reads the list besides us finds the same
// certificates in it.
func TestR_C4_WhateverASampleIsItsListIsOfTheTable(t *testing.T) {
	var codes []string
	for _, d := range crl.Definitions() {
		codes = append(codes, d.Code)
	}
	files := nucsamples.All(t)
	var issuers []*x509.Certificate
	seen := map[string]bool{}
	for _, file := range files {
		if certificate, err := pki.ParseCertificate(file.DER); err == nil && certificate.IsCA && !seen[string(certificate.Raw)] {
			seen[string(certificate.Raw)] = true
			issuers = append(issuers, certificate)
		}
	}
	for _, file := range files {
		list, err := crl.Parse(file.DER)
		if err != nil {
			continue
		}
		told := false
		for _, issuer := range issuers {
			q := crl.Question{Subject: crl.Subject{Serial: big.NewInt(1)}, At: list.ThisUpdate}
			answer := crltest.Judge(file.DER, nil, issuer, known(), q)
			require.Contains(t, codes, answer.Code, file.Path)
			require.Equal(t, crl.StatusOf(answer.Code), answer.Status, file.Path)
			require.Equal(t, answer, crltest.Judge(file.DER, nil, issuer, known(), q), file.Path)
			verified, err := crl.Verify(list, issuer, known())
			if err != nil {
				require.Equal(t, crl.Unreliable, answer.Status, file.Path)
				continue
			}
			told = true
			changed := bytes.Clone(file.DER)
			changed[len(changed)/2] ^= 1
			require.Equal(t, crl.Unreliable, crltest.Judge(changed, nil, issuer, known(), q).Status, file.Path)
			theirs, err := x509.ParseRevocationList(list.Raw())
			if err != nil {
				t.Logf("%s: the standard library does not read it: %v", file.Path, err)
				continue
			}
			require.Len(t, theirs.RevokedCertificateEntries, list.Entries, file.Path)
			for _, entry := range theirs.RevokedCertificateEntries[:min(len(theirs.RevokedCertificateEntries), 100)] {
				answer := verified.Check(crl.Question{Subject: crl.Subject{Serial: entry.SerialNumber}, At: list.ThisUpdate})
				require.Contains(t, codes, answer.Code, file.Path)
				require.NotEqual(t, crl.CodeGood, answer.Code, "%s: a certificate that is in the list", file.Path)
			}
		}
		if !told {
			t.Logf("%s: no issuer among the samples signed it", file.Path)
		}
	}
}
