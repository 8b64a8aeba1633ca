package pages_test

import (
	"testing"
	"time"

	"dalel/domain/checkpoint"
	"dalel/eventstore"
	"dalel/internal/fault"
	"dalel/projections/transparency"

	"github.com/stretchr/testify/require"
)

type logStatus transparency.Status

func (l logStatus) Status() transparency.Status { return transparency.Status(l) }
func (logStatus) Newest() checkpoint.Signed     { return checkpoint.Signed{} }

func TestR_M4_TheOperatorsPageSaysHowTheLogIs(t *testing.T) {
	when := time.Date(2026, 6, 1, 9, 0, 0, 0, time.UTC)
	root := eventstore.Hash{0xab}
	live := transparency.Status{
		Origin: "dalel.example/log", Phase: transparency.PhaseLive, Integrated: 1234, Published: 1200, Root: &root, PublishedAt: &when,
		Witnesses:   []transparency.Asked{{Name: "good.example", Size: 1200, At: &when}, {Name: "silent.example", Failures: 7, Code: fault.Unavailable}},
		Authorities: []transparency.Asked{{Name: "nca <tsa>"}},
		Evidence:    []transparency.Asked{{Name: "nca <tsa>", Failures: 2, Code: "authority.timed-out"}},
		Renewal:     &transparency.Renewal{At: when.AddDate(2, 0, 0), Authority: "nca <tsa>", Why: "its certificate ends"},
	}
	stopped := transparency.Status{Origin: "dalel.example/log", Phase: transparency.PhaseStopped, Code: fault.LogDiverged, Detail: "an event"}
	waiting := transparency.Status{Origin: "dalel.example/log", Phase: transparency.PhaseWaiting, Code: fault.BlobFailed}
	for name, test := range map[string]struct {
		status *transparency.Status
		lang   string
		want   []string
		not    []string
	}{
		"working":            {&live, "en", []string{"working", "1234", "1200", "ab0000", "good.example", "answers", "does not answer, tries: 7", "nca <tsa>", "no answer yet", "authority.timed-out", "Whether a time-stamping authority is revoked", "Time stamps to be renewed by", "2028", "dalel.example/log+00000000+AAAA"}, []string{"has stopped"}},
		"stopped":            {&stopped, "en", []string{"signs nothing any more", "log.diverged"}, []string{"waits and tries"}},
		"stopped in Russian": {&stopped, "ru", []string{"больше ничего не подписывает"}, nil},
		"stopped in Kazakh":  {&stopped, "kk", []string{"енді ештеңеге қол қоймайды"}, nil},
		"waiting":            {&waiting, "en", []string{"waits and tries again", "blob.failed"}, []string{"has stopped"}},
		"none":               {nil, "en", []string{"keeps no transparency log"}, []string{"Who confirms it"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStory("x", "y")
			if test.status != nil {
				s.log = logStatus(*test.status)
			}
			for _, who := range []string{"operator", "auditor"} {
				text := seen(t, s, who, "/operator/log", test.lang)
				for _, want := range test.want {
					require.Contains(t, text, want)
				}
				for _, not := range test.not {
					require.NotContains(t, text, not)
				}
			}
		})
	}
}
