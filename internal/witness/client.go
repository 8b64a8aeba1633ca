package witness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"dalel/internal/cosignature"
	"dalel/internal/fault"
)

// Prove returns the hashes of the consistency proof from the tree of oldSize
// leaves to the one of the checkpoint in question (RFC 6962, 2.1.2), which
// tlog.ProveTree makes. It is called with 0 < oldSize < the checkpoint's size.
type Prove func(ctx context.Context, oldSize uint64) ([]tlog.Hash, error)

// ClientOptions say which witness is asked and how.
type ClientOptions struct {
	// VKey is the witness's public key, URL its submission prefix: http or
	// https, without query.
	VKey, URL string
	// Timeout bounds one call of Cosign, with all its requests; 10 seconds
	// unless set.
	Timeout time.Duration
	// Proxy is used for all requests; none if nil, whatever the environment says.
	Proxy *url.URL
	// Transport is one of its own with time-outs unless set; Proxy is then its
	// business.
	Transport http.RoundTripper
	// Now is the clock; time.Now unless set.
	Now func() time.Time
}

const (
	defaultTimeout = 10 * time.Second
	// maxAnswer bounds what a witness may answer: several cosignatures.
	maxAnswer = 64 << 10
	// rounds is how often the witness may tell another size than it was asked
	// from. Two nodes of one log that ask at once need two.
	rounds = 4
)

// Client asks one witness about one log at a time. It may be used by many
// goroutines at once; make one with [NewClient].
type Client struct {
	verifier note.Verifier
	address  string
	client   *http.Client
	timeout  time.Duration
	now      clock

	mu     sync.Mutex
	origin string // of which seen is told
	seen   int64  // size that the witness is known to have cosigned last
}

// NewClient makes a client; it connects to nothing yet. Errors:
// witness.key-invalid, config.invalid for an address that cannot be one.
func NewClient(o ClientOptions) (*Client, error) {
	verifier, err := cosignature.ParseWitnessKey(o.VKey)
	if err != nil {
		return nil, err
	}
	base, err := url.Parse(o.URL)
	if err != nil || base.Host == "" || base.User != nil || base.RawQuery != "" || base.Fragment != "" || base.Scheme != "https" && base.Scheme != "http" {
		return nil, fault.New(fault.ConfigInvalid, "the address of the witness %s is written as https://host/path", verifier.Name())
	}
	c := &Client{
		verifier: verifier, address: base.JoinPath("add-checkpoint").String(),
		timeout: o.Timeout, now: o.Now,
	}
	if c.timeout <= 0 {
		c.timeout = defaultTimeout
	}
	if c.now == nil {
		c.now = time.Now
	}
	transport := o.Transport
	if transport == nil {
		own := &http.Transport{
			DialContext:            (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
			TLSHandshakeTimeout:    5 * time.Second,
			MaxResponseHeaderBytes: 16 << 10,
			IdleConnTimeout:        2 * time.Minute,
			MaxConnsPerHost:        4,
			ForceAttemptHTTP2:      true,
		}
		if o.Proxy != nil {
			own.Proxy = http.ProxyURL(o.Proxy)
		}
		transport = own
	}
	c.client = &http.Client{
		Transport: transport,
		// A checkpoint goes to the witness that was named or to nobody.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

// Name is the witness's name, as in its key.
func (c *Client) Name() string { return c.verifier.Name() }

// Cosign asks the witness to cosign a signed checkpoint and returns its
// signature line, newline and all, which has been verified over the
// checkpoint's text; append it to the checkpoint. The checkpoint's own
// signature is not looked at. prove is asked for a proof from the tree that
// the witness has cosigned last, which the client remembers or is told.
//
// Errors: checkpoint.invalid, the codes at the top of this package, and the
// context's. After witness.inconsistent and witness.ahead the witness holds
// something against this log, and it does not help to ask again.
func (c *Client) Cosign(ctx context.Context, checkpoint []byte, prove Prove) ([]byte, error) {
	text, err := cosignature.TextOf(checkpoint)
	if err != nil {
		return nil, err
	}
	next, err := cosignature.ParseCheckpoint(text)
	if err != nil {
		return nil, err
	}
	within, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	line, err := c.cosign(within, next, text, checkpoint, prove)
	if err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("ask the witness %s: %w", c.Name(), ctx.Err())
		}
		return nil, fmt.Errorf("ask the witness %s: %w", c.Name(), err)
	}
	return line, nil
}

func (c *Client) cosign(ctx context.Context, next cosignature.Checkpoint, text string, checkpoint []byte, prove Prove) ([]byte, error) {
	old := c.remembered(next.Origin)
	if old > next.Size {
		old = 0 // what we remember may be wrong; the witness says what it knows
	}
	for range rounds {
		var proof tlog.TreeProof
		if old > 0 && old < next.Size {
			var err error
			if proof, err = prove(ctx, uint64(old)); err != nil {
				return nil, fault.Wrap(NoProof, err, "prove that the tree of %d leaves is the beginning of that of %d", old, next.Size)
			}
		}
		status, header, body, err := c.post(ctx, cosignature.Request{OldSize: old, Proof: proof, Checkpoint: checkpoint}.Encode())
		if err != nil {
			return nil, err
		}
		switch status {
		case http.StatusOK:
			line, err := c.own(text, body)
			if err == nil {
				c.remember(next.Origin, next.Size)
			}
			return line, err
		case http.StatusConflict:
			told, err := cosignature.ParseSize(strings.TrimSuffix(string(body), "\n"))
			if err != nil || !bytes.HasSuffix(body, []byte("\n")) || !strings.HasPrefix(header.Get("Content-Type"), "text/x.tlog.size") {
				return nil, fault.New(Malformed, "it answered 409 without the size that it knows")
			}
			switch {
			case told > next.Size:
				return nil, fault.New(Ahead, "it has cosigned a tree of %d leaves already, and is asked about one of %d", told, next.Size)
			case told == old:
				return nil, fault.New(Malformed, "it was asked from %d leaves on and answers that it is at %d", old, told)
			}
			c.remember(next.Origin, told)
			old = told
		case http.StatusUnprocessableEntity:
			return nil, fault.New(Inconsistent, "the tree of %d leaves that it has cosigned is not the beginning of the one of %d, it says", old, next.Size)
		case http.StatusNotFound:
			return nil, fault.New(LogUnknown, "it does not watch a log of the origin %q", next.Origin)
		case http.StatusForbidden:
			return nil, fault.New(LogKeyRefused, "it knows no key that has signed the checkpoint")
		case http.StatusBadRequest, http.StatusRequestEntityTooLarge:
			return nil, fault.New(RequestRefused, "it could not read the request (status %d)", status)
		case http.StatusTooManyRequests, http.StatusServiceUnavailable:
			return nil, fault.New(Busy, "it asks to be asked later (status %d)", status)
		default:
			if status >= 500 {
				return nil, fault.New(Unreachable, "it answers with status %d", status)
			}
			return nil, fault.New(Malformed, "it answers with status %d", status)
		}
	}
	return nil, fault.New(Busy, "it was at another size each of %d times", rounds)
}

func (c *Client) post(ctx context.Context, body []byte) (status int, header http.Header, answer []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.address, bytes.NewReader(body))
	if err != nil {
		return 0, nil, nil, fault.Wrap(Unreachable, err, "it cannot be asked")
	}
	request.Header.Set("Content-Type", "text/plain; charset=utf-8")
	request.Header.Set("User-Agent", "dalel")
	response, err := c.client.Do(request)
	if err != nil {
		return 0, nil, nil, fault.Wrap(Unreachable, err, "it does not answer")
	}
	defer response.Body.Close() // it was only read
	answer, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return 0, nil, nil, fault.Wrap(Unreachable, err, "its answer was cut off")
	}
	if len(answer) > maxAnswer {
		return 0, nil, nil, fault.New(Malformed, "its answer has more than %d bytes", maxAnswer)
	}
	return response.StatusCode, response.Header, answer, nil
}

// own finds the witness's own line in an answer, and verifies it.
func (c *Client) own(text string, answer []byte) ([]byte, error) {
	n, err := note.Open(append([]byte(text+"\n"), answer...), note.VerifierList(c.verifier))
	var wrong *note.InvalidSignatureError
	var unverified *note.UnverifiedNoteError
	switch {
	case errors.As(err, &wrong):
		return nil, fault.New(WrongCosignature, "its cosignature does not verify")
	case errors.As(err, &unverified):
		return nil, fault.New(WrongCosignature, "no cosignature in its answer is by its key")
	case err != nil:
		return nil, fault.Wrap(Malformed, err, "its answer is not made of signature lines")
	case n.Text != text:
		return nil, fault.New(Malformed, "its answer changes the checkpoint")
	}
	at, err := cosignature.CosignedAt(n.Sigs[0])
	if err != nil {
		return nil, fault.Wrap(WrongCosignature, err, "its cosignature has no time")
	}
	if at.Unix() <= 0 || at.After(c.now().Add(cosignature.Ahead)) {
		return nil, fault.New(WrongCosignature, "its cosignature is of a time that cannot be")
	}
	return cosignature.LineOf(n.Sigs[0])
}

func (c *Client) remembered(origin string) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.origin != origin {
		return 0
	}
	return c.seen
}

func (c *Client) remember(origin string, size int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.origin, c.seen = origin, size
}
