package signature

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"dalel/internal/casefiles"
	"dalel/internal/pki"

	"github.com/stretchr/testify/require"
)

// pkitsCase is one of NIST's Public Key Interoperability Test Suite.
type pkitsCase struct {
	Name              string
	CertPath, CRLPath []string
	ShouldValidate    bool

	InitialPolicySet                                                            []string
	InitialPolicyMappingInhibit, InitialExplicitPolicy, InitialAnyPolicyInhibit bool
}

// byDefault says whether the case is for the settings that are the only ones here.
func (c pkitsCase) byDefault() bool {
	return slices.Equal(c.InitialPolicySet, []string{"anyPolicy"}) &&
		!c.InitialPolicyMappingInhibit && !c.InitialExplicitPolicy && !c.InitialAnyPolicyInhibit
}

// feature is what a case that stays open would need.
func (c pkitsCase) feature(reasons []Reason) string {
	codes := blocking(reasons)
	switch {
	case strings.Contains(c.Name, "DSA") || slices.Contains(codes, AlgorithmUnsupported):
		return "signatures by DSA"
	case slices.Contains(codes, CertificateUnreadable):
		return "certificates that are not read (a negative serial number, unused bits in a signature, a point that is named behind the issuer)"
	case strings.Contains(c.Name, "indirectCRL") || strings.Contains(c.Name, "cRLIssuer"):
		return "lists by somebody else than the issuer (indirect ones)"
	case slices.Contains(codes, CertificateExpired) || slices.Contains(codes, ChainExpired):
		return "a certificate that ended: when it was used is not shown"
	case slices.Contains(codes, ChainIncomplete):
		return "an issuer that is not at hand: by what name and key there is one"
	case slices.Contains(codes, ExtensionUnknown):
		return "a critical extension that is not understood"
	case slices.Contains(codes, RevocationUnusable):
		return "a list that is there and cannot be used"
	}
	return "others: " + strings.Join(codes, ", ")
}

// The certificates of the suite are judged as a signer's is, at a moment at which
// those that are good have begun and not ended. "Cannot tell" is never wrong; a
// bad path is valid only where nothing but revocation is wrong with it and its
// certificates publish none.
func TestR_C4_ThePathsOfNISTAreAnsweredOrLeftOpen(t *testing.T) {
	folder := casefiles.Folder(t, "DALEL_PKITS", "pkits")
	var cases []pkitsCase
	require.NoError(t, json.Unmarshal(casefiles.Read(t, folder, "vectors.json"), &cases))
	at := time.Date(2020, time.January, 1, 0, 0, 0, 0, time.UTC)
	exact, all := 0, 0
	open := map[string][]string{}
	for _, c := range cases {
		if !c.byDefault() {
			continue
		}
		all++
		reasons, published := c.judge(t, folder, at)
		status := worst(reasons)
		want := Invalid
		if c.ShouldValidate {
			want = Valid
		}
		switch {
		case status == want:
			exact++
		case status == Unknown:
			feature := c.feature(reasons)
			open[feature] = append(open[feature], fmt.Sprintf("%s (%s)", c.Name, want))
		case status == Valid && !published && slices.Contains(onlyRevocation, c.Name):
			open["no list was published or given: valid"] = append(open["no list was published or given: valid"], c.Name)
		default:
			t.Errorf("%s is %s: %v", c.Name, status, reasons)
		}
	}
	t.Logf("%d of %d answered exactly", exact, all)
	for _, feature := range slices.Sorted(maps.Keys(open)) {
		t.Logf("%d left open, %s:\n\t%s", len(open[feature]), feature, strings.Join(open[feature], "\n\t"))
	}
	require.Equal(t, 214, all)
	require.GreaterOrEqual(t, exact, 164)
}

// onlyRevocation are the bad cases in which nothing but revocation is wrong.
var onlyRevocation = []string{
	"4.4.1 Missing CRL Test1",
	"4.4.5 Invalid Bad CRL Issuer Name Test5",
	"4.4.6 Invalid Wrong CRL Test6",
}

func (c pkitsCase) judge(t *testing.T, folder string, at time.Time) (reasons []Reason, published bool) {
	var path []*x509.Certificate
	for _, name := range c.CertPath {
		certificate, err := pki.ParseCertificate(casefiles.DER(t, folder, "certs", name))
		if err != nil {
			return []Reason{{CertificateUnreadable, err.Error()}}, false
		}
		published = published || publishes(certificate)
		path = append(path, certificate)
	}
	policy := &Policy{Roots: path[:1], Offered: path[1:]}
	v := &verification{policy: policy, at: at, algorithms: policy.Known()}
	for _, name := range c.CRLPath {
		v.pool.add(EvidenceCRL, casefiles.DER(t, folder, "crls", name))
	}
	s := &signerCheck{verification: v, certificate: path[len(path)-1]}
	for _, r := range s.moment(at).reasons {
		if r.Code != PurposeWrong && r.Code != PurposeUnclear { // what it is for is no matter of paths
			reasons = append(reasons, r)
		}
	}
	return reasons, published
}
