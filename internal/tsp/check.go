package tsp

import (
	"bytes"
	"crypto/sha1"
	"crypto/x509"
	"errors"
	"fmt"
	"hash"
	"math/big"
	"slices"
	"time"

	"dalel/internal/cms"
	"dalel/internal/crl/der"
	"dalel/internal/pki"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Question is what a token is asked.
type Question struct {
	// Message is what should have been stamped: for a signature's token, the
	// signature bytes. Imprint stands in for it where only the digest is known.
	// One of the two is needed; with both, both are checked.
	Message []byte
	Imprint *Imprint
	// Nonce is what was sent, nil for none.
	Nonce *big.Int
	// Policies are accepted; with none, any is.
	Policies []string
	// At is the moment that the token must not be after.
	At time.Time
	// Tolerance is how far the clocks of here and there may differ.
	Tolerance time.Duration
	// Roots are trusted as they stand; with none, no token is.
	Roots []*x509.Certificate
	// Intermediates are further certificates that may be needed: issuers, and
	// the authority's own when the token does not carry it.
	Intermediates []*x509.Certificate
}

// Answer is what a token proves.
type Answer struct {
	Status Status
	// Code is stable, Detail is for people and has no personal data.
	Code, Detail string
	// Undecided says of a token that is not [Good] that nothing was found wrong
	// with it: with more certificates, roots or algorithms at hand it could be.
	Undecided bool
	// Time is when what was stamped existed, Accuracy how far it may be off. They
	// are there only when Status is [Good], as all that follows.
	Time        time.Time
	Accuracy    time.Duration
	HasAccuracy bool
	Policy      string
	Serial      *big.Int
	// Certificate is the authority's, Path the certificates from it to the root,
	// both included. Their revocation is for the caller to judge.
	Certificate *x509.Certificate
	Path        []*x509.Certificate
}

// Latest is the latest moment at which what was stamped existed for sure. An
// authority that states no accuracy is taken at its word.
func (a Answer) Latest() time.Time { return a.Time.Add(a.Accuracy) }

// finding ends a check.
type finding struct {
	code, detail string
	undecided    bool
}

func found(code, format string, args ...any) *finding {
	f := &finding{code: code, detail: fmt.Sprintf(format, args...)}
	switch code {
	case AlgorithmUnsupported, AlgorithmWeak, ImprintWeak, ExtensionUnknown, CertificateMissing:
		f.undecided = true
	}
	return f
}

func (f *finding) answer() Answer {
	return Answer{Status: StatusOf(f.code), Code: f.code, Detail: f.detail, Undecided: f.undecided}
}

// chain says what is wrong with the path of the authority's certificate, nil if
// nothing is.
func chain(path pki.Path) *finding {
	if path.Anchored && len(path.Problems) == 0 {
		return nil
	}
	f := found(Chain, "it does not lead to a configured root")
	if len(path.Problems) > 0 {
		f = found(Chain, "%s: %s", path.Problems[0].Code, path.Problems[0].Detail)
	}
	// The token's time is the authority's own word: an issuer that had ended by
	// then is no open question.
	f.undecided = !slices.ContainsFunc(path.Problems, func(p pki.Problem) bool {
		return !p.Undecided() || p.Code == pki.ChainExpired
	})
	return f
}

func failed(err error) *finding {
	switch {
	case errors.Is(err, pki.ErrMismatch):
		return found(SignatureMismatch, "%v", err)
	case errors.Is(err, pki.ErrWeak):
		return found(AlgorithmWeak, "%v", err)
	}
	return found(AlgorithmUnsupported, "%v", err)
}

// Judge parses a token and asks it.
func Judge(data []byte, algorithms *pki.Algorithms, question Question) Answer {
	token, err := Parse(data)
	switch {
	case errors.Is(err, errContentType):
		return found(ContentType, "%v", err).answer()
	case errors.Is(err, ErrTooLarge):
		return found(TooLarge, "%v", err).answer()
	case err != nil:
		return found(Unreadable, "%v", err).answer()
	}
	return token.Check(algorithms, question)
}

// Check says what the token proves, or why it cannot be relied on.
func (t *Token) Check(algorithms *pki.Algorithms, question Question) Answer {
	if t == nil || t.message == nil {
		return found(Unreadable, "there is no token").answer()
	}
	if f := t.imprint(algorithms, question); f != nil {
		return f.answer()
	}
	certificate, f := t.signature(algorithms, question.Intermediates)
	if f != nil {
		return f.answer()
	}
	if f := t.fields(question); f != nil {
		return f.answer()
	}
	if f := purpose(certificate); f != nil {
		return f.answer()
	}
	if t.Time.Before(certificate.NotBefore) || t.Time.After(certificate.NotAfter) {
		return found(CertificateDates, "it is good from %s to %s, the token is of %s",
			certificate.NotBefore.UTC().Format(time.RFC3339), certificate.NotAfter.UTC().Format(time.RFC3339), t.Time.Format(time.RFC3339)).answer()
	}
	path := pki.Builder{
		Roots: question.Roots, Intermediates: question.Intermediates, Offered: t.certificates(),
		Algorithms: algorithms, At: t.Time,
	}.Build(certificate)
	if f := chain(path); f != nil {
		return f.answer()
	}
	return Answer{
		Status: Good, Code: CodeGood, Detail: "stamped " + t.Time.Format(time.RFC3339Nano),
		Time: t.Time, Accuracy: t.Accuracy, HasAccuracy: t.HasAccuracy, Policy: t.Policy, Serial: t.Serial,
		Certificate: certificate, Path: path.Certificates,
	}
}

// imprint checks that the token is over what is asked about.
func (t *Token) imprint(algorithms *pki.Algorithms, question Question) *finding {
	if question.Message == nil && question.Imprint == nil {
		return found(QuestionIncomplete, "neither a message nor its digest was given")
	}
	digest, err := algorithms.Digest(t.Imprint.Digest)
	if err != nil {
		return found(ImprintWeak, "%v", err)
	}
	h := digest.New()
	if len(t.Imprint.Sum) != h.Size() {
		return found(ImprintMismatch, "a digest of %d bytes, %s has %d", len(t.Imprint.Sum), digest.Name, h.Size())
	}
	if question.Imprint != nil && !sameImprint(*question.Imprint, t.Imprint) {
		return found(ImprintMismatch, "the digest is not the one given")
	}
	if question.Message != nil {
		h.Write(question.Message)
		if !bytes.Equal(h.Sum(nil), t.Imprint.Sum) {
			return found(ImprintMismatch, "the digest is not that of the message")
		}
	}
	return nil
}

// fields checks what the authority stated.
func (t *Token) fields(question Question) *finding {
	switch {
	case t.unknown != "":
		return found(ExtensionUnknown, "critical extension %s is not understood", t.unknown)
	case question.Nonce != nil && t.Nonce == nil:
		return found(NonceMissing, "a nonce was sent, none came back")
	case question.Nonce != nil && question.Nonce.Cmp(t.Nonce) != 0:
		return found(NonceMismatch, "it is the answer to another request")
	case len(question.Policies) > 0 && !slices.Contains(question.Policies, t.Policy):
		return found(Policy, "policy %s", t.Policy)
	case t.Time.After(question.At.Add(question.Tolerance)):
		return found(Future, "stamped %s", t.Time.Format(time.RFC3339))
	}
	return nil
}

func (t *Token) certificates() []*x509.Certificate {
	var all []*x509.Certificate
	for _, encoded := range t.message.Certificates {
		if certificate, err := pki.ParseCertificate(encoded); err == nil {
			all = append(all, certificate)
		}
	}
	return all
}

// maxCandidates bounds how many certificates are tried as the signer's.
const maxCandidates = 4

// signature finds the authority's certificate and checks the signature (RFC
// 5652, 5.4 to 5.6, and RFC 3161, 2.4.2).
func (t *Token) signature(algorithms *pki.Algorithms, further []*x509.Certificate) (*x509.Certificate, *finding) {
	if len(t.message.Signers) != 1 {
		return nil, found(Signers, "%d signers", len(t.message.Signers))
	}
	signer := t.message.Signers[0]
	if f := t.form(signer); f != nil {
		return nil, f
	}
	scheme, err := algorithms.Scheme(signer.SignatureAlgorithm)
	if err != nil {
		return nil, failed(err)
	}
	digest, err := algorithms.Digest(signer.DigestAlgorithm)
	if err != nil {
		return nil, failed(err)
	}
	if scheme.Digest != "" && scheme.Digest != digest.OID {
		return nil, found(AlgorithmMismatch, "signature algorithm %s with digest algorithm %s", scheme.OID, digest.OID)
	}
	if f := t.attributes(signer, digest.New()); f != nil {
		return nil, f
	}
	var candidates []*x509.Certificate
	for _, c := range append(t.certificates(), further...) {
		same := func(other *x509.Certificate) bool { return bytes.Equal(other.Raw, c.Raw) }
		if c != nil && fits(signer, c) && !slices.ContainsFunc(candidates, same) && len(candidates) < maxCandidates {
			candidates = append(candidates, c)
		}
	}
	if len(candidates) == 0 {
		return nil, found(CertificateMissing, "no certificate at hand fits the signer")
	}
	candidates, f := named(signer, candidates, algorithms)
	if f != nil {
		return nil, f
	}
	signed := signer.SignedBytes
	if !scheme.WholeMessage {
		h := digest.New()
		h.Write(signed)
		signed = h.Sum(nil)
	}
	var first *finding
	for _, candidate := range candidates {
		key, err := pki.ReadPublicKey(candidate.RawSubjectPublicKeyInfo)
		if err != nil {
			err = fmt.Errorf("%w: %w", pki.ErrUnsupported, err)
		} else {
			err = scheme.Verify(key, digest, signed, signer.Signature)
		}
		if err == nil {
			return candidate, nil
		}
		if first == nil {
			first = failed(err)
		}
	}
	return nil, first
}

// form checks what no signature covers but RFC 5652 settles: the versions (5.1
// and 5.3), and that the digest is announced, which a verifier may insist on
// (5.3).
func (t *Token) form(signer cms.Signer) *finding {
	version := 1
	if signer.SubjectKeyID != nil {
		version = 3
	}
	announced := slices.ContainsFunc(t.message.DigestAlgorithms, func(i pki.Identifier) bool {
		return der.SameAlgorithm(i, signer.DigestAlgorithm)
	})
	switch {
	case t.message.Version < 3 || signer.Version != version:
		return found(Unreadable, "the versions %d and %d do not go with its content", t.message.Version, signer.Version)
	case !announced:
		return found(Unreadable, "the signer's digest algorithm is not announced in front")
	}
	return nil
}

func fits(signer cms.Signer, certificate *x509.Certificate) bool {
	if signer.SubjectKeyID != nil {
		return bytes.Equal(signer.SubjectKeyID, certificate.SubjectKeyId)
	}
	return bytes.Equal(signer.Issuer, certificate.RawIssuer) && signer.Serial.Cmp(certificate.SerialNumber) == 0
}

// attributes checks that content type and digest were signed.
func (t *Token) attributes(signer cms.Signer, h hash.Hash) *finding {
	value, f := single(signer, cms.OIDContentType)
	if f != nil {
		return f
	}
	var contentType string
	s := cryptobyte.String(value)
	if !pki.ReadOID(&s, &contentType) || !s.Empty() || contentType != OIDTSTInfo {
		return found(Attributes, "the signed content type is not that of a time")
	}
	if value, f = single(signer, cms.OIDMessageDigest); f != nil {
		return f
	}
	var sum cryptobyte.String
	s = cryptobyte.String(value)
	if !s.ReadASN1(&sum, asn1.OCTET_STRING) || !s.Empty() {
		return found(Attributes, "the signed digest cannot be read")
	}
	h.Write(t.message.Content)
	if !bytes.Equal(h.Sum(nil), sum) {
		return found(DigestMismatch, "the content's digest is not the signed one")
	}
	return nil
}

// single returns the value of a signed attribute, which must have exactly one.
func single(signer cms.Signer, oid string) ([]byte, *finding) {
	attribute, ok := cms.Find(signer.SignedAttributes, oid)
	if !ok || len(attribute.Values) != 1 {
		return nil, found(Attributes, "signed attribute %s must be there, with one value", oid)
	}
	return attribute.Values[0], nil
}

// named keeps the candidates that the signer's own word fits: the first ESSCertID
// of version 2, of version 1, or of both. One of them must be there.
func named(signer cms.Signer, candidates []*x509.Certificate, algorithms *pki.Algorithms) ([]*x509.Certificate, *finding) {
	present := false
	for _, version := range []struct{ oid, byDefault string }{
		{cms.OIDSigningCertificate2, pki.OIDSHA256}, {cms.OIDSigningCertificate, pki.OIDSHA1},
	} {
		switch len(cms.All(signer.SignedAttributes, version.oid)) {
		case 0:
			continue
		case 1:
			present = true
		default: // RFC 2634, 5.4: one alone
			return nil, found(Attributes, "the signer names its certificate twice")
		}
		value, f := single(signer, version.oid)
		if f != nil {
			return nil, f
		}
		id, ok := readCertificateID(value, version.byDefault, version.oid == cms.OIDSigningCertificate2)
		if !ok {
			return nil, found(Attributes, "the name of the signer's certificate cannot be read")
		}
		newHash := sha1.New // version 1 is bound to it: a match adds nothing to the signature, a mismatch counts
		if version.oid == cms.OIDSigningCertificate2 {
			digest, err := algorithms.Digest(id.digest)
			if err != nil {
				return nil, failed(err)
			}
			newHash = digest.New
		}
		candidates = slices.DeleteFunc(slices.Clone(candidates), func(c *x509.Certificate) bool {
			h := newHash()
			h.Write(c.Raw)
			return !bytes.Equal(h.Sum(nil), id.sum) || !id.fits(c)
		})
	}
	switch {
	case !present:
		return nil, found(Attributes, "the signer does not name its certificate")
	case len(candidates) == 0:
		return nil, found(CertificateMismatch, "the signed hash of the signer's certificate is of another one")
	}
	return candidates, nil
}

// certificateID is an ESSCertID or ESSCertIDv2 (RFC 5035, 4).
type certificateID struct {
	digest pki.Identifier
	sum    []byte
	issuer []byte // a Name in DER; nil if it is not given
	serial *big.Int
}

func (id certificateID) fits(c *x509.Certificate) bool {
	if id.serial != nil && id.serial.Cmp(c.SerialNumber) != 0 {
		return false
	}
	return id.issuer == nil || bytes.Equal(id.issuer, c.RawIssuer)
}

// readCertificateID reads the first identifier of a SigningCertificate or
// SigningCertificateV2: the signer's own.
func readCertificateID(value []byte, byDefault string, second bool) (certificateID, bool) {
	id := certificateID{digest: pki.Identifier{OID: byDefault}}
	s := cryptobyte.String(value)
	var body, list, first, sum cryptobyte.String
	if !s.ReadASN1(&body, asn1.SEQUENCE) || !s.Empty() || !body.ReadASN1(&list, asn1.SEQUENCE) || !list.ReadASN1(&first, asn1.SEQUENCE) {
		return id, false
	}
	if second && first.PeekASN1Tag(asn1.SEQUENCE) && !pki.ReadIdentifier(&first, &id.digest) {
		return id, false
	}
	if !first.ReadASN1(&sum, asn1.OCTET_STRING) {
		return id, false
	}
	id.sum = sum
	if first.Empty() {
		return id, true
	}
	var issuerSerial, names, name, directory cryptobyte.String
	var octets []byte
	if !first.ReadASN1(&issuerSerial, asn1.SEQUENCE) || !first.Empty() ||
		!issuerSerial.ReadASN1(&names, asn1.SEQUENCE) || !der.ReadInteger(&issuerSerial, &octets) {
		return id, false
	}
	id.serial = der.Number(octets)
	if names.PeekASN1Tag(der.Explicit(4)) {
		if !names.ReadASN1(&name, der.Explicit(4)) || !name.ReadASN1Element(&directory, asn1.SEQUENCE) || !name.Empty() {
			return id, false
		}
		id.issuer = directory
	}
	return id, true
}

// purpose checks RFC 3161, 2.3: id-kp-timeStamping, critical and alone; and that
// the key may sign.
func purpose(certificate *x509.Certificate) *finding {
	for _, extension := range certificate.Extensions {
		if extension.Id.String() != "2.5.29.37" {
			continue
		}
		s := cryptobyte.String(extension.Value)
		var list cryptobyte.String
		var usage string
		switch {
		case !s.ReadASN1(&list, asn1.SEQUENCE) || !s.Empty() || !pki.ReadOID(&list, &usage):
			return found(Purpose, "its extended key usage cannot be read")
		case usage != OIDTimeStamping || !list.Empty():
			return found(Purpose, "its extended key usage is not time-stamping alone")
		case !extension.Critical:
			return found(Purpose, "its extended key usage is not critical")
		case pki.HasExtension(certificate, "2.5.29.15") &&
			certificate.KeyUsage&(x509.KeyUsageDigitalSignature|x509.KeyUsageContentCommitment) == 0:
			return found(Purpose, "its key is not for signing")
		}
		return nil
	}
	return found(Purpose, "it has no extended key usage")
}
