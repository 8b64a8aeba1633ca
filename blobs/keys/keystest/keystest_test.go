package keystest_test

import (
	"testing"

	"dalel/blobs/keys"
	"dalel/blobs/keys/keystest"
)

func TestMemory(t *testing.T) {
	keystest.Run(t, func(t *testing.T) keystest.Instance {
		store := keystest.NewMemory()
		return keystest.Instance{Store: store, Open: func(*testing.T) keys.Store { return store }}
	})
}
