package httpapi

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"

	"dalel/httpapi/route"
	"dalel/internal/fault"

	"github.com/labstack/echo/v4"
)

// part is the part of content that a request asks for.
type part struct {
	from, length int64
	whole        bool
}

// requestedPart reads Range and If-Range (RFC 9110, 14.2 and 13.1.5): one range
// of bytes, of content with this ETag. What it cannot read, or several ranges,
// or an If-Range that names other content, asks for all of it, as the RFC
// allows. A range that lies behind the end is request.range-invalid.
func requestedPart(r *http.Request, etag string, size int64) (part, error) {
	all := part{length: size, whole: true}
	ranges, ok := strings.CutPrefix(r.Header.Get("Range"), "bytes=")
	if match := r.Header.Get("If-Range"); !ok || r.Method != http.MethodGet || match != "" && match != etag {
		return all, nil
	}
	first, last, ok := strings.Cut(strings.TrimSpace(ranges), "-")
	number := func(text string) (int64, bool) {
		n, err := strconv.ParseUint(text, 10, 63)
		return int64(n), err == nil && !strings.HasPrefix(text, "+")
	}
	behind := fault.New(fault.RangeInvalid, "the content has %d bytes", size)
	if first == "" {
		count, valid := number(last)
		switch {
		case !ok || !valid:
			return all, nil
		case count == 0 || size == 0:
			return part{}, behind
		}
		count = min(count, size)
		return part{from: size - count, length: count}, nil
	}
	from, valid := number(first)
	if !ok || !valid {
		return all, nil
	}
	to := size - 1
	if last != "" {
		if to, valid = number(last); !valid || to < from {
			return all, nil
		}
		to = min(to, size-1)
	}
	if from >= size {
		return part{}, behind
	}
	return part{from: from, length: to - from + 1}, nil
}

// freePart is how much may be read besides a part that is asked for without
// counting as work.
const freePart = 1 << 20

// sendContent sends stored content, or the part of it that is asked for. Also
// for a part the whole is read, since only its end says that it is what was
// stored: the rest is skipped, and the connection is broken as in copyChecked.
// So a part costs the caller what the whole does, and few are read at once.
func (s *Server) sendContent(c echo.Context, caller route.Caller, hash, mediaType, name string, size int64, content io.Reader) error {
	header := c.Response().Header()
	describeContent(c, hash, mediaType, name, size)
	header.Set("Accept-Ranges", "bytes")
	if route.NotModified(c) {
		return nil
	}
	wanted, err := requestedPart(c.Request(), strconv.Quote(hash), size)
	if err != nil {
		header.Set("Content-Range", "bytes */"+strconv.FormatInt(size, 10))
		return err
	}
	if c.Request().Method == http.MethodHead {
		return copyChecked(c, http.StatusOK, nil)
	}
	if err := s.spend(c, caller, size); err != nil {
		return err
	}
	if size-wanted.length > freePart {
		leave, err := waitFor(c, s.places.parts, caller)
		if err != nil {
			return err
		}
		defer leave()
	}
	if wanted.whole {
		return copyChecked(c, http.StatusOK, content)
	}
	header.Set("Content-Length", strconv.FormatInt(wanted.length, 10))
	header.Set("Content-Range", "bytes "+strconv.FormatInt(wanted.from, 10)+"-"+
		strconv.FormatInt(wanted.from+wanted.length-1, 10)+"/"+strconv.FormatInt(size, 10))
	return copyChecked(c, http.StatusPartialContent, &window{
		ctx: c.Request().Context(), content: content, skip: wanted.from, left: wanted.length,
	})
}

// window is a part of content whose end says whether it is whole: it ends
// where the content has ended well, and not before.
type window struct {
	ctx        context.Context
	content    io.Reader
	skip, left int64
}

// Read implements io.Reader.
func (w *window) Read(p []byte) (int, error) {
	if w.skip > 0 {
		if err := w.discard(w.skip); err != nil {
			return 0, err
		}
		w.skip = 0
	}
	if w.left == 0 {
		if err := w.discard(-1); err != nil {
			return 0, err
		}
		return 0, io.EOF
	}
	n, err := w.content.Read(p[:min(int64(len(p)), w.left)])
	w.left -= int64(n)
	if err == io.EOF && w.left > 0 {
		err = short()
	}
	return n, err
}

// discard reads n bytes, or with -1 the rest, for as long as somebody waits
// for what comes behind them.
func (w *window) discard(n int64) error {
	for n != 0 {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		step := int64(1 << 20)
		if n > 0 {
			step = min(step, n)
		}
		read, err := io.CopyN(io.Discard, w.content, step)
		switch {
		case err == io.EOF && n < 0:
			return nil
		case err == io.EOF:
			return short()
		case err != nil:
			return err
		}
		if n > 0 {
			n -= read
		}
	}
	return nil
}

func short() error {
	return fault.New(fault.BlobCorrupt, "the content is shorter than its record says")
}
