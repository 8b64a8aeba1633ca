//go:build !unix

package sqlite

import (
	"os"

	"dalel/internal/fault"
)

// lockFile refuses: without a lock two processes could write one ledger.
func lockFile(string) (*os.File, error) {
	return nil, fault.New(fault.NotSupported, "the embedded event store needs a system with flock")
}
