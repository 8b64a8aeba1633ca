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
	// Outcome is what it did; "" again when its signature fell while the
	// route was still open, so that it can sign with another key.
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
	// FallenBy is the compromise notice by which it fell, "" while it stands.
	FallenBy string
}

// Proposal is a proposal to revoke a completed document.
type Proposal struct {
	Party    string
	Reason   string
	Consents []string
}

// State is what a document's events add up to. The zero State is that of a
// document that does not exist.
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
	// Number is the 20-digit number of a completed document.
	Number      string
	CompletedAt *time.Time
	Proposal    *Proposal
	// EndReason is why it was rejected or revoked.
	EndReason string
}

// Party returns the party of that name.
func (s State) Party(participant string) (Party, bool) {
	if i := s.index(participant); i >= 0 {
		return s.Parties[i], true
	}
	return Party{}, false
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

// Compromised reports whether some signature of the document has fallen.
func (s State) Compromised() bool {
	return slices.ContainsFunc(s.Signatures, func(sig Signature) bool { return sig.FallenBy != "" })
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
		s.Files = slices.DeleteFunc(slices.Clone(s.Files), func(f File) bool { return f.Name == e.File.Name })
		s.Files = append(s.Files, e.File)
	case FileRemoved:
		s.Files = slices.DeleteFunc(slices.Clone(s.Files), func(f File) bool { return f.Name == e.Name })
	case Sent:
		s.Status, s.SenderSigns, s.SentAt = Awaiting, e.SenderSigns, &e.SentAt
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
	case Viewed:
		party(e.Recipient, func(p *Party) { p.ViewedAt = &e.ViewedAt })
	case Acknowledged:
		party(e.Recipient, func(p *Party) { p.AcknowledgedAt = &e.AcknowledgedAt })
	case Signed:
		act(e.Party, OutcomeSigned, e.ReceivedAt)
		s.Signatures = append(slices.Clone(s.Signatures), Signature{Signed: e})
	case SignatureRefused:
		party(e.Party, func(p *Party) { p.Attempts++ })
	case Approved:
		act(e.Party, OutcomeApproved, e.ApprovedAt)
	case Rejected:
		act(e.Party, OutcomeRejected, e.RejectedAt)
		s.Status, s.EndReason = Refused, e.Reason
	case Completed:
		s.Status, s.Number, s.CompletedAt = Complete, e.Number, &e.CompletedAt
	case Revoked:
		s.Status, s.EndReason, s.Proposal = Withdrawn, e.Reason, nil
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
		s.Status = Lapsed
	case KeyCompromised:
		s.Signatures = slices.Clone(s.Signatures)
		for i, sig := range s.Signatures {
			if sig.Certificate == e.Certificate && sig.FallenBy == "" && slices.Contains(e.Affected, sig.Party) {
				s.Signatures[i].FallenBy = e.Notice
			}
		}
		if s.Status == Awaiting {
			for _, name := range e.Affected {
				party(name, func(p *Party) {
					if p.Outcome == OutcomeSigned {
						p.Outcome, p.ActedAt = "", nil
					}
				})
			}
		}
	}
	return s
}
