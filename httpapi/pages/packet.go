package pages

import (
	"slices"
	"strings"
	"time"

	"dalel/domain/document"
	"dalel/domain/packet"
	"dalel/domain/signature"
	"dalel/httpapi/check"
)

// This file has what the check page tells of an uploaded proof packet. Every
// sentence is the catalogue's, chosen by the claim, the kind of finding and the
// language; the verifier's own English wording is for `dalel verify`.

// packetAnswer is what is told of a packet.
type packetAnswer struct {
	words
	look
	Hash, Size   string
	Answer, Text string
	// Lacks say why a packet that nothing contradicts is not called good.
	Lacks   []string
	Notes   []string
	Signers []packetSigner
	Claims  []claimView
	// Wording says where the verifier's full wording is, where there are findings.
	Wording string
	More    string
	Limits  []limitView
}

type claimView struct {
	Title    string
	Holds    badge
	Findings []findingView
}

// findingView is a sentence on a file of the packet, "" for none in particular.
type findingView struct{ File, Text string }

// packetSigner is who made a signature: by the events, and by the certificate.
type packetSigner struct {
	words
	Title   string
	Verdict badge
	// Person is who acted, "" where that is the party itself.
	Person, Party, Identifier string
	Signed                    moment
	// Since says from when the signature is in doubt or without force, Source by
	// whose word, Ground on which ground.
	Since          *moment
	Source, Ground string
	Subject        *subjectView
}

// limitView is what the verification does not prove. Names stand beside it.
type limitView struct{ Text, Names string }

func (w words) packetAnswer(found check.Packet) *packetAnswer {
	how := map[packet.Status]look{packet.Good: lookGood, packet.Bad: lookBad, packet.Untrusted: lookUnknown}[found.Status]
	a := &packetAnswer{
		words: w, Hash: found.SHA256, Size: w.size(found.Size), look: how,
		Answer: w.T("packet-status." + string(found.Status)), Text: w.T("check.packet.own", "command", "dalel verify"),
	}
	for _, lack := range found.Lacks {
		a.Lacks = append(a.Lacks, w.T("packet-lack."+string(lack)))
	}
	if found.Lost > 0 {
		a.Notes = append(a.Notes, w.T("check.packet.fallen", "n", found.Lost))
	}
	if found.Doubted > 0 {
		a.Notes = append(a.Notes, w.T("check.packet.doubted", "n", found.Doubted))
	}
	if len(a.Notes) > 0 && found.Status == packet.Good {
		a.look = lookDoubt
	}
	if found.More {
		a.More = w.T("check.packet.more", "n", check.MaxShown)
	}
	for _, claim := range found.Claims {
		one := claimView{Title: w.claim(claim.ID), Holds: w.answer(claim.Holds), Findings: w.packetFindings(found, claim)}
		if len(one.Findings) > 0 {
			a.Wording = w.T("check.packet.wording", "command", "dalel verify")
		}
		a.Claims = append(a.Claims, one)
	}
	for _, signer := range found.Signers {
		a.Signers = append(a.Signers, w.packetSigner(signer, found))
	}
	for _, limit := range found.Unproven {
		a.Limits = append(a.Limits, w.limit(limit))
	}
	return a
}

// claimKind is what a claim's id says it is about: "0001/signature-02" is
// signature 02 in the first document of a packet of several.
func claimKind(id string) (kind, document, n string) {
	if before, after, several := strings.Cut(id, "/"); several {
		document, id = before, after
	}
	for _, numbered := range []string{packet.ClaimSignature, packet.ClaimTimestamp} {
		if rest, ok := strings.CutPrefix(id, numbered+"-"); ok {
			return numbered, document, rest
		}
	}
	return id, document, ""
}

// claim is a claim's title.
func (w words) claim(id string) string {
	kind, document, n := claimKind(id)
	title := w.T("packet-claim.other")
	if w.catalogue.has("packet-claim." + kind) {
		title = w.T("packet-claim."+kind, "n", n)
	}
	if document != "" {
		return w.T("packet-claim.of", "n", document, "title", title)
	}
	return title
}

// packetFindings are the sentences on a claim that does not simply hold.
func (w words) packetFindings(found check.Packet, claim packet.Claim) []findingView {
	switch claim.Holds {
	case packet.Yes:
		return nil
	case packet.NotAnchored:
		return []findingView{{Text: w.byClaim("packet-anchor", claim.ID)}}
	case packet.No:
		list := w.findingsOf("packet-problem", claim, found.Problems)
		if len(list) == 0 {
			list = []findingView{{Text: w.finding("packet-problem", claim.Code, claim.ID)}}
		}
		return list
	}
	list := w.findingsOf("packet-doubt", claim, found.Doubts)
	if len(list) == 0 || claim.Code != packet.CodeLater {
		list = append(list, findingView{Text: w.finding("packet-doubt", claim.Code, claim.ID)})
	}
	return list
}

// findingsOf are the sentences of a claim's own findings, each once.
func (w words) findingsOf(prefix string, claim packet.Claim, all []packet.Problem) []findingView {
	var list []findingView
	for _, one := range all {
		if one.Claim != claim.ID {
			continue
		}
		if v := (findingView{one.File, w.finding(prefix, one.Code, one.Claim)}); !slices.Contains(list, v) {
			list = append(list, v)
		}
	}
	return list
}

// finding is the sentence of a kind of finding, or of the claim where the kind
// is not known.
func (w words) finding(prefix string, code packet.Code, claim string) string {
	if key := "packet-code." + string(code); code != "" && w.catalogue.has(key) {
		return w.T(key)
	}
	return w.byClaim(prefix, claim)
}

func (w words) byClaim(prefix, claim string) string {
	kind, _, _ := claimKind(claim)
	return w.or(prefix+"."+kind, w.T(prefix+".other"))
}

// packetSigner says whether a signature stands only where the packet as a whole
// is good: in another the events that say so may be anybody's.
func (w words) packetSigner(s packet.Signer, found check.Packet) packetSigner {
	v := packetSigner{
		words: w, Title: w.T("check.inside.signer", "n", s.Signature), Verdict: w.answer(s.Holds),
		Person: s.Person, Party: s.Party, Identifier: s.Identifier, Signed: w.moment(s.SignedAt),
		Subject: w.subject(&check.Subject{
			Name: s.CommonName, IIN: s.IIN, BIN: s.BIN, Role: signature.Role(s.Role), Serial: s.Serial, Issuer: s.Issuer,
		}),
	}
	if before, n, several := strings.Cut(s.Signature, "/"); several {
		v.Title = w.T("packet-claim.of", "n", before, "title", w.T("check.inside.signer", "n", n))
	}
	if v.Subject != nil && s.Owner != s.CommonName {
		v.Subject.Organization = s.Owner
	}
	if s.Holds != packet.Yes {
		return v
	}
	v.Verdict = w.packetForce(s.Force)
	i := slices.IndexFunc(found.Disputed, func(d packet.Disputed) bool { return d.Signature == s.Signature })
	switch {
	case s.Force == document.ForceStands && found.Status != packet.Good:
		v.Verdict = badge{lookUnknown, w.T("packet-force.unproven")}
	case s.Force == document.ForceStands:
	case i < 0:
		v.Verdict = badge{lookLost, w.T("packet-force.replaced")}
	default:
		d := found.Disputed[i]
		v.Since, v.Ground = w.momentOf(&d.Since), d.Ground
		if d.Source != "" {
			v.Source = w.T("packet-source." + string(d.Source))
		}
		if key := "revocation." + d.Ground; d.Source == document.SourceAuthority && w.catalogue.has(key) {
			v.Source, v.Ground = v.Source+": "+w.T(key), ""
		}
	}
	return v
}

func (w words) packetForce(force document.Force) badge {
	how := map[document.Force]look{document.ForceStands: lookGood, document.ForceDoubt: lookDoubt, document.ForceLost: lookLost}[force]
	return badge{how, w.T("packet-force." + string(force))}
}

func (w words) limit(l packet.Limit) limitView {
	return limitView{
		Names: strings.Join(l.Witnesses, ", "),
		Text: w.T("packet-limit."+string(l.Kind),
			"until", w.moment(l.Until).Exact, "after", w.duration(time.Duration(l.Seconds)*time.Second), "n", l.Parts),
	}
}

func (w words) answer(holds packet.Answer) badge {
	how := map[packet.Answer]look{
		packet.Yes: lookGood, packet.No: lookBad, packet.NotAnchored: lookUnknown, packet.CannotTell: lookUnknown,
	}[holds]
	return badge{how, w.T("packet-answer." + string(holds))}
}
