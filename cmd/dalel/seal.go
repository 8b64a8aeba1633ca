package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"dalel/domain/ledger"
	"dalel/domain/packet"
	"dalel/domain/trust"
	"dalel/internal/durable"
	"dalel/internal/fault"
)

// sealCommand has packets sealed with another key and certificate from now on:
// that of the seal ends one day. What is recorded first is in force last; asked
// again after it was cut off, it goes on.
func sealCommand(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("seal", flag.ContinueOnError)
	var at location
	at.register(flags)
	key := flags.String("key", "", "the `file` of the new key, PEM (PKCS #8)")
	certificate := flags.String("certificate", "", "the `file` of its certificate")
	if !arguments(flags, args, stderr) {
		return exitFailed
	}
	if err := need(map[string]string{"dir": at.dir, "key": *key, "certificate": *certificate}); err != nil {
		return fail(stderr, "seal", err)
	}
	former, err := replaceSeal(ctx, at.filled(), *key, *certificate)
	if err != nil {
		return fail(stderr, "seal", err)
	}
	fmt.Fprintf(stdout, "packets are sealed with it from now on; the certificate before is kept as %s\n", former)
	fmt.Fprintln(stdout, "give every node the same secrets/ and trust/, and start it again")
	return exitGood
}

// newSeal reads a key and its certificate, which belong together.
func newSeal(keyFile, certificateFile string) (keyText, der []byte, err error) {
	certificates, err := readAnchorFile(certificateFile)
	if err != nil {
		return nil, nil, err
	}
	if len(certificates) != 1 {
		return nil, nil, fault.New(fault.ConfigInvalid, "%s has %d certificates, and the seal's is one",
			certificateFile, len(certificates))
	}
	key, err := readSealKey(keyFile)
	if err != nil {
		return nil, nil, err
	}
	if _, err := packet.NewSealer(certificates[0], key); err != nil {
		return nil, nil, fmt.Errorf("the key and the certificate: %w", err)
	}
	keyText, err = os.ReadFile(keyFile)
	return keyText, certificates[0].Raw, err
}

// replaceSeal returns where the former certificate is kept.
func replaceSeal(ctx context.Context, at location, keyFile, certificateFile string) (former string, err error) {
	keyText, der, err := newSeal(keyFile, certificateFile)
	if err != nil {
		return "", err
	}
	keyPath := filepath.Join(at.settings, secretsDir, sealFile)
	certificatePath := filepath.Join(at.settings, trustDir, sealCertificateFile)
	was, err := os.ReadFile(certificatePath)
	if err != nil {
		return "", err
	}
	set, err := readSettings(at.settings)
	if err != nil {
		return "", err
	}
	store, founded, err := openFounded(ctx, at, set.Ledger)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	// The folder's certificate is the one in force, or this command was cut off.
	if print := trust.FingerprintOf(was); print != founded.Seal && founded.Seal != trust.FingerprintOf(der) {
		identifierKey, err := readSecret(filepath.Join(at.settings, secretsDir, identifierFile))
		if err != nil {
			return "", err
		}
		return "", founded.CheckSecrets(founded.LogKey, was, identifierKey)
	}
	seen, _, err := seenAt(ctx, at, set.Ledger, founded.Origin)
	if err != nil {
		return "", err
	}
	if err := holdsSeen(ctx, store, seen); err != nil {
		return "", err
	}
	before := founded.Seal
	if n := len(founded.Former); n > 0 && founded.Seal == trust.FingerprintOf(der) {
		before = founded.Former[n-1]
	}
	former = filepath.Join(at.settings, trustDir, "operator-seal-"+before[:16]+".cer")
	if trust.FingerprintOf(was) == before && !exists(former) {
		if err := durable.Create(former, was, 0o644); err != nil {
			return "", err
		}
	}
	if err := ledger.ReplaceSeal(ctx, store, der); err != nil {
		return "", err
	}
	if err := durable.Replace(keyPath, keyText); err != nil {
		return "", err
	}
	return former, durable.Replace(certificatePath, der)
}
