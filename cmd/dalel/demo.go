package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"dalel/cmd/dalel/story"
	"dalel/domain/access"
	"dalel/domain/event"
	"dalel/domain/ledger"
	"dalel/domain/packet"
	"dalel/internal/cosignature"
	"dalel/internal/durable"
	"dalel/internal/witness"
)

// storyFile marks a folder whose story has been played to its end.
const storyFile = "demo.json"

// demo plays the story on a ledger of its own, exports every document's
// packet, and then serves the pages.
func demo(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	dir := flags.String("dir", "", "keep the data in this folder; a temporary one that is removed at the end if not given")
	once := flags.Bool("once", false, "leave packets/ and trust/ in the folder and exit")
	listen := flags.String("listen", "127.0.0.1:0", "the address to serve the pages on")
	if !arguments(flags, args, stderr) {
		return exitFailed
	}
	if *once && *dir == "" {
		return fail(stderr, "demo", errors.New("--once without --dir would leave nothing behind"))
	}
	if *dir == "" {
		made, err := os.MkdirTemp("", "dalel-demo-")
		if err != nil {
			return fail(stderr, "demo", err)
		}
		defer os.RemoveAll(made)
		*dir = made
	}
	d := demonstration{dir: *dir, began: time.Now(), out: stdout}
	if err := d.run(ctx, *once, *listen); err != nil {
		return fail(stderr, "demo", err)
	}
	return exitGood
}

type demonstration struct {
	dir   string
	began time.Time
	out   io.Writer
}

// say prints a step with the time since the start.
func (d demonstration) say(format string, args ...any) {
	fmt.Fprintf(d.out, "%5.1fs  %s\n", time.Since(d.began).Seconds(), fmt.Sprintf(format, args...))
}

func (d demonstration) run(ctx context.Context, once bool, listen string) (err error) {
	result, played, err := d.readStory()
	if err != nil {
		return err
	}
	var authority story.Authority
	var asked *authoritySettings // nobody, once the story was played: its authority is gone
	if !played {
		d.say("making a certification authority for the test, with OCSP, CRLs and time stamps on this machine")
		if authority, err = story.NewAuthority(); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, authority.Close()) }()
		for name, certificate := range authority.Certificates() {
			if err := durable.Create(filepath.Join(d.dir, trustDir, name), certificate.Raw, 0o644); err != nil {
				return err
			}
		}
		asked = &authoritySettings{Fetch: true, TimeStamps: []timeStampSettings{{Name: "demo time-stamping authority", URL: authority.TimeStamps()}}}
	}
	if !played {
		if _, err := (foundation{at: location{dir: d.dir}}).found(ctx); err != nil {
			return fmt.Errorf("found a ledger: %w", err)
		}
	}
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(d.out, &slog.HandlerOptions{Level: slog.LevelWarn}))
	n, err := openNode(ctx, location{dir: d.dir, public: publicURL(listener), authorities: asked, log: log})
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	defer func() { err = errors.Join(err, n.Close(), closing(listener).Close()) }()
	stopWitness, err := d.witness(ctx, n)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopWitness()) }()
	if !played {
		if err := n.recordTrust(ctx, log); err != nil {
			return err
		}
		if result, err = story.Play(ctx, n.ledger, authority, func(step string) { d.say("%s", step) }); err != nil {
			return fmt.Errorf("play the story: %w", err)
		}
		if err := d.writeStory(result); err != nil {
			return err
		}
	}
	if err := d.publish(ctx, n); err != nil {
		return err
	}
	if err := d.exportAll(ctx, n, result.Documents); err != nil {
		return err
	}
	if once {
		return nil
	}
	s, err := start(ctx, n, listener, false, log)
	if err != nil {
		return err
	}
	if err := d.invite(ctx, n, s, result); err != nil {
		s.stop()
		return errors.Join(err, s.wait(ctx))
	}
	return s.wait(ctx)
}

// readStory says whether the story has been played in this folder, and what
// came of it.
func (d demonstration) readStory() (story.Result, bool, error) {
	var result story.Result
	text, err := os.ReadFile(filepath.Join(d.dir, storyFile))
	if err == nil {
		if err := json.Unmarshal(text, &result); err != nil {
			return result, false, fmt.Errorf("read %s: %w", storyFile, err)
		}
		d.say("the story was played in %s before", d.dir)
		return result, true, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return result, false, err
	}
	if _, err := os.Stat(filepath.Join(d.dir, eventsFile)); err == nil {
		return result, false, fmt.Errorf("%s holds a ledger that this demo did not finish: choose another folder", d.dir)
	}
	return result, false, nil
}

func (d demonstration) writeStory(result story.Result) error {
	text, err := json.MarshalIndent(result, "", "  ")
	if err != nil {
		return err
	}
	return durable.Create(filepath.Join(d.dir, storyFile), append(text, '\n'), 0o600)
}

// demoWitness is the name of the demo's witness.
const demoWitness = "witness.demo.dalel/1"

// witness runs a witness on this machine, as a partner or an association would
// on one of its own, and has the ledger ask it. Its key lies among the anchors.
func (d demonstration) witness(ctx context.Context, n *node) (stop func() error, err error) {
	dir := filepath.Join(d.dir, "witness")
	folder, err := witness.OpenFolder(dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, folder.Close())
		}
	}()
	key, made, err := witness.LoadKey(dir, demoWitness, func(name string) (cosignature.Key, error) { return cosignature.NewKey(name, rand.Reader) })
	if err != nil {
		return nil, err
	}
	if made {
		if err := durable.Create(filepath.Join(d.dir, trustDir, "witness.vkey"), []byte(key.VKey()+"\n"), 0o644); err != nil {
			return nil, err
		}
		// The witness is at another address each time, and so not in ledger.json.
		if err := durable.Create(filepath.Join(d.dir, policyFile), cosignature.AllOfText(key.VKey()), 0o644); err != nil {
			return nil, err
		}
		if n.witnesses, err = readWitnessPolicy(d.dir, n.settings.Log); err != nil {
			return nil, err
		}
	}
	server, err := witness.NewServer(witness.Options{Key: key, State: folder, Logs: []string{n.logKey.vkey}})
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	inner, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- serveUntil(inner, listener, server) }()
	n.settings.Log.Witnesses = append(n.settings.Log.Witnesses, witnessSettings{URL: "http://" + listener.Addr().String(), Key: key.VKey()})
	return func() error {
		cancel()
		return errors.Join(<-ended, folder.Close())
	}, nil
}

// publish signs a checkpoint over everything that the story made happen.
func (d demonstration) publish(ctx context.Context, n *node) error {
	status, err := n.checkpointNow(ctx, slog.New(slog.NewTextHandler(d.out, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		return fmt.Errorf("publish a checkpoint: %w", err)
	}
	if status.Root != nil {
		d.say("the transparency log %s has signed %d events, root %s", status.Origin, status.Published, status.Root)
		for _, a := range slices.Concat(status.Witnesses, status.Authorities) {
			if a.Size == status.Published {
				d.say("%s has confirmed this", a.Name)
			}
		}
	}
	return nil
}

// exportAll writes the packet of each document, in the order of the story.
func (d demonstration) exportAll(ctx context.Context, n *node, documents []string) (err error) {
	dir := filepath.Join(d.dir, "packets")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	stop, err := n.proving(ctx, slog.New(slog.NewTextHandler(d.out, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	for i, id := range documents {
		path := filepath.Join(dir, fmt.Sprintf("%02d-%s.zip", i+1, id))
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if _, err := packet.ExportFile(ctx, path, n.packet(id)); err != nil {
			return fmt.Errorf("export the packet of document %d: %w", i+1, err)
		}
	}
	d.say("%d proof packets are in %s, the anchors to check them with in %s", len(documents), dir, filepath.Join(d.dir, trustDir))
	fmt.Fprintf(d.out, "        check one without any server:  dalel verify --trust %s %s\n",
		filepath.Join(d.dir, trustDir), filepath.Join(dir, fmt.Sprintf("01-%s.zip", documents[0])))
	return nil
}

// invite prints a link for each viewer that signs in by itself.
func (d demonstration) invite(ctx context.Context, n *node, s *server, result story.Result) error {
	operator := ledger.Act{By: event.By{Participant: ledger.Operator}, Role: access.RoleOperator, Device: "dalel demo"}
	var links []string
	for _, viewer := range result.Viewers {
		issued, err := n.ledger.IssueToken(ctx, operator, viewer.By, viewer.Role, "demo", 24*time.Hour)
		if err != nil {
			return fmt.Errorf("issue a token: %w", err)
		}
		links = append(links, fmt.Sprintf("  %s (%s)\n      %s/signin#token=%s", viewer.Name, viewer.What, s.url, issued.Token))
	}
	end, err := n.store.End(ctx)
	if err != nil {
		return err
	}
	if err := s.models.WaitFor(ctx, end); err != nil {
		return fmt.Errorf("wait for the read models: %w", err)
	}
	d.say("the pages are served on %s; open one of these in a browser (each in a window of its own):", s.url)
	for _, link := range links {
		fmt.Fprintln(d.out, link)
	}
	fmt.Fprintln(d.out, "\nStop it with Ctrl-C.")
	return nil
}
