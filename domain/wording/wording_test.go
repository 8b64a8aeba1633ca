package wording_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dalel/domain/wording"
)

func TestLineTakesNamesAsPeopleWriteThem(t *testing.T) {
	for _, name := range []string{
		"A", "Әлия Құрманғазықызы", `ТОО "Дәлел"`, "O'Brien-Smith, Jr.", strings.Repeat("Ң", 300),
		"نور", "Name\u00a0With\u00a0Space",
	} {
		require.NoError(t, wording.Line(name, 300), "%q", name)
	}
}

func TestLineRefusesWhatCannotBeReadLater(t *testing.T) {
	for text, want := range map[string]string{
		"":                       "is empty",
		" \u00a0":                "is empty",
		"\u200b":                 "is empty", // zero-width space
		"two\nlines":             "has the character U+000A, which is not allowed here",
		"nul\x00":                "has the character U+0000, which is not allowed here",
		"turned \u202eecnuoB":    "has the character U+202E, which is not allowed here",
		"line\u2028separator":    "has the character U+2028, which is not allowed here",
		"cut \xd0":               "is not valid UTF-8",
		strings.Repeat("Ң", 301): "is longer than 300 characters",
	} {
		require.EqualError(t, wording.Line(text, 300), want, "%q", text)
	}
}

func TestProseMayRunOverSeveralLines(t *testing.T) {
	require.NoError(t, wording.Prose("First.\n\tSecond.", 100))
	require.EqualError(t, wording.Prose("\n\t", 100), "is empty")
	require.EqualError(t, wording.Prose("bell\a", 100), "has the character U+0007, which is not allowed here")
}
