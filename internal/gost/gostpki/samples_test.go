package gostpki_test

import (
	"bytes"
	"crypto/x509"
	"errors"
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
}

// TestR_C2_SamplesOfTheNationalAuthority checks the mathematics of everything
// signed that is found: certificates, CRLs, OCSP answers, time tokens and CMS.
// Dates and names do not matter here. Of each signature a changed copy is
// checked too, and must not pass.
func TestR_C2_SamplesOfTheNationalAuthority(t *testing.T) {
	s := &samples{t: t, known: algorithms(), files: map[string][]byte{}, checked: map[string]int{}, skipped: map[string]int{}}
	for _, file := range nucsamples.All(t) {
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
		t.Logf("verified %3d  %s", count, what)
	}
	for why, count := range s.skipped {
		t.Logf("left out %3d  %s", count, why)
	}
	require.NotEmpty(t, s.checked, "nothing was found to verify")
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
		require.NoError(s.t, err)
		err = s.known.CheckMessage(identifier, key, message, signature)
		if err != nil {
			require.True(s.t, errors.Is(err, pki.ErrMismatch), "%s: %v", what, err)
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
	require.Empty(s.t, by, "%s: %s: none of the keys fits", what, identifier.OID)
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
	require.True(s.t, ok)
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
		require.True(s.t, ok, path)
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
	if identifier, signed, signature, ok := split(der); ok {
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
				require.NoError(s.t, err)
				s.signedData("time token", token)
			}
		}
		if !gost(signer.SignatureAlgorithm) {
			s.skipped[what+" not by GOST"]++
			continue
		}
		scheme, err := s.known.Scheme(signer.SignatureAlgorithm)
		require.NoError(s.t, err)
		digest, err := s.known.Digest(signer.DigestAlgorithm)
		require.NoError(s.t, err)
		sum := func(p []byte) []byte {
			h := digest.New()
			h.Write(p)
			return h.Sum(nil)
		}
		stated, ok := cms.Find(signer.SignedAttributes, cms.OIDMessageDigest)
		require.True(s.t, ok)
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
			require.True(s.t, message.Detached, "the digest of an attached content differs")
			s.skipped[what+" digest: its content is not among the samples"]++
		}
		fits := 0
		for _, certificate := range certificates.certificates {
			if !bytes.Equal(certificate.RawIssuer, signer.Issuer) || certificate.SerialNumber.Cmp(signer.Serial) != 0 {
				continue
			}
			key, err := pki.ReadPublicKey(certificate.RawSubjectPublicKeyInfo)
			require.NoError(s.t, err)
			signed := sum(signer.SignedBytes)
			require.NoError(s.t, scheme.Verify(key, digest, signed, signer.Signature), what)
			fits++
			s.checked[what+" signer, "+scheme.OID]++
			signed[len(signed)/2] ^= 1
			require.ErrorIs(s.t, scheme.Verify(key, digest, signed, signer.Signature), pki.ErrMismatch)
		}
		if fits == 0 {
			s.skipped[what+" signer whose certificate is not in it"]++
		}
	}
}
