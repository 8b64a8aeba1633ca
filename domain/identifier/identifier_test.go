package identifier_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"dalel/domain/identifier"
	"dalel/internal/fault"
)

// reference is the rule as the decree words it: a second, slower reading of
// the same text to hold the first against.
func reference(eleven string) (int, bool) {
	for _, weights := range [][]int{{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, {3, 4, 5, 6, 7, 8, 9, 10, 11, 1, 2}} {
		sum := 0
		for i, weight := range weights {
			sum += weight * int(eleven[i]-'0')
		}
		if sum%11 != 10 {
			return sum % 11, true
		}
	}
	return 0, false
}

func TestR_A1_TheCheckDigitFollowsTheDecreeForEveryEleven(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		eleven := rapid.StringMatching(`[0-9]{11}`).Draw(t, "eleven")
		check, ok := reference(eleven)
		number, err := identifier.WithCheckDigit(eleven)
		require.Equal(t, ok, err == nil)
		if !ok {
			for digit := range 10 {
				require.Error(t, identifier.CheckIIN(fmt.Sprintf("%s%d", eleven, digit)))
			}
			return
		}
		require.Equal(t, fmt.Sprintf("%s%d", eleven, check), number)
		if eleven == "00000000000" {
			return
		}
		require.NoError(t, identifier.CheckIIN(number))
		for digit := range 10 {
			if digit != check {
				require.Error(t, identifier.CheckIIN(fmt.Sprintf("%s%d", eleven, digit)))
			}
		}
	})
}

func TestR_A1_APublishedNumberPasses(t *testing.T) {
	// The BIN of a bank, as it publishes it: a number not made by this code.
	require.NoError(t, identifier.CheckBIN("971240001315"))
	require.NoError(t, identifier.CheckIIN("971240001315"), "an IIN has no certain inner structure")
}

func TestR_A1_WhatIsCertainlyWrongIsRefused(t *testing.T) {
	valid, err := identifier.WithCheckDigit("85010130012")
	require.NoError(t, err)
	require.NoError(t, identifier.CheckIIN(valid))
	wrong := string('0' + (valid[11]-'0'+1)%10)
	for text, detail := range map[string]string{
		"":                 "exactly 12 digits",
		valid[:11]:         "exactly 12 digits",
		valid + "0":        "exactly 12 digits",
		" " + valid[1:]:    "exactly 12 digits",
		"٨٥٠١٠١":           "exactly 12 digits", // 12 bytes of Arabic digits
		"000000000000":     "all zeros",
		"123456789011":     "check digit", // the test keys of the national CA
		valid[:11] + wrong: "check digit",
	} {
		err := identifier.CheckIIN(text)
		require.Equal(t, fault.IdentifierInvalid, fault.CodeOf(err), "%q", text)
		require.ErrorContains(t, err, detail)
	}
}

func TestR_A1_AnIINIsNotTakenForABIN(t *testing.T) {
	iin, err := identifier.WithCheckDigit("85010130012")
	require.NoError(t, err)
	require.ErrorContains(t, identifier.CheckBIN(iin), "is this an IIN?")
	monthless, err := identifier.WithCheckDigit("97134000131")
	require.NoError(t, err)
	require.ErrorContains(t, identifier.CheckBIN(monthless), "no month")
}

func TestNoErrorRepeatsTheNumber(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[0-9]{6,14}|[A-Z0-9]{6,14}`).Draw(t, "text")
		for _, check := range []func(string) error{identifier.CheckIIN, identifier.CheckBIN, identifier.CheckInternal} {
			if err := check(text); err != nil {
				require.NotContains(t, err.Error(), text)
			}
		}
	})
}

// TestWhatTheCheckDigitFinds measures, for each place, how many single wrong
// digits and how many exchanges with the next digit go unseen. The figures
// are those of the state's algorithm, and the package comment rests on them.
func TestWhatTheCheckDigitFinds(t *testing.T) {
	random := mathrand.New(mathrand.NewPCG(1, 2))
	var unseen, tried, swapped, swaps [identifier.Length]int
	for range 5_000 {
		number, err := identifier.WithCheckDigit(fmt.Sprintf("%011d", random.Int64N(100_000_000_000)))
		if err != nil {
			continue
		}
		for place := range identifier.Length {
			for digit := byte('0'); digit <= '9'; digit++ {
				if digit == number[place] {
					continue
				}
				tried[place]++
				if identifier.CheckIIN(number[:place]+string(digit)+number[place+1:]) == nil {
					unseen[place]++
				}
			}
			if place+1 < identifier.Length && number[place] != number[place+1] {
				swaps[place]++
				if identifier.CheckIIN(number[:place]+string(number[place+1])+string(number[place])+number[place+2:]) == nil {
					swapped[place]++
				}
			}
		}
	}
	share := func(part, all int) float64 { return float64(part) / float64(max(all, 1)) }
	for place := range identifier.Length {
		t.Logf("digit %2d: unseen wrong digits %6.2f %%, unseen exchanges with the next %6.2f %%",
			place+1, 100*share(unseen[place], tried[place]), 100*share(swapped[place], swaps[place]))
	}
	for place := range 10 {
		require.Less(t, share(unseen[place], tried[place]), 0.03, "digit %d", place+1)
		require.Less(t, share(swapped[place], swaps[place]), 0.03, "digits %d and %d", place+1, place+2)
	}
	require.Greater(t, share(unseen[10], tried[10]), 0.8, "digit 11 weighs 11, which is nothing modulo 11")
	require.Zero(t, unseen[11], "a wrong check digit is always seen")
}

func TestR_A1_AnInternalNumberHasTwelveCharactersAndPasses(t *testing.T) {
	seen := map[string]bool{}
	for range 500 {
		number, err := identifier.NewInternal(rand.Reader)
		require.NoError(t, err)
		require.Len(t, number, identifier.Length)
		require.NoError(t, identifier.CheckInternal(number))
		require.Error(t, identifier.CheckIIN(number), "never to be taken for an IIN")
		require.NotContains(t, seen, number)
		require.False(t, strings.ContainsAny(number, "01ILO"))
		seen[number] = true
	}
}

func TestEveryWrongCharacterAndEveryExchangeInAnInternalNumberIsFound(t *testing.T) {
	const alphabet = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.SliceOfN(rapid.Byte(), 64, 64).Draw(t, "random")
		number, err := identifier.NewInternal(bytes.NewReader(seed))
		if err != nil {
			t.Skip("too few usable bytes")
		}
		for place := range identifier.Length {
			for _, other := range []byte(alphabet) {
				if other != number[place] && identifier.CheckInternal(number[:place]+string(other)+number[place+1:]) == nil {
					t.Fatalf("%c for character %d of %s goes unseen", other, place+1, number)
				}
			}
			for second := place + 1; second < identifier.Length; second++ {
				exchanged := []byte(number)
				exchanged[place], exchanged[second] = exchanged[second], exchanged[place]
				if string(exchanged) != number && identifier.CheckInternal(string(exchanged)) == nil {
					t.Fatalf("an exchange of characters %d and %d of %s goes unseen", place+1, second+1, number)
				}
			}
		}
	})
}

func TestWithoutRandomnessThereIsNoInternalNumber(t *testing.T) {
	_, err := identifier.NewInternal(iotest.ErrReader(errors.New("no entropy")))
	require.Equal(t, fault.Internal, fault.CodeOf(err))
	_, err = identifier.NewInternal(strings.NewReader("short"))
	require.Equal(t, fault.Internal, fault.CodeOf(err))
	_, err = identifier.NewInternal(bytes.NewReader(bytes.Repeat([]byte{0xff}, 64)))
	require.ErrorContains(t, err, "too few usable bytes", "and no endless loop")
}

func TestAnInternalNumberOfAnotherFormIsRefused(t *testing.T) {
	for _, text := range []string{"", "ABCDEFGHJKM", "abcdefghjkmn", "ABCDEFGHIJKL", "23456789ABCD", "ABCDEFGHJKM\n"} {
		require.Equal(t, fault.IdentifierInvalid, fault.CodeOf(identifier.CheckInternal(text)), "%q", text)
	}
}

func FuzzCheck(f *testing.F) {
	for _, seed := range []string{"971240001315", "000000000000", "A23456789BCD", "", "é", "12345678901\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if identifier.CheckBIN(text) == nil {
			require.NoError(t, identifier.CheckIIN(text))
		}
		if identifier.CheckIIN(text) == nil {
			again, err := identifier.WithCheckDigit(text[:identifier.Length-1])
			require.NoError(t, err)
			require.Equal(t, text, again)
			require.Error(t, identifier.CheckInternal(text))
		}
		if identifier.CheckInternal(text) == nil {
			require.Len(t, text, identifier.Length)
		}
	})
}
