package sheet

import (
	"archive/zip"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"time"

	pinned "github.com/klauspost/compress/flate"
	"github.com/xuri/excelize/v2"
)

// XLSXMediaType is that of workbooks.
const XLSXMediaType = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

// Workbook is an XLSX file.
type Workbook struct {
	// Title and Language (ru-KZ) are among the file's properties.
	Title, Language string
	// At is the moment of creation that the properties name. It must come from
	// what the tables tell of, not from the clock, where bytes must be the same
	// again.
	At time.Time
	// Tables are a worksheet each.
	Tables []Table
}

// Write writes the workbook. All of it is in memory until the end.
func (w Workbook) Write(out io.Writer) (err error) {
	if len(w.Tables) == 0 {
		return errors.New("a workbook needs a table")
	}
	f := excelize.NewFile()
	defer func() { err = errors.Join(err, f.Close()) }()
	s := &setter{file: f}
	if err := s.readyStyles(); err != nil {
		return err
	}
	for i, table := range w.Tables {
		if i == 0 {
			err = f.SetSheetName(f.GetSheetName(0), table.Name)
		} else {
			_, err = f.NewSheet(table.Name)
		}
		if err != nil {
			return fmt.Errorf("worksheet %q: %w", table.Name, err)
		}
		if err := s.table(table); err != nil {
			return fmt.Errorf("worksheet %q: %w", table.Name, err)
		}
	}
	at := w.At.UTC().Format(time.RFC3339)
	err = errors.Join(
		f.SetDocProps(&excelize.DocProperties{Title: plain(w.Title), Language: w.Language, Creator: "Dalel", LastModifiedBy: "Dalel", Created: at, Modified: at}),
		f.SetAppProps(&excelize.AppProperties{Application: "Dalel"}))
	if err != nil {
		return fmt.Errorf("properties of a workbook: %w", err)
	}
	f.SetZipWriter(func(w io.Writer) excelize.ZipWriter { return &settledZip{out: w, entries: map[string]*bytes.Buffer{}} })
	if _, err := f.WriteTo(out); err != nil {
		return fmt.Errorf("write a workbook: %w", err)
	}
	return nil
}

// setter fills worksheets.
type setter struct {
	file   *excelize.File
	styles map[Kind]int
	head   int
	note   int
}

// readyStyles makes a format for each kind. A text has "@": what looks like a
// formula stays text when it is edited.
func (s *setter) readyStyles() error {
	s.styles = map[Kind]int{}
	moment, day := "dd\\.mm\\.yyyy\\ hh:mm:ss", "dd\\.mm\\.yyyy"
	top := &excelize.Alignment{Vertical: "top"}
	wrapped := &excelize.Alignment{Vertical: "top", WrapText: true}
	var err error
	add := func(style excelize.Style) int {
		id, failed := s.file.NewStyle(&style)
		err = errors.Join(err, failed)
		return id
	}
	s.styles[Text] = add(excelize.Style{NumFmt: 49, Alignment: wrapped})
	s.styles[Digits] = add(excelize.Style{NumFmt: 49, Alignment: top})
	s.styles[Sum] = add(excelize.Style{NumFmt: 4, Alignment: top}) // #,##0.00, as the program's language writes it
	s.styles[Count] = add(excelize.Style{NumFmt: 1, Alignment: top})
	s.styles[Moment] = add(excelize.Style{CustomNumFmt: &moment, Alignment: top})
	s.styles[Day] = add(excelize.Style{CustomNumFmt: &day, Alignment: top})
	s.head = add(excelize.Style{
		NumFmt: 49, Font: &excelize.Font{Bold: true}, Alignment: wrapped,
		Fill: excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{"ECEEF1"}},
	})
	s.note = add(excelize.Style{NumFmt: 49, Font: &excelize.Font{Italic: true}})
	if err != nil {
		return fmt.Errorf("styles of a workbook: %w", err)
	}
	return nil
}

func (s *setter) table(t Table) error {
	for i, column := range t.Columns {
		if err := s.text(t.Name, i, 0, column.Title, s.head); err != nil {
			return err
		}
	}
	for n, row := range t.Rows {
		for i, column := range t.Columns {
			if i >= len(row) {
				break
			}
			if err := s.cell(t.Name, i, n+1, column.Kind, row[i]); err != nil {
				return err
			}
		}
	}
	if t.Note != "" {
		if err := s.text(t.Name, 0, len(t.Rows)+1, t.Note, s.note); err != nil {
			return err
		}
	}
	return s.dress(t)
}

// dress freezes the heading, and sets widths, filter and print.
func (s *setter) dress(t Table) error {
	f := s.file
	var failures []error
	for i, column := range t.Columns {
		name, err := excelize.ColumnNumberToName(i + 1)
		failures = append(failures, err)
		if column.Width > 0 {
			failures = append(failures, f.SetColWidth(t.Name, name, name, column.Width))
		}
		if column.Kind == Digits && len(t.Rows) > 0 {
			// No green corners beside numbers that are meant to be text.
			failures = append(failures, f.AddIgnoredErrors(t.Name, fmt.Sprintf("%s2:%s%d", name, name, len(t.Rows)+1), excelize.IgnoredErrorsNumberStoredAsText))
		}
	}
	last, err := excelize.CoordinatesToCellName(len(t.Columns), len(t.Rows)+1)
	a4, landscape, wide, tall, fit := 9, "landscape", 1, 0, true
	failures = append(failures, err,
		f.SetSheetDimension(t.Name, "A1:"+last),
		f.SetSheetProps(t.Name, &excelize.SheetPropsOptions{FitToPage: &fit}),
		f.SetPanes(t.Name, &excelize.Panes{Freeze: true, YSplit: 1, TopLeftCell: "A2", ActivePane: "bottomLeft"}),
		f.AutoFilter(t.Name, "A1:"+last, nil),
		f.SetPageLayout(t.Name, &excelize.PageLayoutOptions{Size: &a4, Orientation: &landscape, FitToWidth: &wide, FitToHeight: &tall}),
		f.SetDefinedName(&excelize.DefinedName{Name: "_xlnm.Print_Titles", RefersTo: "'" + t.Name + "'!$1:$1", Scope: t.Name}))
	return errors.Join(failures...)
}

// day is the number of 1970-01-01 in a spreadsheet's calendar.
const epochDay = 25_569

func (s *setter) cell(sheet string, column, row int, kind Kind, c Cell) error {
	style := s.styles[kind]
	value, isNumber := 0.0, false
	decimals := -1
	switch kind {
	case Sum:
		var text string
		if text, isNumber = amount(c.Text, "."); isNumber {
			value, _ = strconv.ParseFloat(text, 64) // a decimal by its making
			decimals = 2
		}
	case Count:
		if isNumber = count(c.Text); isNumber {
			value, _ = strconv.ParseFloat(c.Text, 64)
		}
	case Moment, Day:
		if c.Time.IsZero() {
			break
		}
		if isNumber = dated(c.Time); !isNumber {
			c.Text = c.Time.UTC().Format(time.RFC3339)
			break
		}
		_, offset := c.Time.In(Zone).Zone()
		seconds := c.Time.Unix() + int64(offset)
		if kind == Day {
			seconds -= seconds % 86_400
		}
		value = epochDay + float64(seconds)/86_400
	}
	if !isNumber {
		if kind != Digits {
			style = s.styles[Text]
		}
		return s.text(sheet, column, row, c.Text, style)
	}
	name, err := excelize.CoordinatesToCellName(column+1, row+1)
	if err != nil {
		return err
	}
	return errors.Join(s.file.SetCellFloat(sheet, name, value, decimals, 64), s.file.SetCellStyle(sheet, name, name, style))
}

// escape matches what Excel reads as the code of a character.
var escape = regexp.MustCompile(`_(x[0-9A-Fa-f]{4}_)`)

func (s *setter) text(sheet string, column, row int, text string, style int) error {
	name, err := excelize.CoordinatesToCellName(column+1, row+1)
	if err != nil {
		return err
	}
	if text = plain(text); text != "" {
		err = s.file.SetCellStr(sheet, name, escape.ReplaceAllString(text, "_x005F_$1"))
	}
	return errors.Join(err, s.file.SetCellStyle(sheet, name, name, style))
}

// settledZip is an archive whose bytes depend on its content alone: entries in
// order of their names, without times, compressed by what go.mod pins.
type settledZip struct {
	out     io.Writer
	entries map[string]*bytes.Buffer
}

func (z *settledZip) Create(name string) (io.Writer, error) {
	z.entries[name] = &bytes.Buffer{}
	return z.entries[name], nil
}

func (z *settledZip) AddFS(fs.FS) error { return errors.ErrUnsupported }

func (z *settledZip) Close() error {
	const first = "[Content_Types].xml" // as Office itself writes
	names := make([]string, 0, len(z.entries))
	for name := range z.entries {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if (a == first) != (b == first) {
			if a == first {
				return -1
			}
			return 1
		}
		return cmp.Compare(a, b)
	})
	archive := zip.NewWriter(z.out)
	archive.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return pinned.NewWriter(w, 6) })
	for _, name := range names {
		header := &zip.FileHeader{Name: name, Method: zip.Deflate}
		//lint:ignore SA1019 Modified would add an extended time stamp to every entry
		header.ModifiedDate = 1<<5 | 1 // 1980-01-01
		entry, err := archive.CreateHeader(header)
		if err != nil {
			return err
		}
		if _, err := entry.Write(z.entries[name].Bytes()); err != nil {
			return err
		}
	}
	return archive.Close()
}
