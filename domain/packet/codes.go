package packet

import "fmt"

// Code is the kind of a finding, stable and for programs. Not every finding has
// one: the claim that it is about says the rest.
type Code string

// The kinds of what speaks against a claim.
const (
	// CodeMissing: a file is not there.
	CodeMissing Code = "missing"
	// CodeChanged: a file has other bytes than it must have.
	CodeChanged Code = "changed"
	// CodeExtra: a file has no place in the packet.
	CodeExtra Code = "extra"
	// CodeUnreadable: a file cannot be read.
	CodeUnreadable Code = "unreadable"
	// CodeBackwards: an event says that it was recorded before the one it follows.
	CodeBackwards Code = "backwards"
	// CodeStampEarly: a time token is of a moment before the newest event under it.
	CodeStampEarly Code = "stamp-early"
	// CodeOrder: the log has the events in another order than the packet.
	CodeOrder Code = "order"
	// CodeNotInLog: an event is not proven to be in the log.
	CodeNotInLog Code = "not-in-log"
	// CodeCosignature: a line of the checkpoint is not its witness's.
	CodeCosignature Code = "cosignature"
	// CodeOwner: the certificate is another's than the party's whom the ledger
	// registered.
	CodeOwner Code = "owner"
	// CodePerson: the certificate is another person's than the one who acted.
	CodePerson Code = "person"
	// CodeRegistration: the certificate says otherwise than its registration.
	CodeRegistration Code = "registration"
	// CodeUncounted: the certificate did not count for the party at that moment.
	CodeUncounted Code = "uncounted"
	// CodeMoment: a verdict is for another moment than that of recording.
	CodeMoment Code = "moment"
	// CodeVerdict: the recorded verdict is not the one that is found now.
	CodeVerdict Code = "verdict"
	// CodeInvalid: a signature is invalid.
	CodeInvalid Code = "invalid"
)

// The kinds of what keeps a claim from being decided.
const (
	// CodeLater: a later version of the ledger wrote it.
	CodeLater Code = "later"
	// CodeDependent: what it rests on does not hold, or cannot be read.
	CodeDependent Code = "dependent"
	// CodeClosed: the packet does not open sealed data, and no event says that
	// they were destroyed.
	CodeClosed Code = "closed"
	// CodeOwnerClosed: whom the ledger registered is not opened.
	CodeOwnerClosed Code = "owner-closed"
	// CodeNoLog: the packet has no proofs of a log.
	CodeNoLog Code = "no-log"
	// CodeNotCovered: the log had not covered the newest event.
	CodeNotCovered Code = "not-covered"
	// CodeUnwitnessed: no witness, or not enough of them, cosigned the checkpoint.
	CodeUnwitnessed Code = "unwitnessed"
	// CodeUndecided: whether a signature is valid cannot be told.
	CodeUndecided Code = "undecided"
)

// Against returns the kinds of what speaks against a claim.
func Against() []Code {
	return []Code{
		CodeMissing, CodeChanged, CodeExtra, CodeUnreadable, CodeBackwards, CodeStampEarly, CodeOrder, CodeNotInLog,
		CodeCosignature, CodeOwner, CodePerson, CodeRegistration, CodeUncounted, CodeMoment, CodeVerdict, CodeInvalid,
	}
}

// Undecided returns the kinds of what keeps a claim from being decided.
func Undecided() []Code {
	return []Code{
		CodeLater, CodeDependent, CodeClosed, CodeOwnerClosed, CodeNoLog, CodeNotCovered, CodeUnwitnessed, CodeUndecided,
	}
}

// The kinds of the claims of which a packet may have several.
const (
	ClaimSignature = "signature"
	ClaimTimestamp = "timestamp"
)

// Claims returns the kind of every claim that a packet can make.
func Claims() []string {
	return []string{
		ClaimArchive, ClaimManifest, ClaimSeal, ClaimCheckpoint, ClaimWitnesses, ClaimTimestamp, ClaimConsistency, ClaimInclusion,
		ClaimEvents, ClaimStory, ClaimDocuments, ClaimCertificates, ClaimSignature, ClaimJournal, ClaimReport, ClaimContents,
	}
}

// coded records findings of one kind about a claim.
type coded struct {
	*findings
	code Code
}

func (f *findings) as(code Code) coded { return coded{f, code} }

// no records that the claim does not hold, because of a file ("" for none).
func (c coded) no(file, format string, args ...any) {
	c.Holds = No
	if len(c.problems) == maxProblems {
		c.more++
		return
	}
	c.problems = append(c.problems, Problem{file, c.ID, c.code, fmt.Sprintf(format, args...)})
}

// unknown records that the claim cannot be decided.
func (c coded) unknown(format string, args ...any) {
	c.missing = true
	c.undecided(c.code, fmt.Sprintf(format, args...))
}

// against records what would speak against the claim if every event were
// understood: with some that a later version wrote it may be as it must.
func (c coded) against(blind bool, file, format string, args ...any) {
	if !blind {
		c.no(file, format, args...)
		return
	}
	c.ununderstood(file, format+" (or a later version's event says why: ask a newer verifier)", args...)
}
