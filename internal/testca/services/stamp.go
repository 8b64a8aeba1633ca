package services

import (
	"crypto/x509"
	"io"
	"math/big"
	"net/http"
	"slices"

	"dalel/internal/pki"
	"dalel/internal/tsp"
	"dalel/internal/tsp/tsptest"
)

// posted reads the body of a POST.
func posted(r *http.Request) ([]byte, error) {
	if r.Method != http.MethodPost {
		return nil, errMethod
	}
	return io.ReadAll(io.LimitReader(r.Body, tsp.MaxSize))
}

func (s *StandIn) answerStamp(r *http.Request, fault Fault) ([]byte, error) {
	data, err := posted(r)
	if err != nil {
		return nil, err
	}
	if fault == TryLater {
		return tsptest.Refuse(tsp.Rejection, "try later", tsp.TimeNotAvailable)
	}
	request, err := tsp.ParseRequest(data)
	if err != nil {
		return tsptest.Refuse(tsp.Rejection, "", tsp.BadDataFormat)
	}
	if digest, err := s.known.Digest(request.Imprint.Digest); err != nil || len(request.Imprint.Sum) != digest.New().Size() ||
		len(s.options.Digests) > 0 && !slices.Contains(s.options.Digests, digest.OID) {
		return tsptest.Refuse(tsp.Rejection, "", tsp.BadAlgorithm)
	}
	policy := s.options.Policies[0]
	if request.Policy != "" {
		if policy = request.Policy; !slices.Contains(s.options.Policies, policy) {
			return tsptest.Refuse(tsp.Rejection, "", tsp.UnacceptedPolicy)
		}
	}
	by := s.stamps
	s.mu.Lock()
	s.tokens++
	token := tsptest.Token{Imprint: request.Imprint, Policy: policy, Serial: big.NewInt(s.tokens), Time: s.options.Clock().UTC(), Nonce: request.Nonce}
	s.mu.Unlock()
	switch fault {
	case WrongSigner:
		by = s.swapped(by)
	case ExpiredSigner:
		by = s.expiredStamp
	case WrongNonce:
		token.Nonce = big.NewInt(4711)
	case NoNonce:
		token.Nonce = nil
	case Stale:
		token.Time = token.Time.Add(-listPeriod)
	}
	if request.CertReq {
		token.Certificates = []*x509.Certificate{by.Certificate}
	}
	token.Digest = s.digest(by.Digest)
	made, err := tsptest.Sign(token, by)
	if err != nil {
		return nil, err
	}
	return tsptest.Grant(made)
}

// digest computes the digest that goes with a signer's key.
func (s *StandIn) digest(identifier pki.Identifier) func(content []byte) []byte {
	return func(content []byte) []byte {
		digest, err := s.known.Digest(identifier)
		if err != nil {
			return nil
		}
		h := digest.New()
		h.Write(content)
		return h.Sum(nil)
	}
}
