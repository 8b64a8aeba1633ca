package trust

// Authority is a certificate that the national certification authority of
// Kazakhstan (НУЦ РК) has published.
type Authority struct {
	Kind Kind
	// Name says in English which one it is.
	Name string
	// Year is when it begins.
	Year int
}

// Known returns what is known here of a fingerprint (SHA-256 of the DER,
// lower-case hex). A certificate that is not known may be as good: the list
// ends with the version of the program that has it.
func Known(fingerprint string) (Authority, bool) {
	known, ok := authorities()[fingerprint]
	return known, ok
}

// authorities are the production roots and issuing authorities that are
// published at root.gov.kz and pki.gov.kz. Their names do not tell them apart:
// two RSA roots have the same common name.
func authorities() map[string]Authority {
	const (
		national = "national root authority of Kazakhstan, "
		issuing  = "national certification authority of Kazakhstan, "
	)
	return map[string]Authority{
		"9ab210e54e6b0343321131202d9edcc2598f598cfdd9ee4ec1056021ab2e9759": {Root, national + "GOST 34.310-2004", 2015},
		"a7064abc5699827f370c67b09f1a1bfd7ad5e1514d471223df209c08300ea972": {Root, national + "RSA", 2015},
		"c48164ab5ccaaee6b938299a1e3aeebd6f698bb2bd716a0f0d85befc46166aa2": {Root, national + "GOST 34.310-2004", 2020},
		"9ba06354b626641715182e4d07c9dbaa1777720fa795d03174ffc68876535dcd": {Root, national + "RSA", 2020},
		"af77725f8328bb24f89d81da3acdf7cee4324248538b7ba2cd2a860517fb9dca": {Root, national + "GOST 34.10-2015", 2022},
		"908521d0531e5645e64b34d3588374a3a83582c860e5f7293a04c41217e8cc18": {Issuing, issuing + "GOST 34.310-2004", 2018},
		"34d1b311a9873191ae3382805df51e0a5da23315c512a8deeb885668ceeb5834": {Issuing, issuing + "RSA", 2018},
		"32c7d233a42703a327f3025543a05b930e3f39a786c68dfa196baa86d5618524": {Issuing, issuing + "GOST 34.10-2015", 2022},
		"84fb799a66140950818c056a5d9730acc2a7622cdd4ef0d47113b132fb892905": {Issuing, issuing + "RSA", 2022},
	}
}
