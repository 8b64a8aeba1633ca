package ledger

import (
	"context"
	"fmt"
	"time"

	"dalel/blobs"
	"dalel/domain/access"
	"dalel/domain/certificate"
	"dalel/domain/content"
	"dalel/domain/event"
	"dalel/domain/participant"
	"dalel/domain/signature"
	"dalel/domain/wording"
	"dalel/internal/crl"
	"dalel/internal/fault"
	"dalel/internal/pki"
)

// MaxCertificateBytes is the size of a certificate in DER at most.
const MaxCertificateBytes = 64 << 10

// RegisterCertificate registers a certificate (DER) for a participant (R-C1):
// from here on signatures with it count. It must lead to a trusted root now
// and belong to that participant.
func (l *Ledger) RegisterCertificate(ctx context.Context, act Act, owner string, der []byte) (Outcome, error) {
	if err := l.mayManage(ctx, act, owner); err != nil {
		return Outcome{}, err
	}
	if len(der) > MaxCertificateBytes {
		return Outcome{}, fault.New(fault.CertificateInvalid, "more than %d bytes", MaxCertificateBytes)
	}
	parsed, err := pki.ParseCertificate(der)
	if err != nil {
		return Outcome{}, fault.Wrap(fault.CertificateInvalid, err, "not a certificate in DER")
	}
	says, err := signature.ReadOwner(parsed)
	if err != nil {
		return Outcome{}, err
	}
	fingerprint := blobs.Sum(der).String()
	return run(ctx, l, command[certificate.State]{
		act: act, name: "register-certificate", id: fingerprint, request: owner,
		stream: certificate.StreamID(fingerprint), evolve: certificate.Evolve,
		decide: func(ctx context.Context, s certificate.State) ([]event.Event, error) {
			holder, err := l.Participant(ctx, owner)
			if err != nil {
				return nil, err
			}
			employees, err := l.employeeIdentifiers(ctx, holder.State)
			if err != nil {
				return nil, err
			}
			now := l.now()
			register := certificate.Register{
				Certificate: fingerprint, Participant: owner,
				Owner: certificate.Owner{
					IIN: says.IIN, BIN: says.BIN, Name: says.Name(), Person: says.Person(), Purpose: string(says.Purpose), Role: string(says.Role()),
					Algorithm: says.Algorithm, Serial: says.Serial, Issuer: says.Issuer,
					NotBefore: says.NotBefore.UTC(), NotAfter: says.NotAfter.UTC(),
				},
				ParticipantKind: holder.State.Kind, ParticipantIdentifier: holder.State.Identifier,
				EmployeeIINs: employees, Now: now,
			}
			if _, err := certificate.Decide(s, register); err != nil {
				return nil, err
			}
			if status, found := l.signatures.CheckCertificate(der, now); status != signature.Valid {
				refusal := fault.New(fault.CertificateUntrusted, "the certificate is %s", status)
				for _, r := range found {
					refusal.Reasons = append(refusal.Reasons, fault.Reason{Code: r.Code, Detail: r.Detail})
				}
				return nil, refusal
			}
			// The DER is kept before any event refers to it.
			kept, err := l.content.Put(ctx, participantKey(owner), der, l.longest(now))
			if err != nil {
				return nil, err
			}
			register.Stored = kept.StoredText()
			return certificate.Decide(s, register)
		},
	})
}

// employeeIdentifiers returns the IINs of a participant's employees of now.
func (l *Ledger) employeeIdentifiers(ctx context.Context, s participant.State) ([]string, error) {
	var numbers []string
	for person := range s.Employees {
		employee, err := l.Participant(ctx, person)
		if err != nil {
			return nil, err
		}
		numbers = append(numbers, employee.State.Identifier)
	}
	return numbers, nil
}

// CertificateDER returns a registered certificate's bytes: certificate.unknown
// if there is none, key.destroyed if its owner's data were.
func (l *Ledger) CertificateDER(ctx context.Context, fingerprint string) ([]byte, error) {
	held, err := l.Certificate(ctx, fingerprint)
	if err != nil {
		return nil, err
	}
	ref, err := content.ParseRef(participantKey(held.State.Participant), fingerprint, held.State.Stored, -1)
	if err != nil {
		return nil, err
	}
	return l.content.ReadAll(ctx, ref, MaxCertificateBytes)
}

// Certificate returns a registered certificate; certificate.unknown if there
// is none.
func (l *Ledger) Certificate(ctx context.Context, fingerprint string) (Snapshot[certificate.State], error) {
	stream := certificate.StreamID(fingerprint)
	if stream.Check() != nil {
		return Snapshot[certificate.State]{}, fault.New(fault.CertificateUnknown, "the certificate is not registered")
	}
	snapshot, err := load(ctx, l, stream, certificate.Evolve, "")
	if err == nil && snapshot.Head.Next == 0 {
		err = fault.New(fault.CertificateUnknown, "the certificate is not registered")
	}
	return snapshot, err
}

// CompromiseNotice is a notice that a key is not its owner's alone any more
// (R-C7).
type CompromiseNotice struct {
	Channel certificate.Channel `json:"channel"`
	// ReceivedAt is when the notice reached the operator; now if zero.
	ReceivedAt time.Time `json:"receivedAt"`
	// From is the moment from which the key is not trusted.
	From          time.Time `json:"from"`
	Circumstances string    `json:"circumstances"`
	// Officer took the notice: the operator's authorised officer, by name and
	// position. It is left out for one that comes online.
	Officer string `json:"officer,omitempty"`
}

// ReportCompromise takes a notice and suspends the key at once. The owner or
// the certificate's holder gives it online; the operator records one that came
// by phone or in writing.
func (l *Ledger) ReportCompromise(ctx context.Context, act Act, fingerprint string, notice CompromiseNotice) (Outcome, error) {
	if act.Role != access.RoleOperator {
		notice.Channel, notice.ReceivedAt, notice.Officer = certificate.Online, time.Time{}, ""
	}
	notice.Circumstances = wording.Tidy(notice.Circumstances)
	id, err := l.newID(act, "notice")
	if err != nil {
		return Outcome{}, err
	}
	return l.onCertificate(ctx, act, "report-compromise", fingerprint, notice, l.mayReportCertificate, func(_ certificate.State, now time.Time) certificate.Command {
		received := notice.ReceivedAt.UTC().Truncate(time.Microsecond)
		if notice.ReceivedAt.IsZero() {
			received = now
		}
		return certificate.ReportCompromise{
			Notice: id, Channel: notice.Channel, ReceivedAt: received,
			CompromisedFrom: notice.From.UTC().Truncate(time.Microsecond), Circumstances: notice.Circumstances,
			Officer: notice.Officer, Now: now,
		}
	})
}

// ResumeCertificate withdraws the notices on the owner's request.
func (l *Ledger) ResumeCertificate(ctx context.Context, act Act, fingerprint string, channel certificate.Channel, reason string) (Outcome, error) {
	reason = wording.Tidy(reason)
	request := map[string]any{"channel": channel, "reason": reason}
	if opened := act.SessionCertificate; opened != "" && opened != fingerprint {
		// Who has one stolen key may have two.
		other, err := l.Certificate(ctx, opened)
		if err != nil {
			return Outcome{}, fmt.Errorf("who asks for a certificate to be resumed: %w", err)
		}
		if other.State.Notice != "" || other.State.Revocation != nil {
			return Outcome{}, fault.New(fault.CertificateReported, "a notice is not withdrawn in a session that a reported key opened")
		}
	}
	return l.onCertificate(ctx, act, "resume-certificate", fingerprint, request, l.mayManageCertificate, func(s certificate.State, now time.Time) certificate.Command {
		requester := act.By.Participant
		if act.Role == access.RoleOperator && channel != certificate.Online {
			// The operator writes down what the owner asked for on the phone
			// or on paper.
			requester = s.Participant
		}
		return certificate.Resume{Requester: requester, SessionCertificate: act.SessionCertificate, Channel: channel, Reason: reason, Now: now}
	})
}

// AnnulCertificate ends the certificate for good.
func (l *Ledger) AnnulCertificate(ctx context.Context, act Act, fingerprint, reason string) (Outcome, error) {
	reason = wording.Tidy(reason)
	return l.onCertificate(ctx, act, "annul-certificate", fingerprint, reason, l.mayManageCertificate, func(_ certificate.State, now time.Time) certificate.Command {
		return certificate.Annul{Requester: act.By.Participant, ByOperator: act.Role == access.RoleOperator, Reason: reason, Now: now}
	})
}

// WarnOfExpiry warns that a certificate ends, if it is time to and nobody has
// (R-C5). The expiry process calls it; it may be repeated without harm. early
// says that it is worth asking again: the time has not come yet.
func (l *Ledger) WarnOfExpiry(ctx context.Context, fingerprint string) (early bool, err error) {
	stream := certificate.StreamID(fingerprint)
	if stream.Check() != nil {
		return false, fault.New(fault.CertificateUnknown, "the certificate is not registered")
	}
	_, err = run(ctx, l, command[certificate.State]{
		act: SystemAct(), name: "warn-of-expiry", id: fingerprint, stream: stream, evolve: certificate.Evolve,
		decide: func(ctx context.Context, s certificate.State) ([]event.Event, error) {
			warn := certificate.WarnOfExpiry{Now: l.now()}
			happened, err := certificate.Decide(s, warn)
			early = err == nil && s.WarnedAt == nil && s.Status != certificate.StatusAnnulled && warn.Now.Before(s.NotAfter.Add(-certificate.ExpiryWarning))
			if err != nil || len(happened) == 0 {
				return nil, err
			}
			owner, err := l.Participant(ctx, s.Participant)
			if err != nil {
				return nil, err
			}
			warn.OwnerErased = owner.State.Erased()
			return certificate.Decide(s, warn)
		},
	})
	return early && err == nil, err
}

// RecordRevocation records that the authority revoked a certificate, from its
// own list or answer (DER), which must prove it: revocation.unproven if not.
// The operator may, and the certificate's owner.
func (l *Ledger) RecordRevocation(ctx context.Context, act Act, fingerprint string, evidence signature.Evidence) (Outcome, error) {
	held, err := l.Certificate(ctx, fingerprint)
	if err != nil {
		return Outcome{}, err
	}
	if act.Role != access.RoleOperator && act.Role != System {
		if err := l.mayManageCertificate(ctx, act, held.State); err != nil {
			return Outcome{}, err
		}
	}
	der, err := l.CertificateDER(ctx, fingerprint)
	if err != nil {
		return Outcome{}, err
	}
	now := l.now()
	revoked, proven := l.signatures.Revoked(der, evidence, now)
	if !proven {
		return Outcome{}, fault.New(fault.RevocationUnproven, "no list or answer of the certificate's authority that can be relied on says so")
	}
	record := certificate.RecordRevocation{
		RevokedAt: revoked.At, Invalidity: revoked.Invalidity, Reason: revoked.Reason.String(),
		Kind: certificate.EvidenceKind(evidence.Kind), SHA256: evidence.Name(), Now: now,
	}
	return run(ctx, l, command[certificate.State]{
		act: act, name: "record-revocation", id: fingerprint, request: evidence.Name(),
		stream: certificate.StreamID(fingerprint), evolve: certificate.Evolve,
		decide: func(ctx context.Context, s certificate.State) ([]event.Event, error) {
			if happened, err := certificate.Decide(s, record); err != nil || len(happened) == 0 {
				return nil, err
			}
			// The evidence is kept before the event refers to it.
			if _, err := l.content.PutPublic(ctx, evidence.DER, l.longest(now)); err != nil {
				return nil, fmt.Errorf("store the evidence of a revocation: %w", err)
			}
			return certificate.Decide(s, record)
		},
	})
}

// asker asks authorities; *signature.Online does.
type asker interface {
	AskRevocation(ctx context.Context, der []byte, at time.Time) []signature.Evidence
}

// AskAuthority asks a reported certificate's authority whether it was revoked,
// and records it if so (R-C8). The compromise process calls it. again says that
// it is worth asking again: a notice is open, and the authority has not revoked
// the certificate yet. Where nothing is fetched it does nothing.
func (l *Ledger) AskAuthority(ctx context.Context, fingerprint string) (again bool, err error) {
	held, err := l.Certificate(ctx, fingerprint)
	if err != nil {
		return false, err
	}
	if held.State.Notice == "" || held.State.Revocation != nil {
		return false, nil
	}
	ask, ok := l.signatures.(asker)
	if !ok {
		return false, nil
	}
	der, err := l.CertificateDER(ctx, fingerprint)
	if err != nil {
		return false, err
	}
	// Each piece is looked at: a list may name an earlier moment than an answer.
	again = true
	for _, evidence := range ask.AskRevocation(ctx, der, l.now()) {
		switch _, err := l.RecordRevocation(ctx, SystemAct(), fingerprint, evidence); {
		case err == nil:
			again = false
		case !fault.Is(err, fault.RevocationUnproven):
			return true, err
		}
	}
	return again, nil
}

// RevocationEvidence returns the list or answer that proves the authority's
// revocation of a certificate; certificate.wrong-state where none is recorded.
func (l *Ledger) RevocationEvidence(ctx context.Context, fingerprint string) ([]byte, certificate.Revoked, error) {
	held, err := l.Certificate(ctx, fingerprint)
	if err != nil {
		return nil, certificate.Revoked{}, err
	}
	revoked := held.State.Revocation
	if revoked == nil {
		return nil, certificate.Revoked{}, fault.New(fault.CertificateState, "no revocation by the authority is recorded")
	}
	ref, err := content.ParseRef("", revoked.SHA256, "", -1)
	if err != nil {
		return nil, certificate.Revoked{}, err
	}
	der, err := l.content.ReadAll(ctx, ref, crl.MaxSize)
	return der, *revoked, err
}

// HoldsCertificate reports whether the acting person is the one whom a
// certificate names, whatever its rights with the participant it acts for.
func (l *Ledger) HoldsCertificate(ctx context.Context, act Act, s certificate.State) (bool, error) {
	person := act.By.Person
	if person == "" {
		person = act.By.Participant
	}
	if act.Role != access.RoleParticipant || s.IIN == "" {
		return false, nil
	}
	holder, err := l.Participant(ctx, person)
	if err != nil {
		return false, fmt.Errorf("who acts: %w", err)
	}
	return holder.State.Kind != participant.LegalEntity && holder.State.Identifier == s.IIN, nil
}

// mayReportCertificate admits the certificate's holder, and who manages for its owner.
func (l *Ledger) mayReportCertificate(ctx context.Context, act Act, s certificate.State) error {
	holds, err := l.HoldsCertificate(ctx, act, s)
	if err != nil || holds {
		return err
	}
	return l.mayManageCertificate(ctx, act, s)
}

// mayManageCertificate admits who manages for the certificate's owner.
func (l *Ledger) mayManageCertificate(ctx context.Context, act Act, s certificate.State) error {
	if act.By.Participant != s.Participant {
		return fault.New(fault.CertificateUnknown, "the certificate is not registered")
	}
	_, err := l.mayAct(ctx, act, participant.RightManage)
	return err
}

// onCertificate carries out a command on a certificate by the operator, or by
// somebody whom may admits.
func (l *Ledger) onCertificate(ctx context.Context, act Act, name, fingerprint string, request any,
	may func(context.Context, Act, certificate.State) error, build func(s certificate.State, now time.Time) certificate.Command) (Outcome, error) {
	unknown := fault.New(fault.CertificateUnknown, "the certificate is not registered")
	stream := certificate.StreamID(fingerprint)
	if stream.Check() != nil {
		return Outcome{}, unknown
	}
	return run(ctx, l, command[certificate.State]{
		act: act, name: name, id: fingerprint, request: request, stream: stream, evolve: certificate.Evolve,
		decide: func(ctx context.Context, s certificate.State) ([]event.Event, error) {
			if s.Status == "" {
				return nil, unknown
			}
			if act.Role != access.RoleOperator {
				if err := may(ctx, act, s); err != nil {
					return nil, err
				}
			}
			return certificate.Decide(s, build(s, l.now()))
		},
	})
}
