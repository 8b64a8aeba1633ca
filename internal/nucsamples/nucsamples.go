// Package nucsamples finds files of НУЦ РК's own making for tests: certificates,
// signatures, OCSP answers, revocation lists and time tokens. They are nobody's
// to copy, so they are read from outside the checkout: from the folder that
// DALEL_NUC_SAMPLES names, else from shared/nuc-samples beside the checkout.
//
//	for _, file := range nucsamples.All(t) { … }
//
// A test without samples is skipped and says so in one line; a variable that
// names no folder is a mistake and fails.
package nucsamples

import (
	"bytes"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Variable names the folder with samples.
const Variable = "DALEL_NUC_SAMPLES"

// File is one sample.
type File struct {
	// Path is relative to the folder, with slashes.
	Path string
	// Data is what the file has, DER the same out of PEM or base64; it is Data
	// where that is neither.
	Data, DER []byte
}

// All returns every sample, by path. It skips the test if there are none.
func All(tb testing.TB) []File {
	tb.Helper()
	folder, err := find()
	if err != nil {
		tb.Fatal(err)
	}
	if folder == "" {
		tb.Skip("there are no samples of the national authority (" + Variable + " names their folder)")
	}
	files, err := read(folder)
	if err != nil {
		tb.Fatal(err)
	}
	return files
}

// Read returns one sample. It skips the test if there is none.
func Read(tb testing.TB, path string) []byte {
	tb.Helper()
	for _, file := range All(tb) {
		if file.Path == path {
			return file.Data
		}
	}
	tb.Skip("there is no sample " + path)
	return nil
}

// Seed adds every sample of at most limit bytes to a fuzz target that takes one
// value: as it is, and out of PEM or base64. Without samples it adds nothing.
func Seed(f *testing.F, limit int) {
	f.Helper()
	for _, data := range Small(f, limit) {
		f.Add(data)
	}
}

// Small returns every sample of at most limit bytes: as it is, and out of PEM or
// base64. Without samples there are none.
func Small(f *testing.F, limit int) [][]byte {
	f.Helper()
	folder, err := find()
	if err != nil {
		f.Fatal(err)
	}
	if folder == "" {
		return nil
	}
	files, err := read(folder)
	if err != nil {
		f.Fatal(err)
	}
	var small [][]byte
	for _, file := range files {
		if len(file.DER) <= limit {
			small = append(small, file.DER)
		}
		if len(file.Data) <= limit && !bytes.Equal(file.Data, file.DER) {
			small = append(small, file.Data)
		}
	}
	return small
}

// find returns the folder, "" if there is none.
func find() (string, error) {
	if folder := os.Getenv(Variable); folder != "" {
		if info, err := os.Stat(folder); err != nil || !info.IsDir() {
			return "", fmt.Errorf("%s names no folder: %s", Variable, folder)
		}
		return folder, nil
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the samples: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", nil
		}
		dir = parent
	}
	folder := filepath.Join(filepath.Dir(dir), "shared", "nuc-samples")
	if info, err := os.Stat(folder); err != nil || !info.IsDir() {
		return "", nil
	}
	return folder, nil
}

func read(folder string) ([]File, error) {
	var files []File
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		files = append(files, File{filepath.ToSlash(relative), data, binary(data)})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the samples: %w", err)
	}
	return files, nil
}

// binary takes PEM and base64 to bytes.
func binary(data []byte) []byte {
	if block, _ := pem.Decode(data); block != nil {
		return block.Bytes
	}
	packed := strings.Join(strings.Fields(string(data)), "")
	if der, err := base64.StdEncoding.DecodeString(packed); err == nil && len(der) > 0 {
		return der
	}
	return data
}
