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
	default:
		b.WriteString(readmeText)
	}
	b.WriteString(readmeCommands)
	if c.folder == "" {
		wholeCommands(&b)
	}
	c.commands(&b)
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

const readmeText = `== РУССКИЙ ==

Этот файл - электронный документ, его подписи и вся его история. Начните с отчёта
report.html или report.pdf: там то же словами. Проверить пакет можно без сервера
и без сети. Всё сразу проверяет программа (0 - всё верно,
1 - что-то не сходится, 2 - не читается, 3 - сходится само с собой, но опоры
доверия не ваши):
    dalel verify --trust ПАПКА ПАКЕТ
В ПАПКЕ лежат ваши опоры доверия: корневые сертификаты удостоверяющего центра
и сертификат оператора. Берите их у удостоверяющего центра и у оператора, а не
из этого пакета: пакет сам за себя не ручается.

То же вручную, обычными программами (sha256sum, openssl, jq, python3); команды
стоят в конце этого файла под теми же буквами, выполняйте их в папке, куда
пакет распакован:
 A. Ни один файл не изменён: хеши из manifest-sha256.txt.
 B. Печать оператора стоит на META-INF/ASiCManifest.xml, а в нём хеш каждого
    файла, кроме mimetype и самой печати. operator.cer - сертификат оператора,
    полученный от него самого.
 C. Подписи сторон. Каждая - отдельный файл CMS (CAdES) к файлу из document/.
    roots.pem - корневые сертификаты удостоверяющего центра.
 D. События. Хеш события берётся от строк data и metadata, а metadata следующего
    события того же потока называет хеш предыдущего (prev).
 E. Личные данные в событиях зашифрованы (sealed); рядом в openers лежат ключи,
    каждый только к своей части, и её текст. Команда сверяет одно с другим. Части
    без ключа прочесть нельзя: их ключ уничтожен.

О времени - прямо: моменты в -attime записаны часами оператора при получении
подписи. Третья сторона подтверждает лишь время тех подписей, в чьей папке есть
метка доверенного времени (timestamp/, RFC 3161). Моменты нужны, чтобы команды
работали и после окончания сертификатов. Сведения об отзыве, на которых основан
вердикт, лежат рядом с подписью (ocsp/, crl/); команды C их не проверяют, это
делает программа. Печать показывает, что оператор выдал именно эти события, но
не то, что позже не было других.

Если в пакете есть папка verifier/, в ней программа проверки. Доверять ей можно
не больше, чем самому пакету, пока вы не сравнили её SHA-256 с тем, что
публикует её издатель.

== ҚАЗАҚША ==

Бұл файл - электрондық құжат, оның қолтаңбалары және бүкіл тарихы. report.html
немесе report.pdf есебінен бастаңыз: онда дәл соның бәрі сөзбен айтылған. Пакетті
серверсіз және желісіз тексеруге болады. Бәрін бірден бағдарлама тексереді (0 - бәрі дұрыс,
1 - бір нәрсе сәйкес емес, 2 - оқылмайды, 3 - өз ішінде сәйкес, бірақ сенім
тіректері сіздікі емес):
    dalel verify --trust ҚАЛТА ПАКЕТ
ҚАЛТАДА сіздің сенім тіректеріңіз жатады: куәландырушы орталықтың түбірлік
сертификаттары және оператордың сертификаты. Оларды осы пакеттен емес,
куәландырушы орталықтан және оператордан алыңыз: пакет өзіне өзі кепіл бола
алмайды.

Соны қолмен, қарапайым бағдарламалармен (sha256sum, openssl, jq, python3)
тексеруге болады; командалар осы файлдың соңында сол әріптермен берілген, оларды
пакет ашылған қалтада орындаңыз:
 A. Бірде-бір файл өзгермеген: manifest-sha256.txt ішіндегі хештер.
 B. Оператордың мөрі META-INF/ASiCManifest.xml файлына қойылған, ал онда mimetype
    пен мөрдің өзінен басқа әр файлдың хеші бар. operator.cer - оператордың өзінен
    алынған сертификаты.
 C. Тараптардың қолтаңбалары. Әрқайсысы - document/ ішіндегі файлға арналған бөлек
    CMS (CAdES) файлы. roots.pem - куәландырушы орталықтың түбірлік сертификаттары.
 D. Оқиғалар. Оқиғаның хеші data мен metadata жолдарынан алынады, ал сол ағынның
    келесі оқиғасының metadata жолы алдыңғысының хешін атайды (prev).
 E. Оқиғалардағы жеке деректер шифрланған (sealed); қасындағы openers ішінде әрқайсысы
    тек өз бөлігін ашатын кілттер мен сол бөліктің мәтіні бар. Команда біріне-бірін
    салыстырады. Кілті жоқ бөлікті оқуға болмайды: оның кілті жойылған.

Уақыт туралы ашық айтамыз: -attime мәндері - қолтаңба келгенде оператордың
сағатымен жазылған сәттер. Үшінші тарап қалтасында сенімді уақыт белгісі
(timestamp/, RFC 3161) бар қолтаңбалардың ғана уақытын растайды. Бұл сәттер
сертификаттардың мерзімі біткеннен кейін де командалар жұмыс істеуі үшін керек.
Тұжырым негізделген кері қайтару туралы мәліметтер қолтаңбаның қасында жатыр
(ocsp/, crl/); C командалары оларды тексермейді, мұны бағдарлама істейді. Мөр
оператордың дәл осы оқиғаларды бергенін көрсетеді, бірақ кейін басқалары
болмағанын көрсетпейді.

Егер пакетте verifier/ қалтасы болса, онда тексеру бағдарламасы бар. Оның SHA-256
мәнін шығарушысы жариялағанмен салыстырмайынша, оған пакеттің өзінен артық сенуге
болмайды.

== ENGLISH ==

This file is an electronic document, its signatures and its whole history.
Begin with the report, report.html or report.pdf: it says the same in words. The
packet can be checked with no server and no network. One program checks everything
(0 - all holds, 1 - something does not hold, 2 - cannot be read, 3 - consistent
in itself, but its anchors are not among yours):
    dalel verify --trust DIR PACKET
DIR holds your anchors: the root certificates of the certification authority and
the operator's certificate. Take them from the authority and from the operator,
not from this packet: a packet does not vouch for itself.

The same by hand, with common programs (sha256sum, openssl, jq, python3); the
commands stand at the end of this file under the same letters, to be typed in
the folder into which the packet was unpacked:
 A. No file was changed: the hashes in manifest-sha256.txt.
 B. The operator's seal is on META-INF/ASiCManifest.xml, which has the hash of
    every file but mimetype and the seal itself. operator.cer is the operator's
    certificate as you got it from the operator.
 C. The parties' signatures. Each is a CMS (CAdES) file of its own over a file in
    document/. roots.pem has the root certificates of the authority.
 D. The events. An event's hash is made of the strings data and metadata, and
    the metadata of the next event of the same stream names the hash of the one
    before (prev).
 E. Personal data in the events are encrypted (sealed); openers beside them has
    the keys, each for its own part alone, and the text of the part. The command
    holds one against the other. A part without a key can be read by nobody: its
    key was destroyed.

About time, plainly: the moments in -attime were recorded by the operator's
clock when the signature came. A third party confirms the time of those
signatures alone whose folder has a trusted time token (timestamp/, RFC 3161).
The moments are there so that the commands work when the certificates have
ended. What the verdict rests on about revocation lies beside the signature
(ocsp/, crl/); the commands C do not check it, the program does. The seal shows
that the operator gave out these very events, and not that there were no others
later.

If there is a folder verifier/, it has the verifying program. Trust it no more
than the packet itself until you have compared its SHA-256 with the one that its
publisher gives.
`

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
README.txt, где стоят команды C, D и E. Здесь - команды A и B. Журнал journal.csv
один на все документы. Что за период не было других документов, пакет не
доказывает.

Пакетте бірнеше құжат бар, әрқайсысы өз documents/NNNN/ қалтасында, C, D және E
командалары сол қалтаның README.txt файлында. Мұнда A және B командалары.
journal.csv журналы барлық құжатқа біреу. Кезең ішінде басқа құжаттар болмағанын
пакет дәлелдемейді.

There are several documents, each in a folder documents/NNNN/ of its own with a
README.txt that has the commands C, D and E. Here are the commands A and B. The
journal, journal.csv, is one for all documents. That there were no other
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
	return []string{
		fmt.Sprintf(`for f in %scertificate.cer%s; do openssl x509 -in "$f"; done > chain.pem`, s.folder, chain),
		fmt.Sprintf("openssl cms -verify -binary -inform DER -in %ssignature.p7s -content %s -certfile chain.pem -CAfile %s -attime %d -purpose any -out /dev/null",
			s.folder, quote(f.entry), roots, s.signature.Verdict.At.Unix()),
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
