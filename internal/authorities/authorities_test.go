package authorities_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dalel/internal/authorities"
	"dalel/internal/crl"
	"dalel/internal/crl/crltest"
	"dalel/internal/gost/gostpki"
	"dalel/internal/ocsp"
	"dalel/internal/pki"
	"dalel/internal/testca"
	"dalel/internal/testca/services"
	"dalel/internal/tsp"

	"github.com/stretchr/testify/require"
)

// buffer is a log that many may write.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// world is an authority with its services, one person, and who asks.
type world struct {
	t             *testing.T
	root, issuing *testca.Identity
	services      *services.StandIn
	person        *testca.Identity
	late          atomic.Int64
	log           buffer
	cache         string
	config        authorities.Config
	*authorities.Client
}

func (w *world) now() time.Time { return time.Now().Add(time.Duration(w.late.Load())) }

func (w *world) pass(d time.Duration) { w.late.Add(int64(d)) }

func newWorld(t *testing.T, options services.Options, change func(*authorities.Config)) *world {
	w := &world{t: t, cache: t.TempDir()}
	var err error
	w.root, err = testca.NewRoot(testca.CA{Name: "Test root", Key: options.Key})
	require.NoError(t, err)
	w.issuing, err = w.root.NewIntermediate(testca.CA{Name: "Test issuing CA", Key: options.Key})
	require.NoError(t, err)
	options.Clock = w.now
	w.services, err = services.Start(w.issuing, options)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.services.Close()) })
	w.person, err = w.services.Issue(testca.Leaf{Owner: testca.Owner{IIN: "123456789011", Surname: "SEARCHABLE"}, Key: options.Key})
	require.NoError(t, err)
	w.config = authorities.Config{
		Cache: w.cache, Stamps: []authorities.Stamps{{URL: w.services.StampsAddress()}}, Version: "1.2.3",
		Roots: []*x509.Certificate{w.root.Certificate}, Intermediates: []*x509.Certificate{w.issuing.Certificate},
		Clock: w.now, Log: slog.New(slog.NewTextHandler(&w.log, nil)), MaxList: 1 << 20,
	}
	if change != nil {
		change(&w.config)
	}
	w.open()
	t.Cleanup(func() { require.NoError(t, w.Close()) })
	return w
}

// open opens the client, as a start of the program does.
func (w *world) open() {
	if w.Client != nil {
		require.NoError(w.t, w.Close())
	}
	var err error
	w.Client, err = authorities.Open(w.config)
	require.NoError(w.t, err)
}

func known() *pki.Algorithms { return pki.Standard().With(gostpki.Algorithms()) }

var sha256ID = pki.Identifier{OID: pki.OIDSHA256}

// ask asks a service and returns the answer's error.
func (w *world) ask(service services.Service) error { return w.askWithin(w.t.Context(), service) }

func (w *world) askWithin(ctx context.Context, service services.Service) error {
	var err error
	switch service {
	case services.OCSP:
		_, err = w.OCSP(ctx, w.person.Certificate, w.issuing.Certificate)
	case services.Stamps:
		_, err = w.TimeToken(ctx, sha256ID, []byte("a signature"))
	default:
		_, err = w.CRLs(ctx, w.person.Certificate, w.issuing.Certificate)
	}
	return err
}

// waiting is a context that says when its caller begins to wait for an answer. A
// client looks at no Done of its callers before it has joined those who ask the
// same.
type waiting struct {
	context.Context
	began func()
}

// Done implements context.Context.
func (w waiting) Done() <-chan struct{} {
	w.began()
	return w.Context.Done()
}

func TestR_C2_EveryServiceAnswersWithKeysOfEveryKind(t *testing.T) {
	for name, kind := range map[string]testca.KeyKind{"ECDSA": testca.P256, "RSA": testca.RSA2048, "GOST 512": testca.GOST512, "GOST 256": testca.GOST256} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, services.Options{Key: kind}, nil)
			answer := func(question ocsp.Question) ocsp.Answer {
				response, err := w.OCSP(t.Context(), w.person.Certificate, w.issuing.Certificate)
				require.NoError(t, err)
				question.At, question.Tolerance, question.MaxAge = w.now(), time.Minute, time.Hour
				return ocsp.Judge(response, known(), question)
			}
			about := ocsp.About(w.person.Certificate, w.issuing.Certificate)
			require.Equal(t, ocsp.Good, answer(about).Status)
			list := func() crl.Answer {
				found, err := w.CRLs(t.Context(), w.person.Certificate, w.issuing.Certificate)
				require.NoError(t, err)
				require.Len(t, found, 2)
				return crltest.Judge(found[0], found[1], w.issuing.Certificate, known(), crl.Question{Subject: crl.SubjectOf(w.person.Certificate), At: w.now(), Tolerance: time.Minute})
			}
			require.Equal(t, crl.Good, list().Status)
			digest := sha256ID
			if kind == testca.GOST512 || kind == testca.GOST256 {
				digest = pki.Identifier{OID: gostpki.OIDDigestKZ512}
			}
			token, err := w.TimeToken(t.Context(), digest, []byte("a signature"))
			require.NoError(t, err)
			parsed, err := tsp.Parse(token)
			require.NoError(t, err)
			require.Equal(t, digest.OID, parsed.Imprint.Digest.OID)
			stamped := parsed.Check(known(), tsp.Question{Message: []byte("a signature"), At: w.now(), Tolerance: time.Minute, Roots: w.config.Roots, Intermediates: w.config.Intermediates})
			require.Equal(t, tsp.Good, stamped.Status, stamped.Detail)

			// The world goes on: it is revoked, by the responder at once and on the
			// delta list when that is due.
			require.NoError(t, w.services.Revoke(w.person.Certificate, services.Revocation{At: w.now().Add(-time.Minute), Reason: crl.KeyCompromise}))
			require.Equal(t, ocsp.Revoked, answer(about).Status)
			w.pass(2 * time.Hour)
			require.Equal(t, crl.Revoked, list().Status)
		})
	}
}

func TestR_C4_EveryFaultOfEveryServiceIsAnErrorWithACode(t *testing.T) {
	transport := map[services.Fault]string{
		services.Late: authorities.TimedOut, services.Failing: authorities.HTTPStatus, services.Unavailable: authorities.HTTPStatus,
		services.Truncated: authorities.Unreachable, services.Endless: authorities.TooLarge, services.Redirected: authorities.RedirectRefused,
	}
	own := map[services.Service]map[services.Fault]string{
		services.OCSP: {
			services.Cut: ocsp.Unreadable, services.TryLater: ocsp.TryLater, services.WrongSigner: ocsp.SignatureMismatch, services.Stale: ocsp.Stale,
			services.WrongNonce: ocsp.NonceMismatch, services.ExpiredSigner: "*",
		},
		services.CRL: {
			services.Cut: crl.Unreadable, services.TryLater: authorities.HTTPStatus, services.WrongSigner: crl.SignatureMismatch, services.Stale: crl.Stale,
		},
		services.Stamps: {
			services.Cut: tsp.Unreadable, services.TryLater: authorities.Declined, services.WrongSigner: tsp.SignatureMismatch, services.Stale: authorities.ClockOff,
			services.WrongNonce: tsp.NonceMismatch, services.NoNonce: tsp.NonceMissing, services.ExpiredSigner: tsp.CertificateDates,
		},
	}
	own[services.Delta] = own[services.CRL]
	for _, service := range []services.Service{services.OCSP, services.CRL, services.Delta, services.Stamps} {
		for _, fault := range services.Faults(service) {
			t.Run(fmt.Sprint(service, " ", fault), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, services.Options{}, func(c *authorities.Config) {
					if fault == services.Late {
						c.Timeout, c.ListTimeout = 2*time.Second, 2*time.Second
					}
				})
				w.services.Break(service, fault)
				err := w.ask(service)
				require.Error(t, err)
				want := transport[fault]
				if want == "" {
					want = own[service][fault]
				}
				require.NotEmpty(t, want)
				if want != "*" { // one of two: its path or its dates are found first
					require.Equal(t, want, authorities.CodeOf(err), "%v", err)
				}
				// The log has the code and the host, and nobody's name or number.
				log := w.log.String()
				require.Contains(t, log, authorities.CodeOf(err))
				require.Contains(t, log, strings.TrimPrefix(w.services.URL, "http://"))
				for _, secret := range []string{"SEARCHABLE", "123456789011", w.person.Certificate.SerialNumber.Text(16), w.person.Certificate.SerialNumber.String()} {
					require.NotContains(t, log, secret)
					require.NotContains(t, err.Error(), secret)
				}
				w.services.Break(service, services.None)
				w.pass(2 * authorities.MinInterval)
				require.NoError(t, w.ask(service))
			})
		}
	}
}

func TestAnAnswerWithoutANonceIsTakenAsLongAsItIsFresh(t *testing.T) {
	w := newWorld(t, services.Options{}, nil)
	w.services.Break(services.OCSP, services.NoNonce)
	require.NoError(t, w.ask(services.OCSP))
}

// through serves the stand-in behind a handler, and has the person's issuer asked
// there.
func (w *world) through(handler func(rw http.ResponseWriter, r *http.Request)) string {
	server := httptest.NewServer(http.HandlerFunc(handler))
	w.t.Cleanup(server.Close)
	sum := fingerprint(w.issuing.Certificate)
	w.config.Issuers = map[string]authorities.Issuer{sum: {OCSP: server.URL + "/ocsp/", CRL: server.URL + "/crl/ca.crl", Delta: server.URL + "/crl/ca_d.crl"}}
	w.config.Stamps = []authorities.Stamps{{URL: server.URL + "/tsp/"}}
	w.open()
	return server.URL
}

func TestAHundredWhoAskTheSameMakeOneRequest(t *testing.T) {
	for _, service := range []services.Service{services.OCSP, services.CRL, services.Stamps} {
		t.Run(string(service), func(t *testing.T) {
			w := newWorld(t, services.Options{}, nil)
			open := make(chan struct{})
			release := sync.OnceFunc(func() { close(open) })
			w.through(func(rw http.ResponseWriter, r *http.Request) {
				<-open
				w.services.ServeHTTP(rw, r)
			})
			t.Cleanup(release)
			var began, done sync.WaitGroup
			var failed atomic.Int64
			for range 100 {
				began.Add(1)
				done.Go(func() {
					joined := waiting{t.Context(), sync.OnceFunc(began.Done)}
					if w.askWithin(joined, service) != nil {
						failed.Add(1)
					}
					joined.began() // where it did not even wait
				})
			}
			began.Wait()
			// One who does not wait is let go, and takes the answer from nobody.
			leaves, leave := context.WithCancel(t.Context())
			defer leave()
			require.ErrorIs(t, w.askWithin(waiting{leaves, leave}, service), context.Canceled)
			release()
			done.Wait()
			require.Zero(t, failed.Load())
			require.Equal(t, 1, w.services.Asked(service))
		})
	}
}

func TestAListIsAskedForWhenItIsDueAndThenWithItsValidators(t *testing.T) {
	w := newWorld(t, services.Options{}, nil)
	var mu sync.Mutex
	statuses := map[string][]int{}
	agents := map[string]bool{}
	w.through(func(rw http.ResponseWriter, r *http.Request) {
		recorder := httptest.NewRecorder()
		w.services.ServeHTTP(recorder, r)
		mu.Lock()
		statuses[r.URL.Path] = append(statuses[r.URL.Path], recorder.Code)
		agents[r.UserAgent()] = true
		mu.Unlock()
		for name, values := range recorder.Header() {
			rw.Header()[name] = values
		}
		rw.WriteHeader(recorder.Code)
		_, _ = rw.Write(recorder.Body.Bytes())
	})
	const full, delta = "/crl/ca.crl", "/crl/ca_d.crl"
	for range 5 {
		require.NoError(t, w.ask(services.CRL))
	}
	require.Equal(t, map[string][]int{full: {200}, delta: {200}}, statuses)
	w.open() // the program is started again
	require.NoError(t, w.ask(services.CRL))
	require.Equal(t, map[string][]int{full: {200}, delta: {200}}, statuses, "it is on disk")
	w.pass(61 * time.Minute) // the delta's nextUpdate
	require.NoError(t, w.ask(services.CRL))
	require.Equal(t, map[string][]int{full: {200}, delta: {200, 200}}, statuses)
	w.pass(authorities.MaxInterval)
	require.NoError(t, w.ask(services.CRL))
	require.Equal(t, map[string][]int{full: {200, 304}, delta: {200, 200, 200}}, statuses)
	w.open()
	require.NoError(t, w.ask(services.CRL))
	require.Equal(t, []int{200, 304}, statuses[full], "that it was asked for is on disk, too")
	require.Equal(t, map[string]bool{"dalel/1.2.3": true}, agents)

	// As long as the list at hand holds, an outage is borne.
	w.services.Break(services.CRL, services.Failing)
	w.pass(authorities.MaxInterval)
	require.NoError(t, w.ask(services.CRL))
	w.pass(24 * time.Hour)
	require.Error(t, w.ask(services.CRL))
}

func TestAListInTheCacheThatIsNotAsItWasWrittenIsThrownAwayLoudly(t *testing.T) {
	for name, spoil := range map[string]func(data []byte) []byte{
		"a byte flipped":    func(data []byte) []byte { data[len(data)/3] ^= 1; return data },
		"cut off":           func(data []byte) []byte { return data[:len(data)/2] },
		"empty":             func([]byte) []byte { return nil },
		"something else":    func([]byte) []byte { return []byte("no list at all") },
		"a trailer too far": func(data []byte) []byte { data[len(data)-4] = 0x7f; return data },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, services.Options{}, nil)
			require.NoError(t, w.ask(services.CRL))
			files, err := filepath.Glob(filepath.Join(w.cache, "*.crl"))
			require.NoError(t, err)
			require.Len(t, files, 2)
			for _, path := range files {
				data, err := os.ReadFile(path)
				require.NoError(t, err)
				require.NoError(t, os.WriteFile(path, spoil(data), 0o600))
				require.NoError(t, os.Chtimes(path, w.now(), w.now()))
			}
			w.open()
			require.NoError(t, w.ask(services.CRL))
			require.Equal(t, 2, w.services.Asked(services.CRL))
			require.Equal(t, 2, strings.Count(w.log.String(), "is broken and was thrown away"))
		})
	}
}

func TestSeveralProcessesMayShareTheCache(t *testing.T) {
	w := newWorld(t, services.Options{}, nil)
	var group sync.WaitGroup
	var failed atomic.Int64
	for range 8 {
		other, err := authorities.Open(w.config)
		require.NoError(t, err)
		group.Go(func() {
			for range 5 {
				if lists, err := other.CRLs(t.Context(), w.person.Certificate, w.issuing.Certificate); err != nil || len(lists) != 2 {
					failed.Add(1)
				}
			}
			if other.Close() != nil {
				failed.Add(1)
			}
		})
	}
	group.Wait()
	require.Zero(t, failed.Load())
	require.NotContains(t, w.log.String(), "broken")
	left, err := filepath.Glob(filepath.Join(w.cache, "*.part"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestADeltaToAListThatHasComeSinceHasThatFetched(t *testing.T) {
	w := newWorld(t, services.Options{}, nil)
	require.NoError(t, w.ask(services.CRL))
	w.pass(time.Hour + authorities.MinInterval)
	require.NoError(t, w.services.Publish())
	require.NoError(t, w.services.Revoke(w.person.Certificate, services.Revocation{At: w.now(), Reason: crl.Superseded}))
	lists, err := w.CRLs(t.Context(), w.person.Certificate, w.issuing.Certificate)
	require.NoError(t, err)
	require.Len(t, lists, 2)
	require.Equal(t, 2, w.services.Asked(services.CRL))
	answer := crltest.Judge(lists[0], lists[1], w.issuing.Certificate, known(), crl.Question{Subject: crl.SubjectOf(w.person.Certificate), At: w.now(), Tolerance: time.Minute})
	require.Equal(t, crl.Revoked, answer.Status)
}

func TestAServiceThatIsAwayIsNotHammered(t *testing.T) {
	w := newWorld(t, services.Options{}, nil)
	w.services.Break(services.OCSP, services.Unavailable)
	for range 50 {
		require.Error(t, w.ask(services.OCSP))
	}
	require.Equal(t, 3, w.services.Asked(services.OCSP))
	require.Equal(t, authorities.Away, authorities.CodeOf(w.ask(services.OCSP)))
	require.NoError(t, w.ask(services.Stamps), "another service is asked as before")
	w.services.Break(services.OCSP, services.None)
	w.pass(authorities.DefaultMaxPause)
	require.NoError(t, w.ask(services.OCSP))
	require.Equal(t, 4, w.services.Asked(services.OCSP))
}

func TestAListThatIsOfNoUseIsNotAskedForAtOnceAgain(t *testing.T) {
	w := newWorld(t, services.Options{}, nil)
	w.services.Break(services.CRL, services.Stale)
	for range 20 {
		require.Error(t, w.ask(services.CRL))
	}
	require.Equal(t, 1, w.services.Asked(services.CRL))
}

func TestAListBeyondTheBoundIsRefusedBeforeItIsReadAndLeavesNothing(t *testing.T) {
	w := newWorld(t, services.Options{}, func(c *authorities.Config) { c.MaxList = 64 })
	require.Equal(t, authorities.TooLarge, authorities.CodeOf(w.ask(services.CRL)))
	left, err := os.ReadDir(w.cache)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestTimeStampingAuthoritiesAreTriedInTheirOrder(t *testing.T) {
	w := newWorld(t, services.Options{Digests: []string{pki.OIDSHA256}}, nil)
	second, err := services.Start(w.issuing, services.Options{Clock: w.now, Policies: []string{"1.2.3.4"}})
	require.NoError(t, err)
	defer second.Close()
	w.config.Stamps = []authorities.Stamps{{URL: w.services.StampsAddress()}, {URL: second.StampsAddress(), Policy: "1.2.3.4"}}
	w.open()
	policy := func(digest string) (string, string) {
		token, err := w.TimeToken(t.Context(), pki.Identifier{OID: digest}, []byte("a signature"))
		require.NoError(t, err)
		parsed, err := tsp.Parse(token)
		require.NoError(t, err)
		return parsed.Policy, parsed.Imprint.Digest.OID
	}
	// The first does not take the signer's digest, and is not asked again with it.
	for range 3 {
		under, by := policy(pki.OIDSHA512)
		require.Equal(t, []string{"1.2.398.3.3.2.6.2", pki.OIDSHA256}, []string{under, by})
	}
	require.Equal(t, 4, w.services.Asked(services.Stamps))
	require.Zero(t, second.Asked(services.Stamps))
	w.services.Break(services.Stamps, services.WrongSigner)
	under, by := policy(pki.OIDSHA512)
	require.Equal(t, []string{"1.2.3.4", pki.OIDSHA512}, []string{under, by})
	// A policy that nobody has.
	w.config.Stamps = []authorities.Stamps{{URL: second.StampsAddress(), Policy: "1.2.3.5"}}
	w.open()
	require.Equal(t, authorities.Declined, authorities.CodeOf(w.ask(services.Stamps)))
	w.config.Stamps = nil
	w.open()
	require.Equal(t, authorities.NoAddress, authorities.CodeOf(w.ask(services.Stamps)))
}

func TestAProxyIsUsedOnlyIfItIsConfigured(t *testing.T) {
	w := newWorld(t, services.Options{}, nil)
	var through atomic.Int64
	proxy := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		through.Add(1)
		w.services.ServeHTTP(rw, r)
	}))
	defer proxy.Close()
	t.Setenv("HTTP_PROXY", proxy.URL)
	require.NoError(t, w.ask(services.OCSP))
	require.Zero(t, through.Load())
	var err error
	w.config.Proxy, err = url.Parse(proxy.URL)
	require.NoError(t, err)
	w.open()
	require.NoError(t, w.ask(services.OCSP))
	require.Equal(t, int64(1), through.Load())
}

func TestAClosedClientAsksNobody(t *testing.T) {
	w := newWorld(t, services.Options{}, nil)
	other, err := authorities.Open(w.config)
	require.NoError(t, err)
	require.NoError(t, other.Close())
	_, err = other.OCSP(t.Context(), w.person.Certificate, w.issuing.Certificate)
	require.Equal(t, authorities.Closed, authorities.CodeOf(err))
	require.Zero(t, w.services.Asked(services.OCSP))
}

func fingerprint(certificate *x509.Certificate) string {
	sum := sha256.Sum256(certificate.Raw)
	return hex.EncodeToString(sum[:])
}
