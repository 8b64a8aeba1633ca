package packet_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"dalel/domain/certificate"
	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/domain/packet"
	"dalel/domain/packet/packettest"
	"dalel/eventstore"

	"github.com/stretchr/testify/require"
)

// notarised and audited are events of a version that is still to come.
type notarised struct {
	Document string `json:"document"`
	Notary   string `json:"notary"`
	Words    string `json:"words" personal:"document"`
}

func (notarised) EventType() string { return "DocumentNotarised" }

type audited struct {
	Certificate string `json:"certificate"`
}

func (audited) EventType() string { return "CertificateAudited" }

func later() []event.Definition {
	return slices.Concat(
		event.On(document.Category, "document", opened{}, notarised{})[1:],
		event.On(certificate.Category, "certificate", opened{}, audited{})[1:],
		[]event.Definition{{Zero: acknowledgedNewly{}, Category: document.Category, Place: event.Later, Subject: "document"}})
}

// opened only fills the place of a first event.
type opened struct {
	Document    string `json:"document"`
	Certificate string `json:"certificate"`
}

func (opened) EventType() string { return "Opened" }

// acknowledgedNewly is an event of today's type with a member more.
type acknowledgedNewly struct {
	Document       string    `json:"document"`
	Recipient      string    `json:"recipient"`
	By             event.By  `json:"by"`
	AcknowledgedAt time.Time `json:"acknowledgedAt"`
	Where          string    `json:"where,omitempty"`
}

func (acknowledgedNewly) EventType() string { return (document.Acknowledged{}).EventType() }

func TestR_M2_ALaterVersionsEventIsNamedAndNeverCalledBad(t *testing.T) {
	for what, test := range map[string]struct {
		record func(l *packettest.Ledger) (eventstore.StreamID, event.Event)
		file   string
	}{
		"a type on the document": {func(*packettest.Ledger) (eventstore.StreamID, event.Event) {
			return document.StreamID(packettest.Document), notarised{Document: packettest.Document, Notary: "n", Words: "seen"}
		}, "DocumentNotarised.json"},
		"a type on a certificate": {func(l *packettest.Ledger) (eventstore.StreamID, event.Event) {
			print := l.Certificate(packettest.Recipient)
			return certificate.StreamID(print), audited{Certificate: print}
		}, "CertificateAudited.json"},
		"a member of a known type": {func(*packettest.Ledger) (eventstore.StreamID, event.Event) {
			return document.StreamID(packettest.Document), acknowledgedNewly{Document: packettest.Document, Recipient: packettest.Recipient, Where: "Astana"}
		}, "DocumentAcknowledged.json"},
	} {
		l := kept(t, packettest.Options{})
		require.NoError(t, l.Later(later()))
		l.Append(test.record(l))
		confirmed(t, l)
		var packed bytes.Buffer
		_, err := packet.ExportLater(t.Context(), later(), &packed, l.Request())
		require.NoError(t, err, what)
		report := verify(t, packed.Bytes(), l.Trust())
		require.Equal(t, packet.Untrusted, report.Status, "%s: %+v", what, report.Problems)
		require.Empty(t, report.Problems, what)
		require.Equal(t, []packet.Lack{packet.LackVersion}, report.Lacks, what)
		require.True(t, slices.ContainsFunc(report.Doubts, func(p packet.Problem) bool {
			return strings.HasSuffix(p.File, test.file) && p.Claim == packet.ClaimEvents && strings.Contains(p.Detail, "ask a newer one")
		}), "%s: %+v", what, report.Doubts)
		for claim, want := range map[string]packet.Answer{
			packet.ClaimArchive: packet.Yes, packet.ClaimManifest: packet.Yes, packet.ClaimSeal: packet.Yes, packet.ClaimInclusion: packet.Yes,
			packet.ClaimDocuments: packet.Yes, "signature-01": packet.Yes, "signature-04": packet.Yes,
			packet.ClaimEvents: packet.CannotTell, packet.ClaimReport: packet.CannotTell, packet.ClaimJournal: packet.CannotTell,
		} {
			require.Equal(t, want, holds(t, report, claim), "%s: %s", what, claim)
		}
	}
}

func TestR_M2_ADoubtOnOneDocumentOfSeveralNamesItsFolder(t *testing.T) {
	l := two(t)
	types := later()[:2] // the second document is to be understood as a whole
	require.NoError(t, l.Later(types))
	l.Append(document.StreamID(packettest.Document), notarised{Document: packettest.Document, Notary: "n", Words: "seen"})
	var packed bytes.Buffer
	_, err := packet.ExportLater(t.Context(), types, &packed, several(l, packettest.Document, packettest.Second))
	require.NoError(t, err)
	report := verify(t, packed.Bytes(), l.Trust())
	require.Equal(t, packet.Untrusted, report.Status, "%+v", report.Problems)
	require.NotEmpty(t, report.Doubts)
	for _, doubt := range report.Doubts {
		require.Equal(t, packet.CodeLater, doubt.Code)
		claim, ok := report.Claim(doubt.Claim)
		require.True(t, ok, "%+v is about a claim of the report", doubt)
		require.Equal(t, packet.CannotTell, claim.Holds, "%+v", doubt)
	}
	require.True(t, slices.ContainsFunc(report.Doubts, func(p packet.Problem) bool {
		return p.Claim == "0001/events" && strings.HasPrefix(p.File, "documents/0001/events/")
	}), "%+v", report.Doubts)
}

func TestR_M2_WhatIsBadStaysBadBesideALaterVersionsEvent(t *testing.T) {
	l := newLedger(t)
	require.NoError(t, l.Later(later()))
	l.Append(document.StreamID(packettest.Document), notarised{Document: packettest.Document, Notary: "n", Words: "seen"})
	var packed bytes.Buffer
	_, err := packet.ExportLater(t.Context(), later(), &packed, l.Request())
	require.NoError(t, err)
	m := &tamperer{t: t, ledger: l, original: packed.Bytes(), entries: unzip(t, packed.Bytes())}
	for _, changed := range []string{"document/Supplement (1).txt", "signatures/03/signature.p7s", "events/0021-DocumentNotarised.json", "events/0010-DocumentSent.json"} {
		entries := m.clone()
		i := slices.IndexFunc(entries, func(e entry) bool { return e.name == changed })
		require.Positive(t, i, changed)
		entries[i].content = slices.Clone(entries[i].content)
		entries[i].content[len(entries[i].content)/2] ^= 1
		report := verify(t, zip(m.relist(entries, l.Sealer)), l.Trust())
		require.Equal(t, packet.Bad, report.Status, changed)
		require.True(t, slices.ContainsFunc(report.Problems, func(p packet.Problem) bool { return p.File == changed }), "%s: %+v", changed, report.Problems)
	}
}

func TestR_M2_APacketOfALaterFormatIsNotCalledBad(t *testing.T) {
	l := newLedger(t)
	m := &tamperer{t: t, ledger: l, original: export(t, l)}
	m.entries = unzip(t, m.original)
	entries := m.clone()
	var manifest map[string]json.RawMessage
	i := slices.IndexFunc(entries, func(e entry) bool { return e.name == "manifest.json" })
	require.NoError(t, json.Unmarshal(entries[i].content, &manifest))
	entries[i].content = bytes.Replace(entries[i].content, []byte(`"format": `), []byte(`"format": 9`), 1)
	report := verify(t, zip(entries), l.Trust())
	require.Equal(t, packet.CannotTell, holds(t, report, packet.ClaimManifest))
	require.Contains(t, report.Doubts[0].Detail, "ask a newer one")
}
