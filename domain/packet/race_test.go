package packet_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dalel/domain/certificate"
	"dalel/domain/document"
	"dalel/domain/packet"
	"dalel/domain/packet/packettest"
)

// race has a notice on the recipient's key recorded between the look at its
// certificate and its signature, and so many events in between.
func race(t *testing.T, between int) *packettest.Ledger {
	l, err := packettest.NewDraft(t.Context())
	require.NoError(t, err)
	l.Send()
	require.NoError(t, l.Sign(t.Context(), packettest.Sender))
	noticed := false
	l.Alter = func(s *document.Signed) {
		if s.Party == packettest.Recipient && !noticed {
			noticed = true
			looked := s.ReliedOn
			compromise(l, packettest.Recipient, l.Now().Add(-time.Hour), false)
			for i := range between {
				number := fmt.Sprintf("%018d", i)
				l.Append(document.NumberStreamID(number), document.NumberClaimed{Number: number, Document: "another", ClaimedAt: l.Now()})
			}
			s.ReceivedAt, s.SignedAt, s.ReliedOn = l.Now(), l.Now(), looked
		}
	}
	require.NoError(t, l.Finish(t.Context()))
	require.True(t, noticed)
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
