//go:build linux || darwin

package health

import "syscall"

// Free returns how many bytes of the disk under a path this user may still
// write.
func Free(path string) (uint64, error) {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(path, &stat); err != nil {
		return 0, err
	}
	return uint64(stat.Bavail) * uint64(stat.Bsize), nil
}
