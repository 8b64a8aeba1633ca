//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package file

import (
	"errors"
	"os"
	"syscall"
)

// noRoom reports whether err means a full file system, a used-up quota, or a
// limit on the size of a file.
func noRoom(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}

// lockAlone takes the exclusive lock if nobody else holds any. The system lets
// go of it when the process ends, however it ends.
func lockAlone(lock *os.File) (bool, error) {
	err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}

// lockShared takes, or goes down to, the shared lock. It waits at most for
// another process that is tidying up.
func lockShared(lock *os.File) error { return wait(lock, syscall.LOCK_SH) }

// lockExclusive takes the exclusive lock and waits for whoever holds it.
func lockExclusive(lock *os.File) error { return wait(lock, syscall.LOCK_EX) }

func wait(lock *os.File, how int) error {
	for {
		err := syscall.Flock(int(lock.Fd()), how)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

func syncFolder(dir *os.File) error { return dir.Sync() }
