package renewal

import (
	"context"
	"crypto/x509"
	"fmt"
	"math"
	"slices"
	"time"

	"dalel/domain/checkpoint"
	"dalel/domain/event"
	"dalel/domain/signature"
	"dalel/internal/crl"
	"dalel/internal/fault"
	"dalel/internal/ocsp"
	"dalel/internal/pki"
	"dalel/internal/translog"
	"dalel/internal/tsp"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Status is what is found of a link, or of a record.
type Status string

// The statuses. The zero value is none of them.
const (
	Good Status = "good"
	Bad  Status = "bad"
	// CannotTell is its own answer: an anchor, an algorithm or evidence is not at
	// hand.
	CannotTell Status = "cannot-tell"
)

func worse(a, b Status) Status {
	switch {
	case a == Bad || b == Bad:
		return Bad
	case a == CannotTell || b == CannotTell:
		return CannotTell
	}
	return Good
}

// Options are what a verification rests on.
type Options struct {
	// Log is the log's public key.
	Log note.Verifier
	// Checkpoint is what the record must start from, a signed note with or
	// without cosignatures; nil takes the record's own word.
	Checkpoint []byte
	// Policy has the verifier's anchors, those that have ended among them.
	Policy *signature.Policy
	// Aged are the algorithms that prove nothing any more; nil means those of
	// [Published].
	Aged Table
	// At is the moment of the question.
	At time.Time
	// Evidence is newer than what is in the record; none is needed.
	Evidence []signature.Evidence
}

// Report is what is found of a record.
type Report struct {
	Status Status    `json:"status"`
	At     time.Time `json:"at"`
	Origin string    `json:"origin"`
	// Size is that of the checkpoint that all is about, Existed when it was there
	// for sure; zero unless Status is Good.
	Size    uint64    `json:"size"`
	Existed time.Time `json:"existed,omitzero"`
	// Start is about the checkpoint that the record starts from.
	Start Finding `json:"start"`
	// Links are in the order of time.
	Links []LinkReport `json:"links"`
}

// Finding is an answer with its reason.
type Finding struct {
	Status Status     `json:"status"`
	Code   fault.Code `json:"code"`
	Detail string     `json:"detail,omitempty"`
}

// LinkReport is what is found of a link.
type LinkReport struct {
	Finding
	// Number counts from 1. Size is that of the checkpoint.
	Number    int    `json:"number"`
	Size      uint64 `json:"size,omitempty"`
	Authority string `json:"authority,omitempty"`
	// Stamped is the latest moment that the token states. Judged is that for
	// which it was judged: what the next link proves, or the moment of the
	// question.
	Stamped time.Time `json:"stamped,omitzero"`
	Judged  time.Time `json:"judged,omitzero"`
	// KnownUntil is of when the newest evidence on the authority is.
	KnownUntil time.Time   `json:"knownUntil,omitzero"`
	Algorithms []Algorithm `json:"algorithms,omitempty"`
	// RestsOn are the hashes of the evidence.
	RestsOn []string `json:"restsOn,omitempty"`
}

// First returns the link that is to blame for a record that is not good: the
// last one that does not rest on a worse one. ok is false where there is none.
func (r Report) First() (LinkReport, bool) {
	for _, l := range slices.Backward(r.Links) {
		if l.Status != Good && l.Code != RestsOnWorse {
			return l, true
		}
	}
	return LinkReport{}, false
}

// Verify checks a record with nothing but its bytes and the options. The error
// is renewal.malformed, or that a key or policy is missing; all else is in the
// report.
func Verify(ctx context.Context, text []byte, o Options) (Report, error) {
	if o.Log == nil || o.Policy == nil || o.At.IsZero() {
		return Report{}, fault.New(fault.Internal, "a record of renewals is checked with a log's key, anchors and a moment")
	}
	r, err := Parse(text)
	if err != nil {
		return Report{}, err
	}
	if o.Aged == nil {
		o.Aged = Published()
	}
	codec, err := event.NewCodec(checkpoint.Events())
	if err != nil {
		return Report{}, err
	}
	v := &verification{Options: o, ctx: ctx, record: r, codec: codec, pieces: map[string][]byte{}, used: map[string]bool{}}
	for _, piece := range r.Pieces {
		v.pieces[digest(piece)] = piece
	}
	v.links = make([]link, len(r.Links))
	v.report = Report{At: o.At.UTC(), Origin: r.Origin, Links: make([]LinkReport, len(r.Links))}
	for i := range r.Links {
		v.report.Links[i] = LinkReport{Number: i + 1, Finding: Finding{Good, CodeGood, ""}}
	}
	for i := range r.Links {
		v.read(i)
	}
	for i := range r.Links {
		v.prove(i)
	}
	v.start()
	if v.report.Start.Status == Bad || slices.ContainsFunc(v.report.Links, func(l LinkReport) bool { return l.Status == Bad }) {
		// What was changed is found without any anchor, and nothing rests on it.
		for i := range v.report.Links {
			v.found(i, CannotTell, RestsOnWorse, "the record is not as it was made")
		}
		return v.concluded(), nil
	}
	for i := range slices.Backward(r.Links) {
		if err := ctx.Err(); err != nil {
			return Report{}, fmt.Errorf("verify a record of renewals: %w", err)
		}
		v.judge(i)
	}
	return v.concluded(), nil
}

// concluded puts the answers together.
func (v *verification) concluded() Report {
	v.report.Status = v.report.Start.Status
	for _, l := range v.report.Links {
		v.report.Status = worse(v.report.Status, l.Status)
	}
	if v.report.Status == Good {
		v.report.Existed = v.report.Links[0].Stamped
	}
	return v.report
}

type verification struct {
	Options
	ctx    context.Context
	record *Record
	codec  *event.Codec
	pieces map[string][]byte
	used   map[string]bool
	links  []link
	report Report
}

// link is what was read of one.
type link struct {
	checkpoint translog.Checkpoint
	read       bool // the checkpoint is the log's
	kept       []checkpoint.EvidenceKept
	token      *tsp.Token
	// shown is, for each piece of evidence, by when it was there for sure.
	shown map[string]time.Time
}

// found notes what is wrong with a link; what was found first stays, unless it
// is worse.
func (v *verification) found(i int, status Status, code fault.Code, format string, args ...any) {
	l := &v.report.Links[i]
	if l.Status == Bad || l.Status == status {
		return
	}
	l.Finding = Finding{status, code, fmt.Sprintf(format, args...)}
}

// read reads a link and what it says of itself.
func (v *verification) read(i int) {
	l, from := &v.links[i], &v.record.Links[i]
	var err error
	if l.checkpoint, _, err = translog.ParseCheckpoint([]byte(from.Note), v.Log.Name(), v.Log); err != nil {
		v.found(i, Bad, NoteInvalid, "the checkpoint is not one that this log has signed")
		return
	}
	l.read = true
	v.report.Links[i].Size = l.checkpoint.Size
	token, ok := v.pieces[from.Token]
	if v.used[from.Token] = true; !ok || len(token) > checkpoint.MaxToken {
		v.found(i, Bad, EventInvalid, "the time token is not in the record")
	} else if l.token, err = tsp.Parse(token); err != nil {
		v.found(i, Bad, fault.Code(tsp.Unreadable), "the time token cannot be read")
	} else {
		v.report.Links[i].Stamped = l.token.Time.Add(l.token.Accuracy).UTC()
	}
	if from.Stamped != nil {
		happened, err := v.codec.Decode(v.ctx, from.Stamped.Event.event(v.record.Log))
		stamped, ok := happened.(checkpoint.TimeStamped)
		switch {
		case err != nil || !ok:
			v.found(i, Bad, EventInvalid, "the event that should record the time token does not")
		case stamped.Size != l.checkpoint.Size || translog.Hash(stamped.Root) != l.checkpoint.Root || stamped.Over != checkpoint.OverNote:
			v.found(i, Bad, EventInvalid, "the event records a time token of another checkpoint")
		case stamped.Token != from.Token || stamped.Bytes != int64(len(token)):
			v.found(i, Bad, EventInvalid, "the event records another time token")
		default:
			v.report.Links[i].Authority = stamped.Authority
		}
	}
	for _, covered := range from.Evidence {
		happened, err := v.codec.Decode(v.ctx, covered.Event.event(v.record.Log))
		kept, ok := happened.(checkpoint.EvidenceKept)
		if err != nil || !ok {
			v.found(i, Bad, EventInvalid, "an event that should name evidence does not")
			kept = checkpoint.EvidenceKept{}
		}
		for _, piece := range kept.Pieces {
			content, ok := v.pieces[piece.SHA256]
			if !ok || int64(len(content)) != piece.Bytes {
				v.found(i, Bad, EventInvalid, "a piece of evidence that an event names is not in the record: %s", piece.SHA256)
			}
			v.used[piece.SHA256] = true
		}
		l.kept = append(l.kept, kept)
	}
	for _, name := range from.Loose {
		if _, ok := v.pieces[name]; !ok {
			v.found(i, Bad, EventInvalid, "a piece of evidence is not in the record: %.64s", name)
		}
		v.used[name] = true
	}
}

// prove checks that the link's events are under later checkpoints.
func (v *verification) prove(i int) {
	from := &v.record.Links[i]
	last := i == len(v.links)-1
	switch {
	case last && from.Stamped != nil:
		v.found(i, Bad, ProofInvalid, "there is no later checkpoint that its event could be under")
	case !last && (from.Stamped == nil || from.Stamped.Under != i+2 || !v.included(*from.Stamped)):
		v.found(i, Bad, ProofInvalid, "it is not proved that the time token was recorded before the next stamp")
	}
	for _, covered := range from.Evidence {
		if covered.Under <= i+1 || covered.Under > len(v.links) || !v.included(covered) {
			v.found(i, Bad, ProofInvalid, "it is not proved that evidence was recorded before the stamp of link %d", covered.Under)
		}
	}
}

// included says that an event is under the checkpoint that it should be under.
func (v *verification) included(c Covered) bool {
	l := v.links[c.Under-1]
	if !l.read || c.Index >= l.checkpoint.Size || l.checkpoint.Size > math.MaxInt64 {
		return false
	}
	return tlog.CheckRecord(plain(c.Hashes), int64(l.checkpoint.Size), l.checkpoint.Root, int64(c.Index), tlog.RecordHash(c.Event.event(v.record.Log).Leaf())) == nil
}

// start checks that the record is about the checkpoint in question.
func (v *verification) start() {
	v.report.Start = Finding{Good, CodeGood, ""}
	wrong := func(code fault.Code, detail string) { v.report.Start = Finding{Bad, code, detail} }
	if v.record.Origin != v.Log.Name() {
		wrong(NoteInvalid, "the record is about another log")
		return
	}
	begin := translog.Checkpoint{Origin: v.record.Origin, Size: v.record.Start.Size, Root: translog.Hash(v.record.Start.Root)}
	v.report.Size = begin.Size
	if v.Checkpoint != nil {
		asked, _, err := translog.ParseCheckpoint(v.Checkpoint, v.Log.Name(), v.Log)
		switch {
		case err != nil:
			wrong(NoteInvalid, "the checkpoint in question is not one that this log has signed")
			return
		case asked.Size != begin.Size || asked.Root != begin.Root:
			wrong(NotTheStart, fmt.Sprintf("the record is about a checkpoint of %d events, the one in question is of %d or has another root", begin.Size, asked.Size))
			return
		}
	}
	first := v.links[0]
	switch {
	case !first.read:
		wrong(NotTheStart, "the first link's checkpoint cannot be read")
	case begin.Size == first.checkpoint.Size && (begin.Root != first.checkpoint.Root || len(v.record.Start.Consistency) > 0):
		wrong(NotTheStart, "the first link is about another tree of the same size")
	case begin.Size != first.checkpoint.Size && translog.CheckConsistency(begin, first.checkpoint, plain(v.record.Start.Consistency)) != nil:
		wrong(NotTheStart, "it is not proved that the checkpoint is the beginning of the first link's")
	}
	for name := range v.pieces {
		if !v.used[name] {
			wrong(RecordMalformed, "the record has a piece of evidence that no event names: "+name)
		}
	}
	if len(v.pieces) != len(v.record.Pieces) {
		wrong(RecordMalformed, "the record has a piece of evidence twice")
	}
}

// judge judges a link's token for the moment that the next link proves.
func (v *verification) judge(i int) {
	l, report := &v.links[i], &v.report.Links[i]
	last := i == len(v.links)-1
	moment := v.At.UTC()
	if !last {
		moment = v.report.Links[i+1].Stamped
	}
	report.Judged = moment
	if l.token == nil || report.Status == Bad {
		return
	}
	if !last && v.report.Links[i+1].Status != Good {
		// Of when this token was there nothing is known for sure.
		v.found(i, CannotTell, RestsOnWorse, "it rests on link %d", i+2)
		return
	}
	if report.Stamped.After(moment.Add(signature.Tolerance)) {
		v.found(i, Bad, OutOfOrder, "its stamp is of %s, after %s", rfc3339(report.Stamped), rfc3339(moment))
		return
	}
	pieces := v.evidence(i)
	var offered []*x509.Certificate
	for _, piece := range pieces {
		if certificate, err := pki.ParseCertificate(piece.DER); piece.Kind == signature.EvidenceCertificate && err == nil {
			offered = append(offered, certificate)
		}
	}
	answer := l.token.Check(v.Policy.Known(), question(v.Policy, offered, []byte(v.record.Links[i].Note), moment))
	if answer.Status != tsp.Good {
		status := Bad
		switch answer.Code {
		case tsp.Chain, tsp.AlgorithmUnsupported, tsp.AlgorithmWeak, tsp.ImprintWeak, tsp.CertificateMissing, tsp.ExtensionUnknown:
			status = CannotTell
		}
		v.found(i, status, fault.Code(answer.Code), "%s", answer.Detail)
		return
	}
	report.Algorithms = ofToken(v.Policy.Known(), l.token, answer.Path)
	for depth, certificate := range answer.Path[:max(1, len(answer.Path)-1)] {
		if !moment.After(certificate.NotAfter) {
			continue
		}
		who := "the authority's certificate"
		if depth > 0 {
			who = "an issuer's certificate"
		}
		if last {
			v.found(i, Bad, NotRenewed, "%s ended at %s, and no later stamp is in the record", who, rfc3339(certificate.NotAfter))
		} else {
			v.found(i, Bad, TooLate, "%s ended at %s, and the next stamp is of %s: a renewal was missed in between", who, rfc3339(certificate.NotAfter), rfc3339(moment))
		}
		return
	}
	if which, row, aged := v.Aged.At(append(report.Algorithms, "SHA256"), moment); aged {
		v.found(i, Bad, AlgorithmAged, "%s proves nothing from %s on (%s), and the next stamp is of %s", which, row.From.Format(time.DateOnly), row.Why, rfc3339(moment))
		return
	}
	v.revocation(i, answer, moment, last, pieces)
}

// kindIn is what a piece is.
func kindIn(der []byte) checkpoint.PieceKind {
	if response, err := ocsp.Parse(der); err == nil && response.Basic != nil {
		return checkpoint.PieceOCSP
	}
	if _, err := crl.Parse(der); err == nil {
		return checkpoint.PieceCRL
	}
	return checkpoint.PieceCertificate
}

// evidence returns what may be relied on for a link: what was there, and could
// be believed, when something proved that it was.
func (v *verification) evidence(i int) []signature.Evidence {
	var usable []signature.Evidence
	l, from := &v.links[i], &v.record.Links[i]
	take := func(kind checkpoint.PieceKind, content []byte, shown time.Time) {
		algorithms, until := ofEvidence(v.Policy.Known(), []checkpoint.Evidence{{Kind: kind, DER: content}})
		if _, _, aged := v.Aged.At(algorithms, shown); aged || !until.IsZero() && shown.After(until) {
			return
		}
		usable = append(usable, signature.Evidence{Kind: signatureKind(kind), DER: content})
		if name := digest(content); l.shown[name].IsZero() || shown.Before(l.shown[name]) {
			l.shown[name] = shown
		}
	}
	l.shown = map[string]time.Time{}
	for n, kept := range l.kept {
		under := from.Evidence[n].Under
		if under <= i+1 || under > len(v.links) || v.report.Links[under-1].Status != Good {
			continue // of when it was is not known
		}
		for _, piece := range kept.Pieces {
			take(piece.Kind, v.pieces[piece.SHA256], v.report.Links[under-1].Stamped)
		}
	}
	for _, name := range from.Loose {
		take(kindIn(v.pieces[name]), v.pieces[name], v.At)
	}
	return append(usable, v.Evidence...)
}

func signatureKind(kind checkpoint.PieceKind) signature.EvidenceKind {
	switch kind {
	case checkpoint.PieceOCSP:
		return signature.EvidenceOCSP
	case checkpoint.PieceCRL:
		return signature.EvidenceCRL
	}
	return signature.EvidenceCertificate
}

// madeAt is of when a piece of evidence is; zero for a certificate.
func madeAt(e signature.Evidence) time.Time {
	switch e.Kind {
	case signature.EvidenceOCSP:
		if response, err := ocsp.Parse(e.DER); err == nil && response.Basic != nil {
			return response.Basic.ProducedAt.UTC()
		}
	case signature.EvidenceCRL:
		if list, err := crl.Parse(e.DER); err == nil {
			return list.ThisUpdate.UTC()
		}
	}
	return time.Time{}
}

// revocation judges whether the authority was revoked by a moment: before which
// the token was there, whatever happened to the key later. For the last link
// that is not the moment of the question, for which there can be no answer
// without a network, but the stamp's own; then a key that was compromised later
// counts too, since nothing shows that the token is older.
func (v *verification) revocation(i int, answer tsp.Answer, moment time.Time, last bool, pieces []signature.Evidence) {
	at := moment
	if last {
		at = answer.Latest()
	}
	standings, _ := v.Policy.Standings(answer.Path, at, pieces)
	for depth, s := range standings {
		for _, e := range s.RestsOn {
			report := &v.report.Links[i]
			if name := e.Name(); !slices.Contains(report.RestsOn, name) {
				report.RestsOn = append(report.RestsOn, name)
			}
			if at := madeAt(e); at.After(report.KnownUntil) {
				report.KnownUntil = at
			}
			// What an issuer signs is believed as long as its certificate lasts.
			if issuer := answer.Path[depth+1]; depth+1 < len(answer.Path)-1 && v.links[i].shown[e.Name()].After(issuer.NotAfter) {
				v.found(i, CannotTell, EvidenceMissing, "that evidence was there is not shown before its issuer's certificate ended at %s", rfc3339(issuer.NotAfter))
			}
		}
		who := "the authority"
		if depth > 0 {
			who = fmt.Sprintf("issuer %d of the authority", depth)
		}
		void := s.Code != signature.RevocationGood && slices.ContainsFunc(s.Revoked, func(r signature.Revocation) bool { return voids(r, answer, at, last) })
		switch {
		case void:
			v.found(i, Bad, Revoked, "%s was revoked, and the next stamp is of %s: %s", who, rfc3339(moment), s.Detail)
		case s.Code == signature.RevocationRevoked, s.Code == signature.RevocationIssuerCompromised, s.Code == signature.RevocationIssuerUnexplained:
			// After the moment, or for a reason that leaves what was made before.
		case signature.StatusOf(s.Code) == signature.Invalid:
			v.found(i, Bad, fault.Code(s.Code), "%s: %s", who, s.Detail)
		case signature.StatusOf(s.Code) != signature.Valid:
			v.found(i, CannotTell, fault.Code(s.Code), "%s: %s", who, s.Detail)
		}
	}
}

// voids says that a revocation takes the proof from a token that was there at a
// moment. After it, nothing does. Before it, a certificate that was given up,
// replaced or moved leaves what it had stamped (RFC 3161, 4, with RFC 5280's
// reasons); any other reason, and none, may mean that somebody else had the key.
func voids(r signature.Revocation, answer tsp.Answer, at time.Time, last bool) bool {
	benign := false
	switch r.Reason {
	case crl.AffiliationChanged, crl.Superseded, crl.CessationOfOperation:
		benign = !r.Never && (r.Invalidity.IsZero() || r.Invalidity.After(answer.Latest()))
	}
	if benign {
		return !r.At.After(answer.Latest())
	}
	if last {
		return true
	}
	return r.Never || !r.At.After(at) || !r.Invalidity.IsZero() && !r.Invalidity.After(at)
}
