// Package access decides about the tokens with which people and other systems
// call the ledger (R-O4): who a token acts for, as what, and until when.
//
// A token is 24 random bytes and 8 of their HMAC-SHA-256 under a key that the
// ledger's nodes share, written "dalel_" and 43 characters of base64url (RFC
// 4648, section 5). What somebody makes up is told from what was issued without
// a question to the store. The ledger keeps a token's SHA-256 only: the hash names the
// token's stream, so a call costs one read and needs no index, and nobody who
// reads the events can call in anybody's name. A token ends at its time or
// when it is revoked, and is never renewed: issue another.
//
// # Decisions
//
// Every command in every state; the test writes this table.
//
//	|                          | unknown       | issued            | revoked           |
//	| ------------------------ | ------------- | ----------------- | ----------------- |
//	| Issue                    | TokenIssued   | token.wrong-state | token.wrong-state |
//	| Revoke                   | token.unknown | TokenRevoked      | token.wrong-state |
//	| Revoke, after it expired | token.unknown | TokenRevoked      | token.wrong-state |
package access
