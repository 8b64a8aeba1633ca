package feed_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"dalel/eventstore"
	"dalel/internal/canonical"
	"dalel/internal/fault"
	"dalel/projections/feed"

	"dalel/tests/stores"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/tests"
	"github.com/stretchr/testify/require"
)

// notForALog says of each test in the package of Watermill's suite that does
// not run, why. Every other one must, which [TestWatermillsSuite] checks
// against the package's source: a test that a new version brings is noticed,
// and one that is skipped in silence too.
var notForALog = map[string]string{
	"TestPubSub":           "the list of the others",
	"TestPubSubStressTest": "the list of the others, ten times at once",
	"TestReconnect": "restarts a broker by a command; the embedded store is no broker, and a store that is away is " +
		"TestAStoreThatIsAwayIsAskedAgainAndAClosedOneEndsTheFeed",
}

// claimed is what the feed promises in Watermill's terms. What it does not:
//
//   - ExactlyOnceDelivery: a message that is out and not acked when its
//     subscription ends comes again, and so does one whose ack came before
//     its consumer's checkpoint was kept.
//   - RequireSingleInstance: a store may have any number of subscribers.
//   - GuaranteedOrderWithSingleSubscriber: order holds with any number of them
//     as each has all messages; the weaker claim is not needed.
//   - ContextPreserved: an event outlives every context.
//
// ForceShort is about the number of messages, not about what is tested:
// DALEL_TEST_WATERMILL=full runs the suite with all that it has, in half a
// minute.
var claimed = tests.Features{
	GuaranteedOrder: true,
	Persistent:      true,
	ForceShort:      os.Getenv("DALEL_TEST_WATERMILL") != "full",
}

// TestWatermillsSuite runs it twice: for a consumer that keeps no checkpoint,
// such as one whose work is in memory, and for one whose checkpoint goes with
// its acks, as those of the read models and the process managers do.
//
// Watermill calls consumers that go on independently of each other consumer
// groups, and that is all its test asks of them. Members of one group do not
// share its work here: each has all messages.
func TestWatermillsSuite(t *testing.T) {
	var ran sync.Map // names of tests that were not skipped
	t.Run("from the start", func(t *testing.T) {
		features := claimed
		features.NewSubscriberReceivesOldMessages = true
		newLog(t).suite(t, features, nil, &ran)
	})
	t.Run("after the checkpoint", func(t *testing.T) {
		features := claimed
		features.ConsumerGroups = true
		newLog(t).suite(t, features, &checkpoints{}, &ran)
	})
	t.Run("is complete", func(t *testing.T) {
		if strings.Contains(flag.Lookup("test.run").Value.String(), "/") {
			t.Skip("parts of the suite were asked for")
		}
		there := suiteTests(t)
		require.Greater(t, len(there), 10)
		for name := range there {
			_, has := ran.Load(name)
			_, excused := notForALog[name]
			require.NotEqual(t, has, excused, "%s: has run %v, is excused %v", name, has, excused)
		}
		for name := range notForALog {
			require.Contains(t, there, name, "an excuse for a test that the suite does not have")
		}
	})
}

// suite runs Watermill's own tests on the log; kept is where consumers keep
// their checkpoints, nil when they keep none. A test has run when it has asked
// for a subscriber and was not skipped.
func (l *log) suite(t *testing.T, features tests.Features, kept *checkpoints, ran *sync.Map) {
	group := func(t *testing.T, group string) (message.Publisher, message.Subscriber) {
		name := strings.Split(t.Name(), "/")[2] // after our own two
		t.Cleanup(func() {
			if !t.Skipped() {
				ran.Store(name, true)
			}
		})
		subscriber := l.subscriber(group, kept)
		// Some tests never close what they ask for.
		t.Cleanup(func() { require.NoError(t, subscriber.Close()) })
		return &publisher{log: l}, subscriber
	}
	tests.TestPubSub(t, features, func(t *testing.T) (message.Publisher, message.Subscriber) { return group(t, "") }, group)
}

// suiteTests returns the names of the functions in the suite's package that
// are tests, in its list or not.
func suiteTests(t *testing.T) map[string]bool {
	file, _ := runtime.FuncForPC(reflect.ValueOf(tests.TestPubSub).Pointer()).FileLine(reflect.ValueOf(tests.TestPubSub).Pointer())
	require.True(t, filepath.IsAbs(file), "the suite's source cannot be found in a build with -trimpath")
	sources, err := filepath.Glob(filepath.Join(filepath.Dir(file), "*.go"))
	require.NoError(t, err)
	found := map[string]bool{}
	for _, source := range sources {
		parsed, err := parser.ParseFile(token.NewFileSet(), source, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, declared := range parsed.Decls {
			if f, ok := declared.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
				found[f.Name.Name] = true
			}
		}
	}
	return found
}

// log is a store with a stream for each of Watermill's topics.
type log struct {
	store   eventstore.Store
	mu      sync.Mutex // guards writers
	writers map[eventstore.StreamID]*writer
}

// writer is the end of one stream.
type writer struct {
	mu   sync.Mutex
	head eventstore.Head
}

func newLog(t *testing.T) *log {
	return &log{store: stores.Open(t), writers: map[eventstore.StreamID]*writer{}}
}

// published is a message as its event's data carries it.
type published struct {
	UUID     string            `json:"uuid"`
	Payload  []byte            `json:"payload"`
	Metadata map[string]string `json:"metadata"`
}

// publisher appends messages as events to the stream that their topic names.
type publisher struct {
	log    *log
	mu     sync.Mutex
	closed bool
}

func (p *publisher) Publish(topic string, messages ...*message.Message) error {
	p.mu.Lock()
	closed := p.closed
	p.mu.Unlock()
	if closed {
		return errors.New("publish: the publisher is closed")
	}
	stream := eventstore.StreamID(topic)
	var drafts []eventstore.Draft
	for _, msg := range messages {
		data, err := canonical.Marshal(published{msg.UUID, msg.Payload, msg.Metadata})
		if err != nil {
			return err
		}
		drafts = append(drafts, eventstore.Draft{Type: "MessagePublished", Data: data,
			Metadata: eventstore.Metadata{Schema: 1, Actor: "publisher", RecordedAt: time.Now()}})
	}
	p.log.mu.Lock()
	end := p.log.writers[stream]
	if end == nil {
		end = &writer{}
		p.log.writers[stream] = end
	}
	p.log.mu.Unlock()
	end.mu.Lock()
	defer end.mu.Unlock()
	for part := range slices.Chunk(drafts, eventstore.MaxAppendEvents) {
		events, err := eventstore.Chain(stream, end.head, part...)
		if err != nil {
			return err
		}
		if _, err := p.log.store.Append(context.Background(), events...); err != nil {
			return err
		}
		end.head = events[len(events)-1].Head()
	}
	return nil
}

func (p *publisher) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	return nil
}

// checkpoints is what consumers have of each topic.
type checkpoints struct {
	mu sync.Mutex
	at map[string]eventstore.Position
}

func (c *checkpoints) load(_ context.Context, consumer string) (eventstore.Position, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at[consumer], nil
}

func (c *checkpoints) keep(consumer string, position eventstore.Position) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at == nil {
		c.at = map[string]eventstore.Position{}
	}
	c.at[consumer] = max(c.at[consumer], position)
}

// subscriber lets the feed's messages through that are of the topic asked for,
// as they were published. A message keeps the feed's context, ack and nack.
type subscriber struct {
	feed    *feed.Subscriber
	group   string
	kept    *checkpoints
	passing sync.WaitGroup
}

func (l *log) subscriber(group string, kept *checkpoints) *subscriber {
	checkpoint := fromStart
	if kept != nil {
		checkpoint = kept.load
	}
	backoff := feed.Backoff{Min: time.Millisecond, Max: 10 * time.Millisecond}
	return &subscriber{feed: feed.New(l.store, checkpoint, backoff, quiet), group: group, kept: kept}
}

func (s *subscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	consumer := s.group + " " + topic
	messages, err := s.feed.Subscribe(ctx, consumer)
	if err != nil {
		return nil, err
	}
	out := make(chan *message.Message)
	s.passing.Go(func() {
		defer close(out)
		for msg := range messages {
			s.pass(msg, consumer, topic, out)
		}
	})
	return out, nil
}

func (s *subscriber) Close() error {
	err := s.feed.Close()
	s.passing.Wait()
	return err
}

func (s *subscriber) pass(msg *message.Message, consumer, topic string, out chan<- *message.Message) {
	event, err := feed.Event(msg)
	if err != nil {
		panic(err)
	}
	if event.Stream != eventstore.StreamID(topic) {
		msg.Ack()
		return
	}
	var original published
	if err := json.Unmarshal(event.Data, &original); err != nil {
		panic(err)
	}
	msg.UUID, msg.Payload, msg.Metadata = original.UUID, original.Payload, original.Metadata
	select {
	case out <- msg:
	case <-msg.Context().Done():
		return
	}
	if s.kept == nil {
		return
	}
	select {
	case <-msg.Acked():
		s.kept.keep(consumer, event.Position)
	case <-msg.Nacked():
	case <-msg.Context().Done(): // by an ack too
		select {
		case <-msg.Acked():
			s.kept.keep(consumer, event.Position)
		default:
		}
	}
}

func TestAPublisherThatIsClosedPublishesNothing(t *testing.T) {
	l := newLog(t)
	p := &publisher{log: l}
	require.NoError(t, p.Close())
	require.Error(t, p.Publish("topic-1", message.NewMessage("1", nil)))
	require.True(t, fault.Is((&publisher{log: l}).Publish("no stream's name", message.NewMessage("1", nil)), fault.StreamInvalid))
}
