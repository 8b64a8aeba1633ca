package projections

import (
	"context"
	"sync"
)

// watchers are those who want to know when a document changes. The zero value
// is ready.
type watchers struct {
	mu    sync.Mutex
	count int
	of    map[string]map[chan struct{}]struct{}
}

// watch registers a watcher until ctx ends; limit is how many there may be.
func (w *watchers) watch(ctx context.Context, document string, limit int) <-chan struct{} {
	changed := make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.count >= limit || ctx.Err() != nil {
		close(changed)
		return changed
	}
	w.count++
	if w.of == nil {
		w.of = map[string]map[chan struct{}]struct{}{}
	}
	if w.of[document] == nil {
		w.of[document] = map[chan struct{}]struct{}{}
	}
	w.of[document][changed] = struct{}{}
	context.AfterFunc(ctx, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.count--
		delete(w.of[document], changed)
		if len(w.of[document]) == 0 {
			delete(w.of, document)
		}
		close(changed)
	})
	return changed
}

// wake tells the watchers of the documents. One who has yet to take the last
// wake-up needs no second.
func (w *watchers) wake(documents map[string]struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.count == 0 {
		return
	}
	for document := range documents {
		for changed := range w.of[document] {
			select {
			case changed <- struct{}{}:
			default:
			}
		}
	}
}
