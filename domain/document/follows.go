package document

import (
	"errors"
	"slices"
	"time"

	"dalel/domain/event"
	"dalel/domain/signature"
	"dalel/internal/fault"
)

// ErrForeign says that no rule tells what an event may follow on.
var ErrForeign = errors.New("an event of another kind of stream")

// CheckFollow says why events that were decided cannot be recorded: one that
// does not follow would be called impossible, for ever, by whoever checks it.
// The error is internal: the rules and [Decide] contradict each other.
func CheckFollow(s State, events []event.Event) error {
	for _, e := range events {
		if err := Follows(s, e); err != nil {
			return fault.Wrap(fault.Internal, err, "a %s was decided where it cannot follow", e.EventType())
		}
		s = Evolve(s, e)
	}
	return nil
}

// Follows says why an event cannot follow on a state of a document, nil if it
// can. Every event that [Decide] answers with follows, so whoever has only the
// events can tell by it whether they could have happened in their order.
//
// It holds the events against the document's lifecycle, and not against today's
// limits (lengths, sizes), which may change.
func Follows(s State, e event.Event) error {
	if _, first := e.(Created); first != (s.Status == None) {
		return errors.New("a document begins with its creation, once")
	}
	for _, rule := range []func(State, event.Event) (why string, ours bool){
		State.draftFollows, State.routeFollows, State.actFollows, State.endFollows, State.forceFollows, State.keepingFollows,
	} {
		switch why, ours := rule(s, e); {
		case why != "":
			return errors.New(why)
		case ours:
			return nil
		}
	}
	return ErrForeign
}

func (s State) draftFollows(e event.Event) (why string, ours bool) {
	switch e.(type) {
	case Created:
		return "", true
	case Described, FileAttached, FileRemoved, FileRefused:
		if s.Status != Draft {
			return "the document had been sent", true
		}
		return "", true
	case Sent:
		if s.Status != Draft || len(s.Files) == 0 {
			return "only a draft with files is sent", true
		}
		return "", true
	}
	return "", false
}

func (s State) routeFollows(e event.Event) (why string, ours bool) {
	switch e := e.(type) {
	case Delivered:
		if _, ok := s.Party(e.Recipient); !ok {
			return "it is to somebody who is no party", true
		}
		return "", true
	case Viewed:
		return s.whyNotDelivered(e.Recipient), true
	case Acknowledged:
		return s.whyNotDelivered(e.Recipient), true
	}
	return "", false
}

// forceFollows is about what is said of signatures afterwards. What stands on
// the certificate's stream is not the document's to know.
func (s State) forceFollows(e event.Event) (why string, ours bool) {
	switch e := e.(type) {
	case SignaturesDoubted:
		return s.whyNotSignedWith(e.Certificate, e.CompromisedFrom, e.Affected), true
	case DoubtLifted:
		return s.whyNotSignedWith(e.Certificate, time.Time{}, e.Parties), true
	case SignaturesRevoked:
		return s.whyNotSignedWith(e.Certificate, e.From, e.Parties), true
	case SignatureDecided:
		n := e.Signature - 1
		if n < 0 || n >= len(s.Signatures) || s.Signatures[n].Party != e.Party || s.Signatures[n].Certificate != e.Certificate {
			return "it is about a signature that the document does not have", true
		}
		if len(e.Notices) == 0 {
			return "it is about a signature that nobody disputed", true
		}
		return "", true
	}
	return "", false
}

// whyNotSignedWith says whether a party is named that did not sign with a key
// at a moment or since.
func (s State) whyNotSignedWith(fingerprint string, since time.Time, parties []string) string {
	for _, party := range parties {
		if !slices.ContainsFunc(s.Signatures, func(sig Signature) bool {
			return sig.Party == party && sig.Certificate == fingerprint && !sig.SignedAt.Before(since)
		}) {
			return "a party that it names did not sign with that key after that moment"
		}
	}
	return ""
}

func (s State) whyNotDelivered(party string) string {
	if p, ok := s.Party(party); !ok || p.DeliveredAt == nil {
		return "the document had not been delivered to this party"
	}
	return ""
}

// whyNotTurn says why it is not a party's turn to act in a role ("" for any).
func (s State) whyNotTurn(party string, role Role, at time.Time) string {
	p, ok := s.Party(party)
	switch {
	case !ok:
		return "it is by somebody who is no party"
	case !s.IsTurn(party):
		return "it is not this party's turn"
	case role != "" && p.Role != role:
		return "the route asks this party for something else"
	case p.Deadline != nil && !at.Before(*p.Deadline):
		return "the party's deadline had passed"
	}
	return ""
}

func (s State) actFollows(e event.Event) (why string, ours bool) {
	switch e := e.(type) {
	case Signed:
		return s.whyNotSigned(e), true
	case SignatureRefused:
		if _, ok := s.Party(e.Party); !ok {
			return "it is by somebody who is no party", true
		}
		return "", true
	case Approved:
		return s.whyNotTurn(e.Party, RoleApprove, e.ApprovedAt), true
	case Rejected:
		return s.whyNotTurn(e.Party, "", e.RejectedAt), true
	}
	return "", false
}

func (s State) whyNotSigned(e Signed) string {
	if why := s.whyNotTurn(e.Party, RoleSign, e.ReceivedAt); why != "" {
		return why
	}
	if p, _ := s.Party(e.Party); p.Method != e.Method {
		return "the route asks for another method of signing"
	}
	for _, f := range s.Files {
		if !slices.ContainsFunc(e.Signatures, func(sig FileSignature) bool {
			return sig.File == f.SHA256 && sig.AtSigning().Status == signature.Valid
		}) {
			return "not every file is signed"
		}
	}
	if !e.TrustedTime && !e.SignedAt.Equal(e.ReceivedAt) {
		return "without a time token the moment of signing is that of receipt"
	}
	return ""
}

func (s State) endFollows(e event.Event) (why string, ours bool) {
	switch e := e.(type) {
	case Completed:
		waiting := slices.ContainsFunc(s.Parties, func(p Party) bool { return p.acts() && p.Outcome == "" })
		if s.Status != Awaiting || waiting {
			return "somebody had yet to act", true
		}
		if CheckNumber(e.Number) != nil {
			return "the number's check digits are wrong", true
		}
		return "", true
	case Revoked:
		return s.whyNotRevoked(e), true
	case RevocationProposed:
		if s.Status != Complete || s.Proposal != nil {
			return "a revocation is proposed once, after completion", true
		}
		return "", true
	case RevocationConsented, RevocationDeclined:
		if s.Proposal == nil {
			return "no revocation was proposed", true
		}
		return "", true
	case Expired:
		if s.Status != Awaiting {
			return "the route had ended", true
		}
		return "", true
	}
	return "", false
}

func (s State) whyNotRevoked(e Revoked) string {
	if e.Party != s.Sender || e.AfterCompletion != (s.Status == Complete) || s.Status != Complete && s.Status != Awaiting {
		return "a document is revoked by its sender, while it is open or after completion"
	}
	if !e.AfterCompletion {
		return ""
	}
	for _, party := range s.consenters() {
		if s.Proposal == nil || !slices.Contains(s.Proposal.Consents, party) {
			return "another party had not consented"
		}
	}
	return ""
}

func (s State) keepingFollows(e event.Event) (why string, ours bool) {
	switch e := e.(type) {
	case ExemplarIssued, PaperCopyIssued:
		if s.Status == Draft || s.Gone() {
			return "exemplars and copies are issued of a document that was sent and is there", true
		}
		return "", true
	case HoldPlaced, DestructionRequested, DestructionProposed:
		if s.Gone() {
			return "its destruction had been ordered", true
		}
		return "", true
	case HoldLifted:
		if !s.Held() {
			return "no hold stood", true
		}
		return "", true
	case DestructionOrdered:
		switch {
		case s.Gone():
			return "its destruction had been ordered", true
		case s.Held():
			return "a legal hold stood", true
		case e.Basis == BasisRetention && (e.RetainedUntil == nil || e.OrderedAt.Before(*e.RetainedUntil)):
			return "the time for which it must be kept had not ended", true
		}
		return "", true
	case Destroyed:
		if !s.Gone() {
			return "its destruction had not been ordered", true
		}
		return "", true
	}
	return "", false
}
