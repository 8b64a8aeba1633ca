package main

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"dalel/domain/signature"
	"dalel/domain/signature/pdfform"
	"dalel/domain/signature/xmlform"
	"dalel/internal/cms"
	"dalel/internal/pdfsig"
	"dalel/internal/pki"
	"dalel/internal/wrapping"
)

// Bounds of a folder of roots. A national hierarchy has a dozen certificates.
const (
	maxRootFiles    = 1000
	maxRootFileSize = 1 << 20
)

// signatureVerify states a verdict on one CMS signature:
//
//	dalel signature verify [--json] [--roots DIR] [--at RFC3339] [--content FILE]
//		[--ocsp FILE] [--crl FILE] [--tst FILE] [--online [--tsa URL]] SIGNATURE
//
// The exit status is the answer for the moment of signing (of a trusted time
// token, else the moment asked about): 0 valid, 1 invalid, 3 cannot tell; 2
// when the signature or something named on the command line cannot be read.
// SIGNATURE is a CMS, an XML or PDF document with signatures inside, or the card of an
// electronic document (see package pdfform), as it is, in PEM or base64, or in an answer of NCALayer (see package wrapping). OCSP answers, CRLs and time tokens (bare, or as the authority's
// response) may be given several times, in the same forms. Of the certificates in DIR (*.pem, *.cer, *.crt,
// *.der) those that signed themselves are the roots, the others help to build
// the chain. Without --at the moment is now. With --online what is missing is
// fetched from the services that the certificates name, and a time token from the
// one that --tsa names; without it there is no network.
func signatureVerify(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	const cannotRead, cannotTell = 2, 3
	flags := flag.NewFlagSet("dalel signature verify", flag.ContinueOnError)
	flags.SetOutput(stderr)
	asJSON := flags.Bool("json", false, "print the verdict as JSON")
	roots := flags.String("roots", "", "`folder` of trusted certificates, PEM or DER")
	moment := flags.String("at", "", "the `moment` of the verdict, RFC 3339; now if not given")
	contentPath := flags.String("content", "", "the signed `file`, for a detached signature")
	var evidence evidenceFlags
	evidence.register(flags)
	var online onlineFlags
	flags.BoolVar(&online.fetch, "online", false, "fetch OCSP answers and revocation lists from the addresses in certificates that lead to a root; for a CMS")
	flags.StringVar(&online.stamps, "tsa", "", "the `URL` of a time-stamping authority, with --online")
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: dalel signature verify [--json] [--roots DIR] [--at RFC3339] [--content FILE] [--ocsp FILE] [--crl FILE] [--tst FILE] [--online [--tsa URL]] SIGNATURE")
		flags.PrintDefaults()
	}
	fail := func(err error) int {
		fmt.Fprintf(stderr, "dalel signature verify: %v\n", err)
		return cannotRead
	}
	files, err := parseMixed(flags, args)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		return cannotRead // flag has said why
	}
	if len(files) != 1 {
		flags.Usage()
		return fail(fmt.Errorf("one signature file is needed, %d given", len(files)))
	}

	request := signature.Request{At: time.Now()}
	if *moment != "" {
		if request.At, err = time.Parse(time.RFC3339, *moment); err != nil {
			return fail(fmt.Errorf("--at %q is not a moment like 2026-05-08T12:00:00Z", *moment))
		}
	}
	policy := &signature.Policy{}
	if *roots != "" {
		if policy.Roots, policy.Intermediates, err = readRoots(*roots); err != nil {
			return fail(err)
		}
	}
	verifier, closing, err := online.verifier(policy, slog.New(slog.NewTextHandler(stderr, nil)))
	if err != nil {
		return fail(err)
	}
	defer closing() // what is left of it is a folder of the system's
	data, err := readBounded(files[0], max(pdfsig.MaxSize, cms.MaxSize/3*4+cms.MaxSize/16))
	if err != nil {
		return fail(err)
	}
	if request.Evidence, err = evidence.read(); err != nil {
		return fail(err)
	}
	content, err := wrapping.Open(data)
	if err != nil {
		return fail(fmt.Errorf("%s: %w", files[0], err))
	}
	var document func(context.Context, *signature.Policy, []byte, time.Time, []signature.Evidence) (signature.Assessment, error)
	switch content.Form {
	case wrapping.XML:
		document = xmlform.Assess
	case wrapping.PDF:
		document = pdfform.Assess
	default:
		request.CMS = content.Data
	}
	switch {
	case document != nil && online.fetch:
		return fail(errors.New("--online is for a CMS: nothing is fetched for an XML or PDF document"))
	case document != nil && *contentPath != "":
		return fail(errors.New("an XML or PDF document carries what it signs: --content is for a detached CMS"))
	}
	if *contentPath != "" {
		info, err := os.Stat(*contentPath)
		if err != nil {
			return fail(err)
		}
		if info.IsDir() {
			return fail(fmt.Errorf("%s is a folder", *contentPath))
		}
		request.Content = func() (io.ReadCloser, error) { return os.Open(*contentPath) }
	}

	var found signature.Assessment
	if document != nil {
		found, err = document(ctx, policy, content.Data, request.At, request.Evidence)
	} else {
		found, err = verifier.Assess(ctx, request)
	}
	if err != nil {
		return fail(err)
	}
	if *asJSON {
		err = json.NewEncoder(stdout).Encode(struct {
			File string `json:"file"`
			// The verdict for the moment asked about.
			signature.Verdict
			// Signing is the one for the moment of signing.
			Signing     signature.Verdict `json:"signing"`
			TrustedTime bool              `json:"trustedTime"`
		}{files[0], found.Receipt, found.Signing, found.Trusted})
	} else {
		err = printAssessment(stdout, files[0], found)
	}
	if err != nil {
		return fail(fmt.Errorf("write the verdict: %w", err))
	}
	for _, r := range found.Receipt.Reasons {
		switch r.Code {
		case signature.CMSUnreadable, signature.CMSTooLarge, signature.XMLUnreadable, signature.XMLTooLarge, signature.XMLUnsupported,
			signature.PDFUnreadable, signature.PDFTooLarge, signature.PDFUnsupported:
			return cannotRead
		}
	}
	switch found.Signing.Status {
	case signature.Valid:
		return 0
	case signature.Invalid:
		return 1
	}
	return cannotTell
}

// parseMixed parses flags that may stand before and after the other arguments,
// and returns those. After "--" nothing is a flag.
func parseMixed(flags *flag.FlagSet, args []string) ([]string, error) {
	var others []string
	for len(args) > 0 {
		if err := flags.Parse(args); err != nil {
			return nil, err
		}
		rest := flags.Args()
		if ended := len(args) - len(rest); ended > 0 && args[ended-1] == "--" {
			return append(others, rest...), nil
		}
		if len(rest) == 0 {
			break
		}
		others, args = append(others, rest[0]), rest[1:]
	}
	return others, nil
}

// readBounded reads a file of at most limit bytes.
func readBounded(path string, limit int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close() // it was only read
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, limit)
	}
	return data, nil
}

// rootExtensions are those of the files in a folder of roots that are read.
func rootExtensions() []string { return []string{".pem", ".cer", ".crt", ".der"} }

// readRoots reads the certificates in a folder. One that cannot be read is an
// error: a root that is silently left out makes every answer wrong.
func readRoots(dir string) (roots, others []*x509.Certificate, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, err
	}
	files := 0
	for _, entry := range entries {
		if entry.IsDir() || !slices.Contains(rootExtensions(), strings.ToLower(filepath.Ext(entry.Name()))) {
			continue
		}
		if files++; files > maxRootFiles {
			return nil, nil, fmt.Errorf("%s has more than %d certificate files", dir, maxRootFiles)
		}
		path := filepath.Join(dir, entry.Name())
		data, err := readBounded(path, maxRootFileSize)
		if err != nil {
			return nil, nil, err
		}
		certificates, err := pki.ParseCertificates(data)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", path, err)
		}
		for _, certificate := range certificates {
			if isSelfSigned(certificate) {
				roots = append(roots, certificate)
			} else {
				others = append(others, certificate)
			}
		}
	}
	if files == 0 {
		return nil, nil, fmt.Errorf("%s has no certificates (*.pem, *.cer, *.crt, *.der)", dir)
	}
	return roots, others, nil
}

// isSelfSigned goes by the names and the key identifiers: whoever put the file
// into the folder trusts it, so its own signature would prove nothing.
func isSelfSigned(certificate *x509.Certificate) bool {
	return string(certificate.RawSubject) == string(certificate.RawIssuer) &&
		(len(certificate.AuthorityKeyId) == 0 || len(certificate.SubjectKeyId) == 0 ||
			string(certificate.AuthorityKeyId) == string(certificate.SubjectKeyId))
}

// printAssessment prints the verdict for the moment of signing and, where that
// is another, the one for the moment asked about.
func printAssessment(w io.Writer, file string, found signature.Assessment) error {
	separate := false
	for _, one := range found.Signing.Signers {
		separate = separate || one.At != nil
	}
	if !separate {
		return printVerdict(w, file, found.Receipt, found.Certificates)
	}
	if err := printVerdict(w, file+", when it was signed", found.Signing, found.Certificates); err != nil {
		return err
	}
	return printVerdict(w, file+", when it was asked about", found.Receipt, found.Certificates)
}

// printVerdict prints one line with the answer, two for each signer, one for
// each reason and one for each piece of evidence.
func printVerdict(w io.Writer, file string, verdict signature.Verdict, certificates []*x509.Certificate) error {
	var b strings.Builder
	word := map[signature.Status]string{
		signature.Valid: "VALID", signature.Invalid: "INVALID", signature.Unknown: "CANNOT TELL",
	}
	fmt.Fprintf(&b, "%s: %s at %s\n", printable(file), word[verdict.Status], verdict.At.Format(time.RFC3339))
	for _, r := range verdict.Reasons {
		fmt.Fprintf(&b, "  %s: %s\n", r.Code, printable(r.Detail))
	}
	for i, s := range verdict.Signers {
		fmt.Fprintf(&b, "  signer %d: %s, %s", i+1, word[s.Status], printable(s.Algorithm))
		if s.Certificate != "" {
			fmt.Fprintf(&b, ", certificate %s", s.Certificate)
		}
		if s.ClaimedAt != nil {
			fmt.Fprintf(&b, ", claims %s", s.ClaimedAt.Format(time.RFC3339))
		}
		b.WriteByte('\n')
		if i < len(certificates) {
			b.WriteString(subject(certificates[i]))
		}
		for _, r := range s.Reasons {
			fmt.Fprintf(&b, "    %s: %s\n", r.Code, printable(r.Detail))
		}
		for _, e := range s.RestsOn {
			fmt.Fprintf(&b, "    rests on %s %s\n", e.Kind, e.SHA256)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// subject is the line that says whose a certificate is, as it says itself; ""
// where it is not at hand or cannot be read.
func subject(certificate *x509.Certificate) string {
	owner, err := signature.ReadOwner(certificate)
	if err != nil {
		return ""
	}
	var parts []string
	for _, one := range []struct{ mark, text string }{
		{"", owner.CommonName},
		{"", owner.Organization},
		{"IIN ", owner.IIN},
		{"BIN ", owner.BIN},
		{"role ", string(owner.Role())},
		{"serial ", owner.Serial},
		{"issued by ", owner.Issuer},
	} {
		if one.text != "" {
			parts = append(parts, one.mark+one.text)
		}
	}
	return "    by the certificate of " + printable(strings.Join(parts, ", ")) + "\n"
}
