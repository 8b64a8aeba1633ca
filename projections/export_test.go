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
			names = append(names, name)
		}
	}
	return names
}
