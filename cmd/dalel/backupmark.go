package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"time"

	"dalel/eventstore"
	"dalel/internal/durable"
)

// backupMarkFile says, in a node's folder, when a backup was last made from it.
// It is for people and alarms: nothing is decided by it.
const backupMarkFile = "last-backup.json"

// backupMark is what a backup leaves in the folder it was made from.
type backupMark struct {
	When   time.Time       `json:"when"`
	Events int             `json:"events"`
	Root   eventstore.Hash `json:"root"`
	Whole  bool            `json:"whole"`
}

// writeBackupMark leaves a mark. A backup that leaves none is none the worse.
func writeBackupMark(dir string, mark backupMark, stderr io.Writer) {
	text, err := json.MarshalIndent(mark, "", "  ")
	if err == nil {
		err = durable.Replace(filepath.Join(dir, backupMarkFile), append(text, '\n'))
	}
	if err != nil {
		fmt.Fprintf(stderr, "dalel backup: nodes that are served from %s will not know of this backup: %v\n", dir, err)
	}
}

// readBackupMark returns the newest backup's mark; ok is false where there is
// none that can be read.
func readBackupMark(dir string) (mark backupMark, ok bool) {
	text, err := readBounded(filepath.Join(dir, backupMarkFile), 4096)
	if errors.Is(err, fs.ErrNotExist) || err != nil {
		return mark, false
	}
	return mark, json.Unmarshal(text, &mark) == nil && !mark.When.IsZero()
}
