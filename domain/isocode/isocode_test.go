package isocode_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/currency"
	"golang.org/x/text/language"

	"dalel/domain/isocode"
)

func TestR_D1_CurrenciesAreThoseOfISO4217(t *testing.T) {
	for _, code := range []string{"KZT", "RUB", "USD", "EUR", "CNY", "UZS", "KGS", "BYN", "XAU", "VES", "SLE", "XCG", "ZWG"} {
		require.True(t, isocode.Currency(code), code)
	}
	for _, code := range []string{"BGN", "HRK", "DEM", "SUR", "BYR"} {
		require.True(t, isocode.Currency(code), "%s, of an older document", code)
	}
	for _, code := range []string{"", "ZZZ", "QQQ", "XXX", "XTS", "BTC", "CNH", "kzt", "KZ", "KZT ", "TEN"} {
		require.False(t, isocode.Currency(code), "%q", code)
	}
}

func TestR_A1_CountriesAreThoseOfISO3166(t *testing.T) {
	for _, code := range []string{"KZ", "DE", "RU", "CN", "UZ", "SS", "CW", "TR"} {
		require.True(t, isocode.Country(code), code)
	}
	for _, code := range []string{"", "ZZ", "SU", "YU", "UK", "EU", "XK", "EZ", "AN", "kz", "KAZ", "DD", "QQ"} {
		require.False(t, isocode.Country(code), "%q", code)
	}
}

// The lists were written down once; another library's must agree with what it
// knows of them.
func TestTheListsHaveNoSlipsOfThePen(t *testing.T) {
	countries, currencies := 0, 0
	for a := 'A'; a <= 'Z'; a++ {
		for b := 'A'; b <= 'Z'; b++ {
			two := string([]rune{a, b})
			if isocode.Country(two) {
				countries++
				region, err := language.ParseRegion(two)
				require.NoError(t, err, two)
				require.True(t, region.IsCountry() && region.String() == two, two)
			}
			for c := 'A'; c <= 'Z'; c++ {
				if isocode.Currency(two + string(c)) {
					currencies++
				}
			}
		}
	}
	require.Equal(t, 249, countries)
	require.Equal(t, 305, currencies)
	current := currency.Query()
	for current.Next() {
		require.True(t, isocode.Currency(current.Unit().String()), current.Unit().String())
	}
}
