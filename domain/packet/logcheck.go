package packet

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"dalel/domain/packet/container"
	"dalel/eventstore"
	"dalel/internal/cosignature"
	"dalel/internal/pki"
	"dalel/internal/translog"
	"dalel/internal/tsp"

	"golang.org/x/mod/sumdb/note"
)

// never is after every moment: no clock is looked at, so nothing is from the
// future.
func never() time.Time { return time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC) }

const (
	checkpointTitle  = "The log's checkpoint is signed by the key of the log"
	inclusionTitle   = "Each event is in the transparency log, under its checkpoint"
	witnessesTitle   = "Witnesses saw the log grow up to the checkpoint, and no other"
	consistencyTitle = "The log continues the earlier checkpoint"
)

// readLog takes what is about the log out of the packet, and opens the claims
// on it. It is nil where the packet has nothing of a log and says so. To whoever
// has the key of a log, or of a witness, a packet without proofs is not good,
// whatever its format: the operator, who makes packets, could leave them out.
func (v *verification) readLog() {
	head := v.manifest.Log
	raw, there := v.held[logCheckpointName]
	switch {
	case v.manifest.Format != 0 && v.manifest.Format < formatLog:
		if v.trust.asksForLog() {
			v.open(ClaimInclusion, inclusionTitle).as(CodeNoLog).unknown("a packet of format %d has nothing of a transparency log, and you have the key of one or of its witnesses: ask for the packet again", v.manifest.Format)
		}
		return
	case v.manifest.Format != 0 && head == nil:
		if v.trust.asksForLog() {
			v.open(ClaimInclusion, inclusionTitle).as(CodeNoLog).unknown("the packet says that its ledger keeps no transparency log, and you have the key of one or of its witnesses: it has no proofs")
		}
		return
	case head != nil && head.NotCovered:
		v.log = &logPart{head: *head}
		v.open(ClaimInclusion, inclusionTitle).as(CodeNotCovered).unknown("the log %s had not covered the newest event yet when the packet was made: ask for another one", head.Origin)
		return
	case v.manifest.Format == 0 && !there:
		return
	}
	l := &logPart{checkpoint: raw, key: v.held[logKeyName], proofs: map[eventstore.Hash][]byte{}}
	if head != nil {
		l.head = *head
	} else if c, err := checkpointOf(raw); err == nil {
		l.head = LogHead{Origin: c.Origin, Size: c.Size}
	}
	optional := func(name string) []byte {
		content, ok := v.held[name]
		if ok && content == nil {
			return []byte{}
		}
		return content
	}
	l.note, l.policy, l.since, l.consistency = optional(logNoteName), optional(logPolicyName), optional(logSinceName), optional(logConsistencyName)
	for {
		token, ok := v.held[fmt.Sprintf(logStampPattern, len(l.stamps)+1)]
		if !ok {
			break
		}
		var issuers [][]byte
		for head == nil || v.manifest.Format >= formatIssuers {
			der, ok := v.held[fmt.Sprintf(logIssuerPattern, len(l.stamps)+1, len(issuers)+1)]
			if !ok {
				break
			}
			issuers = append(issuers, der)
		}
		l.stamps, l.issuers = append(l.stamps, token), append(l.issuers, issuers)
	}
	l.read()
	v.log = l
	v.open(ClaimCheckpoint, checkpointTitle).Files = []string{logCheckpointName, logKeyName}
	if len(l.witnesses) > 0 || l.policy != nil || len(v.trust.Witnesses) > 0 || v.trust.asksForWitnesses() {
		v.open(ClaimWitnesses, witnessesTitle).Files = []string{logCheckpointName}
	}
	for i := range l.stamps {
		v.open(stampClaim(i), fmt.Sprintf("Time token %02d: the checkpoint existed at the moment that it says", i+1)).Files = []string{fmt.Sprintf(logStampPattern, i+1), l.noteName()}
	}
	if l.since != nil || l.consistency != nil {
		v.open(ClaimConsistency, consistencyTitle).Files = []string{logSinceName, logConsistencyName}
	}
	if v.several() {
		return
	}
	v.open(ClaimInclusion, inclusionTitle)
}

// several says that the packet has a folder for each of its documents.
func (v *verification) several() bool {
	kind := v.manifest.Subject.Kind
	return kind == KindDocuments || kind == KindParticipant || kind == "" && slices.ContainsFunc(v.archive.Files, func(f container.File) bool { return documentFolder.MatchString(f.Name) })
}

// checkLog looks into all that the packet has of the log, except the proofs of
// events.
func (v *verification) checkLog() {
	l := v.log
	if !l.covered() {
		return
	}
	claim := v.claim(ClaimCheckpoint)
	var opened translog.Checkpoint
	ok := false
	verifier, err := cosignature.ParseLogKey(strings.TrimSuffix(string(l.key), "\n"))
	switch {
	case err != nil:
		claim.no(logKeyName, "it is no public key of a log")
	case verifier.Name() != l.head.Origin:
		claim.no(logKeyName, "it is the key of another log than the manifest names")
	case !bytes.HasSuffix(l.key, []byte("\n")):
		claim.no(logKeyName, "it is not in the form in which it is written")
	default:
		if opened, _, err = translog.ParseCheckpoint(l.checkpoint, l.head.Origin, verifier); err != nil {
			claim.no(logCheckpointName, "%v", err)
			if !signedWith(l.checkpoint, verifier) {
				claim.no(logKeyName, "the checkpoint has no signature of this key")
			}
			break
		}
		ok = true
		l.verifier, l.opened = verifier, opened
	}
	if ok && opened.Size != l.head.Size {
		claim.no(logCheckpointName, "it is of %d events, the manifest says %d", opened.Size, l.head.Size)
	}
	v.checkNote(claim, verifier, ok)
	l.anchored = ok && slices.ContainsFunc(v.trust.logs(), func(known Key) bool { return known.VKey == strings.TrimSpace(string(l.key)) })
	if ok && !l.anchored {
		claim.unanchored("it is signed by the key %s, which is not among your anchors", strings.TrimSpace(string(l.key)))
	}
	claim.says("%d events, root %s, signed by the log %s, whose key is among your anchors", opened.Size, l.root, l.head.Origin)
	v.checkWitnesses(ok)
	for i := range l.stamps {
		v.checkStamp(i, ok)
	}
	v.checkConsistency(ok)
}

// signedWith says that a note has a line that says it is of a key.
func signedWith(signed []byte, verifier note.Verifier) bool {
	_, err := note.Open(signed, note.VerifierList(verifier))
	var unverified *note.UnverifiedNoteError
	return !errors.As(err, &unverified)
}

// checkNote holds the text that time tokens are over against the checkpoint.
func (v *verification) checkNote(claim *findings, verifier note.Verifier, ok bool) {
	l := v.log
	if l.note == nil {
		if ok && len(l.stamps) > 0 && len(l.witnesses) > 0 {
			claim.as(CodeMissing).no(logNoteName, "it is missing: the time tokens are not over the witnesses' lines")
		}
		return
	}
	if len(l.stamps) == 0 || len(l.witnesses) == 0 {
		claim.as(CodeExtra).no(logNoteName, "there is no use for it")
	}
	if !ok {
		return
	}
	_, n, err := translog.ParseCheckpoint(l.note, l.head.Origin, verifier)
	if err != nil || len(n.Sigs) != 1 || len(n.UnverifiedSigs) != 0 || !bytes.HasPrefix(l.checkpoint, l.note) {
		claim.no(logNoteName, "it is not the checkpoint with the log's signature alone")
	}
}

// checkWitnesses says which witnesses have cosigned, and whether they are those
// that the person who checks asks for.
func (v *verification) checkWitnesses(ok bool) {
	l := v.log
	if !slices.ContainsFunc(v.claims, func(f *findings) bool { return f.ID == ClaimWitnesses }) {
		return
	}
	claim := v.claim(ClaimWitnesses)
	if !ok {
		claim.as(CodeDependent).unknown("cannot be told, because the checkpoint does not hold")
		return
	}
	var theirs cosignature.Policy
	if l.policy != nil {
		var err error
		if theirs, err = cosignature.ParsePolicy(l.policy); err != nil {
			claim.as(CodeUnreadable).no(logPolicyName, "it cannot be read: %v", err)
		}
	}
	// A line that is of a key which is at hand, and is not its, is wrong whoever
	// wrote it there.
	wrong := func(seen []cosignature.Seen) {
		for _, s := range seen {
			if s.Wrong {
				claim.as(CodeCosignature).no(logCheckpointName, "the line of the witness %s is not its cosignature", s.Name)
			}
		}
	}
	seen, _ := theirs.Check(l.checkpoint, never())
	wrong(seen)
	mine, enough := v.trust.policy()
	seen, satisfied := mine.Check(l.checkpoint, never())
	wrong(seen)
	// The report names every line. One that no key at hand is for may be noise.
	unchecked := ""
	if others := l.linesBy(slices.Concat(theirs.Witnesses, mine.Witnesses)); len(others) > 0 {
		unchecked = fmt.Sprintf("whether it was cosigned by %s cannot be told: their keys are neither among your anchors nor in the operator's policy", strings.Join(others, ", "))
	}
	var by, not []string
	for _, s := range seen {
		if s.At.IsZero() {
			not = append(not, s.Name)
		} else {
			by = append(by, fmt.Sprintf("%s at %s", s.Name, s.At.UTC().Format("2006-01-02 15:04:05 UTC")))
			v.cosigners = append(v.cosigners, s.Name)
			v.confirmed(s.At)
		}
	}
	named := strings.Join(by, ", ")
	switch {
	case enough && satisfied && len(by) == 0:
		claim.says("no witness of yours has cosigned it; your policy asks for none")
	case enough && satisfied && unchecked != "":
		claim.says("cosigned by %s; that is enough for your policy; %s", named, unchecked)
	case enough && satisfied:
		claim.says("cosigned by %s; that is enough for your policy", named)
	case len(mine.Witnesses) == 0 && len(l.witnesses) == 0:
		claim.as(CodeUnwitnessed).unknown("no witness has cosigned the checkpoint, though the operator's policy names some")
	case len(mine.Witnesses) == 0:
		claim.unanchored("cosigned by %s; none of them is among your anchors", strings.Join(l.witnesses, ", "))
	case unchecked != "":
		claim.as(CodeUnwitnessed).unknown("%s", unchecked)
	case enough && !satisfied && len(by) == 0:
		claim.as(CodeUnwitnessed).unknown("none of the witnesses that your policy names has cosigned the checkpoint")
	case enough && !satisfied:
		claim.as(CodeUnwitnessed).unknown("cosigned by %s, which your policy does not find enough; not by %s", named, strings.Join(not, ", "))
	case len(by) == 0:
		claim.as(CodeUnwitnessed).unknown("none of your witnesses (%s) has cosigned the checkpoint", strings.Join(not, ", "))
	default:
		claim.says("cosigned by %s, among your anchors", named)
	}
}

// linesBy returns the names on the checkpoint's lines that are of none of the
// given witnesses.
func (l *logPart) linesBy(known []cosignature.PolicyWitness) (others []string) {
	verifiers := []note.Verifier{l.verifier}
	for _, w := range known {
		if !slices.ContainsFunc(verifiers, func(v note.Verifier) bool { return v.Name() == w.Key.Name() && v.KeyHash() == w.Key.KeyHash() }) {
			verifiers = append(verifiers, w.Key)
		}
	}
	_, opened, err := cosignature.OpenCheckpoint(l.checkpoint, verifiers...)
	if err != nil {
		return nil // a line that is wrong has been named
	}
	for _, signature := range opened.UnverifiedSigs {
		others = append(others, signature.Name)
	}
	return others
}

// checkStamp judges a time token over the checkpoint.
func (v *verification) checkStamp(i int, ok bool) {
	l, claim := v.log, v.claim(stampClaim(i))
	name := fmt.Sprintf(logStampPattern, i+1)
	message := l.checkpoint
	if l.note != nil {
		message = l.note
	}
	var issuers []*x509.Certificate
	for j, der := range l.issuers[i] {
		issuer, err := pki.ParseCertificate(der)
		if err != nil {
			claim.no(fmt.Sprintf(logIssuerPattern, i+1, j+1), "it is no certificate")
			break // nothing leads on from it
		}
		issuers = append(issuers, issuer)
	}
	answer := tsp.Judge(l.stamps[i], v.algorithms, tsp.Question{Message: message, At: never(), Roots: v.trust.Roots, Intermediates: issuers})
	at := l.times[i].UTC().Format("2006-01-02 15:04:05 UTC")
	if !ok {
		claim.as(CodeDependent).unknown("cannot be told, because the checkpoint does not hold")
	}
	switch {
	case answer.Status == tsp.Good:
		// An anchor may come before the last of them: those after it are held
		// against the one before.
		last := answer.Certificate
		for j, issuer := range issuers {
			if j+1 < len(answer.Path) && !answer.Path[j+1].Equal(issuer) || v.algorithms.CheckCertificate(last, issuer) != nil {
				claim.no(fmt.Sprintf(logIssuerPattern, i+1, j+1), "the token does not lead through it")
				break
			}
			last = issuer
		}
		if late := v.recordedBy().Sub(answer.Latest()); late > clockSlack {
			claim.as(CodeStampEarly).no(name, "it is of %s, %s before the newest event was recorded, as the operator's clock says", at, late.Round(time.Second))
		}
		v.confirmed(answer.Latest())
		claim.says("the checkpoint, and so every event under it, existed at %s, says %s, whose root is among your anchors; whether its certificate (SHA-256 %s) was revoked is not in the packet",
			at, authorityName(answer.Certificate), fingerprint(answer.Certificate))
	case answer.Code == tsp.Chain:
		claim.unanchored("it is of %s, but its authority does not lead to a root that is among your anchors", at)
	case slices.Contains([]string{tsp.AlgorithmUnsupported, tsp.AlgorithmWeak, tsp.ImprintWeak, tsp.ExtensionUnknown, tsp.CertificateMissing}, answer.Code):
		claim.unknown("it cannot be told whether it holds: %s", answer.Code)
	default:
		claim.no(name, "it does not hold: %s: %s", answer.Code, answer.Detail)
	}
}

// confirmed notes when somebody other than the operator saw the checkpoint.
func (v *verification) confirmed(at time.Time) {
	if late := at.Sub(v.recordedBy()); v.late == nil || late < *v.late {
		v.late = &late
	}
}

// authorityName is what an authority calls itself.
func authorityName(certificate *x509.Certificate) string {
	if name := certificate.Subject.CommonName; name != "" {
		return fmt.Sprintf("%q", name)
	}
	return "its authority"
}

// recordedBy is when the newest event of the packet was recorded, the zero time
// where that cannot be told.
func (v *verification) recordedBy() time.Time { return v.manifest.ExportedAt }

// checkConsistency checks that the log continues the earlier checkpoint.
func (v *verification) checkConsistency(ok bool) {
	l := v.log
	if l.since == nil && l.consistency == nil {
		return
	}
	claim := v.claim(ClaimConsistency)
	switch {
	case l.since == nil:
		claim.as(CodeMissing).no(logSinceName, "it is missing, though there is a proof that leads from it")
		return
	case l.consistency == nil:
		claim.as(CodeMissing).no(logConsistencyName, "it is missing, though there is an earlier checkpoint")
		return
	case !ok:
		claim.as(CodeDependent).unknown("cannot be told, because the checkpoint does not hold")
		return
	}
	earlier, _, err := translog.ParseCheckpoint(l.since, l.head.Origin, l.verifier)
	if err != nil {
		claim.no(logSinceName, "%v", err)
		return
	}
	request, err := cosignature.ParseRequest(l.consistency)
	switch {
	case err != nil:
		claim.as(CodeUnreadable).no(logConsistencyName, "it cannot be read: %v", err)
	case uint64(request.OldSize) != earlier.Size || !bytes.Equal(request.Checkpoint, l.checkpoint):
		claim.no(logConsistencyName, "it is about other checkpoints than log/since and log/checkpoint")
	default:
		if err := translog.CheckConsistency(earlier, l.opened, request.Proof); err != nil {
			claim.no(logConsistencyName, "%v", err)
		}
	}
	if !l.anchored {
		claim.unanchored("of %d events then and %d now, by a key that is not among your anchors", earlier.Size, l.opened.Size)
	}
	claim.says("the first %d events are those of the earlier checkpoint: nothing was rewritten or taken away", earlier.Size)
}

// checkProofs checks that each event of a document is under the checkpoint.
func (v *verification) checkProofs() {
	l := v.log
	if !l.covered() {
		return
	}
	claim := v.claim(ClaimInclusion)
	if l.verifier == nil {
		claim.as(CodeDependent).unknown("cannot be told, because the checkpoint does not hold")
		return
	}
	// What came first is told by positions, which the operator writes: they count
	// because the log, which nobody rewrites, has the events in the same order.
	after := int64(-1)
	for i, r := range v.history {
		name := proofName(i + 1)
		proof, ok := v.held[name]
		if !ok {
			claim.as(CodeNotInLog).no(name, "the proof of %s is missing", eventName(i+1, r.Type))
			continue
		}
		_, index, _, err := translog.CheckProof(proof, r.Leaf(), l.head.Origin, l.verifier)
		switch {
		case err != nil:
			claim.as(CodeNotInLog).no(name, "%s is not proven to be in the log: %v", eventName(i+1, r.Type), err)
		case !bytes.HasSuffix(proof, append([]byte("\n\n"), l.checkpoint...)):
			claim.no(name, "it is under another checkpoint than log/checkpoint")
		case int64(index) <= after:
			claim.as(CodeOrder).no(name, "%s is entry %d of the log and stands after entry %d: the events are not in the order in which they were recorded", eventName(i+1, r.Type), index, after)
		default:
			after = int64(index)
		}
	}
	if !l.anchored {
		claim.unanchored("%d events are in the log %s, whose key is not among your anchors", len(v.history), l.head.Origin)
	}
	claim.says("%d events, in a log of %d; the log's key is among your anchors", len(v.history), l.opened.Size)
}
