package signature

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"dalel/internal/fault"
	"dalel/internal/pki"
)

// OIDs of extended key usages: RFC 5280, 4.2.1.12, RFC 9336 and those of
// НУЦ РК.
const (
	usageAny             = "2.5.29.37.0"
	usageServerAuth      = "1.3.6.1.5.5.7.3.1"
	usageClientAuth      = "1.3.6.1.5.5.7.3.2"
	usageCodeSigning     = "1.3.6.1.5.5.7.3.3"
	usageEmailProtection = "1.3.6.1.5.5.7.3.4"
	usageTimeStamping    = "1.3.6.1.5.5.7.3.8"
	usageOCSPSigning     = "1.3.6.1.5.5.7.3.9"
	usageDocumentSigning = "1.3.6.1.5.5.7.3.36"

	usageRoles             = "1.2.398.3.3.4.1." // roles are below it
	usageNaturalPerson     = "1.2.398.3.3.4.1.1"
	usageLegalEntity       = "1.2.398.3.3.4.1.2"
	usageHead              = "1.2.398.3.3.4.1.2.1"
	usageRightOfSignature  = "1.2.398.3.3.4.1.2.2"
	usageFinancialRight    = "1.2.398.3.3.4.1.2.3"
	usageHumanResources    = "1.2.398.3.3.4.1.2.4"
	usageEmployee          = "1.2.398.3.3.4.1.2.5"
	usageInformationSystem = "1.2.398.3.3.4.1.2.6"
)

// Purpose is what a certificate is for.
type Purpose string

// The purposes. One of НУЦ РК is for the one or for the other.
const (
	PurposeNone           Purpose = ""
	PurposeSigning        Purpose = "signing"
	PurposeAuthentication Purpose = "authentication"
	PurposeBoth           Purpose = "signing-and-authentication"
)

// Role is what a certificate says its owner is.
type Role string

// The roles. RoleNone is that of a certificate that does not say.
const (
	RoleNone              Role = ""
	RolePerson            Role = "person"
	RoleEntity            Role = "entity" // of a legal entity, and no more is said
	RoleHead              Role = "head"
	RoleRightOfSignature  Role = "right-of-signature"
	RoleFinancialRight    Role = "financial-right"
	RoleHumanResources    Role = "hr"
	RoleEmployee          Role = "employee"
	RoleInformationSystem Role = "information-system"
)

// Owner is what a certificate says of itself (R-C1). Nothing in it is proved
// before the certificate's chain is.
type Owner struct {
	// Fingerprint is the SHA-256 of the DER, lower-case hex.
	Fingerprint string `json:"fingerprint"`
	// IIN and BIN are 12 digits as they stand in SERIALNUMBER and OU, "" if
	// there are none. Check digits are not looked at: those of test
	// certificates are wrong, and the CA answers for the others.
	IIN string `json:"iin,omitempty" personal:"participant"`
	BIN string `json:"bin,omitempty" personal:"participant"`
	// CommonName is CN: surname and given name of a person.
	CommonName string `json:"commonName,omitempty" personal:"participant"`
	// Surname is SN; GivenName is GN, where НУЦ РК puts the patronymic of one
	// who has it.
	Surname   string `json:"surname,omitempty" personal:"participant"`
	GivenName string `json:"givenName,omitempty" personal:"participant"`
	// Organization is O, of a legal entity.
	Organization string `json:"organization,omitempty" personal:"participant"`
	Country      string `json:"country,omitempty"`
	// UserID is the UID of an information system, which has no IIN.
	UserID  string  `json:"userId,omitempty" personal:"participant"`
	Purpose Purpose `json:"purpose"`
	// Roles has every role that the certificate states.
	Roles []Role `json:"roles"`
	// Algorithm names the key: "RSA-2048", "ECDSA-P256", "Ed25519", or the OID
	// of one that is not known here.
	Algorithm string    `json:"algorithm"`
	NotBefore time.Time `json:"notBefore"` // UTC, itself included
	NotAfter  time.Time `json:"notAfter"`  // UTC, itself included
	// Serial is the serial number in lower-case hex without leading zeros.
	Serial string `json:"serial"`
	// Issuer is the issuer's distinguished name (RFC 2253).
	Issuer string `json:"issuer"`
}

// Role returns the narrowest role that the certificate states: one within a
// legal entity before "entity", that before "person".
func (o Owner) Role() Role {
	best := RoleNone
	for _, role := range o.Roles {
		switch {
		case role != RolePerson && role != RoleEntity:
			return role
		case best != RoleEntity:
			best = role
		}
	}
	return best
}

// ReadOwner reads out of a certificate whose it is and what it is for. It
// checks no signature and no date.
//
// A certificate that names two different persons or entities is refused, as is
// an identifier that is not 12 digits: [fault.CertificateInvalid].
func ReadOwner(certificate *x509.Certificate) (Owner, error) {
	if certificate == nil || len(certificate.Raw) == 0 {
		return Owner{}, fault.New(fault.CertificateInvalid, "there is no certificate")
	}
	fingerprint := sha256.Sum256(certificate.Raw)
	owner := Owner{
		Fingerprint: hex.EncodeToString(fingerprint[:]),
		Roles:       []Role{},
		Algorithm:   KeyName(certificate),
		NotBefore:   certificate.NotBefore.UTC(),
		NotAfter:    certificate.NotAfter.UTC(),
		Serial:      certificate.SerialNumber.Text(16),
		Issuer:      certificate.Issuer.String(),
	}
	for _, attribute := range certificate.Subject.Names {
		value, ok := attribute.Value.(string)
		if !ok {
			continue
		}
		var field *string
		switch attribute.Type.String() {
		case "2.5.4.5":
			digits, ok := strings.CutPrefix(value, "IIN")
			if !ok {
				continue
			}
			if !twelveDigits(digits) {
				return Owner{}, fault.New(fault.CertificateInvalid, "the IIN in the certificate is not 12 digits")
			}
			field, value = &owner.IIN, digits
		case "2.5.4.11":
			digits, ok := strings.CutPrefix(value, "BIN")
			if !ok {
				continue
			}
			if !twelveDigits(digits) {
				return Owner{}, fault.New(fault.CertificateInvalid, "the BIN in the certificate is not 12 digits")
			}
			field, value = &owner.BIN, digits
		case "2.5.4.3":
			field = &owner.CommonName
		case "2.5.4.4":
			field = &owner.Surname
		case "2.5.4.42":
			field = &owner.GivenName
		case "2.5.4.10":
			field = &owner.Organization
		case "2.5.4.6":
			field = &owner.Country
		case "0.9.2342.19200300.100.1.1":
			field = &owner.UserID
		default:
			continue
		}
		if *field != "" && *field != value {
			return Owner{}, fault.New(fault.CertificateInvalid,
				"the certificate's subject has %s twice, with different values", attribute.Type)
		}
		*field = value
	}
	usages, _ := usagesOf(certificate)
	for _, oid := range usages {
		switch oid {
		case usageNaturalPerson:
			owner.Roles = append(owner.Roles, RolePerson)
		case usageLegalEntity:
			owner.Roles = append(owner.Roles, RoleEntity)
		case usageHead:
			owner.Roles = append(owner.Roles, RoleHead)
		case usageRightOfSignature:
			owner.Roles = append(owner.Roles, RoleRightOfSignature)
		case usageFinancialRight:
			owner.Roles = append(owner.Roles, RoleFinancialRight)
		case usageHumanResources:
			owner.Roles = append(owner.Roles, RoleHumanResources)
		case usageEmployee:
			owner.Roles = append(owner.Roles, RoleEmployee)
		case usageInformationSystem:
			owner.Roles = append(owner.Roles, RoleInformationSystem)
		}
	}
	code, _ := purposeOf(certificate)
	signs, authenticates := code == "", authenticates(certificate)
	switch {
	case signs && authenticates:
		owner.Purpose = PurposeBoth
	case signs:
		owner.Purpose = PurposeSigning
	case authenticates:
		owner.Purpose = PurposeAuthentication
	}
	return owner, nil
}

func twelveDigits(text string) bool {
	return len(text) == 12 && strings.Trim(text, "0123456789") == ""
}

// KeyName names the kind of a certificate's key and its size, or gives the OID
// of one that is not known here.
func KeyName(certificate *x509.Certificate) string {
	switch key := certificate.PublicKey.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA-%d", key.N.BitLen())
	case *ecdsa.PublicKey:
		return fmt.Sprintf("ECDSA-P%d", key.Params().BitSize)
	case ed25519.PublicKey:
		return "Ed25519"
	}
	key, err := pki.ReadPublicKey(certificate.RawSubjectPublicKeyInfo)
	if err != nil {
		return "unknown"
	}
	return key.Algorithm.OID
}

// usagesOf returns the extended key usages as dotted OIDs, and whether the
// certificate is restricted by them at all.
func usagesOf(certificate *x509.Certificate) (oids []string, restricted bool) {
	for _, usage := range certificate.ExtKeyUsage {
		switch usage {
		case x509.ExtKeyUsageAny:
			oids = append(oids, usageAny)
		case x509.ExtKeyUsageServerAuth:
			oids = append(oids, usageServerAuth)
		case x509.ExtKeyUsageClientAuth:
			oids = append(oids, usageClientAuth)
		case x509.ExtKeyUsageCodeSigning:
			oids = append(oids, usageCodeSigning)
		case x509.ExtKeyUsageEmailProtection:
			oids = append(oids, usageEmailProtection)
		case x509.ExtKeyUsageTimeStamping:
			oids = append(oids, usageTimeStamping)
		case x509.ExtKeyUsageOCSPSigning:
			oids = append(oids, usageOCSPSigning)
		default:
			oids = append(oids, "other")
		}
	}
	for _, oid := range certificate.UnknownExtKeyUsage {
		oids = append(oids, oid.String())
	}
	return oids, pki.HasExtension(certificate, "2.5.29.37")
}

// purposeOf says why the certificate is not for signing documents; "" if it is.
//
// Key usage, where present, must name digitalSignature or nonRepudiation.
// Extended key usage, where present, must name e-mail protection (which
// НУЦ РК has for signing), document signing or anything; a certificate that
// names only roles of НУЦ РК is not restricted by them.
func purposeOf(certificate *x509.Certificate) (code, detail string) {
	const forSigning = x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment
	if pki.HasExtension(certificate, "2.5.29.15") && certificate.KeyUsage&forSigning == 0 {
		return PurposeWrong, "key usage has neither digitalSignature nor nonRepudiation"
	}
	oids, restricted := usagesOf(certificate)
	if !restricted {
		return "", ""
	}
	wrong, roles := "", false
	for _, oid := range oids {
		switch oid {
		case usageEmailProtection, usageDocumentSigning, usageAny:
			return "", ""
		case usageClientAuth:
			wrong = "it is for authentication"
		case usageServerAuth, usageCodeSigning, usageTimeStamping, usageOCSPSigning:
			if wrong == "" {
				wrong = "its extended key usage is " + oid
			}
		default:
			roles = roles || strings.HasPrefix(oid, usageRoles)
		}
	}
	switch {
	case wrong != "":
		return PurposeWrong, wrong + " and not for signing"
	case roles:
		return "", ""
	}
	return PurposeUnclear, "its extended key usages are none that is known here"
}

// authenticates says whether the certificate may be used for signing in.
func authenticates(certificate *x509.Certificate) bool {
	if pki.HasExtension(certificate, "2.5.29.15") && certificate.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		return false
	}
	oids, restricted := usagesOf(certificate)
	for _, oid := range oids {
		if oid == usageClientAuth || oid == usageAny {
			return true
		}
	}
	return !restricted
}
