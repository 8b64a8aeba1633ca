package s3_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/stretchr/testify/require"

	"dalel/blobs"
	"dalel/blobs/blobtest"
	"dalel/blobs/s3"
	"dalel/internal/fault"
)

// serverVariable names the S3 server that the tests run against, by a URL with
// its root user's keys: http://key:secret@127.0.0.1:9000. tests/minio/start.sh
// starts one. Every test makes a bucket of its own there.
const serverVariable = "DALEL_TEST_S3"

type server struct {
	host, access, secret string
	secure               bool
}

func testServer(t *testing.T) server {
	t.Helper()
	text := os.Getenv(serverVariable)
	if text == "" {
		t.Skip(serverVariable + " names no S3 server: start one with tests/minio/start.sh")
	}
	place, err := url.Parse(text)
	require.NoError(t, err, serverVariable)
	secret, ok := place.User.Password()
	require.True(t, ok, serverVariable+" has no keys")
	return server{host: place.Host, access: place.User.Username(), secret: secret, secure: place.Scheme == "https"}
}

// options lead straight to the server, to a bucket of the test's own.
func (s server) options(t *testing.T) s3.Options {
	return s3.Options{
		Endpoint: s.host, Secure: s.secure, AccessKey: s.access, SecretKey: s.secret,
		Bucket: "dalel-" + strings.ToLower(rand.Text()), Make: true, Staging: t.TempDir(),
		First: time.Hour, Backoff: 10 * time.Millisecond,
	}
}

// root is the server's root user with nothing of this package in between.
func (s server) root(t *testing.T) *minio.Client {
	t.Helper()
	client, err := minio.New(s.host, &minio.Options{Creds: credentials.NewStaticV4(s.access, s.secret, ""), Secure: s.secure})
	require.NoError(t, err)
	return client
}

func open(t *testing.T, options s3.Options) *s3.Store {
	t.Helper()
	store, err := s3.Open(t.Context(), options)
	require.NoError(t, err)
	t.Cleanup(func() { _ = store.Close() })
	return store
}

func put(t *testing.T, store *s3.Store, content []byte) blobs.Digest {
	t.Helper()
	info, err := store.Put(t.Context(), bytes.NewReader(content), 1<<40)
	require.NoError(t, err)
	require.Equal(t, blobs.Info{Digest: blobs.Sum(content), Size: int64(len(content))}, info)
	return info.Digest
}

func requireReads(t *testing.T, store *s3.Store, content []byte) {
	t.Helper()
	got, err := blobs.ReadAll(t.Context(), store, blobs.Sum(content), 1<<40)
	require.NoError(t, err)
	require.True(t, bytes.Equal(content, got), "what came back is not what went in")
}

func requireCode(t *testing.T, code fault.Code, err error) {
	t.Helper()
	require.Truef(t, fault.Is(err, code), "want %s, got %v", code, err)
}

// keyOf is written out here, not taken from the store: the layout is a promise.
func keyOf(prefix string, digest blobs.Digest) string {
	text := digest.String()
	if prefix != "" {
		prefix += "/"
	}
	return prefix + "sha256/" + text[:2] + "/" + text[2:4] + "/" + text[4:]
}

// versions of everything in a bucket, newest first for each key.
func versions(t *testing.T, root *minio.Client, bucket, prefix string) []minio.ObjectInfo {
	t.Helper()
	var all []minio.ObjectInfo
	for listed := range root.ListObjectsIter(context.WithoutCancel(t.Context()), bucket,
		minio.ListObjectsOptions{Prefix: prefix, Recursive: true, WithVersions: true}) {
		require.NoError(t, listed.Err)
		all = append(all, listed)
	}
	return all
}

// uploads that are not complete.
func uploads(t *testing.T, root *minio.Client, bucket string) []string {
	t.Helper()
	page, err := minio.Core{Client: root}.ListMultipartUploads(t.Context(), bucket, "", "", "", "", 1000)
	require.NoError(t, err)
	var ids []string
	for _, upload := range page.Uploads {
		ids = append(ids, upload.Key+" "+upload.UploadID)
	}
	return ids
}

// leftovers are all things in the bucket and the staging folder but one
// version for each content.
func leftovers(t *testing.T, root *minio.Client, options s3.Options) []string {
	t.Helper()
	found := uploads(t, root, options.Bucket)
	seen := map[string]bool{}
	for _, version := range versions(t, root, options.Bucket, "") {
		if version.IsDeleteMarker || seen[version.Key] {
			found = append(found, version.Key+" "+version.VersionID)
		}
		seen[version.Key] = true
	}
	entries, err := os.ReadDir(options.Staging)
	require.NoError(t, err)
	for _, entry := range entries {
		found = append(found, entry.Name())
	}
	return found
}

func TestStore_keepsTheContract(t *testing.T) {
	server := testServer(t)
	blobtest.Run(t, func(t *testing.T) blobtest.Instance {
		between := newBetween(t, server)
		options := between.options(server.options(t))
		options.Prefix = "some/where"
		root := server.root(t)
		throughProxy, err := minio.New(options.Endpoint, &minio.Options{Creds: credentials.NewStaticV4(server.access, server.secret, "")})
		require.NoError(t, err)
		path := func(digest blobs.Digest) string { return "/" + options.Bucket + "/" + keyOf(options.Prefix, digest) }
		return blobtest.Instance{
			Store: open(t, options),
			// Nobody can change what the server keeps; what stands between can
			// answer as if somebody had.
			Tamper: func(_ *testing.T, digest blobs.Digest, content []byte) { between.tamper(path(digest), content) },
			Stored: func(t *testing.T, digest blobs.Digest) []byte {
				require.Len(t, versions(t, root, options.Bucket, keyOf(options.Prefix, digest)), 1)
				object, err := throughProxy.GetObject(t.Context(), options.Bucket, keyOf(options.Prefix, digest), minio.GetObjectOptions{})
				require.NoError(t, err)
				content, err := io.ReadAll(object)
				require.NoError(t, err)
				return content
			},
			Leftovers: func(t *testing.T) []string { return leftovers(t, root, options) },
			Version: func(t *testing.T, digest blobs.Digest) string {
				all := versions(t, root, options.Bucket, keyOf(options.Prefix, digest))
				if len(all) == 0 {
					t.Error("acknowledged content has no version")
					return ""
				}
				return all[len(all)-1].VersionID
			},
		}
	})
}

func TestStore_keepsTheContractOfAnArchive(t *testing.T) {
	server := testServer(t)
	blobtest.RunArchive(t, func(t *testing.T) blobtest.ArchiveInstance {
		options := server.options(t)
		options.First = 3 * time.Second
		again := func(t *testing.T) blobs.Archive { return open(t, options) }
		root := server.root(t)
		return blobtest.ArchiveInstance{
			Archive: again(t), First: options.First, Reopen: again, Beside: again,
			Leftovers: func(t *testing.T) []string { return leftovers(t, root, options) },
		}
	})
}

func TestOpen_refusesABucketWithoutObjectLock(t *testing.T) {
	server := testServer(t)
	options := server.options(t)
	options.Make = false
	for _, step := range []struct {
		name    string
		prepare func() error
	}{
		{"no bucket", func() error { return nil }},
		{"neither versions nor lock", func() error {
			return server.root(t).MakeBucket(t.Context(), options.Bucket, minio.MakeBucketOptions{})
		}},
		{"versions but no lock", func() error { return server.root(t).EnableVersioning(t.Context(), options.Bucket) }},
	} {
		t.Run(step.name, func(t *testing.T) {
			require.NoError(t, step.prepare())
			_, err := s3.Open(t.Context(), options)
			requireCode(t, fault.ConfigInvalid, err)
			require.ErrorContains(t, err, "mc mb --with-lock ALIAS/"+options.Bucket)
			require.ErrorContains(t, err, fmt.Sprintf("aws s3api create-bucket --bucket %s --object-lock-enabled-for-bucket --endpoint-url http://%s",
				options.Bucket, options.Endpoint))
		})
	}
	// Make makes none of what is there already.
	options.Make = true
	_, err := s3.Open(t.Context(), options)
	requireCode(t, fault.ConfigInvalid, err)
}

func TestOpen_saysThatKeysAreRefusedAndRepeatsNoSecret(t *testing.T) {
	server := testServer(t)
	options := server.options(t)
	open(t, options)
	options.SecretKey = "not-the-secret-of-anybody"
	_, err := s3.Open(t.Context(), options)
	requireCode(t, fault.ConfigInvalid, err)
	require.NotContains(t, err.Error(), options.SecretKey)
	options.AccessKey, options.SecretKey = "nobody-known", "not-the-secret-of-anybody"
	_, err = s3.Open(t.Context(), options)
	requireCode(t, fault.ConfigInvalid, err)
	require.NotContains(t, err.Error(), options.SecretKey)
}

func TestOpen_takesKeysFromTheEnvironment(t *testing.T) {
	server := testServer(t)
	options := server.options(t)
	options.AccessKey, options.SecretKey = "", ""
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	t.Setenv("AWS_SESSION_TOKEN", "")
	_, err := s3.Open(t.Context(), options)
	requireCode(t, fault.ConfigInvalid, err)
	t.Setenv("AWS_ACCESS_KEY_ID", server.access)
	t.Setenv("AWS_SECRET_ACCESS_KEY", server.secret)
	put(t, open(t, options), []byte("content"))
}

func TestOpen_refusesOptionsThatCannotWork(t *testing.T) {
	good := s3.Options{Endpoint: "127.0.0.1:1", Bucket: "bucket", AccessKey: "key", SecretKey: "secret-secret"}
	for name, spoil := range map[string]func(*s3.Options){
		"no bucket":            func(o *s3.Options) { o.Bucket = "" },
		"a bucket with a path": func(o *s3.Options) { o.Bucket = "bucket/x" },
		"a prefix that climbs": func(o *s3.Options) { o.Prefix = "a/../b" },
		"an empty segment":     func(o *s3.Options) { o.Prefix = "a//b" },
		"a long prefix":        func(o *s3.Options) { o.Prefix = strings.Repeat("a", 600) },
		"a negative period":    func(o *s3.Options) { o.First = -1 },
		"negative attempts":    func(o *s3.Options) { o.Attempts = -1 },
		"small parts":          func(o *s3.Options) { o.Part = 1 << 20 },
		"no staging folder":    func(o *s3.Options) { o.Staging = filepath.Join(t.TempDir(), "missing") },
		"an endpoint as a URL": func(o *s3.Options) { o.Endpoint = "http://127.0.0.1:1/path" },
	} {
		options := good
		spoil(&options)
		_, err := s3.Open(t.Context(), options)
		require.Truef(t, fault.Is(err, fault.ConfigInvalid), "%s: got %v", name, err)
		require.NotContains(t, err.Error(), "secret-secret")
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		require.NotContains(t, fmt.Sprintf(format, good), "secret-secret")
		require.NotContains(t, fmt.Sprintf(format, &good), "secret-secret")
	}
}

func TestParseURL(t *testing.T) {
	for text, want := range map[string]s3.Options{
		"s3://bucket": {Bucket: "bucket", Endpoint: "s3.amazonaws.com", Secure: true},
		"s3://bucket/a/b/?endpoint=https://host:9000&region=eu-central-1&first=720h": {
			Bucket: "bucket", Prefix: "a/b", Endpoint: "host:9000", Secure: true, Region: "eu-central-1", First: 720 * time.Hour},
		"s3://bucket/a?endpoint=http://127.0.0.1:9000/&make=true&staging=/var/spool": {
			Bucket: "bucket", Prefix: "a", Endpoint: "127.0.0.1:9000", Make: true, Staging: "/var/spool"},
	} {
		got, err := s3.ParseURL(text)
		require.NoError(t, err, text)
		require.Equal(t, want.Staging, got.Staging, text)
		want.Clock, got.Clock = nil, nil
		require.True(t, want.Bucket == got.Bucket && want.Prefix == got.Prefix && want.Endpoint == got.Endpoint && want.Secure == got.Secure &&
			want.Region == got.Region && want.First == got.First && want.Make == got.Make, "%s gave %v", text, got)
		require.Empty(t, got.AccessKey+got.SecretKey)
	}
	const secret = "hunter2hunter2"
	for _, text := range []string{
		"", "bucket", "http://bucket", "s3:bucket", "s3://", "s3:///prefix", "s3://bucket:9000/",
		"s3://key:" + secret + "@bucket/",
		"s3://" + secret + "@bucket/",
		"s3://bucket/%zz" + secret,
		"s3://bucket/?endpoint=https://key:" + secret + "@host",
		"s3://bucket/?endpoint=host:9000",
		"s3://bucket/?endpoint=ftp://host",
		"s3://bucket/?endpoint=https://host/path",
		"s3://bucket/?endpoint=https://host%3Fsecret%3D" + secret,
		"s3://bucket/?secret_key=" + secret,
		"s3://bucket/?" + secret + "=1",
		"s3://bucket/?first=" + secret,
		"s3://bucket/?first=-1h", "s3://bucket/?first=0s", "s3://bucket/?first=", "s3://bucket/?first=1h&first=2h",
		"s3://bucket/?make=yes",
		"s3://bucket/?region=a;b=" + secret,
		"s3://bucket/#" + secret,
		"s3://bucket\x00" + secret,
	} {
		_, err := s3.ParseURL(text)
		require.Truef(t, fault.Is(err, fault.ConfigInvalid), "%q gave %v", text, err)
		require.NotContains(t, err.Error(), secret)
	}
}

func TestAll_namesWhatIsNoContent(t *testing.T) {
	server := testServer(t)
	options := server.options(t)
	store, root := open(t, options), server.root(t)
	digest := put(t, store, []byte("content"))
	for _, key := range []string{"sha256/zz/stranger", "sha256/" + strings.Repeat("ab", 32), "elsewhere", "sha2560"} {
		_, err := root.PutObject(t.Context(), options.Bucket, key, strings.NewReader("x"), 1, minio.PutObjectOptions{})
		require.NoError(t, err)
	}
	var seen []blobs.Info
	var corrupt int
	for info, err := range store.All(t.Context()) {
		if err != nil {
			requireCode(t, fault.BlobCorrupt, err)
			corrupt++
			continue
		}
		seen = append(seen, info)
	}
	require.Equal(t, []blobs.Info{{Digest: digest, Size: 7}}, seen)
	require.Equal(t, 2, corrupt, "strangers below the store's folder")
}
