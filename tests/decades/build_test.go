package decades

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"dalel/domain/checkpoint"
	"dalel/domain/event"
	"dalel/domain/renewal"
	"dalel/eventstore"
	"dalel/internal/fault"
	"dalel/internal/translog"
	"dalel/projections/history"
)

// invented is a log's own stream and no more: a record of renewals is made from
// it that nobody could verify, to see what is read and how large it gets.
type invented struct {
	history.Memory
	t      testing.TB
	codec  *event.Codec
	signer note.Signer
	key    note.Verifier
	head   eventstore.Head
	size   uint64
	read   int             // events
	asked  int             // pieces
	sought map[string]bool // stamps, in the log
	piece  []byte
}

func newInvented(t testing.TB) *invented {
	secret, public, err := note.GenerateKey(rand.Reader, origin)
	require.NoError(t, err)
	s := &invented{t: t, piece: []byte("a piece")}
	s.signer, err = note.NewSigner(secret)
	require.NoError(t, err)
	s.key, err = note.NewVerifier(public)
	require.NoError(t, err)
	s.codec, err = event.NewCodec(checkpoint.Events())
	require.NoError(t, err)
	return s
}

func (s *invented) ReadStream(context.Context, eventstore.StreamID, eventstore.Revision, int) iter.Seq2[eventstore.Recorded, error] {
	s.t.Error("it is read from the end")
	return func(func(eventstore.Recorded, error) bool) {}
}

func (s *invented) ReadStreamBackwards(ctx context.Context, stream eventstore.StreamID, limit int) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		for recorded, err := range s.Memory.ReadStreamBackwards(ctx, stream, limit) {
			s.read++
			if !yield(recorded, err) {
				return
			}
		}
	}
}

// Locate implements renewal.Log: everything is under a checkpoint.
func (s *invented) Locate(_ context.Context, recorded eventstore.Recorded) (uint64, error) {
	if recorded.Type == (checkpoint.TimeStamped{}).EventType() {
		s.sought[recorded.ID.String()] = true
	}
	return uint64(recorded.Revision), nil
}

// Inclusion implements renewal.Log.
func (s *invented) Inclusion(context.Context, uint64, uint64) ([]translog.Hash, error) {
	return nil, nil
}

// Consistency implements renewal.Log.
func (s *invented) Consistency(context.Context, uint64, uint64) ([]translog.Hash, error) {
	return nil, nil
}

func (s *invented) happen(happened ...event.Event) {
	s.t.Helper()
	for _, e := range happened {
		draft, err := s.codec.Encode(s.t.Context(), e, eventstore.Metadata{Actor: "system", Role: "system", RecordedAt: day(2026, 1, 1)})
		require.NoError(s.t, err)
		events, err := eventstore.Chain(checkpoint.StreamID(checkpoint.Log), s.head, draft)
		require.NoError(s.t, err)
		_, err = s.Append(s.t.Context(), events...)
		require.NoError(s.t, err)
		s.head = eventstore.Recorded{Event: events[0]}.Head()
	}
}

// publish makes a checkpoint and returns it.
func (s *invented) publish() checkpoint.Published {
	s.size += 100
	root := eventstore.Hash(sha256.Sum256(fmt.Append(nil, s.size)))
	signed, err := translog.Sign(translog.Checkpoint{Origin: origin, Size: s.size, Root: translog.Hash(root)}, s.signer)
	require.NoError(s.t, err)
	p := checkpoint.Published{Origin: origin, Size: s.size, Root: root, Note: string(signed)}
	s.happen(p)
	return p
}

// stamp stamps a checkpoint; with a certificate that is good for so long there is
// evidence too.
func (s *invented) stamp(p checkpoint.Published, at time.Time, certificate string, until time.Time) {
	token := sum(fmt.Append(nil, "token ", p.Size, at))
	s.happen(checkpoint.TimeStamped{Size: p.Size, Root: p.Root, Authority: "tsa", Time: at, Token: token, Bytes: 5, Over: checkpoint.OverNote})
	if certificate == "" {
		return
	}
	s.happen(checkpoint.EvidenceKept{
		Size: p.Size, Root: p.Root, Authority: "tsa", Token: token, Certificate: sum([]byte(certificate)), Stamped: at, At: at, Until: until, EvidenceUntil: until,
		Algorithms: []string{"SHA256"}, Pieces: []checkpoint.Piece{{Kind: checkpoint.PieceOCSP, SHA256: sum(fmt.Append(nil, certificate, at)), Bytes: int64(len(s.piece))}},
	})
}

func (s *invented) build(from checkpoint.Published, now time.Time) (*renewal.Record, error) {
	s.read, s.asked, s.sought = 0, 0, map[string]bool{}
	return renewal.Build(s.t.Context(), renewal.Source{
		Store: s, Codec: s.codec, Log: s, Key: s.key,
		Token: func(context.Context, checkpoint.TimeStamped) ([]byte, error) { return []byte("token"), nil },
		Piece: func(context.Context, checkpoint.Piece) ([]byte, error) { s.asked++; return s.piece, nil },
	}, []byte(from.Note), nil, now)
}

func TestR_M5_ARecordIsMadeOfWhatCameSinceItsCheckpoint(t *testing.T) {
	s := newInvented(t)
	var from checkpoint.Published
	at := day(2026, 6, 1)
	for i := range 1000 {
		p := s.publish()
		if i == 900 {
			from = p
		}
		certificate := ""
		if i%24 == 0 {
			certificate = "one"
		}
		s.stamp(p, at, certificate, day(2030, 1, 1))
		at = at.Add(time.Hour)
	}
	made, err := s.build(from, at)
	require.NoError(t, err)
	require.Equal(t, from.Size, made.Start.Size)
	require.Len(t, made.Links, 1)
	require.LessOrEqual(t, s.read, 100*2+100/24+2+2, "and not the nine hundred checkpoints before")
	// The first stamp with evidence is the one of the checkpoint after 912 others.
	_, opened, err := translog.ParseCheckpoint([]byte(made.Links[0].Note), origin, s.key)
	require.NoError(t, err)
	require.Contains(t, opened.Text, "\n91300\n")

	wrong := from
	wrong.Root[0] ^= 1
	signed, err := translog.Sign(translog.Checkpoint{Origin: origin, Size: wrong.Size, Root: translog.Hash(wrong.Root)}, s.signer)
	require.NoError(t, err)
	wrong.Note = string(signed)
	_, err = s.build(wrong, at)
	require.Equal(t, fault.CheckpointUnknown, fault.CodeOf(err))
	require.LessOrEqual(t, s.read, 300)
}

func TestR_M5_ARecordThatWouldBeTooLargeToBeReadIsRefused(t *testing.T) {
	chain := func(s *invented) (from checkpoint.Published, now time.Time) {
		at := day(2026, 6, 1)
		for i := range 5 {
			p := s.publish()
			if i == 0 {
				from = p
			}
			s.stamp(p, at, fmt.Sprint("certificate ", i), at.AddDate(1, 0, 0))
			// The evidence for a renewal is of after the next stamp.
			s.stamp(s.publish(), at.AddDate(0, 11, 0), fmt.Sprint("certificate ", i), at.AddDate(1, 0, 0))
			at = at.AddDate(0, 10, 0)
		}
		return from, at
	}
	s := newInvented(t)
	from, now := chain(s)
	made, err := s.build(from, now)
	require.NoError(t, err)
	require.Greater(t, len(made.Links), 3, "so many that what follows is more than one can hold")
	text, err := made.Encode()
	require.NoError(t, err)
	_, err = renewal.Parse(text)
	require.NoError(t, err)

	s.t.Log("the pieces are larger than was said of them")
	s.piece = make([]byte, checkpoint.MaxPiece)
	_, err = s.build(from, now)
	require.Equal(t, fault.RenewalTooLarge, fault.CodeOf(err), "%v", err)
	require.Equal(t, 2, s.asked, "two have 171 MB in base64")

	s = newInvented(t)
	s.piece = make([]byte, checkpoint.MaxPiece)
	from, now = chain(s)
	_, err = s.build(from, now)
	require.Equal(t, fault.RenewalTooLarge, fault.CodeOf(err), "%v", err)
	require.Equal(t, 1, s.asked, "what does not fit by its size is not read")
}

func TestR_M5_ASearchStaysShortHoweverManyStampsThereAre(t *testing.T) {
	s := newInvented(t)
	var from checkpoint.Published
	at := day(2026, 6, 1)
	// Six authorities, of certificates that last two years each, for twelve years.
	for i := range 12 * 12 {
		for j := range 6 {
			p := s.publish()
			if from.Size == 0 {
				from = p
			}
			for k := range 2 {
				then := at.Add(time.Duration(k*10+j) * 24 * time.Hour)
				s.stamp(p, then, fmt.Sprint(j, i/24), day(2026+i/24*2+2, 7, 15))
				if i > 0 && i%24 == 0 { // the certificate before has a month to go
					s.stamp(p, then.Add(time.Hour), fmt.Sprint(j, i/24-1), day(2026+i/24*2, 7, 15))
				}
			}
		}
		at = at.AddDate(0, 1, 0)
	}
	made, err := s.build(from, at)
	require.NoError(t, err)
	require.Greater(t, len(s.sought), 200)
	require.LessOrEqual(t, len(s.sought), 1024, "of more than 1700")
	require.Greater(t, len(made.Links), 5)
	require.Less(t, len(made.Links), 40, "and the fewest links are found all the same")
}
