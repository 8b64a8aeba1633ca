package master_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dalel/blobs/keys"
	"dalel/blobs/keys/keystest"
	"dalel/blobs/keys/master"
	"dalel/blobs/keys/master/vaulttest"
	"dalel/internal/fault"
)

// contract is what every master is held to; other is a second one.
func contract(t *testing.T, one, other keys.Master) {
	ctx := t.Context()
	require.NotEqual(t, one.ID(), other.ID())
	require.LessOrEqual(t, len(one.ID()), keys.MaxWrapping)
	for _, secret := range [][]byte{keystest.Bytes(t, 1), keystest.Bytes(t, 32), keystest.Bytes(t, 300)} {
		wrapped, err := one.Wrap(ctx, secret, []byte("ring-1"))
		require.NoError(t, err)
		require.LessOrEqual(t, len(wrapped), keys.MaxWrapped)
		require.NotContains(t, string(wrapped), string(secret[:min(len(secret), 8)])+"never")
		again, err := one.Wrap(ctx, secret, []byte("ring-1"))
		require.NoError(t, err)
		require.NotEqual(t, wrapped, again, "nothing is wrapped the same way twice")
		back, err := one.Unwrap(ctx, wrapped, []byte("ring-1"))
		require.NoError(t, err)
		require.Equal(t, secret, back)

		changed := bytes.Clone(wrapped)
		changed[len(changed)/2] ^= 1
		for what, try := range map[string]func() ([]byte, error){
			"another context": func() ([]byte, error) { return one.Unwrap(ctx, wrapped, []byte("ring-2")) },
			"no context":      func() ([]byte, error) { return one.Unwrap(ctx, wrapped, nil) },
			"another master":  func() ([]byte, error) { return other.Unwrap(ctx, wrapped, []byte("ring-1")) },
			"changed":         func() ([]byte, error) { return one.Unwrap(ctx, changed, []byte("ring-1")) },
			"cut":             func() ([]byte, error) { return one.Unwrap(ctx, wrapped[:len(wrapped)-1], []byte("ring-1")) },
			"nothing":         func() ([]byte, error) { return one.Unwrap(ctx, nil, []byte("ring-1")) },
		} {
			back, err := try()
			require.True(t, fault.Is(err, fault.KeyUnknown), "%s: %v", what, err)
			require.Nil(t, back, what)
		}
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	_, err := one.Wrap(ended, []byte("x"), nil)
	require.ErrorIs(t, err, context.Canceled)
	_, err = one.Unwrap(ended, []byte("vault:v1:x"), nil)
	require.ErrorIs(t, err, context.Canceled)
}

func TestAMasterKeyFromAFile(t *testing.T) {
	folder := t.TempDir()
	one, err := master.MakeFile(filepath.Join(folder, "one"))
	require.NoError(t, err)
	two, err := master.MakeFile(filepath.Join(folder, "two"))
	require.NoError(t, err)
	contract(t, one, two)

	t.Run("is the same when it is read again", func(t *testing.T) {
		again, err := master.FromURL(t.Context(), "file://"+filepath.Join(folder, "one"))
		require.NoError(t, err)
		require.Equal(t, one.ID(), again.ID())
		require.Regexp(t, "^[0-9a-f]{16}$", one.ID())
		wrapped, err := one.Wrap(t.Context(), []byte("secret"), nil)
		require.NoError(t, err)
		back, err := again.Unwrap(t.Context(), wrapped, nil)
		require.NoError(t, err)
		require.Equal(t, "secret", string(back))
	})
	t.Run("is its owner's alone", func(t *testing.T) {
		info, err := os.Stat(filepath.Join(folder, "one"))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
		entries, err := os.ReadDir(folder)
		require.NoError(t, err)
		require.Len(t, entries, 2, "nothing is left beside the files")
	})
	t.Run("is never written over", func(t *testing.T) {
		before, err := os.ReadFile(filepath.Join(folder, "one"))
		require.NoError(t, err)
		_, err = master.MakeFile(filepath.Join(folder, "one"))
		require.True(t, fault.Is(err, fault.ConfigInvalid), "%v", err)
		after, err := os.ReadFile(filepath.Join(folder, "one"))
		require.NoError(t, err)
		require.Equal(t, before, after)
	})
	t.Run("does not show when it is printed", func(t *testing.T) {
		line, err := os.ReadFile(filepath.Join(folder, "one"))
		require.NoError(t, err)
		_, text, _ := strings.Cut(strings.TrimSpace(string(line)), ":")
		raw, err := base64.RawURLEncoding.DecodeString(text)
		require.NoError(t, err)
		for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
			printed := fmt.Sprintf(format, one)
			require.NotContains(t, printed, text)
			require.NotContains(t, printed, fmt.Sprint(raw[:4])[1:8])
			require.Contains(t, printed, one.ID())
		}
	})
}

func TestABadFileIsRefusedWithoutRepeatingIt(t *testing.T) {
	const secret = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U" // 43 characters
	write := func(t *testing.T, text string, mode os.FileMode) string {
		path := filepath.Join(t.TempDir(), "key")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		require.NoError(t, os.Chmod(path, mode))
		return path
	}
	good := "DALEL-MASTER-KEY-1:" + secret
	for _, line := range []string{good, good + "\n", good + "\r\n"} {
		_, err := master.FromFile(write(t, line, 0o600))
		require.NoError(t, err)
		_, err = master.FromFile(write(t, line, 0o400))
		require.NoError(t, err)
	}
	for what, path := range map[string]string{
		"readable by the group": write(t, good, 0o640),
		"readable by all":       write(t, good, 0o604),
		"writable by the group": write(t, good, 0o620),
		"empty":                 write(t, "", 0o600),
		"no prefix":             write(t, secret, 0o600),
		"another prefix":        write(t, "DALEL-MASTER-KEY-2:"+secret, 0o600),
		"too short":             write(t, good[:len(good)-1], 0o600),
		"too long":              write(t, good+"A", 0o600),
		"two lines":             write(t, good+"\n"+good, 0o600),
		"an empty second line":  write(t, good+"\n\n", 0o600),
		"not base64url":         write(t, good[:len(good)-2]+"+/", 0o600),
		"loose last bits":       write(t, good[:len(good)-1]+"V", 0o600),
		"very large":            write(t, strings.Repeat(good, 100_000), 0o600),
		"a folder":              t.TempDir(),
		"missing":               filepath.Join(t.TempDir(), "none"),
	} {
		_, err := master.FromFile(path)
		require.True(t, fault.Is(err, fault.ConfigInvalid), "%s: %v", what, err)
		require.NotContains(t, err.Error(), secret[:10], what)
	}
}

func TestAMasterKeyInVault(t *testing.T) {
	server := vaulttest.Start(t)
	one, err := master.FromURL(t.Context(), server.URL("dalel"))
	require.NoError(t, err)
	other, err := master.FromURL(t.Context(), server.URL("other"))
	require.NoError(t, err)
	contract(t, one, other)
}

func TestVaultsFailuresAreToldApartAndGiveNothingAway(t *testing.T) {
	server := vaulttest.Start(t)
	m, err := master.FromURL(t.Context(), server.URL("dalel"))
	require.NoError(t, err)
	secret := []byte("a ring key that must not be seen")
	wrapped, err := m.Wrap(t.Context(), secret, []byte("ring-1"))
	require.NoError(t, err)
	for what, kind := range map[string]vaulttest.Fault{
		"away": vaulttest.Away, "403": vaulttest.Forbidden, "503": vaulttest.Sealed, "truncated": vaulttest.Truncated,
		"garbled": vaulttest.Garbled, "empty": vaulttest.Empty, "an error that repeats the request": vaulttest.Echo,
	} {
		t.Run(what, func(t *testing.T) {
			server.Fail(kind)
			defer server.Fail(vaulttest.None)
			_, wrapping := m.Wrap(t.Context(), secret, []byte("ring-1"))
			back, unwrapping := m.Unwrap(t.Context(), wrapped, []byte("ring-1"))
			require.Nil(t, back)
			_, opening := master.FromURL(t.Context(), server.URL("dalel"))
			for _, err := range []error{wrapping, unwrapping, opening} {
				require.True(t, fault.Is(err, fault.KeyFailed), "%v", err)
				for _, hidden := range []string{vaulttest.Token, string(secret), base64.StdEncoding.EncodeToString(secret)[:12], string(wrapped)} {
					require.NotContains(t, fmt.Sprintf("%v %+v", err, err), hidden)
				}
			}
		})
	}
	t.Run("slow", func(t *testing.T) {
		server.Fail(vaulttest.Slow)
		defer server.Fail(vaulttest.None)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := m.Unwrap(ctx, wrapped, []byte("ring-1"))
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
	back, err := m.Unwrap(t.Context(), wrapped, []byte("ring-1"))
	require.NoError(t, err, "once Vault is back all is well")
	require.Equal(t, secret, back)
}

func TestAVaultThatNeverAnswersIsGivenUp(t *testing.T) {
	if testing.Short() {
		t.Skip("takes as long as the patience with Vault")
	}
	server := vaulttest.Start(t)
	m, err := master.FromURL(t.Context(), server.URL("dalel"))
	require.NoError(t, err)
	server.Fail(vaulttest.Slow)
	_, err = m.Wrap(t.Context(), []byte("x"), nil)
	require.True(t, fault.Is(err, fault.KeyFailed), "%v", err)
}

func TestAWrongAddressOrTokenIsFoundAtTheStart(t *testing.T) {
	server := vaulttest.Start(t)
	for _, address := range []string{
		"", "master.key", "https://vault:8200/transit/keys/dalel", "file://host/path", "file://", "hcvault://" + server.Host,
		"hcvault://" + server.Host + "/transit/dalel", "hcvault://" + server.Host + "/transit/keys/", "hcvault:///transit/keys/dalel",
		"hcvault://" + server.Host + "/transit/../keys/dalel", "hcvault://" + server.Host + "/nowhere/keys/dalel",
		"hcvault://user:word@" + server.Host + "/transit/keys/dalel", server.URL("dalel") + "?token=word", "hcvault://%zz-word",
	} {
		_, err := master.FromURL(t.Context(), address)
		require.True(t, fault.Is(err, fault.ConfigInvalid), "%s: %v", address, err)
		require.NotContains(t, err.Error(), "word")
	}
	_, err := master.FromURL(t.Context(), server.URL("mistyped"))
	require.True(t, fault.Is(err, fault.KeyFailed), "the token may not make keys: %v", err)
	t.Setenv("VAULT_TOKEN", "hvs.wrong")
	_, err = master.FromURL(t.Context(), server.URL("dalel"))
	require.True(t, fault.Is(err, fault.KeyFailed), "%v", err)
	require.NotContains(t, err.Error(), "hvs.wrong")
	t.Setenv("VAULT_TOKEN", "")
	before := server.Requests.Load()
	_, err = master.FromURL(t.Context(), server.URL("dalel"))
	require.True(t, fault.Is(err, fault.ConfigInvalid), "%v", err)
	require.Equal(t, before, server.Requests.Load())
}
