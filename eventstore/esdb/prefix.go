package esdb

import (
	"net/url"
	"regexp"
	"strings"

	"dalel/eventstore"
	"dalel/internal/fault"
)

// PrefixParameter is the parameter of a connection string that names the
// prefix of a ledger's streams, and DefaultPrefix what it is when left out.
const (
	PrefixParameter = "streamPrefix"
	DefaultPrefix   = "dalel."
)

// prefix is what the names of a ledger's streams begin with on the server. It
// ends with a dot and a category holds none, so that no stream of one ledger
// can be taken for one of another whose prefix goes on from there.
type prefix string

var prefixForm = regexp.MustCompile(`^[a-z0-9]+(\.[a-z0-9]+)*\.$`)

// maxPrefix is the most bytes of a prefix.
const maxPrefix = 64

// cutPrefix takes the prefix out of a connection string, for the client's
// parser knows nothing of it. No error repeats the string, which may hold a
// password.
func cutPrefix(connection string) (rest string, _ prefix, err error) {
	before, query, found := strings.Cut(connection, "?")
	if !found {
		return connection, DefaultPrefix, nil
	}
	var others, given []string
	for _, parameter := range strings.Split(query, "&") {
		// The client reads the names of its own without regard to case.
		if name, value, _ := strings.Cut(parameter, "="); strings.EqualFold(name, PrefixParameter) {
			given = append(given, value)
		} else {
			others = append(others, parameter)
		}
	}
	if len(others) > 0 {
		before += "?" + strings.Join(others, "&")
	}
	switch len(given) {
	case 0:
		return before, DefaultPrefix, nil
	case 1:
	default:
		return "", "", fault.New(fault.ConfigInvalid, "the connection string of the event store names %s %d times", PrefixParameter, len(given))
	}
	value, err := url.QueryUnescape(given[0])
	if err != nil || len(value) > maxPrefix || !prefixForm.MatchString(value) {
		return "", "", fault.New(fault.ConfigInvalid,
			"%s of the event store: lower-case letters and digits, in parts that each end with a dot, such as %q or %q; at most %d bytes",
			PrefixParameter, DefaultPrefix, DefaultPrefix+"test.", maxPrefix)
	}
	return before, prefix(value), nil
}

// servers returns a ledger stream's name on the server.
func (p prefix) servers(stream eventstore.StreamID) string { return string(p) + string(stream) }

// ledgers returns the ledger's name of a stream of the server, or "" if it is
// another's.
func (p prefix) ledgers(stream string) eventstore.StreamID {
	name, ok := strings.CutPrefix(stream, string(p))
	if !ok {
		return ""
	}
	return eventstore.StreamID(name)
}

// regex asks the server for the ledger's streams. It names no categories, so
// that an older node beside a newer one is sent the same events and computes
// the same root.
func (p prefix) regex() string { return "^" + regexp.QuoteMeta(string(p)) + "[a-z]+-" }
