// Package renewal keeps time stamps provable for longer than any certificate or
// algorithm lasts (R-M5): it says when a stamp must be renewed, what has to be
// kept beside it, and makes and checks the record of all renewals since a
// checkpoint.
//
// A time token is believed as long as its authority's certificate has not ended
// and its algorithms have not aged. Before that, a later token must vouch for it.
// In the ledger that comes about by going on (the idea of RFC 4998): the event
// that records a token by its hash is a leaf under the next checkpoint, and the
// token over that checkpoint's text shows that the older token was there while
// it could still be believed. What a stamping authority's responder says of its
// certificate is fetched after each stamp, and kept, since years later nobody
// answers for a certificate that has ended; see [Gather].
//
// [NextRenewal] says by when. What counts as aged is data: see [Table].
//
// # The record
//
// A [Record] is a file (*.json) that holds, from a given checkpoint to the newest
// stamp, what a stranger needs: no server, no network, no ledger. It is canonical
// JSON (RFC 8785), of which exactly one form is read:
//
//	{
//	  "format": 1,
//	  "origin": "the log's name",
//	  "log":    "what its stream is called; not for a ledger's first log",
//	  "start":  {"size", "root": of the checkpoint that all is about,
//	             "consistency": [hashes to the first link's checkpoint, none if it is the same]},
//	  "links": [{
//	    "note":     a checkpoint, as the log signed it,
//	    "token":    the SHA-256 of the time token over these bytes,
//	    "stamped":  the event that records the token; not in the last link,
//	    "evidence": [the events that name pieces by their SHA-256],
//	    "loose":    [the SHA-256 of pieces that are under no checkpoint yet]
//	  }, …],
//	  "pieces": [time tokens, certificates, OCSP answers and revocation lists (DER
//	             in base64), each named by its SHA-256, in order of their bytes]
//	}
//
// with each event as
//
//	{"event": {"revision", "type", "data", "metadata"},
//	 "under": the number of the link, from 1, whose checkpoint it is under: the
//	          next one for "stamped", any later one for evidence,
//	 "index", "hashes": the proof of that}
//
// Hashes are base64. An event's leaf is the SHA-256 of its commitment record
// (eventstore.CommitmentRecord, stream "checkpoint-log", or checkpoint- and "log"); proofs are those of
// RFC 6962.
//
// # What is checked
//
// From the last link to the first. The last token must be good at the moment of
// the question, by the verifier's own anchors: they have to include roots that
// have ended meanwhile, for the older tokens. Each earlier token must have been
// good at the moment that the next one proves: its certificates not ended by
// then, its algorithms not aged, its authority not revoked by then. A key that
// was compromised later changes nothing; one that was compromised before the
// next stamp makes the link void, whatever the token says of its time. Evidence
// about revocation counts if it speaks of that moment, and if it was itself under
// a checkpoint, or is now, while those who signed it had not ended.
//
// Each link has an answer of its own: good, bad, or cannot tell. The first bad
// one from the end is what is wrong with a record: those before rest on it. What
// was changed in a record is found first, without any anchor, by hashes, by the
// log's signatures and by the proofs.
//
// # What it does not do
//
// The last link's authority is judged by the evidence that was kept after its
// stamp, and the report says of when that is: whether its key was compromised
// since then only a newer answer tells. Evidence is believed by the signature
// and the dates of who signed it; that an OCSP responder's own key was
// compromised between an answer and the checkpoint over it is not looked into.
// A record starts from the first stamp with evidence of its own, which comes
// within a day of the checkpoint where an authority stamps often.
//
// The tree itself rests on SHA-256: were it to age, the table says so, and every
// record is bad from then on, since such a log has to be hashed anew (RFC 4998,
// 5.3), which is not built.
package renewal

import "dalel/internal/fault"

// Codes of errors, and of what is found in links.
const (
	TokenUnreliable fault.Code = "renewal.token-unreliable"
	Ended           fault.Code = "renewal.ended"
	EvidenceMissing fault.Code = "renewal.evidence-missing"
	RecordMalformed fault.Code = "renewal.malformed"

	// CodeGood is that of a link that holds.
	CodeGood fault.Code = "renewal.good"
	// NoteInvalid: the checkpoint is not the log's, or not of the bytes asked about.
	NoteInvalid fault.Code = "renewal.note-invalid"
	// NotTheStart: the record is of another checkpoint, or does not lead from it.
	NotTheStart fault.Code = "renewal.not-the-start"
	// EventInvalid: the event is not what the link needs, or not of this token.
	EventInvalid fault.Code = "renewal.event-invalid"
	// ProofInvalid: the event is not under the checkpoint that it should be under.
	ProofInvalid fault.Code = "renewal.proof-invalid"
	// TooLate: the next stamp came after a certificate had ended.
	TooLate fault.Code = "renewal.too-late"
	// NotRenewed: the last stamp has ended, and none renews it.
	NotRenewed fault.Code = "renewal.not-renewed"
	// AlgorithmAged: an algorithm proved nothing any more when the next stamp
	// was made.
	AlgorithmAged fault.Code = "renewal.algorithm-aged"
	// Revoked: the authority was revoked before the next stamp.
	Revoked fault.Code = "renewal.revoked"
	// RestsOnWorse: the link itself holds, as far as can be seen, and rests on one
	// that does not.
	RestsOnWorse fault.Code = "renewal.rests-on-worse"
	// OutOfOrder: the next stamp is older.
	OutOfOrder fault.Code = "renewal.out-of-order"
)
