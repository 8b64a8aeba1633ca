// Package wording says which words that people typed may go into an event.
//
// An event is for good, so what cannot be read by a person years later, or
// reads as something else than it is, is refused before it is recorded:
// broken UTF-8, control characters, and the marks that turn the direction of
// writing and so can make one name look like another (Unicode Bidi_Control).
//
// The errors say what is wrong and never repeat the words, which may be
// personal; the caller adds whose words they are and a code.
package wording

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Line checks words that stand on one line: a name, a position, a label. At
// least one character must be visible, and there may be limit characters
// (Unicode code points) at most.
func Line(text string, limit int) error { return check(text, limit, "") }

// Prose checks words that may run over several lines: a reason, a basis. It
// is [Line] with line feeds and tabs allowed.
func Prose(text string, limit int) error { return check(text, limit, "\n\t") }

func check(text string, limit int, allowed string) error {
	if !utf8.ValidString(text) {
		return errors.New("is not valid UTF-8")
	}
	if utf8.RuneCountInString(text) > limit {
		return fmt.Errorf("is longer than %d characters", limit)
	}
	visible := false
	for _, r := range text {
		switch {
		case strings.ContainsRune(allowed, r):
		case unicode.IsControl(r), unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control):
			return fmt.Errorf("has the character U+%04X, which is not allowed here", r)
		case !unicode.IsSpace(r) && !unicode.Is(unicode.Cf, r):
			visible = true
		}
	}
	if !visible {
		return errors.New("is empty")
	}
	return nil
}
