package content_test

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"dalel/blobs"
	"dalel/blobs/blobtest"
	"dalel/blobs/file"
	"dalel/domain/content"
	"dalel/internal/fault"
	"dalel/internal/sealing/sealingtest"
)

const subject = "document-1"

type place struct {
	*content.Store
	blobs   *file.Store
	keys    *sealingtest.Keys
	dir     string
	staging string
}

func open(t *testing.T) place {
	p := place{keys: &sealingtest.Keys{}, dir: t.TempDir(), staging: t.TempDir()}
	var err error
	p.blobs, err = file.Open(p.dir)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.blobs.Close()) })
	p.Store = content.New(p.blobs, p.keys, p.staging)
	return p
}

func (p place) read(t *testing.T, ref content.Ref) ([]byte, error) {
	opened, err := p.Open(t.Context(), ref)
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	return io.ReadAll(opened)
}

// onDisk is every byte of every file below a folder.
func onDisk(t *testing.T, dir string) []byte {
	var all bytes.Buffer
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			var content []byte
			content, err = os.ReadFile(path)
			all.Write(content)
		}
		return err
	}))
	return all.Bytes()
}

func TestR_B4_WhatIsStagedAndKeptComesBackAndNoClearByteIsOnTheDisk(t *testing.T) {
	p := open(t)
	for i, size := range []int{0, 1, 64 << 10, 1<<20 + 3} {
		clear := blobtest.Bytes(uint64(i), size)
		staged, err := p.Stage(t.Context(), subject, bytes.NewReader(clear), int64(size))
		require.NoError(t, err)
		require.Equal(t, blobs.Sum(clear), staged.SHA256)
		again, err := io.ReadAll(staged.Reader())
		require.NoError(t, err)
		require.True(t, bytes.Equal(clear, again))
		ref, err := staged.Keep(t.Context(), time.Time{})
		require.NoError(t, err)
		staged.Discard()
		back, err := p.read(t, ref)
		require.NoError(t, err)
		require.True(t, bytes.Equal(clear, back))
		require.NotEqual(t, ref.SHA256, ref.Stored)
		if size > 100 {
			require.False(t, bytes.Contains(onDisk(t, p.dir), clear[:64]))
		}
	}
	require.Empty(t, onDisk(t, p.staging), "staged content has no name on the disk")
}

func TestR_G5_AfterItsKeyIsDestroyedContentIsGoneAndItsBlobIsAsItWas(t *testing.T) {
	p := open(t)
	ref, err := p.Put(t.Context(), subject, []byte("a secret"), time.Time{})
	require.NoError(t, err)
	other, err := p.Put(t.Context(), "document-2", []byte("a secret"), time.Time{})
	require.NoError(t, err)
	require.NotEqual(t, ref.Stored, other.Stored, "the same content of two documents is stored twice")
	before := onDisk(t, filepath.Join(p.dir, "sha256"))
	require.NoError(t, p.keys.Destroy(t.Context(), subject))
	_, err = p.read(t, ref)
	require.Equal(t, fault.KeyDestroyed, fault.CodeOf(err))
	require.Equal(t, before, onDisk(t, filepath.Join(p.dir, "sha256")))
	back, err := p.read(t, other)
	require.NoError(t, err)
	require.Equal(t, "a secret", string(back))
	_, err = p.Put(t.Context(), subject, []byte("new"), time.Time{})
	require.Equal(t, fault.KeyDestroyed, fault.CodeOf(err))
}

func TestContentThatIsNotWhatTheEventSaysIsCorrupt(t *testing.T) {
	p := open(t)
	one, err := p.Put(t.Context(), subject, []byte("one"), time.Time{})
	require.NoError(t, err)
	two, err := p.Put(t.Context(), subject, []byte("two"), time.Time{})
	require.NoError(t, err)
	for what, wrong := range map[string]content.Ref{
		"another content": {Subject: subject, SHA256: one.SHA256, Stored: two.Stored, Size: 3},
		"another size":    {Subject: subject, SHA256: one.SHA256, Stored: one.Stored, Size: 4},
	} {
		_, err := p.read(t, wrong)
		require.Equal(t, fault.BlobCorrupt, fault.CodeOf(err), what)
	}
	_, err = p.keys.Make(t.Context(), "document-2")
	require.NoError(t, err)
	_, err = p.read(t, content.Ref{Subject: "document-2", SHA256: one.SHA256, Stored: one.Stored, Size: 3})
	require.Equal(t, fault.BlobCorrupt, fault.CodeOf(err), "another document's key")

	path := filepath.Join(p.dir, "sha256", one.Stored.String()[:2], one.Stored.String()[2:])
	require.NoError(t, os.Chmod(path, 0o600))
	bytesOf, err := os.ReadFile(path)
	require.NoError(t, err)
	bytesOf[len(bytesOf)-1] ^= 1
	require.NoError(t, os.WriteFile(path, bytesOf, 0o600))
	_, err = p.read(t, one)
	require.Equal(t, fault.BlobCorrupt, fault.CodeOf(err))
}

func TestContentOverTheLimitOrCutOffLeavesNothing(t *testing.T) {
	p := open(t)
	_, err := p.Stage(t.Context(), subject, strings.NewReader("12345"), 4)
	require.Equal(t, fault.RequestTooLarge, fault.CodeOf(err))
	_, err = p.Stage(t.Context(), subject, io.MultiReader(strings.NewReader("12"), failing{io.ErrUnexpectedEOF}), 4)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = p.Stage(ctx, subject, strings.NewReader("12"), 4)
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, onDisk(t, p.staging))
	for info, err := range p.blobs.All(t.Context()) {
		t.Errorf("%v %v is stored", info, err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestR_G3_WhatIsKeptIsLockedForItsTime(t *testing.T) {
	p := open(t)
	until := time.Now().AddDate(10, 0, 0)
	ref, err := p.Put(t.Context(), subject, []byte("contract"), until)
	require.NoError(t, err)
	require.NoError(t, p.Hold(t.Context(), ref, true))
	lock, err := p.blobs.Lock(t.Context(), ref.Address())
	require.NoError(t, err)
	require.True(t, lock.Held)
	require.False(t, lock.Until.Before(until))
	require.Equal(t, fault.BlobRetained, fault.CodeOf(p.blobs.Remove(t.Context(), ref.Address())))
}

// Wherever it is read, and in however small pieces, it is what came in.
func TestStagedContentIsReadAnywhere(t *testing.T) {
	p := open(t)
	rapid.Check(t, func(r *rapid.T) {
		size := rapid.SampledFrom([]int{1, 65535, 65536, 65537, 131072, 200000}).Draw(r, "size")
		clear := make([]byte, size)
		_, err := rand.NewChaCha8([32]byte{byte(size)}).Read(clear)
		require.NoError(r, err)
		staged, err := p.Stage(t.Context(), subject, bytes.NewReader(clear), int64(size))
		require.NoError(r, err)
		defer staged.Discard()
		for range 8 {
			at := rapid.IntRange(0, size+3).Draw(r, "at")
			into := make([]byte, rapid.IntRange(0, size+3).Draw(r, "length"))
			n, err := staged.ReadAt(into, int64(at))
			want := clear[min(at, size):min(at+len(into), size)]
			require.Equal(r, want, into[:n])
			if len(want) < len(into) {
				require.ErrorIs(r, err, io.EOF)
			} else {
				require.NoError(r, err)
			}
		}
		_, err = staged.ReadAt(make([]byte, 1), -1)
		require.Error(r, err)
	})
}
