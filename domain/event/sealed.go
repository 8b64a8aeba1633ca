package event

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"

	"dalel/eventstore"
	"dalel/internal/canonical"
	"dalel/internal/fault"
	"dalel/internal/sealing"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Keys gives the keys of subjects; *keys.Ring does.
type Keys interface {
	// Key returns a subject's key: key.unknown if there is none,
	// key.destroyed if there was.
	Key(ctx context.Context, subject string) (sealing.Key, error)
	// Make returns a subject's key and makes one if there is none; key.destroyed
	// if there was.
	Make(ctx context.Context, subject string) (sealing.Key, error)
}

// Openers gives what opens single boxes: the keys do, and so does a proof
// packet for its own events.
type Openers interface {
	// Opener returns what opens a subject's box; key.destroyed if nothing
	// ever will again.
	Opener(ctx context.Context, subject string, box sealing.Box) (sealing.Opener, error)
}

// OpenersOf makes openers of keys.
func OpenersOf(keys Keys) Openers { return keyOpeners{keys} }

type keyOpeners struct{ keys Keys }

func (k keyOpeners) Opener(ctx context.Context, subject string, box sealing.Box) (sealing.Opener, error) {
	key, err := k.keys.Key(ctx, subject)
	if err != nil {
		return sealing.Opener{}, err
	}
	return key.Opener(subject, box), nil
}

// Subject names the key under which a field is sealed, by its tag and the id
// that the tag's field holds: a document's fields go with the document, all
// others with the participant whose they are.
func Subject(tag, id string) string {
	if tag == "document" {
		return "document-" + id
	}
	return "participant-" + id
}

// metadataLabel is the label of the box in an event's metadata; that of a box
// in its data is the event's type.
const metadataLabel = "metadata"

// sealedMember is the member of an event's data that holds its boxes.
const sealedMember = "sealed"

// SealedBox is a box in an event.
type SealedBox struct {
	Subject string `json:"subject"`
	sealing.Box
	// Label is bound to the box and not written with it.
	Label string `json:"-"`
}

// Sealed returns a codec that writes personal data sealed under keys and opens
// it with them.
func (c *Codec) Sealed(keys Keys, random io.Reader) *Codec {
	sealed := *c
	sealed.keys, sealed.random, sealed.openers = keys, random, OpenersOf(keys)
	return &sealed
}

// Opening returns a codec that opens personal data and writes none.
func (c *Codec) Opening(openers Openers) *Codec {
	opening := *c
	opening.keys, opening.random, opening.openers = nil, nil, openers
	return &opening
}

// tree is where personal fields lie in a JSON object: a leaf has the tag.
type tree struct {
	tag      string
	branches map[string]*tree
}

// treeOf finds the personal fields of an event type. One inside a list cannot
// be sealed.
func treeOf(zero Event) (*tree, error) {
	root := &tree{}
	var failed error
	walk(reflect.TypeOf(zero), "", func(path, tag string) {
		if strings.Contains(path, "[]") {
			failed = fmt.Errorf("event type %s has a personal field in a list: %s", zero.EventType(), path)
		}
		at := root
		for name := range strings.SplitSeq(path, ".") {
			if at.branches == nil {
				at.branches = map[string]*tree{}
			}
			if at.branches[name] == nil {
				at.branches[name] = &tree{}
			}
			at = at.branches[name]
		}
		at.tag = tag
	})
	if root.branches == nil {
		return nil, failed
	}
	return root, failed
}

// seal moves the personal fields of an event's canonical data into boxes.
func (c *Codec) seal(ctx context.Context, eventType string, data []byte) ([]byte, error) {
	personal := c.personal[eventType]
	if personal == nil || c.keys == nil {
		return data, nil
	}
	top, err := members(data)
	if err != nil {
		return nil, err
	}
	// Each tag's fields go into one box, since it has one key.
	taken := map[string]*bytes.Buffer{}
	public, err := split(top, personal, taken)
	if err != nil {
		return nil, err
	}
	var boxes []SealedBox
	for _, tag := range sortedKeys(taken) {
		var id string
		for _, m := range top {
			if m.name == tag {
				if err := json.Unmarshal(m.value, &id); err != nil {
					return nil, fmt.Errorf("whose %s's personal data are: %w", eventType, err)
				}
			}
		}
		if id == "" {
			return nil, fmt.Errorf("a %s does not say whose its personal data are", eventType)
		}
		subject := Subject(tag, id)
		key, err := c.keys.Make(ctx, subject)
		if err != nil {
			return nil, fmt.Errorf("the key of %s: %w", subject, err)
		}
		box, err := key.Seal(c.random, subject, eventType, taken[tag].Bytes())
		if err != nil {
			return nil, err
		}
		boxes = append(boxes, SealedBox{Subject: subject, Box: box})
	}
	if len(boxes) == 0 {
		return data, nil
	}
	encoded, err := canonical.Marshal(boxes)
	if err != nil {
		return nil, err
	}
	out := append(public[:len(public)-1:len(public)-1], `,"`+sealedMember+`":`...)
	if len(public) == 2 {
		out = []byte(`{"` + sealedMember + `":`)
	}
	return canonical.Transform(append(append(out, encoded...), '}'))
}

// member is one member of a JSON object.
type member struct {
	name  string
	value jsontext.Value
}

// members returns the members of a JSON object in their order.
func members(object []byte) ([]member, error) {
	d := jsontext.NewDecoder(bytes.NewReader(object))
	if token, err := d.ReadToken(); err != nil || token.Kind() != '{' {
		return nil, fmt.Errorf("not a JSON object: %w", err)
	}
	var list []member
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return nil, err
		}
		text := name.String()
		value, err := d.ReadValue()
		if err != nil {
			return nil, err
		}
		list = append(list, member{text, value.Clone()})
	}
	return list, nil
}

// split writes the members that are not personal, and those that are, by tag,
// in the same shape.
func split(object []member, t *tree, taken map[string]*bytes.Buffer) ([]byte, error) {
	var public bytes.Buffer
	open := map[string]bool{}
	begin := func(b *bytes.Buffer, first bool, name string) {
		if first {
			b.WriteByte('{')
		} else {
			b.WriteByte(',')
		}
		quoted, _ := jsontext.AppendQuote(nil, name)
		b.Write(quoted)
		b.WriteByte(':')
	}
	take := func(tag, name string, value []byte) {
		if taken[tag] == nil {
			taken[tag] = &bytes.Buffer{}
		}
		begin(taken[tag], !open[tag], name)
		open[tag] = true
		taken[tag].Write(value)
	}
	for _, m := range object {
		branch := t.branches[m.name]
		switch {
		case branch == nil:
		case branch.tag != "":
			take(branch.tag, m.name, m.value)
			continue
		case m.value.Kind() == '{':
			inner, err := members(m.value)
			if err != nil {
				return nil, err
			}
			below := map[string]*bytes.Buffer{}
			if m.value, err = split(inner, branch, below); err != nil {
				return nil, err
			}
			for _, tag := range sortedKeys(below) {
				take(tag, m.name, below[tag].Bytes())
			}
		}
		begin(&public, public.Len() == 0, m.name)
		public.Write(m.value)
	}
	if public.Len() == 0 {
		public.WriteByte('{')
	}
	public.WriteByte('}')
	for tag := range open {
		taken[tag].WriteByte('}')
	}
	return public.Bytes(), nil
}

// boxedType is the struct that an event's data are read into where they have
// boxes: the event's own, whose members stand beside that of the boxes.
func boxedType(zero Event) reflect.Type {
	return reflect.StructOf([]reflect.StructField{
		{Name: "Event", Type: reflect.TypeOf(zero), Tag: `json:",inline"`},
		{Name: "Sealed", Type: reflect.TypeFor[[]SealedBox](), Tag: `json:"` + sealedMember + `"`},
	})
}

// hasBoxes tells cheaply whether data may have boxes: canonical JSON has no
// space around a colon.
func hasBoxes(data []byte) bool { return bytes.Contains(data, []byte(`"`+sealedMember+`":[`)) }

// unseal takes an event's data apart: what is readable without any key, and
// its boxes.
func unseal(eventType string, data []byte) ([]byte, []SealedBox, error) {
	if !hasBoxes(data) {
		return data, nil, nil
	}
	begin, end, err := memberAt(data, sealedMember)
	if err != nil || end == 0 {
		return data, nil, err
	}
	var boxes []SealedBox
	value := data[begin+int64(bytes.IndexByte(data[begin:], ':'))+1 : end]
	if err := jsonv2.Unmarshal(value, &boxes, jsonv2.RejectUnknownMembers(true)); err != nil {
		return nil, nil, fmt.Errorf("boxes: %w", err)
	}
	for i := range boxes {
		boxes[i].Label = eventType
	}
	// The member goes with the comma before it, or, if it is the first, with
	// the one after it.
	if data[begin] == '"' && data[end] == ',' {
		end++
	}
	return append(data[:begin:begin], data[end:]...), boxes, nil
}

// memberAt finds a member of a JSON object: where it begins, with the comma
// before it if there is one, and where it ends. end is 0 if it is not there.
func memberAt(object []byte, name string) (begin, end int64, err error) {
	d := jsontext.NewDecoder(bytes.NewBuffer(object))
	if token, err := d.ReadToken(); err != nil || token.Kind() != '{' {
		return 0, 0, fmt.Errorf("not a JSON object: %w", err)
	}
	for d.PeekKind() != '}' {
		begin := d.InputOffset()
		token, err := d.ReadToken()
		if err != nil {
			return 0, 0, err
		}
		wanted := token.String() == name
		if err := d.SkipValue(); err != nil {
			return 0, 0, err
		}
		if wanted {
			return begin, d.InputOffset(), nil
		}
	}
	return 0, 0, nil
}

// open returns the texts of boxes, those aside whose keys were destroyed.
func (c *Codec) open(ctx context.Context, boxes []SealedBox) ([][]byte, error) {
	var texts [][]byte
	for _, box := range boxes {
		if c.openers == nil {
			return nil, fault.New(fault.KeyUnknown, "sealed data of %s is read without keys", box.Subject)
		}
		opener, err := c.openers.Opener(ctx, box.Subject, box.Box)
		if fault.Is(err, fault.KeyDestroyed) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("the key of %s: %w", box.Subject, err)
		}
		text, err := opener.Open(box.Subject, box.Label, box.Box)
		if err != nil {
			return nil, fault.Wrap(fault.EventInvalid, err, "sealed data of %s", box.Subject)
		}
		texts = append(texts, text)
	}
	return texts, nil
}

// merge puts the members of one JSON object into another, deeply.
func merge(into, from []byte) ([]byte, error) {
	var a, b map[string]json.RawMessage
	if err := json.Unmarshal(into, &a); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(from, &b); err != nil {
		return nil, err
	}
	for name, value := range b {
		if there, ok := a[name]; ok && there[0] == '{' && value[0] == '{' {
			merged, err := merge(there, value)
			if err != nil {
				return nil, err
			}
			value = merged
		}
		a[name] = value
	}
	return json.Marshal(a)
}

// Boxes returns the boxes of an event, those of its data first. It needs no
// key.
func Boxes(recorded eventstore.Event) ([]SealedBox, error) {
	_, boxes, err := unseal(recorded.Type, recorded.Data)
	if err != nil {
		return nil, fault.Wrap(fault.EventInvalid, err, "data of a %s", recorded.Type)
	}
	metadata, err := recorded.ReadMetadata()
	if err != nil {
		return nil, err
	}
	box, err := metadataBox(metadata)
	if err != nil || box == nil {
		return boxes, err
	}
	return append(boxes, *box), nil
}

func metadataBox(m eventstore.Metadata) (*SealedBox, error) {
	if m.Sealed == nil {
		return nil, nil
	}
	box := SealedBox{Subject: Subject("actor", m.Actor), Label: metadataLabel}
	if err := jsonv2.Unmarshal(m.Sealed, &box.Box, jsonv2.RejectUnknownMembers(true)); err != nil {
		return nil, fault.Wrap(fault.EventInvalid, err, "the box in an event's metadata")
	}
	return &box, nil
}

// personalMetadata is what of an event's metadata is sealed under the actor's
// key.
type personalMetadata struct {
	IP     string `json:"ip,omitempty"`
	Device string `json:"device,omitempty"`
}

func (c *Codec) sealMetadata(ctx context.Context, m eventstore.Metadata) (eventstore.Metadata, error) {
	if c.keys == nil || m.IP == "" && m.Device == "" {
		return m, nil
	}
	subject := Subject("actor", m.Actor)
	key, err := c.keys.Make(ctx, subject)
	if err != nil {
		return m, fmt.Errorf("the key of %s: %w", subject, err)
	}
	text, err := canonical.Marshal(personalMetadata{m.IP, m.Device})
	if err != nil {
		return m, err
	}
	box, err := key.Seal(c.random, subject, metadataLabel, text)
	if err != nil {
		return m, err
	}
	m.IP, m.Device = "", ""
	m.Sealed, err = canonical.Marshal(box)
	return m, err
}

// OpenMetadata returns an event's metadata with what is sealed in it opened;
// it stays sealed, and IP and Device empty, if the actor's key was destroyed.
func (c *Codec) OpenMetadata(ctx context.Context, m eventstore.Metadata) (eventstore.Metadata, error) {
	box, err := metadataBox(m)
	if err != nil || box == nil {
		return m, err
	}
	texts, err := c.open(ctx, []SealedBox{*box})
	if err != nil || len(texts) == 0 {
		return m, err
	}
	var opened personalMetadata
	if err := jsonv2.Unmarshal(texts[0], &opened, jsonv2.RejectUnknownMembers(true)); err != nil {
		return m, fault.Wrap(fault.EventInvalid, err, "sealed metadata")
	}
	m.Sealed, m.IP, m.Device = nil, opened.IP, opened.Device
	return m, nil
}
