package httpapi_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dalel/domain/access"
	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/httpapi"
	"dalel/httpapi/route"
	"dalel/internal/fault"

	"github.com/labstack/echo/v4"
)

func TestBadInputHasItsOwnCodeAndLeavesNothingBehind(t *testing.T) {
	w := newWorld(t)
	draft, sent := "/api/v1/documents/"+w.draft(), "/api/v1/documents/"+w.sent()
	revoked, err := w.ledger.IssueToken(t.Context(), operatorAct, event.By{Participant: w.sender.id}, access.RoleParticipant, "", time.Hour)
	require.NoError(t, err)
	registration := func(identifier string) any {
		return map[string]any{"kind": "natural-person", "identifier": identifier, "name": "Somebody"}
	}
	create := func(body string) request {
		return request{method: "POST", path: "/api/v1/documents", token: w.sender.token, raw: []byte(body), mediaType: "application/json"}
	}
	good := `{"kind":"letter","title":"t"}`
	with := func(r request, change func(*request)) request { change(&r); return r }
	for name, c := range map[string]struct {
		request request
		status  int
		code    string
	}{
		"a wrong IIN":                    {request{method: "POST", path: "/api/v1/participants", token: w.operator, json: registration("850412300560")}, 400, "identifier.invalid"},
		"a participant twice":            {request{method: "POST", path: "/api/v1/participants", token: w.operator, json: registration(w.sender.number)}, 409, "participant.exists"},
		"an unknown recipient":           {request{method: "POST", path: draft + "/send", token: w.sender.token, json: map[string]any{"recipients": []any{map[string]any{"identifier": "000000000000", "role": "sign"}}}}, 422, "recipient.unknown"},
		"a file that is something else":  {request{method: "PUT", path: draft + "/files/a.pdf", token: w.sender.token, raw: []byte("MZ this is a program"), mediaType: "application/pdf"}, 422, "file.not-as-claimed"},
		"a type that is not taken":       {request{method: "PUT", path: draft + "/files/a.exe", token: w.sender.token, raw: []byte("MZ"), mediaType: "application/x-msdownload"}, 400, "file.invalid"},
		"a file of no type":              {request{method: "PUT", path: draft + "/files/a.txt", token: w.sender.token, raw: []byte("a")}, 415, "request.media-type"},
		"a name that leads elsewhere":    {request{method: "PUT", path: draft + "/files/..%2Fpasswd.txt", token: w.sender.token, raw: []byte("a"), mediaType: "text/plain"}, 400, "file.invalid"},
		"somebody else's token":          {request{method: "PUT", path: draft + "/files/a.txt", token: w.stranger.token, raw: []byte("a"), mediaType: "text/plain"}, 404, "document.unknown"},
		"the party's token on a sent":    {request{method: "DELETE", path: sent + "/files/letter.txt", token: w.party.token}, 403, "document.not-a-party"},
		"a stale revision":               {request{method: "PUT", path: draft + "/details", token: w.sender.token, json: map[string]any{"kind": "letter", "title": "t"}, header: map[string]string{"If-Match": `"0"`}}, 412, "revision.stale"},
		"a revision that is none":        {request{method: "PUT", path: draft + "/details", token: w.sender.token, json: map[string]any{"kind": "letter", "title": "t"}, header: map[string]string{"If-Match": "*"}}, 400, "request.invalid"},
		"no signature at all":            {request{method: "POST", path: sent + "/signatures", token: w.party.token, json: []any{map[string]any{"file": "letter.txt", "cms": []byte("nonsense")}}}, 400, "signature.unreadable"},
		"a signature that was cancelled": {request{method: "POST", path: sent + "/signatures", token: w.party.token, json: []any{map[string]any{"file": "letter.txt", "cms": map[string]any{"status": true, "body": map[string]any{}}}}}, 400, "signature.cancelled"},
		"a cancelled one of old":         {request{method: "POST", path: sent + "/signatures", token: w.party.token, json: []any{map[string]any{"file": "letter.txt", "cms": `{"code":"500","message":"action.canceled"}`}}}, 400, "signature.cancelled"},
		"NCALayer's error":               {request{method: "POST", path: sent + "/signatures", token: w.party.token, json: []any{map[string]any{"file": "letter.txt", "cms": map[string]any{"status": false, "code": "500", "message": "storage.empty"}}}}, 400, "signature.not-made"},
		"a signature that is a number":   {request{method: "POST", path: sent + "/signatures", token: w.party.token, json: []any{map[string]any{"file": "letter.txt", "cms": 7}}}, 400, "signature.unreadable"},
		"no member for the signature":    {request{method: "POST", path: sent + "/signatures", token: w.party.token, json: []any{map[string]any{"file": "letter.txt"}}}, 400, "signature.unreadable"},
		"a certificate of another":       {request{method: "POST", path: "/api/v1/participants/" + w.party.id + "/certificates", token: w.party.token, raw: w.stranger.key.Certificate.Raw, mediaType: "application/pkix-cert"}, 409, "certificate.exists"},
		"a certificate that is none":     {request{method: "POST", path: "/api/v1/participants/" + w.party.id + "/certificates", token: w.party.token, raw: []byte("x"), mediaType: "application/pkix-cert"}, 400, "certificate.invalid"},
		"no idempotency key":             {with(create(good), func(r *request) { r.key = "-" }), 400, "idempotency-key.missing"},
		"a key of 129 characters":        {with(create(good), func(r *request) { r.key = strings.Repeat("k", 129) }), 400, "idempotency-key.invalid"},
		"a key in Cyrillic":              {with(create(good), func(r *request) { r.key = "ключ" }), 400, "idempotency-key.invalid"},
		"not JSON":                       {create("{"), 400, "request.invalid"},
		"an unknown member":              {create(`{"kind":"letter","title":"t","colour":"red"}`), 400, "request.invalid"},
		"a member twice":                 {create(`{"kind":"letter","title":"t","title":"u"}`), 400, "request.invalid"},
		"two values":                     {create(good + good), 400, "request.invalid"},
		"a wrong type":                   {create(`{"kind":"letter","title":7}`), 400, "request.invalid"},
		"broken UTF-8":                   {create("{\"kind\":\"letter\",\"title\":\"\xff\"}"), 400, "request.invalid"},
		"JSON a thousand deep":           {create(strings.Repeat("[", 1000) + strings.Repeat("]", 1000)), 400, "request.invalid"},
		"a megabyte and more of JSON":    {create(`{"kind":"letter","title":"` + strings.Repeat("a", 1<<20) + `"}`), 413, "request.too-large"},
		"another media type":             {with(create(good), func(r *request) { r.mediaType = "text/plain" }), 415, "request.media-type"},
		"a body where none is taken":     {request{method: "POST", path: sent + "/views", token: w.party.token, raw: []byte("{}"), mediaType: "application/json"}, 413, "request.too-large"},
		"no title":                       {create(`{"kind":"letter"}`), 400, "document.invalid"},
		"a limit of 1000":                {request{method: "GET", path: "/api/v1/inbox?limit=1000", token: w.party.token}, 400, "request.invalid"},
		"a position that is none":        {request{method: "GET", path: sent + "/timeline?after=x", token: w.party.token}, 400, "request.cursor-invalid"},
		"no such file":                   {request{method: "GET", path: sent + "/files/b.txt", token: w.party.token}, 404, "file.unknown"},
		"no such signature":              {request{method: "GET", path: sent + "/signatures/1/cms", token: w.party.token}, 404, "file.unknown"},
		"no such method":                 {request{method: "PATCH", path: sent, token: w.party.token}, 405, "request.method-not-allowed"},
		"no such route":                  {request{method: "GET", path: "/api/v2/x", token: w.party.token}, 404, "request.no-such-route"},
		"a token in the wrong scheme":    {request{method: "GET", path: "/api/v1/me", header: map[string]string{"Authorization": "Basic abc"}}, 401, "token.invalid"},
		"another's token to revoke":      {request{method: "DELETE", path: "/api/v1/tokens/" + revoked.ID, token: w.party.token}, 404, "token.unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			end, stored := w.footprint()
			a := w.do(c.request)
			require.Equal(t, c.code, a.code(), a.body)
			require.Equal(t, c.status, a.status)
			require.Equal(t, "/problems/"+c.code, a.text("type"))
			endAfter, storedAfter := w.footprint()
			if c.code == "file.not-as-claimed" {
				require.Equal(t, []string{"FileRefused"}, w.typesSince(end), "that it was not received is all that is written (R-D2)")
			} else {
				require.Equal(t, end, endAfter, "no event was written")
			}
			require.Equal(t, stored, storedAfter, "no content was stored")
		})
	}
}

func TestR_E1_ASignatureIsTakenAsNCALayerGivesItAndKeptAsTheCMSThatItIs(t *testing.T) {
	w := newWorld(t)
	block := func(der []byte) string { return string(pem.EncodeToMemory(&pem.Block{Type: "CMS", Bytes: der})) }
	for name, wrap := range map[string]func(der []byte) any{
		"base64": func(der []byte) any { return base64.StdEncoding.EncodeToString(der) },
		"base64 in lines": func(der []byte) any {
			text := base64.StdEncoding.EncodeToString(der)
			return "\ufeff" + text[:76] + "\r\n" + text[76:] + "\r\n"
		},
		"PEM":        func(der []byte) any { return block(der) },
		"a PEM file": func(der []byte) any { return []byte(strings.ReplaceAll(block(der), "\n", "\r\n")) },
		"an answer": func(der []byte) any {
			return map[string]any{"status": true, "body": map[string]any{"result": []any{der}}}
		},
		"the list of it":  func(der []byte) any { return []any{der} },
		"an older answer": func(der []byte) any { return map[string]any{"code": "200", "responseObject": der} },
		"an answer, a text": func(der []byte) any {
			return `{"status":true,"body":{"result":["` + base64.StdEncoding.EncodeToString(der) + `"]}}`
		},
	} {
		doc := "/api/v1/documents/" + w.sent()
		der := w.cms(w.party, letter)
		w.ok("POST", doc+"/signatures", w.party.token, []any{map[string]any{"file": "letter.txt", "cms": wrap(der)}})
		require.Equal(t, string(der), w.get(doc+"/signatures/1/cms", w.sender.token).body, name)
	}
}

func TestR_C1_ACertificateIsRegisteredFromPEM(t *testing.T) {
	w := newWorld(t)
	path := "/api/v1/participants/" + w.party.id + "/certificates"
	for name, wrap := range map[string]func(der []byte) string{
		"PEM": func(der []byte) string {
			return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
		},
		"PEM with CRLF and more": func(der []byte) string {
			return "\ufeff" + strings.ReplaceAll(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), "\n", "\r\n") + "\r\n"
		},
		"base64": func(der []byte) string { return base64.StdEncoding.EncodeToString(der) },
	} {
		// One that is registered already is found to be that one.
		a := w.do(request{method: "POST", path: path, token: w.party.token, raw: []byte(wrap(w.party.key.Certificate.Raw)), mediaType: "application/x-pem-file"})
		require.Equal(t, "certificate.exists", a.code(), name+a.body)
	}
}

func TestR_E3_ASignatureOverOtherBytesIsRefusedAndRecordedAsAnAttempt(t *testing.T) {
	w := newWorld(t)
	doc := "/api/v1/documents/" + w.sent()
	a := w.do(request{method: "POST", path: doc + "/signatures", token: w.party.token, json: w.signatures(w.party, "other bytes")})
	require.Equal(t, 422, a.status)
	require.Equal(t, "signature.invalid", a.code())
	require.NotEmpty(t, a.value()["reasons"])
	a = w.do(request{method: "POST", path: doc + "/signatures", token: w.party.token, json: w.signatures(w.stranger, letter)})
	require.Equal(t, "certificate.of-another", a.code(), a.body)
	state := w.get(doc, w.sender.token)
	require.Equal(t, "awaiting", state.text("status"))
	require.Empty(t, state.value()["signatures"])
}

func TestABodyCutOffInTheMiddleStoresNothing(t *testing.T) {
	w := newWorld(t)
	id := w.draft()
	for name, announce := range map[string]string{"announced length": "Content-Length: 1000\r\n\r\nhalf a file", "chunked": "Transfer-Encoding: chunked\r\n\r\n400\r\nhalf a file"} {
		t.Run(name, func(t *testing.T) {
			end, stored := w.footprint()
			conn, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
			require.NoError(t, err)
			defer conn.Close()
			fmt.Fprintf(conn, "PUT /api/v1/documents/%s/files/cut.txt HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nIdempotency-Key: cut-%s\r\nContent-Type: text/plain\r\n%s", id, w.sender.token, name, announce)
			require.NoError(t, conn.(*net.TCPConn).CloseWrite())
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			require.NoError(t, err)
			body, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			require.Equal(t, 400, response.StatusCode)
			require.Contains(t, string(body), `"request.cut-off"`)
			endAfter, storedAfter := w.footprint()
			require.Equal(t, end, endAfter)
			require.Equal(t, stored, storedAfter)
		})
	}
}

func TestAFullDiskIs507AndNothingIsHalfWritten(t *testing.T) {
	w := newWorld(t)
	id := w.draft()
	full := error(fault.Wrap(fault.StorageFull, fmt.Errorf("write: %w", syscall.ENOSPC), "no room left"))
	put := request{method: "PUT", path: "/api/v1/documents/" + id + "/files/b.txt", token: w.sender.token, raw: []byte("text"), mediaType: "text/plain"}
	create := request{method: "POST", path: "/api/v1/documents", token: w.sender.token, json: map[string]any{"kind": "letter", "title": "t"}}
	end, stored := w.footprint()

	w.blobs.fail.Store(&full)
	require.Equal(t, "storage.full", w.do(put).code())
	w.blobs.fail.Store(nil)
	endAfter, storedAfter := w.footprint()
	require.Equal(t, end, endAfter)
	require.Equal(t, stored, storedAfter)

	w.store.fail.Store(&full)
	a := w.do(create)
	require.Equal(t, 507, a.status)
	require.Equal(t, "storage.full", a.code())
	require.NotContains(t, a.body, "space", "the cause is for the log")
	w.store.fail.Store(nil)
	endAfter, _ = w.footprint()
	require.Equal(t, end, endAfter)

	require.Equal(t, 201, w.do(create).status, "it goes on when there is room again")
	require.Equal(t, 200, w.do(put).status)
}

func TestContentThatFailsItsCheckNeverArrivesWhole(t *testing.T) {
	w := newWorld(t)
	id := w.draft()
	large := strings.Repeat("many lines of text\n", 40_000)
	w.put(id, "large.txt", large)
	w.blobs.corrupt.Store(true)
	response, err := http.DefaultClient.Do(w.build(request{method: "GET", path: "/api/v1/documents/" + id + "/files/large.txt", token: w.sender.token}))
	require.NoError(t, err)
	body, err := io.ReadAll(response.Body)
	response.Body.Close()
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Less(t, len(body), len(large))

	small := w.do(request{method: "GET", path: "/api/v1/documents/" + id + "/files/letter.txt", token: w.sender.token})
	require.Equal(t, 500, small.status)
	require.Equal(t, "blob.corrupt", small.code())
}

func TestWhatFailsInsideTellsNothingOutside(t *testing.T) {
	w := newWorld(t)
	secret := fmt.Errorf("pq: password of the database is hunter2")
	w.store.fail.Store(&secret)
	a := w.do(request{method: "POST", path: "/api/v1/documents", token: w.sender.token, json: map[string]any{"kind": "letter", "title": "t"}})
	require.Equal(t, 500, a.status)
	require.Equal(t, "internal", a.code())
	require.NotContains(t, a.body, "hunter2")
	require.Contains(t, w.logs.String(), a.header.Get("X-Request-Id"), "the log has the request's id")
}

func TestAReadThatWaitsForAPositionNotReachedIsUnavailable(t *testing.T) {
	w := newWorld(t)
	a := w.do(request{method: "GET", path: "/api/v1/inbox", token: w.party.token, header: map[string]string{"Dalel-Wait-For": "999999999"}})
	require.Equal(t, 503, a.status)
	require.Equal(t, "position.not-reached", a.code())
	require.NotEmpty(t, a.header.Get("Retry-After"))
}

func TestUnknownTokensFromOneAddressAreThrottled(t *testing.T) {
	w := newWorld(t, func(c *httpapi.Config) { c.Limits.UnknownPerMinute = 3; c.TrustProxy = true })
	from := func(address, token string) answer {
		return w.do(request{method: "GET", path: "/api/v1/me", token: token, header: map[string]string{"X-Forwarded-For": "9.9.9.9, " + address}})
	}
	for range 3 {
		require.Equal(t, 401, from("203.0.113.7", "dalel_x").status)
	}
	a := from("203.0.113.7", "dalel_x")
	require.Equal(t, 429, a.status)
	require.Equal(t, "request.throttled", a.code())
	require.NotEmpty(t, a.header.Get("Retry-After"))
	require.Equal(t, 429, from("203.0.113.7:5123", "dalel_x").status, "with the port that some proxies write")
	require.Equal(t, 401, from("203.0.113.8:5123", "dalel_x").status, "of another client")
	require.Equal(t, 401, from("[2001:db8::1]:5123", "dalel_x").status)
	require.Equal(t, 200, from("203.0.113.8", w.sender.token).status, "others are not held up")
	require.Equal(t, 200, from("203.0.113.7", w.sender.token).status, "nor is a good token from the same address")
}

func TestTheAddressOfAProxyIsBelievedOnlyWhereItIsTrusted(t *testing.T) {
	for _, trusted := range []bool{false, true} {
		w := newWorld(t, func(c *httpapi.Config) { c.TrustProxy = trusted })
		made := w.do(request{method: "POST", path: "/api/v1/documents", token: w.sender.token, json: map[string]any{"kind": "letter", "title": "t"},
			header: map[string]string{"X-Forwarded-For": "198.51.100.1, 203.0.113.7", "User-Agent": strings.Repeat("ы", 300)}})
		for recorded, err := range w.store.ReadStream(context.Background(), document.StreamID(made.text("id")), 0, 0) {
			require.NoError(t, err)
			metadata, err := recorded.ReadMetadata()
			require.NoError(t, err)
			require.Empty(t, metadata.IP+metadata.Device, "they are sealed")
			metadata, err = w.ledger.Codec().OpenMetadata(context.Background(), metadata)
			require.NoError(t, err)
			require.Equal(t, map[bool]string{false: "127.0.0.1", true: "203.0.113.7"}[trusted], metadata.IP)
			require.Equal(t, strings.Repeat("ы", 100), metadata.Device)
			require.Len(t, metadata.Session, 16)
		}
	}
}

func TestARowThatWouldLetSomebodyInByOmissionIsRefused(t *testing.T) {
	w := newWorld(t)
	handler := func(c echo.Context, _ route.Caller) error { return c.NoContent(204) }
	operators := []access.Role{access.RoleOperator}
	for name, row := range map[string]route.Route{
		"no roles":        {Method: "GET", Path: "/x", Name: "x", Scope: route.Own, Handler: handler},
		"no scope":        {Method: "GET", Path: "/x", Name: "x", Roles: operators, Handler: handler},
		"roles on public": {Method: "GET", Path: "/x", Name: "x", Scope: route.Public, Roles: operators, Handler: handler},
		"no handler":      {Method: "GET", Path: "/x", Name: "x", Scope: route.Public},
		"a second":        {Method: "GET", Path: "/api/v1/me", Name: "x", Scope: route.Public, Handler: handler},
	} {
		config := w.server.Config
		config.Pages = []route.Route{row}
		_, err := httpapi.New(config)
		require.Equal(t, fault.ConfigInvalid, fault.CodeOf(err), name)
	}
}
