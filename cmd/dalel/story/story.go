// Package story is what `dalel demo` plays: two companies, a natural person,
// an auditor and the operator, seven documents, and everything that may
// happen to one. The certification authority, the people and their papers are
// made up; the ledger, the signatures and the PDF are real.
//
// The authority answers for its certificates and stamps signatures over HTTP on
// this machine, as the real one does over the network (internal/testca/services);
// one of the companies has keys of GOST 34.10-2015.
//
// All keys are test keys (internal/testca). The story signs with them as each
// signer's own device would: the ledger gets signatures, never keys.
package story

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"dalel/blobs"
	"dalel/domain/access"
	"dalel/domain/calendar"
	"dalel/domain/certificate"
	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/domain/identifier"
	"dalel/domain/ledger"
	"dalel/domain/participant"
	"dalel/internal/cms"
	"dalel/internal/fault"
	"dalel/internal/pki"
	"dalel/internal/testca"
	"dalel/internal/testca/services"
	"dalel/internal/typeset"
)

// Authority is the made-up national CA. Like the real one it has two hierarchies,
// each a root and an issuing CA with its services: one for the keys of the whole
// world, one for GOST 34.10-2015. The services run on this machine as long as it
// is open.
type Authority struct{ world, gost branch }

type branch struct {
	root, issuing *testca.Identity
	services      *services.StandIn
}

// NewAuthority makes one and starts its services.
func NewAuthority() (_ Authority, err error) {
	var a Authority
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Close())
		}
	}()
	for _, b := range []struct {
		into *branch
		name string
		key  testca.KeyKind
		// The time-stamping authority of the world does not know GOST's digests.
		digests []string
	}{{&a.world, "Dalel demo", testca.P256, []string{pki.OIDSHA256, pki.OIDSHA384, pki.OIDSHA512}}, {&a.gost, "Dalel demo GOST", testca.GOST512, nil}} {
		if b.into.root, err = testca.NewRoot(testca.CA{Name: b.name + " root CA", Key: b.key}); err != nil {
			return a, err
		}
		if b.into.issuing, err = b.into.root.NewIntermediate(testca.CA{Name: b.name + " issuing CA", Key: b.key}); err != nil {
			return a, err
		}
		if b.into.services, err = services.Start(b.into.issuing, services.Options{Key: b.key, Digests: b.digests}); err != nil {
			return a, err
		}
	}
	return a, nil
}

// Close ends the services. The zero Authority has none.
func (a Authority) Close() error {
	var errs []error
	for _, b := range []branch{a.world, a.gost} {
		if b.services != nil {
			errs = append(errs, b.services.Close())
		}
	}
	return errors.Join(errs...)
}

// Certificates returns the CA certificates by the names of their files.
func (a Authority) Certificates() map[string]*x509.Certificate {
	return map[string]*x509.Certificate{
		"demo-root-ca.cer": a.world.root.Certificate, "demo-issuing-ca.cer": a.world.issuing.Certificate,
		"demo-gost-root-ca.cer": a.gost.root.Certificate, "demo-gost-issuing-ca.cer": a.gost.issuing.Certificate,
	}
}

// TimeStamps is the address of the time-stamping authority.
func (a Authority) TimeStamps() string { return a.world.services.StampsAddress() }

// issue has the branch issue that goes with the kind of key.
func (a Authority) issue(leaf testca.Leaf) (*testca.Identity, error) {
	if leaf.Key == testca.GOST512 || leaf.Key == testca.GOST256 {
		return a.gost.services.Issue(leaf)
	}
	return a.world.services.Issue(leaf)
}

// Viewer is somebody for whom the demo prints a link.
type Viewer struct {
	Name string      `json:"name"`
	What string      `json:"what"`
	By   event.By    `json:"by"`
	Role access.Role `json:"role"`
}

// Result is what was played.
type Result struct {
	Viewers   []Viewer `json:"viewers"`
	Documents []string `json:"documents"`
}

// person is a natural person of the cast.
type person struct {
	iin, surname, given, patronymic string
	id                              string
}

func (p person) name() string { return p.surname + " " + p.given + " " + p.patronymic }

func (p person) initials() string {
	initial := func(name string) string { return string([]rune(name)[:1]) + "." }
	return p.surname + " " + initial(p.given) + initial(p.patronymic)
}

// party is whoever sends and signs: a company through its head, or a person.
type party struct {
	id     string
	act    ledger.Act
	key    *testca.Identity
	owner  testca.Owner
	onPage typeset.Party
}

type play struct {
	ctx    context.Context
	ledger *ledger.Ledger
	ca     Authority
	tell   func(string)
	result Result
	// steps counts, for the idempotency keys.
	steps int

	operator           ledger.Act
	grain, road, human *party
	// oldRoadKey is the key of the second company that is compromised.
	oldRoadKey *testca.Identity
}

// Play plays the story on an empty ledger whose policy trusts the authority.
// tell is called before each step with what it is.
func Play(ctx context.Context, l *ledger.Ledger, ca Authority, tell func(string)) (Result, error) {
	p := &play{ctx: ctx, ledger: l, ca: ca, tell: tell}
	p.operator = p.act(event.By{Participant: ledger.Operator}, access.RoleOperator, "operator's desk")
	for _, scene := range []func() error{
		p.cast, p.signedContract, p.rejectedSupply, p.revokedAfterCompletion,
		p.revokedBefore, p.compromised, p.refusedSignature, p.waiting,
	} {
		if err := scene(); err != nil {
			return p.result, err
		}
	}
	return p.result, nil
}

func (p *play) act(by event.By, role access.Role, device string) ledger.Act {
	return ledger.Act{By: by, Role: role, Session: "demo", IP: "127.0.0.1", Device: "dalel demo, " + device}
}

// once gives an act the key of the next step.
func (p *play) once(act ledger.Act) ledger.Act {
	p.steps++
	act.Key = fmt.Sprintf("demo-%d", p.steps)
	return act
}

// cast registers everybody, their certificates and rights.
func (p *play) cast() error {
	p.tell("registering two companies, their heads, a natural person and an auditor")
	people := map[string]*person{
		"serik":   {iin: "85041230056", surname: "Бекетов", given: "Серік", patronymic: "Әлімжанұлы"},
		"aigul":   {iin: "79110945012", surname: "Омарова", given: "Айгүл", patronymic: "Маратқызы"},
		"assel":   {iin: "92062740031", surname: "Қасымова", given: "Әсел", patronymic: "Нұрланқызы"},
		"daniyar": {iin: "81030530025", surname: "Сәрсенов", given: "Данияр", patronymic: "Ермекұлы"},
	}
	for _, name := range []string{"serik", "aigul", "assel", "daniyar"} {
		human := people[name]
		var err error
		if human.iin, err = identifier.WithCheckDigit(human.iin); err != nil {
			return fmt.Errorf("identifier of %s: %w", name, err)
		}
		if human.id, err = p.register(ledger.Registration{Kind: participant.NaturalPerson, Identifier: human.iin, Name: human.name()}); err != nil {
			return err
		}
	}
	var err error
	grain := company{bin: "05024000178", name: "ТОО «Алтын Дән Астық»", kk: "«Алтын Дән Астық» ЖШС", head: people["serik"], key: testca.RSA2048,
		address: typeset.Text{RU: "020000, г. Кокшетау, ул. Абая, 87", KK: "020000, Көкшетау қ., Абай к-сі, 87"}}
	if p.grain, err = p.company(grain); err != nil {
		return err
	}
	road := company{bin: "11084001269", name: "ТОО «Жібек Жолы Логистика»", kk: "«Жібек Жолы Логистика» ЖШС", head: people["aigul"], key: testca.GOST512,
		address: typeset.Text{RU: "050000, г. Алматы, пр. Райымбека, 212", KK: "050000, Алматы қ., Райымбек д-лы, 212"}}
	if p.road, err = p.company(road); err != nil {
		return err
	}
	p.oldRoadKey = p.road.key
	assel := people["assel"]
	p.human = &party{id: assel.id, act: p.act(event.By{Participant: assel.id}, access.RoleParticipant, "phone"), onPage: typeset.Party{
		Name: typeset.Text{RU: assel.name(), KK: assel.name()}, IDKind: "ИИН", ID: assel.iin,
		Address:  typeset.Text{RU: "г. Астана, ул. Сыганак, 15, кв. 41", KK: "Астана қ., Сығанақ к-сі, 15, 41-пәтер"},
		Position: typeset.Text{RU: "физическое лицо", KK: "жеке тұлға"}, Signer: assel.initials(),
	}}
	if p.human.key, err = p.certificate(assel.id, testca.Leaf{Key: testca.Ed25519, Owner: testca.Owner{IIN: assel.iin, Surname: assel.surname, GivenName: assel.given, Patronymic: assel.patronymic}}); err != nil {
		return err
	}
	auditor := people["daniyar"]
	p.result.Viewers = []Viewer{
		{grain.name, "sends most of the documents", p.grain.act.By, access.RoleParticipant},
		{road.name, "receives them; its first key is compromised", p.road.act.By, access.RoleParticipant},
		{assel.name(), "natural person, one document waits for her", p.human.act.By, access.RoleParticipant},
		{auditor.name(), "auditor: sees every document, takes out packets", event.By{Participant: auditor.id}, access.RoleAuditor},
		{"the operator", "participants and the journal, no content", event.By{Participant: ledger.Operator}, access.RoleOperator},
	}
	return nil
}

func (p *play) register(r ledger.Registration) (string, error) {
	outcome, err := p.ledger.RegisterParticipant(p.ctx, p.once(p.operator), r)
	if err != nil {
		return "", fmt.Errorf("register a participant: %w", err)
	}
	if _, err = p.ledger.ActivateParticipant(p.ctx, p.once(p.operator), outcome.ID, "identity document seen"); err != nil {
		return "", fmt.Errorf("activate a participant: %w", err)
	}
	return outcome.ID, nil
}

type company struct {
	bin, name, kk string
	head          *person
	key           testca.KeyKind
	address       typeset.Text
}

func (p *play) company(c company) (*party, error) {
	bin, err := identifier.WithCheckDigit(c.bin)
	if err != nil {
		return nil, fmt.Errorf("identifier of %s: %w", c.name, err)
	}
	id, err := p.register(ledger.Registration{Kind: participant.LegalEntity, Identifier: bin, Name: c.name})
	if err != nil {
		return nil, err
	}
	rights := []participant.Right{participant.RightRead, participant.RightDraft, participant.RightSend, participant.RightSign, participant.RightManage}
	if _, err := p.ledger.AddEmployee(p.ctx, p.once(p.operator), id, c.head.id, "директор", rights); err != nil {
		return nil, fmt.Errorf("appoint the head of %s: %w", c.name, err)
	}
	owner := testca.Owner{
		IIN: c.head.iin, BIN: bin, Organization: c.name, Role: testca.Head,
		Surname: c.head.surname, GivenName: c.head.given, Patronymic: c.head.patronymic,
	}
	key, err := p.certificate(id, testca.Leaf{Key: c.key, Owner: owner})
	if err != nil {
		return nil, err
	}
	return &party{
		id: id, key: key, owner: owner,
		act: p.act(event.By{Participant: id, Person: c.head.id}, access.RoleParticipant, "office computer"),
		onPage: typeset.Party{
			Name: typeset.Text{RU: c.name, KK: c.kk}, IDKind: "БИН", ID: bin, Address: c.address,
			Bank: "АО «Народный Банк Казахстана»", BankCode: "HSBKKZKX", BeneficiaryCode: "17",
			Position: typeset.Text{RU: "директор", KK: "директор"}, Signer: c.head.initials(),
		},
	}, nil
}

// certificate has the CA issue one and registers it (R-C1).
func (p *play) certificate(owner string, leaf testca.Leaf) (*testca.Identity, error) {
	issued, err := p.ca.issue(leaf)
	if err != nil {
		return nil, err
	}
	if _, err := p.ledger.RegisterCertificate(p.ctx, p.once(p.operator), owner, issued.Certificate.Raw); err != nil {
		return nil, fmt.Errorf("register a certificate: %w", err)
	}
	return issued, nil
}

// paper is a document to be drafted.
type paper struct {
	kind    document.Kind
	title   string
	number  string
	file    string
	content typeset.ContractData
}

func (p *play) details(number string, seller, buyer *party, items ...typeset.Item) typeset.Details {
	return typeset.Details{
		Number: number, Date: time.Now().In(calendar.Zone()), City: typeset.Text{RU: "г. Алматы", KK: "Алматы қ."},
		Seller: seller.onPage, Buyer: buyer.onPage, Items: items, VATPercent: 12,
	}
}

// draft makes a draft with one PDF.
func (p *play) draft(sender *party, what paper) (string, []byte, error) {
	content, err := typeset.Contract(what.content)
	if err != nil {
		return "", nil, fmt.Errorf("typeset %s: %w", what.file, err)
	}
	outcome, err := p.ledger.CreateDocument(p.ctx, p.once(sender.act), document.Details{
		Kind: what.kind, Title: what.title, Number: what.number, Date: what.content.Date.Format(time.DateOnly),
		Sum: &document.Sum{Minor: fmt.Sprint(what.content.Total()), Currency: "KZT"},
	})
	if err != nil {
		return "", nil, fmt.Errorf("create a document: %w", err)
	}
	p.result.Documents = append(p.result.Documents, outcome.ID)
	if _, _, err := p.ledger.AttachFile(p.ctx, p.once(sender.act), outcome.ID, what.file, "application/pdf", bytes.NewReader(content)); err != nil {
		return "", nil, fmt.Errorf("attach %s: %w", what.file, err)
	}
	return outcome.ID, content, nil
}

// send sends to signers in the given order, the sender first.
func (p *play) send(sender *party, id string, deadline *time.Time, signers ...*party) error {
	var recipients []ledger.Recipient
	for i, signer := range signers {
		recipients = append(recipients, ledger.Recipient{Identifier: signer.onPage.ID, Role: document.RoleSign, Order: i + 1, Deadline: deadline})
	}
	if _, err := p.ledger.SendDocument(p.ctx, p.once(sender.act), id, true, recipients); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	return nil
}

// sign signs one file as a signer's own device would, and hands it in.
func (p *play) sign(who *party, id, file string, content []byte) error {
	signature, err := cms.Sign(p.ctx, cms.SignOptions{
		Content: bytes.NewReader(content),
		Signers: []cms.SignerOptions{{Certificate: who.key.Certificate, Key: who.key.Key, SigningTime: time.Now()}},
	})
	if err != nil {
		return err
	}
	_, err = p.ledger.SignDocument(p.ctx, p.once(who.act), id, []ledger.SubmittedSignature{{File: file, CMS: signature}})
	if err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	// The delivery process does this within moments; the story does not wait.
	return p.ledger.DeliverDue(p.ctx, id)
}

func (p *play) open(who *party, id string) error {
	_, err := p.ledger.ViewDocument(p.ctx, p.once(who.act), id)
	return err
}

// agreed takes a document from draft to completion between two parties.
func (p *play) agreed(from, to *party, what paper) (string, error) {
	id, content, err := p.draft(from, what)
	if err != nil {
		return "", err
	}
	if err := p.send(from, id, nil, to); err != nil {
		return "", err
	}
	if err := p.sign(from, id, what.file, content); err != nil {
		return "", err
	}
	if err := p.open(to, id); err != nil {
		return "", err
	}
	return id, p.sign(to, id, what.file, content)
}

func (p *play) signedContract() error {
	p.tell("a contract for services is sent, delivered, read, signed by both sides and numbered")
	content := typeset.Services(p.details("УЛ-2026/117", p.road, p.grain,
		typeset.Item{Name: typeset.Text{RU: "Перевозка зерна, Кокшетау – Актау, вагон", KK: "Астық тасымалы"}, Unit: typeset.Text{RU: "рейс"}, Quantity: 24, Price: 185_000_00},
		typeset.Item{Name: typeset.Text{RU: "Экспедирование и оформление"}, Unit: typeset.Text{RU: "услуга"}, Quantity: 24, Price: 12_500_00}))
	id, err := p.agreed(p.grain, p.road, paper{document.Contract, "Договор на перевозку зерна", "УЛ-2026/117", "Договор УЛ-2026-117.pdf", content})
	if err != nil {
		return err
	}
	_, err = p.ledger.AcknowledgeDocument(p.ctx, p.once(p.road.act), id)
	return err
}

func (p *play) rejectedSupply() error {
	p.tell("a supply contract in Kazakh and Russian is rejected with a reason")
	content := typeset.Supply(p.details("ПТ-2026/41", p.grain, p.road,
		typeset.Item{Name: typeset.Text{RU: "Пшеница мягкая, 3 класс", KK: "Жұмсақ бидай, 3-сынып"}, Unit: typeset.Text{RU: "т", KK: "т"}, Quantity: 120, Price: 98_000_00},
		typeset.Item{Name: typeset.Text{RU: "Ячмень фуражный", KK: "Жемдік арпа"}, Unit: typeset.Text{RU: "т", KK: "т"}, Quantity: 60, Price: 71_500_00}))
	id, bytes, err := p.draft(p.grain, paper{document.Contract, "Тауарларды жеткізу шарты / Договор поставки", "ПТ-2026/41", "Шарт ПТ-2026-41.pdf", content})
	if err != nil {
		return err
	}
	if err := p.send(p.grain, id, nil, p.road); err != nil {
		return err
	}
	if err := p.sign(p.grain, id, "Шарт ПТ-2026-41.pdf", bytes); err != nil {
		return err
	}
	if err := p.open(p.road, id); err != nil {
		return err
	}
	_, err = p.ledger.RejectDocument(p.ctx, p.once(p.road.act), id, "Баға келісілгеннен жоғары: ячмень согласован по 68 000 тенге за тонну.")
	return err
}

func (p *play) revokedAfterCompletion() error {
	p.tell("a contract with a natural person is signed, and later revoked with her consent")
	content := typeset.Services(p.details("УЛ-2026/118", p.human, p.grain,
		typeset.Item{Name: typeset.Text{RU: "Перевод документации на казахский язык"}, Unit: typeset.Text{RU: "стр."}, Quantity: 210, Price: 2_400_00}))
	id, err := p.agreed(p.grain, p.human, paper{document.Contract, "Договор на перевод документации", "УЛ-2026/118", "Договор УЛ-2026-118.pdf", content})
	if err != nil {
		return err
	}
	if _, err := p.ledger.RevokeDocument(p.ctx, p.once(p.grain.act), id, "Стороны договорились о новой редакции."); err != nil {
		return err
	}
	_, err = p.ledger.ConsentToRevocation(p.ctx, p.once(p.human.act), id)
	return err
}

func (p *play) revokedBefore() error {
	p.tell("an invoice with a wrong sum is revoked by its sender before anybody signed")
	content := typeset.Completion(p.details("СЧ-2026/9", p.grain, p.road,
		typeset.Item{Name: typeset.Text{RU: "Хранение зерна, месяц"}, Unit: typeset.Text{RU: "т"}, Quantity: 500, Price: 1_150_00}))
	id, bytes, err := p.draft(p.grain, paper{document.Invoice, "Счёт за хранение зерна", "СЧ-2026/9", "Счёт СЧ-2026-9.pdf", content})
	if err != nil {
		return err
	}
	if err := p.send(p.grain, id, nil, p.road, p.human); err != nil {
		return err
	}
	if err := p.sign(p.grain, id, "Счёт СЧ-2026-9.pdf", bytes); err != nil {
		return err
	}
	_, err = p.ledger.RevokeDocument(p.ctx, p.once(p.grain.act), id, "Ошибка в сумме, будет отправлен новый счёт.")
	return err
}

// compromised: what was signed before the moment stands, what was signed
// after it is marked.
func (p *play) compromised() error {
	p.tell("an act is signed with a key that turns out to have been stolen: the key is suspended, the act is marked")
	stolen := time.Now()
	details := p.details("АВР-2026/77", p.road, p.grain,
		typeset.Item{Name: typeset.Text{RU: "Перевозка зерна, Кокшетау – Актау, вагон"}, Unit: typeset.Text{RU: "рейс"}, Quantity: 8, Price: 185_000_00})
	details.Basis = "УЛ-2026/117"
	id, err := p.agreed(p.grain, p.road, paper{document.ActOfWork, "Акт выполненных работ (оказанных услуг)", "АВР-2026/77", "Акт АВР-2026-77.pdf", typeset.Completion(details)})
	if err != nil {
		return err
	}
	fingerprint := fingerprintOf(p.oldRoadKey)
	notice := ledger.CompromiseNotice{Channel: certificate.ByPhone, From: stolen, Circumstances: "Ноутбук с ключом похищен из автомобиля.",
		Officer: "Ахметова Д. С., уполномоченный оператора по ключам"}
	if _, err := p.ledger.ReportCompromise(p.ctx, p.once(p.operator), fingerprint, notice); err != nil {
		return err
	}
	// The compromise process does this by itself; asking again does no harm,
	// and the story need not wait for it.
	return p.ledger.NoteCertificate(p.ctx, id, fingerprint)
}

// soon is the end of the fifth working day from now.
func soon() (*time.Time, error) {
	day, err := calendar.AddWorkingDays(time.Now(), 5)
	deadline := calendar.EndOfDay(day)
	return &deadline, err
}

// opened sends a draft that its sender has signed to somebody, to be signed
// soon.
func (p *play) opened(from, to *party, what paper) (string, []byte, error) {
	deadline, err := soon()
	if err != nil {
		return "", nil, err
	}
	id, content, err := p.draft(from, what)
	if err != nil {
		return "", nil, err
	}
	if err := p.send(from, id, deadline, to); err != nil {
		return "", nil, err
	}
	return id, content, p.sign(from, id, what.file, content)
}

func (p *play) refusedSignature() error {
	p.tell("a signature with the suspended key is refused and recorded; one with a new key counts")
	text := typeset.Services(p.details("УЛ-2026/121", p.road, p.grain,
		typeset.Item{Name: typeset.Text{RU: "Перевозка ячменя, Кокшетау – Сарыагаш, вагон"}, Unit: typeset.Text{RU: "рейс"}, Quantity: 12, Price: 204_000_00}))
	what := paper{document.Contract, "Договор на перевозку ячменя", "УЛ-2026/121", "Договор УЛ-2026-121.pdf", text}
	id, content, err := p.opened(p.grain, p.road, what)
	if err != nil {
		return err
	}
	if err := p.sign(p.road, id, what.file, content); !fault.Is(err, fault.CertificateCompromised) {
		return fmt.Errorf("the suspended key was not refused as it should be: %w", err)
	}
	if p.road.key, err = p.certificate(p.road.id, testca.Leaf{Key: testca.GOST256, Owner: p.road.owner}); err != nil {
		return err
	}
	return p.sign(p.road, id, what.file, content)
}

func (p *play) waiting() error {
	p.tell("one more contract waits for a signature")
	text := typeset.Services(p.details("УЛ-2026/122", p.human, p.grain,
		typeset.Item{Name: typeset.Text{RU: "Перевод договоров поставки, вторая редакция"}, Unit: typeset.Text{RU: "стр."}, Quantity: 230, Price: 2_400_00}))
	_, _, err := p.opened(p.grain, p.human, paper{document.Contract, "Договор на перевод документации, новая редакция", "УЛ-2026/122", "Договор УЛ-2026-122.pdf", text})
	return err
}

// fingerprintOf is a certificate's name in the ledger.
func fingerprintOf(identity *testca.Identity) string {
	return blobs.Sum(identity.Certificate.Raw).String()
}
