// Package packettest makes a small ledger in memory for tests of proof
// packets: one document of two files, sent by one legal entity to two others,
// signed by two of them with real signatures under a test authority.
package packettest

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"dalel/internal/crl"
	"dalel/internal/crl/crltest"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"time"

	"dalel/blobs"
	"dalel/domain/certificate"
	"dalel/domain/checkpoint"
	"dalel/domain/content"
	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/domain/packet"
	"dalel/domain/participant"
	"dalel/domain/signature"
	"dalel/eventstore"
	"dalel/internal/cms"
	"dalel/internal/fault"
	"dalel/internal/sealing/sealingtest"
	"dalel/internal/testca"
	"dalel/internal/tsp/tsptest"
)

// Ids in the ledger of [New].
const (
	Document  = "0190c2aa-0000-7000-8000-000000000001"
	Sender    = "0190c2aa-0000-7000-8000-00000000000a"
	Recipient = "0190c2aa-0000-7000-8000-00000000000b"
	Reader    = "0190c2aa-0000-7000-8000-00000000000c"
	// Number is the document's number; its check digits are right.
	Number = "12345678901234567888"
	// Second is a document that [Ledger.Next] may make, and SecondNumber a
	// number for it.
	Second       = "0190c2aa-0000-7000-8000-000000000002"
	SecondNumber = "10000000000000000081"
)

// start is when the ledger's first event is recorded.
var start = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// Ledger is a ledger in memory: a packet.Source and packet.Content.
type Ledger struct {
	Options
	Root, Issuing *testca.Identity
	// Stamping is the time-stamping authority's.
	Stamping *testca.Identity
	Signers  map[string]*testca.Identity
	Operator *testca.Identity
	Sealer   packet.Sealer
	Files    map[string][]byte
	Policy   *signature.Policy
	// Alter, if set, changes what is recorded of a signature, as a dishonest
	// operator would.
	Alter func(*document.Signed)
	// AlterOwner, if set, changes what is recorded of a certificate.
	AlterOwner       func(*certificate.Registered)
	streams          map[eventstore.StreamID][]eventstore.Recorded
	keys             *sealingtest.Keys
	content          *content.Store
	stored           memory
	addresses        map[blobs.Digest]blobs.Digest
	position         eventstore.Position
	now              time.Time
	codec            *event.Codec
	references       map[eventstore.StreamID]event.Reference
	certificateNames map[string]string
	// document and number are those of the story that is played.
	document, number string
	err              error
	// order has every event in order of position; log is nil until KeepLog.
	order []eventstore.Recorded
	log   *keptLog
}

// Options are what may be otherwise than in [New].
type Options struct {
	// Key is the kind of the keys of the authority and the parties.
	Key testca.KeyKind
	// Evidence has each signature come with a time token, an OCSP answer and a
	// revocation list, on which its verdict rests.
	Evidence bool
	// Small leaves out the second file and what nobody needs.
	Small bool
}

// New makes the ledger and plays the document's story to its end.
func New(ctx context.Context) (*Ledger, error) { return NewWith(ctx, Options{}) }

// NewWith does the same with options.
func NewWith(ctx context.Context, options Options) (*Ledger, error) {
	l, err := newDraft(ctx, options)
	if err != nil {
		return nil, err
	}
	return l, errors.Join(l.Complete(ctx), l.err)
}

// NewDraft makes the ledger with participants, certificates and a draft of two
// files.
func NewDraft(ctx context.Context) (*Ledger, error) { return newDraft(ctx, Options{}) }

func newDraft(ctx context.Context, options Options) (*Ledger, error) {
	codec, err := event.NewCodec(definitions())
	if err != nil {
		return nil, err
	}
	keys, stored := &sealingtest.Keys{}, memory{contents: map[blobs.Digest][]byte{}}
	l := &Ledger{
		Options: options,
		Signers: map[string]*testca.Identity{}, streams: map[eventstore.StreamID][]eventstore.Recorded{},
		keys: keys, content: content.New(stored, keys, ""), stored: stored, addresses: map[blobs.Digest]blobs.Digest{},
		now: start, codec: codec.Sealed(keys, rand.Reader), references: map[eventstore.StreamID]event.Reference{},
		Files: map[string][]byte{
			"Договор поставки №7.txt": bytes.Repeat([]byte("Стороны договорились о поставке зерна. / Parties agree.\n"), 40),
			"Supplement (1).txt":      []byte("A supplement to the contract.\n"),
		},
		certificateNames: map[string]string{}, document: Document, number: Number,
	}
	if options.Small {
		l.Files = map[string][]byte{"Contract.txt": []byte("Agreed.\n")}
	}
	if err := l.authority(); err != nil {
		return nil, err
	}
	for _, name := range []string{Sender, Recipient, Reader} {
		l.append(participant.StreamID(name), participant.Registered{
			Participant: name, Kind: participant.LegalEntity, Identifier: "123456789021", Name: "ТОО Test " + name[35:], Country: "KZ",
		})
		l.append(participant.StreamID(name), participant.Activated{Participant: name, Basis: "register of legal entities"})
	}
	for _, name := range []string{Sender, Recipient} {
		if err := l.Register(name, l.Signers[name]); err != nil {
			return nil, err
		}
	}
	l.draft()
	return l, errors.Join(ctx.Err(), l.err)
}

// Next plays the same story again with another document.
func (l *Ledger) Next(ctx context.Context, id, number string) error {
	l.Begin(id, number)
	return errors.Join(l.Complete(ctx), l.err)
}

// Begin makes another draft, with which the story goes on.
func (l *Ledger) Begin(id, number string) {
	l.document, l.number = id, number
	l.draft()
}

func (l *Ledger) draft() {
	by := event.By{Participant: Sender}
	l.append(document.StreamID(l.document), document.Created{Document: l.document, Sender: Sender, By: by, Details: document.Details{
		Kind: document.Contract, Title: "=Договор, \"поставка\"", Number: "7", Date: "2026-03-02", Sum: &document.Sum{Minor: "150000000", Currency: "KZT"},
	}})
	if l.Small {
		for name, content := range l.Files {
			digest, address := l.Put(content)
			l.append(document.StreamID(l.document), document.FileAttached{Document: l.document, Sender: Sender, By: by, File: document.File{
				Name: name, MediaType: "text/plain", Size: int64(len(content)), SHA256: digest.String(), Stored: address,
			}})
		}
		return
	}
	replaced, replacedAt := l.Put([]byte("first version, replaced before sending"))
	l.append(document.StreamID(l.document), document.FileAttached{Document: l.document, Sender: Sender, By: by, File: document.File{
		Name: "Supplement (1).txt", MediaType: "text/plain", Size: 38, SHA256: replaced.String(), Stored: replacedAt,
	}})
	for _, name := range []string{"Supplement (1).txt", "Договор поставки №7.txt"} {
		digest, address := l.Put(l.Files[name])
		attached := document.FileAttached{Document: l.document, Sender: Sender, By: by, File: document.File{
			Name: name, MediaType: "text/plain; charset=utf-8", Size: int64(len(l.Files[name])), SHA256: digest.String(), Stored: address,
		}}
		if name[0] == 'S' {
			attached.Replaces = replaced.String()
		}
		l.append(document.StreamID(l.document), attached)
	}
}

func (l *Ledger) authority() error {
	begin, end := start.AddDate(-2, 0, 0), start.AddDate(8, 0, 0)
	var err error
	make := func(identity **testca.Identity, issue func() (*testca.Identity, error)) {
		if err == nil {
			*identity, err = issue()
		}
	}
	make(&l.Root, func() (*testca.Identity, error) {
		return testca.NewRoot(testca.CA{Name: "Test root", Key: l.Key, NotBefore: begin, NotAfter: end})
	})
	make(&l.Issuing, func() (*testca.Identity, error) {
		return l.Root.NewIntermediate(testca.CA{Name: "Test issuing CA", Key: l.Key, NotBefore: begin, NotAfter: end})
	})
	for _, name := range []string{Sender, Recipient} {
		var identity *testca.Identity
		make(&identity, func() (*testca.Identity, error) { return l.Issue(l.Key) })
		l.Signers[name] = identity
	}
	make(&l.Stamping, func() (*testca.Identity, error) {
		return l.Issuing.Issue(testca.Leaf{Key: l.Key, NotBefore: begin, NotAfter: end, Usages: []asn1.ObjectIdentifier{}, Extra: tsptest.Authority(true)})
	})
	make(&l.Operator, func() (*testca.Identity, error) {
		return l.Issuing.Issue(testca.Leaf{
			Key: testca.RSA2048, NotBefore: start.AddDate(0, -1, 0), NotAfter: start.AddDate(0, 2, 0),
			Owner: testca.Owner{BIN: "123456789021", Organization: "Test operator", UserID: "seal", Role: testca.InformationSystem},
		})
	})
	if err != nil {
		return err
	}
	l.Policy = &signature.Policy{Roots: []*x509.Certificate{l.Root.Certificate}, Intermediates: []*x509.Certificate{l.Issuing.Certificate}}
	l.Sealer, err = packet.NewSealer(l.Operator.Certificate, l.Operator.Key)
	return err
}

// Issue makes a signing certificate, good around the time of the story.
func (l *Ledger) Issue(kind testca.KeyKind) (*testca.Identity, error) {
	return l.Issuing.Issue(testca.Leaf{
		Key: kind, NotBefore: start.AddDate(0, -1, 0), NotAfter: start.AddDate(0, 11, 0), OCSP: l.service(), CRL: l.service(),
		Owner: testca.Owner{IIN: "123456789011", BIN: "123456789021", Surname: "TESTOV", GivenName: "TEST", Organization: "Test LLP", Role: testca.Head},
	})
}

// Register registers a certificate for a participant.
func (l *Ledger) Register(name string, identity *testca.Identity) error {
	c := identity.Certificate
	print := blobs.Sum(c.Raw).String()
	l.Put(c.Raw)
	l.Use(name, identity)
	says, err := signature.ReadOwner(c)
	if err != nil {
		return err
	}
	registered := certificate.Registered{
		Certificate: print, Participant: name, OwnerBIN: says.BIN, OwnerIIN: says.IIN, OwnerName: says.Name(), OwnerPerson: says.Person(),
		Purpose: string(says.Purpose), Role: string(says.Role()), Algorithm: says.Algorithm, Serial: says.Serial, Issuer: says.Issuer,
		NotBefore: says.NotBefore, NotAfter: says.NotAfter,
	}
	if l.AlterOwner != nil {
		l.AlterOwner(&registered)
	}
	l.append(certificate.StreamID(print), registered)
	return nil
}

// Use has a participant sign with a certificate, whoever it is registered to.
func (l *Ledger) Use(name string, identity *testca.Identity) {
	l.certificateNames[name] = blobs.Sum(identity.Certificate.Raw).String()
	l.Signers[name] = identity
}

// Certificate returns the fingerprint of a participant's certificate.
func (l *Ledger) Certificate(name string) string { return l.certificateNames[name] }

// Complete plays the story from the draft to the completed document, with an
// attempt that was refused on the way.
func (l *Ledger) Complete(ctx context.Context) error {
	l.Send()
	if err := l.Sign(ctx, Sender); err != nil {
		return err
	}
	return l.Finish(ctx)
}

// Send sends the draft.
func (l *Ledger) Send() {
	stream := document.StreamID(l.document)
	l.append(stream, document.Sent{
		Document: l.document, Sender: Sender, By: event.By{Participant: Sender}, SenderSigns: true, SentAt: l.now,
		Recipients: []document.Recipient{
			{Participant: Recipient, Role: document.RoleSign, Method: document.MethodCertificate, Order: 1},
			{Participant: Reader, Role: document.RoleRead, Order: 1},
		},
		ReliedOn: []event.Reference{l.references[participant.StreamID(Recipient)]},
	})
}

// Finish plays what comes after the sender's signature.
func (l *Ledger) Finish(ctx context.Context) error {
	stream := document.StreamID(l.document)
	for _, name := range []string{Recipient, Reader} {
		l.append(stream, document.Delivered{Document: l.document, Recipient: name, DeliveredAt: l.now})
		l.append(stream, document.Viewed{Document: l.document, Recipient: name, By: event.By{Participant: name}, ViewedAt: l.now})
	}
	l.append(stream, document.SignatureRefused{
		Document: l.document, Party: Recipient, By: event.By{Participant: Recipient}, AttemptedAt: l.now,
		Code: fault.SignatureInvalid, Detail: "the signature is not valid", Reasons: []fault.Reason{{Code: signature.DigestMismatch, Detail: "the content is not what was signed"}},
	})
	if err := l.Sign(ctx, Recipient); err != nil {
		return err
	}
	l.append(document.NumberStreamID(l.number), document.NumberClaimed{Number: l.number, Document: l.document, ClaimedAt: l.now})
	l.append(stream, document.Completed{Document: l.document, Number: l.number, CompletedAt: l.now})
	l.append(stream, document.Acknowledged{Document: l.document, Recipient: Reader, By: event.By{Participant: Reader}, AcknowledgedAt: l.now})
	return nil
}

// Sign signs both files for a participant with its certificate's key.
func (l *Ledger) Sign(ctx context.Context, name string) error {
	identity := l.Signers[name]
	signed := document.Signed{
		Document: l.document, Party: name, By: event.By{Participant: name}, Method: document.MethodCertificate,
		ReceivedAt: l.now, SignedAt: l.now, Certificate: l.certificateNames[name], Seal: true,
		ReliedOn: []event.Reference{l.references[certificate.StreamID(l.certificateNames[name])]},
	}
	for _, file := range slices.Sorted(maps.Keys(l.Files)) {
		clear := l.Files[file]
		message, err := cms.Sign(ctx, cms.SignOptions{
			Content: bytes.NewReader(clear), Certificates: []*x509.Certificate{l.Issuing.Certificate},
			Signers: []cms.SignerOptions{{Certificate: identity.Certificate, Key: identity.Key, SigningTime: l.now.Add(-time.Minute)}},
		})
		if err != nil {
			return err
		}
		given, err := l.evidence(identity, message)
		if err != nil {
			return err
		}
		assessed, err := l.Policy.Assess(ctx, signature.Request{CMS: message, At: l.now, Evidence: given, Content: func() (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(clear)), nil
		}})
		if err != nil {
			return err
		}
		verdict := assessed.Receipt
		if verdict.Status != signature.Valid && l.Alter == nil {
			return fmt.Errorf("the signature made here is %s: %+v", verdict.Status, verdict)
		}
		digest, address := l.Put(message)
		kept := document.FileSignature{File: blobs.Sum(clear).String(), CMS: digest.String(), Stored: address, Verdict: verdict}
		if l.Evidence {
			if signed.TrustedTime = assessed.Trusted; !assessed.Trusted {
				return fmt.Errorf("the signature made here has no trusted time: %+v", assessed)
			}
			kept.Signing, signed.SignedAt = &assessed.Signing, assessed.Signing.At
			for _, piece := range assessed.Evidence {
				digest, address := l.Put(piece.DER)
				kept.Evidence = append(kept.Evidence, document.Evidence{Kind: piece.Kind, SHA256: digest.String(), Stored: address})
			}
			signed.Signatures = append(signed.Signatures, kept)
			continue
		}
		named := slices.Concat([]*x509.Certificate{identity.Certificate, l.Issuing.Certificate}, l.Policy.Roots)
		for _, other := range l.Signers {
			// What a dishonest operator may name instead.
			named = append(named, other.Certificate)
		}
		for _, c := range named {
			digest, address := l.Put(c.Raw)
			kept.Evidence = append(kept.Evidence, document.Evidence{Kind: document.EvidenceCertificate, SHA256: digest.String(), Stored: address})
		}
		signed.Signatures = append(signed.Signatures, kept)
	}
	if l.Alter != nil {
		l.Alter(&signed)
	}
	l.append(document.StreamID(l.document), signed)
	return nil
}

// Later makes the ledger one of a later version, which has these events too, or
// in place of those of the same types.
func (l *Ledger) Later(later []event.Definition) error {
	definitions := slices.DeleteFunc(definitions(), func(d event.Definition) bool {
		return slices.ContainsFunc(later, func(l event.Definition) bool { return l.Zero.EventType() == d.Zero.EventType() })
	})
	codec, err := event.NewCodec(definitions, later)
	if err != nil {
		return err
	}
	l.codec = codec.Sealed(l.keys, rand.Reader)
	return nil
}

func definitions() []event.Definition {
	return slices.Concat(document.Events(), participant.Events(), certificate.Events(), checkpoint.Events())
}

// Append records an event.
func (l *Ledger) Append(stream eventstore.StreamID, e event.Event) { l.append(stream, e) }

// Back sets the ledger's clock back.
func (l *Ledger) Back(by time.Duration) { l.now = l.now.Add(-by) }

// Now is the moment of the next event.
func (l *Ledger) Now() time.Time { return l.now }

func (l *Ledger) append(stream eventstore.StreamID, e event.Event) {
	recorded := l.streams[stream]
	var head eventstore.Head
	if n := len(recorded); n > 0 {
		head = recorded[n-1].Head()
	}
	draft, err := l.codec.Encode(context.Background(), e, eventstore.Metadata{
		Actor: Sender, Role: "participant", IP: "192.0.2.7", Device: "test <&> \"device\"", CommandID: fmt.Sprintf("c-%d", l.position), RecordedAt: l.now,
	})
	if err != nil {
		l.err = errors.Join(l.err, err)
		return
	}
	events, err := eventstore.Chain(stream, head, draft)
	if err != nil {
		l.err = errors.Join(l.err, err)
		return
	}
	l.position += 3 // positions are increasing and not dense
	l.streams[stream] = append(recorded, eventstore.Recorded{Event: events[0], Position: l.position})
	l.order = append(l.order, l.streams[stream][len(recorded)])
	l.references[stream] = event.Reference{Stream: stream, Revision: events[0].Revision, Commitment: events[0].Commitment}
	l.now = l.now.Add(37*time.Second + 250*time.Millisecond)
}

// Put stores content sealed under the document's key, and returns its hash and
// its address.
func (l *Ledger) Put(clear []byte) (blobs.Digest, string) {
	ref, err := l.content.Put(context.Background(), "document-"+l.document, clear, time.Time{})
	if err != nil {
		l.err = errors.Join(l.err, err)
	}
	l.addresses[ref.SHA256] = ref.Stored
	return ref.SHA256, ref.StoredText()
}

// Revoke has the authority revoke a participant's certificate with a date, and
// returns the event that records it, with the list that proves it kept.
func (l *Ledger) Revoke(name string, at time.Time) certificate.Revoked {
	list, err := crltest.Sign(crltest.List{
		ThisUpdate: l.now.Add(-time.Second), NextUpdate: l.now.Add(24 * time.Hour), Number: big.NewInt(1),
		Entries: []crltest.Entry{{Serial: l.Signers[name].Certificate.SerialNumber, At: at, Reason: crl.KeyCompromise}},
	}, crltest.By(l.Issuing))
	if err != nil {
		l.err = errors.Join(l.err, err)
	}
	ref, err := l.content.PutPublic(context.Background(), list, time.Time{})
	if err != nil {
		l.err = errors.Join(l.err, err)
	}
	return certificate.Revoked{
		Certificate: l.Certificate(name), Participant: name, RevokedAt: at, Reason: crl.KeyCompromise.String(),
		Kind: certificate.EvidenceCRL, SHA256: ref.SHA256.String(), RecordedAt: l.now,
	}
}

// Forget takes content away, by the hash of its clear bytes.
func (l *Ledger) Forget(digest blobs.Digest) { delete(l.stored.contents, l.addresses[digest]) }

// Corrupt changes a byte of stored content, behind the ledger's back.
func (l *Ledger) Corrupt(digest blobs.Digest) { l.stored.contents[l.addresses[digest]][3] ^= 1 }

// Destroy destroys the key of a subject.
func (l *Ledger) Destroy(subject string) error { return l.keys.Destroy(context.Background(), subject) }

// Types are those of a stream's events, in order.
func (l *Ledger) Types(stream eventstore.StreamID) (types []string) {
	for _, r := range l.streams[stream] {
		types = append(types, r.Type)
	}
	return types
}

// End implements packet.Source.
func (l *Ledger) End(context.Context) (eventstore.Position, error) { return l.position, nil }

// ReadStream implements packet.Source.
func (l *Ledger) ReadStream(_ context.Context, stream eventstore.StreamID, from eventstore.Revision, limit int) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		for i, r := range l.streams[stream] {
			if i < int(from) || limit > 0 && i >= int(from)+limit {
				continue
			}
			if !yield(r, nil) {
				return
			}
		}
	}
}

// Open implements packet.Content.
func (l *Ledger) Open(ctx context.Context, ref content.Ref) (io.ReadCloser, error) {
	return l.content.Open(ctx, ref)
}

// memory keeps content in memory, without locks.
type memory struct {
	blobs.Archive
	contents map[blobs.Digest][]byte
}

func (m memory) Put(_ context.Context, from io.Reader, _ int64) (blobs.Info, error) {
	content, err := io.ReadAll(from)
	m.contents[blobs.Sum(content)] = content
	return blobs.Info{Digest: blobs.Sum(content), Size: int64(len(content))}, err
}

func (m memory) Open(_ context.Context, digest blobs.Digest) (io.ReadCloser, blobs.Info, error) {
	content, ok := m.contents[digest]
	if !ok {
		return nil, blobs.Info{}, fault.New(fault.BlobNotFound, "no content %s", digest)
	}
	var end error = io.EOF
	if blobs.Sum(content) != digest {
		end = fault.New(fault.BlobCorrupt, "content %s", digest)
	}
	return io.NopCloser(io.MultiReader(bytes.NewReader(content), failing{end})), blobs.Info{Digest: digest, Size: int64(len(content))}, nil
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// Request returns what exports the document.
func (l *Ledger) Request() packet.Request {
	return packet.Request{
		Log:      l.source(),
		Document: Document, Ledger: "Test ledger", Verifier: packet.Verifier{Name: "dalel verify", Version: "test"},
		Events: l, Content: l, Openers: event.OpenersOf(l.keys), Sealer: l.Sealer,
	}
}

// Trust returns the anchors that the packet rests on.
func (l *Ledger) Trust() packet.Trust {
	trust := packet.Trust{Roots: []*x509.Certificate{l.Root.Certificate}, Operators: []*x509.Certificate{l.Operator.Certificate}}
	if l.log != nil {
		trust.Logs = []packet.Key{{VKey: l.log.vkey}}
		trust.Witnesses = l.log.witnessed()
	}
	return trust
}

// WriteTrust writes those anchors into a folder for packet.LoadTrust.
func (l *Ledger) WriteTrust(folder string) error {
	if err := os.MkdirAll(filepath.Join(folder, "roots"), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, "roots", "root.pem"), l.Root.CertificatePEM(), 0o644); err != nil {
		return err
	}
	if l.log != nil {
		if err := os.WriteFile(filepath.Join(folder, "log.vkey"), []byte(l.log.vkey+"\n"), 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(folder, "operator.cer"), l.Operator.Certificate.Raw, 0o644)
}
