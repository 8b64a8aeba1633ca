package pages

import (
	"strings"
	"testing"
	"time"

	"dalel/domain/document"
	"dalel/domain/retention"

	"github.com/stretchr/testify/require"
)

// plain has ordinary spaces in place of those that do not break.
func plain(text string) string { return strings.ReplaceAll(text, nbsp, " ") }

func TestMoneyIsWrittenAsEachLanguageDoes(t *testing.T) {
	sum := func(minor, currency string) *document.Sum { return &document.Sum{Minor: minor, Currency: currency} }
	require.Equal(t, "1 250 000,00 ₸", plain(Russian.money(sum("125000000", "KZT"))))
	require.Equal(t, "1 250 000,00 ₸", plain(Kazakh.money(sum("125000000", "KZT"))))
	require.Equal(t, "1,250,000.00 ₸", plain(English.money(sum("125000000", "KZT"))))
	require.Equal(t, "0,07 ₸", plain(Russian.money(sum("7", "KZT"))))
	require.Equal(t, "0,00 CNY", plain(Russian.money(sum("0", "CNY"))))
	require.Equal(t, "1,00 RUB", plain(Russian.money(sum("100", "RUB"))), "a currency other than the tenge goes by its code")
	require.NotContains(t, Russian.money(sum("125000000", "KZT")), " ", "a sum does not break")
	require.Equal(t, "9 999 999 999 999 999,99 ₸", plain(Russian.money(sum("999999999999999999", "KZT"))))
	require.Equal(t, "-1 250 000,00 ₸", plain(Russian.money(sum("-125000000", "KZT"))))
	require.Equal(t, "-0,07 ₸", plain(Kazakh.money(sum("-7", "KZT"))))
	require.Equal(t, "-100.00 USD", plain(English.money(sum("-10000", "USD"))))
	require.Empty(t, Russian.money(nil))
}

// in is the catalogue in a language on a day.
func in(t *testing.T, language Language, now time.Time) words {
	t.Helper()
	c, err := readCatalogue(messages)
	require.NoError(t, err)
	return words{Lang: language, catalogue: c, now: now}
}

func TestMomentsAreThoseOfKazakhstan(t *testing.T) {
	at := time.Date(2026, 12, 31, 19, 0, 1, 500, time.UTC)
	require.Equal(t, "1 января 2027 г., 00:00", plain(in(t, Russian, at).moment(at).Text))
	require.Equal(t, "2027 жылғы 1 қаңтар, 00:00:01", plain(in(t, Kazakh, at).moment(at).Exact))
	require.Equal(t, "1 January 2027, 00:00:01", plain(in(t, English, at).moment(at).Exact))
	require.Equal(t, "2026-12-31T19:00:01.0000005Z", in(t, Russian, at).moment(at).ISO)
	require.Equal(t, "1 янв., 00:00", plain(in(t, Russian, at).moment(at).Short))
}

func TestADocumentsOwnDateHasNoZone(t *testing.T) {
	w := in(t, Russian, time.Time{})
	require.Equal(t, "20 ноября 2026 г.", plain(w.ownDate("2026-11-20")))
	require.Equal(t, "no date", w.ownDate("no date"))
}

func TestADeadlineSaysItsLastDayAndTheWorkingDaysLeft(t *testing.T) {
	now := time.Date(2026, 12, 1, 10, 0, 0, 0, zone)
	midnight := func(month time.Month, day int) time.Time { return time.Date(2026, month, day, 0, 0, 0, 0, zone) }
	for _, row := range []struct {
		language Language
		at       time.Time
		want     string
	}{
		{Russian, midnight(12, 9), "до 8 декабря, вторник, конец дня — осталось 5 рабочих дней"},
		{Russian, midnight(12, 3), "до 2 декабря, среда, конец дня — остался 1 рабочий день"},
		{Russian, midnight(12, 5), "до 4 декабря, пятница, конец дня — осталось 3 рабочих дня"},
		{Kazakh, midnight(12, 9), "Мерзімі: 8 желтоқсан, сейсенбі, күннің соңы — 5 жұмыс күні қалды"},
		{English, midnight(12, 3), "by Wednesday 2 December, end of the day — 1 working day left"},
		{Russian, midnight(12, 2), "сегодня до конца дня"},
		{Russian, now.Add(8 * time.Hour), "сегодня до 18:00"},
		{Russian, midnight(11, 28), "просрочено на 2 рабочих дня"},
		{Russian, now.Add(-time.Hour), "срок истёк: 1 декабря, вторник, 09:00"},
		{Russian, time.Date(2029, 3, 2, 18, 0, 0, 0, zone), "до 2 марта 2029 г., пятница, 18:00. Календарь рабочих дней на 2029 год не внесён: сколько их осталось, назвать нельзя."},
	} {
		require.Equal(t, row.want, plain(in(t, row.language, now).due(row.at).Text))
	}
	require.Equal(t, "до 6 декабря, воскресенье, конец дня", plain(in(t, Russian, time.Date(2026, 12, 5, 9, 0, 0, 0, zone)).due(midnight(12, 7)).Text),
		"on a Saturday no working day is left, and none is said")
}

func TestANumberIsPartedForTheEyeAlone(t *testing.T) {
	require.Equal(t, []string{"4821", "0093", "4711", "3025", "8864"}, parts("48210093471130258864"))
	require.Empty(t, parts(""))
}

func TestSizesAreWrittenInUnitsOf1024(t *testing.T) {
	russian, english := in(t, Russian, time.Time{}), in(t, English, time.Time{})
	require.Equal(t, "1 байт", russian.size(1))
	require.Equal(t, "812 байт", russian.size(812))
	require.Equal(t, "1,5 КБ", plain(russian.size(1536)))
	require.Equal(t, "10 МБ", plain(russian.size(10<<20)))
	require.Equal(t, "39,6 КБ", plain(russian.size(40_550)))
	require.Equal(t, "4 GB", plain(english.size(4<<30)))
	require.NotContains(t, russian.size(1536), " ", "a size does not break")
}

func TestPeriodsAndRulesAreToldInWords(t *testing.T) {
	for _, row := range []struct {
		language     Language
		id           string
		period, rule string
	}{
		{Russian, "document/all/P1Y/ended", "1 год", "Документы: 1 год с окончания маршрута"},
		{Russian, "journal/contract/P15Y6M2D/recorded", "15 лет 6 месяцев 2 дня", "Журнал документа: 15 лет 6 месяцев 2 дня с последней записи в журнале"},
		{Kazakh, "delivery/all/P3Y/delivered", "3 жыл", "Жеткізу туралы мәліметтер: соңғы жеткізілімнен бастап 3 жыл"},
		{English, "document/all/P10Y/sent", "10 years", "Documents: 10 years from the sending of the document"},
		{English, "of another make", "of another make", "of another make"},
		{English, "document/all/ten/ended", "document/all/ten/ended", "document/all/ten/ended"},
	} {
		w := in(t, row.language, time.Time{})
		require.Equal(t, row.period, plain(w.period(row.id)))
		require.Equal(t, row.rule, plain(w.rule(row.id)))
	}
}

func TestR_G3_TheTermOfADocumentIsToldInEveryState(t *testing.T) {
	end := time.Date(2026, 11, 22, 7, 0, 0, 0, time.UTC)
	w := in(t, English, end)
	sent := document.State{Status: document.Complete, SentAt: &end, EndedAt: &end}
	found, ended := retention.Default().ForDocument(sent, time.Time{})
	require.True(t, ended)
	term := w.term(sent, found, ended, found.Until.Add(-time.Second))
	require.Equal(t, "10 years from the end of the route, until 22 November 2036", plain(term.Term))
	require.False(t, term.Over)
	require.True(t, w.term(sent, found, ended, found.Until).Over)
	none := retention.Retention{}
	require.Contains(t, w.term(document.State{Status: document.Draft}, none, false, end).Term, "A draft")
	require.Contains(t, w.term(document.State{Status: document.Awaiting}, none, false, end).Term, "Kept while the route is open")
	require.Contains(t, w.term(sent, none, false, end).Term, "It cannot be told now")
}
