//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package file

import (
	"errors"
	"os"
	"runtime"
	"syscall"
)

// noRoom reports whether err means a full file system.
func noRoom(err error) bool {
	if runtime.GOOS == "windows" {
		const handleDiskFull, diskFull = syscall.Errno(39), syscall.Errno(112)
		return errors.Is(err, handleDiskFull) || errors.Is(err, diskFull)
	}
	return errors.Is(err, syscall.ENOSPC)
}

// Without a lock that ends with its process nobody can be sure to be alone;
// leftovers then stay, which costs room and nothing else.
func lockAlone(*os.File) (bool, error) { return false, nil }

func lockShared(*os.File) error { return nil }

func lockExclusive(*os.File) error { return nil }

// A folder cannot be synced here: its entries are as safe as the file system
// makes them.
func syncFolder(*os.File) error { return nil }
