package main

import (
	"bytes"
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
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"dalel/internal/cosignature"
	"dalel/internal/durable"
	"dalel/internal/witness"
)

const witnessUsage = `usage: dalel witness --dir DIR [--listen ADDRESS] [--name NAME] [--log VKEY[=URL]]…
       dalel witness --dir DIR --vkey

Runs a witness (C2SP tlog-witness) for the transparency logs of others: it
remembers the largest tree of each log that it was shown, cosigns a new one only
with a proof that the remembered one is its beginning, and so makes it impossible
for the log to show two people two histories. It needs no account and no database.

  1. dalel witness --dir DIR --name witness.example.kz/w1 --vkey
     makes the key and prints the public one; give it to the logs' operators and
     to everybody who is to rely on you
  2. dalel witness --dir DIR --listen 127.0.0.1:8090 --log 'VKEY of the log'
     serves POST /add-checkpoint; TLS is the business of the proxy in front of it.
     The log is written into DIR/witness.json and need not be named again; the URL
     is noted beside it. To watch a log no more, take it out of that file.

DIR has witness.key (the private key, its owner's alone), witness.json (the logs),
logs/ (the last checkpoint of each) and conflicts/ (checkpoints of one log that
contradict each other: show them to everybody). Never put an old copy of DIR back:
the witness would forget what it has cosigned. Who has lost DIR begins a new one,
with a new key.

Exit status: 0 it was stopped · 2 it could not be done
`

// witnessConfig is DIR/witness.json.
type witnessConfig struct {
	Logs []witnessLog `json:"logs"`
}

type witnessLog struct {
	// VKey is the log's public key, with its origin for a name.
	VKey string `json:"vkey"`
	// URL is where the log is read, for people.
	URL string `json:"url,omitempty"`
}

// runWitness serves a witness until ctx ends.
func runWitness(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("witness", flag.ContinueOnError)
	dir := flags.String("dir", "", "the witness's `folder`; made if there is none")
	listen := flags.String("listen", "127.0.0.1:8090", "`address` to listen on")
	name := flags.String("name", "", "the witness's `name`, given once with the key; a URL without scheme is usual")
	onlyKey := flags.Bool("vkey", false, "print the public key and exit")
	var added []witnessLog
	flags.Func("log", "a log to watch: its public key, and perhaps =https://… where it is read; may be repeated", func(text string) error {
		// A vkey can end in "=", so the address begins at its scheme.
		log := witnessLog{VKey: text}
		if at := max(strings.Index(text, "=https://"), strings.Index(text, "=http://")); at >= 0 {
			log = witnessLog{VKey: text[:at], URL: text[at+1:]}
		}
		added = append(added, log)
		_, err := cosignature.ParseLogKey(log.VKey)
		return err
	})
	flags.Usage = func() {
		fmt.Fprint(stderr, witnessUsage+"\n")
		flags.PrintDefaults()
	}
	if !arguments(flags, args, stderr) {
		return exitFailed
	}
	failed := func(err error) int { return fail(stderr, "witness", err) }
	if err := need(map[string]string{"dir": *dir}); err != nil {
		return failed(err)
	}
	folder, err := witness.OpenFolder(*dir)
	if err != nil {
		return failed(err)
	}
	defer folder.Close()
	key, made, err := witness.LoadKey(*dir, *name, func(name string) (cosignature.Key, error) { return cosignature.NewKey(name, rand.Reader) })
	if err != nil {
		return failed(err)
	}
	config, err := watch(*dir, added)
	if err != nil {
		return failed(err)
	}
	if *onlyKey {
		fmt.Fprintln(stdout, key.VKey())
		return exitGood
	}
	if made {
		fmt.Fprintf(stdout, "a new key was made: %s\n", filepath.Join(*dir, "witness.key"))
	}
	fmt.Fprintf(stdout, "public key  %s\n", key.VKey())
	if len(config.Logs) == 0 {
		return failed(errors.New("there is no log to watch yet: --log VKEY"))
	}
	options := witness.Options{Key: key, State: folder, Logger: slog.New(slog.NewJSONHandler(stderr, nil))}
	for _, log := range config.Logs {
		options.Logs = append(options.Logs, log.VKey)
	}
	server, err := witness.NewServer(options)
	if err != nil {
		return failed(err)
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return failed(err)
	}
	for _, log := range config.Logs {
		origin, _, _ := strings.Cut(log.VKey, "+")
		fmt.Fprintf(stdout, "watches     %s %s\n", printable(origin), printable(log.URL))
	}
	fmt.Fprintf(stdout, "serves      http://%s/add-checkpoint\n", listener.Addr())
	if err := serveUntil(ctx, listener, server); err != nil {
		return failed(err)
	}
	return exitGood
}

// watch adds logs to DIR/witness.json and returns what is in it then.
func watch(dir string, added []witnessLog) (witnessConfig, error) {
	var config witnessConfig
	path := filepath.Join(dir, "witness.json")
	content, err := readBounded(path, 1<<20)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return config, err
	default:
		decoder := json.NewDecoder(bytes.NewReader(content))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&config); err != nil {
			return config, fmt.Errorf("%s cannot be read: %w", path, err)
		}
	}
	changed := false
	for _, log := range added {
		known := false
		for i := range config.Logs {
			if config.Logs[i].VKey != log.VKey {
				continue
			}
			known = true
			if log.URL != "" && config.Logs[i].URL != log.URL {
				config.Logs[i].URL, changed = log.URL, true
			}
		}
		if !known {
			config.Logs, changed = append(config.Logs, log), true
		}
	}
	if !changed {
		return config, nil
	}
	if content, err = json.MarshalIndent(config, "", "  "); err != nil {
		return config, err
	}
	if err := durable.Replace(path, append(content, '\n')); err != nil {
		return config, fmt.Errorf("write %s: %w", path, err)
	}
	return config, nil
}

// serveUntil serves until ctx ends and what is under way has been answered.
func serveUntil(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	within, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err := server.Shutdown(within)
	if served := <-failed; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
