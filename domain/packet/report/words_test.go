package report

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// families are the words looked up by a code, and not named in full in the
// source; a test walks the codes themselves.
func families() []string {
	return []string{
		"event.", "reason.", "fault.", "kind.", "headline.", "channel.", "limit.", "state.", "role.", "method.", "verdict.", "participant-kind.",
		"identifier.", "basis.", "force.", "source.", "crl.", "ruling.", "signer-role.", "caution.", "retention.record.", "who.", "evidence.", "journal.",
	}
}

func TestNoMessageOfAReportStandsInTheCatalogueInVain(t *testing.T) {
	all, err := catalogue()
	require.NoError(t, err)
	var source strings.Builder
	for _, pattern := range []string{"*.go", "../*.go"} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			text, err := os.ReadFile(name)
			require.NoError(t, err)
			source.Write(text)
		}
	}
	named := map[string]bool{}
	for _, found := range regexp.MustCompile(`"([a-z]+(?:[.-][a-z]+)*)"`).FindAllStringSubmatch(source.String(), -1) {
		named[found[1]] = true
	}
	var idle []string
next:
	for key := range all[0].texts {
		for _, family := range families() {
			if strings.HasPrefix(key, family) {
				continue next
			}
		}
		if !named[key] && !named[strings.TrimPrefix(key, "fact.")] {
			idle = append(idle, key)
		}
	}
	require.Empty(t, idle, "messages that no report has")
}
