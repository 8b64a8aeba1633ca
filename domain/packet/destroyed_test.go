package packet_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/domain/packet"
	"dalel/domain/packet/packettest"
	"dalel/internal/fault"
)

func order(t *testing.T, l *packettest.Ledger) {
	l.Append(document.StreamID(packettest.Document), document.DestructionOrdered{
		Document: packettest.Document, By: event.By{Participant: "operator"}, Basis: document.BasisRequest,
		Requests: []string{packettest.Sender, packettest.Recipient}, OrderedAt: l.Now(),
	})
}

func destroy(t *testing.T, l *packettest.Ledger) {
	order(t, l)
	require.NoError(t, l.Destroy("document-"+packettest.Document))
	l.Append(document.StreamID(packettest.Document), document.Destroyed{Document: packettest.Document, DestroyedAt: l.Now()})
}

func TestR_G5_APacketFromBeforeTheDestructionStillVerifiesAndANewOneHasNothingOfIt(t *testing.T) {
	l := newLedger(t)
	before := export(t, l)
	destroy(t, l)
	require.Equal(t, packet.Good, verify(t, before, l.Trust()).Status)

	after := export(t, l)
	report := verify(t, after, l.Trust())
	require.Equal(t, packet.Good, report.Status, "%+v", report.Problems)
	hashes := 0
	for _, e := range unzip(t, after) {
		// Not "Договор": the kind of document is no secret of it.
		require.NotContains(t, string(e.content), "поставк", "%s", e.name)
		require.NotContains(t, string(e.content), "Supplement (", "%s", e.name)
		for _, folder := range []string{"document/", "signatures/"} {
			require.False(t, strings.HasPrefix(e.name, folder), e.name)
		}
		for _, content := range l.Files {
			require.False(t, bytes.Contains(e.content, content[:20]), e.name)
			if strings.Contains(e.name, "FileAttached") && strings.Contains(string(e.content), packet.DigestText(content)) {
				hashes++
			}
		}
	}
	require.Equal(t, len(l.Files), hashes, "what existed can still be shown by its hash")
	require.Contains(t, reportDetail(report, packet.ClaimEvents), "was destroyed")
}

func TestR_G5_FromTheOrderOnAPacketIsWithoutTheDocumentWhetherTheKeyIsGoneOrNot(t *testing.T) {
	l := newLedger(t)
	order(t, l)
	ordered := export(t, l)
	require.Equal(t, packet.Good, verify(t, ordered, l.Trust()).Status)
	require.NoError(t, l.Destroy("document-"+packettest.Document))
	require.True(t, bytes.Equal(ordered, export(t, l)), "the same events give the same packet")
}

func TestR_C4_SealedDataThatIsWithheldWithoutADestructionIsNotPassedOver(t *testing.T) {
	l := newLedger(t)
	require.NoError(t, l.Destroy("participant-"+packettest.Reader))
	report := verify(t, export(t, l), l.Trust())
	require.Equal(t, packet.Good, report.Status, "a participant's data may be gone while the document is kept")
	require.Contains(t, reportDetail(report, packet.ClaimEvents), "not opened")

	require.NoError(t, l.Destroy("document-"+packettest.Document))
	_, err := packet.Export(t.Context(), &bytes.Buffer{}, l.Request())
	require.Equal(t, fault.KeyDestroyed, fault.CodeOf(err), "an operator who destroys a key without an order cannot export")
}

func reportDetail(report packet.Report, claim string) string {
	for _, c := range report.Claims {
		if c.ID == claim {
			return c.Detail
		}
	}
	return ""
}
