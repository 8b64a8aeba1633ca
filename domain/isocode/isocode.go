// Package isocode knows the codes of currencies and of countries: [Currency]
// and [Country].
//
// The lists are files of this package, as of 2026. The tables of
// golang.org/x/text are no substitute: its currencies end in 2017, and its
// regions have withdrawn and reserved codes (SU, YU, EZ) among the assigned.
package isocode

import (
	_ "embed"
	"strings"
	"sync"
)

//go:embed currencies.txt
var currencies string

//go:embed countries.txt
var countries string

var (
	knownCurrencies = sync.OnceValue(func() map[string]bool { return codes(currencies) })
	knownCountries  = sync.OnceValue(func() map[string]bool { return codes(countries) })
)

// Currency reports whether code is an ISO 4217 code of a currency, in use or
// withdrawn: a document may be older than the day on which it is sent.
func Currency(code string) bool { return knownCurrencies()[code] }

// Country reports whether code is an officially assigned ISO 3166-1 alpha-2
// code.
func Country(code string) bool { return knownCountries()[code] }

// codes reads a list: codes between white space, with comments in lines of
// their own.
func codes(list string) map[string]bool {
	known := map[string]bool{}
	for line := range strings.Lines(list) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		for _, code := range strings.Fields(line) {
			known[code] = true
		}
	}
	return known
}
