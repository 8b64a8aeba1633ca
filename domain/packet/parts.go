package packet

import (
	"context"
	"slices"
	"strings"

	"dalel/blobs"
	"dalel/domain/document"
	"dalel/domain/packet/container"
)

// within returns the verification of one document's folder: what lies there,
// under names without the folder.
func (v *verification) within(folder, document string) *verification {
	part := &verification{
		archive: &container.Archive{}, trust: v.trust, algorithms: v.algorithms, folder: folder, log: v.log,
		held: map[string][]byte{}, digests: map[string]blobs.Digest{}, sizes: map[string]int64{},
	}
	for _, f := range v.archive.Files {
		name, ok := strings.CutPrefix(f.Name, folder)
		if !ok {
			continue
		}
		part.digests[name], part.sizes[name] = v.digests[f.Name], v.sizes[f.Name]
		if content, ok := v.held[f.Name]; ok {
			part.held[name] = content
		}
		f.Name = name
		part.archive.Files = append(part.archive.Files, f)
	}
	if v.manifest.Format != 0 {
		part.manifest = v.manifest
		part.manifest.Subject = Subject{Kind: KindDocument, Document: document}
	}
	return part
}

// checkParts verifies each document of a packet of several as one alone is
// verified, and then what is about all of them.
func (v *verification) checkParts(ctx context.Context) error {
	var folders []string
	for _, f := range v.archive.Files {
		if folder := documentFolder.FindString(f.Name); folder != "" && !slices.Contains(folders, folder) {
			folders = append(folders, folder)
		}
	}
	named := map[string]string{}
	for _, member := range v.manifest.Subject.Documents {
		named[member.Folder] = member.Document
		if !slices.Contains(folders, member.Folder) {
			folders = append(folders, member.Folder)
		}
	}
	slices.Sort(folders)
	var parts []*verification
	for _, folder := range folders {
		if len(parts) == MaxDocuments {
			v.claim(ClaimManifest).no(folder, "a packet has at most %d documents", MaxDocuments)
			break
		}
		part := v.within(folder, named[folder])
		if v.log.covered() {
			part.open(ClaimInclusion, inclusionTitle)
		}
		part.open(ClaimEvents, eventsTitle)
		if err := part.checkEvents(ctx); err != nil {
			return err
		}
		if err := part.checkContents(ctx); err != nil {
			return err
		}
		v.take(part)
		parts = append(parts, part)
	}
	v.open(ClaimJournal, "The extract from the journals follows from the events")
	v.open(ClaimReport, reportTitle)
	v.open(ClaimContents, contentsTitle)
	return v.checkTogether(parts)
}

// take adds a part's claims, under names that say which part.
func (v *verification) take(part *verification) {
	short := strings.TrimSuffix(strings.TrimPrefix(part.folder, "documents/"), "/") + "/"
	for _, f := range part.claims {
		f.ID = short + f.ID
		for i := range f.Files {
			f.Files[i] = part.folder + f.Files[i]
		}
		for i, p := range f.problems {
			f.problems[i].Claim = f.ID
			if p.File != "" {
				f.problems[i].File = part.folder + p.File
			}
		}
		for i, p := range f.doubts {
			f.doubts[i].Claim = f.ID
			if p.File != "" {
				f.doubts[i].File = part.folder + p.File
			}
		}
		v.claims = append(v.claims, f)
	}
	v.closed += part.closed
	for _, s := range part.signers {
		s.Signature = short + s.Signature
		v.signers = append(v.signers, s)
	}
	for _, d := range part.disputed {
		d.Signature = short + d.Signature
		v.disputed = append(v.disputed, d)
	}
}

// checkTogether holds what is about all documents against what follows from
// their events.
func (v *verification) checkTogether(parts []*verification) error {
	ends := []*findings{v.claim(ClaimJournal), v.claim(ClaimReport), v.claim(ClaimContents)}
	cannot := func(why string) error {
		for _, f := range ends {
			f.as(CodeDependent).unknown("cannot be told, because %s", why)
		}
		return nil
	}
	if v.manifest.Format == 0 {
		return cannot("manifest.json cannot be read")
	}
	w := &whole{manifest: v.manifest, log: v.log}
	w.manifest.Files = nil
	contents := v.claim(ClaimContents)
	for i, part := range parts {
		c := part.composition
		v.blind = v.blind || part.blind
		if c == nil {
			return cannot("the events of a document do not hold")
		}
		if part.folder != folderOf(i+1) {
			contents.no(part.folder, "its documents are not numbered from 0001 on")
		}
		if i > 0 && !first(parts[i-1].composition, c) {
			contents.no(part.folder, "its documents are not in the order of their first events, or one is there twice")
		}
		if err := inPeriod(v.manifest.Subject, c); err != nil {
			contents.against(part.blind, part.folder, "%v", err)
		}
		w.parts = append(w.parts, c)
		for _, item := range c.items {
			item.name = part.folder + item.name
			w.items = append(w.items, item)
		}
	}
	if err := w.compose(); err != nil {
		return err
	}
	expected := v.compare(w.items[w.own:])
	for _, item := range w.items[:w.own] {
		expected[item.name] = true
	}
	for _, part := range parts {
		for _, f := range part.archive.Files {
			expected[part.folder+f.Name] = true // each part names what is too much in it
		}
	}
	v.checkWhole(expected, w.manifest, w.items)
	return nil
}

// first says that one document's first event lies before another's.
func first(a, b *composition) bool {
	own := func(c *composition) record { return c.streams[document.StreamID(c.state.ID)][0] }
	return own(a).Position < own(b).Position
}
