package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"dalel/domain/checkpoint"
	"dalel/domain/event"
	"dalel/domain/fsck"
	"dalel/eventstore/sqlite"
	"dalel/internal/cosignature"
	"dalel/internal/durable"
	"dalel/internal/fault"
	"dalel/internal/sealing"
	"dalel/internal/translog"

	"golang.org/x/mod/sumdb/note"
)

const fsckForm = "fsck [--json] [--sealed] [--checkpoint FILE]… [--state FILE] [--fresh] [--progress] --dir DIR"

// checking is how a ledger is to be checked.
type checking struct {
	// given are checkpoints from outside.
	given []fsck.Given
	// state is the file of the state, "" for none; named says that whoever runs
	// the check has named it, and wants it written now and then. One that is not
	// named is in the checker's own place, see ownState.
	state string
	named bool
	// fresh begins anew whatever the state says.
	fresh bool
	// sealed leaves sealed content and fields shut.
	sealed bool
	// rebuilding leaves the log's files out: they are not made yet.
	rebuilding bool
	line       *progress
}

// fsckLedger reads everything again: 0 all is as committed, 1 it says what is
// not, 2 it could not be read.
func fsckLedger(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("fsck", flag.ContinueOnError)
	var at location
	at.register(flags)
	asJSON := flags.Bool("json", false, "print one JSON object")
	var how checking
	flags.BoolVar(&how.sealed, "sealed", false, "leave what is sealed shut: every byte is read as it is stored, and nothing is decrypted")
	flags.StringVar(&how.state, "state", "", "the `file` that remembers how far the check came, and from which it goes on; otherwise an interrupted check leaves one in the cache folder of whoever runs it, and never beside the ledger")
	flags.BoolVar(&how.fresh, "fresh", false, "begin anew, whatever an interrupted check has left")
	always := flags.Bool("progress", false, "show progress even where standard error is no terminal")
	flags.Func("checkpoint", "a `file` with a signed checkpoint that somebody kept; may be repeated", func(name string) error {
		text, err := readBounded(name, translog.MaxCheckpoint)
		if err == nil {
			how.given = append(how.given, fsck.Given{Name: name, Text: text})
		}
		return err
	})
	if !arguments(flags, args, stderr) {
		return exitFailed
	}
	if err := need(map[string]string{"dir": at.dir}); err != nil {
		return fail(stderr, "fsck", err)
	}
	if how.named = how.state != ""; !how.named {
		var err error
		if how.state, err = ownState(at); err != nil {
			fmt.Fprintf(stderr, "dalel fsck: one that is interrupted will begin anew, since there is no place for how far it came: %v; --state FILE names one\n", err)
		}
	}
	at.examining = true
	n, err := openNode(ctx, at)
	if err != nil {
		return fail(stderr, "fsck", err)
	}
	defer n.Close()
	how.line = progressLine(stderr)
	if *always {
		how.line.always(stderr)
	}
	summary, problems, err := n.check(ctx, how, stderr)
	if err != nil {
		return fail(stderr, "fsck", err)
	}
	if *asJSON {
		if problems == nil {
			problems = []fsck.Problem{}
		}
		encoder := json.NewEncoder(stdout)
		encoder.SetIndent("", "  ")
		answer := map[string]any{"summary": summary, "problems": problems}
		if len(n.founded.Recoveries) > 0 {
			answer["recoveries"] = n.founded.Recoveries
		}
		if err := encoder.Encode(answer); err != nil {
			return fail(stderr, "fsck", err)
		}
	} else {
		printChecked(stdout, summary, problems)
		for _, r := range n.founded.Recoveries {
			fmt.Fprintln(stdout, sayRecovered(r))
		}
	}
	if len(problems) > 0 {
		return exitBad
	}
	return exitGood
}

// check reads an open ledger again. Interrupted, it leaves how far it came; at
// the end it takes that away.
func (n *node) check(ctx context.Context, how checking, stderr io.Writer) (summary fsck.Summary, problems []fsck.Problem, err error) {
	state, err := how.begin(stderr)
	if err != nil {
		return summary, nil, err
	}
	source, err := n.source(how)
	if err != nil {
		return summary, nil, err
	}
	source.State = state
	if how.state != "" && how.named {
		source.Save = func(s *fsck.State) error { return writeState(how.state, s) }
	}
	summary, err = fsck.Run(ctx, source, func(p fsck.Problem) { problems = append(problems, p) }, how.line.show)
	how.line.end()
	if n.refused != nil && err == nil {
		problems = append(problems, unfit(n.refused))
	}
	switch {
	case how.state == "":
	case err == nil:
		if err := os.Remove(how.state); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return summary, problems, err
		}
	case !fault.Is(err, fault.CheckStateUnfit):
		if saving := writeState(how.state, state); saving != nil {
			return summary, problems, errors.Join(err, saving)
		}
		same := "the same command"
		if how.fresh {
			same = "the same command without --fresh"
		}
		fmt.Fprintf(stderr, "dalel fsck: stopped after %d events and %d contents, with %d problems so far; %s goes on from %s\n",
			summary.Events, summary.Contents, summary.Problems, same, how.state)
	}
	return summary, problems, err
}

// unfit says as a problem of the check why every other command refuses to work
// with what is there.
func unfit(refused error) fsck.Problem {
	code := map[fault.Code]fsck.Code{
		fault.StoreSetBack: fsck.LedgerRewound, fault.StoreChanged: fsck.HistoryRewritten,
		fault.NodeMissing: fsck.NodeUnfit, fault.NodeDamaged: fsck.NodeUnfit, fault.NodeOther: fsck.NodeUnfit,
	}[fault.CodeOf(refused)]
	if code == "" {
		code = fsck.HistoryRewritten
	}
	return fsck.Problem{Code: code, Where: "what this node has seen", What: refused.Error()}
}

// begin reads the state that a check goes on from.
func (how checking) begin(stderr io.Writer) (*fsck.State, error) {
	if how.state == "" {
		return fsck.NewState(), nil
	}
	file, err := os.Open(how.state)
	if errors.Is(err, fs.ErrNotExist) {
		return fsck.NewState(), nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil {
		return nil, err
	} else if !how.named && !how.fresh && (!info.Mode().IsRegular() || info.Mode().Perm()&0o022 != 0) {
		return nil, fault.New(fault.CheckStateUnfit, "%s: others than its owner may have written it (--fresh begins anew)", how.state)
	}
	if how.fresh {
		// It will be replaced, and then taken away: not somebody's document.
		if !fsck.IsState(file) {
			return nil, fault.New(fault.CheckStateUnfit, "%s is there, and is not the state of a check", how.state)
		}
		return fsck.NewState(), nil
	}
	state, err := fsck.ReadState(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w (--fresh begins anew)", how.state, err)
	}
	fmt.Fprintf(stderr, "dalel fsck: going on after the %d events that were read before; --fresh begins anew\n", state.Events())
	return state, nil
}

// writeState writes a state in place of the one before.
func writeState(path string, state *fsck.State) error { return durable.ReplaceWith(path, state.Write) }

// ownState is where the check of a ledger leaves how far it came if nobody names
// a file: the cache folder of whoever runs it. Who can change the ledger must not
// be able to say what of it was read already, so it is never in one of the
// ledger's own folders: then there is none, as where there is no such folder.
func ownState(at location) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	at = at.filled()
	folder := filepath.Join(cache, "dalel")
	for _, theirs := range []string{at.dir, at.settings, at.blobs} {
		if !strings.Contains(theirs, "://") && within(folder, theirs) {
			return "", fmt.Errorf("the cache folder %s is in the ledger's folder %s", cache, theirs)
		}
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", err
	}
	// Another's folder cannot be closed, and is no place for this.
	if err := os.Chmod(folder, 0o700); err != nil {
		return "", err
	}
	name := sha256.New()
	for _, place := range []string{at.dir, at.store, at.blobs} {
		fmt.Fprintf(name, "%q\n", canonicalPlace(place))
	}
	return filepath.Join(folder, fmt.Sprintf("fsck-%x.state", name.Sum(nil)[:16])), nil
}

// canonicalPlace is a folder or a URL as it is the same whoever names it: a path
// without links, and no user and password in a URL.
func canonicalPlace(place string) string {
	if path, ok := sqlitePath(place); ok {
		place = path
	}
	scheme, rest, ok := strings.Cut(place, "://")
	if !ok {
		return real(place)
	}
	host, path := rest, ""
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		host, path = rest[:i], rest[i:]
	}
	return scheme + "://" + host[strings.LastIndex(host, "@")+1:] + path
}

// source is the ledger as fsck reads it.
func (n *node) source(how checking) (fsck.Source, error) {
	_, file := n.store.(*sqlite.Store)
	source := fsck.Source{
		Store: n.store, Blobs: n.blobs, Content: n.ledger.Content(), Keys: n.keys, Codec: n.ledger.Codec(), DestroyedKeys: n.destroyedKeys, StoreCheck: n.checkStore, OneTable: file,
		Log: fsck.Log{
			Objects: n.objects, Wanted: true, Given: how.given,
			Roots: n.policy.Roots, Intermediates: append(n.policy.Intermediates[:len(n.policy.Intermediates):len(n.policy.Intermediates)], n.policy.Offered...),
			Algorithms: n.policy.Known(),
		},
	}
	if how.sealed {
		source.Content, source.Codec = nil, source.Codec.Opening(shut{})
	}
	if how.rebuilding {
		source.Log.Objects = nil
	}
	source.Log.Verifier, source.Log.Name = n.logKey.verifier, n.founded.Log()
	name := checkpoint.Log
	for _, r := range n.founded.Recoveries {
		key, err := cosignature.ParseLogKey(r.FormerKey)
		if err != nil {
			return source, fmt.Errorf("the key of the former log in the recovery of %s: %w", r.RecoveredAt.Format(time.RFC3339), err)
		}
		source.Log.Former = append(source.Log.Former, fsck.Former{Verifier: key, Name: name, Known: r.Known, Events: r.Events})
		name = r.Log
	}
	for _, w := range n.settings.Log.Witnesses {
		key, err := cosignature.ParseWitnessKey(w.Key)
		if err != nil {
			return source, fmt.Errorf("a witness of the log in %s: %w", settingsFile, err)
		}
		source.Log.Witnesses = append(source.Log.Witnesses, note.Verifier(key))
	}
	for _, w := range n.witnesses.Witnesses {
		if !slices.ContainsFunc(source.Log.Witnesses, func(known note.Verifier) bool {
			return known.Name() == w.Key.Name() && known.KeyHash() == w.Key.KeyHash()
		}) {
			source.Log.Witnesses = append(source.Log.Witnesses, w.Key)
		}
	}
	return source, nil
}

// destroyedKeys lists whose keys are destroyed.
func (n *node) destroyedKeys(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for record, err := range n.keys.All(ctx) {
			if (err != nil || record.Destroyed()) && !yield(record.Subject, err) {
				return
			}
		}
	}
}

// shut opens no box.
type shut struct{}

// Opener implements event.Openers.
func (shut) Opener(context.Context, string, sealing.Box) (sealing.Opener, error) {
	return sealing.Opener{}, fault.New(fault.KeyDestroyed, "what is sealed is left shut")
}

var _ event.Openers = shut{}

// printChecked is what fsck says to people.
func printChecked(stdout io.Writer, summary fsck.Summary, problems []fsck.Problem) {
	for _, p := range problems {
		fmt.Fprintf(stdout, "NOT AS COMMITTED  %s: %s [%s]\n", p.Where, p.What, p.Code)
	}
	fmt.Fprintf(stdout, "%d events in %d streams, %d contents of %d bytes; %d full files of the transparency log, %d checkpoints, %d cosignatures, %d time stamps (%d by an authority that is trusted here): ",
		summary.Events, summary.Streams, summary.Contents, summary.Bytes, summary.Files, summary.Checkpoints, summary.Cosignatures, summary.Stamps, summary.Judged)
	switch {
	case len(problems) > 0:
		fmt.Fprintf(stdout, "%d not as committed\n", len(problems))
	case summary.UncoveredSince != nil:
		fmt.Fprintln(stdout, "all is as committed, as far as the ledger itself can show")
	default:
		fmt.Fprintln(stdout, "all is as committed")
	}
	switch {
	case summary.Covered == 0:
		fmt.Fprintf(stdout, "%d events; they lead to no checkpoint that was found with a good signature: all are under none\n", summary.Events)
	default:
		fmt.Fprintf(stdout, "%d events; the newest signed checkpoint covers %d, %d are under no checkpoint yet\n", summary.Events, summary.Covered, summary.Uncovered)
	}
	if since := summary.UncoveredSince; since != nil {
		fmt.Fprintf(stdout, "NOT UNDER A CHECKPOINT  %d events, the first act among them recorded on %s: nothing that was signed shows whether these were changed\n",
			summary.Uncovered, since.Format(time.RFC3339))
	}
	if summary.Unserved > 0 {
		fmt.Fprintf(stdout, "the served checkpoint lacks %d cosignatures that are recorded: they were taken out, or the node died before it served them; `dalel log publish` serves them\n", summary.Unserved)
	}
	if summary.EventsBefore > 0 || summary.ContentsBefore > 0 {
		fmt.Fprintf(stdout, "not read again: of these, %d events and %d contents were read by the run that was interrupted on %s; what was done to them since is not seen; the same command now reads everything\n",
			summary.EventsBefore, summary.ContentsBefore, summary.Interrupted.Format(time.RFC3339))
	}
	for _, lost := range summary.Lost {
		fmt.Fprintf(stdout, "cannot be held against the events: %s\n", lost)
	}
	fmt.Fprintf(stdout, "root %s\n", summary.Root)
}

// checkStore has the store look at its own file, where it is one.
func (n *node) checkStore(ctx context.Context, report func(fsck.Problem)) error {
	store, ok := n.store.(*sqlite.Store)
	if !ok {
		return nil
	}
	codes := map[sqlite.Kind]fsck.Code{
		sqlite.FileDamaged: fsck.StoreDamaged, sqlite.SchemaChanged: fsck.SchemaChanged, sqlite.EventMissing: fsck.EventMissing,
		sqlite.StreamMissing: fsck.EventMissing, sqlite.TailCut: fsck.TailCut, sqlite.SequenceChanged: fsck.SequenceChanged,
		sqlite.EventChanged: fsck.EventChanged, sqlite.LinkBroken: fsck.LinkBroken,
	}
	return store.CheckFile(ctx, func(p sqlite.Problem) error {
		where := "the event store"
		switch {
		case p.Position != 0:
			where = fmt.Sprintf("position %d", p.Position)
		case p.Kind == sqlite.SchemaChanged || p.Kind == sqlite.FileDamaged:
			where += ": " + p.What // several of these are several things
		}
		report(fsck.Problem{Code: codes[p.Kind], Where: where, What: p.What})
		return nil
	})
}

// progress shows how far long work has come, on one line of a terminal and
// not at all in a pipe, unless it is told to.
type progress struct {
	w     io.Writer
	plain bool
	shown bool
	what  string
	first int64
	began time.Time
	last  time.Time
}

func progressLine(w io.Writer) *progress {
	file, ok := w.(*os.File)
	if !ok {
		return &progress{}
	}
	if info, err := file.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return &progress{}
	}
	return &progress{w: w}
}

// always shows progress in a pipe too, as a line every so often.
func (p *progress) always(w io.Writer) {
	if p.w == nil {
		p.w, p.plain = w, true
	}
}

// show shows what is done of a total (0: nobody knows), how fast it goes and
// how long it will take.
func (p *progress) show(what string, done, total int64) {
	if p == nil || p.w == nil {
		return
	}
	now := time.Now()
	begins := what != p.what
	if begins {
		p.what, p.first, p.began = what, done, now
	}
	pause := 100 * time.Millisecond
	if p.plain {
		pause = 10 * time.Second
	}
	if !begins && done != total && now.Sub(p.last) < pause {
		return
	}
	p.last = now
	text := what
	switch {
	case total > 0:
		text += fmt.Sprintf(": %d of %d", done, total)
	case done > 0:
		text += fmt.Sprintf(": %d", done)
	}
	if elapsed := now.Sub(p.began).Seconds(); elapsed > 0.5 && done > p.first {
		rate := float64(done-p.first) / elapsed
		text += fmt.Sprintf(", %.0f a second", rate)
		if left := time.Duration(float64(total-done) / rate * float64(time.Second)); total > done {
			text += fmt.Sprintf(", %s left", left.Round(time.Second))
		}
	}
	if p.plain {
		fmt.Fprintln(p.w, text)
		return
	}
	p.shown = true
	fmt.Fprint(p.w, "\r\x1b[K"+strings.ReplaceAll(text, "\n", " "))
}

func (p *progress) end() {
	if p != nil && p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
