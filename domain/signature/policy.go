package signature

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"dalel/internal/cms"
	"dalel/internal/gost/gostpki"
	"dalel/internal/pki"
)

// Algorithms is what is known of digests and signatures; see [pki.Algorithms].
// [StandardAlgorithms] makes the usual set.
type Algorithms = pki.Algorithms

// StandardAlgorithms returns RSA, ECDSA and Ed25519 with SHA-2 (see
// [pki.Standard]) and the national GOST families (see package gostpki). Others
// are added with its With method.
func StandardAlgorithms() *Algorithms { return pki.Standard().With(gostpki.Algorithms()) }

// MaxMemory is the largest content in bytes that is held in memory for a
// signature that needs all of it at once (Ed25519 without signed attributes).
// All else is streamed and may be of any size.
const MaxMemory = 64 << 20

// Policy is what a verdict rests on. It implements [Verifier] and may be used
// from many goroutines at once as long as nobody changes it. The zero value
// trusts no root: it can find a signature invalid, never valid.
type Policy struct {
	// Roots are the operator's trust anchors, trusted as they stand. The
	// certificate of a signer may be one itself.
	Roots []*x509.Certificate
	// Intermediates are issuing certificates that are known already; those
	// that a CMS carries are used too, and trusted no more than they prove.
	Intermediates []*x509.Certificate
	// Algorithms are those of [StandardAlgorithms] if nil.
	Algorithms *Algorithms
	// Revocation judges whether certificates were revoked. With nil there is
	// no evidence: a certificate that says where its issuer publishes
	// revocations is then "cannot tell".
	Revocation Revocation
	// TimeTokens judges the time token of a signature. With nil a token is
	// not looked at, and the verdict says so.
	TimeTokens TimeTokens
}

// Revocation judges from evidence, without a network, whether a certificate
// was revoked.
type Revocation interface {
	// Judge returns at least one reason with a code "revocation.…". No reason
	// at all is taken for [RevocationNoEvidence].
	Judge(ctx context.Context, question RevocationQuestion) []Reason
}

// RevocationQuestion is what a [Revocation] is asked.
type RevocationQuestion struct {
	// Certificate is asked about; Issuer is the next in its chain.
	Certificate, Issuer *x509.Certificate
	// At is the moment the verdict is for.
	At time.Time
	// CRLs and OtherRevocations came with the CMS, unverified.
	CRLs, OtherRevocations [][]byte
}

// TimeTokens judges RFC 3161 tokens.
type TimeTokens interface {
	// Judge says what the token, a CMS in DER, proves of the time of the
	// signature bytes that it is over. No reason at all is taken for
	// [TimeNotChecked].
	Judge(ctx context.Context, token, signature []byte, at time.Time) []Reason
}

// Verify implements [Verifier].
func (p *Policy) Verify(ctx context.Context, request Request) (Verdict, error) {
	verdict := Verdict{At: request.At.UTC(), Signers: []SignerVerdict{}}
	message, err := cms.Parse(request.CMS)
	switch {
	case errors.Is(err, cms.ErrTooLarge):
		return whole(verdict, CMSTooLarge, err.Error()), nil
	case err != nil:
		return whole(verdict, CMSUnreadable, err.Error()), nil
	case len(message.Signers) == 0:
		return whole(verdict, SignersNone, "the CMS has no signers"), nil
	}
	v := verification{
		policy: p, message: message, at: verdict.At,
		algorithms: p.Algorithms,
	}
	if v.algorithms == nil {
		v.algorithms = StandardAlgorithms()
	}
	v.readCertificates()
	if err := v.readContent(ctx, request.Content); err != nil {
		return Verdict{}, err
	}
	verdict.Status = Valid
	if v.content.differs {
		verdict.Reasons = append(verdict.Reasons, Reason{ContentDiffers, "the content given beside the CMS is not the one that it carries"})
	}
	for _, signer := range message.Signers {
		if err := ctx.Err(); err != nil {
			return Verdict{}, fmt.Errorf("verify a signature: %w", err)
		}
		one := v.signer(ctx, signer)
		verdict.Signers = append(verdict.Signers, one)
		verdict.Status = worse(verdict.Status, one.Status)
	}
	if err := ctx.Err(); err != nil {
		return Verdict{}, fmt.Errorf("verify a signature: %w", err)
	}
	return verdict, nil
}

func whole(verdict Verdict, code, detail string) Verdict {
	verdict.Status = StatusOf(code)
	verdict.Reasons = []Reason{{code, detail}}
	return verdict
}

// verification is one call of Verify.
type verification struct {
	policy     *Policy
	message    *cms.SignedData
	at         time.Time
	algorithms *Algorithms
	offered    []*x509.Certificate // from the CMS
	unreadable bool                // the CMS carries a certificate that cannot be read
	content    content
}

// content is what one pass over the signed content left behind.
type content struct {
	missing  bool
	differs  bool
	sums     map[string][]byte // by digest OID
	message  []byte            // the content itself, when some signer needs it
	tooLarge bool              // it was needed and did not fit
	// disguised says that the content could be the signed attributes of
	// another signature.
	disguised bool
}

func (v *verification) readCertificates() {
	for _, der := range v.message.Certificates {
		certificate, err := pki.ParseCertificate(der)
		if err != nil {
			v.unreadable = true
			continue
		}
		v.offered = append(v.offered, certificate)
	}
}

// readContent reads the content once and computes every digest that a signer
// needs. The error is the reader's or the context's.
func (v *verification) readContent(ctx context.Context, open Content) error {
	v.content.sums = map[string][]byte{}
	if v.message.Detached && open == nil {
		v.content.missing = true
		return nil
	}
	digests := map[string]hash.Hash{}
	var sinks []io.Writer
	need := func(identifier pki.Identifier) {
		digest, err := v.algorithms.Digest(identifier)
		if err != nil || digests[digest.OID] != nil {
			return // the signer's verdict says so
		}
		digests[digest.OID] = digest.New()
		sinks = append(sinks, digests[digest.OID])
	}
	wantMessage, bare := false, false
	for _, signer := range v.message.Signers {
		if signer.SignedAttributes == nil {
			bare = true
			if scheme, err := v.algorithms.Scheme(signer.SignatureAlgorithm); err == nil && scheme.WholeMessage {
				wantMessage = true
				continue
			}
		}
		need(signer.DigestAlgorithm)
	}
	// Signed attributes are small; this much tells whether the content is such.
	const attributesLimit = 64 << 10
	var kept *keeper
	switch {
	case wantMessage:
		kept = &keeper{limit: MaxMemory}
	case bare:
		kept = &keeper{limit: attributesLimit}
	}
	if kept != nil {
		sinks = append(sinks, kept)
	}
	switch {
	case v.message.Detached:
		if err := stream(ctx, open, io.MultiWriter(sinks...)); err != nil {
			return err
		}
	default:
		if _, err := io.MultiWriter(sinks...).Write(v.message.Content); err != nil {
			return fmt.Errorf("verify a signature: compute digests: %w", err)
		}
		if open != nil {
			same := &comparer{rest: v.message.Content}
			if err := stream(ctx, open, same); err != nil {
				return err
			}
			v.content.differs = same.differs || len(same.rest) > 0
		}
	}
	for oid, digest := range digests {
		v.content.sums[oid] = digest.Sum(nil)
	}
	if kept != nil {
		v.content.tooLarge = wantMessage && kept.over
		if !kept.over {
			v.content.message = kept.bytes
			v.content.disguised = len(kept.bytes) <= attributesLimit && cms.IsSignedAttributes(kept.bytes)
		}
	}
	return nil
}

func stream(ctx context.Context, open Content, to io.Writer) (err error) {
	r, err := open()
	if err != nil {
		return fmt.Errorf("verify a signature: open the signed content: %w", err)
	}
	defer func() {
		if closing := r.Close(); err == nil && closing != nil {
			err = fmt.Errorf("verify a signature: close the signed content: %w", closing)
		}
	}()
	buffer := make([]byte, 128<<10)
	for {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("verify a signature: %w", err)
		}
		n, err := r.Read(buffer)
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return fmt.Errorf("verify a signature: compute digests: %w", err)
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("verify a signature: read the signed content: %w", err)
		}
	}
}

// keeper keeps what is written, up to a limit.
type keeper struct {
	limit int
	bytes []byte
	over  bool
}

func (k *keeper) Write(p []byte) (int, error) {
	if k.over || len(k.bytes)+len(p) > k.limit {
		k.over, k.bytes = true, nil
		return len(p), nil
	}
	k.bytes = append(k.bytes, p...)
	return len(p), nil
}

// comparer says whether what is written differs from rest.
type comparer struct {
	rest    []byte
	differs bool
}

func (c *comparer) Write(p []byte) (int, error) {
	if c.differs || !bytes.HasPrefix(c.rest, p) {
		c.differs = true
		return len(p), nil
	}
	c.rest = c.rest[len(p):]
	return len(p), nil
}

// signer makes the verdict on one signer. It goes on after a reason is found:
// a court wants all of them.
func (v *verification) signer(ctx context.Context, signer cms.Signer) SignerVerdict {
	s := signerCheck{verification: v, signer: signer, verdict: SignerVerdict{
		Algorithm: signer.SignatureAlgorithm.OID,
		Reasons:   []Reason{},
	}}
	if v.content.differs {
		s.add(ContentDiffers, "the content given beside the CMS is not the one that it carries")
	}
	s.mathematics()
	if s.certificate != nil {
		fingerprint := sha256.Sum256(s.certificate.Raw)
		s.verdict.Certificate = hex.EncodeToString(fingerprint[:])
		s.dates()
		if code, detail := purposeOf(s.certificate); code != "" {
			s.add(code, "%s", detail)
		}
		s.chain(ctx)
	}
	s.timeToken(ctx)
	s.verdict.Status = worst(s.verdict.Reasons)
	return s.verdict
}

type signerCheck struct {
	*verification
	signer      cms.Signer
	certificate *x509.Certificate
	verdict     SignerVerdict
}

func (s *signerCheck) add(code, format string, args ...any) {
	detail := fmt.Sprintf(format, args...)
	for _, r := range s.verdict.Reasons {
		if r.Code == code && r.Detail == detail {
			return
		}
	}
	s.verdict.Reasons = append(s.verdict.Reasons, Reason{code, detail})
}

// addFailed adds the reason for an error of package pki.
func (s *signerCheck) addFailed(err error) {
	switch {
	case errors.Is(err, pki.ErrWeak):
		s.add(AlgorithmWeak, "%v", err)
	case errors.Is(err, pki.ErrMismatch):
		s.add(SignatureMismatch, "%v", err)
	default: // ErrUnsupported, and whatever a foreign scheme returns: not told
		s.add(AlgorithmUnsupported, "%v", err)
	}
}

// mathematics checks digest, attributes and signature, and finds the
// certificate (RFC 5652, 5.4 to 5.6).
func (s *signerCheck) mathematics() {
	signer := s.signer
	scheme, schemeErr := s.algorithms.Scheme(signer.SignatureAlgorithm)
	digest, digestErr := s.algorithms.Digest(signer.DigestAlgorithm)
	whole := schemeErr == nil && scheme.WholeMessage
	if schemeErr != nil {
		s.addFailed(schemeErr)
	}
	if digestErr != nil && (signer.SignedAttributes != nil || !whole) {
		s.addFailed(digestErr)
	}
	if schemeErr == nil && scheme.Digest != "" && scheme.Digest != signer.DigestAlgorithm.OID {
		s.add(AlgorithmMismatch, "signature algorithm %s with digest algorithm %s", scheme.OID, signer.DigestAlgorithm.OID)
		schemeErr = pki.ErrUnsupported // nothing sensible can be computed
	}
	if s.content.missing {
		s.add(ContentMissing, "the CMS is detached and its content was not given")
	}

	candidates := s.candidates()
	if signer.SignedAttributes != nil {
		candidates = s.attributes(candidates, digestErr == nil)
	} else {
		if s.message.ContentType != cms.OIDData {
			s.add(AttributesMissing, "content of type %s needs signed attributes", s.message.ContentType)
		}
		if s.content.disguised {
			s.add(AttributesMissing, "the content could be the signed attributes of another signature")
		}
	}

	// What the signature is over.
	var signed []byte
	ready := schemeErr == nil && (whole || digestErr == nil)
	switch {
	case !ready:
	case signer.SignedAttributes != nil && whole:
		signed = signer.SignedBytes
	case signer.SignedAttributes != nil:
		h := digest.New()
		h.Write(signer.SignedBytes)
		signed = h.Sum(nil)
	case s.content.missing:
		ready = false
	case whole && s.content.tooLarge:
		ready = false
		s.add(ContentTooLarge, "more than %d bytes signed without signed attributes", MaxMemory)
	case whole:
		signed = s.content.message
	default:
		signed = s.content.sums[digest.OID]
	}

	if len(candidates) == 0 {
		if s.unreadable {
			s.add(CertificateUnreadable, "no certificate fits the signer, and one in the CMS cannot be read")
		} else {
			s.add(CertificateMissing, "no certificate fits the signer")
		}
		if ready && digestErr == nil {
			s.verdict.Algorithm = scheme.Name(pki.PublicKey{}, digest)
		}
		return
	}
	// Several certificates can bear the same issuer and serial number (anyone
	// can put one into a CMS): the one whose key fits is the signer's.
	s.certificate = candidates[0]
	if !ready {
		return
	}
	var first error
	for i, candidate := range candidates {
		key, err := pki.ReadPublicKey(candidate.RawSubjectPublicKeyInfo)
		if err != nil {
			err = fmt.Errorf("%w: %w", pki.ErrUnsupported, err)
		} else {
			err = scheme.Verify(key, digest, signed, signer.Signature)
		}
		if i == 0 || err == nil {
			s.verdict.Algorithm = scheme.Name(key, digest)
		}
		if err == nil {
			s.certificate = candidate
			return
		}
		if first == nil {
			first = err
		}
	}
	s.addFailed(first)
}

// maxCandidates bounds how many certificates are tried for one signer.
const maxCandidates = 8

// candidates are the certificates that the signer's identifier fits, each
// once, those of the CMS first.
func (s *signerCheck) candidates() []*x509.Certificate {
	var found []*x509.Certificate
	for _, set := range [][]*x509.Certificate{s.offered, s.policy.Intermediates, s.policy.Roots} {
		for _, certificate := range set {
			if len(found) == maxCandidates {
				return found
			}
			if s.fits(certificate) && !contains(found, certificate) {
				found = append(found, certificate)
			}
		}
	}
	return found
}

func (s *signerCheck) fits(certificate *x509.Certificate) bool {
	if s.signer.SubjectKeyID != nil {
		return bytes.Equal(s.signer.SubjectKeyID, certificate.SubjectKeyId)
	}
	return bytes.Equal(s.signer.Issuer, certificate.RawIssuer) &&
		s.signer.Serial.Cmp(certificate.SerialNumber) == 0
}

func contains(set []*x509.Certificate, certificate *x509.Certificate) bool {
	for _, c := range set {
		if bytes.Equal(c.Raw, certificate.Raw) {
			return true
		}
	}
	return false
}

// dates checks the certificate's own period. Both ends belong to it (RFC 5280,
// 4.1.2.5).
func (s *signerCheck) dates() {
	if s.at.Before(s.certificate.NotBefore) {
		s.add(CertificateNotYetValid, "valid from %s", s.certificate.NotBefore.UTC().Format(time.RFC3339))
	}
	if s.at.After(s.certificate.NotAfter) {
		s.add(CertificateExpired, "valid until %s", s.certificate.NotAfter.UTC().Format(time.RFC3339))
	}
}

func (s *signerCheck) chain(ctx context.Context) {
	path := pki.Builder{
		Roots: s.policy.Roots, Intermediates: s.policy.Intermediates, Offered: s.offered,
		Algorithms: s.algorithms, At: s.at,
	}.Build(s.certificate)
	for _, certificate := range path.Certificates {
		fingerprint := sha256.Sum256(certificate.Raw)
		s.verdict.Chain = append(s.verdict.Chain, hex.EncodeToString(fingerprint[:]))
	}
	for _, problem := range path.Problems {
		s.add(string(problem.Code), "%s: %s", place(problem.Depth), problem.Detail)
	}
	if !path.Anchored {
		return
	}
	for depth := range len(path.Certificates) - 1 { // a root is trusted as it stands
		s.revocation(ctx, path.Certificates[depth], path.Certificates[depth+1], depth)
	}
}

func (s *signerCheck) revocation(ctx context.Context, certificate, issuer *x509.Certificate, depth int) {
	if s.policy.Revocation != nil {
		reasons := s.policy.Revocation.Judge(ctx, RevocationQuestion{
			Certificate: certificate, Issuer: issuer, At: s.at,
			CRLs: s.message.CRLs, OtherRevocations: s.message.OtherRevocations,
		})
		for _, r := range reasons {
			s.add(r.Code, "%s: %s", place(depth), r.Detail)
		}
		if len(reasons) == 0 {
			s.add(RevocationNoEvidence, "%s: nothing is known of it", place(depth))
		}
		return
	}
	published := pki.HasExtension(certificate, "2.5.29.31") || // CRL distribution points
		pki.HasExtension(certificate, "2.5.29.46") || // freshest CRL
		len(certificate.OCSPServer) > 0
	if published {
		s.add(RevocationNoEvidence, "%s: it names where revocations are published, and no answer from there is at hand", place(depth))
	} else {
		s.add(RevocationNotPublished, "%s: it names no OCSP responder and no CRL", place(depth))
	}
}

// place names a certificate by its place in the chain: names are personal.
func place(depth int) string {
	if depth == 0 {
		return "the signer's certificate"
	}
	return fmt.Sprintf("issuer %d", depth)
}

func (s *signerCheck) timeToken(ctx context.Context) {
	var tokens [][]byte
	for _, attribute := range s.signer.UnsignedAttributes {
		if attribute.OID == cms.OIDSignatureTimeToken {
			tokens = append(tokens, attribute.Values...)
		}
	}
	for _, token := range tokens {
		var reasons []Reason
		if s.policy.TimeTokens != nil {
			reasons = s.policy.TimeTokens.Judge(ctx, token, s.signer.Signature, s.at)
		}
		for _, r := range reasons {
			s.add(r.Code, "%s", r.Detail)
		}
		if len(reasons) == 0 {
			s.add(TimeNotChecked, "a time token is attached")
		}
	}
}
