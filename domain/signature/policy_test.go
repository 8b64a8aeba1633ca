package signature_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"hash"
	"io"
	"sync"
	"testing"
	"time"

	"dalel/domain/signature"
	"dalel/internal/cms"
	"dalel/internal/pki"
	"dalel/internal/testca"

	"github.com/stretchr/testify/require"
)

var _ signature.Verifier = (*signature.Policy)(nil)

func TestR_C2_EveryKindOfKeyIsJudged(t *testing.T) {
	text := []byte("the contract")
	for _, kind := range kinds() {
		t.Run(kind.name, func(t *testing.T) {
			p := newParty(t, kind.kind)
			der, err := cms.Sign(t.Context(), cms.SignOptions{
				Content: bytes.NewReader(text), Certificates: p.person.Chain,
				Signers: []cms.SignerOptions{{Certificate: p.person.Certificate, Key: p.person.Key, SigningTime: p.at}},
			})
			require.NoError(t, err)
			verdict := p.verify(t, der, text)
			require.Equal(t, signature.Valid, verdict.Status, verdict)
			require.Equal(t, p.at, verdict.At)
			signer := verdict.Signers[0]
			require.Equal(t, map[string]string{
				"RSA": "RSA-SHA256", "P256": "ECDSA-P256-SHA256", "P384": "ECDSA-P384-SHA384", "Ed25519": "Ed25519",
			}[kind.name], signer.Algorithm)
			require.Equal(t, p.at, *signer.ClaimedAt)
			require.Len(t, signer.Chain, 3)
			require.Equal(t, signer.Certificate, signer.Chain[0])
		})
	}
}

func TestOneBadSignerMakesTheVerdictAndTheOtherStandsAlone(t *testing.T) {
	p := newParty(t, testca.P256)
	text := []byte("the contract")
	early, err := p.issuing.Issue(testca.Leaf{NotBefore: p.at.AddDate(0, 1, 0), NotAfter: p.at.AddDate(0, 2, 0)})
	require.NoError(t, err)
	untold, err := p.issuing.Issue(testca.Leaf{CRL: "http://crl.example/ca.crl"})
	require.NoError(t, err)
	count := func(v signature.Verdict, s signature.Status) (n int) {
		for _, one := range v.Signers {
			if one.Status == s {
				n++
			}
		}
		return n
	}
	verdict := p.verify(t, signBy(t, text, p.person, untold), text)
	require.Equal(t, signature.Unknown, verdict.Status)
	require.Equal(t, 1, count(verdict, signature.Valid))
	verdict = p.verify(t, signBy(t, text, p.person, untold, early), text)
	require.Equal(t, signature.Invalid, verdict.Status)
	require.Equal(t, 1, count(verdict, signature.Valid))
	require.Equal(t, 1, count(verdict, signature.Unknown))
}

func TestTheVerdictIsForTheMomentAskedFor(t *testing.T) {
	p := newParty(t, testca.P256)
	text := []byte("the contract")
	der := p.sign(t, text)
	for _, c := range []struct {
		at     time.Time
		status signature.Status
	}{
		{p.person.Certificate.NotBefore.Add(-time.Second), signature.Invalid},
		{p.person.Certificate.NotBefore, signature.Valid},
		{p.person.Certificate.NotAfter, signature.Valid},
		{p.person.Certificate.NotAfter.Add(time.Second), signature.Unknown},
	} {
		verdict, err := p.policy().Verify(t.Context(), signature.Request{CMS: der, Content: contentOf(text), At: c.at})
		require.NoError(t, err)
		require.Equal(t, c.status, verdict.Status, "%s %v", c.at, verdict)
	}
}

func TestTheContentIsReadOnceAndClosed(t *testing.T) {
	p := newParty(t, testca.P256)
	second, err := p.issuing.Issue(testca.Leaf{Key: testca.Ed25519}) // another digest
	require.NoError(t, err)
	text := bytes.Repeat([]byte("a line of the contract\n"), 50000)
	der := signBy(t, text, p.person, second)
	file := &counted{Reader: bytes.NewReader(text)}
	opened := 0
	verdict, err := p.policy().Verify(t.Context(), signature.Request{CMS: der, At: p.at, Content: func() (io.ReadCloser, error) {
		opened++
		return file, nil
	}})
	require.NoError(t, err)
	require.Equal(t, signature.Valid, verdict.Status, verdict)
	require.Equal(t, 1, opened)
	require.Equal(t, 1, file.closed)
}

type counted struct {
	io.Reader
	closed int
}

func (c *counted) Close() error { c.closed++; return nil }

func TestR_C4_AContentThatCannotBeReadIsAnErrorAndNoVerdict(t *testing.T) {
	p := newParty(t, testca.P256)
	der := p.sign(t, []byte("the contract"))
	broken := errors.New("disk on fire")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx     context.Context
		content signature.Content
		want    error
	}{
		"cannot be opened": {t.Context(), func() (io.ReadCloser, error) { return nil, broken }, broken},
		"breaks half-way": {t.Context(), func() (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(bytes.NewReader([]byte("the")), failing{broken})), nil
		}, broken},
		"nobody waits": {ended, contentOf([]byte("the contract")), context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			verdict, err := p.policy().Verify(c.ctx, signature.Request{CMS: der, Content: c.content, At: p.at})
			require.ErrorIs(t, err, c.want)
			require.Empty(t, verdict)
		})
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestEd25519WithoutAttributesIsJudgedFromTheContentItself(t *testing.T) {
	p := newParty(t, testca.P256)
	who, err := p.issuing.Issue(testca.Leaf{Key: testca.Ed25519})
	require.NoError(t, err)
	text := []byte("the contract")
	der := forgery{by: who, text: text, bare: true, signatureOID: pki.OIDEd25519, digestOID: pki.OIDSHA512}.make(t)
	require.Equal(t, signature.Valid, p.verify(t, der, text).Status)
	require.Equal(t, signature.Invalid, p.verify(t, der, []byte("another")).Status)
}

func TestTheContentBesideAnAttachedOneMayBeTheSame(t *testing.T) {
	p := newParty(t, testca.P256)
	text := []byte("the contract")
	der := forgery{by: p.person, text: text, attached: true}.make(t)
	require.Equal(t, signature.Valid, p.verify(t, der, text).Status)
	verdict, err := p.policy().Verify(t.Context(), signature.Request{CMS: der, At: p.at})
	require.NoError(t, err)
	require.Equal(t, signature.Valid, verdict.Status)
}

// A decoy with the signer's issuer and serial number can be put into any CMS;
// it must not turn a valid signature into an invalid one, or be named for it.
func TestADecoyCertificateChangesNothing(t *testing.T) {
	p := newParty(t, testca.P256)
	text := []byte("the contract")
	key, err := testca.NewKey(testca.P256)
	require.NoError(t, err)
	der, err := x509.CreateCertificate(nil, p.person.Certificate, p.issuing.Certificate, key.Public(), p.issuing.Key)
	if err != nil { // a Go that needs randomness here
		t.Skip(err)
	}
	for _, decoyFirst := range []bool{true, false} {
		certificates := [][]byte{p.person.Certificate.Raw, der, p.issuing.Certificate.Raw}
		if decoyFirst {
			certificates[0], certificates[1] = certificates[1], certificates[0]
		}
		signed := forgery{by: p.person, text: text, certificates: certificates}.make(t)
		verdict := p.verify(t, signed, text)
		require.Equal(t, signature.Valid, verdict.Status, verdict)
		sum := sha256.Sum256(p.person.Certificate.Raw)
		require.Equal(t, verdict.Signers[0].Chain[0], hexOf(sum[:]))
	}
}

func TestARootMayBeTheSignersOwnCertificate(t *testing.T) {
	p := newParty(t, testca.P256)
	text := []byte("the seal")
	der := signBy(t, text, p.person)
	policy := &signature.Policy{Roots: []*x509.Certificate{p.person.Certificate}}
	verdict, err := policy.Verify(t.Context(), signature.Request{CMS: der, Content: contentOf(text), At: p.at})
	require.NoError(t, err)
	require.Equal(t, signature.Valid, verdict.Status, verdict)
	require.Len(t, verdict.Signers[0].Chain, 1)
}

// The national families come from another package: here a made-up one stands
// in, in a CMS whose signer wrote the key's OID for the signature's.
func TestR_C2_AnAlgorithmOfAnotherPackageIsUsed(t *testing.T) {
	const digestOID, keyOID = "1.3.6.1.4.1.99999.1", "1.3.6.1.4.1.99999.2"
	p := newParty(t, testca.P256)
	text := []byte("the contract")
	der := forgery{by: p.person, text: text, digestOID: digestOID, signatureOID: keyOID}.make(t)
	policy := p.policy()
	ask := func(content []byte) signature.Verdict {
		verdict, err := policy.Verify(t.Context(), signature.Request{CMS: der, Content: contentOf(content), At: p.at})
		require.NoError(t, err)
		return verdict
	}
	require.Equal(t, signature.Unknown, ask(text).Status)
	policy.Algorithms = signature.StandardAlgorithms().With(
		[]pki.Digest{{OID: digestOID, Name: "MADE-UP", New: func() hash.Hash { return sha256.New() }}},
		[]pki.Scheme{{
			OID:  keyOID,
			Name: func(_ pki.PublicKey, d pki.Digest) string { return "MADE-UP-WITH-" + d.Name },
			Verify: func(key pki.PublicKey, _ pki.Digest, signed, sig []byte) error {
				public, err := x509.ParsePKIXPublicKey(key.Raw)
				if err != nil {
					return err
				}
				if !ecdsa.VerifyASN1(public.(*ecdsa.PublicKey), signed, sig) {
					return pki.ErrMismatch
				}
				return nil
			},
		}})
	verdict := ask(text)
	require.Equal(t, signature.Valid, verdict.Status, verdict)
	require.Equal(t, "MADE-UP-WITH-MADE-UP", verdict.Signers[0].Algorithm)
	require.Equal(t, signature.Invalid, ask([]byte("another")).Status)
}

func TestOnePolicyServesManyAtOnce(t *testing.T) {
	p := newParty(t, testca.P256)
	text := []byte("the contract")
	der := p.sign(t, text)
	policy := p.policy()
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			verdict, err := policy.Verify(context.Background(), signature.Request{CMS: der, Content: contentOf(text), At: p.at})
			if err != nil || verdict.Status != signature.Valid {
				t.Errorf("%v %v", verdict, err)
			}
		})
	}
	group.Wait()
}

// Old signers name their certificate by SHA-1 or not at all, and write the key's
// algorithm for the signature's. Only content type, digest and time may not be
// there twice (RFC 5652, 11).
func TestR_C2_AnOldStyleSignatureIsJudgedLikeANewOne(t *testing.T) {
	p := newParty(t, testca.P256)
	text := []byte("the contract")
	named := func(certificate *x509.Certificate) []byte {
		sum := sha1.Sum(certificate.Raw)
		return attribute(cms.OIDSigningCertificate, tlv(0x30, tlv(0x30, tlv(0x30, octets(sum[:])))))
	}
	own := attribute("1.3.6.1.4.1.99999.3", octets([]byte("own")))
	timed := attribute(cms.OIDSigningTime, tlv(0x17, []byte("261127000000Z")))
	for name, c := range map[string]struct {
		attributes [][]byte
		algorithm  string
		want       signature.Status
	}{
		"no name of the certificate":                  {ordinary(text), "", signature.Valid},
		"a name by SHA-1":                             {append(ordinary(text), named(p.person.Certificate)), "", signature.Valid},
		"a name by SHA-1, of another":                 {append(ordinary(text), named(p.issuing.Certificate)), "", signature.Invalid},
		"the key's algorithm":                         {ordinary(text), pki.OIDECPublicKey, signature.Valid},
		"the key's algorithm, a name by SHA-1":        {append(ordinary(text), named(p.person.Certificate)), pki.OIDECPublicKey, signature.Valid},
		"the algorithm of a key of another kind":      {ordinary(text), pki.OIDRSA, signature.Invalid},
		"attributes in another order than DER's":      {[][]byte{ordinary(text)[1], ordinary(text)[0]}, "", signature.Valid},
		"a time among the attributes, twice a value":  {append(ordinary(text), attribute(cms.OIDSigningTime, tlv(0x17, []byte("261127000000Z")), tlv(0x17, []byte("261128000000Z")))), "", signature.Invalid},
		"an attribute of somebody's own, twice":       {append(ordinary(text), own, own), "", signature.Valid},
		"the right name of the certificate, twice":    {append(ordinary(text), named(p.person.Certificate), named(p.person.Certificate)), "", signature.Valid},
		"a second name, of another certificate":       {append(ordinary(text), named(p.person.Certificate), named(p.issuing.Certificate)), "", signature.Invalid},
		"a time, twice":                               {append(ordinary(text), timed, timed), "", signature.Invalid},
		"a digest, twice":                             {append(ordinary(text), ordinary(text)[1]), "", signature.Invalid},
		"a content type, twice":                       {append(ordinary(text), ordinary(text)[0]), "", signature.Invalid},
		"a digest of another content":                 {ordinary([]byte("another")), "", signature.Invalid},
		"no digest at all":                            {ordinary(text)[:1], "", signature.Invalid},
		"two values of the digest, the right one too": {[][]byte{ordinary(text)[0], attribute(cms.OIDMessageDigest, octets(make([]byte, 32)), octets(digestOf(text)))}, "", signature.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			der := forgery{by: p.person, text: text, attributes: c.attributes, signatureOID: c.algorithm}.make(t)
			verdict := p.verify(t, der, text)
			require.Equal(t, c.want, verdict.Status, "%+v", verdict)
			if c.want == signature.Valid {
				require.Equal(t, signature.Invalid, p.verify(t, der, []byte("another")).Status)
			}
		})
	}
}

func digestOf(text []byte) []byte {
	sum := sha256.Sum256(text)
	return sum[:]
}
