package httpapi_test

import (
	"crypto/rand"
	"encoding/hex"
	"testing"
	"time"

	"dalel/domain/document"
	"dalel/eventstore"

	"github.com/stretchr/testify/require"
)

func TestThePublicLearnsThatADocumentIsFrozenAndNotWhere(t *testing.T) {
	w := newWorld(t)
	p := w.signedDocument()
	stream := document.StreamID(p.document)
	head, err := eventstore.ReadHead(t.Context(), w.store, stream)
	require.NoError(t, err)
	_, err = rand.Read(head.Commitment[:])
	require.NoError(t, err)
	events, err := eventstore.Chain(stream, head, eventstore.Draft{Type: "StrangeThingHappened", Data: []byte(`{}`),
		Metadata: eventstore.Metadata{Schema: 1, Actor: "somebody", RecordedAt: time.Now()}})
	require.NoError(t, err)
	_, err = w.store.Append(t.Context(), events...)
	require.NoError(t, err)

	for _, language := range []string{"en", "ru", "kk"} {
		a := w.do(request{method: "GET", path: "/api/v1/check/" + p.number, header: map[string]string{"Accept-Language": language}})
		require.Equal(t, 409, a.status, a.body)
		require.Equal(t, "stream.broken", a.code())
		require.NotEmpty(t, a.text("detail"))
		require.NotContains(t, a.body, p.document, language)
		require.NotContains(t, a.body, "position", language)
		require.NotContains(t, a.body, "revision", language)
		require.NotContains(t, a.body, hex.EncodeToString(head.Commitment[:]), language)
	}
}
