package httpapi_test

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// signedDocument is a document that its party has signed, with a copy, and
// what the examples need of it.
func (w *world) signedDocument() places {
	w.t.Helper()
	p := places{w: w, document: w.sent()}
	w.ok("POST", p.of("/signatures"), w.party.token, w.signatures(w.party, letter))
	w.ok("POST", p.of("/copies"), w.party.token, map[string]any{"language": "ru"})
	signed := w.get(p.of(""), w.sender.token)
	p.number, p.evidence = signed.text("number"), evidenceOf(w.t, signed)
	return p
}

// raw asks without the client's own dealings with compression.
func (w *world) raw(method, path, token string, header map[string]string) (*http.Response, []byte) {
	w.t.Helper()
	client := &http.Client{
		Transport:     &http.Transport{DisableCompression: true, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(w.build(request{method: method, path: path, token: token, header: header}))
	require.NoError(w.t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(w.t, err)
	return response, body
}

func TestHEADIsAnsweredWhereverGETIsWithTheSameHeadersAndNoBody(t *testing.T) {
	w := newWorld(t, withRealPages(t))
	p := w.signedDocument()
	p.hold, p.token = "x", "x"
	for _, r := range w.server.Routes() {
		if r.Method != http.MethodGet {
			continue
		}
		example := examples[r.Name]
		if r.Page {
			example = pageExamples[r.Name]
		}
		where := r.Path
		if r.Stream {
			head, _ := w.raw("HEAD", example(p), w.sender.token, nil)
			require.Equal(t, 405, head.StatusCode, "a stream has no head")
			require.Equal(t, "GET", strings.TrimPrefix(head.Header.Get("Allow"), "OPTIONS, "))
			continue
		}
		head, none := w.raw("HEAD", example(p), w.tokenFor(r), nil)
		get, body := w.raw("GET", example(p), w.tokenFor(r), nil)
		require.Empty(t, none, where)
		require.Equal(t, get.StatusCode, head.StatusCode, "%s: %s", where, body)
		for name, value := range get.Header {
			if name == "Date" || name == "X-Request-Id" || name == "Set-Cookie" {
				continue
			}
			if _, there := head.Header[name]; !there && (name == "Content-Length" || name == "Etag") {
				continue // known only once the answer is made
			}
			if r.Page && name == "Content-Length" {
				continue
			}
			require.Equal(t, value, head.Header[name], "%s: %s", where, name)
		}
		require.Empty(t, get.Header.Get("No-Gzip-Compression"), where)
		require.Empty(t, head.Header.Get("No-Gzip-Compression"), where)
	}
}

func TestHEADOfADocumentsPageIsNoLookAtIt(t *testing.T) {
	w := newWorld(t, withRealPages(t))
	id := w.sent()
	end, _ := w.footprint()
	w.raw("HEAD", "/documents/"+id, w.party.token, nil)
	require.Empty(t, w.typesSince(end))
	w.raw("GET", "/documents/"+id, w.party.token, nil)
	require.Contains(t, w.typesSince(end), "DocumentViewed")
}

func TestAClientThatHasTheAnswerAlreadyIsTold304(t *testing.T) {
	w := newWorld(t, withRealPages(t))
	p := w.signedDocument()
	asset := w.styleSheet()
	for _, path := range []string{
		p.of(""), "/api/v1/outbox", "/api/v1/journal", p.of("/timeline"), p.of("/files/letter.txt"), p.of("/evidence/" + p.evidence),
		p.of("/signatures/1/cms"), p.of("/copies/1"), p.certificate(""), p.certificate("/certificate.cer"), "/openapi.yaml", asset,
		"/log/checkpoint", "/log/log.vkey", fmt.Sprintf("/log/tile/entries/000.p/%d", w.tlog.Newest().Size),
	} {
		first, body := w.raw("GET", path, w.sender.token, nil)
		require.Equal(t, 200, first.StatusCode, path)
		tag := first.Header.Get("ETag")
		require.Regexp(t, `^"[^"]+"$`, tag, path)
		for _, known := range []string{tag, "W/" + tag, `"x", ` + tag, "*"} {
			for _, method := range []string{"GET", "HEAD"} {
				again, nothing := w.raw(method, path, w.sender.token, map[string]string{"If-None-Match": known})
				require.Equal(t, 304, again.StatusCode, "%s %s", path, known)
				require.Empty(t, nothing)
				require.Empty(t, again.Header.Get("Content-Type"), path)
				require.NotEmpty(t, again.Header.Get("ETag"), path)
				require.Equal(t, first.Header.Get("Cache-Control"), again.Header.Get("Cache-Control"), path)
				require.Empty(t, again.Header.Get("No-Gzip-Compression"), path)
			}
		}
		other, whole := w.raw("GET", path, w.sender.token, map[string]string{"If-None-Match": `"other", "` + tag[2:]})
		require.Equal(t, 200, other.StatusCode, path)
		require.Equal(t, body, whole, path)
		nobody, _ := w.raw("GET", path, "dalel_nonsense", map[string]string{"If-None-Match": tag})
		if strings.HasPrefix(path, "/api/") {
			require.Equal(t, 401, nobody.StatusCode, "a tag lets nobody in")
		}
	}
}

func TestATagSaysMoreThanARevisionAndIsTakenAsOne(t *testing.T) {
	w := newWorld(t)
	id := w.draft()
	read := w.get("/api/v1/documents/"+id, w.sender.token)
	details := map[string]any{"kind": "letter", "title": "t"}
	change := request{method: "PUT", path: "/api/v1/documents/" + id + "/details", token: w.sender.token, json: details, header: map[string]string{"If-Match": read.header.Get("ETag")}}
	require.Equal(t, 200, w.do(change).status)
	change.json = map[string]any{"kind": "letter", "title": "u"}
	require.Equal(t, 412, w.do(change).status, "the document is another now")

	// A notice on a key changes what is said of a signature, not the document's revision.
	p := w.signedDocument()
	before := w.get(p.of(""), w.party.token)
	w.ok("POST", "/api/v1/certificates/"+w.party.fingerprint()+"/compromise", w.party.token, map[string]any{"from": time.Now().Add(-24 * time.Hour).UTC(), "circumstances": "stolen"})
	after := w.do(request{method: "GET", path: p.of(""), token: w.party.token, header: map[string]string{"If-None-Match": before.header.Get("ETag")}})
	require.Equal(t, 200, after.status, "what was known is not so any more")
	require.NotEqual(t, before.body, after.body)
}

func TestTextIsCompressedAndContentIsNot(t *testing.T) {
	w := newWorld(t, withRealPages(t))
	long := w.draft()
	w.put(long, "long.txt", strings.Repeat("many words\n", 1000))
	w.put(long, "table.csv", strings.Repeat("a;b\r\n", 1000))
	for range 6 {
		w.sent()
	}
	zipped := map[string]string{"Accept-Encoding": "gzip"}
	for _, path := range []string{"/openapi.yaml", "/api/v1/outbox", "/api/v1/journal.csv", "/outbox", w.styleSheet()} {
		plain, body := w.raw("GET", path, w.sender.token, nil)
		require.Empty(t, plain.Header.Get("Content-Encoding"), path)
		require.Contains(t, strings.Join(plain.Header.Values("Vary"), ","), "Accept-Encoding", path)
		packed, bytes := w.raw("GET", path, w.sender.token, zipped)
		require.Equal(t, "gzip", packed.Header.Get("Content-Encoding"), path)
		require.Less(t, len(bytes), len(body), path)
		reader, err := gzip.NewReader(strings.NewReader(string(bytes)))
		require.NoError(t, err)
		unpacked, err := io.ReadAll(reader)
		require.NoError(t, err)
		require.Len(t, unpacked, len(body), path)
		if tag := packed.Header.Get("ETag"); tag != "" {
			require.NotEqual(t, plain.Header.Get("ETag"), tag, "other bytes, another tag")
			again, _ := w.raw("GET", path, w.sender.token, map[string]string{"Accept-Encoding": "gzip", "If-None-Match": tag})
			require.Equal(t, 304, again.StatusCode, path)
		}
	}
	for _, path := range []string{"/api/v1/documents/" + long + "/files/long.txt", "/api/v1/documents/" + long + "/packet", "/healthz"} {
		answer, _ := w.raw("GET", path, w.sender.token, zipped)
		require.Equal(t, 200, answer.StatusCode, path)
		require.Empty(t, answer.Header.Get("Content-Encoding"), path)
		require.Empty(t, answer.Header.Get("No-Gzip-Compression"), path)
	}
	part, bytes := w.raw("GET", "/api/v1/documents/"+long+"/files/long.txt", w.sender.token, map[string]string{"Accept-Encoding": "gzip", "Range": "bytes=0-4999"})
	require.Equal(t, 206, part.StatusCode)
	require.Len(t, bytes, 5000)
	token := w.do(request{method: "POST", path: "/api/v1/tokens", token: w.operator, header: zipped, json: map[string]any{
		"participant": w.sender.id, "role": "participant", "seconds": 3600, "label": strings.Repeat("x", 50),
	}})
	require.Equal(t, 201, token.status)
	require.Empty(t, token.header.Get("Content-Encoding"), "what holds a secret is not compressed")
}

func (w *world) styleSheet() string {
	list := hrefs(w.do(request{method: "GET", path: "/signin"}).body)
	i := slices.IndexFunc(list, func(href string) bool { return strings.HasSuffix(href, "style.css") })
	require.NotEqual(w.t, -1, i)
	return list[i]
}
