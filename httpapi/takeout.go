package httpapi

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"net/http"
	"net/url"
	"strconv"

	"dalel/domain/document"
	"dalel/eventstore"
	"dalel/httpapi/pages"
	"dalel/httpapi/route"
	"dalel/internal/fault"
	"dalel/internal/sheet"
	"dalel/projections"

	"github.com/labstack/echo/v4"
)

// This file lets a participant take out everything that it has (R-G6): a list
// with the hash and the address of each thing, which goes on where it stopped,
// and whose addresses take ranges.

type takeoutFile struct {
	Name      string `json:"name,omitempty"`
	MediaType string `json:"mediaType"`
	Size      int64  `json:"size"`
	SHA256    string `json:"sha256"`
	URL       string `json:"url,omitempty"`
}

type takeoutSignature struct {
	N      int    `json:"n"`
	Party  string `json:"party"`
	File   string `json:"file"`
	SHA256 string `json:"sha256"`
	URL    string `json:"url,omitempty"`
}

type takeoutCopy struct {
	Number int    `json:"number"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	URL    string `json:"url,omitempty"`
}

type takeoutDocument struct {
	Document  string                `json:"document"`
	Direction projections.Direction `json:"direction"`
	Number    string                `json:"number,omitempty"`
	Status    document.Status       `json:"status"`
	Kind      document.Kind         `json:"kind"`
	Title     string                `json:"title,omitempty"`
	Files     []takeoutFile         `json:"files"`
	// Signatures have one entry for each file that each party signed.
	Signatures []takeoutSignature `json:"signatures"`
	Copies     []takeoutCopy      `json:"copies"`
	Packet     string             `json:"packet"`
	// Destroyed says that the destruction is ordered or done: there are the
	// hashes, and nothing to fetch but the packet.
	Destroyed bool `json:"destroyed"`
}

type takeoutView struct {
	Participant string              `json:"participant"`
	AsOf        eventstore.Position `json:"asOf"`
	Journal     string              `json:"journal"`
	Documents   []takeoutDocument   `json:"documents"`
	Next        string              `json:"next,omitempty"`
}

// takeoutPlace is where a takeout goes on: the moment that all of it is of,
// the list that it has come to, and the place there.
type takeoutPlace struct {
	asOf      eventstore.Position
	direction projections.Direction
	after     string
}

// String is the cursor of a place: the letter of the list, the position and
// the list's own cursor, in base64url.
func (p takeoutPlace) String() string {
	raw := binary.BigEndian.AppendUint64([]byte(p.direction[:1]), uint64(p.asOf))
	return base64.RawURLEncoding.EncodeToString(append(raw, p.after...))
}

// maxCursor bounds a cursor before it is looked at.
const maxCursor = 256

func parseTakeoutPlace(text string) (takeoutPlace, error) {
	invalid := fault.New(fault.CursorInvalid, "not a cursor of a takeout")
	if len(text) > maxCursor {
		return takeoutPlace{}, invalid
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) < 9 {
		return takeoutPlace{}, invalid
	}
	place := takeoutPlace{asOf: eventstore.Position(binary.BigEndian.Uint64(raw[1:9])), after: string(raw[9:])}
	switch raw[0] {
	case 'o':
		place.direction = projections.Out
	case 'i':
		place.direction = projections.In
	default:
		return takeoutPlace{}, invalid
	}
	if place.asOf > math.MaxInt64 {
		return takeoutPlace{}, invalid
	}
	return place, nil
}

// takeout lists the caller's documents, those that it made and then those that
// came to it, as they were at the moment of the first page. The lists say only
// which documents there are; what is told of each is read from its stream.
func (s *Server) takeout(c echo.Context, caller route.Caller) error {
	ctx := c.Request().Context()
	p, err := page(c)
	if err != nil {
		return err
	}
	place := takeoutPlace{direction: projections.Out}
	if p.After != "" {
		place, err = parseTakeoutPlace(p.After)
	} else {
		place.asOf, err = s.Models.Position(ctx)
	}
	if err != nil {
		return err
	}
	me := caller.By.Participant
	view := takeoutView{Participant: me, AsOf: place.asOf, Journal: prefix + "/takeout/journal.csv", Documents: []takeoutDocument{}}
	// A list that has nothing leads on to the other in the same answer.
	for more := true; more && len(view.Documents) == 0; {
		read := s.Models.Outbox
		if place.direction == projections.In {
			read = s.Models.Inbox
		}
		result, err := read(ctx, me, projections.Page{After: place.after, Limit: p.Limit})
		if err != nil {
			return err
		}
		ids := make([]string, 0, len(result.Items))
		for _, row := range result.Items {
			ids = append(ids, row.Document)
		}
		states, err := s.Ledger.DocumentsAt(ctx, caller.Act, place.asOf, ids...)
		if err != nil {
			return err
		}
		for _, state := range states {
			if state.Status != document.None {
				view.Documents = append(view.Documents, takeoutOf(state, place.direction))
			}
		}
		switch {
		case result.Next != "":
			place.after = result.Next
		case place.direction == projections.Out:
			place.direction, place.after = projections.In, ""
		default:
			more = false
		}
		view.Next = ""
		if more {
			view.Next = place.String()
		}
	}
	linkNext(c, view.Next)
	return c.JSON(http.StatusOK, view)
}

func takeoutOf(state document.State, direction projections.Direction) takeoutDocument {
	at := prefix + "/documents/" + state.ID
	address := func(rest string) string {
		if state.Gone() {
			return ""
		}
		return at + rest
	}
	view := takeoutDocument{
		Document: state.ID, Direction: direction, Number: state.Number, Status: state.Status, Kind: state.Details.Kind, Title: state.Details.Title,
		Files: []takeoutFile{}, Signatures: []takeoutSignature{}, Copies: []takeoutCopy{}, Packet: at + "/packet", Destroyed: state.Gone(),
	}
	for _, f := range state.Files {
		view.Files = append(view.Files, takeoutFile{
			Name: f.Name, MediaType: f.MediaType, Size: f.Size, SHA256: f.SHA256, URL: address("/files/" + url.PathEscape(f.Name)),
		})
	}
	for _, sig := range state.Signatures {
		for _, f := range sig.Signatures {
			n := len(view.Signatures) + 1
			view.Signatures = append(view.Signatures, takeoutSignature{
				N: n, Party: sig.Party, File: f.File, SHA256: f.CMS, URL: address("/signatures/" + strconv.Itoa(n) + "/cms"),
			})
		}
	}
	for _, issued := range state.Copies {
		view.Copies = append(view.Copies, takeoutCopy{
			Number: issued.Number, Size: issued.Size, SHA256: issued.SHA256, URL: address("/copies/" + strconv.Itoa(issued.Number)),
		})
	}
	return view
}

// takeoutJournal streams all of the caller's journal as CSV, the newest entry
// first. An entry's place never changes, so those that were there when it began
// come once each.
func (s *Server) takeoutJournal(c echo.Context, caller route.Caller) error {
	if asWhole(c, sheet.MediaType, "journal.csv") {
		return nil
	}
	response := c.Response()
	header := response.Header()
	// They are sent with the first byte, which comes after the first page is read.
	header.Set("Content-Type", sheet.MediaType)
	header.Set("Content-Disposition", disposition("journal.csv"))
	request := pages.JournalRequest{
		Filter: projections.JournalFilter{Participant: caller.By.Participant}, Format: pages.JournalCSV, Language: pages.Russian, Now: s.Clock(),
	}
	err := s.journals.Stream(c.Request().Context(), response, request, func() error { return nil })
	if err != nil && !response.Committed {
		header.Del("Content-Type")
		header.Del("Content-Disposition")
	}
	return err
}
