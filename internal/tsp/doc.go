// Package tsp asks for and judges time-stamp tokens (RFC 3161, RFC 5816).
//
//	imprint, err := tsp.ImprintOf(known, pki.Identifier{OID: pki.OIDSHA256}, message)
//	request, err := tsp.Request{Imprint: imprint, Nonce: nonce, CertReq: true}.Marshal()
//	response, err := tsp.ParseResponse(data)
//	answer := tsp.Judge(response.Token, known, tsp.Question{Message: message, At: at, Roots: roots})
//
// The package sends nothing and reads no clock: request, response and nonce are
// handed in. Algorithms are those of package pki. [Parse] takes a token that came
// by itself, as in a CAdES-T signature.
//
// # What is checked
//
// That the token is over what was asked about; that exactly one signer signed
// it, with signed attributes, one of which names the signer's certificate
// (ESSCertID of version 1 or 2); that this certificate is for time-stamping, by
// an extension that is critical and names nothing else (RFC 3161, 2.3); that it
// was good at the token's time and leads to a configured root, with no path
// meaning no trust; policy and nonce where they were asked for; and that the
// token is not from the future of [Question.At].
//
// Whether the authority's certificate was revoked is left to the caller, who gets
// the certificate and its path: RFC 3161, 4, has it judged at the token's time,
// with a compromise of the key spoiling all of its tokens.
//
// # What an answer is worth
//
// What was stamped existed at [Answer.Time], give or take [Answer.Accuracy]: at
// the latest at [Answer.Latest]. A token that cannot be relied on says nothing at
// all about the time (R-C4).
package tsp
