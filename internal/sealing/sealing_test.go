package sealing_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"dalel/internal/sealing"
)

func newKey(t require.TestingT) sealing.Key {
	key, err := sealing.NewKey(rand.Reader)
	require.NoError(t, err)
	return key
}

func TestR_B4_ABoxOpensWithItsOwnOpenerAndWithNothingElse(t *testing.T) {
	key, other := newKey(t), newKey(t)
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SliceOf(rapid.Byte()).Draw(t, "text")
		box, err := key.Seal(rand.Reader, "document-1", "DocumentCreated", text)
		require.NoError(t, err)
		opened, err := key.Opener("document-1", box).Open("document-1", "DocumentCreated", box)
		require.NoError(t, err)
		require.True(t, bytes.Equal(text, opened))

		second, err := key.Seal(rand.Reader, "document-1", "DocumentCreated", text)
		require.NoError(t, err)
		refused := func(o sealing.Opener, subject, label string, box sealing.Box) {
			_, err := o.Open(subject, label, box)
			require.ErrorIs(t, err, sealing.ErrOpen)
		}
		right := key.Opener("document-1", box)
		refused(other.Opener("document-1", box), "document-1", "DocumentCreated", box)
		refused(key.Opener("document-1", second), "document-1", "DocumentCreated", box)
		refused(key.Opener("document-2", box), "document-2", "DocumentCreated", box)
		refused(right, "document-2", "DocumentCreated", box)
		refused(right, "document-1", "DocumentRejected", box)
		changed := box
		switch rapid.IntRange(0, 2).Draw(t, "part") {
		case 0:
			changed.Tag = flip(t, box.Tag)
		case 1:
			if len(box.Text) == 0 {
				return
			}
			changed.Text = flip(t, box.Text)
		case 2:
			changed.Salt = flip(t, box.Salt)
			right = key.Opener("document-1", changed)
		}
		refused(right, "document-1", "DocumentCreated", changed)
	})
}

func flip(t *rapid.T, bytes []byte) []byte {
	changed := append([]byte{}, bytes...)
	changed[rapid.IntRange(0, len(bytes)-1).Draw(t, "at")] ^= byte(1 << rapid.IntRange(0, 7).Draw(t, "bit"))
	return changed
}

func TestAKeyIsReadAsItWasKept(t *testing.T) {
	key := newKey(t)
	read, err := sealing.ParseKey(key.Secret())
	require.NoError(t, err)
	require.Equal(t, key.Secret(), read.Secret())
	for _, wrong := range []string{"", "x", "AAAA AGE-SECRET-KEY-1", string(key.Secret()[:60]), string(key.Secret()) + "X"} {
		_, err := sealing.ParseKey([]byte(wrong))
		require.Error(t, err)
		if wrong != "" && wrong != "x" {
			require.NotContains(t, err.Error(), wrong, "an error repeats a secret")
		}
	}
}

func TestABoxAndItsOpenerAreTheSameAfterJSON(t *testing.T) {
	key := newKey(t)
	box, err := key.Seal(rand.Reader, "s", "l", []byte("text"))
	require.NoError(t, err)
	encoded, err := json.Marshal(map[string]any{"box": box, "opener": key.Opener("s", box)})
	require.NoError(t, err)
	var read struct {
		Box    sealing.Box
		Opener sealing.Opener
	}
	require.NoError(t, json.Unmarshal(encoded, &read))
	text, err := read.Opener.Open("s", "l", read.Box)
	require.NoError(t, err)
	require.Equal(t, "text", string(text))
	for _, wrong := range []string{`"` + strings.Repeat("g", 64) + `"`, `"AB"`, `"` + strings.Repeat("A", 64) + `"`} {
		require.Error(t, json.Unmarshal([]byte(wrong), &read.Opener))
	}
}

// The box's format, step by step with another program, so that one can be
// opened by hand in ten years.
func TestABoxOpensWithOpensslByHand(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed")
	}
	key := newKey(t)
	box, err := key.Seal(rand.Reader, "document-7", "DocumentCreated", []byte(`{"title":"Contract"}`))
	require.NoError(t, err)
	opener, err := key.Opener("document-7", box).MarshalText()
	require.NoError(t, err)
	run := func(stdin []byte, args ...string) []byte {
		command := exec.Command(openssl, args...)
		command.Stdin = bytes.NewReader(stdin)
		out, err := command.CombinedOutput()
		require.NoError(t, err, "%s", out)
		return out
	}
	keys := strings.ToLower(strings.ReplaceAll(strings.TrimSpace(string(run(nil, "kdf", "-keylen", "64", "-kdfopt", "digest:SHA256",
		"-kdfopt", "mode:EXPAND_ONLY", "-kdfopt", "hexkey:"+string(opener), "-kdfopt", "info:dalel box v1 keys", "HKDF"))), ":", ""))
	require.Len(t, keys, 128)
	text := run(box.Text, "enc", "-d", "-aes-256-ctr", "-K", keys[:64], "-iv", strings.Repeat("0", 32))
	require.Equal(t, `{"title":"Contract"}`, string(text))
	signed := filepath.Join(t.TempDir(), "signed")
	require.NoError(t, os.WriteFile(signed, append([]byte("document-7\x00DocumentCreated\x00"), box.Text...), 0o600))
	tag := run(nil, "mac", "-digest", "SHA256", "-macopt", "hexkey:"+keys[64:], "-in", signed, "HMAC")
	require.Equal(t, fmt.Sprintf("%x", []byte(box.Tag)), strings.ToLower(strings.TrimSpace(string(tag))))
}

func TestContentOfAnySizeComesBackAndACutIsSeen(t *testing.T) {
	key, other := newKey(t), newKey(t)
	for _, size := range []int{0, 1, 64<<10 - 1, 64 << 10, 64<<10 + 1, 300_000} {
		content := bytes.Repeat([]byte{'x'}, size)
		encrypting, err := key.Encrypt(iotest.HalfReader(bytes.NewReader(content)))
		require.NoError(t, err)
		encrypted, err := io.ReadAll(encrypting)
		require.NoError(t, err)
		require.True(t, bytes.HasPrefix(encrypted, []byte("age-encryption.org/v1\n")))

		clear, err := key.Decrypt(bytes.NewReader(encrypted))
		require.NoError(t, err)
		back, err := io.ReadAll(clear)
		require.NoError(t, err)
		require.True(t, bytes.Equal(content, back))

		at, n, err := key.DecryptAt(bytes.NewReader(encrypted), int64(len(encrypted)))
		require.NoError(t, err)
		require.Equal(t, int64(size), n)
		back, err = io.ReadAll(io.NewSectionReader(at, 0, n))
		require.NoError(t, err)
		require.True(t, bytes.Equal(content, back))

		_, err = other.Decrypt(bytes.NewReader(encrypted))
		require.ErrorIs(t, err, sealing.ErrOpen)
		cut, err := key.Decrypt(bytes.NewReader(encrypted[:len(encrypted)-1]))
		if err == nil {
			_, err = io.ReadAll(cut)
		}
		require.Error(t, err, "%d bytes, cut at the end", size)
		require.False(t, errors.Is(err, io.EOF))
	}
}

func BenchmarkBox(b *testing.B) {
	key := newKey(b)
	box, err := key.Seal(rand.Reader, "document-7", "DocumentCreated", make([]byte, 120))
	require.NoError(b, err)
	for b.Loop() {
		if _, err := key.Opener("document-7", box).Open("document-7", "DocumentCreated", box); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncrypt(b *testing.B) {
	key := newKey(b)
	content := make([]byte, 8<<20)
	b.SetBytes(int64(len(content)))
	for b.Loop() {
		r, err := key.Encrypt(bytes.NewReader(content))
		require.NoError(b, err)
		_, err = io.Copy(io.Discard, r)
		require.NoError(b, err)
	}
}
