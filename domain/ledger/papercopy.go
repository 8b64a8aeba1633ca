package ledger

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"dalel/domain/certificate"
	"dalel/domain/document"
	"dalel/domain/participant"
	"dalel/domain/signature"
	"dalel/internal/fault"
	"dalel/internal/papercopy"
)

// Words gives the words of the pages' catalogue, so that a paper copy and the
// pages call a thing by one name.
type Words interface {
	// Text returns a message in "ru", "kk" or "en".
	Text(language, key string) string
	// Standing says in a sentence whether a signature stands.
	Standing(language string, standing document.Standing) string
}

// IssuePaperCopy makes a copy for paper (R-D10) in a language (ru, kk or en),
// keeps its bytes with the document, and records that a party was given it.
// The copy has the number State.Copies[…].Number; OpenCopy reads it.
//
// It is made of the original: where there is none, original.none (R-D11).
func (l *Ledger) IssuePaperCopy(ctx context.Context, act Act, id, language string) (Outcome, error) {
	if l.words == nil || l.checkURL == "" {
		return Outcome{}, fault.New(fault.NotSupported, "this ledger was given no public address that a paper copy could lead to")
	}
	return l.asPartyTo(ctx, act, participant.RightRead, "issue-paper-copy", id, language, func(ctx context.Context, s document.State) (document.Command, error) {
		issue := document.IssueCopy{By: act.By, Now: l.now()}
		// Nothing is made for what would be refused; what is missing of the
		// command is only what was made.
		if _, err := document.Decide(s, issue); err != nil {
			return nil, err
		}
		if err := l.original(ctx, s); err != nil {
			return nil, err
		}
		printed, err := l.paperCopy(ctx, s, act.By.Participant, language, issue.Now)
		if err != nil {
			return nil, err
		}
		leave, err := l.checks.Wait(ctx, act.By.Participant)
		if err != nil {
			return nil, err
		}
		defer leave()
		var pdf bytes.Buffer
		if err := papercopy.Make(ctx, &pdf, printed); err != nil {
			return nil, fmt.Errorf("make a paper copy: %w", err)
		}
		kept, err := l.keep(ctx, s, pdf.Bytes())
		if err != nil {
			return nil, fmt.Errorf("keep a paper copy: %w", err)
		}
		issue.Size, issue.SHA256, issue.Stored = kept.Size, kept.SHA256.String(), kept.StoredText()
		return issue, nil
	})
}

// paperCopy says what stands on a copy.
func (l *Ledger) paperCopy(ctx context.Context, s document.State, to, language string, now time.Time) (papercopy.Copy, error) {
	word := func(key string) string { return l.words.Text(language, key) }
	names := map[string]participant.State{}
	for _, id := range append(partiesOf(s), to) {
		party, err := l.Participant(ctx, id)
		if err != nil {
			return papercopy.Copy{}, err
		}
		names[id] = party.State
	}
	named := func(id string) string {
		if names[id].Erased() {
			return word("participant.erased")
		}
		return names[id].Name
	}
	c := papercopy.Copy{
		Language: language, LedgerName: l.name, CheckURL: strings.TrimSuffix(l.checkURL+s.Number, "/"), Number: s.Number, DocumentID: s.ID,
		Title: s.Details.Title, Kind: word("kind." + string(s.Details.Kind)), SenderNumber: s.Details.Number, Date: s.Details.Date,
		CopyNumber: s.NextCopy(), IssuedAt: now, IssuedTo: named(to),
	}
	for _, id := range partiesOf(s) {
		p, _ := s.Party(id)
		party := papercopy.Party{Name: named(id), Identifier: names[id].Identifier, Role: word("party.sender")}
		if names[id].Identifier != "" {
			party.IdentifierLabel = word("identifier." + string(names[id].Kind))
		}
		if id != s.Sender {
			party.Role = word("role." + string(p.Role))
		}
		if p.Outcome != "" {
			party.Outcome = word("state." + string(p.Outcome))
		}
		if p.ActedAt != nil {
			party.When = *p.ActedAt
		}
		c.Parties = append(c.Parties, party)
	}
	certificates, err := l.SignedWith(ctx, s)
	if err != nil {
		return papercopy.Copy{}, err
	}
	standings := s.Standings(certificates)
	c.Status = word("headline." + string(s.Situation(s.Weakest(standings), "").Headline()))
	for n, sig := range s.Signatures {
		owner := certificates[sig.Certificate].Owner
		printed := papercopy.Signature{
			Party: named(sig.Party), SignerName: owner.Name, Serial: owner.Serial, Issuer: owner.Issuer,
			ValidFrom: owner.NotBefore, ValidTo: owner.NotAfter, Algorithm: algorithmOf(sig, owner),
			SignedAt: sig.SignedAt, TrustedTime: sig.TrustedTime, Status: statusOf(sig), Seal: sig.Seal,
		}
		if owner.Name == "" {
			printed.SignerName = word("participant.erased")
		}
		switch standings[n].Force {
		case document.ForceLost:
			printed.Lost, printed.LostReason = true, l.words.Standing(language, standings[n])
		case document.ForceDoubt:
			printed.Doubt = l.words.Standing(language, standings[n])
		case document.ForceStands:
		}
		c.Signatures = append(c.Signatures, printed)
	}
	for _, f := range s.Files {
		ref, err := fileRef(s, f)
		if err != nil {
			return papercopy.Copy{}, err
		}
		var cautions []string
		for _, caution := range f.Cautions {
			cautions = append(cautions, word("caution."+string(caution)))
		}
		c.Files = append(c.Files, papercopy.File{
			Name: f.Name, MediaType: f.MediaType, Size: f.Size, SHA256: f.SHA256, Cautions: cautions,
			Open: func() (io.ReadCloser, error) { return l.content.Open(ctx, ref) },
		})
	}
	return c, nil
}

// algorithmOf is the algorithm of the signature itself, as its verdict names
// it.
func algorithmOf(sig document.Signature, owner certificate.Owner) string {
	for _, one := range sig.Signatures {
		for _, signer := range one.AtSigning().Signers {
			if signer.Certificate == sig.Certificate && signer.Algorithm != "" {
				return signer.Algorithm
			}
		}
	}
	return owner.Algorithm
}

// statusOf is the worst of the verdicts on a party's files, as recorded.
func statusOf(sig document.Signature) papercopy.SignatureStatus {
	worst := papercopy.Valid
	for _, one := range sig.Signatures {
		switch one.AtSigning().Status {
		case signature.Valid:
		case signature.Unknown:
			if worst == papercopy.Valid {
				worst = papercopy.Unknown
			}
		default:
			worst = papercopy.Invalid
		}
	}
	return worst
}
