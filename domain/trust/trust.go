package trust

import (
	"crypto/x509"
	"slices"
	"time"

	"dalel/domain/event"
	"dalel/domain/signature"
	"dalel/internal/fault"
)

// Standing is an anchor in force.
type Standing struct {
	Anchor
	How How
	By  event.By
	// Since is when it was recorded.
	Since time.Time
}

// State is which anchors are in force. The zero State has none.
type State struct {
	// Anchors are in the order in which they came.
	Anchors []Standing
}

// Anchor returns the one with a fingerprint.
func (s State) Anchor(fingerprint string) (Standing, bool) {
	for _, standing := range s.Anchors {
		if standing.Fingerprint == fingerprint {
			return standing, true
		}
	}
	return Standing{}, false
}

// Command is a request to the anchors; the types of this package are all there
// are.
type Command interface{ command() }

// Add asks for certificates (DER) to be trusted: all of them or none. One that
// is an anchor already is passed over.
type Add struct {
	Certificates [][]byte
	By           event.By
	Now          time.Time
}

// Remove asks for an anchor not to be trusted any longer.
type Remove struct {
	Fingerprint string
	By          event.By
	Now         time.Time
}

// Observe tells which certificates (DER) a node found in its folder. Those
// that can be no anchor are passed over. It refuses nothing: that they are
// trusted is so already, and what is left is to say so.
type Observe struct {
	Certificates [][]byte
	By           event.By
	Now          time.Time
}

func (Add) command()     {}
func (Remove) command()  {}
func (Observe) command() {}

// Decide says what follows from a command in a state: events, or a
// *fault.Error. Who may command is decided before. Times are recorded in UTC,
// to the microsecond.
//
// Errors: trust.refused, with the reasons of a path in its own, for a
// certificate that does not hold; trust.unknown; certificate.invalid;
// request.invalid.
func Decide(state State, command Command) ([]event.Event, error) {
	switch c := command.(type) {
	case Add:
		return add(state, c)
	case Remove:
		return remove(state, c)
	case Observe:
		return observe(state, c)
	}
	return nil, fault.New(fault.Internal, "trust anchors have no command %T", command)
}

func add(state State, c Add) ([]event.Event, error) {
	if len(c.Certificates) == 0 {
		return nil, fault.New(fault.RequestInvalid, "there is no certificate to trust")
	}
	if err := checkNow(c.Now); err != nil {
		return nil, err
	}
	on := ground{algorithms: signature.StandardAlgorithms()}
	count := func(certificate *x509.Certificate, kind Kind) {
		switch kind {
		case Root:
			on.roots = append(on.roots, certificate)
		case Issuing:
			on.issuing = append(on.issuing, certificate)
		}
	}
	for _, standing := range state.Anchors {
		certificate, err := standing.Certificate()
		if err != nil {
			return nil, err
		}
		count(certificate, standing.Kind)
	}
	type candidate struct {
		Anchor
		certificate *x509.Certificate
	}
	var candidates []candidate
	for _, der := range c.Certificates {
		certificate, err := parse(der)
		if err != nil {
			return nil, err
		}
		anchor, ok := Describe(certificate)
		if !ok {
			return nil, fault.New(fault.TrustRefused, "%s (%s) is neither an authority's certificate nor that of an OCSP responder or a time-stamping authority",
				called(certificate, anchor), anchor.Fingerprint)
		}
		_, there := state.Anchor(anchor.Fingerprint)
		if there || slices.ContainsFunc(candidates, func(other candidate) bool { return other.Fingerprint == anchor.Fingerprint }) {
			continue
		}
		candidates = append(candidates, candidate{anchor, certificate})
		count(certificate, anchor.Kind)
	}
	if len(state.Anchors)+len(candidates) > MaxAnchors {
		return nil, fault.New(fault.RequestInvalid, "there are at most %d anchors", MaxAnchors)
	}
	var happened []event.Event
	for _, one := range candidates {
		if found := on.check(one.certificate, one.Kind, c.Now); found != nil {
			refusal := fault.New(fault.TrustRefused, "%s (%s) does not hold: %s", one.Subject, one.Fingerprint, found[0].Detail)
			refusal.Reasons = found
			return nil, refusal
		}
		happened = append(happened, Added{Anchor: one.Anchor, How: ByCommand, By: c.By, AddedAt: recorded(c.Now)})
	}
	return happened, nil
}

// called names a certificate unless it is a person's.
func called(certificate *x509.Certificate, anchor Anchor) string {
	if namesPerson(certificate) {
		return "a person's certificate"
	}
	return anchor.Subject
}

func remove(state State, c Remove) ([]event.Event, error) {
	standing, ok := state.Anchor(c.Fingerprint)
	if !ok {
		return nil, fault.New(fault.TrustUnknown, "no anchor has the fingerprint %s", c.Fingerprint)
	}
	if err := checkNow(c.Now); err != nil {
		return nil, err
	}
	return []event.Event{Removed{Fingerprint: standing.Fingerprint, Kind: standing.Kind, How: ByCommand, By: c.By, RemovedAt: recorded(c.Now)}}, nil
}

func observe(state State, c Observe) ([]event.Event, error) {
	if err := checkNow(c.Now); err != nil {
		return nil, err
	}
	now := recorded(c.Now)
	var found []Anchor
	for _, der := range c.Certificates {
		certificate, err := parse(der)
		if err != nil {
			return nil, err
		}
		anchor, ok := Describe(certificate)
		if !ok || slices.ContainsFunc(found, func(other Anchor) bool { return other.Fingerprint == anchor.Fingerprint }) {
			continue
		}
		if found = append(found, anchor); len(found) > MaxAnchors {
			return nil, fault.New(fault.ConfigInvalid, "there are at most %d anchors", MaxAnchors)
		}
	}
	var happened []event.Event
	for _, standing := range state.Anchors {
		if !slices.ContainsFunc(found, func(a Anchor) bool { return a.Fingerprint == standing.Fingerprint }) {
			happened = append(happened, Removed{Fingerprint: standing.Fingerprint, Kind: standing.Kind, How: AtStart, By: c.By, RemovedAt: now})
		}
	}
	for _, anchor := range found {
		if _, there := state.Anchor(anchor.Fingerprint); !there {
			happened = append(happened, Added{Anchor: anchor, How: AtStart, By: c.By, AddedAt: now})
		}
	}
	return happened, nil
}

func checkNow(now time.Time) error {
	if now.IsZero() || now.UTC().Year() < 1 || now.UTC().Year() > 9000 {
		return fault.New(fault.Internal, "a command without the time of now")
	}
	return nil
}

func recorded(moment time.Time) time.Time { return moment.UTC().Truncate(time.Microsecond) }

// Evolve returns the state after an event. It leaves its argument as it was.
func Evolve(state State, e event.Event) State {
	switch e := e.(type) {
	case Added:
		state = without(state, e.Anchor.Fingerprint)
		state.Anchors = append(state.Anchors, Standing{Anchor: e.Anchor, How: e.How, By: e.By, Since: e.AddedAt})
	case Removed:
		state = without(state, e.Fingerprint)
	default:
		// The codec stops at every type that it does not know: nothing else
		// comes here.
	}
	return state
}

// without returns a state of its own.
func without(state State, fingerprint string) State {
	var kept []Standing
	for _, standing := range state.Anchors {
		if standing.Fingerprint != fingerprint {
			kept = append(kept, standing)
		}
	}
	return State{Anchors: kept}
}
