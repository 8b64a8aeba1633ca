// Package nucsamples finds files of НУЦ РК's own making for tests: certificates,
// signatures, OCSP answers, revocation lists and time tokens. They are nobody's
// to copy, so they are read from outside the checkout: from the folder that
// DALEL_NUC_SAMPLES names, else from shared/nuc-samples beside the checkout.
//
//	for _, file := range nucsamples.All(t) { … }
//	for _, file := range nucsamples.Known(t) { … }
//
// Anybody may put further files into the folder, of any kind and in any state. A
// test of [All] therefore demands what must hold of every file, whatever it is,
// and logs what it cannot tell; what files come to is demanded of [Known] alone.
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
	"slices"
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

// names are the files whose contents tests know, by path.
func names() []string {
	return []string{
		"ca-production/nca_gost.pem",
		"ca-production/nca_gost_2022.pem",
		"ca-production/nca_rsa.pem",
		"ca-production/nca_rsa_2022.cer",
		"ca-production/root_gost.pem",
		"ca-production/root_gost_2020.cer",
		"ca-production/root_gost_2022.pem",
		"ca-production/root_rsa.pem",
		"ca-production/root_rsa_2020.cer",
		"ncanode/CmsServiceTest.SIGNED_CMS.cms",
		"ncanode/XmlServiceTest.XML_SIGNED_VALID_STRING_TWO_SIGNERS.xml",
		"ncanode/ca/nca_gost2015_test.cer",
		"ncanode/ca/nca_gost_test.crt",
		"ncanode/ca/nca_rsa_test.crt",
		"ncanode/crl/nca_gost2022_test.crl",
		"ncanode/crl/nca_gost_test.crl",
		"ncanode/crl/nca_rsa_test.crl",
		"ncanode/ocsp/ocsp_response_ceo_2015_revoked.bin",
		"ncanode/ocsp/ocsp_response_individual_2015.bin",
		"ncanode/ocsp/ocsp_response_individual_sign_2004.bin",
		"ncanode/tsp/tsp_response.bin",
		"ncanode/tsp/tsp_token.bin",
		"skarm-kalkan/CMS_for_double_sign.txt",
		"skarm-kalkan/certs/nca_gost2022_d_test.crl",
		"skarm-kalkan/certs/nca_gost2022_test.cer",
		"skarm-kalkan/certs/nca_gost2022_test.crl",
		"skarm-kalkan/certs/root_test_gost_2022.cer",
		"skarm-kalkan/cms/individual_attached.der",
		"skarm-kalkan/cms/individual_detached.der",
		"skarm-kalkan/cms/individual_document.txt",
		"skarm-kalkan/cms/individual_signer.cer",
		"skarm-kalkan/cms/legal_entity_attached.der",
		"skarm-kalkan/cms/legal_entity_detached.der",
		"skarm-kalkan/cms/legal_entity_document.txt",
		"skarm-kalkan/cms/legal_entity_signer.cer",
		"skarm-kalkan/test_CERT_GOST.txt",
		"skarm-kalkan/test_xml.xml",
		"skarm-kalkan/text.txt",
	}
}

// Known returns the samples whose contents tests know, by path. It skips the test
// unless all of them are there.
func Known(tb testing.TB) []File {
	tb.Helper()
	there := map[string]File{}
	for _, file := range All(tb) {
		there[file.Path] = file
	}
	var known []File
	for _, name := range names() {
		file, ok := there[name]
		if !ok {
			tb.Skip("there is no sample " + name)
		}
		known = append(known, file)
	}
	return known
}

// IsKnown says whether tests know what the file at the path has.
func IsKnown(path string) bool { return slices.Contains(names(), path) }

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
		if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
			return nil // a link to nowhere, or to a folder: no sample
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
