package pages

import (
	"context"
	"slices"
	"strconv"
	"time"

	"dalel/domain/certificate"
	"dalel/domain/document"
	"dalel/domain/signature"
	"dalel/internal/fault"
)

// This file tells of signatures: one sentence on whether each stands (R-C8),
// and the reasons beneath it.

// weighed says which of a document's signatures stand today.
type weighed struct {
	certificates map[string]certificate.State
	standings    []document.Standing
	force        document.Force
}

// weigh reads the certificates of a document's signatures. One that is not
// registered has nothing against it here.
func (p *Pages) weigh(ctx context.Context, s document.State) (weighed, error) {
	w := weighed{certificates: map[string]certificate.State{}}
	for _, fingerprint := range s.Certificates() {
		held, err := p.ledger.Certificate(ctx, fingerprint)
		if err != nil && !fault.Is(err, fault.CertificateUnknown) {
			return w, err
		}
		w.certificates[fingerprint] = held.State
	}
	w.standings = s.Standings(w.certificates)
	w.force = s.Weakest(w.standings)
	return w, nil
}

// againstView says what stands against signatures, where that is the document's
// status.
type againstView struct {
	look
	Title, Who, Text string
}

// against is nil for every other status: a second mark would only contradict it.
func (n names) against(s document.State, headline document.Headline, w weighed) *againstView {
	force := map[document.Headline]document.Force{
		document.HeadlineLost: document.ForceLost, document.HeadlineDoubt: document.ForceDoubt,
	}[headline]
	if force == "" {
		return nil
	}
	view := &againstView{look: headlineLook(headline)}
	var who []string
	for i, standing := range w.standings {
		if standing.Force != force || s.Replaced(i) {
			continue
		}
		if view.Title == "" {
			view.Title = n.standing(standing)
		}
		if party := s.Signatures[i].Party; !slices.Contains(who, party) {
			who = append(who, party)
		}
	}
	view.Who = n.T("sig.whose", "who", n.all(who))
	if force == document.ForceDoubt {
		view.Text = n.T("sig.doubt.what")
	}
	return view
}

// standing is the sentence on whether a signature stands today.
func (w words) standing(s document.Standing) string {
	switch s.Force {
	case document.ForceLost:
		return w.T("sig.lost", "when", w.moment(s.Since).Text, "ground", w.ground(s))
	case document.ForceDoubt:
		return w.T("sig.doubt", "when", w.moment(s.Since).Text)
	case document.ForceStands:
	}
	return w.T("sig.stands")
}

// ground says by whose word a signature lost its force.
func (w words) ground(s document.Standing) string {
	switch {
	case s.Source == document.SourceAuthority:
		return w.T("sig.ground.authority", "reason", w.or("revocation."+s.Ground, s.Ground))
	case s.Ground == "":
		return w.T("sig.ground.operator.alone")
	}
	return w.T("sig.ground.operator", "ground", s.Ground)
}

func (w words) verdict(status signature.Status) badge {
	switch status {
	case signature.Valid:
		return badge{lookGood, w.T("verdict.valid")}
	case signature.Invalid:
		return badge{lookBad, w.T("verdict.invalid")}
	default:
		return badge{lookUnknown, w.T("verdict.unknown")}
	}
}

// signatureAnswer is the one sentence on a signature: whether it stands weighs more than
// what was found when it came, and nothing is called good that is not.
func (w words) signatureAnswer(standing document.Standing, found signature.Status) badge {
	text := w.standing(standing)
	switch {
	case standing.Force == document.ForceLost:
		return badge{lookLost, text}
	case standing.Force == document.ForceDoubt && found == signature.Valid:
		return badge{lookDoubt, text + ". " + w.T("sig.wasvalid")}
	case standing.Force == document.ForceDoubt:
		return badge{lookDoubt, text}
	case found == signature.Invalid:
		return badge{lookBad, w.T("verdict.invalid")}
	case found != signature.Valid:
		return badge{lookUnknown, w.T("sig.unknown")}
	case standing.Before && standing.Proved:
		return badge{lookGood, text + ". " + w.T("sig.before")}
	case standing.Before:
		return badge{lookGood, text + ". " + w.T("sig.before.clock")}
	}
	return badge{lookGood, text}
}

// signatures tells of every signature whether it stands, and of every attempt
// that is still being checked that it is.
func (n names) signatures(s document.State, w weighed, api string) []signatureView {
	var list []signatureView
	number := 0
	for i, sig := range s.Signatures {
		held := w.certificates[sig.Certificate]
		view := signatureView{
			Signer: held.Name, Owner: held.Name, Serial: held.Serial, Issuer: held.Issuer, Party: n.of(sig.Party), Method: n.T("method." + string(sig.Method)), Seal: sig.Seal,
			Certificate: sig.Certificate, Moment: n.moment(sig.SignedAt), Basis: n.T("signature.received"),
		}
		switch {
		case held.Person != "":
			view.Signer = held.Person
		case sig.By.Person != "":
			view.Signer = n.of(sig.By.Person)
		}
		if view.Signer == "" {
			view.Signer = view.Party
		}
		if sig.TrustedTime {
			view.Basis = n.T("signature.trusted")
		}
		found := signature.Valid
		for _, fs := range sig.Signatures {
			number++
			verdict := fs.AtSigning()
			file := n.signedFile(s, fs, api)
			if file.Evidence != nil {
				file.Evidence = append(file.Evidence, evidenceView{Kind: n.T("evidence.cms"), Hash: fs.CMS, Href: api + "/signatures/" + strconv.Itoa(number) + "/cms"})
			}
			for _, signer := range verdict.Signers {
				if signer.Certificate == sig.Certificate {
					view.Algorithm, view.Claimed = signer.Algorithm, n.momentOf(signer.ClaimedAt)
				}
			}
			if verdict.Status == signature.Invalid || found == signature.Valid {
				found = verdict.Status
			}
			view.Files = append(view.Files, file)
		}
		if len(sig.Signatures) == 0 {
			found = signature.Unknown
		}
		view.Verdict = n.signatureAnswer(w.standings[i], found)
		view.Why = n.why(w.standings[i], held, sig.Signatures)
		list = append(list, view)
	}
	for _, u := range s.Undecided {
		view := signatureView{
			Signer: n.of(u.Party), Party: n.of(u.Party), Verdict: badge{lookUnknown, n.T("signature.undecided")},
			Moment: n.moment(u.AttemptedAt), Basis: n.T("signature.received"),
			Why: append([]string{n.T("signature.undecided.how", "n", u.Attempt)}, n.findings(u.Signatures)...),
		}
		for _, fs := range u.Signatures {
			view.Files = append(view.Files, n.signedFile(s, fs, api))
		}
		list = append(list, view)
	}
	return list
}

// why lists the reasons for the answer on a signature, the weightiest first:
// what stands against its key, what was decided, what the check found.
func (w words) why(standing document.Standing, held certificate.State, files []document.FileSignature) []string {
	var list []string
	if r := held.Revocation; r != nil {
		list = append(list, w.T("why.revoked", "when", w.date(r.RevokedAt), "reason", w.or("revocation."+r.Reason, r.Reason), "from", w.moment(r.From()).Text))
	}
	if d := standing.Decision; d != nil {
		text := w.T("why.decided."+string(d.Ruling), "when", w.moment(d.DecidedAt).Text)
		if d.Ground != "" {
			text = w.T("why.decided.ground", "decision", text, "ground", d.Ground)
		}
		list = append(list, text)
	}
	for _, notice := range held.Notices {
		if !notice.Open() {
			continue
		}
		key := "why.notice"
		if slices.Contains(standing.Notices, notice.ID) && standing.Force == document.ForceDoubt {
			key = "why.notice.open"
		}
		list = append(list, w.T(key, "when", w.moment(notice.ReceivedAt).Text, "from", w.moment(notice.CompromisedFrom).Text))
	}
	switch held.Status {
	case certificate.StatusSuspended:
		list = append(list, w.T("signature.suspended"))
	case certificate.StatusAnnulled:
		list = append(list, w.T("signature.annulled"))
	case certificate.StatusRegistered:
	}
	return append(list, w.findings(files)...)
}

// findings is what the checks of a signature found, in words and each once: what
// tells against it first, then what cannot be told, then what supports it.
func (w words) findings(files []document.FileSignature) []string {
	var codes []signature.Reason
	for _, fs := range files {
		verdict := fs.AtSigning()
		codes = append(codes, verdict.Reasons...)
		for _, signer := range verdict.Signers {
			codes = append(codes, signer.Reasons...)
		}
	}
	weight := map[signature.Status]int{signature.Invalid: 0, signature.Unknown: 1, signature.Valid: 2}
	slices.SortStableFunc(codes, func(a, b signature.Reason) int {
		return weight[signature.StatusOf(a.Code)] - weight[signature.StatusOf(b.Code)]
	})
	var list []string
	for _, r := range codes {
		if text := capital(w.reason(r.Code, r.Detail)); !slices.Contains(list, text) {
			list = append(list, text)
		}
	}
	return list
}

// signedFile tells of a signature over one file: both verdicts, and what they
// rest on, which is gone with the document.
func (w words) signedFile(s document.State, fs document.FileSignature, api string) signedFileView {
	file := signedFileView{Name: w.fileName(s, fs.File)}
	add := func(label string, v signature.Verdict) {
		view := verdictView{Label: w.T(label), Moment: w.moment(v.At), Verdict: w.verdict(v.Status)}
		reasons := slices.Clone(v.Reasons)
		for _, signer := range v.Signers {
			reasons = append(reasons, signer.Reasons...)
		}
		for _, r := range reasons {
			if one := (reasonView{w.reason(r.Code, r.Detail), r.Code}); !slices.Contains(view.Reasons, one) {
				view.Reasons = append(view.Reasons, one)
			}
		}
		file.Verdicts = append(file.Verdicts, view)
	}
	if fs.Signing == nil {
		add("signature.atboth", fs.Verdict)
	} else {
		add("signature.atsigning", *fs.Signing)
		add("signature.atreceipt", fs.Verdict)
	}
	if s.Gone() {
		return file
	}
	file.Evidence = []evidenceView{}
	for _, e := range fs.Evidence {
		file.Evidence = append(file.Evidence, evidenceView{Kind: w.T("evidence." + string(e.Kind)), Hash: e.SHA256, Href: api + "/evidence/" + e.SHA256})
	}
	return file
}

// noticeView is a notice of compromise as the certificate's keeper sees it.
type noticeView struct {
	words
	When, From                      moment
	Channel, Officer, Circumstances string
	// Reaction is how long the key stayed in use after the notice came.
	Reaction  string
	Late      bool
	Withdrawn *moment
}

func (w words) notices(held certificate.State) []noticeView {
	var list []noticeView
	for _, notice := range slices.Backward(held.Notices) {
		view := noticeView{
			words: w, When: w.moment(notice.ReceivedAt), From: w.moment(notice.CompromisedFrom), Channel: w.T("channel." + string(notice.Channel)),
			Officer: notice.Officer, Circumstances: notice.Circumstances, Withdrawn: w.momentOf(notice.WithdrawnAt),
		}
		if notice.SuspendedAt != nil {
			key := "notice.intime"
			if view.Late = !notice.WithinLimit; view.Late {
				key = "notice.late"
			}
			view.Reaction = w.T(key, "took", w.duration(notice.Reaction))
			if notice.Reaction < time.Second {
				view.Reaction = w.T("notice.atonce")
			}
		}
		list = append(list, view)
	}
	return list
}

// duration writes how long something took, to the second below a minute and to
// the minute above.
func (w words) duration(d time.Duration) string {
	switch hours, minutes := int(d.Hours()), int(d.Minutes())%60; {
	case d < time.Minute:
		return w.T("duration.seconds", "n", int(d.Seconds()))
	case hours == 0:
		return w.T("duration.minutes", "n", minutes)
	case minutes == 0:
		return w.T("duration.hours", "n", hours)
	default:
		return w.T("duration.hours", "n", hours) + " " + w.T("duration.minutes", "n", minutes)
	}
}
