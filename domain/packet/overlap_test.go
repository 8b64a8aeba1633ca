package packet_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"sync/atomic"
	"testing"

	"dalel/domain/packet"

	"github.com/stretchr/testify/require"
)

// counting counts what is read of it.
type counting struct {
	io.ReaderAt
	read atomic.Int64
}

func (c *counting) ReadAt(p []byte, at int64) (int, error) {
	n, err := c.ReaderAt.ReadAt(p, at)
	c.read.Add(int64(n))
	return n, err
}

// lyingOver is an archive of n entries, each of which has all further ones and
// the padding inside: a few bytes more for each that looks like all of it.
func lyingOver(n, padding int) []byte {
	le := binary.LittleEndian
	name := func(i int) string { return fmt.Sprintf("document/%06d", i) }
	const header = 30 + 15
	total := n*header + padding
	var out, directory []byte
	for i := range n {
		size := uint32(total - (i+1)*header)
		out = le.AppendUint32(out, 0x04034b50)
		out = append(out, 20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0x58, 0, 0, 0, 0)
		out = le.AppendUint32(le.AppendUint32(out, size), size)
		out = append(le.AppendUint16(le.AppendUint16(out, 15), 0), name(i)...)
		directory = le.AppendUint32(directory, 0x02014b50)
		directory = append(directory, 20, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0x58, 0, 0, 0, 0)
		directory = le.AppendUint32(le.AppendUint32(directory, size), size)
		directory = append(le.AppendUint16(directory, 15), make([]byte, 12)...)
		directory = append(le.AppendUint32(directory, uint32(i*header)), name(i)...)
	}
	out = append(out, make([]byte, padding)...)
	at := len(out)
	out = append(out, directory...)
	out = append(le.AppendUint32(out, 0x06054b50), 0, 0, 0, 0)
	out = le.AppendUint16(le.AppendUint16(out, uint16(n)), uint16(n))
	out = le.AppendUint32(le.AppendUint32(out, uint32(len(directory))), uint32(at))
	return append(out, 0, 0)
}

func TestR_M3_EntriesThatLieOverEachOtherAreReadOnceAtMost(t *testing.T) {
	bomb := lyingOver(2000, 1<<20)
	counted := &counting{ReaderAt: bytes.NewReader(bomb)}
	report, err := packet.Verify(t.Context(), counted, int64(len(bomb)), packet.Options{})
	require.NoError(t, err)
	require.Equal(t, packet.Bad, report.Status)
	claim, _ := report.Claim(packet.ClaimArchive)
	require.Equal(t, packet.No, claim.Holds)
	require.Less(t, counted.read.Load(), int64(4*len(bomb)), "2 GB if each were read")
}
