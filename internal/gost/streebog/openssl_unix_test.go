//go:build unix

package streebog_test

import (
	"bytes"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"dalel/internal/gost/streebog"

	"github.com/stretchr/testify/require"
)

// BenchmarkBesideOpenssl lets both sides hash the same 32 MB, turn by turn, and
// prints how many times faster this one is. Both are measured in processor
// time, so that what else the machine does matters little; what an openssl
// process costs with nothing to hash is taken off.
func BenchmarkBesideOpenssl(b *testing.B) {
	needEngine(b)
	data := make([]byte, 32<<20)
	openssl := func(input []byte) time.Duration {
		command := exec.Command("openssl", "dgst", "-engine", "gost", "-md_gost12_512")
		command.Stdin = bytes.NewReader(input)
		require.NoError(b, command.Run())
		return command.ProcessState.UserTime()
	}
	var ours, theirs time.Duration
	for b.Loop() {
		start := processorTime(b)
		streebog.Sum512(data)
		ours += processorTime(b) - start
		theirs += openssl(data) - openssl(nil)
	}
	b.ReportMetric(0, "ns/op")
	megabytes := float64(len(data)) / 1e6 * float64(b.N)
	b.ReportMetric(megabytes/ours.Seconds(), "MB/cpu-s-here")
	b.ReportMetric(megabytes/theirs.Seconds(), "MB/cpu-s-openssl")
	b.ReportMetric(theirs.Seconds()/ours.Seconds(), "times-openssl")
}

func processorTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano())
}
