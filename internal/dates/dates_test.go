package dates_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"dalel/domain/calendar"
	"dalel/internal/dates"
)

func plain(text string) string { return strings.ReplaceAll(text, "\u00a0", " ") }

func at(text string) time.Time {
	t, err := time.ParseInLocation("2006-01-02 15:04:05", text, calendar.Zone())
	if err != nil {
		panic(err)
	}
	return t
}

func TestADeadlineSaysItsLastDayAndNeverMidnight(t *testing.T) {
	now := at("2026-12-01 10:00:00")
	for _, row := range []struct {
		language dates.Language
		deadline string
		want     string
	}{
		{"ru", "2026-12-09 00:00:00", "8 декабря, вторник, конец дня"},
		{"kk", "2026-12-09 00:00:00", "8 желтоқсан, сейсенбі, күннің соңы"},
		{"en", "2026-12-09 00:00:00", "Tuesday 8 December, end of the day"},
		{"ru", "2026-12-08 18:00:00", "8 декабря, вторник, 18:00"},
		{"ru", "2027-01-01 00:00:00", "31 декабря, четверг, конец дня"},
		{"ru", "2027-03-12 18:00:00", "12 марта 2027 г., пятница, 18:00"},
		{"kk", "2027-03-12 18:00:00", "2027 жылғы 12 наурыз, жұма, 18:00"},
		{"en", "2027-03-12 18:00:00", "Friday 12 March 2027, 18:00"},
	} {
		require.Equal(t, row.want, plain(dates.Deadline(row.language, at(row.deadline), now)), row.deadline)
	}
	require.Equal(t, "8 декабря 2026 г., вторник, конец дня", plain(dates.Deadline("ru", at("2026-12-09 00:00:00"), time.Time{})),
		"a paper that outlives the year names it")
}

func TestNoDeadlineIsEverWrittenAsMidnight(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		day := at("2026-01-01 00:00:00").Add(time.Duration(rapid.IntRange(0, 20*365*24*60).Draw(t, "minutes")) * time.Minute)
		for _, l := range []dates.Language{"ru", "kk", "en"} {
			text := dates.Deadline(l, calendar.EndOfDay(day), day)
			require.NotContains(t, text, "00:00")
			require.NotContains(t, dates.Deadline(l, day, time.Time{}), " 00:00")
		}
	})
}

func TestMomentsAreThoseOfKazakhstanAndSecondsAreADetail(t *testing.T) {
	moment := time.Date(2026, 12, 31, 19, 0, 1, 500, time.UTC)
	require.Equal(t, "1 января 2027 г.", plain(dates.Day("ru", moment)))
	require.Equal(t, "2027 жылғы 1 қаңтар, 00:00", plain(dates.Moment("kk", moment)))
	require.Equal(t, "1 January 2027, 00:00:01", plain(dates.Exact("en", moment)))
	require.Equal(t, "1 янв., 00:00", plain(dates.Brief("ru", moment, moment)))
	require.Equal(t, "1 янв. 2027 г., 00:00", plain(dates.Brief("ru", moment, moment.AddDate(1, 0, 0))))
	require.Equal(t, "2027 жылғы 1 қаң., 00:00", plain(dates.Brief("kk", moment, moment.AddDate(1, 0, 0))))
}
