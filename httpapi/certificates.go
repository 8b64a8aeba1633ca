package httpapi

import (
	"bytes"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"time"

	"dalel/domain/certificate"
	"dalel/domain/ledger"
	"dalel/domain/signature"
	"dalel/httpapi/route"
	"dalel/internal/fault"
	"dalel/internal/wrapping"
	"dalel/projections"

	"github.com/labstack/echo/v4"
)

// place sets the headers that say where a state was read, and returns the
// same.
func place[S any](c echo.Context, snapshot ledger.Snapshot[S]) (revision, position uint64) {
	revision, position = uint64(max(snapshot.Head.Next, 1)-1), uint64(snapshot.Position)
	c.Response().Header().Set("ETag", strconv.Quote(strconv.FormatUint(revision, 10)))
	c.Response().Header().Set("Dalel-Position", strconv.FormatUint(position, 10))
	return revision, position
}

// certificateTypes are the media types of certificates: DER (RFC 2585) and
// PEM (RFC 8555).
var certificateTypes = []string{"application/pkix-cert", "application/x-x509-ca-cert", "application/x-pem-file", "application/pem-certificate-chain"}

func (s *Server) registerCertificate(c echo.Context, caller route.Caller) error {
	name, _, err := mime.ParseMediaType(c.Request().Header.Get("Content-Type"))
	if err != nil || !slices.Contains(certificateTypes, name) {
		return fault.New(fault.MediaType, "send a certificate as application/pkix-cert, in DER or PEM")
	}
	data, err := io.ReadAll(c.Request().Body)
	if err != nil {
		return err
	}
	der, err := wrapping.Certificate(data)
	if err != nil {
		return fault.Wrap(fault.CertificateInvalid, err, "send one certificate in DER, PEM or base64, and nothing else")
	}
	outcome, err := s.Ledger.RegisterCertificate(c.Request().Context(), caller.Act, param(c, "id"), der)
	return created(c, "/certificates/", outcome, err)
}

// ending is what there is to say of a certificate's end (R-C5).
type ending struct {
	// EndsSoon says that it ends within 30 days, and was not annulled.
	EndsSoon bool `json:"endsSoon"`
	// DaysLeft are whole days, 0 on the last and after the end.
	DaysLeft int `json:"daysLeft"`
	// WarnedAt is when it was warned of the end.
	WarnedAt *time.Time `json:"warnedAt,omitempty"`
}

// certificateRow is a certificate in a list.
type certificateRow struct {
	projections.Certificate
	EndsSoon bool `json:"endsSoon"`
	DaysLeft int  `json:"daysLeft"`
}

// certificates answers with everybody's certificates, or those that end soon.
func (s *Server) certificates(c echo.Context, caller route.Caller) error {
	return s.listCertificates(c, "")
}

// certificatesOf answers with those of one participant.
func (s *Server) certificatesOf(c echo.Context, caller route.Caller) error {
	return s.listCertificates(c, param(c, "id"))
}

func (s *Server) listCertificates(c echo.Context, participant string) error {
	p, err := page(c)
	if err != nil {
		return err
	}
	now := s.Clock()
	filter := projections.CertificateFilter{Participant: participant}
	if c.QueryParam("ending") == "true" {
		filter.EndingAt = now
	}
	found, err := s.Models.Certificates(c.Request().Context(), filter, p)
	rows := projections.Result[certificateRow]{Next: found.Next}
	for _, one := range found.Items {
		rows.Items = append(rows.Items, certificateRow{one, one.EndsSoon(now), certificate.DaysLeft(one.NotAfter, now)})
	}
	return answerPage(c, rows, err)
}

type certificateView struct {
	Fingerprint     string             `json:"fingerprint"`
	Participant     string             `json:"participant"`
	OwnerIIN        string             `json:"ownerIin,omitempty"`
	OwnerBIN        string             `json:"ownerBin,omitempty"`
	OwnerName       string             `json:"ownerName"`
	Purpose         string             `json:"purpose"`
	Role            string             `json:"role,omitempty"`
	Algorithm       string             `json:"algorithm"`
	Serial          string             `json:"serial"`
	Issuer          string             `json:"issuer"`
	NotBefore       time.Time          `json:"notBefore"`
	NotAfter        time.Time          `json:"notAfter"`
	Status          certificate.Status `json:"status"`
	Notice          string             `json:"notice,omitempty"`
	CompromisedFrom *time.Time         `json:"compromisedFrom,omitempty"`
	AnnulledAt      *time.Time         `json:"annulledAt,omitempty"`
	// Notices are all that were given, Revocation the authority's own.
	Notices    []noticeView    `json:"notices"`
	Revocation *revocationView `json:"revocation,omitempty"`
	ending
	Revision uint64 `json:"revision"`
	Position uint64 `json:"position"`
}

// noticeView is a notice of compromise and what came of it (R-C7).
type noticeView struct {
	Notice          string              `json:"notice"`
	Channel         certificate.Channel `json:"channel"`
	Officer         string              `json:"officer,omitempty"`
	Circumstances   string              `json:"circumstances,omitempty"`
	ReceivedAt      time.Time           `json:"receivedAt"`
	CompromisedFrom time.Time           `json:"compromisedFrom"`
	SuspendedAt     *time.Time          `json:"suspendedAt,omitempty"`
	ReactionSeconds int64               `json:"reactionSeconds"`
	WithinLimit     bool                `json:"withinLimit"`
	WithdrawnAt     *time.Time          `json:"withdrawnAt,omitempty"`
}

// revocationView is the authority's revocation, as the ledger learned of it.
type revocationView struct {
	RevokedAt  time.Time                `json:"revokedAt"`
	Reason     string                   `json:"reason"`
	Invalidity *time.Time               `json:"invalidity,omitempty"`
	Kind       certificate.EvidenceKind `json:"kind"`
	SHA256     string                   `json:"sha256"`
	RecordedAt time.Time                `json:"recordedAt"`
}

func (s *Server) certificate(c echo.Context, caller route.Caller) error {
	snapshot := certificateOf(c)
	state, now := snapshot.State, s.Clock()
	view := certificateView{
		Fingerprint: state.Fingerprint, Participant: state.Participant,
		OwnerIIN: state.IIN, OwnerBIN: state.BIN, OwnerName: state.Name, Purpose: state.Purpose, Role: state.Role,
		Algorithm: state.Algorithm, Serial: state.Serial, Issuer: state.Issuer, NotBefore: state.NotBefore, NotAfter: state.NotAfter,
		Status: state.Status, Notice: state.Notice, CompromisedFrom: state.CompromisedFrom, AnnulledAt: state.AnnulledAt,
		ending: ending{EndsSoon: state.EndsSoon(now), DaysLeft: certificate.DaysLeft(state.NotAfter, now), WarnedAt: state.WarnedAt},
	}
	view.Notices = []noticeView{}
	for _, n := range state.Notices {
		view.Notices = append(view.Notices, noticeView{
			Notice: n.ID, Channel: n.Channel, Officer: n.Officer, Circumstances: n.Circumstances, ReceivedAt: n.ReceivedAt,
			CompromisedFrom: n.CompromisedFrom, SuspendedAt: n.SuspendedAt, ReactionSeconds: int64(n.Reaction / time.Second),
			WithinLimit: n.WithinLimit, WithdrawnAt: n.WithdrawnAt,
		})
	}
	if r := state.Revocation; r != nil {
		view.Revocation = &revocationView{
			RevokedAt: r.RevokedAt, Reason: r.Reason, Invalidity: r.Invalidity, Kind: r.Kind, SHA256: r.SHA256, RecordedAt: r.RecordedAt,
		}
	}
	view.Revision, view.Position = place(c, snapshot)
	return c.JSON(http.StatusOK, view)
}

func (s *Server) downloadCertificate(c echo.Context, caller route.Caller) error {
	fingerprint := certificateOf(c).State.Fingerprint
	der, err := s.Ledger.CertificateDER(c.Request().Context(), fingerprint)
	if err != nil {
		return err
	}
	return sendBytes(c, fingerprint, "application/pkix-cert", fingerprint+".cer", der)
}

// sendBytes sends small content with its hash.
func sendBytes(c echo.Context, hash, mediaType, name string, content []byte) error {
	describeContent(c, hash, mediaType, name, int64(len(content)))
	return copyChecked(c, http.StatusOK, bytes.NewReader(content))
}

func (s *Server) compromise(c echo.Context, caller route.Caller) error {
	var body ledger.CompromiseNotice
	if err := readJSON(c, &body); err != nil {
		return err
	}
	outcome, err := s.Ledger.ReportCompromise(c.Request().Context(), caller.Act, param(c, "fingerprint"), body)
	return done(c, http.StatusOK, outcome, err)
}

func (s *Server) resume(c echo.Context, caller route.Caller) error {
	var body struct {
		Channel certificate.Channel `json:"channel"`
		Reason  string              `json:"reason"`
	}
	if err := readJSON(c, &body); err != nil {
		return err
	}
	outcome, err := s.Ledger.ResumeCertificate(c.Request().Context(), caller.Act, param(c, "fingerprint"), body.Channel, body.Reason)
	return done(c, http.StatusOK, outcome, err)
}

func (s *Server) annul(c echo.Context, caller route.Caller) error {
	var body reason
	if err := readJSON(c, &body); err != nil {
		return err
	}
	outcome, err := s.Ledger.AnnulCertificate(c.Request().Context(), caller.Act, param(c, "fingerprint"), body.Reason)
	return done(c, http.StatusOK, outcome, err)
}

// maxRevocation is the size of an authority's list or answer at most: the full
// list of НУЦ РК had about 22 MB.
const maxRevocation = 64 << 20

// revocationTypes are the media types of what an authority says: lists (RFC
// 2585) and answers (RFC 6960).
var revocationTypes = map[string]signature.EvidenceKind{
	"application/pkix-crl":      signature.EvidenceCRL,
	"application/ocsp-response": signature.EvidenceOCSP,
}

// recordRevocation takes the authority's list or answer that proves that it
// revoked the certificate.
func (s *Server) recordRevocation(c echo.Context, caller route.Caller) error {
	name, _, err := mime.ParseMediaType(c.Request().Header.Get("Content-Type"))
	kind, ok := revocationTypes[name]
	if err != nil || !ok {
		return fault.New(fault.MediaType, "send a list as application/pkix-crl or an answer as application/ocsp-response, in DER")
	}
	der, err := io.ReadAll(c.Request().Body)
	if err != nil {
		return err
	}
	outcome, err := s.Ledger.RecordRevocation(c.Request().Context(), caller.Act, param(c, "fingerprint"), signature.Evidence{Kind: kind, DER: der})
	return done(c, http.StatusOK, outcome, err)
}

// revocation sends what proves the authority's revocation.
func (s *Server) revocation(c echo.Context, caller route.Caller) error {
	der, revoked, err := s.Ledger.RevocationEvidence(c.Request().Context(), certificateOf(c).State.Fingerprint)
	if fault.Is(err, fault.CertificateState) {
		return absent{err}
	}
	if err != nil {
		return err
	}
	mediaType, name := "application/pkix-crl", "revocation.crl"
	if revoked.Kind == certificate.EvidenceOCSP {
		mediaType, name = "application/ocsp-response", "revocation.ors"
	}
	return sendBytes(c, revoked.SHA256, mediaType, name, der)
}
