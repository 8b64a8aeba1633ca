package signature_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	stdasn1 "encoding/asn1"
	"encoding/hex"
	"math/big"
	"reflect"
	"testing"
	"time"

	"dalel/domain/signature"
	"dalel/internal/fault"
	"dalel/internal/testca"

	"github.com/stretchr/testify/require"
)

func hexOf(data []byte) string { return hex.EncodeToString(data) }

func TestR_C1_TheOwnerIsReadFromTheCertificateItself(t *testing.T) {
	p := newParty(t, testca.P256)
	who, err := p.issuing.Issue(testca.Leaf{Owner: testca.Owner{
		IIN: "123456789011", BIN: "123456789021", Surname: "ТЕСТОВ", GivenName: "ТЕСТ", Patronymic: "ТЕСТОВИЧ",
		Organization: "АО \"ТЕСТ\"", Role: testca.Head,
	}})
	require.NoError(t, err)
	owner, err := signature.ReadOwner(who.Certificate)
	require.NoError(t, err)
	require.Len(t, owner.Fingerprint, 64)
	owner.Fingerprint = ""
	require.Equal(t, signature.Owner{
		IIN: "123456789011", BIN: "123456789021",
		CommonName: "ТЕСТОВ ТЕСТ", Surname: "ТЕСТОВ", GivenName: "ТЕСТОВИЧ", Organization: "АО \"ТЕСТ\"", Country: "KZ",
		Purpose: signature.PurposeSigning, Roles: []signature.Role{signature.RoleEntity, signature.RoleHead},
		Algorithm: "ECDSA-P256", NotBefore: who.Certificate.NotBefore, NotAfter: who.Certificate.NotAfter,
		Serial: who.Certificate.SerialNumber.Text(16), Issuer: "CN=Test issuing CA,C=KZ",
	}, owner)
	require.Equal(t, signature.RoleHead, owner.Role())
}

func TestR_C1_RolesAndPurposes(t *testing.T) {
	p := newParty(t, testca.P256)
	for role, want := range map[testca.Role]signature.Role{
		testca.NaturalPerson: signature.RolePerson, testca.Head: signature.RoleHead,
		testca.RightOfSignature: signature.RoleRightOfSignature, testca.FinancialRight: signature.RoleFinancialRight,
		testca.HumanResources: signature.RoleHumanResources, testca.Employee: signature.RoleEmployee,
		testca.InformationSystem: signature.RoleInformationSystem,
	} {
		who, err := p.issuing.Issue(testca.Leaf{Owner: testca.Owner{Role: role, UserID: "system-1"}, Authentication: role == testca.Employee})
		require.NoError(t, err)
		owner, err := signature.ReadOwner(who.Certificate)
		require.NoError(t, err)
		require.Equal(t, want, owner.Role())
		require.Equal(t, "system-1", owner.UserID)
		require.Empty(t, owner.IIN)
		if role == testca.Employee {
			require.Equal(t, signature.PurposeAuthentication, owner.Purpose)
		} else {
			require.Equal(t, signature.PurposeSigning, owner.Purpose)
		}
	}
	require.Equal(t, signature.RoleEntity, signature.Owner{Roles: []signature.Role{signature.RolePerson, signature.RoleEntity}}.Role())
	require.Equal(t, signature.RoleNone, signature.Owner{}.Role())

	email, client := stdasn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 4}, stdasn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 2}
	for _, c := range []struct {
		usages []stdasn1.ObjectIdentifier
		want   signature.Purpose
	}{
		{[]stdasn1.ObjectIdentifier{email, client}, signature.PurposeBoth},
		{[]stdasn1.ObjectIdentifier{}, signature.PurposeBoth},
		{[]stdasn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}}, signature.PurposeNone},
		{[]stdasn1.ObjectIdentifier{{1, 2, 398, 3, 3, 4, 1, 1}}, signature.PurposeSigning},
	} {
		who, err := p.issuing.Issue(testca.Leaf{Usages: c.usages})
		require.NoError(t, err)
		owner, err := signature.ReadOwner(who.Certificate)
		require.NoError(t, err)
		require.Equal(t, c.want, owner.Purpose)
	}
}

func TestR_C1_ACertificateOfTwoPeopleIsRefused(t *testing.T) {
	key, err := testca.NewKey(testca.P256)
	require.NoError(t, err)
	serial, unit := stdasn1.ObjectIdentifier{2, 5, 4, 5}, stdasn1.ObjectIdentifier{2, 5, 4, 11}
	for name, c := range map[string]struct {
		subject []pkix.AttributeTypeAndValue
		refused bool
	}{
		"two IINs":             {[]pkix.AttributeTypeAndValue{{Type: serial, Value: "IIN123456789011"}, {Type: serial, Value: "IIN123456789012"}}, true},
		"two BINs":             {[]pkix.AttributeTypeAndValue{{Type: unit, Value: "BIN123456789021"}, {Type: unit, Value: "BIN123456789022"}}, true},
		"a short IIN":          {[]pkix.AttributeTypeAndValue{{Type: serial, Value: "IIN12345678901"}}, true},
		"a BIN with a letter":  {[]pkix.AttributeTypeAndValue{{Type: unit, Value: "BIN12345678902x"}}, true},
		"another unit as well": {[]pkix.AttributeTypeAndValue{{Type: unit, Value: "BIN123456789021"}, {Type: unit, Value: "Accounting"}}, false},
		"the same IIN twice":   {[]pkix.AttributeTypeAndValue{{Type: serial, Value: "IIN123456789011"}, {Type: serial, Value: "IIN123456789011"}}, false},
		"another serial":       {[]pkix.AttributeTypeAndValue{{Type: serial, Value: "42"}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			template := &x509.Certificate{SerialNumber: big.NewInt(7), NotBefore: time.Now(), NotAfter: time.Now().AddDate(1, 0, 0),
				Subject: pkix.Name{ExtraNames: c.subject}}
			der, err := x509.CreateCertificate(zeros{}, template, template, key.Public(), key)
			require.NoError(t, err)
			certificate, err := x509.ParseCertificate(der)
			require.NoError(t, err)
			owner, err := signature.ReadOwner(certificate)
			require.Equal(t, c.refused, fault.Is(err, fault.CertificateInvalid), err)
			if !c.refused {
				require.NoError(t, err)
				require.Equal(t, "7", owner.Serial)
			}
		})
	}
	_, err = signature.ReadOwner(nil)
	require.True(t, fault.Is(err, fault.CertificateInvalid))
}

func TestR_B4_WhatNamesAPersonIsMarkedPersonal(t *testing.T) {
	marked := map[string]bool{}
	typ := reflect.TypeFor[signature.Owner]()
	for i := range typ.NumField() {
		marked[typ.Field(i).Name] = typ.Field(i).Tag.Get("personal") == "participant"
	}
	for _, name := range []string{"IIN", "BIN", "CommonName", "Surname", "GivenName", "Organization", "UserID"} {
		require.True(t, marked[name], name)
	}
	for _, name := range []string{"Fingerprint", "Purpose", "Roles", "Algorithm", "Serial", "Issuer", "Country"} {
		require.False(t, marked[name], name)
	}
}
