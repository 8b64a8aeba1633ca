package packet

import (
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

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
const extractPDFName = "extract.pdf"

// extractColumns are the columns of an extract's journal.csv.
var extractColumns = []string{
	"journal", "participant", "participantName", "document", "number", "kind", "title", "senderNumber", "date",
	"recordedAt", "event", "actor", "actorName", "onBehalfOf", "onBehalfOfName", "party", "partyName",
	"verdict", "code", "reasons", "text", "hashes", "revision", "position", "commitment",
}

// extractRow is an entry by the names of its columns.
type extractRow map[string]string

// ExportExtract writes an extract from the electronic journals (R-G2): the
// entries, as journal.csv and as extract.pdf in three languages, in an ASiC-E
// container with the operator's seal on both. Of the request it takes what
// [Export] takes, without Carry, and the subject thus:
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
		Format: Format, Ledger: request.Ledger, Verifier: request.Verifier,
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
	rows, err := extractRows(ctx, request, head.Subject, ids)
	if err != nil {
		return Manifest{}, err
	}
	items, manifest, err := composeExtract(head, rows)
	if err != nil {
		return Manifest{}, err
	}
	return write(ctx, out, nil, request.Sealer, manifest, items)
}

// extractRows reads the entries, in order of position and then of parties.
func extractRows(ctx context.Context, request Request, subject Subject, ids []string) ([]extractRow, error) {
	codec, err := newCodec()
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "event types")
	}
	if request.At == 0 {
		if request.At, err = request.Events.End(ctx); err != nil {
			return nil, fmt.Errorf("find the newest event: %w", err)
		}
	}
	type placed struct {
		position eventstore.Position
		row      extractRow
	}
	var all []placed
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
		for _, e := range entriesOf(history, id) {
			if subject.Participant != "" && e.participant != subject.Participant || !within(e.record.metadata.RecordedAt, subject.From, subject.To) {
				continue
			}
			if len(all) == MaxExtractRows {
				return nil, fault.New(fault.RequestTooLarge, "an extract has at most %d entries: ask for a shorter period", MaxExtractRows)
			}
			all = append(all, placed{e.record.Position, e.row()})
		}
		if request.Progress != nil {
			request.Progress(i+1, len(ids))
		}
	}
	if len(all) == 0 {
		return nil, fault.New(fault.RequestInvalid, "the journals have no entry of this")
	}
	slices.SortStableFunc(all, func(a, b placed) int { return cmp.Compare(a.position, b.position) })
	rows := make([]extractRow, len(all))
	for i, p := range all {
		rows[i] = p.row
	}
	return rows, nil
}

// entry is one event in one participant's journal.
type entry struct {
	journal, participant string
	record               record
	state                document.State
	known                people
}

// entriesOf are what each party's journal has about a document.
func entriesOf(history []record, id string) []entry {
	known := peopleOf(history)
	var final document.State
	own := ofStream(history, document.StreamID(id))
	for _, r := range own {
		final = document.Evolve(final, r.event)
	}
	c := composition{state: final}
	var list []entry
	for _, p := range c.parties() {
		var state document.State
		open := p.Participant == final.Sender
		e := entry{journal: "incoming", participant: p.Participant, known: known}
		if open {
			e.journal = "outgoing"
		}
		for _, r := range own {
			state = document.Evolve(state, r.event)
			if open = open || state.CanSee(p.Participant); !open {
				continue
			}
			e.record, e.state = r, state
			list = append(list, e)
		}
	}
	return list
}

// row writes an entry out.
func (e entry) row() extractRow {
	d, r := e.state.Details, e.record
	row := extractRow{
		"journal": e.journal, "participant": e.participant, "participantName": e.known[e.participant].Name,
		"document": e.state.ID, "number": e.state.Number, "kind": string(d.Kind), "title": d.Title, "senderNumber": d.Number, "date": d.Date,
		"recordedAt": r.metadata.RecordedAt.UTC().Format(time.RFC3339Nano), "event": r.Type,
		"actor": r.metadata.Actor, "actorName": e.known[r.metadata.Actor].Name,
		"onBehalfOf": r.metadata.OnBehalfOf, "onBehalfOfName": e.known[r.metadata.OnBehalfOf].Name,
		"revision": strconv.FormatUint(uint64(r.Revision), 10), "position": strconv.FormatUint(uint64(r.Position), 10), "commitment": r.Commitment.String(),
	}
	// The same facts as the report's, in columns.
	var reasons, texts, hashes []string
	for _, f := range factsOf(r.event, e.known) {
		switch v := f.Value; {
		case v.Who != nil && f.Label == "fact.party":
			row["party"], row["partyName"] = v.Who.ID, v.Who.Name
		case v.Who != nil:
			// Recipients and the like: the route is in the proof packet.
		case v.Family == "verdict":
			row["verdict"] = worse(row["verdict"], v.Text)
		case v.Family == "fault":
			row["code"] = v.Text
		case v.Family == "reason":
			reasons = append(reasons, v.Text)
		case f.Label == "fact.hash", f.Label == "fact.letter":
			hashes = append(hashes, v.Text)
		case f.Label == "fact.reason", f.Label == "fact.file", f.Label == "fact.notice":
			texts = append(texts, v.Text)
		case v.Family != "":
			texts = append(texts, v.Text)
		}
	}
	for column, cell := range row {
		row[column] = lineBreaks.Replace(cell)
	}
	row["reasons"], row["text"], row["hashes"] = strings.Join(slices.Compact(reasons), " "), lineBreaks.Replace(strings.Join(texts, "; ")), strings.Join(hashes, " ")
	return row
}

// lineBreaks makes all line breaks one kind, since CSV has no other.
var lineBreaks = strings.NewReplacer("\r\n", "\n", "\r", "\n")

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
func composeExtract(head Manifest, rows []extractRow) ([]item, Manifest, error) {
	newest := rows[len(rows)-1]
	position, err := strconv.ParseUint(newest["position"], 10, 63)
	if err != nil {
		return nil, head, fault.Wrap(fault.EventInvalid, err, "an entry's position")
	}
	head.Position = eventstore.Position(position)
	if head.ExportedAt, err = time.Parse(time.RFC3339Nano, newest["recordedAt"]); err != nil {
		return nil, head, fault.Wrap(fault.EventInvalid, err, "an entry's moment")
	}
	x := report.Extract{
		Source: source(head), Document: head.Subject.Document, Participant: report.Who{ID: head.Subject.Participant},
		From: at(head.Subject.From), To: at(head.Subject.To), Newest: newest["commitment"],
	}
	cells := make([][]string, len(rows))
	for i, row := range rows {
		for _, column := range extractColumns {
			cells[i] = append(cells[i], harmless(row[column]))
		}
		moment, err := time.Parse(time.RFC3339Nano, row["recordedAt"])
		if err != nil {
			return nil, head, fault.Wrap(fault.EventInvalid, err, "an entry's moment")
		}
		if row["participant"] == x.Participant.ID {
			x.Participant.Name = row["participantName"]
		}
		x.Entries = append(x.Entries, report.Entry{
			At: moment, Journal: row["journal"], Participant: report.Who{ID: row["participant"], Name: row["participantName"]},
			Document: row["document"], Number: row["number"], Kind: row["kind"], Title: row["title"], SenderNumber: row["senderNumber"], Date: row["date"],
			Type: row["event"], Actor: report.Who{ID: row["actor"], Name: row["actorName"]}, OnBehalf: report.Who{ID: row["onBehalfOf"], Name: row["onBehalfOfName"]},
			Party: report.Who{ID: row["party"], Name: row["partyName"]}, Verdict: row["verdict"], Code: row["code"], Reasons: strings.Fields(row["reasons"]),
			Text: row["text"], Position: row["position"], Commitment: row["commitment"],
		})
	}
	table, err := writeCSV(extractColumns, cells)
	if err != nil {
		return nil, head, err
	}
	paper, err := x.PDF()
	if err != nil {
		return nil, head, fault.Wrap(fault.Internal, err, "set the extract")
	}
	return []item{
		made(mimetypeName, "text/plain", ClaimArchive, []byte(mimetype)),
		made(readmeName, typeText, ClaimContents, readmeOfExtract(head)),
		made(journalName, typeCSV, ClaimJournal, table),
		made(extractPDFName, typePDF, ClaimReport, paper),
	}, head, nil
}

// harmless returns a cell that no spreadsheet takes for a formula: one that
// could be gets an apostrophe in front, as spreadsheets themselves write text,
// and so does one that begins with an apostrophe, so that plain finds it again.
func harmless(cell string) string {
	first := []rune(strings.TrimLeft(cell, " \u00a0"))
	if len(first) > 0 && slices.Contains([]rune("'=+-@\t\r\n|%\uff1d\uff0b\uff0d\uff20"), first[0]) {
		return "'" + cell
	}
	return cell
}

// readExtract reads journal.csv of an extract.
func readExtract(table []byte) ([]extractRow, error) {
	var records [][]string
	for reader := csv.NewReader(bytes.NewReader(table)); len(records) <= MaxExtractRows+1; {
		record, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		records = append(records, record)
	}
	if len(records) < 2 || len(records) > MaxExtractRows+1 || !slices.Equal(records[0], extractColumns) {
		return nil, fmt.Errorf("an extract has its %d columns and 1 to %d entries", len(extractColumns), MaxExtractRows)
	}
	rows := make([]extractRow, len(records)-1)
	for i, cells := range records[1:] {
		rows[i] = extractRow{}
		for j, column := range extractColumns {
			rows[i][column] = cells[j]
			if rest, ok := strings.CutPrefix(cells[j], "'"); ok {
				rows[i][column] = rest
			}
		}
	}
	return rows, nil
}

// checkExtract checks an extract from the journals: that its parts say the
// same. That the ledger has such entries is the operator's word, on which its
// seal stands; a proof packet has the events themselves.
func (v *verification) checkExtract() error {
	journal := v.open(ClaimJournal, "The entries are in the one form of an extract")
	paper := v.open(ClaimReport, "The extract as PDF says what its entries say, byte for byte")
	contents := v.open(ClaimContents, "README and manifest follow from the entries, and nothing else is in the extract")
	rows, err := readExtract(v.held[journalName])
	var items []item
	var manifest Manifest
	if err == nil {
		head := v.manifest
		head.Files = nil
		items, manifest, err = composeExtract(head, rows)
	}
	if err != nil {
		journal.no(journalName, "it cannot be read: %v", err)
		paper.unknown("cannot be told, because the entries cannot be read")
		contents.unknown("cannot be told, because the entries cannot be read")
		return nil
	}
	for i, row := range rows {
		moment, _ := time.Parse(time.RFC3339Nano, row["recordedAt"]) // composeExtract has read it
		if s := v.manifest.Subject; !within(moment, s.From, s.To) || s.Document != "" && row["document"] != s.Document || s.Participant != "" && row["participant"] != s.Participant {
			journal.no(journalName, "entry %d is not about what the manifest names", i+1)
		}
	}
	expected := v.compare(items)
	v.checkWhole(expected, manifest, items)
	journal.says("%d entries; that the ledger has them is the operator's word, which its seal stands for", len(rows))
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
journal.csv - те же записи таблицей. Печать оператора стоит на обоих: команды A
и B ниже проверяют хеши файлов и печать; operator.cer - сертификат оператора,
полученный от него самого. Всё сразу проверяет программа:
    dalel verify --trust ПАПКА ФАЙЛ
Что такие записи в реестре есть, показывает печать оператора. Сами события, из
которых составлены журналы, с подписями и цепью хешей - в пакете доказательств
документа; хеш в столбце commitment там тот же.
Апостроф в начале ячейки journal.csv добавлен, чтобы таблица не приняла текст за
формулу. Открывайте её с запятой как разделителем столбцов.

== ҚАЗАҚША ==

Бұл файл - электрондық журналдардан үзінді. extract.pdf - оқуға және басып
шығаруға арналған, journal.csv - дәл сол жазбалар кесте түрінде. Екеуіне де
оператордың мөрі қойылған: төмендегі A және B командалары файлдардың хештері мен
мөрді тексереді; operator.cer - оператордың өзінен алынған сертификаты. Бәрін
бірден бағдарлама тексереді:
    dalel verify --trust ҚАЛТА ФАЙЛ
Тізілімде мұндай жазбалар барын оператордың мөрі көрсетеді. Журналдар құралған
оқиғалардың өзі, қолтаңбалары және хештер тізбегімен, құжаттың дәлелдемелер
пакетінде; commitment бағанындағы хеш онда да сол.
journal.csv ұяшығының басындағы апостроф кесте мәтінді формула деп қабылдамауы
үшін қосылған. Оны бағандар бөлгіші ретінде үтірмен ашыңыз.

== ENGLISH ==

This file is an extract from the electronic journals. extract.pdf is for reading
and printing, journal.csv has the same entries as a table. The operator's seal is
on both: the commands A and B below check the files' hashes and the seal;
operator.cer is the operator's certificate as you got it from the operator. One
program checks everything:
    dalel verify --trust DIR FILE
That the ledger has these entries is what the operator's seal says. The events
that the journals are made of, with signatures and the chain of hashes, are in
the proof packet of the document; the hash in the column commitment is the same
there.
An apostrophe at the beginning of a cell of journal.csv keeps a spreadsheet from
taking the text for a formula. Open it with the comma as the separator of columns.
`
