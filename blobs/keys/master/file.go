package master

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"dalel/blobs/keys"
	"dalel/blobs/keys/internal/wrap"
	"dalel/internal/durable"
	"dalel/internal/fault"
)

// prefix begins the one line of a master key's file. It is followed by 32
// random bytes in base64url without padding, and a line end.
const prefix = "DALEL-MASTER-KEY-1:"

const lineSize = len(prefix) + 43

// FromFile reads a master key from a file of one line:
//
//	DALEL-MASTER-KEY-1:<32 bytes in base64url without padding>
//
// The file must be its owner's alone (mode 0600 or less). Its ID is the first
// 16 hexadecimal digits of SHA-256("dalel master key v1" and the 32 bytes).
// Every error is config.invalid, and none repeats what is in the file.
func FromFile(path string) (keys.Master, error) {
	refuse := func(err error, format string, args ...any) (keys.Master, error) {
		return nil, fault.Wrap(fault.ConfigInvalid, err, "the master key's file %s %s", path, fmt.Sprintf(format, args...))
	}
	file, err := os.Open(path)
	if err != nil {
		return refuse(err, "cannot be opened")
	}
	defer file.Close()
	info, err := file.Stat()
	switch {
	case err != nil:
		return refuse(err, "cannot be looked at")
	case !info.Mode().IsRegular():
		return refuse(nil, "is no regular file")
	case info.Mode().Perm()&0o077 != 0:
		return refuse(nil, "may be read by others (mode %04o): chmod 600", info.Mode().Perm())
	}
	line, err := io.ReadAll(io.LimitReader(file, int64(lineSize)+3))
	if err != nil {
		return refuse(err, "cannot be read")
	}
	line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
	text, ok := bytes.CutPrefix(line, []byte(prefix))
	if !ok || len(line) != lineSize {
		return refuse(nil, "is not one line of %s and 43 characters", prefix)
	}
	m := new(fileMaster)
	if n, err := base64.RawURLEncoding.Strict().Decode(m.key[:], text); err != nil || n != len(m.key) {
		return refuse(nil, "does not have 32 bytes in base64url after %s", prefix)
	}
	m.id = name("dalel master key v1", m.key[:])
	return m, nil
}

// MakeFile makes a new master key and keeps it in a new file with mode 0600;
// config.invalid if there is a file, which stays as it is. When it returns nil
// the file is on stable storage.
func MakeFile(path string) (keys.Master, error) {
	if err := makeFile(path); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return nil, fault.New(fault.ConfigInvalid, "there is a file %s already, and a master key is never written over", path)
		}
		return nil, fault.Wrap(fault.ConfigInvalid, err, "the master key's file %s cannot be made", path)
	}
	return FromFile(path)
}

func makeFile(path string) error {
	var key [wrap.KeySize]byte
	if _, err := rand.Read(key[:]); err != nil {
		return err
	}
	return durable.Create(path, []byte(prefix+base64.RawURLEncoding.EncodeToString(key[:])+"\n"), 0o600)
}

// fileMaster is a master key in memory.
type fileMaster struct {
	key [wrap.KeySize]byte
	id  string
}

var _ keys.Master = (*fileMaster)(nil)

// ID implements keys.Master.
func (m *fileMaster) ID() string { return m.id }

// String and GoString keep the key out of logs.
func (m *fileMaster) String() string   { return "master key " + m.id }
func (m *fileMaster) GoString() string { return m.String() }

// Wrap implements keys.Master.
func (m *fileMaster) Wrap(ctx context.Context, secret, bound []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	wrapped, err := wrap.Seal(&m.key, rand.Reader, bound, secret)
	if err != nil {
		return nil, fault.Wrap(fault.KeyFailed, err, "wrap by the master key %s", m.id)
	}
	return wrapped, nil
}

// Unwrap implements keys.Master.
func (m *fileMaster) Unwrap(ctx context.Context, wrapped, bound []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	secret, err := wrap.Open(&m.key, bound, wrapped)
	if err != nil {
		return nil, fault.Wrap(fault.KeyUnknown, err, "the master key %s does not unwrap this", m.id)
	}
	return secret, nil
}
