package signature

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"dalel/internal/crl"
	"dalel/internal/ocsp"
	"dalel/internal/pki"
)

// How evidence about revocation is read.
const (
	// Tolerance is how far the clocks of those who state a time may differ.
	Tolerance = 5 * time.Minute
	// MaxAge is how long an OCSP answer that names no next one speaks of the
	// time after it. The national responder answers from its data of the
	// moment and names none.
	MaxAge = time.Hour
)

// finding is what one piece of evidence, or a list with its delta, says.
type finding struct {
	revoked    bool
	at         time.Time
	reason     crl.Reason
	invalidity time.Time
	never      bool
	from       time.Time // from when on it speaks
	rests      []Evidence
	name       string // "OCSP of 2026-05-08T12:00:00Z"
}

// revocations collects what the evidence says of a certificate at a moment.
type revocations struct {
	found     []finding
	unknown   string     // the responder's word that it does not know
	unusable  []unusable // what cannot be relied on
	responder []Evidence
}

// unusable is a piece of evidence that cannot be relied on, and the code that
// says why.
type unusable struct {
	code string
	Evidence
}

// evidenceOn asks all evidence about a certificate of a path to a root.
//
// Evidence that was made after the moment speaks of it too: what was not
// revoked later was not revoked then. So each piece is asked at the moment, or
// at the time it was made if that is later.
func (v *verification) evidenceOn(path []*x509.Certificate, depth int, at time.Time) revocations {
	key := asked{path[depth], path[depth+1], path[len(path)-1], at.UnixNano()}
	r, known := v.standingOf[key]
	if !known {
		r = v.askEvidence(key.certificate, key.issuer, key.root, at)
		if len(v.vouching) > 0 {
			return r // a list was left out that is asked about itself
		}
		if v.standingOf == nil {
			v.standingOf = map[asked]revocations{}
		}
		v.standingOf[key] = r
	}
	return r
}

// asked is a question about a certificate, as one that was read.
type asked struct {
	certificate, issuer, root *x509.Certificate
	at                        int64 // in nanoseconds
}

func (v *verification) askEvidence(certificate, issuer, root *x509.Certificate, at time.Time) revocations {
	var r revocations
	lists := v.lists(issuer, root, at)
	if v.pool.over {
		r.unusable = append(r.unusable, unusable{code: tooMuch})
	}
	for _, piece := range v.pool.pieces[EvidenceOCSP] {
		response, err := ocsp.Parse(piece.DER)
		switch {
		case err != nil:
			r.unusable = append(r.unusable, unusable{unreadableAnswer(err), piece}) // about whom, nobody can tell
			continue
		case response.Status != ocsp.Successful:
			continue // the responder has not answered: there is no evidence
		case response.Basic == nil:
			r.unusable = append(r.unusable, unusable{ocsp.TypeUnknown, piece})
			continue
		}
		question := ocsp.About(certificate, issuer)
		question.NonceOptional, question.Tolerance, question.MaxAge = true, Tolerance, MaxAge
		question.Responders = v.policy.Responders
		about := false
		question.At = later(at, response.Basic.ProducedAt)
		for _, single := range response.Basic.Singles {
			if single.ID.Serial != nil && single.ID.Serial.Cmp(certificate.SerialNumber) == 0 {
				about, question.At = true, later(question.At, single.ThisUpdate)
			}
		}
		if !about {
			continue
		}
		question.ResponderGood = func(responder *x509.Certificate) bool {
			// The responder's own certificate can be vouched for by a list alone:
			// its own answer would be its own word.
			by := revocations{}
			by.ask(lists.verified, responder, question.At)
			return len(by.found) > 0 && !by.found[0].revoked && len(by.found) == by.good()
		}
		answer := response.Check(v.algorithms, question)
		if answer.Code == ocsp.Stale {
			// That a newer answer was due takes nothing from a revocation for good.
			question.At = later(answer.From, response.Basic.ProducedAt)
			if then := response.Check(v.algorithms, question); then.Status == ocsp.Revoked && !then.NeverIssued && then.Reason != crl.CertificateHold {
				answer = then
			}
		}
		switch answer.Status {
		case ocsp.Good, ocsp.Revoked:
			r.found = append(r.found, finding{
				revoked: answer.Status == ocsp.Revoked, at: answer.RevokedAt, reason: answer.Reason, never: answer.NeverIssued, invalidity: answer.Invalidity,
				from: answer.From, rests: []Evidence{piece}, name: "OCSP answer of " + answer.ProducedAt.UTC().Format(time.RFC3339),
			})
		case ocsp.Unknown:
			r.unknown = "OCSP answer of " + answer.ProducedAt.UTC().Format(time.RFC3339)
			r.responder = append(r.responder, piece)
		default:
			if answer.Code != ocsp.OtherCertificate { // of another issuer with the same serial number
				r.unusable = append(r.unusable, unusable{answer.Code, piece})
			}
		}
	}
	r.unusable = append(r.unusable, lists.unusable...)
	r.ask(lists.verified, certificate, at)
	return r
}

// tooMuch says that there is more evidence than is looked at.
const tooMuch = "evidence.too-much"

// unreadableAnswer is the code of an OCSP response that could not be parsed.
func unreadableAnswer(err error) string {
	if errors.Is(err, ocsp.ErrTooLarge) {
		return ocsp.TooLarge
	}
	return ocsp.Unreadable
}

func (r *revocations) good() int {
	n := 0
	for _, f := range r.found {
		if !f.revoked {
			n++
		}
	}
	return n
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// standing is what the evidence adds up to for a certificate at a moment.
type standing struct {
	code, detail string
	rests        []Evidence
	// made is when the evidence was made that says that it was good.
	made time.Time
	// compromised says that the key was reported compromised, whenever;
	// unexplained that it was revoked after the moment and nobody says why.
	compromised, unexplained bool
}

// settle weighs the findings. Revoked at the moment or before is stronger than
// any "good", since an answer of the same moment may not know yet; only a hold
// may be lifted, and then the certificate was still on hold in between.
func (r revocations) settle(at time.Time) standing {
	var good, benign *finding
	for i := range r.found {
		f := &r.found[i]
		if !f.revoked && (good == nil || f.from.After(good.from)) {
			good = f
		}
	}
	held := ""
	for i := range r.found {
		f := &r.found[i]
		if !f.revoked {
			continue
		}
		what := fmt.Sprintf("%s: revoked %s (%s)", f.name, f.at.UTC().Format(time.RFC3339), f.reason)
		lifted := f.reason == crl.CertificateHold && !f.never && good != nil && good.from.After(f.from)
		switch {
		case f.never:
			return standing{code: RevocationNeverIssued, detail: f.name + ": the authority does not know to have issued it", rests: f.rests, compromised: true}
		case lifted && (f.at.After(at) || r.goodBetween(f.from, at.Add(Tolerance))):
			continue // it was on hold after the moment alone, or before it alone
		case lifted && f.from.Before(at):
			held = fmt.Sprintf("%s, and lifted by %s: whether before the moment is not known", what, good.from.UTC().Format(time.RFC3339))
		case !f.at.After(at):
			return standing{code: RevocationRevoked, detail: what, rests: f.rests, compromised: f.reason.Compromised()}
		case !f.invalidity.IsZero() && !f.invalidity.After(at):
			return standing{code: RevocationRevoked, detail: fmt.Sprintf("%s, and the key not to be trusted since %s", what, f.invalidity.UTC().Format(time.RFC3339)), rests: f.rests, compromised: true}
		case benign == nil || f.reason.Compromised() || benign.reason == crl.Unspecified:
			benign = f
		}
	}
	switch {
	case held != "":
		return standing{code: RevocationUnusable, detail: held}
	case benign != nil:
		what := fmt.Sprintf("%s: revoked %s (%s), after the moment", benign.name, benign.at.UTC().Format(time.RFC3339), benign.reason)
		if benign.reason.Compromised() {
			return standing{code: RevocationCompromisedLater, detail: what, rests: benign.rests, compromised: true}
		}
		return standing{code: RevocationLater, detail: what, rests: benign.rests, unexplained: benign.reason == crl.Unspecified}
	case good != nil:
		return standing{code: RevocationGood, detail: good.name, rests: good.rests, made: good.from}
	case r.unknown != "":
		return standing{code: RevocationUnknown, detail: r.unknown + ": the responder does not know it", rests: r.responder}
	case len(r.unusable) > 0:
		return standing{code: RevocationUnusable, detail: fmt.Sprintf("what is at hand cannot be relied on: %s", r.unusableCodes())}
	}
	return standing{code: RevocationNoEvidence}
}

// goodBetween says whether the certificate was said to be good after one moment
// and not later than the other.
func (r revocations) goodBetween(after, until time.Time) bool {
	return slices.ContainsFunc(r.found, func(f finding) bool {
		return !f.revoked && f.from.After(after) && !f.from.After(until)
	})
}

// unusableCodes names, each once, why evidence cannot be relied on.
func (r revocations) unusableCodes() string {
	var codes []string
	for _, u := range r.unusable {
		if !slices.Contains(codes, u.code) {
			codes = append(codes, u.code)
		}
	}
	return strings.Join(codes, ", ")
}

// publishes says whether a certificate names where its issuer would publish
// its revocation.
func publishes(certificate *x509.Certificate) bool {
	return pki.HasExtension(certificate, "2.5.29.31") || // CRL distribution points
		pki.HasExtension(certificate, "2.5.29.46") || // freshest CRL
		len(certificate.OCSPServer) > 0
}
