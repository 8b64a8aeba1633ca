package process

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dalel/tests/esdbserver"
)

// eventStore returns the connection string of an EventStoreDB with a prefix that
// no other ledger has: of the real one that DALEL_TEST_ESDB names, or of the
// stand-in, started as a process.
func eventStore(t *testing.T) string {
	t.Helper()
	if real := os.Getenv("DALEL_TEST_ESDB"); real != "" {
		with, _ := esdbserver.FreshPrefix(real)
		return with
	}
	t.Log("DALEL_TEST_ESDB is not set: the stand-in server speaks EventStoreDB's protocol here")
	dir := t.TempDir()
	path := filepath.Join(dir, "esdbserver")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, "dalel/tests/esdbserver/cmd/esdbserver").CombinedOutput()
	require.NoError(t, err, string(out))
	server := exec.Command(path, "--listen", "127.0.0.1:0", "--data", filepath.Join(dir, "events"))
	server.Stderr = os.Stderr
	stdout, err := server.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, server.Start())
	t.Cleanup(func() { server.Process.Kill(); server.Wait() })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	go io.Copy(io.Discard, stdout)
	with, _ := esdbserver.FreshPrefix(strings.TrimSpace(line))
	return with
}

// cluster starts nodes that share an event store, the content, the keys and
// copies of the settings, and nothing else: content and keys in buckets if they
// are given, in a folder and a file otherwise.
func cluster(t *testing.T, size int, at, environment []string) []*node {
	t.Helper()
	store, dir, dalel := eventStore(t), t.TempDir(), program(t)
	settings := filepath.Join(dir, "settings")
	if at == nil {
		at = []string{"--blobs", filepath.Join(dir, "content"), "--keys", filepath.Join(dir, "keys.db")}
	}
	founder := newNode(t, dalel, filepath.Join(dir, "node1"), append([]string{"--settings", settings, "--store", store}, at...)...)
	founder.environment = environment
	founder.run("init")
	var nodes []*node
	for i := range size {
		own := filepath.Join(dir, fmt.Sprintf("node%d", i+1))
		copied := own + "-settings"
		require.NoError(t, os.CopyFS(copied, os.DirFS(settings)))
		// As cp -p would have done.
		require.NoError(t, os.Chmod(filepath.Join(copied, "secrets", "master.key"), 0o600))
		n := newNode(t, dalel, own, append([]string{"--settings", copied, "--store", store}, at...)...)
		n.environment = environment
		if i == 0 {
			n.operator = strings.TrimSpace(n.run("token", "--role", "operator"))
		} else {
			n.operator = nodes[0].operator
		}
		n.start()
		nodes = append(nodes, n)
	}
	return nodes
}

// read gets a list that knows at least of a position.
func (n *node) read(token, path string, position float64) (int, map[string]any, error) {
	request, err := http.NewRequestWithContext(n.t.Context(), http.MethodGet, n.url+path, nil)
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Dalel-Wait-For", fmt.Sprintf("%.0f", position))
	return answer(http.DefaultClient.Do(request))
}

func TestThreeNodesShareOneLedgerAndOneIsKilledInTheMiddle(t *testing.T) {
	t.Run("content in a folder", func(t *testing.T) { threeNodes(t, nil, nil) })
	t.Run("content and keys in buckets", func(t *testing.T) {
		at, environment := bucket(t)
		threeNodes(t, at, environment)
	})
}

func threeNodes(t *testing.T, at, environment []string) {
	nodes := cluster(t, 3, at, environment)
	iin, beta := nodes[0].register("79110945012")
	alpha := nodes[0].participant("85041230056")

	// Writers take any node for each step; a step whose node is gone is tried
	// on the next, with the same key.
	const writers, documents = 4, 8
	var mu sync.Mutex
	var sent []string
	alive := slices.Clone(nodes)
	pick := func(random *rand.Rand) *node {
		mu.Lock()
		defer mu.Unlock()
		return alive[random.IntN(len(alive))]
	}
	step := func(random *rand.Rand, token, key, method, path, mediaType string, body func() io.Reader) map[string]any {
		for range 100 {
			status, got, err := pick(random).callWithKey(token, key, method, path, mediaType, body())
			if err == nil && status < 300 {
				return got
			}
			if err == nil && status < 500 {
				t.Errorf("%s %s: %d %v", method, path, status, got)
				return nil
			}
			time.Sleep(50 * time.Millisecond)
		}
		t.Errorf("%s %s: no node answered", method, path)
		return nil
	}
	json := func(text string) func() io.Reader { return func() io.Reader { return strings.NewReader(text) } }
	var work sync.WaitGroup
	for w := range writers {
		work.Go(func() {
			random := rand.New(rand.NewPCG(uint64(w), 5))
			for d := range documents {
				key := fmt.Sprintf("writer-%d-%d", w, d)
				made := step(random, alpha, key+"-make", http.MethodPost, "/api/v1/documents", "application/json", json(`{"kind":"letter","title":"A letter"}`))
				if made == nil {
					return
				}
				id := made["id"].(string)
				step(random, alpha, key+"-file", http.MethodPut, "/api/v1/documents/"+id+"/files/a.pdf", "application/pdf", func() io.Reader { return pdf(100_000) })
				done := step(random, alpha, key+"-send", http.MethodPost, "/api/v1/documents/"+id+"/send", "application/json",
					json(fmt.Sprintf(`{"recipients":[{"identifier":%q,"role":"sign","order":1}]}`, iin)))
				if done == nil {
					return
				}
				mu.Lock()
				sent = append(sent, id)
				mu.Unlock()
				// Another node shows it, and waits rather than show the past.
				shown := false
				for range 100 {
					status, timeline, err := pick(random).read(alpha, "/api/v1/documents/"+id+"/timeline", done["position"].(float64))
					if err != nil || status >= 500 {
						time.Sleep(50 * time.Millisecond)
						continue
					}
					shown = true
					types := eventTypes(timeline)
					if !slices.Contains(types, "DocumentSent") {
						t.Errorf("a node that waited for position %v shows %v", done["position"], types)
					}
					break
				}
				if !shown {
					t.Errorf("no node came as far as position %v", done["position"])
				}
			}
		})
	}
	time.Sleep(400 * time.Millisecond)
	mu.Lock()
	alive = alive[:2]
	mu.Unlock()
	nodes[2].kill()
	time.Sleep(time.Second)
	nodes[2].start()
	mu.Lock()
	alive = slices.Clone(nodes)
	mu.Unlock()
	work.Wait()
	require.Len(t, sent, writers*documents)

	// Every node shows every document, delivered once, whoever delivered it.
	for _, id := range sent {
		for i, n := range nodes {
			var types []string
			require.Eventually(t, func() bool {
				status, timeline, err := n.read(beta, "/api/v1/documents/"+id+"/timeline", 0)
				types = eventTypes(timeline)
				return err == nil && status == http.StatusOK && slices.Contains(types, "DocumentDelivered")
			}, time.Minute, 50*time.Millisecond, "node %d", i+1)
			require.Equal(t, []string{"DocumentCreated", "FileAttached", "DocumentSent", "DocumentDelivered"}, types, "node %d", i+1)
		}
	}
	require.Contains(t, nodes[0].run("fsck"), "all is as committed")
	t.Logf("%d documents over 3 nodes, one killed in the middle: each there once, delivered once", len(sent))
}

// eventTypes returns the types of a timeline's events.
func eventTypes(timeline map[string]any) []string {
	var types []string
	items, _ := timeline["items"].([]any)
	for _, item := range items {
		row, _ := item.(map[string]any)
		name, _ := row["type"].(string)
		types = append(types, name)
	}
	return types
}
