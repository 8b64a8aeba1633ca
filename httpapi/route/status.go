package route

import (
	"net/http"

	"dalel/internal/fault"
)

// StatusOf is the one place where codes become statuses: by kind, but for the
// few codes for which HTTP has a name of its own.
func StatusOf(code fault.Code) int {
	switch code {
	case fault.MethodUnknown:
		return http.StatusMethodNotAllowed
	case fault.RangeInvalid:
		return http.StatusRequestedRangeNotSatisfiable
	case fault.HeaderTooLarge:
		return http.StatusRequestHeaderFieldsTooLarge
	case fault.ExpectationUnknown:
		return http.StatusExpectationFailed
	case fault.EncodingUnknown:
		return http.StatusNotImplemented
	case fault.RevisionStale:
		return http.StatusPreconditionFailed
	}
	switch fault.Lookup(code).Kind {
	case fault.KindInvalid:
		return http.StatusBadRequest
	case fault.KindUnauthenticated:
		return http.StatusUnauthorized
	case fault.KindForbidden:
		return http.StatusForbidden
	case fault.KindNotFound:
		return http.StatusNotFound
	case fault.KindGone:
		return http.StatusGone
	case fault.KindConflict:
		return http.StatusConflict
	case fault.KindTooLarge:
		return http.StatusRequestEntityTooLarge
	case fault.KindUnsupported:
		return http.StatusUnsupportedMediaType
	case fault.KindRefused:
		return http.StatusUnprocessableEntity
	case fault.KindThrottled:
		return http.StatusTooManyRequests
	case fault.KindUnavailable:
		return http.StatusServiceUnavailable
	case fault.KindStorageFull:
		return http.StatusInsufficientStorage
	default:
		return http.StatusInternalServerError
	}
}
