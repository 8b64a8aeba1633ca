package httpapi_test

import (
	"bytes"
	"image"
	"image/jpeg"
	"net/url"
	"os"
	"testing"

	"dalel/domain/fileformat"

	"github.com/stretchr/testify/require"
)

// aPhoto is a picture with what a phone writes behind it.
func aPhoto(t *testing.T) []byte {
	t.Helper()
	var photo bytes.Buffer
	require.NoError(t, jpeg.Encode(&photo, image.NewGray(image.Rect(0, 0, 8, 8)), nil))
	photo.WriteString("\x00\x00\x01\n\x0e\x00\x00\x00Image_UTC_Data1700000000000SEFHj\x00\x00\x00SEFT")
	return photo.Bytes()
}

func TestR_D2_APhonesPhotoIsTakenAsItComesAndItsDocumentSaysWhatLiesInIt(t *testing.T) {
	w := newWorld(t)
	id := w.draft()
	path := "/api/v1/documents/" + id
	photo := aPhoto(t)
	put := w.do(request{method: "PUT", path: path + "/files/photo.jpg", token: w.sender.token, raw: photo, mediaType: "image/jpeg"})
	require.Equal(t, 200, put.status, put.body)
	files := w.get(path, w.sender.token).value()["files"].([]any)
	require.Len(t, files, 2)
	require.NotContains(t, files[0], "cautions")
	require.Equal(t, []any{"file.trailer"}, files[1].(map[string]any)["cautions"])
	got := w.do(request{method: "GET", path: path + "/files/photo.jpg", token: w.sender.token})
	require.Equal(t, string(photo), got.body, "every byte of it is kept")
}

func TestR_D1_ANameIsTakenAsTheSendersSystemWritesItAndFoundUnderEitherForm(t *testing.T) {
	w := newWorld(t)
	id := w.ok("POST", "/api/v1/documents", w.sender.token, map[string]any{"kind": "letter", "title": "Счёт\u00a0и\u0306", "number": "№\u202f7"}).text("id")
	path := "/api/v1/documents/" + id
	seen := w.get(path, w.sender.token).value()["details"].(map[string]any)
	require.Equal(t, "Счёт й", seen["title"])
	require.Equal(t, "№ 7", seen["number"])

	decomposed := url.PathEscape("Снимок\u202fи\u0306.txt")
	for range 2 { // the second time it replaces the first
		put := w.do(request{method: "PUT", path: path + "/files/" + decomposed, token: w.sender.token, raw: []byte("text"), mediaType: "text/plain"})
		require.Equal(t, 200, put.status, put.body)
	}
	files := w.get(path, w.sender.token).value()["files"].([]any)
	require.Len(t, files, 1)
	require.Equal(t, "Снимок й.txt", files[0].(map[string]any)["name"])
	for _, name := range []string{decomposed, url.PathEscape("Снимок й.txt")} {
		require.Equal(t, 200, w.do(request{method: "GET", path: path + "/files/" + name, token: w.sender.token}).status, name)
	}
	require.Equal(t, 200, w.do(request{method: "DELETE", path: path + "/files/" + decomposed, token: w.sender.token}).status)
}

func TestR_D1_ACharacterThatNobodySeesIsRefusedByItsNameAndPlace(t *testing.T) {
	w := newWorld(t)
	id := w.draft()
	title := w.do(request{method: "POST", path: "/api/v1/documents", token: w.sender.token, json: map[string]any{"kind": "letter", "title": "До\u200bговор"}})
	require.Equal(t, 400, title.status)
	require.Equal(t, "text.character", title.code())
	require.Contains(t, title.body, "the title has the character U+200B at character 3")
	name := w.do(request{method: "PUT", path: "/api/v1/documents/" + id + "/files/" + url.PathEscape("a\u202etxt.exe.txt"), token: w.sender.token, raw: []byte("a"), mediaType: "text/plain"})
	require.Equal(t, 400, name.status)
	require.Equal(t, "text.character", name.code())
	require.Contains(t, name.body, "U+202E at character 2")
}

func TestR_D1_ACreditNoteHasASumThatIsOwedBack(t *testing.T) {
	w := newWorld(t)
	create := func(minor, currency string) answer {
		return w.do(request{method: "POST", path: "/api/v1/documents", token: w.sender.token, json: map[string]any{
			"kind": "invoice", "title": "t", "sum": map[string]any{"minor": minor, "currency": currency}}})
	}
	made := create("-125000", "KZT")
	require.Equal(t, 201, made.status, made.body)
	shown := w.get("/api/v1/documents/"+made.text("id"), w.sender.token).value()["details"].(map[string]any)
	require.Equal(t, map[string]any{"minor": "-125000", "currency": "KZT"}, shown["sum"])
	for _, wrong := range [][2]string{{"-0", "KZT"}, {"--5", "KZT"}, {"5", "TEN"}, {"5", "XXX"}} {
		require.Equal(t, "document.invalid", create(wrong[0], wrong[1]).code(), "%v", wrong)
	}
}

func TestR_D2_AFileThatBringsInAStyleSheetSaysSoAndItsCautionsAreInTheDescription(t *testing.T) {
	w := newWorld(t)
	id := w.draft()
	content := `<?xml version="1.0"?><?xml-stylesheet href="https://x/a.xsl"?><act/>`
	put := w.do(request{method: "PUT", path: "/api/v1/documents/" + id + "/files/act.xml", token: w.sender.token, raw: []byte(content), mediaType: "application/xml"})
	require.Equal(t, 200, put.status, put.body)
	files := w.get("/api/v1/documents/"+id, w.sender.token).value()["files"].([]any)
	require.Equal(t, []any{"file.outside"}, files[len(files)-1].(map[string]any)["cautions"])
	described, err := os.ReadFile("openapi.yaml")
	require.NoError(t, err)
	for _, caution := range fileformat.Cautions() {
		require.Contains(t, string(described), "\n      - "+string(caution)+"\n")
	}
}
