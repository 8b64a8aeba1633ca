package browser_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dalel/domain/packet/container"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// TestR_M3_AnOutsiderChecksAFileAndAPacketInARealBrowser takes the first packet
// of the demo, and the contract in it, to the check page: without a session,
// without scripts, on a phone.
func TestR_M3_AnOutsiderChecksAFileAndAPacketInARealBrowser(t *testing.T) {
	path := findBrowser()
	if path == "" {
		t.Skip("no Chromium is installed (chromium, chromium-browser or google-chrome): the pages are not driven in a browser")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Second)
	t.Cleanup(cancel)
	s := serveDemo(t, ctx)
	found, err := filepath.Glob(filepath.Join(s.dir, "packets", "01-*.zip"))
	require.NoError(t, err)
	require.Len(t, found, 1)
	contract := contractOf(t, found[0])
	b := openTab(t, ctx, path)
	b.do(chromedp.EmulateViewport(375, 800))
	_, err = chromedp.Call(b.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	require.NoError(t, err)

	send := func(form, file string) {
		t.Helper()
		b.open(s.address + "/check?lang=ru")
		b.do(
			chromedp.SetUploadFiles(chromedp.CSS("#"+form), []string{file}),
			chromedp.Click(chromedp.CSS(`form[action="/check/`+form+`"] button`)),
		)
		b.wait(`location.pathname === "/check/` + form + `"`)
		require.Equal(t, "true", b.text(`String(document.documentElement.scrollWidth <= 375)`), "it fits a phone")
	}
	seen := func() string { return b.text(`document.getElementById("main").innerText`) }
	send("file", contract)
	require.Contains(t, seen(), "Такой файл есть в 1 завершённом документе")
	require.Contains(t, seen(), "Документ существует. Его подписи действуют.")
	require.Contains(t, seen(), "Завершение записано")
	for _, name := range []string{"Алтын", "Жібек", "Қасымова"} {
		require.NotContains(t, seen(), name)
	}
	send("packet", found[0])
	require.Contains(t, seen(), "Пакет верен")
	require.Equal(t, "0", b.text(`document.querySelectorAll(".claims .status:not(.good)").length + ""`))
	require.Contains(t, seen(), "Кто подписал")
	require.Contains(t, seen(), "Жібек", "who signed, as the packet itself opens it")
	b.clean()

	b.mu.Lock()
	b.expected = "/check/packet"
	b.mu.Unlock()
	send("packet", contract)
	require.Equal(t, "packet", b.text(`document.activeElement.id`), "the form that has to be sent again")
	require.Contains(t, b.text(`document.getElementById("packet-trouble").innerText`), "Это не пакет доказательств")
	b.clean()
}

// contractOf writes down the first file of the document in a packet.
func contractOf(t *testing.T, packet string) string {
	t.Helper()
	file, err := os.Open(packet)
	require.NoError(t, err)
	defer file.Close()
	info, err := file.Stat()
	require.NoError(t, err)
	archive, err := container.Read(file, info.Size())
	require.NoError(t, err)
	for _, f := range archive.Files {
		if strings.HasPrefix(f.Name, "document/") {
			path := filepath.Join(t.TempDir(), "contract.pdf")
			to, err := os.Create(path)
			require.NoError(t, err)
			_, err = to.ReadFrom(f.Open())
			require.NoError(t, err)
			require.NoError(t, to.Close())
			return path
		}
	}
	require.Fail(t, "the packet has no document")
	return ""
}
