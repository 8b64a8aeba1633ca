package papercopy

import (
	"fmt"
	"image/color"
	"strings"

	"github.com/boombuler/barcode/qr"

	"dalel/internal/fault"
)

// quiet is the empty edge around a QR code, in modules (ISO/IEC 18004, 5.3.8).
const quiet = 4

// code is a QR code of error correction M: true is dark.
type code [][]bool

func encode(text string) (code, error) {
	encoded, err := qr.Encode(text, qr.M, qr.Auto)
	if err != nil {
		return nil, fault.Wrap(fault.DocumentInvalid, err, "make a QR code of the address of the check page")
	}
	bounds := encoded.Bounds()
	c := make(code, bounds.Dy())
	for y := range c {
		c[y] = make([]bool, bounds.Dx())
		for x := range c[y] {
			c[y][x] = color.GrayModel.Convert(encoded.At(bounds.Min.X+x, bounds.Min.Y+y)).(color.Gray).Y < 128
		}
	}
	return c, nil
}

// modules is how many modules the code has on a side, its quiet zone included.
func (c code) modules() int { return len(c) + 2*quiet }

// path draws the code, quiet zone included, into a square of side points whose
// lower left corner is at x, y: white below, and all dark modules as one path,
// so that no hair lines show between them.
func (c code) path(x, y, side float64) string {
	module := side / float64(c.modules())
	var out strings.Builder
	fmt.Fprintf(&out, "q 1 g %.3f %.3f %.3f %.3f re f 0 g\n", x, y, side, side)
	fmt.Fprintf(&out, "%.5f 0 0 %.5f %.3f %.3f cm\n", module, -module, x, y+side)
	for row, line := range c {
		for from := 0; from < len(line); from++ {
			to := from
			for to < len(line) && line[to] {
				to++
			}
			if to > from {
				fmt.Fprintf(&out, "%d %d %d 1 re\n", from+quiet, row+quiet, to-from)
				from = to
			}
		}
	}
	out.WriteString("f Q\n")
	return out.String()
}
