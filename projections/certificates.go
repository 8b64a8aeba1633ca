package projections

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"dalel/domain/certificate"
	"dalel/domain/participant"
	"dalel/eventstore"
)

// certificates projects the streams of certificates into the table
// certificates. Their events are few, so each is written at once. Nothing of
// whom a certificate names is in it: that is sealed.
type certificates struct{ file *file }

func (c certificates) project(batch []happening) error {
	for i := range batch {
		h := &batch[i]
		switch h.Stream.Category() {
		case certificate.Category, participant.Category:
		default:
			continue
		}
		if err := c.one(h); err != nil {
			return h.about(err)
		}
	}
	return nil
}

func (c certificates) one(h *happening) error {
	id := h.Stream.ID()
	become := func(status certificate.Status) error {
		return c.file.exec("UPDATE certificates SET status = ? WHERE fingerprint = ?", string(status), id)
	}
	switch e := h.event.(type) {
	case certificate.Registered:
		return c.file.exec("INSERT INTO certificates VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)", int64(h.Position), id, e.Participant,
			e.Purpose, e.Role, e.Algorithm, e.Serial, e.Issuer, micros(e.NotBefore), micros(e.NotAfter), string(certificate.StatusRegistered))
	case certificate.Suspended:
		return become(certificate.StatusSuspended)
	case certificate.Resumed:
		return become(certificate.StatusRegistered)
	case certificate.Annulled:
		return become(certificate.StatusAnnulled)
	case certificate.ExpiryWarned:
		return c.file.exec("UPDATE certificates SET warned = ? WHERE fingerprint = ?", micros(e.WarnedAt), id)
	case participant.ErasureOrdered, participant.Erased:
		return c.file.exec("DELETE FROM certificates WHERE participant = ?", id)
	}
	return nil
}

// Certificate is a registered certificate, without what it says of its owner.
type Certificate struct {
	Fingerprint string `json:"fingerprint"`
	Participant string `json:"participant"`
	Purpose     string `json:"purpose"`
	Role        string `json:"role,omitempty"`
	Algorithm   string `json:"algorithm"`
	Serial      string `json:"serial"`
	Issuer      string `json:"issuer"`
	// NotBefore and NotAfter belong to its time.
	NotBefore time.Time          `json:"notBefore"`
	NotAfter  time.Time          `json:"notAfter"`
	Status    certificate.Status `json:"status"`
	// WarnedAt is when it was warned of its end (R-C5).
	WarnedAt *time.Time `json:"warnedAt,omitempty"`
}

// EndsSoon reports whether it ends within 30 days and was not annulled.
func (c Certificate) EndsSoon(now time.Time) bool {
	return c.Status != certificate.StatusAnnulled && certificate.EndsSoon(c.NotAfter, now)
}

// CertificateFilter narrows a list of certificates. Empty fields do not narrow.
type CertificateFilter struct {
	// Participant is whose they are; "" is everybody's, for operators and
	// auditors.
	Participant string
	// EndingAt, unless zero, leaves those that end soon at that moment: within
	// 30 days, and not annulled (R-C5).
	EndingAt time.Time
}

// Certificates returns the certificates of participants whose data were not
// destroyed, the latest registered first. Errors as Inbox.
func (m *Models) Certificates(ctx context.Context, filter CertificateFilter, page Page) (Result[Certificate], error) {
	below, limit, err := listCertificates.open(page)
	if err != nil {
		return Result[Certificate]{}, err
	}
	where, args := []string{"number < ?"}, []any{below}
	if filter.Participant != "" {
		where, args = append(where, "participant = ?"), append(args, filter.Participant)
	}
	if !filter.EndingAt.IsZero() {
		where = append(where, "status <> ?", "ends >= ?", "ends <= ?")
		args = append(args, string(certificate.StatusAnnulled), ceilMicros(filter.EndingAt), filter.EndingAt.Add(certificate.ExpiryWarning).UnixMicro())
	}
	type placed struct {
		Certificate
		place eventstore.Position
	}
	rows, err := readRows(ctx, m, func(rows *sql.Rows) (p placed, err error) {
		var begins, ends, warned int64
		err = rows.Scan(&p.place, &p.Fingerprint, &p.Participant, &p.Purpose, &p.Role, &p.Algorithm, &p.Serial, &p.Issuer, &begins, &ends, &p.Status, &warned)
		p.NotBefore, p.NotAfter, p.WarnedAt = time.UnixMicro(begins).UTC(), time.UnixMicro(ends).UTC(), moment(warned)
		return p, err
	}, `SELECT number, fingerprint, participant, purpose, role, algorithm, serial, issuer, begins, ends, status, warned
		FROM certificates WHERE `+strings.Join(where, " AND ")+` ORDER BY number DESC LIMIT ?`, append(args, limit+1)...)
	if err != nil {
		return Result[Certificate]{}, err
	}
	return convert(result(listCertificates, rows, limit, func(p placed) eventstore.Position { return p.place }),
		func(p placed) Certificate { return p.Certificate }), nil
}
