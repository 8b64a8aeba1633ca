// Package pdfform states verdicts on PDF documents with signatures inside
// (R-C2): package pdfsig takes the document apart, package signature judges.
//
//	found, err := pdfform.Assess(ctx, policy, document, at, evidence)
//
// A signature inside a PDF is a CMS over the file but for itself, RSA, ECDSA or
// GOST alike. Each is judged like any other CMS, with what the document's store
// of evidence (DSS) offers beside what is given. It counts for the document only
// if nothing was appended after it, or signatures, time stamps and evidence alone
// (pdf.extended); else the verdict is "cannot tell" (pdf.partial), for what a
// reader shows is then not what was signed.
//
// A document time stamp is nobody's signature and has no verdict of its own. It
// proves the time of the signatures that lie, with all that they are over, in
// what it is over. A document that has time stamps alone is signed by nobody.
//
// A document with no signature of its own may be a card of an electronic document
// (карточка электронного документа, github.com/kaarkz/ddcard): files are embedded
// in it, one of them the document that was signed and the others CMS signatures of
// it, detached as a rule. Which is which is told by what they are, and not by
// their order and names, which nobody signs. Every signature is judged over that
// document, and the verdict says that the pages of the card are not what was signed
// (pdf.card). Where files are embedded and it is not plain which was signed, the
// verdict is "cannot tell" (pdf.attachments); so it is where none is a signature.
//
// adbe.pkcs7.sha1 rests on SHA-1 and is never valid (algorithm.weak); forms that
// are no CMS, such as adbe.x509.rsa_sha1, are "cannot tell" (pdf.unsupported).
package pdfform

import (
	"bytes"
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"dalel/domain/signature"
	"dalel/internal/cms"
	"dalel/internal/pdfsig"
	"dalel/internal/tsp"
)

// Is says whether a file is meant to be a PDF. No CMS in DER, PEM or base64 and
// no XML begins like one.
func Is(data []byte) bool { return bytes.HasPrefix(data, []byte("%PDF-")) }

// Assess states the verdicts on a PDF document, as [signature.Policy.Assess] does
// on a CMS, on each of its signatures in the order of the form's fields. The
// error is the context's.
func Assess(ctx context.Context, policy *signature.Policy, data []byte, at time.Time, evidence []signature.Evidence) (signature.Assessment, error) {
	document, err := pdfsig.Parse(data)
	switch {
	case errors.Is(err, pdfsig.ErrTooLarge):
		return signature.Whole(at, signature.PDFTooLarge, err.Error()), nil
	case errors.Is(err, pdfsig.ErrUnsupported):
		return signature.Whole(at, signature.PDFUnsupported, err.Error()), nil
	case err != nil:
		return signature.Whole(at, signature.PDFUnreadable, err.Error()), nil
	}
	var store []signature.Evidence
	for _, offered := range []struct {
		kind   signature.EvidenceKind
		pieces [][]byte
	}{
		{signature.EvidenceCertificate, document.Certificates},
		{signature.EvidenceOCSP, document.OCSP},
		{signature.EvidenceCRL, document.CRLs},
	} {
		for _, der := range offered.pieces {
			store = append(store, signature.Evidence{Kind: offered.kind, DER: der})
		}
	}
	reasons := signature.Unreadable("the document's store", store)
	if document.StoreUnreadable {
		reasons = append(reasons, signature.Reason{Code: signature.EvidenceUnreadable, Detail: "the document's store of evidence is damaged"})
	}
	evidence = slices.Concat(evidence, store)
	stamps, err := stampsOf(ctx, policy.Known(), document)
	if err != nil {
		return signature.Assessment{}, err
	}
	var parts []signature.Assessment
	for i := range document.Signatures {
		one := &document.Signatures[i]
		if one.SubFilter == pdfsig.RFC3161 {
			continue
		}
		part, err := assess(ctx, policy, one, signature.Request{At: at, Evidence: evidence, Reasons: slices.Clone(reasons)}, stamps)
		if err != nil {
			return signature.Assessment{}, err
		}
		parts = append(parts, part)
	}
	if len(parts) == 0 {
		return card(ctx, policy, document, signature.Request{At: at, Evidence: evidence, Reasons: reasons})
	}
	return signature.Joined(at, parts...), nil
}

// stamp is a document time stamp with the digest of what it is over.
type stamp struct {
	by *pdfsig.Signature
	signature.Stamp
}

func stampsOf(ctx context.Context, known *signature.Algorithms, document *pdfsig.Document) ([]stamp, error) {
	var stamps []stamp
	for i := range document.Signatures {
		one := &document.Signatures[i]
		if one.SubFilter != pdfsig.RFC3161 || one.Err != nil {
			continue
		}
		s := stamp{one, signature.Stamp{Token: one.Contents}}
		// A token that cannot be read, or not by what is known here, is said so by
		// the policy.
		if token, err := tsp.Parse(one.Contents); err == nil {
			if digest, err := known.Digest(token.Imprint.Digest); err == nil {
				h := digest.New()
				if _, err := io.Copy(h, contextReader{ctx, one.Content()}); err != nil {
					return nil, fmt.Errorf("verify a signature: %w", err)
				}
				s.Imprint = tsp.Imprint{Digest: token.Imprint.Digest, Sum: h.Sum(nil)}
			}
		}
		stamps = append(stamps, s)
	}
	return stamps, nil
}

// assess judges one signature; request has the moment, the evidence and what was
// found of the document.
func assess(ctx context.Context, policy *signature.Policy, one *pdfsig.Signature, request signature.Request, stamps []stamp) (signature.Assessment, error) {
	at := request.At
	switch {
	case errors.Is(one.Err, pdfsig.ErrSubFilter):
		return signature.Whole(at, signature.PDFUnsupported, one.Err.Error()), nil
	case errors.Is(one.Err, pdfsig.ErrRange):
		return signature.Whole(at, signature.PDFRange, one.Err.Error()), nil
	case errors.Is(one.Err, cms.ErrTooLarge):
		return signature.Whole(at, signature.CMSTooLarge, one.Err.Error()), nil
	case one.Err != nil:
		return signature.Whole(at, signature.CMSUnreadable, one.Err.Error()), nil
	}
	request.CMS = one.Contents
	request.Content = func() (io.ReadCloser, error) { return io.NopCloser(one.Content()), nil }
	if one.SubFilter == pdfsig.PKCS7SHA1 {
		h := sha1.New()
		if _, err := io.Copy(h, contextReader{ctx, one.Content()}); err != nil {
			return signature.Assessment{}, fmt.Errorf("verify a signature: %w", err)
		}
		request.Content = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(h.Sum(nil))), nil }
		request.Reasons = append(request.Reasons, signature.Reason{Code: signature.AlgorithmWeak, Detail: "what is signed is the SHA-1 of the document"})
	}
	switch one.Coverage {
	case pdfsig.Whole:
	case pdfsig.Extended:
		request.Reasons = append(request.Reasons, signature.Reason{Code: signature.PDFExtended, Detail: one.Detail})
	default:
		request.Reasons = append(request.Reasons, signature.Reason{Code: signature.PDFPartial, Detail: one.Detail})
	}
	for _, s := range stamps {
		if s.by.Encloses(one) {
			request.Stamps = append(request.Stamps, s.Stamp)
		}
	}
	return policy.Assess(ctx, request)
}

// contextReader stops reading when the context ends.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

// Read implements io.Reader.
func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
