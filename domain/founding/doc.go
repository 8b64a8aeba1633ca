// Package founding decides about the founding of a ledger (R-M8): it is founded
// once, and what belongs to it says so.
//
// [Found] leads to the first event of the ledger, [Founded]: its id, its
// transparency log's name and key, and the certificate of the operator's seal.
// The settings, the keys and the content carry the same id; a node holds all of
// them against this event before it writes anything ([State.CheckSecrets]). The
// certificate of the seal ends one day: [ReplaceSeal] puts another in its place.
// Where events were lost for good, [Recover] has the ledger go on under another
// log, and states what is missing ([Recovered]): the former log has committed to
// what nobody can show any more, and must never sign another history.
//
// # Decisions
//
// Every command in every state; the test writes this table.
//
//	|                                   | nothing founded    | founded                | another founded        | its seal replaced      | recovered              |
//	| --------------------------------- | ------------------ | ---------------------- | ---------------------- | ---------------------- | ---------------------- |
//	| Found                             | LedgerFounded      | nothing to do          | ledger.already-founded | ledger.already-founded | ledger.already-founded |
//	| Found with another seal           | LedgerFounded      | ledger.already-founded | ledger.already-founded | ledger.already-founded | ledger.already-founded |
//	| Replace the seal                  | ledger.not-founded | SealReplaced           | SealReplaced           | nothing to do          | SealReplaced           |
//	| Replace it with the first         | ledger.not-founded | nothing to do          | nothing to do          | founding.invalid       | nothing to do          |
//	| Recover                           | ledger.not-founded | LedgerRecovered        | LedgerRecovered        | LedgerRecovered        | nothing to do          |
//	| Recover under the first log       | ledger.not-founded | recovery.invalid       | recovery.invalid       | recovery.invalid       | recovery.invalid       |
//	| Recover though nothing is missing | ledger.not-founded | ledger.nothing-missing | ledger.nothing-missing | ledger.nothing-missing | ledger.nothing-missing |
package founding
