package httpapi_test

import (
	"bytes"
	"image"
	"image/jpeg"
	"testing"

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
