package main

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	blobfile "dalel/blobs/file"
)

func TestR_G3_ARuleThatIsMadeLongerLocksWhatIsKeptAlready(t *testing.T) {
	dir := played(t)
	longest := func() (until time.Time) {
		store, err := blobfile.Open(filepath.Join(dir, blobsDir))
		require.NoError(t, err)
		defer store.Close()
		for info, err := range store.All(t.Context()) {
			require.NoError(t, err)
			lock, err := store.Lock(t.Context(), info.Digest)
			require.NoError(t, err)
			if lock.Until.After(until) {
				until = lock.Until
			}
		}
		return until
	}
	before := longest()
	require.True(t, before.After(time.Now().AddDate(9, 11, 0)) && before.Before(time.Now().AddDate(10, 1, 0)), before)
	putSettings(t, dir, `{"name":"Dalel","retention":{"rules":[
		{"record":"document","period":"P15Y","from":"ended"},{"record":"journal","period":"P10Y","from":"recorded"},
		{"record":"delivery","period":"P3Y","from":"delivered"},{"record":"consent","period":"P5Y","from":"ended"}]}}`)
	status, out, stderr := dalel(t, "retain", "--dir", dir)
	require.Zero(t, status, out+stderr)
	after := longest()
	require.True(t, after.After(time.Now().AddDate(14, 11, 0)), after)

	putSettings(t, dir, `{"name":"Dalel"}`)
	status, out, stderr = dalel(t, "retain", "--dir", dir)
	require.Zero(t, status, out+stderr)
	require.Equal(t, after, longest(), "what is locked stays locked")

	putSettings(t, dir, `{"name":"Dalel","retention":{"rules":[{"record":"document","period":"P1Y","from":"ended"}]}}`)
	status, _, stderr = dalel(t, "retain", "--dir", dir)
	require.Equal(t, 2, status)
	require.Contains(t, stderr, "config.invalid", "no rule is shorter than the law")
}
