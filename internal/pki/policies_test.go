package pki_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	stdasn1 "encoding/asn1"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dalel/internal/pki"
	"dalel/internal/testca"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// demands are the extensions about policies of one certificate.
type demands struct {
	policies []string
	mappings [][2]string
	// explicit, mapping and inhibit are the numbers of certificates, none if "".
	explicit, mapping, inhibit string
	critical                   bool
}

func (d demands) extensions() (all []pkix.Extension) {
	add := func(number int, value func(b *cryptobyte.Builder)) {
		var b cryptobyte.Builder
		value(&b)
		all = append(all, pkix.Extension{Id: stdasn1.ObjectIdentifier{2, 5, 29, number}, Critical: d.critical, Value: b.BytesOrPanic()})
	}
	number := func(text string) []byte { return []byte{text[0] - '0'} }
	if len(d.policies) > 0 {
		add(32, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				for _, p := range d.policies {
					b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { pki.AddOID(b, p) })
				}
			})
		})
	}
	if len(d.mappings) > 0 {
		add(33, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				for _, m := range d.mappings {
					b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
						pki.AddOID(b, m[0])
						pki.AddOID(b, m[1])
					})
				}
			})
		})
	}
	if d.explicit+d.mapping != "" {
		add(36, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				for i, text := range []string{d.explicit, d.mapping} {
					if text != "" {
						b.AddASN1(asn1.Tag(i).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(number(text)) })
					}
				}
			})
		})
	}
	if d.inhibit != "" {
		add(54, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.INTEGER, func(b *cryptobyte.Builder) { b.AddBytes(number(d.inhibit)) })
		})
	}
	return all
}

// What an authority demands of policies counts whether it is marked critical or
// not (RFC 5280, 6.1), and openssl says the same.
func TestR_C4_WhatAnAuthorityDemandsOfPoliciesCounts(t *testing.T) {
	const one, two, three, every = "1.2.3.1", "1.2.3.2", "1.2.3.3", "2.5.29.32.0"
	for name, c := range map[string]struct {
		upper, lower, leaf demands
		good               bool
	}{
		"nobody demands anything":                  {good: true},
		"policies alone demand nothing":            {upper: demands{policies: []string{one}}, leaf: demands{policies: []string{two}}, good: true},
		"demanded at once, and there is none":      {upper: demands{policies: []string{one}, explicit: "0"}},
		"demanded at once, and there is another":   {upper: demands{policies: []string{one}, explicit: "0"}, lower: demands{policies: []string{two}}, leaf: demands{policies: []string{two}}},
		"demanded at once, and it is there":        {upper: demands{policies: []string{one}, explicit: "0"}, lower: demands{policies: []string{one}}, leaf: demands{policies: []string{one}}, good: true},
		"the leaf has another besides":             {upper: demands{policies: []string{one}, explicit: "0"}, lower: demands{policies: []string{one, two}}, leaf: demands{policies: []string{two, one}}, good: true},
		"demanded below the leaf alone":            {upper: demands{policies: []string{one}, explicit: "3"}, good: true},
		"demanded of the leaf":                     {upper: demands{policies: []string{one}, explicit: "1"}, lower: demands{policies: []string{one}}},
		"the leaf demands it of itself":            {leaf: demands{explicit: "0"}},
		"any is given":                             {upper: demands{policies: []string{every}, explicit: "0"}, lower: demands{policies: []string{every}}, leaf: demands{policies: []string{three}}, good: true},
		"any is given, and no more to count":       {upper: demands{policies: []string{one}, explicit: "0", inhibit: "0"}, lower: demands{policies: []string{every}}, leaf: demands{policies: []string{one}}},
		"any counts in one more":                   {upper: demands{policies: []string{one}, explicit: "0", inhibit: "1"}, lower: demands{policies: []string{every}}, leaf: demands{policies: []string{one}}, good: true},
		"another name for it":                      {upper: demands{policies: []string{one}, explicit: "0", mappings: [][2]string{{one, two}}}, lower: demands{policies: []string{two}}, leaf: demands{policies: []string{two}}, good: true},
		"another name, and the old one is used":    {upper: demands{policies: []string{one}, explicit: "0", mappings: [][2]string{{one, two}}}, lower: demands{policies: []string{one}}, leaf: demands{policies: []string{one}}},
		"another name where none may be":           {upper: demands{policies: []string{one}, explicit: "0", mapping: "0"}, lower: demands{policies: []string{one}, mappings: [][2]string{{one, two}}}, leaf: demands{policies: []string{two}}},
		"a name of what is only there by any":      {upper: demands{policies: []string{every}, explicit: "0", mappings: [][2]string{{one, two}}}, lower: demands{policies: []string{two}}, leaf: demands{policies: []string{two}}, good: true},
		"a name for any, though nothing is wanted": {upper: demands{policies: []string{every}, mappings: [][2]string{{every, two}}}, leaf: demands{policies: []string{two}}},
	} {
		for _, critical := range []bool{false, true} {
			t.Run(name+map[bool]string{true: ", critical"}[critical], func(t *testing.T) {
				c.upper.critical, c.lower.critical, c.leaf.critical = critical, critical, critical
				root, err := testca.NewRoot(testca.CA{Name: "Root"})
				require.NoError(t, err)
				upper, err := root.NewIntermediate(testca.CA{Name: "Upper", Extra: c.upper.extensions()})
				require.NoError(t, err)
				lower, err := upper.NewIntermediate(testca.CA{Name: "Lower", Extra: c.lower.extensions()})
				require.NoError(t, err)
				who, err := lower.Issue(testca.Leaf{Extra: c.leaf.extensions()})
				require.NoError(t, err)
				path := pki.Builder{Roots: []*x509.Certificate{root.Certificate}, Offered: []*x509.Certificate{upper.Certificate, lower.Certificate},
					Algorithms: pki.Standard(), At: time.Now()}.Build(who.Certificate)
				require.True(t, path.Anchored)
				if c.good {
					require.Empty(t, path.Problems)
				} else {
					require.Len(t, path.Problems, 1)
					require.Equal(t, pki.ChainPolicy, path.Problems[0].Code)
					require.False(t, path.Problems[0].Undecided())
				}
				if strings.HasPrefix(name, "a name for any") {
					return // openssl looks at mappings only where a policy is demanded
				}
				require.Equal(t, c.good, opensslTakes(t, root, upper, lower, who), "openssl says otherwise")
			})
		}
	}
}

// opensslTakes says whether openssl finds the last certificate good below the
// first. It skips the test where there is no openssl.
func opensslTakes(t *testing.T, path ...*testca.Identity) bool {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("there is no openssl")
	}
	folder := t.TempDir()
	write := func(name string, identities ...*testca.Identity) string {
		var data []byte
		for _, i := range identities {
			data = append(data, i.CertificatePEM()...)
		}
		file := filepath.Join(folder, name)
		require.NoError(t, os.WriteFile(file, data, 0o600))
		return file
	}
	last := len(path) - 1
	err := exec.CommandContext(t.Context(), "openssl", "verify", "-policy_check", "-policy", "2.5.29.32.0", "-CAfile", write("root.pem", path[0]),
		"-untrusted", write("between.pem", path[1:last]...), write("leaf.pem", path[last])).Run()
	return err == nil
}
