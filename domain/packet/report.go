package packet

import (
	"dalel/domain/document"
	"fmt"
	"slices"
	"time"
)

// Answer says whether a claim holds.
type Answer string

// The answers. Cannot-tell is never turned into yes or no.
const (
	Yes Answer = "yes"
	No  Answer = "no"
	// NotAnchored means: consistent in itself, but resting on an anchor that
	// is not among those of the person who checks.
	NotAnchored Answer = "untrusted"
	// CannotTell means that it could not be found out: an algorithm is not
	// known, or what would have to be read is damaged.
	CannotTell Answer = "unknown"
)

// Status is the outcome of a verification.
type Status string

// The outcomes.
const (
	// Good: every claim holds and rests on the given anchors.
	Good Status = "good"
	// Bad: at least one claim does not hold.
	Bad Status = "bad"
	// Untrusted: nothing contradicts the packet, but at least one claim rests
	// on other anchors, or could not be decided. A claim that cannot be
	// decided belongs here and not under Bad: it has not been shown to be
	// wrong, just as a foreign anchor has not; both lack something on the
	// side of the person who checks, and neither is ever Good.
	Untrusted Status = "untrusted"
)

// Lack is what keeps a packet that nothing contradicts from being Good.
type Lack string

// The lacks, in the order in which they are said.
const (
	// LackAnchors: it rests on anchors that are not among those given.
	LackAnchors Lack = "anchors"
	// LackEvidence: what would be needed to decide is missing, or cannot be used.
	LackEvidence Lack = "evidence"
	// LackVersion: a later version of the ledger wrote what this verifier does
	// not understand.
	LackVersion Lack = "version"
)

// Ids of the claims. Each signature has one of its own: signature-01, ….
const (
	ClaimArchive      = "archive"
	ClaimManifest     = "manifest"
	ClaimSeal         = "seal"
	ClaimEvents       = "events"
	ClaimStory        = "story"
	ClaimDocuments    = "documents"
	ClaimCertificates = "certificates"
	ClaimJournal      = "journal"
	ClaimReport       = "report"
	ClaimContents     = "contents"
	// Those about the transparency log; each time token has one of its own:
	// timestamp-01, ….
	ClaimCheckpoint  = "checkpoint"
	ClaimInclusion   = "log"
	ClaimWitnesses   = "witnesses"
	ClaimConsistency = "consistency"
)

// Claim is one thing that a packet says.
type Claim struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	Holds Answer `json:"holds"`
	// Code is the kind of the finding that Detail tells of, where it has one.
	Code   Code     `json:"code,omitempty"`
	Detail string   `json:"detail,omitempty"`
	Files  []string `json:"files,omitempty"`
}

// Problem is one thing that is not as it must be, and where.
type Problem struct {
	// File is the entry of the packet, "" if it is none in particular.
	File string `json:"file,omitempty"`
	// Claim is the id of the claim that it goes against.
	Claim string `json:"claim"`
	// Code is its kind, "" where the claim alone says it.
	Code   Code   `json:"code,omitempty"`
	Detail string `json:"detail"`
}

// Report is what a verification found.
type Report struct {
	Status Status `json:"status"`
	// Manifest is the packet's own, without its files; its zero value if it
	// could not be read. It is part of what is verified and proves nothing.
	Manifest Manifest  `json:"packet"`
	Claims   []Claim   `json:"claims"`
	Problems []Problem `json:"problems"`
	// Doubts say what could not be told, and because of which file. Nothing has
	// been shown to be wrong there.
	Doubts []Problem `json:"doubts"`
	// Lacks say what an Untrusted packet lacks to be Good, the first of them
	// first.
	Lacks []Lack `json:"lacks"`
	// Signers says who made each signature, in their order.
	Signers []Signer `json:"signers"`
	// Unproven says what a verification of this packet does not prove, however
	// good it is.
	Unproven []Limit `json:"unproven"`
	// Disputed are the signatures that do not simply stand although the packet
	// holds: it proves that they are in doubt or have lost their force.
	Disputed []Disputed `json:"disputed"`
}

// Signer is who made a signature: the party as the ledger registered it, and
// whose the certificate is as it says itself. What the packet does not open is
// "".
type Signer struct {
	// Signature is the number of its folder: "02".
	Signature string `json:"signature"`
	// Party and Identifier are the party's name and its IIN or BIN, Person is the
	// name of who acted for it, where that is another.
	Party      string `json:"party,omitempty"`
	Identifier string `json:"identifier,omitempty"`
	Person     string `json:"person,omitempty"`
	// Owner, CommonName, IIN, BIN and Role are the certificate's subject, Serial
	// and Issuer name the certificate. Owner is the organisation where there is
	// one, CommonName the person.
	Owner      string `json:"owner,omitempty"`
	CommonName string `json:"commonName,omitempty"`
	IIN        string `json:"iin,omitempty"`
	BIN        string `json:"bin,omitempty"`
	Role       string `json:"role,omitempty"`
	Serial     string `json:"serial,omitempty"`
	Issuer     string `json:"issuer,omitempty"`
	// SignedAt is the moment that counts as that of signing, Holds what was found
	// of the signature.
	SignedAt time.Time      `json:"signedAt"`
	Holds    Answer         `json:"holds"`
	Force    document.Force `json:"force"`
}

// Disputed is a signature that is in doubt or has lost its force, as the events
// themselves record (R-C8).
type Disputed struct {
	// Signature is the number of its folder: "02".
	Signature string `json:"signature"`
	Party     string `json:"party"`
	// Force, Since, From, Notices, Source and Ground are those of
	// [document.Standing].
	Force   document.Force  `json:"force"`
	Since   time.Time       `json:"since"`
	From    time.Time       `json:"from,omitzero"`
	Notices []string        `json:"notices,omitempty"`
	Source  document.Source `json:"source,omitempty"`
	Ground  string          `json:"ground,omitempty"`
}

// Claim returns the claim of that id.
func (r Report) Claim(id string) (Claim, bool) {
	i := slices.IndexFunc(r.Claims, func(c Claim) bool { return c.ID == id })
	if i < 0 {
		return Claim{}, false
	}
	return r.Claims[i], true
}

// maxProblems is how many problems of one claim are listed.
const maxProblems = 200

// findings gathers a claim while it is looked into. It holds until something
// is found against it.
type findings struct {
	Claim
	problems []Problem
	more     int
	doubts   []Problem
	// newer says that a later version's writing is what keeps the claim from
	// being decided; missing that evidence does.
	newer, missing bool
}

// no records that the claim does not hold, because of a file ("" for none).
func (f *findings) no(file, format string, args ...any) { f.as("").no(file, format, args...) }

// unknown records that the claim cannot be decided.
func (f *findings) unknown(format string, args ...any) { f.as("").unknown(format, args...) }

func (f *findings) undecided(code Code, detail string) {
	if f.Holds != No {
		f.Holds, f.Code, f.Detail = CannotTell, code, detail
	}
}

// ununderstood records that the claim cannot be decided by this version, because
// of a file ("" for none).
func (f *findings) ununderstood(file, format string, args ...any) {
	f.newer = true
	f.undecided(CodeLater, fmt.Sprintf(format, args...))
	if len(f.doubts) < maxProblems {
		f.doubts = append(f.doubts, Problem{file, f.ID, CodeLater, fmt.Sprintf(format, args...)})
	}
}

// against records what would speak against the claim if every event were
// understood: with some that a later version wrote it may be as it must.
func (f *findings) against(blind bool, file, format string, args ...any) {
	f.as("").against(blind, file, format, args...)
}

// unanchored records that the claim rests on a foreign anchor.
func (f *findings) unanchored(format string, args ...any) {
	if f.Holds == Yes {
		f.Holds, f.Detail = NotAnchored, fmt.Sprintf(format, args...)
	}
}

// says gives the claim a detail if nothing was found against it.
func (f *findings) says(format string, args ...any) {
	if f.Holds == Yes {
		f.Detail = fmt.Sprintf(format, args...)
	}
}

// inquiry is a set of claims, in order.
type inquiry struct{ claims []*findings }

func (q *inquiry) open(id, title string) *findings {
	f := &findings{Claim: Claim{ID: id, Title: title, Holds: Yes}}
	q.claims = append(q.claims, f)
	return f
}

func (q *inquiry) claim(id string) *findings {
	for _, f := range q.claims {
		if f.ID == id {
			return f
		}
	}
	return q.open(id, id)
}

func (q *inquiry) report(m Manifest) Report {
	m.Files = nil
	r := Report{Status: Good, Manifest: m, Claims: []Claim{}, Problems: []Problem{}, Doubts: []Problem{}, Lacks: []Lack{}, Signers: []Signer{}, Unproven: []Limit{}, Disputed: []Disputed{}}
	lacks := map[Lack]bool{}
	for _, f := range q.claims {
		switch {
		case f.Holds == No:
			r.Status = Bad
			f.Code, f.Detail = f.problems[0].Code, f.problems[0].Detail
			if n := len(f.problems) + f.more; n > 1 {
				f.Detail += fmt.Sprintf(" (and %d more)", n-1)
			}
		case f.Holds != Yes && r.Status == Good:
			r.Status = Untrusted
		}
		r.Claims = append(r.Claims, f.Claim)
		r.Problems = append(r.Problems, f.problems...)
		r.Doubts = append(r.Doubts, f.doubts...)
		lacks[LackAnchors] = lacks[LackAnchors] || f.Holds == NotAnchored
		lacks[LackEvidence] = lacks[LackEvidence] || f.Holds == CannotTell && (f.missing || !f.newer)
		lacks[LackVersion] = lacks[LackVersion] || f.Holds == CannotTell && f.newer
	}
	for _, lack := range []Lack{LackAnchors, LackEvidence, LackVersion} {
		if lacks[lack] && r.Status == Untrusted {
			r.Lacks = append(r.Lacks, lack)
		}
	}
	return r
}
