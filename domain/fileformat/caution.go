package fileformat

import "slices"

// Caution is a stable code for something that the reader of a good file should
// know: it can make the file look different later or elsewhere, or it lies in
// the file where nobody sees it (R-D2). Such a file is taken, and its cautions
// stand on the document. They hold nothing of the file's text.
//
// They say what is there, not that it does anything: a PDF's script may be one
// that formats dates. That there are none says no more than that none of these
// was found; CautionNotLookedInto says that not even that is known.
type Caution string

// The cautions.
const (
	// CautionAction: something happens on opening, printing or clicking: a
	// program is started, data are sent or brought in, parts are shown or hidden.
	CautionAction Caution = "file.action"
	// CautionChanging: a field or formula gives something else each time: the
	// day's date, a random number.
	CautionChanging Caution = "file.changing"
	// CautionEmbedded: other files, programs' objects or media are in it.
	CautionEmbedded Caution = "file.embedded"
	// CautionForm: it has fields to fill in.
	CautionForm Caution = "file.form"
	// CautionLayers: it has layers that can be shown and hidden.
	CautionLayers Caution = "file.layers"
	// CautionLink: it has links that lead out of it. What they lead to is not
	// part of it.
	CautionLink Caution = "file.link"
	// CautionNotLookedInto: a part of it could not be looked into, or not
	// without more work than is spent on a file.
	CautionNotLookedInto Caution = "file.not-looked-into"
	// CautionOutside: a part of what is shown is somewhere else: a picture, a
	// template, a style sheet, a table's or a program's data.
	CautionOutside Caution = "file.outside"
	// CautionScript: it holds a program (JavaScript, Basic).
	CautionScript Caution = "file.script"
	// CautionTrailer: bytes come behind the end of the picture, as phones and
	// cameras write them. No program shows them.
	CautionTrailer Caution = "file.trailer"
	// CautionXFA: it has a second form of its contents (XFA) that some programs
	// show in place of the pages.
	CautionXFA Caution = "file.xfa"
)

// Cautions returns every caution there is, sorted.
func Cautions() []Caution {
	return []Caution{
		CautionAction, CautionChanging, CautionEmbedded, CautionForm, CautionLayers, CautionLink,
		CautionNotLookedInto, CautionOutside, CautionScript, CautionTrailer, CautionXFA,
	}
}

// Ordered reports whether cautions are known ones, sorted, each once: a list as
// [Format.Check] gives it.
func Ordered(cautions []Caution) bool {
	for i, c := range cautions {
		if !slices.Contains(Cautions(), c) || i > 0 && cautions[i-1] >= c {
			return false
		}
	}
	return true
}
