package history

import (
	"slices"

	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/domain/participant"
	"dalel/eventstore"
)

// keptInMind is how many documents that have ended something may still happen
// to.
const keptInMind = 20

// end remembers a document whose route has ended.
func (h *History) end(s *document.State) {
	if h.straight {
		return
	}
	h.ended = append(h.ended, s)
	if len(h.ended) > keptInMind {
		h.ended = slices.Delete(h.ended, 0, 1)
	}
}

// keep is what happens to a document that has ended, up to its destruction.
func (h *History) keep(i int) []eventstore.Event {
	s := h.ended[i]
	operator, system, sender := event.By{Participant: "operator"}, event.By{Participant: "system"}, event.By{Participant: s.Sender}
	record := func(by event.By, e event.Event) []eventstore.Event {
		*s = document.Evolve(*s, e)
		return h.Append(document.StreamID(s.ID), by, e)
	}
	order := document.DestructionOrdered{Document: s.ID, By: operator, Basis: document.BasisRequest, Requests: []string{s.Sender}, OrderedAt: h.now}
	if s.DestructionProposal != nil {
		order.Basis, order.Rule, order.RetainedUntil, order.Requests = document.BasisRetention, s.DestructionProposal.Rule, &s.DestructionProposal.RetainedUntil, nil
	}
	switch {
	case s.Gone():
		h.ended = slices.Delete(h.ended, i, i+1)
		h.destroy("document", s.ID)
		return record(system, document.Destroyed{Document: s.ID, DestroyedAt: h.now})
	case s.Held() && h.chance(2):
		return record(operator, document.HoldLifted{Document: s.ID, Hold: s.Holds[0].ID, By: operator, Reason: Word(s.ID), LiftedAt: h.now})
	case !s.Held() && (s.DestructionProposal != nil || len(s.Requests) > 0) && h.chance(2):
		h.forgotten = slices.Concat(h.forgotten, []string{s.ID})
		return record(operator, order)
	}
	switch h.choose(6) {
	case 0:
		return record(operator, document.HoldPlaced{Document: s.ID, Hold: h.id(), By: operator, Ground: Word(s.ID), PlacedAt: h.now})
	case 1:
		if len(s.Requests) == 0 {
			return record(sender, document.DestructionRequested{Document: s.ID, Party: s.Sender, By: sender, Reason: Word(s.ID),
				Letter: document.RequestLetter{MediaType: "application/pdf", Size: 1, SHA256: h.hash()}, RequestedAt: h.now})
		}
	case 2:
		return record(sender, document.ExemplarIssued{Document: s.ID, Party: s.Sender, By: sender, Exemplar: s.Exemplars + 1, IssuedAt: h.now})
	case 3:
		return record(sender, document.PaperCopyIssued{Document: s.ID, Party: s.Sender, By: sender, Copy: s.NextCopy(), Size: 1, SHA256: h.hash(), Stored: h.hash(), IssuedAt: h.now})
	}
	return record(system, document.DestructionProposed{Document: s.ID, Rule: "journal/all/P10Y/recorded", RetainedUntil: h.now, ProposedAt: h.now})
}

// leave is a participant who comes to be forgotten again.
func (h *History) leave() []eventstore.Event {
	operator, system := event.By{Participant: "operator"}, event.By{Participant: "system"}
	if len(h.leaving) == 0 || h.chance(4) {
		id := h.id()
		registered := participant.Registered{Participant: id, Kind: participant.NaturalPerson, Identifier: "123456789012", Name: Word(id), Country: "KZ", Email: Word(id) + "@example.kz", Phone: "+77010000000"}
		s := participant.Evolve(participant.State{}, registered)
		h.leaving = append(h.leaving, &s)
		return h.Append(participant.StreamID(id), operator, registered)
	}
	i := h.choose(len(h.leaving))
	s := h.leaving[i]
	var e event.Event
	by := operator
	switch {
	case s.Erased():
		h.leaving = slices.Delete(h.leaving, i, i+1)
		h.destroy("participant", s.ID)
		e, by = participant.Erased{Participant: s.ID, ErasedAt: h.now}, system
	case s.Held():
		e = participant.HoldLifted{Participant: s.ID, Hold: s.Holds[0].ID, By: operator, Reason: Word(s.ID), LiftedAt: h.now}
	case h.chance(4):
		e = participant.HoldPlaced{Participant: s.ID, Hold: h.id(), By: operator, Ground: Word(s.ID), PlacedAt: h.now}
	case s.Erasure == nil:
		e = participant.ErasureRequested{Participant: s.ID, By: operator, Reason: Word(s.ID),
			Letter: participant.RequestLetter{MediaType: "application/pdf", Size: 1, SHA256: h.hash()}, RequestedAt: h.now}
	default:
		h.forgotten = append(h.forgotten, s.ID)
		e = participant.ErasureOrdered{Participant: s.ID, By: operator, OrderedAt: h.now}
	}
	*s = participant.Evolve(*s, e)
	return h.Append(participant.StreamID(s.ID), by, e)
}
