// Package dates writes days, moments and deadlines for people: in Russian,
// Kazakh and English, by the clocks of Kazakhstan. Call [Deadline] for whatever
// somebody must have done by then, [Day] and [Moment] for the rest.
//
// A deadline is said by the last day on which acting is still in time, never as
// midnight: "by 9 December, 00:00" leaves open which day is meant.
//
// The report in a proof packet is set with these words, so a change here is a
// change of the packet's format, which a test of package report holds.
package dates

import (
	"fmt"
	"time"

	"dalel/domain/calendar"
)

// Language is "ru", "kk" or "en". Any other is written as Russian.
type Language string

const nbsp = "\u00a0"

// months stand in the form that a date takes: Russian has the genitive.
var months = map[Language][12]string{
	"ru": {"января", "февраля", "марта", "апреля", "мая", "июня", "июля", "августа", "сентября", "октября", "ноября", "декабря"},
	"kk": {"қаңтар", "ақпан", "наурыз", "сәуір", "мамыр", "маусым", "шілде", "тамыз", "қыркүйек", "қазан", "қараша", "желтоқсан"},
	"en": {"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"},
}

var shortMonths = map[Language][12]string{
	"ru": {"янв.", "фев.", "марта", "апр.", "мая", "июня", "июля", "авг.", "сен.", "окт.", "ноя.", "дек."},
	"kk": {"қаң.", "ақп.", "нау.", "сәу.", "мам.", "мау.", "шіл.", "там.", "қыр.", "қаз.", "қар.", "жел."},
	"en": {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"},
}

// weekdays stand in the nominative, Sunday first.
var weekdays = map[Language][7]string{
	"ru": {"воскресенье", "понедельник", "вторник", "среда", "четверг", "пятница", "суббота"},
	"kk": {"жексенбі", "дүйсенбі", "сейсенбі", "сәрсенбі", "бейсенбі", "жұма", "сенбі"},
	"en": {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"},
}

var endOfDay = map[Language]string{"ru": "конец дня", "kk": "күннің соңы", "en": "end of the day"}

func (l Language) known() Language {
	if _, ok := months[l]; ok {
		return l
	}
	return "ru"
}

// Day writes the day of a moment: 14 марта 2027 г.
func Day(l Language, t time.Time) string {
	l = l.known()
	year, month, day := t.In(calendar.Zone()).Date()
	return write(l, day, months[l][month-1], year)
}

// Own writes a day that a document names itself (YYYY-MM-DD); what is no day
// stays as it is.
func Own(l Language, text string) string {
	day, err := time.ParseInLocation(time.DateOnly, text, calendar.Zone())
	if err != nil {
		return text
	}
	return Day(l, day)
}

// write puts a day together; a year of 0 is left out.
func write(l Language, day int, month string, year int) string {
	switch {
	case year == 0:
		return fmt.Sprintf("%d%s%s", day, nbsp, month)
	case l == "kk":
		return fmt.Sprintf("%d%sжылғы %d%s%s", year, nbsp, day, nbsp, month)
	case l == "en":
		return fmt.Sprintf("%d%s%s%s%d", day, nbsp, month, nbsp, year)
	}
	return fmt.Sprintf("%d%s%s%s%d%sг.", day, nbsp, month, nbsp, year, nbsp)
}

// Moment writes a moment to the minute: 14 марта 2027 г., 09:40.
func Moment(l Language, t time.Time) string {
	return Day(l, t) + ", " + t.In(calendar.Zone()).Format("15:04")
}

// Exact writes a moment to the second, which belongs among technical details.
func Exact(l Language, t time.Time) string {
	return Day(l, t) + ", " + t.In(calendar.Zone()).Format("15:04:05")
}

// Brief writes a moment for a list: 14 мар., 09:40. The year is left out in that
// of now.
func Brief(l Language, t, now time.Time) string {
	l = l.known()
	local := t.In(calendar.Zone())
	year, month, day := local.Date()
	if year == now.In(calendar.Zone()).Year() {
		year = 0
	}
	return write(l, day, shortMonths[l][month-1], year) + ", " + local.Format("15:04")
}

// Deadline writes the last day on which acting is still in time, with its
// weekday, and the time unless the whole day counts: "8 декабря, вторник, конец
// дня". The year is left out in that of now; a zero now keeps it always.
func Deadline(l Language, at, now time.Time) string {
	l = l.known()
	last, whole := calendar.LastDay(at)
	year, month, day := last.Date()
	if !now.IsZero() && year == now.In(calendar.Zone()).Year() {
		year = 0
	}
	text, weekday := write(l, day, months[l][month-1], year), weekdays[l][last.Weekday()]
	if l == "en" {
		text = weekday + " " + text
	} else {
		text += ", " + weekday
	}
	if whole {
		return text + ", " + endOfDay[l]
	}
	return text + ", " + at.In(calendar.Zone()).Format("15:04")
}
