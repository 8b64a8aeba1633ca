package fileformat

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"dalel/domain/wording"
	"dalel/internal/fault"
)

const (
	// MaxNameRunes is the most characters of a file's name.
	MaxNameRunes = 150
	// MaxNameBytes is the most bytes of a file's name in UTF-8: file systems
	// take 255, and a signature kept beside the file adds an ending of its
	// own. It comes to 120 Cyrillic letters.
	MaxNameBytes = 240
)

// CheckName refuses, with file.invalid, a name that cannot be the name of a
// file in a ZIP on every system. A name has 1 to MaxNameRunes characters and
// at most MaxNameBytes bytes, in UTF-8 and composed (NFC, as keyboards give
// it); letters of every script, digits, marks, signs and the plain space. It
// has none of / \ : * ? " < > |, no dot or space at its beginning or end, and
// is no name of a device on Windows, such as CON or LPT1.txt. A control or
// invisible character is text.character ([wording.Characters]): some of these
// turn the text round, so that "fdp.exe" reads "exe.pdf".
//
// Names as file systems and word processors write them become such names by
// [wording.Tidy], which the caller asks for first. Two names that differ only
// by case are for the caller to refuse; see [Fold].
func CheckName(name string) error {
	switch {
	case name == "":
		return fault.New(fault.FileInvalid, "a file needs a name")
	case len(name) > MaxNameBytes || utf8.RuneCountInString(name) > MaxNameRunes:
		return fault.New(fault.FileInvalid, "a file's name has at most %d characters and %d bytes", MaxNameRunes, MaxNameBytes)
	case !utf8.ValidString(name):
		return fault.New(fault.FileInvalid, "a file's name is written in UTF-8")
	}
	for _, r := range name {
		if strings.ContainsRune(`/\:*?"<>|`, r) {
			return fault.New(fault.FileInvalid, "a file's name has no character %q", r)
		}
		if r == utf8.RuneError || !unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Z, unicode.C, unicode.Other_Default_Ignorable_Code_Point) {
			return fault.New(fault.FileInvalid, "a file's name has no character %U", r)
		}
	}
	if err := wording.Characters(name); err != nil {
		return wording.Refuse(fault.FileInvalid, "the file's name", err)
	}
	if !norm.NFC.IsNormalString(name) {
		return fault.New(fault.FileInvalid, "a file's name is in composed form (Unicode NFC)")
	}
	if first, last := name[0], name[len(name)-1]; first == '.' || first == ' ' || last == '.' || last == ' ' {
		return fault.New(fault.FileInvalid, "a file's name neither begins nor ends with a dot or a space")
	}
	if device(name) {
		return fault.New(fault.FileInvalid, "a file's name is none that means a device on Windows")
	}
	return nil
}

// device reports whether Windows takes the name for a device, whatever comes
// after its first dot.
func device(name string) bool {
	base, _, _ := strings.Cut(name, ".")
	base = strings.ToUpper(strings.TrimRight(base, " "))
	switch base {
	case "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$":
		return true
	}
	if port, ok := strings.CutPrefix(base, "COM"); ok || strings.HasPrefix(base, "LPT") {
		if !ok {
			port = base[3:]
		}
		// Superscript digits count, too.
		return utf8.RuneCountInString(port) == 1 && strings.Contains("0123456789\u00b9\u00b2\u00b3", port)
	}
	return false
}

// Fold returns a form of name that is the same for two names which a file
// system that ignores case, as on Windows and macOS, may take for one, and for
// two that nobody can tell apart: joiners and variation selectors do not count
// (HFS+ passes over them, too).
func Fold(name string) string {
	seen := wording.Seen(wording.Tidy(name))
	return norm.NFC.String(cases.Fold().String(norm.NFD.String(seen)))
}
