package authorities

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"dalel/internal/crl"
	"dalel/internal/gost/gostpki"
	"dalel/internal/ocsp"
	"dalel/internal/pki"

	"golang.org/x/sync/singleflight"
)

// Tolerance is how far the clocks of here and there may differ, MaxAge how long
// an OCSP answer without nextUpdate holds. They are those of a verdict.
const (
	Tolerance = 5 * time.Minute
	MaxAge    = time.Hour
)

// Defaults of [Config].
const (
	DefaultTimeout     = 10 * time.Second
	DefaultListTimeout = 2 * time.Minute
)

// Stamps is a time-stamping authority.
type Stamps struct {
	URL string
	// Policy is the OID of the policy to be stamped under; "" takes any.
	Policy string
}

// Issuer names services to be asked about an issuer's certificates in place of
// those that the certificates name. What is "" is taken from them.
type Issuer struct{ OCSP, CRL, Delta string }

// Config says whom to ask, and how. The zero value asks what certificates name,
// and has nothing stamped.
type Config struct {
	// Cache is the folder for lists; with "", one of the system's that goes with
	// Close.
	Cache string
	// Stamps are asked in this order, until one gives a token that proves
	// something.
	Stamps []Stamps
	// Issuers by the SHA-256 of the issuer's certificate, in lower-case hex.
	Issuers map[string]Issuer
	// Roots and Intermediates are those of the verdict: time tokens must lead to
	// them. Responders are trusted as they stand.
	Roots, Intermediates, Responders []*x509.Certificate
	// Algorithms that are known; nil means those of a verdict.
	Algorithms *pki.Algorithms
	// Version goes into the User-Agent.
	Version string
	// Proxy is used for all requests; none if nil.
	Proxy *url.URL
	// Timeout is for one request, ListTimeout for one of a list; 0 means the
	// defaults.
	Timeout, ListTimeout time.Duration
	// MaxPause bounds how long a failing service is left alone; 0 means
	// DefaultMaxPause.
	MaxPause time.Duration
	// MaxList is the largest list in bytes; 0 means crl.MaxSize, which is also
	// the most.
	MaxList int64
	// Random gives nonces; nil means crypto/rand.
	Random io.Reader
	// Clock says what time it is; nil means time.Now.
	Clock func() time.Time
	// Log is told of what fails; nil means slog.Default().
	Log *slog.Logger
}

// Client asks the services. It may be used from many goroutines.
type Client struct {
	config  Config
	http    *http.Client
	flights singleflight.Group
	gates   gates
	lists   lists

	ctx    context.Context // of all requests
	cancel context.CancelFunc

	mu      sync.Mutex // guards what follows
	closed  bool
	running sync.WaitGroup
	// declined are digests that a time-stamping authority does not take, by its
	// address and their OID.
	declined map[string]bool
}

// Open makes a client. The error is for the cache's folder, or for an address in
// the configuration that is none that is asked.
func Open(config Config) (*Client, error) {
	if config.Algorithms == nil {
		config.Algorithms = pki.Standard().With(gostpki.Algorithms())
	}
	if config.Timeout <= 0 {
		config.Timeout = DefaultTimeout
	}
	if config.ListTimeout <= 0 {
		config.ListTimeout = DefaultListTimeout
	}
	if config.MaxPause <= 0 {
		config.MaxPause = DefaultMaxPause
	}
	if config.MaxList <= 0 || config.MaxList > crl.MaxSize {
		config.MaxList = crl.MaxSize
	}
	if config.Random == nil {
		config.Random = rand.Reader
	}
	if config.Clock == nil {
		config.Clock = time.Now
	}
	if config.Log == nil {
		config.Log = slog.Default()
	}
	for _, stamps := range config.Stamps {
		if _, err := address(stamps.URL); err != nil {
			return nil, fmt.Errorf("the address %q of a time-stamping authority: %w", stamps.URL, err)
		}
	}
	for _, issuer := range config.Issuers {
		for _, text := range []string{issuer.OCSP, issuer.CRL, issuer.Delta} {
			if text == "" {
				continue
			}
			if _, err := address(text); err != nil {
				return nil, fmt.Errorf("the address %q of an issuer's service: %w", text, err)
			}
		}
	}
	c := &Client{config: config, declined: map[string]bool{}, gates: gates{longest: config.MaxPause}}
	transport := &http.Transport{
		Proxy:       nil, // not the environment's
		DialContext: (&net.Dialer{Timeout: config.Timeout}).DialContext, TLSHandshakeTimeout: config.Timeout,
		MaxResponseHeaderBytes: 64 << 10, MaxConnsPerHost: 16, MaxIdleConns: 16, MaxIdleConnsPerHost: 2,
		IdleConnTimeout: 30 * time.Second,
		// Sizes are then those on the wire, and no small answer unpacks to a big one.
		DisableCompression: true,
		ForceAttemptHTTP2:  true,
	}
	if config.Proxy != nil {
		transport.Proxy = http.ProxyURL(config.Proxy)
	}
	c.http = &http.Client{Transport: transport, CheckRedirect: redirect}
	if err := c.lists.open(config); err != nil {
		return nil, fmt.Errorf("open the cache of revocation lists: %w", err)
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c, nil
}

// Close ends all requests and waits for them.
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.cancel()
	c.running.Wait()
	c.http.CloseIdleConnections()
	if c.lists.temporary {
		return os.RemoveAll(c.lists.dir)
	}
	return nil
}

// once asks once for all who ask the same meanwhile. The request is not any
// caller's own: who leaves does not end it for the others.
func (c *Client) once(ctx context.Context, service, key string, ask func(ctx context.Context) ([][]byte, error)) ([][]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	result := c.flights.DoChan(service+" "+key, func() (any, error) {
		c.mu.Lock()
		if c.closed {
			c.mu.Unlock()
			return nil, &Error{Service: service, Code: Closed}
		}
		c.running.Add(1)
		c.mu.Unlock()
		defer c.running.Done()
		return ask(c.ctx)
	})
	select {
	case r := <-result:
		if r.Err != nil {
			return nil, r.Err
		}
		found, _ := r.Val.([][]byte)
		return found, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// each asks one address after the other until one gives an answer that is of
// use. The error is the last one.
func (c *Client) each(service string, addresses []string, ask func(address string) error) error {
	err := error(&Error{Service: service, Code: NoAddress})
	for i, text := range addresses {
		if i == maxAddresses {
			break
		}
		if err = ask(text); err == nil {
			return nil
		}
	}
	return err
}

// maxAddresses is how many services are asked the same.
const maxAddresses = 4

// exchange is one request with all that goes with it: the address is looked at,
// the service's gate is passed, and the log is told what went wrong.
func (c *Client) exchange(ctx context.Context, service, text string, timeout time.Duration, do func(ctx context.Context, to *url.URL) error) error {
	to, err := address(text)
	if err != nil {
		return c.report(err, service, "")
	}
	name := service + " " + strings.ToLower(to.Host)
	if !c.gates.enter(name, c.config.Clock()) {
		return &Error{Service: service, Host: to.Host, Code: Away}
	}
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err = do(bounded, to)
	failed := (*Error)(nil)
	if err != nil {
		failed = broken(err)
	}
	c.gates.leave(name, c.config.Clock(), failed != nil && failed.down, afterOf(failed))
	if failed == nil {
		return nil
	}
	return c.report(failed, service, to.Host)
}

func afterOf(e *Error) time.Duration {
	if e == nil {
		return 0
	}
	return e.after
}

func (c *Client) report(err error, service, host string) error {
	e := *broken(err)
	e.Service, e.Host = service, host
	if c.ctx.Err() == nil && !errors.Is(err, errDigest) { // it is asked again with another
		c.config.Log.Warn("an authority's service gave no evidence", "service", service, "host", host, "code", e.Code)
	}
	return &e
}

// address is one that may be asked.
func address(text string) (*url.URL, error) {
	const longest = 2048
	to, err := url.Parse(text)
	if err != nil || len(text) > longest || to.Scheme != "http" && to.Scheme != "https" || to.Hostname() == "" || to.User != nil || to.Opaque != "" {
		return nil, useless(AddressRefused, "not an http or https address")
	}
	to.Fragment = ""
	return to, nil
}

// redirect lets a service lead to another place of its own only.
func redirect(request *http.Request, via []*http.Request) error {
	const most = 3
	first, to := via[0], request.URL
	from := via[len(via)-1].URL
	upgrade := from.Scheme == "http" && to.Scheme == "https" && from.Port() == "" && to.Port() == ""
	switch {
	case len(via) > most,
		to.Scheme != "http" && to.Scheme != "https", to.User != nil,
		!strings.EqualFold(to.Hostname(), first.URL.Hostname()),
		to.Scheme != from.Scheme && !upgrade,
		to.Port() != from.Port(),
		request.Method != first.Method: // a question that would be lost on the way
		return useless(RedirectRefused, "")
	}
	return nil
}

// send sends a request and copies an answer of status 200, of at most limit bytes,
// into a writer. With validators in the header, 304 is an answer too.
func (c *Client) send(ctx context.Context, method string, to *url.URL, header http.Header, body []byte, limit int64, into io.Writer) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, to.String(), bytes.NewReader(body))
	if err != nil {
		return nil, useless(AddressRefused, "not an address")
	}
	for name, values := range header {
		request.Header[name] = values
	}
	request.Header.Set("User-Agent", c.userAgent())
	if method == http.MethodPost {
		// The question may be sent again when a kept connection was closed
		// meanwhile. (With no value the header is not sent.)
		request.Header["Idempotency-Key"] = nil
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, broken(err)
	}
	defer response.Body.Close() // what was read is judged by itself
	conditional := header.Get("If-None-Match") != "" || header.Get("If-Modified-Since") != ""
	if response.StatusCode == http.StatusNotModified && conditional {
		return response, nil
	}
	if code := response.StatusCode; code != http.StatusOK {
		e := useless(HTTPStatus, "%d", code)
		e.down = code >= 500 || code == http.StatusTooManyRequests
		e.after = retryAfter(response.Header.Get("Retry-After"), c.config.Clock())
		return nil, e
	}
	if response.ContentLength > limit {
		return nil, failing(TooLarge, "%d bytes, at most %d", response.ContentLength, limit)
	}
	n, err := io.Copy(into, io.LimitReader(response.Body, limit+1))
	switch {
	case err != nil:
		return nil, broken(err)
	case n > limit:
		return nil, failing(TooLarge, "more than %d bytes", limit)
	}
	return response, nil
}

// post sends a question and returns the answer.
func (c *Client) post(ctx context.Context, to *url.URL, kind, accept string, question []byte, limit int64) ([]byte, error) {
	var answer bytes.Buffer
	_, err := c.send(ctx, http.MethodPost, to, http.Header{"Content-Type": {kind}, "Accept": {accept}}, question, limit, &answer)
	return answer.Bytes(), err
}

func (c *Client) userAgent() string {
	if c.config.Version == "" {
		return "dalel"
	}
	return "dalel/" + c.config.Version
}

func retryAfter(text string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(text); err == nil && seconds > 0 {
		return time.Duration(min(seconds, 3600)) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return min(at.Sub(now), time.Hour)
	}
	return 0
}

func (c *Client) now() time.Time { return c.config.Clock().UTC() }

func fingerprint(certificate *x509.Certificate) string {
	sum := sha256.Sum256(certificate.Raw)
	return hex.EncodeToString(sum[:])
}

// nonce is n random bytes.
func (c *Client) nonce(n int) ([]byte, error) {
	made := make([]byte, n)
	if _, err := io.ReadFull(c.config.Random, made); err != nil {
		return nil, fmt.Errorf("make a nonce: %w", err)
	}
	return made, nil
}

// OCSP asks about a certificate and returns the OCSPResponse: one that says good,
// revoked or unknown, or one whose responder must still be vouched for by a list
// of the issuer. The bytes are shared with other callers and must not be changed.
func (c *Client) OCSP(ctx context.Context, certificate, issuer *x509.Certificate) ([]byte, error) {
	const service = "ocsp"
	if certificate == nil || issuer == nil {
		return nil, &Error{Service: service, Code: ocsp.QuestionIncomplete}
	}
	addresses := certificate.OCSPServer
	if own := c.config.Issuers[fingerprint(issuer)].OCSP; own != "" {
		addresses = []string{own}
	}
	found, err := c.once(ctx, service, fingerprint(issuer)+" "+fingerprint(certificate), func(ctx context.Context) ([][]byte, error) {
		var answer []byte
		err := c.each(service, addresses, func(text string) error {
			return c.exchange(ctx, service, text, c.config.Timeout, func(ctx context.Context, to *url.URL) (err error) {
				answer, err = c.askOCSP(ctx, to, certificate, issuer)
				return err
			})
		})
		return [][]byte{answer}, err
	})
	if err != nil {
		return nil, err
	}
	return found[0], nil
}

// nonceSize is what RFC 9654 wants.
const nonceSize = 32

func (c *Client) askOCSP(ctx context.Context, to *url.URL, certificate, issuer *x509.Certificate) ([]byte, error) {
	id, err := ocsp.NewCertID(c.config.Algorithms, pki.Identifier{OID: pki.OIDSHA256}, certificate.SerialNumber, issuer)
	if err != nil {
		return nil, useless(ocsp.AlgorithmUnsupported, "the issuer's key cannot be named")
	}
	question := ocsp.About(certificate, issuer)
	if question.Nonce, err = c.nonce(nonceSize); err != nil {
		return nil, err
	}
	request, err := ocsp.Request{IDs: []ocsp.CertID{id}, Nonce: question.Nonce}.Marshal()
	if err != nil {
		return nil, err
	}
	data, err := c.post(ctx, to, "application/ocsp-request", "application/ocsp-response", request, ocsp.MaxSize)
	if err != nil {
		return nil, err
	}
	question.At, question.Tolerance, question.MaxAge = c.now(), Tolerance, MaxAge
	question.NonceOptional, question.Responders = true, c.config.Responders
	answer := ocsp.Judge(data, c.config.Algorithms, question)
	switch answer.Code {
	case ocsp.TryLater, ocsp.InternalError:
		return nil, failing(answer.Code, "%s", answer.Detail)
	case ocsp.ResponderUnchecked:
		return data, nil // a list will say
	}
	if answer.Status == ocsp.Unreliable {
		return nil, useless(answer.Code, "%s", answer.Detail)
	}
	return data, nil
}
