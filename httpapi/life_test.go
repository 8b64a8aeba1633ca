package httpapi_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pb33f/libopenapi"
	"github.com/stretchr/testify/require"

	"dalel/httpapi"
	"dalel/httpapi/route"
)

// step is one of the description's worked examples.
type step struct {
	Operation, As, Path, Type, Text, Send, Keep string
	Body                                        any
	Status                                      int
	Take                                        map[string]string
}

func TestTheWorkedExamplesOfTheDescriptionAreADocumentsWholeLife(t *testing.T) {
	document, err := libopenapi.NewDocument(httpapi.Description())
	require.NoError(t, err)
	model, err := document.BuildV3Model()
	require.NoError(t, err)
	node, ok := model.Model.Extensions.Get("x-life-of-a-document")
	require.True(t, ok)
	var steps []step
	require.NoError(t, node.Decode(&steps))

	w := newWorld(t)
	tokens := map[string]string{"operator": w.operator, "sender": w.sender.token, "party": w.party.token, "nobody": ""}
	known, kept := map[string]string{"party": w.party.id}, map[string]string{}
	fill := func(text string) string {
		for name, value := range known {
			text = strings.ReplaceAll(text, "{"+name+"}", value)
		}
		return text
	}
	var last answer
	for _, s := range steps {
		if s.Operation == "signDocument" {
			known["cms"] = base64.StdEncoding.EncodeToString(w.cms(w.party, "The parties have agreed."))
		}
		token, ok := tokens[s.As]
		require.True(t, ok, s.As)
		i := slices.IndexFunc(w.server.Routes(), func(r route.Route) bool { return r.Name == s.Operation })
		require.NotEqual(t, -1, i, "no such operation: %s", s.Operation)
		sent := request{method: w.server.Routes()[i].Method, path: fill(s.Path), token: token, mediaType: s.Type}
		switch {
		case s.Body != nil:
			body, err := json.Marshal(s.Body)
			require.NoError(t, err)
			sent.json = json.RawMessage(fill(string(body)))
		case s.Text != "":
			sent.raw = []byte(s.Text)
		case s.Send != "":
			sent.raw = []byte(kept[s.Send])
		}
		if s.Operation == "getDocument" {
			// Delivery is the ledger's own work.
			require.Eventually(t, func() bool { return w.do(sent).status == http.StatusOK }, time.Minute, 20*time.Millisecond)
		}
		last = w.do(sent)
		require.Equal(t, s.Status, last.status, "%s: %s", s.Operation, last.body)
		for name, member := range s.Take {
			known[name] = last.text(member)
			require.NotEmpty(t, known[name], "%s gives %s", s.Operation, member)
		}
		if s.Keep != "" {
			kept[s.Keep] = last.body
		}
	}
	require.Equal(t, "good", last.text("status"), "the last step checks the packet: %s", last.body)
	require.Len(t, last.value()["signers"], 1)
}
