package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/minio/minio-go/v7"

	"dalel/blobs"
	"dalel/internal/fault"
)

// objectsDir is where objects are, below the store's prefix, unless somebody
// names another folder.
const objectsDir = "log"

// Objects is a blobs.Objects in the bucket of a [Store], under log/ below its
// prefix. Make one with [Store.Objects].
//
// What Put stores is under object lock in COMPLIANCE mode as content is, and
// for the same reason the oldest version of a name counts (see the package
// comment). Of the checkpoint, which has no lock, the newest version counts,
// and delete markers are passed over; each Replace takes away the version that
// it finds there, so that few are left.
type Objects struct {
	store *Store
	dir   string
	keep  time.Duration
}

var _ blobs.Objects = (*Objects)(nil)

// Objects returns the objects beside the store's content. What is put there is
// locked for a period from its Put, and from each later Put of the same bytes;
// zero means the store's first period. They use the store's connections and
// are of no use after its Close.
func (s *Store) Objects(keep time.Duration) *Objects { return s.ObjectsIn(objectsDir, keep) }

// ObjectsIn is Objects in another folder below the store's prefix: each log has
// one.
func (s *Store) ObjectsIn(dir string, keep time.Duration) *Objects {
	if keep <= 0 {
		keep = s.options.First
	}
	return &Objects{store: s, dir: dir + "/", keep: keep}
}

func (o *Objects) key(name string) string { return o.store.options.Prefix + o.dir + name }

// until is the end of the lock of what is put now.
func (o *Objects) until() time.Time {
	return wholeSecond(o.store.options.Clock().Add(o.keep))
}

// Put implements blobs.Objects.
func (o *Objects) Put(ctx context.Context, name string, data []byte) error {
	if err := blobs.CheckObject(name, data); err != nil {
		return err
	}
	until := o.until()
	options := lockedPut(until, nil)
	sent, err := o.send(ctx, name, data, options)
	if err != nil && codeOf(err) != minio.PreconditionFailed {
		return err
	}
	// Another version may have come first, a delete marker may have hidden it,
	// and the answer to an earlier attempt may have been lost.
	there, err := o.version(ctx, name, true)
	if err != nil {
		return err
	}
	if sent != "" && there.id == sent {
		return nil
	}
	stored, err := o.read(ctx, name, there)
	if err != nil {
		return err
	}
	if !bytes.Equal(stored, data) {
		return fault.New(fault.LogConflict, "%s is there with other bytes (%d, and %d were to be put)", name, len(stored), len(data))
	}
	return o.named(name, o.store.extend(ctx, there, until))
}

// send sends bytes in one request, with their SHA-256, which the server
// checks; it returns the version that they became.
func (o *Objects) send(ctx context.Context, name string, data []byte, options minio.PutObjectOptions) (string, error) {
	sum := sha256.Sum256(data)
	options.DisableContentSha256 = true
	options.UserMetadata = map[string]string{"X-Amz-Checksum-Sha256": base64.StdEncoding.EncodeToString(sum[:])}
	var stored minio.UploadInfo
	err := o.store.tryLong(ctx, "send an object of the log to the S3 server", func(ctx context.Context) (err error) {
		stored, err = o.store.core.PutObject(ctx, o.store.options.Bucket, o.key(name),
			bytes.NewReader(data), int64(len(data)), "", hex.EncodeToString(sum[:]), options)
		return err
	})
	return stored.VersionID, err
}

// Replace implements blobs.Objects.
func (o *Objects) Replace(ctx context.Context, name string, data []byte) error {
	if err := blobs.CheckReplaced(name, data); err != nil {
		return err
	}
	before, err := o.version(ctx, name, false)
	if err != nil && !fault.Is(err, fault.BlobNotFound) {
		return err
	}
	sent, err := o.send(ctx, name, data, minio.PutObjectOptions{})
	if err != nil {
		return err
	}
	if before.id != "" && before.id != "null" && before.id != sent {
		// Only to save room: where it cannot go it stays, and counts for
		// nothing.
		ctx, cancel := context.WithTimeout(ctx, o.store.options.Timeout)
		defer cancel()
		_ = o.store.core.RemoveObject(ctx, o.store.options.Bucket, before.key, minio.RemoveObjectOptions{VersionID: before.id})
	}
	return nil
}

// Get implements blobs.Objects.
func (o *Objects) Get(ctx context.Context, name string) ([]byte, error) {
	if err := blobs.CheckObjectName(name); err != nil {
		return nil, err
	}
	for n := 0; ; n++ {
		found, err := o.version(ctx, name, name != blobs.CheckpointName)
		if err != nil {
			return nil, err
		}
		data, err := o.read(ctx, name, found)
		if name == blobs.CheckpointName && fault.Is(err, fault.BlobNotFound) && n < maxRounds {
			continue // replaced, and taken away, between the two requests
		}
		return data, err
	}
}

// version finds the oldest version of a name, or the newest.
func (o *Objects) version(ctx context.Context, name string, oldest bool) (version, error) {
	found := version{key: o.key(name)}
	err := o.store.try(ctx, "look up an object of the log in the S3 bucket", func(ctx context.Context) error {
		found.id = ""
		return o.store.versions(ctx, found.key, func(listed minio.ObjectInfo) error {
			if !listed.IsDeleteMarker && (oldest || found.id == "") {
				found.id, found.size = listed.VersionID, listed.Size // newest first
			}
			return nil
		})
	})
	if err != nil {
		return version{}, err
	}
	if found.id == "" {
		return version{}, o.unknown(name)
	}
	return found, nil
}

// read returns the bytes of a version.
func (o *Objects) read(ctx context.Context, name string, of version) ([]byte, error) {
	if of.size > blobs.MaxObject {
		return nil, fault.New(fault.BlobCorrupt, "%s in the S3 bucket is no object of a log", name)
	}
	var data []byte
	err := o.store.tryLong(ctx, "read an object of the log from the S3 server", func(ctx context.Context) error {
		// Checksum asks the server for the SHA-256 that was sent to it.
		options := minio.GetObjectOptions{VersionID: of.id, Checksum: true}
		body, _, header, err := o.store.core.GetObject(ctx, o.store.options.Bucket, of.key, options)
		if err != nil {
			return err
		}
		defer body.Close()
		data = make([]byte, of.size)
		if _, err := io.ReadFull(body, data); err != nil {
			return err
		}
		if n, err := body.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			return errors.New("the S3 server answers with more than it has listed")
		}
		sum := sha256.Sum256(data)
		if told := header.Get("X-Amz-Checksum-Sha256"); told != "" && told != base64.StdEncoding.EncodeToString(sum[:]) {
			return fault.New(fault.BlobCorrupt, "%s in the S3 bucket is not as it was written", name)
		}
		return nil
	})
	if gone(err) {
		return nil, o.unknown(name)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return data, nil
}

// named makes an object's name of what the store says of content.
func (o *Objects) named(name string, err error) error {
	if fault.Is(err, fault.BlobNotFound) {
		return fault.Wrap(fault.BlobFailed, err, "%s was removed while it was being put", name)
	}
	return err
}

func (o *Objects) unknown(name string) error {
	return fault.New(fault.BlobNotFound, "the log has no object %s", name)
}
