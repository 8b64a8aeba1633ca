package trust_test

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"dalel/domain/event"
	"dalel/domain/event/eventtest"
	"dalel/domain/trust"
	"dalel/internal/fault"
	"dalel/internal/nucsamples"
	"dalel/internal/pki"
	"dalel/internal/testca"
)

var update = flag.Bool("update", false, "write the table in doc.go anew")

var (
	operator = event.By{Participant: "operator"}
	system   = event.By{Participant: "system"}
	start    = time.Date(2026, 6, 1, 9, 0, 0, 0, time.UTC)

	ocspSigning  = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 9}
	timeStamping = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 8}
)

func at(minutes int) time.Time { return start.Add(time.Duration(minutes) * time.Minute) }

// authority is a root and what is below it.
type authority struct {
	root, issuing, responder, stamping, person *testca.Identity
}

func made(t testing.TB, name string) authority {
	var a authority
	var err error
	a.root, err = testca.NewRoot(testca.CA{Name: name + " root", NotBefore: start.AddDate(-6, 0, 0)})
	require.NoError(t, err)
	a.issuing, err = a.root.NewIntermediate(testca.CA{Name: name + " issuing", NotBefore: start.AddDate(-5, 0, 0)})
	require.NoError(t, err)
	service := func(usages ...asn1.ObjectIdentifier) *testca.Identity {
		issued, err := a.issuing.Issue(testca.Leaf{Owner: testca.Owner{Organization: name}, Usages: usages, NotBefore: start.AddDate(0, -1, 0)})
		require.NoError(t, err)
		return issued
	}
	a.responder, a.stamping = service(ocspSigning), service(timeStamping)
	a.person, err = a.issuing.Issue(testca.Leaf{Owner: testca.Owner{IIN: "123456789011", Surname: "TESTOV"}, NotBefore: start.AddDate(0, -1, 0)})
	require.NoError(t, err)
	return a
}

func der(identities ...*testca.Identity) [][]byte {
	var list [][]byte
	for _, one := range identities {
		list = append(list, one.Certificate.Raw)
	}
	return list
}

func anchor(t testing.TB, of *testca.Identity) trust.Anchor {
	found, ok := trust.Describe(of.Certificate)
	require.True(t, ok)
	return found
}

func added(t testing.TB, of *testca.Identity, minute int) trust.Added {
	return trust.Added{Anchor: anchor(t, of), How: trust.ByCommand, By: operator, AddedAt: at(minute)}
}

func removed(t testing.TB, of *testca.Identity, minute int) trust.Removed {
	a := anchor(t, of)
	return trust.Removed{Fingerprint: a.Fingerprint, Kind: a.Kind, How: trust.ByCommand, By: operator, RemovedAt: at(minute)}
}

func add(minute int, certificates ...*testca.Identity) trust.Add {
	return trust.Add{Certificates: der(certificates...), By: operator, Now: at(minute)}
}

func observe(minute int, certificates ...*testca.Identity) trust.Observe {
	return trust.Observe{Certificates: der(certificates...), By: system, Now: at(minute)}
}

func remove(t testing.TB, minute int, of *testca.Identity) trust.Remove {
	return trust.Remove{Fingerprint: anchor(t, of).Fingerprint, By: operator, Now: at(minute)}
}

func given(t testing.TB, history ...event.Event) *eventtest.Scenario[trust.State, trust.Command] {
	return eventtest.Given(t, trust.Decide, trust.Evolve, history...)
}

func TestEveryCommandInEveryStateIsAsDocumented(t *testing.T) {
	a := made(t, "A")
	matrix := eventtest.Matrix[trust.State, trust.Command]{
		Decide: trust.Decide, Evolve: trust.Evolve, Definitions: trust.Events(),
		Situations: []eventtest.Situation{
			{Name: "none"},
			{Name: "root", History: []event.Event{added(t, a.root, 0)}},
			{Name: "root and issuing", History: []event.Event{added(t, a.root, 0), added(t, a.issuing, 1)}},
			{Name: "issuing, root removed", History: []event.Event{added(t, a.root, 0), added(t, a.issuing, 1), removed(t, a.root, 2)}},
		},
		Cases: []eventtest.Case[trust.Command]{
			{Name: "Add root", Command: add(5, a.root), MayBeIdle: true},
			{Name: "Add issuing", Command: add(5, a.issuing), MayBeIdle: true},
			{Name: "Add issuing and root", Command: add(5, a.issuing, a.root), MayBeIdle: true},
			{Name: "Add responder and issuing", Command: add(5, a.responder, a.issuing), MayBeIdle: true},
			{Name: "Add a person's", Command: add(5, a.person)},
			{Name: "Add root and a person's", Command: add(5, a.root, a.person)},
			{Name: "Remove root", Command: remove(t, 5, a.root)},
			{Name: "Observe root and issuing", Command: observe(5, a.root, a.issuing), MayBeIdle: true},
			{Name: "Observe issuing alone", Command: observe(5, a.issuing), MayBeIdle: true},
			{Name: "Observe nothing", Command: observe(5), MayBeIdle: true},
			{Name: "Observe a person's", Command: observe(5, a.person), MayBeIdle: true},
		},
	}
	eventtest.Document(t, "doc.go", "Decisions", matrix.Run(t), *update)
}

func TestAnAnchorSaysItselfWhatItIs(t *testing.T) {
	a := made(t, "A")
	for of, want := range map[*testca.Identity]trust.Kind{
		a.root: trust.Root, a.issuing: trust.Issuing, a.responder: trust.Responder, a.stamping: trust.TimeStamping,
	} {
		found := anchor(t, of)
		require.Equal(t, want, found.Kind)
		require.Equal(t, "ECDSA-P256", found.Algorithm)
		require.False(t, found.Known)
		again, err := found.Certificate()
		require.NoError(t, err)
		require.Equal(t, of.Certificate.Raw, again.Raw)
	}
	_, ok := trust.KindOf(a.person.Certificate)
	require.False(t, ok)
	both, err := a.issuing.Issue(testca.Leaf{Owner: testca.Owner{Organization: "Both"}, Usages: []asn1.ObjectIdentifier{ocspSigning, timeStamping}})
	require.NoError(t, err)
	_, ok = trust.KindOf(both.Certificate)
	require.False(t, ok, "one that would be two things is none")
	person, err := a.issuing.Issue(testca.Leaf{Owner: testca.Owner{IIN: "123456789011", Organization: "O"}, Usages: []asn1.ObjectIdentifier{ocspSigning}})
	require.NoError(t, err)
	_, ok = trust.KindOf(person.Certificate)
	require.False(t, ok, "a person is no authority, whatever the key is for")
}

func TestWhatDoesNotHoldIsRefusedAndNothingIsAdded(t *testing.T) {
	a, b := made(t, "A"), made(t, "B")
	// Two roots of one name: the certificate of the one, signed by the other.
	impostor, err := testca.NewRoot(testca.CA{Name: "A root", WithoutKeyID: true})
	require.NoError(t, err)
	twin, err := testca.NewRoot(testca.CA{Name: "A root", WithoutKeyID: true})
	require.NoError(t, err)
	forgedDER, err := x509.CreateCertificate(rand.Reader, twin.Certificate, impostor.Certificate, twin.Key.Public(), impostor.Key)
	require.NoError(t, err)
	forged, err := pki.ParseCertificate(forgedDER)
	require.NoError(t, err)
	kind, ok := trust.KindOf(forged)
	require.True(t, ok)
	require.Equal(t, trust.Root, kind)
	noSign, err := testca.NewRoot(testca.CA{Name: "No sign", WithoutCertSign: true})
	require.NoError(t, err)
	weak, err := testca.NewRoot(testca.CA{Name: "Weak", Key: testca.RSA1024})
	require.NoError(t, err)
	tooDeep := 0
	narrow, err := testca.NewRoot(testca.CA{Name: "Narrow", PathLength: &tooDeep})
	require.NoError(t, err)
	one, err := narrow.NewIntermediate(testca.CA{Name: "One"})
	require.NoError(t, err)
	two, err := one.NewIntermediate(testca.CA{Name: "Two"})
	require.NoError(t, err)
	outlived, err := testca.NewRoot(testca.CA{Name: "Ended", NotBefore: start.AddDate(-9, 0, 0), NotAfter: start.AddDate(-8, 0, 0)})
	require.NoError(t, err)
	late, err := outlived.NewIntermediate(testca.CA{Name: "Late", NotBefore: start.AddDate(-1, 0, 0)})
	require.NoError(t, err)
	for name, c := range map[string]struct {
		certificates [][]byte
		reason       string
	}{
		"a root that another key signed":           {[][]byte{forgedDER}, "chain.signature-mismatch"},
		"a root that may sign no certificate":      {der(noSign), "chain.key-usage"},
		"a root with a weak key":                   {der(weak), "algorithm.weak"},
		"an authority of no root":                  {der(b.issuing), "chain.incomplete"},
		"a responder of no root":                   {der(b.responder), "chain.incomplete"},
		"a good root beside a bad authority":       {der(b.root, two, narrow), "chain.incomplete"},
		"an authority too deep":                    {der(narrow, one, two), "chain.path-too-long"},
		"an authority issued after its root's end": {der(outlived, late), "chain.expired"},
	} {
		t.Run(name, func(t *testing.T) {
			scenario := given(t, added(t, a.root, 0))
			scenario.When(trust.Add{Certificates: c.certificates, By: operator, Now: at(1)}).ThenRefused(fault.TrustRefused)
			_, err := trust.Decide(scenario.State(), trust.Add{Certificates: c.certificates, By: operator, Now: at(1)})
			var refusal *fault.Error
			require.ErrorAs(t, err, &refusal)
			require.NotEmpty(t, refusal.Reasons)
			require.Equal(t, c.reason, refusal.Reasons[0].Code, refusal.Detail)
		})
	}
	given(t).When(trust.Add{By: operator, Now: at(1)}).ThenRefused(fault.RequestInvalid)
	given(t).When(trust.Add{Certificates: [][]byte{[]byte("nonsense")}, By: operator, Now: at(1)}).ThenRefused(fault.CertificateInvalid)
	given(t).When(trust.Add{Certificates: der(a.root)}).ThenRefused(fault.Internal)
	_, err = trust.Decide(trust.State{}, add(1, a.person))
	require.NotContains(t, err.Error(), "TESTOV", "a person is not named")
}

func TestAnAuthorityThatHasEndedIsAnAnchorForWhatWasSignedBefore(t *testing.T) {
	root, err := testca.NewRoot(testca.CA{Name: "Old", NotBefore: start.AddDate(-11, 0, 0), NotAfter: start.AddDate(-1, 0, 0)})
	require.NoError(t, err)
	issuing, err := root.NewIntermediate(testca.CA{Name: "Old issuing", NotBefore: start.AddDate(-8, 0, 0), NotAfter: start.AddDate(-1, 0, 0)})
	require.NoError(t, err)
	given(t).When(add(0, root, issuing)).Then(added(t, root, 0), added(t, issuing, 0))
}

func TestAddingAgainChangesNothing(t *testing.T) {
	a := made(t, "A")
	scenario := given(t).When(add(0, a.root, a.issuing, a.root)).Then(added(t, a.root, 0), added(t, a.issuing, 0))
	scenario.When(add(1, a.issuing, a.root)).Then()
	require.Len(t, scenario.State().Anchors, 2)
	scenario.When(add(2, a.issuing, a.stamping)).Then(added(t, a.stamping, 2))
}

func TestWhatCameAndWentByHandIsSaid(t *testing.T) {
	a := made(t, "A")
	found := added(t, a.responder, 3)
	found.How, found.By = trust.AtStart, system
	missing := removed(t, a.issuing, 3)
	missing.How, missing.By = trust.AtStart, system
	scenario := given(t, added(t, a.root, 0), added(t, a.issuing, 1)).
		When(observe(3, a.root, a.person, a.responder, a.responder)).Then(missing, found)
	scenario.When(observe(4, a.responder, a.root)).Then()
}

func TestR_C2_WhichAnchorsWereInForceAtAMomentCanBeReplayed(t *testing.T) {
	a := made(t, "A")
	history := []event.Event{added(t, a.root, 0), added(t, a.issuing, 10), removed(t, a.root, 20), added(t, a.root, 30)}
	for minute, want := range map[int][]*testca.Identity{
		-1: nil, 0: {a.root}, 9: {a.root}, 10: {a.root, a.issuing}, 19: {a.root, a.issuing}, 20: {a.issuing}, 29: {a.issuing}, 30: {a.issuing, a.root}, 99: {a.issuing, a.root},
	} {
		var prints, wanted []string
		for _, standing := range trust.At(history, at(minute)).Anchors {
			prints = append(prints, standing.Fingerprint)
		}
		for _, one := range want {
			wanted = append(wanted, anchor(t, one).Fingerprint)
		}
		require.Equal(t, wanted, prints, "minute %d", minute)
	}
	changes := trust.Changes(history)
	require.Len(t, changes, 4)
	require.False(t, changes[2].Added)
	require.Equal(t, anchor(t, a.root), changes[2].Anchor)
}

// Whatever is commanded, put into a folder and taken out of it by whichever
// node, the recorded events give back at every moment what was in force then.
func TestWhateverHappensTheReplayIsWhatWasInForce(t *testing.T) {
	a, b := made(t, "A"), made(t, "B")
	all := []*testca.Identity{a.root, a.issuing, a.responder, a.stamping, b.root, b.issuing}
	codec, err := event.NewCodec(trust.Events())
	require.NoError(t, err)
	rapid.Check(t, func(t *rapid.T) {
		var state trust.State
		var history []event.Event
		var then []trust.State
		some := func(label string) (list []*testca.Identity) {
			for i, wanted := range rapid.SliceOfN(rapid.Bool(), len(all), len(all)).Draw(t, label) {
				if wanted {
					list = append(list, all[i])
				}
			}
			return list
		}
		for step := range rapid.IntRange(1, 12).Draw(t, "steps") {
			var command trust.Command
			switch rapid.IntRange(0, 2).Draw(t, "command") {
			case 0:
				command = add(step, some("added")...)
			case 1:
				command = trust.Remove{Fingerprint: trust.FingerprintOf(all[rapid.IntRange(0, len(all)-1).Draw(t, "which")].Certificate.Raw), By: operator, Now: at(step)}
			default:
				command = observe(step, some("found")...)
			}
			happened, err := trust.Decide(state, command)
			require.False(t, err != nil && len(happened) > 0)
			for _, e := range happened {
				e = eventtest.Recorded(t, codec, e)
				state, history = trust.Evolve(state, e), append(history, e)
			}
			if c, ok := command.(trust.Observe); ok {
				require.NoError(t, err)
				require.Len(t, state.Anchors, len(c.Certificates), "what was found is what is in force")
				again, err := trust.Decide(state, c)
				require.NoError(t, err)
				require.Empty(t, again, "a second node has nothing to add")
			}
			then = append(then, state)
		}
		for step, was := range then {
			require.Equal(t, was, trust.At(history, at(step)))
		}
	})
}

func TestAFingerprintIsReadAsPeopleWriteIt(t *testing.T) {
	want := strings.Repeat("0af1", 16)
	for _, text := range []string{want, strings.ToUpper(want), " " + want + "\n", strings.TrimSuffix(strings.Repeat("0A:F1:", 32), ":")[:95]} {
		got, err := trust.Fingerprint(text)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, text := range []string{"", "0a", want + "00", strings.Repeat("x", 64)} {
		_, err := trust.Fingerprint(text)
		require.Equal(t, fault.RequestInvalid, fault.CodeOf(err), text)
	}
}

// samples returns the folder of the national authority's own certificates.
func samples(t *testing.T) string {
	folder := os.Getenv("DALEL_NUC_SAMPLES")
	if folder == "" {
		folder = filepath.Join("..", "..", "..", "shared", "nuc-samples")
	}
	folder = filepath.Join(folder, "ca-production")
	if _, err := os.Stat(folder); err != nil {
		t.Skip("DALEL_NUC_SAMPLES names no folder with samples of the national authority")
	}
	return folder
}

func TestR_C2_TheNationalAuthoritysFingerprintsAreThoseOfItsCertificates(t *testing.T) {
	folder := samples(t)
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	var certificates [][]byte
	for _, entry := range entries {
		if !nucsamples.IsKnown("ca-production/" + entry.Name()) {
			continue // somebody put it there
		}
		content, err := os.ReadFile(filepath.Join(folder, entry.Name()))
		require.NoError(t, err)
		if block, _ := pem.Decode(content); block != nil {
			content = block.Bytes
		}
		parsed, err := pki.ParseCertificate(content)
		require.NoError(t, err)
		found, ok := trust.Describe(parsed)
		require.True(t, ok)
		known, ok := trust.Known(found.Fingerprint)
		require.True(t, ok, "%s %s", entry.Name(), found.Fingerprint)
		require.True(t, found.Known)
		require.Equal(t, known.Kind, found.Kind, entry.Name())
		require.Equal(t, known.Year, found.NotBefore.Year(), entry.Name())
		words := strings.Fields(found.Algorithm)
		if strings.HasPrefix(found.Algorithm, "RSA") {
			words = []string{"RSA"}
		}
		for _, word := range words[:min(len(words), 2)] {
			require.Contains(t, known.Name, word, entry.Name())
		}
		certificates = append(certificates, content)
	}
	if len(certificates) < trust.KnownCount {
		t.Skipf("%d of %d certificates are there", len(certificates), trust.KnownCount)
	}
	require.Equal(t, trust.KnownCount, len(certificates))
	// They hold by themselves: the roots' own signatures, and the ways to them.
	slices.Reverse(certificates)
	happened, err := trust.Decide(trust.State{}, trust.Add{Certificates: certificates, By: operator, Now: start})
	require.NoError(t, err)
	require.Len(t, happened, len(certificates))
	// Without its root none of the others does.
	for _, content := range certificates {
		_, err := trust.Decide(trust.State{}, trust.Add{Certificates: [][]byte{content}, By: operator, Now: start})
		parsed, _ := pki.ParseCertificate(content)
		if kind, _ := trust.KindOf(parsed); kind == trust.Root {
			require.NoError(t, err)
		} else {
			require.Equal(t, fault.TrustRefused, fault.CodeOf(err))
		}
		changed := slices.Clone(content)
		changed[len(changed)-5] ^= 1
		_, err = trust.Decide(trust.State{}, trust.Add{Certificates: append(slices.Clone(certificates), changed), By: operator, Now: start})
		require.Error(t, err, "a copy with a bit changed")
	}
}
