package checkpoint_test

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"dalel/domain/checkpoint"
	"dalel/domain/event"
	"dalel/domain/event/eventtest"
	"dalel/eventstore"
	"dalel/internal/fault"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write the table in doc.go")

var (
	start = time.Date(2026, 6, 1, 9, 0, 0, 0, time.UTC)
	root  = eventstore.Hash{1}
	other = eventstore.Hash{2}
	token = strings.Repeat("ab", 32)
)

const origin = "dalel.example.kz/log"

func last(n uint64) event.Reference {
	return event.Reference{Stream: "document-1", Revision: eventstore.Revision(n), Commitment: eventstore.Hash{3}}
}

func note(size uint64, root eventstore.Hash) string {
	return checkpoint.Body(origin, size, root) + "\n— " + origin + " AAAA\n"
}

func publish(after, size uint64, root eventstore.Hash) checkpoint.Publish {
	return checkpoint.Publish{Origin: origin, Size: size, Root: root, After: after, Last: last(size), Note: note(size, root), Now: start}
}

func published(after, size uint64) checkpoint.Published {
	return checkpoint.Published{Origin: origin, Size: size, Root: root, After: after, Last: last(size), Note: note(size, root), PublishedAt: start}
}

func cosign(size uint64) checkpoint.Cosign {
	return checkpoint.Cosign{Size: size, Root: root, Witness: "witness.example", KeyID: "00ff10ab", Line: "— witness.example BBBB", Now: start}
}

func cosigned(size uint64) checkpoint.Cosigned {
	return checkpoint.Cosigned{Size: size, Root: root, Witness: "witness.example", KeyID: "00ff10ab", Line: "— witness.example BBBB", RecordedAt: start}
}

func stamp(size uint64) checkpoint.Stamp {
	return checkpoint.Stamp{Size: size, Root: root, Authority: "tsa", Time: start, Token: token, Bytes: 5000, Over: checkpoint.OverNote, Now: start.Add(time.Second)}
}

func stamped(size uint64) checkpoint.TimeStamped {
	return checkpoint.TimeStamped{Size: size, Root: root, Authority: "tsa", Time: start, Token: token, Bytes: 5000, Over: checkpoint.OverNote, RecordedAt: start.Add(time.Second)}
}

func keep(size uint64) checkpoint.Keep {
	return checkpoint.Keep{
		Size: size, Root: root, Authority: "tsa", Token: token, Certificate: strings.Repeat("cd", 32),
		Stamped: start, At: start.Add(time.Second), Until: start.AddDate(2, 0, 0), EvidenceUntil: start.AddDate(1, 0, 0),
		Algorithms: []string{"SHA256"}, Pieces: []checkpoint.Piece{{Kind: checkpoint.PieceOCSP, SHA256: strings.Repeat("ef", 32), Bytes: 100}}, Now: start.Add(time.Second),
	}
}

func kept(size uint64) checkpoint.EvidenceKept {
	c := keep(size)
	return checkpoint.EvidenceKept{
		Size: c.Size, Root: c.Root, Authority: c.Authority, Token: c.Token, Certificate: c.Certificate, Stamped: c.Stamped, At: c.At,
		Until: c.Until, EvidenceUntil: c.EvidenceUntil, Algorithms: c.Algorithms, Pieces: c.Pieces, RecordedAt: c.Now,
	}
}

func TestR_M5_EvidenceThatIsNoneIsRefused(t *testing.T) {
	for name, change := range map[string]func(*checkpoint.Keep){
		"no pieces":              func(c *checkpoint.Keep) { c.Pieces = nil },
		"too many pieces":        func(c *checkpoint.Keep) { c.Pieces = make([]checkpoint.Piece, checkpoint.MaxPieces+1) },
		"another kind":           func(c *checkpoint.Keep) { c.Pieces[0].Kind = "hearsay" },
		"a piece without bytes":  func(c *checkpoint.Keep) { c.Pieces[0].Bytes = 0 },
		"a piece that is huge":   func(c *checkpoint.Keep) { c.Pieces[0].Bytes = checkpoint.MaxPiece + 1 },
		"a piece without a name": func(c *checkpoint.Keep) { c.Pieces[0].SHA256 = "" },
		"no token":               func(c *checkpoint.Keep) { c.Token = "" },
		"no certificate":         func(c *checkpoint.Keep) { c.Certificate = "x" },
		"no algorithms":          func(c *checkpoint.Keep) { c.Algorithms = nil },
		"a nameless algorithm":   func(c *checkpoint.Keep) { c.Algorithms = []string{""} },
		"nobody's":               func(c *checkpoint.Keep) { c.Authority = "" },
		"on no checkpoint":       func(c *checkpoint.Keep) { c.Size = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			command := keep(10)
			change(&command)
			given(t, published(0, 10), stamped(10)).When(command).ThenRefused(fault.CheckpointInvalid)
		})
	}
	wrong := keep(10)
	wrong.Root = other
	given(t, published(0, 10), stamped(10)).When(wrong).ThenRefused(fault.LogDiverged)
	given(t).When(keep(10)).Then(kept(10))
}

func given(t testing.TB, history ...event.Event) *eventtest.Scenario[checkpoint.State, checkpoint.Command] {
	return eventtest.Given(t, checkpoint.Decide, checkpoint.Evolve, history...)
}

func TestEveryCommandInEveryStateIsAsDocumented(t *testing.T) {
	matrix := eventtest.Matrix[checkpoint.State, checkpoint.Command]{
		Decide: checkpoint.Decide, Evolve: checkpoint.Evolve, Definitions: checkpoint.Events(),
		Situations: []eventtest.Situation{
			{Name: "nothing published"},
			{Name: "published", History: []event.Event{published(0, 10)}},
			{Name: "cosigned, stamped", History: []event.Event{published(0, 10), cosigned(10), stamped(10)}},
			{Name: "its evidence kept", History: []event.Event{published(0, 10), stamped(10), kept(10)}},
			{Name: "a newer one published", History: []event.Event{published(0, 10), published(10, 20)}},
		},
		Cases: []eventtest.Case[checkpoint.Command]{
			{Name: "Publish 10 after none", Command: publish(0, 10, root), MayBeIdle: true},
			{Name: "Publish 20 after 10", Command: publish(10, 20, root), MayBeIdle: true},
			{Name: "Publish 10 with another root", Command: publish(0, 10, other)},
			{Name: "Publish 5 after 10", Command: publish(10, 5, root)},
			{Name: "Cosign 10", Command: cosign(10), MayBeIdle: true},
			{Name: "Stamp 10", Command: stamp(10), MayBeIdle: true},
			{Name: "Keep evidence on 10", Command: keep(10), MayBeIdle: true},
		},
	}
	eventtest.Document(t, "doc.go", "Decisions", matrix.Run(t), *update)
}

func TestR_M4_SizesOnlyGrowAndOneRootHasEachSize(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var state checkpoint.State
		newest := uint64(0)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			size := rapid.Uint64Range(0, 100).Draw(t, "size")
			after := rapid.SampledFrom([]uint64{newest, newest, size, 0}).Draw(t, "after")
			which := rapid.SampledFrom([]eventstore.Hash{root, root, other}).Draw(t, "root")
			events, err := checkpoint.Decide(state, publish(after, size, which))
			if len(events) == 0 {
				if err == nil {
					require.Equal(t, newest, size)
					require.Equal(t, state.Newest().Root, which)
				}
				continue
			}
			require.NoError(t, err)
			require.Greater(t, size, newest)
			require.Equal(t, newest, after)
			state, newest = checkpoint.Evolve(state, events[0]), size
			require.LessOrEqual(t, len(state.Checkpoints), checkpoint.Kept)
		}
	})
}

func TestR_M4_ATextThatIsNotTheCheckpointsIsRefused(t *testing.T) {
	for name, change := range map[string]func(*checkpoint.Publish){
		"no text":                   func(c *checkpoint.Publish) { c.Note = "" },
		"no signature":              func(c *checkpoint.Publish) { c.Note = checkpoint.Body(origin, 10, root) },
		"another size":              func(c *checkpoint.Publish) { c.Note = note(11, root) },
		"another root":              func(c *checkpoint.Publish) { c.Note = note(10, other) },
		"too long":                  func(c *checkpoint.Publish) { c.Note += strings.Repeat("x", checkpoint.MaxNote) + "\n" },
		"not ended":                 func(c *checkpoint.Publish) { c.Note = strings.TrimSuffix(c.Note, "\n") },
		"no origin":                 func(c *checkpoint.Publish) { c.Origin = "" },
		"an origin of two words":    func(c *checkpoint.Publish) { c.Origin = "a b" },
		"an origin with a plus":     func(c *checkpoint.Publish) { c.Origin = "a+b" },
		"nothing that it covers":    func(c *checkpoint.Publish) { c.Size, c.Note = 0, note(0, root) },
		"no last event":             func(c *checkpoint.Publish) { c.Last = event.Reference{} },
		"a last event without hash": func(c *checkpoint.Publish) { c.Last.Commitment = eventstore.Hash{} },
	} {
		t.Run(name, func(t *testing.T) {
			command := publish(0, 10, root)
			change(&command)
			given(t).When(command).ThenRefused(fault.CheckpointInvalid)
		})
	}
	renamed := publish(10, 20, root)
	renamed.Origin = "another.example/log"
	given(t, published(0, 10)).When(renamed).ThenRefused(fault.CheckpointInvalid)
}

func TestR_M4_WhatWitnessesSayIsBounded(t *testing.T) {
	for name, change := range map[string]func(*checkpoint.Cosign){
		"no key":          func(c *checkpoint.Cosign) { c.KeyID = "" },
		"a long key":      func(c *checkpoint.Cosign) { c.KeyID = "00ff10ab00" },
		"capitals":        func(c *checkpoint.Cosign) { c.KeyID = "00FF10AB" },
		"another's line":  func(c *checkpoint.Cosign) { c.Line = "— another BBBB" },
		"two lines":       func(c *checkpoint.Cosign) { c.Line += "\n— another BBBB" },
		"a line too long": func(c *checkpoint.Cosign) { c.Line += strings.Repeat("B", checkpoint.MaxLine) },
		"nobody's":        func(c *checkpoint.Cosign) { c.Witness, c.Line = "", "—  BBBB" },
	} {
		t.Run(name, func(t *testing.T) {
			command := cosign(10)
			change(&command)
			given(t, published(0, 10)).When(command).ThenRefused(fault.CheckpointInvalid)
		})
	}
	of := func(n int) checkpoint.Cosign {
		c := cosign(10)
		c.KeyID = fmt.Sprintf("%08x", n)
		return c
	}
	s := given(t, published(0, 10))
	for n := range checkpoint.MaxCosignatures {
		s.When(of(n))
		require.Len(t, s.State().Newest().Cosignatures, n+1)
	}
	s.When(of(1000)).ThenRefused(fault.CheckpointInvalid)
	wrong := cosign(10)
	wrong.Root = other
	given(t, published(0, 10)).When(wrong).ThenRefused(fault.LogDiverged)
	require.Equal(t, note(10, root)+"— witness.example BBBB\n", string(given(t, published(0, 10), cosigned(10)).State().Newest().Text()))
}

func TestR_M5_WhatAuthoritiesSayIsBounded(t *testing.T) {
	for name, change := range map[string]func(*checkpoint.Stamp){
		"no token":     func(c *checkpoint.Stamp) { c.Token = "" },
		"an empty one": func(c *checkpoint.Stamp) { c.Bytes = 0 },
		"a large one":  func(c *checkpoint.Stamp) { c.Bytes = checkpoint.MaxToken + 1 },
		"no authority": func(c *checkpoint.Stamp) { c.Authority = "" },
		"other bytes":  func(c *checkpoint.Stamp) { c.Over = "" },
	} {
		t.Run(name, func(t *testing.T) {
			command := stamp(10)
			change(&command)
			given(t, published(0, 10)).When(command).ThenRefused(fault.CheckpointInvalid)
		})
	}
	timeless := stamp(10)
	timeless.Time = time.Time{}
	given(t, published(0, 10)).When(timeless).ThenRefused(fault.Internal)
}

func TestAStateFoldedFromTheLastEventsIsThatOfAll(t *testing.T) {
	var history []event.Event
	for n := uint64(1); n <= 40; n++ {
		history = append(history, published(10*(n-1), 10*n), cosigned(10*n))
		if n > 1 {
			history = append(history, stamped(10*(n-1)))
		}
	}
	whole := given(t, history...).State()
	require.Len(t, whole.Checkpoints, checkpoint.Kept)
	require.Equal(t, whole, given(t, history[2+3*(40-checkpoint.Kept-1):]...).State())
	given(t, history...).When(cosign(10)).ThenRefused(fault.CheckpointUnknown)
}
