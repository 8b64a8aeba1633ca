package renewal

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"dalel/domain/checkpoint"
	"dalel/internal/crl"
	"dalel/internal/fault"
	"dalel/internal/ocsp"
	"dalel/internal/pki"
	"dalel/internal/tsp"
)

// Algorithm names a digest ("SHA256") or a kind of key with its bits
// ("RSA-2048", "ECDSA-256", "ED25519"). One that has no name here is named by
// its OID.
type Algorithm string

// family and bits take a name apart; bits is 0 where there are none.
func (a Algorithm) split() (family string, bits int) {
	name, digits, found := strings.Cut(string(a), "-")
	if n, err := strconv.Atoi(digits); found && err == nil {
		return name, n
	}
	return string(a), 0
}

// Aged says that an algorithm proves nothing from a day on.
type Aged struct {
	// Algorithm is a digest, or a kind of key without bits.
	Algorithm string `json:"algorithm"`
	// Below bounds it to keys of fewer bits; 0 means all.
	Below int `json:"below,omitempty"`
	// From is the first day, in UTC.
	From time.Time `json:"from"`
	// Why is for people, and names the source.
	Why string `json:"why,omitempty"`
}

// Table is a list of aged algorithms. The zero value has none.
type Table []Aged

// Published returns what is published of algorithms that are known here, as
// data: a ledger's operator and whoever verifies add to it with [Table.With].
//
// It holds what standards in force say. Drafts are left out (NIST IR 8547 would
// end all RSA and elliptic curves in 2035), and so are the national GOST
// algorithms, for whose end there is no date.
func Published() Table {
	day := func(year int, month time.Month, day int) time.Time {
		return time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
	}
	return Table{
		{"MD5", 0, day(2011, 3, 1), "collisions are made at will (RFC 6151)"},
		{"SHA1", 0, day(2014, 1, 1), "no longer allowed for signatures (NIST SP 800-131A); a collision was shown in 2017"},
		{"RSA", 2048, day(2014, 1, 1), "less than 112 bits of security (NIST SP 800-131A)"},
		{"RSA", 3072, day(2031, 1, 1), "112 bits of security, which are acceptable through 2030 (NIST SP 800-57 part 1 rev. 5, table 4)"},
		{"ECDSA", 224, day(2014, 1, 1), "less than 112 bits of security (NIST SP 800-131A)"},
		{"ECDSA", 256, day(2031, 1, 1), "112 bits of security, which are acceptable through 2030 (NIST SP 800-57 part 1 rev. 5, table 4)"},
	}
}

// With returns the table with further rows.
func (t Table) With(further ...Aged) Table { return slices.Concat(t, further) }

// ParseTable reads rows from JSON: an array of [Aged]. The error is
// config.invalid.
func ParseTable(text []byte) (Table, error) {
	var rows []struct {
		Algorithm string `json:"algorithm"`
		Below     int    `json:"below"`
		From      string `json:"from"`
		Why       string `json:"why"`
	}
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&rows); err != nil {
		return nil, fault.Wrap(fault.ConfigInvalid, err, "the list of aged algorithms")
	}
	var table Table
	for _, row := range rows {
		from, err := time.Parse(time.DateOnly, row.From)
		if err != nil {
			from, err = time.Parse(time.RFC3339, row.From)
		}
		if err != nil || row.Algorithm == "" || row.Below < 0 {
			return nil, fault.New(fault.ConfigInvalid, "an aged algorithm is {\"algorithm\": \"RSA\", \"below\": 3072, \"from\": \"2031-01-01\"}")
		}
		table = append(table, Aged{row.Algorithm, row.Below, from.UTC(), row.Why})
	}
	return table, nil
}

// Of returns since when an algorithm proves nothing: the earliest row that is
// about it. ok is false where there is none.
func (t Table) Of(algorithm Algorithm) (row Aged, ok bool) {
	family, bits := algorithm.split()
	for _, aged := range t {
		about := strings.EqualFold(aged.Algorithm, family) && (aged.Below == 0 || bits > 0 && bits < aged.Below) ||
			strings.EqualFold(aged.Algorithm, string(algorithm))
		if about && (!ok || aged.From.Before(row.From)) {
			row, ok = aged, true
		}
	}
	return row, ok
}

// At returns the algorithm of a list that is aged at a moment.
func (t Table) At(algorithms []Algorithm, moment time.Time) (which Algorithm, row Aged, aged bool) {
	for _, a := range algorithms {
		if row, ok := t.Of(a); ok && !moment.Before(row.From) {
			return a, row, true
		}
	}
	return "", Aged{}, false
}

// First returns when the first algorithm of a list is aged.
func (t Table) First(algorithms []Algorithm) (which Algorithm, row Aged, ok bool) {
	for _, a := range algorithms {
		if found, is := t.Of(a); is && (!ok || found.From.Before(row.From)) {
			which, row, ok = a, found, true
		}
	}
	return which, row, ok
}

// namer names algorithms, each once, in the order of their names.
type namer struct {
	known *pki.Algorithms
	list  []Algorithm
}

func (n *namer) add(name Algorithm) {
	if !slices.Contains(n.list, name) {
		n.list = append(n.list, name)
		slices.Sort(n.list)
	}
}

func (n *namer) digest(oid string) {
	// The weak ones are known by name alone.
	for weak, name := range map[string]Algorithm{pki.OIDSHA1: "SHA1", pki.OIDMD5: "MD5"} {
		if oid == weak {
			n.add(name)
			return
		}
	}
	known, err := n.known.Digest(pki.Identifier{OID: oid})
	if err != nil {
		n.add(Algorithm(oid))
		return
	}
	n.add(Algorithm(known.Name))
}

// identifier adds a digest, or the digest that a signature is bound to.
func (n *namer) identifier(i pki.Identifier) {
	switch i.OID {
	case pki.OIDSHA1WithRSA, pki.OIDECDSAWithSHA1:
		n.digest(pki.OIDSHA1)
		return
	case pki.OIDMD5WithRSA:
		n.digest(pki.OIDMD5)
		return
	}
	scheme, err := n.known.Scheme(i)
	switch {
	case err != nil:
		n.digest(i.OID)
	case scheme.Digest != "":
		n.digest(scheme.Digest)
	}
}

func (n *namer) key(certificate *x509.Certificate) {
	switch key := certificate.PublicKey.(type) {
	case *rsa.PublicKey:
		n.add(Algorithm(fmt.Sprintf("RSA-%d", key.N.BitLen())))
	case *ecdsa.PublicKey:
		n.add(Algorithm(fmt.Sprintf("ECDSA-%d", key.Params().BitSize)))
	case ed25519.PublicKey:
		n.add("ED25519")
	default:
		if key, err := pki.ReadPublicKey(certificate.RawSubjectPublicKeyInfo); err == nil {
			n.add(Algorithm(key.Algorithm.OID))
		}
	}
}

// path adds what a path rests on: all keys, and the signatures but that of the
// root on itself.
func (n *namer) path(path []*x509.Certificate) {
	for i, certificate := range path {
		n.key(certificate)
		if i == len(path)-1 {
			continue
		}
		if algorithm, err := pki.SignatureAlgorithm(certificate); err == nil {
			n.identifier(algorithm)
		}
	}
}

// ofToken lists what a token and its path rest on. The digest by which a token
// names its certificate is none of it: a match adds nothing to the signature.
func ofToken(known *pki.Algorithms, token *tsp.Token, path []*x509.Certificate) []Algorithm {
	n := namer{known: known}
	for _, identifier := range token.Algorithms() {
		n.identifier(identifier)
	}
	n.path(path)
	return n.list
}

// ofEvidence lists what pieces rest on, besides the path that they are about,
// and the nearest end among the certificates that they bring.
func ofEvidence(known *pki.Algorithms, pieces []checkpoint.Evidence) (list []Algorithm, until time.Time) {
	n := namer{known: known}
	for _, piece := range pieces {
		switch piece.Kind {
		case checkpoint.PieceOCSP:
			response, err := ocsp.Parse(piece.DER)
			if err != nil || response.Basic == nil {
				continue
			}
			n.identifier(response.Basic.Algorithm())
			for _, der := range response.Basic.Certificates {
				if certificate, err := pki.ParseCertificate(der); err == nil {
					n.path([]*x509.Certificate{certificate, certificate})
					until = earlier(until, certificate.NotAfter)
				}
			}
		case checkpoint.PieceCRL:
			if list, err := crl.Parse(piece.DER); err == nil {
				n.identifier(list.Algorithm())
			}
		}
	}
	return n.list, until
}

// earlier is the earlier moment, of which zero is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
