package main

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dalel/internal/fault"
)

// standInDaemon answers INSTREAM as clamd does: it finds "malware" by name.
func standInDaemon(t *testing.T) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			var content bytes.Buffer
			_, err = io.CopyN(io.Discard, conn, int64(len("zINSTREAM\x00")))
			for size := uint32(1); err == nil && size > 0; {
				if err = binary.Read(conn, binary.BigEndian, &size); err == nil {
					_, err = io.CopyN(&content, conn, int64(size))
				}
			}
			answer := "stream: OK\x00"
			if strings.Contains(content.String(), "malware") {
				answer = "stream: Test.Signature FOUND\x00"
			}
			_, _ = io.WriteString(conn, answer)
			conn.Close()
		}
	}()
	return "tcp://" + listener.Addr().String()
}

func TestR_D2_TheScannerOfTheSettingsIsAskedAndItsSilenceIsNoClearance(t *testing.T) {
	address := standInDaemon(t)
	s, err := openScanner(address)
	require.NoError(t, err)
	require.NoError(t, s.Scan(t.Context(), strings.NewReader("a letter")))
	err = s.Scan(t.Context(), strings.NewReader("some malware"))
	require.Equal(t, fault.FileMalware, fault.CodeOf(err))
	require.Contains(t, err.Error(), "Test.Signature")

	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, nobody.Close())
	s, err = openScanner("tcp://" + nobody.Addr().String())
	require.NoError(t, err)
	require.Equal(t, fault.ScanUnavailable, fault.CodeOf(s.Scan(t.Context(), strings.NewReader("a letter"))))
	_, err = openScanner("smtp://somewhere")
	require.Error(t, err)
}
