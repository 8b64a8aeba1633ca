package main

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"dalel/httpapi"

	"github.com/stretchr/testify/require"
)

func TestTheDeploymentNotesNameEveryLimitWithItsDefault(t *testing.T) {
	notes, err := os.ReadFile("DEPLOYMENT.md")
	require.NoError(t, err)
	told := map[string]string{}
	names := regexp.MustCompile("`([a-zA-Z]+)`")
	_, section, found := strings.Cut(string(notes), "\n## Limits: ledger.json\n")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "\n## ")
	for line := range strings.Lines(section) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 {
			continue
		}
		defaults := strings.Split(cells[2], ",")
		for i, name := range names.FindAllStringSubmatch(cells[1], -1) {
			require.Less(t, i, len(defaults), line)
			told[name[1]] = strings.TrimSpace(defaults[i])
		}
	}
	defaults, want := reflect.ValueOf(httpapi.DefaultLimits()), map[string]string{}
	for i := range defaults.NumField() {
		name, _, _ := strings.Cut(defaults.Type().Field(i).Tag.Get("json"), ",")
		want[name] = fmt.Sprint(defaults.Field(i).Int())
	}
	require.Equal(t, want, told)
}
