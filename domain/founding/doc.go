// Package founding decides about the founding of a ledger (R-M8): it is founded
// once, and what belongs to it says so.
//
// [Found] leads to the first event of the ledger, [Founded]: its id, its
// transparency log's name and key, and the certificate of the operator's seal.
// The settings, the keys and the content carry the same id; a node holds all of
// them against this event before it writes anything ([State.CheckSecrets]). The
// certificate of the seal ends one day: [ReplaceSeal] puts another in its place.
//
// # Decisions
//
// Every command in every state; the test writes this table.
//
//	|                           | nothing founded    | founded                | another founded        | its seal replaced      |
//	| ------------------------- | ------------------ | ---------------------- | ---------------------- | ---------------------- |
//	| Found                     | LedgerFounded      | nothing to do          | ledger.already-founded | ledger.already-founded |
//	| Found with another seal   | LedgerFounded      | ledger.already-founded | ledger.already-founded | ledger.already-founded |
//	| Replace the seal          | ledger.not-founded | SealReplaced           | SealReplaced           | nothing to do          |
//	| Replace it with the first | ledger.not-founded | nothing to do          | nothing to do          | founding.invalid       |
package founding
