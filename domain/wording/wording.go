// Package wording says which words that people typed may go into an event.
//
// An event is for good, so what cannot be read by a person years later, or
// reads as something else than it is, is refused before it is recorded:
// broken UTF-8, control characters, characters that nobody sees, marks that
// turn the direction of writing and so can make one name look like another.
//
// What only looks the same and comes from how a keyboard or a file system
// writes it is nobody's fault: [Tidy] writes it in the one form that is
// recorded. It is called where words come in; what has another form is refused
// by [Line] and [Prose].
//
// The errors say what is wrong and never repeat the words, which may be
// personal; the caller adds whose words they are and a code ([Refuse]).
package wording

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"dalel/internal/fault"
)

// Line checks words that stand on one line: a name, a position, a label. At
// least one character must be visible, and there may be limit characters
// (Unicode code points) at most.
func Line(text string, limit int) error { return check(text, limit, "") }

// Prose checks words that may run over several lines: a reason, a basis. It
// is [Line] with line feeds and tabs allowed.
func Prose(text string, limit int) error { return check(text, limit, "\n\t") }

// Tidy returns words in the form in which they are recorded: composed (Unicode
// NFC; macOS stores names of files decomposed), with plain spaces for the others
// that there are (macOS puts a narrow one before PM, word processors put
// non-breaking ones), and with a line feed for each end of line (forms send
// two characters). It changes nothing else, and text that is no UTF-8 not at all.
func Tidy(text string) string {
	if !utf8.ValidString(text) {
		return text
	}
	spaced := strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Zs, r) {
			return ' '
		}
		return r
	}, strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text))
	return norm.NFC.String(spaced)
}

// Refuse says what is wrong with words: what names them, code is the one for
// everything but a character, whose code is text.character.
func Refuse(code fault.Code, what string, err error) *fault.Error {
	var character *Character
	if errors.As(err, &character) {
		code = fault.TextCharacter
	}
	return fault.New(code, "%s %v", what, err)
}

// Character is the error of one that may not be recorded.
type Character struct {
	Rune rune
	// At is its place, from 1.
	At int
	// Mark says that it is a combining mark with nothing before it to stand on.
	Mark bool
}

// Error implements error.
func (c *Character) Error() string {
	if c.Mark {
		return fmt.Sprintf("has the combining mark %U at character %d, with no letter before it", c.Rune, c.At)
	}
	return fmt.Sprintf("has the character %U at character %d, which is not allowed here", c.Rune, c.At)
}

func check(text string, limit int, allowed string) error {
	if !utf8.ValidString(text) {
		return errors.New("is not valid UTF-8")
	}
	if utf8.RuneCountInString(text) > limit {
		return fmt.Errorf("is longer than %d characters", limit)
	}
	if err := characters(text, allowed); err != nil {
		return err
	}
	if strings.TrimSpace(text) == "" {
		return errors.New("is empty")
	}
	if !norm.NFC.IsNormalString(text) {
		return errors.New("is not in composed form (Unicode NFC)")
	}
	return nil
}

// Characters refuses, with a [*Character], a control character, a space other
// than the plain one, a character that nobody sees, and a combining mark with
// nothing before it. Invisible are those that Unicode says a program may show as
// nothing (Default_Ignorable_Code_Point) and those that are shown as blank.
// Allowed where they are part of how something is written are the joiners (in
// scripts that need them, and between the pictures of one emoji) and the
// variation selectors (behind a symbol, an ideograph, a Mongolian letter).
func Characters(text string) error {
	if err := characters(text, ""); err != nil {
		return err
	}
	return nil
}

func characters(text, allowed string) error {
	runes := []rune(text)
	for i, r := range runes {
		switch {
		case strings.ContainsRune(allowed, r), r == ' ':
		case unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Zs, unicode.Co, unicode.Noncharacter_Code_Point),
			hidden(r) && !needed(runes, i):
			return &Character{Rune: r, At: i + 1}
		case unicode.Is(unicode.M, r) && !hidden(r) && (i == 0 || !stands(runes[i-1])):
			return &Character{Rune: r, At: i + 1, Mark: true}
		}
	}
	return nil
}

// hidden reports whether a character is shown as nothing, or as blank.
func hidden(r rune) bool {
	switch r {
	case '\u2800', '\U0001d159': // a Braille cell without dots, a note without a head
		return true
	}
	return unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) &&
		!unicode.Is(unicode.Prepended_Concatenation_Mark, r)
}

// Seen returns text without the characters that nobody sees.
func Seen(text string) string {
	return strings.Map(func(r rune) rune {
		if hidden(r) {
			return -1
		}
		return r
	}, text)
}

// stands reports whether a combining mark may follow a character.
func stands(r rune) bool { return !unicode.IsSpace(r) && !unicode.IsControl(r) }

const (
	nonJoiner = '\u200c'
	joiner    = '\u200d'
	keycap    = '\u20e3'
)

// needed reports whether the hidden character at a place is part of how what
// stands around it is written.
func needed(runes []rune, i int) bool {
	if i == 0 {
		return false
	}
	before, r, after := runes[i-1], runes[i], rune(0)
	if i+1 < len(runes) {
		after = runes[i+1]
	}
	switch {
	case r == nonJoiner || r == joiner:
		if unicode.In(before, joining()...) && unicode.In(after, joining()...) {
			return true
		}
		return r == joiner && (pictorial(before) || before == '\ufe0f' && i > 1 && pictorial(runes[i-2])) && pictorial(after)
	case r == '\ufe0e' || r == '\ufe0f':
		return pictorial(before) || strings.ContainsRune("0123456789#*", before) && after == keycap
	case r >= '\ufe00' && r <= '\ufe0d' || r >= '\U000e0100' && r <= '\U000e01ef':
		return unicode.Is(unicode.Han, before)
	case r >= '\u180b' && r <= '\u180d' || r == '\u180f':
		return unicode.Is(unicode.Mongolian, before) && unicode.IsLetter(before)
	}
	return false
}

// pictorial reports whether a character is a symbol that has a form as an
// emoji. The signs of ASCII and of money have none.
func pictorial(r rune) bool {
	return r > unicode.MaxASCII && unicode.In(r, unicode.So, unicode.Sm, unicode.Sk, unicode.Po, unicode.Pd)
}

// joining are the scripts in which a joiner tells words apart.
func joining() []*unicode.RangeTable {
	return []*unicode.RangeTable{
		unicode.Arabic, unicode.Syriac, unicode.Mongolian, unicode.Devanagari, unicode.Bengali, unicode.Gurmukhi, unicode.Gujarati,
		unicode.Oriya, unicode.Tamil, unicode.Telugu, unicode.Kannada, unicode.Malayalam, unicode.Sinhala, unicode.Khmer,
	}
}
