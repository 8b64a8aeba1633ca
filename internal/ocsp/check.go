package ocsp

import (
	"bytes"
	"crypto/sha1"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"dalel/internal/crl"
	"dalel/internal/pki"
)

// Question is what an answer is asked.
type Question struct {
	// Serial is of the certificate asked about, Issuer is who issued it.
	Serial *big.Int
	Issuer *x509.Certificate
	// NotAfter is the certificate's end. A responder may have forgotten
	// certificates that ended before its answer; zero means that this is not
	// judged.
	NotAfter time.Time
	// Nonce is what was sent, nil for none. NonceOptional accepts an answer
	// without a nonce (one with another nonce is never accepted).
	Nonce         []byte
	NonceOptional bool
	// At is the moment at which the answer must be current.
	At time.Time
	// Tolerance is how far the clocks of here and there may differ.
	Tolerance time.Duration
	// MaxAge is how long after thisUpdate an answer without nextUpdate holds.
	MaxAge time.Duration
	// Responders were configured to be trusted as they stand, apart from their
	// dates.
	Responders []*x509.Certificate
	// ResponderGood vouches that a responder's certificate was not revoked. Nil
	// vouches for none.
	ResponderGood func(responder *x509.Certificate) bool
}

// About is a question about a certificate, without nonce, moment and tolerance.
func About(certificate, issuer *x509.Certificate) Question {
	if certificate == nil || issuer == nil || !pki.SameName(certificate.RawIssuer, issuer.RawSubject) {
		return Question{} // incomplete, and answered so
	}
	return Question{Serial: certificate.SerialNumber, Issuer: issuer, NotAfter: certificate.NotAfter}
}

// Answer is what can be relied on in a response.
type Answer struct {
	Status Status
	// Code is stable, Detail is for people and has no personal data.
	Code, Detail string
	// RevokedAt and Reason are there when Status is [Revoked], and Invalidity if
	// the responder says since when the key is not to be trusted.
	RevokedAt  time.Time
	Reason     crl.Reason
	Invalidity time.Time
	// NeverIssued says that the authority does not know to have issued the
	// certificate; Status is then [Revoked], since 1970-01-01, on hold.
	NeverIssued bool
	// From and To are the time that the answer speaks of. They are there, as
	// ProducedAt is, once the answer was found and its signature was verified.
	From, To time.Time
	// ProducedAt is when it was signed.
	ProducedAt time.Time
	// Responder is the certificate whose key signed the answer, nil before that
	// is shown. Delegated says that it is not the issuer's.
	Responder *x509.Certificate
	Delegated bool
}

func (a Answer) because(code, format string, args ...any) Answer {
	a.Status, a.Code, a.Detail = StatusOf(code), code, fmt.Sprintf(format, args...)
	return a
}

func (a Answer) failed(err error) Answer {
	switch {
	case errors.Is(err, pki.ErrMismatch):
		return a.because(SignatureMismatch, "%v", err)
	case errors.Is(err, pki.ErrWeak):
		return a.because(AlgorithmWeak, "%v", err)
	}
	return a.because(AlgorithmUnsupported, "%v", err)
}

// Judge parses a response and asks it.
func Judge(data []byte, algorithms *pki.Algorithms, question Question) Answer {
	response, err := Parse(data)
	switch {
	case errors.Is(err, ErrTooLarge):
		return Answer{}.because(TooLarge, "%v", err)
	case err != nil:
		return Answer{}.because(Unreadable, "%v", err)
	}
	return response.Check(algorithms, question)
}

// Check says what the response says of a certificate, or why it cannot be relied
// on.
func (r *Response) Check(algorithms *pki.Algorithms, question Question) Answer {
	var answer Answer
	switch {
	case r == nil:
		return answer.because(Unreadable, "there is no response")
	case question.Serial == nil || question.Issuer == nil:
		return answer.because(QuestionIncomplete, "a serial number and its issuer's certificate are needed")
	case r.Status != Successful:
		return answer.because(r.Status.Code(), "the response has the status %d and no answer", r.Status)
	case r.Basic == nil:
		return answer.because(TypeUnknown, "response type %s", r.Type)
	}
	b := r.Basic
	answer, ok := b.responder(algorithms, question)
	if !ok {
		return answer
	}
	if b.unknown != "" {
		return answer.because(ExtensionUnknown, "critical extension %s is not understood", b.unknown)
	}
	single, code, detail := b.find(algorithms, question)
	if code != "" {
		return answer.because(code, "%s", detail)
	}
	answer.ProducedAt = b.ProducedAt
	answer.From, answer.To = single.ThisUpdate, single.NextUpdate
	if answer.To.IsZero() {
		answer.To = answer.From.Add(max(question.MaxAge, 0))
	}
	latest := answer.From
	if b.ProducedAt.After(latest) {
		latest = b.ProducedAt
	}
	switch {
	case single.unknown != "":
		return answer.because(ExtensionUnknown, "critical extension %s is not understood", single.unknown)
	case question.Nonce != nil && b.Nonce == nil && !question.NonceOptional:
		return answer.because(NonceMissing, "a nonce was sent, none came back")
	case question.Nonce != nil && b.Nonce != nil && !bytes.Equal(question.Nonce, b.Nonce):
		return answer.because(NonceMismatch, "it is the answer to another request")
	case question.At.Add(question.Tolerance).Before(latest):
		return answer.because(NotYet, "made %s", latest.Format(time.RFC3339))
	case question.At.Add(-question.Tolerance).After(answer.To):
		return answer.because(Stale, "it holds until %s", answer.To.Format(time.RFC3339))
	}
	switch single.Status {
	case Revoked:
		answer.RevokedAt, answer.Reason, answer.Invalidity = single.RevokedAt, single.Reason, single.Invalidity
		answer.NeverIssued = b.ExtendedRevoked && single.RevokedAt.Unix() == 0 && single.Reason == crl.CertificateHold
		if answer.NeverIssued {
			return answer.because(CodeRevoked, "the authority has not issued such a certificate")
		}
		return answer.because(CodeRevoked, "revoked %s, %s", single.RevokedAt.Format(time.RFC3339), single.Reason)
	case Good:
		forgotten := !question.NotAfter.IsZero() && question.NotAfter.Before(answer.From) &&
			(single.ArchiveCutoff.IsZero() || question.NotAfter.Before(single.ArchiveCutoff))
		if forgotten {
			return answer.because(CertificateExpired, "the certificate ended %s, the answer was made %s",
				question.NotAfter.UTC().Format(time.RFC3339), answer.From.Format(time.RFC3339))
		}
		return answer.because(CodeGood, "not revoked on %s", answer.From.Format(time.RFC3339))
	}
	return answer.because(CodeUnknown, "the responder does not know the certificate")
}

// find returns the answer about the certificate. All that fit must be equal.
func (b *Basic) find(algorithms *pki.Algorithms, question Question) (Single, string, string) {
	var found []Single
	var unsupported error
	for _, single := range b.Singles {
		if single.ID.Serial.Cmp(question.Serial) != 0 {
			continue
		}
		name, key, err := hashes(algorithms, single.ID.Digest, question.Issuer)
		if err != nil {
			unsupported = err
			continue
		}
		if bytes.Equal(name, single.ID.NameHash) && bytes.Equal(key, single.ID.KeyHash) {
			found = append(found, single)
		}
	}
	switch {
	case len(found) == 0 && unsupported != nil && errors.Is(unsupported, pki.ErrWeak):
		return Single{}, AlgorithmWeak, unsupported.Error()
	case len(found) == 0 && unsupported != nil:
		return Single{}, AlgorithmUnsupported, unsupported.Error()
	case len(found) == 0:
		return Single{}, OtherCertificate, "none of the answers is about the certificate"
	}
	for _, other := range found[1:] {
		a := found[0]
		same := a.Status == other.Status && a.RevokedAt.Equal(other.RevokedAt) && a.Reason == other.Reason &&
			a.ThisUpdate.Equal(other.ThisUpdate) && a.NextUpdate.Equal(other.NextUpdate) &&
			a.ArchiveCutoff.Equal(other.ArchiveCutoff) && a.Invalidity.Equal(other.Invalidity) && a.unknown == other.unknown
		if !same {
			return Single{}, Ambiguous, "there are several answers about the certificate, and they differ"
		}
	}
	return found[0], "", ""
}

// maxTried bounds how many certificates are tried as the responder's.
const maxTried = 4

// responder finds out who signed and whether they may. When several certificates
// could be the responder's, the first that is shown to be decides; otherwise the
// first reason is told.
func (b *Basic) responder(algorithms *pki.Algorithms, question Question) (Answer, bool) {
	var first *Answer
	tried := 0
	try := func(candidate *x509.Certificate, trusted bool) (Answer, bool) {
		if !b.names(candidate) || tried == maxTried {
			return Answer{}, false
		}
		tried++
		answer, ok := b.signedBy(candidate, trusted, algorithms, question)
		if first == nil {
			first = &answer
		}
		return answer, ok
	}
	if answer, ok := try(question.Issuer, false); ok {
		return answer, true
	}
	for _, configured := range question.Responders {
		if answer, ok := try(configured, true); ok {
			return answer, true
		}
	}
	for _, encoded := range b.Certificates {
		candidate, err := pki.ParseCertificate(encoded)
		if err != nil || bytes.Equal(encoded, question.Issuer.Raw) ||
			slices.ContainsFunc(question.Responders, func(c *x509.Certificate) bool { return bytes.Equal(c.Raw, encoded) }) {
			continue
		}
		if answer, ok := try(candidate, false); ok {
			return answer, true
		}
	}
	if first != nil {
		return *first, false
	}
	return Answer{}.because(ResponderMissing, "no certificate at hand fits the responder that the answer names"), false
}

// names says whether the answer names this certificate as its responder's.
func (b *Basic) names(candidate *x509.Certificate) bool {
	if candidate == nil {
		return false
	}
	if b.ResponderName != nil {
		return bytes.Equal(b.ResponderName, candidate.RawSubject)
	}
	key, err := pki.ReadPublicKey(candidate.RawSubjectPublicKeyInfo)
	if err != nil {
		return false
	}
	sum := sha1.Sum(key.Bytes)
	return bytes.Equal(b.ResponderKeyHash, sum[:])
}

// signedBy says whether the certificate's key made the signature, and whether
// the certificate gives the right to.
func (b *Basic) signedBy(candidate *x509.Certificate, trusted bool, algorithms *pki.Algorithms, question Question) (Answer, bool) {
	var answer Answer
	key, err := pki.ReadPublicKey(candidate.RawSubjectPublicKeyInfo)
	if err != nil {
		return answer.because(AlgorithmUnsupported, "%v", err), false
	}
	if err := algorithms.CheckMessage(b.signed.Algorithm, key, b.signed.Message, b.signed.Signature); err != nil {
		return answer.failed(err), false
	}
	answer.Responder = candidate
	if bytes.Equal(candidate.Raw, question.Issuer.Raw) {
		return answer, true
	}
	answer.Delegated = true
	if !trusted {
		if code, detail := delegated(candidate, algorithms, question); code != "" {
			return answer.because(code, "%s", detail), false
		}
	}
	for _, at := range []time.Time{b.ProducedAt, question.At} {
		if at.Before(candidate.NotBefore) || at.After(candidate.NotAfter) {
			return answer.because(ResponderExpired, "its certificate is good from %s to %s, the moment is %s",
				candidate.NotBefore.UTC().Format(time.RFC3339), candidate.NotAfter.UTC().Format(time.RFC3339), at.UTC().Format(time.RFC3339)), false
		}
	}
	published := len(candidate.CRLDistributionPoints) > 0 || len(candidate.OCSPServer) > 0
	if !trusted && published && !pki.HasExtension(candidate, OIDNoCheck) &&
		(question.ResponderGood == nil || !question.ResponderGood(candidate)) {
		return answer.because(ResponderUnchecked, "its certificate has no ocsp-nocheck and says where its revocation is published"), false
	}
	return answer, true
}

// delegated says what is wrong with a responder's certificate: it must come from
// the issuer itself, with no authority between (RFC 6960, 4.2.2.2).
func delegated(candidate *x509.Certificate, algorithms *pki.Algorithms, question Question) (code, detail string) {
	if !slices.Contains(candidate.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning) {
		return ResponderUnauthorized, "its certificate is not for signing OCSP answers"
	}
	if pki.HasExtension(candidate, "2.5.29.15") &&
		candidate.KeyUsage&(x509.KeyUsageDigitalSignature|x509.KeyUsageContentCommitment) == 0 {
		return ResponderUnauthorized, "its key is not for signing"
	}
	path := pki.Builder{Roots: []*x509.Certificate{question.Issuer}, Algorithms: algorithms, At: question.At}.Build(candidate)
	if path.Anchored && len(path.Problems) == 0 {
		return "", ""
	}
	detail = "its certificate was not issued by the issuer"
	for _, p := range path.Problems {
		switch p.Code {
		case pki.AlgorithmUnsupported:
			return AlgorithmUnsupported, "its certificate: " + p.Detail
		case pki.AlgorithmWeak:
			return AlgorithmWeak, "its certificate: " + p.Detail
		case pki.ChainIncomplete, pki.ChainUntrusted:
		default:
			detail = fmt.Sprintf("%s: %s", p.Code, p.Detail)
		}
	}
	return ResponderUnauthorized, detail
}
