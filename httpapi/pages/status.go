package pages

import (
	"time"

	"dalel/domain/document"
)

// This file has the one status of a document and how marks look. A shape and a
// word say the same as the colour does, so that nothing depends on seeing it.

// look is a tone of the style sheet and a shape of the template "icon".
type look struct{ Tone, Shape string }

// The looks of what is no document's status.
var (
	lookGood    = look{"good", "check"}
	lookBad     = look{"bad", "cross"}
	lookDoubt   = look{"doubt", "triangle"}
	lookUnknown = look{"doubt", "half-ring"}
	lookLate    = look{"doubt", "hourglass"}
	lookEnded   = look{"rest", "hourglass"}
	lookWait    = look{"wait", "clock"}
	lookRest    = look{"rest", "dot"}
	lookHeld    = look{"rest", "padlock"}
	lookGone    = look{"rest", "sheet-crossed"}
	lookTurn    = look{"accent", "arrow"}
	lookLost    = look{"bad", "broken-ring"}
)

// badge is a word that stands out.
type badge struct {
	look
	Text string
}

// headlineLook is the shape and the tone of each status, in the order of
// [document.Headlines].
func headlineLook(h document.Headline) look {
	return map[document.Headline]look{
		document.HeadlineDestroyed:          lookGone,
		document.HeadlineRevoked:            {"rest", "back"},
		document.HeadlineLost:               lookLost,
		document.HeadlineRejected:           lookBad,
		document.HeadlineDoubt:              lookDoubt,
		document.HeadlineRevocationProposed: {"doubt", "back-dashed"},
		document.HeadlineExpired:            lookEnded,
		document.HeadlineChecking:           lookUnknown,
		document.HeadlineSign:               lookTurn,
		document.HeadlineApprove:            lookTurn,
		document.HeadlineRead:               {"accent", "eye"},
		document.HeadlineSent:               {"wait", "envelope"},
		document.HeadlineWaiting:            lookWait,
		document.HeadlineSigned:             {"good", "check-ring"},
		document.HeadlineFileRefused:        {"bad", "sheet-cross"},
		document.HeadlineDraft:              {"rest", "sheet-dashed"},
	}[h]
}

// headline is a document's one status.
func (w words) headline(h document.Headline) badge {
	return badge{headlineLook(h), w.T("headline." + string(h))}
}

// marks are lines of text under a status: whose turn it is where the status
// says something graver, the deadline, a legal hold. None of them is a second
// status.
func (w words) marks(h document.Headline, turn, held bool, deadline *time.Time) []badge {
	var list []badge
	if turn && h != document.HeadlineSign && h != document.HeadlineApprove {
		list = append(list, badge{lookTurn, w.T("mark.turn")})
	}
	if deadline != nil {
		due, how := w.due(*deadline), lookWait
		if due.Overdue {
			how = lookLate
		}
		list = append(list, badge{how, due.Text})
	}
	if held {
		list = append(list, badge{lookHeld, w.T("mark.held")})
	}
	return list
}
