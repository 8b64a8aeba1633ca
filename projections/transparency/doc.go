// Package transparency keeps the ledger's transparency log (R-M4, R-M5): a
// Merkle tree over all events in their order, in tiles that anybody may fetch,
// under checkpoints that are signed, witnessed and time-stamped.
//
// It is a projection: a node, or an auditor with a copy of the events, computes
// the same tiles and the same roots again. A leaf is an event's commitment
// (eventstore.Event.Leaf), its index the number of the event in the order of
// all events. What is not a projection is the signature: who has once signed a
// root must never sign another history. So the order of things is
//
//  1. integrate: events go into the tree, full tiles into the objects;
//  2. stage: the tree is flushed, so that the objects have every tile of its
//     size (they are written once, and the same bytes again change nothing);
//  3. sign, and commit: the signed checkpoint is appended to the log's own
//     stream, after the one that it follows. This is the moment from which it
//     exists. Of two nodes one is first; the other throws its own away and
//     holds the first one's against its own tree;
//  4. publish: the object "checkpoint" is replaced.
//
// A crash between any two of these is mended by doing them again, and starting
// is nothing else: read what was committed, open the tree, integrate what came
// after, publish what is committed and not yet served. Nothing of a checkpoint
// is shown to anybody before it is committed.
//
// # When history does not lead there
//
// Every checkpoint that comes by in the events is held against the tree, those
// of this node and those of others. If the events do not lead to a root that
// was committed to, if an event that a checkpoint names last is not there, if a
// tile holds other bytes than the events come to, or if a checkpoint is served
// that the event store knows nothing of (it was set back), the log stops with
// log.diverged (or the code of the damage), says so in its status and its log,
// and signs nothing any more ([Log.Stopped]). The node then writes nothing, and
// goes on reading: how it came to that is for people to find out.
//
// # What else is kept here
//
// A small SQLite file has, for each bundle of 256 events, the position of its
// first, which is how an event's index is found, and the size, root and last
// event that the tree has been flushed at. A node without the file computes
// everything from the first event on, and in doing so holds each stored tile
// against the events.
//
// # Witnesses and time stamps
//
// They are asked about the newest checkpoint, at most so often, with time-outs
// and back-off, and what they answer becomes a further event. The served
// checkpoint has all the witnesses' lines that are known for its size. What
// fails is told by [Log.Status] and is no event.
//
// Stamps are renewed by going on: events that record time stamps are covered by
// later checkpoints, whose stamps vouch for them. Where nothing happens, a
// checkpoint is made for this alone, before what the newest stamps rest on ends
// or ages (package renewal), and after [Options.Renew] at the latest. After a
// stamp, what vouches for its authority's certificates is fetched and kept, once
// a day for each certificate; and when an authority goes over to another
// certificate, once more for the one before.
package transparency
