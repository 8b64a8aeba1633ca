package packet

import (
	"fmt"

	"dalel/domain/certificate"
	"dalel/domain/signature"
)

// This file holds the authority's revocation of a signer's certificate against
// its proof: that a signature lost its force by it is nobody's word but the
// authority's (R-C8).

// revocationTypes are the media types of what authorities say (RFC 2585, RFC
// 6960).
var revocationTypes = map[certificate.EvidenceKind]string{
	certificate.EvidenceCRL: "application/pkix-crl", certificate.EvidenceOCSP: "application/ocsp-response",
}

// revocationName is the entry with the proof of a revocation, beside the
// signature.
func revocationName(folder string, revoked *certificate.Revoked) string {
	switch {
	case revoked == nil:
		return ""
	case revoked.Kind == certificate.EvidenceOCSP:
		return folder + "revocation.ors"
	default:
		return folder + "revocation.crl"
	}
}

// checkRevocation holds a recorded revocation against what the authority says.
func (v *verification) checkRevocation(claim *findings, s signed) {
	der, there := v.held[s.folder+"certificate.cer"]
	list, proof := v.held[s.revocation]
	if !there || !proof {
		claim.no(s.revocation, "the certificate's revocation is recorded, and its proof is not there")
		return
	}
	kind := signature.EvidenceCRL
	if s.revoked.Kind == certificate.EvidenceOCSP {
		kind = signature.EvidenceOCSP
	}
	brought := v.brought(claim, s)
	revoked := func(policy *signature.Policy) (signature.Revocation, bool) {
		policy.Offered, policy.Algorithms = brought.certificates, v.algorithms
		return policy.Revoked(der, signature.Evidence{Kind: kind, DER: list}, s.revoked.RecordedAt)
	}
	found, proven := revoked(&signature.Policy{Roots: v.trust.Roots, Responders: v.trust.Responders})
	if !proven {
		ends := brought.ends(s.signature.Verdict)
		if found, proven = revoked(&signature.Policy{Roots: ends, Intermediates: brought.certificates}); !proven {
			claim.no(s.revocation, "it does not prove that the certificate was revoked")
			return
		}
		claim.unanchored("%s proves the revocation of the certificate, by an authority that is not among your anchors", s.revocation)
	}
	if from := found.From(); !from.Equal(s.revoked.From()) {
		claim.no(s.revocation, "it says that the certificate was revoked from another moment than the events: %s", fmt.Sprint(from.UTC()))
	}
	if reason := found.Reason.String(); reason != s.revoked.Reason {
		claim.no(s.revocation, "it names the reason %s, and the events %s", reason, s.revoked.Reason)
	}
}
