package httpapi

import (
	"net/http"

	"dalel/domain/access"
	"dalel/domain/document"
	"dalel/domain/ledger"
	"dalel/httpapi/pages"
	"dalel/httpapi/route"
)

// prefix is where the JSON interface lies.
const prefix = "/api/v1"

// routes is the JSON interface's part of the table.
func (s *Server) routes() []route.Route {
	const (
		participant = access.RoleParticipant
		auditor     = access.RoleAuditor
		operator    = access.RoleOperator
	)
	type roles = []access.Role
	var (
		all      = roles{participant, auditor, operator}
		readers  = roles{participant, auditor}
		managers = roles{participant, operator}
		keepers  = roles{operator, auditor}
	)
	get := func(path, name string, who roles, scope route.Scope, handler route.Handler) route.Route {
		return route.Route{Method: http.MethodGet, Path: prefix + path, Name: name, Roles: who, Scope: scope, Handler: handler}
	}
	command := func(method, path, name string, who roles, scope route.Scope, body int64, handler route.Handler) route.Route {
		return route.Route{Method: method, Path: prefix + path, Name: name, Roles: who, Scope: scope, Command: true, MaxBody: body, Handler: handler}
	}
	post := func(path, name string, who roles, scope route.Scope, body int64, handler route.Handler) route.Route {
		return command(http.MethodPost, path, name, who, scope, body, handler)
	}
	with := func(r route.Route, query ...route.Parameter) route.Route {
		r.Query = query
		return r
	}
	const file = "/documents/:id/files/:name"
	head := get(file, "headFile", readers, route.Document, s.headFile)
	head.Method = http.MethodHead
	live := get("/documents/:id/timeline/live", "followTimeline", readers, route.Document, s.live)
	live.Stream = true
	// An upload to be checked changes nothing: it is no command, and anybody's.
	upload := func(what, name string, body int64, handler route.Handler) route.Route {
		return route.Route{
			Method: http.MethodPost, Path: prefix + "/check/" + what, Name: name, Scope: route.Public,
			MaxBody: body, Within: s.Check.Bounds().Within, Handler: handler,
		}
	}
	return append(s.monitoring(), []route.Route{
		{Method: http.MethodGet, Path: "/openapi.yaml", Name: "getDescription", Scope: route.Public, Handler: s.description},
		{Method: http.MethodGet, Path: "/problems/:code", Name: "getProblemType", Scope: route.Public, Handler: s.problemType},

		{Method: http.MethodGet, Path: logPrefix + "/checkpoint", Name: "getCheckpoint", Scope: route.Public, Handler: s.logCheckpoint},
		{Method: http.MethodGet, Path: logPrefix + "/log.vkey", Name: "getLogKey", Scope: route.Public, Handler: s.logKey},
		{Method: http.MethodGet, Path: logPrefix + "/tile/*", Name: "getTile", Scope: route.Public, Handler: s.logTile},
		get("/log", "getLogStatus", keepers, route.All, s.logStatus),
		// Nobody's own: but who asks must be somebody, since it takes some work.
		with(get("/log/renewals", "getRenewals", all, route.Own, s.logRenewals), queryCheckpoint),

		get("/me", "getMe", all, route.Own, s.me),
		post("/participants", "registerParticipant", roles{operator}, route.All, maxJSON, s.registerParticipant),
		with(get("/participants", "listParticipants", roles{operator, auditor}, route.All, s.participants), listed()...),
		get("/participants/:id", "getParticipant", all, route.Self, s.participant),
		post("/participants/:id/activation", "activateParticipant", roles{operator}, route.All, maxJSON, s.activate),
		post("/participants/:id/employees", "addEmployee", managers, route.Self, maxJSON, s.addEmployee),
		command(http.MethodPut, "/participants/:id/employees/:person", "changeEmployee", managers, route.Self, maxJSON, s.changeEmployee),
		with(command(http.MethodDelete, "/participants/:id/employees/:person", "removeEmployee", managers, route.Self, 0, s.removeEmployee), queryReason),
		post("/participants/:id/certificates", "registerCertificate", managers, route.Self, 2*ledger.MaxCertificateBytes, s.registerCertificate),
		with(get("/participants/:id/certificates", "listParticipantCertificates", all, route.Self, s.certificatesOf), listed(queryEnding)...),

		with(get("/certificates", "listCertificates", keepers, route.All, s.certificates), listed(queryEnding)...),
		get("/certificates/:fingerprint", "getCertificate", all, route.Certificate, s.certificate),
		get("/certificates/:fingerprint/certificate.cer", "downloadCertificate", all, route.Certificate, s.downloadCertificate),
		post("/certificates/:fingerprint/compromise", "reportCompromise", managers, route.Certificate, maxJSON, s.compromise),
		post("/certificates/:fingerprint/resumption", "resumeCertificate", managers, route.Certificate, maxJSON, s.resume),
		post("/certificates/:fingerprint/revocation", "recordRevocation", managers, route.Certificate, maxRevocation, s.recordRevocation),
		get("/certificates/:fingerprint/revocation", "getRevocation", all, route.Certificate, s.revocation),
		post("/certificates/:fingerprint/annulment", "annulCertificate", managers, route.Certificate, maxJSON, s.annul),

		with(get("/trust", "getTrust", keepers, route.All, s.trust), queryAt),
		with(get("/trust/history", "getTrustHistory", keepers, route.All, s.trustHistory), listed()...),
		get("/trust/:fingerprint/certificate.cer", "downloadTrustAnchor", keepers, route.All, s.trustAnchor),

		post("/tokens", "issueToken", roles{operator}, route.All, maxJSON, s.issueToken),
		with(command(http.MethodDelete, "/tokens/:id", "revokeToken", all, route.Token, 0, s.revokeToken), queryReason),

		post("/documents", "createDocument", roles{participant}, route.Own, maxJSON, s.createDocument),
		with(get("/documents", "listDocuments", roles{auditor}, route.All, s.documents), listed()...),
		get("/documents/:id", "getDocument", readers, route.Document, s.document),
		command(http.MethodPut, "/documents/:id/details", "describeDocument", roles{participant}, route.Document, maxJSON, s.describe),
		command(http.MethodPut, file, "putFile", roles{participant}, route.Document, document.MaxFileBytes, s.putFile),
		get(file, "getFile", readers, route.Document, s.getFile),
		head,
		command(http.MethodDelete, file, "removeFile", roles{participant}, route.Document, 0, s.removeFile),
		post("/documents/:id/send", "sendDocument", roles{participant}, route.Document, maxJSON, s.send),
		post("/documents/:id/views", "viewDocument", roles{participant}, route.Document, 0, s.plain((*ledger.Ledger).ViewDocument)),
		post("/documents/:id/acknowledgement", "acknowledgeDocument", roles{participant}, route.Document, 0, s.plain((*ledger.Ledger).AcknowledgeDocument)),
		post("/documents/:id/signatures", "signDocument", roles{participant}, route.Document, maxSignatures, s.sign),
		post("/documents/:id/signatures/:n/decision", "decideSignature", roles{operator}, route.All, maxJSON, s.decideSignature),
		get("/documents/:id/signatures/:n/cms", "getSignature", readers, route.Document, s.signatureFile),
		get("/documents/:id/evidence/:sha256", "getEvidence", readers, route.Document, s.evidence),
		post("/documents/:id/approval", "approveDocument", roles{participant}, route.Document, 0, s.plain((*ledger.Ledger).ApproveDocument)),
		post("/documents/:id/rejection", "rejectDocument", roles{participant}, route.Document, maxJSON, s.reasoned((*ledger.Ledger).RejectDocument)),
		post("/documents/:id/revocation", "revokeDocument", roles{participant}, route.Document, maxJSON, s.reasoned((*ledger.Ledger).RevokeDocument)),
		post("/documents/:id/revocation/consent", "consentToRevocation", roles{participant}, route.Document, 0, s.plain((*ledger.Ledger).ConsentToRevocation)),
		post("/documents/:id/revocation/refusal", "refuseRevocation", roles{participant}, route.Document, maxJSON, s.reasoned((*ledger.Ledger).DeclineRevocation)),
		with(get("/documents/:id/timeline", "getTimeline", readers, route.Document, s.timeline), queryLimit, querySince),
		with(live, querySince),
		get("/documents/:id/packet", "getPacket", readers, route.Document, s.packet),
		post("/documents/:id/exemplars", "issueExemplar", roles{participant}, route.Document, 0, s.issueExemplar),
		post("/documents/:id/copies", "issueCopy", roles{participant}, route.Document, maxJSON, s.issueCopy),
		get("/documents/:id/copies/:n", "getCopy", readers, route.Document, s.paperCopy),

		// The operator keeps documents that it may not see: these are All, and
		// show nothing of their content.
		get("/documents/:id/keeping", "getKeeping", keepers, route.All, s.keeping),
		post("/documents/:id/holds", "placeHold", roles{operator}, route.All, maxJSON, s.placeHold),
		post("/documents/:id/holds/:hold/lift", "liftHold", roles{operator}, route.All, maxJSON, s.liftHold),
		post("/documents/:id/destruction-request", "requestDestruction", roles{participant}, route.Document, maxOfficial, s.requestDestruction),
		get("/documents/:id/letters/:n", "getLetter", keepers, route.All, s.letter),
		post("/documents/:id/destruction", "orderDestruction", roles{operator}, route.All, maxJSON, s.orderDestruction),
		with(get("/destructions", "listDestructions", keepers, route.All, s.destructions), listed(queryState, querySubject)...),
		post("/participants/:id/erasure-request", "requestErasure", managers, route.Self, maxOfficial, s.requestErasure),
		get("/participants/:id/erasure-request/letter", "getErasureLetter", keepers, route.All, s.erasureLetter),
		post("/participants/:id/erasure", "orderErasure", roles{operator}, route.All, 0, s.orderErasure),

		with(get("/inbox", "getInbox", readers, route.Own, s.inbox), listed(queryParticipant)...),
		with(get("/outbox", "getOutbox", readers, route.Own, s.outbox), listed(queryParticipant)...),
		with(get("/journal", "getJournal", all, route.Own, s.journal), narrowed(queryLimit, queryAfter)...),
		with(get("/journal.csv", "getJournalCSV", all, route.Own, s.journalFile(pages.JournalCSV)), narrowed(queryLang)...),
		with(get("/journal.xlsx", "getJournalXLSX", all, route.Own, s.journalFile(pages.JournalXLSX)), narrowed(queryLang)...),
		with(get("/journal.pdf", "getJournalPDF", all, route.Own, s.journalFile(pages.JournalPDF)), narrowed(queryLang)...),
		with(get("/packet", "getPackets", readers, route.Documents, s.packetOfSeveral), chosen()...),
		with(get("/extract", "getExtract", readers, route.Documents, s.extract), chosen()...),
		with(get("/takeout", "getTakeout", roles{participant}, route.Own, s.takeout), listed()...),
		get("/takeout/journal.csv", "getTakeoutJournal", roles{participant}, route.Own, s.takeoutJournal),
		{Method: http.MethodGet, Path: prefix + "/check/:number", Name: "checkNumber", Scope: route.Public, Handler: s.checkNumber},
		upload("file", "checkFile", s.Check.Bounds().File, s.checkFile),
		upload("packet", "checkPacket", s.Check.Bounds().Packet, s.checkPacket),
	}...)
}
