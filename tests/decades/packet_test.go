package decades

import (
	"archive/zip"
	"bytes"
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dalel/domain/access"
	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/domain/identifier"
	"dalel/domain/ledger"
	"dalel/domain/packet"
	"dalel/domain/participant"
	"dalel/domain/renewal"
	"dalel/internal/cms"
	"dalel/internal/testca"
)

// party is a natural person with a certificate of the authority of the day.
type party struct {
	act ledger.Act
	iin string
	key *testca.Identity
}

// letter has a letter signed by its sender and by who gets it, and returns its
// id.
func (w *world) letter() string {
	w.t.Helper()
	ctx, steps := w.t.Context(), 0
	once := func(act ledger.Act) ledger.Act {
		steps++
		act.Key = fmt.Sprintf("letter-%d", steps)
		return act
	}
	operator := ledger.Act{By: event.By{Participant: ledger.Operator}, Role: access.RoleOperator}
	someone := func(iin, surname string) (p party) {
		iin, err := identifier.WithCheckDigit(iin)
		require.NoError(w.t, err)
		registered, err := w.ledger.RegisterParticipant(ctx, once(operator), ledger.Registration{Kind: participant.NaturalPerson, Identifier: iin, Name: surname + " Test"})
		require.NoError(w.t, err)
		_, err = w.ledger.ActivateParticipant(ctx, once(operator), registered.ID, "identity document seen")
		require.NoError(w.t, err)
		p.iin, p.act = iin, ledger.Act{By: event.By{Participant: registered.ID}, Role: access.RoleParticipant}
		p.key, err = w.running[0].Issue(testca.Leaf{
			Key: testca.P256, NotBefore: w.now().AddDate(0, 0, -1), NotAfter: w.now().AddDate(1, 0, 0),
			Owner: testca.Owner{IIN: iin, Surname: surname, GivenName: "Test"},
		})
		require.NoError(w.t, err)
		_, err = w.ledger.RegisterCertificate(ctx, once(operator), registered.ID, p.key.Certificate.Raw)
		require.NoError(w.t, err)
		return p
	}
	from, to := someone("85041230056", "Sender"), someone("79110945012", "Recipient")
	made, err := w.ledger.CreateDocument(ctx, once(from.act), document.Details{Kind: document.Letter, Title: "A letter to be kept"})
	require.NoError(w.t, err)
	const name = "letter.txt"
	content := []byte("What was agreed shall stand.\n")
	_, _, err = w.ledger.AttachFile(ctx, once(from.act), made.ID, name, "text/plain", bytes.NewReader(content))
	require.NoError(w.t, err)
	_, err = w.ledger.SendDocument(ctx, once(from.act), made.ID, true, []ledger.Recipient{{Identifier: to.iin, Role: document.RoleSign, Order: 1}})
	require.NoError(w.t, err)
	for _, who := range []party{from, to} {
		signature, err := cms.Sign(ctx, cms.SignOptions{
			Content: bytes.NewReader(content),
			Signers: []cms.SignerOptions{{Certificate: who.key.Certificate, Key: who.key.Key, SigningTime: w.now()}},
		})
		require.NoError(w.t, err)
		_, err = w.ledger.SignDocument(ctx, once(who.act), made.ID, []ledger.SubmittedSignature{{File: name, CMS: signature}})
		require.NoError(w.t, err)
		require.NoError(w.t, w.ledger.DeliverDue(ctx, made.ID))
	}
	return made.ID
}

func TestR_M5_APacketOfYearOneVerifiesInYearFifteen(t *testing.T) {
	if testing.Short() {
		t.Skip("fifteen years, which another test lives through too: left to the run without -short")
	}
	w := newWorld(t)
	happens := rarely()
	never := func(time.Time) bool { return false }
	w.live(day(2026, 6, 5), never)
	written := w.now()
	id := w.letter()
	w.live(day(2026, 6, 15), never)

	seal, err := w.issuing[0].Issue(testca.Leaf{Key: testca.P256, NotBefore: w.now(), NotAfter: w.now().AddDate(2, 0, 0), Owner: testca.Owner{BIN: "123456789021", Organization: "Operator LLP"}})
	require.NoError(t, err)
	sealer, err := packet.NewSealer(seal.Certificate, seal.Key)
	require.NoError(t, err)
	export := func() []byte {
		var packed bytes.Buffer
		_, err := packet.Export(t.Context(), &packed, packet.Request{
			Document: id, Ledger: "A ledger of decades", Verifier: packet.Verifier{Name: "dalel verify", Version: "test"},
			Events: w.store, Content: w.ledger.Content(), Openers: event.OpenersOf(w.keys), Sealer: sealer,
			Log: &packet.LogSource{Log: w.log, Key: w.vkey, Roots: w.roots, Intermediates: w.policy.Offered},
		})
		require.NoError(t, err)
		return packed.Bytes()
	}
	packed := export()

	w.live(day(2041, 7, 1), happens)

	// A court in 2041 has the packet of 2026, a record of renewals of its own day,
	// and the anchors of all those years; no server and no network.
	trust := packet.Trust{Roots: w.roots, Operators: []*x509.Certificate{seal.Certificate}, Logs: []packet.Key{{VKey: w.vkey}}}
	report, err := packet.Verify(t.Context(), bytes.NewReader(packed), int64(len(packed)), packet.Options{Trust: trust})
	require.NoError(t, err)
	require.Equal(t, packet.Good, report.Status, "%+v\n%+v", report.Problems, report.Claims)
	proven := map[string]bool{}
	for _, claim := range report.Claims {
		proven[claim.ID] = claim.Holds == packet.Yes
		t.Logf("%s: %s", claim.ID, claim.Detail)
	}
	require.True(t, proven["timestamp-01"], "%v", proven)

	first := checkpointIn(t, packed)
	record, text := w.record(first)
	require.GreaterOrEqual(t, len(record.Links), 7)
	renewed, err := w.askAbout(first, text)
	require.NoError(t, err)
	require.Equal(t, renewal.Good, renewed.Status, said(t, renewed))
	require.WithinDuration(t, written, renewed.Existed, 24*time.Hour)

	t.Run("and not by the record of another checkpoint", func(t *testing.T) {
		other := w.log.Newest()
		_, text := w.record(other.Text())
		renewed, err := w.askAbout(first, text)
		require.NoError(t, err)
		require.Equal(t, renewal.Bad, renewed.Status)
	})
	t.Run("and one that is taken out in year fifteen proves the same", func(t *testing.T) {
		packed := export()
		report, err := packet.Verify(t.Context(), bytes.NewReader(packed), int64(len(packed)), packet.Options{Trust: trust})
		require.NoError(t, err)
		require.Equal(t, packet.Good, report.Status, "%+v\n%+v", report.Problems, report.Claims)
		require.Equal(t, string(first), string(checkpointIn(t, packed)))
	})
}

// checkpointIn is the signed checkpoint in a packet.
func checkpointIn(t *testing.T, packed []byte) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "packet.zip")
	require.NoError(t, os.WriteFile(path, packed, 0o600))
	archive, err := zip.OpenReader(path)
	require.NoError(t, err)
	defer archive.Close()
	file, err := archive.Open("log/checkpoint")
	require.NoError(t, err)
	text, err := io.ReadAll(file)
	require.NoError(t, err)
	return text
}
