package papercopy

import (
	_ "embed"
	"fmt"
	"strings"

	"dalel/internal/fault"
)

// messages has the package's words: one key a line, with its texts in Russian,
// Kazakh and English. Parts in braces are put in by [words.say].
//
//go:embed messages.txt
var messages string

// languages are the columns of messages, in their order.
func languages() []string { return []string{"ru", "kk", "en"} }

// words are the messages in one language.
type words map[string]string

func wordsOf(language string) (words, error) {
	column := 0
	for i, name := range languages() {
		if name == language {
			column = i + 1
		}
	}
	if column == 0 {
		return nil, fault.New(fault.DocumentInvalid, "a copy for paper is made in ru, kk or en, not in %q", language)
	}
	w := words{}
	for line := range strings.Lines(messages) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Split(line, " | ")
		if len(fields) != len(languages())+1 {
			return nil, fault.New(fault.Internal, "the messages of the copy for paper: %q has not a text for each language", fields[0])
		}
		w[fields[0]] = fields[column]
	}
	return w, nil
}

// say returns a message with the values of its parts put in. A key that does
// not exist panics, which [Make] turns into an error; the tests find it first.
func (w words) say(key string, parts ...any) string {
	text, ok := w[key]
	if !ok {
		panic("no message " + key)
	}
	for i := 0; i+1 < len(parts); i += 2 {
		text = strings.ReplaceAll(text, fmt.Sprintf("{%v}", parts[i]), fmt.Sprint(parts[i+1]))
	}
	return text
}
