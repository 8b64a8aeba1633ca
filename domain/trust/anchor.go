package trust

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"dalel/domain/signature"
	"dalel/internal/fault"
	"dalel/internal/pki"
)

// Bounds. A certificate of an authority has one or two kilobytes, a national
// hierarchy a dozen of them.
const (
	MaxCertificateBytes = 64 << 10
	MaxAnchors          = 1000
	maxSubject          = 1000 // characters
)

// OIDs of a subject's attributes.
const (
	oidSurname      = "2.5.4.4"
	oidSerialNumber = "2.5.4.5"
)

// KindOf returns what a certificate can be an anchor for, by what it says
// itself: an authority that names itself as its issuer is a root, any other
// authority (basicConstraints) an issuing one; what is no authority is a
// responder or a time-stamping authority by its one extended key usage of
// those two. A certificate that names a person is nothing of that.
//
// No signature is checked.
func KindOf(certificate *x509.Certificate) (kind Kind, ok bool) {
	if namesPerson(certificate) {
		return "", false
	}
	if certificate.BasicConstraintsValid && certificate.IsCA {
		if selfIssued(certificate) {
			return Root, true
		}
		return Issuing, true
	}
	for _, usage := range certificate.ExtKeyUsage {
		switch {
		case usage == x509.ExtKeyUsageOCSPSigning && kind == "":
			kind = Responder
		case usage == x509.ExtKeyUsageTimeStamping && kind == "":
			kind = TimeStamping
		case usage == x509.ExtKeyUsageOCSPSigning, usage == x509.ExtKeyUsageTimeStamping:
			return "", false
		}
	}
	return kind, kind != ""
}

// selfIssued goes by the names and the key identifiers.
func selfIssued(certificate *x509.Certificate) bool {
	return string(certificate.RawSubject) == string(certificate.RawIssuer) &&
		(len(certificate.AuthorityKeyId) == 0 || len(certificate.SubjectKeyId) == 0 ||
			string(certificate.AuthorityKeyId) == string(certificate.SubjectKeyId))
}

// namesPerson keeps persons out of the events of anchors, which anybody who
// reads the events may read.
func namesPerson(certificate *x509.Certificate) bool {
	for _, attribute := range certificate.Subject.Names {
		value, _ := attribute.Value.(string)
		switch attribute.Type.String() {
		case oidSurname:
			return true
		case oidSerialNumber:
			if strings.HasPrefix(value, "IIN") {
				return true
			}
		}
	}
	return false
}

// Describe reads what a certificate says of itself. ok is false for one that
// can be no anchor; see [KindOf].
func Describe(certificate *x509.Certificate) (anchor Anchor, ok bool) {
	kind, ok := KindOf(certificate)
	anchor = Anchor{
		Fingerprint: FingerprintOf(certificate.Raw), Kind: kind, Subject: plain(certificate.Subject.String()),
		Algorithm: algorithm(certificate), NotBefore: recorded(certificate.NotBefore), NotAfter: recorded(certificate.NotAfter),
		DER: base64.StdEncoding.EncodeToString(certificate.Raw),
	}
	_, anchor.Known = Known(anchor.Fingerprint)
	return anchor, ok
}

// Certificate reads the anchor's certificate; certificate.invalid if its DER
// is not one.
func (a Anchor) Certificate() (*x509.Certificate, error) {
	der, err := base64.StdEncoding.Strict().DecodeString(a.DER)
	if err != nil {
		return nil, fault.Wrap(fault.CertificateInvalid, err, "the anchor's certificate is not base64")
	}
	return parse(der)
}

// plain is text that an event can keep: bounded, valid UTF-8, one line.
func plain(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\ufffd"))
	if utf8.RuneCountInString(text) > maxSubject {
		text = string([]rune(text)[:maxSubject])
	}
	return text
}

// algorithm names the key; the national ones have names that people know.
func algorithm(certificate *x509.Certificate) string {
	name := signature.KeyName(certificate)
	switch name {
	case "1.2.398.3.10.1.1.2.2":
		return "GOST 34.10-2015 512"
	case "1.2.398.3.10.1.1.2.1":
		return "GOST 34.10-2015 256"
	case "1.2.398.3.10.1.1.1.1":
		return "GOST 34.310-2004"
	}
	return name
}

func parse(der []byte) (*x509.Certificate, error) {
	if len(der) > MaxCertificateBytes {
		return nil, fault.New(fault.CertificateInvalid, "more than %d bytes", MaxCertificateBytes)
	}
	certificate, err := pki.ParseCertificate(der)
	if err != nil {
		return nil, fault.Wrap(fault.CertificateInvalid, err, "not a certificate in DER")
	}
	return certificate, nil
}

// FingerprintOf returns the SHA-256 of a DER in lower-case hex.
func FingerprintOf(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// Fingerprint reads a fingerprint as people write it: in either case, with or
// without colons. Errors: request.invalid.
func Fingerprint(text string) (string, error) {
	plain := strings.ToLower(strings.ReplaceAll(strings.TrimSpace(text), ":", ""))
	if raw, err := hex.DecodeString(plain); err != nil || len(raw) != sha256.Size {
		return "", fault.New(fault.RequestInvalid, "a fingerprint is a SHA-256: 64 hexadecimal digits, with or without colons")
	}
	return plain, nil
}

// ground is what a certificate's check is made with.
type ground struct {
	roots, issuing []*x509.Certificate
	algorithms     *pki.Algorithms
}

// check says why a certificate does not hold as an anchor of its kind; nil if
// it does. What cannot be told is a reason too: trust is not given in doubt.
func (g ground) check(certificate *x509.Certificate, kind Kind, now time.Time) []fault.Reason {
	if kind == Root || kind == Issuing {
		if pki.HasExtension(certificate, "2.5.29.15") && certificate.KeyUsage&x509.KeyUsageCertSign == 0 {
			return []fault.Reason{{Code: string(pki.ChainKeyUsage), Detail: "its key usage does not include keyCertSign"}}
		}
	}
	if kind == Root {
		switch err := g.algorithms.CheckCertificate(certificate, certificate); {
		case errors.Is(err, pki.ErrMismatch):
			return []fault.Reason{{Code: string(pki.ChainSignatureMismatch), Detail: "its own key did not make the signature on it"}}
		case errors.Is(err, pki.ErrWeak):
			return []fault.Reason{{Code: string(pki.AlgorithmWeak), Detail: "its own signature proves nothing: " + err.Error()}}
		case err != nil:
			return []fault.Reason{{Code: string(pki.AlgorithmUnsupported), Detail: "it cannot be told whether its own signature holds: " + err.Error()}}
		}
		return reasons(pki.Builder{Roots: []*x509.Certificate{certificate}, Algorithms: g.algorithms, At: now}.Build(certificate))
	}
	// An authority that has ended is an anchor for what was signed before. Its
	// issuer must have been within its dates when it began, or be now.
	var found []fault.Reason
	for _, at := range []time.Time{certificate.NotBefore, now} {
		path := pki.Builder{Roots: g.roots, Intermediates: g.issuing, Algorithms: g.algorithms, At: at}.Build(certificate)
		if path.Anchored && len(path.Problems) == 0 {
			return nil
		}
		if found == nil {
			found = reasons(path)
		}
	}
	return found
}

func reasons(path pki.Path) []fault.Reason {
	var list []fault.Reason
	for _, problem := range path.Problems {
		list = append(list, fault.Reason{Code: string(problem.Code), Detail: problem.Detail})
	}
	return list
}
