// Package xmlform states verdicts on XML documents with signatures inside
// (R-C2): package xmldsig takes the document apart, package signature judges.
//
//	found, err := xmlform.Assess(ctx, policy, document, at, evidence)
//
// What an XML signature covers is what its references name. Here it counts for
// the document only if a reference that holds covers all of it, and no
// signature element has content of its own: else the verdict is "cannot tell"
// (xml.partial). A signed XML document says nothing of any other file.
//
// All of it is the root element with the processing instructions around it, which
// may tell a program how to show it; a reference to the root element by its Id is
// enough where there are none. Comments are covered by neither kind of reference,
// as the standard has it: they are not what was signed, and a program that shows
// them as if they were is wrong. Content of its own is an Object with something
// else than XAdES in it, a text between elements, or a processing instruction; what
// KeyInfo says of the key is not, as it is shown to nobody.
//
// It is a package of its own so that who verifies a packet, which has CMS
// alone, need not link an XML library.
package xmlform

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"dalel/domain/signature"
	"dalel/internal/pki"
	"dalel/internal/xmldsig"
)

// Assess states the verdicts on an XML document, as [signature.Policy.Assess]
// does on a CMS. The error is the context's.
func Assess(ctx context.Context, policy *signature.Policy, data []byte, at time.Time, evidence []signature.Evidence) (signature.Assessment, error) {
	document, err := xmldsig.Parse(data)
	switch {
	case errors.Is(err, xmldsig.ErrTooLarge):
		return signature.Whole(at, signature.XMLTooLarge, err.Error()), nil
	case errors.Is(err, xmldsig.ErrUnsupported):
		return signature.Whole(at, signature.XMLUnsupported, err.Error()), nil
	case err != nil:
		return signature.Whole(at, signature.XMLUnreadable, err.Error()), nil
	}
	signatures := document.Signatures()
	foreign := false
	for _, sig := range signatures {
		foreign = foreign || sig.ForeignContent
	}
	results, err := document.AllDigests(ctx, policy.Known())
	if err != nil {
		return signature.Assessment{}, fmt.Errorf("verify an XML signature: %w", err)
	}
	var signers []signature.Prepared
	for i, sig := range signatures {
		signers = append(signers, prepare(policy.Known(), sig, results[i], foreign))
	}
	return policy.AssessPrepared(ctx, at, evidence, signers)
}

func prepare(known *signature.Algorithms, sig xmldsig.Signature, results []xmldsig.ReferenceResult, foreign bool) signature.Prepared {
	p := signature.Prepared{
		Certificates: sig.Certificates, Algorithm: sig.Algorithm.OID,
		Check: func(key pki.PublicKey) error { return sig.Check(known, key) },
		Name:  func(key pki.PublicKey) string { return name(known, sig, key) },
	}
	if p.Algorithm == "" {
		p.Algorithm = bounded(sig.SignatureMethod)
	}
	// In a fixed order: where there is more than is looked at, the same is left out
	// each time.
	for _, e := range []struct {
		kind   signature.EvidenceKind
		pieces [][]byte
	}{
		{signature.EvidenceCertificate, sig.EmbeddedCertificates}, {signature.EvidenceOCSP, sig.EmbeddedOCSP}, {signature.EvidenceCRL, sig.EmbeddedCRLs},
	} {
		for _, der := range e.pieces {
			p.Evidence = append(p.Evidence, signature.Evidence{Kind: e.kind, DER: der})
		}
	}
	p.Reasons = reasons(results, foreign)
	// A token is over the canonical SignatureValue element, as XAdES has it.
	for i, token := range sig.TimeTokens {
		if token.Over == nil || p.Stamped != nil && !bytes.Equal(p.Stamped, token.Over) {
			p.Reasons = append(p.Reasons, signature.Reason{Code: signature.TimeUnproven, Detail: fmt.Sprintf("token %d is over a form of the signature that is not looked at", i+1)})
			continue
		}
		p.Stamped, p.Tokens = token.Over, append(p.Tokens, token.Token)
	}
	if p.Stamped == nil {
		p.Stamped = sig.Stamped
	}
	name := sig.Names
	// The signed properties count only if the reference to them holds.
	for _, r := range results {
		if r.Covers != xmldsig.Properties || r.Outcome != xmldsig.Match {
			continue
		}
		p.ClaimedAt = sig.SigningTime
		if sig.SigningCertificateName != nil {
			name = []xmldsig.CertificateName{*sig.SigningCertificateName}
		}
		if len(sig.SigningCertificateDigests) == 0 {
			continue
		}
		want := sig.SigningCertificateDigests[0]
		// A digest that is not known here says nothing either way.
		if digest, err := known.Digest(want.Digest); err == nil {
			p.Named = func(certificate *x509.Certificate) error { return named(digest, want, certificate) }
		}
	}
	if len(name) > 0 {
		p.Fits = func(certificate *x509.Certificate) bool { return fits(name, sig.Certificates, certificate) }
	}
	return p
}

// fits says whether a certificate bears one of the names. Programs write the
// issuer's name in their own ways: of one that stands beside the key, the serial
// number is enough, unless it is an authority's.
func fits(names []xmldsig.CertificateName, beside [][]byte, certificate *x509.Certificate) bool {
	for _, name := range names {
		if name.Fits(certificate) {
			return true
		}
		isBeside := func(der []byte) bool { return bytes.Equal(der, certificate.Raw) }
		if !certificate.IsCA && name.Numbers(certificate) && slices.ContainsFunc(beside, isBeside) {
			return true
		}
	}
	return false
}

// bounded is the beginning of a text that a stranger wrote and people are shown.
func bounded(text string) string {
	const most = 128
	return strings.ToValidUTF8(text[:min(len(text), most)], "")
}

// reasons says what the references come to.
func reasons(results []xmldsig.ReferenceResult, foreign bool) []signature.Reason {
	var list []signature.Reason
	add := func(code, format string, args ...any) {
		list = append(list, signature.Reason{Code: code, Detail: fmt.Sprintf(format, args...)})
	}
	covered, instructions := false, false
	for i, r := range results {
		switch {
		case r.Outcome == xmldsig.Differ:
			add(signature.DigestMismatch, "reference %d: the digest of what it names is not the signed one", i+1)
		case r.Outcome != xmldsig.Match && errors.Is(r.Err, xmldsig.ErrTooLarge):
			add(signature.XMLTooLarge, "reference %d: %v", i+1, r.Err)
		case r.Outcome != xmldsig.Match && errors.Is(r.Err, pki.ErrWeak):
			add(signature.AlgorithmWeak, "reference %d: %v", i+1, r.Err)
		case r.Outcome != xmldsig.Match:
			add(signature.AlgorithmUnsupported, "reference %d: %v", i+1, r.Err)
		case r.InstructionsLeftOut:
			instructions = true
		case r.Covers == xmldsig.WholeDocument, r.Covers == xmldsig.Element && r.Root:
			covered = true
		}
	}
	switch {
	case !covered && instructions:
		add(signature.XMLPartial, "there are processing instructions around the root element, which a reference to it does not cover")
	case !covered:
		add(signature.XMLPartial, "no reference that holds covers the whole document")
	case foreign:
		add(signature.XMLPartial, "there is content inside a signature element, which a reference to the document does not cover")
	}
	return list
}

// errOther says that the signer named another certificate.
var errOther = errors.New("the signed hash of the signer's certificate is of another one")

// named checks XAdES: the first of the signed digests is of the signer's
// certificate.
func named(digest pki.Digest, want xmldsig.CertificateDigest, certificate *x509.Certificate) error {
	h := digest.New()
	h.Write(certificate.Raw)
	if !bytes.Equal(h.Sum(nil), want.Value) {
		return errOther
	}
	return nil
}

func name(known *signature.Algorithms, sig xmldsig.Signature, key pki.PublicKey) string {
	scheme, err := known.Scheme(sig.Algorithm)
	if err != nil {
		return sig.Algorithm.OID
	}
	digest, err := known.Digest(sig.Digest)
	if err != nil {
		return sig.Algorithm.OID
	}
	return scheme.Name(key, digest)
}
