package wordstest

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheRulesSeeWhatTheyForbid(t *testing.T) {
	for _, text := range []string{"{date}-ге дейін", "{date}ға", "{n}-бет"} {
		require.True(t, kazakhEnding.MatchString(text), text)
	}
	for _, text := range []string{"Мерзімі: {date}", "№ {n} бет", "ҚР ҰКО-дан {n}"} {
		require.False(t, kazakhEnding.MatchString(text), text)
	}
	require.True(t, kazakhPostposition.MatchString("{party} атынан"))
	require.True(t, inflected.MatchString("подписано для {party}"))
	require.True(t, inflected.MatchString("от {who}"))
	for _, text := range []string{"{who}, действует за: {party}", "Отправитель: {party}", "до {date}"} {
		require.False(t, inflected.MatchString(text), text)
	}
}
