package document

import (
	"slices"
	"time"

	"dalel/domain/event"
	"dalel/domain/fileformat"
	"dalel/eventstore"
	"dalel/internal/fault"
)

// This file decides about keeping a document and ending it: refused files,
// exemplars and copies, legal holds, destruction.

func (s State) decideRefuseFile(c RefuseFile) ([]event.Event, error) {
	if err := s.draftOf(c.By); err != nil {
		return nil, err
	}
	if c.Refusal == nil {
		return nil, fault.New(fault.Internal, "a file is refused without a reason")
	}
	if err := fileformat.CheckName(c.Name); err != nil {
		return nil, err
	}
	// The name is sealed and the media type is not, so nobody's own words may
	// pass for one.
	format, err := fileformat.Lookup(c.MediaType)
	if err != nil {
		return nil, err
	}
	if s.FileRefusals >= MaxAttempts {
		return nil, fault.New(fault.Throttled, "%d refused files are recorded on this document already", MaxAttempts)
	}
	return happened(FileRefused{
		Document: s.ID, Sender: s.Sender, By: c.By, Name: c.Name, MediaType: format.MediaType,
		Code: c.Refusal.Code, Detail: c.Refusal.Detail, AttemptedAt: c.Now,
	})
}

func (s State) decideExemplar(c IssueExemplar) ([]event.Event, error) {
	if err := s.issuable(c.By, s.Exemplars); err != nil {
		return nil, err
	}
	return happened(ExemplarIssued{
		Document: s.ID, Party: c.By.Participant, By: c.By, Exemplar: s.Exemplars + 1, IssuedAt: c.Now,
	})
}

func (s State) decideCopy(c IssueCopy) ([]event.Event, error) {
	if err := s.issuable(c.By, len(s.Copies)); err != nil {
		return nil, err
	}
	return happened(PaperCopyIssued{
		Document: s.ID, Party: c.By.Participant, By: c.By, Copy: s.NextCopy(),
		Size: c.Size, SHA256: c.SHA256, Stored: c.Stored, IssuedAt: c.Now,
	})
}

// issuable refuses unless by may be given another exemplar or copy, of which
// so many were issued before.
func (s State) issuable(by event.By, issued int) error {
	switch {
	case !s.CanSee(by.Participant):
		return fault.New(fault.NotAParty, "not a party to this document")
	case s.Status == Draft:
		return s.wrongState("a draft has neither exemplars nor copies")
	case issued >= MaxIssued:
		return fault.New(fault.Throttled, "%d were issued of this document already", MaxIssued)
	}
	return nil
}

func (s State) decideHold(c PlaceHold) ([]event.Event, error) {
	if s.hold(c.Hold) >= 0 {
		return nil, nil
	}
	if eventstore.Stream("hold", c.Hold).Check() != nil {
		return nil, fault.New(fault.RequestInvalid, "the id of a hold has letters, digits and . _ : - only")
	}
	if err := checkWords("ground", c.Ground); err != nil {
		return nil, err
	}
	if len(s.Holds) >= MaxHolds {
		return nil, fault.New(fault.Throttled, "%d holds stand on this document already", MaxHolds)
	}
	return happened(HoldPlaced{Document: s.ID, Hold: c.Hold, By: c.By, Ground: c.Ground, PlacedAt: c.Now})
}

func (s State) decideLift(c LiftHold) ([]event.Event, error) {
	if s.hold(c.Hold) < 0 {
		return nil, fault.New(fault.HoldUnknown, "no hold of this id stands on the document")
	}
	if err := checkReason(c.Reason); err != nil {
		return nil, err
	}
	return happened(HoldLifted{Document: s.ID, Hold: c.Hold, By: c.By, Reason: c.Reason, LiftedAt: c.Now})
}

func (s State) hold(id string) int {
	return slices.IndexFunc(s.Holds, func(h Hold) bool { return h.ID == id })
}

func (s State) decideRequest(c RequestDestruction) ([]event.Event, error) {
	party := c.By.Participant
	switch {
	case party != s.Sender && !slices.Contains(s.Signatories(), party):
		return nil, fault.New(fault.NotAParty, "the sender asks, and those who signed or approved")
	case s.Status == Awaiting:
		return nil, s.wrongState("revoke it first, or let its route end")
	case s.asked(party):
		return nil, fault.New(fault.AlreadyDone, "this party has asked already")
	}
	if err := checkReason(c.Reason); err != nil {
		return nil, err
	}
	return happened(DestructionRequested{
		Document: s.ID, Party: party, By: c.By, Reason: c.Reason, Letter: c.Letter, RequestedAt: c.Now,
	})
}

func (s State) asked(party string) bool {
	return slices.ContainsFunc(s.Requests, func(r Request) bool { return r.Party == party })
}

func (s State) decidePropose(c ProposeDestruction) ([]event.Event, error) {
	if s.EndedAt == nil {
		return nil, s.wrongState("its retention has not begun")
	}
	if err := ended(c.RetainedUntil, c.Now); err != nil {
		return nil, err
	}
	stands := s.DestructionProposal
	if s.Held() || stands != nil && stands.Rule == c.Rule && stands.RetainedUntil.Equal(c.RetainedUntil) {
		return nil, nil
	}
	return happened(DestructionProposed{Document: s.ID, Rule: c.Rule, RetainedUntil: c.RetainedUntil, ProposedAt: c.Now})
}

// ended refuses while retention lasts, and where nobody knows until when it
// does.
func ended(until, now time.Time) error {
	switch {
	case until.IsZero():
		return fault.New(fault.RetentionRunning, "it cannot be told until when the document must be kept")
	case now.Before(until):
		return fault.New(fault.RetentionRunning, "it must be kept until %s", until.UTC().Format(time.RFC3339))
	}
	return nil
}

func (s State) decideOrder(c OrderDestruction) ([]event.Event, error) {
	switch {
	case c.Basis != BasisRequest && c.Basis != BasisRetention:
		return nil, fault.New(fault.RequestInvalid, "the basis is %q or %q", BasisRequest, BasisRetention)
	case s.Held():
		return nil, fault.New(fault.HoldInForce, "%d legal holds stand on the document", len(s.Holds))
	case s.Status == Awaiting:
		return nil, s.wrongState("revoke it first, or let its route end")
	}
	ordered := DestructionOrdered{Document: s.ID, By: c.By, Basis: c.Basis, OrderedAt: c.Now}
	if c.Basis == BasisRetention {
		if s.DestructionProposal == nil {
			return nil, fault.New(fault.DestructionState, "its destruction was not proposed")
		}
		var until time.Time
		if c.RetainedUntil != nil {
			until = *c.RetainedUntil
		}
		if err := ended(until, c.Now); err != nil {
			return nil, err
		}
		ordered.Rule, ordered.RetainedUntil = c.Rule, &until
		return happened(ordered)
	}
	if !s.asked(s.Sender) {
		return nil, fault.New(fault.DestructionState, "its sender has not asked for it")
	}
	missing := 0
	for _, party := range s.Signatories() {
		if !s.asked(party) {
			missing++
		}
	}
	if missing > 0 {
		// What they signed is their evidence as much as the sender's.
		return nil, fault.New(fault.ConsentMissing, "%d of those who signed or approved have not asked for it", missing)
	}
	for _, r := range s.Requests {
		ordered.Requests = append(ordered.Requests, r.Party)
	}
	return happened(ordered)
}

// decideGone answers every command to a document whose destruction is ordered:
// nothing changes it any more but the destruction itself. The commands that
// processes repeat find nothing to do.
func (s State) decideGone(command Command) ([]event.Event, error) {
	switch c := command.(type) {
	case DeliverDue, Expire, NoteCertificate, ProposeDestruction:
		return nil, nil
	case OrderDestruction:
		if s.Ordered != nil && s.Ordered.Basis == c.Basis {
			return nil, nil
		}
	case MarkDestroyed:
		if s.DestroyedAt != nil {
			return nil, nil
		}
		return happened(Destroyed{Document: s.ID, DestroyedAt: c.Now})
	}
	if s.DestroyedAt != nil {
		return nil, fault.New(fault.OriginalNone, "the document was destroyed on %s", s.DestroyedAt.UTC().Format(time.RFC3339))
	}
	return nil, fault.New(fault.OriginalNone, "the document's destruction was ordered on %s", s.Ordered.OrderedAt.UTC().Format(time.RFC3339))
}
