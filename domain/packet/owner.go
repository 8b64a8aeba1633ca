package packet

import (
	"crypto/x509"
	"path"

	"dalel/domain/certificate"
	"dalel/domain/event"
	"dalel/domain/participant"
	"dalel/domain/signature"
)

// checkOwner holds the registration of a signature's certificate, and the
// participant whom the ledger registered, against the certificate itself: an
// operator could write anybody's name and numbers into an event, and into the
// certificate none.
func (v *verification) checkOwner(claim *findings, file string, s signed, r record, e certificate.Registered) {
	parsed, err := v.certificate(file)
	if err != nil {
		claim.as(CodeUnreadable).no(file, "the certificate cannot be read")
		return
	}
	says, err := signature.ReadOwner(parsed)
	if err != nil {
		claim.as(CodeUnreadable).no(file, "whose the certificate is cannot be read: %v", err)
		return
	}
	v.checkRegistered(claim, file, parsed, says, r, e)
	v.checkParty(claim, file, s, says, e)
}

// checkRegistered holds what the ledger wrote of a certificate against it.
func (v *verification) checkRegistered(claim *findings, file string, parsed *x509.Certificate, says signature.Owner, r record, e certificate.Registered) {
	if !parsed.NotBefore.Equal(e.NotBefore) || !parsed.NotAfter.Equal(e.NotAfter) {
		claim.as(CodeRegistration).no(file, "it has other dates than its registration says")
	}
	differ := func(what, here, there string) {
		if here != there {
			claim.as(CodeRegistration).no(file, "the certificate says %s %q and its registration %q", what, here, there)
		}
	}
	differ("the purpose", string(says.Purpose), e.Purpose)
	differ("the role", string(says.Role()), e.Role)
	differ("the serial number", says.Serial, e.Serial)
	differ("the issuer", says.Issuer, e.Issuer)
	switch personal := event.Subject("participant", e.Participant); {
	case len(r.withheld) == 0 || e.OwnerName != "" || e.OwnerPerson != "" || e.OwnerIIN != "" || e.OwnerBIN != "":
		differ("the IIN", says.IIN, e.OwnerIIN)
		differ("the BIN", says.BIN, e.OwnerBIN)
		differ("the name", says.Name(), e.OwnerName)
		differ("the person", says.Person(), e.OwnerPerson)
	case !destroyedIn(v.history)[personal]:
		claim.as(CodeOwnerClosed).unknown("whom the ledger registered as the owner of %s cannot be compared with the certificate: it is not opened in this packet", file)
	}
}

// checkParty holds a certificate against the party that signed with it and the
// person who acted.
func (v *verification) checkParty(claim *findings, file string, s signed, says signature.Owner, e certificate.Registered) {
	if e.Participant != s.by.Party {
		return // CheckSigning names it
	}
	if s.by.Seal != (says.BIN != "") {
		claim.no(file, "whether it is a legal entity's, whose signature stands for a seal, is recorded otherwise than the certificate says")
	}
	known := peopleOf(v.history)
	party := known[s.by.Party]
	switch {
	case party.destroyed && party.Identifier == "":
		return // nobody can compare it any more, and an event says why
	case party.Identifier == "":
		claim.as(CodeOwnerClosed).unknown("whom the ledger registered as the party of %s cannot be compared with the certificate: it is not opened in this packet", file)
		return
	case party.Kind == participant.LegalEntity && says.BIN != party.Identifier:
		claim.as(CodeOwner).no(file, "the certificate is of BIN %q, %q; the ledger registered it for the legal entity %s, %q", says.BIN, says.Name(), party.Identifier, party.Name)
		return
	case party.Kind != participant.LegalEntity && (says.IIN != party.Identifier || says.BIN != "" && says.BIN != party.Identifier):
		claim.as(CodeOwner).no(file, "the certificate is of IIN %q and BIN %q, %q; the ledger registered it for %s, %q", says.IIN, says.BIN, says.Name(), party.Identifier, party.Name)
		return
	}
	person := s.by.By.Person
	if person == "" || person == s.by.Party || says.IIN == "" {
		return
	}
	switch acting := known[person]; {
	case acting.destroyed:
	case acting.Identifier == "":
		claim.as(CodeOwnerClosed).unknown("who acted cannot be compared with the certificate %s: the person is not opened in this packet", file)
	case acting.Identifier != says.IIN:
		claim.as(CodePerson).no(file, "the certificate is of the person with IIN %q; the ledger has %s, %q, sign with it", says.IIN, acting.Identifier, acting.Name)
	}
}

// signerOf says who made a signature, once it was checked.
func (v *verification) signerOf(s signed, known people) Signer {
	party := known[s.by.Party]
	signer := Signer{
		Signature: path.Base(s.folder), Party: party.Name, Identifier: party.Identifier,
		SignedAt: s.by.SignedAt, Holds: v.claim(s.claim).Holds, Force: s.standing.Force,
	}
	if person := s.by.By.Person; person != s.by.Party {
		signer.Person = known[person].Name
	}
	parsed, err := v.certificate(s.folder + "certificate.cer")
	if err != nil {
		return signer
	}
	if says, err := signature.ReadOwner(parsed); err == nil {
		signer.Owner, signer.CommonName, signer.IIN, signer.BIN, signer.Role = says.Name(), says.CommonName, says.IIN, says.BIN, string(says.Role())
		signer.Serial, signer.Issuer = says.Serial, says.Issuer
	}
	return signer
}
