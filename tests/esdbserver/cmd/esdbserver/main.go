// Command esdbserver runs the EventStoreDB stand-in of package esdbserver as a
// process of its own, so that a test can kill it:
//
//	go run ./tests/esdbserver/cmd/esdbserver --listen 127.0.0.1:2113 --data events.jsonl
//
// It writes its connection string as the first line of its standard output once
// it answers, and ends in good order on SIGINT and SIGTERM. What was
// acknowledged is in the data file even if it is killed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"dalel/tests/esdbserver"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "esdbserver:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, arguments []string, out, errOut io.Writer) error {
	var options esdbserver.Options
	flags := flag.NewFlagSet("esdbserver", flag.ContinueOnError)
	flags.SetOutput(errOut)
	flags.StringVar(&options.Listen, "listen", "127.0.0.1:2113", "host and port to listen on; port 0 picks a free one")
	flags.StringVar(&options.Path, "data", "", "data file; without one the events are gone with the process")
	flags.StringVar(&options.Version, "version", "", "server version to answer with")
	flags.IntVar(&options.MaxAppendSize, "max-append-size", 0, "limit of one append in bytes (default one MiB)")
	if err := flags.Parse(arguments); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	server, err := esdbserver.Start(ctx, options)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(out, server.URL()); err != nil {
		return errors.Join(err, server.Close())
	}
	<-ctx.Done()
	return server.Close()
}
