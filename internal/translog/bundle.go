package translog

import (
	"encoding/binary"

	"dalel/internal/fault"
)

// MaxLeaf is the largest leaf in bytes: its length is written as a uint16.
const MaxLeaf = 1<<16 - 1

// appendEntry adds a leaf to an entry bundle.
func appendEntry(bundle, leaf []byte) []byte {
	bundle = binary.BigEndian.AppendUint16(bundle, uint16(len(leaf)))
	return append(bundle, leaf...)
}

// ParseBundle returns the first n entries of an entry bundle, or all of them
// if n is negative, as parts of it. A bundle that ends within an entry, has
// fewer than n entries, or more than 256, is log.corrupt.
func ParseBundle(bundle []byte, n int) ([][]byte, error) {
	var entries [][]byte
	if n > 0 {
		entries = make([][]byte, 0, min(n, width))
	}
	for len(bundle) > 0 && len(entries) != n {
		if len(entries) == width {
			return nil, fault.New(fault.LogCorrupt, "the entry bundle has more than %d entries", width)
		}
		if len(bundle) < 2 || len(bundle)-2 < int(binary.BigEndian.Uint16(bundle)) {
			return nil, fault.New(fault.LogCorrupt, "the entry bundle ends within its entry %d", len(entries))
		}
		end := 2 + int(binary.BigEndian.Uint16(bundle))
		entries = append(entries, bundle[2:end:end])
		bundle = bundle[end:]
	}
	if len(entries) < n {
		return nil, fault.New(fault.LogCorrupt, "the entry bundle has %d entries and should have %d", len(entries), n)
	}
	return entries, nil
}

// exactly makes sure that a bundle read under its full or partial name holds
// neither less nor more than it must.
func exactly(bundle []byte, n int) ([][]byte, error) {
	entries, err := ParseBundle(bundle, -1)
	if err == nil && len(entries) != n {
		err = fault.New(fault.LogCorrupt, "the entry bundle has %d entries and should have %d", len(entries), n)
	}
	return entries, err
}
