package pki

import "crypto/x509"

// anyPolicy stands for every policy (RFC 5280, 4.2.1.4).
const anyPolicy = "2.5.29.32.0"

// maxPolicies bounds the policies and the mappings of one certificate.
const maxPolicies = 128

// OIDs of the extensions about policies.
const (
	oidPolicies          = "2.5.29.32"
	oidPolicyMappings    = "2.5.29.33"
	oidPolicyConstraints = "2.5.29.36"
	oidInhibitAnyPolicy  = "2.5.29.54"
)

// policyNodes are the policies that are valid at one depth of a path, each with
// those that are expected of the certificate below: one level of the tree of RFC
// 5280, 6.1.2. Nodes of the same policy are one, as in the graph of RFC 9618, and
// levels above need not be remembered: whether the tree is empty shows in its
// deepest level.
type policyNodes map[string][]string

// policyState goes down a path (RFC 5280, 6.1). Any policy is acceptable here, so
// that all three numbers start out of reach: only what certificates demand of
// those below counts, whether they mark it critical or not.
type policyState struct {
	nodes                      policyNodes
	explicit, mapping, inhibit int
}

// checkPolicies says how a path fails in what its certificates demand of the
// policies of those below. The path ends with the anchor, which is trusted as it
// stands.
func checkPolicies(path []*x509.Certificate) (Problem, bool) {
	demanded := false
	for depth, c := range path[:len(path)-1] {
		if len(c.Policies) > maxPolicies || len(c.PolicyMappings) > maxPolicies {
			return Problem{ExtensionUnknown, depth, "more policies than are looked at"}, true
		}
		if c.RequireExplicitPolicy < 0 || c.InhibitPolicyMapping < 0 || c.InhibitAnyPolicy < 0 {
			return Problem{ExtensionUnknown, depth, "a constraint of policies cannot be read"}, true
		}
		for _, m := range c.PolicyMappings {
			if depth > 0 && (m.IssuerDomainPolicy.String() == anyPolicy || m.SubjectDomainPolicy.String() == anyPolicy) {
				return Problem{ChainPolicy, depth, "it maps the policy that stands for any"}, true
			}
		}
		demanded = demanded || c.RequireExplicitPolicy > 0 || c.RequireExplicitPolicyZero
	}
	if !demanded {
		return Problem{}, false // no policy is missed
	}
	below := len(path) - 1
	s := policyState{policyNodes{anyPolicy: {anyPolicy}}, below + 1, below + 1, below + 1}
	for depth := below - 1; depth >= 0; depth-- {
		s.enter(path[depth], depth == 0)
		if s.explicit == 0 && len(s.nodes) == 0 {
			return Problem{ChainPolicy, depth, "a policy is demanded, and it has none that leads up to the root"}, true
		}
		if depth > 0 {
			s.leave(path[depth])
		}
	}
	// RFC 5280, 6.1.5.
	if s.explicit > 0 {
		s.explicit--
	}
	if path[0].RequireExplicitPolicyZero {
		s.explicit = 0
	}
	if s.explicit == 0 && len(s.nodes) == 0 {
		return Problem{ChainPolicy, 0, "a policy is demanded, and it has none that leads up to the root"}, true
	}
	return Problem{}, false
}

// enter takes the policies of a certificate in (RFC 5280, 6.1.3, d to e).
func (s *policyState) enter(c *x509.Certificate, last bool) {
	expected := map[string]bool{}
	for _, policies := range s.nodes {
		for _, p := range policies {
			expected[p] = true
		}
	}
	_, fromAny := s.nodes[anyPolicy]
	next, hasAny := policyNodes{}, false
	for _, oid := range c.Policies {
		p := oid.String()
		if p == anyPolicy {
			hasAny = true
		} else if expected[p] || fromAny {
			next[p] = []string{p}
		}
	}
	if hasAny && (s.inhibit > 0 || !last && selfIssued(c)) {
		for p := range expected {
			next[p] = []string{p}
		}
	}
	s.nodes = next
}

// leave prepares for the certificate below (RFC 5280, 6.1.4, b and h to j).
func (s *policyState) leave(c *x509.Certificate) {
	mapped := policyNodes{}
	for _, m := range c.PolicyMappings {
		from := m.IssuerDomainPolicy.String()
		mapped[from] = append(mapped[from], m.SubjectDomainPolicy.String())
	}
	_, fromAny := s.nodes[anyPolicy]
	for from, to := range mapped {
		switch _, there := s.nodes[from]; {
		case s.mapping == 0:
			delete(s.nodes, from)
		case there || fromAny:
			s.nodes[from] = to
		}
	}
	if !selfIssued(c) {
		s.explicit, s.mapping, s.inhibit = max(s.explicit-1, 0), max(s.mapping-1, 0), max(s.inhibit-1, 0)
	}
	limit := func(value *int, to int, zero bool) {
		if (to > 0 || zero) && to < *value {
			*value = to
		}
	}
	limit(&s.explicit, c.RequireExplicitPolicy, c.RequireExplicitPolicyZero)
	limit(&s.mapping, c.InhibitPolicyMapping, c.InhibitPolicyMappingZero)
	limit(&s.inhibit, c.InhibitAnyPolicy, c.InhibitAnyPolicyZero)
}
