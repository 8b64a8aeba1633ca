package witness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/time/rate"

	"dalel/internal/cosignature"
	"dalel/internal/fault"
)

// Options say who a [Server] is, which logs it watches and how much it takes.
type Options struct {
	// Key is what it cosigns with.
	Key cosignature.Key
	// Logs are the public keys of the logs that it watches, as vkeys. A log's
	// origin is its key's name; several keys of one name are one log, so that
	// a log can change its key.
	Logs []string
	// State is where it remembers. Nobody else may write there.
	State State
	// Now is the clock; time.Now unless set.
	Now func() time.Time
	// Logger gets what an operator must know; nothing unless set.
	Logger *slog.Logger
	// PerSecond bounds how often one log's tree may grow here, AllPerSecond
	// the requests of all that are read. 5 and 100 unless set; twice as many
	// may come at once.
	PerSecond, AllPerSecond float64
}

const (
	// fresh is for how long an answer is given again to who asks about the
	// same checkpoint. Anybody can repeat a public checkpoint; that must not
	// cost a write each time, nor use up what the log may ask for.
	fresh = 10 * time.Second
	// atOnce bounds the requests that are worked on together.
	atOnce = 64
)

// Server is a witness: an http.Handler with
//
//	POST /add-checkpoint                               C2SP tlog-witness
//	GET  /<SHA-256 of the origin>/checkpoint           the last checkpoint cosigned, for monitors
//
// What is trusted is closed: it answers with a cosignature only after the
// checkpoint is durable in its State, it looks at one request of a log at a
// time from the check to the write, and a log whose state it cannot read, or
// of which it does not know what is on disk, gets status 500 until the witness
// is started again. Make one with [NewServer].
type Server struct {
	key   cosignature.Key
	own   note.Verifier
	state State
	now   clock
	log   *slog.Logger
	logs  map[string]*watched // by origin
	named map[string]*watched // by hash of the origin
	all   *rate.Limiter
	slots chan struct{}
	mux   *http.ServeMux
}

// watched is one log. mu is held from the check to the answer.
type watched struct {
	origin string
	keys   []note.Verifier
	limit  *rate.Limiter

	mu     sync.Mutex
	last   last
	broken error // why nothing is cosigned any more
}

// last is the last checkpoint cosigned; the zero value is none.
type last struct {
	cosignature.Checkpoint
	signed []byte // with the log's signatures and ours
	line   []byte // ours
	at     time.Time
}

// NewServer makes a witness and reads what it remembers. Errors: what is wrong
// with the options as witness.key-invalid; witness.state-unreadable if the
// state of any log does not bear the witness's own cosignature.
func NewServer(o Options) (*Server, error) {
	if o.Key.IsZero() {
		return nil, fault.New(cosignature.KeyInvalid, "a witness needs a key")
	}
	own, err := o.Key.Verifier()
	if err != nil {
		return nil, err
	}
	s := &Server{
		key: o.Key, own: own, state: o.State, now: o.Now, log: o.Logger,
		logs: map[string]*watched{}, named: map[string]*watched{},
		slots: make(chan struct{}, atOnce), mux: http.NewServeMux(),
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	perSecond := limitOr(o.PerSecond, 5)
	s.all = limiter(limitOr(o.AllPerSecond, 100))
	for _, vkey := range o.Logs {
		verifier, err := cosignature.ParseLogKey(vkey)
		if err != nil {
			return nil, err
		}
		w := s.logs[verifier.Name()]
		if w == nil {
			w = &watched{origin: verifier.Name(), limit: limiter(perSecond)}
			s.logs[w.origin], s.named[OriginHash(w.origin)] = w, w
		}
		w.keys = append(w.keys, verifier)
	}
	for _, w := range s.logs {
		if w.last, err = s.recall(w.origin); err != nil {
			return nil, err
		}
	}
	s.mux.HandleFunc("POST /add-checkpoint", s.addCheckpoint)
	s.mux.HandleFunc("GET /{log}/checkpoint", s.checkpoint)
	return s, nil
}

func limitOr(perSecond, otherwise float64) float64 {
	if perSecond <= 0 {
		return otherwise
	}
	return perSecond
}

func limiter(perSecond float64) *rate.Limiter {
	return rate.NewLimiter(rate.Limit(perSecond), max(1, int(2*perSecond)))
}

// recall reads the state of a log. It must bear our own cosignature: what does
// not was not written by this witness.
func (s *Server) recall(origin string) (last, error) {
	signed, err := s.state.Load(origin)
	if err != nil || signed == nil {
		return last{}, err
	}
	unreadable := func(format string, args ...any) (last, error) {
		return last{}, fault.New(StateUnreadable, "the state of %q: %s", origin, fmt.Sprintf(format, args...))
	}
	c, n, err := cosignature.OpenCheckpoint(signed, s.own)
	if err != nil {
		return unreadable("%v", err)
	}
	if c.Origin != origin {
		return unreadable("it is the state of %q", c.Origin)
	}
	at, err := cosignature.CosignedAt(n.Sigs[0])
	if err != nil {
		return unreadable("%v", err)
	}
	line, err := cosignature.LineOf(n.Sigs[0])
	if err != nil {
		return unreadable("%v", err)
	}
	return last{Checkpoint: c, signed: signed, line: line, at: at}, nil
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// refusal is an answer other than a cosignature.
type refusal struct {
	status int
	text   string
	// size is told with status 409.
	size int64
}

func (s *Server) addCheckpoint(w http.ResponseWriter, r *http.Request) {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		answer(w, refusal{status: http.StatusServiceUnavailable, text: "too many requests at once"})
		return
	}
	if !s.all.AllowN(s.now(), 1) {
		answer(w, refusal{status: http.StatusTooManyRequests, text: "too many requests"})
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, cosignature.MaxRequest))
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			answer(w, refusal{status: http.StatusRequestEntityTooLarge, text: fmt.Sprintf("a request has at most %d bytes", cosignature.MaxRequest)})
			return
		}
		answer(w, refusal{status: http.StatusBadRequest, text: "the request was cut off"})
		return
	}
	line, refused := s.consider(r.Context(), body)
	if refused != nil {
		answer(w, *refused)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(line) // the client has gone, or it has it
}

func answer(w http.ResponseWriter, r refusal) {
	text := r.text + "\n"
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	switch r.status {
	case http.StatusConflict:
		w.Header().Set("Content-Type", "text/x.tlog.size")
		text = strconv.FormatInt(r.size, 10) + "\n"
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "1")
	}
	w.WriteHeader(r.status)
	_, _ = io.WriteString(w, text) // the client has gone, or it has it
}

// consider is the witness's whole judgement, in the order of tlog-witness: can
// it be read (400), is the log known (404), is it the log that speaks (403),
// is it from where we stand (409), is the tree that we know its beginning
// (422). It returns the cosignature's line.
func (s *Server) consider(ctx context.Context, body []byte) ([]byte, *refusal) {
	request, err := cosignature.ParseRequest(body)
	if err != nil {
		return nil, &refusal{status: http.StatusBadRequest, text: detail(err)}
	}
	text, err := cosignature.TextOf(request.Checkpoint)
	if err != nil {
		return nil, &refusal{status: http.StatusBadRequest, text: detail(err)}
	}
	next, err := cosignature.ParseCheckpoint(text)
	if err != nil {
		return nil, &refusal{status: http.StatusBadRequest, text: detail(err)}
	}
	w := s.logs[next.Origin]
	if w == nil {
		return nil, &refusal{status: http.StatusNotFound, text: "this witness does not watch the log of this origin"}
	}
	_, opened, err := cosignature.OpenCheckpoint(request.Checkpoint, w.keys...)
	if err != nil {
		var unverified *note.UnverifiedNoteError
		var wrong *note.InvalidSignatureError
		if errors.As(err, &unverified) || errors.As(err, &wrong) {
			return nil, &refusal{status: http.StatusForbidden, text: "no key that this witness knows of this log has signed the checkpoint"}
		}
		return nil, &refusal{status: http.StatusBadRequest, text: "the checkpoint is not a signed note"}
	}
	signed, err := signedBy(opened)
	if err != nil {
		return nil, &refusal{status: http.StatusBadRequest, text: detail(err)}
	}
	if request.OldSize > next.Size {
		return nil, &refusal{status: http.StatusBadRequest, text: "the old size is larger than the checkpoint's"}
	}

	// From here on one request of this log at a time: what is compared below
	// is still true when the new checkpoint is written.
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken != nil {
		return nil, &refusal{status: http.StatusInternalServerError, text: "this witness cannot tell what it has cosigned of this log; its operator has to start it again"}
	}
	if err := ctx.Err(); err != nil { // it waited, and nobody waits for it
		return nil, &refusal{status: http.StatusServiceUnavailable, text: "the request was given up"}
	}
	known := w.last.Checkpoint
	if w.last.signed != nil && next.Size == known.Size && next.Root != known.Root {
		s.conflict(ctx, w, signed)
	}
	if request.OldSize != known.Size {
		return nil, &refusal{status: http.StatusConflict, size: known.Size}
	}
	if err := follows(known, next, request.Proof); err != nil {
		s.log.WarnContext(ctx, "a checkpoint does not follow from the one cosigned last", "origin", w.origin, "size", next.Size, "cosigned", known.Size, "reason", err.Error())
		return nil, &refusal{status: http.StatusUnprocessableEntity, text: err.Error()}
	}
	now := s.now()
	if next.Text() == known.Text() && !now.Before(w.last.at) && now.Sub(w.last.at) < fresh {
		return w.last.line, nil
	}
	if !w.limit.AllowN(now, 1) {
		return nil, &refusal{status: http.StatusTooManyRequests, text: "too many checkpoints of this log"}
	}
	if now.Unix() <= 0 {
		s.log.ErrorContext(ctx, "the clock is not set, so nothing is cosigned", "clock", now)
		return nil, &refusal{status: http.StatusInternalServerError, text: "this witness does not know the time"}
	}
	if now.Before(w.last.at) { // the clock was set back; time does not go back between cosignatures
		now = w.last.at
	}
	line := s.key.Cosign(opened.Text, now)
	signed = append(signed, line...)
	if err := s.state.Save(w.origin, signed); err != nil {
		if errors.Is(err, ErrUnsure) {
			w.broken = err
		}
		s.log.ErrorContext(ctx, "the checkpoint could not be kept, so it was not cosigned", "origin", w.origin, "size", next.Size, "error", err)
		return nil, &refusal{status: http.StatusInternalServerError, text: "this witness could not keep the checkpoint, so it did not cosign it"}
	}
	w.last = last{Checkpoint: next, signed: signed, line: line, at: now.UTC()}
	return line, nil
}

// conflict keeps the proof that a log has signed two trees of one size.
func (s *Server) conflict(ctx context.Context, w *watched, theirs []byte) {
	s.log.ErrorContext(ctx, "a log has signed two trees of one size", "origin", w.origin, "size", w.last.Size)
	if err := s.state.KeepConflict(w.origin, w.last.signed, theirs); err != nil {
		s.log.ErrorContext(ctx, "the two checkpoints could not be kept", "origin", w.origin, "error", err)
	}
}

// follows says why next does not follow from known by proof, nil if it does.
func follows(known, next cosignature.Checkpoint, proof tlog.TreeProof) error {
	switch {
	case next.Size == 0 && next.Root != cosignature.EmptyRoot():
		return errors.New("a tree without leaves has the hash of nothing for its root")
	case known.Size == 0 && len(proof) > 0:
		return errors.New("nothing leads from the empty tree: the proof must be empty")
	case known.Size == 0:
		return nil
	case known.Size == next.Size && known.Root != next.Root:
		return errors.New("this witness has cosigned another tree of this size")
	case tlog.CheckTree(proof, next.Size, next.Root, known.Size, known.Root) != nil:
		return errors.New("the proof does not lead from the tree cosigned last to this one")
	}
	return nil
}

// signedBy is the note with the signatures that were verified alone.
func signedBy(n *note.Note) ([]byte, error) {
	signed := append([]byte(n.Text), '\n')
	for _, signature := range n.Sigs {
		line, err := cosignature.LineOf(signature)
		if err != nil {
			return nil, err
		}
		signed = append(signed, line...)
	}
	return signed, nil
}

// checkpoint serves the last checkpoint cosigned.
func (s *Server) checkpoint(w http.ResponseWriter, r *http.Request) {
	log := s.named[r.PathValue("log")]
	var signed []byte
	if log != nil {
		log.mu.Lock()
		signed = log.last.signed
		log.mu.Unlock()
	}
	if signed == nil {
		answer(w, refusal{status: http.StatusNotFound, text: "this witness has cosigned no checkpoint of such a log"})
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "max-age=1")
	_, _ = w.Write(signed) // the client has gone, or it has it
}

// detail is an error's text for the caller.
func detail(err error) string {
	var e *fault.Error
	if errors.As(err, &e) {
		return e.Detail
	}
	return "it cannot be read"
}
