package fault_test

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"dalel/internal/fault"
)

func TestEveryCodeStandsInTheCatalogueOnceAndIsWellFormed(t *testing.T) {
	form := regexp.MustCompile(`^[a-z]+(-[a-z]+)*(\.[a-z]+(-[a-z]+)*)?$`)
	seen := map[fault.Code]bool{}
	for _, d := range fault.Catalogue() {
		require.Regexp(t, form, string(d.Code))
		require.False(t, seen[d.Code], d.Code)
		seen[d.Code] = true
		require.NotEmpty(t, d.Title, d.Code)
		require.GreaterOrEqual(t, d.Kind, fault.KindInvalid)
		require.LessOrEqual(t, d.Kind, fault.KindInternal)
		require.Equal(t, d, fault.Lookup(d.Code))
	}
	require.Equal(t, fault.KindInternal, fault.Lookup("no.such-code").Kind, "what is not known is our fault")
}

func TestTheOutermostCodeCounts(t *testing.T) {
	inner := fault.Wrap(fault.StorageFull, io.ErrShortWrite, "no room for %d bytes", 7)
	wrapped := fmt.Errorf("append to document-1: %w", inner)
	require.Equal(t, fault.StorageFull, fault.CodeOf(wrapped))
	require.True(t, fault.Is(wrapped, fault.StorageFull))
	require.ErrorIs(t, wrapped, io.ErrShortWrite)
	require.Equal(t, fault.StoreFailed, fault.CodeOf(fault.Wrap(fault.StoreFailed, wrapped, "")))
	require.Equal(t, fault.Internal, fault.CodeOf(errors.New("something")))
	require.Equal(t, fault.Code(""), fault.CodeOf(nil))
	require.False(t, fault.Is(nil, ""))
	require.Equal(t, "storage.full: no room for 7 bytes: short write", inner.Error())
}
