package xmldsig_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"dalel/internal/crl/crltest"
	"dalel/internal/pki"
	"dalel/internal/testca"
	"dalel/internal/xmldsig"
	"dalel/internal/xmldsig/xmldsigtest"

	"github.com/stretchr/testify/require"
)

// replace changes the one place where old stands.
func replace(t testing.TB, data []byte, old, by string) []byte {
	t.Helper()
	require.Equal(t, 1, bytes.Count(data, []byte(old)), "%q", old)
	return bytes.Replace(data, []byte(old), []byte(by), 1)
}

// signers are made once: RSA keys take their time.
var signers = sync.OnceValues(func() (map[string]crltest.Signer, error) {
	root, err := testca.NewRoot(testca.CA{Name: "Test root"})
	if err != nil {
		return nil, err
	}
	made := map[string]crltest.Signer{}
	for name, kind := range map[string]testca.KeyKind{"RSA": testca.RSA2048, "P256": testca.P256, "P384": testca.P384} {
		identity, err := root.Issue(testca.Leaf{Key: kind})
		if err != nil {
			return nil, err
		}
		made[name] = crltest.By(identity)
	}
	authority, err := crltest.GOST("Test GOST root", nil, time.Now())
	if err != nil {
		return nil, err
	}
	made["GOST"], err = crltest.GOST("Test signer", &authority, time.Now())
	return made, err
})

func signer(t testing.TB, name string) crltest.Signer {
	t.Helper()
	all, err := signers()
	require.NoError(t, err)
	require.Contains(t, all, name)
	return all[name]
}

func sign(t testing.TB, document []byte, s xmldsigtest.Signature) []byte {
	t.Helper()
	signed, err := xmldsigtest.Sign(document, s)
	require.NoError(t, err)
	return signed
}

func parse(t testing.TB, data []byte) *xmldsig.Document {
	t.Helper()
	d, err := xmldsig.Parse(data)
	require.NoError(t, err)
	return d
}

const contract = `<?xml version="1.0" encoding="UTF-8"?>
<contract xmlns="urn:example:contract" xmlns:p="urn:example:party" number="17">
  <p:party Id="seller" p:name="Aqbota">Seller</p:party>
  <p:party Id="buyer">Buyer</p:party>
  <sum currency="KZT">1000</sum>
</contract>`

func everySigner(t *testing.T, test func(t *testing.T, by crltest.Signer)) {
	for _, name := range []string{"RSA", "P256", "P384", "GOST"} {
		t.Run(name, func(t *testing.T) { test(t, signer(t, name)) })
	}
}

func TestR_C2_ASignedDocumentMatchesUntilItIsChanged(t *testing.T) {
	everySigner(t, func(t *testing.T, by crltest.Signer) {
		signed := sign(t, []byte(contract), xmldsigtest.Signature{Signer: by})
		d := parse(t, signed)
		require.Len(t, d.Signatures(), 1)
		s := d.Signatures()[0]
		require.NoError(t, check(t, s))
		result := digests(t, d, s)[0]
		require.Equal(t, xmldsig.Match, result.Outcome)
		require.Equal(t, xmldsig.RemovedOwn, result.Removed)
		require.Equal(t, "{urn:example:contract}contract", result.Name)

		for _, change := range [][2]string{
			{"1000", "9000"},
			{`currency="KZT"`, `currency="USD"`},
			{`number="17"`, `number="17" more=""`},
			{"<sum", "<total/><sum"},
			{"Buyer<", "Buyer <"},
			{"urn:example:party", "urn:example:other"},
			{"<ds:Signature ", "\n<ds:Signature "},
			{"</contract>", "<later/></contract>"},
			{"<contract", "<?order pay?><contract"},
		} {
			d := parse(t, replace(t, signed, change[0], change[1]))
			require.Equal(t, xmldsig.Differ, digests(t, d, d.Signatures()[0])[0].Outcome, change)
		}
		// What SignedInfo says is under the value.
		for _, change := range [][2]string{
			{`<ds:Reference URI="">`, `<ds:Reference URI="#buyer">`},
			{"<ds:SignedInfo>\n", "<ds:SignedInfo>"},
			{xmldsig.URIC14N10WithComments, xmldsig.URIC14N10},
		} {
			d := parse(t, replace(t, signed, change[0], change[1]))
			require.ErrorIs(t, check(t, d.Signatures()[0]), pki.ErrMismatch, change)
		}
	})
}

func TestR_C2_WhatDoesNotCountAsAChange(t *testing.T) {
	signed := sign(t, []byte(contract), xmldsigtest.Signature{Signer: signer(t, "P256")})
	for name, same := range map[string][]byte{
		"line ends":        bytes.ReplaceAll(signed, []byte("\n"), []byte("\r\n")),
		"byte order mark":  append([]byte("\ufeff"), signed...),
		"quotes":           replace(t, signed, `number="17"`, `number='17'`),
		"empty element":    signed,
		"CDATA":            replace(t, signed, "1000", "<![CDATA[1000]]>"),
		"reference":        replace(t, signed, "1000", "&#x31;000"),
		"space in the tag": replace(t, signed, `<sum currency="KZT">`, "<sum\n currency = 'KZT' >"),
		"declaration":      replace(t, signed, `<?xml version="1.0" encoding="UTF-8"?>`, ""),
		"its own prefix":   replace(t, signed, `<sum c`, `<sum xmlns="urn:example:contract" c`),
	} {
		d := parse(t, same)
		require.NoError(t, check(t, d.Signatures()[0]), name)
		result := digests(t, d, d.Signatures()[0])[0]
		require.Equal(t, xmldsig.Match, result.Outcome, name)
		require.False(t, result.CommentsLeftOut, name)
	}
	for name, same := range map[string][]byte{
		"comment":        replace(t, signed, "1000", "1<!-- -->000"),
		"beside":         append(bytes.Clone(signed), "<!-- paid -->"...),
		"in front of it": replace(t, signed, "<contract", "<!-- paid --><contract"),
	} {
		d := parse(t, same)
		result := digests(t, d, d.Signatures()[0])[0]
		require.Equal(t, xmldsig.Match, result.Outcome, name)
		require.True(t, result.CommentsLeftOut, name)
	}
}

func TestR_C2_EverySignerOfMany(t *testing.T) {
	signed := []byte(contract)
	names := []string{"RSA", "GOST", "P256", "GOST"}
	for _, name := range names {
		signed = sign(t, signed, xmldsigtest.Signature{Signer: signer(t, name)})
	}
	d := parse(t, signed)
	require.Len(t, d.Signatures(), len(names))
	for i, s := range d.Signatures() {
		require.NoError(t, check(t, s))
		result := digests(t, d, s)[0]
		require.Equal(t, xmldsig.Match, result.Outcome)
		want := xmldsig.RemovedOwnAndLater
		if i == len(names)-1 {
			want = xmldsig.RemovedOwn
		}
		require.Equal(t, want, result.Removed)
		require.Equal(t, len(names)-1-i, result.LaterSignatures)
	}

	// Given the second signature is taken out, the first still matches, and those
	// after it do not: they signed it too.
	all := regexp.MustCompile(`(?s)<ds:Signature .*?</ds:Signature>`).FindAll(signed, -1)
	require.Len(t, all, len(names))
	d = parse(t, bytes.Replace(signed, all[1], nil, 1))
	for i, want := range []xmldsig.Outcome{xmldsig.Match, xmldsig.Differ, xmldsig.Differ} {
		require.Equal(t, want, digests(t, d, d.Signatures()[i])[0].Outcome, i)
	}
	// Given two change places, the last one still finds in front of itself all that
	// it signed; the one that comes last now finds more.
	swapped := bytes.Replace(signed, append(bytes.Clone(all[2]), all[3]...), append(bytes.Clone(all[3]), all[2]...), 1)
	require.NotEqual(t, signed, swapped)
	d = parse(t, swapped)
	for i, want := range []xmldsig.Outcome{xmldsig.Match, xmldsig.Match, xmldsig.Match, xmldsig.Differ} {
		require.Equal(t, want, digests(t, d, d.Signatures()[i])[0].Outcome, i)
	}
}

func TestR_C2_OnlyWhatIsReferredToIsCovered(t *testing.T) {
	by := signer(t, "GOST")
	signed := sign(t, []byte(contract), xmldsigtest.Signature{Signer: by, References: []xmldsigtest.Reference{
		{URI: "#seller", Transforms: []string{xmldsig.URIC14N10}},
		{URI: "#buyer", Transforms: []string{xmldsig.URIExclusive}},
	}})
	d := parse(t, signed)
	for _, result := range digests(t, d, d.Signatures()[0]) {
		require.Equal(t, xmldsig.Match, result.Outcome)
		require.Equal(t, xmldsig.Element, result.Covers)
		require.Equal(t, "{urn:example:party}party", result.Name)
		require.False(t, result.Root)
	}
	// Swapped contents and swapped references never match.
	d = parse(t, replace(t, replace(t, signed, ">Seller<", ">Buyer<"), ">Buyer</p:party>\n  <sum", ">Seller</p:party>\n  <sum"))
	for _, result := range digests(t, d, d.Signatures()[0]) {
		require.Equal(t, xmldsig.Differ, result.Outcome)
	}
	swapped := replace(t, replace(t, replace(t, signed, `URI="#seller"`, `URI="#x"`), `URI="#buyer"`, `URI="#seller"`), `URI="#x"`, `URI="#buyer"`)
	d = parse(t, swapped)
	require.ErrorIs(t, check(t, d.Signatures()[0]), pki.ErrMismatch)
	for _, result := range digests(t, d, d.Signatures()[0]) {
		require.Equal(t, xmldsig.Differ, result.Outcome)
	}
	// An inclusive form takes part in what is around: the same element elsewhere.
	d = parse(t, replace(t, signed, `number="17"`, `number="17" xml:lang="kk"`))
	results := digests(t, d, d.Signatures()[0])
	require.Equal(t, xmldsig.Differ, results[0].Outcome)
	require.Equal(t, xmldsig.Match, results[1].Outcome)
}

func TestR_C2_AWrappedElementIsNotTakenForAnother(t *testing.T) {
	signed := sign(t, []byte(contract), xmldsigtest.Signature{Signer: signer(t, "P256"), References: []xmldsigtest.Reference{
		{URI: "#buyer", Transforms: []string{xmldsig.URIExclusive}},
	}})
	const genuine = `<p:party Id="buyer">Buyer</p:party>`

	// Given the genuine element is moved away and another put in its place under
	// another name, then it is still covered, and the other is not.
	wrapped := replace(t, signed, genuine, `<p:party>Thief</p:party><other>`+genuine+`</other>`)
	d := parse(t, wrapped)
	result := digests(t, d, d.Signatures()[0])[0]
	require.Equal(t, xmldsig.Match, result.Outcome)
	require.Equal(t, xmldsig.Element, result.Covers)
	require.False(t, result.Root, "the caller is told that it is not the document")

	// Given both have the Id, in any spelling, the document is refused.
	for _, id := range []string{"Id", "ID", "id", "xml:id", `xmlns:u="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd" u:Id`} {
		for _, twice := range []string{genuine + `<x ` + id + `="buyer"/>`, `<x ` + id + `="buyer"/>` + genuine} {
			_, err := xmldsig.Parse(replace(t, signed, genuine, twice))
			require.ErrorIs(t, err, xmldsig.ErrMalformed, twice)
		}
	}
	// An Id that nobody refers to may be there as often as the document likes.
	parse(t, replace(t, signed, genuine, genuine+`<x id="1"/><y id="1"/>`))

	// Given a whole document within another one, the root is not what was signed.
	whole := sign(t, []byte(`<pay><to>Aqbota</to></pay>`), xmldsigtest.Signature{Signer: signer(t, "P256")})
	d = parse(t, []byte(`<pay><to>Thief</to>`+string(whole)+`</pay>`))
	result = digests(t, d, d.Signatures()[0])[0]
	require.Equal(t, xmldsig.Differ, result.Outcome)
	require.Equal(t, xmldsig.WholeDocument, result.Covers)
	require.True(t, result.Root)

	// Given content in an Object of the signature, it is said that it is there.
	require.False(t, parse(t, whole).Signatures()[0].ForeignContent)
	for _, more := range []string{"<ds:Object><to>Thief</to></ds:Object>", "<ds:Object>Thief</ds:Object>"} {
		d = parse(t, replace(t, whole, "</ds:KeyInfo>", "</ds:KeyInfo>"+more))
		require.Equal(t, xmldsig.Match, digests(t, d, d.Signatures()[0])[0].Outcome)
		require.True(t, d.Signatures()[0].ForeignContent)
	}
	// Given a signature within a signature, it is not one of the document's.
	nested := replace(t, whole, "</ds:KeyInfo>", "</ds:KeyInfo><ds:Object>"+
		string(regexp.MustCompile(`(?s)<ds:Signature .*</ds:Signature>`).Find(whole))+"</ds:Object>")
	require.Len(t, parse(t, nested).Signatures(), 1)
}

func TestR_C2_AnEnvelopedElement(t *testing.T) {
	const message = `<message xmlns="urn:example" Id="m"><text>one</text></message>`
	signed := sign(t, []byte(message), xmldsigtest.Signature{Signer: signer(t, "P256"), References: []xmldsigtest.Reference{
		{URI: "#m", Transforms: []string{xmldsig.URIEnveloped, xmldsig.URIExclusive}},
	}})
	signed = sign(t, signed, xmldsigtest.Signature{Signer: signer(t, "RSA"), References: []xmldsigtest.Reference{
		{URI: "#m", Transforms: []string{xmldsig.URIEnveloped, xmldsig.URIC14N11}},
	}})
	d := parse(t, signed)
	for i, s := range d.Signatures() {
		require.NoError(t, check(t, s))
		result := digests(t, d, s)[0]
		require.Equal(t, xmldsig.Match, result.Outcome)
		require.Equal(t, xmldsig.Element, result.Covers)
		require.True(t, result.Root)
		require.Equal(t, 1-i, result.LaterSignatures)
	}
	// In an envelope, what the exclusive form covers is the same.
	d = parse(t, []byte(`<envelope xmlns:e="urn:envelope" xml:lang="kk">`+string(signed)+`</envelope>`))
	result := digests(t, d, d.Signatures()[0])[0]
	require.Equal(t, xmldsig.Match, result.Outcome)
	require.False(t, result.Root)
	require.Equal(t, xmldsig.Differ, digests(t, d, d.Signatures()[1])[0].Outcome)
}

func TestR_C2_AnEnvelopingSignatureCoversItsObjectAlone(t *testing.T) {
	signed := sign(t, []byte(`<a></a>`), xmldsigtest.Signature{Signer: signer(t, "P256"),
		Object:     `<x Id="o">1000</x>`,
		References: []xmldsigtest.Reference{{URI: "#o", Transforms: []string{xmldsig.URIExclusive}}}})
	root := regexp.MustCompile(`(?s)<ds:Signature .*</ds:Signature>`).Find(signed)
	d := parse(t, root)
	s := d.Signatures()[0]
	require.NoError(t, check(t, s))
	require.True(t, s.ForeignContent)
	result := digests(t, d, s)[0]
	require.Equal(t, xmldsig.Match, result.Outcome)
	require.Equal(t, xmldsig.Element, result.Covers)
	require.False(t, result.Root)

	// The root is the signature itself, so nothing envelops it.
	whole := sign(t, []byte(`<a></a>`), xmldsigtest.Signature{Signer: signer(t, "P256"), Object: `<x>1000</x>`})
	d = parse(t, regexp.MustCompile(`(?s)<ds:Signature .*</ds:Signature>`).Find(whole))
	result = digests(t, d, d.Signatures()[0])[0]
	require.Equal(t, xmldsig.Unknown, result.Outcome)
	require.Equal(t, xmldsig.Nothing, result.Covers)
}

func TestR_C2_XAdESIsHandedOut(t *testing.T) {
	at := time.Date(2026, 5, 8, 9, 30, 0, 0, time.FixedZone("", 5*3600))
	var over []byte
	signed := sign(t, []byte(contract), xmldsigtest.Signature{Signer: signer(t, "GOST"), More: [][]byte{{1}}, Properties: &xmldsigtest.Properties{
		SigningTime: at,
		Stamp:       func(message []byte) ([]byte, error) { over = message; return []byte("token"), nil },
		OCSP:        [][]byte{[]byte("answer")}, CRLs: [][]byte{[]byte("list")}, Certificates: [][]byte{[]byte("one"), []byte("two")},
	}})
	d := parse(t, signed)
	s := d.Signatures()[0]
	require.NoError(t, check(t, s))
	require.Equal(t, [][]byte{signer(t, "GOST").Certificate.Raw, {1}}, s.Certificates)
	require.True(t, at.Equal(*s.SigningTime))
	require.Len(t, s.SigningCertificateDigests, 1)
	require.Equal(t, pki.OIDSHA256, s.SigningCertificateDigests[0].Digest.OID)
	require.Len(t, s.SigningCertificateDigests[0].Value, 32)
	require.Equal(t, []xmldsig.TimeToken{{Token: []byte("token"), Over: over}}, s.TimeTokens)
	require.Regexp(t, `^<ds:SignatureValue xmlns="urn:example:contract" xmlns:ds=".*" xmlns:p=".*">`, string(over))
	require.Contains(t, string(over), "&#xD;\n")
	require.Equal(t, [][]byte{[]byte("answer")}, s.EmbeddedOCSP)
	require.Equal(t, [][]byte{[]byte("list")}, s.EmbeddedCRLs)
	require.Equal(t, [][]byte{[]byte("one"), []byte("two")}, s.EmbeddedCertificates)
	require.False(t, s.ForeignContent)
	results := digests(t, d, s)
	require.Equal(t, []xmldsig.Coverage{xmldsig.WholeDocument, xmldsig.Properties}, []xmldsig.Coverage{results[0].Covers, results[1].Covers})
	for _, result := range results {
		require.Equal(t, xmldsig.Match, result.Outcome)
	}

	// A changed time is seen.
	d = parse(t, replace(t, signed, "2026-05-08", "2025-05-08"))
	results = digests(t, d, d.Signatures()[0])
	require.Equal(t, xmldsig.Match, results[0].Outcome)
	require.Equal(t, xmldsig.Differ, results[1].Outcome)

	// Given nobody signs the properties, then nothing in them is handed out.
	bare := sign(t, []byte(contract), xmldsigtest.Signature{Signer: signer(t, "P256"), ID: "s"})
	properties := regexp.MustCompile(`(?s)<ds:Object><xades.*</ds:Object>`).Find(signed)
	d = parse(t, replace(t, bare, "</ds:KeyInfo>", "</ds:KeyInfo>"+string(properties)))
	require.Nil(t, d.Signatures()[0].SigningTime)
	require.Empty(t, d.Signatures()[0].SigningCertificateDigests)

	// Given another's properties are referred to, they are an element as any other.
	d = parse(t, replace(t, signed, `Target="#signature-0"`, `Target="#signature-1"`))
	require.Equal(t, xmldsig.Element, d.Signatures()[0].References[1].Covers)
	require.Nil(t, d.Signatures()[0].SigningTime)

	// Given a time token is over something else by its own word, it is not said
	// what it is over.
	d = parse(t, replace(t, signed, "<xades:EncapsulatedTimeStamp>", `<xades:Include URI="#x"/><xades:EncapsulatedTimeStamp>`))
	require.Nil(t, d.Signatures()[0].TimeTokens[0].Over)
}

func TestR_C2_WhatIsNotUnderstoodIsNeitherYesNorNo(t *testing.T) {
	signed := sign(t, []byte(contract), xmldsigtest.Signature{Signer: signer(t, "RSA")})
	reference := func(data []byte) xmldsig.ReferenceResult {
		d := parse(t, data)
		return digests(t, d, d.Signatures()[0])[0]
	}
	const last = `<ds:Transform Algorithm="` + xmldsig.URIC14N10WithComments + `"></ds:Transform>`
	for name, c := range map[string]struct {
		old, by string
		err     error
	}{
		"XPath":                {xmldsig.URIC14N10WithComments, "http://www.w3.org/TR/1999/REC-xpath-19991116", xmldsig.ErrUnsupported},
		"XSLT":                 {xmldsig.URIC14N10WithComments, "http://www.w3.org/TR/1999/REC-xslt-19991116", xmldsig.ErrUnsupported},
		"base64":               {xmldsig.URIEnveloped, "http://www.w3.org/2000/09/xmldsig#base64", xmldsig.ErrUnsupported},
		"the wrong order":      {last, last + last, xmldsig.ErrUnsupported},
		"enveloped at the end": {last, last + `<ds:Transform Algorithm="` + xmldsig.URIEnveloped + `"/>`, xmldsig.ErrUnsupported},
		"parameters":           {last, strings.Replace(last, "><", "><x/><", 1), xmldsig.ErrUnsupported},
		"an outer address":     {`URI=""`, `URI="https://example.kz/a.xml"`, xmldsig.ErrUnsupported},
		"xpointer":             {`URI=""`, `URI="#xpointer(/)"`, xmldsig.ErrUnsupported},
		"no address":           {`URI=""`, ``, xmldsig.ErrUnsupported},
		"a foreign address":    {`URI=""`, `xmlns:x="urn:x" x:URI=""`, xmldsig.ErrUnsupported},
		"an Id of nobody":      {`URI=""`, `URI="#nobody"`, xmldsig.ErrUnsupported},
		"no envelope":          {`URI=""`, `URI="#buyer"`, xmldsig.ErrUnsupported},
		"an unknown digest":    {xmldsig.URISHA256, "urn:example:digest", pki.ErrUnsupported},
		"SHA-1":                {xmldsig.URISHA256, xmldsig.URISHA1, pki.ErrWeak},
		"MD5":                  {xmldsig.URISHA256, xmldsig.URIMD5, pki.ErrWeak},
	} {
		result := reference(replace(t, signed, c.old, c.by))
		require.Equal(t, xmldsig.Unknown, result.Outcome, name)
		require.ErrorIs(t, result.Err, c.err, name)
		require.Nil(t, result.Got, name)
	}
	for method, want := range map[string]error{
		"urn:example:signature": pki.ErrUnsupported, xmldsig.URIRSASHA1: pki.ErrWeak, xmldsig.URIRSAMD5: pki.ErrWeak,
		"http://www.w3.org/2000/09/xmldsig#hmac-sha1": pki.ErrUnsupported,
		xmldsig.URIRSASHA512:                          pki.ErrMismatch,
	} {
		d := parse(t, replace(t, signed, xmldsig.URIRSASHA256, method))
		require.ErrorIs(t, check(t, d.Signatures()[0]), want, method)
	}
	for old, by := range map[string]string{
		`<ds:CanonicalizationMethod Algorithm="` + xmldsig.URIC14N10 + `"`: `<ds:CanonicalizationMethod Algorithm="urn:x"`,
		xmldsig.URIRSASHA256 + `"/>`:                                       xmldsig.URIRSASHA256 + `"><x/></ds:SignatureMethod>`,
	} {
		d := parse(t, replace(t, signed, old, by))
		s := d.Signatures()[0]
		require.Nil(t, s.SignedInfo)
		require.ErrorIs(t, s.Problem, xmldsig.ErrUnsupported)
		require.ErrorIs(t, check(t, s), xmldsig.ErrUnsupported)
	}
	// Without algorithms nothing is known.
	d := parse(t, signed)
	results, err := d.Digests(t.Context(), nil, d.Signatures()[0])
	require.NoError(t, err)
	require.ErrorIs(t, results[0].Err, pki.ErrUnsupported)
	require.ErrorIs(t, xmldsig.Signature{}.Check(known(), pki.PublicKey{}), xmldsig.ErrUnsupported)

	// A signature of another document is not looked at, and an end is an end.
	_, err = parse(t, signed).Digests(t.Context(), known(), d.Signatures()[0])
	require.ErrorContains(t, err, "another document")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = d.Digests(ctx, known(), d.Signatures()[0])
	require.ErrorIs(t, err, context.Canceled)
}

func TestR_C2_AnECDSAValueOfAnotherShapeMatchesNothing(t *testing.T) {
	signed := sign(t, []byte(contract), xmldsigtest.Signature{Signer: signer(t, "P256")})
	value := regexp.MustCompile(`<ds:SignatureValue>[^<]*</ds:SignatureValue>`).Find(signed)
	der, err := x509.MarshalPKIXPublicKey(signer(t, "P256").Certificate.PublicKey)
	require.NoError(t, err)
	for _, other := range [][]byte{{1}, make([]byte, 63), make([]byte, 64), make([]byte, 96), der} {
		d := parse(t, replace(t, signed, string(value), "<ds:SignatureValue>"+base64.StdEncoding.EncodeToString(other)+"</ds:SignatureValue>"))
		require.ErrorIs(t, check(t, d.Signatures()[0]), pki.ErrMismatch)
	}
}

func TestR_C2_WhatIsNotXMLOrNotASignatureIsRefused(t *testing.T) {
	good := string(sign(t, []byte(`<a>text</a>`), xmldsigtest.Signature{Signer: signer(t, "P256")}))
	with := func(old, by string) string { return string(replace(t, []byte(good), old, by)) }
	for name, data := range map[string]string{
		"nothing":                  "",
		"text":                     "text",
		"two roots":                "<a/><b/>",
		"text after it":            "<a/>b",
		"not closed":               "<a>",
		"closed otherwise":         "<a></b>",
		"a document type inside":   "<a><!DOCTYPE a></a>",
		"a declaration inside":     "<a><!ELEMENT a ANY></a>",
		"an unknown entity":        "<a>&e;</a>",
		"a surrogate":              "<a>&#xD800;</a>",
		"a zero":                   "<a>&#0;</a>",
		"a surrogate in a value":   `<a b="&#xDFFF;"/>`,
		"a control character":      "<a>\x01</a>",
		"not UTF-8":                "<a>\xff</a>",
		"not UTF-8 in a comment":   "<a><!-- \xff --></a>",
		"an attribute twice":       `<a b="1" b="2"/>`,
		"by two prefixes":          `<a xmlns:x="u" xmlns:y="u" x:b="1" y:b="2"/>`,
		"a namespace twice":        `<a xmlns="" xmlns="u"/>`,
		"a prefix of nothing":      `<x:a/>`,
		"an attribute of nothing":  `<a x:b=""/>`,
		"a prefix undone":          `<a xmlns:x="u"><b xmlns:x=""/></a>`,
		"xml bound otherwise":      `<a xmlns:xml="u"/>`,
		"xmlns bound":              `<a xmlns:xmlns="u"/>`,
		"another prefix for xml":   `<a xmlns:x="http://www.w3.org/XML/1998/namespace"/>`,
		"two colons":               `<a xmlns:x="u"><x:y:z/></a>`,
		"a declaration too late":   ` <?xml version="1.0"?><a/>`,
		"a declaration within":     `<a><?xml version="1.0"?></a>`,
		"a broken declaration":     `<?xml encoding="UTF-8"?><a/>`,
		"a value without quotes":   `<a b=c/>`,
		"no base64":                with("<ds:DigestValue>", "<ds:DigestValue>!"),
		"a comment in base64":      with("<ds:DigestValue>", "<ds:DigestValue><!-- -->"),
		"no SignedInfo":            with("<ds:SignedInfo>", "<ds:SignedInfo><ds:SignedInfo/>"),
		"something more":           with("</ds:KeyInfo>", "</ds:KeyInfo><x/>"),
		"two values":               with("<ds:KeyInfo>", "<ds:SignatureValue>AAAA</ds:SignatureValue><ds:KeyInfo>"),
		"another child of the two": with("</ds:SignedInfo>", "<x/></ds:SignedInfo>"),
		"an empty signature":       `<a><Signature xmlns="http://www.w3.org/2000/09/xmldsig#"/></a>`,
	} {
		_, err := xmldsig.Parse([]byte(data))
		require.ErrorIs(t, err, xmldsig.ErrMalformed, name)
	}
	for name, data := range map[string]string{
		"windows-1251": `<?xml version="1.0" encoding="windows-1251"?><a>` + "\xe0</a>",
		"UTF-16":       "\xff\xfe<\x00a\x00/\x00>\x00",
		"no mark":      "<\x00a\x00/\x00>\x00",
		// Others read these.
		"XML 1.1":         `<?xml version="1.1"?><a/>`,
		"XML 1.2":         `<?xml version='1.2' encoding='UTF-8'?><a/>`,
		"a document type": "<!DOCTYPE a><a/>",
		"one later":       "<?xml version='1.0'?>\n<!-- x --><?p?><!DOCTYPE a SYSTEM 'a.dtd'><a/>",
		"an entity":       `<!DOCTYPE a [<!ENTITY e "x">]><a>&e;</a>`,
	} {
		_, err := xmldsig.Parse([]byte(data))
		require.ErrorIs(t, err, xmldsig.ErrUnsupported, name)
	}
	for name, data := range map[string]string{
		"deep":            strings.Repeat("<a>", xmldsig.MaxDepth+1) + strings.Repeat("</a>", xmldsig.MaxDepth+1),
		"many nodes":      "<a>" + strings.Repeat("<b/>", xmldsig.MaxNodes) + "</a>",
		"deep and many":   strings.Repeat("<a>", 100) + strings.Repeat("<b/>", 100_000) + strings.Repeat("</a>", 100),
		"many attributes": "<a" + numbered(` b%d=""`, xmldsig.MaxAttributes+1) + "/>",
		"many namespaces": "<a" + numbered(` xmlns:a%d="u"`, 100) + "><b" + numbered(` xmlns:b%d="u"`, 100) + "/></a>",
		"signatures":      "<a>" + strings.Repeat(`<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"/>`, xmldsig.MaxSignatures+1) + "</a>",
		"references":      with("</ds:SignedInfo>", strings.Repeat("<ds:Reference/>", xmldsig.MaxReferences)+"</ds:SignedInfo>"),
		"certificates":    with("</ds:X509Data>", strings.Repeat("<ds:X509Certificate>AAAA</ds:X509Certificate>", xmldsig.MaxCertificates)+"</ds:X509Data>"),
		"bytes":           "<a>" + strings.Repeat(" ", xmldsig.MaxSize) + "</a>",
	} {
		_, err := xmldsig.Parse([]byte(data))
		require.ErrorIs(t, err, xmldsig.ErrTooLarge, name)
	}
	for _, encoding := range []string{"UTF-8", "utf-8", "UTF8", "utf8", "Utf8"} {
		parse(t, []byte(`<?xml version="1.0" encoding="`+encoding+`" standalone='no' ?><a>ә</a>`))
		_, err := xmldsig.Parse([]byte(`<?xml version="1.0" encoding="` + encoding + `"?><?xml version="1.0"?><a/>`))
		require.ErrorIs(t, err, xmldsig.ErrMalformed)
	}
	// What escaped text there is does not count as nodes.
	parse(t, []byte("<a>"+strings.Repeat("&lt;", xmldsig.MaxNodes)+"</a>"))
}

func numbered(format string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

func TestR_C2_TheWorkOfOneCallIsBounded(t *testing.T) {
	var references []xmldsigtest.Reference
	for i := range xmldsig.MaxReferences {
		references = append(references, xmldsigtest.Reference{Transforms: []string{xmldsig.URIEnveloped, xmldsig.URIExclusive},
			Prefixes: fmt.Sprintf("p%d", i)})
	}
	signed := sign(t, []byte("<a>"+strings.Repeat("<b/>", 100)+"</a>"), xmldsigtest.Signature{Signer: signer(t, "P256"), References: references})
	d := parse(t, replace(t, signed, strings.Repeat("<b/>", 100),
		strings.Repeat("<a>", 30)+strings.Repeat("<b/>", 100_000)+strings.Repeat("</a>", 30)))
	unknown := 0
	for _, result := range digests(t, d, d.Signatures()[0]) {
		require.NotEqual(t, xmldsig.Match, result.Outcome)
		if result.Outcome == xmldsig.Unknown {
			require.ErrorIs(t, result.Err, xmldsig.ErrTooLarge)
			unknown++
		}
	}
	require.Positive(t, unknown)
}

func TestR_C2_TheWorkOnADocumentIsBounded(t *testing.T) {
	// Given signatures whose references are to one thing within another
	var references []xmldsigtest.Reference
	for i := range xmldsig.MaxReferences {
		references = append(references, xmldsigtest.Reference{URI: fmt.Sprintf("#e%d", i), Transforms: []string{xmldsig.URIC14N10}})
	}
	nested := "<all>" + numbered(`<n Id="e%d">`, xmldsig.MaxReferences) + "text" + strings.Repeat("</n>", xmldsig.MaxReferences) + "</all>"
	signed := sign(t, []byte(nested), xmldsigtest.Signature{Signer: signer(t, "P256"), References: references})
	one := string(regexp.MustCompile(`(?s)<ds:Signature .*</ds:Signature>`).Find(signed))
	signed = replace(t, signed, one, strings.Repeat(one, xmldsig.MaxSignatures))
	d := parse(t, signed)

	// When it is small, everything is told.
	told := func(d *xmldsig.Document) (matches, unknown int) {
		all, err := d.AllDigests(t.Context(), known())
		require.NoError(t, err)
		require.Len(t, all, xmldsig.MaxSignatures)
		for _, results := range all {
			for _, r := range results {
				switch r.Outcome {
				case xmldsig.Match:
					matches++
				case xmldsig.Unknown:
					require.ErrorIs(t, r.Err, xmldsig.ErrTooLarge)
					unknown++
				}
			}
		}
		return matches, unknown
	}
	matches, unknown := told(d)
	require.Equal(t, xmldsig.MaxReferences*xmldsig.MaxSignatures, matches)
	require.Zero(t, unknown)

	// When it is large, most of it is not, and some is in each signature by itself.
	const size = 1 << 20
	d = parse(t, replace(t, signed, "text", strings.Repeat("x", size)))
	_, unknown = told(d)
	require.Greater(t, unknown, xmldsig.MaxReferences*xmldsig.MaxSignatures-200)
	require.Less(t, unknown, xmldsig.MaxReferences*xmldsig.MaxSignatures)
	last := digests(t, d, d.Signatures()[xmldsig.MaxSignatures-1])
	require.Equal(t, xmldsig.Differ, last[0].Outcome)
	require.ErrorIs(t, last[xmldsig.MaxReferences-1].Err, xmldsig.ErrTooLarge)

	// And nobody waits for it who does not want to.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := d.AllDigests(ctx, known())
	require.ErrorIs(t, err, context.Canceled)
}

func TestR_C2_WhatIsInsideASignatureWithoutBelongingThereIsForeign(t *testing.T) {
	whole := sign(t, []byte(contract), xmldsigtest.Signature{Signer: signer(t, "P256"), Properties: &xmldsigtest.Properties{SigningTime: time.Now()}})
	require.False(t, parse(t, whole).Signatures()[0].ForeignContent)
	for _, c := range []struct {
		at, more string
		foreign  bool
	}{
		{"<ds:KeyInfo>", " \n\t", false},
		{"<ds:KeyInfo>", "<!-- comment -->", false},
		{"<ds:KeyInfo>", "total: 900", true},
		{"<ds:KeyInfo>", "<![CDATA[900]]>", true},
		{"<ds:KeyInfo>", "<?show 900?>", true},
		{"<ds:X509Data>", "900", true},
		{"<ds:X509Data>", "<?show 900?>", true},
		{"<ds:X509Data>", "<ds:KeyName>Key 7</ds:KeyName>", false},
		{"<ds:X509Data>", "<ds:KeyName>Key <b>7</b></ds:KeyName>", true},
		{"<ds:X509Data>", "<ds:KeyValue>900</ds:KeyValue>", true},
		{"<ds:X509Data>", "<ds:RetrievalMethod URI='#x'/>", false},
		{"<ds:X509Data>", "<key>900</key>", true},
		{"<ds:Object>", "<ds:Object>\n</ds:Object>", false},
		{"<ds:Object>", "<ds:Object>900</ds:Object>", true},
		{"<ds:Object>", "<ds:Object><QualifyingProperties xmlns='http://uri.etsi.org/01903/v1.3.2#'>900</QualifyingProperties></ds:Object>", true},
		{"<ds:X509Data>", "<SecurityTokenReference xmlns='http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd'>900</SecurityTokenReference>", true},
		{"<ds:Object>", "<ds:Object><ds:KeyName>900</ds:KeyName></ds:Object>", true},
		{"<ds:Object>", "<ds:Object><ds:Manifest/></ds:Object>", true},
		{"<ds:Object>", "<ds:Object><?show 900?></ds:Object>", true},
	} {
		d := parse(t, replace(t, whole, c.at, c.more+c.at))
		require.Equal(t, c.foreign, d.Signatures()[0].ForeignContent, "%s before %s", c.more, c.at)
		require.Equal(t, xmldsig.Match, digests(t, d, d.Signatures()[0])[0].Outcome)
	}
}
