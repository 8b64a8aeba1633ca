package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"dalel/internal/cosignature"
)

// policyFile among the settings says which witnesses the operator asks for, as
// a C2SP tlog-policy. Packets carry it.
const policyFile = "witness-policy"

// maxPolicyFile is the size of a policy of witnesses at most.
const maxPolicyFile = 256 << 10

// witnessPolicy is which witnesses the operator asks for: what the file
// witness-policy says, and otherwise every witness in the log's settings. The
// zero value asks for none.
type witnessPolicy struct {
	// text is what packets carry; nil where no witness is asked for.
	text []byte
	cosignature.Policy
}

func readWitnessPolicy(settings string, log logSettings) (witnessPolicy, error) {
	var p witnessPolicy
	path := filepath.Join(settings, policyFile)
	text, err := readBounded(path, maxPolicyFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		var vkeys []string
		for _, w := range log.Witnesses {
			vkeys = append(vkeys, w.Key)
		}
		text = cosignature.AllOfText(vkeys...)
	case err != nil:
		return p, fmt.Errorf("read the policy of witnesses: %w", err)
	}
	if text == nil {
		return p, nil
	}
	if p.Policy, err = cosignature.ParsePolicy(text); err != nil {
		return p, fmt.Errorf("the policy of witnesses, by %s or by the witnesses in %s: %w", policyFile, settingsFile, err)
	}
	p.text = text
	return p, nil
}
