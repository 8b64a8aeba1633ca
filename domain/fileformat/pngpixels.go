package fileformat

import (
	"bufio"
	"compress/zlib"
	"encoding/binary"
	"io"
	"slices"
)

// pngDepths are the bits of a sample that each colour type of PNG takes (ISO/IEC
// 15948, 11.2.2), pngSamples how many samples a pixel has.
var (
	pngDepths  = map[byte][]byte{0: {1, 2, 4, 8, 16}, 2: {8, 16}, 3: {1, 2, 4, 8}, 4: {8, 16}, 6: {8, 16}}
	pngSamples = map[byte]int64{0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
)

// pngPasses are the places of Adam7 (ISO/IEC 15948, 8.2): where a pass begins
// and how far its pixels lie apart.
var pngPasses = []struct{ x, y, dx, dy int64 }{
	{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4}, {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2},
}

// checkPixels unpacks all pixels of a PNG, a row at a time, and requires that
// they are there and no others. It has the 13 bytes of the image's header; the
// chunks and their checksums are known to be right.
func checkPixels(file *source, header []byte) error {
	width, height := int64(binary.BigEndian.Uint32(header)), int64(binary.BigEndian.Uint32(header[4:]))
	depth, colour := header[8], header[9]
	if !slices.Contains(pngDepths[colour], depth) || header[10] != 0 || header[11] != 0 || header[12] > 1 {
		return errImageDamaged
	}
	data := &pixelData{file: file, at: 8}
	pixels, err := zlib.NewReader(bufio.NewReader(data))
	if err != nil || colour == 3 && !data.palette {
		return errImageDamaged
	}
	bits := int64(depth) * pngSamples[colour]
	if header[12] == 0 {
		err = checkRows(file, pixels, width, height, bits)
	} else {
		for _, pass := range pngPasses {
			across, down := (width-pass.x+pass.dx-1)/pass.dx, (height-pass.y+pass.dy-1)/pass.dy
			if across <= 0 || down <= 0 {
				continue
			}
			if err = checkRows(file, pixels, across, down, bits); err != nil {
				break
			}
		}
	}
	if err != nil {
		return err
	}
	// Reading on also compares the checksum of all pixels.
	if n, err := pixels.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		return errImageDamaged
	}
	return nil
}

// checkRows reads the rows of a pass, each of which begins with its filter.
func checkRows(file *source, pixels io.Reader, width, height, bits int64) error {
	row := make([]byte, 1+(width*bits+7)/8)
	for range height {
		if err := file.ctx.Err(); err != nil {
			file.failed = err
			return err
		}
		if _, err := io.ReadFull(pixels, row); err != nil || row[0] > 4 {
			return errImageDamaged
		}
	}
	return nil
}

// pixelData reads what all IDAT chunks of a PNG hold.
type pixelData struct {
	file *source
	// at is where the next chunk begins, left how much of this one is unread.
	at, left int64
	palette  bool
	begun    bool
}

// Read implements io.Reader.
func (d *pixelData) Read(p []byte) (int, error) {
	for d.left == 0 {
		var head [8]byte
		if _, err := d.file.ReadAt(head[:], d.at); err != nil {
			return 0, err
		}
		length := int64(binary.BigEndian.Uint32(head[:]))
		switch name := string(head[4:]); {
		case name == "IDAT":
			d.begun, d.left = true, length
		case d.begun:
			return 0, io.EOF
		case name == "PLTE":
			d.palette = true
		}
		d.at += 8 + length + 4
	}
	// The chunk ends 4 bytes before the next begins.
	n, err := d.file.ReadAt(p[:min(int64(len(p)), d.left)], d.at-4-d.left)
	d.left -= int64(n)
	return n, err
}
