package papercopy

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/go-fonts/dejavu/dejavusanscondensed"
	"github.com/stretchr/testify/require"

	"dalel/internal/wordstest"
)

func TestWords_areThereInEveryLanguage(t *testing.T) {
	part := regexp.MustCompile(`\{\w+\}`)
	parts := func(text string) []string {
		found := part.FindAllString(text, -1)
		slices.Sort(found)
		return found
	}
	russian, err := wordsOf("ru")
	require.NoError(t, err)
	cleaner, err := newGlyphs(dejavusanscondensed.TTF)
	require.NoError(t, err)
	for _, language := range languages() {
		w, err := wordsOf(language)
		require.NoError(t, err)
		require.Len(t, w, len(russian))
		for key, text := range w {
			require.NotEmpty(t, text, "%s in %s", key, language)
			require.Equal(t, parts(russian[key]), parts(text), "%s in %s has the same parts", key, language)
			_, replaced := cleaner.clean(text)
			require.Equal(t, key == "note.replaced" && !cleaner.has(missing), replaced, "%s in %s can be printed", key, language)
		}
		for _, reason := range reasons() {
			require.NotEmpty(t, w.say(string(reason)), language)
		}
		for _, status := range []SignatureStatus{Valid, Invalid, Unknown} {
			require.NotEmpty(t, w.say("verdict."+string(status)), language)
		}
	}
	rows := map[string]wordstest.Row{}
	for i, language := range languages() {
		w, err := wordsOf(language)
		require.NoError(t, err)
		for key, text := range w {
			row := rows[key]
			row[i] = []string{text}
			rows[key] = row
		}
	}
	wordstest.Check(t, rows, nil)
	used := map[string]bool{}
	for _, name := range []string{"sheet.go", "details.go", "papercopy.go"} {
		source, err := os.ReadFile(name)
		require.NoError(t, err)
		for _, match := range regexp.MustCompile(`"([a-z]+(?:\.[a-z]+)*)"`).FindAllStringSubmatch(string(source), -1) {
			used[match[1]] = true
		}
		for _, match := range regexp.MustCompile(`say\("([a-z.]+[a-z])"`).FindAllStringSubmatch(string(source), -1) {
			require.Contains(t, russian, match[1], "%s says it", name)
		}
	}
	for key := range russian {
		require.True(t, used[key] || key == "verdict.valid" || key == "verdict.invalid" || key == "verdict.unknown", "%s is never said", key)
	}
	_, err = wordsOf("tr")
	require.Error(t, err)
}
