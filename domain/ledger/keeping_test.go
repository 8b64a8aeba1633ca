package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dalel/blobs"
	"dalel/domain/content"
	"dalel/domain/document"
	"dalel/domain/ledger"
	"dalel/eventstore"
	"dalel/internal/fault"
)

const decade = 10 * 366 * 24 * time.Hour

// signed makes a document that alpha sent and beta signed.
func (b *bench) signed() string {
	id := b.sent()
	_, err := b.SignDocument(b.ctx, b.beta, id, b.cms(b.keys["beta"], "Dear all,"))
	require.NoError(b.t, err)
	return id
}

// locks returns the lock of each content of a document.
func (b *bench) locks(id string) []blobs.Lock {
	refs, err := ledger.Refs(b.state(id))
	require.NoError(b.t, err)
	require.NotEmpty(b.t, refs)
	var list []blobs.Lock
	for _, ref := range refs {
		lock, err := b.blobs.Lock(b.ctx, ref.Address())
		require.NoError(b.t, err)
		list = append(list, lock)
	}
	return list
}

func letter() io.Reader { return strings.NewReader("We ask you to destroy it. Signed, the director") }

func (b *bench) ask(act ledger.Act, id string) error {
	_, err := b.RequestDestruction(b.ctx, act, id, "our agreement has ended", text, letter())
	return err
}

func TestR_G3_ContentIsLockedForTheRulesTimeBeforeItsDocumentIsSent(t *testing.T) {
	b := newBench(t)
	id := b.draft()
	for _, lock := range b.locks(id) {
		require.True(t, lock.Until.Before(time.Now().AddDate(1, 0, 0)), "a draft binds nobody for ten years")
	}
	// The lock is there when the event is about to be written.
	hook := b.before(func() {
		for _, lock := range b.locks(id) {
			require.False(t, lock.Until.Before(time.Now().AddDate(10, 0, -1)))
		}
	})
	_, err := b.SendDocument(b.ctx, b.alpha, id, false, []ledger.Recipient{{Identifier: b.numbers["beta"], Role: document.RoleSign}})
	require.NoError(t, err)
	require.True(t, *hook)
	require.NoError(t, b.DeliverDue(b.ctx, id))
	_, err = b.SignDocument(b.ctx, b.beta, id, b.cms(b.keys["beta"], "Dear all,"))
	require.NoError(t, err)
	locks := b.locks(id)
	require.Greater(t, len(locks), 2, "the file, the signature, its certificates")
	for _, lock := range locks {
		require.False(t, lock.Until.Before(time.Now().AddDate(10, 0, -1)))
	}
	found, ended := b.Retention(b.state(id))
	require.True(t, ended)
	require.NotEmpty(t, found.Rule)
	b.now.Store(int64(48 * time.Hour))
	require.NoError(t, b.RetainDocument(b.ctx, id))
	for _, lock := range b.locks(id) {
		require.False(t, lock.Until.Before(found.Until.Truncate(time.Second)))
	}
}

// before runs check once, before the next append.
func (b *bench) before(check func()) *bool {
	ran := new(bool)
	hook := func(ctx []eventstore.Event) error {
		if !*ran {
			*ran = true
			check()
		}
		return nil
	}
	b.store.before.Store(&hook)
	return ran
}

func TestR_G4_AHoldStandsOnContentAndPartiesAndBeatsEveryBasis(t *testing.T) {
	b := newBench(t)
	id := b.signed()
	_, err := b.PlaceHold(b.ctx, b.alpha, id, "a dispute")
	b.refused(err, fault.Forbidden)
	_, err = b.PlaceHold(b.ctx, b.operator, id, "")
	b.refused(err, fault.ReasonMissing)
	held, err := b.PlaceHold(b.ctx, b.operator, id, "dispute 7 of 2026")
	require.NoError(t, err)
	for _, lock := range b.locks(id) {
		require.True(t, lock.Held)
	}
	require.NoError(t, b.ask(b.alpha, id))
	require.NoError(t, b.ask(b.beta, id))
	_, err = b.OrderDestruction(b.ctx, b.operator, id, document.BasisRequest)
	b.refused(err, fault.HoldInForce)
	b.now.Store(int64(2 * decade))
	require.NoError(t, b.ProposeDestruction(b.ctx, id))
	require.Nil(t, b.state(id).DestructionProposal, "the sweep passes over what is held")
	_, err = b.RequestErasure(b.ctx, b.beta, b.beta.By.Participant, "forget me", text, letter())
	require.NoError(t, err)
	_, err = b.OrderErasure(b.ctx, b.operator, b.beta.By.Participant)
	b.refused(err, fault.HoldInForce)

	_, err = b.LiftHold(b.ctx, b.operator, id, "no such hold", "settled")
	b.refused(err, fault.HoldUnknown)
	_, err = b.LiftHold(b.ctx, b.operator, id, held.ID, "settled")
	require.NoError(t, err)
	for _, lock := range b.locks(id) {
		require.False(t, lock.Held)
	}
	_, err = b.OrderDestruction(b.ctx, b.operator, id, document.BasisRequest)
	require.NoError(t, err)
}

func TestR_G5_OnRequestOfAllWhoSignedADocumentIsDestroyedAndItsHashesStand(t *testing.T) {
	b := newBench(t)
	id := b.signed()
	before := b.state(id)
	_, err := b.OrderDestruction(b.ctx, b.operator, id, document.BasisRequest)
	b.refused(err, fault.DestructionState)
	b.refused(b.ask(b.gamma, id), fault.ParticipantNotActive)
	require.NoError(t, b.ask(b.alpha, id))
	_, err = b.OrderDestruction(b.ctx, b.operator, id, document.BasisRequest)
	b.refused(err, fault.ConsentMissing)
	require.NoError(t, b.ask(b.beta, id))
	b.refused(b.ask(b.beta, id), fault.AlreadyDone)
	_, err = b.OrderDestruction(b.ctx, b.alpha, id, document.BasisRequest)
	b.refused(err, fault.Forbidden)
	b.refused(b.Destroy(b.ctx, id), fault.DocumentState)
	require.Equal(t, "A letter", b.state(id).Details.Title)
	_, err = b.OrderDestruction(b.ctx, b.operator, id, document.BasisRequest)
	require.NoError(t, err)

	gone := func() {
		t.Helper()
		after := b.state(id)
		require.Empty(t, after.Details.Title)
		require.Equal(t, before.Files[0].SHA256, after.Files[0].SHA256)
		require.Equal(t, before.Number, after.Number)
		_, _, err := b.OpenFile(b.ctx, b.alpha, id, "")
		require.Equal(t, fault.KindGone, fault.Lookup(fault.CodeOf(err)).Kind)
		b.refused(b.Original(b.ctx, b.alpha, id), fault.OriginalNone)
		_, err = b.IssueExemplar(b.ctx, b.alpha, id)
		b.refused(err, fault.OriginalNone)
	}
	gone()
	require.NoError(t, b.Destroy(b.ctx, id))
	require.NoError(t, b.Destroy(b.ctx, id), "once more is no harm")
	gone()
	_, err = b.sealed.Key(b.ctx, "document-"+id)
	b.refused(err, fault.KeyDestroyed)
	require.NotNil(t, b.state(id).DestroyedAt)
	view, err := b.CheckNumber(b.ctx, before.Number)
	require.NoError(t, err)
	require.NotNil(t, view.DestroyedAt)
	require.Equal(t, before.Files[0].SHA256, view.Files[0].SHA256)
}

func TestR_G5_AfterACrashBetweenKeyAndEventTheDestructionIsFinished(t *testing.T) {
	b := newBench(t)
	id := b.draft()
	require.NoError(t, b.ask(b.alpha, id))
	_, err := b.OrderDestruction(b.ctx, b.operator, id, document.BasisRequest)
	require.NoError(t, err)
	crash := errors.New("the power is cut")
	hook := func([]eventstore.Event) error { return crash }
	b.store.before.Store(&hook)
	require.ErrorIs(t, b.Destroy(b.ctx, id), crash)
	b.store.before.Store(nil)
	_, err = b.sealed.Key(b.ctx, "document-"+id)
	b.refused(err, fault.KeyDestroyed)
	require.Nil(t, b.state(id).DestroyedAt)
	require.NoError(t, b.Destroy(b.ctx, id))
	require.NotNil(t, b.state(id).DestroyedAt)
}

func TestR_G3_AtTheEndOfItsTimeADocumentIsProposedAndOnlyTheOperatorDestroysIt(t *testing.T) {
	b := newBench(t)
	id := b.signed()
	require.NoError(t, b.ProposeDestruction(b.ctx, id))
	require.Nil(t, b.state(id).DestructionProposal, "too early")
	_, err := b.OrderDestruction(b.ctx, b.operator, id, document.BasisRetention)
	b.refused(err, fault.DestructionState)
	b.now.Store(int64(decade + 48*time.Hour))
	require.NoError(t, b.ProposeDestruction(b.ctx, id))
	require.NotNil(t, b.state(id).DestructionProposal)
	end := b.end()
	require.NoError(t, b.ProposeDestruction(b.ctx, id))
	require.Equal(t, end, b.end(), "it is proposed once")
	require.False(t, b.state(id).Gone(), "the sweep destroys nothing")
	_, err = b.OrderDestruction(b.ctx, b.operator, id, document.BasisRetention)
	require.NoError(t, err)
	require.True(t, b.state(id).Gone())
}

func TestR_B4_AParticipantsDataAreDestroyedOnItsRequestWhileItsDocumentsStand(t *testing.T) {
	b := newBench(t)
	id := b.signed()
	_, err := b.RequestErasure(b.ctx, b.alpha, b.beta.By.Participant, "forget them", text, letter())
	b.refused(err, fault.ParticipantUnknown)
	_, err = b.OrderErasure(b.ctx, b.operator, b.beta.By.Participant)
	b.refused(err, fault.DestructionState)
	_, err = b.RequestErasure(b.ctx, b.beta, b.beta.By.Participant, "forget me", text, letter())
	require.NoError(t, err)
	_, err = b.OrderErasure(b.ctx, b.operator, b.beta.By.Participant)
	require.NoError(t, err)
	require.NoError(t, b.Erase(b.ctx, b.beta.By.Participant))
	require.NoError(t, b.Erase(b.ctx, b.beta.By.Participant))
	s, err := b.Participant(b.ctx, b.beta.By.Participant)
	require.NoError(t, err)
	require.Empty(t, s.State.Name+s.State.Identifier+s.State.Email)
	_, err = b.ViewDocument(b.ctx, b.beta, id)
	b.refused(err, fault.ParticipantNotActive)
	require.Len(t, b.state(id).Signatures, 1, "what it signed stays with the document")
	require.NoError(t, b.Original(b.ctx, b.alpha, id))
	_, err = b.CertificateDER(b.ctx, b.state(id).Signatures[0].Certificate)
	b.refused(err, fault.KeyDestroyed)
}

func TestR_D2_AFileThatIsNotReceivedIsRecordedAndTheSenderIsTold(t *testing.T) {
	b := newBench(t)
	id := b.draft()
	act := keyed(b.alpha, "attach-1")
	for range 2 {
		_, _, err := b.AttachFile(b.ctx, act, id, "scan.png", "image/png", strings.NewReader("MZ"))
		b.refused(err, fault.FileNotAsClaimed)
	}
	s := b.state(id)
	require.Equal(t, 1, s.FileRefusals, "a repeated request is one attempt")
	require.Len(t, s.Files, 1)

	config := b.config
	config.Scanner = scanner(func(content []byte) error {
		switch {
		case bytes.Contains(content, []byte("virus")):
			return fault.New(fault.FileMalware, "Test.Virus")
		case bytes.Contains(content, []byte("away")):
			return fault.New(fault.ScanUnavailable, "nobody answers")
		}
		return nil
	})
	var err error
	b.Ledger, err = ledger.New(config)
	require.NoError(t, err)
	_, _, err = b.AttachFile(b.ctx, b.alpha, id, "bad.txt", text, strings.NewReader("a virus"))
	b.refused(err, fault.FileMalware)
	end := b.end()
	_, _, err = b.AttachFile(b.ctx, b.alpha, id, "bad.txt", text, strings.NewReader("away"))
	b.refused(err, fault.ScanUnavailable)
	require.Equal(t, end, b.end(), "that nobody could tell is no verdict on the file")
	_, _, err = b.AttachFile(b.ctx, b.alpha, id, "good.txt", text, strings.NewReader("fine"))
	require.NoError(t, err)
	require.Equal(t, 2, b.state(id).FileRefusals)
}

type scanner func([]byte) error

func (s scanner) Scan(_ context.Context, content io.Reader) error {
	all, err := io.ReadAll(content)
	if err != nil {
		return err
	}
	return s(all)
}

func TestR_D10_ExemplarsAndPaperCopiesAreCountedAndTheCopysBytesStay(t *testing.T) {
	b := newBench(t)
	draft := b.draft()
	_, err := b.IssueExemplar(b.ctx, b.alpha, draft)
	b.refused(err, fault.DocumentState)
	id := b.signed()
	_, err = b.IssueExemplar(b.ctx, b.beta, id)
	require.NoError(t, err)
	require.Equal(t, 1, b.state(id).Exemplars)

	_, err = b.IssuePaperCopy(b.ctx, b.beta, id, "xx")
	b.refused(err, fault.DocumentInvalid)
	_, err = b.IssuePaperCopy(b.ctx, b.gamma, id, "ru")
	require.Error(t, err)
	_, err = b.IssuePaperCopy(b.ctx, b.beta, id, "kk")
	require.NoError(t, err)
	_, err = b.IssuePaperCopy(b.ctx, b.alpha, id, "ru")
	require.NoError(t, err)
	read := func(number int) []byte {
		opened, kept, err := b.OpenCopy(b.ctx, b.alpha, id, number)
		require.NoError(t, err)
		defer opened.Close()
		pdf, err := io.ReadAll(opened)
		require.NoError(t, err)
		require.Equal(t, kept.SHA256, blobs.Sum(pdf).String())
		return pdf
	}
	require.True(t, bytes.HasPrefix(read(1), []byte("%PDF-")))
	require.Equal(t, read(2), read(2))
	require.NotEqual(t, read(1), read(2))
	_, _, err = b.OpenCopy(b.ctx, b.alpha, id, 3)
	b.refused(err, fault.FileUnknown)
}

func TestR_D11_WithoutItsBytesThereIsNoOriginalAndNothingIsIssued(t *testing.T) {
	b := newBench(t)
	id := b.signed()
	require.NoError(t, b.Original(b.ctx, b.alpha, id))
	s := b.state(id)
	ref, err := content.ParseRef("document-"+id, s.Files[0].SHA256, s.Files[0].Stored, s.Files[0].Size)
	require.NoError(t, err)
	config := b.config
	config.Blobs = without{b.blobs, ref.Address()}
	b.Ledger, err = ledger.New(config)
	require.NoError(t, err)
	b.refused(b.Original(b.ctx, b.alpha, id), fault.OriginalNone)
	_, err = b.IssuePaperCopy(b.ctx, b.alpha, id, "ru")
	b.refused(err, fault.OriginalNone)
}

// without is an archive that has lost one content.
type without struct {
	blobs.Archive
	lost blobs.Digest
}

func (w without) Stat(ctx context.Context, digest blobs.Digest) (blobs.Info, error) {
	if digest == w.lost {
		return blobs.Info{}, fault.New(fault.BlobNotFound, "lost")
	}
	return w.Archive.Stat(ctx, digest)
}

func TestR_M3_ANumberTellsAnOutsiderThatItExistsAndNoName(t *testing.T) {
	b := newBench(t)
	id := b.signed()
	number := b.state(id).Number
	view, err := b.CheckNumber(b.ctx, number)
	require.NoError(t, err)
	require.Equal(t, 1, view.Signatures)
	require.Equal(t, document.Complete, view.Status)
	wrong := []byte(number)
	wrong[0] = '0' + (wrong[0]-'0'+1)%10
	for _, n := range []string{"", "1", string(wrong), "12345678901234567888", "../../x"} {
		_, err := b.CheckNumber(b.ctx, n)
		b.refused(err, fault.DocumentUnknown)
	}
}

// failingArchive fails one of the archive's methods.
type failingArchive struct {
	blobs.Archive
	put, retain, hold error
}

func (f failingArchive) Put(ctx context.Context, from io.Reader, limit int64) (blobs.Info, error) {
	if f.put != nil {
		return blobs.Info{}, f.put
	}
	return f.Archive.Put(ctx, from, limit)
}

func (f failingArchive) Retain(ctx context.Context, digest blobs.Digest, until time.Time) error {
	if f.retain != nil {
		return f.retain
	}
	return f.Archive.Retain(ctx, digest, until)
}

func (f failingArchive) Hold(ctx context.Context, digest blobs.Digest, held bool) error {
	if f.hold != nil {
		return f.hold
	}
	return f.Archive.Hold(ctx, digest, held)
}

func TestR_G3_WithoutStorageNothingIsRecordedAndWithItEverythingGoesOn(t *testing.T) {
	away := fault.New(fault.BlobFailed, "the bucket does not answer")
	b := newBench(t)
	draft, waiting := b.draft(), b.sent()
	held := b.signed()
	with := func(f failingArchive) {
		f.Archive = b.blobs
		config := b.config
		config.Blobs = f
		var err error
		b.Ledger, err = ledger.New(config)
		require.NoError(t, err)
	}
	attach := func() error {
		_, _, err := b.AttachFile(b.ctx, b.alpha, draft, "more.txt", text, strings.NewReader("more"))
		return err
	}
	send := func() error {
		_, err := b.SendDocument(b.ctx, b.alpha, draft, false, []ledger.Recipient{{Identifier: b.numbers["beta"], Role: document.RoleSign}})
		return err
	}
	sign := func() error {
		_, err := b.SignDocument(b.ctx, b.beta, waiting, b.cms(b.keys["beta"], "Dear all,"))
		return err
	}
	hold := func() error {
		_, err := b.PlaceHold(b.ctx, b.operator, held, "a dispute")
		return err
	}
	for _, step := range []struct {
		name  string
		fails failingArchive
		do    func() error
	}{
		{"a file that is not stored is not attached", failingArchive{put: away}, attach},
		{"a document whose files are not locked is not sent", failingArchive{retain: away}, send},
		{"a signature that is not stored does not count", failingArchive{put: away}, sign},
		{"a signature that is not locked does not count", failingArchive{retain: away}, sign},
	} {
		with(step.fails)
		end := b.end()
		b.refused(step.do(), fault.BlobFailed)
		require.Equal(t, end, b.end(), step.name)
	}
	with(failingArchive{hold: away})
	b.refused(hold(), fault.BlobFailed)
	require.False(t, b.state(held).Held(), "a hold stands on the content before the document says so")
	with(failingArchive{})
	for _, do := range []func() error{attach, send, sign, hold} {
		require.NoError(t, do())
	}
}
