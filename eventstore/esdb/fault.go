package esdb

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	if isFinal(err) {
		return refused
	}
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
			// The client is already on its way to the leader, or heed is.
			return unanswered
		}
	}
	var known *fault.Error
	if errors.As(err, &known) {
		return refused
	}
	if isUnknownPosition(err) {
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

func isNotLeader(err error) bool {
	var own *client.Error
	return errors.As(err, &own) && own.Code() == client.ErrorCodeNotLeader
}

// isUnsent reports whether the server ended an append before all of it was
// sent: then nothing of it is recorded, and why is not known, for the client
// keeps only that there was an end.
func isUnsent(err error) bool {
	return errors.Is(err, io.EOF) && strings.Contains(err.Error(), "could not send append")
}

// failed turns an error of the client into one of ours: store.failed, or the
// code that says why the server cannot be spoken to or refuses, with what to do
// about it.
func failed(err error, format string, args ...any) error {
	code, advice := meaning(err)
	if advice == "" {
		return fault.Wrap(code, err, format, args...)
	}
	return fault.Wrap(code, err, "%s: %s", fmt.Sprintf(format, args...), advice)
}

// What to do about a fault that waiting does not mend.
const (
	adviseCertificate = "its certificate does not verify; name the authority that signed it with tlsCAFile in the connection string, or renew it, and use a host name that it holds"
	adviseTLS         = "it speaks TLS; take tls=false out of the connection string"
	adviseNoTLS       = "it does not speak TLS; give it a certificate, or, where the network is trusted, say tls=false in the connection string"
	advisePassword    = "it does not know this user and password; correct them in the connection string"
	adviseDenied      = "the user of the connection string may not do this; give it the right to read all events and to append to the ledger's streams"
	advisePosition    = "it does not know a position that this node has read up to: it is another store, or was restored from a backup; " +
		"compare it with the backup by dalel fsck before this node goes on"
)

// meaning returns the code of an error of the client, and what to do about it
// where that is known and not said yet.
func meaning(err error) (_ fault.Code, advice string) {
	var named *fault.Error
	if errors.As(err, &named) {
		switch named.Code {
		case fault.StoreCertificate, fault.StoreTLS, fault.StorePassword, fault.StoreDenied, fault.StorePosition:
			return named.Code, ""
		}
	}
	if isUnknownPosition(err) {
		return fault.StorePosition, advisePosition
	}
	switch status.Code(err) {
	case codes.Unauthenticated:
		return fault.StorePassword, advisePassword
	case codes.PermissionDenied:
		return fault.StoreDenied, adviseDenied
	case codes.Unavailable:
		// Of a handshake that fails gRPC keeps the text alone.
		switch text := err.Error(); {
		case !strings.Contains(text, handshakeFailed):
		case strings.Contains(text, "x509: ") || strings.Contains(text, "tls: failed to verify certificate") ||
			strings.Contains(text, "remote error: tls: ") && strings.Contains(text, "certificate"):
			return fault.StoreCertificate, adviseCertificate
		case strings.Contains(text, "first record does not look like a TLS handshake"):
			return fault.StoreTLS, adviseNoTLS
		}
	}
	return fault.StoreFailed, ""
}

// handshakeFailed is how gRPC begins what it says of a TLS handshake.
const handshakeFailed = "authentication handshake failed"

// isUnknownPosition reports whether the server cannot read from the position
// that it was given: of a read it says Unknown, of a subscription
// InvalidArgument.
func isUnknownPosition(err error) bool {
	switch status.Code(err) {
	case codes.Unknown:
		return strings.Contains(err.Error(), "InvalidPosition")
	case codes.InvalidArgument:
		return strings.Contains(strings.ToLower(err.Error()), "invalid position")
	}
	return false
}

// isOwnDeadline reports whether an error says no more than that nothing came in
// time.
func isOwnDeadline(err error) bool {
	return errors.Is(err, errDeaf) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) ||
		status.Code(err) == codes.DeadlineExceeded || status.Code(err) == codes.Canceled
}

// lastCause keeps the last error that said something, for when patience runs
// out in the middle of a wait that says nothing.
type lastCause struct{ err error }

func (l *lastCause) note(err error) {
	if l.err == nil || !isOwnDeadline(err) {
		l.err = err
	}
}

// with returns an error together with the one that is kept.
func (l *lastCause) with(err error) error {
	if l.err == nil || errors.Is(err, l.err) {
		return err
	}
	return errors.Join(err, l.err)
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

// partlyAway is what the nodes of a cluster say, of which some are only away.
type partlyAway struct{ error }

func (e partlyAway) Unwrap() error { return e.error }

// unreachable says why there is no connection.
func unreachable(err error) error {
	const cannot = "the event store cannot be reached"
	if strings.Contains(err.Error(), unreadableVersion) {
		return failed(finalError{err}, "the client cannot read the version of this event store: it takes three numbers, without a suffix such as -rc1")
	}
	var some partlyAway
	if code, _ := meaning(err); code != fault.StoreFailed && !errors.As(err, &some) {
		return failed(finalError{err}, cannot)
	}
	if judge(err) == refused && !errors.As(err, &some) {
		return failed(finalError{err}, "the event store refuses this client")
	}
	return failed(err, cannot)
}
