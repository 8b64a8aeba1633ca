package esdbserver

import (
	"context"
	"encoding/base64"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// Right is something that a user may do, or several such things.
type Right int

// The rights, and all of them together.
const (
	MayRead Right = 1 << iota
	MayReadAll
	MayWrite
	MayDelete
	MayWriteMetadata

	MayAll = MayRead | MayReadAll | MayWrite | MayDelete | MayWriteMetadata
)

// User is somebody whom the server knows.
type User struct {
	Password string
	May      Right
}

// SetUsers replaces the users. The empty name is whoever comes without one; nil
// lets everybody do everything, as a server without security does.
func (s *Server) SetUsers(users map[string]User) { s.set(func(w *switches) { w.users = users }) }

// authorize refuses a call whose user is unknown or has not the right. A client
// sends a user's name over TLS alone.
func (s *Server) authorize(ctx context.Context, trailer func(metadata.MD), right Right) error {
	s.mutex.Lock()
	users := s.switches.users
	s.mutex.Unlock()
	if users == nil {
		return nil
	}
	incoming, _ := metadata.FromIncomingContext(ctx)
	name, password := "", ""
	for _, value := range incoming.Get("authorization") {
		encoded, _ := strings.CutPrefix(value, "Basic ")
		decoded, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			return status.Error(codes.Unauthenticated, "Unauthenticated")
		}
		name, password, _ = strings.Cut(string(decoded), ":")
	}
	user, known := users[name]
	if name != "" && (!known || user.Password != password) {
		return status.Error(codes.Unauthenticated, "Unauthenticated")
	}
	if user.May&right == 0 {
		return fail(trailer, codes.PermissionDenied, "Access Denied", "exception", "access-denied")
	}
	return nil
}

// writing is the right to append to a stream.
func writing(stream string) Right {
	if strings.HasPrefix(stream, "$$") {
		return MayWriteMetadata
	}
	return MayWrite
}
