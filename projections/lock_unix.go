//go:build unix

package projections

import (
	"errors"
	"os"
	"syscall"

	"dalel/internal/fault"
)

// lockFile takes the lock that makes one process the owner of the read
// models. The system lets it go when the file is closed or the process ends,
// however it ends; the file itself stays.
func lockFile(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "open the read models' lock file")
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		file.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fault.New(fault.Unavailable, "another process holds the read models open")
		}
		return nil, fault.Wrap(fault.Unavailable, err, "lock the read models")
	}
	return file, nil
}
