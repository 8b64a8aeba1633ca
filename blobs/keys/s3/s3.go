// Package s3 keeps the key store in an S3 bucket, for nodes on several
// machines: one small JSON object for each record.
//
//	{"subject":"document-…","wrapped":"<base64>","wrapping":"ring-00000001","write":"…"}
//	{"subject":"document-…","destroyedAt":"2031-05-06T07:08:09.123456Z","write":"…"}
//
// "write" is random for each call that writes: by it a call knows its own
// object again, when the answer to its first try was lost.
//
// The bucket must not keep versions: the old version of a record would outlive
// its destruction. So the key store cannot share the bucket of the content,
// which has object lock. [Open] refuses a bucket with versioning on, or
// suspended and with old versions left under the prefix; and a write that is
// answered with a version is an error, since versioning was turned on since.
// What a provider keeps of overwritten objects in its own backups is beyond
// this program; such a copy is wrapped still.
//
// Two nodes never overwrite each other: a new record is put with
// If-None-Match: *, a change with If-Match and the ETag that was read. Every
// S3 store that is used must honor both; [Open] tries whether it does.
package s3

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"dalel/blobs/keys"
	"dalel/internal/fault"
)

const (
	// patience bounds one call with all its retries, tries how often one
	// request is sent, turns how often a change is begun anew because another
	// node was faster.
	patience = 30 * time.Second
	tries    = 4
	turns    = 20
	// maxObject bounds an object in bytes: a record of the largest size in
	// JSON has less than half of it.
	maxObject = 16 << 10
	// ahead is how many objects All reads at once.
	ahead = 16
)

// Store is a [keys.Store] in an S3 bucket.
type Store struct {
	client *minio.Client
	bucket string
	prefix string // empty, or ends with a slash

	transport *http.Transport
	closeOnce sync.Once
	closed    chan struct{}
}

var _ keys.Store = (*Store)(nil)

// Open opens the key store that config names. Errors: config.invalid if the
// bucket is missing, keeps versions or does not honor conditional writes;
// key.failed.
func Open(ctx context.Context, config Config) (*Store, error) {
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:   5 * time.Second,
		ResponseHeaderTimeout: 10 * time.Second,
		IdleConnTimeout:       time.Minute,
		MaxIdleConnsPerHost:   128,
		DisableCompression:    true,
	}
	client, err := minio.New(config.Endpoint, &minio.Options{
		Creds:  credentials.NewStaticV4(config.AccessKey, config.SecretKey, ""),
		Secure: config.Secure, Region: config.Region, Transport: transport, MaxRetries: tries,
	})
	if err != nil {
		return nil, fault.Wrap(fault.ConfigInvalid, err, "the key store's address cannot be used")
	}
	s := &Store{client: client, bucket: config.Bucket, prefix: config.Prefix, transport: transport, closed: make(chan struct{})}
	if s.prefix != "" {
		s.prefix = strings.TrimSuffix(s.prefix, "/") + "/"
	}
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := s.check(ctx, bounded); err != nil {
		transport.CloseIdleConnections()
		return nil, err
	}
	return s, nil
}

// check makes sure that a destruction in this bucket is one.
func (s *Store) check(ctx, bounded context.Context) error {
	versioning, err := s.client.GetBucketVersioning(bounded, s.bucket)
	if err != nil {
		if code := responseOf(err).Code; code == "NoSuchBucket" || code == "InvalidBucketName" {
			return fault.New(fault.ConfigInvalid, "there is no bucket %s", s.bucket)
		}
		return failure(ctx, err, "ask whether the bucket %s keeps versions", s.bucket)
	}
	switch versioning.Status {
	case "":
	case minio.Suspended:
		if err := s.checkVersions(ctx); err != nil {
			return err
		}
	default:
		return fault.New(fault.ConfigInvalid,
			"the bucket %s keeps versions (%s): a destroyed key would live on in them; give the key store a bucket without versioning and without object lock", s.bucket, versioning.Status)
	}
	return s.tryConditions(ctx)
}

func (s *Store) checkVersions(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for object := range s.client.ListObjectsIter(ctx, s.bucket, minio.ListObjectsOptions{Prefix: s.prefix, Recursive: true, WithVersions: true}) {
		if object.Err != nil {
			return failure(ctx, object.Err, "look for old versions in the bucket %s", s.bucket)
		}
		if !object.IsLatest || (object.VersionID != "" && object.VersionID != "null") {
			return fault.New(fault.ConfigInvalid, "the bucket %s has old versions under %q, which a destroyed key would live on in: remove them", s.bucket, s.prefix)
		}
	}
	return nil
}

// probe is the object with which conditions are tried. No subject's object has
// this name, since a subject's never ends in a tilde.
const probe = "0~"

// tryConditions makes sure that conditional writes are refused when they
// should be: a store that passes over them would let two nodes overwrite each
// other.
func (s *Store) tryConditions(ctx context.Context) error {
	text := []byte("{}")
	if _, err := s.write(ctx, probe, text, ""); err != nil && !refused(err) {
		return failure(ctx, err, "try whether the bucket %s takes conditional writes", s.bucket)
	}
	for _, condition := range []string{"", "00000000000000000000000000000000"} {
		switch _, err := s.write(ctx, probe, text, condition); {
		case err == nil:
			return fault.New(fault.ConfigInvalid, "the bucket %s passes over the conditions of writes (If-None-Match, If-Match); the key store cannot be kept there", s.bucket)
		case !refused(err):
			return failure(ctx, err, "try whether the bucket %s takes conditional writes", s.bucket)
		}
	}
	return nil
}

// object is a record in JSON.
type object struct {
	Subject     string     `json:"subject"`
	Wrapped     []byte     `json:"wrapped,omitempty"`
	Wrapping    string     `json:"wrapping,omitempty"`
	DestroyedAt *time.Time `json:"destroyedAt,omitempty"`
	Write       string     `json:"write"`
}

func encode(record keys.Record, write string) ([]byte, error) {
	o := object{Subject: record.Subject, Wrapped: record.Wrapped, Wrapping: record.Wrapping, Write: write}
	if record.Destroyed() {
		at := record.DestroyedAt.UTC().Truncate(time.Microsecond)
		o = object{Subject: record.Subject, DestroyedAt: &at, Write: write}
	}
	return json.Marshal(o)
}

func decode(subject string, text []byte) (kept, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	var o object
	if err := decoder.Decode(&o); err != nil {
		// Its text may repeat some of the object.
		return kept{}, errors.New("it is no record in JSON")
	}
	if o.Subject != subject {
		return kept{}, errors.New("it is another subject's")
	}
	k := kept{Record: keys.Record{Subject: subject, Wrapped: o.Wrapped, Wrapping: o.Wrapping}, write: o.Write}
	if o.DestroyedAt == nil {
		return k, k.CheckLive()
	}
	if o.DestroyedAt.IsZero() || o.Wrapped != nil {
		return kept{}, errors.New("it is neither a key nor a tombstone")
	}
	k.DestroyedAt = o.DestroyedAt.UTC()
	return k, nil
}

// kept is a record as it was read.
type kept struct {
	keys.Record
	etag  string
	write string
}

// read returns a record; key.unknown if there is none.
func (s *Store) read(ctx context.Context, subject string) (kept, error) {
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var text []byte
	got, err := s.client.GetObject(bounded, s.bucket, s.prefix+nameOf(subject), minio.GetObjectOptions{})
	if err == nil {
		text, err = io.ReadAll(io.LimitReader(got, maxObject+1))
		defer got.Close()
	}
	if err != nil {
		if responseOf(err).Code == "NoSuchKey" {
			return kept{}, fault.New(fault.KeyUnknown, "there is no key of %s", subject)
		}
		return kept{}, failure(ctx, err, "read the key of %s", subject)
	}
	info, err := got.Stat() // of what was read; nothing is asked again
	if err != nil {
		return kept{}, failure(ctx, err, "read the key of %s", subject)
	}
	k, err := decode(subject, text)
	if err != nil || len(text) > maxObject {
		return kept{}, fault.Wrap(fault.KeyFailed, err, "the object of %s is damaged", subject)
	}
	k.etag = info.ETag
	return k, nil
}

// write puts an object, if there is none (etag "") or if it still has an ETag.
// It returns what the library does; see refused.
func (s *Store) write(ctx context.Context, name string, text []byte, etag string) (minio.UploadInfo, error) {
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	options := minio.PutObjectOptions{ContentType: "application/json", DisableMultipart: true}
	if etag == "" {
		options.SetMatchETagExcept("*")
	} else {
		options.SetMatchETag(etag)
	}
	return s.client.PutObject(bounded, s.bucket, s.prefix+name, bytes.NewReader(text), int64(len(text)), options)
}

// refused reports whether a condition did not hold, or another node was just
// writing: read again, and decide anew.
func refused(err error) bool {
	response := responseOf(err)
	return response.StatusCode == http.StatusPreconditionFailed || response.StatusCode == http.StatusConflict
}

// put writes a record under a condition; done is false if that does not hold.
func (s *Store) put(ctx context.Context, record keys.Record, etag, write string) (done bool, err error) {
	text, err := encode(record, write)
	if err != nil {
		return false, fault.Wrap(fault.KeyFailed, err, "write the key of %s", record.Subject)
	}
	info, err := s.write(ctx, nameOf(record.Subject), text, etag)
	switch {
	case refused(err):
		return false, nil
	case etag != "" && responseOf(err).Code == "NoSuchKey":
		return false, nil
	case err != nil:
		return false, failure(ctx, err, "write the key of %s", record.Subject)
	case info.VersionID != "" && info.VersionID != "null":
		return false, fault.New(fault.KeyFailed, "the bucket %s keeps versions now, and old keys live on in them: turn versioning off and remove the old versions of %s", s.bucket, record.Subject)
	}
	return true, nil
}

// Get implements [keys.Store].
func (s *Store) Get(ctx context.Context, subject string) (keys.Record, error) {
	if err := s.first(ctx, keys.CheckSubject(subject)); err != nil {
		return keys.Record{}, err
	}
	k, err := s.read(ctx, subject)
	return k.Record, err
}

// Create implements [keys.Store].
func (s *Store) Create(ctx context.Context, record keys.Record) (keys.Record, bool, error) {
	if err := s.first(ctx, record.CheckLive()); err != nil {
		return keys.Record{}, false, err
	}
	write := rand.Text()
	for range turns {
		done, err := s.put(ctx, record, "", write)
		if err != nil {
			return keys.Record{}, false, err
		}
		if done {
			record.Wrapped = bytes.Clone(record.Wrapped)
			return record, true, nil
		}
		k, err := s.read(ctx, record.Subject)
		if fault.Is(err, fault.KeyUnknown) {
			if err := pause(ctx); err != nil {
				return keys.Record{}, false, err
			}
			continue // another's write was under way, and failed
		}
		if err != nil {
			return keys.Record{}, false, err
		}
		// An answer may have been lost and the request sent again: then what
		// is kept is ours.
		return k.Record, k.write == write, nil
	}
	return keys.Record{}, false, busy(record.Subject)
}

// Rewrap implements [keys.Store].
func (s *Store) Rewrap(ctx context.Context, record keys.Record, from string) (bool, error) {
	if err := s.first(ctx, record.CheckLive()); err != nil {
		return false, err
	}
	write := rand.Text()
	for range turns {
		k, err := s.read(ctx, record.Subject)
		switch {
		case fault.Is(err, fault.KeyUnknown):
			return false, nil
		case err != nil:
			return false, err
		case k.write == write:
			return true, nil // an answer was lost
		case k.Destroyed() || k.Wrapping != from:
			return false, nil
		}
		if done, err := s.put(ctx, record, k.etag, write); done || err != nil {
			return done, err
		}
		if err := pause(ctx); err != nil {
			return false, err
		}
	}
	return false, busy(record.Subject)
}

// Destroy implements [keys.Store].
func (s *Store) Destroy(ctx context.Context, subject string, at time.Time) error {
	if err := s.first(ctx, keys.CheckSubject(subject)); err != nil {
		return err
	}
	dead := keys.Record{Subject: subject, DestroyedAt: at}
	for range turns {
		k, err := s.read(ctx, subject)
		switch {
		case fault.Is(err, fault.KeyUnknown):
		case err != nil:
			return err
		case k.Destroyed():
			return nil
		}
		if done, err := s.put(ctx, dead, k.etag, rand.Text()); done || err != nil {
			return err
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
	return busy(subject)
}

func busy(subject string) error {
	return fault.New(fault.KeyFailed, "other nodes were faster with the key of %s %d times", subject, turns)
}

// pause waits a little before a change is begun anew.
func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return fmt.Errorf("use the key store: %w", ctx.Err())
	case <-time.After(20 * time.Millisecond):
		return nil
	}
}

// All implements [keys.Store]. Names come in order from the bucket's listing,
// and the objects are read a few at a time.
func (s *Store) All(ctx context.Context) iter.Seq2[keys.Record, error] {
	return func(yield func(keys.Record, error) bool) {
		if err := s.first(ctx, nil); err != nil {
			yield(keys.Record{}, err)
			return
		}
		within, cancel := context.WithCancel(ctx)
		defer cancel()
		queue := make(chan chan result, ahead)
		go s.readAhead(ctx, within, queue)
		for next := range queue {
			got := <-next
			if !yield(got.record, got.err) || got.err != nil {
				return
			}
		}
	}
}

type result struct {
	record keys.Record
	err    error
}

// readAhead reads what is listed and queues it in the listing's order, until
// within ends.
func (s *Store) readAhead(ctx, within context.Context, queue chan<- chan result) {
	defer close(queue)
	for object := range s.client.ListObjectsIter(within, s.bucket, minio.ListObjectsOptions{Prefix: s.prefix, Recursive: true}) {
		name := strings.TrimPrefix(object.Key, s.prefix)
		if object.Err == nil && name == probe {
			continue
		}
		slot := make(chan result, 1)
		select {
		case <-within.Done():
			return
		case queue <- slot:
		}
		if object.Err != nil {
			slot <- result{err: failure(ctx, object.Err, "list keys")}
			return
		}
		go func() {
			subject, err := subjectOf(name)
			if err != nil {
				slot <- result{err: fault.Wrap(fault.KeyFailed, err, "the bucket %s has an object %q that is no key", s.bucket, object.Key)}
				return
			}
			k, err := s.read(within, subject)
			slot <- result{k.Record, err}
		}()
	}
}

// Close implements [keys.Store].
func (s *Store) Close() error {
	s.closeOnce.Do(func() {
		close(s.closed)
		s.transport.CloseIdleConnections()
	})
	return nil
}

// first returns why a call is not begun.
func (s *Store) first(ctx context.Context, err error) error {
	select {
	case <-s.closed:
		return fault.New(fault.KeyFailed, "the key store is closed")
	default:
	}
	if ended := ctx.Err(); ended != nil {
		return fmt.Errorf("use the key store: %w", ended)
	}
	return err
}

// responseOf returns what the server said, if err is that.
func responseOf(err error) minio.ErrorResponse {
	var response minio.ErrorResponse
	if errors.As(err, &response) {
		return response
	}
	return minio.ErrorResponse{}
}

// failure turns an error of the library into one of the ledger's. The caller's
// context's error stays as it is; a time limit of this package is key.failed.
func failure(ctx context.Context, err error, format string, args ...any) error {
	doing := fmt.Sprintf(format, args...)
	if ended := ctx.Err(); ended != nil {
		return fmt.Errorf("%s: %w", doing, ended)
	}
	if response := responseOf(err); response.Code != "" {
		// What the server wrote beside its code is not repeated.
		return fault.New(fault.KeyFailed, "%s: the bucket answers %s (status %d)", doing, response.Code, response.StatusCode)
	}
	var away *url.Error
	if errors.As(err, &away) {
		// Without the address, which has a signature in it.
		err = away.Err
	}
	return fault.Wrap(fault.KeyFailed, err, "%s: the bucket does not answer", doing)
}
