package packet_test

import (
	"bytes"
	"crypto/x509"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dalel/blobs/file"
	"dalel/domain/access"
	"dalel/domain/certificate"
	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/domain/identifier"
	"dalel/domain/ledger"
	"dalel/domain/packet"
	"dalel/domain/participant"
	"dalel/domain/signature"
	"dalel/internal/cms"
	"dalel/internal/sealing/sealingtest"
	"dalel/internal/testca"

	"dalel/tests/stores"

	"github.com/stretchr/testify/require"
)

// TestR_M1_APacketOfTheRealLedgerHolds plays stories on the real ledger, with
// its stores on disk, and takes out a packet after every step: whatever the
// ledger allows, the verifier must find possible.
func TestR_M1_APacketOfTheRealLedgerHolds(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	store := stores.Open(t)
	content, err := file.Open(filepath.Join(dir, "blobs"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, content.Close()) })
	root, err := testca.NewRoot(testca.CA{Name: "Test root"})
	require.NoError(t, err)
	seal, err := root.Issue(testca.Leaf{Key: testca.RSA2048, Owner: testca.Owner{UserID: "seal", Role: testca.InformationSystem}})
	require.NoError(t, err)
	sealer, err := packet.NewSealer(seal.Certificate, seal.Key)
	require.NoError(t, err)
	var late time.Duration
	keys := &sealingtest.Keys{}
	l, err := ledger.New(ledger.Config{
		Store: store, Blobs: content, Keys: keys, IdentifierKey: bytes.Repeat([]byte{7}, 32),
		Signatures: &signature.Policy{Roots: []*x509.Certificate{root.Certificate}},
		Clock:      func() time.Time { return time.Now().Add(late) },
	})
	require.NoError(t, err)
	operator := ledger.Act{By: event.By{Participant: ledger.Operator}, Role: access.RoleOperator}
	issue := func(owner, number string) *testca.Identity {
		issued, err := root.Issue(testca.Leaf{Owner: testca.Owner{IIN: number, Surname: "Person"}, NotBefore: time.Now().Add(-time.Hour)})
		require.NoError(t, err)
		_, err = l.RegisterCertificate(ctx, operator, owner, issued.Certificate.Raw)
		require.NoError(t, err)
		return issued
	}
	var acts []ledger.Act
	var numbers []string
	var identities []*testca.Identity
	for _, eleven := range []string{"85041230056", "79110945012", "92062740031"} {
		number, err := identifier.WithCheckDigit(eleven)
		require.NoError(t, err)
		outcome, err := l.RegisterParticipant(ctx, operator, ledger.Registration{Kind: participant.NaturalPerson, Identifier: number, Name: "Person " + eleven})
		require.NoError(t, err)
		_, err = l.ActivateParticipant(ctx, operator, outcome.ID, "seen")
		require.NoError(t, err)
		numbers = append(numbers, number)
		acts = append(acts, ledger.Act{By: event.By{Participant: outcome.ID}, Role: access.RoleParticipant})
		identities = append(identities, issue(outcome.ID, number))
	}
	trust := packet.Trust{Roots: []*x509.Certificate{root.Certificate}, Operators: []*x509.Certificate{seal.Certificate}}
	packets := 0
	check := func(id string, want packet.Status) packet.Report {
		t.Helper()
		var out bytes.Buffer
		_, err := packet.Export(ctx, &out, packet.Request{
			Document: id, Ledger: "Test", Verifier: packet.Verifier{Name: "dalel verify", Version: "test"}, Events: store, Content: l.Content(), Openers: event.OpenersOf(keys), Sealer: sealer,
		})
		require.NoError(t, err)
		report := verify(t, out.Bytes(), trust)
		require.Equal(t, want, report.Status, "%+v", report.Problems)
		packets++
		return report
	}
	ok := func(_ ledger.Outcome, err error) {
		t.Helper()
		require.NoError(t, err)
	}
	begin := func(recipients ...ledger.Recipient) string {
		outcome, err := l.CreateDocument(ctx, acts[0], document.Details{Kind: document.Contract, Title: "Contract"})
		require.NoError(t, err)
		check(outcome.ID, packet.Good)
		_, _, err = l.AttachFile(ctx, acts[0], outcome.ID, "contract.txt", "text/plain; charset=utf-8", strings.NewReader("We agree."))
		require.NoError(t, err)
		check(outcome.ID, packet.Good)
		ok(l.SendDocument(ctx, acts[0], outcome.ID, true, recipients))
		check(outcome.ID, packet.Good)
		return outcome.ID
	}
	sign := func(id string, who int, text string) error {
		message, err := cms.Sign(ctx, cms.SignOptions{Content: strings.NewReader(text), Signers: []cms.SignerOptions{{Certificate: identities[who].Certificate, Key: identities[who].Key}}})
		require.NoError(t, err)
		_, err = l.SignDocument(ctx, acts[who], id, []ledger.SubmittedSignature{{File: "contract.txt", CMS: message}})
		require.NoError(t, l.DeliverDue(ctx, id))
		return err
	}
	signer := func(who int) ledger.Recipient {
		return ledger.Recipient{Identifier: numbers[who], Role: document.RoleSign}
	}

	// Signed by all, one attempt refused, then revoked by consent.
	id := begin(signer(1), ledger.Recipient{Identifier: numbers[2], Role: document.RoleApprove})
	require.NoError(t, sign(id, 0, "We agree."))
	check(id, packet.Good)
	require.Error(t, sign(id, 1, "We do not agree."))
	check(id, packet.Good)
	ok(l.ViewDocument(ctx, acts[1], id))
	require.NoError(t, sign(id, 1, "We agree."))
	require.NoError(t, l.DeliverDue(ctx, id))
	ok(l.ApproveDocument(ctx, acts[2], id))
	report := check(id, packet.Good)
	require.Len(t, report.Manifest.Subject.Number, document.NumberDigits)
	ok(l.AcknowledgeDocument(ctx, acts[1], id))
	ok(l.RevokeDocument(ctx, acts[0], id, "a mistake"))
	check(id, packet.Good)
	ok(l.DeclineRevocation(ctx, acts[2], id, "no mistake"))
	ok(l.RevokeDocument(ctx, acts[0], id, "a mistake after all"))
	ok(l.ConsentToRevocation(ctx, acts[1], id))
	ok(l.ConsentToRevocation(ctx, acts[2], id))
	check(id, packet.Good)

	// Rejected; revoked while open; expired.
	id = begin(signer(1))
	require.NoError(t, sign(id, 0, "We agree."))
	ok(l.RejectDocument(ctx, acts[1], id, "too dear"))
	check(id, packet.Good)
	id = begin(signer(1))
	ok(l.RevokeDocument(ctx, acts[0], id, "no longer needed"))
	check(id, packet.Good)
	deadline := time.Now().Add(time.Hour)
	id = begin(ledger.Recipient{Identifier: numbers[1], Role: document.RoleSign, Deadline: &deadline})
	require.NoError(t, sign(id, 0, "We agree."))
	late = 2 * time.Hour
	require.NoError(t, l.Expire(ctx, id))
	check(id, packet.Good)

	// A key reported and decided on: the packet says so; with a new key the
	// document is whole again.
	id = begin(signer(1))
	require.NoError(t, sign(id, 0, "We agree."))
	print := packet.DigestText(identities[0].Certificate.Raw)
	ok(l.ReportCompromise(ctx, operator, print, ledger.CompromiseNotice{Channel: certificate.ByPhone, Officer: "D. Akhmetova", ReceivedAt: time.Now().Add(late), From: time.Now().Add(late - time.Hour)}))
	report = check(id, packet.Good)
	require.Len(t, report.Disputed, 1)
	require.Equal(t, document.ForceDoubt, report.Disputed[0].Force)
	require.NoError(t, l.NoteCertificate(ctx, id, print))
	ok(l.DecideSignature(ctx, operator, id, 1, document.RulingLost, "the key was stolen"))
	report = check(id, packet.Good)
	require.Equal(t, document.ForceLost, report.Disputed[0].Force)
	identities[0] = issue(acts[0].By.Participant, numbers[0])
	require.NoError(t, sign(id, 0, "We agree."))
	check(id, packet.Good)
	require.NoError(t, sign(id, 1, "We agree."))
	check(id, packet.Good)
	t.Logf("%d packets", packets)
}
