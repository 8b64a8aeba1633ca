package retention

import (
	"regexp"
	"strconv"
	"time"

	"dalel/internal/fault"
)

// maxYears is how long a period may be. What is locked for longer by a slip of
// the finger is locked for good.
const maxYears = 100

// Period is a length of time in the calendar. The zero Period is none.
type Period struct{ Years, Months, Days int }

var periodPattern = regexp.MustCompile(`^P(?:([1-9]\d{0,4})Y)?(?:([1-9]\d{0,4})M)?(?:([1-9]\d{0,4})D)?$`)

// ParsePeriod reads a date period of ISO 8601, such as P10Y or P1Y6M15D.
// Weeks, times, fractions, zeros and signs are not taken, nor is more than
// 100 years: config.invalid.
func ParsePeriod(text string) (Period, error) {
	parts := periodPattern.FindStringSubmatch(text)
	if parts == nil || text == "P" {
		return Period{}, fault.New(fault.ConfigInvalid, "a period is written PnYnMnD, such as P10Y, P6M or P30D")
	}
	var p Period
	for i, field := range []*int{&p.Years, &p.Months, &p.Days} {
		if parts[i+1] != "" {
			// The pattern leaves nothing that could fail.
			*field, _ = strconv.Atoi(parts[i+1])
		}
	}
	if err := p.check(); err != nil {
		return Period{}, err
	}
	return p, nil
}

func (p Period) check() error {
	origin := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	const limit = 99_999
	switch {
	case min(p.Years, p.Months, p.Days) < 0 || max(p.Years, p.Months, p.Days) > limit || p == Period{}:
		return fault.New(fault.ConfigInvalid, "a period has years, months or days, and none of them below zero")
	case p.After(origin).After(origin.AddDate(maxYears, 0, 0)):
		return fault.New(fault.ConfigInvalid, "a period has %d years at most", maxYears)
	}
	return nil
}

// String returns the period as ParsePeriod reads it, "P0D" for none.
func (p Period) String() string {
	if p == (Period{}) {
		return "P0D"
	}
	text := "P"
	for _, part := range []struct {
		n    int
		unit string
	}{{p.Years, "Y"}, {p.Months, "M"}, {p.Days, "D"}} {
		if part.n != 0 {
			text += strconv.Itoa(part.n) + part.unit
		}
	}
	return text
}

// MarshalText implements encoding.TextMarshaler by String.
func (p Period) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler by ParsePeriod.
func (p *Period) UnmarshalText(text []byte) error {
	parsed, err := ParsePeriod(string(text))
	if err == nil {
		*p = parsed
	}
	return err
}

// After returns the moment at which the period has passed since a moment, in
// UTC. What began later never ends before; see the package's page for days
// that a month does not have.
func (p Period) After(since time.Time) time.Time {
	since = since.UTC()
	year, month, day := since.Date()
	month += time.Month(12*p.Years + p.Months)
	clock := since.Sub(time.Date(since.Year(), since.Month(), day, 0, 0, 0, 0, time.UTC))
	// Day 0 of the next month is the last of this one.
	if last := time.Date(year, month+1, 0, 0, 0, 0, 0, time.UTC).Day(); day > last {
		day, clock = last+1, 0
	}
	return time.Date(year, month, day+p.Days, 0, 0, 0, 0, time.UTC).Add(clock)
}
