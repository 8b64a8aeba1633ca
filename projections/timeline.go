package projections

import (
	"cmp"
	"slices"
	"time"

	"dalel/domain/document"
	"dalel/domain/signature"
	"dalel/internal/fault"

	"github.com/go-json-experiment/json"
)

// writeTimes writes the timeline of a batch, the events of each document
// together: they lie together in the file.
func (d *documents) writeTimes() error {
	slices.SortFunc(d.times, func(a, b happened) int {
		return cmp.Or(cmp.Compare(a.document, b.document), cmp.Compare(a.Position, b.Position))
	})
	inserts := d.file.inserter("timeline", 10)
	for _, h := range d.times {
		party, facts := tell(h.happening)
		body, err := json.Marshal(&facts)
		if err != nil {
			return fault.Wrap(fault.ProjectionStopped, err, "facts of the event at %d", h.Position)
		}
		err = inserts.add(int64(h.document), int64(h.Position), int64(h.Revision), h.ID[:], h.Type,
			micros(h.meta.RecordedAt), h.meta.Actor, h.meta.OnBehalfOf, party, string(body))
		if err != nil {
			return err
		}
	}
	return inserts.flush()
}

// tell says whom an event is about and what else of it is worth showing.
func tell(h *happening) (party string, facts Facts) {
	at := func(t time.Time) *time.Time { return &t }
	switch e := h.event.(type) {
	case document.Created:
		return e.Sender, Facts{Kind: e.Details.Kind, Title: e.Details.Title, SenderNumber: e.Details.Number, Person: e.By.Person}
	case document.Described:
		return e.Sender, Facts{Kind: e.Details.Kind, Title: e.Details.Title, SenderNumber: e.Details.Number, Person: e.By.Person}
	case document.FileAttached:
		return e.Sender, Facts{File: e.File.Name, MediaType: e.File.MediaType, Size: e.File.Size, SHA256: e.File.SHA256, Replaces: e.Replaces, Person: e.By.Person}
	case document.FileRemoved:
		return e.Sender, Facts{File: e.Name, Person: e.By.Person}
	case document.Sent:
		facts = Facts{SenderSigns: e.SenderSigns, At: at(e.SentAt), Person: e.By.Person}
		for _, r := range e.Recipients {
			facts.Recipients = append(facts.Recipients, r.Participant)
		}
		return e.Sender, facts
	case document.Delivered:
		return e.Recipient, Facts{At: at(e.DeliveredAt)}
	case document.Viewed:
		return e.Recipient, Facts{At: at(e.ViewedAt), Person: e.By.Person}
	case document.Acknowledged:
		return e.Recipient, Facts{At: at(e.AcknowledgedAt), Person: e.By.Person}
	case document.Signed:
		return e.Party, Facts{Method: e.Method, Certificate: e.Certificate, Verdict: string(worst(e.Signatures)), At: at(e.SignedAt),
			TrustedTime: e.TrustedTime, Seal: e.Seal, Signatures: len(e.Signatures), Person: e.By.Person}
	case document.SignatureRefused:
		return e.Party, Facts{Code: string(e.Code), Verdict: string(worst(e.Signatures)), At: at(e.AttemptedAt), Signatures: len(e.Signatures), Person: e.By.Person}
	case document.Approved:
		return e.Party, Facts{At: at(e.ApprovedAt), Person: e.By.Person}
	case document.Rejected:
		return e.Party, Facts{Reason: e.Reason, At: at(e.RejectedAt), Person: e.By.Person}
	case document.Completed:
		return "", Facts{Number: e.Number, At: at(e.CompletedAt)}
	case document.Revoked:
		return e.Party, Facts{Reason: e.Reason, AfterCompletion: e.AfterCompletion, At: at(e.RevokedAt), Person: e.By.Person}
	case document.RevocationProposed:
		return e.Party, Facts{Reason: e.Reason, At: at(e.ProposedAt), Person: e.By.Person}
	case document.RevocationConsented:
		return e.Party, Facts{At: at(e.ConsentedAt), Person: e.By.Person}
	case document.RevocationDeclined:
		return e.Party, Facts{Reason: e.Reason, At: at(e.DeclinedAt), Person: e.By.Person}
	case document.Expired:
		return "", Facts{Parties: e.Parties, Deadline: at(e.Deadline), At: at(e.ExpiredAt)}
	case document.KeyCompromised:
		return "", Facts{Notice: e.Notice, Certificate: e.Certificate, CompromisedFrom: at(e.CompromisedFrom),
			Parties: e.Affected, Standing: e.Standing, At: at(e.MarkedAt)}
	}
	return "", Facts{}
}

// worst is the verdict over all files: one invalid makes it invalid, else one
// unknown makes it unknown (R-C4). "" when there are none.
func worst(signatures []document.FileSignature) signature.Status {
	var status signature.Status
	for _, s := range signatures {
		switch {
		case s.Verdict.Status == signature.Invalid:
			return signature.Invalid
		case status == "" || s.Verdict.Status != signature.Valid:
			status = s.Verdict.Status
		}
	}
	return status
}
