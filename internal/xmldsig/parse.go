package xmldsig

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/beevik/etree"
)

// What keeps a document from being read.
var (
	// ErrMalformed means that the bytes are not a well-formed document, or that
	// a signature in it is not one.
	ErrMalformed = errors.New("not a well-formed XML document with signatures")
	// ErrTooLarge means that a bound was passed.
	ErrTooLarge = errors.New("the XML document is larger than is read here")
	// ErrUnsupported means that something is not known here: it cannot be told.
	ErrUnsupported = errors.New("the XML document uses what is not supported")
)

// Bounds of a document.
const (
	MaxSize         = 64 << 20
	MaxNodes        = 1 << 18 // elements, attributes, texts, comments
	MaxDepth        = 128
	MaxAttributes   = 128 // of an element
	MaxNamespaces   = 128 // declared at one place
	MaxSignatures   = 64
	MaxReferences   = 64 // of a signature
	MaxCertificates = 64 // of a signature, in each place that has some

	// maxSteps bounds what canonicalizing once costs: it copies every node once
	// for each level above it, and the namespaces once for each element.
	maxSteps = 1 << 23
)

// Document is a parsed document. It is not changed any more, so it may be used
// from many goroutines at once.
type Document struct {
	root *etree.Element
	size int // in bytes
	// before and after are the processing instructions around the root.
	before, after []*etree.ProcInst
	comments      bool // around the root
	namespaces    int  // declared at one place, at most
	ids           map[string]identified
	signatures    []Signature
}

// identified is who has an Id.
type identified struct {
	element *etree.Element
	count   int
}

// Parse reads a document. The error wraps [ErrMalformed], [ErrTooLarge] or
// [ErrUnsupported]: the last when others may read it and only this reader stops, as
// it does at a document type, at XML 1.1 and at encodings other than UTF-8. A
// document without any signature is none of these.
func Parse(data []byte) (*Document, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(data), MaxSize)
	}
	text, err := prepare(data)
	if err != nil {
		return nil, err
	}
	tree := etree.NewDocument()
	tree.ReadSettings = readSettings()
	if err := tree.ReadFromBytes(text); err != nil {
		if errors.Is(err, etree.ErrMaxDepth) {
			return nil, fmt.Errorf("%w: more than %d levels", ErrTooLarge, MaxDepth)
		}
		return nil, malformed("%v", err)
	}
	d := &Document{size: len(data), ids: map[string]identified{}}
	if err := d.readTop(tree); err != nil {
		return nil, err
	}
	w := walk{document: d}
	if err := w.element(d.root, scope{"xml": nsXML}, 1, false); err != nil {
		return nil, err
	}
	for i, element := range w.signatures {
		s, err := d.readSignature(element, i)
		if err != nil {
			return nil, fmt.Errorf("signature %d: %w", i+1, err)
		}
		d.signatures = append(d.signatures, s)
	}
	return d, nil
}

// Signatures returns the signatures in document order: every ds:Signature element
// that is not within another one. Their slices must not be changed.
func (d *Document) Signatures() []Signature {
	return append([]Signature(nil), d.signatures...)
}

func readSettings() etree.ReadSettings {
	return etree.ReadSettings{MaxDepth: MaxDepth, PreserveDuplicateAttrs: true}
}

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}

// declaration is XMLDecl (XML 1.0, production 23), with the version and the
// encoding taken out.
var declaration = regexp.MustCompile(`^<\?xml[ \t\n]+version[ \t\n]*=[ \t\n]*(?:"(1\.[0-9]+)"|'(1\.[0-9]+)')` +
	`(?:[ \t\n]+encoding[ \t\n]*=[ \t\n]*(?:"([A-Za-z][A-Za-z0-9._-]*)"|'([A-Za-z][A-Za-z0-9._-]*)'))?` +
	`(?:[ \t\n]+standalone[ \t\n]*=[ \t\n]*(?:"(?:yes|no)"|'(?:yes|no)'))?[ \t\n]*\?>`)

// prepare does what has to be done to the characters before they are parsed, and
// refuses what must not get to the parser at all. It returns its own bytes.
func prepare(data []byte) ([]byte, error) {
	if bytes.HasPrefix(data, []byte{0xfe, 0xff}) || bytes.HasPrefix(data, []byte{0xff, 0xfe}) ||
		bytes.HasPrefix(data, []byte{0, '<'}) || bytes.HasPrefix(data, []byte{'<', 0}) {
		return nil, fmt.Errorf("%w: it is in UTF-16, and only UTF-8 is read", ErrUnsupported)
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	// Only the declaration can say that what looks broken is another encoding,
	// so it is read first; it is ASCII in all that share its shape.
	head := lineEnds(data[:min(len(data), 1024)])
	declared := 0
	if match := declaration.FindSubmatch(head); match != nil {
		if version := string(match[1]) + string(match[2]); version != "1.0" {
			return nil, fmt.Errorf("%w: it is XML %s, and only 1.0 is read", ErrUnsupported, version)
		}
		encoding := string(match[3]) + string(match[4])
		switch strings.ToLower(encoding) {
		case "", "utf-8":
		case "utf8": // no registered name, and in use
			declared = len(match[0])
		default:
			return nil, fmt.Errorf("%w: it is in %.64s, and only UTF-8 is read", ErrUnsupported, encoding)
		}
	} else if rest, ok := bytes.CutPrefix(head, []byte("<?xml")); ok && (len(rest) == 0 || bytes.IndexByte([]byte(" \t\n?"), rest[0]) >= 0) {
		return nil, malformed("the XML declaration cannot be read")
	}
	for rest := data; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		if r == utf8.RuneError && size == 1 || !isChar(r) {
			return nil, malformed("byte %d is not a character of XML in UTF-8", len(data)-len(rest))
		}
		rest = rest[size:]
	}
	text := lineEnds(data)
	if declared > 0 {
		// The decoder knows the encoding by its right name alone. No declaration is in
		// any canonical form.
		text = append([]byte(`<?xml version="1.0"?>`), text[declared:]...)
	}
	return text, scan(text)
}

// isChar is Char (XML 1.0, production 2).
func isChar(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' || r >= 0x20 && r <= 0xd7ff ||
		r >= 0xe000 && r <= 0xfffd || r >= 0x10000 && r <= 0x10ffff
}

// lineEnds is XML 1.0, 2.11. It always copies.
func lineEnds(data []byte) []byte {
	text := make([]byte, 0, len(data))
	for i, c := range data {
		switch {
		case c != '\r':
			text = append(text, c)
		case i+1 == len(data) || data[i+1] != '\n':
			text = append(text, '\n')
		}
	}
	return text
}

// scan goes over the markup once: it turns white space within attributes into
// spaces (XML 1.0, 3.3.3), in place, and refuses declarations, references to
// characters that there are not, and too many nodes.
func scan(text []byte) error {
	nodes, inText, began := 0, false, false
	skip := func(i int, end string) (int, error) {
		n := bytes.Index(text[i:], []byte(end))
		if n < 0 {
			return 0, malformed("%q is missing", end)
		}
		return i + n + len(end), nil
	}
	for i := 0; i < len(text); {
		if nodes > MaxNodes {
			return fmt.Errorf("%w: more than %d nodes", ErrTooLarge, MaxNodes)
		}
		var err error
		rest := text[i:]
		if rest[0] == '<' {
			inText = false
		} else if !inText {
			inText = true
			nodes++
		}
		switch {
		case rest[0] == '&':
			if err := checkReference(rest); err != nil {
				return err
			}
			i++
		case rest[0] != '<':
			n := bytes.IndexAny(rest, "<&")
			if n < 0 {
				n = len(rest)
			}
			i += n
		case bytes.HasPrefix(rest, []byte("<!--")):
			i, err = skip(i+4, "-->")
			nodes++
		case bytes.HasPrefix(rest, []byte("<![CDATA[")):
			i, err = skip(i+9, "]]>")
			nodes++
		case bytes.HasPrefix(rest, []byte("<!DOCTYPE")) && !began:
			// What it declares is not read, and might change all that follows.
			return fmt.Errorf("%w: document types and their entities are not read", ErrUnsupported)
		case bytes.HasPrefix(rest, []byte("<!")):
			return malformed("document types and entities are not read")
		case bytes.HasPrefix(rest, []byte("<?")):
			i, err = skip(i+2, "?>")
			nodes++
		default:
			began = true
			var attributes int
			i, attributes, err = scanTag(text, i)
			nodes += 1 + attributes
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// scanTag scans the tag at text[i] and returns where it ends and how many
// attributes it has.
func scanTag(text []byte, i int) (end, attributes int, err error) {
	for i++; i < len(text); i++ {
		switch c := text[i]; c {
		case '>':
			return i + 1, attributes, nil
		case '"', '\'':
			attributes++
			for i++; i < len(text) && text[i] != c; i++ {
				switch text[i] {
				case '\t', '\n':
					text[i] = ' '
				case '&':
					if err := checkReference(text[i:]); err != nil {
						return 0, 0, err
					}
				}
			}
		}
	}
	return 0, 0, malformed("a tag does not end")
}

// checkReference refuses references to surrogates and the like: the decoder takes
// some of them for U+FFFD.
func checkReference(text []byte) error {
	if !bytes.HasPrefix(text, []byte("&#")) {
		return nil // the decoder knows the five names, and no other
	}
	end := bytes.IndexByte(text[:min(len(text), 16)], ';')
	if end < 0 {
		return malformed("a character reference does not end")
	}
	digits, base := string(text[2:end]), 10
	if hex, ok := strings.CutPrefix(digits, "x"); ok {
		digits, base = hex, 16
	}
	n, err := strconv.ParseUint(digits, base, 32)
	if err != nil || n > utf8.MaxRune || !isChar(rune(n)) {
		return malformed("&#%s; is not a character", digits)
	}
	return nil
}

// readTop takes the nodes around the root.
func (d *Document) readTop(tree *etree.Document) error {
	for i, token := range tree.Child {
		switch t := token.(type) {
		case *etree.Element:
			if d.root != nil {
				return malformed("more than one root element")
			}
			d.root = t
		case *etree.CharData:
			if strings.Trim(t.Data, " \t\n\r") != "" {
				return malformed("text outside of the root element")
			}
		case *etree.Comment:
			d.comments = true
		case *etree.ProcInst:
			if i == 0 && t.Target == "xml" {
				continue
			}
			if err := checkInstruction(t); err != nil {
				return err
			}
			if d.root == nil {
				d.before = append(d.before, t)
			} else {
				d.after = append(d.after, t)
			}
		default:
			return malformed("a declaration")
		}
	}
	if d.root == nil {
		return malformed("no root element")
	}
	// The root stands by itself from here on: whoever asks for its parent must
	// not get what holds it.
	tree.RemoveChild(d.root)
	return nil
}

func checkInstruction(p *etree.ProcInst) error {
	if strings.EqualFold(p.Target, "xml") || strings.Contains(p.Target, ":") {
		return malformed("a processing instruction named %.64q", p.Target)
	}
	return nil
}

// scope is the namespaces at one place, by prefix; "" is the default one.
type scope map[string]string

// walk checks the tree against Namespaces in XML 1.0 and collects what is needed
// later.
type walk struct {
	document   *Document
	signatures []*etree.Element
	steps      int
}

func (w *walk) element(e *etree.Element, outer scope, depth int, inSignature bool) error {
	if len(e.Attr) > MaxAttributes {
		return fmt.Errorf("%w: more than %d attributes of an element", ErrTooLarge, MaxAttributes)
	}
	here, err := declare(e, outer)
	if err != nil {
		return err
	}
	if len(here) > MaxNamespaces {
		return fmt.Errorf("%w: more than %d namespaces", ErrTooLarge, MaxNamespaces)
	}
	w.document.namespaces = max(w.document.namespaces, len(here))
	space, ok := here[e.Space]
	if !ok && e.Space != "" || e.Space == "xmlns" || badName(e.Tag) {
		return malformed("element %.64q has no namespace", e.FullTag())
	}
	if err := w.attributes(e, here); err != nil {
		return err
	}
	if w.steps += depth*(1+len(e.Attr)+len(e.Child)) + len(here); w.steps > maxSteps {
		return fmt.Errorf("%w: too many nodes too deep, or with too many namespaces", ErrTooLarge)
	}
	if space == nsDSig && e.Tag == "Signature" && !inSignature {
		if len(w.signatures) == MaxSignatures {
			return fmt.Errorf("%w: more than %d signatures", ErrTooLarge, MaxSignatures)
		}
		w.signatures = append(w.signatures, e)
		inSignature = true
	}
	for _, child := range e.Child {
		switch c := child.(type) {
		case *etree.Element:
			if err := w.element(c, here, depth+1, inSignature); err != nil {
				return err
			}
		case *etree.ProcInst:
			if err := checkInstruction(c); err != nil {
				return err
			}
		case *etree.CharData, *etree.Comment:
		default:
			return malformed("a declaration")
		}
	}
	return nil
}

// badName says that a name still has a colon in it.
func badName(local string) bool { return local == "" || strings.Contains(local, ":") }

// declare adds the namespaces that e declares. It takes declarations away that
// say nothing, which no canonical form has: of the prefix xml, and xmlns="" where
// there is no default namespace.
func declare(e *etree.Element, outer scope) (scope, error) {
	here, copied := outer, false
	kept := make([]etree.Attr, 0, len(e.Attr))
	for i, a := range e.Attr {
		prefix, ok := declares(a)
		if !ok {
			kept = append(kept, a)
			continue
		}
		// Here and not with the other attributes: some are taken away below.
		for _, other := range e.Attr[i+1:] {
			if other.Space == a.Space && other.Key == a.Key {
				return nil, malformed("the namespace prefix %.64q is declared twice", prefix)
			}
		}
		switch {
		case prefix == "xml" && a.Value == nsXML:
			continue
		case prefix == "xml", prefix == "xmlns", prefix != "" && a.Value == "", badName(a.Key),
			a.Value == nsXML, a.Value == nsXMLNS:
			return nil, malformed("a declaration of the namespace prefix %.64q", prefix)
		}
		if !copied {
			here, copied = make(scope, len(outer)+1), true
			for p, uri := range outer {
				here[p] = uri
			}
		}
		here[prefix] = a.Value
		if a.Value == "" {
			delete(here, prefix)
			if outer[""] == "" {
				continue
			}
		}
		kept = append(kept, a)
	}
	e.Attr = kept
	return here, nil
}

// declares returns the prefix that an attribute declares.
func declares(a etree.Attr) (prefix string, ok bool) {
	switch {
	case a.Space == "xmlns":
		return a.Key, true
	case a.Space == "" && a.Key == "xmlns":
		return "", true
	}
	return "", false
}

func (w *walk) attributes(e *etree.Element, here scope) error {
	type name struct{ space, local string }
	seen := make(map[name]bool, len(e.Attr))
	for _, a := range e.Attr {
		n := name{local: a.Key}
		if prefix, ok := declares(a); ok {
			n = name{nsXMLNS, prefix}
		} else if a.Space != "" {
			n.space, ok = here[a.Space]
			if !ok {
				return malformed("attribute %.64q has no namespace", a.FullKey())
			}
		}
		if badName(a.Key) || seen[n] {
			return malformed("attribute %.64q is there twice, or is none", a.FullKey())
		}
		seen[n] = true
		if isID(n.space, n.local) {
			who := w.document.ids[a.Value]
			if who.element == nil {
				who.element = e
			}
			who.count++
			w.document.ids[a.Value] = who
		}
	}
	return nil
}

// isID says that an attribute names its element for references. Without a schema
// nobody knows; these are the names in use, and all of them count, so that no
// other reader can take another element for what was signed.
func isID(space, local string) bool {
	switch space {
	case "":
		return local == "Id" || local == "ID" || local == "id"
	case nsXML:
		return local == "id"
	case nsSecurity:
		return local == "Id"
	}
	return false
}
