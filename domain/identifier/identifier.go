// Package identifier checks the numbers by which participants are known
// (R-A1): the IIN of a person, the BIN of an entity, and the internal number
// of a non-resident who has neither.
//
// # What is certain about an IIN or BIN
//
// A number is refused only for what is certainly wrong, since a wrong refusal
// shuts a real person out, while a wrong number that gets through still meets
// the operator's check before activation (R-A3).
//
// Certain: twelve digits, the last a check digit computed from the eleven
// before it (Rules for forming the identification number, Government decree
// 406 of 22 May 2007). A number whose check digit does not follow is given
// out anew by the state (Law 223-III of 12 January 2007, article 9).
//
// Certain of a BIN: digits 3 and 4 are the month of registration, and digit 5
// is the type: 4 resident entity, 5 non-resident entity, 6 joint
// entrepreneurship. The sixth (0 head office, 1 branch, 2 representation, 3
// farm) is left unchecked: sources differ on whether the list is closed.
//
// Not certain, and so not checked: that an IIN starts with the date of birth
// and carries century and sex in digit 7. It did by the first rules; decree
// 853 of 26 August 2013 took the tie to personal data out of them, and the
// Ministry of Justice says that an IIN which differs from the date of birth
// is no mistake.
//
// # What the check digit is worth
//
// The weight of digit 11 is 11, which is 0 modulo 11: in about ten numbers of
// eleven, a slip in digit 11 goes unseen. The tests measure this. The check
// digit finds typing errors; it proves nothing about a person.
//
// These numbers are personal data: no error repeats one.
package identifier

import (
	"io"
	"strings"
	"unicode"

	"dalel/internal/fault"
)

// Length is how many characters every identifier has.
const Length = 12

// documentDigits is how many digits the number of a document has.
const documentDigits = 20

// Typed returns an identifier, or the 20-digit number of a document, as it is
// stored: people type, copy and print them with spaces and hyphens between
// groups. Text that is no number without these either is returned as it is.
func Typed(text string) string {
	if bare := Bare(text); len(bare) == Length || len(bare) == documentDigits {
		return bare
	}
	return text
}

// Bare returns text without spaces of any width, hyphens, dashes and marks
// that are not seen.
func Bare(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.In(r, unicode.Zs, unicode.Pd, unicode.Cf) || r == '\u2212' {
			return -1
		}
		return r
	}, text)
}

// CheckIIN returns an identifier.invalid error unless text can be an IIN.
func CheckIIN(text string) error { return checkDigits("IIN", text) }

// CheckBIN returns an identifier.invalid error unless text can be a BIN.
func CheckBIN(text string) error {
	if err := checkDigits("BIN", text); err != nil {
		return err
	}
	if month := text[2:4]; month < "01" || month > "12" {
		return fault.New(fault.IdentifierInvalid, "the third and fourth digits of the BIN are no month")
	}
	if text[4] < '4' || text[4] > '6' {
		return fault.New(fault.IdentifierInvalid, "the fifth digit of the BIN is not 4, 5 or 6; is this an IIN?")
	}
	return nil
}

func checkDigits(name, text string) error {
	if len(text) != Length || !digits(text) {
		return fault.New(fault.IdentifierInvalid, "the %s must have exactly 12 digits", name)
	}
	if text == strings.Repeat("0", Length) {
		// It satisfies the check digit and is what forms are filled with.
		return fault.New(fault.IdentifierInvalid, "the %s is all zeros", name)
	}
	check, ok := checkDigit(text[:Length-1])
	if !ok || text[Length-1] != check {
		return fault.New(fault.IdentifierInvalid, "the check digit of the %s is wrong; look for a typing error", name)
	}
	return nil
}

// WithCheckDigit returns the twelve digits that start with the given eleven.
// It gives identifier.invalid for anything but eleven digits, and for the
// few elevens that have no check digit and are never given out.
func WithCheckDigit(eleven string) (string, error) {
	if len(eleven) != Length-1 || !digits(eleven) {
		return "", fault.New(fault.IdentifierInvalid, "a check digit needs exactly 11 digits before it")
	}
	check, ok := checkDigit(eleven)
	if !ok {
		return "", fault.New(fault.IdentifierInvalid, "these 11 digits have no check digit; such a number is never given out")
	}
	return eleven + string(check), nil
}

// checkDigit computes the twelfth digit: the weighted sum modulo 11, with a
// second row of weights where the first gives 10. Where the second gives 10
// too there is none.
func checkDigit(eleven string) (byte, bool) {
	first, second := 0, 0
	for i := range Length - 1 {
		digit := int(eleven[i] - '0')
		first += digit * (i + 1)         // 1 2 3 4 5 6 7 8 9 10 11
		second += digit * ((i+2)%11 + 1) // 3 4 5 6 7 8 9 10 11 1 2
	}
	switch {
	case first%11 < 10:
		return byte('0' + first%11), true
	case second%11 < 10:
		return byte('0' + second%11), true
	}
	return 0, false
}

func digits(text string) bool {
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return false
		}
	}
	return true
}

// alphabet has the 31 characters of internal numbers: digits and capital
// letters without 0, 1, I, L and O. That 31 is a prime makes one check
// character find every wrong character and every exchange of two.
const alphabet = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"

// letters is where the letters of alphabet start.
const letters = 8

// NewInternal makes an internal number for a non-resident (R-A1): a letter,
// ten random characters, a check character; 53 random bits. It starts with a
// letter so that it never passes for an IIN or BIN. Whoever registers it
// claims it, so that a number which comes twice is refused the second time.
// An error comes from random alone.
func NewInternal(random io.Reader) (string, error) {
	// Rejected bytes (9 in 32 for the letter, 1 in 32 after it) are why more
	// are read than used; 64 fall short less than once in 10^18 times.
	bytes := make([]byte, 64)
	if _, err := io.ReadFull(random, bytes); err != nil {
		return "", fault.Wrap(fault.Internal, err, "read random bytes for an internal number")
	}
	number := make([]byte, 0, Length)
	for _, b := range bytes {
		value := int(b & 31)
		if value >= len(alphabet) || len(number) == 0 && value < letters {
			continue // so that every character is equally likely
		}
		if number = append(number, alphabet[value]); len(number) == Length-1 {
			return string(append(number, internalCheck(string(number)))), nil
		}
	}
	return "", fault.New(fault.Internal, "the source of randomness gave too few usable bytes for an internal number")
}

// CheckInternal returns an identifier.invalid error unless text has the form
// of an internal number and its check character.
func CheckInternal(text string) error {
	if len(text) != Length || strings.Trim(text, alphabet) != "" {
		return fault.New(fault.IdentifierInvalid, "the internal number must have exactly 12 characters, digits 2-9 and capital letters without I, L and O")
	}
	if strings.IndexByte(alphabet, text[0]) < letters {
		return fault.New(fault.IdentifierInvalid, "the internal number must start with a letter")
	}
	if text[Length-1] != internalCheck(text[:Length-1]) {
		return fault.New(fault.IdentifierInvalid, "the check character of the internal number is wrong; look for a typing error")
	}
	return nil
}

// internalCheck weighs the characters 2 to 12 modulo 31. The check character
// itself weighs -1, so all twelve weights differ and none is zero.
func internalCheck(eleven string) byte {
	sum := 0
	for i := range Length - 1 {
		sum += (i + 2) * strings.IndexByte(alphabet, eleven[i])
	}
	return alphabet[sum%len(alphabet)]
}
