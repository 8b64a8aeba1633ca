package report

import (
	"testing"
	"time"
)

// twenty is a document of twenty events with two signatures.
func twenty() Document {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	hash := "9d1260bbaab46afe59dc93e58cdef7b11c5b135440fbb8c28e6e1c5ed739c79e"
	a := Who{ID: "0190c2aa-0000-7000-8000-00000000000a", Name: "ТОО «Алма»"}
	d := Document{
		Source: Source{Ledger: "Дәлел", VerifierName: "dalel", VerifierVersion: "1", Seal: hash, Position: 60, At: now},
		ID:     "0190c2aa-0000-7000-8000-000000000001", Number: "12345678901234567888", Kind: "contract", Headline: "signed", Title: "Договор поставки",
		Files:   []File{{Name: "Договор.pdf", MediaType: "application/pdf", SHA256: hash, Entry: "document/Договор.pdf", Size: 12345}},
		Parties: []Party{{Who: a, Kind: "legal-entity", Identifier: "123456789021", Sender: true, Role: "sign", Outcome: "signed", ActedAt: now}},
		Chain:   Chain{Events: 20, Streams: 7, Own: 14, First: hash, Last: hash},
	}
	for n := range 2 {
		d.Signatures = append(d.Signatures, Signature{
			Number: n + 1, Party: a, By: a, Files: []string{"document/Договор.pdf"}, Method: "certificate", Subject: Subject{Person: "БЕКЕТОВ СЕРІК", Name: "Test LLP", Serial: "1f", Issuer: "CN=Test"},
			NotBefore: now, NotAfter: now, Certificate: hash, Signing: Verdict{"valid", now, []string{"revocation.good"}}, Receipt: Verdict{"valid", now, []string{"revocation.good"}},
			Evidence: []Evidence{{"signature", "signatures/01/signature.p7s"}, {"certificate", "signatures/01/certificate.cer"}}, EventEntry: "events/0011-DocumentSigned.json",
		})
	}
	for n := range 20 {
		d.Events = append(d.Events, Event{Number: n + 1, Type: "DocumentSigned", At: now, Actor: a, Entry: "events/0011-DocumentSigned.json",
			Facts: []Fact{{"fact.party", Value{Who: &a}}, {"fact.hash", Value{Text: hash}}, {"fact.at", Value{At: now}}}})
	}
	return d
}

func BenchmarkHTML(b *testing.B) {
	d := twenty()
	for b.Loop() {
		if _, err := d.HTML(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPDF(b *testing.B) {
	b.ReportAllocs()
	d := twenty()
	for b.Loop() {
		out, err := d.PDF()
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(len(out)), "bytes")
	}
}

// BenchmarkExtract sets an extract of five thousand entries.
func BenchmarkExtract(b *testing.B) {
	d := twenty()
	x := Extract{Source: d.Source, Newest: d.Seal}
	for range 5000 {
		x.Entries = append(x.Entries, Entry{At: d.At, Journal: "incoming", Participant: Named{ID: d.Parties[0].ID, Name: d.Parties[0].Name}, Document: d.ID, Kind: "act", Title: "Акт", Type: "DocumentSigned", Verdict: "valid", Position: 1, Commitment: d.Seal})
	}
	for b.Loop() {
		out, err := x.PDF()
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(len(out)), "bytes")
	}
}
