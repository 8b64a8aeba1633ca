//go:build !linux && !darwin

package health

// Free returns [ErrUnsupported].
func Free(string) (uint64, error) { return 0, ErrUnsupported }
