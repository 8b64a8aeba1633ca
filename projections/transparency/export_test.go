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

// ForgetPublished makes the status say nothing of when a checkpoint was published,
// until the log looks again whether one is to be.
func (l *Log) ForgetPublished() {
	l.view.Lock()
	defer l.view.Unlock()
	l.status.PublishedAt = nil
}
