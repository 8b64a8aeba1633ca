package fileformat

import (
	"bufio"
	"encoding/binary"
	"errors"
	stdjpeg "image/jpeg"
	"io"
	"runtime"

	"dalel/internal/fault"
)

const (
	// MaxImagePixels is the most pixels of an image: more than a sheet of A3
	// at 600 dots to the inch has (70 million).
	MaxImagePixels = 100_000_000
	// MaxImageBytes is the most memory that a program may need to show an
	// image: a sheet of A3 at 600 dpi needs 280 MB as a colour PNG.
	MaxImageBytes = 512 << 20
	// maxDecoded is the most memory that is spent here on decoding a JPEG: a
	// sheet of A3 at 600 dpi in colour needs 210 MB. A PNG needs a few rows.
	maxDecoded = 256 << 20

	// jpegScans is the most scans of a JPEG. A progressive one has about ten;
	// each can cost a walk over all of the image for a few bytes of file.
	jpegScans = 500
)

const errImageDamaged flaw = "its image does not decode: a part is missing or damaged"

// checkImageSize refuses what would take too much memory to decode.
func checkImageSize(width, height, bytes int64) error {
	switch {
	case width == 0 || height == 0:
		return flaw("its image has no pixels")
	case width > MaxImagePixels || height > MaxImagePixels || width*height > MaxImagePixels:
		return fault.New(fault.FileTooLarge, "an image has at most %d million pixels", MaxImagePixels/1_000_000)
	case bytes > MaxImageBytes:
		return fault.New(fault.FileTooLarge, "the image needs more than %d MiB of memory to be shown; save it with fewer pixels or colours", MaxImageBytes>>20)
	}
	return nil
}

// checkJPEG decodes a JPEG's first image; what cameras put behind it is not
// what anyone is shown.
func checkJPEG(f Format, file *source) error {
	inspector := &jpeg{}
	if _, err := io.Copy(io.Discard, &reader{content: file.section(0, file.size), format: f, inspector: inspector}); err != nil {
		return err
	}
	if inspector.behind.some {
		file.note(CautionTrailer)
	}
	h := inspector.header
	if len(h) < 6 || len(h) < 6+3*int(h[5]) && h[5] <= 4 {
		return errImageDamaged
	}
	if h[5] > 4 {
		return flaw("its image has more colour components than programs can show")
	}
	if inspector.scans > jpegScans {
		return flaw("its image is split into far more scans than images are")
	}
	height, width := int64(binary.BigEndian.Uint16(h[1:])), int64(binary.BigEndian.Uint16(h[3:]))
	memory := jpegMemory(h, width, height, inspector.scans)
	if err := checkImageSize(width, height, memory); err != nil {
		return err
	}
	if memory > maxDecoded {
		return fault.New(fault.FileTooLarge, "the image needs more than %d MiB of memory to be looked through; save it with fewer pixels or colours", maxDecoded>>20)
	}
	leave, err := decoding(file)
	if err != nil {
		return err
	}
	defer leave()
	_, err = stdjpeg.Decode(bufio.NewReader(file.section(0, file.size)))
	var unsupported stdjpeg.UnsupportedError
	if errors.As(err, &unsupported) {
		return flaw("it is written in a way of JPEG that few programs can show; save it again as an ordinary JPEG")
	}
	if err != nil {
		return errImageDamaged
	}
	return nil
}

// jpegMemory is what decoding takes: a byte for each sample; for a file of
// several scans four more, in which the coefficients are collected; and four
// for each pixel if its colours may have to be converted.
func jpegMemory(header []byte, width, height int64, scans int) int64 {
	samples, most := int64(0), int64(1)
	components := int(header[5])
	for i := range components {
		hv := header[6+3*i+1]
		each := int64(hv>>4) * int64(hv&15)
		samples, most = samples+each, max(most, each)
	}
	pixels := width * height
	bytes := pixels * samples / most
	if scans > 1 {
		bytes *= 5
	}
	if components == 4 || components == 3 && most == 1 {
		bytes += 4 * pixels
	}
	return bytes
}

// checkPNG decodes a PNG.
func checkPNG(f Format, file *source) error {
	if err := f.streamed(file); err != nil {
		return err
	}
	// The header is the first chunk, behind signature, length and type.
	header := make([]byte, 13)
	if _, err := file.ReadAt(header, 16); err != nil {
		return err
	}
	width, height := int64(binary.BigEndian.Uint32(header)), int64(binary.BigEndian.Uint32(header[4:]))
	pixel := int64(4)
	switch header[9] {
	case 0, 3: // grey, palette
		pixel = 1
	}
	if header[8] == 16 {
		pixel = 8
	}
	bytes := width * min(height, MaxImagePixels) * pixel
	if width > MaxImagePixels {
		bytes = 0 // refused for its pixels
	}
	if header[12] != 0 {
		bytes += bytes / 2 // interlaced: a pass is held beside the image
	}
	if err := checkImageSize(width, height, bytes); err != nil {
		return err
	}
	return checkPixels(file, header)
}

// images is the place for the one JPEG that is decoded at a time.
var images = make(chan struct{}, 1)

// decoding waits for the place among images. What the last one took is free
// again when the next begins.
func decoding(file *source) (leave func(), err error) {
	select {
	case images <- struct{}{}:
		return func() {
			runtime.GC()
			<-images
		}, nil
	case <-file.ctx.Done():
		file.failed = file.ctx.Err()
		return nil, file.failed
	}
}
