package main

import (
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dalel/domain/ledger"
	"dalel/domain/signature"
	"dalel/domain/trust"
	"dalel/internal/nucsamples"
	"dalel/internal/testca"
	"dalel/tests/esdbserver"
)

// anchors are what the tests of trust trust.
type anchors struct {
	root, issuing, responder, stamping, person *testca.Identity
	// dir is the ledger's folder, which is not there yet; given has the files.
	dir, given string
}

func newAnchors(t *testing.T) anchors {
	a := anchors{dir: filepath.Join(t.TempDir(), "ledger"), given: t.TempDir()}
	var err error
	a.root, err = testca.NewRoot(testca.CA{Name: "Trusted root"})
	require.NoError(t, err)
	a.issuing, err = a.root.NewIntermediate(testca.CA{Name: "Trusted issuing CA"})
	require.NoError(t, err)
	for usage, into := range map[int]**testca.Identity{9: &a.responder, 8: &a.stamping} {
		*into, err = a.issuing.Issue(testca.Leaf{Owner: testca.Owner{Organization: "A service"}, Usages: []asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, usage}}})
		require.NoError(t, err)
	}
	foundedIn(t, a.dir)
	a.person, err = a.issuing.Issue(testca.Leaf{Owner: testca.Owner{IIN: "123456789011", Surname: "TESTOV"}})
	require.NoError(t, err)
	return a
}

func (a anchors) file(t *testing.T, name string, content []byte) string {
	path := filepath.Join(a.given, name)
	require.NoError(t, os.WriteFile(path, content, 0o600))
	return path
}

func printOf(of *testca.Identity) string { return trust.FingerprintOf(of.Certificate.Raw) }

// listedIn returns what `dalel trust list --json` says.
func listedIn(t *testing.T, dir string, more ...string) (map[string]listedAnchor, int) {
	t.Helper()
	status, said, stderr := dalel(t, append([]string{"trust", "list", "--json", "--dir", dir}, more...)...)
	require.Empty(t, stderr)
	var read struct {
		Anchors []listedAnchor `json:"anchors"`
	}
	require.NoError(t, json.Unmarshal([]byte(said), &read), said)
	found := map[string]listedAnchor{}
	for _, anchor := range read.Anchors {
		found[anchor.Fingerprint] = anchor
	}
	return found, status
}

// trustFiles are the names of the files in the folder of anchors.
func trustFiles(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, trustDir))
	require.NoError(t, err)
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// recordedTrust are the changes that the events have.
func recordedTrust(t *testing.T, dir string) []trust.Change {
	t.Helper()
	store, err := storeToRead(t.Context(), sqliteURL(filepath.Join(dir, eventsFile)))
	require.NoError(t, err)
	defer store.Close()
	history, err := ledger.ReadTrust(t.Context(), store)
	require.NoError(t, err)
	return trust.Changes(history)
}

func TestTrustIsGivenByCommandShownWithFingerprintsAndTakenAway(t *testing.T) {
	a := newAnchors(t)
	bundle := a.file(t, "bundle.pem", append(append([]byte("The two CAs:\n"), a.issuing.CertificatePEM()...), a.root.CertificatePEM()...))
	b64 := a.file(t, "responder.txt", []byte(base64.StdEncoding.EncodeToString(a.responder.Certificate.Raw)+"\n"))
	der := a.file(t, "tsa.bin", a.stamping.Certificate.Raw)

	status, said, stderr := dalel(t, "trust", "add", "--dir", a.dir, bundle, b64, der)
	require.Equal(t, exitGood, status, said+stderr)
	for _, line := range []string{"root  CN=Trusted root", "issuing CA  ", "OCSP responder  ", "time-stamping authority  ", "ECDSA-P256", spaced(printOf(a.root)),
		"unknown here: compare the fingerprint with what the authority publishes", "4 trusted from now on, 0 were before"} {
		require.Contains(t, said, line)
	}
	for _, change := range recordedTrust(t, a.dir) {
		require.True(t, change.Added)
		require.Equal(t, trust.ByCommand, change.How)
		require.Equal(t, ledger.Operator, change.By.Participant)
	}
	n, err := openNode(t.Context(), location{dir: a.dir})
	require.NoError(t, err)
	require.Len(t, n.policy.Roots, 1)
	require.Len(t, n.policy.Intermediates, 1)
	require.Len(t, n.policy.Responders, 1)
	require.Len(t, n.policy.Offered, 1)
	found, reasons := n.policy.CheckCertificate(a.person.Certificate.Raw, time.Now())
	require.Equal(t, signature.Valid, found, reasons)
	require.NoError(t, n.Close())

	status, said, stderr = dalel(t, "trust", "add", "--dir", a.dir, bundle)
	require.Equal(t, exitGood, status, said+stderr)
	require.Contains(t, said, "0 trusted from now on, 2 were before")
	require.Len(t, recordedTrust(t, a.dir), 4, "adding again adds no event")

	list, status := listedIn(t, a.dir)
	require.Equal(t, exitGood, status)
	require.Len(t, list, 4)
	require.Equal(t, trust.Issuing, list[printOf(a.issuing)].Kind)
	require.True(t, list[printOf(a.issuing)].Recorded && list[printOf(a.issuing)].InFolder)
	status, said, _ = dalel(t, "trust", "list", "--dir", a.dir)
	require.Equal(t, exitGood, status)
	require.Contains(t, said, "added by command")

	between := time.Now()
	time.Sleep(5 * time.Millisecond)
	status, said, stderr = dalel(t, "trust", "remove", "--dir", a.dir, spaced(printOf(a.root)))
	require.Equal(t, exitGood, status, said+stderr)
	require.Contains(t, said, "leads to no root any more: "+printOf(a.issuing))
	list, status = listedIn(t, a.dir)
	require.Equal(t, exitGood, status)
	require.NotContains(t, list, printOf(a.root))
	list, status = listedIn(t, a.dir, "--at", between.Format(time.RFC3339Nano))
	require.Equal(t, exitGood, status)
	require.Contains(t, list, printOf(a.root), "what was trusted then can be told")
	list, _ = listedIn(t, a.dir, "--at", between.AddDate(-1, 0, 0).Format(time.RFC3339))
	require.Empty(t, list)

	status, _, stderr = dalel(t, "trust", "remove", "--dir", a.dir, printOf(a.root))
	require.Equal(t, exitFailed, status)
	require.Contains(t, stderr, "trust.unknown")
	require.Len(t, recordedTrust(t, a.dir), 5)
	require.False(t, slices.ContainsFunc(trustFiles(t, a.dir), func(name string) bool { return strings.HasSuffix(name, stagedSuffix) }))
}

func TestOneCertificateThatDoesNotHoldKeepsAllFromBeingTrusted(t *testing.T) {
	a := newAnchors(t)
	status, said, stderr := dalel(t, "token", "--dir", a.dir, "--role", "operator")
	require.Equal(t, exitGood, status, said+stderr)
	before := trustFiles(t, a.dir)
	root := a.file(t, "root.pem", a.root.CertificatePEM())
	stranger, err := testca.NewRoot(testca.CA{Name: "Stranger"})
	require.NoError(t, err)
	orphan, err := stranger.NewIntermediate(testca.CA{Name: "Orphan"})
	require.NoError(t, err)
	weak, err := testca.NewRoot(testca.CA{Name: "Weak", Key: testca.RSA1024})
	require.NoError(t, err)
	key, err := a.root.KeyPEM()
	require.NoError(t, err)
	changed := slices.Clone(a.issuing.Certificate.Raw)
	changed[len(changed)-8] ^= 1
	for _, c := range []struct {
		name    string
		content []byte
		status  int
		says    string
	}{
		{"person.cer", a.person.Certificate.Raw, exitBad, "a person's certificate"},
		{"orphan.cer", orphan.Certificate.Raw, exitBad, "the issuer's certificate is not at hand"},
		{"weak.cer", weak.Certificate.Raw, exitBad, "proves nothing"},
		{"changed.cer", changed, exitBad, "did not make the signature"},
		{"key.pem", key, exitFailed, "not CERTIFICATE"},
		{"nonsense.cer", []byte("nonsense"), exitFailed, "nonsense.cer"},
		{"empty.cer", nil, exitFailed, "empty.cer"},
		{"half.pem", a.root.CertificatePEM()[:200], exitFailed, "cannot be read"},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, said, stderr := dalel(t, "trust", "add", "--dir", a.dir, root, a.file(t, c.name, c.content))
			require.Equal(t, c.status, status, said+stderr)
			require.Contains(t, stderr, c.says)
			require.NotContains(t, said+stderr, "TESTOV")
			require.Equal(t, before, trustFiles(t, a.dir))
			require.Empty(t, recordedTrust(t, a.dir))
		})
	}
	for name, arguments := range map[string][]string{
		"no such file": {"add", "--dir", a.dir, root, filepath.Join(a.given, "nowhere")}, "no file": {"add", "--dir", a.dir}, "no folder": {"add", root},
		"nothing": {}, "what is that": {"give"}, "two fingerprints": {"remove", "--dir", a.dir, "a", "b"}, "no fingerprint": {"remove", "--dir", a.dir, "zz"},
		"no ledger": {"list", "--dir", a.given}, "no moment": {"list", "--dir", a.dir, "--at", "yesterday"}, "what else": {"list", "--dir", a.dir, "x"},
	} {
		status, said, stderr := dalel(t, append([]string{"trust"}, arguments...)...)
		require.Equal(t, exitFailed, status, name+said)
		require.NotEmpty(t, stderr, name)
	}
}

func TestTrustThatCameOrWentByHandIsRecordedAtTheNextStart(t *testing.T) {
	a := newAnchors(t)
	start := func() {
		t.Helper()
		status, said, stderr := dalel(t, "token", "--dir", a.dir, "--role", "operator")
		require.Equal(t, exitGood, status, said+stderr)
	}
	start()
	byHand := filepath.Join(a.dir, trustDir, "bundle.crt")
	require.NoError(t, os.WriteFile(byHand, append(a.root.CertificatePEM(), a.issuing.CertificatePEM()...), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(a.dir, trustDir, "person.cer"), a.person.Certificate.Raw, 0o644))
	list, status := listedIn(t, a.dir)
	require.Equal(t, exitBad, status, "the folder and the record differ")
	require.Len(t, list, 2)
	require.False(t, list[printOf(a.root)].Recorded)
	_, said, _ := dalel(t, "trust", "list", "--dir", a.dir)
	require.Contains(t, said, "NOT RECORDED")

	start()
	start()
	list, status = listedIn(t, a.dir)
	require.Equal(t, exitGood, status)
	require.Equal(t, trust.AtStart, list[printOf(a.root)].How)
	require.Len(t, recordedTrust(t, a.dir), 2, "once, and not at every start")

	// One of two in a file is removed, by command; the other stays.
	status, said, stderr := dalel(t, "trust", "remove", "--dir", a.dir, printOf(a.issuing))
	require.Equal(t, exitGood, status, said+stderr)
	list, status = listedIn(t, a.dir)
	require.Equal(t, exitGood, status)
	require.Contains(t, list, printOf(a.root))
	require.NotContains(t, list, printOf(a.issuing))
	require.Equal(t, string(a.root.CertificatePEM()), string(read(t, byHand)))

	require.NoError(t, os.Remove(byHand))
	list, status = listedIn(t, a.dir)
	require.Equal(t, exitBad, status)
	require.False(t, list[printOf(a.root)].InFolder)
	_, said, _ = dalel(t, "trust", "list", "--dir", a.dir)
	require.Contains(t, said, "GONE FROM THE FOLDER")
	start()
	changes := recordedTrust(t, a.dir)
	require.Len(t, changes, 4)
	last := changes[3]
	require.False(t, last.Added)
	require.Equal(t, trust.AtStart, last.How)
	require.Equal(t, ledger.System, last.By.Participant)
	_, status = listedIn(t, a.dir)
	require.Equal(t, exitGood, status)
}

// A command that is cut off between the record and the folder never leaves
// trust that is not recorded.
func TestAnAdditionThatWasCutOffIsNotTrusted(t *testing.T) {
	a := newAnchors(t)
	status, said, stderr := dalel(t, "token", "--dir", a.dir, "--role", "operator")
	require.Equal(t, exitGood, status, said+stderr)
	changed(t, a.dir, func(n *node) {
		_, err := stage(n.trust, n.anchors)
		require.NoError(t, err)
		_, err = n.ledger.AddTrust(t.Context(), trustAct(), [][]byte{a.root.Certificate.Raw})
		require.NoError(t, err)
	})
	root := a.file(t, "root.cer", a.root.Certificate.Raw)
	status, said, stderr = dalel(t, "trust", "add", "--dir", a.dir, root)
	require.Equal(t, exitGood, status, said+stderr)
	require.Contains(t, said, "1 trusted from now on")
	changes := recordedTrust(t, a.dir)
	require.Len(t, changes, 3, "recorded, found missing, recorded again")
	require.False(t, changes[1].Added)
	list, status := listedIn(t, a.dir)
	require.Equal(t, exitGood, status)
	require.Contains(t, list, printOf(a.root))
}

func TestTrustIsListedWhileTheLedgerIsServedAndChangedWhileItIsNot(t *testing.T) {
	o := newOffice(t)
	list, status := listedIn(t, o.dir)
	require.Equal(t, exitGood, status)
	require.Len(t, list, 1)
	require.Equal(t, trust.AtStart, list[printOf(o.root)].How, "it was there at the first start")
	extra, err := testca.NewRoot(testca.CA{Name: "Another"})
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "another.cer")
	require.NoError(t, os.WriteFile(file, extra.Certificate.Raw, 0o600))
	status, _, stderr := dalel(t, "trust", "add", "--dir", o.dir, file)
	require.Equal(t, exitFailed, status)
	require.Contains(t, stderr, "store.locked")
	require.NotContains(t, trustFiles(t, o.dir), printOf(extra)+".cer")
	o.stop()
	status, said, stderr := dalel(t, "trust", "add", "--dir", o.dir, file)
	require.Equal(t, exitGood, status, said+stderr)
}

func TestABackupHasTheAnchorsAndTheirHistory(t *testing.T) {
	o := newOffice(t)
	o.stop()
	a := newAnchors(t)
	status, said, stderr := dalel(t, "trust", "add", "--dir", o.dir, a.file(t, "root.pem", a.root.CertificatePEM()))
	require.Equal(t, exitGood, status, said+stderr)
	out, keysOut, into := folders(t)
	backedUp(t, o.dir, out, keysOut)
	status, said, stderr = restore(t, out, keysOut, into, o.dir)
	require.Equal(t, exitGood, status, said+stderr)
	before, _ := listedIn(t, o.dir)
	after, status := listedIn(t, into)
	require.Equal(t, exitGood, status)
	require.Equal(t, before, after)
	require.Equal(t, recordedTrust(t, o.dir), recordedTrust(t, into))
}

func TestManyNodesThatFindTheSameRecordItOnce(t *testing.T) {
	a := newAnchors(t)
	status, said, stderr := dalel(t, "token", "--dir", a.dir, "--role", "operator")
	require.Equal(t, exitGood, status, said+stderr)
	changed(t, a.dir, func(n *node) {
		done := make(chan error)
		for range 8 {
			go func() {
				_, err := n.ledger.RecordTrust(t.Context(), [][]byte{a.root.Certificate.Raw, a.issuing.Certificate.Raw})
				done <- err
			}()
		}
		for range 8 {
			require.NoError(t, <-done)
		}
		history, err := n.ledger.TrustHistory(t.Context())
		require.NoError(t, err)
		require.Len(t, history.State, 2)
	})
}

// Nodes whose folders differ, which they should not, cannot trust in silence.
func TestANodeWithAnOlderFolderRecordsWhatItLacks(t *testing.T) {
	a := newAnchors(t)
	server := esdbserver.New(t, esdbserver.Options{})
	one, two := filepath.Join(t.TempDir(), "one"), filepath.Join(t.TempDir(), "two")
	shared := []string{"--blobs", filepath.Join(t.TempDir(), "content"), "--keys", filepath.Join(t.TempDir(), keysFile), "--store", server.URL()}
	nodes := map[string]string{one: t.TempDir(), two: t.TempDir()}
	foundedIn(t, nodes[one], append(shared, "--settings", one)...)
	require.NoError(t, os.CopyFS(two, os.DirFS(one)))
	secrets, err := filepath.Glob(filepath.Join(two, secretsDir, "*"))
	require.NoError(t, err)
	for _, path := range secrets {
		require.NoError(t, os.Chmod(path, 0o600))
	}
	on := func(settings string, args ...string) {
		t.Helper()
		status, said, stderr := dalel(t, slices.Concat(args, shared, []string{"--dir", nodes[settings], "--settings", settings})...)
		require.Equal(t, exitGood, status, said+stderr)
	}
	on(one, "trust", "add", a.file(t, "root.pem", a.root.CertificatePEM()))
	on(two, "token", "--role", "operator")
	require.NoError(t, os.CopyFS(filepath.Join(two, trustDir), os.DirFS(a.given)))
	on(two, "token", "--role", "operator")
	on(one, "token", "--role", "operator")
	store, err := storeToRead(t.Context(), server.URL())
	require.NoError(t, err)
	defer store.Close()
	history, err := ledger.ReadTrust(t.Context(), store)
	require.NoError(t, err)
	var told []string
	for _, change := range trust.Changes(history) {
		told = append(told, map[bool]string{true: "added ", false: "removed "}[change.Added]+string(change.How))
	}
	require.Equal(t, []string{"added command", "removed start", "added start"}, told)
}

func TestTheNationalAuthoritysCertificatesAreKnown(t *testing.T) {
	folder := os.Getenv("DALEL_NUC_SAMPLES")
	if folder == "" {
		folder = filepath.Join("..", "..", "..", "shared", "nuc-samples")
	}
	files, err := filepath.Glob(filepath.Join(folder, "ca-production", "*"))
	require.NoError(t, err)
	files = slices.DeleteFunc(files, func(path string) bool { // which somebody else put there
		return !nucsamples.IsKnown("ca-production/" + filepath.Base(path))
	})
	if len(files) < 9 {
		t.Skip("DALEL_NUC_SAMPLES names no folder with samples of the national authority")
	}
	dir := filepath.Join(t.TempDir(), "ledger")
	foundedIn(t, dir)
	status, said, stderr := dalel(t, append([]string{"trust", "add", "--dir", dir}, files...)...)
	require.Equal(t, exitGood, status, said+stderr)
	require.NotContains(t, said, "unknown here")
	require.Contains(t, said, "known: national root authority of Kazakhstan, GOST 34.10-2015, 2022")
	require.Contains(t, said, "GOST 34.10-2015 512")
	require.Contains(t, said, "9 trusted from now on")
}
