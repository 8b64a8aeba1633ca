package eventstore

import (
	"context"
	"time"
)

type patienceKey struct{}

// ReadWithin returns a context whose reads do not wait longer than d for a store
// that is out of reach. Nothing else is bounded by it: a read that makes progress
// goes on, and so does an append.
func ReadWithin(ctx context.Context, d time.Duration) context.Context {
	return context.WithValue(ctx, patienceKey{}, d)
}

// Patience returns how long a read waits for a store that is out of reach, most
// if the context does not say less.
func Patience(ctx context.Context, most time.Duration) time.Duration {
	if d, ok := ctx.Value(patienceKey{}).(time.Duration); ok {
		return min(d, most)
	}
	return most
}
