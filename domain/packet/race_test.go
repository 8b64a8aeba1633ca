package packet_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

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
