package s3

import (
	"net/url"
	"strings"
	"time"

	"dalel/internal/fault"
)

// ParseURL reads a store's place from text:
//
//	s3://bucket/prefix?endpoint=https://host:9000&region=eu-central-1&first=720h
//
// The prefix and every parameter may be left out; without an endpoint the
// server is Amazon's. The parameter make=true is Options.Make, staging=FOLDER
// is Options.Staging. Credentials are no part of it: Open takes them from the
// environment.
//
// Anything else is config.invalid, and the error repeats nothing of the text:
// if somebody wrote a key into it after all, it shall not reach a log.
func ParseURL(text string) (Options, error) {
	wrong := func(what string) (Options, error) {
		return Options{}, fault.New(fault.ConfigInvalid, "the S3 store's URL %s; it looks like this: "+
			"s3://bucket/prefix?endpoint=https://host:9000&region=eu-central-1&first=720h", what)
	}
	place, err := url.Parse(text)
	switch {
	case err != nil:
		return wrong("cannot be read")
	case place.Scheme != "s3" || place.Opaque != "":
		return wrong("does not begin with s3://")
	case place.User != nil:
		return wrong("has a user in it: credentials belong in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	case place.Host == "" || place.Port() != "":
		return wrong("names no bucket (a host and port go into endpoint)")
	case place.Fragment != "" || strings.Contains(text, "#"):
		return wrong("has a fragment")
	}
	options := Options{Bucket: place.Host, Prefix: strings.Trim(place.Path, "/"), Endpoint: DefaultEndpoint, Secure: true}
	query, err := url.ParseQuery(place.RawQuery)
	if err != nil {
		return wrong("has parameters that cannot be read")
	}
	for name, values := range query {
		if len(values) != 1 || values[0] == "" {
			return wrong("has a parameter that is empty or comes twice")
		}
		value := values[0]
		switch name {
		case "endpoint":
			endpoint, err := url.Parse(value)
			if err != nil || endpoint.Scheme != "http" && endpoint.Scheme != "https" || endpoint.Host == "" ||
				endpoint.User != nil || strings.Trim(endpoint.Path, "/") != "" || endpoint.RawQuery != "" || endpoint.Fragment != "" {
				return wrong("has an endpoint that is not http:// or https:// with a host, and a port if need be, alone")
			}
			options.Endpoint, options.Secure = endpoint.Host, endpoint.Scheme == "https"
		case "region":
			options.Region = value
		case "first":
			first, err := time.ParseDuration(value)
			if err != nil || first <= 0 {
				return wrong(`has a first period that is not a time such as "720h"`)
			}
			options.First = first
		case "make":
			if value != "true" && value != "false" {
				return wrong("has a make that is neither true nor false")
			}
			options.Make = value == "true"
		case "staging":
			options.Staging = value
		default:
			return wrong("has a parameter other than endpoint, region, first, make and staging")
		}
	}
	return options, nil
}
