package gostpki_test

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"dalel/internal/cms"
	"dalel/internal/nucsamples"
	"dalel/internal/pki"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/cryptobyte"
	tags "golang.org/x/crypto/cryptobyte/asn1"
)

// samples are files of НУЦ РК's own making. They are nobody's to copy, so they
// are read from outside.
type samples struct {
	t            *testing.T
	known        *pki.Algorithms
	certificates []*x509.Certificate
	files        map[string][]byte // in DER, by path
	texts        [][]byte          // what detached signatures may be over
	checked      map[string]int    // by what it is and which algorithm
	skipped      map[string]int    // by why
	// any says that the files may be anything: then what does not fit is counted,
	// and only what must hold of every file is demanded.
	any bool
}

// TestR_C2_SamplesOfTheNationalAuthority checks the mathematics of everything
// signed that is found: certificates, CRLs, OCSP answers, time tokens and CMS.
// Dates and names do not matter here. Of each signature a changed copy is
// checked too, and must not pass.
func TestR_C2_SamplesOfTheNationalAuthority(t *testing.T) {
	s := &samples{t: t}
	s.read(nucsamples.Known(t))
	require.NotEmpty(t, s.checked, "nothing was found to verify")
}

// TestR_C4_WhateverASampleIsAChangedCopyDoesNotPass does the same to all that may be
// put among the samples: what fits no key is counted, and nothing else goes wrong.
func TestR_C4_WhateverASampleIsAChangedCopyDoesNotPass(t *testing.T) {
	s := &samples{t: t, any: true}
	s.read(nucsamples.All(t))
}

func (s *samples) read(files []nucsamples.File) {
	s.known, s.files, s.checked, s.skipped = algorithms(), map[string][]byte{}, map[string]int{}, map[string]int{}
	seen := map[string]bool{}
	for _, file := range files {
		if seen[string(file.Data)] {
			continue
		}
		seen[string(file.Data)] = true
		s.texts = append(s.texts, file.Data, bytes.TrimSpace(file.Data))
		s.files[file.Path] = file.DER
	}
	for _, der := range s.files {
		s.collect(der)
	}
	for _, certificate := range s.certificates {
		s.certificate(certificate)
	}
	for path, der := range s.files {
		s.file(path, der)
	}
	for what, count := range s.checked {
		s.t.Logf("verified %3d  %s", count, what)
	}
	for why, count := range s.skipped {
		s.t.Logf("left out %3d  %s", count, why)
	}
}

// demand fails the test where the files are known, and else counts what was not so
// and says that it was not.
func (s *samples) demand(holds bool, otherwise string, args ...any) bool {
	s.t.Helper()
	otherwise = fmt.Sprintf(otherwise, args...)
	if !s.any {
		require.True(s.t, holds, otherwise)
	}
	if !holds {
		s.skipped[otherwise]++
	}
	return holds
}

// collect finds the certificates in a file, wherever they are in it.
func (s *samples) collect(der []byte) {
	if certificate, err := pki.ParseCertificate(der); err == nil {
		for _, c := range s.certificates {
			if c.Equal(certificate) {
				return
			}
		}
		s.certificates = append(s.certificates, certificate)
		return
	}
	// What looks like a SEQUENCE of some size is tried as a certificate.
	for i := 0; i+4 < len(der); i++ {
		if der[i] != 0x30 || der[i+1] != 0x82 {
			continue
		}
		size := 4 + int(der[i+2])<<8 + int(der[i+3])
		if i == 0 || i+size > len(der) {
			continue
		}
		if _, err := x509.ParseCertificate(der[i : i+size]); err == nil {
			s.collect(der[i : i+size])
		}
	}
}

func gost(identifier pki.Identifier) bool {
	return strings.HasPrefix(identifier.OID, "1.2.398.3.10.")
}

// message checks a signature over a message with the key of any certificate
// that may have made it, and then that nothing changed passes.
func (s *samples) message(what string, identifier pki.Identifier, message, signature []byte, by []*x509.Certificate) {
	if !gost(identifier) {
		s.skipped[what+" not by GOST"]++
		return
	}
	for _, certificate := range by {
		key, err := pki.ReadPublicKey(certificate.RawSubjectPublicKeyInfo)
		if !s.demand(err == nil, "%s: a key that is not read: %v", what, err) {
			continue
		}
		err = s.known.CheckMessage(identifier, key, message, signature)
		if err != nil {
			s.demand(errors.Is(err, pki.ErrMismatch), "%s: %v", what, err)
			continue
		}
		s.checked[what+", "+identifier.OID]++
		changed := bytes.Clone(message)
		changed[len(changed)/2] ^= 1
		require.ErrorIs(s.t, s.known.CheckMessage(identifier, key, changed, signature), pki.ErrMismatch)
		changed = bytes.Clone(signature)
		changed[len(changed)/2] ^= 1
		require.ErrorIs(s.t, s.known.CheckMessage(identifier, key, message, changed), pki.ErrMismatch)
		return
	}
	if !s.demand(len(by) == 0, "%s: %s: none of the keys fits", what, identifier.OID) {
		return
	}
	s.skipped[what+" whose issuer is not among the samples"]++
}

// split takes what is signed, the algorithm and the signature out of the outer
// layer that certificates, CRLs and OCSP answers share.
func split(der []byte) (identifier pki.Identifier, signed, signature []byte, ok bool) {
	s := cryptobyte.String(der)
	var body, tbs cryptobyte.String
	ok = s.ReadASN1(&body, tags.SEQUENCE) && body.ReadASN1Element(&tbs, tags.SEQUENCE) &&
		pki.ReadIdentifier(&body, &identifier) && body.ReadASN1BitStringAsBytes(&signature)
	return identifier, tbs, signature, ok
}

func (s *samples) certificate(certificate *x509.Certificate) {
	identifier, signed, signature, ok := split(certificate.Raw)
	if !s.demand(ok && len(signature) > 0, "a certificate in pieces") {
		return
	}
	var issuers []*x509.Certificate
	for _, c := range s.certificates {
		sameKey := len(c.SubjectKeyId) == 0 || len(certificate.AuthorityKeyId) == 0 || bytes.Equal(c.SubjectKeyId, certificate.AuthorityKeyId)
		if bytes.Equal(c.RawSubject, certificate.RawIssuer) && sameKey {
			issuers = append(issuers, c)
		}
	}
	s.message("certificate", identifier, signed, signature, issuers)
}

// file checks what a file is, other than a certificate.
func (s *samples) file(path string, der []byte) {
	if message, err := cms.Parse(der); err == nil {
		s.signedData("CMS", message)
		return
	}
	outer := cryptobyte.String(der)
	var body, inner, kind cryptobyte.String
	// OCSPResponse: a status, and the answer in an OCTET STRING.
	if outer.ReadASN1(&body, tags.SEQUENCE) && body.ReadASN1(&kind, tags.ENUM) &&
		body.ReadASN1(&inner, tags.Tag(0).ContextSpecific().Constructed()) && inner.ReadASN1(&body, tags.SEQUENCE) &&
		body.SkipASN1(tags.OBJECT_IDENTIFIER) && body.ReadASN1(&inner, tags.OCTET_STRING) {
		identifier, signed, signature, ok := split(inner)
		if !s.demand(ok && len(signature) > 0, "%s: an OCSP answer in pieces", path) {
			return
		}
		own := &samples{}
		own.collect(append([]byte{0}, inner...))
		s.message("OCSP answer", identifier, signed, signature, own.certificates)
		return
	}
	// TimeStampResp: a status, then the token.
	outer = cryptobyte.String(der)
	if outer.ReadASN1(&body, tags.SEQUENCE) && body.SkipASN1(tags.SEQUENCE) && len(body) > 0 {
		if message, err := cms.Parse(body); err == nil {
			s.signedData("time token", message)
			return
		}
	}
	if _, err := pki.ParseCertificate(der); err == nil {
		return // done already
	}
	if identifier, signed, signature, ok := split(der); ok && len(signature) > 0 {
		var issuer cryptobyte.String
		tbs := cryptobyte.String(signed)
		if tbs.ReadASN1(&body, tags.SEQUENCE) && body.SkipOptionalASN1(tags.INTEGER) &&
			body.SkipASN1(tags.SEQUENCE) && body.ReadASN1Element(&issuer, tags.SEQUENCE) {
			var issuers []*x509.Certificate
			for _, c := range s.certificates {
				if bytes.Equal(c.RawSubject, issuer) {
					issuers = append(issuers, c)
				}
			}
			s.message("CRL", identifier, signed, signature, issuers)
			return
		}
	}
	s.skipped["file of another kind ("+filepath.Ext(path)+")"]++
}

// signedData checks every signer of a CMS and the time tokens beside it.
func (s *samples) signedData(what string, message *cms.SignedData) {
	certificates := &samples{}
	for _, der := range message.Certificates {
		certificates.collect(der)
	}
	for _, signer := range message.Signers {
		for _, attribute := range signer.UnsignedAttributes {
			if attribute.OID != cms.OIDSignatureTimeToken {
				continue
			}
			for _, value := range attribute.Values {
				token, err := cms.Parse(value)
				if !s.demand(err == nil, "%s: a time token that is none: %v", what, err) {
					continue
				}
				s.signedData("time token", token)
			}
		}
		if !gost(signer.SignatureAlgorithm) {
			s.skipped[what+" not by GOST"]++
			continue
		}
		scheme, err := s.known.Scheme(signer.SignatureAlgorithm)
		if !s.demand(err == nil, "%s: %v", what, err) {
			continue
		}
		digest, err := s.known.Digest(signer.DigestAlgorithm)
		if !s.demand(err == nil, "%s: %v", what, err) {
			continue
		}
		sum := func(p []byte) []byte {
			h := digest.New()
			h.Write(p)
			return h.Sum(nil)
		}
		stated, ok := cms.Find(signer.SignedAttributes, cms.OIDMessageDigest)
		if !s.demand(ok && len(stated.Values) == 1, "%s without a digest of its content", what) {
			continue
		}
		contents := [][]byte{message.Content}
		if message.Detached {
			contents = s.texts
		}
		found := false
		for _, content := range contents {
			found = found || bytes.HasSuffix(stated.Values[0], sum(content))
		}
		if found {
			s.checked[what+" digest of the content, "+digest.OID]++
		} else {
			s.demand(message.Detached, "%s: the digest of an attached content differs", what)
			s.skipped[what+" digest: its content is not among the samples"]++
		}
		fits := 0
		for _, certificate := range certificates.certificates {
			if !bytes.Equal(certificate.RawIssuer, signer.Issuer) || certificate.SerialNumber.Cmp(signer.Serial) != 0 {
				continue
			}
			key, err := pki.ReadPublicKey(certificate.RawSubjectPublicKeyInfo)
			if !s.demand(err == nil, "%s: a key that is not read: %v", what, err) {
				continue
			}
			signed := sum(signer.SignedBytes)
			err = scheme.Verify(key, digest, signed, signer.Signature)
			if !s.demand(err == nil, "%s: a certificate whose key does not fit: %v", what, err) {
				continue
			}
			fits++
			s.checked[what+" signer, "+scheme.OID]++
			signed[len(signed)/2] ^= 1
			require.ErrorIs(s.t, scheme.Verify(key, digest, signed, signer.Signature), pki.ErrMismatch)
		}
		if fits == 0 {
			s.skipped[what+" signer whose certificate is not in it, or does not fit"]++
		}
	}
}
