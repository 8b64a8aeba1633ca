package signature

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"sync/atomic"
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
	// Intermediates are issuing certificates that the operator configured. Their
	// signatures and dates are checked; that one was not revoked is taken from
	// the operator where no usable evidence says otherwise.
	Intermediates []*x509.Certificate
	// Offered are further certificates at hand; like those that a CMS carries,
	// they are trusted no more than they prove.
	Offered []*x509.Certificate
	// Responders are certificates of OCSP responders that the operator trusts
	// as they stand (RFC 6960, 4.2.2.2, item 1).
	Responders []*x509.Certificate
	// Algorithms are those of [StandardAlgorithms] if nil.
	Algorithms *Algorithms

	// standard is what stands in for Algorithms, once it was asked for.
	standard atomic.Pointer[Algorithms]
}

// Verify implements [Verifier].
func (p *Policy) Verify(ctx context.Context, request Request) (Verdict, error) {
	assessment, err := p.Assess(ctx, request)
	return assessment.Receipt, err
}

// Assess implements [Verifier].
func (p *Policy) Assess(ctx context.Context, request Request) (Assessment, error) {
	verdict := Verdict{At: request.At.UTC(), Signers: []SignerVerdict{}}
	whole := func(code, detail string) (Assessment, error) {
		w := whole(verdict, code, detail)
		return Assessment{Receipt: w, Signing: w}, nil
	}
	message, err := cms.Parse(request.CMS)
	switch {
	case errors.Is(err, cms.ErrTooLarge):
		return whole(CMSTooLarge, err.Error())
	case err != nil:
		return whole(CMSUnreadable, err.Error())
	case len(message.Signers) == 0:
		return whole(SignersNone, "the CMS has no signers")
	}
	v := verification{
		policy: p, message: message, at: verdict.At,
		algorithms: p.Known(), reasons: request.Reasons, stamps: request.Stamps,
	}
	v.readEvidence(request.Evidence)
	v.readCertificates()
	v.reasons = append(slices.Clone(v.reasons), unreadableInMessage(message)...)
	if err := v.readContent(ctx, request.Content); err != nil {
		return Assessment{}, err
	}
	c := combination{result: Assessment{Trusted: true}, receipt: verdict, signing: verdict}
	if v.content.differs {
		differs := []Reason{{ContentDiffers, "the content given beside the CMS is not the one that it carries"}}
		c.receipt.Reasons, c.signing.Reasons = differs, differs
	}
	for _, signer := range message.Signers {
		if err := ctx.Err(); err != nil {
			return Assessment{}, fmt.Errorf("verify a signature: %w", err)
		}
		one := v.signer(ctx, signer)
		c.add(one)
		if one.wantsTime {
			c.result.Untimed = append(c.result.Untimed, Untimed{Digest: signer.DigestAlgorithm, Signature: signer.Signature})
		}
	}
	if err := ctx.Err(); err != nil {
		return Assessment{}, fmt.Errorf("verify a signature: %w", err)
	}
	c.result.Wanted, c.result.Dated = v.wanted, v.dated
	return c.finish(), nil
}

// Known are the algorithms of the policy.
func (p *Policy) Known() *Algorithms {
	if p.Algorithms != nil {
		return p.Algorithms
	}
	if known := p.standard.Load(); known != nil {
		return known
	}
	p.standard.CompareAndSwap(nil, StandardAlgorithms())
	return p.standard.Load()
}

// combination puts signers together.
type combination struct {
	result           Assessment
	receipt, signing Verdict
}

func (c *combination) add(one assessed) {
	c.receipt.Signers = append(c.receipt.Signers, one.receipt)
	c.signing.Signers = append(c.signing.Signers, one.signing)
	c.result.add(one)
}

func (c *combination) finish() Assessment {
	if c.result.Trusted && len(c.signing.Signers) > 0 {
		c.signing.At = time.Time{}
		for _, one := range c.signing.Signers {
			c.signing.At = later(c.signing.At, *one.At)
		}
	}
	c.receipt.sum()
	c.signing.sum()
	c.result.Receipt, c.result.Signing = c.receipt, c.signing
	return c.result
}

// sum makes the status of a verdict of what was found.
func (verdict *Verdict) sum() {
	verdict.Status = worst(verdict.Reasons)
	for _, one := range verdict.Signers {
		verdict.Status = worse(verdict.Status, one.Status)
	}
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
	offered    []*x509.Certificate // from the CMS, and then from the evidence
	beside     int                 // how many of them are from the CMS
	unreadable bool                // the CMS carries a certificate that cannot be read
	content    content
	pool       pool
	listsOf    map[listsKey]lists
	// vouching has the certificates whose right to sign lists is being asked
	// about, vouched says of how many it was asked, tried how often a list was
	// verified by another key.
	vouching       map[*x509.Certificate]bool
	vouched, tried int
	// standingOf remembers what the evidence says of a certificate at a moment:
	// signers share certificates, and evidence costs time.
	standingOf map[asked]revocations
	wanted     []Wanted
	dated      []Wanted
	reasons    []Reason // of the form that the CMS was in
	stamps     []Stamp
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

func (v *verification) readEvidence(given []Evidence) {
	for _, e := range given {
		v.pool.add(e.Kind, e.DER)
	}
	v.pool.addMessage(v.message)
	for _, signer := range v.message.Signers {
		v.pool.addAttributes(signer.UnsignedAttributes)
		v.pool.addAttributes(signer.SignedAttributes)
	}
	// Tokens may carry evidence on their authority, and anything else. It is all
	// at hand before the first question, so that the order of signers and tokens
	// changes no answer.
	tokens := 0
	inside := func(token []byte) {
		if tokens++; tokens > maxTokens*cms.MaxSigners {
			return
		}
		if parsed, err := cms.Parse(token); err == nil {
			v.pool.addMessage(parsed)
			for _, signer := range parsed.Signers {
				v.pool.addAttributes(signer.UnsignedAttributes)
			}
		}
	}
	for _, piece := range v.pool.pieces[EvidenceTimeToken] {
		inside(piece.DER)
	}
	for _, signer := range v.message.Signers {
		for _, attribute := range signer.UnsignedAttributes {
			if attribute.OID == cms.OIDSignatureTimeToken {
				for _, token := range attribute.Values[:min(len(attribute.Values), maxTokens)] {
					inside(token)
				}
			}
		}
	}
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
	v.beside = len(v.offered)
	for _, piece := range v.pool.pieces[EvidenceCertificate] {
		if certificate, err := pki.ParseCertificate(piece.DER); err == nil {
			v.offered = append(v.offered, certificate)
		}
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
	buffer := make([]byte, 32<<10)
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

// assessed is what was found of one signer.
type assessed struct {
	receipt, signing SignerVerdict
	certificate      *x509.Certificate
	evidence         []Evidence
	wantsTime        bool
}

// signer makes the verdicts on one signer. It goes on after a reason is found:
// a court wants all of them.
func (v *verification) signer(ctx context.Context, signer cms.Signer) assessed {
	s := signerCheck{verification: v, signer: signer, reasons: slices.Clone(v.reasons), verdict: SignerVerdict{
		Algorithm: signer.SignatureAlgorithm.OID,
	}}
	if v.content.differs {
		s.add(ContentDiffers, "the content given beside the CMS is not the one that it carries")
	}
	s.reasons = append(s.reasons, unreadableOfSigner(signer)...)
	s.mathematics()
	return s.assess(ctx)
}

// assess goes on from what the mathematics left behind.
func (s *signerCheck) assess(ctx context.Context) assessed {
	if s.certificate != nil {
		s.verdict.Certificate = fingerprint(s.certificate)
	}
	sound := worst(s.reasons) == Valid
	trusted, tokenRests, timeReasons, doubts := s.trustedTime(ctx)
	receipt := s.moment(s.at)
	signing := receipt
	if !trusted.IsZero() && !trusted.Equal(s.at) {
		signing = s.moment(trusted)
	}
	if open := s.open(signing, doubts); open != nil {
		if signing == receipt {
			receipt = open
		}
		signing = open
	}
	result := assessed{certificate: s.certificate, wantsTime: trusted.IsZero() && sound}
	finish := func(j *judgement) SignerVerdict {
		one := s.verdict
		one.Chain = nil
		for _, certificate := range j.chain {
			one.Chain = append(one.Chain, fingerprint(certificate))
			result.evidence = append(result.evidence, Evidence{EvidenceCertificate, certificate.Raw})
		}
		one.Reasons = slices.Concat([]Reason{}, j.reasons, timeReasons)
		one.Status = worst(one.Reasons)
		for _, e := range j.rests {
			one.RestsOn = append(one.RestsOn, Support{e.Kind, e.Name()})
		}
		result.evidence = append(result.evidence, j.rests...)
		return one
	}
	result.receipt = finish(receipt)
	result.signing = result.receipt
	if signing != receipt {
		result.signing = finish(signing)
	}
	// What is added to the one must not show in the other.
	result.signing.RestsOn = slices.Clip(result.signing.RestsOn)
	if !trusted.IsZero() {
		result.signing.At = &trusted
		for _, e := range tokenRests {
			result.signing.RestsOn = append(result.signing.RestsOn, Support{e.Kind, e.Name()})
		}
		result.evidence = append(result.evidence, tokenRests...)
	}
	return result
}

type signerCheck struct {
	*verification
	signer      cms.Signer
	certificate *x509.Certificate
	verdict     SignerVerdict
	reasons     []Reason // what does not depend on the moment
}

func (s *signerCheck) add(code, format string, args ...any) {
	detail := fmt.Sprintf(format, args...)
	if r := (Reason{code, detail}); !slices.Contains(s.reasons, r) {
		s.reasons = append(s.reasons, r)
	}
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
	for _, set := range [][]*x509.Certificate{s.offered, s.policy.Offered, s.policy.Intermediates, s.policy.Roots} {
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
