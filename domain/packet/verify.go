package packet

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"dalel/blobs"
	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/domain/packet/container"
	"dalel/domain/participant"
	"dalel/domain/signature"
	"dalel/eventstore"
	"dalel/internal/fault"
	"dalel/internal/pki"
)

// Options are what a verification rests on.
type Options struct {
	// Trust is the anchors of the person who checks. With none, the best
	// outcome is Untrusted.
	Trust Trust
	// Algorithms are those of signature.StandardAlgorithms if nil.
	Algorithms *signature.Algorithms
}

// Bounds of what is held in memory of a packet. The document's own files are
// streamed and may be of any size.
const (
	// maxHeldFile is the size of any other file at most.
	maxHeldFile = 64 << 20
	// maxHeld is the size of all of them, maxLists that of the lists of hashes
	// and the seal among them.
	maxHeld  = 512 << 20
	maxLists = 64 << 20
)

// Verify checks a packet against itself and against the given anchors. It
// reads nothing but r, opens no connection and looks at no clock: the moments
// are those that the packet records.
//
// Whatever is wrong with the packet is in the report, with file and claim. The
// error is packet.unreadable, for something that is no packet at all, or that
// of r or of the context.
func Verify(ctx context.Context, r io.ReaderAt, size int64, options Options) (Report, error) {
	archive, err := container.Read(r, size)
	if errors.Is(err, container.ErrUnreadable) {
		return Report{}, fault.Wrap(fault.PacketUnreadable, err, "this is no proof packet")
	}
	if err != nil {
		return Report{}, fault.Wrap(fault.PacketUnreadable, err, "the packet cannot be read")
	}
	v := &verification{archive: archive, size: size, trust: options.Trust, algorithms: options.Algorithms, held: map[string][]byte{}, digests: map[string]blobs.Digest{}}
	if v.algorithms == nil {
		v.algorithms = signature.StandardAlgorithms()
	}
	v.open(ClaimArchive, "The archive has the one form of a packet: nothing is hidden in it")
	v.open(ClaimManifest, "Every file is in the manifest, and is what it says")
	v.open(ClaimSeal, "The operator's seal is on every file")
	for _, step := range []func(context.Context) error{v.readArchive, v.checkManifest, v.checkSeal, v.checkWholeLog, v.checkSubject} {
		if err := step(ctx); err != nil {
			return Report{}, fmt.Errorf("verify a packet: %w", err)
		}
	}
	report := v.report(v.manifest)
	report.Disputed = append(report.Disputed, v.disputed...)
	report.Signers = append(report.Signers, v.signers...)
	report.Unproven = v.unproven()
	return report, nil
}

// verification is one call of Verify.
type verification struct {
	inquiry
	archive    *container.Archive
	size       int64
	trust      Trust
	algorithms *signature.Algorithms
	// held has the contents of all but the document's files; digests the
	// SHA-256 of every file.
	held    map[string][]byte
	digests map[string]blobs.Digest
	sizes   map[string]int64
	// manifest is the zero value if it cannot be read.
	manifest    Manifest
	history     []record
	composition *composition
	disputed    []Disputed
	// folder is where the document lies that is looked into, "" in a packet of
	// one. Then everything here is of that folder, under names without it.
	folder string
	// log is what the packet has of the transparency log, nil for nothing.
	log *logPart
	// blind says that some event is not understood.
	blind   bool
	signers []Signer
	// closed counts the boxes that are not opened, though no event says that
	// what is in them was destroyed.
	closed int
	// cosigners are the witnesses among the given anchors that cosigned the
	// checkpoint. late is how long after the newest event the first of them, or
	// the first time token, came.
	cosigners []string
	late      *time.Duration
}

// checkWholeLog looks into what is about the log and not about single events.
func (v *verification) checkWholeLog(context.Context) error {
	if v.manifest.Subject.Kind != KindExtract {
		v.readLog()
		v.checkLog()
	}
	return nil
}

// checkSubject looks into what the packet is about.
func (v *verification) checkSubject(ctx context.Context) error {
	switch {
	case v.manifest.Subject.Kind == KindExtract:
		return v.checkExtract()
	case v.several():
		return v.checkParts(ctx)
	}
	v.open(ClaimEvents, eventsTitle)
	if err := v.checkEvents(ctx); err != nil {
		return err
	}
	return v.checkContents(ctx)
}

const eventsTitle = "The events are as they were committed, each linked to the one before"

// readArchive reads every content once.
func (v *verification) readArchive(ctx context.Context) error {
	claim := v.claim(ClaimArchive)
	for _, p := range v.archive.Problems {
		claim.no(p.File, "%s", p.Detail)
	}
	v.sizes = map[string]int64{}
	var held, read int64
	for _, f := range v.archive.Files {
		// Entries of a directory can lie over each other: a small file would be
		// read, and held, a thousand times.
		if f.Stored() > v.size-read {
			claim.no(f.Name, "it lies over other entries, and is not read")
			continue
		}
		read += f.Stored()
		sum, digest := crc32.NewIEEE(), newDigest()
		to := io.MultiWriter(sum, digest)
		var kept *bytes.Buffer
		if !streamed(f.Name) {
			if held += f.Size; f.Size > maxHeldFile || held > maxHeld {
				claim.no(f.Name, "%d bytes are more than such a file may have", f.Size)
			} else {
				kept = &bytes.Buffer{}
				to = io.MultiWriter(to, kept)
			}
		}
		n, err := io.Copy(to, cancellable{ctx, io.NopCloser(f.Open())})
		if err != nil {
			return fmt.Errorf("read %s: %w", f.Name, err)
		}
		switch {
		case n != f.Size:
			claim.as(CodeChanged).no(f.Name, "%d bytes of it are there, %d are announced", n, f.Size)
		case sum.Sum32() != f.CRC32:
			claim.as(CodeChanged).no(f.Name, "its content does not have the CRC-32 that the archive gives")
		}
		if kept != nil {
			v.held[f.Name] = kept.Bytes()
		}
		v.digests[f.Name], v.sizes[f.Name] = digest.sum(), n
	}
	claim.says("%d files", len(v.archive.Files))
	return nil
}

// streamed says that a file may be of any size and is not held in memory.
func streamed(name string) bool {
	return strings.HasPrefix(name, "verifier/") || strings.HasPrefix(name[len(documentFolder.FindString(name)):], "document/")
}

// checkManifest holds the archive against manifest.json and
// manifest-sha256.txt.
func (v *verification) checkManifest(context.Context) error {
	claim := v.claim(ClaimManifest)
	raw, ok := v.held[manifestName]
	if !ok {
		claim.as(CodeMissing).no(manifestName, "it is missing")
		return nil
	}
	var m Manifest
	if newer := formatOf(raw); newer > Format {
		claim.ununderstood(manifestName, "its format is %d and this verifier knows none above %d: ask a newer one", newer, Format)
		return nil
	}
	err := json.Unmarshal(raw, &m)
	if err == nil {
		var again []byte
		if again, err = encode(m); err == nil && !bytes.Equal(again, raw) {
			err = errors.New("it is not in the form in which it is written")
		}
	}
	switch {
	case err != nil:
		claim.as(CodeUnreadable).no(manifestName, "it cannot be read: %v", err)
		return nil
	case m.Format < oldest:
		claim.no(manifestName, "its format is %d, this verifier knows %d to %d", m.Format, oldest, Format)
		return nil
	case !m.wellFormed():
		claim.no(manifestName, "it is about nothing that a packet of its format can be about")
		return nil
	}
	v.manifest = m
	listed := map[string]bool{manifestName: true, sumsName: true, asicManifestName: true, sealName: true}
	for _, f := range m.Files {
		if listed[f.Path] {
			claim.no(manifestName, "it lists %q twice, or where it has no place", f.Path)
		}
		listed[f.Path] = true
		digest, ok := v.digests[f.Path]
		switch {
		case !ok:
			claim.as(CodeMissing).no(f.Path, "it is missing from the packet")
		case digest.String() != f.SHA256:
			claim.as(CodeChanged).no(f.Path, "its SHA-256 is not the one in the manifest")
		case v.sizes[f.Path] != f.Size:
			claim.as(CodeChanged).no(f.Path, "it has %d bytes, the manifest says %d", v.sizes[f.Path], f.Size)
		}
	}
	for _, f := range v.archive.Files {
		if !listed[f.Name] {
			claim.as(CodeExtra).no(f.Name, "it is not in the manifest")
		}
	}
	switch got, ok := v.held[sumsName]; {
	case !ok:
		claim.as(CodeMissing).no(sumsName, "it is missing")
	case !bytes.Equal(got, sums(m, raw)):
		claim.no(sumsName, "it does not have the lines that follow from manifest.json")
	}
	claim.says("%d files listed", len(m.Files))
	return nil
}

// formatOf reads the format alone, since nobody knows what else a manifest of a
// later format says.
func formatOf(raw []byte) int {
	var head struct {
		Format int `json:"format"`
	}
	_ = json.Unmarshal(raw, &head) // what cannot be read is found when all of it is read
	return head.Format
}

// wellFormed says that a manifest's head is one that could have been written.
func (m Manifest) wellFormed() bool {
	s := m.Subject
	one := s.Kind == KindDocument && s.Document != "" && s.Participant == "" && s.From == nil && s.To == nil && len(s.Documents) == 0
	if m.Format == formatTwo {
		return one && m.Verifier.File == "" && m.Log == nil && len(m.Losses) == 0
	}
	if len(m.Losses) > MaxLosses || slices.ContainsFunc(m.Losses, func(l Loss) bool { return !l.wellFormed() }) {
		return false
	}
	if m.Log != nil && (m.Format < formatLog || s.Kind == KindExtract || !m.Log.wellFormed()) {
		return false
	}
	if m.Verifier.File != "" && (s.Kind == KindExtract || !verifierName.MatchString(m.Verifier.File)) {
		return false
	}
	switch s.Kind {
	case KindDocument:
		return one
	case KindDocuments:
		return s.Document == "" && s.Participant == "" && s.From == nil && s.To == nil && len(s.Documents) > 0
	case KindParticipant:
		return s.Document == "" && s.Participant != "" && s.From != nil && s.To != nil && len(s.Documents) > 0
	case KindExtract:
		return len(s.Documents) == 0
	}
	return false
}

func (l LogHead) wellFormed() bool {
	return l.Origin != "" && l.NotCovered == (l.Size == 0) && l.NotCovered == (l.AsOf == 0)
}

// asicReference is a DataObjectReference.
type asicReference struct {
	URI    string `xml:"URI,attr"`
	Digest string `xml:"DigestValue"`
}

// checkSeal holds every file against the ASiC manifest, and that against the
// operator's seal.
func (v *verification) checkSeal(ctx context.Context) error {
	claim := v.claim(ClaimSeal)
	claim.Files = []string{asicManifestName, sealName}
	content, listed := v.held[asicManifestName]
	sealed, there := v.held[sealName]
	if !listed {
		claim.as(CodeMissing).no(asicManifestName, "it is missing")
	}
	if !there {
		claim.as(CodeMissing).no(sealName, "it is missing")
	}
	if !listed || !there {
		return nil
	}
	v.checkSealed(claim, content)
	asExpected := v.manifest.Format != 0 && bytes.Equal(content, asicManifest(v.manifest, v.held[manifestName], v.held[sumsName]))
	if v.manifest.Format != 0 && !asExpected {
		claim.no(asicManifestName, "it does not have the entries that follow from manifest.json")
	}
	certificate, err := openSeal(ctx, v.algorithms, sealed, content)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, errSealUnsupported):
		claim.unknown("%v", err)
	case err != nil:
		claim.no(sealName, "%v", err)
		if !asExpected {
			claim.no(asicManifestName, "the seal is not over this content")
		}
	}
	if certificate == nil {
		return nil
	}
	print := fingerprint(certificate)
	if v.manifest.Format != 0 && v.manifest.Operator.Certificate != print {
		claim.no(sealName, "it was made with another certificate (SHA-256 %s) than the manifest names", print)
	}
	if !slices.ContainsFunc(v.trust.Operators, func(c *x509.Certificate) bool { return c.Equal(certificate) }) {
		claim.unanchored("it was made with a certificate that is not among your anchors, SHA-256 %s", print)
	}
	claim.says("by the certificate with SHA-256 %s, which is among your anchors", print)
	return nil
}

// checkSealed holds each file against its DataObjectReference (ETSI
// EN 319 162-1, annex A.4), so that a changed file is named even when the
// other manifests are changed too.
func (v *verification) checkSealed(claim *findings, content []byte) {
	var manifest struct {
		References []asicReference `xml:"DataObjectReference"`
	}
	if !flatXML(content) || xml.Unmarshal(content, &manifest) != nil {
		claim.as(CodeUnreadable).no(asicManifestName, "it cannot be read")
		return
	}
	covered := map[string]bool{mimetypeName: true, asicManifestName: true, sealName: true}
	for _, reference := range manifest.References {
		name, err := url.PathUnescape(reference.URI)
		if err != nil {
			claim.no(asicManifestName, "a reference cannot be read")
			continue
		}
		covered[name] = true
		digest, ok := v.digests[name]
		switch {
		case !ok:
			claim.as(CodeMissing).no(name, "it is sealed and missing from the packet")
		case base64.StdEncoding.EncodeToString(digest[:]) != reference.Digest:
			claim.as(CodeChanged).no(name, "its SHA-256 is not the sealed one")
		}
	}
	for _, f := range v.archive.Files {
		if !covered[f.Name] {
			claim.as(CodeExtra).no(f.Name, "the seal does not cover it")
		}
	}
}

// flatXML says that XML is no deeper than an ASiC manifest is. To read it into a
// struct takes a hundred times its size where elements stand in one another
// without end; this takes nothing.
func flatXML(content []byte) bool {
	const deepest = 8
	decoder := xml.NewDecoder(bytes.NewReader(content))
	for depth := 0; ; {
		token, err := decoder.RawToken()
		if err != nil {
			return err == io.EOF
		}
		switch token.(type) {
		case xml.StartElement:
			if depth++; depth > deepest {
				return false
			}
		case xml.EndElement:
			depth--
		}
	}
}

var eventNamePattern = regexp.MustCompile(`^events/([0-9]{4,9})-[A-Za-z0-9]+\.json$`)

// checkEvents reads the events and computes every commitment and link anew.
func (v *verification) checkEvents(ctx context.Context) error {
	claim := v.claim(ClaimEvents)
	codec, err := newCodec()
	if err != nil {
		return err
	}
	type numbered struct {
		number int
		name   string
	}
	var files []numbered
	for _, f := range v.archive.Files {
		if !strings.HasPrefix(f.Name, "events/") {
			continue
		}
		match := eventNamePattern.FindStringSubmatch(f.Name)
		if match == nil || len(files) >= MaxEvents {
			claim.as(CodeExtra).no(f.Name, "it is no event of a packet")
			continue
		}
		number, _ := strconv.Atoi(match[1]) // at most nine digits
		files = append(files, numbered{number, f.Name})
	}
	slices.SortFunc(files, func(a, b numbered) int { return cmp.Compare(a.number, b.number) })
	heads := map[eventstore.StreamID]eventstore.Head{}
	broken := map[eventstore.StreamID]bool{}
	times := map[eventstore.StreamID]time.Time{}
	var last eventstore.Position
	for i, f := range files {
		r, err := decodeEvent(ctx, codec, v.held[f.name])
		if err == nil {
			var again []byte
			if again, err = encodeEvent(r); err == nil && !bytes.Equal(again, v.held[f.name]) {
				err = errors.New("it is not in the form in which events are written")
			}
		}
		if err != nil {
			claim.no(f.name, "%v", err)
			continue
		}
		if f.name != eventName(i+1, r.Type) {
			claim.no(f.name, "its name must be %s", eventName(i+1, r.Type))
		}
		if r.Position <= last {
			claim.no(f.name, "its position %d does not come after %d", uint64(r.Position), uint64(last))
		}
		last = r.Position
		// The ledger never records a time before that of the stream's last event.
		if before := times[r.Stream]; r.metadata.RecordedAt.Before(before) {
			claim.as(CodeBackwards).no(f.name, "it says that it was recorded %s before the event that it follows on its stream", before.Sub(r.metadata.RecordedAt))
		}
		times[r.Stream] = r.metadata.RecordedAt
		if head := heads[r.Stream]; r.Stream.Category() == participant.Category && r.metadata.Prev != nil && r.Revision > head.Next {
			// Of what lies between, nothing belongs into the packet.
			heads[r.Stream] = eventstore.Head{Next: r.Revision, Commitment: *r.metadata.Prev}
		}
		if !broken[r.Stream] {
			head, err := eventstore.Follow(heads[r.Stream], r.Event)
			if err != nil {
				broken[r.Stream] = true
				claim.no(f.name, "%v", err)
			}
			heads[r.Stream] = head
		}
		if r.unread != nil {
			claim.ununderstood(f.name, "a later version of the ledger wrote it, and this verifier does not understand it (%v): ask a newer one", r.unread)
		}
		v.history = append(v.history, r)
	}
	v.blind = blind(v.history)
	v.checkStreams(claim, heads)
	claim.says("%d events in %d streams%s", len(v.history), len(heads), v.checkWithheld(claim))
	return nil
}

// checkWithheld says which sealed data the packet does not open. A document's
// own may be withheld only where its destruction is recorded; of a participant's
// it is said that they were destroyed where an event in the packet says so, and
// nowhere else.
func (v *verification) checkWithheld(claim *findings) (note string) {
	var s document.State
	for _, r := range v.history {
		if r.Stream.Category() == document.Category {
			s = document.Evolve(s, r.event)
		}
	}
	gone := destroyedIn(v.history)
	destroyed := 0
	for i, r := range v.history {
		for _, box := range r.withheld {
			switch {
			case gone[box.Subject]:
				destroyed++
			case box.Subject != event.Subject("document", s.ID):
				v.closed++
			default:
				claim.as(CodeClosed).unknown("%s holds sealed data of the document that the packet does not open, though no event says that it was destroyed", eventName(i+1, r.Type))
			}
		}
	}
	if s.Gone() {
		note = "; the document was destroyed, as they say: its files and signatures are not here, their hashes are"
	}
	if destroyed > 0 {
		note += fmt.Sprintf("; %d sealed parts were destroyed, as they say", destroyed)
	}
	if v.closed > 0 {
		note += fmt.Sprintf("; %d sealed parts are not opened in this packet", v.closed)
	}
	return note
}

// checkStreams checks that the packet has the streams that its document calls
// for, and no others.
func (v *verification) checkStreams(claim *findings, heads map[eventstore.StreamID]eventstore.Head) {
	var subject eventstore.StreamID
	for stream := range heads {
		if stream.Category() != document.Category {
			continue
		}
		if subject != "" {
			claim.no("", "there are events of several documents")
		}
		subject = stream
	}
	if subject == "" {
		claim.no("", "there are no events of a document")
		return
	}
	if v.manifest.Format != 0 && v.manifest.Subject.Document != subject.ID() {
		claim.no(manifestName, "it names another document than the events")
	}
	wanted := map[eventstore.StreamID]bool{subject: true}
	for _, n := range needs(ofStream(v.history, subject)) {
		wanted[n.stream] = true
		switch count := heads[n.stream].Next; {
		case count == 0:
			claim.as(CodeMissing).against(v.blind, "", "the stream %s, which the document refers to, is missing", n.stream)
		case n.person && ofStream(v.history, n.stream)[0].Revision != 0:
			claim.against(v.blind, "", "the registration on the stream %s is missing", n.stream)
		}
	}
	for i, r := range v.history {
		if r.Stream.Category() == participant.Category && !ofPerson(r.Event) {
			claim.against(v.blind, eventName(i+1, r.Type), "of the stream %s only who it is belongs here, and that its data were destroyed", r.Stream)
		}
		if !wanted[r.Stream] {
			claim.against(v.blind, eventName(i+1, r.Type), "the document has nothing to do with the stream %s", r.Stream)
		}
	}
}

// checkContents composes the packet anew from its events and holds every file
// against the one that must be there; then it looks into what the events and
// the signatures say.
func (v *verification) checkContents(ctx context.Context) error {
	v.inquiry.open(ClaimStory, "The events tell of something that could happen in this order")
	v.inquiry.open(ClaimDocuments, "The document's files are byte for byte those that the events name")
	certificates := &findings{Claim: Claim{ID: ClaimCertificates, Title: "Each certificate was registered to its party and in force when its signature came", Holds: Yes}}
	journal := &findings{Claim: Claim{ID: ClaimJournal, Title: "The extract from the journals follows from the events", Holds: Yes}}
	contents := &findings{Claim: Claim{ID: ClaimContents, Title: contentsTitle, Holds: Yes}}
	ends := []*findings{certificates, journal}
	if v.folder != "" {
		ends = ends[:1]
	}
	if v.manifest.Format != formatTwo {
		ends = append(ends, &findings{Claim: Claim{ID: ClaimReport, Title: reportTitle, Holds: Yes}})
	}
	ends = append(ends, contents)

	// Events that are not understood are in their places all the same, and what
	// is signed can be looked into.
	if f := v.claim(ClaimEvents); f.Holds == Yes || f.Holds == CannotTell && f.newer && !f.missing {
		var subject string
		for _, r := range v.history {
			if r.Stream.Category() == document.Category {
				subject = r.Stream.ID()
			}
		}
		head := v.manifest
		if head.Format == 0 {
			head.Format = Format
		}
		v.takeProofs()
		composed, err := compose(head, subject, v.folder, v.history, v.log)
		if err != nil {
			v.claim(ClaimEvents).no("", "no packet follows from the events: %v", err)
		} else {
			v.composition = composed
		}
	}
	if v.composition == nil {
		v.claims = append(v.claims, ends...)
		untold := append(ends, v.claim(ClaimStory), v.claim(ClaimDocuments))
		if v.log.covered() {
			untold = append(untold, v.claim(ClaimInclusion))
		}
		for _, f := range untold {
			f.as(CodeDependent).unknown("cannot be told, because the events do not hold")
		}
		return nil
	}
	known := peopleOf(v.history)
	for i, s := range v.composition.signatures {
		claim := v.inquiry.open(s.claim, fmt.Sprintf("Signature %02d is that of %s over its file", i+1, cmp.Or(known[s.by.Party].Name, "a party whose name is not opened here")))
		claim.Files = []string{s.folder + "signature.p7s"}
		for _, f := range s.files {
			claim.Files = append(claim.Files, f.entry)
		}
	}
	v.claims = append(v.claims, ends...)

	expected := v.compare(v.composition.items)
	if v.folder == "" {
		v.checkWhole(expected, v.composition.manifest, v.composition.items)
	} else {
		v.checkNothingElse(expected)
	}
	v.checkProofs()
	for _, look := range []func(context.Context) error{v.story, v.certificates} {
		if err := look(ctx); err != nil {
			return err
		}
	}
	for _, s := range v.composition.signatures {
		if err := v.checkSignature(ctx, s); err != nil {
			return err
		}
		v.signers = append(v.signers, v.signerOf(s, known))
	}
	return nil
}

// takeProofs gives the composition the proofs that lie beside the events: they
// do not follow from these, and are checked by themselves.
func (v *verification) takeProofs() {
	if !v.log.covered() {
		return
	}
	own := *v.log
	own.proofs = map[eventstore.Hash][]byte{}
	for i, r := range v.history {
		if proof, ok := v.held[proofName(i+1)]; ok {
			own.proofs[r.Commitment] = proof
		}
	}
	v.log = &own
}

const (
	contentsTitle = "README and manifest follow from the events, and nothing else is in the packet"
	reportTitle   = "The readable report says what the events say, byte for byte"
)

// compare holds files against those that must be there, and returns the names
// of these.
func (v *verification) compare(items []item) (expected map[string]bool) {
	expected = map[string]bool{}
	for i := range items {
		item := &items[i]
		expected[item.name] = true
		if v.manifest.Format == 0 && (item.name == readmeName || item.claim == ClaimReport) {
			v.claim(item.claim).as(CodeDependent).unknown("%s cannot be compared, because manifest.json cannot be read", item.name)
			continue
		}
		if item.untold {
			v.claim(item.claim).ununderstood(item.name, "it cannot be compared: a later version's event is among those that it follows from")
			item.size = v.sizes[item.name]
			continue
		}
		claim := v.claim(item.claim)
		digest, ok := v.digests[item.name]
		switch {
		case !ok:
			claim.as(CodeMissing).against(v.blind && !item.certain(), item.name, "it is missing")
		case digest != item.digest && item.stored:
			claim.as(CodeChanged).no(item.name, "its SHA-256 is not the one that the events name")
		case digest != item.digest:
			claim.as(CodeChanged).against(v.blind && !item.certain(), item.name, "it is not what follows from the events")
		case item.size >= 0 && v.sizes[item.name] != item.size:
			claim.as(CodeChanged).no(item.name, "it has %d bytes, the events say %d", v.sizes[item.name], item.size)
		}
		item.size = v.sizes[item.name]
	}
	return expected
}

// checkNothingElse names what nothing calls for.
func (v *verification) checkNothingElse(expected map[string]bool) {
	for _, f := range v.archive.Files {
		if !expected[f.Name] {
			v.claim(ClaimContents).as(CodeExtra).against(v.blind, f.Name, "nothing in the events calls for it")
		}
	}
}

// checkWhole holds the archive and its manifest against all that must be
// there.
func (v *verification) checkWhole(expected map[string]bool, m Manifest, items []item) {
	contents := v.claim(ClaimContents)
	for _, name := range []string{manifestName, sumsName, asicManifestName, sealName} {
		expected[name] = true
	}
	var carried []item
	if name := v.manifest.Verifier.File; name != "" {
		// What it must be nobody can tell: its hash is what the manifest says.
		expected[name] = true
		if digest, ok := v.digests[name]; ok {
			carried = []item{{name: name, mediaType: typeProgram, digest: digest, size: v.sizes[name]}}
		} else {
			contents.as(CodeMissing).no(name, "it is missing")
		}
	}
	v.checkNothingElse(expected)
	if v.blind {
		contents.ununderstood(manifestName, "it cannot be compared: a later version's event is among those that it follows from")
		return
	}
	if v.manifest.Format != 0 {
		again, err := encode(withFiles(m, slices.Concat(items, carried)))
		if err != nil || !bytes.Equal(again, v.held[manifestName]) {
			contents.no(manifestName, "it is not what follows from the events and the files")
		}
	}
}

// checkSignature verifies one CMS anew, at the recorded moment.
func (v *verification) checkSignature(ctx context.Context, s signed) error {
	claim := v.claim(s.claim)
	name := s.folder + "signature.p7s"
	if len(s.files) == 0 {
		claim.against(v.blind, name, "what it signs is no file of the document")
		return nil
	}
	v.checkRecorded(claim, s)
	file, ok := v.archive.File(s.files[0].entry)
	message, there := v.held[name]
	if !ok || !there {
		claim.as(CodeMissing).unknown("the signature or its file is not in the packet")
		return nil
	}
	brought := v.brought(claim, s)
	// What the packet brings is trusted no more than it proves, unless the
	// question is what it would prove with anchors of its own.
	ask := func(policy *signature.Policy) (signature.Assessment, error) {
		policy.Offered, policy.Algorithms = brought.certificates, v.algorithms
		assessed, err := policy.Assess(ctx, signature.Request{CMS: message, At: s.signature.Verdict.At, Evidence: brought.evidence, Content: func() (io.ReadCloser, error) {
			return cancellable{ctx, io.NopCloser(file.Open())}, nil
		}})
		if err != nil {
			return assessed, fmt.Errorf("%s: %w", name, err)
		}
		return assessed, nil
	}
	assessed, err := ask(&signature.Policy{Roots: v.trust.Roots, Responders: v.trust.Responders})
	if err != nil {
		return err
	}
	if assessed.Signing.Status == signature.Unknown || !s.sameVerdicts(assessed) {
		alone, err := ask(&signature.Policy{Roots: brought.ends(s.signature.Verdict), Intermediates: brought.certificates})
		if err != nil {
			return err
		}
		if s.onlyAnchorsMissing(claim, assessed, alone) {
			return nil
		}
		if assessed.Signing.Status == signature.Unknown {
			assessed = alone
		}
	}
	s.conclude(claim, assessed)
	return nil
}

// checkRecorded holds what the events say of a signature against itself: nobody
// dates it back by writing another moment beside its verdicts.
func (v *verification) checkRecorded(claim *findings, s signed) {
	recorded := s.signature.Verdict
	if away := recorded.At.Sub(v.arrived(s)).Abs(); away > clockSlack {
		claim.as(CodeMoment).no(s.folder+"verdict.json", "its verdict is for a moment %s away from when it was recorded", away)
	}
	if !recorded.At.Equal(s.by.ReceivedAt) {
		claim.as(CodeMoment).no(s.folder+"verdict.json", "its verdict is for another moment than that of its receipt, %s", s.by.ReceivedAt.UTC())
	}
	at, trusted := document.TrustedTime(s.by.Signatures, s.by.Certificate)
	if !trusted {
		at = s.by.ReceivedAt
	}
	if trusted != s.by.TrustedTime || !at.Equal(s.by.SignedAt) {
		claim.as(CodeMoment).no(s.folder+"verdict.json", "it is recorded as signed at %s, and its verdicts say %s", s.by.SignedAt.UTC(), at.UTC())
	}
	if atSigning := s.signature.AtSigning(); atSigning.Status != signature.Valid {
		claim.no(s.folder+"verdict.json", "it counts as a signature though its verdict is %q", atSigning.Status)
	}
	if !slices.ContainsFunc(recorded.Signers, func(o signature.SignerVerdict) bool { return o.Certificate == s.by.Certificate }) {
		claim.no(s.folder+"verdict.json", "the party's certificate is not among those of the signers")
	}
}

// arrived is when a signature was recorded: of one that could not be told when
// it came, and was checked again, when the attempt was.
func (v *verification) arrived(s signed) time.Time {
	attempts := 0
	for _, r := range v.composition.streams[s.event.Stream] {
		refused, ok := r.event.(document.SignatureRefused)
		if !ok || refused.Party != s.by.Party || refused.Attempt > 0 {
			continue
		}
		if attempts++; attempts == s.by.Attempt && refused.Again {
			return r.metadata.RecordedAt
		}
	}
	return s.event.metadata.RecordedAt
}

// brought is what a packet brings to a signature, unverified.
type brought struct {
	certificates []*x509.Certificate
	evidence     []signature.Evidence
}

// brought reads what lies beside a signature.
func (v *verification) brought(claim *findings, s signed) (b brought) {
	for i := range len(s.chain) + 1 {
		path := s.folder + "certificate.cer"
		if i > 0 {
			path = s.chainName(i - 1)
		}
		certificate, err := v.certificate(path)
		if err != nil {
			claim.as(CodeUnreadable).no(path, "the certificate cannot be read")
			continue
		}
		b.certificates = append(b.certificates, certificate)
	}
	for _, e := range s.evidence {
		der, ok := v.held[e.name]
		if !ok {
			claim.as(CodeMissing).no(e.name, "the evidence is missing")
			continue
		}
		b.evidence = append(b.evidence, signature.Evidence{Kind: e.Kind, DER: der})
	}
	return b
}

// ends are the certificates where the chains of a recorded verdict ended, of the
// signers and of time-stamping authorities.
func (b brought) ends(recorded signature.Verdict) (ends []*x509.Certificate) {
	for _, signer := range recorded.Signers {
		for _, c := range b.certificates {
			if n := len(signer.Chain); n > 0 && signer.Chain[n-1] == fingerprint(c) {
				ends = append(ends, c)
			}
		}
	}
	for _, e := range b.evidence {
		if e.Kind != signature.EvidenceCertificate {
			continue
		}
		if c, err := pki.ParseCertificate(e.DER); err == nil && bytes.Equal(c.RawSubject, c.RawIssuer) {
			ends = append(ends, c)
		}
	}
	return ends
}

// onlyAnchorsMissing says whether it is only an anchor that is missing, of the
// signer or of a time-stamping authority: then the packet's own, where the
// recorded verdict ended, make the signature valid. The claim is told.
func (s signed) onlyAnchorsMissing(claim *findings, assessed, alone signature.Assessment) bool {
	told := assessed.Signing.Status != signature.Unknown
	if alone.Signing.Status != signature.Valid || told && !s.sameVerdicts(alone) {
		return false
	}
	if !s.sameVerdicts(alone) {
		claim.as(CodeVerdict).no(s.folder+"verdict.json", "the recorded verdict is not the one that is found now")
	}
	at := s.signature.AtSigning().At.UTC().Format("2006-01-02 15:04:05 UTC")
	switch {
	case told:
		claim.unanchored("valid at %s, but the token that proves this moment leads to a root that is not among your anchors", at)
	case onlyRevocation(assessed.Signing):
		claim.unanchored("valid at %s if the issuing authority's certificate was not revoked, for which it needs to be among your anchors", at)
	default:
		claim.unanchored("valid at %s, but its chain ends in a root that is not among your anchors", at)
	}
	return true
}

// conclude says what was found of a signature.
func (s signed) conclude(claim *findings, assessed signature.Assessment) {
	found := assessed.Signing
	switch {
	case found.Status == signature.Unknown && ended(found) && s.signature.AtSigning().Status == signature.Valid:
		claim.as(CodeInvalid).no(s.folder+"verdict.json",
			"it is recorded as valid, and nothing in the packet shows that it was made before its certificate ended")
	case found.Status == signature.Unknown:
		claim.as(CodeUndecided).unknown("it cannot be told whether it is valid: %s", codes(found))
	case found.Status != signature.Valid:
		claim.as(CodeInvalid).no(s.folder+"signature.p7s", "it is %s: %s", found.Status, codes(found))
	case !s.sameVerdicts(assessed):
		claim.as(CodeVerdict).no(s.folder+"verdict.json", "the recorded verdict is not the one that is found now")
	}
	whose := "which the operator's clock says"
	if assessed.Trusted {
		whose = "which a time token proves"
	}
	claim.says("valid at %s, %s", found.At.UTC().Format("2006-01-02 15:04:05 UTC"), whose)
	if s.replaced {
		claim.says("valid at %s; the key was found compromised later and the party signed again", found.At.UTC().Format("2006-01-02 15:04:05 UTC"))
	}
}

// ended says that a certificate had ended at the moment, with no token that could
// prove an earlier one: no anchors and no algorithms of the reader's would change
// that.
func ended(verdict signature.Verdict) bool {
	return slices.ContainsFunc(verdict.Signers, func(signer signature.SignerVerdict) bool {
		return slices.ContainsFunc(signer.Reasons, func(r signature.Reason) bool {
			return r.Code == signature.CertificateExpired || r.Code == signature.ChainExpired
		})
	})
}

// sameVerdicts compares both recorded verdicts with those that were found.
func (s signed) sameVerdicts(found signature.Assessment) bool {
	return sameVerdict(found.Receipt, s.signature.Verdict) && sameVerdict(found.Signing, s.signature.AtSigning())
}

// onlyRevocation says that nothing but evidence about revocation is missing.
func onlyRevocation(verdict signature.Verdict) bool {
	for _, signer := range verdict.Signers {
		for _, r := range signer.Reasons {
			if signature.StatusOf(r.Code) != signature.Valid && !signature.Passing(r.Code) {
				return false
			}
		}
	}
	return len(verdict.Reasons) == 0
}

// sameVerdict compares what two verdicts decide. The wording of details is not
// part of it, nor is the path of the chain, which depends on the anchors.
func sameVerdict(a, b signature.Verdict) bool {
	return a.Status == b.Status && a.At.Equal(b.At) &&
		slices.EqualFunc(a.Signers, b.Signers, func(a, b signature.SignerVerdict) bool {
			return a.Status == b.Status && a.Certificate == b.Certificate && a.Algorithm == b.Algorithm &&
				(a.ClaimedAt == nil) == (b.ClaimedAt == nil) && (a.ClaimedAt == nil || a.ClaimedAt.Equal(*b.ClaimedAt))
		})
}

func codes(verdict signature.Verdict) string {
	var list []string
	for _, r := range verdict.Reasons {
		list = append(list, r.Code)
	}
	for _, signer := range verdict.Signers {
		for _, r := range signer.Reasons {
			if signature.StatusOf(r.Code) != signature.Valid {
				list = append(list, r.Code)
			}
		}
	}
	return strings.Join(slices.Compact(list), ", ")
}

func (v *verification) certificate(name string) (*x509.Certificate, error) {
	der, ok := v.held[name]
	if !ok {
		return nil, errors.New("it is missing")
	}
	return pki.ParseCertificate(der)
}

// digest is a SHA-256 that ends in a blobs.Digest.
type digest struct{ hash.Hash }

func newDigest() digest { return digest{sha256.New()} }

func (d digest) sum() blobs.Digest { return blobs.Digest(d.Sum(nil)) }
