package event_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dalel/domain/access"
	"dalel/domain/certificate"
	"dalel/domain/checkpoint"
	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/domain/founding"
	"dalel/domain/participant"
	"dalel/domain/trust"
	"dalel/eventstore"
)

func definitions() [][]event.Definition {
	return [][]event.Definition{participant.Events(), certificate.Events(), access.Events(), document.Events(), trust.Events(), checkpoint.Events(), founding.Events()}
}

// personal is the list of personal fields, with whose they are. Each is
// sealed under its subject's key, so a field that leaves this list stays
// readable for good in every copy of the events.
var personal = []string{
	"CertificateAnnulled reason: participant",
	"CertificateRegistered ownerBin: participant",
	"CertificateRegistered ownerIin: participant",
	"CertificateRegistered ownerName: participant",
	"CertificateRegistered ownerPerson: participant",
	"CertificateResumed reason: participant",
	"DestructionRequested reason: document",
	"DocumentCreated details.number: document",
	"DocumentCreated details.sum: document",
	"DocumentCreated details.title: document",
	"DocumentDescribed details.number: document",
	"DocumentDescribed details.sum: document",
	"DocumentDescribed details.title: document",
	"DocumentHoldLifted reason: document",
	"DocumentHoldPlaced ground: document",
	"DocumentRejected reason: document",
	"DocumentRevoked reason: document",
	"EmployeeAdded position: person",
	"EmployeeRemoved reason: person",
	"ErasureRequested reason: participant",
	"FileAttached file.name: document",
	"FileRefused name: document",
	"FileRemoved name: document",
	"KeyCompromiseReported circumstances: participant",
	"KeyCompromiseReported officer: participant",
	"ParticipantActivated basis: participant",
	"ParticipantHoldLifted reason: participant",
	"ParticipantHoldPlaced ground: participant",
	"ParticipantRegistered email: participant",
	"ParticipantRegistered identifier: participant",
	"ParticipantRegistered name: participant",
	"ParticipantRegistered phone: participant",
	"RevocationDeclined reason: document",
	"RevocationProposed reason: document",
	"SignatureDecided ground: document",
}

// impersonal names every other place where an event has text, and says why it
// tells nothing of a person. A new field is in neither list, and somebody has
// to decide.
var impersonal = map[string]string{
	// Ids are random and lead to a person only through the events above.
	"participant": "id", "person": "id", "by.participant": "id", "by.person": "id",
	"sender": "id", "recipient": "id", "recipients[].participant": "id", "party": "id",
	"parties[]": "id", "affected[]": "id", "standing[]": "id",
	"document": "id", "notice": "id", "reliedOn[].stream": "id",
	"hold": "id", "requests[]": "id", "notices[]": "id",
	// Words of a fixed list.
	"kind": "fixed", "details.kind": "fixed", "role": "fixed", "rights[]": "fixed", "channel": "fixed",
	"purpose": "fixed", "method": "fixed", "recipients[].role": "fixed", "recipients[].method": "fixed",
	"country": "two letters", "code": "fixed", "reasons[].code": "fixed", "signatures[].verdict.status": "fixed",
	"signatures[].signing.status":         "fixed",
	"signatures[].verdict.reasons[].code": "fixed", "signatures[].verdict.signers[].status": "fixed",
	"signatures[].signing.reasons[].code": "fixed", "signatures[].signing.signers[].status": "fixed",
	"signatures[].verdict.signers[].reasons[].code": "fixed",
	"signatures[].signing.signers[].reasons[].code": "fixed",
	"signatures[].verdict.signers[].restsOn[].kind": "fixed", "signatures[].signing.signers[].restsOn[].kind": "fixed",
	"signatures[].evidence[].kind": "fixed", "basis": "fixed", "ruling": "fixed", "CertificateRevoked reason": "fixed",
	// Certificates of authorities, of which a person's is none (package trust).
	"anchor.subject": "an authority's name", "anchor.der": "an authority's certificate", "anchor.kind": "fixed",
	"algorithms[]": "fixed", "pieces[].kind": "fixed", "pieces[].sha256": "hash",
	"anchor.algorithm": "algorithm", "anchor.fingerprint": "hash", "fingerprint": "hash", "how": "fixed",
	// Hashes, numbers and names of algorithms.
	"certificate": "hash", "token": "hash of 256 random bits", "file.sha256": "hash", "replaces": "hash",
	"signatures[].file": "hash", "signatures[].cms": "hash", "signatures[].stored": "hash",
	"signatures[].verdict.signers[].restsOn[].sha256": "hash", "signatures[].signing.signers[].restsOn[].sha256": "hash",
	"signatures[].evidence[].sha256": "hash", "signatures[].evidence[].stored": "hash",
	"sha256": "hash", "stored": "hash", "file.stored": "hash", "letter.sha256": "hash", "letter.stored": "hash",
	"signatures[].verdict.signers[].certificate": "hash", "signatures[].verdict.signers[].chain[]": "hash",
	"signatures[].signing.signers[].certificate": "hash", "signatures[].signing.signers[].chain[]": "hash",
	"signatures[].verdict.signers[].algorithm": "algorithm",
	"signatures[].signing.signers[].algorithm": "algorithm", "algorithm": "algorithm",
	"serial": "the certificate authority's number", "issuer": "the certificate authority's name",
	"number":         "the ledger's random number of a document",
	"details.date":   "the document's own date",
	"file.mediaType": "media type", "file.cautions[]": "fixed", "mediaType": "media type", "letter.mediaType": "media type",
	"rule": "a retention rule's id",
	// Sentences written by the ledger, which never name a person (package
	// fault, package signature).
	"detail": "the ledger's words", "reasons[].detail": "the ledger's words",
	"signatures[].verdict.reasons[].detail":           "the ledger's words",
	"signatures[].signing.reasons[].detail":           "the ledger's words",
	"signatures[].verdict.signers[].reasons[].detail": "the ledger's words",
	"signatures[].signing.signers[].reasons[].detail": "the ledger's words",
	// The log, its witnesses and the authorities that stamp it are machines of
	// the operator or of the public.
	"origin": "the log's name", "last.stream": "id", "note": "the log's own words", "witness": "a witness's public name",
	"keyId": "a public key's", "line": "a witness's signature", "authority": "a time-stamping authority's name", "over": "fixed",
	// A ledger is the operator's, and its seal's certificate is a legal entity's.
	"ledger": "id", "name": "what the operator calls the ledger", "logKey": "a public key", "seal": "hash",
	"LedgerFounded certificate": "the operator's certificate", "SealReplaced certificate": "the operator's certificate", "content": "hash", "former": "hash", "identifiers": "hash",
	"formerOrigin": "the log's name", "formerKey": "a public key", "log": "the log's stream",
	// Why a ledger goes on after a loss: told to be about what happened to it.
	"LedgerRecovered ground": "about a system",
	// What the holder calls its token, and why it ended: told to be about the
	// system that uses it. See the event types.
	"TokenIssued label": "about a system", "TokenRevoked reason": "about a system",
}

func TestThePersonalFieldsAreTheseAndNoOthers(t *testing.T) {
	codec, err := event.NewCodec(definitions()...)
	require.NoError(t, err)
	var found []string
	for _, field := range codec.PersonalFields() {
		found = append(found, fmt.Sprintf("%s %s: %s", field.EventType, field.Path, field.Subject))
	}
	slices.Sort(found)
	require.Equal(t, personal, found, "a personal field came or went: change this list knowingly")
}

func TestEveryTextOfEveryEventIsKnownToBePersonalOrNot(t *testing.T) {
	used := map[string]bool{}
	for _, definition := range slices.Concat(definitions()...) {
		name := definition.Zero.EventType()
		texts(t, name, reflect.TypeOf(definition.Zero), "", func(path string) {
			for _, key := range []string{name + " " + path, path} {
				if impersonal[key] != "" {
					used[key] = true
					return
				}
			}
			t.Errorf("%s: is %q personal? Tag it, or say in this test why not", name, path)
		})
	}
	for key := range impersonal {
		require.True(t, used[key], "%q is in the list and in no event", key)
	}
}

func TestEveryPersonalFieldSaysWhoseItIsByAnIDInTheSameEvent(t *testing.T) {
	codec, err := event.NewCodec(definitions()...)
	require.NoError(t, err)
	types := map[string]reflect.Type{}
	for _, definition := range slices.Concat(definitions()...) {
		types[definition.Zero.EventType()] = reflect.TypeOf(definition.Zero)
	}
	for _, field := range codec.PersonalFields() {
		var subject reflect.Type
		for member := range types[field.EventType].Fields() {
			if name, _, _ := strings.Cut(member.Tag.Get("json"), ","); name == field.Subject {
				subject = member.Type
			}
		}
		require.NotNil(t, subject, "%s %s: no field %q", field.EventType, field.Path, field.Subject)
		require.Equal(t, reflect.String, subject.Kind())
		require.Equal(t, "id", impersonal[field.Subject], "the subject must be readable without any key")
	}
}

// texts calls found for each place of text in an event that is not tagged
// personal. A shape that it cannot see through (a map, an interface, a field
// without a JSON name) would hide text, so events have none.
func texts(t *testing.T, event string, typ reflect.Type, path string, found func(path string)) {
	where := event + " " + path
	switch {
	case typ == reflect.TypeFor[time.Time](), typ == reflect.TypeFor[eventstore.Hash]():
		return
	}
	switch typ.Kind() {
	case reflect.String:
		found(path)
	case reflect.Pointer:
		texts(t, event, typ.Elem(), path, found)
	case reflect.Slice:
		texts(t, event, typ.Elem(), path+"[]", found)
	case reflect.Struct:
		for field := range typ.Fields() {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			require.True(t, field.IsExported() && !field.Anonymous && name != "" && name != "-",
				"%s.%s needs a JSON name of its own", where, field.Name)
			if _, tagged := field.Tag.Lookup("personal"); !tagged {
				texts(t, event, field.Type, strings.TrimPrefix(path+"."+name, "."), found)
			}
		}
	case reflect.Bool, reflect.Int, reflect.Int64, reflect.Uint64:
	default:
		t.Errorf("%s: events have no %s", where, typ.Kind())
	}
}
