// Package wordstest holds the catalogues of words that people read to the rules
// that all of them share. Call [Check] from the test of each catalogue.
//
// A rule is about grammar (no ending on a placeholder in Kazakh, no name
// inflected in Russian), about terms that the law has a word for, or about what
// the ledger must never say: it states facts and judges nobody.
package wordstest

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Row is one message: its forms in Russian, Kazakh and English.
type Row [3][]string

var (
	// kazakhEnding is an ending, or a hyphen before one, on a placeholder: vowel
	// harmony makes it wrong for some of the values.
	kazakhEnding = regexp.MustCompile(`\}[-\p{L}]`)
	// kazakhPostposition governs the case of what stands before it.
	kazakhPostposition = regexp.MustCompile(`\} (дейін|бастап|атынан|үшін|туралы|аспайтын|кейін|бұрын)`)
	// inflected is a name where Russian would inflect it: not at the start of a
	// sentence and not after a label.
	inflected = regexp.MustCompile(`[\p{L},] \{(who|party|person|owner|participant)\}`)
)

// judgement lists words that decide guilt or validity in law.
func judgement() []string {
	return []string{
		"виновен", "виновн", "подделал", "подделк", "недействительн", "незаконн", "мошенн", "преступ",
		"кінәлі", "қолдан жаса", "заңсыз", "заңды емес", "алаяқ", "қылмыс",
		"guilty", "forged", "forger", "unlawful", "illegal", "fraud", "crime",
	}
}

// retired lists words that gave way to others, by language: those of the law on
// electronic documents, and units that people know.
func retired() [3][]string {
	return [3][]string{
		{"сертификат", "отпал", "опор", "номер отправителя", "киб", "миб", "гиб", "токен"},
		{"сертификат", "сенім тірек", "киб", "миб", "гиб", "токен", "кері қайтарыл", "кері қайтару"},
		{"signature fell", "signatures fell", "that fell", "trust anchor", "kib", "mib", "gib"},
	}
}

// Check holds a catalogue to the rules. Technical reports whether a key is shown
// only among technical details, where the trade's own words may stand.
func Check(t *testing.T, catalogue map[string]Row, technical func(key string) bool) {
	t.Helper()
	require.NotEmpty(t, catalogue)
	banned := retired()
	for key, row := range catalogue {
		for i, forms := range row {
			for _, form := range forms {
				lower := strings.ToLower(form)
				for _, word := range judgement() {
					require.NotContains(t, lower, word, "%s judges: %s", key, form)
				}
				if technical == nil || !technical(key) {
					for _, word := range banned[i] {
						require.NotContains(t, lower, word, "%s has a word that gave way to another: %s", key, form)
					}
				}
			}
		}
		for _, form := range row[0] {
			require.False(t, inflected.MatchString(form), "%s inflects a name in Russian: %s", key, form)
		}
		for _, form := range row[1] {
			require.False(t, kazakhEnding.MatchString(form), "%s has an ending on a placeholder in Kazakh: %s", key, form)
			require.False(t, kazakhPostposition.MatchString(form), "%s needs an ending on a placeholder in Kazakh: %s", key, form)
		}
	}
}
