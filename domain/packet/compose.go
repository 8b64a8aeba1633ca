package packet

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"dalel/blobs"
	"dalel/domain/certificate"
	"dalel/domain/content"
	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/domain/founding"
	"dalel/domain/packet/container"
	"dalel/domain/packet/report"
	"dalel/domain/signature"
	words "dalel/domain/wording"
	"dalel/eventstore"
	"dalel/internal/fault"
	"dalel/internal/sheet"
)

// Format is the version of the packet's form that this package writes. It
// also reads oldest to Format: what a packet of format 2 is, see formatTwo.
const (
	Format = formatIssuers
	oldest = formatTwo
)

const (
	// formatTwo has one document and no report.
	formatTwo = 2
	// formatThree has nothing of a transparency log.
	formatThree = 3
	// formatLog has the proofs of the transparency log.
	formatLog = 4
	// formatIssuers has the certificates between a time token of the log and its
	// root, and checks a signature and its certificate by a command each.
	formatIssuers = 5
)

// Names of entries that are in every packet.
const (
	mimetypeName     = container.MimetypeName
	readmeName       = "README.txt"
	manifestName     = "manifest.json"
	sumsName         = "manifest-sha256.txt"
	journalName      = "journal.csv"
	journalXLSXName  = "journal.xlsx"
	reportHTMLName   = "report.html"
	reportPDFName    = "report.pdf"
	asicManifestName = "META-INF/ASiCManifest.xml"
	sealName         = "META-INF/signature.p7s"

	mimetype = "application/vnd.etsi.asic-e+zip"
)

// Media types of what is not a document's file.
const (
	typeText        = "text/plain; charset=utf-8"
	typeJSON        = "application/json"
	typeCSV         = sheet.MediaType
	typeXLSX        = sheet.XLSXMediaType
	typeHTML        = "text/html; charset=utf-8"
	typePDF         = "application/pdf"
	typeProgram     = "application/octet-stream"
	typeCMS         = "application/pkcs7-signature"
	typeCertificate = "application/pkix-cert"
)

// Manifest is manifest.json: what the packet is, and its files.
type Manifest struct {
	Format  int     `json:"format"`
	Subject Subject `json:"subject"`
	// Ledger names the ledger that exported.
	Ledger string `json:"ledger"`
	// ExportedAt is when the newest event taken in was recorded, and Position
	// is that event's position.
	ExportedAt time.Time           `json:"exportedAt"`
	Position   eventstore.Position `json:"position"`
	Operator   Operator            `json:"operator"`
	// Reader is the participant for whom it was exported, to whom others' sealed
	// data are not opened; see [Request]. It is "" for who may read everything.
	Reader   string   `json:"reader,omitempty"`
	Verifier Verifier `json:"verifier"`
	// Log is what the packet has of the transparency log; nil where the ledger
	// keeps none.
	Log *LogHead `json:"log,omitempty"`
	// Losses are what the ledger has lost, as the operator states it.
	Losses []Loss `json:"losses,omitempty"`
	// Files are all but manifest.json, manifest-sha256.txt and META-INF/, in
	// order of their paths.
	Files []File `json:"files,omitempty"`
}

// Loss says that events of the ledger were lost, and that it went on under another
// transparency log.
type Loss struct {
	At time.Time `json:"at"`
	// FormerOrigin names the log before, Origin the one since.
	FormerOrigin string `json:"formerOrigin"`
	Origin       string `json:"origin"`
	// Known is how many events there were at least, Events how many were left.
	Known  uint64 `json:"known"`
	Events uint64 `json:"events"`
	// Ground is why, in the operator's words.
	Ground string `json:"ground"`
}

// MaxLosses is how many a packet may state: more than a ledger outlives.
const MaxLosses = 100

func (l Loss) wellFormed() bool {
	return !l.At.IsZero() && l.FormerOrigin != "" && l.Origin != "" && l.Events < l.Known &&
		words.Prose(l.Ground, founding.MaxGround) == nil
}

// Missing returns how many events are missing at least.
func (l Loss) Missing() uint64 { return l.Known - min(l.Known, l.Events) }

// Kinds of subjects.
const (
	// KindDocument is one document.
	KindDocument = "document"
	// KindDocuments is several, named one by one.
	KindDocuments = "documents"
	// KindParticipant is what was entered in a participant's journal in a
	// period.
	KindParticipant = "participant"
	// KindExtract is an extract from the journals, which is no packet; see
	// [ExportExtract].
	KindExtract = "extract"
)

// Subject is what a packet is about.
type Subject struct {
	// Kind is one of the kinds.
	Kind     string `json:"kind"`
	Document string `json:"document,omitempty"`
	// Number is the document's 20-digit number, "" before completion.
	Number string `json:"number,omitempty"`
	// Participant is whose journal, From and To (not included) the period in
	// it. An extract may have a period and no participant.
	Participant string     `json:"participant,omitempty"`
	From        *time.Time `json:"from,omitempty"`
	To          *time.Time `json:"to,omitempty"`
	// Documents are those of a packet of several, in order of their first
	// events.
	Documents []Member `json:"documents,omitempty"`
}

// Member is one document of a packet of several.
type Member struct {
	// Folder has all that is about the document, laid out as a packet of that
	// document alone is.
	Folder   string `json:"folder"`
	Document string `json:"document"`
	Number   string `json:"number,omitempty"`
}

// Operator is who seals.
type Operator struct {
	// Certificate is the SHA-256 of the seal's certificate in DER.
	Certificate string `json:"certificate"`
}

// Verifier names the program that the packet was made to be checked with
// (R-G7).
type Verifier struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	// File is the entry that has the program itself, where it was asked for.
	// It is as trustworthy as what its hash is compared with.
	File string `json:"file,omitempty"`
}

// File is a line of the manifest.
type File struct {
	Path      string `json:"path"`
	MediaType string `json:"mediaType"`
	// Size is in bytes.
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// item is a file that a packet must have. Either its content is known, or it
// is stored content with a known digest.
type item struct {
	name, mediaType string
	// claim is what its content bears witness to.
	claim   string
	content []byte
	stored  bool
	ref     content.Ref // of stored content
	digest  blobs.Digest
	// size of stored content, -1 until it is known.
	size int64
	// untold says that nobody knows its content: some event that it follows
	// from is not understood.
	untold bool
	// open gives the content of what is neither: the verifier.
	open func() (io.ReadCloser, error)
}

// certain says that a later version's events cannot have made the item another:
// it is those events, or what lies beside them.
func (i item) certain() bool {
	return slices.Contains([]string{ClaimArchive, ClaimEvents, ClaimInclusion, ClaimCheckpoint}, i.claim)
}

func (i item) file() File { return File{i.name, i.mediaType, i.size, i.digest.String()} }

// documentFile is a file of the document with its name in the packet.
type documentFile struct {
	document.File
	entry string
}

// signed is one signature of a packet.
type signed struct {
	claim  string
	folder string
	// event says who signed; signature is the one CMS.
	event     record
	by        document.Signed
	signature document.FileSignature
	files     []documentFile
	// chain has the fingerprints of the certificates in chain/, in order.
	chain []string
	// evidence are the other pieces that the verdicts rest on, with the names
	// that they have in the packet.
	evidence []namedEvidence
	// standing says whether it stands, from the events that the packet has.
	standing document.Standing
	// revoked is the authority's revocation of its certificate, nil if none is
	// recorded; revocation is the entry with its proof.
	revoked    *certificate.Revoked
	revocation string
	// replaced says that the party signed again later.
	replaced bool
}

// namedEvidence is a piece of evidence and where it is in the packet.
type namedEvidence struct {
	document.Evidence
	name, mediaType string
}

// nameEvidence names what is neither the signer's certificate nor of its chain.
func (s signed) nameEvidence() []namedEvidence {
	var list []namedEvidence
	count := map[string]int{}
	for _, piece := range s.signature.Evidence {
		n := namedEvidence{Evidence: piece}
		folder, suffix := "", ""
		switch piece.Kind {
		case signature.EvidenceCertificate:
			if piece.SHA256 == s.by.Certificate || slices.Contains(s.chain, piece.SHA256) {
				continue
			}
			folder, suffix, n.mediaType = "tsa/", ".cer", typeCertificate
		case signature.EvidenceOCSP:
			folder, suffix, n.mediaType = "ocsp/", ".der", "application/ocsp-response"
		case signature.EvidenceCRL:
			folder, suffix, n.mediaType = "crl/", ".crl", "application/pkix-crl"
		default:
			folder, suffix, n.mediaType = "timestamp/", ".tst", typeCMS
		}
		count[folder]++
		n.name = fmt.Sprintf("%s%s%02d%s", s.folder, folder, count[folder], suffix)
		list = append(list, n)
	}
	return list
}

// chainName is the entry of the i-th certificate of the chain, from 0.
func (s signed) chainName(i int) string { return fmt.Sprintf("%schain/%02d.cer", s.folder, i+1) }

// storedAt is the address of a certificate among the evidence.
func (s signed) storedAt(fingerprint string) string {
	for _, piece := range s.signature.Evidence {
		if piece.SHA256 == fingerprint {
			return piece.Stored
		}
	}
	return ""
}

// composition is everything that follows from a document's events.
type composition struct {
	manifest Manifest // without files
	state    document.State
	history  []record
	// streams has the events of each stream.
	streams    map[eventstore.StreamID][]record
	files      []documentFile
	signatures []signed
	// folder is where the document lies in a packet of several: "" in one of
	// its own. Names of entries are relative to it.
	folder string
	// log is what the packet has of the transparency log, nil for nothing.
	log *logPart
	// items are in no particular order, without the manifests and the seal.
	items []item
}

// compose works out what a packet must hold, from the events in order of
// position. Of the manifest it takes format, ledger, operator and verifier.
func compose(head Manifest, id, folder string, history []record, log *logPart) (*composition, error) {
	if len(ofStream(history, document.StreamID(id))) == 0 {
		return nil, fault.New(fault.DocumentUnknown, "no events of this document")
	}
	c := &composition{history: history, streams: map[eventstore.StreamID][]record{}, folder: folder, log: log}
	for _, r := range history {
		c.streams[r.Stream] = append(c.streams[r.Stream], r)
	}
	for _, r := range c.streams[document.StreamID(id)] {
		c.state = document.Evolve(c.state, r.event)
	}
	newest := history[len(history)-1]
	c.manifest = Manifest{
		Format:     head.Format,
		Subject:    Subject{Kind: KindDocument, Document: id, Number: c.state.Number},
		Ledger:     head.Ledger,
		ExportedAt: newest.metadata.RecordedAt,
		Position:   newest.Position,
		Operator:   head.Operator,
		Reader:     head.Reader,
		Verifier:   head.Verifier,
		Log:        head.Log,
		Losses:     head.Losses,
	}
	if folder == "" {
		c.add(mimetypeName, "text/plain", ClaimArchive, []byte(mimetype))
	}
	if err := c.addDocument(); err != nil {
		return nil, err
	}
	if err := c.addSignatures(); err != nil {
		return nil, err
	}
	if err := c.addEvents(); err != nil {
		return nil, err
	}
	c.addProofs()
	if folder == "" {
		c.items = append(c.items, log.items()...)
	}
	if blind(history) {
		c.addUntold()
		return c, nil
	}
	if folder == "" {
		tables, err := journalItems(report.Journal{At: newest.metadata.RecordedAt, Entries: c.journal(), Files: true})
		if err != nil {
			return nil, err
		}
		c.items = append(c.items, tables...)
	}
	c.add(readmeName, typeText, ClaimContents, c.readme())
	if c.manifest.Format > formatTwo {
		if err := c.addReports(c.reading()); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c *composition) add(name, mediaType, claim string, content []byte) {
	c.items = append(c.items, made(name, mediaType, claim, content))
}

// addUntold adds what is told by all events together, of which only the names are
// known. The journal is at the packet's root.
func (c *composition) addUntold() {
	untold := map[string]string{readmeName: ClaimContents, reportHTMLName: ClaimReport, reportPDFName: ClaimReport}
	if c.folder == "" {
		untold[journalName], untold[journalXLSXName] = ClaimJournal, ClaimJournal
	}
	for _, name := range sortedKeys(untold) {
		c.items = append(c.items, item{name: name, claim: untold[name], untold: true, size: -1})
	}
}

// made is an item of known content.
func made(name, mediaType, claim string, content []byte) item {
	return item{
		name: name, mediaType: mediaType, claim: claim, content: content,
		digest: blobs.Sum(content), size: int64(len(content)),
	}
}

func (c *composition) addStored(name, mediaType, claim, sha, stored string, size int64) error {
	ref, err := content.ParseRef(event.Subject("document", c.state.ID), sha, stored, size)
	if err != nil {
		return fault.Wrap(fault.EventInvalid, err, "the address of %s", name)
	}
	c.items = append(c.items, item{name: name, mediaType: mediaType, claim: claim, stored: true, ref: ref, digest: ref.SHA256, size: size})
	return nil
}

func (c *composition) addDocument() error {
	var safe names
	if c.state.Gone() {
		return nil
	}
	for _, f := range c.state.Files {
		file := documentFile{f, "document/" + safe.safe(f.Name)}
		c.files = append(c.files, file)
		if err := c.addStored(file.entry, f.MediaType, ClaimDocuments, f.SHA256, f.Stored, f.Size); err != nil {
			return err
		}
	}
	return nil
}

// signatureFile is signature.json.
type signatureFile struct {
	Party       string          `json:"party"`
	By          event.By        `json:"by"`
	Method      document.Method `json:"method"`
	ReceivedAt  time.Time       `json:"receivedAt"`
	SignedAt    time.Time       `json:"signedAt"`
	TrustedTime bool            `json:"trustedTime"`
	Seal        bool            `json:"seal"`
	// Files are the names in this packet of what was signed: more than one
	// only where several files have the same content.
	Files       []string `json:"files"`
	FileSHA256  string   `json:"fileSha256"`
	CMSSHA256   string   `json:"cmsSha256"`
	Certificate string   `json:"certificateSha256"`
	// Event is the event that records it.
	Event string `json:"event"`
	// Force says whether the signature stands as of the packet's position.
	Force document.Force `json:"force"`
}

// verdictFile is verdict.json. Without a trusted time token the moment of
// signing is that of receipt, and both verdicts are one.
type verdictFile struct {
	Receipt signature.Verdict `json:"receipt"`
	Signing signature.Verdict `json:"signing"`
}

func (c *composition) addSignatures() error {
	if c.state.Gone() {
		return nil
	}
	nth := 0
	for _, r := range c.streams[document.StreamID(c.manifest.Subject.Document)] {
		by, ok := r.event.(document.Signed)
		if !ok {
			continue
		}
		for _, one := range by.Signatures {
			number := len(c.signatures) + 1
			s := signed{
				claim:  fmt.Sprintf("signature-%02d", number),
				folder: fmt.Sprintf("signatures/%02d/", number),
				event:  r, by: by, signature: one,
			}
			for _, f := range c.files {
				if f.SHA256 == one.File {
					s.files = append(s.files, f)
				}
			}
			for _, signer := range slices.Concat(one.Verdict.Signers, one.AtSigning().Signers) {
				for _, fingerprint := range append([]string{signer.Certificate}, signer.Chain...) {
					if fingerprint != "" && fingerprint != by.Certificate && !slices.Contains(s.chain, fingerprint) {
						s.chain = append(s.chain, fingerprint)
					}
				}
			}
			s.evidence = s.nameEvidence()
			// The state has the signatures in the order of their events.
			if nth < len(c.state.Signatures) {
				held := c.certificateState(by.Certificate)
				s.standing, s.revoked = c.state.Standing(nth, held), held.Revocation
				s.revocation = revocationName(s.folder, held.Revocation)
				s.replaced = c.state.Replaced(nth)
			}
			c.signatures = append(c.signatures, s)
		}
		nth++
	}
	for _, s := range c.signatures {
		if err := c.addSignature(s); err != nil {
			return err
		}
	}
	return nil
}

func (c *composition) addSignature(s signed) error {
	if err := c.addStored(s.folder+"signature.p7s", typeCMS, s.claim, s.signature.CMS, s.signature.Stored, -1); err != nil {
		return err
	}
	if err := c.addStored(s.folder+"certificate.cer", typeCertificate, s.claim, s.by.Certificate, s.storedAt(s.by.Certificate), -1); err != nil {
		return err
	}
	for i, fingerprint := range s.chain {
		if err := c.addStored(s.chainName(i), typeCertificate, s.claim, fingerprint, s.storedAt(fingerprint), -1); err != nil {
			return err
		}
	}
	if s.revoked != nil {
		if err := c.addStored(s.revocation, revocationTypes[s.revoked.Kind], s.claim, s.revoked.SHA256, "", -1); err != nil {
			return err
		}
	}
	for _, e := range s.evidence {
		if err := c.addStored(e.name, e.mediaType, s.claim, e.SHA256, e.Stored, -1); err != nil {
			return err
		}
	}
	files := []string{}
	for _, f := range s.files {
		files = append(files, f.entry)
	}
	description, err := encode(signatureFile{
		Party: s.by.Party, By: s.by.By, Method: s.by.Method,
		ReceivedAt: s.by.ReceivedAt, SignedAt: s.by.SignedAt, TrustedTime: s.by.TrustedTime, Seal: s.by.Seal,
		Files: files, FileSHA256: s.signature.File, CMSSHA256: s.signature.CMS, Certificate: s.by.Certificate,
		Event: c.eventName(s.event), Force: s.standing.Force,
	})
	if err != nil {
		return err
	}
	verdict, err := encode(verdictFile{Receipt: s.signature.Verdict, Signing: s.signature.AtSigning()})
	if err != nil {
		return err
	}
	c.add(s.folder+"signature.json", typeJSON, s.claim, description)
	c.add(s.folder+"verdict.json", typeJSON, s.claim, verdict)
	return nil
}

func eventName(number int, eventType string) string {
	return fmt.Sprintf("events/%04d-%s.json", number, eventType)
}

func (c *composition) eventName(r record) string {
	for i, other := range c.history {
		if other.ID == r.ID {
			return eventName(i+1, r.Type)
		}
	}
	return ""
}

func (c *composition) addEvents() error {
	for i, r := range c.history {
		content, err := encodeEvent(r)
		if err != nil {
			return err
		}
		c.add(eventName(i+1, r.Type), typeJSON, ClaimEvents, content)
	}
	return nil
}

// addProofs adds the proof of each event that there is one of.
func (c *composition) addProofs() {
	if !c.log.covered() {
		return
	}
	for i, r := range c.history {
		if proof, ok := c.log.proofs[r.Commitment]; ok {
			c.add(proofName(i+1), typeProof, ClaimInclusion, proof)
		}
	}
}

// journal is the extract from each party's journal for this document (R-G1,
// R-G2): what the sender's journal of outgoing and the recipients' journals of
// incoming documents hold, the latter from delivery on.
func (c *composition) journal() []report.Entry {
	files := map[eventstore.Position]string{}
	for i, r := range c.history {
		files[r.Position] = c.folder + eventName(i+1, r.Type)
	}
	var entries []report.Entry
	for _, e := range entriesOf(c.history, c.manifest.Subject.Document, "") {
		w := e.written()
		w.File = files[e.record.Position]
		entries = append(entries, w)
	}
	return entries
}

// journalItems are entries of journals as journal.csv and journal.xlsx.
func journalItems(j report.Journal) ([]item, error) {
	text, err := j.CSV()
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "write the journal")
	}
	book, err := j.XLSX()
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "write the journal")
	}
	return []item{made(journalName, typeCSV, ClaimJournal, text), made(journalXLSXName, typeXLSX, ClaimJournal, book)}, nil
}

// withFiles returns the manifest with the items as its files. Sizes of stored
// items must be known.
func withFiles(m Manifest, items []item) Manifest {
	m.Files = nil
	for _, i := range items {
		m.Files = append(m.Files, i.file())
	}
	slices.SortFunc(m.Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return m
}

// sums is manifest-sha256.txt for a manifest and its bytes.
func sums(m Manifest, manifest []byte) []byte {
	lines := map[string]string{manifestName: blobs.Sum(manifest).String()}
	for _, f := range m.Files {
		lines[f.Path] = f.SHA256
	}
	var out bytes.Buffer
	for _, name := range sortedKeys(lines) {
		// Two blanks: sha256sum's own form. No name has a backslash or a line
		// break, so none needs its escapes.
		fmt.Fprintf(&out, "%s  %s\n", lines[name], name)
	}
	return out.Bytes()
}

// asicManifest is META-INF/ASiCManifest.xml (ETSI EN 319 162-1, annex A.4).
func asicManifest(m Manifest, manifest, sums []byte) []byte {
	files := append(slices.Clone(m.Files),
		File{Path: manifestName, MediaType: typeJSON, SHA256: blobs.Sum(manifest).String()},
		File{Path: sumsName, MediaType: typeText, SHA256: blobs.Sum(sums).String()})
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	var out bytes.Buffer
	out.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n" +
		`<asic:ASiCManifest xmlns:asic="http://uri.etsi.org/02918/v1.2.1#" xmlns:ds="http://www.w3.org/2000/09/xmldsig#">` + "\n" +
		`  <asic:SigReference URI="` + sealName + `" MimeType="` + typeCMS + `"/>` + "\n")
	for _, f := range files {
		if f.Path == mimetypeName {
			continue
		}
		digest, _ := hex.DecodeString(f.SHA256) // hexadecimal by its making
		fmt.Fprintf(&out, `  <asic:DataObjectReference URI="%s" MimeType="%s">`+"\n"+
			`    <ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/>`+"\n"+
			`    <ds:DigestValue>%s</ds:DigestValue>`+"\n"+
			`  </asic:DataObjectReference>`+"\n",
			attribute(uri(f.Path)), attribute(f.MediaType), base64.StdEncoding.EncodeToString(digest))
	}
	out.WriteString("</asic:ASiCManifest>\n")
	return out.Bytes()
}

// uri writes an entry's name as a relative reference (RFC 3986).
func uri(name string) string {
	parts := strings.Split(name, "/")
	for i, part := range parts {
		parts[i] = url.PathEscape(part)
	}
	return strings.Join(parts, "/")
}

var attributeEscapes = strings.NewReplacer(
	"&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#39;", "\t", "&#9;", "\n", "&#10;", "\r", "&#13;")

func attribute(text string) string { return attributeEscapes.Replace(text) }

// encode writes a JSON file as people read it: indented, in the order of the
// struct's fields, with a line break at the end.
func encode(v any) ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return nil, fault.Wrap(fault.Internal, err, "encode a %T", v)
	}
	return out.Bytes(), nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func digestText(sum [sha256.Size]byte) string { return hex.EncodeToString(sum[:]) }
