package httpapi_test

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"
	"github.com/stretchr/testify/require"

	"dalel/httpapi"
	"dalel/httpapi/route"
	"dalel/internal/fault"
)

func TestTheDescriptionIsValidOpenAPI31AndSaysWhatTheTableSays(t *testing.T) {
	document, err := libopenapi.NewDocument(httpapi.Description())
	require.NoError(t, err)
	require.Equal(t, "3.1.0", document.GetVersion())
	v, errs := validator.NewValidator(document)
	require.Empty(t, errs)
	valid, problems := v.ValidateDocument()
	for _, p := range problems {
		t.Errorf("%s: %s %v", p.Message, p.Reason, p.SchemaValidationErrors)
	}
	require.True(t, valid)
	model, err := document.BuildV3Model()
	require.NoError(t, err)

	said := map[string]*v3.Operation{}
	for path, item := range model.Model.Paths.PathItems.FromOldest() {
		for method, operation := range item.GetOperations().FromOldest() {
			said[strings.ToUpper(method)+" "+path] = operation
		}
	}
	w := newWorld(t)
	parameters := regexp.MustCompile(`:(\w+)`)
	for _, r := range w.server.Routes() {
		if r.Page {
			continue
		}
		key := r.Method + " " + parameters.ReplaceAllString(strings.Replace(r.Path, "/*", "/:name", 1), "{$1}")
		operation, ok := said[key]
		if !ok {
			t.Errorf("%s is not described", key)
			continue
		}
		delete(said, key)
		require.Equal(t, r.Name, operation.OperationId, key)
		var roles []string
		if node, ok := operation.Extensions.Get("x-roles"); ok {
			require.NoError(t, node.Decode(&roles))
		}
		var want []string
		for _, role := range r.Roles {
			want = append(want, string(role))
		}
		slices.Sort(roles)
		slices.Sort(want)
		require.Equal(t, want, roles, key)
		node, ok := operation.Extensions.Get("x-scope")
		require.True(t, ok, key)
		require.Equal(t, string(r.Scope), node.Value, key)
		require.Equal(t, r.MaxBody > 0, operation.RequestBody != nil, "%s: a body is described where one is taken", key)
		keyed := slices.ContainsFunc(operation.Parameters, func(p *v3.Parameter) bool { return p.Name == "Idempotency-Key" })
		require.Equal(t, r.Command, keyed, key)
		require.ElementsMatch(t, declaredQuery(r), describedQuery(operation), "%s: members of the query", key)
		if r.Scope != route.Public {
			require.Equal(t, r.Command, r.Method != http.MethodGet && r.Method != http.MethodHead, key)
		}
	}
	for key := range said {
		t.Errorf("%s is described and not there", key)
	}

	schema, ok := model.Model.Components.Schemas.Get("Code")
	require.True(t, ok)
	var codes, all []string
	for _, node := range schema.Schema().Enum {
		codes = append(codes, node.Value)
	}
	for _, definition := range fault.Catalogue() {
		all = append(all, string(definition.Code))
	}
	slices.Sort(codes)
	slices.Sort(all)
	require.Equal(t, all, codes, "the list of codes is the catalogue")
}

// queryMember is a member of a query as the table and the description both
// have it.
type queryMember struct {
	name, kind, format string
	repeats            bool
	values             string
	least, most        float64
}

func declaredQuery(r route.Route) (list []queryMember) {
	for _, p := range r.Query {
		m := queryMember{name: p.Name, kind: "string", repeats: p.Repeats, values: strings.Join(p.Values, ",")}
		switch p.Kind {
		case route.Number:
			m.kind, m.least, m.most = "integer", float64(p.Least), float64(p.Most)
		case route.Position:
			m.kind = "integer"
		case route.Flag:
			m.kind = "boolean"
		case route.Moment:
			m.format = "date-time"
		}
		list = append(list, m)
	}
	return list
}

func describedQuery(operation *v3.Operation) (list []queryMember) {
	for _, p := range operation.Parameters {
		if p.In != "query" {
			continue
		}
		schema := p.Schema.Schema()
		m := queryMember{name: p.Name, repeats: schema.Type[0] == "array"}
		if m.repeats {
			schema = schema.Items.A.Schema()
		}
		m.kind, m.format = schema.Type[0], schema.Format
		var values []string
		for _, node := range schema.Enum {
			values = append(values, node.Value)
		}
		m.values = strings.Join(values, ",")
		if schema.Minimum != nil {
			m.least = *schema.Minimum
		}
		if schema.Maximum != nil {
			m.most = *schema.Maximum
		}
		list = append(list, m)
	}
	return list
}

func TestEveryCodeHasAPageAndAStatus(t *testing.T) {
	w := newWorld(t)
	for _, definition := range fault.Catalogue() {
		a := w.get("/problems/"+string(definition.Code), "")
		require.Equal(t, definition.Title, a.text("title"))
		require.GreaterOrEqual(t, a.value()["status"], 400.0)
	}
	require.Equal(t, 404, w.do(request{method: "GET", path: "/problems/no.such"}).status)
}
