package packet_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dalel/domain/certificate"
	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/domain/packet"
	"dalel/domain/packet/packettest"
	"dalel/domain/participant"
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
	packed := export(t, l)
	report := verify(t, packed, l.Trust())
	require.Equal(t, packet.Good, report.Status, "a participant's data may be gone while the document is kept")
	require.Contains(t, reportDetail(report, packet.ClaimEvents), "1 sealed parts are not opened in this packet")
	require.NotContains(t, reportDetail(report, packet.ClaimEvents), "destroyed", "no event says so")
	require.True(t, slices.ContainsFunc(report.Unproven, func(limit packet.Limit) bool { return strings.Contains(limit.Detail, "not opened in this packet") }), "%v", report.Unproven)
	html := contents(unzip(t, packed))["report.html"]
	require.Contains(t, html, "имя не раскрыто в этом пакете")
	require.NotContains(t, html, "уничтожен", "no event says so")

	require.NoError(t, l.Destroy("document-"+packettest.Document))
	_, err := packet.Export(t.Context(), &bytes.Buffer{}, l.Request())
	require.Equal(t, fault.KeyDestroyed, fault.CodeOf(err), "an operator who destroys a key without an order cannot export")
}

func TestR_M6_WhoSignedCannotBeToldWhereWhomTheLedgerRegisteredIsNotOpened(t *testing.T) {
	l := newLedger(t)
	require.NoError(t, l.Destroy("participant-"+packettest.Sender))
	report := verify(t, export(t, l), l.Trust())
	require.Equal(t, packet.Untrusted, report.Status, "%+v", report.Problems)
	require.Equal(t, packet.CannotTell, holds(t, report, packet.ClaimCertificates))
	require.Equal(t, []packet.Lack{packet.LackEvidence}, report.Lacks)
	claim, _ := report.Claim(packet.ClaimCertificates)
	require.Equal(t, packet.CodeOwnerClosed, claim.Code)

	erased := newLedger(t)
	erase(t, erased, packettest.Sender)
	report = verify(t, export(t, erased), erased.Trust())
	require.Equal(t, packet.Good, report.Status, "an event says why: %+v", report.Problems)
}

// erase destroys a participant's data, as events say.
func erase(t *testing.T, l *packettest.Ledger, who string) {
	stream := participant.StreamID(who)
	l.Append(stream, participant.ErasureOrdered{Participant: who, By: event.By{Participant: "operator"}, OrderedAt: l.Now()})
	require.NoError(t, l.Destroy("participant-"+who))
	l.Append(stream, participant.Erased{Participant: who, ErasedAt: l.Now()})
}

func TestR_B4_WhatAnEventSaysWasDestroyedIsCalledDestroyed(t *testing.T) {
	l := newLedger(t)
	erase(t, l, packettest.Reader)
	packed := export(t, l)
	report := verify(t, packed, l.Trust())
	require.Equal(t, packet.Good, report.Status, "%+v", report.Problems)
	require.Contains(t, reportDetail(report, packet.ClaimEvents), "1 sealed parts were destroyed, as they say")
	require.NotContains(t, reportDetail(report, packet.ClaimEvents), "not opened")
	require.Contains(t, contents(unzip(t, packed)), "events/0021-ErasureOrdered.json", "the event itself is there, though what lies before it on its stream is not")
	html := contents(unzip(t, packed))["report.html"]
	require.Contains(t, html, "Данные участника уничтожены")
	require.NotContains(t, html, "не раскрыт")
}

func TestR_D4_AddressesAndDevicesOfOthersAreForAuditorsAndCourts(t *testing.T) {
	l := newLedger(t)
	print := l.Certificate(packettest.Sender)
	l.Append(certificate.StreamID(print), certificate.KeyCompromiseReported{
		Certificate: print, Participant: packettest.Sender, Notice: "n-1", Channel: certificate.ByPhone,
		ReceivedAt: l.Now(), CompromisedFrom: l.Now(), Circumstances: "lost on a train",
	})
	for reader, opened := range map[string]bool{"": true, packettest.Sender: true, packettest.Recipient: false} {
		request := l.Request()
		request.Reader = reader
		packed := exported(t, request)
		report := verify(t, packed, l.Trust())
		require.Equal(t, packet.Good, report.Status, "%q: %+v", reader, report.Problems)
		require.Equal(t, reader, report.Manifest.Reader)
		for name, content := range contents(unzip(t, packed)) {
			for _, secret := range []string{"192.0.2.7", "lost on a train"} {
				require.False(t, !opened && strings.Contains(content, secret), "%s is in %s for %q", secret, name, reader)
			}
		}
		files := contents(unzip(t, packed))
		require.Equal(t, opened, strings.Contains(files["report.html"], "192.0.2.7"), "every act of packettest is the sender's")
		require.Contains(t, files["report.html"], "ТОО Test a", "who is who is opened for everybody")
		require.Equal(t, !opened, slices.ContainsFunc(report.Unproven, func(limit packet.Limit) bool { return strings.Contains(limit.Detail, "not opened") }))
	}
}

func TestR_M6_ATimeThatRunsBackwardsOnAStreamIsNamed(t *testing.T) {
	l := newLedger(t)
	l.Back(19*time.Hour + 30*time.Minute)
	l.Append(document.StreamID(packettest.Document), document.ExemplarIssued{Document: packettest.Document, Party: packettest.Reader, By: event.By{Participant: packettest.Reader}, Exemplar: 1, IssuedAt: l.Now()})
	report := verify(t, export(t, l), l.Trust())
	require.Equal(t, packet.Bad, report.Status)
	require.Equal(t, packet.Problem{
		File: "events/0021-ExemplarIssued.json", Claim: packet.ClaimEvents, Code: packet.CodeBackwards,
		Detail: "it says that it was recorded 19h29m22.75s before the event that it follows on its stream",
	}, report.Problems[0])
}

func TestR_M6_AConfirmationThatCameLateIsNamedAndNotHeldAgainstThePacket(t *testing.T) {
	for late, says := range map[time.Duration]string{
		time.Minute:    "more exactly than that it was before the first witness or time token",
		48 * time.Hour: "later than a log's interval explains",
	} {
		l := kept(t, packettest.Options{})
		size, err := l.Publish(t.Context())
		require.NoError(t, err)
		require.NoError(t, l.Stamp(size, l.Now().Add(late)))
		report := verify(t, export(t, l), l.Trust())
		require.Equal(t, packet.Good, report.Status, "%+v", report.Problems)
		require.True(t, slices.ContainsFunc(report.Unproven, func(limit packet.Limit) bool { return strings.Contains(limit.Detail, says) }), "%s: %v", late, report.Unproven)
	}
}

func reportDetail(report packet.Report, claim string) string {
	for _, c := range report.Claims {
		if c.ID == claim {
			return c.Detail
		}
	}
	return ""
}
