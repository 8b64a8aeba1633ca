package papercopy

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"

	"github.com/pdfcpu/pdfcpu/pkg/pdfcpu/types"
)

// picture is a page that shows an image of so many pixels, one to a point at
// most: the sheet makes it smaller, never larger.
func (w *writer) picture(stream types.StreamDict, width, height, orientation int) (shown, error) {
	stream.Dict["Type"], stream.Dict["Subtype"] = types.Name("XObject"), types.Name("Image")
	stream.Dict["Width"], stream.Dict["Height"] = types.Integer(width), types.Integer(height)
	number, err := w.put(stream)
	if err != nil {
		return shown{}, err
	}
	x, y := float64(width), float64(height)
	p := page{width: x, height: y, pixels: true, box: [4]float64{0, 0, x, y}, draws: []drawing{{number, matrix{x, 0, 0, y, 0, 0}}}}
	// The eight orientations of EXIF 2.3, 4.6.4: where the image's first row
	// and first column are seen.
	p.upright = [...]matrix{
		1: identity, 2: {-1, 0, 0, 1, x, 0}, 3: {-1, 0, 0, -1, x, y}, 4: {1, 0, 0, -1, 0, y},
		5: {0, -1, -1, 0, y, x}, 6: {0, -1, 1, 0, 0, x}, 7: {0, 1, 1, 0, 0, 0}, 8: {0, 1, -1, 0, y, 0},
	}[orientation]
	if orientation > 4 {
		p.width, p.height = y, x
	}
	return shown{pages: []page{p}}, nil
}

// takeJPEG keeps the JPEG's own bytes. It is decoded once, since half a
// picture would not show that the other half is missing.
func (w *writer) takeJPEG(content []byte) (shown, error) {
	config, err := jpeg.DecodeConfig(bytes.NewReader(content))
	if err != nil {
		return shown{}, whyDamaged
	}
	if tooMany(config) {
		return shown{}, whyPixels
	}
	if _, err := jpeg.Decode(bytes.NewReader(content)); err != nil {
		return shown{}, whyDamaged
	}
	entries := types.Dict{"Filter": types.Name("DCTDecode"), "BitsPerComponent": types.Integer(8)}
	switch config.ColorModel {
	case color.GrayModel:
		entries["ColorSpace"] = types.Name("DeviceGray")
	case color.CMYKModel:
		entries["ColorSpace"] = types.Name("DeviceCMYK")
		if adobe(content) {
			// Adobe's CMYK has 0 for full ink.
			entries["Decode"] = types.Array{types.Integer(1), types.Integer(0), types.Integer(1), types.Integer(0),
				types.Integer(1), types.Integer(0), types.Integer(1), types.Integer(0)}
		}
	default:
		entries["ColorSpace"] = types.Name("DeviceRGB")
	}
	return w.picture(types.StreamDict{Dict: entries, Raw: content}, config.Width, config.Height, orientation(content))
}

func tooMany(config image.Config) bool {
	return config.Width < 1 || config.Height < 1 || config.Width > MaxPixels/config.Height
}

// segments calls each for a JPEG's segments before the image itself, until it
// says false.
func segments(content []byte, each func(marker byte, data []byte) bool) {
	for at := 2; at+4 <= len(content) && content[at] == 0xff; {
		marker := content[at+1]
		length := int(binary.BigEndian.Uint16(content[at+2:]))
		if marker == 0xda || length < 2 || at+2+length > len(content) || !each(marker, content[at+4:at+2+length]) {
			return
		}
		at += 2 + length
	}
}

func adobe(content []byte) (found bool) {
	segments(content, func(marker byte, data []byte) bool {
		found = found || marker == 0xee && bytes.HasPrefix(data, []byte("Adobe"))
		return !found
	})
	return found
}

// orientation reads EXIF's orientation of a JPEG, 1 (as it is) for none.
func orientation(content []byte) int {
	value := 1
	segments(content, func(marker byte, data []byte) bool {
		tiff, ok := bytes.CutPrefix(data, []byte("Exif\x00\x00"))
		if marker != 0xe1 || !ok || len(tiff) < 8 {
			return true
		}
		var order binary.ByteOrder = binary.BigEndian
		if tiff[0] == 'I' {
			order = binary.LittleEndian
		}
		at := int64(order.Uint32(tiff[4:]))
		if at+2 > int64(len(tiff)) {
			return false
		}
		for range order.Uint16(tiff[at:]) {
			entry := at + 2
			if entry+12 > int64(len(tiff)) {
				return false
			}
			if order.Uint16(tiff[entry:]) == 0x0112 {
				if v := int(order.Uint16(tiff[entry+8:])); v >= 1 && v <= 8 {
					value = v
				}
				return false
			}
			at += 12
		}
		return false
	})
	return value
}

// takePNG sets the pixels anew, on white: paper has no other background.
func (w *writer) takePNG(content []byte) (shown, error) {
	config, err := png.DecodeConfig(bytes.NewReader(content))
	if err != nil {
		return shown{}, whyDamaged
	}
	if tooMany(config) {
		return shown{}, whyPixels
	}
	decoded, err := png.Decode(bytes.NewReader(content))
	if err != nil {
		return shown{}, whyDamaged
	}
	width, height := config.Width, config.Height
	entries := types.Dict{"BitsPerComponent": types.Integer(8), "ColorSpace": types.Name("DeviceRGB")}
	var pixels []byte
	if gray, ok := decoded.(*image.Gray); ok {
		entries["ColorSpace"] = types.Name("DeviceGray")
		pixels = make([]byte, 0, width*height)
		for y := range height {
			pixels = append(pixels, gray.Pix[y*gray.Stride:y*gray.Stride+width]...)
		}
	} else {
		pixels = make([]byte, 0, 3*width*height)
		for y := range height {
			for x := range width {
				r, g, b, a := decoded.At(x, y).RGBA()
				white := 0xffff - a
				pixels = append(pixels, byte((r+white)>>8), byte((g+white)>>8), byte((b+white)>>8))
			}
		}
	}
	stream, err := deflated(entries, pixels)
	if err != nil {
		return shown{}, err
	}
	return w.picture(stream, width, height, 1)
}
