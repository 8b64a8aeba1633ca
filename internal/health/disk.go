package health

import (
	"context"
	"errors"
	"fmt"
)

// DefaultFreeDisk is how many bytes must be free: enough for what is under way
// to be finished, and for somebody to come.
const DefaultFreeDisk = 256 << 20

// ErrUnsupported means that it cannot be told here how much of a disk is free.
var ErrUnsupported = errors.New("this system does not say how much of a disk is free")

// Place is a folder on a disk, under a name that says what lies there.
type Place struct{ Name, Path string }

// Disks checks that every place has so much room; DefaultFreeDisk if it is 0.
func Disks(bound uint64, places ...Place) func(context.Context) Finding {
	if bound == 0 {
		bound = DefaultFreeDisk
	}
	return func(context.Context) Finding {
		for _, place := range places {
			free, err := Free(place.Path)
			switch {
			case errors.Is(err, ErrUnsupported):
				return Well(err.Error())
			case err != nil:
				return Bad(CodeDiskFailed, "it cannot be told how much room there is for the "+place.Name)
			case free < bound:
				return Bad(CodeDiskLow, fmt.Sprintf("%d MiB are free for the %s; the bound is %d", free>>20, place.Name, bound>>20))
			}
		}
		return Well("")
	}
}
