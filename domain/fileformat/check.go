package fileformat

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"dalel/internal/fault"
)

// ScanBytes is the most bytes of a scan, that is of a JPEG or a PNG (R-D2,
// idocs: a scanned copy has at most 10 MB).
const ScanBytes = 10 << 20

// Check says whether content, size bytes that are at hand for random access,
// can be opened as what it is declared to be (R-D2). It asks all that
// [Format.Reader] asks and, beyond it, what cannot be asked of a file on its
// way:
//
//   - PDF: from startxref through every cross-reference table or stream to
//     the catalog and on to a first page; no password is needed to open it;
//   - JPEG and PNG: the image decodes completely, and has at most
//     [MaxImagePixels];
//   - Word, Excel, OpenDocument: every entry unpacks with the right checksum;
//     the parts that every program reads first are well-formed XML; the
//     package names itself as the type that was declared, with no macros and
//     no password;
//   - XML and text: what Format.Reader asks is all.
//
// What it returns without an error are the file's cautions, sorted, each once:
// what can make it look different later ([Caution]).
//
// Its errors are file.not-as-claimed with a sentence that holds nothing of
// the file's text; file.too-large where a limit of the format is passed;
// ctx's error; or the error of content itself, wrapped, which says nothing
// about the file. Everything runs in the caller's goroutine and looks at ctx
// with every read, at the latest after some 64 KiB, so that nothing stays
// behind when it returns.
//
// Memory is bounded whatever the file holds: less than 64 MiB, and for the one
// JPEG that is decoded at a time 256 MiB more. Work is bounded too: a few
// passes over the file, and for what unpacks a limit of its own.
func (f Format) Check(ctx context.Context, content io.ReaderAt, size int64) (cautions []Caution, err error) {
	if f.check == nil && !f.xml {
		return nil, fault.New(fault.FileInvalid, "no format was declared")
	}
	if f.MaxBytes > 0 && size > f.MaxBytes {
		return nil, fault.New(fault.FileTooLarge, "a %s has at most %d bytes", f.Title, f.MaxBytes)
	}
	if size <= 0 {
		return nil, f.refuse(errEmpty)
	}
	file := &source{ctx: ctx, content: content, size: size}
	defer func() {
		// The libraries that decode are not expected to panic. If one does,
		// the file is not taken, and it is told apart from a bad file.
		if cause := recover(); cause != nil {
			cautions, err = nil, fault.Wrap(fault.Internal, fmt.Errorf("panic: %v", cause), "check a %s", f.Title)
		}
	}()
	if err := f.verdict(file, f.checkAll(file)); err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(file.cautions)), nil
}

// checkAll returns nil, a flaw, a fault, or whatever came of a failed read.
func (f Format) checkAll(file *source) error {
	if err := file.ctx.Err(); err != nil {
		file.failed = err
		return err
	}
	if f.deep == nil {
		return f.streamed(file)
	}
	return f.deep(f, file)
}

// streamed asks what Format.Reader asks.
func (f Format) streamed(file *source) error {
	_, err := io.Copy(io.Discard, f.Reader(file.section(0, file.size)))
	return err
}

// verdict keeps failures to read apart from what was found: the libraries
// between wrap, replace and swallow errors as they like.
func (f Format) verdict(file *source, err error) error {
	if file.failed != nil {
		if ctxErr := file.ctx.Err(); ctxErr != nil && errors.Is(file.failed, ctxErr) {
			return ctxErr
		}
		return fmt.Errorf("read the file to be checked: %w", file.failed)
	}
	if err == nil {
		return file.ctx.Err()
	}
	var coded *fault.Error
	if errors.As(err, &coded) {
		return coded
	}
	var detail flaw
	if !errors.As(err, &detail) {
		detail = "its structure cannot be followed"
	}
	return f.refuse(detail)
}

// source is the file under the check. It notes the first failure of the file
// or the context.
type source struct {
	ctx     context.Context
	content io.ReaderAt
	size    int64
	failed  error
	// cautions are those found so far.
	cautions map[Caution]bool
}

// note adds a caution.
func (s *source) note(c Caution) {
	if s.cautions == nil {
		s.cautions = map[Caution]bool{}
	}
	s.cautions[c] = true
}

// sourceChunk is the most that is read without a look at the context.
const sourceChunk = 64 << 10

// ReadAt implements io.ReaderAt.
func (s *source) ReadAt(p []byte, at int64) (int, error) {
	done := 0
	for done < len(p) {
		if s.failed == nil {
			s.failed = s.ctx.Err()
		}
		if s.failed != nil {
			return done, s.failed
		}
		from := at + int64(done)
		if from < 0 || from >= s.size {
			return done, io.EOF
		}
		want := min(len(p)-done, sourceChunk)
		if rest := s.size - from; int64(want) > rest {
			want = int(rest)
		}
		n, err := s.content.ReadAt(p[done:done+want], from)
		done += n
		if n < want {
			if err == nil || err == io.EOF {
				// It is shorter than was said: not the file's fault.
				err = io.ErrUnexpectedEOF
			}
			s.failed = err
			return done, err
		}
	}
	return done, nil
}

// section reads n bytes from an offset on.
func (s *source) section(at, n int64) *io.SectionReader {
	return io.NewSectionReader(s, at, n)
}
