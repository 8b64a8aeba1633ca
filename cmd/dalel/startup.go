package main

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// lack is something that is not set up on a node: what it is, what follows, and
// what to do about it.
type lack struct{ what, follows, remedy string }

// backupDue is after how long a node says at its start that its last backup is
// old.
const backupDue = 7 * 24 * time.Hour

// setting says where in the settings something is set up.
func setting(text string) string { return text + " in " + settingsFile }

// lacks lists what is not set up on a node, in the order of what it costs.
func (n *node) lacks(proxied bool, now time.Time) (all []lack) {
	add := func(missing bool, what, follows, remedy string) {
		if missing {
			all = append(all, lack{what, follows, remedy})
		}
	}
	s := n.settings
	asked := n.stamping
	add(len(n.policy.Roots) == 0, "trusted CAs",
		"none: no certificate is taken and no signature is valid",
		"dalel trust add FILE… --dir DIR, and start again")
	add(!asked.Fetch, "OCSP and CRL",
		`not fetched: every national signature that does not bring its own answers will be "cannot tell"`,
		setting(`"authorities": {"fetch": true}`))
	add(len(asked.TimeStamps) == 0, "time stamps",
		"none: no signature is proven past its certificate's end, and no checkpoint proves its day",
		setting(`"authorities": {"fetch": true, "timeStamps": [{"url": "http://tsp.pki.gov.kz/"}]}`))
	add(len(s.Log.Witnesses) == 0, "witnesses",
		"none: that the history was not rewritten, only who has kept a checkpoint can tell",
		setting(`"log": {"witnesses": [{"url": "https://…", "key": "…"}]}`))
	add(s.Scanner == "", "malware scanner",
		"none: files are taken without being looked through for malware",
		setting(`"scanner": "tcp://127.0.0.1:3310"`))
	add(!proxied, "HTTPS",
		"plain HTTP: tokens and documents can be read on the way, and cookies are not kept to HTTPS",
		"a proxy that terminates TLS, and --behind-proxy")
	add(s.Public == "", "public address",
		"missing: paper copies carry no link to the check page that outsiders could follow",
		setting(`"public": "https://…"`))
	mark, seen := readBackupMark(n.dir)
	add(!seen, "backup",
		"none was made from this folder: what its disk loses is lost",
		"dalel backup --dir DIR --out … --keys-out …, every day")
	add(seen && now.Sub(mark.When) > backupDue, "backup",
		"the last one from this folder is of "+mark.When.UTC().Format(time.DateOnly),
		"dalel backup --dir DIR --out … --keys-out …, every day")
	add(seen && !mark.Whole, "backup",
		"the last one from this folder lacks something that the ledger itself lacks",
		"dalel fsck --dir DIR")
	add(len(n.excess) > 0, "rights on the store",
		"too many: the node's user may "+strings.Join(n.excess, " and ")+", which would hide events",
		"dalel store-acl --store esdb://admin:…@…")
	add(n.watching.listener == nil && n.watching.token == "", "metrics",
		"not served: nobody is told when a disk fills up, the log stops or a time stamp is due",
		"--metrics 127.0.0.1:9464")
	return all
}

// screen writes a node's start as it is shown: where it is served, what is not
// set up, and what follows from that.
func screen(heading string, lacks []lack) string {
	var b strings.Builder
	b.WriteString(heading + "\n")
	if len(lacks) == 0 {
		return b.String()
	}
	width := 0
	for _, l := range lacks {
		width = max(width, utf8.RuneCountInString(l.what))
	}
	b.WriteString("\nNot set up, and what follows:\n\n")
	for _, l := range lacks {
		fmt.Fprintf(&b, "  %-*s  %s\n  %-*s  > %s\n", width, l.what, l.follows, width, "", l.remedy)
	}
	return b.String()
}
