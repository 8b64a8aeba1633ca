package esdb

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"time"

	"dalel/internal/fault"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// diagnoseWithin bounds the look at a server that has closed the connection
// before it said anything.
const diagnoseWithin = time.Second

// diagnosed names why a server closes connections at once, where that is because
// one side speaks TLS and the other does not. Without an answer to go by, the
// error stays as it is: the server may be starting, or ending.
func diagnosed(ctx context.Context, config client.Configuration, address string, err error) error {
	if status.Code(err) != codes.Unavailable {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, diagnoseWithin)
	defer cancel()
	text := err.Error()
	switch {
	case config.DisableTLS && strings.Contains(text, "error reading server preface") && speaksTLS(ctx, address):
		return fault.Wrap(fault.StoreTLS, err, "%s: %s", address, adviseTLS)
	case !config.DisableTLS && strings.Contains(text, handshakeFailed) && speaksPlainly(ctx, address):
		return fault.Wrap(fault.StoreTLS, err, "%s: %s", address, adviseNoTLS)
	}
	return err
}

// speaksTLS reports whether a server answers a TLS handshake. Nothing is sent
// over the connection, so its certificate does not matter.
func speaksTLS(ctx context.Context, address string) bool {
	dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}}
	connection, err := dialer.DialContext(ctx, "tcp", address)
	if err == nil {
		_ = connection.Close()
		return true
	}
	// An alert is an answer too.
	var refused *net.OpError
	return errors.As(err, &refused) && refused.Op == "remote error"
}

// speaksPlainly reports whether a server answers HTTP/2 without TLS.
func speaksPlainly(ctx context.Context, address string) bool {
	var dialer net.Dialer
	connection, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	defer connection.Close()
	if deadline, ok := ctx.Deadline(); ok {
		_ = connection.SetDeadline(deadline)
	}
	const settings = 4
	empty := []byte{0, 0, 0, settings, 0, 0, 0, 0, 0}
	if _, err := connection.Write(append([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), empty...)); err != nil {
		return false
	}
	header := make([]byte, len(empty))
	_, err = io.ReadFull(connection, header)
	return err == nil && header[3] == settings && slices.Equal(header[5:], empty[5:])
}

func shuffled[E any](all []E) []E {
	turned := slices.Clone(all)
	rand.Shuffle(len(turned), func(i, j int) { turned[i], turned[j] = turned[j], turned[i] })
	return turned
}
