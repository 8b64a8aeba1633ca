// Package durable puts files in place whole and on stable storage. Whatever
// happens meanwhile, a crash or a loss of power included, there is afterwards the
// new file, or what was there before: never half of one, and never an empty one
// under a name that means something.
//
// A crash may leave a file named .part-…, which nobody reads.
package durable

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// ErrUnsure means that it cannot be told whether what was there before is still
// there, or what was to take its place.
var ErrUnsure = errors.New("it cannot be told which of both is on disk")

// Replace puts a file in place, for its owner alone, whether there was one or
// not. The folder must be there. An error that is not [ErrUnsure] means that
// nothing was changed.
func Replace(path string, content []byte) error {
	return ReplaceWith(path, func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	})
}

// ReplaceWith is [Replace] for what is not held in memory as a whole: fill
// writes it. Where that fails, nothing was changed.
func ReplaceWith(path string, fill func(io.Writer) error) error {
	part, err := write(path, fill, 0o600)
	if err != nil {
		return err
	}
	if err := os.Rename(part, path); err != nil {
		return errors.Join(ErrUnsure, err)
	}
	if err := SyncFolder(filepath.Dir(path)); err != nil {
		return errors.Join(ErrUnsure, err)
	}
	return nil
}

// Create puts a file in place that must not be there yet: an error that is
// [fs.ErrExist] if it is. Folders that are missing on the way to it are made, for
// their owner alone.
func Create(path string, content []byte, mode fs.FileMode) error {
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	part, err := write(path, func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	}, mode)
	if err != nil {
		return err
	}
	defer os.Remove(part) // nobody reads it; after a rename it is not there
	// A link takes no other file's place, which a rename would.
	switch err := os.Link(part, path); {
	case err == nil:
	case errors.Is(err, fs.ErrExist):
		return err
	default: // a file system without links
		if _, err := os.Lstat(path); err == nil {
			return fmt.Errorf("make %s: %w", path, fs.ErrExist)
		}
		if err := os.Rename(part, path); err != nil {
			return err
		}
	}
	return SyncFolder(folder)
}

// SyncFolder brings the names in a folder to stable storage.
func SyncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// write has content written beside path and returns the name.
func write(path string, fill func(io.Writer) error, mode fs.FileMode) (string, error) {
	part, err := os.CreateTemp(filepath.Dir(path), ".part-*")
	if err != nil {
		return "", err
	}
	err = fill(part)
	if err = errors.Join(err, part.Chmod(mode), part.Sync(), part.Close()); err != nil {
		return "", errors.Join(fmt.Errorf("write %s: %w", path, err), os.Remove(part.Name()))
	}
	return part.Name(), nil
}
