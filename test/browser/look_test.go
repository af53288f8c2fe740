package browser

import (
	"flag"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session/internal/webclient"
)

var screenshots = flag.String("screenshots", "", "the `folder` for the screenshots; otherwise they are taken and thrown away")

// maxSize keeps the repository small.
const maxSize = 150 << 10

const (
	phoneAgent  = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1"
	laptopAgent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
)

// signInFrom is a sign-in by a browser that says it is another.
func signInFrom(t *testing.T, site, userAgent, name string) *webclient.Browser {
	t.Helper()
	b := webclient.New(t, site)
	b.Header.Set("User-Agent", userAgent)
	require.Equal(t, "/", b.Post("/signin", url.Values{"name": {name}, "password": {password}, "remember": {"yes"}}).Path)
	return b
}

// everywhere signs Carol in with several browsers, and returns the one that is driven.
func everywhere(t *testing.T, site string) *tab {
	t.Helper()
	signInFrom(t, site, phoneAgent, "Carol")
	signInFrom(t, site, laptopAgent, "Carol")
	b := open(t, site)
	b.signIn("Carol", false)
	return b
}

// inUse is the page with both servers, one of them version 2, after some clicks.
func inUse(t *testing.T) *tab {
	t.Helper()
	b := open(t, serve(t))
	b.do(chromedp.EmulateViewport(1200, 1040))
	b.visit("/")
	two := b.frame("Two")
	two.press("deploy")
	two.do(`form:has([value=tea]) [value=gift]`)
	two.until("in the basket, as a gift")
	b.frame("One").do(`form:has([value=honey]) [value="put in"]`)
	b.frame("One").until("Honey is in the basket.")
	site := eval[string](b, `document.querySelector("iframe").src`)
	signInFrom(t, site, phoneAgent, "Ann")
	signInFrom(t, site, laptopAgent, "Ann")
	b.click(".all button")
	return b
}

func (b *tab) prefer(scheme string) {
	b.t.Helper()
	run(b, call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}}))
}

func TestScreenshots(t *testing.T) {
	t.Parallel()
	folder := *screenshots
	if folder == "" {
		folder = t.TempDir()
	}
	require.NoError(t, os.MkdirAll(folder, 0o755))
	shoot := func(b *tab, name string) {
		for _, scheme := range []string{"light", "dark"} {
			b.prefer(scheme)
			picture := run(b, chromedp.CaptureScreenshot())
			file := name + "-" + scheme + ".png"
			assert.Less(t, len(picture), maxSize, file)
			require.NoError(t, os.WriteFile(filepath.Join(folder, file), picture, 0o644))
		}
	}
	b := inUse(t)
	b.frame("One").until("The counter is at 40")
	b.frame("Two").until("The counter is at 40")
	shoot(b, "servers-desktop")
	b.do(chromedp.EmulateViewport(1200, 560))
	eval[bool](b, `(document.getElementById("stored").scrollIntoView(), true)`)
	b.until("on top of it")
	shoot(b, "store-desktop")

	b = everywhere(t, serveOne(t))
	b.do(chromedp.EmulateViewport(390, 760, chromedp.EmulateScale(1.5), chromedp.EmulateMobile))
	b.visit("/account/sessions")
	shoot(b, "sessions-phone")
}

// No page needs scrolling to the side, on the narrowest phone (WCAG 1.4.10), and its header is
// one row.
func TestNarrowScreen(t *testing.T) {
	t.Parallel()
	narrow := func(b *tab, paths ...string) {
		b.do(chromedp.EmulateViewport(320, 568, chromedp.EmulateMobile))
		for _, path := range paths {
			b.visit(path)
			assert.Equal(t, path, b.path())
			assert.LessOrEqual(t, eval[int](b, `document.documentElement.scrollWidth`), 320, path)
			assert.Less(t, eval[int](b, `document.querySelector("header").offsetHeight`), 70, path)
		}
	}
	narrow(everywhere(t, serveOne(t)), "/", "/account", "/account/sessions", "/missing")
	b := inUse(t)
	narrow(b, "/", "/missing")
	b.visit("/")
	b.frame("Two").press("kill")
	assert.LessOrEqual(t, eval[int](b, `document.documentElement.scrollWidth`), 320)
}

// Light and dark are what the system is set to, in the frames too.
func TestSchemes(t *testing.T) {
	t.Parallel()
	b := open(t, serve(t))
	b.visit("/")
	b.frame("One").until("Server One")
	for scheme, color := range map[string]string{"light": "rgb(244, 245, 250)", "dark": "rgb(16, 18, 26)"} {
		b.prefer(scheme)
		const background = `getComputedStyle(document.body).backgroundColor`
		assert.Equal(t, color, eval[string](b, background), scheme)
		inFrame, err := b.frame("One").eval(background)
		require.NoError(t, err)
		assert.Equal(t, color, inFrame, scheme)
	}
}
