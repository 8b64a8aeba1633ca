package pages

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"dalel/domain/ledger"
	"dalel/domain/participant"
	"dalel/eventstore"
	"dalel/internal/fault"
	"dalel/internal/sheet"
	"dalel/internal/typeset"
	"dalel/projections"
)

// How many entries a journal has at most as a file. One that has more says so.
const (
	// JournalRows is for CSV and XLSX: a workbook is in memory until it is whole.
	JournalRows = 20_000
	// JournalPDFRows is for PDF.
	JournalPDFRows = 5_000
)

// JournalFormat is the form of a journal as a file, by the ending of its name.
type JournalFormat string

// The forms.
const (
	JournalCSV  JournalFormat = "csv"
	JournalXLSX JournalFormat = "xlsx"
	JournalPDF  JournalFormat = "pdf"
)

// MediaType is the form's.
func (f JournalFormat) MediaType() string {
	switch f {
	case JournalXLSX:
		return sheet.XLSXMediaType
	case JournalPDF:
		return "application/pdf"
	}
	return sheet.MediaType
}

// JournalModels is what journals as files ask of the read models.
type JournalModels interface {
	Position(ctx context.Context) (eventstore.Position, error)
	Journal(ctx context.Context, filter projections.JournalFilter, page projections.Page) (projections.Result[projections.JournalRow], error)
	Names(ctx context.Context, ids ...string) (map[string]projections.Participant, error)
}

// Directory is what they ask of the ledger. IINs and BINs are in no read model.
type Directory interface {
	Participant(ctx context.Context, id string) (ledger.Snapshot[participant.State], error)
}

// Journals writes journals as files (R-G1), in the words of the pages. It may
// be used from many goroutines.
type Journals struct {
	models    JournalModels
	directory Directory
	catalogue catalogue
	// rows and pdfRows are the bounds.
	rows, pdfRows int
}

// NewJournals reads the catalogue.
func NewJournals(models JournalModels, directory Directory) (*Journals, error) {
	c, err := readCatalogue(messages)
	return &Journals{models: models, directory: directory, catalogue: c, rows: JournalRows, pdfRows: JournalPDFRows}, err
}

// JournalRequest asks for a journal as a file.
type JournalRequest struct {
	Filter   projections.JournalFilter
	Format   JournalFormat
	Language Language
	// Closed leaves out what is a document's content, for operators.
	Closed bool
	// Now is when the file is made.
	Now time.Time
}

// Write writes the journal, the newest entry first. Errors are those of the
// read models and of the ledger; nothing is written before all is read.
func (j *Journals) Write(ctx context.Context, out io.Writer, request JournalRequest) error {
	f := &journalFile{Journals: j, request: request, words: words{Lang: request.Language, catalogue: j.catalogue, now: request.Now}, people: map[string]participant.State{}}
	if err := f.read(ctx); err != nil {
		return err
	}
	switch request.Format {
	case JournalCSV:
		return f.csv(out)
	case JournalXLSX:
		return f.workbook(out)
	case JournalPDF:
		return f.pdf(out)
	}
	return fault.New(fault.RequestInvalid, "a journal is csv, xlsx or pdf")
}

// Stream writes all of a journal as CSV, however long it is; flush is called
// after each page of it.
func (j *Journals) Stream(ctx context.Context, out io.Writer, request JournalRequest, flush func() error) error {
	f := &journalFile{Journals: j, request: request, words: words{Lang: request.Language, catalogue: j.catalogue, now: request.Now}, people: map[string]participant.State{}}
	var lines *sheet.CSV
	for after := ""; ; {
		found, err := j.models.Journal(ctx, request.Filter, projections.Page{After: after, Limit: projections.MaxPage})
		if err != nil {
			return err
		}
		f.rows = found.Items
		if err := f.lookup(ctx); err != nil {
			return err
		}
		if lines == nil {
			if lines, err = sheet.NewCSV(out, f.columns()); err != nil {
				return fmt.Errorf("write the journal: %w", err)
			}
		}
		for _, row := range f.rows {
			if err := lines.Write(f.cells(row)); err != nil {
				return fmt.Errorf("write the journal: %w", err)
			}
		}
		if err := lines.Flush(); err != nil {
			return fmt.Errorf("write the journal: %w", err)
		}
		if err := flush(); err != nil {
			return err
		}
		if after = found.Next; after == "" {
			return nil
		}
	}
}

// journalFile is a journal being written.
type journalFile struct {
	*Journals
	words
	request JournalRequest
	asOf    eventstore.Position
	rows    []projections.JournalRow
	// more says that there are older entries than the file has.
	more   bool
	names  names
	people map[string]participant.State
}

// read reads the entries up to the bound, and whom they name.
func (f *journalFile) read(ctx context.Context) (err error) {
	most := f.Journals.rows
	if f.request.Format == JournalPDF {
		most = f.pdfRows
	}
	if f.asOf, err = f.models.Position(ctx); err != nil {
		return err
	}
	for page := (projections.Page{Limit: projections.MaxPage}); ; {
		found, err := f.models.Journal(ctx, f.request.Filter, page)
		if err != nil {
			return err
		}
		for _, row := range found.Items {
			switch {
			case row.Position > f.asOf:
				// It came while this was read.
			case len(f.rows) == most:
				f.more = true
				return f.lookup(ctx)
			default:
				f.rows = append(f.rows, row)
			}
		}
		if page.After = found.Next; page.After == "" {
			return f.lookup(ctx)
		}
	}
}

// lookup finds the names, and the IINs and BINs, of all whom the rows name.
func (f *journalFile) lookup(ctx context.Context) error {
	ids := []string{f.request.Filter.Participant, f.request.Filter.Counterparty}
	parties := slices.Clone(ids)
	for _, row := range f.rows {
		parties = append(append(parties, row.Participant), row.Counterparties...)
		ids = append(ids, row.Actor)
	}
	ids = append(ids, parties...)
	f.names = names{words: f.words, found: map[string]projections.Participant{}}
	slices.Sort(ids)
	for chunk := range slices.Chunk(slices.Compact(ids), projections.MaxNames) {
		found, err := f.models.Names(ctx, chunk...)
		if err != nil {
			return err
		}
		for id, one := range found {
			f.names.found[id] = one
		}
	}
	for _, id := range parties {
		if _, known := f.people[id]; known || id == "" {
			continue
		}
		found, err := f.directory.Participant(ctx, id)
		if err != nil && !fault.Is(err, fault.ParticipantUnknown) {
			return err
		}
		f.people[id] = found.State
	}
	return nil
}

// owned says that all entries are of one participant's journal.
func (f *journalFile) owned() bool { return f.request.Filter.Participant != "" }

func (f *journalFile) columns() []sheet.Column {
	var list []sheet.Column
	column := func(key string, kind sheet.Kind, width float64) {
		list = append(list, sheet.Column{Title: f.T(key), Kind: kind, Width: width})
	}
	column("column.number", sheet.Digits, 23)
	column("column.when", sheet.Moment, 19)
	column("column.direction", sheet.Text, 13)
	column("column.kind", sheet.Text, 18)
	if !f.request.Closed {
		column("column.title", sheet.Text, 40)
		column("column.own", sheet.Text, 15)
		column("column.date", sheet.Day, 12)
		column("column.sum", sheet.Sum, 16)
		column("column.currency", sheet.Text, 8)
	}
	if !f.owned() {
		column("column.participant", sheet.Text, 30)
		column("column.participant.id", sheet.Digits, 14)
	}
	column("column.counterparties", sheet.Text, 30)
	column("column.counterparties.id", sheet.Digits, 14)
	column("column.status", sheet.Text, 18)
	column("column.actor", sheet.Text, 28)
	return list
}

// cells are an entry in the order of the columns.
func (f *journalFile) cells(row projections.JournalRow) []sheet.Cell {
	list := []sheet.Cell{
		sheet.Named("№", row.Number), sheet.At(row.RegisteredAt), sheet.Of(f.T("direction." + string(row.Direction))), sheet.Of(f.T("kind." + string(row.Kind))),
	}
	if !f.request.Closed {
		date := sheet.Of(row.Date)
		if day, err := time.ParseInLocation(time.DateOnly, row.Date, sheet.Zone); err == nil {
			date = sheet.At(day)
		}
		minor, currency := "", ""
		if row.Sum != nil {
			minor, currency = row.Sum.Minor, row.Sum.Currency
		}
		list = append(list, sheet.Of(f.heading(row.Title, row.Destroyed)), sheet.Of(row.SenderNumber), date, sheet.Of(minor), sheet.Of(currency))
	}
	if !f.owned() {
		list = append(list, sheet.Of(f.names.of(row.Participant)), f.identifier(row.Participant))
	}
	var others []string
	for _, id := range row.Counterparties {
		others = append(others, f.names.of(id))
	}
	return append(list, sheet.Of(strings.Join(others, "; ")), f.identifier(row.Counterparties...),
		sheet.Of(f.headline(row.Headline).Text), sheet.Of(f.acting(row)))
}

// acting names the person who acted; an entity by itself is no person.
func (f *journalFile) acting(row projections.JournalRow) string {
	if found, ok := f.names.found[row.Actor]; ok && !found.Kind.IsPerson() {
		return ""
	}
	return f.names.of(row.Actor)
}

// identifier is the IIN or BIN of participants, with which it is where there
// are several.
func (f *journalFile) identifier(ids ...string) sheet.Cell {
	if len(ids) == 1 {
		one := f.people[ids[0]]
		if one.Identifier == "" {
			return sheet.Cell{}
		}
		return sheet.Named(f.T("identifier."+string(one.Kind)), one.Identifier)
	}
	var list []string
	for _, id := range ids {
		if one := f.people[id]; one.Identifier != "" {
			list = append(list, f.T("identifier."+string(one.Kind))+" "+one.Identifier)
		}
	}
	return sheet.Of(strings.Join(list, "; "))
}

// note says that there is more than the file has, "" where there is not.
func (f *journalFile) note() string {
	if !f.more {
		return ""
	}
	return f.T("journal.cut", "n", len(f.rows))
}

func (f *journalFile) csv(out io.Writer) error {
	lines, err := sheet.NewCSV(out, f.columns())
	if err != nil {
		return fmt.Errorf("write the journal: %w", err)
	}
	for _, row := range f.rows {
		if err := lines.Write(f.cells(row)); err != nil {
			return fmt.Errorf("write the journal: %w", err)
		}
	}
	if note := f.note(); note != "" {
		if err := lines.Note(note); err != nil {
			return fmt.Errorf("write the journal: %w", err)
		}
	}
	return lines.Flush()
}

func (f *journalFile) workbook(out io.Writer) error {
	table := sheet.Table{Name: f.T("nav.journal"), Columns: f.columns(), Note: f.note()}
	for _, row := range f.rows {
		table.Rows = append(table.Rows, f.cells(row))
	}
	about := sheet.Table{Name: f.T("journal.about"), Columns: []sheet.Column{{Title: f.T("journal.about.what"), Width: 28}, {Title: f.T("journal.about.value"), Width: 80}}}
	for _, fact := range f.facts() {
		about.Rows = append(about.Rows, []sheet.Cell{sheet.Of(fact[0]), sheet.Of(fact[1])})
	}
	return sheet.Workbook{Title: f.T("journal.title"), Language: string(f.Lang) + "-KZ", At: f.request.Now, Tables: []sheet.Table{table, about}}.Write(out)
}

// facts are what the journal is, and how it was narrowed.
func (f *journalFile) facts() [][2]string {
	var list [][2]string
	add := func(key, value string) {
		if value != "" {
			list = append(list, [2]string{f.T(key), value})
		}
	}
	filter := f.request.Filter
	if f.owned() {
		add("column.participant", f.named(filter.Participant))
	} else {
		add("column.participant", f.T("journal.all"))
	}
	add("journal.period", f.period(filter.From, filter.To))
	if filter.Direction != "" {
		add("column.direction", f.T("direction."+string(filter.Direction)))
	}
	if filter.Kind != "" {
		add("column.kind", f.T("kind."+string(filter.Kind)))
	}
	if filter.Status != "" {
		add("column.status", f.T("status."+string(filter.Status)))
	}
	if filter.Counterparty != "" {
		add("journal.party", f.named(filter.Counterparty))
	}
	add("journal.number", filter.Number)
	add("journal.made", f.moment(f.request.Now).Exact+" (UTC+5)")
	add("journal.position", strconv.FormatUint(uint64(f.asOf), 10))
	count := strconv.Itoa(len(f.rows))
	if f.more {
		count += ". " + f.note()
	}
	add("journal.count", count)
	return list
}

// named is a participant by name with its IIN or BIN.
func (f *journalFile) named(id string) string {
	text := f.names.of(id)
	if one := f.people[id]; one.Identifier != "" {
		text += ", " + f.T("identifier."+string(one.Kind)) + " " + one.Identifier
	}
	return text
}

// period is what bounds the moments of registration: whole days where they are.
func (f *journalFile) period(from, to time.Time) string {
	midnight := func(t time.Time) bool { return t.In(zone).Format(time.TimeOnly) == "00:00:00" }
	begin, end := f.moment(from).Text, f.moment(to).Text
	if midnight(from) {
		begin = f.date(from)
	}
	if midnight(to) {
		end = f.date(to.Add(-time.Second))
	}
	switch {
	case from.IsZero() && to.IsZero():
		return f.T("journal.period.all")
	case to.IsZero():
		return f.T("journal.period.from", "from", begin)
	case from.IsZero():
		return f.T("journal.period.to", "to", end)
	}
	return f.T("journal.period.both", "from", begin, "to", end)
}

// pdf has what belongs together in one column: a paper is read, not filtered.
func (f *journalFile) pdf(out io.Writer) error {
	data := typeset.ListingData{
		Title: f.T("journal.title"), Language: string(f.Lang) + "-KZ", At: f.request.Now, Facts: f.facts(),
		Empty: f.T("journal.empty"), Note: f.note(), Page: f.T("journal.page", "n", "{n}", "total", "{total}"),
	}
	column := func(key string, width float64) {
		data.Columns = append(data.Columns, typeset.ListingColumn{Title: f.T(key), Width: width, Right: key == "column.sum"})
	}
	column("column.number", 27)
	column("column.when", 21)
	column("column.direction", 22)
	column("column.kind", 24)
	if !f.request.Closed {
		column("column.title", 52)
		column("column.own", 24)
		column("column.sum", 25)
	}
	if !f.owned() {
		column("column.participant", 40)
	}
	column("column.counterparties", 48)
	column("column.status", 26)
	column("column.actor", 30)
	for _, row := range f.rows {
		data.Rows = append(data.Rows, f.line(row))
	}
	content, err := typeset.Listing(data)
	if err != nil {
		return err
	}
	if _, err := out.Write(content); err != nil {
		return fmt.Errorf("write the journal: %w", err)
	}
	return nil
}

// line is an entry as paper has it.
func (f *journalFile) line(row projections.JournalRow) []string {
	line := []string{
		strings.Join(parts(row.Number), " "), row.RegisteredAt.In(zone).Format("02.01.2006 15:04:05"),
		f.T("direction." + string(row.Direction)), f.T("kind." + string(row.Kind)),
	}
	if !f.request.Closed {
		line = append(line, f.heading(row.Title, row.Destroyed), f.cited(row.SenderNumber, row.Date), f.Lang.money(row.Sum))
	}
	if !f.owned() {
		line = append(line, f.named(row.Participant))
	}
	var others []string
	for _, id := range row.Counterparties {
		others = append(others, f.named(id))
	}
	return append(line, strings.Join(others, "; "), f.headline(row.Headline).Text, f.acting(row))
}
