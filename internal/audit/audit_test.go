package audit_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"dalel/internal/audit"
	"dalel/internal/cosignature"
	"dalel/internal/fault"
	"dalel/internal/witness"
	"dalel/internal/witness/logtest"
)

const origin = "log.example.kz/dalel"

// auditor has a folder and looks at whatever is served.
type auditor struct {
	t     *testing.T
	dir   string
	site  atomic.Pointer[logtest.Log]
	asked atomic.Int64
	http  *httptest.Server
	o     audit.Options
}

func newAuditor(t *testing.T, log *logtest.Log) *auditor {
	t.Helper()
	a := &auditor{t: t, dir: t.TempDir()}
	a.site.Store(log)
	a.http = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.asked.Add(1)
		a.site.Load().ServeHTTP(w, r)
	}))
	t.Cleanup(a.http.Close)
	key, err := cosignature.ParseLogKey(log.VKey)
	require.NoError(t, err)
	a.o = audit.Options{Source: a.source(a.http.URL), Keys: []note.Verifier{key}, Pause: time.Millisecond}
	return a
}

func (a *auditor) source(url string) audit.Source {
	a.t.Helper()
	source, err := audit.OverHTTP(audit.HTTPOptions{URL: url, Timeout: 300 * time.Millisecond, Pause: time.Millisecond})
	require.NoError(a.t, err)
	return source
}

// check looks once, as a process of its own would.
func (a *auditor) check() audit.Report {
	a.t.Helper()
	state, err := audit.OpenState(a.dir)
	require.NoError(a.t, err)
	defer state.Close()
	o := a.o
	o.State = state
	log, err := audit.New(o)
	require.NoError(a.t, err)
	return log.Check(a.t.Context())
}

func (a *auditor) expect(outcome audit.Outcome, code string) audit.Report {
	a.t.Helper()
	r := a.check()
	require.Equal(a.t, code, r.Code, r.Detail)
	require.Equal(a.t, outcome, r.Outcome)
	require.NotEmpty(a.t, r.Detail)
	require.NotZero(a.t, r.CheckedAt)
	return r
}

// kept is the checkpoint in the auditor's folder.
func (a *auditor) kept() int64 {
	a.t.Helper()
	signed, err := os.ReadFile(filepath.Join(a.dir, "checkpoint"))
	require.NoError(a.t, err)
	c, _, err := cosignature.OpenCheckpoint(signed, a.o.Keys...)
	require.NoError(a.t, err)
	return c.Size
}

// evidence reads a folder of evidence back: both checkpoints bear the log's
// signature.
func (a *auditor) evidence(r audit.Report) (known, served cosignature.Checkpoint, report map[string]any) {
	a.t.Helper()
	require.DirExists(a.t, r.Evidence)
	require.True(a.t, strings.HasPrefix(r.Evidence, a.dir))
	for name, c := range map[string]*cosignature.Checkpoint{"known": &known, "served": &served} {
		signed, err := os.ReadFile(filepath.Join(r.Evidence, name+".checkpoint"))
		require.NoError(a.t, err)
		*c, _, err = cosignature.OpenCheckpoint(signed, a.o.Keys...)
		require.NoError(a.t, err)
	}
	content, err := os.ReadFile(filepath.Join(r.Evidence, "report.json"))
	require.NoError(a.t, err)
	require.NoError(a.t, json.Unmarshal(content, &report))
	require.Equal(a.t, r.Code, report["code"])
	require.FileExists(a.t, filepath.Join(r.Evidence, "README.txt"))
	return known, served, report
}

// proofIn reads what leads from the larger tree's beginning to its root.
func proofIn(t *testing.T, report map[string]any) (implied tlog.Hash, proof tlog.TreeProof) {
	t.Helper()
	implied, err := tlog.ParseHash(report["impliedRoot"].(string))
	require.NoError(t, err)
	for _, text := range report["proof"].([]any) {
		hash, err := tlog.ParseHash(text.(string))
		require.NoError(t, err)
		proof = append(proof, hash)
	}
	return implied, proof
}

func TestR_M4_AnAuditorFollowsALogThatGrows(t *testing.T) {
	log := logtest.New(t, origin, 0)
	a := newAuditor(t, log)
	a.expect(audit.Consistent, audit.FirstSeen)
	for _, more := range []int{1, 1, 254, 1, 300, 0, 66_000} {
		log.Grow(more, "leaf")
		r := a.expect(audit.Consistent, audit.Grown)
		require.Equal(t, log.Size(), r.Size)
		require.Equal(t, log.Size()-int64(more), r.KnownSize)
		require.Equal(t, log.Size(), a.kept())
	}
	require.NoDirExists(t, filepath.Join(a.dir, "evidence"))
	a.asked.Store(0)
	log.Grow(1, "leaf")
	a.expect(audit.Consistent, audit.Grown)
	require.LessOrEqual(t, a.asked.Load(), int64(12), "a few tiles, not the log")
}

func TestR_M4_ASplitViewIsFoundAndKept(t *testing.T) {
	log := logtest.New(t, origin, 300)
	a := newAuditor(t, log)
	a.expect(audit.Consistent, audit.FirstSeen)
	a.site.Store(log.Fork(299, 1))
	r := a.expect(audit.Misbehaviour, audit.SplitView)
	known, served, _ := a.evidence(r)
	require.Equal(t, known.Size, served.Size)
	require.NotEqual(t, known.Root, served.Root)
	again := a.expect(audit.Misbehaviour, audit.SplitView)
	require.Equal(t, r.Evidence, again.Evidence)
	require.Equal(t, 1, again.EvidenceKept)
	t.Log("the honest tree is shown again: it is consistent, and the evidence stays")
	a.site.Store(log)
	r = a.expect(audit.Consistent, audit.Grown)
	require.Equal(t, 1, r.EvidenceKept)
}

func TestR_M4_ARewrittenLeafIsFoundAndKept(t *testing.T) {
	log := logtest.New(t, origin, 300)
	for at, fork := range map[string]*logtest.Log{"the first": log.Fork(0, 1000), "one in the middle": log.Fork(150, 1000), "the last": log.Fork(299, 1000)} {
		a := newAuditor(t, log)
		a.expect(audit.Consistent, audit.FirstSeen)
		a.site.Store(fork)
		r := a.expect(audit.Misbehaviour, audit.Rewritten)
		require.EqualValues(t, 300, a.kept(), at)
		known, served, report := a.evidence(r)
		t.Log("the evidence convinces without the log")
		implied, proof := proofIn(t, report)
		require.NotEqual(t, known.Root, implied)
		require.NoError(t, tlog.CheckTree(proof, served.Size, served.Root, known.Size, implied))
		require.Error(t, tlog.CheckTree(proof, served.Size, served.Root, known.Size, known.Root))
	}
}

func TestR_M4_ALogThatWasWoundBackIsFoundAndKept(t *testing.T) {
	log := logtest.New(t, origin, 700)
	a := newAuditor(t, log)
	a.expect(audit.Consistent, audit.FirstSeen)
	log.Serve(300)
	r := a.expect(audit.Misbehaviour, audit.Rewound)
	known, served, report := a.evidence(r)
	require.EqualValues(t, 700, known.Size)
	require.EqualValues(t, 300, served.Size)
	require.EqualValues(t, 700, a.kept())
	require.Equal(t, audit.Proven, r.Beginning)
	require.Contains(t, r.Detail, "its beginning of 300 entries")
	require.Equal(t, audit.Proven, report["beginning"])
	implied, proof := proofIn(t, report)
	require.Equal(t, served.Root, implied)
	require.NoError(t, tlog.CheckTree(proof, known.Size, known.Root, served.Size, served.Root), "without the log")

	t.Log("wound back and written anew: while the old tiles are there, that is proven")
	r = func() audit.Report {
		fork := log.Fork(100, 200)
		for _, name := range []string{"tile/0/000", "tile/0/001", "tile/0/002.p/188", "tile/1/000.p/2"} {
			if log.File(name) != nil {
				fork.Replace(name, log.File(name))
			}
		}
		a.site.Store(fork)
		return a.expect(audit.Misbehaviour, audit.Rewritten)
	}()
	a.evidence(r)
	t.Log("and when they are gone, it is a smaller tree all the same, and of what entries is not told")
	for _, fork := range []*logtest.Log{log.Fork(100, 200), log.Fork(300, 0)} {
		a.site.Store(fork)
		r = a.expect(audit.Misbehaviour, audit.Rewound)
		require.Equal(t, audit.NotTold, r.Beginning)
		require.Contains(t, r.Detail, "whether those are the same entries is not told")
		require.NotContains(t, r.Detail, "beginning")
		_, _, report = a.evidence(r)
		require.Equal(t, audit.NotTold, report["beginning"])
		require.NotContains(t, report, "impliedRoot")
		require.NotContains(t, report, "proof")
	}
	readme, err := os.ReadFile(filepath.Join(r.Evidence, "README.txt"))
	require.NoError(t, err)
	require.Contains(t, string(readme), "not-told")
	a.site.Store(log.Fork(0, 0))
	r = a.expect(audit.Misbehaviour, audit.Rewound)
	require.Equal(t, audit.Proven, r.Beginning, "a tree of no entries is the beginning of any")
}

func TestACopyThatLagsForAMomentIsNoMisbehaviour(t *testing.T) {
	log := logtest.New(t, origin, 700)
	a := newAuditor(t, log)
	a.expect(audit.Consistent, audit.FirstSeen)
	old := log.Fork(700, 0)
	old.Serve(600)
	var looked atomic.Int32
	a.o.Source = sourceFunc(func(ctx context.Context, name string, limit int64) ([]byte, error) {
		if name == "checkpoint" && looked.Add(1) < 3 {
			return old.File(name), nil
		}
		return log.File(name), nil
	})
	a.expect(audit.Consistent, audit.Grown)
}

type sourceFunc func(ctx context.Context, name string, limit int64) ([]byte, error)

func (f sourceFunc) Get(ctx context.Context, name string, limit int64) ([]byte, error) {
	return f(ctx, name, limit)
}

func TestR_M4_TilesOfAnotherTreeAreFound(t *testing.T) {
	log := logtest.New(t, origin, 300)
	a := newAuditor(t, log)
	a.expect(audit.Consistent, audit.FirstSeen)
	log.Grow(300, "leaf")
	for _, name := range []string{"tile/0/000", "tile/0/001", "tile/0/002.p/88", "tile/1/000.p/2"} {
		whole := log.File(name)
		require.NotNil(t, whole, name)
		changed := bytes.Clone(whole)
		changed[len(changed)-1] ^= 1
		log.Replace(name, changed)
		r := a.check()
		if name == "tile/0/000" {
			require.Equal(t, audit.Grown, r.Code, "nothing of it is needed to lead from 300 to 600")
		} else {
			require.Equal(t, audit.TilesDiffer, r.Code, name)
			require.Equal(t, audit.Misbehaviour, r.Outcome)
			a.evidence(r)
		}
		log.Replace(name, whole)
		require.NoError(t, os.WriteFile(filepath.Join(a.dir, "checkpoint"), log.Checkpoint(300), 0o600))
	}
	a.expect(audit.Consistent, audit.Grown)
}

func TestR_M4_EveryEntryIsHeldAgainstTheTree(t *testing.T) {
	log := logtest.New(t, origin, 1000)
	a := newAuditor(t, log)
	a.o.Entries = true
	var seen []int64
	a.o.Progress = func(done, total int64) {
		require.Equal(t, log.Size(), total)
		seen = append(seen, done)
	}
	r := a.expect(audit.Consistent, audit.FirstSeen)
	require.EqualValues(t, 1000, r.Entries)
	require.Equal(t, []int64{256, 512, 768, 1000}, seen)

	t.Log("only what is new, the next time")
	seen = nil
	log.Grow(300, "leaf")
	r = a.expect(audit.Consistent, audit.Grown)
	require.EqualValues(t, 1300, r.Entries)
	require.Equal(t, []int64{1024, 1280, 1300}, seen)

	t.Log("an entry changed, with its hash left in the tree")
	log.Grow(300, "leaf")
	name := "tile/entries/005"
	bundle := log.File(name)
	changed := bytes.Clone(bundle)
	changed[len(changed)-1] ^= 1
	log.Replace(name, changed)
	r = a.expect(audit.Misbehaviour, audit.EntriesDiffer)
	require.EqualValues(t, 1300, r.Entries)
	require.Contains(t, r.Detail, "entry 1535 ")
	require.NotEmpty(t, r.Evidence)
	for why, content := range map[string][]byte{"cut off": bundle[:len(bundle)-1], "an entry less": bundle[:len(bundle)-2-len("leaf 1535")], "an entry more": append(bytes.Clone(bundle), 0, 0), "a page": []byte("<html>")} {
		log.Replace(name, content)
		r = a.expect(audit.CannotTell, audit.Unreadable)
		require.EqualValues(t, 1300, r.Entries, why)
	}
	log.Replace(name, nil)
	a.expect(audit.CannotTell, audit.Incomplete)
	log.Replace(name, bundle)
	r = a.expect(audit.Consistent, audit.Grown)
	require.EqualValues(t, 1600, r.Entries)

	t.Log("what was checked of another tree does not count for this one")
	require.NoError(t, os.Remove(filepath.Join(a.dir, "checkpoint")))
	fork := log.Fork(0, 2000)
	a.site.Store(fork)
	seen, a.o.Progress = nil, func(done, _ int64) { seen = append(seen, done) }
	r = a.expect(audit.Consistent, audit.FirstSeen)
	require.EqualValues(t, 256, seen[0])
	require.EqualValues(t, 2000, r.Entries)
}

func TestPartialTilesThatAreGoneAreReadFromTheFullOnes(t *testing.T) {
	log := logtest.New(t, origin, 300)
	a := newAuditor(t, log)
	a.o.Entries = true
	log.Grow(700, "leaf")
	log.Serve(300)
	for _, name := range []string{"tile/0/001.p/44", "tile/entries/001.p/44"} {
		log.Replace(name, nil)
	}
	r := a.expect(audit.Consistent, audit.FirstSeen)
	require.EqualValues(t, 300, r.Entries)
}

func TestWhatCannotBeToldIsNeverYesOrNo(t *testing.T) {
	log := logtest.New(t, origin, 500)
	other := logtest.New(t, "other.example", 300)
	stranger := logtest.New(t, "stranger.example", 300)
	signedBy := func(signer note.Signer, text string) []byte {
		signed, err := note.Sign(&note.Note{Text: text}, signer)
		require.NoError(t, err)
		return signed
	}
	wrong := bytes.Replace(log.Checkpoint(200), []byte("\n200\n"), []byte("\n400\n"), 1)
	for name, c := range map[string]struct {
		name    string
		content []byte
		code    string
	}{
		"no checkpoint":                {"checkpoint", nil, audit.Incomplete},
		"a page":                       {"checkpoint", []byte("<html>sign in</html>"), audit.Unreadable},
		"too much":                     {"checkpoint", bytes.Repeat([]byte("x"), 200<<10), audit.Unreadable},
		"not signed":                   {"checkpoint", []byte(log.Text(400) + "\n"), audit.Unreadable},
		"signed by a stranger":         {"checkpoint", signedBy(stranger.Signer, log.Text(400)), audit.NotSigned},
		"of a log with another key":    {"checkpoint", signedBy(stranger.Signer, other.Text(300)), audit.AnotherLog},
		"signed over something else":   {"checkpoint", wrong, audit.NotSigned},
		"of another log":               {"checkpoint", signedBy(log.Signer, other.Text(300)), audit.AnotherLog},
		"of no log at all":             {"checkpoint", signedBy(log.Signer, "hello\n"), audit.Unreadable},
		"of a tree that cannot be":     {"checkpoint", signedBy(log.Signer, cosignature.Checkpoint{Origin: origin, Size: 9e18, Root: tlog.Hash{1}}.Text()), audit.Unreadable},
		"of no entries, with a root":   {"checkpoint", signedBy(log.Signer, cosignature.Checkpoint{Origin: origin, Root: tlog.Hash{1}}.Text()), audit.Unreadable},
		"of a tree that is not served": {"checkpoint", signedBy(log.Signer, cosignature.Checkpoint{Origin: origin, Size: 1 << 59, Root: tlog.Hash{1}}.Text()), audit.Incomplete},
		"a tile away":                  {"tile/0/001.p/144", nil, audit.Incomplete},
		"a tile cut off":               {"tile/0/001.p/144", log.File("tile/0/001.p/43"), audit.Unreadable},
		"a tile too long":              {"tile/1/000.p/1", bytes.Repeat([]byte("x"), 9000), audit.Unreadable},
	} {
		fresh := logtest.New(t, origin, 300)
		a := newAuditor(t, fresh)
		a.expect(audit.Consistent, audit.FirstSeen)
		fresh.Grow(100, "leaf")
		fresh.Replace(c.name, c.content)
		r := a.check()
		require.Equal(t, c.code, r.Code, "%s: %s", name, r.Detail)
		require.Equal(t, audit.CannotTell, r.Outcome, name)
		require.EqualValues(t, 300, a.kept(), name)
		require.Empty(t, r.Evidence, name)
	}

	log.Serve(300)
	a := newAuditor(t, log)
	a.expect(audit.Consistent, audit.FirstSeen)
	elsewhere := httptest.NewServer(log)
	defer elsewhere.Close()
	var tries atomic.Int32
	for name, handler := range map[string]http.HandlerFunc{
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL+r.URL.Path, http.StatusFound)
		},
		"an error":          func(w http.ResponseWriter, _ *http.Request) { tries.Add(1); w.WriteHeader(502) },
		"no answer":         func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"a torn connection": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"forbidden":         func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) },
		"an answer cut short": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "500")
			_, _ = io.WriteString(w, "x")
		},
	} {
		server := httptest.NewServer(handler)
		a.o.Source = a.source(server.URL)
		r := a.check()
		require.Equal(t, audit.Unreachable, r.Code, "%s: %s", name, r.Detail)
		require.Equal(t, audit.CannotTell, r.Outcome, name)
		server.Close()
	}
	require.EqualValues(t, 3, tries.Load(), "an error is tried again, but not for ever")
	a.o.Source = a.source("http://127.0.0.1:1")
	a.expect(audit.CannotTell, audit.Unreachable)
}

func TestThatTheCallerGaveUpIsNotTheLogsFault(t *testing.T) {
	log := logtest.New(t, origin, 700)
	a := newAuditor(t, log)
	a.expect(audit.Consistent, audit.FirstSeen)
	log.Serve(300)
	state, err := audit.OpenState(a.dir)
	require.NoError(t, err)
	defer state.Close()
	a.o.State, a.o.Pause = state, time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	// The caller gives up once everything of the first look was read: all that
	// comes then is the pause before the next.
	last, read := "tile/1/000.p/2", false
	a.o.Source = sourceFunc(func(_ context.Context, name string, _ int64) ([]byte, error) {
		if name == last {
			read = true
			cancel()
		}
		return log.File(name), nil
	})
	audited, err := audit.New(a.o)
	require.NoError(t, err)
	r := audited.Check(ctx)
	require.True(t, read, "%+v", r)
	require.Equal(t, audit.Stopped, r.Code)
	require.Equal(t, audit.CannotTell, r.Outcome)
	require.Contains(t, r.Detail, "it had found: the log has signed a tree of 700 entries")
	require.Empty(t, r.Evidence)
	r = audited.Check(ctx)
	require.Equal(t, audit.Stopped, r.Code)
}

func TestR_M4_AnAuditorAsksForWitnesses(t *testing.T) {
	log := logtest.New(t, origin, 300)
	a := newAuditor(t, log)
	key, err := cosignature.NewKey("witness.example.kz/w1", rand.Reader)
	require.NoError(t, err)
	folder, err := witness.OpenFolder(t.TempDir())
	require.NoError(t, err)
	defer folder.Close()
	server, err := witness.NewServer(witness.Options{Key: key, Logs: []string{log.VKey}, State: folder, PerSecond: 1e6, AllPerSecond: 1e6})
	require.NoError(t, err)
	served := httptest.NewServer(server)
	defer served.Close()
	client, err := witness.NewClient(witness.ClientOptions{VKey: key.VKey(), URL: served.URL})
	require.NoError(t, err)
	a.o.Policy, err = cosignature.AllOf(key.VKey())
	require.NoError(t, err)

	r := a.expect(audit.CannotTell, audit.NotWitnessed)
	require.NoFileExists(t, filepath.Join(a.dir, "checkpoint"), "it is not one to rely on")
	require.True(t, r.Witnesses[0].At.IsZero())
	line, err := client.Cosign(t.Context(), log.Checkpoint(300), log.Prover(300))
	require.NoError(t, err)
	log.Serve(300, line)
	r = a.expect(audit.Consistent, audit.Grown)
	require.WithinDuration(t, time.Now(), r.Witnesses[0].At, time.Minute)
	require.EqualValues(t, 300, a.kept())

	t.Log("a fork that no witness cosigns is not relied on, and not forgotten")
	log.Grow(100, "leaf")
	log.Serve(400)
	a.expect(audit.CannotTell, audit.NotWitnessed)
	require.EqualValues(t, 300, a.kept())
	fork := log.Fork(300, 100)
	line, err = client.Cosign(t.Context(), fork.Checkpoint(400), fork.Prover(400))
	require.NoError(t, err)
	fork.Serve(400, line)
	a.site.Store(fork)
	r = a.expect(audit.Misbehaviour, audit.SplitView)
	known, shown, _ := a.evidence(r)
	require.NotEqual(t, known.Root, shown.Root)

	t.Log("and the witness refuses the other half")
	_, err = client.Cosign(t.Context(), log.Checkpoint(400), log.Prover(400))
	require.Equal(t, witness.Inconsistent, fault.CodeOf(err))
}

func TestR_M4_ACheckpointFromAnywhereMustBeTheBeginning(t *testing.T) {
	log := logtest.New(t, origin, 700)
	fork := log.Fork(100, 400)
	a := newAuditor(t, log)
	a.o.Earlier = [][]byte{log.Checkpoint(150), log.Checkpoint(90)}
	r := a.expect(audit.Consistent, audit.Grown)
	require.EqualValues(t, 150, r.KnownSize)
	a.o.Earlier = [][]byte{log.Checkpoint(150), fork.Checkpoint(100), fork.Checkpoint(200)}
	r = a.expect(audit.Misbehaviour, audit.Rewritten)
	require.EqualValues(t, 200, r.KnownSize)
	for name, signed := range map[string][]byte{
		"another log's": logtest.New(t, "other.example", 10).Checkpoint(5), "nothing": nil, "unsigned": []byte(log.Text(5)),
	} {
		a.o.Earlier = [][]byte{signed}
		_, err := audit.New(a.o)
		require.Equal(t, fault.ConfigInvalid, fault.CodeOf(err), name)
	}
	_, err := audit.New(audit.Options{})
	require.Equal(t, fault.ConfigInvalid, fault.CodeOf(err))
}

func TestAFolderThatIsSpoiltIsSaidToBe(t *testing.T) {
	log := logtest.New(t, origin, 300)
	a := newAuditor(t, log)
	a.expect(audit.Consistent, audit.FirstSeen)
	require.NoError(t, os.WriteFile(filepath.Join(a.dir, "checkpoint"), []byte("x"), 0o600))
	state, err := audit.OpenState(a.dir)
	require.NoError(t, err)
	defer state.Close()
	_, err = audit.OpenState(a.dir)
	require.Error(t, err, "one audit at a time")
	a.o.State = state
	_, err = audit.New(a.o)
	require.ErrorContains(t, err, "cannot be used")
}

func TestALogInAFolderIsReadLikeOneThatIsServed(t *testing.T) {
	log := logtest.New(t, origin, 600)
	dir := t.TempDir()
	write := func(names ...string) {
		for _, name := range names {
			content := log.File(name)
			require.NotNil(t, content, name)
			path := filepath.Join(dir, filepath.FromSlash(name))
			require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
			require.NoError(t, os.WriteFile(path, content, 0o644))
		}
	}
	write("checkpoint", "tile/1/000.p/2", "tile/0/000", "tile/0/001", "tile/0/002.p/88", "tile/entries/000", "tile/entries/001")
	a := newAuditor(t, log)
	a.o.Entries = true
	var err error
	a.o.Source, err = audit.SourceOf(dir, nil)
	require.NoError(t, err)
	r := a.expect(audit.CannotTell, audit.Incomplete)
	require.EqualValues(t, 512, r.Entries)
	write("tile/entries/002.p/88")
	a.expect(audit.Consistent, audit.Grown)
	for _, place := range []string{filepath.Join(dir, "checkpoint"), filepath.Join(dir, "nothing"), "ftp://a", "https://a?b", ""} {
		_, err := audit.SourceOf(place, nil)
		require.Equal(t, fault.ConfigInvalid, fault.CodeOf(err), place)
	}
}

func BenchmarkEntries(b *testing.B) {
	log := logtest.New(b, origin, 100_000)
	server := httptest.NewServer(log)
	defer server.Close()
	key, err := cosignature.ParseLogKey(log.VKey)
	require.NoError(b, err)
	source, err := audit.OverHTTP(audit.HTTPOptions{URL: server.URL})
	require.NoError(b, err)
	for b.Loop() {
		audited, err := audit.New(audit.Options{Source: source, Keys: []note.Verifier{key}, Entries: true})
		require.NoError(b, err)
		r := audited.Check(b.Context())
		require.Equal(b, audit.Consistent, r.Outcome, r.Detail)
	}
	b.ReportMetric(float64(log.Size())*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
}
