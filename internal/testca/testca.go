// Package testca is a certification authority for tests and for the demo: it
// makes roots, issuing CAs and certificates shaped like those of НУЦ РК.
//
// Its keys are test keys only. The ledger itself never holds a participant's
// key (R-C6): nothing but tests and `dalel demo` may import this package, and
// what it issues is trusted by nobody who did not configure its root.
//
//	root, err := testca.NewRoot(testca.CA{Name: "Test root"})
//	issuing, err := root.NewIntermediate(testca.CA{Name: "Test issuing CA"})
//	person, err := issuing.Issue(testca.Leaf{
//		Owner: testca.Owner{IIN: "123456789011", Surname: "TESTOV", GivenName: "TEST"},
//	})
package testca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"

	"dalel/internal/gost/gost3410"
)

// KeyKind is a kind of key.
type KeyKind int

// The kinds. The zero value is the fast one.
const (
	P256 KeyKind = iota
	P384
	Ed25519
	RSA2048
	// RSA4096 is what the national issuing authority has.
	RSA4096
	// RSA1024 is too weak to be trusted, for tests of that.
	RSA1024
	// GOST512 and GOST256 are keys of GOST 34.10-2015. Only an authority with
	// such a key can certify them.
	GOST512
	GOST256
)

// NewKey makes a key. RSA takes a fraction of a second, the others next to
// nothing.
func NewKey(kind KeyKind) (crypto.Signer, error) {
	var key crypto.Signer
	var err error
	switch kind {
	case P256:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case P384:
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case Ed25519:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	case RSA2048:
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	case RSA4096:
		key, err = rsa.GenerateKey(rand.Reader, 4096)
	case RSA1024:
		key, err = rsa.GenerateKey(rand.Reader, 1024)
	case GOST512:
		key, err = newGOST(kz512)
	case GOST256:
		key, err = newGOST(kz256)
	default:
		return nil, fmt.Errorf("test CA: no such kind of key: %d", kind)
	}
	if err != nil {
		return nil, fmt.Errorf("test CA: make a key: %w", err)
	}
	return key, nil
}

// OIDs of certificates, those of НУЦ РК among them.
var (
	emailProtectionOID   = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 4}
	clientAuthOID        = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 2}
	serialNumberOID      = asn1.ObjectIdentifier{2, 5, 4, 5}
	surnameOID           = asn1.ObjectIdentifier{2, 5, 4, 4}
	givenNameOID         = asn1.ObjectIdentifier{2, 5, 4, 42}
	userIDOID            = asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 1}
	commonNameOID        = asn1.ObjectIdentifier{2, 5, 4, 3}
	countryOID           = asn1.ObjectIdentifier{2, 5, 4, 6}
	organizationOID      = asn1.ObjectIdentifier{2, 5, 4, 10}
	organizationUnitOID  = asn1.ObjectIdentifier{2, 5, 4, 11}
	naturalPersonOID     = asn1.ObjectIdentifier{1, 2, 398, 3, 3, 4, 1, 1}
	legalEntityOID       = asn1.ObjectIdentifier{1, 2, 398, 3, 3, 4, 1, 2}
	headOID              = asn1.ObjectIdentifier{1, 2, 398, 3, 3, 4, 1, 2, 1}
	rightOID             = asn1.ObjectIdentifier{1, 2, 398, 3, 3, 4, 1, 2, 2}
	financialRightOID    = asn1.ObjectIdentifier{1, 2, 398, 3, 3, 4, 1, 2, 3}
	humanResourcesOID    = asn1.ObjectIdentifier{1, 2, 398, 3, 3, 4, 1, 2, 4}
	employeeOID          = asn1.ObjectIdentifier{1, 2, 398, 3, 3, 4, 1, 2, 5}
	informationSystemOID = asn1.ObjectIdentifier{1, 2, 398, 3, 3, 4, 1, 2, 6}
)

// Role is what the owner of a certificate may sign as.
type Role string

// The roles. The zero value is a natural person.
const (
	NaturalPerson     Role = ""
	Head              Role = "head"
	RightOfSignature  Role = "right-of-signature"
	FinancialRight    Role = "financial-right"
	HumanResources    Role = "hr"
	Employee          Role = "employee"
	InformationSystem Role = "information-system"
)

func (r Role) oids() ([]asn1.ObjectIdentifier, error) {
	switch r {
	case NaturalPerson:
		return []asn1.ObjectIdentifier{naturalPersonOID}, nil
	case Head:
		return []asn1.ObjectIdentifier{legalEntityOID, headOID}, nil
	case RightOfSignature:
		return []asn1.ObjectIdentifier{legalEntityOID, rightOID}, nil
	case FinancialRight:
		return []asn1.ObjectIdentifier{legalEntityOID, financialRightOID}, nil
	case HumanResources:
		return []asn1.ObjectIdentifier{legalEntityOID, humanResourcesOID}, nil
	case Employee:
		return []asn1.ObjectIdentifier{legalEntityOID, employeeOID}, nil
	case InformationSystem:
		return []asn1.ObjectIdentifier{legalEntityOID, informationSystemOID}, nil
	}
	return nil, fmt.Errorf("test CA: no such role: %q", r)
}

// Owner is whom a certificate is made out to.
type Owner struct {
	IIN, BIN string // 12 digits, without the prefix
	// Surname and GivenName make the common name. GN holds the patronymic, as
	// НУЦ РК does it, or the given name of one who has none.
	Surname, GivenName, Patronymic string
	Organization                   string
	Role                           Role
	// UserID is the UID of an information system.
	UserID string
}

func (o Owner) name() pkix.Name {
	var name pkix.Name
	add := func(oid asn1.ObjectIdentifier, value string) {
		if value != "" {
			name.ExtraNames = append(name.ExtraNames, pkix.AttributeTypeAndValue{Type: oid, Value: value})
		}
	}
	common := o.Surname
	if o.GivenName != "" {
		common += " " + o.GivenName
	}
	if common == "" {
		common = o.Organization
	}
	add(commonNameOID, common)
	add(surnameOID, o.Surname)
	if o.IIN != "" {
		add(serialNumberOID, "IIN"+o.IIN)
	}
	add(countryOID, "KZ")
	add(organizationOID, o.Organization)
	if o.BIN != "" {
		add(organizationUnitOID, "BIN"+o.BIN)
	}
	given := o.Patronymic
	if given == "" {
		given = o.GivenName
	}
	add(givenNameOID, given)
	add(userIDOID, o.UserID)
	return name
}

// Identity is a certificate with its key and the certificates above it.
type Identity struct {
	Certificate *x509.Certificate
	Key         crypto.Signer
	// Chain goes from the issuer to the root.
	Chain []*x509.Certificate
}

// CA says what a CA certificate is to be like. The zero value is a good one.
type CA struct {
	Name                string
	Key                 KeyKind
	NotBefore, NotAfter time.Time // from a year ago for twenty years, if zero
	// PathLength bounds the CAs below; nil means no bound.
	PathLength *int
	// NotCA, WithoutCertSign and WithoutKeyID make it wrong in these ways.
	NotCA, WithoutCertSign, WithoutKeyID bool
	// CRL and OCSP are addresses to be named in the certificate.
	CRL, OCSP string
	Extra     []pkix.Extension
	// SubjectKeyID stands in for the one made from the key.
	SubjectKeyID []byte
	// ReuseKey makes the certificate for this key.
	ReuseKey crypto.Signer
}

// Leaf says what an end-entity certificate is to be like. The zero value is a
// nameless natural person's signing certificate, good for a year, that names
// no place for revocation.
type Leaf struct {
	Owner               Owner
	Key                 KeyKind
	NotBefore, NotAfter time.Time // from yesterday for a year, if zero
	// Authentication makes it for signing in and not for signing documents.
	Authentication bool
	// Usages, when not nil, stands in for the extended key usages; empty means
	// that there is no such extension.
	Usages []asn1.ObjectIdentifier
	// KeyUsage, when not nil, stands in for digitalSignature and
	// nonRepudiation.
	KeyUsage *x509.KeyUsage
	// CRL, OCSP and Freshest (of the delta list) are addresses to be named in
	// the certificate.
	CRL, OCSP, Freshest string
	Extra               []pkix.Extension
	// ReuseKey makes the certificate for this key.
	ReuseKey crypto.Signer
	// WithoutAuthorityKeyID leaves out which key issued it.
	WithoutAuthorityKeyID bool
}

// NewRoot makes a self-signed CA.
func NewRoot(ca CA) (*Identity, error) { return makeCA(nil, ca) }

// NewIntermediate makes a CA below i, whether i may issue one or not.
func (i *Identity) NewIntermediate(ca CA) (*Identity, error) { return makeCA(i, ca) }

func makeCA(parent *Identity, ca CA) (*Identity, error) {
	key := ca.ReuseKey
	if key == nil {
		var err error
		if key, err = NewKey(ca.Key); err != nil {
			return nil, err
		}
	}
	if ca.NotBefore.IsZero() {
		ca.NotBefore = time.Now().AddDate(-1, 0, 0)
	}
	if ca.NotAfter.IsZero() {
		ca.NotAfter = ca.NotBefore.AddDate(20, 0, 0)
	}
	template := &x509.Certificate{
		Subject: pkix.Name{ExtraNames: []pkix.AttributeTypeAndValue{
			{Type: commonNameOID, Value: ca.Name}, {Type: countryOID, Value: "KZ"},
		}},
		NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		BasicConstraintsValid: true, IsCA: !ca.NotCA,
		KeyUsage:        x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		ExtraExtensions: ca.Extra,
		SubjectKeyId:    ca.SubjectKeyID,
	}
	if ca.WithoutCertSign {
		template.KeyUsage = x509.KeyUsageCRLSign
	}
	if ca.PathLength != nil {
		template.MaxPathLen, template.MaxPathLenZero = *ca.PathLength, *ca.PathLength == 0
	}
	if ca.CRL != "" {
		template.CRLDistributionPoints = []string{ca.CRL}
	}
	if ca.OCSP != "" {
		template.OCSPServer = []string{ca.OCSP}
	}
	if template.SubjectKeyId == nil && !ca.WithoutKeyID {
		id, err := keyID(key)
		if err != nil {
			return nil, err
		}
		template.SubjectKeyId = id
	}
	return finish(parent, template, key, ca.WithoutKeyID)
}

// Issue makes an end-entity certificate below i.
func (i *Identity) Issue(leaf Leaf) (*Identity, error) {
	key := leaf.ReuseKey
	if key == nil {
		var err error
		if key, err = NewKey(leaf.Key); err != nil {
			return nil, err
		}
	}
	if leaf.NotBefore.IsZero() {
		leaf.NotBefore = time.Now().AddDate(0, 0, -1)
	}
	if leaf.NotAfter.IsZero() {
		leaf.NotAfter = leaf.NotBefore.AddDate(1, 0, 0)
	}
	usages := leaf.Usages
	if usages == nil {
		roles, err := leaf.Owner.Role.oids()
		if err != nil {
			return nil, err
		}
		usages = append([]asn1.ObjectIdentifier{emailProtectionOID}, roles...)
		if leaf.Authentication {
			usages[0] = clientAuthOID
		}
	}
	id, err := keyID(key)
	if err != nil {
		return nil, err
	}
	policy, err := x509.OIDFromInts([]uint64{1, 2, 398, 3, 3, 2})
	if err != nil {
		return nil, fmt.Errorf("test CA: policy: %w", err)
	}
	template := &x509.Certificate{
		Subject:   leaf.Owner.name(),
		NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter,
		KeyUsage:           x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment,
		UnknownExtKeyUsage: usages,
		Policies:           []x509.OID{policy},
		SubjectKeyId:       id,
		ExtraExtensions:    leaf.Extra,
	}
	if leaf.KeyUsage != nil {
		template.KeyUsage = *leaf.KeyUsage
	}
	if leaf.CRL != "" {
		template.CRLDistributionPoints = []string{leaf.CRL}
	}
	if leaf.OCSP != "" {
		template.OCSPServer = []string{leaf.OCSP}
	}
	if leaf.Freshest != "" {
		extension, err := freshest(leaf.Freshest)
		if err != nil {
			return nil, err
		}
		template.ExtraExtensions = append(template.ExtraExtensions[:len(template.ExtraExtensions):len(template.ExtraExtensions)], extension)
	}
	return finish(i, template, key, leaf.WithoutAuthorityKeyID)
}

func finish(parent *Identity, template *x509.Certificate, key crypto.Signer, withoutAuthority bool) (*Identity, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("test CA: serial number: %w", err)
	}
	template.SerialNumber = serial.Add(serial, big.NewInt(1))
	template.NotBefore = template.NotBefore.UTC().Truncate(time.Second)
	template.NotAfter = template.NotAfter.UTC().Truncate(time.Second)
	issuer, signer := template, key
	var chain []*x509.Certificate
	if parent != nil {
		issuer, signer = parent.Certificate, parent.Key
		chain = append([]*x509.Certificate{parent.Certificate}, parent.Chain...)
	}
	if withoutAuthority {
		bare := *issuer
		bare.SubjectKeyId = nil
		issuer = &bare
	}
	var der []byte
	if by, ok := signer.(*gost3410.PrivateKey); ok {
		der, err = createByGOST(template, issuer, key, by)
	} else {
		der, err = x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), signer)
	}
	if err != nil {
		return nil, fmt.Errorf("test CA: make a certificate: %w", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("test CA: read back a certificate: %w", err)
	}
	return &Identity{Certificate: certificate, Key: key, Chain: chain}, nil
}

// keyID is the key identifier of RFC 5280, 4.2.1.2 (1).
func keyID(key crypto.Signer) ([]byte, error) {
	der, err := marshalPublicKey(key.Public())
	if err != nil {
		return nil, fmt.Errorf("test CA: encode a key: %w", err)
	}
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(der, &info); err != nil {
		return nil, fmt.Errorf("test CA: read a key: %w", err)
	}
	sum := sha1.Sum(info.Key.Bytes)
	return sum[:], nil
}

// CertificatePEM returns the certificate in PEM.
func (i *Identity) CertificatePEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.Certificate.Raw})
}

// KeyPEM returns the key in PEM (PKCS #8), in the clear: it is a test key. GOST
// keys have no form that others would read.
func (i *Identity) KeyPEM() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(i.Key)
	if err != nil {
		return nil, fmt.Errorf("test CA: encode a key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}
