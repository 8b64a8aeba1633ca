package main

import (
	"regexp"
	"strings"
	"testing"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"dalel/tests/esdbserver"
)

// documentedList is the access list that DEPLOYMENT.md shows.
func documentedList(t *testing.T) string {
	t.Helper()
	found := regexp.MustCompile(`(?s)\{ "\$userStreamAcl".*?\} \}\n`).Find(read(t, "DEPLOYMENT.md"))
	require.NotNil(t, found, "DEPLOYMENT.md shows no access list")
	return string(found)
}

func TestTheAccessListOfTheDocumentationIsAppendedOnce(t *testing.T) {
	server := esdbserver.New(t, esdbserver.Options{})
	settings, err := client.ParseConnectionString(server.URL())
	require.NoError(t, err)
	connected, err := client.NewClient(settings)
	require.NoError(t, err)
	defer connected.Close()
	last := func() *client.RecordedEvent {
		stream, err := connected.ReadStream(t.Context(), "$settings", client.ReadStreamOptions{Direction: client.Backwards, From: client.End{}}, 1)
		require.NoError(t, err)
		defer stream.Close()
		event, err := stream.Recv()
		require.NoError(t, err)
		return event.Event
	}
	set := func(data string) {
		_, err := connected.AppendToStream(t.Context(), "$settings", client.AppendToStreamOptions{}, client.EventData{
			EventID: uuid.New(), EventType: "update-default-acl", ContentType: client.ContentTypeJson, Data: []byte(data),
		})
		require.NoError(t, err)
	}
	plain := func(text string) string {
		// A list of one name is that name.
		return regexp.MustCompile(`\["(\$admins)"\]`).ReplaceAllString(text, `"$1"`)
	}

	status, out, stderr := dalel(t, "store-acl", "--store", server.URL(), "--dry-run")
	require.Equal(t, exitBad, status, out+stderr)
	require.Contains(t, out, "every user might do everything")
	status, out, stderr = dalel(t, "store-acl", "--store", server.URL())
	require.Zero(t, status, out+stderr)
	require.Equal(t, "update-default-acl", last().EventType)
	require.JSONEq(t, documentedList(t), plain(string(last().Data)))
	require.EqualValues(t, 0, last().EventNumber)

	status, out, stderr = dalel(t, "store-acl", "--store", server.URL())
	require.Zero(t, status, out+stderr)
	require.Contains(t, out, "nothing was changed")
	require.EqualValues(t, 0, last().EventNumber)
	set(documentedList(t))
	status, out, stderr = dalel(t, "store-acl", "--store", server.URL())
	require.Zero(t, status, out+stderr)
	require.Contains(t, out, "nothing was changed", "written in another way, it is the same list")

	// Another application has a right, which it would lose.
	set(strings.ReplaceAll(documentedList(t), `"dalel"]`, `"dalel", "billing"]`))
	status, out, stderr = dalel(t, "store-acl", "--store", server.URL())
	require.Equal(t, exitFailed, status, out+stderr)
	require.Contains(t, stderr, "who would lose it: billing")
	require.EqualValues(t, 2, last().EventNumber)
	status, out, stderr = dalel(t, "store-acl", "--store", server.URL(), "--users", "dalel,billing")
	require.Zero(t, status, out+stderr)
	require.EqualValues(t, 2, last().EventNumber)
	status, out, stderr = dalel(t, "store-acl", "--store", server.URL(), "--replace")
	require.Zero(t, status, out+stderr)
	require.Contains(t, out, "billing", "what was there is shown")
	require.JSONEq(t, documentedList(t), plain(string(last().Data)))

	for _, wrong := range [][]string{
		{"--store", "sqlite://" + t.TempDir() + "/events.db"}, {"--users", "$all", "--store", server.URL()}, {"--users", "a,,b", "--store", server.URL()}, {},
	} {
		status, out, stderr = dalel(t, append([]string{"store-acl"}, wrong...)...)
		require.Equal(t, exitFailed, status, out+stderr)
		require.EqualValues(t, 3, last().EventNumber)
	}
}
