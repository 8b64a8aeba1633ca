// Package retention says for how long things are kept (R-G3): rules as data,
// and what they come to for one document. It is pure, and it destroys nothing:
// that is ordered on a document whose retention has ended (package document).
//
// A [Rule] says from which moment, and for which period, a kind of record is
// kept. Of all rules that apply to a document the one that lasts longest wins;
// so a further rule only ever makes something last longer. An operator's rules
// are JSON:
//
//	{
//	  "first": "P30D",
//	  "rules": [
//	    {"record": "document", "period": "P10Y", "from": "ended"},
//	    {"record": "document", "kind": "contract", "period": "P15Y", "from": "ended"},
//	    {"record": "journal", "period": "P10Y", "from": "recorded"},
//	    {"record": "delivery", "period": "P3Y", "from": "delivered"},
//	    {"record": "consent", "period": "P5Y", "from": "ended"}
//	  ]
//	}
//
// "kind" is one of a document's kinds, and left out for all. "period" is a
// date period of ISO 8601: PnYnMnD, n without leading zeros, at least one of
// the three, 100 years in all at most. "first" is for how long an upload is
// locked before anything else is known of it; it may be left out for P30D.
//
// # Floors
//
// [Parse] refuses rules by which anything could be kept for less than R-G3
// asks. A period of less than the floor is refused, counted in years and
// months, since days are not a fixed part of a year; and each record with a
// floor has a rule for all kinds, from one of these moments:
//
//	| record        | floor    | from                |
//	| ------------- | -------- | ------------------- |
//	| document      | 10 years | ended, recorded     |
//	| journal       | 10 years | recorded            |
//	| delivery      | 3 years  | delivered, recorded |
//	| consent       | 5 years  | ended, recorded     |
//	| personal-data | none     |                     |
//
// # The calendar
//
// Periods are added to moments in UTC, with the time of the day. Kazakhstan is
// five hours ahead of it, so a page that shows the day alone may show the next
// one; what counts is the moment. Where the month has no such day (29 February
// and a year, 31 January and a month) the period ends with the month's last
// day, that is at midnight before the first of the next: never early, and
// nothing that began later ends before. Days are added last.
package retention
