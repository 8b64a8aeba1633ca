package s3

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"dalel/blobs"
	"dalel/internal/fault"
)

const (
	// lastYear that RFC 3339 can write.
	lastYear = 9999

	// maxVersions that Remove takes away of one key. More are written only by
	// somebody who means harm, and are for the operator to look at.
	maxVersions = 100_000
)

// Lock implements blobs.Archive. Only COMPLIANCE retention counts: GOVERNANCE
// can be lifted by whoever has the right to.
func (s *Store) Lock(ctx context.Context, digest blobs.Digest) (blobs.Lock, error) {
	found, err := s.oldest(ctx, digest)
	if err != nil {
		return blobs.Lock{}, err
	}
	return s.lockOf(ctx, found)
}

func (s *Store) lockOf(ctx context.Context, of version) (blobs.Lock, error) {
	mode, until, err := s.retention(ctx, of)
	if err != nil {
		return blobs.Lock{}, err
	}
	held, err := s.held(ctx, of)
	if err != nil {
		return blobs.Lock{}, err
	}
	if mode != minio.Compliance {
		until = time.Time{}
	}
	return blobs.Lock{Until: until, Held: held}, nil
}

// retention asks for a version's mode and date, both zero if it has none. It
// asks for retention itself: a HEAD leaves out what the caller may not see,
// and that would look like no lock at all.
func (s *Store) retention(ctx context.Context, of version) (minio.RetentionMode, time.Time, error) {
	var (
		mode  *minio.RetentionMode
		until *time.Time
	)
	err := s.try(ctx, "ask how long content is retained", func(ctx context.Context) (err error) {
		mode, until, err = s.core.GetObjectRetention(ctx, s.options.Bucket, of.key, of.id)
		if codeOf(err) == noLock {
			mode, until, err = nil, nil, nil
		}
		return err
	})
	if gone(err) {
		return "", time.Time{}, unknown(of.digest)
	}
	if err != nil || mode == nil || until == nil {
		return "", time.Time{}, err
	}
	return *mode, until.UTC(), nil
}

// noLock is the code for a version that never had a retention or a hold.
const noLock = "NoSuchObjectLockConfiguration"

func (s *Store) held(ctx context.Context, of version) (bool, error) {
	var status *minio.LegalHoldStatus
	err := s.try(ctx, "ask whether content is held", func(ctx context.Context) (err error) {
		status, err = s.core.GetObjectLegalHold(ctx, s.options.Bucket, of.key, minio.GetObjectLegalHoldOptions{VersionID: of.id})
		if codeOf(err) == noLock {
			status, err = nil, nil
		}
		return err
	})
	if gone(err) {
		return false, unknown(of.digest)
	}
	return status != nil && *status == minio.LegalHoldEnabled, err
}

// Retain implements blobs.Archive. A moment that has passed retains nothing
// and changes nothing; one after the year 9999 is request.invalid.
func (s *Store) Retain(ctx context.Context, digest blobs.Digest, until time.Time) error {
	until = wholeSecond(until)
	if until.Year() > lastYear {
		return fault.New(fault.RequestInvalid, "content cannot be retained beyond the year %d", lastYear)
	}
	found, err := s.oldest(ctx, digest)
	if err != nil {
		return err
	}
	return s.extend(ctx, found, until)
}

// extend makes sure that a version is retained until a moment at least. The
// server decides between callers at once: it never shortens, and what it
// refuses is looked at again.
func (s *Store) extend(ctx context.Context, of version, until time.Time) error {
	mode, stands, err := s.retention(ctx, of)
	if err != nil {
		return err
	}
	if mode == minio.Compliance && !stands.Before(until) || !until.After(s.options.Clock()) {
		return nil
	}
	if stands.After(until) {
		until = stands // a longer date under GOVERNANCE
	}
	compliance := minio.Compliance
	options := minio.PutObjectRetentionOptions{Mode: &compliance, RetainUntilDate: &until, VersionID: of.id,
		// Never to loosen anything: to make COMPLIANCE of it.
		GovernanceBypass: mode == minio.Governance}
	refused := s.try(ctx, "retain content", func(ctx context.Context) error {
		return s.core.PutObjectRetention(ctx, s.options.Bucket, of.key, options)
	})
	if gone(refused) {
		return unknown(of.digest)
	}
	if refused != nil && !protected(refused) {
		return refused
	}
	mode, stands, err = s.retention(ctx, of)
	if err != nil {
		return err
	}
	if mode == minio.Compliance && !stands.Before(until) {
		return nil
	}
	if refused != nil {
		return refused
	}
	return fault.New(fault.BlobFailed, "the S3 server took the retention of content %s and does not keep it", of.digest)
}

// Hold implements blobs.Archive.
func (s *Store) Hold(ctx context.Context, digest blobs.Digest, held bool) error {
	found, err := s.oldest(ctx, digest)
	if err != nil {
		return err
	}
	status := minio.LegalHoldDisabled
	if held {
		status = minio.LegalHoldEnabled
	} else if stands, err := s.held(ctx, found); err != nil || !stands {
		return err
	}
	err = s.try(ctx, "hold content, or lift its hold", func(ctx context.Context) error {
		options := minio.PutObjectLegalHoldOptions{VersionID: found.id, Status: &status}
		return s.core.PutObjectLegalHold(ctx, s.options.Bucket, found.key, options)
	})
	if gone(err) {
		return unknown(digest)
	}
	return err
}

// Remove implements blobs.Archive. All versions of the key and its delete
// markers go, the one that counts last, so that what is left by a cut is never
// something else. While any version is kept, nothing goes: blob.retained.
func (s *Store) Remove(ctx context.Context, digest blobs.Digest) error {
	var versions, markers []version
	err := s.try(ctx, "list the versions of content", func(ctx context.Context) error {
		versions, markers = versions[:0], markers[:0]
		return s.versions(ctx, s.key(digest), func(listed minio.ObjectInfo) error {
			if len(versions)+len(markers) == maxVersions {
				return fault.New(fault.BlobFailed, "content %s has more than %d versions", digest, maxVersions)
			}
			listedVersion := version{digest: digest, key: listed.Key, id: listed.VersionID, size: listed.Size}
			if listed.IsDeleteMarker {
				markers = append(markers, listedVersion)
			} else {
				versions = append(versions, listedVersion)
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	if len(versions) == 0 {
		return unknown(digest)
	}
	for _, kept := range versions {
		lock, err := s.lockOf(ctx, kept)
		if fault.Is(err, fault.BlobNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if lock.Keeps(s.options.Clock()) {
			return retained(digest, lock)
		}
	}
	for _, next := range append(markers, versions...) {
		err := s.try(ctx, "remove content", func(ctx context.Context) error {
			return s.core.RemoveObject(ctx, s.options.Bucket, next.key, minio.RemoveObjectOptions{VersionID: next.id})
		})
		if gone(err) {
			continue
		}
		if protected(err) {
			// Locked meanwhile, or the server's clock is behind ours.
			if mode, _, lockErr := s.retention(ctx, next); lockErr == nil && mode != "" {
				return fault.Wrap(fault.BlobRetained, err, "the S3 server still retains the content %s", digest)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func retained(digest blobs.Digest, lock blobs.Lock) error {
	if lock.Held {
		return fault.New(fault.BlobRetained, "a legal hold is on the content %s", digest)
	}
	return fault.New(fault.BlobRetained, "the content %s is retained until %s", digest, lock.Until.Format(time.RFC3339))
}

// wholeSecond rounds a moment up to the second.
func wholeSecond(moment time.Time) time.Time {
	whole := moment.UTC().Truncate(time.Second)
	if whole.Before(moment) {
		whole = whole.Add(time.Second)
	}
	return whole
}

// Sweep removes what uploads in parts that were cut off have left: those of
// this bucket and prefix that began longer ago than Options.Abandoned, and empty
// spool files of processes that were killed. It returns how many there were. One
// that cannot be removed does not keep it from the others. The owner calls it
// when it starts and then once a day.
//
// Errors: blob.failed.
func (s *Store) Sweep(ctx context.Context) (int, error) {
	var (
		swept             = s.sweepStaging()
		errs              error
		keyMarker, marker string
	)
	for {
		var page minio.ListMultipartUploadsResult
		err := s.try(ctx, "list uploads that were cut off", func(ctx context.Context) (err error) {
			// MinIO lists uploads of the whole bucket or of one key, and
			// nothing for any other prefix.
			page, err = s.core.ListMultipartUploads(ctx, s.options.Bucket, "", keyMarker, marker, "", 1000)
			return err
		})
		if err != nil {
			return swept, errors.Join(errs, err)
		}
		for _, upload := range page.Uploads {
			if !strings.HasPrefix(upload.Key, s.folder) || s.options.Clock().Sub(upload.Initiated) < s.options.Abandoned {
				continue
			}
			err := s.try(ctx, "remove an upload that was cut off", func(ctx context.Context) error {
				err := s.core.AbortMultipartUpload(ctx, s.options.Bucket, upload.Key, upload.UploadID)
				if codeOf(err) == minio.NoSuchUpload {
					return nil
				}
				return err
			})
			if ctx.Err() != nil {
				return swept, err
			}
			if err != nil {
				errs = errors.Join(errs, err)
				continue
			}
			swept++
		}
		if !page.IsTruncated || page.NextKeyMarker == keyMarker && page.NextUploadIDMarker == marker {
			return swept, errs
		}
		keyMarker, marker = page.NextKeyMarker, page.NextUploadIDMarker
	}
}

// sweepStaging removes the spool files of processes that were killed in the
// moment between making one and taking its name away. They are empty.
func (s *Store) sweepStaging() (swept int) {
	names, _ := fs.Glob(os.DirFS(s.options.Staging), stagingPattern) // the pattern is a good one
	for _, name := range names {
		path := filepath.Join(s.options.Staging, name)
		info, err := os.Lstat(path)
		if err != nil || !info.Mode().IsRegular() || s.options.Clock().Sub(info.ModTime()) < s.options.Abandoned {
			continue
		}
		// One that cannot be removed is in use where names cannot go before
		// files do, or another user's.
		if os.Remove(path) == nil {
			swept++
		}
	}
	return swept
}
