package clamav_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"dalel/internal/clamav"
	"dalel/internal/fault"
)

// startStandIn starts a clamd of the test and returns its address; serve speaks
// the protocol from behind the command on.
func startStandIn(t *testing.T, network string, serve func(conn net.Conn, command string, in *bufio.Reader)) string {
	t.Helper()
	address, scheme := "127.0.0.1:0", "tcp://"
	if network == "unix" {
		address, scheme = filepath.Join(t.TempDir(), "c.sock"), "unix://"
	}
	listener, err := net.Listen(network, address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				in := bufio.NewReader(conn)
				command, err := in.ReadString(0)
				if err == nil {
					serve(conn, strings.TrimSuffix(command, "\x00"), in)
				}
			}()
		}
	}()
	return scheme + listener.Addr().String()
}

// readStream reads chunks up to the empty one.
func readStream(in io.Reader) ([]byte, error) {
	var content []byte
	for {
		var size uint32
		if err := binary.Read(in, binary.BigEndian, &size); err != nil {
			return content, err
		}
		if size == 0 {
			return content, nil
		}
		chunk := make([]byte, size)
		if _, err := io.ReadFull(in, chunk); err != nil {
			return content, err
		}
		content = append(content, chunk...)
	}
}

// answering is a clamd that reads all and gives one answer.
func answering(text string) func(net.Conn, string, *bufio.Reader) {
	return func(conn net.Conn, command string, in *bufio.Reader) {
		if command == "zINSTREAM" {
			if _, err := readStream(in); err != nil {
				return
			}
		}
		_, _ = io.WriteString(conn, text)
	}
}

func scanner(t *testing.T, address string) *clamav.Scanner {
	t.Helper()
	s, err := clamav.New(clamav.Options{Address: address, Timeout: 2 * time.Second, AnswerTimeout: 2 * time.Second})
	require.NoError(t, err)
	return s
}

func requireUnavailable(t *testing.T, err error, words string) {
	t.Helper()
	require.Truef(t, fault.Is(err, fault.ScanUnavailable), "got %v", err)
	require.Contains(t, err.Error(), words)
}

func TestR_D2_everyByteOfAFileIsSentInOrder(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		got := make(chan []byte, 1)
		s := scanner(t, startStandIn(t, network, func(conn net.Conn, command string, in *bufio.Reader) {
			content, err := readStream(in)
			if err != nil || command != "zINSTREAM" {
				return
			}
			got <- content
			_, _ = io.WriteString(conn, "stream: OK\x00")
		}))
		for _, size := range []int{0, 1, 64<<10 - 1, 64 << 10, 64<<10 + 1, 3 << 20} {
			content := bytes.Repeat([]byte("шарт 17 "), size/8+8)[:size]
			finding, err := s.Scan(t.Context(), iotest.HalfReader(bytes.NewReader(content)))
			require.NoError(t, err)
			require.Equal(t, clamav.Finding{}, finding)
			require.True(t, bytes.Equal(content, <-got), "%d bytes over %s", size, network)
		}
	}
}

func TestR_D2_malwareIsNamed(t *testing.T) {
	for answer, want := range map[string]string{
		"stream: Win.Test.EICAR_HDB-1 FOUND\x00":             "Win.Test.EICAR_HDB-1",
		"stream: A\x1b[2J\nB\xff FOUND FOUND\x00":            "A?[2J?B? FOUND",
		"stream: " + strings.Repeat("x", 400) + " FOUND\x00": strings.Repeat("x", 100),
	} {
		finding, err := scanner(t, startStandIn(t, "unix", answering(answer))).Scan(t.Context(), strings.NewReader("x"))
		require.NoError(t, err)
		require.Equal(t, clamav.Finding{Malware: true, Signature: want}, finding)
	}
}

func TestR_D2_whatClamdDidNotScanIsNeitherCleanNorMalware(t *testing.T) {
	for answer, words := range map[string]string{
		"INSTREAM size limit exceeded. ERROR\x00":                  "StreamMaxLength",
		"stream: INSTREAM size limit exceeded. ERROR\x00":          "StreamMaxLength",
		"stream: Heuristics.Limits.Exceeded.MaxFileSize FOUND\x00": "MaxFileSize",
		"stream: Can't allocate memory ERROR\x00":                  "could not scan",
		"stream: OK":                           "no whole answer",
		"":                                     "no whole answer",
		"stream: O\x00":                        "no sense",
		"OK\x00":                               "no sense",
		"stream: OK\n\x00":                     "no sense",
		"stream: ok\x00":                       "no sense",
		"stream:  FOUND\x00":                   "no sense",
		"stream: FOUND\x00":                    "no sense",
		"Eicar FOUND\x00":                      "no sense",
		"UNKNOWN COMMAND\x00":                  "no sense",
		"HTTP/1.1 400 Bad Request\r\n\r\n\x00": "no sense",
		"\x00":                                 "no sense",
		"stream: " + strings.Repeat("x", 1<<20) + " FOUND\x00":               "no whole answer",
		"stream: OK" + strings.Repeat(" ", 5000) + "\x00stream: A FOUND\x00": "no whole answer",
	} {
		finding, err := scanner(t, startStandIn(t, "tcp", answering(answer))).Scan(t.Context(), strings.NewReader("x"))
		requireUnavailable(t, err, words)
		require.Equal(t, clamav.Finding{}, finding)
	}
}

func TestR_D2_aLimitReachedOnTheWayIsSaid(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		s := scanner(t, startStandIn(t, network, func(conn net.Conn, _ string, in *bufio.Reader) {
			_, _ = io.CopyN(io.Discard, in, 200<<10)
			_, _ = io.WriteString(conn, "INSTREAM size limit exceeded. ERROR\x00")
		}))
		_, err := s.Scan(t.Context(), io.LimitReader(endless{}, 64<<20))
		requireUnavailable(t, err, "StreamMaxLength")
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestR_D2_aFileLargerThanClamdScansIsNotCalledClean(t *testing.T) {
	s, err := clamav.New(clamav.Options{Address: startStandIn(t, "unix", answering("stream: OK\x00")), MaxBytes: 100_000})
	require.NoError(t, err)
	_, err = s.Scan(t.Context(), io.LimitReader(endless{}, 100_000))
	require.NoError(t, err)
	_, err = s.Scan(t.Context(), io.LimitReader(endless{}, 100_001))
	requireUnavailable(t, err, "larger than")
}

func TestR_D2_aVerdictBeforeTheFileIsNone(t *testing.T) {
	for _, answer := range []string{"stream: OK\x00", "stream: A FOUND\x00"} {
		s := scanner(t, startStandIn(t, "tcp", func(conn net.Conn, _ string, in *bufio.Reader) {
			_, _ = io.WriteString(conn, answer)
			_, _ = readStream(in)
		}))
		_, err := s.Scan(t.Context(), io.LimitReader(slow{}, 1<<20))
		requireUnavailable(t, err, "before the file was sent")
	}
}

// slow gives 64 KiB and then rests.
type slow struct{}

func (slow) Read(p []byte) (int, error) {
	time.Sleep(20 * time.Millisecond)
	return len(p), nil
}

func TestR_D2_aClamdThatIsAwaySlowOrCutOff(t *testing.T) {
	s := scanner(t, "unix://"+filepath.Join(t.TempDir(), "nobody.sock"))
	_, err := s.Scan(t.Context(), strings.NewReader("x"))
	requireUnavailable(t, err, "cannot be reached")
	requireUnavailable(t, s.Ping(t.Context()), "cannot be reached")
	_, err = s.Version(t.Context())
	requireUnavailable(t, err, "cannot be reached")
	var zero clamav.Scanner
	requireUnavailable(t, zero.Ping(t.Context()), "cannot be reached")

	quick := func(address string) *clamav.Scanner {
		s, err := clamav.New(clamav.Options{Address: address, Timeout: 50 * time.Millisecond, AnswerTimeout: 50 * time.Millisecond})
		require.NoError(t, err)
		return s
	}
	done := make(chan struct{})
	defer close(done)
	silent := quick(startStandIn(t, "tcp", func(_ net.Conn, _ string, in *bufio.Reader) {
		_, _ = readStream(in)
		<-done
	}))
	_, err = silent.Scan(t.Context(), strings.NewReader("x"))
	requireUnavailable(t, err, "no whole answer")
	requireUnavailable(t, silent.Ping(t.Context()), "no whole answer")

	stuck := quick(startStandIn(t, "unix", func(net.Conn, string, *bufio.Reader) { <-done }))
	_, err = stuck.Scan(t.Context(), io.LimitReader(endless{}, 64<<20))
	requireUnavailable(t, err, "stopped taking the file")

	gone := quick(startStandIn(t, "tcp", func(_ net.Conn, _ string, in *bufio.Reader) { _, _ = io.CopyN(io.Discard, in, 100<<10) }))
	_, err = gone.Scan(t.Context(), io.LimitReader(endless{}, 64<<20))
	requireUnavailable(t, err, "")
}

func TestR_D2_theCallersEndAndTheFilesFailureAreTheirOwn(t *testing.T) {
	done := make(chan struct{})
	defer close(done)
	ctx, cancel := context.WithCancel(t.Context())
	s := scanner(t, startStandIn(t, "unix", func(_ net.Conn, _ string, in *bufio.Reader) {
		_, _ = readStream(in)
		cancel()
		<-done
	}))
	_, err := s.Scan(ctx, strings.NewReader("x"))
	require.ErrorIs(t, err, context.Canceled)
	_, err = s.Scan(ctx, strings.NewReader("x"))
	require.ErrorIs(t, err, context.Canceled, "ended before it began")

	// A file cut off on its way must not be scanned as if it were whole.
	whole := make(chan bool, 1)
	s = scanner(t, startStandIn(t, "unix", func(_ net.Conn, _ string, in *bufio.Reader) {
		_, err := readStream(in)
		whole <- err == nil
	}))
	for _, cause := range []error{errors.New("the line went dead"), io.ErrUnexpectedEOF} {
		_, err = s.Scan(t.Context(), io.MultiReader(strings.NewReader("half a file"), iotest.ErrReader(cause)))
		require.ErrorIs(t, err, cause)
		require.Equal(t, fault.Internal, fault.CodeOf(err))
		require.False(t, <-whole, "clamd was told that the file is whole")
	}
}

func TestPingAndVersion(t *testing.T) {
	s := scanner(t, startStandIn(t, "tcp", func(conn net.Conn, command string, _ *bufio.Reader) {
		_, _ = io.WriteString(conn, map[string]string{"zPING": "PONG\x00", "zVERSION": "ClamAV 1.4.3/27500/Mon\x07\x00"}[command])
	}))
	require.NoError(t, s.Ping(t.Context()))
	version, err := s.Version(t.Context())
	require.NoError(t, err)
	require.Equal(t, "ClamAV 1.4.3/27500/Mon?", version)
	s = scanner(t, startStandIn(t, "tcp", answering("pong\x00")))
	requireUnavailable(t, s.Ping(t.Context()), "no sense")
	_, err = s.Version(t.Context())
	requireUnavailable(t, err, "no sense")
}

func TestNew_refusesAddressesThatCannotBeRight(t *testing.T) {
	for _, ok := range []string{"tcp://127.0.0.1:3310", "tcp://clamd:3310", "tcp://[::1]:3310", "unix:///run/clamav/clamd.ctl"} {
		_, err := clamav.New(clamav.Options{Address: ok})
		require.NoError(t, err, ok)
	}
	for _, bad := range []string{"", "127.0.0.1:3310", "tcp://host", "tcp://:3310", "tcp://a:1/x", "tcp://u:p@a:1", "unix://run/clamd", "unix:///", "http://a:1", "tcp://a:1?x=1", "\x00"} {
		_, err := clamav.New(clamav.Options{Address: bad})
		require.Error(t, err, bad)
	}
	_, err := clamav.New(clamav.Options{Address: "tcp://a:1", Timeout: -1})
	require.Error(t, err)
}

func FuzzAnswer(f *testing.F) {
	for _, answer := range []string{"stream: OK\x00", "stream: A FOUND\x00", "INSTREAM size limit exceeded. ERROR\x00", "stream: OK", ""} {
		f.Add(answer)
	}
	f.Fuzz(func(t *testing.T, answer string) {
		finding, err := scanner(t, startStandIn(t, "unix", answering(answer))).Scan(t.Context(), strings.NewReader("x"))
		text, _, _ := strings.Cut(answer, "\x00")
		switch {
		case err != nil:
			require.True(t, fault.Is(err, fault.ScanUnavailable), "got %v", err)
			require.Equal(t, clamav.Finding{}, finding)
		case finding.Malware:
			require.True(t, strings.HasSuffix(text, " FOUND"))
			require.LessOrEqual(t, len(finding.Signature), 100)
			require.NotContains(t, finding.Signature, "\n")
		default:
			require.Equal(t, "stream: OK", text)
		}
	})
}
