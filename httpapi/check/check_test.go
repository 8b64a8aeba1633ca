package check_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"dalel/domain/ledger"
	"dalel/domain/packet"
	"dalel/domain/signature"
	"dalel/httpapi/check"
	"dalel/internal/cms"
	"dalel/internal/crl/crltest"
	"dalel/internal/fault"
	"dalel/internal/pdfsig/pdfsigtest"
	"dalel/internal/testca"
	"dalel/internal/xmldsig/xmldsigtest"

	"codeberg.org/go-pdf/fpdf"
	"github.com/stretchr/testify/require"
)

// shelf is a ledger and its index, with as many documents as a test wants.
type shelf struct {
	documents int
	err       error
}

func (s shelf) DocumentsWith(_ context.Context, _ string, limit int) ([]string, error) {
	return make([]string, min(limit, s.documents)), s.err
}

func (s shelf) CheckFile(_ context.Context, _ string, documents []string) ([]ledger.FileView, error) {
	views := make([]ledger.FileView, len(documents))
	for i := range views {
		views[i].FileStanding = &ledger.FileStanding{Forces: ledger.Forces{Signatures: 1}}
	}
	return views, nil
}

func newChecker(t testing.TB, config check.Config) *check.Checker {
	t.Helper()
	if config.Ledger == nil {
		config.Ledger, config.Index = shelf{}, shelf{}
	}
	checker, err := check.New(config)
	require.NoError(t, err)
	return checker
}

// people are a root and somebody with a certificate of it.
func people(t testing.TB) (*signature.Policy, *testca.Identity) {
	t.Helper()
	root, err := testca.NewRoot(testca.CA{Name: "Test root"})
	require.NoError(t, err)
	person, err := root.Issue(testca.Leaf{Owner: testca.Owner{Surname: "Секретова"}})
	require.NoError(t, err)
	return &signature.Policy{Roots: []*x509.Certificate{root.Certificate}}, person
}

func TestR_M3_AtMostTenDocumentsAreShownAndThatThereAreMoreIsSaid(t *testing.T) {
	for documents, shown := range map[int]int{0: 0, 1: 1, 10: 10, 11: 10, 5000: 10} {
		s := shelf{documents: documents}
		answer, err := newChecker(t, check.Config{Ledger: s, Index: s}).File(t.Context(), strings.NewReader("x"))
		require.NoError(t, err)
		require.Len(t, answer.Documents, shown)
		require.Equal(t, documents > 10, answer.More)
		require.Nil(t, answer.Inside)
	}
	s := shelf{err: fault.New(fault.Unavailable, "")}
	_, err := newChecker(t, check.Config{Ledger: s, Index: s}).File(t.Context(), strings.NewReader("x"))
	require.Equal(t, fault.Unavailable, fault.CodeOf(err), "what cannot be looked up is not said to be unknown")
	_, err = check.New(check.Config{})
	require.Equal(t, fault.ConfigInvalid, fault.CodeOf(err))
}

func TestR_M3_EachFormOfSignatureInsideAFileHasItsVerdict(t *testing.T) {
	policy, person := people(t)
	checker := newChecker(t, check.Config{Policy: policy})
	inside := func(data []byte) *check.Inside {
		t.Helper()
		answer, err := checker.File(t.Context(), iotest.HalfReader(bytes.NewReader(data)))
		require.NoError(t, err)
		require.EqualValues(t, len(data), answer.Size)
		return answer.Inside
	}
	message, err := cms.Sign(t.Context(), cms.SignOptions{Content: strings.NewReader("words"), Attached: true, Signers: []cms.SignerOptions{{Certificate: person.Certificate, Key: person.Key}}})
	require.NoError(t, err)
	xml, err := xmldsigtest.Sign([]byte(`<act number="7"><total>100</total></act>`), xmldsigtest.Signature{Signer: crltest.By(person)})
	require.NoError(t, err)
	pdf := pdfsigtest.New("Words", true)
	plain := bytes.Clone(pdf.Bytes)
	require.NoError(t, pdf.Sign(pdfsigtest.Signature{Signer: crltest.By(person)}))
	for form, data := range map[check.Form][]byte{check.CMS: message, check.XML: xml, check.PDF: pdf.Bytes} {
		good := inside(data)
		require.NotNil(t, good, form)
		require.Equal(t, form, good.Form)
		require.Equal(t, signature.Valid, good.Status, "%s: %v", form, good)
		require.Len(t, good.Signers, 1)
		require.Equal(t, signature.Valid, good.Signers[0].Status)
		require.Len(t, good.Signers[0].Certificate, 64)
		says, err := signature.ReadOwner(person.Certificate)
		require.NoError(t, err)
		require.Equal(t, &check.Subject{
			Name: "Секретова", IIN: says.IIN, Role: signature.RolePerson, Serial: says.Serial, Issuer: says.Issuer,
		}, good.Signers[0].Subject, "%s: whose the certificate is", form)
		foreign, err := newChecker(t, check.Config{}).File(t.Context(), bytes.NewReader(data))
		require.NoError(t, err)
		require.Equal(t, signature.Unknown, foreign.Inside.Status, "%s: without an anchor nobody can tell", form)
	}
	require.Equal(t, signature.Invalid, inside(bytes.Replace(message, []byte("words"), []byte("sword"), 1)).Status)
	require.Equal(t, signature.Invalid, inside(bytes.Replace(xml, []byte("100"), []byte("900"), 1)).Status)

	// What programs wrap them in takes nothing away.
	packed := base64.StdEncoding.EncodeToString(message)
	quoted, err := json.Marshal(string(xml))
	require.NoError(t, err)
	for text, form := range map[string]check.Form{
		packed: check.CMS, "\ufeff" + packed[:64] + "\r\n" + packed[64:]: check.CMS, "-----BEGIN CMS-----\r\n" + packed + "\r\n-----END CMS-----\r\n": check.CMS,
		`{"status":true,"body":{"result":["` + packed + `"]}}`: check.CMS, `{"code":"200","responseObject":"` + packed + `"}`: check.CMS,
		`{"code":"200","responseObject":` + string(quoted) + `}`: check.XML, `{"body":{"result":[` + string(quoted) + `]},"status":true}`: check.XML,
		base64.StdEncoding.EncodeToString(xml): check.XML,
	} {
		good := inside([]byte(text))
		require.NotNil(t, good, text)
		require.Equal(t, form, good.Form, text)
		require.Equal(t, signature.Valid, good.Status, text)
	}

	// Nothing to judge is no verdict.
	for name, data := range map[string][]byte{
		"a PDF without signatures": plain, "an XML document without": []byte(`<act><total>1</total></act>`), "HTML": []byte("<!doctype html><p>one<br>two"),
		"XHTML": []byte("<!DOCTYPE html><html></html>"), "XML in another encoding": []byte(`<?xml version="1.0" encoding="windows-1251"?><a/>`),
		"text": []byte("MINUTES OF THE MEETING\nand so on"), "one byte": []byte("0"), "PEM of something else": []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
		"an answer that was cancelled": []byte(`{"status":true,"body":{}}`), "JSON": []byte(`{"a":` + strings.Repeat("[", 10_000)),
		"DER of something else": {0x30, 0x80, 0x02, 0x01, 0x01, 0, 0}, "no PDF": []byte("%PDF-1.7 and no more"),
	} {
		require.Nil(t, inside(data), name)
	}
	// What may be signed and cannot be read is "cannot tell", not "invalid".
	for _, data := range [][]byte{
		[]byte("%PDF-1.7 /ByteRange [0 1 2 3] and no more"), []byte(`<a xmlns="http://www.w3.org/2000/09/xmldsig#"><b></a>`),
		[]byte(`<!DOCTYPE a><a xmlns="http://www.w3.org/2000/09/xmldsig#"></a>`),
	} {
		require.Equal(t, signature.Unknown, inside(data).Status)
	}
	large := inside(append(pdf.Bytes, make([]byte, check.MaxInside)...))
	require.Equal(t, signature.Unknown, large.Status)
	require.Equal(t, signature.PDFTooLarge, large.Reasons[0].Code)
}

// card is a PDF with files attached.
func card(t testing.TB, files ...[]byte) []byte {
	t.Helper()
	pdf := fpdf.New("P", "mm", "A4", "")
	pdf.AddPage()
	var list []fpdf.Attachment
	for i, file := range files {
		list = append(list, fpdf.Attachment{Content: file, Filename: fmt.Sprintf("file %d", i)})
	}
	pdf.SetAttachments(list)
	var out bytes.Buffer
	require.NoError(t, pdf.Output(&out))
	return out.Bytes()
}

func TestR_M3_ACardOfAnElectronicDocumentIsJudgedByWhatIsAttachedToIt(t *testing.T) {
	policy, person := people(t)
	checker := newChecker(t, check.Config{Policy: policy})
	message, err := cms.Sign(t.Context(), cms.SignOptions{Content: strings.NewReader("words"), Signers: []cms.SignerOptions{{Certificate: person.Certificate, Key: person.Key}}})
	require.NoError(t, err)
	for name, c := range map[string]struct {
		files   [][]byte
		status  signature.Status
		signers int
		code    string
	}{
		"a document and its signature": {[][]byte{[]byte("words"), message}, signature.Valid, 1, signature.PDFCard},
		"another document":             {[][]byte{[]byte("other"), message}, signature.Invalid, 1, signature.PDFCard},
		"two documents":                {[][]byte{[]byte("words"), []byte("other"), message}, signature.Unknown, 0, signature.PDFAttachments},
		"no document":                  {[][]byte{message}, signature.Unknown, 0, signature.PDFAttachments},
		"no signature":                 {[][]byte{[]byte("words")}, signature.Unknown, 0, signature.PDFAttachments},
	} {
		answer, err := checker.File(t.Context(), bytes.NewReader(card(t, c.files...)))
		require.NoError(t, err)
		require.NotNil(t, answer.Inside, name)
		require.Equal(t, check.PDF, answer.Inside.Form, name)
		require.Equal(t, c.status, answer.Inside.Status, name)
		require.Len(t, answer.Inside.Signers, c.signers, name)
		require.Equal(t, c.code, answer.Inside.Reasons[0].Code, name)
		for _, s := range answer.Inside.Signers {
			require.Equal(t, "Секретова", s.Subject.Name, name)
		}
	}
	answer, err := checker.File(t.Context(), bytes.NewReader(card(t)))
	require.NoError(t, err)
	require.Nil(t, answer.Inside, "a PDF with nothing in it")
}

func TestR_M3_AFileIsHashedToItsEndAndNoFurther(t *testing.T) {
	checker := newChecker(t, check.Config{MaxFile: 10})
	answer, err := checker.File(t.Context(), strings.NewReader("0123456789"))
	require.NoError(t, err)
	require.Equal(t, "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882", answer.SHA256)
	endless := &counted{Reader: iotest.OneByteReader(endlessly{})}
	_, err = checker.File(t.Context(), endless)
	require.Equal(t, fault.FileTooLarge, fault.CodeOf(err))
	require.Less(t, endless.n, 100)
	_, err = checker.File(t.Context(), strings.NewReader(""))
	require.Equal(t, fault.FileInvalid, fault.CodeOf(err))
	_, err = checker.File(t.Context(), iotest.ErrReader(fault.New(fault.RequestCutOff, "")))
	require.Equal(t, fault.RequestCutOff, fault.CodeOf(err))
}

type endlessly struct{}

func (endlessly) Read(p []byte) (int, error) { return len(p), nil }

type counted struct {
	io.Reader
	n int
}

func (c *counted) Read(p []byte) (int, error) { c.n++; return c.Reader.Read(p) }

// panicking panics when it is read, as a body whose connection broke may.
type panicking struct{}

func (panicking) Read([]byte) (int, error) { panic("gone") }

func TestR_M3_OfAPacketNothingIsLeftWhateverHappens(t *testing.T) {
	folder := t.TempDir()
	checker := newChecker(t, check.Config{Folder: folder, MaxPacket: 1000})
	empty := func() {
		t.Helper()
		left, err := os.ReadDir(folder)
		require.NoError(t, err)
		require.Empty(t, left)
	}
	looking := readerFunc(func(p []byte) (int, error) {
		empty() // nor is it to be found while it is there
		return 0, io.EOF
	})
	_, err := checker.Packet(t.Context(), io.MultiReader(strings.NewReader("PK"), looking))
	require.Equal(t, fault.PacketUnreadable, fault.CodeOf(err))
	require.PanicsWithValue(t, "gone", func() { _, _ = checker.Packet(t.Context(), io.MultiReader(strings.NewReader("PK"), panicking{})) })
	_, err = checker.Packet(t.Context(), iotest.ErrReader(fault.New(fault.RequestCutOff, "")))
	require.Equal(t, fault.RequestCutOff, fault.CodeOf(err))
	_, err = checker.Packet(t.Context(), endlessly{})
	require.Equal(t, fault.RequestTooLarge, fault.CodeOf(err))
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = checker.Packet(cancelled, strings.NewReader("PK"))
	require.Error(t, err)
	empty()
	_, err = newChecker(t, check.Config{Folder: folder + "/none"}).Packet(t.Context(), strings.NewReader("PK"))
	require.Error(t, err)
	require.False(t, fault.Is(err, fault.PacketUnreadable), "a full disk says nothing of the packet")
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestR_M3_LookingIntoAPacketEndsInTime(t *testing.T) {
	checker := newChecker(t, check.Config{Thinking: time.Nanosecond})
	_, err := checker.Packet(t.Context(), strings.NewReader("PK\x03\x04"))
	require.True(t, fault.Is(err, fault.Unavailable) || fault.Is(err, fault.PacketUnreadable), "%v", err)
	_, err = checker.File(t.Context(), strings.NewReader("%PDF-1.7"))
	var coded *fault.Error
	require.True(t, err == nil || errors.As(err, &coded))
}

func TestR_M3_WhoAsksTooOftenOrTooMuchAtOnceWaits(t *testing.T) {
	now := time.Now()
	checker := newChecker(t, check.Config{AtOnce: 3, AtOnceEach: 2, EachMinute: 5, Clock: func() time.Time { return now }})
	enter := func(address string) func() {
		t.Helper()
		leave, err := checker.Enter(address)
		require.NoError(t, err)
		return leave
	}
	refused := func(address string) {
		t.Helper()
		_, err := checker.Enter(address)
		require.Equal(t, fault.Throttled, fault.CodeOf(err))
	}
	one, two := enter("192.0.2.1"), enter("192.0.2.1")
	refused("192.0.2.1")
	other := enter("192.0.2.2")
	refused("192.0.2.3")
	other()
	other() // leaving twice is leaving once
	third := enter("192.0.2.3")
	refused("192.0.2.4")
	for _, leave := range []func(){one, two, third} {
		leave()
	}
	for range 3 {
		enter("192.0.2.1")()
	}
	refused("192.0.2.1")
	enter("192.0.2.2")()
	now = now.Add(time.Minute)
	enter("192.0.2.1")()

	// A customer's own /64 is one address.
	for i := range 5 {
		enter(fmt.Sprintf("2001:db8::%d", i))()
	}
	refused("2001:db8::ffff")
	enter("2001:db8:0:1::1")()

	// From everywhere: the memory is bounded, and who is being answered is not
	// forgotten.
	busy := enter("192.0.2.9")
	for i := range 30_000 {
		enter(fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255))()
	}
	second := enter("192.0.2.9")
	refused("192.0.2.9")
	busy()
	second()
}

func FuzzInside(f *testing.F) {
	f.Add([]byte("%PDF-1.7 /ByteRange"))
	f.Add([]byte("<a/>"))
	f.Add([]byte{0x30, 0x80, 0})
	f.Add([]byte("-----BEGIN CMS-----\nMAA=\n-----END CMS-----"))
	f.Add([]byte("PK\x03\x04"))
	checker := newChecker(f, check.Config{Folder: f.TempDir()})
	f.Fuzz(func(t *testing.T, data []byte) {
		answer, err := checker.File(t.Context(), bytes.NewReader(data))
		if len(data) == 0 {
			require.Equal(t, fault.FileInvalid, fault.CodeOf(err))
			return
		}
		require.NoError(t, err)
		if answer.Inside != nil {
			require.NotEqual(t, signature.Valid, answer.Inside.Status, "there are no anchors")
		}
		found, err := checker.Packet(t.Context(), bytes.NewReader(data))
		if err == nil {
			require.NotEqual(t, packet.Good, found.Status)
		}
	})
}
