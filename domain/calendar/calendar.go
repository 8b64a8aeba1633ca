// Package calendar counts working days of Kazakhstan (R-I2).
//
// A day is a working day if it is Monday to Friday and no day off. The days
// off of a year come from three places, each with its own standing:
//
//   - National and state holidays (Law 267-II on holidays, articles 2 to 4)
//     are fixed dates. One that falls on a Saturday or Sunday gives the next
//     working day off in its place (article 5).
//   - 7 January (Orthodox Christmas) and the first day of Kurban Ait are days
//     off that give none in their place (Labour Code, article 84). The date
//     of Kurban Ait is announced for each year by the Spiritual
//     Administration of Muslims, and has moved by a day a week before.
//   - The Ministry of Labour may move a day of rest by order (Labour Code,
//     article 85.3). Such orders have come three weeks before the day.
//
// So the calendar is data, and somebody has to confirm it each year. A year
// that is not in the data is calendar.year-unknown: the calendar never
// guesses. A year that follows from the law but whose moon and orders are
// not confirmed yet says so in [Confirmed], and who counts into it should
// count again when it is confirmed.
//
// The calendar is that of the five-day week.
package calendar

import (
	"fmt"
	"slices"
	"time"

	"dalel/internal/fault"
)

// Zone is the time of the whole of Kazakhstan since 1 March 2024: UTC+5
// without summer time. It is fixed here so that nothing depends on a
// machine's time-zone files. For moments before that day it is an hour behind
// the clocks of Almaty and Astana.
func Zone() *time.Location { return time.FixedZone("Asia/Almaty", 5*60*60) }

// DayOff is a day on which nobody is expected to act.
type DayOff struct {
	// Date is the start of the day in [Zone].
	Date time.Time
	// Why is for people: the holiday, what was moved, or the order.
	Why string
}

// holiday is one of the fixed dates, in the years in which it holds.
type holiday struct {
	month time.Month
	day   int
	name  string
	// from and until are the first and last year; 0 is without limit.
	from, until int
	// stays is set where a weekend gives no other day off.
	stays bool
}

// holidays are in the order of the year, which is also the order in which
// days off in place of weekends are given.
func holidays() []holiday {
	return []holiday{
		{month: time.January, day: 1, name: "New Year"},
		{month: time.January, day: 2, name: "New Year"},
		{month: time.January, day: 7, name: "Orthodox Christmas", stays: true},
		{month: time.March, day: 8, name: "International Women's Day"},
		// The Constitution adopted by referendum on 15 March 2026 moved its
		// day (its article 94); first kept in 2027, and 30 August 2026 is a
		// working day no more off (Ministry of Labour, 18 March 2026).
		{month: time.March, day: 15, name: "Constitution Day", from: 2027},
		{month: time.March, day: 21, name: "Nauryz"},
		{month: time.March, day: 22, name: "Nauryz"},
		{month: time.March, day: 23, name: "Nauryz"},
		{month: time.May, day: 1, name: "Unity Day"},
		{month: time.May, day: 7, name: "Defender of the Fatherland Day"},
		{month: time.May, day: 9, name: "Victory Day"},
		{month: time.July, day: 6, name: "Capital Day"},
		{month: time.August, day: 30, name: "Constitution Day", until: 2025},
		{month: time.October, day: 25, name: "Republic Day"},
		{month: time.December, day: 16, name: "Independence Day"},
	}
}

// transfer is an order of the Ministry of Labour.
type transfer struct{ from, to, order string }

// year is what cannot be computed and was looked up.
type year struct {
	// kurbanAit is the first day of Kurban Ait.
	kurbanAit string
	transfers []transfer
	// confirmed is set when the date of Kurban Ait was announced and the
	// orders of the year are known.
	confirmed bool
}

// lookedUp returns the data of a year. To be extended, and to be confirmed,
// every year.
func lookedUp(number int) (year, bool) {
	data, ok := map[int]year{
		2024: {
			// Announced on 7 June 2024; the calendars printed before said 17.
			kurbanAit: "2024-06-16",
			transfers: []transfer{{"2024-05-04", "2024-05-08", "order of 17 April 2024"}},
			confirmed: true,
		},
		2025: {
			kurbanAit: "2025-06-06",
			transfers: []transfer{{"2025-01-05", "2025-01-03", "order of 21 November 2024"}},
			confirmed: true,
		},
		2026: {kurbanAit: "2026-05-27", confirmed: true},
		// By astronomical calculation; a Sunday. No orders yet.
		2027: {kurbanAit: "2027-05-16"},
	}[number]
	return data, ok
}

// Confirmed reports whether the data of a year is final as far as is known.
// The error is calendar.year-unknown.
func Confirmed(number int) (bool, error) {
	data, ok := lookedUp(number)
	if !ok {
		return false, unknown(number)
	}
	return data.confirmed, nil
}

func unknown(number int) error {
	return fault.New(fault.CalendarUnknown, "the year %d is not in the calendar of working days", number)
}

const layout = time.DateOnly

// days has the days of a year that are not as their weekday says.
type days struct {
	off     map[string]string // date to reason
	working map[string]string // a Saturday or Sunday on which people work
}

func (d days) works(date time.Time) bool {
	key := date.Format(layout)
	if _, ok := d.working[key]; ok {
		return true
	}
	_, off := d.off[key]
	return !off && !weekend(date)
}

func weekend(date time.Time) bool {
	return date.Weekday() == time.Saturday || date.Weekday() == time.Sunday
}

func daysOf(number int) (days, error) {
	data, ok := lookedUp(number)
	if !ok {
		return days{}, unknown(number)
	}
	result := days{off: map[string]string{data.kurbanAit: "Kurban Ait"}, working: map[string]string{}}
	var kept []holiday
	for _, h := range holidays() {
		if (h.from == 0 || number >= h.from) && (h.until == 0 || number <= h.until) {
			kept = append(kept, h)
			result.off[date(number, h).Format(layout)] = h.name
		}
	}
	for _, moved := range data.transfers {
		result.working[moved.from] = moved.order
		result.off[moved.to] = fmt.Sprintf("moved from %s by %s", moved.from, moved.order)
	}
	// Only now, with every other day off known, is "the next working day"
	// after a holiday on a weekend known too.
	for _, h := range kept {
		day := date(number, h)
		if h.stays || !weekend(day) {
			continue
		}
		next := day.AddDate(0, 0, 1)
		for !result.works(next) {
			next = next.AddDate(0, 0, 1)
		}
		result.off[next.Format(layout)] = fmt.Sprintf("%s, which fell on %s", h.name, day.Weekday())
	}
	return result, nil
}

func date(number int, h holiday) time.Time {
	return time.Date(number, h.month, h.day, 0, 0, 0, 0, Zone())
}

// DaysOff lists the days off of a year apart from plain Saturdays and
// Sundays, in order. The error is calendar.year-unknown.
func DaysOff(number int) ([]DayOff, error) {
	data, err := daysOf(number)
	if err != nil {
		return nil, err
	}
	var list []DayOff
	for key, why := range data.off {
		day, err := time.ParseInLocation(layout, key, Zone())
		if err != nil {
			return nil, fault.Wrap(fault.CalendarUnknown, err, "a day off of %d", number)
		}
		list = append(list, DayOff{day, why})
	}
	slices.SortFunc(list, func(a, b DayOff) int { return a.Date.Compare(b.Date) })
	return list, nil
}

// IsWorkingDay reports whether the day in which the moment falls in [Zone] is
// a working day. The error is calendar.year-unknown.
func IsWorkingDay(moment time.Time) (bool, error) {
	day := moment.In(Zone())
	data, err := daysOf(day.Year())
	if err != nil {
		return false, err
	}
	return data.works(day), nil
}

// MaxWorkingDays bounds what may be counted at once: about two years.
const MaxWorkingDays = 500

// AddWorkingDays returns the moment n working days later, at the same time of
// the day in [Zone]. The day of from is not counted, whether people work on
// it or not: a term starts on the day after (Civil Code, article 173). With n
// = 0 it returns from. To get the end of a term of n working days, take
// [EndOfDay] of the result.
//
// Errors: calendar.year-unknown as soon as counting leaves the known years
// (the days of unknown years are never skipped), request.invalid for n below
// 0 or over [MaxWorkingDays].
func AddWorkingDays(from time.Time, n int) (time.Time, error) {
	if n < 0 || n > MaxWorkingDays {
		return time.Time{}, fault.New(fault.RequestInvalid, "a term of %d working days; 0 to %d can be counted", n, MaxWorkingDays)
	}
	day := from.In(Zone())
	data, err := daysOf(day.Year())
	if err != nil {
		return time.Time{}, err
	}
	for n > 0 {
		next := day.AddDate(0, 0, 1)
		if next.Year() != day.Year() {
			if data, err = daysOf(next.Year()); err != nil {
				return time.Time{}, err
			}
		}
		if day = next; data.works(day) {
			n--
		}
	}
	return day, nil
}

// EndOfDay returns the first moment after the day in which the given moment
// falls in [Zone]. What comes before it is in time.
func EndOfDay(moment time.Time) time.Time {
	year, month, day := moment.In(Zone()).Date()
	return time.Date(year, month, day+1, 0, 0, 0, 0, Zone())
}

// LastDay returns the last day on which acting is in time before a deadline,
// and whether all of that day is: a deadline at midnight in [Zone] is the end of
// the day before. It is the inverse of [EndOfDay].
func LastDay(deadline time.Time) (day time.Time, whole bool) {
	local := deadline.In(Zone())
	year, month, date := local.Date()
	if start := time.Date(year, month, date, 0, 0, 0, 0, Zone()); start.Equal(local) {
		return start.AddDate(0, 0, -1), true
	}
	return local, false
}

// WorkingDaysBetween counts the working days after the day of from up to and
// with the day of until, both in [Zone]: the day of from is not counted, as in
// [AddWorkingDays]. It is 0 where until is not after from's day.
//
// Errors: calendar.year-unknown for a year that is not known, request.invalid
// for days more than two years apart.
func WorkingDaysBetween(from, until time.Time) (int, error) {
	day, last := EndOfDay(from), until.In(Zone())
	if last.Sub(day) > 2*366*24*time.Hour {
		return 0, fault.New(fault.RequestInvalid, "the days are more than two years apart")
	}
	n := 0
	for ; !day.After(last); day = day.AddDate(0, 0, 1) {
		works, err := IsWorkingDay(day)
		if err != nil {
			return 0, err
		}
		if works {
			n++
		}
	}
	return n, nil
}
