package file

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"

	"dalel/blobs"
	"dalel/internal/fault"
)

// Objects is a blobs.Objects in a local folder. Make one with [OpenObjects].
//
// The folder looks like this, and belongs to the Objects alone:
//
//	checkpoint, tile/...   the log, as c2sp.org/tlog-tiles lays it out
//	incoming/              objects on their way in
//	lock                   held while an Objects is open
//
// An object comes in as content does (see the package comment): written and
// synced under a name of its own in incoming, made read-only, then linked to
// its name, which never replaces what is there, and the folder's entry synced.
// The checkpoint is renamed over the one before instead. The same file system
// and the same limits of what it can promise; there are no locks against
// removal here, for everything in the folder but the checkpoint's signature
// can be computed again from the ledger's events.
//
// Several Objects, in one process or many, may have the same folder open.
type Objects struct {
	// folder is a Store for its root, its lock and its way with incoming; it
	// has no content.
	folder Store
	// entered has the folders that are known to be there, on stable storage.
	entered sync.Map
}

var _ blobs.Objects = (*Objects)(nil)

// OpenObjects opens the objects in dir and makes the folder, readable for its
// owner alone, if there is none. Unless somebody else has the folder open, it
// removes what a killed process left in incoming.
//
// Errors: storage.full, blob.failed.
func OpenObjects(dir string) (*Objects, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, failed(err, "make the log's folder")
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, failed(err, "open the log's folder")
	}
	o := &Objects{folder: Store{root: root}}
	if err := o.folder.prepare(incomingDir); err != nil {
		return nil, errors.Join(err, o.Close())
	}
	return o, nil
}

// Close lets go of the folder. A Put under way fails.
func (o *Objects) Close() error { return o.folder.Close() }

// Put implements blobs.Objects.
func (o *Objects) Put(ctx context.Context, name string, data []byte) error {
	if err := blobs.CheckObject(name, data); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("put %s: %w", name, err)
	}
	there, err := o.Get(ctx, name)
	if err == nil {
		return o.settle(name, there, data)
	}
	if !fault.Is(err, fault.BlobNotFound) {
		return err
	}
	if err := o.enter(path.Dir(name)); err != nil {
		return err
	}
	part, err := o.receive(data)
	if err != nil {
		return err
	}
	// A name that cannot be removed is left to the next OpenObjects.
	defer o.folder.root.Remove(part)
	err = o.folder.root.Link(part, name)
	if errors.Is(err, fs.ErrExist) {
		// Somebody was faster by a moment.
		if there, err = o.Get(ctx, name); err != nil {
			return err
		}
		return o.settle(name, there, data)
	}
	if err != nil {
		return failed(err, "give an object of the log its name")
	}
	return o.folder.syncDir(path.Dir(name))
}

// settle answers a Put for a name that is there.
func (o *Objects) settle(name string, there, data []byte) error {
	if !bytes.Equal(there, data) {
		return fault.New(fault.LogConflict, "%s is there with other bytes (%d, and %d were to be put)", name, len(there), len(data))
	}
	// Whoever linked it may have died before the entry was on stable storage.
	return o.folder.syncDir(path.Dir(name))
}

// receive brings bytes to stable storage under a new name in incoming.
func (o *Objects) receive(data []byte) (part string, err error) {
	part = incomingDir + "/put-" + rand.Text() + ".part"
	file, err := o.folder.root.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", failed(err, "make a file for an object of the log")
	}
	defer func() {
		if err != nil {
			_ = file.Close()
			_ = o.folder.root.Remove(part)
		}
	}()
	if _, err := file.Write(data); err != nil {
		return "", failed(err, "write an object of the log")
	}
	if err := file.Chmod(0o400); err != nil {
		return "", failed(err, "make an object of the log read-only")
	}
	// As in Store.Put, a failed sync is never tried again on the same file.
	if err := file.Sync(); err != nil {
		return "", failed(err, "bring an object of the log to stable storage")
	}
	if err := file.Close(); err != nil {
		return "", failed(err, "close an object of the log")
	}
	return part, nil
}

// Replace implements blobs.Objects.
func (o *Objects) Replace(ctx context.Context, name string, data []byte) error {
	if err := blobs.CheckReplaced(name, data); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("replace %s: %w", name, err)
	}
	part, err := o.receive(data)
	if err != nil {
		return err
	}
	if err := o.folder.root.Rename(part, name); err != nil {
		_ = o.folder.root.Remove(part)
		return failed(err, "replace an object of the log")
	}
	return o.folder.syncDir(".")
}

// Get implements blobs.Objects.
func (o *Objects) Get(ctx context.Context, name string) ([]byte, error) {
	if err := blobs.CheckObjectName(name); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	// Not a link, whatever it leads to, nor anything else that is no file:
	// opening a named pipe would wait for ever.
	found, err := o.folder.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.BlobNotFound, "the log has no object %s", name)
	}
	if err != nil {
		return nil, failed(err, "look up an object of the log")
	}
	if !found.Mode().IsRegular() || found.Size() > blobs.MaxObject {
		return nil, fault.New(fault.BlobCorrupt, "%s in the log's folder is no object of a log", name)
	}
	file, err := o.folder.root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.BlobNotFound, "the log has no object %s", name)
	}
	if err != nil {
		return nil, failed(err, "open an object of the log")
	}
	defer file.Close()
	// The size may be that of a checkpoint replaced meanwhile: a guess.
	data := bytes.NewBuffer(make([]byte, 0, found.Size()+bytes.MinRead))
	if _, err := data.ReadFrom(io.LimitReader(file, blobs.MaxObject+1)); err != nil {
		return nil, failed(err, "read an object of the log")
	}
	if data.Len() > blobs.MaxObject {
		return nil, fault.New(fault.BlobCorrupt, "%s in the log's folder is no object of a log", name)
	}
	return data.Bytes(), nil
}

// enter makes a folder and those above it, and brings them to stable storage.
func (o *Objects) enter(folder string) error {
	if folder == "." {
		return nil
	}
	if _, ok := o.entered.Load(folder); ok {
		return nil
	}
	parent := path.Dir(folder)
	if err := o.enter(parent); err != nil {
		return err
	}
	if err := o.folder.root.Mkdir(folder, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return failed(err, "make a folder of the log")
	}
	if err := o.folder.syncDir(parent); err != nil {
		return err
	}
	// Folders of partial tiles are many, and each is entered a few times at
	// most: they are not kept in memory.
	if !strings.HasSuffix(folder, ".p") {
		o.entered.Store(folder, true)
	}
	return nil
}
