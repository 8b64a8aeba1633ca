package esdb

import (
	"errors"
	"strings"

	"dalel/internal/fault"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// verdict is what an error of the client means for the question that was
// asked.
type verdict int

const (
	// refused: the server has understood and said no, and will say so again.
	refused verdict = iota
	// conflict: another revision was expected.
	conflict
	// deleted: the stream has a tombstone.
	deleted
	// missing: there is no such stream.
	missing
	// unanswered: whether it was done is not known, the connection may be good.
	unanswered
	// disconnected: whether it was done is not known, the connection is gone.
	disconnected
)

// judge reads the client's errors with errors.As, since the client wraps some
// of them and its own FromError sees only bare ones. What it does not know is
// unanswered: that is right for every error, and the number of attempts is
// bounded.
func judge(err error) verdict {
	if errors.Is(err, errDeaf) {
		return disconnected
	}
	var own *client.Error
	if errors.As(err, &own) {
		switch own.Code() {
		case client.ErrorCodeWrongExpectedVersion:
			return conflict
		case client.ErrorCodeStreamDeleted:
			return deleted
		case client.ErrorCodeResourceNotFound:
			return missing
		case client.ErrorCodeConnectionClosed, client.ErrorUnavailable:
			return disconnected
		case client.ErrorCodeAccessDenied, client.ErrorCodeUnauthenticated, client.ErrorCodeUnsupportedFeature:
			return refused
		case client.ErrorCodeNotLeader:
			// The client is already on its way to the leader.
			return unanswered
		}
	}
	var known *fault.Error
	if errors.As(err, &known) {
		return refused
	}
	switch status.Code(err) {
	case codes.Unavailable:
		return disconnected
	case codes.NotFound:
		return missing
	case codes.InvalidArgument, codes.FailedPrecondition, codes.OutOfRange, codes.ResourceExhausted,
		codes.PermissionDenied, codes.Unauthenticated, codes.Unimplemented:
		return refused
	}
	return unanswered
}

// failed turns an error of the client into store.failed.
func failed(err error, format string, args ...any) error {
	return fault.Wrap(fault.StoreFailed, err, format, args...)
}

// unreadableVersion is how the client puts it that the server's version is not
// three numbers.
const unreadableVersion = "invalid EventStoreDB server version format"

// finalError is a failure to connect that waiting does not mend.
type finalError struct{ error }

func (e finalError) Unwrap() error { return e.error }

func isFinal(err error) bool {
	var f finalError
	return errors.As(err, &f)
}

// unreachable says why there is no connection.
func unreachable(err error) error {
	switch {
	case strings.Contains(err.Error(), unreadableVersion):
		return failed(finalError{err}, "the client cannot read the version of this event store: it takes three numbers, without a suffix such as -rc1")
	case judge(err) == refused:
		return failed(finalError{err}, "the event store refuses this client")
	}
	return failed(err, "the event store cannot be reached")
}
