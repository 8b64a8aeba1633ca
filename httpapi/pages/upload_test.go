package pages_test

import (
	"bytes"
	"context"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"dalel/domain/document"
	"dalel/domain/ledger"
	"dalel/domain/packet"
	"dalel/domain/signature"
	asked "dalel/httpapi/check"
	"dalel/internal/fault"

	"github.com/stretchr/testify/require"
)

// uploads answers what a test has put into it.
type uploads struct {
	file   asked.File
	packet asked.Packet
	refuse error
	got    string
}

func (u *uploads) Enter(string) (func(), error) {
	if fault.Is(u.refuse, fault.Throttled) {
		return nil, u.refuse
	}
	return func() {}, nil
}

func (u *uploads) Bounds() asked.Bounds {
	return asked.Bounds{File: 100 << 20, Packet: 64 << 20, Within: time.Minute}
}

func (u *uploads) take(from io.Reader) error {
	got, err := io.ReadAll(from)
	u.got = string(got)
	if err != nil {
		return err
	}
	return u.refuse
}

func (u *uploads) File(_ context.Context, from io.Reader) (asked.File, error) {
	return u.file, u.take(from)
}

func (u *uploads) Packet(_ context.Context, from io.Reader) (asked.Packet, error) {
	return u.packet, u.take(from)
}

// upload sends a form as a browser does.
func upload(h http.Handler, name, content, language string) *httptest.ResponseRecorder {
	return send(h, name, name, content, language)
}

// send is upload with the file in a field of any name.
func send(h http.Handler, name, field, content, language string) *httptest.ResponseRecorder {
	var form bytes.Buffer
	parts := multipart.NewWriter(&form)
	part, _ := parts.CreateFormFile(field, "Тайный договор.pdf")
	_, _ = io.WriteString(part, content)
	_ = parts.Close()
	r := httptest.NewRequest(http.MethodPost, "/check/"+name, &form)
	r.Header.Set("Content-Type", parts.FormDataContentType())
	r.Header.Set("Accept-Language", language)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func reason(code string) signature.Reason { return signature.Reason{Code: code, Detail: "in English"} }

// found is an answer with one document of each kind, and signatures inside.
func found() asked.File {
	revoked, by := at(50), at(3)
	standing := func(s ledger.FileStanding) asked.Document {
		s.SentAt, s.CompletedAt = at(2), at(9)
		return asked.Document{FileView: ledger.FileView{FileStanding: &s}}
	}
	one := standing(ledger.FileStanding{Number: deedNumber, Status: document.Complete, Headline: document.HeadlineSigned, Forces: ledger.Forces{Signatures: 2}})
	one.Log = &asked.Logged{Covered: true, Size: 1284}
	two := standing(ledger.FileStanding{Number: lostNumber, Status: document.Complete, Headline: document.HeadlineLost, Forces: ledger.Forces{Signatures: 3, Lost: 1}, Annulled: 1})
	two.Log = &asked.Logged{Size: 77}
	return asked.File{
		SHA256: fileHash, Size: 284513, More: true, Documents: []asked.Document{
			one, two, standing(ledger.FileStanding{Number: lostNumber, Status: document.Withdrawn, Headline: document.HeadlineRevoked, Forces: ledger.Forces{Signatures: 1}, RevokedAt: &revoked}),
			{FileView: ledger.FileView{Withheld: true}}, standing(ledger.FileStanding{Number: deedNumber, Status: document.Complete, Headline: document.HeadlineSigned}),
		},
		Inside: &asked.Inside{Form: asked.PDF, Status: signature.Unknown, StatusNow: signature.Invalid, At: at(100), Signers: []asked.Signer{
			{Subject: &asked.Subject{
				Name: "Секретова Сауле", Organization: "ТОО <Тест>", IIN: "123456789011", BIN: "123456789021", Role: signature.RoleHead, Serial: "0badc0de", Issuer: "CN=Test <CA>",
			}, Status: signature.Valid, Certificate: keyHash, Algorithm: "RSA-2048-SHA256", SignedBy: &by, Reasons: []signature.Reason{reason("time.trusted"), reason("revocation.good")}},
			{Status: signature.Unknown, Reasons: []signature.Reason{reason("certificate.missing")}},
		}},
	}
}

func verified() asked.Packet {
	return asked.Packet{
		SHA256: keyHash, Size: 4_000_000, Status: packet.Bad, Lost: 1, More: true,
		Claims: []packet.Claim{
			{ID: packet.ClaimArchive, Title: "in English", Holds: packet.Yes, Detail: "12 files"},
			{ID: packet.ClaimSeal, Holds: packet.NotAnchored, Detail: "in English"},
			{ID: packet.ClaimDocuments, Holds: packet.No}, {ID: "signature-01", Holds: packet.CannotTell}, {ID: "new-one", Title: "in English", Holds: packet.Yes},
		},
		Problems: []packet.Problem{{File: "document/<b>a&b</b>.pdf", Claim: packet.ClaimDocuments, Detail: "in English"}},
	}
}

func TestR_M3_ThePageTellsOfAFileInEveryLanguage(t *testing.T) {
	for language, want := range map[string][]string{
		"ru": {"Такой файл есть в 5 завершённых документах", "Документ существует. Его подписи действуют.", "Отозван", "уничтожается или уничтожен", "охватывает записей: 1284", "ещё не вошло", "Подписи в самом файле (PDF)", "Установить нельзя", "первый руководитель", "ИИН\n123456789011", "certificate.missing"},
		"kk": {"Мұндай файл аяқталған 5 құжатта бар", "Құжат бар. Оның қолтаңбалары күшінде.", "жойылуда немесе жойылған", "Файлдың өзіндегі қолтаңбалар (PDF)"},
		"en": {"5 completed documents have this file", "signatures stand", "of these, lost their force: 1", "annulled later, which leaves them standing: 1", "being destroyed or was", "events under its checkpoint: 1284", "not under a checkpoint yet", "The first 5 are shown", "Signatures in the file itself (PDF)", "Cannot tell", "now:", "Invalid", "RSA-2048-SHA256", keyHash, fileHash, "Секретова Сауле", "ТОО <Тест>", "IIN\n123456789011", "BIN\n123456789021", "head of the entity", "0badc0de", "CN=Test <CA>"},
	} {
		s := newStory("Тайный договор", "ТОО «Астана Логистик»")
		s.uploads.file = found()
		w := upload(s.serve(t), "file", "the bytes", language)
		require.Equal(t, 200, w.Code)
		require.Equal(t, "the bytes", s.uploads.got)
		require.NotContains(t, w.Body.String(), "⟦")
		require.Contains(t, w.Body.String(), `href="/check?lang=`)
		require.Less(t, w.Body.Len(), maxPage)
		text := check(t, w.Body.String())
		for _, part := range want {
			require.Contains(t, text, part)
		}
		for _, secret := range []string{"Тайный", "Астана", ".pdf"} {
			require.NotContains(t, text, secret, "not even the name that the browser sends along")
		}
	}
	s := newStory("x", "y")
	s.uploads.file = asked.File{SHA256: fileHash, Size: 1}
	text := check(t, upload(s.serve(t), "file", "x", "en").Body.String())
	require.Contains(t, text, "No completed document here has this file")
	require.NotContains(t, text, "Signature 1")
}

func TestR_M3_ThePageTellsOfAPacketClaimByClaim(t *testing.T) {
	for language, want := range map[string][]string{
		"ru": {"Пакет неверен", "dalel verify", "На каждом файле стоит печать оператора", "не от доверенного центра", "не установить", "Подпись 01 сделана"},
		"kk": {"Пакет дұрыс емес", "сенімді орталықтан емес", "анықталмайды"},
		"en": {"The packet does not hold", "not from a trusted authority", "cannot tell", "The seal is by a key that this ledger does not trust", "document/<b>a&b</b>.pdf", "The file is not the one that the events name", "Signatures that lost their force: 1", "A claim that this page does not know", "Each list shows 100 lines at most"},
	} {
		s := newStory("Тайный договор", "ТОО «Астана Логистик»")
		s.uploads.packet = verified()
		w := upload(s.serve(t), "packet", "PK", language)
		require.Equal(t, 200, w.Code)
		require.NotContains(t, w.Body.String(), "⟦")
		text := check(t, w.Body.String())
		for _, part := range want {
			require.Contains(t, text, part)
		}
		require.NotContains(t, text, "in English")
	}
}

func TestR_M3_WhatIsWrongWithAnUploadIsSaidBesideItsForm(t *testing.T) {
	for _, c := range []struct {
		name   string
		err    error
		status int
		want   string
	}{
		{"file", fault.New(fault.FileTooLarge, ""), 413, "larger than is checked here"},
		{"file", fault.New(fault.FileInvalid, ""), 400, "There is no file, or it is empty"},
		{"file", fault.New(fault.Throttled, ""), 429, "Wait a minute"},
		{"file", fault.New(fault.RequestCutOff, ""), 400, "Send the file again"},
		{"packet", fault.New(fault.RequestTooLarge, ""), 413, "larger than is checked here"},
		{"packet", fault.New(fault.PacketUnreadable, ""), 400, "This is no proof packet"},
	} {
		s := newStory("x", "y")
		s.uploads.refuse = c.err
		w := upload(s.serve(t), c.name, "x", "en")
		require.Equal(t, c.status, w.Code, c.want)
		require.Contains(t, check(t, w.Body.String()), c.want)
		require.Contains(t, w.Body.String(), `aria-invalid="true" aria-describedby="`+c.name+`-trouble `+c.name+`-hint" autofocus`)
		require.Equal(t, 1, strings.Count(w.Body.String(), "aria-invalid"), "the other forms are as they were")
	}
	// A failure of ours is an error page, and tells nothing.
	s := newStory("x", "y")
	s.uploads.refuse = fault.New(fault.LogDiverged, "at stream document-secret")
	w := upload(s.serve(t), "file", "x", "en")
	require.Equal(t, 500, w.Code)
	require.NotContains(t, w.Body.String(), "document-secret")

	// A form without the file, and what is no form.
	h := newStory("x", "y").serve(t)
	require.Contains(t, check(t, send(h, "file", "other", "x", "en").Body.String()), "There is no file")
	r := httptest.NewRequest(http.MethodPost, "/check/file", strings.NewReader("file=x"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, r)
	require.Equal(t, 415, answer.Code)
	for _, address := range []string{"/check/file", "/check/packet"} {
		back := get(t, h, "", address, "en")
		require.Equal(t, http.StatusSeeOther, back.Code)
		require.Equal(t, "/check", back.Header().Get("Location"))
	}
}
