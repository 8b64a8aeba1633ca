package fault

// Code is a stable, machine-readable name of a failure: "area.what", lower
// case, words joined by hyphens.
type Code string

// Kind says what sort of failure a code is, and so who has to act.
type Kind int

// The kinds. Each becomes one HTTP status.
const (
	KindInvalid         Kind = iota + 1 // the request itself is wrong (400)
	KindUnauthenticated                 // no or unknown token (401)
	KindForbidden                       // known, but not allowed (403)
	KindNotFound                        // no such thing, or none that the caller may see (404)
	KindGone                            // was there, and was destroyed on purpose (410)
	KindConflict                        // not in this state, or somebody was faster (409)
	KindTooLarge                        // over a stated limit (413)
	KindUnsupported                     // a media type not taken here (415)
	KindRefused                         // understood and refused on its merits (422)
	KindThrottled                       // over a rate limit (429)
	KindUnavailable                     // a part is away; try again (503)
	KindStorageFull                     // no room to write (507)
	KindInternal                        // a fault of ours (500)
)

// Codes of the ledger. The catalogue below gives each its kind and title.
const (
	Internal        Code = "internal"
	Unavailable     Code = "unavailable"
	NotSupported    Code = "not-supported"
	RequestInvalid  Code = "request.invalid"
	RequestTooLarge Code = "request.too-large"
	RequestCutOff   Code = "request.cut-off"
	MediaType       Code = "request.media-type"
	MethodUnknown   Code = "request.method-not-allowed"
	RouteUnknown    Code = "request.no-such-route"
	CursorInvalid   Code = "request.cursor-invalid"
	RangeInvalid    Code = "request.range-invalid"
	HeaderTooLarge  Code = "request.header-too-large"
	// ExpectationUnknown and EncodingUnknown are of headers that HTTP lets a
	// server refuse: Expect and Transfer-Encoding.
	ExpectationUnknown Code = "request.expectation"
	EncodingUnknown    Code = "request.transfer-encoding"
	Throttled          Code = "request.throttled"

	IdempotencyMissing Code = "idempotency-key.missing"
	IdempotencyInvalid Code = "idempotency-key.invalid"
	IdempotencyReused  Code = "idempotency-key.reused"

	TokenMissing Code = "token.missing"
	TokenInvalid Code = "token.invalid"
	TokenExpired Code = "token.expired"
	TokenRevoked Code = "token.revoked"
	TokenUnknown Code = "token.unknown"
	TokenState   Code = "token.wrong-state"
	Forbidden    Code = "access.forbidden"

	StreamConflict   Code = "stream.conflict"
	StreamInvalid    Code = "stream.invalid"
	StreamBroken     Code = "stream.broken"
	EventTooLarge    Code = "event.too-large"
	EventInvalid     Code = "event.invalid"
	EventUnknown     Code = "event.unknown-type"
	ChainBroken      Code = "event.chain-broken"
	StoreClosed      Code = "store.closed"
	StoreLocked      Code = "store.locked"
	StoreFailed      Code = "store.failed"
	StoreForeign     Code = "store.foreign"
	StoreCertificate Code = "store.certificate"
	StoreTLS         Code = "store.tls"
	StorePassword    Code = "store.password"
	StoreDenied      Code = "store.denied"
	StorePosition    Code = "store.position"
	StorageFull      Code = "storage.full"
	RevisionStale    Code = "revision.stale"
	PositionNotReady Code = "position.not-reached"
	TransferDiffers  Code = "transfer.target-differs"

	LedgerFounded    Code = "ledger.already-founded"
	LedgerNotFounded Code = "ledger.not-founded"
	FoundingInvalid  Code = "founding.invalid"
	RecoveryInvalid  Code = "recovery.invalid"
	LedgerWhole      Code = "ledger.nothing-missing"
	FoundingOccupied Code = "founding.occupied"
	SettingsMissing  Code = "settings.missing"
	SettingsOther    Code = "settings.other-ledger"
	StoreMissing     Code = "store.missing"
	StoreEmpty       Code = "store.empty"
	StoreOther       Code = "store.other-ledger"
	StoreSetBack     Code = "store.set-back"
	StoreChanged     Code = "store.changed"
	KeysMissing      Code = "keys.missing"
	KeysOther        Code = "keys.other-ledger"
	ContentMissing   Code = "content.missing"
	ContentOther     Code = "content.other-ledger"
	NodeMissing      Code = "node.memory-missing"
	NodeDamaged      Code = "node.memory-damaged"
	NodeOther        Code = "node.other-ledger"

	BlobNotFound Code = "blob.not-found"
	BlobCorrupt  Code = "blob.corrupt"
	BlobFailed   Code = "blob.failed"
	BlobRetained Code = "blob.retained"

	LogConflict          Code = "log.conflict"
	LogCorrupt           Code = "log.corrupt"
	LogCheckpointInvalid Code = "log.checkpoint-invalid"
	LogProofInvalid      Code = "log.proof-invalid"

	KeyUnknown   Code = "key.unknown"
	KeyDestroyed Code = "key.destroyed"
	KeyFailed    Code = "key.failed"

	HoldInForce      Code = "hold.in-force"
	HoldUnknown      Code = "hold.unknown"
	RetentionRunning Code = "retention.not-ended"
	ConsentMissing   Code = "destruction.consent-missing"
	DestructionState Code = "destruction.not-asked-for"
	OriginalNone     Code = "original.none"

	IdentifierInvalid Code = "identifier.invalid"

	ParticipantExists    Code = "participant.exists"
	ParticipantUnknown   Code = "participant.unknown"
	ParticipantAmbiguous Code = "participant.ambiguous"
	ParticipantInvalid   Code = "participant.invalid"
	ParticipantNotActive Code = "participant.not-active"
	ParticipantState     Code = "participant.wrong-state"
	EmployeeUnknown      Code = "employee.unknown"
	EmployeeExists       Code = "employee.exists"
	EmployeeNoRight      Code = "employee.no-right"

	CertificateInvalid     Code = "certificate.invalid"
	CertificateUnknown     Code = "certificate.unknown"
	CertificateExists      Code = "certificate.exists"
	CertificateOfAnother   Code = "certificate.of-another"
	CertificatePurpose     Code = "certificate.wrong-purpose"
	CertificateState       Code = "certificate.wrong-state"
	CertificateExpired     Code = "certificate.expired"
	CertificateSuspended   Code = "certificate.suspended"
	CertificateAnnulled    Code = "certificate.annulled"
	CertificateCompromised Code = "certificate.compromised"
	CertificateUntrusted   Code = "certificate.untrusted"
	CertificateRevoked     Code = "certificate.revoked"
	CertificateReported    Code = "certificate.reported-key"
	RevocationUnproven     Code = "revocation.unproven"
	SignatureNotDisputed   Code = "signature.not-in-doubt"
	SignatureUnknownNumber Code = "signature.no-such"
	NoticeInvalid          Code = "notice.invalid"

	TrustRefused Code = "trust.refused"
	TrustUnknown Code = "trust.unknown"

	DocumentUnknown  Code = "document.unknown"
	DocumentExists   Code = "document.exists"
	DocumentInvalid  Code = "document.invalid"
	DocumentState    Code = "document.wrong-state"
	DocumentNoFiles  Code = "document.no-files"
	DocumentDeadline Code = "document.deadline-passed"
	DocumentNotDue   Code = "document.deadline-not-passed"
	TextCharacter    Code = "text.character"
	FileUnknown      Code = "file.unknown"
	FileInvalid      Code = "file.invalid"
	FileNotAsClaimed Code = "file.not-as-claimed"
	FileTooLarge     Code = "file.too-large"
	FileMalware      Code = "file.malware"
	ScanUnavailable  Code = "scan.unavailable"
	RouteInvalid     Code = "route.invalid"
	RecipientUnknown Code = "recipient.unknown"
	NotAParty        Code = "document.not-a-party"
	NotYourTurn      Code = "document.not-your-turn"
	AlreadyDone      Code = "document.already-done"
	RoleMismatch     Code = "document.role-mismatch"
	ReasonMissing    Code = "reason.missing"
	MethodNotOffered Code = "signature.method-not-offered"

	SignatureInvalid    Code = "signature.invalid"
	SignatureUnknown    Code = "signature.cannot-tell"
	SignatureUnreadable Code = "signature.unreadable"
	SignatureCancelled  Code = "signature.cancelled"
	SignatureNotMade    Code = "signature.not-made"
	SignatureIncomplete Code = "signature.incomplete"

	CheckStateUnfit   Code = "check.state-unfit"
	LogDiverged       Code = "log.diverged"
	LogSuperseded     Code = "log.superseded"
	LogNotCovered     Code = "log.not-covered"
	LogAbsent         Code = "log.absent"
	WritingStopped    Code = "writing.stopped"
	CheckpointInvalid Code = "checkpoint.invalid"
	CheckpointUnknown Code = "checkpoint.unknown"
	RenewalNotStamped Code = "renewal.not-stamped"
	RenewalTooLarge   Code = "renewal.too-large"

	PacketUnreadable  Code = "packet.unreadable"
	ProjectionStopped Code = "projection.stopped"
	CalendarUnknown   Code = "calendar.year-unknown"
	ConfigInvalid     Code = "config.invalid"
)

// Definition is a code's entry in the catalogue.
type Definition struct {
	Code  Code
	Kind  Kind
	Title string
}

// Catalogue returns every code with its kind and its title, in a fixed order.
func Catalogue() []Definition {
	return []Definition{
		{Internal, KindInternal, "Something failed inside the ledger"},
		{Unavailable, KindUnavailable, "A part of the ledger is not reachable just now"},
		{NotSupported, KindRefused, "The ledger does not do this yet"},
		{RequestInvalid, KindInvalid, "The request cannot be read"},
		{RequestTooLarge, KindTooLarge, "The request is larger than allowed"},
		{RequestCutOff, KindInvalid, "The body ended before its announced length"},
		{MediaType, KindUnsupported, "This media type is not taken here"},
		{MethodUnknown, KindInvalid, "This method is not allowed here"},
		{RouteUnknown, KindNotFound, "There is nothing at this address"},
		{CursorInvalid, KindInvalid, "The page cursor cannot be read"},
		{HeaderTooLarge, KindInvalid, "The headers are larger than allowed"},
		{ExpectationUnknown, KindInvalid, "What the request expects is not done here"},
		{EncodingUnknown, KindInvalid, "This transfer encoding is not known here"},
		{RangeInvalid, KindInvalid, "The range lies behind the end of the content"},
		{Throttled, KindThrottled, "Too many requests"},

		{IdempotencyMissing, KindInvalid, "A command needs an Idempotency-Key header"},
		{IdempotencyInvalid, KindInvalid, "The idempotency key cannot be used"},
		{IdempotencyReused, KindRefused, "The idempotency key was used with another request"},

		{TokenMissing, KindUnauthenticated, "A token is needed"},
		{TokenInvalid, KindUnauthenticated, "The token is not known"},
		{TokenExpired, KindUnauthenticated, "The token has expired"},
		{TokenRevoked, KindUnauthenticated, "The token was revoked"},
		{TokenUnknown, KindNotFound, "No such token"},
		{TokenState, KindConflict, "Not possible in the token's present state"},
		{Forbidden, KindForbidden, "This is not allowed with this token"},

		{StreamConflict, KindConflict, "Somebody else acted first"},
		{StreamInvalid, KindInvalid, "The stream name cannot be used"},
		{StreamBroken, KindConflict, "Somebody else has written into this history; it is shown up to there"},
		{EventTooLarge, KindTooLarge, "The event is larger than the store takes"},
		{EventInvalid, KindInternal, "An event cannot be read"},
		{EventUnknown, KindInternal, "An event of a type that this version does not know"},
		{ChainBroken, KindInternal, "An event is not as it was committed"},
		{StoreClosed, KindUnavailable, "The event store is closed"},
		{StoreLocked, KindUnavailable, "The event store is held by another process"},
		{StoreFailed, KindUnavailable, "The event store failed"},
		{StoreForeign, KindUnavailable, "The file is no event store that this version can use"},
		{StoreCertificate, KindUnavailable, "The certificate of the event store does not verify"},
		{StoreTLS, KindUnavailable, "Of this ledger and its event store one speaks TLS and the other does not"},
		{StorePassword, KindUnavailable, "The event store does not know this ledger's user and password"},
		{StoreDenied, KindUnavailable, "The event store does not let this ledger's user do this"},
		{StorePosition, KindUnavailable, "The event store does not know a position that was read up to: it is another one, or was set back"},
		{StorageFull, KindStorageFull, "There is no room left to write"},
		{RevisionStale, KindConflict, "The thing has changed since you read it"},
		{PositionNotReady, KindUnavailable, "The read models have not reached that position yet"},
		{TransferDiffers, KindConflict, "The target holds events that are not the source's"},

		{LedgerFounded, KindConflict, "A ledger was founded here already"},
		{LedgerNotFounded, KindConflict, "The founding of the ledger was not finished"},
		{FoundingInvalid, KindInvalid, "A ledger cannot be founded with this"},
		{RecoveryInvalid, KindInvalid, "A ledger cannot be recovered with this"},
		{LedgerWhole, KindConflict, "Nothing of the ledger is missing"},
		{FoundingOccupied, KindConflict, "There is something already where a ledger is to be founded"},
		{SettingsMissing, KindInternal, "A part of the ledger's settings is missing"},
		{SettingsOther, KindInternal, "The settings belong to another ledger"},
		{StoreMissing, KindInternal, "The event store is missing"},
		{StoreEmpty, KindInternal, "The event store is empty"},
		{StoreOther, KindInternal, "The event store holds another ledger"},
		{StoreSetBack, KindInternal, "The event store lacks events that were there"},
		{StoreChanged, KindInternal, "The event store holds other events than were there"},
		{KeysMissing, KindInternal, "The keys are missing"},
		{KeysOther, KindInternal, "The keys belong to another ledger"},
		{ContentMissing, KindInternal, "The content is missing"},
		{ContentOther, KindInternal, "The content belongs to another ledger"},
		{NodeMissing, KindInternal, "The node's memory of the log is missing"},
		{NodeDamaged, KindInternal, "The node's memory of the log cannot be read"},
		{NodeOther, KindInternal, "The node's folder belongs to another ledger"},

		{BlobNotFound, KindNotFound, "No such content is stored"},
		{BlobCorrupt, KindInternal, "Stored content is not as it was written"},
		{BlobFailed, KindUnavailable, "The content store failed"},
		{BlobRetained, KindRefused, "The content must be kept for longer"},

		{LogConflict, KindInternal, "The transparency log holds other bytes under this name"},
		{LogCorrupt, KindInternal, "The transparency log is not as it was written"},
		{LogCheckpointInvalid, KindRefused, "The checkpoint is not one of this log"},
		{LogProofInvalid, KindRefused, "The proof does not show that the entry is in the log"},

		{KeyUnknown, KindInternal, "The key to sealed data is missing"},
		{KeyDestroyed, KindGone, "This was destroyed, as the ledger's events say"},
		{KeyFailed, KindUnavailable, "The key store failed"},

		{HoldInForce, KindConflict, "A legal hold forbids this"},
		{HoldUnknown, KindNotFound, "No such legal hold"},
		{RetentionRunning, KindRefused, "The time for which it must be kept has not ended"},
		{ConsentMissing, KindRefused, "Others who signed have not asked for the destruction"},
		{DestructionState, KindConflict, "Nobody has asked for this destruction, and nothing has proposed it"},
		{OriginalNone, KindGone, "No original of the document exists"},

		{IdentifierInvalid, KindInvalid, "The IIN or BIN is wrong"},

		{ParticipantExists, KindConflict, "This participant is registered already"},
		{ParticipantUnknown, KindNotFound, "No such participant"},
		{ParticipantAmbiguous, KindRefused, "Two participants have this identifier, and the kind was not said"},
		{ParticipantInvalid, KindInvalid, "The participant's details are wrong"},
		{ParticipantNotActive, KindRefused, "The participant is not active"},
		{ParticipantState, KindConflict, "Not possible in the participant's present state"},
		{EmployeeUnknown, KindRefused, "This person is no employee of the participant"},
		{EmployeeExists, KindConflict, "This person is an employee already"},
		{EmployeeNoRight, KindForbidden, "The employee has no right to do this"},

		{CertificateInvalid, KindInvalid, "The certificate cannot be read"},
		{CertificateUnknown, KindRefused, "The certificate is not registered"},
		{CertificateExists, KindConflict, "The certificate is registered already"},
		{CertificateOfAnother, KindRefused, "The certificate belongs to somebody else"},
		{CertificatePurpose, KindRefused, "The certificate is not for this purpose"},
		{CertificateState, KindConflict, "Not possible in the certificate's present state"},
		{CertificateExpired, KindRefused, "The certificate is not valid any more"},
		{CertificateSuspended, KindRefused, "The certificate is suspended"},
		{CertificateRevoked, KindRefused, "The certification authority revoked the certificate"},
		{CertificateReported, KindRefused, "A reported key cannot clear itself"},
		{RevocationUnproven, KindRefused, "The evidence does not prove that the certificate was revoked"},
		{SignatureUnknownNumber, KindNotFound, "The document has no such signature"},
		{SignatureNotDisputed, KindConflict, "No open notice puts this signature in doubt"},
		{CertificateAnnulled, KindRefused, "The certificate is annulled"},
		{CertificateCompromised, KindRefused, "The key was compromised before this moment"},
		{CertificateUntrusted, KindRefused, "The certificate does not lead to a trusted root"},
		{NoticeInvalid, KindInvalid, "The compromise notice's details are wrong"},

		{TrustRefused, KindRefused, "The certificate cannot be a trust anchor"},
		{TrustUnknown, KindNotFound, "No such trust anchor"},

		{DocumentUnknown, KindNotFound, "No such document"},
		{DocumentExists, KindConflict, "The document exists already"},
		{DocumentInvalid, KindInvalid, "The document's details are wrong"},
		{DocumentState, KindConflict, "Not possible in the document's present state"},
		{DocumentNoFiles, KindRefused, "The document has no files"},
		{DocumentDeadline, KindRefused, "The deadline has passed"},
		{DocumentNotDue, KindConflict, "The deadline has not passed yet"},
		{TextCharacter, KindInvalid, "A name or text has a character that is not allowed in it"},
		{FileUnknown, KindNotFound, "The document has no such file"},
		{FileInvalid, KindInvalid, "The file's name or type cannot be used"},
		{FileNotAsClaimed, KindRefused, "The file is not of the type that it claims to be"},
		{FileTooLarge, KindTooLarge, "The file is larger than allowed"},
		{FileMalware, KindRefused, "The scanner found malware in the file"},
		{ScanUnavailable, KindUnavailable, "The malware scanner cannot be reached, so the file was not received"},
		{RouteInvalid, KindInvalid, "The route of the document is wrong"},
		{RecipientUnknown, KindRefused, "A recipient is not a participant of this ledger"},
		{NotAParty, KindForbidden, "Not a party to this document"},
		{NotYourTurn, KindConflict, "Others must act first"},
		{AlreadyDone, KindConflict, "This was done already"},
		{RoleMismatch, KindRefused, "The route asks something else of this party"},
		{ReasonMissing, KindInvalid, "A reason is needed"},
		{MethodNotOffered, KindRefused, "This way of signing is not offered yet"},

		{SignatureInvalid, KindRefused, "The signature is not valid"},
		{SignatureUnknown, KindRefused, "It cannot be told whether the signature is valid"},
		{SignatureUnreadable, KindInvalid, "The signature cannot be read"},
		{SignatureCancelled, KindInvalid, "Signing was cancelled in NCALayer"},
		{SignatureNotMade, KindInvalid, "NCALayer reports an error instead of a signature"},
		{SignatureIncomplete, KindRefused, "Every file of the document must be signed"},

		{CheckStateUnfit, KindConflict, "The state of the check is not that of this ledger"},
		{LogDiverged, KindInternal, "The events are not those that the transparency log has committed to"},
		{LogSuperseded, KindConflict, "Another node has published a checkpoint first"},
		{LogNotCovered, KindUnavailable, "No published checkpoint covers this event yet"},
		{LogAbsent, KindNotFound, "This ledger keeps no transparency log"},
		{WritingStopped, KindUnavailable, "Nothing is written here: the transparency log does not agree with the events"},
		{CheckpointInvalid, KindRefused, "The checkpoint, or what is said of it, is malformed"},
		{CheckpointUnknown, KindNotFound, "No such checkpoint is known"},
		{RenewalNotStamped, KindNotFound, "No time stamp with evidence covers this checkpoint yet"},
		{RenewalTooLarge, KindRefused, "The record of renewals from this checkpoint on would be larger than one is read"},

		{PacketUnreadable, KindInvalid, "The packet cannot be read"},
		{ProjectionStopped, KindUnavailable, "A projection has stopped"},
		{CalendarUnknown, KindInternal, "The working-day calendar does not cover this year"},
		{ConfigInvalid, KindInvalid, "The configuration is wrong"},
	}
}

// Lookup returns code's entry in the catalogue, and that of [Internal] for a
// code that is not in it.
func Lookup(code Code) Definition {
	internal := Definition{Internal, KindInternal, "Something failed inside the ledger"}
	for _, d := range Catalogue() {
		if d.Code == code {
			return d
		}
	}
	return internal
}
