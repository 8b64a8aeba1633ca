//go:build unix

package s3

import (
	"errors"
	"syscall"
)

// noRoom reports whether err means a full file system, a used-up quota, or a
// limit on the size of a file.
func noRoom(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}
