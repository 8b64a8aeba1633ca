package packet

import (
	"cmp"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"dalel/domain/document"
	"dalel/domain/packet/report"
	"dalel/internal/fault"
)

// MaxDocuments is how many documents a packet holds at most. What is made of
// their events is held in memory until the packet is written.
const MaxDocuments = 200

// whole is everything that follows from the events of a packet's documents.
type whole struct {
	manifest Manifest // without files
	parts    []*composition
	// items are those of all parts, under their names in the packet, and those
	// that belong to no part.
	items []item
	// own is where the latter begin.
	own int
	log *logPart
}

// story is the history of one document of a packet.
type story struct {
	document string
	history  []record
}

func (s story) own() []record { return ofStream(s.history, document.StreamID(s.document)) }

// folderOf is where the n-th document lies, from 1.
func folderOf(n int) string { return fmt.Sprintf("documents/%04d/", n) }

// documentFolder matches what lies in a document's folder.
var documentFolder = regexp.MustCompile(`^documents/[0-9]{4}/`)

// composeWhole works out what a packet must hold. Of the manifest it takes
// format, ledger, operator and verifier, and the subject's kind, participant
// and period.
func composeWhole(head Manifest, stories []story, log *logPart) (*whole, error) {
	if head.Subject.Kind == KindDocument {
		c, err := compose(head, stories[0].document, "", stories[0].history, log)
		if err != nil {
			return nil, err
		}
		return &whole{manifest: c.manifest, parts: []*composition{c}, items: c.items, own: len(c.items)}, nil
	}
	w := &whole{manifest: head, log: log}
	w.manifest.Files, w.manifest.Subject.Documents = nil, nil
	for i, s := range inOrder(stories) {
		c, err := compose(head, s.document, folderOf(i+1), s.history, log)
		if err != nil {
			return nil, err
		}
		if err := inPeriod(head.Subject, c); err != nil {
			return nil, err
		}
		w.parts = append(w.parts, c)
		for _, item := range c.items {
			item.name = c.folder + item.name
			w.items = append(w.items, item)
		}
	}
	return w, w.compose()
}

// inOrder sorts by the position of each document's first event.
func inOrder(stories []story) []story {
	stories = slices.Clone(stories)
	slices.SortFunc(stories, func(a, b story) int { return cmp.Compare(a.own()[0].Position, b.own()[0].Position) })
	return stories
}

// compose adds what is about all documents.
func (w *whole) compose() error {
	w.own = len(w.items)
	m := &w.manifest
	m.Subject.Documents, m.Position, m.ExportedAt = nil, 0, time.Time{}
	overview := report.Overview{From: at(m.Subject.From), To: at(m.Subject.To)}
	var journal []report.Entry
	for _, c := range w.parts {
		m.Subject.Documents = append(m.Subject.Documents, Member{Folder: c.folder, Document: c.state.ID, Number: c.state.Number})
		if c.manifest.Position > m.Position {
			m.Position, m.ExportedAt = c.manifest.Position, c.manifest.ExportedAt
		}
		known := peopleOf(c.history)
		if id := m.Subject.Participant; id != "" && overview.Participant.Name == "" {
			overview.Participant = known.who(id)
		}
		overview.Documents = append(overview.Documents, report.Part{
			Folder: c.folder, ID: c.state.ID, Number: c.state.Number, Kind: string(c.state.Details.Kind), Title: c.state.Details.Title,
			Headline: string(c.headline()), Sender: known.who(c.state.Sender), At: c.manifest.ExportedAt,
		})
		journal = append(journal, c.journal()...)
	}
	overview.Source = source(*m)
	if m.Format >= formatLog {
		overview.Log = w.log.reading(0, m.Losses)
	}
	root := &composition{manifest: *m, log: w.log}
	root.items = append(root.items, w.log.items()...)
	root.add(mimetypeName, "text/plain", ClaimArchive, []byte(mimetype))
	if slices.ContainsFunc(w.parts, func(c *composition) bool { return blind(c.history) }) {
		root.addUntold()
		w.items = append(w.items, root.items...)
		return nil
	}
	tables, err := journalItems(report.Journal{At: m.ExportedAt, Entries: journal, Files: true})
	if err != nil {
		return err
	}
	root.items = append(root.items, tables...)
	root.add(readmeName, typeText, ClaimContents, readmeOfSeveral(*m, w.log))
	if err := root.addReports(overview); err != nil {
		return err
	}
	w.items = append(w.items, root.items...)
	return nil
}

func readmeOfSeveral(m Manifest, log *logPart) []byte {
	var b strings.Builder
	about := fmt.Sprintf("Documents:    %d", len(m.Subject.Documents))
	if m.Subject.Participant != "" {
		about += fmt.Sprintf("\nParticipant:  %s\nPeriod:       %s to %s", line(m.Subject.Participant), rfc3339(m.Subject.From), rfc3339(m.Subject.To))
	}
	readmeHead(&b, m, about)
	if m.Format == formatThree {
		b.WriteString(readmeThree)
		b.WriteString(readmeSeveral)
	} else {
		readmeWords(&b, log, nil)
		b.WriteString(readmeManyDocuments)
	}
	b.WriteString(readmeCommands)
	wholeCommands(&b)
	if m.Format >= formatLog {
		log.commands(&b)
	}
	return []byte(b.String())
}

func rfc3339(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}

// inPeriod refuses a document that has no place in a packet of a participant's
// period: it is in when it was sent by the participant, or delivered to it, in
// the period, which is when the journal has it.
func inPeriod(subject Subject, c *composition) error {
	if subject.Kind != KindParticipant {
		return nil
	}
	for _, r := range c.streams[document.StreamID(c.state.ID)] {
		if who, when := entered(r); who != "" && who == subject.Participant && within(when, subject.From, subject.To) {
			return nil
		}
	}
	return fault.New(fault.RequestInvalid, "the participant's journal has no entry of the document %s in the period", c.state.ID)
}

// entered says whose journal an event makes an entry in, and for which moment.
func entered(r record) (participant string, when time.Time) {
	switch e := r.event.(type) {
	case document.Sent:
		return e.Sender, e.SentAt
	case document.Delivered:
		return e.Recipient, e.DeliveredAt
	}
	return "", time.Time{}
}

// within says whether a moment is in a period without its end; a nil end is
// open.
func within(t time.Time, from, to *time.Time) bool {
	return (from == nil || !t.Before(*from)) && (to == nil || t.Before(*to))
}

// carry adds the verifier that the packet was asked to carry.
func (w *whole) carry(name string, open func() (io.ReadCloser, error)) {
	w.items = append(w.items, item{name: name, mediaType: typeProgram, claim: ClaimContents, size: -1, open: open})
}

// verifierName matches the entry of a carried verifier.
var verifierName = regexp.MustCompile(`^verifier/dalel-[a-z0-9]{1,20}-[a-z0-9]{1,20}(\.exe)?$`)

// kazakhstan is the time in which the days of a period are meant: UTC+5 since
// 1 March 2024, and before it the UTC+6 of Almaty.
func kazakhstan(day string) *time.Location {
	if day < "2024-03-01" {
		return time.FixedZone("UTC+6", 6*60*60)
	}
	return time.FixedZone("UTC+5", 5*60*60)
}

// ParseDay reads one end of a period: a moment as RFC 3339 writes it, or a day
// YYYY-MM-DD of Kazakhstan's time, from its beginning or, as the last
// of a period, to its end. Errors: request.invalid.
func ParseDay(text string, last bool) (time.Time, error) {
	if day, err := time.ParseInLocation(time.DateOnly, text, kazakhstan(text)); err == nil {
		if last { // the beginning of the next
			return ParseDay(day.AddDate(0, 0, 1).Format(time.DateOnly), false)
		}
		return day.UTC(), nil
	}
	moment, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, fault.New(fault.RequestInvalid, "a day is written YYYY-MM-DD, a moment as RFC 3339 does")
	}
	return moment.UTC(), nil
}
