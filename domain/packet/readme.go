package packet

import (
	"fmt"
	"strings"
	"unicode"
)

// CommandMark begins each line of README.txt that is a command to type; what
// follows it is for a POSIX shell in the folder of the unpacked packet.
const CommandMark = "    $ "

// readme is README.txt. Its text belongs to Format: the verifier composes it
// again and compares.
func (c *composition) readme() []byte {
	var b strings.Builder
	m := c.manifest
	readmeHead(&b, m, fmt.Sprintf("Document:     %s\nNumber:       %s", line(m.Subject.Document), orDash(m.Subject.Number)))
	switch {
	case c.folder != "":
		b.WriteString(readmePart)
	case m.Format == formatTwo:
		b.WriteString(readmeTwo)
	case m.Format == formatThree:
		b.WriteString(readmeThree)
	default:
		readmeWords(&b, c.log, c.signatures)
	}
	b.WriteString(readmeCommands)
	if c.folder == "" {
		wholeCommands(&b)
	}
	c.commands(&b)
	if m.Format >= formatLog {
		c.proofCommands(&b)
		if c.folder == "" {
			c.log.commands(&b)
		}
		c.evidenceCommands(&b)
	}
	return []byte(b.String())
}

// readmeHead begins a README.txt; about is what the packet is about.
func readmeHead(b *strings.Builder, m Manifest, about string) {
	fmt.Fprintf(b, `DALEL - пакет доказательств / дәлелдемелер пакеті / proof packet
Format %d

%s
Ledger:       %s
Exported at:  %s (position %d)
Operator:     SHA-256 of the seal's certificate %s
Verifier:     %s %s

`, m.Format, about, line(m.Ledger),
		m.ExportedAt.UTC().Format("2006-01-02T15:04:05.999999Z"), uint64(m.Position), line(m.Operator.Certificate), line(m.Verifier.Name), line(m.Verifier.Version))
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return line(text)
}

// line keeps a text on its line, so that none can pass for a command.
func line(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '_'
	}, text)
}

const readmeCommands = `
== КОМАНДЫ / КОМАНДАЛАР / COMMANDS ==
`

// readmePart is for a document's folder in a packet of several.
const readmePart = `== РУССКИЙ ==

В этой папке - один документ пакета: его файлы, подписи, события и отчёт
(report.html, report.pdf). Что значат буквы и как проверить печать оператора и
хеши файлов, сказано в README.txt в корне пакета. Команды ниже выполняйте в этой
папке; roots.pem лежит в корне пакета.

== ҚАЗАҚША ==

Бұл қалтада пакеттің бір құжаты: оның файлдары, қолтаңбалары, оқиғалары және есебі
(report.html, report.pdf). Әріптердің мағынасы, оператордың мөрі мен файлдардың
хештерін тексеру пакет түбіріндегі README.txt ішінде айтылған. Төмендегі
командаларды осы қалтада орындаңыз; roots.pem пакеттің түбірінде жатады.

== ENGLISH ==

This folder has one document of the packet: its files, signatures, events and
report (report.html, report.pdf). What the letters mean, and how the operator's
seal and the hashes are checked, is in README.txt at the root of the packet. Type
the commands below in this folder; roots.pem lies at the root of the packet.
`

// readmeSeveral stands between the common text and the commands of a packet of
// several documents.
const readmeSeveral = `
== НЕСКОЛЬКО ДОКУМЕНТОВ / БІРНЕШЕ ҚҰЖАТ / SEVERAL DOCUMENTS ==

В пакете несколько документов, каждый в своей папке documents/NNNN/ со своим
README.txt, где стоят команды C, D и E. Здесь - команды A и B. Журнал один на все
документы: journal.csv, journal.xlsx. Что за период не было других документов,
пакет не доказывает.

Пакетте бірнеше құжат бар, әрқайсысы өз documents/NNNN/ қалтасында, C, D және E
командалары сол қалтаның README.txt файлында. Мұнда A және B командалары.
Журнал (journal.csv, journal.xlsx) барлық құжатқа біреу. Кезең ішінде басқа
құжаттар болмағанын пакет дәлелдемейді.

There are several documents, each in a folder documents/NNNN/ of its own with a
README.txt that has the commands C, D and E. Here are the commands A and B. The
journal (journal.csv, journal.xlsx) is one for all documents. That there were no other
documents in the period is not proved by the packet.
`

// wholeCommands writes the commands that are about the packet as a whole.
func wholeCommands(b *strings.Builder) {
	command := func(format string, args ...any) { fmt.Fprintf(b, CommandMark+format+"\n", args...) }

	b.WriteString("\nA.\n")
	command("sha256sum -c %s", sumsName)

	b.WriteString("\nB.\n")
	command("openssl x509 -in operator.cer -noout -fingerprint -sha256")
	command("openssl x509 -in operator.cer -out operator.pem")
	command("openssl cms -verify -binary -inform DER -in %s -content %s -CAfile operator.pem -partial_chain -no_check_time -purpose any -out /dev/null", sealName, asicManifestName)
	command(`python3 -c 'import base64,hashlib,urllib.parse,xml.etree.ElementTree as x; [print(f, "OK" if base64.b64encode(hashlib.sha256(open(f,"rb").read()).digest()).decode()==v else "CHANGED") for r in x.parse("%s").getroot()[1:] for f,v in [(urllib.parse.unquote(r.attrib["URI"]),r[1].text)]]'`, asicManifestName)
}

// signatureCommands are those that check a signature over a file.
func (c *composition) signatureCommands(s signed, f documentFile) []string {
	roots, chain := "roots.pem", ""
	if c.folder != "" {
		roots = "../../roots.pem"
	}
	if len(s.chain) > 0 {
		chain = " " + s.folder + "chain/*.cer"
	}
	gather := fmt.Sprintf(`for f in %scertificate.cer%s; do openssl x509 -in "$f"; done > chain.pem`, s.folder, chain)
	at := s.signature.Verdict.At.Unix()
	if c.manifest.Format >= formatIssuers {
		// Two steps, because openssl 3.0 builds no path through -certfile: the
		// signature by this certificate and no other, then the certificate.
		return []string{
			gather,
			fmt.Sprintf("openssl x509 -in %scertificate.cer -out signer.pem", s.folder),
			fmt.Sprintf("openssl cms -verify -binary -inform DER -in %ssignature.p7s -content %s -nointern -certfile signer.pem -noverify -out /dev/null", s.folder, quote(f.entry)),
			fmt.Sprintf("openssl verify -CAfile %s -untrusted chain.pem -attime %d -purpose any signer.pem", roots, at),
		}
	}
	return []string{
		gather,
		fmt.Sprintf("openssl cms -verify -binary -inform DER -in %ssignature.p7s -content %s -certfile chain.pem -CAfile %s -attime %d -purpose any -out /dev/null",
			s.folder, quote(f.entry), roots, at),
	}
}

// commands writes the exact commands for this packet.
func (c *composition) commands(b *strings.Builder) {
	command := func(format string, args ...any) { fmt.Fprintf(b, CommandMark+format+"\n", args...) }

	b.WriteString("\nC.\n")
	for _, s := range c.signatures {
		for _, f := range s.files {
			fmt.Fprintf(b, "%s: %s, %s\n", strings.TrimSuffix(s.folder, "/"), line(s.by.Party), s.signature.Verdict.At.UTC().Format("2006-01-02T15:04:05Z"))
			for _, text := range c.signatureCommands(s, f) {
				command("%s", text)
			}
		}
	}

	b.WriteString("\nD.\n")
	if len(c.history) > 0 {
		first := eventName(1, c.history[0].Type)
		command("jq -j .data %s | sha256sum", first)
		command("jq -j .metadata %s | sha256sum", first)
	}
	command(`python3 -c 'import glob,hashlib,json; h=lambda t: hashlib.sha256(t.encode()).hexdigest(); [print(f, "OK" if h(json.dumps({"data":h(e["data"]),"metadata":h(e["metadata"]),"revision":e["revision"],"stream":e["stream"],"type":e["type"]},separators=(",",":"),sort_keys=True))==e["commitment"] else "CHANGED") for f in sorted(glob.glob("events/*.json")) for e in [json.load(open(f,encoding="utf-8"))]]'`)
	command(`python3 -c 'import glob,json; last={}; [print(f, "OK" if json.loads(e["metadata"]).get("prev")==last.get(e["stream"]) and not last.update({e["stream"]:e["commitment"]}) else "CHANGED") for f in sorted(glob.glob("events/*.json"),key=lambda f:int(f[7:].split("-")[0])) for e in [json.load(open(f,encoding="utf-8"))]]'`)

	b.WriteString("\nE.\n")
	command(`python3 -c 'import base64,glob,hashlib,hmac,json,subprocess; u=lambda t: base64.urlsafe_b64decode(t+"=="); h=lambda k,m: hmac.new(k,m,hashlib.sha256).digest(); i=b"dalel box v1 keys"; [print(f, s, "OK" if s==o["subject"] and h(h(k,a+i+bytes([2])),s.encode()+bytes(1)+l.encode()+bytes(1)+u(b["text"]))==u(b["tag"]) and subprocess.run(["openssl","enc","-d","-aes-256-ctr","-K",a.hex(),"-iv","0"*32],input=u(b["text"]),capture_output=True).stdout.decode()==o["text"] else "CHANGED") for f in sorted(glob.glob("events/*.json")) for e in [json.load(open(f,encoding="utf-8"))] for d,m in [(json.loads(e["data"]),json.loads(e["metadata"]))] for boxes in [dict([(b["tag"],(b,b["subject"],e["type"])) for b in d.get("sealed",[])]+[(b["tag"],(b,"participant-"+m["actor"],"metadata")) for b in [m.get("sealed")] if b])] for o in e.get("openers",[]) for b,s,l in [boxes[o["tag"]]] for k in [bytes.fromhex(o["opener"])] for a in [h(k,i+bytes([1]))]]'`)
}
