package esdb_test

import (
	"context"
	"testing"
	"time"

	"dalel/eventstore"
	"dalel/eventstore/esdb"
	"dalel/internal/fault"
	"dalel/tests/esdbserver"

	"github.com/stretchr/testify/require"
)

// nodes is a cluster whose nodes hold the same events at all times: each is the
// same server by another address.
type nodes struct {
	server  *esdbserver.Server
	proxies []*esdbserver.Proxy
}

func newNodes(t *testing.T, count int) *nodes {
	n := &nodes{server: esdbserver.New(t, esdbserver.Options{})}
	for range count {
		n.proxies = append(n.proxies, esdbserver.NewProxy(t, n.server.Addr()))
	}
	n.lead(0)
	return n
}

// lead has gossip say that a node leads.
func (n *nodes) lead(leader int) {
	var members []esdbserver.Member
	for i, proxy := range n.proxies {
		members = append(members, esdbserver.Member{Address: proxy.Addr(), Leader: i == leader})
	}
	n.server.SetGossip(members...)
}

// url names all nodes but the last one, which is to be learned of.
func (n *nodes) url() string {
	url := "esdb://"
	for i, proxy := range n.proxies[:len(n.proxies)-1] {
		if i > 0 {
			url += ","
		}
		url += proxy.Addr()
	}
	return url + "?tls=false"
}

func (n *nodes) connections(node int) int {
	open, _ := n.proxies[node].Connections()
	return open
}

func TestALeaderThatHangsIsLeftForTheOneThatOthersName(t *testing.T) {
	t.Parallel()
	n := newNodes(t, 3)
	store := open(t, n.url(), esdb.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen := make(chan eventstore.Recorded, 100)
	subscribed := make(chan error, 1)
	go func() {
		subscribed <- store.Subscribe(ctx, 0, eventstore.Handler{
			Event: func(_ context.Context, event eventstore.Recorded) error { seen <- event; return nil },
		})
	}()
	stream, head := fresh(), eventstore.Head{}
	var want []eventstore.Event
	write := func() {
		t.Helper()
		batch := chain(t, stream, head, 1)
		_, err := store.Append(t.Context(), batch...)
		require.NoError(t, err)
		head, want = batch[0].Head(), append(want, batch...)
		select {
		case event := <-seen:
			require.Equal(t, batch[0], event.Event)
		case <-time.After(20 * time.Second):
			t.Fatal("the subscription does not bring it")
		}
	}
	write()
	require.Positive(t, n.connections(0))
	require.Eventually(t, func() bool { return n.connections(1)+n.connections(2) == 0 }, 20*time.Second, 10*time.Millisecond,
		"questions go to the leader alone")

	// The leader takes bytes and never answers. First the others have not
	// noticed; then they have another one.
	n.proxies[0].Stall(true)
	elections := make(chan time.Time, 1)
	time.AfterFunc(4*time.Second, func() { elections <- time.Now(); n.lead(2) })
	begun := time.Now()
	write()
	require.Len(t, elections, 1, "it was left before there was another")
	elected := <-elections
	t.Logf("commands succeed %v after the node hung, %v after there was another leader", time.Since(begun), time.Since(elected))
	require.Less(t, time.Since(elected), 8*time.Second)
	write()
	require.Positive(t, n.connections(2))
	require.Equal(t, want, held(t, store, stream))

	// One that wakes up is no trouble, and can lead again.
	n.proxies[0].Stall(false)
	write()
	n.lead(0)
	n.proxies[2].Stall(true)
	write()
	cancel()
	require.ErrorIs(t, <-subscribed, context.Canceled)
}

func TestALeaderThatHangsAtTheStartIsPassedOver(t *testing.T) {
	t.Parallel()
	n := newNodes(t, 3)
	n.proxies[0].Stall(true)
	time.AfterFunc(time.Second, func() { n.lead(1) })
	begun := time.Now()
	store := open(t, n.url(), esdb.Options{})
	require.Less(t, time.Since(begun), 10*time.Second)
	_, err := store.Append(t.Context(), chain(t, fresh(), eventstore.Head{}, 1)...)
	require.NoError(t, err)
}

func TestALeaderThatIsSlowIsWaitedFor(t *testing.T) {
	t.Parallel()
	n := newNodes(t, 2)
	store := open(t, n.url(), esdb.Options{})
	require.Eventually(t, func() bool { return n.connections(0) == 1 }, 20*time.Second, 10*time.Millisecond, "nothing is on its way any more")
	_, before := n.proxies[0].Connections()
	n.server.TimeOutAppends(1, false) // 2 s
	n.server.SetDelay(time.Second)
	defer n.server.SetDelay(0)
	begun := time.Now()
	_, err := store.Append(t.Context(), chain(t, fresh(), eventstore.Head{}, 1)...)
	require.NoError(t, err)
	require.Greater(t, time.Since(begun), 3*time.Second, "it was asked who leads")
	_, after := n.proxies[0].Connections()
	require.Equal(t, before, after, "and was not left")
}

func TestASingleNodeThatHangsIsWaitedForByName(t *testing.T) {
	t.Parallel()
	server := esdbserver.New(t, esdbserver.Options{})
	proxy := esdbserver.NewProxy(t, server.Addr())
	store := open(t, proxy.URL(), esdb.Options{AnswerWithin: 3 * time.Second, Patience: time.Second})
	proxy.Stall(true)
	_, err := store.Append(t.Context(), chain(t, fresh(), eventstore.Head{}, 1)...)
	requireCode(t, fault.StoreFailed, err)
	require.Zero(t, server.Counts().Written)
}

func TestANodeThatDoesNotLeadAnyMoreIsLeft(t *testing.T) {
	t.Parallel()
	n := newNodes(t, 3)
	store := open(t, n.url(), esdb.Options{})
	n.lead(1)
	n.server.AnswerNotLeader(1, "127.0.0.1", 1)
	_, err := store.Append(t.Context(), chain(t, fresh(), eventstore.Head{}, 1)...)
	require.NoError(t, err)
	require.Positive(t, n.connections(1))
	n.server.AnswerNotLeader(1, "", 0)
	_, err = store.Append(t.Context(), chain(t, fresh(), eventstore.Head{}, 1)...)
	require.NoError(t, err)
}

func TestManySubscriptionsDoNotStarveAppends(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, connection string) {
		store := open(t, connection, esdb.Options{})
		after, err := store.End(t.Context())
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		const count = 120
		caught, seen, ended := make(chan struct{}, 10*count), make(chan eventstore.Recorded, 10*count), make(chan error, count)
		for range count {
			told := false
			go func() {
				ended <- store.Subscribe(ctx, after, eventstore.Handler{
					Event: func(_ context.Context, event eventstore.Recorded) error { seen <- event; return nil },
					CaughtUp: func(context.Context, eventstore.Position) error {
						if !told {
							told = true
							caught <- struct{}{}
						}
						return nil
					},
				})
			}()
		}
		receive := func(what string) {
			t.Helper()
			select {
			case <-caught:
			case <-time.After(30 * time.Second):
				t.Fatal(what)
			}
		}
		for range count {
			receive("a subscription does not catch up")
		}
		begun := time.Now()
		batch := chain(t, fresh(), eventstore.Head{}, 3)
		for i := range batch {
			_, err := store.Append(t.Context(), batch[i])
			require.NoError(t, err)
		}
		require.Less(t, time.Since(begun), 8*time.Second)
		for range count * len(batch) {
			select {
			case event := <-seen:
				require.Contains(t, batch, event.Event)
			case <-time.After(30 * time.Second):
				t.Fatal("a subscription does not bring an event")
			}
		}
		cancel()
		for range count {
			require.ErrorIs(t, <-ended, context.Canceled)
		}
	})
}
