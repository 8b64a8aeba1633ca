package health

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// DefaultTolerance is how far clocks may differ: nodes of one ledger are
// expected to keep their time by NTP.
const DefaultTolerance = time.Minute

// Clock knows the newest time that was ever seen, on this node's clock or in
// what is recorded, and so whether the clock was set back.
type Clock struct {
	// Folder is where a file is written, whose time is compared: that of another
	// machine where the folder lies on one. None is if it is "".
	Folder string
	// Tolerance is DefaultTolerance unless set.
	Tolerance time.Duration
	// Now is time.Now unless set.
	Now func() time.Time

	mu     sync.Mutex
	newest time.Time
}

// Saw takes a time at which something was recorded, here or by another node.
func (c *Clock) Saw(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	// Without its monotonic part, which setting the clock does not change.
	if at = at.Round(0); at.After(c.newest) {
		c.newest = at
	}
}

// Check compares the clock with what it has seen, and with the folder's.
func (c *Clock) Check(context.Context) Finding {
	tolerance := c.Tolerance
	if tolerance <= 0 {
		tolerance = DefaultTolerance
	}
	clock := c.Now
	if clock == nil {
		clock = time.Now
	}
	now := clock().Round(0)
	c.mu.Lock()
	behind := c.newest.Sub(now)
	c.mu.Unlock()
	if behind > tolerance {
		return Bad(CodeClockSetBack, fmt.Sprintf("the clock is %s behind the newest time that was seen", behind.Round(time.Second)))
	}
	c.Saw(now)
	if c.Folder == "" {
		return Well("")
	}
	stamped, err := touch(filepath.Join(c.Folder, ".health"))
	if err != nil {
		return Bad(CodeDiskFailed, "the node's folder cannot be written to")
	}
	if differs := stamped.Sub(now).Abs(); differs > tolerance {
		return Bad(CodeClockDiffers, fmt.Sprintf("the clock and that of the node's folder are %s apart", differs.Round(time.Second)))
	}
	return Well("")
}

// touch writes a small file and returns when its file system says it was.
func touch(path string) (time.Time, error) {
	if err := os.WriteFile(path, []byte{'\n'}, 0o600); err != nil {
		return time.Time{}, err
	}
	written, err := os.Stat(path)
	if removed := os.Remove(path); err == nil {
		err = removed
	}
	if err != nil {
		return time.Time{}, err
	}
	return written.ModTime(), nil
}
