// Command dalel is the document ledger: a server, a demonstration of itself,
// and the tools that check what it has kept.
//
//	dalel demo      plays a whole story on a ledger of its own and serves it
//	dalel init      founds a ledger
//	dalel serve     serves a ledger
//	dalel verify    checks a proof packet, with no server and no network
//	dalel signature verify  states a verdict on any CMS signature
//	dalel export    takes out the proof packet of a document, or of several
//	dalel extract   takes out a sealed extract from the journals
//	dalel fsck      reads everything again and names what is not as committed
//	dalel copy      copies all events into another event store
//	dalel store-acl restricts who may do what on an EventStoreDB
//	dalel backup    copies a whole ledger, and its keys apart from it
//	dalel restore   makes a ledger of a backup, and checks it
//	dalel keys      lists the keys, and wraps them anew
//	dalel log       prints the transparency log's key, publishes, computes it anew
//	dalel renewals  makes and checks the record of how time stamps were renewed
//	dalel sweep     removes uploads that no event names
//	dalel takeout   fetches everything that a participant has, over HTTP
//	dalel witness   cosigns the transparency logs of others
//	dalel audit     follows a transparency log that somebody else serves
//	dalel seal      has packets sealed with another key and certificate
//	dalel recover   goes on under another log after events were lost for good
//	dalel rebuild   throws the read models away and replays the events
//	dalel trust     says which authorities are trusted
//	dalel token     issues a token, for the first sign-in to a new ledger
//	dalel version   says which build this is
//
// Each command is a function of its arguments and two writers that returns
// the exit status; main alone touches the process.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

// Exit statuses. What 0, 1 and 3 mean is each command's own; 2 is the same
// for all: it could not be done, because of the arguments or of what is there.
const (
	exitGood   = 0
	exitBad    = 1
	exitFailed = 2
)

type subcommand struct {
	name string
	form string
	run  func(ctx context.Context, args []string, stdout, stderr io.Writer) int
}

func subcommands() []subcommand {
	return []subcommand{
		{"demo", "demo [--once] [--dir DIR] [--listen ADDRESS]", demo},
		{"init", "init --dir DIR [--unless-founded] [--name NAME] [--origin ORIGIN] [--store URL] [--blobs PLACE] [--settings DIR] [--keys PLACE] [--master PLACE]", initialise},
		{"serve", "serve --dir DIR [--store URL] [--blobs PLACE] [--settings DIR] [--keys PLACE] [--master PLACE] [--listen ADDRESS] [--behind-proxy] [--metrics ADDRESS] [--metrics-token FILE] [--security-log FILE]", serve},
		{"verify", "verify [--json] [--trust DIR [--renewals RECORD]] PACKET", verifyPacket},
		{"signature", "signature verify [--json] [--roots DIR] [--at RFC3339] [--content FILE] [--online [--tsa URL]] SIGNATURE", signatures},
		{"export", "export --dir DIR {--document ID | --documents ID,ID… | --participant ID --from DATE --to DATE} [--with-verifier FILE|self] --out FILE", export},
		{"extract", "extract --dir DIR {--document ID [--participant ID] | [--participant ID] --from DATE --to DATE} --out FILE", extract},
		{"fsck", fsckForm, fsckLedger},
		{"copy", "copy --from URL --to URL [--leave-out POSITION,POSITION…]", copyLedger},
		{"store-acl", "store-acl --store URL [--users NAME,NAME…] [--replace] [--dry-run]", storeACL},
		{"backup", "backup --dir DIR [--store URL] [--blobs PLACE] [--settings DIR] [--keys PLACE] --out DIR {--keys-out DIR [--with-master] | --no-keys}", makeBackup},
		{"restore", "restore --from DIR --keys-from DIR --dir NEW [--store URL] [--blobs PLACE] [--settings DIR] [--keys PLACE] [--master PLACE]", restoreBackup},
		{"keys", "keys {list | rotate [--new-master PLACE]} --dir DIR [--settings DIR] [--keys PLACE] [--master PLACE]", keyCommands},
		{"log", "log {key | publish | rebuild} --dir DIR [--store URL] [--blobs PLACE] [--settings DIR]", logCommands},
		{"renewals", "renewals {make --dir DIR {--packet FILE | --checkpoint FILE} --out FILE | verify [--json] --trust DIR [--at RFC3339] [--aged FILE] {--packet FILE | --checkpoint FILE} RECORD}", renewals},
		{"retain", "retain --dir DIR [--store URL] [--blobs PLACE] [--settings DIR] [--keys PLACE] [--master PLACE]", retain},
		{"sweep", "sweep --dir DIR [--store URL] [--blobs PLACE] [--settings DIR] [--dry-run]", sweep},
		{"takeout", "takeout --url https://HOST --token-file FILE --out DIR [--proxy URL]", takeOut},
		{"witness", "witness --dir DIR [--listen ADDRESS] [--name NAME] [--log VKEY[=URL]]… [--vkey]", runWitness},
		{"audit", "audit --log URL --key VKEY|FILE [--from CHECKPOINT-FILE]… [--state DIR] [--witness VKEY]… [--policy FILE] [--entries] [--every DURATION] [--proxy URL] [--json]", runAudit},
		{"seal", "seal --key FILE --certificate FILE --dir DIR [--store URL] [--settings DIR]", sealCommand},
		{"recover", "recover --origin ORIGIN --ground TEXT --dir DIR [--store URL] [--blobs PLACE] [--settings DIR]", recoverCommand},
		{"rebuild", "rebuild --dir DIR", rebuild},
		{"trust", trustForm, trustCommands},
		{"token", "token --dir DIR --role ROLE [--participant ID] [--person ID] [--days N]", issueToken},
		{"version", "version", printVersion},
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 {
		for _, c := range subcommands() {
			if c.name == args[0] {
				return c.run(ctx, args[1:], stdout, stderr)
			}
		}
	}
	if len(args) > 0 && slices.Contains([]string{"help", "-h", "--help"}, args[0]) {
		usage(stdout)
		return exitGood
	}
	if len(args) > 0 {
		fmt.Fprintf(stderr, "dalel: no such command: %s\n\n", args[0])
	}
	usage(stderr)
	return exitFailed
}

func usage(w io.Writer) {
	fmt.Fprintln(w, "usage:")
	for _, c := range subcommands() {
		fmt.Fprintln(w, "  dalel "+c.form)
	}
}

// signatures has one command of its own so far.
func signatures(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 && args[0] == "verify" {
		return signatureVerify(ctx, args[1:], stdout, stderr)
	}
	fmt.Fprintln(stderr, "usage: dalel signature verify [--json] [--roots DIR] [--at RFC3339] [--content FILE] [--online [--tsa URL]] SIGNATURE")
	return exitFailed
}

// arguments parses a command's flags and refuses anything else; it has said
// why when it returns false.
func arguments(flags *flag.FlagSet, args []string, stderr io.Writer) bool {
	flags.SetOutput(stderr)
	rest, err := parseMixed(flags, args)
	if err == nil && len(rest) > 0 {
		fmt.Fprintf(stderr, "dalel %s: unexpected argument %q\n", flags.Name(), rest[0])
	}
	return err == nil && len(rest) == 0
}

// need returns an error that names the flags which are missing.
func need(values map[string]string) error {
	var missing []string
	for name, value := range values {
		if value == "" {
			missing = append(missing, "--"+name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	slices.Sort(missing)
	return fmt.Errorf("needed: %s", strings.Join(missing, ", "))
}

// fail reports err and returns the status for "could not be done".
func fail(stderr io.Writer, command string, err error) int {
	fmt.Fprintf(stderr, "dalel %s: %v\n", command, err)
	return exitFailed
}
