// Package trust decides about the ledger's trust anchors: the certificates on
// which every verdict on a signature rests.
//
// An anchor is a root, an issuing authority, an OCSP responder or a
// time-stamping authority ([Kind]); which of them a certificate is, it says
// itself ([KindOf]). Nothing else can be one: what a person signs with leads
// to an anchor and never is one.
//
// The operator configures anchors by command ([Add], [Remove]). An anchor that
// is added must hold by itself: a root's own signature must verify, and all
// others must lead to a root that is configured or comes along. Whether it is
// the right one, no program can tell: that is what fingerprints are compared
// for, and those of the national authority are known here ([Known]).
//
// A node trusts what lies in its folder when it starts. Somebody with a hand
// in that folder could trust whom they like; so each node says at its start
// what it found there ([Observe]), and an anchor that came or went without a
// command is an event like all others ([AtStart]). There is one stream for all
// nodes, and a change that several nodes see becomes one event.
//
// Which anchors were in force at any moment can be replayed from the events
// ([At]), whose certificates are in them.
//
// # Decisions
//
// Every command in every state; the test writes this table.
//
//	|                           | none                                | root                                  | root and issuing                        | issuing, root removed |
//	| ------------------------- | ----------------------------------- | ------------------------------------- | --------------------------------------- | --------------------- |
//	| Add root                  | TrustAnchorAdded                    | nothing to do                         | nothing to do                           | TrustAnchorAdded      |
//	| Add issuing               | trust.refused                       | TrustAnchorAdded                      | nothing to do                           | nothing to do         |
//	| Add issuing and root      | TrustAnchorAdded + TrustAnchorAdded | TrustAnchorAdded                      | nothing to do                           | TrustAnchorAdded      |
//	| Add responder and issuing | trust.refused                       | TrustAnchorAdded + TrustAnchorAdded   | TrustAnchorAdded                        | trust.refused         |
//	| Add a person's            | trust.refused                       | trust.refused                         | trust.refused                           | trust.refused         |
//	| Add root and a person's   | trust.refused                       | trust.refused                         | trust.refused                           | trust.refused         |
//	| Remove root               | trust.unknown                       | TrustAnchorRemoved                    | TrustAnchorRemoved                      | trust.unknown         |
//	| Observe root and issuing  | TrustAnchorAdded + TrustAnchorAdded | TrustAnchorAdded                      | nothing to do                           | TrustAnchorAdded      |
//	| Observe issuing alone     | TrustAnchorAdded                    | TrustAnchorRemoved + TrustAnchorAdded | TrustAnchorRemoved                      | nothing to do         |
//	| Observe nothing           | nothing to do                       | TrustAnchorRemoved                    | TrustAnchorRemoved + TrustAnchorRemoved | TrustAnchorRemoved    |
//	| Observe a person's        | nothing to do                       | TrustAnchorRemoved                    | TrustAnchorRemoved + TrustAnchorRemoved | TrustAnchorRemoved    |
package trust
