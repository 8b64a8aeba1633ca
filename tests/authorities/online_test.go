// Package authorities_test has verdicts made of what the services of a
// certification authority say, over HTTP on this machine: the real client, the
// real verifier, a stand-in for the authority with everything that goes wrong.
package authorities_test

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"dalel/domain/signature"
	"dalel/internal/authorities"
	"dalel/internal/cms"
	"dalel/internal/crl"
	"dalel/internal/testca"
	"dalel/internal/testca/services"

	"github.com/stretchr/testify/require"
)

// The client is what a verdict has evidence fetched by.
var _ signature.Sources = (*authorities.Client)(nil)

const contract = "the contract"

// trial is an authority, a signature and who judges it.
type trial struct {
	t             *testing.T
	root, issuing *testca.Identity
	services      *services.StandIn
	person        *testca.Identity
	signed        []byte
	online        *signature.Online
	late          atomic.Int64
}

func (c *trial) now() time.Time { return time.Now().Add(time.Duration(c.late.Load())) }

func newTrial(t *testing.T, kind testca.KeyKind, timeout time.Duration) *trial {
	c := &trial{t: t}
	var err error
	c.root, err = testca.NewRoot(testca.CA{Name: "Test root", Key: kind})
	require.NoError(t, err)
	c.issuing, err = c.root.NewIntermediate(testca.CA{Name: "Test issuing CA", Key: kind})
	require.NoError(t, err)
	c.services, err = services.Start(c.issuing, services.Options{Key: kind, Clock: c.now})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.services.Close()) })
	c.person, err = c.services.Issue(testca.Leaf{Owner: testca.Owner{IIN: "123456789011", Surname: "TESTOV"}, Key: kind})
	require.NoError(t, err)
	c.signed, err = cms.Sign(t.Context(), cms.SignOptions{Content: strings.NewReader(contract),
		Signers: []cms.SignerOptions{{Certificate: c.person.Certificate, Key: c.person.Key}}})
	require.NoError(t, err)
	policy := &signature.Policy{Roots: []*x509.Certificate{c.root.Certificate}, Intermediates: []*x509.Certificate{c.issuing.Certificate}}
	client, err := authorities.Open(authorities.Config{
		Cache: t.TempDir(), Stamps: []authorities.Stamps{{URL: c.services.StampsAddress()}},
		Roots: policy.Roots, Intermediates: policy.Intermediates,
		Clock: c.now, Log: slog.New(slog.DiscardHandler), Timeout: timeout, ListTimeout: timeout, MaxList: 1 << 20,
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	c.online = &signature.Online{Policy: policy, Sources: client, Clock: c.now}
	return c
}

func content() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(contract)), nil }

// judge judges the signature for a moment, and has the verdict repeated with
// nothing but the root and the evidence.
func (c *trial) judge(at time.Time) signature.Assessment {
	request := signature.Request{CMS: c.signed, Content: content, At: at}
	found, err := c.online.Assess(c.t.Context(), request)
	require.NoError(c.t, err)
	if found.Signing.Status != signature.Unknown {
		request.Evidence = found.Evidence
		alone := &signature.Policy{Roots: c.online.Roots}
		again, err := alone.Assess(c.t.Context(), request)
		require.NoError(c.t, err)
		require.Equal(c.t, found.Signing, again.Signing)
		require.Equal(c.t, found.Receipt, again.Receipt)
	}
	return found
}

// codes of all reasons of the one signer.
func codes(verdict signature.Verdict) (all []string) {
	for _, r := range verdict.Signers[0].Reasons {
		all = append(all, r.Code)
	}
	return all
}

func kinds() map[string]testca.KeyKind {
	return map[string]testca.KeyKind{"ECDSA": testca.P256, "RSA": testca.RSA2048, "GOST 512": testca.GOST512, "GOST 256": testca.GOST256}
}

func TestR_C3_AVerdictFromTheServicesRepeatsOfflineForEveryKindOfKey(t *testing.T) {
	for name, kind := range kinds() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newTrial(t, kind, 0)
			found := c.judge(c.now())
			require.Equal(t, signature.Valid, found.Signing.Status, "%+v", found.Signing)
			require.True(t, found.Trusted)
			require.Contains(t, codes(found.Signing), signature.TimeTrusted)
			require.Contains(t, codes(found.Signing), signature.RevocationGood)
			held := map[signature.EvidenceKind]int{}
			for _, e := range found.Evidence {
				held[e.Kind]++
			}
			require.Equal(t, 1, held[signature.EvidenceTimeToken])
			require.GreaterOrEqual(t, held[signature.EvidenceOCSP], 2, "of the signer and of the time-stamping authority")

			// Not a word of the network: the stand-in was not asked again.
			before := c.services.Asked(services.OCSP)
			_, err := c.online.Policy.Assess(t.Context(), signature.Request{CMS: c.signed, Content: content, At: c.now(), Evidence: found.Evidence})
			require.NoError(t, err)
			require.Equal(t, before, c.services.Asked(services.OCSP))
		})
	}
}

// Each fault of each service that the answer depends on is "cannot tell", whatever
// the truth is; with the fault gone the truth comes out, for the same moment.
func TestR_C4_NoFaultOfAServiceBecomesValidOrInvalid(t *testing.T) {
	for _, service := range []services.Service{services.OCSP, services.CRL, services.Delta} {
		for _, fault := range services.Faults(service) {
			for _, revoked := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s %s, revoked %t", service, fault, revoked), func(t *testing.T) {
					t.Parallel()
					timeout := time.Duration(0)
					if fault == services.Late {
						timeout = 2 * time.Second
					}
					kind := testca.P256
					if fault == services.WrongSigner {
						kind = testca.GOST512
					}
					c := newTrial(t, kind, timeout)
					if revoked {
						require.NoError(t, c.services.Revoke(c.person.Certificate, services.Revocation{At: c.now().Add(-time.Minute), Reason: crl.KeyCompromise}))
					}
					// The other way to an answer is closed.
					if service == services.OCSP {
						c.services.Break(services.CRL, services.Failing)
					} else {
						c.services.Break(services.OCSP, services.Failing)
					}
					c.services.Break(service, fault)
					came := c.now()
					found := c.judge(came)
					require.Equal(t, signature.Unknown, found.Receipt.Status, "%+v", found.Receipt)
					require.Equal(t, signature.Unknown, found.Signing.Status, "%+v", found.Signing)

					c.services.Break(service, services.None)
					c.late.Add(int64(2 * authorities.MinInterval))
					want := signature.Valid
					if revoked {
						want = signature.Invalid
					}
					found = c.judge(came)
					require.Equal(t, want, found.Receipt.Status, "%+v", found.Receipt)
					require.Equal(t, want, found.Signing.Status, "%+v", found.Signing)
				})
			}
		}
	}
}

// Without a token the time is not told: the signature is judged for the moment
// when it came, and nothing is said of the moment when it was made.
func TestR_C4_NoFaultOfTheTimeStampingAuthorityBecomesATime(t *testing.T) {
	for _, fault := range services.Faults(services.Stamps) {
		t.Run(string(fault), func(t *testing.T) {
			t.Parallel()
			timeout := time.Duration(0)
			if fault == services.Late {
				timeout = 2 * time.Second
			}
			c := newTrial(t, testca.P256, timeout)
			c.services.Break(services.Stamps, fault)
			found := c.judge(c.now())
			require.False(t, found.Trusted)
			require.Nil(t, found.Signing.Signers[0].At)
			require.NotContains(t, codes(found.Signing), signature.TimeTrusted)
			require.Equal(t, found.Receipt, found.Signing)

			// And when the responder is away besides, nothing is told at all.
			c.services.Break(services.OCSP, services.Unavailable)
			c.services.Break(services.CRL, services.Unavailable)
			require.Equal(t, signature.Unknown, c.judge(c.now()).Signing.Status)

			c.services.Break(services.OCSP, services.None)
			c.services.Break(services.Stamps, services.None)
			c.late.Add(int64(2 * authorities.MinInterval))
			found = c.judge(c.now())
			require.True(t, found.Trusted)
			require.Equal(t, signature.Valid, found.Signing.Status)
		})
	}
}

func TestR_C4_WhatTheResponderDoesNotKnowIsNotTold(t *testing.T) {
	c := newTrial(t, testca.P256, 0)
	c.services.Forget(c.person.Certificate)
	c.services.Break(services.CRL, services.Failing)
	found := c.judge(c.now())
	require.Equal(t, signature.Unknown, found.Signing.Status)
	require.Contains(t, codes(found.Signing), signature.RevocationUnknown)
	require.NoError(t, c.services.Remember(c.person.Certificate))
	c.services.Break(services.CRL, services.None)
	require.Equal(t, signature.Valid, c.judge(c.now()).Signing.Status)
}

func TestR_C2_WhatWasNeverIssuedIsInvalid(t *testing.T) {
	c := newTrial(t, testca.P256, 0)
	stolen, err := c.issuing.Issue(testca.Leaf{OCSP: c.services.OCSPAddress()}) // behind the register's back
	require.NoError(t, err)
	c.signed, err = cms.Sign(t.Context(), cms.SignOptions{Content: bytes.NewReader([]byte(contract)),
		Signers: []cms.SignerOptions{{Certificate: stolen.Certificate, Key: stolen.Key}}})
	require.NoError(t, err)
	found := c.judge(c.now())
	require.Equal(t, signature.Invalid, found.Signing.Status)
	require.Contains(t, codes(found.Signing), signature.RevocationNeverIssued)
}

// With OCSP away the delta list alone knows of the revocation.
func TestR_C2_ADeltaListIsApplied(t *testing.T) {
	c := newTrial(t, testca.GOST512, 0)
	c.services.Break(services.OCSP, services.Failing)
	require.Equal(t, signature.Valid, c.judge(c.now()).Signing.Status)
	require.NoError(t, c.services.Revoke(c.person.Certificate, services.Revocation{At: c.now(), Reason: crl.Superseded}))
	c.late.Add(int64(2 * time.Hour)) // the next delta is due, the full list is not
	full := c.services.Asked(services.CRL)
	found := c.judge(c.now())
	require.Equal(t, signature.Invalid, found.Signing.Status)
	require.Contains(t, codes(found.Signing), signature.RevocationRevoked)
	require.Equal(t, full, c.services.Asked(services.CRL))
}

// Nobody has this program call an address by putting it into a certificate.
func TestOnlyAddressesOfTrustedAuthoritiesAreAsked(t *testing.T) {
	c := newTrial(t, testca.P256, 0)
	c.services.Break(services.Stamps, services.Failing) // the address is the operator's, and its certificate is asked about
	foreign, err := testca.NewRoot(testca.CA{Name: "Test root"})
	require.NoError(t, err)
	stranger, err := foreign.Issue(testca.Leaf{OCSP: c.services.OCSPAddress(), CRL: c.services.CRLAddress()})
	require.NoError(t, err)
	c.signed, err = cms.Sign(t.Context(), cms.SignOptions{Content: strings.NewReader(contract), Certificates: []*x509.Certificate{foreign.Certificate},
		Signers: []cms.SignerOptions{{Certificate: stranger.Certificate, Key: stranger.Key}}})
	require.NoError(t, err)
	require.Equal(t, signature.Unknown, c.judge(c.now()).Signing.Status)
	require.Zero(t, c.services.Asked(services.OCSP))
	require.Zero(t, c.services.Asked(services.CRL))
}
