package renewal

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"slices"
	"time"

	"dalel/domain/checkpoint"
	"dalel/domain/signature"
	"dalel/internal/fault"
	"dalel/internal/tsp"
)

// Kept is evidence on the authority that made a token, and what has to be known
// to renew the token in time.
type Kept struct {
	// Certificate is the SHA-256 of the certificate that made the token.
	Certificate string
	// Stamped is the token's time, At when the evidence was asked for.
	Stamped, At time.Time
	// Until is the nearest end in the token's path, EvidenceUntil among those who
	// signed the evidence.
	Until, EvidenceUntil time.Time
	Algorithms           []Algorithm
	Pieces               []checkpoint.Evidence
}

// Command records it for the stamp that it was fetched for.
func (k Kept) Command(stamp checkpoint.TimeStamped) checkpoint.Keep {
	command := checkpoint.Keep{
		Size: stamp.Size, Root: stamp.Root, Authority: stamp.Authority, Token: stamp.Token, Certificate: k.Certificate,
		Stamped: k.Stamped, At: k.At, Until: k.Until, EvidenceUntil: k.EvidenceUntil,
	}
	for _, a := range k.Algorithms {
		command.Algorithms = append(command.Algorithms, string(a))
	}
	return command
}

// Gather fetches what shows whether the authority that stamped a message was
// revoked by now, with the certificates that lead to it. It says that the
// evidence suffices, not that it is good: what a responder says of a revoked
// certificate is evidence too. Errors: renewal.token-unreliable for a token that
// proves nothing here, renewal.ended for one whose certificates have ended,
// renewal.evidence-missing when it cannot be told now.
func Gather(ctx context.Context, online *signature.Online, message, token []byte, now time.Time) (Kept, error) {
	parsed, err := tsp.Parse(token)
	if err != nil {
		return Kept{}, fault.Wrap(TokenUnreliable, err, "read a time token")
	}
	answer := parsed.Check(online.Known(), question(online.Policy, nil, message, now))
	if answer.Status != tsp.Good {
		return Kept{}, fault.New(TokenUnreliable, "a time token proves nothing here: %s", answer.Code)
	}
	kept := Kept{Certificate: fingerprint(answer.Certificate), Stamped: answer.Time.UTC(), At: now.UTC(), Algorithms: ofToken(online.Known(), parsed, answer.Path)}
	for i, certificate := range answer.Path {
		kept.Until = earlier(kept.Until, certificate.NotAfter.UTC())
		if i > 0 || len(answer.Path) == 1 {
			kept.EvidenceUntil = earlier(kept.EvidenceUntil, certificate.NotAfter.UTC())
		}
		if i < len(answer.Path)-1 || i == 0 {
			kept.Pieces = append(kept.Pieces, checkpoint.Evidence{Kind: checkpoint.PieceCertificate, DER: certificate.Raw})
		}
	}
	if !now.Before(kept.Until) {
		return Kept{}, fault.New(Ended, "a certificate that a time token of %s rests on has ended at %s", rfc3339(answer.Time), rfc3339(kept.Until))
	}
	fetched := online.Fetch(ctx, answer.Path, now)
	standings, _ := online.Standings(answer.Path, now, fetched)
	var used []signature.Evidence
	for _, standing := range standings {
		if signature.StatusOf(standing.Code) == signature.Unknown {
			return Kept{}, fault.New(EvidenceMissing, "whether a time-stamping authority is revoked cannot be told now: %s", standing.Code)
		}
		used = append(used, standing.RestsOn...)
	}
	for _, e := range used {
		piece := checkpoint.Evidence{Kind: kindOf(e.Kind), DER: e.DER}
		if !slices.ContainsFunc(kept.Pieces, func(have checkpoint.Evidence) bool { return slices.Equal(have.DER, piece.DER) }) {
			kept.Pieces = append(kept.Pieces, piece)
		}
	}
	algorithms, until := ofEvidence(online.Known(), kept.Pieces)
	kept.EvidenceUntil = earlier(kept.EvidenceUntil, until.UTC())
	for _, a := range algorithms {
		if !slices.Contains(kept.Algorithms, a) {
			kept.Algorithms = append(kept.Algorithms, a)
		}
	}
	slices.Sort(kept.Algorithms)
	return kept, nil
}

func kindOf(kind signature.EvidenceKind) checkpoint.PieceKind {
	switch kind {
	case signature.EvidenceOCSP:
		return checkpoint.PieceOCSP
	case signature.EvidenceCRL:
		return checkpoint.PieceCRL
	}
	return checkpoint.PieceCertificate
}

// question asks a token by a policy.
func question(policy *signature.Policy, further []*x509.Certificate, message []byte, at time.Time) tsp.Question {
	return tsp.Question{
		Message: message, At: at, Tolerance: signature.Tolerance, Roots: policy.Roots,
		Intermediates: slices.Concat(policy.Intermediates, policy.Offered, further),
	}
}

func fingerprint(certificate *x509.Certificate) string { return digest(certificate.Raw) }

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

func rfc3339(moment time.Time) string { return moment.UTC().Format(time.RFC3339) }
