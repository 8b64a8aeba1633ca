package s3

import (
	"net/url"
	"os"
	"strings"

	"dalel/internal/fault"
)

// Config says where a key store is.
type Config struct {
	// Endpoint is host:port of the S3 service; Secure that it speaks TLS.
	Endpoint string
	Secure   bool
	// Region is empty where the service has one only.
	Region string
	Bucket string
	// Prefix comes before the objects' names and a slash; it may be empty.
	Prefix string

	AccessKey, SecretKey string
}

// String leaves the secrets out.
func (c Config) String() string { return "s3://" + c.Bucket + "/" + c.Prefix + " at " + c.Endpoint }

// GoString is String.
func (c Config) GoString() string { return c.String() }

// ParseURL reads
//
//	s3://bucket/prefix?endpoint=http://host:9000&region=kz-1
//
// and takes the keys from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. Without
// an endpoint it is Amazon's. Every error is config.invalid.
func ParseURL(address string) (Config, error) {
	refuse := func(why string) (Config, error) {
		return Config{}, fault.New(fault.ConfigInvalid, "the key store's address %s", why)
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "s3" || u.Host == "" || u.User != nil || u.Fragment != "" || u.Port() != "" {
		// The address is not repeated: somebody may have written a secret
		// into it.
		return refuse("is written as s3://bucket/prefix?endpoint=https://host:port")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return refuse("has a query that cannot be read")
	}
	for name, values := range query {
		if (name != "endpoint" && name != "region") || len(values) != 1 {
			return refuse("takes endpoint and region, each once")
		}
	}
	config := Config{
		Endpoint: "s3.amazonaws.com", Secure: true, Region: query.Get("region"),
		Bucket: u.Host, Prefix: strings.Trim(u.Path, "/"),
		AccessKey: os.Getenv("AWS_ACCESS_KEY_ID"), SecretKey: os.Getenv("AWS_SECRET_ACCESS_KEY"),
	}
	for segment := range strings.SplitSeq(config.Prefix, "/") {
		if segment == "." || segment == ".." || (segment == "" && config.Prefix != "") {
			return refuse("has a prefix that is no path")
		}
	}
	if query.Has("endpoint") {
		endpoint, err := url.Parse(query.Get("endpoint"))
		if err != nil || (endpoint.Scheme != "http" && endpoint.Scheme != "https") || endpoint.Host == "" ||
			endpoint.User != nil || strings.Trim(endpoint.Path, "/") != "" || endpoint.RawQuery != "" {
			return refuse("has an endpoint that is not http://host:port or https://host:port")
		}
		config.Endpoint, config.Secure = endpoint.Host, endpoint.Scheme == "https"
	}
	if config.AccessKey == "" || config.SecretKey == "" {
		return refuse("needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment")
	}
	return config, nil
}
