package report

import (
	"fmt"
	"sync"

	"codeberg.org/go-pdf/fpdf"
	"github.com/go-fonts/dejavu/dejavusanscondensed"
	"github.com/go-fonts/dejavu/dejavusanscondensedbold"
	"github.com/go-fonts/dejavu/dejavusansmono"
	"golang.org/x/image/font/sfnt"
)

// face is a font with what it can print.
type face struct {
	family, style string
	// ttf has the characters of repertoire and no others: fpdf reads a whole
	// font for each document, and most of DejaVu is mathematics and scripts
	// that no report of this country is in.
	ttf   []byte
	known map[rune]bool
}

// repertoire is what reports can print: Latin, Greek, Cyrillic with the Kazakh
// letters, punctuation, currencies, arrows. It belongs to the packet's format.
func repertoire() []rune {
	var all []rune
	for _, r := range [][2]rune{{0x20, 0x7e}, {0xa0, 0xac}, {0xae, 0x24f}, {0x2b0, 0x52f}, {0x1e00, 0x1eff}, {0x2010, 0x2027}, {0x2030, 0x205e},
		{0x2070, 0x209c}, {0x20a0, 0x20bf}, {0x2100, 0x214f}, {0x2190, 0x21ff}, {0x2200, 0x2265}, {0x25a0, 0x25ff}, {missing, missing}} {
		for c := r[0]; c <= r[1]; c++ {
			all = append(all, c)
		}
	}
	return all
}

// faces cuts the fonts once: nothing in them changes afterwards.
var faces = sync.OnceValues(func() ([]face, error) {
	list := []face{
		{family: "sans", ttf: dejavusanscondensed.TTF},
		{family: "sans", style: "B", ttf: dejavusanscondensedbold.TTF},
		{family: "mono", ttf: dejavusansmono.TTF},
	}
	for i, f := range list {
		font, err := sfnt.Parse(f.ttf)
		if err != nil {
			return nil, fmt.Errorf("read the report's font: %w", err)
		}
		var buffer sfnt.Buffer
		var cut []rune
		list[i].known = map[rune]bool{}
		for _, r := range repertoire() {
			if index, err := font.GlyphIndex(&buffer, r); err == nil && index != 0 && !unreadable(r) {
				list[i].known[r] = true
				cut = append(cut, r)
			}
		}
		// fpdf renumbers glyphs in the very bytes it is given.
		if list[i].ttf = fpdf.UTF8CutFont(append([]byte(nil), f.ttf...), string(cut)); len(list[i].ttf) == 0 {
			return nil, fmt.Errorf("the report's font %s%s cannot be cut", f.family, f.style)
		}
	}
	return list, nil
})
