package pki

import (
	"encoding/binary"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhatIsRememberedIsBounded(t *testing.T) {
	var c checked
	var group sync.WaitGroup
	for worker := range uint64(4) {
		group.Go(func() {
			for i := range uint64(3 * maxChecked) {
				var name [32]byte
				binary.BigEndian.PutUint64(name[:], i*4+worker)
				c.add(name)
				c.has(name)
			}
		})
	}
	group.Wait()
	require.LessOrEqual(t, len(c.new), maxChecked)
	require.LessOrEqual(t, len(c.old), maxChecked)
	require.False(t, c.has([32]byte{}))
}
