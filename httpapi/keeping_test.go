package httpapi_test

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dalel/blobs"
	"dalel/domain/access"
	"dalel/domain/event"
	"dalel/httpapi"
	"dalel/internal/fault"
)

const letterOfRequest = "Прошу уничтожить. Подпись.\n"

type formPart struct{ name, mediaType, content string }

func form(t *testing.T, parts ...formPart) (body []byte, mediaType string) {
	t.Helper()
	var buffer bytes.Buffer
	writer := multipart.NewWriter(&buffer)
	for _, p := range parts {
		header := textproto.MIMEHeader{"Content-Disposition": {fmt.Sprintf(`form-data; name=%q; filename="x"`, p.name)}}
		if p.mediaType != "" {
			header.Set("Content-Type", p.mediaType)
		}
		part, err := writer.CreatePart(header)
		require.NoError(t, err)
		_, err = io.WriteString(part, p.content)
		require.NoError(t, err)
	}
	require.NoError(t, writer.Close())
	return buffer.Bytes(), writer.FormDataContentType()
}

func (w *world) officialRequest(path, token, reason, letter string) request {
	w.t.Helper()
	body, mediaType := form(w.t, formPart{"reason", "", reason}, formPart{"letter", "text/plain; charset=utf-8", letter})
	return request{method: "POST", path: path, token: token, raw: body, mediaType: mediaType}
}

func (w *world) official(path, token, reason, letter string) answer {
	w.t.Helper()
	return w.do(w.officialRequest(path, token, reason, letter))
}

// signed makes a document that the party has signed, so that it is complete.
func (w *world) signed() string {
	w.t.Helper()
	doc := "/api/v1/documents/" + w.sent()
	w.ok("POST", doc+"/signatures", w.party.token, w.signatures(w.party, letter))
	return doc
}

func TestR_G3_G4_ADocumentSaysHowLongItIsKeptAndWhatHoldsIt(t *testing.T) {
	w := newWorld(t)
	open := w.get("/api/v1/documents/"+w.sent(), w.party.token)
	require.NotContains(t, open.value(), "retention", "its route is open")
	require.NotContains(t, open.value(), "destruction")
	require.Equal(t, map[string]any{"exists": "yes"}, open.value()["original"])

	doc := w.signed()
	retention := w.get(doc, w.party.token).value()["retention"].(map[string]any)
	until, err := time.Parse(time.RFC3339, retention["until"].(string))
	require.NoError(t, err)
	since, err := time.Parse(time.RFC3339, retention["since"].(string))
	require.NoError(t, err)
	require.Equal(t, since.AddDate(10, 0, 0), until)
	require.Contains(t, []any{"document/all/P10Y/ended", "journal/all/P10Y/recorded"}, retention["rule"])

	const ground = "Иск Секретова 7599-27"
	place := request{method: "POST", path: doc + "/holds", token: w.operator, key: "hold", json: map[string]any{"ground": ground}}
	placed, again := w.do(place), w.do(place)
	require.Equal(t, 201, placed.status, placed.body)
	require.Equal(t, placed.text("id"), again.text("id"))
	require.Equal(t, true, again.value()["repeated"])
	hold := placed.text("id")
	for name, token := range map[string]string{"sender": w.sender.token, "party": w.party.token} {
		seen := w.get(doc, token)
		require.NotContains(t, seen.body, "7599", "the ground is not for the %s", name)
		holds := seen.value()["holds"].([]any)
		require.Len(t, holds, 1)
		require.Equal(t, hold, holds[0].(map[string]any)["id"])
		require.NotEmpty(t, holds[0].(map[string]any)["placedAt"])
	}
	require.Contains(t, w.get(doc, w.auditor).body, ground)
	keeping := w.get(doc+"/keeping", w.operator)
	require.Contains(t, keeping.body, ground)
	require.NotContains(t, keeping.body, "Тайный", "operators read no content")
	require.NotContains(t, keeping.body, "letter.txt")
	require.NotContains(t, w.get("/api/v1/participants/"+w.party.id, w.party.token).body, "7599")
	require.Contains(t, w.get("/api/v1/participants/"+w.party.id, w.operator).body, ground, "a party's data are on hold too")

	for _, party := range []person{w.sender, w.party} {
		require.Equal(t, 200, w.official(doc+"/destruction-request", party.token, "why", letterOfRequest).status)
	}
	order := request{method: "POST", path: doc + "/destruction", token: w.operator, json: map[string]any{"basis": "request"}}
	refused := w.do(order)
	require.Equal(t, 409, refused.status)
	require.Equal(t, "hold.in-force", refused.code())
	require.Equal(t, "hold.unknown", w.do(request{method: "POST", path: doc + "/holds/none/lift", token: w.operator, json: map[string]any{"reason": "over"}}).code())
	w.ok("POST", doc+"/holds/"+hold+"/lift", w.operator, map[string]any{"reason": "the claim was withdrawn"})
	require.Empty(t, w.get(doc, w.party.token).value()["holds"])
	require.Equal(t, 200, w.do(order).status)
}

func TestR_B4_G5_FromTheRequestToTheDestructionAndNothingIsShownAndPacketsStillExport(t *testing.T) {
	w := newWorld(t)
	doc := w.signed()
	id := strings.TrimPrefix(doc, "/api/v1/documents/")
	w.ok("POST", doc+"/copies", w.party.token, map[string]any{"language": "kk"})
	number := w.get(doc, w.sender.token).text("number")

	const why = "Секретная причина просьбы"
	ask := w.officialRequest(doc+"/destruction-request", w.sender.token, why, letterOfRequest)
	ask.key = "ask"
	asked := w.do(ask)
	require.Equal(t, 200, asked.status, asked.body)
	replayed := w.do(ask)
	require.Equal(t, 200, replayed.status)
	require.Equal(t, true, replayed.value()["repeated"])
	require.Equal(t, "document.already-done", w.official(doc+"/destruction-request", w.sender.token, why, letterOfRequest).code())

	waiting := w.do(request{method: "GET", path: "/api/v1/destructions?state=waiting&subject=document", token: w.operator, header: map[string]string{"Dalel-Wait-For": position(asked)}})
	require.Equal(t, 200, waiting.status, waiting.body)
	require.Contains(t, waiting.body, id)
	require.NotContains(t, waiting.body, "Секретная")
	read := w.get(doc+"/letters/1", w.operator)
	require.Equal(t, letterOfRequest, read.body)
	require.Equal(t, `"`+blobs.Sum([]byte(letterOfRequest)).String()+`"`, read.header.Get("ETag"))
	require.Contains(t, read.header.Get("Content-Disposition"), "letter-1.txt")
	require.Equal(t, letterOfRequest, w.get(doc+"/letters/1", w.auditor).body)
	for _, wrong := range []string{"0", "2", "-1", "x"} {
		require.Equal(t, "file.unknown", w.do(request{method: "GET", path: doc + "/letters/" + wrong, token: w.operator}).code())
	}

	order := request{method: "POST", path: doc + "/destruction", token: w.operator, key: "order", json: map[string]any{"basis": "request"}}
	require.Equal(t, "destruction.consent-missing", w.do(order).code(), "who signed has not asked")
	require.Equal(t, "destruction.not-asked-for", w.do(request{method: "POST", path: doc + "/destruction", token: w.operator, json: map[string]any{"basis": "retention-ended"}}).code())
	require.Equal(t, "request.invalid", w.do(request{method: "POST", path: doc + "/destruction", token: w.operator, json: map[string]any{"basis": "because"}}).code())
	require.Equal(t, 200, w.official(doc+"/destruction-request", w.party.token, "me too", letterOfRequest).status)
	ordered := w.do(order)
	require.Equal(t, 200, ordered.status, ordered.body)
	require.Equal(t, true, w.do(order).value()["repeated"])

	// From the order on, before the key is gone and after.
	for _, stage := range []string{"ordered", "destroyed"} {
		if stage == "destroyed" {
			require.NoError(t, w.ledger.Destroy(t.Context(), id), "as the destruction process does")
		}
		for name, token := range map[string]string{"sender": w.sender.token, "party": w.party.token, "auditor": w.auditor} {
			where := name + " when " + stage
			seen := w.get(doc, token)
			for _, word := range []string{"Тайный", "СЕКР-7", "letter.txt", "title", "ричин"} {
				require.NotContains(t, seen.body, word, where)
			}
			require.Equal(t, "signed", seen.text("status"))
			require.Equal(t, number, seen.text("number"))
			require.Len(t, seen.value()["files"], 1)
			require.Equal(t, "no", seen.value()["original"].(map[string]any)["exists"], where)
			require.Equal(t, "original.none", seen.value()["original"].(map[string]any)["code"])
			destruction := seen.value()["destruction"].(map[string]any)
			require.Len(t, destruction["requestedBy"], 2)
			require.Equal(t, "request", destruction["ordered"].(map[string]any)["basis"])
			if stage == "destroyed" {
				require.NotEmpty(t, destruction["destroyedAt"])
			}
			for _, path := range []string{"/files/letter.txt", "/files/", "/signatures/1/cms", "/copies/1", "/evidence/" + strings.Repeat("0", 64)} {
				gone := w.do(request{method: "GET", path: doc + path, token: token})
				require.GreaterOrEqual(t, gone.status, 400, "%s %s", where, path)
				require.NotContains(t, gone.body, "содержание")
			}
			require.Equal(t, 410, w.do(request{method: "GET", path: doc + "/signatures/1/cms", token: token}).status)
		}
		for _, path := range []string{"/exemplars", "/views"} {
			require.Equal(t, "original.none", w.do(request{method: "POST", path: doc + path, token: w.party.token}).code(), path)
		}
		require.Equal(t, "original.none", w.do(request{method: "POST", path: doc + "/copies", token: w.party.token, json: map[string]any{"language": "ru"}}).code())
		outside := w.get("/api/v1/check/"+number, "")
		require.NotEmpty(t, outside.text("destroyedAt"))
		packet := w.get(doc+"/packet", w.auditor)
		require.True(t, strings.HasPrefix(packet.body, "PK\x03\x04"), "a packet is exported when %s", stage)
	}
	require.Equal(t, letterOfRequest, w.get(doc+"/letters/1", w.auditor).body, "the letter outlives what it asked to destroy")

	after := w.ok("POST", "/api/v1/documents", w.sender.token, map[string]any{"kind": "letter", "title": "later"})
	header := map[string]string{"Dalel-Wait-For": position(after)}
	for _, list := range []string{"/api/v1/outbox", "/api/v1/journal", "/api/v1/takeout", "/api/v1/takeout/journal.csv", doc + "/timeline"} {
		a := w.do(request{method: "GET", path: list, token: w.sender.token, header: header})
		require.Equal(t, 200, a.status, "%s: %s", list, a.body)
		if strings.HasSuffix(list, ".csv") {
			require.Contains(t, strings.ReplaceAll(a.body, " ", ""), number, "the journal names a document by its number")
		} else {
			require.Contains(t, a.body, id, list)
		}
		for _, word := range []string{"Тайный", "СЕКР-7", "letter.txt", "ричин"} {
			require.NotContains(t, a.body, word, list)
		}
	}
	done := w.do(request{method: "GET", path: "/api/v1/destructions?state=destroyed", token: w.auditor, header: header})
	require.Contains(t, done.body, id)
	logs := w.logs.String()
	require.NotContains(t, logs, "ричина")
}

func TestR_G5_WhenRetentionHasEndedTheOperatorMayOrderTheDestruction(t *testing.T) {
	w := newWorld(t)
	doc := w.signed()
	id := strings.TrimPrefix(doc, "/api/v1/documents/")
	order := request{method: "POST", path: doc + "/destruction", token: w.operator, json: map[string]any{"basis": "retention-ended"}}
	require.Equal(t, "destruction.not-asked-for", w.do(order).code())
	w.clock.Store(int64(11 * 366 * 24 * time.Hour))
	require.NoError(t, w.ledger.ProposeDestruction(t.Context(), id), "as the sweep does")
	fresh := w.token(event.By{Participant: "operator"}, access.RoleOperator, time.Hour)
	auditor := w.token(event.By{Participant: w.stranger.id}, access.RoleAuditor, time.Hour)
	proposed := w.get(doc, auditor).value()["destruction"].(map[string]any)["proposed"].(map[string]any)
	require.NotEmpty(t, proposed["rule"])
	order.token = fresh
	require.Equal(t, 200, w.do(order).status)
	require.Equal(t, "retention-ended", w.get(doc+"/keeping", auditor).value()["destruction"].(map[string]any)["ordered"].(map[string]any)["basis"])
}

func TestR_B4_AParticipantsDataAreErasedOnItsRequest(t *testing.T) {
	w := newWorld(t)
	me := "/api/v1/participants/" + w.stranger.id
	require.Equal(t, "destruction.not-asked-for", w.do(request{method: "POST", path: me + "/erasure", token: w.operator}).code())
	ask := w.officialRequest(me+"/erasure-request", w.stranger.token, "I leave", letterOfRequest)
	ask.key = "ask"
	require.Equal(t, 200, w.do(ask).status)
	require.Equal(t, true, w.do(ask).value()["repeated"])
	require.Equal(t, "participant.wrong-state", w.official(me+"/erasure-request", w.operator, "again", letterOfRequest).code())
	require.Equal(t, letterOfRequest, w.get(me+"/erasure-request/letter", w.operator).body)
	require.Equal(t, "file.unknown", w.do(request{method: "GET", path: "/api/v1/participants/" + w.party.id + "/erasure-request/letter", token: w.operator}).code())
	seen := w.get(me, w.operator)
	require.Equal(t, "active", seen.text("status"))
	require.NotEmpty(t, seen.value()["erasure"].(map[string]any)["requestedAt"])

	w.ok("POST", me+"/erasure", w.operator, nil)
	for _, stage := range []string{"ordered", "erased"} {
		if stage == "erased" {
			require.NoError(t, w.ledger.Erase(t.Context(), w.stranger.id), "as the destruction process does")
		}
		seen = w.get(me, w.operator)
		require.Equal(t, "erased", seen.text("status"), stage)
		for _, word := range []string{secretName, w.stranger.number, "identifier", "country"} {
			require.NotContains(t, seen.body, word, stage)
		}
	}
	require.NotEmpty(t, seen.value()["erasure"].(map[string]any)["erasedAt"])
	require.Equal(t, "participant.not-active", w.do(request{method: "GET", path: "/api/v1/inbox", token: w.stranger.token}).code())
	require.Equal(t, letterOfRequest, w.get(me+"/erasure-request/letter", w.auditor).body)
}

func TestAFormThatIsNoneOfAnOfficialRequestIsRefusedAndLeavesNothingBehind(t *testing.T) {
	w := newWorld(t)
	doc := w.signed() + "/destruction-request"
	reason, good := formPart{"reason", "", "why"}, formPart{"letter", "text/plain", letterOfRequest}
	with := func(parts ...formPart) request {
		body, mediaType := form(t, parts...)
		return request{method: "POST", path: doc, token: w.sender.token, raw: body, mediaType: mediaType}
	}
	whole := with(reason, good)
	cut := whole
	cut.raw = whole.raw[:len(whole.raw)-20]
	noBoundary := whole
	noBoundary.mediaType = "multipart/form-data"
	full := error(fault.New(fault.FileMalware, "Eicar"))
	for name, c := range map[string]struct {
		request request
		status  int
		code    string
	}{
		"JSON":                   {request{method: "POST", path: doc, token: w.sender.token, json: map[string]any{"reason": "r"}}, 415, "request.media-type"},
		"no boundary":            {noBoundary, 415, "request.media-type"},
		"the letter first":       {with(good, reason), 400, "request.invalid"},
		"no letter":              {with(reason), 400, "request.invalid"},
		"no parts":               {with(), 400, "request.invalid"},
		"no reason in reason":    {with(formPart{"reason", "", " "}, good), 400, "reason.missing"},
		"a reason without end":   {with(formPart{"reason", "", strings.Repeat("a", 20_000)}, good), 400, "request.invalid"},
		"a header without end":   {with(formPart{"reason", strings.Repeat("a", 1<<20), "why"}, good), 400, "request.invalid"},
		"no type":                {with(reason, formPart{"letter", "", letterOfRequest}), 415, "request.media-type"},
		"a type not taken":       {with(reason, formPart{"letter", "application/x-msdownload", "MZ"}), 400, "file.invalid"},
		"a letter of no bytes":   {with(reason, formPart{"letter", "text/plain", ""}), 422, "file.not-as-claimed"},
		"something else":         {with(reason, formPart{"letter", "application/pdf", "MZ this is a program"}), 422, "file.not-as-claimed"},
		"a form without its end": {cut, 400, "request.invalid"},
		"a letter of 11 MiB":     {with(reason, formPart{"letter", "text/plain", strings.Repeat("a\n", 11<<19)}), 413, "request.too-large"},
		"malware":                {whole, 422, "file.malware"},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "malware" {
				w.scanner.found.Store(&full)
				defer w.scanner.found.Store(nil)
			}
			end, stored := w.footprint()
			a := w.do(c.request)
			require.Equal(t, c.code, a.code(), a.body)
			require.Equal(t, c.status, a.status)
			endAfter, storedAfter := w.footprint()
			require.Equal(t, end, endAfter, "no event was written")
			require.Equal(t, stored, storedAfter, "no content was stored")
		})
	}
	require.Equal(t, 200, w.do(whole).status)
}

func TestR_D2_ARefusedUploadSaysWhyAndIsCounted(t *testing.T) {
	w := newWorld(t)
	id := w.draft()
	doc := "/api/v1/documents/" + id
	upload := func(key, mediaType string, content []byte) request {
		return request{method: "PUT", path: doc + "/files/new" + map[string]string{"text/plain": ".txt", "image/png": ".png", "application/pdf": ".pdf"}[mediaType], token: w.sender.token, raw: content, mediaType: mediaType, key: key}
	}
	png := append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR"), make([]byte, 10<<20)...)
	malware := error(fault.New(fault.FileMalware, "Eicar-Test-Signature"))
	away := error(fault.New(fault.ScanUnavailable, "the scanner does not answer"))
	_, stored := w.footprint()

	claimed := upload("claimed", "application/pdf", []byte("MZ this is a program"))
	a := w.do(claimed)
	require.Equal(t, 422, a.status)
	require.Equal(t, "file.not-as-claimed", a.code())
	require.Equal(t, withoutInstance(a.body), withoutInstance(w.do(claimed).body), "a refusal is replayed")
	large := w.do(upload("large", "image/png", png))
	require.Contains(t, []string{"file.too-large", "file.not-as-claimed"}, large.code(), large.body)

	w.scanner.found.Store(&malware)
	infected := w.do(upload("infected", "text/plain", []byte("virus")))
	require.Equal(t, 422, infected.status)
	require.Equal(t, "file.malware", infected.code())

	w.scanner.found.Store(&away)
	end, _ := w.footprint()
	unscanned := w.do(upload("unscanned", "text/plain", []byte("text")))
	require.Equal(t, 503, unscanned.status)
	require.Equal(t, "scan.unavailable", unscanned.code())
	require.NotEmpty(t, unscanned.header.Get("Retry-After"))
	endAfter, storedAfter := w.footprint()
	require.Equal(t, end, endAfter, "that nobody could look is no verdict on the file")
	require.Equal(t, stored, storedAfter)

	w.scanner.found.Store(nil)
	require.Equal(t, 200, w.do(upload("unscanned", "text/plain", []byte("text"))).status, "and the same request succeeds later")
	require.EqualValues(t, 3, w.get(doc, w.sender.token).value()["refusedFiles"])
}

func TestR_D11_ThatNobodyCanTellWhetherAnOriginalExistsIsItsOwnAnswer(t *testing.T) {
	w := newWorld(t)
	doc := w.signed()
	for _, c := range []struct {
		failure fault.Code
		exists  string
		code    string
	}{
		{fault.BlobFailed, "cannot-tell", "blob.failed"},
		{fault.KeyFailed, "cannot-tell", "key.failed"},
		{fault.BlobNotFound, "no", "original.none"},
	} {
		failure := error(fault.New(c.failure, "a place of ours: secret-bucket"))
		w.blobs.away.Store(&failure)
		seen := w.get(doc, w.party.token)
		original := seen.value()["original"].(map[string]any)
		require.Equal(t, c.exists, original["exists"])
		require.Equal(t, c.code, original["code"])
		require.NotContains(t, seen.body, "secret-bucket")
		if c.exists == "no" {
			require.Equal(t, "original.none", w.do(request{method: "POST", path: doc + "/exemplars", token: w.party.token}).code())
		}
	}
	w.blobs.away.Store(nil)
	require.Equal(t, map[string]any{"exists": "yes"}, w.get(doc, w.party.token).value()["original"])
}

func TestR_D10_ExemplarsAreCountedAndAPaperCopyIsTheSameBytesForEver(t *testing.T) {
	w := newWorld(t)
	doc := w.signed()
	take := request{method: "POST", path: doc + "/exemplars", token: w.party.token, key: "exemplar"}
	first := w.do(take)
	require.Equal(t, 201, first.status, first.body)
	require.EqualValues(t, 1, first.value()["number"])
	require.EqualValues(t, 2, w.ok("POST", doc+"/exemplars", w.sender.token, nil).value()["number"])
	require.EqualValues(t, 1, w.do(take).value()["number"], "sent again, it tells of the one that it issued")
	require.EqualValues(t, 2, w.get(doc, w.sender.token).value()["exemplars"])

	issue := request{method: "POST", path: doc + "/copies", token: w.party.token, key: "copy", json: map[string]any{"language": "ru"}}
	issued := w.do(issue)
	require.Equal(t, 201, issued.status, issued.body)
	require.Equal(t, doc+"/copies/1", issued.header.Get("Location"))
	pdf := w.get(doc+"/copies/1", w.party.token)
	require.True(t, strings.HasPrefix(pdf.body, "%PDF-"))
	w.clock.Store(int64(30 * time.Minute))
	require.Equal(t, doc+"/copies/2", w.ok("POST", doc+"/copies", w.sender.token, map[string]any{"language": "kk"}).header.Get("Location"))
	repeated := w.do(issue)
	require.Equal(t, doc+"/copies/1", repeated.header.Get("Location"))
	require.Equal(t, true, repeated.value()["repeated"])
	require.Equal(t, pdf.body, w.get(doc+"/copies/1", w.sender.token).body)
	copies := w.get(doc, w.sender.token).value()["copies"].([]any)
	require.Len(t, copies, 2)
	require.Equal(t, blobs.Sum([]byte(pdf.body)).String(), copies[0].(map[string]any)["sha256"])
	require.Equal(t, w.party.id, copies[0].(map[string]any)["party"])

	require.Equal(t, 400, w.do(request{method: "POST", path: doc + "/copies", token: w.party.token, json: map[string]any{"language": "de"}}).status)
	for _, wrong := range []string{"0", "3", "x"} {
		require.Equal(t, "file.unknown", w.do(request{method: "GET", path: doc + "/copies/" + wrong, token: w.party.token}).code())
	}
	require.Equal(t, "document.wrong-state", w.do(request{method: "POST", path: "/api/v1/documents/" + w.draft() + "/exemplars", token: w.sender.token}).code())
	part := w.do(request{method: "GET", path: doc + "/copies/1", token: w.party.token, header: map[string]string{"Range": "bytes=100-"}})
	require.Equal(t, 206, part.status)
	require.Equal(t, pdf.body[100:], part.body)
}

func TestR_M3_AnOutsiderChecksANumberAndTriesNotTooOften(t *testing.T) {
	w := newWorld(t, func(c *httpapi.Config) { c.Limits.UnknownPerMinute = 3; c.TrustProxy = true })
	doc := w.signed()
	number := w.get(doc, w.sender.token).text("number")
	check := func(address, number string) answer {
		return w.do(request{method: "GET", path: "/api/v1/check/" + number, header: map[string]string{"X-Forwarded-For": address}})
	}
	seen := check("203.0.113.7", number)
	require.Equal(t, 200, seen.status, seen.body)
	require.Equal(t, "signed", seen.text("status"))
	require.EqualValues(t, 1, seen.value()["signatures"])
	require.Contains(t, seen.body, blobs.Sum([]byte(letter)).String())
	for _, secret := range []string{"Тайный", "letter.txt", w.sender.id, w.party.id, strings.TrimPrefix(doc, "/api/v1/documents/")} {
		require.NotContains(t, seen.body, secret)
	}
	for _, wrong := range []string{"20270302000000000017", "1", "x"} {
		require.Equal(t, "document.unknown", check("203.0.113.7", wrong).code())
	}
	stopped := check("203.0.113.7", number)
	require.Equal(t, 429, stopped.status)
	require.NotEmpty(t, stopped.header.Get("Retry-After"))
	require.Equal(t, 200, check("203.0.113.8", number).status, "others are not held up")
	require.Equal(t, 200, w.do(request{method: "GET", path: "/api/v1/me", token: w.sender.token, header: map[string]string{"X-Forwarded-For": "203.0.113.7"}}).status)
}

func TestADownloadGoesOnWhereItBrokeOff(t *testing.T) {
	w := newWorld(t)
	id := w.draft()
	large := ""
	for i := range 40_000 {
		large += fmt.Sprintf("line %d\n", i)
	}
	w.put(id, "large.txt", large)
	w.put(id, "empty.txt", "x")
	path := "/api/v1/documents/" + id + "/files/large.txt"
	etag := `"` + blobs.Sum([]byte(large)).String() + `"`
	size := len(large)
	whole := w.get(path, w.sender.token)
	require.Equal(t, "bytes", whole.header.Get("Accept-Ranges"))
	require.Equal(t, "bytes", w.do(request{method: "HEAD", path: path, token: w.sender.token}).header.Get("Accept-Ranges"))
	for _, c := range []struct {
		header, match string
		status        int
		from, to      int
	}{
		{"bytes=0-", "", 206, 0, size},
		{"bytes=1-", etag, 206, 1, size},
		{"bytes=0-0", "", 206, 0, 1},
		{fmt.Sprintf("bytes=%d-", size-1), "", 206, size - 1, size},
		{"bytes=200000-200009", "", 206, 200000, 200010},
		{"bytes=200000-999999999", "", 206, 200000, size},
		{"bytes=-5", "", 206, size - 5, size},
		{"bytes=-999999999", "", 206, 0, size},
		{"bytes=5-", `"another"`, 200, 0, size},
		{"bytes=5-", "W/" + etag, 200, 0, size},
		{"bytes=5-", "Wed, 21 Oct 2015 07:28:00 GMT", 200, 0, size},
		{"bytes=0-1,5-6", "", 200, 0, size},
		{"bytes=6-5", "", 200, 0, size},
		{"bytes=+5-", "", 200, 0, size},
		{"bytes=x-", "", 200, 0, size},
		{"bytes=-", "", 200, 0, size},
		{"bytes=5", "", 200, 0, size},
		{"lines=5-", "", 200, 0, size},
	} {
		a := w.do(request{method: "GET", path: path, token: w.sender.token, header: map[string]string{"Range": c.header, "If-Range": c.match}})
		require.Equal(t, c.status, a.status, c.header)
		require.Equal(t, large[c.from:c.to], a.body, c.header)
		require.Equal(t, fmt.Sprint(c.to-c.from), a.header.Get("Content-Length"))
		require.Equal(t, etag, a.header.Get("ETag"))
		if c.status == 206 {
			require.Equal(t, fmt.Sprintf("bytes %d-%d/%d", c.from, c.to-1, size), a.header.Get("Content-Range"))
		} else {
			require.Empty(t, a.header.Get("Content-Range"))
		}
	}
	for _, behind := range []string{fmt.Sprintf("bytes=%d-", size), "bytes=-0", "bytes=9223372036854775807-"} {
		a := w.do(request{method: "GET", path: path, token: w.sender.token, header: map[string]string{"Range": behind}})
		require.Equal(t, 416, a.status, behind)
		require.Equal(t, "request.range-invalid", a.code())
		require.Equal(t, fmt.Sprintf("bytes */%d", size), a.header.Get("Content-Range"))
	}

	w.blobs.corrupt.Store(true)
	sent := w.build(request{method: "GET", path: path, token: w.sender.token, header: map[string]string{"Range": "bytes=10-300000"}})
	response, err := http.DefaultClient.Do(sent)
	require.NoError(t, err)
	body, err := io.ReadAll(response.Body)
	response.Body.Close()
	require.ErrorIs(t, err, io.ErrUnexpectedEOF, "a part of content that fails its check never arrives whole either")
	require.Less(t, len(body), 299_991)
	small := w.do(request{method: "GET", path: path, token: w.sender.token, header: map[string]string{"Range": "bytes=10-20"}})
	require.Equal(t, "blob.corrupt", small.code())
	require.Empty(t, small.header.Get("Content-Range"))
}

func TestR_G6_AParticipantTakesOutEverythingOfOneMoment(t *testing.T) {
	w := newWorld(t)
	mine := map[string]bool{}
	for range 3 {
		mine[strings.TrimPrefix(w.signed(), "/api/v1/documents/")] = true
	}
	draft := w.draft()
	mine[draft] = true
	incoming := w.ok("POST", "/api/v1/documents", w.party.token, map[string]any{"kind": "letter", "title": "=cmd|'/c calc'!A1"}).text("id")
	require.Equal(t, 200, w.do(request{method: "PUT", path: "/api/v1/documents/" + incoming + "/files/a%20b.txt", token: w.party.token, raw: []byte("text"), mediaType: "text/plain"}).status)
	w.ok("POST", "/api/v1/documents/"+incoming+"/send", w.party.token, map[string]any{"recipients": []any{map[string]any{"participant": w.sender.id, "role": "sign"}}})
	require.NoError(t, w.ledger.DeliverDue(t.Context(), incoming))
	last := w.ok("PUT", "/api/v1/documents/"+draft+"/details", w.sender.token, map[string]any{"kind": "letter", "title": "as it was"})

	list := func(path string) answer {
		a := w.do(request{method: "GET", path: path, token: w.sender.token, header: map[string]string{"Dalel-Wait-For": position(last)}})
		require.Equal(t, 200, a.status, a.body)
		return a
	}
	page := list("/api/v1/takeout?limit=2")
	asOf := page.value()["asOf"]
	require.EqualValues(t, w.sender.id, page.text("participant"))

	// What happens now is of another moment.
	later := w.draft()
	last = w.ok("PUT", "/api/v1/documents/"+draft+"/details", w.sender.token, map[string]any{"kind": "letter", "title": "as it is"})

	again := list("/api/v1/takeout?limit=2&after=" + page.text("next"))
	require.Equal(t, again.body, list("/api/v1/takeout?limit=2&after="+page.text("next")).body, "a page that was lost is asked for again")
	found := map[string]map[string]any{}
	urls := []string{}
	for pages := 0; ; pages++ {
		require.Less(t, pages, 8)
		require.Equal(t, asOf, page.value()["asOf"])
		for _, item := range page.value()["documents"].([]any) {
			row := item.(map[string]any)
			require.NotContains(t, found, row["document"])
			found[row["document"].(string)] = row
			for _, of := range []string{"files", "signatures", "copies"} {
				for _, thing := range row[of].([]any) {
					entry := thing.(map[string]any)
					got := w.get(entry["url"].(string), w.sender.token)
					require.Equal(t, entry["sha256"], blobs.Sum([]byte(got.body)).String())
					urls = append(urls, entry["url"].(string))
				}
			}
		}
		if page.text("next") == "" {
			break
		}
		page = list("/api/v1/takeout?limit=2&after=" + page.text("next"))
	}
	require.Len(t, found, 5)
	require.NotContains(t, found, later)
	require.Equal(t, "as it was", found[draft]["title"])
	require.Equal(t, "in", found[incoming]["direction"])
	require.Contains(t, urls, "/api/v1/documents/"+incoming+"/files/a%20b.txt")
	for id := range mine {
		require.Equal(t, "out", found[id]["direction"])
	}
	fresh := list("/api/v1/takeout")
	require.Contains(t, fresh.body, later)
	require.Contains(t, fresh.body, "as it is")
	for _, wrong := range []string{"zzz", "o", strings.Repeat("A", 400), "b" + page.text("next"), "AAAAAAAAAAAAAAAA"} {
		require.Equal(t, "request.cursor-invalid", w.do(request{method: "GET", path: "/api/v1/takeout?after=" + wrong, token: w.sender.token}).code(), wrong)
	}
	require.Equal(t, "request.invalid", w.do(request{method: "GET", path: "/api/v1/takeout?limit=1000", token: w.sender.token}).code())

	journal := w.get("/api/v1/takeout/journal.csv", w.sender.token)
	require.True(t, strings.HasPrefix(journal.header.Get("Content-Type"), "text/csv"))
	records := rowsOf(t, journal.body)
	require.Len(t, records, 1+4, "three sent and one received")
	require.Equal(t, "'=cmd|'/c calc'!A1", records[1][4], "no spreadsheet takes a title for a formula")
	require.Equal(t, "Входящий", records[1][2])
}

func TestR_G6_AJournalLongerThanAPageComesWhole(t *testing.T) {
	if testing.Short() {
		t.Skip("sends 230 documents")
	}
	w := newWorld(t)
	const many = 230
	var last string
	for range many {
		id := w.draft()
		last = position(w.ok("POST", "/api/v1/documents/"+id+"/send", w.sender.token, map[string]any{"recipients": []any{map[string]any{"participant": w.party.id, "role": "sign"}}}))
	}
	a := w.do(request{method: "GET", path: "/api/v1/takeout/journal.csv", token: w.sender.token, header: map[string]string{"Dalel-Wait-For": last}})
	require.Equal(t, many+1, strings.Count(a.body, "\r\n"))
}
