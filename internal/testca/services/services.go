// Package services stands in for what an authority runs for the world: an OCSP
// responder, revocation lists (full and delta) and a time-stamping authority,
// over HTTP on this machine and by the true protocols, with keys of any kind of
// package testca, GOST 34.10-2015 among them.
//
//	authority, err := services.Start(issuing, services.Options{Key: testca.GOST512})
//	defer authority.Close()
//	person, err := authority.Issue(testca.Leaf{Owner: …}) // names the services' addresses
//	authority.Revoke(person.Certificate, services.Revocation{At: at, Reason: crl.KeyCompromise})
//	authority.Break(services.OCSP, services.Late)
//
// What goes wrong with such services in the world can be switched on and off
// while it runs: see [Fault].
//
// It does as НУЦ РК does where that matters: no nextUpdate in an OCSP answer, a
// certificate that was never issued is answered as revoked in 1970, time tokens
// name the certificate by ESSCertID of version 1, and who sends no User-Agent is
// led elsewhere.
//
// It is for tests and for the demo; what it signs is trusted by nobody who did
// not configure the test authority's root.
package services

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"sync"
	"time"

	"dalel/internal/crl"
	"dalel/internal/crl/crltest"
	"dalel/internal/gost/gostpki"
	"dalel/internal/ocsp"
	"dalel/internal/ocsp/ocsptest"
	"dalel/internal/pki"
	"dalel/internal/testca"
	"dalel/internal/tsp/tsptest"
)

// Service is one of the services.
type Service string

// The services.
const (
	OCSP   Service = "ocsp"
	CRL    Service = "crl"   // the full list
	Delta  Service = "delta" // the delta list
	Stamps Service = "tsp"
)

func paths() map[string]Service {
	return map[string]Service{"/ocsp/": OCSP, "/crl/ca.crl": CRL, "/crl/ca_d.crl": Delta, "/tsp/": Stamps}
}

// How long what is published holds.
const (
	listPeriod  = 24 * time.Hour
	deltaPeriod = time.Hour
)

// Options say what the services are like. The zero value is good.
type Options struct {
	// Clock is the authority's; nil means time.Now.
	Clock func() time.Time
	// Key is the kind of the responder's and the time-stamping authority's
	// keys. For GOST the authority must have such a key itself.
	Key testca.KeyKind
	// Digests are the OIDs of the digests that the time-stamping authority
	// takes; with none, all that are known here.
	Digests []string
	// Policies are the OIDs of the policies that it stamps under, the first by
	// default; those of НУЦ РК if there are none.
	Policies []string
	// Lifetime is how long the certificates of the responder and of the
	// time-stamping authority last; five years if zero.
	Lifetime time.Duration
}

// Revocation says since when and why a certificate is revoked.
type Revocation struct {
	At     time.Time
	Reason crl.Reason
	// Invalidity is on the lists alone; none if zero.
	Invalidity time.Time
}

// entry is what the register says of a certificate. It is good if revoked is
// nil and unknown is not set.
type entry struct {
	serial  *big.Int
	unknown bool
	revoked *Revocation
	// since is the number of the list that knew it first.
	since int64
}

// StandIn is the services of one authority. It may be used from many goroutines.
type StandIn struct {
	// URL is where the services are, with no slash at its end.
	URL string

	ca      *testca.Identity
	options Options
	known   *pki.Algorithms
	// The parties, and those who must not be believed in their place.
	issuer, responder, stamps      crltest.Signer
	impostor                       crltest.Signer
	expiredResponder, expiredStamp crltest.Signer

	server  *http.Server
	stopped chan struct{}
	done    chan struct{}

	mu       sync.Mutex // guards what follows
	faults   map[Service]Fault
	asked    map[Service]int
	register map[string]*entry
	number   int64
	full     published
	delta    published
	tokens   int64
}

// published is a list as it is served.
type published struct {
	der    []byte
	number int64
	from   time.Time
	until  time.Time
}

// Start makes the services of ca and serves them until Close.
func Start(ca *testca.Identity, options Options) (*StandIn, error) {
	s := &StandIn{
		ca: ca, options: options, known: pki.Standard().With(gostpki.Algorithms()),
		stopped: make(chan struct{}), done: make(chan struct{}),
		faults: map[Service]Fault{}, asked: map[Service]int{}, register: map[string]*entry{},
	}
	if s.options.Clock == nil {
		s.options.Clock = time.Now
	}
	if len(s.options.Policies) == 0 {
		s.options.Policies = []string{"1.2.398.3.3.2.6.2", "1.2.398.3.3.2.6.4"}
		if options.Key == testca.GOST512 || options.Key == testca.GOST256 {
			s.options.Policies = []string{"1.2.398.3.3.2.6.4", "1.2.398.3.3.2.6.2"}
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("test services: %w", err)
	}
	s.URL = "http://" + listener.Addr().String()
	if err := s.open(); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		defer close(s.done)
		_ = s.server.Serve(listener) // it ends with Close
	}()
	return s, nil
}

// open makes the parties and the first list.
func (s *StandIn) open() error {
	now := s.now()
	key := s.options.Key
	other, err := testca.NewRoot(testca.CA{Name: "An impostor", Key: key})
	if err != nil {
		return err
	}
	s.issuer, s.impostor = crltest.By(s.ca), crltest.By(other)
	none := []asn1.ObjectIdentifier{}
	yesterday, hourAgo := now.AddDate(0, 0, -2), now.Add(-time.Hour)
	for _, party := range []struct {
		leaf testca.Leaf
		into *crltest.Signer
	}{
		{testca.Leaf{Owner: testca.Owner{Organization: "Test OCSP responder"}, Extra: ocsptest.Responder(true)}, &s.responder},
		{testca.Leaf{Owner: testca.Owner{Organization: "Test OCSP responder"}, Extra: ocsptest.Responder(true), NotBefore: yesterday, NotAfter: hourAgo}, &s.expiredResponder},
		{testca.Leaf{Owner: testca.Owner{Organization: "Test time-stamping authority"}, Extra: tsptest.Authority(true)}, &s.stamps},
		{testca.Leaf{Owner: testca.Owner{Organization: "Test time-stamping authority"}, Extra: tsptest.Authority(true), NotBefore: yesterday, NotAfter: hourAgo}, &s.expiredStamp},
	} {
		leaf := party.leaf
		leaf.Key, leaf.Usages = key, none
		if leaf.NotBefore.IsZero() {
			leaf.NotBefore, leaf.NotAfter = yesterday, now.AddDate(5, 0, 0)
			if s.options.Lifetime > 0 {
				leaf.NotAfter = now.Add(s.options.Lifetime)
			}
		}
		made, err := s.Issue(leaf)
		if err != nil {
			return err
		}
		*party.into = crltest.By(made)
	}
	return s.Publish()
}

// Close ends the services.
func (s *StandIn) Close() error {
	close(s.stopped)
	err := s.server.Close()
	<-s.done
	return err
}

func (s *StandIn) now() time.Time { return s.options.Clock().UTC().Truncate(time.Second) }

// StampsCertificate is that of the time-stamping authority.
func (s *StandIn) StampsCertificate() *x509.Certificate { return s.stamps.Certificate }

// OCSPAddress is where the responder is.
func (s *StandIn) OCSPAddress() string { return s.URL + "/ocsp/" }

// CRLAddress is where the full list is.
func (s *StandIn) CRLAddress() string { return s.URL + "/crl/ca.crl" }

// DeltaAddress is where the delta list is.
func (s *StandIn) DeltaAddress() string { return s.URL + "/crl/ca_d.crl" }

// StampsAddress is where time tokens are made.
func (s *StandIn) StampsAddress() string { return s.URL + "/tsp/" }

// Issue has the authority issue a certificate that names the services, where the
// leaf does not name others, and enters it into the register.
func (s *StandIn) Issue(leaf testca.Leaf) (*testca.Identity, error) {
	if leaf.OCSP == "" {
		leaf.OCSP = s.OCSPAddress()
	}
	if leaf.CRL == "" {
		leaf.CRL = s.CRLAddress()
	}
	if leaf.Freshest == "" {
		leaf.Freshest = s.DeltaAddress()
	}
	issued, err := s.ca.Issue(leaf)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.register[issued.Certificate.SerialNumber.String()] = &entry{serial: issued.Certificate.SerialNumber}
	return issued, nil
}

// Revoke revokes a certificate and publishes a delta list that says so.
func (s *StandIn) Revoke(certificate *x509.Certificate, revocation Revocation) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.number++
	s.register[certificate.SerialNumber.String()] = &entry{serial: certificate.SerialNumber, revoked: &revocation, since: s.number}
	return s.publishDelta()
}

// Forget makes the responder answer "unknown" about a certificate.
func (s *StandIn) Forget(certificate *x509.Certificate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.register[certificate.SerialNumber.String()] = &entry{serial: certificate.SerialNumber, unknown: true}
}

// Remember makes a certificate good, whatever it was.
func (s *StandIn) Remember(certificate *x509.Certificate) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.register[certificate.SerialNumber.String()] = &entry{serial: certificate.SerialNumber}
	return s.publish()
}

// Publish makes a new full list, and a delta to it.
func (s *StandIn) Publish() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.publish()
}

func (s *StandIn) publish() error {
	s.number++
	list, err := s.list(s.issuer, s.number, 0, s.now(), listPeriod)
	if err != nil {
		return err
	}
	s.full = list
	s.number++
	return s.publishDelta()
}

func (s *StandIn) publishDelta() (err error) {
	s.delta, err = s.list(s.issuer, s.number, s.full.number, s.now(), deltaPeriod)
	return err
}

// list makes the list with a number; base is that of the list that a delta is
// to, 0 for a full one.
func (s *StandIn) list(by crltest.Signer, number, base int64, from time.Time, period time.Duration) (published, error) {
	what := crltest.List{ThisUpdate: from, NextUpdate: from.Add(period), Number: big.NewInt(number), InnerWithoutNULL: by.Algorithm.Parameters != nil}
	if base > 0 {
		what.Base = big.NewInt(base)
	}
	for _, e := range s.register {
		if e.revoked != nil && e.since > base {
			what.Entries = append(what.Entries, crltest.Entry{Serial: e.serial, At: e.revoked.At, Reason: e.revoked.Reason, Invalidity: e.revoked.Invalidity})
		}
	}
	der, err := crltest.Sign(what, by)
	if err != nil {
		return published{}, err
	}
	return published{der: der, number: number, from: from, until: from.Add(period)}, nil
}

// Break switches a fault on; None switches it off.
func (s *StandIn) Break(service Service, fault Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[service] = fault
}

// Asked says how many requests a service has had.
func (s *StandIn) Asked(service Service) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[service]
}

// ServeHTTP implements http.Handler.
func (s *StandIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	service, ok := paths()[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	if r.UserAgent() == "" {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	s.mu.Lock()
	fault := s.faults[service]
	s.asked[service]++
	s.mu.Unlock()
	// Whoever lets itself be led elsewhere gets a good answer there: that it was
	// not refused is then seen.
	if host, _, _ := net.SplitHostPort(r.Host); host == elsewhere {
		fault = None
	}
	if fault.inTransport() {
		s.failTransport(w, r, service, fault)
		return
	}
	body, kind, err := s.answer(r, service, fault)
	switch {
	case errors.Is(err, errMethod):
		http.Error(w, "another method is wanted", http.StatusMethodNotAllowed)
	case err != nil:
		http.Error(w, "cannot answer", http.StatusInternalServerError)
	case body == nil:
		w.WriteHeader(http.StatusNotModified)
	default:
		s.write(w, r, body, kind, fault)
	}
}

func (s *StandIn) answer(r *http.Request, service Service, fault Fault) (body []byte, kind string, err error) {
	switch service {
	case OCSP:
		body, err = s.answerOCSP(r, fault)
		return body, "application/ocsp-response", err
	case Stamps:
		body, err = s.answerStamp(r, fault)
		return body, "application/timestamp-reply", err
	}
	body, err = s.answerList(r, service, fault)
	return body, "application/pkix-crl", err
}

var errMethod = errors.New("method")

// swapped signs with another key in somebody's name.
func (s *StandIn) swapped(by crltest.Signer) crltest.Signer {
	by.Sign, by.Algorithm, by.Digest = s.impostor.Sign, s.impostor.Algorithm, s.impostor.Digest
	return by
}

func (s *StandIn) answerOCSP(r *http.Request, fault Fault) ([]byte, error) {
	data, err := posted(r)
	if err != nil {
		return nil, err
	}
	if fault == TryLater {
		return ocsptest.Refuse(ocsp.StatusTryLater), nil
	}
	request, err := ocsp.ParseRequest(data)
	if err != nil {
		return ocsptest.Refuse(ocsp.StatusMalformed), nil
	}
	now, by := s.now(), s.responder
	response := ocsptest.Response{ProducedAt: now, Nonce: request.Nonce, Certificates: []*x509.Certificate{by.Certificate}}
	switch fault {
	case WrongSigner:
		by = s.swapped(by)
	case ExpiredSigner:
		by = s.expiredResponder
		response.Certificates = []*x509.Certificate{by.Certificate}
	case WrongNonce:
		response.Nonce = []byte("a nonce of another request......")
	case NoNonce:
		response.Nonce = nil
	case Stale:
		response.ProducedAt = now.Add(-2 * listPeriod)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range request.IDs {
		mine, err := ocsp.NewCertID(s.known, id.Digest, id.Serial, s.ca.Certificate)
		if err != nil || string(mine.NameHash) != string(id.NameHash) || string(mine.KeyHash) != string(id.KeyHash) {
			return ocsptest.Refuse(ocsp.StatusUnauthorized), nil
		}
		single := ocsptest.Single{ID: id, Status: ocsp.Good, ThisUpdate: response.ProducedAt}
		if fault == Stale {
			single.NextUpdate = now.Add(-listPeriod)
		}
		switch e := s.register[id.Serial.String()]; {
		case e == nil:
			response.ExtendedRevoked = true
			single.Status, single.RevokedAt, single.Reason = ocsp.Revoked, time.Unix(0, 0), crl.CertificateHold
		case e.unknown:
			single.Status = ocsp.Unknown
		case e.revoked != nil:
			single.Status, single.RevokedAt, single.Reason = ocsp.Revoked, e.revoked.At, e.revoked.Reason
		}
		response.Singles = append(response.Singles, single)
	}
	return ocsptest.Sign(response, by)
}

// answerList returns nil for "not modified".
func (s *StandIn) answerList(r *http.Request, service Service, fault Fault) ([]byte, error) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return nil, errMethod
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	switch now := s.now(); {
	case !now.Before(s.full.until):
		err = s.publish()
	case !now.Before(s.delta.until):
		s.number++
		err = s.publishDelta()
	}
	if err != nil {
		return nil, err
	}
	list := s.full
	if service == Delta {
		list = s.delta
	}
	base := int64(0)
	if service == Delta {
		base = s.full.number
	}
	switch fault {
	case WrongSigner:
		list, err = s.list(s.swapped(s.issuer), list.number, base, list.from, list.until.Sub(list.from))
		return list.der, err
	case Stale:
		list, err = s.list(s.issuer, list.number, base, list.from.Add(-2*listPeriod), listPeriod)
		return list.der, err
	}
	if r.Header.Get("If-None-Match") == etagOf(list.der) {
		return nil, nil
	}
	return list.der, nil
}

// etagOf is the entity tag of what is served.
func etagOf(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + hex.EncodeToString(sum[:8]) + `"`
}
