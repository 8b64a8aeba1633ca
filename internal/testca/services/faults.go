package services

import (
	"bytes"
	"net"
	"net/http"
	"strconv"
	"time"
)

// Fault is something that goes wrong with a service.
type Fault string

// The faults.
const (
	None Fault = ""
	// Late answers long after everybody has gone.
	Late Fault = "late"
	// Failing and Unavailable answer with HTTP 500 and 503.
	Failing     Fault = "http-500"
	Unavailable Fault = "http-503"
	// Truncated breaks off in the middle, Cut sends half as if it were all.
	Truncated Fault = "truncated"
	Cut       Fault = "cut"
	// Endless never stops sending.
	Endless Fault = "endless"
	// Redirected leads to another host, where there would be a good answer.
	Redirected Fault = "redirected"
	// TryLater is the protocol's own word for that it cannot answer now.
	TryLater Fault = "try-later"
	// WrongNonce answers another request, NoNonce does not say which. Only the
	// latter is allowed to an OCSP responder.
	WrongNonce Fault = "wrong-nonce"
	NoNonce    Fault = "no-nonce"
	// WrongSigner signs with another key in the right name, ExpiredSigner with
	// the key of a certificate that has ended.
	WrongSigner   Fault = "wrong-signer"
	ExpiredSigner Fault = "expired-signer"
	// Stale is an answer or a list whose successor is overdue; a time-stamping
	// authority's clock is a day late.
	Stale Fault = "stale"
)

// Faults are those that a service can have and after which nothing can be told
// from what it says.
func Faults(service Service) []Fault {
	all := []Fault{Late, Failing, Unavailable, Truncated, Cut, Endless, Redirected, TryLater, WrongSigner, Stale}
	switch service {
	case OCSP:
		all = append(all, WrongNonce, ExpiredSigner)
	case Stamps:
		all = append(all, WrongNonce, NoNonce, ExpiredSigner)
	}
	return all
}

// elsewhere is another name of this machine.
const elsewhere = "localhost"

// lateness is how late an answer is, at most.
const lateness = time.Minute

func (f Fault) inTransport() bool {
	switch f {
	case Late, Failing, Unavailable, Endless, Redirected:
		return true
	}
	return false
}

func (s *StandIn) failTransport(w http.ResponseWriter, r *http.Request, service Service, fault Fault) {
	switch fault {
	case Late:
		select {
		case <-r.Context().Done():
		case <-s.stopped:
		case <-time.After(lateness):
		}
		w.WriteHeader(http.StatusGatewayTimeout)
	case Failing:
		http.Error(w, "internal error", http.StatusInternalServerError)
	case Unavailable:
		w.Header().Set("Retry-After", "1")
		http.Error(w, "away", http.StatusServiceUnavailable)
	case Redirected:
		_, port, _ := net.SplitHostPort(r.Host)
		code := http.StatusFound
		if r.Method == http.MethodPost {
			code = http.StatusTemporaryRedirect // the request is to be sent there again
		}
		http.Redirect(w, r, "http://"+net.JoinHostPort(elsewhere, port)+r.URL.Path, code)
	case Endless:
		// It begins like the real thing: a SEQUENCE of more than there is memory.
		chunk := bytes.Repeat([]byte{0x30, 0x84, 0x7f, 0xff, 0xff, 0xff}, 1<<12)
		for {
			select {
			case <-s.stopped:
				return
			default:
			}
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}
}

// write sends an answer, or part of it.
func (s *StandIn) write(w http.ResponseWriter, r *http.Request, body []byte, kind string, fault Fault) {
	w.Header().Set("Content-Type", kind)
	service := paths()[r.URL.Path]
	switch fault {
	case TryLater: // lists have no word of their own for it
		if service == CRL || service == Delta {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
	case Truncated:
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		body = body[:len(body)/2]
	case Cut:
		body = body[:len(body)/2]
	case None:
		if service == CRL || service == Delta {
			w.Header().Set("ETag", etagOf(body))
		}
	}
	_, _ = w.Write(body) // whoever asked may have gone
}
