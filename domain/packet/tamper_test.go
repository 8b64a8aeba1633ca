package packet_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"dalel/domain/document"
	"dalel/domain/packet"
	"dalel/domain/packet/container"
	"dalel/domain/packet/packettest"
	"dalel/eventstore"
	"dalel/internal/testca"

	"github.com/stretchr/testify/require"
)

// entry is a file of a packet that a test takes apart.
type entry struct {
	name    string
	content []byte
	comment string
}

// unzip reads an untouched packet.
func unzip(t testing.TB, packed []byte) []entry {
	t.Helper()
	archive, err := container.Read(bytes.NewReader(packed), int64(len(packed)))
	require.NoError(t, err)
	require.Empty(t, archive.Problems)
	var entries []entry
	for _, f := range archive.Files {
		content, err := io.ReadAll(f.Open())
		require.NoError(t, err)
		entries = append(entries, entry{name: f.Name, content: content})
	}
	return entries
}

// zip writes entries in the exact form of a packet, with none of its checks:
// any order, any name, as often as wanted.
func zip(entries []entry) []byte {
	var out, directory []byte
	le := binary.LittleEndian
	for _, e := range entries {
		var flags uint16
		if strings.ContainsFunc(e.name, func(r rune) bool { return r > 0x7f }) {
			flags = 1 << 11
		}
		var common []byte
		for _, v := range []uint16{20, flags, 0, 0, 0x21} {
			common = le.AppendUint16(common, v)
		}
		for _, v := range []uint32{crc32.ChecksumIEEE(e.content), uint32(len(e.content)), uint32(len(e.content))} {
			common = le.AppendUint32(common, v)
		}
		common = le.AppendUint16(common, uint16(len(e.name)))
		common = le.AppendUint16(common, 0)
		directory = le.AppendUint32(directory, 0x02014b50)
		directory = le.AppendUint16(directory, 3<<8|20)
		directory = append(directory, common...)
		directory = le.AppendUint16(directory, uint16(len(e.comment)))
		directory = append(directory, make([]byte, 4)...)
		directory = le.AppendUint32(directory, 0o100644<<16)
		directory = le.AppendUint32(directory, uint32(len(out)))
		directory = append(directory, e.name+e.comment...)
		out = le.AppendUint32(out, 0x04034b50)
		out = append(out, common...)
		out = append(out, e.name...)
		out = append(out, e.content...)
	}
	offset := len(out)
	out = append(out, directory...)
	out = le.AppendUint32(out, 0x06054b50)
	out = le.AppendUint32(out, 0)
	out = le.AppendUint16(out, uint16(len(entries)))
	out = le.AppendUint16(out, uint16(len(entries)))
	out = le.AppendUint32(out, uint32(len(directory)))
	out = le.AppendUint32(out, uint32(offset))
	return le.AppendUint16(out, 0)
}

// tampering is a packet that was changed, and the files that must be named.
type tampering struct {
	packed []byte
	files  []string
	what   string
}

type tamperer struct {
	t        testing.TB
	random   *rand.Rand
	ledger   *packettest.Ledger
	original []byte
	entries  []entry
	forger   *testca.Identity
}

// at picks a place: by bytes half of the time, else by files, so that small
// files and the archive's own records are met as well. The file is the one
// whose header or content it lies in, "" beyond.
func (m *tamperer) at() (int, string) {
	starts := []int{0}
	for _, e := range m.entries {
		starts = append(starts, starts[len(starts)-1]+30+len(e.name)+len(e.content))
	}
	where := func(offset int) string {
		for i, e := range m.entries {
			if offset < starts[i+1] {
				return e.name
			}
		}
		return ""
	}
	if m.random.IntN(2) == 0 {
		offset := m.random.IntN(len(m.original))
		return offset, where(offset)
	}
	i := m.random.IntN(len(starts))
	end := len(m.original)
	if i+1 < len(starts) {
		end = starts[i+1]
	}
	offset := starts[i] + m.random.IntN(end-starts[i])
	return offset, where(offset)
}

func names(names ...string) []string {
	return slices.DeleteFunc(names, func(n string) bool { return n == "" })
}

// some picks an entry other than those named.
func (m *tamperer) some(but ...string) int {
	for {
		if i := m.random.IntN(len(m.entries)); !slices.Contains(but, m.entries[i].name) {
			return i
		}
	}
}

// changed returns content with one change somewhere.
func (m *tamperer) changed(content []byte) []byte {
	content = slices.Clone(content)
	if len(content) == 0 {
		return []byte{'x'}
	}
	i := m.random.IntN(len(content))
	switch m.random.IntN(3) {
	case 0:
		content[i] ^= byte(1 + m.random.IntN(255))
	case 1:
		content = slices.Insert(content, i, byte(m.random.IntN(256)), byte(m.random.IntN(256)))
	default:
		content = slices.Delete(content, i, i+1)
	}
	return content
}

func (m *tamperer) clone() []entry { return slices.Clone(m.entries) }

// relist makes the three lists of hashes anew for entries that were changed,
// as somebody would who has everything but the operator's key; with a sealer
// the seal, too.
func (m *tamperer) relist(entries []entry, sealer packet.Sealer) []entry {
	var manifest packet.Manifest
	contents := map[string][]byte{}
	for _, e := range entries {
		contents[e.name] = e.content
	}
	require.NoError(m.t, json.Unmarshal(contents["manifest.json"], &manifest))
	for i, f := range manifest.Files {
		manifest.Files[i].Size = int64(len(contents[f.Path]))
		manifest.Files[i].SHA256 = packet.DigestText(contents[f.Path])
	}
	if sealer != nil {
		manifest.Operator.Certificate = packet.DigestText(sealer.Certificate().Raw)
	}
	encoded, sums, asic := packet.Lists(manifest)
	contents["manifest.json"], contents["manifest-sha256.txt"], contents["META-INF/ASiCManifest.xml"] = encoded, sums, asic
	if sealer != nil {
		sealed, err := sealer.Seal(m.t.Context(), asic)
		require.NoError(m.t, err)
		contents["META-INF/signature.p7s"] = sealed
	}
	entries = slices.Clone(entries)
	for i, e := range entries {
		entries[i].content = contents[e.name]
	}
	return entries
}

var lists = []string{"manifest.json", "manifest-sha256.txt", "META-INF/ASiCManifest.xml", "META-INF/signature.p7s", "mimetype"}

func kinds() map[string]func(m *tamperer) tampering {
	return map[string]func(m *tamperer) tampering{
		"flip a byte": func(m *tamperer) tampering {
			i, file := m.at()
			packed := slices.Clone(m.original)
			packed[i] ^= byte(1 + m.random.IntN(255))
			return tampering{packed, names(file), fmt.Sprintf("byte %d", i)}
		},
		"remove a byte": func(m *tamperer) tampering {
			i, file := m.at()
			return tampering{slices.Delete(slices.Clone(m.original), i, i+1), names(file), fmt.Sprintf("byte %d", i)}
		},
		"insert a byte": func(m *tamperer) tampering {
			i, file := m.at()
			return tampering{slices.Insert(slices.Clone(m.original), i, byte(m.random.IntN(256))), names(file), fmt.Sprintf("before byte %d", i)}
		},
		"truncate": func(m *tamperer) tampering {
			i, file := m.at()
			return tampering{m.original[:i], names(file), fmt.Sprintf("at byte %d", i)}
		},
		"append": func(m *tamperer) tampering {
			var tail []byte
			switch m.random.IntN(3) {
			case 0:
				tail = make([]byte, 1+m.random.IntN(40))
			case 1:
				tail = m.original[len(m.original)-22:] // a second end record
			default:
				tail = m.original // a second archive
			}
			return tampering{slices.Concat(m.original, tail), nil, fmt.Sprintf("%d bytes", len(tail))}
		},
		"swap two entries": func(m *tamperer) tampering {
			entries := m.clone()
			i := m.some()
			j := m.some(entries[i].name)
			entries[i], entries[j] = entries[j], entries[i]
			return tampering{zip(entries), names(entries[i].name, entries[j].name), entries[i].name + " and " + entries[j].name}
		},
		"remove an entry": func(m *tamperer) tampering {
			i := m.some()
			return tampering{zip(slices.Delete(m.clone(), i, i+1)), names(m.entries[i].name), m.entries[i].name}
		},
		"add an entry": func(m *tamperer) tampering {
			folders := []string{"document/", "events/", "signatures/01/", "META-INF/", "signatures/01/chain/", ""}
			name := folders[m.random.IntN(len(folders))] + fmt.Sprintf("added-%d.txt", m.random.IntN(1000))
			entries := append(m.clone(), entry{name: name, content: []byte("added")})
			slices.SortFunc(entries[1:], func(a, b entry) int { return strings.Compare(a.name, b.name) })
			return tampering{zip(entries), names(name), name}
		},
		"rename an entry": func(m *tamperer) tampering {
			entries := m.clone()
			i := m.some("mimetype")
			old := entries[i].name
			entries[i].name += fmt.Sprint(m.random.IntN(10))
			name := entries[i].name
			slices.SortFunc(entries[1:], func(a, b entry) int { return strings.Compare(a.name, b.name) })
			return tampering{zip(entries), names(old, name), old}
		},
		"duplicate an entry": func(m *tamperer) tampering {
			entries := m.clone()
			i := m.some()
			twin := entries[i]
			if m.random.IntN(2) == 0 {
				twin.content = m.changed(twin.content)
			}
			return tampering{zip(slices.Insert(entries, i+m.random.IntN(2), twin)), names(twin.name), twin.name}
		},
		"write a comment": func(m *tamperer) tampering {
			if m.random.IntN(2) == 0 {
				packed := slices.Concat(m.original, []byte("hello"))
				packed[len(m.original)-2] = 5
				return tampering{packed, nil, "of the archive"}
			}
			entries := m.clone()
			i := m.some()
			entries[i].comment = "hello"
			return tampering{zip(entries), names(entries[i].name), "of " + entries[i].name}
		},
		"change content": func(m *tamperer) tampering {
			entries := m.clone()
			i := m.some()
			entries[i].content = m.changed(entries[i].content)
			return tampering{zip(entries), names(entries[i].name), entries[i].name}
		},
		"change content and all lists": func(m *tamperer) tampering {
			entries := m.clone()
			i := m.some(lists...)
			entries[i].content = m.changed(entries[i].content)
			return tampering{zip(m.relist(entries, nil)), names(entries[i].name), entries[i].name}
		},
		"change content, lists and the seal": func(m *tamperer) tampering {
			entries := m.clone()
			i := m.some(lists...)
			entries[i].content = m.changed(entries[i].content)
			sealer, err := packet.NewSealer(m.forger.Certificate, m.forger.Key)
			require.NoError(m.t, err)
			return tampering{zip(m.relist(entries, sealer)), names(entries[i].name), entries[i].name}
		},
		"forge the whole history": func(m *tamperer) tampering {
			// Every event is chained anew, every list made, and the packet
			// sealed, all by the rules, with another key: only the anchor and
			// the parties' signatures can tell.
			sealer, err := packet.NewSealer(m.forger.Certificate, m.forger.Key)
			require.NoError(m.t, err)
			request := m.ledger.Request()
			request.Sealer = sealer
			request.Events = forgedSource{m.ledger, fmt.Sprintf("Forged %d", m.random.IntN(1000))}
			var out bytes.Buffer
			_, err = packet.Export(m.t.Context(), &out, request)
			require.NoError(m.t, err)
			return tampering{out.Bytes(), nil, "the title"}
		},
	}
}

// forgedSource is a ledger whose document has another title, with a chain that
// fits it.
type forgedSource struct {
	*packettest.Ledger
	title string
}

func (f forgedSource) ReadStream(ctx context.Context, stream eventstore.StreamID, from eventstore.Revision, limit int) iter.Seq2[eventstore.Recorded, error] {
	if stream.Category() != document.Category {
		return f.Ledger.ReadStream(ctx, stream, from, limit)
	}
	return func(yield func(eventstore.Recorded, error) bool) {
		var head eventstore.Head
		for r, err := range f.Ledger.ReadStream(ctx, stream, from, limit) {
			if err != nil {
				yield(r, err)
				return
			}
			metadata, err := r.ReadMetadata()
			if err != nil {
				yield(r, err)
				return
			}
			data := bytes.Replace(r.Data, []byte(`=Договор, \"поставка\"`), []byte(f.title), 1)
			events, err := eventstore.Chain(stream, head, eventstore.Draft{Type: r.Type, Data: data, Metadata: metadata})
			if err != nil {
				yield(r, err)
				return
			}
			head = events[0].Head()
			if !yield(eventstore.Recorded{Event: events[0], Position: r.Position}, nil) {
				return
			}
		}
	}
}

func newTamperer(t testing.TB, seed uint64) *tamperer {
	l := newLedger(t)
	m := &tamperer{t: t, random: rand.New(rand.NewPCG(seed, 7)), ledger: l, original: export(t, l)}
	m.entries = unzip(t, m.original)
	require.Equal(t, m.original, zip(m.entries), "the test writes the same form")
	require.Equal(t, m.entries, m.relist(m.entries, nil), "and the same lists")
	var err error
	m.forger, err = l.Issue(testca.P256)
	require.NoError(t, err)
	return m
}

func TestR_M2_OfAThousandChangesEachIsFoundAndNamed(t *testing.T) {
	m := newTamperer(t, 2026)
	all := kinds()
	order := slices.Sorted(maps.Keys(all))
	found, named, unreadable := map[string]int{}, map[string]int{}, map[string]int{}
	changes := 1005
	if testing.Short() {
		changes = 3 * len(order)
	}
	for i := range changes {
		kind := order[i%len(order)]
		change := all[kind](m)
		require.NotEqual(t, m.original, change.packed, kind)
		report, err := packet.Verify(t.Context(), bytes.NewReader(change.packed), int64(len(change.packed)), packet.Options{Trust: m.ledger.Trust()})
		if err != nil {
			require.Equal(t, "truncate", kind, "%s of %s: %v", kind, change.what, err)
			unreadable[kind]++
			found[kind]++
			continue
		}
		require.NotEqual(t, packet.Good, report.Status, "%s of %s was not found", kind, change.what)
		found[kind]++
		if kind == "forge the whole history" {
			require.Equal(t, packet.Untrusted, report.Status)
			seal, _ := report.Claim(packet.ClaimSeal)
			require.Equal(t, packet.NotAnchored, seal.Holds)
			continue
		}
		require.Equal(t, packet.Bad, report.Status, "%s of %s: %+v", kind, change.what, report.Claims)
		require.NotEmpty(t, report.Problems)
		for _, p := range report.Problems {
			claim, ok := report.Claim(p.Claim)
			require.True(t, ok && claim.Holds == packet.No, "a problem goes against a claim: %+v", p)
		}
		for _, file := range change.files {
			require.True(t, slices.ContainsFunc(report.Problems, func(p packet.Problem) bool { return p.File == file }),
				"%s of %s: %q is not named in %+v", kind, change.what, file, report.Problems)
			named[kind]++
		}
	}
	for _, kind := range order {
		t.Logf("%-36s %3d made and found, %3d files named, %d left nothing to read", kind, found[kind], named[kind], unreadable[kind])
	}
}

func TestR_M2_EveryBitOfTheSealCounts(t *testing.T) {
	m := newTamperer(t, 1)
	contents := map[string][]byte{}
	for _, e := range m.entries {
		contents[e.name] = e.content
	}
	content, sealed := contents["META-INF/ASiCManifest.xml"], contents["META-INF/signature.p7s"]
	require.NoError(t, packet.OpenSeal(t.Context(), sealed, content))
	for bit := range 8 * len(sealed) {
		changed := slices.Clone(sealed)
		changed[bit/8] ^= 1 << (bit % 8)
		require.Error(t, packet.OpenSeal(t.Context(), changed, content), "bit %d of byte %d", bit%8, bit/8)
	}
	t.Logf("%d bits", 8*len(sealed))
}
