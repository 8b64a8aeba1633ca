package packet

import (
	"fmt"
	"strings"
	"time"
)

// promptly is how long after an event the first confirmation of it may come
// without a word: a log is published every second or so, and stamped every few
// minutes.
const promptly = 15 * time.Minute

// LimitKind says what a verification does not prove.
type LimitKind string

// The kinds of limits.
const (
	// LimitJournals: that the journals of an extract have these entries alone.
	LimitJournals LimitKind = "journals"
	// LimitLater: what was recorded after Until.
	LimitLater LimitKind = "later"
	// LimitEnd: that nothing was left out at the end of a stream, and what was
	// recorded after Until.
	LimitEnd LimitKind = "end"
	// LimitNoLog, LimitUnwitnessed and LimitWitnessed: that the operator shows
	// everybody the same history. There is nothing of a log, no witness of the
	// reader's vouches for it, or Witnesses alone do.
	LimitNoLog       LimitKind = "no-log"
	LimitUnwitnessed LimitKind = "unwitnessed"
	LimitWitnessed   LimitKind = "witnessed"
	// LimitClock, LimitLate and LimitBefore: when the events were recorded. There
	// is the operator's clock alone, or a confirmation that came Seconds later.
	LimitClock  LimitKind = "clock"
	LimitLate   LimitKind = "late"
	LimitBefore LimitKind = "before"
	// LimitClosed: what is in the sealed Parts that are not opened.
	LimitClosed LimitKind = "closed"
)

// LimitKinds returns every kind of limit.
func LimitKinds() []LimitKind {
	return []LimitKind{
		LimitJournals, LimitLater, LimitEnd, LimitNoLog, LimitUnwitnessed, LimitWitnessed,
		LimitClock, LimitLate, LimitBefore, LimitClosed,
	}
}

// Limit is one thing that a verification does not prove, however good it is.
type Limit struct {
	Kind LimitKind `json:"kind"`
	// Detail says it in English.
	Detail    string    `json:"detail"`
	Until     time.Time `json:"until,omitzero"`
	Witnesses []string  `json:"witnesses,omitempty"`
	Seconds   int64     `json:"seconds,omitempty"`
	Parts     int       `json:"parts,omitempty"`
}

// unproven says what a verification does not prove.
func (v *verification) unproven() []Limit {
	m := v.manifest
	if m.Format == 0 {
		return []Limit{}
	}
	until := fmt.Sprintf("position %d, recorded at %s", uint64(m.Position), utc(m.ExportedAt))
	if m.Subject.Kind == KindExtract {
		return []Limit{
			{
				Kind:   LimitJournals,
				Detail: "that the journals have these entries and no others: that is the operator's word, and a proof packet has the events themselves",
			},
			{Kind: LimitLater, Detail: "what was recorded after " + until, Until: m.ExportedAt},
		}
	}
	list := []Limit{
		{
			Kind:   LimitEnd,
			Detail: "that nothing was left out at the end of a stream, and what was recorded after " + until, Until: m.ExportedAt,
		},
		v.whoElse(),
		v.howLate(),
	}
	if v.closed > 0 {
		list = append(list, Limit{
			Kind:   LimitClosed,
			Detail: fmt.Sprintf("what is in the %d sealed parts that are not opened in this packet", v.closed), Parts: v.closed,
		})
	}
	return list
}

// whoElse says who besides the operator vouches for the checkpoint.
func (v *verification) whoElse() Limit {
	const same = "that the operator shows everybody the same history"
	switch {
	case !v.log.covered():
		return Limit{Kind: LimitNoLog, Detail: same + ": there is nothing of its transparency log in the packet"}
	case len(v.cosigners) == 0:
		return Limit{Kind: LimitUnwitnessed, Detail: same + ": no witness of yours vouches for the checkpoint"}
	}
	return Limit{
		Kind:      LimitWitnessed,
		Detail:    same + ", beyond what " + strings.Join(v.cosigners, ", ") + " vouch for, who cosigned the checkpoint",
		Witnesses: v.cosigners,
	}
}

// howLate says how long the times rest on the operator's clock alone.
func (v *verification) howLate() Limit {
	const when = "when the events were recorded"
	if v.late == nil {
		return Limit{
			Kind:   LimitClock,
			Detail: when + ": no witness and no time token that leads to your anchors is over them, and the times are the operator's clock's",
		}
	}
	late := max(*v.late, 0).Round(time.Second)
	seconds := int64(late / time.Second)
	if *v.late > promptly {
		return Limit{Kind: LimitLate, Seconds: seconds, Detail: fmt.Sprintf(
			when+", but for that it was before the first witness or time token, which came %s after the newest of them, later than a log's interval explains", late)}
	}
	return Limit{Kind: LimitBefore, Seconds: seconds, Detail: fmt.Sprintf(
		when+", more exactly than that it was before the first witness or time token, %s after the newest of them", late)}
}

func utc(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }
