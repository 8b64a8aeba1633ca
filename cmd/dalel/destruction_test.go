package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dalel/blobs"
	"dalel/domain/access"
	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/domain/identifier"
	"dalel/domain/ledger"
	"dalel/domain/participant"
	"dalel/httpapi"
	"dalel/internal/cms"
	"dalel/internal/durable"
	"dalel/internal/fault"
	"dalel/internal/testca"
)

// office is a ledger in a folder, served, with two persons who sign.
type office struct {
	t    *testing.T
	dir  string
	root *testca.Identity
	*node
	stop     func()
	operator ledger.Act
	people   []*signer
}

type signer struct {
	act    ledger.Act
	key    *testca.Identity
	number string
}

func newOffice(t *testing.T) *office {
	o := &office{t: t, dir: filepath.Join(t.TempDir(), "ledger"), operator: ledger.Act{By: event.By{Participant: ledger.Operator}, Role: access.RoleOperator, IP: "192.0.2.200", Device: "operator's browser"}}
	var err error
	o.root, err = testca.NewRoot(testca.CA{Name: "Test root"})
	require.NoError(t, err)
	require.NoError(t, durable.Create(filepath.Join(o.dir, trustDir, "root.cer"), o.root.Certificate.Raw, 0o644))
	foundedIn(t, o.dir)
	o.open()
	for i, eleven := range []string{"85041230056", "79110945012"} {
		number, err := identifier.WithCheckDigit(eleven)
		require.NoError(t, err)
		made, err := o.ledger.RegisterParticipant(t.Context(), o.operator, ledger.Registration{
			Kind: participant.NaturalPerson, Identifier: number, Name: []string{"Әбенова Сәуле Searchable", "Ким Search Second"}[i],
			Email: []string{"saule.searchable@example.kz", ""}[i], Phone: []string{"+77015550142", ""}[i],
		})
		require.NoError(t, err)
		_, err = o.ledger.ActivateParticipant(t.Context(), o.operator, made.ID, "her searchable passport")
		require.NoError(t, err)
		key, err := o.root.Issue(testca.Leaf{Owner: testca.Owner{IIN: number, Surname: "SEARCHABLESURNAME"}, NotBefore: time.Now().Add(-time.Hour)})
		require.NoError(t, err)
		_, err = o.ledger.RegisterCertificate(t.Context(), o.operator, made.ID, key.Certificate.Raw)
		require.NoError(t, err)
		o.people = append(o.people, &signer{key: key, number: number, act: ledger.Act{
			By: event.By{Participant: made.ID}, Role: access.RoleParticipant, IP: "192.0.2.14" + []string{"1", "2"}[i], Device: "Searchable browser",
		}})
	}
	return o
}

// open opens the ledger and serves it.
func (o *office) open() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(o.t, err)
	o.node, err = openNode(o.t.Context(), location{dir: o.dir, public: publicURL(listener)})
	require.NoError(o.t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(o.t.Context()))
	served, err := start(ctx, o.node, listener, false, slog.New(slog.NewTextHandler(io.Discard, nil)))
	require.NoError(o.t, err)
	o.stop = func() {
		cancel()
		require.NoError(o.t, served.wait(ctx))
		require.NoError(o.t, o.node.Close())
	}
}

// search returns which of the words stand anywhere in the files of the
// ledger, as they are, in hexadecimal or in base64. While the ledger is served,
// files may go while they are looked for.
func (o *office) search(words map[string][]byte) map[string]string {
	found := map[string]string{}
	require.NoError(o.t, filepath.WalkDir(o.dir, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		for name, word := range words {
			for _, form := range [][]byte{word, []byte(hex.EncodeToString(word)), []byte(base64.StdEncoding.EncodeToString(word)), []byte(base64.RawURLEncoding.EncodeToString(word))} {
				if bytes.Contains(content, form) {
					found[name] = path
				}
			}
		}
		return err
	}))
	return found
}

// The whole of it, as R-B4 and R-G5 ask: after the destruction nothing that
// was destroyed is in any byte of any file, and everything that proves that it
// existed still does.
func TestR_B4_R_G5_WhatWasDestroyedIsInNoByteOfTheLedgerAndAllProofsStand(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	alpha, beta := o.people[0], o.people[1]
	text := []byte("The parties agree on a searchable price of 1234567 tenge.\n")
	created, err := o.ledger.CreateDocument(ctx, alpha.act, document.Details{
		Kind: document.Contract, Title: "Searchable title of the contract", Number: "SEARCH-77/2026", Sum: &document.Sum{Minor: "123456700", Currency: "KZT"},
	})
	require.NoError(t, err)
	id := created.ID
	_, _, err = o.ledger.AttachFile(ctx, alpha.act, id, "searchable name.txt", "text/plain", bytes.NewReader(text))
	require.NoError(t, err)
	_, _, err = o.ledger.AttachFile(ctx, alpha.act, id, "searchable refused.png", "image/png", strings.NewReader("no picture"))
	require.Equal(t, fault.FileNotAsClaimed, fault.CodeOf(err))
	_, err = o.ledger.SendDocument(ctx, alpha.act, id, true, []ledger.Recipient{{Identifier: beta.number, Role: document.RoleSign}})
	require.NoError(t, err)
	var messages [][]byte
	for _, who := range o.people {
		message, err := cms.Sign(ctx, cms.SignOptions{Content: bytes.NewReader(text), Signers: []cms.SignerOptions{{Certificate: who.key.Certificate, Key: who.key.Key}}})
		require.NoError(t, err)
		messages = append(messages, message)
		_, err = o.ledger.SignDocument(ctx, who.act, id, []ledger.SubmittedSignature{{File: "searchable name.txt", CMS: message}})
		require.NoError(t, err)
		require.NoError(t, o.ledger.DeliverDue(ctx, id))
	}
	_, err = o.ledger.IssuePaperCopy(ctx, alpha.act, id, "ru")
	require.NoError(t, err)
	hold, err := o.ledger.PlaceHold(ctx, o.operator, id, "a searchable dispute")
	require.NoError(t, err)
	_, err = o.ledger.LiftHold(ctx, o.operator, id, hold.ID, "searchably settled")
	require.NoError(t, err)
	for _, who := range o.people {
		_, err = o.ledger.RequestDestruction(ctx, who.act, id, "a searchable reason", "text/plain", strings.NewReader("A searchable letter"))
		require.NoError(t, err)
	}
	key, err := o.keys.Key(ctx, "document-"+id)
	require.NoError(t, err)
	record, err := o.keys.State(ctx, "document-"+id)
	require.NoError(t, err)
	words := map[string][]byte{
		"title": []byte("Searchable title"), "number": []byte("SEARCH-77"), "sum": []byte("123456700"), "file name": []byte("searchable name"),
		"refused file": []byte("searchable refused"), "content": text[:40], "signature": messages[0][200:240], "reason": []byte("searchable reason"),
		"ground": []byte("searchable dispute"), "lifting": []byte("searchably"), "letter": []byte("searchable letter"),
		"key": key.Secret()[:43], "identity": key.Secret()[44:], "wrapped key": record.Wrapped,
	}
	before := filepath.Join(t.TempDir(), "before.zip")
	n := o.node
	require.NoError(t, exportTo(ctx, n, id, before))
	end, err := o.store.End(ctx)
	require.NoError(t, err)
	require.NotZero(t, end)
	require.Eventually(t, func() bool { return o.search(words)["title"] != "" }, time.Minute, 20*time.Millisecond, "the read models show the title while it is there")
	require.NotEmpty(t, o.search(words)["wrapped key"])

	_, err = o.ledger.OrderDestruction(ctx, o.operator, id, document.BasisRequest)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		s, err := o.ledger.Document(ctx, alpha.act, id)
		return err == nil && s.State.DestroyedAt != nil
	}, time.Minute, 20*time.Millisecond, "the destruction process carries it out")
	require.Eventually(t, func() bool { return len(o.search(words)) == 0 }, time.Minute, 100*time.Millisecond, "while it is served: %v", o.search(words))
	o.stop()
	require.Empty(t, o.search(words), "after it was closed")

	trust := filepath.Join(o.dir, trustDir)
	status, out, stderr := dalel(t, "rebuild", "--dir", o.dir)
	require.Zero(t, status, out+stderr)
	require.Empty(t, o.search(words), "after a rebuild")
	status, out, stderr = dalel(t, "fsck", "--dir", o.dir)
	require.Zero(t, status, out+stderr)
	status, out, _ = dalel(t, "verify", "--trust", trust, before)
	require.Zero(t, status, "a packet from before: %s", out)
	after := filepath.Join(t.TempDir(), "after.zip")
	status, _, stderr = dalel(t, "export", "--dir", o.dir, "--document", id, "--out", after)
	require.Zero(t, status, stderr)
	status, out, _ = dalel(t, "verify", "--trust", trust, after)
	require.Zero(t, status, "a packet from after: %s", out)
	o.dir = unpack(t, after)
	require.Empty(t, o.search(words), "in a new packet")
	hashes := o.search(map[string][]byte{"hash": []byte(fingerprintText(text))})
	require.NotEmpty(t, hashes, "the hash that proves what existed is in it")
}

func TestR_B4_AParticipantsPersonalDataAreInNoByteOfTheLedgerOnceDestroyed(t *testing.T) {
	o := newOffice(t)
	ctx := t.Context()
	alpha := o.people[0]
	created, err := o.ledger.CreateDocument(ctx, o.people[1].act, document.Details{Kind: document.Letter, Title: "Of somebody else"})
	require.NoError(t, err)
	_, err = o.ledger.RequestErasure(ctx, alpha.act, alpha.act.By.Participant, "a searchable wish", "text/plain", strings.NewReader("A searchable letter"))
	require.NoError(t, err)
	words := map[string][]byte{
		"name": []byte("Сәуле Searchable"), "identifier": []byte(alpha.number), "e-mail": []byte("saule.searchable"), "phone": []byte("77015550142"),
		"basis": []byte("searchable passport"), "reason": []byte("searchable wish"), "letter": []byte("searchable letter"), "address": []byte("192.0.2.141"),
		"certificate": alpha.key.Certificate.Raw[100:140],
	}
	require.Eventually(t, func() bool { return o.search(words)["name"] != "" }, time.Minute, 20*time.Millisecond, "the directory shows the name while it is there")
	_, err = o.ledger.OrderErasure(ctx, o.operator, alpha.act.By.Participant)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(o.search(words)) == 0 }, time.Minute, 100*time.Millisecond, "%v", o.search(words))
	o.stop()
	status, out, stderr := dalel(t, "rebuild", "--dir", o.dir)
	require.Zero(t, status, out+stderr)
	require.Empty(t, o.search(words))
	status, out, stderr = dalel(t, "fsck", "--dir", o.dir)
	require.Zero(t, status, out+stderr)
	o.open()
	defer o.stop()
	s, err := o.ledger.Document(ctx, o.people[1].act, created.ID)
	require.NoError(t, err)
	require.Equal(t, "Of somebody else", s.State.Details.Title, "nobody else's data are touched")
}

func exportTo(ctx context.Context, n *node, id, path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	return n.Export(ctx, file, httpapi.Selection{Document: id})
}

func fingerprintText(content []byte) string { return blobs.Sum(content).String() }
