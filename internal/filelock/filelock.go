// Package filelock makes one process the owner of something on disk.
package filelock

import "errors"

// ErrHeld means that another process, or this one, holds the lock.
var ErrHeld = errors.New("held by another process")

// ErrUnsupported means that the system has no such lock. Who gets it must not
// go on: without a lock two processes could write one file.
var ErrUnsupported = errors.New("this system has no flock")
