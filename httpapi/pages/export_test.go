package pages

// Bound sets how many entries files of journals have, for tests.
func (j *Journals) Bound(rows, pdfRows int) { j.rows, j.pdfRows = rows, pdfRows }
