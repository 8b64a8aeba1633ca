package authorities

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math/big"
	"net/url"

	"dalel/internal/pki"
	"dalel/internal/tsp"
)

// TimeToken has a message stamped by the first of the configured authorities that
// gives a token which proves something, and returns the token. The digest is used
// if it is known here and the authority takes it, else SHA-256. The bytes are
// shared with other callers and must not be changed.
func (c *Client) TimeToken(ctx context.Context, digest pki.Identifier, message []byte) ([]byte, error) {
	return c.stamp(ctx, "", c.config.Stamps, digest, message)
}

// TimeTokenBy has a message stamped by one authority, which need not be among the
// configured ones, and by no other; all else is as for TimeToken.
func (c *Client) TimeTokenBy(ctx context.Context, by Stamps, digest pki.Identifier, message []byte) ([]byte, error) {
	return c.stamp(ctx, by.URL+" "+by.Policy, []Stamps{by}, digest, message)
}

// stamp asks one authority after the other. key tells questions apart that are
// put to others.
func (c *Client) stamp(ctx context.Context, key string, authorities []Stamps, digest pki.Identifier, message []byte) ([]byte, error) {
	const service = "tsp"
	sum := sha256.Sum256(message)
	found, err := c.once(ctx, service, key+" "+digest.OID+" "+hex.EncodeToString(sum[:]), func(ctx context.Context) ([][]byte, error) {
		last := error(&Error{Service: service, Code: NoAddress})
		for _, stamps := range authorities {
			for _, by := range c.digests(stamps, digest) {
				var token []byte
				last = c.exchange(ctx, service, stamps.URL, c.config.Timeout, func(ctx context.Context, to *url.URL) (err error) {
					token, err = c.askStamp(ctx, to, stamps, by, message)
					return err
				})
				if last == nil {
					return [][]byte{token}, nil
				}
				if !errors.Is(last, errDigest) {
					break
				}
				c.mu.Lock()
				c.declined[stamps.URL+" "+by.OID] = true
				c.mu.Unlock()
			}
		}
		return nil, last
	})
	if err != nil {
		return nil, err
	}
	return found[0], nil
}

// errDigest means that an authority does not take the digest.
var errDigest = errors.New("the digest is not taken")

// digests are those to be tried, the wanted one first.
func (c *Client) digests(stamps Stamps, wanted pki.Identifier) []pki.Identifier {
	usual := pki.Identifier{OID: pki.OIDSHA256}
	c.mu.Lock()
	declined := c.declined[stamps.URL+" "+wanted.OID]
	c.mu.Unlock()
	if _, err := c.config.Algorithms.Digest(wanted); err != nil || declined || wanted.OID == usual.OID {
		return []pki.Identifier{usual}
	}
	return []pki.Identifier{wanted, usual}
}

func (c *Client) askStamp(ctx context.Context, to *url.URL, stamps Stamps, digest pki.Identifier, message []byte) ([]byte, error) {
	imprint, err := tsp.ImprintOf(c.config.Algorithms, digest, message)
	if err != nil {
		return nil, useless(tsp.AlgorithmUnsupported, "the digest is not known")
	}
	random, err := c.nonce(8)
	if err != nil {
		return nil, err
	}
	nonce := new(big.Int).SetBytes(random)
	request, err := tsp.Request{Imprint: imprint, Policy: stamps.Policy, Nonce: nonce, CertReq: true}.Marshal()
	if err != nil {
		return nil, err
	}
	data, err := c.post(ctx, to, "application/timestamp-query", "application/timestamp-reply", request, tsp.MaxSize)
	if err != nil {
		return nil, err
	}
	response, err := tsp.ParseResponse(data)
	switch {
	case errors.Is(err, tsp.ErrTooLarge):
		return nil, useless(tsp.TooLarge, "")
	case err != nil:
		return nil, useless(tsp.Unreadable, "")
	case response.Failure == tsp.BadAlgorithm && response.Token == nil:
		e := useless(Declined, "%s", response.Failure)
		e.cause = errDigest
		return nil, e
	case response.Token == nil:
		e := useless(Declined, "%s %s", response.Status, response.Failure)
		e.down = response.Failure == tsp.TimeNotAvailable || response.Failure == tsp.SystemFailure
		return nil, e
	}
	now := c.now()
	question := tsp.Question{
		Message: message, Imprint: &imprint, Nonce: nonce, At: now, Tolerance: Tolerance,
		Roots: c.config.Roots, Intermediates: c.config.Intermediates,
	}
	if stamps.Policy != "" {
		question.Policies = []string{stamps.Policy}
	}
	answer := tsp.Judge(response.Token, c.config.Algorithms, question)
	if answer.Status != tsp.Good {
		return nil, useless(answer.Code, "%s", answer.Detail)
	}
	// The nonce says that the token was made now; a time that is not now would
	// put the signature where it was not.
	if now.Sub(answer.Time) > Tolerance {
		return nil, useless(ClockOff, "stamped %s before now", now.Sub(answer.Time))
	}
	return response.Token, nil
}
