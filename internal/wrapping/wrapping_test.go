package wrapping_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"
	"unicode/utf16"

	"dalel/internal/casefiles"
	"dalel/internal/nucsamples"
	"dalel/internal/wrapping"

	"github.com/stretchr/testify/require"
)

// der is as long as a small CMS.
var der = append([]byte{0x30, 0x82, 0x01, 0x00}, bytes.Repeat([]byte{0x04, 0x80}, 128)...)

func base64Of(data []byte) string { return base64.StdEncoding.EncodeToString(data) }

func pemOf(label string, data []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: label, Bytes: data}))
}

func quoted(t testing.TB, text string) string {
	t.Helper()
	b, err := json.Marshal(text)
	require.NoError(t, err)
	return string(b)
}

func lines(text string, width int, end string) string {
	var b strings.Builder
	for len(text) > width {
		b.WriteString(text[:width] + end)
		text = text[width:]
	}
	return b.String() + text + end
}

// wide is a text in UTF-16 with a byte order mark.
func wide(text string, big bool) string {
	var b []byte
	for _, unit := range utf16.Encode([]rune("\ufeff" + text)) {
		if big {
			b = append(b, byte(unit>>8), byte(unit))
		} else {
			b = append(b, byte(unit), byte(unit>>8))
		}
	}
	return string(b)
}

// texts are the ways in which a CMS comes as a text.
func texts(t testing.TB) map[string]string {
	packed := base64Of(der)
	label := pemOf("CMS", der)
	return map[string]string{
		"base64":                           packed,
		"base64 in lines of 76":            lines(packed, 76, "\r\n"),
		"base64 with spaces":               " \t" + lines(packed, 10, " ") + "\n\n",
		"base64 with a BOM":                "\ufeff" + packed,
		"base64 in UTF-16":                 wide(packed, false),
		"PEM":                              label,
		"PEM with CRLF and a BOM":          "\ufeff" + strings.ReplaceAll(label, "\n", "\r\n"),
		"PEM, PKCS7":                       pemOf("PKCS7", der),
		"PEM with one line":                "-----BEGIN CMS-----\n" + packed + "\n-----END CMS-----",
		"PEM in one line":                  "-----BEGIN CMS----- " + packed + " -----END CMS-----",
		"PEM in UTF-16":                    wide(label, true),
		"PEM in base64":                    base64Of([]byte(label)),
		"base64 in base64":                 base64Of([]byte(packed)),
		"NCALayer's answer":                `{"status":true,"body":{"result":["` + packed + `"]}}`,
		"with PEM":                         `{"status":true,"body":{"result":[` + quoted(t, label) + `]}}`,
		"with a text":                      "\ufeff{ \"body\" : {\"result\":\"" + packed + "\"}, \"status\" : true }\r\n",
		"NCALayer's older answer":          `{"code":"200","responseObject":"` + packed + `"}`,
		"with a number and more":           `{"message":null,"code":200,"responseObject":` + quoted(t, lines(packed, 64, "\n")) + `,"uuid":"7"}`,
		"the result alone":                 `["` + packed + `"]`,
		"the text alone":                   quoted(t, label),
		"the answer in base64":             base64Of([]byte(`{"code":"200","responseObject":"` + packed + `"}`)),
		"a file in base64 as a JSON value": quoted(t, base64Of([]byte(label))),
	}
}

func TestR_E1_ACMSIsTakenOutOfWhatProgramsWrapItIn(t *testing.T) {
	for name, text := range texts(t) {
		content, err := wrapping.Open([]byte(text))
		require.NoError(t, err, name)
		require.Equal(t, wrapping.Content{Form: wrapping.CMS, Data: der}, content, name)
		require.True(t, wrapping.Might([]byte(text)[:64]), name)
	}
	content, err := wrapping.Open(der)
	require.NoError(t, err)
	require.Equal(t, wrapping.Content{Form: wrapping.CMS, Data: der}, content, "DER is returned as it is")
}

// Whoever asks after each piece of an upload pays for its beginning alone.
func TestWhetherAFileMightBeTakenIsToldByItsBeginning(t *testing.T) {
	large := []byte(wide(strings.Repeat(" ", 1<<20), false))
	allocated := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			wrapping.Might(large)
		}
	}).AllocedBytesPerOp()
	require.Less(t, allocated, int64(4096))
	for _, none := range []string{"", " ", "words", "\x00", "PK\x03\x04", "\x30\x03", "%PD", "GIF89a"} {
		require.False(t, wrapping.Might([]byte(none)), none)
	}
}

func TestR_C2_AnXMLDocumentIsTakenOutOfAnAnswer(t *testing.T) {
	xml := "<?xml version=\"1.0\"?>\n<a b='\"'>қол</a>"
	for name, text := range map[string]string{
		"as it is":  xml,
		"a text":    quoted(t, xml),
		"an answer": `{"code":"200","responseObject":` + quoted(t, xml) + `}`,
		"a list":    `{"status":true,"body":{"result":[` + quoted(t, xml) + `]}}`,
		"base64":    `{"status":true,"body":{"result":["` + base64Of([]byte(xml)) + `"]}}`,
	} {
		content, err := wrapping.Open([]byte(text))
		require.NoError(t, err, name)
		require.Equal(t, wrapping.Content{Form: wrapping.XML, Data: []byte(xml)}, content, name)
	}
	for name, text := range map[string]string{"after a BOM": "\ufeff <a/>", "in UTF-16": wide("<a/>", false)} {
		content, err := wrapping.Open([]byte(text))
		require.NoError(t, err, name)
		require.Equal(t, wrapping.XML, content.Form, name)
	}
	content, err := wrapping.Open([]byte(base64Of([]byte("%PDF-1.7"))))
	require.NoError(t, err)
	require.Equal(t, wrapping.PDF, content.Form)
}

func TestR_E1_WhatNCALayerSaysInsteadOfASignatureIsTold(t *testing.T) {
	for text, want := range map[string]error{
		`{"status":true,"body":{}}`:                                                 wrapping.ErrCancelled,
		`{"status":true,"body":null}`:                                               wrapping.ErrCancelled,
		`{"status":true}`:                                                           wrapping.ErrCancelled,
		`{"status":true,"body":{"result":null}}`:                                    wrapping.ErrCancelled,
		`{"code":"500","message":"action.canceled"}`:                                wrapping.ErrCancelled,
		`{"code":"500","responseObject":null,"message":"action.canceled"}`:          wrapping.ErrCancelled,
		`{"status":false,"code":"500","message":"storage.empty","details":"x"}`:     wrapping.ErrFailed,
		`{"code":"500","message":"` + strings.Repeat("ю", 1000) + `"}`:              wrapping.ErrFailed,
		`{"status":false}`:                                                          wrapping.ErrFailed,
		`{"status":true,"body":{"result":[]}}`:                                      wrapping.ErrMalformed,
		`{"status":true,"body":{"result":["` + base64Of(der) + `","MIIF"]}}`:        wrapping.ErrMalformed,
		`{"status":true,"body":{"result":[7]}}`:                                     wrapping.ErrMalformed,
		`{"status":true,"body":{"result":["` + base64Of([]byte("words")) + `?"]}}`:  wrapping.ErrMalformed,
		`{"status":true,"status":true,"body":{"result":["` + base64Of(der) + `"]}}`: wrapping.ErrMalformed,
		`{"code":"200"}`:                       wrapping.ErrMalformed,
		`{"result":{"version":"1.4"}}`:         wrapping.ErrMalformed,
		`{"a":1}`:                              wrapping.ErrMalformed,
		`{"code":`:                             wrapping.ErrMalformed,
		`["MIIF`:                               wrapping.ErrMalformed,
		"words and more words!":                wrapping.ErrMalformed,
		"":                                     wrapping.ErrMalformed,
		pemOf("CERTIFICATE", der):              wrapping.ErrMalformed,
		`"` + strings.Repeat(`\"`, 5000) + `"`: wrapping.ErrMalformed,
		strings.Repeat("[", 5000):              wrapping.ErrMalformed,
		quoted(t, quoted(t, quoted(t, quoted(t, quoted(t, base64Of(der)))))): wrapping.ErrMalformed,
	} {
		_, err := wrapping.Open([]byte(text))
		require.ErrorIs(t, err, want, text)
		require.Less(t, len(err.Error()), 700, text)
	}
	_, err := wrapping.Open([]byte(`{"status":false,"code":"500","message":"storage.empty"}`))
	require.ErrorContains(t, err, "storage.empty", "what NCALayer says is told")
}

func TestR_C1_ACertificateIsTakenOutOfPEMAndBase64(t *testing.T) {
	label, packed := pemOf("CERTIFICATE", der), base64Of(der)
	for name, text := range map[string]string{
		"DER": string(der), "PEM": label, "PEM with CRLF, a BOM and blank lines": "\ufeff\r\n" + strings.ReplaceAll(label, "\n", "\r\n") + "\r\n\r\n",
		"PEM after words": "subject=ИИН\n" + label, "PEM in one line": "-----BEGIN CERTIFICATE----- " + packed + " -----END CERTIFICATE-----",
		"base64": packed, "base64 in lines": lines(packed, 64, "\r\n"), "PEM in UTF-16": wide(label, false), "PEM and a zero": label + "\x00",
	} {
		got, err := wrapping.Certificate([]byte(text))
		require.NoError(t, err, name)
		require.Equal(t, der, got, name)
	}
	for name, text := range map[string]string{
		"nothing": "", "words": "no certificate", "two": label + label, "a key": pemOf("PRIVATE KEY", der), "a key beside it": pemOf("PRIVATE KEY", der) + label,
		"a cut block": label[:100], "something else in base64": base64Of([]byte("words")), "more behind it": label + "words",
	} {
		_, err := wrapping.Certificate([]byte(text))
		require.ErrorIs(t, err, wrapping.ErrMalformed, name)
	}
}

// The files of the national software that have a CMS in a text are taken.
func TestR_E1_SamplesAreTakenOutOfTheirWrappings(t *testing.T) {
	for _, path := range []string{"skarm-kalkan/CMS_for_double_sign.txt", "ncanode/CmsServiceTest.SIGNED_CMS.cms"} {
		content, err := wrapping.Open(nucsamples.Read(t, path))
		require.NoError(t, err, path)
		require.Equal(t, wrapping.CMS, content.Form, path)
	}
	for _, path := range []string{"ca-production/nca_gost_2022.pem", "skarm-kalkan/certs/root_test_gost_2022.cer"} {
		_, err := wrapping.Certificate(nucsamples.Read(t, path))
		require.NoError(t, err, path)
	}
	folder := casefiles.Folder(t, "DALEL_CASES", "cases")
	content, err := wrapping.Open(casefiles.Read(t, folder, "signatures", "2-crl-dropped", "sig.cms"))
	require.NoError(t, err)
	require.Equal(t, wrapping.CMS, content.Form)
}

func FuzzOpen(f *testing.F) {
	for _, text := range texts(f) {
		f.Add([]byte(text))
	}
	f.Add([]byte(`{"status":true,"body":{}}`))
	f.Add([]byte(`{"code":"500","message":"action.canceled"}`))
	f.Add([]byte(pemOf("CERTIFICATE", der)))
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		content, err := wrapping.Open(data)
		require.Equal(t, before, data, "opening changed its input")
		if err == nil {
			require.NotEmpty(t, content.Data)
			require.LessOrEqual(t, len(content.Data), len(data)*2)
			again, err := wrapping.Open(content.Data)
			if err == nil && content.Form != wrapping.CMS {
				require.Equal(t, content, again, "what came out needs no second opening")
			}
		}
		certificate, err := wrapping.Certificate(data)
		require.Equal(t, before, data)
		if err == nil {
			require.EqualValues(t, 0x30, certificate[0])
		}
	})
}
