package xmldsig

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"dalel/internal/pki"

	"github.com/beevik/etree"
)

// What digesting may cost. Copying is counted in steps; what is canonicalized and
// digested, which is the dearer of the two with a national digest, in bytes. A
// signature has the whole document digested twice at most where others came after
// it, and parts of it besides; a document has some signatures. Nobody's document
// needs more than this, and what does not fit is not told.
const (
	maxStepsOfOne = 1 << 24
	maxStepsOfAll = 1 << 26

	bytesOfOne = 4 << 20  // and six times the document
	bytesOfAll = 64 << 20 // and sixteen times the document
)

// budget is what is left of it.
type budget struct{ steps, bytes int }

func (d *Document) budgetOfOne() budget { return budget{maxStepsOfOne, bytesOfOne + 6*d.size} }
func (d *Document) budgetOfAll() budget { return budget{maxStepsOfAll, bytesOfAll + 16*d.size} }

func (b *budget) spend(steps, bytes int) { b.steps, b.bytes = b.steps-steps, b.bytes-bytes }
func (b *budget) spent() bool            { return b.steps <= 0 || b.bytes <= 0 }

// Outcome is what became of a reference.
type Outcome int

// The values of [Outcome].
const (
	Unknown Outcome = iota // it cannot be told: see Err
	Match                  // what is covered is what was signed
	Differ                 // it is not
)

// String is for logs and tests.
func (o Outcome) String() string {
	switch o {
	case Match:
		return "match"
	case Differ:
		return "differ"
	}
	return "unknown"
}

// Removal is what was taken away before the digest.
type Removal int

// The values of [Removal].
const (
	RemovedNothing Removal = iota
	// RemovedOwn: the signature's own element, as the transform
	// enveloped-signature has it (6.6.4).
	RemovedOwn
	// RemovedOwnAndLater: also those of the later signatures, which were not there
	// yet when this one was made.
	RemovedOwnAndLater
)

// ReferenceResult is what a reference's digest came to.
type ReferenceResult struct {
	Reference
	Outcome Outcome
	// Err says why the outcome is unknown. It wraps [ErrUnsupported], [ErrTooLarge],
	// [pki.ErrUnsupported] or [pki.ErrWeak]; it is nil for the others.
	Err error
	// Got is the digest as computed; with Differ and enveloped-signature it is the
	// one of the standard, with only the own signature removed.
	Got []byte
	// Removed says what was taken away to get to Got, and LaterSignatures how many
	// signatures besides the own one that were.
	Removed         Removal
	LaterSignatures int
	// CommentsLeftOut says that there are comments in what is covered (or beside
	// the root element) that the digest leaves out, as 4.4.3.3 has it.
	CommentsLeftOut bool
	// InstructionsLeftOut says that there are processing instructions around the
	// root element and that the reference is to the root element by its Id, which
	// they are not part of. (To the whole document, they are.)
	InstructionsLeftOut bool
}

// Digests computes the digests of all references of a signature of this document,
// in order. It returns an error only when ctx ends, or when the signature is of
// another document; whatever cannot be told of a reference is said in its result.
// What one call costs is bounded, at some seconds for the worst document; what all
// the signatures of a document cost together is bounded by [Document.AllDigests].
func (d *Document) Digests(ctx context.Context, algorithms *pki.Algorithms, s Signature) ([]ReferenceResult, error) {
	all := d.budgetOfAll()
	return d.digests(ctx, algorithms, s, &all)
}

// AllDigests does what [Document.Digests] does for every signature, in order, and
// bounds what they cost together. Where that is not enough, the rest cannot be told.
func (d *Document) AllDigests(ctx context.Context, algorithms *pki.Algorithms) ([][]ReferenceResult, error) {
	left := d.budgetOfAll()
	var all [][]ReferenceResult
	for _, s := range d.signatures {
		results, err := d.digests(ctx, algorithms, s, &left)
		if err != nil {
			return nil, err
		}
		all = append(all, results)
	}
	return all, nil
}

func (d *Document) digests(ctx context.Context, algorithms *pki.Algorithms, s Signature, all *budget) ([]ReferenceResult, error) {
	if s.document != d || s.element == nil {
		return nil, errors.New("digest an XML document: the signature is of another document")
	}
	w := digester{document: d, signature: s, algorithms: algorithms, known: map[wanted]digested{}, own: d.budgetOfOne(), all: all}
	results := make([]ReferenceResult, 0, len(s.References))
	for _, reference := range s.References {
		result := ReferenceResult{Reference: reference}
		if err := w.judge(ctx, &result); err != nil {
			return nil, fmt.Errorf("digest an XML document: %w", err)
		}
		results = append(results, result)
	}
	return results, nil
}

// wanted is one thing to digest; many references may be to the same.
type wanted struct {
	target  *etree.Element
	whole   bool
	method  method
	removed Removal
	digest  string
}

type digested struct {
	sum      []byte
	comments bool
	err      error
}

type digester struct {
	document   *Document
	signature  Signature
	algorithms *pki.Algorithms
	known      map[wanted]digested
	own        budget
	all        *budget
}

func (w *digester) judge(ctx context.Context, r *ReferenceResult) error {
	if r.problem != nil {
		r.Err = r.problem
		return nil
	}
	digest, err := w.algorithms.Digest(r.Digest)
	if err != nil {
		r.Err = fmt.Errorf("%.128q: %w", r.DigestMethod, err)
		return nil
	}
	ways := []Removal{RemovedNothing}
	later := w.later(r.target)
	if r.removes {
		if ways = []Removal{RemovedOwn}; len(later) > 0 {
			ways = append(ways, RemovedOwnAndLater)
		}
	}
	var first ReferenceResult
	for i, way := range ways {
		if err := ctx.Err(); err != nil {
			return err
		}
		result := *r
		w.try(&result, way, later, digest)
		if result.Outcome == Match {
			*r = result
			return nil
		}
		// What could not be computed in one way might have matched in it.
		if i == 0 || result.Outcome == Unknown {
			first = result
		}
	}
	*r = first
	return nil
}

// later returns the later signatures within e.
func (w *digester) later(e *etree.Element) []*etree.Element {
	var later []*etree.Element
	for _, s := range w.document.signatures[w.signature.index+1:] {
		if within(s.element, e) {
			later = append(later, s.element)
		}
	}
	return later
}

func (w *digester) try(r *ReferenceResult, way Removal, later []*etree.Element, digest pki.Digest) {
	var without []*etree.Element
	if way >= RemovedOwn {
		without = append(without, w.signature.element)
	}
	if way == RemovedOwnAndLater {
		without = append(without, later...)
		r.LaterSignatures = len(later)
	}
	key := wanted{r.target, r.Covers == WholeDocument, r.method, way, digest.OID}
	result, ok := w.known[key]
	if !ok {
		result = w.compute(key, without, digest)
		w.known[key] = result
	}
	r.Removed, r.CommentsLeftOut = way, result.comments
	r.InstructionsLeftOut = r.Root && r.Covers == Element && len(w.document.before)+len(w.document.after) > 0
	if result.err != nil {
		r.Err = result.err
		return
	}
	r.Got = result.sum
	if r.Outcome = Differ; bytes.Equal(r.Got, r.Want) {
		r.Outcome = Match
	}
}

func (w *digester) compute(key wanted, without []*etree.Element, digest pki.Digest) digested {
	if w.own.spent() || w.all.spent() {
		return digested{err: fmt.Errorf("%w: its references are to more, one within another, than is worked through", ErrTooLarge)}
	}
	c := cutter{without: without, dropComments: true, perElement: w.document.namespaces}
	copied := c.cut(key.target, 1)
	w.own.spend(c.steps, 0)
	w.all.spend(c.steps, 0)
	result := digested{comments: c.comments || key.whole && w.document.comments}
	canonical, err := key.method.alone(copied, key.target)
	if err != nil {
		result.err = err
		return result
	}
	if key.whole {
		canonical = w.document.framed(canonical)
	}
	w.own.spend(0, len(canonical))
	w.all.spend(0, len(canonical))
	h := digest.New()
	h.Write(canonical)
	result.sum = h.Sum(nil)
	return result
}
