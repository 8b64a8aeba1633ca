package httpapi

import (
	"context"
	"io"
	"math"
	"net/http"
	"os"
	"sync"
	"time"

	"dalel/domain/access"
	"dalel/httpapi/check"
	"dalel/httpapi/route"
	"dalel/internal/fault"
	"dalel/internal/slots"

	"github.com/labstack/echo/v4"
)

// places are the slots and rates of a node. A caller's own are looked at
// before those of all.
type places struct {
	// requests are by token or address, own by participant.
	requests, own *slots.Slots
	// uploads, parts, builds and downloads are by participant.
	uploads, parts, builds, downloads *slots.Slots
	streams                           *slots.Slots
	// asked are requests by participant or address; commands, drafts and
	// bytes are by participant.
	asked, commands, drafts, bytes *rates
	// failures are unknown tokens and guesses unknown numbers, by address.
	failures, guesses failures
}

func newPlaces(l Limits) *places {
	return &places{
		requests: slots.New(l.Requests, l.RequestsPerCaller), own: slots.New(0, l.RequestsPerParticipant),
		uploads: slots.New(0, l.UploadsPerParticipant), parts: slots.New(0, l.PartsPerParticipant),
		builds: slots.New(l.Builds, l.BuildsPerParticipant), downloads: slots.New(0, l.DownloadsPerParticipant),
		streams: slots.New(l.Streams, l.StreamsPerToken),
		asked:   newRates(l.RequestsPerMinute), commands: newRates(l.CommandsPerMinute), drafts: newRates(l.DraftsPerMinute),
		bytes:    newRates(int(min(int64(l.MebibytesPerMinute)<<20, math.MaxInt))),
		failures: failures{limit: l.UnknownPerMinute}, guesses: failures{limit: l.UnknownPerMinute},
	}
}

// leaving are the places that a request has taken.
type leaving []func()

func (l leaving) leave() {
	for _, one := range l {
		one()
	}
}

// hold notes a place that the request has until it is answered.
func hold(c echo.Context, leave func()) {
	held, _ := c.Get(keyPlaces).(leaving)
	c.Set(keyPlaces, append(held, leave))
}

// leavePlaces gives back the places that a request has.
func leavePlaces(c echo.Context) {
	held, _ := c.Get(keyPlaces).(leaving)
	held.leave()
}

// enter takes a request's place, before anything is asked of the store. Who
// shows a token that was issued here has places of its own, whatever others at
// the same address do; everybody else has those of the address.
func (s *Server) enter(c echo.Context, r route.Route) error {
	if r.Always {
		return nil
	}
	address := check.Neighbourhood(s.address(c.Request()))
	holder, token := "address "+address, ""
	if shown, presented := presentedToken(c.Request(), route.SessionName(c)); presented {
		var err error
		if token, err = s.Ledger.TokenID(shown); err == nil {
			holder = "token " + token
		} else if wait := s.places.failures.tooMany(address, time.Now()); wait > 0 && r.Scope != route.Public {
			c.Set(keyLockedOut, true)
			return throttled(c, wait, "too many unknown tokens from this address; try again in a minute")
		}
	}
	leave, ok := s.places.requests.Enter(holder)
	if !ok {
		return throttled(c, time.Second, "too many requests at once; try again")
	}
	hold(c, leave)
	if token != "" {
		return nil
	}
	if wait := s.places.asked.take(holder, 1, time.Now()); wait > 0 {
		return throttled(c, wait, "too many requests; at most %d in a minute are answered", s.Limits.RequestsPerMinute)
	}
	return nil
}

// enterOwn takes the places of a request whose participant is known.
func (s *Server) enterOwn(c echo.Context, r route.Route, caller route.Caller) error {
	if r.Always || !caller.SignedIn() {
		return nil
	}
	mine, now := caller.By.Participant, time.Now()
	leave, ok := s.places.own.Enter(mine)
	if !ok {
		return throttled(c, time.Second, "too many requests of this participant at once; try again")
	}
	hold(c, leave)
	if r.MaxBody > maxJSON {
		if leave, ok = s.places.uploads.Enter(mine); !ok {
			return throttled(c, time.Second, "at most %d uploads of a participant come in at once", s.Limits.UploadsPerParticipant)
		}
		hold(c, leave)
	}
	if caller.Role == access.RoleOperator {
		return nil
	}
	if wait := s.places.asked.take("participant "+mine, 1, now); wait > 0 {
		return throttled(c, wait, "too many requests; at most %d in a minute are answered", s.Limits.RequestsPerMinute)
	}
	if r.Command {
		if wait := s.places.commands.take(mine, 1, now); wait > 0 {
			return throttled(c, wait, "too many commands; at most %d in a minute are carried out", s.Limits.CommandsPerMinute)
		}
	}
	if r.MaxBody > maxJSON {
		if err := s.spend(c, caller, 0); err != nil {
			return err
		}
		bodyOf(c).counted = func(n int) { s.places.bytes.charge(mine, float64(n), time.Now()) }
	}
	return nil
}

// charge takes n whether it is left or not.
func (r *rates) charge(someone string, n float64, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bucket(someone, now).left -= n
}

// spend takes n bytes of what the caller may send or have read in a minute.
func (s *Server) spend(c echo.Context, caller route.Caller, n int64) error {
	if caller.Role == access.RoleOperator {
		return nil
	}
	now := time.Now()
	if wait := s.places.bytes.take(caller.By.Participant, 1, now); wait > 0 {
		return throttled(c, wait, "too much content; at most %d MiB of a participant in a minute", s.Limits.MebibytesPerMinute)
	}
	s.places.bytes.charge(caller.By.Participant, float64(n), now)
	return nil
}

// waitTime is how long a request waits for a place among those that take work,
// buildTime how long making an answer may take.
const (
	waitTime  = 10 * time.Second
	buildTime = 30 * time.Minute
)

// waitFor takes a place for the caller's participant. The caller must call leave
// unless there is an error.
func waitFor(c echo.Context, places *slots.Slots, caller route.Caller) (leave func(), err error) {
	waiting, stop := context.WithTimeout(c.Request().Context(), waitTime)
	defer stop()
	if leave, err = places.Wait(waiting, caller.By.Participant); err != nil {
		return nil, throttled(c, waitTime, "others are being served; try again")
	}
	return leave, nil
}

// build gives a request its turn among those whose answers are built before they
// are sent, and the time for it. Whoever has had it must leave.
func (s *Server) build(c echo.Context, caller route.Caller) (_ context.Context, leave func(), err error) {
	left, err := waitFor(c, s.places.builds, caller)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), buildTime)
	return ctx, sync.OnceFunc(func() { cancel(); left() }), nil
}

// built sends what write writes, once all of it is there: an error has its own
// answer. Its place among those that are made is given back before it is sent.
// describe sets the headers of an answer of size bytes.
func (s *Server) built(c echo.Context, caller route.Caller, write func(ctx context.Context, w io.Writer) error, describe func(size int64)) error {
	sent, ok := s.places.downloads.Enter(caller.By.Participant)
	if !ok {
		return throttled(c, time.Second, "at most %d packets of a participant are sent at once", s.Limits.DownloadsPerParticipant)
	}
	defer sent()
	if err := s.spend(c, caller, 0); err != nil {
		return err
	}
	ctx, leave, err := s.build(c, caller)
	if err != nil {
		return err
	}
	defer leave()
	file, err := os.CreateTemp(s.Folder, "dalel-packet-*.asice")
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "no room to build the packet in")
	}
	defer file.Close()
	// Without a name it is gone with the process: a packet holds clear content.
	if err := os.Remove(file.Name()); err != nil {
		return fault.Wrap(fault.Unavailable, err, "build the packet")
	}
	if err := write(ctx, file); err != nil {
		return err
	}
	leave()
	size, err := file.Seek(0, io.SeekCurrent)
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "the packet cannot be read back")
	}
	s.places.bytes.charge(caller.By.Participant, float64(size), time.Now())
	describe(size)
	return copyChecked(c, http.StatusOK, file)
}
