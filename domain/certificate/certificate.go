package certificate

import (
	"slices"
	"time"
	"unicode/utf8"

	"dalel/domain/event"
	"dalel/domain/participant"
	"dalel/domain/wording"
	"dalel/eventstore"
	"dalel/internal/fault"
)

// MaxProse bounds circumstances and reasons, MaxField each text that is read
// from a certificate; both in characters.
const (
	MaxProse = 4000
	MaxField = 1000
	// MaxOfficer bounds an officer's name and position.
	MaxOfficer = 200
)

// Status is what may be done with a certificate's key.
type Status string

// The statuses. The zero Status is that of a certificate nobody registered.
const (
	StatusRegistered Status = "registered"
	StatusSuspended  Status = "suspended"
	StatusAnnulled   Status = "annulled"
)

// The purposes of a certificate.
const (
	Signing                  = "signing"
	Authentication           = "authentication"
	SigningAndAuthentication = "signing-and-authentication"
)

// Roles returns the roles that a certificate may state, "" for none; see
// [Registered].
func Roles() []string {
	return []string{"", "person", "entity", "head", "right-of-signature", "financial-right", "hr", "employee", "information-system"}
}

// Owner is what a certificate says of its owner and of itself, as it stands.
type Owner struct {
	IIN, BIN, Name      string
	Person              string // where Name is an organisation's
	Purpose, Role       string
	Algorithm           string
	Serial, Issuer      string
	NotBefore, NotAfter time.Time
}

// State is what a certificate's events come to. The zero State is that of one
// that nobody registered.
type State struct {
	// Fingerprint is the SHA-256 of the DER, lower-case hex.
	Fingerprint string
	// Stored is the address of the DER, as in [Registered].
	Stored string
	// Participant is whose it is.
	Participant string
	Owner
	Status Status
	// Notice is the open notice of a compromise whose moment counts, ""
	// when there is none.
	Notice string
	// CompromisedFrom is the moment from which the key is said not to be
	// trusted, nil when no notice is open. It outlasts the annulment.
	CompromisedFrom *time.Time
	// Notices are all that were given, withdrawn ones too, in their order.
	Notices []Notice
	// Revocation is the authority's, nil while none is recorded. Of several it
	// is the one from the earliest moment.
	Revocation *Revoked
	// AnnulledAt is nil until then.
	AnnulledAt *time.Time
	// WarnedAt is when it was warned that the certificate ends; nil until then.
	WarnedAt *time.Time
}

// Notice is a notice of compromise and what came of it (R-C7).
type Notice struct {
	ID      string
	Channel Channel
	// Officer took it; see [KeyCompromiseReported].
	Officer         string
	Circumstances   string
	ReceivedAt      time.Time
	CompromisedFrom time.Time
	// SuspendedAt is when the key was suspended by it, nil where it was
	// suspended or annulled before; Reaction is how long that took, and
	// WithinLimit whether no more than [ReactionLimit].
	SuspendedAt *time.Time
	Reaction    time.Duration
	WithinLimit bool
	// WithdrawnAt is nil while the notice is open.
	WithdrawnAt *time.Time
}

// Open reports whether the notice was not withdrawn.
func (n Notice) Open() bool { return n.WithdrawnAt == nil }

// Covers reports whether the notice puts a signature of a moment in doubt: it
// is open, and the signature was made at the claimed moment or since.
func (n Notice) Covers(signedAt time.Time) bool {
	return n.Open() && !signedAt.Before(n.CompromisedFrom)
}

// Covering returns the open notices that put a signature of a moment in doubt,
// in the order in which they were recorded.
func (s State) Covering(signedAt time.Time) []Notice {
	var covering []Notice
	for _, n := range s.Notices {
		if n.Covers(signedAt) {
			covering = append(covering, n)
		}
	}
	return covering
}

// RevokedBefore reports whether the authority revoked the certificate with a
// date at a moment or before it.
func (s State) RevokedBefore(moment time.Time) bool {
	return s.Revocation != nil && !moment.Before(s.Revocation.From())
}

// Exists reports whether the certificate was registered.
func (s State) Exists() bool { return s.Status != "" }

// EndsSoon reports whether a certificate that is good until notAfter, that
// moment included, ends within ExpiryWarning of now, and has not ended.
func EndsSoon(notAfter, now time.Time) bool {
	return !now.Before(notAfter.Add(-ExpiryWarning)) && !now.After(notAfter)
}

// DaysLeft is how many whole days are left, 0 on the last and after the end.
func DaysLeft(notAfter, now time.Time) int {
	return max(int(notAfter.Sub(now)/(24*time.Hour)), 0)
}

// EndsSoon reports whether there is something to be warned of: a certificate
// that ends soon, and was not annulled before.
func (s State) EndsSoon(now time.Time) bool {
	return s.Exists() && s.Status != StatusAnnulled && EndsSoon(s.NotAfter, now)
}

// CheckSigning says whether a signature of participant with this certificate
// counts, if it comes now and was made at the given moment.
//
// A suspended, annulled or revoked certificate is refused whatever the moment:
// the word of the key, and so a moment that the signer chose to prove, is in
// doubt. What the ledger accepted before is not refused by that: whether it
// stands, is in doubt or has lost its force is the document's to say (R-C8).
//
// Errors: certificate.unknown, certificate.of-another,
// certificate.wrong-purpose, and of what follows the gravest with all in its
// reasons: certificate.revoked, certificate.compromised for a moment at or
// after CompromisedFrom, certificate.annulled, certificate.suspended.
//
// Validity, path and revocation are the verdict's to judge, not asked here.
func (s State) CheckSigning(participant string, at time.Time) error {
	switch {
	case !s.Exists():
		return unknown()
	case participant == "" || participant != s.Participant:
		return ofAnother("the certificate is registered for another participant")
	case s.Purpose != Signing && s.Purpose != SigningAndAuthentication:
		return fault.New(fault.CertificatePurpose, "the certificate is for authentication only")
	}
	var grounds []fault.Reason
	add := func(code fault.Code, detail string) {
		grounds = append(grounds, fault.Reason{Code: string(code), Detail: detail})
	}
	if s.Revocation != nil {
		add(fault.CertificateRevoked, "the authority revoked the certificate from "+s.Revocation.From().Format(time.RFC3339)+" on")
	}
	if s.CompromisedFrom != nil && !at.Before(*s.CompromisedFrom) {
		add(fault.CertificateCompromised, "the key is not trusted from "+s.CompromisedFrom.Format(time.RFC3339)+" on")
	}
	if s.Status == StatusAnnulled {
		add(fault.CertificateAnnulled, "the certificate was annulled, which is for good")
	}
	if s.Status == StatusSuspended {
		add(fault.CertificateSuspended, "the certificate is suspended until its owner asks for it to be resumed")
	}
	if len(grounds) == 0 {
		return nil
	}
	refusal := fault.New(fault.Code(grounds[0].Code), "%s", grounds[0].Detail)
	if len(grounds) > 1 {
		refusal.Reasons = grounds
	}
	return refusal
}

// Command is a request to a certificate; the types of this package are all
// there are.
type Command interface{ command() }

// Register makes a certificate a participant's (R-C1).
type Register struct {
	// Certificate is the fingerprint.
	Certificate string
	Participant string
	// Owner is read from the certificate itself.
	Owner Owner
	// ParticipantKind and ParticipantIdentifier are facts, read from the
	// participant's stream.
	ParticipantKind       participant.Kind
	ParticipantIdentifier string
	// EmployeeIINs are facts too: the identifiers of a legal entity's
	// employees of now. Not used for others.
	EmployeeIINs []string
	// Stored is the address at which the DER was kept before this command.
	Stored string
	Now    time.Time
}

// ReportCompromise says that the key is no longer its owner's alone (R-C7).
// Anybody may report; it takes trust away and gives none.
type ReportCompromise struct {
	Notice  string
	Channel Channel
	// ReceivedAt is when the notice reached the operator, CompromisedFrom
	// the moment from which the key is not trusted.
	ReceivedAt      time.Time
	CompromisedFrom time.Time
	// Circumstances may be empty.
	Circumstances string
	// Officer is the authorised officer who took the notice, by name and
	// position. By phone and in writing somebody must have; online nobody does.
	Officer string
	Now     time.Time
}

// Resume asks for a suspended key to be trusted again (R-C7).
type Resume struct {
	// Requester is the participant who asks: the owner, or it is refused.
	Requester string
	// SessionCertificate is the fingerprint of the certificate that opened the
	// session in which it is asked, "" where none did. The word of a reported
	// key does not clear it.
	SessionCertificate string
	Channel            Channel
	Reason             string
	Now                time.Time
}

// Annul ends the certificate for good (R-C7).
type Annul struct {
	// Requester is the participant who asks. ByOperator is set where the
	// operator decides by itself, which the caller has checked.
	Requester  string
	ByOperator bool
	Reason     string
	Now        time.Time
}

// WarnOfExpiry warns that the certificate ends, if it is time to and nobody has
// (R-C5). It is harmless to repeat.
type WarnOfExpiry struct {
	// OwnerErased is a fact of the participant's stream: the destruction of
	// its data is ordered or done, and there is nobody to warn.
	OwnerErased bool
	Now         time.Time
}

// RecordRevocation records that the authority revoked the certificate. That
// the evidence proves it is checked before.
type RecordRevocation struct {
	RevokedAt time.Time
	// Invalidity is zero where the authority names no such date.
	Invalidity time.Time
	Reason     string
	Kind       EvidenceKind
	SHA256     string
	Now        time.Time
}

func (RecordRevocation) command() {}
func (WarnOfExpiry) command()     {}
func (Register) command()         {}
func (ReportCompromise) command() {}
func (Resume) command()           {}
func (Annul) command()            {}

// Decide says what follows from a command in a state: events, or a
// *fault.Error. Whether the certificate leads to a trusted root, and whether
// the participant may act, is decided before. Times are recorded in UTC, to
// the microsecond.
func Decide(state State, command Command) ([]event.Event, error) {
	if c, ok := command.(Register); ok {
		return register(state, c)
	}
	if !state.Exists() {
		return nil, unknown()
	}
	switch c := command.(type) {
	case ReportCompromise:
		return reportCompromise(state, c)
	case Resume:
		return resume(state, c)
	case Annul:
		return annul(state, c)
	case RecordRevocation:
		return recordRevocation(state, c)
	case WarnOfExpiry:
		return warnOfExpiry(state, c)
	}
	return nil, fault.New(fault.Internal, "certificates have no command %T", command)
}

func register(state State, c Register) ([]event.Event, error) {
	if state.Exists() {
		return nil, fault.New(fault.CertificateExists, "a certificate is registered once, for one participant")
	}
	if err := checkOwner(c.Certificate, c.Owner); err != nil {
		return nil, err
	}
	if c.Participant == "" {
		return nil, fault.New(fault.ParticipantUnknown, "the certificate's participant is not named")
	}
	if err := checkBelongs(c); err != nil {
		return nil, err
	}
	if c.Now.After(c.Owner.NotAfter) {
		return nil, fault.New(fault.CertificateExpired, "the certificate was valid until %s", c.Owner.NotAfter.UTC().Format(time.RFC3339))
	}
	o := c.Owner
	return []event.Event{Registered{
		Certificate: c.Certificate, Stored: c.Stored, Participant: c.Participant,
		OwnerIIN: o.IIN, OwnerBIN: o.BIN, OwnerName: o.Name, OwnerPerson: o.Person, Purpose: o.Purpose, Role: o.Role,
		Algorithm: o.Algorithm, Serial: o.Serial, Issuer: o.Issuer,
		NotBefore: recorded(o.NotBefore), NotAfter: recorded(o.NotAfter),
	}}, nil
}

// checkOwner bounds what was read from the certificate; it does not judge it.
func checkOwner(fingerprint string, o Owner) error {
	if !isFingerprint(fingerprint) {
		return fault.New(fault.CertificateInvalid, "the fingerprint must be a SHA-256 in lower-case hexadecimal digits")
	}
	for _, text := range []string{o.IIN, o.BIN, o.Name, o.Person, o.Algorithm, o.Serial, o.Issuer} {
		if !utf8.ValidString(text) || utf8.RuneCountInString(text) > MaxField {
			return fault.New(fault.CertificateInvalid, "a field of the certificate is longer than %d characters or not valid UTF-8", MaxField)
		}
	}
	switch {
	case o.Algorithm == "" || o.Serial == "" || o.Issuer == "":
		return fault.New(fault.CertificateInvalid, "the certificate lacks its key's algorithm, its serial number or its issuer")
	case o.Purpose != Signing && o.Purpose != Authentication && o.Purpose != SigningAndAuthentication:
		return fault.New(fault.CertificatePurpose, "the certificate is neither for signing nor for authentication")
	case !slices.Contains(Roles(), o.Role):
		return fault.New(fault.CertificateInvalid, "the role of the certificate's owner is not one that is known")
	case !recordable(o.NotBefore) || !recordable(o.NotAfter) || o.NotAfter.Before(o.NotBefore):
		return fault.New(fault.CertificateInvalid, "the certificate ends before it begins")
	}
	return nil
}

// checkBelongs compares the certificate's owner with the participant. An
// empty identifier equals nothing.
func checkBelongs(c Register) error {
	own := c.ParticipantIdentifier
	if own == "" {
		return fault.New(fault.ParticipantUnknown, "the participant has no identifier to compare the certificate with")
	}
	switch c.ParticipantKind {
	case participant.LegalEntity:
		if c.Owner.BIN != own {
			return ofAnother("the BIN in the certificate is not the participant's")
		}
		// Without an IIN (an information system) the BIN says it all.
		if c.Owner.IIN != "" && !slices.Contains(c.EmployeeIINs, c.Owner.IIN) {
			return ofAnother("the person in the certificate is no employee of the participant")
		}
	case participant.NaturalPerson, participant.SoleTrader, participant.NonResident:
		if c.Owner.IIN != own {
			return ofAnother("the IIN in the certificate is not the participant's identifier")
		}
		// With an entity's BIN a person's signature stands for the entity.
		if c.Owner.BIN != "" && c.Owner.BIN != own {
			return ofAnother("the certificate is for acting in the name of a legal entity")
		}
	default:
		return fault.New(fault.ParticipantUnknown, "the participant's kind is not known, so the certificate cannot be compared with it")
	}
	return nil
}

func reportCompromise(state State, c ReportCompromise) ([]event.Event, error) {
	if err := checkNotice(c); err != nil {
		return nil, err
	}
	from, now := recorded(c.CompromisedFrom), recorded(c.Now)
	switch {
	case state.Notice == c.Notice:
		return nil, fault.New(fault.CertificateState, "this notice was recorded before")
	case state.CompromisedFrom != nil && !from.Before(*state.CompromisedFrom):
		return nil, fault.New(fault.CertificateState, "an open notice names the same moment or an earlier one already")
	}
	events := []event.Event{KeyCompromiseReported{
		Certificate: state.Fingerprint, Participant: state.Participant, Notice: c.Notice, Channel: c.Channel,
		ReceivedAt: recorded(c.ReceivedAt), CompromisedFrom: from, Circumstances: c.Circumstances, Officer: c.Officer,
	}}
	if state.Status == StatusRegistered {
		reaction := now.Sub(recorded(c.ReceivedAt))
		events = append(events, Suspended{
			Certificate: state.Fingerprint, Notice: c.Notice, SuspendedAt: now,
			ReactionSeconds: int64(reaction / time.Second), WithinLimit: reaction <= ReactionLimit,
		})
	}
	return events, nil
}

func checkNotice(c ReportCompromise) error {
	if err := eventstore.Stream("notice", c.Notice).Check(); err != nil {
		return fault.New(fault.NoticeInvalid, "the notice's id cannot name a stream")
	}
	if err := checkChannel(c.Channel); err != nil {
		return err
	}
	switch {
	case !recordable(c.Now) || !recordable(c.ReceivedAt) || !recordable(c.CompromisedFrom):
		return fault.New(fault.NoticeInvalid, "the notice needs the moments of its receipt and of the compromise")
	case c.ReceivedAt.After(c.Now):
		return fault.New(fault.NoticeInvalid, "the notice cannot have been received in the future")
	case c.CompromisedFrom.After(c.ReceivedAt):
		return fault.New(fault.NoticeInvalid, "the key cannot be compromised from a moment after the notice was received")
	}
	if c.Circumstances != "" {
		if err := wording.Prose(c.Circumstances, MaxProse); err != nil {
			return wording.Refuse(fault.NoticeInvalid, "the circumstances", err)
		}
	}
	return checkOfficer(c)
}

// checkOfficer holds that the officer whose receipt started the clock is named.
func checkOfficer(c ReportCompromise) error {
	if c.Channel == Online {
		if c.Officer != "" {
			return fault.New(fault.NoticeInvalid, "the ledger itself takes a notice that comes online")
		}
		return nil
	}
	if err := wording.Line(c.Officer, MaxOfficer); err != nil {
		return fault.New(fault.NoticeInvalid, "name the officer who took the notice: it %v", err)
	}
	return nil
}

func checkChannel(channel Channel) error {
	if channel != ByPhone && channel != InWriting && channel != Online {
		return fault.New(fault.NoticeInvalid, "the channel must be phone, writing or online")
	}
	return nil
}

func resume(state State, c Resume) ([]event.Event, error) {
	if c.Requester == "" || c.Requester != state.Participant {
		return nil, fault.New(fault.Forbidden, "a certificate is resumed at its owner's request only")
	}
	if c.SessionCertificate != "" && c.SessionCertificate == state.Fingerprint {
		return nil, fault.New(fault.CertificateReported, "a notice is not withdrawn in a session that the reported key opened")
	}
	if state.Status != StatusSuspended {
		return nil, fault.New(fault.CertificateState, "the certificate is %s, not suspended", state.Status)
	}
	if err := checkChannel(c.Channel); err != nil {
		return nil, err
	}
	if err := checkReason(c.Reason, c.Now); err != nil {
		return nil, err
	}
	return []event.Event{Resumed{
		Certificate: state.Fingerprint, Notice: state.Notice, Channel: c.Channel,
		ResumedAt: recorded(c.Now), Reason: c.Reason, Participant: state.Participant,
	}}, nil
}

func annul(state State, c Annul) ([]event.Event, error) {
	if !c.ByOperator && (c.Requester == "" || c.Requester != state.Participant) {
		return nil, fault.New(fault.Forbidden, "a certificate is annulled at its owner's request or by the operator")
	}
	if state.Status == StatusAnnulled {
		return nil, fault.New(fault.CertificateState, "the certificate is annulled already")
	}
	if err := checkReason(c.Reason, c.Now); err != nil {
		return nil, err
	}
	return []event.Event{Annulled{
		Certificate: state.Fingerprint, Participant: state.Participant, AnnulledAt: recorded(c.Now), Reason: c.Reason,
	}}, nil
}

func recordRevocation(state State, c RecordRevocation) ([]event.Event, error) {
	if !recordable(c.Now) || !recordable(c.RevokedAt) || c.SHA256 == "" || c.Kind != EvidenceCRL && c.Kind != EvidenceOCSP {
		return nil, fault.New(fault.Internal, "a revocation without its date or its evidence")
	}
	revoked := Revoked{
		Certificate: state.Fingerprint, Participant: state.Participant, RevokedAt: recorded(c.RevokedAt), Reason: c.Reason,
		Kind: c.Kind, SHA256: c.SHA256, RecordedAt: recorded(c.Now),
	}
	if since := recorded(c.Invalidity); recordable(c.Invalidity) && since.Before(revoked.RevokedAt) {
		revoked.Invalidity = &since
	}
	if known := state.Revocation; known != nil && !revoked.From().Before(known.From()) {
		return nil, nil
	}
	return []event.Event{revoked}, nil
}

func warnOfExpiry(state State, c WarnOfExpiry) ([]event.Event, error) {
	if !recordable(c.Now) {
		return nil, fault.New(fault.Internal, "a command without the time of now")
	}
	if state.WarnedAt != nil || c.OwnerErased || !state.EndsSoon(c.Now) {
		return nil, nil
	}
	return []event.Event{ExpiryWarned{
		Certificate: state.Fingerprint, Participant: state.Participant, NotAfter: state.NotAfter, WarnedAt: recorded(c.Now),
	}}, nil
}

func checkReason(reason string, now time.Time) error {
	if reason == "" {
		return fault.New(fault.ReasonMissing, "say why")
	}
	if err := wording.Prose(reason, MaxProse); err != nil {
		return wording.Refuse(fault.RequestInvalid, "the reason", err)
	}
	if !recordable(now) {
		return fault.New(fault.Internal, "a command without the time of now")
	}
	return nil
}

// recorded is the one form in which moments stand in events. Cutting makes a
// moment of compromise earlier, never later.
func recorded(moment time.Time) time.Time { return moment.UTC().Truncate(time.Microsecond) }

// recordable reports whether a moment is set and RFC 3339 can write it.
func recordable(moment time.Time) bool {
	return !moment.IsZero() && moment.UTC().Year() >= 1 && moment.UTC().Year() <= 9999
}

func isFingerprint(text string) bool {
	if len(text) != 64 {
		return false
	}
	for i := range len(text) {
		if c := text[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func unknown() error { return fault.New(fault.CertificateUnknown, "the certificate is not registered") }

func ofAnother(detail string) error { return fault.New(fault.CertificateOfAnother, "%s", detail) }

// Evolve returns the state after an event. It leaves its argument as it was.
func Evolve(state State, e event.Event) State {
	switch e := e.(type) {
	case Registered:
		return State{
			Fingerprint: e.Certificate, Stored: e.Stored, Participant: e.Participant, Status: StatusRegistered,
			Owner: Owner{
				IIN: e.OwnerIIN, BIN: e.OwnerBIN, Name: e.OwnerName, Person: e.OwnerPerson, Purpose: e.Purpose, Role: e.Role,
				Algorithm: e.Algorithm, Serial: e.Serial, Issuer: e.Issuer,
				NotBefore: e.NotBefore, NotAfter: e.NotAfter,
			},
		}
	case KeyCompromiseReported:
		state.Notice, state.CompromisedFrom = e.Notice, &e.CompromisedFrom
		state.Notices = append(slices.Clone(state.Notices), Notice{
			ID: e.Notice, Channel: e.Channel, Officer: e.Officer, Circumstances: e.Circumstances,
			ReceivedAt: e.ReceivedAt, CompromisedFrom: e.CompromisedFrom,
		})
	case Suspended:
		state.Status = StatusSuspended
		state.Notices = slices.Clone(state.Notices)
		for i, n := range state.Notices {
			if n.ID == e.Notice {
				state.Notices[i].SuspendedAt, state.Notices[i].WithinLimit = &e.SuspendedAt, e.WithinLimit
				state.Notices[i].Reaction = time.Duration(e.ReactionSeconds) * time.Second
			}
		}
	case Resumed:
		if state.Status == StatusSuspended { // annulment is for good
			state.Status = StatusRegistered
		}
		state.Notice, state.CompromisedFrom = "", nil
		state.Notices = slices.Clone(state.Notices)
		for i, n := range state.Notices {
			if n.Open() {
				state.Notices[i].WithdrawnAt = &e.ResumedAt
			}
		}
	case Revoked:
		if state.Revocation == nil || e.From().Before(state.Revocation.From()) {
			state.Revocation = &e
		}
	case Annulled:
		state.Status, state.AnnulledAt = StatusAnnulled, &e.AnnulledAt
	case ExpiryWarned:
		state.WarnedAt = &e.WarnedAt
	default:
		// The codec stops at every type that it does not know: nothing else
		// comes here.
	}
	return state
}
