package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"dalel/internal/fault"
)

// Source is where a log's files are read, by their names in the tlog-tiles
// layout.
type Source interface {
	// Get returns a file of at most limit bytes. An error that is
	// fs.ErrNotExist means that it is not there, [ErrTooLarge] that it has
	// more bytes, and any other that it cannot be told.
	Get(ctx context.Context, name string, limit int64) ([]byte, error)
}

// ErrTooLarge means that a file has more bytes than it may.
var ErrTooLarge = errors.New("it has more bytes than it may")

// HTTPOptions say how a log is read over HTTP.
type HTTPOptions struct {
	// URL is the log's prefix: http or https, without query.
	URL string
	// Timeout bounds one request; 30 seconds unless set.
	Timeout time.Duration
	// Attempts is how often a request is made that fails without an answer or
	// with status 429 or 5xx; 3 unless set, Pause apart and twice that, which
	// is half a second unless set.
	Attempts int
	Pause    time.Duration
	// Proxy is used for all requests; none if nil, whatever the environment says:
	// what a log shows may depend on who asks.
	Proxy *url.URL
	// Transport is one of its own with time-outs unless set; Proxy is then its
	// business.
	Transport http.RoundTripper
}

type overHTTP struct {
	base   *url.URL
	client *http.Client
	o      HTTPOptions
}

// OverHTTP reads a log over HTTP, from the one place that is named: a redirect
// is an error. Errors: config.invalid.
func OverHTTP(o HTTPOptions) (Source, error) {
	base, err := url.Parse(o.URL)
	if err != nil || base.Host == "" || base.User != nil || base.RawQuery != "" || base.Fragment != "" || base.Scheme != "https" && base.Scheme != "http" {
		return nil, fault.New(fault.ConfigInvalid, "a log's address is written as https://host/path")
	}
	if o.Timeout <= 0 {
		o.Timeout = 30 * time.Second
	}
	if o.Attempts <= 0 {
		o.Attempts = 3
	}
	if o.Pause <= 0 {
		o.Pause = 500 * time.Millisecond
	}
	if o.Transport == nil {
		own := &http.Transport{
			DialContext:            (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
			TLSHandshakeTimeout:    10 * time.Second,
			ResponseHeaderTimeout:  o.Timeout,
			MaxResponseHeaderBytes: 16 << 10,
			IdleConnTimeout:        2 * time.Minute,
			MaxConnsPerHost:        2 * tilesAtOnce,
			MaxIdleConnsPerHost:    tilesAtOnce,
			ForceAttemptHTTP2:      true,
		}
		if o.Proxy != nil {
			own.Proxy = http.ProxyURL(o.Proxy)
		}
		o.Transport = own
	}
	return &overHTTP{base: base, o: o, client: &http.Client{
		Transport:     o.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Get implements [Source].
func (h *overHTTP) Get(ctx context.Context, name string, limit int64) (data []byte, err error) {
	pause := h.o.Pause
	for attempt := 1; ; attempt++ {
		again := false
		data, again, err = h.once(ctx, name, limit)
		if err == nil || !again || attempt >= h.o.Attempts {
			return data, err
		}
		if wait(ctx, pause) != nil {
			return nil, err
		}
		pause *= 2
	}
}

// once makes one request; again says that another may go better.
func (h *overHTTP) once(ctx context.Context, name string, limit int64) (data []byte, again bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, h.o.Timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, h.base.JoinPath(name).String(), nil)
	if err != nil {
		return nil, false, err
	}
	request.Header.Set("User-Agent", "dalel")
	if name == checkpointName {
		request.Header.Set("Cache-Control", "no-cache")
	}
	response, err := h.client.Do(request)
	if err != nil {
		return nil, true, err
	}
	defer response.Body.Close() // it was only read
	switch status := response.StatusCode; {
	case status == http.StatusNotFound || status == http.StatusGone:
		return nil, false, fmt.Errorf("%s: status %d: %w", name, status, fs.ErrNotExist)
	case status >= 300 && status < 400:
		return nil, false, fmt.Errorf("%s: it points elsewhere (status %d), and that is not followed", name, status)
	case status != http.StatusOK:
		return nil, status >= 500 || status == http.StatusTooManyRequests, fmt.Errorf("%s: status %d", name, status)
	}
	// The limit is on what comes out of a compressed answer, too.
	data, err = io.ReadAll(io.LimitReader(response.Body, limit+1))
	if err != nil {
		return nil, true, fmt.Errorf("%s: %w", name, err)
	}
	if int64(len(data)) > limit {
		return nil, false, fmt.Errorf("%s: %w", name, ErrTooLarge)
	}
	return data, false, nil
}

type inFolder string

// InFolder reads a copy of a log in a folder.
func InFolder(dir string) Source { return inFolder(dir) }

// Get implements [Source].
func (dir inFolder) Get(ctx context.Context, name string, limit int64) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	file, err := os.Open(filepath.Join(string(dir), filepath.FromSlash(name)))
	if err != nil {
		return nil, err
	}
	defer file.Close() // it was only read
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s: %w", name, ErrTooLarge)
	}
	return data, nil
}

// SourceOf reads the log at an address, by way of a proxy unless that is nil, or
// the copy in a folder if it is no address.
func SourceOf(place string, proxy *url.URL) (Source, error) {
	if strings.Contains(place, "://") {
		return OverHTTP(HTTPOptions{URL: place, Proxy: proxy})
	}
	info, err := os.Stat(place)
	if err != nil {
		return nil, fault.Wrap(fault.ConfigInvalid, err, "%q is neither an address nor a folder", place)
	}
	if !info.IsDir() {
		return nil, fault.New(fault.ConfigInvalid, "%q is neither an address nor a folder", place)
	}
	return InFolder(place), nil
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
