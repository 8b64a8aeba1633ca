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

// unproven says in words what a verification does not prove.
func (v *verification) unproven() []string {
	m := v.manifest
	if m.Format == 0 {
		return []string{}
	}
	until := fmt.Sprintf("position %d, recorded at %s", uint64(m.Position), utc(m.ExportedAt))
	if m.Subject.Kind == KindExtract {
		return []string{
			"that the journals have these entries and no others: that is the operator's word, and a proof packet has the events themselves",
			"what was recorded after " + until,
		}
	}
	list := []string{
		"that nothing was left out at the end of a stream, and what was recorded after " + until,
		v.whoElse(),
		v.howLate(),
	}
	if v.closed > 0 {
		list = append(list, fmt.Sprintf("what is in the %d sealed parts that are not opened in this packet", v.closed))
	}
	return list
}

// whoElse says who besides the operator vouches for the checkpoint.
func (v *verification) whoElse() string {
	switch {
	case !v.log.covered():
		return "that the operator shows everybody the same history: there is nothing of its transparency log in the packet"
	case len(v.cosigners) == 0:
		return "that the operator shows everybody the same history: no witness of yours vouches for the checkpoint"
	}
	return "that the operator shows everybody the same history, beyond what " + strings.Join(v.cosigners, ", ") + " vouch for, who cosigned the checkpoint"
}

// howLate says how long the times rest on the operator's clock alone.
func (v *verification) howLate() string {
	switch {
	case v.late == nil:
		return "when the events were recorded: no witness and no time token that leads to your anchors is over them, and the times are the operator's clock's"
	case *v.late > promptly:
		return fmt.Sprintf("when the events were recorded, but for that it was before the first witness or time token, which came %s after the newest of them, later than a log's interval explains", v.late.Round(time.Second))
	}
	return fmt.Sprintf("when the events were recorded, more exactly than that it was before the first witness or time token, %s after the newest of them", max(*v.late, 0).Round(time.Second))
}

func utc(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }
