//go:build tools

// Package tools pins the S3 server that the tests of dalel/blobs/s3 run
// against, in a module of its own: nothing of it gets into Dalel's go.mod.
package tools

import _ "github.com/minio/minio"
