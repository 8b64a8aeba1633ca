//go:build !unix

package projections

import (
	"os"

	"dalel/internal/fault"
)

// lockFile refuses: without a lock two processes could write one file.
func lockFile(string) (*os.File, error) {
	return nil, fault.New(fault.NotSupported, "read models need a system with flock")
}
