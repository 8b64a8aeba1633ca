package authorities

import (
	"sync"
	"time"
)

// When a service is left alone.
const (
	// patience is how many failures running are borne.
	patience = 3
	// firstPause is for how long a service is left alone then; it doubles.
	firstPause = 2 * time.Second
	// DefaultMaxPause bounds it.
	DefaultMaxPause = time.Minute
)

// gates remember which services have failed.
type gates struct {
	longest time.Duration

	mu  sync.Mutex
	all map[string]*gate
}

// maxGates bounds how many are remembered. Addresses come from few authorities.
const maxGates = 1024

type gate struct {
	failures int
	until    time.Time
	trying   bool
}

// enter says whether a service may be asked. Whoever was let in must leave.
func (g *gates) enter(name string, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	one := g.all[name]
	if one == nil || one.failures < patience {
		return true
	}
	if now.Before(one.until) || one.trying {
		return false
	}
	one.trying = true
	return true
}

// leave notes how it went; after is how long the service asks to be left alone.
func (g *gates) leave(name string, now time.Time, failed bool, after time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !failed {
		delete(g.all, name)
		return
	}
	one := g.all[name]
	if one == nil {
		if g.all == nil || len(g.all) >= maxGates {
			g.all = map[string]*gate{}
		}
		one = &gate{}
		g.all[name] = one
	}
	one.trying = false
	one.failures++
	if one.failures < patience {
		return
	}
	pause := g.longest
	if doublings := one.failures - patience; doublings < 16 {
		pause = min(pause, firstPause<<doublings)
	}
	one.until = now.Add(min(max(pause, after), g.longest))
}
