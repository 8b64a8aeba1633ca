package signature

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"dalel/internal/cms"
	"dalel/internal/pki"
)

// Prepared is one signer of a form that another package takes apart (see
// package xmlform), ready to be judged.
type Prepared struct {
	// Certificates came with the signature, unverified; one of them may be the
	// signer's.
	Certificates [][]byte
	// Evidence came with the signature, unverified.
	Evidence []Evidence
	// Check says whether a certificate's key made the signature: nil, or an
	// error that wraps one of package pki.
	Check func(key pki.PublicKey) error
	// Name is the algorithm's for people with a key, once the check was good;
	// Algorithm its OID or URI.
	Name      func(key pki.PublicKey) string
	Algorithm string
	// Named says whether a certificate is the one that the signer named by a
	// signed digest; nil if none was named.
	Named func(certificate *x509.Certificate) error
	// Fits says whether a certificate is the one that the signature names in
	// another way, as by issuer and serial number; nil if it does not. The
	// certificate that is named is looked for among those of the policy too.
	Fits func(certificate *x509.Certificate) bool
	// ClaimedAt is the signer's word.
	ClaimedAt *time.Time
	// Stamped are the bytes that tokens are over, Tokens those that came with
	// the signature.
	Stamped []byte
	Tokens  [][]byte
	// Reasons are what the form's own checks found.
	Reasons []Reason
}

// AssessPrepared judges signers for a moment, like [Policy.Assess]. No signers
// at all is invalid. The error is the context's.
func (p *Policy) AssessPrepared(ctx context.Context, at time.Time, given []Evidence, signers []Prepared) (Assessment, error) {
	verdict := Verdict{At: at.UTC(), Signers: []SignerVerdict{}}
	if len(signers) == 0 {
		return Whole(at, SignersNone, "there are no signatures"), nil
	}
	c := combination{result: Assessment{Trusted: true}, receipt: verdict, signing: verdict}
	for _, prepared := range signers {
		signer := cms.Signer{Signature: prepared.Stamped}
		if len(prepared.Tokens) > 0 {
			signer.UnsignedAttributes = []cms.Attribute{{OID: cms.OIDSignatureTimeToken, Values: prepared.Tokens}}
		}
		v := verification{
			policy: p, message: &cms.SignedData{Certificates: prepared.Certificates, Signers: []cms.Signer{signer}}, at: verdict.At,
			algorithms: p.Known(),
		}
		v.readEvidence(given)
		for _, e := range prepared.Evidence {
			v.pool.add(e.Kind, e.DER)
		}
		v.readCertificates()
		s := signerCheck{
			verification: &v, reasons: append(slices.Clone(prepared.Reasons), Unreadable("the signature", prepared.Evidence)...),
			verdict: SignerVerdict{Algorithm: prepared.Algorithm, ClaimedAt: prepared.ClaimedAt},
			signer:  signer,
		}
		s.prepared(prepared)
		c.add(s.assess(ctx))
		c.result.Wanted, c.result.Dated = append(c.result.Wanted, v.wanted...), append(c.result.Dated, v.dated...)
		if err := ctx.Err(); err != nil {
			return Assessment{}, fmt.Errorf("verify a signature: %w", err)
		}
	}
	return c.finish(), nil
}

// Joined puts the assessments of several signatures of one document together,
// in their order. A part that has no signers, because it cannot be taken apart,
// becomes a signer with its reasons. No parts at all is invalid.
func Joined(at time.Time, parts ...Assessment) Assessment {
	if len(parts) == 0 {
		return Whole(at, SignersNone, "there are no signatures")
	}
	verdict := Verdict{At: at.UTC(), Signers: []SignerVerdict{}}
	c := combination{result: Assessment{Trusted: true}, receipt: verdict, signing: verdict}
	for _, part := range parts {
		for _, side := range []struct{ into, from *Verdict }{{&c.receipt, &part.Receipt}, {&c.signing, &part.Signing}} {
			if len(side.from.Signers) == 0 {
				side.into.Signers = append(side.into.Signers, SignerVerdict{Status: side.from.Status, Reasons: side.from.Reasons})
			}
			side.into.Signers = append(side.into.Signers, side.from.Signers...)
		}
		of := slices.Clone(part.Certificates)
		for len(of) < max(1, len(part.Signing.Signers)) {
			of = append(of, nil)
		}
		c.result.Certificates = append(c.result.Certificates, of...)
		c.result.Trusted = c.result.Trusted && part.Trusted
		c.result.keep(part.Evidence)
		c.result.Wanted, c.result.Dated = append(c.result.Wanted, part.Wanted...), append(c.result.Dated, part.Dated...)
		c.result.Untimed = append(c.result.Untimed, part.Untimed...)
	}
	return c.finish()
}

// Whole is the assessment of a signature that cannot be taken apart, by a code
// of the table.
func Whole(at time.Time, code, detail string) Assessment {
	verdict := whole(Verdict{At: at.UTC(), Signers: []SignerVerdict{}}, code, detail)
	return Assessment{Receipt: verdict, Signing: verdict}
}

// prepared finds the certificate whose key made the signature. Nobody signs the
// list of certificates that came with it: the order in which they stand, and
// others that were put among them, must change no answer.
//
// Where no certificate at hand made it, that is the fault of the signature only if
// the signer's certificate is among them: see claimed. Else it is missing.
func (s *signerCheck) prepared(prepared Prepared) {
	claimed, sure := s.claimed(prepared)
	candidates := slices.Clone(claimed)
	if !sure {
		for _, certificate := range s.offered {
			if !contains(candidates, certificate) {
				candidates = append(candidates, certificate)
			}
		}
	}
	untried := len(candidates) > maxCandidates
	var first error
	for _, candidate := range candidates[:min(len(candidates), maxCandidates)] {
		err := s.made(prepared, candidate)
		if err == nil {
			return
		}
		if first == nil {
			first = err
		}
	}
	switch {
	case untried && prepared.Fits == nil, len(claimed) > maxCandidates:
		s.add(CertificateMissing, "none of %d certificates that came with the signature made it, and no more are tried", maxCandidates)
	case len(claimed) > 0:
		s.certificate = claimed[0]
		s.addFailed(first)
	case s.unreadable:
		s.add(CertificateUnreadable, "no certificate at hand made the signature, and one that came with it cannot be read")
	case len(candidates) == 0:
		s.add(CertificateMissing, "the signature carries no certificate")
	default:
		s.add(CertificateMissing, "the signer's certificate is not among those at hand")
	}
}

// made makes a certificate the signer's if its key made the signature, and says
// why not otherwise.
func (s *signerCheck) made(prepared Prepared, candidate *x509.Certificate) error {
	key, err := pki.ReadPublicKey(candidate.RawSubjectPublicKeyInfo)
	if err != nil {
		return fmt.Errorf("%w: %w", pki.ErrUnsupported, err)
	}
	if err := prepared.Check(key); err != nil {
		return err
	}
	s.certificate = candidate
	s.verdict.Algorithm = prepared.Name(key)
	if prepared.Named != nil {
		if err := prepared.Named(candidate); err != nil {
			s.add(AttributesCertificate, "%v", err)
		}
	}
	return nil
}

// claimed are the certificates at hand of which the signature says that one is the
// signer's: those that fit what it names, by a signed digest (then it is sure that
// there is no other) or else in another way. Where it names none, it is by habit
// one of those beside the key, and no authority's.
func (s *signerCheck) claimed(prepared Prepared) (found []*x509.Certificate, sure bool) {
	pick := func(fits func(*x509.Certificate) bool, sets ...[]*x509.Certificate) []*x509.Certificate {
		var picked []*x509.Certificate
		for _, set := range sets {
			for _, certificate := range set {
				if fits(certificate) && !contains(picked, certificate) {
					picked = append(picked, certificate)
				}
			}
		}
		return picked
	}
	fits, sure := prepared.Fits, prepared.Named != nil
	if sure {
		fits = func(c *x509.Certificate) bool { return prepared.Named(c) == nil }
	}
	if fits == nil {
		return pick(func(c *x509.Certificate) bool { return !c.IsCA }, s.offered[:s.beside]), false
	}
	if found = pick(fits, s.offered); len(found) == 0 {
		found = pick(fits, s.policy.Offered, s.policy.Intermediates, s.policy.Roots)
	}
	return found, sure && len(found) > 0
}
