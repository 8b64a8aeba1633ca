package packet

// readmeThree is the text of README.txt in packets of format 3. It does not
// change any more.
const readmeThree = `== РУССКИЙ ==

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
