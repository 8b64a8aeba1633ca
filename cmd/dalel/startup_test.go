package main

import (
	"context"
	"crypto/x509"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"dalel/domain/signature"

	"github.com/stretchr/testify/require"
)

// shown starts a node by its command and returns what it says before it is
// stopped.
func shown(t *testing.T, args ...string) string {
	ctx, cancel := context.WithCancel(t.Context())
	var stdout, stderr transcript
	done := make(chan int)
	go func() {
		done <- run(ctx, append([]string{"serve", "--listen", "127.0.0.1:0"}, args...), &stdout, &stderr)
	}()
	require.Eventually(t, func() bool { return strings.Contains(stdout.String(), "dalel serves ") }, time.Minute, 20*time.Millisecond, stderr.String())
	cancel()
	require.Zero(t, <-done, stderr.String())
	return stdout.String()
}

func TestANodeSaysAtItsStartWhatIsNotSetUpAndWhatFollows(t *testing.T) {
	dir := played(t)
	said := shown(t, "--dir", dir)
	t.Log("\n" + said)
	lines := strings.Split(strings.TrimRight(said, "\n"), "\n")
	require.Regexp(t, `^dalel serves .+ on http://127\.0\.0\.1:\d+$`, lines[0])
	require.Less(t, len(lines), 40, "one screen")
	for _, row := range []string{
		`  OCSP and CRL +not fetched: every national signature that does not bring its own answers will be "cannot tell"`,
		`  +> "authorities": \{"fetch": true\} in ledger\.json`,
		`  time stamps +none: `, `  witnesses +none: `, `  malware scanner +none: `, `  HTTPS +plain HTTP: `,
		`  public address +missing: paper copies carry no link`, `  backup +none was made`, `  metrics +not served`,
	} {
		require.Regexp(t, regexp.MustCompile(`(?m)^`+row), said)
	}
	require.NotContains(t, said, "trusted CAs", "the story's CA is trusted")
	columns := map[int]bool{}
	for _, line := range lines[4:] {
		require.LessOrEqual(t, utf8.RuneCountInString(line), 120)
		// Either the name of what is missing, or room for it, stands before.
		at := regexp.MustCompile(`^(  \S.*?\S)  +\S|^ +>`).FindStringSubmatchIndex(line)
		require.NotNil(t, at, line)
		columns[at[1]] = true
	}
	require.Len(t, columns, 1, "what follows is aligned")

	status, _, stderr := dalel(t, "backup", "--dir", dir, "--out", t.TempDir()+"/ledger", "--keys-out", t.TempDir()+"/keys")
	require.Zero(t, status, stderr)
	require.NotContains(t, shown(t, "--dir", dir, "--behind-proxy", "--metrics", "127.0.0.1:0"), "backup")
}

func TestWhatIsSetUpIsNotNamedAndAnOldBackupIs(t *testing.T) {
	now := time.Now()
	n := &node{
		dir: t.TempDir(), policy: &signature.Policy{Roots: []*x509.Certificate{{}}},
		stamping: authoritySettings{Fetch: true, TimeStamps: []timeStampSettings{{}}},
		settings: settings{Public: "https://dalel.example.kz", Scanner: "tcp://127.0.0.1:3310", Log: logSettings{Witnesses: []witnessSettings{{}}}},
		watching: monitorOptions{token: "a token"},
	}
	writeBackupMark(n.dir, backupMark{When: now, Whole: true}, t.Output())
	require.Empty(t, n.lacks(true, now))
	require.Equal(t, "dalel serves a ledger\n", screen("dalel serves a ledger", nil))
	late := n.lacks(true, now.Add(8*24*time.Hour))
	require.Len(t, late, 1)
	require.Contains(t, late[0].follows, "the last one from this folder is of "+now.UTC().Format(time.DateOnly))
	writeBackupMark(n.dir, backupMark{When: now}, t.Output())
	require.Contains(t, n.lacks(true, now)[0].follows, "lacks something")
	n.policy.Roots = nil
	require.Equal(t, "trusted CAs", n.lacks(true, now)[0].what)
}
