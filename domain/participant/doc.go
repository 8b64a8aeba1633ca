// Package participant decides about participants: natural persons, sole
// traders, legal entities and non-residents (R-A1), their activation by the
// operator (R-A3), and the employees through whom a legal entity acts (R-A4).
//
// [Decide] and [Evolve] are pure: what another stream says (that an employee
// is a registered, active person) is handed in as facts of the command, and
// that an identifier belongs to one participant only, or to a person and the
// sole trader that it is, is held by the claim streams ([ClaimCategory],
// [DecideClaim]).
//
// A participant starts as pending and may do nothing but read until it is
// active. A legal entity never acts by itself: somebody with the right does,
// and both are recorded. Its first employee is therefore added by the
// operator.
//
// A participant may ask for the destruction of its personal data (R-B4) by an
// official letter. Unless a legal hold stands (R-G4), the operator orders it;
// what is destroyed then is the participant's key. From the order on the
// participant may do nothing, reading included, and its state has none of its
// data. The events stand.
//
// # Decisions
//
// Every command in every state; the test writes this table.
//
//	|                                  | unknown               | person, pending           | person, active            | entity, pending           | entity, active            | entity with the employee  | held                    | asked to erase          | ordered to erase        | erased                  |
//	| -------------------------------- | --------------------- | ------------------------- | ------------------------- | ------------------------- | ------------------------- | ------------------------- | ----------------------- | ----------------------- | ----------------------- | ----------------------- |
//	| Register                         | ParticipantRegistered | participant.exists        | participant.exists        | participant.exists        | participant.exists        | participant.exists        | participant.exists      | participant.exists      | participant.exists      | participant.exists      |
//	| Activate                         | participant.unknown   | ParticipantActivated      | participant.wrong-state   | ParticipantActivated      | participant.wrong-state   | participant.wrong-state   | participant.wrong-state | participant.wrong-state | participant.wrong-state | participant.wrong-state |
//	| AddEmployee                      | participant.unknown   | participant.invalid       | participant.invalid       | participant.not-active    | EmployeeAdded             | employee.exists           | participant.invalid     | participant.invalid     | participant.wrong-state | participant.wrong-state |
//	| AddEmployee, a person not active | participant.unknown   | participant.invalid       | participant.invalid       | participant.not-active    | participant.not-active    | employee.exists           | participant.invalid     | participant.invalid     | participant.wrong-state | participant.wrong-state |
//	| AddEmployee, no person           | participant.unknown   | participant.invalid       | participant.invalid       | participant.not-active    | participant.invalid       | employee.exists           | participant.invalid     | participant.invalid     | participant.wrong-state | participant.wrong-state |
//	| AddEmployee, not registered      | participant.unknown   | participant.invalid       | participant.invalid       | participant.not-active    | participant.unknown       | employee.exists           | participant.invalid     | participant.invalid     | participant.wrong-state | participant.wrong-state |
//	| ChangeEmployeeRights             | participant.unknown   | participant.invalid       | participant.invalid       | participant.not-active    | employee.unknown          | EmployeeRightsChanged     | participant.invalid     | participant.invalid     | participant.wrong-state | participant.wrong-state |
//	| ChangeEmployeeRights to the same | participant.unknown   | participant.invalid       | participant.invalid       | participant.not-active    | employee.unknown          | participant.wrong-state   | participant.invalid     | participant.invalid     | participant.wrong-state | participant.wrong-state |
//	| RemoveEmployee                   | participant.unknown   | participant.invalid       | participant.invalid       | participant.not-active    | employee.unknown          | EmployeeRemoved           | participant.invalid     | participant.invalid     | participant.wrong-state | participant.wrong-state |
//	| PlaceHold                        | participant.unknown   | ParticipantHoldPlaced     | ParticipantHoldPlaced     | ParticipantHoldPlaced     | ParticipantHoldPlaced     | ParticipantHoldPlaced     | nothing to do           | ParticipantHoldPlaced   | participant.wrong-state | participant.wrong-state |
//	| PlaceHold, no ground             | participant.unknown   | reason.missing            | reason.missing            | reason.missing            | reason.missing            | reason.missing            | reason.missing          | reason.missing          | participant.wrong-state | participant.wrong-state |
//	| LiftHold                         | participant.unknown   | hold.unknown              | hold.unknown              | hold.unknown              | hold.unknown              | hold.unknown              | ParticipantHoldLifted   | hold.unknown            | participant.wrong-state | participant.wrong-state |
//	| RequestErasure                   | participant.unknown   | ErasureRequested          | ErasureRequested          | ErasureRequested          | ErasureRequested          | ErasureRequested          | ErasureRequested        | participant.wrong-state | participant.wrong-state | participant.wrong-state |
//	| OrderErasure                     | participant.unknown   | destruction.not-asked-for | destruction.not-asked-for | destruction.not-asked-for | destruction.not-asked-for | destruction.not-asked-for | hold.in-force           | ErasureOrdered          | nothing to do           | nothing to do           |
//	| MarkErased                       | participant.unknown   | participant.wrong-state   | participant.wrong-state   | participant.wrong-state   | participant.wrong-state   | participant.wrong-state   | participant.wrong-state | participant.wrong-state | PersonalDataDestroyed   | nothing to do           |
//
// # Acting
//
// Who may do what for the participant, by [State.CheckMayAct]; the employee
// has the rights draft and sign. The test writes this table.
//
//	|                       | unknown             | person, pending        | person, active    | entity, pending        | entity, active    | entity with the employee | held              | asked to erase    | ordered to erase       | erased                 |
//	| --------------------- | ------------------- | ---------------------- | ----------------- | ---------------------- | ----------------- | ------------------------ | ----------------- | ----------------- | ---------------------- | ---------------------- |
//	| itself, read          | participant.unknown | yes                    | yes               | employee.unknown       | employee.unknown  | employee.unknown         | yes               | yes               | participant.not-active | participant.not-active |
//	| itself, sign          | participant.unknown | participant.not-active | yes               | participant.not-active | employee.unknown  | employee.unknown         | yes               | yes               | participant.not-active | participant.not-active |
//	| itself, manage        | participant.unknown | participant.not-active | yes               | participant.not-active | employee.unknown  | employee.unknown         | yes               | yes               | participant.not-active | participant.not-active |
//	| itself, dance         | participant.unknown | participant.not-active | employee.no-right | participant.not-active | employee.no-right | employee.no-right        | employee.no-right | employee.no-right | participant.not-active | participant.not-active |
//	| the employee, read    | participant.unknown | employee.unknown       | employee.unknown  | employee.unknown       | employee.unknown  | employee.no-right        | employee.unknown  | employee.unknown  | participant.not-active | participant.not-active |
//	| the employee, sign    | participant.unknown | participant.not-active | employee.unknown  | participant.not-active | employee.unknown  | yes                      | employee.unknown  | employee.unknown  | participant.not-active | participant.not-active |
//	| the employee, manage  | participant.unknown | participant.not-active | employee.unknown  | participant.not-active | employee.unknown  | employee.no-right        | employee.unknown  | employee.unknown  | participant.not-active | participant.not-active |
//	| the employee, dance   | participant.unknown | participant.not-active | employee.no-right | participant.not-active | employee.no-right | employee.no-right        | employee.no-right | employee.no-right | participant.not-active | participant.not-active |
//	| somebody else, read   | participant.unknown | employee.unknown       | employee.unknown  | employee.unknown       | employee.unknown  | employee.unknown         | employee.unknown  | employee.unknown  | participant.not-active | participant.not-active |
//	| somebody else, sign   | participant.unknown | participant.not-active | employee.unknown  | participant.not-active | employee.unknown  | employee.unknown         | employee.unknown  | employee.unknown  | participant.not-active | participant.not-active |
//	| somebody else, manage | participant.unknown | participant.not-active | employee.unknown  | participant.not-active | employee.unknown  | employee.unknown         | employee.unknown  | employee.unknown  | participant.not-active | participant.not-active |
//	| somebody else, dance  | participant.unknown | participant.not-active | employee.no-right | participant.not-active | employee.no-right | employee.no-right        | employee.no-right | employee.no-right | participant.not-active | participant.not-active |
package participant
