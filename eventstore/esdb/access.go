package esdb

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"

	"dalel/internal/fault"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
)

// The server reads its default access list from the last event of this stream.
const (
	settingsStream = "$settings"
	updateAccess   = "update-default-acl"
	administrators = "$admins"
	everybody      = "$all"
)

// accessList says who may do what. The server reads a name or a list of names.
type accessList struct {
	Read          names `json:"$r,omitempty"`
	Write         names `json:"$w,omitempty"`
	Delete        names `json:"$d,omitempty"`
	ReadMetadata  names `json:"$mr,omitempty"`
	WriteMetadata names `json:"$mw,omitempty"`
}

type names []string

// UnmarshalJSON takes one name as well as a list.
func (n *names) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*n = names{one}
		return nil
	}
	var list []string
	if err := json.Unmarshal(data, &list); err != nil {
		return err
	}
	*n = list
	return nil
}

// defaultAccess is the access to streams that have no list of their own.
type defaultAccess struct {
	User   accessList `json:"$userStreamAcl"`
	System accessList `json:"$systemStreamAcl"`
}

// restricted lets users append to and read all streams of users and read all
// events, and leaves to administrators what would hide events.
func restricted(users []string) defaultAccess {
	admins := names{administrators}
	return defaultAccess{
		User:   accessList{Read: users, Write: users, Delete: admins, ReadMetadata: users, WriteMetadata: admins},
		System: accessList{Read: append(names{administrators}, users...), Write: admins, Delete: admins, ReadMetadata: admins, WriteMetadata: admins},
	}
}

// strangers returns who may read or write by a list, but users and
// administrators, and but everybody: that is the right to be taken away.
func (d defaultAccess) strangers(users []string) []string {
	var all []string
	for _, name := range slices.Concat(d.User.Read, d.User.Write, d.System.Read, d.System.Write) {
		if name != everybody && name != administrators && !slices.Contains(users, name) && !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}

// DefaultAccess is what [Store.RestrictAccess] has found and made of it.
type DefaultAccess struct {
	// Before is what the server had, JSON; empty if it had its own default.
	Before []byte
	// After is what it has now, or would have.
	After []byte
	// Changed is set unless they say the same.
	Changed bool
}

// RestrictAccess gives the server a default access list by which only users may
// append to streams and read them, and only administrators delete streams or
// write their metadata. The store must have been opened by an administrator. It
// writes nothing if the list is there already, or if dry is set. A list that
// names others, who would lose their right, is replaced only if replace is set;
// otherwise request.invalid names them. Other errors: store.failed, after which
// it is asked again without harm.
func (s *Store) RestrictAccess(ctx context.Context, users []string, replace, dry bool) (DefaultAccess, error) {
	const doing = "restrict the access to the event store"
	for _, user := range users {
		if user == "" || strings.HasPrefix(user, "$") || strings.ContainsAny(user, " \t\n,") {
			return DefaultAccess{}, fault.New(fault.RequestInvalid, "%q is not a user of the event store", user)
		}
	}
	if len(users) == 0 {
		return DefaultAccess{}, fault.New(fault.RequestInvalid, "no user is named")
	}
	found, err := s.settings(ctx)
	if err != nil {
		return DefaultAccess{}, failed(err, "%s: read what is there", doing)
	}
	want := restricted(users)
	var result DefaultAccess
	if result.After, err = json.Marshal(want); err != nil {
		return DefaultAccess{}, fault.Wrap(fault.Internal, err, "%s", doing)
	}
	result.Changed = true
	if found != nil {
		result.Before = found.Data
		var have defaultAccess
		if err := json.Unmarshal(found.Data, &have); err != nil && !replace {
			return result, fault.Wrap(fault.RequestInvalid, err, "%s: what is there cannot be read; it is replaced only when that is asked for", doing)
		}
		if normal, err := json.Marshal(have); err == nil && bytes.Equal(normal, result.After) {
			result.Changed = false
			return result, nil
		}
		if others := have.strangers(users); len(others) > 0 && !replace {
			return result, fault.New(fault.RequestInvalid,
				"%s: others have a right to it now, who would lose it: %s", doing, strings.Join(others, ", "))
		}
	}
	if dry {
		return result, nil
	}
	if err := s.writeSettings(ctx, found, result.After); err != nil {
		return result, failed(err, "%s: append %s to %s", doing, updateAccess, settingsStream)
	}
	return result, nil
}

// settings returns the last event of the server's settings, nil if there is
// none.
func (s *Store) settings(ctx context.Context) (*client.RecordedEvent, error) {
	p, err := s.page(ctx, func(ctx context.Context, c *client.Client, count uint64) (*client.ReadStream, error) {
		return c.ReadStream(ctx, settingsStream, client.ReadStreamOptions{Direction: client.Backwards, From: client.End{}}, count)
	}, 1)
	if err != nil || len(p.events) == 0 {
		return nil, err
	}
	return p.events[0], nil
}

// writeSettings appends after what was found, and nowhere else.
func (s *Store) writeSettings(ctx context.Context, found *client.RecordedEvent, data []byte) error {
	session, err := s.connections.enter(ctx)
	if err != nil {
		return err
	}
	options := client.AppendToStreamOptions{ExpectedRevision: client.NoStream{}}
	if found != nil {
		options.ExpectedRevision = client.Revision(found.EventNumber)
	}
	event := client.EventData{EventID: uuid.New(), EventType: updateAccess, ContentType: client.ContentTypeJson, Data: data}
	_, err = ask(ctx, s.recording, s.connections, session, func(ctx context.Context, c *client.Client) (*client.WriteResult, error) {
		return c.AppendToStream(ctx, settingsStream, options, event)
	})
	if err != nil && judge(err) == disconnected {
		s.connections.lost(session, err)
	}
	return err
}
