package fsck_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dalel/blobs"
	"dalel/domain/certificate"
	"dalel/domain/document"
	"dalel/domain/founding"
	"dalel/domain/fsck"
	"dalel/domain/participant"
)

// TestR_G3_EveryEventThatKeepsContentSaysWhich fills every type of event that
// has an address among the blobs: content that no reference names would be
// swept away as an upload that came to nothing.
func TestR_G3_EveryEventThatKeepsContentSaysWhich(t *testing.T) {
	kept := 0
	for _, definition := range slices.Concat(document.Events(), participant.Events(), certificate.Events()) {
		name := definition.Zero.EventType()
		filled, stored := reflect.New(reflect.TypeOf(definition.Zero)).Elem(), 0
		fill(filled, &stored)
		if stored == 0 {
			continue
		}
		kept++
		references, err := fsck.References(filled.Interface().(interface{ EventType() string }))
		require.NoError(t, err, name)
		require.NotEmpty(t, references, "%s keeps content that no reference names", name)
	}
	require.GreaterOrEqual(t, kept, 7)
}

func TestR_M8_TheFoundingNamesTheMarkAmongTheContent(t *testing.T) {
	mark := founding.Mark("0b3c9f0e-52d0-4c0a-9c3e-6f3c2f0a7d11")
	references, err := fsck.References(founding.Founded{Content: blobs.Sum(mark).String(), Bytes: int64(len(mark))})
	require.NoError(t, err)
	require.Len(t, references, 1)
	require.Equal(t, blobs.Sum(mark), references[0].Address())
}

// fill gives every text the form of a hash, every list one element, and counts
// the addresses among the blobs.
func fill(v reflect.Value, stored *int) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(strings.Repeat("ab", 32))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), stored)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), stored)
	case reflect.Struct:
		for i := range v.NumField() {
			field := v.Type().Field(i)
			if !field.IsExported() {
				return
			}
			if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); name == "stored" || name == "sha256" && v.Type() == reflect.TypeFor[certificate.Revoked]() {
				*stored++
			}
			fill(v.Field(i), stored)
		}
	}
}
