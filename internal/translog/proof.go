package translog

import (
	"bytes"

	"github.com/transparency-dev/formats/proof"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"dalel/internal/fault"
)

// maxProof is the largest proof file in bytes that is read: a checkpoint, and
// an audit path, which has at most 63 hashes.
const maxProof = MaxCheckpoint + 8<<10

// EncodeProof writes the file by which anybody who trusts the log's key can
// tell, without the log, that a leaf is in it (c2sp.org/tlog-proof; its name
// ends in ".tlog-proof"): the leaf's index, its audit path in the tree of a
// checkpoint, and that signed checkpoint.
func EncodeProof(index uint64, path []Hash, checkpoint []byte) []byte {
	file := proof.TLogProof{Index: index, Checkpoint: checkpoint}
	for _, hash := range path {
		file.Hashes = append(file.Hashes, hash)
	}
	return file.Marshal()
}

// CheckProof is the check of such a file for a leaf: it returns the checkpoint
// that the leaf is proven to be under, the leaf's index and the checkpoint's
// note. The verifiers are as for [ParseCheckpoint], whose refusals it gives as
// they are; every other is log.proof-invalid. Extra data, which nothing
// vouches for, is refused too: the ledger writes none.
func CheckProof(file, leaf []byte, origin string, verifiers ...note.Verifier) (Checkpoint, uint64, *note.Note, error) {
	refuse := func(cause error, format string, args ...any) (Checkpoint, uint64, *note.Note, error) {
		return Checkpoint{}, 0, nil, fault.Wrap(fault.LogProofInvalid, cause, format, args...)
	}
	if len(file) > maxProof {
		return refuse(nil, "the proof has more than %d bytes", maxProof)
	}
	var read proof.TLogProof
	if err := read.Unmarshal(file); err != nil {
		return refuse(err, "the file is no tlog-proof")
	}
	// The library takes more than the format has: other line ends, leading
	// zeros, loose base64.
	if read.ExtraData != nil || !bytes.Equal(read.Marshal(), file) {
		return refuse(nil, "the proof is not written as the ledger writes it")
	}
	c, signed, err := ParseCheckpoint(read.Checkpoint, origin, verifiers...)
	if err != nil {
		return Checkpoint{}, 0, nil, err
	}
	if read.Index >= c.Size {
		return refuse(nil, "the proof is for the entry %d of a log of %d entries", read.Index, c.Size)
	}
	path := make(tlog.RecordProof, len(read.Hashes))
	for i, hash := range read.Hashes {
		path[i] = hash
	}
	if err := tlog.CheckRecord(path, int64(c.Size), c.Root, int64(read.Index), tlog.RecordHash(leaf)); err != nil {
		return refuse(err, "the proof does not lead from this entry to the checkpoint's root")
	}
	return c, read.Index, signed, nil
}

// CheckConsistency is nil if a proof shows that the tree of an older
// checkpoint is the beginning of that of a newer one, and log.proof-invalid
// otherwise. Between trees of one size there is no proof: the roots must be
// the same. The empty tree is the beginning of every tree.
func CheckConsistency(older, newer Checkpoint, path []Hash) error {
	ok := len(path) == 0
	switch {
	case older.Size > newer.Size || newer.Size > MaxSize:
		ok = false
	case older.Size == newer.Size:
		ok = ok && older.Root == newer.Root
	case older.Size == 0:
		ok = ok && older.Root == new(Frontier).Root()
	default:
		ok = tlog.CheckTree(path, int64(newer.Size), newer.Root, int64(older.Size), older.Root) == nil
	}
	if !ok {
		return fault.New(fault.LogProofInvalid, "nothing shows that the log of %d entries is the beginning of that of %d", older.Size, newer.Size)
	}
	return nil
}
