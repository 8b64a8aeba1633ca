package signature

import (
	"context"
	"crypto/x509"
	"slices"
	"sync"
	"time"

	"dalel/internal/ocsp"
	"dalel/internal/pki"
)

// Sources fetch evidence that is not at hand. What they bring is verified like
// all evidence; an error means that there is none for now, and is theirs to
// log.
type Sources interface {
	// OCSP asks about a certificate; the answer is an OCSPResponse.
	OCSP(ctx context.Context, certificate, issuer *x509.Certificate) ([]byte, error)
	// CRLs returns the issuer's lists that a certificate names: the full one,
	// and a delta if there is one.
	CRLs(ctx context.Context, certificate, issuer *x509.Certificate) ([][]byte, error)
	// TimeToken has a message stamped (RFC 3161), by this digest if the
	// authority takes it.
	TimeToken(ctx context.Context, digest pki.Identifier, message []byte) ([]byte, error)
}

// Online is a [Policy] that has missing evidence fetched. It implements
// [Verifier]; what it returns is the policy's verdict from the evidence that
// was found, so that the policy alone repeats it.
//
// It asks also where evidence that was made before the moment says that all is
// well: whoever signs chooses what lies beside the signature.
//
// Only certificates in a path to a configured root are asked about: nobody can
// have this program call an address by putting it into a certificate.
type Online struct {
	*Policy
	// Sources may be nil: then nothing is fetched.
	Sources Sources
	// Limit bounds the fetching for one signature; 0 means DefaultLimit.
	Limit time.Duration
	// Clock says what time it is: no token is asked for on behalf of a moment
	// that has passed, about which it would prove nothing. If it is nil, one is
	// asked for in any case.
	Clock func() time.Time
}

// DefaultLimit is how long fetching for one signature may take. The signer
// waits for it; what is late is asked for again when the signature is checked
// again.
const DefaultLimit = 25 * time.Second

// rounds is how often the verdict may ask for more: a token that was fetched
// brings certificates of its own.
const rounds = 3

// Assess implements [Verifier].
func (o *Online) Assess(ctx context.Context, request Request) (Assessment, error) {
	result, err := o.Policy.Assess(ctx, request)
	if o.Sources == nil {
		return result, err
	}
	limit := o.Limit
	if limit <= 0 {
		limit = DefaultLimit
	}
	fetching, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	given := request.Evidence[:len(request.Evidence):len(request.Evidence)]
	var fetched []Evidence
	asking := asking{asked: map[string]bool{}, answered: map[string]bool{}}
	for range rounds {
		if err != nil || result.Signing.Status == Invalid || result.Receipt.Status == Invalid && !result.Trusted && len(result.Untimed) == 0 {
			break
		}
		found := o.gather(fetching, result, request.At, &asking)
		if len(found) == 0 {
			break
		}
		fetched = append(fetched, found...)
		request.Evidence = append(given, fetched...)
		result, err = o.Policy.Assess(ctx, request)
	}
	// A token that was fetched and proves nothing is as if it had not come: the
	// verdict would speak of it, and it is not among what the verdict rests on.
	useful := slices.DeleteFunc(slices.Clone(fetched), func(e Evidence) bool {
		return e.Kind == EvidenceTimeToken && !slices.ContainsFunc(result.Evidence, func(kept Evidence) bool { return kept.Name() == e.Name() })
	})
	if err == nil && len(useful) < len(fetched) {
		request.Evidence = append(given, useful...)
		result, err = o.Policy.Assess(ctx, request)
	}
	if err == nil {
		result.confirm(asking)
	}
	return result, err
}

// asking remembers what was asked for, and of which certificates somebody said
// whether they are revoked.
type asking struct{ asked, answered map[string]bool }

// confirm takes back what rests on evidence of before the moment alone where
// somebody was asked and nobody answered. Who holds a stolen key puts beside the
// signature an answer of before it was reported, which is good as far as it goes:
// it must not stand in for the answer of now, and an outage must not help.
func (a *Assessment) confirm(asking asking) {
	for _, w := range a.Dated {
		print := fingerprint(w.Certificate)
		if name := "revocation " + print; !asking.asked[name] || asking.answered[name] {
			continue
		}
		reason := Reason{RevocationUnconfirmed, "what came with the signature was made before, and no answer was to be had"}
		for _, verdict := range []*Verdict{&a.Receipt, &a.Signing} {
			// Both may have one list of signers.
			verdict.Signers = slices.Clone(verdict.Signers)
			for i := range verdict.Signers {
				s := &verdict.Signers[i]
				if s.Certificate != print && !slices.Contains(s.Chain, print) || slices.Contains(s.Reasons, reason) {
					continue
				}
				s.Reasons = append(slices.Clone(s.Reasons), reason)
				s.Status = worst(s.Reasons)
			}
			verdict.sum()
		}
	}
}

// Verify implements [Verifier].
func (o *Online) Verify(ctx context.Context, request Request) (Verdict, error) {
	result, err := o.Assess(ctx, request)
	return result.Receipt, err
}

// gather fetches, all at once, what a result asks for and what was not asked
// for before. What is good by older evidence is asked for, too.
func (o *Online) gather(ctx context.Context, result Assessment, at time.Time, asking *asking) []Evidence {
	var (
		mu    sync.Mutex
		found []Evidence
		group sync.WaitGroup
	)
	add := func(kind EvidenceKind, der []byte) {
		mu.Lock()
		defer mu.Unlock()
		found = append(found, Evidence{kind, der})
	}
	answered := func(name string) {
		mu.Lock()
		defer mu.Unlock()
		asking.answered[name] = true
	}
	for _, w := range slices.Concat(result.Wanted, result.Dated) {
		if name := "revocation " + fingerprint(w.Certificate); !asking.asked[name] {
			asking.asked[name] = true
			group.Go(func() {
				if response, err := o.Sources.OCSP(ctx, w.Certificate, w.Issuer); err == nil {
					add(EvidenceOCSP, response)
					if o.answers(response, w) {
						answered(name)
						return
					}
				}
				lists, err := o.Sources.CRLs(ctx, w.Certificate, w.Issuer)
				if err != nil {
					return
				}
				answered(name)
				for _, list := range lists {
					add(EvidenceCRL, list)
				}
			})
		}
	}
	passed := o.Clock != nil && o.Clock().After(at.Add(Tolerance))
	for _, u := range result.Untimed {
		if passed {
			break
		}
		if name := "token " + (Evidence{DER: u.Signature}).Name(); !asking.asked[name] {
			asking.asked[name] = true
			group.Go(func() {
				if token, err := o.Sources.TimeToken(ctx, u.Digest, u.Signature); err == nil {
					add(EvidenceTimeToken, token)
				}
			})
		}
	}
	group.Wait()
	return found
}

// answers says whether an OCSP answer settles the question, so that no list is
// needed, which may have megabytes.
func (o *Online) answers(response []byte, w Wanted) bool {
	question := ocsp.About(w.Certificate, w.Issuer)
	question.NonceOptional, question.Tolerance, question.MaxAge, question.Responders = true, Tolerance, MaxAge, o.Responders
	parsed, err := ocsp.Parse(response)
	if err != nil || parsed.Basic == nil {
		return false
	}
	question.At = parsed.Basic.ProducedAt
	answer := parsed.Check(o.Known(), question)
	return answer.Status == ocsp.Good || answer.Status == ocsp.Revoked
}
