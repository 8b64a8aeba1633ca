package retention_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"dalel/domain/document"
	"dalel/domain/retention"
	"dalel/internal/fault"
)

func moment(text string) time.Time {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return at
}

func pointer(text string) *time.Time {
	at := moment(text)
	return &at
}

// contract is a contract sent, delivered, signed and looked at once more.
func contract() document.State {
	return document.State{
		Status: document.Complete, Details: document.Details{Kind: document.Contract},
		SentAt: pointer("2026-03-01T09:00:00Z"), LastDelivery: pointer("2026-03-02T09:00:00Z"),
		EndedAt: pointer("2026-03-03T09:00:00Z"), LastRecorded: pointer("2026-03-04T09:00:00Z"),
	}
}

const standard = `
	{"record": "document", "period": "P10Y", "from": "ended"},
	{"record": "journal", "period": "P10Y", "from": "recorded"},
	{"record": "delivery", "period": "P3Y", "from": "delivered"},
	{"record": "consent", "period": "P5Y", "from": "ended"}`

func rules(more ...string) string {
	return `{"rules": [` + strings.Join(append([]string{standard}, more...), ",") + `]}`
}

func parse(t require.TestingT, text string) retention.Rules {
	parsed, err := retention.Parse([]byte(text))
	require.NoError(t, err)
	return parsed
}

func TestR_G3_TheDefaultRulesAreTheFloors(t *testing.T) {
	require.Equal(t, parse(t, rules()), retention.Default())
	require.Equal(t, retention.Period{Days: 30}, retention.Default().First())
	require.Equal(t, retention.Period{Days: 30}, retention.Rules{}.First())
	require.Equal(t, retention.Period{Years: 1}, parse(t, `{"first": "P1Y", "rules": [`+standard+`]}`).First())
}

func TestR_G3_TheLongestRuleWinsAndTheOthersAreShown(t *testing.T) {
	found, ok := retention.Default().ForDocument(contract(), time.Time{})
	require.True(t, ok)
	require.Equal(t, retention.Retention{
		End: retention.End{
			Rule: "journal/all/P10Y/recorded", Record: retention.Journal, From: retention.Recorded,
			Since: moment("2026-03-04T09:00:00Z"), Until: moment("2036-03-04T09:00:00Z"),
		},
		Others: []retention.End{
			{
				Rule: "document/all/P10Y/ended", Record: retention.Document, From: retention.Ended,
				Since: moment("2026-03-03T09:00:00Z"), Until: moment("2036-03-03T09:00:00Z"),
			},
			{
				Rule: "delivery/all/P3Y/delivered", Record: retention.Delivery, From: retention.Delivered,
				Since: moment("2026-03-02T09:00:00Z"), Until: moment("2029-03-02T09:00:00Z"),
			},
		},
	}, found)
}

func TestR_G3_RulesOfAKindAreAboutThatKindAlone(t *testing.T) {
	configured := parse(t, rules(
		`{"record": "document", "kind": "contract", "period": "P15Y6M", "from": "ended"}`,
		`{"record": "document", "kind": "letter", "period": "P50Y", "from": "sent"}`,
		`{"record": "personal-data", "period": "P75Y", "from": "ended"}`,
	))
	for kind, want := range map[document.Kind]struct{ rule, until string }{
		document.Contract: {"document/contract/P15Y6M/ended", "2041-09-03T09:00:00Z"},
		document.Letter:   {"document/letter/P50Y/sent", "2076-03-01T09:00:00Z"},
		document.Invoice:  {"journal/all/P10Y/recorded", "2036-03-04T09:00:00Z"},
	} {
		s := contract()
		s.Details.Kind = kind
		found, ok := configured.ForDocument(s, time.Time{})
		require.True(t, ok)
		require.Equal(t, want.rule, found.Rule)
		require.Equal(t, moment(want.until), found.Until)
	}
}

func TestR_G3_ALaterRecordKeepsAndAnEarlierOneShortensNothing(t *testing.T) {
	later, ok := retention.Default().ForDocument(contract(), moment("2030-01-01T00:00:00Z"))
	require.True(t, ok)
	require.Equal(t, moment("2040-01-01T00:00:00Z"), later.Until)
	earlier, ok := retention.Default().ForDocument(contract(), moment("2001-01-01T00:00:00Z"))
	require.True(t, ok)
	require.Equal(t, moment("2036-03-04T09:00:00Z"), earlier.Until)
	untold := contract()
	untold.LastRecorded = nil
	found, ok := retention.Default().ForDocument(untold, time.Time{})
	require.True(t, ok)
	require.Equal(t, moment("2036-03-03T09:00:00Z"), found.Until, "the end of the route is a record of the journal itself")
}

func TestR_G3_NoEndIsInSightOfADraftNorOfAnOpenRouteNorWithoutRules(t *testing.T) {
	open := contract()
	open.Status, open.EndedAt = document.Awaiting, nil
	for _, s := range []document.State{{}, {Status: document.Draft}, open} {
		_, ok := retention.Default().ForDocument(s, moment("2026-03-04T09:00:00Z"))
		require.False(t, ok)
	}
	_, ok := retention.Rules{}.ForDocument(contract(), time.Time{})
	require.False(t, ok, "without rules nothing's retention ends")
}

func TestR_G3_ARuleFromWhatNeverHappenedDoesNotApply(t *testing.T) {
	s := contract()
	s.LastDelivery = nil
	found, ok := retention.Default().ForDocument(s, time.Time{})
	require.True(t, ok)
	require.Len(t, found.Others, 1)
	consent, ok := retention.Default().Longest("", retention.Moments{Ended: pointer("2026-03-03T09:00:00Z")}, retention.Consent)
	require.True(t, ok)
	require.Equal(t, moment("2031-03-03T09:00:00Z"), consent.Until)
	_, ok = retention.Default().Longest("", retention.Moments{Sent: pointer("2026-03-03T09:00:00Z")}, retention.Records()...)
	require.False(t, ok)
}

func TestR_G3_RulesThatKeepTooLittleOrSayNothingAreRefused(t *testing.T) {
	without := func(line string) string {
		kept := slices.DeleteFunc(strings.Split(strings.Trim(standard, "\n"), "\n"), func(l string) bool { return strings.Contains(l, line) })
		return `{"rules": [` + strings.TrimSuffix(strings.Join(kept, ""), ",") + `]}`
	}
	for name, text := range map[string]string{
		"nothing":                        ``,
		"null":                           `null`,
		"no rules":                       `{}`,
		"a list":                         `[]`,
		"something after it":             rules() + `{}`,
		"a member unknown":               `{"name": "ours", "rules": [` + standard + `]}`,
		"a member of a rule unknown":     rules(`{"record": "document", "period": "P11Y", "from": "ended", "basis": "us"}`),
		"a member twice":                 `{"first": "P1D", "first": "P2D", "rules": [` + standard + `]}`,
		"no rule for documents":          without(`"document"`),
		"no rule for journals":           without(`"journal"`),
		"no rule for delivery":           without(`"delivery"`),
		"no rule for consent":            without(`"consent"`),
		"documents of one kind only":     strings.Replace(rules(), `{"record": "document",`, `{"record": "document", "kind": "act",`, 1),
		"documents from sending only":    strings.Replace(rules(), `"P10Y", "from": "ended"`, `"P99Y", "from": "sent"`, 1),
		"journals from the end only":     strings.Replace(rules(), `"from": "recorded"`, `"from": "ended"`, 1),
		"documents for nine years":       rules(`{"record": "document", "kind": "act", "period": "P9Y11M", "from": "ended"}`),
		"documents for ten years, days":  rules(`{"record": "document", "kind": "act", "period": "P9Y366D", "from": "ended"}`),
		"journals for nine years":        rules(`{"record": "journal", "period": "P9Y", "from": "recorded"}`),
		"delivery for two years":         rules(`{"record": "delivery", "period": "P35M", "from": "delivered"}`),
		"consent for four years":         rules(`{"record": "consent", "period": "P4Y", "from": "ended"}`),
		"consent from sending":           rules(`{"record": "consent", "period": "P6Y", "from": "sent"}`),
		"consent of contracts":           rules(`{"record": "consent", "kind": "contract", "period": "P6Y", "from": "ended"}`),
		"no such record":                 rules(`{"record": "gossip", "period": "P10Y", "from": "ended"}`),
		"no record":                      rules(`{"period": "P10Y", "from": "ended"}`),
		"no such kind":                   rules(`{"record": "document", "kind": "poem", "period": "P10Y", "from": "ended"}`),
		"no such moment":                 rules(`{"record": "document", "period": "P11Y", "from": "birth"}`),
		"no moment":                      rules(`{"record": "document", "period": "P11Y"}`),
		"no period":                      rules(`{"record": "document", "from": "ended"}`),
		"more than a hundred years":      rules(`{"record": "document", "period": "P101Y", "from": "ended"}`),
		"a hundred years and a day":      rules(`{"record": "document", "period": "P100Y1D", "from": "ended"}`),
		"one rule twice":                 rules(`{"record": "document", "period": "P10Y", "from": "ended"}`),
		"a first period of nothing":      `{"first": "P0D", "rules": [` + standard + `]}`,
		"a first period beyond all":      `{"first": "P99999Y", "rules": [` + standard + `]}`,
		"a first period that is a count": `{"first": 30, "rules": [` + standard + `]}`,
		"rules without end":              rules(slices.Repeat([]string{`{"record": "document", "period": "P11Y", "from": "ended"}`}, retention.MaxRules)...),
		"a text without end":             rules() + strings.Repeat(" ", retention.MaxRulesBytes),
	} {
		t.Run(name, func(t *testing.T) {
			parsed, err := retention.Parse([]byte(text))
			require.Equal(t, fault.ConfigInvalid, fault.CodeOf(err))
			require.Equal(t, retention.Rules{}, parsed)
		})
	}
}

func TestOfTwoEqualEndsTheFirstRulesCounts(t *testing.T) {
	configured := parse(t, rules(`{"record": "document", "period": "P120M", "from": "ended"}`))
	s := contract()
	s.LastRecorded = s.EndedAt
	found, ok := configured.ForDocument(s, time.Time{})
	require.True(t, ok)
	require.Equal(t, "document/all/P10Y/ended", found.Rule)
	require.Len(t, found.Others, 3)
}

func TestEveryRecordAndMomentHasAKeyOfItsOwn(t *testing.T) {
	keys := map[string]bool{}
	for _, record := range retention.Records() {
		keys[record.TitleKey()] = true
	}
	for _, from := range []retention.From{retention.Sent, retention.Ended, retention.Delivered, retention.Recorded} {
		keys[from.ReasonKey()] = true
	}
	require.Len(t, keys, 9)
}

func drawMoment(t *rapid.T, label string) time.Time {
	seconds := rapid.Int64Range(0, 60*366*24*3600).Draw(t, label)
	return time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(seconds) * time.Second)
}

// drawState draws the state of a document that has ended: sent, then ended,
// delivered at any time since, recorded at the end of all or later.
func drawState(t *rapid.T) document.State {
	later := func(than time.Time, label string) time.Time {
		return than.Add(time.Duration(rapid.Int64Range(0, 8*366*24*3600).Draw(t, label)) * time.Second)
	}
	sent := drawMoment(t, "sent")
	ended := later(sent, "ended")
	recorded := ended
	s := document.State{
		Status:  rapid.SampledFrom([]document.Status{document.Complete, document.Refused, document.Withdrawn, document.Lapsed}).Draw(t, "status"),
		Details: document.Details{Kind: rapid.SampledFrom(document.Kinds()).Draw(t, "kind")},
		SentAt:  &sent, EndedAt: &ended,
	}
	if rapid.Bool().Draw(t, "delivered at all") {
		delivered := later(sent, "delivered")
		s.LastDelivery = &delivered
		if delivered.After(recorded) {
			recorded = delivered
		}
	}
	recorded = later(recorded, "recorded")
	s.LastRecorded = &recorded
	return s
}

func drawPeriod(t *rapid.T) retention.Period {
	return retention.Period{
		Years:  rapid.IntRange(0, 60).Draw(t, "years"),
		Months: rapid.IntRange(0, 240).Draw(t, "months"),
		Days:   rapid.IntRange(0, 7000).Draw(t, "days"),
	}
}

func drawRule(t *rapid.T) retention.Rule {
	return retention.Rule{
		Record: rapid.SampledFrom(retention.Records()).Draw(t, "record"),
		Kind:   rapid.SampledFrom(append(document.Kinds(), "", "", "", "")).Draw(t, "of kind"),
		Period: drawPeriod(t),
		From:   rapid.SampledFrom([]retention.From{retention.Sent, retention.Ended, retention.Delivered, retention.Recorded}).Draw(t, "from"),
	}
}

// drawRules draws rules that are valid, and tries each rule by itself.
func drawRules(t *rapid.T) retention.Rules {
	made := retention.Default()
	if rapid.Bool().Draw(t, "stricter basis") {
		var err error
		made, err = retention.New(retention.Period{},
			retention.Rule{Record: retention.Document, Period: retention.Period{Years: 10, Days: rapid.IntRange(0, 99).Draw(t, "more days")}, From: retention.Recorded},
			retention.Rule{Record: retention.Journal, Period: retention.Period{Months: 120}, From: retention.Recorded},
			retention.Rule{Record: retention.Delivery, Period: retention.Period{Years: 3}, From: retention.Recorded},
			retention.Rule{Record: retention.Consent, Period: retention.Period{Years: 5}, From: retention.Recorded})
		require.NoError(t, err)
	}
	for range rapid.IntRange(0, 8).Draw(t, "rules") {
		if more, err := retention.New(made.First(), append(made.List(), drawRule(t))...); err == nil {
			made = more
		}
	}
	return made
}

func TestR_G3_WhateverTheRulesTheLongestWinsAndNoneIsBelowAFloor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		made, s := drawRules(t), drawState(t)
		found, ok := made.ForDocument(s, time.Time{})
		require.True(t, ok)
		for _, other := range found.Others {
			require.False(t, other.Until.After(found.Until))
		}
		applying := 0
		for _, rule := range made.List() {
			if rule.Kind != "" && rule.Kind != s.Details.Kind || rule.Record == retention.Consent || rule.Record == retention.PersonalData {
				continue
			}
			since := map[retention.From]*time.Time{
				retention.Sent: s.SentAt, retention.Ended: s.EndedAt, retention.Delivered: s.LastDelivery, retention.Recorded: s.LastRecorded,
			}[rule.From]
			if since == nil {
				continue
			}
			applying++
			require.False(t, rule.Period.After(*since).After(found.Until), rule.ID())
			require.True(t, found.Rule == rule.ID() || slices.ContainsFunc(found.Others, func(e retention.End) bool { return e.Rule == rule.ID() }))
		}
		require.Equal(t, applying, len(found.Others)+1)

		require.False(t, found.Until.Before(s.EndedAt.AddDate(10, 0, -1)), "R-G3: documents for ten years")
		require.False(t, found.Until.Before(retention.Period{Years: 10}.After(*s.EndedAt)))
		require.False(t, found.Until.Before(retention.Period{Years: 10}.After(*s.LastRecorded)), "R-G3: journals for ten years")
		if s.LastDelivery != nil {
			require.False(t, found.Until.Before(retention.Period{Years: 3}.After(*s.LastDelivery)), "R-G3: delivery facts for three years")
		}
	})
}

func TestR_G3_AFurtherRuleOrALaterMomentNeverShortens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		made, s := drawRules(t), drawState(t)
		before, ok := made.ForDocument(s, time.Time{})
		require.True(t, ok)
		if more, err := retention.New(made.First(), slices.Insert(made.List(), rapid.IntRange(0, len(made.List())).Draw(t, "place"), drawRule(t))...); err == nil {
			after, ok := more.ForDocument(s, time.Time{})
			require.True(t, ok)
			require.False(t, after.Until.Before(before.Until))
		}
		delay := time.Duration(rapid.Int64Range(0, 400*24*3600).Draw(t, "delay")) * time.Second
		revoked := s.EndedAt.Add(delay)
		s.EndedAt = &revoked
		after, ok := made.ForDocument(s, drawMoment(t, "record"))
		require.True(t, ok)
		require.False(t, after.Until.Before(before.Until))
	})
}

func TestRulesAreReadAsTheyAreWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		made := drawRules(t)
		text, err := json.Marshal(made)
		require.NoError(t, err)
		require.Equal(t, made, parse(t, string(text)))
	})
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(rules()))
	f.Add([]byte(rules(`{"record": "personal-data", "period": "P1D", "from": "recorded"}`)))
	f.Fuzz(func(t *testing.T, text []byte) {
		made, err := retention.Parse(text)
		if err != nil {
			require.Equal(t, fault.ConfigInvalid, fault.CodeOf(err))
			return
		}
		again, err := json.Marshal(made)
		require.NoError(t, err)
		require.Equal(t, made, parse(t, string(again)))
		found, ok := made.ForDocument(contract(), time.Time{})
		require.True(t, ok)
		require.False(t, found.Until.Before(moment("2036-03-04T09:00:00Z")))
	})
}

func ExampleRules_ForDocument() {
	ended := time.Date(2028, 2, 29, 12, 0, 0, 0, time.UTC)
	kept, _ := retention.Default().ForDocument(document.State{EndedAt: &ended}, time.Time{})
	fmt.Println(kept.Rule, kept.Until)
	// Output: document/all/P10Y/ended 2038-03-01 00:00:00 +0000 UTC
}
