package canonical_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"dalel/internal/canonical"
)

// The sample of RFC 8785, section 3.2.2 and 3.2.3.
func TestTheRFCsOwnSampleComesOutAsTheRFCSays(t *testing.T) {
	got, err := canonical.Transform([]byte(`{
		"numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
		"string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
		"literals": [null, true, false]
	}`))
	require.NoError(t, err)
	require.Equal(t, `{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}`, string(got))
}

func TestMembersAreSortedByUTF16(t *testing.T) {
	got, err := canonical.Marshal(map[string]int{"€": 1, "\r": 2, "1": 3, "😀": 4, "ö": 5, "\ufb33": 6})
	require.NoError(t, err)
	require.Equal(t, "{\"\\r\":2,\"1\":3,\"ö\":5,\"€\":1,\"😀\":4,\"\ufb33\":6}", string(got))
}

func TestWhatIsNotOneValueIsRefused(t *testing.T) {
	for _, wrong := range []string{``, `{`, `{} {}`, `{"a":1,"a":2}`, "\"\xff\"", `{"a":NaN}`} {
		_, err := canonical.Transform([]byte(wrong))
		require.Error(t, err, wrong)
	}
}

func TestCheckTakesTheCanonicalFormAndNoOther(t *testing.T) {
	require.NoError(t, canonical.Check([]byte(`{"a":1,"b":"<>&"}`)))
	for _, wrong := range []string{`{"b":1,"a":2}`, `{"a": 1}`, `{"a":1.0}`, `{"a":"\u003c"}`, `{"a":1}` + "\n"} {
		require.Error(t, canonical.Check([]byte(wrong)), wrong)
	}
}

func TestTheCanonicalFormMeansTheSameAndIsItsOwnCanonicalForm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.MapOf(rapid.String(), rapid.OneOf(
			rapid.Custom(func(t *rapid.T) any { return rapid.String().Draw(t, "text") }),
			rapid.Custom(func(t *rapid.T) any { return rapid.Float64Range(-1e300, 1e300).Draw(t, "number") }),
			rapid.Custom(func(t *rapid.T) any { return rapid.Bool().Draw(t, "truth") }),
		)).Draw(t, "value")
		form, err := canonical.Marshal(value)
		require.NoError(t, err)
		require.NoError(t, canonical.Check(form))
		var back map[string]any
		require.NoError(t, json.Unmarshal(form, &back))
		require.Equal(t, len(value), len(back))
		for name, want := range value {
			require.Equal(t, want, back[name])
		}
	})
}
