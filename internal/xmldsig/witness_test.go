package xmldsig_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dalel/internal/nucsamples"
	"dalel/internal/pki"
	"dalel/internal/xmldsig"
	"dalel/internal/xmldsig/xmldsigtest"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
	"github.com/stretchr/testify/require"
)

// awkward are documents in which canonical forms are easy to get wrong.
var awkward = []string{
	`<a/>`,
	"<?xml version=\"1.0\"?>\r\n<?go  now?>\n<!-- before -->\n<a>\r\nline&#13;end\r</a>\n<!-- after --><?gone?>",
	"<a b='one\ntwo\tthree\r\nfour' c='&#10;&#9;&#13;&lt;&gt;&quot;&apos;\"'>&lt;&gt;&amp;\"'<![CDATA[<x>&amp;</x>]]></a>",
	`<a xmlns="urn:u" xmlns:p="urn:v"><b xmlns=""><c xmlns="urn:u" p:x="1" x="2"/><d/></b><p:e xmlns:p="urn:w"/><f xmlns:p="urn:v"/></a>`,
	`<a xmlns=""><b xmlns=""><p:c xmlns:p="urn:u"><d xmlns=""/></p:c></b></a>`,
	`<p:a xmlns="urn:d" xmlns:p="urn:u"><b xmlns=""/><p:c><d/></p:c></p:a>`,
	`<a xmlns:z="urn:a" xmlns:b="urn:z" b:one="1" z:two="2" three="3" z:four="4" b:four="5"/>`,
	`<a xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><b xsi:schemaLocation="u" xml:lang="kk" xml:space="preserve" z="1"/></a>`,
	`<a xmlns:z="urn:a" xmlns:b="urn:z"><c xmlns:b="urn:0" b:y="1" z:x="2"><!-- in --><d z:x="1" b:w="2"/></c></a>`,
	`<a xmlns:xml="http://www.w3.org/XML/1998/namespace" xml:lang="kk"><?in side ?>Құжат &#x1F4C4; &#160;</a>`,
	`<a Id="a" ID="b" xmlns:unused="urn:u"><unused:b/><c><d e=""></d></c></a>`,
}

func TestR_C2_CanonicalFormsAreThoseOfAnotherProgram(t *testing.T) {
	program, err := exec.LookPath("xmllint")
	if err != nil {
		t.Skip("xmllint is not installed")
	}
	by := signer(t, "P256")
	for _, document := range awkward {
		if strings.HasSuffix(document, "/>") && !strings.Contains(document, "</") {
			name, rest, _ := strings.Cut(strings.TrimSuffix(document, "/>"), " ")
			document = strings.TrimSpace(name+" "+rest) + "></" + name[1:] + ">"
		}
		file := filepath.Join(t.TempDir(), "document.xml")
		require.NoError(t, os.WriteFile(file, []byte(document), 0o600))
		for flag, uri := range map[string]string{"--c14n": xmldsig.URIC14N10, "--c14n11": xmldsig.URIC14N11, "--exc-c14n": xmldsig.URIExclusive} {
			signed := sign(t, []byte(document), xmldsigtest.Signature{Signer: by, References: []xmldsigtest.Reference{
				{Transforms: []string{xmldsig.URIEnveloped, uri}},
			}})
			d := parse(t, signed)
			result := digests(t, d, d.Signatures()[0])[0]
			canonical, err := exec.Command(program, flag, file).Output()
			require.NoError(t, err)
			canonical = withoutComments(t, canonical)
			sum := sha256.Sum256(canonical)
			require.Equal(t, sum[:], result.Got, "%s of %s should be %s", flag, document, canonical)
		}
	}
}

// TestR_C2_CanonicalFormsOfRandomDocuments mixes namespaces that are declared,
// changed and undone with attributes in them.
func TestR_C2_CanonicalFormsOfRandomDocuments(t *testing.T) {
	program, err := exec.LookPath("xmllint")
	if err != nil {
		t.Skip("xmllint is not installed")
	}
	by := signer(t, "P256")
	file := filepath.Join(t.TempDir(), "document.xml")
	random := rand.New(rand.NewPCG(1, 2))
	for range 60 {
		var b strings.Builder
		writeRandom(random, &b, map[string]bool{}, 0)
		document := []byte(b.String())
		require.NoError(t, os.WriteFile(file, document, 0o600))
		for flag, uri := range map[string]string{"--c14n": xmldsig.URIC14N10, "--exc-c14n": xmldsig.URIExclusive} {
			signed := sign(t, document, xmldsigtest.Signature{Signer: by, References: []xmldsigtest.Reference{
				{Transforms: []string{xmldsig.URIEnveloped, uri}},
			}})
			d := parse(t, signed)
			canonical, err := exec.Command(program, flag, file).Output()
			require.NoError(t, err)
			sum := sha256.Sum256(canonical)
			require.Equal(t, sum[:], digests(t, d, d.Signatures()[0])[0].Got, "%s of %s should be %s", flag, document, canonical)
		}
	}
}

func writeRandom(random *rand.Rand, b *strings.Builder, outer map[string]bool, depth int) {
	declared := maps.Clone(outer)
	var attributes []string
	for _, prefix := range []string{"p", "q", "r"} {
		if random.IntN(3) == 0 {
			attributes = append(attributes, fmt.Sprintf(`xmlns:%s="urn:%s%d"`, prefix, prefix, random.IntN(2)))
			declared[prefix] = true
		}
	}
	switch random.IntN(5) {
	case 0:
		attributes = append(attributes, `xmlns=""`)
	case 1:
		attributes = append(attributes, fmt.Sprintf(`xmlns="urn:z%d"`, random.IntN(2)))
	}
	prefixes := append([]string{"", ""}, slices.Sorted(maps.Keys(declared))...)
	for _, name := range []string{"a", "b", "c"} {
		prefix := prefixes[random.IntN(len(prefixes))]
		if prefix != "" {
			prefix += ":"
		}
		if random.IntN(2) == 0 {
			attributes = append(attributes, fmt.Sprintf("%s%s='%d\t&#10;\"'", prefix, name, random.IntN(9)))
		}
	}
	random.Shuffle(len(attributes), func(i, j int) { attributes[i], attributes[j] = attributes[j], attributes[i] })
	name := "e"
	if prefix := prefixes[random.IntN(len(prefixes))]; prefix != "" {
		name = prefix + ":e"
	}
	b.WriteString("<" + name + " " + strings.Join(attributes, " ") + ">")
	for range random.IntN(3) {
		if depth < 5 {
			writeRandom(random, b, declared, depth+1)
		}
		b.WriteString([]string{"\r\n", "text", "&#13;", "<?do  it ?>", "<![CDATA[<]]>"}[random.IntN(5)])
	}
	b.WriteString("</" + name + ">")
}

// withoutComments takes comments, which xmllint keeps, out of a canonical form,
// with the line ends around those beside the root element (C14N 1.0, 2.1).
func withoutComments(t *testing.T, canonical []byte) []byte {
	t.Helper()
	text := string(canonical)
	for {
		start := strings.Index(text, "<!--")
		if start < 0 {
			return []byte(text)
		}
		end := start + strings.Index(text[start:], "-->") + len("-->")
		switch {
		case strings.HasPrefix(text[end:], "\n<"):
			end++
		case start > 0 && text[start-1] == '\n':
			start--
		}
		text = text[:start] + text[end:]
	}
}

func TestR_C2_AnotherProgramVerifiesWhatIsSigned(t *testing.T) {
	program, err := exec.LookPath("xmlsec1")
	if err != nil {
		t.Skip("xmlsec1 is not installed")
	}
	verified := 0
	for _, document := range append([]string{contract}, awkward...) {
		if !strings.Contains(document, "</") {
			continue // no end tag to sign in front of
		}
		names := []string{"P256"}
		if document == contract {
			names = []string{"RSA", "P256", "P384"}
		}
		for _, name := range names {
			for _, uri := range []string{xmldsig.URIC14N10, xmldsig.URIC14N10WithComments, xmldsig.URIC14N11, xmldsig.URIExclusive, xmldsig.URIExclusiveWithComments} {
				by := signer(t, name)
				public, err := x509.MarshalPKIXPublicKey(by.Certificate.PublicKey)
				require.NoError(t, err)
				key := filepath.Join(t.TempDir(), "key.pem")
				require.NoError(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), 0o600))
				signed := sign(t, []byte(document), xmldsigtest.Signature{Signer: by, Canonicalization: uri,
					References: []xmldsigtest.Reference{{Transforms: []string{xmldsig.URIEnveloped, uri}}}})
				run := func(data []byte) ([]byte, error) {
					file := filepath.Join(t.TempDir(), "signed.xml")
					require.NoError(t, os.WriteFile(file, data, 0o600))
					return exec.Command(program, "--verify", "--pubkey-pem", key, file).CombinedOutput()
				}
				output, err := run(signed)
				require.NoError(t, err, "%s, %s: %s\n%s", name, uri, output, signed)
				verified++
				if name == "P256" {
					_, err = run(bytes.Replace(signed, []byte("<ds:Signature "), []byte("x<ds:Signature "), 1))
					require.Error(t, err)
				}
			}
		}
	}
	t.Logf("%d signatures verified by xmlsec1", verified)
}

func TestR_C2_TheValidatorOfTheLibraryAgreesAboutRSA(t *testing.T) {
	by := signer(t, "RSA")
	validator := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: []*x509.Certificate{by.Certificate}})
	for _, uri := range []string{xmldsig.URIC14N10, xmldsig.URIC14N11, xmldsig.URIExclusive} {
		signed := sign(t, []byte(`<a xmlns="urn:a" xmlns:b="urn:b"><b:c d="1" b:d="2">text</b:c></a>`), xmldsigtest.Signature{Signer: by,
			References: []xmldsigtest.Reference{{Transforms: []string{xmldsig.URIEnveloped, uri}}}, Canonicalization: uri})
		theirs := func(data []byte) error {
			tree := etree.NewDocument()
			require.NoError(t, tree.ReadFromBytes(data))
			_, err := validator.Validate(tree.Root())
			return err
		}
		require.NoError(t, theirs(signed), uri)
		changed := replace(t, signed, "text", "test")
		require.Error(t, theirs(changed), uri)
		d := parse(t, changed)
		require.Equal(t, xmldsig.Differ, digests(t, d, d.Signatures()[0])[0].Outcome)
	}
}

// TestR_C2_SubsetsAreCanonicalizedAsByAnotherProgram has xmlsec1 verify references
// to elements deep in a document, with namespaces and xml: attributes above them.
func TestR_C2_SubsetsAreCanonicalizedAsByAnotherProgram(t *testing.T) {
	program, err := exec.LookPath("xmlsec1")
	if err != nil {
		t.Skip("xmlsec1 is not installed")
	}
	const document = `<a xmlns="urn:d" xmlns:p="urn:p" xmlns:q="urn:q" xml:lang="kk" xml:space="preserve">
<p:b xmlns:p="urn:other" p:x="1" q:a="2" %s="one"><c xmlns="" p:z="" q:y="" xml:lang="ru"/><!-- c --><d xmlns="urn:e"/></p:b>
<e xmlns=""><f %s="two" xmlns:q="urn:r" q:b="" p:c=""><q:g/></f></e></a>`
	by := signer(t, "P256")
	public, err := x509.MarshalPKIXPublicKey(by.Certificate.PublicKey)
	require.NoError(t, err)
	key := filepath.Join(t.TempDir(), "key.pem")
	require.NoError(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), 0o600))
	for _, uri := range []string{xmldsig.URIC14N10, xmldsig.URIC14N11, xmldsig.URIExclusive, xmldsig.URIExclusiveWithComments} {
		for _, prefixes := range []string{"", "p q"} {
			if prefixes != "" && !strings.HasPrefix(uri, xmldsig.URIExclusive) {
				continue
			}
			signed := sign(t, fmt.Appendf(nil, document, "xml:id", "xml:id"), xmldsigtest.Signature{Signer: by, References: []xmldsigtest.Reference{
				{URI: "#one", Transforms: []string{uri}, Prefixes: prefixes},
				{URI: "#two", Transforms: []string{uri}, Prefixes: prefixes},
			}})
			d := parse(t, signed)
			for _, result := range digests(t, d, d.Signatures()[0]) {
				require.Equal(t, xmldsig.Match, result.Outcome)
			}
			file := filepath.Join(t.TempDir(), "signed.xml")
			require.NoError(t, os.WriteFile(file, signed, 0o600))
			output, err := exec.Command(program, "--verify", "--store-references", "--print-debug", "--pubkey-pem", key, file).CombinedOutput()
			require.NoError(t, err, "%s: %s\n%s", uri, output, signed)
		}
	}
}

func FuzzParse(f *testing.F) {
	nucsamples.Seed(f, 64<<10)
	for _, document := range awkward {
		f.Add([]byte(document))
	}
	signed := sign(f, []byte(contract), xmldsigtest.Signature{Signer: signer(f, "P256"), Properties: &xmldsigtest.Properties{
		Stamp: func([]byte) ([]byte, error) { return []byte("token"), nil }, OCSP: [][]byte{{1}},
	}})
	f.Add(signed)
	f.Add(sign(f, signed, xmldsigtest.Signature{Signer: signer(f, "GOST"), References: []xmldsigtest.Reference{{URI: "#buyer", Transforms: []string{xmldsig.URIExclusive}, Prefixes: "p"}}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := xmldsig.Parse(data)
		if err != nil {
			return
		}
		for _, s := range d.Signatures() {
			require.Equal(t, s.Problem == nil, s.SignedInfo != nil)
			results, err := d.Digests(t.Context(), known(), s)
			require.NoError(t, err)
			require.Len(t, results, len(s.References))
			require.NotEmpty(t, results)
			for _, r := range results {
				require.Equal(t, r.Outcome == xmldsig.Unknown, r.Err != nil)
				require.Equal(t, r.Outcome == xmldsig.Match, bytes.Equal(r.Got, r.Want))
				if r.Outcome == xmldsig.Match {
					require.NotEqual(t, xmldsig.Nothing, r.Covers)
				}
			}
			_ = s.Check(known(), pki.PublicKey{})
		}
	})
}
