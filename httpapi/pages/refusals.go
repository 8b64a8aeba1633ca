package pages

import (
	"net/http"
	"strings"

	"dalel/internal/fault"

	"golang.org/x/text/language"
)

// Refusals words refusals for the readers of problem documents.
type Refusals struct {
	catalogue catalogue
	matcher   language.Matcher
}

// NewRefusals reads the catalogue.
func NewRefusals() (*Refusals, error) {
	c, err := readCatalogue(messages)
	return &Refusals{c, language.NewMatcher([]language.Tag{language.English, language.Russian, language.Kazakh})}, err
}

// Language is the language of who asks: as chosen on the pages, or as the
// request prefers, or else English, in which programs' logs are read.
func (r *Refusals) Language(request *http.Request) Language {
	if cookie, err := request.Cookie(languageCookie); err == nil && known(Language(cookie.Value)) {
		return Language(cookie.Value)
	}
	header := request.Header.Get("Accept-Language")
	if header == "" || len(header) > 200 {
		return English
	}
	tags, _, err := language.ParseAcceptLanguage(header)
	if err != nil {
		return English
	}
	if _, i, confidence := r.matcher.Match(tags...); confidence != language.No {
		return []Language{English, Russian, Kazakh}[i]
	}
	return English
}

// Words are the title and the detail of a refusal in a language: what the
// catalogue says of its code and of its reasons.
func (r *Refusals) Words(l Language, refusal *fault.Error) (title, detail string) {
	w := words{Lang: l, catalogue: r.catalogue}
	title = w.fault(refusal.Code)
	reasons := make([]string, 0, len(refusal.Reasons))
	for _, one := range refusal.Reasons {
		reasons = append(reasons, w.reason(one.Code, one.Detail))
	}
	if len(reasons) == 0 {
		return title, title
	}
	return title, strings.Join(reasons, "; ")
}
