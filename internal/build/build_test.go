package build

import (
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestABuildSaysItsCommitItsTimeAndWhetherItWasChanged(t *testing.T) {
	stamped := &debug.BuildInfo{GoVersion: "go1.26", Settings: []debug.BuildSetting{
		{Key: "vcs", Value: "git"}, {Key: "vcs.revision", Value: "abc"}, {Key: "vcs.time", Value: "2026-12-01T00:00:00Z"}, {Key: "vcs.modified", Value: "false"},
	}}
	info := from("1.2.3", stamped)
	require.Equal(t, Info{Version: "1.2.3", Commit: "abc", Time: "2026-12-01T00:00:00Z", Go: "go1.26"}, info)
	require.Equal(t, "1.2.3, commit abc of 2026-12-01T00:00:00Z, go1.26", info.String())
	stamped.Settings[3].Value = "true"
	require.Contains(t, from("1.2.3", stamped).String(), "with changes")
	bare := from("1.2.3", &debug.BuildInfo{GoVersion: "go1.26"})
	require.Equal(t, "1.2.3, built without its repository, go1.26", bare.String())
	require.Equal(t, runtime.Version(), Read("1").Go)
}
