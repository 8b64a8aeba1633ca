package witness

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"dalel/internal/cosignature"
	"dalel/internal/fault"
)

// GroupOptions set how a [Group] treats a witness that fails.
type GroupOptions struct {
	// Rest is for how long a witness is not asked after a failure; it doubles
	// with each further one up to LongestRest. 2 seconds and 10 minutes unless
	// set.
	Rest, LongestRest time.Duration
	// Now is the clock; time.Now unless set.
	Now func() time.Time
}

// Group asks several witnesses at once. One that is slow, broken or hostile
// costs the others nothing but its own time-out. It may be used by many
// goroutines at once.
type Group struct {
	o       GroupOptions
	members []*member
}

type member struct {
	client *Client

	mu    sync.Mutex
	asked bool // somebody is asking it now
	state MemberState
}

// MemberState is how it stands with one witness.
type MemberState struct {
	// Name is the witness's.
	Name string `json:"name"`
	// LastSuccess is when it last cosigned, and LastSize what; zero if never.
	LastSuccess time.Time `json:"lastSuccess,omitzero"`
	LastSize    int64     `json:"lastSize"`
	// LastError is the code of the last failure, and LastErrorAt when it was.
	// They stay after a success: Failures says whether it still fails.
	LastError   fault.Code `json:"lastError,omitempty"`
	LastErrorAt time.Time  `json:"lastErrorAt,omitzero"`
	// Failures counts failures since the last success.
	Failures int `json:"failures"`
	// NextTry is before when it is not asked; zero if it may be.
	NextTry time.Time `json:"nextTry,omitzero"`
}

// Answer is what one witness made of a checkpoint: a line, or an error.
type Answer struct {
	Name string
	Line []byte
	Err  error
}

// NewGroup makes a group. Errors: config.invalid if two have the same key.
func NewGroup(clients []*Client, o GroupOptions) (*Group, error) {
	if o.Rest <= 0 {
		o.Rest = 2 * time.Second
	}
	if o.LongestRest <= 0 {
		o.LongestRest = 10 * time.Minute
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	g := &Group{o: o}
	for _, c := range clients {
		if slices.ContainsFunc(g.members, func(m *member) bool {
			return m.client.Name() == c.Name() && m.client.verifier.KeyHash() == c.verifier.KeyHash()
		}) {
			return nil, fault.New(fault.ConfigInvalid, "the witness %s is named twice", c.Name())
		}
		g.members = append(g.members, &member{client: c, state: MemberState{Name: c.Name()}})
	}
	return g, nil
}

// Cosign asks all witnesses that are not resting and returns an answer for
// each, in the order of the group, when all have answered or failed. No one
// takes longer than its client's time-out, or than ctx lasts. What it returns
// is for the caller to judge: a [cosignature.Policy] says whether it is enough.
func (g *Group) Cosign(ctx context.Context, checkpoint []byte, prove Prove) []Answer {
	answers := make([]Answer, len(g.members))
	var all sync.WaitGroup
	for i, m := range g.members {
		all.Go(func() {
			line, err := m.ask(ctx, g.o, checkpoint, prove)
			answers[i] = Answer{Name: m.client.Name(), Line: line, Err: err}
		})
	}
	all.Wait()
	return answers
}

// Status is how it stands with each witness, in the order of the group.
func (g *Group) Status() []MemberState {
	states := make([]MemberState, len(g.members))
	for i, m := range g.members {
		m.mu.Lock()
		states[i] = m.state
		m.mu.Unlock()
	}
	return states
}

func (m *member) ask(ctx context.Context, o GroupOptions, checkpoint []byte, prove Prove) (line []byte, err error) {
	m.mu.Lock()
	if m.asked || o.Now().Before(m.state.NextTry) {
		next, code := m.state.NextTry, m.state.LastError
		busy := m.asked
		m.mu.Unlock()
		if busy {
			return nil, fault.New(Resting, "the witness %s is being asked already", m.client.Name())
		}
		return nil, fault.New(Resting, "the witness %s failed (%s) and is asked again at %s", m.client.Name(), code, next.UTC().Format(time.RFC3339))
	}
	m.asked = true
	m.mu.Unlock()
	defer func() {
		// A prove that panics must not take the log's process with it, nor
		// leave the witness as asked for ever.
		if p := recover(); p != nil {
			line, err = nil, fault.New(NoProof, "the proof for the witness %s: %s", m.client.Name(), fmt.Sprint(p))
		}
		m.done(ctx, o, checkpoint, err)
	}()
	return m.client.Cosign(ctx, checkpoint, prove)
}

// done records what came of asking. That the caller gave up says nothing of
// the witness unless it had its whole time.
func (m *member) done(ctx context.Context, o GroupOptions, checkpoint []byte, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked = false
	now := o.Now().UTC()
	if err == nil {
		m.state.LastSuccess, m.state.Failures, m.state.NextTry = now, 0, time.Time{}
		if text, err := cosignature.TextOf(checkpoint); err == nil {
			if c, err := cosignature.ParseCheckpoint(text); err == nil {
				m.state.LastSize = c.Size
			}
		}
		return
	}
	code := fault.CodeOf(err)
	switch {
	case code == NoProof || code == cosignature.CheckpointInvalid:
		return // ours, not the witness's
	case context.Cause(ctx) == context.Canceled:
		return
	case ctx.Err() != nil:
		code = Unreachable
	}
	m.state.LastError, m.state.LastErrorAt = code, now
	rest := o.LongestRest
	if m.state.Failures < 20 {
		rest = min(rest, o.Rest<<m.state.Failures)
	}
	m.state.Failures++
	m.state.NextTry = now.Add(rest)
}
