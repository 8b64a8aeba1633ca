package pages

import (
	"strconv"
	"strings"
	"time"

	"dalel/domain/calendar"
	"dalel/domain/document"
	"dalel/internal/dates"
)

// zone is Kazakhstan's time: UTC+5 everywhere, without summer time. Every
// page says so, since moments before March 2024 were UTC+6 on some clocks.
var zone = calendar.Zone()

const nbsp = "\u00a0"

// moment is a moment for people and for programs.
type moment struct {
	// ISO is RFC 3339 in UTC, for the datetime attribute.
	ISO string
	// Text is the date and the time to the minute. Exact has the seconds, for
	// technical details. Short is for lists and leaves out the current year.
	Text, Exact, Short string
}

func (w words) moment(t time.Time) moment {
	l := dates.Language(w.Lang)
	return moment{ISO: t.UTC().Format(time.RFC3339Nano), Text: dates.Moment(l, t), Exact: dates.Exact(l, t), Short: dates.Brief(l, t, w.now)}
}

func (w words) momentOf(t *time.Time) *moment {
	if t == nil {
		return nil
	}
	m := w.moment(*t)
	return &m
}

// dueView is a deadline in words: the last day and what is left of the time, or
// by how much it is over.
type dueView struct {
	// ISO is RFC 3339 in UTC, for the datetime attribute.
	ISO, Text string
	Overdue   bool
}

// deadline is the last day of a deadline, without what is left of the time: for
// what is settled already.
func (w words) deadline(at time.Time) string {
	return dates.Deadline(dates.Language(w.Lang), at, w.now)
}

// due says how a deadline that still matters stands now. The working days are
// counted where the calendar knows the years; where it does not, that is said.
func (w words) due(at time.Time) dueView {
	view := dueView{ISO: at.UTC().Format(time.RFC3339Nano), Overdue: !w.now.Before(at)}
	when := w.deadline(at)
	last, whole := calendar.LastDay(at)
	from, until := w.now, last
	if view.Overdue {
		from, until = last, w.now
	}
	n, err := calendar.WorkingDaysBetween(from, until)
	today := calendar.EndOfDay(last).Equal(calendar.EndOfDay(w.now))
	switch {
	case view.Overdue && (err != nil || n == 0):
		view.Text = w.T("due.over", "when", when)
	case view.Overdue:
		view.Text = w.T("due.overdue", "n", n)
	case today && whole:
		view.Text = w.T("due.today")
	case today:
		view.Text = w.T("due.today.by", "time", at.In(zone).Format("15:04"))
	case err != nil:
		view.Text = w.T("due.unknown", "when", when, "year", last.Year())
	case n == 0:
		view.Text = w.T("due.by", "when", when)
	default:
		view.Text = w.T("due.left", "when", when, "n", n)
	}
	return view
}

// dueOf is due, of no deadline nil.
func (w words) dueOf(at *time.Time) *dueView {
	if at == nil {
		return nil
	}
	view := w.due(*at)
	return &view
}

// date writes the day of a moment.
func (w words) date(t time.Time) string { return dates.Day(dates.Language(w.Lang), t) }

// ownDate writes a document's own date (YYYY-MM-DD); what is no date stays as
// it is.
func (w words) ownDate(text string) string {
	return dates.Own(dates.Language(w.Lang), text)
}

// money writes a sum: 1 250 000,00 ₸, in English 1,250,000.00 ₸. Currencies
// other than the tenge go by their codes.
func (l Language) money(sum *document.Sum) string {
	if sum == nil {
		return ""
	}
	thousands, point := nbsp, ","
	if l == English {
		thousands, point = ",", "."
	}
	minus, digits := "", sum.Minor
	if rest, negative := strings.CutPrefix(digits, "-"); negative {
		minus, digits = "-", rest
	}
	if len(digits) < 3 {
		digits = strings.Repeat("0", 3-len(digits)) + digits
	}
	whole, cents := digits[:len(digits)-2], digits[len(digits)-2:]
	sign := sum.Currency
	if sign == "KZT" {
		sign = "₸"
	}
	return minus + group(whole, thousands) + point + cents + nbsp + sign
}

// group parts digits by threes from the right.
func group(digits, separator string) string {
	var b strings.Builder
	for i, c := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteString(separator)
		}
		b.WriteRune(c)
	}
	return b.String()
}

// parts cuts a number into groups of four, which the style sheet sets apart:
// copied, it has no spaces in it.
func parts(number string) []string {
	var list []string
	for len(number) > 4 {
		list, number = append(list, number[:4]), number[4:]
	}
	if number != "" {
		list = append(list, number)
	}
	return list
}

// size writes a number of bytes, in units of 1024 as file managers count them:
// 1 КБ is 1024 bytes. It is the one place that writes sizes for people.
func (w words) size(bytes int64) string {
	if bytes < 1<<10 {
		return w.T("size.bytes", "n", bytes)
	}
	key, unit := "size.kilobytes", float64(1<<10)
	switch {
	case bytes >= 1<<30:
		key, unit = "size.gigabytes", 1<<30
	case bytes >= 1<<20:
		key, unit = "size.megabytes", 1<<20
	}
	text := strings.TrimSuffix(strconv.FormatFloat(float64(bytes)/unit, 'f', 1, 64), ".0")
	if w.Lang != English {
		text = strings.Replace(text, ".", ",", 1)
	}
	return strings.ReplaceAll(w.T(key, "n", text), " ", nbsp)
}

// words are the catalogue in one language.
type words struct {
	Lang      Language
	catalogue catalogue
	// now is when the page is made: years and deadlines are told from there.
	now time.Time
}

// T is a message in the page's language; see catalogue.text.
func (w words) T(key string, args ...any) string { return w.catalogue.text(w.Lang, key, args...) }

// or is the message of a key if there is one, else a text: codes may be newer
// than the catalogue.
func (w words) or(key, text string) string {
	if w.catalogue.has(key) {
		return w.T(key)
	}
	return text
}
