package checkpoint

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"dalel/blobs"
	"dalel/domain/event"
	"dalel/domain/wording"
	"dalel/eventstore"
	"dalel/internal/fault"
)

// Kept is how many checkpoints a state knows, the newest ones.
const Kept = 16

// Bounds of what others say, in bytes and in number for one checkpoint.
const (
	MaxOrigin = 100
	MaxNote   = 8 << 10
	MaxLine   = 512
	// MaxToken is 64 KiB: tokens with their certificates have a few.
	MaxToken        = 64 << 10
	MaxCosignatures = 32
	MaxStamps       = 32
	// MaxPiece is that of a revocation list of a national authority, of which
	// there are some of 22 MB; MaxPieces are those for one token, MaxKept how
	// often evidence on one checkpoint's stamps is recorded.
	MaxPiece      = 64 << 20
	MaxPieces     = 16
	MaxAlgorithms = 32
	MaxKept       = 64
)

// State is what a log's events come to. The zero State is that of a log that
// has published nothing.
type State struct {
	Origin string
	// Checkpoints are the newest, oldest of them first; at most Kept.
	Checkpoints []Signed
}

// Signed is a checkpoint with all that is known of it.
type Signed struct {
	Published
	Cosignatures []Cosigned
	Stamps       []TimeStamped
	Evidence     []EvidenceKept
}

// Newest returns the newest checkpoint; its Size is 0 where there is none.
func (s State) Newest() Signed {
	if len(s.Checkpoints) == 0 {
		return Signed{}
	}
	return s.Checkpoints[len(s.Checkpoints)-1]
}

// Find returns the checkpoint of a size.
func (s State) Find(size uint64) (Signed, bool) {
	for _, c := range slices.Backward(s.Checkpoints) {
		if c.Size == size {
			return c, true
		}
	}
	return Signed{}, false
}

// Text is the checkpoint as it is served: the note with the log's signature,
// and the witnesses' lines after it in the order in which they came.
func (s Signed) Text() []byte {
	var b strings.Builder
	b.WriteString(s.Note)
	for _, c := range s.Cosignatures {
		b.WriteString(c.Line)
		b.WriteByte('\n')
	}
	return []byte(b.String())
}

// Body returns the text that a checkpoint signs: origin, size, root.
func Body(origin string, size uint64, root eventstore.Hash) string {
	return fmt.Sprintf("%s\n%d\n%s\n", origin, size, base64.StdEncoding.EncodeToString(root[:]))
}

// Command is a request to a log; the types of this package are all there are.
type Command interface{ command() }

// Publish records a checkpoint that was signed.
type Publish struct {
	Origin string
	Size   uint64
	Root   eventstore.Hash
	// After is the size of the newest checkpoint that the signer knows, and
	// that it has found to be of the same history.
	After uint64
	Last  event.Reference
	Note  string
	Now   time.Time
}

// Cosign records a witness's signature that was checked.
type Cosign struct {
	Size                 uint64
	Root                 eventstore.Hash
	Witness, KeyID, Line string
	Now                  time.Time
}

// Stamp records a time stamp that was checked and is stored.
type Stamp struct {
	Size      uint64
	Root      eventstore.Hash
	Authority string
	Time      time.Time
	Token     string
	Bytes     int64
	Over      Over
	Now       time.Time
}

// Keep records evidence on a stamp that was checked and is stored. The stamp
// may be older than what a state knows: evidence is asked for again as long as
// a certificate's stamps have not been renewed.
type Keep struct {
	Size               uint64
	Root               eventstore.Hash
	Authority, Token   string
	Certificate        string
	Stamped, At, Until time.Time
	EvidenceUntil      time.Time
	Algorithms         []string
	Pieces             []Piece
	Now                time.Time
}

func (Publish) command() {}
func (Cosign) command()  {}
func (Stamp) command()   {}
func (Keep) command()    {}

// Decide says what follows from a command in a state: events, or a
// *fault.Error. The mathematics (signatures, roots, tokens) is done before. To
// say again what is recorded is harmless and leads to no event.
func Decide(state State, command Command) ([]event.Event, error) {
	switch c := command.(type) {
	case Publish:
		return publish(state, c)
	case Cosign:
		return cosign(state, c)
	case Stamp:
		return stamp(state, c)
	case Keep:
		return keep(state, c)
	}
	return nil, fault.New(fault.Internal, "logs have no command %T", command)
}

func publish(state State, c Publish) ([]event.Event, error) {
	newest := state.Newest()
	switch {
	case c.Origin == "" || len(c.Origin) > MaxOrigin || strings.ContainsAny(c.Origin, " +") || wording.Line(c.Origin, MaxOrigin) != nil:
		return nil, invalid("the origin must be one word without a plus sign")
	case state.Origin != "" && c.Origin != state.Origin:
		return nil, invalid("this log is %q; another name is another log", state.Origin)
	case c.Size == newest.Size && newest.Size > 0 && c.Root != newest.Root:
		return nil, fault.New(fault.LogDiverged, "the checkpoint of size %d has another root", c.Size)
	case c.Size == 0 || c.Root.IsZero() || c.Last.Stream.Check() != nil || c.Last.Commitment.IsZero():
		return nil, invalid("a checkpoint covers something and says what comes last")
	case len(c.Note) > MaxNote || !strings.HasPrefix(c.Note, Body(c.Origin, c.Size, c.Root)+"\n— ") || !strings.HasSuffix(c.Note, "\n"):
		return nil, invalid("the signed text is not that of this checkpoint")
	case c.Size == newest.Size && c.After == newest.After:
		return nil, nil // this very one
	case c.After != newest.Size:
		return nil, fault.New(fault.LogSuperseded, "a checkpoint of size %d is the newest, not one of %d", newest.Size, c.After)
	case c.Size <= newest.Size:
		return nil, fault.New(fault.LogSuperseded, "a checkpoint of size %d does not follow one of %d", c.Size, newest.Size)
	}
	if err := checkNow(c.Now); err != nil {
		return nil, err
	}
	return []event.Event{Published{
		Origin: c.Origin, Size: c.Size, Root: c.Root, After: c.After, Last: c.Last, Note: c.Note, PublishedAt: recorded(c.Now),
	}}, nil
}

// find returns the checkpoint that somebody speaks of.
func (s State) find(size uint64, root eventstore.Hash) (Signed, error) {
	found, ok := s.Find(size)
	switch {
	case !ok:
		return Signed{}, fault.New(fault.CheckpointUnknown, "no checkpoint of size %d is among the last %d", size, Kept)
	case found.Root != root:
		return Signed{}, fault.New(fault.LogDiverged, "the checkpoint of size %d has another root", size)
	}
	return found, nil
}

func cosign(state State, c Cosign) ([]event.Event, error) {
	found, err := state.find(c.Size, c.Root)
	if err != nil {
		return nil, err
	}
	id, err := hex.DecodeString(c.KeyID)
	switch {
	case err != nil || len(id) != 4 || strings.ToLower(c.KeyID) != c.KeyID:
		return nil, invalid("a key's short hash has 8 lower-case hexadecimal digits")
	case !strings.HasPrefix(c.Line, "— "+c.Witness+" ") || wording.Line(c.Line, MaxLine) != nil || c.Witness == "" || wording.Line(c.Witness, MaxOrigin) != nil:
		return nil, invalid("this is not a line of the witness %q", c.Witness)
	}
	if err := checkNow(c.Now); err != nil {
		return nil, err
	}
	for _, have := range found.Cosignatures {
		if have.Witness == c.Witness && have.KeyID == c.KeyID {
			// A second line of one key says nothing new.
			return nil, nil
		}
	}
	if len(found.Cosignatures) >= MaxCosignatures {
		return nil, invalid("a checkpoint has at most %d cosignatures", MaxCosignatures)
	}
	return []event.Event{Cosigned{
		Size: c.Size, Root: c.Root, Witness: c.Witness, KeyID: c.KeyID, Line: c.Line, RecordedAt: recorded(c.Now),
	}}, nil
}

func stamp(state State, c Stamp) ([]event.Event, error) {
	found, err := state.find(c.Size, c.Root)
	if err != nil {
		return nil, err
	}
	_, malformed := blobs.ParseDigest(c.Token)
	switch {
	case malformed != nil || c.Bytes <= 0 || c.Bytes > MaxToken:
		return nil, invalid("a token is named by its SHA-256 and has at most %d bytes", MaxToken)
	case c.Over != OverNote:
		return nil, invalid("a time stamp is over %q", OverNote)
	case c.Authority == "" || wording.Line(c.Authority, MaxOrigin) != nil:
		return nil, invalid("a time stamp has an authority's name")
	}
	for _, moment := range []time.Time{c.Now, c.Time} {
		if err := checkNow(moment); err != nil {
			return nil, err
		}
	}
	for _, have := range found.Stamps {
		if have.Authority == c.Authority {
			// Another answer to a request that was repeated.
			return nil, nil
		}
	}
	if len(found.Stamps) >= MaxStamps {
		return nil, invalid("a checkpoint has at most %d time stamps", MaxStamps)
	}
	return []event.Event{TimeStamped{
		Size: c.Size, Root: c.Root, Authority: c.Authority, Time: recorded(c.Time), Token: c.Token, Bytes: c.Bytes, Over: c.Over, RecordedAt: recorded(c.Now),
	}}, nil
}

func keep(state State, c Keep) ([]event.Event, error) {
	digests := []string{c.Token, c.Certificate}
	for _, piece := range c.Pieces {
		switch {
		case piece.Kind != PieceCertificate && piece.Kind != PieceOCSP && piece.Kind != PieceCRL:
			return nil, invalid("there is no evidence of the kind %q", piece.Kind)
		case piece.Bytes <= 0 || piece.Bytes > MaxPiece:
			return nil, invalid("a piece of evidence has at most %d bytes", MaxPiece)
		}
		digests = append(digests, piece.SHA256)
	}
	for _, digest := range digests {
		if _, err := blobs.ParseDigest(digest); err != nil {
			return nil, invalid("tokens, certificates and evidence are named by their SHA-256")
		}
	}
	for _, algorithm := range c.Algorithms {
		if algorithm == "" || wording.Line(algorithm, MaxOrigin) != nil {
			return nil, invalid("an algorithm has a name")
		}
	}
	switch {
	case c.Size == 0 || c.Root.IsZero() || c.Authority == "" || wording.Line(c.Authority, MaxOrigin) != nil:
		return nil, invalid("evidence is on the stamp of an authority on a checkpoint")
	case len(c.Pieces) == 0 || len(c.Pieces) > MaxPieces || len(c.Algorithms) == 0 || len(c.Algorithms) > MaxAlgorithms:
		return nil, invalid("evidence has 1 to %d pieces and 1 to %d algorithms", MaxPieces, MaxAlgorithms)
	}
	for _, moment := range []time.Time{c.Now, c.Stamped, c.At, c.Until, c.EvidenceUntil} {
		if err := checkNow(moment); err != nil {
			return nil, err
		}
	}
	if found, ok := state.Find(c.Size); ok {
		switch {
		case found.Root != c.Root:
			return nil, fault.New(fault.LogDiverged, "the checkpoint of size %d has another root", c.Size)
		case len(found.Evidence) >= MaxKept:
			return nil, invalid("evidence on one checkpoint's stamps is recorded at most %d times", MaxKept)
		}
		for _, have := range found.Evidence {
			if have.Token == c.Token && slices.Equal(have.Pieces, c.Pieces) {
				return nil, nil
			}
		}
	}
	return []event.Event{EvidenceKept{
		Size: c.Size, Root: c.Root, Authority: c.Authority, Token: c.Token, Certificate: c.Certificate,
		Stamped: recorded(c.Stamped), At: recorded(c.At), Until: recorded(c.Until), EvidenceUntil: recorded(c.EvidenceUntil),
		Algorithms: slices.Clone(c.Algorithms), Pieces: slices.Clone(c.Pieces), RecordedAt: recorded(c.Now),
	}}, nil
}

func invalid(format string, args ...any) error {
	return fault.New(fault.CheckpointInvalid, format, args...)
}

func checkNow(now time.Time) error {
	if now.IsZero() || now.UTC().Year() < 1 || now.UTC().Year() > 9000 {
		return fault.New(fault.Internal, "a command without its moment")
	}
	return nil
}

func recorded(moment time.Time) time.Time { return moment.UTC().Truncate(time.Microsecond) }

// Evolve returns the state after an event. It leaves its argument as it was.
// What is said of a checkpoint that the state does not know is passed over:
// the state was folded from the last events.
func Evolve(state State, e event.Event) State {
	switch e := e.(type) {
	case Published:
		state.Origin = e.Origin
		from := max(0, len(state.Checkpoints)+1-Kept)
		state.Checkpoints = append(slices.Clone(state.Checkpoints[from:]), Signed{Published: e})
	case Cosigned:
		state = state.change(e.Size, func(s *Signed) { s.Cosignatures = append(slices.Clip(s.Cosignatures), e) })
	case TimeStamped:
		state = state.change(e.Size, func(s *Signed) { s.Stamps = append(slices.Clip(s.Stamps), e) })
	case EvidenceKept:
		state = state.change(e.Size, func(s *Signed) { s.Evidence = append(slices.Clip(s.Evidence), e) })
	default:
		// The codec stops at every type that it does not know: nothing else
		// comes here.
	}
	return state
}

func (s State) change(size uint64, change func(*Signed)) State {
	s.Checkpoints = slices.Clone(s.Checkpoints)
	for i := range s.Checkpoints {
		if s.Checkpoints[i].Size == size {
			change(&s.Checkpoints[i])
		}
	}
	return s
}
