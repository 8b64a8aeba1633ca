package document

import (
	"math"
	"slices"
	"time"

	"dalel/domain/event"
)

// Status is where a document stands (R-D4).
type Status string

// The statuses. The zero Status is that of a document that does not exist.
const (
	None      Status = ""
	Draft     Status = "draft"
	Awaiting  Status = "awaiting"
	Complete  Status = "signed"
	Refused   Status = "rejected"
	Withdrawn Status = "revoked"
	Lapsed    Status = "expired"
)

// Outcome is what a party did.
type Outcome string

// The outcomes. The zero Outcome is "nothing yet".
const (
	OutcomeSigned   Outcome = "signed"
	OutcomeApproved Outcome = "approved"
	OutcomeRejected Outcome = "rejected"
)

// Party is one participant's part in a sent document. The sender is the party
// of order 0.
type Party struct {
	Recipient
	DeliveredAt    *time.Time
	ViewedAt       *time.Time
	AcknowledgedAt *time.Time
	// Outcome is what it did; "" again when its signature lost its force while
	// the route was still open, so that it can sign with another key.
	Outcome Outcome
	ActedAt *time.Time
	// Attempts counts its refused signatures.
	Attempts int
}

// acts reports whether the route waits for this party at all.
func (p Party) acts() bool { return p.Role == RoleSign || p.Role == RoleApprove }

// Signature is a party's signature over all files of the document.
type Signature struct {
	Signed
	// Decision is the latest decision on it, nil while there is none.
	Decision *SignatureDecided
	// Doubts are the notices of which the parties were told, Lifted those of
	// them of whose withdrawal they were told too.
	Doubts, Lifted []string
	// Revoked says that the parties were told of the authority's revocation.
	Revoked bool
}

// Proposal is a proposal to revoke a completed document.
type Proposal struct {
	Party    string
	Reason   string
	Consents []string
}

// Hold is a legal hold that stands (R-G4).
type Hold struct {
	ID       string
	Ground   string
	PlacedAt time.Time
}

// Request is a party's official request to destroy the document (R-G5).
type Request struct {
	Party  string
	At     time.Time
	Letter RequestLetter
}

// Copy is a copy for paper that was issued (R-D10).
type Copy struct {
	// Number stands on the copy, from 1.
	Number int
	// Size, SHA256 and Stored are those of the PDF, as in [File].
	Size     int64
	SHA256   string
	Stored   string
	Party    string
	IssuedAt time.Time
}

// State is what a document's events add up to. The zero State is that of a
// document that does not exist.
//
// Once the document's key is destroyed its events are read with empty titles,
// names and reasons. They still add up: to the same statuses, parties, files
// and times, without the words. From the order of destruction on the state
// has none of the words either way, whether the key still exists or not.
type State struct {
	ID          string
	Sender      string
	Details     Details
	Files       []File
	Status      Status
	SenderSigns bool
	SentAt      *time.Time
	// Parties are those of the route, the sender first, then as sent.
	Parties    []Party
	Signatures []Signature
	// Undecided are the attempts that wait to be checked again.
	Undecided []Undecided
	// Number is the 20-digit number of a completed document.
	Number      string
	CompletedAt *time.Time
	Proposal    *Proposal
	// EndReason is why it was rejected or revoked.
	EndReason string
	// EndedAt is when the route ended (signed, rejected, revoked or expired);
	// a revocation after completion moves it.
	EndedAt *time.Time
	// LastDelivery is when the last recipient so far got it.
	LastDelivery *time.Time
	// LastRecorded is the time of the last act in the document's journal, from
	// sending on. Holds, requests to destroy and what follows from them are
	// not of that journal: retention would never end if they made it longer.
	LastRecorded *time.Time
	// FileRefusals counts the files that were not received; FileRefused says
	// that the last file to come was not.
	FileRefusals int
	FileRefused  bool
	// Exemplars counts the exemplars issued; Copies are the paper copies.
	Exemplars int
	Copies    []Copy
	// Holds are the legal holds that stand, in the order of placing.
	Holds []Hold
	// WasHeld says that a hold was ever placed.
	WasHeld bool
	// Requests are the parties that asked for the destruction. Sending the
	// document ends a request made while it was a draft.
	Requests []Request
	// DestructionProposal is the last proposal to destroy it, nil if none.
	DestructionProposal *DestructionProposed
	// Ordered is the order to destroy it, nil if none.
	Ordered *DestructionOrdered
	// DestroyedAt is when its key was gone.
	DestroyedAt *time.Time
}

// Gone reports whether the document's destruction is ordered or done: no
// original of it exists (R-D11).
func (s State) Gone() bool { return s.Ordered != nil || s.DestroyedAt != nil }

// Held reports whether a legal hold stands.
func (s State) Held() bool { return len(s.Holds) > 0 }

// NextCopy is the number of the paper copy that is issued next.
func (s State) NextCopy() int { return len(s.Copies) + 1 }

// Signatories are those whose evidence the document is: who signed it, be it
// that the signature lost its force later, or approved it; in the order of the
// route.
func (s State) Signatories() []string {
	var names []string
	for _, p := range s.Parties {
		if p.Outcome == OutcomeApproved || slices.ContainsFunc(s.Signatures, func(sig Signature) bool { return sig.Party == p.Participant }) {
			names = append(names, p.Participant)
		}
	}
	return names
}

// Party returns the party of that name.
func (s State) Party(participant string) (Party, bool) {
	if i := s.index(participant); i >= 0 {
		return s.Parties[i], true
	}
	return Party{}, false
}

// Undecided is an attempt to sign of which it could not be told whether the
// signature is valid.
type Undecided struct {
	SignatureRefused
	// Attempt is which of the party's attempts it is, from 1.
	Attempt int
}

func (s State) undecidedWithout(drop func(Undecided) bool) []Undecided {
	var kept []Undecided
	for _, u := range s.Undecided {
		if !drop(u) {
			kept = append(kept, u)
		}
	}
	return kept
}

func (s State) index(participant string) int {
	return slices.IndexFunc(s.Parties, func(p Party) bool { return p.Participant == participant })
}

// File returns the file of that name.
func (s State) File(name string) (File, bool) {
	i := slices.IndexFunc(s.Files, func(f File) bool { return f.Name == name })
	if i < 0 {
		return File{}, false
	}
	return s.Files[i], true
}

// FileOf returns the file with this content; if several have it, the first.
func (s State) FileOf(sha256 string) (File, bool) {
	i := slices.IndexFunc(s.Files, func(f File) bool { return f.SHA256 == sha256 })
	if i < 0 {
		return File{}, false
	}
	return s.Files[i], true
}

// step is the order of the parties who are to act now: the lowest at which
// somebody has not. Beyond every order when all have.
func (s State) step() int {
	step := math.MaxInt
	for _, p := range s.Parties {
		if p.acts() && p.Outcome == "" {
			step = min(step, p.Order)
		}
	}
	return step
}

// IsTurn reports whether the route waits for this participant now.
func (s State) IsTurn(participant string) bool {
	p, ok := s.Party(participant)
	return ok && s.Status == Awaiting && p.acts() && p.Outcome == "" && p.Order == s.step()
}

// CanSee reports whether a participant may see the document: its sender at
// all times, a recipient from delivery on.
func (s State) CanSee(participant string) bool {
	if s.Status == None {
		return false
	}
	if participant == s.Sender {
		return true
	}
	p, ok := s.Party(participant)
	return ok && p.DeliveredAt != nil
}

// consenters are those whose consent a revocation after completion needs: all
// who signed or approved, but for the sender.
func (s State) consenters() []string {
	var names []string
	for _, p := range s.Parties {
		if p.acts() && p.Participant != s.Sender {
			names = append(names, p.Participant)
		}
	}
	return names
}

// Evolve returns the state after an event. It never changes its argument. An
// event of another aggregate leaves the state as it is: the codec has refused
// unknown types before.
func Evolve(s State, e event.Event) State {
	// Parties are the one thing changed in place below.
	s.Parties = slices.Clone(s.Parties)
	party := func(name string, change func(*Party)) {
		if i := s.index(name); i >= 0 {
			change(&s.Parties[i])
		}
	}
	act := func(name string, outcome Outcome, at time.Time) {
		party(name, func(p *Party) { p.Outcome, p.ActedAt = outcome, &at })
	}
	switch e := e.(type) {
	case Created:
		return State{ID: e.Document, Sender: e.Sender, Details: e.Details, Status: Draft}
	case Described:
		s.Details = e.Details
	case FileAttached:
		s.FileRefused = false
		s.Files = append(s.filesWithout(e.File.Name, e.Replaces), e.File)
	case FileRemoved:
		s.Files = s.filesWithout(e.Name, e.SHA256)
	case Sent:
		s.Status, s.SenderSigns, s.SentAt, s.Requests = Awaiting, e.SenderSigns, &e.SentAt, nil
		sender := Party{Recipient: Recipient{Participant: e.Sender}}
		if e.SenderSigns {
			sender.Role, sender.Method = RoleSign, MethodCertificate
		}
		s.Parties = []Party{sender}
		for _, r := range e.Recipients {
			s.Parties = append(s.Parties, Party{Recipient: r})
		}
	case Delivered:
		party(e.Recipient, func(p *Party) { p.DeliveredAt = &e.DeliveredAt })
		s.LastDelivery = later(s.LastDelivery, e.DeliveredAt)
	case Viewed:
		party(e.Recipient, func(p *Party) { p.ViewedAt = &e.ViewedAt })
	case Acknowledged:
		party(e.Recipient, func(p *Party) { p.AcknowledgedAt = &e.AcknowledgedAt })
	case Signed:
		act(e.Party, OutcomeSigned, e.ReceivedAt)
		s.Undecided = s.undecidedWithout(func(u Undecided) bool { return u.Party == e.Party })
		s.Signatures = append(slices.Clone(s.Signatures), Signature{Signed: e})
	case SignatureRefused:
		if e.Attempt > 0 {
			s.Undecided = s.undecidedWithout(func(u Undecided) bool { return u.Party == e.Party && u.Attempt == e.Attempt })
			break
		}
		party(e.Party, func(p *Party) { p.Attempts++ })
		if p, ok := s.Party(e.Party); ok && e.Again {
			s.Undecided = append(slices.Clone(s.Undecided), Undecided{SignatureRefused: e, Attempt: p.Attempts})
		}
	case Approved:
		act(e.Party, OutcomeApproved, e.ApprovedAt)
	case Rejected:
		act(e.Party, OutcomeRejected, e.RejectedAt)
		s.Status, s.EndReason, s.EndedAt = Refused, e.Reason, &e.RejectedAt
	case Completed:
		s.Status, s.Number, s.CompletedAt = Complete, e.Number, &e.CompletedAt
		s.EndedAt = &e.CompletedAt
	case Revoked:
		s.Status, s.EndReason, s.Proposal = Withdrawn, e.Reason, nil
		s.EndedAt = &e.RevokedAt
	case RevocationProposed:
		s.Proposal = &Proposal{Party: e.Party, Reason: e.Reason}
	case RevocationConsented:
		if s.Proposal != nil {
			proposal := *s.Proposal
			proposal.Consents = append(slices.Clone(proposal.Consents), e.Party)
			s.Proposal = &proposal
		}
	case RevocationDeclined:
		s.Proposal = nil
	case Expired:
		s.Status, s.EndedAt = Lapsed, &e.ExpiredAt
	case SignaturesDoubted:
		s.mark(e.Certificate, e.Affected, func(sig *Signature) { sig.Doubts = append(slices.Clone(sig.Doubts), e.Notice) })
	case DoubtLifted:
		s.mark(e.Certificate, e.Parties, func(sig *Signature) { sig.Lifted = append(slices.Clone(sig.Lifted), e.Notice) })
	case SignaturesRevoked:
		s.mark(e.Certificate, e.Parties, func(sig *Signature) { sig.Revoked = true })
		s.askAgain(e.Parties...)
	case SignatureDecided:
		if n := e.Signature - 1; n >= 0 && n < len(s.Signatures) {
			s.Signatures = slices.Clone(s.Signatures)
			s.Signatures[n].Decision = &e
			if e.Ruling == RulingLost && !s.Replaced(n) {
				s.askAgain(e.Party)
			}
		}
	case FileRefused:
		s.FileRefusals++
		s.FileRefused = true
	case ExemplarIssued:
		s.Exemplars++
	case PaperCopyIssued:
		s.Copies = append(slices.Clone(s.Copies), Copy{
			Number: e.Copy, Size: e.Size, SHA256: e.SHA256, Stored: e.Stored, Party: e.Party, IssuedAt: e.IssuedAt,
		})
	case HoldPlaced:
		s.Holds = append(slices.Clone(s.Holds), Hold{ID: e.Hold, Ground: e.Ground, PlacedAt: e.PlacedAt})
		s.WasHeld = true
	case HoldLifted:
		s.Holds = slices.DeleteFunc(slices.Clone(s.Holds), func(h Hold) bool { return h.ID == e.Hold })
	case DestructionRequested:
		s.Requests = append(slices.Clone(s.Requests), Request{Party: e.Party, At: e.RequestedAt, Letter: e.Letter})
	case DestructionProposed:
		s.DestructionProposal = &e
	case DestructionOrdered:
		s.Ordered = &e
		s.forgetWords()
	case Destroyed:
		s.DestroyedAt = &e.DestroyedAt
	}
	if at, ok := journalled(e); ok {
		s.LastRecorded = later(s.LastRecorded, at)
	}
	return s
}

// mark changes the signatures of parties with a certificate's key.
func (s *State) mark(certificate string, parties []string, change func(*Signature)) {
	s.Signatures = slices.Clone(s.Signatures)
	for i, sig := range s.Signatures {
		if sig.Certificate == certificate && slices.Contains(parties, sig.Party) {
			change(&s.Signatures[i])
		}
	}
}

// askAgain asks parties to sign again whose signatures lost their force, if
// the route is still open. Parties is the state's own copy.
func (s *State) askAgain(parties ...string) {
	if s.Status != Awaiting {
		return
	}
	for i, p := range s.Parties {
		if slices.Contains(parties, p.Participant) && p.Outcome == OutcomeSigned {
			s.Parties[i].Outcome, s.Parties[i].ActedAt = "", nil
		}
	}
}

// filesWithout returns a copy of the files without that of a name. Where the
// name can be read by nobody any more it is "", and the hash tells which file
// is meant; it is "" if none is.
func (s State) filesWithout(name, hash string) []File {
	files := slices.Clone(s.Files)
	if name != "" {
		return slices.DeleteFunc(files, func(f File) bool { return f.Name == name })
	}
	// Two files may have the same content. One of them goes, and without
	// names they are alike.
	if i := slices.IndexFunc(files, func(f File) bool { return f.SHA256 == hash }); i >= 0 {
		files = slices.Delete(files, i, i+1)
	}
	return files
}

// forgetWords empties what is sealed under the document's key, since nobody is
// shown it any more. (No hold stands, or nothing would have been ordered.)
// Slices and pointers are replaced, never changed.
func (s *State) forgetWords() {
	s.Details.Title, s.Details.Number, s.Details.Sum, s.EndReason = "", "", nil, ""
	s.Files = slices.Clone(s.Files)
	for i := range s.Files {
		s.Files[i].Name = ""
	}
	if s.Proposal != nil {
		proposal := *s.Proposal
		proposal.Reason = ""
		s.Proposal = &proposal
	}
	s.Signatures = slices.Clone(s.Signatures)
	for i, sig := range s.Signatures {
		if sig.Decision != nil {
			decision := *sig.Decision
			decision.Ground = ""
			s.Signatures[i].Decision = &decision
		}
	}
}

func later(known *time.Time, at time.Time) *time.Time {
	if known != nil && !at.After(*known) {
		return known
	}
	return &at
}

// journalled returns the time of an act that stands in the document's
// journal, for [State.LastRecorded]. Attempts that changed nothing are left
// out: they come before the route's end, which is later.
func journalled(e event.Event) (time.Time, bool) {
	switch e := e.(type) {
	case Sent:
		return e.SentAt, true
	case Delivered:
		return e.DeliveredAt, true
	case Viewed:
		return e.ViewedAt, true
	case Acknowledged:
		return e.AcknowledgedAt, true
	case Signed:
		return e.ReceivedAt, true
	case Approved:
		return e.ApprovedAt, true
	case Rejected:
		return e.RejectedAt, true
	case Completed:
		return e.CompletedAt, true
	case Revoked:
		return e.RevokedAt, true
	case RevocationProposed:
		return e.ProposedAt, true
	case RevocationConsented:
		return e.ConsentedAt, true
	case RevocationDeclined:
		return e.DeclinedAt, true
	case Expired:
		return e.ExpiredAt, true
	case SignaturesDoubted:
		return e.MarkedAt, true
	case DoubtLifted:
		return e.LiftedAt, true
	case SignaturesRevoked:
		return e.MarkedAt, true
	case SignatureDecided:
		return e.DecidedAt, true
	case ExemplarIssued:
		return e.IssuedAt, true
	case PaperCopyIssued:
		return e.IssuedAt, true
	default:
		return time.Time{}, false
	}
}
