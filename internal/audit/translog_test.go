package audit_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"dalel/blobs/file"
	"dalel/internal/audit"
	"dalel/internal/cosignature"
	"dalel/internal/translog"
	"dalel/internal/witness"
)

func TestR_M4_OurOwnLogIsWitnessedAndAuditedByItsFilesAlone(t *testing.T) {
	dir := t.TempDir()
	objects, err := file.OpenObjects(dir)
	require.NoError(t, err)
	defer objects.Close()
	tree, err := translog.Open(t.Context(), objects, 0, nil)
	require.NoError(t, err)
	private, public, err := note.GenerateKey(rand.Reader, origin)
	require.NoError(t, err)
	signer, err := note.NewSigner(private)
	require.NoError(t, err)
	reader := translog.NewReader(objects, 100)

	key, err := cosignature.NewKey("witness.example.kz/w1", rand.Reader)
	require.NoError(t, err)
	folder, err := witness.OpenFolder(t.TempDir())
	require.NoError(t, err)
	defer folder.Close()
	server, err := witness.NewServer(witness.Options{Key: key, Logs: []string{public}, State: folder, PerSecond: 1e6, AllPerSecond: 1e6})
	require.NoError(t, err)
	served := httptest.NewServer(server)
	defer served.Close()
	client, err := witness.NewClient(witness.ClientOptions{VKey: key.VKey(), URL: served.URL})
	require.NoError(t, err)

	site := httptest.NewServer(http.FileServer(http.Dir(dir)))
	defer site.Close()
	logKey, err := cosignature.ParseLogKey(public)
	require.NoError(t, err)
	state, err := audit.OpenState(t.TempDir())
	require.NoError(t, err)
	defer state.Close()
	o := audit.Options{Keys: []note.Verifier{logKey}, State: state, Entries: true}
	o.Source, err = audit.SourceOf(site.URL, nil)
	require.NoError(t, err)
	o.Policy, err = cosignature.AllOf(key.VKey())
	require.NoError(t, err)
	audited, err := audit.New(o)
	require.NoError(t, err)

	for _, more := range []int{0, 1, 254, 1, 1, 1000, 3} {
		var leaves [][]byte
		for i := range more {
			leaves = append(leaves, fmt.Appendf(nil, "entry %d", int(tree.Size())+i))
		}
		require.NoError(t, tree.Append(t.Context(), leaves))
		require.NoError(t, tree.Flush(t.Context()))
		checkpoint, err := translog.Sign(translog.Checkpoint{Origin: origin, Size: tree.Size(), Root: tree.Root()}, signer)
		require.NoError(t, err)
		size := tree.Size()
		line, err := client.Cosign(t.Context(), checkpoint, func(ctx context.Context, old uint64) ([]tlog.Hash, error) {
			return reader.Consistency(ctx, old, size)
		})
		require.NoError(t, err)
		checkpoint = append(checkpoint, line...)
		cosigner, err := cosignature.ParseWitnessKey(key.VKey())
		require.NoError(t, err)
		_, opened, err := translog.ParseCheckpoint(checkpoint, origin, logKey, cosigner)
		require.NoError(t, err)
		require.Len(t, opened.Sigs, 2)
		require.NoError(t, objects.Replace(t.Context(), "checkpoint", checkpoint))

		r := audited.Check(t.Context())
		require.Equal(t, audit.Consistent, r.Outcome, r.Detail)
		require.EqualValues(t, size, r.Size)
		require.EqualValues(t, size, r.Entries)
		require.False(t, r.Witnesses[0].At.IsZero())
	}
}
