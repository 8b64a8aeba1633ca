// Package s3 keeps content in a bucket of an S3 server (Amazon's or one of
// one's own, such as MinIO) under object lock in COMPLIANCE mode: until its
// date has come nobody can remove or change it, the account that owns the
// bucket and the server's root user included.
//
// A bucket's keys look like this, below the prefix that the store is given:
//
//	sha256/ab/cd/ef01...   content, under its digest: 2, 2 and the other 60 digits
//
// # The oldest version counts
//
// Object lock protects versions, not names. On a locked object a plain DELETE
// still succeeds, by adding a delete marker, and a plain PUT still succeeds, by
// adding a newer version; a reader that asks for the name alone then sees
// nothing, or something else. So this store never asks for the name alone. It
// lists the versions of a key, passes over delete markers, takes the oldest
// version, and reads, locks and holds that one by its version id. Whatever is
// written on top is never seen. For the same reason Put looks before it
// writes, and writes with If-None-Match: *.
//
// # How content comes in
//
// The address is the digest, which is known only at the end, so Put first
// spools content to a temporary file that has no name (up to 1 MiB stays in
// memory), then sends it: in one request, or in parts if it is large. Each
// request carries the SHA-256 of what it sends, which the server checks; the
// lock for the first period travels with the same request, so nothing is ever
// there without one. Then Put asks the server for the size, checksum and lock
// of what it stored, and only then says yes.
//
// Content that is there already is locked for the first period from now, read
// through and not written again. If it is damaged Put is refused with
// blob.corrupt and everything stays as it is, for those who must explain it.
//
// # What it cannot promise
//
// A legal hold can be lifted by whoever has the right to on the server, root
// included; only the retention date cannot be taken back.
//
// When the answer to the very last request of an upload is lost, and the server
// stays away, Put fails although the content, whole and locked, may be
// readable. Where replication or a tool of the server's owner can write
// versions with dates in the past, an older forged version can come before the
// stored one: reading then ends in blob.corrupt, never in wrong bytes. A rule
// of the bucket that expires old versions takes effect when their lock has
// lapsed; a bucket of this store should have none.
//
// An upload in parts that is cut off leaves its parts, which nobody can read
// but which cost room; [Store.Sweep] removes them. MinIO lists such uploads
// only until it is started again, and removes them itself after 24 hours.
package s3

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/s3utils"

	"dalel/blobs"
	"dalel/internal/fault"
)

// Defaults of [Options].
const (
	DefaultEndpoint = "s3.amazonaws.com"
	// DefaultFirst is time enough to append the event that names the content,
	// and for its retention rule to be applied.
	DefaultFirst     = 24 * time.Hour
	DefaultTimeout   = 30 * time.Second
	DefaultAttempts  = 5
	DefaultBackoff   = 200 * time.Millisecond
	DefaultAbandoned = 24 * time.Hour
	// DefaultPart keeps 10 000 parts, the most that S3 takes, above 600 GiB,
	// and what a cut connection costs small.
	DefaultPart = 64 << 20
)

const (
	contentDir = "sha256/"

	// maxBackoff is the longest wait between two attempts, in units of
	// Options.Backoff.
	maxBackoff = 25

	// sendBuffer of a connection, in bytes.
	sendBuffer = 512 << 10

	// Amazon's limits on parts.
	minPart  = 5 << 20
	maxPart  = 5 << 30
	maxParts = 10_000
)

// Options say where a store is and how it behaves. Bucket must be set; every
// other zero value has a meaning.
type Options struct {
	// Endpoint is the server's host, with a port if need be. Empty means
	// Amazon's.
	Endpoint string
	// Secure says to speak https. Set it wherever the network is not this
	// machine's own.
	Secure bool
	// Bucket must have object lock; see Make.
	Bucket string
	// Prefix comes before each key: letters, digits and "._-", in segments
	// parted by "/". Empty means none.
	Prefix string
	// Region of the bucket. Empty means to ask the server.
	Region string
	// AccessKey, SecretKey and SessionToken are the credentials. Where the
	// first two are empty, Open takes all three from AWS_ACCESS_KEY_ID,
	// AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN.
	AccessKey, SecretKey, SessionToken string
	// Make says to make the bucket, with object lock, if there is none.
	Make bool
	// First is how long Put locks content for, counted from the moment its
	// upload starts. Zero means DefaultFirst.
	First time.Duration
	// Staging is the folder for content on its way in. Empty means the
	// system's folder for temporary files.
	Staging string
	// Part is the size of a part in bytes, at least 5 MiB; content up to this
	// size goes in one request. Content that would need more than 10 000
	// parts goes in larger ones. Memory does not depend on it. Zero means
	// DefaultPart.
	Part int64
	// Timeout is how long a connection may go without one byte moving, and
	// how long a request that carries no content may take in all. Zero means
	// DefaultTimeout.
	Timeout time.Duration
	// Attempts is how often a request is tried in all when the server is away
	// or busy. Zero means DefaultAttempts.
	Attempts int
	// Backoff is the longest wait before the second attempt; it doubles from
	// attempt to attempt up to 25 times this, and each wait is a random part
	// of it. Zero means DefaultBackoff.
	Backoff time.Duration
	// Abandoned is the age from which Sweep takes an upload for cut off. Zero
	// means DefaultAbandoned. It must be longer than any upload takes.
	Abandoned time.Duration
	// Clock tells the time; nil means time.Now. It only says when locks end:
	// the server keeps them by its own clock.
	Clock func() time.Time
}

// String says where the store is and leaves out the credentials.
func (o Options) String() string {
	scheme := "http"
	if o.Secure {
		scheme = "https"
	}
	return fmt.Sprintf("s3://%s/%s at %s://%s", o.Bucket, o.Prefix, scheme, o.Endpoint)
}

// GoString is String, so that %#v shows no secret either.
func (o Options) GoString() string { return o.String() }

// Store is a blobs.Archive in an S3 bucket. Make one with [Open].
//
// Several stores, in one process or many, may have the same bucket and prefix
// open; the server decides between them.
type Store struct {
	options   Options
	core      minio.Core
	transport *http.Transport
	// folder is what every key begins with.
	folder string
}

var _ blobs.Archive = (*Store)(nil)

var prefixSegment = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// Open connects to the bucket and checks that it exists, keeps versions and
// has object lock. It starts nothing in the background: the owner calls
// [Store.Sweep], when it starts and once a day.
//
// Errors: config.invalid for options that cannot work, a server that refuses
// the keys, and a bucket without object lock (the detail says how to make one
// that has it); blob.failed if the server is away.
func Open(ctx context.Context, options Options) (*Store, error) {
	if err := options.complete(); err != nil {
		return nil, err
	}
	s := &Store{options: options, folder: options.Prefix + contentDir}
	dialer := &net.Dialer{Timeout: options.Timeout, KeepAlive: 30 * time.Second}
	s.transport = &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			if tcp, ok := conn.(*net.TCPConn); ok {
				// What lies in the system's buffer moves unseen. So little is
				// gone within the time-out on any line worth the name.
				_ = tcp.SetWriteBuffer(sendBuffer)
			}
			return &watched{Conn: conn, idle: options.Timeout}, nil
		},
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: options.Timeout,
		MaxIdleConns:        32,
		MaxIdleConnsPerHost: 32,
		IdleConnTimeout:     max(options.Timeout/2, time.Millisecond),
		DisableCompression:  true,
		WriteBufferSize:     64 << 10,
		ReadBufferSize:      64 << 10,
	}
	client, err := minio.New(options.Endpoint, &minio.Options{
		Creds:     credentials.NewStaticV4(options.AccessKey, options.SecretKey, options.SessionToken),
		Secure:    options.Secure,
		Region:    options.Region,
		Transport: s.transport,
		// Attempts are counted, spaced and bounded here alone.
		MaxRetries: 1,
	})
	if err != nil {
		return nil, fault.New(fault.ConfigInvalid, "the S3 endpoint cannot be used: it is a host, with a port if need be")
	}
	s.core = minio.Core{Client: client}
	if err := s.checkBucket(ctx); err != nil {
		s.transport.CloseIdleConnections()
		return nil, err
	}
	return s, nil
}

// Close lets go of connections that nobody uses. Readers that are open stay
// usable.
func (s *Store) Close() error {
	s.transport.CloseIdleConnections()
	return nil
}

// complete checks options and fills in the defaults.
func (o *Options) complete() error {
	if o.Endpoint == "" {
		o.Endpoint, o.Secure = DefaultEndpoint, true
	}
	if err := s3utils.CheckValidBucketNameStrict(o.Bucket); err != nil {
		return fault.New(fault.ConfigInvalid, "the S3 bucket's name is not one that S3 takes")
	}
	o.Prefix = strings.Trim(o.Prefix, "/")
	if o.Prefix != "" {
		for segment := range strings.SplitSeq(o.Prefix, "/") {
			if !prefixSegment.MatchString(segment) || segment == "." || segment == ".." {
				return fault.New(fault.ConfigInvalid, `the S3 prefix must be made of letters, digits and "._-", in segments parted by "/"`)
			}
		}
		if o.Prefix = path.Clean(o.Prefix) + "/"; len(o.Prefix) > 512 {
			return fault.New(fault.ConfigInvalid, "the S3 prefix is longer than 512 bytes")
		}
	}
	if o.AccessKey == "" && o.SecretKey == "" {
		o.AccessKey, o.SecretKey = os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY")
		o.SessionToken = os.Getenv("AWS_SESSION_TOKEN")
	}
	if o.AccessKey == "" || o.SecretKey == "" {
		return fault.New(fault.ConfigInvalid, "the S3 store has no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	}
	for _, duration := range []struct {
		name     string
		value    *time.Duration
		fallback time.Duration
	}{
		{"first retention period", &o.First, DefaultFirst}, {"time-out", &o.Timeout, DefaultTimeout},
		{"backoff", &o.Backoff, DefaultBackoff}, {"age of abandoned uploads", &o.Abandoned, DefaultAbandoned},
	} {
		if *duration.value < 0 {
			return fault.New(fault.ConfigInvalid, "the %s of the S3 store is negative", duration.name)
		}
		if *duration.value == 0 {
			*duration.value = duration.fallback
		}
	}
	if o.Attempts == 0 {
		o.Attempts = DefaultAttempts
	}
	if o.Part == 0 {
		o.Part = DefaultPart
	}
	if o.Attempts < 0 || o.Part < minPart || o.Part > maxPart {
		return fault.New(fault.ConfigInvalid, "the S3 store needs at least one attempt, and parts of 5 MiB to 5 GiB")
	}
	if o.Staging == "" {
		o.Staging = os.TempDir()
	}
	if stat, err := os.Stat(o.Staging); err != nil || !stat.IsDir() {
		return fault.New(fault.ConfigInvalid, "the staging folder of the S3 store is not there")
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	return nil
}

// checkBucket is nil if the bucket keeps what this package promises.
func (s *Store) checkBucket(ctx context.Context) error {
	var there bool
	err := s.try(ctx, "look for the S3 bucket", func(ctx context.Context) (err error) {
		there, err = s.core.BucketExists(ctx, s.options.Bucket)
		return err
	})
	if err == nil && !there {
		if !s.options.Make {
			return fault.New(fault.ConfigInvalid, "there is no S3 bucket %s; %s", s.options.Bucket, s.howToMake())
		}
		err = s.try(ctx, "make the S3 bucket", func(ctx context.Context) error {
			err := s.core.MakeBucket(ctx, s.options.Bucket, minio.MakeBucketOptions{Region: s.options.Region, ObjectLocking: true})
			if codeOf(err) == minio.BucketAlreadyOwnedByYou {
				return nil // made meanwhile, or by an attempt whose answer was lost
			}
			return err
		})
	}
	if err != nil {
		return s.refusedAtOpen(err)
	}
	var versions minio.BucketVersioningConfiguration
	err = s.try(ctx, "ask whether the S3 bucket keeps versions", func(ctx context.Context) (err error) {
		versions, err = s.core.GetBucketVersioning(ctx, s.options.Bucket)
		return err
	})
	if err != nil {
		return s.refusedAtOpen(err)
	}
	var lock string
	err = s.try(ctx, "ask whether the S3 bucket has object lock", func(ctx context.Context) (err error) {
		lock, _, _, _, err = s.core.GetObjectLockConfig(ctx, s.options.Bucket)
		if codeOf(err) == "ObjectLockConfigurationNotFoundError" {
			lock, err = "", nil
		}
		return err
	})
	if err != nil {
		return s.refusedAtOpen(err)
	}
	if !versions.Enabled() || lock != "Enabled" {
		return fault.New(fault.ConfigInvalid, "the S3 bucket %s has no object lock, so what is stored there could be removed at any time; %s",
			s.options.Bucket, s.howToMake())
	}
	return nil
}

func (s *Store) howToMake() string {
	endpoint, region := "", ""
	if s.options.Endpoint != DefaultEndpoint {
		scheme := "http"
		if s.options.Secure {
			scheme = "https"
		}
		endpoint = fmt.Sprintf(" --endpoint-url %s://%s", scheme, s.options.Endpoint)
	}
	if s.options.Region != "" && s.options.Region != "us-east-1" {
		region = fmt.Sprintf(" --region %s --create-bucket-configuration LocationConstraint=%[1]s", s.options.Region)
	}
	return fmt.Sprintf("make one with: mc mb --with-lock ALIAS/%s, or: aws s3api create-bucket --bucket %[1]s --object-lock-enabled-for-bucket%s%s",
		s.options.Bucket, region, endpoint)
}

// key is where digest's content is.
func (s *Store) key(digest blobs.Digest) string {
	text := digest.String()
	return s.folder + text[:2] + "/" + text[2:4] + "/" + text[4:]
}

// digestOf is the inverse of key.
func (s *Store) digestOf(key string) (blobs.Digest, bool) {
	name, ok := strings.CutPrefix(key, s.folder)
	if !ok || len(name) != 66 || name[2] != '/' || name[5] != '/' {
		return blobs.Digest{}, false
	}
	digest, err := blobs.ParseDigest(name[:2] + name[3:5] + name[6:])
	return digest, err == nil
}
