package retention_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"dalel/domain/retention"
	"dalel/internal/fault"
)

func TestPeriodsAreThoseOfISO8601ThatHaveDatesOnly(t *testing.T) {
	for text, want := range map[string]retention.Period{
		"P10Y":     {Years: 10},
		"P6M":      {Months: 6},
		"P30D":     {Days: 30},
		"P1Y6M15D": {Years: 1, Months: 6, Days: 15},
		"P1Y15D":   {Years: 1, Days: 15},
		"P100Y":    {Years: 100},
		"P1200M":   {Months: 1200},
		"P36525D":  {Days: 36525},
	} {
		parsed, err := retention.ParsePeriod(text)
		require.NoError(t, err, text)
		require.Equal(t, want, parsed)
		require.Equal(t, text, parsed.String())
	}
	for _, text := range []string{
		"", "P", "P0D", "P0Y1D", "P01Y", "10Y", "P10", "P-1Y", "+P1Y", "p1y", "P1y", "P1W", "PT5H", "P1YT5H", "P1.5Y", "P1,5Y", "P1D1Y", "P1M1Y",
		" P1Y", "P1Y ", "P1Y\n", "P999999D", "P99999999999999999999Y", "P101Y", "P100Y1D", "P1201M", "P36526D", "P1٣Y",
	} {
		parsed, err := retention.ParsePeriod(text)
		require.Equal(t, fault.ConfigInvalid, fault.CodeOf(err), text)
		require.Equal(t, retention.Period{}, parsed)
	}
}

func TestAPeriodEndsNeverEarlyWhereTheMonthHasNoSuchDay(t *testing.T) {
	for _, c := range []struct{ since, period, until string }{
		{"2026-03-03T09:30:00.123456Z", "P10Y", "2036-03-03T09:30:00.123456Z"},
		{"2028-02-29T12:00:00Z", "P10Y", "2038-03-01T00:00:00Z"},
		{"2028-02-29T12:00:00Z", "P4Y", "2032-02-29T12:00:00Z"},
		{"2028-02-29T12:00:00Z", "P1Y1D", "2029-03-02T00:00:00Z"},
		{"2027-02-28T12:00:00Z", "P1Y", "2028-02-28T12:00:00Z"},
		{"2026-01-31T23:00:00Z", "P1M", "2026-03-01T00:00:00Z"},
		{"2026-01-29T23:00:00Z", "P1M", "2026-03-01T00:00:00Z"},
		{"2026-01-28T23:00:00Z", "P1M", "2026-02-28T23:00:00Z"},
		{"2026-08-31T10:00:00Z", "P1M", "2026-10-01T00:00:00Z"},
		{"2026-12-31T10:00:00Z", "P2M", "2027-03-01T00:00:00Z"},
		{"2026-12-15T10:00:00Z", "P13M", "2028-01-15T10:00:00Z"},
		{"2096-02-29T10:00:00Z", "P4Y", "2100-03-01T00:00:00Z"},
		{"2026-03-01T10:00:00Z", "P30D", "2026-03-31T10:00:00Z"},
		{"2026-03-01T02:00:00+05:00", "P1D", "2026-03-01T21:00:00Z"},
		{"2028-03-01T02:00:00+05:00", "P1Y", "2029-03-01T00:00:00Z"},
	} {
		period, err := retention.ParsePeriod(c.period)
		require.NoError(t, err)
		until := period.After(moment(c.since))
		require.Equal(t, moment(c.until), until, "%s from %s", c.period, c.since)
		require.Equal(t, time.UTC, until.Location())
	}
	require.Equal(t, moment("2026-03-01T10:00:00Z"), retention.Period{}.After(moment("2026-03-01T10:00:00Z")))
}

func TestWhatBeganLaterNeverEndsBefore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		period, since := drawPeriod(t), drawMoment(t, "since")
		step := time.Duration(rapid.Int64Range(0, 40*24*3600).Draw(t, "step")) * time.Second
		until := period.After(since)
		require.False(t, period.After(since.Add(step)).Before(until))
		require.False(t, until.Before(since))
		// Never before the same period by the plainest count, days of every
		// month and year taken at their fewest.
		fewest := since.AddDate(0, 0, 365*period.Years+28*period.Months+period.Days)
		require.False(t, until.Before(fewest))
	})
}

func TestAPeriodIsReadAsItIsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		period := drawPeriod(t)
		parsed, err := retention.ParsePeriod(period.String())
		if err == nil {
			require.Equal(t, period, parsed)
		}
	})
	require.Equal(t, "P0D", retention.Period{}.String())
}
