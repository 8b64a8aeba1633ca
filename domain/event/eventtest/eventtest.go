// Package eventtest lets the tests of aggregates read as sentences.
//
// [Given] a history, [Scenario.When] a command comes, [Scenario.Then] these
// events follow, or [Scenario.ThenRefused] with this code. A [Matrix] sets
// every command against every state and writes the answers down as a table;
// [Document] keeps that table in the package's documentation, so that what
// the page says and what the code does cannot part.
package eventtest

import (
	"context"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dalel/domain/event"
	"dalel/eventstore"
	"dalel/internal/fault"
)

// Scenario is one test of one aggregate: a state, and what the last command
// came to.
type Scenario[S, C any] struct {
	t      testing.TB
	decide func(S, C) ([]event.Event, error)
	evolve func(S, event.Event) S
	state  S
	events []event.Event
	err    error
}

// Given starts a scenario with what has happened already. Without history the
// aggregate does not exist yet.
func Given[S, C any](t testing.TB, decide func(S, C) ([]event.Event, error), evolve func(S, event.Event) S, history ...event.Event) *Scenario[S, C] {
	t.Helper()
	scenario := &Scenario[S, C]{t: t, decide: decide, evolve: evolve}
	for _, e := range history {
		scenario.state = evolve(scenario.state, e)
	}
	return scenario
}

// When decides a command and, where it is allowed, applies its events.
func (s *Scenario[S, C]) When(command C) *Scenario[S, C] {
	s.t.Helper()
	if s.events, s.err = s.decide(s.state, command); s.err == nil {
		for _, e := range s.events {
			s.state = s.evolve(s.state, e)
		}
	}
	return s
}

// Then requires that the last command led to exactly these events.
func (s *Scenario[S, C]) Then(events ...event.Event) *Scenario[S, C] {
	s.t.Helper()
	require.NoError(s.t, s.err)
	require.Equal(s.t, events, s.events)
	return s
}

// ThenRefused requires that the last command was refused with code and led to
// no event.
func (s *Scenario[S, C]) ThenRefused(code fault.Code) *Scenario[S, C] {
	s.t.Helper()
	var refusal *fault.Error
	require.ErrorAs(s.t, s.err, &refusal, "the events were %v", s.events)
	require.Equal(s.t, code, refusal.Code, s.err.Error())
	require.NotEmpty(s.t, refusal.Detail)
	require.Empty(s.t, s.events)
	return s
}

// State returns the state after the last command.
func (s *Scenario[S, C]) State() S { return s.state }

// Situation is a state under the name by which the documentation knows it,
// and the history that leads there.
type Situation struct {
	Name    string
	History []event.Event
}

// Case is a command under the name by which the documentation knows it.
type Case[C any] struct {
	Name    string
	Command C
	// MayBeIdle says that the command is harmless to repeat: where what it
	// asks for is so already, it is allowed and nothing happens.
	MayBeIdle bool
}

// Matrix sets every command against every state.
type Matrix[S, C any] struct {
	Decide func(S, C) ([]event.Event, error)
	Evolve func(S, event.Event) S
	// Definitions are those of the aggregate's package; every event that is
	// decided must survive being written and read.
	Definitions []event.Definition
	Situations  []Situation
	Cases       []Case[C]
}

// Run decides every command in every state and returns the answers as a
// table: the types of the events, or the code of the refusal. On the way it
// requires what holds for every aggregate: a refusal is a *fault.Error of the
// catalogue with a detail and without events, an allowed command leads to at
// least one event, neither Decide nor Evolve changes the state that it was
// given, every event is read back as it was written, and no command of the
// package in whose folder the test runs is left out.
func (m Matrix[S, C]) Run(t testing.TB) string {
	t.Helper()
	m.requireEveryCommand(t)
	codec, err := event.NewCodec(m.Definitions)
	require.NoError(t, err)
	header := []string{""}
	states := make([]S, len(m.Situations))
	for i, situation := range m.Situations {
		header = append(header, situation.Name)
		for _, e := range situation.History {
			states[i] = m.Evolve(states[i], e)
		}
	}
	var rows [][]string
	for _, c := range m.Cases {
		row := []string{c.Name}
		for i, situation := range m.Situations {
			row = append(row, m.cell(t, codec, states[i], c, situation.Name))
		}
		rows = append(rows, row)
	}
	return Table(header, rows)
}

func (m Matrix[S, C]) cell(t testing.TB, codec *event.Codec, state S, c Case[C], situation string) string {
	t.Helper()
	where := c.Name + " when " + situation
	before := snapshot(t, state)
	events, err := m.Decide(state, c.Command)
	require.Equal(t, before, snapshot(t, state), "%s: Decide changed the state", where)
	if err != nil {
		var refusal *fault.Error
		require.ErrorAs(t, err, &refusal, where)
		require.Equal(t, refusal.Code, fault.Lookup(refusal.Code).Code, "%s: not in the catalogue", where)
		require.NotEmpty(t, refusal.Detail, where)
		require.Empty(t, events, where)
		return string(refusal.Code)
	}
	if len(events) == 0 {
		require.True(t, c.MayBeIdle, "%s: allowed, and nothing happened", where)
		return "nothing to do"
	}
	var types []string
	for _, e := range events {
		previous := snapshot(t, state)
		next := m.Evolve(state, e)
		require.Equal(t, previous, snapshot(t, state), "%s: Evolve changed the state that it was given", where)
		require.Equal(t, e, Recorded(t, codec, e), "%s: not read as it was written", where)
		state = next
		types = append(types, e.EventType())
	}
	return strings.Join(types, " + ")
}

// snapshot writes a state down in full; a state is plain exported fields.
func snapshot(t testing.TB, state any) string {
	t.Helper()
	text, err := json.Marshal(state)
	require.NoError(t, err)
	return string(text)
}

// Recorded returns an event as a reader gets it: written by the codec and
// read again.
func Recorded(t require.TestingT, codec *event.Codec, e event.Event) event.Event {
	draft, err := codec.Encode(context.Background(), e, eventstore.Metadata{})
	require.NoError(t, err)
	read, err := codec.DecodeData(context.Background(), draft.Type, draft.Metadata.Schema, draft.Data)
	require.NoError(t, err)
	return read
}

// requireEveryCommand reads the package's source for the types that have the
// method command, which is what seals its commands, and requires that the
// matrix has each of them.
func (m Matrix[S, C]) requireEveryCommand(t testing.TB) {
	t.Helper()
	covered := map[string]bool{}
	for _, c := range m.Cases {
		covered[reflect.TypeOf(c.Command).Name()] = true
	}
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	declared := 0
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, declaration := range file.Decls {
			method, ok := declaration.(*ast.FuncDecl)
			if !ok || method.Recv == nil || method.Name.Name != "command" {
				continue
			}
			receiver, ok := method.Recv.List[0].Type.(*ast.Ident)
			require.True(t, ok, "commands are plain structs")
			require.True(t, covered[receiver.Name], "the command %s is not in the matrix", receiver.Name)
			declared++
		}
	}
	require.Equal(t, len(covered), declared)
}

// Table writes a header and rows with aligned columns, each line between
// bars.
func Table(header []string, rows [][]string) string {
	widths := make([]int, len(header))
	for _, line := range append([][]string{header}, rows...) {
		for column, cell := range line {
			widths[column] = max(widths[column], len([]rune(cell)))
		}
	}
	rule := make([]string, len(header))
	for column, width := range widths {
		rule[column] = strings.Repeat("-", width)
	}
	var text strings.Builder
	for _, line := range append([][]string{header, rule}, rows...) {
		for column, cell := range line {
			text.WriteString("| " + cell + strings.Repeat(" ", widths[column]-len([]rune(cell))) + " ")
		}
		text.WriteString("|\n")
	}
	return text.String()
}

// Document requires that the Go file holds the table, as a code block of its
// package comment, below the heading "# <heading>". With update it writes the
// table there instead; the diff is then what a reviewer reads.
func Document(t testing.TB, file, heading, table string, update bool) {
	t.Helper()
	source, err := os.ReadFile(file)
	require.NoError(t, err)
	replaced, found, err := splice(string(source), heading, table)
	require.NoError(t, err, file)
	if update {
		require.NoError(t, os.WriteFile(file, []byte(replaced), 0o644))
		return
	}
	require.Equal(t, table, found, "%s says something else than the code does; go test -update writes it anew", file)
}

// splice returns source with the table below heading replaced, and the table
// that stood there.
func splice(source, heading, table string) (replaced, found string, err error) {
	const bar = "//\t|"
	start, after, ok := strings.Cut(source, "// # "+heading+"\n")
	if !ok {
		return "", "", errors.New("no heading " + heading)
	}
	var kept, old strings.Builder
	lines := strings.SplitAfter(after, "\n")
	i := 0
	for ; i < len(lines) && !strings.HasPrefix(lines[i], bar); i++ {
		if strings.HasPrefix(lines[i], "// # ") || !strings.HasPrefix(lines[i], "//") {
			return "", "", errors.New("no table below the heading " + heading)
		}
		kept.WriteString(lines[i])
	}
	for ; i < len(lines) && strings.HasPrefix(lines[i], bar); i++ {
		old.WriteString(strings.TrimPrefix(lines[i], "//\t"))
	}
	for line := range strings.Lines(table) {
		kept.WriteString("//\t" + line)
	}
	return start + "// # " + heading + "\n" + kept.String() + strings.Join(lines[i:], ""), old.String(), nil
}
