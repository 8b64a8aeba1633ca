package signature

import (
	"context"
	"crypto/x509"
	"time"

	"dalel/internal/crl"
	"dalel/internal/pki"
)

// Standing is what evidence adds up to for one certificate of a path at a
// moment.
type Standing struct {
	// Code is one of those about revocation, Detail is for people.
	Code, Detail string
	// Revoked are all revocations that the evidence tells of, whenever.
	Revoked []Revocation
	// RestsOn is the evidence that decides.
	RestsOn []Evidence
}

// Revocation is one that a piece of evidence tells of.
type Revocation struct {
	At     time.Time
	Reason crl.Reason
	// Invalidity is since when the key is not to be trusted, zero if nobody
	// says; Never that the authority does not know the certificate.
	Invalidity time.Time
	Never      bool
}

// Standings says of each certificate of a path that leads to a trusted root
// whether it was revoked at a moment, from the evidence alone; the root itself
// is trusted as it stands. Evidence that was made after the moment speaks of it
// too. wanted are those of whom it could not be told.
func (p *Policy) Standings(path []*x509.Certificate, at time.Time, evidence []Evidence) (standings []Standing, wanted []Wanted) {
	v := verification{policy: p, at: at, algorithms: p.Known()}
	for _, piece := range evidence {
		v.pool.add(piece.Kind, piece.DER)
	}
	for depth := range max(0, len(path)-1) {
		found := v.revocation(pki.Path{Certificates: path, Anchored: true}, depth, at)
		s := Standing{Code: found.code, Detail: found.detail, RestsOn: found.rests}
		for _, f := range v.evidenceOn(path, depth, at).found {
			if f.revoked {
				s.Revoked = append(s.Revoked, Revocation{At: f.at, Reason: f.reason, Invalidity: f.invalidity, Never: f.never})
			}
		}
		standings = append(standings, s)
	}
	return standings, v.wanted
}

// Revoked says whether a piece of evidence proves that a certificate (DER) was
// revoked for good: a verified list or answer of its authority, of a path to a
// trusted root, with a reason that is not a hold, and returns the one from
// the earliest moment. at is now; a certificate that
// has ended is looked at as of its end.
func (p *Policy) Revoked(der []byte, evidence Evidence, at time.Time) (Revocation, bool) {
	path, then, ok := p.anchored(der, at)
	if !ok {
		return Revocation{}, false
	}
	standings, _ := p.Standings(path, then, []Evidence{evidence})
	var earliest Revocation
	proven := false
	for _, revoked := range standings[0].Revoked {
		if revoked.Never || revoked.Reason == crl.CertificateHold || revoked.Reason == crl.RemoveFromCRL {
			continue
		}
		if !proven || revoked.From().Before(earliest.From()) {
			earliest, proven = revoked, true
		}
	}
	return earliest, proven
}

// From is the moment from which the authority does not trust the key.
func (r Revocation) From() time.Time {
	if !r.Invalidity.IsZero() && r.Invalidity.Before(r.At) {
		return r.Invalidity
	}
	return r.At
}

// anchored builds a certificate's path to a trusted root at a moment within its
// dates; ok is false where there is none without a fault.
func (p *Policy) anchored(der []byte, at time.Time) (path []*x509.Certificate, then time.Time, ok bool) {
	certificate, err := pki.ParseCertificate(der)
	if err != nil {
		return nil, at, false
	}
	if at.After(certificate.NotAfter) {
		at = certificate.NotAfter
	}
	v := verification{policy: p, at: at, algorithms: p.Known()}
	found := v.path(certificate, at)
	return found.Certificates, at, found.Anchored && len(found.Problems) == 0 && len(found.Certificates) > 1
}

// AskRevocation asks the sources what the authority says of a certificate (DER)
// now, and returns what they bring: nothing where nobody answers.
func (o *Online) AskRevocation(ctx context.Context, der []byte, at time.Time) []Evidence {
	path, then, ok := o.anchored(der, at)
	if !ok {
		return nil
	}
	return o.Fetch(ctx, path, then)
}

// Fetch asks the sources whether the certificates of a path to a trusted root
// are revoked, and returns what they say: nothing where there is no answer.
func (o *Online) Fetch(ctx context.Context, path []*x509.Certificate, at time.Time) []Evidence {
	if o.Sources == nil {
		return nil
	}
	limit := o.Limit
	if limit <= 0 {
		limit = DefaultLimit
	}
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var wanted []Wanted
	for depth := range max(0, len(path)-1) {
		if publishes(path[depth]) {
			wanted = append(wanted, Wanted{path[depth], path[depth+1]})
		}
	}
	found := o.gather(bounded, Assessment{Wanted: wanted}, at, &asking{asked: map[string]bool{}, answered: map[string]bool{}})
	// A responder's own certificate may need a list to vouch for it.
	if _, still := o.Standings(path, at, found); len(still) > 0 {
		for _, w := range still {
			if lists, err := o.Sources.CRLs(bounded, w.Certificate, w.Issuer); err == nil {
				for _, list := range lists {
					found = append(found, Evidence{EvidenceCRL, list})
				}
			}
		}
	}
	return found
}
