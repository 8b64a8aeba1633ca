package calendar_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"dalel/domain/calendar"
	"dalel/internal/fault"
)

func day(t require.TestingT, text string) time.Time {
	moment, err := time.ParseInLocation(time.DateOnly, text, calendar.Zone())
	require.NoError(t, err)
	return moment.Add(12 * time.Hour)
}

func works(t require.TestingT, text string) bool {
	working, err := calendar.IsWorkingDay(day(t, text))
	require.NoError(t, err)
	return working
}

func TestR_I2_HolidaysAndTransfersAsPublished(t *testing.T) {
	for date, working := range map[string]bool{
		"2024-01-01": false, "2024-01-03": true,
		"2024-01-08": true,                      // 7 January was a Sunday, which gives no Monday
		"2024-03-25": false,                     // Nauryz, 23 March, was a Saturday
		"2024-05-04": true,                      // a Saturday at work, for
		"2024-05-08": false,                     // the Wednesday between two holidays
		"2024-06-17": true,                      // Kurban Ait came on Sunday the 16th, not on the 17th
		"2024-07-08": false,                     // Capital Day on a Saturday
		"2025-01-03": false, "2025-01-05": true, // moved, a Sunday at work
		"2025-03-10": false, "2025-03-24": false, "2025-03-25": false, "2025-03-26": true,
		"2025-05-08": true, "2025-06-06": false, "2025-07-07": false,
		"2025-09-01": false, // Constitution Day on Saturday, 30 August
		"2025-10-27": false, "2025-12-16": false,
		"2026-01-05": true, "2026-01-07": false,
		"2026-03-09": false, "2026-03-16": true, "2026-03-24": false, "2026-03-25": false, "2026-03-26": true,
		"2026-05-11": false, "2026-05-27": false,
		"2026-08-31": true, // the day of the old Constitution is kept no more
		"2026-10-26": false,
		"2027-01-04": false, "2027-03-15": false, "2027-03-24": false,
		"2027-05-03": false, "2027-05-10": false, "2027-05-17": true, "2027-08-30": true,
	} {
		require.Equal(t, working, works(t, date), date)
	}
}

func TestR_I2_TheNumberOfWorkingDaysIsThePublishedOne(t *testing.T) {
	count := func(from, until string) (n int) {
		for date := day(t, from); !date.After(day(t, until)); date = date.AddDate(0, 0, 1) {
			working, err := calendar.IsWorkingDay(date)
			require.NoError(t, err)
			if working {
				n++
			}
		}
		return n
	}
	require.Equal(t, 19, count("2026-01-01", "2026-01-31"), "as published for January 2026")
	require.Equal(t, 246+1, count("2026-01-01", "2026-12-31"), "246 were published; 31 August was added in March")
	require.Equal(t, 30-10, count("2024-06-01", "2024-06-30"), "11 days off were published; 17 June was taken back")
}

func TestR_I2_FiveWorkingDaysRunOverHolidays(t *testing.T) {
	for from, want := range map[string]string{
		"2026-06-01": "2026-06-08", // Monday to Monday
		"2026-03-19": "2026-03-31", // Thursday, over Nauryz and its two days
		"2025-12-30": "2026-01-09", // over the year's end and Christmas
		"2024-05-03": "2024-05-14", // Saturday the 4th counts, 7 to 9 May do not
		"2026-06-06": "2026-06-12", // from a Saturday
	} {
		got, err := calendar.AddWorkingDays(day(t, from), 5)
		require.NoError(t, err)
		require.Equal(t, want, got.Format(time.DateOnly), "from %s", from)
	}
}

func TestTheDayIsThatOfKazakhstanNotOfUTC(t *testing.T) {
	// Sunday 19:30 UTC is Monday 00:30 in Almaty.
	working, err := calendar.IsWorkingDay(time.Date(2026, 6, 7, 19, 30, 0, 0, time.UTC))
	require.NoError(t, err)
	require.True(t, working)
	end := calendar.EndOfDay(time.Date(2026, 6, 7, 19, 30, 0, 0, time.UTC))
	require.True(t, end.Equal(time.Date(2026, 6, 8, 19, 0, 0, 0, time.UTC)), end)
}

func TestAnUnknownYearIsItsOwnAnswer(t *testing.T) {
	for _, date := range []string{"2023-12-31", "2028-01-01", "1999-06-01"} {
		_, err := calendar.IsWorkingDay(day(t, date))
		require.Equal(t, fault.CalendarUnknown, fault.CodeOf(err), date)
		_, err = calendar.AddWorkingDays(day(t, date), 0)
		require.Equal(t, fault.CalendarUnknown, fault.CodeOf(err), date)
	}
	_, err := calendar.AddWorkingDays(day(t, "2027-12-28"), 5)
	require.Equal(t, fault.CalendarUnknown, fault.CodeOf(err), "a term that runs out of the known years")
	_, err = calendar.DaysOff(2028)
	require.Equal(t, fault.CalendarUnknown, fault.CodeOf(err))
	_, err = calendar.Confirmed(2028)
	require.Equal(t, fault.CalendarUnknown, fault.CodeOf(err))
}

func TestOnlyAConfirmedYearSaysSo(t *testing.T) {
	for year, want := range map[int]bool{2024: true, 2025: true, 2026: true, 2027: false} {
		confirmed, err := calendar.Confirmed(year)
		require.NoError(t, err)
		require.Equal(t, want, confirmed, year)
	}
}

func TestATermBelowZeroOrWithoutBoundIsRefused(t *testing.T) {
	for _, n := range []int{-1, calendar.MaxWorkingDays + 1} {
		_, err := calendar.AddWorkingDays(day(t, "2026-06-01"), n)
		require.Equal(t, fault.RequestInvalid, fault.CodeOf(err))
	}
}

func TestEveryHolidayOnAWeekendGivesExactlyOneOtherDay(t *testing.T) {
	want := map[int]int{
		// 15 dates with Kurban Ait (Constitution Day missing in 2026), the
		// days given for weekends, and days moved by order.
		2024: 15 + 2 + 1, // 23 March, 6 July; 8 May
		2025: 15 + 6 + 1, // 8, 22, 23 March, 6 July, 30 August, 25 October; 3 January
		2026: 14 + 5,     // 8, 21, 22 March, 9 May, 25 October
		2027: 15 + 4,     // 2 January, 21 March, 1 May, 9 May
	}
	for year, count := range want {
		list, err := calendar.DaysOff(year)
		require.NoError(t, err)
		require.Len(t, list, count, "%d: %v", year, list)
		for i, off := range list {
			require.NotEmpty(t, off.Why)
			require.False(t, works(t, off.Date.Format(time.DateOnly)))
			require.True(t, i == 0 || list[i-1].Date.Before(off.Date))
		}
	}
}

func TestCountingIsConsistent(t *testing.T) {
	start := day(t, "2024-01-01")
	rapid.Check(t, func(t *rapid.T) {
		from := start.Add(time.Duration(rapid.Int64Range(0, 900*24*3600).Draw(t, "seconds")) * time.Second)
		a, b := rapid.IntRange(0, 60).Draw(t, "a"), rapid.IntRange(1, 60).Draw(t, "b")
		first, err := calendar.AddWorkingDays(from, a)
		require.NoError(t, err)
		second, err := calendar.AddWorkingDays(first, b)
		require.NoError(t, err)
		both, err := calendar.AddWorkingDays(from, a+b)
		require.NoError(t, err)
		require.True(t, second.Equal(both), "a term in two parts is the whole term")
		require.True(t, second.After(first))
		working, err := calendar.IsWorkingDay(second)
		require.NoError(t, err)
		require.True(t, working, "a term ends on a working day")
		require.True(t, calendar.EndOfDay(second).After(second))
	})
}

func TestTheLastDayOfADeadlineIsTheOneThatEndsWithIt(t *testing.T) {
	last, whole := calendar.LastDay(calendar.EndOfDay(day(t, "2026-12-08")))
	require.True(t, whole)
	require.Equal(t, "2026-12-08", last.Format(time.DateOnly))
	last, whole = calendar.LastDay(day(t, "2026-12-08"))
	require.False(t, whole)
	require.Equal(t, "2026-12-08", last.Format(time.DateOnly))
	last, whole = calendar.LastDay(time.Date(2026, 12, 8, 19, 0, 0, 0, time.UTC))
	require.True(t, whole, "midnight is that of Kazakhstan")
	require.Equal(t, "2026-12-08", last.Format(time.DateOnly))
}

func TestWorkingDaysLeftAreCountedFromTomorrow(t *testing.T) {
	for until, want := range map[string]int{"2026-12-01": 0, "2026-12-02": 1, "2026-12-08": 5, "2026-11-20": 0, "2026-12-17": 11} {
		n, err := calendar.WorkingDaysBetween(day(t, "2026-12-01"), day(t, until))
		require.NoError(t, err)
		require.Equal(t, want, n, until)
	}
	_, err := calendar.WorkingDaysBetween(day(t, "2027-12-30"), day(t, "2028-01-10"))
	require.True(t, fault.Is(err, fault.CalendarUnknown))
	rapid.Check(t, func(t *rapid.T) {
		from := day(t, "2026-01-01").AddDate(0, 0, rapid.IntRange(0, 300).Draw(t, "day"))
		n := rapid.IntRange(0, 100).Draw(t, "n")
		until, err := calendar.AddWorkingDays(from, n)
		require.NoError(t, err)
		counted, err := calendar.WorkingDaysBetween(from, until)
		require.NoError(t, err)
		require.Equal(t, n, counted, "as AddWorkingDays counts")
	})
}
