package signature

import (
	"bytes"
	"crypto/x509"
	"errors"
	"slices"
	"time"

	"dalel/internal/crl"
	"dalel/internal/pki"
)

// list is a full list, alone or with a delta.
type list struct {
	verified *crl.Verified
	rests    []Evidence
}

// lists are the revocation lists of an issuer.
type lists struct {
	// verified are full lists, those with a delta besides, and deltas by
	// themselves, which still say what was revoked for good.
	verified []list
	// unusable are lists that are, or may be, the issuer's.
	unusable []unusable
}

// listsKey names the lists that count for certificates of an issuer.
type listsKey struct {
	issuer, root *x509.Certificate
	at           int64
}

func (v *verification) lists(issuer, root *x509.Certificate, at time.Time) lists {
	key := listsKey{issuer: issuer, root: root}
	if known, ok := v.listsOf[key]; ok {
		return known
	}
	key.at = at.UnixNano()
	if known, ok := v.listsOf[key]; ok {
		return known
	}
	var full, deltas []list
	var all lists
	direct := true // the issuer itself signed all of them, so that the moment does not matter
	for _, piece := range v.pool.pieces[EvidenceCRL] {
		parsed, err := crl.Parse(piece.DER)
		if err != nil {
			all.unusable = append(all.unusable, unusable{unreadableList(err), piece}) // whose it is, nobody can tell
			continue
		}
		if !pki.SameName(parsed.Issuer, issuer.RawSubject) {
			continue
		}
		one := list{rests: []Evidence{piece}}
		if one.verified, err = crl.Verify(parsed, issuer, v.algorithms); err != nil {
			direct = false
			signed, own := v.signedByOther(parsed, issuer, root, at)
			if own {
				continue
			}
			if signed.verified == nil {
				all.unusable = append(all.unusable, unusable{unreadableList(err), piece})
				continue
			}
			one.verified, one.rests = signed.verified, append(one.rests, signed.rests...)
		}
		if parsed.Base != nil {
			deltas = append(deltas, one)
		} else {
			full = append(full, one)
		}
	}
	all.verified = append(all.verified, full...)
	for _, f := range full {
		for _, d := range deltas {
			if both, err := f.verified.WithDelta(d.verified); err == nil {
				all.verified = append(all.verified, list{both, slices.Concat(f.rests, d.rests)})
			}
		}
	}
	all.verified = append(all.verified, deltas...)
	switch {
	case v.listsOf == nil:
		v.listsOf = map[listsKey]lists{}
	case len(v.vouching) > 0 && !direct:
		return all // a list was left out that is asked about itself
	}
	if direct {
		key.at = 0
	}
	v.listsOf[key] = all
	return all
}

// Bounds of one verification: of the lists that are tried with another key of
// their issuer's, and of the keys that are then looked at.
const (
	maxTried   = 64
	maxVouched = 16
)

// signedByOther verifies a list with another key of the issuer (RFC 5280, 6.3.3,
// f): one that has the issuer's name and, by a path to the same root with nothing
// wrong in it, is at hand. A name alone does not make two keys one authority,
// since many keep a list for each key: the other must be for lists alone, or one
// of the two must have certified the other. own says that the list is by a key
// that is just being asked about: of itself it has nothing to say.
func (v *verification) signedByOther(
	parsed *crl.List, issuer, root *x509.Certificate, at time.Time,
) (found list, own bool) {
	for _, set := range [][]*x509.Certificate{v.policy.Intermediates, v.policy.Offered, v.offered} {
		for _, other := range set {
			if !pki.SameName(other.RawSubject, issuer.RawSubject) || bytes.Equal(other.Raw, issuer.Raw) ||
				other.KeyUsage&x509.KeyUsageCRLSign == 0 || v.tried == maxTried {
				continue
			}
			if id := other.SubjectKeyId; len(parsed.AuthorityKeyID) > 0 && len(id) > 0 && !bytes.Equal(parsed.AuthorityKeyID, id) {
				continue
			}
			v.tried++
			if !v.sameAuthority(other, issuer) {
				continue
			}
			verified, err := crl.Verify(parsed, other, v.algorithms)
			if err != nil {
				continue
			}
			if v.vouching[other] {
				return list{}, true
			}
			if _, revoked := verified.Permanent(crl.SubjectOf(other)); revoked {
				continue
			}
			if rests, ok := v.vouch(other, root, later(at, parsed.ThisUpdate)); ok {
				return list{verified, rests}, false
			}
		}
	}
	return list{}, false
}

// sameAuthority says whether two certificates of one name are of one authority.
func (v *verification) sameAuthority(other, issuer *x509.Certificate) bool {
	if other.KeyUsage&x509.KeyUsageCertSign == 0 {
		return true // a key for lists alone
	}
	certified := func(child, parent *x509.Certificate) bool {
		return pki.SameName(child.RawIssuer, parent.RawSubject) && v.algorithms.CheckCertificate(child, parent) == nil
	}
	return certified(other, issuer) || certified(issuer, other)
}

// vouch says whether a certificate that signs lists leads to the root, and is not
// revoked, at a moment, and on what that rests.
func (v *verification) vouch(other, root *x509.Certificate, at time.Time) (rests []Evidence, ok bool) {
	if v.vouched == maxVouched || at.Before(other.NotBefore) || at.After(other.NotAfter) {
		return nil, false
	}
	v.vouched++
	path := pki.Builder{
		Roots: []*x509.Certificate{root}, Intermediates: v.policy.Intermediates,
		Offered: slices.Concat(v.policy.Offered, v.offered), Algorithms: v.algorithms, At: at,
	}.Build(other)
	if !path.Anchored || len(path.Problems) > 0 {
		return nil, false
	}
	if v.vouching == nil {
		v.vouching = map[*x509.Certificate]bool{}
	}
	v.vouching[other] = true
	defer delete(v.vouching, other)
	for depth := range len(path.Certificates) - 1 {
		found := v.revocation(path, depth, at)
		if found.compromised || found.unexplained || StatusOf(found.code) != Valid {
			return nil, false
		}
		rests = append(rests, found.rests...)
	}
	for _, certificate := range path.Certificates {
		rests = append(rests, Evidence{EvidenceCertificate, certificate.Raw})
	}
	return rests, true
}

// unreadableList is the code of a list that could not be parsed or verified.
func unreadableList(err error) string {
	var problem *crl.Problem
	switch {
	case errors.As(err, &problem):
		return problem.Code
	case errors.Is(err, crl.ErrTooLarge):
		return crl.TooLarge
	}
	return crl.Unreadable
}

// ask asks lists about a certificate. Lists for some reasons only make it good
// where together they speak of all (RFC 5280, 6.3.3).
func (r *revocations) ask(lists []list, certificate *x509.Certificate, at time.Time) {
	if len(lists) == 0 {
		return
	}
	subject := crl.SubjectOf(certificate)
	together := finding{name: "CRLs for some reasons each"}
	var covered crl.ReasonSet
	for _, l := range lists {
		made := l.verified.List().ThisUpdate
		if delta := l.verified.Delta(); delta != nil {
			made = later(made, delta.ThisUpdate)
		}
		answer := l.verified.Check(crl.Question{Subject: subject, At: later(at, made), Tolerance: Tolerance})
		switch answer.Status {
		case crl.Good, crl.Revoked:
			r.found = append(r.found, finding{
				revoked: answer.Status == crl.Revoked, at: answer.RevokedAt, reason: answer.Reason, invalidity: answer.Invalidity,
				from: made, rests: l.rests, name: "CRL of " + made.UTC().Format(time.RFC3339),
			})
		default:
			if entry, ok := l.verified.Permanent(subject); ok {
				r.found = append(r.found, finding{
					revoked: true, at: entry.At, reason: entry.Reason, invalidity: entry.Invalidity,
					from: made, rests: l.rests, name: "CRL of " + made.UTC().Format(time.RFC3339),
				})
			} else {
				if answer.Covers != 0 {
					covered |= answer.Covers
					together.rests = append(together.rests, l.rests...)
					if together.from.IsZero() || made.Before(together.from) {
						together.from = made
					}
				}
				for _, piece := range l.rests {
					r.unusable = append(r.unusable, unusable{answer.Code, piece})
				}
			}
		}
	}
	if covered == crl.AllReasons {
		r.found = append(r.found, together)
	}
}
