package report

import (
	_ "embed"
	"fmt"
	"strings"
	"sync"
)

//go:embed messages.txt
var messages string

// languages are the columns of messages, in the order of the parts of a
// report.
func languages() []string { return []string{"ru", "kk", "en"} }

// words are the messages in one language.
type words struct {
	language string
	texts    map[string]string
}

// catalogue reads the messages once: reports are made by the hundred.
var catalogue = sync.OnceValues(func() ([]words, error) { return readMessages(messages) })

func readMessages(text string) ([]words, error) {
	var all []words
	for _, language := range languages() {
		all = append(all, words{language, map[string]string{}})
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Split(line, " | ")
		if len(fields) != len(all)+1 {
			return nil, fmt.Errorf("the words of the report: %q has not a text for each language", fields[0])
		}
		if _, twice := all[0].texts[fields[0]]; twice {
			return nil, fmt.Errorf("the words of the report: %q stands there twice", fields[0])
		}
		for i, w := range all {
			w.texts[fields[0]] = fields[i+1]
		}
	}
	return all, nil
}

// say returns a message with its parts put in, which are names and values by
// turns. A message that does not exist shows as its key: a test finds it.
func (w words) say(key string, parts ...any) string {
	text, ok := w.texts[key]
	if !ok {
		return "⟦" + key + "⟧"
	}
	replace := make([]string, 0, len(parts))
	for i := 0; i+1 < len(parts); i += 2 {
		replace = append(replace, fmt.Sprintf("{%v}", parts[i]), fmt.Sprint(parts[i+1]))
	}
	return strings.NewReplacer(replace...).Replace(text)
}

// code puts what a code means into words, with the code beside: a lawyer reads
// the words, a program and an expert the code. One without words stands alone.
func (w words) code(family, code string) string {
	if text, ok := w.texts[family+"."+code]; ok {
		return text + " [" + code + "]"
	}
	return code
}

// name is the word for one of a fixed set of values, or the value itself.
func (w words) name(family, value string) string {
	if text, ok := w.texts[family+"."+value]; ok {
		return text
	}
	return value
}
