package httpapi_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dalel/domain/access"
	"dalel/domain/event"
	"dalel/domain/participant"
	"dalel/httpapi"
)

// employ makes who an employee of the entity and returns a token for it; its
// rights are read, or those given.
func (w *world) employ(who person, rights ...participant.Right) string {
	w.t.Helper()
	of := "/api/v1/participants/" + w.entity.id + "/employees"
	w.ok("POST", of, w.operator, map[string]any{"person": who.id, "position": "clerk", "rights": []participant.Right{participant.RightRead}})
	token := w.token(event.By{Participant: w.entity.id, Person: who.id}, access.RoleParticipant, time.Hour)
	if len(rights) > 0 {
		w.ok("PUT", of+"/"+who.id, w.operator, map[string]any{"rights": rights})
	}
	return token
}

func (w *world) dismiss(who person) {
	w.t.Helper()
	w.ok("DELETE", "/api/v1/participants/"+w.entity.id+"/employees/"+who.id+"?reason=left", w.operator, nil)
}

func TestR_A4_AnEmployeeWhoLeftIsOutAtOnceAndTheTokenStaysDeadWhenThePersonComesBack(t *testing.T) {
	// No heartbeat comes while this runs: what happens to the stream is not its doing.
	w := newWorld(t, func(c *httpapi.Config) { c.Heartbeat = time.Hour })
	all := participant.Rights()
	token := w.employ(w.party, all...)
	as := func(path, token string) answer { return w.do(request{method: "GET", path: path, token: token}) }
	auditing := w.token(event.By{Participant: w.entity.id, Person: w.party.id}, access.RoleAuditor, time.Hour)
	doc := "/api/v1/documents/" + w.ok("POST", "/api/v1/documents", token, map[string]any{"kind": "letter", "title": "t"}).text("id")
	stream := w.listen(doc+"/timeline/live", token, "")
	require.Equal(t, "DocumentCreated", stream.next(t).kind)
	stays := w.employ(w.sender, all...)

	w.dismiss(w.party)
	w.ok("PUT", doc+"/details", stays, map[string]any{"kind": "letter", "title": "what only those who stayed may know"})
	select {
	case <-stream.ended:
	case <-time.After(10 * time.Second):
		t.Fatal("a stream outlived the employment")
	}
	require.Empty(t, stream.events, "nothing was told after the person had left")
	for _, dead := range []string{token, auditing} {
		for _, path := range []string{"/api/v1/me", "/api/v1/participants/" + w.entity.id, "/api/v1/participants/" + w.entity.id + "/certificates", doc, "/api/v1/documents"} {
			require.Equal(t, "token.revoked", as(path, dead).code(), path)
		}
	}
	again := w.employ(w.party)
	require.Equal(t, "token.revoked", as("/api/v1/me", token).code(), "what was issued in the first employment ended with it")
	require.Equal(t, http.StatusOK, as("/api/v1/me", again).status)
	w.ok("PUT", "/api/v1/participants/"+w.entity.id+"/employees/"+w.party.id, w.operator, map[string]any{"rights": all})
	require.Equal(t, http.StatusOK, as("/api/v1/me", again).status, "other rights are the same employment")
	refused := w.do(request{method: "POST", path: "/api/v1/tokens", token: w.operator, json: map[string]any{
		"participant": w.entity.id, "person": w.stranger.id, "role": "auditor", "seconds": 3600,
	}})
	require.Equal(t, http.StatusCreated, refused.status, "the stranger is an employee")
	w.dismiss(w.stranger)
	refused = w.do(request{method: "POST", path: "/api/v1/tokens", token: w.operator, json: map[string]any{
		"participant": w.entity.id, "person": w.stranger.id, "role": "auditor", "seconds": 3600,
	}})
	require.Equal(t, "employee.unknown", refused.code(), "nobody gets a token for whom it is no employee of, in whatever role")
}
