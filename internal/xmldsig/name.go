package xmldsig

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"math/big"
	"slices"
	"strings"

	"github.com/beevik/etree"
	"golang.org/x/crypto/cryptobyte"
	cryptobyteasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// CertificateName names a certificate by what stands in it: by issuer and serial
// number, or by the identifier of its key.
type CertificateName struct {
	// Issuer is a name in DER. IssuerText is the same as a text (RFC 4514, as each
	// program understands it) where there is no DER.
	Issuer     []byte
	IssuerText string
	Serial     *big.Int
	// KeyID is set where the other fields are not.
	KeyID []byte
}

// Fits says whether a certificate bears the name. Where the issuer is a text,
// programs differ in the order and the spelling of its parts; it fits if it has
// the same parts, whatever their order and their case.
func (n CertificateName) Fits(certificate *x509.Certificate) bool {
	switch {
	case n.KeyID != nil:
		return bytes.Equal(n.KeyID, certificate.SubjectKeyId)
	case !n.Numbers(certificate):
		return false
	case n.Issuer != nil:
		return bytes.Equal(n.Issuer, certificate.RawIssuer)
	}
	want, ok := partsOfText(n.IssuerText)
	has, okay := partsOfDER(certificate.RawIssuer)
	return ok && okay && slices.Equal(want, has)
}

// Numbers says whether a certificate has the serial number of the name.
func (n CertificateName) Numbers(certificate *x509.Certificate) bool {
	return n.Serial != nil && certificate.SerialNumber != nil && n.Serial.Cmp(certificate.SerialNumber) == 0
}

// namesOf reads what KeyInfo says of the signer's certificate, also where
// WS-Security wraps it. Nothing hangs on what cannot be read: it is left out.
func namesOf(keyInfo *etree.Element) []CertificateName {
	holders := named(keyInfo, nsDSig, "X509Data")
	for _, reference := range named(keyInfo, nsTokens, "SecurityTokenReference") {
		holders = append(holders, named(reference, nsDSig, "X509Data")...)
	}
	var names []CertificateName
	for _, data := range holders {
		for _, e := range named(data, nsDSig, "X509IssuerSerial") {
			if name := issuerSerial(e); name != nil {
				names = append(names, *name)
			}
		}
		for _, e := range named(data, nsDSig, "X509SKI") {
			if id, err := decode(e); err == nil {
				names = append(names, CertificateName{KeyID: id})
			}
		}
	}
	return names[:min(len(names), MaxCertificates)]
}

// signedName reads how a Cert of XAdES names the certificate besides its digest.
func signedName(e *etree.Element) *CertificateName {
	if v1 := find(e, "IssuerSerial"); len(v1) > 0 {
		return issuerSerial(v1[0])
	}
	v2 := find(e, "IssuerSerialV2")
	if len(v2) == 0 {
		return nil
	}
	der, err := decode(v2[0])
	if err != nil {
		return nil
	}
	// IssuerSerial (RFC 5035): the issuer is the one directoryName [4].
	s := cryptobyte.String(der)
	var body, names, name cryptobyte.String
	serial := new(big.Int)
	directory := cryptobyteasn1.Tag(4).ContextSpecific().Constructed()
	if !s.ReadASN1(&body, cryptobyteasn1.SEQUENCE) || !s.Empty() || !body.ReadASN1(&names, cryptobyteasn1.SEQUENCE) ||
		!names.ReadASN1(&name, directory) || !names.Empty() || !body.ReadASN1Integer(serial) {
		return nil
	}
	return &CertificateName{Issuer: name, Serial: serial}
}

// issuerSerial reads an X509IssuerSerial.
func issuerSerial(e *etree.Element) *CertificateName {
	issuer, number := named(e, nsDSig, "X509IssuerName"), named(e, nsDSig, "X509SerialNumber")
	if len(issuer) != 1 || len(number) != 1 {
		return nil
	}
	text := strings.TrimSpace(number[0].Text())
	const most = 64 // digits; a serial number has 20 bytes at most
	serial, ok := new(big.Int).SetString(text, 10)
	if !ok || len(text) > most {
		return nil
	}
	return &CertificateName{IssuerText: issuer[0].Text(), Serial: serial}
}

// part is an attribute of a name: "2.5.4.3=test ca".
func part(oid, value string) string {
	return oid + "=" + strings.ToLower(strings.Join(strings.Fields(value), " "))
}

// partsOfDER returns the parts of a name, sorted.
func partsOfDER(der []byte) (parts []string, ok bool) {
	var sets []asn1.RawValue
	if rest, err := asn1.Unmarshal(der, &sets); err != nil || len(rest) > 0 {
		return nil, false
	}
	for _, set := range sets {
		for rest := set.Bytes; len(rest) > 0; {
			var one struct {
				Type  asn1.ObjectIdentifier
				Value asn1.RawValue
			}
			var err error
			if rest, err = asn1.Unmarshal(rest, &one); err != nil {
				return nil, false
			}
			value, ok := textOf(one.Value.FullBytes)
			if !ok {
				return nil, false
			}
			parts = append(parts, part(one.Type.String(), value))
		}
	}
	slices.Sort(parts)
	return parts, true
}

// textOf returns the characters of a string in DER; others are put in hex.
func textOf(der []byte) (string, bool) {
	var value any
	if rest, err := asn1.Unmarshal(der, &value); err != nil || len(rest) > 0 {
		return "", false
	}
	if text, ok := value.(string); ok {
		return text, true
	}
	return "#" + hex.EncodeToString(der), true
}

// maxNameText bounds how much of a name is read.
const maxNameText = 8 << 10

// partsOfText returns the parts of a name in RFC 4514 or one of its forerunners,
// sorted.
func partsOfText(text string) (parts []string, ok bool) {
	if len(text) > maxNameText {
		return nil, false
	}
	for rest := text; ; {
		kind, after, found := strings.Cut(rest, "=")
		oid := oidOf(strings.TrimSpace(kind))
		if !found || oid == "" {
			return nil, false
		}
		var value string
		if value, rest, ok = valueOfText(after); !ok {
			return nil, false
		}
		parts = append(parts, part(oid, value))
		if rest == "" {
			slices.Sort(parts)
			return parts, true
		}
		rest = rest[1:] // the comma
	}
}

// valueOfText reads a value up to the separator behind it.
func valueOfText(text string) (value, rest string, ok bool) {
	text = strings.TrimLeft(text, " \t\r\n")
	var b []byte
	quoted, i := false, 0
scan:
	for ; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\':
			if pair, err := hex.DecodeString(text[min(i+1, len(text)):min(i+3, len(text))]); err == nil && len(pair) == 1 {
				b, i = append(b, pair[0]), i+2
				continue
			}
			if i++; i == len(text) {
				return "", "", false
			}
			b = append(b, text[i])
		case !quoted && (c == ',' || c == '+' || c == ';'):
			break scan
		default:
			b = append(b, c)
		}
	}
	value = string(b)
	if encoded, ok := strings.CutPrefix(strings.TrimSpace(value), "#"); ok && text[0] == '#' {
		der, err := hex.DecodeString(encoded)
		if err != nil {
			return "", "", false
		}
		if value, ok = textOf(der); !ok {
			return "", "", false
		}
	}
	return value, text[i:], !quoted
}

// oidOf returns the OID of an attribute type, "" for a keyword that is not known.
func oidOf(kind string) string {
	kind = strings.ToUpper(kind)
	switch kind {
	case "CN":
		return "2.5.4.3"
	case "SN", "SURNAME":
		return "2.5.4.4"
	case "SERIALNUMBER":
		return "2.5.4.5"
	case "C":
		return "2.5.4.6"
	case "L":
		return "2.5.4.7"
	case "S", "ST":
		return "2.5.4.8"
	case "STREET":
		return "2.5.4.9"
	case "O":
		return "2.5.4.10"
	case "OU":
		return "2.5.4.11"
	case "T", "TITLE":
		return "2.5.4.12"
	case "G", "GN", "GIVENNAME":
		return "2.5.4.42"
	case "E", "EMAIL", "EMAILADDRESS":
		return "1.2.840.113549.1.9.1"
	case "DC":
		return "0.9.2342.19200300.100.1.25"
	case "UID":
		return "0.9.2342.19200300.100.1.1"
	}
	kind = strings.TrimPrefix(kind, "OID.")
	if kind != "" && strings.Trim(kind, "0123456789.") == "" {
		return kind
	}
	return ""
}
