package fsck

import (
	"dalel/domain/certificate"
	"dalel/domain/checkpoint"
	"dalel/domain/content"
	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/domain/founding"
	"dalel/domain/participant"
)

// References returns all content that an event refers to. With an error it
// returns those that it could read.
func References(happened event.Event) ([]content.Ref, error) {
	var list []content.Ref
	var failed error
	add := func(subject, sha, stored string, size int64) {
		ref, err := content.ParseRef(subject, sha, stored, size)
		if err != nil {
			failed = err
			return
		}
		list = append(list, ref)
	}
	signatures := func(id string, all []document.FileSignature) {
		subject := event.Subject("document", id)
		for _, sig := range all {
			add(subject, sig.CMS, sig.Stored, -1)
			for _, piece := range sig.Evidence {
				add(subject, piece.SHA256, piece.Stored, -1)
			}
			if sig.Stored != "" {
				continue
			}
			// Older versions kept in clear each certificate that the verdict
			// names.
			for _, signer := range sig.Verdict.Signers {
				if signer.Certificate != "" {
					add(subject, signer.Certificate, "", -1)
				}
				for _, fingerprint := range signer.Chain {
					add(subject, fingerprint, "", -1)
				}
			}
		}
	}
	switch e := happened.(type) {
	case document.FileAttached:
		add(event.Subject("document", e.Document), e.File.SHA256, e.File.Stored, e.File.Size)
	case document.Signed:
		signatures(e.Document, e.Signatures)
	case document.SignatureRefused:
		signatures(e.Document, e.Signatures)
	case document.PaperCopyIssued:
		add(event.Subject("document", e.Document), e.SHA256, e.Stored, e.Size)
	case document.DestructionRequested:
		add(event.Subject("participant", operator), e.Letter.SHA256, e.Letter.Stored, e.Letter.Size)
	case participant.ErasureRequested:
		add(event.Subject("participant", operator), e.Letter.SHA256, e.Letter.Stored, e.Letter.Size)
	case checkpoint.TimeStamped:
		add("", e.Token, "", e.Bytes)
	case checkpoint.EvidenceKept:
		for _, piece := range e.Pieces {
			add("", piece.SHA256, "", piece.Bytes)
		}
	case founding.Founded:
		add("", e.Content, "", e.Bytes)
	case certificate.Registered:
		add(event.Subject("participant", e.Participant), e.Certificate, e.Stored, -1)
	case certificate.Revoked:
		add("", e.SHA256, "", -1)
	}
	return list, failed
}

// operator is the participant under whose key letters are kept.
const operator = "operator"
