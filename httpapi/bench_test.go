package httpapi_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"dalel/blobs"
	"dalel/blobs/file"
	"dalel/domain/access"
	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/domain/identifier"
	"dalel/domain/ledger"
	"dalel/domain/packet"
	"dalel/domain/renewal"
	"dalel/domain/signature"
	"dalel/eventstore"
	"dalel/httpapi"
	"dalel/httpapi/check"
	"dalel/internal/cms"
	"dalel/internal/fault"
	"dalel/internal/sealing/sealingtest"
	"dalel/internal/testca"
	"dalel/projections"
	"dalel/projections/process"
	"dalel/projections/transparency"
	"dalel/tests/stores"
)

// described holds every answer to the description of the interface.
var described = sync.OnceValues(func() (validator.Validator, error) {
	document, err := libopenapi.NewDocument(httpapi.Description())
	if err != nil {
		return nil, err
	}
	v, errs := validator.NewValidator(document)
	if len(errs) > 0 {
		return nil, errs[0]
	}
	return v, nil
})

// flaky are the stores with a way to make them fail.
type flakyStore struct {
	eventstore.Store
	fail atomic.Pointer[error]
}

func (s *flakyStore) Append(ctx context.Context, events ...eventstore.Event) (eventstore.Position, error) {
	if err := s.fail.Load(); err != nil {
		return 0, *err
	}
	return s.Store.Append(ctx, events...)
}

type flakyBlobs struct {
	blobs.Archive
	fail    atomic.Pointer[error]
	away    atomic.Pointer[error]
	corrupt atomic.Bool
}

func (b *flakyBlobs) Put(ctx context.Context, content io.Reader, limit int64) (blobs.Info, error) {
	if err := b.fail.Load(); err != nil {
		_, _ = io.CopyN(io.Discard, content, 4)
		return blobs.Info{}, *err
	}
	return b.Archive.Put(ctx, content, limit)
}

func (b *flakyBlobs) Open(ctx context.Context, digest blobs.Digest) (io.ReadCloser, blobs.Info, error) {
	if err := b.away.Load(); err != nil {
		return nil, blobs.Info{}, *err
	}
	reader, info, err := b.Archive.Open(ctx, digest)
	if err == nil && b.corrupt.Load() {
		reader = failsAtEnd{reader, fault.New(fault.BlobCorrupt, "content is not as it was written")}
	}
	return reader, info, err
}

func (b *flakyBlobs) Stat(ctx context.Context, digest blobs.Digest) (blobs.Info, error) {
	if err := b.away.Load(); err != nil {
		return blobs.Info{}, *err
	}
	return b.Archive.Stat(ctx, digest)
}

type failsAtEnd struct {
	io.ReadCloser
	err error
}

func (f failsAtEnd) Read(p []byte) (int, error) {
	n, err := f.ReadCloser.Read(p)
	if err == io.EOF {
		err = f.err
	}
	return n, err
}

type packets struct {
	store  eventstore.Store
	ledger *ledger.Ledger
	keys   *sealingtest.Keys
	sealer packet.Sealer
}

func (p packets) Export(ctx context.Context, w io.Writer, of httpapi.Selection) error {
	_, err := packet.Export(ctx, w, p.request(of))
	return err
}

func (p packets) ExportSeveral(ctx context.Context, w io.Writer, of httpapi.Selection) error {
	_, err := packet.Export(ctx, w, p.request(of))
	return err
}

func (p packets) ExportExtract(ctx context.Context, w io.Writer, of httpapi.Selection) error {
	_, err := packet.ExportExtract(ctx, w, p.request(of))
	return err
}

func (p packets) request(of httpapi.Selection) packet.Request {
	return packet.Request{
		Reader: of.Reader, Document: of.Document, Documents: of.Documents, Participant: of.Participant, From: of.From, To: of.To, Ledger: "Test", Verifier: packet.Verifier{Name: "dalel", Version: "test"},
		Events: p.store, Content: p.ledger.Content(), Openers: event.OpenersOf(p.keys), Sealer: p.sealer,
	}
}

// scanner finds what a test tells it to.
type scanner struct{ found atomic.Pointer[error] }

func (s *scanner) Scan(_ context.Context, content io.Reader) error {
	if err := s.found.Load(); err != nil {
		return *err
	}
	_, err := io.Copy(io.Discard, content)
	return err
}

// words are texts of no language.
type words struct{}

func (words) Text(language, key string) string { return language + " " + key }
func (words) Standing(language string, s document.Standing) string {
	return language + " " + string(s.Force)
}

type person struct {
	id, number, token string
	key               *testca.Identity
}

// world is a whole ledger behind a real socket, with people.
type world struct {
	t      *testing.T
	url    string
	server *httpapi.Server
	ledger *ledger.Ledger
	store  *flakyStore
	blobs  *flakyBlobs
	tlog   *transparency.Log
	logKey string
	root   *testca.Identity
	clock  atomic.Int64
	// scanner is what looks for malware.
	scanner *scanner
	// checks is what the check of uploads is made of.
	checks check.Config
	logs   *syncBuffer
	keys   atomic.Int64

	operator, auditor                string
	sender, party, stranger, pending person
	// restricted is an employee without the right to read, of entity.
	entity     person
	restricted string
}

type syncBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func newWorld(t *testing.T, changes ...func(*httpapi.Config)) *world {
	t.Helper()
	dir := t.TempDir()
	store := stores.Open(t)
	content, err := file.Open(filepath.Join(dir, "blobs"))
	require.NoError(t, err)
	root, err := testca.NewRoot(testca.CA{Name: "Test root"})
	require.NoError(t, err)
	w := &world{t: t, store: &flakyStore{Store: store}, blobs: &flakyBlobs{Archive: content}, root: root, logs: &syncBuffer{}}
	log := slog.New(slog.NewTextHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	keys := &sealingtest.Keys{}
	w.scanner = &scanner{}
	policy := &signature.Policy{Roots: []*x509.Certificate{root.Certificate}}
	w.ledger, err = ledger.New(ledger.Config{
		Store: w.store, Blobs: w.blobs, Keys: keys, IdentifierKey: bytes.Repeat([]byte{7}, 32),
		Signatures: policy,
		Scanner:    w.scanner, Name: "Test", CheckURL: "https://ledger.example/check/", Words: words{},
		Clock: func() time.Time { return time.Now().Add(time.Duration(w.clock.Load())) },
	})
	require.NoError(t, err)
	_, err = w.ledger.RecordTrust(t.Context(), [][]byte{root.Certificate.Raw})
	require.NoError(t, err)
	models, err := projections.Open(t.Context(), filepath.Join(dir, "models.db"), w.ledger.Codec(), w.store, projections.Options{Logger: log})
	require.NoError(t, err)
	processes, err := process.Open(t.Context(), filepath.Join(dir, "process.db"), w.ledger.Codec(), w.store, w.ledger, models, process.Options{Logger: log})
	require.NoError(t, err)
	seal, err := root.Issue(testca.Leaf{Owner: testca.Owner{BIN: "060640005673", Organization: "Operator"}, Key: testca.RSA2048})
	require.NoError(t, err)
	sealer, err := packet.NewSealer(seal.Certificate, seal.Key)
	require.NoError(t, err)

	w.openLog(dir, log)
	verifier, err := note.NewVerifier(w.logKey)
	require.NoError(t, err)
	config := httpapi.Config{
		Transparency: w.tlog, LogKey: w.logKey,
		Renewals: renewals{renewal.Source{
			Store: w.store, Codec: w.ledger.Codec(), Log: w.tlog, Key: verifier, Token: w.ledger.TimeToken, Piece: w.ledger.StampEvidence,
		}},
		Ledger: w.ledger, Models: models, Packets: packets{w.store, w.ledger, keys, sealer},
		Log: log, Folder: dir,
		Limits: httpapi.Limits{
			UnknownPerMinute: 1_000_000, RequestsPerMinute: 1_000_000, CommandsPerMinute: 1_000_000, DraftsPerMinute: 1_000_000,
			MebibytesPerMinute: 1_000_000,
		},
		Clock: func() time.Time { return time.Now().Add(time.Duration(w.clock.Load())) },
	}
	w.checks = check.Config{
		Ledger: w.ledger, Index: models, Log: w.tlog, Policy: policy, Folder: dir, EachMinute: 1_000_000,
		Trust: packet.Trust{Roots: policy.Roots, Operators: []*x509.Certificate{seal.Certificate}},
	}
	config.Check, err = check.New(w.checks)
	require.NoError(t, err)
	for _, change := range changes {
		change(&config)
	}
	w.server, err = httpapi.New(config)
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	web := httpapi.NewHTTPServer(w.server)
	w.url = "http://" + listener.Addr().String()

	ctx, stop := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { _ = models.Run(ctx) })
	work.Go(func() { _ = processes.Run(ctx) })
	work.Go(func() { _ = web.Serve(w.server.Listen(listener)) })
	t.Cleanup(func() {
		bounded, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, web.Shutdown(bounded), "streams end when the server does")
		stop()
		work.Wait()
		require.NoError(t, processes.Close())
		require.NoError(t, models.Close())
		require.NoError(t, content.Close())
	})
	w.people()
	require.NoError(t, w.tlog.Publish(t.Context()))
	return w
}

// renewals makes records as a node does.
type renewals struct{ from renewal.Source }

func (r renewals) Renewals(ctx context.Context, signed []byte) ([]byte, error) {
	made, err := renewal.Build(ctx, r.from, signed, nil, time.Now())
	if err != nil {
		return nil, err
	}
	return made.Encode()
}

// openLog opens the transparency log, in a folder as a node does. Nobody runs
// it: tests publish when they want to.
func (w *world) openLog(dir string, log *slog.Logger) {
	secret, public, err := note.GenerateKey(rand.Reader, "ledger.example/log")
	require.NoError(w.t, err)
	signer, err := note.NewSigner(secret)
	require.NoError(w.t, err)
	verifier, err := note.NewVerifier(public)
	require.NoError(w.t, err)
	objects, err := file.OpenObjects(filepath.Join(dir, "log"))
	require.NoError(w.t, err)
	w.logKey = public
	w.tlog, err = transparency.Open(w.t.Context(), transparency.Config{
		Path: filepath.Join(dir, "log.db"), Store: w.store, Codec: w.ledger.Codec(), Objects: objects, Checkpoints: w.ledger,
		Signer: signer, Verifier: verifier, Options: transparency.Options{Logger: log},
	})
	require.NoError(w.t, err)
	w.t.Cleanup(func() {
		require.NoError(w.t, w.tlog.Close())
		require.NoError(w.t, objects.Close())
	})
}

var operatorAct = ledger.Act{By: event.By{Participant: ledger.Operator}, Role: access.RoleOperator}

func (w *world) token(by event.By, role access.Role, life time.Duration) string {
	w.t.Helper()
	issued, err := w.ledger.IssueToken(context.Background(), operatorAct, by, role, "test", life)
	require.NoError(w.t, err)
	return issued.Token
}

const secretName = "Асель Сериковна"

func (w *world) people() {
	w.operator = w.token(event.By{Participant: ledger.Operator}, access.RoleOperator, time.Hour)
	w.sender = w.register("natural-person", "85041230056", secretName+" Отправитель", true)
	w.party = w.register("natural-person", "79110945012", secretName+" Получатель", true)
	w.stranger = w.register("natural-person", "92062740031", secretName+" Чужой", true)
	w.pending = w.register("natural-person", "90010130011", secretName+" Ждёт", false)
	w.entity = w.register("legal-entity", "06064000567", "ТОО Секретная фирма", true)
	w.restricted = ""
	answer := w.ok("POST", "/api/v1/participants/"+w.entity.id+"/employees", w.operator,
		map[string]any{"person": w.stranger.id, "position": "clerk", "rights": []string{"read"}})
	require.Equal(w.t, 200, answer.status)
	w.restricted = w.token(event.By{Participant: w.entity.id, Person: w.stranger.id}, access.RoleParticipant, time.Hour)
	w.ok("PUT", "/api/v1/participants/"+w.entity.id+"/employees/"+w.stranger.id, w.operator, map[string]any{"rights": []string{"manage"}})
	w.auditor = w.token(event.By{Participant: w.stranger.id}, access.RoleAuditor, time.Hour)
}

func (w *world) register(kind, eleven, name string, active bool) person {
	w.t.Helper()
	number, err := identifier.WithCheckDigit(eleven)
	require.NoError(w.t, err)
	p := person{number: number}
	p.id = w.ok("POST", "/api/v1/participants", w.operator, map[string]any{"kind": kind, "identifier": number, "name": name}).text("id")
	if active {
		w.ok("POST", "/api/v1/participants/"+p.id+"/activation", w.operator, map[string]any{"basis": "identity card seen"})
	}
	if kind == "legal-entity" {
		return p
	}
	p.token = w.token(event.By{Participant: p.id}, access.RoleParticipant, time.Hour)
	if active {
		p.key, err = w.root.Issue(testca.Leaf{Owner: testca.Owner{IIN: number, Surname: "Secretov"}, NotBefore: time.Now().Add(-time.Hour)})
		require.NoError(w.t, err)
		answer := w.do(request{method: "POST", path: "/api/v1/participants/" + p.id + "/certificates", token: p.token, raw: p.key.Certificate.Raw, mediaType: "application/pkix-cert"})
		require.Equal(w.t, 201, answer.status, answer.body)
	}
	return p
}

// anchor is the fingerprint of the one trust anchor.
func (w *world) anchor() string { return blobs.Sum(w.root.Certificate.Raw).String() }

func (p person) fingerprint() string { return blobs.Sum(p.key.Certificate.Raw).String() }

type request struct {
	method, path, token string
	json                any
	raw                 []byte
	mediaType           string
	key                 string // "" for a fresh one, "-" for none
	header              map[string]string
}

type answer struct {
	t      *testing.T
	status int
	header http.Header
	body   string
}

func (a answer) value() (v map[string]any) {
	a.t.Helper()
	require.NoError(a.t, json.Unmarshal([]byte(a.body), &v), a.body)
	return v
}

func (a answer) text(name string) string {
	a.t.Helper()
	text, _ := a.value()[name].(string)
	return text
}

func (a answer) code() string {
	if a.header.Get("Content-Type") != "application/problem+json" {
		return ""
	}
	return a.text("code")
}

func (w *world) build(r request) *http.Request {
	var body io.Reader
	if r.json != nil {
		encoded, err := json.Marshal(r.json)
		require.NoError(w.t, err)
		r.raw, r.mediaType = encoded, "application/json"
	}
	if r.raw != nil {
		body = bytes.NewReader(r.raw)
	}
	built, err := http.NewRequest(r.method, w.url+r.path, body)
	require.NoError(w.t, err)
	if r.mediaType != "" {
		built.Header.Set("Content-Type", r.mediaType)
	}
	if r.token != "" {
		built.Header.Set("Authorization", "Bearer "+r.token)
	}
	if r.method != "GET" && r.method != "HEAD" && r.key != "-" {
		if r.key == "" {
			r.key = "key-" + strconv.FormatInt(w.keys.Add(1), 10)
		}
		built.Header.Set("Idempotency-Key", r.key)
	}
	built.Header.Set("User-Agent", "test")
	for name, value := range r.header {
		built.Header.Set(name, value)
	}
	return built
}

// do sends a request and holds the answer, and the request if it was good, to
// the description.
func (w *world) do(r request) answer {
	w.t.Helper()
	sent := w.build(r)
	response, err := http.DefaultClient.Do(sent)
	require.NoError(w.t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(w.t, err)
	w.describedBy(w.build(r), response, body)
	return answer{t: w.t, status: response.StatusCode, header: response.Header, body: string(body)}
}

var validating sync.Mutex

func (w *world) describedBy(sent *http.Request, response *http.Response, body []byte) {
	w.t.Helper()
	// The pages that a test adds to the table are no part of the description.
	ours := slices.ContainsFunc([]string{"/api/", "/healthz", "/openapi.yaml", "/problems/"}, func(p string) bool { return strings.HasPrefix(sent.URL.Path, p) })
	if !ours || response.StatusCode == 405 || strings.Contains(string(body), "request.no-such-route") {
		return
	}
	v, err := described()
	require.NoError(w.t, err)
	validating.Lock()
	defer validating.Unlock()
	kind, _, _ := strings.Cut(response.Header.Get("Content-Type"), ";")
	if kind == "application/json" || kind == "application/problem+json" {
		copied := *response
		copied.Body = io.NopCloser(bytes.NewReader(body))
		ok, errs := v.ValidateHttpResponse(sent, &copied)
		for _, e := range errs {
			w.t.Errorf("%s %s: %d %s: the answer is not as described: %s: %s %v\n%s", sent.Method, sent.URL.Path, response.StatusCode, kind, e.Message, e.Reason, e.SchemaValidationErrors, body)
		}
		require.True(w.t, ok)
	}
	sentKind := sent.Header.Get("Content-Type")
	if response.StatusCode < 300 && (sentKind == "" || sentKind == "application/json") {
		_, errs := v.ValidateHttpRequestSync(sent)
		for _, e := range errs {
			w.t.Errorf("%s %s: a good request is not as described: %s: %s %v", sent.Method, sent.URL.Path, e.Message, e.Reason, e.SchemaValidationErrors)
		}
	}
}

// ok sends JSON and requires success.
func (w *world) ok(method, path, token string, body any) answer {
	w.t.Helper()
	a := w.do(request{method: method, path: path, token: token, json: body})
	require.Less(w.t, a.status, 300, "%s %s: %s", method, path, a.body)
	return a
}

func (w *world) get(path, token string) answer {
	w.t.Helper()
	return w.ok("GET", path, token, nil)
}

const letter = "Дорогие все, секретное содержание\n"

func (w *world) draft() string {
	w.t.Helper()
	id := w.ok("POST", "/api/v1/documents", w.sender.token, map[string]any{"kind": "contract", "title": "Тайный договор", "number": "СЕКР-7"}).text("id")
	w.put(id, "letter.txt", letter)
	return id
}

func (w *world) put(id, name, content string) answer {
	w.t.Helper()
	a := w.do(request{method: "PUT", path: "/api/v1/documents/" + id + "/files/" + name, token: w.sender.token, raw: []byte(content), mediaType: "text/plain; charset=utf-8"})
	require.Equal(w.t, 200, a.status, a.body)
	return a
}

// sent makes a document that has been delivered to the party for signing.
func (w *world) sent() string {
	w.t.Helper()
	id := w.draft()
	w.ok("POST", "/api/v1/documents/"+id+"/send", w.sender.token, map[string]any{"recipients": []any{map[string]any{"identifier": w.party.number, "role": "sign"}}})
	require.NoError(w.t, w.ledger.DeliverDue(context.Background(), id))
	return id
}

func (w *world) cms(p person, content string) []byte {
	w.t.Helper()
	signed, err := cms.Sign(context.Background(), cms.SignOptions{
		Content: strings.NewReader(content), Signers: []cms.SignerOptions{{Certificate: p.key.Certificate, Key: p.key.Key}},
	})
	require.NoError(w.t, err)
	return signed
}

func (w *world) signatures(p person, content string) any {
	return []any{map[string]any{"file": "letter.txt", "cms": w.cms(p, content)}}
}

// footprint is what is stored: for showing that nothing was half-written.
func (w *world) footprint() (eventstore.Position, int) {
	w.t.Helper()
	end, err := w.store.End(context.Background())
	require.NoError(w.t, err)
	count := 0
	for _, err := range w.blobs.All(context.Background()) {
		require.NoError(w.t, err)
		count++
	}
	return end, count
}

// typesSince lists the types of the events after a position.
func (w *world) typesSince(after eventstore.Position) (types []string) {
	w.t.Helper()
	for recorded, err := range w.store.ReadAll(context.Background(), after, 0) {
		require.NoError(w.t, err)
		types = append(types, recorded.Type)
	}
	return types
}

func position(a answer) string { return a.header.Get("Dalel-Position") }
