package papercopy_test

import (
	"bytes"
	"compress/zlib"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"codeberg.org/go-pdf/fpdf"
	"github.com/pdfcpu/pdfcpu/pkg/api"
	"github.com/pdfcpu/pdfcpu/pkg/pdfcpu/model"
	"github.com/stretchr/testify/require"

	"dalel/internal/fault"
	"dalel/internal/papercopy"
	"dalel/internal/typeset"
)

func TestMain(m *testing.M) {
	api.DisableConfigDir()
	os.Exit(m.Run())
}

const number = "12345678901234567890"

func mark(language string) string {
	return map[string]string{"ru": "Копия электронного документа", "kk": "Электрондық құжаттың көшірмесі", "en": "Copy of an electronic document"}[language]
}

func file(name, mediaType string, content []byte) papercopy.File {
	hash := sha256.Sum256(content)
	return papercopy.File{Name: name, MediaType: mediaType, Size: int64(len(content)), SHA256: hex.EncodeToString(hash[:]),
		Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }}
}

func example(language string, files ...papercopy.File) papercopy.Copy {
	at := time.Date(2026, 3, 5, 9, 20, 31, 0, time.UTC)
	party := func(name, bin, role, outcome string) papercopy.Party {
		return papercopy.Party{Name: name, IdentifierLabel: "БИН", Identifier: bin, Role: role, Outcome: outcome, When: at}
	}
	signature := func(party, name string) papercopy.Signature {
		return papercopy.Signature{Party: party, SignerName: name, Organisation: party,
			Serial: "1ab2c3d4e5f60718293a4b5c6d7e8f9011223344", Issuer: "CN=ҰЛТТЫҚ КУӘЛАНДЫРУШЫ ОРТАЛЫҚ (GOST) 2022,C=KZ",
			ValidFrom: at.AddDate(0, -3, 0), ValidTo: at.AddDate(0, 9, 0), Algorithm: "ECGOST3410-2015-512", SignedAt: at,
			TrustedTime: true, Status: papercopy.Valid, Seal: true}
	}
	c := papercopy.Copy{
		Language: language, LedgerName: "Дәлел", CheckURL: "https://dalel.example/check/" + number, Number: number,
		DocumentID: "0195d4a2-7b1c-7e3f-9a41-3c5d7e9f1b2d", Title: "Договор возмездного оказания услуг № 17/2026-У", Kind: "Договор",
		SenderNumber: "17/2026-У", Date: "05.03.2026", Status: "Завершён: подписан всеми сторонами", CopyNumber: 3,
		IssuedAt: at.Add(48 * time.Hour), IssuedTo: "ТОО «Жетісу Инжиниринг», Әбенова Г. Қ.",
		Parties: []papercopy.Party{
			party("ТОО «Жетісу Инжиниринг»", "180340012346", "отправитель, подписывает", "подписал"),
			party("АО «Құрылыс Өнім»", "090240007654", "подписывает", "подписал"),
		},
		Signatures: []papercopy.Signature{signature("ТОО «Жетісу Инжиниринг»", "ӘБЕНОВА ГҮЛНАР"), signature("АО «Құрылыс Өнім»", "ЫСҚАҚОВ НҰРЛАН")},
		Files:      files,
	}
	c.Signatures[1].TrustedTime = false
	return c
}

func contract(t testing.TB, bilingual bool) []byte {
	t.Helper()
	seller := typeset.Party{Name: typeset.Text{RU: "ТОО «Жетісу Инжиниринг»", KK: "«Жетісу Инжиниринг» ЖШС"}, IDKind: "БИН", ID: "180340012346",
		Position: typeset.Text{RU: "Директор", KK: "Директор"}, Signer: "Әбенова Г. Қ."}
	buyer := typeset.Party{Name: typeset.Text{RU: "АО «Құрылыс Өнім»", KK: "«Құрылыс Өнім» АҚ"}, IDKind: "БИН", ID: "090240007654",
		Position: typeset.Text{RU: "Председатель Правления", KK: "Басқарма төрағасы"}, Signer: "Ысқақов Н. Ұ."}
	details := typeset.Details{Number: "17/2026-У", Date: time.Date(2026, 3, 5, 0, 0, 0, 0, time.UTC), City: typeset.Text{RU: "г. Алматы", KK: "Алматы қ."},
		Seller: seller, Buyer: buyer, VATPercent: 16, Items: []typeset.Item{{Name: typeset.Text{RU: "Авторский надзор", KK: "Авторлық қадағалау"},
			Unit: typeset.Text{RU: "час", KK: "сағат"}, Quantity: 40, Price: 1_500_050}}}
	data := typeset.Services(details)
	if bilingual {
		data = typeset.Supply(details)
	}
	content, err := typeset.Contract(data)
	require.NoError(t, err)
	return content
}

func made(t testing.TB, c papercopy.Copy) []byte {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, papercopy.Make(context.Background(), &out, c))
	if dir := os.Getenv("DALEL_PAPERCOPY_DIR"); dir != "" {
		name := strings.NewReplacer("/", "-", " ", "-").Replace(t.Name()) + "-" + c.Language
		require.NoError(t, os.WriteFile(filepath.Join(dir, name+".pdf"), out.Bytes(), 0o644))
	}
	return out.Bytes()
}

// valid validates strictly; [validAsItsSource] is for pages with the standard
// fonts, which PDF 2.0 no longer has without their widths.
func valid(t testing.TB, content []byte) { validates(t, content, model.ValidationStrict) }

func validAsItsSource(t testing.TB, content []byte) { validates(t, content, model.ValidationRelaxed) }

func validates(t testing.TB, content []byte, mode int) {
	t.Helper()
	conf := model.NewDefaultConfiguration()
	conf.ValidationMode = mode
	conf.Offline = true
	require.NoError(t, api.Validate(bytes.NewReader(content), conf))
}

func installed(t *testing.T, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed", program)
		}
	}
}

func pageCount(t testing.TB, content []byte) int {
	t.Helper()
	n, err := api.PageCount(bytes.NewReader(content), model.NewDefaultConfiguration())
	require.NoError(t, err)
	return n
}

// texts returns the text of each page, white space made one.
func texts(t *testing.T, content []byte) []string {
	t.Helper()
	installed(t, "pdftotext")
	command := exec.CommandContext(t.Context(), "pdftotext", "-layout", "-", "-")
	command.Stdin = bytes.NewReader(content)
	var complaints bytes.Buffer
	command.Stderr = &complaints
	out, err := command.Output()
	require.NoError(t, err)
	require.Empty(t, complaints.String(), "poppler complains")
	pages := strings.Split(strings.TrimSuffix(string(out), "\f"), "\f")
	for i := range pages {
		pages[i] = regexp.MustCompile(`[\s\x{a0}]+`).ReplaceAllString(pages[i], " ")
	}
	return pages
}

// codes renders each page and reads its QR codes.
func codes(t *testing.T, content []byte) []string {
	t.Helper()
	installed(t, "pdftoppm", "zbarimg")
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "copy.pdf"), content, 0o600))
	require.NoError(t, exec.CommandContext(t.Context(), "pdftoppm", "-r", "150", "-gray", "-png", filepath.Join(dir, "copy.pdf"), filepath.Join(dir, "p")).Run())
	images, err := filepath.Glob(filepath.Join(dir, "p*.png"))
	require.NoError(t, err)
	var read []string
	for _, name := range images {
		out, err := exec.CommandContext(t.Context(), "zbarimg", "-q", "--raw", "-Sdisable", "-Sqrcode.enable", name).Output()
		require.NoErrorf(t, err, "no QR code can be read on %s", filepath.Base(name))
		read = append(read, string(out))
	}
	return read
}

func TestR_D10_theMarkTheNumberAndTheCodeAreOnEverySheet(t *testing.T) {
	if testing.Short() {
		t.Skip("short: every sheet is drawn and its code read")
	}
	for _, language := range []string{"ru", "kk", "en"} {
		c := example(language, file("договор.pdf", "application/pdf", contract(t, language == "kk")), file("смета.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", []byte("PK")))
		content := made(t, c)
		valid(t, content)
		pages := texts(t, content)
		require.GreaterOrEqual(t, len(pages), 3)
		for i, text := range pages {
			require.Contains(t, text, mark(language), "%s, sheet %d", language, i+1)
			require.Contains(t, text, "1234 5678 9012 3456 7890", "%s, sheet %d", language, i+1)
			require.Contains(t, text, c.CheckURL, "%s, sheet %d", language, i+1)
			require.Regexp(t, fmt.Sprintf(`%d\D+%d`, i+1, len(pages)), text)
		}
		all := strings.Join(pages, " ")
		label := map[string]string{"ru": "Регистрационное свидетельство, №", "kk": "Тіркеу куәлігі, №", "en": "Certificate number"}[language]
		require.Contains(t, all, label, "the law's own word, printed whole")
		for _, want := range []string{"ӘБЕНОВА ГҮЛНАР", "ЫСҚАҚОВ НҰРЛАН", "ТОО «Жетісу Инжиниринг»", "АО «Құрылыс Өнім»", "БИН 180340012346",
			c.Signatures[0].Serial, "ECGOST3410-2015-512", map[string]string{"ru": "5 марта 2026 г., 14:20:31", "kk": "2026 жылғы 5 наурыз, 14:20:31", "en": "5 March 2026, 14:20:31"}[language],
			map[string]string{"ru": "7 марта 2026 г.", "kk": "2026 жылғы 7 наурыз", "en": "7 March 2026"}[language], c.DocumentID, c.Files[1].SHA256[:8], c.Files[0].SHA256[56:]} {
			require.Contains(t, all, want, language)
		}
		for i, read := range codes(t, content) {
			require.Contains(t, read, c.CheckURL, "%s, sheet %d", language, i+1)
			require.NotContains(t, strings.ReplaceAll(read, c.CheckURL, ""), "h", "nothing else is in the codes")
		}
	}
}

func TestMake_theSameInputGivesTheSameBytes(t *testing.T) {
	c := example("ru", file("a.pdf", "application/pdf", contract(t, true)), file("b.pdf", "application/pdf", contract(t, false)), file("c.png", "image/png", picture(t, 300, 200)))
	first := made(t, c)
	for range 4 {
		require.True(t, bytes.Equal(first, made(t, c)), "other bytes")
	}
	c.CopyNumber++
	require.False(t, bytes.Equal(first, made(t, c)), "another copy number must show")
}

func TestMake_everyKazakhLetterIsThere(t *testing.T) {
	const letters = "әғқңөұүһіӘҒҚҢӨҰҮҺІ₸"
	c := example("kk", file("мәтін.txt", "text/plain", []byte(letters)))
	c.IssuedTo = letters
	pages := texts(t, made(t, c))
	require.GreaterOrEqual(t, len(pages), 2)
	require.Contains(t, pages[0], letters, "in the monospaced font")
	require.Contains(t, pages[1], letters)
}

func picture(t testing.TB, width, height int) []byte {
	t.Helper()
	img := image.NewNRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			img.Set(x, y, color.NRGBA{byte(x), byte(y), 90, byte(255 - y%100)})
		}
	}
	var out bytes.Buffer
	require.NoError(t, png.Encode(&out, img))
	return out.Bytes()
}

// photograph is a JPEG, red at its first row, with EXIF's orientation.
func photograph(t testing.TB, orientation byte) []byte {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, 400, 200))
	for y := range 200 {
		for x := range 400 {
			c := color.RGBA{255, 255, 255, 255}
			if y < 60 {
				c = color.RGBA{255, 0, 0, 255}
			}
			img.Set(x, y, c)
		}
	}
	var out bytes.Buffer
	require.NoError(t, jpeg.Encode(&out, img, nil))
	exif := []byte("Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00")
	exif[6+8+2+9] = orientation
	segment := append([]byte{0xff, 0xe1, 0, byte(len(exif) + 2)}, exif...)
	return append(append([]byte{0xff, 0xd8}, segment...), out.Bytes()[2:]...)
}

func rendered(t *testing.T, content []byte, n int) image.Image {
	t.Helper()
	installed(t, "pdftoppm")
	command := exec.CommandContext(t.Context(), "pdftoppm", "-r", "72", "-png", "-f", fmt.Sprint(n), "-l", fmt.Sprint(n), "-singlefile", "-")
	command.Stdin = bytes.NewReader(content)
	out, err := command.Output()
	require.NoError(t, err)
	img, err := png.Decode(bytes.NewReader(out))
	require.NoError(t, err)
	return img
}

func TestMake_photographsStandUpright(t *testing.T) {
	// Where the red part is seen: first row, last row, first or last column.
	for orientation, want := range map[byte][2]float64{1: {0.5, 0.1}, 3: {0.5, 0.9}, 6: {0.9, 0.5}, 8: {0.1, 0.5}} {
		content := made(t, example("en", file("photo.jpg", "image/jpeg", photograph(t, orientation))))
		valid(t, content)
		img := rendered(t, content, 1)
		sheet := img.Bounds()
		upright := orientation >= 5
		require.Equal(t, upright, sheet.Dy() > sheet.Dx(), "orientation %d: the sheet is turned as the picture is", orientation)
		var found image.Rectangle
		for y := range sheet.Dy() {
			for x := range sheet.Dx() {
				if r, g, _, _ := img.At(x, y).RGBA(); r > 0xe000 && g < 0x3000 {
					found = found.Union(image.Rect(x, y, x+1, y+1))
				}
			}
		}
		require.False(t, found.Empty())
		require.Equal(t, upright, found.Dy() > found.Dx(), "orientation %d: %v", orientation, found)
		middle := found.Min.Add(found.Max).Div(2)
		switch {
		case want[1] == 0.1:
			require.Less(t, middle.Y, sheet.Dy()/2)
		case want[1] == 0.9:
			require.Greater(t, middle.Y, sheet.Dy()*45/100)
		case want[0] == 0.9:
			require.Greater(t, middle.X, sheet.Dx()/2)
		default:
			require.Less(t, middle.X, sheet.Dx()/2)
		}
	}
}

func TestMake_namesThatAreLongAndListsThatAreLongGoOn(t *testing.T) {
	var files []papercopy.File
	for i := range 100 {
		files = append(files, file(fmt.Sprintf("файл %d %s.docx", i+1, strings.Repeat("оченьдлинноеимя", i%20)), "application/msword", []byte(fmt.Sprint(i))))
	}
	c := example("ru", files...)
	c.Title = strings.Repeat("Қазақстан Республикасының құжаты ", 20)
	long := strings.Repeat("ТовариществоСОграниченнойОтветственностьюБезПробелов", 12)
	for i := range 50 {
		s := c.Signatures[0]
		s.SignerName = fmt.Sprintf("ПОДПИСАВШИЙ %d", i+1)
		if i%7 == 0 {
			s.SignerName, s.Issuer = s.SignerName+" "+long, long
		}
		s.Status = []papercopy.SignatureStatus{papercopy.Valid, papercopy.Invalid, papercopy.Unknown}[i%3]
		if i%5 == 0 {
			s.Lost, s.LostReason = true, "ключ скомпрометирован с 01.03.2026"
		}
		c.Signatures = append(c.Signatures, s)
		c.Parties = append(c.Parties, papercopy.Party{Name: fmt.Sprintf("%s %d", long, i), Role: "подписывает", Outcome: "ещё не подписал"})
	}
	c.Parties[7].Name = strings.Repeat("слово ", 1300) // a row higher than a sheet
	content := made(t, c)
	valid(t, content)
	pages := texts(t, content)
	all := strings.Join(pages, " ")
	for i := range 50 {
		require.Contains(t, all, fmt.Sprintf("ПОДПИСАВШИЙ %d", i+1))
	}
	require.Equal(t, 1300, strings.Count(all, "слово"), "nothing of a long name is cut")
	for i, f := range files {
		require.Contains(t, all, f.SHA256[:8], "file %d", i+1)
		require.Contains(t, all, f.SHA256[56:], "file %d", i+1)
	}
	require.GreaterOrEqual(t, strings.Count(all, "Файл и его SHA-256"), 5, "the head of the table is repeated")
	for _, want := range []string{"Подпись верна", "Подпись неверна", "Установить нельзя", "Подпись утратила силу", "ключ скомпрометирован с 01.03.2026"} {
		require.Contains(t, all, want)
	}
}

func TestMake_textsAreSetWithPageBreaksAndABound(t *testing.T) {
	var long strings.Builder
	for i := range papercopy.MaxTextPages*63 + 10 {
		fmt.Fprintf(&long, "строка %d\n", i)
	}
	c := example("ru",
		file("акт.xml", "application/xml; charset=utf-8", []byte("<?xml version=\"1.0\"?>\r\n<акт>\n\t<ұйым>"+strings.Repeat("Құрылыс ", 40)+"</ұйым>\n</акт>")),
		file("журнал.txt", "text/plain", []byte(long.String())), file("пусто.txt", "text/plain", nil), file("старый.txt", "text/plain", []byte{0xe0, 0xf2}))
	content := made(t, c)
	valid(t, content)
	pages := texts(t, content)
	require.Contains(t, pages[0], "<ұйым>Құрылыс")
	require.Contains(t, pages[0], "↪", "a broken line shows that it is one")
	require.Contains(t, pages[1], "строка 62")
	require.NotContains(t, pages[1], "строка 63")
	require.Contains(t, pages[2], "строка 63")
	last := pages[papercopy.MaxTextPages]
	require.Contains(t, last, fmt.Sprintf("строка %d", papercopy.MaxTextPages*63-1))
	require.Contains(t, last, "Продолжение текста – в электронном подлиннике.")
	all := strings.Join(pages, " ")
	require.NotContains(t, all, fmt.Sprintf("строка %d ", papercopy.MaxTextPages*63))
	require.Contains(t, all, "Показано начало")
	require.Contains(t, all, "UTF-8")
}

func TestMake_charactersThatTheFontDoesNotHaveAreShownAsMissing(t *testing.T) {
	c := example("en")
	c.IssuedTo = "left \u202egnp.exe 😀 漢字"
	pages := texts(t, made(t, c))
	all := strings.Join(pages, " ")
	require.Contains(t, all, "left \ufffdgnp.exe \ufffd \ufffd\ufffd")
	require.Contains(t, all, "Characters that the font does not have")
}

func TestMake_aDocumentWithoutNumberOrSignaturesSaysSo(t *testing.T) {
	c := example("ru")
	c.Number, c.Signatures, c.Parties = "", nil, nil
	all := strings.Join(texts(t, made(t, c)), " ")
	for _, want := range []string{"не присвоен: документ не завершён", "Документ не подписан.", "Сторон нет.", "Файлов нет.", "документ " + c.DocumentID} {
		require.Contains(t, all, want)
	}
	require.NotContains(t, all, "подписанный")
}

func TestMake_refuses(t *testing.T) {
	for what, change := range map[string]func(*papercopy.Copy){
		"another language":     func(c *papercopy.Copy) { c.Language = "de" },
		"no title":             func(c *papercopy.Copy) { c.Title = "" },
		"no copy number":       func(c *papercopy.Copy) { c.CopyNumber = 0 },
		"no moment":            func(c *papercopy.Copy) { c.IssuedAt = time.Time{} },
		"a short number":       func(c *papercopy.Copy) { c.Number = "123" },
		"a script as address":  func(c *papercopy.Copy) { c.CheckURL = "javascript:alert(1)" },
		"a long address":       func(c *papercopy.Copy) { c.CheckURL = "https://a.example/" + strings.Repeat("a", 200) },
		"an address not ASCII": func(c *papercopy.Copy) { c.CheckURL = "https://дәлел.example/" },
		"a made-up verdict":    func(c *papercopy.Copy) { c.Signatures[0].Status = "fine" },
		"a hash that is none":  func(c *papercopy.Copy) { c.Files[0].SHA256 = "abc" },
		"a huge text":          func(c *papercopy.Copy) { c.Signatures[0].LostReason = strings.Repeat("a", 1<<20) },
	} {
		c := example("ru", file("a.txt", "text/plain", []byte("a")))
		change(&c)
		var out bytes.Buffer
		err := papercopy.Make(t.Context(), &out, c)
		require.Truef(t, fault.Is(err, fault.DocumentInvalid), "%s: got %v", what, err)
		require.Zero(t, out.Len(), what)
	}
}

func TestMake_contentThatIsNotTheDocumentsIsNeverPrinted(t *testing.T) {
	for what, change := range map[string]func(*papercopy.File){
		"another hash": func(f *papercopy.File) { f.SHA256 = strings.Repeat("0", 64) },
		"too short":    func(f *papercopy.File) { f.Size++ },
		"too long":     func(f *papercopy.File) { f.Size-- },
	} {
		f := file("a.txt", "text/plain", []byte("content"))
		change(&f)
		var out bytes.Buffer
		err := papercopy.Make(t.Context(), &out, example("ru", f))
		require.Truef(t, fault.Is(err, fault.BlobCorrupt), "%s: got %v", what, err)
		require.Zero(t, out.Len(), what)
	}
	away := errors.New("away")
	f := file("a.txt", "text/plain", []byte("content"))
	f.Open = func() (io.ReadCloser, error) { return nil, away }
	require.ErrorIs(t, papercopy.Make(t.Context(), io.Discard, example("ru", f)), away)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, papercopy.Make(ctx, io.Discard, example("ru", file("a.pdf", "application/pdf", contract(t, false)))), context.Canceled)
}

// pagesOf makes a PDF of so many pages of a size in millimetres.
func pagesOf(t testing.TB, count int, width, height float64) []byte {
	t.Helper()
	pdf := fpdf.New("P", "mm", "A4", "")
	pdf.SetFont("Helvetica", "", 14)
	pdf.SetAutoPageBreak(false, 0)
	for i := range count {
		pdf.AddPageFormat("P", fpdf.SizeType{Wd: width, Ht: height})
		pdf.Rect(1, 1, width-2, height-2, "D")
		pdf.Text(5, 15, fmt.Sprintf("Inside%d", i+1))
	}
	var out bytes.Buffer
	require.NoError(t, pdf.Output(&out))
	return out.Bytes()
}

func TestR_D10_pagesOfAnySizeAndRotationKeepTheMarkUprightAndInside(t *testing.T) {
	if testing.Short() {
		t.Skip("short: every sheet is drawn and its code read")
	}
	for _, size := range [][2]float64{{210, 297}, {297, 210}, {420, 297}, {80, 120}, {800, 60}} {
		for _, turn := range []int{0, 90, 180, 270} {
			source := pagesOf(t, 1, size[0], size[1])
			if turn != 0 {
				var out bytes.Buffer
				require.NoError(t, api.Rotate(bytes.NewReader(source), &out, turn, nil, model.NewDefaultConfiguration()))
				source = out.Bytes()
			}
			what := fmt.Sprintf("%v turned by %d", size, turn)
			content := made(t, example("ru", file("a.pdf", "application/pdf", source)))
			validAsItsSource(t, content)
			wide, high := size[0], size[1]
			if turn%180 != 0 {
				wide, high = high, wide
			}
			dims, err := api.PageDims(bytes.NewReader(content), model.NewDefaultConfiguration())
			require.NoError(t, err)
			short, long := 210.0, 297.0
			if wide > high {
				short, long = long, short
			}
			require.InDelta(t, max(wide, short), dims[0].Width*25.4/72, 0.5, what)
			require.InDelta(t, max(high, long), dims[0].Height*25.4/72, 0.5, what)
			installed(t, "pdftotext")
			command := exec.CommandContext(t.Context(), "pdftotext", "-bbox", "-l", "1", "-", "-")
			command.Stdin = bytes.NewReader(content)
			out, err := command.Output()
			require.NoError(t, err)
			for _, word := range []string{"Копия", "электронного", "Inside1"} {
				match := regexp.MustCompile(`xMin="([-\d.]+)" yMin="([-\d.]+)" xMax="([-\d.]+)" yMax="([-\d.]+)">` + word + `<`).FindStringSubmatch(string(out))
				require.NotNil(t, match, "%s: %s is not found", what, word)
				var box [4]float64
				for i := range box {
					_, err := fmt.Sscan(match[i+1], &box[i])
					require.NoError(t, err)
				}
				require.True(t, box[0] > 0 && box[1] > 0 && box[2] < dims[0].Width && box[3] < dims[0].Height, "%s: %s is at %v", what, word, box)
				if word == "Inside1" {
					require.Equal(t, turn%180 == 0, box[2]-box[0] > box[3]-box[1], "%s: the page is seen as its rotation says: %v", what, box)
					require.Greater(t, box[1], 13*72/25.4-1, "%s: the page is below the mark", what)
				} else {
					require.Greater(t, box[2]-box[0], box[3]-box[1], "%s: the mark is upright", what)
				}
			}
		}
	}
}

func TestMake_aFileThatCannotBeShownIsNamedWithTheReason(t *testing.T) {
	source := contract(t, false)
	var locked, opens bytes.Buffer
	require.NoError(t, api.Encrypt(bytes.NewReader(source), &locked, model.NewAESConfiguration("user", "owner", 256)))
	require.NoError(t, api.Encrypt(bytes.NewReader(source), &opens, model.NewAESConfiguration("", "owner", 256)))
	big := file("big.pdf", "application/pdf", source)
	big.Size = papercopy.MaxFileBytes + 1
	gone := file("gone.pdf", "application/pdf", source)
	gone.Open = nil
	cut := photograph(t, 1)
	for what, c := range map[string]struct {
		file papercopy.File
		want string
	}{
		"locked":      {file("a.pdf", "application/pdf", locked.Bytes()), "locked by a password"},
		"cut off":     {file("a.pdf", "application/pdf", source[:len(source)/3]), "could not be read"},
		"no PDF":      {file("a.pdf", "application/pdf", []byte("%PDF-1.7\nnothing\n%%EOF")), "could not be read"},
		"nothing":     {file("a.pdf", "application/pdf", nil), "could not be read"},
		"too big":     {big, "too large"},
		"gone":        {gone, "cannot be had"},
		"many pages":  {file("a.pdf", "application/pdf", pagesOf(t, papercopy.MaxFilePages+1, 50, 50)), "more than 500 pages"},
		"half a JPEG": {file("a.jpg", "image/jpeg", cut[:len(cut)/2]), "could not be read"},
		"no PNG":      {file("a.png", "image/png", []byte("\x89PNG")), "could not be read"},
		"office":      {file("a.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", []byte("PK")), "cannot be shown on paper"},
		"strange":     {file("a", ";;", []byte("PK")), "cannot be shown on paper"},
	} {
		content := made(t, example("en", c.file))
		valid(t, content)
		all := strings.Join(texts(t, content), " ")
		require.Contains(t, all, "Not shown: ", what)
		// The reason is broken into lines beside other cells.
		for word := range strings.FieldsSeq(c.want) {
			require.Contains(t, all, word, what)
		}
		require.Contains(t, all, c.file.SHA256[:8], what)
	}
	pages := texts(t, made(t, example("en", file("a.pdf", "application/pdf", opens.Bytes()))))
	require.Contains(t, pages[0], "возмездного оказания услуг", "one that opens without a password is shown")
}

// raw makes a PDF of numbered objects; the first is the catalog.
func raw(objects ...string) []byte {
	var out bytes.Buffer
	out.WriteString("%PDF-1.7\n")
	var offsets []int
	for i, o := range objects {
		offsets = append(offsets, out.Len())
		fmt.Fprintf(&out, "%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	start := out.Len()
	fmt.Fprintf(&out, "xref\n0 %d\n0000000000 65535 f \n", len(objects)+1)
	for _, offset := range offsets {
		fmt.Fprintf(&out, "%010d 00000 n \n", offset)
	}
	fmt.Fprintf(&out, "trailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n", len(objects)+1, start)
	return out.Bytes()
}

func stream(entries, content string) string {
	return fmt.Sprintf("<<%s/Length %d>>\nstream\n%s\nendstream", entries, len(content), content)
}

func TestMake_stampsAnswersAndLayersAreAsTheyAreSeen(t *testing.T) {
	text := func(words string) string { return "BT /F1 12 Tf 5 5 Td (" + words + ") Tj ET" }
	const font = "/Resources<</Font<</F1 5 0 R>>>>"
	build := func(field string) []byte {
		return raw(
			"<</Type/Catalog/Pages 2 0 R/OpenAction<</S/JavaScript/JS(app.alert\\(1\\))>>/OCProperties<</OCGs[10 0 R 11 0 R]/D<</OFF[11 0 R]>>>>>>",
			"<</Type/Pages/Kids[3 0 R]/Count 1/MediaBox[0 0 400 400]>>",
			"<</Type/Page/Parent 2 0 R/Contents[4 0 R 9 0 R]/Annots[6 0 R 7 0 R 8 0 R]/Resources<</Font<</F1 5 0 R>>/Properties<</On 10 0 R/Off 11 0 R>>>>>>",
			stream("", text("Contents")+" /OC /On BDC "+text("Layershown")+" EMC /OC /Off BDC BT /F1 12 Tf 5 100 Td (Layerhidden) Tj ET EMC q"),
			"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
			"<</Type/Annot/Subtype/Stamp/Rect[100 100 160 300]/AP<</N 12 0 R>>/F 4>>",
			"<</Type/Annot/Subtype/Stamp/Rect[100 200 300 260]/AP<</N 13 0 R>>/F 2>>",
			field,
			stream("", "BT /F1 12 Tf 5 300 Td (Secondstream) Tj ET"),
			"<</Type/OCG/Name(On)>>", "<</Type/OCG/Name(Off)>>",
			stream("/BBox[0 0 200 60]/Matrix[0 1 -1 0 0 0]"+font, text("Stampseen")),
			stream("/BBox[0 0 200 60]"+font, text("Stamphidden")),
			stream("/BBox[0 0 200 60]"+font, text("Answer")),
		)
	}
	content := made(t, example("en", file("form.pdf", "application/pdf", build("<</Type/Annot/Subtype/Widget/FT/Tx/V(Answer)/Rect[100 300 300 360]/AP<</N 14 0 R>>>>"))))
	validAsItsSource(t, content)
	require.NotContains(t, string(content), "JavaScript", "scripts are not taken over")
	page := texts(t, content)[0]
	for _, want := range []string{"Contents", "Secondstream", "Layershown", "Stampseen", "Answer"} {
		require.Contains(t, page, want)
	}
	require.NotContains(t, page, "Stamphidden")
	require.NotContains(t, page, "Layerhidden")

	content = made(t, example("en", file("form.pdf", "application/pdf", build("<</Type/Annot/Subtype/Widget/FT/Tx/V(Answer)/Rect[100 300 300 360]>>"))))
	all := strings.Join(texts(t, content), " ")
	require.NotContains(t, all, "Layershown")
	require.Contains(t, all, "Not shown: the fields", "an answer that viewers draw differently is not left out silently")
}

// bursting is a stream of a megabyte of nothing.
func bursting(t *testing.T) string {
	t.Helper()
	var packed bytes.Buffer
	z := zlib.NewWriter(&packed)
	_, err := z.Write(bytes.Repeat([]byte("n "), 1<<19))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return stream("/Filter/FlateDecode", packed.String())
}

func TestMake_pdfsThatLoopOrBurstEnd(t *testing.T) {
	if testing.Short() {
		t.Skip("short: large files are made and refused")
	}
	for what, content := range map[string][]byte{
		"pages in a ring":     raw("<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Kids[2 0 R]/Count 1>>"),
		"resources in a ring": raw("<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Kids[3 0 R]/Count 1>>", "<</Type/Page/Parent 2 0 R/MediaBox[0 0 90 90]/Resources 4 0 R>>", "<</XObject<</A 5 0 R>>>>", stream("/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources 4 0 R", "/A Do")),
		"nested deeply":       raw("<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Kids[3 0 R]/Count 1>>", "<</Type/Page/Parent 2 0 R/MediaBox[0 0 90 90]/Resources<</A "+strings.Repeat("[", 5000)+strings.Repeat("]", 5000)+">>>>"),
		"content that bursts": raw("<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Count 1/Kids[3 0 R]>>", "<</Type/Page/Parent 2 0 R/MediaBox[0 0 90 90]/Contents["+strings.Repeat("4 0 R ", 200)+"]>>", bursting(t)),
		"no size":             raw("<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Kids[3 0 R]/Count 1>>", "<</Type/Page/Parent 2 0 R/MediaBox[0 0 1 1]>>"),
		"pages that are none": raw("<</Type/Catalog/Pages 2 0 R>>", "[1 2 3]"),
	} {
		copied := made(t, example("en", file("a.pdf", "application/pdf", content)))
		require.GreaterOrEqual(t, pageCount(t, copied), 1, what)
		all := strings.Join(texts(t, copied), " ")
		require.Equal(t, what == "content that bursts", strings.Contains(all, "too large"), what)
		require.Equal(t, what != "resources in a ring", strings.Contains(all, "Not shown: "), what)
	}
}

func FuzzMake_aDamagedPDFNeverStopsTheCopy(f *testing.F) {
	source := pagesOf(f, 2, 100, 100)
	f.Add(source, uint16(0), byte(0))
	f.Add(source, uint16(300), byte('9'))
	f.Add(source[:200], uint16(20), byte('<'))
	f.Add(raw("<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Kids[3 0 R]/Count 1>>", "<</Type/Page/Parent 2 0 R>>"), uint16(40), byte('R'))
	f.Fuzz(func(t *testing.T, content []byte, at uint16, value byte) {
		if len(content) > 1<<16 {
			return
		}
		content = bytes.Clone(content)
		if int(at) < len(content) {
			content[at] = value
		}
		var out bytes.Buffer
		require.NoError(t, papercopy.Make(t.Context(), &out, example("en", file("a.pdf", "application/pdf", content))))
		// Not validated: what is wrong with a font of the source's stays so.
		read, err := api.ReadContext(bytes.NewReader(out.Bytes()), model.NewDefaultConfiguration())
		require.NoError(t, err)
		require.NoError(t, read.EnsurePageCount())
		require.GreaterOrEqual(t, read.PageCount, 1)
	})
}

func BenchmarkMake_tenPages(b *testing.B) {
	var files []papercopy.File
	for range 5 {
		files = append(files, file("договор.pdf", "application/pdf", contract(b, false)))
	}
	c := example("ru", files...)
	var size int
	b.ReportAllocs()
	for b.Loop() {
		var out bytes.Buffer
		if err := papercopy.Make(context.Background(), &out, c); err != nil {
			b.Fatal(err)
		}
		size = out.Len()
	}
	b.ReportMetric(float64(size)/1024, "KiB/copy")
	var after runtime.MemStats
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.Sys)/(1<<20), "MiB-from-the-system")
}
