package certificate

import (
	"errors"

	"dalel/domain/event"
)

// Follows says why an event cannot follow on a state of a certificate, nil if it
// can. Every event that [Decide] answers with follows, so whoever has only the
// events can tell by it whether they could have happened in their order.
func Follows(s State, e event.Event) error {
	if _, first := e.(Registered); first == s.Exists() {
		return errors.New("a certificate begins with its registration, once")
	}
	switch e := e.(type) {
	case KeyCompromiseReported:
		if e.CompromisedFrom.After(e.ReceivedAt) {
			return errors.New("a notice names a moment after its own receipt")
		}
	case Suspended:
		if s.Status != StatusRegistered || s.Notice != e.Notice {
			return errors.New("a certificate is suspended by the notice before it, while it is in force")
		}
	case Resumed:
		if s.Status != StatusSuspended || s.Notice != e.Notice {
			return errors.New("only a suspended certificate is resumed, by withdrawing the notice that counts")
		}
	case Annulled:
		if s.Status == StatusAnnulled {
			return errors.New("a certificate is annulled once")
		}
	}
	return nil
}
