package s3

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"dalel/blobs/keys"
)

func TestNamesSortAsSubjectsDoAndComeBack(t *testing.T) {
	printable := rapid.Custom(func(t *rapid.T) string {
		bytes := rapid.SliceOfN(rapid.ByteRange(' ', '~'), 1, keys.MaxSubject).Draw(t, "bytes")
		return string(bytes)
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := printable.Draw(t, "a"), printable.Draw(t, "b")
		if rapid.Bool().Draw(t, "near") { // most differences come early
			b = a[:rapid.IntRange(0, len(a)).Draw(t, "shared")] + b
		}
		require.Equal(t, strings.Compare(a, b), strings.Compare(nameOf(a), nameOf(b)))
		back, err := subjectOf(nameOf(a))
		require.NoError(t, err)
		require.Equal(t, a, back)
		for part := range strings.SplitSeq(nameOf(a), "/") {
			require.NotContains(t, []string{"", ".", ".."}, part)
			require.LessOrEqual(t, len(part), 255)
		}
	})
}

func TestANameThatThisProgramDoesNotWriteIsRefused(t *testing.T) {
	for _, name := range []string{"a b", "a!", "a!2", "a!zz", "a!41", "a/b", "a+/b", "a~7B", probe, "құжат"} {
		_, err := subjectOf(name)
		require.Error(t, err, name)
	}
	require.Equal(t, "document-0192.2fx", nameOf("document-0192/x"))
}
