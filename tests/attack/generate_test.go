package attack

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/pb33f/libopenapi/datamodel/high/base"
	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"
	"github.com/stretchr/testify/require"
)

// generator makes requests from the description. The same seed makes the same
// ones, as far as the ledger's own ids are the same.
type generator struct {
	*rand.Rand
	description *description
	who         *people
	places
	sent int
	// wild is set for a request in which things may be wrong.
	wild bool
}

// places are the things that an address can name.
type places struct {
	documents, participants, persons, certificates, anchors []string
	certificate                                             []byte
	// names, hashes and numbers are those of the documents' files, evidence and
	// registration; holds stand on some.
	names, hashes, numbers, holds []string
	// size is that of the transparency log.
	size string
	// own are the documents that callers see, by their names; drafts are theirs
	// too.
	own, drafts map[string][]string
}

// places finds what the story has left.
func (n *node) places(who *people) places {
	n.t.Helper()
	viewers, documents := n.viewers()
	p := places{documents: documents, participants: []string{who.spare, who.pending}, own: map[string][]string{}, drafts: map[string][]string{}}
	for _, v := range viewers {
		if v.Role == "participant" {
			p.participants = append(p.participants, v.By.Participant)
		}
	}
	sent := p.work(n, who)
	for _, c := range who.callers {
		if c.person != "" {
			p.persons = append(p.persons, c.person)
		}
		for _, id := range append(sent, documents...) {
			a, err := n.do(clients{}, request{method: http.MethodGet, path: "/api/v1/documents/" + id, token: c.token})
			require.NoError(n.t, err)
			if a.status == http.StatusOK {
				p.own[c.name] = append(p.own[c.name], id)
			}
		}
	}
	p.read(n, who)
	return p
}

// work makes drafts of the story's participants, and sends some of each to the
// others: what a request can do something with.
func (p *places) work(n *node, who *people) (sent []string) {
	n.t.Helper()
	var acting []caller
	for _, c := range who.callers {
		if strings.HasPrefix(c.name, "participant") {
			acting = append(acting, c)
		}
	}
	for i, c := range acting {
		for times := range 8 {
			id := n.must(c.token, http.MethodPost, "/api/v1/documents", map[string]any{"kind": "letter", "title": "A letter"})["id"].(string)
			a, err := n.do(clients{}, request{
				method: http.MethodPut, path: "/api/v1/documents/" + id + "/files/a.pdf", token: c.token, body: pdf(nil),
				header: http.Header{"Content-Type": {"application/pdf"}, "Idempotency-Key": {fmt.Sprint("file-", n.keys.Add(1))}},
			})
			require.NoError(n.t, err)
			require.Equal(n.t, http.StatusOK, a.status, a)
			if times < 3 {
				p.drafts[c.name] = append(p.drafts[c.name], id)
				continue
			}
			recipient := func(further int, role string) map[string]any {
				return map[string]any{"participant": acting[(i+further)%len(acting)].participant, "role": role}
			}
			n.must(c.token, http.MethodPost, "/api/v1/documents/"+id+"/send", map[string]any{
				"recipients": []any{recipient(1+times%2, "approve"), recipient(2-times%2, "sign")},
			})
			sent = append(sent, id)
		}
	}
	p.documents = append(p.documents, sent...)
	return sent
}

// read takes in what the story's documents and lists hold.
func (p *places) read(n *node, who *people) {
	n.t.Helper()
	// The lists are read when they have come to here.
	now := n.must(n.operator, http.MethodPost, "/api/v1/tokens", map[string]any{"participant": who.spare, "role": "participant", "seconds": 60})
	read := func(as, path string, into any) []byte {
		wait := http.Header{"Dalel-Wait-For": {fmt.Sprint(int64(now["position"].(float64)))}}
		a, err := n.do(clients{}, request{method: http.MethodGet, path: path, token: as, header: wait})
		require.NoError(n.t, err)
		require.Equal(n.t, http.StatusOK, a.status, a)
		if into != nil {
			require.NoError(n.t, json.Unmarshal(a.body, into))
		}
		return a.body
	}
	var list struct {
		Items []struct{ Fingerprint string }
	}
	read(n.operator, "/api/v1/certificates", &list)
	require.NotEmpty(n.t, list.Items)
	for _, item := range list.Items {
		p.certificates = append(p.certificates, item.Fingerprint)
	}
	p.certificate = read(n.operator, "/api/v1/certificates/"+p.certificates[0]+"/certificate.cer", nil)
	list.Items = nil
	read(n.operator, "/api/v1/trust", &list)
	for _, item := range list.Items {
		p.anchors = append(p.anchors, item.Fingerprint)
	}
	slices.Sort(p.anchors)
	p.size = strings.Split(string(read("", "/log/checkpoint", nil)), "\n")[1]
	auditor, _ := n.token(who.spare, "", "auditor")
	hash := regexp.MustCompile(`"sha256":"([0-9a-f]{64})"`)
	for _, id := range p.documents {
		var document struct {
			Number string
			Files  []struct{ Name string }
		}
		text := read(auditor, "/api/v1/documents/"+id, &document)
		for _, f := range document.Files {
			p.names = append(p.names, f.Name)
		}
		if document.Number != "" {
			p.numbers = append(p.numbers, document.Number)
		}
		for _, found := range hash.FindAllSubmatch(text, -1) {
			p.hashes = append(p.hashes, string(found[1]))
		}
	}
}

// one picks an element.
func one[T any](g *generator, of ...T) T { return of[g.IntN(len(of))] }

// chance is true in so many of a hundred cases.
func (g *generator) chance(percent int) bool { return g.IntN(100) < percent }

// odd is true in so many of a hundred cases, where things may be wrong.
func (g *generator) odd(percent int) bool { return g.chance(percent) && g.wild }

// next makes a request for an operation.
func (g *generator) next() (operation, request) {
	o := one(g, g.description.operations...)
	if g.chance(70) {
		o = g.description.operations[g.sent%len(g.description.operations)]
	}
	g.sent++
	g.wild = g.chance(60)
	who := one(g, g.who.callers...)
	if g.chance(40) {
		who = one(g, g.who.callers[:6]...)
	}
	for g.chance(93) && !slices.Contains(o.roles, who.role) && len(o.roles) > 0 {
		who = one(g, g.who.callers...)
	}
	r := request{method: o.method, as: who.name, token: who.token, header: http.Header{}, from: byte(1 + g.IntN(250))}
	r.path = g.address(o, who)
	g.headers(o, &r)
	g.content(o, &r)
	if g.odd(2) {
		r.method = one(g, "PATCH", "OPTIONS", "TRACE", "PROPFIND", "get")
	}
	return o, r
}

// address fills the path's parameters and makes a query.
func (g *generator) address(o operation, who caller) string {
	path, query := o.path, []string{}
	for _, p := range o.Parameters {
		switch p.In {
		case "path":
			value := g.named(o, p.Name, who)
			value = url.PathEscape(value)
			if strings.Contains(path, "/tile/") {
				value = strings.ReplaceAll(value, "%2F", "/")
			}
			path = strings.Replace(path, "{"+p.Name+"}", value, 1)
		case "query":
			needed := p.Required != nil && *p.Required
			times := 0
			cursor := p.Name == "after" && !g.wild // no list has been read
			if needed && !g.odd(10) || g.chance(35) && !cursor {
				times = 1
				if g.odd(6) {
					times = 2
				}
			}
			for range times {
				query = append(query, url.QueryEscape(p.Name)+"="+url.QueryEscape(g.asked(p, who)))
			}
		}
	}
	if g.odd(7) {
		query = append(query, one(g, "x=1", "participnt=x", "limit=", "%zz=1", "a;b=c", "=", "limit[]=5", "After=1", "lang=%ff", "%00=%00"))
	}
	if g.odd(3) {
		path += one(g, "/", "//", "/..", "/%2e%2e/", "/.", "%00", "%2f", ";x", "/%F0%9F%98%80")
	}
	if len(query) > 0 {
		path += "?" + strings.Join(query, "&")
	}
	return path
}

// named is a value for a parameter of the path: mostly one that is there.
func (g *generator) named(o operation, name string, who caller) string {
	path := o.path
	if g.odd(15) {
		return one(g, texts[1:]...)
	}
	switch name {
	case "id":
		switch {
		case strings.Contains(path, "/documents/"):
			if drafts := g.drafts[who.name]; len(drafts) > 0 && slices.Contains(ofDrafts, o.name) && g.chance(90) {
				return one(g, drafts...)
			}
			if own := g.own[who.name]; len(own) > 0 && g.chance(60) {
				return one(g, own...)
			}
			return one(g, g.documents...)
		case strings.Contains(path, "/tokens/"):
			return one(g, g.who.tokens...)
		case strings.Contains(path, "/erasure"), who.participant == "":
			return one(g, g.who.spare, g.who.pending)
		}
		return one(g, append(slices.Clone(g.participants), who.participant, who.participant, who.participant)...)
	case "person":
		return one(g, append(slices.Clone(g.persons), g.who.spare)...)
	case "fingerprint":
		if strings.Contains(path, "/trust/") {
			return one(g, g.anchors...)
		}
		return one(g, g.certificates...)
	case "name":
		if strings.Contains(path, "/tile/") {
			return one(g, "0/000.p/"+g.size, "entries/000.p/"+g.size, "0/000", "entries/000.p/8", "00", "0/x001/000", "entries/-1")
		}
		return one(g, append(slices.Clone(g.names), "a.pdf", "a.pdf", "a.pdf", "a.txt", "con.pdf", "договор.docx")...)
	case "hold":
		return one(g, append(slices.Clone(g.holds), "x")...)
	case "n":
		return one(g, "1", "1", "1", "2", "0", "-1", "01", "+1", "99999999999999999999")
	case "sha256":
		return one(g, append(slices.Clone(g.hashes), strings.Repeat("0", 64), strings.Repeat("f", 63))...)
	case "code":
		return one(g, "internal", "request.invalid", "no.such")
	case "number":
		return one(g, append(slices.Clone(g.numbers), "8942 6154 5932 0502 9044", "11111111111111111111", "1")...)
	}
	return one(g, texts...)
}

// ofDrafts are the operations that a draft alone can take.
var ofDrafts = []string{"describeDocument", "putFile", "removeFile", "sendDocument"}

// asked is a value for a parameter of the query.
func (g *generator) asked(p *v3.Parameter, who caller) string {
	if g.odd(30) {
		return one(g, texts...)
	}
	switch p.Name {
	case "participant", "counterparty":
		return one(g, append(slices.Clone(g.participants), who.participant, who.participant)...)
	case "document":
		return one(g, g.documents...)
	case "from":
		return one(g, "2026-01-01", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00+05:00", "2027-01-01")
	case "to":
		return one(g, "2036-12-31", "2036-12-31T00:00:00Z", "0001-01-01", "9999-12-31")
	case "after":
		return one(g, "1", "0", "100", "bzAwMDAwMDAw", strings.Repeat("A", 300))
	}
	if p.Schema == nil {
		return one(g, texts...)
	}
	value := g.value(p.Name, p.Schema.Schema(), 1)
	if text, ok := value.(string); ok {
		return text
	}
	return fmt.Sprint(value)
}

// headers sets those that the operation has, and sometimes others.
func (g *generator) headers(o operation, r *request) {
	g.sent++
	if r.method != http.MethodGet && r.method != http.MethodHead {
		switch {
		case g.odd(4):
		case g.odd(8):
			r.header.Set("Idempotency-Key", "the same")
		default:
			r.header.Set("Idempotency-Key", fmt.Sprint("fuzz-", g.sent))
		}
	}
	for _, p := range o.Parameters {
		if values := oddHeaders[p.Name]; p.In == "header" && len(values) > 0 && p.Name != "Idempotency-Key" && g.odd(25) {
			r.header.Set(p.Name, one(g, values...))
		}
	}
	if g.odd(35) {
		name := one(g, oddHeaderNames...)
		r.header.Set(name, one(g, oddHeaders[name]...))
	}
	if g.odd(3) {
		r.as, r.token = "an unknown token", "dalel_"+strings.Repeat("B", 42)+"A"
	}
	if g.odd(1) {
		r.as, r.token = "a malformed token", one(g, "x", "dalel_", "dalel_"+strings.Repeat("=", 43), strings.Repeat("a", 4000))
	}
}

// content gives the request a body of the described kind, or of another.
func (g *generator) content(o operation, r *request) {
	if o.RequestBody == nil {
		if g.odd(4) {
			r.body = []byte("unwanted")
		}
		return
	}
	var kinds []string
	for kind := range o.RequestBody.Content.KeysFromOldest() {
		kinds = append(kinds, kind)
	}
	kind := one(g, kinds...)
	media := o.RequestBody.Content.GetOrZero(kind)
	switch {
	case kind == "application/json":
		r.body = g.json(media.Schema.Schema())
	case strings.HasPrefix(kind, "multipart/"):
		kind, r.body = "multipart/form-data; boundary=X", []byte(forms[0])
		if g.wild {
			r.body = []byte(one(g, forms...))
		}
	default:
		r.body = one(g, append(slices.Clone(files), g.certificate)...)
		if kind == "*/*" && !g.wild {
			kind, r.body = "application/pdf", files[0]
		} else if kind == "*/*" {
			kind = one(g, "application/pdf", "application/pdf", "image/png", "text/plain", "application/xml", "text/csv", "x/y", "application/zip")
		}
	}
	if g.odd(5) {
		kind = one(g, "text/plain", "application/json; charset=latin1", "application/json;;", "", "multipart/form-data", "x", "application/json, text/html")
	}
	if kind != "" {
		r.header.Set("Content-Type", kind)
	}
}

// json is a value of the schema as text, sometimes with something wrong.
func (g *generator) json(schema *base.Schema) []byte {
	value := g.value("", schema, 0)
	if g.odd(6) {
		value = one[any](g, nil, 1, "x", []any{}, map[string]any{}, true)
	}
	text, err := json.Marshal(value)
	if err != nil {
		return []byte("{}")
	}
	if !g.wild {
		return text
	}
	switch g.IntN(50) {
	case 0:
		return text[:max(len(text)-1, 0)]
	case 1:
		return []byte(`{"reason":"a","reason":"b"}`)
	case 2:
		return []byte(strings.Repeat("[", 5000) + strings.Repeat("]", 5000))
	case 3:
		return []byte(`{"seconds":NaN}`)
	case 4:
		return []byte("{\"reason\":\"\xff\xfe\"}")
	case 5:
		return append(text, " {}"...)
	case 6:
		return append([]byte("\ufeff"), text...)
	case 7:
		return nil
	case 8:
		return []byte(`{"reason":"\ud800"}`)
	case 9:
		return []byte(`{"` + strings.Repeat("k", 100_000) + `":1}`)
	case 10:
		return []byte(`{"minor":` + strings.Repeat("9", 5000) + `}`)
	}
	return text
}

// value makes a value for a schema; name is the member's.
func (g *generator) value(name string, schema *base.Schema, depth int) any {
	if schema == nil || depth > 8 {
		return "x"
	}
	if !g.odd(30) {
		if known := g.known(name); known != nil {
			return known
		}
	}
	if len(schema.Enum) > 0 && !g.odd(20) {
		return one(g, schema.Enum...).Value
	}
	for _, choices := range [][]*base.SchemaProxy{schema.AllOf, schema.OneOf, schema.AnyOf} {
		if len(choices) > 0 {
			return g.value(name, one(g, choices...).Schema(), depth+1)
		}
	}
	kind := "string"
	if len(schema.Type) > 0 {
		kind = one(g, schema.Type...)
	} else if schema.Properties != nil {
		kind = "object"
	}
	if g.odd(4) {
		kind = one(g, "string", "integer", "array", "object", "boolean", "null")
	}
	switch kind {
	case "object":
		return g.object(schema, depth)
	case "array":
		items := []any{}
		var of *base.Schema
		if schema.Items != nil && schema.Items.IsA() {
			of = schema.Items.A.Schema()
		}
		length := 1
		if g.wild {
			length = one(g, 0, 1, 1, 1, 1, 2, 3, 60/(1+depth))
		}
		for range length {
			items = append(items, g.value(name, of, depth+1))
		}
		return items
	case "integer", "number":
		if !g.odd(50) {
			return 1 + g.IntN(200)
		}
		return json.RawMessage(one(g, numbers...))
	case "boolean":
		return g.chance(50)
	case "null":
		return nil
	}
	if schema.Format == "date-time" && !g.odd(30) {
		return one(g, "2026-01-01T00:00:00Z", "2036-01-01T00:00:00Z", "2026-11-30T10:00:00+05:00")
	}
	if g.odd(60) {
		return one(g, texts...)
	}
	return fmt.Sprint("word ", g.IntN(100))
}

func (g *generator) object(schema *base.Schema, depth int) map[string]any {
	object := map[string]any{}
	if schema.Properties == nil {
		return object
	}
	for name, member := range schema.Properties.FromOldest() {
		if slices.Contains(schema.Required, name) && !g.odd(8) || g.chance(45) {
			object[name] = g.value(name, member.Schema(), depth+1)
		}
	}
	if g.odd(6) {
		object[one(g, "x", "", "__proto__", "Kind", "id")] = one(g, texts...)
	}
	return object
}

// known makes values of members that are more than their type, the first of
// each a good one; nil for none.
func (g *generator) known(name string) any {
	people := append(slices.Clone(g.participants), g.who.spare)
	values := map[string][]any{
		"participant": anything(people), "person": anything(append(slices.Clone(g.persons), g.who.spare)),
		"identifier": {"920627400314", "900101 3000 12", "060640005673", "900101300402", "000000000000"},
		"cms":        {"MAA=", "", "!!!", strings.Repeat("MIIB", 30), map[string]any{"status": true}, 7},
		"currency":   {"KZT", "USD", "kzt", "ABCD"},
		"minor":      {"100", "-1", "0", strings.Repeat("9", 30), "1.5", "01"},
		"date":       {"2026-11-30", "2026-02-30", "30.11.2026", "0000-00-00"},
		"deadline":   {"2036-01-01T00:00:00Z", "2020-01-01T00:00:00Z", "x"},
		"seconds":    {3600, 60, 59, 31622401, -1},
		"name":       {"Иванов Иван", "ТОО «Х»"},
		"title":      {"Договор", "A title"},
		"email":      {"a@b.kz", "@", "a@b.kz\r\nBcc: x"},
		"country":    {"DE", "KZ", "XX", "de"},
		"phone":      {"+77010000000", "0", "+7 701 000 00 00"},
		"from":       {"2026-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "x"},
	}[name]
	switch {
	case len(values) == 0:
		return nil
	case name == "participant" || name == "person" || g.odd(60):
		return one(g, values...)
	}
	return values[0]
}

func anything(texts []string) (all []any) {
	for _, text := range texts {
		all = append(all, text)
	}
	return all
}
