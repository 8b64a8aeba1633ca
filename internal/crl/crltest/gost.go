package crltest

import (
	"crypto"
	"crypto/rand"
	"crypto/x509/pkix"
	"encoding/asn1"
	"time"

	"dalel/internal/gost/gost3410"
	"dalel/internal/gost/gostpki"
	"dalel/internal/gost/streebog"
	"dalel/internal/pki"
	"dalel/internal/testca"
)

// byGOST signs with GOST 34.10-2015, as НУЦ РК does.
func byGOST(s Signer, public *gost3410.PublicKey, key crypto.Signer) Signer {
	newHash := streebog.New512
	s.Algorithm = pki.Identifier{OID: gostpki.OIDSignatureKZ2015512, Parameters: null}
	s.Digest = pki.Identifier{OID: gostpki.OIDDigestKZ512, Parameters: null}
	if public.Curve().Size() == 32 {
		newHash = streebog.New256
		s.Algorithm.OID, s.Digest.OID = gostpki.OIDSignatureKZ2015256, gostpki.OIDDigestKZ256
	}
	s.Sign = func(message []byte) ([]byte, error) {
		h := newHash()
		h.Write(message)
		return key.Sign(rand.Reader, h.Sum(nil), nil)
	}
	return s
}

// GOST makes a certificate with a key of GOST 34.10-2015 (512 bits), shaped as
// НУЦ РК does it, issued by issuer or, with nil, by itself. The latter is an
// authority; the former has the extensions that are given. Both hold from one
// day before at for ten years.
func GOST(name string, issuer *Signer, at time.Time, extensions ...pkix.Extension) (Signer, error) {
	from, to := at.AddDate(0, 0, -1), at.AddDate(10, 0, -1)
	var identity *testca.Identity
	var err error
	if issuer == nil {
		identity, err = testca.NewRoot(testca.CA{Name: name, Key: testca.GOST512, NotBefore: from, NotAfter: to})
	} else {
		by := testca.Identity{Certificate: issuer.Certificate, Key: issuer.key}
		identity, err = by.Issue(testca.Leaf{Owner: testca.Owner{Organization: name}, Key: testca.GOST512, NotBefore: from, NotAfter: to,
			Usages: []asn1.ObjectIdentifier{}, Extra: extensions})
	}
	if err != nil {
		return Signer{}, err
	}
	return By(identity), nil
}
