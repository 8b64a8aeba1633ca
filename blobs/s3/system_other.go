//go:build !unix

package s3

import (
	"errors"
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
