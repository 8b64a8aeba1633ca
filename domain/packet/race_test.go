package packet_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dalel/domain/certificate"
	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/domain/packet"
	"dalel/domain/packet/packettest"
)

// race has a notice on the recipient's key recorded between the look at its
// certificate and its signature: so many events before the signature came, or,
// for 0, while it was on its way.
func race(t *testing.T, before int) *packettest.Ledger {
	l, err := packettest.NewDraft(t.Context())
	require.NoError(t, err)
	l.Send()
	require.NoError(t, l.Sign(t.Context(), packettest.Sender))
	stream := certificate.StreamID(l.Certificate(packettest.Recipient))
	var looked []event.Reference
	for first, err := range l.ReadStream(t.Context(), stream, 0, 1) {
		require.NoError(t, err)
		looked = []event.Reference{{Stream: stream, Revision: first.Revision, Commitment: first.Commitment}}
	}
	report := func() { compromise(l, packettest.Recipient, l.Now().Add(-time.Hour), false) }
	if before > 0 {
		report()
	}
	for i := range before {
		number := fmt.Sprintf("%018d", i)
		l.Append(document.NumberStreamID(number), document.NumberClaimed{Number: number, Document: "another", ClaimedAt: l.Now()})
	}
	l.Alter = func(s *document.Signed) {
		if before == 0 {
			report()
		}
		s.ReliedOn = looked
	}
	require.NoError(t, l.Finish(t.Context()))
	return l
}

func TestR_C8_ASignatureThatPassedANoticeOnItsWayIsInDoubtAndThePacketGood(t *testing.T) {
	l := race(t, 0)
	report := verify(t, export(t, l), l.Trust())
	require.Equal(t, packet.Good, report.Status, "%+v", report.Problems)
	require.Len(t, report.Disputed, 2)
	require.Equal(t, document.ForceDoubt, report.Disputed[0].Force)
}

func TestR_C7_ASignatureTakenByALookFromBeforeANoticeHoursAgoIsFound(t *testing.T) {
	l := race(t, 120) // an hour and more
	report := verify(t, export(t, l), l.Trust())
	require.Equal(t, packet.Bad, report.Status)
	require.Equal(t, packet.No, holds(t, report, packet.ClaimCertificates))
}

func TestR_C8_ARevocationTakesForceOnlyWithTheAuthoritysOwnWord(t *testing.T) {
	from := func(l *packettest.Ledger) time.Time { return l.Now().Add(-24 * time.Hour).Truncate(time.Second) }
	for what, c := range map[string]struct {
		forge  func(l *packettest.Ledger, honest certificate.Revoked) certificate.Revoked
		status packet.Status
	}{
		"as the authority says": {func(_ *packettest.Ledger, honest certificate.Revoked) certificate.Revoked { return honest }, packet.Good},
		"with another date": {func(_ *packettest.Ledger, honest certificate.Revoked) certificate.Revoked {
			honest.RevokedAt = honest.RevokedAt.Add(-time.Hour)
			return honest
		}, packet.Bad},
		"by a list that names another": {func(l *packettest.Ledger, honest certificate.Revoked) certificate.Revoked {
			honest.SHA256 = l.Revoke(packettest.Sender, honest.RevokedAt).SHA256
			return honest
		}, packet.Bad},
	} {
		t.Run(what, func(t *testing.T) {
			l := newLedger(t)
			l.Append(certificate.StreamID(l.Certificate(packettest.Recipient)), c.forge(l, l.Revoke(packettest.Recipient, from(l))))
			report := verify(t, export(t, l), l.Trust())
			require.Equal(t, c.status, report.Status, "%+v", report.Problems)
			if c.status == packet.Good {
				require.Equal(t, document.SourceAuthority, report.Disputed[0].Source)
				require.Equal(t, packet.Untrusted, verify(t, export(t, l), packet.Trust{}).Status)
			} else {
				require.Equal(t, packet.No, holds(t, report, packet.ClaimCertificates))
			}
		})
	}
}

// TestR_M6_NobodyDatesASignatureBack writes other moments beside the verdicts,
// as an operator would who has a notice cover nothing.
func TestR_M6_NobodyDatesASignatureBack(t *testing.T) {
	for what, alter := range map[string]func(s *document.Signed){
		"a trusted time that no token proves": func(s *document.Signed) { s.TrustedTime, s.SignedAt = true, s.SignedAt.AddDate(-3, 0, 0) },
		"another moment of receipt": func(s *document.Signed) {
			s.ReceivedAt = s.ReceivedAt.AddDate(-3, 0, 0)
			s.SignedAt = s.ReceivedAt
		},
		"a seal that is none": func(s *document.Signed) { s.Seal = !s.Seal },
		"another method":      func(s *document.Signed) { s.Method = "handwritten" },
	} {
		t.Run(what, func(t *testing.T) {
			l, err := packettest.NewDraft(t.Context())
			require.NoError(t, err)
			l.Alter = alter
			require.NoError(t, l.Complete(t.Context()))
			require.Equal(t, packet.Bad, verify(t, export(t, l), l.Trust()).Status)
		})
	}
}

func TestR_C4_ASignatureThatCountedThreeDaysLaterIsOfTheMomentWhenItCame(t *testing.T) {
	l, err := packettest.NewDraft(t.Context())
	require.NoError(t, err)
	l.Alter = func(s *document.Signed) {
		if s.Party != packettest.Recipient {
			return
		}
		l.Append(document.StreamID(packettest.Document), document.SignatureRefused{
			Document: packettest.Document, Party: s.Party, By: s.By, AttemptedAt: s.ReceivedAt, Code: "signature.cannot-tell", Again: true,
		})
		l.Back(-72 * time.Hour)
		s.Attempt = 2 // the first was refused for good
	}
	require.NoError(t, l.Complete(t.Context()))
	report := verify(t, export(t, l), l.Trust())
	require.Equal(t, packet.Good, report.Status, "%+v", report.Problems)
}

func TestR_C7_ACertificatesEventsFollowOnOneAnother(t *testing.T) {
	for what, forge := range map[string]func(l *packettest.Ledger, print string) []event.Event{
		"an annulled certificate resumed": func(l *packettest.Ledger, print string) []event.Event {
			return []event.Event{
				certificate.Annulled{Certificate: print, Participant: packettest.Sender, AnnulledAt: l.Now(), Reason: "x"},
				certificate.Resumed{Certificate: print, Participant: packettest.Sender, ResumedAt: l.Now(), Reason: "x", Channel: certificate.Online},
			}
		},
		"suspended by no notice": func(l *packettest.Ledger, print string) []event.Event {
			return []event.Event{certificate.Suspended{Certificate: print, Notice: "n1", SuspendedAt: l.Now(), WithinLimit: true}}
		},
		"annulled twice": func(l *packettest.Ledger, print string) []event.Event {
			annulled := certificate.Annulled{Certificate: print, Participant: packettest.Sender, AnnulledAt: l.Now(), Reason: "x"}
			return []event.Event{annulled, annulled}
		},
	} {
		t.Run(what, func(t *testing.T) {
			l := newLedger(t)
			print := l.Certificate(packettest.Sender)
			for _, e := range forge(l, print) {
				l.Append(certificate.StreamID(print), e)
			}
			report := verify(t, export(t, l), l.Trust())
			require.Equal(t, packet.No, holds(t, report, packet.ClaimStory))
		})
	}
}
