package pki_test

import (
	"crypto/x509/pkix"
	stdasn1 "encoding/asn1"
	"testing"
	"time"

	"dalel/internal/pki"
	"dalel/internal/testca"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// general is a GeneralName.
type general struct {
	form    uint8
	content []byte
}

func mail(text string) general { return general{1, []byte(text)} }
func host(text string) general { return general{2, []byte(text)} }
func link(text string) general { return general{6, []byte(text)} }

// directory is a name of one part for each pair of a type and a text.
func directory(tag asn1.Tag, pairs ...string) general {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for i := 0; i < len(pairs); i += 2 {
			b.AddASN1(asn1.SET, func(b *cryptobyte.Builder) {
				b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
					pki.AddOID(b, pairs[i])
					b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes([]byte(pairs[i+1])) })
				})
			})
		}
	})
	return general{4, b.BytesOrPanic()}
}

func (g general) add(b *cryptobyte.Builder) {
	tag := asn1.Tag(g.form).ContextSpecific()
	if g.form == 4 {
		tag = tag.Constructed()
	}
	b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes(g.content) })
}

// alternatives is the extension of alternative names.
func alternatives(names ...general) []pkix.Extension {
	if len(names) == 0 {
		return nil
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, n := range names {
			n.add(b)
		}
	})
	return []pkix.Extension{{Id: stdasn1.ObjectIdentifier{2, 5, 29, 17}, Value: b.BytesOrPanic()}}
}

// constrain is the extension of name constraints.
func constrain(critical bool, permitted, excluded []general) []pkix.Extension {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for i, set := range [][]general{permitted, excluded} {
			if len(set) == 0 {
				continue
			}
			b.AddASN1(asn1.Tag(i).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
				for _, n := range set {
					b.AddASN1(asn1.SEQUENCE, n.add)
				}
			})
		}
	})
	return []pkix.Extension{{Id: stdasn1.ObjectIdentifier{2, 5, 29, 30}, Critical: critical, Value: b.BytesOrPanic()}}
}

// What an authority may certify binds what it certifies, critical or not; openssl
// says the same where it answers at all.
func TestR_C4_AnAuthorityCertifiesOnlyNamesThatItMay(t *testing.T) {
	const commonName, organisation = "2.5.4.3", "2.5.4.10"
	owner := testca.Owner{Surname: "TESTOV", GivenName: "TEST"}
	testov := func(text string) general { return directory(asn1.UTF8String, commonName, text) }
	for name, c := range map[string]struct {
		permitted, excluded, names []general
		want                       pki.Code // "" if there is nothing wrong
		alone                      bool     // openssl is not asked
	}{
		"nothing of that form is there":             {permitted: []general{host("a.kz")}},
		"a host that is permitted":                  {permitted: []general{host("a.kz")}, names: []general{host("a.kz")}},
		"a host below, in capitals":                 {permitted: []general{host("a.kz")}, names: []general{host("WWW.A.KZ")}},
		"a host that only ends like it":             {permitted: []general{host("a.kz")}, names: []general{host("ba.kz")}, want: pki.ChainName},
		"one of two hosts is another":               {permitted: []general{host("a.kz")}, names: []general{host("a.kz"), host("b.kz")}, want: pki.ChainName},
		"a host that is excluded":                   {excluded: []general{host("a.kz")}, names: []general{host("x.a.kz")}, want: pki.ChainName},
		"permitted, but a part of it excluded":      {permitted: []general{host("a.kz")}, excluded: []general{host("b.a.kz")}, names: []general{host("b.a.kz")}, want: pki.ChainName},
		"permitted twice":                           {permitted: []general{host("a.kz"), host("b.kz")}, names: []general{host("b.kz")}},
		"any host at all":                           {excluded: []general{host("")}, names: []general{host("b.kz")}, want: pki.ChainName, alone: true},
		"a host with a star":                        {permitted: []general{host("a.kz")}, names: []general{host("*.a.kz")}, want: pki.ExtensionUnknown, alone: true},
		"a mailbox at the host":                     {permitted: []general{mail("a.kz")}, names: []general{mail("ivan@A.kz")}},
		"a mailbox at a host below":                 {permitted: []general{mail("a.kz")}, names: []general{mail("ivan@b.a.kz")}, want: pki.ChainName},
		"a mailbox below a domain":                  {permitted: []general{mail(".a.kz")}, names: []general{mail("ivan@b.a.kz")}},
		"a mailbox at the domain itself":            {permitted: []general{mail(".a.kz")}, names: []general{mail("ivan@a.kz")}, want: pki.ChainName},
		"that mailbox":                              {permitted: []general{mail("ivan@a.kz")}, names: []general{mail("ivan@a.kz")}},
		"another mailbox":                           {permitted: []general{mail("ivan@a.kz")}, names: []general{mail("petr@a.kz")}, want: pki.ChainName},
		"that mailbox in capitals":                  {excluded: []general{mail("ivan@a.kz")}, names: []general{mail("IVAN@a.kz")}, want: pki.ExtensionUnknown, alone: true},
		"a mailbox in quotes":                       {excluded: []general{mail("ivan@a.kz")}, names: []general{mail("\"ivan\"@a.kz")}, want: pki.ExtensionUnknown, alone: true},
		"a link to the host":                        {permitted: []general{link("a.kz")}, names: []general{link("https://a.kz/x")}},
		"a link below the domain":                   {permitted: []general{link(".a.kz")}, names: []general{link("https://b.a.kz:8443/x")}},
		"a link elsewhere":                          {permitted: []general{link("a.kz")}, names: []general{link("https://b.kz/a.kz")}, want: pki.ChainName},
		"a link without a host":                     {permitted: []general{link("a.kz")}, names: []general{link("urn:a.kz")}, want: pki.ExtensionUnknown, alone: true},
		"an address of the network":                 {permitted: []general{{7, []byte{10, 0, 0, 0, 255, 0, 0, 0}}}, names: []general{{7, []byte{10, 1, 2, 3}}}},
		"an address of another network":             {permitted: []general{{7, []byte{10, 0, 0, 0, 255, 0, 0, 0}}}, names: []general{{7, []byte{11, 1, 2, 3}}}, want: pki.ChainName},
		"a form that is not understood":             {permitted: []general{{8, []byte{42, 3}}}, names: []general{{8, []byte{42, 3, 4}}}, want: pki.ExtensionUnknown, alone: true},
		"the subject":                               {permitted: []general{testov("TESTOV TEST")}},
		"the subject in other letters and a string": {permitted: []general{directory(asn1.PrintableString, commonName, " testov  Test ")}},
		"another subject":                           {permitted: []general{testov("IVANOV IVAN")}, want: pki.ChainName},
		"the subject is excluded":                   {excluded: []general{testov("testov test")}, want: pki.ChainName},
		"the subject, and no more than that":        {excluded: []general{directory(asn1.UTF8String, organisation, "TESTOV TEST")}},
		"another name beside the subject":           {permitted: []general{testov("TESTOV TEST")}, names: []general{testov("IVANOV IVAN")}, want: pki.ChainName},
		"letters that can be written in two ways":   {excluded: []general{testov("TЕSTOV TEST")}, want: pki.ExtensionUnknown, alone: true},
		"any subject at all":                        {excluded: []general{directory(asn1.UTF8String)}, want: pki.ChainName, alone: true},
	} {
		for _, critical := range []bool{false, true} {
			t.Run(name+map[bool]string{true: ", critical"}[critical], func(t *testing.T) {
				top := root(t, testca.CA{Name: "Root"})
				issuing := below(t, top, testca.CA{Name: "Issuing", Extra: constrain(critical, c.permitted, c.excluded)})
				who := leaf(t, issuing, testca.Leaf{Owner: owner, Extra: alternatives(c.names...)})
				path := pki.Builder{Roots: set(top), Offered: set(issuing), Algorithms: pki.Standard(), At: time.Now()}.Build(who.Certificate)
				require.True(t, path.Anchored)
				if c.want == "" {
					require.Empty(t, path.Problems)
				} else {
					require.Equal(t, []pki.Code{c.want}, problemCodes(path), "%+v", path.Problems)
				}
				if !c.alone {
					require.Equal(t, c.want == "", opensslTakes(t, top, issuing, who), "openssl says otherwise")
				}
			})
		}
	}
}

// Authorities in between are bound too, but for a certificate of an authority for
// itself (RFC 5280, 6.1.3, b).
func TestR_C4_NamesOfAuthoritiesBelowAreConstrainedToo(t *testing.T) {
	top := root(t, testca.CA{Name: "Root"})
	person := leaf(t, below(t, top, testca.CA{Name: "Issuing"}), testca.Leaf{Owner: testca.Owner{Surname: "TESTOV", GivenName: "TEST"}}).Certificate
	only := constrain(true, []general{{4, person.RawSubject}}, nil)
	issuing := below(t, top, testca.CA{Name: "Issuing", Extra: only})
	codes := func(through ...*testca.Identity) []pki.Code {
		who := leaf(t, through[len(through)-1], testca.Leaf{Owner: testca.Owner{Surname: "TESTOV", GivenName: "TEST"}})
		return problemCodes(pki.Builder{Roots: set(top), Offered: set(through...), Algorithms: pki.Standard(), At: time.Now()}.Build(who.Certificate))
	}
	require.Empty(t, codes(issuing))
	require.Equal(t, []pki.Code{pki.ChainName}, codes(issuing, below(t, issuing, testca.CA{Name: "Another"})))
	require.Empty(t, codes(issuing, below(t, issuing, testca.CA{Name: "Issuing"})))
}

// Names are the same whatever their strings, capitals and spaces; what cannot be
// compared for sure is not the same.
func TestNamesAreComparedAsRFC5280Has(t *testing.T) {
	name := func(tag asn1.Tag, text string) []byte { return directory(tag, "2.5.4.3", text).content }
	plain := name(asn1.UTF8String, "Test CA")
	for text, c := range map[string]struct {
		other []byte
		same  bool
	}{
		"itself":            {plain, true},
		"another string":    {name(asn1.PrintableString, "Test CA"), true},
		"capitals":          {name(asn1.UTF8String, "TEST ca"), true},
		"spaces":            {name(asn1.UTF8String, "  Test   CA "), true},
		"no space at all":   {name(asn1.UTF8String, "TestCA"), false},
		"a tab":             {name(asn1.UTF8String, "Test\tCA"), false},
		"another type":      {directory(asn1.UTF8String, "2.5.4.10", "Test CA").content, false},
		"more of it":        {directory(asn1.UTF8String, "2.5.4.3", "Test CA", "2.5.4.10", "X").content, false},
		"less of it":        {directory(asn1.UTF8String).content, false},
		"a Cyrillic letter": {name(asn1.UTF8String, "Tеst CA"), false},
		"an old string":     {name(asn1.T61String, "Test CA"), false},
		"no name":           {[]byte{5, 0}, false},
		"nothing":           {nil, false},
	} {
		require.Equal(t, c.same, pki.SameName(plain, c.other), text)
		require.Equal(t, c.same, pki.SameName(c.other, plain), text)
	}
	require.True(t, pki.SameName(name(asn1.UTF8String, "ҚАЗАҚСТАН"), name(asn1.UTF8String, "Қазақстан")))
}

func TestAnExtensionIsFoundByItsOID(t *testing.T) {
	certificate := leaf(t, root(t, testca.CA{}), testca.Leaf{Extra: []pkix.Extension{{Id: stdasn1.ObjectIdentifier{1, 2, 398, 10}, Value: []byte{5, 0}}}}).Certificate
	for oid, there := range map[string]bool{
		"1.2.398.10": true, "1.2.398.1": false, "1.2.398.100": false, "1.2.398": false, "1.2.398.10.1": false, "1.2": false, "2.5.29.15": true, "2.5.29.30": false,
	} {
		require.Equal(t, there, pki.HasExtension(certificate, oid), oid)
	}
}
