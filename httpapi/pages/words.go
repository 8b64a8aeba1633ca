package pages

import "dalel/domain/document"

// Words gives messages of the catalogue to what is not a page, such as copies
// for paper.
type Words struct{ catalogue catalogue }

// NewWords reads the catalogue.
func NewWords() (Words, error) {
	c, err := readCatalogue(messages)
	return Words{c}, err
}

// Text returns a message in "ru", "kk" or "en".
func (w Words) Text(language, key string) string { return w.catalogue.text(Language(language), key) }

// Standing says in a sentence whether a signature stands, and if not since when
// and by whose word.
func (w Words) Standing(language string, standing document.Standing) string {
	return words{Lang: Language(language), catalogue: w.catalogue}.standing(standing)
}
