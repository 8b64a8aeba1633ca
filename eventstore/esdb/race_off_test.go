//go:build !race

package esdb_test

// impatient says that some callers of the kill tests give up early.
const impatient = true
