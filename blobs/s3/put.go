package s3

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"golang.org/x/sync/errgroup"

	"dalel/blobs"
	"dalel/internal/fault"
)

const (
	// partsAtOnce is how many parts of one upload are on the wire.
	partsAtOnce = 3

	// maxRounds is how often Put starts again because content that was there
	// was removed under its hands.
	maxRounds = 5

	// abortTime is how long Put may take, after its failure, to remove what it
	// has sent. What stays is for Sweep.
	abortTime = 10 * time.Second
)

// errThere says that a key had a version when ours was to become its first.
var errThere = errors.New("there is a version already")

// Put implements blobs.Store and locks the content for the first period. See
// the package comment for content that is stored already (which may end in
// blob.corrupt) and for what a lost answer means.
func (s *Store) Put(ctx context.Context, content io.Reader, limit int64) (blobs.Info, error) {
	from, err := receive(ctx, s.options.Staging, content, limit)
	if err != nil {
		return blobs.Info{}, err
	}
	defer from.close()
	for range maxRounds {
		err = s.store(ctx, from)
		if !fault.Is(err, fault.BlobNotFound) {
			break
		}
		err = fault.Wrap(fault.BlobFailed, err, "content was removed again and again while it was being put")
	}
	if err != nil {
		return blobs.Info{}, err
	}
	return from.info, nil
}

// store makes sure that content is there, whole and locked. It fails with
// blob.not-found when a version that was there is gone a moment later.
func (s *Store) store(ctx context.Context, from *spool) error {
	there, err := s.oldest(ctx, from.info.Digest)
	if err == nil {
		return s.vouch(ctx, there, from.info)
	}
	if !fault.Is(err, fault.BlobNotFound) {
		return err
	}
	until := s.first()
	var sent upload
	if from.info.Size <= s.options.Part {
		sent, err = s.sendWhole(ctx, from, until)
	} else {
		sent, err = s.sendParts(ctx, from, until)
	}
	if err != nil && !errors.Is(err, errThere) {
		return err
	}
	// Another version may have come first, and this one's answer may have been
	// lost.
	there, err = s.oldest(ctx, from.info.Digest)
	if err != nil {
		return err
	}
	if there.id != sent.version {
		return s.vouch(ctx, there, from.info)
	}
	if err := s.confirm(ctx, there, from.info, sent.checksum); err != nil {
		return err
	}
	return s.extend(ctx, there, until)
}

// first is the end of the first period from now.
func (s *Store) first() time.Time { return wholeSecond(s.options.Clock().Add(s.options.First)) }

// vouch is nil if a version that somebody else wrote is the content wanted,
// after locking it for the first period. The lock comes first: what is locked
// is still there after it was read.
func (s *Store) vouch(ctx context.Context, there version, want blobs.Info) error {
	if there.size != want.Size {
		return corrupt(want.Digest)
	}
	if err := s.extend(ctx, there, s.first()); err != nil {
		return err
	}
	stored, err := s.open(ctx, there)
	if err != nil {
		return fmt.Errorf("check the content stored already: %w", err)
	}
	defer stored.Close()
	if _, err := io.CopyBuffer(writeOnly{io.Discard}, stored, make([]byte, bufferSize)); err != nil {
		return fmt.Errorf("check the content stored already: %w", err)
	}
	return nil
}

// writeOnly hides io.Discard's ReadFrom, which brings its own small buffer.
type writeOnly struct{ io.Writer }

// confirm is nil if the server says of a version what was sent to it. Where it
// tells no checksum the version is read through.
func (s *Store) confirm(ctx context.Context, sent version, want blobs.Info, checksum string) error {
	var stored minio.ObjectInfo
	err := s.try(ctx, "ask what the S3 server has stored", func(ctx context.Context) (err error) {
		options := minio.StatObjectOptions{VersionID: sent.id, Checksum: true}
		stored, err = s.core.StatObject(ctx, s.options.Bucket, sent.key, options)
		return err
	})
	if gone(err) {
		return unknown(want.Digest)
	}
	if err != nil {
		return err
	}
	// Of an upload in parts the server gives the checksum of checksums and
	// the number of parts.
	told, _, _ := strings.Cut(stored.ChecksumSHA256, "-")
	if told == "" {
		return s.vouch(ctx, sent, want)
	}
	if stored.Size == want.Size && told == checksum {
		return nil
	}
	// It is locked, so it stays; it will never read to a good end.
	return fault.New(fault.BlobFailed, "the S3 server stored something else than the content %s that was sent to it", want.Digest)
}

// upload is what became of content that was sent.
type upload struct {
	// version is the id that the server gave it, "" if that is not known.
	version string
	// checksum is what the server should say of it.
	checksum string
}

// lockedPut are the options of a request that makes a new object. Whatever
// there is under the key, it makes the server refuse.
func lockedPut(until time.Time, headers map[string]string) minio.PutObjectOptions {
	options := minio.PutObjectOptions{
		Mode:            minio.Compliance,
		RetainUntilDate: until,
		UserMetadata:    headers,
		// The hash of the body goes into the request's signature; without
		// this the library would sign the body in small chunks instead.
		DisableContentSha256: true,
	}
	options.SetMatchETagExcept("*")
	return options
}

func (s *Store) sendWhole(ctx context.Context, from *spool, until time.Time) (upload, error) {
	digest, size := from.info.Digest, from.info.Size
	checksum := base64.StdEncoding.EncodeToString(digest[:])
	options := lockedPut(until, map[string]string{"X-Amz-Checksum-Sha256": checksum})
	var stored minio.UploadInfo
	err := s.tryLong(ctx, "send content to the S3 server", func(ctx context.Context) (err error) {
		stored, err = s.core.PutObject(ctx, s.options.Bucket, s.key(digest), from.section(0, size), size, "", digest.String(), options)
		return err
	})
	if codeOf(err) == minio.PreconditionFailed {
		return upload{}, errThere
	}
	return upload{version: stored.VersionID, checksum: checksum}, err
}

func (s *Store) sendParts(ctx context.Context, from *spool, until time.Time) (_ upload, err error) {
	key := s.key(from.info.Digest)
	var id string
	err = s.try(ctx, "begin an upload to the S3 server", func(ctx context.Context) (err error) {
		id, err = s.core.NewMultipartUpload(ctx, s.options.Bucket, key,
			lockedPut(until, map[string]string{"X-Amz-Checksum-Algorithm": "SHA256"}))
		return err
	})
	if codeOf(err) == minio.PreconditionFailed {
		return upload{}, errThere
	}
	if err != nil {
		return upload{}, err
	}
	var complete bool
	defer func() {
		if !complete {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), min(abortTime, s.options.Timeout))
			defer cancel()
			_ = s.core.AbortMultipartUpload(ctx, s.options.Bucket, key, id) // else Sweep does
		}
	}()

	size := partSize(from.info.Size, s.options.Part)
	parts := make([]minio.CompletePart, (from.info.Size+size-1)/size)
	sums := make([][sha256.Size]byte, len(parts))
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(partsAtOnce)
	for i := range parts {
		if groupCtx.Err() != nil {
			break
		}
		group.Go(func() error {
			offset := int64(i) * size
			part, err := s.sendPart(groupCtx, from, key, id, i+1, offset, min(size, from.info.Size-offset), &sums[i])
			parts[i] = part
			return err
		})
	}
	if err := group.Wait(); err != nil {
		// What a failed part ends is the group's context; the caller's own
		// end must be told as that.
		if ctxErr := ctx.Err(); ctxErr != nil {
			return upload{}, fmt.Errorf("send content to the S3 server: %w", ctxErr)
		}
		return upload{}, err
	}

	sum := sha256.New()
	for i := range sums {
		sum.Write(sums[i][:])
	}
	options := minio.PutObjectOptions{}
	options.SetMatchETagExcept("*")
	var stored minio.UploadInfo
	var asked bool
	err = s.tryLong(ctx, "complete an upload to the S3 server", func(ctx context.Context) (err error) {
		defer func() { asked = true }()
		stored, err = s.core.CompleteMultipartUpload(ctx, s.options.Bucket, key, id, parts, options)
		if asked && codeOf(err) == minio.NoSuchUpload {
			// Completed by the attempt before, whose answer was lost.
			stored, err = minio.UploadInfo{}, nil
		}
		return err
	})
	if codeOf(err) == minio.PreconditionFailed {
		return upload{}, errThere
	}
	if err != nil {
		return upload{}, err
	}
	complete = true
	return upload{version: stored.VersionID, checksum: base64.StdEncoding.EncodeToString(sum.Sum(nil))}, nil
}

// partSize is the size of the parts of content of a size.
func partSize(size, part int64) int64 {
	if least := (size + maxParts - 1) / maxParts; least > part {
		const whole = 1 << 20
		return (least + whole - 1) / whole * whole
	}
	return part
}

// sendPart sends one part. It reads it twice: the hash goes before the bytes.
func (s *Store) sendPart(ctx context.Context, from *spool, key, id string, number int, offset, size int64, sum *[sha256.Size]byte) (minio.CompletePart, error) {
	hash := sha256.New()
	if _, err := io.CopyBuffer(hash, onlyReader{from.section(offset, size)}, make([]byte, bufferSize)); err != nil {
		return minio.CompletePart{}, fault.Wrap(fault.BlobFailed, err, "could not read spooled content")
	}
	hash.Sum(sum[:0])
	checksum := base64.StdEncoding.EncodeToString(sum[:])
	var stored minio.ObjectPart
	err := s.tryLong(ctx, "send content to the S3 server", func(ctx context.Context) (err error) {
		stored, err = s.core.PutObjectPart(ctx, s.options.Bucket, key, id, number, from.section(offset, size), size, minio.PutObjectPartOptions{
			Sha256Hex:            hex.EncodeToString(sum[:]),
			DisableContentSha256: true,
			CustomHeader:         http.Header{"X-Amz-Checksum-Sha256": {checksum}},
		})
		if err == nil && stored.ChecksumSHA256 != "" && stored.ChecksumSHA256 != checksum {
			return errors.New("the S3 server answers with another checksum than the part sent has")
		}
		return err
	})
	if err != nil {
		return minio.CompletePart{}, err
	}
	return minio.CompletePart{PartNumber: number, ETag: stored.ETag, ChecksumSHA256: checksum}, nil
}

// onlyReader hides WriteTo, which would bring a buffer of its own.
type onlyReader struct{ io.Reader }
