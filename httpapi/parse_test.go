package httpapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"dalel/internal/fault"
	"dalel/projections"
)

// FuzzRequestedPart: whatever the header says, the part lies within the
// content, or the answer is that it does not.
func FuzzRequestedPart(f *testing.F) {
	for _, header := range []string{"", "bytes=0-", "bytes=5-9", "bytes=-3", "bytes=-", "bytes=9-5", "bytes=0-1,3-4", "bytes=99999999999999999999-", "bytes=1--"} {
		f.Add(header, int64(10))
		f.Add(header, int64(0))
	}
	f.Fuzz(func(t *testing.T, header string, size int64) {
		if size < 0 {
			t.Skip()
		}
		got, err := requestedPart(&http.Request{Method: http.MethodGet, Header: http.Header{"Range": {header}}}, `"x"`, size)
		switch {
		case err != nil:
			require.Equal(t, fault.RangeInvalid, fault.CodeOf(err))
		case got.whole:
			require.Equal(t, part{length: size, whole: true}, got)
		default:
			require.GreaterOrEqual(t, got.from, int64(0))
			require.Positive(t, got.length)
			require.LessOrEqual(t, got.length, size-got.from)
		}
	})
}

// FuzzTakeoutPlace: what is read as a cursor is written as the same one.
func FuzzTakeoutPlace(f *testing.F) {
	f.Add(takeoutPlace{asOf: 7, direction: projections.Out}.String())
	f.Add(takeoutPlace{asOf: 7, direction: projections.In, after: "abc"}.String())
	f.Add("zzz")
	f.Fuzz(func(t *testing.T, text string) {
		place, err := parseTakeoutPlace(text)
		if err != nil {
			require.Equal(t, fault.CursorInvalid, fault.CodeOf(err))
			return
		}
		require.Equal(t, text, place.String())
	})
}

func TestAPartEndsWhereTheWholeHasEndedWell(t *testing.T) {
	const text = "0123456789"
	read := func(content io.Reader, skip, left int64) (string, error) {
		got, err := io.ReadAll(&window{ctx: context.Background(), content: content, skip: skip, left: left})
		return string(got), err
	}
	for _, content := range []func() io.Reader{
		func() io.Reader { return strings.NewReader(text) },
		func() io.Reader { return iotest.OneByteReader(strings.NewReader(text)) },
		func() io.Reader { return iotest.DataErrReader(strings.NewReader(text)) },
	} {
		got, err := read(content(), 3, 4)
		require.NoError(t, err)
		require.Equal(t, "3456", got)
		got, err = read(content(), 9, 1)
		require.NoError(t, err)
		require.Equal(t, "9", got)
	}
	for name, left := range map[string]int64{"shorter than it should be": 8, "ending before its part": 100} {
		_, err := read(strings.NewReader(text), 3, left)
		require.Equal(t, fault.BlobCorrupt, fault.CodeOf(err), name)
	}
	_, err := read(strings.NewReader(text), 11, 1)
	require.Equal(t, fault.BlobCorrupt, fault.CodeOf(err))
	failed := errors.New("the check failed")
	_, err = read(io.MultiReader(strings.NewReader(text), iotest.ErrReader(failed)), 3, 4)
	require.ErrorIs(t, err, failed, "also behind the part")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = io.ReadAll(&window{ctx: ctx, content: strings.NewReader(text), skip: 3, left: 4})
	require.ErrorIs(t, err, context.Canceled, "nobody waits for it any more")
}
