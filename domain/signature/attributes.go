package signature

import (
	"bytes"
	"crypto/sha1"
	"crypto/x509"
	"slices"
	"strings"
	"time"

	"dalel/internal/cms"
	"dalel/internal/pki"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// attributes checks the signed attributes and returns the candidates that the
// signer's own word does not exclude: all of them if it says nothing of its
// certificate or excludes every one.
func (s *signerCheck) attributes(candidates []*x509.Certificate, digestKnown bool) []*x509.Certificate {
	for _, value := range s.values(cms.OIDContentType, true) {
		var contentType string
		v := cryptobyte.String(value)
		if !pki.ReadOID(&v, &contentType) || !v.Empty() {
			s.add(AttributesMalformed, "content type")
		} else if contentType != s.message.ContentType {
			s.add(AttributesContentType, "signed as %s, stated as %s", contentType, s.message.ContentType)
		}
	}
	for _, value := range s.values(cms.OIDMessageDigest, true) {
		var digest cryptobyte.String
		v := cryptobyte.String(value)
		if !v.ReadASN1(&digest, asn1.OCTET_STRING) || !v.Empty() {
			s.add(AttributesMalformed, "message digest")
		} else if digestKnown && !s.content.missing && !bytes.Equal(digest, s.content.sums[s.signer.DigestAlgorithm.OID]) {
			s.add(DigestMismatch, "the content's digest is not the signed one")
		}
	}
	for _, value := range s.values(cms.OIDSigningTime, false) {
		if at, ok := readTime(value); ok {
			s.verdict.ClaimedAt = &at
		} else {
			s.add(AttributesMalformed, "signing time")
		}
	}
	for _, value := range s.values(cms.OIDAlgorithmProtection, false) {
		s.algorithmProtection(value)
	}
	for _, value := range s.values(cms.OIDSigningCertificate2, false) {
		candidates = s.signingCertificate(candidates, value, cms.OIDSigningCertificate2, pki.OIDSHA256)
	}
	for _, value := range s.values(cms.OIDSigningCertificate, false) {
		candidates = s.signingCertificate(candidates, value, cms.OIDSigningCertificate, pki.OIDSHA1)
	}
	return candidates
}

// values returns the values of the signed attributes of a type, each of which
// must have exactly one. Where there are several, what each says must hold.
func (s *signerCheck) values(oid string, required bool) (values [][]byte) {
	attributes := cms.All(s.signer.SignedAttributes, oid)
	if len(attributes) == 0 && required {
		s.add(AttributesMissing, "signed attribute %s", oid)
	}
	for _, attribute := range attributes {
		if len(attribute.Values) != 1 {
			s.add(AttributesMalformed, "signed attribute %s has %d values", oid, len(attribute.Values))
			continue
		}
		values = append(values, attribute.Values[0])
	}
	return values
}

// readTime reads a Time (RFC 5652, 11.3). A fraction of a second, which is not
// allowed there and is written all the same, is read: the time is no more than a
// claim, and whether the signature holds does not hang on how it is put.
func readTime(der []byte) (time.Time, bool) {
	v := cryptobyte.String(der)
	var at time.Time
	if v.PeekASN1Tag(asn1.UTCTime) {
		if !v.ReadASN1UTCTime(&at) || !v.Empty() {
			return time.Time{}, false
		}
		return at.UTC(), true
	}
	if whole := v; whole.ReadASN1GeneralizedTime(&at) && whole.Empty() {
		return at.UTC(), true
	}
	var text cryptobyte.String
	if !v.ReadASN1(&text, asn1.GeneralizedTime) || !v.Empty() {
		return time.Time{}, false
	}
	seconds, fraction, ok := strings.Cut(string(text), ".")
	fraction, utc := strings.CutSuffix(fraction, "Z")
	if !ok || !utc || len(seconds) != len("20060102150405") || len(fraction) < 1 || len(fraction) > 9 || strings.Trim(seconds+fraction, "0123456789") != "" {
		return time.Time{}, false
	}
	at, err := time.Parse("20060102150405", seconds+"."+fraction)
	return at, err == nil
}

// algorithmProtection checks RFC 6211: the signer states the algorithms, so
// that nobody can put others into the fields that are not signed.
func (s *signerCheck) algorithmProtection(der []byte) {
	v := cryptobyte.String(der)
	var body, rest cryptobyte.String
	var digest, signature pki.Identifier
	tag := asn1.Tag(1).ContextSpecific().Constructed()
	if !v.ReadASN1(&body, asn1.SEQUENCE) || !v.Empty() ||
		!pki.ReadIdentifier(&body, &digest) || !body.PeekASN1Tag(tag) ||
		!body.ReadASN1Element(&rest, tag) || !body.Empty() {
		s.add(AttributesMalformed, "algorithm protection")
		return
	}
	untagged := cryptobyte.String(append([]byte{byte(asn1.SEQUENCE)}, rest[1:]...))
	if !pki.ReadIdentifier(&untagged, &signature) {
		s.add(AttributesMalformed, "algorithm protection")
		return
	}
	if digest.OID != s.signer.DigestAlgorithm.OID || signature.OID != s.signer.SignatureAlgorithm.OID {
		s.add(AttributesAlgorithm, "signed as %s with %s, stated as %s with %s",
			signature.OID, digest.OID, s.signer.SignatureAlgorithm.OID, s.signer.DigestAlgorithm.OID)
	}
}

// signingCertificate checks RFC 5035 (version 2) or RFC 2634: the first
// ESSCertID is of the signer's certificate. Version 1 is bound to SHA-1; a
// match there adds nothing to what the signature proves, a mismatch counts.
func (s *signerCheck) signingCertificate(candidates []*x509.Certificate, value []byte, oid, byDefault string) []*x509.Certificate {
	v := cryptobyte.String(value)
	var body, list, first, sum cryptobyte.String
	identifier := pki.Identifier{OID: byDefault}
	good := v.ReadASN1(&body, asn1.SEQUENCE) && v.Empty() &&
		body.ReadASN1(&list, asn1.SEQUENCE) &&
		list.ReadASN1(&first, asn1.SEQUENCE)
	if good && oid == cms.OIDSigningCertificate2 && first.PeekASN1Tag(asn1.SEQUENCE) {
		good = pki.ReadIdentifier(&first, &identifier)
	}
	if !good || !first.ReadASN1(&sum, asn1.OCTET_STRING) {
		s.add(AttributesMalformed, "signing certificate")
		return candidates
	}
	newHash := sha1.New
	if oid == cms.OIDSigningCertificate2 {
		digest, err := s.algorithms.Digest(identifier)
		if err != nil {
			s.addFailed(err)
			return candidates
		}
		newHash = digest.New
	}
	kept := slices.DeleteFunc(slices.Clone(candidates), func(c *x509.Certificate) bool {
		h := newHash()
		h.Write(c.Raw)
		return !bytes.Equal(h.Sum(nil), sum)
	})
	if len(candidates) > 0 && len(kept) == 0 {
		s.add(AttributesCertificate, "the signed hash of the signer's certificate is of another one")
		return candidates
	}
	return kept
}
