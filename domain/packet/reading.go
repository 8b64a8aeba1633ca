package packet

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"dalel/domain/certificate"
	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/domain/packet/report"
	"dalel/domain/participant"
	"dalel/domain/signature"
	"dalel/eventstore"
	"dalel/internal/fault"
)

// people are the participants that a history registers, by id.
type people map[string]person

// person is a participant as it was registered. Its name and numbers are "" where
// the packet does not open them, or they were destroyed, as an event says.
type person struct {
	participant.Registered
	destroyed bool
}

func peopleOf(history []record) people {
	known, destroyed := people{}, destroyedIn(history)
	for _, r := range history {
		if e, ok := r.event.(participant.Registered); ok {
			known[e.Participant] = person{e, destroyed[event.Subject("participant", e.Participant)]}
		}
	}
	return known
}

func (p people) who(id string) report.Who {
	return report.Who{ID: id, Name: p[id].Name, Erased: p[id].destroyed}
}

// source says where the reports of a packet come from.
func source(m Manifest) report.Source {
	return report.Source{
		Ledger: m.Ledger, VerifierName: m.Verifier.Name, VerifierVersion: m.Verifier.Version, Seal: m.Operator.Certificate,
		Position: uint64(m.Position), At: m.ExportedAt,
	}
}

// headline is the document's one status, by the events that the packet has.
func (c *composition) headline() document.Headline {
	certificates := map[string]certificate.State{}
	for _, fingerprint := range c.state.Certificates() {
		certificates[fingerprint] = c.certificateState(fingerprint)
	}
	return c.state.Situation(c.state.Weakest(c.state.Standings(certificates)), "").Headline()
}

// reading is what report.html and report.pdf say, out of the events alone.
func (c *composition) reading() report.Document {
	s, known := c.state, peopleOf(c.history)
	own := c.streams[document.StreamID(s.ID)]
	d := report.Document{
		Source: source(c.manifest), ID: s.ID, Number: s.Number, Kind: string(s.Details.Kind), Headline: string(c.headline()),
		Title: s.Details.Title, SenderNumber: s.Details.Number, Date: s.Details.Date, EndReason: s.EndReason, Held: s.Held(), Destroyed: s.Gone(),
		Chain: report.Chain{Events: len(c.history), Own: len(own), First: own[0].Commitment.String(), Last: own[len(own)-1].Commitment.String()},
	}
	if s.Details.Sum != nil {
		d.Minor, d.Currency = s.Details.Sum.Minor, s.Details.Sum.Currency
	}
	for i, f := range s.Files {
		file := report.File{Name: f.Name, MediaType: f.MediaType, SHA256: f.SHA256, Size: f.Size}
		if i < len(c.files) {
			file.Entry = c.files[i].entry
		}
		for _, caution := range f.Cautions {
			file.Cautions = append(file.Cautions, string(caution))
		}
		d.Files = append(d.Files, file)
	}
	for _, p := range c.parties() {
		d.Parties = append(d.Parties, partyOf(p, s.Sender, known))
	}
	for _, one := range c.signatures {
		d.Signatures = append(d.Signatures, c.signatureOf(one, known))
	}
	streams, destroyed := map[eventstore.StreamID]bool{}, destroyedIn(c.history)
	for i, r := range c.history {
		streams[r.Stream] = true
		d.Events = append(d.Events, c.eventOf(i, r, known, destroyed))
		for _, box := range r.withheld {
			if destroyed[box.Subject] {
				d.Absent.Erased++
			} else {
				d.Absent.Withheld++
			}
		}
		switch e := r.event.(type) {
		case document.FileAttached:
			if !slices.ContainsFunc(s.Files, func(f document.File) bool { return f.SHA256 == e.File.SHA256 }) {
				d.Absent.Drafts++
			}
		case document.SignatureRefused:
			d.Absent.Refused += len(e.Signatures)
		}
	}
	d.Chain.Streams = len(streams)
	if c.manifest.Format >= formatLog {
		d.Log = c.log.reading(len(c.history), c.manifest.Losses)
	}
	if len(c.signatures) > 0 && len(c.signatures[0].files) > 0 {
		d.Commands = c.signatureCommands(c.signatures[0], c.signatures[0].files[0])
	}
	return d
}

// reading is what the report says of the log, with so many proofs.
func (l *logPart) reading(proofs int, losses []Loss) *report.Log {
	var lost []report.Loss
	for _, loss := range losses {
		lost = append(lost, report.Loss{
			At: loss.At, Former: loss.FormerOrigin, Log: loss.Origin, Known: loss.Known, Missing: loss.Missing(), Ground: loss.Ground,
		})
	}
	switch {
	case l == nil:
		return &report.Log{Losses: lost}
	case !l.covered():
		return &report.Log{Origin: l.head.Origin, Losses: lost}
	}
	return &report.Log{
		Losses: lost,
		Origin: l.head.Origin, Size: l.head.Size, Root: l.root, Proofs: proofs,
		Witnesses: l.witnesses, Stamps: l.times, Since: l.sinceSize,
	}
}

// parties are those of the route, or the sender alone of a draft.
func (c *composition) parties() []document.Party {
	if len(c.state.Parties) > 0 {
		return c.state.Parties
	}
	return []document.Party{{Recipient: document.Recipient{Participant: c.state.Sender}}}
}

func at(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

func partyOf(p document.Party, sender string, known people) report.Party {
	registered := known[p.Participant]
	return report.Party{
		Who: known.who(p.Participant), Kind: string(registered.Kind), Identifier: registered.Identifier,
		Sender: p.Participant == sender, Role: string(p.Role), Outcome: string(p.Outcome), Order: p.Order, Attempts: p.Attempts,
		Deadline: at(p.Deadline), DeliveredAt: at(p.DeliveredAt), ViewedAt: at(p.ViewedAt), AcknowledgedAt: at(p.AcknowledgedAt), ActedAt: at(p.ActedAt),
	}
}

func verdictOf(v signature.Verdict) report.Verdict {
	out := report.Verdict{Status: string(v.Status), At: v.At}
	add := func(reasons []signature.Reason) {
		for _, r := range reasons {
			if !slices.Contains(out.Codes, r.Code) {
				out.Codes = append(out.Codes, r.Code)
			}
		}
	}
	add(v.Reasons)
	for _, signer := range v.Signers {
		add(signer.Reasons)
	}
	return out
}

func (c *composition) signatureOf(s signed, known people) report.Signature {
	number, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(s.folder, "signatures/"), "/"))
	out := report.Signature{
		Number: number, Party: known.who(s.by.Party), By: known.who(s.by.Party), Method: string(s.by.Method), Seal: s.by.Seal, Trusted: s.by.TrustedTime,
		Certificate: s.by.Certificate, Signing: verdictOf(s.signature.AtSigning()), Receipt: verdictOf(s.signature.Verdict),
		EventEntry: c.eventName(s.event), Force: string(s.standing.Force), Since: s.standing.Since, Source: string(s.standing.Source), Ground: s.standing.Ground, Replaced: s.replaced,
	}
	out.Kind, out.Identifier = string(known[s.by.Party].Kind), known[s.by.Party].Identifier
	if person := s.by.By.Person; person != "" && person != s.by.Party {
		out.By, out.OnBehalf = known.who(person), true
	}
	for _, f := range s.files {
		out.Files = append(out.Files, f.entry)
	}
	for _, r := range c.streams[certificate.StreamID(s.by.Certificate)] {
		if e, ok := r.event.(certificate.Registered); ok {
			out.Subject = subjectOf(e)
			out.NotBefore, out.NotAfter = e.NotBefore, e.NotAfter
			break
		}
	}
	for _, signer := range s.signature.AtSigning().Signers {
		if signer.Certificate == s.by.Certificate {
			out.Algorithm, out.ClaimedAt = signer.Algorithm, at(signer.ClaimedAt)
		}
	}
	add := func(kind, entry string) {
		out.Evidence = append(out.Evidence, report.Evidence{Kind: kind, Entry: entry})
	}
	add("signature", s.folder+"signature.p7s")
	add("certificate", s.folder+"certificate.cer")
	for i := range s.chain {
		add("chain", s.chainName(i))
	}
	for _, e := range s.evidence {
		kind := "timestamp"
		switch e.Kind {
		case signature.EvidenceCertificate:
			kind = "tsa"
		case signature.EvidenceOCSP:
			kind = "ocsp"
		case signature.EvidenceCRL:
			kind = "crl"
		}
		add(kind, e.name)
	}
	add("verdict", s.folder+"verdict.json")
	return out
}

// subjectOf is what a certificate says of whose it is. The registration repeats
// the certificate, and a verifier compares the two.
func subjectOf(e certificate.Registered) report.Subject {
	return report.Subject{
		Person: e.OwnerPerson, Name: e.OwnerName, IIN: e.OwnerIIN, BIN: e.OwnerBIN, Role: e.Role, Serial: e.Serial, Issuer: e.Issuer,
	}
}

func (c *composition) eventOf(i int, r record, known people, destroyed map[string]bool) report.Event {
	e := report.Event{
		Number: i + 1, Type: r.Type, At: r.metadata.RecordedAt, Actor: known.who(r.metadata.Actor),
		Facts: factsOf(r.event, known), Entry: eventName(i+1, r.Type),
	}
	for _, box := range r.withheld {
		e.Destroyed = e.Destroyed || destroyed[box.Subject]
		e.Withheld = e.Withheld || !destroyed[box.Subject]
	}
	from := &facts{known: known}
	from.text("ip", r.metadata.IP)
	from.text("device", r.metadata.Device)
	e.Facts = append(e.Facts, from.list...)
	if other := r.metadata.OnBehalfOf; other != "" && other != r.metadata.Actor {
		who := known.who(other)
		e.OnBehalf = &who
	}
	return e
}

// facts gathers what an event says.
type facts struct {
	known people
	list  []report.Fact
}

func (f *facts) add(label string, v report.Value) {
	f.list = append(f.list, report.Fact{Label: "fact." + label, Value: v})
}

func (f *facts) text(label, text string) {
	if text != "" {
		f.add(label, report.Value{Text: text})
	}
}

func (f *facts) who(label string, ids ...string) {
	for _, id := range ids {
		who := f.known.who(id)
		f.add(label, report.Value{Who: &who})
	}
}

func (f *facts) at(label string, t time.Time) {
	if !t.IsZero() {
		f.add(label, report.Value{At: t})
	}
}

func (f *facts) coded(label, family, code string) {
	f.add(label, report.Value{Text: code, Family: family, Coded: true})
}

func (f *facts) verdicts(signatures []document.FileSignature) {
	for _, s := range signatures {
		f.text("hash", s.File)
		v := s.AtSigning()
		f.add("verdict", report.Value{Text: string(v.Status), Family: "verdict"})
		for _, code := range verdictOf(v).Codes {
			f.coded("refused", "reason", code)
		}
	}
}

// factsOf is what an event says beside who did it and when it was recorded. An
// event of a type that is not known here says nothing more: its file is there.
func factsOf(happened event.Event, known people) []report.Fact {
	f := &facts{known: known}
	switch e := happened.(type) {
	case participant.Registered:
		f.who("party", e.Participant)
	case certificate.Registered:
		f.who("party", e.Participant)
		f.text("certificate", e.Certificate)
	case certificate.KeyCompromiseReported:
		f.who("party", e.Participant)
		f.text("notice", e.Notice)
		f.add("channel", report.Value{Text: string(e.Channel), Family: "channel"})
		f.text("officer", e.Officer)
		f.text("circumstances", e.Circumstances)
		f.at("at", e.ReceivedAt)
		f.at("from", e.CompromisedFrom)
		f.text("certificate", e.Certificate)
	case certificate.Suspended:
		f.text("notice", e.Notice)
		f.at("at", e.SuspendedAt)
		f.text("reaction", fmt.Sprintf("%d:%02d:%02d", e.ReactionSeconds/3600, e.ReactionSeconds/60%60, e.ReactionSeconds%60))
		limit := "late"
		if e.WithinLimit {
			limit = "kept"
		}
		f.add("limit", report.Value{Text: limit, Family: "limit"})
		f.text("certificate", e.Certificate)
	case certificate.Resumed:
		f.who("party", e.Participant)
		f.text("withdrawn", e.Notice)
		f.add("channel", report.Value{Text: string(e.Channel), Family: "channel"})
		f.at("at", e.ResumedAt)
		f.text("reason", e.Reason)
		f.text("certificate", e.Certificate)
	case certificate.Annulled:
		f.at("at", e.AnnulledAt)
		f.text("reason", e.Reason)
		f.text("certificate", e.Certificate)
	case document.NumberClaimed:
		f.text("number", e.Number)
	case document.Created:
		f.text("title", e.Details.Title)
	case document.Described:
		f.text("title", e.Details.Title)
	case document.FileAttached:
		f.text("file", e.File.Name)
		f.text("hash", e.File.SHA256)
		f.text("replaces", e.Replaces)
	case document.FileRemoved:
		f.text("file", e.Name)
		f.text("hash", e.SHA256)
	case document.FileRefused:
		f.text("file", e.Name)
		f.coded("refused", "fault", string(e.Code))
	case document.Sent:
		if e.SenderSigns {
			f.who("sendersigns", e.Sender)
		}
		for _, r := range e.Recipients {
			f.who("recipients", r.Participant)
		}
		f.at("at", e.SentAt)
	case document.Delivered:
		f.who("party", e.Recipient)
		f.at("at", e.DeliveredAt)
	case document.Viewed:
		f.who("party", e.Recipient)
		f.at("at", e.ViewedAt)
	case document.Acknowledged:
		f.who("party", e.Recipient)
		f.at("at", e.AcknowledgedAt)
	case document.Signed:
		f.who("party", e.Party)
		f.at("at", e.SignedAt)
		f.text("certificate", e.Certificate)
		for _, s := range e.Signatures {
			f.text("hash", s.File)
			f.add("verdict", report.Value{Text: string(s.AtSigning().Status), Family: "verdict"})
		}
	case document.SignatureRefused:
		f.who("party", e.Party)
		f.at("at", e.AttemptedAt)
		f.coded("refused", "fault", string(e.Code))
		for _, r := range e.Reasons {
			f.coded("refused", "reason", string(r.Code))
		}
		if len(e.Reasons) == 0 {
			f.verdicts(e.Signatures)
		}
		if e.Again {
			f.text("again", "yes")
		}
	case document.Approved:
		f.who("party", e.Party)
		f.at("at", e.ApprovedAt)
	case document.Rejected:
		f.who("party", e.Party)
		f.at("at", e.RejectedAt)
		f.text("reason", e.Reason)
	case document.Completed:
		f.text("number", e.Number)
		f.at("at", e.CompletedAt)
	case document.Revoked:
		f.who("party", e.Party)
		f.at("at", e.RevokedAt)
		f.text("reason", e.Reason)
		if e.AfterCompletion {
			f.text("after", "yes")
		}
	case document.RevocationProposed:
		f.who("party", e.Party)
		f.at("at", e.ProposedAt)
		f.text("reason", e.Reason)
	case document.RevocationConsented:
		f.who("party", e.Party)
		f.at("at", e.ConsentedAt)
	case document.RevocationDeclined:
		f.who("party", e.Party)
		f.at("at", e.DeclinedAt)
		f.text("reason", e.Reason)
	case document.Expired:
		f.add("deadline", report.Value{Due: e.Deadline})
		f.who("late", e.Parties...)
	case certificate.Revoked:
		f.at("from", e.From())
		f.at("at", e.RevokedAt)
		f.text("certificate", e.Certificate)
	case certificate.ExpiryWarned:
		f.at("deadline", e.NotAfter)
		f.text("certificate", e.Certificate)
	case document.DoubtLifted:
		f.text("notice", e.Notice)
		f.at("at", e.WithdrawnAt)
		f.who("doubted", e.Parties...)
		f.text("certificate", e.Certificate)
	case document.SignaturesRevoked:
		f.at("from", e.From)
		f.who("fallen", e.Parties...)
		f.text("certificate", e.Certificate)
	case document.SignatureDecided:
		f.who("party", e.Party)
		f.add("ruling", report.Value{Text: string(e.Ruling), Family: "ruling"})
		f.text("reason", e.Ground)
		f.at("at", e.DecidedAt)
		f.text("certificate", e.Certificate)
	case document.SignaturesDoubted:
		f.text("notice", e.Notice)
		f.at("from", e.CompromisedFrom)
		f.who("doubted", e.Affected...)
		f.who("standing", e.Standing...)
		f.text("certificate", e.Certificate)
	case document.ExemplarIssued:
		f.who("party", e.Party)
		f.text("exemplar", strconv.Itoa(e.Exemplar))
	case document.PaperCopyIssued:
		f.who("party", e.Party)
		f.text("copy", strconv.Itoa(e.Copy))
		f.text("hash", e.SHA256)
	case document.HoldPlaced:
		f.text("hold", e.Hold)
		f.text("reason", e.Ground)
	case document.HoldLifted:
		f.text("hold", e.Hold)
		f.text("reason", e.Reason)
	case document.DestructionRequested:
		f.who("party", e.Party)
		f.text("reason", e.Reason)
		f.text("letter", e.Letter.SHA256)
	case document.DestructionProposed:
		f.add("rule", report.Value{Text: e.Rule, Family: "retention.record"})
		f.at("retained", e.RetainedUntil)
	case document.DestructionOrdered:
		f.add("basis", report.Value{Text: string(e.Basis), Family: "basis"})
		f.at("retained", at(e.RetainedUntil))
		f.who("asked", e.Requests...)
	case document.Destroyed:
		f.at("at", e.DestroyedAt)
	}
	return f.list
}

// addReports adds report.html and report.pdf.
func (c *composition) addReports(from interface {
	HTML() ([]byte, error)
	PDF() ([]byte, error)
}) error {
	page, err := from.HTML()
	if err != nil {
		return fault.Wrap(fault.Internal, err, "set the report")
	}
	paper, err := from.PDF()
	if err != nil {
		return fault.Wrap(fault.Internal, err, "set the report")
	}
	c.add(reportHTMLName, typeHTML, ClaimReport, page)
	c.add(reportPDFName, typePDF, ClaimReport, paper)
	return nil
}
