// Package authorities asks the services of certification authorities for
// evidence: OCSP responders (RFC 6960), revocation lists (RFC 5280) and
// time-stamping authorities (RFC 3161), over HTTP.
//
//	client, err := authorities.Open(authorities.Config{Cache: dir, Version: "0.1.0", Roots: roots,
//		Stamps: []authorities.Stamps{{URL: "http://tsp.pki.gov.kz/"}}})
//	defer client.Close()
//	response, err := client.OCSP(ctx, certificate, issuer)
//
// A [Client] is the Sources of package domain/signature. What it brings was
// checked by the same rules as a verdict will check it again: an answer that
// proves nothing is an error here, so that the next service is asked instead. An
// error always means "there is none for now", never that a certificate is good or
// bad (R-C4).
//
// # Manners
//
//   - Addresses come out of certificates in a path to a configured root, or out of
//     the settings. Only http and https are used, a redirect to another host or
//     from https to http is refused, and a proxy is used only if it is configured:
//     the environment is not looked at.
//   - Every request has a time-out, every answer a largest size. A list is streamed
//     to disk.
//   - Many callers with the same question share one request. Each waits only as
//     long as its own context lasts; the request goes on for those who come next.
//   - A service that failed three times running is left alone for a while that
//     doubles up to a bound; then one request tries it.
//   - Log lines have services, hosts and codes, and nothing of a certificate.
//
// # Lists
//
// A list is kept in the cache's folder once its signature was checked, and is not
// asked for again before its nextUpdate, at least [MinInterval] and at most
// [MaxInterval] after it was asked for last, and then with the validators that the
// server gave. Several processes may share the folder: a file appears whole or not
// at all. A file that is not as it was written is thrown away, and the log says
// so.
//
// Where a certificate names a delta list, the full list alone is not taken for the
// newest word: without a delta that fits, there is no answer.
package authorities
