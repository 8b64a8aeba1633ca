package xmldsig

import (
	"fmt"
	"math/big"

	"dalel/internal/gost/gostpki"
	"dalel/internal/pki"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Namespaces.
const (
	nsXML       = "http://www.w3.org/XML/1998/namespace"
	nsXMLNS     = "http://www.w3.org/2000/xmlns/"
	nsDSig      = "http://www.w3.org/2000/09/xmldsig#"
	nsDSig11    = "http://www.w3.org/2009/xmldsig11#"
	nsExclusive = "http://www.w3.org/2001/10/xml-exc-c14n#"
	nsXAdES111  = "http://uri.etsi.org/01903/v1.1.1#"
	nsXAdES122  = "http://uri.etsi.org/01903/v1.2.2#"
	nsXAdES132  = "http://uri.etsi.org/01903/v1.3.2#"
	nsXAdES141  = "http://uri.etsi.org/01903/v1.4.1#"
	nsSecurity  = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
	nsTokens    = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"

	// These say of a token of WS-Security that it is a certificate, and in base64. The
	// third is older than the standard.
	uriX509v3 = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509v3"
	uriX509v1 = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509v1"
	uriX509   = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509"
	uriBase64 = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary"
)

// URIs of transforms and canonicalizations.
const (
	URIEnveloped             = nsDSig + "enveloped-signature"
	URIC14N10                = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
	URIC14N10WithComments    = URIC14N10 + "#WithComments"
	URIC14N11                = "http://www.w3.org/2006/12/xml-c14n11"
	URIC14N11WithComments    = URIC14N11 + "#WithComments"
	URIExclusive             = nsExclusive
	URIExclusiveWithComments = nsExclusive + "WithComments"
)

// URIs of algorithms: those of the standard and RFC 9231, and the national ones.
const (
	URISHA1   = nsDSig + "sha1"
	URIMD5    = moreURI + "md5"
	URISHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
	URISHA384 = moreURI + "sha384"
	URISHA512 = "http://www.w3.org/2001/04/xmlenc#sha512"

	URIRSAMD5      = moreURI + "rsa-md5"
	URIRSASHA1     = nsDSig + "rsa-sha1"
	URIRSASHA256   = moreURI + "rsa-sha256"
	URIRSASHA384   = moreURI + "rsa-sha384"
	URIRSASHA512   = moreURI + "rsa-sha512"
	URIECDSASHA1   = moreURI + "ecdsa-sha1"
	URIECDSASHA256 = moreURI + "ecdsa-sha256"
	URIECDSASHA384 = moreURI + "ecdsa-sha384"
	URIECDSASHA512 = moreURI + "ecdsa-sha512"

	URIDigestKZ512      = nationalURI + "gostr34112015-512"
	URIDigestKZ256      = nationalURI + "gostr34112015-256"
	URISignatureKZ512   = nationalURI + "gostr34102015-gostr34112015-512"
	URISignatureKZ256   = nationalURI + "gostr34102015-gostr34112015-256"
	URIDigestKZ34311    = moreURI + "gost34311"
	URISignatureKZ34310 = moreURI + "gost34310-gost34311"
	moreURI             = "http://www.w3.org/2001/04/xmldsig-more#"
	nationalURI         = "urn:ietf:params:xml:ns:pkigovkz:xmlsec:algorithms:"
)

// DigestOf maps the URI of a DigestMethod to the OID that [pki.Algorithms] knows
// it by. An identifier without OID, for a URI that is not known here, is
// unsupported everywhere.
func DigestOf(uri string) pki.Identifier {
	var oid string
	switch uri {
	case URISHA256:
		oid = pki.OIDSHA256
	case URISHA384:
		oid = pki.OIDSHA384
	case URISHA512:
		oid = pki.OIDSHA512
	case URISHA1:
		oid = pki.OIDSHA1
	case URIMD5:
		oid = pki.OIDMD5
	case URIDigestKZ512:
		oid = gostpki.OIDDigestKZ512
	case URIDigestKZ256:
		oid = gostpki.OIDDigestKZ256
	case URIDigestKZ34311:
		oid = gostpki.OIDDigestKZ34311
	}
	return pki.Identifier{OID: oid}
}

// SignatureOf maps the URI of a SignatureMethod to the OIDs of the signature and
// of the digest in it. Identifiers without OID, for a URI that is not known here,
// are unsupported everywhere.
func SignatureOf(uri string) (algorithm, digest pki.Identifier) {
	var signature, hash string
	switch uri {
	case URIRSASHA256:
		signature, hash = pki.OIDSHA256WithRSA, pki.OIDSHA256
	case URIRSASHA384:
		signature, hash = pki.OIDSHA384WithRSA, pki.OIDSHA384
	case URIRSASHA512:
		signature, hash = pki.OIDSHA512WithRSA, pki.OIDSHA512
	case URIRSASHA1:
		signature, hash = pki.OIDSHA1WithRSA, pki.OIDSHA1
	case URIRSAMD5:
		signature, hash = pki.OIDMD5WithRSA, pki.OIDMD5
	case URIECDSASHA256:
		signature, hash = pki.OIDECDSAWithSHA256, pki.OIDSHA256
	case URIECDSASHA384:
		signature, hash = pki.OIDECDSAWithSHA384, pki.OIDSHA384
	case URIECDSASHA512:
		signature, hash = pki.OIDECDSAWithSHA512, pki.OIDSHA512
	case URIECDSASHA1:
		signature, hash = pki.OIDECDSAWithSHA1, pki.OIDSHA1
	case URISignatureKZ512:
		signature, hash = gostpki.OIDSignatureKZ2015512, gostpki.OIDDigestKZ512
	case URISignatureKZ256:
		signature, hash = gostpki.OIDSignatureKZ2015256, gostpki.OIDDigestKZ256
	case URISignatureKZ34310:
		signature, hash = gostpki.OIDSignatureKZ2004, gostpki.OIDDigestKZ34311
	}
	return pki.Identifier{OID: signature}, pki.Identifier{OID: hash}
}

// isECDSA says that a value is r||s in XML (6.4.3) and a SEQUENCE in pki.
func isECDSA(oid string) bool {
	switch oid {
	case pki.OIDECDSAWithSHA1, pki.OIDECDSAWithSHA256, pki.OIDECDSAWithSHA384, pki.OIDECDSAWithSHA512:
		return true
	}
	return false
}

// ecdsaDER turns r||s of P-256, P-384 or P-521 into ECDSA-Sig-Value (RFC 3279,
// 2.2.3). Anything of another length is left as it is, and matches no key.
func ecdsaDER(value []byte) ([]byte, error) {
	switch len(value) {
	case 64, 96, 132:
	default:
		return value, nil
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1BigInt(new(big.Int).SetBytes(value[:len(value)/2]))
		b.AddASN1BigInt(new(big.Int).SetBytes(value[len(value)/2:]))
	})
	der, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("encode an ECDSA signature: %w", err)
	}
	return der, nil
}
