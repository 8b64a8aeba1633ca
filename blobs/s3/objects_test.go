package s3_test

import (
	"bytes"
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/stretchr/testify/require"

	"dalel/blobs"
	"dalel/blobs/blobtest"
	"dalel/internal/fault"
)

func TestObjects_keepTheContract(t *testing.T) {
	server := testServer(t)
	blobtest.RunObjects(t, func(t *testing.T) blobtest.ObjectsInstance {
		options := server.options(t)
		options.Prefix = "some/where"
		root := server.root(t)
		return blobtest.ObjectsInstance{
			Objects: open(t, options).Objects(0),
			Beside:  func(t *testing.T) blobs.Objects { return open(t, options).Objects(0) },
			Leftovers: func(t *testing.T) []string {
				return leftovers(t, root, options)
			},
		}
	})
}

func TestObjects_lieUnderLogBesideTheContentAndAreLocked(t *testing.T) {
	server := testServer(t)
	options := server.options(t)
	options.Prefix = "some/where"
	root := server.root(t)
	store := open(t, options)
	objects := store.Objects(48 * time.Hour)
	content := put(t, store, []byte("content"))
	started := time.Now()
	require.NoError(t, objects.Put(t.Context(), "tile/0/000.p/1", []byte("tile")))
	require.NoError(t, objects.Replace(t.Context(), "checkpoint", []byte("checkpoint")))

	for key, locked := range map[string]bool{"some/where/log/tile/0/000.p/1": true, "some/where/log/checkpoint": false} {
		all := versions(t, root, options.Bucket, key)
		require.Len(t, all, 1)
		mode, until, err := root.GetObjectRetention(t.Context(), options.Bucket, key, all[0].VersionID)
		if !locked {
			require.Error(t, err)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, minio.Compliance, *mode)
		require.False(t, until.Before(started.Add(48*time.Hour)), "locked until %s alone", until)
		err = root.RemoveObject(t.Context(), options.Bucket, key, minio.RemoveObjectOptions{VersionID: all[0].VersionID, GovernanceBypass: true})
		require.Error(t, err, "the server's root removed it")
	}

	var listed []blobs.Digest
	for info, err := range store.All(t.Context()) {
		require.NoError(t, err)
		listed = append(listed, info.Digest)
	}
	require.Equal(t, []blobs.Digest{content}, listed, "the log's objects are no content")

	later := store.Objects(96 * time.Hour)
	require.NoError(t, later.Put(t.Context(), "tile/0/000.p/1", []byte("tile")))
	_, until, err := root.GetObjectRetention(t.Context(), options.Bucket, "some/where/log/tile/0/000.p/1", "")
	require.NoError(t, err)
	require.False(t, until.Before(started.Add(96*time.Hour)), "put again, and locked until %s alone", until)
}

// Whoever may write to the bucket can put versions and delete markers on top.
func TestObjects_areNotHiddenByWhatIsWrittenOnTop(t *testing.T) {
	server := testServer(t)
	options := server.options(t)
	root := server.root(t)
	objects := open(t, options).Objects(0)
	require.NoError(t, objects.Put(t.Context(), "tile/0/000", []byte("tile")))
	require.NoError(t, objects.Replace(t.Context(), "checkpoint", []byte("checkpoint")))

	_, err := root.PutObject(t.Context(), options.Bucket, "log/tile/0/000", bytes.NewReader([]byte("lie")), 3, minio.PutObjectOptions{})
	require.NoError(t, err)
	for _, key := range []string{"log/tile/0/000", "log/checkpoint"} {
		require.NoError(t, root.RemoveObject(t.Context(), options.Bucket, key, minio.RemoveObjectOptions{}))
	}
	for name, want := range map[string]string{"tile/0/000": "tile", "checkpoint": "checkpoint"} {
		got, err := objects.Get(t.Context(), name)
		require.NoError(t, err)
		require.Equal(t, want, string(got))
	}
	require.NoError(t, objects.Put(t.Context(), "tile/0/000", []byte("tile")), "a delete marker is on top")
	err = objects.Put(t.Context(), "tile/0/000", []byte("lie"))
	requireCode(t, fault.LogConflict, err)
}

// A checkpoint is replaced a thousand times a day; a listing stays short.
func TestObjects_replacedLeaveNoTrailOfVersions(t *testing.T) {
	server := testServer(t)
	options := server.options(t)
	objects := open(t, options).Objects(0)
	for i := range 5 {
		require.NoError(t, objects.Replace(t.Context(), "checkpoint", []byte{byte(i)}))
	}
	require.Len(t, versions(t, server.root(t), options.Bucket, "log/checkpoint"), 1)
}

func TestObjects_outliveFaultsOfTheNetwork(t *testing.T) {
	server := testServer(t)
	between := newBetween(t, server)
	options := between.options(server.options(t))
	options.Attempts, options.Timeout = 3, 5*time.Second
	objects := open(t, options).Objects(0)
	// once makes trouble for the first request of a kind.
	once := func(kind string, what trouble) {
		done := false
		between.set(func(r *http.Request) trouble {
			if done || kindOf(r) != kind {
				return trouble{}
			}
			done = true
			return what
		})
	}
	tile := blobtest.Bytes(1, 8192)
	once("put", trouble{loseAnswer: true})
	require.NoError(t, objects.Put(t.Context(), "tile/0/000", tile), "stored, and the answer lost")
	once("put", trouble{status: 503, code: "SlowDown"})
	require.NoError(t, objects.Put(t.Context(), "tile/0/001", tile))
	once("put", trouble{cutUp: 100})
	require.NoError(t, objects.Put(t.Context(), "tile/0/002", tile))
	once("get", trouble{cutDown: 100})
	got, err := objects.Get(t.Context(), "tile/0/002")
	require.NoError(t, err)
	require.Equal(t, tile, got)
	require.Len(t, versions(t, server.root(t), options.Bucket, "log/"), 3)

	for _, kind := range []string{"put", "GET versions"} {
		between.set(func(r *http.Request) trouble { return trouble{refuse: kindOf(r) == kind} })
		requireCode(t, fault.BlobFailed, objects.Put(t.Context(), "tile/0/003", tile))
		requireCode(t, fault.BlobFailed, objects.Replace(t.Context(), "checkpoint", tile))
	}
	_, err = objects.Get(t.Context(), "tile/0/000")
	requireCode(t, fault.BlobFailed, err)
	between.set(func(r *http.Request) trouble { return trouble{hang: kindOf(r) == "GET versions"} })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = objects.Get(ctx, "tile/0/000")
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestObjects_damagedOnTheWayAreCorruptAndAConflict(t *testing.T) {
	server := testServer(t)
	between := newBetween(t, server)
	options := between.options(server.options(t))
	objects := open(t, options).Objects(0)
	tile := blobtest.Bytes(1, 8192)
	require.NoError(t, objects.Put(t.Context(), "tile/0/000", tile))
	other := blobtest.Bytes(2, 8192)
	between.tamper("/"+options.Bucket+"/log/tile/0/000", other)
	// Whether the checksum that comes with it says so depends on the server;
	// other bytes are never vouched for.
	got, err := objects.Get(t.Context(), "tile/0/000")
	if err == nil {
		require.Equal(t, other, got)
	} else {
		requireCode(t, fault.BlobCorrupt, err)
	}
	err = objects.Put(t.Context(), "tile/0/000", tile)
	require.True(t, fault.Is(err, fault.LogConflict) || fault.Is(err, fault.BlobCorrupt), "got %v", err)
}
