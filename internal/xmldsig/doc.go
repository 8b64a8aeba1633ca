// Package xmldsig reads XML signatures (W3C "XML Signature Syntax and Processing
// Version 1.1") as НУЦ РК's software and everybody else make them: one XML
// document with any number of signers, each a ds:Signature element in it (R-C2).
//
//	document, err := xmldsig.Parse(data)
//	for _, s := range document.Signatures() {
//		err := s.Check(known, key)                       // is SignedInfo signed by this key?
//		results, err := document.Digests(ctx, known, s)  // is the document what SignedInfo says?
//	}
//
// Whose key it is, whether that is to be trusted, and what all of it means for
// the document is said by package domain/signature. Here the document is taken
// apart, canonicalized and digested. Algorithms are those of package pki:
// the URIs of XML are mapped to the OIDs that it knows them by.
//
// # What a signature covers
//
// A signature covers what its references name, and nothing else. Every
// [Reference] says what that is ([Coverage]): the whole document (URI=""), one
// element by its Id, the signed properties of XAdES, or the KeyInfo. A caller
// that wants the document signed asks for [WholeDocument], or for [Element] with
// Root set. A reference to an element somewhere in the document says nothing of
// the rest; this is what signature wrapping lives of. A value that two elements
// have as their Id cannot be referred to: such a document is refused.
//
// Even [WholeDocument] leaves out, by its definition: the XML declaration, the
// comments (4.4.3.3; [ReferenceResult.CommentsLeftOut]), and the Signature
// elements that were taken away ([ReferenceResult.Removed]). What stands inside of
// those is covered by nobody but references to it: [Signature.ForeignContent]
// says that there is more in one than a signature needs. A reference to the root
// element by its Id leaves out more: the processing instructions around it
// ([ReferenceResult.InstructionsLeftOut]).
//
// # Several signers
//
// НУЦ РК's software signs the document as it stands, with the signatures that
// are in it already, and adds one more. So the digest of an earlier signature
// holds only without the later ones. The enveloped-signature transform is
// therefore tried in two ways: with the own Signature element removed, as the
// standard has it, and with the own one and all later ones removed. The result
// says which it was. The consequence: an earlier signer's signature says nothing
// of the later signatures, and holds whether they are there or not.
//
// # What is not understood
//
// A transform, a kind of URI or an algorithm that is not known here ends in
// [Unknown] with an error that wraps [ErrUnsupported], [pki.ErrUnsupported] or
// [pki.ErrWeak], never in yes or no; so does, with [ErrTooLarge], what costs more
// than is spent on one document. Known are enveloped-signature and, after
// it, one canonicalization: Canonical XML 1.0 and 1.1 and Exclusive XML
// Canonicalization 1.0, each with and without comments.
//
// # Reading XML
//
// Everything read comes from outside. No document type is read and no entity but
// the five of XML itself, only XML 1.0, and only in UTF-8: whether a document with
// others is a good one is not told. Bytes, nodes, depth, attributes, namespaces,
// signatures and references are bounded, and so is the work of digesting.
//
// In a signed message of SOAP (WS-Security) the signer's certificate is a token of
// its header or a key identifier; it is taken from there, and a reference by wsu:Id
// is one by any other Id.
//
// The decoder of the standard library is more liberal than XML and leaves out
// two of its duties that show in a digest: line ends within comments (XML 1.0,
// 2.11) and white space within attributes (3.3.3). Both are done before it sees
// the bytes. The canonicalizers are those of goxmldsig. They are handed elements
// that stand by themselves, with the namespaces and xml: attributes of their
// ancestors written onto them, and their output is put right in two places where
// it differs from the standard: the order of attributes with different prefixes,
// and xmlns="" where nothing is to be undone.
package xmldsig
