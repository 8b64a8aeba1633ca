package pdfform

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"

	"dalel/domain/signature"
	"dalel/internal/cms"
	"dalel/internal/pdfsig"
	"dalel/internal/wrapping"
)

// card judges a document that has no signature of its own by the files that are
// embedded in it: see the package comment.
func card(
	ctx context.Context, policy *signature.Policy, document *pdfsig.Document, request signature.Request,
) (signature.Assessment, error) {
	whole := func(code, format string, args ...any) (signature.Assessment, error) {
		return signature.Whole(request.At, code, fmt.Sprintf(format, args...)), nil
	}
	files, err := document.Attachments()
	switch {
	case errors.Is(err, pdfsig.ErrTooLarge):
		return whole(signature.PDFTooLarge, "%v", err)
	case err != nil:
		return whole(signature.PDFAttachments, "%v", err)
	case len(files) == 0 && len(document.Signatures) > 0:
		return whole(signature.SignersNone, "there are document time stamps alone, which are nobody's signature")
	case len(files) == 0:
		return whole(signature.SignersNone, "there are no signatures")
	}
	var originals, messages [][]byte
	for _, file := range files {
		same := func(other []byte) bool { return bytes.Equal(file, other) }
		switch message, ok := messageIn(file); {
		case ok:
			messages = append(messages, message)
		case !slices.ContainsFunc(originals, same):
			originals = append(originals, file)
		}
	}
	switch {
	case len(messages) == 0:
		return whole(signature.PDFAttachments, "%d files are attached, and none of them is a CMS signature", len(files))
	case len(originals) != 1:
		return whole(signature.PDFAttachments, "beside %d signatures %d documents are attached, and one is looked for",
			len(messages), len(originals))
	}
	original := originals[0]
	request.Content = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(original)), nil }
	var parts []signature.Assessment
	for _, message := range messages {
		one := request
		one.CMS = message
		part, err := policy.Assess(ctx, one)
		if err != nil {
			return signature.Assessment{}, err
		}
		parts = append(parts, part)
	}
	found := signature.Joined(request.At, parts...)
	sum := sha256.Sum256(original)
	what := signature.Reason{
		Code:   signature.PDFCard,
		Detail: "what is signed is the attached document with the SHA-256 " + hex.EncodeToString(sum[:]),
	}
	for _, verdict := range []*signature.Verdict{&found.Receipt, &found.Signing} {
		verdict.Reasons = append(verdict.Reasons, what)
	}
	return found, nil
}

// messageIn takes the CMS out of an attached file; false if it is no signature.
func messageIn(file []byte) ([]byte, bool) {
	content, err := wrapping.Open(file)
	if err != nil || content.Form != wrapping.CMS {
		return nil, false
	}
	message, err := cms.Parse(content.Data)
	return content.Data, err == nil && len(message.Signers) > 0
}
