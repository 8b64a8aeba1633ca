//go:build !unix

package filelock

import "os"

// Own returns [ErrUnsupported].
func Own(string) (*os.File, error) { return nil, ErrUnsupported }
