package main

import (
	"bytes"
	"encoding/base64"
	"encoding/pem"
	"flag"
	"fmt"

	"dalel/domain/signature"
	"dalel/internal/cms"
	"dalel/internal/crl"
	"dalel/internal/ocsp"
	"dalel/internal/tsp"
)

// evidenceFlags are the files with evidence on the command line.
type evidenceFlags struct {
	ocsp, crl, tst []string
}

func (e *evidenceFlags) register(flags *flag.FlagSet) {
	for _, one := range []struct {
		name, usage string
		into        *[]string
	}{
		{"ocsp", "a `file` with an OCSP answer; may be repeated", &e.ocsp},
		{"crl", "a `file` with a revocation list, full or delta; may be repeated", &e.crl},
		{"tst", "a `file` with a time token over the signature; may be repeated", &e.tst},
	} {
		flags.Func(one.name, one.usage, func(path string) error {
			*one.into = append(*one.into, path)
			return nil
		})
	}
}

// read reads all files. One that is not of its kind is an error: evidence that
// is silently left out would be missed by whoever named it.
func (e *evidenceFlags) read() (list []signature.Evidence, err error) {
	for _, kind := range []struct {
		kind  signature.EvidenceKind
		files []string
		limit int64
		check func(der []byte) ([]byte, error)
	}{
		{signature.EvidenceOCSP, e.ocsp, ocsp.MaxSize, func(der []byte) ([]byte, error) {
			_, err := ocsp.Parse(der)
			return der, err
		}},
		{signature.EvidenceCRL, e.crl, crl.MaxSize, func(der []byte) ([]byte, error) {
			_, err := crl.Parse(der)
			return der, err
		}},
		{signature.EvidenceTimeToken, e.tst, tsp.MaxSize, tokenOf},
	} {
		for _, path := range kind.files {
			// Base64 takes a third more, its lines and a PEM label a little.
			data, err := readBounded(path, kind.limit/2*3+4096)
			if err != nil {
				return nil, err
			}
			der, err := unwrapped(data)
			if err == nil {
				der, err = kind.check(der)
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			list = append(list, signature.Evidence{Kind: kind.kind, DER: der})
		}
	}
	return list, nil
}

// tokenOf takes a token, or the response that an authority sent it in.
func tokenOf(der []byte) ([]byte, error) {
	if response, err := tsp.ParseResponse(der); err == nil && response.Token != nil {
		return response.Token, nil
	}
	_, err := tsp.Parse(der)
	return der, err
}

// unwrapped takes DER as it is, and what is in PEM (whatever its label says, and
// whatever words stand before it) or base64.
func unwrapped(data []byte) ([]byte, error) {
	text := bytes.TrimSpace(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")))
	switch {
	case cms.IsPEM(text):
		block, rest := pem.Decode(text)
		if block == nil || len(bytes.TrimSpace(rest)) > 0 {
			return nil, fmt.Errorf("one PEM block is expected")
		}
		return block.Bytes, nil
	case len(text) > 0 && text[0] == 'M': // 0x30 and a length, in base64
		compact := bytes.Join(bytes.Fields(text), nil)
		der := make([]byte, base64.StdEncoding.DecodedLen(len(compact)))
		n, err := base64.StdEncoding.Decode(der, compact)
		if err != nil {
			return nil, fmt.Errorf("neither DER nor base64: %w", err)
		}
		return der[:n], nil
	}
	return data, nil
}
