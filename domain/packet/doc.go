// Package packet exports proof packets and verifies them.
//
// A proof packet is one file that a party, a commission or a court can check
// with no server and no network, with `dalel verify` or, file by file, with
// openssl and sha256sum (R-M1, R-M2). It is an ASiC-E container with CAdES
// (ETSI EN 319 162-1) in the strict ZIP form of package container.
//
// # What is in it
//
//	mimetype                          application/vnd.etsi.asic-e+zip
//	README.txt                        how to check each claim by hand, in ru, kk, en
//	manifest.json                     what this is, and every file with its SHA-256
//	manifest-sha256.txt               the same hashes for sha256sum -c
//	report.html, report.pdf           all of it in words, in ru, kk, en (package report)
//	document/…                        the document's files, byte for byte
//	signatures/01/signature.p7s       a party's CMS over one file, as it came
//	signatures/01/certificate.cer     that party's certificate, DER
//	signatures/01/chain/01.cer …      the other certificates of the verdict
//	signatures/01/ocsp/01.der …       OCSP answers, crl/01.crl revocation lists,
//	                                  timestamp/01.tst time tokens and tsa/01.cer
//	                                  their authorities, as far as it rests on them
//	signatures/01/signature.json      who signed which file when
//	signatures/01/verdict.json        the verdict as the events record it
//	events/0001-DocumentCreated.json  every event, in order of position
//	proofs/0001.tlog-proof            that event's place in the transparency log
//	log/checkpoint, log/log.vkey      the checkpoint that all proofs lead to, with
//	                                  the cosignatures known, and the log's key
//	log/timestamps/01.tst …           time tokens over it, without the witnesses'
//	                                  lines (log/checkpoint.note), and the
//	                                  certificates between each token and its root
//	                                  (01-issuer-01.cer), as the operator knows them
//	log/policy                        the witnesses that the operator asks for
//	log/since, log/consistency.txt    an earlier checkpoint, and the proof that the
//	                                  log continues it, where it was asked for
//	journal.csv, journal.xlsx         the extract from the parties' journals, as
//	                                  tables that spreadsheets open (package sheet)
//	verifier/dalel-linux-amd64        the verifying program, where it was asked for
//	META-INF/ASiCManifest.xml         the hash of every file but three
//	META-INF/signature.p7s            the operator's seal over that
//
// There is a folder under signatures/ for each party and each file, numbered
// in the order in which the ledger received them. Attempts that did not count
// (SignatureRefused) are among the events and have no folder.
//
// The events are those of the document, of the certificates that signed it, of
// its number, and who each party and each person who acted for one is, all up to
// one position; of a participant's stream that is the registration, and what
// says that its data were destroyed. Event files hold the canonical JSON of
// data and metadata as strings, so that sha256sum over what `jq -j .data`
// prints gives the hash that the commitment is made of. What is sealed in them
// stays sealed there; "openers" has the key of each box (package sealing) and
// its text, for these events and no others.
//
// A packet that a participant takes out ([Request.Reader], and in the manifest)
// leaves closed what is of others alone: the addresses and devices of their
// acts, and of their certificates everything but the registration. An auditor's
// opens all.
//
// # Several documents
//
// A packet of several documents, named one by one or those that a
// participant's journal has in a period, has a folder documents/0001/, … for
// each, laid out as a packet of that document alone: document/, signatures/,
// events/, README.txt, report.html and report.pdf. The lists, the seal and
// the journal are one for all, and so is a report at the root that leads to
// the others. They are in order of their first events. That a period has no
// further documents is not shown by a packet.
//
// # The extract from the journals
//
// [ExportExtract] writes a container of the same kind without evidence: the
// entries of the journals as journal.json, from which journal.csv, journal.xlsx
// and extract.pdf follow, under the seal (R-G2). [Verify] checks that all say the
// same and that the seal is on them;
// the entries themselves are the operator's word, and each names its event's
// commitment, which a proof packet proves.
//
// # What was destroyed
//
// A document whose destruction was ordered has a packet too: all its events,
// hashes and the journal, without files, signatures and openers of its boxes.
// Packets that were exported before carry their own content and openers and
// verify as ever. A box of the document that is not opened although no event
// orders its destruction is "cannot tell". A participant's that is not opened is
// called so, and called destroyed only where an event in the packet says it.
//
// # Who signed
//
// The subject of a signature's certificate is read from certificate.cer itself,
// and must be what its registration says and whom the ledger registered: a legal
// entity by its BIN, a person, and who acted for an entity, by the IIN. Where
// that is not opened it is "cannot tell" ([Report.Signers] has both sides).
//
// # What a later version wrote
//
// An event of a type that this version does not know, or with a member that it
// does not know, is held against its commitment, its stream and the log like
// every other. What it says, and whatever follows from all events together, is
// "cannot tell", and the file is named ([Report.Doubts], [LackVersion]). What is
// wrong beside it stays wrong.
//
// # Which file vouches for which
//
// The three lists of hashes form a chain without a ring:
//
//   - manifest.json lists every file except itself, manifest-sha256.txt and
//     META-INF/;
//   - manifest-sha256.txt lists what manifest.json lists, and manifest.json;
//   - META-INF/ASiCManifest.xml lists what manifest-sha256.txt lists, and
//     manifest-sha256.txt, but not mimetype, whose one content is fixed by
//     ETSI EN 319 162-1 and by the verifier;
//   - META-INF/signature.p7s signs META-INF/ASiCManifest.xml.
//
// # The same packet every time
//
// The bytes are a function of the events up to a position, the stored content,
// the log's checkpoint and what was said of it, the ledger's name, the
// verifier's name, the seal's key, and what the operator's settings say of
// witnesses and authorities: another policy of witnesses is another log/policy,
// and an authority that is known no more is no issuer of a time token. There is
// no clock: "exported at" is when the newest event in the packet was recorded.
// Everything but the stored content, the log's part and the seal is composed
// from the events by one function, which [Export] uses to write and [Verify]
// uses to compare.
// Its output belongs to [Format]: a change of it is another format. So do the
// reports; what could change them by itself is pinned, see package report.
// Formats 2 (one document and no report), 3 (nothing of a log) and 4 (no issuers
// of the log's time tokens) are still verified. A carried verifier is the one
// file that nothing else in a packet determines: its hash in the manifest, under
// the seal, is all that is said of it.
//
// What the ledger has lost is stated by the operator (manifest.json, losses, and
// the report): it does not follow from the events that a packet has, and rests on
// the seal.
//
// # The log's part
//
// All proofs lead to one checkpoint. Among those that cover the packet's newest
// event it is the first, in the order of the log's own stream, that a time
// token was recorded for; if there is none, the first that a witness's
// cosignature was recorded for; if there is none of these either, the first.
// No later checkpoint changes that. With it comes what was said of it, which
// ends when [checkpoint.Kept] others have followed. So a packet that was made
// early can gain evidence, and one that was made late is the same for ever:
// the manifest says which checkpoint it is, and how many events the log's
// stream had when the last thing was said of it ([LogHead.AsOf]); with these
// two a packet can be had again as it was ([LogSource]). A thousand events
// or so of the stream are looked at from the first covering checkpoint on.
//
// The log's part does not follow from the events, so a verification takes it
// as it lies there and checks it by itself: signature, proofs, cosignatures,
// tokens. Log key, witnesses and roots must be anchors of the person who
// checks, whatever the packet brings. Where no checkpoint covered the newest
// event in time, or the ledger keeps no log, the manifest says so, the packet
// has nothing of a log, and the verification cannot tell. The same goes for a
// packet of a format that had nothing of a log: the operator, against whom the
// log stands, could write it today, and whoever has the key of a log or of a
// witness is not content with it.
//
// What came before what is told by positions, which no commitment has; the
// indexes in the log, which are proven, must be in the same order. A line on the
// checkpoint that neither the person who checks nor the operator's policy has a
// key for may be noise, and makes the claim on witnesses "cannot tell".
//
// An extract has no proofs: its entries are no events.
//
// # What a packet cannot show
//
// [Report.Unproven] says it of one packet in words. That there were no other
// events later. The log shows that the events are
// part of one history, which cannot be rewritten unseen by those who keep
// other checkpoints of it. Whether the certificate of the authority of a
// checkpoint's time token was revoked: what the ledger keeps of that is in a
// record of renewals (package renewal), and not in a packet.
//
// # A signature that does not simply stand
//
// A packet can be true in every byte and still hold a signature that is in
// doubt, because a notice of compromise covers it, or that has lost its force,
// by the authority's revocation or the operator's decision (R-C8). Such a packet
// is [Good]: it proves what happened, and a commission has to be able to rely on
// it. The signature is named in [Report.Disputed], which no reader of the report
// may leave unsaid. Whether it stands is computed from the certificate's events
// and the decisions on the document; the marks by which the parties were told
// have no say. If the party signed again with another key afterwards, the new
// signature decides.
//
// A packet never vouches for itself: whoever verifies brings the anchors (see
// [LoadTrust]), and without them the best answer is [Untrusted].
package packet
