package esdbserver_test

import (
	"bufio"
	"context"
	"fmt"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"dalel/tests/esdbserver"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/stretchr/testify/require"
)

func TestALostAcknowledgementLeavesTheEventWritten(t *testing.T) {
	n := standIn(t)
	name := stream()
	n.append(name, esdb.NoStream{}, event(`{}`))
	made := event(`{"lost":true}`)
	n.server.LoseAcknowledgements(1)
	_, err := n.tryAppend(name, esdb.Revision(0), made)
	requireCode(t, err, esdb.ErrorUnavailable)

	again := n.append(name, esdb.Revision(0), made)
	require.Equal(t, uint64(1), again.NextExpectedVersion)
	require.Len(t, n.read(name), 2)
	require.Equal(t, again.CommitPosition, n.end().Commit)
	counts := n.server.Counts()
	require.Equal(t, 2, counts.Written)
	require.Equal(t, 1, counts.Idempotent)
	require.GreaterOrEqual(t, counts.Accepted, 2, "the connection was cut")
}

func TestAnAppendThatTimedOutMayHaveBeenWritten(t *testing.T) {
	n := standIn(t)
	name, made := stream(), events(2)
	for _, written := range []bool{false, true} {
		n.server.TimeOutAppends(1, written)
		begun := time.Now()
		_, err := n.tryAppend(name, esdb.NoStream{}, made...)
		requireCode(t, err, esdb.ErrorAborted)
		require.ErrorContains(t, err, "Operation timed out")
		require.GreaterOrEqual(t, time.Since(begun), 2*time.Second)
		_, err = n.tryRead(name, esdb.ReadStreamOptions{From: esdb.Start{}}, 1)
		require.Equal(t, written, err == nil)
	}
	require.Equal(t, uint64(1), n.append(name, esdb.NoStream{}, made...).NextExpectedVersion)
	require.Equal(t, proposedIDs(made), ids(n.read(name)))
}

func TestAServerWithTLSAndUsersRefusesOthers(t *testing.T) {
	certificate, authority := esdbserver.NewCertificate(t)
	server := esdbserver.New(t, esdbserver.Options{Certificate: &certificate})
	server.SetUsers(map[string]esdbserver.User{
		"reader": {Password: "r", May: esdbserver.MayRead | esdbserver.MayReadAll}, "writer": {Password: "w", May: esdbserver.MayWrite},
	})
	as := func(user string) *node {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		t.Cleanup(cancel)
		url := strings.Replace(server.URL(), "esdb://", "esdb://"+user, 1) + "&tlsCAFile=" + authority
		return &node{T: t, ctx: ctx, server: server, client: connect(t, url)}
	}
	reader, writer := as("reader:r@"), as("writer:w@")
	name := stream()
	writer.append(name, esdb.NoStream{}, events(2)...)
	require.Len(t, reader.read(name), 2)
	require.NotEmpty(t, reader.readAll(esdb.ReadAllOptions{From: esdb.Start{}}, 10))
	refused := func(code esdb.ErrorCode, err error) {
		t.Helper()
		requireCode(t, err, code)
	}
	_, err := reader.tryAppend(name, esdb.Any{}, event(`{}`))
	refused(esdb.ErrorCodeAccessDenied, err)
	_, err = writer.tryRead(name, esdb.ReadStreamOptions{From: esdb.Start{}}, 1)
	refused(esdb.ErrorCodeAccessDenied, err)
	_, err = collect(writer.client.ReadAll(writer.ctx, esdb.ReadAllOptions{From: esdb.Start{}}, 1))
	refused(esdb.ErrorCodeAccessDenied, err)
	_, err = writer.client.SubscribeToAll(writer.ctx, esdb.SubscribeToAllOptions{From: esdb.Start{}})
	refused(esdb.ErrorCodeAccessDenied, err)
	_, err = writer.client.DeleteStream(writer.ctx, name, esdb.DeleteStreamOptions{})
	refused(esdb.ErrorCodeAccessDenied, err)
	_, err = writer.client.SetStreamMetadata(writer.ctx, name, esdb.AppendToStreamOptions{}, esdb.StreamMetadata{})
	refused(esdb.ErrorCodeAccessDenied, err)
	_, err = as("writer:other@").tryAppend(name, esdb.Any{}, event(`{}`))
	refused(esdb.ErrorCodeUnauthenticated, err)
	_, err = as("").tryAppend(name, esdb.Any{}, event(`{}`))
	refused(esdb.ErrorCodeAccessDenied, err)
	require.Len(t, reader.read(name), 2)
}

func TestACutBeforeTheAppendLeavesNothing(t *testing.T) {
	n := standIn(t)
	name := stream()
	n.append(name, esdb.NoStream{}, event(`{}`))
	n.server.CutBeforeAppend(1)
	_, err := n.tryAppend(name, esdb.Revision(0), event(`{}`))
	requireCode(t, err, esdb.ErrorUnavailable)
	require.Len(t, n.read(name), 1)
}

func TestARestartKeepsTheEventsAndForgetsTheRecentIDs(t *testing.T) {
	n := standIn(t)
	name := stream()
	batch := events(2)
	n.append(name, esdb.Any{}, batch...)
	f := n.follow(esdb.SubscribeToAllOptions{From: esdb.Start{}})
	f.untilCaughtUp()
	url := n.server.URL()
	require.NoError(t, n.server.Restart())
	require.Error(t, f.dropped())
	require.Equal(t, url, n.server.URL())

	n.client = connect(t, url)
	require.Equal(t, proposedIDs(batch), ids(n.read(name)))
	n.append(name, esdb.NoStream{}, batch...) // by their revisions they are known
	require.Len(t, n.read(name), 2)
	n.append(name, esdb.Any{}, batch...)
	require.Len(t, n.read(name), 4)
}

func TestAnOutageRefusesThePortAndEnds(t *testing.T) {
	n := standIn(t)
	name := stream()
	n.append(name, esdb.NoStream{}, event(`{}`))
	n.server.Outage(300 * time.Millisecond)
	_, err := net.Dial("tcp", n.server.Addr())
	require.Error(t, err)
	require.Zero(t, n.server.Counts().Open)
	require.Eventually(t, func() bool {
		// A client that could not connect never does again: a new one each time.
		ctx, cancel := context.WithTimeout(n.ctx, 200*time.Millisecond)
		defer cancel()
		found, err := collect(connect(t, n.server.URL()).ReadStream(ctx, name, esdb.ReadStreamOptions{From: esdb.Start{}}, 10))
		return err == nil && len(found) == 1
	}, patience, 50*time.Millisecond)
}

func TestAClosedServerStaysClosedAfterAnOutage(t *testing.T) {
	server := esdbserver.New(t, esdbserver.Options{})
	server.Outage(20 * time.Millisecond)
	require.NoError(t, server.Close())
	time.Sleep(40 * time.Millisecond)
	_, err := net.Dial("tcp", server.Addr())
	require.Error(t, err)
	require.Error(t, server.Up())
	require.NoError(t, server.Close(), "closing again is harmless")
}

func TestAnUnavailableServerSaysSo(t *testing.T) {
	n := standIn(t)
	n.append(stream(), esdb.NoStream{}, event(`{}`))
	n.server.Unavailable(time.Hour)
	_, err := n.tryAppend(stream(), esdb.NoStream{}, event(`{}`))
	requireCode(t, err, esdb.ErrorUnavailable)
	n.server.Unavailable(0)
	n.append(stream(), esdb.NoStream{}, event(`{}`))
}

func TestASlowServerRunsIntoTheCallersDeadline(t *testing.T) {
	n := standIn(t)
	name := stream()
	n.append(name, esdb.NoStream{}, event(`{}`))
	n.server.SetDelay(time.Hour)
	deadline := 50 * time.Millisecond
	_, err := n.client.AppendToStream(n.ctx, name, esdb.AppendToStreamOptions{ExpectedRevision: esdb.Revision(0), Deadline: &deadline}, event(`{}`))
	requireCode(t, err, esdb.ErrorCodeDeadlineExceeded)
	n.server.SetDelay(time.Millisecond)
	require.Len(t, n.read(name), 1)
}

func TestAVersionWithASuffixBreaksTheConnection(t *testing.T) {
	n := standIn(t)
	n.server.SetVersion("24.10.0-rc1")
	_, err := n.tryAppend(stream(), esdb.NoStream{}, event(`{}`))
	require.ErrorContains(t, err, "invalid EventStoreDB server version format")

	n.server.SetVersion("25.0.1")
	n.client = connect(t, n.server.URL())
	n.append(stream(), esdb.NoStream{}, event(`{}`))
	version, err := n.client.GetServerVersion()
	require.NoError(t, err)
	require.Equal(t, esdb.ServerVersion{Major: 25, Minor: 0, Patch: 1}, *version)
}

func TestANodeThatIsNotTheLeaderNamesIt(t *testing.T) {
	n := standIn(t)
	n.append(stream(), esdb.NoStream{}, event(`{}`))
	leader := esdbserver.New(t, esdbserver.Options{})
	host, port, err := net.SplitHostPort(leader.Addr())
	require.NoError(t, err)
	number, err := strconv.Atoi(port)
	require.NoError(t, err)

	n.server.AnswerNotLeader(1, host, number)
	name, made := stream(), event(`{}`)
	_, err = n.tryAppend(name, esdb.NoStream{}, made)
	requireCode(t, err, esdb.ErrorCodeNotLeader)
	n.append(name, esdb.NoStream{}, made) // the client has gone there
	require.Equal(t, 1, leader.Counts().Written)

	other := connect(t, n.server.URL())
	n.server.AnswerNotLeader(1, "", 0)
	_, err = other.AppendToStream(n.ctx, stream(), esdb.AppendToStreamOptions{}, event(`{}`))
	requireCode(t, err, esdb.ErrorCodeUnknown)
}

func TestOldServersAnswerWithoutPositions(t *testing.T) {
	n := standIn(t)
	name, made := stream(), event(`{}`)
	n.append(name, esdb.NoStream{}, made)
	n.server.HideStreamPositions(true)
	require.Equal(t, uint64(math.MaxUint64), n.read(name)[0].Position.Commit)
	require.NotEqual(t, uint64(math.MaxUint64), n.end().Commit)
	n.server.HideIdempotentPositions(true)
	require.Zero(t, n.append(name, esdb.NoStream{}, made).CommitPosition)
}

func TestRedactionLeavesEverythingButTheData(t *testing.T) {
	n := standIn(t)
	name := stream()
	n.append(name, esdb.NoStream{}, events(2)...)
	before := n.read(name)
	require.NoError(t, n.server.Redact(name, 1))
	after := n.read(name)
	require.Equal(t, strings.Repeat("\xff", len(before[1].Data)), string(after[1].Data))
	after[1].Data = before[1].Data
	require.Equal(t, before, after)
	require.Error(t, n.server.Redact(name, 2))
}

func TestAScavengeTakesAwayWhatIsHidden(t *testing.T) {
	n := standIn(t)
	name, gone := stream(), stream()
	batch := events(5)
	n.append(name, esdb.NoStream{}, batch...)
	n.append(gone, esdb.NoStream{}, events(3)...)
	var metadata esdb.StreamMetadata
	metadata.SetTruncateBefore(3)
	_, err := n.client.SetStreamMetadata(n.ctx, gone, esdb.AppendToStreamOptions{}, metadata)
	require.NoError(t, err)
	_, err = n.client.TombstoneStream(n.ctx, gone, esdb.TombstoneStreamOptions{})
	require.NoError(t, err)
	_, err = n.client.SetStreamMetadata(n.ctx, name, esdb.AppendToStreamOptions{}, metadata)
	require.NoError(t, err)
	require.NoError(t, n.server.Scavenge())
	all := n.readAll(esdb.ReadAllOptions{From: esdb.Start{}}, 100)
	require.Equal(t, proposedIDs(batch[3:]), ids(only(all, name)))
	require.Len(t, only(all, gone), 1)
	_, err = n.tryRead(gone, esdb.ReadStreamOptions{From: esdb.Start{}}, 1)
	requireCode(t, err, esdb.ErrorCodeStreamDeleted)
	require.Equal(t, proposedIDs(batch[3:]), ids(n.read(name)))
	require.Equal(t, uint64(5), n.append(name, esdb.Revision(4), event(`{}`)).NextExpectedVersion)
	_, err = n.tryAppend(name, esdb.Revision(0), batch[1])
	requireCode(t, err, esdb.ErrorCodeWrongExpectedVersion)
}

func TestARewoundServerGivesPositionsAndRevisionsOutAgain(t *testing.T) {
	n := standIn(t)
	name := stream()
	n.append(name, esdb.NoStream{}, events(2)...)
	at := n.append(name, esdb.Revision(1), events(2)...).CommitPosition
	require.NoError(t, n.server.Rewind(n.read(name)[2].Position.Commit))
	n.client = connect(t, n.server.URL())
	require.Len(t, n.read(name), 2)
	anew := n.append(name, esdb.Revision(1), events(2)...)
	require.Equal(t, uint64(3), anew.NextExpectedVersion)
	require.Less(t, anew.CommitPosition, at+1000)
}

func TestAProxyCutsConnectionsAtAnyByte(t *testing.T) {
	n := standIn(t)
	proxy := esdbserver.NewProxy(t, n.server.Addr())
	made := event(strings.Repeat("x", 1<<14))
	name := stream()
	outcomes := make(map[bool]int)
	for cut := int64(1); cut < 1<<15; cut = cut*3/2 + 1 {
		client := connect(t, proxy.URL())
		_, err := client.AppendToStream(n.ctx, "warm-up", esdb.AppendToStreamOptions{}, event(`{}`))
		require.NoError(t, err)
		proxy.CutAfterSent(cut)
		made := made
		made.EventID = event("").EventID
		before, err := n.tryRead(name, esdb.ReadStreamOptions{From: esdb.Start{}}, math.MaxInt32)
		if len(before) > 0 {
			require.NoError(t, err)
		}
		_, err = client.AppendToStream(n.ctx, name, esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, made)
		outcomes[err == nil]++
		n.append(name, esdb.Any{}, made) // a retry, past the proxy
		require.Len(t, n.read(name), len(before)+1)
		proxy.CutAfterSent(-1)
	}
	require.NotZero(t, outcomes[false], "nothing was ever cut")

	proxy.CutAfterReceived(1)
	_, err := connect(t, proxy.URL()).AppendToStream(n.ctx, name, esdb.AppendToStreamOptions{}, event(`{}`))
	require.NoError(t, err, "the client connects again while it looks for its node")
}

func TestAProxyKillsStallsAndRefuses(t *testing.T) {
	n := standIn(t)
	proxy := esdbserver.NewProxy(t, n.server.Addr())
	n.client = connect(t, proxy.URL())
	f := n.follow(esdb.SubscribeToAllOptions{From: esdb.Start{}})
	f.untilCaughtUp()
	open, accepted := proxy.Connections()
	require.Equal(t, 1, open)
	require.Equal(t, 1, accepted)
	proxy.KillAll()
	require.Error(t, f.dropped())
	require.Eventually(t, func() bool { open, _ := proxy.Connections(); return open == 0 }, patience, time.Millisecond)
	n.append(stream(), esdb.NoStream{}, event(`{}`)) // the client comes back by itself

	proxy.Stall(true)
	deadline := 50 * time.Millisecond
	_, err := n.client.AppendToStream(n.ctx, stream(), esdb.AppendToStreamOptions{Deadline: &deadline}, event(`{}`))
	requireCode(t, err, esdb.ErrorCodeDeadlineExceeded)
	proxy.Stall(false)
	n.append(stream(), esdb.NoStream{}, event(`{}`))

	proxy.Refuse(true)
	proxy.KillAll()
	_, err = n.client.AppendToStream(n.ctx, stream(), esdb.AppendToStreamOptions{}, event(`{}`))
	require.Error(t, err)
}

func TestManyWritersGetConsecutivePositionsAndRevisions(t *testing.T) {
	n := standIn(t)
	name := stream()
	var writing sync.WaitGroup
	failures := make(chan error, 16)
	for range cap(failures) {
		writing.Go(func() {
			for range 20 {
				if _, err := n.tryAppend(name, esdb.Any{}, events(3)...); err != nil {
					failures <- err
					return
				}
			}
		})
	}
	f := n.follow(esdb.SubscribeToAllOptions{From: esdb.Start{}, Filter: &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Prefixes: []string{name}}})
	for want := range uint64(16 * 20 * 3) {
		require.Equal(t, want, f.next().EventNumber)
	}
	writing.Wait()
	require.Empty(t, failures)
}

// process is the stand-in as a process of its own.
type process struct {
	command *exec.Cmd
	url     string
}

func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "esdbserver")
	output, err := exec.Command("go", "build", "-o", binary, "./cmd/esdbserver").CombinedOutput()
	require.NoError(t, err, string(output))
	return binary
}

func run(t *testing.T, binary string, arguments ...string) *process {
	t.Helper()
	command := exec.Command(binary, arguments...)
	command.Stderr = os.Stderr
	out, err := command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	url, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	return &process{command: command, url: strings.TrimSpace(url)}
}

func TestAKilledProcessHasWhatItAcknowledged(t *testing.T) {
	binary, data := build(t), filepath.Join(t.TempDir(), "events.jsonl")
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	first := run(t, binary, "--listen", "127.0.0.1:0", "--data", data)
	n := &node{T: t, ctx: ctx, client: connect(t, first.url)}
	name := stream()
	acknowledged := make(chan uint64, 1<<16)
	writing := make(chan struct{})
	go func() {
		defer close(writing)
		for i := uint64(0); ; i++ {
			if _, err := n.tryAppend(name, esdb.Any{}, event(fmt.Sprintf(`{"n":%d}`, i))); err != nil {
				return
			}
			acknowledged <- i
		}
	}()
	require.Eventually(t, func() bool { return len(acknowledged) >= 20 }, patience, time.Millisecond)
	require.NoError(t, first.command.Process.Kill())
	<-writing

	// A write that was torn apart was never answered, and is cut off.
	file, err := os.OpenFile(data, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = file.WriteString(`{"records":[{"id":`)
	require.NoError(t, err)
	require.NoError(t, file.Close())

	_, port, err := net.SplitHostPort(strings.TrimSuffix(strings.TrimPrefix(first.url, "esdb://"), "?tls=false"))
	require.NoError(t, err)
	second := run(t, binary, "--listen", "127.0.0.1:"+port, "--data", data)
	require.Equal(t, first.url, second.url)
	n.client = connect(t, second.url)
	found := n.read(name)
	require.GreaterOrEqual(t, len(found), len(acknowledged))
	for i := range len(acknowledged) {
		require.Equal(t, fmt.Sprintf(`{"n":%d}`, i), string(found[i].Data))
	}
	n.append(name, esdb.Revision(uint64(len(found)-1)), event(`{}`))
}

func TestADataFileKeepsEveryKindOfChange(t *testing.T) {
	data := filepath.Join(t.TempDir(), "events.jsonl")
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	server := esdbserver.New(t, esdbserver.Options{Path: data})
	n := &node{T: t, ctx: ctx, server: server, client: connect(t, server.URL())}
	kept, truncated, deleted, tombstoned := stream(), stream(), stream(), stream()
	for _, name := range []string{kept, truncated, deleted, tombstoned} {
		n.append(name, esdb.NoStream{}, events(4)...)
	}
	var metadata esdb.StreamMetadata
	metadata.SetTruncateBefore(2)
	_, err := n.client.SetStreamMetadata(ctx, truncated, esdb.AppendToStreamOptions{}, metadata)
	require.NoError(t, err)
	_, err = n.client.DeleteStream(ctx, deleted, esdb.DeleteStreamOptions{})
	require.NoError(t, err)
	_, err = n.client.TombstoneStream(ctx, tombstoned, esdb.TombstoneStreamOptions{})
	require.NoError(t, err)
	require.NoError(t, server.Redact(kept, 1))
	require.NoError(t, server.Scavenge())
	cut := n.append(kept, esdb.Revision(3), event(`{}`)).CommitPosition
	require.NoError(t, server.Rewind(cut))
	n.client = connect(t, server.URL())
	want := n.readAll(esdb.ReadAllOptions{From: esdb.Start{}}, math.MaxInt32)
	require.NoError(t, server.Close())

	again := esdbserver.New(t, esdbserver.Options{Path: data})
	n.client = connect(t, again.URL())
	found := n.readAll(esdb.ReadAllOptions{From: esdb.Start{}}, math.MaxInt32)
	require.Equal(t, want, found[:len(want)])
	require.Len(t, found, len(want)+1, "and what the new start wrote")
	require.Len(t, n.read(kept), 4)
	require.Len(t, n.read(truncated), 2)
	_, err = n.tryRead(deleted, esdb.ReadStreamOptions{From: esdb.Start{}}, 1)
	requireCode(t, err, esdb.ErrorCodeResourceNotFound)
	_, err = n.tryRead(tombstoned, esdb.ReadStreamOptions{From: esdb.Start{}}, 1)
	requireCode(t, err, esdb.ErrorCodeStreamDeleted)
}

func TestADamagedDataFileIsRefused(t *testing.T) {
	data := filepath.Join(t.TempDir(), "events.jsonl")
	require.NoError(t, os.WriteFile(data, []byte("{}\nnot JSON\n"), 0o600))
	_, err := esdbserver.Start(context.Background(), esdbserver.Options{Path: data})
	require.ErrorContains(t, err, "after byte 3")
}

func TestAServerEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	server, err := esdbserver.Start(ctx, esdbserver.Options{})
	require.NoError(t, err)
	cancel()
	require.Eventually(t, func() bool { return server.Up() != nil }, patience, time.Millisecond)
	require.NoError(t, server.Close())
}
