package packettest

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"math/big"
	"sync"
	"time"

	"dalel/domain/checkpoint"
	"dalel/domain/event"
	"dalel/domain/packet"
	"dalel/domain/signature"
	"dalel/eventstore"
	"dalel/internal/cms"
	"dalel/internal/cosignature"
	"dalel/internal/crl/crltest"
	"dalel/internal/fault"
	"dalel/internal/ocsp"
	"dalel/internal/ocsp/ocsptest"
	"dalel/internal/pki"
	"dalel/internal/testca"
	"dalel/internal/translog"
	"dalel/internal/tsp"
	"dalel/internal/tsp/tsptest"

	"golang.org/x/mod/sumdb/note"
)

// Origin is the name of the ledger's log.
const Origin = "ledger.test/log"

// keptLog is the ledger's transparency log, over the events in their order.
type keptLog struct {
	ledger   *Ledger
	signer   note.Signer
	vkey     string
	tree     *translog.Tree
	reader   *translog.Reader
	size     uint64 // of the newest checkpoint
	witness  cosignature.Key
	cosigned bool
}

// KeepLog has the ledger keep a transparency log.
func (l *Ledger) KeepLog(ctx context.Context) error {
	secret, vkey, err := note.GenerateKey(rand.Reader, Origin)
	if err != nil {
		return err
	}
	k := &keptLog{ledger: l, vkey: vkey}
	if k.signer, err = note.NewSigner(secret); err != nil {
		return err
	}
	if k.witness, err = cosignature.NewKey("witness.test/w1", rand.Reader); err != nil {
		return err
	}
	objects := &objects{content: map[string][]byte{}}
	if k.tree, err = translog.Open(ctx, objects, 0, nil); err != nil {
		return err
	}
	k.reader = translog.NewReader(objects, 256)
	l.log = k
	return nil
}

// LogKey and WitnessKey are the public keys of log and witness.
func (l *Ledger) LogKey() string {
	if l.log == nil {
		return ""
	}
	return l.log.vkey
}

func (l *Ledger) WitnessKey() string { return l.log.witness.VKey() }

// Publish signs a checkpoint over all events so far and returns its size.
func (l *Ledger) Publish(ctx context.Context) (uint64, error) {
	k := l.log
	var leaves [][]byte
	for _, r := range l.order[k.tree.Size():] {
		leaves = append(leaves, r.Leaf())
	}
	if err := k.tree.Append(ctx, leaves); err != nil {
		return 0, err
	}
	if err := k.tree.Flush(ctx); err != nil {
		return 0, err
	}
	c := translog.Checkpoint{Origin: Origin, Size: k.tree.Size(), Root: k.tree.Root()}
	text, err := translog.Sign(c, k.signer)
	if err != nil {
		return 0, err
	}
	last := l.order[len(l.order)-1]
	l.append(checkpoint.StreamID(checkpoint.Log), checkpoint.Published{
		Origin: Origin, Size: c.Size, Root: eventstore.Hash(c.Root), After: k.size, Note: string(text), PublishedAt: l.now,
		Last: event.Reference{Stream: last.Stream, Revision: last.Revision, Commitment: last.Commitment},
	})
	k.size = c.Size
	return c.Size, l.err
}

// published is the checkpoint of a size.
func (l *Ledger) published(size uint64) (checkpoint.Published, error) {
	for _, r := range l.streams[checkpoint.StreamID(checkpoint.Log)] {
		happened, err := l.codec.Decode(context.Background(), r.Event)
		if p, ok := happened.(checkpoint.Published); ok && p.Size == size {
			return p, err
		}
	}
	return checkpoint.Published{}, fmt.Errorf("no checkpoint of %d events", size)
}

// Note is the signed text of a checkpoint.
func (l *Ledger) Note(size uint64) ([]byte, error) {
	p, err := l.published(size)
	return []byte(p.Note), err
}

// Cosign has the witness cosign a checkpoint.
func (l *Ledger) Cosign(size uint64) error {
	p, err := l.published(size)
	if err != nil {
		return err
	}
	l.log.cosigned = true
	line := l.log.witness.Cosign(checkpoint.Body(Origin, p.Size, p.Root), l.now)
	l.append(checkpoint.StreamID(checkpoint.Log), checkpoint.Cosigned{
		Size: p.Size, Root: p.Root, Witness: l.log.witness.Name(), KeyID: "00000000", Line: string(bytes.TrimSuffix(line, []byte("\n"))), RecordedAt: l.now,
	})
	return l.err
}

// Stamp has an authority stamp a checkpoint at a moment.
func (l *Ledger) Stamp(size uint64, at time.Time) error {
	p, err := l.published(size)
	if err != nil {
		return err
	}
	token, err := l.token([]byte(p.Note), at)
	if err != nil {
		return err
	}
	info, err := l.stored.Put(context.Background(), bytes.NewReader(token), int64(len(token)))
	if err != nil {
		return err
	}
	l.append(checkpoint.StreamID(checkpoint.Log), checkpoint.TimeStamped{
		Size: p.Size, Root: p.Root, Authority: "tsa", Time: at, Token: info.Digest.String(), Bytes: info.Size, Over: checkpoint.OverNote, RecordedAt: l.now,
	})
	return l.err
}

func (l *Ledger) token(message []byte, at time.Time) ([]byte, error) {
	imprint, err := tsp.ImprintOf(signature.StandardAlgorithms(), pki.Identifier{OID: pki.OIDSHA256}, message)
	if err != nil {
		return nil, err
	}
	return tsptest.Sign(tsptest.Token{
		Imprint: imprint, Time: at.Truncate(time.Second), Certificates: []*x509.Certificate{l.Stamping.Certificate},
	}, crltest.By(l.Stamping))
}

// source is what an export proves with; nil without a log.
func (l *Ledger) source() *packet.LogSource {
	if l.log == nil {
		return nil
	}
	return &packet.LogSource{
		Log: l.log, Key: l.log.vkey, Patience: time.Millisecond,
		Roots: []*x509.Certificate{l.Root.Certificate}, Intermediates: []*x509.Certificate{l.Issuing.Certificate},
	}
}

func (k *keptLog) witnessed() []packet.Key {
	if !k.cosigned {
		return nil
	}
	return []packet.Key{{VKey: k.witness.VKey()}}
}

// Locate implements packet.Log.
func (k *keptLog) Locate(_ context.Context, recorded eventstore.Recorded) (uint64, error) {
	for i, r := range k.ledger.order {
		if r.ID == recorded.ID && uint64(i) < k.size {
			return uint64(i), nil
		}
	}
	return 0, fault.New(fault.LogNotCovered, "not yet")
}

// WaitFor implements packet.Log.
func (k *keptLog) WaitFor(ctx context.Context, _ eventstore.Recorded) error {
	<-ctx.Done()
	return ctx.Err()
}

// Inclusion implements packet.Log.
func (k *keptLog) Inclusion(ctx context.Context, index, size uint64) ([]translog.Hash, error) {
	return k.reader.Inclusion(ctx, index, size)
}

// Consistency implements packet.Log.
func (k *keptLog) Consistency(ctx context.Context, old, size uint64) ([]translog.Hash, error) {
	return k.reader.Consistency(ctx, old, size)
}

// objects keeps a log's files in memory.
type objects struct {
	mu      sync.Mutex
	content map[string][]byte
}

func (o *objects) Put(_ context.Context, name string, data []byte) error { return o.put(name, data) }

func (o *objects) Replace(_ context.Context, name string, data []byte) error {
	return o.put(name, data)
}

func (o *objects) put(name string, data []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.content[name] = bytes.Clone(data)
	return nil
}

func (o *objects) Get(_ context.Context, name string) ([]byte, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	data, ok := o.content[name]
	if !ok {
		return nil, fault.New(fault.BlobNotFound, "no %s", name)
	}
	return data, nil
}

// service is the address in certificates whose revocation is to be asked about.
func (l *Ledger) service() string {
	if l.Evidence {
		return "http://ca.test/"
	}
	return ""
}

// evidence is what a signature comes with.
func (l *Ledger) evidence(identity *testca.Identity, message []byte) ([]signature.Evidence, error) {
	if !l.Evidence {
		return nil, nil
	}
	parsed, err := cms.Parse(message)
	if err != nil {
		return nil, err
	}
	then := l.now.Add(-10 * time.Second)
	token, err := l.token(parsed.Signers[0].Signature, then)
	if err != nil {
		return nil, err
	}
	id, err := ocsp.NewCertID(signature.StandardAlgorithms(), pki.Identifier{OID: pki.OIDSHA1}, identity.Certificate.SerialNumber, l.Issuing.Certificate)
	if err != nil {
		return nil, err
	}
	answer, err := ocsptest.Sign(ocsptest.Response{
		ProducedAt: then.Truncate(time.Second), Singles: []ocsptest.Single{{ID: id, ThisUpdate: then.Truncate(time.Second), NextUpdate: then.Add(24 * time.Hour).Truncate(time.Second)}},
	}, crltest.By(l.Issuing))
	if err != nil {
		return nil, err
	}
	list, err := crltest.Sign(crltest.List{
		ThisUpdate: then.Truncate(time.Second), NextUpdate: then.Add(24 * time.Hour).Truncate(time.Second), Number: big.NewInt(1),
	}, crltest.By(l.Issuing))
	if err != nil {
		return nil, err
	}
	return []signature.Evidence{
		{Kind: signature.EvidenceTimeToken, DER: token}, {Kind: signature.EvidenceOCSP, DER: answer}, {Kind: signature.EvidenceCRL, DER: list},
		{Kind: signature.EvidenceCertificate, DER: l.Issuing.Certificate.Raw},
	}, nil
}
