package attack

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	docxType = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
	xmlType  = "application/xml"
	script   = "<script>alert(1)</script>"
)

// upload is a file that means harm to whoever opens it, or to the server.
type upload struct {
	name, mediaType string
	content         []byte
	// code is the one that it is refused with, "" if it is taken: as bytes that
	// a browser shows and runs nothing of.
	code string
	// cautions are what readers of one that is taken are told.
	cautions []string
}

// uploads lists one of each kind.
func uploads() []upload {
	const refused = "file.not-as-claimed"
	told := func(cautions ...string) []string { return cautions }
	text := func(of string) []byte { return []byte(of) }
	main := func(of string) []byte { return docx(of, nil) }
	with := func(name, of string) []byte { return docx("", map[string][]byte{name: []byte(of)}) }
	entity := `<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>`
	return []upload{
		{"t.html", "text/html", text("<html>" + script), "file.invalid", nil},
		{"t.svg", "image/svg+xml", text(`<svg xmlns="http://www.w3.org/2000/svg">` + script + "</svg>"), "file.invalid", nil},
		{"t.exe", "application/octet-stream", text("MZ"), "file.invalid", nil},
		{"svg.xml", xmlType, text(`<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg">` + script + "</svg>"), "", told("file.script")},
		{"html.xml", xmlType, text(`<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml">` + script + "</html>"), "", told("file.script")},
		{"style.xml", xmlType, text(`<?xml version="1.0"?><?xml-stylesheet type="text/xsl" href="http://evil.example/x.xsl"?><a/>`), "", told("file.outside")},
		{"html.txt", "text/plain", text("<html>" + script), "", nil},
		{"utf7.txt", "text/plain", text("+ADw-script+AD4-alert(1)+ADw-/script+AD4-"), "", nil},
		{"formula.txt", "text/plain", text("=cmd|\"/c calc\"!A1,2\n"), "", nil},
		{"zero.txt", "text/plain", text("a\x00b"), refused, nil},
		{"bad.txt", "text/plain", text("\xff\xfe\x00"), refused, nil},
		{"script.pdf", "application/pdf", pdf(text("/OpenAction << /S /JavaScript /JS (app.alert(1)) >>")), "", told("file.action", "file.script")},
		{"launch.pdf", "application/pdf", pdf(text("/OpenAction << /S /Launch /F (calc.exe) >>")), "", told("file.action")},
		{"embedded.pdf", "application/pdf", pdf(text("/Names << /EmbeddedFiles << /Names [(x.exe) 4 0 R] >> >>"),
			"<< /Type /Filespec /F (x.exe) /EF << /F 5 0 R >> >>", "<< /Type /EmbeddedFile /Length 2 >>\nstream\nMZ\nendstream"), "", told("file.embedded")},
		{"front.pdf", "application/pdf", append(text(script), pdf(nil)...), refused, nil},
		{"behind.pdf", "application/pdf", append(pdf(nil), strings.Repeat(script, 5)...), refused, nil},
		{"zip.pdf", "application/pdf", append(pdf(nil), main("")...), refused, nil},
		{"plain.docx", docxType, main(""), "", nil},
		{"macros.docx", docxType, with("word/vbaProject.bin", strings.Repeat("\xd0\xcf\x11\xe0", 50)), refused, nil},
		{"template.docx", docxType, with("word/_rels/document.xml.rels", externalTemplate), "", told("file.outside")},
		{"program.docx", docxType, with("word/evil.exe", strings.Repeat("MZ", 100)), "", told("file.embedded")},
		{"slip.docx", docxType, with("../../evil", "x"), refused, nil},
		{"entity.docx", docxType, main(entity), refused, nil},
		{"bomb.docx", docxType, with("word/media/x.bin", strings.Repeat("\x00", 300_000_000)), "file.too-large", nil},
		{"entries.docx", docxType, docx("", emptyEntries(30_000)), refused, nil},
		{"entity.xml", xmlType, text(entity), refused, nil},
		{"laughs.xml", xmlType, text(`<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><a>&b;</a>`), refused, nil},
		{"deep.xml", xmlType, text(strings.Repeat("<a>", 200_000) + strings.Repeat("</a>", 200_000)), refused, nil},
		{"attributes.xml", xmlType, text("<a" + attributes(200_000) + "/>"), "", nil},
		{"longname.xml", xmlType, text("<" + strings.Repeat("a", 3_000_000) + "/>"), "", nil},
		{"comment.xml", xmlType, text("<a><!--" + strings.Repeat("x", 5_000_000) + "--></a>"), refused, nil},
		{"longtext.xml", xmlType, text("<a>" + strings.Repeat("x", 8_000_000) + "</a>"), refused, nil},
		{"huge.png", "image/png", png(60_000, 60_000, 1, 3), "file.too-large", nil},
		{"large.png", "image/png", png(11_000, 11_000, 8, 6), "file.too-large", nil},
		{"deep.png", "image/png", png(9_000, 9_000, 16, 6), "file.too-large", nil},
	}
}

// TestR_D2_R_M8_AHostileFileIsRefusedByNameOrServedSoThatNothingOfItRuns puts
// each into a draft and fetches those that were taken.
func TestR_D2_R_M8_AHostileFileIsRefusedByNameOrServedSoThatNothingOfItRuns(t *testing.T) {
	n := serve(t, nil)
	token, _ := n.token(n.register(1, "Uploading Person", true), "", "participant")
	draft := n.must(token, http.MethodPost, "/api/v1/documents", map[string]any{"kind": "other", "title": "t"})["id"].(string)
	from, all := clients{}, uploads()
	for _, u := range all {
		path := "/api/v1/documents/" + draft + "/files/" + url.PathEscape(u.name)
		header := http.Header{"Content-Type": {u.mediaType}, "Idempotency-Key": {"put " + u.name}}
		put := request{method: http.MethodPut, path: path, token: token, header: header, body: u.content}
		a, err := n.do(from, put)
		require.NoError(t, err, u.name)
		if a.status != http.StatusOK {
			if got := a.problem().Code; got != u.code {
				t.Errorf("%s: %q and not %q: %s", u.name, got, u.code, a)
			}
			continue
		}
		if u.code != "" {
			t.Errorf("%s was taken, and is to be refused: %s", u.name, u.code)
			continue
		}
		a, err = n.do(from, request{method: http.MethodGet, path: path, token: token, header: http.Header{"Accept": {"text/html"}}})
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, a.status, a)
		require.Equal(t, string(u.content), string(a.body), "%s comes back as it was", u.name)
		require.True(t, strings.HasPrefix(a.header.Get("Content-Disposition"), "attachment;"), "%s: %s", u.name, a.header)
		require.Equal(t, "nosniff", a.header.Get("X-Content-Type-Options"))
		policy := strings.Split(a.header.Get("Content-Security-Policy"), "; ")
		require.True(t, slices.Contains(policy, "sandbox") && slices.Contains(policy, "default-src 'none'"), "%s: %s", u.name, policy)
		require.NotContains(t, a.header.Get("Content-Type"), "html")
	}
	a, err := n.do(from, request{method: http.MethodGet, path: "/api/v1/documents/" + draft, token: token})
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, a.status, "the ledger is alive")
	var document struct {
		Files []struct {
			Name     string
			Cautions []string
		}
	}
	require.NoError(t, json.Unmarshal(a.body, &document))
	kept := map[string][]string{}
	for _, f := range document.Files {
		kept[f.Name] = f.Cautions
	}
	for _, u := range all {
		cautions, taken := kept[u.name]
		assert.Equal(t, u.code == "", taken, "%s stands in the draft", u.name)
		assert.Equal(t, u.cautions, cautions, u.name)
	}
}

// TestANeighboursBadTokensDoNotLockOutAGoodOne sends more unknown tokens from
// one address than it may; whoever has a good one there goes on.
func TestANeighboursBadTokensDoNotLockOutAGoodOne(t *testing.T) {
	n := serve(t, nil)
	token, _ := n.token(n.register(1, "A Person", true), "", "participant")
	from := clients{}
	ask := func(path, token string, address byte, header http.Header) answer {
		a, err := n.do(from, request{method: http.MethodGet, path: path, token: token, from: address, header: header})
		require.NoError(t, err)
		return a
	}
	require.Equal(t, http.StatusOK, ask("/api/v1/me", token, 1, nil).status)
	var last answer
	for i := range 70 {
		last = ask("/api/v1/me", fmt.Sprintf("dalel_%sA", strings.Repeat(string(rune('A'+i%26)), 42)), 1, nil)
	}
	require.Equal(t, http.StatusTooManyRequests, last.status, "guessing is slowed down")
	require.NotEmpty(t, last.header.Get("Retry-After"))
	for _, address := range []byte{1, 2} {
		require.Equal(t, http.StatusOK, ask("/api/v1/me", token, address, nil).status, "from 127.0.0.%d", address)
	}
	cookie := http.Header{"Cookie": {"dalel_session=" + token}}
	require.Equal(t, http.StatusOK, ask("/inbox", "", 1, cookie).status, "a page with a good session")
	for _, path := range []string{"/check", "/api/v1/check/89426154593205029044", "/healthz"} {
		require.Less(t, ask(path, "", 1, nil).status, http.StatusTooManyRequests, path)
	}
	a, err := n.do(from, request{
		method: http.MethodPost, path: "/api/v1/check/file", header: http.Header{"Content-Type": {"application/pdf"}}, body: []byte("x"), from: 1,
	})
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, a.status, "a public check: %s", a)
}
