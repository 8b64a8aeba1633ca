package ledger

import (
	"context"
	"fmt"
	"slices"
	"time"

	"dalel/domain/checkpoint"
	"dalel/domain/content"
	"dalel/domain/event"
	"dalel/eventstore"
	"dalel/internal/fault"
)

// Checkpoints returns what the transparency log has published last, and what
// others have said of it.
func (l *Ledger) Checkpoints(ctx context.Context) (checkpoint.State, error) {
	snapshot, err := l.checkpoints(ctx)
	return snapshot.State, err
}

// PublishCheckpoint records a checkpoint. Command.Now is set here. Errors:
// log.superseded when another is the newest by now, log.diverged,
// checkpoint.invalid.
func (l *Ledger) PublishCheckpoint(ctx context.Context, command checkpoint.Publish) error {
	command.Now = l.now()
	return l.checkpointed(ctx, command)
}

// CosignCheckpoint records a witness's signature; once, however often it is
// asked to. Errors: checkpoint.unknown, log.diverged, checkpoint.invalid.
func (l *Ledger) CosignCheckpoint(ctx context.Context, command checkpoint.Cosign) error {
	command.Now = l.now()
	return l.checkpointed(ctx, command)
}

// StampCheckpoint keeps a time token of a checkpoint and records it; Token and
// Bytes of the command are set here. Errors: checkpoint.unknown, log.diverged,
// checkpoint.invalid, those of the content store.
func (l *Ledger) StampCheckpoint(ctx context.Context, command checkpoint.Stamp, token []byte) error {
	if len(token) > checkpoint.MaxToken {
		return fault.New(fault.CheckpointInvalid, "a token of %d bytes; the limit is %d", len(token), checkpoint.MaxToken)
	}
	// Locked until the first period that an event with content has.
	ref, err := l.content.PutPublic(ctx, token, time.Time{})
	if err != nil {
		return fmt.Errorf("keep a time token: %w", err)
	}
	command.Now, command.Token, command.Bytes = l.now(), ref.SHA256.String(), ref.Size
	return l.checkpointed(ctx, command)
}

// KeepStampEvidence keeps evidence on a stamp's authority and records it; Pieces
// of the command is set here. Errors: log.diverged, checkpoint.invalid, those of
// the content store.
func (l *Ledger) KeepStampEvidence(ctx context.Context, command checkpoint.Keep, evidence []checkpoint.Evidence) error {
	if len(evidence) > checkpoint.MaxPieces {
		return fault.New(fault.CheckpointInvalid, "%d pieces of evidence; the limit is %d", len(evidence), checkpoint.MaxPieces)
	}
	command.Pieces = nil
	for _, piece := range evidence {
		if len(piece.DER) > checkpoint.MaxPiece {
			return fault.New(fault.CheckpointInvalid, "a piece of evidence of %d bytes; the limit is %d", len(piece.DER), checkpoint.MaxPiece)
		}
		ref, err := l.content.PutPublic(ctx, piece.DER, time.Time{})
		if err != nil {
			return fmt.Errorf("keep evidence on a time stamp: %w", err)
		}
		command.Pieces = append(command.Pieces, checkpoint.Piece{Kind: piece.Kind, SHA256: ref.SHA256.String(), Bytes: ref.Size})
	}
	command.Now = l.now()
	return l.checkpointed(ctx, command)
}

// StampEvidence returns a piece that KeepStampEvidence has kept.
func (l *Ledger) StampEvidence(ctx context.Context, piece checkpoint.Piece) ([]byte, error) {
	ref, err := content.ParseRef("", piece.SHA256, "", piece.Bytes)
	if err != nil {
		return nil, err
	}
	return l.content.ReadAll(ctx, ref, checkpoint.MaxPiece)
}

// TimeToken returns a token that StampCheckpoint has kept.
func (l *Ledger) TimeToken(ctx context.Context, stamped checkpoint.TimeStamped) ([]byte, error) {
	ref, err := content.ParseRef("", stamped.Token, "", stamped.Bytes)
	if err != nil {
		return nil, err
	}
	return l.content.ReadAll(ctx, ref, checkpoint.MaxToken)
}

// checkpointed decides a command on the log's stream and appends what follows.
// It is no [run]: that reads a stream from its beginning, and this one has no
// end. Every command may be repeated.
func (l *Ledger) checkpointed(ctx context.Context, command checkpoint.Command) error {
	for range maxAttempts {
		snapshot, err := l.checkpoints(ctx)
		if err != nil {
			return err
		}
		happened, err := checkpoint.Decide(snapshot.State, command)
		if err != nil || len(happened) == 0 {
			return err
		}
		_, err = l.append(ctx, snapshot.stream, snapshot.Head, l.metadata(SystemAct(), "", snapshot.recordedAt), happened)
		if !fault.Is(err, fault.StreamConflict) {
			return err
		}
	}
	return fault.New(fault.StreamConflict, "others kept being faster; try again")
}

// checkpoints folds the last events of the log's stream: back to where
// checkpoint.Kept checkpoints are known. Their chain is followed from the
// first of them on.
func (l *Ledger) checkpoints(ctx context.Context) (Snapshot[checkpoint.State], error) {
	stream := l.log
	snapshot := Snapshot[checkpoint.State]{stream: stream}
	var tail []eventstore.Recorded // newest first
	published := 0
	for recorded, err := range l.store.ReadStreamBackwards(ctx, stream, checkpoint.Kept*(1+checkpoint.MaxCosignatures+checkpoint.MaxStamps+checkpoint.MaxKept)) {
		if err != nil {
			return snapshot, fmt.Errorf("read %s: %w", stream, err)
		}
		tail = append(tail, recorded)
		if recorded.Type == (checkpoint.Published{}).EventType() {
			if published++; published == checkpoint.Kept {
				break
			}
		}
	}
	slices.Reverse(tail)
	for i, recorded := range tail {
		var err error
		if i == 0 && recorded.Revision > 0 {
			snapshot.Head = recorded.Head()
		} else if snapshot.Head, _, err = eventstore.FollowStored(snapshot.Head, recorded); err != nil {
			return snapshot, err
		}
		var happened event.Event
		if happened, err = l.codec.Decode(ctx, recorded.Event); err != nil {
			return snapshot, fmt.Errorf("read %s@%d: %w", stream, recorded.Revision, err)
		}
		snapshot.State, snapshot.Position = checkpoint.Evolve(snapshot.State, happened), recorded.Position
	}
	if len(tail) > 0 {
		metadata, err := tail[len(tail)-1].ReadMetadata()
		if err != nil {
			return snapshot, err
		}
		snapshot.recordedAt = metadata.RecordedAt
	}
	return snapshot, nil
}
