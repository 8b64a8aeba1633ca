package process

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/stretchr/testify/require"
)

// rootOf returns a client with the rights of the S3 server's root user.
func rootOf(t *testing.T) *minio.Client {
	t.Helper()
	server, err := url.Parse(os.Getenv("DALEL_TEST_S3"))
	require.NoError(t, err)
	secret, _ := server.User.Password()
	client, err := minio.New(server.Host, &minio.Options{Creds: credentials.NewStaticV4(server.User.Username(), secret, ""), Secure: server.Scheme == "https"})
	require.NoError(t, err)
	return client
}

func TestR_G3_WithRootsRightsNothingOfASentDocumentIsRemovedOverwrittenOrUnlocked(t *testing.T) {
	at, environment := bucket(t)
	n := newNode(t, program(t), filepath.Join(t.TempDir(), "ledger"), at...)
	n.environment = environment
	n.found()
	n.start()
	iin, _ := n.register("79110945012")
	alpha := n.participant("85041230056")
	id := n.draft(alpha)
	var clear bytes.Buffer
	status, answer, err := n.call(alpha, http.MethodPut, "/api/v1/documents/"+id+"/files/a.pdf", "application/pdf", io.TeeReader(pdf(100_000), &clear))
	require.NoError(t, err)
	require.Less(t, status, 300, "%v", answer)
	n.post(alpha, "/api/v1/documents/"+id+"/send", fmt.Sprintf(`{"recipients":[{"identifier":%q,"role":"sign","order":1}]}`, iin))

	root := rootOf(t)
	ctx := t.Context()
	name := strings.TrimPrefix(strings.Split(at[1], "?")[0], "s3://")
	tried, long := 0, 0
	for object := range root.ListObjects(ctx, name, minio.ListObjectsOptions{Recursive: true, WithVersions: true}) {
		require.NoError(t, object.Err)
		tried++
		content, err := root.GetObject(ctx, name, object.Key, minio.GetObjectOptions{VersionID: object.VersionID})
		require.NoError(t, err)
		stored, err := io.ReadAll(content)
		require.NoError(t, err)
		require.False(t, bytes.Contains(stored, clear.Bytes()[:100]), "no clear byte is among the blobs")
		for _, options := range []minio.RemoveObjectOptions{
			{VersionID: object.VersionID}, {VersionID: object.VersionID, GovernanceBypass: true}, {VersionID: object.VersionID, ForceDelete: true, GovernanceBypass: true},
		} {
			require.Error(t, root.RemoveObject(ctx, name, object.Key, options))
		}
		soon := time.Now().Add(time.Minute)
		for _, mode := range []minio.RetentionMode{minio.Compliance, minio.Governance} {
			require.Error(t, root.PutObjectRetention(ctx, name, object.Key, minio.PutObjectRetentionOptions{
				VersionID: object.VersionID, Mode: &mode, RetainUntilDate: &soon, GovernanceBypass: true,
			}))
		}
		mode, until, err := root.GetObjectRetention(ctx, name, object.Key, object.VersionID)
		require.NoError(t, err)
		require.Equal(t, minio.Compliance, *mode)
		if until.After(time.Now().AddDate(1, 0, 0)) {
			long++
			require.False(t, until.Before(time.Now().AddDate(10, 0, -1)), "ten years")
		}
		// What S3 does let root do: a newer version, and a delete marker.
		_, err = root.PutObject(ctx, name, object.Key, strings.NewReader("other bytes"), 11, minio.PutObjectOptions{})
		require.NoError(t, err)
		require.NoError(t, root.RemoveObject(ctx, name, object.Key, minio.RemoveObjectOptions{}))
	}
	require.Positive(t, tried)
	require.Positive(t, long, "the sent file is locked for its ten years")

	request, err := http.NewRequestWithContext(ctx, http.MethodGet, n.url+"/api/v1/documents/"+id+"/files/a.pdf", nil)
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+alpha)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	back, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	sums := [2][32]byte{sha256.Sum256(clear.Bytes()), sha256.Sum256(back)}
	require.Equal(t, hex.EncodeToString(sums[0][:]), hex.EncodeToString(sums[1][:]), "the document comes back as it was")
	n.kill()
	require.Contains(t, n.run("fsck"), "all is as committed")
	t.Logf("%d objects: none removed, none unlocked, none hidden", tried)
}
