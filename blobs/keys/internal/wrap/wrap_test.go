package wrap_test

import (
	"bytes"
	"crypto/rand"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"dalel/blobs/keys/internal/wrap"
)

func newKey(t require.TestingT) *[wrap.KeySize]byte {
	var key [wrap.KeySize]byte
	_, err := rand.Read(key[:])
	require.NoError(t, err)
	return &key
}

func TestWhatIsWrappedOpensWithItsOwnKeyAndContextAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := newKey(t)
		secret, context := rapid.SliceOf(rapid.Byte()).Draw(t, "secret"), rapid.SliceOf(rapid.Byte()).Draw(t, "context")
		wrapped, err := wrap.Seal(key, rand.Reader, context, secret)
		require.NoError(t, err)
		opened, err := wrap.Open(key, context, wrapped)
		require.NoError(t, err)
		require.True(t, bytes.Equal(secret, opened))

		_, err = wrap.Open(newKey(t), context, wrapped)
		require.ErrorIs(t, err, wrap.ErrOpen)
		_, err = wrap.Open(key, append(bytes.Clone(context), 0), wrapped)
		require.ErrorIs(t, err, wrap.ErrOpen)

		changed := bytes.Clone(wrapped)
		changed[rapid.IntRange(0, len(changed)-1).Draw(t, "at")] ^= byte(rapid.IntRange(1, 255).Draw(t, "by"))
		_, err = wrap.Open(key, context, changed)
		require.ErrorIs(t, err, wrap.ErrOpen)
		_, err = wrap.Open(key, context, wrapped[:rapid.IntRange(0, len(wrapped)-1).Draw(t, "cut")])
		require.ErrorIs(t, err, wrap.ErrOpen)
	})
}

func TestContextAndTextDoNotRunIntoEachOther(t *testing.T) {
	key := newKey(t)
	wrapped, err := wrap.Seal(key, rand.Reader, nil, []byte("secret"))
	require.NoError(t, err)
	// The first byte of the text is moved to the context.
	moved := append(bytes.Clone(wrapped[:65]), wrapped[66:]...)
	_, err = wrap.Open(key, wrapped[65:66], moved)
	require.ErrorIs(t, err, wrap.ErrOpen)
}

func TestTheSameSecretIsNeverWrappedTheSameWayTwice(t *testing.T) {
	key := newKey(t)
	one, err := wrap.Seal(key, rand.Reader, nil, []byte("secret"))
	require.NoError(t, err)
	two, err := wrap.Seal(key, rand.Reader, nil, []byte("secret"))
	require.NoError(t, err)
	require.NotEqual(t, one, two)
	_, err = wrap.Seal(key, strings.NewReader("short"), nil, []byte("secret"))
	require.Error(t, err, "no salt, no sealing")
}
