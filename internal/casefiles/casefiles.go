// Package casefiles finds folders with inputs of other people's making for tests:
// signatures on which a verdict was once wrong, and the test suite of NIST for
// certificate paths. They are read from outside the checkout: from the folder that
// an environment variable names, else from the one beside the checkout.
//
//	folder := casefiles.Folder(t, "DALEL_PKITS", "pkits")
//
// A test without the folder is skipped and says so in one line; a variable that
// names no folder is a mistake and fails.
package casefiles

import (
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
)

// Folder returns the folder that the variable names, else shared/name beside the
// checkout. It skips the test if there is none.
func Folder(tb testing.TB, variable, name string) string {
	tb.Helper()
	if folder := os.Getenv(variable); folder != "" {
		if !isFolder(folder) {
			tb.Fatalf("%s names no folder: %s", variable, folder)
		}
		return folder
	}
	root, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			break
		}
		parent := filepath.Dir(root)
		if parent == root {
			tb.Skipf("the test does not run in a checkout (%s names the folder)", variable)
		}
		root = parent
	}
	folder := filepath.Join(filepath.Dir(root), "shared", name)
	if !isFolder(folder) {
		tb.Skipf("there is no folder shared/%s beside the checkout (%s names it)", name, variable)
	}
	return folder
}

// Read returns a file of the folder.
func Read(tb testing.TB, elements ...string) []byte {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join(elements...))
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// DER returns a file of the folder, out of PEM where it is that.
func DER(tb testing.TB, elements ...string) []byte {
	tb.Helper()
	data := Read(tb, elements...)
	if block, _ := pem.Decode(data); block != nil {
		return block.Bytes
	}
	return data
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
