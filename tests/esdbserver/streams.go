package esdbserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// service answers what is not about streams.
type service struct {
	serverfeatures.UnimplementedServerFeaturesServer
	gossip.UnimplementedGossipServer
	server *Server
}

// fail makes an error as the server makes it: a status, and trailers that name
// it for the clients.
func fail(trailer func(metadata.MD), code codes.Code, message string, pairs ...string) error {
	trailer(metadata.Pairs(pairs...))
	return status.Error(code, message)
}

func streamDeleted(trailer func(metadata.MD), stream string) error {
	return fail(trailer, codes.FailedPrecondition, fmt.Sprintf("Event stream '%s' is deleted.", stream),
		"exception", "stream-deleted", "stream-name", stream)
}

func invalid(format string, args ...any) error {
	return status.Errorf(codes.InvalidArgument, format, args...)
}

// unary sets the trailer of a call that has no stream.
func unary(ctx context.Context) func(metadata.MD) {
	return func(md metadata.MD) { _ = grpc.SetTrailer(ctx, md) }
}

func (s *service) GetSupportedMethods(ctx context.Context, _ *shared.Empty) (*serverfeatures.SupportedMethods, error) {
	version, err := s.server.enter(ctx)
	if err != nil {
		return nil, err
	}
	answer := &serverfeatures.SupportedMethods{EventStoreServerVersion: version}
	for _, method := range []string{"read", "append", "delete", "tombstone"} {
		answer.Methods = append(answer.Methods, &serverfeatures.SupportedMethod{
			MethodName: method, ServiceName: "event_store.client.streams.streams",
		})
	}
	return answer, nil
}

// Read, of gossip, tells of the nodes of the cluster.
func (s *service) Read(ctx context.Context, _ *shared.Empty) (*gossip.ClusterInfo, error) {
	if _, err := s.server.enter(ctx); err != nil {
		return nil, err
	}
	var info gossip.ClusterInfo
	for _, member := range s.server.members() {
		host, port, err := net.SplitHostPort(member.Address)
		if err != nil {
			return nil, status.Error(codes.Internal, err.Error())
		}
		number, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return nil, status.Error(codes.Internal, err.Error())
		}
		state := gossip.MemberInfo_Follower
		if member.Leader {
			state = gossip.MemberInfo_Leader
		}
		info.Members = append(info.Members, &gossip.MemberInfo{
			InstanceId: structured(uuid.New()), State: state, IsAlive: !member.Dead,
			HttpEndPoint: &gossip.EndPoint{Address: host, Port: uint32(number)},
		})
	}
	return &info, nil
}

// streamsService answers what is about streams. It is a type of its own because
// gossip and streams both have a Read.
type streamsService struct {
	streams.UnimplementedStreamsServer
	server *Server
}

func (s *streamsService) Append(call streams.Streams_AppendServer) error {
	server := s.server
	request, err := call.Recv()
	if err != nil {
		return err
	}
	options := request.GetOptions()
	if options == nil {
		return invalid("the options come first")
	}
	name, err := streamName(options.GetStreamIdentifier())
	if err != nil {
		return err
	}
	if err := server.authorize(call.Context(), call.SetTrailer, writing(name)); err != nil {
		return err
	}
	var expected int64
	switch kind := options.GetExpectedStreamRevision().(type) {
	case *streams.AppendReq_Options_Revision:
		expected = int64(min(kind.Revision, math.MaxInt64))
	case *streams.AppendReq_Options_NoStream:
		expected = expectNoStream
	case *streams.AppendReq_Options_Any:
		expected = expectAny
	case *streams.AppendReq_Options_StreamExists:
		expected = expectStreamExists
	default:
		return invalid("an expected revision is needed")
	}
	events, err := s.proposals(call)
	if err != nil {
		return err
	}
	// Only now, as the server does: a client that is still sending would see
	// an end of its stream and not the error.
	if _, err := server.enter(call.Context()); err != nil {
		return err
	}
	fate := server.appendFate()
	switch {
	case fate.cutBefore:
		return server.cut(call.Context())
	case fate.notLeader != nil:
		return fate.notLeader(call.SetTrailer)
	case fate.timeOut && !fate.written:
		return timedOut(call.Context())
	}
	outcome, err := server.log.append(name, expected, events)
	var conflict *conflictError
	switch {
	case errors.As(err, &conflict):
		return call.SendAndClose(wrongExpectedVersion(conflict))
	case errors.Is(err, errStreamDeleted):
		return streamDeleted(call.SetTrailer, name)
	case err != nil:
		return status.Error(codes.Internal, err.Error())
	}
	server.noteAppend(outcome)
	switch {
	case fate.cutAfter:
		return server.cut(call.Context())
	case fate.timeOut:
		return timedOut(call.Context())
	}
	success := &streams.AppendResp_Success{
		PositionOption: &streams.AppendResp_Success_Position{Position: &streams.AppendResp_Position{
			CommitPosition: outcome.position, PreparePosition: outcome.position,
		}},
		CurrentRevisionOption: &streams.AppendResp_Success_CurrentRevision{CurrentRevision: uint64(outcome.revision)},
	}
	if outcome.revision < 0 {
		success.CurrentRevisionOption = &streams.AppendResp_Success_NoStream{NoStream: &shared.Empty{}}
	}
	if outcome.hidden || outcome.idempotent && fate.withoutPosition {
		success.PositionOption = &streams.AppendResp_Success_NoPosition{NoPosition: &shared.Empty{}}
	}
	return call.SendAndClose(&streams.AppendResp{Result: &streams.AppendResp_Success_{Success: success}})
}

// timedOut answers an append that the server has given up waiting for.
func timedOut(ctx context.Context) error {
	select {
	case <-time.After(operationTimeout):
		return status.Error(codes.Aborted, "Operation timed out")
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	}
}

// proposals takes the events of an append. It answers as soon as they are too
// large, without waiting for the rest, as the server does: the client may see
// that as an end of its stream rather than as the error.
func (s *streamsService) proposals(call streams.Streams_AppendServer) ([]proposed, error) {
	var events []proposed
	size := 0
	for {
		request, err := call.Recv()
		if errors.Is(err, io.EOF) {
			return events, nil
		}
		if err != nil {
			return nil, err
		}
		message := request.GetProposedMessage()
		if message == nil {
			return nil, invalid("only events come after the options")
		}
		event := proposed{Data: message.GetData(), Meta: message.GetCustomMetadata()}
		var ok bool
		if event.ID, ok = parseID(message.GetId()); !ok {
			return nil, invalid("an event id is not a UUID")
		}
		if event.Type, ok = message.GetMetadata()["type"]; !ok {
			return nil, missingProperty(call.SetTrailer, "type")
		}
		content, ok := message.GetMetadata()["content-type"]
		if !ok {
			return nil, missingProperty(call.SetTrailer, "content-type")
		}
		event.JSON = content == "application/json"
		if event.Type == "" || event.ID == (uuid.UUID{}) {
			return nil, status.Error(codes.Unknown, "Exception was thrown by handler.")
		}
		size += len(event.Data)
		if limit := s.server.options.MaxAppendSize; size > limit {
			return nil, fail(call.SetTrailer, codes.InvalidArgument, fmt.Sprintf("Maximum Append Size of %d Exceeded.", limit),
				"exception", "maximum-append-size-exceeded", "maximum-append-size", strconv.Itoa(limit))
		}
		events = append(events, event)
	}
}

func missingProperty(trailer func(metadata.MD), name string) error {
	return fail(trailer, codes.InvalidArgument, fmt.Sprintf("Required Metadata Property '%s' is missing", name),
		"exception", "missing-required-metadata-property", "required-metadata-properties", "type,content-type")
}

func wrongExpectedVersion(conflict *conflictError) *streams.AppendResp {
	wrong := &streams.AppendResp_WrongExpectedVersion{}
	if conflict.current < 0 {
		wrong.CurrentRevisionOption = &streams.AppendResp_WrongExpectedVersion_CurrentNoStream{CurrentNoStream: &shared.Empty{}}
		wrong.CurrentRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_NoStream_20_6_0{NoStream_20_6_0: &shared.Empty{}}
	} else {
		wrong.CurrentRevisionOption = &streams.AppendResp_WrongExpectedVersion_CurrentRevision{CurrentRevision: uint64(conflict.current)}
		wrong.CurrentRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_CurrentRevision_20_6_0{CurrentRevision_20_6_0: uint64(conflict.current)}
	}
	switch conflict.expected {
	case expectAny:
		wrong.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedAny{ExpectedAny: &shared.Empty{}}
	case expectStreamExists:
		wrong.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedStreamExists{ExpectedStreamExists: &shared.Empty{}}
	case expectNoStream:
		wrong.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedNoStream{ExpectedNoStream: &shared.Empty{}}
	default:
		wrong.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedRevision{ExpectedRevision: uint64(conflict.expected)}
	}
	return &streams.AppendResp{Result: &streams.AppendResp_WrongExpectedVersion_{WrongExpectedVersion: wrong}}
}

func (s *streamsService) Delete(ctx context.Context, request *streams.DeleteReq) (*streams.DeleteResp, error) {
	options := request.GetOptions()
	expected := int64(expectAny)
	switch kind := options.GetExpectedStreamRevision().(type) {
	case *streams.DeleteReq_Options_Revision:
		expected = int64(min(kind.Revision, math.MaxInt64))
	case *streams.DeleteReq_Options_NoStream:
		expected = expectNoStream
	case *streams.DeleteReq_Options_StreamExists:
		expected = expectStreamExists
	}
	position, err := s.delete(ctx, options.GetStreamIdentifier(), expected, false)
	if err != nil {
		return nil, err
	}
	return &streams.DeleteResp{PositionOption: &streams.DeleteResp_Position_{
		Position: &streams.DeleteResp_Position{CommitPosition: position, PreparePosition: position},
	}}, nil
}

func (s *streamsService) Tombstone(ctx context.Context, request *streams.TombstoneReq) (*streams.TombstoneResp, error) {
	options := request.GetOptions()
	expected := int64(expectAny)
	switch kind := options.GetExpectedStreamRevision().(type) {
	case *streams.TombstoneReq_Options_Revision:
		expected = int64(min(kind.Revision, math.MaxInt64))
	case *streams.TombstoneReq_Options_NoStream:
		expected = expectNoStream
	case *streams.TombstoneReq_Options_StreamExists:
		expected = expectStreamExists
	}
	position, err := s.delete(ctx, options.GetStreamIdentifier(), expected, true)
	if err != nil {
		return nil, err
	}
	return &streams.TombstoneResp{PositionOption: &streams.TombstoneResp_Position_{
		Position: &streams.TombstoneResp_Position{CommitPosition: position, PreparePosition: position},
	}}, nil
}

func (s *streamsService) delete(ctx context.Context, id *shared.StreamIdentifier, expected int64, hard bool) (uint64, error) {
	if _, err := s.server.enter(ctx); err != nil {
		return 0, err
	}
	name, err := streamName(id)
	if err != nil {
		return 0, err
	}
	if err := s.server.authorize(ctx, unary(ctx), MayDelete); err != nil {
		return 0, err
	}
	outcome, err := s.server.log.delete(name, expected, hard)
	var conflict *conflictError
	switch {
	case errors.As(err, &conflict):
		return 0, fail(unary(ctx), codes.FailedPrecondition,
			fmt.Sprintf("Delete failed due to WrongExpectedVersion. Stream: %s, Expected version: %d, Actual version: %d", name, conflict.expected, conflict.current),
			"exception", "wrong-expected-version", "stream-name", name,
			"expected-version", strconv.FormatInt(conflict.expected, 10), "actual-version", strconv.FormatInt(conflict.current, 10))
	case errors.Is(err, errStreamDeleted):
		return 0, streamDeleted(unary(ctx), name)
	case err != nil:
		return 0, status.Error(codes.Internal, err.Error())
	}
	return outcome.position, nil
}

func (s *streamsService) Read(request *streams.ReadReq, call streams.Streams_ReadServer) error {
	if _, err := s.server.enter(call.Context()); err != nil {
		return err
	}
	options := request.GetOptions()
	_, subscribe := options.GetCountOption().(*streams.ReadReq_Options_Subscription)
	backwards := options.GetReadDirection() == streams.ReadReq_Options_Backwards
	keep, err := filter(options.GetFilter())
	if err != nil {
		return err
	}
	if subscribe && backwards {
		return invalid("a subscription goes forwards")
	}
	switch kind := options.GetStreamOption().(type) {
	case *streams.ReadReq_Options_Stream:
		name, err := streamName(kind.Stream.GetStreamIdentifier())
		if err != nil {
			return err
		}
		if options.GetFilter() != nil {
			return invalid("a read of one stream takes no filter")
		}
		if err := s.server.authorize(call.Context(), call.SetTrailer, MayRead); err != nil {
			return err
		}
		if subscribe {
			return s.subscribeToStream(call, name, kind.Stream)
		}
		return s.readStream(call, name, kind.Stream, backwards, options.GetCount())
	case *streams.ReadReq_Options_All:
		if err := s.server.authorize(call.Context(), call.SetTrailer, MayReadAll); err != nil {
			return err
		}
		if subscribe {
			return s.subscribeToAll(call, kind.All, keep, options.GetFilter())
		}
		return s.readAll(call, kind.All, keep, backwards, options.GetCount())
	}
	return invalid("a stream or $all is needed")
}

func (s *streamsService) readStream(call streams.Streams_ReadServer, name string, options *streams.ReadReq_Options_StreamOptions, backwards bool, count uint64) error {
	from := int64(0)
	switch kind := options.GetRevisionOption().(type) {
	case *streams.ReadReq_Options_StreamOptions_Revision:
		from = int64(min(kind.Revision, math.MaxInt64))
	case *streams.ReadReq_Options_StreamOptions_End:
		from = math.MaxInt64
	}
	for count > 0 {
		page, err := s.server.log.stream(name, from, backwards, int(min(count, pageSize)))
		if err != nil {
			return streamDeleted(call.SetTrailer, name)
		}
		if page.missing {
			return call.Send(&streams.ReadResp{Content: &streams.ReadResp_StreamNotFound_{StreamNotFound: &streams.ReadResp_StreamNotFound{
				StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(name)},
			}}})
		}
		for _, r := range page.records {
			if err := call.Send(s.event(r, true)); err != nil {
				return err
			}
			from = r.Revision + 1
			if backwards {
				from = r.Revision - 1
			}
		}
		count -= uint64(len(page.records))
		if !page.more || len(page.records) == 0 || from < 0 {
			return nil
		}
	}
	return nil
}

var errInvalidPosition = errors.New("invalid position")

// position reads where a read of $all begins. The server cannot read from the
// middle of a record: a position is only good if it was given out.
func (s *streamsService) position(options *streams.ReadReq_Options_AllOptions) (position uint64, start bool, err error) {
	switch kind := options.GetAllOption().(type) {
	case *streams.ReadReq_Options_AllOptions_Position:
		position := kind.Position.GetCommitPosition()
		if kind.Position.GetPreparePosition() > position || !s.server.log.onBoundary(position) {
			return 0, false, errInvalidPosition
		}
		return position, false, nil
	case *streams.ReadReq_Options_AllOptions_End:
		return math.MaxUint64, false, nil
	}
	return 0, true, nil
}

func (s *streamsService) readAll(call streams.Streams_ReadServer, options *streams.ReadReq_Options_AllOptions, keep func(*record) bool, backwards bool, count uint64) error {
	sent := 0
	defer func() { s.server.count(func(c *Counts) { c.Reads++; c.Read += sent }) }()
	position, begin, err := s.position(options)
	if err != nil {
		return status.Error(codes.Unknown, "Unexpected ReadAllResult: InvalidPosition")
	}
	if begin && backwards {
		return nil
	}
	if !backwards && !begin {
		if position == 0 {
			begin = true
		} else {
			position-- // forwards the position itself is read
		}
	}
	for count > 0 {
		var page page
		if backwards {
			page = s.server.log.before(position, pageSize)
		} else {
			page = s.server.log.after(position, begin, pageSize)
		}
		begin = false
		for _, r := range page.records {
			position = r.Position
			if !keep(r) {
				continue
			}
			if err := call.Send(s.event(r, false)); err != nil {
				return err
			}
			sent++
			if count--; count == 0 {
				return nil
			}
		}
		if !page.more {
			return nil
		}
	}
	return nil
}

// filter makes the filter of a read of $all.
func filter(options *streams.ReadReq_Options_FilterOptions) (func(*record) bool, error) {
	if options == nil {
		return func(*record) bool { return true }, nil
	}
	field := func(r *record) string { return r.Type }
	expression := options.GetEventType()
	if expression == nil {
		field = func(r *record) string { return r.Stream }
		if expression = options.GetStreamIdentifier(); expression == nil {
			return nil, invalid("a filter on streams or types is needed")
		}
	}
	if text := expression.GetRegex(); text != "" {
		pattern, err := regexp.Compile(text)
		if err != nil {
			return nil, invalid("the filter's regular expression: %v", err)
		}
		return func(r *record) bool { return pattern.MatchString(field(r)) }, nil
	}
	prefixes := expression.GetPrefix()
	return func(r *record) bool {
		for _, prefix := range prefixes {
			if strings.HasPrefix(field(r), prefix) {
				return true
			}
		}
		return false
	}, nil
}

// event writes a record as the wire has it.
func (s *streamsService) event(r *record, ofStream bool) *streams.ReadResp {
	content := "application/octet-stream"
	if r.JSON {
		content = "application/json"
	}
	event := &streams.ReadResp_ReadEvent{
		Event: &streams.ReadResp_ReadEvent_RecordedEvent{
			Id:               structured(r.ID),
			StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(r.Stream)},
			StreamRevision:   uint64(r.Revision),
			PreparePosition:  r.Position,
			CommitPosition:   r.Position,
			Metadata:         map[string]string{"type": r.Type, "content-type": content, "created": strconv.FormatInt(r.Created, 10)},
			CustomMetadata:   r.Meta,
			Data:             r.Data,
		},
		Position: &streams.ReadResp_ReadEvent_CommitPosition{CommitPosition: r.Position},
	}
	if ofStream && s.server.hidesPositions() {
		event.Event.PreparePosition, event.Event.CommitPosition = math.MaxUint64, math.MaxUint64
		event.Position = &streams.ReadResp_ReadEvent_NoPosition{NoPosition: &shared.Empty{}}
	}
	return &streams.ReadResp{Content: &streams.ReadResp_Event{Event: event}}
}

func streamName(id *shared.StreamIdentifier) (string, error) {
	name := string(id.GetStreamName())
	if name == "" || strings.HasPrefix(name, "$$$$") {
		return "", invalid("'%s' is not a stream's name", name)
	}
	return name, nil
}

func structured(id uuid.UUID) *shared.UUID {
	var most, least uint64
	for i := range 8 {
		most = most<<8 | uint64(id[i])
		least = least<<8 | uint64(id[8+i])
	}
	return &shared.UUID{Value: &shared.UUID_Structured_{Structured: &shared.UUID_Structured{
		MostSignificantBits: int64(most), LeastSignificantBits: int64(least),
	}}}
}

func parseID(id *shared.UUID) (uuid.UUID, bool) {
	if text, ok := id.GetValue().(*shared.UUID_String_); ok {
		parsed, err := uuid.Parse(text.String_)
		return parsed, err == nil
	}
	halves := id.GetStructured()
	if halves == nil {
		return uuid.UUID{}, false
	}
	var parsed uuid.UUID
	for i := range 8 {
		parsed[i] = byte(uint64(halves.GetMostSignificantBits()) >> (56 - 8*i))
		parsed[8+i] = byte(uint64(halves.GetLeastSignificantBits()) >> (56 - 8*i))
	}
	return parsed, true
}
