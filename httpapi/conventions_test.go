package httpapi_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"dalel/domain/identifier"
	"dalel/httpapi"
)

// typed writes digits as people do.
func typed(digits, between string) string {
	var groups []string
	for ; len(digits) > 4; digits = digits[4:] {
		groups = append(groups, digits[:4])
	}
	return strings.Join(append(groups, digits), between)
}

func TestR_A1_NumbersAreTakenAsPeopleTypeThem(t *testing.T) {
	w := newWorld(t, withRealPages(t))
	p := w.signedDocument()
	for name, between := range map[string]string{"space": " ", "no-break space": "\u00a0", "narrow no-break space": "\u202f", "hyphen": "-", "dash": "\u2013", "zero-width": "\u200b"} {
		id := w.draft()
		sent := w.do(request{method: "POST", path: "/api/v1/documents/" + id + "/send", token: w.sender.token, json: map[string]any{
			"recipients": []any{map[string]any{"identifier": typed(w.party.number, between), "role": "sign"}},
		}})
		require.Equal(t, 200, sent.status, "%s: %s", name, sent.body)
		number := typed(p.number, between)
		require.Equal(t, 200, w.do(request{method: "GET", path: "/api/v1/check/" + url.PathEscape(number)}).status, name)
		require.Equal(t, 200, w.do(request{method: "GET", path: "/check/" + url.PathEscape(number)}).status, name)
		require.Len(t, w.get("/api/v1/journal?number="+url.QueryEscape(number), w.sender.token).value()["items"], 1, name)
		page := w.do(request{method: "GET", path: "/journal?identifier=" + url.QueryEscape(typed(w.party.number, between)), token: w.sender.token})
		require.Equal(t, 200, page.status, name)
		require.NotContains(t, page.body, "identifier-unknown", name)
	}
	fresh, err := identifier.WithCheckDigit("77010130012")
	require.NoError(t, err)
	made := w.ok("POST", "/api/v1/participants", w.operator, map[string]any{"kind": "natural-person", "identifier": typed(fresh, "\u00a0"), "name": "Новый"})
	require.Equal(t, fresh, w.get("/api/v1/participants/"+made.text("id"), w.operator).text("identifier"), "kept without its spaces")
	twice := w.do(request{method: "POST", path: "/api/v1/participants", token: w.operator, json: map[string]any{"kind": "natural-person", "identifier": fresh, "name": "Новый"}})
	require.Equal(t, "participant.exists", twice.code())
}

func TestARequestKeepsTheNameThatItsClientGaveIt(t *testing.T) {
	w := newWorld(t)
	for _, id := range []string{"a", "order-7_2.1", strings.Repeat("x", 64), uuid.NewString()} {
		a := w.do(request{method: "GET", path: "/api/v1/me", header: map[string]string{"X-Request-Id": id}})
		require.Equal(t, id, a.header.Get("X-Request-Id"))
		require.Equal(t, id, a.text("requestId"))
		require.True(t, strings.HasPrefix(a.text("instance"), "urn:") && strings.HasSuffix(a.text("instance"), ":"+id), a.text("instance"))
		require.Contains(t, w.logs.String(), "request="+id)
	}
	for _, id := range []string{"", strings.Repeat("x", 65), "a b", "a/b", "ы", "a\tb"} {
		a := w.do(request{method: "GET", path: "/api/v1/me", header: map[string]string{"X-Request-Id": id}})
		require.NoError(t, uuid.Validate(a.header.Get("X-Request-Id")), "%q is not taken", id)
		require.Equal(t, "urn:uuid:"+a.text("requestId"), a.text("instance"))
	}
}

func TestJSONMayBeginWithAByteOrderMark(t *testing.T) {
	w := newWorld(t)
	create := request{method: "POST", path: "/api/v1/documents", token: w.sender.token, mediaType: "application/json"}
	create.raw = []byte("\ufeff" + `{"kind":"letter","title":"t"}`)
	response, err := http.DefaultClient.Do(w.build(create)) // the description's validator does not take it
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, 201, response.StatusCode)
	create.raw = []byte("\ufeff\ufeff" + `{"kind":"letter","title":"t"}`)
	require.Equal(t, "request.invalid", w.do(create).code(), "one, at the beginning")
}

func TestOverTLSCookiesAreForTLSAlone(t *testing.T) {
	for _, c := range []struct {
		proxied bool
		proto   string
		secure  bool
	}{{true, "https", true}, {true, "http, https", true}, {true, "https, http", false}, {true, "", false}, {false, "https", false}} {
		w := newWorld(t, withRealPages(t), func(config *httpapi.Config) { config.TrustProxy = c.proxied })
		signIn := request{method: "POST", path: "/signin?lang=kk", raw: []byte("token=" + w.sender.token), mediaType: "application/x-www-form-urlencoded", header: map[string]string{"X-Forwarded-Proto": c.proto}}
		response, err := http.DefaultClient.Do(w.build(signIn))
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, 200, response.StatusCode)
		require.Equal(t, c.secure, response.Header.Get("Strict-Transport-Security") != "", "%+v", c)
		names := map[string]bool{}
		for _, cookie := range response.Cookies() {
			require.Equal(t, c.secure, cookie.Secure, "%s %+v", cookie.Name, c)
			names[cookie.Name] = true
		}
		name := map[bool]string{true: "__Host-dalel_session", false: "dalel_session"}[c.secure]
		require.True(t, names[name], "%v", names)
		for sent, status := range map[string]int{"__Host-dalel_session": map[bool]int{true: 200, false: 401}[c.secure], "dalel_session": map[bool]int{true: 401, false: 200}[c.secure]} {
			a := w.do(request{method: "GET", path: "/api/v1/me", header: map[string]string{"X-Forwarded-Proto": c.proto, "Cookie": sent + "=" + w.sender.token}})
			require.Equal(t, status, a.status, "%s %+v", sent, c)
		}
	}
}

func TestNoSiteSignsABrowserInAsAnother(t *testing.T) {
	w := newWorld(t, withRealPages(t))
	form := request{
		method: "POST", path: "/signin", raw: []byte("token=" + w.stranger.token), mediaType: "application/x-www-form-urlencoded",
		header: map[string]string{"Cookie": "dalel_session=" + w.sender.token, "Origin": "https://evil.example"},
	}
	for _, path := range []string{"/signin", "/signin/switch", "/signout"} {
		form.path = path
		a := w.do(form)
		require.Equal(t, 403, a.status, "%s: the form of another site", path)
		require.Empty(t, a.header.Values("Set-Cookie"), path)
	}
	link := w.do(request{method: "GET", path: "/signin?token=" + w.stranger.token, header: map[string]string{"Cookie": "dalel_session=" + w.sender.token}})
	require.Equal(t, 400, link.status, "no token in an address")
	require.Empty(t, link.header.Values("Set-Cookie"))
	require.NotContains(t, link.body, w.stranger.token)
	form.path, form.header = "/signin", map[string]string{"Cookie": "dalel_session=" + w.sender.token}
	asked := w.do(form)
	require.Equal(t, 200, asked.status)
	require.NotContains(t, strings.Join(asked.header.Values("Set-Cookie"), "\n"), "dalel_session")
	require.Contains(t, asked.body, "Отправитель", "who one is")
	require.Contains(t, asked.body, "Чужой", "who one becomes")
	require.NotContains(t, asked.body, w.stranger.token)
}

func TestAProblemSpeaksItsCallersLanguage(t *testing.T) {
	w := newWorld(t)
	ask := func(header map[string]string) answer {
		return w.do(request{method: "GET", path: "/api/v1/journal?kinds=act", token: w.sender.token, header: header})
	}
	english := ask(nil)
	require.Equal(t, "The request cannot be read", english.text("title"))
	require.Equal(t, "en", english.header.Get("Content-Language"))
	for _, c := range []struct{ accept, cookie, language, detail string }{
		{"ru-RU,ru;q=0.9", "", "ru", "неизвестный параметр: kinds"}, {"kk", "", "kk", "белгісіз параметр бар: kinds"},
		{"ru", "kk", "kk", "белгісіз параметр бар: kinds"}, {"de,en;q=0.5", "", "en", "kinds"}, {";;;", "", "en", "kinds"},
	} {
		a := ask(map[string]string{"Accept-Language": c.accept, "Cookie": "dalel_language=" + c.cookie})
		require.Equal(t, c.language, a.header.Get("Content-Language"), c)
		require.Contains(t, a.text("detail"), c.detail)
		require.Equal(t, "request.invalid", a.code())
		if c.language != "en" {
			require.Equal(t, english.text("detail"), a.text("english"))
			require.NotEqual(t, english.text("title"), a.text("title"))
		}
	}
}

func TestWhatNetHTTPRefusesItselfIsAProblemToo(t *testing.T) {
	w := newWorld(t)
	ask := func(raw string) (*http.Response, Problem) {
		conn, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
		require.NoError(t, err)
		defer conn.Close()
		_, err = io.WriteString(conn, raw)
		require.NoError(t, err)
		reader := bufio.NewReader(conn)
		response, err := http.ReadResponse(reader, nil)
		require.NoError(t, err)
		if response.StatusCode == 200 { // the first of two requests on a connection
			_, err = io.Copy(io.Discard, response.Body)
			require.NoError(t, err)
			response, err = http.ReadResponse(reader, nil)
			require.NoError(t, err)
		}
		var problem Problem
		require.NoError(t, json.NewDecoder(response.Body).Decode(&problem))
		return response, problem
	}
	const end = "Host: x\r\n\r\n"
	for raw, want := range map[string]struct {
		status int
		code   string
	}{
		"GET /healthz\r\n" + end:                                                    {400, "request.invalid"},
		"GET /healthz HTTP/1.1\r\n\r\n":                                             {400, "request.invalid"},
		"GET /healthz HTTP/1.1\r\nA b: c\r\n" + end:                                 {400, "request.invalid"},
		"GET /healthz HTTP/1.1\r\n" + end + "GET /healthz HTTP/1.1\r\n\r\n":         {400, "request.invalid"},
		"GET /healthz HTTP/1.1\r\nA: " + strings.Repeat("a", 64<<10) + "\r\n" + end: {431, "request.header-too-large"},
		"POST /signin HTTP/1.1\r\nTransfer-Encoding: gzip\r\n" + end:                {501, "request.transfer-encoding"},
		"POST /signin HTTP/1.1\r\nExpect: a-pony\r\nContent-Length: 0\r\n" + end:    {417, "request.expectation"},
	} {
		response, problem := ask(raw)
		require.Equal(t, want.status, response.StatusCode, raw[:20])
		require.Equal(t, "application/problem+json", response.Header.Get("Content-Type"))
		require.Equal(t, want.code, problem.Code)
		require.Equal(t, want.status, problem.Status)
		require.NotEmpty(t, problem.RequestID)
		require.Equal(t, problem.RequestID, response.Header.Get("X-Request-Id"))
	}
}

// Problem is what a test reads of one.
type Problem struct {
	Code, RequestID string
	Status          int
}

func TestContentThatLooksLikeAnAnswerOfTheServersIsLeftAlone(t *testing.T) {
	w := newWorld(t)
	id := w.draft()
	text := strings.Repeat("HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n", 8000)
	w.put(id, "a.txt", text)
	a := w.do(request{method: "GET", path: "/api/v1/documents/" + id + "/files/a.txt", token: w.sender.token})
	require.Equal(t, text, a.body)
}

func TestAnIdentifierOfElevenDigitsIsSaidToBeOne(t *testing.T) {
	w := newWorld(t)
	id := w.draft()
	a := w.do(request{method: "POST", path: "/api/v1/documents/" + id + "/send", token: w.sender.token, json: map[string]any{
		"recipients": []any{map[string]any{"identifier": " 10203040506", "role": "sign"}}, // as a spreadsheet leaves it
	}})
	require.Equal(t, "identifier.invalid", a.code(), a.body)
	require.NotContains(t, a.body, "10203040506")
}
