package pages

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"dalel/domain/document"
)

// zone is Kazakhstan's time: UTC+5 everywhere, without summer time. Every
// page says so, since moments before March 2024 were UTC+6 on some clocks.
var zone = time.FixedZone("UTC+5", 5*60*60)

const nbsp = "\u00a0"

// months in the form that stands in a date, which is a part of the language's
// grammar and no message: Russian has the genitive.
var months = map[Language][12]string{
	Russian: {"января", "февраля", "марта", "апреля", "мая", "июня", "июля", "августа", "сентября", "октября", "ноября", "декабря"},
	Kazakh:  {"қаңтар", "ақпан", "наурыз", "сәуір", "мамыр", "маусым", "шілде", "тамыз", "қыркүйек", "қазан", "қараша", "желтоқсан"},
	English: {"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"},
}

// moment is a moment for people and for programs.
type moment struct {
	// ISO is RFC 3339 in UTC, for the datetime attribute.
	ISO string
	// Text is the date and the time to the second, Short to the minute.
	Text, Short string
}

func (l Language) moment(t time.Time) moment {
	local := t.In(zone)
	return moment{
		ISO:   t.UTC().Format(time.RFC3339Nano),
		Text:  l.date(local) + ", " + local.Format("15:04:05"),
		Short: local.Format("02.01.2006") + " " + local.Format("15:04"),
	}
}

func (l Language) momentOf(t *time.Time) *moment {
	if t == nil {
		return nil
	}
	m := l.moment(*t)
	return &m
}

// date writes a day as the language does, with the month as a word.
func (l Language) date(t time.Time) string {
	year, month, day := t.Date()
	name := months[l][month-1]
	switch l {
	case Kazakh:
		return fmt.Sprintf("%d%sжылғы %d%s%s", year, nbsp, day, nbsp, name)
	case English:
		return fmt.Sprintf("%d%s%s%s%d", day, nbsp, name, nbsp, year)
	default:
		return fmt.Sprintf("%d%s%s%s%d%sг.", day, nbsp, name, nbsp, year, nbsp)
	}
}

// ownDate writes a document's own date (YYYY-MM-DD); what is no date stays as
// it is.
func (l Language) ownDate(text string) string {
	day, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return text
	}
	return l.date(day)
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
	digits := sum.Minor
	if len(digits) < 3 {
		digits = strings.Repeat("0", 3-len(digits)) + digits
	}
	whole, cents := digits[:len(digits)-2], digits[len(digits)-2:]
	sign := sum.Currency
	if sign == "KZT" {
		sign = "₸"
	}
	return group(whole, thousands) + point + cents + nbsp + sign
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
