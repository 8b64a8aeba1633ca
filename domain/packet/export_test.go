package packet

import (
	"context"
	"io"

	"dalel/blobs"
	"dalel/domain/signature"
)

// OpenSeal checks a seal over content.
func OpenSeal(ctx context.Context, sealed, content []byte) error {
	_, err := openSeal(ctx, signature.StandardAlgorithms(), sealed, content)
	return err
}

// SafeNames gives names to files as one document's.
func SafeNames(list ...string) []string {
	var n names
	for i, name := range list {
		list[i] = n.safe(name)
	}
	return list
}

// DigestText is a SHA-256 as manifests write it.
func DigestText(content []byte) string { return blobs.Sum(content).String() }

// Lists returns manifest.json, manifest-sha256.txt and the ASiC manifest.
func Lists(m Manifest) (manifest, sha256, asic []byte) {
	manifest, err := encode(m)
	if err != nil {
		return nil, nil, nil
	}
	sha256 = sums(m, manifest)
	return manifest, sha256, asicManifest(m, manifest, sha256)
}

// ExportFormat exports a document as an older version did: 2 is that before the
// report, 3 that before the transparency log.
func ExportFormat(ctx context.Context, format int, out io.Writer, request Request) (Manifest, error) {
	head, stories, err := gather(ctx, request)
	if err != nil {
		return Manifest{}, err
	}
	head.Format = format
	w, err := composeWhole(head, stories, nil)
	if err != nil {
		return Manifest{}, err
	}
	return write(ctx, out, request.Content, request.Sealer, w.manifest, w.items)
}
