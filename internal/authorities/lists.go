package authorities

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"dalel/internal/crl"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// When a list is asked for again.
const (
	// MinInterval is how long a list is not asked for again, whatever its
	// nextUpdate says and whatever came of it.
	MinInterval = time.Minute
	// MaxInterval is after how long it is asked for again although its nextUpdate
	// is far: an authority may publish sooner.
	MaxInterval = 6 * time.Hour
)

// CRLs returns the newest word of the issuer's lists that a certificate names: the
// full list, and with it the delta if one is named that adds to it. Both are
// current, and signed by the issuer. The bytes are shared with other callers and
// must not be changed.
func (c *Client) CRLs(ctx context.Context, certificate, issuer *x509.Certificate) ([][]byte, error) {
	const service = "crl"
	if certificate == nil || issuer == nil {
		return nil, &Error{Service: service, Code: crl.CertificateUnspecified}
	}
	full, deltas := certificate.CRLDistributionPoints, freshest(certificate)
	own := c.config.Issuers[fingerprint(issuer)]
	if own.CRL != "" {
		full = []string{own.CRL}
	}
	if own.Delta != "" {
		deltas = []string{own.Delta}
	}
	key := fingerprint(issuer) + "\n" + strings.Join(full, "\n") + "\n\n" + strings.Join(deltas, "\n")
	return c.once(ctx, service, key, func(ctx context.Context) ([][]byte, error) {
		return c.newest(ctx, issuer, full, deltas)
	})
}

// newest puts a full list and its delta together.
func (c *Client) newest(ctx context.Context, issuer *x509.Certificate, full, deltas []string) ([][]byte, error) {
	base, err := c.list(ctx, issuer, full, wanted{})
	if err != nil {
		return nil, err
	}
	if len(deltas) == 0 {
		return [][]byte{base.List().Raw()}, nil
	}
	delta, err := c.list(ctx, issuer, deltas, wanted{delta: true})
	if err != nil {
		return nil, err
	}
	if supersedes(base.List(), delta.List()) {
		return [][]byte{base.List().Raw()}, nil
	}
	if _, err = base.WithDelta(delta); err != nil {
		// The delta may be to a list that has come since.
		if base, err = c.list(ctx, issuer, full, wanted{anew: true}); err != nil {
			return nil, err
		}
		if supersedes(base.List(), delta.List()) {
			return [][]byte{base.List().Raw()}, nil
		}
		if _, err = base.WithDelta(delta); err != nil {
			return nil, c.report(problemOf(err), "crl", "")
		}
	}
	return [][]byte{base.List().Raw(), delta.List().Raw()}, nil
}

// supersedes says that a full list is at least as new as a delta, so that the
// delta has nothing to add.
func supersedes(full, delta *crl.List) bool {
	if delta.ThisUpdate.Before(full.ThisUpdate) {
		return true
	}
	oneSeries := delta.Number != nil && delta.Base != nil && delta.Number.Cmp(delta.Base) > 0
	return oneSeries && full.Number != nil && full.Number.Cmp(delta.Number) >= 0
}

func problemOf(err error) *Error {
	var problem *crl.Problem
	switch {
	case errors.As(err, &problem):
		return useless(problem.Code, "%s", problem.Detail)
	case errors.Is(err, crl.ErrTooLarge):
		return useless(crl.TooLarge, "")
	}
	return useless(crl.Unreadable, "")
}

// wanted says which list it is to be.
type wanted struct {
	delta bool
	// anew asks even before the next one is due.
	anew bool
}

// list returns a list from the first of the addresses that gives a good one.
func (c *Client) list(ctx context.Context, issuer *x509.Certificate, addresses []string, want wanted) (*crl.Verified, error) {
	var found *crl.Verified
	err := c.each("crl", addresses, func(text string) (err error) {
		found, err = c.listFrom(ctx, issuer, text, want)
		return err
	})
	return found, err
}

// listFrom returns the list of one address: that of the cache as long as no newer
// one is due, or as none can be had and it still holds.
func (c *Client) listFrom(ctx context.Context, issuer *x509.Certificate, text string, want wanted) (*crl.Verified, error) {
	kind := "full"
	if want.delta {
		kind = "delta"
	}
	sum := sha256.Sum256([]byte(kind + "\n" + fingerprint(issuer) + "\n" + text))
	name := hex.EncodeToString(sum[:])
	// One at a time: two certificates may name the same list in different ways.
	defer c.lists.own(name)()
	now := c.now()
	kept := c.kept(name, issuer, want)
	holds := kept != nil && current(kept.verified.List(), now) == nil
	asked := c.lists.askedAt(name)
	if kept != nil && kept.checked.After(asked) {
		asked = kept.checked
	}
	due := asked.Add(MinInterval)
	if holds && !want.anew {
		due = kept.due()
	}
	// A clock that was put back does not keep a list for ever.
	if now.Before(due) && !asked.After(now.Add(Tolerance)) {
		if holds {
			return kept.verified, nil
		}
		return nil, &Error{Service: "crl", Host: hostOf(text), Code: ListAsked}
	}
	var fetched *keptList
	c.lists.noteAsked(name, now)
	err := c.exchange(ctx, "crl", text, c.config.ListTimeout, func(ctx context.Context, to *url.URL) (err error) {
		fetched, err = c.fetch(ctx, to, name, issuer, want, kept)
		return err
	})
	if err == nil {
		return fetched.verified, nil
	}
	if e := (*Error)(nil); errors.As(err, &e) && (e.down || e.Code == Away) {
		c.lists.forgetAsked(name) // its gate knows when to try again
	}
	if holds {
		return kept.verified, nil
	}
	return nil, err
}

func hostOf(text string) string {
	if to, err := address(text); err == nil {
		return to.Host
	}
	return ""
}

// kept is the list of the cache, nil if there is none that can be used.
func (c *Client) kept(name string, issuer *x509.Certificate, want wanted) *keptList {
	kept, err := c.lists.read(name)
	if err == nil && kept == nil {
		return nil
	}
	if err == nil && kept.verified == nil {
		kept.verified, err = c.verify(kept.der, issuer, want)
	}
	if err != nil {
		// Whatever has happened to it: it is not what was written here.
		c.config.Log.Error("a revocation list in the cache is broken and was thrown away", "file", name+listEnding, "code", codeOr(err, CacheFailed))
		c.lists.remove(name)
		return nil
	}
	c.lists.remember(name, kept)
	return kept
}

func codeOr(err error, code string) string {
	if known := CodeOf(err); known != "" {
		return known
	}
	return code
}

// verify reads a list and checks that it is the issuer's, and of the kind that is
// wanted.
func (c *Client) verify(der []byte, issuer *x509.Certificate, want wanted) (*crl.Verified, error) {
	parsed, err := crl.Parse(der)
	if err != nil {
		return nil, problemOf(err)
	}
	verified, err := crl.Verify(parsed, issuer, c.config.Algorithms)
	switch {
	case err != nil:
		return nil, problemOf(err)
	case want.delta && parsed.Base == nil:
		return nil, useless(crl.DeltaMismatch, "the list is no delta")
	case !want.delta && parsed.Base != nil:
		return nil, useless(crl.BaseMissing, "the list is a delta")
	}
	return verified, nil
}

// current says why a list does not speak of now.
func current(list *crl.List, now time.Time) error {
	switch {
	case list.NextUpdate.IsZero():
		return useless(crl.NoNextUpdate, "")
	case now.Add(Tolerance).Before(list.ThisUpdate):
		return useless(crl.NotYet, "issued %s", list.ThisUpdate.Format(time.RFC3339))
	case now.Add(-Tolerance).After(list.NextUpdate):
		return useless(crl.Stale, "the next one was due %s", list.NextUpdate.Format(time.RFC3339))
	}
	return nil
}

// fetch asks for a list, or for whether it has changed, and puts it into the cache.
func (c *Client) fetch(ctx context.Context, to *url.URL, name string, issuer *x509.Certificate, want wanted, kept *keptList) (*keptList, error) {
	header := http.Header{"Accept": {"application/pkix-crl, */*;q=0.5"}}
	if kept != nil && kept.ETag != "" {
		header.Set("If-None-Match", kept.ETag)
	}
	if kept != nil && kept.Modified != "" {
		header.Set("If-Modified-Since", kept.Modified)
	}
	file, err := c.lists.create()
	if err != nil {
		return nil, &Error{Code: CacheFailed, cause: err}
	}
	defer file.discard() // does nothing once it is in its place
	response, err := c.send(ctx, http.MethodGet, to, header, nil, c.config.MaxList, file)
	if err != nil {
		return nil, err
	}
	now := c.now()
	if response.StatusCode == http.StatusNotModified {
		if err := current(kept.verified.List(), now); err != nil {
			return nil, err
		}
		if err := c.lists.touch(name, kept, now); err != nil {
			return nil, &Error{Code: CacheFailed, cause: err}
		}
		return kept, nil
	}
	der, err := file.bytes()
	if err != nil {
		return nil, &Error{Code: CacheFailed, cause: err}
	}
	verified, err := c.verify(der, issuer, want)
	if err != nil {
		return nil, err
	}
	if err := current(verified.List(), now); err != nil {
		return nil, err
	}
	if kept != nil && verified.List().ThisUpdate.Before(kept.verified.List().ThisUpdate) {
		return nil, useless(ListOlder, "issued %s", verified.List().ThisUpdate.Format(time.RFC3339))
	}
	fetched := &keptList{
		trailer: trailer{ETag: bounded(response.Header.Get("ETag")), Modified: bounded(response.Header.Get("Last-Modified"))},
		der:     der, verified: verified, checked: now,
	}
	if err := c.lists.commit(name, file, fetched); err != nil {
		return nil, &Error{Code: CacheFailed, cause: err}
	}
	return fetched, nil
}

// bounded drops a validator that is too long to be kept.
func bounded(validator string) string {
	if len(validator) > 256 {
		return ""
	}
	return validator
}

// freshest are the addresses of a certificate's delta lists (RFC 5280, 4.2.1.15).
// A point for some reasons only, or of another issuer, is passed over.
func freshest(certificate *x509.Certificate) []string {
	var all []string
	for _, extension := range certificate.Extensions {
		if extension.Id.String() == "2.5.29.46" {
			all = append(all, points(extension.Value)...)
		}
	}
	return all
}

func points(value []byte) []string {
	explicit := asn1.Tag(0).ContextSpecific().Constructed()
	s := cryptobyte.String(value)
	var list cryptobyte.String
	var all []string
	if !s.ReadASN1(&list, asn1.SEQUENCE) || !s.Empty() {
		return nil
	}
	for !list.Empty() {
		var point, name, names cryptobyte.String
		if !list.ReadASN1(&point, asn1.SEQUENCE) {
			return nil
		}
		if !point.ReadASN1(&name, explicit) || !point.Empty() || !name.ReadASN1(&names, explicit) {
			continue
		}
		for !names.Empty() {
			var one cryptobyte.String
			var tag asn1.Tag
			if !names.ReadAnyASN1(&one, &tag) {
				return nil
			}
			if tag == asn1.Tag(6).ContextSpecific() && len(all) < maxAddresses {
				all = append(all, string(one))
			}
		}
	}
	return all
}

// locks lets one goroutine at a time work on a list.
type locks struct {
	mu   sync.Mutex
	held map[string]*lock
}

type lock struct {
	sync.Mutex
	users int
}

// own waits for a name's lock and returns what gives it back.
func (l *locks) own(name string) func() {
	l.mu.Lock()
	if l.held == nil {
		l.held = map[string]*lock{}
	}
	one := l.held[name]
	if one == nil {
		one = &lock{}
		l.held[name] = one
	}
	one.users++
	l.mu.Unlock()
	one.Lock()
	return func() {
		one.Unlock()
		l.mu.Lock()
		defer l.mu.Unlock()
		if one.users--; one.users == 0 {
			delete(l.held, name)
		}
	}
}
