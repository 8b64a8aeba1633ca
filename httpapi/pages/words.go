package pages

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
