package pages_test

import (
	"bytes"
	"errors"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"net/url"
	"strings"
	"testing"

	"dalel/domain/document"
	"dalel/domain/ledger"
	"dalel/httpapi/route"
	"dalel/internal/fault"
	"dalel/projections"

	"github.com/stretchr/testify/require"
)

// seen is the text of a page that somebody asks for.
func seen(t *testing.T, s *story, who, address, language string) string {
	t.Helper()
	return strings.ReplaceAll(check(t, get(t, s.serve(t), who, address, language).Body.String()), "\u00a0", " ")
}

func TestR_G3_ADocumentSaysUntilWhenItIsKeptAndByWhichRule(t *testing.T) {
	s := newStory("x", "y")
	for language, want := range map[string]string{
		"en": "10 years from the end of the route, until 20 November 2036",
		"ru": "10 лет с окончания маршрута, до 20 ноября 2036 г.",
		"kk": "Бағдар аяқталғаннан бастап 10 жыл, мерзімі: 2036 жылғы 20 қараша",
	} {
		require.Contains(t, seen(t, s, "participant", "/documents/"+deed, language), want)
	}
	require.Contains(t, seen(t, s, "participant", "/documents/"+contract, "en"), "10 years from the last record in the journal", "the longest rule")
	require.Contains(t, seen(t, s, "participant", "/documents/"+letter, "en"), "Kept while the route is open")
}

func TestR_G4_AHoldIsSeenByThePartiesAndItsGroundByItsKeepers(t *testing.T) {
	s := newStory("x", "y")
	for _, who := range []string{"participant", "almaty"} {
		text := seen(t, s, who, "/documents/"+contract, "en")
		require.Contains(t, text, "A legal hold stands")
		require.Contains(t, text, "It stands since 20 November 2026")
		require.NotContains(t, text, "2-114/2026")
	}
	require.Contains(t, seen(t, s, "auditor", "/documents/"+contract, "en"), "2-114/2026")
	for _, who := range []string{"operator", "auditor"} {
		require.Contains(t, seen(t, s, who, "/operator/documents/"+contract, "en"), "2-114/2026")
	}
	require.NotContains(t, seen(t, s, "participant", "/documents/"+deed, "en"), "A legal hold stands")
}

func TestR_D11_WhetherAnOriginalExistsIsSaidOrThatItCannotBeTold(t *testing.T) {
	s := newStory("x", "y")
	for _, c := range []struct {
		answer error
		want   []string
	}{
		{nil, []string{"An original exists"}},
		{&fault.Error{Code: fault.OriginalNone, Reasons: []fault.Reason{{Code: "blob.not-found"}}}, []string{"No original exists", "A part of the content cannot be restored: No such content is stored"}},
		{fault.New(fault.Unavailable, "down"), []string{"Cannot tell now", "That does not mean that there is no original"}},
		{errors.New("a strange failure"), []string{"Cannot tell now"}},
	} {
		s.original = c.answer
		text := seen(t, s, "participant", "/documents/"+contract, "en")
		for _, want := range c.want {
			require.Contains(t, text, want)
		}
	}
	require.Contains(t, seen(t, s, "participant", "/documents/"+lost, "en"), "No original exists")
}

func TestR_G5_ADestroyedDocumentsPageHasNoWordsAndNoLinksButItsHashes(t *testing.T) {
	s := newStory("Совершенно секретно", "y")
	h := s.serve(t)
	for _, p := range []struct{ who, address string }{
		{"participant", "/documents/" + lost}, {"almaty", "/documents/" + lost}, {"auditor", "/documents/" + lost},
		{"operator", "/operator/documents/" + lost}, {"operator", "/operator/documents/" + lost + "/destruction"},
	} {
		w := get(t, h, p.who, p.address, "en")
		require.Equal(t, 200, w.Code)
		body := w.Body.String()
		for _, word := range []string{"екретно", "Тайна", "тайный", "тайная", "/files/", "/signatures/", "/copies/", "17/2026", "<textarea"} {
			require.NotContains(t, body, word, "%s for %s", p.address, p.who)
		}
		require.Contains(t, strings.ReplaceAll(body, "\u00a0", " "), "Destroyed on 20 November 2026 at the official request of y, АО «Алматы Құрылыс»")
		if p.who != "operator" {
			require.Contains(t, body, fileHash)
			require.Contains(t, body, "/api/v1/documents/"+lost+"/packet")
			require.Contains(t, body, `data-gone="yes"`)
		}
	}
	require.Contains(t, get(t, h, "participant", "/documents/"+deed, "en").Body.String(), "тайный акт.pdf", "the words of one that is not destroyed are there")
	list := check(t, get(t, h, "auditor", "/documents", "en").Body.String())
	require.Contains(t, list, "Destroyed document")
	require.NotContains(t, list, "Тайна")
}

func TestR_D2_AFileRefusedOnArrivalStandsInTheTimelineInWords(t *testing.T) {
	text := seen(t, newStory("x", "y"), "participant", "/documents/"+deed, "en")
	require.Contains(t, text, "File refused on arrival")
	require.Contains(t, text, "тайный счёт.pdf")
	require.Contains(t, text, "The file is not of the type that it claims to be")
}

func TestR_D10_CopiesAndExemplarsAreIssuedByFormsAndThenDownloaded(t *testing.T) {
	s := newStory("x", "y")
	h := s.serve(t)
	address := "/documents/" + contract
	issued := func(name string, form url.Values) string {
		w := post(t, h, "participant", address+"/"+name, form)
		require.Equal(t, http.StatusSeeOther, w.Code, w.Body.String())
		r := httptest.NewRequest(http.MethodGet, w.Header().Get("Location"), nil)
		r.Header.Set("Accept-Language", "en")
		r.AddCookie(&http.Cookie{Name: route.SessionCookie, Value: "participant"})
		for _, cookie := range w.Result().Cookies() {
			r.AddCookie(cookie)
		}
		next := httptest.NewRecorder()
		h.ServeHTTP(next, r)
		check(t, next.Body.String())
		_, outcome, _ := strings.Cut(next.Body.String(), `role="status"`)
		outcome, _, _ = strings.Cut(outcome, "<article")
		return outcome
	}
	outcome := issued("copy", url.Values{"key": {"k1"}, "language": {"kk"}})
	require.Contains(t, outcome, "The paper copy is issued")
	require.Contains(t, outcome, `href="/api/v1/documents/`+contract+`/copies/2" download`)
	outcome = issued("exemplar", url.Values{"key": {"k2"}})
	require.Contains(t, outcome, `href="/api/v1/documents/`+contract+`/files/`, "its files")
	require.Equal(t, []string{"copy " + contract + " kk", "exemplar " + contract}, s.acts)
	require.Equal(t, []string{"k1", "k2"}, s.keys)

	require.Contains(t, issued("copy", url.Values{"key": {"k3"}, "language": {"fr"}}), "Not done")
	require.Equal(t, 400, post(t, h, "participant", address+"/copy", url.Values{"language": {"ru"}}).Code, "no key")
	require.Len(t, s.acts, 2)
	s.refuse = fault.New(fault.OriginalNone, "gone")
	outcome = issued("exemplar", url.Values{"key": {"k4"}})
	require.Contains(t, outcome, "No original of the document exists")
	require.NotContains(t, outcome, "/files/")
}

// official sends a form with a letter; an empty type leaves the letter out.
func official(t *testing.T, h http.Handler, who, address string, fields [][2]string, mediaType, letter string) *httptest.ResponseRecorder {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for _, field := range fields {
		require.NoError(t, form.WriteField(field[0], field[1]))
	}
	if mediaType != "" {
		part, err := form.CreatePart(textproto.MIMEHeader{"Content-Disposition": {`form-data; name="letter"; filename="letter.pdf"`}, "Content-Type": {mediaType}})
		require.NoError(t, err)
		_, err = part.Write([]byte(letter))
		require.NoError(t, err)
	}
	require.NoError(t, form.Close())
	r := httptest.NewRequest(http.MethodPost, address, &body)
	r.Header.Set("Content-Type", form.FormDataContentType())
	r.Header.Set("Accept-Language", "en")
	r.AddCookie(&http.Cookie{Name: route.SessionCookie, Value: who})
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestR_G5_DestructionIsAskedForWithAReasonAndALetter(t *testing.T) {
	s := newStory("x", "y")
	h := s.serve(t)
	address := "/documents/" + contract + "/destroy"
	page := get(t, h, "almaty", "/documents/"+contract, "en").Body.String()
	require.Contains(t, page, `action="`+address+`"`)
	require.Contains(t, check(t, page), "This cannot be undone")
	require.Contains(t, check(t, page), "The sender and everybody who signed or approved must ask: y, АО «Алматы Құрылыс»")
	require.NotContains(t, get(t, h, "participant", "/documents/"+contract, "en").Body.String(), `action="`+address+`"`, "it has asked")
	require.NotContains(t, get(t, h, "participant", "/documents/"+letter, "en").Body.String(), "/destroy", "its route is open")

	w := official(t, h, "almaty", address, [][2]string{{"key", "k"}, {"reason", "No longer needed.\r\nBoth agree."}}, "application/pdf", "%PDF a letter")
	require.Contains(t, follow(t, h, "almaty", w), "Your request for destruction is recorded")
	require.Equal(t, []string{"destroy " + contract + " No longer needed.\nBoth agree. application/pdf %PDF a letter"}, s.acts, "lines end as events take them")
	require.Equal(t, []string{"k"}, s.keys)

	for name, w := range map[string]*httptest.ResponseRecorder{
		"no letter": official(t, h, "almaty", address, [][2]string{{"key", "k"}, {"reason", "x"}}, "", ""),
		"no form":   post(t, h, "almaty", address, url.Values{"key": {"k"}, "reason": {"x"}}),
	} {
		require.Contains(t, follow(t, h, "almaty", w), "Not done", name)
	}
	require.Contains(t, follow(t, h, "almaty", official(t, h, "almaty", address, [][2]string{{"reason", "x"}}, "application/pdf", "%PDF")), "The request has no idempotency key")
	require.Len(t, s.acts, 1)
	for code, want := range map[fault.Code]string{
		fault.FileNotAsClaimed: "The file is not of the type that it claims to be", fault.FileTooLarge: "The file is larger than allowed",
		fault.AlreadyDone: "This was done already",
	} {
		s.refuse = fault.New(code, "no")
		w := official(t, h, "almaty", address, [][2]string{{"key", "k"}, {"reason", "x"}}, "application/pdf", "%PDF")
		require.Contains(t, follow(t, h, "almaty", w), want)
	}
}

func TestAReasonOfSeveralLinesIsTakenFromAForm(t *testing.T) {
	s := newStory("x", "y")
	post(t, s.serve(t), "participant", "/documents/"+letter+"/reject", url.Values{"key": {"k"}, "reason": {"first\r\nsecond"}})
	require.Equal(t, []string{"reject " + letter + " first\nsecond"}, s.acts)
}

func TestR_G5_AnOrderIsGivenOnlyWithTheWord(t *testing.T) {
	s := newStory("Совершенно секретно", "y")
	h := s.serve(t)
	address := "/operator/documents/" + deed + "/destruction"
	for language, word := range map[string]string{"ru": "УНИЧТОЖИТЬ", "kk": "ЖОЮ", "en": "DESTROY"} {
		require.Contains(t, check(t, get(t, h, "operator", address, language).Body.String()), word)
	}
	for _, word := range []string{"", "destroy", "yes", "DESTROY IT", "УНИЧТОЖИТЬ?"} {
		w := post(t, h, "operator", address, url.Values{"key": {"k"}, "basis": {"request"}, "confirm": {word}})
		require.Equal(t, 400, w.Code)
		require.Contains(t, check(t, w.Body.String()), "That is not the word. Nothing has happened.")
	}
	require.Empty(t, s.acts)
	for _, word := range []string{"DESTROY", " УНИЧТОЖИТЬ ", "ЖОЮ"} {
		w := post(t, h, "operator", address, url.Values{"key": {"k" + word}, "basis": {"retention-ended"}, "confirm": {word}})
		require.Contains(t, follow(t, h, "operator", w), "The order of destruction is recorded")
	}
	require.Equal(t, []string{"order " + deed + " retention-ended", "order " + deed + " retention-ended", "order " + deed + " retention-ended"}, s.acts)
	require.Equal(t, 400, post(t, h, "operator", address, url.Values{"basis": {"request"}, "confirm": {"DESTROY"}}).Code, "no key")

	s.refuse = fault.New(fault.HoldInForce, "held")
	w := post(t, h, "operator", address, url.Values{"key": {"k"}, "basis": {"request"}, "confirm": {"DESTROY"}})
	require.Contains(t, follow(t, h, "operator", w), "A legal hold forbids this")
}

func TestR_G5_WhatCannotBeOrderedHasNoFormAndSaysWhy(t *testing.T) {
	s := newStory("Совершенно секретно", "y")
	h := s.serve(t)
	for id, want := range map[string]string{
		contract: "A legal hold stands. Until it is lifted nothing can be ordered.",
		letter:   "Nothing can be ordered now",
		lost:     "It has been ordered already",
	} {
		body := get(t, h, "operator", "/operator/documents/"+id+"/destruction", "en").Body.String()
		require.Contains(t, check(t, body), want)
		require.NotContains(t, body, `name="confirm"`)
	}
}

func TestR_O2_TheOperatorsPagesHaveNoTitlesAndAuditorsOrderNothing(t *testing.T) {
	s := newStory("Совершенно секретно", "y")
	h := s.serve(t)
	for _, address := range []string{"/operator/destructions?state=", "/operator/documents/" + deed, "/operator/documents/" + deed + "/destruction", "/operator/documents/" + lost} {
		body := get(t, h, "operator", address, "en").Body.String()
		for _, word := range []string{"екретно", "тайный", "тайная", "Тайна"} {
			require.NotContains(t, body, word, address)
		}
	}
	for _, address := range []string{"/operator/destructions", "/operator/documents/" + contract, "/operator/participants/" + aliya, "/operator/participants/" + shop} {
		w := get(t, h, "auditor", address, "en")
		require.Equal(t, 200, w.Code)
		require.NotContains(t, w.Body.String(), `method="post" action="/operator`, address)
		require.NotContains(t, w.Body.String(), "/destruction\"", address)
	}
	require.Equal(t, 403, get(t, h, "auditor", "/operator/documents/"+deed+"/destruction", "en").Code)
	require.Equal(t, 403, get(t, h, "participant", "/operator/destructions", "en").Code)
}

func TestR_G5_TheListOfWhatWaitsIsNarrowedAndLeadsToTheOrder(t *testing.T) {
	s := newStory("x", "y")
	h := s.serve(t)
	body := get(t, h, "operator", "/operator/destructions", "en").Body.String()
	require.Equal(t, projections.DestructionFilter{State: projections.DestructionWaiting}, s.asked, "what waits comes first")
	require.Contains(t, body, `href="/operator/documents/`+deed+`/destruction"`)
	require.Contains(t, body, `href="/operator/participants/`+aliya+`"`)
	require.Contains(t, body, `href="?after=further&amp;state=waiting"`)
	text := check(t, body)
	require.Contains(t, text, "Cannot be ordered yet")
	require.Contains(t, text, "Still to ask: АО «Алматы Құрылыс»")
	get(t, h, "operator", "/operator/destructions?state=&subject=document", "en")
	require.Equal(t, projections.DestructionFilter{Subject: projections.SubjectDocument}, s.asked)
	require.Equal(t, 400, get(t, h, "operator", "/operator/destructions?after=bad", "en").Code)
}

func TestR_G4_HoldsArePlacedAndLifted(t *testing.T) {
	s := newStory("x", "y")
	h := s.serve(t)
	address := "/operator/documents/" + contract
	body := get(t, h, "operator", address, "en").Body.String()
	require.Contains(t, body, `name="hold" value="hold-1"`)
	require.Contains(t, follow(t, h, "operator", post(t, h, "operator", address+"/hold", url.Values{"key": {"a"}, "reason": {"Claim 7\r\nof 2026"}})), "The hold stands")
	require.Contains(t, follow(t, h, "operator", post(t, h, "operator", address+"/lift", url.Values{"key": {"b"}, "hold": {"hold-1"}, "reason": {"settled"}})), "The hold is lifted")
	require.Equal(t, []string{"hold " + contract + " Claim 7\nof 2026", "lift " + contract + " hold-1 settled"}, s.acts)
	require.Equal(t, []string{"a", "b"}, s.keys)
	s.refuse = fault.New(fault.HoldUnknown, "no such hold")
	require.Contains(t, follow(t, h, "operator", post(t, h, "operator", address+"/lift", url.Values{"key": {"c"}, "hold": {"x"}, "reason": {"settled"}})), "No such legal hold")
	require.Equal(t, 400, post(t, h, "operator", address+"/hold", url.Values{"reason": {"x"}}).Code, "no key")
}

func TestR_B4_AParticipantsDataAreDestroyedOnItsRequestAndWithTheWord(t *testing.T) {
	s := newStory("x", "y")
	h := s.serve(t)
	waiting := "/operator/participants/" + aliya
	require.Contains(t, get(t, h, "operator", waiting, "en").Body.String(), "/api/v1/participants/"+aliya+"/erasure-request/letter")
	require.Equal(t, 400, post(t, h, "operator", waiting+"/erasure", url.Values{"key": {"k"}, "confirm": {"no"}}).Code)
	require.Empty(t, s.acts)
	require.Contains(t, follow(t, h, "operator", post(t, h, "operator", waiting+"/erasure", url.Values{"key": {"k"}, "confirm": {"DESTROY"}})), "The order of destruction is recorded")
	require.NotContains(t, get(t, h, "operator", "/operator/participants/"+astana, "en").Body.String(), `name="confirm"`, "it is held")
	w := official(t, h, "operator", "/operator/participants/"+shop+"/erasure-request", [][2]string{{"key", "k2"}, {"reason", "came by post"}}, "application/pdf", "%PDF")
	require.Contains(t, follow(t, h, "operator", w), "The participant's request is recorded")
	require.Equal(t, []string{"erase " + aliya, "erasure request " + shop + " came by post application/pdf %PDF"}, s.acts)
	require.Equal(t, 404, get(t, h, "operator", "/operator/participants/nobody", "en").Code)

	erased := s.names[almaty]
	erased.Name, erased.Status = "", projections.ParticipantErased
	s.names[almaty] = erased
	require.Contains(t, seen(t, s, "participant", "/documents/"+contract, "en"), "Data destroyed (22222222)")
	require.Contains(t, seen(t, s, "operator", "/operator/participants/"+almaty, "en"), "The participant's data were destroyed")
}

func TestR_B4_AParticipantAsksForTheDestructionOfItsOwnData(t *testing.T) {
	s := newStory("x", "y")
	h := s.serve(t)
	own := get(t, h, "participant", "/personal-data", "en").Body.String()
	text := check(t, own)
	require.Contains(t, text, "Request received")
	require.Contains(t, text, "A legal hold stands")
	require.NotContains(t, text, "Ground:", "a ground is for the operator")
	require.NotContains(t, own, "erasure-request", "neither the letter nor a second request")
	require.NotContains(t, own, `name="confirm"`)
	require.Contains(t, check(t, get(t, h, "almaty", "/personal-data", "en").Body.String()), "Before its order nothing is destroyed")
	w := official(t, h, "almaty", "/personal-data/erasure-request", [][2]string{{"key", "k"}, {"reason", "we leave"}}, "application/pdf", "%PDF")
	require.Contains(t, follow(t, h, "almaty", w), "Your request for destruction is recorded")
	require.Equal(t, []string{"erasure request " + almaty + " we leave application/pdf %PDF"}, s.acts)
	require.Equal(t, 403, get(t, h, "operator", "/personal-data", "en").Code)
}

func TestR_M3_AnybodyChecksANumber(t *testing.T) {
	s := newStory("Совершенно секретно", "ТОО «Астана»")
	h := s.serve(t)
	spaced := "4821 0093 4711 3025 8828"
	w := get(t, h, "", "/check?number="+url.QueryEscape(spaced), "en")
	require.Equal(t, http.StatusSeeOther, w.Code)
	require.Equal(t, "/check/"+deedNumber, w.Header().Get("Location"))
	for _, address := range []string{"/check/" + deedNumber, "/check/" + url.PathEscape(spaced)} {
		w = get(t, h, "", address, "en")
		require.Equal(t, 200, w.Code)
		require.Equal(t, "noindex, nofollow", w.Header().Get("X-Robots-Tag"))
		require.Contains(t, w.Body.String(), `<meta name="robots" content="noindex, nofollow">`)
		text := check(t, w.Body.String())
		require.Contains(t, text, "The document exists and its signatures stand")
		require.Contains(t, text, "1 signature, which stands")
		require.Contains(t, text, fileHash)
		for _, secret := range []string{"екретно", "Астана", "Алматы", deed, "тайный"} {
			require.NotContains(t, w.Body.String(), secret)
		}
	}
	require.Contains(t, seen(t, s, "", "/check/"+lostNumber, "en"), "The document existed and was destroyed")
	fallen := s.numbers[deedNumber]
	fallen.Headline, fallen.Forces = document.HeadlineLost, ledger.Forces{Signatures: 2, Lost: 1}
	s.numbers[deedNumber] = fallen
	text := seen(t, s, "", "/check/"+deedNumber, "en")
	require.Contains(t, text, "Signatures that lost their force: 1 of 2")
	require.Contains(t, text, "of these, lost their force: 1")
	fallen.Headline, fallen.Forces = document.HeadlineDoubt, ledger.Forces{Signatures: 2, Doubted: 1}
	s.numbers[deedNumber] = fallen
	text = seen(t, s, "", "/check/"+deedNumber, "en")
	require.Contains(t, text, "Signatures in doubt: 1 of 2")
	require.NotContains(t, text, "all stand", "one answer")
	fallen.Headline, fallen.Forces, fallen.Status = document.HeadlineRevoked, ledger.Forces{Signatures: 2}, "revoked"
	s.numbers[deedNumber] = fallen
	text = seen(t, s, "", "/check/"+deedNumber, "en")
	require.Contains(t, text, "completed and revoked afterwards")
	require.NotContains(t, text, "stand", "nothing of a revoked document is said to stand")

	w = get(t, h, "", "/check/"+unknownNumber, "en")
	require.Equal(t, 404, w.Code)
	require.Contains(t, check(t, w.Body.String()), "No document has this number")
	for _, typed := range []string{"48210093471130258829", "84210093471130258828", "1234", "abc", strings.Repeat("1", 5000)} {
		w = get(t, h, "", "/check?number="+typed, "en")
		require.Equal(t, 400, w.Code, typed)
		require.Contains(t, check(t, w.Body.String()), "The number is mistyped")
	}
	require.Equal(t, 200, get(t, h, "", "/check", "kk").Code)
}

func TestR_M3_TryingNumbersIsThrottled(t *testing.T) {
	h := newStory("x", "y").serve(t)
	for range 60 {
		require.Equal(t, 404, get(t, h, "", "/check/"+unknownNumber, "en").Code)
	}
	require.Equal(t, 429, get(t, h, "", "/check/"+unknownNumber, "en").Code)
	require.Equal(t, 429, get(t, h, "", "/check/"+deedNumber, "en").Code, "whatever the number")
	require.Equal(t, 200, get(t, h, "", "/check", "en").Code)
}
