package s3_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/stretchr/testify/require"

	"dalel/blobs"
	"dalel/blobs/blobtest"
	"dalel/blobs/s3"
	"dalel/internal/fault"
)

// The tests in this file act as the server's root user, with nothing of this
// package in between: what they cannot do nobody can.

// requireUntouched requires that content reads as it was put, with its lock.
func requireUntouched(t *testing.T, store *s3.Store, content []byte, lock blobs.Lock) {
	t.Helper()
	requireReads(t, store, content)
	now, err := store.Lock(t.Context(), blobs.Sum(content))
	require.NoError(t, err)
	require.Equal(t, lock, now)
}

func lockOf(t *testing.T, store *s3.Store, digest blobs.Digest) blobs.Lock {
	t.Helper()
	lock, err := store.Lock(t.Context(), digest)
	require.NoError(t, err)
	return lock
}

// large is content that goes in parts of the smallest size.
func large() []byte { return blobtest.Bytes(99, 5<<20+12345) }

func TestRoot_cannotDeleteWhatIsLocked(t *testing.T) {
	server := testServer(t)
	options := server.options(t)
	options.Part = 5 << 20
	store, root := open(t, options), server.root(t)
	for name, content := range map[string][]byte{"one request": []byte("content"), "parts": large()} {
		t.Run(name, func(t *testing.T) {
			digest := put(t, store, content)
			lock := lockOf(t, store, digest)
			key := keyOf("", digest)
			id := versions(t, root, options.Bucket, key)[0].VersionID

			for _, bypass := range []bool{false, true} {
				err := root.RemoveObject(t.Context(), options.Bucket, key, minio.RemoveObjectOptions{VersionID: id, GovernanceBypass: bypass})
				require.Error(t, err, "root removed a locked version, bypass %t", bypass)
				// Forced, the server's owner's way to remove all versions at once.
				err = root.RemoveObject(t.Context(), options.Bucket, key, minio.RemoveObjectOptions{ForceDelete: true, GovernanceBypass: bypass})
				require.Error(t, err, "root removed a locked key by force, bypass %t", bypass)
				objects := make(chan minio.ObjectInfo, 1)
				objects <- minio.ObjectInfo{Key: key, VersionID: id}
				close(objects)
				var refused int
				for result := range root.RemoveObjects(t.Context(), options.Bucket, objects, minio.RemoveObjectsOptions{GovernanceBypass: bypass}) {
					require.Error(t, result.Err)
					refused++
				}
				require.Equal(t, 1, refused, "root removed a locked version among many, bypass %t", bypass)
			}
			require.Error(t, root.RemoveBucket(t.Context(), options.Bucket))
			require.Error(t, root.RemoveBucketWithOptions(t.Context(), options.Bucket, minio.RemoveBucketOptions{ForceDelete: true}))
			require.Error(t, root.SuspendVersioning(t.Context(), options.Bucket))
			requireUntouched(t, store, content, lock)

			// The hold alone, too.
			require.NoError(t, store.Hold(t.Context(), digest, true))
			lock.Held = true
			require.Error(t, root.RemoveObject(t.Context(), options.Bucket, key, minio.RemoveObjectOptions{VersionID: id, GovernanceBypass: true}))
			requireUntouched(t, store, content, lock)
		})
	}
}

func TestRoot_cannotShortenALock(t *testing.T) {
	server := testServer(t)
	options := server.options(t)
	store, root := open(t, options), server.root(t)
	content := []byte("content")
	digest := put(t, store, content)
	require.NoError(t, store.Retain(t.Context(), digest, time.Now().Add(10*time.Hour)))
	lock := lockOf(t, store, digest)
	key := keyOf("", digest)
	id := versions(t, root, options.Bucket, key)[0].VersionID
	compliance, governance := minio.Compliance, minio.Governance
	for name, change := range map[string]minio.PutObjectRetentionOptions{
		"shorter":                     {Mode: &compliance, RetainUntilDate: at(lock.Until.Add(-time.Hour))},
		"a second shorter":            {Mode: &compliance, RetainUntilDate: at(lock.Until.Add(-time.Second))},
		"governance":                  {Mode: &governance, RetainUntilDate: at(lock.Until)},
		"longer, but only governance": {Mode: &governance, RetainUntilDate: at(lock.Until.Add(time.Hour))},
		"none":                        {},
	} {
		for _, bypass := range []bool{false, true} {
			change.VersionID, change.GovernanceBypass = id, bypass
			require.Error(t, root.PutObjectRetention(t.Context(), options.Bucket, key, change), "%s, bypass %t", name, bypass)
			requireUntouched(t, store, content, lock)
		}
	}
}

func at(moment time.Time) *time.Time { return &moment }

func TestRoot_cannotHideContentNorPutOtherInItsPlace(t *testing.T) {
	server := testServer(t)
	options := server.options(t)
	options.Part = 5 << 20
	store, root := open(t, options), server.root(t)
	for name, content := range map[string][]byte{"one request": []byte("content"), "parts": large(), "empty": {}} {
		t.Run(name, func(t *testing.T) {
			digest := put(t, store, content)
			lock := lockOf(t, store, digest)
			key := keyOf("", digest)
			want := blobs.Info{Digest: digest, Size: int64(len(content))}
			check := func(what string) {
				t.Helper()
				requireUntouched(t, store, content, lock)
				info, err := store.Stat(t.Context(), digest)
				require.NoError(t, err, what)
				require.Equal(t, want, info, what)
				var listed []blobs.Info
				for info, err := range store.All(t.Context()) {
					require.NoError(t, err, what)
					if info.Digest == digest {
						listed = append(listed, info)
					}
				}
				require.Equal(t, []blobs.Info{want}, listed, what)
			}
			removeMarker := func() {
				require.NoError(t, root.RemoveObject(t.Context(), options.Bucket, key, minio.RemoveObjectOptions{}))
				_, err := root.StatObject(t.Context(), options.Bucket, key, minio.StatObjectOptions{})
				require.Error(t, err, "this test shows nothing: the name is still seen")
			}
			overwrite := func(other string) {
				_, err := root.PutObject(t.Context(), options.Bucket, key, strings.NewReader(other), int64(len(other)), minio.PutObjectOptions{})
				require.NoError(t, err)
				seen, err := root.StatObject(t.Context(), options.Bucket, key, minio.StatObjectOptions{})
				require.NoError(t, err)
				require.Equal(t, int64(len(other)), seen.Size, "this test shows nothing: the name still means what it did")
			}
			removeMarker()
			check("under a delete marker")
			overwrite("something else")
			check("under something else")
			removeMarker()
			overwrite("")
			check("under both, and under nothing")
			// Put again, it is not written again.
			before := len(versions(t, root, options.Bucket, key))
			put(t, store, content)
			require.Len(t, versions(t, root, options.Bucket, key), before)
			lock = lockOf(t, store, digest) // a little longer
			// And its lock and hold reach the right version.
			require.NoError(t, store.Retain(t.Context(), digest, lock.Until.Add(time.Hour)))
			require.NoError(t, store.Hold(t.Context(), digest, true))
			lock = blobs.Lock{Until: lock.Until.Add(time.Hour), Held: true}
			check("retained and held")
			requireCode(t, fault.BlobRetained, store.Remove(t.Context(), digest))
			require.Len(t, versions(t, root, options.Bucket, key), before, "a refused removal removed something")
		})
	}
}

func TestManyVersions_doNotHideContent(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 1100 versions")
	}
	server := testServer(t)
	options := server.options(t)
	store, root := open(t, options), server.root(t)
	content := []byte("content")
	digest := put(t, store, content)
	neighbour := put(t, store, []byte("another")) // so that a listing goes on after it
	lock := lockOf(t, store, digest)
	for i := range 1100 { // more than a page
		text := fmt.Sprint("version ", i)
		_, err := root.PutObject(t.Context(), options.Bucket, keyOf("", digest), strings.NewReader(text), int64(len(text)), minio.PutObjectOptions{})
		require.NoError(t, err)
	}
	requireUntouched(t, store, content, lock)
	seen := map[blobs.Digest]int64{}
	for info, err := range store.All(t.Context()) {
		require.NoError(t, err)
		require.NotContains(t, seen, info.Digest)
		seen[info.Digest] = info.Size
	}
	require.Equal(t, map[blobs.Digest]int64{digest: 7, neighbour: 7}, seen)
}

func TestRemove_takesEverythingOnceTheLockHasLapsed(t *testing.T) {
	server := testServer(t)
	options := server.options(t)
	options.First, options.Part = 6*time.Second, 5<<20
	store, root := open(t, options), server.root(t)
	contents := [][]byte{[]byte("content"), large()}
	for _, content := range contents {
		digest := put(t, store, content)
		key := keyOf("", digest)
		require.NoError(t, root.RemoveObject(t.Context(), options.Bucket, key, minio.RemoveObjectOptions{}))
		_, err := root.PutObject(t.Context(), options.Bucket, key, strings.NewReader("other"), 5, minio.PutObjectOptions{})
		require.NoError(t, err)
		requireCode(t, fault.BlobRetained, store.Remove(t.Context(), digest))
	}
	for _, content := range contents {
		digest := blobs.Sum(content)
		time.Sleep(time.Until(lockOf(t, store, digest).Until) + 100*time.Millisecond)
		require.NoError(t, store.Remove(t.Context(), digest))
		_, err := store.Stat(t.Context(), digest)
		requireCode(t, fault.BlobNotFound, err)
		requireCode(t, fault.BlobNotFound, store.Remove(t.Context(), digest))
	}
	require.Empty(t, versions(t, root, options.Bucket, ""))

	// One version that somebody else locked keeps them all.
	content := []byte("kept by another")
	digest := put(t, store, content)
	_, err := root.PutObject(t.Context(), options.Bucket, keyOf("", digest), strings.NewReader("other"), 5,
		minio.PutObjectOptions{Mode: minio.Compliance, RetainUntilDate: time.Now().Add(time.Hour)})
	require.NoError(t, err)
	time.Sleep(time.Until(lockOf(t, store, digest).Until) + 100*time.Millisecond)
	requireCode(t, fault.BlobRetained, store.Remove(t.Context(), digest))
	requireReads(t, store, content)
}

func TestRemove_isRefusedByTheServerWhenTheClockHereIsFast(t *testing.T) {
	server := testServer(t)
	options := server.options(t)
	store := open(t, options)
	content := []byte("content")
	digest := put(t, store, content)
	options.Clock = func() time.Time { return time.Now().Add(2 * time.Hour) }
	fast := open(t, options)
	requireCode(t, fault.BlobRetained, fast.Remove(t.Context(), digest))
	requireReads(t, store, content)
}

// Content that somebody put there without a lock, or with one that can be
// lifted, is locked before Put vouches for it.
func TestPut_locksWhatIsThereWithoutALock(t *testing.T) {
	server := testServer(t)
	options := server.options(t)
	store, root := open(t, options), server.root(t)
	for name, found := range map[string]minio.PutObjectOptions{
		"no lock":            {},
		"governance":         {Mode: minio.Governance, RetainUntilDate: time.Now().Add(time.Minute)},
		"governance, longer": {Mode: minio.Governance, RetainUntilDate: time.Now().Add(100 * time.Hour)},
	} {
		t.Run(name, func(t *testing.T) {
			content := []byte("content " + name)
			digest := blobs.Sum(content)
			_, err := root.PutObject(t.Context(), options.Bucket, keyOf("", digest), bytes.NewReader(content), int64(len(content)), found)
			require.NoError(t, err)
			require.Zero(t, lockOf(t, store, digest), "a lock that can be lifted is none")
			before := time.Now()
			put(t, store, content)
			lock := lockOf(t, store, digest)
			require.False(t, lock.Until.Before(before.Add(options.First)))
			require.Len(t, versions(t, root, options.Bucket, keyOf("", digest)), 1)
			id := versions(t, root, options.Bucket, keyOf("", digest))[0].VersionID
			require.Error(t, root.RemoveObject(t.Context(), options.Bucket, keyOf("", digest),
				minio.RemoveObjectOptions{VersionID: id, GovernanceBypass: true}))
		})
	}
}

// Somebody who puts other content first, under a digest that is not its own,
// stops the content, loudly; it never passes for it.
func TestPut_refusesWhatIsThereAndIsSomethingElse(t *testing.T) {
	server := testServer(t)
	options := server.options(t)
	store, root := open(t, options), server.root(t)
	for _, other := range []string{"contenT", "longer than that", ""} {
		content := []byte("content")
		digest := blobs.Sum(content)
		_, err := root.PutObject(t.Context(), options.Bucket, keyOf("", digest), strings.NewReader(other), int64(len(other)), minio.PutObjectOptions{})
		require.NoError(t, err)
		_, err = store.Put(t.Context(), bytes.NewReader(content), 100)
		requireCode(t, fault.BlobCorrupt, err)
		_, err = blobs.ReadAll(t.Context(), store, digest, 100)
		requireCode(t, fault.BlobCorrupt, err)
	}
}
