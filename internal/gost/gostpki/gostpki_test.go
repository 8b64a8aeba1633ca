package gostpki_test

import (
	"bytes"
	"crypto/x509"
	"io"
	"testing"
	"time"

	"dalel/domain/signature"
	"dalel/internal/gost/gost3410"
	"dalel/internal/gost/gostpki"
	"dalel/internal/pki"
	"dalel/internal/testca"

	"github.com/stretchr/testify/require"
)

func everyKind(t *testing.T, test func(t *testing.T, k kind)) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) { test(t, k) })
	}
}

func TestR_C2_ACertificateIsCheckedThroughTheSeam(t *testing.T) {
	everyKind(t, func(t *testing.T, k kind) {
		root, other := issue(t, k, "Root", nil), issue(t, k, "Root", nil)
		leaf := issue(t, k, "Person", &root)
		require.ErrorIs(t, pki.Standard().CheckCertificate(leaf.certificate, root.certificate), pki.ErrUnsupported)
		known := algorithms()
		require.NoError(t, known.CheckCertificate(root.certificate, root.certificate))
		require.NoError(t, known.CheckCertificate(leaf.certificate, root.certificate))
		require.ErrorIs(t, known.CheckCertificate(leaf.certificate, other.certificate), pki.ErrMismatch)
		for i := 0; i < len(leaf.certificate.RawTBSCertificate); i += 5 {
			changed := *leaf.certificate
			changed.RawTBSCertificate = bytes.Clone(leaf.certificate.RawTBSCertificate)
			changed.RawTBSCertificate[i] ^= 4
			require.ErrorIs(t, known.CheckCertificate(&changed, root.certificate), pki.ErrMismatch)
		}
		for i := range leaf.certificate.Signature {
			changed := *leaf.certificate
			changed.Signature = bytes.Clone(leaf.certificate.Signature)
			changed.Signature[i] ^= 4
			require.ErrorIs(t, known.CheckCertificate(&changed, root.certificate), pki.ErrMismatch)
		}
		for _, bad := range [][]byte{nil, leaf.certificate.Signature[1:], gost3410.Reversed(leaf.certificate.Signature)} {
			changed := *leaf.certificate
			changed.Signature = bad
			require.ErrorIs(t, known.CheckCertificate(&changed, root.certificate), pki.ErrMismatch)
		}
		path := pki.Builder{
			Roots: []*x509.Certificate{other.certificate, root.certificate}, Algorithms: known, At: time.Now(),
		}.Build(leaf.certificate)
		require.True(t, path.Anchored)
		require.Empty(t, path.Problems)
		require.Equal(t, []*x509.Certificate{leaf.certificate, root.certificate}, path.Certificates)
	})
}

func TestR_C2_R_C4_ACMSIsJudgedThroughTheSeam(t *testing.T) {
	everyKind(t, func(t *testing.T, k kind) {
		root := issue(t, k, "Root", nil)
		person := issue(t, k, "Person", &root)
		text := []byte("the contract")
		digest, err := algorithms().Digest(pki.Identifier{OID: k.digest})
		require.NoError(t, err)
		for _, algorithm := range []string{k.signed, k.key} { // old software writes the key's OID
			der := signedData(t, person, text, algorithm)
			ask := func(known *signature.Algorithms, content []byte) signature.Verdict {
				policy := &signature.Policy{Roots: []*x509.Certificate{root.certificate}, Algorithms: known}
				verdict, err := policy.Verify(t.Context(), signature.Request{CMS: der, At: time.Now(), Content: func() (io.ReadCloser, error) {
					return io.NopCloser(bytes.NewReader(content)), nil
				}})
				require.NoError(t, err)
				return verdict
			}
			verdict := ask(algorithms(), text)
			require.Equal(t, signature.Valid, verdict.Status, verdict)
			require.Equal(t, k.name+"-"+digest.Name, verdict.Signers[0].Algorithm)
			require.Equal(t, signature.Invalid, ask(algorithms(), []byte("another")).Status)
			require.Equal(t, signature.Unknown, ask(pki.Standard(), text).Status, "without the family it cannot be told")
		}
	})
}

func TestTheOrderOfTheBytesIsTheFamilysAndNeverTriedBothWays(t *testing.T) {
	everyKind(t, func(t *testing.T, k kind) {
		who := issue(t, k, "Person", nil)
		message := []byte("a message")
		key, err := pki.ReadPublicKey(who.certificate.RawSubjectPublicKeyInfo)
		require.NoError(t, err)
		signed := who.sign(t, message)
		identifier := pki.Identifier{OID: k.signed}
		require.NoError(t, algorithms().CheckMessage(identifier, key, message, signed))
		require.ErrorIs(t, algorithms().CheckMessage(identifier, key, message, gost3410.Reversed(signed)), pki.ErrMismatch)
	})
}

func TestR_C4_WhatCannotBeToldIsNotCalledAMismatch(t *testing.T) {
	message := []byte("a message")
	everyKind(t, func(t *testing.T, k kind) {
		who := issue(t, k, "Person", nil)
		public := who.key.Public().(*gost3410.PublicKey)
		signed := who.sign(t, message)
		check := func(algorithm, curve, parameter string, change func([]byte) []byte) error {
			der, err := gost3410.MarshalPublicKey(public, algorithm, curve, parameter)
			require.NoError(t, err)
			if change != nil {
				der = change(der)
			}
			key, err := pki.ReadPublicKey(der)
			require.NoError(t, err)
			return algorithms().CheckMessage(pki.Identifier{OID: k.signed}, key, message, signed)
		}
		require.NoError(t, check(k.key, k.curve, k.parameter, nil))
		require.NoError(t, check(k.key, k.curve, "", nil), "no digest in the parameters")
		require.ErrorIs(t, check(k.key, "1.2.398.3.10.1.1.9.9", k.parameter, nil), pki.ErrUnsupported, "an unknown curve")
		require.ErrorIs(t, check(k.key, k.curve, "1.2.643.2.2.30.0", nil), pki.ErrUnsupported, "a key for another digest")
		require.ErrorIs(t, check(k.key, k.curve, k.parameter, func(der []byte) []byte {
			der[len(der)-1] ^= 1
			return der
		}), pki.ErrUnsupported, "a point that is not on the curve")
		for _, other := range kinds {
			if other.key == k.key {
				continue
			}
			err := check(other.key, k.curve, k.parameter, nil)
			c, _ := gost3410.CurveByOID(other.curve)
			if c.Size() == public.Curve().Size() {
				require.ErrorIs(t, err, pki.ErrUnsupported, "a key of the other family")
			} else {
				require.ErrorIs(t, err, pki.ErrMismatch, "a key of another width")
			}
		}
		// A curve of the same width on which the key does not lie.
		for _, other := range kinds {
			c, _ := gost3410.CurveByOID(other.curve)
			if c != public.Curve() && c.Size() == public.Curve().Size() {
				require.ErrorIs(t, check(k.key, other.curve, k.parameter, nil), pki.ErrUnsupported)
			}
		}
	})
}

func TestAKeyOfAnotherKindDidNotMakeTheSignature(t *testing.T) {
	rsa, err := testca.NewRoot(testca.CA{Name: "RSA", Key: testca.RSA2048})
	require.NoError(t, err)
	everyKind(t, func(t *testing.T, k kind) {
		root := issue(t, k, "Root", nil)
		require.ErrorIs(t, algorithms().CheckCertificate(root.certificate, rsa.Certificate), pki.ErrMismatch)
		require.Error(t, algorithms().CheckCertificate(rsa.Certificate, root.certificate))
	})
}

// A key's OID in the signature's place takes the digest beside it: only the
// right one.
func TestAKeysOIDTakesOnlyTheDigestThatGoesWithIt(t *testing.T) {
	everyKind(t, func(t *testing.T, k kind) {
		who := issue(t, k, "Person", nil)
		key, err := pki.ReadPublicKey(who.certificate.RawSubjectPublicKeyInfo)
		require.NoError(t, err)
		scheme, err := algorithms().Scheme(pki.Identifier{OID: k.key})
		require.NoError(t, err)
		require.Empty(t, scheme.Digest)
		message := []byte("a message")
		for _, oid := range []string{
			gostpki.OIDDigestKZ34311, gostpki.OIDDigestKZ256, gostpki.OIDDigestKZ512,
			gostpki.OIDDigest94, gostpki.OIDDigest2012256, gostpki.OIDDigest2012512, pki.OIDSHA256, pki.OIDSHA512,
		} {
			digest, err := algorithms().Digest(pki.Identifier{OID: oid})
			require.NoError(t, err)
			err = scheme.Verify(key, digest, sum(t, oid, message), who.sign(t, message))
			if oid == k.digest {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, pki.ErrUnsupported, oid)
			}
		}
	})
}

func TestParametersOfDigests(t *testing.T) {
	known := algorithms()
	for _, c := range []struct {
		oid        string
		parameters []byte
		ok         bool
	}{
		{gostpki.OIDDigestKZ512, nil, true},
		{gostpki.OIDDigestKZ512, []byte{5, 0}, true},
		{gostpki.OIDDigestKZ512, []byte{2, 1, 0}, false},
		{gostpki.OIDDigest94, nil, true},
		{gostpki.OIDDigest94, []byte{5, 0}, true},
		{gostpki.OIDDigest94, []byte{6, 7, 0x2a, 0x85, 0x03, 0x02, 0x02, 0x1e, 0x01}, true},  // CryptoPro's
		{gostpki.OIDDigest94, []byte{6, 7, 0x2a, 0x85, 0x03, 0x02, 0x02, 0x1e, 0x00}, false}, // the examples'
	} {
		_, err := known.Digest(pki.Identifier{OID: c.oid, Parameters: c.parameters})
		if c.ok {
			require.NoError(t, err)
		} else {
			require.ErrorIs(t, err, pki.ErrUnsupported)
		}
	}
}

// FuzzVerify: no scheme panics, and what is not the signature never passes.
func FuzzVerify(f *testing.F) {
	_, schemes := gostpki.Algorithms()
	message := []byte("a message")
	type right struct {
		key       pki.PublicKey
		signature []byte
	}
	rights := map[int]right{}
	for i, scheme := range schemes {
		for _, k := range kinds {
			if scheme.OID != k.signed && scheme.OID != k.key {
				continue
			}
			// The same key in every process that the fuzzer starts.
			c, _ := gost3410.CurveByOID(k.curve)
			private, err := c.NewPrivateKey(bytes.Repeat([]byte{3}, c.Size()))
			require.NoError(f, err)
			info, err := gost3410.MarshalPublicKey(private.Public().(*gost3410.PublicKey), k.key, k.curve, k.parameter)
			require.NoError(f, err)
			key, err := pki.ReadPublicKey(info)
			require.NoError(f, err)
			made, err := private.Sign(bytes.NewReader(make([]byte, 64)), sum(f, k.digest, message), nil)
			require.NoError(f, err)
			if k.reversed {
				made = gost3410.Reversed(made)
			}
			rights[i] = right{key, made}
			f.Add(uint8(i), key.Raw, rights[i].signature)
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, der, signature []byte) {
		i := int(which) % len(schemes)
		for _, k := range kinds {
			if schemes[i].OID != k.signed && schemes[i].OID != k.key {
				continue
			}
			digest, err := algorithms().Digest(pki.Identifier{OID: k.digest})
			if err != nil {
				t.Fatal(err)
			}
			signed := sum(t, k.digest, message)
			if key, err := pki.ReadPublicKey(der); err == nil {
				_ = schemes[i].Verify(key, digest, signed, signature)
			}
			err = schemes[i].Verify(rights[i].key, digest, signed, signature)
			if (err == nil) != bytes.Equal(signature, rights[i].signature) {
				t.Fatalf("%v", err)
			}
		}
	})
}
