package ledger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"dalel/domain/access"
	"dalel/domain/certificate"
	"dalel/domain/content"
	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/domain/fileformat"
	"dalel/domain/identifier"
	"dalel/domain/participant"
	"dalel/domain/signature"
	"dalel/domain/wording"
	"dalel/eventstore"
	"dalel/internal/crl"
	"dalel/internal/fault"
	"dalel/internal/wrapping"

	"golang.org/x/sync/errgroup"
)

// MaxCMSBytes is the size of one CMS at most, and MaxSignatureBytes that of a file
// with it in PEM or base64, or of an answer of NCALayer with it.
const (
	MaxCMSBytes       = 4 << 20
	MaxSignatureBytes = MaxCMSBytes/2*3 + 4096
)

// CreateDocument makes a draft of the acting participant's (R-D1).
func (l *Ledger) CreateDocument(ctx context.Context, act Act, details document.Details) (Outcome, error) {
	if _, err := l.mayAct(ctx, act, participant.RightDraft); err != nil {
		return Outcome{}, err
	}
	id, err := l.newID(act, "document")
	if err != nil {
		return Outcome{}, err
	}
	details = details.Tidy()
	return l.onDocument(ctx, act, "create-document", id, details, func(context.Context, document.State) (document.Command, error) {
		return document.Create{Document: id, By: act.By, Details: details}, nil
	})
}

// DescribeDocument replaces a draft's details.
func (l *Ledger) DescribeDocument(ctx context.Context, act Act, id string, details document.Details) (Outcome, error) {
	details = details.Tidy()
	return l.asParty(ctx, act, participant.RightDraft, "describe-document", id, details, func([]event.Reference) document.Command {
		return document.Describe{By: act.By, Details: details}
	})
}

// AttachFile stores content and adds it to a draft under a name; a file of
// that name is replaced. The content must be what mediaType says (R-D2). If
// anything fails, the draft is as it was.
func (l *Ledger) AttachFile(ctx context.Context, act Act, id, name, mediaType string, from io.Reader) (Outcome, document.File, error) {
	if _, err := l.mayAct(ctx, act, participant.RightDraft); err != nil {
		return Outcome{}, document.File{}, err
	}
	// Refuse before taking in gigabytes what would be refused after.
	before, err := l.visible(ctx, act, id)
	if err != nil {
		return Outcome{}, document.File{}, err
	}
	format, err := fileformat.Lookup(mediaType)
	if err != nil {
		return Outcome{}, document.File{}, err
	}
	name = wording.Tidy(name)
	if err := format.CheckExtension(name); err != nil {
		return Outcome{}, document.File{}, err
	}
	file := document.File{Name: name, MediaType: format.MediaType}
	if _, err := document.Decide(before.State, document.AttachFile{By: act.By, File: file}); err != nil && !fault.Is(err, fault.DocumentState) {
		return Outcome{}, document.File{}, err
	}
	staged, cautions, err := l.receive(ctx, act, id, format, from)
	if refusal := asFault(err); refusal != nil && refused(refusal.Code) {
		outcome, err := l.asParty(ctx, act, participant.RightDraft, "attach-file", id, []string{name, file.MediaType, string(refusal.Code)}, func([]event.Reference) document.Command {
			return document.RefuseFile{By: act.By, Name: name, MediaType: file.MediaType, Refusal: refusal, Now: l.now()}
		})
		return outcome, document.File{}, err
	}
	if err != nil {
		return Outcome{}, document.File{}, fmt.Errorf("receive the file: %w", err)
	}
	defer staged.Discard()
	file.Size, file.SHA256 = staged.Size, staged.SHA256.String()
	// The request is what the caller sent: the address is another each time.
	request := file
	file.Cautions = cautions
	outcome, err := l.asPartyTo(ctx, act, participant.RightDraft, "attach-file", id, request, func(ctx context.Context, _ document.State) (document.Command, error) {
		if file.Stored == "" {
			kept, err := staged.Keep(ctx, time.Time{})
			if err != nil {
				return nil, err
			}
			file.Stored = kept.StoredText()
		}
		return document.AttachFile{By: act.By, File: file}, nil
	})
	return outcome, file, err
}

// refused reports whether a code says that a file was looked at and is not
// taken, which is recorded (R-D2); anything else is no verdict on the file.
func refused(code fault.Code) bool {
	return code == fault.FileNotAsClaimed || code == fault.FileTooLarge || code == fault.FileMalware
}

// receive takes a file in as far as the checks on arrival (R-D2): type by
// content, structure, size, malware where a scanner is set up.
func (l *Ledger) receive(ctx context.Context, act Act, id string, format fileformat.Format, from io.Reader) (*content.Staged, []fileformat.Caution, error) {
	staged, err := l.content.Stage(ctx, documentKey(id), format.Reader(from), document.MaxFileBytes)
	if fault.Is(err, fault.RequestTooLarge) {
		return nil, nil, fault.New(fault.FileTooLarge, "a file has at most %d bytes", int64(document.MaxFileBytes))
	}
	if err != nil {
		return nil, nil, err
	}
	cautions, err := l.examine(ctx, act, format, staged)
	if err != nil {
		staged.Discard()
		return nil, nil, err
	}
	return staged, cautions, nil
}

// examine looks into staged content: its structure, and malware where a
// scanner is set up. It returns the cautions of a good file.
func (l *Ledger) examine(ctx context.Context, act Act, format fileformat.Format, staged *content.Staged) ([]fileformat.Caution, error) {
	leave, err := l.checks.Wait(ctx, act.By.Participant)
	if err != nil {
		return nil, err
	}
	defer leave()
	cautions, err := format.Check(ctx, staged, staged.Size)
	if err != nil || l.scanner == nil {
		return cautions, err
	}
	return cautions, l.scanner.Scan(ctx, staged.Reader())
}

// RemoveFile takes a file out of a draft.
func (l *Ledger) RemoveFile(ctx context.Context, act Act, id, name string) (Outcome, error) {
	name = wording.Tidy(name)
	return l.asParty(ctx, act, participant.RightDraft, "remove-file", id, name, func([]event.Reference) document.Command {
		return document.RemoveFile{By: act.By, Name: name}
	})
}

// Recipient is a recipient as a sender names it: by participant id, or by
// IIN, BIN or internal number, with the kind where an IIN means two.
type Recipient struct {
	Participant string           `json:"participant,omitempty"`
	Identifier  string           `json:"identifier,omitempty"`
	Kind        participant.Kind `json:"kind,omitempty"`
	Role        document.Role    `json:"role"`
	Method      document.Method  `json:"method,omitempty"`
	Order       int              `json:"order"`
	Deadline    *time.Time       `json:"deadline,omitempty"`
}

// SendDocument fixes files and route and starts it (R-D3).
func (l *Ledger) SendDocument(ctx context.Context, act Act, id string, senderSigns bool, recipients []Recipient) (Outcome, error) {
	relied, err := l.mayAct(ctx, act, participant.RightSend)
	if err != nil {
		return Outcome{}, err
	}
	if len(recipients) > document.MaxRecipients {
		return Outcome{}, fault.New(fault.RouteInvalid, "a route has 1 to %d recipients", document.MaxRecipients)
	}
	request := map[string]any{"senderSigns": senderSigns, "recipients": recipients}
	return l.onDocument(ctx, act, "send-document", id, request, func(ctx context.Context, s document.State) (document.Command, error) {
		if !s.CanSee(act.By.Participant) {
			return nil, unknownDocument()
		}
		// From here on nobody may be able to remove the files.
		if err := l.retain(ctx, s, l.endingNow(s)); err != nil {
			return nil, err
		}
		send := document.Send{By: act.By, SenderSigns: senderSigns, Known: map[string]bool{}, ReliedOn: slices.Clone(relied), Now: l.now()}
		for i, r := range recipients {
			found, err := l.recipient(ctx, r)
			if errors.Is(err, errNoSuchRecipient) {
				return nil, fault.New(fault.RecipientUnknown, "recipient %d is not a participant of this ledger", i+1)
			}
			if fault.Is(err, fault.ParticipantAmbiguous) {
				return nil, fault.New(fault.ParticipantAmbiguous, "two participants have the identifier of recipient %d; say which by the kind, natural-person or sole-trader", i+1)
			}
			if err != nil {
				return nil, err
			}
			send.Known[found.State.ID] = true
			send.ReliedOn = append(send.ReliedOn, found.Reference())
			route := document.Recipient{Participant: found.State.ID, Role: r.Role, Method: r.Method, Order: max(r.Order, 1)}
			if r.Role == document.RoleSign && r.Method == "" {
				route.Method = document.MethodCertificate
			}
			if r.Deadline != nil {
				deadline := r.Deadline.UTC().Truncate(time.Microsecond)
				route.Deadline = &deadline
			}
			send.Recipients = append(send.Recipients, route)
		}
		return send, nil
	})
}

var errNoSuchRecipient = errors.New("no such recipient")

func (l *Ledger) recipient(ctx context.Context, r Recipient) (Snapshot[participant.State], error) {
	id := r.Participant
	if r.Identifier != "" {
		number := identifier.Bare(r.Identifier)
		if len(number) != identifier.Length {
			return Snapshot[participant.State]{}, fault.New(fault.IdentifierInvalid, "a recipient's identifier has %d characters, not %d", identifier.Length, len(number))
		}
		held, err := l.claims(ctx, number)
		if err != nil {
			return Snapshot[participant.State]{}, err
		}
		found, err := r.among(held.State)
		if err != nil {
			return Snapshot[participant.State]{}, err
		}
		id = found
	}
	snapshot, err := l.Participant(ctx, id)
	if fault.Is(err, fault.ParticipantUnknown) || err == nil && r.Kind != "" && snapshot.State.Kind != r.Kind {
		err = errNoSuchRecipient
	}
	return snapshot, err
}

// among returns which of those who have the recipient's identifier it is.
func (r Recipient) among(claims participant.Claims) (string, error) {
	if r.Participant != "" {
		for _, kind := range claims.Kinds() {
			if claims.Of(kind) == r.Participant {
				return r.Participant, nil
			}
		}
		return "", errNoSuchRecipient
	}
	id, err := claims.One(r.Kind)
	if fault.Is(err, fault.ParticipantUnknown) {
		err = errNoSuchRecipient
	}
	return id, err
}

// DeliverDue accounts a document to the recipients whose turn has come
// (R-D7). The delivery process calls it; it may be repeated without harm.
func (l *Ledger) DeliverDue(ctx context.Context, id string) error {
	return l.bySystem(ctx, "deliver", id, func(context.Context, document.State) (document.Command, error) {
		return document.DeliverDue{Now: l.now()}, nil
	})
}

// Expire ends a document whose deadline has passed.
func (l *Ledger) Expire(ctx context.Context, id string) error {
	return l.bySystem(ctx, "expire", id, func(context.Context, document.State) (document.Command, error) {
		return document.Expire{Now: l.now()}, nil
	})
}

// NoteCertificate tells a document's parties what stands against a certificate
// with which it was signed (R-C8). The compromise process calls it; it may be
// repeated without harm. Whether a signature stands does not depend on it.
func (l *Ledger) NoteCertificate(ctx context.Context, id, fingerprint string) error {
	return l.bySystem(ctx, "note-certificate", id, func(ctx context.Context, s document.State) (document.Command, error) {
		held, err := l.Certificate(ctx, fingerprint)
		if err != nil {
			return nil, err
		}
		return document.NoteCertificate{State: held.State, ReliedOn: []event.Reference{held.Reference()}, Now: l.now()}, nil
	})
}

// DecideSignature records the operator's decision on a signature in doubt
// (R-C8), which is one of a document's from 1.
func (l *Ledger) DecideSignature(ctx context.Context, act Act, id string, number int, ruling document.Ruling, ground string) (Outcome, error) {
	if err := require(act, access.RoleOperator); err != nil {
		return Outcome{}, err
	}
	request := map[string]any{"signature": number, "ruling": ruling, "ground": ground}
	return l.onDocument(ctx, act, "decide-signature", id, request, func(ctx context.Context, s document.State) (document.Command, error) {
		decide := document.DecideSignature{By: act.By, Signature: number, Ruling: ruling, Ground: ground, Now: l.now()}
		if number >= 1 && number <= len(s.Signatures) {
			held, err := l.Certificate(ctx, s.Signatures[number-1].Certificate)
			if err != nil {
				return nil, err
			}
			decide.State, decide.ReliedOn = held.State, []event.Reference{held.Reference()}
		}
		return decide, nil
	})
}

// SignedWith returns the states of the certificates with which a document was
// signed, by fingerprint, each from its own stream: what a reader needs to say
// whether the signatures stand ([document.State.Standings]).
func (l *Ledger) SignedWith(ctx context.Context, s document.State) (map[string]certificate.State, error) {
	states := map[string]certificate.State{}
	for _, fingerprint := range s.Certificates() {
		held, err := l.Certificate(ctx, fingerprint)
		if err != nil {
			return nil, fmt.Errorf("read the certificate of a signature: %w", err)
		}
		states[fingerprint] = held.State
	}
	return states, nil
}

// Standings says of each signature of a document whether it stands, from the
// streams of its certificates.
func (l *Ledger) Standings(ctx context.Context, s document.State) ([]document.Standing, error) {
	certificates, err := l.SignedWith(ctx, s)
	if err != nil {
		return nil, err
	}
	return s.Standings(certificates), nil
}

func (l *Ledger) bySystem(ctx context.Context, name, id string, make func(context.Context, document.State) (document.Command, error)) error {
	_, err := l.onDocument(ctx, SystemAct(), name, id, nil, make)
	return err
}

// ViewDocument records that a recipient opened the document; the sender's
// own looks are not recorded.
func (l *Ledger) ViewDocument(ctx context.Context, act Act, id string) (Outcome, error) {
	if _, err := l.mayAct(ctx, act, participant.RightRead); err != nil {
		return Outcome{}, err
	}
	return l.onDocument(ctx, act, "view-document", id, nil, func(_ context.Context, s document.State) (document.Command, error) {
		switch {
		case !s.CanSee(act.By.Participant):
			return nil, unknownDocument()
		case act.By.Participant == s.Sender:
			return nil, nil
		}
		return document.View{By: act.By, Now: l.now()}, nil
	})
}

// AcknowledgeDocument records that a recipient confirms to have the document.
func (l *Ledger) AcknowledgeDocument(ctx context.Context, act Act, id string) (Outcome, error) {
	return l.asParty(ctx, act, participant.RightSend, "acknowledge-document", id, nil, func([]event.Reference) document.Command {
		return document.Acknowledge{By: act.By, Now: l.now()}
	})
}

// SubmittedSignature is one CMS over one file of a document.
type SubmittedSignature struct {
	// File is the file's name.
	File string `json:"file"`
	// CMS is a CMS SignedData in DER or BER, detached, or attached with
	// exactly the file's bytes in it; or that in PEM or base64, or in an answer of
	// NCALayer (see package wrapping). The CMS itself is kept, in DER or BER as the
	// signer's program made it, and no wrapping of it.
	CMS []byte `json:"cms"`
}

// SignDocument takes a party's signatures over all of a document's files
// (R-E1: made on the signer's own device). They count only if every one is
// valid now and the certificate is registered for the party, good and not
// compromised; else the attempt is recorded, and the refusal is the error
// (R-E3).
func (l *Ledger) SignDocument(ctx context.Context, act Act, id string, submitted []SubmittedSignature) (Outcome, error) {
	relied, err := l.mayAct(ctx, act, participant.RightSign)
	if err != nil {
		return Outcome{}, err
	}
	if len(submitted) == 0 || len(submitted) > document.MaxFiles {
		return Outcome{}, fault.New(fault.SignatureIncomplete, "give one signature for each file")
	}
	before, err := l.visible(ctx, act, id)
	if err != nil {
		return Outcome{}, err
	}
	// Nothing is verified or stored for somebody who may not sign just now. A
	// repeated command may not either, and is answered from the stream.
	probe := document.Sign{By: act.By, Method: document.MethodCertificate, Now: l.now()}
	if _, err := document.Decide(before.State, probe); err != nil {
		return l.onDocument(ctx, act, "sign-document", id, submitted, func(_ context.Context, s document.State) (document.Command, error) {
			if _, err := document.Decide(s, probe); err != nil {
				return nil, err
			}
			return nil, fault.New(fault.StreamConflict, "the document changed meanwhile; try again")
		})
	}
	sign := probe
	if sign.Signatures, err = l.verify(ctx, before.State, submitted, sign.Now); err != nil {
		return Outcome{}, err
	}
	signer, err := l.signer(ctx, sign.Signatures, act.By.Participant)
	if err != nil {
		return Outcome{}, err
	}
	sign.Certificate = signer
	var number string
	return l.onDocument(ctx, act, "sign-document", id, submitted, func(ctx context.Context, s document.State) (document.Command, error) {
		c := sign
		c.ReliedOn = slices.Clone(relied)
		if signer != "" {
			held, err := load(ctx, l, certificate.StreamID(signer), certificate.Evolve, "")
			if err != nil {
				return nil, err
			}
			if c.Objection, err = l.objection(ctx, act.By, held.State, c.Now); err != nil {
				return nil, err
			}
			c.Seal = held.State.Owner.BIN != ""
			if held.Head.Next > 0 {
				c.ReliedOn = append(c.ReliedOn, held.Reference())
			}
		}
		c.Number, err = l.numberIfLast(ctx, act, s, c, &number)
		return c, err
	})
}

// objection says why a certificate's signature by somebody does not count, nil
// if it does: whose it is, its state, and whether the person who acts is the one
// whom it names. Nobody signs with a colleague's key.
func (l *Ledger) objection(ctx context.Context, by event.By, signedWith certificate.State, now time.Time) (*fault.Error, error) {
	if objection := asFault(signedWith.CheckSigning(by.Participant, now)); objection != nil {
		return objection, nil
	}
	if by.Person == "" || by.Person == by.Participant || signedWith.IIN == "" {
		return nil, nil
	}
	person, err := l.Participant(ctx, by.Person)
	if err != nil {
		return nil, fmt.Errorf("who signs: %w", err)
	}
	if person.State.Identifier != signedWith.IIN {
		return fault.New(fault.CertificateOfAnother, "the certificate names another person than the one who acts"), nil
	}
	return nil, nil
}

// verify judges each submitted signature over its file and keeps it, with the
// certificates that its verdict names.
func (l *Ledger) verify(ctx context.Context, s document.State, submitted []SubmittedSignature, at time.Time) ([]document.FileSignature, error) {
	var signatures []document.FileSignature
	for _, sub := range submitted {
		file, ok := s.File(wording.Tidy(sub.File))
		if !ok {
			return nil, fault.New(fault.FileUnknown, "the document has no file of that name")
		}
		if slices.ContainsFunc(signatures, func(fs document.FileSignature) bool { return fs.File == file.SHA256 }) {
			return nil, fault.New(fault.SignatureIncomplete, "two signatures for one file")
		}
		message, err := unwrapped(sub.CMS)
		if err != nil {
			return nil, err
		}
		ref, err := fileRef(s, file)
		if err != nil {
			return nil, err
		}
		found, err := l.assess(ctx, ref, message, at, nil)
		if err != nil {
			return nil, err
		}
		kept, err := l.keep(ctx, s, message)
		if err != nil {
			return nil, fmt.Errorf("store a signature: %w", err)
		}
		one, err := l.keepEvidence(ctx, s, document.FileSignature{File: file.SHA256, CMS: kept.SHA256.String(), Stored: kept.StoredText()}, found)
		if err != nil {
			return nil, err
		}
		signatures = append(signatures, one)
	}
	return signatures, nil
}

// unwrapped takes the CMS out of what was handed over. Errors: request.too-large,
// signature.cancelled, signature.not-made, signature.unreadable.
func unwrapped(data []byte) ([]byte, error) {
	tooLarge := fault.New(fault.RequestTooLarge, "a signature has at most %d bytes", MaxCMSBytes)
	if len(data) > MaxSignatureBytes {
		return nil, tooLarge
	}
	content, err := wrapping.Open(data)
	switch {
	case errors.Is(err, wrapping.ErrCancelled):
		return nil, fault.Wrap(fault.SignatureCancelled, err, "NCALayer's answer says that it was cancelled")
	case errors.Is(err, wrapping.ErrFailed):
		return nil, fault.Wrap(fault.SignatureNotMade, err, "%v", err)
	case err != nil:
		return nil, fault.Wrap(fault.SignatureUnreadable, err, "no CMS signature can be read from it")
	case content.Form != wrapping.CMS:
		return nil, fault.New(fault.SignatureUnreadable, "it is an XML or PDF document, and a CMS signature is wanted")
	case len(content.Data) > MaxCMSBytes:
		return nil, tooLarge
	}
	return content.Data, nil
}

func reasonsOf(v signature.Verdict) []fault.Reason {
	var list []fault.Reason
	for _, r := range v.Reasons {
		list = append(list, fault.Reason{Code: r.Code, Detail: r.Detail})
	}
	return list
}

// assess judges one signature over a file for a moment.
func (l *Ledger) assess(ctx context.Context, file content.Ref, cms []byte, at time.Time, known []signature.Evidence) (signature.Assessment, error) {
	found, err := l.signatures.Assess(ctx, signature.Request{
		CMS: cms, At: at, Evidence: known,
		Content: func() (io.ReadCloser, error) {
			return l.content.Open(ctx, file)
		},
	})
	if err != nil {
		return signature.Assessment{}, fmt.Errorf("verify a signature: %w", err)
	}
	if len(found.Receipt.Signers) == 0 {
		return signature.Assessment{}, &fault.Error{Code: fault.SignatureUnreadable, Detail: "no signer can be read from it", Reasons: reasonsOf(found.Receipt)}
	}
	return found, nil
}

// withVerdicts states the verdicts of an assessment on a signature.
func withVerdicts(one document.FileSignature, found signature.Assessment) document.FileSignature {
	one.Verdict, one.Signing = found.Receipt, nil
	for _, signer := range found.Signing.Signers {
		if signer.At != nil {
			one.Signing = &found.Signing
		}
	}
	return one
}

// evidenceAtOnce is how many pieces of evidence are stored at the same time.
const evidenceAtOnce = 4

// keepEvidence states the verdicts on a signature and keeps what they rest on
// and is not kept with it yet, so that they can be repeated with nothing but
// what the document keeps (R-C3).
func (l *Ledger) keepEvidence(ctx context.Context, s document.State, one document.FileSignature, found signature.Assessment) (document.FileSignature, error) {
	one = withVerdicts(one, found)
	before := one.Evidence
	one.Evidence = nil
	if len(found.Evidence) > 0 {
		one.Evidence = make([]document.Evidence, len(found.Evidence))
	}
	// A dozen small pieces, each made to last before the next, would be a dozen
	// times the disk's delay.
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(evidenceAtOnce)
	for i, e := range found.Evidence {
		if known := slices.IndexFunc(before, func(b document.Evidence) bool { return b.SHA256 == e.Name() }); known >= 0 {
			one.Evidence[i] = before[known]
			continue
		}
		group.Go(func() error {
			kept, err := l.keep(inner, s, e.DER)
			if err != nil {
				return fmt.Errorf("store evidence (%s): %w", e.Kind, err)
			}
			one.Evidence[i] = document.Evidence{Kind: e.Kind, SHA256: kept.SHA256.String(), Stored: kept.StoredText()}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return document.FileSignature{}, err
	}
	return one, nil
}

// RecheckSignatures checks again what could not be told when it came, for the
// moment when it came, and records what was found (R-C4). The process of that
// name calls it; it may be repeated without harm. It reports whether something
// is still undecided.
func (l *Ledger) RecheckSignatures(ctx context.Context, id string) (undecided bool, err error) {
	before, err := load(ctx, l, document.StreamID(id), document.Evolve, "")
	if err != nil {
		return false, err
	}
	for _, u := range before.State.Undecided {
		if before.State.Status != document.Awaiting {
			return false, nil
		}
		c := document.Recheck{Sign: document.Sign{By: u.By, Method: document.MethodCertificate, Now: l.now()}, Attempt: u.Attempt}
		assessments := make([]signature.Assessment, len(u.Signatures))
		for i, sig := range u.Signatures {
			file, ok := before.State.FileOf(sig.File)
			if !ok {
				return false, fault.New(fault.FileUnknown, "a signature is over no file of the document")
			}
			ref, err := fileRef(before.State, file)
			if err != nil {
				return false, err
			}
			message, known, err := l.kept(ctx, before.State, sig)
			if err != nil {
				return false, err
			}
			if assessments[i], err = l.assess(ctx, ref, message, u.AttemptedAt, known); err != nil {
				return false, err
			}
			c.Signatures = append(c.Signatures, withVerdicts(sig, assessments[i]))
		}
		if c.Certificate, err = l.signer(ctx, c.Signatures, u.Party); err != nil {
			return false, err
		}
		// Nothing is stored, under a lock of years, before something is settled.
		if settled, err := document.Decide(before.State, c); err != nil || len(settled) == 0 {
			undecided = undecided || err == nil
			continue
		}
		for i, sig := range u.Signatures {
			if c.Signatures[i], err = l.keepEvidence(ctx, before.State, sig, assessments[i]); err != nil {
				return false, err
			}
		}
		number := ""
		outcome, err := l.onDocument(ctx, SystemAct(), "recheck-signature", id, nil, func(ctx context.Context, s document.State) (document.Command, error) {
			again := c
			again.Now = l.now()
			if c.Certificate != "" {
				held, err := load(ctx, l, certificate.StreamID(c.Certificate), certificate.Evolve, "")
				if err != nil {
					return nil, err
				}
				// A key that is suspended by now does not count either: nothing
				// is recorded as signed with it from here on.
				if again.Objection, err = l.objection(ctx, u.By, held.State, again.Now); err != nil {
					return nil, err
				}
				again.Seal = held.State.Owner.BIN != ""
				if held.Head.Next > 0 {
					again.ReliedOn = append(again.ReliedOn, held.Reference())
				}
			}
			var err error
			again.Number, err = l.numberIfLast(ctx, SystemAct(), s, again, &number)
			return again, err
		})
		if err != nil && outcome.ID == "" { // a refusal that was recorded has an outcome, too
			return false, err
		}
	}
	return undecided, nil
}

// kept reads back a signature and the evidence that was kept with it.
func (l *Ledger) kept(ctx context.Context, s document.State, sig document.FileSignature) (message []byte, evidence []signature.Evidence, err error) {
	read := func(sha, stored string) ([]byte, error) {
		ref, err := content.ParseRef(documentKey(s.ID), sha, stored, -1)
		if err != nil {
			return nil, err
		}
		r, err := l.content.Open(ctx, ref)
		if err != nil {
			return nil, fmt.Errorf("read what a signature rests on: %w", err)
		}
		defer r.Close() // it was only read
		data, err := io.ReadAll(io.LimitReader(r, crl.MaxSize+1))
		if err != nil {
			return nil, fmt.Errorf("read what a signature rests on: %w", err)
		}
		return data, nil
	}
	if message, err = read(sig.CMS, sig.Stored); err != nil {
		return nil, nil, err
	}
	for _, e := range sig.Evidence {
		der, err := read(e.SHA256, e.Stored)
		if err != nil {
			return nil, nil, err
		}
		evidence = append(evidence, signature.Evidence{Kind: e.Kind, DER: der})
	}
	return message, evidence, nil
}

// signer returns the one certificate with which a party signed all files: of
// each CMS the signer whose certificate is registered for the party, else its
// first. It is "" if they do not agree.
func (l *Ledger) signer(ctx context.Context, signatures []document.FileSignature, party string) (string, error) {
	agreed := ""
	for i, sig := range signatures {
		found := ""
		for _, signer := range sig.AtSigning().Signers {
			if signer.Certificate == "" {
				continue
			}
			if found == "" {
				found = signer.Certificate
			}
			held, err := load(ctx, l, certificate.StreamID(signer.Certificate), certificate.Evolve, "")
			if err != nil {
				return "", err
			}
			if held.State.Participant == party {
				found = signer.Certificate
				break
			}
		}
		if i > 0 && found != agreed {
			return "", nil
		}
		agreed = found
	}
	return agreed, nil
}

// ApproveDocument is the act of a party of role approve.
func (l *Ledger) ApproveDocument(ctx context.Context, act Act, id string) (Outcome, error) {
	if _, err := l.mayAct(ctx, act, participant.RightSign); err != nil {
		return Outcome{}, err
	}
	var number string
	return l.onDocument(ctx, act, "approve-document", id, nil, func(ctx context.Context, s document.State) (document.Command, error) {
		if !s.CanSee(act.By.Participant) {
			return nil, unknownDocument()
		}
		c := document.Approve{By: act.By, Now: l.now()}
		var err error
		c.Number, err = l.numberIfLast(ctx, act, s, c, &number)
		return c, err
	})
}

// numberIfLast claims a number for the document if the command would complete
// it (R-D8), and keeps it in claimed for a further attempt.
func (l *Ledger) numberIfLast(ctx context.Context, act Act, s document.State, c document.Command, claimed *string) (string, error) {
	happened, err := document.Decide(s, c)
	if err != nil || *claimed != "" {
		// An error is the answer that deciding again will give.
		return *claimed, nil
	}
	if !slices.ContainsFunc(happened, func(e event.Event) bool { _, ok := e.(document.Completed); return ok }) {
		return "", nil
	}
	for range maxAttempts {
		number, err := document.NewNumber(l.random)
		if err != nil {
			return "", err
		}
		claim := []event.Event{document.NumberClaimed{Number: number, Document: s.ID, ClaimedAt: l.now()}}
		_, err = l.append(ctx, document.NumberStreamID(number), eventstore.Head{}, l.metadata(act, "", time.Time{}), claim)
		if fault.Is(err, fault.StreamConflict) {
			continue
		}
		*claimed = number
		return number, err
	}
	return "", fault.New(fault.Internal, "no free number was found")
}

// RejectDocument ends the route with a reason (R-D5).
func (l *Ledger) RejectDocument(ctx context.Context, act Act, id, reason string) (Outcome, error) {
	reason = wording.Tidy(reason)
	return l.asParty(ctx, act, participant.RightSign, "reject-document", id, reason, func([]event.Reference) document.Command {
		return document.Reject{By: act.By, Reason: reason, Now: l.now()}
	})
}

// RevokeDocument takes the document back, or proposes to (R-D6).
func (l *Ledger) RevokeDocument(ctx context.Context, act Act, id, reason string) (Outcome, error) {
	reason = wording.Tidy(reason)
	return l.asParty(ctx, act, participant.RightSend, "revoke-document", id, reason, func([]event.Reference) document.Command {
		return document.Revoke{By: act.By, Reason: reason, Now: l.now()}
	})
}

// ConsentToRevocation agrees to a proposed revocation.
func (l *Ledger) ConsentToRevocation(ctx context.Context, act Act, id string) (Outcome, error) {
	return l.asParty(ctx, act, participant.RightSign, "consent-to-revocation", id, nil, func([]event.Reference) document.Command {
		return document.Consent{By: act.By, Now: l.now()}
	})
}

// DeclineRevocation refuses a proposed revocation.
func (l *Ledger) DeclineRevocation(ctx context.Context, act Act, id, reason string) (Outcome, error) {
	reason = wording.Tidy(reason)
	return l.asParty(ctx, act, participant.RightSign, "decline-revocation", id, reason, func([]event.Reference) document.Command {
		return document.Decline{By: act.By, Reason: reason, Now: l.now()}
	})
}

// Document returns a document that the act may see: a participant its own, an
// auditor every one; document.unknown otherwise, so that nobody learns what
// exists.
func (l *Ledger) Document(ctx context.Context, act Act, id string) (Snapshot[document.State], error) {
	if act.Role == access.RoleParticipant {
		if _, err := l.mayAct(ctx, act, participant.RightRead); err != nil {
			return Snapshot[document.State]{}, err
		}
	}
	return l.visible(ctx, act, id)
}

// OpenFile opens a file of a document that the act may see. The reader ends
// in blob.corrupt if the bytes are not those that were attached.
func (l *Ledger) OpenFile(ctx context.Context, act Act, id, name string) (io.ReadCloser, document.File, error) {
	snapshot, err := l.Document(ctx, act, id)
	if err != nil {
		return nil, document.File{}, err
	}
	file, ok := snapshot.State.File(wording.Tidy(name))
	if !ok {
		return nil, document.File{}, fault.New(fault.FileUnknown, "the document has no file of that name")
	}
	if snapshot.State.Gone() {
		return nil, document.File{}, gone()
	}
	ref, err := fileRef(snapshot.State, file)
	if err != nil {
		return nil, document.File{}, err
	}
	opened, err := l.content.Open(ctx, ref)
	return opened, file, err
}

// SignatureMessage returns a signature's CMS as it came, of a document that the
// caller was allowed to see.
func (l *Ledger) SignatureMessage(ctx context.Context, s document.State, sig document.FileSignature) ([]byte, error) {
	if s.Gone() {
		return nil, gone()
	}
	ref, err := content.ParseRef(documentKey(s.ID), sig.CMS, sig.Stored, -1)
	if err != nil {
		return nil, err
	}
	return l.content.ReadAll(ctx, ref, MaxCMSBytes)
}

// OpenEvidence opens a piece of what the verdicts on a document's signatures rest
// on, by its SHA-256 (R-C3): of those that count, and of those that are still
// undecided. The reader's last read says whether the content is whole.
func (l *Ledger) OpenEvidence(ctx context.Context, s document.State, sha256 string) (io.ReadCloser, document.Evidence, error) {
	if s.Gone() {
		return nil, document.Evidence{}, gone()
	}
	open := func(signatures []document.FileSignature) (io.ReadCloser, document.Evidence, error) {
		for _, sig := range signatures {
			for _, e := range sig.Evidence {
				if e.SHA256 != sha256 {
					continue
				}
				ref, err := content.ParseRef(documentKey(s.ID), e.SHA256, e.Stored, -1)
				if err != nil {
					return nil, e, err
				}
				r, err := l.content.Open(ctx, ref)
				if err != nil {
					return nil, e, fmt.Errorf("read what a signature rests on: %w", err)
				}
				return r, e, nil
			}
		}
		return nil, document.Evidence{}, nil
	}
	var lists [][]document.FileSignature
	for _, sig := range s.Signatures {
		lists = append(lists, sig.Signatures)
	}
	for _, u := range s.Undecided {
		lists = append(lists, u.Signatures)
	}
	for _, list := range lists {
		if r, e, err := open(list); r != nil || err != nil {
			return r, e, err
		}
	}
	return nil, document.Evidence{}, fault.New(fault.FileUnknown, "no verdict on the document rests on evidence of that hash")
}

func unknownDocument() *fault.Error { return fault.New(fault.DocumentUnknown, "no such document") }

// visible loads a document and refuses to tell of one that the act may not
// see. Of one whose stream is broken it tells what stood before, and says so.
func (l *Ledger) visible(ctx context.Context, act Act, id string) (Snapshot[document.State], error) {
	stream := document.StreamID(id)
	if stream.Check() != nil {
		return Snapshot[document.State]{}, unknownDocument()
	}
	snapshot, err := load(ctx, l, stream, document.Evolve, "")
	if err != nil && (snapshot.Broken == nil || snapshot.Head.Next == 0) {
		return snapshot, err
	}
	sees := act.Role == access.RoleAuditor || act.Role == access.RoleParticipant && snapshot.State.CanSee(act.By.Participant)
	if snapshot.State.Status == document.None || !sees {
		return Snapshot[document.State]{}, unknownDocument()
	}
	return snapshot, nil
}

// asParty carries out a command of somebody who can see the document and has
// a right with the participant it acts for.
func (l *Ledger) asParty(ctx context.Context, act Act, right participant.Right, name, id string, request any, make func(relied []event.Reference) document.Command) (Outcome, error) {
	relied, err := l.mayAct(ctx, act, right)
	if err != nil {
		return Outcome{}, err
	}
	return l.onDocument(ctx, act, name, id, request, func(_ context.Context, s document.State) (document.Command, error) {
		if !s.CanSee(act.By.Participant) {
			return nil, unknownDocument()
		}
		return make(relied), nil
	})
}

// asPartyTo is asParty for a command that has more to do than to be decided,
// and that names no state that it relied on.
func (l *Ledger) asPartyTo(ctx context.Context, act Act, right participant.Right, name, id string, request any, make func(context.Context, document.State) (document.Command, error)) (Outcome, error) {
	if _, err := l.mayAct(ctx, act, right); err != nil {
		return Outcome{}, err
	}
	return l.onDocument(ctx, act, name, id, request, func(ctx context.Context, s document.State) (document.Command, error) {
		if !s.CanSee(act.By.Participant) {
			return nil, unknownDocument()
		}
		return make(ctx, s)
	})
}

// onDocument carries out the command that make returns for the state; a nil
// command means that there is nothing to do.
func (l *Ledger) onDocument(ctx context.Context, act Act, name, id string, request any, make func(context.Context, document.State) (document.Command, error)) (Outcome, error) {
	stream := document.StreamID(id)
	if stream.Check() != nil {
		return Outcome{}, unknownDocument()
	}
	return run(ctx, l, command[document.State]{
		act: act, name: name, id: id, request: request, stream: stream, evolve: document.Evolve,
		decide: func(ctx context.Context, s document.State) ([]event.Event, error) {
			c, err := make(ctx, s)
			if err != nil || c == nil {
				return nil, err
			}
			happened, err := document.Decide(s, c)
			if err == nil {
				err = document.CheckFollow(s, happened)
			}
			return happened, err
		},
	})
}
