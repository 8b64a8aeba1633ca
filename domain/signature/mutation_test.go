package signature_test

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"testing"

	"dalel/domain/signature"
	"dalel/internal/cms"
	"dalel/internal/testca"

	"github.com/digitorus/pkcs7"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// meaning is all of a CMS that a signature protects, and the signature. If a
// changed CMS is still valid, its meaning must be the same.
func meaning(t require.TestingT, der []byte, certificate string) string {
	message, err := cms.Parse(der)
	require.NoError(t, err)
	text := fmt.Sprintf("%s %v %x\n", message.ContentType, message.Detached, message.Content)
	for _, s := range message.Signers {
		text += fmt.Sprintf("%x %s %s %x\n", s.SignedBytes, s.DigestAlgorithm.OID, s.SignatureAlgorithm.OID, s.Signature)
	}
	return text + certificate
}

// mutable is a CMS with things in it that no signature protects: an unsigned
// attribute, a certificate that nobody needs, two signers.
func mutable(t testing.TB, p party, kind testca.KeyKind, text []byte, attached bool) []byte {
	t.Helper()
	unused, err := testca.NewRoot(testca.CA{Name: "Nobody needs this"})
	require.NoError(t, err)
	second, err := p.issuing.Issue(testca.Leaf{Key: kind})
	require.NoError(t, err)
	der, err := cms.Sign(t.Context(), cms.SignOptions{
		Content: bytes.NewReader(text), Attached: attached,
		Signers: []cms.SignerOptions{
			{Certificate: p.person.Certificate, Key: p.person.Key, SigningTime: p.at,
				Unsigned: []cms.Attribute{{OID: "1.2.3.4", Values: [][]byte{octets(make([]byte, 64))}}}},
			{Certificate: second.Certificate, Key: second.Key},
		},
		Certificates: append(p.person.Chain[:1:1], unused.Certificate),
	})
	require.NoError(t, err)
	return der
}

func isUnreadable(r signature.Reason) bool { return r.Code == signature.EvidenceUnreadable }

func TestR_C2_NoChangedByteIsValidUnlessNothingSignedChanged(t *testing.T) {
	text := []byte("the contract of a thousand tenge")
	for _, kind := range kinds() {
		for _, attached := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/attached=%v", kind.name, attached), func(t *testing.T) {
				p := newParty(t, kind.kind)
				der := mutable(t, p, kind.kind, text, attached)
				original := p.verify(t, der, text)
				require.Equal(t, signature.Valid, original.Status, original)
				want := meaning(t, der, original.Signers[0].Certificate+original.Signers[1].Certificate)
				valid, total := 0, 0
				check := func(r require.TestingT, changed []byte) {
					verdict, err := p.policy().Verify(t.Context(), signature.Request{CMS: changed, Content: contentOf(text), At: p.at})
					require.NoError(r, err)
					total++
					if verdict.Status != signature.Valid {
						return
					}
					valid++
					require.Len(r, verdict.Signers, 2)
					require.Equal(r, want, meaning(r, changed, verdict.Signers[0].Certificate+verdict.Signers[1].Certificate))
					for i := range verdict.Signers {
						verdict.Signers[i].Reasons = slices.DeleteFunc(verdict.Signers[i].Reasons, isUnreadable)
					}
					require.Equal(r, original.Signers, verdict.Signers, "a valid one says the same of every signer, but for what was damaged beside it")
				}
				// One bit of every byte where that is quick, of every n-th where
				// it is not.
				random := rand.New(rand.NewPCG(1, 2))
				step := map[testca.KeyKind]int{testca.RSA2048: 3, testca.P256: 3, testca.P384: 11, testca.Ed25519: 1}[kind.kind]
				for i := random.IntN(step); i < len(der); i += step {
					changed := bytes.Clone(der)
					changed[i] ^= 1 << random.UintN(8)
					check(t, changed)
				}
				require.NotZero(t, valid, "the unsigned parts were never hit: the test is blind")
				require.Less(t, valid, total/2)
				// Several bytes, cuts and doublings.
				rapid.Check(t, func(r *rapid.T) {
					changed := bytes.Clone(der)
					for range rapid.IntRange(1, 4).Draw(r, "changes") {
						i := rapid.IntRange(0, len(changed)-1).Draw(r, "at")
						switch rapid.IntRange(0, 2).Draw(r, "kind") {
						case 0:
							changed[i] = rapid.Byte().Draw(r, "byte")
						case 1:
							j := rapid.IntRange(i, min(i+8, len(changed)-1)).Draw(r, "to")
							changed = append(changed[:i:i], changed[j:]...)
						case 2:
							changed = append(changed[:i:i], append([]byte{rapid.Byte().Draw(r, "byte")}, changed[i:]...)...)
						}
					}
					check(r, changed)
				})
			})
		}
	}
}

func TestR_C2_NoChangedContentIsValid(t *testing.T) {
	text := []byte("the contract of a thousand tenge")
	for _, kind := range kinds() {
		p := newParty(t, kind.kind)
		der := p.sign(t, text)
		rapid.Check(t, func(r *rapid.T) {
			other := rapid.OneOf(
				rapid.SliceOf(rapid.Byte()),
				rapid.Custom(func(r *rapid.T) []byte {
					changed := bytes.Clone(text)
					changed[rapid.IntRange(0, len(text)-1).Draw(r, "at")] = rapid.Byte().Draw(r, "byte")
					return changed
				}),
			).Draw(r, "content")
			verdict, err := p.policy().Verify(t.Context(), signature.Request{CMS: der, Content: contentOf(other), At: p.at})
			require.NoError(r, err)
			require.Equal(r, bytes.Equal(other, text), verdict.Status == signature.Valid)
		})
	}
}

// What one side finds good and the other bad is a fault of one of them. Our
// side must never be the only one to say valid.
func TestR_C2_NothingIsValidForUsAloneAgainstAnotherLibrary(t *testing.T) {
	text := []byte("the contract of a thousand tenge")
	p := newParty(t, testca.RSA2048)
	der := p.sign(t, text)
	pool := x509.NewCertPool()
	pool.AddCert(p.root.Certificate)
	theirs := func(der []byte) (err error) {
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("the other side panicked: %v", r)
			}
		}()
		message, err := pkcs7.Parse(der)
		if err != nil {
			return err
		}
		if len(message.Signers) == 0 {
			return fmt.Errorf("no signers")
		}
		message.Content = text
		return message.VerifyWithChain(pool)
	}
	require.NoError(t, theirs(der))
	bothValid, onlyTheirs := 0, map[string]int{}
	for i := range der {
		changed := bytes.Clone(der)
		changed[i] ^= 1 << (i % 8)
		verdict := p.verify(t, changed, text)
		err := theirs(changed)
		switch {
		case verdict.Status == signature.Valid && err == nil:
			bothValid++
		case verdict.Status == signature.Valid:
			// Ours alone: only where nothing that is signed changed.
			require.Equal(t, meaning(t, der, verdict.Signers[0].Certificate), meaning(t, changed, verdict.Signers[0].Certificate),
				"byte %d: %v", i, err)
		case err == nil:
			onlyTheirs[fmt.Sprint(codes(verdict))]++
		}
	}
	t.Logf("%d changes: %d valid on both sides; valid for the other side alone, by our reasons: %v", len(der), bothValid, onlyTheirs)
}

func TestR_C2_NothingIsValidForUsAloneAgainstOpenssl(t *testing.T) {
	o := needOpenssl(t)
	text := []byte("the contract of a thousand tenge")
	for _, kind := range []testca.KeyKind{testca.RSA2048, testca.P256} {
		p := newParty(t, kind)
		der := p.sign(t, text)
		content, root := o.write("content", text), o.write("root.pem", p.root.CertificatePEM())
		random := rand.New(rand.NewPCG(3, 4))
		both, ours, theirs := 0, 0, 0
		for n := range 100 {
			changed := bytes.Clone(der)
			changed[random.IntN(len(der))] ^= 1 << random.UintN(8)
			if n == 0 {
				changed = der
			}
			verdict := p.verify(t, changed, text)
			path := o.write("s.p7s", changed)
			err := exec.CommandContext(t.Context(), "openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", path,
				"-content", content, "-CAfile", root, "-purpose", "any", "-out", os.DevNull).Run()
			switch {
			case verdict.Status == signature.Valid && err == nil:
				both++
			case verdict.Status == signature.Valid:
				ours++
				require.Equal(t, meaning(t, der, verdict.Signers[0].Certificate), meaning(t, changed, verdict.Signers[0].Certificate))
			case err == nil:
				theirs++
			}
		}
		require.NotZero(t, both)
		t.Logf("100 changes: valid on both sides %d, for us alone %d (nothing signed changed), for openssl alone %d", both, ours, theirs)
	}
}
