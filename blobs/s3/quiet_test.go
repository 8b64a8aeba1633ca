package s3_test

import (
	"context"
	"io"
	"log"
	"time"
)

// quiet takes what the proxy's HTTP server says of the connections that a test
// cuts.
var quiet = log.New(io.Discard, "", 0)

// someDay is when tampered content says that it was written.
var someDay = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

type troubleKey struct{}

func withTrouble(ctx context.Context, now *trouble) context.Context {
	return context.WithValue(ctx, troubleKey{}, now)
}

func troubleOf(ctx context.Context) *trouble {
	now, _ := ctx.Value(troubleKey{}).(*trouble)
	return now
}
