package document

import (
	"slices"
)

// Headline is the one status that a document is shown with, everywhere: on its
// page, in lists, on the check page, in reports.
type Headline string

// The headlines, by precedence: the first that applies is the document's.
const (
	HeadlineDestroyed          Headline = "destroyed"
	HeadlineRevoked            Headline = "revoked"
	HeadlineLost               Headline = "signature-lost"
	HeadlineRejected           Headline = "rejected"
	HeadlineDoubt              Headline = "signature-in-doubt"
	HeadlineRevocationProposed Headline = "revocation-proposed"
	HeadlineExpired            Headline = "expired"
	HeadlineChecking           Headline = "checking"
	HeadlineSign               Headline = "sign"
	HeadlineApprove            Headline = "approve"
	HeadlineRead               Headline = "read"
	HeadlineSent               Headline = "sent"
	HeadlineWaiting            Headline = "waiting"
	HeadlineSigned             Headline = "signed"
	HeadlineFileRefused        Headline = "file-refused"
	HeadlineDraft              Headline = "draft"
)

// Headlines returns all headlines in their order.
func Headlines() []Headline {
	return []Headline{
		HeadlineDestroyed, HeadlineRevoked, HeadlineLost, HeadlineRejected, HeadlineDoubt, HeadlineRevocationProposed,
		HeadlineExpired, HeadlineChecking, HeadlineSign, HeadlineApprove, HeadlineRead, HeadlineSent, HeadlineWaiting,
		HeadlineSigned, HeadlineFileRefused, HeadlineDraft,
	}
}

// Situation is what a headline depends on. [State.Situation] gathers it from a
// document; a read model keeps it.
type Situation struct {
	Status Status
	// Gone says that the destruction is ordered or done.
	Gone bool
	// Force is that of the signatures taken together ([State.Weakest]).
	Force Force
	// Proposed says that a revocation waits for consents, Undecided that a
	// signature is being checked again, FileRefused that the last file of a
	// draft was not received.
	Proposed, Undecided, FileRefused bool
	// Turn is what the route waits for from the viewer now, "" for nothing.
	Turn Role
	// Unread says that it was sent to the viewer to be read, and was not.
	Unread bool
	// Delivered says that at least one recipient has it.
	Delivered bool
}

// Situation gathers what the headline depends on, as a viewer sees it: a
// party, or "" for somebody who is none.
func (s State) Situation(force Force, viewer string) Situation {
	situation := Situation{
		Status: s.Status, Gone: s.Gone(), Force: force, Proposed: s.Proposal != nil,
		Undecided: len(s.Undecided) > 0, FileRefused: s.FileRefused,
		Delivered: slices.ContainsFunc(s.Parties, func(p Party) bool { return p.DeliveredAt != nil }),
	}
	if p, ok := s.Party(viewer); ok {
		if s.IsTurn(viewer) {
			situation.Turn = p.Role
		}
		situation.Unread = p.Role == RoleRead && p.DeliveredAt != nil && p.ViewedAt == nil
	}
	return situation
}

// Headline is the first that applies.
func (s Situation) Headline() Headline {
	open := s.Status == Awaiting
	switch {
	case s.Gone:
		return HeadlineDestroyed
	case s.Status == Withdrawn:
		return HeadlineRevoked
	case s.Force == ForceLost:
		return HeadlineLost
	case s.Status == Refused:
		return HeadlineRejected
	case s.Force == ForceDoubt:
		return HeadlineDoubt
	case s.Proposed:
		return HeadlineRevocationProposed
	case s.Status == Lapsed:
		return HeadlineExpired
	case open && s.Undecided:
		return HeadlineChecking
	case open && s.Turn == RoleSign:
		return HeadlineSign
	case open && s.Turn == RoleApprove:
		return HeadlineApprove
	case s.Unread && (open || s.Status == Complete):
		return HeadlineRead
	case open && !s.Delivered:
		return HeadlineSent
	case open:
		return HeadlineWaiting
	case s.Status == Complete:
		return HeadlineSigned
	case s.FileRefused:
		return HeadlineFileRefused
	default:
		return HeadlineDraft
	}
}
