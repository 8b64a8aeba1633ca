package httpapi_test

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dalel/blobs"
)

func TestR_D1_D8_M1_TheWholeStoryOverHTTP_AndNothingPersonalInTheLogs(t *testing.T) {
	w := newWorld(t)
	me := w.get("/api/v1/me", w.sender.token)
	require.Equal(t, w.sender.id, me.text("participant"))

	id := w.draft()
	doc := "/api/v1/documents/" + id
	described := w.ok("PUT", doc+"/details", w.sender.token, map[string]any{"kind": "contract", "title": "Тайный договор 2", "sum": map[string]any{"minor": "100000", "currency": "KZT"}})
	w.put(id, "second.txt", "второй файл\n")
	require.Equal(t, 200, w.do(request{method: "DELETE", path: doc + "/files/second.txt", token: w.sender.token}).status)
	require.Equal(t, 404, w.do(request{method: "GET", path: doc, token: w.party.token}).status, "a draft is its sender's alone")

	sent := w.ok("POST", doc+"/send", w.sender.token, map[string]any{"recipients": []any{
		map[string]any{"identifier": w.party.number, "role": "sign", "deadline": time.Now().Add(48 * time.Hour)},
		map[string]any{"participant": w.stranger.id, "role": "read", "order": 2},
	}})
	require.Greater(t, sent.value()["revision"], described.value()["revision"])
	require.Eventually(t, func() bool {
		return w.do(request{method: "GET", path: doc, token: w.party.token}).status == 200
	}, time.Minute, 20*time.Millisecond, "the delivery process brings it to the party")

	state := w.get(doc, w.party.token)
	require.Regexp(t, `^"`+jsonNumber(state, "revision")+`-[0-9a-f]{24}(-gzip)?"$`, state.header.Get("ETag"))
	require.Equal(t, []any{w.party.id}, state.value()["turn"])
	require.Equal(t, "no-store", state.header.Get("Cache-Control"))
	w.ok("POST", doc+"/views", w.party.token, nil)
	w.ok("POST", doc+"/acknowledgement", w.party.token, nil)

	file := w.get(doc+"/files/letter.txt", w.party.token)
	require.Equal(t, letter, file.body)
	require.Equal(t, `"`+blobs.Sum([]byte(letter)).String()+`"`, file.header.Get("ETag"))
	require.Contains(t, file.header.Get("Content-Disposition"), "attachment; filename=\"letter.txt\"; filename*=UTF-8''letter.txt")
	require.Regexp(t, regexp.MustCompile(`^sha-256=:[A-Za-z0-9+/]+=*:$`), file.header.Get("Repr-Digest"))
	head := w.do(request{method: "HEAD", path: doc + "/files/letter.txt", token: w.party.token})
	require.Equal(t, file.header.Get("Content-Length"), head.header.Get("Content-Length"))

	signed := w.ok("POST", doc+"/signatures", w.party.token, w.signatures(w.party, letter))
	reply := w.do(request{method: "GET", path: "/api/v1/inbox", token: w.party.token, header: map[string]string{"Dalel-Wait-For": position(signed)}})
	require.Equal(t, 200, reply.status, reply.body)
	require.Contains(t, reply.body, id)
	final := w.get(doc, w.sender.token)
	require.Equal(t, "signed", final.text("status"))
	require.Len(t, final.text("number"), 20)
	require.Equal(t, w.cmsOf(doc), 200)

	for _, path := range []string{"/api/v1/outbox", "/api/v1/journal", "/api/v1/journal?direction=out&kind=contract"} {
		require.Contains(t, w.get(path, w.sender.token).body, id, path)
	}
	require.Contains(t, w.get("/api/v1/journal", w.auditor).body, "Тайный договор 2")
	asOperator := w.get("/api/v1/journal", w.operator)
	require.Contains(t, asOperator.body, id)
	require.NotContains(t, asOperator.body, "Тайный", "operators read no content")
	require.Contains(t, w.get("/api/v1/inbox?participant="+w.party.id, w.auditor).body, id)
	require.Contains(t, w.get("/api/v1/documents", w.auditor).body, id)
	require.Contains(t, w.get("/api/v1/participants", w.operator).body, w.entity.id)
	require.Contains(t, w.get("/api/v1/participants/"+w.entity.id, w.operator).body, "manage")
	certificate := w.get("/api/v1/certificates/"+w.party.fingerprint(), w.party.token)
	require.Equal(t, "registered", certificate.text("status"))
	der := w.get("/api/v1/certificates/"+w.party.fingerprint()+"/certificate.cer", w.auditor)
	require.Equal(t, string(w.party.key.Certificate.Raw), der.body)

	timeline := w.get(doc+"/timeline", w.auditor)
	for _, kind := range []string{"DocumentCreated", "DocumentSent", "DocumentDelivered", "DocumentViewed", "DocumentAcknowledged", "DocumentSigned", "DocumentCompleted"} {
		require.Contains(t, timeline.body, kind)
	}
	packet := w.get(doc+"/packet", w.auditor)
	require.Equal(t, "application/vnd.etsi.asic-e+zip", packet.header.Get("Content-Type"))
	require.True(t, strings.HasPrefix(packet.body, "PK\x03\x04"))

	w.ok("POST", doc+"/revocation", w.sender.token, map[string]any{"reason": "Секретная причина"})
	w.ok("POST", doc+"/revocation/refusal", w.party.token, map[string]any{"reason": "Не согласна"})
	w.ok("POST", doc+"/revocation", w.sender.token, map[string]any{"reason": "Секретная причина"})
	w.ok("POST", doc+"/revocation/consent", w.party.token, nil)
	require.Equal(t, "revoked", w.get(doc, w.sender.token).text("status"))

	fingerprint := "/api/v1/certificates/" + w.party.fingerprint()
	w.ok("POST", fingerprint+"/compromise", w.party.token, map[string]any{"from": time.Now().Add(-time.Minute).UTC(), "circumstances": "потерян токен"})
	require.Equal(t, "suspended", w.get(fingerprint, w.party.token).text("status"))
	w.ok("POST", fingerprint+"/resumption", w.party.token, map[string]any{"channel": "online", "reason": "нашёлся"})
	w.ok("POST", fingerprint+"/annulment", w.party.token, map[string]any{"reason": "больше не нужен"})

	issued := w.ok("POST", "/api/v1/tokens", w.operator, map[string]any{"participant": w.party.id, "role": "participant", "label": "секретная метка", "seconds": 600})
	require.Equal(t, 200, w.do(request{method: "DELETE", path: "/api/v1/tokens/" + issued.text("id"), token: w.party.token}).status)
	require.Equal(t, "token.revoked", w.do(request{method: "GET", path: "/api/v1/me", token: issued.text("token")}).code())
	require.Equal(t, 404, w.do(request{method: "GET", path: "/api/v1/документ/" + w.sender.number, token: w.party.token}).status)

	logs := w.logs.String()
	require.Contains(t, logs, "/api/v1/documents/:id")
	for _, secret := range []string{
		"Асель", "Секретн", "секретн", "Тайный", "СЕКР", "letter.txt", "second.txt", "Secretov", "потерян", "нашёлся", "identity card", "127.0.0.1",
		w.sender.number, w.party.number, w.stranger.number, w.entity.number, w.sender.token, w.operator, issued.text("token"), final.text("number"),
	} {
		require.NotContains(t, logs, secret)
	}
}

func (w *world) cmsOf(doc string) int {
	return w.do(request{method: "GET", path: doc + "/signatures/1/cms", token: w.sender.token}).status
}

func jsonNumber(a answer, name string) string {
	found := regexp.MustCompile(`"`+name+`":(\d+)`).FindAllStringSubmatch(a.body, -1)
	return found[len(found)-1][1]
}

func TestR_D4_TheOtherWaysADocumentGoes(t *testing.T) {
	w := newWorld(t)
	rejected := "/api/v1/documents/" + w.sent()
	w.ok("POST", rejected+"/rejection", w.party.token, map[string]any{"reason": "не та сумма"})
	require.Equal(t, "rejected", w.get(rejected, w.sender.token).text("status"))

	id := w.draft()
	w.ok("POST", "/api/v1/documents/"+id+"/send", w.sender.token, map[string]any{"senderSigns": true, "recipients": []any{map[string]any{"participant": w.party.id, "role": "approve"}}})
	w.ok("POST", "/api/v1/documents/"+id+"/signatures", w.sender.token, w.signatures(w.sender, letter))
	require.NoError(t, w.ledger.DeliverDue(t.Context(), id))
	w.ok("POST", "/api/v1/documents/"+id+"/approval", w.party.token, nil)
	require.Equal(t, "signed", w.get("/api/v1/documents/"+id, w.sender.token).text("status"))
	require.Equal(t, 200, w.do(request{method: "DELETE", path: "/api/v1/participants/" + w.entity.id + "/employees/" + w.stranger.id + "?reason=left", token: w.operator}).status)
}

func TestACommandSentAgainAnswersAsTheFirstTime(t *testing.T) {
	w := newWorld(t)
	create := request{method: "POST", path: "/api/v1/documents", token: w.sender.token, key: "once", json: map[string]any{"kind": "letter", "title": "t"}}
	first, again := w.do(create), w.do(create)
	require.Equal(t, 201, first.status)
	require.Equal(t, first.status, again.status)
	require.Equal(t, strings.Replace(first.body, `"repeated":false`, `"repeated":true`, 1), again.body)
	require.Equal(t, first.header.Get("Location"), again.header.Get("Location"))
	create.json = map[string]any{"kind": "letter", "title": "another"}
	require.Equal(t, "idempotency-key.reused", w.do(create).code())

	id := w.sent()
	sign := request{method: "POST", path: "/api/v1/documents/" + id + "/signatures", token: w.party.token, key: "sign", json: w.signatures(w.party, "other bytes")}
	refused, replayed := w.do(sign), w.do(sign)
	require.Equal(t, 422, refused.status)
	require.Equal(t, "signature.invalid", refused.code())
	require.Equal(t, withoutInstance(refused.body), withoutInstance(replayed.body), "a refusal is replayed too")
}

var instance = regexp.MustCompile(`"requestId":"[0-9a-f-]{36}","instance":"urn:uuid:[0-9a-f-]{36}"`)

func withoutInstance(body string) string { return instance.ReplaceAllString(body, "") }

func TestListsGoOnByTheirLink(t *testing.T) {
	w := newWorld(t)
	var last answer
	var ids []string
	for range 5 {
		id := w.draft()
		ids = append(ids, id)
		last = w.ok("POST", "/api/v1/documents/"+id+"/send", w.sender.token, map[string]any{"recipients": []any{map[string]any{"participant": w.party.id, "role": "sign"}}})
	}
	var found []string
	next := "/api/v1/outbox?limit=2"
	link := regexp.MustCompile(`^<([^>]+)>; rel="next"$`)
	for pages := 0; next != ""; pages++ {
		require.Less(t, pages, 5)
		a := w.do(request{method: "GET", path: next, token: w.sender.token, header: map[string]string{"Dalel-Wait-For": position(last)}})
		require.Equal(t, 200, a.status, a.body)
		for _, item := range a.value()["items"].([]any) {
			found = append(found, item.(map[string]any)["document"].(string))
		}
		next = ""
		if m := link.FindStringSubmatch(a.header.Get("Link")); m != nil {
			next = m[1]
		}
	}
	slices.Reverse(found)
	require.Equal(t, ids, found)
	require.Equal(t, "request.cursor-invalid", w.do(request{method: "GET", path: "/api/v1/outbox?after=zzz", token: w.sender.token}).code())
}

func TestSecurityHeadersAreOnEveryAnswer(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/healthz", "/openapi.yaml", "/api/v1/me", "/nowhere"} {
		header := w.do(request{method: "GET", path: path}).header
		require.Contains(t, header.Get("Content-Security-Policy"), "frame-ancestors 'none'")
		require.NotContains(t, header.Get("Content-Security-Policy"), "unsafe")
		require.Equal(t, "nosniff", header.Get("X-Content-Type-Options"))
		require.Equal(t, "no-referrer", header.Get("Referrer-Policy"))
		require.NotEmpty(t, header.Get("X-Request-Id"))
	}
	byCookie := request{method: "POST", path: "/api/v1/documents", json: map[string]any{"kind": "letter", "title": "t"}, header: map[string]string{"Cookie": "dalel_session=" + w.sender.token}}
	require.Equal(t, 201, w.do(byCookie).status)
	byCookie.header["Sec-Fetch-Site"] = "cross-site"
	require.Equal(t, http.StatusForbidden, w.do(byCookie).status, "another site cannot use a browser's cookie")
}
