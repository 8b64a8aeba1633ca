package esdbserver

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// FreshPrefix adds a stream prefix to a connection string that no ledger has
// had: a test that takes one may run on a server that others have used, and
// beside them. The prefix is the adapter's; the client itself does not take
// such a string.
func FreshPrefix(connection string) (with, prefix string) {
	prefix = fmt.Sprintf("test.%016x.", rand.Uint64())
	separator := "?"
	if strings.Contains(connection, "?") {
		separator = "&"
	}
	return connection + separator + "streamPrefix=" + prefix, prefix
}
