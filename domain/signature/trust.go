package signature

import (
	"crypto/x509"
	"time"

	"dalel/internal/cms"
	"dalel/internal/pki"
)

// CheckCertificate says whether a certificate (DER) is within its dates at a
// moment and leads to a root of the policy, with the same reasons as a
// verdict. It does not ask whether it was revoked: that is asked when it
// signs.
func (p *Policy) CheckCertificate(der []byte, at time.Time) (Status, []Reason) {
	certificate, err := pki.ParseCertificate(der)
	if err != nil {
		return StatusOf(CertificateUnreadable), []Reason{{CertificateUnreadable, "it cannot be parsed"}}
	}
	algorithms := p.Known()
	check := signerCheck{verification: &verification{policy: p, at: at, algorithms: algorithms}, certificate: certificate}
	if at.Before(certificate.NotBefore) {
		check.add(CertificateNotYetValid, "valid from %s", certificate.NotBefore.UTC().Format(time.RFC3339))
	}
	if at.After(certificate.NotAfter) {
		check.add(CertificateExpired, "valid until %s", certificate.NotAfter.UTC().Format(time.RFC3339))
	}
	for _, problem := range check.path(certificate, at).Problems {
		check.add(string(problem.Code), "%s: %s", place(problem.Depth), problem.Detail)
	}
	status := worst(check.reasons)
	if at.After(certificate.NotAfter) {
		status = Invalid // what it signed may be older than its end; the certificate is not
	}
	return status, check.reasons
}

// Certificates returns the DER of every certificate that a verdict on a CMS
// may name: those that it carries and those of the policy.
func (p *Policy) Certificates(message []byte) [][]byte {
	var all [][]byte
	if parsed, err := cms.Parse(message); err == nil {
		all = append(all, parsed.Certificates...)
	}
	for _, set := range [][]*x509.Certificate{p.Offered, p.Intermediates, p.Roots} {
		for _, certificate := range set {
			all = append(all, certificate.Raw)
		}
	}
	return all
}

// Name is how pages and journals call the owner: the organisation of a legal
// entity's certificate, else the person.
func (o Owner) Name() string {
	if o.BIN != "" && o.Organization != "" {
		return o.Organization
	}
	return o.CommonName
}

// Person is the common name of a certificate whose [Owner.Name] is the
// organisation: the person who signs for it. It is "" where the name says it.
func (o Owner) Person() string {
	if o.CommonName == o.Name() {
		return ""
	}
	return o.CommonName
}
