package trust

import (
	"time"

	"dalel/domain/event"
)

// At returns which anchors were in force at a moment, from all events of the
// stream in order: those that had been recorded by then, the moment itself
// included. It is what a commission asks that wants to know what a verdict of
// that day rested on.
func At(history []event.Event, moment time.Time) State {
	var state State
	for _, e := range history {
		if at := when(e); !at.After(moment) {
			state = Evolve(state, e)
		}
	}
	return state
}

func when(e event.Event) time.Time {
	switch e := e.(type) {
	case Added:
		return e.AddedAt
	case Removed:
		return e.RemovedAt
	}
	return time.Time{}
}

// Change is one change of trust, as people read it.
type Change struct {
	// Added says that the anchor came, else it went.
	Added bool
	// Anchor is what it was when it was added.
	Anchor Anchor
	How    How
	By     event.By
	At     time.Time
}

// Changes lists what has happened, in the order of the events.
func Changes(history []event.Event) []Change {
	var list []Change
	anchors := map[string]Anchor{}
	for _, e := range history {
		switch e := e.(type) {
		case Added:
			anchors[e.Anchor.Fingerprint] = e.Anchor
			list = append(list, Change{Added: true, Anchor: e.Anchor, How: e.How, By: e.By, At: e.AddedAt})
		case Removed:
			list = append(list, Change{Anchor: anchors[e.Fingerprint], How: e.How, By: e.By, At: e.RemovedAt})
		}
	}
	return list
}
