// Package takeout fetches everything that a participant has in a ledger over
// its HTTP interface (R-G6): documents, signatures, issued copies, proof
// packets and the journal.
//
//	documents/<number, or id without one>/
//	    files/…  signatures/<n>.p7s  copies/<n>.pdf
//	    packet.asice           the proof packet: verify it with no server
//	    document.json          what the list says of the document
//	journal.csv
//	manifest-sha256.txt        for sha256sum -c
//	manifest.json              written last: the takeout is whole
//
// It may be cut off at any moment, in the middle of a large file too, and goes
// on when it is asked again: what is there and has the right hash stays, and a
// file that was begun goes on by Range. Everything that has a hash in the list
// is held against it before it gets its name.
//
// The token goes to the one host that was named and is never printed. Nothing
// is fetched from elsewhere: not by an address in an answer, not by a redirect.
package takeout

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"dalel/domain/fileformat"
	"dalel/internal/fault"
	"dalel/internal/filelock"
)

// Options say what is fetched and where to.
type Options struct {
	// URL is the ledger's: https, or http on this machine alone.
	URL string
	// Token is the participant's.
	Token string
	// Dir is the folder to fill.
	Dir string
	// Report is told what could not be had, Progress how far the work is.
	// Both may be nil.
	Report   func(where, what string)
	Progress func(what string, done, total int64)
	// Proxy is used for all requests; none if nil, whatever the environment says.
	Proxy *url.URL
	// Transport is http.DefaultTransport's like with time-outs unless set; Proxy
	// is then its business.
	Transport http.RoundTripper
	// Pause is the first pause before an attempt is repeated; a second unless
	// set. It doubles up to half a minute.
	Pause time.Duration
}

// Summary says what a takeout holds.
type Summary struct {
	Participant string
	Documents   int
	// Files counts everything that has a name in the manifest, Fetched what
	// was fetched this time, in whole or in part.
	Files, Fetched int
	Bytes          int64
	// Destroyed counts documents of which there are the hashes alone.
	Destroyed int
	// Missing counts what could not be had.
	Missing int
}

// Bounds.
const (
	pageLimit    = 100
	maxPage      = 64 << 20
	maxJournal   = 8 << 30
	maxPacket    = 16 << 30
	maxDocuments = 10_000_000
	maxProblem   = 64 << 10
	// attempts in a row that bring no byte, and the work is given up.
	attempts     = 8
	longestPause = 30 * time.Second
	// stall is how long a server may say nothing. It reads a file from the
	// start for a range near its end.
	stall = 2 * time.Minute
)

const (
	manifestFile  = "manifest.json"
	checksumsFile = "manifest-sha256.txt"
	partsDir      = ".parts"
	lockFile      = ".lock"
	format        = "dalel-takeout-1"
)

// The list, as the interface gives it. Members that are not known here are
// kept in document.json all the same.
type (
	page struct {
		Participant string            `json:"participant"`
		AsOf        uint64            `json:"asOf"`
		Journal     string            `json:"journal"`
		Documents   []json.RawMessage `json:"documents"`
		Next        string            `json:"next"`
	}
	entry struct {
		Document   string      `json:"document"`
		Number     string      `json:"number"`
		Files      []file      `json:"files"`
		Signatures []signature `json:"signatures"`
		Copies     []issued    `json:"copies"`
		Packet     string      `json:"packet"`
		Destroyed  bool        `json:"destroyed"`
	}
	file struct {
		Name   string `json:"name"`
		Size   int64  `json:"size"`
		SHA256 string `json:"sha256"`
		URL    string `json:"url"`
	}
	signature struct {
		N      int    `json:"n"`
		SHA256 string `json:"sha256"`
		URL    string `json:"url"`
	}
	issued struct {
		Number int    `json:"number"`
		Size   int64  `json:"size"`
		SHA256 string `json:"sha256"`
		URL    string `json:"url"`
	}
)

// manifest is manifest.json.
type manifest struct {
	Format      string            `json:"format"`
	Ledger      string            `json:"ledger"`
	Participant string            `json:"participant"`
	AsOf        uint64            `json:"asOf"`
	FetchedAt   time.Time         `json:"fetchedAt"`
	Documents   []json.RawMessage `json:"documents"`
	Missing     []missing         `json:"missing"`
	Files       map[string]string `json:"files"`
}

type missing struct {
	Where string `json:"where"`
	What  string `json:"what"`
}

// Fetch fetches everything. What could not be had although the list has it,
// such as a document that was destroyed meanwhile, is given to Report and is in
// manifest.json; the rest is fetched.
//
// Errors: config.invalid for options that cannot be used; token.invalid and
// access.forbidden as the server says; blob.corrupt for what does not have its
// hash, also when it is fetched again; unavailable when the server does not
// answer after several attempts; the context's.
func Fetch(ctx context.Context, o Options) (Summary, error) {
	f, err := begin(o)
	if err != nil {
		return Summary{}, err
	}
	defer f.lock.Close()
	defer f.root.Close()
	defer f.client.CloseIdleConnections()
	if err := f.all(ctx); err != nil {
		return f.summary, err
	}
	return f.summary, f.finish()
}

type fetching struct {
	o       Options
	base    *url.URL
	client  *http.Client
	root    *os.Root
	lock    *os.File
	summary Summary
	out     manifest
	seen    map[string]bool
}

func begin(o Options) (_ *fetching, err error) {
	base, err := url.Parse(o.URL)
	if err != nil || base.Host == "" || base.User != nil || base.RawQuery != "" || base.Fragment != "" || strings.Trim(base.Path, "/") != "" {
		// The error would repeat what was written.
		return nil, fault.New(fault.ConfigInvalid, "the ledger's address is written as https://host or https://host:port")
	}
	if base.Scheme != "https" && (base.Scheme != "http" || !local(base.Hostname())) {
		return nil, fault.New(fault.ConfigInvalid, "the ledger's address begins with https://: a token is not sent in clear")
	}
	base.Path = "/"
	if o.Token == "" || strings.ContainsFunc(o.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, fault.New(fault.ConfigInvalid, "the token is one word")
	}
	if o.Report == nil {
		o.Report = func(string, string) {}
	}
	if o.Progress == nil {
		o.Progress = func(string, int64, int64) {}
	}
	if o.Pause == 0 {
		o.Pause = time.Second
	}
	if o.Transport == nil {
		own := &http.Transport{
			DialContext: (&net.Dialer{Timeout: 15 * time.Second}).DialContext, TLSHandshakeTimeout: 15 * time.Second,
			ResponseHeaderTimeout: stall, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 64 << 10, ForceAttemptHTTP2: true,
			// What is fetched is measured and hashed as it is.
			DisableCompression: true,
		}
		if o.Proxy != nil {
			own.Proxy = http.ProxyURL(o.Proxy)
		}
		o.Transport = own
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fault.Wrap(fault.ConfigInvalid, err, "make the folder of the takeout")
	}
	f := &fetching{o: o, base: base, seen: map[string]bool{}}
	f.out = manifest{Format: format, Ledger: base.Scheme + "://" + base.Host, Files: map[string]string{}, Documents: []json.RawMessage{}, Missing: []missing{}}
	f.client = &http.Client{Transport: o.Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if f.root, err = os.OpenRoot(o.Dir); err != nil {
		return nil, fault.Wrap(fault.ConfigInvalid, err, "open the folder of the takeout")
	}
	if f.lock, err = filelock.Own(filepath.Join(o.Dir, lockFile)); err != nil {
		return nil, errors.Join(fault.Wrap(fault.ConfigInvalid, err, "another takeout is at work in the folder"), f.root.Close())
	}
	return f, nil
}

func local(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (f *fetching) all(ctx context.Context) error {
	if err := f.root.MkdirAll(partsDir, 0o700); err != nil {
		return failed(err, "make a folder")
	}
	// Without them the folder does not pass for whole meanwhile.
	for _, name := range []string{manifestFile, checksumsFile} {
		if err := f.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return failed(err, "remove the former manifest")
		}
	}
	after := ""
	cursors := map[string]bool{}
	for {
		list, err := f.list(ctx, after)
		if err != nil {
			return fmt.Errorf("list the documents: %w", err)
		}
		for _, raw := range list.Documents {
			if err := f.document(ctx, raw); err != nil {
				return err
			}
		}
		if list.Next == "" {
			break
		}
		if cursors[list.Next] || len(f.seen) > maxDocuments {
			return fault.New(fault.Unavailable, "the server's list of documents does not end")
		}
		cursors[list.Next] = true
		after = list.Next
	}
	journal := thing{where: "journal", url: "/api/v1/takeout/journal.csv", path: "journal.csv", size: -1, limit: maxJournal}
	return f.thing(ctx, journal)
}

func (f *fetching) list(ctx context.Context, after string) (page, error) {
	query := url.Values{"limit": {strconv.Itoa(pageLimit)}}
	if after != "" {
		query.Set("after", after)
	}
	var text bytes.Buffer
	err := f.try(ctx, func(ctx context.Context) (bool, error) {
		text.Reset()
		response, err := f.get(ctx, "/api/v1/takeout?"+query.Encode(), nil)
		if err != nil {
			return false, err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return false, refusal(response)
		}
		n, err := text.ReadFrom(io.LimitReader(response.Body, maxPage+1))
		if err != nil {
			return n > 0, fault.Wrap(fault.Unavailable, err, "the answer broke off")
		}
		if n > maxPage {
			return false, fault.New(fault.RequestTooLarge, "the server's answer is larger than %d bytes", maxPage)
		}
		return true, nil
	})
	var list page
	if err == nil {
		if err = json.Unmarshal(text.Bytes(), &list); err != nil {
			err = fault.Wrap(fault.RequestInvalid, err, "the server's answer cannot be read; is this a ledger?")
		}
	}
	if err != nil {
		return list, err
	}
	if f.out.Participant != "" && list.Participant != f.out.Participant {
		return list, fault.New(fault.RequestInvalid, "the server's answers are of two participants")
	}
	f.out.Participant, f.out.AsOf, f.summary.Participant = list.Participant, list.AsOf, list.Participant
	return list, nil
}

var (
	idForm     = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	numberForm = regexp.MustCompile(`^[0-9]{1,40}$`)
	hashForm   = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// thing is one file to be had.
type thing struct {
	where, url, path string
	// size is -1, and hash "", where the list does not say.
	size  int64
	hash  string
	limit int64
}

// document fetches all of one document.
func (f *fetching) document(ctx context.Context, raw json.RawMessage) error {
	var e entry
	if err := json.Unmarshal(raw, &e); err != nil {
		return fault.Wrap(fault.RequestInvalid, err, "the server's list of documents cannot be read")
	}
	if !idForm.MatchString(e.Document) || e.Number != "" && !numberForm.MatchString(e.Number) {
		return fault.New(fault.RequestInvalid, "the server's list has a document with no proper id or number")
	}
	if f.seen[e.Document] {
		return nil
	}
	f.seen[e.Document] = true
	f.summary.Documents++
	f.out.Documents = append(f.out.Documents, raw)
	folder, err := f.folder(e)
	if err != nil {
		return err
	}
	things, err := f.things(e, folder)
	if err != nil {
		return err
	}
	if e.Destroyed {
		f.summary.Destroyed++
	}
	for _, t := range things {
		if err := f.thing(ctx, t); err != nil {
			return err
		}
	}
	// A packet says more with every event, and has no hash that is known
	// before: it is fetched again when the list says something new.
	packet := thing{where: "packet of " + e.Document, url: e.Packet, path: folder + "/packet.asice", size: -1, limit: maxPacket}
	said, hash := f.saidBefore(folder)
	if hash != "" && bytes.Equal(said, compact(raw)) {
		packet.hash = hash
		if ok, err := f.there(packet); err != nil || ok {
			if err != nil {
				return err
			}
			return nil
		}
		packet.hash = ""
	}
	if err := f.thing(ctx, packet); err != nil {
		return err
	}
	return f.say(folder, raw)
}

// folder is the document's: by its number, once it has one.
func (f *fetching) folder(e entry) (string, error) {
	byID := "documents/" + e.Document
	folder := byID
	if e.Number != "" {
		folder = "documents/" + e.Number
		// It may have come without one before.
		if _, err := f.root.Stat(folder); errors.Is(err, fs.ErrNotExist) {
			if err := f.root.Rename(byID, folder); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return "", failed(err, "give a document's folder its number")
			}
		}
	}
	if err := f.root.MkdirAll(folder, 0o700); err != nil {
		return "", failed(err, "make a folder")
	}
	return folder, nil
}

// things lists what a document consists of. Every name and hash of the server
// is checked: they become names on this machine.
func (f *fetching) things(e entry, folder string) ([]thing, error) {
	var list []thing
	names := map[string]bool{}
	add := func(t thing) error {
		t.path, t.limit = folder+"/"+t.path, t.size
		t.where = fmt.Sprintf("%s of %s", t.path[len(folder)+1:], e.Document)
		folded := fileformat.Fold(t.path)
		if !hashForm.MatchString(t.hash) || t.size < -1 || names[folded] {
			return fault.New(fault.RequestInvalid, "the server's list of what document %s has cannot be right", e.Document)
		}
		if t.size < 0 {
			t.limit = maxPacket
		}
		names[folded] = true
		// What was destroyed has no address.
		if t.url != "" {
			list = append(list, t)
		}
		return nil
	}
	for n, file := range e.Files {
		name := file.Name
		if name == "" && file.URL == "" {
			// The name went with the document's key.
			name = "destroyed " + strconv.Itoa(n+1)
		}
		if err := fileformat.CheckName(name); err != nil {
			return nil, fault.Wrap(fault.RequestInvalid, err, "a file of document %s has a name that is not safe", e.Document)
		}
		if err := add(thing{url: file.URL, path: "files/" + name, size: max(file.Size, 0), hash: file.SHA256}); err != nil {
			return nil, err
		}
	}
	for _, s := range e.Signatures {
		if err := add(thing{url: s.URL, path: fmt.Sprintf("signatures/%02d.p7s", s.N), size: -1, hash: s.SHA256}); err != nil {
			return nil, err
		}
	}
	for _, c := range e.Copies {
		if err := add(thing{url: c.URL, path: fmt.Sprintf("copies/%02d.pdf", c.Number), size: max(c.Size, 0), hash: c.SHA256}); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// said is document.json.
type said struct {
	Document json.RawMessage `json:"document"`
	Packet   string          `json:"packetSHA256"`
}

func (f *fetching) saidBefore(folder string) ([]byte, string) {
	text, err := f.root.ReadFile(folder + "/document.json")
	if err != nil {
		return nil, ""
	}
	var s said
	if json.Unmarshal(text, &s) != nil || !hashForm.MatchString(s.Packet) {
		return nil, ""
	}
	f.out.Files[folder+"/document.json"] = sum(text)
	return compact(s.Document), s.Packet
}

func (f *fetching) say(folder string, raw json.RawMessage) error {
	text, err := json.MarshalIndent(said{raw, f.out.Files[folder+"/packet.asice"]}, "", "  ")
	if err != nil {
		return err
	}
	f.out.Files[folder+"/document.json"] = sum(text)
	return f.write(folder+"/document.json", text)
}

func sum(text []byte) string {
	digest := sha256.Sum256(text)
	return hex.EncodeToString(digest[:])
}

func compact(raw json.RawMessage) []byte {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return nil
	}
	return b.Bytes()
}

// there reports whether a thing with a hash is there already, and counts it.
func (f *fetching) there(t thing) (bool, error) {
	size, hash, err := f.hash(t.path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && hash != t.hash {
		return false, nil
	}
	if err != nil {
		return false, failed(err, "read what is there")
	}
	f.count(t, size, hash)
	return true, nil
}

func (f *fetching) count(t thing, size int64, hash string) {
	f.out.Files[t.path] = hash
	f.summary.Files++
	f.summary.Bytes += size
}

func (f *fetching) hash(path string) (int64, string, error) {
	file, err := f.root.Open(path)
	if err != nil {
		return 0, "", err
	}
	defer file.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, file)
	return n, hex.EncodeToString(sum.Sum(nil)), err
}

// thing fetches one thing, if it is not there; what the server does not have
// any more is reported.
func (f *fetching) thing(ctx context.Context, t thing) error {
	if t.hash != "" {
		if ok, err := f.there(t); err != nil || ok {
			return err
		}
	}
	f.o.Progress(t.where, 0, max(t.size, 0))
	err := f.fetch(ctx, t)
	switch {
	case err == nil:
		return nil
	case fault.Is(err, fault.OriginalNone), fault.Is(err, fault.KeyDestroyed), fault.Is(err, fault.FileUnknown), fault.Is(err, fault.SignatureUnreadable):
		f.summary.Missing++
		f.out.Missing = append(f.out.Missing, missing{t.where, err.Error()})
		f.o.Report(t.where, err.Error())
		return nil
	}
	return fmt.Errorf("fetch the %s: %w", t.where, err)
}

func (f *fetching) fetch(ctx context.Context, t thing) error {
	// A part is found again by what it is a part of; without a hash it is
	// nothing to go on from.
	part := partsDir + "/" + sum([]byte(t.path+"\n"+t.hash))
	if t.hash == "" {
		if err := f.root.Remove(part); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return failed(err, "remove a part")
		}
	}
	// A part may have been spoiled by a crash of the machine: once more from
	// the start, then.
	for again := false; ; again = true {
		if err := f.try(ctx, func(ctx context.Context) (bool, error) { return f.rest(ctx, t, part) }); err != nil {
			return err
		}
		size, hash, err := f.hash(part)
		if err != nil {
			return failed(err, "read what was fetched")
		}
		if t.hash == "" || hash == t.hash {
			if err := f.settle(part, t.path); err != nil {
				return err
			}
			f.summary.Fetched++
			f.count(t, size, hash)
			return nil
		}
		if err := f.root.Remove(part); err != nil {
			return failed(err, "remove a part")
		}
		if again {
			return fault.New(fault.BlobCorrupt, "what the server sends has the SHA-256 %s and not %s", hash, t.hash)
		}
	}
}

// settle gives what was fetched its name, on stable storage.
func (f *fetching) settle(part, path string) error {
	file, err := f.root.OpenFile(part, os.O_RDWR, 0)
	if err == nil {
		err = errors.Join(file.Sync(), file.Close())
	}
	if err == nil {
		err = f.root.MkdirAll(filepath.Dir(path), 0o700)
	}
	if err == nil {
		err = f.root.Rename(part, path)
	}
	if err != nil {
		return failed(err, "keep what was fetched")
	}
	return f.syncFolder(filepath.Dir(path))
}

// rest fetches what a part lacks, and reports whether any byte came.
func (f *fetching) rest(ctx context.Context, t thing, part string) (came bool, err error) {
	file, err := f.root.OpenFile(part, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return false, failed(err, "make a part")
	}
	defer func() {
		if closed := file.Close(); err == nil && closed != nil {
			err = failed(closed, "write a part")
		}
	}()
	have, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return false, failed(err, "look at a part")
	}
	if t.hash == "" && have > 0 || t.size >= 0 && have > t.size {
		if have, err = 0, restart(file); err != nil {
			return false, err
		}
	}
	if t.size >= 0 && have == t.size {
		return true, nil
	}
	header := http.Header{}
	if have > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-", have))
		header.Set("If-Range", strconv.Quote(t.hash))
	}
	response, err := f.get(ctx, t.url, header)
	if err != nil {
		return false, err
	}
	defer response.Body.Close()
	switch {
	case response.StatusCode == http.StatusPartialContent && have > 0:
		if !strings.HasPrefix(response.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", have)) {
			return false, fault.New(fault.RequestInvalid, "the server sends another part than was asked for")
		}
	case response.StatusCode == http.StatusOK:
		if have, err = 0, restart(file); err != nil {
			return false, err
		}
	case response.StatusCode == http.StatusRequestedRangeNotSatisfiable && have > 0:
		// There is nothing behind it: the hash will say.
		return true, nil
	default:
		return false, refusal(response)
	}
	limit := t.limit - have
	n, err := io.Copy(&writing{file, f, t, have}, io.LimitReader(response.Body, limit+1))
	var own *fault.Error
	switch {
	case errors.As(err, &own):
		return n > 0, err
	case err != nil:
		return n > 0, fault.Wrap(fault.Unavailable, err, "the answer broke off")
	case n > limit:
		return false, errors.Join(restart(file), fault.New(fault.BlobCorrupt, "the server sends more than the %d bytes that there are", t.limit))
	case t.size >= 0 && have+n < t.size:
		return n > 0, fault.New(fault.Unavailable, "the answer has %d of %d bytes", have+n, t.size)
	}
	return true, nil
}

func restart(file *os.File) error {
	err := file.Truncate(0)
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return failed(err, "begin a part again")
	}
	return nil
}

// writing gives errors of the disk their code, and tells of progress.
type writing struct {
	file *os.File
	f    *fetching
	t    thing
	done int64
}

func (w *writing) Write(p []byte) (int, error) {
	n, err := w.file.Write(p)
	w.done += int64(n)
	w.f.o.Progress(w.t.where, w.done, max(w.t.size, 0))
	if err != nil {
		err = failed(err, "write a part")
	}
	return n, err
}

// try repeats an attempt that failed for a while: as long as each brings
// something, and a bounded number of times that none does.
func (f *fetching) try(ctx context.Context, attempt func(context.Context) (came bool, err error)) error {
	pause := f.o.Pause
	for idle := 0; ; {
		came, err := attempt(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%w (%w)", ctx.Err(), err)
		}
		var later *laterError
		if !fault.Is(err, fault.Unavailable) && !errors.As(err, &later) {
			return err
		}
		if came {
			idle, pause = 0, f.o.Pause
		}
		if idle++; idle >= attempts {
			return fmt.Errorf("after %d attempts: %w", idle, err)
		}
		wait := pause
		if later != nil {
			wait = max(wait, later.after)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(min(wait, 2*longestPause)):
		}
		pause = min(2*pause, longestPause)
	}
}

// laterError is an answer that says to come again.
type laterError struct {
	error
	after time.Duration
}

func (e *laterError) Unwrap() error { return e.error }

// get asks the one host. The body fails when nothing comes for long.
func (f *fetching) get(ctx context.Context, address string, header http.Header) (*http.Response, error) {
	u, err := f.base.Parse(address)
	if err != nil || u.Scheme != f.base.Scheme || u.Host != f.base.Host || u.User != nil || !strings.HasPrefix(u.Path, "/api/") {
		return nil, fault.New(fault.RequestInvalid, "the server gives an address that is not its own")
	}
	ctx, cancel := context.WithCancelCause(ctx)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		cancel(nil)
		return nil, fault.Wrap(fault.RequestInvalid, err, "the server gives an address that cannot be used")
	}
	if header != nil {
		request.Header = header
	}
	request.Header.Set("Authorization", "Bearer "+f.o.Token)
	request.Header.Set("User-Agent", "dalel-takeout")
	watch := time.AfterFunc(stall, func() { cancel(errStalled) })
	response, err := f.client.Do(request)
	if err != nil {
		watch.Stop()
		cancel(nil)
		return nil, fault.Wrap(fault.Unavailable, err, "the server does not answer")
	}
	response.Body = &watched{response.Body, watch, cancel}
	return response, nil
}

var errStalled = errors.New("nothing came for long")

// watched is a body that ends when nothing comes for long.
type watched struct {
	io.ReadCloser
	watch  *time.Timer
	cancel context.CancelCauseFunc
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	w.watch.Reset(stall)
	return n, err
}

func (w *watched) Close() error {
	w.watch.Stop()
	err := w.ReadCloser.Close()
	w.cancel(nil)
	return err
}

// refusal is what an answer that brings nothing means.
func refusal(response *http.Response) error {
	var problem struct {
		Code   fault.Code `json:"code"`
		Detail string     `json:"detail"`
	}
	text, _ := io.ReadAll(io.LimitReader(response.Body, maxProblem))
	_ = json.Unmarshal(text, &problem)
	detail := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '_'
		}
		return r
	}, problem.Detail)
	if len(detail) > 300 {
		detail = ""
	}
	status := response.StatusCode
	switch {
	case status >= 300 && status < 400:
		return fault.New(fault.RequestInvalid, "the server sends elsewhere (status %d), and the token goes to it alone", status)
	case status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable:
		seconds, _ := strconv.Atoi(response.Header.Get("Retry-After"))
		return &laterError{fault.New(fault.Unavailable, "the server is busy (status %d) %s", status, detail), time.Duration(max(0, min(seconds, 60))) * time.Second}
	case status >= 500:
		return fault.New(fault.Unavailable, "the server failed (status %d) %s", status, detail)
	case problem.Code != "" && fault.Lookup(problem.Code).Code == problem.Code:
		return fault.New(problem.Code, "the server says: %s", detail)
	case status == http.StatusUnauthorized:
		return fault.New(fault.TokenInvalid, "the server does not take the token")
	case status == http.StatusForbidden:
		return fault.New(fault.Forbidden, "the server does not allow it")
	}
	return fault.New(fault.RequestInvalid, "the server answers with status %d", status)
}

// finish writes the manifests.
func (f *fetching) finish() error {
	var lines strings.Builder
	for _, path := range slices.Sorted(maps.Keys(f.out.Files)) {
		fmt.Fprintf(&lines, "%s  %s\n", f.out.Files[path], path)
	}
	if err := f.write(checksumsFile, []byte(lines.String())); err != nil {
		return err
	}
	if err := f.root.RemoveAll(partsDir); err != nil {
		return failed(err, "remove the parts")
	}
	f.out.FetchedAt = time.Now().UTC().Truncate(time.Second)
	text, err := json.MarshalIndent(f.out, "", "  ")
	if err != nil {
		return err
	}
	return f.write(manifestFile, append(text, '\n'))
}

// write puts a file in place whole.
func (f *fetching) write(path string, text []byte) error {
	part := path + ".part"
	file, err := f.root.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err == nil {
		_, err = file.Write(text)
		err = errors.Join(err, file.Sync(), file.Close())
	}
	if err == nil {
		err = f.root.Rename(part, path)
	}
	if err != nil {
		return failed(err, "write "+filepath.Base(path))
	}
	return f.syncFolder(filepath.Dir(path))
}

func (f *fetching) syncFolder(path string) error {
	folder, err := f.root.Open(path)
	if err == nil {
		err = errors.Join(folder.Sync(), folder.Close())
	}
	if err != nil {
		return failed(err, "bring a folder to stable storage")
	}
	return nil
}

// failed is an error of this machine's disk.
func failed(err error, doing string) error {
	return fault.Wrap(fault.BlobFailed, err, "could not %s", doing)
}
