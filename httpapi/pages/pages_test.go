package pages_test

import (
	"bytes"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"dalel/domain/access"
	"dalel/domain/certificate"
	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/domain/fileformat"
	"dalel/domain/founding"
	"dalel/domain/ledger"
	"dalel/domain/signature"
	"dalel/httpapi/pages"
	"dalel/httpapi/route"
	"dalel/internal/fault"
	"dalel/projections"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"
)

// maxPage is what a page of the story may weigh: what a slow phone takes in a
// second or two.
const maxPage = 64 << 10

// The documents' numbers, and one that no document has.
const deedNumber, lostNumber, unknownNumber = "48210093471130258828", "71000000000000000181", "12345678901234567888"

var everyPage = []struct{ who, address string }{
	{"", "/signin"}, {"participant", "/inbox"}, {"participant", "/outbox"}, {"participant", "/journal"},
	{"participant", "/journal?identifier=990140000015&from=2026-11-01&to=2026-11-30&kind=contract&status=signed&direction=in&number=17%2F2026"},
	{"participant", "/journal?party=" + almaty}, {"participant", "/journal?identifier=1"},
	{"participant", "/documents/" + letter}, {"almaty", "/documents/" + contract}, {"almaty", "/documents/" + letter}, {"auditor", "/documents/" + contract},
	{"auditor", "/documents"}, {"auditor", "/journals"}, {"auditor", "/participants"}, {"operator", "/journals"}, {"operator", "/participants"},
	{"auditor", "/documents/" + contract + "?after=99"},
	{"participant", "/documents/" + contract}, {"participant", "/documents/" + deed}, {"participant", "/documents/" + lost}, {"auditor", "/documents/" + lost},
	{"operator", "/operator/destructions"}, {"operator", "/operator/destructions?state=&subject=document"}, {"auditor", "/operator/destructions?state=destroyed"},
	{"operator", "/operator/documents/" + contract}, {"auditor", "/operator/documents/" + contract}, {"operator", "/operator/documents/" + lost},
	{"operator", "/operator/documents/" + deed + "/destruction"}, {"operator", "/operator/documents/" + contract + "/destruction"},
	{"operator", "/operator/documents/" + letter + "/destruction"}, {"operator", "/operator/documents/" + lost + "/destruction"},
	{"operator", "/operator/participants/" + aliya}, {"operator", "/operator/participants/" + astana}, {"operator", "/operator/participants/" + shop}, {"auditor", "/operator/participants/" + aliya},
	{"participant", "/personal-data"}, {"almaty", "/personal-data"}, {"", "/check"}, {"", "/check/" + deedNumber}, {"participant", "/check/" + lostNumber}, {"", "/check/" + unknownNumber}, {"", "/check?number=1234"}, {"participant", "/check"},
	{"", "/check/" + url.PathEscape(nasty)},
	{"participant", "/certificates"}, {"almaty", "/certificates?ends=soon"}, {"operator", "/operator/certificates"}, {"auditor", "/operator/certificates?ends=soon&participant=" + astana},
	{"operator", "/operator/trust"}, {"auditor", "/operator/trust"}, {"participant", "/operator/trust"}, {"participant", "/operator/certificates"},
	{"auditor", "/documents/none"}, {"participant", "/documents"}, {"", "/inbox"}, {"participant", "/inbox?after=bad"},
}

// void are the elements that have no end tag.
var void = []string{"meta", "link", "img", "input", "br"}

// check reads a page as a strict reader would: every element closed in its
// order, no id twice, every label and reference leading somewhere, headings
// in order, nothing inline that the policy forbids. It returns the text.
func check(t *testing.T, page string) string {
	t.Helper()
	var open, ids, refs, texts []string
	heading := 0
	z := html.NewTokenizer(strings.NewReader(page))
	for {
		kind := z.Next()
		if kind == html.ErrorToken {
			break
		}
		token := z.Token()
		switch kind {
		case html.TextToken:
			if s := strings.TrimSpace(token.Data); s != "" {
				texts = append(texts, s)
			}
		case html.StartTagToken:
			require.NotEqual(t, "style", token.Data, "a style of its own")
			script := token.Data == "script"
			for _, a := range token.Attr {
				require.False(t, a.Key == "style" || strings.HasPrefix(a.Key, "on"), "the attribute %s", a.Key)
				switch a.Key {
				case "id":
					require.NotContains(t, ids, a.Val, "an id twice")
					ids = append(ids, a.Val)
				case "for", "aria-labelledby", "aria-describedby":
					refs = append(refs, strings.Fields(a.Val)...)
				case "src":
					script = false
					require.True(t, strings.HasPrefix(a.Val, "/assets/"), "loads %s", a.Val)
				case "href", "action":
					require.Regexp(t, `^[/?#]`, a.Val, "leads to another site")
				}
			}
			require.False(t, script, "a script of its own")
			if len(token.Data) == 2 && token.Data[0] == 'h' && token.Data[1] >= '1' && token.Data[1] <= '6' {
				level := int(token.Data[1] - '0')
				require.LessOrEqual(t, level, heading+1, "a heading is skipped")
				heading = level
			}
			if !slices.Contains(void, token.Data) {
				open = append(open, token.Data)
			}
		case html.EndTagToken:
			require.NotEmpty(t, open, "an end tag too many: %s", token.Data)
			require.Equal(t, open[len(open)-1], token.Data, "elements cross")
			open = open[:len(open)-1]
		}
	}
	require.Empty(t, open, "elements that are not closed")
	for _, ref := range refs {
		require.Contains(t, ids, ref, "a reference that leads nowhere")
	}
	require.Equal(t, 1, strings.Count(page, "<h1"), "one first heading")
	return strings.Join(texts, "\n")
}

func TestEveryPageStandsInEveryLanguage(t *testing.T) {
	for _, language := range []string{"ru", "kk", "en"} {
		s := newStory("Договор поставки", "ТОО «Астана Логистик»")
		h := s.serve(t)
		for _, p := range everyPage {
			t.Run(language+" "+p.who+" "+p.address, func(t *testing.T) {
				w := get(t, h, p.who, p.address, language)
				body := w.Body.String()
				require.Less(t, w.Code, 500, body)
				require.Contains(t, body, `<html lang="`+language+`">`)
				require.NotContains(t, body, "⟦", "a message is missing")
				require.NotContains(t, body, "ZgotmplZ")
				require.Less(t, len(body), maxPage)
				require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
				text := check(t, body)
				if language == "kk" && w.Code == 200 && p.who != "" {
					require.Regexp(t, "[ҚқҒғҮүҰұӘәІі]", text)
				}
			})
		}
	}
}

func TestNastyWordsAreShownAndDoNothing(t *testing.T) {
	s := newStory(nasty, nasty)
	h := s.serve(t)
	for _, p := range everyPage {
		body := get(t, h, p.who, p.address, "en").Body.String()
		check(t, body)
		require.NotContains(t, body, "<script>alert", p.address)
		require.NotContains(t, body, "<img src=x", p.address)
		require.NotContains(t, body, "<b>a&b</b>", p.address)
	}
	require.Contains(t, check(t, get(t, h, "auditor", "/documents", "en").Body.String()), strings.TrimSpace(nasty))
	for _, address := range []string{"/journal?number=" + url.QueryEscape(`"><script>alert(1)</script>`), "/journal?identifier=" + url.QueryEscape(`'"><b>`)} {
		check(t, get(t, h, "participant", address, "en").Body.String())
	}
}

func TestEveryEventAndEveryVerdictHasItsPlaceOnTheDocumentsPage(t *testing.T) {
	for _, language := range []string{"ru", "kk", "en"} {
		s := newStory("x", "y")
		for _, d := range document.Events() {
			s.rows[letter] = append(s.rows[letter], projections.TimelineRow{Document: letter, Position: 100, Type: d.Zero.EventType(), RecordedAt: at(1), Actor: "system", Facts: []byte(`{}`)})
		}
		page := get(t, s.serve(t), "auditor", "/documents/"+letter, language).Body.String()
		for _, d := range document.Events() {
			require.NotContains(t, page, ">"+d.Zero.EventType()+"<")
		}
		require.NotContains(t, page, "⟦")
	}
}

// signatureCard is the markup of the card of a signature, from 0, and its tone.
func signatureCard(t *testing.T, page string, n int) (text, class string) {
	t.Helper()
	cards := strings.Split(page, `<section class="panel signature `)
	require.Greater(t, len(cards), n+1)
	class, rest, _ := strings.Cut(cards[n+1], `"`)
	inside, _, _ := strings.Cut(rest, "</section>")
	return inside, class
}

func TestR_C8_ADoubtedSignatureIsInDoubtEverywhereAndNothingOnItIsGood(t *testing.T) {
	page := get(t, newStory("x", "y").serve(t), "auditor", "/documents/"+contract, "en").Body.String()
	text := check(t, page)
	require.Contains(t, text, "A signature is in doubt\n")
	require.Contains(t, text, "A signature loses force only by")
	require.NotContains(t, text, "lost its force")
	card, class := signatureCard(t, page, 0)
	require.Equal(t, "good", class)
	require.Contains(t, card, "The signature stands")
	require.Contains(t, text, "The issuer names no place where it publishes revocations", "the reasons are in words")
	card, class = signatureCard(t, page, 1)
	require.Equal(t, "doubt", class)
	require.Contains(t, card, "The signature is in doubt since 20\u00a0November\u00a02026, 13:25. The check at the moment of signing was positive.")
	for _, green := range []string{`verdict good`, `status good`} {
		require.NotContains(t, card, green, "no green on a signature in doubt")
	}
	require.Less(t, strings.Index(card, "a compromise was reported"), strings.Index(card, "The certificate was not revoked"), "the weightiest reason first")
	require.Less(t, strings.Index(card, "Technical details"), strings.Index(card, "revocation.good"), "codes are technical details")
	for _, address := range []string{"/documents", "/journals"} {
		require.Contains(t, check(t, get(t, newStory("x", "y").serve(t), "auditor", address, "en").Body.String()), "A signature is in doubt")
	}
}

func TestR_C8_ADecidedSignatureSaysByWhoseWordItLostItsForce(t *testing.T) {
	s := newStory("x", "y")
	s.tell(contract, event.By{Participant: ledger.Operator}, document.SignatureDecided{Document: contract, Signature: 2, Party: almaty, Certificate: keyHash,
		Notices: []string{notice}, Ruling: document.RulingLost, Ground: "письмо № 118", DecidedAt: at(96)})
	page := get(t, s.serve(t), "auditor", "/documents/"+contract, "ru").Body.String()
	text := strings.ReplaceAll(check(t, page), "\u00a0", " ")
	require.Contains(t, text, "Подпись утратила силу 20 ноября 2026 г., 13:36. Основание: решение оператора: письмо № 118")
	require.NotContains(t, text, "оспаривается с")
	_, class := signatureCard(t, page, 1)
	require.Equal(t, "bad", class)

	held := s.certs[keyHash]
	held.Revocation = &certificate.Revoked{RevokedAt: at(31), Reason: "keyCompromise", RecordedAt: at(97)}
	s.certs[keyHash] = held
	text = check(t, get(t, s.serve(t), "auditor", "/documents/"+contract, "en").Body.String())
	require.Contains(t, text, "revocation by the authority, reason: key compromise", "the authority weighs most")
}

func TestR_C8_ASignatureFromBeforeTheMomentKeepsItsForceAndSaysWhy(t *testing.T) {
	page := get(t, newStory("x", "y").serve(t), "auditor", "/documents/"+deed, "en").Body.String()
	card, class := signatureCard(t, page, 0)
	require.Equal(t, "good", class)
	require.Contains(t, card, "The signature stands. Made before the moment from which its key is not trusted, by the ledger&#39;s clock. It keeps its force.")
}

func TestR_C4_WhatCannotBeToldIsCalledSo(t *testing.T) {
	text := check(t, get(t, newStory("x", "y").serve(t), "auditor", "/documents/"+contract, "en").Body.String())
	require.Contains(t, text, "It cannot be told whether the signature is valid")
}

func TestR_D4_OpeningADocumentIsRecordedForARecipientOnce(t *testing.T) {
	s := newStory("x", "y")
	h := s.serve(t)
	for range 2 {
		require.Equal(t, 200, get(t, h, "participant", "/documents/"+letter, "en").Code)
	}
	require.Equal(t, []string{astana}, s.viewed)
	get(t, h, "almaty", "/documents/"+letter, "en")
	get(t, h, "auditor", "/documents/"+contract, "en")
	require.Equal(t, []string{astana}, s.viewed, "neither the sender's look nor the auditor's")
}

func TestR_O2_WhoMayNotSeeADocumentIsToldThatThereIsNone(t *testing.T) {
	s := newStory("Совершенно секретно", "y")
	w := get(t, s.serve(t), "operator", "/documents/"+contract, "en")
	require.Equal(t, http.StatusForbidden, w.Code)
	s.names[shop] = projections.Participant{}
	s.tokens["stranger"] = s.tokens["auditor"]
	stranger := s.tokens["stranger"]
	stranger.Role, stranger.By = access.RoleParticipant, event.By{Participant: aliya}
	s.tokens["stranger"] = stranger
	w = get(t, s.serve(t), "stranger", "/documents/"+contract, "en")
	require.Equal(t, http.StatusNotFound, w.Code)
	require.NotContains(t, w.Body.String(), "секретно")
}

// post sends a form as somebody.
func post(t *testing.T, h http.Handler, who, address string, form url.Values) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, address, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept-Language", "en")
	if who != "" {
		r.AddCookie(&http.Cookie{Name: route.SessionCookie, Value: who})
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// follow goes where an answer leads, with its cookies.
func follow(t *testing.T, h http.Handler, who string, w *httptest.ResponseRecorder) string {
	t.Helper()
	require.Equal(t, http.StatusSeeOther, w.Code, w.Body.String())
	r := httptest.NewRequest(http.MethodGet, w.Header().Get("Location"), nil)
	r.Header.Set("Accept-Language", "en")
	r.AddCookie(&http.Cookie{Name: route.SessionCookie, Value: who})
	for _, cookie := range w.Result().Cookies() {
		r.AddCookie(cookie)
	}
	next := httptest.NewRecorder()
	h.ServeHTTP(next, r)
	require.Equal(t, 200, next.Code)
	return check(t, next.Body.String())
}

func TestActionsAreDoneOnceWithTheFormsOwnKey(t *testing.T) {
	s := newStory("x", "y")
	h := s.serve(t)
	page := get(t, h, "participant", "/documents/"+letter, "en").Body.String()
	keys := regexp.MustCompile(`name="key" value="([A-Z2-7]{26})"`).FindAllStringSubmatch(page, -1)
	require.Len(t, keys, 5, "sign, acknowledge, reject, copy, exemplar")
	require.NotEqual(t, keys[0][1], keys[1][1])
	for _, name := range []string{"acknowledge", "approve", "reject", "revoke", "consent", "decline"} {
		w := post(t, h, "participant", "/documents/"+letter+"/"+name, url.Values{"key": {"k-" + name}, "reason": {"too dear"}})
		require.NotContains(t, follow(t, h, "participant", w), "Not done")
	}
	require.Equal(t, []string{"acknowledge " + letter, "approve " + letter, "reject " + letter + " too dear", "revoke " + letter + " too dear", "consent " + letter, "decline " + letter + " too dear"}, s.acts)
	require.Equal(t, []string{"k-acknowledge", "k-approve", "k-reject", "k-revoke", "k-consent", "k-decline"}, s.keys)
}

func TestAFormWithoutItsKeyChangesNothing(t *testing.T) {
	s := newStory("x", "y")
	require.Equal(t, 400, post(t, s.serve(t), "participant", "/documents/"+letter+"/reject", url.Values{"reason": {"no"}}).Code)
	require.Empty(t, s.acts)
}

func TestARefusalIsShownInWordsOnTheDocument(t *testing.T) {
	s := newStory("x", "y")
	h := s.serve(t)
	s.refuse = fault.New(fault.NotYourTurn, "others first")
	text := follow(t, h, "participant", post(t, h, "participant", "/documents/"+letter+"/reject", url.Values{"key": {"k"}, "reason": {"no"}}))
	require.Contains(t, text, "Not done")
	require.Contains(t, text, "Others must act first")
	s.refuse = fault.New(fault.StorageFull, "full")
	require.Equal(t, http.StatusInsufficientStorage, post(t, h, "participant", "/documents/"+letter+"/reject", url.Values{"key": {"k"}, "reason": {"no"}}).Code)
}

func TestR_E1_SignatureFilesAreTakenForEachFile(t *testing.T) {
	s := newStory("x", "y")
	h := s.serve(t)
	send := func(files ...string) *httptest.ResponseRecorder {
		var body bytes.Buffer
		form := multipart.NewWriter(&body)
		require.NoError(t, form.WriteField("key", "k"))
		for i, content := range files {
			part, err := form.CreateFormFile(fmt.Sprintf("signature-%d", i), "a.p7s")
			require.NoError(t, err)
			_, err = part.Write([]byte(content))
			require.NoError(t, err)
		}
		require.NoError(t, form.Close())
		r := httptest.NewRequest(http.MethodPost, "/documents/"+letter+"/sign", &body)
		r.Header.Set("Content-Type", form.FormDataContentType())
		r.AddCookie(&http.Cookie{Name: route.SessionCookie, Value: "participant"})
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	require.Contains(t, follow(t, h, "participant", send()), "Every file of the document must be signed")
	require.Empty(t, s.acts)
	require.Contains(t, follow(t, h, "participant", send("CMS bytes")), "The signature was checked and taken")
	require.Equal(t, []string{"sign " + letter + " <b>a&b</b>.pdf=CMS bytes"}, s.acts)
}

func TestTheSessionCookieIsClosedToScriptsAndToOtherSites(t *testing.T) {
	h := newStory("x", "y").serve(t)
	w := post(t, h, "", "/signin", url.Values{"token": {" participant\n"}})
	require.Equal(t, 200, w.Code)
	require.Contains(t, w.Body.String(), `<meta http-equiv="refresh" content="0; url=/">`)
	require.Equal(t, "no-referrer", w.Header().Get("Referrer-Policy"))
	cookie := w.Result().Cookies()[0]
	require.Equal(t, route.SessionCookie, cookie.Name)
	require.True(t, cookie.HttpOnly)
	require.Equal(t, http.SameSiteStrictMode, cookie.SameSite)
	require.Equal(t, "participant", cookie.Value)
	require.NotContains(t, w.Body.String(), "participant", "the token is in no page")

	w = post(t, h, "", "/signin", url.Values{"token": {"wrong"}})
	require.Equal(t, 401, w.Code)
	require.Empty(t, w.Result().Cookies())
	require.Contains(t, check(t, w.Body.String()), "The access code is not known")
	out := post(t, h, "participant", "/signout", nil)
	require.Equal(t, "", out.Result().Cookies()[0].Value)
	require.Negative(t, out.Result().Cookies()[0].Expires.Compare(noon))
}

func TestATokenInAnAddressSignsNobodyIn(t *testing.T) {
	h := newStory("x", "y").serve(t)
	for _, who := range []string{"", "auditor"} {
		require.Empty(t, get(t, h, who, "/signin?token=participant", "en").Result().Cookies())
	}
}

func TestNobodyIsSignedInAsAnotherUnasked(t *testing.T) {
	h := newStory("x", "y").serve(t)
	asked := post(t, h, "auditor", "/signin", url.Values{"token": {"participant"}})
	require.Equal(t, 200, asked.Code)
	page := check(t, asked.Body.String())
	require.Contains(t, page, "Signed in in this browser now")
	require.Contains(t, page, "Auditor.")
	require.Contains(t, page, "belongs to another")
	require.NotContains(t, page, "value=\"participant\"", "the token is in no page")
	cookies := asked.Result().Cookies()
	require.Len(t, cookies, 1, "the session stays what it is")
	require.NotEqual(t, route.SessionCookie, cookies[0].Name)
	require.True(t, cookies[0].HttpOnly)
	require.Equal(t, http.SameSiteStrictMode, cookies[0].SameSite)

	r := httptest.NewRequest(http.MethodPost, "/signin/switch", nil)
	r.AddCookie(&http.Cookie{Name: route.SessionCookie, Value: "auditor"})
	r.AddCookie(cookies[0])
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	set := map[string]string{}
	for _, cookie := range w.Result().Cookies() {
		set[cookie.Name] = cookie.Value
	}
	require.Equal(t, "participant", set[route.SessionCookie])
	require.Equal(t, "", set[cookies[0].Name])

	again := post(t, h, "participant", "/signin", url.Values{"token": {"participant"}})
	require.Equal(t, "participant", again.Result().Cookies()[0].Value, "oneself needs no question")
	nothing := post(t, h, "auditor", "/signin/switch", nil)
	require.Equal(t, http.StatusSeeOther, nothing.Code)
	require.Empty(t, nothing.Result().Cookies())
}

func TestALinkOnAnotherSiteOnlyFillsInTheForm(t *testing.T) {
	h := newStory("x", "y").serve(t)
	for from, auto := range map[string]bool{"none": true, "same-origin": true, "same-site": false, "cross-site": false, "": false} {
		r := httptest.NewRequest(http.MethodGet, "/signin", nil)
		r.Header.Set("Sec-Fetch-Site", from)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Contains(t, w.Body.String(), "/signin.js", from)
		require.Equal(t, auto, strings.Contains(w.Body.String(), "data-auto"), from)
	}
}

func TestThePagesNeedWhatTheyShow(t *testing.T) {
	_, err := pages.New(pages.Config{})
	require.True(t, fault.Is(err, fault.ConfigInvalid))
}

func TestTheLanguageIsAskedForRememberedOrGuessed(t *testing.T) {
	h := newStory("x", "y").serve(t)
	for header, want := range map[string]string{
		"": "ru", "kk-KZ,kk;q=0.9,ru;q=0.8": "kk", "en-US,en": "en", "de-DE,fr;q=0.5": "ru", "de,en;q=0.5": "en", ";;;": "ru", strings.Repeat("en,", 500): "ru",
	} {
		require.Contains(t, get(t, h, "", "/signin", header).Body.String(), `<html lang="`+want+`">`, header)
	}
	w := get(t, h, "participant", "/journal?kind=act&lang=kk", "en")
	require.Contains(t, w.Body.String(), `<html lang="kk">`)
	require.Contains(t, w.Body.String(), `href="/journal?kind=act&amp;lang=en"`, "the switch keeps the page")
	r := httptest.NewRequest(http.MethodGet, "/signin", nil)
	r.Header.Set("Accept-Language", "en")
	for _, cookie := range w.Result().Cookies() {
		r.AddCookie(cookie)
	}
	next := httptest.NewRecorder()
	h.ServeHTTP(next, r)
	require.Contains(t, next.Body.String(), `<html lang="kk">`)
}

func TestR_G2_TheJournalOffersItsExtractToWhomMayReadIt(t *testing.T) {
	h := newStory("x", "y").serve(t)
	body := get(t, h, "participant", "/journal?from=2026-11-01&to=2026-11-30", "en").Body.String()
	require.Contains(t, body, `action="/api/v1/extract"`)
	require.Contains(t, body, `formaction="/api/v1/packet"`)
	require.Contains(t, body, `id="extract-from" name="from" type="date" value="2026-11-01" required`)
	body = get(t, h, "auditor", "/journals", "en").Body.String()
	require.Contains(t, body, `action="/api/v1/extract"`)
	require.NotContains(t, body, `/api/v1/packet`, "an auditor says whose, over the interface")
	require.NotContains(t, get(t, h, "operator", "/journals", "en").Body.String(), `/api/v1/extract`, "operators read no content")
}

func TestR_G1_TheJournalIsNarrowedByPeriodPartyKindStatusAndNumber(t *testing.T) {
	s := newStory("x", "y")
	h := s.serve(t)
	require.Equal(t, 200, get(t, h, "participant", "/journal?from=2026-11-01&to=2026-11-30&direction=in&kind=contract&status=signed&identifier=9901+4000+0015&number=4821+0093+4711+3025+8864", "en").Code)
	require.Equal(t, "2026-10-31T19:00:00Z", s.filter.From.UTC().Format("2006-01-02T15:04:05Z"))
	require.Equal(t, "2026-11-30T19:00:00Z", s.filter.To.UTC().Format("2006-01-02T15:04:05Z"), "the last day counts to its end")
	require.Equal(t, projections.In, s.filter.Direction)
	require.Equal(t, document.Contract, s.filter.Kind)
	require.Equal(t, projections.StatusSigned, s.filter.Status)
	require.Equal(t, almaty, s.filter.Counterparty)
	require.Equal(t, "48210093471130258864", s.filter.Number)
	require.Equal(t, astana, s.filter.Participant, "a participant's journal is its own")
	for _, wrong := range []string{"kind=poem", "status=lost", "direction=up", "from=yesterday"} {
		require.Equal(t, 400, get(t, h, "participant", "/journal?"+wrong, "en").Code, wrong)
	}
	require.Equal(t, 200, get(t, h, "auditor", "/journals", "en").Code)
	require.Empty(t, s.filter.Participant, "an auditor's is everybody's")
}

func TestR_G1_TheJournalLeadsToItsFilesWithItsFilterInItsLanguage(t *testing.T) {
	s := newStory("x", "y")
	h := s.serve(t)
	body := get(t, h, "participant", "/journal?from=2026-11-01&to=2026-11-30&direction=in&kind=contract&status=signed&identifier=9901+4000+0015&number="+url.QueryEscape("№ 4821 0093 4711 3025 8864"), "kk").Body.String()
	for _, format := range []string{"csv", "xlsx", "pdf"} {
		require.Contains(t, body, `href="/api/v1/journal.`+format+`?counterparty=`+almaty+
			`&amp;direction=in&amp;from=2026-10-31T19%3A00%3A00Z&amp;kind=contract&amp;lang=kk&amp;number=48210093471130258864&amp;status=signed&amp;to=2026-11-30T19%3A00%3A00Z" download`)
	}
	require.Contains(t, body, "20\u00a0000")
	require.NotContains(t, body, "note warn", "it is all there")
	s.next, s.entries = "x", pages.JournalPDFRows+1
	require.Contains(t, get(t, h, "participant", "/journal", "ru").Body.String(), "По этому отбору больше 5\u00a0000 записей")
	s.entries = pages.JournalPDFRows
	require.NotContains(t, get(t, h, "participant", "/journal", "ru").Body.String(), "По этому отбору больше")
	require.NotContains(t, get(t, h, "participant", "/journal?identifier=1", "ru").Body.String(), "/api/v1/journal.csv", "an identifier that nobody has lets nothing through")
}

func TestAssetsAreKeptByBrowsersUnderTheirVersion(t *testing.T) {
	h := newStory("x", "y").serve(t)
	page := get(t, h, "auditor", "/documents/"+contract, "en").Body.String()
	found := regexp.MustCompile(`/assets/[0-9a-f]+/[a-z.]+`).FindAllString(page, -1)
	require.Len(t, found, 4)
	for _, address := range found {
		w := get(t, h, "", address, "en")
		require.Equal(t, 200, w.Code)
		require.Contains(t, w.Header().Get("Cache-Control"), "immutable")
		require.Less(t, w.Body.Len(), 32<<10)
	}
	require.Equal(t, 404, get(t, h, "", "/assets/x/none.css", "en").Code)
}

func TestTheRoutesSayWhoMayUseThem(t *testing.T) {
	s := newStory("x", "y")
	p, err := pages.New(pages.Config{Ledger: s, Models: s, Uploads: &s.uploads})
	require.NoError(t, err)
	for _, r := range p.Routes() {
		require.True(t, r.Page, r.Path)
		require.NotEmpty(t, r.Name)
		require.Equal(t, r.Scope == route.Public, len(r.Roles) == 0, r.Path)
		require.Equal(t, r.Method == http.MethodPost, r.MaxBody > 0, r.Path)
		require.Equal(t, r.Method == http.MethodPost && r.Scope != route.Public, r.Command, r.Path)
	}
}

func TestR_C3_BothVerdictsAreShownWithReasonsCodesAndWhatTheyRestOn(t *testing.T) {
	for language, words := range map[string][]string{
		"ru": {"На момент подписания:", "На момент поступления:", "Ответ OCSP", "Метка времени", "срок действия регистрационного свидетельства"},
		"kk": {"Қол қойылған сәтке:", "Түскен сәтке:", "OCSP жауабы", "Уақыт белгісі"},
		"en": {"At the moment of signing:", "At the moment of receipt:", "At the moment of signing and of receipt:", "OCSP answer", "Time stamp", "Signature, CMS file"},
	} {
		body := get(t, newStory("x", "y").serve(t), "auditor", "/documents/"+contract, language).Body.String()
		text := check(t, body)
		for _, want := range append(words, "certificate.expired", "revocation.good", "time.trusted", evidenceHash) {
			require.Contains(t, text, want, language)
		}
		require.Contains(t, body, `href="/api/v1/documents/`+contract+`/evidence/`+evidenceHash+`"`)
		require.Contains(t, body, `href="/api/v1/documents/`+contract+`/signatures/2/cms"`)
	}
}

func TestR_A1_AnIdentifierThatMeansTwoOffersBothInTheJournal(t *testing.T) {
	h := newStory("x", "y").serve(t)
	body := get(t, h, "participant", "/journal?identifier=8504+1230+0561&kind=contract", "en").Body.String()
	text := check(t, body)
	require.Contains(t, text, "Two participants have this IIN")
	require.NotContains(t, text, "Nobody in this ledger")
	for _, id := range []string{aliya, shop} {
		require.Contains(t, body, `href="/journal?kind=contract&amp;party=`+id+`"`)
		require.Equal(t, 200, get(t, h, "participant", "/journal?kind=contract&party="+id, "en").Code)
	}
}

func TestR_D2_AFilesCautionsStandOnItsDocumentInEachLanguage(t *testing.T) {
	s := newStory("x", "y")
	const drawn = "eeeeeeee-eeee-4eee-8eee-eeeeeeeeeeee"
	by := event.By{Participant: astana}
	s.tell(drawn, by, document.Created{Document: drawn, Sender: astana, By: by, Details: document.Details{Kind: document.Contract, Title: "x"}})
	s.tell(drawn, by, document.FileAttached{Document: drawn, Sender: astana, By: by, File: document.File{
		Name: "a.jpg", MediaType: "image/jpeg", Size: 1, SHA256: fileHash, Cautions: fileformat.Cautions()}})
	for language, word := range map[string]string{"ru": "телефоны", "kk": "телефондар", "en": "as phones write them"} {
		text := check(t, get(t, s.serve(t), "auditor", "/documents/"+drawn, language).Body.String())
		require.Contains(t, text, word)
		require.NotContains(t, text, "caution.")
	}
}

func TestR_C4_AnUndecidedAttemptIsShownAndItsOutcomeIsOnTheTimeline(t *testing.T) {
	s := newStory("x", "y")
	const undecided = "eeeeeeee-eeee-4eee-8eee-eeeeeeeeeeee"
	by, other := event.By{Participant: astana}, event.By{Participant: almaty}
	s.tell(undecided, by, document.Created{Document: undecided, Sender: astana, By: by, Details: document.Details{Kind: document.Contract, Title: "x"}})
	s.tell(undecided, by, document.FileAttached{Document: undecided, Sender: astana, By: by, File: document.File{Name: "a.txt", MediaType: "text/plain", Size: 1, SHA256: fileHash}})
	s.tell(undecided, by, document.Sent{Document: undecided, Sender: astana, By: by, SentAt: at(2), Recipients: []document.Recipient{
		{Participant: almaty, Role: document.RoleSign, Method: document.MethodCertificate, Order: 1}}})
	one := document.FileSignature{File: fileHash, CMS: keyHash, Verdict: signature.Verdict{Status: signature.Unknown, At: at(3), Signers: []signature.SignerVerdict{{
		Status: signature.Unknown, Certificate: keyHash, Reasons: []signature.Reason{{Code: signature.RevocationNoEvidence, Detail: "in English"}}}}},
		Evidence: []document.Evidence{{Kind: signature.EvidenceCertificate, SHA256: evidenceHash}}}
	s.tell(undecided, other, document.SignatureRefused{Document: undecided, Party: almaty, By: other, AttemptedAt: at(3), Code: fault.SignatureUnknown, Detail: "cannot tell", Again: true,
		Signatures: []document.FileSignature{one}})
	body := get(t, s.serve(t), "auditor", "/documents/"+undecided, "en").Body.String()
	text := check(t, body)
	require.Contains(t, text, "The signature does not count yet: the check is not finished")
	require.Contains(t, text, "Attempt No. 1. It cannot be told")
	require.Contains(t, text, "revocation.no-evidence")
	require.Contains(t, body, "/evidence/"+evidenceHash)

	one.Verdict.Status, one.Verdict.Signers[0].Status, one.Verdict.Signers[0].Reasons = signature.Valid, signature.Valid, nil
	s.tell(undecided, event.By{Participant: ledger.System}, document.Signed{Document: undecided, Party: almaty, By: other, Method: document.MethodCertificate,
		ReceivedAt: at(3), SignedAt: at(3), Certificate: keyHash, Attempt: 1, Signatures: []document.FileSignature{one}})
	text = check(t, get(t, s.serve(t), "auditor", "/documents/"+undecided, "en").Body.String())
	require.NotContains(t, text, "does not count yet")
	require.Contains(t, text, "Checked again")
	require.Contains(t, text, "attempt No. 1 of")
}

func TestR_M8_EveryPageOfALedgerThatLostEventsSaysSo(t *testing.T) {
	s := newStory("x", "y")
	for language, want := range map[string]string{
		"ru": "из 1000 известных не хватает не менее 40 (журнал прозрачности first.example/log)",
		"kk": "белгілі 1000 оқиғаның кемінде 40 жоқ (ашықтық журналы first.example/log)",
		"en": "of 1000 that are known of, at least 40 are missing (transparency log first.example/log)",
	} {
		for _, page := range everyPage {
			s.recoveries = nil
			require.NotContains(t, seen(t, s, page.who, page.address, language), "first.example/log", page.address)
			s.recoveries = []founding.Recovered{{FormerOrigin: "first.example/log", Origin: "second.example/log",
				Known: 1000, Events: 960, RecoveredAt: at(50)}}
			text := seen(t, s, page.who, page.address, language)
			require.Contains(t, text, want, page.address)
			require.Contains(t, text, "second.example/log", page.address)
		}
	}
}
