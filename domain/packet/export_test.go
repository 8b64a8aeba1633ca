package packet

import (
	"bytes"
	"context"
	"io"
	"slices"

	"dalel/blobs"
	"dalel/domain/certificate"
	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/domain/packet/container"
	"dalel/domain/participant"
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
// report, 3 that before the transparency log, 4 that before the issuers of the
// log's time tokens.
func ExportFormat(ctx context.Context, format int, out io.Writer, request Request) (Manifest, error) {
	codec, err := newCodec()
	if err != nil {
		return Manifest{}, err
	}
	head, stories, err := gather(ctx, request, codec)
	if err != nil {
		return Manifest{}, err
	}
	head.Format = format
	var log *logPart
	if format >= formatLog {
		if log, err = gatherLog(ctx, request, stories); err != nil {
			return Manifest{}, err
		}
		log.issuers = make([][][]byte, len(log.stamps))
		head.Log = &log.head
	}
	w, err := composeWhole(head, stories, log)
	if err != nil {
		return Manifest{}, err
	}
	return write(ctx, out, request.Content, request.Sealer, w.manifest, w.items)
}

// ExportLater exports as a later version of the ledger does, which has these
// events too, or in place of those of the same types.
func ExportLater(ctx context.Context, later []event.Definition, out io.Writer, request Request) (Manifest, error) {
	definitions := slices.Concat(document.Events(), participant.Events(), certificate.Events())
	definitions = slices.DeleteFunc(definitions, func(d event.Definition) bool {
		return slices.ContainsFunc(later, func(l event.Definition) bool { return l.Zero.EventType() == d.Zero.EventType() })
	})
	codec, err := event.NewCodec(definitions, later)
	if err != nil {
		return Manifest{}, err
	}
	return exportWith(ctx, codec, out, request)
}

// ExportSwapped exports a document as an operator would who holds the seal and
// tells another story: the event number at, from 1, stands before the one that
// came before it. Each stays where it is in its own stream and in the log. It
// says whether the two are of different streams; if not, nothing is written.
func ExportSwapped(ctx context.Context, at int, out io.Writer, request Request) (swapped bool, err error) {
	codec, err := newCodec()
	if err != nil {
		return false, err
	}
	head, stories, err := gather(ctx, request, codec)
	if err != nil {
		return false, err
	}
	log, err := gatherLog(ctx, request, stories)
	if err != nil {
		return false, err
	}
	head.Log = &log.head
	history := stories[0].history
	one, two := &history[at-2], &history[at-1]
	if one.Stream == two.Stream {
		return false, nil
	}
	one.Position, two.Position = two.Position, one.Position
	*one, *two = *two, *one
	w, err := composeWhole(head, stories, log)
	if err != nil {
		return false, err
	}
	_, err = write(ctx, out, request.Content, request.Sealer, w.manifest, w.items)
	return true, err
}

// Held is what Export says of the sizes of files.
func Held(sizes map[string]int64) error {
	var items []item
	for name, size := range sizes {
		items = append(items, item{name: name, size: size})
	}
	return held(items)
}

// FrameProblems are what Verify would report of a packet first: of its frame
// and, where name is one of its files, of that file's content, without looking
// at the others.
func FrameProblems(ctx context.Context, packed []byte, name string) ([]Problem, error) {
	archive, err := container.Read(bytes.NewReader(packed), int64(len(packed)))
	if err != nil {
		return nil, err
	}
	if file, ok := archive.File(name); ok {
		archive.Files = []container.File{file}
	} else {
		archive.Files = nil
	}
	v := &verification{archive: archive, held: map[string][]byte{}, digests: map[string]blobs.Digest{}}
	if err := v.readArchive(ctx); err != nil {
		return nil, err
	}
	return v.report(Manifest{}).Problems, nil
}

// LogReport is what Verify finds about the log alone, in files that somebody
// who holds the operator's seal has put together.
func LogReport(ctx context.Context, files map[string][]byte, manifest Manifest, trust Trust) (Report, error) {
	codec, err := newCodec()
	if err != nil {
		return Report{}, err
	}
	v := &verification{archive: &container.Archive{}, trust: trust, algorithms: signature.StandardAlgorithms(), held: files, manifest: manifest}
	for _, f := range manifest.Files {
		if eventNamePattern.MatchString(f.Path) {
			r, err := decodeEvent(ctx, codec, files[f.Path])
			if err != nil {
				return Report{}, err
			}
			v.history = append(v.history, r)
		}
	}
	v.readLog()
	v.checkLog()
	v.checkProofs()
	return v.report(manifest), nil
}
