package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"dalel/httpapi/route"

	"github.com/klauspost/compress/gzhttp"
	"github.com/labstack/echo/v4"
)

// jsonAnswers writes JSON: whole, and with an entity tag where it was read.
type jsonAnswers struct{ echo.DefaultJSONSerializer }

// Serialize implements echo.JSONSerializer.
func (jsonAnswers) Serialize(c echo.Context, value any, _ string) error {
	var encoded bytes.Buffer
	if err := json.NewEncoder(&encoded).Encode(value); err != nil {
		return fmt.Errorf("write an answer: %w", err)
	}
	if c.Response().Status == http.StatusOK && route.IsRead(c.Request()) {
		route.Tag(c, encoded.Bytes())
		if route.NotModified(c) {
			return nil
		}
	}
	_, err := c.Response().Write(encoded.Bytes())
	return err
}

// leastCompressed is the size from which an answer is compressed.
const leastCompressed = 1024

// compressible are the media types of text that is made here. A participant's
// file may have one of them, and is never compressed: see describeContent.
var compressible = []string{
	"application/json", problemType, "text/html", "text/css", "text/csv", "text/javascript", "image/svg+xml", "application/yaml", "text/plain",
}

// newCompression makes what compresses answers for clients that take gzip. Its
// random padding hides the length of an answer from whoever could make a
// browser ask for it with words of his own (BREACH); commands, which answer
// with tokens, are not compressed at all.
func newCompression() (func(http.Handler) http.HandlerFunc, error) {
	return gzhttp.NewWrapper(
		gzhttp.MinSize(leastCompressed), gzhttp.ContentTypes(compressible), gzhttp.EnableZstd(false),
		gzhttp.SuffixETag(route.CompressedTag), gzhttp.RandomJitter(64, 0, false),
	)
}

// compressed serves a read whose answer may be compressed.
func (s *Server) compressed(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		outer := c.Response()
		s.compress(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			inner := echo.NewResponse(w, s.echo)
			c.SetResponse(inner)
			defer func() {
				outer.Status, outer.Size, outer.Committed = inner.Status, inner.Size, inner.Committed
				c.SetResponse(outer)
			}()
			err = next(c)
		})).ServeHTTP(outer.Writer, c.Request())
		return err
	}
}

// register gives a row's handler to the router: a read that is no stream for
// HEAD too, unless the table has a row of its own for that.
func (s *Server) register(r route.Route, ownHead bool) {
	handler := s.serve(r)
	read := r.Method == http.MethodGet || r.Method == http.MethodHead
	if read && !r.Stream {
		handler = s.compressed(handler)
	}
	if r.Method == http.MethodGet && !r.Stream && !ownHead {
		s.echo.HEAD(r.Path, handler)
	}
	s.echo.Add(r.Method, r.Path, handler)
}

// asWhole says of an answer that is made only for GET what HEAD can say
// without making it, and reports whether that was asked.
func asWhole(c echo.Context, mediaType, name string) bool {
	if c.Request().Method != http.MethodHead {
		return false
	}
	c.Response().Header().Set("Content-Type", mediaType)
	c.Response().Header().Set("Content-Disposition", disposition(name))
	c.Response().WriteHeader(http.StatusOK)
	return true
}

// revisionOf cuts the revision from a tag as a command or a read gave it.
func revisionOf(tag string) string {
	revision, _, _ := strings.Cut(tag, "-")
	return revision
}
