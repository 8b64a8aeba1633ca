package slots_test

import (
	"context"
	"testing"

	"dalel/internal/slots"

	"github.com/stretchr/testify/require"
)

func TestNobodyTakesAllPlaces(t *testing.T) {
	s := slots.New(3, 2)
	one, ok := s.Enter("a")
	require.True(t, ok)
	_, ok = s.Enter("a")
	require.True(t, ok)
	_, ok = s.Enter("a")
	require.False(t, ok, "a has its share")
	_, ok = s.Enter("b")
	require.True(t, ok, "b has not")
	_, ok = s.Enter("c")
	require.False(t, ok, "there are no more")
	one()
	one()
	_, ok = s.Enter("c")
	require.True(t, ok, "a place is free again")
	_, ok = s.Enter("c")
	require.False(t, ok, "one only, however often it was left")
}

func TestWhoWaitsGetsThePlaceThatIsLeft(t *testing.T) {
	s := slots.New(1, 0)
	leave, ok := s.Enter("a")
	require.True(t, ok)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Wait(ended, "b")
	require.ErrorIs(t, err, context.Canceled)
	got := make(chan error)
	go func() {
		mine, err := s.Wait(t.Context(), "b")
		if err == nil {
			mine()
		}
		got <- err
	}()
	leave()
	require.NoError(t, <-got)
}
