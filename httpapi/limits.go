package httpapi

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"dalel/internal/fault"

	"github.com/labstack/echo/v4"
)

// Limits say how much of a node one address, one participant and all together
// may take. Each node counts for itself. A member that is 0 has its default.
type Limits struct {
	// Connections are those open at the same time, ConnectionsPerAddress those
	// of one address. Beyond them the one that has been idle longest is closed.
	Connections           int `json:"connections,omitempty"`
	ConnectionsPerAddress int `json:"connectionsPerAddress,omitempty"`
	// Requests are answered at the same time, RequestsPerCaller for one token
	// or, without one, one address, RequestsPerParticipant for one participant.
	Requests               int `json:"requests,omitempty"`
	RequestsPerCaller      int `json:"requestsPerCaller,omitempty"`
	RequestsPerParticipant int `json:"requestsPerParticipant,omitempty"`
	// UploadsPerParticipant are files that come in at the same time,
	// PartsPerParticipant downloads of a part of a file, for which the node
	// reads the whole of it.
	UploadsPerParticipant int `json:"uploadsPerParticipant,omitempty"`
	PartsPerParticipant   int `json:"partsPerParticipant,omitempty"`
	// Builds are packets, extracts, journals and records of renewals that are
	// made at the same time; DownloadsPerParticipant are finished ones that are
	// being sent.
	Builds                  int `json:"builds,omitempty"`
	BuildsPerParticipant    int `json:"buildsPerParticipant,omitempty"`
	DownloadsPerParticipant int `json:"downloadsPerParticipant,omitempty"`
	// Streams are live streams, StreamsPerToken those of one token.
	Streams         int `json:"streams,omitempty"`
	StreamsPerToken int `json:"streamsPerToken,omitempty"`
	// RequestsPerMinute are of one participant or, without a token, of one
	// address; CommandsPerMinute and DraftsPerMinute of one participant. A
	// minute's worth may come at once. They do not hold the operator.
	RequestsPerMinute int `json:"requestsPerMinute,omitempty"`
	CommandsPerMinute int `json:"commandsPerMinute,omitempty"`
	DraftsPerMinute   int `json:"draftsPerMinute,omitempty"`
	// MebibytesPerMinute are of files that one participant sends or has read
	// for it.
	MebibytesPerMinute int `json:"mebibytesPerMinute,omitempty"`
	// UnknownPerMinute are tokens, and numbers of documents, of one address that
	// are not known here.
	UnknownPerMinute int `json:"unknownPerMinute,omitempty"`
	// BodyBytesPerSecond is the least rate at which a body comes in, and
	// AnswerBytesPerSecond the least at which an answer is taken, with
	// GraceSeconds for what stops meanwhile.
	BodyBytesPerSecond   int `json:"bodyBytesPerSecond,omitempty"`
	AnswerBytesPerSecond int `json:"answerBytesPerSecond,omitempty"`
	GraceSeconds         int `json:"graceSeconds,omitempty"`
}

// DefaultLimits are those of a node that nothing else is said of. They leave
// room for several people behind one address, and for a token that cannot be
// guessed.
func DefaultLimits() Limits {
	return Limits{
		Connections: 4096, ConnectionsPerAddress: 512,
		Requests: 1024, RequestsPerCaller: 64, RequestsPerParticipant: 128,
		UploadsPerParticipant: 8, PartsPerParticipant: 2,
		Builds: 6, BuildsPerParticipant: 2, DownloadsPerParticipant: 8,
		Streams: 256, StreamsPerToken: 5,
		RequestsPerMinute: 6000, CommandsPerMinute: 1200, DraftsPerMinute: 300, MebibytesPerMinute: 8192,
		UnknownPerMinute:   60,
		BodyBytesPerSecond: 16 << 10, AnswerBytesPerSecond: 8 << 10, GraceSeconds: 30,
	}
}

// maxLimit is the most that any limit may say.
const maxLimit = 1 << 30

// Filled returns l with defaults for what is 0. Errors: config.invalid for what
// cannot be: a number below 0 or far too large, or a share above the whole.
func (l Limits) Filled() (Limits, error) {
	given, defaults := reflect.ValueOf(&l).Elem(), reflect.ValueOf(DefaultLimits())
	for i := range given.NumField() {
		name, value := member(given.Type().Field(i)), given.Field(i)
		if value.Int() < 0 || value.Int() > maxLimit {
			return l, fault.New(fault.ConfigInvalid, "the limit %s is %d; it is 1 to %d, or 0 for the default", name, value.Int(), maxLimit)
		}
		if value.Int() == 0 {
			value.Set(defaults.Field(i))
		}
	}
	for _, pair := range []struct {
		part, whole   int
		ofPart, ofAll string
	}{
		{l.ConnectionsPerAddress, l.Connections, "connectionsPerAddress", "connections"},
		{l.BuildsPerParticipant, l.Builds, "buildsPerParticipant", "builds"},
		{l.StreamsPerToken, l.Streams, "streamsPerToken", "streams"},
	} {
		if pair.part > pair.whole {
			return l, fault.New(fault.ConfigInvalid, "the limit %s (%d) is above %s (%d)", pair.ofPart, pair.part, pair.ofAll, pair.whole)
		}
	}
	return l, nil
}

// member is how a limit is called in the settings.
func member(field reflect.StructField) string {
	name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	return name
}

// grace is GraceSeconds.
func (l Limits) grace() time.Duration { return time.Duration(l.GraceSeconds) * time.Second }

// rates hold each of many to so much a minute. A minute's worth may come at
// once.
type rates struct {
	perMinute float64

	mu sync.Mutex
	of map[string]*bucket
}

type bucket struct {
	left float64
	at   time.Time
}

// maxCounted bounds the memory of counting: how many are told apart.
const maxCounted = 10_000

func newRates(perMinute int) *rates {
	return &rates{perMinute: float64(perMinute), of: map[string]*bucket{}}
}

// take takes n of what is left to someone, or says after how long there is
// something again. Where something is left all of n may be taken: a file may be
// larger than a minute's worth, and what comes after it waits the longer.
func (r *rates) take(someone string, n float64, now time.Time) (wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	one := r.bucket(someone, now)
	if one.left < min(1, n) {
		return time.Duration((1 - one.left) / r.perMinute * float64(time.Minute))
	}
	one.left -= n
	return 0
}

// bucket is what is left to someone now.
func (r *rates) bucket(someone string, now time.Time) *bucket {
	one := r.of[someone]
	if one == nil {
		if len(r.of) >= maxCounted {
			r.forget(now)
		}
		one = &bucket{left: r.perMinute, at: now}
		r.of[someone] = one
	}
	if passed := now.Sub(one.at); passed > 0 {
		one.left, one.at = min(r.perMinute, one.left+passed.Minutes()*r.perMinute), now
	}
	return one
}

// forget makes room: first those who have all of it again, and under an attack
// from everywhere all, since forgetting is better than growing.
func (r *rates) forget(now time.Time) {
	for someone, one := range r.of {
		if one.left+now.Sub(one.at).Minutes()*r.perMinute >= r.perMinute {
			delete(r.of, someone)
		}
	}
	if len(r.of) >= maxCounted {
		clear(r.of)
	}
}

// throttled refuses a request for a while.
func throttled(c echo.Context, wait time.Duration, detail string, args ...any) error {
	seconds := max(1, int(math.Ceil(wait.Seconds())))
	c.Response().Header().Set("Retry-After", strconv.Itoa(seconds))
	return fault.New(fault.Throttled, detail, args...)
}

// failures counts unknown tokens by address, in windows of a minute. It
// bounds what guessing costs us; guessing itself is hopeless.
type failures struct {
	mu    sync.Mutex
	limit int
	of    map[string]failed
}

type failed struct {
	count int
	until time.Time
}

// tooMany returns how long an address has no further try.
func (f *failures) tooMany(address string, now time.Time) (wait time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	seen := f.of[address]
	if seen.count < f.limit {
		return 0
	}
	return max(0, seen.until.Sub(now))
}

func (f *failures) note(address string, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.of == nil {
		f.of = map[string]failed{}
	}
	seen := f.of[address]
	if !now.Before(seen.until) {
		seen = failed{until: now.Add(time.Minute)}
	}
	seen.count++
	if _, known := f.of[address]; !known && len(f.of) >= maxCounted {
		for other, entry := range f.of {
			if !now.Before(entry.until) {
				delete(f.of, other)
			}
		}
		if len(f.of) >= maxCounted {
			// Under an attack from everywhere, forgetting is better than
			// growing.
			clear(f.of)
		}
	}
	f.of[address] = seen
}

// methodName keeps made-up methods out of the logs.
func methodName(method string) string {
	if slices.Contains([]string{"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"}, method) {
		return method
	}
	return "other"
}

func typeName(value any) string { return fmt.Sprintf("%T", value) }
