package document_test

import (
	"bytes"
	"flag"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/domain/event/eventtest"
	"dalel/domain/signature"
	"dalel/internal/fault"
)

var update = flag.Bool("update", false, "write the table of the package's documentation anew")

// The parties of every scenario, and the one document.
const (
	alpha    = "alpha"    // the sender
	beta     = "beta"     // signs first
	gamma    = "gamma"    // approves after beta
	delta    = "delta"    // reads
	stranger = "stranger" // no party at all
	operator = "operator"
	doc      = "doc"
	fileHash = "f11e"
	betaKey  = "beta-certificate"
)

var (
	start    = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	deadline = start.Add(48 * time.Hour)
	number   = mustNumber()
)

func mustNumber() string {
	n, err := document.NewNumber(bytes.NewReader(make([]byte, 16)))
	if err != nil {
		panic(err)
	}
	return n
}

func at(hours int) time.Time { return start.Add(time.Duration(hours) * time.Hour) }

func by(participant string) event.By { return event.By{Participant: participant} }

func details() document.Details {
	return document.Details{Kind: document.Contract, Title: "Supply contract", Date: "2026-03-01", Sum: &document.Sum{Minor: "125000000", Currency: "KZT"}}
}

func file() document.File {
	return document.File{Name: "contract.pdf", MediaType: "application/pdf", Size: 1000, SHA256: fileHash}
}

func recipients() []document.Recipient {
	return []document.Recipient{
		{Participant: beta, Role: document.RoleSign, Method: document.MethodCertificate, Order: 1, Deadline: &deadline},
		{Participant: gamma, Role: document.RoleApprove, Order: 2},
		{Participant: delta, Role: document.RoleRead, Order: 1},
	}
}

func send() document.Send {
	return document.Send{
		By: by(alpha), SenderSigns: true, Recipients: recipients(), Now: at(1),
		Known: map[string]bool{beta: true, gamma: true, delta: true},
	}
}

// decide is document.Decide, whose every event must be one that whoever checks
// a document's events later finds possible.
func decide(s document.State, c document.Command) ([]event.Event, error) {
	happened, err := document.Decide(s, c)
	if err == nil {
		err = document.CheckFollow(s, happened)
	}
	return happened, err
}

func TestR_M2_EveryEventOfADocumentHasARuleOfWhatItMayFollowOn(t *testing.T) {
	codec, err := event.NewCodec(document.Events())
	require.NoError(t, err)
	types := codec.TypesOn(document.Category)
	for _, d := range document.Events() {
		if !slices.Contains(types, d.Zero.EventType()) {
			continue
		}
		for _, s := range []document.State{{}, {ID: doc, Status: document.Draft}} {
			err := document.Follows(s, d.Zero)
			require.NotErrorIs(t, err, document.ErrForeign, "%s", d.Zero.EventType())
		}
	}
	require.ErrorIs(t, document.Follows(document.State{Status: document.Draft}, document.NumberClaimed{}), document.ErrForeign)
}

func verdict(status signature.Status) signature.Verdict {
	return signature.Verdict{Status: status, At: at(3), Signers: []signature.SignerVerdict{{
		Status: status, Certificate: betaKey, Algorithm: "Ed25519", Reasons: []signature.Reason{{Code: "some.reason", Detail: "why"}},
	}}}
}

func signatures(status signature.Status) []document.FileSignature {
	return []document.FileSignature{{File: fileHash, CMS: "c35", Verdict: verdict(status)}}
}

func sign(party string, hours int) document.Sign {
	return document.Sign{
		By: by(party), Method: document.MethodCertificate, Certificate: party + "-certificate",
		Signatures: signatures(signature.Valid), Number: number, Now: at(hours),
	}
}

func signed(party string, hours int) document.Signed {
	return document.Signed{
		Document: doc, Party: party, By: by(party), Method: document.MethodCertificate,
		ReceivedAt: at(hours), SignedAt: at(hours), Certificate: party + "-certificate", Signatures: signatures(signature.Valid),
	}
}

func delivered(party string) document.Delivered {
	return document.Delivered{Document: doc, Recipient: party, DeliveredAt: at(2)}
}

// The histories that lead to each state.
var (
	created    = []event.Event{document.Created{Document: doc, Sender: alpha, By: by(alpha), Details: details()}}
	withFile   = append(created[:1:1], document.FileAttached{Document: doc, Sender: alpha, By: by(alpha), File: file()})
	sent       = append(withFile[:2:2], document.Sent{Document: doc, Sender: alpha, By: by(alpha), SenderSigns: true, Recipients: recipients(), SentAt: at(1)})
	bySender   = append(sent[:3:3], signed(alpha, 2), delivered(beta), delivered(delta))
	byBeta     = append(bySender[:6:6], signed(beta, 3), delivered(gamma))
	complete   = append(byBeta[:8:8], document.Approved{Document: doc, Party: gamma, By: by(gamma), ApprovedAt: at(4)}, document.Completed{Document: doc, Number: number, CompletedAt: at(4)})
	proposed   = append(complete[:10:10], document.RevocationProposed{Document: doc, Party: alpha, By: by(alpha), Reason: "both agree", ProposedAt: at(5)})
	consented  = append(proposed[:11:11], document.RevocationConsented{Document: doc, Party: beta, By: by(beta), ConsentedAt: at(6)})
	revoked    = append(bySender[:6:6], document.Revoked{Document: doc, Party: alpha, By: by(alpha), Reason: "wrong price", RevokedAt: at(5)})
	rejected   = append(bySender[:6:6], document.Rejected{Document: doc, Party: beta, By: by(beta), Reason: "wrong price", RejectedAt: at(5)})
	expired    = append(bySender[:6:6], document.Expired{Document: doc, Parties: []string{beta}, Deadline: deadline, ExpiredAt: at(49)})
	doubted    = append(byBeta[:8:8], document.SignaturesDoubted{Document: doc, Notice: "n1", Certificate: betaKey, CompromisedFrom: at(2), Affected: []string{beta}, MarkedAt: at(4)})
	lostInside = append(doubted[:9:9], document.SignatureDecided{Document: doc, By: by(operator), Signature: 2, Party: beta, Certificate: betaKey, Notices: []string{"n1"}, Ruling: document.RulingLost, Ground: "it was stolen", DecidedAt: at(5)})
	held       = append(complete[:10:10], document.HoldPlaced{Document: doc, Hold: "h1", By: by(operator), Ground: "dispute 7", PlacedAt: at(5)})
	senderAsks = append(complete[:10:10], asks(alpha, 5))
	allAsk     = append(senderAsks[:11:11], asks(beta, 6), asks(gamma, 7))
	retained   = append(complete[:10:10], document.DestructionProposed{Document: doc, Rule: rule, RetainedUntil: tenYears, ProposedAt: tenYears})
	ordered    = append(allAsk[:13:13], document.DestructionOrdered{Document: doc, By: by(operator), Basis: document.BasisRequest, Requests: []string{alpha, beta, gamma}, OrderedAt: at(8)})
	destroyed  = append(ordered[:14:14], document.Destroyed{Document: doc, DestroyedAt: at(9)})
)

func situations() []eventtest.Situation {
	return []eventtest.Situation{
		{Name: "does not exist"},
		{Name: "draft", History: created},
		{Name: "draft with a file", History: withFile},
		{Name: "sender's turn", History: sent},
		{Name: "signer's turn", History: bySender},
		{Name: "approver's turn", History: byBeta},
		{Name: "approver's turn, in doubt", History: doubted},
		{Name: "signer's turn again, it lost its force", History: lostInside},
		{Name: "signed", History: complete},
		{Name: "revocation proposed", History: proposed},
		{Name: "one consented", History: consented},
		{Name: "revoked", History: revoked},
		{Name: "rejected", History: rejected},
		{Name: "expired", History: expired},
		{Name: "signed, held", History: held},
		{Name: "sender asked to destroy", History: senderAsks},
		{Name: "all asked to destroy", History: allAsk},
		{Name: "destruction proposed", History: retained},
		{Name: "destruction ordered", History: ordered},
		{Name: "destroyed", History: destroyed},
	}
}

type commandCase = eventtest.Case[document.Command]

func cases() []commandCase {
	late := sign(beta, 50)
	foreign := sign(beta, 3)
	foreign.Signatures = signatures(signature.Invalid)
	untold := sign(beta, 3)
	untold.Signatures = signatures(signature.Unknown)
	partial := sign(beta, 3)
	partial.Signatures = nil
	suspended := sign(beta, 3)
	suspended.Objection = fault.New(fault.CertificateSuspended, "suspended")
	byCode := sign(beta, 3)
	byCode.Method = document.MethodCode
	note := document.NoteCertificate{State: reported("n2", 3), Now: at(7)}
	harmless := document.NoteCertificate{State: reported("n2", 5), Now: at(7)}
	return []commandCase{
		{Name: "create", Command: document.Create{Document: doc, By: by(alpha), Details: details()}},
		{Name: "describe", Command: document.Describe{By: by(alpha), Details: details()}},
		{Name: "describe, by a recipient", Command: document.Describe{By: by(beta), Details: details()}},
		{Name: "attach a file", Command: document.AttachFile{By: by(alpha), File: file()}},
		{Name: "remove a file", Command: document.RemoveFile{By: by(alpha), Name: "contract.pdf"}},
		{Name: "send", Command: send()},
		{Name: "deliver", Command: document.DeliverDue{Now: at(2)}, MayBeIdle: true},
		{Name: "view, signer", Command: document.View{By: by(beta), Now: at(3)}, MayBeIdle: true},
		{Name: "view, stranger", Command: document.View{By: by(stranger), Now: at(3)}},
		{Name: "acknowledge, reader", Command: document.Acknowledge{By: by(delta), Now: at(3)}},
		{Name: "sign, sender", Command: sign(alpha, 2)},
		{Name: "sign, signer", Command: sign(beta, 3)},
		{Name: "sign, signer too late", Command: late},
		{Name: "sign, not valid", Command: foreign},
		{Name: "sign, cannot tell", Command: untold},
		{Name: "sign, a file missing", Command: partial},
		{Name: "sign, key suspended", Command: suspended},
		{Name: "sign, by code", Command: byCode},
		{Name: "sign, approver", Command: sign(gamma, 3)},
		{Name: "sign, reader", Command: sign(delta, 3)},
		{Name: "sign, stranger", Command: sign(stranger, 3)},
		{Name: "approve, approver", Command: document.Approve{By: by(gamma), Number: number, Now: at(4)}},
		{Name: "approve, signer", Command: document.Approve{By: by(beta), Number: number, Now: at(4)}},
		{Name: "reject, signer", Command: document.Reject{By: by(beta), Reason: "wrong price", Now: at(3)}},
		{Name: "reject, no reason", Command: document.Reject{By: by(beta), Reason: " ", Now: at(3)}},
		{Name: "revoke, sender", Command: document.Revoke{By: by(alpha), Reason: "wrong price", Now: at(5)}},
		{Name: "revoke, signer", Command: document.Revoke{By: by(beta), Reason: "wrong price", Now: at(5)}},
		{Name: "consent, signer", Command: document.Consent{By: by(beta), Now: at(6)}},
		{Name: "consent, approver", Command: document.Consent{By: by(gamma), Now: at(6)}},
		{Name: "consent, stranger", Command: document.Consent{By: by(stranger), Now: at(6)}},
		{Name: "decline, approver", Command: document.Decline{By: by(gamma), Reason: "we need it", Now: at(6)}},
		{Name: "expire, too early", Command: document.Expire{Now: at(3)}, MayBeIdle: true},
		{Name: "expire, deadline passed", Command: document.Expire{Now: at(49)}, MayBeIdle: true},
		{Name: "note the certificate, signed since", Command: note, MayBeIdle: true},
		{Name: "note the certificate, signed before", Command: harmless, MayBeIdle: true},
		{Name: "decide that it lost its force", Command: decideOn(document.RulingLost, reported("n2", 3))},
		{Name: "decide that it stands", Command: decideOn(document.RulingStands, reported("n2", 3))},
		{Name: "decide, no ground", Command: document.DecideSignature{By: by(operator), Signature: 2, Ruling: document.RulingLost, Ground: " ", State: reported("n2", 3), Now: at(8)}},
		{Name: "decide, nobody disputes it", Command: decideOn(document.RulingLost, reported("n2", 5))},
		{Name: "refuse a file", Command: refuseFile()},
		{Name: "refuse a file of a recipient", Command: document.RefuseFile{By: by(beta), Name: "a.pdf", MediaType: "application/pdf", Refusal: malware(), Now: at(1)}},
		{Name: "issue an exemplar, sender", Command: document.IssueExemplar{By: by(alpha), Now: at(5)}},
		{Name: "issue an exemplar, signer", Command: document.IssueExemplar{By: by(beta), Now: at(5)}},
		{Name: "issue an exemplar, stranger", Command: document.IssueExemplar{By: by(stranger), Now: at(5)}},
		{Name: "issue a paper copy, reader", Command: issueCopy(delta)},
		{Name: "place a hold", Command: document.PlaceHold{Hold: "h1", By: by(operator), Ground: "dispute 7", Now: at(5)}, MayBeIdle: true},
		{Name: "place a hold, no ground", Command: document.PlaceHold{Hold: "h2", By: by(operator), Ground: " ", Now: at(5)}},
		{Name: "lift the hold", Command: document.LiftHold{Hold: "h1", By: by(operator), Reason: "settled", Now: at(6)}},
		{Name: "ask to destroy, sender", Command: ask(alpha, 5)},
		{Name: "ask to destroy, signer", Command: ask(beta, 6)},
		{Name: "ask to destroy, reader", Command: ask(delta, 6)},
		{Name: "propose to destroy, too early", Command: document.ProposeDestruction{Rule: rule, RetainedUntil: tenYears, Now: tenYears.Add(-time.Second)}, MayBeIdle: true},
		{Name: "propose to destroy", Command: document.ProposeDestruction{Rule: rule, RetainedUntil: tenYears, Now: tenYears}, MayBeIdle: true},
		{Name: "order on request", Command: document.OrderDestruction{By: by(operator), Basis: document.BasisRequest, Now: at(8)}, MayBeIdle: true},
		{Name: "order after retention", Command: orderAfter(tenYears)},
		{Name: "order before its end", Command: orderAfter(tenYears.Add(-time.Second))},
		{Name: "mark destroyed", Command: document.MarkDestroyed{Now: at(9)}, MayBeIdle: true},
	}
}

func TestEveryCommandInEveryState(t *testing.T) {
	matrix := eventtest.Matrix[document.State, document.Command]{
		Decide: decide, Evolve: document.Evolve, Definitions: document.Events(),
		Situations: situations(), Cases: cases(),
	}
	eventtest.Document(t, "doc.go", "Every command in every state", matrix.Run(t), *update)
}

func given(t testing.TB, history ...event.Event) *eventtest.Scenario[document.State, document.Command] {
	return eventtest.Given(t, decide, document.Evolve, history...)
}

func TestR_D1_ASentDocumentsFilesNeverChange(t *testing.T) {
	given(t, withFile...).
		When(document.AttachFile{By: by(alpha), File: document.File{Name: "contract.pdf", SHA256: "0ther"}}).
		Then(document.FileAttached{Document: doc, Sender: alpha, By: by(alpha), File: document.File{Name: "contract.pdf", SHA256: "0ther"}, Replaces: fileHash})
	given(t, sent...).
		When(document.AttachFile{By: by(alpha), File: file()}).
		ThenRefused(fault.DocumentState)
}

func TestR_D1_TwoFileNamesThatDifferOnlyByCaseAreRefused(t *testing.T) {
	given(t, withFile...).
		When(document.AttachFile{By: by(alpha), File: document.File{Name: "CONTRACT.pdf", SHA256: "0ther"}}).
		ThenRefused(fault.FileInvalid)
}

func TestR_D1_WordsThatNobodyCanReadAreRefusedAndTidyOnesTaken(t *testing.T) {
	for name, change := range map[string]func(*document.Details){
		"control character":         func(d *document.Details) { d.Title = "a\x00b" },
		"zero-width space":          func(d *document.Details) { d.Title = "a\u200bb" },
		"a space that is not plain": func(d *document.Details) { d.Title = "a\u00a0b" },
		"soft hyphen in the number": func(d *document.Details) { d.Number = "1\u00ad2" },
	} {
		t.Run(name, func(t *testing.T) {
			wrong := details()
			change(&wrong)
			given(t).When(document.Create{Document: doc, By: by(alpha), Details: wrong}).ThenRefused(fault.TextCharacter)
		})
	}
	untidy := details()
	untidy.Title, untidy.Number = "Счёт\u00a0и\u0306", "№\u202f7"
	tidy := untidy.Tidy()
	require.Equal(t, "Счёт й", tidy.Title)
	require.Equal(t, "№ 7", tidy.Number)
	given(t).When(document.Create{Document: doc, By: by(alpha), Details: tidy}).
		Then(document.Created{Document: doc, Sender: alpha, By: by(alpha), Details: tidy})
}

func TestR_D1_ASumMayBeOwedBackAndInAnyCurrencyThereIsOrWas(t *testing.T) {
	for _, sum := range []document.Sum{{Minor: "-5", Currency: "KZT"}, {Minor: "-999999999999999999", Currency: "USD"}, {Minor: "0", Currency: "DEM"}, {Minor: "100", Currency: "VES"}} {
		owed := details()
		owed.Sum = &sum
		given(t).When(document.Create{Document: doc, By: by(alpha), Details: owed}).
			Then(document.Created{Document: doc, Sender: alpha, By: by(alpha), Details: owed})
	}
}

func TestR_D1_DetailsThatNoPageCouldShowAreRefused(t *testing.T) {
	for name, change := range map[string]func(*document.Details){
		"unknown kind":       func(d *document.Details) { d.Kind = "poem" },
		"empty title":        func(d *document.Details) { d.Title = "  " },
		"long title":         func(d *document.Details) { d.Title = strings.Repeat("ә", 301) },
		"title not composed": func(d *document.Details) { d.Title = "и\u0306" },
		"invalid UTF-8":      func(d *document.Details) { d.Title = "a\xff" },
		"no such date":       func(d *document.Details) { d.Date = "2026-02-30" },
		"date in words":      func(d *document.Details) { d.Date = "1 March" },
		"nothing owed back":  func(d *document.Details) { d.Sum = &document.Sum{Minor: "-0", Currency: "KZT"} },
		"minus alone":        func(d *document.Details) { d.Sum = &document.Sum{Minor: "-", Currency: "KZT"} },
		"plus":               func(d *document.Details) { d.Sum = &document.Sum{Minor: "+1", Currency: "KZT"} },
		"minus, then a zero": func(d *document.Details) { d.Sum = &document.Sum{Minor: "-01", Currency: "KZT"} },
		"19 digits":          func(d *document.Details) { d.Sum = &document.Sum{Minor: "-1000000000000000000", Currency: "KZT"} },
		"no such currency":   func(d *document.Details) { d.Sum = &document.Sum{Minor: "1", Currency: "TEN"} },
		"the code for none":  func(d *document.Details) { d.Sum = &document.Sum{Minor: "1", Currency: "XXX"} },
		"currency in small":  func(d *document.Details) { d.Sum = &document.Sum{Minor: "1", Currency: "kzt"} },
		"leading zero":       func(d *document.Details) { d.Sum = &document.Sum{Minor: "01", Currency: "KZT"} },
		"no currency":        func(d *document.Details) { d.Sum = &document.Sum{Minor: "1"} },
	} {
		t.Run(name, func(t *testing.T) {
			wrong := details()
			change(&wrong)
			given(t).When(document.Create{Document: doc, By: by(alpha), Details: wrong}).ThenRefused(fault.DocumentInvalid)
		})
	}
}

func TestR_D3_ARouteThatCannotBeWalkedIsRefused(t *testing.T) {
	past := at(0)
	for name, c := range map[string]struct {
		change func(*document.Send)
		code   fault.Code
	}{
		"nobody":                {func(s *document.Send) { s.Recipients = nil }, fault.RouteInvalid},
		"unknown recipient":     {func(s *document.Send) { s.Known[beta] = false }, fault.RecipientUnknown},
		"twice":                 {func(s *document.Send) { s.Recipients[1].Participant = beta }, fault.RouteInvalid},
		"to oneself":            {func(s *document.Send) { s.Recipients[1].Participant = alpha; s.Known[alpha] = true }, fault.RouteInvalid},
		"order zero":            {func(s *document.Send) { s.Recipients[0].Order = 0 }, fault.RouteInvalid},
		"deadline in the past":  {func(s *document.Send) { s.Recipients[0].Deadline = &past }, fault.RouteInvalid},
		"no such role":          {func(s *document.Send) { s.Recipients[0].Role = "admire" }, fault.RouteInvalid},
		"no such method":        {func(s *document.Send) { s.Recipients[0].Method = "wink" }, fault.RouteInvalid},
		"method of a reader":    {func(s *document.Send) { s.Recipients[2].Method = document.MethodCertificate }, fault.RouteInvalid},
		"one-time code (R-E2)":  {func(s *document.Send) { s.Recipients[0].Method = document.MethodCode }, fault.MethodNotOffered},
		"nobody has to sign":    {func(s *document.Send) { s.SenderSigns = false; s.Recipients = s.Recipients[1:] }, fault.RouteInvalid},
		"too many recipients":   {func(s *document.Send) { s.Recipients = make([]document.Recipient, document.MaxRecipients+1) }, fault.RouteInvalid},
		"a deadline in decades": {func(s *document.Send) { far := at(24 * 366 * 20); s.Recipients[0].Deadline = &far }, fault.RouteInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			wrong := send()
			c.change(&wrong)
			given(t, withFile...).When(wrong).ThenRefused(c.code)
		})
	}
}

func TestR_D3_ThoseOfOneOrderActInParallelAndTheNextAfterThem(t *testing.T) {
	parallel := send()
	parallel.SenderSigns = false
	parallel.Recipients = []document.Recipient{
		{Participant: beta, Role: document.RoleSign, Method: document.MethodCertificate, Order: 1},
		{Participant: delta, Role: document.RoleSign, Method: document.MethodCertificate, Order: 1},
		{Participant: gamma, Role: document.RoleSign, Method: document.MethodCertificate, Order: 2},
	}
	route := given(t, withFile...).When(parallel).When(document.DeliverDue{Now: at(2)})
	route.Then(delivered(beta), delivered(delta))
	require.True(t, route.State().IsTurn(beta))
	require.True(t, route.State().IsTurn(delta))
	require.False(t, route.State().IsTurn(gamma))
	require.False(t, route.State().CanSee(gamma), "nobody sees the document before it is delivered")
	route.When(sign(gamma, 3)).ThenRefused(fault.NotAParty)
	route.When(sign(delta, 3)).Then(signed(delta, 3))
	require.False(t, route.State().IsTurn(gamma))
	route.When(sign(beta, 4)).Then(signed(beta, 4))
	require.True(t, route.State().IsTurn(gamma))
	route.When(document.DeliverDue{Now: at(2)}).Then(delivered(gamma))
	route.When(sign(gamma, 5)).Then(signed(gamma, 5), document.Completed{Document: doc, Number: number, CompletedAt: at(5)})
	require.Equal(t, document.Complete, route.State().Status)
}

func TestR_D5_OneRefusalEndsTheRoute(t *testing.T) {
	route := given(t, bySender...).When(document.Reject{By: by(beta), Reason: "wrong price", Now: at(5)})
	route.Then(rejected[6])
	route.When(sign(beta, 6)).ThenRefused(fault.DocumentState)
	route.When(document.Revoke{By: by(alpha), Reason: "never mind", Now: at(6)}).ThenRefused(fault.DocumentState)
}

func TestR_D6_RevocationAfterCompletionNeedsEverybodysConsent(t *testing.T) {
	route := given(t, complete...)
	route.When(document.Revoke{By: by(alpha), Reason: "both agree", Now: at(5)}).Then(proposed[10])
	require.Equal(t, document.Complete, route.State().Status, "a proposal changes nothing yet")
	route.When(document.Consent{By: by(delta), Now: at(6)}).ThenRefused(fault.NotAParty)
	route.When(document.Consent{By: by(beta), Now: at(6)}).Then(consented[11])
	route.When(document.Consent{By: by(beta), Now: at(7)}).ThenRefused(fault.AlreadyDone)
	route.When(document.Consent{By: by(gamma), Now: at(7)}).Then(
		document.RevocationConsented{Document: doc, Party: gamma, By: by(gamma), ConsentedAt: at(7)},
		document.Revoked{Document: doc, Party: alpha, By: by(gamma), Reason: "both agree", AfterCompletion: true, RevokedAt: at(7)})
	require.Equal(t, document.Withdrawn, route.State().Status)
}

func TestR_D6_OneWhoDeclinesEndsTheProposalAndItMayBeMadeAgain(t *testing.T) {
	route := given(t, consented...)
	route.When(document.Decline{By: by(gamma), Reason: "we need it", Now: at(7)})
	require.Nil(t, route.State().Proposal)
	require.Equal(t, document.Complete, route.State().Status)
	route.When(document.Revoke{By: by(alpha), Reason: "please", Now: at(8)})
	require.Empty(t, route.State().Proposal.Consents, "an earlier consent was to an earlier proposal")
}

func TestR_D7_ARecipientGetsItsReceiptOnceItsTurnHasCome(t *testing.T) {
	given(t, sent...).When(document.DeliverDue{Now: at(2)}).Then()
	route := given(t, append(sent[:3:3], signed(alpha, 2))...)
	route.When(document.DeliverDue{Now: at(2)}).Then(delivered(beta), delivered(delta))
	route.When(document.DeliverDue{Now: at(2)}).Then()
}

func TestR_D8_TheNumberComesWithTheLastActAndOnlyThen(t *testing.T) {
	require.Empty(t, given(t, byBeta...).State().Number)
	state := given(t, byBeta...).When(document.Approve{By: by(gamma), Number: number, Now: at(4)}).State()
	require.Equal(t, number, state.Number)
	require.NoError(t, document.CheckNumber(state.Number))
}

func TestR_D8_CheckDigitsFindEveryWrongDigitAndEverySwapOfNeighbours(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		random := rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "random")
		n, err := document.NewNumber(bytes.NewReader(random))
		require.NoError(t, err)
		require.NoError(t, document.CheckNumber(n))
		for i := range n {
			for digit := byte('0'); digit <= '9'; digit++ {
				if wrong := n[:i] + string(digit) + n[i+1:]; wrong != n {
					require.Error(t, document.CheckNumber(wrong), wrong)
				}
			}
			if i > 0 && n[i-1] != n[i] {
				swapped := n[:i-1] + string(n[i]) + string(n[i-1]) + n[i+1:]
				require.Error(t, document.CheckNumber(swapped), swapped)
			}
		}
	})
	for _, wrong := range []string{"", "1", strings.Repeat("x", 20), number + "0", strings.Repeat("0", 20)} {
		require.Equal(t, fault.DocumentInvalid, fault.CodeOf(document.CheckNumber(wrong)), wrong)
	}
}

func TestR_E3_ANegativeCheckIsRecordedAndChangesNothing(t *testing.T) {
	before := given(t, bySender...).State()
	for _, status := range []signature.Status{signature.Invalid, signature.Unknown} {
		attempt := sign(beta, 3)
		attempt.Signatures = signatures(status)
		code := map[signature.Status]fault.Code{signature.Invalid: fault.SignatureInvalid, signature.Unknown: fault.SignatureUnknown}[status]
		happened, err := decide(before, attempt)
		require.NoError(t, err)
		require.Len(t, happened, 1)
		refusal, ok := happened[0].(event.Refusal)
		require.True(t, ok)
		require.Equal(t, code, refusal.Refused().Code)
		require.Equal(t, []fault.Reason{{Code: "some.reason", Detail: "why"}}, refusal.Refused().Reasons)
		after := document.Evolve(before, happened[0])
		require.Equal(t, 1, after.Parties[1].Attempts)
		after.Parties[1].Attempts = 0
		require.Equal(t, before, after)
	}
}

func TestR_E3_RefusedSignaturesCannotFillAStream(t *testing.T) {
	attempt := sign(beta, 3)
	attempt.Signatures = signatures(signature.Invalid)
	route := given(t, bySender...)
	for range document.MaxAttempts {
		route.When(attempt)
	}
	route.When(attempt).ThenRefused(fault.Throttled)
}

func TestADocumentIsSeenByItsSenderAndByThoseItWasDeliveredTo(t *testing.T) {
	state := given(t, bySender...).State()
	for participant, sees := range map[string]bool{alpha: true, beta: true, delta: true, gamma: false, stranger: false, "": false} {
		require.Equal(t, sees, state.CanSee(participant), participant)
	}
	require.False(t, document.State{}.CanSee(""), "what does not exist is seen by nobody")
}

// TestRandomRoutesKeepTheirPromises walks random routes with random commands
// and holds every state against what must always be true.
func TestRandomRoutesKeepTheirPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var state document.State
		terminal := map[document.Status]bool{document.Refused: true, document.Withdrawn: true, document.Lapsed: true}
		all := cases()
		for range rapid.IntRange(1, 40).Draw(t, "length") {
			c := rapid.SampledFrom(all).Draw(t, "command")
			before := state
			happened, err := decide(state, c.Command)
			if err != nil {
				require.NotEqual(t, fault.Internal, fault.CodeOf(err))
				require.Empty(t, happened)
				continue
			}
			for _, e := range happened {
				state = document.Evolve(state, e)
			}
			if before.Status != document.None && before.Status != document.Draft {
				require.Equal(t, hashes(before.Files), hashes(state.Files), "R-D1: files of a sent document")
				require.True(t, state.Gone() || reflect.DeepEqual(before.Files, state.Files), "R-D1: and their names, until it is destroyed")
			}
			if before.Held() {
				require.Equal(t, before.Gone(), state.Gone(), "R-G4: nothing on hold is destroyed")
			}
			if before.Gone() {
				state.DestroyedAt = before.DestroyedAt
				require.Equal(t, before, state, "nothing but its destruction happens to a document that is gone")
			}
			require.Equal(t, terminal[state.Status] || state.Status == document.Complete, state.EndedAt != nil)
			if terminal[before.Status] {
				require.Equal(t, before.Status, state.Status, "an ended route stays ended")
			}
			if before.Number != "" {
				require.Equal(t, before.Number, state.Number, "R-D8: a number is for ever")
			}
			require.Equal(t, state.CompletedAt != nil, state.Number != "")
			require.GreaterOrEqual(t, len(state.Signatures), len(before.Signatures), "no signature is ever taken away")
		}
	})
}

func TestEveryEventThatReliedOnOtherStreamsSaysSo(t *testing.T) {
	relying := 0
	for _, d := range document.Events() {
		_, has := reflect.TypeOf(d.Zero).FieldByName("ReliedOn")
		_, says := d.Zero.(event.Relying)
		require.Equal(t, has, says, d.Zero.EventType())
		if says {
			relying++
		}
	}
	require.GreaterOrEqual(t, relying, 8)
}
