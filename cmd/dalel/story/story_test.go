package story_test

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dalel/blobs/file"
	"dalel/cmd/dalel/story"
	"dalel/domain/access"
	"dalel/domain/document"
	"dalel/domain/fsck"
	"dalel/domain/ledger"
	"dalel/domain/signature"
	"dalel/internal/authorities"
	"dalel/internal/sealing/sealingtest"
	"dalel/tests/stores"
)

func TestTheStoryPlaysEveryTurnThatADocumentCanTake(t *testing.T) {
	ctx := t.Context()
	dir := t.TempDir()
	store := stores.Open(t)
	content, err := file.Open(filepath.Join(dir, "blobs"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, content.Close()) })
	authority, err := story.NewAuthority()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, authority.Close()) })
	policy := &signature.Policy{}
	for name, certificate := range authority.Certificates() {
		if strings.Contains(name, "root") {
			policy.Roots = append(policy.Roots, certificate)
		} else {
			policy.Intermediates = append(policy.Intermediates, certificate)
		}
	}
	client, err := authorities.Open(authorities.Config{Stamps: []authorities.Stamps{{URL: authority.TimeStamps()}}, Roots: policy.Roots, Intermediates: policy.Intermediates})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	keys := &sealingtest.Keys{}
	l, err := ledger.New(ledger.Config{
		Store: store, Blobs: content, Keys: keys, IdentifierKey: bytes.Repeat([]byte{7}, 32),
		Signatures: &signature.Online{Policy: policy, Sources: client},
	})
	require.NoError(t, err)

	var told []string
	result, err := story.Play(ctx, l, authority, func(step string) { told = append(told, step) })
	require.NoError(t, err)
	require.Len(t, told, 8)
	require.Len(t, result.Viewers, 5)

	statuses := map[document.Status]int{}
	compromised, refused := 0, 0
	algorithms := map[string]int{}
	for _, id := range result.Documents {
		snapshot, err := l.Document(ctx, ledger.Act{Role: access.RoleAuditor}, id)
		require.NoError(t, err)
		statuses[snapshot.State.Status]++
		standings, err := l.Standings(t.Context(), snapshot.State)
		require.NoError(t, err)
		if snapshot.State.Weakest(standings) == document.ForceDoubt {
			compromised++
		}
		for _, signed := range snapshot.State.Signatures {
			require.True(t, signed.TrustedTime, "each signature is stamped")
			algorithms[signed.Signatures[0].Verdict.Signers[0].Algorithm]++
		}
		for _, party := range snapshot.State.Parties {
			refused += party.Attempts
		}
	}
	require.Equal(t, map[document.Status]int{document.Complete: 3, document.Refused: 1, document.Withdrawn: 2, document.Awaiting: 1}, statuses)
	require.Equal(t, 1, compromised, "R-C8: only what was signed after the moment is marked")
	require.Equal(t, 1, refused, "R-E3")

	require.Len(t, algorithms, 4, "R-C2: keys of RSA, Ed25519 and both widths of GOST 34.10-2015: %v", algorithms)

	summary, err := fsck.Run(ctx, fsck.Source{Store: store, Blobs: content, Content: l.Content(), Keys: keys, Codec: l.Codec()}, func(p fsck.Problem) { t.Error(p) }, nil)
	require.NoError(t, err)
	t.Logf("%d events, %d contents", summary.Events, summary.Contents)
}
