package esdbserver_test

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"dalel/tests/esdbserver"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// following reads a subscription one message at a time.
type following struct {
	*node
	subscription *esdb.Subscription
}

func (n *node) follow(options esdb.SubscribeToAllOptions) *following {
	n.Helper()
	subscription, err := n.client.SubscribeToAll(n.ctx, options)
	require.NoError(n, err)
	n.Cleanup(func() { _ = subscription.Close() })
	return &following{node: n, subscription: subscription}
}

// untilCaughtUp returns the events and checkpoints up to the next caught up.
func (f *following) untilCaughtUp() (events []*esdb.RecordedEvent, checkpoints []esdb.Position) {
	f.Helper()
	for {
		switch message := f.subscription.Recv(); {
		case message.EventAppeared != nil:
			events = append(events, message.EventAppeared.Event)
		case message.CheckPointReached != nil:
			checkpoints = append(checkpoints, *message.CheckPointReached)
		case message.CaughtUp != nil:
			return events, checkpoints
		case message.SubscriptionDropped != nil:
			require.NoError(f, message.SubscriptionDropped.Error)
		}
	}
}

// next returns the next event.
func (f *following) next() *esdb.RecordedEvent {
	f.Helper()
	for {
		message := f.subscription.Recv()
		if message.SubscriptionDropped != nil {
			require.NoError(f, message.SubscriptionDropped.Error)
		}
		if message.EventAppeared != nil {
			return message.EventAppeared.Event
		}
	}
}

// dropped returns the error that the subscription ends with.
func (f *following) dropped() error {
	f.Helper()
	for {
		if message := f.subscription.Recv(); message.SubscriptionDropped != nil {
			return message.SubscriptionDropped.Error
		}
	}
}

func TestASubscriptionGoesFromHistoryIntoLive(t *testing.T) {
	eachNode(t, func(n *node) {
		name := stream()
		batch := events(100)
		start := n.append(name, esdb.NoStream{}, event(`{}`))
		n.append(name, esdb.Revision(0), batch[:90]...)
		f := n.follow(esdb.SubscribeToAllOptions{From: esdb.Position{Commit: start.CommitPosition, Prepare: start.PreparePosition}})
		history, _ := f.untilCaughtUp()
		require.Equal(n, proposedIDs(batch[:90]), ids(only(history, name)), "it starts after the position")
		for i := 90; i < 100; i++ {
			result := n.append(name, esdb.Revision(uint64(i)), batch[i])
			for {
				got := f.next()
				if got.StreamID != name {
					continue // a real server has events of its own
				}
				require.Equal(n, batch[i].EventID, got.EventID)
				require.Equal(n, result.CommitPosition, got.Position.Commit)
				break
			}
		}
	})
}

func TestASubscriptionFromTheEndGivesOutOnlyWhatComes(t *testing.T) {
	eachNode(t, func(n *node) {
		n.append(stream(), esdb.NoStream{}, events(3)...)
		f := n.follow(esdb.SubscribeToAllOptions{From: esdb.End{}})
		history, _ := f.untilCaughtUp()
		require.Empty(n, history)
		name, live := stream(), event(`{}`)
		n.append(name, esdb.NoStream{}, live)
		got := f.next()
		for got.StreamID != name {
			got = f.next()
		}
		require.Equal(n, live.EventID, got.EventID)
	})
}

func TestASubscriptionBeyondTheEndIsCaughtUpAndSkipsUpToThere(t *testing.T) {
	n := standIn(t)
	far := n.append(stream(), esdb.NoStream{}, event(`{}`)).CommitPosition + 1000
	f := n.follow(esdb.SubscribeToAllOptions{From: esdb.Position{Commit: far, Prepare: far}})
	history, _ := f.untilCaughtUp()
	require.Empty(t, history)
	var want uuid.UUID
	for want == uuid.Nil { // what a rewound server gives out again is lost to it
		made := event(`{}`)
		if n.append(stream(), esdb.NoStream{}, made).CommitPosition > far {
			want = made.EventID
		}
	}
	require.Equal(t, want, f.next().EventID)
}

func TestAFilteredSubscriptionSendsCheckpoints(t *testing.T) {
	n := standIn(t)
	name := stream()
	batch := events(3)
	n.append(name, esdb.NoStream{}, batch[0])
	require.NoError(t, n.server.WriteSystemEvents(100))
	n.append(name, esdb.Revision(0), batch[1])
	f := n.follow(esdb.SubscribeToAllOptions{
		From: esdb.Start{}, Filter: esdb.ExcludeSystemEventsFilter(), MaxSearchWindow: 10, CheckpointInterval: 2,
	})
	history, checkpoints := f.untilCaughtUp()
	require.Equal(t, proposedIDs(batch[:2]), ids(history))
	require.Len(t, checkpoints, 103/20+1, "one for each 20 events looked at, and one when it catches up")
	require.Equal(t, n.end(), checkpoints[len(checkpoints)-1])

	require.NoError(t, n.server.WriteSystemEvents(19))
	n.append(name, esdb.Revision(1), batch[2])
	require.Equal(t, batch[2].EventID, f.next().EventID)
	require.NotNil(t, f.subscription.Recv().CheckPointReached, "live as well")

	prefixed := n.follow(esdb.SubscribeToAllOptions{
		From:   esdb.Start{},
		Filter: &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Prefixes: []string{"none", name}},
	})
	history, _ = prefixed.untilCaughtUp()
	require.Equal(t, proposedIDs(batch), ids(history))
}

func TestASubscriptionThatFallsBehindIsNotToldAndCatchesUpAgain(t *testing.T) {
	n := standIn(t)
	name := stream()
	f := n.follow(esdb.SubscribeToAllOptions{From: esdb.Start{}})
	f.untilCaughtUp()
	n.append(name, esdb.NoStream{}, events(100)...) // more at once than may wait
	require.NotNil(t, f.subscription.Recv().EventAppeared)
	missed, _ := f.untilCaughtUp()
	require.Len(t, missed, 99)
	n.append(name, esdb.Revision(99), event(`{}`))
	require.Equal(t, uint64(100), f.next().EventNumber)
}

func TestAnOlderServerDropsASubscriptionThatFallsBehind(t *testing.T) {
	n := standIn(t)
	n.server.DropLagging(true)
	f := n.follow(esdb.SubscribeToAllOptions{From: esdb.Start{}})
	f.untilCaughtUp()
	n.append(stream(), esdb.NoStream{}, events(32)...)
	for range 32 {
		f.next()
	}
	n.append(stream(), esdb.NoStream{}, events(100)...)
	err := f.dropped()
	require.Equal(t, codes.Aborted, status.Code(err))
	require.ErrorContains(t, err, "Consumer too slow")
}

func TestAPreparePositionBelowTheCommitGivesTheEventOutAgain(t *testing.T) {
	n := standIn(t)
	at := n.append(stream(), esdb.NoStream{}, event(`{}`)).CommitPosition
	f := n.follow(esdb.SubscribeToAllOptions{From: esdb.Position{Commit: at, Prepare: 0}})
	require.Equal(t, at, f.next().Position.Commit)
}

func TestASubscriptionToAStreamFollowsIt(t *testing.T) {
	eachNode(t, func(n *node) {
		name := stream()
		batch := events(50)
		n.append(name, esdb.NoStream{}, batch[:40]...)
		subscription, err := n.client.SubscribeToStream(n.ctx, name, esdb.SubscribeToStreamOptions{From: esdb.Revision(1)})
		require.NoError(n, err)
		defer subscription.Close()
		f := &following{node: n, subscription: subscription}
		history, _ := f.untilCaughtUp()
		require.Equal(n, proposedIDs(batch[2:40]), ids(history))
		n.append(name, esdb.Revision(39), batch[40:]...)
		for _, want := range batch[40:] {
			require.Equal(n, want.EventID, f.next().EventID)
		}
		_, err = n.client.TombstoneStream(n.ctx, name, esdb.TombstoneStreamOptions{})
		require.NoError(n, err)
		require.Error(n, f.dropped())
	})
}

func TestADroppedSubscriptionEndsWithAnErrorAndANewOneGoesOn(t *testing.T) {
	n := standIn(t)
	f := n.follow(esdb.SubscribeToAllOptions{From: esdb.Start{}})
	f.untilCaughtUp()
	require.Equal(t, 1, n.server.Counts().Subscriptions)
	n.server.DropSubscriptions()
	err := f.dropped()
	require.Equal(t, codes.Unavailable, status.Code(err))
	var failure *esdb.Error
	require.NotErrorAs(t, err, &failure, "the client does not wrap it")
	require.Eventually(t, func() bool { return n.server.Counts().Subscriptions == 0 }, patience, time.Millisecond)

	again := n.follow(esdb.SubscribeToAllOptions{From: esdb.Start{}})
	again.untilCaughtUp()
	require.Equal(t, 2, n.server.Counts().Subscribed)
}

func TestASubscriptionEndsWithItsContext(t *testing.T) {
	n := standIn(t)
	ctx, cancel := context.WithCancel(n.ctx)
	subscription, err := n.client.SubscribeToAll(ctx, esdb.SubscribeToAllOptions{From: esdb.Start{}})
	require.NoError(t, err)
	cancel()
	require.Equal(t, codes.Canceled, status.Code((&following{node: n, subscription: subscription}).dropped()))
	require.Eventually(t, func() bool { return n.server.Counts().Subscriptions == 0 }, patience, time.Millisecond)
}

func TestGossipLeadsToTheNode(t *testing.T) {
	server := esdbserver.New(t, esdbserver.Options{})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	settings, err := esdb.ParseConnectionString("esdb+discover://" + server.Addr() + "?tls=false")
	require.NoError(t, err)
	settings.Logger = esdb.NoopLogging()
	client, err := esdb.NewClient(settings)
	require.NoError(t, err)
	defer client.Close()
	_, err = client.AppendToStream(ctx, stream(), esdb.AppendToStreamOptions{}, event(`{}`))
	require.NoError(t, err)
}

// TestAFilteredSubscriptionGoesOnFromAnyOfItsCheckpoints holds what a client
// may conclude from a checkpoint: that nothing of the filter's which was not
// sent before it stands before it.
func TestAFilteredSubscriptionGoesOnFromAnyOfItsCheckpoints(t *testing.T) {
	eachNode(t, func(n *node) {
		prefix := "test." + strings.ReplaceAll(uuid.NewString(), "-", "") + "."
		own, other := prefix+"thing-1", "other"+prefix+"thing-1"
		filter := func(from esdb.AllPosition) esdb.SubscribeToAllOptions {
			return esdb.SubscribeToAllOptions{From: from, MaxSearchWindow: 40, CheckpointInterval: 1, Filter: &esdb.SubscriptionFilter{
				Type: esdb.StreamFilterType, Regex: "^" + regexp.QuoteMeta(prefix) + "[a-z]+-",
			}}
		}
		// Names that begin with the prefix and are not the filter's.
		begun := n.append(prefix+"more.thing-1", esdb.NoStream{}, event(`{}`))
		n.append(prefix+"Thing-1", esdb.NoStream{}, event(`{}`))
		n.append(prefix+"thing", esdb.NoStream{}, event(`{}`))
		batch := events(5)
		for i, one := range batch {
			expected := esdb.ExpectedRevision(esdb.NoStream{})
			if i > 0 {
				expected = esdb.Revision(uint64(i - 1))
			}
			n.append(other, esdb.Any{}, events(70)...)
			n.append(own, expected, one)
		}
		n.append(other, esdb.Any{}, events(150)...)

		f := n.follow(filter(esdb.Position{Commit: begun.CommitPosition, Prepare: begun.PreparePosition}))
		type place struct {
			at     esdb.Position
			before int // how many events were sent before it
		}
		var places []place
		var sent []uuid.UUID
		for caught := false; !caught; {
			switch message := f.subscription.Recv(); {
			case message.EventAppeared != nil:
				sent = append(sent, message.EventAppeared.Event.EventID)
			case message.CheckPointReached != nil:
				places = append(places, place{*message.CheckPointReached, len(sent)})
			case message.CaughtUp != nil:
				caught = true
			case message.SubscriptionDropped != nil:
				require.NoError(n, message.SubscriptionDropped.Error)
			}
		}
		require.Equal(n, proposedIDs(batch), sent)
		require.Greater(n, len(places), 5)
		for _, p := range places {
			again, _ := n.follow(filter(p.at)).untilCaughtUp()
			require.Equal(n, sent[p.before:], append([]uuid.UUID{}, ids(again)...), "from %+v on", p.at)
			// It may be read from as well.
			read := only(n.readAll(esdb.ReadAllOptions{From: p.at}, 2000), own)
			require.Subset(n, ids(read), sent[p.before:])
		}
	})
}
