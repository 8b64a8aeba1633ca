package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dalel/domain/document"
	"dalel/domain/ledger"
	"dalel/domain/packet"
	"dalel/domain/signature"
	"dalel/internal/cms"
	"dalel/internal/crl"
	"dalel/internal/fault"
	"dalel/internal/testca"
	"dalel/internal/testca/services"

	"github.com/stretchr/testify/require"
)

// asking closes the ledger, puts settings about authorities into ledger.json and
// opens it again.
func (o *office) asking(settings string) {
	o.stop()
	putSettings(o.t, o.dir, `{"name": "Dalel", "authorities": `+settings+`}`)
	o.open()
}

// authority is one below the office's root, with its services; the second person
// gets a certificate from it.
func (o *office) authority(kind testca.KeyKind) *services.StandIn {
	a, err := services.Start(o.root, services.Options{Key: kind})
	require.NoError(o.t, err)
	o.t.Cleanup(func() { require.NoError(o.t, a.Close()) })
	who := o.people[1]
	who.key, err = a.Issue(testca.Leaf{Owner: testca.Owner{IIN: who.number, Surname: "SEARCHABLESURNAME"}, Key: kind, NotBefore: time.Now().Add(-time.Hour)})
	require.NoError(o.t, err)
	_, err = o.ledger.RegisterCertificate(o.t.Context(), o.operator, who.act.By.Participant, who.key.Certificate.Raw)
	require.NoError(o.t, err)
	return a
}

const wording = "The parties agree.\n"

// offered sends a document for the second person to sign.
func (o *office) offered() string {
	ctx, alpha := o.t.Context(), o.people[0].act
	created, err := o.ledger.CreateDocument(ctx, alpha, document.Details{Kind: document.Letter, Title: "A letter"})
	require.NoError(o.t, err)
	_, _, err = o.ledger.AttachFile(ctx, alpha, created.ID, "letter.txt", "text/plain", strings.NewReader(wording))
	require.NoError(o.t, err)
	_, err = o.ledger.SendDocument(ctx, alpha, created.ID, false, []ledger.Recipient{{Identifier: o.people[1].number, Role: document.RoleSign}})
	require.NoError(o.t, err)
	require.NoError(o.t, o.ledger.DeliverDue(ctx, created.ID))
	return created.ID
}

func (o *office) signs(id string) error {
	who := o.people[1]
	message, err := cms.Sign(o.t.Context(), cms.SignOptions{Content: strings.NewReader(wording), Signers: []cms.SignerOptions{{Certificate: who.key.Certificate, Key: who.key.Key}}})
	require.NoError(o.t, err)
	_, err = o.ledger.SignDocument(o.t.Context(), who.act, id, []ledger.SubmittedSignature{{File: "letter.txt", CMS: message}})
	return err
}

func (o *office) document(id string) document.State {
	snapshot, err := o.ledger.Document(o.t.Context(), o.people[0].act, id)
	require.NoError(o.t, err)
	return snapshot.State
}

func TestR_C3_R_C4_TheSettingsSayWhetherAndWhereEvidenceIsFetched(t *testing.T) {
	o := newOffice(t)
	defer func() { o.stop() }()
	a := o.authority(testca.P256)

	// The default asks nobody: what needs an answer is "cannot tell".
	first := o.offered()
	require.Equal(t, fault.SignatureUnknown, fault.CodeOf(o.signs(first)))
	for _, service := range []services.Service{services.OCSP, services.CRL, services.Delta, services.Stamps} {
		require.Zero(t, a.Asked(service))
	}
	require.NoDirExists(t, filepath.Join(o.dir, cacheDir))

	// With "fetch" the answers come, the undecided attempt is settled, and
	// everything is kept with the document.
	o.asking(fmt.Sprintf(`{"fetch": true, "timeStamps": [{"url": %q, "policy": "1.2.398.3.3.2.6.4"}]}`, a.StampsAddress()))
	undecided, err := o.ledger.RecheckSignatures(t.Context(), first)
	require.NoError(t, err)
	require.False(t, undecided)
	require.Equal(t, document.Complete, o.document(first).Status)
	second := o.offered()
	require.NoError(t, o.signs(second))
	signed := o.document(second).Signatures[0]
	require.True(t, signed.TrustedTime)
	kinds := map[signature.EvidenceKind]int{}
	for _, e := range signed.Signatures[0].Evidence {
		kinds[e.Kind]++
	}
	require.Equal(t, 1, kinds[signature.EvidenceTimeToken])
	require.Equal(t, 2, kinds[signature.EvidenceOCSP])

	// Without OCSP the lists are asked, and lie in the node's own folder.
	a.Break(services.OCSP, services.Failing)
	third := o.offered()
	require.NoError(t, o.signs(third))
	lists, err := filepath.Glob(filepath.Join(o.dir, cacheDir, "*.crl"))
	require.NoError(t, err)
	require.Len(t, lists, 2)

	// Packets repeat it all with no services at all. The node is closed first: a
	// question of its own may still be under way.
	var packets []string
	for _, id := range []string{first, second, third} {
		path := filepath.Join(t.TempDir(), "packet.zip")
		_, err := packet.ExportFile(t.Context(), path, o.packet(id))
		require.NoError(t, err)
		packets = append(packets, path)
	}
	o.stop()
	o.stop = func() {}
	asked := func() []int {
		return []int{a.Asked(services.OCSP), a.Asked(services.CRL), a.Asked(services.Delta), a.Asked(services.Stamps)}
	}
	before := asked()
	for _, path := range packets {
		var out, problems bytes.Buffer
		require.Equal(t, exitGood, run(t.Context(), []string{"verify", "--trust", filepath.Join(o.dir, trustDir), path}, &out, &problems), "%s%s", &out, &problems)
	}
	require.Equal(t, before, asked())
}

func TestSettingsOfAuthoritiesThatMeanNothingAreRefused(t *testing.T) {
	dir := t.TempDir()
	foundedIn(t, dir)
	for _, settings := range []string{
		`{"timeStamps": [{"url": "http://tsp.example/"}]}`, `{"proxy": "http://proxy.example"}`,
		`{"fetch": true, "timeStamps": [{"url": "ldap://tsp.example/"}]}`, `{"fetch": true, "proxy": "proxy.example"}`,
		`{"fetch": true, "timeout": "soon"}`, `{"fetch": true, "issuers": {"НУЦ": {"ocsp": "http://ocsp.example/"}}}`,
		`{"fetch": true, "issuers": {"` + strings.Repeat("0", 64) + `": {"crl": "nowhere"}}}`,
	} {
		putSettings(t, dir, `{"authorities": `+settings+`}`)
		_, err := openNode(t.Context(), location{dir: dir})
		require.Error(t, err, settings)
	}
}

func TestR_C2_SignatureVerifyFetchesWhatIsMissingIfItIsAskedTo(t *testing.T) {
	root, err := testca.NewRoot(testca.CA{Name: "Test root", Key: testca.GOST512})
	require.NoError(t, err)
	a, err := services.Start(root, services.Options{Key: testca.GOST512})
	require.NoError(t, err)
	defer a.Close()
	person, err := a.Issue(testca.Leaf{Key: testca.GOST256})
	require.NoError(t, err)
	message, err := cms.Sign(t.Context(), cms.SignOptions{Content: strings.NewReader(wording), Attached: true, Signers: []cms.SignerOptions{{Certificate: person.Certificate, Key: person.Key}}})
	require.NoError(t, err)
	dir := t.TempDir()
	file, roots := filepath.Join(dir, "s.p7s"), filepath.Join(dir, "roots")
	require.NoError(t, os.WriteFile(file, message, 0o600))
	require.NoError(t, os.Mkdir(roots, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(roots, "root.cer"), root.Certificate.Raw, 0o600))
	verify := func(flags ...string) (int, string) {
		var out, problems bytes.Buffer
		status := run(t.Context(), append([]string{"signature", "verify", "--json", "--roots", roots, file}, flags...), &out, &problems)
		return status, out.String() + problems.String()
	}
	status, _ := verify()
	require.Equal(t, 3, status)
	require.Zero(t, a.Asked(services.OCSP))
	status, text := verify("--online", "--tsa", a.StampsAddress())
	require.Equal(t, 0, status, text)
	var said struct{ TrustedTime bool }
	require.NoError(t, json.Unmarshal([]byte(text), &said))
	require.True(t, said.TrustedTime)
	require.NoError(t, a.Revoke(person.Certificate, services.Revocation{At: time.Now().Add(-time.Minute), Reason: crl.KeyCompromise}))
	status, text = verify("--online")
	require.Equal(t, 1, status, text)
	for _, service := range []services.Service{services.OCSP, services.CRL, services.Delta} {
		a.Break(service, services.Failing)
	}
	status, text = verify("--online")
	require.Equal(t, 3, status, text)
	require.Contains(t, text, "authority.http-status")
	status, _ = verify("--tsa", a.StampsAddress())
	require.Equal(t, 2, status)
}
