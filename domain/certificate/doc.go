// Package certificate decides about the certificates of participants: whose a
// certificate is (R-C1), and what becomes of one whose key got into other
// hands (R-C7).
//
// A certificate is registered once and for one participant, whose identifier
// must stand in it. A notice of compromise suspends it at once, and from then
// on nothing signed with it is taken, until the owner, and nobody else, asks
// for it to be resumed. Annulment is for good.
//
// # Several notices
//
// A notice only ever takes trust away, so anybody may give one, at any time,
// even after the annulment: a key that was annulled in May may turn out to
// have been stolen in March. While one is open, another counts if it names an
// earlier moment, and moves CompromisedFrom back; one that names the same or a
// later moment would change nothing and is refused. Resuming closes all
// notices that are open, and names the one that counted.
//
// # What a notice does to signatures
//
// A notice is a claim. It stops the key at once, and puts what was signed with
// it since the claimed moment in doubt ([State.Covering]) for as long as it is
// open. Force is lost only by the authority's own revocation
// ([RecordRevocation], [State.RevokedBefore]) or by a decision, which stands on
// the document (package document). Resuming withdraws the notices, and with
// them the doubt; it is not taken in a session that the reported key opened.
//
// # The end
//
// Thirty days before a certificate ends, its owner is warned, once
// ([WarnOfExpiry], R-C5); one that was annulled, or has ended already, is not
// worth a warning.
//
// # Decisions
//
// Every command in every state; the test writes this table.
//
//	|                                         | unknown               | registered                                   | suspended                | resumed                                      | annulled                 | suspended, annulled      | suspended, revoked       |
//	| --------------------------------------- | --------------------- | -------------------------------------------- | ------------------------ | -------------------------------------------- | ------------------------ | ------------------------ | ------------------------ |
//	| Register                                | CertificateRegistered | certificate.exists                           | certificate.exists       | certificate.exists                           | certificate.exists       | certificate.exists       | certificate.exists       |
//	| ReportCompromise, the same notice       | certificate.unknown   | KeyCompromiseReported + CertificateSuspended | certificate.wrong-state  | KeyCompromiseReported + CertificateSuspended | KeyCompromiseReported    | certificate.wrong-state  | certificate.wrong-state  |
//	| ReportCompromise, another, earlier      | certificate.unknown   | KeyCompromiseReported + CertificateSuspended | KeyCompromiseReported    | KeyCompromiseReported + CertificateSuspended | KeyCompromiseReported    | KeyCompromiseReported    | KeyCompromiseReported    |
//	| ReportCompromise, another, later        | certificate.unknown   | KeyCompromiseReported + CertificateSuspended | certificate.wrong-state  | KeyCompromiseReported + CertificateSuspended | KeyCompromiseReported    | certificate.wrong-state  | certificate.wrong-state  |
//	| Resume by the owner                     | certificate.unknown   | certificate.wrong-state                      | CertificateResumed       | certificate.wrong-state                      | certificate.wrong-state  | certificate.wrong-state  | CertificateResumed       |
//	| Resume by a stranger                    | certificate.unknown   | access.forbidden                             | access.forbidden         | access.forbidden                             | access.forbidden         | access.forbidden         | access.forbidden         |
//	| Resume in a session of the reported key | certificate.unknown   | certificate.reported-key                     | certificate.reported-key | certificate.reported-key                     | certificate.reported-key | certificate.reported-key | certificate.reported-key |
//	| RecordRevocation                        | certificate.unknown   | CertificateRevoked                           | CertificateRevoked       | CertificateRevoked                           | CertificateRevoked       | CertificateRevoked       | nothing to do            |
//	| Annul by the owner                      | certificate.unknown   | CertificateAnnulled                          | CertificateAnnulled      | CertificateAnnulled                          | certificate.wrong-state  | certificate.wrong-state  | CertificateAnnulled      |
//	| Annul by the operator                   | certificate.unknown   | CertificateAnnulled                          | CertificateAnnulled      | CertificateAnnulled                          | certificate.wrong-state  | certificate.wrong-state  | CertificateAnnulled      |
//	| Annul by a stranger                     | certificate.unknown   | access.forbidden                             | access.forbidden         | access.forbidden                             | access.forbidden         | access.forbidden         | access.forbidden         |
//	| WarnOfExpiry, 31 days before            | certificate.unknown   | nothing to do                                | nothing to do            | nothing to do                                | nothing to do            | nothing to do            | nothing to do            |
//	| WarnOfExpiry, 30 days before            | certificate.unknown   | CertificateExpiryWarned                      | CertificateExpiryWarned  | CertificateExpiryWarned                      | nothing to do            | nothing to do            | CertificateExpiryWarned  |
//
// # Signing
//
// What [State.CheckSigning] says of a signature by the owner, made before or
// from the moment of compromise on. The test writes this table.
//
//	| made                   | unknown             | registered | suspended               | resumed | annulled             | suspended, annulled     | suspended, revoked  |
//	| ---------------------- | ------------------- | ---------- | ----------------------- | ------- | -------------------- | ----------------------- | ------------------- |
//	| before the compromise  | certificate.unknown | counts     | certificate.suspended   | counts  | certificate.annulled | certificate.annulled    | certificate.revoked |
//	| from the compromise on | certificate.unknown | counts     | certificate.compromised | counts  | certificate.annulled | certificate.compromised | certificate.revoked |
package certificate
