// Package slots bounds how much is done at the same time, in all and for each
// of those for whom it is done: nobody takes all of it.
package slots

import (
	"context"
	"sync"
)

// Slots are places for work. They may be used from many goroutines.
type Slots struct {
	total, each int

	mu   sync.Mutex
	open int
	of   map[string]int
	// freed is closed when a place becomes free, and made anew.
	freed chan struct{}
}

// New makes places: total in all and each for one holder; 0 for no bound.
func New(total, each int) *Slots {
	return &Slots{total: total, each: each, of: map[string]int{}, freed: make(chan struct{})}
}

// Enter takes a place for a holder if there is one. The caller must call leave,
// which may be called again, when it returns true.
func (s *Slots) Enter(holder string) (leave func(), ok bool) {
	leave, _ = s.take(holder)
	return leave, leave != nil
}

// Wait takes a place for a holder as soon as there is one. The caller must call
// leave, which may be called again, unless there is an error: the context's.
func (s *Slots) Wait(ctx context.Context, holder string) (leave func(), err error) {
	for {
		leave, freed := s.take(holder)
		if leave != nil {
			return leave, nil
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// take returns how to leave, or else what is closed when it is worth to ask again.
func (s *Slots) take(holder string) (leave func(), freed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.total > 0 && s.open >= s.total || s.each > 0 && s.of[holder] >= s.each {
		return nil, s.freed
	}
	s.open++
	s.of[holder]++
	return sync.OnceFunc(func() { s.leave(holder) }), nil
}

func (s *Slots) leave(holder string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
	if s.of[holder]--; s.of[holder] == 0 {
		delete(s.of, holder)
	}
	close(s.freed)
	s.freed = make(chan struct{})
}

// Open returns how many places are taken.
func (s *Slots) Open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open
}
