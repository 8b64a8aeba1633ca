// Package signature says what can be said of a signature: a [Verdict] for a
// moment, from the bytes and the evidence that were handed in (R-C2 to R-C4).
//
// A [Policy] holds what the verdict rests on: the configured roots, further
// issuing certificates, and the algorithms that are known. It reads no clock
// and no network, so the same question has the same answer in ten years.
// [ReadOwner] reads out of a certificate whose it is and what it is for.
//
// There are three answers. Invalid: it was shown that something is wrong.
// Unknown: it cannot be told with what is at hand. Valid: neither of the two.
// The reasons say why, by codes that keep their meaning:
//
//	code                            alone makes it   meaning
//	cms.unreadable                  invalid          the bytes are no CMS signature
//	cms.too-large                   unknown          the CMS is larger than is read here
//	xml.unreadable                  invalid          the bytes are no XML document with signatures
//	xml.too-large                   unknown          the XML document is larger than is read here, or takes more work than is done here
//	xml.unsupported                 unknown          the XML document is in an encoding, of a version or with a document type that is not read here
//	xml.partial                     unknown          not all of the XML document is covered by the signature
//	pdf.unreadable                  invalid          the bytes are no PDF document
//	pdf.too-large                   unknown          the PDF document is larger than is read here
//	pdf.unsupported                 unknown          the PDF document or a signature in it is encrypted, damaged or built in a way that is not read here
//	pdf.range                       invalid          the signature in the PDF document is not over the file but for itself
//	pdf.partial                     unknown          not only signatures and their evidence were appended to the PDF document after the signature
//	pdf.extended                    valid            signatures, time stamps or evidence alone were appended to the PDF document after the signature
//	pdf.card                        valid            the PDF document is a card: the document attached to it was signed, and its own pages were not
//	pdf.attachments                 unknown          files are attached to the PDF document, and it is not plain which of them was signed by which
//	signers.none                    invalid          nobody signed
//	content.missing                 unknown          the signed content was not given
//	content.differs                 invalid          the given content is not what the CMS carries
//	content.too-large               unknown          the content must be held in memory for this algorithm and is too large
//	digest.mismatch                 invalid          the content is not what was signed
//	signature.mismatch              invalid          the signature was not made over this by this key
//	attributes.missing              invalid          a signed attribute that must be there is not
//	attributes.malformed            invalid          a signed attribute cannot be read
//	attributes.content-type         invalid          the signed content type is another than the CMS states
//	attributes.certificate-mismatch invalid          the signer named another certificate as its own
//	attributes.algorithm-mismatch   invalid          the signer named other algorithms than the CMS states
//	algorithm.unsupported           unknown          an algorithm, its parameters or a key is not known here
//	algorithm.weak                  unknown          an algorithm or a key is too weak to prove anything
//	algorithm.mismatch              invalid          digest and signature algorithm contradict each other
//	certificate.missing             unknown          the signer's certificate is not at hand
//	certificate.unreadable          unknown          the signer's certificate is not at hand, and one that the CMS carries cannot be read
//	certificate.expired             unknown          the signer's certificate had ended at the moment, and nothing proves that the signature was made before
//	certificate.not-yet-valid       invalid          the signer's certificate had not begun at the moment
//	certificate.extension-unknown   unknown          a certificate has a critical extension that is not understood
//	purpose.wrong                   invalid          the certificate is not for signing documents
//	purpose.unclear                 unknown          the certificate is restricted to purposes that are not known here
//	chain.incomplete                unknown          an issuer's certificate is not at hand
//	chain.untrusted                 unknown          the chain does not lead to a configured root
//	chain.search-limit              unknown          too many certificates to try them all
//	chain.signature-mismatch        invalid          a certificate was not signed by the issuer that it names
//	chain.expired                   unknown          an issuer's certificate had ended at the moment, and nothing proves that the signature was made before
//	chain.not-yet-valid             invalid          an issuer's certificate had not begun at the moment
//	chain.not-a-ca                  invalid          an issuer is no certification authority
//	chain.path-too-long             invalid          an issuer may not have that many authorities below it
//	chain.key-usage                 invalid          an issuer's key is not for signing certificates
//	chain.name                      invalid          a certificate has a name that an issuer above it may not certify
//	chain.policy                    invalid          an issuer demands a policy of the certificates below, and the chain has none in common
//	revocation.good                 valid            the certificate was not revoked at the moment
//	revocation.revoked              invalid          the certificate was revoked at the moment
//	revocation.no-evidence          unknown          there is no evidence whether the certificate was revoked
//	revocation.not-published        valid            the issuer names no place where it would publish a revocation
//	revocation.revoked-later        valid            the certificate was revoked after the moment, for a reason that leaves what was signed before standing
//	revocation.compromised-later    valid            the key was reported compromised after the moment; what was signed before stands
//	revocation.issuer-compromised   unknown          an issuer's key was reported compromised, and certificates of any date could have been made with it
//	revocation.issuer-unexplained   unknown          an issuer's certificate was revoked after the moment for no stated reason, and its key may have been in wrong hands
//	revocation.never-issued         invalid          the authority does not know to have issued the certificate
//	revocation.unknown              unknown          the authority's responder does not know the certificate
//	revocation.unusable             unknown          the evidence about revocation cannot be relied on
//	revocation.configured           valid            the issuer's certificate was configured by the operator, and no usable evidence says that it was revoked
//	revocation.unconfirmed          unknown          the evidence that says that the certificate was good was made before the moment, and nobody could be asked about it since
//	evidence.unreadable             valid            a piece of evidence that came with the signature cannot be read and was passed over
//	time.trusted                    valid            a time token proves when the signature was there
//	time.unproven                   valid            a time token is there and proves nothing
//	time.no-evidence                unknown          the answer depends on a time token, and there is no usable evidence whether its authority was revoked
//	time.undecided                  unknown          the answer depends on a time token whose authority cannot be checked here
//
// What a "chain" code says of a certificate is only said when the chain leads
// to a configured root; of one that leads nowhere nothing is known.
//
// A certificate that had ended makes nothing invalid: when something was signed
// is shown by a trusted time alone, and a later moment excludes no earlier one.
// In the same way a token that could be good, but whose authority cannot be
// checked with what is at hand, keeps what it would have changed open: see the
// last two codes. Evidence that is at hand and cannot be used is never passed
// over: where nothing else answers, it makes "cannot tell", even of a certificate
// that names no place for revocations.
package signature
