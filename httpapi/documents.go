package httpapi

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"dalel/domain/access"
	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/domain/fileformat"
	"dalel/domain/ledger"
	"dalel/domain/signature"
	"dalel/domain/wording"
	"dalel/httpapi/route"
	"dalel/internal/fault"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/klauspost/compress/gzhttp"
	"github.com/labstack/echo/v4"
)

type reason struct {
	Reason string `json:"reason"`
}

// plain makes the handler of a command that says nothing but itself.
func (s *Server) plain(command func(*ledger.Ledger, context.Context, ledger.Act, string) (ledger.Outcome, error)) route.Handler {
	return func(c echo.Context, caller route.Caller) error {
		outcome, err := command(s.Ledger, c.Request().Context(), caller.Act, param(c, "id"))
		return done(c, http.StatusOK, outcome, err)
	}
}

// reasoned makes the handler of a command that gives a reason.
func (s *Server) reasoned(command func(*ledger.Ledger, context.Context, ledger.Act, string, string) (ledger.Outcome, error)) route.Handler {
	return func(c echo.Context, caller route.Caller) error {
		var body reason
		if err := readJSON(c, &body); err != nil {
			return err
		}
		outcome, err := command(s.Ledger, c.Request().Context(), caller.Act, param(c, "id"), body.Reason)
		return done(c, http.StatusOK, outcome, err)
	}
}

func (s *Server) createDocument(c echo.Context, caller route.Caller) error {
	var body document.Details
	if err := readJSON(c, &body); err != nil {
		return err
	}
	if wait := s.places.drafts.take(caller.By.Participant, 1, time.Now()); wait > 0 {
		return throttled(c, wait, "too many drafts; at most %d of a participant in a minute", s.Limits.DraftsPerMinute)
	}
	outcome, err := s.Ledger.CreateDocument(c.Request().Context(), caller.Act, body)
	return created(c, "/documents/", outcome, err)
}

func (s *Server) describe(c echo.Context, caller route.Caller) error {
	var body document.Details
	if err := readJSON(c, &body); err != nil {
		return err
	}
	outcome, err := s.Ledger.DescribeDocument(c.Request().Context(), caller.Act, param(c, "id"), body)
	return done(c, http.StatusOK, outcome, err)
}

type partyView struct {
	document.Recipient
	Turn           bool             `json:"turn"`
	Outcome        document.Outcome `json:"outcome,omitempty"`
	DeliveredAt    *time.Time       `json:"deliveredAt,omitempty"`
	ViewedAt       *time.Time       `json:"viewedAt,omitempty"`
	AcknowledgedAt *time.Time       `json:"acknowledgedAt,omitempty"`
	ActedAt        *time.Time       `json:"actedAt,omitempty"`
	Attempts       int              `json:"attempts"`
}

type fileSignatureView struct {
	// N is the place at which the CMS is found: …/signatures/N/cms; that of an
	// undecided attempt has none.
	N       int               `json:"n,omitempty"`
	File    string            `json:"file"`
	CMS     string            `json:"cms"`
	Verdict signature.Verdict `json:"verdict"`
	// Signing decides; it is absent where the moment of signing is that of
	// receipt.
	Signing *signature.Verdict `json:"signing,omitempty"`
	// Evidence is what both rest on: …/evidence/SHA256.
	Evidence []signature.Support `json:"evidence,omitempty"`
}

func viewOf(f document.FileSignature, n int) fileSignatureView {
	view := fileSignatureView{N: n, File: f.File, CMS: f.CMS, Verdict: f.Verdict, Signing: f.Signing}
	for _, e := range f.Evidence {
		view.Evidence = append(view.Evidence, signature.Support{Kind: e.Kind, SHA256: e.SHA256})
	}
	return view
}

// undecidedView is an attempt that is checked again.
type undecidedView struct {
	Party       string              `json:"party"`
	Attempt     int                 `json:"attempt"`
	AttemptedAt time.Time           `json:"attemptedAt"`
	Files       []fileSignatureView `json:"files"`
}

type signatureView struct {
	Party       string          `json:"party"`
	By          event.By        `json:"by"`
	Method      document.Method `json:"method"`
	ReceivedAt  time.Time       `json:"receivedAt"`
	SignedAt    time.Time       `json:"signedAt"`
	TrustedTime bool            `json:"trustedTime"`
	Certificate string          `json:"certificate"`
	Seal        bool            `json:"seal"`
	// Standing says whether it stands now (R-C8).
	Standing forceView           `json:"standing"`
	Files    []fileSignatureView `json:"files"`
}

// forceView is document.Standing for programs.
type forceView struct {
	Force    document.Force  `json:"force"`
	Since    time.Time       `json:"since,omitzero"`
	From     time.Time       `json:"from,omitzero"`
	Notices  []string        `json:"notices,omitempty"`
	Source   document.Source `json:"source,omitempty"`
	Ground   string          `json:"ground,omitempty"`
	Before   bool            `json:"before,omitempty"`
	Proved   bool            `json:"proved,omitempty"`
	Decision *decisionView   `json:"decision,omitempty"`
	Replaced bool            `json:"replaced,omitempty"`
}

// decisionView is the operator's decision on a signature.
type decisionView struct {
	Ruling    document.Ruling `json:"ruling"`
	Ground    string          `json:"ground,omitempty"`
	Notices   []string        `json:"notices"`
	DecidedAt time.Time       `json:"decidedAt"`
}

func viewOfForce(one document.Standing, replaced bool) forceView {
	view := forceView{
		Force: one.Force, Since: one.Since, From: one.From, Notices: one.Notices, Source: one.Source, Ground: one.Ground,
		Before: one.Before, Proved: one.Proved, Replaced: replaced,
	}
	if d := one.Decision; d != nil {
		view.Decision = &decisionView{Ruling: d.Ruling, Ground: d.Ground, Notices: d.Notices, DecidedAt: d.DecidedAt}
	}
	return view
}

type proposalView struct {
	Party    string   `json:"party"`
	Reason   string   `json:"reason"`
	Consents []string `json:"consents"`
}

// detailsView is document.Details, of which a destroyed document has lost the
// words.
type detailsView struct {
	Kind   document.Kind `json:"kind"`
	Title  string        `json:"title,omitempty"`
	Number string        `json:"number,omitempty"`
	Date   string        `json:"date,omitempty"`
	Sum    *document.Sum `json:"sum,omitempty"`
}

// fileView is a file as its parties see it: without its address among the
// blobs, and without a name once the document is destroyed.
type fileView struct {
	Name      string `json:"name,omitempty"`
	MediaType string `json:"mediaType"`
	Size      int64  `json:"size"`
	SHA256    string `json:"sha256"`
	// Cautions say what can make the file look different later.
	Cautions []fileformat.Caution `json:"cautions,omitempty"`
}

type copyView struct {
	Number   int       `json:"number"`
	Size     int64     `json:"size"`
	SHA256   string    `json:"sha256"`
	IssuedAt time.Time `json:"issuedAt"`
	Party    string    `json:"party"`
}

type documentView struct {
	ID     string          `json:"id"`
	Sender string          `json:"sender"`
	Status document.Status `json:"status"`
	// Broken says that somebody else has written into the document's history:
	// this is what stood before.
	Broken      bool            `json:"broken,omitempty"`
	Details     detailsView     `json:"details"`
	Files       []fileView      `json:"files"`
	SenderSigns bool            `json:"senderSigns"`
	SentAt      *time.Time      `json:"sentAt,omitempty"`
	Parties     []partyView     `json:"parties"`
	Turn        []string        `json:"turn"`
	Signatures  []signatureView `json:"signatures"`
	Undecided   []undecidedView `json:"undecided,omitempty"`
	// Headline is the one status that it is shown with to this caller.
	Headline    document.Headline `json:"headline"`
	Number      string            `json:"number,omitempty"`
	CompletedAt *time.Time        `json:"completedAt,omitempty"`
	Revocation  *proposalView     `json:"revocation,omitempty"`
	EndReason   string            `json:"endReason,omitempty"`
	// Retention is missing while the route is open.
	Retention    *retentionView   `json:"retention,omitempty"`
	Holds        []holdView       `json:"holds"`
	Destruction  *destructionView `json:"destruction,omitempty"`
	Original     originalView     `json:"original"`
	Exemplars    int              `json:"exemplars"`
	Copies       []copyView       `json:"copies"`
	RefusedFiles int              `json:"refusedFiles"`
	Revision     uint64           `json:"revision"`
	Position     uint64           `json:"position"`
}

func (s *Server) document(c echo.Context, caller route.Caller) error {
	snapshot := documentOf(c)
	state := snapshot.State
	view := documentView{
		ID: state.ID, Sender: state.Sender, Status: state.Status, Broken: snapshot.Broken != nil, Details: detailsView(state.Details),
		Files: []fileView{}, SenderSigns: state.SenderSigns, SentAt: state.SentAt,
		Parties: []partyView{}, Turn: []string{}, Signatures: []signatureView{},
		Number: state.Number, CompletedAt: state.CompletedAt, EndReason: state.EndReason,
		Original:  s.original(c.Request().Context(), caller.Act, state.ID),
		Exemplars: state.Exemplars, Copies: []copyView{}, RefusedFiles: state.FileRefusals,
	}
	view.Retention, view.Holds, view.Destruction = s.keepingOf(state, caller.Role)
	for _, f := range state.Files {
		view.Files = append(view.Files, fileView{Name: f.Name, MediaType: f.MediaType, Size: f.Size, SHA256: f.SHA256, Cautions: f.Cautions})
	}
	for _, issued := range state.Copies {
		view.Copies = append(view.Copies, copyView{Number: issued.Number, Size: issued.Size, SHA256: issued.SHA256, IssuedAt: issued.IssuedAt, Party: issued.Party})
	}
	for _, p := range state.Parties {
		turn := state.IsTurn(p.Participant)
		if turn {
			view.Turn = append(view.Turn, p.Participant)
		}
		view.Parties = append(view.Parties, partyView{
			Recipient: p.Recipient, Turn: turn, Outcome: p.Outcome, DeliveredAt: p.DeliveredAt, ViewedAt: p.ViewedAt,
			AcknowledgedAt: p.AcknowledgedAt, ActedAt: p.ActedAt, Attempts: p.Attempts,
		})
	}
	standings, err := s.Ledger.Standings(c.Request().Context(), state)
	if err != nil {
		return err
	}
	viewer := ""
	if caller.Role == access.RoleParticipant {
		viewer = caller.By.Participant
	}
	view.Headline = state.Situation(state.Weakest(standings), viewer).Headline()
	n := 0
	for nth, sig := range state.Signatures {
		v := signatureView{
			Party: sig.Party, By: sig.By, Method: sig.Method, ReceivedAt: sig.ReceivedAt, SignedAt: sig.SignedAt,
			TrustedTime: sig.TrustedTime, Certificate: sig.Certificate, Seal: sig.Seal, Standing: viewOfForce(standings[nth], state.Replaced(nth)), Files: []fileSignatureView{},
		}
		for _, f := range sig.Signatures {
			n++
			v.Files = append(v.Files, viewOf(f, n))
		}
		view.Signatures = append(view.Signatures, v)
	}
	for _, u := range state.Undecided {
		v := undecidedView{Party: u.Party, Attempt: u.Attempt, AttemptedAt: u.AttemptedAt, Files: []fileSignatureView{}}
		for _, f := range u.Signatures {
			v.Files = append(v.Files, viewOf(f, 0))
		}
		view.Undecided = append(view.Undecided, v)
	}
	if p := state.Proposal; p != nil {
		view.Revocation = &proposalView{Party: p.Party, Reason: p.Reason, Consents: append([]string{}, p.Consents...)}
	}
	view.Revision, view.Position = place(c, snapshot)
	return c.JSON(http.StatusOK, view)
}

func (s *Server) putFile(c echo.Context, caller route.Caller) error {
	mediaType := c.Request().Header.Get("Content-Type")
	if mediaType == "" {
		return fault.New(fault.MediaType, "say in Content-Type what the file is")
	}
	outcome, _, err := s.Ledger.AttachFile(c.Request().Context(), caller.Act, param(c, "id"), param(c, "name"), mediaType, c.Request().Body)
	return done(c, http.StatusOK, outcome, err)
}

func (s *Server) removeFile(c echo.Context, caller route.Caller) error {
	outcome, err := s.Ledger.RemoveFile(c.Request().Context(), caller.Act, param(c, "id"), param(c, "name"))
	return done(c, http.StatusOK, outcome, err)
}

func (s *Server) headFile(c echo.Context, caller route.Caller) error {
	file, ok := documentOf(c).State.File(wording.Tidy(param(c, "name")))
	if !ok {
		return fault.New(fault.FileUnknown, "the document has no file of that name")
	}
	c.Response().Header().Set("Accept-Ranges", "bytes")
	describeContent(c, file.SHA256, file.MediaType, file.Name, file.Size)
	return copyChecked(c, http.StatusOK, nil)
}

func (s *Server) getFile(c echo.Context, caller route.Caller) error {
	content, file, err := s.Ledger.OpenFile(c.Request().Context(), caller.Act, param(c, "id"), param(c, "name"))
	if err != nil {
		return err
	}
	defer content.Close()
	return s.sendContent(c, caller, file.SHA256, file.MediaType, file.Name, file.Size, content)
}

// describeContent sets the headers of content that is saved, never shown: a
// participant's file must not run in the ledger's own name. A size below 0 is not
// known.
func describeContent(c echo.Context, hash, mediaType, name string, size int64) {
	header := c.Response().Header()
	header.Set(gzhttp.HeaderNoCompression, "1") // it is taken off before the answer goes out
	header.Set("Content-Type", mediaType)
	if size >= 0 {
		header.Set("Content-Length", strconv.FormatInt(size, 10))
	}
	header.Set("Content-Disposition", disposition(name))
	header.Set("Content-Security-Policy", "default-src 'none'; sandbox; frame-ancestors 'none'")
	if hash == "" {
		return
	}
	header.Set("ETag", strconv.Quote(hash))
	if sum, err := hex.DecodeString(hash); err == nil {
		encoded := base64.StdEncoding.EncodeToString(sum)
		header.Set("Repr-Digest", "sha-256=:"+encoded+":") // RFC 9530
		header.Set("Digest", "sha-256="+encoded)           // RFC 3230, for older clients
	}
}

// disposition names a download by RFC 6266: in ASCII for old clients, in full
// for the others (RFC 8187).
func disposition(name string) string {
	var plain, full strings.Builder
	for _, r := range name {
		if r < ' ' || r > '~' || strings.ContainsRune(`"\%`, r) {
			plain.WriteByte('_')
		} else {
			plain.WriteRune(r)
		}
	}
	for i := range len(name) {
		switch b := name[i]; {
		case b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b >= '0' && b <= '9', strings.IndexByte("!#$&+-.^_`|~", b) >= 0:
			full.WriteByte(b)
		default:
			fmt.Fprintf(&full, "%%%02X", b)
		}
	}
	return `attachment; filename="` + plain.String() + `"; filename*=UTF-8''` + full.String()
}

// chunk is how much of a download is in memory, twice.
const chunk = 128 << 10

// copyChecked sends content whose reader says at the end whether it is whole.
// The last bytes are held back until it has, and on an error the connection is
// broken: a client never takes content that failed its check for good, not
// even one that stops reading at Content-Length.
func copyChecked(c echo.Context, status int, content io.Reader) error {
	if route.NotModified(c) {
		return nil
	}
	response := c.Response()
	if c.Request().Method == http.MethodHead {
		response.Header().Del(gzhttp.HeaderNoCompression)
		response.WriteHeader(status)
		return nil
	}
	held, next := make([]byte, 0, chunk), make([]byte, chunk)
	for {
		n, err := io.ReadFull(content, next)
		whole := err == io.EOF || err == io.ErrUnexpectedEOF
		if err != nil && !whole {
			// Nothing has gone out of a short file: it gets a clean answer.
			return fmt.Errorf("read stored content: %w", err)
		}
		if !response.Committed && (len(held) > 0 || whole) {
			response.WriteHeader(status)
		}
		pieces := [][]byte{held}
		if whole {
			pieces = append(pieces, next[:n])
		}
		for _, piece := range pieces {
			if len(piece) == 0 {
				// Writing nothing would send the header.
				continue
			}
			if _, err := response.Write(piece); err != nil {
				panic(http.ErrAbortHandler)
			}
		}
		if whole {
			return nil
		}
		held, next = next[:n], held[:cap(held)]
	}
}

func (s *Server) send(c echo.Context, caller route.Caller) error {
	var body struct {
		SenderSigns bool               `json:"senderSigns"`
		Recipients  []ledger.Recipient `json:"recipients"`
	}
	if err := readJSON(c, &body); err != nil {
		return err
	}
	outcome, err := s.Ledger.SendDocument(c.Request().Context(), caller.Act, param(c, "id"), body.SenderSigns, body.Recipients)
	return done(c, http.StatusOK, outcome, err)
}

// submittedSignature is a ledger.SubmittedSignature in JSON: the CMS is a text in
// base64 or PEM, or an answer of NCALayer. The ledger reads it as it stands.
type submittedSignature struct {
	File string         `json:"file"`
	CMS  jsontext.Value `json:"cms"`
}

func (s *Server) sign(c echo.Context, caller route.Caller) error {
	var body []submittedSignature
	if err := readJSON(c, &body); err != nil {
		return err
	}
	submitted := make([]ledger.SubmittedSignature, 0, len(body))
	for _, one := range body {
		submitted = append(submitted, ledger.SubmittedSignature{File: one.File, CMS: one.CMS})
	}
	outcome, err := s.Ledger.SignDocument(c.Request().Context(), caller.Act, param(c, "id"), submitted)
	return done(c, http.StatusOK, outcome, err)
}

func (s *Server) signatureFile(c echo.Context, caller route.Caller) error {
	wanted, err := strconv.Atoi(param(c, "n"))
	n := 0
	if err == nil {
		for _, sig := range documentOf(c).State.Signatures {
			for _, f := range sig.Signatures {
				if n++; n == wanted {
					message, err := s.Ledger.SignatureMessage(c.Request().Context(), documentOf(c).State, f)
					if err != nil {
						return err
					}
					return sendBytes(c, f.CMS, "application/pkcs7-signature", fmt.Sprintf("signature-%02d.p7s", n), message)
				}
			}
		}
	}
	return fault.New(fault.FileUnknown, "the document has no signature of that number")
}

// evidence sends a piece of what verdicts rest on, which may be a list of many
// megabytes: its size is told at its end alone.
func (s *Server) evidence(c echo.Context, caller route.Caller) error {
	content, piece, err := s.Ledger.OpenEvidence(c.Request().Context(), documentOf(c).State, param(c, "sha256"))
	if err != nil {
		return err
	}
	defer content.Close() // it was only read
	mediaType, ending := "application/octet-stream", "bin"
	switch piece.Kind {
	case signature.EvidenceCertificate:
		mediaType, ending = "application/pkix-cert", "cer"
	case signature.EvidenceOCSP:
		mediaType, ending = "application/ocsp-response", "ors"
	case signature.EvidenceCRL:
		mediaType, ending = "application/pkix-crl", "crl"
	case signature.EvidenceTimeToken:
		mediaType, ending = "application/vnd.etsi.timestamp-token", "tst"
	}
	describeContent(c, piece.SHA256, mediaType, string(piece.Kind)+"-"+piece.SHA256[:12]+"."+ending, -1)
	return copyChecked(c, http.StatusOK, content)
}

// packet sends a document's proof packet. It is built in a file of its own, so
// that what goes wrong is a problem document and not half a packet.
func (s *Server) packet(c echo.Context, caller route.Caller) error {
	id := documentOf(c).State.ID
	of := Selection{Document: id, Reader: reader(caller)}
	return s.sendBuilt(c, caller, id, func(ctx context.Context, w io.Writer) error { return s.Packets.Export(ctx, w, of) })
}

// sendBuilt sends what build writes, named dalel-name.asice, once all of it is
// there.
func (s *Server) sendBuilt(c echo.Context, caller route.Caller, name string, build func(ctx context.Context, w io.Writer) error) error {
	const mediaType = "application/vnd.etsi.asic-e+zip"
	name = "dalel-" + name + ".asice"
	if c.Request().Method == http.MethodHead {
		describeContent(c, "", mediaType, name, -1)
		return copyChecked(c, http.StatusOK, nil)
	}
	return s.built(c, caller, func(ctx context.Context, w io.Writer) error {
		if err := build(ctx, w); err != nil {
			return fmt.Errorf("export a packet: %w", err)
		}
		return nil
	}, func(size int64) { describeContent(c, "", mediaType, name, size) })
}

// decideSignature records the operator's decision on a signature in doubt.
func (s *Server) decideSignature(c echo.Context, caller route.Caller) error {
	var body struct {
		Ruling document.Ruling `json:"ruling"`
		Ground string          `json:"ground"`
	}
	if err := readJSON(c, &body); err != nil {
		return err
	}
	number, err := strconv.Atoi(param(c, "n"))
	if err != nil {
		return absent{fault.New(fault.SignatureUnknownNumber, "signatures are numbered from 1")}
	}
	outcome, err := s.Ledger.DecideSignature(c.Request().Context(), caller.Act, param(c, "id"), number, body.Ruling, body.Ground)
	return done(c, http.StatusOK, outcome, err)
}
