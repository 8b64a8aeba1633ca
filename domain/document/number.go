package document

import (
	"fmt"
	"io"
	"math/big"

	"dalel/internal/fault"
)

// NumberDigits is the length of a completed document's number (R-D8).
const NumberDigits = 20

// NewNumber makes a number: 18 decimal digits from random, which makes it
// hard to guess, and two check digits by ISO 7064 MOD 97-10, which find every
// single wrong digit and every swap of neighbours. It is not unique by
// itself: whoever uses it claims its stream first.
func NewNumber(random io.Reader) (string, error) {
	var bytes [16]byte
	if _, err := io.ReadFull(random, bytes[:]); err != nil {
		return "", fault.Wrap(fault.Internal, err, "random digits")
	}
	// 128 bits reduced to 18 digits: the bias is below 2^-68.
	digits := new(big.Int).Mod(new(big.Int).SetBytes(bytes[:]), big.NewInt(1_000_000_000_000_000_000))
	body := fmt.Sprintf("%018d", digits)
	return body + fmt.Sprintf("%02d", 98-remainder(body+"00")), nil
}

// CheckNumber returns a document.invalid error unless number has 20 digits
// and its check digits are right.
func CheckNumber(number string) error {
	if len(number) == NumberDigits {
		digits := true
		for _, c := range number {
			digits = digits && c >= '0' && c <= '9'
		}
		if digits && remainder(number) == 1 {
			return nil
		}
	}
	return fault.New(fault.DocumentInvalid, "a document's number has 20 digits of which the last two check the others")
}

func remainder(digits string) int {
	r := 0
	for _, c := range digits {
		r = (r*10 + int(c-'0')) % 97
	}
	return r
}
