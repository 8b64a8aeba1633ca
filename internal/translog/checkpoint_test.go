package translog_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"dalel/internal/fault"
	"dalel/internal/translog"
)

const origin = "ledger.example/log"

// key makes a key of a log or a witness.
func key(t testing.TB, name string) (note.Signer, note.Verifier) {
	t.Helper()
	skey, vkey, err := note.GenerateKey(rand.Reader, name)
	require.NoError(t, err)
	signer, err := note.NewSigner(skey)
	require.NoError(t, err)
	verifier, err := note.NewVerifier(vkey)
	require.NoError(t, err)
	return signer, verifier
}

func checkpointOf(size int) translog.Checkpoint {
	return translog.Checkpoint{Origin: origin, Size: uint64(size), Root: rootOf(leaves(0, size))}
}

func TestR_M4_ACheckpointIsASignedNoteThatOthersRead(t *testing.T) {
	signer, verifier := key(t, origin)
	c := checkpointOf(300)
	text, err := translog.Sign(c, signer)
	require.NoError(t, err)

	opened, err := note.Open(text, note.VerifierList(verifier))
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf("%s\n300\n%s\n", origin, c.Root), opened.Text)

	read, signed, err := translog.ParseCheckpoint(text, origin, verifier)
	require.NoError(t, err)
	require.Equal(t, c, read)
	require.Len(t, signed.Sigs, 1)

	empty := checkpointOf(0)
	text, err = translog.Sign(empty, signer)
	require.NoError(t, err)
	read, _, err = translog.ParseCheckpoint(text, origin, verifier)
	require.NoError(t, err)
	require.Equal(t, empty, read)
}

// The vkey is what one gives to the programs of others.
func TestParseCheckpoint_takesTheVkeyOfAnEd25519Key(t *testing.T) {
	signer, _ := key(t, origin)
	public, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	vkey, err := note.NewEd25519VerifierKey(origin, public)
	require.NoError(t, err)
	verifier, err := note.NewVerifier(vkey)
	require.NoError(t, err)
	text, err := translog.Sign(checkpointOf(3), ownSigner{verifier, private})
	require.NoError(t, err)
	_, _, err = translog.ParseCheckpoint(text, origin, verifier)
	require.NoError(t, err)
	text, err = translog.Sign(checkpointOf(3), signer)
	require.NoError(t, err)
	_, _, err = translog.ParseCheckpoint(text, origin, verifier)
	require.True(t, fault.Is(err, fault.LogCheckpointInvalid), "another key of the same name: got %v", err)
}

// ownSigner is a signer whose key is kept elsewhere.
type ownSigner struct {
	note.Verifier
	private ed25519.PrivateKey
}

func (s ownSigner) Sign(message []byte) ([]byte, error) { return ed25519.Sign(s.private, message), nil }

func TestR_M4_TheLogItselfMustHaveSigned(t *testing.T) {
	signer, verifier := key(t, origin)
	witness, witnessVerifier := key(t, "witness.example")
	text, err := translog.Sign(checkpointOf(300), signer)
	require.NoError(t, err)
	opened, err := note.Open(text, note.VerifierList(verifier))
	require.NoError(t, err)

	both, err := note.Sign(opened, witness)
	require.NoError(t, err)
	_, signed, err := translog.ParseCheckpoint(both, origin, verifier, witnessVerifier)
	require.NoError(t, err)
	require.Len(t, signed.Sigs, 2)
	_, signed, err = translog.ParseCheckpoint(both, origin, verifier)
	require.NoError(t, err, "who does not know the witness")
	require.Len(t, signed.UnverifiedSigs, 1)

	alone, err := note.Sign(&note.Note{Text: opened.Text}, witness)
	require.NoError(t, err)
	_, _, err = translog.ParseCheckpoint(alone, origin, verifier, witnessVerifier)
	require.True(t, fault.Is(err, fault.LogCheckpointInvalid), "a witness alone: got %v", err)
	_, _, err = translog.ParseCheckpoint(both, origin)
	require.True(t, fault.Is(err, fault.LogCheckpointInvalid), "no verifiers: got %v", err)
	_, _, err = translog.ParseCheckpoint(both, "other.example/log", verifier, witnessVerifier)
	require.True(t, fault.Is(err, fault.LogCheckpointInvalid), "another log: got %v", err)
}

func TestSign_refusesWhatIsNoCheckpointAndTheKeyOfAnother(t *testing.T) {
	signer, _ := key(t, origin)
	for _, c := range []translog.Checkpoint{
		{Origin: "other.example/log"}, {}, {Origin: "a b"}, {Origin: "a\nb"}, {Origin: "a+b"}, {Origin: "\xff"},
		{Origin: strings.Repeat("a", 256)}, {Origin: origin, Size: translog.MaxSize + 1},
	} {
		_, err := translog.Sign(c, signer)
		require.True(t, fault.Is(err, fault.LogCheckpointInvalid), "%q: got %v", c.Origin, err)
	}
}

func TestParseCheckpoint_refusesEveryChangeAndEveryOtherSpelling(t *testing.T) {
	signer, verifier := key(t, origin)
	c := checkpointOf(300)
	text, err := translog.Sign(c, signer)
	require.NoError(t, err)
	for i := range text {
		for bit := range 8 {
			changed := bytes.Clone(text)
			changed[i] ^= 1 << bit
			read, _, err := translog.ParseCheckpoint(changed, origin, verifier)
			require.True(t, fault.Is(err, fault.LogCheckpointInvalid), "byte %d changed: got %v, %v", i, read, err)
		}
		_, _, err = translog.ParseCheckpoint(text[:i], origin, verifier)
		require.True(t, fault.Is(err, fault.LogCheckpointInvalid), "cut at %d: got %v", i, err)
	}
	// Signed by the log's own key, and yet no checkpoint.
	root := c.Root.String()
	for _, body := range []string{
		"", origin + "\n", origin + "\n300\n", origin + "\n0300\n" + root + "\n", origin + "\n+300\n" + root + "\n", origin + "\n-1\n" + root + "\n",
		origin + "\n300 \n" + root + "\n", origin + "\n300\n" + root[:40] + "\n", origin + "\n300\n" + root + "AAAA\n", origin + "\n18446744073709551616\n" + root + "\n",
		origin + "\n18446744073709551615\n" + root + "\n", "\n300\n" + root + "\n", "other.example/log\n300\n" + root + "\n",
		origin + "\n300\n" + root + "\n\n", origin + "\n300\n" + root + "\nextension\n\nextension\n",
		origin + "\n300\n" + root[:42] + string(root[42]+1) + "=\n",
	} {
		if body == "" {
			continue
		}
		signed, err := note.Sign(&note.Note{Text: body}, signer)
		require.NoError(t, err)
		_, _, err = translog.ParseCheckpoint(signed, origin, verifier)
		require.True(t, fault.Is(err, fault.LogCheckpointInvalid), "%q: got %v", body, err)
	}
	extended, err := note.Sign(&note.Note{Text: origin + "\n300\n" + root + "\nextension\n"}, signer)
	require.NoError(t, err)
	read, _, err := translog.ParseCheckpoint(extended, origin, verifier)
	require.NoError(t, err, "the specification has extension lines")
	require.Equal(t, c, read)
	_, _, err = translog.ParseCheckpoint(append(text, bytes.Repeat([]byte("\n"), translog.MaxCheckpoint)...), origin, verifier)
	require.True(t, fault.Is(err, fault.LogCheckpointInvalid), "got %v", err)
}

// provenLeaf makes a log and the proof of one of its leaves.
func provenLeaf(t testing.TB, index, size int, signer note.Signer) []byte {
	t.Helper()
	objects, root := logOf(t, size)
	text, err := translog.Sign(translog.Checkpoint{Origin: origin, Size: uint64(size), Root: root}, signer)
	require.NoError(t, err)
	path, err := translog.NewReader(objects, 10).Inclusion(t.Context(), uint64(index), uint64(size))
	require.NoError(t, err)
	return translog.EncodeProof(uint64(index), path, text)
}

func TestR_M4_AProofFileShowsThatALeafIsInTheLog(t *testing.T) {
	signer, verifier := key(t, origin)
	for _, size := range []int{1, 2, 255, 256, 257, 700} {
		for _, index := range []int{0, size / 2, size - 1} {
			file := provenLeaf(t, index, size, signer)
			require.True(t, bytes.HasPrefix(file, fmt.Appendf(nil, "c2sp.org/tlog-proof@v1\nindex %d\n", index)))
			c, at, signed, err := translog.CheckProof(file, leaf(index), origin, verifier)
			require.NoError(t, err)
			require.Equal(t, checkpointOf(size), c)
			require.EqualValues(t, index, at)
			require.Len(t, signed.Sigs, 1)

			_, _, _, err = translog.CheckProof(file, leaf(index+1), origin, verifier)
			require.True(t, fault.Is(err, fault.LogProofInvalid), "another leaf: got %v", err)
		}
	}
}

func TestR_M4_AProofFileWithAnyByteChangedOrCutShowsNothing(t *testing.T) {
	signer, verifier := key(t, origin)
	file := provenLeaf(t, 123, 700, signer)
	refused := func(file []byte, what string, i int) {
		t.Helper()
		_, _, _, err := translog.CheckProof(file, leaf(123), origin, verifier)
		code := fault.CodeOf(err)
		require.True(t, code == fault.LogProofInvalid || code == fault.LogCheckpointInvalid, "%s %d: got %v", what, i, err)
	}
	for i := range file {
		for bit := range 8 {
			changed := bytes.Clone(file)
			changed[i] ^= 1 << bit
			refused(changed, "a bit changed in byte", i)
		}
		refused(file[:i], "cut at", i)
		refused(append(bytes.Clone(file[:i]), file[min(i+1, len(file)):]...), "without byte", i)
	}
	refused(bytes.ReplaceAll(file, []byte("\n"), []byte("\r\n")), "other line ends", 0)
	refused(append(bytes.Clone(file), '\n'), "an empty line more", 0)
	refused(bytes.Replace(file, []byte("index "), []byte("extra AAAA\nindex "), 1), "extra data", 0)
	refused(bytes.Replace(file, []byte("index 123"), []byte("index 0123"), 1), "a leading zero", 0)
	refused(append(bytes.Clone(file), bytes.Repeat([]byte("x\n"), 1<<17)...), "large", 0)
	_, _, _, err := translog.CheckProof(file, leaf(123), origin, verifier)
	require.NoError(t, err)
}

func FuzzCheckProof(f *testing.F) {
	signer, verifier := key(f, origin)
	f.Add(provenLeaf(f, 123, 700, signer))
	want := checkpointOf(700)
	f.Add([]byte("c2sp.org/tlog-proof@v1\nindex 0\n\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		// Signatures of others may come and go.
		c, index, _, err := translog.CheckProof(file, leaf(123), origin, verifier)
		if err == nil {
			require.EqualValues(t, 123, index)
			require.Equal(t, want, c)
		}
	})
}
