package pages_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestR_C2_AnchorsAreShownWithTheirFingerprintsAndTheirHistory(t *testing.T) {
	h := newStory("x", "Issuer").serve(t)
	for _, who := range []string{"operator", "auditor"} {
		text := check(t, get(t, h, who, "/operator/trust", "en").Body.String())
		require.Contains(t, strings.ReplaceAll(text, "\n", ""), "AF77725F8328BB24F89D81DA3ACDF7CEE4324248538B7BA2CD2A860517FB9DCA")
		require.Contains(t, text, "Known: the national authority, 2022")
		require.Contains(t, text, "Unknown here: compare the fingerprint")
		require.Contains(t, text, "2 trusted authorities")
		history := text[strings.Index(text, "History of trust"):]
		require.Less(t, strings.Index(history, "Removed"), strings.Index(history, "Added"), "the latest first")
		require.Contains(t, history, "found when a node started, with no command")
		require.Contains(t, text, "by a command of the operator")
	}
	require.Equal(t, 403, get(t, h, "participant", "/operator/trust", "en").Code)
}

func TestR_C5_AParticipantSeesWhichOfItsCertificatesEndSoon(t *testing.T) {
	s := newStory("x", "Issuer")
	h := s.serve(t)
	text := check(t, get(t, h, "participant", "/certificates", "en").Body.String())
	require.Equal(t, astana, s.certificates.Participant)
	require.Contains(t, text, "Ends soon")
	require.Contains(t, text, "A warning was recorded 20\u00a0Nov")
	require.Equal(t, 1, strings.Count(text, "Ends soon"))
	require.Contains(t, text, "2 certificates shown")
	get(t, h, "participant", "/certificates?participant="+almaty, "en")
	require.Equal(t, astana, s.certificates.Participant, "nobody else's are asked for")

	text = check(t, get(t, h, "operator", "/operator/certificates?ends=soon", "en").Body.String())
	require.False(t, s.certificates.EndingAt.IsZero())
	require.Contains(t, text, "2 certificates shown")
	require.NotContains(t, text, "Annulled")
	text = check(t, get(t, h, "operator", "/operator/certificates", "en").Body.String())
	require.Contains(t, text, "Annulled")
	require.Contains(t, text, "Ended")
	body := get(t, h, "auditor", "/operator/certificates?ends=soon&participant="+astana, "en").Body.String()
	require.Contains(t, body, "participant="+astana, "the next page is of the same list")
	require.Equal(t, astana, s.certificates.Participant)
	require.Equal(t, 403, get(t, h, "participant", "/operator/certificates", "en").Code)
}

func TestR_C7_ACertificatesNoticesSayWhoTookThemHowAndHowFastTheKeyStopped(t *testing.T) {
	s := newStory("x", "Issuer")
	s.certs[strings.Repeat("c", 64)] = s.certs[keyHash]
	text := check(t, get(t, s.serve(t), "operator", "/operator/certificates", "en").Body.String())
	for _, want := range []string{"Notice of compromise, 20\u00a0Nov, 13:25", "by phone", "Ахметова Д. С., дежурный офицер", "Флеш-носитель потерян", "after 1 minute, in time"} {
		require.Contains(t, text, want)
	}
}
