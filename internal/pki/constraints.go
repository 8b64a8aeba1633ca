package pki

import (
	"bytes"
	"crypto/x509"
	"net/url"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

const (
	oidAlternativeNames = "2.5.29.17"
	oidNameConstraints  = "2.5.29.30"
	oidEmailAddress     = "1.2.840.113549.1.9.1"
)

// maxSubtrees bounds the constraints of one certificate, and its names.
const maxSubtrees = 256

// generalName is a GeneralName (RFC 5280, 4.2.1.6): the number of its form and
// its content.
type generalName struct {
	form    int
	content []byte
}

// The forms of names that are understood.
const (
	formEmail     = 1
	formDNS       = 2
	formDirectory = 4
	formURI       = 6
	formAddress   = 7
)

// constraints is a NameConstraints (RFC 5280, 4.2.1.10).
type constraints struct{ permitted, excluded []generalName }

// checkNames says how a path fails in what its authorities may certify: each name
// of a certificate must be within what all above it permit and exclude. The
// anchor's own constraints count too.
func checkNames(path []*x509.Certificate) (Problem, bool) {
	for above := len(path) - 1; above > 0; above-- {
		if !HasExtension(path[above], oidNameConstraints) {
			continue
		}
		c, ok := readConstraints(path[above])
		if !ok {
			return Problem{ExtensionUnknown, above, "its name constraints are not understood"}, true
		}
		for depth := above - 1; depth >= 0; depth-- {
			if depth > 0 && selfIssued(path[depth]) {
				continue // RFC 5280, 6.1.3, b
			}
			switch c.check(path[depth]) {
			case different:
				return Problem{ChainName, depth, "it has a name that an issuer above may not certify"}, true
			case unclear:
				return Problem{ExtensionUnknown, above, "whether its name constraints permit a name below is not understood"}, true
			}
		}
	}
	return Problem{}, false
}

// check says whether the names of a certificate are within the constraints: equal
// if all are, different if one is not.
func (c constraints) check(certificate *x509.Certificate) likeness {
	names, ok := namesOf(certificate)
	if !ok {
		return unclear
	}
	result := equal
	for _, name := range names {
		constrained, best := false, different
		for _, subtree := range c.permitted {
			if subtree.form == name.form {
				constrained, best = true, max(best, name.within(subtree))
			}
		}
		if constrained {
			result = min(result, best)
		}
		for _, subtree := range c.excluded {
			if subtree.form == name.form {
				result = min(result, equal-name.within(subtree))
			}
		}
	}
	return result
}

func readConstraints(certificate *x509.Certificate) (c constraints, ok bool) {
	s := cryptobyte.String(extension(certificate, oidNameConstraints))
	var body, permitted, excluded cryptobyte.String
	var one, two bool
	if !s.ReadASN1(&body, asn1.SEQUENCE) || !s.Empty() ||
		!body.ReadOptionalASN1(&permitted, &one, asn1.Tag(0).ContextSpecific().Constructed()) ||
		!body.ReadOptionalASN1(&excluded, &two, asn1.Tag(1).ContextSpecific().Constructed()) || !body.Empty() {
		return c, false
	}
	if c.permitted, ok = readSubtrees(permitted); !ok {
		return c, false
	}
	c.excluded, ok = readSubtrees(excluded)
	return c, ok
}

// readSubtrees reads GeneralSubtrees. Those with a minimum or a maximum, which RFC
// 5280 does without, are not understood.
func readSubtrees(s cryptobyte.String) (all []generalName, ok bool) {
	for !s.Empty() {
		var subtree cryptobyte.String
		var name generalName
		if len(all) == maxSubtrees || !s.ReadASN1(&subtree, asn1.SEQUENCE) ||
			!readGeneralName(&subtree, &name) || !subtree.Empty() {
			return nil, false
		}
		all = append(all, name)
	}
	return all, true
}

func readGeneralName(s *cryptobyte.String, name *generalName) bool {
	var content cryptobyte.String
	var tag asn1.Tag
	if !s.ReadAnyASN1(&content, &tag) || tag&0xc0 != 0x80 {
		return false
	}
	*name = generalName{int(tag & 0x1f), content}
	return true
}

func extension(certificate *x509.Certificate, oid string) []byte {
	for _, e := range certificate.Extensions {
		if isOID(e.Id, oid) {
			return e.Value
		}
	}
	return nil
}

// namesOf are all names of a certificate that constraints may be about. An
// address of electronic mail in the subject counts where there are no alternative
// names (RFC 5280, 4.2.1.10).
func namesOf(certificate *x509.Certificate) (names []generalName, ok bool) {
	subject, ok := readName(certificate.RawSubject)
	if !ok {
		return nil, false
	}
	if len(subject) > 0 {
		names = append(names, generalName{formDirectory, certificate.RawSubject})
	}
	if !HasExtension(certificate, oidAlternativeNames) {
		for _, part := range subject {
			for _, attribute := range part {
				kind, _, value, ok := readAttribute(attribute)
				if !ok {
					return nil, false
				}
				if kind == oidEmailAddress {
					names = append(names, generalName{formEmail, value})
				}
			}
		}
		return names, true
	}
	s := cryptobyte.String(extension(certificate, oidAlternativeNames))
	var list cryptobyte.String
	if !s.ReadASN1(&list, asn1.SEQUENCE) || !s.Empty() {
		return nil, false
	}
	for !list.Empty() {
		var name generalName
		if len(names) == maxSubtrees || !readGeneralName(&list, &name) {
			return nil, false
		}
		names = append(names, name)
	}
	return names, true
}

// within says whether a name lies in a subtree of the same form.
func (n generalName) within(subtree generalName) likeness {
	if !isASCII(string(n.content)+string(subtree.content)) && n.form != formDirectory && n.form != formAddress {
		return unclear
	}
	name, base := strings.ToLower(string(n.content)), strings.ToLower(string(subtree.content))
	switch n.form {
	case formDirectory:
		front, ok := readName(subtree.content)
		whole, good := readName(n.content)
		if !ok || !good {
			return unclear
		}
		return compareNames(front, whole)
	case formDNS:
		if !isHost(name) || base != "" && !isHost(base) {
			return unclear
		}
		return alike(base == "" || name == base || strings.HasSuffix(name, "."+base))
	case formEmail:
		return emailWithin(string(n.content), string(subtree.content))
	case formURI:
		return uriWithin(string(n.content), base)
	case formAddress:
		return addressWithin(n.content, subtree.content)
	}
	return unclear
}

func alike(same bool) likeness {
	if same {
		return equal
	}
	return different
}

// isHost says whether the text is a plain name of a host, in lower case.
func isHost(text string) bool {
	for label := range strings.SplitSeq(text, ".") {
		if label == "" || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}

// hostWithin compares a host with a constraint: that host, or with a dot in front
// whatever is below.
func hostWithin(host, base string) likeness {
	below, dotted := strings.CutPrefix(base, ".")
	if !isHost(host) || !isHost(below) {
		return unclear
	}
	if dotted {
		return alike(strings.HasSuffix(host, base))
	}
	return alike(host == base)
}

// emailWithin compares a mailbox with a constraint: a mailbox, a host, or a domain
// with a dot in front.
func emailWithin(name, base string) likeness {
	local, host, ok := cutLast(name)
	if !ok || strings.ContainsAny(local, "\"@ \\") {
		return unclear
	}
	host = strings.ToLower(host)
	wanted, at, whole := cutLast(base)
	if !whole {
		return hostWithin(host, strings.ToLower(base))
	}
	switch found := hostWithin(host, strings.ToLower(at)); {
	case found != equal || local == wanted:
		return found
	case strings.EqualFold(local, wanted):
		return unclear // whether capitals count is for that host to say
	}
	return different
}

func cutLast(address string) (local, host string, ok bool) {
	i := strings.LastIndexByte(address, '@')
	if i < 0 {
		return "", "", false
	}
	return address[:i], address[i+1:], true
}

// uriWithin compares the host of an address with a constraint. One without a
// host, or with an address of numbers for it, is not understood.
func uriWithin(name, base string) likeness {
	parsed, err := url.Parse(name)
	if err != nil {
		return unclear
	}
	host := strings.ToLower(parsed.Hostname())
	if strings.Trim(host, "0123456789.") == "" {
		return unclear
	}
	return hostWithin(host, base)
}

func addressWithin(name, subtree []byte) likeness {
	if (len(name) != 4 && len(name) != 16) || (len(subtree) != 8 && len(subtree) != 32) {
		return unclear
	}
	if len(subtree) != 2*len(name) {
		return different // addresses of another kind
	}
	base, mask := subtree[:len(name)], subtree[len(name):]
	masked := func(address []byte) []byte {
		out := make([]byte, len(address))
		for i := range address {
			out[i] = address[i] & mask[i]
		}
		return out
	}
	return alike(bytes.Equal(masked(name), masked(base)))
}
