package transparency

import (
	"dalel/domain/checkpoint"
	"dalel/eventstore"
	"dalel/internal/translog"
)

// Synthetic is a log that was made without events, to prove from.
func Synthetic(objects translog.Objects, cache int, starts []eventstore.Position, newest checkpoint.Signed) *Log {
	l := &Log{reader: translog.NewReader(objects, cache), starts: starts, newest: newest}
	l.reader.Know(translog.Checkpoint{Origin: newest.Origin, Size: newest.Size, Root: translog.Hash(newest.Root)})
	return l
}
