package signature_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"dalel/domain/signature"
	"dalel/internal/cms"
	"dalel/internal/crl/crltest"
	"dalel/internal/ocsp"
	"dalel/internal/ocsp/ocsptest"
	"dalel/internal/testca"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

const (
	oidCertificateValues = "1.2.840.113549.1.9.16.2.23"
	oidRevocationValues  = "1.2.840.113549.1.9.16.2.24"
)

// signWith signs with unsigned attributes.
func signWith(t testing.TB, p party, text []byte, unsigned ...cms.Attribute) []byte {
	t.Helper()
	der, err := cms.Sign(t.Context(), cms.SignOptions{Content: bytes.NewReader(text), Certificates: p.person.Chain,
		Signers: []cms.SignerOptions{{Certificate: p.person.Certificate, Key: p.person.Key, Unsigned: unsigned}}})
	require.NoError(t, err)
	return der
}

// Nobody signs these attributes: what is damaged there is taken away, and no more.
func TestR_C4_AnUnsignedAttributeThatCannotBeReadIsPassedOverAndNamed(t *testing.T) {
	p := newParty(t, testca.P256)
	who, err := p.issuing.Issue(testca.Leaf{OCSP: "http://ocsp.example/"})
	require.NoError(t, err)
	p.person = who
	text := []byte("the contract")
	whole := answer(t, p.issuing, who, ocsptest.Single{Status: ocsp.Good, ThisUpdate: moment})
	list, err := crltest.Sign(crltest.List{ThisUpdate: moment, NextUpdate: moment.Add(time.Hour)}, crltest.By(p.issuing))
	require.NoError(t, err)
	top, err := crltest.Sign(crltest.List{ThisUpdate: moment, NextUpdate: moment.Add(time.Hour)}, crltest.By(p.root))
	require.NoError(t, err)
	basic := basicOf(t, whole)
	certificates := cms.Attribute{OID: oidCertificateValues, Values: [][]byte{tlv(0x30, p.issuing.Certificate.Raw)}}
	revocations := func(crls, answers []byte) cms.Attribute {
		return cms.Attribute{OID: oidRevocationValues, Values: [][]byte{tlv(0x30, tlv(contextTag(0), tlv(0x30, crls, top)), tlv(contextTag(1), tlv(0x30, answers)))}}
	}
	verify := func(der []byte) signature.Verdict {
		verdict, err := p.policy().Verify(t.Context(), signature.Request{CMS: der, Content: contentOf(text), At: moment})
		require.NoError(t, err)
		return verdict
	}
	good := signWith(t, p, text, certificates, revocations(list, basic))
	require.Equal(t, signature.Valid, verify(good).Status, "%+v", verify(good))
	require.NotContains(t, codes(verify(good)), signature.EvidenceUnreadable)

	// What each damage takes away is told by what is left.
	for _, c := range []struct {
		name   string
		der    []byte
		at     []byte // where a byte is changed to
		by     byte
		status signature.Status
	}{
		{"an OCSP answer, beside a list", good, basic, 0x31, signature.Valid},
		{"a list, beside an OCSP answer", good, list, 0x31, signature.Valid},
		{"an OCSP answer alone", signWith(t, p, text, certificates, revocations(nil, basic)), basic, 0x31, signature.Unknown},
		{"a list alone", signWith(t, p, text, certificates, revocations(list, nil)), list, 0x31, signature.Unknown},
		{"the type of the attribute", signWith(t, p, text, certificates, revocations(list, nil)), oidDER(oidRevocationValues), 5, signature.Unknown},
		{"the first length in an attribute", signWith(t, p, text, certificates, revocations(list, nil)), revocations(list, nil).Values[0][1:], 0x84, signature.Unknown},
	} {
		at := bytes.LastIndex(c.der, c.at)
		require.Positive(t, at, c.name)
		damaged := bytes.Clone(c.der)
		damaged[at] = c.by
		verdict := verify(damaged)
		require.Equal(t, c.status, verdict.Status, "%s: %+v", c.name, verdict)
		require.Contains(t, codes(verdict), signature.EvidenceUnreadable, "%s: %+v", c.name, verdict)
		require.Equal(t, signature.Evidence{DER: who.Certificate.Raw}.Name(), verdict.Signers[0].Certificate, c.name)
		verdict, err := p.policy().Verify(t.Context(), signature.Request{CMS: damaged, Content: contentOf([]byte("another")), At: moment})
		require.NoError(t, err)
		require.Equal(t, signature.Invalid, verdict.Status, "%s, and another content", c.name)
	}
}

// basicOf takes the BasicOCSPResponse out of an OCSPResponse.
func basicOf(t testing.TB, response []byte) []byte {
	t.Helper()
	s := cryptobyte.String(response)
	var outer, status, tagged, body, oid, basic cryptobyte.String
	require.True(t, s.ReadASN1(&outer, asn1.SEQUENCE) && outer.ReadASN1(&status, asn1.ENUM) && outer.ReadASN1(&tagged, contextTag(0)) &&
		tagged.ReadASN1(&body, asn1.SEQUENCE) && body.ReadASN1(&oid, asn1.OBJECT_IDENTIFIER) && body.ReadASN1(&basic, asn1.OCTET_STRING))
	return basic
}

// An attribute in BER within DER is no damage.
func TestAnUnsignedAttributeInBERIsRead(t *testing.T) {
	p := newParty(t, testca.P256)
	value := octets([]byte("12345"))
	der := signWith(t, p, []byte("the contract"), cms.Attribute{OID: "1.2.3.4", Values: [][]byte{value}})
	before := attribute("1.2.3.4", value)
	after := slices.Concat([]byte{0x30, 0x80}, oidDER("1.2.3.4"), tlv(asn1.SET, octets([]byte("123"))), []byte{0, 0})
	require.Len(t, after, len(before))
	require.Equal(t, 1, bytes.Count(der, before))
	message, err := cms.Parse(bytes.Replace(der, before, after, 1))
	require.NoError(t, err)
	require.Empty(t, message.Signers[0].Unreadable)
	found, ok := cms.Find(message.Signers[0].UnsignedAttributes, "1.2.3.4")
	require.True(t, ok)
	require.Equal(t, [][]byte{octets([]byte("123"))}, found.Values)
}
