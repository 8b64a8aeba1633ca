package document

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"dalel/domain/certificate"
	"dalel/domain/event"
	"dalel/domain/fileformat"
	"dalel/domain/isocode"
	"dalel/domain/signature"
	"dalel/domain/wording"
	"dalel/internal/fault"
)

// Bounds of a document.
const (
	// MaxFiles is how many files a document has at most.
	MaxFiles = 50
	// MaxFileBytes is the size of one file at most.
	MaxFileBytes = 4 << 30
	// MaxRecipients is how many recipients a route has at most.
	MaxRecipients = 100
	// MaxAttempts is how many refused signatures of one party are recorded on
	// one document; further ones are turned away unrecorded, so that nobody
	// can grow a stream without end.
	MaxAttempts = 50
	// MaxReasonRunes is the length of a reason at most.
	MaxReasonRunes = 2000
	// MaxRouteTime is how far ahead a deadline may lie.
	MaxRouteTime = 5 * 366 * 24 * time.Hour
	// MaxIssued is how many exemplars of a document are issued at most, and
	// how many paper copies.
	MaxIssued = 1000
	// MaxHolds is how many legal holds stand on one document at most.
	MaxHolds = 1000
)

// Decide answers a command: the events that it makes happen, none if what it
// asks for is so already and may be asked twice, or a *fault.Error. Each event
// [Follows] on the one before.
func Decide(s State, command Command) ([]event.Event, error) {
	if create, ok := command.(Create); ok {
		return decideCreate(s, create)
	}
	if s.Status == None {
		return nil, fault.New(fault.DocumentUnknown, "no such document")
	}
	if s.Gone() {
		return s.decideGone(command)
	}
	switch c := command.(type) {
	case Describe:
		return s.decideDescribe(c)
	case AttachFile:
		return s.decideAttach(c)
	case RemoveFile:
		return s.decideRemove(c)
	case Send:
		return s.decideSend(c)
	case DeliverDue:
		return s.decideDeliver(c)
	case View:
		return s.decideView(c)
	case Acknowledge:
		return s.decideAcknowledge(c)
	case Sign:
		return s.decideSign(c)
	case Recheck:
		return s.decideRecheck(c)
	case Approve:
		return s.decideApprove(c)
	case Reject:
		return s.decideReject(c)
	case Revoke:
		return s.decideRevoke(c)
	case Consent:
		return s.decideConsent(c)
	case Decline:
		return s.decideDecline(c)
	case Expire:
		return s.decideExpire(c)
	case NoteCertificate:
		return s.decideNote(c)
	case DecideSignature:
		return s.decideSignature(c)
	case RefuseFile:
		return s.decideRefuseFile(c)
	case IssueExemplar:
		return s.decideExemplar(c)
	case IssueCopy:
		return s.decideCopy(c)
	case PlaceHold:
		return s.decideHold(c)
	case LiftHold:
		return s.decideLift(c)
	case RequestDestruction:
		return s.decideRequest(c)
	case ProposeDestruction:
		return s.decidePropose(c)
	case OrderDestruction:
		return s.decideOrder(c)
	case MarkDestroyed:
		return nil, s.wrongState("nobody has ordered its destruction")
	default:
		return nil, fault.New(fault.Internal, "document command %T", command)
	}
}

func decideCreate(s State, c Create) ([]event.Event, error) {
	if s.Status != None {
		return nil, fault.New(fault.DocumentExists, "the document exists already")
	}
	if err := c.Details.check(); err != nil {
		return nil, err
	}
	return happened(Created{Document: c.Document, Sender: c.By.Participant, By: c.By, Details: c.Details})
}

func (s State) decideDescribe(c Describe) ([]event.Event, error) {
	if err := s.draftOf(c.By); err != nil {
		return nil, err
	}
	if err := c.Details.check(); err != nil {
		return nil, err
	}
	return happened(Described{Document: s.ID, Sender: s.Sender, By: c.By, Details: c.Details})
}

func (s State) decideAttach(c AttachFile) ([]event.Event, error) {
	if err := s.draftOf(c.By); err != nil {
		return nil, err
	}
	if err := fileformat.CheckName(c.File.Name); err != nil {
		return nil, err
	}
	if c.File.Size > MaxFileBytes {
		return nil, fault.New(fault.FileTooLarge, "a file of %d bytes; the limit is %d", c.File.Size, int64(MaxFileBytes))
	}
	if !fileformat.Ordered(c.File.Cautions) {
		return nil, fault.New(fault.Internal, "the cautions are not those of a check")
	}
	replaced, replaces := s.File(c.File.Name)
	for _, f := range s.Files {
		// Two names that a file system may take for one would fall on each
		// other wherever the document is unpacked.
		if f.Name != c.File.Name && fileformat.Fold(f.Name) == fileformat.Fold(c.File.Name) {
			return nil, fault.New(fault.FileInvalid, "the document has a file whose name differs only by case")
		}
	}
	if !replaces && len(s.Files) >= MaxFiles {
		return nil, fault.New(fault.FileInvalid, "a document has at most %d files", MaxFiles)
	}
	return happened(FileAttached{Document: s.ID, Sender: s.Sender, By: c.By, File: c.File, Replaces: replaced.SHA256})
}

func (s State) decideRemove(c RemoveFile) ([]event.Event, error) {
	if err := s.draftOf(c.By); err != nil {
		return nil, err
	}
	file, ok := s.File(c.Name)
	if !ok {
		return nil, fault.New(fault.FileUnknown, "the document has no file of that name")
	}
	return happened(FileRemoved{Document: s.ID, Sender: s.Sender, By: c.By, Name: c.Name, SHA256: file.SHA256})
}

func (s State) decideSend(c Send) ([]event.Event, error) {
	if err := s.draftOf(c.By); err != nil {
		return nil, err
	}
	if len(s.Files) == 0 {
		return nil, fault.New(fault.DocumentNoFiles, "attach a file before sending")
	}
	if err := c.checkRoute(s.Sender); err != nil {
		return nil, err
	}
	return happened(Sent{
		Document: s.ID, Sender: s.Sender, By: c.By,
		SenderSigns: c.SenderSigns, Recipients: c.Recipients, SentAt: c.Now, ReliedOn: c.ReliedOn,
	})
}

func (c Send) checkRoute(sender string) error {
	invalid := func(format string, args ...any) error {
		return fault.New(fault.RouteInvalid, format, args...)
	}
	if len(c.Recipients) == 0 || len(c.Recipients) > MaxRecipients {
		return invalid("a route has 1 to %d recipients", MaxRecipients)
	}
	signers := 0
	if c.SenderSigns {
		signers++
	}
	seen := map[string]bool{sender: true}
	for i, r := range c.Recipients {
		n := i + 1
		switch {
		case !c.Known[r.Participant]:
			return fault.New(fault.RecipientUnknown, "recipient %d is not a participant of this ledger", n)
		case seen[r.Participant]:
			return invalid("recipient %d stands in the route twice, or is the sender", n)
		case r.Order < 1 || r.Order > MaxRecipients:
			return invalid("recipient %d: the order is 1 to %d", n, MaxRecipients)
		case r.Deadline != nil && (!r.Deadline.After(c.Now) || r.Deadline.Sub(c.Now) > MaxRouteTime):
			return invalid("recipient %d: the deadline must lie ahead, by five years at most", n)
		}
		seen[r.Participant] = true
		switch r.Role {
		case RoleSign:
			signers++
			switch r.Method {
			case MethodCertificate:
			case MethodCode:
				return fault.New(fault.MethodNotOffered, "recipient %d: signing by one-time code is not offered yet", n)
			default:
				return invalid("recipient %d: the method of signing is %q", n, r.Method)
			}
		case RoleApprove, RoleRead:
			if r.Method != "" {
				return invalid("recipient %d: only who signs has a method", n)
			}
		default:
			return invalid("recipient %d: the role is %q", n, r.Role)
		}
	}
	if signers == 0 {
		return invalid("somebody has to sign")
	}
	return nil
}

func (s State) decideDeliver(c DeliverDue) ([]event.Event, error) {
	if s.Status == Draft {
		return nil, s.wrongState("a draft is not delivered")
	}
	if s.Status != Awaiting && s.Status != Complete {
		// It ended before their turn came: they never get it.
		return nil, nil
	}
	var events []event.Event
	for _, p := range s.Parties {
		if p.Participant != s.Sender && p.DeliveredAt == nil && p.Order <= s.step() {
			events = append(events, Delivered{Document: s.ID, Recipient: p.Participant, DeliveredAt: c.Now, ReliedOn: c.ReliedOn})
		}
	}
	return events, nil
}

func (s State) decideView(c View) ([]event.Event, error) {
	p, err := s.recipient(c.By)
	if err != nil || p.ViewedAt != nil {
		return nil, err
	}
	return happened(Viewed{Document: s.ID, Recipient: p.Participant, By: c.By, ViewedAt: c.Now})
}

func (s State) decideAcknowledge(c Acknowledge) ([]event.Event, error) {
	p, err := s.recipient(c.By)
	if err != nil {
		return nil, err
	}
	if p.AcknowledgedAt != nil {
		return nil, fault.New(fault.AlreadyDone, "acknowledged already")
	}
	return happened(Acknowledged{Document: s.ID, Recipient: p.Participant, By: c.By, AcknowledgedAt: c.Now})
}

func (s State) decideSign(c Sign) ([]event.Event, error) {
	p, err := s.turn(c.By, RoleSign, c.Now)
	if err != nil {
		return nil, err
	}
	if p.Attempts >= MaxAttempts {
		return nil, fault.New(fault.Throttled, "%d refused signatures are recorded on this document already", MaxAttempts)
	}
	if c.Method != p.Method {
		return nil, fault.New(fault.MethodNotOffered, "the route asks for method %q", p.Method)
	}
	if refusal := s.objection(c); refusal != nil {
		again := refusal.Code == fault.SignatureUnknown && c.passing()
		if again {
			refusal.Detail = "it cannot be told now whether the signature is valid; it is kept and will be checked again by itself"
		}
		return happened(SignatureRefused{
			Document: s.ID, Party: p.Participant, By: c.By, AttemptedAt: c.Now,
			Code: refusal.Code, Detail: refusal.Detail, Reasons: refusal.Reasons,
			Signatures: c.Signatures, Again: again, ReliedOn: c.ReliedOn,
		})
	}
	return s.completedBy(s.signed(p, c, c.Now), c.Number, c.Now), nil
}

// signed is the event of signatures that count.
func (s State) signed(p Party, c Sign, received time.Time) Signed {
	signed := Signed{
		Document: s.ID, Party: p.Participant, By: c.By, Method: c.Method,
		ReceivedAt: received, SignedAt: received, Certificate: c.Certificate, Seal: c.Seal,
		Signatures: c.Signatures, ReliedOn: c.ReliedOn,
	}
	if at, ok := TrustedTime(c.Signatures, c.Certificate); ok {
		signed.SignedAt, signed.TrustedTime = at, true
	}
	return signed
}

// TrustedTime is the latest of the trusted times of signatures by a certificate,
// if every one has one.
func TrustedTime(signatures []FileSignature, certificate string) (latest time.Time, ok bool) {
	for _, sig := range signatures {
		var at *time.Time
		for _, signer := range sig.AtSigning().Signers {
			if signer.Certificate == certificate && signer.At != nil {
				at = signer.At
			}
		}
		if at == nil {
			return time.Time{}, false
		}
		if at.After(latest) {
			latest = *at
		}
	}
	return latest, len(signatures) > 0
}

// passing says that what keeps the signatures from counting may pass by
// itself.
func (c Sign) passing() bool {
	for _, sig := range c.Signatures {
		verdict := sig.AtSigning()
		for _, r := range reasons(verdict) {
			if signature.StatusOf(r.Code) != signature.Valid && !signature.Passing(r.Code) {
				return false
			}
		}
	}
	return c.Certificate != ""
}

// RecheckFor is how long a signature is checked again whose validity could not
// be told. Who signs a document waits for days, not for weeks.
const RecheckFor = 7 * 24 * time.Hour

// decideRecheck settles an attempt that could not be decided when it came, for
// the moment when it came (R-C4).
func (s State) decideRecheck(c Recheck) ([]event.Event, error) {
	i := slices.IndexFunc(s.Undecided, func(u Undecided) bool {
		return u.Party == c.By.Participant && u.Attempt == c.Attempt
	})
	if i < 0 {
		return nil, nil
	}
	undecided := s.Undecided[i]
	p, err := s.turn(c.By, RoleSign, undecided.AttemptedAt)
	if err != nil {
		return nil, nil // the route went on or ended without it
	}
	refusal := s.objection(c.Sign)
	switch {
	case refusal == nil:
		signed := s.signed(p, c.Sign, undecided.AttemptedAt)
		signed.Attempt = c.Attempt
		return s.completedBy(signed, c.Number, c.Now), nil
	case refusal.Code == fault.SignatureUnknown && c.passing() && c.Now.Before(undecided.AttemptedAt.Add(RecheckFor)):
		return nil, nil
	}
	return happened(SignatureRefused{
		Document: s.ID, Party: p.Participant, By: c.By, AttemptedAt: undecided.AttemptedAt,
		Code: refusal.Code, Detail: refusal.Detail, Reasons: refusal.Reasons,
		Signatures: c.Signatures, Attempt: c.Attempt, ReliedOn: c.ReliedOn,
	})
}

// objection says why signatures do not count, nil if they do. The order is
// from what is surely wrong to what cannot be told.
func (s State) objection(c Sign) *fault.Error {
	var unknown *fault.Error
	signed := map[string]bool{}
	for _, sig := range c.Signatures {
		verdict := sig.AtSigning()
		switch verdict.Status {
		case signature.Valid:
			signed[sig.File] = true
		case signature.Unknown:
			signed[sig.File] = true
			unknown = &fault.Error{Code: fault.SignatureUnknown, Detail: "it cannot be told whether the signature is valid", Reasons: reasons(verdict)}
		default:
			return &fault.Error{Code: fault.SignatureInvalid, Detail: "the signature is not valid", Reasons: reasons(verdict)}
		}
	}
	for _, f := range s.Files {
		if !signed[f.SHA256] {
			return fault.New(fault.SignatureIncomplete, "every one of the document's %d files must be signed", len(s.Files))
		}
	}
	switch {
	case unknown != nil:
		return unknown
	case c.Certificate == "":
		return fault.New(fault.CertificateUnknown, "the signatures do not name one certificate")
	default:
		return c.Objection
	}
}

func reasons(v signature.Verdict) []fault.Reason {
	var list []fault.Reason
	add := func(found []signature.Reason) {
		for _, r := range found {
			list = append(list, fault.Reason{Code: r.Code, Detail: r.Detail})
		}
	}
	add(v.Reasons)
	for _, signer := range v.Signers {
		add(signer.Reasons)
	}
	return list
}

func (s State) decideApprove(c Approve) ([]event.Event, error) {
	p, err := s.turn(c.By, RoleApprove, c.Now)
	if err != nil {
		return nil, err
	}
	approved := Approved{Document: s.ID, Party: p.Participant, By: c.By, ApprovedAt: c.Now}
	return s.completedBy(approved, c.Number, c.Now), nil
}

// completedBy returns the act, and the completion with it if it was the last.
func (s State) completedBy(act event.Event, number string, now time.Time) []event.Event {
	events := []event.Event{act}
	next := Evolve(s, act)
	waiting := slices.ContainsFunc(next.Parties, func(p Party) bool { return p.acts() && p.Outcome == "" })
	if !waiting {
		events = append(events, Completed{Document: s.ID, Number: number, CompletedAt: now})
	}
	return events
}

func (s State) decideReject(c Reject) ([]event.Event, error) {
	p, err := s.turn(c.By, "", c.Now)
	if err != nil {
		return nil, err
	}
	if err := checkReason(c.Reason); err != nil {
		return nil, err
	}
	return happened(Rejected{Document: s.ID, Party: p.Participant, By: c.By, Reason: c.Reason, RejectedAt: c.Now})
}

func (s State) decideRevoke(c Revoke) ([]event.Event, error) {
	if c.By.Participant != s.Sender {
		return nil, fault.New(fault.NotAParty, "only the sender revokes")
	}
	if err := checkReason(c.Reason); err != nil {
		return nil, err
	}
	switch {
	case s.Status == Complete && s.Proposal != nil:
		return nil, fault.New(fault.AlreadyDone, "the revocation is proposed already")
	case s.Status == Complete && len(s.consenters()) > 0:
		return happened(RevocationProposed{Document: s.ID, Party: s.Sender, By: c.By, Reason: c.Reason, ProposedAt: c.Now})
	case s.Status == Complete, s.Status == Awaiting:
		return happened(Revoked{
			Document: s.ID, Party: s.Sender, By: c.By, Reason: c.Reason,
			AfterCompletion: s.Status == Complete, RevokedAt: c.Now,
		})
	default:
		return nil, s.wrongState("only a sent document is revoked")
	}
}

func (s State) decideConsent(c Consent) ([]event.Event, error) {
	if err := s.proposalTo(c.By); err != nil {
		return nil, err
	}
	consented := RevocationConsented{Document: s.ID, Party: c.By.Participant, By: c.By, ConsentedAt: c.Now}
	events := []event.Event{consented}
	next := Evolve(s, consented)
	for _, name := range next.consenters() {
		if !slices.Contains(next.Proposal.Consents, name) {
			return events, nil
		}
	}
	return append(events, Revoked{
		Document: s.ID, Party: s.Proposal.Party, By: c.By, Reason: s.Proposal.Reason,
		AfterCompletion: true, RevokedAt: c.Now,
	}), nil
}

func (s State) decideDecline(c Decline) ([]event.Event, error) {
	if err := s.proposalTo(c.By); err != nil {
		return nil, err
	}
	if err := checkReason(c.Reason); err != nil {
		return nil, err
	}
	return happened(RevocationDeclined{Document: s.ID, Party: c.By.Participant, By: c.By, Reason: c.Reason, DeclinedAt: c.Now})
}

func (s State) decideExpire(c Expire) ([]event.Event, error) {
	if s.Status != Awaiting {
		return nil, s.wrongState("only a document that awaits somebody can expire")
	}
	var late []string
	var deadline time.Time
	for _, p := range s.Parties {
		if p.acts() && p.Outcome == "" && p.Deadline != nil && !c.Now.Before(*p.Deadline) {
			late = append(late, p.Participant)
			if deadline.IsZero() || p.Deadline.Before(deadline) {
				deadline = *p.Deadline
			}
		}
	}
	if len(late) == 0 {
		return nil, fault.New(fault.DocumentNotDue, "no deadline has passed")
	}
	return happened(Expired{Document: s.ID, Parties: late, Deadline: deadline, ExpiredAt: c.Now})
}

// decideNote makes the marks that tell the parties what stands on a
// certificate's stream against signatures on the document, and has not been
// told.
func (s State) decideNote(c NoteCertificate) ([]event.Event, error) {
	var events []event.Event
	for _, notice := range c.State.Notices {
		events = append(events, s.noteNotice(c, notice)...)
	}
	if c.State.Revocation == nil {
		return events, nil
	}
	var told []string
	for n, sig := range s.Signatures {
		if sig.Certificate == c.State.Fingerprint && !sig.Revoked && !s.Replaced(n) && c.State.RevokedBefore(sig.SignedAt) {
			told = append(told, sig.Party)
		}
	}
	if len(told) > 0 {
		events = append(events, SignaturesRevoked{
			Document: s.ID, Certificate: c.State.Fingerprint, From: c.State.Revocation.From(), Parties: told,
			MarkedAt: c.Now, ReliedOn: c.ReliedOn,
		})
	}
	return events, nil
}

func (s State) noteNotice(c NoteCertificate, notice certificate.Notice) []event.Event {
	var affected, standing, lifted []string
	for _, sig := range s.Signatures {
		told := slices.Contains(sig.Doubts, notice.ID)
		switch {
		case sig.Certificate != c.State.Fingerprint:
		case !notice.Open():
			if told && !slices.Contains(sig.Lifted, notice.ID) {
				lifted = append(lifted, sig.Party)
			}
		case !notice.Covers(sig.SignedAt):
			// Whoever held the key then was still its owner (R-C8).
			standing = append(standing, sig.Party)
		case !told:
			affected = append(affected, sig.Party)
		}
	}
	switch {
	case len(lifted) > 0:
		return []event.Event{DoubtLifted{
			Document: s.ID, Notice: notice.ID, Certificate: c.State.Fingerprint, Parties: lifted,
			WithdrawnAt: *notice.WithdrawnAt, LiftedAt: c.Now, ReliedOn: c.ReliedOn,
		}}
	case len(affected) > 0:
		return []event.Event{SignaturesDoubted{
			Document: s.ID, Notice: notice.ID, Certificate: c.State.Fingerprint, CompromisedFrom: notice.CompromisedFrom,
			Affected: affected, Standing: standing, MarkedAt: c.Now, ReliedOn: c.ReliedOn,
		}}
	}
	return nil
}

// decideSignature records a decision on a signature that is in doubt. Where no
// open notice puts it in doubt, there is nothing to decide: nobody takes the
// force from a signature that nobody disputes.
func (s State) decideSignature(c DecideSignature) ([]event.Event, error) {
	n := c.Signature - 1
	if n < 0 || n >= len(s.Signatures) {
		return nil, fault.New(fault.SignatureUnknownNumber, "the document has %d signatures", len(s.Signatures))
	}
	if c.Ruling != RulingLost && c.Ruling != RulingStands {
		return nil, fault.New(fault.RequestInvalid, "the ruling is %q or %q", RulingLost, RulingStands)
	}
	if err := checkWords("ground", c.Ground); err != nil {
		return nil, err
	}
	sig := s.Signatures[n]
	if sig.Certificate != c.State.Fingerprint {
		return nil, fault.New(fault.Internal, "the state of another certificate was read")
	}
	standing := s.Standing(n, c.State)
	if standing.Force != ForceDoubt {
		return nil, fault.New(fault.SignatureNotDisputed, "no open notice puts the signature in doubt: it is %s", standing.Force)
	}
	var notices []string
	for _, notice := range c.State.Covering(sig.SignedAt) {
		notices = append(notices, notice.ID)
	}
	return happened(SignatureDecided{
		Document: s.ID, By: c.By, Signature: c.Signature, Party: sig.Party, Certificate: sig.Certificate,
		Notices: notices, Ruling: c.Ruling, Ground: c.Ground, DecidedAt: c.Now, ReliedOn: c.ReliedOn,
	})
}

// draftOf refuses unless the document is a draft and by its sender.
func (s State) draftOf(by event.By) error {
	if by.Participant != s.Sender {
		return fault.New(fault.NotAParty, "only the sender changes a draft")
	}
	if s.Status != Draft {
		return s.wrongState("a document that was sent does not change")
	}
	return nil
}

// recipient returns the recipient that by acts for, if the document has been
// delivered to it.
func (s State) recipient(by event.By) (Party, error) {
	p, ok := s.Party(by.Participant)
	if !ok || p.Participant == s.Sender || p.DeliveredAt == nil {
		return Party{}, fault.New(fault.NotAParty, "the document was not delivered to this participant")
	}
	return p, nil
}

// turn returns the party that by acts for, if the route waits for it in that
// role ("" for any that acts) and its deadline has not passed.
func (s State) turn(by event.By, role Role, now time.Time) (Party, error) {
	p, ok := s.Party(by.Participant)
	switch {
	case s.Status == Draft && by.Participant == s.Sender:
		return Party{}, s.wrongState("send the draft first")
	case !ok || p.Participant != s.Sender && p.DeliveredAt == nil:
		return Party{}, fault.New(fault.NotAParty, "not a party to this document")
	case s.Status != Awaiting:
		return Party{}, s.wrongState("the route has ended")
	case !p.acts() || role != "" && p.Role != role:
		return Party{}, fault.New(fault.RoleMismatch, "the route asks this party for something else")
	case p.Outcome != "":
		return Party{}, fault.New(fault.AlreadyDone, "this party has acted already")
	case p.Order != s.step():
		return Party{}, fault.New(fault.NotYourTurn, "others must act first")
	case p.Deadline != nil && !now.Before(*p.Deadline):
		return Party{}, fault.New(fault.DocumentDeadline, "the deadline was %s", p.Deadline.UTC().Format(time.RFC3339))
	}
	return p, nil
}

// proposalTo refuses unless a revocation is proposed and waits for by.
func (s State) proposalTo(by event.By) error {
	switch {
	case !slices.Contains(s.consenters(), by.Participant):
		return fault.New(fault.NotAParty, "no consent of this participant is needed")
	case s.Proposal == nil:
		return s.wrongState("no revocation is proposed")
	case slices.Contains(s.Proposal.Consents, by.Participant):
		return fault.New(fault.AlreadyDone, "this party has consented already")
	}
	return nil
}

func (s State) wrongState(why string) error {
	return fault.New(fault.DocumentState, "the document is %s: %s", s.Status, why)
}

func happened(e event.Event) ([]event.Event, error) { return []event.Event{e}, nil }

func checkReason(reason string) error { return checkWords("reason", reason) }

// checkWords refuses what is no reason or ground that a page could show; what
// names it in the errors.
func checkWords(what, text string) error {
	if strings.TrimSpace(text) == "" {
		return fault.New(fault.ReasonMissing, "give a %s", what)
	}
	if err := wording.Prose(text, MaxReasonRunes); err != nil {
		return wording.Refuse(fault.RequestInvalid, "the "+what, err)
	}
	return nil
}

var (
	datePattern  = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}$`)
	minorPattern = regexp.MustCompile(`^(0|-?[1-9]\d{0,17})$`)
)

// Tidy returns the details with their words in the form in which they are
// recorded; see [wording.Tidy].
func (d Details) Tidy() Details {
	d.Title, d.Number = wording.Tidy(d.Title), wording.Tidy(d.Number)
	return d
}

// check refuses details that no page or packet could show.
func (d Details) check() error {
	invalid := func(format string, args ...any) error {
		return fault.New(fault.DocumentInvalid, format, args...)
	}
	if !slices.Contains(Kinds(), d.Kind) {
		return invalid("the kind is one of %v", Kinds())
	}
	if err := wording.Line(d.Title, 300); err != nil {
		return wording.Refuse(fault.DocumentInvalid, "the title", err)
	}
	if d.Number != "" {
		if err := wording.Line(d.Number, 100); err != nil {
			return wording.Refuse(fault.DocumentInvalid, "the number", err)
		}
	}
	if d.Date != "" {
		if _, err := time.Parse(time.DateOnly, d.Date); err != nil || !datePattern.MatchString(d.Date) {
			return invalid("the date is written YYYY-MM-DD")
		}
	}
	switch {
	case d.Sum == nil:
	case !minorPattern.MatchString(d.Sum.Minor):
		return invalid("a sum is a whole number of hundredths, of up to 18 digits, with a minus if it is owed back")
	case !isocode.Currency(d.Sum.Currency):
		return invalid("the currency is a three-letter code of ISO 4217, such as KZT")
	}
	return nil
}
