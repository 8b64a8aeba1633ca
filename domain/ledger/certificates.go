package ledger

import (
	"context"
	"time"

	"dalel/blobs"
	"dalel/domain/access"
	"dalel/domain/certificate"
	"dalel/domain/content"
	"dalel/domain/event"
	"dalel/domain/participant"
	"dalel/domain/signature"
	"dalel/domain/wording"
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
					IIN: says.IIN, BIN: says.BIN, Name: says.Name(), Purpose: string(says.Purpose), Role: string(says.Role()),
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
}

// ReportCompromise takes a notice and suspends the key at once. The owner
// gives it online; the operator records one that came by phone or in writing.
func (l *Ledger) ReportCompromise(ctx context.Context, act Act, fingerprint string, notice CompromiseNotice) (Outcome, error) {
	if act.Role != access.RoleOperator {
		notice.Channel, notice.ReceivedAt = certificate.Online, time.Time{}
	}
	notice.Circumstances = wording.Tidy(notice.Circumstances)
	id, err := l.newID(act, "notice")
	if err != nil {
		return Outcome{}, err
	}
	return l.onCertificate(ctx, act, "report-compromise", fingerprint, notice, func(_ certificate.State, now time.Time) certificate.Command {
		received := notice.ReceivedAt.UTC().Truncate(time.Microsecond)
		if notice.ReceivedAt.IsZero() {
			received = now
		}
		return certificate.ReportCompromise{
			Notice: id, Channel: notice.Channel, ReceivedAt: received,
			CompromisedFrom: notice.From.UTC().Truncate(time.Microsecond), Circumstances: notice.Circumstances, Now: now,
		}
	})
}

// ResumeCertificate closes the notice on the owner's request.
func (l *Ledger) ResumeCertificate(ctx context.Context, act Act, fingerprint string, channel certificate.Channel, reason string) (Outcome, error) {
	reason = wording.Tidy(reason)
	request := map[string]any{"channel": channel, "reason": reason}
	return l.onCertificate(ctx, act, "resume-certificate", fingerprint, request, func(s certificate.State, now time.Time) certificate.Command {
		requester := act.By.Participant
		if act.Role == access.RoleOperator && channel != certificate.Online {
			// The operator writes down what the owner asked for on the phone
			// or on paper.
			requester = s.Participant
		}
		return certificate.Resume{Requester: requester, Channel: channel, Reason: reason, Now: now}
	})
}

// AnnulCertificate ends the certificate for good.
func (l *Ledger) AnnulCertificate(ctx context.Context, act Act, fingerprint, reason string) (Outcome, error) {
	reason = wording.Tidy(reason)
	return l.onCertificate(ctx, act, "annul-certificate", fingerprint, reason, func(_ certificate.State, now time.Time) certificate.Command {
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

func (l *Ledger) onCertificate(ctx context.Context, act Act, name, fingerprint string, request any, make func(s certificate.State, now time.Time) certificate.Command) (Outcome, error) {
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
				if act.By.Participant != s.Participant {
					return nil, unknown
				}
				if _, err := l.mayAct(ctx, act, participant.RightManage); err != nil {
					return nil, err
				}
			}
			return certificate.Decide(s, make(s, l.now()))
		},
	})
}
