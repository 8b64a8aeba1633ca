package eventtest

import (
	"testing"

	"github.com/stretchr/testify/require"
)

const page = `// Package x is documented.
//
// # Decisions
//
// What follows from what:
//
//	| old | table |
//	| --- | ----- |
//
// # More
//
// No table here.
package x

//	| another | table |
`

func TestATableIsReplacedBelowItsHeadingAlone(t *testing.T) {
	replaced, found, err := splice(page, "Decisions", "| new |\n| --- |\n| 1   |\n")
	require.NoError(t, err)
	require.Equal(t, "| old | table |\n| --- | ----- |\n", found)
	require.Equal(t, `// Package x is documented.
//
// # Decisions
//
// What follows from what:
//
//	| new |
//	| --- |
//	| 1   |
//
// # More
//
// No table here.
package x

//	| another | table |
`, replaced)
	again, found, err := splice(replaced, "Decisions", found)
	require.NoError(t, err)
	require.Equal(t, "| new |\n| --- |\n| 1   |\n", found)
	require.Equal(t, page, again)
}

func TestAHeadingWithoutATableIsAnError(t *testing.T) {
	_, _, err := splice(page, "More", "")
	require.ErrorContains(t, err, "no table below the heading More")
	_, _, err = splice(page, "Nowhere", "")
	require.ErrorContains(t, err, "no heading Nowhere")
}

func TestATableHasAlignedColumns(t *testing.T) {
	require.Equal(t, "|      | new |\n| ---- | --- |\n| Әрі  | b   |\n| long | c   |\n",
		Table([]string{"", "new"}, [][]string{{"Әрі", "b"}, {"long", "c"}}))
}
