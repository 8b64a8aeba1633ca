package fileformat

import (
	"archive/zip"
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"dalel/internal/fault"
)

// Limits against packages that unpack into more than they ever held. A package
// may unpack into packageBytes; beyond that into packageRatio times its own
// size, as sheets full of numbers do, up to packageMost.
const (
	packageBytes = 256 << 20
	packageRatio = 100
	packageMost  = 4 << 30
	// mainBytes is the most that a part of XML may unpack into which is read in
	// any case, packageTokens the most tags and texts of all parts together.
	mainBytes     = 128 << 20
	packageTokens = 8_000_000
	// indexBytes is the most bytes of a part that lists the others.
	indexBytes = 4 << 20
)

const (
	errPackageDamaged  flaw = "an entry of it does not unpack as it should: the file is damaged"
	errPackagePassword flaw = "it is locked with a password; nobody else could read it later"
	errMacros          flaw = "it holds macros, which files of this type do not"
)

// packaged is an office package whose directory the streaming check has taken.
type packaged struct {
	file    *source
	entries map[string]*zip.File // by name in small letters
	tokens  int                  // seen so far
	archive *zip.Reader
}

// openPackage asks what Format.Reader asks and opens the directory.
func openPackage(f Format, file *source) (*packaged, error) {
	if err := f.streamed(file); err != nil {
		return nil, err
	}
	// The streaming check has bounded the directory.
	archive, err := zip.NewReader(file, file.size)
	if err != nil {
		return nil, errPackageDamaged
	}
	p := &packaged{file: file, archive: archive, entries: make(map[string]*zip.File, len(archive.File))}
	most := uint64(min(packageMost, max(packageBytes, packageRatio*min(file.size, packageMost))))
	total := uint64(0)
	for _, entry := range archive.File {
		p.entries[strings.ToLower(entry.Name)] = entry
		if total += min(entry.UncompressedSize64, most+1); total > most {
			return nil, fault.New(fault.FileTooLarge, "unpacked, the file would be far larger than such files are")
		}
	}
	return p, nil
}

// index reads a part that lists others, which is well-formed XML.
func (p *packaged) index(name string) ([]byte, error) {
	var content bytes.Buffer
	if err := p.wellFormed(name, &limited{to: &content, left: indexBytes}); err != nil {
		return nil, err
	}
	return content.Bytes(), nil
}

// limited refuses to take more than it has room for.
type limited struct {
	to   io.Writer
	left int
}

// Write implements io.Writer.
func (l *limited) Write(p []byte) (int, error) {
	if l.left -= len(p); l.left < 0 {
		return 0, flaw("its list of parts is far longer than such lists are")
	}
	return l.to.Write(p)
}

// wellFormed copies a part to a writer and requires that it is XML as
// Format.Reader takes it.
func (p *packaged) wellFormed(name string, to io.Writer) error { return p.read(name, to, nil) }

// read is wellFormed that shows each token to see, if that is not nil.
func (p *packaged) read(name string, to io.Writer, see func(xml.Token)) error {
	entry := p.entries[strings.ToLower(name)]
	if entry == nil {
		return flaw(fmt.Sprintf("it has no part %s", name))
	}
	if entry.UncompressedSize64 > mainBytes {
		return errPartTooLarge
	}
	content, err := entry.Open()
	if err != nil {
		return errPackageDamaged
	}
	defer content.Close()
	reader := newXMLReader(io.LimitReader(content, int64(entry.UncompressedSize64)+1), Format{Title: "XML", xml: true})
	reader.see = see
	reader.count = p.count
	_, err = io.Copy(to, reader)
	var detail flaw
	switch {
	case fault.Is(err, fault.FileTooLarge):
		return err
	case fault.Is(err, fault.FileNotAsClaimed):
		return flaw(fmt.Sprintf("its part %s is no well-formed XML without a document type", name))
	case errors.As(err, &detail):
		return detail
	case err != nil:
		return errPackageDamaged
	}
	return nil
}

// errPartTooLarge refuses what would take far longer to look through than files
// of people do.
var errPartTooLarge = fault.New(fault.FileTooLarge, "a part of the file is far larger than such parts are")

// count counts a token of a part, and ends when nobody waits any more.
func (p *packaged) count() error {
	if p.tokens++; p.tokens > packageTokens {
		return errPartTooLarge
	}
	if p.tokens%1024 != 0 {
		return nil
	}
	if err := p.file.ctx.Err(); err != nil {
		p.file.failed = err
		return err
	}
	return nil
}

// unpackAll unpacks every entry, and with it checks its size and checksum.
func (p *packaged) unpackAll() error {
	for _, entry := range p.archive.File {
		if strings.HasSuffix(entry.Name, "/") {
			if entry.UncompressedSize64 > 0 {
				return errPackageDamaged
			}
			continue
		}
		if err := unpack(entry); err != nil {
			return err
		}
	}
	return nil
}

func unpack(entry *zip.File) error {
	content, err := entry.Open()
	if err != nil {
		return errPackageDamaged
	}
	defer content.Close()
	// One byte more than it says is enough to know.
	n, err := io.Copy(io.Discard, io.LimitReader(content, int64(entry.UncompressedSize64)+1))
	if err != nil || uint64(n) != entry.UncompressedSize64 {
		return errPackageDamaged
	}
	return nil
}

// checkOOXML checks an Office Open XML package (ISO/IEC 29500-2) whose main
// part has the given name and content type.
func checkOOXML(main, contentType string) func(Format, *source) error {
	return func(f Format, file *source) error {
		p, err := openPackage(f, file)
		if err != nil {
			return err
		}
		types, err := p.index("[Content_Types].xml")
		if err != nil {
			return err
		}
		if err := checkContentTypes(types, main, contentType); err != nil {
			return err
		}
		if _, err := p.index("_rels/.rels"); err != nil {
			return err
		}
		look := &ooxmlLook{file: file}
		look.names(p)
		if err := p.read(main, io.Discard, look.see); err != nil {
			return err
		}
		if err := p.unpackAll(); err != nil {
			return err
		}
		return p.lookAtParts(file, []string{main, "[Content_Types].xml"}, look.see)
	}
}

// checkContentTypes requires that the main part has its content type (ISO/IEC
// 29500-2, 10.1.2.2): a document with macros or a template names another.
func checkContentTypes(content []byte, main, want string) error {
	decoder := xml.NewDecoder(bytes.NewReader(content))
	override, byExtension := "", ""
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			return flaw("its part [Content_Types].xml is not in UTF-8")
		}
		element, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		contentType := attribute(element, "ContentType")
		lower := strings.ToLower(contentType)
		if strings.Contains(lower, "macroenabled") || strings.Contains(lower, "vbaproject") {
			return errMacros
		}
		switch element.Name.Local {
		case "Override":
			if strings.EqualFold(attribute(element, "PartName"), "/"+main) {
				override = contentType
			}
		case "Default":
			if strings.EqualFold(attribute(element, "Extension"), "xml") {
				byExtension = contentType
			}
		}
	}
	if override == "" {
		override = byExtension
	}
	if !strings.EqualFold(override, want) {
		return flaw("its main part does not say that it is of this type")
	}
	return nil
}

func attribute(element xml.StartElement, name string) string {
	for _, a := range element.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// checkODF checks an OpenDocument package (OASIS ODF 1.3, part 2, 3).
func checkODF(mimetype string) func(Format, *source) error {
	return func(f Format, file *source) error {
		p, err := openPackage(f, file)
		if err != nil {
			return err
		}
		var says bytes.Buffer
		if entry := p.entries["mimetype"]; entry != nil {
			content, err := entry.Open()
			if err != nil {
				return errPackageDamaged
			}
			defer content.Close()
			if _, err := io.Copy(&says, io.LimitReader(content, 256)); err != nil {
				return errPackageDamaged
			}
		}
		if strings.TrimSpace(says.String()) != mimetype {
			return flaw("its first entry does not say " + mimetype)
		}
		manifest, err := p.index("META-INF/manifest.xml")
		if err != nil {
			return err
		}
		if err := checkManifest(manifest, mimetype); err != nil {
			return err
		}
		odfNames(file, p)
		if err := p.read("content.xml", io.Discard, func(token xml.Token) { seeODF(file, token) }); err != nil {
			return err
		}
		if err := p.unpackAll(); err != nil {
			return err
		}
		return p.lookAtParts(file, []string{"content.xml", "META-INF/manifest.xml"}, func(token xml.Token) { seeODF(file, token) })
	}
}

// checkManifest refuses encrypted packages, and those that call themselves
// something else.
func checkManifest(content []byte, mimetype string) error {
	decoder := xml.NewDecoder(bytes.NewReader(content))
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return flaw("its part META-INF/manifest.xml is not in UTF-8")
		}
		element, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		if element.Name.Local == "encryption-data" {
			return errPackagePassword
		}
		if element.Name.Local == "file-entry" && attribute(element, "full-path") == "/" {
			if says := attribute(element, "media-type"); says != "" && says != mimetype {
				return flaw("its list of parts says that it is of another type")
			}
		}
	}
}
