package browser_test

import (
	"context"
	"encoding/json"
	"image"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"dalel/domain/packet"
)

// downloaded clicks a link and returns the path of the file that comes of it.
func (b *tab) downloaded(selector string) string {
	b.t.Helper()
	folder := b.t.TempDir()
	_, err := chromedp.CallBrowser(b.ctx, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{Behavior: browser.SetDownloadBehaviorBehaviorAllow, DownloadPath: folder})
	require.NoError(b.t, err)
	b.click(selector)
	var path string
	require.Eventually(b.t, func() bool {
		found, _ := filepath.Glob(filepath.Join(folder, "*"))
		if len(found) != 1 || strings.HasSuffix(found[0], ".crdownload") {
			return false
		}
		info, err := os.Stat(found[0])
		path = found[0]
		return err == nil && info.Size() > 0
	}, patience, 50*time.Millisecond, "nothing is downloaded from %s", selector)
	return path
}

// scan writes a picture that stands for the scan of a signed letter.
func scan(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "letter.png")
	file, err := os.Create(path)
	require.NoError(t, err)
	require.NoError(t, png.Encode(file, image.NewGray(image.Rect(0, 0, 40, 60))))
	require.NoError(t, file.Close())
	return path
}

// TestR_G5_ADocumentsEndInARealBrowser takes one document of the demo from a
// paper copy over a legal hold to its destruction, as those who do it see it.
func TestR_G5_ADocumentsEndInARealBrowser(t *testing.T) {
	path := findBrowser()
	if path == "" {
		t.Skip("no Chromium is installed (chromium, chromium-browser or google-chrome): the pages are not driven in a browser")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Second)
	t.Cleanup(cancel)
	s := serveDemo(t, ctx)
	b := openTab(t, ctx, path)
	good := `!!document.querySelector("[role=status].good")`
	all := `document.body.innerText.replaceAll("\u00a0", " ")`
	expect := func(part string) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.expected = part
	}

	var address, operated, number, title string
	t.Run("a party gets a paper copy and downloads it", func(t *testing.T) {
		b.t = t
		b.enter(s.seller, "/inbox")
		b.open(s.address + "/outbox?lang=en")
		b.click(`tr:last-child:has(.status.good) a.title`)
		b.wait(`!!document.querySelector("#keeping")`)
		address, number, title = b.text(`location.pathname`), b.text(`document.querySelector(".head .digits").textContent`), b.text(`document.querySelector("h1").innerText`)
		operated = "/operator" + address
		require.Len(t, number, 20)
		require.Regexp(t, `10 years from the .*, until \d+ \w+ \d{4}`, b.text(`document.querySelector("#keeping").innerText.replaceAll("\u00a0", " ")`))
		require.Contains(t, b.text(`document.querySelector("#keeping").innerText`), "An original exists")
		b.text(`(document.querySelector("#copy-language").value = "kk")`)
		b.click(`form[action$="/copy"] button`)
		b.wait(good)
		require.Contains(t, b.text(`document.getElementById("timeline").innerText`), "Paper copy issued")
		content, err := os.ReadFile(b.downloaded("[role=status] a"))
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(string(content), "%PDF-"))
		again, err := os.ReadFile(b.downloaded("#copies a"))
		require.NoError(t, err)
		require.Equal(t, content, again, "the same bytes come back")
		b.clean()
	})

	t.Run("a legal hold is placed, the party sees it, and nothing can be ordered", func(t *testing.T) {
		b.t = t
		b.enter(s.operator, "/journals")
		b.click(`a[href="` + operated + `"]`)
		b.wait(`location.pathname === "` + operated + `" && document.readyState === "complete"`)
		require.NotContains(t, b.text(all), title, "a title is content")
		b.text(`(document.querySelector("#hold-reason").value = "Claim 7 before the court")`)
		b.click(`form[action$="/hold"] button`)
		b.wait(good)
		require.Contains(t, b.text(all), "Claim 7 before the court")
		b.open(s.address + operated + "/destruction")
		require.Contains(t, b.text(all), "A legal hold stands. Until it is lifted nothing can be ordered.")
		require.Equal(t, "0", b.text(`document.querySelectorAll("[name=confirm]").length + ""`))
		b.enter(s.seller, "/inbox")
		b.open(s.address + address)
		require.Contains(t, b.text(`document.querySelector(".head .note").innerText`), "A legal hold stands")
		require.NotContains(t, b.text(all), "Claim 7")
		b.enter(s.operator, "/journals")
		b.open(s.address + operated)
		b.text(`(document.querySelector("#lift-0-reason").value = "Settled")`)
		b.click(`form[action$="/lift"] button`)
		b.wait(good)
		b.clean()
	})

	t.Run("both who signed ask for its destruction with their letters", func(t *testing.T) {
		b.t = t
		letter := scan(t)
		for _, who := range []string{s.seller, s.buyer} {
			b.enter(who, "/inbox")
			b.open(s.address + address)
			b.click(`details:has(form[action$="/destroy"]) summary`)
			require.Contains(t, b.text(`document.querySelector('form[action$="/destroy"]').innerText`), "cannot be undone")
			b.click(`form[action$="/destroy"] button`)
			require.Equal(t, "true", b.text(`String(document.querySelector("#destroy-letter").matches(":invalid"))`), "not without a letter")
			b.do(chromedp.SendKeys(chromedp.CSS("#destroy-reason"), "Both agree: it is not needed"), chromedp.SetUploadFiles(chromedp.CSS("#destroy-letter"), []string{letter}))
			b.click(`form[action$="/destroy"] button`)
			b.wait(good)
			require.Contains(t, b.text(`document.querySelector("#keeping").innerText`), "Destruction requested by")
			require.Equal(t, "0", b.text(`document.querySelectorAll('form[action$="/destroy"]').length + ""`), "once is enough")
		}
		require.Contains(t, b.text(`document.querySelector("#keeping").innerText`), "Everybody whose request is needed has asked")
		b.clean()
	})

	t.Run("the operator orders it with the word and not without", func(t *testing.T) {
		b.t = t
		b.enter(s.operator, "/journals")
		b.open(s.address + "/operator/destructions")
		b.click(`a[href="` + operated + `/destruction"]`)
		b.wait(`!!document.querySelector("[name=confirm]")`)
		require.Contains(t, b.text(all), strings.TrimPrefix(address, "/documents/"))
		expect("/destruction")
		b.do(chromedp.SendKeys(chromedp.CSS("#confirm-word"), "destroy"))
		b.click(`.confirm button`)
		b.wait(`!!document.querySelector("#confirm-wrong")`)
		expect("")
		b.do(chromedp.SendKeys(chromedp.CSS("#confirm-word"), "DESTROY"))
		b.click(`.confirm button`)
		b.wait(good)
		b.clean()
	})

	t.Run("the destroyed document has a calm page, no words, and a packet that verifies", func(t *testing.T) {
		b.t = t
		b.enter(s.seller, "/inbox")
		require.Eventually(t, func() bool {
			b.open(s.address + address)
			return strings.Contains(b.text(all), "Destroyed on ")
		}, patience, 200*time.Millisecond)
		require.NotContains(t, b.text(`document.documentElement.outerHTML`), title)
		require.Equal(t, "0", b.text(`document.querySelectorAll('a[href*="/files/"], a[href*="/copies/"], a[href*="/signatures/"]').length + ""`))
		require.Contains(t, b.text(`document.getElementById("timeline").innerText`), "Document destroyed")
		b.open(s.address + "/outbox")
		require.NotContains(t, b.text(all), title)
		b.open(s.address + address)
		packet := b.downloaded("#packet")
		requireHolds(t, s, packet)
		b.clean()
	})

	t.Run("anybody checks its number on a phone", func(t *testing.T) {
		b.t = t
		b.click(".account button")
		b.wait(`location.pathname === "/signin"`)
		b.do(chromedp.EmulateViewport(375, 800))
		b.open(s.address + "/check?lang=en")
		spaced := number[:4] + " " + number[4:8] + " " + number[8:]
		b.do(chromedp.SendKeys(chromedp.CSS("#number"), spaced))
		b.click(`main form button`)
		b.wait(`location.pathname === "/check/` + number + `" && document.readyState === "complete"`)
		require.Contains(t, b.text(all), "The document existed and was destroyed")
		require.NotContains(t, b.text(all), title)
		for _, language := range []string{"ru", "kk", "en"} {
			for _, page := range []string{"/check", "/check/" + number} {
				b.open(s.address + page + "?lang=" + language)
				require.Equal(t, "true", b.text(`String(document.documentElement.scrollWidth <= 375)`), "%s in %s", page, language)
			}
		}
		expect("/check")
		wrong := string(number[0]^1) + number[1:]
		b.open(s.address + "/check?lang=en&number=" + wrong)
		require.Contains(t, b.text(all), "The number is mistyped")
		b.enter(s.operator, "/journals")
		for _, language := range []string{"ru", "kk", "en"} {
			for _, page := range []string{"/operator/destructions?state=&lang=", operated + "?lang=", operated + "/destruction?lang="} {
				b.open(s.address + page + language)
				require.Equal(t, "true", b.text(`String(document.documentElement.scrollWidth <= 375)`), "%s in %s", page, language)
			}
		}
		b.clean()
	})
}

// requireHolds holds a packet against the ledger's anchors. All of it must be
// shown, but for one thing: witnesses are asked some seconds after an event, so
// of one that has just happened it may not be told yet that one saw it.
func requireHolds(t *testing.T, s site, path string) {
	t.Helper()
	output, err := exec.CommandContext(t.Context(), s.program, "verify", "--json", "--trust", filepath.Join(s.dir, "trust"), path).Output()
	var report packet.Report
	require.NoError(t, json.Unmarshal(output, &report), "%v: %s", err, output)
	require.NotEmpty(t, report.Claims)
	for _, claim := range report.Claims {
		if claim.ID == packet.ClaimWitnesses && claim.Holds == packet.CannotTell {
			continue
		}
		require.Equal(t, packet.Yes, claim.Holds, "%s: %s", claim.ID, claim.Detail)
	}
}
