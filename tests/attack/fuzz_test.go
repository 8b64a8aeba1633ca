package attack

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// bound is how long an answer may take.
const bound = 2 * time.Second

// number reads a setting of this test from the environment.
func number(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	require.NoError(t, err, name)
	return n
}

// TestWhateverIsSentTheAnswerIsTheDescribedOne sends requests made from the
// description, right and wrong. DALEL_FUZZ_REQUESTS says how many, and
// DALEL_FUZZ_SEED which.
func TestWhateverIsSentTheAnswerIsTheDescribedOne(t *testing.T) {
	requests := uint64(3000)
	if testing.Short() {
		requests = 600
	}
	seed, count := number(t, "DALEL_FUZZ_SEED", 1), number(t, "DALEL_FUZZ_REQUESTS", requests)
	n := serve(t, nil)
	who := n.people()
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 0)), description: n.description(), who: who, places: n.places(who)}
	from := clients{}
	statuses, succeeded := map[int]int{}, map[string]bool{}
	found := findings{}
	began := time.Now()
	for range count {
		o, r := g.next()
		a, err := n.do(from, r)
		if err != nil {
			found.note(o.name, "no answer: "+err.Error(), r, a)
			continue
		}
		if a.took > bound {
			first := a.took
			if a, err = n.do(from, r); err != nil || a.took > bound {
				found.note(o.name, fmt.Sprintf("it took %s, and then %s", first, a.took), r, a)
			}
		}
		statuses[a.status]++
		if a.status < 300 {
			succeeded[o.name] = true
			g.learn(o, r, a)
		}
		for _, difference := range g.description.differences(o, r, a) {
			found.note(o.name, difference, r, a)
		}
	}
	t.Logf("%d requests of seed %d in %.1fs, statuses %v, %d of %d operations succeeded", count, seed, time.Since(began).Seconds(),
		statuses, len(succeeded), len(g.description.operations))
	found.report(t)
	for _, o := range g.description.operations {
		if !succeeded[o.name] {
			t.Logf("%s never succeeded", o.name)
		}
	}
	require.Greater(t, len(succeeded), len(g.description.operations)/2, "a fuzzer that is never let in sees nothing")
	require.Zero(t, statuses[http.StatusTooManyRequests], "the limits are out of the way here")
}

// learn takes in what a request made.
func (g *generator) learn(o operation, r request, a answer) {
	var made struct{ ID string }
	if json.Unmarshal(a.body, &made) != nil || made.ID == "" {
		return
	}
	switch {
	case o.name == "createDocument" && len(g.documents) < 40:
		g.documents = append(g.documents, made.ID)
		g.own[r.as] = append(g.own[r.as], made.ID)
		g.drafts[r.as] = append(g.drafts[r.as], made.ID)
	case o.name == "placeHold":
		g.holds = append(g.holds, made.ID)
	}
}

// findings are what was wrong, by kind.
type findings map[string]*finding

type finding struct {
	times      int
	operations []string
	first      string
}

func (f findings) note(operation, what string, r request, a answer) {
	if f[what] == nil {
		f[what] = &finding{first: fmt.Sprintf("%s\n  answered %s", r, a)}
	}
	f[what].times++
	if !slices.Contains(f[what].operations, operation) {
		f[what].operations = append(f[what].operations, operation)
	}
}

func (f findings) report(t *testing.T) {
	t.Helper()
	for _, what := range slices.Sorted(maps.Keys(f)) {
		t.Errorf("%s: %d times, in %v, first\n  %s", what, f[what].times, f[what].operations, f[what].first)
	}
}
