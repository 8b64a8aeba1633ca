package check

import (
	"bytes"
	"context"
	"crypto/x509"
	"slices"
	"time"

	"dalel/domain/signature"
	"dalel/domain/signature/pdfform"
	"dalel/domain/signature/xmlform"
	"dalel/internal/cms"
	"dalel/internal/wrapping"
)

// Form is how a file carries signatures.
type Form = wrapping.Form

// The forms.
const (
	CMS = wrapping.CMS
	XML = wrapping.XML
	PDF = wrapping.PDF
)

// Inside is what can be said of the signatures in a file now, by this ledger's
// anchors and with the evidence in the file alone.
type Inside struct {
	Form Form `json:"form"`
	// Status is the verdict for the moment of signing where a time token proves
	// it, else for now; StatusNow the one for now.
	Status    signature.Status `json:"status"`
	StatusNow signature.Status `json:"statusNow"`
	// At is now.
	At time.Time `json:"at"`
	// Reasons say what is true of the file as a whole.
	Reasons []signature.Reason `json:"reasons"`
	Signers []Signer           `json:"signers"`
}

// Signer is one signer. Whoever uploads a file holds the certificate in it, so
// nothing that it says is told to anybody who could not read it.
type Signer struct {
	Status signature.Status `json:"status"`
	// Subject is whose the certificate is as it says itself, nil if it is not at
	// hand or cannot be read.
	Subject *Subject `json:"subject,omitempty"`
	// Certificate is the SHA-256 of its certificate, "" if it is not at hand.
	Certificate string `json:"certificate,omitempty"`
	Algorithm   string `json:"algorithm,omitempty"`
	// SignedBy is when it was signed at the latest, as a time token proves.
	SignedBy *time.Time         `json:"signedBy,omitempty"`
	Reasons  []signature.Reason `json:"reasons"`
}

// Subject is what a certificate says of its owner and of itself. What it does
// not say is "".
type Subject struct {
	// Name is CN, Organization O.
	Name         string `json:"name,omitempty"`
	Organization string `json:"organization,omitempty"`
	// IIN and BIN are as they stand in the certificate.
	IIN    string         `json:"iin,omitempty"`
	BIN    string         `json:"bin,omitempty"`
	Role   signature.Role `json:"role,omitempty"`
	Serial string         `json:"serial"`
	Issuer string         `json:"issuer"`
}

// subjectOf reads a certificate that a file carries.
func subjectOf(certificate *x509.Certificate) *Subject {
	owner, err := signature.ReadOwner(certificate)
	if err != nil {
		return nil
	}
	return &Subject{
		Name: owner.CommonName, Organization: owner.Organization, IIN: owner.IIN, BIN: owner.BIN,
		Role: owner.Role(), Serial: owner.Serial, Issuer: owner.Issuer,
	}
}

// holder keeps the beginning of a file that may carry signatures.
type holder struct {
	limit int
	bytes.Buffer
	size   int64
	passed bool // by its first bytes it carries none
}

// sniff is how much is looked at to tell.
const sniff = 64

// Write implements io.Writer.
func (h *holder) Write(p []byte) (int, error) {
	h.size += int64(len(p))
	if h.passed {
		return len(p), nil
	}
	h.Buffer.Write(p[:min(len(p), h.limit-h.Len())])
	if h.Len() >= sniff && !wrapping.Might(h.Bytes()) {
		h.passed, h.Buffer = true, bytes.Buffer{}
	}
	return len(p), nil
}

// inside judges the signatures in a file; nil if it carries none.
func (c *Checker) inside(ctx context.Context, held *holder) (*Inside, error) {
	if held.passed || !wrapping.Might(held.Bytes()) {
		return nil, nil
	}
	now := c.Clock()
	if held.size > int64(held.limit) {
		form, code := tooLarge(held.Bytes())
		if form == "" {
			return nil, nil
		}
		return insideOf(form, now, signature.Whole(now, code, "only a smaller file is searched for signatures here")), nil
	}
	var found *signature.Assessment
	var content wrapping.Content
	err := c.thinking(ctx, func(ctx context.Context) error {
		opened, err := wrapping.Open(held.Bytes())
		if err != nil {
			return nil // it may be any text; whatever it is, it is no signature
		}
		content = opened
		found, err = c.assess(ctx, content.Form, content.Data, now)
		return err
	})
	if err != nil || found == nil {
		return nil, err
	}
	return insideOf(content.Form, now, *found), nil
}

// tooLarge says which form a file may have by its beginning, and what is said of one
// that is too large; nothing of a text that may be anything.
func tooLarge(beginning []byte) (Form, string) {
	text := bytes.TrimLeft(bytes.TrimPrefix(beginning, []byte("\xef\xbb\xbf")), " \t\r\n")
	switch {
	case pdfform.Is(beginning):
		return PDF, signature.PDFTooLarge
	case bytes.HasPrefix(text, []byte("<")):
		return XML, signature.XMLTooLarge
	case len(beginning) > 0 && beginning[0] == 0x30, bytes.HasPrefix(text, []byte("MI")), bytes.HasPrefix(text, []byte("-----BEGIN ")):
		return CMS, signature.CMSTooLarge
	}
	return "", ""
}

// assess judges a file of a form; nil if there is nothing to judge: no
// signature, or no file of that form after all and nothing in it that looks like
// a signature.
func (c *Checker) assess(ctx context.Context, form Form, data []byte, now time.Time) (*signature.Assessment, error) {
	var found signature.Assessment
	var err error
	sign := "" // what a signature of the form has in it
	switch form {
	case CMS:
		if _, failed := cms.Parse(data); failed != nil {
			return nil, nil
		}
		found, err = c.Policy.Assess(ctx, signature.Request{CMS: data, At: now})
	case XML:
		sign = "http://www.w3.org/2000/09/xmldsig#"
		found, err = xmlform.Assess(ctx, c.Policy, data, now, nil)
	case PDF:
		sign = "/ByteRange"
		found, err = pdfform.Assess(ctx, c.Policy, data, now, nil)
	}
	if err != nil {
		return nil, err
	}
	has := func(codes ...string) bool {
		return slices.ContainsFunc(found.Signing.Reasons, func(r signature.Reason) bool { return slices.Contains(codes, r.Code) })
	}
	switch {
	case has(signature.SignersNone):
		return nil, nil
	case has(signature.XMLUnreadable, signature.XMLUnsupported, signature.PDFUnreadable):
		if !bytes.Contains(data, []byte(sign)) {
			return nil, nil
		}
		// There may be a signature, and nobody can tell of what.
		found.Signing.Status, found.Receipt.Status = signature.Unknown, signature.Unknown
	}
	return &found, nil
}

func insideOf(form Form, now time.Time, found signature.Assessment) *Inside {
	in := &Inside{
		Form: form, Status: found.Signing.Status, StatusNow: found.Receipt.Status, At: now.UTC(),
		Reasons: append([]signature.Reason{}, found.Signing.Reasons...), Signers: []Signer{},
	}
	for i, s := range found.Signing.Signers {
		var subject *Subject
		if i < len(found.Certificates) {
			subject = subjectOf(found.Certificates[i])
		}
		in.Signers = append(in.Signers, Signer{
			Subject: subject,
			Status:  s.Status, Certificate: s.Certificate, Algorithm: s.Algorithm, SignedBy: s.At,
			Reasons: append([]signature.Reason{}, s.Reasons...),
		})
	}
	return in
}
