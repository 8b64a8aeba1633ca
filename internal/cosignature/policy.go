package cosignature

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"dalel/internal/fault"
)

// Policy says which logs are trusted and which witnesses must have cosigned a
// checkpoint: a C2SP tlog-policy file. The zero value trusts no log and asks
// for no witness.
type Policy struct {
	// Logs are the keys of the logs that the policy names, perhaps none.
	Logs []note.Verifier
	// LogURLs has the address of a log of Logs, "" if there is none.
	LogURLs []string
	// Witnesses are all that are named, in their order.
	Witnesses []PolicyWitness

	quorum *component // nil asks for none
}

// PolicyWitness is a witness of a [Policy].
type PolicyWitness struct {
	// Name is its name in the policy.
	Name string
	// VKey and Key are its key, as written and as parsed.
	VKey string
	Key  note.Verifier
	// URL is its submission prefix, "" if the policy has none.
	URL string
}

// component is a witness, or a group of components of which n are enough.
type component struct {
	witness  int // index in Witnesses, -1 for a group
	n        int
	children []*component
	used     bool // it is a member of a group already
}

// maxPolicy bounds a policy file, and maxComponents what it may name.
const (
	maxPolicy     = 256 << 10
	maxComponents = 256
)

// AllOf is a policy that needs every one of the given witnesses. Errors:
// witness.key-invalid, witness.policy-invalid if one comes twice.
func AllOf(vkeys ...string) (Policy, error) {
	p := Policy{}
	for i, vkey := range vkeys {
		if _, err := p.addWitness(strconv.Itoa(i), vkey, ""); err != nil {
			return Policy{}, err
		}
	}
	if len(p.Witnesses) > 0 {
		p.quorum = &component{witness: -1, n: len(p.Witnesses)}
		for i := range p.Witnesses {
			p.Witnesses[i].Name = p.Witnesses[i].Key.Name()
			p.quorum.children = append(p.quorum.children, &component{witness: i})
		}
	}
	return p, nil
}

// AllOfText is the policy file of [AllOf], nil for no witness. It checks no key.
func AllOfText(vkeys ...string) []byte {
	if len(vkeys) == 0 {
		return nil
	}
	var text, names strings.Builder
	for i, vkey := range vkeys {
		fmt.Fprintf(&text, "witness w%d %s\n", i+1, vkey)
		fmt.Fprintf(&names, " w%d", i+1)
	}
	fmt.Fprintf(&text, "group everyone all%s\nquorum everyone\n", &names)
	return []byte(text.String())
}

// ParsePolicy reads a policy file. Errors: witness.policy-invalid and
// witness.key-invalid, which name the line.
func ParsePolicy(file []byte) (Policy, error) {
	if len(file) > maxPolicy {
		return Policy{}, fault.New(PolicyInvalid, "a policy has at most %d bytes", maxPolicy)
	}
	var p Policy
	named := map[string]*component{}
	quorum := false
	for i, line := range bytes.Split(file, []byte("\n")) {
		invalid := func(format string, args ...any) (Policy, error) {
			return Policy{}, fault.New(PolicyInvalid, "line %d: "+format, append([]any{i + 1}, args...)...)
		}
		if slices.ContainsFunc(line, func(b byte) bool { return b < ' ' && b != '\t' || b == 0x7f }) {
			return invalid("there is a control character in it")
		}
		words := strings.FieldsFunc(string(line), func(r rune) bool { return r == ' ' || r == '\t' })
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if len(named)+len(p.Logs) > maxComponents {
			return invalid("a policy names at most %d things", maxComponents)
		}
		free := func(name string) bool { return named[name] == nil && name != "none" }
		switch {
		case words[0] == "log" && (len(words) == 2 || len(words) == 3):
			if err := p.addLog(words[1], strings.Join(words[2:], "")); err != nil {
				return invalid("%v", detail(err))
			}
		case words[0] == "witness" && (len(words) == 3 || len(words) == 4):
			if !free(words[1]) {
				return invalid("the name %q is taken", words[1])
			}
			at, err := p.addWitness(words[1], words[2], strings.Join(words[3:], ""))
			if err != nil {
				return invalid("%v", detail(err))
			}
			named[words[1]] = &component{witness: at}
		case words[0] == "group" && len(words) >= 4:
			if !free(words[1]) {
				return invalid("the name %q is taken", words[1])
			}
			group := &component{witness: -1}
			for _, name := range words[3:] {
				child := named[name]
				if child == nil {
					return invalid("%q was not defined before", name)
				}
				if child.used {
					return invalid("%q is in a group already", name)
				}
				child.used = true
				group.children = append(group.children, child)
			}
			switch words[2] {
			case "all":
				group.n = len(group.children)
			case "any":
				group.n = 1
			default:
				n, err := ParseSize(words[2])
				if err != nil || n < 1 || n > int64(len(group.children)) {
					return invalid("of %d members, %q cannot be enough", len(group.children), words[2])
				}
				group.n = int(n)
			}
			named[words[1]] = group
		case words[0] == "quorum" && len(words) == 2:
			if quorum {
				return invalid("there is a quorum already")
			}
			quorum = true
			if words[1] == "none" {
				continue
			}
			if p.quorum = named[words[1]]; p.quorum == nil {
				return invalid("%q was not defined before", words[1])
			}
		default:
			return invalid("%.60q is no line of a policy", line)
		}
	}
	if !quorum {
		return Policy{}, fault.New(PolicyInvalid, "the policy has no quorum; \"quorum none\" asks for no witness")
	}
	return p, nil
}

func (p *Policy) addLog(vkey, url string) error {
	key, err := ParseLogKey(vkey)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(p.Logs, func(l note.Verifier) bool { return l.Name() == key.Name() && l.KeyHash() == key.KeyHash() }) {
		return fault.New(PolicyInvalid, "the log %s is named twice", key.Name())
	}
	p.Logs, p.LogURLs = append(p.Logs, key), append(p.LogURLs, url)
	return nil
}

// addWitness refuses a key that is there already under any name: one witness
// must not count twice.
func (p *Policy) addWitness(name, vkey, url string) (int, error) {
	key, err := ParseWitnessKey(vkey)
	if err != nil {
		return 0, err
	}
	if slices.ContainsFunc(p.Witnesses, func(w PolicyWitness) bool { return keyMaterial(w.VKey) == keyMaterial(vkey) }) {
		return 0, fault.New(PolicyInvalid, "the key of the witness %s is named twice", key.Name())
	}
	p.Witnesses = append(p.Witnesses, PolicyWitness{Name: name, VKey: vkey, Key: key, URL: url})
	return len(p.Witnesses) - 1, nil
}

// keyMaterial is the key in a vkey, whatever its name and id.
func keyMaterial(vkey string) string {
	_, rest, _ := strings.Cut(vkey, "+")
	_, encoded, _ := strings.Cut(rest, "+")
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return encoded // it was parsed before, so this is not reached
	}
	return string(key)
}

// Seen is a witness's cosignature on a checkpoint, or that there is none.
type Seen struct {
	// Name is the witness's, as in its key.
	Name string `json:"name"`
	// At is the time in its cosignature, zero if there is none that counts.
	At time.Time `json:"at,omitzero"`
	// Wrong says that a line claims to be its cosignature and is not.
	Wrong bool `json:"wrong,omitempty"`
}

// Check looks which witnesses have cosigned a signed checkpoint, of the
// policy's witnesses in their order, and whether they are enough. A wrong
// cosignature counts as none: nobody can spoil those of others by adding one.
// A cosignature from more than ten minutes after now is wrong too.
func (p Policy) Check(signed []byte, now time.Time) (seen []Seen, enough bool) {
	counts := make([]bool, len(p.Witnesses))
	for i, w := range p.Witnesses {
		s := Seen{Name: w.Key.Name()}
		_, n, err := OpenCheckpoint(signed, w.Key)
		switch {
		case err == nil:
			at, err := CosignedAt(n.Sigs[0])
			if err != nil || at.Unix() <= 0 || at.After(now.Add(Ahead)) {
				s.Wrong = true
				break
			}
			s.At, counts[i] = at, true
		case isWrongSignature(err):
			s.Wrong = true
		}
		seen = append(seen, s)
	}
	return seen, p.quorum == nil || p.quorum.satisfied(counts)
}

// AsksForWitnesses says whether the policy needs any cosignature.
func (p Policy) AsksForWitnesses() bool { return p.quorum != nil }

func (c *component) satisfied(counts []bool) bool {
	if c.witness >= 0 {
		return counts[c.witness]
	}
	n := 0
	for _, child := range c.children {
		if child.satisfied(counts) {
			n++
		}
	}
	return n >= c.n
}
