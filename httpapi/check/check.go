// Package check answers outsiders who upload something to have it checked
// (R-M3): a file, which is compared with what the ledger keeps, or a proof
// packet, which is verified as `dalel verify` does it. The JSON interface and
// the public page both ask one [Checker], so that its limits are those of both.
//
// Anybody may ask, so everything is bounded: the size, the time, how many are
// answered at once in all and for one address, how many an address may ask for
// in a minute, the memory and the time that looking into something takes. A file
// is hashed while it comes in and never kept; of one that looks as if it carried
// signatures the first [MaxInside] bytes are held in memory while it is judged.
// A packet lies in a temporary file that has no name any more when the first
// byte is written to it: whatever happens, it is gone when the answer is.
// Nothing of what is uploaded is logged, and nothing is fetched on behalf of who
// asks.
//
// What is told of a document is [ledger.FileView]; see there for why a file that
// can be guessed is no way to find out more.
package check

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"sync"
	"time"

	"dalel/domain/checkpoint"
	"dalel/domain/document"
	"dalel/domain/ledger"
	"dalel/domain/packet"
	"dalel/domain/signature"
	"dalel/eventstore"
	"dalel/internal/fault"
)

// Bounds of what is taken.
const (
	// DefaultFile is how large a file may be. The ledger takes larger ones from
	// its participants; their SHA-256 can be compared by the document's number.
	DefaultFile = 100 << 20
	// DefaultPacket is how large a packet may be; `dalel verify` takes any.
	DefaultPacket = 64 << 20
	// MaxInside is how large a file may be that is searched for signatures
	// inside.
	MaxInside = 16 << 20
	// MaxDocuments is how many documents with one file are shown.
	MaxDocuments = 10
	// MaxShown is how many problems, doubts and signers of a packet are shown.
	MaxShown = 100
)

// Defaults of [Config].
const (
	// DefaultWithin is how long an upload may take: 100 MiB need 3 Mbit/s.
	DefaultWithin = 5 * time.Minute
	// DefaultAtOnce bounds the memory: MaxInside for each, about twice.
	DefaultAtOnce     = 8
	DefaultAtOnceEach = 2
	DefaultEachMinute = 20
	// DefaultThinking bounds the time for looking into what was uploaded.
	DefaultThinking = 30 * time.Second
	// thinkers is how many are looked into at the same time.
	thinkers = 2
)

// Ledger is what is asked of the ledger; *ledger.Ledger does it.
type Ledger interface {
	CheckFile(ctx context.Context, sha256 string, documents []string) ([]ledger.FileView, error)
}

// Index is what is asked of the read models; *projections.Models does it.
type Index interface {
	DocumentsWith(ctx context.Context, sha256 string, limit int) ([]string, error)
}

// Log is what is asked of the transparency log; *transparency.Log does it.
type Log interface {
	Locate(ctx context.Context, recorded eventstore.Recorded) (uint64, error)
	Newest() checkpoint.Signed
}

// Config is what a checker is made of. Ledger and Index are needed.
type Config struct {
	Ledger Ledger
	Index  Index
	// Log is nil where the ledger keeps no transparency log: nothing is said of
	// one then.
	Log Log
	// Policy has the ledger's own anchors, for signatures inside a file; one
	// without anchors if nil.
	Policy *signature.Policy
	// Trust are the same anchors and the ledger's own seals, for packets.
	Trust packet.Trust
	// Folder is where packets lie while they are verified; "" is the system's
	// folder for temporary files.
	Folder string
	// Clock is time.Now unless set.
	Clock func() time.Time

	// MaxFile and MaxPacket are in bytes, Within and Thinking how long an upload
	// and looking into it may take. AtOnce are answered at the same time,
	// AtOnceEach of one address, and EachMinute of one address in a minute. 0 for
	// the defaults.
	MaxFile, MaxPacket             int64
	Within, Thinking               time.Duration
	AtOnce, AtOnceEach, EachMinute int
}

// Checker checks what is uploaded. It may be used from many goroutines.
type Checker struct {
	Config
	gate  gate
	think chan struct{}
}

// New makes a checker. Errors: config.invalid.
func New(config Config) (*Checker, error) {
	if config.Ledger == nil || config.Index == nil {
		return nil, fault.New(fault.ConfigInvalid, "the check of uploads needs Ledger and Index")
	}
	if config.Policy == nil {
		config.Policy = &signature.Policy{}
	}
	if config.Clock == nil {
		config.Clock = time.Now
	}
	fill(&config.MaxFile, DefaultFile)
	fill(&config.MaxPacket, DefaultPacket)
	fill(&config.Within, DefaultWithin)
	fill(&config.Thinking, DefaultThinking)
	fill(&config.AtOnce, DefaultAtOnce)
	fill(&config.AtOnceEach, DefaultAtOnceEach)
	fill(&config.EachMinute, DefaultEachMinute)
	return &Checker{
		Config: config, think: make(chan struct{}, thinkers),
		gate: gate{atOnce: config.AtOnce, each: config.AtOnceEach, minute: config.EachMinute},
	}, nil
}

func fill[N int | int64 | time.Duration](value *N, otherwise N) {
	if *value <= 0 {
		*value = otherwise
	}
}

// Bounds are what a request may be.
type Bounds struct {
	// File and Packet are in bytes.
	File, Packet int64
	// Within is how long an upload may take.
	Within time.Duration
}

// Bounds says what a request may be.
func (c *Checker) Bounds() Bounds { return Bounds{c.MaxFile, c.MaxPacket, c.Within} }

// Enter admits a request of an address, before anything of its body is read;
// leave must follow. The error is request.throttled.
func (c *Checker) Enter(address string) (leave func(), err error) {
	return c.gate.enter(Neighbourhood(address), c.Clock())
}

// Document is a document with the file.
type Document struct {
	ledger.FileView
	// Log is nil where nothing can be said: the ledger keeps no log, or the
	// document is withheld.
	Log *Logged `json:"log,omitempty"`
}

// Logged says whether the event by which a document was completed is in the
// transparency log.
type Logged struct {
	Covered bool `json:"covered"`
	// Size is how many events the newest checkpoint covers.
	Size uint64 `json:"size"`
}

// File is the answer for a file.
type File struct {
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
	// Documents are the completed documents that have a file with exactly these
	// bytes, the oldest first; More says that there are more than are shown.
	Documents []Document `json:"documents"`
	More      bool       `json:"more"`
	// Inside is what can be said of the signatures in the file itself, nil if
	// there are none.
	Inside *Inside `json:"inside,omitempty"`
}

// File checks a file as it comes in. Errors: file.too-large, file.invalid (it
// is empty), those of from, of the ledger and of the context.
func (c *Checker) File(ctx context.Context, from io.Reader) (File, error) {
	hash, held := sha256.New(), holder{limit: MaxInside}
	n, err := io.Copy(io.MultiWriter(hash, &held), io.LimitReader(from, c.MaxFile+1))
	if err != nil {
		return File{}, fmt.Errorf("read a file to be checked: %w", err)
	}
	switch {
	case n > c.MaxFile:
		return File{}, fault.New(fault.FileTooLarge, "a file of at most %d bytes is checked here", c.MaxFile)
	case n == 0:
		return File{}, fault.New(fault.FileInvalid, "the file is empty")
	}
	answer := File{SHA256: hex.EncodeToString(hash.Sum(nil)), Size: n, Documents: []Document{}}
	ids, err := c.Index.DocumentsWith(ctx, answer.SHA256, MaxDocuments+1)
	if err != nil {
		return File{}, err
	}
	if answer.More = len(ids) > MaxDocuments; answer.More {
		ids = ids[:MaxDocuments]
	}
	views, err := c.Ledger.CheckFile(ctx, answer.SHA256, ids)
	if err != nil {
		return File{}, err
	}
	for _, view := range views {
		one := Document{FileView: view}
		if !view.Withheld {
			if one.Log, err = c.logged(ctx, view.Completion); err != nil {
				return File{}, err
			}
		}
		answer.Documents = append(answer.Documents, one)
	}
	if answer.Inside, err = c.inside(ctx, &held); err != nil {
		return File{}, err
	}
	return answer, nil
}

func (c *Checker) logged(ctx context.Context, completion eventstore.Recorded) (*Logged, error) {
	if c.Log == nil {
		return nil, nil
	}
	_, err := c.Log.Locate(ctx, completion)
	if err != nil && !fault.Is(err, fault.LogNotCovered) {
		return nil, err
	}
	return &Logged{Covered: err == nil, Size: c.Log.Newest().Size}, nil
}

// Packet is the answer for a proof packet: what was found, and who signed as the
// packet itself opens it to whoever holds it. It has nothing of its manifest.
type Packet struct {
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
	// Status is the outcome by this ledger's own anchors.
	Status packet.Status  `json:"status"`
	Claims []packet.Claim `json:"claims"`
	// Lacks say what it lacks to be good.
	Lacks []packet.Lack `json:"lacks"`
	// Problems, Doubts, Signers and Disputed are at most MaxShown each; More says
	// that there are more of one of them.
	Problems []packet.Problem  `json:"problems"`
	Doubts   []packet.Problem  `json:"doubts"`
	Signers  []packet.Signer   `json:"signers"`
	Disputed []packet.Disputed `json:"disputed"`
	More     bool              `json:"more"`
	// Unproven says what the verification does not prove.
	Unproven []packet.Limit `json:"unproven"`
	// Lost and Doubted are how many of its signatures have lost their force or
	// are in doubt, as the packet itself shows.
	Lost    int `json:"lost"`
	Doubted int `json:"doubted"`
}

// Packet verifies a packet by this ledger's own anchors. Errors:
// request.too-large, packet.unreadable, unavailable (verifying took too long),
// those of from and of the disk.
func (c *Checker) Packet(ctx context.Context, from io.Reader) (Packet, error) {
	spool, done, err := c.spool()
	if err != nil {
		return Packet{}, err
	}
	defer done()
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(hash, spool), io.LimitReader(from, c.MaxPacket+1))
	if err != nil {
		return Packet{}, fmt.Errorf("read a packet to be checked: %w", err)
	}
	if n > c.MaxPacket {
		return Packet{}, fault.New(fault.RequestTooLarge, "a packet of at most %d bytes is checked here; dalel verify takes any", c.MaxPacket)
	}
	answer := Packet{SHA256: hex.EncodeToString(hash.Sum(nil)), Size: n}
	err = c.thinking(ctx, func(ctx context.Context) error {
		report, err := packet.Verify(ctx, spool, n, packet.Options{Trust: c.Trust})
		if err != nil {
			return err
		}
		answer.take(report)
		return nil
	})
	if err != nil {
		return Packet{}, err
	}
	return answer, nil
}

// take shows a report, as far as it goes.
func (p *Packet) take(report packet.Report) {
	for _, d := range report.Disputed {
		if d.Force == document.ForceLost {
			p.Lost++
		} else {
			p.Doubted++
		}
	}
	p.Status, p.Claims, p.Lacks, p.Unproven = report.Status, report.Claims, report.Lacks, report.Unproven
	p.Problems = shown(report.Problems, &p.More)
	p.Doubts = shown(report.Doubts, &p.More)
	p.Signers = shown(report.Signers, &p.More)
	p.Disputed = shown(report.Disputed, &p.More)
}

// shown is the beginning of a list; more says that there is more of it.
func shown[E any](list []E, more *bool) []E {
	if len(list) <= MaxShown {
		return list
	}
	*more = true
	return list[:MaxShown]
}

// spool makes a temporary file without a name: the system takes it back when it
// is closed, or the process ends. Where an open file cannot lose its name it
// does so when it is closed.
func (c *Checker) spool() (file *os.File, done func(), err error) {
	file, err = os.CreateTemp(c.Folder, "dalel-check-*")
	if err != nil {
		return nil, nil, fmt.Errorf("make room for a packet: %w", err)
	}
	left := os.Remove(file.Name())
	return file, func() {
		// Nobody reads it any more, so no failure matters.
		_ = file.Close()
		if left != nil {
			_ = os.Remove(file.Name())
		}
	}, nil
}

// thinking runs work that takes processor and memory, a few at a time and each
// for a bounded time.
func (c *Checker) thinking(ctx context.Context, work func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, c.Thinking)
	defer cancel()
	select {
	case c.think <- struct{}{}:
		defer func() { <-c.think }()
	case <-ctx.Done():
		return fault.Wrap(fault.Unavailable, ctx.Err(), "others are being checked; try again")
	}
	err := work(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return fault.Wrap(fault.Unavailable, err, "checking it took longer than is spent on it here")
	}
	return err
}

// gate counts who asks.
type gate struct {
	atOnce, each, minute int

	mu    sync.Mutex
	open  int
	asked map[string]*asker
}

type asker struct {
	open, count int
	// until is when count begins anew.
	until time.Time
}

// maxAskers bounds the memory of a gate.
const maxAskers = 10_000

func (g *gate) enter(address string, now time.Time) (leave func(), err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.asked == nil {
		g.asked = map[string]*asker{}
	}
	one := g.asked[address]
	if one == nil {
		if len(g.asked) >= maxAskers {
			g.forget(now)
		}
		one = &asker{}
		g.asked[address] = one
	}
	if !now.Before(one.until) {
		one.count, one.until = 0, now.Add(time.Minute)
	}
	switch {
	case one.count >= g.minute:
		return nil, fault.New(fault.Throttled, "at most %d uploads a minute are checked for one address", g.minute)
	case one.open >= g.each:
		return nil, fault.New(fault.Throttled, "at most %d uploads at once are checked for one address", g.each)
	case g.open >= g.atOnce:
		return nil, fault.New(fault.Throttled, "too many uploads are being checked; try again")
	}
	one.count++
	one.open++
	g.open++
	return sync.OnceFunc(func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		one.open--
		g.open--
	}), nil
}

// forget makes room: first those whose minute is over, and under an attack from
// everywhere all but those who are being answered.
func (g *gate) forget(now time.Time) {
	for _, all := range []bool{false, true} {
		for address, one := range g.asked {
			if one.open == 0 && (all || !now.Before(one.until)) {
				delete(g.asked, address)
			}
		}
		if len(g.asked) < maxAskers {
			return
		}
	}
}

// Neighbourhood is what counts as one address: of IPv6 the /64 that one customer
// has.
func Neighbourhood(address string) string {
	parsed, err := netip.ParseAddr(address)
	if err != nil || parsed.Unmap().Is4() {
		return address
	}
	prefix, err := parsed.WithZone("").Prefix(64)
	if err != nil {
		return address
	}
	return prefix.String()
}
