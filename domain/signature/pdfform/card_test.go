package pdfform_test

import (
	"bytes"
	"compress/zlib"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"

	"dalel/domain/signature"
	"dalel/domain/signature/pdfform"
	"dalel/internal/cms"
	"dalel/internal/pdfsig"
	"dalel/internal/pdfsig/pdfsigtest"
	"dalel/internal/testca"

	"codeberg.org/go-pdf/fpdf"
	"github.com/pdfcpu/pdfcpu/pkg/api"
	"github.com/pdfcpu/pdfcpu/pkg/pdfcpu/model"
	"github.com/stretchr/testify/require"
)

// original is what the cards of these tests are about.
var original = []byte("%PDF-1.4 the contract, or whatever it is: nobody reads it here")

// attached is a file for a card.
type attached struct {
	name    string
	content []byte
}

// newCard is a card of an electronic document as programs make it: a PDF with files
// attached, by one library, and put into objects and streams by another.
func newCard(t testing.TB, files ...attached) []byte {
	t.Helper()
	card := plainCard(t, files...)
	api.DisableConfigDir()
	var out bytes.Buffer
	require.NoError(t, api.Optimize(bytes.NewReader(card), &out, model.NewDefaultConfiguration()))
	return out.Bytes()
}

// plainCard is the card before the other library has it.
func plainCard(t testing.TB, files ...attached) []byte {
	t.Helper()
	pdf := fpdf.New("P", "mm", "A4", "")
	pdf.AddPage()
	pdf.SetFont("Helvetica", "", 14)
	pdf.Cell(40, 10, "CARD OF AN ELECTRONIC DOCUMENT")
	var list []fpdf.Attachment
	for i, file := range files {
		list = append(list, fpdf.Attachment{Content: file.content, Filename: file.name, Description: fmt.Sprintf("file %d", i)})
	}
	pdf.SetAttachments(list)
	var out bytes.Buffer
	require.NoError(t, pdf.Output(&out))
	return out.Bytes()
}

// signedBy is a CMS over a content.
func signedBy(t testing.TB, content []byte, carried bool, who ...*testca.Identity) []byte {
	t.Helper()
	options := cms.SignOptions{Content: bytes.NewReader(content), Attached: carried}
	for _, w := range who {
		options.Signers = append(options.Signers, cms.SignerOptions{Certificate: w.Certificate, Key: w.Key, SigningTime: moment})
		options.Certificates = append(options.Certificates, w.Chain...)
	}
	der, err := cms.Sign(t.Context(), options)
	require.NoError(t, err)
	return der
}

func TestR_C2_ACardOfAnElectronicDocumentIsTakenApartAndJudged(t *testing.T) {
	p := newParty(t, testca.P256)
	second, err := p.issuing.Issue(testca.Leaf{Key: testca.RSA2048})
	require.NoError(t, err)
	stranger := newParty(t, testca.P256)
	doc, changed := attached{"contract.pdf", original}, attached{"contract.pdf", append(bytes.Clone(original), ' ')}
	one, two := signedBy(t, original, false, p.person), signedBy(t, original, false, second)
	first, other := attached{"Первый.cms", one}, attached{"second.cms", two}
	sum := sha256.Sum256(original)
	text := base64.StdEncoding.EncodeToString(one)
	const valid, invalid, unknown = signature.Valid, signature.Invalid, signature.Unknown
	for name, c := range map[string]struct {
		files   []attached
		status  signature.Status
		signers []signature.Status
		code    string
	}{
		"one signer":                           {[]attached{doc, first}, valid, []signature.Status{valid}, ""},
		"two signatures":                       {[]attached{doc, first, other}, valid, []signature.Status{valid, valid}, ""},
		"one signature of two":                 {[]attached{doc, {"both.cms", signedBy(t, original, false, p.person, second)}}, valid, []signature.Status{valid, valid}, ""},
		"in another order":                     {[]attached{first, other, doc}, valid, []signature.Status{valid, valid}, ""},
		"a signature in PEM":                   {[]attached{doc, {"a.txt", pem.EncodeToMemory(&pem.Block{Type: "CMS", Bytes: one})}}, valid, []signature.Status{valid}, ""},
		"in base64":                            {[]attached{doc, {"a.txt", []byte(text[:64] + "\r\n" + text[64:])}}, valid, []signature.Status{valid}, ""},
		"with the document in it":              {[]attached{doc, {"a.p7m", signedBy(t, original, true, p.person)}}, valid, []signature.Status{valid}, ""},
		"the document twice":                   {[]attached{doc, {"copy.pdf", original}, first}, valid, []signature.Status{valid}, ""},
		"an empty document":                    {[]attached{{"empty.txt", nil}, {"a.cms", signedBy(t, nil, false, p.person)}}, valid, []signature.Status{valid}, ""},
		"another document":                     {[]attached{changed, first, other}, invalid, []signature.Status{invalid, invalid}, signature.DigestMismatch},
		"a signature of another document":      {[]attached{doc, first, {"b.cms", signedBy(t, changed.content, false, second)}}, invalid, []signature.Status{valid, invalid}, signature.DigestMismatch},
		"with another document in it":          {[]attached{doc, {"a.p7m", signedBy(t, changed.content, true, p.person)}}, invalid, []signature.Status{invalid}, signature.ContentDiffers},
		"a signer of another authority":        {[]attached{doc, first, {"b.cms", signedBy(t, original, false, stranger.person)}}, unknown, []signature.Status{valid, unknown}, signature.ChainUntrusted},
		"no document":                          {[]attached{first, other}, unknown, nil, signature.PDFAttachments},
		"no document, it is in the signatures": {[]attached{{"a.p7m", signedBy(t, original, true, p.person)}}, unknown, nil, signature.PDFAttachments},
		"two documents":                        {[]attached{doc, changed, first}, unknown, nil, signature.PDFAttachments},
		"no signature":                         {[]attached{doc}, unknown, nil, signature.PDFAttachments},
		"a signature that is none":             {[]attached{doc, {"a.cms", []byte("11\n")}}, unknown, nil, signature.PDFAttachments},
		"a damaged signature":                  {[]attached{doc, {"a.cms", one[:len(one)-1]}}, unknown, nil, signature.PDFAttachments},
		"no file":                              {nil, invalid, nil, signature.SignersNone},
	} {
		for form, card := range map[string][]byte{"as it was made": plainCard(t, c.files...), "by another program": newCard(t, c.files...)} {
			found := assess(t, p, card)
			require.Equal(t, c.status, found.Signing.Status, "%s, %s: %+v", name, form, found.Signing)
			require.Equal(t, c.status, found.Receipt.Status, "%s, %s", name, form)
			var statuses []signature.Status
			for _, signer := range found.Signing.Signers {
				statuses = append(statuses, signer.Status)
			}
			require.ElementsMatch(t, c.signers, statuses, "%s, %s: %+v", name, form, found.Signing)
			if c.code != "" {
				require.Contains(t, codes(found.Signing), c.code, "%s, %s", name, form)
			}
			if c.signers == nil {
				require.NotContains(t, codes(found.Signing), signature.PDFCard, "%s, %s", name, form)
				continue
			}
			require.Len(t, found.Signing.Reasons, 1, "%s, %s", name, form)
			require.Equal(t, signature.PDFCard, found.Signing.Reasons[0].Code, "that the pages are not what was signed is said")
			if c.status == valid && name != "an empty document" {
				require.Contains(t, found.Signing.Reasons[0].Detail, hex.EncodeToString(sum[:]), "%s, %s", name, form)
			}
			again, err := pdfform.Assess(t.Context(), p.policy(), card, moment, found.Evidence)
			require.NoError(t, err)
			require.Equal(t, found.Signing, again.Signing)
		}
	}
}

func TestR_C2_ACardThatIsSignedItselfIsJudgedByThat(t *testing.T) {
	p := newParty(t, testca.P256)
	card := plainCard(t, attached{"contract.pdf", original}, attached{"a.cms", signedBy(t, []byte("another"), false, p.person)})
	require.Equal(t, signature.Invalid, assess(t, p, card).Signing.Status)
	d, err := pdfsigtest.Open(card)
	require.NoError(t, err)
	stamped := d.Clone()
	require.NoError(t, d.Sign(by(p.person)))
	found := assess(t, p, d.Bytes)
	require.Equal(t, signature.Valid, found.Signing.Status, "%+v", found.Signing)
	require.NotContains(t, codes(found.Signing), signature.PDFCard)
	// A time stamp is nobody's signature.
	require.NoError(t, stamped.Sign(stamp(t, p, moment.Add(-time.Hour))))
	require.Contains(t, codes(assess(t, p, stamped.Bytes).Signing), signature.PDFCard)
}

// fileIn is a document with whatever is in its catalog, after objects that it may
// refer to: the first has the number 7.
func fileIn(catalog string, bodies ...string) []byte {
	d := pdfsigtest.New("A card", false)
	var objects []pdfsigtest.Object
	for _, body := range bodies {
		objects = append(objects, pdfsigtest.Object{Number: d.Take(), Body: body})
	}
	d.Catalog += " " + catalog
	d.Update(append(objects, pdfsigtest.Object{Number: d.Root, Body: d.CatalogBody()})...)
	return d.Bytes
}

func packedStream(t testing.TB, content []byte) string {
	t.Helper()
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	_, err := w.Write(content)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return pdfsigtest.Stream(" /Type /EmbeddedFile /Filter /FlateDecode", b.Bytes())
}

func TestR_C4_ACardThatCannotBeTakenApartIsNotTold(t *testing.T) {
	p := newParty(t, testca.P256)
	doc, message := packedStream(t, original), packedStream(t, signedBy(t, original, false, p.person))
	const specs = "/Names << /EmbeddedFiles << /Names [(a) << /EF << /F 7 0 R /UF 7 0 R >> >> (b) 9 0 R] >> >>"
	const second = "<< /Type /Filespec /F (b) /EF << /F 8 0 R >> >>"
	require.Equal(t, signature.Valid, assess(t, p, fileIn(specs, doc, message, second)).Signing.Status)

	const all = "/Names << /EmbeddedFiles << /Kids [<< /Kids [<< /Names [(a) << /EF << /F 7 0 R >> >>] >>] >> << /Names [(b) 9 0 R] >>] >> >>"
	require.Equal(t, signature.Valid, assess(t, p, fileIn(all, doc, message, second)).Signing.Status, "a tree of several nodes")
	require.Equal(t, signature.Valid, assess(t, p, fileIn("/AF [<< /EF << /F 7 0 R >> >> 9 0 R]", doc, message, second)).Signing.Status, "associated files")
	require.Equal(t, signature.Valid, assess(t, p, fileIn(specs+" /AF [9 0 R]", doc, message, second)).Signing.Status, "a file in both places is one")

	large := packedStream(t, make([]byte, 20<<20))
	many := strings.Builder{}
	for range 70 {
		many.WriteString("(a) << /EF << /F 7 0 R >> >> ")
	}
	var streams []string
	var places strings.Builder
	for i := range pdfsig.MaxAttachments + 1 {
		streams = append(streams, pdfsigtest.Stream(" /Type /EmbeddedFile", fmt.Append(nil, i)))
		fmt.Fprintf(&places, "(%d) << /EF << /F %d 0 R >> >> ", i, 7+i)
	}
	encrypted := func() []byte {
		api.DisableConfigDir()
		var out bytes.Buffer
		require.NoError(t, api.Encrypt(bytes.NewReader(plainCard(t, attached{"a", original})), &out, model.NewAESConfiguration("", "owner", 256)))
		return out.Bytes()
	}
	annotated := func() []byte {
		pdf := fpdf.New("P", "mm", "A4", "")
		pdf.AddPage()
		pdf.AddAttachmentAnnotation(&fpdf.Attachment{Content: original, Filename: "a"}, 1, 1, 10, 10)
		var out bytes.Buffer
		require.NoError(t, pdf.Output(&out))
		return out.Bytes()
	}
	for name, c := range map[string]struct {
		card []byte
		code string
	}{
		"a stream that is not there":       {fileIn(specs, doc, "null", second), signature.PDFAttachments},
		"a stream that is none":            {fileIn(specs, doc, "(text)", second), signature.PDFAttachments},
		"a stream that does not unpack":    {fileIn(specs, doc, pdfsigtest.Stream(" /Filter /FlateDecode", []byte("no")), second), signature.PDFAttachments},
		"packed in another way":            {fileIn(specs, doc, pdfsigtest.Stream(" /Filter /LZWDecode", []byte("no")), second), signature.PDFAttachments},
		"packed twice":                     {fileIn(specs, doc, pdfsigtest.Stream(" /Filter [/FlateDecode /FlateDecode]", []byte("no")), second), signature.PDFAttachments},
		"two streams for one file":         {fileIn(specs, doc, message, "<< /EF << /F 8 0 R /UF 7 0 R >> >>"), signature.PDFAttachments},
		"a file twice in its place":        {fileIn(specs, doc, message, "<< /EF << /F 8 0 R /F 7 0 R >> >>"), signature.PDFAttachments},
		"no stream for a file":             {fileIn(specs, doc, message, "<< /EF << >> >>"), signature.PDFAttachments},
		"a place that is none":             {fileIn(specs, doc, message, "<< /EF (no) >>"), signature.PDFAttachments},
		"no specification":                 {fileIn(specs, doc, message, "(no)"), signature.PDFAttachments},
		"a name without a file":            {fileIn("/Names << /EmbeddedFiles << /Names [(a)] >> >>", doc), signature.PDFAttachments},
		"a tree that is none":              {fileIn("/Names << /EmbeddedFiles (no) >>", doc), signature.PDFAttachments},
		"a tree twice":                     {fileIn("/Names << /EmbeddedFiles << /Names [] >> /EmbeddedFiles << >> >>", doc), signature.PDFAttachments},
		"a file in no list":                {fileIn("", doc), signature.PDFAttachments},
		"a specification in no list":       {fileIn("/PieceInfo << /a [<< /EF << /F 7 0 R >> >>] >>", pdfsigtest.Stream("", original)), signature.PDFAttachments},
		"a file in an annotation":          {annotated(), signature.PDFAttachments},
		"an encrypted card":                {encrypted(), signature.PDFUnsupported},
		"a tree that leads round":          {fileIn("/Names << /EmbeddedFiles 7 0 R >>", "<< /Kids [7 0 R 7 0 R] >>"), signature.PDFTooLarge},
		"too many files":                   {fileIn("/Names << /EmbeddedFiles << /Names ["+places.String()+"] >> >>", streams...), signature.PDFTooLarge},
		"a file that unpacks to very much": {fileIn(specs, large, message, second), signature.PDFTooLarge},
	} {
		began := time.Now()
		found := assess(t, p, c.card)
		require.Equal(t, signature.Unknown, found.Signing.Status, "%s: %+v", name, found.Signing)
		require.Equal(t, []string{c.code}, codes(found.Signing), "%s: %+v", name, found.Signing)
		require.Empty(t, found.Signing.Signers, name)
		require.Less(t, time.Since(began), 5*time.Second, name)
	}
	// One file that is named often is one; a file that lies elsewhere is none.
	require.Contains(t, codes(assess(t, p, fileIn("/Names << /EmbeddedFiles << /Names ["+many.String()+"] >> >>", doc)).Signing), signature.PDFAttachments)
	require.Equal(t, []string{signature.SignersNone}, codes(assess(t, p, fileIn("/Names << /EmbeddedFiles << /Names [(a) << /F (a) >>] >> >>")).Signing))

	t.Run("when the context ends", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := pdfform.Assess(ctx, p.policy(), fileIn(specs, doc, message, second), moment, nil)
		require.ErrorIs(t, err, context.Canceled)
	})
}
