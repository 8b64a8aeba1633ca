package papercopy

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"mime"
	"net/url"
	"reflect"
	"strings"
	"time"

	"dalel/internal/fault"
)

// Bounds of one copy. A file that goes over one is listed with its hash and a
// statement that it is not printed.
const (
	// MaxFileBytes is the size above which a file is not opened.
	MaxFileBytes = 50 << 20
	// MaxFilePages is the number of pages above which a PDF is not printed.
	MaxFilePages = 500
	// MaxTextPages is how much of a text is printed.
	MaxTextPages = 100
	// MaxPages is how many pages of files a copy has, the sheets of details
	// not counted.
	MaxPages = 1000
	// MaxPixels is the size above which a picture is not printed; A4 scanned
	// at 600 dpi has 35 million.
	MaxPixels = 36_000_000
	// MaxBytes bounds what files may add to the copy. The whole is a little
	// larger: the sheets of details, the text pages and the marks come to it.
	MaxBytes = 128 << 20

	maxParties    = 1000
	maxSignatures = 1000
	maxFiles      = 1000
	maxField      = 16 << 10 // bytes of one text
	maxURL        = 200
)

// SignatureStatus is the answer of a verification: three, and "unknown" is
// never printed as one of the others (R-C4).
type SignatureStatus string

// The answers.
const (
	Valid   SignatureStatus = "valid"
	Invalid SignatureStatus = "invalid"
	Unknown SignatureStatus = "unknown"
)

// Copy is what is printed. Texts are set as they are, in whatever language the
// caller wrote them; only the package's own words follow Language. Moments are
// printed in Kazakhstan's time, UTC+5.
type Copy struct {
	// Language is "ru", "kk" or "en".
	Language string
	// LedgerName names who keeps the original.
	LedgerName string
	// CheckURL is what the QR code leads to; it is also printed. An http or
	// https URL in ASCII of at most 200 bytes.
	CheckURL string
	// Number is the ledger's number of 20 digits (R-D8), "" for a document
	// that is not completed.
	Number     string
	DocumentID string
	Title      string
	// Kind is the title of the kind of document: "Договор".
	Kind string
	// SenderNumber and Date are those that the sender gave it, "" if none.
	SenderNumber, Date string
	// Status is what became of the document, in words.
	Status string
	// CopyNumber counts the document's paper copies from 1.
	CopyNumber int
	IssuedAt   time.Time
	IssuedTo   string
	Parties    []Party
	Signatures []Signature
	Files      []File
}

// Party is one party of the document.
type Party struct {
	Name string
	// IdentifierLabel is "БИН" or "ИИН". Identifier is printed as given:
	// masking is the caller's.
	IdentifierLabel, Identifier string
	// Role and Outcome are in words: "подписывает", "подписал".
	Role, Outcome string
	// When is the moment of the outcome; zero for none yet.
	When time.Time
}

// Signature is one signature of the document.
type Signature struct {
	// Party is for whom it was made.
	Party string
	// SignerName and Organisation are the certificate's.
	SignerName, Organisation string
	// Serial is the certificate's number, in hex; Issuer its issuer's name.
	Serial, Issuer     string
	ValidFrom, ValidTo time.Time
	Algorithm          string
	SignedAt           time.Time
	// TrustedTime says that SignedAt is of a trusted time stamp; else it is
	// the ledger's own time of receipt.
	TrustedTime bool
	Status      SignatureStatus
	// Lost says that the signature has lost its force, LostReason by what.
	Lost       bool
	LostReason string
	// Doubt says why the signature is in doubt, "" if it is not.
	Doubt string
	// Seal says that it stands for a legal entity's hand and seal (R-E5).
	Seal bool
}

// File is one file of the document.
type File struct {
	Name      string
	MediaType string
	Size      int64
	// SHA256 is in hex.
	SHA256 string
	// Cautions say what can make the file look different than printed here.
	Cautions []string
	// Open gives the content from its start. It is called once at most, and
	// not for a file that cannot be printed. Nil stands for content that
	// cannot be had any more: the sheet of details says so.
	Open func() (io.ReadCloser, error)
}

// zone is the time of the whole of Kazakhstan since 1 March 2024.
var zone = time.FixedZone("UTC+5", 5*60*60)

// Make writes the copy to w, which gets nothing unless the whole copy could be
// made.
//
// Errors: [fault.DocumentInvalid] for a Copy without what a copy must say, or
// over a bound; [fault.BlobCorrupt] for content that is not of the stated size
// and hash; what File.Open, reading, ctx or w gave.
func Make(ctx context.Context, w io.Writer, c Copy) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fault.New(fault.Internal, "the copy for paper could not be set: %v", cause)
		}
	}()
	if err := c.check(); err != nil {
		return err
	}
	words, err := wordsOf(c.Language)
	if err != nil {
		return err
	}
	out := newWriter()
	files := make([]shown, len(c.Files))
	pages := 0
	for i, file := range c.Files {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("make a copy for paper: %w", err)
		}
		if files[i], err = out.take(ctx, file, MaxPages-pages); err != nil {
			return fmt.Errorf("file %d of the copy: %w", i+1, err)
		}
		pages += len(files[i].pages) + len(files[i].text)
	}
	// Twice, since each page says how many there are. The second layout has
	// the same pages: the number alone differs.
	var set *sheet
	for total := range 2 {
		if total > 0 {
			total = set.count
		}
		if set, err = layOut(c, words, files, total); err != nil {
			return err
		}
	}
	var laidOut bytes.Buffer
	if err := set.pdf.Output(&laidOut); err != nil {
		return fmt.Errorf("lay out the copy for paper: %w", err)
	}
	if err := out.finish(ctx, laidOut.Bytes(), set.placed); err != nil {
		return fmt.Errorf("write the copy for paper: %w", err)
	}
	if _, err := out.WriteTo(w); err != nil {
		return fmt.Errorf("write the copy for paper: %w", err)
	}
	return nil
}

func (c Copy) check() error {
	invalid := func(format string, arguments ...any) error {
		return fault.New(fault.DocumentInvalid, "a copy for paper: "+format, arguments...)
	}
	switch {
	case c.DocumentID == "" || c.Title == "" || c.LedgerName == "":
		return invalid("the document's identifier and title and the ledger's name are needed")
	case c.CopyNumber < 1 || c.IssuedAt.IsZero():
		return invalid("its number and the moment of issue are needed")
	case len(c.Parties) > maxParties || len(c.Signatures) > maxSignatures || len(c.Files) > maxFiles:
		return invalid("more than %d parties, %d signatures or %d files", maxParties, maxSignatures, maxFiles)
	case c.Number != "" && (len(c.Number) != 20 || strings.Trim(c.Number, "0123456789") != ""):
		return invalid("the number is not 20 digits")
	}
	address, err := url.Parse(c.CheckURL)
	if err != nil || (address.Scheme != "http" && address.Scheme != "https") || address.Host == "" || len(c.CheckURL) > maxURL {
		return invalid("the address of the check page is not an http URL of at most %d bytes", maxURL)
	}
	for _, r := range c.CheckURL {
		if r <= ' ' || r > '~' {
			return invalid("the address of the check page is not in ASCII")
		}
	}
	for _, s := range c.Signatures {
		if s.Status != Valid && s.Status != Invalid && s.Status != Unknown {
			return invalid("a signature's status is %q", s.Status)
		}
	}
	for _, f := range c.Files {
		if hash, err := hex.DecodeString(f.SHA256); err != nil || len(hash) != sha256.Size {
			return invalid("a file's SHA-256 is not 64 hex digits")
		}
		if f.Size < 0 {
			return invalid("a file's size is negative")
		}
	}
	if longest(reflect.ValueOf(c)) > maxField {
		return invalid("a text is longer than %d bytes", maxField)
	}
	return nil
}

// longest is the length in bytes of the longest text in v.
func longest(v reflect.Value) int {
	n := 0
	switch v.Kind() {
	case reflect.String:
		n = v.Len()
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return 0
		}
		for i := range v.NumField() {
			n = max(n, longest(v.Field(i)))
		}
	case reflect.Slice:
		for i := range v.Len() {
			n = max(n, longest(v.Index(i)))
		}
	}
	return n
}

// why says why a file, or a part of it, is not printed.
type why string

const (
	whyFormat   why = "why.format"
	whyAbsent   why = "why.absent"
	whySize     why = "why.size"
	whyPages    why = "why.pages"
	whyFull     why = "why.full"
	whyDamaged  why = "why.damaged"
	whyPassword why = "why.password"
	whyForm     why = "why.form"
	whyPixels   why = "why.pixels"
	whyEncoding why = "why.encoding"
)

// reasons lists every why, for the words' test.
func reasons() []why {
	return []why{whyFormat, whyAbsent, whySize, whyPages, whyFull, whyDamaged, whyPassword, whyForm, whyPixels, whyEncoding}
}

// Error makes a why an error within the package.
func (w why) Error() string { return string(w) }

// shown is what is printed of a file: pages drawn by objects of the writer, or
// pages of text, or nothing and the reason.
type shown struct {
	pages []page
	text  [][]string
	// rest says that the text goes on beyond what is printed.
	rest   bool
	reason why
}

// take reads a file and writes what its pages draw. A file that cannot be
// printed leaves nothing in the writer.
func (w *writer) take(ctx context.Context, file File, room int) (shown, error) {
	mediaType, _, err := mime.ParseMediaType(file.MediaType)
	if err != nil {
		return shown{reason: whyFormat}, nil
	}
	var read func([]byte) (shown, error)
	switch mediaType {
	case "application/pdf":
		read = func(content []byte) (shown, error) { return w.takePDF(ctx, content, room) }
	case "image/jpeg":
		read = w.takeJPEG
	case "image/png":
		read = w.takePNG
	case "text/plain", "text/xml", "application/xml":
		read = func(content []byte) (shown, error) { return takeText(content, min(room, MaxTextPages)) }
	default:
		return shown{reason: whyFormat}, nil
	}
	switch {
	case file.Open == nil:
		return shown{reason: whyAbsent}, nil
	case file.Size > MaxFileBytes:
		return shown{reason: whySize}, nil
	case room < 1:
		return shown{reason: whyFull}, nil
	}
	content, err := file.read()
	if err != nil {
		return shown{}, err
	}
	before := w.mark()
	result, err := read(content)
	if err == nil && w.size() > MaxBytes {
		err = whyFull
	}
	if err == nil {
		return result, nil
	}
	w.back(before)
	if reason, ok := err.(why); ok {
		return shown{reason: reason}, nil
	}
	if ctx.Err() != nil {
		return shown{}, err
	}
	return shown{reason: whyDamaged}, nil
}

// read returns the content, and refuses what is not the stated bytes.
func (f File) read() (content []byte, err error) {
	reader, err := f.Open()
	if err != nil {
		return nil, fmt.Errorf("open the content: %w", err)
	}
	defer func() {
		if e := reader.Close(); e != nil && err == nil {
			err = fmt.Errorf("read the content: %w", e)
		}
	}()
	buffer := bytes.NewBuffer(make([]byte, 0, f.Size+bytes.MinRead))
	if _, err := io.Copy(buffer, io.LimitReader(reader, f.Size+1)); err != nil {
		return nil, fmt.Errorf("read the content: %w", err)
	}
	hash := sha256.Sum256(buffer.Bytes())
	if int64(buffer.Len()) != f.Size || hex.EncodeToString(hash[:]) != strings.ToLower(f.SHA256) {
		return nil, fault.New(fault.BlobCorrupt, "the content is not that of the document's file")
	}
	return buffer.Bytes(), nil
}
