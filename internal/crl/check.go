package crl

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"time"

	"dalel/internal/crl/der"
	"dalel/internal/pki"
)

// Verified is a list that is shown to be its issuer's, with the delta that was
// added to it, if any. Several goroutines may use it.
type Verified struct {
	list   *List
	issuer *x509.Certificate
	delta  *List
}

// List is the list that was verified.
func (v *Verified) List() *List { return v.list }

// Delta is the delta that was added, nil if there is none.
func (v *Verified) Delta() *List { return v.delta }

// Verify checks that issuer signed the list: its name, its key, its right to
// sign lists, and the signature. That issuer is to be trusted at all is for
// package pki. The error is a [*Problem].
func Verify(list *List, issuer *x509.Certificate, algorithms *pki.Algorithms) (*Verified, error) {
	if p := verify(list, issuer, algorithms); p != nil {
		return nil, p
	}
	return &Verified{list: list, issuer: issuer}, nil
}

func verify(list *List, issuer *x509.Certificate, algorithms *pki.Algorithms) *Problem {
	switch {
	case list == nil:
		return problem(Unreadable, "there is no list")
	case issuer == nil || !pki.SameName(list.Issuer, issuer.RawSubject):
		return problem(OtherIssuer, "the list's issuer has another name than the certificate of the authority")
	case len(list.AuthorityKeyID) > 0 && len(issuer.SubjectKeyId) > 0 && !bytes.Equal(list.AuthorityKeyID, issuer.SubjectKeyId):
		return problem(OtherIssuer, "the list names another key of the authority")
	case pki.HasExtension(issuer, "2.5.29.15") && issuer.KeyUsage&x509.KeyUsageCRLSign == 0:
		return problem(KeyUsage, "key usage does not include cRLSign")
	case list.unknown != "":
		return problem(ExtensionUnknown, "critical extension %s is not understood", list.unknown)
	}
	key, err := pki.ReadPublicKey(issuer.RawSubjectPublicKeyInfo)
	if err != nil {
		return problem(AlgorithmUnsupported, "%v", err)
	}
	err = algorithms.CheckMessage(list.signed.Algorithm, key, list.signed.Message, list.signed.Signature)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, pki.ErrMismatch):
		return problem(SignatureMismatch, "%v", err)
	case errors.Is(err, pki.ErrWeak):
		return problem(AlgorithmWeak, "%v", err)
	}
	return problem(AlgorithmUnsupported, "%v", err)
}

// WithDelta returns v with a delta added (RFC 5280, 5.2.4): same issuer and key,
// same scope, a base that is not newer than v, and issued not before v. The
// error is a [*Problem].
func (v *Verified) WithDelta(delta *Verified) (*Verified, error) {
	if v == nil || delta == nil {
		return nil, problem(DeltaMismatch, "a list is missing")
	}
	full, d := v.list, delta.list
	switch {
	case full.Base != nil:
		return nil, problem(DeltaMismatch, "the list to add to is a delta itself")
	case d.Base == nil:
		return nil, problem(DeltaMismatch, "the list to be added is no delta")
	case full.Number == nil || d.Number == nil:
		return nil, problem(DeltaMismatch, "a list without a number")
	case !bytes.Equal(full.Issuer, d.Issuer) || !bytes.Equal(full.AuthorityKeyID, d.AuthorityKeyID) ||
		!bytes.Equal(v.issuer.RawSubjectPublicKeyInfo, delta.issuer.RawSubjectPublicKeyInfo):
		return nil, problem(DeltaMismatch, "the two lists are of different authorities or keys")
	case !bytes.Equal(full.scope.raw, d.scope.raw):
		return nil, problem(DeltaMismatch, "the two lists have different scopes")
	case full.Number.Cmp(d.Base) < 0:
		return nil, problem(DeltaMismatch, "the delta adds to list %s or later, this is list %s", d.Base, full.Number)
	case d.ThisUpdate.Before(full.ThisUpdate):
		return nil, problem(DeltaMismatch, "the delta was issued before the list")
	case d.Number.Cmp(d.Base) > 0 && full.Number.Cmp(d.Number) >= 0:
		// One series of numbers. (See the package comment for two.)
		return nil, problem(DeltaMismatch, "the delta (number %s) is not newer than the list (number %s)", d.Number, full.Number)
	}
	return &Verified{list: full, issuer: v.issuer, delta: d}, nil
}

// Subject is the certificate that is asked about: no more of it than a list can
// be asked.
type Subject struct {
	// Serial is its serial number.
	Serial *big.Int
	// Issuer is the Name in DER of who issued it; nil means that the caller
	// knows it to be the list's.
	Issuer []byte
	// CA says that it is an authority's.
	CA bool
	// Points are the places at which its issuer publishes lists that name them,
	// beside those of the certificate that [SubjectOf] has read.
	Points []Point
	// NotAfter is its end; zero means that it is not judged whether the list
	// may have left it out for having ended.
	NotAfter time.Time

	certificate *x509.Certificate
}

// SubjectOf reads a certificate.
func SubjectOf(certificate *x509.Certificate) Subject {
	if certificate == nil {
		return Subject{}
	}
	return Subject{
		Serial: certificate.SerialNumber, Issuer: certificate.RawIssuer,
		CA:       certificate.BasicConstraintsValid && certificate.IsCA,
		NotAfter: certificate.NotAfter, certificate: certificate,
	}
}

// Question is what a list is asked.
type Question struct {
	Subject Subject
	// At is the moment at which the list must be current.
	At time.Time
	// Tolerance is how far the clocks of here and there may differ.
	Tolerance time.Duration
}

// Answer is what a list says of a certificate.
type Answer struct {
	Status Status
	// Code is stable, Detail is for people and has no personal data.
	Code, Detail string
	// RevokedAt, Reason and Invalidity are there when Status is [Revoked]: see
	// [Entry].
	RevokedAt  time.Time
	Reason     Reason
	Invalidity time.Time
	// From and To are the time that the list speaks of, its thisUpdate and
	// nextUpdate. With a delta, From is the delta's and To the earlier of both.
	// They are there whenever the list could be read and was verified.
	From, To time.Time
	// Covers are the reasons of which the list speaks where it does not name the
	// certificate and does not speak of all of them: with others it may.
	Covers ReasonSet
	// Number is the list's, DeltaNumber the delta's, nil if there is none.
	Number, DeltaNumber *big.Int
}

func (a Answer) because(code, format string, args ...any) Answer {
	a.Status, a.Code, a.Detail = StatusOf(code), code, fmt.Sprintf(format, args...)
	return a
}

// Check says what the list says of a certificate.
func (v *Verified) Check(question Question) Answer {
	if v == nil || v.list == nil {
		return Answer{}.because(Unreadable, "there is no list")
	}
	list, subject := v.list, question.Subject
	answer := Answer{From: list.ThisUpdate, To: list.NextUpdate, Number: list.Number}
	if v.delta != nil {
		answer.From, answer.DeltaNumber = v.delta.ThisUpdate, v.delta.Number
		if v.delta.NextUpdate.IsZero() || v.delta.NextUpdate.Before(answer.To) {
			answer.To = v.delta.NextUpdate
		}
	}
	switch {
	case subject.Serial == nil:
		return answer.because(CertificateUnspecified, "no serial number was given")
	case subject.Issuer != nil && !pki.SameName(subject.Issuer, v.issuer.RawSubject):
		return answer.because(OtherIssuer, "the certificate names another issuer than the list's")
	case list.Base != nil:
		return answer.because(BaseMissing, "the list is a delta to list %s", list.Base)
	}
	why, reasons := list.scope.excludes(subject)
	if why != "" {
		return answer.because(Scope, "%s", why)
	}
	switch {
	case answer.To.IsZero():
		return answer.because(NoNextUpdate, "nextUpdate is not given")
	case question.At.Add(question.Tolerance).Before(answer.From):
		return answer.because(NotYet, "issued %s", answer.From.Format(time.RFC3339))
	case question.At.Add(-question.Tolerance).After(answer.To):
		return answer.because(Stale, "the next one was due %s", answer.To.Format(time.RFC3339))
	}
	entry, found, err := v.find(der.Octets(subject.Serial))
	switch {
	case err != nil:
		return answer.because(EntryAmbiguous, "%v", err)
	case found:
		answer.RevokedAt, answer.Reason, answer.Invalidity = entry.At, entry.Reason, entry.Invalidity
		return answer.because(CodeRevoked, "revoked %s, %s", entry.At.Format(time.RFC3339), entry.Reason)
	case v.mayHaveDropped(subject.NotAfter):
		return answer.because(CertificateExpired, "the certificate ended %s, the list was issued %s",
			subject.NotAfter.UTC().Format(time.RFC3339), answer.From.Format(time.RFC3339))
	case reasons != AllReasons:
		answer.Covers = reasons
		return answer.because(Scope, "the list is for some reasons only")
	}
	return answer.because(CodeGood, "not on the list issued %s", answer.From.Format(time.RFC3339))
}

// Permanent returns what the list says of a certificate for good: that it was
// revoked, and not on hold. A newer list being due, or a delta's base missing,
// takes nothing from that.
func (v *Verified) Permanent(subject Subject) (Entry, bool) {
	if v == nil || v.list == nil || subject.Serial == nil || v.list.scope.indirect ||
		subject.Issuer != nil && !pki.SameName(subject.Issuer, v.issuer.RawSubject) {
		return Entry{}, false
	}
	for _, list := range []*List{v.delta, v.list} {
		if list == nil {
			continue
		}
		entry, found, err := list.find(der.Octets(subject.Serial))
		if err == nil && found && entry.Reason != CertificateHold && entry.Reason != RemoveFromCRL {
			return entry, true
		}
	}
	return Entry{}, false
}

// errRemoved means that a full list takes something away.
var errRemoved = errors.New("the full list has an entry with the reason removeFromCRL, which only a delta may have")

// find asks the delta first: it is the newer word.
func (v *Verified) find(serial []byte) (Entry, bool, error) {
	if v.delta != nil {
		entry, found, err := v.delta.find(serial)
		if err != nil || found {
			return entry, found && entry.Reason != RemoveFromCRL, err
		}
	}
	entry, found, err := v.list.find(serial)
	if err == nil && found && entry.Reason == RemoveFromCRL {
		return Entry{}, false, errRemoved
	}
	return entry, found, err
}

// mayHaveDropped says that a certificate with this end may be missing on the
// list just because it has ended. A delta drops no more than its base does.
func (v *Verified) mayHaveDropped(notAfter time.Time) bool {
	if notAfter.IsZero() {
		return false
	}
	for _, list := range []*List{v.list, v.delta} {
		if list == nil || !notAfter.Before(list.ThisUpdate) {
			continue
		}
		if list.ExpiredSince.IsZero() || notAfter.Before(list.ExpiredSince) {
			return true
		}
	}
	return false
}

// excludes says why a list with this scope does not speak of the subject, ""
// if it does, and of which reasons it speaks.
func (c scope) excludes(subject Subject) (why string, reasons ReasonSet) {
	switch {
	case c.raw == nil:
		return "", AllReasons
	case c.indirect:
		return "the list is an indirect one", 0
	case c.attributes:
		return "the list is for attribute certificates", 0
	case c.usersOnly && subject.CA:
		return "the list is not for certificates of authorities", 0
	case c.caOnly && !subject.CA:
		return "the list is for certificates of authorities only", 0
	}
	if reasons = c.covers(subject); reasons == 0 {
		return "the certificate does not name the list's distribution point", 0
	}
	return "", reasons
}
