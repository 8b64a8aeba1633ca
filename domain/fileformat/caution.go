package fileformat

import "slices"

// Caution is a stable code for something that the reader of a good file should
// know: it can make the file look different later or elsewhere, or it lies in
// the file where nobody sees it (R-D2). Such a file is taken, and its cautions
// stand on the document. They hold nothing of the file's text.
type Caution string

// The cautions.
const (
	// CautionTrailer: bytes come behind the end of the picture, as phones and
	// cameras write them. No program shows them.
	CautionTrailer Caution = "file.trailer"
)

// Cautions returns every caution there is, sorted.
func Cautions() []Caution {
	return []Caution{CautionTrailer}
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
