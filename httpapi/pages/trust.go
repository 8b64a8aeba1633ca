package pages

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"dalel/domain/access"
	"dalel/domain/certificate"
	"dalel/domain/trust"
	"dalel/httpapi/route"
	"dalel/internal/fault"
	"dalel/projections"

	"github.com/labstack/echo/v4"
)

// This file has the pages about certificates: the anchors that everything
// rests on, and those of participants with their ends.

// trustView is which anchors are in force, and how they came to be.
type trustView struct {
	frame
	Anchors []anchorRow
	Shown   string
	History []trustChange
}

type anchorRow struct {
	Subject, Kind, Algorithm string
	// Fingerprint is in groups, as authorities publish it.
	Fingerprint []string
	From, Until moment
	Known       badge
	Ended       *badge
	Since       moment
	How, Href   string
}

type trustChange struct {
	Change                     badge
	At                         moment
	Kind, Subject, Fingerprint string
	How                        string
}

// trustChanges is how many of the latest changes the page shows.
const trustChanges = 100

func (p *Pages) trust(c echo.Context, caller route.Caller) error {
	history, err := p.ledger.TrustHistory(c.Request().Context())
	if err != nil {
		return err
	}
	v := trustView{frame: p.frame(c, caller, "trust")}
	v.Title = v.T("trust.title")
	var state trust.State
	for _, e := range history.State {
		state = trust.Evolve(state, e)
	}
	for _, standing := range state.Anchors {
		row := anchorRow{
			Subject: standing.Subject, Kind: v.T("trust-kind." + string(standing.Kind)), Algorithm: standing.Algorithm,
			Fingerprint: pairs(standing.Fingerprint), From: v.moment(standing.NotBefore), Until: v.moment(standing.NotAfter),
			Known: badge{lookUnknown, v.T("trust.unknown")}, Since: v.moment(standing.Since), How: v.T("trust-how." + string(standing.How)),
			Href: "/api/v1/trust/" + url.PathEscape(standing.Fingerprint) + "/certificate.cer",
		}
		if known, ok := trust.Known(standing.Fingerprint); ok {
			row.Known = badge{lookGood, v.T("trust.known", "year", known.Year)}
		}
		if p.clock().After(standing.NotAfter) {
			row.Ended = &badge{lookEnded, v.T("certificates.ended")}
		}
		v.Anchors = append(v.Anchors, row)
	}
	v.Shown = v.T("trust.shown", "n", len(v.Anchors))
	changes := trust.Changes(history.State)
	for _, change := range slices.Backward(changes[max(len(changes)-trustChanges, 0):]) {
		row := trustChange{
			Change: badge{lookGood, v.T("trust.added")}, At: v.moment(change.At), Kind: v.T("trust-kind." + string(change.Anchor.Kind)),
			Subject: change.Anchor.Subject, Fingerprint: change.Anchor.Fingerprint, How: v.T("trust-how." + string(change.How)),
		}
		if !change.Added {
			row.Change = badge{lookDoubt, v.T("trust.removed")}
		}
		v.History = append(v.History, row)
	}
	return p.render(c, http.StatusOK, "trust", v)
}

// pairs cuts a fingerprint into groups of four digits.
func pairs(fingerprint string) []string { return parts(strings.ToUpper(fingerprint)) }

// certificatesView is a list of certificates with their ends (R-C5).
type certificatesView struct {
	frame
	Rows               []certificateRow
	Filters            []option
	Participant        string
	Shown, Next, First string
}

type certificateRow struct {
	Fingerprint, Purpose, Algorithm, Serial, Issuer string
	// Whose is "" in a participant's own list.
	Whose  string
	Until  moment
	Left   string
	Warned string
	Status badge
	Soon   *badge
	// Notices are those of a compromise, the newest first; Revoked says that the
	// authority revoked the certificate.
	Notices []noticeView
	Revoked string
}

func (p *Pages) certificates(c echo.Context, caller route.Caller) error {
	v := certificatesView{frame: p.frame(c, caller, "certificates")}
	v.Title = v.T("certificates.title")
	now, keep := p.clock(), url.Values{}
	filter := projections.CertificateFilter{Participant: caller.By.Participant}
	staff := caller.Role != access.RoleParticipant
	if staff {
		filter.Participant = c.QueryParam("participant")
		v.Participant = filter.Participant
	}
	if filter.Participant != "" && staff {
		keep.Set("participant", filter.Participant)
	}
	chosen := c.QueryParam("ends")
	if chosen == "soon" {
		filter.EndingAt = now
		keep.Set("ends", chosen)
	}
	v.Filters = []option{
		{Text: v.T("certificates.all"), Chosen: chosen != "soon"},
		{Value: "soon", Text: v.T("certificates.ending"), Chosen: chosen == "soon"},
	}
	page, around := paging(c, keep)
	found, err := p.models.Certificates(c.Request().Context(), filter, page)
	if err != nil {
		return err
	}
	v.Next, v.First = around(found.Next)
	var ids []string
	for _, row := range found.Items {
		ids = append(ids, row.Participant)
	}
	n, err := p.lookup(c.Request().Context(), v.words, ids...)
	if err != nil {
		return err
	}
	for _, one := range found.Items {
		row := certificateRow{
			Fingerprint: one.Fingerprint, Purpose: v.or("certificate-purpose."+one.Purpose, one.Purpose), Algorithm: one.Algorithm, Serial: one.Serial, Issuer: one.Issuer,
			Until: v.moment(one.NotAfter), Status: v.certificateStatus(one.Status),
		}
		if staff {
			row.Whose = n.of(one.Participant)
		}
		switch days := certificate.DaysLeft(one.NotAfter, now); {
		case now.After(one.NotAfter):
			row.Soon = &badge{lookEnded, v.T("certificates.ended")}
		case one.Status != certificate.StatusRegistered:
		case days == 0:
			row.Left = v.T("certificates.last")
		default:
			row.Left = v.T("certificates.left", "n", days)
		}
		if one.EndsSoon(now) {
			row.Soon = &badge{lookDoubt, v.T("certificates.soon")}
		}
		if one.WarnedAt != nil {
			row.Warned = v.T("certificates.warned", "when", v.moment(*one.WarnedAt).Short)
		}
		if err := p.against(c.Request().Context(), v.words, one.Fingerprint, &row); err != nil {
			return err
		}
		v.Rows = append(v.Rows, row)
	}
	v.Shown = v.T("certificates.shown", "n", len(v.Rows))
	return p.render(c, http.StatusOK, "certificates", v)
}

// against fills in what was said against a certificate's key.
func (p *Pages) against(ctx context.Context, w words, fingerprint string, row *certificateRow) error {
	held, err := p.ledger.Certificate(ctx, fingerprint)
	if fault.Is(err, fault.CertificateUnknown) {
		return nil
	}
	if err != nil {
		return err
	}
	row.Notices = w.notices(held.State)
	if r := held.State.Revocation; r != nil {
		row.Revoked = w.T("why.revoked", "when", w.date(r.RevokedAt), "reason", w.or("revocation."+r.Reason, r.Reason), "from", w.moment(r.From()).Text)
	}
	return nil
}

func (w words) certificateStatus(status certificate.Status) badge {
	how := map[certificate.Status]look{
		certificate.StatusRegistered: lookGood, certificate.StatusSuspended: lookDoubt, certificate.StatusAnnulled: lookBad,
	}[status]
	return badge{how, w.T("certificate-status." + string(status))}
}
