package main

import (
	"context"
	"debug/buildinfo"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"dalel/domain/packet"
	"dalel/eventstore"
	"dalel/internal/fault"
)

// selection are the flags that say what a packet or an extract is about.
type selection struct {
	document, documents, participant, from, to, out string
}

func (s *selection) register(flags *flag.FlagSet) {
	flags.StringVar(&s.document, "document", "", "the document's `id`")
	flags.StringVar(&s.participant, "participant", "", "the `id` of the participant whose journal is asked for")
	flags.StringVar(&s.from, "from", "", "the first `day` of the period (YYYY-MM-DD, Kazakhstan's time), or a moment (RFC 3339)")
	flags.StringVar(&s.to, "to", "", "the last `day` of the period, included, or the moment before which it ends")
	flags.StringVar(&s.out, "out", "", "the `file` to write; it must not exist")
}

// period reads --from and --to, which come together or not at all.
func (s selection) period() (from, to time.Time, err error) {
	if s.from == "" && s.to == "" {
		return from, to, nil
	}
	if from, err = packet.ParseDay(s.from, false); err != nil {
		return from, to, fmt.Errorf("--from: %w", err)
	}
	if to, err = packet.ParseDay(s.to, true); err != nil {
		return from, to, fmt.Errorf("--to: %w", err)
	}
	return from, to, nil
}

// fresh refuses a file that is there.
func fresh(path string) error {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is there already, and may be somebody's evidence", path)
	}
	return nil
}

// export writes the proof packet of a document, or of several.
func export(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("export", flag.ContinueOnError)
	var at location
	var of selection
	at.register(flags)
	of.register(flags)
	flags.StringVar(&of.documents, "documents", "", "the `ids` of several documents, with commas between")
	verifier := flags.String("with-verifier", "", "puts the verifying program in: `self` or the file of a dalel for another system")
	checkpoint := flags.String("checkpoint", "", "the `size` of the transparency log's checkpoint to prove the events under; SIZE@N: as it was when the log's stream had N events")
	since := flags.String("since", "", "the `file` of an earlier checkpoint that the log is to be shown to continue")
	if !arguments(flags, args, stderr) {
		return exitFailed
	}
	err := need(map[string]string{"dir": at.dir, "out": of.out})
	ways := 0
	for _, way := range []string{of.document, of.documents, of.participant} {
		if way != "" {
			ways++
		}
	}
	if err == nil && ways != 1 {
		err = errors.New("say what is to be exported: --document, --documents, or --participant with --from and --to")
	}
	if err == nil && (of.participant == "") != (of.from == "" && of.to == "") {
		err = errors.New("--participant goes with --from and --to")
	}
	if err == nil {
		err = fresh(of.out)
	}
	from, to, failed := of.period()
	if err = errors.Join(err, failed); err != nil {
		return fail(stderr, "export", err)
	}
	n, err := openNode(ctx, at)
	if err != nil {
		return fail(stderr, "export", err)
	}
	defer n.Close()
	stop, err := n.proving(ctx, slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		return fail(stderr, "export", err)
	}
	defer stop() // only its memory is closed, and what it has is on the disk
	line := progressLine(stderr)
	defer line.end()
	request := n.packet(of.document)
	request.Progress = func(done, total int) { line.show("documents", int64(done), int64(total)) }
	if err := provenFrom(request.Log, *checkpoint, *since); err != nil {
		return fail(stderr, "export", err)
	}
	if of.documents != "" {
		request.Documents = strings.Split(of.documents, ",")
	}
	if *verifier != "" {
		if request.Carry, err = carried(*verifier); err != nil {
			return fail(stderr, "export", err)
		}
	}
	if of.participant != "" {
		request.Participant, request.From, request.To = of.participant, from, to
		if request.At, err = n.store.End(ctx); err != nil {
			return fail(stderr, "export", err)
		}
		request.Documents, err = packet.DocumentsOf(ctx, n.store, of.participant, from, to, request.At, showing(line, request.At))
		if err != nil {
			return fail(stderr, "export", err)
		}
	}
	manifest, err := packet.ExportFile(ctx, of.out, request)
	line.end()
	if err != nil {
		return fail(stderr, "export", err)
	}
	about := ""
	if documents := len(manifest.Subject.Documents); documents > 0 {
		about = fmt.Sprintf("%d documents, ", documents)
	}
	proven := ""
	switch log := manifest.Log; {
	case log == nil:
	case log.NotCovered:
		proven = "; the transparency log does not cover the newest event yet, so nothing is proven by it"
	default:
		proven = fmt.Sprintf(", proven under checkpoint %d@%d", log.Size, log.AsOf)
	}
	fmt.Fprintf(stdout, "%s: %s%d files, as of position %d%s\n", of.out, about, len(manifest.Files), manifest.Position, proven)
	return exitGood
}

// provenFrom sets which checkpoint a packet is proven under, and from which one
// the log is shown to go on.
func provenFrom(log *packet.LogSource, checkpoint, since string) (err error) {
	if checkpoint == "" && since == "" {
		return nil
	}
	if log == nil {
		return fault.New(fault.LogAbsent, "--checkpoint and --since are for a ledger that keeps a transparency log")
	}
	if checkpoint != "" {
		size, asOf, given := strings.Cut(checkpoint, "@")
		if log.Checkpoint, err = strconv.ParseUint(size, 10, 62); err == nil && given {
			log.AsOf, err = strconv.ParseUint(asOf, 10, 62)
		}
		if err != nil || log.Checkpoint == 0 || given && log.AsOf == 0 {
			return fmt.Errorf("--checkpoint %q is no size like 1200 or 1200@35", checkpoint)
		}
	}
	if since != "" {
		if log.Since, err = readBounded(since, maxPolicyFile); err != nil {
			return fmt.Errorf("--since: %w", err)
		}
	}
	return nil
}

func showing(line *progress, end eventstore.Position) func(eventstore.Position) {
	return func(at eventstore.Position) {
		if at%1000 == 0 {
			line.show("events", int64(at), int64(end))
		}
	}
}

// carried is the program that a packet is asked to carry: this one, or the
// file of one. What is no dalel is refused: a packet carries no other programs.
func carried(path string) (*packet.Program, error) {
	if path == "self" {
		var err error
		if path, err = os.Executable(); err != nil {
			return nil, fmt.Errorf("find this program's file: %w", err)
		}
	}
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("the verifier: %w", err)
	}
	if !strings.HasPrefix(info.Path, "dalel/cmd/dalel") {
		return nil, fmt.Errorf("the verifier: %s is %q, not dalel", path, info.Path)
	}
	program := &packet.Program{Open: func() (io.ReadCloser, error) { return os.Open(path) }}
	for _, setting := range info.Settings {
		switch setting.Key {
		case "GOOS":
			program.OS = setting.Value
		case "GOARCH":
			program.Arch = setting.Value
		}
	}
	return program, nil
}

// extract writes a sealed extract from the journals.
func extract(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("extract", flag.ContinueOnError)
	var at location
	var of selection
	at.register(flags)
	of.register(flags)
	if !arguments(flags, args, stderr) {
		return exitFailed
	}
	err := need(map[string]string{"dir": at.dir, "out": of.out})
	if err == nil && (of.document == "") == (of.from == "" && of.to == "") {
		err = errors.New("say what the extract is about: --document, or --from and --to")
	}
	if err == nil {
		err = fresh(of.out)
	}
	from, to, failed := of.period()
	if err = errors.Join(err, failed); err != nil {
		return fail(stderr, "extract", err)
	}
	n, err := openNode(ctx, at)
	if err != nil {
		return fail(stderr, "extract", err)
	}
	defer n.Close()
	line := progressLine(stderr)
	defer line.end()
	request := n.packet(of.document)
	request.Participant, request.From, request.To = of.participant, from, to
	request.Progress = func(done, total int) { line.show("documents", int64(done), int64(total)) }
	if of.document == "" {
		if request.At, err = n.store.End(ctx); err == nil {
			request.Documents, err = packet.DocumentsIn(ctx, n.store, from, to, request.At, showing(line, request.At))
		}
		if err != nil {
			return fail(stderr, "extract", err)
		}
	}
	manifest, err := packet.ExportExtractFile(ctx, of.out, request)
	line.end()
	if err != nil {
		return fail(stderr, "extract", err)
	}
	fmt.Fprintf(stdout, "%s: as of position %d\n", of.out, manifest.Position)
	return exitGood
}
