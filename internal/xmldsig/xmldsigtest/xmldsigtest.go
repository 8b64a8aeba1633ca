// Package xmldsigtest signs XML documents, for tests and for the demo authority.
// What it signs is trusted by nobody who did not configure the test authority's
// root.
//
// It takes canonical forms and digests from package xmldsig, so a test that both
// are right needs another witness: samples, another program.
package xmldsigtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"dalel/internal/crl/crltest"
	"dalel/internal/gost/gostpki"
	"dalel/internal/pki"
	"dalel/internal/xmldsig"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Reference says what is to be signed. The zero value is the whole document, as
// НУЦ РК's software signs it.
type Reference struct {
	// URI is "" or "#id".
	URI string
	// Transforms are URIs; nil is enveloped-signature and C14N 1.0 with comments.
	Transforms []string
	// Digest is a URI; "" is the one that goes with the key.
	Digest string
	// Prefixes is the PrefixList of exclusive canonicalization.
	Prefixes string
}

// Properties are those of XAdES.
type Properties struct {
	SigningTime time.Time // none if zero
	// WithoutCertificate leaves SigningCertificateV2 out.
	WithoutCertificate bool
	// Stamp makes a time token over a message; none if nil.
	Stamp func(over []byte) ([]byte, error)
	// OCSP, CRLs and Certificates go into the unsigned properties.
	OCSP, CRLs, Certificates [][]byte
}

// Signature says what a signature is to be like.
type Signature struct {
	Signer crltest.Signer
	// References are what is signed; nil is the whole document.
	References []Reference
	// Canonicalization of SignedInfo is a URI; "" is C14N 1.0.
	Canonicalization string
	// Method is the URI of the signature; "" is the one that goes with the key.
	Method string
	// ID is the Id of the Signature, "" for none.
	ID string
	// Properties are of XAdES, nil for none; a reference to them is added.
	Properties *Properties
	// Object is XML that goes into an Object of the signature.
	Object string
	// More are certificates after the signer's own.
	More [][]byte
}

const ds = `xmlns:ds="http://www.w3.org/2000/09/xmldsig#"`

// Sign adds a signature to a document, as the last thing in its root element,
// which must have an end tag.
func Sign(document []byte, s Signature) ([]byte, error) {
	if s.Signer.Certificate == nil || s.Signer.Sign == nil {
		return nil, errors.New("sign a test document: nobody signs")
	}
	end := bytes.LastIndex(document, []byte("</"))
	if end < 0 {
		return nil, errors.New("sign a test document: the root element has no end tag")
	}
	before, err := xmldsig.Parse(document)
	if err != nil {
		return nil, fmt.Errorf("sign a test document: %w", err)
	}
	number := len(before.Signatures())
	method, digest, err := urisOf(s.Signer)
	if err != nil {
		return nil, err
	}
	if s.Method != "" {
		method = s.Method
	}
	w := writer{signature: s, method: method, digest: digest, number: number, value: []byte{0}, token: []byte{0}}
	if s.References == nil {
		w.signature.References = []Reference{{}}
	}
	for range w.count() {
		w.digests = append(w.digests, []byte{0})
	}
	render := func() ([]byte, *xmldsig.Document, xmldsig.Signature, error) {
		var b bytes.Buffer
		b.Write(document[:end])
		w.write(&b)
		b.Write(document[end:])
		parsed, err := xmldsig.Parse(b.Bytes())
		if err != nil {
			return nil, nil, xmldsig.Signature{}, fmt.Errorf("sign a test document: %w", err)
		}
		return b.Bytes(), parsed, parsed.Signatures()[number], nil
	}

	_, parsed, mine, err := render()
	if err != nil {
		return nil, err
	}
	results, err := parsed.Digests(context.Background(), pki.Standard().With(gostpki.Algorithms()), mine)
	if err != nil {
		return nil, err
	}
	for i, result := range results {
		if result.Got != nil { // else it is not supported, and stays as it is
			w.digests[i] = result.Got
		}
	}
	if _, _, mine, err = render(); err != nil {
		return nil, err
	}
	if w.value, err = s.Signer.Sign(mine.SignedInfo); err != nil {
		return nil, fmt.Errorf("sign a test document: %w", err)
	}
	if strings.Contains(method, "#ecdsa-") {
		if w.value, err = plain(w.value, s.Signer.Certificate.PublicKey); err != nil {
			return nil, err
		}
	}
	if s.Properties != nil && s.Properties.Stamp != nil {
		if _, _, mine, err = render(); err != nil {
			return nil, err
		}
		if w.token, err = s.Properties.Stamp(mine.TimeTokens[0].Over); err != nil {
			return nil, fmt.Errorf("sign a test document: stamp: %w", err)
		}
	}
	signed, _, _, err := render()
	return signed, err
}

// urisOf returns the URIs that go with a signer's key.
func urisOf(s crltest.Signer) (method, digest string, err error) {
	switch s.Algorithm.OID {
	case pki.OIDSHA256WithRSA:
		return xmldsig.URIRSASHA256, xmldsig.URISHA256, nil
	case pki.OIDECDSAWithSHA256:
		return xmldsig.URIECDSASHA256, xmldsig.URISHA256, nil
	case pki.OIDECDSAWithSHA384:
		return xmldsig.URIECDSASHA384, xmldsig.URISHA384, nil
	case gostpki.OIDSignatureKZ2015512:
		return xmldsig.URISignatureKZ512, xmldsig.URIDigestKZ512, nil
	}
	return "", "", fmt.Errorf("sign a test document: no URI for %s", s.Algorithm.OID)
}

// plain turns ECDSA-Sig-Value into r||s.
func plain(der []byte, key any) ([]byte, error) {
	s := cryptobyte.String(der)
	var body cryptobyte.String
	r, t := new(big.Int), new(big.Int)
	if !s.ReadASN1(&body, asn1.SEQUENCE) || !body.ReadASN1Integer(r) || !body.ReadASN1Integer(t) {
		return nil, errors.New("sign a test document: not an ECDSA signature")
	}
	public, ok := key.(interface{ Bytes() ([]byte, error) })
	if !ok {
		return nil, errors.New("sign a test document: not an ECDSA key")
	}
	point, err := public.Bytes()
	if err != nil {
		return nil, fmt.Errorf("sign a test document: %w", err)
	}
	size := (len(point) - 1) / 2
	return append(r.FillBytes(make([]byte, size)), t.FillBytes(make([]byte, size))...), nil
}

type writer struct {
	signature      Signature
	method, digest string
	number         int
	digests        [][]byte
	value, token   []byte
}

func (w *writer) count() int {
	if w.signature.Properties != nil {
		return len(w.signature.References) + 1
	}
	return len(w.signature.References)
}

func (w *writer) write(b *bytes.Buffer) {
	s := w.signature
	canonicalization := s.Canonicalization
	if canonicalization == "" {
		canonicalization = xmldsig.URIC14N10
	}
	b.WriteString(`<ds:Signature ` + ds)
	if s.ID != "" || s.Properties != nil {
		if s.ID == "" {
			s.ID = fmt.Sprintf("signature-%d", w.number)
		}
		fmt.Fprintf(b, ` Id="%s"`, s.ID)
	}
	b.WriteString(">\n<ds:SignedInfo>\n")
	fmt.Fprintf(b, "<ds:CanonicalizationMethod Algorithm=\"%s\"/>\n<ds:SignatureMethod Algorithm=\"%s\"/>\n", canonicalization, w.method)
	for i, r := range s.References {
		w.reference(b, r, "", w.digests[i])
	}
	if s.Properties != nil {
		w.reference(b, Reference{URI: "#" + s.ID + "-properties", Transforms: []string{xmldsig.URIC14N10}},
			` Type="http://uri.etsi.org/01903#SignedProperties"`, w.digests[len(s.References)])
	}
	b.WriteString("</ds:SignedInfo>\n")
	element(b, "ds:SignatureValue", w.value)
	b.WriteString("<ds:KeyInfo>\n<ds:X509Data>\n")
	for _, certificate := range append([][]byte{s.Signer.Certificate.Raw}, s.More...) {
		element(b, "ds:X509Certificate", certificate)
	}
	b.WriteString("</ds:X509Data>\n</ds:KeyInfo>\n")
	if s.Object != "" {
		b.WriteString("<ds:Object>" + s.Object + "</ds:Object>\n")
	}
	if s.Properties != nil {
		w.properties(b, s.ID)
	}
	b.WriteString("</ds:Signature>")
}

func (w *writer) reference(b *bytes.Buffer, r Reference, more string, digest []byte) {
	if r.Transforms == nil {
		r.Transforms = []string{xmldsig.URIEnveloped, xmldsig.URIC14N10WithComments}
	}
	if r.Digest == "" {
		r.Digest = w.digest
	}
	fmt.Fprintf(b, `<ds:Reference URI="%s"%s>`, escaped(r.URI), more)
	if len(r.Transforms) > 0 {
		b.WriteString("\n<ds:Transforms>\n")
		for _, transform := range r.Transforms {
			fmt.Fprintf(b, `<ds:Transform Algorithm="%s">`, escaped(transform))
			if r.Prefixes != "" && strings.HasPrefix(transform, xmldsig.URIExclusive) {
				fmt.Fprintf(b, `<ec:InclusiveNamespaces xmlns:ec="%s" PrefixList="%s"/>`, xmldsig.URIExclusive, escaped(r.Prefixes))
			}
			b.WriteString("</ds:Transform>\n")
		}
		b.WriteString("</ds:Transforms>")
	}
	fmt.Fprintf(b, "\n<ds:DigestMethod Algorithm=\"%s\"/>\n", escaped(r.Digest))
	element(b, "ds:DigestValue", digest)
	b.WriteString("</ds:Reference>\n")
}

func (w *writer) properties(b *bytes.Buffer, id string) {
	p := w.signature.Properties
	fmt.Fprintf(b, `<ds:Object><xades:QualifyingProperties xmlns:xades="http://uri.etsi.org/01903/v1.3.2#" Target="#%s">`, id)
	fmt.Fprintf(b, `<xades:SignedProperties Id="%s-properties"><xades:SignedSignatureProperties>`, id)
	if !p.SigningTime.IsZero() {
		fmt.Fprintf(b, `<xades:SigningTime>%s</xades:SigningTime>`, p.SigningTime.Format(time.RFC3339))
	}
	if !p.WithoutCertificate {
		sum := sha256.Sum256(w.signature.Signer.Certificate.Raw)
		fmt.Fprintf(b, `<xades:SigningCertificateV2><xades:Cert><xades:CertDigest><ds:DigestMethod Algorithm="%s"/>`, xmldsig.URISHA256)
		element(b, "ds:DigestValue", sum[:])
		b.WriteString(`</xades:CertDigest></xades:Cert></xades:SigningCertificateV2>`)
	}
	b.WriteString(`</xades:SignedSignatureProperties></xades:SignedProperties>`)
	b.WriteString(`<xades:UnsignedProperties><xades:UnsignedSignatureProperties>`)
	if p.Stamp != nil {
		b.WriteString(`<xades:SignatureTimeStamp>`)
		element(b, "xades:EncapsulatedTimeStamp", w.token)
		b.WriteString(`</xades:SignatureTimeStamp>`)
	}
	list := func(outer, name string, values [][]byte) {
		if len(values) == 0 {
			return
		}
		b.WriteString("<xades:" + outer + ">")
		for _, value := range values {
			element(b, "xades:"+name, value)
		}
		b.WriteString("</xades:" + outer + ">")
	}
	list("CertificateValues", "EncapsulatedX509Certificate", p.Certificates)
	b.WriteString(`<xades:RevocationValues>`)
	list("CRLValues", "EncapsulatedCRLValue", p.CRLs)
	list("OCSPValues", "EncapsulatedOCSPValue", p.OCSP)
	b.WriteString(`</xades:RevocationValues></xades:UnsignedSignatureProperties></xades:UnsignedProperties></xades:QualifyingProperties></ds:Object>`)
}

// element writes base64 in lines of 76, as НУЦ РК's software does it.
func element(b *bytes.Buffer, name string, value []byte) {
	b.WriteString("<" + name + ">")
	text := base64.StdEncoding.EncodeToString(value)
	for len(text) > 76 {
		b.WriteString(text[:76] + "&#13;\n")
		text = text[76:]
	}
	b.WriteString(text + "</" + name + ">\n")
}

func escaped(text string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(text)) // a Buffer takes everything
	return b.String()
}
