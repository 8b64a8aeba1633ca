package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"dalel/internal/audit"
	"dalel/internal/cosignature"
)

const auditUsage = `usage: dalel audit --log URL --key VKEY|FILE [--from CHECKPOINT-FILE]… [--state DIR] [--witness VKEY]…
                   [--policy FILE] [--entries] [--every DURATION] [--proxy URL] [--json]

Follows a transparency log that somebody else serves, and trusts them in nothing:
fetches the newest signed checkpoint, verifies it, and computes from the served
tiles whether what was there before is there unchanged.

  --log       the log's address (C2SP tlog-tiles), or a folder with a copy of it
  --key       its public key, or a file with it; may be repeated, for a log that
              has changed its key. With --policy, that file's logs will do
  --from      a checkpoint of this log that you have from anywhere: an earlier
              audit, a proof packet, somebody else's. It must be the beginning, too
  --state     folder in which the last checkpoint is kept for the next time, and
              evidence; without it, evidence goes to ./log-evidence
  --witness   a witness that must have cosigned; may be repeated: all of them
  --policy    which witnesses are enough (C2SP tlog-policy)
  --entries   read all entries, too, and hold their hashes against the tree
  --every     go on and look again each time; ends at the first misbehaviour
  --proxy     an http or https proxy to read the log by; the environment's is not used
  --json      a report as JSON, one line for each look

Exit status: 0 consistent · 1 the log has forked or misbehaved: what, and both
signed checkpoints as files · 2 it cannot be told: not reached, not readable, not
signed by this key, not enough witnesses
`

// runAudit follows a served log.
func runAudit(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("audit", flag.ContinueOnError)
	place := flags.String("log", "", "")
	dir := flags.String("state", "", "")
	policyFile := flags.String("policy", "", "")
	entries := flags.Bool("entries", false, "")
	every := flags.Duration("every", 0, "")
	proxyText := flags.String("proxy", "", "")
	asJSON := flags.Bool("json", false, "")
	var keys, from, witnesses []string
	repeated := func(values *[]string) func(string) error {
		return func(text string) error { *values = append(*values, text); return nil }
	}
	flags.Func("key", "", repeated(&keys))
	flags.Func("from", "", repeated(&from))
	flags.Func("witness", "", repeated(&witnesses))
	flags.Usage = func() { fmt.Fprint(stderr, auditUsage) }
	if !arguments(flags, args, stderr) {
		return exitFailed
	}
	failed := func(err error) int { return fail(stderr, "audit", err) }
	wanted := map[string]string{"log": *place}
	if *policyFile == "" {
		wanted["key"] = strings.Join(keys, "")
	}
	err := need(wanted)
	switch {
	case err != nil:
	case *every != 0 && *every < time.Second:
		err = errors.New("--every is at least 1s")
	case *policyFile != "" && len(witnesses) > 0:
		err = errors.New("--policy and --witness do not go together")
	}
	if err != nil {
		return failed(err)
	}
	options := audit.Options{Entries: *entries, Evidence: "log-evidence"}
	proxy, err := proxyAt(*proxyText)
	if err != nil {
		return failed(err)
	}
	if options.Source, err = audit.SourceOf(*place, proxy); err != nil {
		return failed(err)
	}
	if *policyFile != "" {
		content, err := readBounded(*policyFile, maxPolicyFile)
		if err != nil {
			return failed(err)
		}
		if options.Policy, err = cosignature.ParsePolicy(content); err != nil {
			return failed(fmt.Errorf("%s: %w", *policyFile, err))
		}
		options.Keys = options.Policy.Logs
	} else if options.Policy, err = cosignature.AllOf(witnesses...); err != nil {
		return failed(err)
	}
	if len(keys) > 0 {
		options.Keys = nil
	}
	for _, text := range keys {
		key, err := logVerifier(text)
		if err != nil {
			return failed(err)
		}
		options.Keys = append(options.Keys, key)
	}
	for _, path := range from {
		signed, err := readBounded(path, 100<<10)
		if err != nil {
			return failed(err)
		}
		options.Earlier = append(options.Earlier, signed)
	}
	if *dir != "" {
		state, err := audit.OpenState(*dir)
		if err != nil {
			return failed(err)
		}
		defer state.Close()
		options.State = state
	}
	line := progressLine(stderr)
	options.Progress = func(done, total int64) { line.show("entries", done, total) }
	log, err := audit.New(options)
	if err != nil {
		return failed(err)
	}
	for {
		report := log.Check(ctx)
		line.end()
		if err := printAudit(stdout, report, *asJSON); err != nil {
			return failed(fmt.Errorf("write the report: %w", err))
		}
		status := map[audit.Outcome]int{audit.Consistent: exitGood, audit.Misbehaviour: exitBad}
		answer, known := status[report.Outcome]
		if !known {
			answer = exitFailed
		}
		if *every == 0 || report.Outcome == audit.Misbehaviour {
			return answer
		}
		select {
		case <-ctx.Done():
			return answer
		case <-time.After(*every):
		}
	}
}

// logVerifier is a public key as it stands, or the one in a file.
func logVerifier(text string) (note.Verifier, error) {
	key, err := cosignature.ParseLogKey(text)
	if err == nil {
		return key, nil
	}
	content, readErr := readBounded(text, 4<<10)
	if readErr != nil {
		if strings.Count(text, "+") >= 2 { // it was meant as a key
			return nil, err
		}
		return nil, fmt.Errorf("--key is neither a public key nor a file with one: %w", readErr)
	}
	if key, err = cosignature.ParseLogKey(strings.TrimSpace(string(content))); err != nil {
		return nil, fmt.Errorf("%s: %w", text, err)
	}
	return key, nil
}

func printAudit(w io.Writer, r audit.Report, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(r)
	}
	var b strings.Builder
	marks := map[audit.Outcome]string{audit.Consistent: "[ ok ]", audit.Misbehaviour: "[BAD ]", audit.CannotTell: "[ ?? ]"}
	fmt.Fprintf(&b, "%s %s  %s: %s\n", marks[r.Outcome], r.CheckedAt.Format(time.RFC3339), r.Code, printable(r.Detail))
	if r.Origin != "" {
		fmt.Fprintf(&b, "       log %s, %d entries, root %s\n", printable(r.Origin), r.Size, r.Root)
	}
	for _, w := range r.Witnesses {
		switch {
		case !w.At.IsZero():
			fmt.Fprintf(&b, "       cosigned by %s at %s\n", printable(w.Name), w.At.Format(time.RFC3339))
		case w.Wrong:
			fmt.Fprintf(&b, "       the cosignature that claims to be by %s is not\n", printable(w.Name))
		default:
			fmt.Fprintf(&b, "       not cosigned by %s\n", printable(w.Name))
		}
	}
	if r.Entries > 0 {
		fmt.Fprintf(&b, "       %d entries have the hashes that are in the tree\n", r.Entries)
	}
	if r.Evidence != "" {
		fmt.Fprintf(&b, "       evidence: %s\n", r.Evidence)
	} else if r.EvidenceKept > 0 {
		fmt.Fprintf(&b, "       evidence of earlier misbehaviour is kept: %d\n", r.EvidenceKept)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
