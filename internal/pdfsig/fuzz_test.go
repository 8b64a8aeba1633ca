package pdfsig_test

import (
	"bytes"
	"fmt"
	"io"
	"testing"
	"time"

	"dalel/internal/crl/crltest"
	"dalel/internal/pdfsig"
	"dalel/internal/pdfsig/pdfsigtest"
	"dalel/internal/testca"

	"github.com/stretchr/testify/require"
)

func signer(t testing.TB) pdfsigtest.Signature {
	t.Helper()
	root, err := testca.NewRoot(testca.CA{Name: "Test root"})
	require.NoError(t, err)
	who, err := root.Issue(testca.Leaf{})
	require.NoError(t, err)
	return pdfsigtest.Signature{Signer: crltest.By(who), Room: 1200}
}

func FuzzParse(f *testing.F) {
	s := signer(f)
	for _, modern := range []bool{false, true} {
		d := pdfsigtest.New("The price is 100", modern)
		f.Add(d.Bytes)
		field := d.Empty("0 0 100 100")
		require.NoError(f, d.Sign(s))
		f.Add(bytes.Clone(d.Bytes))
		other := s
		other.Field, other.Rect = field, "0 0 100 100"
		require.NoError(f, d.Sign(other))
		f.Add(bytes.Clone(d.Bytes))
		d.Evidence([][]byte{{0x30, 0}}, [][]byte{{0x30, 1, 5}}, nil)
		f.Add(bytes.Clone(d.Bytes))
		d.Update(pdfsigtest.Object{Number: 4, Body: pdfsigtest.Stream("", []byte("900"))})
		f.Add(bytes.Clone(d.Bytes))
	}
	for _, modern := range []bool{false, true} {
		d := pdfsigtest.New("A card", modern)
		one, two := d.Take(), d.Take()
		d.Catalog += fmt.Sprintf(" /Names << /EmbeddedFiles << /Kids [<< /Names [(a) << /EF << /F %d 0 R >> >> (b) << /EF << /F %[2]d 0 R /UF %[2]d 0 R >> >>] >>] >> >> /AF []", one, two)
		d.Update(
			pdfsigtest.Object{Number: one, Body: pdfsigtest.Stream(" /Type /EmbeddedFile", []byte("contract"))},
			pdfsigtest.Object{Number: two, Body: pdfsigtest.Stream(" /Type /EmbeddedFile", []byte("signature"))},
			pdfsigtest.Object{Number: d.Root, Body: d.CatalogBody()},
		)
		f.Add(d.Bytes)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		began := time.Now()
		document, err := pdfsig.Parse(data)
		if err != nil {
			require.Nil(t, document)
			return
		}
		files, err := document.Attachments()
		if err != nil {
			require.Empty(t, files)
		}
		total := 0
		for _, file := range files {
			total += len(file)
		}
		require.LessOrEqual(t, total, 16<<20+4*len(data))
		require.Less(t, time.Since(began), time.Minute)
		require.Equal(t, before, data, "parsing changed its input")
		for _, s := range document.Signatures {
			if s.Err != nil {
				require.NotEqual(t, pdfsig.Whole, s.Coverage)
				continue
			}
			require.Less(t, 0, s.Gap)
			require.Less(t, s.Gap, s.GapEnd)
			require.Less(t, s.GapEnd, s.End)
			require.LessOrEqual(t, s.End, len(data))
			require.Equal(t, byte('<'), data[s.Gap])
			require.Equal(t, byte('>'), data[s.GapEnd-1])
			n, err := io.Copy(io.Discard, s.Content())
			require.NoError(t, err)
			require.EqualValues(t, s.End-(s.GapEnd-s.Gap), n)
			require.Equal(t, byte(0x30), s.Contents[0])
			switch s.Coverage {
			case pdfsig.Whole:
				require.Empty(t, bytes.Trim(data[s.End:], "\x00\t\n\f\r "))
			default:
				require.NotEmpty(t, s.Detail)
			}
		}
	})
}
