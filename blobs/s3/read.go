package s3

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"strings"

	"github.com/minio/minio-go/v7"

	"dalel/blobs"
	"dalel/internal/fault"
)

// version is one version of a key.
type version struct {
	digest blobs.Digest
	key    string
	id     string
	size   int64
}

// oldest finds the version that counts; see the package comment. It lists the
// versions in pages and holds one page in memory.
func (s *Store) oldest(ctx context.Context, digest blobs.Digest) (version, error) {
	found := version{digest: digest, key: s.key(digest)}
	err := s.try(ctx, "look up content in the S3 bucket", func(ctx context.Context) error {
		found.id = ""
		return s.versions(ctx, found.key, func(listed minio.ObjectInfo) error {
			if !listed.IsDeleteMarker {
				found.id, found.size = listed.VersionID, listed.Size // newest first
			}
			return nil
		})
	})
	if err != nil {
		return version{}, err
	}
	if found.id == "" {
		return version{}, unknown(digest)
	}
	return found, nil
}

// versions calls each with every version of a key and every delete marker,
// newest first.
func (s *Store) versions(ctx context.Context, key string, each func(minio.ObjectInfo) error) error {
	for listed := range s.core.ListObjectsIter(ctx, s.options.Bucket, minio.ListObjectsOptions{Prefix: key, Recursive: true, WithVersions: true}) {
		if listed.Err != nil {
			return listed.Err
		}
		if listed.Key != key {
			continue
		}
		if err := each(listed); err != nil {
			return err
		}
	}
	return ctx.Err() // the library says nothing of it
}

// Stat implements blobs.Store.
func (s *Store) Stat(ctx context.Context, digest blobs.Digest) (blobs.Info, error) {
	found, err := s.oldest(ctx, digest)
	if err != nil {
		return blobs.Info{}, err
	}
	return blobs.Info{Digest: digest, Size: found.size}, nil
}

// All implements blobs.Store. Anything below the store's folder that is not
// content under its digest is yielded as blob.corrupt, and the walk goes on if
// the caller does. Content that is put meanwhile may or may not be seen. It
// holds one page of 1000 versions in memory.
func (s *Store) All(ctx context.Context) iter.Seq2[blobs.Info, error] {
	return func(yield func(blobs.Info, error) bool) {
		var (
			// done is the last key that was yielded or passed over whole.
			done    string
			current version
			failed  int
			stopped bool
		)
		// finish yields what is known of the current key, whose versions have
		// all been seen.
		finish := func() {
			key, id := current.key, current.id
			if key == "" {
				return
			}
			done, failed = key, 0
			if id == "" {
				return // delete markers alone
			}
			digest, ok := s.digestOf(key)
			if !ok {
				stopped = !yield(blobs.Info{}, foreign(strings.TrimPrefix(key, s.folder)))
				return
			}
			stopped = !yield(blobs.Info{Digest: digest, Size: current.size}, nil)
		}
		for {
			current = version{}
			err := ctx.Err()
			if err == nil {
				err = s.listFrom(ctx, done, func(listed minio.ObjectInfo) bool {
					if listed.Key != current.key {
						if finish(); stopped {
							return false
						}
						current = version{key: listed.Key}
					}
					if !listed.IsDeleteMarker {
						current.id, current.size = listed.VersionID, listed.Size
					}
					return true
				})
			}
			if stopped {
				return
			}
			if err == nil {
				finish()
				return
			}
			if ctxErr := ctx.Err(); ctxErr != nil {
				yield(blobs.Info{}, fmt.Errorf("list content: %w", ctxErr))
				return
			}
			if failed++; failed >= s.options.Attempts || !passing(err) {
				yield(blobs.Info{}, fault.Wrap(fault.BlobFailed, err, "could not list the S3 bucket"))
				return
			}
			if err := s.pause(ctx, failed); err != nil {
				yield(blobs.Info{}, fmt.Errorf("list content: %w", err))
				return
			}
		}
	}
}

// listFrom lists all versions of keys after one, until each says no.
func (s *Store) listFrom(ctx context.Context, after string, each func(minio.ObjectInfo) bool) error {
	options := minio.ListObjectsOptions{Prefix: s.folder, StartAfter: after, Recursive: true, WithVersions: true}
	for listed := range s.core.ListObjectsIter(ctx, s.options.Bucket, options) {
		if listed.Err != nil {
			return listed.Err
		}
		if !each(listed) {
			return nil
		}
	}
	return ctx.Err()
}

// Open implements blobs.Store. The reader also ends with ctx's error when ctx
// ends; it yields no more bytes than the size that Open returns. When the
// connection is cut it goes on from where it stopped, a bounded number of
// times, and then ends in blob.failed.
func (s *Store) Open(ctx context.Context, digest blobs.Digest) (io.ReadCloser, blobs.Info, error) {
	found, err := s.oldest(ctx, digest)
	if err != nil {
		return nil, blobs.Info{}, err
	}
	opened, err := s.open(ctx, found)
	if err != nil {
		return nil, blobs.Info{}, err
	}
	return opened, blobs.Info{Digest: digest, Size: found.size}, nil
}

func (s *Store) open(ctx context.Context, of version) (*reader, error) {
	ctx, cancel := context.WithCancel(ctx)
	r := &reader{store: s, ctx: ctx, cancel: cancel, of: of, sum: sha256.New()}
	if err := r.connect(); err != nil {
		cancel()
		return nil, err
	}
	return r, nil
}

// enough progress between two cuts, and the count of failures starts anew.
const enough = 1 << 20

// reader yields stored content and checks it on the way. Reading beyond the
// end keeps giving the same answer.
type reader struct {
	store  *Store
	ctx    context.Context
	cancel context.CancelFunc
	of     version
	body   io.ReadCloser // nil while there is no connection
	sum    hash.Hash
	offset int64
	// cuts counts connections that ended too soon, since offset was since.
	cuts  int
	since int64
	end   error
}

// connect asks for the rest of the content.
func (r *reader) connect() error {
	s := r.store
	return s.tryLong(r.ctx, "read content from the S3 server", func(ctx context.Context) error {
		options := minio.GetObjectOptions{VersionID: r.of.id}
		if r.offset > 0 {
			if err := options.SetRange(r.offset, 0); err != nil {
				return err
			}
		}
		body, _, header, err := s.core.GetObject(ctx, s.options.Bucket, r.of.key, options)
		if gone(err) {
			return unknown(r.of.digest)
		}
		if codeOf(err) == "InvalidRange" {
			return corrupt(r.of.digest) // shorter than listed
		}
		if err != nil {
			return err
		}
		length := header.Get("Content-Length")
		if length != fmt.Sprint(r.of.size-r.offset) ||
			r.offset > 0 && !strings.HasPrefix(header.Get("Content-Range"), fmt.Sprintf("bytes %d-", r.offset)) {
			_ = body.Close()
			if r.offset == 0 && length != "" {
				return corrupt(r.of.digest)
			}
			return errors.New("the S3 server answers with another part of the content than was asked for")
		}
		r.body = body
		return nil
	})
}

func (r *reader) Read(p []byte) (int, error) {
	if r.end != nil {
		return 0, r.end
	}
	if len(p) == 0 {
		return 0, nil
	}
	for {
		if r.offset == r.of.size {
			r.end = io.EOF
			if blobs.Digest(r.sum.Sum(nil)) != r.of.digest {
				r.end = corrupt(r.of.digest)
			}
			r.hangUp()
			return 0, r.end
		}
		if r.body == nil {
			if err := r.connect(); err != nil {
				r.end = err
				return 0, r.end
			}
		}
		n, err := r.body.Read(p[:min(int64(len(p)), r.of.size-r.offset)])
		r.sum.Write(p[:n])
		r.offset += int64(n)
		if err != nil && r.offset < r.of.size {
			r.hangUp()
			r.interrupted(err)
		}
		if n > 0 || r.end != nil {
			return n, r.end
		}
	}
}

// interrupted decides whether to go on after a connection ended too soon.
func (r *reader) interrupted(err error) {
	if ctxErr := r.ctx.Err(); ctxErr != nil {
		r.end = fmt.Errorf("read content from the S3 server: %w", ctxErr)
		return
	}
	if r.offset-r.since >= enough {
		r.since, r.cuts = r.offset, 0
	}
	if r.cuts++; r.cuts >= r.store.options.Attempts {
		r.end = fault.Wrap(fault.BlobFailed, err, "the S3 server cut off the content %s again and again", r.of.digest)
		return
	}
	if err := r.store.pause(r.ctx, r.cuts); err != nil {
		r.end = fmt.Errorf("read content from the S3 server: %w", err)
	}
}

// hangUp gives up the connection; after all bytes were read, it can be used
// again.
func (r *reader) hangUp() {
	if r.body != nil {
		_ = r.body.Close()
		r.body = nil
	}
}

// Close implements io.Closer.
func (r *reader) Close() error {
	r.hangUp()
	r.cancel()
	if r.end == nil {
		r.end = fault.New(fault.BlobFailed, "the reader of content %s is closed", r.of.digest)
	}
	return nil
}
