package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"dalel/internal/takeout"
)

// takeOut fetches everything that a participant has: 0 all is there, 1 it says
// what could not be had, 2 it could not be done. Asked again, it goes on where
// it was cut off.
func takeOut(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("takeout", flag.ContinueOnError)
	address := flags.String("url", "", "the ledger's `address`: https://host")
	tokenFile := flags.String("token-file", "", "the `file` with the participant's token, which nobody else may read")
	out := flags.String("out", "", "the `folder` to fill")
	proxyText := flags.String("proxy", "", "the `address` of an http or https proxy to go by; the environment's is not used")
	if !arguments(flags, args, stderr) {
		return exitFailed
	}
	if err := need(map[string]string{"url": *address, "token-file": *tokenFile, "out": *out}); err != nil {
		return fail(stderr, "takeout", err)
	}
	proxy, err := proxyAt(*proxyText)
	if err != nil {
		return fail(stderr, "takeout", err)
	}
	token, err := readToken(*tokenFile)
	if err != nil {
		return fail(stderr, "takeout", err)
	}
	line := progressLine(stderr)
	var problems []string
	var shown time.Time
	summary, err := takeout.Fetch(ctx, takeout.Options{
		URL: *address, Token: token, Dir: *out, Proxy: proxy,
		Report: func(where, what string) { problems = append(problems, where+": "+what) },
		Progress: func(what string, done, total int64) {
			if time.Since(shown) > 200*time.Millisecond {
				shown = time.Now()
				line.show(printable(what), done, total)
			}
		},
	})
	line.end()
	for _, p := range problems {
		fmt.Fprintf(stdout, "NOT THERE  %s\n", printable(p))
	}
	if err != nil {
		return fail(stderr, "takeout", fmt.Errorf("%w\nthe takeout is not finished; the same command goes on from there", err))
	}
	fmt.Fprintf(stdout, "%d documents, %d files of %d bytes, %d of them fetched now; %d documents are destroyed and have hashes alone\n",
		summary.Documents, summary.Files, summary.Bytes, summary.Fetched, summary.Destroyed)
	fmt.Fprintf(stdout, "check it at any time: cd %s && sha256sum -c manifest-sha256.txt\n", *out)
	if summary.Missing > 0 {
		return exitBad
	}
	return exitGood
}

// readToken reads a token from a file that is its owner's alone.
func readToken(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	info, err := file.Stat()
	switch {
	case err != nil:
		return "", err
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s is no file", path)
	case info.Mode().Perm()&0o077 != 0:
		return "", fmt.Errorf("%s may be read by others: chmod 600", path)
	}
	text, err := io.ReadAll(io.LimitReader(file, 4096))
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(text))
	if token == "" {
		return "", errors.New("the file of the token is empty")
	}
	return token, nil
}
