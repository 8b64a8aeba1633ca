// Package participant decides about participants: natural persons, sole
// traders, legal entities and non-residents (R-A1), their activation by the
// operator (R-A3), and the employees through whom a legal entity acts (R-A4).
//
// [Decide] and [Evolve] are pure: what another stream says (that an employee
// is a registered, active person) is handed in as facts of the command, and
// that an identifier belongs to one participant only is held by the claim
// streams ([ClaimCategory]), not here.
//
// A participant starts as pending and may do nothing but read until it is
// active. A legal entity never acts by itself: somebody with the right does,
// and both are recorded. Its first employee is therefore added by the
// operator.
//
// # Decisions
//
// Every command in every state; the test writes this table.
//
//	|                                  | unknown               | person, pending      | person, active          | entity, pending        | entity, active          | entity with the employee |
//	| -------------------------------- | --------------------- | -------------------- | ----------------------- | ---------------------- | ----------------------- | ------------------------ |
//	| Register                         | ParticipantRegistered | participant.exists   | participant.exists      | participant.exists     | participant.exists      | participant.exists       |
//	| Activate                         | participant.unknown   | ParticipantActivated | participant.wrong-state | ParticipantActivated   | participant.wrong-state | participant.wrong-state  |
//	| AddEmployee                      | participant.unknown   | participant.invalid  | participant.invalid     | participant.not-active | EmployeeAdded           | employee.exists          |
//	| AddEmployee, a person not active | participant.unknown   | participant.invalid  | participant.invalid     | participant.not-active | participant.not-active  | employee.exists          |
//	| AddEmployee, no person           | participant.unknown   | participant.invalid  | participant.invalid     | participant.not-active | participant.invalid     | employee.exists          |
//	| AddEmployee, not registered      | participant.unknown   | participant.invalid  | participant.invalid     | participant.not-active | participant.unknown     | employee.exists          |
//	| ChangeEmployeeRights             | participant.unknown   | participant.invalid  | participant.invalid     | participant.not-active | employee.unknown        | EmployeeRightsChanged    |
//	| ChangeEmployeeRights to the same | participant.unknown   | participant.invalid  | participant.invalid     | participant.not-active | employee.unknown        | participant.wrong-state  |
//	| RemoveEmployee                   | participant.unknown   | participant.invalid  | participant.invalid     | participant.not-active | employee.unknown        | EmployeeRemoved          |
//
// # Acting
//
// Who may do what for the participant, by [State.CheckMayAct]; the employee
// has the rights draft and sign. The test writes this table.
//
//	|                       | unknown             | person, pending        | person, active    | entity, pending        | entity, active    | entity with the employee |
//	| --------------------- | ------------------- | ---------------------- | ----------------- | ---------------------- | ----------------- | ------------------------ |
//	| itself, read          | participant.unknown | yes                    | yes               | employee.unknown       | employee.unknown  | employee.unknown         |
//	| itself, sign          | participant.unknown | participant.not-active | yes               | participant.not-active | employee.unknown  | employee.unknown         |
//	| itself, manage        | participant.unknown | participant.not-active | yes               | participant.not-active | employee.unknown  | employee.unknown         |
//	| itself, dance         | participant.unknown | participant.not-active | employee.no-right | participant.not-active | employee.no-right | employee.no-right        |
//	| the employee, read    | participant.unknown | employee.unknown       | employee.unknown  | employee.unknown       | employee.unknown  | employee.no-right        |
//	| the employee, sign    | participant.unknown | participant.not-active | employee.unknown  | participant.not-active | employee.unknown  | yes                      |
//	| the employee, manage  | participant.unknown | participant.not-active | employee.unknown  | participant.not-active | employee.unknown  | employee.no-right        |
//	| the employee, dance   | participant.unknown | participant.not-active | employee.no-right | participant.not-active | employee.no-right | employee.no-right        |
//	| somebody else, read   | participant.unknown | employee.unknown       | employee.unknown  | employee.unknown       | employee.unknown  | employee.unknown         |
//	| somebody else, sign   | participant.unknown | participant.not-active | employee.unknown  | participant.not-active | employee.unknown  | employee.unknown         |
//	| somebody else, manage | participant.unknown | participant.not-active | employee.unknown  | participant.not-active | employee.unknown  | employee.unknown         |
//	| somebody else, dance  | participant.unknown | participant.not-active | employee.no-right | participant.not-active | employee.no-right | employee.no-right        |
package participant
