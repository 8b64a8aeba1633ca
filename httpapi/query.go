package httpapi

import (
	"dalel/domain/document"
	"dalel/httpapi/pages"
	"dalel/httpapi/route"
	"dalel/projections"
)

// The members of queries, as the rows of the table name them. openapi.yaml
// describes the same, and a test holds the two together.
var (
	queryLimit       = route.Parameter{Name: "limit", Kind: route.Number, Least: 1, Most: projections.MaxPage}
	queryAfter       = route.Parameter{Name: "after", Kind: route.Text}
	querySince       = route.Parameter{Name: "after", Kind: route.Position}
	queryParticipant = route.Parameter{Name: "participant", Kind: route.Text}
	queryReason      = route.Parameter{Name: "reason", Kind: route.Text}
	queryCheckpoint  = route.Parameter{Name: "checkpoint", Kind: route.Lines}
	queryEnding      = route.Parameter{Name: "ending", Kind: route.Flag}
	queryAt          = route.Parameter{Name: "at", Kind: route.Moment}
	queryLang        = choice("lang", pages.Languages())
	queryState       = choice("state", []projections.DestructionState{
		projections.DestructionWaiting, projections.DestructionOrdered, projections.DestructionDone,
	})
	querySubject = choice("subject", []projections.DestructionSubject{projections.SubjectDocument, projections.SubjectParticipant})
)

func choice[T ~string](name string, values []T) route.Parameter {
	p := route.Parameter{Name: name, Kind: route.Choice}
	for _, value := range values {
		p.Values = append(p.Values, string(value))
	}
	return p
}

// listed are the members of a list that goes on page by page.
func listed(more ...route.Parameter) []route.Parameter {
	return append([]route.Parameter{queryLimit, queryAfter}, more...)
}

// narrowed are the members of a journal.
func narrowed(more ...route.Parameter) []route.Parameter {
	return append([]route.Parameter{
		queryParticipant,
		choice("direction", []projections.Direction{projections.In, projections.Out}),
		choice("kind", document.Kinds()),
		choice("status", projections.Statuses()),
		{Name: "counterparty", Kind: route.Text},
		{Name: "number", Kind: route.Text},
		{Name: "from", Kind: route.Moment},
		{Name: "to", Kind: route.Moment},
	}, more...)
}

// chosen are the members that name documents, or whose and in which period.
func chosen() []route.Parameter {
	return []route.Parameter{
		{Name: "document", Kind: route.Text, Repeats: true},
		queryParticipant,
		{Name: "from", Kind: route.DayOrMoment},
		{Name: "to", Kind: route.DayOrMoment},
	}
}
