package s3_test

import (
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/stretchr/testify/require"

	"dalel/blobs/keys"
	"dalel/blobs/keys/master"
	"dalel/internal/sealing"
)

func TestARingOfTwoNodesInABucketIsRotatedAndLosesNothing(t *testing.T) {
	u, client := service(t)
	name := bucket(t, client, minio.MakeBucketOptions{})
	m, err := master.MakeFile(filepath.Join(t.TempDir(), "master"))
	require.NoError(t, err)
	var rings [2]*keys.Ring
	for i := range rings {
		rings[i], err = keys.OpenRing(t.Context(), open(t, config(u, name)), m, keys.RingOptions{Fresh: -1})
		require.NoError(t, err)
	}
	made := make([]sealing.Key, 200)
	make := func(from, to int) {
		var group sync.WaitGroup
		for w := range 8 {
			group.Go(func() {
				for i := from + w; i < to; i += 8 {
					key, err := rings[i%2].Make(t.Context(), fmt.Sprintf("document-%d", i))
					if err != nil {
						t.Errorf("make: %v", err)
					}
					made[i] = key
				}
			})
		}
		group.Wait()
	}
	make(0, 100)
	var second sync.WaitGroup
	second.Go(func() { make(100, 200) }) // while the other rotates
	_, err = rings[0].Rotate(t.Context(), m, nil)
	require.NoError(t, err)
	second.Wait()
	last, err := keys.OpenRing(t.Context(), open(t, config(u, name)), m, keys.RingOptions{})
	require.NoError(t, err)
	for i, want := range made {
		key, err := last.Key(t.Context(), fmt.Sprintf("document-%d", i))
		require.NoError(t, err)
		require.True(t, want == key, "document-%d has another key", i)
	}
}
