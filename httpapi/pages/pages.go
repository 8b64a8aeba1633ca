package pages

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"dalel/domain/access"
	"dalel/domain/certificate"
	"dalel/domain/checkpoint"
	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/domain/founding"
	"dalel/domain/ledger"
	"dalel/domain/participant"
	"dalel/domain/retention"
	"dalel/eventstore"
	"dalel/httpapi/route"
	"dalel/internal/fault"
	"dalel/projections"
	"dalel/projections/transparency"

	"github.com/labstack/echo/v4"
	"golang.org/x/text/language"
)

const (
	languageCookie = "dalel_language"
	// outcomeCookie carries the outcome of an action over the redirect that
	// follows it. It is a cookie and no parameter, so that no link can make a
	// page say what did not happen.
	outcomeCookie = "dalel_outcome"
	// documentPages, operatorPages and ownPage are the parts of the site that tell of
	// an outcome.
	documentPages = "/documents/"
	operatorPages = "/operator/"
	ownPage       = "/personal-data"

	maxFormBytes = 64 << 10
	// maxOfficialBytes bounds a form with an official letter. It leaves room
	// to tell a letter that is a little too large that it is.
	maxOfficialBytes = ledger.MaxLetterBytes + 1<<20
	// maxSigningBytes bounds a form with signature files.
	maxSigningBytes = 32 << 20
)

// Ledger is what the pages ask of the ledger; *ledger.Ledger does it.
type Ledger interface {
	Authenticate(ctx context.Context, token string) (ledger.Principal, error)
	FindParticipant(ctx context.Context, number string, kind participant.Kind) (string, error)
	Certificate(ctx context.Context, fingerprint string) (ledger.Snapshot[certificate.State], error)
	Document(ctx context.Context, act ledger.Act, id string) (ledger.Snapshot[document.State], error)
	ViewDocument(ctx context.Context, act ledger.Act, id string) (ledger.Outcome, error)
	AcknowledgeDocument(ctx context.Context, act ledger.Act, id string) (ledger.Outcome, error)
	ApproveDocument(ctx context.Context, act ledger.Act, id string) (ledger.Outcome, error)
	SignDocument(ctx context.Context, act ledger.Act, id string, submitted []ledger.SubmittedSignature) (ledger.Outcome, error)
	RejectDocument(ctx context.Context, act ledger.Act, id, reason string) (ledger.Outcome, error)
	RevokeDocument(ctx context.Context, act ledger.Act, id, reason string) (ledger.Outcome, error)
	ConsentToRevocation(ctx context.Context, act ledger.Act, id string) (ledger.Outcome, error)
	DeclineRevocation(ctx context.Context, act ledger.Act, id, reason string) (ledger.Outcome, error)

	Retention(s document.State) (retention.Retention, bool)
	Original(ctx context.Context, act ledger.Act, id string) error
	IssuePaperCopy(ctx context.Context, act ledger.Act, id, language string) (ledger.Outcome, error)
	IssueExemplar(ctx context.Context, act ledger.Act, id string) (ledger.Outcome, error)
	RequestDestruction(ctx context.Context, act ledger.Act, id, reason, mediaType string, letter io.Reader) (ledger.Outcome, error)

	Keeping(ctx context.Context, act ledger.Act, id string) (ledger.Snapshot[document.State], error)
	PlaceHold(ctx context.Context, act ledger.Act, id, ground string) (ledger.Outcome, error)
	LiftHold(ctx context.Context, act ledger.Act, id, hold, reason string) (ledger.Outcome, error)
	OrderDestruction(ctx context.Context, act ledger.Act, id string, basis document.Basis) (ledger.Outcome, error)
	Participant(ctx context.Context, id string) (ledger.Snapshot[participant.State], error)
	RequestErasure(ctx context.Context, act ledger.Act, id, reason, mediaType string, letter io.Reader) (ledger.Outcome, error)
	OrderErasure(ctx context.Context, act ledger.Act, id string) (ledger.Outcome, error)

	CheckNumber(ctx context.Context, number string) (ledger.PublicView, error)

	TrustHistory(ctx context.Context) (ledger.Snapshot[[]event.Event], error)
}

// Models is what the pages ask of the read models; *projections.Models does
// it.
type Models interface {
	Inbox(ctx context.Context, participant string, page projections.Page) (projections.Result[projections.BoxRow], error)
	Outbox(ctx context.Context, participant string, page projections.Page) (projections.Result[projections.BoxRow], error)
	Journal(ctx context.Context, filter projections.JournalFilter, page projections.Page) (projections.Result[projections.JournalRow], error)
	CountJournal(ctx context.Context, filter projections.JournalFilter, most int) (int, error)
	Documents(ctx context.Context, page projections.Page) (projections.Result[projections.DocumentRow], error)
	Participants(ctx context.Context, page projections.Page) (projections.Result[projections.Participant], error)
	Timeline(ctx context.Context, document string, after eventstore.Position, limit int) ([]projections.TimelineRow, error)
	Names(ctx context.Context, ids ...string) (map[string]projections.Participant, error)
	Destructions(ctx context.Context, filter projections.DestructionFilter, page projections.Page) (projections.Result[projections.Destruction], error)
	Certificates(ctx context.Context, filter projections.CertificateFilter, page projections.Page) (projections.Result[projections.Certificate], error)
	WaitFor(ctx context.Context, position eventstore.Position) error
}

// Log is what the pages ask of the transparency log; *transparency.Log does it.
type Log interface {
	Status() transparency.Status
	Newest() checkpoint.Signed
}

// Config is what the pages are made of. Ledger, Models and Uploads are needed.
type Config struct {
	Ledger Ledger
	Models Models
	// Uploads checks what outsiders upload.
	Uploads Uploads
	// Log is nil where the ledger keeps no transparency log; LogKey is the text
	// of its public key.
	Log    Log
	LogKey string
	// Recoveries are the losses after which the ledger went on: every page states
	// them.
	Recoveries []founding.Recovered
	// Clock is time.Now unless set; it decides what is overdue and what ends
	// soon.
	Clock func() time.Time
}

// Pages makes the pages. It may be used from many goroutines.
type Pages struct {
	ledger    Ledger
	models    Models
	uploads   Uploads
	log       Log
	logKey    string
	losses    []founding.Recovered
	clock     func() time.Time
	catalogue catalogue
	matcher   language.Matcher
	templates map[string]*template.Template
	assets    map[string][]byte
	// version is cut from the hash of all assets: an address with it may be
	// kept by browsers for ever.
	version string
	guesses guesses
	// paths are those of our routes, as the router writes them.
	paths map[string]bool
}

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed assets/*
var assetFiles embed.FS

// New makes the pages; it reads catalogue and templates and refuses broken
// ones.
func New(config Config) (*Pages, error) {
	p := &Pages{
		ledger: config.Ledger, models: config.Models, uploads: config.Uploads, log: config.Log, logKey: config.LogKey,
		losses: config.Recoveries, clock: config.Clock,
		matcher:   language.NewMatcher([]language.Tag{language.Russian, language.Kazakh, language.English}),
		templates: map[string]*template.Template{}, assets: map[string][]byte{}, paths: map[string]bool{},
	}
	if p.ledger == nil || p.models == nil || p.uploads == nil {
		return nil, fault.New(fault.ConfigInvalid, "the pages need a ledger, read models and what checks uploads")
	}
	if p.clock == nil {
		p.clock = time.Now
	}
	var err error
	if p.catalogue, err = readCatalogue(messages); err != nil {
		return nil, err
	}
	if err := p.readAssets(); err != nil {
		return nil, err
	}
	names, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("list the templates: %w", err)
	}
	for _, name := range names {
		base := path.Base(name)
		if slices.Contains(shared, base) {
			continue
		}
		t, err := template.New(base).Option("missingkey=error").ParseFS(templateFiles, "templates/layout.html", "templates/parts.html", "templates/icons.html", name)
		if err != nil {
			return nil, fmt.Errorf("read the template %s: %w", base, err)
		}
		p.templates[strings.TrimSuffix(base, ".html")] = t
	}
	return p, nil
}

func (p *Pages) readAssets() error {
	entries, err := fs.ReadDir(assetFiles, "assets")
	if err != nil {
		return fmt.Errorf("list the assets: %w", err)
	}
	all := sha256.New()
	for _, entry := range entries {
		content, err := fs.ReadFile(assetFiles, "assets/"+entry.Name())
		if err != nil {
			return fmt.Errorf("read the asset %s: %w", entry.Name(), err)
		}
		p.assets[entry.Name()] = content
		all.Write(content)
	}
	p.version = hex.EncodeToString(all.Sum(nil)[:6])
	return nil
}

// formOf is room for a form with a file of the given size, and to tell one that
// is too large that it is.
func formOf(size int64) int64 { return size + size/2 + maxFormBytes }

// Routes lists the pages' routes.
func (p *Pages) Routes() []route.Route {
	parties := []access.Role{access.RoleParticipant}
	operator := []access.Role{access.RoleOperator}
	staff := []access.Role{access.RoleAuditor, access.RoleOperator}
	after := route.Parameter{Name: "after", Kind: route.Text}
	ends := route.Parameter{Name: "ends", Kind: route.Choice, Values: []string{"soon"}}
	list := []route.Route{
		{Method: http.MethodGet, Path: "/", Name: "page-home", Scope: route.Public, Handler: p.home},
		{Method: http.MethodGet, Path: "/assets/:version/:name", Name: "page-asset", Scope: route.Public, Handler: p.asset},
		{Method: http.MethodGet, Path: "/signin", Name: "page-signin", Scope: route.Public, Handler: p.signIn},
		{Method: http.MethodPost, Path: "/signin", Name: "page-signin-submit", Scope: route.Public, MaxBody: maxFormBytes, Handler: p.submitSignIn},
		{Method: http.MethodPost, Path: "/signin/switch", Name: "page-signin-switch", Scope: route.Public, MaxBody: maxFormBytes, Handler: p.switchSession},
		{Method: http.MethodPost, Path: "/signout", Name: "page-signout", Scope: route.Public, MaxBody: maxFormBytes, Handler: p.signOut},
		{Method: http.MethodGet, Path: "/check", Name: "page-check", Scope: route.Public, Query: []route.Parameter{{Name: "number", Kind: route.Text}}, Handler: p.checkForm},
		{Method: http.MethodGet, Path: "/check/:number", Name: "page-check-number", Scope: route.Public, Handler: p.checkNumber},
		{Method: http.MethodPost, Path: "/check/file", Name: "page-check-file", Scope: route.Public, MaxBody: formOf(p.uploads.Bounds().File), Within: p.uploads.Bounds().Within, Handler: p.checkUpload("file")},
		{Method: http.MethodPost, Path: "/check/packet", Name: "page-check-packet", Scope: route.Public, MaxBody: formOf(p.uploads.Bounds().Packet), Within: p.uploads.Bounds().Within, Handler: p.checkUpload("packet")},
		{Method: http.MethodGet, Path: "/inbox", Name: "page-inbox", Roles: parties, Scope: route.Own, Query: []route.Parameter{after}, Handler: p.inbox},
		{Method: http.MethodGet, Path: "/outbox", Name: "page-outbox", Roles: parties, Scope: route.Own, Query: []route.Parameter{after}, Handler: p.outbox},
		{Method: http.MethodGet, Path: ownPage, Name: "page-own", Roles: parties, Scope: route.Own, Handler: p.ownData},
		{Method: http.MethodPost, Path: ownPage + "/erasure-request", Name: "page-own-erasure", Roles: parties, Scope: route.Own, Command: true, MaxBody: maxOfficialBytes, Handler: p.askErasure},
		{Method: http.MethodGet, Path: "/journal", Name: "page-journal", Roles: parties, Scope: route.Own, Query: journalQuery(), Handler: p.journal},
		{Method: http.MethodGet, Path: "/certificates", Name: "page-certificates", Roles: parties, Scope: route.Own, Query: []route.Parameter{after, ends}, Handler: p.certificates},
		{Method: http.MethodGet, Path: "/journals", Name: "page-journals", Roles: staff, Scope: route.All, Query: journalQuery(), Handler: p.journal},
		{Method: http.MethodGet, Path: "/participants", Name: "page-participants", Roles: staff, Scope: route.All, Query: []route.Parameter{after}, Handler: p.participants},
		{Method: http.MethodGet, Path: "/documents", Name: "page-documents", Roles: staff[:1], Scope: route.All, Query: []route.Parameter{after}, Handler: p.documents},
		{Method: http.MethodGet, Path: "/documents/:id", Name: "page-document", Roles: []access.Role{access.RoleParticipant, access.RoleAuditor}, Scope: route.Document, Query: []route.Parameter{{Name: "after", Kind: route.Position}}, Handler: p.document},
	}
	for _, r := range []route.Route{
		{Method: http.MethodGet, Path: "/operator/destructions", Name: "page-destructions", Roles: staff, Query: []route.Parameter{after, choice("state", destructionStates()), choice("subject", destructionSubjects())}, Handler: p.destructions},
		{Method: http.MethodGet, Path: "/operator/certificates", Name: "page-all-certificates", Roles: staff, Query: []route.Parameter{after, ends, {Name: "participant", Kind: route.Text}}, Handler: p.certificates},
		{Method: http.MethodGet, Path: "/operator/trust", Name: "page-trust", Roles: staff, Handler: p.trust},
		{Method: http.MethodGet, Path: operatorPages + "log", Name: "page-log", Roles: staff, Handler: p.logStatus},
		{Method: http.MethodGet, Path: "/operator/documents/:id", Name: "page-keeping", Roles: staff, Handler: p.keeping},
		{Method: http.MethodPost, Path: "/operator/documents/:id/hold", Name: "page-hold", Roles: operator, Command: true, MaxBody: maxFormBytes, Handler: p.placeHold},
		{Method: http.MethodPost, Path: "/operator/documents/:id/lift", Name: "page-lift", Roles: operator, Command: true, MaxBody: maxFormBytes, Handler: p.liftHold},
		{Method: http.MethodGet, Path: "/operator/documents/:id/destruction", Name: "page-destruction", Roles: operator, Handler: p.confirm},
		{Method: http.MethodPost, Path: "/operator/documents/:id/destruction", Name: "page-order", Roles: operator, Command: true, MaxBody: maxFormBytes, Handler: p.order},
		{Method: http.MethodGet, Path: "/operator/participants/:id", Name: "page-participant", Roles: staff, Handler: p.participant},
		{Method: http.MethodPost, Path: "/operator/participants/:id/erasure-request", Name: "page-erasure-request", Roles: operator, Command: true, MaxBody: maxOfficialBytes, Handler: p.requestErasure},
		{Method: http.MethodPost, Path: "/operator/participants/:id/erasure", Name: "page-erasure", Roles: operator, Command: true, MaxBody: maxFormBytes, Handler: p.orderErasure},
	} {
		// The operator keeps what it may not see: these show nothing of a
		// document's content.
		r.Scope = route.All
		list = append(list, r)
	}
	for _, a := range p.actions() {
		list = append(list, route.Route{
			Method: http.MethodPost, Path: "/documents/:id/" + a.name, Name: "page-" + a.name, Roles: parties,
			Scope: route.Document, Command: true, MaxBody: a.maxBody(), Handler: p.act(a),
		})
	}
	for i := range list {
		list[i].Page = true
		list[i].Query = append(list[i].Query, choice("lang", Languages()))
		if list[i].Method == http.MethodGet {
			p.paths[list[i].Path] = true
		}
	}
	return list
}

func choice[T ~string](name string, values []T) route.Parameter {
	return route.Parameter{Name: name, Kind: route.Choice, Values: texts(values)}
}

// journalQuery are the fields of the journal's form.
func journalQuery() []route.Parameter {
	return []route.Parameter{
		{Name: "after", Kind: route.Text},
		{Name: "from", Kind: route.Day}, {Name: "to", Kind: route.Day},
		{Name: "number", Kind: route.Text}, {Name: "identifier", Kind: route.Text}, {Name: "party", Kind: route.Text},
		choice("direction", []projections.Direction{projections.In, projections.Out}),
		choice("kind", document.Kinds()), choice("status", statuses()),
	}
}

// frame is what every page needs.
type frame struct {
	words
	// Page is the template's name, Title the document's title.
	Page, Title string
	Assets      string
	Role        string
	// Who is the participant for whom the session acts, Person the employee
	// who does, if another.
	Who, Person string
	// Own leads to the participant's own data, "" for who has none.
	Own      string
	Nav      []link
	Switch   []link
	SignedIn bool
	// Outcome is what the last action came to, if any.
	Outcome *outcome
	// Refresh is where the page goes on by itself at once, "" if it stays.
	Refresh string
	// SignsIn says that the page has the form to sign in, Auto that a code in the
	// address may send it.
	SignsIn, Auto bool
	// Home is where the name of the ledger leads.
	Home string
	// Losses state what the ledger has lost.
	Losses []string
}

type link struct {
	Href, Text string
	Lang       Language
	Current    bool
}

type outcome struct {
	Good bool
	Text string
	// Name is the action's; Links lead to what came of it.
	Name  string
	Links []link
}

func (p *Pages) frame(c echo.Context, caller route.Caller, page string) frame {
	f := frame{
		words: words{Lang: p.language(c), catalogue: p.catalogue, now: p.clock()},
		Page:  page, Assets: "/assets/" + p.version, SignedIn: caller.SignedIn(), Home: "/",
	}
	for _, r := range p.losses {
		f.Losses = append(f.Losses, f.T("app.loss", "date", f.date(r.RecoveredAt), "missing", r.Missing(),
			"known", r.Known, "former", r.FormerOrigin, "log", r.Origin))
	}
	here := c.Request().URL
	target, kept := p.again(c)
	f.Switch = f.languageLinks(target, kept)
	nav := func(href, key string) {
		f.Nav = append(f.Nav, link{Href: href, Text: f.T(key), Current: here.Path == href})
	}
	switch caller.Role {
	case access.RoleParticipant:
		nav("/inbox", "nav.inbox")
		nav("/outbox", "nav.outbox")
		nav("/journal", "nav.journal")
		nav("/certificates", "nav.certificates")
		f.Own = ownPage
	case access.RoleAuditor:
		nav("/documents", "nav.documents")
		nav("/journals", "nav.journal")
		nav("/participants", "nav.participants")
		nav("/operator/certificates", "nav.certificates")
		nav("/operator/trust", "nav.trust")
		nav("/operator/destructions", "nav.destructions")
		nav(operatorPages+"log", "nav.log")
	case access.RoleOperator:
		nav("/journals", "nav.journal")
		nav("/participants", "nav.participants")
		nav("/operator/certificates", "nav.certificates")
		nav("/operator/trust", "nav.trust")
		nav("/operator/destructions", "nav.destructions")
		nav(operatorPages+"log", "nav.log")
	}
	if f.SignedIn {
		f.Role = f.T("access-role." + string(caller.Role))
		f.Who, f.Person = p.holder(c.Request().Context(), f.words, caller)
	}
	return f
}

func (w words) languageLinks(target string, kept url.Values) (list []link) {
	for _, l := range Languages() {
		query := maps.Clone(kept)
		query.Set("lang", string(l))
		list = append(list, link{Href: target + "?" + query.Encode(), Text: l.Name(), Lang: l, Current: l == w.Lang})
	}
	return list
}

// again is where a page can be asked for once more, in another language: the
// path and the query of a page that was got, and the start page for what was
// sent and for an address that is none. The
// path is one of ours, so that a link in a page never leads off the site, as
// //another.example would.
func (p *Pages) again(c echo.Context) (string, url.Values) {
	here := c.Request().URL
	read := c.Request().Method == http.MethodGet || c.Request().Method == http.MethodHead
	if !read || !p.paths[c.Path()] || !strings.HasPrefix(here.Path, "/") || strings.HasPrefix(here.Path, "//") || strings.HasPrefix(here.Path, `/\`) {
		return "/", url.Values{}
	}
	return here.EscapedPath(), here.Query()
}

// holder names who is signed in. The names are empty when they cannot be read:
// a page that could be shown is not lost for want of them.
func (p *Pages) holder(ctx context.Context, w words, caller route.Caller) (who, person string) {
	ids := []string{caller.By.Participant}
	if caller.By.Person != "" {
		ids = append(ids, caller.By.Person)
	}
	n, err := p.lookup(ctx, w, ids...)
	if err != nil {
		return "", ""
	}
	return n.of(caller.By.Participant), n.of(caller.By.Person)
}

// language chooses the page's language: as asked in the address, as chosen
// before, as the browser prefers. What was asked is remembered.
func (p *Pages) language(c echo.Context) Language {
	if asked := Language(c.QueryParam("lang")); known(asked) {
		c.SetCookie(&http.Cookie{
			Name: languageCookie, Value: string(asked), Path: "/", MaxAge: 365 * 24 * 60 * 60,
			HttpOnly: true, Secure: route.Secure(c), SameSite: http.SameSiteLaxMode,
		})
		return asked
	}
	if cookie, err := c.Cookie(languageCookie); err == nil && known(Language(cookie.Value)) {
		return Language(cookie.Value)
	}
	header := c.Request().Header.Get("Accept-Language")
	if len(header) > 200 {
		header = ""
	}
	tags, _, err := language.ParseAcceptLanguage(header)
	if err != nil || len(tags) == 0 {
		return Russian
	}
	_, i, confidence := p.matcher.Match(tags...)
	if confidence == language.No {
		return Russian
	}
	return Languages()[i]
}

func known(l Language) bool { return l == Russian || l == Kazakh || l == English }

// render writes a page whole or not at all.
func (p *Pages) render(c echo.Context, status int, page string, view any) error {
	var b bytes.Buffer
	if err := p.templates[page].ExecuteTemplate(&b, "layout.html", view); err != nil {
		return fault.Wrap(fault.Internal, err, "the page cannot be made")
	}
	h := c.Response().Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "same-origin")
	h.Add("Vary", "Cookie, Accept-Language")
	if page == "entering" || page == "switch" || page == "signin" {
		h.Set("Referrer-Policy", "no-referrer")
	}
	return c.Blob(status, echo.MIMETextHTMLCharsetUTF8, b.Bytes())
}

func (p *Pages) home(c echo.Context, caller route.Caller) error {
	p.language(c) // remembers a choice; the page that follows shows it
	to := "/signin"
	switch caller.Role {
	case access.RoleParticipant:
		to = "/inbox"
	case access.RoleAuditor:
		to = "/documents"
	case access.RoleOperator:
		to = "/journals"
	}
	return p.seeOther(c, to)
}

// seeOther redirects to a path of ours.
func (p *Pages) seeOther(c echo.Context, to string) error {
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.Redirect(http.StatusSeeOther, to)
}

func (p *Pages) asset(c echo.Context, _ route.Caller) error {
	content, ok := p.assets[c.Param("name")]
	if !ok {
		return fault.New(fault.RouteUnknown, "no such file")
	}
	if c.Param("version") == p.version {
		c.Response().Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	return route.Send(c, mime.TypeByExtension(path.Ext(c.Param("name"))), content)
}

func (p *Pages) signIn(c echo.Context, caller route.Caller) error {
	f := p.frame(c, caller, "signin")
	f.SignsIn, f.Auto = true, byHand(c.Request())
	f.Title = f.T("signin.title")
	return p.render(c, http.StatusOK, "signin", f)
}

func (p *Pages) submitSignIn(c echo.Context, caller route.Caller) error {
	return p.enter(c, caller, strings.TrimSpace(c.FormValue("token")))
}

// byHand reports whether a page was asked for by nobody else's page: typed,
// opened from a program, or from here.
func byHand(r *http.Request) bool {
	from := r.Header.Get("Sec-Fetch-Site")
	return from == "none" || from == "same-origin"
}

// enter starts a session and goes on to the start page; see the package
// comment for why it is no redirect. Who is signed in already as another is
// asked first: whoever sends a link must not choose in whose name its reader
// goes on.
func (p *Pages) enter(c echo.Context, caller route.Caller, token string) error {
	principal, err := p.ledger.Authenticate(c.Request().Context(), token)
	if err != nil {
		return err
	}
	if caller.SignedIn() && (caller.By != principal.By || caller.Role != principal.Role) {
		return p.askToSwitch(c, caller, principal, token)
	}
	return p.begin(c, principal, token)
}

// begin starts a session, and leaves who began it for the security log.
func (p *Pages) begin(c echo.Context, principal ledger.Principal, token string) error {
	c.Set(route.KeyEntered, principal)
	c.SetCookie(p.session(c, token, principal.Expires))
	f := p.frame(c, route.Caller{}, "entering")
	f.Title, f.Refresh = f.T("signin.entering"), "/"
	return p.render(c, http.StatusOK, "entering", f)
}

// switchView asks whether another is to be signed in.
type switchView struct {
	frame
	Is, Becomes string
}

// switchCookie holds the token that waits for the answer, so that it stands in
// no page; switchPath is where the answer goes, and nothing else gets it.
const (
	switchCookie = "dalel_switch"
	switchPath   = "/signin/switch"
)

func (p *Pages) askToSwitch(c echo.Context, caller route.Caller, next ledger.Principal, token string) error {
	v := switchView{frame: p.frame(c, caller, "switch")}
	name := func(caller route.Caller) string {
		who, person := p.holder(c.Request().Context(), v.words, caller)
		parts := []string{v.T("access-role." + string(caller.Role))}
		for _, part := range []string{person, who} {
			if part != "" {
				parts = append([]string{part}, parts...)
			}
		}
		return strings.Join(parts, " · ")
	}
	v.Title, v.Is, v.Becomes = v.T("switch.title"), name(caller), name(route.Caller{Principal: next})
	c.SetCookie(&http.Cookie{
		Name: switchCookie, Value: token, Path: switchPath, MaxAge: 5 * 60,
		HttpOnly: true, Secure: route.Secure(c), SameSite: http.SameSiteStrictMode,
	})
	return p.render(c, http.StatusOK, "switch", v)
}

// switchSession signs in whom askToSwitch asked about.
func (p *Pages) switchSession(c echo.Context, _ route.Caller) error {
	waiting, err := c.Cookie(switchCookie)
	if err != nil {
		return p.seeOther(c, "/signin")
	}
	c.SetCookie(&http.Cookie{Name: switchCookie, Path: switchPath, MaxAge: -1, HttpOnly: true, Secure: route.Secure(c), SameSite: http.SameSiteStrictMode})
	principal, err := p.ledger.Authenticate(c.Request().Context(), waiting.Value)
	if err != nil {
		return err
	}
	return p.begin(c, principal, waiting.Value)
}

func (p *Pages) signOut(c echo.Context, _ route.Caller) error {
	c.SetCookie(p.session(c, "", time.Unix(1, 0)))
	return p.seeOther(c, "/signin")
}

func (p *Pages) session(c echo.Context, token string, expires time.Time) *http.Cookie {
	return &http.Cookie{
		Name: route.SessionName(c), Value: token, Path: "/", Expires: expires,
		HttpOnly: true, Secure: route.Secure(c), SameSite: http.SameSiteStrictMode,
	}
}

// leave keeps the outcome of an action for the page that follows, which is in
// a part of the site.
func (p *Pages) leave(c echo.Context, under, value string) {
	c.SetCookie(&http.Cookie{
		Name: outcomeCookie, Value: value, Path: under, MaxAge: 60,
		HttpOnly: true, Secure: route.Secure(c), SameSite: http.SameSiteStrictMode,
	})
}

// outcome takes what leave kept: "done:acknowledge" or "refused:<code>".
func (p *Pages) outcome(c echo.Context, under string, w words) *outcome {
	cookie, err := c.Cookie(outcomeCookie)
	if err != nil {
		return nil
	}
	c.SetCookie(&http.Cookie{Name: outcomeCookie, Path: under, MaxAge: -1, HttpOnly: true, Secure: route.Secure(c), SameSite: http.SameSiteStrictMode})
	what, name, _ := strings.Cut(cookie.Value, ":")
	switch {
	case what == "done" && p.catalogue.has("done."+name):
		return &outcome{Good: true, Name: name, Text: w.T("done." + name)}
	case what == "refused" && p.catalogue.has("fault."+name):
		return &outcome{Text: w.T("fault." + name)}
	}
	return nil
}

// shared are the templates that every page is read with.
var shared = []string{"layout.html", "parts.html", "icons.html"}

// newKey makes an idempotency key for a form.
func newKey() string { return rand.Text() }

// errorView is the error page.
type errorView struct {
	frame
	Text, Code string
	Reasons    []string
}

// Error shows a failure as a page, with the status of its kind. A session that
// has ended leads to the sign-in page.
func (p *Pages) Error(c echo.Context, caller route.Caller, f *fault.Error) error {
	if c.Response().Committed {
		return f
	}
	v := errorView{frame: p.frame(c, caller, "error"), Code: string(f.Code)}
	v.Title = v.T("error.title")
	v.Text = v.fault(f.Code)
	if fault.Lookup(f.Code).Kind == fault.KindInvalid {
		// Asked for again, the same query would be refused again.
		target, _ := p.again(c)
		v.Switch = v.languageLinks(target, url.Values{})
	}
	for _, r := range f.Reasons {
		v.Reasons = append(v.Reasons, v.reason(r.Code, r.Detail))
	}
	if fault.Lookup(f.Code).Kind == fault.KindUnauthenticated {
		v.SignsIn = true
		// The form to sign in stands beneath the reason.
		v.Title = v.T("signin.title")
		if f.Code != fault.TokenMissing {
			v.Outcome = &outcome{Text: v.Text}
		}
		return p.render(c, route.StatusOf(f.Code), "signin", v.frame)
	}
	return p.render(c, route.StatusOf(f.Code), "error", v)
}

func (w words) fault(code fault.Code) string {
	return w.or("fault."+string(code), fault.Lookup(code).Title)
}

func (w words) reason(code, detail string) string {
	switch code {
	case route.MemberUnknown:
		return w.T("query.unknown", "name", detail)
	case route.MemberRepeated:
		return w.T("query.repeated", "name", detail)
	case route.MemberInvalid:
		return w.T("query.value", "name", detail)
	}
	return w.or("reason."+code, w.or("fault."+code, detail))
}
