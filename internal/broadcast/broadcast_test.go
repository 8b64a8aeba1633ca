package broadcast_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"dalel/internal/broadcast"
)

func TestAnAnnouncementWakesAllWhoWaitedBeforeItAndNobodyAfter(t *testing.T) {
	var signal broadcast.Signal
	signal.Announce() // nobody waits: nothing is stored up
	var woken sync.WaitGroup
	for range 10 {
		next := signal.Wait()
		woken.Go(func() { <-next })
	}
	signal.Announce()
	woken.Wait()
	select {
	case <-signal.Wait():
		require.Fail(t, "an old announcement woke somebody new")
	default:
	}
}
