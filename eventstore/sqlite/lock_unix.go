//go:build unix

package sqlite

import (
	"errors"
	"os"
	"syscall"

	"dalel/internal/fault"
)

// lockFile takes the lock that makes one process the owner of the store. The
// system lets it go when the file is closed or the process ends, however it
// ends; the file itself stays.
func lockFile(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fault.Wrap(fault.StoreFailed, err, "open the event store's lock file")
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		file.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fault.New(fault.StoreLocked, "another process holds the event store open")
		}
		return nil, fault.Wrap(fault.StoreFailed, err, "lock the event store")
	}
	return file, nil
}
