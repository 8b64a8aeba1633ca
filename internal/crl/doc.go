// Package crl reads certificate revocation lists (RFC 5280, section 5), full and
// delta, and says what they say of one certificate.
//
//	list, err := crl.Parse(der)                    // strict; points into der
//	full, err := crl.Verify(list, issuer, known)   // the signature, once
//	full, err = full.WithDelta(delta)              // if there is one
//	answer := full.Check(crl.Question{Subject: crl.SubjectOf(certificate), At: at})
//
// A national list has hundreds of thousands of entries. It is walked over once
// when it is parsed, to refuse a malformed one, and once for each question; no
// entry is kept in memory besides the bytes that were handed in. The signature
// is checked once for all questions, since it takes the digest of everything.
//
// # What an answer is worth
//
// A list speaks of the time from its thisUpdate to its nextUpdate, and the
// answer states both ([Answer.From], [Answer.To]). [Question.At] is the moment
// at which the list must be current: the moment the list was fetched, or, for a
// repetition in ten years, the moment that was recorded then. What the answer
// means for the moment of signing is for the caller to say, from
// [Answer.RevokedAt], [Answer.Reason] and [Answer.Invalidity].
//
// A list may leave out certificates that have ended (RFC 5280, 3.3 and 5), so
// not to be named on a list that was issued after the certificate's end proves
// nothing, unless the list says that it keeps them (expiredCertsOnCRL of
// X.509).
//
// # What is not supported
//
// Indirect lists and lists for attribute certificates are refused ([Scope]), not
// half understood. A list with a name of its distribution point counts only for a
// certificate that names that point. Of one for some reasons only, the answer
// says which ([Answer.Covers]); it revokes, but by itself it makes nothing good.
//
// # Delta lists
//
// RFC 5280, 5.2.4, numbers full and delta lists in one series, so that a delta's
// number is above that of its base. НУЦ РК numbers them in two series (a delta
// number 10 to the base number 14 exists). A delta whose own number is not above
// its base's is therefore ordered by thisUpdate alone.
//
// The issuer's own certificate (its path, dates and revocation) is not looked at
// here: package pki does that. The package reads no clock and no network.
package crl
