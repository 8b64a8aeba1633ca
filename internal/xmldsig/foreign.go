package xmldsig

import (
	"strings"

	"github.com/beevik/etree"
)

// foreign says that there is something in e, which is of a Signature, that is not
// of a signature. Comments are not looked at: no reference covers them anywhere.
func foreign(e *etree.Element) bool {
	inside := children(e)
	for _, token := range e.Child {
		switch t := token.(type) {
		case *etree.CharData:
			if strings.Trim(t.Data, " \t\n\r") != "" && (len(inside) > 0 || !hasText(e)) {
				return true
			}
		case *etree.ProcInst:
			return true
		}
	}
	for _, child := range inside {
		switch spaceOf(child) {
		case nsDSig, nsDSig11, nsExclusive, nsXAdES111, nsXAdES122, nsXAdES132, nsXAdES141:
		case nsTokens: // WS-Security names the key in this way
			if !is(child, nsTokens, "SecurityTokenReference") && spaceOf(e) != nsTokens || is(e, nsDSig, "Object") {
				return true
			}
		default:
			return true
		}
		if is(e, nsDSig, "Object") && !isXAdES(child, "QualifyingProperties") {
			return true
		}
		if foreign(child) {
			return true
		}
	}
	return false
}

// hasText says that an element without others in it may have a text. In the
// namespaces of signatures these have one; XAdES has many more.
func hasText(e *etree.Element) bool {
	switch spaceOf(e) {
	case nsDSig:
		switch e.Tag {
		case "SignatureValue", "DigestValue", "KeyName", "MgmtData", "HMACOutputLength", "XPath",
			"X509Certificate", "X509CRL", "X509SKI", "X509SubjectName", "X509IssuerName", "X509SerialNumber",
			"Modulus", "Exponent", "P", "Q", "G", "Y", "J", "Seed", "PgenCounter",
			"PGPKeyID", "PGPKeyPacket", "SPKISexp":
			return true
		}
		return false
	case nsDSig11:
		switch e.Tag {
		case "X509Digest", "DEREncodedKeyValue", "PublicKey", "OCSPResponse",
			"Prime", "A", "B", "Base", "Order", "CoFactor", "Seed", "ValidationData", "P", "M", "K", "K1", "K2", "K3":
			return true
		}
		return false
	case nsExclusive:
		return false
	case nsTokens:
		return e.Tag == "KeyIdentifier" || e.Tag == "BinarySecurityToken"
	}
	return !strings.HasSuffix(e.Tag, "Properties")
}
