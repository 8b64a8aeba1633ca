package xmldsig

import (
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"dalel/internal/pki"

	"github.com/beevik/etree"
)

// Signature is a ds:Signature element (4.2). Its slices point into the document
// and must not be changed.
type Signature struct {
	// ID is the Id of the element, "" if it has none.
	ID string
	// Certificates are those of KeyInfo in DER, in order, and the tokens of
	// WS-Security, unverified and maybe unreadable; the signer's comes first by habit
	// and not by the standard. One that is not base64 is there as the text that stands
	// in its place: nothing that is signed hangs on it.
	Certificates [][]byte
	// Names say in KeyInfo which certificate is the signer's, which may be all that
	// it says. Nobody signs them.
	Names []CertificateName
	// SignatureMethod is the URI as it stands. Algorithm and Digest are the OIDs
	// that it is mapped to ([SignatureOf]), empty ones when it is not known.
	SignatureMethod   string
	Algorithm, Digest pki.Identifier
	// SignedInfo is the canonical form of the element, which is what the value
	// signs. It is nil when Problem says why there is none.
	SignedInfo []byte
	// Problem wraps [ErrUnsupported]; nil is the rule.
	Problem error
	// Value is the signature as package pki takes it: an ECDSA one, r||s in XML
	// (6.4.3), is turned into DER. All others are as they stand.
	Value []byte
	// References say what is signed; there is at least one.
	References []Reference
	// ForeignContent says that there is more within the element than a signature
	// and XAdES need: an Object with content of another kind, a text where none
	// belongs, a processing instruction. Only a reference to it covers it, never one to
	// the whole document. What KeyInfo says of the key by the names of the standard
	// (KeyName, say) is not meant: it is shown to nobody.
	ForeignContent bool

	// SigningTime is what the signer claims, of XAdES. It and the next one are
	// read from signed properties only, those that a reference names.
	SigningTime *time.Time
	// SigningCertificateDigests name the signer's certificate first (XAdES
	// SigningCertificate and SigningCertificateV2), and SigningCertificateName is how
	// the first of them is named besides, nil if it is not or not in a way that is
	// read here.
	SigningCertificateDigests []CertificateDigest
	SigningCertificateName    *CertificateName

	// What follows is of XAdES's unsigned properties: nobody's word, anyone can
	// add or change it. All is in DER, unverified and maybe unreadable, or else, where
	// something is not base64, the text that stands in its place.
	TimeTokens []TimeToken
	// Stamped is what a time token should be over that comes without saying so:
	// SignatureValue in Canonical XML 1.0, XAdES's default. It may be nil.
	Stamped              []byte
	EmbeddedOCSP         [][]byte
	EmbeddedCRLs         [][]byte
	EmbeddedCertificates [][]byte

	document *Document
	element  *etree.Element
	index    int
}

// CertificateDigest names a certificate by its digest.
type CertificateDigest struct {
	Digest pki.Identifier
	Value  []byte
}

// TimeToken is a SignatureTimeStamp (XAdES, 5.3 of EN 319 132-1).
type TimeToken struct {
	// Token is an RFC 3161 token in DER.
	Token []byte
	// Over is what it should be over: the canonical form of SignatureValue. It is
	// nil when its canonicalization is not supported; then nothing can be told.
	Over []byte
}

// Coverage is what a reference names.
type Coverage int

// The values of [Coverage]. Nothing, the zero value, is for what could not be
// found or is not supported.
const (
	Nothing       Coverage = iota
	WholeDocument          // URI="": the root element and the processing instructions around it
	Element                // one element of the document, and what is in it
	Properties             // this signature's own SignedProperties of XAdES
	KeyInfo                // this signature's own KeyInfo
)

// String is for logs and tests.
func (c Coverage) String() string {
	switch c {
	case WholeDocument:
		return "whole document"
	case Element:
		return "element"
	case Properties:
		return "properties"
	case KeyInfo:
		return "key info"
	}
	return "nothing"
}

// Reference is a ds:Reference (4.4.3).
type Reference struct {
	ID, URI, Type string
	// DigestMethod is the URI as it stands, Digest the OID it is mapped to
	// ([DigestOf]), an empty one when it is not known.
	DigestMethod string
	Digest       pki.Identifier
	// Want is the digest that the signer signed.
	Want []byte
	// Transforms are the URIs in order.
	Transforms []string
	// Covers is what is signed if the digest matches, and only then.
	Covers Coverage
	// Name is "{namespace}local" of what is covered, Root says that it is the
	// root element. Both are empty for Nothing.
	Name string
	Root bool

	target  *etree.Element
	method  method
	removes bool // enveloped-signature
	problem error
}

// Check checks the value over SignedInfo with a key, and nothing else: neither
// the digests ([Document.Digests]) nor whose key it is. It returns nil, or an
// error that wraps [pki.ErrMismatch], [pki.ErrUnsupported], [pki.ErrWeak] or
// [ErrUnsupported].
func (s Signature) Check(algorithms *pki.Algorithms, key pki.PublicKey) error {
	if s.Problem != nil {
		return s.Problem
	}
	if s.element == nil {
		return fmt.Errorf("%w: a signature of no document", ErrUnsupported)
	}
	return algorithms.CheckMessage(s.Algorithm, key, s.SignedInfo, s.Value)
}

func (d *Document) readSignature(e *etree.Element, index int) (Signature, error) {
	s := Signature{document: d, element: e, index: index, ID: attributeValue(e, "Id")}
	parts := children(e)
	take := func(name string) *etree.Element {
		if len(parts) == 0 || !is(parts[0], nsDSig, name) {
			return nil
		}
		part := parts[0]
		parts = parts[1:]
		return part
	}
	info, value := take("SignedInfo"), take("SignatureValue")
	if info == nil || value == nil {
		return s, malformed("SignedInfo and SignatureValue do not come first")
	}
	keyInfo := take("KeyInfo")
	var objects []*etree.Element
	for object := take("Object"); object != nil; object = take("Object") {
		objects = append(objects, object)
	}
	if len(parts) > 0 {
		return s, malformed("%.64q does not belong into a Signature", parts[0].FullTag())
	}
	s.ForeignContent = foreign(e)
	method, err := d.readInfo(&s, info)
	if err != nil {
		return s, err
	}
	raw, err := decode(value)
	if err != nil {
		return s, err
	}
	if s.Value = raw; isECDSA(s.Algorithm.OID) {
		if s.Value, err = ecdsaDER(raw); err != nil {
			return s, err
		}
	}
	if keyInfo != nil {
		for _, data := range named(keyInfo, nsDSig, "X509Data") {
			if err := collect(&s.Certificates, named(data, nsDSig, "X509Certificate")); err != nil {
				return s, err
			}
		}
		s.Names = namesOf(keyInfo)
	}
	s.Certificates = d.securityTokens(s.Certificates, e, keyInfo)
	for i := range s.References {
		d.resolve(&s.References[i], e, keyInfo, objects)
		if r := s.References[i]; r.URI != "" && d.ids[strings.TrimPrefix(r.URI, "#")].count > 1 {
			return s, malformed("more than one element has the Id that reference %d names", i+1)
		}
	}
	if err := s.readProperties(objects, value); err != nil {
		return s, err
	}
	s.Stamped = stampedByDefault(value)
	if s.Problem == nil {
		s.SignedInfo, s.Problem = method.canonicalize(info)
	}
	return s, nil
}

// readInfo reads SignedInfo (4.4).
func (d *Document) readInfo(s *Signature, info *etree.Element) (method, error) {
	parts := children(info)
	if len(parts) < 3 || !is(parts[0], nsDSig, "CanonicalizationMethod") || !is(parts[1], nsDSig, "SignatureMethod") {
		return method{}, malformed("SignedInfo is incomplete")
	}
	if len(parts)-2 > MaxReferences {
		return method{}, fmt.Errorf("%w: more than %d references", ErrTooLarge, MaxReferences)
	}
	canonicalization, err := methodOf(parts[0])
	if err != nil {
		s.Problem = fmt.Errorf("canonicalization of SignedInfo: %w", err)
	}
	s.SignatureMethod = attributeValue(parts[1], "Algorithm")
	s.Algorithm, s.Digest = SignatureOf(s.SignatureMethod)
	if len(children(parts[1])) > 0 && s.Problem == nil {
		s.Problem = fmt.Errorf("%w: parameters of %.128q", ErrUnsupported, s.SignatureMethod)
	}
	for i, part := range parts[2:] {
		if !is(part, nsDSig, "Reference") {
			return method{}, malformed("%.64q does not belong into SignedInfo", part.FullTag())
		}
		reference, err := readReference(part)
		if err != nil {
			return method{}, fmt.Errorf("reference %d: %w", i+1, err)
		}
		s.References = append(s.References, reference)
	}
	return canonicalization, nil
}

func readReference(e *etree.Element) (Reference, error) {
	r := Reference{
		ID: attributeValue(e, "Id"), URI: attributeValue(e, "URI"), Type: attributeValue(e, "Type"),
		method: method{algorithm: URIC14N10}, // 4.4.3.2: what makes octets of nodes by default
	}
	if attribute(e, "URI") == nil {
		r.problem = fmt.Errorf("%w: a reference without URI", ErrUnsupported)
	}
	parts := children(e)
	if len(parts) > 0 && is(parts[0], nsDSig, "Transforms") {
		for i, transform := range children(parts[0]) {
			if !is(transform, nsDSig, "Transform") {
				return r, malformed("%.64q is not a transform", transform.FullTag())
			}
			r.addTransform(i, transform)
		}
		parts = parts[1:]
	}
	if len(parts) != 2 || !is(parts[0], nsDSig, "DigestMethod") || !is(parts[1], nsDSig, "DigestValue") {
		return r, malformed("a digest is missing")
	}
	r.DigestMethod = attributeValue(parts[0], "Algorithm")
	r.Digest = DigestOf(r.DigestMethod)
	var err error
	r.Want, err = decode(parts[1])
	return r, err
}

// addTransform takes the transform at place i: enveloped-signature is supported
// in the first place, a canonicalization in the last.
func (r *Reference) addTransform(i int, e *etree.Element) {
	uri := attributeValue(e, "Algorithm")
	r.Transforms = append(r.Transforms, uri)
	if r.problem != nil {
		return
	}
	if i == 0 && uri == URIEnveloped && len(children(e)) == 0 {
		r.removes = true
		return
	}
	method, err := methodOf(e)
	switch {
	case err != nil:
		r.problem = fmt.Errorf("transform %d: %w", i+1, err)
	case i > 1, i == 1 && !r.removes:
		r.problem = fmt.Errorf("%w: transform %.128q in this place", ErrUnsupported, uri)
	}
	r.method = method
}

// resolve finds what a reference names.
func (d *Document) resolve(r *Reference, signature, keyInfo *etree.Element, objects []*etree.Element) {
	fail := func(format string, args ...any) {
		r.problem = fmt.Errorf("%w: %s", ErrUnsupported, fmt.Sprintf(format, args...))
	}
	id, local := strings.CutPrefix(r.URI, "#")
	switch {
	case r.problem != nil:
		return
	case r.URI == "":
		r.target, r.Covers = d.root, WholeDocument
	case !local || id == "" || strings.HasPrefix(id, "xpointer("):
		fail("a reference to %.128q", r.URI)
		return
	default:
		who := d.ids[id]
		if who.count != 1 {
			fail("no element has the Id %.128q", id)
			return
		}
		r.target, r.Covers = who.element, Element
		if r.target == keyInfo {
			r.Covers = KeyInfo
		}
		if ownProperties(r.target, signature, objects) {
			r.Covers = Properties
		}
	}
	if r.removes && (r.target == signature || !within(signature, r.target)) {
		r.Covers = Nothing
		fail("enveloped-signature of what does not envelop the signature")
		return
	}
	r.Name = "{" + spaceOf(r.target) + "}" + r.target.Tag
	r.Root = r.target == d.root
}

// ownProperties says that e is the SignedProperties of the signature.
func ownProperties(e, signature *etree.Element, objects []*etree.Element) bool {
	if !isXAdES(e, "SignedProperties") {
		return false
	}
	qualifying := e.Parent()
	if qualifying == nil || !isXAdES(qualifying, "QualifyingProperties") {
		return false
	}
	if target := attributeValue(qualifying, "Target"); target != "" && target != "#"+attributeValue(signature, "Id") {
		return false
	}
	for _, object := range objects {
		if qualifying.Parent() == object {
			return true
		}
	}
	return false
}

// within says that e is in outer.
func within(e, outer *etree.Element) bool {
	for at := e.Parent(); at != nil; at = at.Parent() {
		if at == outer {
			return true
		}
	}
	return false
}

// children returns the elements within e.
func children(e *etree.Element) []*etree.Element { return e.ChildElements() }

// named returns the elements within e that have the name.
func named(e *etree.Element, space, local string) []*etree.Element {
	var found []*etree.Element
	for _, child := range children(e) {
		if is(child, space, local) {
			found = append(found, child)
		}
	}
	return found
}

// attribute returns the attribute without namespace.
func attribute(e *etree.Element, name string) *etree.Attr {
	for i := range e.Attr {
		if e.Attr[i].Space == "" && e.Attr[i].Key == name {
			return &e.Attr[i]
		}
	}
	return nil
}

// attributeValue returns the value of the attribute without namespace, "" if it is
// not there. (The selection by name of etree takes any namespace.)
func attributeValue(e *etree.Element, name string) string {
	if a := attribute(e, name); a != nil {
		return a.Value
	}
	return ""
}

func is(e *etree.Element, space, local string) bool { return e.Tag == local && spaceOf(e) == space }

// spaceOf returns the namespace of e. (Every prefix is declared somewhere above,
// and xml itself names no element here that anybody asks about.)
func spaceOf(e *etree.Element) string {
	for at := e; at != nil; at = at.Parent() {
		for _, a := range at.Attr {
			if prefix, ok := declares(a); ok && prefix == e.Space {
				return a.Value
			}
		}
	}
	return ""
}

// decode reads base64 with white space in it. Anything else within the element,
// even a comment, is refused: readers would differ about it.
func decode(e *etree.Element) ([]byte, error) {
	var text strings.Builder
	for _, token := range e.Child {
		data, ok := token.(*etree.CharData)
		if !ok {
			return nil, malformed("%.64q is not base64", e.FullTag())
		}
		text.WriteString(data.Data)
	}
	packed := strings.Map(func(r rune) rune {
		switch r {
		case ' ', '\t', '\n', '\r':
			return -1
		}
		return r
	}, text.String())
	value, err := base64.StdEncoding.DecodeString(packed)
	if err != nil || len(value) == 0 {
		return nil, malformed("%.64q is not base64", e.FullTag())
	}
	return value, nil
}

// collect adds what elements have to a bounded list. They belong to nothing that is
// signed, so one that is not base64 is taken as it stands.
func collect(list *[][]byte, elements []*etree.Element) error {
	for _, e := range elements {
		if len(*list) == MaxCertificates {
			return fmt.Errorf("%w: more than %d of %.64q", ErrTooLarge, MaxCertificates, e.FullTag())
		}
		value, err := decode(e)
		if err != nil {
			value = []byte("not base64: " + e.Text())
		}
		*list = append(*list, value)
	}
	return nil
}
