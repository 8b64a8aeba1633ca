package pages

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"dalel/domain/access"
	"dalel/domain/certificate"
	"dalel/domain/document"
	"dalel/domain/fileformat"
	"dalel/domain/packet"
	"dalel/domain/participant"
	"dalel/domain/retention"
	"dalel/domain/signature"
	"dalel/domain/trust"
	"dalel/internal/crl"
	"dalel/internal/fault"
	"dalel/internal/wordstest"
	"dalel/projections"
	"dalel/projections/transparency"

	"github.com/stretchr/testify/require"
)

// fromCode are the keys that are made from names which the code lists.
func fromCode() map[string]bool {
	keys := map[string]bool{}
	add := func(prefix string, names ...string) {
		for _, name := range names {
			keys[prefix+name] = true
		}
	}
	for _, d := range document.Events() {
		add("event.", d.Zero.EventType())
	}
	for _, d := range fault.Catalogue() {
		add("fault.", string(d.Code))
	}
	for _, kind := range []signature.EvidenceKind{signature.EvidenceCertificate, signature.EvidenceOCSP, signature.EvidenceCRL, signature.EvidenceTimeToken} {
		keys["evidence."+string(kind)] = true
	}
	for _, d := range signature.Definitions() {
		add("reason.", d.Code)
	}
	add("kind.", texts(document.Kinds())...)
	add("headline.", texts(document.Headlines())...)
	for reason := crl.Unspecified; reason <= crl.AACompromise; reason++ {
		if reason.Known() {
			add("revocation.", reason.String())
		}
	}
	add("channel.", texts([]certificate.Channel{certificate.ByPhone, certificate.InWriting, certificate.Online})...)
	for _, ruling := range []document.Ruling{document.RulingLost, document.RulingStands} {
		add("", "ruling."+string(ruling), "why.decided."+string(ruling))
	}
	add("caution.", texts(fileformat.Cautions())...)
	add("status.", string(projections.StatusDraft))
	add("status.", texts(statuses())...)
	add("state.", texts([]projections.State{
		projections.StatePending, projections.StateDelivered, projections.StateViewed, projections.StateAcknowledged,
		projections.StateSigned, projections.StateApproved, projections.StateRejected,
	})...)
	add("role.", texts([]document.Role{document.RoleSign, document.RoleApprove, document.RoleRead})...)
	add("method.", texts([]document.Method{document.MethodCertificate, document.MethodCode})...)
	add("direction.", texts([]projections.Direction{projections.In, projections.Out})...)
	add("participant-kind.", texts([]participant.Kind{participant.NaturalPerson, participant.SoleTrader, participant.LegalEntity, participant.NonResident})...)
	add("participant-status.", projections.ParticipantRegistered, projections.ParticipantActive, projections.ParticipantErased)
	add("access-role.", texts([]access.Role{access.RoleParticipant, access.RoleAuditor, access.RoleOperator})...)
	for _, a := range (&Pages{}).actions() {
		add("action.", a.name)
		add("done.", a.name)
	}
	add("done.", "hold", "lift", "order", "erasure")
	for _, record := range retention.Records() {
		add("", record.TitleKey())
	}
	for _, from := range []retention.From{retention.Sent, retention.Ended, retention.Delivered, retention.Recorded} {
		add("", from.ReasonKey())
	}
	for _, basis := range []document.Basis{document.BasisRequest, document.BasisRetention} {
		add("", "basis."+string(basis), "gone.ordered."+string(basis), "gone.destroyed."+string(basis))
	}
	add("ruling.", texts([]document.Ruling{document.RulingLost, document.RulingStands})...)
	add("log-phase.", texts([]transparency.Phase{
		transparency.PhaseIdle, transparency.PhaseCatchingUp, transparency.PhaseLive, transparency.PhaseWaiting, transparency.PhaseStopped,
	})...)
	add("log.kind.", "witness", "authority", "evidence")
	add("check.upload.large.", "file", "packet")
	add("packet-status.", texts([]packet.Status{packet.Good, packet.Bad, packet.Untrusted})...)
	add("packet-answer.", texts([]packet.Answer{packet.Yes, packet.No, packet.NotAnchored, packet.CannotTell})...)
	add("packet-claim.", packet.Claims()...)
	add("packet-problem.", packet.Claims()...)
	add("packet-doubt.", packet.ClaimSeal, packet.ClaimTimestamp, packet.ClaimSignature)
	add("packet-anchor.", packet.ClaimSeal, packet.ClaimCheckpoint, packet.ClaimInclusion, packet.ClaimWitnesses, packet.ClaimTimestamp, packet.ClaimSignature)
	for _, prefix := range []string{"packet-problem.", "packet-doubt.", "packet-anchor."} {
		add(prefix, "other")
	}
	add("packet-code.", texts(packet.Against())...)
	add("packet-code.", texts(packet.Undecided())...)
	add("packet-limit.", texts(packet.LimitKinds())...)
	add("packet-lack.", texts([]packet.Lack{packet.LackAnchors, packet.LackEvidence, packet.LackVersion})...)
	add("packet-force.", texts([]document.Force{document.ForceStands, document.ForceDoubt, document.ForceLost})...)
	add("packet-force.", "unproven", "replaced")
	add("packet-source.", texts([]document.Source{document.SourceAuthority, document.SourceOperator})...)
	for _, role := range certificate.Roles() {
		if role != "" {
			add("certificate-role.", role)
		}
	}
	add("destruction-state.", texts(destructionStates())...)
	add("destruction-subject.", texts(destructionSubjects())...)
	add("trust-kind.", texts(trust.Kinds())...)
	add("trust-how.", texts([]trust.How{trust.ByCommand, trust.AtStart})...)
	add("certificate-status.", texts([]certificate.Status{certificate.StatusRegistered, certificate.StatusSuspended, certificate.StatusAnnulled})...)
	add("certificate-purpose.", certificate.Signing, certificate.Authentication, certificate.SigningAndAuthentication)
	// Those on paper copies, of which the ledger knows the names.
	add("identifier.", texts([]participant.Kind{participant.NaturalPerson, participant.SoleTrader, participant.LegalEntity, participant.NonResident})...)
	return keys
}

// fromSource are the keys that templates and handlers name in full.
func fromSource(t *testing.T) map[string]bool {
	t.Helper()
	keys := map[string]bool{}
	quoted := regexp.MustCompile(`"([a-z-]+(?:\.[A-Za-z-]+)+)"`)
	inTemplate := regexp.MustCompile(`\.T "([^"]+)"`)
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		for _, found := range quoted.FindAllStringSubmatch(string(text), -1) {
			keys[found[1]] = true
		}
	}
	templates, err := fs.Glob(templateFiles, "templates/*.html")
	require.NoError(t, err)
	for _, name := range templates {
		text, err := fs.ReadFile(templateFiles, name)
		require.NoError(t, err)
		for _, found := range inTemplate.FindAllStringSubmatch(string(text), -1) {
			keys[found[1]] = true
		}
	}
	return keys
}

func TestEveryWordOfTheCodeStandsInTheCatalogueInThreeLanguages(t *testing.T) {
	c, err := readCatalogue(messages)
	require.NoError(t, err)
	for key := range fromCode() {
		require.True(t, c.has(key), "no message %s", key)
	}
	templates := regexp.MustCompile(`^(layout|parts|[a-z]+)\.html$`)
	for key := range fromSource(t) {
		if templates.MatchString(key) {
			continue
		}
		require.True(t, c.has(key), "no message %s", key)
	}
}

func TestNoMessageStandsInTheCatalogueInVain(t *testing.T) {
	c, err := readCatalogue(messages)
	require.NoError(t, err)
	code, source := fromCode(), fromSource(t)
	var idle []string
	for key := range c {
		if !code[key] && !source[key] {
			idle = append(idle, key)
		}
	}
	require.Empty(t, idle, "messages that nobody shows")
}

func TestRussianAndKazakhAreWrittenInCyrillicAndEnglishInLatin(t *testing.T) {
	c, err := readCatalogue(messages)
	require.NoError(t, err)
	// «ЭЦП» stands in English too: the law has no other word for it.
	letters := regexp.MustCompile(`\{[a-z]+\}|SHA-256|CMS|XML|OCSP|TLS|ZIP|PDF|CSV|XLSX|Excel|\.p7s|UTC\+5|ЭЦП|ЭСФ|NCALayer`)
	cyrillic, latin := regexp.MustCompile(`\p{Cyrillic}`), regexp.MustCompile(`\p{Latin}`)
	for key, row := range c {
		for i, language := range Languages() {
			for _, form := range row[i] {
				text := letters.ReplaceAllString(form, "")
				if language == English {
					require.False(t, cyrillic.MatchString(text), "%s in %s: %s", key, language, form)
				} else {
					require.False(t, latin.MatchString(text), "%s in %s: %s", key, language, form)
				}
			}
		}
	}
}

func TestTheWordsOfThePagesKeepTheRulesOfLanguageAndLaw(t *testing.T) {
	c, err := readCatalogue(messages)
	require.NoError(t, err)
	rows := map[string]wordstest.Row{}
	for key, row := range c {
		rows[key] = wordstest.Row(row)
	}
	wordstest.Check(t, rows, nil)
}

func TestARefusalNeverStandsWithoutItsReason(t *testing.T) {
	c, err := readCatalogue(messages)
	require.NoError(t, err)
	for key, row := range c {
		for _, forms := range row {
			for _, form := range forms {
				require.NotContains(t, []string{"Не выполнено", "Орындалмады", "Not done"}, strings.Trim(form, ".!: "), key)
			}
		}
	}
}

func TestABrokenCatalogueIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"a.b | один | бір":                        "cells",
		"a.b | один | бір | one\na.b | x | y | z": "twice",
		"a.b | один {n} | бір | one":              "placeholders",
		"a.b | один ~ два | бір | one ~ two":      "forms",
		"a.b | один |   | one":                    "empty",
	} {
		_, err := readCatalogue(text)
		require.ErrorContains(t, err, want, text)
	}
}

func TestNumbersTakeTheFormThatTheirLanguageAsksFor(t *testing.T) {
	c, err := readCatalogue(messages)
	require.NoError(t, err)
	for n, want := range map[int]string{
		0: "Показано 0 документов", 1: "Показан 1 документ", 2: "Показано 2 документа", 4: "Показано 4 документа", 5: "Показано 5 документов",
		11: "Показано 11 документов", 12: "Показано 12 документов", 21: "Показан 21 документ", 22: "Показано 22 документа", 111: "Показано 111 документов",
	} {
		require.Equal(t, want, c.text(Russian, "list.shown", "n", n))
	}
	require.Equal(t, "1 document shown", c.text(English, "list.shown", "n", 1))
	require.Equal(t, "0 documents shown", c.text(English, "list.shown", "n", 0))
	require.Equal(t, "21 құжат көрсетілген", c.text(Kazakh, "list.shown", "n", 21))
}

func TestAMessageThatIsNotThereCanBeSeen(t *testing.T) {
	require.Equal(t, "⟦no.such⟧", catalogue{}.text(English, "no.such"))
}
