package sqlite

import (
	"context"
	"fmt"
)

// probe is a question to the writer whether it can write.
type probe chan error

// Probe writes to the file and syncs it, as an append does, and leaves nothing
// behind: it sets the version of the tables to what it is. It waits its turn
// behind the appends. Errors: storage.full, store.failed, store.closed, the
// context's.
func (s *Store) Probe(ctx context.Context) error {
	if err := s.checkOpen(); err != nil {
		return err
	}
	return s.writer.probe(ctx)
}

// Waiting returns how many appends wait for the writer.
func (s *Store) Waiting() int {
	s.writer.mu.Lock()
	defer s.writer.mu.Unlock()
	return len(s.writer.waiting)
}

func (w *writer) probe(ctx context.Context) error {
	asked := make(probe, 1)
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return errClosed()
	}
	w.probes = append(w.probes, asked)
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
	select {
	case err := <-asked:
		return err
	case <-ctx.Done():
		return fmt.Errorf("probe the event store: %w", ctx.Err())
	}
}

// answerProbes writes once for all who ask.
func (w *writer) answerProbes(asked []probe) {
	if len(asked) == 0 {
		return
	}
	err := w.rewriteVersion(context.Background())
	for _, p := range asked {
		p <- err
	}
}

func (w *writer) rewriteVersion(ctx context.Context) error {
	// What the last failure may have left open is closed first.
	if err := w.learn(ctx); err != nil {
		return err
	}
	for _, step := range []string{"BEGIN IMMEDIATE", fmt.Sprintf("PRAGMA user_version = %d", SchemaVersion), "COMMIT"} {
		if err := w.conn.exec(ctx, step); err != nil {
			w.known = false
			w.heads.forget()
			return failure(ctx, err, "write to the event store without changing it")
		}
	}
	w.logged += pageBytes
	return nil
}
