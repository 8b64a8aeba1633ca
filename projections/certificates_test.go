package projections_test

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dalel/domain/certificate"
	"dalel/domain/event"
	"dalel/domain/participant"
	"dalel/eventstore"
	"dalel/projections"
	"dalel/projections/history"
)

func TestR_C5_CertificatesAreListedWithTheirEndsAndWhatWasWarnedOf(t *testing.T) {
	store, past := &history.Memory{}, history.New(rand.New(rand.NewPCG(1, 2)).IntN, 4, 4)
	now := time.Date(2026, 6, 1, 9, 0, 0, 0, time.UTC)
	var end eventstore.Position
	happens := func(stream eventstore.StreamID, events ...event.Event) {
		position, err := store.Append(t.Context(), past.Append(stream, event.By{Participant: "operator"}, events...)...)
		require.NoError(t, err)
		end = position
	}
	register := func(print, owner string, ends time.Time, more ...event.Event) {
		happens(certificate.StreamID(print), append([]event.Event{certificate.Registered{
			Certificate: print, Participant: owner, OwnerName: history.Secret, OwnerIIN: history.Secret, Purpose: "signing", Role: "head", Algorithm: "RSA-2048", Serial: "5f", Issuer: "CN=CA",
			NotBefore: now.AddDate(-1, 0, 0), NotAfter: ends,
		}}, more...)...)
	}
	const day = 24 * time.Hour
	register("far", "a", now.Add(31*day))
	register("edge", "a", now.Add(30*day))
	register("soon", "b", now.Add(day), certificate.ExpiryWarned{Certificate: "soon", Participant: "b", NotAfter: now.Add(day), WarnedAt: now.Add(-29 * day)})
	register("last", "b", now)
	register("ended", "b", now.Add(-time.Microsecond))
	register("annulled", "b", now.Add(day), certificate.Annulled{Certificate: "annulled", Participant: "b"})
	register("held", "b", now.Add(day), certificate.KeyCompromiseReported{Certificate: "held", Notice: "n"}, certificate.Suspended{Certificate: "held", Notice: "n"})
	register("gone", "c", now.Add(day))
	for i := range 5 {
		register(fmt.Sprintf("many%d", i), "d", now.Add(2*day))
	}
	happens(participant.StreamID("c"), participant.Registered{Participant: "c", Kind: participant.LegalEntity, Identifier: "1", Name: "x"})
	happens(participant.StreamID("c"), participant.ErasureRequested{Participant: "c", RequestedAt: now}, participant.ErasureOrdered{Participant: "c", OrderedAt: now})

	models, err := projections.Open(t.Context(), filepath.Join(t.TempDir(), "models.db"), history.Codec(), store, projections.Options{Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	defer models.Close()
	require.NoError(t, models.Rebuild(t.Context(), nil))
	require.NoError(t, models.WaitFor(t.Context(), end))
	prints := func(filter projections.CertificateFilter, limit int) (list []string) {
		page := projections.Page{Limit: limit}
		for {
			found, err := models.Certificates(t.Context(), filter, page)
			require.NoError(t, err)
			for _, c := range found.Items {
				list = append(list, c.Fingerprint)
				require.Equal(t, !filter.EndingAt.IsZero(), c.EndsSoon(now) && !filter.EndingAt.IsZero())
			}
			if page.After = found.Next; page.After == "" {
				return list
			}
		}
	}
	many := []string{"many4", "many3", "many2", "many1", "many0"}
	require.Equal(t, append(many, "held", "annulled", "ended", "last", "soon", "edge", "far"), prints(projections.CertificateFilter{}, 3))
	require.Equal(t, append(many, "held", "last", "soon", "edge"), prints(projections.CertificateFilter{EndingAt: now}, 2))
	require.Equal(t, []string{"edge", "far"}, prints(projections.CertificateFilter{Participant: "a"}, 0))
	require.Equal(t, []string{"edge"}, prints(projections.CertificateFilter{Participant: "a", EndingAt: now}, 0))
	require.Empty(t, prints(projections.CertificateFilter{Participant: "c"}, 0), "what was destroyed is not listed")
	found, err := models.Certificates(t.Context(), projections.CertificateFilter{Participant: "b"}, projections.Page{})
	require.NoError(t, err)
	require.Equal(t, certificate.StatusSuspended, found.Items[0].Status)
	require.Equal(t, certificate.StatusAnnulled, found.Items[1].Status)
	soon := found.Items[4]
	warned := now.Add(-29 * day)
	require.Equal(t, projections.Certificate{
		Fingerprint: "soon", Participant: "b", Purpose: "signing", Role: "head", Algorithm: "RSA-2048", Serial: "5f", Issuer: "CN=CA",
		NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.Add(day), Status: certificate.StatusRegistered, WarnedAt: &warned,
	}, soon)
}
