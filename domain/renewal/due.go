package renewal

import (
	"fmt"
	"time"
)

// Stamp is what has to be known of a time stamp to say when it must be renewed.
type Stamp struct {
	// Authority is for people.
	Authority string
	// Time is the token's.
	Time time.Time
	// Until is the nearest end of what it rests on; zero if it is not known.
	Until time.Time
	// Algorithms are those that it rests on.
	Algorithms []Algorithm
}

// Margins of [NextRenewal].
const (
	// Margin is how long before its end a stamp is renewed. An authority may end
	// its service or not answer for long, and then another has to be found, with
	// a contract: half a year is what that takes in an office. Nothing is lost
	// by being early.
	Margin = 180 * 24 * time.Hour
	// Share bounds the margin to this part of the time that the stamp had before
	// it, so that one by a certificate of a year or of a month is not renewed all
	// the time.
	Share = 3
	// Pause is the least time from a stamp to its renewal, for an authority that
	// goes on with a certificate which is about to end, or with an algorithm that
	// has aged: it is asked once a day whether it has a better one.
	Pause = 24 * time.Hour
)

// Due says when a stamp must be renewed and why.
type Due struct {
	At        time.Time
	Authority string
	// Why is for people.
	Why string
}

// NextRenewal returns when the first of some stamps must be renewed: a margin
// before the nearest end of what it rests on, or before one of its algorithms is
// aged; at once (at now) where that has passed. ok is false where nothing that
// is known of them ends.
//
// The margin is [Margin], but no more than a part ([Share]) of the time that
// was left when the stamp was made: of two years it is half a year, of a month
// ten days. And it is never sooner than [Pause] after the stamp.
func NextRenewal(stamps []Stamp, aged Table, now time.Time) (due Due, ok bool) {
	for _, s := range stamps {
		consider := func(end time.Time, format string, args ...any) {
			at := before(s.Time, end)
			if at.Before(now) {
				at = now
			}
			if !ok || at.Before(due.At) {
				due, ok = Due{at, s.Authority, fmt.Sprintf(format, args...)}, true
			}
		}
		if !s.Until.IsZero() {
			consider(s.Until, "a certificate that it rests on ends at %s", s.Until.UTC().Format(time.RFC3339))
		}
		if which, row, ok := aged.First(s.Algorithms); ok {
			consider(row.From, "%s is aged from %s on: %s", which, row.From.UTC().Format(time.DateOnly), row.Why)
		}
	}
	return due, ok
}

// before says when a stamp of one moment must be renewed that holds to another.
func before(stamped, end time.Time) time.Time {
	left := end.Sub(stamped)
	at := end.Add(-min(Margin, max(0, left)/Share))
	if earliest := stamped.Add(Pause); at.Before(earliest) {
		return earliest
	}
	return at
}
