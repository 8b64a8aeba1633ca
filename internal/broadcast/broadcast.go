// Package broadcast wakes everybody who waits for something to happen next.
package broadcast

import "sync"

// Signal wakes all who wait, as often as it is announced. The zero value is
// ready. It may be used from many goroutines.
type Signal struct {
	mu   sync.Mutex
	next chan struct{}
}

// Wait returns a channel that is closed at the next announcement. Take it
// before looking at what is there, and no announcement is missed.
func (s *Signal) Wait() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next == nil {
		s.next = make(chan struct{})
	}
	return s.next
}

// Announce wakes all who wait.
func (s *Signal) Announce() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next != nil {
		close(s.next)
		s.next = nil
	}
}
