package wording_test

import (
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"

	"dalel/domain/wording"
	"dalel/internal/fault"
)

func TestLineTakesNamesAsPeopleWriteThem(t *testing.T) {
	for _, name := range []string{
		"A", "Әлия Құрманғазықызы", `ТОО "Дәлел"`, "O'Brien-Smith, Jr.", strings.Repeat("Ң", 300),
		"نور", "Name With Space", "Nguyễn Thị Ánh", "합의서", "契約書", "Б\u0301", // a stress on a letter that has no composed form
		"می\u200cخواهم", "क्\u200dष", "葛\U000e0100", "Done \u2714\ufe0f", "1\ufe0f\u20e3", "\U0001f468\u200d\U0001f469", "\u2764\ufe0f\u200d\U0001f525",
	} {
		require.NoError(t, wording.Line(name, 300), "%q", name)
	}
}

func TestLineRefusesWhatCannotBeReadLater(t *testing.T) {
	for text, want := range map[string]string{
		"":                       "is empty",
		"   ":                    "is empty",
		"cut \xd0":               "is not valid UTF-8",
		strings.Repeat("Ң", 301): "is longer than 300 characters",
		"и\u0306":                "is not in composed form (Unicode NFC)",
	} {
		require.EqualError(t, wording.Line(text, 300), want, "%q", text)
	}
}

func TestR_D1_ACharacterThatNobodySeesIsRefusedByNameAndPlace(t *testing.T) {
	for name, r := range map[string]rune{
		"zero-width space": '\u200b', "zero-width non-joiner": '\u200c', "zero-width joiner": '\u200d', "word joiner": '\u2060', "byte order mark": '\ufeff',
		"soft hyphen": '\u00ad', "grapheme joiner": '\u034f', "right-to-left override": '\u202e', "isolate": '\u2066', "left-to-right mark": '\u200e', "Arabic letter mark": '\u061c',
		"tag": '\U000e0041', "text form": '\ufe0e', "emoji form": '\ufe0f', "first selector": '\ufe00', "ideographic selector": '\U000e0100', "Mongolian selector": '\u180b',
		"Hangul filler": '\u3164', "half-width filler": '\uffa0', "choseong filler": '\u115f', "jungseong filler": '\u1160', "Braille blank": '\u2800',
		"Khmer vowel": '\u17b4', "musical control": '\U0001d173', "interlinear mark": '\ufff9', "invisible plus": '\u2064', "reserved ignorable": '\ufff0',
		"nul": 0, "line feed": '\n', "bell": '\a', "next line": '\u0085', "line separator": '\u2028', "private use": '\ue000', "no character": '\uffff',
		"non-breaking space": '\u00a0', "narrow space": '\u202f', "ideographic space": '\u3000',
	} {
		err := wording.Line("Ка\u0301"+string(r)+"т", 300)
		var character *wording.Character
		require.ErrorAs(t, err, &character, name)
		require.Equal(t, wording.Character{Rune: r, At: 4}, *character, name)
		refusal := wording.Refuse(fault.DocumentInvalid, "the title", err)
		require.Equal(t, fault.TextCharacter, refusal.Code, name)
	}
	require.Equal(t, "the title has the character U+200B at character 3, which is not allowed here",
		wording.Refuse(fault.DocumentInvalid, "the title", wording.Line("ab\u200bc", 300)).Detail)
	for _, lone := range []string{"\u0301a", "a \u0301", "\u20e3"} {
		require.ErrorContains(t, wording.Line(lone, 300), "combining mark", "%q", lone)
	}
	refusal := wording.Refuse(fault.DocumentInvalid, "the title", wording.Line("", 300))
	require.Equal(t, fault.DocumentInvalid, refusal.Code)
	require.Equal(t, "the title is empty", refusal.Detail)
}

func TestProseMayRunOverSeveralLines(t *testing.T) {
	require.NoError(t, wording.Prose("First.\n\tSecond.", 100))
	require.EqualError(t, wording.Prose("\n\t", 100), "is empty")
	require.ErrorContains(t, wording.Prose("bell\a", 100), "U+0007 at character 5")
	require.ErrorContains(t, wording.Prose("a\n\u0301", 100), "combining mark")
}

func TestTidyWritesWhatLooksTheSameInOneForm(t *testing.T) {
	for text, want := range map[string]string{
		"Счёт и\u0306":           "Счёт й",
		"9.03.11\u202fPM":        "9.03.11 PM",
		"Letter\u00a05":          "Letter 5",
		"a\u3000b\u2009c\u1680d": "a b c d",
		"one\r\ntwo":             "one\ntwo",
		"plain":                  "plain",
		"a\u200bb":               "a\u200bb",
		"broken\xff\u00a0":       "broken\xff\u00a0",
	} {
		require.Equal(t, want, wording.Tidy(text), "%q", text)
	}
}

func FuzzTidy(f *testing.F) {
	for _, text := range []string{"Счёт и\u0306", "\u00a0\u0301", "\u1100\u1161\u11a8", "a\u0323\u0307", "\u2126\u212b", "\r\n\r", "\r\r\n"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		tidy := wording.Tidy(text)
		require.Equal(t, tidy, wording.Tidy(tidy), "tidying twice changes nothing")
		if wording.Line(tidy, len(tidy)) != nil {
			return
		}
		for _, r := range tidy {
			require.True(t, r == ' ' || !unicode.IsSpace(r), "%q", tidy)
			require.False(t, unicode.IsControl(r), "%q", tidy)
		}
	})
}
