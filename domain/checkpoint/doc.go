// Package checkpoint decides about the checkpoints of the transparency log
// (R-M4): which one may follow which, and what others have said of them.
//
// A checkpoint says that the first so many events of the ledger have this
// Merkle root. It is signed by the log's key, in C2SP's format, and the signed
// text is part of the event, so that a checkpoint outlives every file that it
// is served from. Witnesses sign it too, and time-stamping authorities say when
// it was there (R-M5); each of their words is a further event. The stream holds
// nothing secret and nothing personal.
//
// The events of this stream are leaves of the log like all others. That is how
// evidence is renewed: a time stamp's hash is in the event that records it, the
// event is under the next checkpoint, and a stamp on that, by a certificate that
// ends later and with an algorithm that has not aged, vouches for the older one
// (the idea of RFC 4998). What shows that the older one's certificate was not
// revoked by then is kept beside it, as blobs that [EvidenceKept] names: years
// later nobody answers for a certificate that has ended.
//
// Sizes only grow, and each checkpoint names the size of the one that it
// follows. A log that two nodes write for has one order of checkpoints all the
// same: the one that comes second is told log.superseded and looks at the first.
//
// A stream of one event a second has no end, so nobody reads it from its
// beginning: a state is folded from the last events alone, and knows the last
// checkpoints ([Kept] at most). What is said of an older one comes too late
// (checkpoint.unknown).
//
// # Decisions
//
// Every command in every state; the test writes this table.
//
//	|                              | nothing published   | published             | cosigned, stamped   | its evidence kept   | a newer one published |
//	| ---------------------------- | ------------------- | --------------------- | ------------------- | ------------------- | --------------------- |
//	| Publish 10 after none        | CheckpointPublished | nothing to do         | nothing to do       | nothing to do       | log.superseded        |
//	| Publish 20 after 10          | log.superseded      | CheckpointPublished   | CheckpointPublished | CheckpointPublished | nothing to do         |
//	| Publish 10 with another root | CheckpointPublished | log.diverged          | log.diverged        | log.diverged        | log.superseded        |
//	| Publish 5 after 10           | log.superseded      | log.superseded        | log.superseded      | log.superseded      | log.superseded        |
//	| Cosign 10                    | checkpoint.unknown  | CheckpointCosigned    | nothing to do       | CheckpointCosigned  | CheckpointCosigned    |
//	| Stamp 10                     | checkpoint.unknown  | CheckpointTimeStamped | nothing to do       | nothing to do       | CheckpointTimeStamped |
//	| Keep evidence on 10          | StampEvidenceKept   | StampEvidenceKept     | StampEvidenceKept   | nothing to do       | StampEvidenceKept     |
package checkpoint
