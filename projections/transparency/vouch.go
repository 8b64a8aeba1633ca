package transparency

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"dalel/domain/checkpoint"
	"dalel/domain/renewal"
	"dalel/internal/fault"
	"dalel/internal/tsp"
)

// held is what is known of an authority's newest stamp.
type held struct {
	stamped checkpoint.TimeStamped
	note    string
	// signer tells its certificate from others, at is when evidence on it was
	// kept last.
	signer string
	at     time.Time
	// looked says that what came before this process has been looked for.
	looked bool
	// former are the last stamps by certificates that the authority has replaced,
	// on which evidence is still to be asked for once more.
	former []former
}

// former is the last stamp by a certificate.
type former struct {
	stamped checkpoint.TimeStamped
	note    string
}

// maxFormer bounds how many are asked about: an authority replaces a certificate
// once in years.
const maxFormer = 4

// maxLookBack is how many events of the log's stream are read to find what an
// authority has stamped last: a day's, where there is a checkpoint a second.
const maxLookBack = 200_000

// keepEvidence keeps evidence on the authorities until ctx ends.
func (l *Log) keepEvidence(ctx context.Context) error {
	failures := 0
	for {
		moved := l.moved.Wait()
		next, err := l.vouchAll(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			failures++
			if !sleep(ctx, l.Again.Delay(failures)) {
				return ctx.Err()
			}
			continue
		}
		failures = 0
		timer := time.NewTimer(next)
		select {
		case <-moved:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
		// Checkpoints may come every second; evidence is not that urgent.
		if !sleep(ctx, l.Interval) {
			return ctx.Err()
		}
	}
}

// vouchAll keeps the evidence that is due on all authorities. It returns after
// how long some may be due again, and one of the errors, of which each is in the
// status.
func (l *Log) vouchAll(ctx context.Context) (time.Duration, error) {
	l.vouching.Lock()
	defer l.vouching.Unlock()
	l.view.RLock()
	stamped := append([]checkpoint.Signed(nil), l.stamped...)
	l.view.RUnlock()
	next := l.Evidence
	var failed error
	for i, a := range l.Authorities {
		if stamped[i].Size == 0 {
			continue
		}
		bounded, cancel := context.WithTimeout(ctx, 2*l.Patience)
		wait, err := l.vouch(bounded, i, stamped[i])
		cancel()
		next = min(next, wait)
		if err == nil {
			continue
		}
		failed = err
		l.note(func(s *Status) {
			s.Evidence[i].Failures++
			s.Evidence[i].Code = fault.CodeOf(err)
		})
		if ctx.Err() == nil {
			l.log.Warn("evidence on a time-stamping authority could not be kept", "authority", a.Name, "code", fault.CodeOf(err))
		}
	}
	return max(next, time.Second), failed
}

// vouch keeps the evidence that is due on an authority, which has stamped a
// checkpoint last, and returns after how long there may be more. The certificate
// that it stamps with now comes first: nobody may be left who answers for one
// before that, and this one must not wait for it.
func (l *Log) vouch(ctx context.Context, i int, newest checkpoint.Signed) (time.Duration, error) {
	if !l.held[i].looked {
		if err := l.lookBack(ctx, i, newest.Size); err != nil {
			return 0, err
		}
	}
	wait, err := l.vouchNewest(ctx, i, newest)
	return wait, errors.Join(err, l.vouchFormer(ctx, i))
}

// vouchFormer asks about certificates that were replaced: whether one was revoked
// by the time of the stamp after it, which vouches for those by it, may be told
// now for the last time.
func (l *Log) vouchFormer(ctx context.Context, i int) error {
	h := &l.held[i]
	var failed error
	h.former = slices.DeleteFunc(h.former, func(f former) bool {
		token, err := l.Checkpoints.TimeToken(ctx, f.stamped)
		if err == nil {
			err = l.keep(ctx, i, f.stamped, f.note, token)
		}
		switch {
		case err == nil:
			return true
		case fault.Is(err, renewal.Ended):
			l.log.Error("a time stamp was renewed too late: nobody answers for its certificate any more", "authority", f.stamped.Authority, "size", f.stamped.Size)
			return true
		}
		failed = errors.Join(failed, err)
		return false
	})
	return failed
}

// vouchNewest keeps the evidence on the newest stamp.
func (l *Log) vouchNewest(ctx context.Context, i int, newest checkpoint.Signed) (time.Duration, error) {
	h := &l.held[i]
	var stamped checkpoint.TimeStamped
	for _, s := range newest.Stamps {
		if s.Authority == l.Authorities[i].Name {
			stamped = s
		}
	}
	own := false
	for _, kept := range newest.Evidence {
		own = own || kept.Token == stamped.Token
	}
	if own && h.stamped.Token == stamped.Token {
		return l.Evidence, nil
	}
	token, err := l.Checkpoints.TimeToken(ctx, stamped)
	if err != nil {
		return 0, err
	}
	parsed, err := tsp.Parse(token)
	if err != nil {
		return 0, fault.Wrap(fault.CheckpointInvalid, err, "read a time token that was kept")
	}
	signer, now := parsed.SignerID(), l.Clock()
	if own && (h.signer == "" || h.signer == signer) {
		// It was kept before this process.
		h.stamped, h.note, h.signer, h.at = stamped, newest.Note, signer, now
		return l.Evidence, nil
	}
	if h.signer == signer && !h.at.IsZero() {
		if wait := h.at.Add(l.Evidence).Sub(now); wait > 0 {
			h.stamped, h.note = stamped, newest.Note
			return wait, nil
		}
	}
	if h.signer != "" && h.signer != signer {
		h.former = append(h.former, former{h.stamped, h.note})
		h.former = h.former[max(0, len(h.former)-maxFormer):]
		h.signer, h.at = "", time.Time{}
	}
	if err := l.keep(ctx, i, stamped, newest.Note, token); err != nil {
		return 0, err
	}
	h.stamped, h.note, h.signer, h.at = stamped, newest.Note, signer, now
	return l.Evidence, nil
}

// keep fetches evidence for a stamp and records it.
func (l *Log) keep(ctx context.Context, i int, stamped checkpoint.TimeStamped, note string, token []byte) error {
	kept, err := l.Voucher(ctx, []byte(note), token, l.Clock())
	if err != nil {
		return err
	}
	if err := l.Checkpoints.KeepStampEvidence(ctx, kept.Command(stamped), kept.Pieces); err != nil {
		return err
	}
	now := l.Clock().UTC()
	l.note(func(s *Status) {
		a := &s.Evidence[i]
		a.Size, a.At, a.Failures, a.Code = max(a.Size, stamped.Size), &now, 0, ""
	})
	return nil
}

// lookBack finds what an authority stamped last before the newest checkpoint,
// and when evidence on that was kept.
func (l *Log) lookBack(ctx context.Context, i int, newest uint64) error {
	name := l.Authorities[i].Name
	var found checkpoint.TimeStamped
	at := map[string]time.Time{}
	for recorded, err := range l.Store.ReadStreamBackwards(ctx, l.stream, maxLookBack) {
		if err != nil {
			return fmt.Errorf("read %s: %w", l.stream, err)
		}
		happened, err := l.Codec.Decode(ctx, recorded.Event)
		if err != nil {
			return fmt.Errorf("read %s@%d: %w", l.stream, recorded.Revision, err)
		}
		switch e := happened.(type) {
		case checkpoint.EvidenceKept:
			if e.Authority == name && at[e.Token].IsZero() {
				at[e.Token] = e.At
			}
		case checkpoint.TimeStamped:
			if found.Size == 0 && e.Authority == name && e.Size < newest {
				found = e
			}
		case checkpoint.Published:
			if found.Size == 0 || e.Size != found.Size {
				continue
			}
			token, err := l.Checkpoints.TimeToken(ctx, found)
			if err != nil {
				return err
			}
			parsed, err := tsp.Parse(token)
			if err != nil {
				return fault.Wrap(fault.CheckpointInvalid, err, "read a time token that was kept")
			}
			l.held[i] = held{stamped: found, note: e.Note, signer: parsed.SignerID(), at: at[found.Token], looked: true}
			return nil
		}
	}
	l.held[i].looked = true
	return nil
}
