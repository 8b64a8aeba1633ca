package esdbserver

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// entry is one line of the data file: what one write did, whole.
type entry struct {
	Records []*record `json:"records,omitempty"`
	// Removed holds the positions of records that a scavenge took away.
	Removed []uint64 `json:"removed,omitempty"`
	// Redacted is the position of a record that was overwritten.
	Redacted *uint64 `json:"redacted,omitempty"`
	// Rewound is the position from which on the log was cut off.
	Rewound *uint64 `json:"rewound,omitempty"`
}

// journal is the data file: a line of JSON for each write, synced before the
// write is answered. A nil journal keeps nothing.
type journal struct {
	file *os.File
	// failed is the error of a write that may have left half a line: nothing
	// is written after it.
	failed error
}

// openJournal gives what the file holds to apply and leaves it open at its
// end. A last line that was not finished is cut off: its write was never
// answered.
func openJournal(path string, apply func(entry)) (*journal, error) {
	if path == "" {
		return nil, nil
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the data file: %w", err)
	}
	good := int64(0)
	for lines := bufio.NewReader(file); ; {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		var e entry
		if err == nil {
			err = json.Unmarshal(bytes.TrimSpace(line), &e)
		}
		if err != nil {
			_ = file.Close()
			return nil, fmt.Errorf("read the data file after byte %d: %w", good, err)
		}
		apply(e)
		good += int64(len(line))
	}
	if err := file.Truncate(good); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("cut an unfinished line off the data file: %w", err)
	}
	if _, err := file.Seek(good, io.SeekStart); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("go to the end of the data file: %w", err)
	}
	return &journal{file: file}, nil
}

func (j *journal) write(e entry) error {
	if j == nil {
		return nil
	}
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode a write: %w", err)
	}
	if j.failed != nil {
		return j.failed
	}
	if _, err = j.file.Write(append(line, '\n')); err == nil {
		err = j.file.Sync()
	}
	if err != nil {
		j.failed = fmt.Errorf("write to the data file: %w", err)
	}
	return j.failed
}

func (j *journal) close() error {
	if j == nil {
		return nil
	}
	return j.file.Close()
}
