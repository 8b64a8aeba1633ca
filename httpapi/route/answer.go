package route

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzhttp"
	"github.com/labstack/echo/v4"
)

// IsRead reports whether a request asks for an answer and nothing else: GET,
// or HEAD, which is answered wherever GET is, without the body.
func IsRead(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }

// CompressedTag is what the tag of an answer ends with when it is sent
// compressed.
const CompressedTag = "-gzip"

// Send answers a read with whole content and its entity tag, or with 304 to a
// client that has it already.
func Send(c echo.Context, mediaType string, content []byte) error {
	Tag(c, content)
	if NotModified(c) {
		return nil
	}
	return c.Blob(http.StatusOK, mediaType, content)
}

// Tag sets the entity tag of whole content. A revision that is there already
// stays in front, so that the tag may be sent back in If-Match: the revision
// alone does not say all that an answer shows, since who has a right to sign,
// the time and notices change what is said of one revision.
func Tag(c echo.Context, content []byte) {
	sum := sha256.Sum256(content)
	short := hex.EncodeToString(sum[:12])
	header := c.Response().Header()
	if revision := strings.Trim(header.Get("ETag"), `"`); revision != "" {
		header.Set("ETag", strconv.Quote(revision+"-"+short))
		return
	}
	header.Set("ETag", strconv.Quote(short))
}

// NotModified answers 304 to a read whose If-None-Match names the answer's tag
// (RFC 9110, 13.1.2), and reports whether it did.
func NotModified(c echo.Context) bool {
	header := c.Response().Header()
	tag := header.Get("ETag")
	if tag == "" || !IsRead(c.Request()) {
		return false
	}
	known := strings.Split(strings.Join(c.Request().Header.Values("If-None-Match"), ","), ",")
	match := slices.IndexFunc(known, func(one string) bool {
		one = strings.TrimSpace(one)
		return one == "*" || opaque(one) == opaque(tag)
	})
	if match < 0 {
		return false
	}
	if sent := strings.TrimSpace(known[match]); sent != "*" {
		header.Set("ETag", sent)
	}
	for _, name := range []string{
		gzhttp.HeaderNoCompression, "Content-Type", "Content-Length", "Content-Disposition", "Repr-Digest", "Digest", "Accept-Ranges", "Link",
	} {
		header.Del(name)
	}
	c.Response().WriteHeader(http.StatusNotModified)
	return true
}

// opaque is a tag without what says that it is weak or of a compressed answer.
func opaque(tag string) string {
	return strings.TrimSuffix(strings.Trim(strings.TrimPrefix(tag, "W/"), `"`), CompressedTag)
}
