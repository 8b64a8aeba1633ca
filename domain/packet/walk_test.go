package packet_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"dalel/domain/certificate"
	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/domain/ledger"
	"dalel/domain/packet"
	"dalel/domain/packet/packettest"
	"dalel/internal/fault"

	"github.com/stretchr/testify/require"
)

// walk plays a story that a ledger records with good reason, beyond that of
// packettest: on the draft, after sending or after completion.
type walk struct {
	draft, sent, completed func(t *testing.T, l *packettest.Ledger)
	// unfinished says that the story ends before its completion.
	unfinished bool
}

// walks are stories that have, with that of packettest, every type of event
// that stands in a packet.
func walks() map[string]walk {
	id := packettest.Document
	stream := document.StreamID(id)
	sender, reader := event.By{Participant: packettest.Sender}, event.By{Participant: packettest.Reader}
	operator := event.By{Participant: "operator"}
	record := func(stories ...func(l *packettest.Ledger) event.Event) func(*testing.T, *packettest.Ledger) {
		return func(_ *testing.T, l *packettest.Ledger) {
			for _, next := range stories {
				l.Append(stream, next(l))
			}
		}
	}
	of := func(e func(now time.Time) event.Event) func(*packettest.Ledger) event.Event {
		return func(l *packettest.Ledger) event.Event { return e(l.Now()) }
	}
	letter := document.RequestLetter{MediaType: "text/plain", Size: 1, SHA256: strings.Repeat("0", 64), Stored: strings.Repeat("1", 64)}
	requested := func(party string) func(*packettest.Ledger) event.Event {
		return of(func(now time.Time) event.Event {
			return document.DestructionRequested{Document: id, Party: party, By: event.By{Participant: party}, Reason: "no use", Letter: letter, RequestedAt: now}
		})
	}
	proposed := of(func(now time.Time) event.Event {
		return document.RevocationProposed{Document: id, Party: packettest.Sender, By: sender, Reason: "a mistake", ProposedAt: now}
	})
	onKey := func(events ...func(print string, now time.Time) event.Event) func(*testing.T, *packettest.Ledger) {
		return func(_ *testing.T, l *packettest.Ledger) {
			print := l.Certificate(packettest.Recipient)
			for _, e := range events {
				l.Append(certificate.StreamID(print), e(print, l.Now()))
			}
		}
	}
	notice := func(print string, now time.Time) event.Event {
		return certificate.KeyCompromiseReported{Certificate: print, Participant: packettest.Recipient, Notice: "n-1", Channel: certificate.ByPhone, ReceivedAt: now, CompromisedFrom: now}
	}
	suspended := func(print string, now time.Time) event.Event {
		return certificate.Suspended{Certificate: print, Notice: "n-1", SuspendedAt: now, WithinLimit: true}
	}
	return map[string]walk{
		"a draft that is worked on": {draft: record(
			of(func(time.Time) event.Event {
				return document.Described{Document: id, Sender: packettest.Sender, By: sender, Details: document.Details{Kind: document.Contract, Title: "Contract"}}
			}),
			of(func(now time.Time) event.Event {
				return document.FileRefused{Document: id, Sender: packettest.Sender, By: sender, Name: "a.pdf", MediaType: "application/pdf", Code: fault.FileInvalid, Detail: "it is no PDF", AttemptedAt: now}
			}),
			func(l *packettest.Ledger) event.Event {
				digest, address := l.Put([]byte("draft"))
				return document.FileAttached{Document: id, Sender: packettest.Sender, By: sender, File: document.File{Name: "b.txt", MediaType: "text/plain", Size: 5, SHA256: digest.String(), Stored: address}}
			},
			func(l *packettest.Ledger) event.Event {
				digest, _ := l.Put([]byte("draft"))
				return document.FileRemoved{Document: id, Sender: packettest.Sender, By: sender, Name: "b.txt", SHA256: digest.String()}
			},
		)},
		"rejected": {unfinished: true, sent: func(t *testing.T, l *packettest.Ledger) {
			require.NoError(t, l.Sign(t.Context(), packettest.Sender))
			l.Append(stream, document.Delivered{Document: id, Recipient: packettest.Recipient, DeliveredAt: l.Now()})
			l.Append(stream, document.Rejected{Document: id, Party: packettest.Recipient, By: event.By{Participant: packettest.Recipient}, Reason: "too dear", RejectedAt: l.Now()})
		}},
		"approved": {unfinished: true, sent: approved},
		"revoked before": {unfinished: true, sent: record(of(func(now time.Time) event.Event {
			return document.Revoked{Document: id, Party: packettest.Sender, By: sender, Reason: "a mistake", RevokedAt: now}
		}))},
		"expired": {unfinished: true, sent: record(of(func(now time.Time) event.Event {
			return document.Expired{Document: id, Parties: []string{packettest.Recipient}, Deadline: now, ExpiredAt: now}
		}))},
		"a revocation refused": {completed: record(proposed, of(func(now time.Time) event.Event {
			return document.RevocationDeclined{Document: id, Party: packettest.Recipient, By: event.By{Participant: packettest.Recipient}, Reason: "no", DeclinedAt: now}
		}))},
		"a revocation agreed": {completed: record(proposed,
			of(func(now time.Time) event.Event {
				return document.RevocationConsented{Document: id, Party: packettest.Recipient, By: event.By{Participant: packettest.Recipient}, ConsentedAt: now}
			}),
			of(func(now time.Time) event.Event {
				return document.Revoked{Document: id, Party: packettest.Sender, By: sender, Reason: "a mistake", AfterCompletion: true, RevokedAt: now}
			}))},
		"exemplars and copies": {completed: record(
			of(func(now time.Time) event.Event {
				return document.ExemplarIssued{Document: id, Party: packettest.Reader, By: reader, Exemplar: 1, IssuedAt: now}
			}),
			of(func(now time.Time) event.Event {
				return document.PaperCopyIssued{Document: id, Party: packettest.Reader, By: reader, Copy: 1, Size: 1, SHA256: letter.SHA256, Stored: letter.Stored, IssuedAt: now}
			}))},
		"a hold": {completed: record(
			of(func(now time.Time) event.Event {
				return document.HoldPlaced{Document: id, Hold: "h-1", By: operator, Ground: "a dispute", PlacedAt: now}
			}),
			of(func(now time.Time) event.Event {
				return document.HoldLifted{Document: id, Hold: "h-1", By: operator, Reason: "settled", LiftedAt: now}
			}))},
		"destroyed": {completed: func(t *testing.T, l *packettest.Ledger) {
			record(requested(packettest.Sender), requested(packettest.Recipient), of(func(now time.Time) event.Event {
				return document.DestructionProposed{Document: id, Rule: "documents", RetainedUntil: now, ProposedAt: now}
			}))(t, l)
			destroy(t, l)
		}},
		"a key that was in doubt": {completed: onKey(notice, suspended, func(print string, now time.Time) event.Event {
			return certificate.Resumed{Certificate: print, Notice: "n-1", Channel: certificate.Online, ResumedAt: now, Reason: "found again", Participant: packettest.Recipient}
		})},
		"a key that was annulled": {completed: onKey(func(print string, now time.Time) event.Event {
			return certificate.Annulled{Certificate: print, Participant: packettest.Recipient, AnnulledAt: now, Reason: "of no use any more"}
		})},
		"a warning of the end": {completed: onKey(func(print string, now time.Time) event.Event {
			return certificate.ExpiryWarned{Certificate: print, Participant: packettest.Recipient, NotAfter: now.Add(29 * 24 * time.Hour), WarnedAt: now}
		})},
		"a key compromised before it signed": {completed: func(t *testing.T, l *packettest.Ledger) {
			print, from := l.Certificate(packettest.Recipient), l.Now().Add(-24*time.Hour)
			l.Append(certificate.StreamID(print), certificate.KeyCompromiseReported{Certificate: print, Participant: packettest.Recipient, Notice: "n-1", Channel: certificate.ByPhone, ReceivedAt: l.Now(), CompromisedFrom: from})
			l.Append(certificate.StreamID(print), certificate.Suspended{Certificate: print, Notice: "n-1", SuspendedAt: l.Now(), WithinLimit: true})
			l.Append(stream, document.SignaturesDoubted{Document: id, Notice: "n-1", Certificate: print, CompromisedFrom: from, Affected: []string{packettest.Recipient}, MarkedAt: l.Now()})
			l.Append(stream, document.SignatureDecided{Document: id, By: operator, Signature: 2, Party: packettest.Recipient, Certificate: print,
				Notices: []string{"n-1"}, Ruling: document.RulingStands, Ground: "it was found", DecidedAt: l.Now()})
			l.Append(certificate.StreamID(print), certificate.Resumed{Certificate: print, Notice: "n-1", Channel: certificate.Online, ResumedAt: l.Now(), Participant: packettest.Recipient})
			l.Append(stream, document.DoubtLifted{Document: id, Notice: "n-1", Certificate: print, Parties: []string{packettest.Recipient}, WithdrawnAt: l.Now(), LiftedAt: l.Now()})
		}},
		"a key that its authority revoked": {completed: func(t *testing.T, l *packettest.Ledger) {
			print, from := l.Certificate(packettest.Recipient), l.Now().Add(-24*time.Hour).Truncate(time.Second)
			l.Append(certificate.StreamID(print), l.Revoke(packettest.Recipient, from))
			l.Append(stream, document.SignaturesRevoked{Document: id, Certificate: print, From: from, Parties: []string{packettest.Recipient}, MarkedAt: l.Now()})
		}},
	}
}

// approved has the reader asked to approve, and doing so.
func approved(_ *testing.T, l *packettest.Ledger) {
	id := packettest.Second
	stream, by := document.StreamID(id), event.By{Participant: packettest.Sender}
	l.Begin(id, packettest.SecondNumber)
	l.Append(stream, document.Sent{Document: id, Sender: packettest.Sender, By: by, SentAt: l.Now(), Recipients: []document.Recipient{
		{Participant: packettest.Reader, Role: document.RoleApprove, Order: 1}, {Participant: packettest.Recipient, Role: document.RoleSign, Method: document.MethodCertificate, Order: 2},
	}})
	l.Append(stream, document.Delivered{Document: id, Recipient: packettest.Reader, DeliveredAt: l.Now()})
	l.Append(stream, document.Approved{Document: id, Party: packettest.Reader, By: event.By{Participant: packettest.Reader}, ApprovedAt: l.Now()})
}

// play plays a walk and returns its packet's request.
func (w walk) play(t *testing.T) (*packettest.Ledger, packet.Request) {
	l, err := packettest.NewDraft(t.Context())
	require.NoError(t, err)
	if w.draft != nil {
		w.draft(t, l)
	}
	request := l.Request()
	switch {
	case !w.unfinished:
		require.NoError(t, l.Complete(t.Context()))
		if w.completed != nil {
			w.completed(t, l)
		}
	default:
		l.Send()
		w.sent(t, l)
		if _, err := l.End(t.Context()); err == nil && len(l.Types(document.StreamID(packettest.Second))) > 0 {
			request.Document = packettest.Second
		}
	}
	return l, request
}

func TestR_M2_AnHonestPacketWithAnyTypeOfEventIsGood(t *testing.T) {
	codec, err := ledger.NewCodec()
	require.NoError(t, err)
	seen := map[string]bool{}
	for what, w := range walks() {
		l, request := w.play(t)
		packed := exported(t, request)
		report := verify(t, packed, l.Trust())
		require.Equal(t, packet.Good, report.Status, "%s: %+v %+v", what, report.Problems, report.Doubts)
		for _, e := range unzip(t, packed) {
			if name, ok := strings.CutPrefix(e.name, "events/"); ok {
				seen[strings.TrimSuffix(name[5:], ".json")] = true
			}
		}
	}
	for _, category := range packet.Categories() {
		for _, name := range codec.TypesOn(category) {
			require.True(t, seen[name], "no packet with a %s is verified here: somebody must walk it", name)
		}
	}
	for _, name := range codec.Types() {
		whole := slices.ContainsFunc(packet.Categories(), func(category string) bool { return slices.Contains(codec.TypesOn(category), name) })
		require.True(t, whole || !seen[name] || name == "ParticipantRegistered", "%s is in a packet, though its stream is not", name)
	}
}
