package projections

import "strings"

// Path is where the models' file is.
func (m *Models) Path() string { return m.path }

// TableNames are the names of all tables, in the order of the schema.
func TableNames() []string {
	var names []string
	for _, statement := range tables {
		if rest, ok := strings.CutPrefix(statement, "CREATE TABLE "); ok {
			name, _, _ := strings.Cut(rest, " ")
			if name == "upkeep" {
				continue // it says how the file is kept, and nothing of the events
			}
			names = append(names, name)
		}
	}
	return names
}

// Pending reports whether words that were destroyed may still be among the
// file's bytes.
func (m *Models) Pending() bool {
	m.writing.Lock()
	defer m.writing.Unlock()
	return m.writer.file.upkeep.pending()
}

// Clean is what a pass over the file makes of one page.
func Clean(page []byte, isFirst bool) ([]byte, error) { return clean(page, isFirst) }
