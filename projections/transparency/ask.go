package transparency

import (
	"context"
	"fmt"
	"strings"
	"time"

	"dalel/domain/checkpoint"
	"dalel/internal/fault"
	"dalel/internal/translog"
	"dalel/internal/tsp"

	"golang.org/x/mod/sumdb/note"
)

// asked is somebody who is asked about checkpoints.
type asked struct {
	name string
	// every is the least time between two answers.
	every time.Duration
	// answered reports whether an answer for a checkpoint is on record.
	answered func(checkpoint.Signed) bool
	// ask asks, checks the answer and records it.
	ask func(ctx context.Context, signed checkpoint.Signed) error
	// note changes the status.
	note func(change func(*Asked))
}

func (l *Log) witness(i int) asked {
	w := l.Witnesses[i]
	return asked{
		name: w.Name, every: l.Cosign,
		answered: func(s checkpoint.Signed) bool {
			for _, c := range s.Cosignatures {
				if c.Witness == w.Name {
					return true
				}
			}
			return false
		},
		ask:  func(ctx context.Context, s checkpoint.Signed) error { return l.askWitness(ctx, w, s) },
		note: func(change func(*Asked)) { l.note(func(s *Status) { change(&s.Witnesses[i]) }) },
	}
}

func (l *Log) authority(i int) asked {
	a := l.Authorities[i]
	return asked{
		name: a.Name, every: l.Options.Stamp,
		answered: func(s checkpoint.Signed) bool {
			for _, t := range s.Stamps {
				if t.Authority == a.Name {
					return true
				}
			}
			return false
		},
		ask:  func(ctx context.Context, s checkpoint.Signed) error { return l.askAuthority(ctx, a, s) },
		note: func(change func(*Asked)) { l.note(func(s *Status) { change(&s.Authorities[i]) }) },
	}
}

// keepAsking asks about each newest checkpoint, at most so often. It ends with
// ctx alone: nobody who is asked can stop the log.
func (l *Log) keepAsking(ctx context.Context, who asked) error {
	done := uint64(0)
	failures := 0
	for {
		moved := l.moved.Wait()
		newest := l.Newest()
		if newest.Size <= done {
			select {
			case <-moved:
				continue
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		err := l.once(ctx, who, newest)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		pause := who.every
		if err == nil {
			done, failures = newest.Size, 0
		} else {
			failures++
			l.log.Warn("a checkpoint was not confirmed; asking again", "who", who.name, "size", newest.Size, "failures", failures, "code", fault.CodeOf(err))
			pause = l.Again.Delay(failures)
		}
		if !sleep(ctx, pause) {
			return ctx.Err()
		}
	}
}

func sleep(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// once asks about a checkpoint, unless an answer is on record.
func (l *Log) once(ctx context.Context, who asked, signed checkpoint.Signed) (err error) {
	if !who.answered(signed) {
		bounded, cancel := context.WithTimeout(ctx, l.Patience)
		defer cancel()
		err = who.ask(bounded, signed)
	}
	who.note(func(a *Asked) {
		if err != nil {
			a.Failures++
			a.Code = fault.CodeOf(err)
			return
		}
		now := l.Clock().UTC()
		a.Size, a.At, a.Failures, a.Code = signed.Size, &now, 0, ""
	})
	return err
}

// Collect asks all witnesses and authorities about the newest checkpoint now,
// once, and serves what they say. What failed is in the status; the error is
// that of the ledger or of the objects.
func (l *Log) Collect(ctx context.Context) error {
	newest := l.Newest()
	if newest.Size == 0 {
		return nil
	}
	var all []asked
	for i := range l.Witnesses {
		all = append(all, l.witness(i))
	}
	for i := range l.Authorities {
		all = append(all, l.authority(i))
	}
	for _, who := range all {
		if err := l.once(ctx, who, newest); err != nil {
			l.log.Warn("a checkpoint was not confirmed", "who", who.name, "size", newest.Size, "code", fault.CodeOf(err))
		}
	}
	if err := l.refresh(ctx); err != nil {
		return err
	}
	if l.Voucher == nil {
		return nil
	}
	if _, err := l.vouchAll(ctx); err != nil && ctx.Err() != nil {
		return err
	}
	return l.refresh(ctx)
}

// refresh looks at the log's stream again and serves what it says.
func (l *Log) refresh(ctx context.Context) error {
	l.mu.Lock()
	if l.engine != nil {
		l.engine.stale = true
	}
	l.mu.Unlock()
	return l.publish(ctx, false)
}

func (l *Log) askWitness(ctx context.Context, w Witness, signed checkpoint.Signed) error {
	answer, err := w.Cosign(ctx, []byte(signed.Note), func(ctx context.Context, old uint64) ([]translog.Hash, error) {
		if old == 0 || old > signed.Size {
			return nil, fault.New(fault.RequestInvalid, "no proof leads from %d to %d events", old, signed.Size)
		}
		return l.reader.Consistency(ctx, old, signed.Size)
	})
	if err != nil {
		return err
	}
	line, id, err := signatureLine(signed.Note, w.Name, answer)
	if err != nil {
		return err
	}
	return l.Checkpoints.CosignCheckpoint(ctx, checkpoint.Cosign{Size: signed.Size, Root: signed.Root, Witness: w.Name, KeyID: id, Line: line})
}

// signatureLine returns a witness's answer as the one line that it must be,
// and its key's short hash.
func signatureLine(text, name string, answer []byte) (line, id string, err error) {
	line = strings.TrimSuffix(string(answer), "\n")
	if strings.Contains(line, "\n") || len(line) > checkpoint.MaxLine {
		return "", "", fault.New(fault.CheckpointInvalid, "a witness has answered with something else than one line")
	}
	// Opened without any key, a note still says whose lines it has.
	_, err = note.Open([]byte(text+line+"\n"), note.VerifierList())
	var unverified *note.UnverifiedNoteError
	if ok := asUnverified(err, &unverified); !ok {
		return "", "", fault.Wrap(fault.CheckpointInvalid, err, "a witness's line cannot be read")
	}
	last := unverified.Note.UnverifiedSigs[len(unverified.Note.UnverifiedSigs)-1]
	if last.Name != name || len(unverified.Note.UnverifiedSigs) < 2 {
		return "", "", fault.New(fault.CheckpointInvalid, "the line is not the witness's")
	}
	return line, fmt.Sprintf("%08x", last.Hash), nil
}

func asUnverified(err error, to **note.UnverifiedNoteError) bool {
	found, ok := err.(*note.UnverifiedNoteError)
	*to = found
	return ok
}

// clockSkew is how far an authority's clock may be off ours.
const clockSkew = 10 * time.Minute

func (l *Log) askAuthority(ctx context.Context, a Authority, signed checkpoint.Signed) error {
	message := []byte(signed.Note)
	token, err := a.Stamper.Stamp(ctx, message)
	if err != nil {
		return err
	}
	parsed, err := tsp.Parse(token)
	if err != nil {
		return fault.Wrap(fault.CheckpointInvalid, err, "the authority's token cannot be read")
	}
	imprint, err := tsp.ImprintOf(l.Algorithms, parsed.Imprint.Digest, message)
	if err != nil {
		return fault.Wrap(fault.CheckpointInvalid, err, "the authority's token has a digest that is not taken")
	}
	now := l.Clock()
	switch {
	case string(imprint.Sum) != string(parsed.Imprint.Sum):
		return fault.New(fault.CheckpointInvalid, "the authority's token is over something else")
	case parsed.Time.Before(signed.PublishedAt.Add(-clockSkew)) || parsed.Time.After(now.Add(clockSkew)):
		return fault.New(fault.CheckpointInvalid, "the authority's token is of another time")
	}
	return l.Checkpoints.StampCheckpoint(ctx, checkpoint.Stamp{
		Size: signed.Size, Root: signed.Root, Authority: a.Name, Time: parsed.Time, Over: checkpoint.OverNote,
	}, token)
}
