package blobtest_test

import (
	"testing"

	"dalel/blobs/blobtest"
)

func TestMemoryObjects_keepTheContract(t *testing.T) {
	blobtest.RunObjects(t, func(*testing.T) blobtest.ObjectsInstance {
		return blobtest.ObjectsInstance{Objects: &blobtest.MemoryObjects{}}
	})
}
