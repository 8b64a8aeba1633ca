package papercopy

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/image/font/sfnt"
)

// The text of a file is set in so many columns and lines of a sheet.
const (
	textColumns = 96
	textLines   = 63
	tabStop     = 8
)

// takeText sets UTF-8 text in pages of lines. A line that was broken to fit
// goes on after a mark.
func takeText(content []byte, limit int) (shown, error) {
	text := strings.TrimPrefix(string(content), "\ufeff")
	if !utf8.ValidString(text) {
		return shown{}, whyEncoding
	}
	result := shown{text: [][]string{nil}}
	line := make([]rune, 0, textColumns)
	full := func() bool {
		last := len(result.text) - 1
		if len(result.text[last]) < textLines {
			return false
		}
		if len(result.text) == limit {
			result.rest = true
			return true
		}
		result.text = append(result.text, make([]string, 0, textLines))
		return false
	}
	end := func() bool {
		if full() {
			return false
		}
		last := len(result.text) - 1
		result.text[last] = append(result.text[last], string(line))
		line = line[:0]
		return true
	}
	for at, r := range text {
		switch {
		case r == '\n':
			if !end() {
				return result, nil
			}
			continue
		case r == '\r':
			if strings.HasPrefix(text[at:], "\r\n") {
				continue
			}
			if !end() {
				return result, nil
			}
			continue
		case r == '\f':
			r = ' '
		}
		if len(line) >= textColumns {
			if !end() {
				return result, nil
			}
			line = append(line, '↪', ' ')
		}
		if r == '\t' {
			for next := min((len(line)/tabStop+1)*tabStop, textColumns); len(line) < next; {
				line = append(line, ' ')
			}
			continue
		}
		line = append(line, r)
	}
	if len(line) > 0 {
		end()
	}
	return result, nil
}

// missing is what stands for a character that cannot be printed.
const missing = '\ufffd'

// glyphs knows what a font has.
type glyphs struct {
	font   *sfnt.Font
	buffer sfnt.Buffer
	known  map[rune]bool
}

func newGlyphs(ttf []byte) (*glyphs, error) {
	font, err := sfnt.Parse(ttf)
	return &glyphs{font: font, known: map[rune]bool{}}, err
}

func (g *glyphs) has(r rune) bool {
	known, ok := g.known[r]
	if !ok {
		index, err := g.font.GlyphIndex(&g.buffer, r)
		// fpdf knows the basic plane alone. Marks that turn the direction of
		// writing would make a name read as another.
		known = err == nil && index != 0 && r <= 0xffff && !unicode.IsControl(r) && !unicode.Is(unicode.Cf, r)
		g.known[r] = known
	}
	return known
}

// clean returns text with a visible mark for each character that the font does
// not have, in one line; replaced says that there was any.
func (g *glyphs) clean(text string) (cleaned string, replaced bool) {
	cleaned = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			return ' '
		case r == '\u00ad': // a soft hyphen shows only where a line is broken
			return -1
		case !g.has(r):
			replaced = true
			return missing
		}
		return r
	}, text)
	return cleaned, replaced
}
