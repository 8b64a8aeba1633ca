package transparency

import (
	"context"
	"errors"

	"dalel/domain/event"
	"dalel/eventstore"
	"dalel/internal/fault"
	"dalel/internal/translog"

	"golang.org/x/mod/sumdb/note"
)

// Seen is the newest that a node has seen of its ledger: a store without it has
// lost events. It says nothing of positions, which change when a ledger moves.
type Seen struct {
	// Ledger is the ledger's id.
	Ledger string
	// Size is how many events the node has integrated, 0 for none; Last names
	// the last of them.
	Size uint64
	Last event.Reference
}

// ReadSeen reads from a node's file what the node has seen under a log's origin;
// the zero Seen where it has seen nothing. The file stays as it is and may be in
// use. Errors: fs.ErrNotExist where there is none, node.memory-damaged.
func ReadSeen(ctx context.Context, path, origin string) (seen Seen, err error) {
	m, err := reader(ctx, path)
	if err != nil {
		return Seen{}, err
	}
	defer func() { err = errors.Join(err, m.close()) }()
	return m.seen(ctx, origin)
}

// Holds reports whether a store has the event of a reference as it was; changed
// says that there is another in its place.
func Holds(ctx context.Context, store eventstore.Store, last event.Reference) (there, changed bool, err error) {
	for recorded, err := range store.ReadStream(ctx, last.Stream, last.Revision, 1) {
		if fault.Is(err, fault.StreamBroken) {
			return false, true, nil
		}
		if err != nil {
			return false, false, err
		}
		if recorded.Revision == last.Revision {
			same := recorded.Commitment == last.Commitment
			return same, !same, nil
		}
	}
	return false, false, nil
}

// Served returns the size and the root of the checkpoint that is served; size 0
// where there is none, or none that the log has signed.
func Served(ctx context.Context, objects translog.Objects, verifier note.Verifier) (uint64, eventstore.Hash, error) {
	text, err := objects.Get(ctx, checkpointObject)
	if fault.Is(err, fault.BlobNotFound) {
		return 0, eventstore.Hash{}, nil
	}
	if err != nil {
		return 0, eventstore.Hash{}, err
	}
	parsed, _, err := translog.ParseCheckpoint(text, verifier.Name(), verifier)
	if err != nil {
		// Whoever wrote that cannot sign, and is not believed.
		return 0, eventstore.Hash{}, nil
	}
	return parsed.Size, eventstore.Hash(parsed.Root), nil
}
