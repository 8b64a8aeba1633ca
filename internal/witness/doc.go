// Package witness is both ends of the C2SP tlog-witness protocol: an outsider
// that watches a transparency log grow, and the log's way of asking it (R-M4).
//
// A log can prove that it only ever grew, but not that it shows everybody the
// same tree. A witness remembers, for each log, the largest tree that it has
// seen, takes a new signed checkpoint only with a proof that the remembered
// tree is its beginning, and then says so by a cosignature with the time. Who
// asks for a few such cosignatures on a checkpoint need not trust the
// operator: two trees would need witnesses that lie.
//
//   - [Server] is a witness. What it remembers is in a [Folder], durable
//     before a cosignature leaves; whoever may write into that folder, or put
//     an old copy of it back, can make the witness cosign a fork, and nobody
//     else can.
//   - [Client] asks one witness and believes nothing that it answers but a
//     cosignature that verifies.
//
// What both ends say and check, keys, checkpoints, requests and policies, is in
// package cosignature.
//
// The formats are C2SP's tlog-witness, tlog-cosignature (cosignature/v1 with
// Ed25519; a client and a policy take ML-DSA-44 as well), tlog-checkpoint and
// signed-note, so that witnesses and logs of others take part as they are.
// sign-subtree, which is optional, is not offered.
package witness

import "dalel/internal/fault"

// Codes of the errors that a [Client] returns. They go into states and logs,
// never out over the ledger's own interface, and keep their meaning.
const (
	// Unreachable: no connection, no answer in time, or an error of its own.
	Unreachable fault.Code = "witness.unreachable"
	// Busy: it asks to be asked later.
	Busy fault.Code = "witness.busy"
	// Malformed: it answered what the protocol does not know.
	Malformed fault.Code = "witness.malformed-answer"
	// WrongCosignature: its answer holds no cosignature that verifies.
	WrongCosignature fault.Code = "witness.wrong-cosignature"
	// LogUnknown: it does not know the log's origin (404).
	LogUnknown fault.Code = "witness.log-unknown"
	// LogKeyRefused: it knows no key that signed the checkpoint (403).
	LogKeyRefused fault.Code = "witness.log-key-refused"
	// RequestRefused: it could not read what was sent (400, 413).
	RequestRefused fault.Code = "witness.request-refused"
	// Ahead: it has cosigned a larger tree of this log than the one it is
	// asked about. Ours was wound back, or somebody else signs as this log.
	Ahead fault.Code = "witness.ahead"
	// Inconsistent: the tree that it has cosigned is not the beginning of this
	// one (422).
	Inconsistent fault.Code = "witness.inconsistent"
	// NoProof: the proof from the witness's tree to this one could not be made.
	NoProof fault.Code = "witness.no-proof"
)

// Codes of what is wrong with a witness's folder.
const (
	StateUnreadable fault.Code = "witness.state-unreadable"
	StateFailed     fault.Code = "witness.state-failed"
)
