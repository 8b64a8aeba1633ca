package pki

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"testing"

	"github.com/stretchr/testify/require"
)

// Names that anybody wrote are compared the same from both sides, and constraints
// that anybody wrote are read or not understood.
func FuzzNamesAndConstraints(f *testing.F) {
	name := []byte{0x30, 13, 0x31, 11, 0x30, 9, 6, 3, 0x55, 4, 3, 0x0c, 2, 'C', 'A'}
	f.Add(name, name, []byte{0x30, 9, 0xa0, 7, 0x30, 5, 0x82, 3, 'a', '.', 'b'}, []byte{0x30, 5, 0x82, 3, 'a', '.', 'b'})
	f.Add(name, []byte{0x30, 0}, []byte{0x30, 0}, []byte{0x30, 6, 0x81, 4, 'i', '@', 'a', 'b'})
	f.Add(name, name, []byte{0x30, 13, 0xa1, 11, 0x30, 9, 0x86, 7, 'h', 't', 't', 'p', ':', '/', '/'}, []byte{0x30, 9, 0x86, 7, 'h', 't', 't', 'p', ':', '/', '/'})
	f.Fuzz(func(t *testing.T, a, b, constraints, alternatives []byte) {
		require.Equal(t, SameName(a, b), SameName(b, a))
		require.True(t, SameName(a, a))
		leaf := &x509.Certificate{RawSubject: a, RawIssuer: b, Extensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: alternatives}}}
		issuer := &x509.Certificate{RawSubject: b, RawIssuer: b, Extensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 30}, Value: constraints}}}
		problem, wrong := checkNames([]*x509.Certificate{leaf, issuer})
		again, still := checkNames([]*x509.Certificate{leaf, issuer})
		require.Equal(t, problem, again)
		require.Equal(t, wrong, still)
		if _, readable := readConstraints(issuer); !readable {
			require.True(t, wrong, "constraints that are not understood leave nothing good")
		}
	})
}
