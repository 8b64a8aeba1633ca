package fileformat

import (
	"encoding/xml"
	"io"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
)

// What can make an office file look different is found by reading its parts of
// XML one after another: what they draw in from elsewhere, what is embedded, and
// fields and formulas that give something else each time.

// officeLook is the most bytes of XML that are read beyond the parts that are
// read in any case. What comes after it is said not to have been looked into.
const officeLook = 32 << 20

// lookAtParts reads the parts of XML, but for those that were read before, and
// shows each token to see. Parts whose names end in .rels come first.
func (p *packaged) lookAtParts(file *source, before []string, see func(xml.Token)) error {
	left := uint64(officeLook)
	for _, relations := range []bool{true, false} {
		for _, entry := range p.archive.File {
			name := strings.ToLower(entry.Name)
			isRelations := strings.HasSuffix(name, ".rels")
			if isRelations != relations || !isRelations && !strings.HasSuffix(name, ".xml") || contains(before, name) {
				continue
			}
			if entry.UncompressedSize64 > left {
				file.note(CautionNotLookedInto)
				continue
			}
			left -= entry.UncompressedSize64
			err := p.read(name, io.Discard, see)
			switch {
			case file.failed != nil:
				return file.failed
			case err != nil:
				// Programs may read on where this does not.
				file.note(CautionNotLookedInto)
			}
		}
	}
	return nil
}

func contains(names []string, name string) bool {
	for _, n := range names {
		if strings.EqualFold(n, name) {
			return true
		}
	}
	return false
}

// ooxmlLook looks at the parts of an Office Open XML package.
type ooxmlLook struct {
	file *source
	// text is what a Word field or an Excel formula says so far; inside says
	// that it goes on.
	text   strings.Builder
	inside bool
}

// ooxmlText is the most that is kept of an instruction or formula: they have a
// few hundred characters, and Excel's at most 8,192.
const ooxmlText = 16 << 10

// ooxmlExtensions are those of the parts that office programs themselves make:
// markup, pictures, fonts, properties and signatures.
var ooxmlExtensions = []string{
	".xml", ".rels", ".vml", ".png", ".jpg", ".jpeg", ".jpe", ".gif", ".bmp", ".dib", ".tif", ".tiff", ".emf", ".wmf", ".wdp", ".svg", ".ico",
	".odttf", ".fntdata", ".psmdcp", ".sigs",
}

// ooxmlPart reports whether a part is one that an office program shows or
// needs. Anything else is a file that lies in the package with the document.
func ooxmlPart(name string) bool {
	return strings.HasSuffix(name, "/") || slices.Contains(ooxmlExtensions, path.Ext(name)) ||
		strings.Contains(name, "/printersettings/") && path.Ext(name) == ".bin"
}

// names looks at the names of the parts.
func (o *ooxmlLook) names(p *packaged) {
	for name := range p.entries {
		switch {
		case strings.Contains(name, "/embeddings/"), strings.Contains(name, "/activex/"):
			o.file.note(CautionEmbedded)
		case strings.Contains(name, "/externallinks/"), strings.HasSuffix(name, "/connections.xml"), strings.Contains(name, "/querytables/"):
			o.file.note(CautionOutside)
		case strings.Contains(name, "/webextensions/"):
			o.file.note(CautionScript)
		case !ooxmlPart(name):
			o.file.note(CautionEmbedded)
		}
	}
}

// see looks at a token.
func (o *ooxmlLook) see(token xml.Token) {
	switch token := token.(type) {
	case xml.StartElement:
		o.start(token)
	case xml.CharData:
		if o.inside && o.text.Len() < ooxmlText {
			o.text.Write(token)
		}
	case xml.EndElement:
		switch token.Name.Local {
		case "instrText":
			o.inside = false
		case "f", "definedName":
			o.inside = false
			o.formula(o.text.String())
			o.text.Reset()
		case "p": // a field may run over the end of a paragraph, its instruction does not
			o.instruction()
		}
	}
}

func (o *ooxmlLook) start(element xml.StartElement) {
	switch element.Name.Local {
	case "Relationship":
		o.relationship(element)
	case "fldChar":
		o.instruction()
	case "instrText":
		o.inside = true
	case "fldSimple":
		o.text.Reset()
		o.text.WriteString(attribute(element, "instr"))
		o.instruction()
	case "f", "definedName":
		o.text.Reset()
		o.inside = true
	case "ffData":
		o.file.note(CautionForm)
	case "ddeLink", "oleLink":
		o.file.note(CautionOutside)
	}
}

// relationship looks at what a part refers to (ISO/IEC 29500-2, 9.3).
func (o *ooxmlLook) relationship(element xml.StartElement) {
	kind := attribute(element, "Type")
	kind = strings.ToLower(kind[strings.LastIndexByte(kind, '/')+1:])
	outside := strings.EqualFold(attribute(element, "TargetMode"), "External")
	switch kind {
	case "hyperlink":
		if outside {
			o.file.note(CautionLink)
		}
	case "oleobject", "package", "control", "activexcontrolbinary", "afchunk":
		o.file.note(CautionEmbedded)
		if outside {
			o.file.note(CautionOutside)
		}
	default:
		if outside || kind == "attachedtemplate" && attribute(element, "Target") != "" {
			o.file.note(CautionOutside)
		}
	}
}

// instruction looks at what was gathered of a Word field (ISO/IEC 29500-1,
// 17.16.5).
func (o *ooxmlLook) instruction() {
	words := strings.Fields(o.text.String())
	o.text.Reset()
	if len(words) == 0 {
		return
	}
	switch strings.ToUpper(words[0]) {
	case "DATE", "TIME", "PRINTDATE", "FILENAME", "USERNAME", "USERINITIALS", "USERADDRESS":
		o.file.note(CautionChanging)
	case "DDE", "DDEAUTO", "LINK", "INCLUDE", "INCLUDETEXT", "INCLUDEPICTURE", "IMPORT", "DATABASE", "RD":
		o.file.note(CautionOutside)
	case "HYPERLINK":
		if len(words) > 1 && !strings.EqualFold(words[1], `\l`) {
			o.file.note(CautionLink)
		}
	case "FORMTEXT", "FORMCHECKBOX", "FORMDROPDOWN", "FILLIN", "ASK":
		o.file.note(CautionForm)
	case "MACROBUTTON":
		o.file.note(CautionScript)
	}
}

var (
	changingFormula = regexp.MustCompile(`(?i)\b(TODAY|NOW|RAND|RANDBETWEEN|RANDARRAY|RAND\.NV|RANDBETWEEN\.NV)\s*\(`)
	outsideFormula  = regexp.MustCompile(`(?i)\b(WEBSERVICE|IMAGE|RTD|DDE|STOCKHISTORY|CUBE[A-Z]+)\s*\(`)
	linkFormula     = regexp.MustCompile(`(?i)\bHYPERLINK\s*\(`)
)

// formula looks at a formula of a table.
func (o *ooxmlLook) formula(text string) { noteFormula(o.file, text) }

func noteFormula(file *source, text string) {
	if changingFormula.MatchString(text) {
		file.note(CautionChanging)
	}
	if outsideFormula.MatchString(text) {
		file.note(CautionOutside)
	}
	if linkFormula.MatchString(text) {
		file.note(CautionLink)
	}
}

// odfNames looks at the names of the parts of an OpenDocument package.
func odfNames(file *source, p *packaged) {
	for name := range p.entries {
		if (strings.HasPrefix(name, "basic/") || strings.HasPrefix(name, "scripts/")) && !strings.HasSuffix(name, "/") {
			file.note(CautionScript)
		}
	}
}

// seeODF looks at a token of an OpenDocument part (OASIS ODF 1.3, part 3).
func seeODF(file *source, token xml.Token) {
	element, ok := token.(xml.StartElement)
	if !ok {
		return
	}
	space, name := element.Name.Space, element.Name.Local
	switch {
	case name == "event-listener", name == "script" && strings.Contains(space, ":office:"):
		file.note(CautionScript)
	case strings.HasPrefix(name, "dde-"), strings.HasPrefix(name, "database-"):
		file.note(CautionOutside)
	case name == "object-ole", name == "plugin", name == "applet", name == "floating-frame":
		file.note(CautionEmbedded)
	case (name == "date" || name == "time") && strings.Contains(space, ":text:") && attribute(element, "fixed") != "true":
		file.note(CautionChanging)
	case strings.Contains(space, ":form:") && name != "form":
		file.note(CautionForm)
	}
	for _, a := range element.Attr {
		switch {
		case a.Name.Local == "formula":
			noteFormula(file, a.Value)
		case a.Name.Local == "href" && strings.HasPrefix(strings.ToLower(a.Value), "vnd.sun.star.script:"):
			file.note(CautionScript)
		case a.Name.Local == "href" && leadsOut(a.Value):
			if name == "a" {
				file.note(CautionLink)
			} else {
				file.note(CautionOutside)
			}
		}
	}
}

// leadsOut reports whether a reference in a package leads out of it.
func leadsOut(reference string) bool {
	target, err := url.Parse(strings.TrimSpace(reference))
	if err != nil {
		return true
	}
	return target.Scheme != "" || target.Host != "" || strings.HasPrefix(target.Path, "/") || strings.HasPrefix(target.Path, `\`) ||
		strings.HasPrefix(target.Path, "../")
}

// seeXML looks at a token of a file of XML: what a browser or an editor brings
// in to show it.
func seeXML(file *source, token xml.Token) {
	switch token := token.(type) {
	case xml.ProcInst:
		if token.Target == "xml-stylesheet" {
			file.note(CautionOutside)
		}
	case xml.StartElement:
		switch token.Name.Space {
		case "http://www.w3.org/2001/XInclude":
			file.note(CautionOutside)
		case "http://www.w3.org/1999/xhtml", "http://www.w3.org/2000/svg":
			seeMarkup(file, token)
		}
	}
}

// seeMarkup looks at an element of a page or drawing, which a browser shows as
// such when it opens a file of XML.
func seeMarkup(file *source, element xml.StartElement) {
	name := strings.ToLower(element.Name.Local)
	if name == "script" {
		file.note(CautionScript)
	}
	for _, a := range element.Attr {
		switch attribute := strings.ToLower(a.Name.Local); {
		case strings.HasPrefix(attribute, "on"):
			file.note(CautionScript)
		case attribute != "href" && attribute != "src" && attribute != "data" || strings.HasPrefix(a.Value, "#") || strings.HasPrefix(a.Value, "data:"):
		case name == "a":
			file.note(CautionLink)
		default:
			file.note(CautionOutside)
		}
	}
}

// checkXML asks what Format.Reader asks and looks at what the file brings in.
func checkXML(f Format, file *source) error {
	reader := newXMLReader(file.section(0, file.size), f)
	reader.see = func(token xml.Token) { seeXML(file, token) }
	_, err := io.Copy(io.Discard, reader)
	return err
}
