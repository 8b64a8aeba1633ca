package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"dalel/domain/checkpoint"
	"dalel/domain/renewal"
	"dalel/domain/signature"
	"dalel/internal/authorities"
	"dalel/internal/fault"
	"dalel/internal/pki"
	"dalel/internal/translog"
	"dalel/internal/witness"
	"dalel/projections/transparency"
)

// This file is about those who are asked to confirm the log's checkpoints:
// witnesses, and the time-stamping authorities of the settings.

// witnesses are the witnesses of the settings. Each is asked by itself, so
// that none waits for another.
func (l logSettings) witnesses() ([]transparency.Witness, error) {
	var list []transparency.Witness
	known := map[string]bool{}
	proxy, err := proxyAt(l.Proxy)
	if err == nil && proxy != nil && len(l.Witnesses) == 0 {
		err = errors.New("there is a proxy to ask witnesses by, and no witness")
	}
	if err != nil {
		return nil, fmt.Errorf("the log in %s: %w", settingsFile, err)
	}
	for _, w := range l.Witnesses {
		client, err := witness.NewClient(witness.ClientOptions{VKey: w.Key, URL: w.URL, Proxy: proxy})
		if err != nil {
			return nil, fmt.Errorf("a witness of the log in %s: %w", settingsFile, err)
		}
		if known[client.Name()] {
			return nil, fault.New(fault.ConfigInvalid, "two witnesses of the log in %s are named %s", settingsFile, client.Name())
		}
		known[client.Name()] = true
		list = append(list, transparency.Witness{Name: client.Name(), Cosigner: cosigner{client}})
	}
	if len(list) > checkpoint.MaxCosignatures {
		return nil, fault.New(fault.ConfigInvalid, "a log has at most %d witnesses", checkpoint.MaxCosignatures)
	}
	return list, nil
}

// cosigner is a witness that is asked over HTTP.
type cosigner struct{ client *witness.Client }

// Cosign implements transparency.Cosigner.
func (c cosigner) Cosign(ctx context.Context, signed []byte, consistency func(ctx context.Context, old uint64) ([]translog.Hash, error)) ([]byte, error) {
	return c.client.Cosign(ctx, signed, consistency)
}

// names returns what the time-stamping authorities are called, in their order.
func (s authoritySettings) names() ([]string, error) {
	var list []string
	known := map[string]bool{}
	for _, one := range s.TimeStamps {
		name := one.Name
		if name == "" {
			if at, err := url.Parse(one.URL); err == nil {
				name = at.Host
			}
		}
		switch {
		case len(name) > checkpoint.MaxOrigin:
			return nil, fault.New(fault.ConfigInvalid, "the name of a time-stamping authority in %s has more than %d bytes", settingsFile, checkpoint.MaxOrigin)
		case known[name]:
			return nil, fault.New(fault.ConfigInvalid, "two time-stamping authorities in %s are named %q: give one another \"name\"", settingsFile, name)
		}
		known[name] = true
		list = append(list, name)
	}
	if len(list) > checkpoint.MaxStamps {
		return nil, fault.New(fault.ConfigInvalid, "there are at most %d time-stamping authorities", checkpoint.MaxStamps)
	}
	return list, nil
}

// stampers are the time-stamping authorities of the settings, each by itself.
func (n *node) stampers() []transparency.Authority {
	if n.authorities == nil {
		return nil
	}
	var list []transparency.Authority
	for i, one := range n.stamping.TimeStamps {
		list = append(list, transparency.Authority{Name: n.stampNames[i], Stamper: stamper{n.authorities, authorities.Stamps{URL: one.URL, Policy: one.Policy}}})
	}
	return list
}

// voucher fetches evidence on the time-stamping authorities.
func (n *node) voucher() transparency.Voucher {
	if n.authorities == nil {
		return nil
	}
	online := &signature.Online{Policy: n.policy, Sources: n.authorities, Clock: time.Now}
	return func(ctx context.Context, message, token []byte, now time.Time) (renewal.Kept, error) {
		return renewal.Gather(ctx, online, message, token, now)
	}
}

// aged are the algorithms that prove nothing any more.
func (l logSettings) aged() (renewal.Table, error) {
	table := renewal.Published()
	if l.Aged == nil {
		return table, nil
	}
	further, err := renewal.ParseTable(l.Aged)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", settingsFile, err)
	}
	return table.With(further...), nil
}

// stamper is one authority that is asked over HTTP.
type stamper struct {
	client *authorities.Client
	at     authorities.Stamps
}

// Stamp implements transparency.Stamper.
func (s stamper) Stamp(ctx context.Context, message []byte) ([]byte, error) {
	token, err := s.client.TimeTokenBy(ctx, s.at, pki.Identifier{OID: pki.OIDSHA256}, message)
	return token, coded(err)
}

// coded gives an error of the client of authorities its own code. The text,
// which has their host, stays in the log of the client.
func coded(err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	return fault.Wrap(fault.Code(cmp.Or(authorities.CodeOf(err), authorities.Unreachable)), err, "ask an authority")
}
