package fsck

// Code names a kind of deviation. Codes are stable.
type Code string

// The codes. A commitment binds an event's data and metadata as one, and no
// hash of either alone is kept: an event whose bytes changed is
// event-data-changed or event-metadata-changed only where the bytes themselves
// show which it was, and event-changed otherwise.
const (
	EventChanged         Code = "fsck.event-changed"
	EventDataChanged     Code = "fsck.event-data-changed"
	EventMetadataChanged Code = "fsck.event-metadata-changed"
	// EventRedacted: the data was overwritten with 0xFF, as EventStoreDB's
	// redaction does.
	EventRedacted Code = "fsck.event-redacted"
	// EventRewritten: the event is whole and linked, and the log has another
	// in its place.
	EventRewritten Code = "fsck.event-rewritten"
	EventMissing   Code = "fsck.event-missing"
	// EventForeign: somebody else wrote it. It is in nobody's log, and its
	// stream is broken from there; `dalel copy --leave-out` leaves it behind.
	EventForeign    Code = "fsck.event-foreign"
	EventUnreadable Code = "fsck.event-unreadable"
	LinkBroken      Code = "fsck.link-broken"
	OrderChanged    Code = "fsck.order-changed"
	// TailCut: the newest events are gone.
	TailCut Code = "fsck.tail-cut"
	// LedgerRewound: a checkpoint is known of more events than there are, as
	// after an older copy was put in place.
	LedgerRewound Code = "fsck.ledger-rewound"
	// LogBeyond: the log has files of more events than there are, which are only
	// ever made of events that the store has: the newest are gone.
	LogBeyond Code = "fsck.log-beyond-events"

	// What a store shows who reads a stream, against its list of all events:
	// nothing; not the first ones; another end; that it was deleted for good.
	StreamHidden    Code = "fsck.stream-hidden"
	StreamTruncated Code = "fsck.stream-truncated"
	StreamEnd       Code = "fsck.stream-end-differs"
	StreamDeleted   Code = "fsck.stream-deleted"

	// What the store says of its own file.
	StoreDamaged    Code = "fsck.store-damaged"
	SchemaChanged   Code = "fsck.store-schema-changed"
	SequenceChanged Code = "fsck.store-sequence-changed"

	BundleChanged Code = "fsck.bundle-changed"
	BundleCut     Code = "fsck.bundle-cut"
	BundleMissing Code = "fsck.bundle-missing"
	TileChanged   Code = "fsck.tile-changed"
	TileCut       Code = "fsck.tile-cut"
	TileMissing   Code = "fsck.tile-missing"

	// CheckpointDiverged: the events do not lead to its root.
	CheckpointDiverged  Code = "fsck.checkpoint-diverged"
	CheckpointSignature Code = "fsck.checkpoint-signature-wrong"
	// CheckpointOrder: sizes do not grow, or it does not follow the one before.
	CheckpointOrder Code = "fsck.checkpoint-order"
	// CheckpointMisplaced: the event that it names last is not its last leaf.
	CheckpointMisplaced Code = "fsck.checkpoint-misplaced"
	// CheckpointChanged: its signed text says other things than its event.
	CheckpointChanged Code = "fsck.checkpoint-text-differs"
	CheckpointMissing Code = "fsck.checkpoint-missing"
	// CheckpointRewound: what is served is older than the newest recorded.
	CheckpointRewound Code = "fsck.checkpoint-rewound"
	// CheckpointForeign: what is served or was given is not this log's.
	CheckpointForeign Code = "fsck.checkpoint-foreign"
	// HistoryRewritten: a checkpoint from outside is of another history.
	HistoryRewritten Code = "fsck.history-rewritten"
	CosignatureWrong Code = "fsck.cosignature-wrong"
	// CosignatureForeign: what is served has a line that nothing records.
	CosignatureForeign Code = "fsck.cosignature-foreign"
	TokenWrong         Code = "fsck.time-token-wrong"
	LogKeyMissing      Code = "fsck.log-key-missing"

	// NodeUnfit: what the node remembers of the log is missing or another's.
	NodeUnfit Code = "fsck.node-unfit"

	ContentChanged Code = "fsck.content-changed"
	ContentMissing Code = "fsck.content-missing"
	// ContentForeign: something among the content that is not content.
	ContentForeign Code = "fsck.content-foreign"

	KeyMissing Code = "fsck.key-missing"
	// KeyDestroyed: no event orders that.
	KeyDestroyed Code = "fsck.key-destroyed"
	// KeyBack: a key is there whose destruction is recorded.
	KeyBack Code = "fsck.key-back"
)
