// Package ocsp asks for and judges online answers about certificates (RFC 6960).
//
//	id, err := ocsp.NewCertID(known, pki.Identifier{OID: pki.OIDSHA256}, serial, issuer)
//	request, err := ocsp.Request{IDs: []ocsp.CertID{id}, Nonce: nonce}.Marshal()
//	answer := ocsp.Judge(response, known, question)
//
// The package sends nothing and reads no clock: request and response are bytes,
// the nonce and the moment are handed in. Algorithms are those of package pki, so
// that an issuer and a responder may have keys that crypto/x509 does not know.
//
// # Who may answer
//
// The issuer itself; a responder whose certificate the same issuer gave out for
// this (id-kp-OCSPSigning), good at the moment the answer was made and at the
// moment asked about; or one that was configured ([Question.Responders], RFC
// 6960, 4.2.2.2). That the issuer is to be trusted is for package pki.
//
// Whether the responder's own certificate was revoked cannot be told from its
// answer. It need not be if it says so (ocsp-nocheck) or names no place where its
// revocation would be published; otherwise [Question.ResponderGood] must vouch
// for it.
//
// # What an answer is worth
//
// An answer speaks of the time from its thisUpdate to its nextUpdate
// ([Answer.From], [Answer.To]). [Question.At] is the moment at which it must be
// current: the moment the answer was fetched, or, for a repetition in ten years,
// the moment that was recorded then. НУЦ РК gives no nextUpdate: such an answer
// speaks of the moment of thisUpdate, and of [Question.MaxAge] after it.
//
// There are four statuses. [Unknown] is the responder's word that it does not
// know; [Unreliable] means that there is no word at all. Neither is good, neither
// is revoked (R-C4). A certificate that the authority never issued may be
// answered as revoked on 1970-01-01 (RFC 6960, 2.2): [Answer.NeverIssued] says
// so; НУЦ РК does this.
package ocsp
