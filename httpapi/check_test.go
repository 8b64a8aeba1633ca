package httpapi_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dalel/domain/packet/container"
	"dalel/httpapi"
	"dalel/httpapi/check"
	"dalel/httpapi/pages"
	"dalel/internal/cms"
)

const octets = "application/octet-stream"

// ask uploads bytes to be checked, without a token.
func (w *world) ask(what, content string) answer {
	w.t.Helper()
	return w.do(request{method: "POST", path: "/api/v1/check/" + what, raw: []byte(content), mediaType: octets, key: "-"})
}

// settled waits until the read models have everything.
func (w *world) settled() {
	w.t.Helper()
	end, err := w.store.End(w.t.Context())
	require.NoError(w.t, err)
	w.do(request{method: "GET", path: "/api/v1/me", token: w.sender.token, header: map[string]string{"Dalel-Wait-For": fmt.Sprint(end)}})
}

// completed is a document that its one recipient has signed.
func (w *world) completed() (path string) {
	w.t.Helper()
	path = "/api/v1/documents/" + w.sent()
	w.ok("POST", path+"/signatures", w.party.token, w.signatures(w.party, letter))
	w.settled()
	return path
}

// withChecks makes the check of uploads anew, with other limits.
func withChecks(change func(*check.Config)) func(*httpapi.Config) {
	return func(config *httpapi.Config) {
		made := config.Check.Config
		change(&made)
		checker, err := check.New(made)
		if err != nil {
			panic(err)
		}
		config.Check = checker
	}
}

func (w *world) personal() []string {
	return []string{
		secretName, "Секретн", "Тайный", "letter.txt", "Secretov", w.sender.id, w.party.id, w.sender.number, w.party.number,
		w.sender.fingerprint(), w.party.fingerprint(),
	}
}

func TestR_M3_AFileOfACompletedDocumentIsFoundAndNobodyIsNamed(t *testing.T) {
	w := newWorld(t)
	path := w.completed()
	number := w.get(path, w.sender.token).text("number")
	waiting := w.ask("file", letter)
	require.Contains(t, waiting.body, `"covered":false`)
	require.NoError(t, w.tlog.Publish(t.Context()))
	a := w.ask("file", letter)
	require.Equal(t, 200, a.status)
	documents := a.value()["documents"].([]any)
	require.Len(t, documents, 1)
	one := documents[0].(map[string]any)
	require.Equal(t, number, one["number"])
	require.Equal(t, "signed", one["status"])
	require.Equal(t, 1.0, one["signatures"])
	require.Equal(t, 0.0, one["lost"])
	require.Equal(t, 0.0, one["doubted"])
	require.Equal(t, "signed", one["headline"])
	require.Equal(t, map[string]any{"covered": true, "size": float64(w.tlog.Newest().Size)}, one["log"])
	require.NotContains(t, a.body, path[len("/api/v1/documents/"):], "nor its id")
	require.NotContains(t, a.value(), "inside")

	// What becomes of it afterwards.
	fingerprint := "/api/v1/certificates/" + w.party.fingerprint()
	w.ok("POST", fingerprint+"/annulment", w.party.token, map[string]any{"reason": "больше не нужен"})
	require.Contains(t, w.ask("file", letter).body, `"annulled":1`)
	w.ok("POST", path+"/revocation", w.sender.token, map[string]any{"reason": "Секретная причина"})
	w.ok("POST", path+"/revocation/consent", w.party.token, nil)
	revoked := w.ask("file", letter)
	require.Contains(t, revoked.body, `"status":"revoked"`)
	require.Contains(t, revoked.body, `"revokedAt"`)

	for _, secret := range w.personal() {
		require.NotContains(t, a.body+revoked.body, secret)
		require.NotContains(t, w.logs.String(), secret)
	}
	require.NotContains(t, w.logs.String(), a.text("sha256"), "what was asked about is nobody's business")
}

func TestR_M3_ADraftAndADocumentUnderWayAreAsUnknownAsAnyFile(t *testing.T) {
	w := newWorld(t)
	unknown := w.ask("file", letter)
	require.Equal(t, 200, unknown.status)
	require.Contains(t, unknown.body, `"documents":[]`)
	same := func(why string) {
		w.settled()
		again := w.ask("file", letter)
		require.Equal(t, unknown.body, again.body, why)
		for _, h := range []http.Header{unknown.header, again.header} {
			h.Del("X-Request-Id")
			h.Del("Date")
		}
		require.Equal(t, unknown.header, again.header, why)
	}
	w.draft()
	same("a draft")
	rejected := "/api/v1/documents/" + w.sent()
	same("sent and not signed")
	w.ok("POST", rejected+"/rejection", w.party.token, map[string]any{"reason": "не та сумма"})
	same("rejected")
	withdrawn := "/api/v1/documents/" + w.sent()
	w.ok("POST", withdrawn+"/revocation", w.sender.token, map[string]any{"reason": "ошибка"})
	same("withdrawn before it was completed")
	require.Len(t, w.ask("file", letter+" ").value()["documents"], 0)
	w.completed()
	require.Len(t, w.ask("file", letter).value()["documents"], 1, "the completed one alone")
}

func TestR_M3_OfADocumentThatIsBeingDestroyedOnlyThatIsSaid(t *testing.T) {
	w := newWorld(t)
	path := w.completed()
	require.Equal(t, 200, w.official(path+"/destruction-request", w.sender.token, "why", letterOfRequest).status)
	require.Equal(t, 200, w.official(path+"/destruction-request", w.party.token, "why", letterOfRequest).status)
	w.ok("POST", path+"/destruction", w.operator, map[string]any{"basis": "request"})
	// And when it is done, nobody finds it by what it was.
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		w.settled()
		body := w.ask("file", letter).body
		if strings.Contains(body, `"documents":[]`) {
			break
		}
		require.Contains(t, body, `"documents":[{"withheld":true}]`)
		require.True(t, time.Now().Before(end), "it is found for a minute: %s", body)
	}
}

func TestR_M3_SignaturesInsideAFileAreJudgedByTheLedgersAnchorsAndNameWhomTheFileNames(t *testing.T) {
	w := newWorld(t)
	sign := func(attached bool) []byte {
		message, err := cms.Sign(t.Context(), cms.SignOptions{
			Content: strings.NewReader(letter), Attached: attached, Signers: []cms.SignerOptions{{Certificate: w.party.key.Certificate, Key: w.party.key.Key}},
		})
		require.NoError(t, err)
		return message
	}
	attached := sign(true)
	a := w.ask("file", string(attached))
	inside := a.value()["inside"].(map[string]any)
	require.Equal(t, "cms", inside["form"])
	require.Equal(t, "valid", inside["status"], a.body)
	signer := inside["signers"].([]any)[0].(map[string]any)
	require.Equal(t, w.party.fingerprint(), signer["certificate"])
	subject := signer["subject"].(map[string]any)
	require.Equal(t, "Secretov", subject["name"], "as the certificate in the file says")
	require.Equal(t, "person", subject["role"])
	require.NotContains(t, a.body, secretName, "and not as the ledger registered the participant")
	broken := bytes.Replace(attached, []byte(letter), []byte(strings.ToUpper(letter)), 1)
	require.NotEqual(t, attached, broken)
	require.Equal(t, "invalid", w.ask("file", string(broken)).value()["inside"].(map[string]any)["status"])
	cannotTell := w.ask("file", string(sign(false)))
	require.Equal(t, "unknown", cannotTell.value()["inside"].(map[string]any)["status"])
	require.Contains(t, cannotTell.body, "content.missing")
}

func TestR_M3_APacketIsVerifiedByTheLedgersOwnAnchorsAndNotKept(t *testing.T) {
	w := newWorld(t)
	exported := w.get(w.completed()+"/packet", w.auditor).body
	a := w.ask("packet", exported)
	require.Equal(t, 200, a.status, a.body)
	require.Equal(t, "good", a.text("status"), a.body)
	for _, claim := range a.value()["claims"].([]any) {
		require.Equal(t, "yes", claim.(map[string]any)["holds"], claim)
	}
	archive, err := container.Read(strings.NewReader(exported), int64(len(exported)))
	require.NoError(t, err)
	file, ok := archive.File("document/letter.txt")
	require.True(t, ok)
	content, err := io.ReadAll(file.Open())
	require.NoError(t, err)
	forged := strings.Replace(exported, string(content), strings.Repeat("x", len(content)), 1)
	bad := w.ask("packet", forged)
	require.Equal(t, "bad", bad.text("status"))
	require.Contains(t, bad.body, "document/letter.txt")
	signers := a.value()["signers"].([]any)
	require.Len(t, signers, 1)
	signer := signers[0].(map[string]any)
	require.Equal(t, w.party.number, signer["identifier"], "who signed, as the packet opens it")
	require.Equal(t, "Secretov", signer["owner"])
	require.NotEmpty(t, a.value()["unproven"])
	for _, secret := range []string{"Тайный", w.sender.number} {
		require.NotContains(t, a.body+bad.body, secret)
	}
	for _, secret := range w.personal() {
		require.NotContains(t, w.logs.String(), secret)
	}
	w.requireNothingLeft()
}

// requireNothingLeft looks for packets in the folder where they are verified.
func (w *world) requireNothingLeft() {
	w.t.Helper()
	left, err := os.ReadDir(w.checks.Folder)
	require.NoError(w.t, err)
	for _, entry := range left {
		require.NotContains(w.t, entry.Name(), "dalel-check")
	}
}

func TestR_M3_WhatIsNoPacketIsSaidToBeNone(t *testing.T) {
	w := newWorld(t)
	var bomb bytes.Buffer
	z := zip.NewWriter(&bomb)
	for i := range 20 {
		entry, err := z.Create(fmt.Sprintf("document/zeros-%d", i))
		require.NoError(t, err)
		_, err = entry.Write(make([]byte, 16<<20))
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	require.Less(t, bomb.Len(), 1<<20, "320 MB in a few hundred KB")
	began := time.Now()
	a := w.ask("packet", bomb.String())
	require.Equal(t, 200, a.status)
	require.Equal(t, "bad", a.text("status"), "packets are not compressed: nothing is unpacked")
	require.Less(t, time.Since(began), time.Minute)
	require.Equal(t, "packet.unreadable", w.ask("packet", letter).code())
	require.Equal(t, "packet.unreadable", w.ask("packet", "").code())
	require.Equal(t, "packet.unreadable", w.ask("packet", "PK\x03\x04").code())
	require.Equal(t, "file.invalid", w.ask("file", "").code())
	for _, what := range []string{"file", "packet"} {
		for _, kind := range []string{"multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "nonsense/"} {
			a := w.do(request{method: "POST", path: "/api/v1/check/" + what, raw: []byte("x"), mediaType: kind, key: "-"})
			require.Equal(t, "request.media-type", a.code(), kind)
		}
	}
	require.Equal(t, "request.media-type", w.do(request{method: "POST", path: "/api/v1/check/packet", raw: []byte("x"), mediaType: "text/html", key: "-"}).code())
	w.requireNothingLeft()
}

func TestR_M3_UploadsAreBoundedInSize(t *testing.T) {
	w := newWorld(t, withChecks(func(c *check.Config) { c.MaxFile, c.MaxPacket = 1000, 1000 }))
	for _, what := range []string{"file", "packet"} {
		a := w.ask(what, strings.Repeat("x", 1001))
		require.Equal(t, 413, a.status)
		require.Equal(t, "request.too-large", a.code())
		// With no length announced it is found out on the way.
		sent := w.build(request{method: "POST", path: "/api/v1/check/" + what, raw: []byte("x"), mediaType: octets, key: "-"})
		sent.Body, sent.ContentLength = io.NopCloser(&lines{1 << 20}), -1
		response, err := http.DefaultClient.Do(sent)
		require.NoError(t, err)
		require.Equal(t, 413, response.StatusCode)
		require.NoError(t, response.Body.Close())
	}
	require.Equal(t, 200, w.ask("file", strings.Repeat("x", 1000)).status)
	w.requireNothingLeft()
}

func TestR_M3_ASlowUploadIsCutOffAndLeavesNothing(t *testing.T) {
	w := newWorld(t, withChecks(func(c *check.Config) { c.Within = 300 * time.Millisecond }))
	for _, what := range []string{"file", "packet"} {
		connection, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
		require.NoError(t, err)
		_, err = fmt.Fprintf(connection, "POST /api/v1/check/%s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: 1000000\r\n\r\n", what, octets)
		require.NoError(t, err)
		// A byte now and then keeps it alive for longer than it has.
		go func() {
			for {
				if _, err := connection.Write([]byte("x")); err != nil {
					return
				}
				time.Sleep(20 * time.Millisecond)
			}
		}()
		began := time.Now()
		require.NoError(t, connection.SetReadDeadline(began.Add(time.Minute)))
		said, err := io.ReadAll(io.LimitReader(connection, 12))
		require.NoError(t, err)
		require.Equal(t, "HTTP/1.1 400", string(said))
		require.Less(t, time.Since(began), time.Minute)
		require.NoError(t, connection.Close())
	}
	require.Contains(t, w.logs.String(), "request.cut-off")
	w.requireNothingLeft()
}

func TestR_M3_AnAddressMayAskForSoMuchAMinute(t *testing.T) {
	now := time.Now()
	w := newWorld(t, withChecks(func(c *check.Config) { c.EachMinute, c.Clock = 3, func() time.Time { return now } }))
	for range 3 {
		require.Equal(t, 200, w.ask("file", letter).status)
	}
	for _, what := range []string{"file", "packet"} {
		a := w.ask(what, letter)
		require.Equal(t, 429, a.status)
		require.Equal(t, "request.throttled", a.code())
		require.Equal(t, "60", a.header.Get("Retry-After"))
	}
	now = now.Add(time.Minute)
	require.Equal(t, 200, w.ask("file", letter).status)
}

func TestR_M3_ThePageTakesThePlainFormOfAnybody(t *testing.T) {
	w := newWorld(t, func(config *httpapi.Config) {
		site, err := pages.New(pages.Config{Ledger: config.Ledger, Models: config.Models.(pages.Models), Uploads: config.Check})
		require.NoError(t, err)
		config.Pages, config.PageError = site.Routes(), site.Error
	})
	path := w.completed()
	exported := w.get(path+"/packet", w.auditor).body
	send := func(name, content string, header ...string) (int, string) {
		var form bytes.Buffer
		parts := multipart.NewWriter(&form)
		part, err := parts.CreateFormFile(name, "Тайный договор.pdf")
		require.NoError(t, err)
		_, err = io.WriteString(part, content)
		require.NoError(t, err)
		require.NoError(t, parts.Close())
		sent, err := http.NewRequest("POST", w.url+"/check/"+name, &form)
		require.NoError(t, err)
		sent.Header.Set("Content-Type", parts.FormDataContentType())
		sent.Header.Set("Accept-Language", "en")
		for i := 0; i < len(header); i += 2 {
			sent.Header.Set(header[i], header[i+1])
		}
		response, err := http.DefaultClient.Do(sent)
		require.NoError(t, err)
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.Equal(t, "no-store", response.Header.Get("Cache-Control"))
		return response.StatusCode, string(body)
	}
	status, body := send("file", letter)
	require.Equal(t, 200, status)
	require.Contains(t, body, "1 completed document has this file")
	for _, secret := range w.personal() {
		require.NotContains(t, body, secret)
	}
	_, unknown := send("file", letter+"!")
	require.Contains(t, unknown, "No completed document here has this file")
	status, body = send("packet", exported)
	require.Equal(t, 200, status)
	require.Contains(t, body, "The packet holds")
	status, body = send("packet", letter)
	require.Equal(t, 400, status)
	require.Contains(t, body, "This is no proof packet")
	status, _ = send("file", letter, "Sec-Fetch-Site", "cross-site", "Origin", "https://elsewhere.example")
	require.Equal(t, 403, status, "nobody else's page sends people's files here")
	for _, secret := range append(w.personal(), "договор.pdf") {
		require.NotContains(t, w.logs.String(), secret)
	}
	w.requireNothingLeft()
}

// TestR_C8_ASignerWhoDatesBackANoticeUndoesNothing plays what a signer may try
// who wants out of a contract: a notice on its own key dated before the
// signature, and its withdrawal.
func TestR_C8_ASignerWhoDatesBackANoticeUndoesNothing(t *testing.T) {
	w := newWorld(t)
	path := "/api/v1/documents/" + w.sent()
	w.ok("POST", path+"/signatures", w.party.token, w.signatures(w.party, letter))
	number := w.get(path, w.sender.token).text("number")
	headline := func() string { return w.do(request{method: "GET", path: "/api/v1/check/" + number}).text("headline") }
	require.Equal(t, "signed", headline())

	key := "/api/v1/certificates/" + w.party.fingerprint()
	w.ok("POST", key+"/compromise", w.party.token, map[string]any{"from": time.Now().Add(-24 * time.Hour).UTC(), "circumstances": "передумал"})
	require.Equal(t, "signature-in-doubt", headline())
	seen := w.get(path, w.sender.token)
	require.Equal(t, "signed", seen.text("status"), "the contract stands as it was")
	require.Contains(t, seen.body, `"force":"in-doubt"`)
	require.Equal(t, "access.forbidden", w.do(request{method: "POST", path: path + "/signatures/1/decision", token: w.party.token, key: "d1",
		json: map[string]any{"ruling": "lost", "ground": "I say so"}}).code())

	w.ok("POST", key+"/resumption", w.party.token, map[string]any{"channel": "online", "reason": "ошибка"})
	require.Equal(t, "signed", headline(), "at once, whether or not anybody was told")
	require.Contains(t, w.get(key, w.party.token).body, `"circumstances":"передумал"`, "what was said stays")
}
