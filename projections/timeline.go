package projections

import (
	"cmp"
	"context"
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
		return cmp.Or(cmp.Compare(a.number, b.number), cmp.Compare(a.Position, b.Position))
	})
	inserts := d.file.inserter("timeline", 10)
	for _, h := range d.times {
		party, facts := tell(h.happening)
		if h.gone && facts.forget() {
			d.file.forgotten = true
		}
		body, err := json.Marshal(&facts)
		if err != nil {
			return fault.Wrap(fault.ProjectionStopped, err, "facts of the event at %d", h.Position)
		}
		err = inserts.add(int64(h.number), int64(h.Position), int64(h.Revision), h.ID[:], h.Type,
			micros(h.meta.RecordedAt), h.meta.Actor, h.meta.OnBehalfOf, party, string(body))
		if err != nil {
			return err
		}
	}
	return inserts.flush()
}

// forget takes out of the facts what is sealed under the document's key, and
// reports whether there was anything.
func (f *Facts) forget() bool {
	had := f.Title != "" || f.SenderNumber != "" || f.File != "" || f.Reason != ""
	f.Title, f.SenderNumber, f.File, f.Reason = "", "", "", ""
	return had
}

// forgetTimes takes the words out of a document's timeline. What it leaves is
// what would have been written if nobody could have read them to begin with.
func (d *documents) forgetTimes(e *entry) error {
	type row struct {
		position int64
		facts    string
	}
	var changed []row
	stmt, err := d.file.prepare("SELECT position, facts FROM timeline WHERE document = ?")
	if err != nil {
		return err
	}
	rows, err := stmt.QueryContext(context.Background(), int64(e.number))
	if err != nil {
		return writeFailure(err)
	}
	defer rows.Close()
	for rows.Next() {
		var r row
		var facts Facts
		if err := rows.Scan(&r.position, &r.facts); err != nil {
			return writeFailure(err)
		}
		if err := json.Unmarshal([]byte(r.facts), &facts); err != nil {
			return fault.Wrap(fault.ProjectionStopped, err, "facts of the event at %d", r.position)
		}
		if !facts.forget() {
			continue
		}
		body, err := json.Marshal(&facts)
		if err != nil {
			return fault.Wrap(fault.ProjectionStopped, err, "facts of the event at %d", r.position)
		}
		r.facts = string(body)
		changed = append(changed, r)
	}
	if err := rows.Err(); err != nil {
		return writeFailure(err)
	}
	for _, r := range changed {
		d.file.forgotten = true
		if err := d.file.exec("UPDATE timeline SET facts = ? WHERE document = ? AND position = ?", r.facts, int64(e.number), r.position); err != nil {
			return err
		}
	}
	return nil
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
		return e.Sender, Facts{File: e.Name, SHA256: e.SHA256, Person: e.By.Person}
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
		facts = Facts{Method: e.Method, Certificate: e.Certificate, Verdict: string(worst(e.Signatures)), At: at(e.SignedAt),
			TrustedTime: e.TrustedTime, Seal: e.Seal, Signatures: len(e.Signatures), Person: e.By.Person, Attempt: e.Attempt}
		if e.Attempt > 0 {
			facts.Attempted = at(e.ReceivedAt)
		}
		return e.Party, facts
	case document.SignatureRefused:
		facts = Facts{Again: e.Again, Code: string(e.Code), Verdict: string(worst(e.Signatures)), At: at(e.AttemptedAt),
			Signatures: len(e.Signatures), Person: e.By.Person, Attempt: e.Attempt, Found: against(e.Signatures)}
		if e.Attempt > 0 {
			facts.Attempted = at(e.AttemptedAt)
		}
		return e.Party, facts
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
	case document.DoubtLifted:
		return "", Facts{Notice: e.Notice, Certificate: e.Certificate, Parties: e.Parties, At: at(e.WithdrawnAt)}
	case document.SignaturesRevoked:
		return "", Facts{Certificate: e.Certificate, CompromisedFrom: at(e.From), Parties: e.Parties, At: at(e.MarkedAt)}
	case document.SignatureDecided:
		return e.Party, Facts{Signature: e.Signature, Ruling: e.Ruling, Reason: e.Ground, Certificate: e.Certificate, At: at(e.DecidedAt)}
	case document.SignaturesDoubted:
		return "", Facts{Notice: e.Notice, Certificate: e.Certificate, CompromisedFrom: at(e.CompromisedFrom),
			Parties: e.Affected, Standing: e.Standing, At: at(e.MarkedAt)}
	case document.FileRefused:
		return e.Sender, Facts{File: e.Name, MediaType: e.MediaType, Code: string(e.Code), At: at(e.AttemptedAt), Person: e.By.Person}
	case document.ExemplarIssued:
		return e.Party, Facts{Exemplar: e.Exemplar, At: at(e.IssuedAt), Person: e.By.Person}
	case document.PaperCopyIssued:
		return e.Party, Facts{Copy: e.Copy, Size: e.Size, SHA256: e.SHA256, At: at(e.IssuedAt), Person: e.By.Person}
	case document.HoldPlaced:
		// Ground and reason are between the operator and whoever asked for
		// the hold.
		return "", Facts{Hold: e.Hold, At: at(e.PlacedAt)}
	case document.HoldLifted:
		return "", Facts{Hold: e.Hold, At: at(e.LiftedAt)}
	case document.DestructionRequested:
		return e.Party, Facts{Reason: e.Reason, SHA256: e.Letter.SHA256, At: at(e.RequestedAt), Person: e.By.Person}
	case document.DestructionProposed:
		return "", Facts{Rule: e.Rule, RetainedUntil: at(e.RetainedUntil), At: at(e.ProposedAt)}
	case document.DestructionOrdered:
		return "", Facts{Basis: e.Basis, Rule: e.Rule, RetainedUntil: e.RetainedUntil, Parties: e.Requests, At: at(e.OrderedAt)}
	case document.Destroyed:
		return "", Facts{At: at(e.DestroyedAt)}
	}
	return "", Facts{}
}

// against are the codes, each once, of what kept signatures from being valid at
// the moment of signing.
func against(signatures []document.FileSignature) []string {
	var codes []string
	add := func(reasons []signature.Reason) {
		for _, r := range reasons {
			if signature.StatusOf(r.Code) != signature.Valid && !slices.Contains(codes, r.Code) {
				codes = append(codes, r.Code)
			}
		}
	}
	for _, s := range signatures {
		verdict := s.AtSigning()
		add(verdict.Reasons)
		for _, signer := range verdict.Signers {
			add(signer.Reasons)
		}
	}
	return codes
}

// worst is the verdict, for the moment of signing, over all files: one invalid makes it invalid, else one
// unknown makes it unknown (R-C4). "" when there are none.
func worst(signatures []document.FileSignature) signature.Status {
	var status signature.Status
	for _, s := range signatures {
		switch {
		case s.AtSigning().Status == signature.Invalid:
			return signature.Invalid
		case status == "" || s.AtSigning().Status != signature.Valid:
			status = s.AtSigning().Status
		}
	}
	return status
}
