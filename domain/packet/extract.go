package packet

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"time"

	"dalel/domain/certificate"
	"dalel/domain/document"
	"dalel/domain/packet/report"
	"dalel/domain/signature"
	"dalel/eventstore"
	"dalel/internal/fault"
)

// MaxExtractRows is how many entries an extract from the journals has at most:
// its PDF has each in three languages.
const MaxExtractRows = 5_000

// AllSource gives all events in order. Every eventstore.Store is one.
type AllSource interface {
	ReadAll(ctx context.Context, after eventstore.Position, limit int) iter.Seq2[eventstore.Recorded, error]
}

// DocumentsOf finds, by reading every event up to a position (0 for all), the
// documents whose packet a participant's period asks for: those that the
// participant sent or was delivered between from and to (not included), in the
// order in which its journal has them. Progress, if not nil, is told how far
// the reading has come. Errors are those of the source.
func DocumentsOf(ctx context.Context, source AllSource, participant string, from, to time.Time, until eventstore.Position, progress func(at eventstore.Position)) ([]string, error) {
	return scan(ctx, source, until, progress, func(r eventstore.Recorded) (string, bool, error) {
		if r.Type != (document.Sent{}).EventType() && r.Type != (document.Delivered{}).EventType() {
			return "", false, nil
		}
		// None of this is sealed.
		var entry struct {
			Sender, Recipient   string
			SentAt, DeliveredAt time.Time
		}
		if err := json.Unmarshal(r.Data, &entry); err != nil {
			return "", false, err
		}
		when := entry.SentAt
		if r.Type == (document.Delivered{}).EventType() {
			entry.Sender, when = entry.Recipient, entry.DeliveredAt
		}
		return r.Stream.ID(), entry.Sender == participant && within(when, &from, &to), nil
	})
}

// DocumentsIn finds, in the same way, the documents of which something was
// recorded between from and to: those that an extract for the period may have
// entries of.
func DocumentsIn(ctx context.Context, source AllSource, from, to time.Time, until eventstore.Position, progress func(at eventstore.Position)) ([]string, error) {
	return scan(ctx, source, until, progress, func(r eventstore.Recorded) (string, bool, error) {
		metadata, err := r.ReadMetadata()
		return r.Stream.ID(), within(metadata.RecordedAt, &from, &to), err
	})
}

func scan(ctx context.Context, source AllSource, until eventstore.Position, progress func(eventstore.Position), wanted func(eventstore.Recorded) (string, bool, error)) ([]string, error) {
	var ids []string
	seen := map[string]bool{}
	for r, err := range source.ReadAll(ctx, 0, 0) {
		if err != nil {
			return nil, fmt.Errorf("look for documents: %w", err)
		}
		if until > 0 && r.Position > until {
			break
		}
		if progress != nil {
			progress(r.Position)
		}
		if r.Stream.Category() != document.Category {
			continue
		}
		id, ok, err := wanted(r)
		if err != nil {
			return nil, fault.Wrap(fault.EventInvalid, err, "%s@%d", r.Stream, r.Revision)
		}
		if ok && !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// Names of the entries of an extract, beside those that packets have too.
const (
	extractJSONName = "journal.json"
	extractPDFName  = "extract.pdf"
)

// ExportExtract writes an extract from the electronic journals (R-G2): the
// entries, as journal.json for programs, as journal.csv and journal.xlsx for
// spreadsheets and as extract.pdf in three languages, in an ASiC-E container
// with the operator's seal on all. Of the request it takes what [Export] takes, without Carry, and the subject thus:
//
//   - Document: the journals of all parties as far as they are about it; with
//     Participant, that participant's alone;
//   - Participant, From, To: its journals in the period. Documents are those
//     to look into, at least those of which something was recorded then;
//   - From, To: the same for the journals of all participants.
//
// A participant's journal has what was recorded about a document that it sent,
// or from its delivery on. The same subject at the same position gives the
// same bytes. Errors: those of Export; request.invalid if there is no entry
// (what was never recorded has no moment that an extract could bear), and
// request.too-large above [MaxExtractRows].
func ExportExtract(ctx context.Context, out io.Writer, request Request) (Manifest, error) {
	if request.Events == nil || request.Sealer == nil {
		return Manifest{}, fault.New(fault.Internal, "an extract needs events and a sealer")
	}
	head := Manifest{
		Format: Format, Ledger: request.Ledger, Verifier: request.Verifier, Losses: request.Losses,
		Operator: Operator{Certificate: fingerprint(request.Sealer.Certificate())},
		Subject:  Subject{Kind: KindExtract, Document: request.Document, Participant: request.Participant},
	}
	ids := request.Documents
	switch period := !request.From.IsZero() || !request.To.IsZero(); {
	case request.Document != "" && (period || len(ids) > 0):
		return Manifest{}, fault.New(fault.RequestInvalid, "an extract is about a document or about a period")
	case request.Document != "":
		ids = []string{request.Document}
	case !request.From.Before(request.To):
		return Manifest{}, fault.New(fault.RequestInvalid, "the period ends before it begins")
	default:
		from, to := request.From.UTC(), request.To.UTC()
		head.Subject.From, head.Subject.To = &from, &to
	}
	entries, err := extractEntries(ctx, request, head.Subject, ids)
	if err != nil {
		return Manifest{}, err
	}
	items, manifest, err := composeExtract(head, entries)
	if err != nil {
		return Manifest{}, err
	}
	return write(ctx, out, nil, request.Sealer, manifest, items)
}

// extractEntries reads the entries, in order of position and then of parties.
func extractEntries(ctx context.Context, request Request, subject Subject, ids []string) ([]report.Entry, error) {
	codec, err := newCodec()
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "event types")
	}
	if request.At == 0 {
		if request.At, err = request.Events.End(ctx); err != nil {
			return nil, fmt.Errorf("find the newest event: %w", err)
		}
	}
	var all []report.Entry
	seen := map[string]bool{}
	for i, id := range ids {
		if seen[id] {
			continue
		}
		seen[id] = true
		request.Document = id
		history, err := collect(ctx, request, codec)
		if fault.Is(err, fault.DocumentUnknown) && subject.Document == "" {
			continue // it came after that position
		}
		if err != nil {
			return nil, err
		}
		for _, e := range entriesOf(history, id, subject.Participant) {
			if subject.Participant != "" && e.participant != subject.Participant || !within(e.record.metadata.RecordedAt, subject.From, subject.To) {
				continue
			}
			if len(all) == MaxExtractRows {
				return nil, fault.New(fault.RequestTooLarge, "an extract has at most %d entries: ask for a shorter period", MaxExtractRows)
			}
			all = append(all, e.written())
		}
		if request.Progress != nil {
			request.Progress(i+1, len(ids))
		}
	}
	if len(all) == 0 {
		return nil, fault.New(fault.RequestInvalid, "the journals have no entry of this")
	}
	slices.SortStableFunc(all, func(a, b report.Entry) int { return cmp.Compare(a.Position, b.Position) })
	return all, nil
}

// The two journals of a participant.
const (
	incoming = "incoming"
	outgoing = "outgoing"
)

// entry is one event in one participant's journal.
type entry struct {
	journal, participant string
	record               record
	state                document.State
	known                people
	// force is that of the signatures after the event, by the certificates'
	// events up to it; viewer is whose journal is asked for, "" for all.
	force  document.Force
	viewer string
	signer *report.Signer
}

// moment is a document after one of its events.
type moment struct {
	record record
	state  document.State
	force  document.Force
	signer *report.Signer
}

// momentsOf replays a history, in order of position. It has the stream of each
// certificate that signed ([needs]), so that the certificates are known as they
// were at each event of the document.
func momentsOf(history []record, id string, known people) []moment {
	var list []moment
	var state document.State
	certificates := map[string]certificate.State{}
	registered := map[string]certificate.Registered{}
	for _, r := range history {
		if e, ok := r.event.(certificate.Registered); ok {
			registered[e.Certificate] = e
		}
		if r.event != nil && r.Stream.Category() == certificate.Category {
			certificates[r.Stream.ID()] = certificate.Evolve(certificates[r.Stream.ID()], r.event)
		}
		if r.Stream != document.StreamID(id) {
			continue
		}
		state = document.Evolve(state, r.event)
		m := moment{record: r, state: state, force: state.Weakest(state.Standings(certificates))}
		if e, ok := r.event.(document.Signed); ok {
			m.signer = &report.Signer{
				By: known.named(cmp.Or(e.By.Person, e.Party)), Party: known.named(e.Party), Certificate: subjectOf(registered[e.Certificate]),
			}
		}
		list = append(list, m)
	}
	return list
}

// entriesOf are what each party's journal has about a document, as the viewer
// sees it: the participant whose journal is asked for, "" for all parties'.
func entriesOf(history []record, id, viewer string) []entry {
	known := peopleOf(history)
	moments := momentsOf(history, id, known)
	final := moments[len(moments)-1].state
	c := composition{state: final}
	var list []entry
	for _, p := range c.parties() {
		open := p.Participant == final.Sender
		e := entry{journal: incoming, participant: p.Participant, known: known, viewer: viewer}
		if open {
			e.journal = outgoing
		}
		for _, m := range moments {
			if open = open || m.state.CanSee(p.Participant); !open {
				continue
			}
			e.record, e.state, e.force, e.signer = m.record, m.state, m.force, m.signer
			list = append(list, e)
		}
	}
	return list
}

// written is an entry as the journal has it.
func (e entry) written() report.Entry {
	d, r := e.state.Details, e.record
	w := report.Entry{
		At: r.metadata.RecordedAt.UTC(), Journal: e.journal, Participant: e.known.named(e.participant),
		Document: e.state.ID, Number: e.state.Number, Kind: string(d.Kind), Title: d.Title, SenderNumber: d.Number, Date: d.Date,
		Headline: string(e.state.Situation(e.force, e.viewer).Headline()), Signature: e.signer, Type: r.Type, Actor: e.known.named(r.metadata.Actor), OnBehalf: e.known.named(r.metadata.OnBehalfOf),
		Revision: uint64(r.Revision), Position: uint64(r.Position), Commitment: r.Commitment.String(),
	}
	if d.Sum != nil {
		w.Minor, w.Currency = d.Sum.Minor, d.Sum.Currency
	}
	if e.journal == outgoing {
		for _, p := range e.state.Parties {
			if p.Participant != e.state.Sender {
				w.Others = append(w.Others, e.known.named(p.Participant))
			}
		}
	} else {
		w.Others = []report.Named{e.known.named(e.state.Sender)}
	}
	// The same facts as the report's, in columns.
	var texts []string
	for _, f := range factsOf(r.event, e.known) {
		switch v := f.Value; {
		case v.Who != nil && f.Label == "fact.party":
			w.Party = e.known.named(v.Who.ID)
		case v.Who != nil:
			// Recipients and the like: the route is in the proof packet.
		case v.Family == "verdict":
			w.Verdict = worse(w.Verdict, v.Text)
		case v.Family == "fault":
			w.Code = v.Text
		case v.Family == "reason":
			if !slices.Contains(w.Reasons, v.Text) {
				w.Reasons = append(w.Reasons, v.Text)
			}
		case f.Label == "fact.hash", f.Label == "fact.letter":
			w.Hashes = append(w.Hashes, v.Text)
		case f.Label == "fact.reason", f.Label == "fact.file", f.Label == "fact.notice", v.Family != "":
			texts = append(texts, v.Text)
		}
	}
	w.Text = strings.Join(texts, "; ")
	return w
}

// named is a participant as an entry names it; the zero value for no id.
func (p people) named(id string) report.Named {
	one := p[id]
	return report.Named{ID: id, Name: one.Name, Kind: string(one.Kind), Identifier: one.Identifier, Erased: one.destroyed}
}

// worse is the worse of two verdicts, as that of a whole is.
func worse(a, b string) string {
	for _, status := range []signature.Status{signature.Invalid, signature.Unknown} {
		if a == string(status) || b == string(status) {
			return string(status)
		}
	}
	return b
}

// composeExtract makes an extract's files of its entries.
func composeExtract(head Manifest, entries []report.Entry) ([]item, Manifest, error) {
	newest := entries[len(entries)-1]
	head.Position, head.ExportedAt = eventstore.Position(newest.Position), newest.At
	x := report.Extract{
		Source: source(head), Document: head.Subject.Document, Participant: report.Named{ID: head.Subject.Participant},
		From: at(head.Subject.From), To: at(head.Subject.To), Newest: newest.Commitment, Entries: entries,
	}
	for _, e := range entries {
		if e.Participant.ID == x.Participant.ID {
			x.Participant = e.Participant
		}
	}
	list, err := encode(entries)
	if err != nil {
		return nil, head, err
	}
	paper, err := x.PDF()
	if err != nil {
		return nil, head, fault.Wrap(fault.Internal, err, "set the extract")
	}
	tables, err := journalItems(report.Journal{At: head.ExportedAt, Entries: entries})
	if err != nil {
		return nil, head, err
	}
	return append(tables,
		made(mimetypeName, "text/plain", ClaimArchive, []byte(mimetype)),
		made(readmeName, typeText, ClaimContents, readmeOfExtract(head)),
		made(extractJSONName, typeJSON, ClaimJournal, list),
		made(extractPDFName, typePDF, ClaimReport, paper)), head, nil
}

// readExtract reads journal.json of an extract, in the one form that is written.
func readExtract(list []byte) ([]report.Entry, error) {
	var entries []report.Entry
	if err := json.Unmarshal(list, &entries); err != nil {
		return nil, err
	}
	if len(entries) == 0 || len(entries) > MaxExtractRows {
		return nil, fmt.Errorf("an extract has 1 to %d entries", MaxExtractRows)
	}
	again, err := encode(entries)
	if err == nil && !bytes.Equal(again, list) {
		err = errors.New("it is not in the form in which it is written")
	}
	return entries, err
}

// checkExtract checks an extract from the journals: that its parts say the
// same. That the ledger has such entries is the operator's word, on which its
// seal stands; a proof packet has the events themselves.
func (v *verification) checkExtract() error {
	journal := v.open(ClaimJournal, "The entries are in the one form of an extract")
	paper := v.open(ClaimReport, "The extract as PDF says what its entries say, byte for byte")
	contents := v.open(ClaimContents, "README and manifest follow from the entries, and nothing else is in the extract")
	entries, err := readExtract(v.held[extractJSONName])
	var items []item
	var manifest Manifest
	if err == nil {
		head := v.manifest
		head.Files = nil
		items, manifest, err = composeExtract(head, entries)
	}
	if err != nil {
		journal.as(CodeUnreadable).no(extractJSONName, "it cannot be read: %v", err)
		paper.as(CodeDependent).unknown("cannot be told, because the entries cannot be read")
		contents.as(CodeDependent).unknown("cannot be told, because the entries cannot be read")
		return nil
	}
	for i, e := range entries {
		s := v.manifest.Subject
		about := within(e.At, s.From, s.To) && (s.Document == "" || e.Document == s.Document) && (s.Participant == "" || e.Participant.ID == s.Participant)
		if !about {
			journal.no(extractJSONName, "entry %d is not about what the manifest names", i+1)
		}
	}
	expected := v.compare(items)
	v.checkWhole(expected, manifest, items)
	journal.says("%d entries; that the ledger has them is the operator's word, which its seal stands for", len(entries))
	return nil
}

func readmeOfExtract(m Manifest) []byte {
	var b strings.Builder
	var about []string
	add := func(label, value string) { about = append(about, fmt.Sprintf("%-13s %s", label, line(value))) }
	if m.Subject.Document != "" {
		add("Document:", m.Subject.Document)
	}
	if m.Subject.Participant != "" {
		add("Participant:", m.Subject.Participant)
	}
	if m.Subject.From != nil {
		add("Period:", rfc3339(m.Subject.From)+" to "+rfc3339(m.Subject.To))
	}
	readmeHead(&b, m, strings.Join(about, "\n"))
	b.WriteString(readmeExtract)
	b.WriteString(readmeCommands)
	wholeCommands(&b)
	return []byte(b.String())
}

const readmeExtract = `== РУССКИЙ ==

Этот файл - выписка из электронных журналов. extract.pdf - для чтения и печати,
journal.xlsx и journal.csv - те же записи таблицей, journal.json - для программ.
Печать оператора стоит на всех: команды A и B ниже проверяют хеши файлов и
печать; operator.cer - регистрационное свидетельство оператора, полученное от него самого. Всё
сразу проверяет программа:
    dalel verify --trust ПАПКА ФАЙЛ
Что такие записи в реестре есть, показывает печать оператора. Сами события, из
которых составлены журналы, с подписями и цепью хешей - в пакете доказательств
документа; хеш события там тот же.
journal.xlsx - на трёх языках. journal.csv - на русском: UTF-8, столбцы через
точку с запятой. Апостроф в нём стоит перед текстом, который таблица приняла бы
за формулу, число или дату.

== ҚАЗАҚША ==

Бұл файл - электрондық журналдардан үзінді. extract.pdf - оқуға және басып
шығаруға арналған, journal.xlsx пен journal.csv - дәл сол жазбалар кесте түрінде,
journal.json - бағдарламаларға. Бәріне оператордың мөрі қойылған: төмендегі A және
B командалары файлдардың хештері мен мөрді тексереді; operator.cer - оператордың өзінен алынған тіркеу куәлігі. Бәрін
бірден бағдарлама тексереді:
    dalel verify --trust ҚАЛТА ФАЙЛ
Тізілімде мұндай жазбалар барын оператордың мөрі көрсетеді. Журналдар құралған
оқиғалардың өзі, қолтаңбалары және хештер тізбегімен, құжаттың дәлелдемелер
пакетінде; оқиғаның хеші онда да сол.
journal.xlsx - үш тілде. journal.csv - орыс тілінде: UTF-8, бағандар нүктелі
үтірмен бөлінген. Ондағы апостроф кесте формула, сан не күн деп қабылдайтын
мәтіннің алдында тұр.

== ENGLISH ==

This file is an extract from the electronic journals. extract.pdf is for reading
and printing, journal.xlsx and journal.csv have the same entries as a table,
journal.json has them for programs. The operator's seal is on all of them: the
commands A and B below check the files' hashes and the seal;
operator.cer is the operator's certificate as you got it from the operator. One
program checks everything:
    dalel verify --trust DIR FILE
That the ledger has these entries is what the operator's seal says. The events
that the journals are made of, with signatures and the chain of hashes, are in
the proof packet of the document; an event's hash is the same there.
journal.xlsx is in three languages. journal.csv is in Russian: UTF-8, columns
parted by semicolons. An apostrophe in it stands before a text that a spreadsheet
would take for a formula, a number or a day.
`
