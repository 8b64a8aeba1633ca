package pages

import (
	"strings"
	"testing"
	"time"

	"dalel/domain/document"
	"dalel/domain/ledger"

	"github.com/stretchr/testify/require"
)

func TestEveryStatusHasItsOwnShapeAndItsOwnWord(t *testing.T) {
	c, err := readCatalogue(messages)
	require.NoError(t, err)
	icons, err := templateFiles.ReadFile("templates/icons.html")
	require.NoError(t, err)
	said, drawn := map[string]document.Headline{}, map[string]document.Headline{}
	for _, h := range document.Headlines() {
		how := headlineLook(h)
		require.Contains(t, []string{"good", "wait", "doubt", "bad", "rest", "accent"}, how.Tone, h)
		require.Equal(t, 1, strings.Count(string(icons), `eq . "`+how.Shape+`"`), "%s is drawn as %q", h, how.Shape)
		for _, language := range Languages() {
			word := string(language) + " " + c.text(language, "headline."+string(h))
			require.Empty(t, said[word], "%s has another's word", h)
			said[word] = h
		}
		if h != document.HeadlineApprove { // one's turn, be it to sign or to approve
			require.Empty(t, drawn[how.Shape], "%s has another's shape", h)
			drawn[how.Shape] = h
		}
	}
}

func TestR_M3_TheAnswerOfACheckNeverSaysMoreThanTheStatus(t *testing.T) {
	for _, language := range Languages() {
		w := in(t, language, time.Time{})
		all := w.T("check.stand", "n", 2)
		for _, h := range document.Headlines() {
			forces := ledger.Forces{Signatures: 2}
			switch h {
			case document.HeadlineLost:
				forces.Lost = 1
			case document.HeadlineDoubt:
				forces.Doubted = 1
			}
			a := w.publicAnswer(h, forces)
			require.Equal(t, w.headline(h).look, a.look, "%s: the answer looks as the status does", h)
			if h != document.HeadlineSigned {
				require.NotEqual(t, all, a.Signed, "%s: nothing is said to stand in full", h)
				require.NotEqual(t, w.T("check.good"), a.Answer, h)
			}
		}
	}
}
