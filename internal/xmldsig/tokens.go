package xmldsig

import (
	"slices"

	"github.com/beevik/etree"
)

// securityTokens adds the certificates that a message of SOAP has for a signature
// in it (WS-Security, X.509 Certificate Token Profile 1.1): those that its KeyInfo
// holds or points to come first, then those that stand beside it in the header.
// They are there to be tried like any other, so one that cannot be read, or is one
// too many, is passed over.
func (d *Document) securityTokens(certificates [][]byte, signature, keyInfo *etree.Element) [][]byte {
	add := func(e *etree.Element) {
		if len(certificates) == MaxCertificates {
			return
		}
		switch attributeValue(e, "ValueType") {
		case uriX509v3, uriX509v1, uriX509:
		default:
			return
		}
		if encoding := attributeValue(e, "EncodingType"); encoding != "" && encoding != uriBase64 {
			return
		}
		value, err := decode(e)
		if err != nil || slices.ContainsFunc(certificates, func(other []byte) bool { return string(other) == string(value) }) {
			return
		}
		certificates = append(certificates, value)
	}
	if keyInfo != nil {
		for _, reference := range named(keyInfo, nsTokens, "SecurityTokenReference") {
			for _, key := range named(reference, nsTokens, "KeyIdentifier") {
				add(key)
			}
			for _, embedded := range named(reference, nsTokens, "Embedded") {
				for _, token := range named(embedded, nsTokens, "BinarySecurityToken") {
					add(token)
				}
			}
			for _, pointer := range named(reference, nsTokens, "Reference") {
				uri := attributeValue(pointer, "URI")
				if len(uri) < 2 || uri[0] != '#' {
					continue
				}
				if who := d.ids[uri[1:]]; who.count == 1 && is(who.element, nsTokens, "BinarySecurityToken") {
					add(who.element)
				}
			}
		}
	}
	if header := signature.Parent(); header != nil && is(header, nsTokens, "Security") {
		for _, token := range named(header, nsTokens, "BinarySecurityToken") {
			add(token)
		}
	}
	return certificates
}
