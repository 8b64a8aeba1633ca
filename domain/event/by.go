package event

// By is who acted: a participant, and the natural person who acted for it if
// that is another (R-A4).
type By struct {
	// Participant is the id of the participant whose act it is.
	Participant string `json:"participant"`
	// Person is the id of the employee who acted; empty when the participant
	// acted itself.
	Person string `json:"person,omitempty"`
}
