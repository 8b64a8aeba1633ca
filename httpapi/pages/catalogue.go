package pages

import (
	_ "embed"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Language is one of the three languages of the pages, as an HTML lang
// attribute writes it.
type Language string

// The languages. Russian is what a browser gets that asks for none of them.
const (
	Russian Language = "ru"
	Kazakh  Language = "kk"
	English Language = "en"
)

// Languages lists them in the order of the catalogue's columns.
func Languages() []Language { return []Language{Russian, Kazakh, English} }

// Name is the language's own name for itself.
func (l Language) Name() string {
	return map[Language]string{Russian: "Русский", Kazakh: "Қазақша", English: "English"}[l]
}

// form returns which of a message's forms goes with a number, by the plural
// rules of the Unicode CLDR for whole numbers.
func (l Language) form(n int64) int {
	switch l {
	case Russian:
		switch ten, hundred := n%10, n%100; {
		case ten == 1 && hundred != 11:
			return 0
		case ten >= 2 && ten <= 4 && (hundred < 12 || hundred > 14):
			return 1
		}
		return 2
	case English:
		if n == 1 {
			return 0
		}
		return 1
	}
	return 0
}

// forms is how many forms a message that counts something has.
func (l Language) forms() int { return map[Language]int{Russian: 3, Kazakh: 1, English: 2}[l] }

//go:embed messages.txt
var messages string

// catalogue has every message in every language: for each key the forms of
// each language, in the order of [Languages].
type catalogue map[string][3][]string

var placeholder = regexp.MustCompile(`\{[a-z]+\}`)

// readCatalogue reads the catalogue's text and refuses one that is not whole:
// a row without three languages, a key twice, forms that a language does not
// have, placeholders that differ between languages.
func readCatalogue(text string) (catalogue, error) {
	c := catalogue{}
	for i, line := range strings.Split(text, "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		cells := strings.Split(line, " | ")
		if len(cells) != 4 {
			return nil, fmt.Errorf("message catalogue, line %d: %d cells in place of 4", i+1, len(cells))
		}
		key := cells[0]
		if _, twice := c[key]; twice {
			return nil, fmt.Errorf("message catalogue, line %d: %s stands there twice", i+1, key)
		}
		var row [3][]string
		counts := strings.Contains(line, " ~ ")
		// Each form has the same places to fill.
		want, _, _ := strings.Cut(cells[1], " ~ ")
		for j, language := range Languages() {
			row[j] = strings.Split(cells[j+1], " ~ ")
			if n := len(row[j]); counts && n != language.forms() || !counts && n != 1 {
				return nil, fmt.Errorf("message catalogue, line %d: %s has %d forms in %s", i+1, key, n, language)
			}
			for _, form := range row[j] {
				if strings.TrimSpace(form) == "" {
					return nil, fmt.Errorf("message catalogue, line %d: %s is empty in %s", i+1, key, language)
				}
				if !slices.Equal(placeholders(form), placeholders(want)) {
					return nil, fmt.Errorf("message catalogue, line %d: %s has other placeholders in %s", i+1, key, language)
				}
			}
		}
		c[key] = row
	}
	return c, nil
}

func placeholders(text string) []string {
	found := placeholder.FindAllString(text, -1)
	slices.Sort(found)
	return found
}

// has reports whether there is a message of that key.
func (c catalogue) has(key string) bool { _, ok := c[key]; return ok }

// text returns a message. The arguments are names and values by turns; the
// argument "n", if it is a whole number, chooses the form. A message that is
// not there shows as its key between ⟦ and ⟧, which a test looks for.
func (c catalogue) text(language Language, key string, args ...any) string {
	row, ok := c[key]
	if !ok {
		return "⟦" + key + "⟧"
	}
	forms := row[max(slices.Index(Languages(), language), 0)]
	form, values := 0, make([]string, 0, len(args))
	for i := 0; i+1 < len(args); i += 2 {
		name, value := fmt.Sprint(args[i]), fmt.Sprint(args[i+1])
		if name == "n" && len(forms) > 1 {
			switch n := args[i+1].(type) {
			case int:
				form = language.form(int64(n))
			case int64:
				form = language.form(n)
			}
		}
		values = append(values, "{"+name+"}", value)
	}
	return strings.NewReplacer(values...).Replace(forms[min(form, len(forms)-1)])
}
