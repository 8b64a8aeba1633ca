package httpapi

import (
	"maps"
	"net/http"
	"slices"
	"time"

	"dalel/domain/access"
	"dalel/domain/event"
	"dalel/domain/ledger"
	"dalel/domain/participant"
	"dalel/httpapi/route"
	"dalel/internal/fault"

	"github.com/labstack/echo/v4"
)

type meView struct {
	Participant string      `json:"participant"`
	Person      string      `json:"person,omitempty"`
	Role        access.Role `json:"role"`
	Token       string      `json:"token"`
	ExpiresAt   time.Time   `json:"expiresAt"`
}

func (s *Server) me(c echo.Context, caller route.Caller) error {
	return c.JSON(http.StatusOK, meView{
		Participant: caller.By.Participant, Person: caller.By.Person, Role: caller.Role,
		Token: caller.TokenID, ExpiresAt: caller.Expires,
	})
}

func (s *Server) registerParticipant(c echo.Context, caller route.Caller) error {
	var body ledger.Registration
	if err := readJSON(c, &body); err != nil {
		return err
	}
	outcome, err := s.Ledger.RegisterParticipant(c.Request().Context(), caller.Act, body)
	return created(c, "/participants/", outcome, err)
}

type employeeView struct {
	Person   string              `json:"person"`
	Position string              `json:"position,omitempty"`
	Rights   []participant.Right `json:"rights"`
}

// erasureView says how far the destruction of a participant's data has come.
type erasureView struct {
	RequestedAt time.Time  `json:"requestedAt"`
	OrderedAt   *time.Time `json:"orderedAt,omitempty"`
	ErasedAt    *time.Time `json:"erasedAt,omitempty"`
}

// participantView has none of a participant's data from the order to destroy
// them on.
type participantView struct {
	ID         string             `json:"id"`
	Kind       participant.Kind   `json:"kind"`
	Identifier string             `json:"identifier,omitempty"`
	Name       string             `json:"name,omitempty"`
	Country    string             `json:"country,omitempty"`
	Email      string             `json:"email,omitempty"`
	Phone      string             `json:"phone,omitempty"`
	Status     participant.Status `json:"status"`
	Employees  []employeeView     `json:"employees,omitempty"`
	Holds      []holdView         `json:"holds"`
	Erasure    *erasureView       `json:"erasure,omitempty"`
	Revision   uint64             `json:"revision"`
	Position   uint64             `json:"position"`
}

func (s *Server) participant(c echo.Context, caller route.Caller) error {
	snapshot, err := s.Ledger.Participant(c.Request().Context(), param(c, "id"))
	if err != nil {
		return err
	}
	state := snapshot.State
	view := participantView{
		ID: state.ID, Kind: state.Kind, Identifier: state.Identifier, Name: state.Name, Country: state.Country,
		Email: state.Email, Phone: state.Phone, Status: state.Status, Holds: []holdView{},
	}
	for _, h := range state.Holds {
		hold := holdView{ID: h.ID, PlacedAt: h.PlacedAt}
		if caller.Role != access.RoleParticipant {
			hold.Ground = h.Ground
		}
		view.Holds = append(view.Holds, hold)
	}
	if state.Erased() {
		view.Country = ""
	}
	if e := state.Erasure; e != nil {
		view.Erasure = &erasureView{RequestedAt: e.RequestedAt, OrderedAt: e.OrderedAt, ErasedAt: e.ErasedAt}
	}
	for _, person := range slices.Sorted(maps.Keys(state.Employees)) {
		employee := state.Employees[person]
		view.Employees = append(view.Employees, employeeView{person, employee.Position, employee.Rights})
	}
	view.Revision, view.Position = place(c, snapshot)
	return c.JSON(http.StatusOK, view)
}

func (s *Server) activate(c echo.Context, caller route.Caller) error {
	var body struct {
		Basis string `json:"basis"`
	}
	if err := readJSON(c, &body); err != nil {
		return err
	}
	outcome, err := s.Ledger.ActivateParticipant(c.Request().Context(), caller.Act, param(c, "id"), body.Basis)
	return done(c, http.StatusOK, outcome, err)
}

func (s *Server) addEmployee(c echo.Context, caller route.Caller) error {
	var body employeeView
	if err := readJSON(c, &body); err != nil {
		return err
	}
	outcome, err := s.Ledger.AddEmployee(c.Request().Context(), caller.Act, param(c, "id"), body.Person, body.Position, body.Rights)
	return done(c, http.StatusOK, outcome, err)
}

func (s *Server) changeEmployee(c echo.Context, caller route.Caller) error {
	var body struct {
		Rights []participant.Right `json:"rights"`
	}
	if err := readJSON(c, &body); err != nil {
		return err
	}
	outcome, err := s.Ledger.ChangeEmployeeRights(c.Request().Context(), caller.Act, param(c, "id"), param(c, "person"), body.Rights)
	return done(c, http.StatusOK, outcome, err)
}

func (s *Server) removeEmployee(c echo.Context, caller route.Caller) error {
	outcome, err := s.Ledger.RemoveEmployee(c.Request().Context(), caller.Act, param(c, "id"), param(c, "person"), c.QueryParam("reason"))
	return done(c, http.StatusOK, outcome, err)
}

// issuedView is the one answer that holds a token.
type issuedView struct {
	ID        string    `json:"id"`
	Token     string    `json:"token"`
	ExpiresAt time.Time `json:"expiresAt"`
	Position  uint64    `json:"position"`
}

func (s *Server) issueToken(c echo.Context, caller route.Caller) error {
	var body struct {
		Participant string      `json:"participant"`
		Person      string      `json:"person"`
		Role        access.Role `json:"role"`
		Label       string      `json:"label"`
		Seconds     int64       `json:"seconds"`
	}
	if err := readJSON(c, &body); err != nil {
		return err
	}
	if body.Seconds < 1 || body.Seconds > int64(access.MaxTTL/time.Second) {
		return fault.New(fault.RequestInvalid, "a token lives one minute to 366 days; give that in seconds")
	}
	issued, err := s.Ledger.IssueToken(c.Request().Context(), caller.Act,
		event.By{Participant: body.Participant, Person: body.Person}, body.Role, body.Label, time.Duration(body.Seconds)*time.Second)
	if err != nil {
		return err
	}
	c.Set(keyObject, issued.ID)
	return c.JSON(http.StatusCreated, issuedView{issued.ID, issued.Token, issued.ExpiresAt, uint64(issued.Position)})
}

// revokeToken leaves it to the ledger whose token it is: it reads the token's
// stream and says token.invalid for one that is another's as for one that
// never was. At this address that means that there is nothing.
func (s *Server) revokeToken(c echo.Context, caller route.Caller) error {
	outcome, err := s.Ledger.RevokeToken(c.Request().Context(), caller.Act, param(c, "id"), c.QueryParam("reason"))
	if fault.Is(err, fault.TokenInvalid) || fault.Is(err, fault.TokenUnknown) {
		return fault.New(fault.TokenUnknown, "no such token")
	}
	return done(c, http.StatusOK, outcome, err)
}
