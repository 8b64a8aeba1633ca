package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"

	"dalel/blobs"
	"dalel/internal/fault"
)

const (
	// bufferSize is what one Put, or one check of stored content, holds in
	// memory beside small content itself.
	bufferSize = 128 << 10

	// maxInMemory is how large content may be to be spooled in memory.
	maxInMemory = 1 << 20

	// stagingPattern is how spool files are called while they have a name.
	stagingPattern = "dalel-put-*.part"

	// maxEmptyReads in a row, and a reader counts as stuck (as in bufio).
	maxEmptyReads = 100
)

// spool holds content between being read and being sent.
type spool struct {
	info   blobs.Info
	memory []byte
	file   *os.File // nil while everything is in memory
	name   string   // where a file in use cannot be removed, its path
}

// receive reads content to its end and hashes it on the way.
func receive(ctx context.Context, staging string, content io.Reader, limit int64) (*spool, error) {
	var (
		s      = &spool{}
		whole  bool
		sum    = sha256.New()
		buffer = make([]byte, bufferSize)
		empty  int
	)
	// Runs on every way out, a panic of the reader's included.
	defer func() {
		if !whole {
			s.close()
		}
	}()
	for {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("put content: %w", err)
		}
		n, readErr := content.Read(buffer)
		if s.info.Size+int64(n) > limit {
			return nil, fault.New(fault.RequestTooLarge, "the content has more than the %d bytes allowed", max(limit, 0))
		}
		if n > 0 {
			empty = 0
			s.info.Size += int64(n)
			sum.Write(buffer[:n])
			if err := s.write(staging, buffer[:n]); err != nil {
				return nil, err
			}
		}
		if readErr == io.EOF {
			s.info.Digest = blobs.Digest(sum.Sum(nil))
			whole = true
			return s, nil
		}
		if readErr != nil {
			return nil, fmt.Errorf("read the content to put: %w", readErr)
		}
		if n == 0 {
			if empty++; empty >= maxEmptyReads {
				return nil, fmt.Errorf("read the content to put: %w", io.ErrNoProgress)
			}
		}
	}
}

func (s *spool) write(staging string, p []byte) error {
	if s.file == nil && len(s.memory)+len(p) <= maxInMemory {
		s.memory = append(s.memory, p...)
		return nil
	}
	if s.file == nil {
		file, err := os.CreateTemp(staging, stagingPattern)
		if err != nil {
			return unspooled(err)
		}
		s.file = file
		// Without a name the file goes with the process, however it ends.
		if err := os.Remove(file.Name()); err != nil {
			s.name = file.Name()
		}
		if _, err := file.Write(s.memory); err != nil {
			return unspooled(err)
		}
		s.memory = nil
	}
	if _, err := s.file.Write(p); err != nil {
		return unspooled(err)
	}
	return nil
}

func unspooled(err error) error {
	if noRoom(err) {
		return fault.Wrap(fault.StorageFull, err, "there is no room to spool content on its way to the S3 server")
	}
	return fault.Wrap(fault.BlobFailed, err, "could not spool content on its way to the S3 server")
}

// section returns a new reader of a part of the content, which can be rewound.
// The HTTP client may read on for a moment after a request has failed, so no
// two attempts share one.
func (s *spool) section(offset, size int64) io.ReadSeeker {
	if s.file == nil {
		return bytes.NewReader(s.memory[offset : offset+size])
	}
	return io.NewSectionReader(s.file, offset, size)
}

func (s *spool) close() {
	if s.file != nil {
		_ = s.file.Close() // nothing of it is needed any more
	}
	if s.name != "" {
		_ = os.Remove(s.name)
	}
}
