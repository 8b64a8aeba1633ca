package main

import (
	"context"
	"flag"
	"fmt"
	"io"
)

// printVersion says which build this is.
func printVersion(_ context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("version", flag.ContinueOnError)
	if !arguments(flags, args, stderr) {
		return exitFailed
	}
	fmt.Fprintln(stdout, "dalel "+thisBuild().String())
	return exitGood
}
