package packet

import (
	"fmt"
	"strings"
	"time"
)

// wording is README.txt in one language. Which of its parts are there depends
// on what the packet has.
type wording struct {
	// begin is the beginning, with the letters A to E.
	begin string
	// proofs, key, stamps and evidence are the letters F to I.
	proofs, key, stamps, evidence string
	// time is about the moments of signatures; revocation is about where the
	// evidence for it is checked.
	time, revocation, noRevocation string
	// none, notCovered, covered are about the log; the others about its
	// checkpoint.
	none, notCovered, covered                         string
	witnessed, unwitnessed, stamped, unstamped, since string
	verifier                                          string
}

// readmeWords writes the text of README.txt in all languages. signatures are
// nil at the root of a packet of several documents, whose folders have the rest.
func readmeWords(b *strings.Builder, log *logPart, signatures []signed) {
	revocation, tokens := false, false
	for _, s := range signatures {
		for _, e := range s.evidence {
			revocation = revocation || strings.Contains(e.name, "/ocsp/") || strings.Contains(e.name, "/crl/")
			tokens = tokens || strings.Contains(e.name, "/timestamp/")
		}
	}
	for i, w := range wordings() {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(w.begin)
		if log.covered() {
			b.WriteString(w.proofs + w.key)
			if len(log.stamps) > 0 {
				b.WriteString(w.stamps)
			}
		}
		if revocation || tokens || signatures == nil {
			b.WriteString(w.evidence)
		}
		b.WriteString("\n" + w.time)
		if revocation || signatures == nil {
			b.WriteString(w.revocation)
		} else {
			b.WriteString(w.noRevocation)
		}
		b.WriteString("\n" + log.words(w) + "\n" + w.verifier)
	}
}

// words says what the log's part of the packet shows, and what not.
func (l *logPart) words(w wording) string {
	if l == nil {
		return w.none
	}
	if l.head.NotCovered {
		return fmt.Sprintf(w.notCovered, line(l.head.Origin))
	}
	text := fmt.Sprintf(w.covered, line(l.head.Origin), l.head.Size)
	if len(l.witnesses) > 0 {
		text += fmt.Sprintf(w.witnessed, line(strings.Join(l.witnesses, ", ")))
	} else {
		text += w.unwitnessed
	}
	var moments []string
	for _, at := range l.times {
		moments = append(moments, at.UTC().Format(time.RFC3339))
	}
	if len(moments) > 0 {
		text += fmt.Sprintf(w.stamped, strings.Join(moments, ", "))
	} else {
		text += w.unstamped
	}
	if l.since != nil {
		text += fmt.Sprintf(w.since, l.sinceSize)
	}
	return text
}

func wordings() []wording {
	return []wording{russian(), kazakh(), english()}
}

func russian() wording {
	return wording{
		begin: `== РУССКИЙ ==

Этот файл - электронный документ, его подписи и вся его история. Начните с отчёта
report.html или report.pdf: там то же словами. Проверить пакет можно без сервера
и без сети. Всё сразу проверяет программа (0 - всё верно,
1 - что-то не сходится, 2 - не читается, 3 - сходится само с собой, но
доверенные центры не ваши):
    dalel verify --trust ПАПКА ПАКЕТ
В ПАПКЕ лежат ваши доверенные центры: корневые регистрационные свидетельства
удостоверяющего центра, регистрационное свидетельство оператора, ключ его журнала прозрачности (log.vkey) и ключи свидетелей.
Берите их у удостоверяющего центра, оператора и свидетелей, а не из этого пакета:
пакет сам за себя не ручается.

То же вручную, обычными программами (sha256sum, openssl, jq, python3); команды
стоят в конце этого файла под теми же буквами, выполняйте их в папке, куда
пакет распакован:
 A. Ни один файл не изменён: хеши из manifest-sha256.txt.
 B. Печать оператора стоит на META-INF/ASiCManifest.xml, а в нём хеш каждого
    файла, кроме mimetype и самой печати. operator.cer - регистрационное
    свидетельство оператора, полученное от него самого.
 C. Подписи сторон. Каждая - отдельный файл CMS (CAdES) к файлу из document/.
    roots.pem - корневые регистрационные свидетельства удостоверяющего центра.
 D. События. Хеш события берётся от строк data и metadata, а metadata следующего
    события того же потока называет хеш предыдущего (prev).
 E. Личные данные в событиях зашифрованы (sealed); рядом в openers лежат ключи,
    каждый только к своей части, и её текст. Команда сверяет одно с другим. Части
    без ключа прочесть нельзя: их ключ уничтожен.
`,
		proofs: ` F. Журнал прозрачности: proofs/NNNN.tlog-proof (C2SP tlog-proof) показывает, что
    событие под тем же номером есть в дереве Меркла, корень которого назван в
    log/checkpoint. Скрипт среди команд считает это заново одним hashlib.
`,
		key: ` G. Подпись журнала под log/checkpoint, Ed25519. log.vkey - открытый ключ журнала,
    полученный от оператора, а не log/log.vkey из пакета.
`,
		stamps: ` H. Метки доверенного времени (RFC 3161) на log/checkpoint. Корень службы времени -
    среди ваших roots.pem.
`,
		evidence: ` I. То, на чём основаны вердикты: метки времени подписей (timestamp/), ответы OCSP
    (ocsp/) и списки отозванных регистрационных свидетельств (crl/). Для подписей ГОСТ эти команды
    и команды C требуют openssl с подключённым модулем ГОСТ; без него их проверяет
    программа.
`,
		time: `О времени - прямо: моменты в -attime нужны, чтобы команды работали и после
окончания регистрационных свидетельств. У подписей это часы оператора при получении подписи, а
если в папке подписи есть timestamp/ - время метки, которое подтверждает третья
сторона.
`,
		revocation: `Сведения об отзыве, на которых основан вердикт, лежат рядом с подписью и
проверяются командами I.
`,
		noRevocation: `Сведений об отзыве (OCSP, CRL) вердикты в этом пакете не используют.
`,
		none: `Журнала прозрачности этот реестр не ведёт. Печать показывает, что оператор выдал
именно эти события, но не то, что позже не было других.
`,
		notCovered: `Журнал прозрачности %s ещё не охватывал новейшее событие, когда составлялся
пакет: доказательств включения в нём нет. Запросите пакет ещё раз.
`,
		covered: `Журнал прозрачности %s: все события этого пакета - среди первых
%d событий реестра. Переписать или вынуть их незаметно для тех, у кого есть прежняя
или более поздняя контрольная точка, нельзя. Что позже не было других событий,
пакет не показывает.
`,
		witnessed: `Контрольную точку подписали и свидетели: %s.
Их подписи проверяет программа по вашим ключам и вашей политике.
`,
		unwitnessed: `Подписей свидетелей под контрольной точкой в пакете нет.
`,
		stamped: `Метки времени на ней: %s. События были не позже.
`,
		unstamped: `Меток времени на ней в пакете нет: когда она была, говорят часы оператора.
`,
		since: `log/since - прежняя контрольная точка, %d событий; log/consistency.txt доказывает,
что нынешняя её продолжает (тело запроса add-checkpoint, C2SP tlog-witness).
`,
		verifier: `Если в пакете есть папка verifier/, в ней программа проверки. Доверять ей можно
не больше, чем самому пакету, пока вы не сравнили её SHA-256 с тем, что
публикует её издатель.
`,
	}
}

func kazakh() wording {
	return wording{
		begin: `== ҚАЗАҚША ==

Бұл файл - электрондық құжат, оның қолтаңбалары және бүкіл тарихы. report.html
немесе report.pdf есебінен бастаңыз: онда дәл соның бәрі сөзбен айтылған. Пакетті
серверсіз және желісіз тексеруге болады. Бәрін бірден бағдарлама тексереді (0 - бәрі дұрыс,
1 - бір нәрсе сәйкес емес, 2 - оқылмайды, 3 - өз ішінде сәйкес, бірақ
сенімді орталықтар сіздікі емес):
    dalel verify --trust ҚАЛТА ПАКЕТ
ҚАЛТАДА сіздің сенімді орталықтарыңыз жатады: куәландырушы орталықтың түбірлік
тіркеу куәліктері, оператордың тіркеу куәлігі, оның ашықтық журналының кілті (log.vkey)
және куәгерлердің кілттері. Оларды осы пакеттен емес, куәландырушы орталықтан,
оператордан және куәгерлерден алыңыз: пакет өзіне өзі кепіл бола алмайды.

Соны қолмен, қарапайым бағдарламалармен (sha256sum, openssl, jq, python3)
тексеруге болады; командалар осы файлдың соңында сол әріптермен берілген, оларды
пакет ашылған қалтада орындаңыз:
 A. Бірде-бір файл өзгермеген: manifest-sha256.txt ішіндегі хештер.
 B. Оператордың мөрі META-INF/ASiCManifest.xml файлына қойылған, ал онда mimetype
    пен мөрдің өзінен басқа әр файлдың хеші бар. operator.cer - оператордың өзінен
    алынған тіркеу куәлігі.
 C. Тараптардың қолтаңбалары. Әрқайсысы - document/ ішіндегі файлға арналған бөлек
    CMS (CAdES) файлы. roots.pem - куәландырушы орталықтың түбірлік тіркеу куәліктері.
 D. Оқиғалар. Оқиғаның хеші data мен metadata жолдарынан алынады, ал сол ағынның
    келесі оқиғасының metadata жолы алдыңғысының хешін атайды (prev).
 E. Оқиғалардағы жеке деректер шифрланған (sealed); қасындағы openers ішінде әрқайсысы
    тек өз бөлігін ашатын кілттер мен сол бөліктің мәтіні бар. Команда біріне-бірін
    салыстырады. Кілті жоқ бөлікті оқуға болмайды: оның кілті жойылған.
`,
		proofs: ` F. Ашықтық журналы: proofs/NNNN.tlog-proof (C2SP tlog-proof) нөмірі сондай оқиғаның
    Меркл ағашында барын көрсетеді; ағаштың түбірі log/checkpoint ішінде аталған.
    Командалар арасындағы скрипт мұны тек hashlib арқылы қайта есептейді.
`,
		key: ` G. Журналдың log/checkpoint астындағы қолтаңбасы, Ed25519. log.vkey - журналдың
    оператордан алынған ашық кілті, пакеттегі log/log.vkey емес.
`,
		stamps: ` H. log/checkpoint файлына қойылған сенімді уақыт белгілері (RFC 3161). Уақыт қызметінің
    түбірі roots.pem ішінде болуы керек.
`,
		evidence: ` I. Тұжырымдар негізделген деректер: қолтаңбалардың уақыт белгілері (timestamp/), OCSP
    жауаптары (ocsp/) және кері қайтарып алынған тіркеу куәліктерінің тізімдері (crl/). ГОСТ
    қолтаңбалары үшін бұл командалар мен C командаларына ГОСТ модулі қосылған openssl
    керек; онсыз оларды бағдарлама тексереді.
`,
		time: `Уақыт туралы ашық айтамыз: -attime мәндері тіркеу куәліктерінің мерзімі біткеннен кейін
де командалар жұмыс істеуі үшін керек. Қолтаңбаларда бұл - қолтаңба келгендегі
оператордың сағаты, ал қолтаңба қалтасында timestamp/ болса - үшінші тарап растайтын
белгінің уақыты.
`,
		revocation: `Тұжырым негізделген кері қайтарып алу туралы мәліметтер қолтаңбаның қасында жатыр, оларды
I командалары тексереді.
`,
		noRevocation: `Бұл пакеттегі тұжырымдар кері қайтарып алу туралы мәліметтерді (OCSP, CRL) пайдаланбайды.
`,
		none: `Бұл тізілім ашықтық журналын жүргізбейді. Мөр оператордың дәл осы оқиғаларды бергенін
көрсетеді, бірақ кейін басқалары болмағанын көрсетпейді.
`,
		notCovered: `Пакет жасалғанда %s ашықтық журналы ең жаңа оқиғаны әлі қамтымаған еді: онда
енгізу дәлелдемелері жоқ. Пакетті қайта сұраңыз.
`,
		covered: `%s ашықтық журналы: осы пакеттің барлық оқиғасы тізілімнің алғашқы %d
оқиғасының арасында. Бұрынғы немесе кейінгі бақылау нүктесі бар адамдарға білдірмей
оларды өзгертуге немесе алып тастауға болмайды. Кейін басқа оқиғалар болмағанын пакет
көрсетпейді.
`,
		witnessed: `Бақылау нүктесіне куәгерлер де қол қойған: %s.
Олардың қолтаңбаларын бағдарлама сіздің кілттеріңіз бен саясатыңыз бойынша тексереді.
`,
		unwitnessed: `Бақылау нүктесінің астында куәгерлердің қолтаңбалары бұл пакетте жоқ.
`,
		stamped: `Оның уақыт белгілері: %s. Оқиғалар одан кеш болмаған.
`,
		unstamped: `Оның уақыт белгілері пакетте жоқ: қашан болғанын оператордың сағаты айтады.
`,
		since: `log/since - бұрынғы бақылау нүктесі, оқиға саны %d; log/consistency.txt қазіргісі оны
жалғастыратынын дәлелдейді (add-checkpoint сұрауының денесі, C2SP tlog-witness).
`,
		verifier: `Егер пакетте verifier/ қалтасы болса, онда тексеру бағдарламасы бар. Оның SHA-256
мәнін шығарушысы жариялағанмен салыстырмайынша, оған пакеттің өзінен артық сенуге
болмайды.
`,
	}
}

func english() wording {
	return wording{
		begin: `== ENGLISH ==

This file is an electronic document, its signatures and its whole history.
Begin with the report, report.html or report.pdf: it says the same in words. The
packet can be checked with no server and no network. One program checks everything
(0 - all holds, 1 - something does not hold, 2 - cannot be read, 3 - consistent
in itself, but its anchors are not among yours):
    dalel verify --trust DIR PACKET
DIR holds your anchors: the root certificates of the certification authority, the
operator's certificate, the key of its transparency log (log.vkey) and the keys of
witnesses. Take them from the authority, the operator and the witnesses, not from
this packet: a packet does not vouch for itself.

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
`,
		proofs: ` F. The transparency log: proofs/NNNN.tlog-proof (C2SP tlog-proof) shows that the
    event of the same number is in the Merkle tree whose root log/checkpoint names.
    The script among the commands computes that anew, with hashlib alone.
`,
		key: ` G. The log's signature under log/checkpoint, Ed25519. log.vkey is the log's public
    key as you got it from the operator, not log/log.vkey of the packet.
`,
		stamps: ` H. Trusted time tokens (RFC 3161) over log/checkpoint. The root of the time-stamping
    authority is among your roots.pem.
`,
		evidence: ` I. What the verdicts rest on: time tokens of signatures (timestamp/), OCSP answers
    (ocsp/) and revocation lists (crl/). With GOST signatures these commands and
    the commands C need an openssl with the GOST engine; without one, the program
    checks them.
`,
		time: `About time, plainly: the moments in -attime are there so that the commands work
when the certificates have ended. For signatures they are of the operator's clock
when the signature came, or, where the signature's folder has timestamp/, of the
token, which a third party confirms.
`,
		revocation: `What the verdict rests on about revocation lies beside the signature, and the
commands I check it.
`,
		noRevocation: `The verdicts in this packet rest on nothing about revocation (OCSP, CRL).
`,
		none: `This ledger keeps no transparency log. The seal shows that the operator gave out
these very events, and not that there were no others later.
`,
		notCovered: `The transparency log %s had not covered the newest event yet when the
packet was made: it has no proofs of inclusion. Ask for the packet again.
`,
		covered: `The transparency log %s: all events of this packet are among the first
%d of the ledger. Nobody can rewrite them or take them out without being found by
those who have an earlier or a later checkpoint. That there were no other events
later, the packet does not show.
`,
		witnessed: `Witnesses have signed the checkpoint too: %s.
The program checks their signatures, by your keys and your policy.
`,
		unwitnessed: `There are no signatures of witnesses under the checkpoint in this packet.
`,
		stamped: `Time tokens over it: %s. The events were there by then.
`,
		unstamped: `There are no time tokens over it in this packet: when it was, the operator's clock
says.
`,
		since: `log/since is an earlier checkpoint, of %d events; log/consistency.txt proves that the
present one continues it (the body of add-checkpoint, C2SP tlog-witness).
`,
		verifier: `If there is a folder verifier/, it has the verifying program. Trust it no more
than the packet itself until you have compared its SHA-256 with the one that its
publisher gives.
`,
	}
}

// readmeManyDocuments is about the folders of a packet of several documents.
const readmeManyDocuments = `
== НЕСКОЛЬКО ДОКУМЕНТОВ / БІРНЕШЕ ҚҰЖАТ / SEVERAL DOCUMENTS ==

В пакете несколько документов, каждый в своей папке documents/NNNN/ со своим
README.txt, где стоят команды C, D, E, F и I. Здесь - команды о пакете в целом.
Журнал один на все документы: journal.csv, journal.xlsx. Что за период не было
других документов, пакет не доказывает.

Пакетте бірнеше құжат бар, әрқайсысы өз documents/NNNN/ қалтасында, C, D, E, F және
I командалары сол қалтаның README.txt файлында. Мұнда бүкіл пакет туралы командалар.
Журнал (journal.csv, journal.xlsx) барлық құжатқа біреу. Кезең ішінде басқа
құжаттар болмағанын пакет дәлелдемейді.

There are several documents, each in a folder documents/NNNN/ of its own with a
README.txt that has the commands C, D, E, F and I. Here are the commands about the
packet as a whole. The journal (journal.csv, journal.xlsx) is one for all documents.
That there were no other documents in the period is not proved by the packet.
`

// ScriptMark begins each line of README.txt that is of the script.
const ScriptMark = "    | "

// proofScript checks proofs by hand. It takes the checkpoint's file.
const proofScript = `import base64, glob, hashlib, json, os, sys
H = lambda data: hashlib.sha256(data).digest()
checkpoint = open(sys.argv[1], "rb").read()
def head(note):  # size and root of a checkpoint
    lines = note.decode().split("\n")
    return int(lines[1]), base64.b64decode(lines[2])
size, root = head(checkpoint)
before = -1  # the index of the event before: the log has them in this order
for name in sorted(glob.glob("events/*.json")):
    number = os.path.basename(name).split("-")[0]
    event = json.load(open(name, encoding="utf-8"))
    proof, signed = open("proofs/" + number + ".tlog-proof", "rb").read().split(b"\n\n", 1)
    lines = proof.decode().split("\n")  # the format, the index, the hashes
    index = int(lines[1].split(" ")[1])
    node, at, last = H(b"\0" + bytes.fromhex(event["commitment"])), index, size - 1
    for other in map(base64.b64decode, lines[2:]):  # RFC 9162, 2.1.3.2
        if at & 1 or at == last:
            node = H(b"\1" + other + node)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            node = H(b"\1" + node + other)
        at, last = at >> 1, last >> 1
    good = before < index < size and last == 0 and node == root and signed == checkpoint
    before = index
    print(name, "OK" if good else "CHANGED")
folder = os.path.dirname(sys.argv[1])
if os.path.exists(folder + "/since"):  # RFC 9162, 2.1.4.2
    old, then = head(open(folder + "/since", "rb").read())
    proof, signed = open(folder + "/consistency.txt", "rb").read().split(b"\n\n", 1)
    lines = proof.decode().split("\n")
    path = [base64.b64decode(line) for line in lines[1:]]
    good = lines[0] == "old %d" % old and signed == checkpoint
    if old == size:
        good = good and not path and then == root
    else:
        if old & (old - 1) == 0:
            path = [then] + path
        at, last = old - 1, size - 1
        while at & 1:
            at, last = at >> 1, last >> 1
        one = two = path[0]
        for other in path[1:]:
            if at & 1 or at == last:
                one, two = H(b"\1" + other + one), H(b"\1" + other + two)
                while at and not at & 1:
                    at, last = at >> 1, last >> 1
            else:
                two = H(b"\1" + two + other)
            at, last = at >> 1, last >> 1
        good = good and last == 0 and one == then and two == root
    print(folder + "/consistency.txt", "OK" if good else "CHANGED")
`

// proofCommands are those that check the proofs of a document's events.
func (c *composition) proofCommands(b *strings.Builder) {
	if !c.log.covered() {
		return
	}
	b.WriteString("\nF.\n")
	for text := range strings.Lines(proofScript) {
		b.WriteString(ScriptMark + text)
	}
	checkpoint := logCheckpointName
	if c.folder != "" {
		checkpoint = "../../" + checkpoint
	}
	fmt.Fprintf(b, CommandMark+"sed -n 's/^    | //p' README.txt > check-proofs.py\n")
	fmt.Fprintf(b, CommandMark+"python3 check-proofs.py %s\n", checkpoint)
}

// commands are those that check the checkpoint's signature and time tokens.
func (l *logPart) commands(b *strings.Builder) {
	if !l.covered() {
		return
	}
	command := func(format string, args ...any) { fmt.Fprintf(b, CommandMark+format+"\n", args...) }

	b.WriteString("\nG.\n")
	command(`python3 -c 'import base64; name,_,key=open("log.vkey",encoding="utf-8").read().strip().split("+",2); text,lines=open("%s",encoding="utf-8").read().split("\n\n",1); assert text.split("\n")[0]==name; open("log.der","wb").write(bytes.fromhex("302a300506032b6570032100")+base64.b64decode(key)[1:]); open("checkpoint.txt","w",encoding="utf-8").write(text+"\n"); open("checkpoint.sig","wb").write([base64.b64decode(l.split(" ")[2])[4:] for l in lines.splitlines() if l.split(" ")[1]==name][0])'`, logCheckpointName)
	command("openssl pkeyutl -verify -pubin -keyform DER -inkey log.der -rawin -in checkpoint.txt -sigfile checkpoint.sig")

	if len(l.stamps) == 0 {
		return
	}
	b.WriteString("\nH.\n")
	for i, at := range l.times {
		name := fmt.Sprintf(logStampPattern, i+1)
		fmt.Fprintf(b, "%s: %s\n", name, at.UTC().Format(time.RFC3339))
		untrusted := ""
		if len(l.issuers[i]) > 0 {
			command(`for f in %s; do openssl x509 -in "$f"; done > tsa.pem`, fmt.Sprintf(logIssuersPattern, i+1))
			untrusted = " -untrusted tsa.pem"
		}
		command("openssl ts -verify -in %s -token_in -data %s -CAfile roots.pem%s -attime %d", name, l.noteName(), untrusted, at.Unix())
	}
}

// evidenceCommands are those that check what the verdicts rest on.
func (c *composition) evidenceCommands(b *strings.Builder) {
	command := func(format string, args ...any) { fmt.Fprintf(b, CommandMark+format+"\n", args...) }
	roots := "roots.pem"
	if c.folder != "" {
		roots = "../../roots.pem"
	}
	begun := false
	for _, s := range c.signatures {
		var certificates, others []string
		for _, e := range s.evidence {
			if strings.HasSuffix(e.name, ".cer") {
				certificates = append(certificates, e.name)
			} else {
				others = append(others, e.name)
			}
		}
		if len(others) == 0 {
			continue
		}
		if !begun {
			b.WriteString("\nI.\n")
			begun = true
		}
		chain := s.folder + "certificate.cer"
		if len(s.chain) > 0 {
			chain += " " + s.folder + "chain/*.cer"
		}
		if len(certificates) > 0 {
			chain += " " + s.folder + "tsa/*.cer"
		}
		fmt.Fprintf(b, "%s: %s\n", strings.TrimSuffix(s.folder, "/"), line(s.by.Party))
		command(`for f in %s; do openssl x509 -in "$f"; done > chain.pem`, chain)
		receipt, signing := s.signature.Verdict.At.Unix(), s.signature.AtSigning().At.Unix()
		cut := false
		for _, name := range others {
			switch {
			case strings.Contains(name, "/timestamp/"):
				if !cut {
					// The signature's bytes, which the token is over.
					command(`openssl asn1parse -inform DER -in %[1]ssignature.p7s -noout -out signature.bin -strparse "$(openssl asn1parse -inform DER -in %[1]ssignature.p7s | sed -n 's/^ *\([0-9]*\):d=5 .*OCTET STRING.*/\1/p' | tail -n 1)"`, s.folder)
					cut = true
				}
				command("openssl ts -verify -in %s -token_in -data signature.bin -CAfile %s -untrusted chain.pem -attime %d", name, roots, signing)
			case strings.Contains(name, "/ocsp/"):
				command("openssl ocsp -respin %s -resp_text -CAfile %s -verify_other chain.pem -attime %d", name, roots, receipt)
			default:
				command("cat chain.pem %s > issuers.pem && openssl crl -inform DER -in %s -CAfile issuers.pem -noout -lastupdate -nextupdate", roots, name)
			}
		}
	}
}
