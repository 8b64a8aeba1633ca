package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"dalel/domain/document"
	"dalel/domain/packet"
	"dalel/domain/renewal"
)

// verifyPacket checks a proof packet:
//
//	dalel verify [--json] [--trust DIR [--renewals RECORD]] PACKET
//
// The exit status is the answer: 0 all holds and rests on the anchors in DIR,
// 1 something does not hold, 2 it cannot be read, 3 nothing is wrong and it
// cannot be said that all is right: it rests on anchors that are not in DIR,
// evidence is missing or cannot be used, or a later version's events are in it
// that this one does not understand. Which of these is said. Without --trust nothing rests on anchors, and 3 is the best answer.
// With --renewals the record of how the packet's time stamp was renewed since
// (`dalel renewals make`) must hold too; one that cannot be read is 2, unless the
// packet itself does not hold.
func verifyPacket(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	const consistent = 3
	flags := flag.NewFlagSet("dalel verify", flag.ContinueOnError)
	flags.SetOutput(stderr)
	asJSON := flags.Bool("json", false, "print the report as JSON")
	trustFolder := flags.String("trust", "", "`folder` of your trust anchors: roots of authorities and certificates of operators (PEM or DER), keys of logs and witnesses (*.vkey), and which witnesses you ask for (policy, a tlog-policy)")
	record := flags.String("renewals", "", "the `file` of the record of how its time stamp was renewed since")
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: dalel verify [--json] [--trust DIR [--renewals RECORD]] PACKET")
		flags.PrintDefaults()
	}
	files, err := parseMixed(flags, args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitGood
	case err != nil:
		return exitFailed // flag has said why
	case len(files) != 1:
		flags.Usage()
		return exitFailed
	}
	fail := func(err error) int {
		fmt.Fprintf(stderr, "dalel verify: %v\n", err)
		return exitFailed
	}
	if *record != "" && *trustFolder == "" {
		return fail(errors.New("--renewals goes with --trust: the record rests on your anchors alone"))
	}
	var trust packet.Trust
	if *trustFolder != "" {
		if trust, err = packet.LoadTrust(*trustFolder); err != nil {
			return fail(err)
		}
		if trust.IsZero() {
			fmt.Fprintln(stderr, "dalel verify: there is no certificate in the folder of trust anchors, and no key")
		}
	}
	file, err := os.Open(files[0])
	if err != nil {
		return fail(err)
	}
	defer file.Close() // it was only read
	info, err := file.Stat()
	if err != nil {
		return fail(err)
	}
	if !info.Mode().IsRegular() {
		return fail(fmt.Errorf("%s is not a file", files[0]))
	}
	report, err := packet.Verify(ctx, file, info.Size(), packet.Options{Trust: trust})
	if err != nil {
		return fail(err)
	}
	// That the record cannot be checked takes nothing from what was found of the
	// packet.
	var renewed *renewal.Report
	var unchecked error
	if *record != "" {
		renewed, unchecked = renewedSince(ctx, files[0], *record, trust)
	}
	if *asJSON {
		encoder := json.NewEncoder(stdout)
		encoder.SetIndent("", "  ")
		if *record != "" {
			var why string
			if unchecked != nil {
				why = unchecked.Error()
			}
			err = encoder.Encode(struct {
				Packet   packet.Report   `json:"packet"`
				Renewals *renewal.Report `json:"renewals"`
				// Unchecked is why there is no report on the renewals.
				Unchecked string `json:"renewalsUnchecked,omitempty"`
			}{report, renewed, why})
		} else {
			err = encoder.Encode(report)
		}
	} else {
		_, err = io.WriteString(stdout, readable(report, trust))
		if *record != "" && err == nil {
			since := "The record cannot be checked.\n"
			if renewed != nil {
				since = readableRenewals(*renewed)
			}
			_, err = io.WriteString(stdout, "\nHow its time stamp was renewed since\n\n"+since)
		}
	}
	if err != nil {
		return fail(fmt.Errorf("write the report: %w", err))
	}
	bad := report.Status == packet.Bad || renewed != nil && renewed.Status == renewal.Bad
	if unchecked != nil {
		fmt.Fprintf(stderr, "dalel verify: the record of renewals: %v\n", unchecked)
	}
	switch {
	case bad:
		return exitBad
	case unchecked != nil:
		return exitFailed
	case report.Status == packet.Good && (renewed == nil || renewed.Status == renewal.Good):
		return exitGood
	default:
		return consistent
	}
}

// renewedSince checks the record that goes with a packet.
func renewedSince(ctx context.Context, packetFile, record string, trust packet.Trust) (*renewal.Report, error) {
	signed, err := packetCheckpoint(packetFile)
	if err != nil {
		return nil, err
	}
	report, err := checkRenewals(ctx, record, signed, renewalChecks{trust: trust})
	if err != nil {
		return nil, err
	}
	return &report, nil
}

// readable is the report for people: the outcome, a line for each claim, the
// problems, who signed, and what is not proven.
func readable(report packet.Report, trust packet.Trust) string {
	var b strings.Builder
	b.WriteString(outcome(report, trust) + "\n\n")
	if m := report.Manifest; m.Format != 0 {
		fmt.Fprintf(&b, "%s\nledger   %q\nas of    %s, position %d\n\n",
			about(m.Subject), m.Ledger, m.ExportedAt.UTC().Format("2006-01-02 15:04:05 UTC"), uint64(m.Position))
	}
	for _, l := range report.Manifest.Losses {
		fmt.Fprintf(&b, "LOSS     the operator states that on %s the ledger went on without at least %d of %d events, under the log %s in place of %s: %s\n\n",
			l.At.UTC().Format(time.DateOnly), l.Missing(), l.Known, printable(l.Origin), printable(l.FormerOrigin), printable(l.Ground))
	}
	marks := map[packet.Answer]string{packet.Yes: "[ ok ]", packet.No: "[BAD ]", packet.NotAnchored: "[ ?  ]", packet.CannotTell: "[ ?? ]"}
	hidden := 0
	for _, claim := range report.Claims {
		if strings.Contains(claim.ID, "/") && claim.Holds == packet.Yes && len(report.Manifest.Subject.Documents) > shownDocuments {
			hidden++
			continue
		}
		fmt.Fprintf(&b, "%s %-13s %s\n", marks[claim.Holds], claim.ID, printable(claim.Title))
		if claim.Detail != "" {
			fmt.Fprintf(&b, "                     %s\n", printable(claim.Detail))
		}
	}
	if hidden > 0 {
		fmt.Fprintf(&b, "[ ok ] %d further claims on single documents (--json has them all)\n", hidden)
	}
	if len(report.Problems) > 0 {
		b.WriteString("\nWhat does not hold\n")
	}
	for _, p := range report.Problems {
		where := "the packet as a whole"
		if p.File != "" {
			where = printable(p.File)
		}
		fmt.Fprintf(&b, "  %s (%s): %s\n", where, p.Claim, printable(p.Detail))
	}
	if len(report.Doubts) > 0 {
		b.WriteString("\nWhat cannot be told\n")
	}
	for _, p := range report.Doubts {
		where := "the packet as a whole"
		if p.File != "" {
			where = printable(p.File)
		}
		fmt.Fprintf(&b, "  %s (%s): %s\n", where, p.Claim, printable(p.Detail))
	}
	for _, d := range report.Disputed {
		what := fmt.Sprintf("[DOUBT] signature-%s   In doubt since %s: a compromised key was reported, nothing is decided",
			printable(d.Signature), d.Since.UTC().Format(time.RFC3339))
		if d.Force == document.ForceLost {
			what = fmt.Sprintf("[LOST] signature-%s   It has lost its force on %s, by the %s: %s",
				printable(d.Signature), d.Since.UTC().Format(time.RFC3339), printable(string(d.Source)), printable(d.Ground))
		}
		fmt.Fprintf(&b, "\n%s\n", what)
	}
	b.WriteString(signedBy(report.Signers))
	if len(report.Unproven) > 0 {
		b.WriteString("\nWhat this does not prove\n")
	}
	for _, limit := range report.Unproven {
		fmt.Fprintf(&b, "  %s\n", printable(limit.Detail))
	}
	return b.String()
}

// outcome is what was found, in one sentence.
func outcome(report packet.Report, trust packet.Trust) string {
	switch {
	case report.Status == packet.Good && len(report.Disputed) > 0:
		return fmt.Sprintf("All holds, and rests on your anchors; but %d of the signatures are in doubt or have lost their force, as the events themselves record.", len(report.Disputed))
	case report.Status == packet.Good:
		return "All holds, and rests on your anchors."
	case report.Status == packet.Bad:
		return "The packet does not hold."
	case trust.IsZero():
		return "Consistent in itself, but no anchors of yours were given (--trust DIR): a packet does not vouch for itself."
	}
	return "Nothing is wrong, and it cannot be said that all is right: " + lacking(report.Lacks) + "."
}

// signedBy says who made each signature, as the ledger registered the party and
// as the certificate says itself.
func signedBy(signers []packet.Signer) string {
	var b strings.Builder
	for i, s := range signers {
		if i == 0 {
			b.WriteString("\nWho signed\n")
		}
		party := cmp.Or(s.Party, "a name that is not opened in this packet")
		if s.Identifier != "" {
			party += ", " + s.Identifier
		}
		if s.Person != "" {
			party = s.Person + " for " + party
		}
		fmt.Fprintf(&b, "  signature-%s  %s, on %s\n", printable(s.Signature), printable(party), s.SignedAt.UTC().Format("2006-01-02 15:04:05 UTC"))
		var subject []string
		for _, one := range []struct{ mark, text string }{{"", person(s)}, {"", s.Owner}, {"IIN ", s.IIN}, {"BIN ", s.BIN}, {"role ", s.Role}, {"serial ", s.Serial}, {"issued by ", s.Issuer}} {
			if one.text != "" {
				subject = append(subject, one.mark+one.text)
			}
		}
		fmt.Fprintf(&b, "                by the certificate of %s\n", printable(strings.Join(subject, ", ")))
	}
	return b.String()
}

// person is the name of the person in a certificate of an organisation.
func person(s packet.Signer) string {
	if s.CommonName == s.Owner {
		return ""
	}
	return s.CommonName
}

// lacking says what a packet lacks that nothing contradicts.
func lacking(lacks []packet.Lack) string {
	says := map[packet.Lack]string{
		packet.LackAnchors:  "it rests on anchors that are not among yours",
		packet.LackEvidence: "evidence is missing or cannot be used",
		packet.LackVersion:  "it has what a later version of the ledger wrote, and this verifier does not understand it (ask a newer one)",
	}
	var texts []string
	for _, lack := range lacks {
		texts = append(texts, says[lack])
	}
	return strings.Join(texts, "; ")
}

// shownDocuments is how many documents a packet may have for every claim on
// each to be printed.
const shownDocuments = 3

// about says what a packet is about.
func about(s packet.Subject) string {
	var lines []string
	add := func(label, value string) { lines = append(lines, fmt.Sprintf("%-8s %s", label, printable(value))) }
	if s.Kind == packet.KindExtract {
		add("extract", "from the electronic journals")
	}
	if s.Document != "" {
		add("document", s.Document)
	}
	if s.Participant != "" {
		add("of", s.Participant)
	}
	if s.From != nil && s.To != nil {
		add("period", s.From.UTC().Format("2006-01-02 15:04:05 UTC")+" until before "+s.To.UTC().Format("2006-01-02 15:04:05 UTC"))
	}
	for _, member := range s.Documents {
		add(strings.TrimSuffix(strings.TrimPrefix(member.Folder, "documents/"), "/"), member.Document)
	}
	return strings.Join(lines, "\n")
}

// printable keeps what a hostile packet says from steering a terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x200b && r <= 0x200f || r >= 0x2028 && r <= 0x202e || r >= 0x2060 && r <= 0x206f {
			return '_'
		}
		return r
	}, strings.ToValidUTF8(text, "_"))
}
