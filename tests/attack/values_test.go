package attack

import (
	"maps"
	"slices"
	"strings"
)

// texts are values that programs have stumbled over.
var texts = []string{
	"", "x", "ок", strings.Repeat("a", 301), strings.Repeat("я", 6000), "\x00", "\u202e", "\u2028", "\ufffe", "\U000e0001", "e\u0301",
	"\xed\xa0\x80", "\xff", "😀", "<script>alert(1)</script>", "' OR 1=1--", "../..", "..%2f", "%00", "%", "{{7*7}}", "${jndi:ldap://x}", "null", "true",
	"0", "-1", "1", strings.Repeat("9", 40), "1e309", "NaN", "2026-13-45", "2026-02-30", "2026-11-30T00:00:00Z", "9999-12-31T23:59:59Z",
	"0001-01-01T00:00:00Z", "-0001-01-01", "+05:00", " ", "\t", "\n", "\r\nX-Injected: 1", "operator", "system", "a/b", `"`, `\`, "\u00a0", "ᏀᏀ",
	"00000000-0000-0000-0000-000000000000", "2D4243C0-8B96-8611-8F90-D0B78ADC73E4",
}

// numbers are numbers as JSON writes them.
var numbers = []string{
	"0", "-0", "1", "-1", "2147483648", "9007199254740993", "9223372036854775807", "9223372036854775808", "18446744073709551616",
	"1e30", "-9223372036854775809", "1.5", "1e308", "1e-400", "60", "59", "31622400", "31622401",
}

// oddHeaders are headers with values that a server reads, good and bad.
var oddHeaders = map[string][]string{
	"If-Match":          {`"0"`, `"99"`, "0", "*", `W/"1"`, `""`, `"-1"`, `"18446744073709551616"`, `"1", "2"`},
	"If-None-Match":     {"*", `"1"`, `W/"1"`, "x", `"0", "1"`},
	"Dalel-Wait-For":    {"0", "1", "-1", "x", "99999999999999999999", "+1", ""},
	"Range":             {"bytes=0-", "bytes=0-0", "bytes=5-1", "bytes=-5", "bytes=999999999-", "bytes=0-1,3-4", "lines=1", "bytes=-0", "bytes=0-18446744073709551615"},
	"If-Range":          {`"x"`, `W/"x"`, "Mon, 02 Jan 2006 15:04:05 GMT"},
	"Last-Event-ID":     {"0", "-1", "x", "1", "9223372036854775807"},
	"Accept":            {"text/html", "application/xml", "*/*", "application/json;q=0", ";;;"},
	"Accept-Language":   {"kk", "ru", "xx", "*", strings.Repeat("en-US,en;q=0.5,", 50), "q=;;"},
	"Accept-Encoding":   {"gzip", "br", "identity;q=0", "gzip;q=0", "*"},
	"Content-Encoding":  {"gzip", "identity"},
	"Origin":            {"null", "https://evil.example"},
	"Sec-Fetch-Site":    {"cross-site", "same-origin", "none", "x"},
	"Cookie":            {"dalel_language=xx", "dalel_session=", "dalel_session=x", "=;=;", "__Host-dalel_session=x"},
	"X-Forwarded-For":   {"1.2.3.4", "::1", "x"},
	"X-Forwarded-Proto": {"https", "x"},
	"X-Request-Id":      {"x", "0d9a1a2e-6b39-4bb1-8f0a-3e0f4f3f0a10", strings.Repeat("a", 500), "a b", "ключ"},
	"Idempotency-Key":   {strings.Repeat("x", 129), "ключ", "a", " "},
	"Authorization":     {"Basic eDp4", "Bearer", "bearer  x", "Digest"},
	"Expect":            {"200-ok", "x"},
	"X-Long":            {strings.Repeat("l", 40_000)},
	"User-Agent":        {strings.Repeat("U", 5000), "\xff\xfe"},
}

var oddHeaderNames = slices.Sorted(maps.Keys(oddHeaders))

// forms are bodies of multipart/form-data with the boundary X.
var forms = []string{
	"--X\r\nContent-Disposition: form-data; name=\"reason\"\r\n\r\nwhy\r\n" +
		"--X\r\nContent-Disposition: form-data; name=\"letter\"; filename=\"l.pdf\"\r\nContent-Type: application/pdf\r\n\r\n" +
		string(pdf(nil)) + "\r\n--X--\r\n",
	"--X\r\n", "--X--", "", "--X\r\nContent-Disposition: form-data; name=\"letter\"\r\n\r\nx\r\n--X--",
	"--X\r\n" + strings.Repeat("A: b\r\n", 2000) + "\r\n\r\n--X--",
	"--X\r\nContent-Disposition: form-data; name=\"reason\"\r\n\r\n" + strings.Repeat("r", 100_000) + "\r\n--X--",
}

// files are contents of files and of certificates, good and bad.
var files = [][]byte{
	pdf(nil), pdf([]byte("/OpenAction << /S /JavaScript /JS (app.alert(1)) >>")), {}, []byte("hello\n"), []byte("a\x00b"),
	[]byte("PK\x03\x04" + strings.Repeat("\x00", 30)), []byte("<a/>"), []byte("<a><b></a>"), []byte("\x89PNG\r\n\x1a\n"),
	[]byte("%PDF-1.4\n"), []byte("\xff\xd8\xff\xe0"), []byte(strings.Repeat("\x30\x82", 100)), []byte("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"),
}
