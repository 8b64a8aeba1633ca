package document_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/internal/fault"
)

// rule and tenYears are what the retention of the scenario comes to.
const rule = "document/all/P10Y/ended"

var tenYears = at(4).AddDate(10, 0, 0)

func letter(party string) document.RequestLetter {
	return document.RequestLetter{MediaType: "application/pdf", Size: 900, SHA256: party + "-letter", Stored: party + "-sealed-letter"}
}

func ask(party string, hours int) document.RequestDestruction {
	return document.RequestDestruction{By: by(party), Reason: "not needed any more", Letter: letter(party), Now: at(hours)}
}

func asks(party string, hours int) document.DestructionRequested {
	return document.DestructionRequested{
		Document: doc, Party: party, By: by(party), Reason: "not needed any more", Letter: letter(party), RequestedAt: at(hours),
	}
}

func malware() *fault.Error {
	return fault.New(fault.FileMalware, "the scanner found Eicar-Test-Signature")
}

func refuseFile() document.RefuseFile {
	return document.RefuseFile{By: by(alpha), Name: "virus.pdf", MediaType: "application/pdf", Refusal: malware(), Now: at(1)}
}

func issueCopy(party string) document.IssueCopy {
	return document.IssueCopy{By: by(party), Size: 5000, SHA256: "c09f", Stored: "5ea1ed", Now: at(5)}
}

func orderAfter(now time.Time) document.OrderDestruction {
	until := tenYears
	return document.OrderDestruction{By: by(operator), Basis: document.BasisRetention, RetainedUntil: &until, Rule: rule, Now: now}
}

func orderOnRequest(hours int) document.OrderDestruction {
	return document.OrderDestruction{By: by(operator), Basis: document.BasisRequest, Now: at(hours)}
}

func hashes(files []document.File) []string {
	var list []string
	for _, f := range files {
		list = append(list, f.SHA256)
	}
	return list
}

func TestR_D2_AFileThatWasNotReceivedIsRecordedAndChangesNothingElse(t *testing.T) {
	draft := given(t, withFile...)
	before := draft.State()
	draft.When(refuseFile()).Then(document.FileRefused{
		Document: doc, Sender: alpha, By: by(alpha), Name: "virus.pdf", MediaType: "application/pdf",
		Code: fault.FileMalware, Detail: "the scanner found Eicar-Test-Signature", AttemptedAt: at(1),
	})
	before.FileRefusals, before.FileRefused = 1, true
	require.Equal(t, before, draft.State())
}

func TestR_D2_ARecordOfARefusedFileHasNobodysOwnWordsButItsName(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*document.RefuseFile)
		code   fault.Code
	}{
		"a name that no file may have": {func(c *document.RefuseFile) { c.Name = "a/b.pdf" }, fault.FileInvalid},
		"broken UTF-8":                 {func(c *document.RefuseFile) { c.Name = "a\xff.pdf" }, fault.FileInvalid},
		"words for a media type":       {func(c *document.RefuseFile) { c.MediaType = "text/ivanov-ivan" }, fault.FileInvalid},
		"no reason":                    {func(c *document.RefuseFile) { c.Refusal = nil }, fault.Internal},
	} {
		t.Run(name, func(t *testing.T) {
			wrong := refuseFile()
			c.change(&wrong)
			given(t, created...).When(wrong).ThenRefused(c.code)
		})
	}
}

func TestR_D2_RefusedFilesCannotFillAStream(t *testing.T) {
	draft := given(t, created...)
	for range document.MaxAttempts {
		draft.When(refuseFile())
	}
	require.Equal(t, document.MaxAttempts, draft.State().FileRefusals)
	draft.When(refuseFile()).ThenRefused(fault.Throttled)
	draft.When(document.AttachFile{By: by(alpha), File: file()}).Then(withFile[1])
}

func TestR_D10_ExemplarsAndCopiesAreCountedFromOne(t *testing.T) {
	route := given(t, complete...)
	route.When(document.IssueExemplar{By: by(beta), Now: at(5)}).
		Then(document.ExemplarIssued{Document: doc, Party: beta, By: by(beta), Exemplar: 1, IssuedAt: at(5)})
	route.When(document.IssueExemplar{By: by(alpha), Now: at(6)}).
		Then(document.ExemplarIssued{Document: doc, Party: alpha, By: by(alpha), Exemplar: 2, IssuedAt: at(6)})
	require.Equal(t, 1, route.State().NextCopy())
	route.When(issueCopy(beta)).
		Then(document.PaperCopyIssued{Document: doc, Party: beta, By: by(beta), Copy: 1, Size: 5000, SHA256: "c09f", Stored: "5ea1ed", IssuedAt: at(5)})
	route.When(issueCopy(alpha))
	require.Equal(t, 2, route.State().Exemplars)
	require.Equal(t, []document.Copy{
		{Number: 1, Size: 5000, SHA256: "c09f", Stored: "5ea1ed", Party: beta, IssuedAt: at(5)},
		{Number: 2, Size: 5000, SHA256: "c09f", Stored: "5ea1ed", Party: alpha, IssuedAt: at(5)},
	}, route.State().Copies)
}

func TestR_D10_IssuedExemplarsAndCopiesCannotFillAStream(t *testing.T) {
	route := given(t, complete...)
	for range document.MaxIssued {
		route.When(document.IssueExemplar{By: by(beta), Now: at(5)}).When(issueCopy(beta))
	}
	route.When(document.IssueExemplar{By: by(beta), Now: at(5)}).ThenRefused(fault.Throttled)
	route.When(issueCopy(beta)).ThenRefused(fault.Throttled)
}

func TestR_G4_NothingIsDestroyedWhileAnyHoldStands(t *testing.T) {
	for name, c := range map[string]struct {
		history []event.Event
		order   document.OrderDestruction
	}{
		"all have asked":      {allAsk, orderOnRequest(20)},
		"retention has ended": {retained, orderAfter(tenYears)},
	} {
		t.Run(name, func(t *testing.T) {
			route := given(t, c.history...)
			route.When(document.PlaceHold{Hold: "h1", By: by(operator), Ground: "dispute 7", Now: at(8)})
			route.When(document.PlaceHold{Hold: "h2", By: by(operator), Ground: "court order", Now: at(9)})
			route.When(document.PlaceHold{Hold: "h2", By: by(operator), Ground: "again", Now: at(10)}).Then()
			route.When(c.order).ThenRefused(fault.HoldInForce)
			route.When(document.LiftHold{Hold: "h1", By: by(operator), Reason: "settled", Now: at(11)}).
				Then(document.HoldLifted{Document: doc, Hold: "h1", By: by(operator), Reason: "settled", LiftedAt: at(11)})
			require.Equal(t, []document.Hold{{ID: "h2", Ground: "court order", PlacedAt: at(9)}}, route.State().Holds)
			route.When(c.order).ThenRefused(fault.HoldInForce)
			route.When(document.LiftHold{Hold: "h1", By: by(operator), Reason: "settled", Now: at(12)}).ThenRefused(fault.HoldUnknown)
			route.When(document.LiftHold{Hold: "h2", By: by(operator), Reason: "", Now: at(12)}).ThenRefused(fault.ReasonMissing)
			route.When(document.LiftHold{Hold: "h2", By: by(operator), Reason: "judged", Now: at(12)})
			require.False(t, route.State().Held())
			require.False(t, route.State().Gone())
			route.When(c.order)
			require.True(t, route.State().Gone())
		})
	}
}

func TestR_G4_AHoldThatWasLiftedIsPlacedAgainAndCountsAgain(t *testing.T) {
	route := given(t, held...).When(document.LiftHold{Hold: "h1", By: by(operator), Reason: "settled", Now: at(6)})
	route.When(document.PlaceHold{Hold: "h1", By: by(operator), Ground: "appeal", Now: at(7)}).
		Then(document.HoldPlaced{Document: doc, Hold: "h1", By: by(operator), Ground: "appeal", PlacedAt: at(7)})
	require.True(t, route.State().Held())
}

func TestR_G4_AHoldNeedsAnIDAndAGround(t *testing.T) {
	for name, c := range map[string]struct {
		hold, ground string
		code         fault.Code
	}{
		"no id":                {"", "dispute", fault.RequestInvalid},
		"a name for an id":     {"Ivanov v. Petrov", "dispute", fault.RequestInvalid},
		"an id without end":    {strings.Repeat("h", 300), "dispute", fault.RequestInvalid},
		"no ground":            {"h1", "", fault.ReasonMissing},
		"a ground of spaces":   {"h1", " \n", fault.ReasonMissing},
		"a ground turned":      {"h1", "a\u202eb", fault.TextCharacter},
		"a ground without end": {"h1", strings.Repeat("ә", document.MaxReasonRunes+1), fault.RequestInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			given(t, complete...).When(document.PlaceHold{Hold: c.hold, By: by(operator), Ground: c.ground, Now: at(5)}).ThenRefused(c.code)
		})
	}
}

func TestR_G4_TheNumberOfHoldsIsBounded(t *testing.T) {
	route := given(t, complete...)
	for i := range document.MaxHolds {
		route.When(document.PlaceHold{Hold: fmt.Sprint(i), By: by(operator), Ground: "dispute", Now: at(5)})
	}
	route.When(document.PlaceHold{Hold: "more", By: by(operator), Ground: "dispute", Now: at(5)}).ThenRefused(fault.Throttled)
}

func TestR_G4_NoDestructionIsProposedWhileAHoldStands(t *testing.T) {
	propose := document.ProposeDestruction{Rule: rule, RetainedUntil: tenYears, Now: tenYears}
	route := given(t, held...)
	route.When(propose).Then()
	route.When(document.LiftHold{Hold: "h1", By: by(operator), Reason: "settled", Now: at(6)})
	route.When(propose).Then(retained[10])
	route.When(propose).Then()
	longer := propose
	longer.RetainedUntil, longer.Now = tenYears.AddDate(5, 0, 0), tenYears.AddDate(5, 0, 0)
	route.When(longer).Then(document.DestructionProposed{Document: doc, Rule: rule, RetainedUntil: longer.RetainedUntil, ProposedAt: longer.Now})
	renamed := longer
	renamed.Rule = "document/contract/P15Y/ended"
	route.When(renamed).Then(document.DestructionProposed{Document: doc, Rule: renamed.Rule, RetainedUntil: longer.RetainedUntil, ProposedAt: longer.Now})
}

func TestR_G5_ADocumentIsDestroyedOnRequestOnceAllWhoSignedHaveAsked(t *testing.T) {
	route := given(t, complete...)
	route.When(orderOnRequest(5)).ThenRefused(fault.DestructionState)
	route.When(ask(beta, 5)).Then(asks(beta, 5))
	route.When(orderOnRequest(5)).ThenRefused(fault.DestructionState)
	route.When(ask(alpha, 6)).Then(asks(alpha, 6))
	route.When(orderOnRequest(6)).ThenRefused(fault.ConsentMissing)
	_, err := document.Decide(route.State(), orderOnRequest(6))
	require.ErrorContains(t, err, "1 of those")
	route.When(ask(delta, 7)).ThenRefused(fault.NotAParty)
	route.When(ask(alpha, 7)).ThenRefused(fault.AlreadyDone)
	route.When(ask(gamma, 7)).Then(asks(gamma, 7))
	require.Equal(t, []document.Request{
		{Party: beta, At: at(5), Letter: letter(beta)}, {Party: alpha, At: at(6), Letter: letter(alpha)}, {Party: gamma, At: at(7), Letter: letter(gamma)},
	}, route.State().Requests)
	route.When(orderOnRequest(8)).Then(document.DestructionOrdered{
		Document: doc, By: by(operator), Basis: document.BasisRequest, Requests: []string{beta, alpha, gamma}, OrderedAt: at(8),
	})
	require.True(t, route.State().Gone())
	require.Nil(t, route.State().DestroyedAt)
	route.When(orderOnRequest(9)).Then()
	route.When(orderAfter(tenYears)).ThenRefused(fault.OriginalNone)
	route.When(document.MarkDestroyed{Now: at(9)}).Then(destroyed[14])
	route.When(document.MarkDestroyed{Now: at(10)}).Then()
	require.Equal(t, at(9), *route.State().DestroyedAt)
}

func TestR_G5_ARequestNeedsAReason(t *testing.T) {
	for reason, code := range map[string]fault.Code{
		"": fault.ReasonMissing, "\t": fault.ReasonMissing, "a\u202eb": fault.TextCharacter,
		strings.Repeat("ә", document.MaxReasonRunes+1): fault.RequestInvalid,
	} {
		wrong := ask(alpha, 5)
		wrong.Reason = reason
		given(t, complete...).When(wrong).ThenRefused(code)
	}
}

func TestR_G5_WhoseSignatureFellIsAskedToo(t *testing.T) {
	route := given(t, lostInside...)
	require.Equal(t, []string{alpha, beta}, route.State().Signatories())
	route.When(document.Revoke{By: by(alpha), Reason: "key stolen", Now: at(5)}).When(ask(alpha, 6))
	route.When(orderOnRequest(7)).ThenRefused(fault.ConsentMissing)
	route.When(ask(beta, 7)).When(orderOnRequest(8))
	require.True(t, route.State().Gone())
}

func TestR_G5_ADraftIsDestroyedOnItsSendersRequestAlone(t *testing.T) {
	draft := given(t, withFile...).When(ask(alpha, 1)).Then(asks(alpha, 1))
	draft.When(orderOnRequest(2)).Then(document.DestructionOrdered{
		Document: doc, By: by(operator), Basis: document.BasisRequest, Requests: []string{alpha}, OrderedAt: at(2),
	})
	draft.When(send()).ThenRefused(fault.OriginalNone)
}

func TestR_G5_SendingADraftEndsTheRequestToDestroyIt(t *testing.T) {
	route := given(t, withFile...).When(ask(alpha, 0)).When(send())
	require.Empty(t, route.State().Requests)
	route.When(orderOnRequest(2)).ThenRefused(fault.DocumentState)
	route.When(document.Revoke{By: by(alpha), Reason: "never mind", Now: at(2)}).When(orderOnRequest(3)).ThenRefused(fault.DestructionState)
}

func TestR_G3_DestructionAfterRetentionNeedsAProposalAndTheEndAsItIsNow(t *testing.T) {
	given(t, complete...).When(orderAfter(tenYears)).ThenRefused(fault.DestructionState)
	route := given(t, retained...)
	// Rules may have become longer since the proposal.
	longer, never, untold := orderAfter(tenYears), orderAfter(tenYears), orderAfter(tenYears)
	until := tenYears.AddDate(5, 0, 0)
	longer.RetainedUntil, never.RetainedUntil, untold.RetainedUntil = &until, nil, &time.Time{}
	for _, order := range []document.OrderDestruction{longer, never, untold} {
		route.When(order).ThenRefused(fault.RetentionRunning)
	}
	route.When(document.ProposeDestruction{Rule: rule, Now: tenYears}).ThenRefused(fault.RetentionRunning)
	basisless := orderAfter(tenYears)
	basisless.Basis = "tidiness"
	route.When(basisless).ThenRefused(fault.RequestInvalid)
	route.When(orderAfter(tenYears)).Then(document.DestructionOrdered{
		Document: doc, By: by(operator), Basis: document.BasisRetention, Rule: rule, RetainedUntil: &tenYears, OrderedAt: tenYears,
	})
	route.When(orderAfter(tenYears)).Then()
	route.When(orderOnRequest(9)).ThenRefused(fault.OriginalNone)
}

func TestR_G3_TheEndOfTheRouteIsKnownAndARevocationMovesIt(t *testing.T) {
	for name, c := range map[string]struct {
		history []event.Event
		want    time.Time
	}{
		"signed":   {complete, at(4)},
		"revoked":  {revoked, at(5)},
		"rejected": {rejected, at(5)},
		"expired":  {expired, at(49)},
	} {
		t.Run(name, func(t *testing.T) {
			state := given(t, c.history...).State()
			require.Equal(t, c.want, *state.EndedAt)
			require.Equal(t, c.want, *state.LastRecorded)
			require.Equal(t, at(2), *state.LastDelivery)
		})
	}
	require.Nil(t, given(t, byBeta...).State().EndedAt)
	require.Nil(t, given(t, withFile...).State().LastRecorded)
	route := given(t, consented...).When(document.Consent{By: by(gamma), Now: at(100)})
	require.Equal(t, at(100), *route.State().EndedAt)
	require.Equal(t, at(4), *route.State().CompletedAt)
}

func TestR_G3_WhatIsDoneAboutKeepingDoesNotProlongKeeping(t *testing.T) {
	route := given(t, complete...)
	route.When(document.PlaceHold{Hold: "h1", By: by(operator), Ground: "dispute", Now: at(1000)})
	route.When(document.LiftHold{Hold: "h1", By: by(operator), Reason: "settled", Now: at(1001)})
	route.When(ask(alpha, 1002))
	route.When(document.ProposeDestruction{Rule: rule, RetainedUntil: tenYears, Now: tenYears.AddDate(1, 0, 0)})
	require.Equal(t, at(4), *route.State().LastRecorded)
	route.When(document.View{By: by(delta), Now: at(2000)})
	require.Equal(t, at(2000), *route.State().LastRecorded)
	route.When(document.NoteCertificate{State: reported("n2", 3), Now: at(1500)})
	require.Equal(t, at(2000), *route.State().LastRecorded, "a clock that went back makes nothing shorter")
}

// keyless returns an event as it is read once the document's key is destroyed:
// every field that is sealed has its zero value.
func keyless(e event.Event) event.Event {
	copied := reflect.New(reflect.TypeOf(e)).Elem()
	copied.Set(reflect.ValueOf(e))
	empty(copied)
	return copied.Interface().(event.Event)
}

func empty(v reflect.Value) {
	if v.Kind() != reflect.Struct {
		return
	}
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if _, sealed := field.Tag.Lookup("personal"); sealed {
			v.Field(i).SetZero()
		} else if field.IsExported() {
			empty(v.Field(i))
		}
	}
}

func fold(history []event.Event, read func(event.Event) event.Event) document.State {
	var s document.State
	for _, e := range history {
		s = document.Evolve(s, read(e))
	}
	return s
}

func whole(e event.Event) event.Event { return e }

func TestR_B4_WithoutTheKeyTheEventsAddUpToTheSameWithoutTheWords(t *testing.T) {
	for _, situation := range situations() {
		t.Run(situation.Name, func(t *testing.T) {
			with, without := fold(situation.History, whole), fold(situation.History, keyless)
			if with.Gone() {
				require.Equal(t, with, without, "from the order on nobody is shown the words, key or no key")
				text, err := json.Marshal(with)
				require.NoError(t, err)
				for _, words := range []string{"Supply contract", "contract.pdf", "125000000", "wrong price", "both agree", "dispute 7", "it was stolen"} {
					require.NotContains(t, string(text), words)
				}
				return
			}
			require.Equal(t, hashes(with.Files), hashes(without.Files))
			require.Equal(t, with.Status, without.Status)
			require.Equal(t, with.Parties, without.Parties)
			require.Equal(t, with.EndedAt, without.EndedAt)
			for _, c := range cases() {
				// Files of a draft are found by their names; nothing else is.
				if _, byName := c.Command.(document.RemoveFile); byName {
					continue
				}
				_, wanted := document.Decide(with, c.Command)
				_, err := document.Decide(without, c.Command)
				require.Equal(t, fault.CodeOf(wanted), fault.CodeOf(err), c.Name)
			}
		})
	}
}

func attached(name, hash, replaces string) document.FileAttached {
	return document.FileAttached{Document: doc, Sender: alpha, By: by(alpha), File: document.File{Name: name, SHA256: hash}, Replaces: replaces}
}

func removed(name, hash string) document.FileRemoved {
	return document.FileRemoved{Document: doc, Sender: alpha, By: by(alpha), Name: name, SHA256: hash}
}

func TestR_B4_FilesWithoutNamesStayApart(t *testing.T) {
	history := slices.Concat(created, []event.Event{
		attached("a", "1", ""), attached("b", "2", ""), attached("c", "1", ""), attached("a", "3", "1"), attached("b", "2", "2"),
		attached("d", "4", ""), removed("d", "4"),
	})
	with, without := fold(history, whole), fold(history, keyless)
	require.ElementsMatch(t, []string{"1", "2", "3"}, hashes(with.Files))
	require.ElementsMatch(t, hashes(with.Files), hashes(without.Files))
}

func TestR_D11_WhatIsDestroyedIsIssuedToNobody(t *testing.T) {
	for _, history := range [][]event.Event{ordered, destroyed} {
		route := given(t, history...)
		require.True(t, route.State().CanSee(beta), "that it was there is no secret to its parties")
		route.When(document.IssueExemplar{By: by(beta), Now: at(10)}).ThenRefused(fault.OriginalNone)
		route.When(issueCopy(beta)).ThenRefused(fault.OriginalNone)
		route.When(document.NoteCertificate{State: reported("n2", 3), Now: at(10)}).Then()
	}
}
