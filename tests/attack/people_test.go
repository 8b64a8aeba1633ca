package attack

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/stretchr/testify/require"

	"dalel/domain/identifier"
	"dalel/domain/participant"
)

// caller is somebody with a token.
type caller struct {
	name, token, role string
	// participant is whom it acts for, person who acts if that is another.
	participant, person string
}

// people are callers of every role and with every right, in an order that is
// always the same.
type people struct {
	callers []caller
	// spare is a participant who owns nothing and whom nobody needs.
	spare, pending string
	// tokens are ids of tokens that nobody uses.
	tokens []string
}

// token issues one for this test's length.
func (n *node) token(holder, person, role string) (text, id string) {
	n.t.Helper()
	body := map[string]any{"participant": holder, "role": role, "seconds": int(time.Hour / time.Second)}
	if person != "" {
		body["person"] = person
	}
	issued := n.must(n.operator, http.MethodPost, "/api/v1/tokens", body)
	return issued["token"].(string), issued["id"].(string)
}

// register registers a natural person.
func (n *node) register(number int, name string, active bool) string {
	n.t.Helper()
	iin, err := identifier.WithCheckDigit(fmt.Sprintf("9001013%04d", number))
	require.NoError(n.t, err)
	id := n.must(n.operator, http.MethodPost, "/api/v1/participants", map[string]any{
		"kind": "natural-person", "identifier": iin, "name": name,
	})["id"].(string)
	if active {
		n.must(n.operator, http.MethodPost, "/api/v1/participants/"+id+"/activation", map[string]any{"basis": "seen"})
	}
	return id
}

// viewer is one of those whom the story is about.
type viewer struct {
	By struct {
		Participant, Person string
	}
	Role string
}

// viewers reads who is in the story, and its documents.
func (n *node) viewers() (who []viewer, documents []string) {
	n.t.Helper()
	text, err := os.ReadFile(filepath.Join(story, "demo.json"))
	require.NoError(n.t, err)
	var read struct {
		Viewers   []viewer
		Documents []string
	}
	require.NoError(n.t, json.Unmarshal(text, &read))
	require.NotEmpty(n.t, read.Viewers)
	require.NotEmpty(n.t, read.Documents)
	return read.Viewers, read.Documents
}

// people makes callers of every kind.
func (n *node) people() *people {
	n.t.Helper()
	p := &people{callers: []caller{{name: "nobody"}, {name: "operator", token: n.operator, role: "operator", participant: "operator"}}}
	add := func(name, holder, person, role string) {
		token, _ := n.token(holder, person, role)
		p.callers = append(p.callers, caller{name, token, role, holder, person})
	}
	viewers, _ := n.viewers()
	for i, v := range viewers {
		if v.Role != "operator" {
			add(fmt.Sprintf("%s %d of the story", v.Role, i+1), v.By.Participant, v.By.Person, v.Role)
		}
	}
	company := viewers[0].By.Participant
	employees := "/api/v1/participants/" + company + "/employees"
	for i, right := range append(participant.Rights(), "left") {
		person := n.register(i, "Worker "+string(right), true)
		n.must(n.operator, http.MethodPost, employees, map[string]any{"person": person, "position": "clerk", "rights": []string{"read"}})
		add("employee with the right "+string(right), company, person, "participant")
		switch right {
		case participant.RightRead:
		case "left":
			p.callers[len(p.callers)-1].name = "employee who left"
			n.must(n.operator, http.MethodDelete, employees+"/"+person+"?reason=left", nil)
		default:
			n.must(n.operator, http.MethodPut, employees+"/"+person, map[string]any{"rights": []participant.Right{right}})
		}
	}
	p.spare = n.register(50, "Spare Person", true)
	p.pending = n.register(60, "Pending Person", false)
	add("natural person", n.register(40, "Natural Person", true), "", "participant")
	add("pending person", p.pending, "", "participant")
	for range 5 {
		_, id := n.token(p.spare, "", "participant")
		p.tokens = append(p.tokens, id)
	}
	return p
}
