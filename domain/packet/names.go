package packet

import (
	"fmt"
	"path"
	"strings"
	"unicode/utf8"

	"dalel/domain/packet/container"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// maxSafeName is the length of a file's name under document/, in bytes of
// UTF-8, with room for a number that tells it from another.
const maxSafeName = 240

// names gives files names that are safe on every system and distinct even on
// one that takes upper and lower case for the same. The zero value is ready.
type names struct{ taken map[string]bool }

// safe returns a name for a file: its own where that is safe.
func (n *names) safe(name string) string {
	if n.taken == nil {
		n.taken = map[string]bool{}
	}
	name = strings.Map(func(r rune) rune {
		if container.Unsafe(r) {
			return '_'
		}
		return r
	}, norm.NFC.String(strings.ToValidUTF8(name, "_")))
	extension := path.Ext(name)
	if len(extension) > 20 || extension == name {
		extension = ""
	}
	stem := trim(strings.TrimSuffix(name, extension))
	extension = strings.TrimRight(extension, " .")
	for len(stem)+len(extension) > maxSafeName {
		_, size := utf8.DecodeLastRuneInString(stem)
		stem = trim(stem[:len(stem)-size])
	}
	if stem == "" {
		stem = "file"
	}
	if container.Reserved(stem + extension) {
		stem = "_" + stem
	}
	candidate := stem + extension
	for i := 2; n.taken[fold(candidate)]; i++ {
		candidate = fmt.Sprintf("%s (%d)%s", stem, i, extension)
	}
	n.taken[fold(candidate)] = true
	return candidate
}

func trim(stem string) string {
	return strings.TrimRight(strings.TrimLeft(stem, " "), " .")
}

// fold is equal for names that some file system takes for one.
func fold(name string) string {
	return norm.NFC.String(cases.Fold().String(norm.NFC.String(name)))
}

// quote writes text as one word for a shell.
func quote(text string) string {
	plain := !strings.ContainsFunc(text, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("./_-", r))
	})
	if plain {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
