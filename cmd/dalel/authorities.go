package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"dalel/domain/signature"
	"dalel/internal/authorities"
)

// authoritySettings say what the ledger asks of the services of certification
// authorities. With the zero value it asks nobody anything, and judges
// signatures from what they carry.
type authoritySettings struct {
	// Fetch has missing evidence fetched: OCSP answers and revocation lists from
	// the addresses in the certificates, and time tokens from TimeStamps. Only
	// certificates that lead to a root in trust/ are asked about.
	Fetch bool `json:"fetch,omitempty"`
	// TimeStamps are time-stamping authorities (RFC 3161). For a signature they
	// are tried in this order until one answers; a checkpoint of the log is
	// stamped by each of them. Without any, nothing is given a time token.
	TimeStamps []timeStampSettings `json:"timeStamps,omitempty"`
	// Issuers name services to be asked in place of those in the certificates,
	// by the SHA-256 of the issuer's certificate in lower-case hex.
	Issuers map[string]issuerSettings `json:"issuers,omitempty"`
	// Proxy is the http or https address of a proxy for all of it. The
	// environment's is never used.
	Proxy string `json:"proxy,omitempty"`
	// Timeout is how long one service may take, as "10s"; 10 seconds unless set.
	Timeout string `json:"timeout,omitempty"`
}

// timeStampSettings are one time-stamping authority.
type timeStampSettings struct {
	// Name is how events and pages call it; its host if there is none.
	Name string `json:"name,omitempty"`
	URL  string `json:"url"`
	// Policy is the OID of the policy to ask for; any if there is none.
	Policy string `json:"policy,omitempty"`
}

// issuerSettings are the services for one issuer's certificates.
type issuerSettings struct {
	OCSP  string `json:"ocsp,omitempty"`
	CRL   string `json:"crl,omitempty"`
	Delta string `json:"delta,omitempty"`
}

// open opens the client that they describe, nil if nothing is to be fetched.
// Settings that would have no effect are an error: somebody relies on them.
func (s authoritySettings) open(policy *signature.Policy, cache string, log *slog.Logger) (*authorities.Client, error) {
	if !s.Fetch {
		if len(s.TimeStamps) > 0 || len(s.Issuers) > 0 || s.Proxy != "" || s.Timeout != "" {
			return nil, fmt.Errorf(`the authorities in %s are asked nothing without "fetch": true`, settingsFile)
		}
		return nil, nil
	}
	config := clientConfig(policy, log)
	config.Cache = cache
	for _, one := range s.TimeStamps {
		config.Stamps = append(config.Stamps, authorities.Stamps{URL: one.URL, Policy: one.Policy})
	}
	config.Issuers = map[string]authorities.Issuer{}
	for name, one := range s.Issuers {
		if len(name) != 64 || strings.Trim(name, "0123456789abcdef") != "" {
			return nil, fmt.Errorf("the issuer %q of the authorities in %s is not the SHA-256 of a certificate in lower-case hex", name, settingsFile)
		}
		config.Issuers[name] = authorities.Issuer{OCSP: one.OCSP, CRL: one.CRL, Delta: one.Delta}
	}
	proxy, err := proxyAt(s.Proxy)
	if err != nil {
		return nil, fmt.Errorf("the authorities in %s: %w", settingsFile, err)
	}
	config.Proxy = proxy
	if s.Timeout != "" {
		timeout, err := time.ParseDuration(s.Timeout)
		if err != nil || timeout <= 0 {
			return nil, fmt.Errorf("the timeout %q of the authorities in %s is not a time like 10s", s.Timeout, settingsFile)
		}
		config.Timeout = timeout
	}
	return authorities.Open(config)
}

// proxyAt reads the address of a proxy, nil for none: the environment is not
// asked, so that what leaves the ledger, and by which way, is in its settings.
func proxyAt(text string) (*url.URL, error) {
	if text == "" {
		return nil, nil
	}
	proxy, err := url.Parse(text)
	if err != nil || proxy.Scheme != "http" && proxy.Scheme != "https" || proxy.Host == "" {
		return nil, errors.New("the proxy is not an http or https address") // it may hold a password
	}
	return proxy, nil
}

// clientConfig is a client that trusts what a policy trusts.
func clientConfig(policy *signature.Policy, log *slog.Logger) authorities.Config {
	return authorities.Config{
		Roots: policy.Roots, Intermediates: policy.Intermediates, Responders: policy.Responders,
		Algorithms: policy.Known(), Version: version, Log: log,
	}
}

// onlineFlags are what `dalel signature verify` has fetched.
type onlineFlags struct {
	fetch  bool
	stamps string
}

// verifier is the policy, or the policy with what it lacks fetched. close lets go
// of the client.
func (f onlineFlags) verifier(policy *signature.Policy, log *slog.Logger) (_ signature.Verifier, close func() error, err error) {
	if !f.fetch {
		if f.stamps != "" {
			return nil, nil, errors.New("--tsa goes with --online")
		}
		return policy, func() error { return nil }, nil
	}
	config := clientConfig(policy, log)
	if f.stamps != "" {
		config.Stamps = []authorities.Stamps{{URL: f.stamps}}
	}
	client, err := authorities.Open(config)
	if err != nil {
		return nil, nil, err
	}
	return &signature.Online{Policy: policy, Sources: client, Clock: time.Now}, client.Close, nil
}
