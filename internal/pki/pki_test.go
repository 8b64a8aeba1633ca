package pki_test

import (
	"crypto/x509"
	"testing"
	"time"

	"dalel/internal/pki"
	"dalel/internal/testca"

	"github.com/stretchr/testify/require"
)

func root(t testing.TB, ca testca.CA) *testca.Identity {
	t.Helper()
	made, err := testca.NewRoot(ca)
	require.NoError(t, err)
	return made
}

func below(t testing.TB, parent *testca.Identity, ca testca.CA) *testca.Identity {
	t.Helper()
	made, err := parent.NewIntermediate(ca)
	require.NoError(t, err)
	return made
}

func leaf(t testing.TB, parent *testca.Identity, l testca.Leaf) *testca.Identity {
	t.Helper()
	made, err := parent.Issue(l)
	require.NoError(t, err)
	return made
}

func set(identities ...*testca.Identity) []*x509.Certificate {
	var all []*x509.Certificate
	for _, i := range identities {
		all = append(all, i.Certificate)
	}
	return all
}

func problemCodes(path pki.Path) []pki.Code {
	var all []pki.Code
	for _, p := range path.Problems {
		all = append(all, p.Code)
	}
	return all
}

func TestCheckCertificateForEveryKindOfKey(t *testing.T) {
	for name, kind := range map[string]testca.KeyKind{
		"RSA": testca.RSA2048, "P-256": testca.P256, "P-384": testca.P384, "Ed25519": testca.Ed25519,
	} {
		t.Run(name, func(t *testing.T) {
			a, b := root(t, testca.CA{Name: "A", Key: kind}), root(t, testca.CA{Name: "A", Key: kind})
			child := leaf(t, a, testca.Leaf{}).Certificate
			algorithms := pki.Standard()
			require.NoError(t, algorithms.CheckCertificate(child, a.Certificate))
			require.ErrorIs(t, algorithms.CheckCertificate(child, b.Certificate), pki.ErrMismatch)
			var none *pki.Algorithms
			require.ErrorIs(t, none.CheckCertificate(child, a.Certificate), pki.ErrUnsupported)
			require.ErrorIs(t, new(pki.Algorithms).CheckCertificate(child, a.Certificate), pki.ErrUnsupported)

			for i := 0; i < len(child.RawTBSCertificate); i += 5 {
				changed := *child
				changed.RawTBSCertificate = append([]byte(nil), child.RawTBSCertificate...)
				changed.RawTBSCertificate[i] ^= 4
				require.ErrorIs(t, algorithms.CheckCertificate(&changed, a.Certificate), pki.ErrMismatch)
			}
		})
	}
}

func TestWeakAndUnknownAlgorithmsAreToldApart(t *testing.T) {
	weak := root(t, testca.CA{Name: "Weak", Key: testca.RSA1024})
	algorithms := pki.Standard()
	require.ErrorIs(t, algorithms.CheckCertificate(leaf(t, weak, testca.Leaf{}).Certificate, weak.Certificate), pki.ErrWeak)
	for _, oid := range []string{pki.OIDSHA1, pki.OIDMD5} {
		_, err := algorithms.Digest(pki.Identifier{OID: oid})
		require.ErrorIs(t, err, pki.ErrWeak)
	}
	for _, oid := range []string{pki.OIDSHA1WithRSA, pki.OIDMD5WithRSA, pki.OIDECDSAWithSHA1} {
		_, err := algorithms.Scheme(pki.Identifier{OID: oid})
		require.ErrorIs(t, err, pki.ErrWeak)
	}
	_, err := algorithms.Digest(pki.Identifier{OID: "1.2.398.3.10.1.3.3"})
	require.ErrorIs(t, err, pki.ErrUnsupported)
	require.ErrorContains(t, err, "1.2.398.3.10.1.3.3")
	_, err = algorithms.Scheme(pki.Identifier{OID: "1.2.398.3.10.1.1.2.3.2"})
	require.ErrorIs(t, err, pki.ErrUnsupported)
	_, err = algorithms.Digest(pki.Identifier{OID: pki.OIDSHA256, Parameters: []byte{2, 1, 0}})
	require.ErrorIs(t, err, pki.ErrUnsupported, "parameters that are not understood are not passed over")
	_, err = algorithms.Digest(pki.Identifier{OID: pki.OIDSHA256, Parameters: []byte{5, 0}})
	require.NoError(t, err)
}

func TestAPathIsBuiltWhateverTheOrder(t *testing.T) {
	top := root(t, testca.CA{Name: "Top"})
	middle := below(t, top, testca.CA{Name: "Middle"})
	low := below(t, middle, testca.CA{Name: "Low", Key: testca.Ed25519})
	who := leaf(t, low, testca.Leaf{})
	path := pki.Builder{
		Roots: set(top), Intermediates: set(middle), Offered: set(who, low, top),
		Algorithms: pki.Standard(), At: time.Now(),
	}.Build(who.Certificate)
	require.True(t, path.Anchored)
	require.Empty(t, path.Problems)
	require.Equal(t, set(who, low, middle, top), path.Certificates)
}

// Two roots of НУЦ РК share a name: the key identifier tells which one it was.
func TestRootsOfOneNameAreToldApart(t *testing.T) {
	for _, withoutKeyID := range []bool{false, true} {
		old := root(t, testca.CA{Name: "Root", WithoutKeyID: withoutKeyID, SubjectKeyID: nil})
		young := root(t, testca.CA{Name: "Root", WithoutKeyID: withoutKeyID})
		who := leaf(t, young, testca.Leaf{WithoutAuthorityKeyID: withoutKeyID})
		path := pki.Builder{Roots: set(old, young), Algorithms: pki.Standard(), At: time.Now()}.Build(who.Certificate)
		require.True(t, path.Anchored)
		require.Empty(t, path.Problems)
		require.Equal(t, set(who, young), path.Certificates)
		path = pki.Builder{Roots: set(old), Algorithms: pki.Standard(), At: time.Now()}.Build(who.Certificate)
		require.False(t, path.Anchored)
		require.Equal(t, []pki.Code{pki.ChainIncomplete}, problemCodes(path))
	}
}

func TestAGoodPathWinsOverABadOne(t *testing.T) {
	top := root(t, testca.CA{Name: "Top"})
	key, err := testca.NewKey(testca.P256)
	require.NoError(t, err)
	now := time.Now()
	ended := below(t, top, testca.CA{Name: "Middle", ReuseKey: key, NotBefore: now.AddDate(-3, 0, 0), NotAfter: now.AddDate(-1, 0, 0)})
	renewed := below(t, top, testca.CA{Name: "Middle", ReuseKey: key})
	who := leaf(t, ended, testca.Leaf{})
	builder := pki.Builder{Roots: set(top), Intermediates: set(ended), Algorithms: pki.Standard(), At: now}
	path := builder.Build(who.Certificate)
	require.True(t, path.Anchored)
	require.Equal(t, []pki.Code{pki.ChainExpired}, problemCodes(path))
	builder.Offered = set(renewed)
	path = builder.Build(who.Certificate)
	require.Empty(t, path.Problems)
	require.Equal(t, set(who, renewed, top), path.Certificates)
}

// Whoever carries a CMS can put certificates into it. That may not turn
// "cannot tell" into "invalid".
func TestWhatIsOfferedCannotShowThatSomethingIsWrong(t *testing.T) {
	top := root(t, testca.CA{Name: "Top"})
	middle := below(t, top, testca.CA{Name: "Middle"})
	who := leaf(t, middle, testca.Leaf{})
	decoy := root(t, testca.CA{Name: "Middle", SubjectKeyID: middle.Certificate.SubjectKeyId})
	builder := pki.Builder{Roots: set(top), Offered: set(decoy), Algorithms: pki.Standard(), At: time.Now()}
	path := builder.Build(who.Certificate)
	require.False(t, path.Anchored)
	require.Equal(t, []pki.Code{pki.ChainIncomplete}, problemCodes(path))
	builder.Offered = set(decoy, middle)
	require.Empty(t, builder.Build(who.Certificate).Problems)
}

func TestCrossCertificatesDoNotGoRound(t *testing.T) {
	keyA, err := testca.NewKey(testca.P256)
	require.NoError(t, err)
	keyB, err := testca.NewKey(testca.P256)
	require.NoError(t, err)
	a, b := root(t, testca.CA{Name: "A", ReuseKey: keyA}), root(t, testca.CA{Name: "B", ReuseKey: keyB})
	aByB, bByA := below(t, b, testca.CA{Name: "A", ReuseKey: keyA}), below(t, a, testca.CA{Name: "B", ReuseKey: keyB})
	who := leaf(t, a, testca.Leaf{})
	path := pki.Builder{Offered: set(aByB, bByA), Roots: set(root(t, testca.CA{Name: "C"})), Algorithms: pki.Standard(), At: time.Now()}.Build(who.Certificate)
	require.False(t, path.Anchored)
	path = pki.Builder{Offered: set(aByB, bByA), Roots: set(b), Algorithms: pki.Standard(), At: time.Now()}.Build(who.Certificate)
	require.True(t, path.Anchored)
	require.Empty(t, path.Problems)
	require.Equal(t, set(who, aByB, b), path.Certificates)
}

// Seven authorities that all certify each other make thousands of paths.
func TestAuthoritiesThatCertifyEachOtherDoNotCostForEver(t *testing.T) {
	var roots []*testca.Identity
	for i := range 7 {
		roots = append(roots, root(t, testca.CA{Name: string(rune('A' + i))}))
	}
	var offered []*x509.Certificate
	for i, of := range roots {
		for j, by := range roots {
			if i != j {
				offered = append(offered, below(t, by, testca.CA{Name: string(rune('A' + i)), ReuseKey: of.Key}).Certificate)
			}
		}
	}
	who := leaf(t, roots[0], testca.Leaf{})
	path := pki.Builder{Roots: set(root(t, testca.CA{Name: "Other"})), Offered: offered, Algorithms: pki.Standard(), At: time.Now()}.Build(who.Certificate)
	require.False(t, path.Anchored)
	require.Contains(t, problemCodes(path), pki.ChainSearchLimit)
	path = pki.Builder{Roots: set(roots[6]), Offered: offered, Algorithms: pki.Standard(), At: time.Now()}.Build(who.Certificate)
	require.True(t, path.Anchored)
	require.Empty(t, path.Problems)
}

func TestALongPathIsNotFollowedForEver(t *testing.T) {
	top := root(t, testca.CA{Name: "0"})
	last, all := top, set()
	for i := range pki.MaxPathLength {
		last = below(t, last, testca.CA{Name: string(rune('a' + i))})
		all = append(all, last.Certificate)
	}
	who := leaf(t, last, testca.Leaf{})
	path := pki.Builder{Roots: set(top), Intermediates: all, Algorithms: pki.Standard(), At: time.Now()}.Build(who.Certificate)
	require.False(t, path.Anchored)
	require.Equal(t, []pki.Code{pki.ChainSearchLimit}, problemCodes(path))
}

// Where both can judge, crypto/x509 and this package say the same.
func TestTheStandardLibraryAgrees(t *testing.T) {
	top := root(t, testca.CA{Name: "Top"})
	zero := 0
	now := time.Now()
	for name, c := range map[string]struct {
		ca  testca.CA
		bad bool
	}{
		"good":          {testca.CA{}, false},
		"no path below": {testca.CA{PathLength: &zero}, false},
		"not a CA":      {testca.CA{NotCA: true}, true},
		"ended":         {testca.CA{NotBefore: now.AddDate(-2, 0, 0), NotAfter: now.AddDate(-1, 0, 0)}, true},
		"not begun":     {testca.CA{NotBefore: now.AddDate(0, 1, 0)}, true},
	} {
		t.Run(name, func(t *testing.T) {
			c.ca.Name = "Middle"
			middle := below(t, top, c.ca)
			who := leaf(t, middle, testca.Leaf{})
			roots, others := x509.NewCertPool(), x509.NewCertPool()
			roots.AddCert(top.Certificate)
			others.AddCert(middle.Certificate)
			_, err := who.Certificate.Verify(x509.VerifyOptions{
				Roots: roots, Intermediates: others, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
			})
			path := pki.Builder{Roots: set(top), Intermediates: set(middle), Algorithms: pki.Standard(), At: now}.Build(who.Certificate)
			require.Equal(t, c.bad, err != nil, err)
			require.Equal(t, c.bad, len(path.Problems) > 0, path.Problems)
		})
	}
}

func FuzzReadPublicKey(f *testing.F) {
	key, err := testca.NewKey(testca.P256)
	require.NoError(f, err)
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	require.NoError(f, err)
	f.Add(der)
	algorithms := pki.Standard()
	f.Fuzz(func(t *testing.T, data []byte) {
		key, err := pki.ReadPublicKey(data)
		if err != nil {
			return
		}
		for _, oid := range []string{pki.OIDSHA256WithRSA, pki.OIDECDSAWithSHA256, pki.OIDEd25519} {
			require.Error(t, algorithms.CheckMessage(pki.Identifier{OID: oid}, key, []byte("message"), []byte("no signature")))
		}
	})
}
