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
	switch c.QueryParam("ending") {
	case "", "false":
	case "true":
		filter.EndingAt = now
	default:
		return fault.New(fault.RequestInvalid, "ending is true or false")
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
	ending
	Revision uint64 `json:"revision"`
	Position uint64 `json:"position"`
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
