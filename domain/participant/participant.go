package participant

import (
	"maps"
	"net/mail"
	"slices"
	"strings"
	"time"

	"dalel/domain/event"
	"dalel/domain/identifier"
	"dalel/domain/isocode"
	"dalel/domain/wording"
	"dalel/eventstore"
	"dalel/internal/fault"
)

// Limits of what a participant says of itself, in characters, and of how many
// employees one may have.
const (
	MaxName      = 300
	MaxPosition  = 300
	MaxProse     = 2000
	MaxEmail     = 254 // RFC 5321, section 4.5.3.1.3
	MaxEmployees = 5000
	// MaxHolds is how many legal holds stand on one participant at most.
	MaxHolds = 1000
)

// Status is how far the registration of a participant has come.
type Status string

// The statuses. The zero Status is that of a participant who does not exist.
const (
	Pending Status = "pending" // registered, not yet checked by the operator
	Active  Status = "active"
	// Ended is that of a participant whose personal data are destroyed, or
	// ordered to be (R-B4).
	Ended Status = "erased"
)

// Employee is what an employee may do, and as what.
type Employee struct {
	Position string
	// Rights are sorted.
	Rights []Right
	// Employment numbers it among all that the participant ever began, from 1:
	// a person who comes back has another one.
	Employment uint64
}

// Hold is a legal hold that stands (R-G4).
type Hold struct {
	ID       string
	Ground   string
	PlacedAt time.Time
}

// Erasure is how far the destruction of a participant's personal data has
// come (R-B4).
type Erasure struct {
	RequestedAt time.Time
	Letter      RequestLetter
	// OrderedAt and ErasedAt are nil before the order, and before the key is
	// gone.
	OrderedAt *time.Time
	ErasedAt  *time.Time
}

// State is what a participant's events come to. The zero State is that of one
// who does not exist.
//
// From the order to destroy them on, the state has none of the participant's
// personal data, whether the key to them still exists or not.
type State struct {
	ID         string
	Kind       Kind
	Identifier string
	Name       string
	Country    string
	Email      string
	Phone      string
	Status     Status
	// Employees are those of now, by participant id.
	Employees map[string]Employee
	// Employments counts those that ever began.
	Employments uint64
	// Holds are the legal holds that stand, in the order of placing.
	Holds []Hold
	// Erasure is nil until the participant asks for it.
	Erasure *Erasure
}

// Exists reports whether the participant was registered.
func (s State) Exists() bool { return s.Status != "" }

// Active reports whether the participant was activated (R-A3), and is not
// erased.
func (s State) Active() bool { return s.Status == Active }

// Erased reports whether the destruction of the participant's personal data
// is ordered or done.
func (s State) Erased() bool { return s.Status == Ended }

// Held reports whether a legal hold stands.
func (s State) Held() bool { return len(s.Holds) > 0 }

// IsPerson reports whether a participant of this kind is a human being with
// an IIN: whoever may be an employee. A sole trader is one, and may be
// registered as a natural person, too ([DecideClaim]).
func (k Kind) IsPerson() bool { return k == NaturalPerson || k == SoleTrader }

// Rights returns every right, sorted.
func Rights() []Right {
	return []Right{RightDraft, RightManage, RightRead, RightSend, RightSign}
}

// May reports whether CheckMayAct gives no error.
func (s State) May(person string, right Right) bool { return s.CheckMayAct(person, right) == nil }

// CheckMayAct says whether person may do this for the participant (R-A3,
// R-A4). An empty person, or the participant's own id, is the participant
// itself: that suffices for everybody but a legal entity, for which only its
// employees act.
//
// Errors: participant.unknown; participant.not-active for any right but
// reading, and for an erased participant for every right; employee.unknown for a person who is no employee, and for a legal
// entity that acts without one; employee.no-right.
//
// It says nothing of the certificate, nor of whether the person itself is
// known and active: the ledger asks those streams too.
func (s State) CheckMayAct(person string, right Right) error {
	switch {
	case !s.Exists():
		return unknown()
	case s.Erased():
		return fault.New(fault.ParticipantNotActive, "the participant's data are destroyed; it can do nothing any more")
	case !s.Active() && right != RightRead:
		return fault.New(fault.ParticipantNotActive, "until the operator has activated it, the participant may only read")
	case !slices.Contains(Rights(), right):
		return fault.New(fault.EmployeeNoRight, "there is no right %q", string(right))
	}
	itself := person == "" || person == s.ID
	switch {
	case s.Kind != LegalEntity && itself:
		return nil
	case s.Kind != LegalEntity:
		return fault.New(fault.EmployeeUnknown, "only a legal entity has employees; this participant acts itself")
	case itself:
		return fault.New(fault.EmployeeUnknown, "a legal entity acts through its employees; name the one who acts")
	}
	employee, ok := s.Employees[person]
	if !ok {
		return noEmployee()
	}
	if !slices.Contains(employee.Rights, right) {
		return fault.New(fault.EmployeeNoRight, "the employee does not have the right %q", string(right))
	}
	return nil
}

// CheckMayKnow says whether person may read what the ledger holds of the
// participant itself: its data, its certificates. Who manages them must see
// them, so the right to manage suffices too. Errors: those of CheckMayAct.
func (s State) CheckMayKnow(person string) error {
	err := s.CheckMayAct(person, RightRead)
	if err != nil && s.May(person, RightManage) {
		return nil
	}
	return err
}

// Employment returns the number of the employment in which person acts for the
// participant now: 0 for the participant itself. Errors: employee.unknown.
func (s State) Employment(person string) (uint64, error) {
	if person == "" || person == s.ID {
		return 0, nil
	}
	employee, ok := s.Employees[person]
	if !ok {
		return 0, noEmployee()
	}
	return employee.Employment, nil
}

// Command is a request to a participant; the types of this package are all
// there are.
type Command interface{ command() }

// Register asks for a participant to be (R-A1). It leads to a pending one.
type Register struct {
	Participant string
	Kind        Kind
	// Identifier is an IIN, a BIN, or for a non-resident what
	// identifier.NewInternal made.
	Identifier string
	Name       string
	// Country is ISO 3166-1 alpha-2; empty means KZ, but a non-resident must
	// say another.
	Country string
	// Email and Phone may be empty. Phone is E.164: "+77011234567".
	Email string
	Phone string
}

// Activate says that the operator has checked the participant, and how
// (R-A3).
type Activate struct{ Basis string }

// AddEmployee grants a person rights to act for a legal entity (R-A4).
type AddEmployee struct {
	// Person is the participant id of the employee.
	Person string
	// PersonKind and PersonActive are facts, read from the person's stream;
	// the zero Kind is that of one who does not exist.
	PersonKind   Kind
	PersonActive bool
	// Position may be empty.
	Position string
	Rights   []Right
}

// ChangeEmployeeRights replaces the rights of an employee.
type ChangeEmployeeRights struct {
	Person string
	Rights []Right
}

// RemoveEmployee takes all rights of an employee away.
type RemoveEmployee struct {
	Person string
	// Reason may be empty.
	Reason string
}

// PlaceHold puts a legal hold on the participant's data (R-G4). While a hold
// of that id stands, it may be repeated without harm.
type PlaceHold struct {
	// Hold is an id of letters, digits and . _ : - without any meaning.
	Hold   string
	By     event.By
	Ground string
	Now    time.Time
}

// LiftHold ends one hold.
type LiftHold struct {
	Hold   string
	By     event.By
	Reason string
	Now    time.Time
}

// RequestErasure is the participant's official request to destroy its personal
// data (R-B4). The letter is stored already, and taken as given, so that it
// can be asked whether the request would be taken before the letter is.
type RequestErasure struct {
	By     event.By
	Reason string
	Letter RequestLetter
	Now    time.Time
}

// OrderErasure is the operator's order. It may be repeated without harm.
type OrderErasure struct {
	By  event.By
	Now time.Time
}

// MarkErased says that the participant's key is gone. It may be repeated
// without harm.
type MarkErased struct{ Now time.Time }

func (Register) command()             {}
func (Activate) command()             {}
func (AddEmployee) command()          {}
func (ChangeEmployeeRights) command() {}
func (RemoveEmployee) command()       {}
func (PlaceHold) command()            {}
func (LiftHold) command()             {}
func (RequestErasure) command()       {}
func (OrderErasure) command()         {}
func (MarkErased) command()           {}

// Decide says what follows from a command in a state: events, none if what it
// asks for is so already and may be asked twice, or a *fault.Error. Who may give the command is decided before: see
// [State.CheckMayAct] with [RightManage], and the operator's role.
func Decide(state State, command Command) ([]event.Event, error) {
	if c, ok := command.(Register); ok {
		return register(state, c)
	}
	if !state.Exists() {
		return nil, unknown()
	}
	if state.Erased() {
		return erased(state, command)
	}
	switch c := command.(type) {
	case Activate:
		return activate(state, c)
	case AddEmployee:
		return addEmployee(state, c)
	case ChangeEmployeeRights:
		return changeEmployeeRights(state, c)
	case RemoveEmployee:
		return removeEmployee(state, c)
	case PlaceHold:
		return placeHold(state, c)
	case LiftHold:
		return liftHold(state, c)
	case RequestErasure:
		return requestErasure(state, c)
	case OrderErasure:
		return orderErasure(state, c)
	case MarkErased:
		return nil, fault.New(fault.ParticipantState, "nobody has ordered to destroy the participant's data")
	}
	return nil, fault.New(fault.Internal, "participants have no command %T", command)
}

func register(state State, c Register) ([]event.Event, error) {
	if state.Exists() {
		return nil, fault.New(fault.ParticipantExists, "this participant was registered before")
	}
	if err := StreamID(c.Participant).Check(); err != nil {
		return nil, fault.New(fault.ParticipantInvalid, "the participant's id cannot name a stream")
	}
	if err := checkIdentifier(c.Kind, c.Identifier); err != nil {
		return nil, err
	}
	if err := wording.Line(c.Name, MaxName); err != nil {
		return nil, wording.Refuse(fault.ParticipantInvalid, "the name", err)
	}
	country, err := countryOf(c.Kind, c.Country)
	if err != nil {
		return nil, err
	}
	if err := checkEmail(c.Email); err != nil {
		return nil, err
	}
	if err := checkPhone(c.Phone); err != nil {
		return nil, err
	}
	return []event.Event{Registered{
		Participant: c.Participant, Kind: c.Kind, Identifier: c.Identifier, Name: c.Name,
		Country: country, Email: c.Email, Phone: c.Phone,
	}}, nil
}

func checkIdentifier(kind Kind, text string) error {
	switch kind {
	case NaturalPerson, SoleTrader:
		return identifier.CheckIIN(text)
	case LegalEntity:
		return identifier.CheckBIN(text)
	case NonResident:
		return identifier.CheckInternal(text)
	}
	return fault.New(fault.ParticipantInvalid, "the kind must be natural-person, sole-trader, legal-entity or non-resident")
}

func countryOf(kind Kind, code string) (string, error) {
	switch {
	case kind == NonResident && (code == "" || code == "KZ"):
		return "", fault.New(fault.ParticipantInvalid, "a non-resident needs a country of residence other than KZ")
	case code == "":
		return "KZ", nil
	}
	if !isocode.Country(code) {
		return "", fault.New(fault.ParticipantInvalid, "the country must be a two-letter code of ISO 3166-1 in capitals")
	}
	return code, nil
}

func checkEmail(text string) error {
	if text == "" {
		return nil
	}
	address, err := mail.ParseAddress(text)
	// The comparison refuses "Name <address>", comments and folding.
	if err != nil || address.Address != text || len(text) > MaxEmail || wording.Line(text, MaxEmail) != nil {
		return fault.New(fault.ParticipantInvalid, "the e-mail address cannot be used; it must be a plain address (RFC 5322) of at most %d bytes", MaxEmail)
	}
	return nil
}

func checkPhone(text string) error {
	if text == "" {
		return nil
	}
	valid := len(text) >= 8 && len(text) <= 16 && text[0] == '+' && text[1] != '0'
	for i := 1; valid && i < len(text); i++ {
		valid = text[i] >= '0' && text[i] <= '9'
	}
	if !valid || text[1] == '7' && len(text) != len("+77011234567") {
		return fault.New(fault.ParticipantInvalid, "the phone number must be written as in E.164: + and digits only, such as +7 with ten more digits")
	}
	return nil
}

func activate(state State, c Activate) ([]event.Event, error) {
	if state.Active() {
		return nil, fault.New(fault.ParticipantState, "the participant is active already")
	}
	if c.Basis == "" {
		return nil, fault.New(fault.ReasonMissing, "say what was checked")
	}
	if err := wording.Prose(c.Basis, MaxProse); err != nil {
		return nil, wording.Refuse(fault.ParticipantInvalid, "the basis", err)
	}
	return []event.Event{Activated{Participant: state.ID, Basis: c.Basis}}, nil
}

// checkEmployer is asked before every command about employees.
func checkEmployer(state State) error {
	if state.Kind != LegalEntity {
		return fault.New(fault.ParticipantInvalid, "only a legal entity has employees")
	}
	if !state.Active() {
		return fault.New(fault.ParticipantNotActive, "a participant may have employees act for it once the operator has activated it")
	}
	return nil
}

func addEmployee(state State, c AddEmployee) ([]event.Event, error) {
	if err := checkEmployer(state); err != nil {
		return nil, err
	}
	if _, ok := state.Employees[c.Person]; ok {
		return nil, fault.New(fault.EmployeeExists, "change the rights of an employee, rather than adding it again")
	}
	switch {
	case c.PersonKind == "" || c.Person == "":
		return nil, fault.New(fault.ParticipantUnknown, "the employee is not registered")
	case !c.PersonKind.IsPerson():
		return nil, fault.New(fault.ParticipantInvalid, "only a natural person or a sole trader can be an employee")
	case !c.PersonActive:
		return nil, fault.New(fault.ParticipantNotActive, "the operator has not activated the employee yet")
	case len(state.Employees) >= MaxEmployees:
		return nil, fault.New(fault.ParticipantState, "a participant has %d employees at most", MaxEmployees)
	}
	if c.Position != "" {
		if err := wording.Line(c.Position, MaxPosition); err != nil {
			return nil, wording.Refuse(fault.ParticipantInvalid, "the position", err)
		}
	}
	rights, err := sortedRights(c.Rights)
	if err != nil {
		return nil, err
	}
	return []event.Event{EmployeeAdded{Participant: state.ID, Person: c.Person, Position: c.Position, Rights: rights}}, nil
}

func changeEmployeeRights(state State, c ChangeEmployeeRights) ([]event.Event, error) {
	if err := checkEmployer(state); err != nil {
		return nil, err
	}
	employee, ok := state.Employees[c.Person]
	if !ok {
		return nil, noEmployee()
	}
	rights, err := sortedRights(c.Rights)
	if err != nil {
		return nil, err
	}
	if slices.Equal(rights, employee.Rights) {
		return nil, fault.New(fault.ParticipantState, "the employee has exactly these rights already")
	}
	return []event.Event{EmployeeRightsChanged{Participant: state.ID, Person: c.Person, Rights: rights}}, nil
}

func removeEmployee(state State, c RemoveEmployee) ([]event.Event, error) {
	if err := checkEmployer(state); err != nil {
		return nil, err
	}
	if _, ok := state.Employees[c.Person]; !ok {
		return nil, noEmployee()
	}
	if c.Reason != "" {
		if err := wording.Prose(c.Reason, MaxProse); err != nil {
			return nil, wording.Refuse(fault.ParticipantInvalid, "the reason", err)
		}
	}
	return []event.Event{EmployeeRemoved{Participant: state.ID, Person: c.Person, Reason: c.Reason}}, nil
}

func placeHold(state State, c PlaceHold) ([]event.Event, error) {
	if hold(state, c.Hold) >= 0 {
		return nil, nil
	}
	if eventstore.Stream("hold", c.Hold).Check() != nil {
		return nil, fault.New(fault.RequestInvalid, "the id of a hold has letters, digits and . _ : - only")
	}
	if err := checkWords("ground", c.Ground); err != nil {
		return nil, err
	}
	if len(state.Holds) >= MaxHolds {
		return nil, fault.New(fault.Throttled, "%d holds stand on this participant already", MaxHolds)
	}
	return []event.Event{HoldPlaced{Participant: state.ID, Hold: c.Hold, By: c.By, Ground: c.Ground, PlacedAt: c.Now}}, nil
}

func liftHold(state State, c LiftHold) ([]event.Event, error) {
	if hold(state, c.Hold) < 0 {
		return nil, fault.New(fault.HoldUnknown, "no hold of this id stands on the participant")
	}
	if err := checkWords("reason", c.Reason); err != nil {
		return nil, err
	}
	return []event.Event{HoldLifted{Participant: state.ID, Hold: c.Hold, By: c.By, Reason: c.Reason, LiftedAt: c.Now}}, nil
}

func hold(state State, id string) int {
	return slices.IndexFunc(state.Holds, func(h Hold) bool { return h.ID == id })
}

func requestErasure(state State, c RequestErasure) ([]event.Event, error) {
	if state.Erasure != nil {
		return nil, fault.New(fault.ParticipantState, "the participant has asked already")
	}
	if err := checkWords("reason", c.Reason); err != nil {
		return nil, err
	}
	return []event.Event{ErasureRequested{Participant: state.ID, By: c.By, Reason: c.Reason, Letter: c.Letter, RequestedAt: c.Now}}, nil
}

func orderErasure(state State, c OrderErasure) ([]event.Event, error) {
	switch {
	case state.Held():
		return nil, fault.New(fault.HoldInForce, "%d legal holds stand on the participant", len(state.Holds))
	case state.Erasure == nil:
		return nil, fault.New(fault.DestructionState, "the participant has not asked for it")
	}
	return []event.Event{ErasureOrdered{Participant: state.ID, By: c.By, OrderedAt: c.Now}}, nil
}

// erased answers every command to a participant whose data are ordered to be
// destroyed: nothing changes it any more but the destruction itself.
func erased(state State, command Command) ([]event.Event, error) {
	switch c := command.(type) {
	case OrderErasure:
		return nil, nil
	case MarkErased:
		if state.Erasure != nil && state.Erasure.ErasedAt != nil {
			return nil, nil
		}
		return []event.Event{Erased{Participant: state.ID, ErasedAt: c.Now}}, nil
	}
	return nil, fault.New(fault.ParticipantState, "the participant's data are destroyed")
}

// checkWords refuses what is no reason or ground that a page could show; what
// names it in the errors.
func checkWords(what, text string) error {
	if strings.TrimSpace(text) == "" {
		return fault.New(fault.ReasonMissing, "give a %s", what)
	}
	if err := wording.Prose(text, MaxProse); err != nil {
		return wording.Refuse(fault.RequestInvalid, "the "+what, err)
	}
	return nil
}

// sortedRights returns a sorted copy, or says why these are no set of rights.
func sortedRights(rights []Right) ([]Right, error) {
	if len(rights) == 0 {
		return nil, fault.New(fault.ParticipantInvalid, "an employee needs at least one right; remove it to take away all")
	}
	if len(rights) > len(Rights()) {
		return nil, fault.New(fault.ParticipantInvalid, "more rights than there are")
	}
	sorted := slices.Sorted(slices.Values(rights))
	for i, right := range sorted {
		if !slices.Contains(Rights(), right) {
			return nil, fault.New(fault.ParticipantInvalid, "one of the rights does not exist; there are read, draft, send, sign and manage")
		}
		if i > 0 && sorted[i-1] == right {
			return nil, fault.New(fault.ParticipantInvalid, "the right %q is given twice", string(right))
		}
	}
	return sorted, nil
}

func unknown() error { return fault.New(fault.ParticipantUnknown, "the participant is not registered") }

func noEmployee() error {
	return fault.New(fault.EmployeeUnknown, "this person is no employee of the participant")
}

// Evolve returns the state after an event. It leaves its argument as it was.
func Evolve(state State, e event.Event) State {
	switch e := e.(type) {
	case Registered:
		return State{
			ID: e.Participant, Kind: e.Kind, Identifier: e.Identifier, Name: e.Name, Country: e.Country,
			Email: e.Email, Phone: e.Phone, Status: Pending,
		}
	case Activated:
		state.Status = Active
	case EmployeeAdded:
		state.Employments++
		state.Employees = with(state.Employees, e.Person, Employee{e.Position, slices.Clone(e.Rights), state.Employments})
	case EmployeeRightsChanged:
		changed := state.Employees[e.Person]
		changed.Rights = slices.Clone(e.Rights)
		state.Employees = with(state.Employees, e.Person, changed)
	case EmployeeRemoved:
		state.Employees = maps.Clone(state.Employees)
		delete(state.Employees, e.Person)
	case HoldPlaced:
		state.Holds = append(slices.Clone(state.Holds), Hold{e.Hold, e.Ground, e.PlacedAt})
	case HoldLifted:
		state.Holds = slices.DeleteFunc(slices.Clone(state.Holds), func(h Hold) bool { return h.ID == e.Hold })
	case ErasureRequested:
		state.Erasure = &Erasure{RequestedAt: e.RequestedAt, Letter: e.Letter}
	case ErasureOrdered:
		erasure := emptied(&state)
		erasure.OrderedAt = &e.OrderedAt
		state.Erasure = &erasure
	case Erased:
		erasure := emptied(&state)
		erasure.ErasedAt = &e.ErasedAt
		state.Erasure = &erasure
	default:
		// IdentifierClaimed has a stream of its own, and the codec stops at
		// every type that it does not know: nothing else comes here.
	}
	return state
}

// emptied makes the state one without personal data, and returns a copy of how
// far their destruction has come. No hold stands any more, or it would not
// have been ordered.
func emptied(state *State) Erasure {
	state.Status, state.Identifier, state.Name, state.Email, state.Phone = Ended, "", "", "", ""
	state.Holds = nil
	if state.Erasure == nil {
		return Erasure{}
	}
	return *state.Erasure
}

func with(employees map[string]Employee, person string, employee Employee) map[string]Employee {
	copied := maps.Clone(employees)
	if copied == nil {
		copied = map[string]Employee{}
	}
	copied[person] = employee
	return copied
}
