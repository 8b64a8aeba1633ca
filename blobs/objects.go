package blobs

import (
	"context"
	"regexp"

	"dalel/internal/fault"
)

// Objects keeps the files of the transparency log under their names in the
// tlog-tiles layout (c2sp.org/tlog-tiles): "checkpoint", "tile/0/x001/234",
// "tile/entries/067.p/8". What lies there is public: anybody may be given a
// copy, and whoever serves the folder as it is serves the log.
//
// Unlike content, an object's name says nothing of its bytes: whoever reads
// one checks it against the tree it belongs to.
//
// All methods may be called at once from many goroutines and many processes.
// Every error is or wraps a *fault.Error, but for the context's own errors. A
// name that is not of the layout is request.invalid everywhere.
type Objects interface {
	// Put stores an object for good: when it returns nil the bytes are on
	// stable storage under their name, and when the process or the machine
	// dies before, there is either nothing under the name or all of it. The
	// same bytes again change nothing; other bytes under a known name are
	// log.conflict, and what is there stays. The name [CheckpointName] is
	// request.invalid, more than [MaxObject] bytes are request.too-large.
	// Other errors: storage.full, blob.failed.
	Put(ctx context.Context, name string, data []byte) error

	// Replace stores the object named [CheckpointName], the only one that
	// changes: whoever reads it gets the old bytes or the new ones, and when
	// it returns nil the new ones are on stable storage. Any other name is
	// request.invalid.
	Replace(ctx context.Context, name string, data []byte) error

	// Get returns an object's bytes, which are then the caller's own. An
	// unknown name is blob.not-found; something under the name that cannot be
	// an object (more than [MaxObject] bytes, no file) is blob.corrupt.
	Get(ctx context.Context, name string) ([]byte, error)
}

const (
	// CheckpointName is the name of the one object that is replaced.
	CheckpointName = "checkpoint"

	// MaxObject is the largest object in bytes: 256 entries of 65,535 bytes,
	// each after its length.
	MaxObject = 256 * (2 + 65_535)
)

// objectName is the layout: level 0 to 63 or "entries", an index of at most 21
// digits in groups of three, and for a partial tile a width of 1 to 255.
var objectName = regexp.MustCompile(`^tile/(entries|[0-9]|[1-5][0-9]|6[0-3])/(x[0-9]{3}/){0,6}[0-9]{3}(\.p/([1-9][0-9]?|1[0-9]{2}|2[0-4][0-9]|25[0-5]))?$`)

// CheckObject is nil for a name and bytes that [Objects.Put] takes. It serves
// the implementations.
func CheckObject(name string, data []byte) error {
	if !objectName.MatchString(name) {
		return fault.New(fault.RequestInvalid, "%.80q is not the name of a tile or an entry bundle", name)
	}
	return checkSize(name, data)
}

// CheckReplaced is nil for a name and bytes that [Objects.Replace] takes.
func CheckReplaced(name string, data []byte) error {
	if name != CheckpointName {
		return fault.New(fault.RequestInvalid, "%.80q is not the name of an object that may be replaced", name)
	}
	return checkSize(name, data)
}

// CheckObjectName is nil for a name that [Objects.Get] takes.
func CheckObjectName(name string) error {
	if name == CheckpointName {
		return nil
	}
	return CheckObject(name, nil)
}

func checkSize(name string, data []byte) error {
	if len(data) > MaxObject {
		return fault.New(fault.RequestTooLarge, "the object %s would have %d bytes, more than %d", name, len(data), MaxObject)
	}
	return nil
}
