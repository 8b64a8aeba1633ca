// Package httpapi is the ledger's HTTP interface.
//
// There is one table of routes ([route.Route]): the rows of this package and
// those of the pages. [New] walks it and registers each row with the router;
// there is no other way in, so what does not stand in the table cannot be
// served. Every request goes the same way, in [Server.admit]:
//
//  1. bounds: size of the body and the least rate at which it comes in and the
//     answer is taken (pace.go), and for what anybody may upload time for all
//     of it; cross-origin check of unsafe methods (browsers with a cookie);
//  2. a place among the requests at once, of the token or else of the address
//     (places.go); what tells how the node is needs none;
//  3. who: Authorization: Bearer, or the cookie dalel_session
//     (over TLS: __Host-dalel_session);
//  4. may this role do this: by the row's roles; then the participant's own
//     places and rates;
//  5. is it the caller's: by the row's scope and the ledger's own streams,
//     never a projection; somebody else's document does not exist, byte for
//     byte, with the same answer as one that was never made;
//  6. commands need an Idempotency-Key and may send If-Match; reads may wait
//     for a position by Dalel-Wait-For;
//  7. the handler.
//
// It fails closed: a store that cannot be read answers 503, never "allowed".
//
// Errors are RFC 9457 problems, made in one place from *fault.Error
// (problem.go); what carries no code is "internal" and tells nothing outside.
// Logs have routes, codes, request ids and durations; never an address, a
// name, a title, a path as it was asked for, or a token.
//
// openapi.yaml describes the interface; tests hold it to the table and to what
// is really answered.
package httpapi
