// Package browser drives the pages of a real ledger in a real browser:
// `dalel demo` as it is built, and headless Chromium. It is skipped where
// there is no Chromium.
package browser_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// patience bounds every wait for something to appear.
const patience = 30 * time.Second

// findBrowser returns the path of a Chromium, "" if there is none.
func findBrowser() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// site is a served ledger with its story, and a link for each who looks at it.
type site struct {
	program, dir, address string
	// Links that sign in by themselves.
	seller, buyer, person, auditor, operator string
}

// serveDemo builds the program, lets it play its story and serve the pages.
func serveDemo(t *testing.T, ctx context.Context) site {
	t.Helper()
	s := site{program: filepath.Join(t.TempDir(), "dalel"), dir: filepath.Join(t.TempDir(), "ledger")}
	output, err := exec.CommandContext(ctx, "go", "build", "-o", s.program, "dalel/cmd/dalel").CombinedOutput()
	require.NoError(t, err, "%s", output)
	command := exec.CommandContext(ctx, s.program, "demo", "--dir", s.dir, "--listen", "127.0.0.1:0")
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = 5 * time.Second
	said, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = said.Close() })
	command.Stderr = said
	stdout, err := command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		_ = command.Wait()
	})
	var links []string
	link := regexp.MustCompile(`http://\S+/signin#token=\S+`)
	lines := bufio.NewScanner(stdout)
	for len(links) < 5 && lines.Scan() {
		if found := link.FindString(lines.Text()); found != "" {
			links = append(links, found)
		}
	}
	if len(links) < 5 {
		complaint, _ := os.ReadFile(said.Name())
		require.Fail(t, "the demo prints a link for each viewer", "it said: %s", complaint)
	}
	go func() { _, _ = io.Copy(io.Discard, stdout) }()
	parsed, err := url.Parse(links[0])
	require.NoError(t, err)
	s.address = parsed.Scheme + "://" + parsed.Host
	s.seller, s.buyer, s.person, s.auditor, s.operator = links[0], links[1], links[2], links[3], links[4]
	return s
}

// tab is a browser's tab, and what went wrong in it.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	problems []string
	requests int
	// expected is a part of an address whose refusal is what the test wants.
	expected string
}

func openTab(t *testing.T, ctx context.Context, path string) *tab {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("accept-lang", "ru"),
	)
	ctx, cancel := chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b := &tab{t: t, ctx: ctx}
	require.NoError(t, chromedp.Listen(ctx, b.listen))
	return b
}

// listen keeps what must not happen: a request to anywhere but here, an error
// on the console, a violation of the content security policy.
func (b *tab) listen(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	note := func(format string, args ...any) { b.problems = append(b.problems, fmt.Sprintf(format, args...)) }
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		b.requests++
		parsed, err := url.Parse(e.Request.URL)
		if err != nil || parsed.Scheme != "data" && parsed.Hostname() != "127.0.0.1" && parsed.Hostname() != "localhost" {
			note("a request to %s", e.Request.URL)
		}
	case *runtime.EventExceptionThrown:
		note("an exception: %+v", e.ExceptionDetails)
	case *runtime.EventConsoleAPICalled:
		note("the console: %s", e.Type)
	case *log.EventEntryAdded:
		if b.expected == "" || !strings.Contains(e.Entry.URL, b.expected) {
			note("the log: %s %s", e.Entry.Text, e.Entry.URL)
		}
	}
}

func (b *tab) clean() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	require.Empty(b.t, b.problems)
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	require.NoError(b.t, chromedp.Do(b.ctx, steps...))
}

func (b *tab) open(address string) { b.t.Helper(); b.do(chromedp.Navigate(address)) }

// text is the value of a script's expression.
func (b *tab) text(expression string) string {
	b.t.Helper()
	value, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](expression))
	require.NoError(b.t, err, expression)
	return value
}

// wait returns when the expression is true of a page that is there as a whole; a
// navigation may come between.
func (b *tab) wait(expression string) {
	b.t.Helper()
	require.Eventually(b.t, func() bool {
		value, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](`document.readyState === "complete" && (`+expression+`)`))
		return err == nil && value
	}, patience, 50*time.Millisecond, "%s", expression)
}

// enter signs in by a link and waits for the start page.
func (b *tab) enter(link, start string) {
	b.t.Helper()
	b.open(link)
	// Who is signed in as another is asked.
	b.wait(`!!document.getElementById("switch") || location.pathname === "` + start + `" && document.readyState === "complete"`)
	if b.text(`String(!!document.getElementById("switch"))`) == "true" {
		b.click("#switch")
	}
	b.wait(`location.pathname === "` + start + `" && document.readyState === "complete"`)
}

func (b *tab) click(selector string) {
	b.t.Helper()
	b.wait(`!!document.querySelector(` + "`" + selector + "`" + `)`)
	_, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool]("document.querySelector(`"+selector+"`).click(), true"))
	require.NoError(b.t, err)
}

func TestPagesInARealBrowser(t *testing.T) {
	path := findBrowser()
	if path == "" {
		t.Skip("no Chromium is installed (chromium, chromium-browser or google-chrome): the pages are not driven in a browser")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	s := serveDemo(t, ctx)
	b := openTab(t, ctx, path)

	t.Run("a link on another site signs in, and the token is left behind in no history", func(t *testing.T) {
		b.t = t
		other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			// An icon of its own, so that the browser asks for none.
			fmt.Fprintf(w, `<link rel="icon" href="data:,"><a id="in" href="%s">in</a>`, s.person)
		}))
		defer other.Close()
		// 127.0.0.1 and localhost are two sites to a browser.
		b.open(strings.Replace(other.URL, "127.0.0.1", "localhost", 1))
		b.click("#in")
		b.wait(`location.pathname === "/signin" && document.getElementById("token").value !== ""`)
		require.Equal(t, "", b.text(`location.hash`), "the code is off the address")
		b.click("form[action='/signin'] button")
		b.wait(`location.pathname === "/inbox"`)
		require.Equal(t, "", b.text(`document.cookie`), "no script reads the session")
		entries, err := chromedp.Run(b.ctx, chromedp.NavigationEntries())
		require.NoError(t, err)
		for _, entry := range entries.Entries {
			require.NotContains(t, entry.URL, "token=")
		}
		require.NotContains(t, b.text(`document.referrer`), "token=")
		b.clean()
	})

	t.Run("the keyboard alone gets past the navigation", func(t *testing.T) {
		b.t = t
		b.do(chromedp.KeyEvent("\t"))
		require.Equal(t, "skip", b.text(`document.activeElement.className`))
		b.wait(`document.activeElement.getBoundingClientRect().left >= 0`)
		b.do(chromedp.KeyEvent("\r"))
		b.wait(`document.activeElement.id === "main"`)
		b.do(chromedp.KeyEvent("\t"))
		require.Equal(t, "true", b.text(`String(document.getElementById("main").contains(document.activeElement))`))
		require.NotEqual(t, "none", b.text(`getComputedStyle(document.activeElement).outlineStyle`), "the focus is seen")
		b.clean()
	})

	var waiting string
	t.Run("a document opens from the inbox, and its timeline grows by itself", func(t *testing.T) {
		b.t = t
		b.wait(`document.querySelector(".status.accent") !== null`)
		b.click("tr:has(.status.accent) a.title")
		b.wait(`!!document.querySelector("#timeline > li")`)
		waiting = b.text(`location.pathname`)
		b.wait(`document.getElementById("live").hidden === false`)
		require.NotContains(t, b.text(`document.getElementById("timeline").innerText`), "Получение подтверждено")
		before := b.text(`(window.stayed = "the same page", document.querySelectorAll("#timeline > li").length + "")`)
		token := s.person[strings.Index(s.person, "token=")+len("token="):]
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.address+"/api/v1"+waiting+"/acknowledgement", nil)
		require.NoError(t, err)
		request.Header.Set("Authorization", "Bearer "+token)
		request.Header.Set("Idempotency-Key", "browser test")
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Less(t, response.StatusCode, 300)
		b.wait(`document.getElementById("timeline").innerText.includes("Получение подтверждено")`)
		require.Equal(t, "the same page", b.text(`window.stayed`))
		b.wait(`document.querySelectorAll("#timeline > li").length === ` + before + ` + 1`)
		b.wait(`!document.querySelector('form[action$="/acknowledge"]')`)
		b.clean()
	})

	t.Run("the language changes and the page stays", func(t *testing.T) {
		b.t = t
		for language, word := range map[string]string{"kk": "Хронология", "en": "Timeline", "ru": "Хронология"} {
			b.click(`.languages a[lang=` + language + `]`)
			b.wait(`document.documentElement.lang === "` + language + `" && document.readyState === "complete"`)
			require.Equal(t, waiting, b.text(`location.pathname`))
			require.Equal(t, word, b.text(`document.getElementById("timeline-title").innerText`))
		}
		b.open(s.address + waiting + "?lang=en")
		b.clean()
	})

	t.Run("a rejection without a reason is held back, one with a reason is recorded", func(t *testing.T) {
		b.t = t
		b.click(".actions summary")
		b.click(`form[action$="/reject"] button`)
		require.Equal(t, "true", b.text(`String(document.querySelector("#reject-reason").matches(":invalid"))`))
		b.do(chromedp.SendKeys(chromedp.CSS("#reject-reason"), "The sum differs from the contract"))
		b.click(`form[action$="/reject"] button`)
		b.wait(`!!document.querySelector("[role=status].good")`)
		require.Equal(t, "Rejected", b.text(`document.querySelector(".head .status").innerText`))
		require.Contains(t, b.text(`document.getElementById("timeline").innerText`), "The sum differs from the contract")
		b.clean()
	})

	t.Run("the journal is narrowed by its form", func(t *testing.T) {
		b.t = t
		b.enter(s.seller, "/inbox")
		b.open(s.address + "/journal?lang=en")
		all := b.text(`document.querySelectorAll("tbody tr").length + ""`)
		b.text(`(document.getElementById("status").value = "revoked")`)
		b.click(".filter button")
		b.wait(`location.search.includes("status=revoked")`)
		b.wait(`[...document.querySelectorAll("tbody tr .status")].every(x => x.innerText === "Revoked")`)
		require.NotEqual(t, all, b.text(`document.querySelectorAll("tbody tr").length + ""`))
		require.NotEqual(t, "0", b.text(`document.querySelectorAll("tbody tr").length + ""`))
		b.clean()
	})

	t.Run("who is no party is told that there is no such document", func(t *testing.T) {
		b.t = t
		b.enter(s.buyer, "/inbox")
		b.mu.Lock()
		b.expected = waiting
		b.mu.Unlock()
		b.open(s.address + waiting)
		require.Contains(t, b.text(`document.body.innerText`), "document.unknown")
		require.NotContains(t, b.text(`document.body.innerText`), "УЛ-2026/122")
		b.clean()
	})

	var compromised string
	t.Run("the auditor sees the verdicts and takes a packet away, which verifies without the server", func(t *testing.T) {
		b.t = t
		b.enter(s.auditor, "/documents")
		b.click("tr:has(.status.doubt) a.title")
		b.wait(`!!document.querySelector(".signature")`)
		compromised = b.text(`location.pathname`)
		require.Equal(t, "1", b.text(`document.querySelectorAll(".signature .verdict.doubt").length + ""`))
		require.Equal(t, "1", b.text(`document.querySelectorAll(".signature .verdict.good").length + ""`))
		require.NotEmpty(t, b.text(`document.querySelector(".note.doubt").innerText`))
		require.Equal(t, "1", b.text(`document.querySelectorAll(".head .status").length + ""`), "one status")
		require.Equal(t, "0", b.text(`document.querySelectorAll(".signature.doubt .good").length + ""`), "nothing good is said on a signature in doubt")
		downloads := t.TempDir()
		_, err := chromedp.CallBrowser(b.ctx, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{Behavior: browser.SetDownloadBehaviorBehaviorAllow, DownloadPath: downloads})
		require.NoError(t, err)
		b.click("#packet")
		var packet string
		require.Eventually(t, func() bool {
			found, _ := filepath.Glob(filepath.Join(downloads, "*"))
			if len(found) == 1 && !strings.HasSuffix(found[0], ".crdownload") {
				packet = found[0]
			}
			return packet != ""
		}, patience, 50*time.Millisecond)
		require.Eventually(t, func() bool {
			info, err := os.Stat(packet)
			return err == nil && info.Size() > 0
		}, patience, 50*time.Millisecond)
		requireHolds(t, s, packet)
		b.clean()
	})

	t.Run("nothing is wider than a phone, in any language", func(t *testing.T) {
		b.t = t
		b.do(chromedp.EmulateViewport(375, 800))
		look := func(addresses ...string) {
			for _, address := range addresses {
				for _, language := range []string{"ru", "kk", "en"} {
					b.open(s.address + address + "?lang=" + language)
					require.Equal(t, "true", b.text(`String(document.documentElement.scrollWidth <= 375)`), "%s in %s", address, language)
				}
			}
		}
		look("/documents", "/journals", "/participants", compromised)
		b.enter(s.seller, "/inbox")
		look("/inbox", "/outbox", "/journal", waiting, "/signin")
		b.clean()
	})

	t.Run("a script of somebody else's would be stopped, and this test would see it", func(t *testing.T) {
		b.t = t
		b.clean()
		require.Equal(t, "", b.text(`(() => {
			const script = document.createElement("script");
			script.textContent = "window.intruder = true";
			document.head.append(script);
			return window.intruder ? "it ran" : "";
		})()`))
		require.Eventually(t, func() bool {
			b.mu.Lock()
			defer b.mu.Unlock()
			return len(b.problems) == 1 && strings.Contains(b.problems[0], "Content Security Policy")
		}, patience, 20*time.Millisecond)
		b.mu.Lock()
		defer b.mu.Unlock()
		require.Greater(t, b.requests, 50, "requests were watched")
		b.problems = nil
	})

	t.Run("the operator sees the participants and opens no document", func(t *testing.T) {
		b.t = t
		b.enter(s.operator, "/journals")
		require.Equal(t, "0", b.text(`document.querySelectorAll("a[href^='/documents/']").length + ""`))
		b.open(s.address + "/participants")
		require.NotEqual(t, "0", b.text(`document.querySelectorAll("tbody tr").length + ""`))
		b.clean()
	})

	t.Run("signing out ends the session", func(t *testing.T) {
		b.t = t
		b.click(".account button")
		b.wait(`location.pathname === "/signin"`)
		b.mu.Lock()
		b.expected = "/participants"
		b.mu.Unlock()
		b.open(s.address + "/participants")
		require.Equal(t, "0", b.text(`document.querySelectorAll("tbody tr").length + ""`))
		b.clean()
	})
}
