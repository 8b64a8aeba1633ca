package xmldsig

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
)

// method is a canonicalization.
type method struct {
	algorithm string
	// prefixes is the PrefixList of an exclusive one.
	prefixes string
}

// methodOf reads a CanonicalizationMethod or a Transform. The error wraps
// [ErrUnsupported].
func methodOf(e *etree.Element) (method, error) {
	m := method{algorithm: attributeValue(e, "Algorithm")}
	if _, err := m.canonicalizer(); err != nil {
		return method{}, err
	}
	for _, parameter := range children(e) {
		if !m.exclusive() || !is(parameter, nsExclusive, "InclusiveNamespaces") || m.prefixes != "" {
			return method{}, fmt.Errorf("%w: parameters of %.128q", ErrUnsupported, m.algorithm)
		}
		m.prefixes = attributeValue(parameter, "PrefixList")
		if slices.Contains(strings.Fields(m.prefixes), "#default") {
			return method{}, fmt.Errorf("%w: #default in a PrefixList", ErrUnsupported)
		}
	}
	return m, nil
}

func (m method) exclusive() bool {
	return m.algorithm == URIExclusive || m.algorithm == URIExclusiveWithComments
}

func (m method) canonicalizer() (dsig.Canonicalizer, error) {
	switch m.algorithm {
	case URIC14N10:
		return dsig.MakeC14N10RecCanonicalizer(), nil
	case URIC14N10WithComments:
		return dsig.MakeC14N10WithCommentsCanonicalizer(), nil
	case URIC14N11:
		return dsig.MakeC14N11Canonicalizer(), nil
	case URIC14N11WithComments:
		return dsig.MakeC14N11WithCommentsCanonicalizer(), nil
	case URIExclusive:
		return dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList(m.prefixes), nil
	case URIExclusiveWithComments:
		return dsig.MakeC14N10ExclusiveWithCommentsCanonicalizerWithPrefixList(m.prefixes), nil
	}
	return nil, fmt.Errorf("%w: %.128q", ErrUnsupported, m.algorithm)
}

// canonicalize returns the canonical form of an element of the document, with all
// that is in it.
func (m method) canonicalize(e *etree.Element) ([]byte, error) {
	c := cutter{}
	return m.alone(c.cut(e, 1), e)
}

// alone canonicalizes a copy of e that has no parent. It changes the copy.
func (m method) alone(copied, e *etree.Element) ([]byte, error) {
	canonicalizer, err := m.canonicalizer()
	if err != nil {
		return nil, err
	}
	if err := m.inherit(copied, e); err != nil {
		return nil, err
	}
	repair := toRepair(copied)
	canonical, err := canonicalizer.Canonicalize(copied)
	if err != nil {
		return nil, fmt.Errorf("%w: canonicalize: %w", ErrUnsupported, err)
	}
	if !repair {
		return canonical, nil
	}
	return repaired(canonical)
}

// inherit writes onto the copy what e has from its ancestors: the namespaces, and
// the attributes of the namespace xml (C14N 1.0, 2.4; C14N 1.1, 2.4: of these
// only lang and space; exclusive: none).
//
// The canonicalizers do the former for elements that have a parent, and overwrite
// with it what the element declares by itself; so they get none that has.
func (m method) inherit(copied, e *etree.Element) error {
	own := map[string]bool{}
	for _, a := range copied.Attr {
		own[a.FullKey()] = true
	}
	add := func(a etree.Attr) {
		if !own[a.FullKey()] {
			own[a.FullKey()] = true
			copied.Attr = append(copied.Attr, etree.Attr{Space: a.Space, Key: a.Key, Value: a.Value})
		}
	}
	for at := e.Parent(); at != nil; at = at.Parent() {
		for _, a := range at.Attr {
			_, isNamespace := declares(a)
			switch {
			case isNamespace:
				add(a)
			case a.Space != "xml" || m.exclusive():
			case m.algorithm == URIC14N10 || m.algorithm == URIC14N10WithComments:
				add(a)
			case a.Key == "lang" || a.Key == "space":
				add(a)
			case a.Key == "base":
				return fmt.Errorf("%w: xml:base above what is canonicalized by C14N 1.1", ErrUnsupported)
			}
		}
	}
	// With nothing above, there is no default namespace to be undone.
	copied.Attr = slices.DeleteFunc(copied.Attr, func(a etree.Attr) bool {
		return a.Space == "" && a.Key == "xmlns" && a.Value == ""
	})
	return nil
}

// cutter copies elements and leaves something out.
type cutter struct {
	without      []*etree.Element
	dropComments bool
	// perElement is added to steps for each element.
	perElement int

	steps    int
	comments bool // there was one
}

func (c *cutter) cut(e *etree.Element, depth int) *etree.Element {
	c.steps += c.perElement + depth*(1+len(e.Attr)+len(e.Child))
	copied := &etree.Element{Space: e.Space, Tag: e.Tag}
	for _, a := range e.Attr {
		copied.Attr = append(copied.Attr, etree.Attr{Space: a.Space, Key: a.Key, Value: a.Value})
	}
	for _, token := range e.Child {
		switch t := token.(type) {
		case *etree.Element:
			if !slices.Contains(c.without, t) {
				copied.AddChild(c.cut(t, depth+1))
			}
		case *etree.CharData:
			copied.AddChild(etree.NewText(t.Data))
		case *etree.Comment:
			if c.comments = true; !c.dropComments {
				copied.AddChild(etree.NewComment(t.Data))
			}
		case *etree.ProcInst:
			copied.AddChild(etree.NewProcInst(t.Target, t.Inst))
		}
	}
	return copied
}

// toRepair says whether the canonicalizers may get e wrong: they order attributes
// by their local names where prefixes differ (C14N 1.0, 2.2: by namespace first),
// and the exclusive one writes xmlns="" even where nothing above has a default
// namespace in the output (exclusive C14N, 3).
func toRepair(e *etree.Element) bool {
	prefix := ""
	for _, a := range e.Attr {
		declared, ok := declares(a)
		switch {
		case ok && declared == "" && a.Value == "":
			return true
		case ok || a.Space == "":
		case prefix == "":
			prefix = a.Space
		case prefix != a.Space:
			return true
		}
	}
	return slices.ContainsFunc(children(e), toRepair)
}

// repaired puts these two right in a canonical form.
func repaired(canonical []byte) ([]byte, error) {
	tree := etree.NewDocument()
	tree.ReadSettings = readSettings()
	if err := tree.ReadFromBytes(canonical); err != nil || tree.Root() == nil {
		return nil, fmt.Errorf("%w: read a canonical form: %w", ErrUnsupported, err)
	}
	repair(tree.Root(), scope{"xml": nsXML})
	tree.WriteSettings = writeSettings()
	text, err := tree.WriteToBytes()
	if err != nil {
		return nil, fmt.Errorf("%w: write a canonical form: %w", ErrUnsupported, err)
	}
	return text, nil
}

func writeSettings() etree.WriteSettings {
	return etree.WriteSettings{CanonicalAttrVal: true, CanonicalEndTags: true, CanonicalText: true}
}

func repair(e *etree.Element, outer scope) {
	here := make(scope, len(outer)+1)
	for prefix, uri := range outer {
		here[prefix] = uri
	}
	e.Attr = slices.DeleteFunc(e.Attr, func(a etree.Attr) bool {
		prefix, ok := declares(a)
		if ok {
			here[prefix] = a.Value
		}
		return ok && prefix == "" && a.Value == "" && outer[""] == ""
	})
	// (kind, namespace, local name): the default namespace, namespaces by prefix,
	// attributes by namespace and name.
	key := func(a etree.Attr) [3]string {
		prefix, ok := declares(a)
		switch {
		case ok:
			return [3]string{"0", prefix}
		case a.Space == "":
			return [3]string{"1", "", a.Key}
		}
		return [3]string{"1", here[a.Space], a.Key}
	}
	slices.SortStableFunc(e.Attr, func(a, b etree.Attr) int {
		left, right := key(a), key(b)
		return slices.Compare(left[:], right[:])
	})
	for _, child := range children(e) {
		repair(child, here)
	}
}

// framed adds the processing instructions around the root (C14N 1.0, 2.1).
func (d *Document) framed(root []byte) []byte {
	if len(d.before)+len(d.after) == 0 {
		return root
	}
	var b bytes.Buffer
	settings := writeSettings()
	for _, p := range d.before {
		p.WriteTo(&b, &settings)
		b.WriteByte('\n')
	}
	b.Write(root)
	for _, p := range d.after {
		b.WriteByte('\n')
		p.WriteTo(&b, &settings)
	}
	return b.Bytes()
}
