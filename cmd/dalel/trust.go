package main

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"dalel/domain/access"
	"dalel/domain/event"
	"dalel/domain/ledger"
	"dalel/domain/signature"
	"dalel/domain/trust"
	"dalel/eventstore"
	"dalel/eventstore/sqlite"
	"dalel/internal/fault"
)

const trustForm = "trust {add FILE… | list [--at RFC3339] [--json] | remove FINGERPRINT} --dir DIR [--store URL] [--blobs PLACE] [--settings DIR] [--keys PLACE] [--master PLACE]"

// trustCommands has the commands that deal with trust anchors.
func trustCommands(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	verb := ""
	if len(args) > 0 {
		verb = args[0]
	}
	switch verb {
	case "add":
		return addTrust(ctx, args[1:], stdout, stderr)
	case "list":
		return listTrust(ctx, args[1:], stdout, stderr)
	case "remove":
		return removeTrust(ctx, args[1:], stdout, stderr)
	}
	fmt.Fprintln(stderr, "usage: dalel "+trustForm)
	return exitFailed
}

// trustArguments parses a command's flags and returns its other arguments; it
// has said why when ok is false.
func trustArguments(flags *flag.FlagSet, at *location, args []string, stderr io.Writer) (others []string, ok bool) {
	flags.SetOutput(stderr)
	at.register(flags)
	others, err := parseMixed(flags, args)
	if err != nil {
		return nil, false
	}
	if err := need(map[string]string{"dir": at.dir}); err != nil {
		fail(stderr, flags.Name(), err)
		return nil, false
	}
	return others, true
}

func trustAct() ledger.Act {
	return ledger.Act{By: event.By{Participant: ledger.Operator}, Role: access.RoleOperator, Device: "dalel trust"}
}

// addTrust has certificates trusted: 0 they are, 1 one of them does not hold,
// and nothing was changed, 2 it could not be done.
//
// What is recorded first is in force last: a command that is cut off leaves a
// record of trust that is not given, which the next start puts right, and
// never trust that is not recorded.
func addTrust(ctx context.Context, args []string, stdout, stderr io.Writer) (status int) {
	flags := flag.NewFlagSet("trust add", flag.ContinueOnError)
	var at location
	files, ok := trustArguments(flags, &at, args, stderr)
	if !ok {
		return exitFailed
	}
	failed := func(err error) int { return fail(stderr, "trust add", err) }
	if len(files) == 0 {
		return failed(errors.New("name the files with the certificates"))
	}
	var certificates []*x509.Certificate
	for _, path := range files {
		found, err := readAnchorFile(path)
		if err != nil {
			return failed(err)
		}
		certificates = append(certificates, found...)
	}
	n, err := openNode(ctx, at)
	if err != nil {
		return failed(err)
	}
	defer func() {
		if err := n.Close(); err != nil {
			status = failed(err)
		}
	}()
	log := slog.New(slog.NewTextHandler(stderr, nil))
	if err := n.recordTrust(ctx, log); err != nil {
		return failed(err)
	}
	for _, certificate := range certificates {
		anchor, ok := trust.Describe(certificate)
		if !ok {
			anchor.Subject = "" // it may be a person's
		}
		printAnchor(stdout, anchor)
	}
	prepared, err := stage(n.trust, certificates)
	if err != nil {
		return failed(fmt.Errorf("write the certificates: %w", err))
	}
	defer prepared.discard()
	changes, err := n.ledger.AddTrust(ctx, trustAct(), ders(certificates))
	if fault.Is(err, fault.TrustRefused) {
		fmt.Fprintf(stderr, "dalel trust add: %v\nnothing was changed\n", err)
		return exitBad
	}
	if err != nil {
		return failed(err)
	}
	if err := prepared.only(changes).publish(); err != nil {
		return failed(fmt.Errorf("put the certificates into %s: %w", n.trust, err))
	}
	if err := n.recordAgain(ctx, log); err != nil {
		return failed(err)
	}
	fmt.Fprintf(stdout, "%d trusted from now on, %d were before; nodes that are running read them when they start again\n",
		len(changes), len(unique(certificates))-len(changes))
	return exitGood
}

// only leaves those that were added: the others lie in the folder already.
func (s staged) only(changes []trust.Change) staged {
	wanted := staged{dir: s.dir, paths: map[string]string{}}
	for from, to := range s.paths {
		if slices.ContainsFunc(changes, func(c trust.Change) bool { return filepath.Base(to) == c.Anchor.Fingerprint+".cer" }) {
			wanted.paths[from] = to
		}
	}
	return wanted
}

func unique(certificates []*x509.Certificate) map[string]bool {
	prints := map[string]bool{}
	for _, certificate := range certificates {
		prints[trust.FingerprintOf(certificate.Raw)] = true
	}
	return prints
}

// recordAgain reads the folder anew, and records what is in it.
func (n *node) recordAgain(ctx context.Context, log *slog.Logger) (err error) {
	if n.anchors, err = readAnchors(n.trust); err != nil {
		return fmt.Errorf("read the trust anchors: %w", err)
	}
	return n.recordTrust(ctx, log)
}

// removeTrust takes trust away: 0 done, 2 it could not be done. The file goes
// first: a command that is cut off leaves less trust than is recorded, and the
// next start says so.
func removeTrust(ctx context.Context, args []string, stdout, stderr io.Writer) (status int) {
	flags := flag.NewFlagSet("trust remove", flag.ContinueOnError)
	var at location
	others, ok := trustArguments(flags, &at, args, stderr)
	if !ok {
		return exitFailed
	}
	failed := func(err error) int { return fail(stderr, "trust remove", err) }
	if len(others) != 1 {
		return failed(errors.New("name one fingerprint, as `dalel trust list` shows it"))
	}
	fingerprint, err := trust.Fingerprint(others[0])
	if err != nil {
		return failed(err)
	}
	n, err := openNode(ctx, at)
	if err != nil {
		return failed(err)
	}
	defer func() {
		if err := n.Close(); err != nil {
			status = failed(err)
		}
	}()
	log := slog.New(slog.NewTextHandler(stderr, nil))
	if err := n.recordTrust(ctx, log); err != nil {
		return failed(err)
	}
	snapshot, err := n.ledger.Trust(ctx)
	if err != nil {
		return failed(err)
	}
	standing, ok := snapshot.State.Anchor(fingerprint)
	if !ok {
		return failed(fault.New(fault.TrustUnknown, "no anchor has the fingerprint %s", fingerprint))
	}
	if err := removeAnchorFiles(n.trust, fingerprint); err != nil {
		return failed(fmt.Errorf("take it out of %s: %w", n.trust, err))
	}
	if _, err := n.ledger.RemoveTrust(ctx, trustAct(), fingerprint); err != nil {
		return failed(err)
	}
	if err := n.recordAgain(ctx, log); err != nil {
		return failed(err)
	}
	printAnchor(stdout, standing.Anchor)
	fmt.Fprintln(stdout, "not trusted from now on; nodes that are running trust it until they start again")
	for _, certificate := range n.anchors {
		if status, _ := policyOf(n.anchors).CheckCertificate(certificate.Raw, certificate.NotBefore); status != signature.Valid {
			fmt.Fprintf(stdout, "leads to no root any more: %s\n", trust.FingerprintOf(certificate.Raw))
		}
	}
	return exitGood
}

// listedAnchor is an anchor as `dalel trust list --json` shows it.
type listedAnchor struct {
	trust.Anchor
	// Authority says which of the national authority's it is, "" for one that
	// is not known here.
	Authority string `json:"authority,omitempty"`
	// Since and How are missing for one that is not recorded.
	Since *time.Time `json:"since,omitempty"`
	How   trust.How  `json:"how,omitempty"`
	// Recorded says that the events have it, InFolder that a node which starts
	// now trusts it. Both are true, or somebody's hand was in the folder since
	// a node started last.
	Recorded bool `json:"recorded"`
	InFolder bool `json:"inFolder"`
}

// listTrust shows the anchors in force, or those of a moment: 0, and 1 where
// the folder has others than were recorded. The ledger may be served meanwhile.
func listTrust(ctx context.Context, args []string, stdout, stderr io.Writer) (status int) {
	flags := flag.NewFlagSet("trust list", flag.ContinueOnError)
	var at location
	asJSON := flags.Bool("json", false, "print one JSON object")
	moment := flags.String("at", "", "the `moment`, RFC 3339, at which the anchors were in force; now if not given")
	others, ok := trustArguments(flags, &at, args, stderr)
	if !ok {
		return exitFailed
	}
	failed := func(err error) int { return fail(stderr, "trust list", err) }
	if len(others) > 0 {
		return failed(fmt.Errorf("unexpected argument %q", others[0]))
	}
	at = at.filled()
	set, err := readSettings(at.settings)
	if err != nil {
		return failed(err)
	}
	if err := storeThere(at); err != nil {
		return failed(err)
	}
	store, err := storeToRead(ctx, at.store)
	if err != nil {
		return failed(fmt.Errorf("open the event store: %w", err))
	}
	defer func() {
		if err := store.Close(); err != nil {
			status = failed(err)
		}
	}()
	if _, err := foundingIn(ctx, store, at.store, set.Ledger); err != nil {
		return failed(err)
	}
	history, err := ledger.ReadTrust(ctx, store)
	if err != nil {
		return failed(err)
	}
	var list []listedAnchor
	if *moment != "" {
		when, err := time.Parse(time.RFC3339, *moment)
		if err != nil {
			return failed(fmt.Errorf("--at %q is not a moment like 2026-05-08T12:00:00Z", *moment))
		}
		list = listed(trust.At(history, when), nil)
		for i := range list {
			list[i].InFolder = true // nobody can tell of then
		}
	} else {
		anchors, err := readAnchors(filepath.Join(at.settings, trustDir))
		if err != nil {
			return failed(fmt.Errorf("read the trust anchors: %w", err))
		}
		var now trust.State
		for _, e := range history {
			now = trust.Evolve(now, e)
		}
		list = listed(now, anchors)
	}
	if *asJSON {
		encoder := json.NewEncoder(stdout)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(map[string]any{"anchors": append([]listedAnchor{}, list...)}); err != nil {
			return failed(err)
		}
	} else {
		printListed(stdout, list)
	}
	if slices.ContainsFunc(list, func(a listedAnchor) bool { return a.Recorded != a.InFolder }) {
		return exitBad
	}
	return exitGood
}

// listed puts together what is recorded and what lies in the folder.
func listed(recorded trust.State, folder []*x509.Certificate) []listedAnchor {
	var list []listedAnchor
	lies := unique(folder)
	for _, standing := range recorded.Anchors {
		since := standing.Since
		list = append(list, listedAnchor{Anchor: standing.Anchor, Since: &since, How: standing.How, Recorded: true, InFolder: lies[standing.Fingerprint]})
	}
	for _, certificate := range folder {
		anchor, _ := trust.Describe(certificate)
		if !slices.ContainsFunc(list, func(a listedAnchor) bool { return a.Fingerprint == anchor.Fingerprint }) {
			list = append(list, listedAnchor{Anchor: anchor, InFolder: true})
		}
	}
	for i := range list {
		if known, ok := trust.Known(list[i].Fingerprint); ok {
			list[i].Authority = fmt.Sprintf("%s, %d", known.Name, known.Year)
		}
	}
	return list
}

// storeToRead opens an event store that another process may have open.
func storeToRead(ctx context.Context, address string) (eventstore.Store, error) {
	if path, ok := sqlitePath(address); ok {
		reader, err := sqlite.OpenReader(ctx, path)
		if err != nil {
			return nil, err
		}
		return reader, nil
	}
	return openStore(ctx, address)
}

// printAnchor shows a certificate as it must be compared.
func printAnchor(w io.Writer, anchor trust.Anchor) {
	kinds := map[trust.Kind]string{
		trust.Root: "root", trust.Issuing: "issuing CA", trust.Responder: "OCSP responder", trust.TimeStamping: "time-stamping authority",
	}
	fmt.Fprintf(w, "%s  %s\n", cmp.Or(kinds[anchor.Kind], "no authority"), printable(anchor.Subject))
	fmt.Fprintf(w, "    key      %s, valid %s to %s\n", printable(anchor.Algorithm), anchor.NotBefore.Format(time.DateOnly), anchor.NotAfter.Format(time.DateOnly))
	fmt.Fprintf(w, "    SHA-256  %s\n", spaced(anchor.Fingerprint))
	if known, ok := trust.Known(anchor.Fingerprint); ok {
		fmt.Fprintf(w, "             known: %s, %d\n", known.Name, known.Year)
	} else {
		fmt.Fprintln(w, "             unknown here: compare the fingerprint with what the authority publishes")
	}
}

// spaced writes a fingerprint as authorities and openssl do.
func spaced(fingerprint string) string {
	var parts []string
	for i := 0; i+2 <= len(fingerprint); i += 2 {
		parts = append(parts, strings.ToUpper(fingerprint[i:i+2]))
	}
	return strings.Join(parts, ":")
}

func printListed(w io.Writer, list []listedAnchor) {
	for _, anchor := range list {
		printAnchor(w, anchor.Anchor)
		switch {
		case anchor.Recorded:
			how := map[trust.How]string{trust.ByCommand: "added by command", trust.AtStart: "found in the folder at a start"}[anchor.How]
			fmt.Fprintf(w, "    since    %s, %s\n", anchor.Since.UTC().Format(time.RFC3339), how)
			if !anchor.InFolder {
				fmt.Fprintln(w, "    GONE FROM THE FOLDER, and not by command: a node that starts trusts it no longer, and records that")
			}
		default:
			fmt.Fprintln(w, "    NOT RECORDED: it was put into the folder by hand; a node that starts trusts it, and records that")
		}
	}
	if len(list) == 0 {
		fmt.Fprintln(w, "no authority is trusted")
	}
}
