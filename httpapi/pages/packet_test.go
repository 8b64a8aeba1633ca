package pages_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"regexp"
	"strings"
	"testing"
	"time"

	"dalel/domain/certificate"
	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/domain/ledger"
	"dalel/domain/packet"
	"dalel/domain/packet/packettest"
	asked "dalel/httpapi/check"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"
)

// nothing is a ledger without documents.
type nothing struct{}

func (nothing) CheckFile(context.Context, string, []string) ([]ledger.FileView, error) {
	return nil, nil
}

func (nothing) DocumentsWith(context.Context, string, int) ([]string, error) { return nil, nil }

// judged are the answers of the real check for packets of every outcome.
func judged(t *testing.T) map[string]asked.Packet {
	t.Helper()
	all := map[string]asked.Packet{}
	var documents []string
	judge := func(name string, l *packettest.Ledger, trust packet.Trust, changes ...string) {
		var packed bytes.Buffer
		request := l.Request()
		if len(documents) > 0 {
			request.Document, request.Documents = "", documents
		}
		_, err := packet.Export(t.Context(), &packed, request)
		require.NoError(t, err)
		content := packed.Bytes()
		for i := 0; i < len(changes); i += 2 {
			content = bytes.Replace(content, []byte(changes[i]), []byte(changes[i+1]), 1)
		}
		checker, err := asked.New(asked.Config{Ledger: nothing{}, Index: nothing{}, Trust: trust})
		require.NoError(t, err)
		all[name], err = checker.Packet(t.Context(), bytes.NewReader(content))
		require.NoError(t, err)
	}
	build := func() *packettest.Ledger {
		l, err := packettest.New(t.Context())
		require.NoError(t, err)
		return l
	}
	l := build()
	judge("good", l, l.Trust())
	judge("changed", l, l.Trust(), "A supplement to the contract.", "A supplement to the contrast.")
	judge("untrusted", l, packet.Trust{})
	judge("foreign", l, packet.Trust{Roots: []*x509.Certificate{l.Signers[packettest.Sender].Certificate}})
	print := l.Certificate(packettest.Sender)
	l.Append(certificate.StreamID(print), certificate.KeyCompromiseReported{
		Certificate: print, Participant: packettest.Sender, Notice: "n-1", Channel: certificate.ByPhone,
		ReceivedAt: l.Now(), CompromisedFrom: l.Now().AddDate(-1, 0, 0), Circumstances: "lost on a train",
	})
	judge("in doubt", l, l.Trust())
	l.Append(document.StreamID(packettest.Document), document.SignatureDecided{
		Document: packettest.Document, Signature: 1, Party: packettest.Sender, Certificate: print, Notices: []string{"n-1"}, By: event.By{Participant: "operator"},
		Ruling: document.RulingLost, Ground: "Акт № 5", DecidedAt: l.Now(),
	})
	judge("lost", l, l.Trust())
	l = build()
	require.NoError(t, l.Destroy("participant-"+packettest.Sender))
	judge("doubted", l, l.Trust())
	l = build()
	l.Back(19 * time.Hour)
	l.Append(document.StreamID(packettest.Document), document.ExemplarIssued{
		Document: packettest.Document, Party: packettest.Reader, By: event.By{Participant: packettest.Reader}, Exemplar: 1, IssuedAt: l.Now(),
	})
	judge("bad", l, l.Trust())
	l = build()
	require.NoError(t, l.KeepLog(t.Context()))
	size, err := l.Publish(t.Context())
	require.NoError(t, err)
	require.NoError(t, l.Cosign(size))
	require.NoError(t, l.Stamp(size, l.Now().Add(48*time.Hour)))
	judge("logged", l, l.Trust())
	judge("logged by a stranger", l, packet.Trust{})
	l = build()
	require.NoError(t, l.Next(t.Context(), packettest.Second, packettest.SecondNumber))
	documents = []string{packettest.Document, packettest.Second}
	judge("several", l, l.Trust())
	all["everything"] = everything()
	return all
}

// everything is an answer with every claim, kind of finding and limit that there is.
func everything() asked.Packet {
	const detail = "a sentence of the verifier in English"
	a := asked.Packet{
		SHA256: keyHash, Size: 1, Status: packet.Bad, Lost: 1, Doubted: 1, More: true,
		Lacks: []packet.Lack{packet.LackAnchors, packet.LackEvidence, packet.LackVersion},
	}
	for _, holds := range []packet.Answer{packet.No, packet.NotAnchored, packet.CannotTell} {
		for _, kind := range packet.Claims() {
			for _, folder := range []string{"", "0001/"} {
				claim := packet.Claim{ID: folder + kind + "-01", Title: detail, Detail: detail, Holds: holds}
				if kind != packet.ClaimSignature && kind != packet.ClaimTimestamp {
					claim.ID = folder + kind
				}
				a.Claims = append(a.Claims, claim)
			}
		}
	}
	for _, code := range append(packet.Against(), "newer") {
		a.Problems = append(a.Problems, packet.Problem{File: "a.txt", Claim: packet.ClaimEvents, Code: code, Detail: detail})
	}
	for _, code := range append(packet.Undecided(), "newer") {
		a.Doubts = append(a.Doubts, packet.Problem{File: "a.txt", Claim: packet.ClaimEvents, Code: code, Detail: detail})
	}
	for _, kind := range packet.LimitKinds() {
		a.Unproven = append(a.Unproven, packet.Limit{Kind: kind, Detail: detail, Seconds: 4000, Parts: 2, Witnesses: []string{"witness.test/w1"}})
	}
	return a
}

// answerTexts returns the texts of the answer on a page, without names and codes.
func answerTexts(t *testing.T, page string) []string {
	t.Helper()
	_, page, found := strings.Cut(page, `<section class="panel" aria-labelledby="answer">`)
	require.True(t, found)
	page, _, found = strings.Cut(page, "</section>")
	require.True(t, found)
	root, err := html.Parse(strings.NewReader(page))
	require.NoError(t, err)
	var texts []string
	var walk func(n *html.Node)
	walk = func(n *html.Node) {
		if n.Type == html.ElementNode && (n.Data == "code" || n.Data == "bdi") {
			return
		}
		if text := strings.TrimSpace(n.Data); n.Type == html.TextNode && text != "" {
			texts = append(texts, text)
		}
		for child := n.FirstChild; child != nil; child = child.NextSibling {
			walk(child)
		}
	}
	walk(root)
	return texts
}

func TestR_M3_ThePageOfAPacketSpeaksOneLanguageInEveryLine(t *testing.T) {
	latin, cyrillic := regexp.MustCompile(`\p{Latin}{2,}`), regexp.MustCompile(`\p{Cyrillic}`)
	said := regexp.MustCompile(`dalel verify|SHA-256|UTC\+5`)
	answers := judged(t)
	for name, status := range map[string]packet.Status{
		"good": packet.Good, "in doubt": packet.Good, "lost": packet.Good, "untrusted": packet.Untrusted, "foreign": packet.Untrusted,
		"doubted": packet.Untrusted, "bad": packet.Bad, "changed": packet.Bad,
		"logged": packet.Good, "logged by a stranger": packet.Untrusted, "several": packet.Good, "everything": packet.Bad,
	} {
		answer := answers[name]
		require.Equal(t, status, answer.Status, "%s: %+v", name, answer.Problems)
		lines := map[string][]string{}
		for _, language := range []string{"ru", "kk", "en"} {
			s := newStory("x", "y")
			s.uploads.packet = answer
			w := upload(s.serve(t), "packet", "PK", language)
			require.Equal(t, 200, w.Code)
			require.NotContains(t, w.Body.String(), "⟦")
			check(t, w.Body.String())
			texts := answerTexts(t, w.Body.String())
			require.NotEmpty(t, texts)
			for _, text := range texts {
				text = said.ReplaceAllString(text, "")
				if language == "en" {
					require.False(t, cyrillic.MatchString(text), "%s in English: %s", name, text)
				} else {
					require.False(t, latin.MatchString(text), "%s in %s: %s", name, language, text)
				}
			}
			for _, claim := range answer.Claims {
				if len(claim.Detail) > 20 {
					require.NotContains(t, w.Body.String(), claim.Detail, "%s in %s", name, language)
				}
			}
			for _, p := range answer.Problems {
				require.NotContains(t, w.Body.String(), p.Detail)
			}
			lines[language] = texts
		}
		require.Equal(t, len(lines["ru"]), len(lines["kk"]), "%s: every line is in each language", name)
		letters := regexp.MustCompile(`\p{L}{4,}`)
		for i, text := range lines["ru"] {
			if letters.MatchString(text) {
				require.NotEqual(t, text, lines["kk"][i], "%s: a line that is the same in Russian and Kazakh", name)
			}
		}
	}
}

func TestR_M3_ThePageOfAPacketSaysWhoSignedAndWhatIsNotProven(t *testing.T) {
	answers := judged(t)
	for name, want := range map[string][]string{
		"good": {
			"Пакет верен", "Кто подписал", "ТОО Test", "123456789021", "первый руководитель", "Подпись действует", "CN=Test issuing CA",
			"Чего эта проверка не доказывает", "Когда сделаны записи: время только по часам оператора", "журнала прозрачности в пакете нет",
		},
		"in doubt":  {"Пакет верен", "Подписей, которые оспариваются: 2", "Подпись оспаривается", "С какого времени"},
		"lost":      {"Подписей, утративших силу: 2", "Подпись утратила силу", "Решение оператора", "Акт № 5"},
		"untrusted": {"Установить нельзя", "которым этот реестр не доверяет", "Печать сделана ключом", "dalel verify"},
		"doubted":   {"Установить нельзя", "Не хватает сведений", "сравнить с регистрационным свидетельством нельзя", "Имя в этом пакете не раскрыто"},
		"logged":    {"Пакет верен", "Метка времени 01", "witness.test/w1", "раньше первого подтверждения"},
		"several":   {"Пакет верен", "Документ 0001. Подпись 01", "Документ 0002. Файлы документа байт в байт"},
		"changed":   {"Пакет неверен", "Не доказано: пакет в целом не подтверждён", "document/Supplement (1).txt", "файл изменён"},
		"bad":       {"Пакет неверен", "Время идёт назад", "events/0021-ExemplarIssued.json", "подробно, на английском языке"},
	} {
		s := newStory("x", "y")
		s.uploads.packet = answers[name]
		text := check(t, upload(s.serve(t), "packet", "PK", "ru").Body.String())
		for _, part := range want {
			require.Contains(t, text, part, name)
		}
		if answers[name].Status != packet.Good {
			require.NotContains(t, text, "Подпись действует", "%s: nothing stands by a packet that does not hold", name)
		}
	}
}
