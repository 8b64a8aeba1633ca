package main

import (
	"archive/zip"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"time"

	"dalel/domain/packet"
	"dalel/domain/renewal"
	"dalel/internal/cosignature"
	"dalel/internal/durable"
	"dalel/internal/translog"
	"dalel/projections/transparency"

	"golang.org/x/mod/sumdb/note"
)

const renewalsUsage = `usage: dalel renewals make --dir DIR {--packet FILE | --checkpoint FILE} --out FILE
       dalel renewals verify [--json] --trust DIR [--at RFC3339] [--aged FILE] {--packet FILE | --checkpoint FILE} RECORD

A packet's time stamp proves something as long as its authority's certificate has
not ended. make takes, from today's ledger, the record of how that stamp was
renewed since then (/api/v1/log/renewals gives the same while it is served); verify
checks the record with your anchors alone, which DIR has as for dalel verify: the
roots of the authorities, also those that have ended meanwhile, and the log's public
key (log.vkey, or in a policy). --aged has
further algorithms that prove nothing any more:
[{"algorithm": "RSA", "below": 4096, "from": "2040-01-01"}].

Exit status of verify: 0 it holds · 1 it does not: which link, and why · 2 it cannot
be read · 3 it cannot be told, for want of an anchor or of evidence
`

// renewals are the commands about the renewal of time stamps.
func renewals(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 {
		switch args[0] {
		case "make":
			return makeRenewals(ctx, args[1:], stdout, stderr)
		case "verify":
			return verifyRenewals(ctx, args[1:], stdout, stderr)
		}
	}
	fmt.Fprint(stderr, renewalsUsage)
	return exitFailed
}

// subjectFlags say which checkpoint is meant.
type subjectFlags struct{ packet, checkpoint string }

func (s *subjectFlags) register(flags *flag.FlagSet) {
	flags.StringVar(&s.packet, "packet", "", "a proof packet `file`, whose checkpoint is meant")
	flags.StringVar(&s.checkpoint, "checkpoint", "", "the `file` of a checkpoint")
}

// read returns the signed checkpoint.
func (s subjectFlags) read() ([]byte, error) {
	switch {
	case (s.packet == "") == (s.checkpoint == ""):
		return nil, errors.New("needed: --packet or --checkpoint")
	case s.packet != "":
		return packetCheckpoint(s.packet)
	}
	return readBounded(s.checkpoint, maxCheckpoint)
}

const maxCheckpoint = 64 << 10

// packetCheckpoint reads the checkpoint in a packet, unverified.
func packetCheckpoint(path string) ([]byte, error) {
	archive, err := zip.OpenReader(path)
	if err != nil {
		return nil, fmt.Errorf("open the packet %s: %w", path, err)
	}
	defer archive.Close() // it was only read
	file, err := archive.Open("log/checkpoint")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the packet %s has no checkpoint of a transparency log", path)
	}
	if err != nil {
		return nil, fmt.Errorf("read the packet %s: %w", path, err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxCheckpoint+1))
	if err == nil && len(text) > maxCheckpoint {
		err = fmt.Errorf("its checkpoint has more than %d bytes", maxCheckpoint)
	}
	if err != nil {
		return nil, fmt.Errorf("read the packet %s: %w", path, err)
	}
	return text, nil
}

// makeRenewals writes the record for an old checkpoint out of today's ledger.
func makeRenewals(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("renewals make", flag.ContinueOnError)
	var at location
	var of subjectFlags
	at.register(flags)
	of.register(flags)
	out := flags.String("out", "", "the `file` to write, which must not be there yet")
	if !arguments(flags, args, stderr) {
		return exitFailed
	}
	failed := func(err error) int { return fail(stderr, "renewals make", err) }
	if err := need(map[string]string{"dir": at.dir, "out": *out}); err != nil {
		return failed(err)
	}
	if err := fresh(*out); err != nil {
		return failed(err)
	}
	signed, err := of.read()
	if err != nil {
		return failed(err)
	}
	n, err := openNode(ctx, at)
	if err != nil {
		return failed(err)
	}
	made, text, err := n.renewalsNow(ctx, signed, slog.New(slog.NewTextHandler(stderr, nil)))
	if err = errors.Join(err, n.Close()); err != nil {
		return failed(err)
	}
	if err := durable.Create(*out, text, 0o644); err != nil {
		return failed(err)
	}
	fmt.Fprintf(stdout, "%s: %d time stamps since the checkpoint of %d events\n", *out, len(made.Links), made.Start.Size)
	return exitGood
}

// renewalsNow makes the record where nobody serves the ledger.
func (n *node) renewalsNow(ctx context.Context, signed []byte, log *slog.Logger) (made *renewal.Record, text []byte, err error) {
	opened, err := n.openLog(ctx, transparency.Options{Logger: log})
	if err != nil {
		return nil, nil, err
	}
	n.log = opened
	defer func() {
		n.log = nil
		err = errors.Join(err, opened.Close())
	}()
	// So that everything that is under a checkpoint is known as such.
	if err := opened.CatchUp(ctx); err != nil {
		return nil, nil, err
	}
	return n.renewals(ctx, signed)
}

// Renewals implements httpapi.Renewals.
func (n *node) Renewals(ctx context.Context, signed []byte) ([]byte, error) {
	_, text, err := n.renewals(ctx, signed)
	return text, err
}

// renewals makes the record from a signed checkpoint of this ledger's log on,
// which is open.
func (n *node) renewals(ctx context.Context, signed []byte) (made *renewal.Record, text []byte, err error) {
	made, err = renewal.Build(ctx, renewal.Source{
		Store: n.store, Codec: n.ledger.Codec(), Log: n.log, Name: n.founded.Log(), Key: n.logKey.verifier, Token: n.ledger.TimeToken, Piece: n.ledger.StampEvidence,
	}, signed, n.log.Aged, time.Now())
	if err != nil {
		return nil, nil, err
	}
	text, err = made.Encode()
	return made, text, err
}

// renewalChecks are what a record is checked with.
type renewalChecks struct {
	trust    packet.Trust
	at, aged string
}

// options are those of a verification, without the log's key.
func (c *renewalChecks) options(checkpoint []byte) (o renewal.Options, err error) {
	o = renewal.Options{Checkpoint: checkpoint, At: time.Now(), Aged: renewal.Published()}
	if c.at != "" {
		if o.At, err = time.Parse(time.RFC3339, c.at); err != nil {
			return o, fmt.Errorf("the moment %q is not written as 2041-06-01T00:00:00Z", c.at)
		}
	}
	if c.aged != "" {
		text, err := readBounded(c.aged, 1<<20)
		if err != nil {
			return o, err
		}
		further, err := renewal.ParseTable(text)
		if err != nil {
			return o, err
		}
		o.Aged = o.Aged.With(further...)
	}
	// A record brings the certificates of its authorities along.
	o.Policy = policyOf(slices.Concat(c.trust.Roots, c.trust.Responders))
	return o, nil
}

// logKeys returns the keys among the anchors, and in their policy, that are of
// the log which a checkpoint claims to be of: those that have signed it, or else
// the first, with which it is found that none has.
func logKeys(trust packet.Trust, checkpoint []byte) ([]note.Verifier, error) {
	origin, _, _ := strings.Cut(string(checkpoint), "\n")
	var keys []note.Verifier
	add := func(key note.Verifier) {
		if key.Name() == origin && !slices.ContainsFunc(keys, func(k note.Verifier) bool { return k.KeyHash() == key.KeyHash() }) {
			keys = append(keys, key)
		}
	}
	for _, known := range trust.Logs {
		key, err := cosignature.ParseLogKey(known.VKey)
		if err != nil {
			return nil, fmt.Errorf("the key of a log among your anchors: %w", err)
		}
		add(key)
	}
	if trust.Policy != nil {
		for _, key := range trust.Policy.Logs {
			add(key)
		}
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("no key among your anchors is of the log %q: put its log.vkey there", printable(origin))
	}
	signed := slices.DeleteFunc(slices.Clone(keys), func(key note.Verifier) bool {
		_, _, err := translog.ParseCheckpoint(checkpoint, origin, key)
		return err != nil
	})
	if len(signed) == 0 {
		return keys[:1], nil
	}
	return signed, nil
}

// verifyRenewals checks a record.
func verifyRenewals(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("renewals verify", flag.ContinueOnError)
	flags.SetOutput(stderr)
	var of subjectFlags
	var by renewalChecks
	of.register(flags)
	folder := flags.String("trust", "", "`folder` of your trust anchors")
	flags.StringVar(&by.at, "at", "", "the moment to judge the last link for, instead of now")
	flags.StringVar(&by.aged, "aged", "", "a `file` of further algorithms that prove nothing any more")
	asJSON := flags.Bool("json", false, "print the report as JSON")
	files, err := parseMixed(flags, args)
	failed := func(err error) int { return fail(stderr, "renewals verify", err) }
	switch {
	case err != nil:
		return exitFailed
	case len(files) != 1 || *folder == "":
		fmt.Fprint(stderr, renewalsUsage)
		return exitFailed
	}
	if by.trust, err = packet.LoadTrust(*folder); err != nil {
		return failed(err)
	}
	signed, err := of.read()
	if err != nil {
		return failed(err)
	}
	report, err := checkRenewals(ctx, files[0], signed, by)
	if err != nil {
		return failed(err)
	}
	if *asJSON {
		encoder := json.NewEncoder(stdout)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(report)
	} else {
		_, err = io.WriteString(stdout, readableRenewals(report))
	}
	if err != nil {
		return failed(fmt.Errorf("write the report: %w", err))
	}
	return statusOfRenewals(report.Status)
}

func checkRenewals(ctx context.Context, path string, signed []byte, by renewalChecks) (renewal.Report, error) {
	text, err := readBounded(path, renewal.MaxRecord)
	if err != nil {
		return renewal.Report{}, err
	}
	options, err := by.options(signed)
	if err != nil {
		return renewal.Report{}, err
	}
	keys, err := logKeys(by.trust, signed)
	if err != nil {
		return renewal.Report{}, err
	}
	var first renewal.Report
	for i, key := range keys {
		options.Log = key
		report, err := renewal.Verify(ctx, text, options)
		if err != nil || report.Status == renewal.Good {
			return report, err
		}
		if i == 0 {
			first = report
		}
	}
	return first, nil
}

func statusOfRenewals(status renewal.Status) int {
	const cannotTell = 3
	switch status {
	case renewal.Good:
		return exitGood
	case renewal.Bad:
		return exitBad
	}
	return cannotTell
}

// readableRenewals is the report for people: a line for each link.
func readableRenewals(r renewal.Report) string {
	var b strings.Builder
	marks := map[renewal.Status]string{renewal.Good: "[ ok ]", renewal.Bad: "[BAD ]", renewal.CannotTell: "[ ?? ]"}
	day := func(at time.Time) string { return at.UTC().Format("2006-01-02 15:04:05 UTC") }
	fmt.Fprintf(&b, "log      %s\nabout    the checkpoint of %d events\nasked    for %s\n\n", printable(r.Origin), r.Size, day(r.At))
	fmt.Fprintf(&b, "%s start     %s\n", marks[r.Start.Status], printable(r.Start.Detail))
	for _, l := range r.Links {
		fmt.Fprintf(&b, "%s stamp %-3d ", marks[l.Status], l.Number)
		if !l.Stamped.IsZero() {
			fmt.Fprintf(&b, "of %s", day(l.Stamped))
		}
		if l.Size > 0 {
			fmt.Fprintf(&b, " on the checkpoint of %d events", l.Size)
		}
		if l.Authority != "" {
			fmt.Fprintf(&b, ", by %s", printable(l.Authority))
		}
		b.WriteByte('\n')
		switch {
		case l.Status != renewal.Good:
			fmt.Fprintf(&b, "                 %s: %s\n", l.Code, printable(l.Detail))
		case l.Number < len(r.Links):
			fmt.Fprintf(&b, "                 was good when the next one was made, %s\n", day(l.Judged))
		default:
			fmt.Fprintf(&b, "                 is good at the moment of the question")
			if !l.KnownUntil.IsZero() {
				fmt.Fprintf(&b, "; its authority was not revoked by %s", day(l.KnownUntil))
			}
			b.WriteByte('\n')
		}
	}
	b.WriteByte('\n')
	switch r.Status {
	case renewal.Good:
		fmt.Fprintf(&b, "It holds: the checkpoint, and all events under it, were there at %s.\n", day(r.Existed))
	case renewal.Bad:
		b.WriteString("It does not hold.\n")
	default:
		b.WriteString("It cannot be told with your anchors and what is in the record.\n")
	}
	return b.String()
}
