package s3_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/stretchr/testify/require"

	"dalel/blobs/keys"
	"dalel/blobs/keys/keystest"
	"dalel/blobs/keys/s3"
	"dalel/internal/fault"
)

// service is the S3 service for tests, from DALEL_TEST_S3.
func service(t testing.TB) (*url.URL, *minio.Client) {
	address := os.Getenv("DALEL_TEST_S3")
	if address == "" {
		t.Skip("DALEL_TEST_S3 names no S3 service (http://user:password@127.0.0.1:9000)")
	}
	u, err := url.Parse(address)
	require.NoError(t, err)
	secret, _ := u.User.Password()
	client, err := minio.New(u.Host, &minio.Options{Creds: credentials.NewStaticV4(u.User.Username(), secret, ""), Secure: u.Scheme == "https"})
	require.NoError(t, err)
	return u, client
}

var buckets atomic.Int64

func bucket(t testing.TB, client *minio.Client, options minio.MakeBucketOptions) string {
	name := fmt.Sprintf("dalel-keys-%d-%d", time.Now().UnixNano(), buckets.Add(1))
	require.NoError(t, client.MakeBucket(t.Context(), name, options))
	t.Cleanup(func() {
		_ = client.RemoveBucketWithOptions(context.Background(), name, minio.RemoveBucketOptions{ForceDelete: true})
	})
	return name
}

func config(u *url.URL, bucket string) s3.Config {
	secret, _ := u.User.Password()
	return s3.Config{Endpoint: u.Host, Secure: u.Scheme == "https", Bucket: bucket, Prefix: "some/keys", AccessKey: u.User.Username(), SecretKey: secret}
}

func open(t testing.TB, config s3.Config) *s3.Store {
	t.Helper()
	store, err := s3.Open(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	return store
}

func TestStore(t *testing.T) {
	u, client := service(t)
	keystest.Run(t, func(t *testing.T) keystest.Instance {
		name := bucket(t, client, minio.MakeBucketOptions{})
		return keystest.Instance{
			Store: open(t, config(u, name)),
			Open:  func(t *testing.T) keys.Store { return open(t, config(u, name)) },
			Stored: func(t *testing.T) []byte {
				var bytes []byte
				for object := range client.ListObjectsIter(t.Context(), name, minio.ListObjectsOptions{Recursive: true, WithVersions: true}) {
					require.NoError(t, object.Err)
					got, err := client.GetObject(t.Context(), name, object.Key, minio.GetObjectOptions{VersionID: object.VersionID})
					require.NoError(t, err)
					content, err := io.ReadAll(got)
					require.NoError(t, err)
					bytes = append(bytes, content...)
				}
				return bytes
			},
		}
	})
}

func TestABucketThatKeepsVersionsIsRefused(t *testing.T) {
	u, client := service(t)
	for what, make := range map[string]func() string{
		"versioning on": func() string {
			name := bucket(t, client, minio.MakeBucketOptions{})
			require.NoError(t, client.EnableVersioning(t.Context(), name))
			return name
		},
		"object lock": func() string { return bucket(t, client, minio.MakeBucketOptions{ObjectLocking: true}) },
		"suspended, with old versions": func() string {
			name := bucket(t, client, minio.MakeBucketOptions{})
			require.NoError(t, client.EnableVersioning(t.Context(), name))
			_, err := client.PutObject(t.Context(), name, "some/keys/document-1", strings.NewReader("x"), 1, minio.PutObjectOptions{})
			require.NoError(t, err)
			require.NoError(t, client.SuspendVersioning(t.Context(), name))
			return name
		},
		"missing": func() string { return "dalel-no-such-bucket" },
	} {
		_, err := s3.Open(t.Context(), config(u, make()))
		require.True(t, fault.Is(err, fault.ConfigInvalid), "%s: %v", what, err)
	}
	name := bucket(t, client, minio.MakeBucketOptions{})
	require.NoError(t, client.EnableVersioning(t.Context(), name))
	require.NoError(t, client.SuspendVersioning(t.Context(), name))
	store := open(t, config(u, name))

	// Versioning is turned on behind the store's back.
	record := keys.Record{Subject: "document-1", Wrapped: []byte("wrapped"), Wrapping: "w"}
	_, _, err := store.Create(t.Context(), record)
	require.NoError(t, err)
	require.NoError(t, client.EnableVersioning(t.Context(), name))
	err = store.Destroy(t.Context(), "document-1", time.Now())
	require.True(t, fault.Is(err, fault.KeyFailed), "%v", err)
	require.ErrorContains(t, err, "keeps versions now")
}

// between is the service seen through a proxy that loses answers.
func between(t *testing.T, u *url.URL, lose func(*http.Request) bool) s3.Config {
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: u.Scheme, Host: u.Host})
		r.Out.Host = r.In.Host // it is signed
	}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if lose(r) {
			proxy.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	seen, err := url.Parse(server.URL)
	require.NoError(t, err)
	seen.User = u.User
	return config(seen, "")
}

func TestALostAnswerDoesNotMakeADoneChangeAnothers(t *testing.T) {
	u, client := service(t)
	name := bucket(t, client, minio.MakeBucketOptions{})
	var armed atomic.Bool
	lossy := between(t, u, func(r *http.Request) bool { return r.Method == http.MethodPut && armed.CompareAndSwap(true, false) })
	lossy.Bucket = name
	store := open(t, lossy)
	one := keys.Record{Subject: "document-1", Wrapped: keystest.Bytes(t, 99), Wrapping: "a"}
	armed.Store(true)
	kept, made, err := store.Create(t.Context(), one)
	require.NoError(t, err)
	require.True(t, made, "the record that is there is ours")
	require.Equal(t, one, kept)
	two := keys.Record{Subject: "document-1", Wrapped: keystest.Bytes(t, 99), Wrapping: "b"}
	armed.Store(true)
	done, err := store.Rewrap(t.Context(), two, "a")
	require.NoError(t, err)
	require.True(t, done)
	armed.Store(true)
	require.NoError(t, store.Destroy(t.Context(), "document-1", time.Now()))
	require.False(t, armed.Load())
}

func TestADamagedObjectIsAFailureAndNoAnswer(t *testing.T) {
	u, client := service(t)
	name := bucket(t, client, minio.MakeBucketOptions{})
	store := open(t, config(u, name))
	for what, text := range map[string]string{
		"empty": "", "no JSON": "wrapped-secret", "another subject's": `{"subject":"document-2","wrapped":"eA==","wrapping":"w"}`,
		"nothing in it": `{"subject":"document-1"}`, "both": `{"subject":"document-1","wrapped":"eA==","wrapping":"w","destroyedAt":"2031-05-06T07:08:09Z"}`,
		"large": `{"subject":"document-1","wrapped":"` + strings.Repeat("AAAA", 10_000) + `","wrapping":"w"}`,
	} {
		_, err := client.PutObject(t.Context(), name, "some/keys/document-1", strings.NewReader(text), int64(len(text)), minio.PutObjectOptions{})
		require.NoError(t, err)
		_, err = store.Get(t.Context(), "document-1")
		require.True(t, fault.Is(err, fault.KeyFailed), "%s: %v", what, err)
		require.NotContains(t, err.Error(), "wrapped-secret")
		_, _, err = store.Create(t.Context(), keys.Record{Subject: "document-1", Wrapped: []byte("x"), Wrapping: "w"})
		require.True(t, fault.Is(err, fault.KeyFailed), "%s: %v", what, err)
	}
}

func TestAServiceThatIsAwayIsKeyFailedAndItsErrorHasNoSecrets(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	away := s3.Config{Endpoint: listener.Addr().String(), Bucket: "some-bucket", AccessKey: "the-access-key", SecretKey: "the-secret-key"}
	_, err = s3.Open(t.Context(), away)
	require.True(t, fault.Is(err, fault.KeyFailed), "%v", err)
	require.NotContains(t, err.Error(), "the-secret-key")
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", away, away, away), "the-secret-key")
}

func TestAnAddressIsReadStrictly(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "access")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	config, err := s3.ParseURL("s3://bucket/some/prefix/?endpoint=http://host:9000&region=kz-1")
	require.NoError(t, err)
	require.Equal(t, s3.Config{Endpoint: "host:9000", Region: "kz-1", Bucket: "bucket", Prefix: "some/prefix", AccessKey: "access", SecretKey: "secret"}, config)
	config, err = s3.ParseURL("s3://bucket")
	require.NoError(t, err)
	require.Equal(t, s3.Config{Endpoint: "s3.amazonaws.com", Secure: true, Bucket: "bucket", AccessKey: "access", SecretKey: "secret"}, config)
	for _, bad := range []string{
		"", "bucket", "http://bucket", "s3://", "s3://user:word@bucket", "s3://bucket:9/x", "s3://bucket/a/../b", "s3://bucket/a//b", "s3://bucket?endpoint=host:9000",
		"s3://bucket?endpoint=http://u:word@host", "s3://bucket?endpoint=http://host/path", "s3://bucket?secret=word", "s3://bucket?endpoint=http://a&endpoint=http://b", "s3://%zzword",
	} {
		_, err := s3.ParseURL(bad)
		require.True(t, fault.Is(err, fault.ConfigInvalid), "%s: %v", bad, err)
		require.NotContains(t, err.Error(), "word")
	}
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	_, err = s3.ParseURL("s3://bucket")
	require.True(t, fault.Is(err, fault.ConfigInvalid), "%v", err)
}
