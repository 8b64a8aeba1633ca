package signature

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"

	"dalel/internal/cms"
	"dalel/internal/pki"
	"dalel/internal/tsp"
)

// judgement is what is found of one signer for one moment.
type judgement struct {
	*signerCheck
	at      time.Time
	reasons []Reason
	chain   []*x509.Certificate
	rests   []Evidence
}

func (j *judgement) add(code, format string, args ...any) {
	r := Reason{code, fmt.Sprintf(format, args...)}
	if !slices.Contains(j.reasons, r) {
		j.reasons = append(j.reasons, r)
	}
}

func (j *judgement) rest(evidence ...Evidence) {
	for _, e := range evidence {
		if !slices.ContainsFunc(j.rests, e.same) {
			j.rests = append(j.rests, e)
		}
	}
}

// moment judges the signer's certificate for a moment.
func (s *signerCheck) moment(at time.Time) *judgement {
	j := &judgement{signerCheck: s, at: at, reasons: slices.Clone(s.reasons)}
	if s.certificate == nil {
		return j
	}
	// Both ends of the period belong to it (RFC 5280, 4.1.2.5).
	if at.Before(s.certificate.NotBefore) {
		j.add(CertificateNotYetValid, "valid from %s", s.certificate.NotBefore.UTC().Format(time.RFC3339))
	}
	if at.After(s.certificate.NotAfter) {
		j.add(CertificateExpired, "valid until %s", s.certificate.NotAfter.UTC().Format(time.RFC3339))
	}
	if code, detail := purposeOf(s.certificate); code != "" {
		j.add(code, "%s", detail)
	}
	path := s.path(s.certificate, at)
	j.chain = path.Certificates
	for _, problem := range path.Problems {
		j.add(string(problem.Code), "%s: %s", place(problem.Depth), problem.Detail)
	}
	if !path.Anchored {
		return j
	}
	for depth := range len(path.Certificates) - 1 { // a root is trusted as it stands
		found := s.revocation(path, depth, at)
		if certificate := path.Certificates[depth]; found.code == RevocationGood && found.made.Before(at) && len(path.Problems) == 0 &&
			publishes(certificate) && !contains(s.policy.Intermediates, certificate) {
			s.dated = append(s.dated, Wanted{certificate, path.Certificates[depth+1]})
		}
		j.add(found.code, "%s: %s", place(depth), found.detail)
		j.rest(found.rests...)
	}
	return j
}

func (v *verification) path(certificate *x509.Certificate, at time.Time) pki.Path {
	return pki.Builder{
		Roots: v.policy.Roots, Intermediates: v.policy.Intermediates,
		Offered: slices.Concat(v.policy.Offered, v.offered), Algorithms: v.algorithms, At: at,
	}.Build(certificate)
}

// revocation says whether a certificate in an anchored path was revoked, and
// notes what should be asked for where that cannot be told. Only a path with no
// fault is asked about: in one that cannot be decided (a signature by an
// algorithm not known here) anybody could have written the addresses.
func (v *verification) revocation(path pki.Path, depth int, at time.Time) standing {
	certificate, issuer := path.Certificates[depth], path.Certificates[depth+1]
	evidence := v.evidenceOn(path.Certificates, depth, at)
	found := evidence.settle(at)
	switch {
	case depth > 0 && found.code == RevocationCompromisedLater:
		// Who had an authority's key could make certificates of any date.
		found.code = RevocationIssuerCompromised
	case depth > 0 && found.unexplained:
		found.code = RevocationIssuerUnexplained
	}
	switch found.code {
	case RevocationNoEvidence, RevocationUnusable, RevocationUnknown:
	default:
		return found
	}
	if publishes(certificate) && len(path.Problems) == 0 {
		v.wanted = append(v.wanted, Wanted{certificate, issuer})
	}
	switch {
	case found.code == RevocationNoEvidence && !publishes(certificate):
		return standing{code: RevocationNotPublished, detail: "it names no OCSP responder and no CRL"}
	case depth > 0 && contains(v.policy.Intermediates, certificate) && found.code != RevocationUnknown:
		return standing{code: RevocationConfigured, detail: "it is among the configured anchors, and no usable evidence says otherwise"}
	case found.code == RevocationUnusable && !publishes(certificate):
		// Without them the answer would be another.
		for _, u := range evidence.unusable {
			if len(u.DER) > 0 {
				found.rests = append(found.rests, u.Evidence)
			}
		}
	case found.code == RevocationNoEvidence:
		found.detail = "it names where revocations are published, and no answer from there is at hand"
	}
	return found
}

// Wanted is a certificate whose revocation could not be told for want of
// evidence, and its issuer; both belong to a path to a configured root.
type Wanted struct{ Certificate, Issuer *x509.Certificate }

// place names a certificate by its place in the chain: names are personal.
func place(depth int) string {
	if depth == 0 {
		return "the signer's certificate"
	}
	return fmt.Sprintf("issuer %d", depth)
}

// doubt is a token of which it cannot be told whether it proves its moment.
type doubt struct {
	at     time.Time // what it would prove
	reason Reason
	token  Evidence
}

// open returns the judgement that says "cannot tell" where the answer depends on
// a token that can be neither relied on nor dismissed: the signer is not good for
// the moment that was found, and might be for the one that the token would prove.
// It returns nil where no token could change the answer.
func (s *signerCheck) open(found *judgement, doubts []doubt) *judgement {
	against := blocking(found.reasons)
	if len(against) == 0 {
		return nil // a token that proves nothing takes nothing
	}
	slices.SortStableFunc(doubts, func(a, b doubt) int { return a.at.Compare(b.at) })
	for _, d := range doubts {
		if !d.at.Before(found.at) {
			continue
		}
		then := s.moment(d.at)
		still := blocking(then.reasons)
		better := slices.ContainsFunc(against, func(code string) bool { return !slices.Contains(still, code) })
		if worst(then.reasons) == Invalid || !better {
			continue
		}
		now := found.at.UTC().Format(time.RFC3339)
		then.add(d.reason.Code, "%s; without it, for %s: %s", d.reason.Detail, now, strings.Join(against, ", "))
		then.rest(d.token) // without it the answer would be another
		return then
	}
	return nil
}

// blocking are the codes, each once, of reasons that do not leave a verdict valid.
func blocking(reasons []Reason) (codes []string) {
	for _, r := range reasons {
		if StatusOf(r.Code) != Valid && !slices.Contains(codes, r.Code) {
			codes = append(codes, r.Code)
		}
	}
	return codes
}

// candidate is a token that may be over a signature.
type candidate struct {
	token    []byte
	attached bool
	imprint  *tsp.Imprint // of what it is over, if not the signature
}

// tokens are all that may be over the signature: those attached to it first.
func (s *signerCheck) tokens() []candidate {
	var candidates []candidate
	for _, attribute := range s.signer.UnsignedAttributes {
		if attribute.OID == cms.OIDSignatureTimeToken {
			for _, value := range attribute.Values {
				candidates = append(candidates, candidate{token: value, attached: true})
			}
		}
	}
	for _, stamp := range s.stamps {
		candidates = append(candidates, candidate{token: stamp.Token, attached: true, imprint: &stamp.Imprint})
	}
	for _, piece := range s.pool.pieces[EvidenceTimeToken] {
		candidates = append(candidates, candidate{token: piece.DER})
	}
	return candidates
}

// trustedTime finds the earliest moment that a token over the signature
// proves (RFC 3161), and says of each token that proves nothing why. A token
// is nobody's word before it is verified: a bad one takes nothing from the
// signature. doubts are the tokens that more evidence could make good.
func (s *signerCheck) trustedTime(ctx context.Context) (
	trusted time.Time, rests []Evidence, reasons []Reason, doubts []doubt,
) {
	looked := 0 // tokens that were looked at
	for _, c := range s.tokens() {
		if ctx.Err() != nil || looked == maxTokens {
			break
		}
		token, err := tsp.Parse(c.token)
		if err != nil {
			if c.attached {
				reasons = append(reasons, Reason{TimeUnproven, "an attached token cannot be read"})
			}
			continue
		}
		question := tsp.Question{
			Message: s.signer.Signature, At: s.at, Tolerance: Tolerance,
			Roots: s.policy.Roots, Intermediates: slices.Concat(s.policy.Intermediates, s.policy.Offered, s.offered),
		}
		if c.imprint != nil {
			question.Message, question.Imprint = nil, c.imprint
		}
		answer := token.Check(s.algorithms, question)
		if answer.Code == tsp.ImprintMismatch && !c.attached {
			continue // over the signature of another signer: it is none of this one's tokens
		}
		looked++
		nothing := func(format string, args ...any) {
			why := fmt.Sprintf(format, args...)
			at := token.Time.UTC().Format(time.RFC3339)
			reasons = append(reasons, Reason{TimeUnproven, fmt.Sprintf("a token of %s proves nothing: %s", at, why)})
		}
		doubtful := func(code string, at time.Time) {
			why := reasons[len(reasons)-1].Detail
			doubts = append(doubts, doubt{at, Reason{code, why}, Evidence{EvidenceTimeToken, c.token}})
		}
		if answer.Status != tsp.Good {
			nothing("%s", answer.Code)
			if answer.Undecided {
				doubtful(TimeUndecided, token.Time.Add(token.Accuracy))
			}
			continue
		}
		if latest := answer.Latest(); latest.After(s.at.Add(Tolerance)) {
			nothing("by its accuracy it may be of %s", latest.UTC().Format(time.RFC3339))
			continue
		}
		used, refused, depth := s.authority(answer)
		if refused != "" {
			nothing("%s of the time-stamping authority: %s", placeOfAuthority(depth), refused)
			if Passing(refused) {
				doubtful(TimeNoEvidence, answer.Latest())
			}
			continue
		}
		used = append([]Evidence{{EvidenceTimeToken, c.token}}, used...)
		if at := answer.Latest().UTC(); trusted.IsZero() || at.Before(trusted) {
			trusted, rests = at, used
		}
	}
	if !trusted.IsZero() {
		reasons = append(reasons, Reason{TimeTrusted, "a time token proves that the signature was there at " + trusted.Format(time.RFC3339)})
	}
	return trusted, rests, reasons, doubts
}

// authority says what a good token's authority rests on, or by which code of
// revocation, and at which depth of the path, it is refused.
func (s *signerCheck) authority(answer tsp.Answer) (used []Evidence, refused string, depth int) {
	for depth := range len(answer.Path) - 1 {
		found := s.revocation(pki.Path{Certificates: answer.Path, Anchored: true}, depth, answer.Time)
		// RFC 3161, 4: a time-stamping authority that was revoked without a
		// reason is taken for compromised.
		if found.compromised || found.unexplained || StatusOf(found.code) != Valid {
			return nil, found.code, depth
		}
		used = append(used, found.rests...)
	}
	for _, certificate := range answer.Path {
		used = append(used, Evidence{EvidenceCertificate, certificate.Raw})
	}
	return used, "", 0
}

func placeOfAuthority(depth int) string {
	if depth == 0 {
		return "the certificate"
	}
	return fmt.Sprintf("issuer %d", depth)
}
