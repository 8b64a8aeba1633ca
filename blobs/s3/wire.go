package s3

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7"

	"dalel/blobs"
	"dalel/internal/fault"
)

// watched is a connection that fails when no byte moves for a time. What is
// written counts for the reading side too: while a large body goes out, the
// answer cannot come yet.
type watched struct {
	net.Conn
	idle time.Duration
}

func (w *watched) Read(p []byte) (int, error) {
	if err := w.SetReadDeadline(time.Now().Add(w.idle)); err != nil {
		return 0, err
	}
	return w.Conn.Read(p)
}

func (w *watched) Write(p []byte) (int, error) {
	if err := w.SetDeadline(time.Now().Add(w.idle)); err != nil {
		return 0, err
	}
	return w.Conn.Write(p)
}

// try makes a request that carries no content, each attempt in its own time.
func (s *Store) try(ctx context.Context, doing string, attempt func(context.Context) error) error {
	return s.tryLong(ctx, doing, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, s.options.Timeout)
		defer cancel()
		return attempt(ctx)
	})
}

// tryLong makes a request that may take as long as bytes move. It comes back
// with nil, a *fault.Error over the last attempt's error, or ctx's own error.
func (s *Store) tryLong(ctx context.Context, doing string, attempt func(context.Context) error) error {
	for n := 1; ; n++ {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("%s: %w", doing, err)
		}
		err := attempt(ctx)
		if err == nil {
			return nil
		}
		if ctxErr := ctx.Err(); ctxErr != nil {
			return fmt.Errorf("%s: %w", doing, ctxErr)
		}
		if n >= s.options.Attempts || !passing(err) {
			return failed(err, doing)
		}
		if err := s.pause(ctx, n); err != nil {
			return fmt.Errorf("%s: %w", doing, err)
		}
	}
}

// pause waits before the attempt after the n-th.
func (s *Store) pause(ctx context.Context, n int) error {
	longest := s.options.Backoff << min(n-1, 10)
	if longest > maxBackoff*s.options.Backoff {
		longest = maxBackoff * s.options.Backoff
	}
	timer := time.NewTimer(rand.N(longest) + 1)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// codeOf is the code of an S3 server's refusal, "" if err is none.
func codeOf(err error) string {
	var refusal minio.ErrorResponse
	errors.As(err, &refusal)
	return refusal.Code
}

// passing reports whether the same request may well succeed a little later.
func passing(err error) bool {
	var known *fault.Error
	if errors.As(err, &known) {
		return false
	}
	var refusal minio.ErrorResponse
	if !errors.As(err, &refusal) {
		return true // of the network
	}
	switch refusal.Code {
	case "SlowDown", "SlowDownRead", "SlowDownWrite", "Throttling", "ThrottlingException", "RequestThrottled", "RequestLimitExceeded",
		"RequestTimeout", "InternalError", "OperationAborted", "ConditionalRequestConflict", "IncompleteBody", "XMinioServerNotInitialized":
		return true
	}
	if full(refusal) {
		return false
	}
	switch refusal.StatusCode {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// full reports whether a server says that it has no room.
func full(refusal minio.ErrorResponse) bool {
	switch refusal.Code {
	case "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "QuotaExceeded", "InsufficientStorage":
		return true
	}
	return refusal.StatusCode == http.StatusInsufficientStorage
}

// gone reports whether a server says that there is no such key or version.
func gone(err error) bool {
	switch codeOf(err) {
	case minio.NoSuchKey, minio.NoSuchVersion:
		return true
	}
	return false
}

// protected reports whether a server may mean that object lock forbids what
// was asked. Amazon says AccessDenied, MinIO InvalidRequest; both say that of
// other things too, so the caller looks at the lock then.
func protected(err error) bool {
	switch codeOf(err) {
	case minio.AccessDenied, "InvalidRequest", "ObjectLocked", "MethodNotAllowed", "InvalidArgument":
		return true
	}
	return false
}

// failed tells a lack of room from all other failures. The cause stays in the
// log.
func failed(err error, doing string) error {
	var known *fault.Error
	if errors.As(err, &known) {
		return err
	}
	var refusal minio.ErrorResponse
	if errors.As(err, &refusal) {
		if full(refusal) {
			return fault.Wrap(fault.StorageFull, err, "the S3 server has no room to %s", doing)
		}
		if refusal.Code == minio.EntityTooLarge {
			return fault.Wrap(fault.RequestTooLarge, err, "the content is larger than the S3 server takes")
		}
	}
	return fault.Wrap(fault.BlobFailed, err, "could not %s", doing)
}

// refusedAtOpen makes config.invalid of refusals that no waiting will change.
func (s *Store) refusedAtOpen(err error) error {
	switch codeOf(err) {
	case minio.AccessDenied, "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken":
		return fault.Wrap(fault.ConfigInvalid, err, "the S3 server refused the credentials for the bucket %s", s.options.Bucket)
	case "AuthorizationHeaderMalformed", "InvalidRegion", "PermanentRedirect", minio.InvalidBucketName:
		return fault.Wrap(fault.ConfigInvalid, err, "the bucket %s is not in this region, or not one of this S3 server", s.options.Bucket)
	case "BucketAlreadyExists":
		return fault.Wrap(fault.ConfigInvalid, err, "the bucket %s belongs to somebody else", s.options.Bucket)
	}
	return err
}

func unknown(digest blobs.Digest) error {
	return fault.New(fault.BlobNotFound, "no content has the SHA-256 %s", digest)
}

func corrupt(digest blobs.Digest) error {
	return fault.New(fault.BlobCorrupt, "the content stored as %s does not have this SHA-256", digest)
}

func foreign(key string) error {
	return fault.New(fault.BlobCorrupt, "%q in the S3 bucket is not content under its SHA-256", key)
}
