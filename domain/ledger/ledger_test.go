package ledger_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dalel/blobs"
	"dalel/blobs/file"
	"dalel/domain/access"
	"dalel/domain/certificate"
	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/domain/identifier"
	"dalel/domain/ledger"
	"dalel/domain/participant"
	"dalel/domain/signature"
	"dalel/eventstore"
	"dalel/internal/cms"
	"dalel/internal/crl"
	"dalel/internal/crl/crltest"
	"dalel/internal/fault"
	"dalel/internal/sealing/sealingtest"
	"dalel/internal/testca"
	"dalel/tests/stores"
)

// bench is a ledger on real stores with two natural persons who can sign, and
// one who is not active yet.
type bench struct {
	*ledger.Ledger
	t       *testing.T
	ctx     context.Context
	store   *interceptedStore
	blobs   *file.Store
	issuing *testca.Identity
	now     atomic.Int64 // nanoseconds added to the clock

	operator           ledger.Act
	alpha, beta, gamma ledger.Act
	keys               map[string]*testca.Identity
	sealed             *sealingtest.Keys
	config             ledger.Config
	numbers            map[string]string
}

// interceptedStore lets a test put something between a decision and its
// append.
type interceptedStore struct {
	eventstore.Store
	before atomic.Pointer[func(events []eventstore.Event) error]
}

func (s *interceptedStore) Append(ctx context.Context, events ...eventstore.Event) (eventstore.Position, error) {
	if hook := s.before.Load(); hook != nil {
		if err := (*hook)(events); err != nil {
			return 0, err
		}
	}
	return s.Store.Append(ctx, events...)
}

func newBench(t *testing.T) *bench {
	dir := t.TempDir()
	store := stores.Open(t)
	content, err := file.Open(filepath.Join(dir, "blobs"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, content.Close()) })
	root, err := testca.NewRoot(testca.CA{Name: "Test root"})
	require.NoError(t, err)
	b := &bench{
		t: t, ctx: t.Context(), store: &interceptedStore{Store: store}, blobs: content, issuing: root,
		operator: ledger.Act{By: event.By{Participant: ledger.Operator}, Role: access.RoleOperator},
		keys:     map[string]*testca.Identity{}, numbers: map[string]string{},
	}
	policy := &signature.Policy{Roots: []*x509.Certificate{root.Certificate}}
	keys := &sealingtest.Keys{}
	b.sealed = keys
	b.config = ledger.Config{
		Store: b.store, Blobs: content, Keys: keys, IdentifierKey: bytes.Repeat([]byte{7}, 32), Signatures: policy,
		Clock: func() time.Time { return time.Now().Add(time.Duration(b.now.Load())) },
		Name:  "Test ledger", CheckURL: "https://ledger.example/check/", Words: plainWords{},
	}
	b.Ledger, err = ledger.New(b.config)
	require.NoError(t, err)
	b.alpha = b.person("alpha", "85041230056", true)
	b.beta = b.person("beta", "79110945012", true)
	b.gamma = b.person("gamma", "92062740031", false)
	return b
}

// plainWords are the catalogue's keys themselves.
type plainWords struct{}

func (plainWords) Text(_, key string) string { return key }
func (plainWords) Standing(_ string, s document.Standing) string {
	return string(s.Force) + " " + s.Ground
}

func (b *bench) person(name, eleven string, active bool) ledger.Act {
	number, err := identifier.WithCheckDigit(eleven)
	require.NoError(b.t, err)
	outcome, err := b.RegisterParticipant(b.ctx, b.operator, ledger.Registration{Kind: participant.NaturalPerson, Identifier: number, Name: "Person " + name})
	require.NoError(b.t, err)
	if active {
		_, err = b.ActivateParticipant(b.ctx, b.operator, outcome.ID, "seen")
		require.NoError(b.t, err)
		b.keys[name] = b.key(outcome.ID, number)
	}
	b.numbers[name] = number
	return ledger.Act{By: event.By{Participant: outcome.ID}, Role: access.RoleParticipant}
}

func (b *bench) key(owner, number string) *testca.Identity {
	issued, err := b.issuing.Issue(testca.Leaf{Owner: testca.Owner{IIN: number, Surname: "Person"}, NotBefore: time.Now().Add(-time.Hour)})
	require.NoError(b.t, err)
	_, err = b.RegisterCertificate(b.ctx, b.operator, owner, issued.Certificate.Raw)
	require.NoError(b.t, err)
	return issued
}

func keyed(act ledger.Act, key string) ledger.Act {
	act.Key = key
	return act
}

const text = "text/plain; charset=utf-8"

// draft makes a draft of alpha's with one file.
func (b *bench) draft() string {
	outcome, err := b.CreateDocument(b.ctx, b.alpha, document.Details{Kind: document.Letter, Title: "A letter"})
	require.NoError(b.t, err)
	_, _, err = b.AttachFile(b.ctx, b.alpha, outcome.ID, "letter.txt", text, strings.NewReader("Dear all,"))
	require.NoError(b.t, err)
	return outcome.ID
}

// sent makes a document that waits for beta's signature.
func (b *bench) sent() string {
	id := b.draft()
	_, err := b.SendDocument(b.ctx, b.alpha, id, false, []ledger.Recipient{{Identifier: b.numbers["beta"], Role: document.RoleSign}})
	require.NoError(b.t, err)
	require.NoError(b.t, b.DeliverDue(b.ctx, id))
	return id
}

func (b *bench) cms(key *testca.Identity, content string) []ledger.SubmittedSignature {
	signed, err := cms.Sign(b.ctx, cms.SignOptions{
		Content: strings.NewReader(content), Signers: []cms.SignerOptions{{Certificate: key.Certificate, Key: key.Key}},
	})
	require.NoError(b.t, err)
	return []ledger.SubmittedSignature{{File: "letter.txt", CMS: signed}}
}

func (b *bench) state(id string) document.State {
	snapshot, err := b.Document(b.ctx, b.alpha, id)
	require.NoError(b.t, err)
	return snapshot.State
}

func (b *bench) refused(err error, code fault.Code) {
	b.t.Helper()
	require.Error(b.t, err)
	require.Equal(b.t, code, fault.CodeOf(err), err.Error())
}

// end is the position of the last event, for showing that nothing was written.
func (b *bench) end() eventstore.Position {
	end, err := b.store.End(b.ctx)
	require.NoError(b.t, err)
	return end
}

func TestACommandSentAgainIsDoneOnce(t *testing.T) {
	b := newBench(t)
	act := keyed(b.alpha, "create-1")
	details := document.Details{Kind: document.Letter, Title: "A letter"}
	first, err := b.CreateDocument(b.ctx, act, details)
	require.NoError(t, err)
	require.False(t, first.Repeated)
	end := b.end()

	again, err := b.CreateDocument(b.ctx, act, details)
	require.NoError(t, err)
	require.True(t, again.Repeated)
	again.Repeated = false
	require.Equal(t, first, again)
	require.Equal(t, end, b.end())

	details.Title = "Another letter"
	_, err = b.CreateDocument(b.ctx, act, details)
	b.refused(err, fault.IdempotencyReused)

	// The same key of somebody else is another key.
	foreign, err := b.CreateDocument(b.ctx, keyed(b.beta, "create-1"), details)
	require.NoError(t, err)
	require.NotEqual(t, first.ID, foreign.ID)
}

func TestARefusedSignatureSentAgainIsRefusedAgainAndRecordedOnce(t *testing.T) {
	b := newBench(t)
	id := b.sent()
	wrong := b.cms(b.keys["beta"], "Dear nobody,")
	_, err := b.SignDocument(b.ctx, keyed(b.beta, "sign-1"), id, wrong)
	b.refused(err, fault.SignatureInvalid)
	require.Equal(t, "digest.mismatch", asFault(t, err).Reasons[0].Code)
	end := b.end()
	_, err = b.SignDocument(b.ctx, keyed(b.beta, "sign-1"), id, wrong)
	b.refused(err, fault.SignatureInvalid)
	require.Equal(t, end, b.end())
	require.Equal(t, document.Awaiting, b.state(id).Status, "R-E3: it changes nothing")
}

func asFault(t *testing.T, err error) *fault.Error {
	var f *fault.Error
	require.ErrorAs(t, err, &f)
	return f
}

func TestSixtyFourSendersOfOneCommandGetOneAnswer(t *testing.T) {
	b := newBench(t)
	id := b.sent()
	signatures := b.cms(b.keys["beta"], "Dear all,")
	outcomes := make([]ledger.Outcome, 64)
	var group sync.WaitGroup
	for i := range outcomes {
		group.Go(func() {
			outcome, err := b.SignDocument(b.ctx, keyed(b.beta, "sign"), id, signatures)
			if err != nil {
				t.Error(err)
			}
			outcomes[i] = outcome
		})
	}
	group.Wait()
	fresh := 0
	for _, outcome := range outcomes {
		require.Equal(t, outcomes[0].Position, outcome.Position)
		if !outcome.Repeated {
			fresh++
		}
	}
	require.Equal(t, 1, fresh)
	require.Len(t, b.state(id).Signatures, 1)
}

func TestAStaleExpectedRevisionIsRefused(t *testing.T) {
	b := newBench(t)
	id := b.draft()
	stale := b.alpha
	seen := eventstore.Revision(0)
	stale.Expected = &seen
	end := b.end()
	_, err := b.RemoveFile(b.ctx, stale, id, "letter.txt")
	b.refused(err, fault.RevisionStale)
	require.Equal(t, end, b.end())
	seen = 1
	_, err = b.RemoveFile(b.ctx, stale, id, "letter.txt")
	require.NoError(t, err)
}

func TestWhoIsFasterWinsAndTheOtherDecidesAnew(t *testing.T) {
	b := newBench(t)
	id := b.sent()
	// While beta's signature is on its way, alpha revokes.
	var once sync.Once
	hook := func(events []eventstore.Event) error {
		if events[0].Type == "DocumentSigned" {
			once.Do(func() {
				_, err := b.RevokeDocument(b.ctx, b.alpha, id, "too late")
				require.NoError(t, err)
			})
		}
		return nil
	}
	b.store.before.Store(&hook)
	_, err := b.SignDocument(b.ctx, b.beta, id, b.cms(b.keys["beta"], "Dear all,"))
	b.refused(err, fault.DocumentState)
	require.Equal(t, document.Withdrawn, b.state(id).Status)
}

func TestR_A1_AnIdentifierBelongsToOneParticipant(t *testing.T) {
	b := newBench(t)
	registration := ledger.Registration{Kind: participant.NaturalPerson, Identifier: b.numbers["alpha"], Name: "Somebody else"}
	_, err := b.RegisterParticipant(b.ctx, keyed(b.operator, "second"), registration)
	b.refused(err, fault.ParticipantExists)
	registration.Identifier = "850412300560"
	_, err = b.RegisterParticipant(b.ctx, b.operator, registration)
	b.refused(err, fault.IdentifierInvalid)
	found, err := b.FindParticipant(b.ctx, b.numbers["alpha"], "")
	require.NoError(t, err)
	require.Equal(t, b.alpha.By.Participant, found)
}

func TestR_A1_OneIINMayBeAPersonAndASoleTraderAndWhoSendsSaysWhich(t *testing.T) {
	b := newBench(t)
	number := b.numbers["beta"]
	trader := ledger.Registration{Kind: participant.SoleTrader, Identifier: number, Name: "ИП Beta"}
	made, err := b.RegisterParticipant(b.ctx, keyed(b.operator, "trader"), trader)
	require.NoError(t, err)
	again, err := b.RegisterParticipant(b.ctx, keyed(b.operator, "trader"), trader)
	require.NoError(t, err)
	require.Equal(t, made.ID, again.ID)
	_, err = b.RegisterParticipant(b.ctx, keyed(b.operator, "a second trader"), trader)
	b.refused(err, fault.ParticipantExists)

	_, err = b.FindParticipant(b.ctx, number, "")
	b.refused(err, fault.ParticipantAmbiguous)
	for kind, id := range map[participant.Kind]string{participant.NaturalPerson: b.beta.By.Participant, participant.SoleTrader: made.ID} {
		found, err := b.FindParticipant(b.ctx, number, kind)
		require.NoError(t, err)
		require.Equal(t, id, found)
	}

	send := func(r ledger.Recipient) (string, error) {
		id := b.draft()
		r.Role = document.RoleSign
		_, err := b.SendDocument(b.ctx, b.alpha, id, false, []ledger.Recipient{r})
		return id, err
	}
	_, err = send(ledger.Recipient{Identifier: number})
	b.refused(err, fault.ParticipantAmbiguous)
	for _, r := range []ledger.Recipient{
		{Identifier: number, Kind: participant.LegalEntity}, {Identifier: b.numbers["alpha"], Participant: made.ID}, {Participant: made.ID, Kind: participant.NaturalPerson},
	} {
		_, err = send(r)
		b.refused(err, fault.RecipientUnknown)
	}
	for _, r := range []ledger.Recipient{
		{Identifier: number, Kind: participant.SoleTrader}, {Identifier: number, Participant: made.ID}, {Participant: made.ID, Kind: participant.SoleTrader},
	} {
		id, err := send(r)
		require.NoError(t, err, "%+v", r)
		_, trader := b.state(id).Party(made.ID)
		_, person := b.state(id).Party(b.beta.By.Participant)
		require.True(t, trader && !person, "%+v", r)
	}
}

func TestR_A1_ARegistrationThatStoppedHalfWayIsFinishedByTheNext(t *testing.T) {
	b := newBench(t)
	number, err := identifier.WithCheckDigit("81030530025")
	require.NoError(t, err)
	registration := ledger.Registration{Kind: participant.NaturalPerson, Identifier: number, Name: "Person delta"}
	broken := errors.New("the power went off")
	hook := func(events []eventstore.Event) error {
		if events[0].Type == "ParticipantRegistered" {
			return broken
		}
		return nil
	}
	b.store.before.Store(&hook)
	_, err = b.RegisterParticipant(b.ctx, keyed(b.operator, "one"), registration)
	require.ErrorIs(t, err, broken)
	b.store.before.Store(nil)
	outcome, err := b.RegisterParticipant(b.ctx, keyed(b.operator, "two"), registration)
	require.NoError(t, err)
	found, err := b.FindParticipant(b.ctx, number, "")
	require.NoError(t, err)
	require.Equal(t, outcome.ID, found)
}

func TestR_A1_ANonResidentGetsAnInternalNumber(t *testing.T) {
	b := newBench(t)
	registration := ledger.Registration{Kind: participant.NonResident, Name: "Jane Doe", Country: "GB"}
	outcome, err := b.RegisterParticipant(b.ctx, keyed(b.operator, "jane"), registration)
	require.NoError(t, err)
	again, err := b.RegisterParticipant(b.ctx, keyed(b.operator, "jane"), registration)
	require.NoError(t, err)
	require.Equal(t, outcome.ID, again.ID)
	snapshot, err := b.Participant(b.ctx, outcome.ID)
	require.NoError(t, err)
	require.NoError(t, identifier.CheckInternal(snapshot.State.Identifier))
}

func TestR_A3_WhoIsNotActiveYetCanOnlyRead(t *testing.T) {
	b := newBench(t)
	_, err := b.CreateDocument(b.ctx, b.gamma, document.Details{Kind: document.Letter, Title: "A letter"})
	b.refused(err, fault.ParticipantNotActive)
	id := b.draft()
	_, err = b.SendDocument(b.ctx, b.alpha, id, false, []ledger.Recipient{{Participant: b.gamma.By.Participant, Role: document.RoleSign}})
	require.NoError(t, err)
	require.NoError(t, b.DeliverDue(b.ctx, id))
	_, err = b.Document(b.ctx, b.gamma, id)
	require.NoError(t, err)
	_, err = b.ViewDocument(b.ctx, b.gamma, id)
	require.NoError(t, err)
	_, err = b.RejectDocument(b.ctx, b.gamma, id, "no")
	b.refused(err, fault.ParticipantNotActive)
}

func TestR_A4_AnEmployeeActsForItsCompanyWithinItsRights(t *testing.T) {
	b := newBench(t)
	bin, err := identifier.WithCheckDigit("05024000178")
	require.NoError(t, err)
	company, err := b.RegisterParticipant(b.ctx, b.operator, ledger.Registration{Kind: participant.LegalEntity, Identifier: bin, Name: "Company"})
	require.NoError(t, err)
	_, err = b.ActivateParticipant(b.ctx, b.operator, company.ID, "seen")
	require.NoError(t, err)
	employee := b.alpha
	employee.By = event.By{Participant: company.ID, Person: b.alpha.By.Participant}
	letter := document.Details{Kind: document.Letter, Title: "A letter"}

	_, err = b.CreateDocument(b.ctx, employee, letter)
	b.refused(err, fault.EmployeeUnknown)
	_, err = b.AddEmployee(b.ctx, b.operator, company.ID, b.alpha.By.Participant, "clerk", []participant.Right{participant.RightRead, participant.RightDraft})
	require.NoError(t, err)
	created, err := b.CreateDocument(b.ctx, employee, letter)
	require.NoError(t, err)
	for recorded, err := range b.store.ReadStream(b.ctx, document.StreamID(created.ID), 0, 1) {
		require.NoError(t, err)
		metadata, err := recorded.ReadMetadata()
		require.NoError(t, err)
		require.Equal(t, b.alpha.By.Participant, metadata.Actor)
		require.Equal(t, company.ID, metadata.OnBehalfOf)
	}
	_, _, err = b.AttachFile(b.ctx, employee, created.ID, "letter.txt", text, strings.NewReader("Dear all,"))
	require.NoError(t, err)
	_, err = b.SendDocument(b.ctx, employee, created.ID, false, []ledger.Recipient{{Identifier: b.numbers["beta"], Role: document.RoleSign}})
	b.refused(err, fault.EmployeeNoRight)
	_, err = b.ChangeEmployeeRights(b.ctx, employee, company.ID, b.alpha.By.Participant, participant.Rights())
	b.refused(err, fault.EmployeeNoRight)
	_, err = b.RemoveEmployee(b.ctx, b.operator, company.ID, b.alpha.By.Participant, "left")
	require.NoError(t, err)
	_, err = b.CreateDocument(b.ctx, employee, letter)
	b.refused(err, fault.EmployeeUnknown)
}

func TestR_C1_ACertificateOfSomebodyElseOrOfAnUnknownCAIsRefused(t *testing.T) {
	b := newBench(t)
	issued, err := b.issuing.Issue(testca.Leaf{Owner: testca.Owner{IIN: b.numbers["alpha"], Surname: "Person"}})
	require.NoError(t, err)
	_, err = b.RegisterCertificate(b.ctx, b.operator, b.beta.By.Participant, issued.Certificate.Raw)
	b.refused(err, fault.CertificateOfAnother)

	foreignRoot, err := testca.NewRoot(testca.CA{Name: "Another root"})
	require.NoError(t, err)
	foreign, err := foreignRoot.Issue(testca.Leaf{Owner: testca.Owner{IIN: b.numbers["beta"], Surname: "Person"}})
	require.NoError(t, err)
	_, err = b.RegisterCertificate(b.ctx, b.operator, b.beta.By.Participant, foreign.Certificate.Raw)
	b.refused(err, fault.CertificateUntrusted)
	// The same certificate under another fingerprint would outlive its own
	// suspension.
	own := b.keys["beta"].Certificate.Raw
	longer := append(bytes.Clone(own), 0x02, 0x01, 0x00)
	longer[2], longer[3] = byte((len(longer)-4)>>8), byte(len(longer)-4)
	_, err = b.RegisterCertificate(b.ctx, b.operator, b.beta.By.Participant, longer)
	b.refused(err, fault.CertificateInvalid)
	_, err = b.RegisterCertificate(b.ctx, b.operator, b.beta.By.Participant, []byte("no certificate"))
	b.refused(err, fault.CertificateInvalid)
}

func TestR_C1_ASignatureCountsOnlyWithARegisteredCertificate(t *testing.T) {
	b := newBench(t)
	id := b.sent()
	unregistered, err := b.issuing.Issue(testca.Leaf{Owner: testca.Owner{IIN: b.numbers["beta"], Surname: "Person"}})
	require.NoError(t, err)
	_, err = b.SignDocument(b.ctx, b.beta, id, b.cms(unregistered, "Dear all,"))
	b.refused(err, fault.CertificateUnknown)
	_, err = b.SignDocument(b.ctx, b.beta, id, b.cms(b.keys["alpha"], "Dear all,"))
	b.refused(err, fault.CertificateOfAnother)
	_, err = b.SignDocument(b.ctx, b.beta, id, []ledger.SubmittedSignature{{File: "letter.txt", CMS: []byte("no CMS")}})
	b.refused(err, fault.SignatureUnreadable)
	_, err = b.SignDocument(b.ctx, b.beta, id, []ledger.SubmittedSignature{{File: "other.txt", CMS: []byte("no CMS")}})
	b.refused(err, fault.FileUnknown)
	_, err = b.SignDocument(b.ctx, b.beta, id, b.cms(b.keys["beta"], "Dear all,"))
	require.NoError(t, err)
	require.Equal(t, document.Complete, b.state(id).Status)
}

// However a signature comes, the CMS itself is kept as the signer's program made it.
func TestR_E1_ASignatureIsTakenOutOfItsWrappings(t *testing.T) {
	b := newBench(t)
	for name, wrap := range map[string]func(der []byte) string{
		"DER":    func(der []byte) string { return string(der) },
		"PEM":    func(der []byte) string { return string(pem.EncodeToMemory(&pem.Block{Type: "CMS", Bytes: der})) },
		"base64": func(der []byte) string { return "\ufeff" + base64.StdEncoding.EncodeToString(der) + "\r\n" },
		"NCALayer's answer": func(der []byte) string {
			return `{"status":true,"body":{"result":["` + base64.StdEncoding.EncodeToString(der) + `"]}}`
		},
		"NCALayer's older answer": func(der []byte) string {
			return `{"code":"200","responseObject":"` + base64.StdEncoding.EncodeToString(der) + `"}`
		},
	} {
		id := b.sent()
		submitted := b.cms(b.keys["beta"], "Dear all,")
		der := submitted[0].CMS
		submitted[0].CMS = []byte(wrap(der))
		_, err := b.SignDocument(b.ctx, b.beta, id, submitted)
		require.NoError(t, err, name)
		state := b.state(id)
		require.Equal(t, document.Complete, state.Status, name)
		kept, err := b.SignatureMessage(b.ctx, state, state.Signatures[0].Signatures[0])
		require.NoError(t, err, name)
		require.Equal(t, der, kept, name)
	}
	id := b.sent()
	end := b.end()
	for text, code := range map[string]fault.Code{
		`{"status":true,"body":{}}`:                          fault.SignatureCancelled,
		`{"code":"500","message":"action.canceled"}`:         fault.SignatureCancelled,
		`{"status":false,"code":"500","message":"no token"}`: fault.SignatureNotMade,
		`{"status":true}}`:                                   fault.SignatureUnreadable,
		`<act/>`:                                             fault.SignatureUnreadable,
		"%PDF-1.7":                                           fault.SignatureUnreadable,
		strings.Repeat("A", ledger.MaxSignatureBytes+1):      fault.RequestTooLarge,
		strings.Repeat("MIII", ledger.MaxCMSBytes/3+2):       fault.RequestTooLarge,
	} {
		_, err := b.SignDocument(b.ctx, b.beta, id, []ledger.SubmittedSignature{{File: "letter.txt", CMS: []byte(text)}})
		b.refused(err, code)
	}
	require.Equal(t, end, b.end(), "nothing of it is an attempt")
}

func TestR_C7_R_C8_ACompromisedKeySignsNoMoreAndWhatItSignedSinceIsMarkedOnce(t *testing.T) {
	b := newBench(t)
	before := b.sent()
	_, err := b.SignDocument(b.ctx, b.beta, before, b.cms(b.keys["beta"], "Dear all,"))
	require.NoError(t, err)
	moment := time.Now()
	after := b.sent()
	_, err = b.SignDocument(b.ctx, b.beta, after, b.cms(b.keys["beta"], "Dear all,"))
	require.NoError(t, err)
	open := b.sent()

	fingerprint := b.state(after).Signatures[0].Certificate
	_, err = b.ReportCompromise(b.ctx, b.alpha, fingerprint, ledger.CompromiseNotice{From: moment})
	b.refused(err, fault.CertificateUnknown)
	_, err = b.ReportCompromise(b.ctx, b.beta, fingerprint, ledger.CompromiseNotice{From: moment, Circumstances: "lost"})
	require.NoError(t, err)
	_, err = b.SignDocument(b.ctx, b.beta, open, b.cms(b.keys["beta"], "Dear all,"))
	b.refused(err, fault.CertificateCompromised)

	require.Equal(t, document.ForceStands, b.force(before), "what was signed before stands")
	require.Equal(t, document.ForceDoubt, b.force(after), "nobody has to be told for that")
	for range 2 { // the process manager may run twice
		for _, id := range []string{before, after, open} {
			require.NoError(t, b.NoteCertificate(b.ctx, id, fingerprint))
		}
	}
	require.Empty(t, b.state(before).Signatures[0].Doubts)
	require.Len(t, b.state(after).Signatures[0].Doubts, 1, "the parties are told once")

	_, err = b.ResumeCertificate(b.ctx, b.operator, fingerprint, certificate.Online, "found")
	b.refused(err, fault.Forbidden)
	_, err = b.ResumeCertificate(b.ctx, b.beta, fingerprint, certificate.Online, "found")
	require.NoError(t, err)
	require.Equal(t, document.ForceStands, b.force(after), "the withdrawal lifts the doubt")
	require.NoError(t, b.NoteCertificate(b.ctx, after, fingerprint))
	require.Len(t, b.state(after).Signatures[0].Lifted, 1)
	_, err = b.SignDocument(b.ctx, b.beta, open, b.cms(b.keys["beta"], "Dear all,"))
	require.NoError(t, err)
	_, err = b.AnnulCertificate(b.ctx, b.beta, fingerprint, "a new key")
	require.NoError(t, err)
	_, err = b.ResumeCertificate(b.ctx, b.beta, fingerprint, certificate.Online, "again")
	b.refused(err, fault.CertificateState)
}

// force is whether the first signature on a document stands.
func (b *bench) force(id string) document.Force {
	standings, err := b.Standings(b.ctx, b.state(id))
	require.NoError(b.t, err)
	return standings[0].Force
}

func TestR_C8_TheOperatorDecidesOnASignatureInDoubt(t *testing.T) {
	b := newBench(t)
	moment := time.Now()
	id := b.sent()
	_, err := b.SignDocument(b.ctx, b.beta, id, b.cms(b.keys["beta"], "Dear all,"))
	require.NoError(t, err)
	fingerprint := b.state(id).Signatures[0].Certificate
	_, err = b.DecideSignature(b.ctx, b.operator, id, 1, document.RulingLost, "stolen")
	b.refused(err, fault.SignatureNotDisputed)
	_, err = b.ReportCompromise(b.ctx, b.beta, fingerprint, ledger.CompromiseNotice{From: moment})
	require.NoError(t, err)
	_, err = b.DecideSignature(b.ctx, b.beta, id, 1, document.RulingLost, "I say so")
	b.refused(err, fault.Forbidden)
	_, err = b.DecideSignature(b.ctx, b.operator, id, 2, document.RulingLost, "stolen")
	b.refused(err, fault.SignatureUnknownNumber)
	_, err = b.DecideSignature(b.ctx, b.operator, id, 1, document.RulingLost, "The police report says that it was stolen.")
	require.NoError(t, err)
	require.Equal(t, document.ForceLost, b.force(id))
	_, err = b.ResumeCertificate(b.ctx, b.beta, fingerprint, certificate.Online, "found")
	require.NoError(t, err)
	require.Equal(t, document.ForceLost, b.force(id))
}

// TestR_C8_ASignatureAndANoticeEndInOneOfTwoOrders has a notice recorded at
// every moment of signing: before the store takes the signature, and after.
// The signature is refused, or it counts and is in doubt; there is no third.
func TestR_C8_ASignatureAndANoticeEndInOneOfTwoOrders(t *testing.T) {
	const rounds = 40
	b := newBench(t)
	moment := time.Now().Add(-time.Hour)
	refused, doubted := 0, 0
	for round := range rounds {
		id := b.sent()
		fingerprint := blobs.Sum(b.keys["beta"].Certificate.Raw).String()
		message := b.cms(b.keys["beta"], "Dear all,")
		var signing, reporting error
		var both sync.WaitGroup
		both.Go(func() { _, signing = b.SignDocument(b.ctx, b.beta, id, message) })
		both.Go(func() {
			time.Sleep(time.Duration(round) * 500 * time.Microsecond)
			_, reporting = b.ReportCompromise(b.ctx, b.beta, fingerprint, ledger.CompromiseNotice{From: moment})
		})
		both.Wait()
		require.NoError(t, reporting)
		if signing == nil {
			doubted++
			require.Equal(t, document.ForceDoubt, b.force(id))
		} else {
			refused++
			b.refused(signing, fault.CertificateCompromised)
			require.Empty(t, b.state(id).Signatures)
		}
		_, err := b.ResumeCertificate(b.ctx, b.beta, fingerprint, certificate.Online, "found")
		require.NoError(t, err)
	}
	require.Equal(t, rounds, refused+doubted)
	t.Logf("%d refused, %d in doubt", refused, doubted)
}

func TestR_C7_TheHolderReportsTheCertificateWhateverItsRights(t *testing.T) {
	b := newBench(t)
	bin, err := identifier.WithCheckDigit("05024000178")
	require.NoError(t, err)
	company, err := b.RegisterParticipant(b.ctx, b.operator, ledger.Registration{Kind: participant.LegalEntity, Identifier: bin, Name: "Company"})
	require.NoError(t, err)
	_, err = b.ActivateParticipant(b.ctx, b.operator, company.ID, "seen")
	require.NoError(t, err)
	_, err = b.AddEmployee(b.ctx, b.operator, company.ID, b.beta.By.Participant, "clerk", []participant.Right{participant.RightRead})
	require.NoError(t, err)
	issued, err := b.issuing.Issue(testca.Leaf{Owner: testca.Owner{IIN: b.numbers["beta"], BIN: bin, Surname: "Person", Organization: "Company"}, NotBefore: time.Now().Add(-time.Hour)})
	require.NoError(t, err)
	registered, err := b.RegisterCertificate(b.ctx, b.operator, company.ID, issued.Certificate.Raw)
	require.NoError(t, err)
	employee := b.beta
	employee.By = event.By{Participant: company.ID, Person: b.beta.By.Participant}
	stolen := ledger.CompromiseNotice{From: time.Now().Add(-time.Minute)}

	_, err = b.ReportCompromise(b.ctx, b.alpha, registered.ID, stolen)
	b.refused(err, fault.CertificateUnknown)
	_, err = b.ReportCompromise(b.ctx, employee, registered.ID, stolen) // has no right but to read
	require.NoError(t, err)
	_, err = b.ResumeCertificate(b.ctx, employee, registered.ID, certificate.Online, "found")
	b.refused(err, fault.EmployeeNoRight)
	_, err = b.RemoveEmployee(b.ctx, b.operator, company.ID, b.beta.By.Participant, "dismissed")
	require.NoError(t, err)
	earlier := ledger.CompromiseNotice{From: time.Now().Add(-time.Hour)}
	_, err = b.ReportCompromise(b.ctx, b.beta, registered.ID, earlier) // acts for itself alone by now
	require.NoError(t, err)
	_, err = b.ResumeCertificate(b.ctx, b.beta, registered.ID, certificate.Online, "found")
	b.refused(err, fault.CertificateUnknown)
}

// list is a revocation list of the bench's authority that names a certificate.
func (b *bench) list(issued *testca.Identity, entry crltest.Entry) signature.Evidence {
	entry.Serial = issued.Certificate.SerialNumber
	der, err := crltest.Sign(crltest.List{
		ThisUpdate: time.Now().Add(-time.Minute), NextUpdate: time.Now().Add(time.Hour), Number: big.NewInt(1), Entries: []crltest.Entry{entry},
	}, crltest.By(b.issuing))
	require.NoError(b.t, err)
	return signature.Evidence{Kind: signature.EvidenceCRL, DER: der}
}

func TestR_C8_TheAuthoritysRevocationIsTakenOnlyWithItsProof(t *testing.T) {
	b := newBench(t)
	before := time.Now().Add(-time.Hour)
	id := b.sent()
	_, err := b.SignDocument(b.ctx, b.beta, id, b.cms(b.keys["beta"], "Dear all,"))
	require.NoError(t, err)
	fingerprint := b.state(id).Signatures[0].Certificate
	for what, evidence := range map[string]signature.Evidence{
		"a list that names another": b.list(b.keys["alpha"], crltest.Entry{At: before, Reason: crl.KeyCompromise}),
		"a hold":                    b.list(b.keys["beta"], crltest.Entry{At: before, Reason: crl.CertificateHold}),
		"no list at all":            {Kind: signature.EvidenceCRL, DER: []byte("revoked, believe me")},
		"a list with a critical extension that nobody knows": b.list(b.keys["beta"], crltest.Entry{At: before, Reason: crl.KeyCompromise, Critical: true}),
	} {
		_, err := b.RecordRevocation(b.ctx, b.operator, fingerprint, evidence)
		require.Error(t, err, what)
		b.refused(err, fault.RevocationUnproven)
	}
	proof := b.list(b.keys["beta"], crltest.Entry{At: before, Reason: crl.KeyCompromise})
	_, err = b.RecordRevocation(b.ctx, b.alpha, fingerprint, proof)
	b.refused(err, fault.CertificateUnknown)
	require.Equal(t, document.ForceStands, b.force(id))
	_, err = b.RecordRevocation(b.ctx, b.operator, fingerprint, proof)
	require.NoError(t, err)
	require.Equal(t, document.ForceLost, b.force(id))
	kept, revoked, err := b.RevocationEvidence(b.ctx, fingerprint)
	require.NoError(t, err)
	require.Equal(t, proof.DER, kept)
	require.Equal(t, "keyCompromise", revoked.Reason)
	_, err = b.SignDocument(b.ctx, b.beta, b.sent(), b.cms(b.keys["beta"], "Dear all,"))
	b.refused(err, fault.CertificateRevoked)
}

// asking is a policy whose authority answers with a list.
type asking struct {
	*signature.Policy
	answer func() []signature.Evidence
}

func (a asking) AskRevocation(context.Context, []byte, time.Time) []signature.Evidence {
	return a.answer()
}

func TestR_C8_TheAuthorityOfAReportedKeyIsAskedUntilItAnswers(t *testing.T) {
	b := newBench(t)
	var answer []signature.Evidence
	b.config.Signatures = asking{b.config.Signatures.(*signature.Policy), func() []signature.Evidence { return answer }}
	asks, err := ledger.New(b.config)
	require.NoError(t, err)
	id := b.sent()
	_, err = b.SignDocument(b.ctx, b.beta, id, b.cms(b.keys["beta"], "Dear all,"))
	require.NoError(t, err)
	fingerprint := b.state(id).Signatures[0].Certificate
	again, err := asks.AskAuthority(b.ctx, fingerprint)
	require.NoError(t, err)
	require.False(t, again, "nobody reported it")
	_, err = b.ReportCompromise(b.ctx, b.beta, fingerprint, ledger.CompromiseNotice{From: time.Now().Add(-time.Hour)})
	require.NoError(t, err)
	again, err = asks.AskAuthority(b.ctx, fingerprint)
	require.NoError(t, err)
	require.True(t, again)
	require.Equal(t, document.ForceDoubt, b.force(id))
	since := time.Now().Add(-40 * time.Minute).Truncate(time.Second).UTC()
	answer = []signature.Evidence{
		b.list(b.keys["beta"], crltest.Entry{At: time.Now().Add(-30 * time.Minute), Reason: crl.KeyCompromise}),
		b.list(b.keys["beta"], crltest.Entry{At: time.Now().Add(-30 * time.Minute), Reason: crl.KeyCompromise, Invalidity: since}),
	}
	again, err = asks.AskAuthority(b.ctx, fingerprint)
	require.NoError(t, err)
	require.False(t, again)
	require.Equal(t, document.ForceLost, b.force(id))
	held, err := b.Certificate(b.ctx, fingerprint)
	require.NoError(t, err)
	require.Equal(t, since, held.State.Revocation.From(), "the earliest moment that the authority names counts")
}

func TestR_C7_AWithdrawalIsNotTakenInASessionOfTheReportedKey(t *testing.T) {
	b := newBench(t)
	fingerprint := blobs.Sum(b.keys["beta"].Certificate.Raw).String()
	_, err := b.ReportCompromise(b.ctx, b.beta, fingerprint, ledger.CompromiseNotice{From: time.Now()})
	require.NoError(t, err)
	thief := b.beta
	thief.SessionCertificate = fingerprint
	_, err = b.ResumeCertificate(b.ctx, thief, fingerprint, certificate.Online, "found")
	b.refused(err, fault.CertificateReported)

	// Nor in one of another reported key; a key that nobody reported may.
	second := blobs.Sum(b.key(b.beta.By.Participant, b.numbers["beta"]).Certificate.Raw).String()
	thief.SessionCertificate = second
	_, err = b.ReportCompromise(b.ctx, b.beta, second, ledger.CompromiseNotice{From: time.Now()})
	require.NoError(t, err)
	_, err = b.ResumeCertificate(b.ctx, thief, fingerprint, certificate.Online, "found")
	b.refused(err, fault.CertificateReported)
	thief.SessionCertificate = blobs.Sum(b.key(b.beta.By.Participant, b.numbers["beta"]).Certificate.Raw).String()
	_, err = b.ResumeCertificate(b.ctx, thief, fingerprint, certificate.Online, "found")
	require.NoError(t, err)
}

func TestNobodyLearnsOfADocumentThatIsNotTheirs(t *testing.T) {
	b := newBench(t)
	id := b.draft()
	for name, try := range map[string]func(id string) error{
		"read":        func(id string) error { _, err := b.Document(b.ctx, b.beta, id); return err },
		"file":        func(id string) error { _, _, err := b.OpenFile(b.ctx, b.beta, id, "letter.txt"); return err },
		"view":        func(id string) error { _, err := b.ViewDocument(b.ctx, b.beta, id); return err },
		"acknowledge": func(id string) error { _, err := b.AcknowledgeDocument(b.ctx, b.beta, id); return err },
		"sign": func(id string) error {
			_, err := b.SignDocument(b.ctx, b.beta, id, b.cms(b.keys["beta"], "x"))
			return err
		},
		"approve": func(id string) error { _, err := b.ApproveDocument(b.ctx, b.beta, id); return err },
		"reject":  func(id string) error { _, err := b.RejectDocument(b.ctx, b.beta, id, "no"); return err },
		"revoke":  func(id string) error { _, err := b.RevokeDocument(b.ctx, b.beta, id, "no"); return err },
		"send":    func(id string) error { _, err := b.SendDocument(b.ctx, b.beta, id, false, nil); return err },
		"attach": func(id string) error {
			_, _, err := b.AttachFile(b.ctx, b.beta, id, "a.txt", text, strings.NewReader("x"))
			return err
		},
		"operator": func(id string) error { _, err := b.Document(b.ctx, b.operator, id); return err },
	} {
		t.Run(name, func(t *testing.T) {
			end := b.end()
			exists, missing := try(id), try("0190c2d4-0000-8000-8000-000000000000")
			require.Equal(t, fault.DocumentUnknown, fault.CodeOf(exists))
			require.Equal(t, missing.Error(), exists.Error(), "not even by the wording")
			require.Equal(t, end, b.end())
		})
	}
}

func TestBadInputLeavesTheDraftAsItWas(t *testing.T) {
	b := newBench(t)
	id := b.draft()
	end := b.end()
	pdf := "application/pdf"
	attach := func(name, mediaType string, content io.Reader) error {
		_, _, err := b.AttachFile(b.ctx, b.alpha, id, name, mediaType, content)
		return err
	}
	b.refused(attach("contract.pdf", pdf, strings.NewReader("MZ this is a program")), fault.FileNotAsClaimed)
	require.Greater(t, b.end(), end)
	require.Equal(t, 1, b.state(id).FileRefusals, "R-D2: that it was not received is recorded")
	end = b.end()
	b.refused(attach("../contract.pdf", pdf, strings.NewReader("%PDF-1.7")), fault.FileInvalid)
	b.refused(attach("contract.exe", pdf, strings.NewReader("%PDF-1.7")), fault.FileInvalid)
	b.refused(attach("contract.exe", "application/x-msdownload", strings.NewReader("MZ")), fault.FileInvalid)
	err := attach("cut.txt", text, io.MultiReader(strings.NewReader("Dear"), failing{io.ErrUnexpectedEOF}))
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	_, err = b.SendDocument(b.ctx, b.alpha, id, false, []ledger.Recipient{{Participant: "nobody", Role: document.RoleSign}})
	b.refused(err, fault.RecipientUnknown)
	_, err = b.SendDocument(b.ctx, b.alpha, id, false, []ledger.Recipient{{Identifier: "000000000000", Role: document.RoleSign}})
	b.refused(err, fault.RecipientUnknown)
	require.Equal(t, end, b.end())
	stored := 0
	for _, err := range b.blobs.All(b.ctx) {
		require.NoError(t, err)
		stored++
	}
	require.Equal(t, 3, stored, "two certificates and the letter")
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestR_O4_ATokenIsBoundToItsHolderAndEnds(t *testing.T) {
	b := newBench(t)
	_, err := b.IssueToken(b.ctx, b.alpha, b.alpha.By, access.RoleParticipant, "", time.Hour)
	b.refused(err, fault.Forbidden)
	_, err = b.IssueToken(b.ctx, b.operator, event.By{Participant: "nobody"}, access.RoleParticipant, "", time.Hour)
	b.refused(err, fault.ParticipantUnknown)
	issued, err := b.IssueToken(b.ctx, b.operator, b.alpha.By, access.RoleParticipant, "laptop", time.Hour)
	require.NoError(t, err)
	principal, err := b.Authenticate(b.ctx, issued.Token)
	require.NoError(t, err)
	require.Equal(t, b.alpha.By, principal.By)

	for recorded, err := range b.store.ReadAll(b.ctx, 0, 0) {
		require.NoError(t, err)
		require.NotContains(t, string(recorded.Data)+string(recorded.Metadata), issued.Token, "no secret in an event")
	}
	_, err = b.RevokeToken(b.ctx, b.beta, issued.ID, "not mine")
	b.refused(err, fault.TokenInvalid)
	b.now.Store(int64(2 * time.Hour))
	_, err = b.Authenticate(b.ctx, issued.Token)
	b.refused(err, fault.TokenExpired)
	b.now.Store(0)
	_, err = b.RevokeToken(b.ctx, b.alpha, issued.ID, "lost the laptop")
	require.NoError(t, err)
	_, err = b.Authenticate(b.ctx, issued.Token)
	b.refused(err, fault.TokenRevoked)
	_, err = b.Authenticate(b.ctx, "dalel_guessed")
	b.refused(err, fault.TokenInvalid)
}

func TestADeadlineEndsTheRoute(t *testing.T) {
	b := newBench(t)
	id := b.draft()
	deadline := time.Now().Add(time.Hour)
	_, err := b.SendDocument(b.ctx, b.alpha, id, false, []ledger.Recipient{{Identifier: b.numbers["beta"], Role: document.RoleSign, Deadline: &deadline}})
	require.NoError(t, err)
	require.NoError(t, b.DeliverDue(b.ctx, id))
	b.refused(b.Expire(b.ctx, id), fault.DocumentNotDue)
	b.now.Store(int64(61 * time.Minute))
	_, err = b.SignDocument(b.ctx, b.beta, id, b.cms(b.keys["beta"], "Dear all,"))
	b.refused(err, fault.DocumentDeadline)
	require.NoError(t, b.Expire(b.ctx, id))
	require.Equal(t, document.Lapsed, b.state(id).Status)
}

func TestR_M6_RecordedTimesNeverRunBackwardsOnAStreamWhateverTheClockDoes(t *testing.T) {
	b := newBench(t)
	id := b.sent()
	b.now.Store(int64(-5 * time.Hour))
	_, err := b.RejectDocument(b.ctx, b.beta, id, "too late")
	require.NoError(t, err)
	b.now.Store(0)
	var last time.Time
	events := 0
	for recorded, err := range b.store.ReadStream(b.ctx, document.StreamID(id), 0, 0) {
		require.NoError(t, err)
		metadata, err := recorded.ReadMetadata()
		require.NoError(t, err)
		require.False(t, metadata.RecordedAt.Before(last), "%s@%d", recorded.Stream, recorded.Revision)
		last = metadata.RecordedAt
		events++
	}
	require.Greater(t, events, 4)
}

func TestR_A4_NobodySignsWithAColleaguesKey(t *testing.T) {
	b := newBench(t)
	bin, err := identifier.WithCheckDigit("05024000178")
	require.NoError(t, err)
	company, err := b.RegisterParticipant(b.ctx, b.operator, ledger.Registration{Kind: participant.LegalEntity, Identifier: bin, Name: "Company"})
	require.NoError(t, err)
	_, err = b.ActivateParticipant(b.ctx, b.operator, company.ID, "seen")
	require.NoError(t, err)
	rights := []participant.Right{participant.RightRead, participant.RightSign}
	for _, person := range []ledger.Act{b.alpha, b.beta} {
		_, err = b.AddEmployee(b.ctx, b.operator, company.ID, person.By.Participant, "clerk", rights)
		require.NoError(t, err)
	}
	key, err := b.issuing.Issue(testca.Leaf{Owner: testca.Owner{IIN: b.numbers["beta"], BIN: bin, Surname: "Person", Organization: "Company"}, NotBefore: time.Now().Add(-time.Hour)})
	require.NoError(t, err)
	_, err = b.RegisterCertificate(b.ctx, b.operator, company.ID, key.Certificate.Raw)
	require.NoError(t, err)
	id := b.draft()
	_, err = b.SendDocument(b.ctx, b.alpha, id, false, []ledger.Recipient{{Participant: company.ID, Role: document.RoleSign}})
	require.NoError(t, err)
	require.NoError(t, b.DeliverDue(b.ctx, id))

	colleague, holder := b.alpha, b.beta
	colleague.By = event.By{Participant: company.ID, Person: b.alpha.By.Participant}
	holder.By = event.By{Participant: company.ID, Person: b.beta.By.Participant}
	_, err = b.SignDocument(b.ctx, colleague, id, b.cms(key, "Dear all,"))
	b.refused(err, fault.CertificateOfAnother)
	require.Empty(t, b.state(id).Signatures)
	_, err = b.SignDocument(b.ctx, holder, id, b.cms(key, "Dear all,"))
	require.NoError(t, err)
}

func TestWhatForbidsWritingRefusesEachAppendAndLeavesReadingAlone(t *testing.T) {
	var stopped error
	var told []ledger.Appended
	b := newBench(t)
	b.config.Writable = func() error { return stopped }
	b.config.Appended = func(a ledger.Appended) { told = append(told, a) }
	var err error
	b.Ledger, err = ledger.New(b.config)
	require.NoError(t, err)
	id := b.draft()
	require.NotEmpty(t, told)
	last := told[len(told)-1]
	require.NoError(t, last.Err)
	require.Equal(t, b.end(), last.Position)
	require.Positive(t, last.Took)
	require.False(t, last.RecordedAt.IsZero())

	describe := func() error {
		_, err := b.DescribeDocument(b.ctx, keyed(b.alpha, "again"), id, document.Details{Kind: document.Letter, Title: "Another letter"})
		return err
	}
	before, count := b.end(), len(told)
	stopped = fault.New(fault.WritingStopped, "the log has stopped")
	b.refused(describe(), fault.WritingStopped)
	require.Equal(t, before, b.end(), "nothing was appended")
	require.Len(t, told, count, "the store was not asked")
	_, err = b.Document(b.ctx, b.alpha, id)
	require.NoError(t, err, "reading goes on")

	stopped = nil
	require.NoError(t, describe())
	stopped = fault.New(fault.WritingStopped, "the log has stopped")
	require.NoError(t, describe(), "what was carried out before is answered as then")
}
