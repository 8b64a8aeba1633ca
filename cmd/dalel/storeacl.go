package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"dalel/eventstore/esdb"
	"dalel/internal/fault"
)

// storeACL restricts who may do what on an EventStoreDB: 0 the server has the
// list, 1 a dry run has found another one, 2 it could not be done. Asked again,
// it changes nothing.
func storeACL(ctx context.Context, args []string, stdout, stderr io.Writer) (status int) {
	flags := flag.NewFlagSet("store-acl", flag.ContinueOnError)
	address := flags.String("store", "", "the `URL` of the event store with an administrator's name and password, esdb://admin:…@host; also $"+storeVariable)
	users := flags.String("users", "dalel", "the `names` of the users, with commas, that may append events and read all of them")
	replace := flags.Bool("replace", false, "take away the right of those whom the server's list names and --users does not")
	dry := flags.Bool("dry-run", false, "say what would be done and do nothing")
	if !arguments(flags, args, stderr) {
		return exitFailed
	}
	connection := cmp.Or(*address, os.Getenv(storeVariable))
	if err := need(map[string]string{"store": connection, "users": *users}); err != nil {
		return fail(stderr, "store-acl", err)
	}
	if !strings.HasPrefix(connection, "esdb") {
		return fail(stderr, "store-acl", errors.New("only an EventStoreDB has access lists: esdb://…"))
	}
	store, err := esdb.Open(ctx, connection, esdb.Options{})
	if err != nil {
		return fail(stderr, "store-acl", err)
	}
	defer store.Close()
	access, err := store.RestrictAccess(ctx, strings.Split(*users, ","), *replace, *dry)
	if len(access.Before) > 0 {
		fmt.Fprintf(stdout, "the server's default access list was\n%s\n", indented(access.Before))
	} else if err == nil {
		fmt.Fprintln(stdout, "the server had no default access list of its own: every user might do everything")
	}
	switch {
	case fault.Is(err, fault.RequestInvalid):
		return fail(stderr, "store-acl", fmt.Errorf("%w\nnothing was changed; see --users and --replace", err))
	case err != nil:
		return fail(stderr, "store-acl", err)
	case !access.Changed:
		fmt.Fprintln(stdout, "that is as it should be: nothing was changed")
		return exitGood
	case *dry:
		fmt.Fprintf(stdout, "it would be changed to\n%s\n", indented(access.After))
		return exitBad
	}
	fmt.Fprintf(stdout, "it is now\n%s\n", indented(access.After))
	return exitGood
}

// indented returns JSON for people to read, or what it is if it is none.
func indented(data []byte) []byte {
	var out bytes.Buffer
	if json.Indent(&out, data, "", "  ") != nil {
		return data
	}
	return out.Bytes()
}
