package pki

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Code names what is wrong with a path. The codes are those of the reasons in
// package domain/signature, which says what each means for a verdict.
type Code string

// The codes of [Problem].
const (
	AlgorithmUnsupported   Code = "algorithm.unsupported"
	AlgorithmWeak          Code = "algorithm.weak"
	ExtensionUnknown       Code = "certificate.extension-unknown"
	ChainIncomplete        Code = "chain.incomplete"
	ChainUntrusted         Code = "chain.untrusted"
	ChainSearchLimit       Code = "chain.search-limit"
	ChainSignatureMismatch Code = "chain.signature-mismatch"
	ChainExpired           Code = "chain.expired"
	ChainNotYetValid       Code = "chain.not-yet-valid"
	ChainNotCA             Code = "chain.not-a-ca"
	ChainPathTooLong       Code = "chain.path-too-long"
	ChainKeyUsage          Code = "chain.key-usage"
	ChainPolicy            Code = "chain.policy"
	ChainName              Code = "chain.name"
)

// Bounds of the search for a path. A national hierarchy has three levels; the
// rest is room. What a hostile CMS carries can cost no more than this.
const (
	MaxPathLength      = 8
	MaxSignatureChecks = 64
	// MaxSteps bounds the paths through certificates that have all been
	// checked: authorities that certify each other make many of few.
	MaxSteps = 1024
)

// Problem is one thing that keeps a path from being good.
type Problem struct {
	Code Code
	// Depth is the place in the path of the certificate that it is about: 0 is
	// the leaf.
	Depth int
	// Detail is for people and names no person.
	Detail string
}

// Undecided says that the problem leaves open whether the path was good when its
// leaf was used. An issuer's end is such a problem: the moment that is asked about
// is mostly one at which something was already there, and it may be older.
func (p Problem) Undecided() bool {
	switch p.Code {
	case AlgorithmUnsupported, AlgorithmWeak, ExtensionUnknown,
		ChainIncomplete, ChainUntrusted, ChainSearchLimit, ChainExpired:
		return true
	}
	return false
}

// Path is the best path that was found from a leaf towards a root.
type Path struct {
	// Certificates are in order, the leaf first. It ends with a configured
	// root if and only if Anchored.
	Certificates []*x509.Certificate
	// Anchored says that the last one is a configured root. It says nothing of
	// what lies between: see Problems.
	Anchored bool
	// Problems is empty when the path is good. It does not speak of the leaf's
	// own dates and purpose, nor of revocation.
	Problems []Problem
}

// Builder finds paths. The zero value has no roots, and no path is anchored.
type Builder struct {
	// Roots are trusted as they stand. A root may be the leaf itself.
	Roots []*x509.Certificate
	// Intermediates were configured, Offered came with what is verified. A
	// path may use both; only the first kind can show that a certificate was
	// forged.
	Intermediates, Offered []*x509.Certificate
	// Algorithms check the signatures.
	Algorithms *Algorithms
	// At is the moment at which every issuer must be within its dates.
	At time.Time
}

// Build looks for a path from leaf to a root (RFC 5280, 6.1). Any policy is
// acceptable.
//
// An issuer is matched by its subject ([SameName]), and by key identifier where
// both have one. If several paths exist, a good one wins over one that
// cannot be decided, that over one that is wrong, and that over one that
// leads to no root. A path that leads to no root never has a problem that
// says "wrong": nothing about it is known to be true.
func (b Builder) Build(leaf *x509.Certificate) Path {
	s := search{builder: b, checked: map[[2]*x509.Certificate]error{}, rank: rankNothing}
	var problems []Problem
	if name, ok := unknownCritical(leaf); ok {
		problems = append(problems, Problem{ExtensionUnknown, 0, "critical extension " + name + " is not understood"})
	}
	s.extend([]*x509.Certificate{leaf}, problems)
	if s.exhausted && s.rank != rankGood {
		// More was offered than was looked at, so "wrong" has not been shown.
		s.best.Problems = append(keepUndecided(s.best.Problems), Problem{
			ChainSearchLimit, len(s.best.Certificates) - 1,
			fmt.Sprintf("more than %d possible issuers or %d possible paths, or a path of more than %d certificates",
				MaxSignatureChecks, MaxSteps, MaxPathLength),
		})
	}
	return s.best
}

// Ranks of a path, the best first.
const (
	rankGood = iota
	rankUndecided
	rankWrong
	rankLoose
	rankNothing
)

type search struct {
	builder   Builder
	checked   map[[2]*x509.Certificate]error
	exhausted bool
	steps     int
	best      Path
	rank      int
}

func (s *search) extend(path []*x509.Certificate, problems []Problem) {
	if s.rank == rankGood {
		return
	}
	if s.steps++; s.steps > MaxSteps {
		s.exhausted = true
		return
	}
	head := path[len(path)-1]
	if contains(s.builder.Roots, head) {
		s.finish(path, problems, true)
		return
	}
	if len(path) == MaxPathLength {
		s.exhausted = true
		return
	}
	followed, cut := false, false
	for _, set := range []struct {
		certificates []*x509.Certificate
		configured   bool
	}{{s.builder.Roots, true}, {s.builder.Intermediates, true}, {s.builder.Offered, false}} {
		for _, issuer := range set.certificates {
			named, sure := issuerOf(issuer, head)
			if !named || onPath(path, issuer) {
				continue
			}
			err, known := s.check(head, issuer)
			if !known {
				s.exhausted, cut = true, true
				continue
			}
			if errors.Is(err, ErrMismatch) && !(set.configured && sure) {
				// Another key under the same name: not the issuer at all.
				continue
			}
			followed = true
			more := append(slices.Clone(problems), s.problemsOf(path, issuer, err)...)
			s.extend(append(slices.Clone(path), issuer), more)
		}
	}
	if followed {
		return
	}
	depth := len(path) - 1
	switch {
	case cut:
		// Build says that the search was not finished.
	case len(s.builder.Roots) == 0:
		problems = append(problems, Problem{ChainUntrusted, depth, "no roots are configured"})
	case bytes.Equal(head.RawSubject, head.RawIssuer):
		problems = append(problems, Problem{ChainUntrusted, depth, "the chain ends in a self-issued certificate that is not among the configured roots"})
	default:
		problems = append(problems, Problem{ChainIncomplete, depth, "the issuer's certificate is not at hand"})
	}
	s.finish(path, problems, false)
}

// check checks the signature on child once, within the budget.
func (s *search) check(child, issuer *x509.Certificate) (err error, known bool) {
	pair := [2]*x509.Certificate{child, issuer}
	if err, ok := s.checked[pair]; ok {
		return err, true
	}
	if len(s.checked) >= MaxSignatureChecks {
		return nil, false
	}
	err = s.builder.Algorithms.CheckCertificate(child, issuer)
	s.checked[pair] = err
	return err, true
}

// problemsOf says what is wrong with issuer as the next after path, given what
// the check of the signature said.
func (s *search) problemsOf(path []*x509.Certificate, issuer *x509.Certificate, signature error) []Problem {
	var problems []Problem
	depth := len(path)
	add := func(code Code, at int, format string, args ...any) {
		problems = append(problems, Problem{code, at, fmt.Sprintf(format, args...)})
	}
	switch {
	case errors.Is(signature, ErrMismatch):
		add(ChainSignatureMismatch, depth-1, "the issuer's key did not make the signature on this certificate")
	case errors.Is(signature, ErrWeak):
		add(AlgorithmWeak, depth-1, "signature on the certificate: %v", signature)
	case signature != nil:
		add(AlgorithmUnsupported, depth-1, "signature on the certificate: %v", signature)
	}
	if s.builder.At.Before(issuer.NotBefore) {
		add(ChainNotYetValid, depth, "valid from %s", issuer.NotBefore.UTC().Format(time.RFC3339))
	}
	if s.builder.At.After(issuer.NotAfter) {
		add(ChainExpired, depth, "valid until %s", issuer.NotAfter.UTC().Format(time.RFC3339))
	}
	if !issuer.BasicConstraintsValid || !issuer.IsCA {
		add(ChainNotCA, depth, "basic constraints do not make it a CA")
	} else if limit := issuer.MaxPathLen; limit > 0 || (limit == 0 && issuer.MaxPathLenZero) {
		between := 0
		for _, certificate := range path[1:] {
			if !selfIssued(certificate) {
				between++
			}
		}
		if between > limit {
			add(ChainPathTooLong, depth, "%d CA certificates below it, %d allowed", between, limit)
		}
	}
	if HasExtension(issuer, "2.5.29.15") && issuer.KeyUsage&x509.KeyUsageCertSign == 0 {
		add(ChainKeyUsage, depth, "key usage does not include keyCertSign")
	}
	if name, ok := unknownCritical(issuer); ok {
		add(ExtensionUnknown, depth, "critical extension %s is not understood", name)
	}
	return problems
}

func (s *search) finish(path []*x509.Certificate, problems []Problem, anchored bool) {
	if anchored {
		for _, check := range []func([]*x509.Certificate) (Problem, bool){checkNames, checkPolicies} {
			if p, ok := check(path); ok {
				problems = append(slices.Clip(problems), p)
			}
		}
	}
	rank := rankGood
	switch {
	case !anchored:
		rank = rankLoose
		problems = slices.DeleteFunc(keepUndecided(problems), func(p Problem) bool { return p.Code == ChainExpired })
	case len(keepUndecided(problems)) < len(problems):
		rank = rankWrong
	case len(problems) > 0:
		rank = rankUndecided
	}
	longer := rank == s.rank && rank == rankLoose && len(path) > len(s.best.Certificates)
	if rank < s.rank || longer {
		s.rank = rank
		s.best = Path{Certificates: path, Anchored: anchored, Problems: problems}
	}
}

func keepUndecided(problems []Problem) []Problem {
	var kept []Problem
	for _, p := range problems {
		if p.Undecided() {
			kept = append(kept, p)
		}
	}
	return kept
}

// issuerOf says whether issuer may have issued child: same name, and no key
// identifiers that differ. sure means that both have one and they are equal.
func issuerOf(issuer, child *x509.Certificate) (named, sure bool) {
	known := len(child.AuthorityKeyId) > 0 && len(issuer.SubjectKeyId) > 0
	if known && !bytes.Equal(child.AuthorityKeyId, issuer.SubjectKeyId) {
		return false, false // names that differ cost more to compare
	}
	named = SameName(issuer.RawSubject, child.RawIssuer)
	return named, named && known
}

// onPath keeps the search from going round: the same key under the same name
// does not appear twice.
func onPath(path []*x509.Certificate, candidate *x509.Certificate) bool {
	for _, c := range path {
		if bytes.Equal(c.RawSubject, candidate.RawSubject) &&
			bytes.Equal(c.RawSubjectPublicKeyInfo, candidate.RawSubjectPublicKeyInfo) {
			return true
		}
	}
	return false
}

func contains(set []*x509.Certificate, certificate *x509.Certificate) bool {
	for _, c := range set {
		if bytes.Equal(c.Raw, certificate.Raw) {
			return true
		}
	}
	return false
}

// HasExtension says whether the certificate has the extension with this OID in
// dotted form.
func HasExtension(certificate *x509.Certificate, oid string) bool {
	return slices.ContainsFunc(certificate.Extensions, func(e pkix.Extension) bool { return isOID(e.Id, oid) })
}

// isOID says whether an OID is the one that is dotted in text, without writing it:
// it is asked of every extension of every certificate.
func isOID(id []int, dotted string) bool {
	for i, arc := range id {
		first, rest, more := strings.Cut(dotted, ".")
		value := 0
		for _, digit := range []byte(first) {
			value = value*10 + int(digit-'0')
		}
		if value != arc || more != (i < len(id)-1) {
			return false
		}
		dotted = rest
	}
	return len(id) > 0
}

// unknownCritical returns a critical extension that is not taken into account
// here. crypto/x509's own list will not do: it speaks of what its own Verify
// handles.
func unknownCritical(certificate *x509.Certificate) (string, bool) {
	for _, extension := range certificate.Extensions {
		if !extension.Critical {
			continue
		}
		switch oid := extension.Id.String(); oid {
		case "2.5.29.14", "2.5.29.35", // key identifiers
			"2.5.29.15",              // key usage
			"2.5.29.17", "2.5.29.18", // alternative names
			"2.5.29.19",        // basic constraints
			"2.5.29.31",        // where the CRL is
			oidNameConstraints, // always meant, critical or not (RFC 5280, 4.2.1.10)
			oidPolicies, oidPolicyMappings, oidPolicyConstraints, oidInhibitAnyPolicy,
			"2.5.29.37",         // extended key usage
			"1.3.6.1.5.5.7.1.1": // where the issuer and OCSP are
		default:
			return oid, true
		}
	}
	return "", false
}
