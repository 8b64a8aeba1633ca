package packet_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/domain/packet"
	"dalel/domain/packet/packettest"
	"dalel/internal/cosignature"
	"dalel/internal/fault"
	"dalel/internal/testca"

	"github.com/stretchr/testify/require"
)

// confirmed publishes a checkpoint that is cosigned and stamped.
func confirmed(t testing.TB, l *packettest.Ledger) uint64 {
	t.Helper()
	size, err := l.Publish(t.Context())
	require.NoError(t, err)
	require.NoError(t, l.Cosign(size))
	require.NoError(t, l.Stamp(size, l.Now()))
	return size
}

func kept(t testing.TB, options packettest.Options) *packettest.Ledger {
	t.Helper()
	l, err := packettest.NewWith(t.Context(), options)
	require.NoError(t, err)
	require.NoError(t, l.KeepLog(t.Context()))
	return l
}

func TestR_M4_APacketProvesEachEventUnderACheckpointThatOthersConfirm(t *testing.T) {
	l := kept(t, packettest.Options{})
	size := confirmed(t, l)
	packed := export(t, l)
	report := verify(t, packed, l.Trust())
	require.Equal(t, packet.Good, report.Status, "%+v", report.Claims)
	require.Equal(t, &packet.LogHead{Origin: packettest.Origin, Size: size, AsOf: 3}, report.Manifest.Log)
	for id, says := range map[string]string{
		packet.ClaimCheckpoint: fmt.Sprintf("%d events, root ", size), packet.ClaimInclusion: "the log's key is among your anchors",
		packet.ClaimWitnesses: "cosigned by witness.test/w1 at ", "timestamp-01": "existed at 20",
	} {
		claim, ok := report.Claim(id)
		require.True(t, ok, id)
		require.Equal(t, packet.Yes, claim.Holds)
		require.Contains(t, claim.Detail, says)
	}
	files := contents(unzip(t, packed))
	for _, name := range []string{"log/checkpoint", "log/checkpoint.note", "log/log.vkey", "log/timestamps/01.tst", "proofs/0001.tlog-proof", "proofs/0020.tlog-proof"} {
		require.Contains(t, files, name)
	}
	require.Contains(t, files["README.txt"], "witness.test/w1")
	for _, wrong := range []string{"Меток времени на ней в пакете нет", "keeps no transparency log", "оның уақыт белгілері пакетте жоқ"} {
		require.NotContains(t, files["README.txt"], wrong)
	}
	require.True(t, strings.Contains(files["report.html"], packettest.Origin))
	require.True(t, strings.Contains(files["report.html"], "witness.test/w1"))
}

func TestR_M4_WhatIsNotAmongTheAnchorsIsNotAnchored(t *testing.T) {
	l := kept(t, packettest.Options{})
	confirmed(t, l)
	packed := export(t, l)
	for what, c := range map[string]struct {
		change func(*packet.Trust)
		claims map[string]packet.Answer
	}{
		"no key of the log": {func(trust *packet.Trust) { trust.Logs = nil }, map[string]packet.Answer{
			packet.ClaimCheckpoint: packet.NotAnchored, packet.ClaimInclusion: packet.NotAnchored, packet.ClaimWitnesses: packet.Yes,
		}},
		"no witness": {func(trust *packet.Trust) { trust.Witnesses = nil }, map[string]packet.Answer{packet.ClaimWitnesses: packet.NotAnchored, packet.ClaimInclusion: packet.Yes}},
		"another witness": {func(trust *packet.Trust) { trust.Witnesses = []packet.Key{{VKey: stranger(t).VKey()}} }, map[string]packet.Answer{
			packet.ClaimWitnesses: packet.CannotTell,
		}},
		"no root": {func(trust *packet.Trust) { trust.Roots = nil }, map[string]packet.Answer{"timestamp-01": packet.NotAnchored}},
		"a policy that is not satisfied": {func(trust *packet.Trust) {
			policy, err := cosignature.ParsePolicy([]byte("log " + l.LogKey() + "\nwitness a " + l.WitnessKey() + "\nwitness b " + stranger(t).VKey() + "\ngroup g all a b\nquorum g\n"))
			require.NoError(t, err)
			trust.Policy = &policy
		}, map[string]packet.Answer{packet.ClaimWitnesses: packet.CannotTell}},
	} {
		trust := l.Trust()
		c.change(&trust)
		report := verify(t, packed, trust)
		require.Equal(t, packet.Untrusted, report.Status, what)
		for id, answer := range c.claims {
			require.Equal(t, answer, holds(t, report, id), "%s: %s", what, id)
		}
	}
}

func TestR_M4_WhoAsksForNoWitnessIsContentWithACheckpointThatHasSome(t *testing.T) {
	l := kept(t, packettest.Options{})
	confirmed(t, l)
	packed := export(t, l)
	policy, err := cosignature.ParsePolicy([]byte("log " + l.LogKey() + "\nquorum none\n"))
	require.NoError(t, err)
	trust := l.Trust()
	trust.Policy, trust.Witnesses = &policy, nil
	report := verify(t, packed, trust)
	require.Equal(t, packet.Yes, holds(t, report, packet.ClaimWitnesses))
	require.Equal(t, packet.Good, report.Status, "%+v", report.Claims)
}

func stranger(t testing.TB) cosignature.Key {
	t.Helper()
	key, err := cosignature.NewKey("witness.test/stranger", randomReader{})
	require.NoError(t, err)
	return key
}

// A folder of anchors has keys and a policy beside the certificates.
func TestR_M2_AFolderOfAnchorsHasTheKeysOfLogsAndWitnesses(t *testing.T) {
	l := kept(t, packettest.Options{})
	confirmed(t, l)
	packed := export(t, l)
	write := func(files map[string]string) (packet.Trust, error) {
		folder := t.TempDir()
		require.NoError(t, l.WriteTrust(folder))
		for name, text := range files {
			require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600))
		}
		return packet.LoadTrust(folder)
	}
	policy := "log " + l.LogKey() + "\nwitness w " + l.WitnessKey() + "\nquorum w\n"
	for what, files := range map[string]map[string]string{
		"keys": {"witness.vkey": l.WitnessKey() + "\n"}, "a policy": {"policy": policy}, "keys and comments": {"all.vkey": "# mine\n\n" + l.WitnessKey() + "\n" + stranger(t).VKey() + "\n"},
	} {
		trust, err := write(files)
		require.NoError(t, err, what)
		report := verify(t, packed, trust)
		require.Equal(t, packet.Good, report.Status, "%s: %+v", what, report.Claims)
	}
	trust, err := write(map[string]string{"policy": policy, "log.vkey": stranger(t).VKey()})
	require.NoError(t, err)
	require.Equal(t, packet.Yes, holds(t, verify(t, packed, trust), packet.ClaimCheckpoint), "the policy names the log")
	for name, text := range map[string]string{"bad.vkey": "no key", "empty.vkey": "\n", "policy": "quorum nobody\n"} {
		_, err := write(map[string]string{name: text})
		require.Equal(t, fault.ConfigInvalid, fault.CodeOf(err), name)
	}
}

// The packet is that of the first checkpoint that a time token is over: those
// that came meanwhile change nothing.
func TestR_M1_LaterCheckpointsLeaveThePacketAsItWas(t *testing.T) {
	l := kept(t, packettest.Options{})
	early, err := l.Publish(t.Context())
	require.NoError(t, err)
	unconfirmed := export(t, l)
	require.Equal(t, early, verify(t, unconfirmed, l.Trust()).Manifest.Log.Size)
	l.Append(document.StreamID(packettest.Second), document.Acknowledged{Document: packettest.Second, Recipient: packettest.Sender, By: event.By{Participant: packettest.Sender}, AcknowledgedAt: l.Now()})
	stamped := confirmed(t, l)
	first := export(t, l)
	report := verify(t, first, l.Trust())
	require.Equal(t, packet.Good, report.Status, "%+v", report.Claims)
	require.Equal(t, stamped, report.Manifest.Log.Size)
	for range 40 {
		confirmed(t, l)
	}
	require.Equal(t, first, export(t, l))

	// And each packet can be had again as it was.
	request := l.Request()
	request.Log.AsOf = 1
	require.Equal(t, unconfirmed, exported(t, request))
	request = l.Request()
	request.Log.Checkpoint = early
	require.Equal(t, unconfirmed, exported(t, request))
	request.Log.Checkpoint = early + 1
	_, err = packet.Export(t.Context(), &bytes.Buffer{}, request)
	require.Equal(t, fault.RequestInvalid, fault.CodeOf(err))
	request.Log.Checkpoint = 3
	_, err = packet.Export(t.Context(), &bytes.Buffer{}, request)
	require.Equal(t, fault.RequestInvalid, fault.CodeOf(err))
}

func TestR_M4_APacketWithoutACheckpointThatCoversItSaysSo(t *testing.T) {
	l := kept(t, packettest.Options{})
	packed := export(t, l)
	report := verify(t, packed, l.Trust())
	require.Equal(t, packet.Untrusted, report.Status)
	require.Equal(t, packet.CannotTell, holds(t, report, packet.ClaimInclusion))
	require.Empty(t, report.Problems)
	files := contents(unzip(t, packed))
	require.NotContains(t, files, "log/checkpoint")
	require.Contains(t, files["README.txt"], "had not covered the newest event yet")
	without := newLedger(t)
	request := without.Request()
	trust := without.Trust()
	require.Equal(t, packet.Good, verify(t, exported(t, request), trust).Status)
	trust.Logs = l.Trust().Logs
	require.Equal(t, packet.CannotTell, holds(t, verify(t, exported(t, request), trust), packet.ClaimInclusion), "who has the key of a log expects proofs")
}

func TestR_M4_APacketContinuesAnEarlierCheckpoint(t *testing.T) {
	l := kept(t, packettest.Options{})
	early, err := l.Publish(t.Context())
	require.NoError(t, err)
	since, err := l.Note(early)
	require.NoError(t, err)
	confirmed(t, l)
	request := l.Request()
	request.Log.Since = since
	packed := exported(t, request)
	report := verify(t, packed, l.Trust())
	require.Equal(t, packet.Good, report.Status, "%+v", report.Claims)
	claim, _ := report.Claim(packet.ClaimConsistency)
	require.Contains(t, claim.Detail, fmt.Sprintf("the first %d events", early))
	require.Equal(t, string(since), contents(unzip(t, packed))["log/since"])

	other := kept(t, packettest.Options{})
	foreign, err := other.Publish(t.Context())
	require.NoError(t, err)
	request.Log.Since, err = other.Note(foreign)
	require.NoError(t, err)
	_, err = packet.Export(t.Context(), &bytes.Buffer{}, request)
	require.Equal(t, fault.RequestInvalid, fault.CodeOf(err), "of another key")
}

func TestR_M4_WhatIsWrongAboutTheLogIsNamed(t *testing.T) {
	l := kept(t, packettest.Options{})
	early, err := l.Publish(t.Context())
	require.NoError(t, err)
	since, err := l.Note(early)
	require.NoError(t, err)
	size := confirmed(t, l)
	request := l.Request()
	request.Log.Since = since
	request.Log.Policy = []byte("witness w " + l.WitnessKey() + "\nquorum w\n")
	m := &tamperer{t: t, ledger: l, entries: unzip(t, exported(t, request))}
	other := kept(t, packettest.Options{})
	confirmed(t, other)
	theirs := contents(unzip(t, export(t, other)))
	mine := contents(m.entries)
	require.Equal(t, packet.Good, verify(t, zip(m.relist(m.entries, l.Sealer)), l.Trust()).Status)
	replace := func(name, old, new string) string {
		require.Contains(t, mine[name], old)
		return strings.Replace(mine[name], old, new, 1)
	}
	line := regexp.MustCompile(`— witness\S+ \S+\n`).FindString(mine["log/checkpoint"])
	for what, c := range map[string]struct{ name, content, claim string }{
		"another event's proof":           {"proofs/0003.tlog-proof", mine["proofs/0004.tlog-proof"], packet.ClaimInclusion},
		"another index":                   {"proofs/0001.tlog-proof", replace("proofs/0001.tlog-proof", "index 0\n", "index 1\n"), packet.ClaimInclusion},
		"another log's proof":             {"proofs/0001.tlog-proof", theirs["proofs/0001.tlog-proof"], packet.ClaimInclusion},
		"an empty proof":                  {"proofs/0001.tlog-proof", "", packet.ClaimInclusion},
		"a proof under the note alone":    {"proofs/0001.tlog-proof", strings.TrimSuffix(mine["proofs/0001.tlog-proof"], line), packet.ClaimInclusion},
		"another log's checkpoint":        {"log/checkpoint", theirs["log/checkpoint"], packet.ClaimCheckpoint},
		"a checkpoint of more":            {"log/checkpoint", replace("log/checkpoint", fmt.Sprintf("\n%d\n", size), fmt.Sprintf("\n%d\n", size+1)), packet.ClaimCheckpoint},
		"another log's key":               {"log/log.vkey", theirs["log/log.vkey"], packet.ClaimCheckpoint},
		"no key":                          {"log/log.vkey", "none\n", packet.ClaimCheckpoint},
		"a note with the witness's line":  {"log/checkpoint.note", mine["log/checkpoint"], packet.ClaimCheckpoint},
		"another's cosignature":           {"log/checkpoint", replace("log/checkpoint", line, line[:len(line)-9]+"AAAAAA==\n"), packet.ClaimWitnesses},
		"no policy":                       {"log/policy", "quorum\n", packet.ClaimWitnesses},
		"another checkpoint's time token": {"log/timestamps/01.tst", theirs["log/timestamps/01.tst"], "timestamp-01"},
		"no time token":                   {"log/timestamps/01.tst", "token", "timestamp-01"},
		"another earlier checkpoint":      {"log/since", theirs["log/checkpoint"], packet.ClaimConsistency},
		"a shorter proof":                 {"log/consistency.txt", regexp.MustCompile(`\n[^\n]+\n\n`).ReplaceAllString(mine["log/consistency.txt"], "\n\n"), packet.ClaimConsistency},
	} {
		entries := m.clone()
		for i := range entries {
			if entries[i].name == c.name {
				require.NotEqual(t, string(entries[i].content), c.content, what)
				entries[i].content = []byte(c.content)
			}
		}
		// The operator itself, who can seal what it likes.
		report := verify(t, zip(m.relist(entries, l.Sealer)), l.Trust())
		require.Equal(t, packet.Bad, report.Status, what)
		require.Equal(t, packet.No, holds(t, report, c.claim), "%s: %+v", what, report.Claims)
		require.True(t, slices.ContainsFunc(report.Problems, func(p packet.Problem) bool { return p.File == c.name && p.Claim == c.claim }), "%s: %+v", what, report.Problems)
	}
}

// Positions are in no commitment. The operator, who seals packets, could let a
// signature stand before the suspension of its key: the log's order tells.
func TestR_M4_EventsInAnotherOrderThanInTheLogDoNotHold(t *testing.T) {
	l := kept(t, packettest.Options{})
	confirmed(t, l)
	events := 0
	for name := range contents(unzip(t, export(t, l))) {
		if strings.HasPrefix(name, "events/") {
			events++
		}
	}
	swaps := 0
	for at := 2; at <= events; at++ {
		var out bytes.Buffer
		swapped, err := packet.ExportSwapped(t.Context(), at, &out, l.Request())
		require.NoError(t, err)
		if !swapped {
			continue
		}
		swaps++
		report := verify(t, out.Bytes(), l.Trust())
		require.Equal(t, packet.Bad, report.Status)
		require.Equal(t, packet.No, holds(t, report, packet.ClaimInclusion), "%+v", report.Claims)
		if testing.Short() && swaps == 3 {
			break
		}
	}
	require.GreaterOrEqual(t, swaps, 3)

	// And the program in the README tells as well.
	needTools(t)
	for at := events; ; at-- {
		var out bytes.Buffer
		swapped, err := packet.ExportSwapped(t.Context(), at, &out, l.Request())
		require.NoError(t, err)
		if !swapped {
			continue
		}
		root := unpacked(t, l, unzip(t, out.Bytes()))
		told := false
		for _, command := range commands(t, root) {
			if strings.Contains(command, "check-proofs.py") {
				said, _ := run(t, root, command)
				told = told || strings.Contains(said, "CHANGED")
			}
		}
		require.True(t, told)
		break
	}
}

func TestR_M4_ALineThatNobodyCanCheckIsNoCosignature(t *testing.T) {
	l := kept(t, packettest.Options{})
	confirmed(t, l)
	request := l.Request()
	request.Log.Policy = []byte("witness w " + l.WitnessKey() + "\nquorum w\n")
	m := &tamperer{t: t, ledger: l, entries: unzip(t, exported(t, request))}
	entries := m.clone()
	noise := "— witness.example.kz/1 " + base64.StdEncoding.EncodeToString(make([]byte, 76)) + "\n"
	for i := range entries {
		if entries[i].name == "log/checkpoint" || strings.HasPrefix(entries[i].name, "proofs/") {
			entries[i].content = append(slices.Clone(entries[i].content), noise...)
		}
	}
	report := verify(t, zip(m.relist(entries, l.Sealer)), l.Trust())
	claim, ok := report.Claim(packet.ClaimWitnesses)
	require.True(t, ok)
	require.Equal(t, packet.CannotTell, claim.Holds)
	require.Contains(t, claim.Detail, "witness.example.kz/1")
	require.Equal(t, packet.Yes, holds(t, report, packet.ClaimInclusion), "it is not the proofs that are wrong")
}

func TestR_M4_APacketOfSeveralDocumentsHasOneCheckpointAndAProofOfEachEvent(t *testing.T) {
	l := two(t)
	require.NoError(t, l.KeepLog(t.Context()))
	confirmed(t, l)
	packed := exported(t, several(l, packettest.Document, packettest.Second))
	report := verify(t, packed, l.Trust())
	require.Equal(t, packet.Good, report.Status, "%+v", report.Claims)
	require.Equal(t, packet.Yes, holds(t, report, "0001/log"))
	require.Equal(t, packet.Yes, holds(t, report, "0002/log"))
	entries := unzip(t, packed)
	require.Contains(t, contents(entries), "documents/0002/proofs/0001.tlog-proof")
	entries = slices.DeleteFunc(entries, func(e entry) bool { return e.name == "documents/0002/proofs/0001.tlog-proof" })
	require.Equal(t, packet.No, holds(t, verify(t, zip(entries), l.Trust()), "0002/log"))

	// What is written for people is followed to the letter.
	needTools(t)
	root := unpacked(t, l, unzip(t, packed))
	for _, folder := range []string{root, filepath.Join(root, "documents", "0001"), filepath.Join(root, "documents", "0002")} {
		for _, command := range commands(t, folder) {
			said, failed := run(t, folder, command)
			require.False(t, failed, "%s\n%s", command, said)
		}
	}
}

func TestR_M2_APacketOfTheFormatBeforeTheLogStillVerifies(t *testing.T) {
	l := newLedger(t)
	var out bytes.Buffer
	_, err := packet.ExportFormat(t.Context(), 3, &out, l.Request())
	require.NoError(t, err)
	report := verify(t, out.Bytes(), l.Trust())
	require.Equal(t, packet.Good, report.Status, "%+v", report.Problems)
	require.Len(t, report.Claims, 14)
	// The operator could write this form today, to leave the proofs out: who has
	// the key of a log is not content with it.
	for what, change := range map[string]func(*packet.Trust){
		"the key of a log": func(trust *packet.Trust) { trust.Logs = []packet.Key{{VKey: "somebody"}} },
		"a witness's key":  func(trust *packet.Trust) { trust.Witnesses = []packet.Key{{VKey: stranger(t).VKey()}} },
	} {
		trust := l.Trust()
		change(&trust)
		asked := verify(t, out.Bytes(), trust)
		require.Equal(t, packet.Untrusted, asked.Status, what)
		require.Equal(t, packet.CannotTell, holds(t, asked, packet.ClaimInclusion), what)
	}
	_, text, _ := strings.Cut(contents(unzip(t, out.Bytes()))["README.txt"], "== РУССКИЙ ==")
	text, _, _ = strings.Cut(text, "\nC.\n")
	require.Equal(t, formatThreeWords, packet.DigestText([]byte(text)), "its words do not change any more")
}

func TestR_M4_APacketBringsTheAuthoritiesBetweenATokenAndItsRoot(t *testing.T) {
	const issuer = "log/timestamps/01-issuer-01.cer"
	l, packed := sample(t, true)
	require.Contains(t, names2(unzip(t, packed)), issuer)
	rootAlone := l.Trust()
	report := verify(t, packed, rootAlone)
	require.Equal(t, packet.Good, report.Status, "%+v", report.Problems)

	t.Run("and holds as well when an anchor comes before the root", func(t *testing.T) {
		trust := l.Trust()
		trust.Roots = append(trust.Roots, l.Issuing.Certificate)
		require.Equal(t, packet.Good, verify(t, packed, trust).Status)
	})
	t.Run("another certificate in its place is named, whoever sealed it", func(t *testing.T) {
		stranger, err := testca.NewRoot(testca.CA{Name: "Somebody's CA"})
		require.NoError(t, err)
		for _, trust := range []packet.Trust{rootAlone, func() packet.Trust {
			with := l.Trust()
			with.Roots = append(with.Roots, l.Issuing.Certificate)
			return with
		}()} {
			m := &tamperer{t: t, ledger: l, original: packed}
			m.entries = unzip(t, packed)
			entries := m.clone()
			entries[slices.IndexFunc(entries, func(e entry) bool { return e.name == issuer })].content = stranger.Certificate.Raw
			report := verify(t, zip(m.relist(entries, l.Sealer)), trust)
			require.NotEqual(t, packet.Good, report.Status)
			// Its own claim says so where the root alone is known: the token leads
			// to no anchor.
			if len(trust.Roots) > 1 {
				require.True(t, slices.ContainsFunc(report.Problems, func(p packet.Problem) bool { return p.File == issuer }), "%+v", report.Problems)
			}
		}
	})
	t.Run("what is no certificate is named", func(t *testing.T) {
		m := &tamperer{t: t, ledger: l, original: packed}
		m.entries = unzip(t, packed)
		entries := m.clone()
		entries[slices.IndexFunc(entries, func(e entry) bool { return e.name == issuer })].content = []byte("no certificate")
		report := verify(t, zip(m.relist(entries, l.Sealer)), rootAlone)
		require.Equal(t, packet.Bad, report.Status)
		require.True(t, slices.ContainsFunc(report.Problems, func(p packet.Problem) bool { return p.File == issuer }), "%+v", report.Problems)
	})
	t.Run("a packet of the format before has none and is judged by the anchors", func(t *testing.T) {
		request := l.Request()
		var out bytes.Buffer
		_, err := packet.ExportFormat(t.Context(), 4, &out, request)
		require.NoError(t, err)
		require.NotContains(t, names2(unzip(t, out.Bytes())), issuer)
		report := verify(t, out.Bytes(), rootAlone)
		require.Equal(t, packet.Untrusted, report.Status, "%+v", report.Problems)
		trust := l.Trust()
		trust.Roots = append(trust.Roots, l.Issuing.Certificate)
		report = verify(t, out.Bytes(), trust)
		require.Equal(t, packet.Good, report.Status, "%+v", report.Problems)
	})
}

// sample is a small packet with all that a packet can have of a log, and its
// evidence, with RSA signatures.
func sample(t testing.TB, small bool) (*packettest.Ledger, []byte) {
	t.Helper()
	l := kept(t, packettest.Options{Key: testca.RSA2048, Evidence: true, Small: small})
	early, err := l.Publish(t.Context())
	require.NoError(t, err)
	confirmed(t, l)
	request := l.Request()
	request.Log.Since, err = l.Note(early)
	require.NoError(t, err)
	request.Log.Policy = []byte("witness w " + l.WitnessKey() + "\nquorum w\n")
	return l, exported(t, request)
}

func TestR_M2_TheCommandsOfTheReadmeCheckTheLogAndTheEvidence(t *testing.T) {
	needTools(t)
	l, packed := sample(t, true)
	report := verify(t, packed, l.Trust())
	require.Equal(t, packet.Good, report.Status, "%+v", report.Claims)
	entries := unzip(t, packed)
	folder := unpacked(t, l, entries)
	proofs, checked := 0, map[string]int{}
	for _, command := range commands(t, folder) {
		said, failed := run(t, folder, command)
		require.False(t, failed, "%s\n%s", command, said)
		switch {
		case strings.HasPrefix(command, "python3 check-proofs.py"):
			proofs = strings.Count(said, " OK\n")
		case strings.HasPrefix(command, "openssl pkeyutl"):
			require.Contains(t, said, "Signature Verified Successfully")
		case strings.HasPrefix(command, "openssl ts"):
			require.Contains(t, said, "Verification: OK")
		case strings.HasPrefix(command, "openssl ocsp"):
			require.Contains(t, said, "Response verify OK")
			require.Contains(t, said, "Cert Status: good")
		case strings.Contains(command, "openssl crl"):
			require.Contains(t, said, "verify OK")
		default:
			continue
		}
		checked[command[:strings.Index(command+" -", " -")]]++
	}
	require.Positive(t, proofs)
	require.Equal(t, strings.Count(strings.Join(names2(entries), "\n"), "events/")+1, proofs, "each event, and that the log continues the earlier checkpoint")
	t.Log(checked)
	require.Equal(t, 1+2, checked["openssl ts"])
	require.Equal(t, 2, checked["openssl ocsp"])

	for name, finders := range map[string][]string{
		"proofs/0003.tlog-proof":                 {"python3 check-proofs.py"},
		"log/checkpoint":                         {"python3 check-proofs.py", "sha256sum"},
		"log/consistency.txt":                    {"python3 check-proofs.py"},
		"log/since":                              {"python3 check-proofs.py"},
		"log/checkpoint.note":                    {"openssl ts -verify -in log/"},
		"log/timestamps/01.tst":                  {"openssl ts -verify -in log/"},
		"signatures/01/timestamp/01.tst":         {"openssl ts -verify -in signatures/01"},
		"signatures/01/ocsp/01.der":              {"openssl ocsp -respin signatures/01"},
		"signatures/02/crl/01.crl":               {"cat chain.pem"},
		"events/0001-ParticipantRegistered.json": {"sha256sum"},
	} {
		folder := unpacked(t, l, entries)
		path := filepath.Join(folder, name)
		content, err := os.ReadFile(path)
		require.NoError(t, err, name)
		at := len(content) - 60
		switch name {
		case "proofs/0003.tlog-proof", "log/consistency.txt":
			at = bytes.IndexByte(content, '\n') + 20 // in a hash
		case "log/checkpoint", "log/since", "log/checkpoint.note":
			at = bytes.IndexByte(content, '\n') + 6 // in the root
		}
		content[at] ^= 1
		require.NoError(t, os.WriteFile(path, content, 0o600))
		for _, finder := range finders {
			found := false
			for _, command := range commands(t, folder) {
				if onlyChecks(command) && !strings.HasPrefix(command, finder) {
					continue
				}
				said, failed := run(t, folder, command)
				failed = failed || strings.Contains(said, "verify failure") || strings.Contains(said, "Verify Failure")
				found = found || failed && strings.HasPrefix(command, finder)
			}
			require.True(t, found, "%s was changed, and `%s …` said nothing", name, finder)
		}
	}
}

// onlyChecks says that a command leaves nothing that a later one reads.
func onlyChecks(command string) bool {
	return slices.ContainsFunc([]string{"python3 ", "for f in ", "openssl ts -verify", "openssl ocsp", "openssl pkeyutl -verify", "sha256sum -c"}, func(begins string) bool {
		return strings.HasPrefix(command, begins) && !strings.Contains(command, " >")
	})
}

func names2(entries []entry) []string {
	var list []string
	for _, e := range entries {
		list = append(list, e.name)
	}
	return list
}

// TestR_M2_EveryByteOfASampleCounts flips a bit of each byte of a packet, one at
// a time. What one step of the verification finds, the whole does, so the first
// that finds it is enough.
func TestR_M2_EveryByteOfASampleCounts(t *testing.T) {
	l, packed := sample(t, true)
	trust := l.Trust()
	require.Equal(t, packet.Good, verify(t, packed, trust).Status)
	type place struct {
		at   int
		name string // "" outside of contents
	}
	var places []place
	add := func(from, to int, name string) {
		stride := 1
		if testing.Short() {
			stride = 293
		}
		for at := from; at < to; at += stride {
			places = append(places, place{at, name})
		}
	}
	at := 0
	for _, e := range unzip(t, packed) {
		begin := at + 30 + len(e.name)
		add(at, begin, "")
		at = begin + len(e.content)
		add(begin, at, e.name)
	}
	add(at, len(packed), "")
	started := time.Now()
	var group sync.WaitGroup
	var mu sync.Mutex
	var frame, content, whole, unreadable int
	var quiet []int
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		group.Go(func() {
			mine := slices.Clone(packed)
			for i := w; i < len(places); i += workers {
				p := places[i]
				mine[p.at] ^= 1 << (p.at % 8)
				problems, err := packet.FrameProblems(t.Context(), mine, p.name)
				full := false
				if err == nil && len(problems) == 0 {
					full = true
					var report packet.Report
					report, err = packet.Verify(t.Context(), bytes.NewReader(mine), int64(len(mine)), packet.Options{Trust: trust})
					problems = report.Problems
				}
				mine[p.at] = packed[p.at]
				named := p.name == "" || slices.ContainsFunc(problems, func(q packet.Problem) bool { return q.File == p.name })
				mu.Lock()
				switch {
				case err != nil:
					unreadable++
				case len(problems) == 0 || !named:
					quiet = append(quiet, p.at)
				case full:
					whole++
				case p.name == "":
					frame++
				default:
					content++
				}
				mu.Unlock()
			}
		})
	}
	group.Wait()
	t.Logf("of %d bytes %d were flipped: %d found in a file and the file named, %d in the archive's frame, %d by the whole verification, %d left nothing to read, %d said nothing; %s",
		len(packed), len(places), content, frame, whole, unreadable, len(quiet), time.Since(started).Round(time.Millisecond))
	require.Empty(t, quiet)
}

// TestR_M4_EveryByteAboutTheLogCounts flips each byte of what is about the log,
// and lets all lists of hashes and the operator's seal follow: what is left is
// what keys, hashes and authorities vouch for by themselves.
func TestR_M4_EveryByteAboutTheLogCounts(t *testing.T) {
	l, packed := sample(t, true)
	files := map[string][]byte{}
	for _, e := range unzip(t, packed) {
		files[e.name] = e.content
	}
	var manifest packet.Manifest
	require.NoError(t, json.Unmarshal(files["manifest.json"], &manifest))
	untouched, err := packet.LogReport(t.Context(), files, manifest, l.Trust())
	require.NoError(t, err)
	require.Equal(t, packet.Good, untouched.Status, "%+v", untouched.Claims)
	// An operator may ask for other witnesses, and may put certificates beside
	// a token that nobody needs or that are not signed.
	meaningless := map[string]bool{"log/policy": true, "log/timestamps/01.tst": true}
	for _, name := range []string{"log/checkpoint", "log/checkpoint.note", "log/log.vkey", "log/since", "log/consistency.txt", "log/policy", "log/timestamps/01.tst", "log/timestamps/01-issuer-01.cer", "proofs/0001.tlog-proof", "proofs/0007.tlog-proof"} {
		original := files[name]
		require.NotEmpty(t, original, name)
		found, free := 0, 0
		for at := range original {
			if testing.Short() && at%29 != 0 {
				continue
			}
			changed := slices.Clone(original)
			changed[at] ^= 1 << (at % 8)
			files[name] = changed
			report, err := packet.LogReport(t.Context(), files, manifest, l.Trust())
			require.NoError(t, err)
			if report.Status == packet.Good {
				free++
				require.True(t, meaningless[name], "byte %d of %s", at, name)
				continue
			}
			found++
		}
		files[name] = original
		t.Logf("%-24s %5d flipped and found, %d without meaning", name, found, free)
		require.Positive(t, found, name)
	}
}

// formatThreeWords is the hash of what README.txt said in format 3.
const formatThreeWords = "fb18b8479dd28ddcfc87d518b8e2d70582b382430df4093c67c7ab8aeeb0a800"

type randomReader struct{}

func (randomReader) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(i + 1)
	}
	return len(p), nil
}

func TestR_M8_APacketOfALedgerThatLostEventsStatesThat(t *testing.T) {
	l := kept(t, packettest.Options{})
	confirmed(t, l)
	loss := packet.Loss{At: l.Now(), FormerOrigin: "first.example/log", Origin: packettest.Origin, Known: 1000, Events: 960,
		Ground: "The disk died <and> no copy was newer."}
	request := l.Request()
	request.Losses = []packet.Loss{loss}
	several := request
	several.Document, several.Documents = "", []string{packettest.Document}
	for name, request := range map[string]packet.Request{"one document": request, "several": several} {
		var out bytes.Buffer
		_, err := packet.Export(t.Context(), &out, request)
		require.NoError(t, err, name)
		report := verify(t, out.Bytes(), l.Trust())
		require.Equal(t, packet.Good, report.Status, "%s: %+v", name, report.Problems)
		require.Equal(t, []packet.Loss{loss}, report.Manifest.Losses, name)
		text := contents(unzip(t, out.Bytes()))["report.html"]
		for _, want := range []string{
			"из 1000 известных событий реестра не хватает не менее 40", "белгілі 1000 оқиғасының кемінде 40 жоқ",
			"of 1000 events of the ledger that are known of, at least 40 are missing", "first.example/log", "The disk died &lt;and&gt; no copy",
		} {
			require.Contains(t, text, want, name)
		}
	}
	var out bytes.Buffer
	request.Documents = nil
	_, err := packet.ExportExtract(t.Context(), &out, request)
	require.NoError(t, err)
	require.Equal(t, []packet.Loss{loss}, verify(t, out.Bytes(), l.Trust()).Manifest.Losses, "an extract")

	// A loss of nothing is none, whoever seals it.
	request.Losses = []packet.Loss{{At: l.Now(), FormerOrigin: "a", Origin: "b", Known: 960, Events: 960, Ground: "x"}}
	out.Reset()
	_, err = packet.Export(t.Context(), &out, request)
	if err == nil {
		require.Equal(t, packet.Bad, verify(t, out.Bytes(), l.Trust()).Status)
	}
	require.NotContains(t, contents(unzip(t, export(t, l)))["report.html"], "log.loss")
	require.NotContains(t, contents(unzip(t, export(t, l)))["report.html"], "Events lost")
}
