package pdfsig_test

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"dalel/internal/cms"
	"dalel/internal/pdfsig"
	"dalel/internal/pdfsig/pdfsigtest"

	"os"

	"github.com/stretchr/testify/require"
)

func parse(t testing.TB, data []byte) *pdfsig.Document {
	t.Helper()
	document, err := pdfsig.Parse(data)
	require.NoError(t, err)
	return document
}

func TestWhatFollowsASignatureIsSaid(t *testing.T) {
	s := signer(t)
	for _, modern := range []bool{false, true} {
		d := pdfsigtest.New("The price is 100", modern)
		require.Empty(t, parse(t, d.Bytes).Signatures)
		require.NoError(t, d.Sign(s))
		one := parse(t, d.Bytes).Signatures[0]
		require.Equal(t, pdfsig.Whole, one.Coverage)
		require.Equal(t, len(d.Bytes), one.End)
		message, err := cms.Parse(one.Contents)
		require.NoError(t, err)
		require.True(t, message.Detached)

		require.Equal(t, pdfsig.Whole, parse(t, append(bytes.Clone(d.Bytes), " \r\n\x00"...)).Signatures[0].Coverage)
		require.Equal(t, pdfsig.Partial, parse(t, append(bytes.Clone(d.Bytes), "% more"...)).Signatures[0].Coverage)

		d.Evidence([][]byte{[]byte("a certificate")}, [][]byte{[]byte("an answer"), []byte("an answer")}, [][]byte{[]byte("a list")})
		document := parse(t, d.Bytes)
		require.Equal(t, pdfsig.Extended, document.Signatures[0].Coverage, document.Signatures[0].Detail)
		require.Equal(t, [][]byte{[]byte("a certificate")}, document.Certificates)
		require.Equal(t, [][]byte{[]byte("an answer")}, document.OCSP, "each piece once")
		require.Equal(t, [][]byte{[]byte("a list")}, document.CRLs)

		d.Update(pdfsigtest.Object{Number: d.Info, Body: "<< /Producer (another program) /ModDate (D:20260202000000Z) >>"})
		require.Equal(t, pdfsig.Extended, parse(t, d.Bytes).Signatures[0].Coverage)
		require.NoError(t, d.Sign(s))
		document = parse(t, d.Bytes)
		require.Equal(t, pdfsig.Extended, document.Signatures[0].Coverage, document.Signatures[0].Detail)
		require.Equal(t, pdfsig.Whole, document.Signatures[1].Coverage)
		require.True(t, document.Signatures[1].Encloses(&document.Signatures[0]))
		require.False(t, document.Signatures[0].Encloses(&document.Signatures[1]))

		d.Update(pdfsigtest.Object{Number: d.Info, Body: "<< /Producer (another program) /Title (The price is 900) >>"})
		document = parse(t, d.Bytes)
		require.Equal(t, pdfsig.Partial, document.Signatures[0].Coverage)
		require.Equal(t, pdfsig.Partial, document.Signatures[1].Coverage)
	}
}

func TestContentsAreReadWithWhatFillsTheirPlace(t *testing.T) {
	for name, c := range map[string]struct {
		contents []byte
		want     int // how much is kept, 0 for a refusal
	}{
		"DER":                        {[]byte{0x30, 3, 2, 1, 1}, 5},
		"DER, a long length":         {append([]byte{0x30, 0x81, 0x80}, bytes.Repeat([]byte{5, 0}, 64)...), 131},
		"BER, an indefinite length":  {[]byte{0x30, 0x80, 2, 1, 1, 0, 0}, 7},
		"cut off":                    {[]byte{0x30, 0x84, 0x7f, 0xff, 0xff, 0xff}, 0},
		"a length of too many bytes": {[]byte{0x30, 0x88, 1, 1, 1, 1, 1, 1, 1, 1}, 0},
		"something else":             {[]byte{4, 1, 1}, 0},
		"something behind it":        {[]byte{0x30, 3, 2, 1, 1, 0, 7}, 0},
		"nothing":                    {nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			d := pdfsigtest.New("x", false)
			s := pdfsigtest.Signature{Room: 1000, CMS: func([]byte) ([]byte, error) { return c.contents, nil }}
			require.NoError(t, d.Sign(s))
			one := parse(t, d.Bytes).Signatures[0]
			if c.want == 0 {
				require.ErrorIs(t, one.Err, cms.ErrMalformed)
				return
			}
			require.NoError(t, one.Err)
			require.Equal(t, c.contents[:c.want], one.Contents)
		})
	}
}

func TestBoundsAreKept(t *testing.T) {
	bomb := func(n int) []byte {
		var b bytes.Buffer
		w := zlib.NewWriter(&b)
		_, err := w.Write(make([]byte, n))
		require.NoError(t, err)
		require.NoError(t, w.Close())
		return b.Bytes()
	}
	ended := func(at int, body string) []byte {
		return []byte(fmt.Sprintf("%%PDF-1.7\n%s\nstartxref\n%d\n%%%%EOF\n", body, at))
	}
	nested := pdfsigtest.New("x", false)
	nested.Catalog += " /X " + strings.Repeat("[", 5000) + strings.Repeat("]", 5000)
	nested.Update(pdfsigtest.Object{Number: 1, Body: nested.CatalogBody()})
	fields := pdfsigtest.New("x", false)
	fields.Catalog += " /AcroForm << /Fields [" + strings.Repeat("<< /FT /Sig /V << >> >> ", 1000) + "] >>"
	fields.Update(pdfsigtest.Object{Number: 1, Body: fields.CatalogBody()})
	// Many objects, each with all the others inside: reading them takes the square
	// of their number.
	matryoshka := pdfsigtest.New("x", false)
	require.NoError(t, matryoshka.Sign(signer(t)))
	from := len(matryoshka.Bytes)
	var table strings.Builder
	const dolls = 20_000
	for i := range dolls {
		fmt.Fprintf(&table, "%010d 00000 n \n", from+i*16)
		matryoshka.Bytes = append(matryoshka.Bytes, fmt.Sprintf("%06d 0 obj ( \n\n", 100_000+i)...)
	}
	matryoshka.Bytes = append(matryoshka.Bytes, strings.Repeat(")", dolls)...)
	at := len(matryoshka.Bytes)
	matryoshka.Bytes = append(matryoshka.Bytes, fmt.Sprintf("\nxref\n100000 %d\n%strailer\n<< /Size 200000 /Root 1 0 R /Prev %d >>\nstartxref\n%d\n%%%%EOF\n", dolls, table.String(), matryoshka.Prev, at+1)...)
	for name, data := range map[string][]byte{
		"a cross-reference stream of 200 MB": ended(9, "9 0 obj\n"+pdfsigtest.Stream(" /Type /XRef /W [1 1 1] /Size 9 /Root 1 0 R /Filter /FlateDecode", bomb(200<<20))+"\nendobj"),
		"entries without end":                ended(9, "9 0 obj\n"+pdfsigtest.Stream(" /Type /XRef /W [1 1 1] /Size 9000000 /Root 1 0 R /Filter /FlateDecode", bomb(27_000_000))+"\nendobj"),
		"nested without end":                 nested.Bytes,
		"signatures without end":             fields.Bytes,
		"objects inside one another":         matryoshka.Bytes,
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := pdfsig.Parse(data)
			require.ErrorIs(t, err, pdfsig.ErrTooLarge)
			runtime.ReadMemStats(&after)
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(300<<20))
		})
	}
	for name, data := range map[string][]byte{
		"sections in a circle":       ended(9, "xref\n0 0\ntrailer\n<< /Root 1 0 R /Prev 9 >>"),
		"a section outside":          ended(99_999, ""),
		"no catalog":                 ended(9, "xref\n0 0\ntrailer\n<< /Size 1 >>"),
		"an object twice in a table": ended(9, "xref\n1 1\n0000000009 00000 n \n1 1\n0000000010 00000 n \ntrailer\n<< /Root 1 0 R >>"),
		"a negative place":           ended(-7, ""),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := pdfsig.Parse(data)
			require.ErrorIs(t, err, pdfsig.ErrUnsupported)
		})
	}
}

// The structure that package pdfsigtest writes is one that another program reads
// without a complaint.
func TestPopplerReadsWhatTheTestsWrite(t *testing.T) {
	if _, err := exec.LookPath("pdftotext"); err != nil {
		t.Skip("poppler's pdftotext is not installed: nothing to check against")
	}
	for _, modern := range []bool{false, true} {
		d := pdfsigtest.New("The price is 100", modern)
		require.NoError(t, d.Sign(signer(t)))
		d.Evidence([][]byte{{0x30, 0}}, nil, nil)
		file := filepath.Join(t.TempDir(), "signed.pdf")
		require.NoError(t, os.WriteFile(file, d.Bytes, 0o600))
		out, err := exec.CommandContext(t.Context(), "pdftotext", file, "-").CombinedOutput()
		require.NoError(t, err)
		require.Equal(t, "The price is 100", strings.TrimSpace(string(out)))
	}
}
