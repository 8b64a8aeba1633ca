package attack

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/pb33f/libopenapi"
	"github.com/pb33f/libopenapi-validator/responses"
	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"
	"github.com/stretchr/testify/require"

	"dalel/httpapi/route"
	"dalel/internal/fault"
)

// operation is one of the description's.
type operation struct {
	name, method, path string
	roles              []string
	*v3.Operation
	item *v3.PathItem
}

// description is the interface as the program itself describes it.
type description struct {
	operations []operation
	bodies     responses.ResponseBodyValidator
}

func (n *node) description() *description {
	n.t.Helper()
	a, err := n.do(clients{}, request{method: http.MethodGet, path: "/openapi.yaml"})
	require.NoError(n.t, err)
	document, err := libopenapi.NewDocument(a.body)
	require.NoError(n.t, err)
	model, err := document.BuildV3Model()
	require.NoError(n.t, err)
	d := &description{bodies: responses.NewResponseBodyValidator(&model.Model)}
	for path, item := range model.Model.Paths.PathItems.FromOldest() {
		for method, described := range item.GetOperations().FromOldest() {
			o := operation{described.OperationId, strings.ToUpper(method), path, nil, described, item}
			if node, ok := described.Extensions.Get("x-roles"); ok {
				require.NoError(n.t, node.Decode(&o.roles))
			}
			d.operations = append(d.operations, o)
		}
	}
	slices.SortFunc(d.operations, func(a, b operation) int { return strings.Compare(a.name, b.name) })
	return d
}

// differences says in what an answer is not as the description has it.
func (d *description) differences(o operation, r request, a answer) (found []string) {
	differs := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	if a.header.Get("X-Request-Id") == "" {
		differs("no X-Request-Id")
	}
	if r.method == http.MethodOptions && a.status == http.StatusNoContent && a.header.Get("Allow") != "" {
		return found // the description need not say it for each address
	}
	described := o.Responses.Codes.GetOrZero(strconv.Itoa(a.status))
	if described == nil && a.status >= http.StatusInternalServerError && !unavailable(a) {
		differs("a status of %d", a.status)
	}
	if described == nil && a.status >= http.StatusBadRequest {
		described = o.Responses.Default
	}
	if described == nil {
		differs("a status that is not described: %d", a.status)
		return found
	}
	if strings.Contains(r.header.Get("Accept"), "text/html") && a.status == http.StatusNotFound && !strings.HasPrefix(r.path, "/api/") {
		return found // an address that is none, in a browser: a page says so
	}
	full := a.header.Get("Content-Type")
	kind, _, err := mime.ParseMediaType(full)
	var kinds []string
	if described.Content != nil {
		kinds = slices.Collect(described.Content.KeysFromOldest())
	}
	switch {
	case r.method == http.MethodHead, o.method == http.MethodHead:
	case len(kinds) == 0 && len(a.body) > 0:
		differs("a body with the status %d", a.status)
	case len(kinds) > 0 && (err != nil || !slices.ContainsFunc(kinds, func(k string) bool { return k == full || k == "*/*" || strings.HasPrefix(k, kind) })):
		differs("the media type %q where %q are described", full, kinds)
	case kind == "application/json" || kind == "application/problem+json":
		found = append(found, d.schema(o, a)...)
	}
	if kind == "application/problem+json" && r.method != http.MethodHead {
		found = append(found, contradictions(a)...)
	} else if a.status >= http.StatusBadRequest && r.method != http.MethodHead {
		differs("an error that is no problem document")
	}
	promised := map[string]bool{}
	if described.Headers != nil {
		for name := range described.Headers.KeysFromOldest() {
			promised[name] = true
			if a.header.Get(name) == "" && name != "Link" {
				differs("the status %d lacks the header %s", a.status, name)
			}
		}
	}
	for _, name := range []string{"ETag", "Location", "Link", "Content-Disposition", "Content-Range", "Repr-Digest", "Accept-Ranges"} {
		if !promised[name] && a.header.Get(name) != "" {
			differs("the header %s with the status %d is not described", name, a.status)
		}
	}
	return found
}

// unavailable reports whether an answer says that something outside the
// program is away, or that what the client waits for has not come.
func unavailable(a answer) bool {
	return a.status == http.StatusServiceUnavailable && a.problem().Code == string(fault.PositionNotReady)
}

// schema holds a JSON body against the described one.
func (d *description) schema(o operation, a answer) (found []string) {
	asked, err := http.NewRequest(o.method, "http://ledger.example"+o.path, http.NoBody)
	if err != nil {
		return []string{err.Error()}
	}
	response := &http.Response{StatusCode: a.status, Header: a.header, Body: io.NopCloser(bytes.NewReader(a.body)), Request: asked}
	ok, errs := d.bodies.ValidateResponseBodyWithPathItem(asked, response, o.item, o.path)
	for _, e := range errs {
		text := e.Message + ": " + e.Reason
		for _, s := range e.SchemaValidationErrors {
			text += fmt.Sprintf("; %s at %s", s.Reason, s.FieldPath)
		}
		found = append(found, text)
	}
	if !ok && len(found) == 0 {
		found = append(found, "the body is not as described")
	}
	return found
}

// contradictions says where a problem document is at odds with itself.
func contradictions(a answer) (found []string) {
	p := a.problem()
	status := route.StatusOf(fault.Code(p.Code))
	switch {
	case p.Status != a.status:
		found = append(found, fmt.Sprintf("the problem says %d, the answer %d", p.Status, a.status))
	case p.Status != status && p.Status != http.StatusNotFound:
		// At some addresses a refusal means that nothing is there.
		found = append(found, fmt.Sprintf("%s is %d and not %d", p.Code, status, p.Status))
	}
	if p.Type != "/problems/"+p.Code || p.Title == "" {
		found = append(found, "the problem has no type or no title")
	}
	if id := a.header.Get("X-Request-Id"); p.RequestID != id || !strings.HasSuffix(p.Instance, ":"+id) {
		found = append(found, "the problem's instance is not the request")
	}
	return found
}
