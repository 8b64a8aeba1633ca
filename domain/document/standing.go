package document

import (
	"slices"
	"time"

	"dalel/domain/certificate"
)

// Force is whether a signature that was accepted still counts (R-C8).
type Force string

// The forces, from the weakest.
const (
	ForceStands Force = "stands"
	ForceDoubt  Force = "in-doubt"
	ForceLost   Force = "lost"
)

// Source says who took a signature's force.
type Source string

// The sources. A commission's Act will be another.
const (
	// SourceAuthority is the certification authority, by its revocation.
	SourceAuthority Source = "authority"
	// SourceOperator is the operator, by its decision.
	SourceOperator Source = "operator"
)

// Standing says whether a signature stands and on what that rests. The zero
// value but for Force is that of a signature of which nobody said anything.
type Standing struct {
	Force Force
	// Since is, of a signature in doubt, when the first notice that covers it
	// was received; of one that lost its force, when the decision was made or
	// the authority's revocation recorded.
	Since time.Time
	// From is the moment from which the key is said not to be trusted.
	From time.Time
	// Notices are the open notices that cover it.
	Notices []string
	// Source and Ground say by what it lost its force. Ground is the
	// operator's words, or the authority's reason (a name of RFC 5280).
	Source Source
	Ground string
	// Decision is the latest decision on it, nil if there is none.
	Decision *SignatureDecided
	// Before says that a notice or a revocation stands against the key and that
	// the signature was made before its moment, so that it keeps its force;
	// Proved, that a trusted time token proves that, and not the ledger's clock
	// alone.
	Before, Proved bool
}

// Standing says whether a signature (from 0) stands, from the document's state
// and that of the signature's certificate. Neither a read model nor a mark on
// the document has a say in it.
//
// The authority's revocation weighs most, then a decision that it lost its
// force; a decision that it stands answers the notices received until then, and
// no later one.
func (s State) Standing(n int, signedWith certificate.State) Standing {
	sig := s.Signatures[n]
	standing := Standing{Force: ForceStands, Decision: sig.Decision}
	if signedWith.RevokedBefore(sig.SignedAt) {
		revoked := signedWith.Revocation
		standing.Force, standing.Source, standing.Ground = ForceLost, SourceAuthority, revoked.Reason
		standing.Since, standing.From = revoked.RecordedAt, revoked.From()
		return standing
	}
	if d := sig.Decision; d != nil && d.Ruling == RulingLost {
		standing.Force, standing.Source, standing.Ground = ForceLost, SourceOperator, d.Ground
		standing.Since, standing.Notices = d.DecidedAt, d.Notices
		return standing
	}
	for _, notice := range signedWith.Covering(sig.SignedAt) {
		if sig.answered(notice) {
			continue
		}
		if standing.Force != ForceDoubt {
			standing.Force, standing.Since, standing.From = ForceDoubt, notice.ReceivedAt, notice.CompromisedFrom
		}
		if notice.CompromisedFrom.Before(standing.From) {
			standing.From = notice.CompromisedFrom
		}
		standing.Notices = append(standing.Notices, notice.ID)
	}
	if standing.Force == ForceStands {
		standing.Before = signedWith.Revocation != nil || slices.ContainsFunc(signedWith.Notices, func(n certificate.Notice) bool {
			return n.Open() && sig.SignedAt.Before(n.CompromisedFrom)
		})
		standing.Proved = standing.Before && sig.TrustedTime
	}
	return standing
}

// answered reports whether a decision that the signature stands answers a
// notice.
func (s Signature) answered(notice certificate.Notice) bool {
	return s.Decision != nil && s.Decision.Ruling == RulingStands && slices.Contains(s.Decision.Notices, notice.ID)
}

// Replaced reports whether the party of a signature (from 0) signed the
// document again later, so that the later one is the one that counts.
func (s State) Replaced(n int) bool {
	return slices.ContainsFunc(s.Signatures[n+1:], func(later Signature) bool { return later.Party == s.Signatures[n].Party })
}

// Certificates returns the certificates of the document's signatures, each
// once, in the order of signing.
func (s State) Certificates() []string {
	var fingerprints []string
	for _, sig := range s.Signatures {
		if !slices.Contains(fingerprints, sig.Certificate) {
			fingerprints = append(fingerprints, sig.Certificate)
		}
	}
	return fingerprints
}

// Standings says of each signature whether it stands, given the states of the
// certificates by fingerprint.
func (s State) Standings(certificates map[string]certificate.State) []Standing {
	standings := make([]Standing, 0, len(s.Signatures))
	for n, sig := range s.Signatures {
		standings = append(standings, s.Standing(n, certificates[sig.Certificate]))
	}
	return standings
}

// Weakest is the force of the document's signatures taken together: that of the
// one that stands least, replaced ones left out. A document without signatures
// has nothing against it.
func (s State) Weakest(standings []Standing) Force {
	weakest := ForceStands
	for n, standing := range standings {
		if s.Replaced(n) || standing.Force == ForceStands {
			continue
		}
		if weakest != ForceLost {
			weakest = standing.Force
		}
	}
	return weakest
}
