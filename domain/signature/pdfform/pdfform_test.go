package pdfform_test

import (
	"bytes"
	"context"
	"crypto/x509"
	stdasn1 "encoding/asn1"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"dalel/domain/signature"
	"dalel/domain/signature/pdfform"
	"dalel/internal/crl/crltest"
	"dalel/internal/ocsp"
	"dalel/internal/ocsp/ocsptest"
	"dalel/internal/pdfsig"
	"dalel/internal/pdfsig/pdfsigtest"
	"dalel/internal/pki"
	"dalel/internal/testca"
	"dalel/internal/tsp"
	"dalel/internal/tsp/tsptest"

	"codeberg.org/go-pdf/fpdf"
	"github.com/stretchr/testify/require"
)

// moment is the one that tests ask about.
var moment = time.Now().UTC().Truncate(time.Second)

type party struct{ root, issuing, person *testca.Identity }

func newParty(t testing.TB, kind testca.KeyKind) party {
	t.Helper()
	root, err := testca.NewRoot(testca.CA{Name: "Test root"})
	require.NoError(t, err)
	issuing, err := root.NewIntermediate(testca.CA{Name: "Test issuing CA", Key: kind})
	require.NoError(t, err)
	person, err := issuing.Issue(testca.Leaf{Key: kind})
	require.NoError(t, err)
	return party{root, issuing, person}
}

func (p party) policy() *signature.Policy {
	return &signature.Policy{Roots: []*x509.Certificate{p.root.Certificate}}
}

func by(who *testca.Identity) pdfsigtest.Signature {
	s := pdfsigtest.Signature{Signer: crltest.By(who), Time: moment}
	for _, certificate := range who.Chain {
		s.More = append(s.More, certificate.Raw)
	}
	return s
}

// signed is a document with one signature.
func signed(t testing.TB, p party, modern bool) *pdfsigtest.Document {
	t.Helper()
	d := pdfsigtest.New("The price is 100", modern)
	require.NoError(t, d.Sign(by(p.person)))
	return d
}

func assess(t testing.TB, p party, data []byte) signature.Assessment {
	t.Helper()
	found, err := pdfform.Assess(t.Context(), p.policy(), data, moment, nil)
	require.NoError(t, err)
	return found
}

func codes(verdict signature.Verdict) []string {
	var list []string
	for _, r := range verdict.Reasons {
		list = append(list, r.Code)
	}
	for _, signer := range verdict.Signers {
		for _, r := range signer.Reasons {
			list = append(list, r.Code)
		}
	}
	return list
}

// stamp is a document time stamp by an authority below the root.
func stamp(t testing.TB, p party, at time.Time) pdfsigtest.Signature {
	t.Helper()
	authority, err := p.root.Issue(testca.Leaf{NotBefore: at.Add(-time.Hour), NotAfter: moment.AddDate(1, 0, 0), Usages: []stdasn1.ObjectIdentifier{}, Extra: tsptest.Authority(true)})
	require.NoError(t, err)
	return pdfsigtest.Signature{SubFilter: pdfsig.RFC3161, CMS: func(content []byte) ([]byte, error) {
		imprint, err := tsp.ImprintOf(signature.StandardAlgorithms(), pki.Identifier{OID: pki.OIDSHA256}, content)
		if err != nil {
			return nil, err
		}
		return tsptest.Sign(tsptest.Token{Imprint: imprint, Time: at, Certificates: []*x509.Certificate{authority.Certificate}}, crltest.By(authority))
	}}
}

func TestR_C2_ASignedPDFIsVerified(t *testing.T) {
	for name, kind := range map[string]testca.KeyKind{"RSA": testca.RSA2048, "P-256": testca.P256, "P-384": testca.P384} {
		for _, modern := range []bool{false, true} {
			for _, form := range []string{pdfsig.CAdESDetached, pdfsig.PKCS7Detached} {
				t.Run(fmt.Sprintf("%s, %s, modern %v", name, form, modern), func(t *testing.T) {
					p := newParty(t, kind)
					d := pdfsigtest.New("The price is 100", modern)
					s := by(p.person)
					s.SubFilter, s.Rect = form, "10 10 110 60"
					require.NoError(t, d.Sign(s))
					found := assess(t, p, d.Bytes)
					require.Equal(t, signature.Valid, found.Signing.Status, "%+v", found.Signing)
					require.Len(t, found.Signing.Signers, 1)
					require.NotNil(t, found.Signing.Signers[0].ClaimedAt)
					require.NotEmpty(t, found.Evidence)
					require.Len(t, found.Untimed, 1)

					again, err := pdfform.Assess(t.Context(), p.policy(), d.Bytes, moment, found.Evidence)
					require.NoError(t, err)
					require.Equal(t, found.Signing, again.Signing)
				})
			}
		}
	}
}

func TestR_C2_APDFSignedByGOSTIsVerified(t *testing.T) {
	root, err := crltest.GOST("Test root", nil, moment)
	require.NoError(t, err)
	who, err := crltest.GOST("Test signer", &root, moment)
	require.NoError(t, err)
	d := pdfsigtest.New("The price is 100", true)
	require.NoError(t, d.Sign(pdfsigtest.Signature{Signer: who}))
	policy := &signature.Policy{Roots: []*x509.Certificate{root.Certificate}}
	found, err := pdfform.Assess(t.Context(), policy, d.Bytes, moment, nil)
	require.NoError(t, err)
	require.Equal(t, signature.Valid, found.Signing.Status, "%+v", found.Signing)
	require.Contains(t, found.Signing.Signers[0].Algorithm, "GOST")

	changed := bytes.Replace(d.Bytes, []byte("price is 100"), []byte("price is 900"), 1)
	require.NotEqual(t, d.Bytes, changed)
	found, err = pdfform.Assess(t.Context(), policy, changed, moment, nil)
	require.NoError(t, err)
	require.Equal(t, signature.Invalid, found.Signing.Status)
	require.Contains(t, codes(found.Signing), signature.DigestMismatch)
}

func TestR_C2_APDFOfAnotherProgramIsVerified(t *testing.T) {
	p := newParty(t, testca.RSA2048)
	maker := fpdf.New("P", "mm", "A4", "")
	maker.AddPage()
	maker.SetFont("Helvetica", "", 16)
	maker.Cell(40, 10, "The price is 100")
	var b bytes.Buffer
	require.NoError(t, maker.Output(&b))
	d, err := pdfsigtest.Open(b.Bytes())
	require.NoError(t, err)
	require.NoError(t, d.Sign(by(p.person)))
	require.NoError(t, d.Sign(by(p.person)))
	found := assess(t, p, d.Bytes)
	require.Equal(t, signature.Valid, found.Signing.Status, "%+v", found.Signing)
	require.Len(t, found.Signing.Signers, 2)
}

func TestR_C2_EverySignerOfAPDFHasAVerdict(t *testing.T) {
	p := newParty(t, testca.P256)
	second, err := p.issuing.Issue(testca.Leaf{Key: testca.RSA2048})
	require.NoError(t, err)
	stranger := newParty(t, testca.P256)
	for _, modern := range []bool{false, true} {
		d := signed(t, p, modern)
		require.NoError(t, d.Sign(by(second)))
		found := assess(t, p, d.Bytes)
		require.Equal(t, signature.Valid, found.Signing.Status, "%+v", found.Signing)
		require.Len(t, found.Signing.Signers, 2)
		require.Contains(t, codes(found.Signing), signature.PDFExtended)
		require.Equal(t, "RSA-SHA256", found.Signing.Signers[1].Algorithm)

		require.NoError(t, d.Sign(by(stranger.person)))
		found = assess(t, p, d.Bytes)
		require.Equal(t, signature.Unknown, found.Signing.Status)
		require.Equal(t, signature.Valid, found.Signing.Signers[0].Status)
		require.Equal(t, signature.Valid, found.Signing.Signers[1].Status)
		require.Equal(t, signature.Unknown, found.Signing.Signers[2].Status)
	}
}

func TestR_C2_AFieldSetAsideMayBeSignedVisibly(t *testing.T) {
	p := newParty(t, testca.P256)
	for rect, status := range map[string]signature.Status{
		"10 10 110 60": signature.Valid,
		"0 0 595 842":  signature.Unknown, // all of the page
	} {
		for _, modern := range []bool{false, true} {
			d := pdfsigtest.New("The price is 100", modern)
			field := d.Empty(rect)
			require.NoError(t, d.Sign(by(p.person)))
			s := by(p.person)
			s.Field, s.Rect = field, rect
			require.NoError(t, d.Sign(s))
			found := assess(t, p, d.Bytes)
			require.Len(t, found.Signing.Signers, 2)
			require.Equal(t, status, found.Signing.Status, "%+v", found.Signing)
		}
	}
}

// Programs differ in how they append: a new catalog, offsets of the white space
// before a section, a key that stands twice with the same value.
func TestR_C2_WhatOtherProgramsAppendIsTaken(t *testing.T) {
	p := newParty(t, testca.P256)
	for _, modern := range []bool{false, true} {
		d := signed(t, p, modern)
		d.Catalog += " /Version /1.7 /Version /1.7"
		n := d.Take()
		d.UpdateAs(fmt.Sprintf("/Root %d 0 R", n), pdfsigtest.Object{Number: n, Body: d.CatalogBody()})
		d.Root = n
		end := bytes.LastIndex(d.Bytes, fmt.Appendf(nil, "\n%d\n%%%%EOF", d.Prev))
		d.Bytes = append(d.Bytes[:end], fmt.Sprintf("\n%d\n%%%%EOF\n", d.Prev-1)...)
		require.NoError(t, d.Sign(by(p.person)))
		found := assess(t, p, d.Bytes)
		require.Equal(t, signature.Valid, found.Signing.Status, "%+v", found.Signing)
		require.Len(t, found.Signing.Signers, 2)
	}
}

func TestR_C2_ManyFieldsSetAsideDoNotMakeAPage(t *testing.T) {
	p := newParty(t, testca.P256)
	d := pdfsigtest.New("The price is 100", false)
	var fields []int
	for range 3 {
		fields = append(fields, d.Empty("0 0 200 200"))
	}
	require.NoError(t, d.Sign(by(p.person)))
	for i, field := range fields {
		s := by(p.person)
		s.Field, s.Rect = field, "0 0 200 200"
		require.NoError(t, d.Sign(s))
		found := assess(t, p, d.Bytes)
		// The fields come first in the form, so the first signature is the last.
		first := found.Signing.Signers[len(found.Signing.Signers)-1]
		if i < 2 {
			require.Equal(t, signature.Valid, first.Status, "%+v", first)
		} else {
			require.Equal(t, signature.Unknown, first.Status, "%+v", first)
		}
	}
}

func TestR_C3_EvidenceAndTimeInsideAPDFCount(t *testing.T) {
	p := newParty(t, testca.P256)
	then := moment.Add(-2 * time.Hour)
	who, err := p.issuing.Issue(testca.Leaf{OCSP: "http://ocsp.example/", NotBefore: moment.Add(-72 * time.Hour), NotAfter: moment.Add(-time.Hour)})
	require.NoError(t, err)
	id, err := ocsp.NewCertID(signature.StandardAlgorithms(), pki.Identifier{OID: pki.OIDSHA256}, who.Certificate.SerialNumber, p.issuing.Certificate)
	require.NoError(t, err)
	good, err := ocsptest.Sign(ocsptest.Response{ProducedAt: then, Singles: []ocsptest.Single{{ID: id, Status: ocsp.Good, ThisUpdate: then}}}, crltest.By(p.issuing))
	require.NoError(t, err)
	for _, modern := range []bool{false, true} {
		d := pdfsigtest.New("The price is 100", modern)
		s := by(who)
		s.More = nil // the issuer comes with the evidence
		require.NoError(t, d.Sign(s))
		require.Equal(t, signature.Unknown, assess(t, p, d.Bytes).Signing.Status, "the certificate has ended since")
		d.Evidence([][]byte{p.issuing.Certificate.Raw}, [][]byte{good}, nil)
		require.NoError(t, d.Sign(stamp(t, p, then)))
		found := assess(t, p, d.Bytes)
		require.Equal(t, signature.Valid, found.Signing.Status, "%+v", found.Signing)
		require.Equal(t, signature.Unknown, found.Receipt.Status)
		require.True(t, found.Trusted)
		require.Equal(t, then, found.Signing.At)
		require.Len(t, found.Signing.Signers, 1, "a time stamp is nobody's signature")
		require.Subset(t, codes(found.Signing), []string{signature.TimeTrusted, signature.PDFExtended, signature.RevocationGood})

		again, err := pdfform.Assess(t.Context(), p.policy(), d.Bytes, moment, found.Evidence)
		require.NoError(t, err)
		require.Equal(t, found.Signing, again.Signing)

		// A token that came first proves nothing of what came after it.
		d = pdfsigtest.New("The price is 100", modern)
		require.NoError(t, d.Sign(stamp(t, p, then)))
		found = assess(t, p, d.Bytes)
		require.Equal(t, []string{signature.SignersNone}, codes(found.Signing))
		require.NoError(t, d.Sign(by(p.person)))
		found = assess(t, p, d.Bytes)
		require.Equal(t, signature.Valid, found.Signing.Status, "%+v", found.Signing)
		require.False(t, found.Trusted)
		require.NotContains(t, codes(found.Signing), signature.TimeTrusted)
	}
	t.Run("an authority whose issuer is in the store", func(t *testing.T) {
		below := party{p.issuing, p.issuing, p.person}
		d := pdfsigtest.New("The price is 100", true)
		s := by(p.person)
		s.More = nil
		require.NoError(t, d.Sign(s))
		require.NoError(t, d.Sign(stamp(t, below, then)))
		found := assess(t, p, d.Bytes)
		require.Equal(t, signature.Unknown, found.Signing.Status)
		require.False(t, found.Trusted)
		d.Evidence([][]byte{p.issuing.Certificate.Raw}, nil, nil)
		found = assess(t, p, d.Bytes)
		require.Equal(t, signature.Valid, found.Signing.Status, "%+v", found.Signing)
		require.True(t, found.Trusted)
		again, err := pdfform.Assess(t.Context(), p.policy(), d.Bytes, moment, found.Evidence)
		require.NoError(t, err)
		require.Equal(t, found.Signing, again.Signing)
	})
	t.Run("a token over something else", func(t *testing.T) {
		d := signed(t, p, false)
		s := stamp(t, p, then)
		make := s.CMS
		s.CMS = func(content []byte) ([]byte, error) { return make(append(bytes.Clone(content), 'x')) }
		require.NoError(t, d.Sign(s))
		found := assess(t, p, d.Bytes)
		require.Equal(t, signature.Valid, found.Signing.Status)
		require.False(t, found.Trusted)
		require.Contains(t, codes(found.Signing), signature.TimeUnproven)
	})
}

func TestR_C2_APDFThatCannotBeTakenApart(t *testing.T) {
	p := newParty(t, testca.P256)
	d := signed(t, p, false)
	plain := pdfsigtest.New("The price is 100", false)
	encrypted := plain.Clone()
	encrypted.UpdateAs("/Root 1 0 R /Encrypt << /Filter /Standard >>", pdfsigtest.Object{Number: 1, Body: encrypted.CatalogBody()})
	other := pdfsigtest.New("x", false)
	s := by(p.person)
	s.SubFilter = "adbe.x509.rsa_sha1"
	require.NoError(t, other.Sign(s))
	weak := pdfsigtest.New("x", false)
	s.SubFilter = pdfsig.PKCS7SHA1
	require.NoError(t, weak.Sign(s))
	for _, c := range []struct {
		name   string
		data   []byte
		code   string
		status signature.Status
	}{
		{"not a PDF", []byte("%PDF"), signature.PDFUnreadable, signature.Invalid},
		{"cut off", d.Bytes[:len(d.Bytes)-5000], signature.PDFUnreadable, signature.Invalid},
		{"nobody signed", plain.Bytes, signature.SignersNone, signature.Invalid},
		{"encrypted", encrypted.Bytes, signature.PDFUnsupported, signature.Unknown},
		{"damaged", bytes.Replace(plain.Bytes, []byte("\nxref\n"), []byte("\nxfer\n"), 1), signature.PDFUnsupported, signature.Unknown},
		{"too large", append(bytes.Clone(d.Bytes), make([]byte, pdfsig.MaxSize)...), signature.PDFTooLarge, signature.Unknown},
		{"another form", other.Bytes, signature.PDFUnsupported, signature.Unknown},
		{"over a SHA-1", weak.Bytes, signature.AlgorithmWeak, signature.Unknown},
		{"over another SHA-1", bytes.Replace(weak.Bytes, []byte("(x)"), []byte("(y)"), 1), signature.ContentDiffers, signature.Invalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			found := assess(t, p, c.data)
			require.Equal(t, c.status, found.Signing.Status, "%+v", found.Signing)
			require.Contains(t, codes(found.Signing), c.code, "%+v", found.Signing)
		})
	}
	t.Run("the context ends", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := pdfform.Assess(ctx, p.policy(), d.Bytes, moment, nil)
		require.ErrorIs(t, err, context.Canceled)
	})
}

// rawObject replaces the signature's dictionary.
func rawObject(t testing.TB, p party, body string) []byte {
	t.Helper()
	d := pdfsigtest.New("The price is 100", false)
	s := by(p.person)
	s.Object = body
	require.NoError(t, d.Sign(s))
	return d.Bytes
}

var ranges = regexp.MustCompile(`/ByteRange \[0 (\d{10}) (\d{10}) (\d{10})\]`)

// replaced changes a file in place, to the same length.
func replaced(t testing.TB, data []byte, old, new string) []byte {
	t.Helper()
	require.Len(t, new, len(old))
	changed := bytes.Replace(data, []byte(old), []byte(new), 1)
	require.NotEqual(t, data, changed)
	return changed
}

// The attacks of the literature on signatures in PDF, and some more: universal
// signature forgery (USF), incremental saving (ISA), signature wrapping (SWA),
// shadow attacks, attacks by annotations and by signatures that draw.
func TestR_C2_NoAttackOnASignedPDFIsValid(t *testing.T) {
	p := newParty(t, testca.P256)
	stream := func(text string) string {
		return pdfsigtest.Stream("", []byte("BT /F1 24 Tf 72 700 Td ("+text+") Tj ET"))
	}
	object := func(number int, body string) pdfsigtest.Object { return pdfsigtest.Object{Number: number, Body: body} }
	type attack struct {
		name string
		make func(t *testing.T, modern bool) []byte
		code string
	}
	update := func(change func(d *pdfsigtest.Document)) func(*testing.T, bool) []byte {
		return func(t *testing.T, modern bool) []byte {
			d := signed(t, p, modern)
			require.Equal(t, signature.Valid, assess(t, p, d.Bytes).Signing.Status)
			change(d)
			return d.Bytes
		}
	}
	attacks := []attack{
		{"ISA: the page's text replaced", update(func(d *pdfsigtest.Document) { d.Update(object(4, stream("The price is 900"))) }), signature.PDFPartial},
		{"ISA: another page", update(func(d *pdfsigtest.Document) {
			n := d.Take()
			d.Update(object(n, stream("900")), object(2, "<< /Type /Pages /Kids [3 0 R 3 0 R] /Count 2 >>"))
		}), signature.PDFPartial},
		{"ISA: another catalog", update(func(d *pdfsigtest.Document) {
			n, pages := d.Take(), d.Take()
			d.Catalog = strings.Replace(d.Catalog, "/Pages 2 0 R", fmt.Sprintf("/Pages %d 0 R", pages), 1)
			d.UpdateAs(fmt.Sprintf("/Root %d 0 R", n), object(n, d.CatalogBody()), object(pages, "<< /Type /Pages /Kids [] /Count 0 >>"))
		}), signature.PDFPartial},
		{"ISA: a catalog that was hidden", func(t *testing.T, modern bool) []byte {
			d := pdfsigtest.New("The price is 100", modern)
			n := d.Take()
			d.Update(object(n, "<< /Type /Catalog /Pages 2 0 R /Lang (kk) >>"))
			require.NoError(t, d.Sign(by(p.person)))
			body := d.CatalogBody()
			d.UpdateAs(fmt.Sprintf("/Root %d 0 R", n), object(n, body))
			return d.Bytes
		}, signature.PDFPartial},
		{"ISA: the catalog gains an action", update(func(d *pdfsigtest.Document) {
			d.Catalog += " /OpenAction << /S /JavaScript /JS (app.alert(1)) >>"
			d.Update(object(d.Root, d.CatalogBody()))
		}), signature.PDFPartial},
		{"ISA: a page by an older name", update(func(d *pdfsigtest.Document) { d.Update(object(5, "<< /Type /Font /Subtype /Type3 >>")) }), signature.PDFPartial},
		{"ISA: no cross-references", update(func(d *pdfsigtest.Document) {
			d.Bytes = append(d.Bytes, "4 0 obj\n"+stream("The price is 900")+"\nendobj\n"...)
		}), signature.PDFPartial},
		{"ISA: no cross-references, with a trailer", update(func(d *pdfsigtest.Document) {
			d.Bytes = append(d.Bytes, fmt.Sprintf("4 0 obj\n%s\nendobj\ntrailer\n<< /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n", stream("900"), d.Prev)...)
		}), signature.PDFPartial},
		{"ISA: an object hidden before a good revision", update(func(d *pdfsigtest.Document) {
			d.Bytes = append(d.Bytes, "4 0 obj\n"+stream("The price is 900")+"\nendobj\n"...)
			require.NoError(t, d.Sign(by(p.person)))
		}), signature.PDFPartial},
		{"ISA: an object hidden in a comment", update(func(d *pdfsigtest.Document) {
			d.Bytes = append(d.Bytes, "% 4 0 obj << >> endobj\n"...)
			d.Evidence(nil, nil, nil)
		}), signature.PDFPartial},
		{"ISA: a lone table", update(func(d *pdfsigtest.Document) { d.Modern = false; d.Update() }), ""},
		{"the file ends in an older revision", update(func(d *pdfsigtest.Document) {
			first := bytes.Index(d.Bytes, []byte("startxref"))
			d.Bytes = append(d.Bytes, d.Bytes[first:bytes.Index(d.Bytes, []byte("%%EOF"))+6]...)
		}), ""},
		{"an annotation", update(func(d *pdfsigtest.Document) {
			n := d.Take()
			d.Annots = append(d.Annots, n)
			d.Update(object(n, "<< /Type /Annot /Subtype /FreeText /Rect [0 0 595 842] /Contents (900) >>"), object(d.Page, d.PageNow()))
		}), signature.PDFPartial},
		{"a signature that draws over the page", update(func(d *pdfsigtest.Document) {
			s := by(p.person)
			s.Rect = "0 0 595 842"
			require.NoError(t, d.Sign(s))
		}), signature.PDFPartial},
		{"a signature with an action", update(func(d *pdfsigtest.Document) {
			s := by(p.person)
			s.FieldEntries = " /AA << /E << /S /JavaScript /JS (1) >> >>"
			require.NoError(t, d.Sign(s))
		}), signature.PDFPartial},
		{"a signature that changes the page beside itself", update(func(d *pdfsigtest.Document) {
			n := d.Take()
			d.PageBody = strings.Replace(d.PageBody, "/Contents 4 0 R", fmt.Sprintf("/Contents %d 0 R", n), 1)
			s := by(p.person)
			s.Objects = []pdfsigtest.Object{object(n, stream("The price is 900"))}
			require.NoError(t, d.Sign(s))
		}), signature.PDFPartial},
		{"a signature with a text field", update(func(d *pdfsigtest.Document) {
			n := d.Take()
			d.Fields = append(d.Fields, n)
			s := by(p.person)
			s.Objects = []pdfsigtest.Object{object(n, "<< /FT /Tx /T (x) /V (900) >>")}
			require.NoError(t, d.Sign(s))
		}), signature.PDFPartial},
		{"a form that draws its fields anew", update(func(d *pdfsigtest.Document) {
			d.Form = "/NeedAppearances true"
			require.NoError(t, d.Sign(by(p.person)))
		}), signature.PDFPartial},
		{"evidence beside another page", update(func(d *pdfsigtest.Document) {
			d.Evidence([][]byte{p.issuing.Certificate.Raw}, nil, nil)
			d.Update(object(4, stream("The price is 900")))
		}), signature.PDFPartial},
		{"an object that is nowhere named", update(func(d *pdfsigtest.Document) { d.Update(object(d.Take(), "(something)")) }), signature.PDFPartial},
		{"an object removed", update(func(d *pdfsigtest.Document) {
			at := len(d.Bytes)
			d.Bytes = append(d.Bytes, fmt.Sprintf("xref\n5 1\n0000000000 00001 f \ntrailer\n<< /Size %d /Root 1 0 R /Info 6 0 R /Prev %d >>\nstartxref\n%d\n%%%%EOF\n", d.Next, d.Prev, at)...)
		}), signature.PDFPartial},
		{"objects cut off by a smaller size", update(func(d *pdfsigtest.Document) {
			at := len(d.Bytes)
			d.Bytes = append(d.Bytes, fmt.Sprintf("xref\n0 1\n0000000000 65535 f \ntrailer\n<< /Size 4 /Root 1 0 R /Info 6 0 R /Prev %d >>\nstartxref\n%d\n%%%%EOF\n", d.Prev, at)...)
		}), signature.PDFPartial},
		{"a field's signature removed", update(func(d *pdfsigtest.Document) {
			d.Update(object(d.Fields[0], "<< /FT /Sig /T (Signature) /Rect [0 0 0 0] >>"))
		}), signature.SignersNone},
		{"shadow: what was hidden is shown", func(t *testing.T, modern bool) []byte {
			d := pdfsigtest.New("The price is 100", modern)
			hidden := d.Take()
			d.Update(object(hidden, stream("The price is 900")))
			require.NoError(t, d.Sign(by(p.person)))
			d.PageBody = strings.Replace(d.PageBody, "/Contents 4 0 R", fmt.Sprintf("/Contents %d 0 R", hidden), 1)
			d.Update(object(d.Page, d.PageNow()))
			return d.Bytes
		}, signature.PDFPartial},
		{"shadow: a table that points at what was hidden", func(t *testing.T, modern bool) []byte {
			d := pdfsigtest.New("The price is 100", false)
			d.Update(object(d.Take(), "<< /Length 200 >>\nstream\n"+fmt.Sprintf("%-200s", "4 0 obj "+stream("900")+" endobj")+"\nendstream"))
			at := bytes.LastIndex(d.Bytes, []byte("4 0 obj"))
			require.NoError(t, d.Sign(by(p.person)))
			from := len(d.Bytes)
			d.Bytes = append(d.Bytes, fmt.Sprintf("xref\n4 1\n%010d 00000 n \ntrailer\n<< /Size %d /Root 1 0 R /Info 6 0 R /Prev %d >>\nstartxref\n%d\n%%%%EOF\n", at, d.Next, d.Prev, from)...)
			return d.Bytes
		}, signature.PDFPartial},
		{"shadow: a gap filled by evidence", func(t *testing.T, modern bool) []byte {
			d := pdfsigtest.New("The price is 100", modern)
			missing := d.Next + 20
			d.PageBody = strings.Replace(d.PageBody, "/Contents 4 0 R", fmt.Sprintf("/Contents [4 0 R %d 0 R]", missing), 1)
			d.Update(object(d.Page, d.PageNow()))
			require.NoError(t, d.Sign(by(p.person)))
			require.Less(t, d.Next, missing)
			d.Next = missing
			d.Evidence([][]byte{[]byte("BT (900) Tj ET")}, nil, nil)
			return d.Bytes
		}, signature.PDFPartial},
		{"shadow: a store of evidence that is an action, too", func(t *testing.T, modern bool) []byte {
			d := pdfsigtest.New("The price is 100", modern)
			store := d.Take()
			d.Catalog += fmt.Sprintf(" /DSS %d 0 R /OpenAction %d 0 R", store, store)
			d.Update(object(store, "<< /Type /DSS >>"), object(d.Root, d.CatalogBody()))
			require.NoError(t, d.Sign(by(p.person)))
			d.Update(object(store, "<< /S /JavaScript /JS (1) >>"))
			return d.Bytes
		}, signature.PDFPartial},
		{"shadow: a store of evidence that leads to a page's annotations", func(t *testing.T, modern bool) []byte {
			d := pdfsigtest.New("The price is 100", modern)
			store, list, note := d.Take(), d.Take(), d.Take()
			d.Catalog += fmt.Sprintf(" /DSS %d 0 R", store)
			d.PageBody += fmt.Sprintf(" /Annots %d 0 R", list)
			d.Update(object(store, fmt.Sprintf("<< /Type /DSS /Certs %d 0 R >>", list)), object(list, fmt.Sprintf("[%d 0 R]", note)),
				object(note, "<< /Type /Annot /Subtype /FreeText /Rect [0 0 0 0] >>"), object(d.Root, d.CatalogBody()), object(d.Page, d.PageNow()))
			s := by(p.person)
			s.Field = d.Take() // on no page, whose annotations are a list of their own
			d.Fields = []int{s.Field}
			s.Objects = []pdfsigtest.Object{object(d.Root, d.CatalogBody())}
			require.NoError(t, d.Sign(s))
			require.Equal(t, signature.Valid, assess(t, p, d.Bytes).Signing.Status)
			d.Update(object(note, "<< /Type /Annot /Subtype /FreeText /Rect [0 0 595 842] /Contents (900) >>"))
			return d.Bytes
		}, signature.PDFPartial},
		{"shadow: an entry that leads beyond the signed part", func(t *testing.T, modern bool) []byte {
			d := pdfsigtest.New("The price is 100", false)
			d.PageBody = strings.Replace(d.PageBody, "/Contents 4 0 R", "/Contents 50 0 R", 1)
			d.Update(object(d.Page, d.PageNow()))
			from := len(d.Bytes)
			d.Bytes = append(d.Bytes, fmt.Sprintf("xref\n50 1\n%010d 00000 n \ntrailer\n<< /Size 51 /Root 1 0 R /Info 6 0 R /Prev %d >>\nstartxref\n%d\n%%%%EOF\n", 30_000, d.Prev, from)...)
			d.Prev, d.Next = from, 51
			require.NoError(t, d.Sign(by(p.person)))
			require.Less(t, len(d.Bytes), 29_000)
			d.Bytes = append(d.Bytes, bytes.Repeat([]byte{'\n'}, 30_000-len(d.Bytes))...)
			d.Update(object(50, stream("The price is 900")))
			return d.Bytes
		}, signature.PDFPartial},
		{"certified against any change, then signed", func(t *testing.T, modern bool) []byte {
			d := pdfsigtest.New("The price is 100", modern)
			s := by(p.person)
			s.Entries = "/Reference [<< /Type /SigRef /TransformMethod /DocMDP /TransformParams << /Type /TransformParams /P 1 /V /1.2 >> >>]"
			require.NoError(t, d.Sign(s))
			require.Equal(t, signature.Valid, assess(t, p, d.Bytes).Signing.Status)
			require.NoError(t, d.Sign(by(p.person)))
			return d.Bytes
		}, signature.PDFPartial},
		{"USF: no ranges", func(t *testing.T, _ bool) []byte {
			return replaced(t, signed(t, p, false).Bytes, "/ByteRange", "/BiteRange")
		}, signature.PDFRange},
		{"USF: ranges of nothing", func(t *testing.T, _ bool) []byte {
			data := signed(t, p, false).Bytes
			m := string(ranges.Find(data))
			return replaced(t, data, m, "/ByteRange null"+strings.Repeat(" ", len(m)-15))
		}, signature.PDFRange},
		{"USF: no contents", func(t *testing.T, _ bool) []byte {
			return replaced(t, signed(t, p, false).Bytes, "/Contents <", "/Contenst <")
		}, signature.PDFRange},
		{"USF: negative ranges", func(t *testing.T, _ bool) []byte {
			data := signed(t, p, false).Bytes
			m := string(ranges.Find(data))
			return replaced(t, data, m, "/ByteRange [0 -1 0 0]"+strings.Repeat(" ", len(m)-21))
		}, signature.PDFRange},
		{"USF: contents of zeros", func(t *testing.T, _ bool) []byte {
			data := signed(t, p, false).Bytes
			m := ranges.FindSubmatchIndex(data)
			at := bytes.Index(data[m[1]:], []byte("/Contents <")) + m[1] + len("/Contents <")
			for i := at; data[i] != '>'; i++ {
				data[i] = '0'
			}
			return data
		}, signature.CMSUnreadable},
		{"something behind the CMS in the gap", func(t *testing.T, _ bool) []byte {
			data := signed(t, p, false).Bytes
			data[bytes.LastIndex(data, []byte("0000>"))+3] = '1'
			return data
		}, signature.CMSUnreadable},
		{"SWA: the second range moved to the end", func(t *testing.T, _ bool) []byte {
			data := signed(t, p, false).Bytes
			m := ranges.FindSubmatch(data)
			var gapEnd int
			_, err := fmt.Sscanf(string(m[2]), "%d", &gapEnd)
			require.NoError(t, err)
			wedge := []byte("\n4 0 obj\n" + stream("The price is 900") + "\nendobj\n")
			moved := append(append(bytes.Clone(data[:gapEnd]), wedge...), data[gapEnd:]...)
			return replaced(t, moved, string(m[2]), fmt.Sprintf("%010d", gapEnd+len(wedge)))
		}, ""},
		{"SWA: an object in the gap", func(t *testing.T, _ bool) []byte {
			data := signed(t, p, false).Bytes
			at := bytes.LastIndex(data, []byte("0>"))
			return append(append(append(bytes.Clone(data[:at-30]), "> /X (4 0 obj endobj) /Y <"...), data[at-30+26:at]...), data[at:]...)
		}, ""},
		{"ranges that end before the file does", func(t *testing.T, _ bool) []byte {
			data := signed(t, p, false).Bytes
			return append(data, "junk"...)
		}, signature.PDFPartial},
		{"keys twice", func(t *testing.T, _ bool) []byte {
			return rawObject(t, p, "<< /Type /Sig /Filter /Adobe.PPKLite /SubFilter /ETSI.CAdES.detached %s /Contents <00> /Contents %s >>")
		}, signature.PDFRange},
		{"contents elsewhere", func(t *testing.T, _ bool) []byte {
			return rawObject(t, p, "<< /Type /Sig /Filter /Adobe.PPKLite /SubFilter /ETSI.CAdES.detached %s /Cert %s /Contents <3003020101> >>")
		}, signature.PDFRange},
		{"contents in a dictionary inside", func(t *testing.T, _ bool) []byte {
			return rawObject(t, p, "<< /Type /Sig /Filter /Adobe.PPKLite /SubFilter /ETSI.CAdES.detached %s /X << /Contents %s >> >>")
		}, signature.PDFRange},
		{"a page over the gap", func(t *testing.T, _ bool) []byte {
			d := pdfsigtest.New("The price is 100", false)
			// The page's content begins before the signature and has it inside.
			d.Bytes = append(d.Bytes, "4 0 obj\n<< /Length 18000 >>\nstream\n"...)
			at := bytes.LastIndex(d.Bytes, []byte("4 0 obj"))
			from := len(d.Bytes)
			d.Bytes = append(d.Bytes, fmt.Sprintf("xref\n4 1\n%010d 00000 n \ntrailer\n<< /Size 7 /Root 1 0 R /Info 6 0 R /Prev %d >>\nstartxref\n%d\n%%%%EOF\n", at, d.Prev, from)...)
			d.Prev = from
			require.NoError(t, d.Sign(by(p.person)))
			return d.Bytes
		}, signature.PDFPartial},
	}
	for _, a := range attacks {
		for _, modern := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, modern %v", a.name, modern), func(t *testing.T) {
				data := a.make(t, modern)
				found := assess(t, p, data)
				if a.name == "ISA: a lone table" {
					// It changes nothing.
					require.Equal(t, signature.Valid, found.Signing.Status, "%+v", found.Signing)
					return
				}
				require.NotEqual(t, signature.Valid, found.Signing.Status)
				require.NotEqual(t, signature.Valid, found.Receipt.Status)
				if a.code != "" {
					require.Contains(t, codes(found.Signing), a.code, "%+v", found.Signing)
				}
				if len(found.Signing.Signers) > 0 {
					require.NotEqual(t, signature.Valid, found.Signing.Signers[0].Status, "%+v", found.Signing)
				}
			})
		}
	}
}

// Whatever is done to one byte that is signed, or to the end of the file, it is
// not valid; every third is tried. (Within the CMS there is what nobody signed: an issuer's certificate
// that is at hand anyway.)
func TestR_C2_NoChangedByteOfASignedPDFIsValid(t *testing.T) {
	p := newParty(t, testca.P256)
	for _, modern := range []bool{false, true} {
		d := signed(t, p, modern)
		m := ranges.FindSubmatchIndex(d.Bytes)
		gap := bytes.Index(d.Bytes[m[1]:], []byte("<")) + m[1]
		end := bytes.IndexByte(d.Bytes[gap:], '>') + gap
		for at := 0; at < len(d.Bytes); at += 3 {
			if at > gap && at < end {
				continue
			}
			data := bytes.Clone(d.Bytes)
			data[at] ^= 1
			found := assess(t, p, data)
			require.NotEqual(t, signature.Valid, found.Signing.Status, "byte %d", at)
		}
		for n := len(d.Bytes) - 1; n > 0; n -= 41 {
			require.NotEqual(t, signature.Valid, assess(t, p, d.Bytes[:n]).Signing.Status, "cut to %d", n)
		}
	}
}

func BenchmarkAssess10MB(b *testing.B) {
	p := newParty(b, testca.RSA2048)
	d := pdfsigtest.New("The price is 100", false)
	big := d.Take()
	d.Update(pdfsigtest.Object{Number: big, Body: pdfsigtest.Stream("", bytes.Repeat([]byte("0123456789"), 1<<20))})
	require.NoError(b, d.Sign(by(p.person)))
	require.NoError(b, d.Sign(by(p.person)))
	b.SetBytes(int64(len(d.Bytes)))
	for b.Loop() {
		require.Equal(b, signature.Valid, assess(b, p, d.Bytes).Signing.Status)
	}
}

// Nobody signs the store of evidence: what is damaged there is taken away, and no
// more.
func TestR_C4_EvidenceInAPDFThatCannotBeReadIsPassedOverAndNamed(t *testing.T) {
	p := newParty(t, testca.P256)
	who, err := p.issuing.Issue(testca.Leaf{CRL: "http://crl.example/"})
	require.NoError(t, err)
	list := func(by *testca.Identity) []byte {
		der, err := crltest.Sign(crltest.List{ThisUpdate: moment, NextUpdate: moment.Add(time.Hour)}, crltest.By(by))
		require.NoError(t, err)
		return der
	}
	leaf, top := list(p.issuing), list(p.root)
	made := func(modern bool, certificates, lists [][]byte) *pdfsigtest.Document {
		d := pdfsigtest.New("The price is 100", modern)
		s := by(who)
		s.More = nil // the issuer comes with the evidence
		require.NoError(t, d.Sign(s))
		d.Evidence(certificates, nil, lists)
		return d
	}
	issuer := p.issuing.Certificate.Raw
	for _, modern := range []bool{false, true} {
		found := assess(t, p, made(modern, [][]byte{issuer}, [][]byte{leaf, top}).Bytes)
		require.Equal(t, signature.Valid, found.Signing.Status, "%+v", found.Signing)
		require.NotContains(t, codes(found.Signing), signature.EvidenceUnreadable)
		for name, d := range map[string]*pdfsigtest.Document{
			"a certificate":          made(modern, [][]byte{issuer[1:]}, [][]byte{leaf, top}),
			"a list":                 made(modern, [][]byte{issuer}, [][]byte{leaf[:100], top}),
			"a list of another kind": made(modern, [][]byte{issuer}, [][]byte{p.root.Certificate.Raw, top}),
		} {
			found := assess(t, p, d.Bytes)
			require.Equal(t, signature.Unknown, found.Signing.Status, "%s: %+v", name, found.Signing)
			require.Contains(t, codes(found.Signing), signature.EvidenceUnreadable, name)
			require.Equal(t, signature.Evidence{DER: who.Certificate.Raw}.Name(), found.Signing.Signers[0].Certificate, name)
		}
	}
	// A stream that does not unpack, places that lead nowhere, and a store that is none.
	for name, damage := range map[string]func(d *pdfsigtest.Document, good int) string{
		"a stream that does not unpack": func(d *pdfsigtest.Document, good int) string {
			n := d.Take()
			d.Update(pdfsigtest.Object{Number: n, Body: pdfsigtest.Stream(" /Filter /FlateDecode", []byte("damaged"))})
			return fmt.Sprintf("<< /Certs [%d 0 R] /CRLs [%d 0 R] >>", good, n)
		},
		"a list that is not there": func(d *pdfsigtest.Document, good int) string {
			return fmt.Sprintf("<< /Certs [%d 0 R] /CRLs [999 0 R] >>", good)
		},
		"lists that are no array": func(d *pdfsigtest.Document, good int) string {
			return fmt.Sprintf("<< /Certs [%d 0 R] /CRLs (none) >>", good)
		},
		"a store that is not there":  func(d *pdfsigtest.Document, good int) string { return "998 0 R" },
		"a store that is a document": func(d *pdfsigtest.Document, good int) string { return "(none)" },
	} {
		d := pdfsigtest.New("The price is 100", false)
		require.NoError(t, d.Sign(by(who)))
		good := d.Take()
		d.Update(pdfsigtest.Object{Number: good, Body: pdfsigtest.Stream("", issuer)})
		d.Catalog += " /DSS " + damage(d, good)
		d.Update(pdfsigtest.Object{Number: d.Root, Body: d.CatalogBody()})
		found := assess(t, p, d.Bytes)
		require.Equal(t, signature.Unknown, found.Signing.Status, "%s: %+v", name, found.Signing)
		require.Contains(t, codes(found.Signing), signature.EvidenceUnreadable, name)
		require.Equal(t, signature.Evidence{DER: who.Certificate.Raw}.Name(), found.Signing.Signers[0].Certificate, name)
	}
}
