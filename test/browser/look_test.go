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

// everywhere signs Carol in with several browsers, and returns the one that is driven, in
// the admin area.
func everywhere(t *testing.T) *tab {
	t.Helper()
	site := serve(t)
	signInFrom(t, site, phoneAgent, "Carol")
	signInFrom(t, site, laptopAgent, "Carol")
	ann := signInFrom(t, site, laptopAgent, "Ann")
	copied := ann.WithCookies(ann.Cookies())
	ann.Post("/account/password", url.Values{"old": {password}, "new": {password}, "repeat": {password}})
	ann.Post("/signout", nil)
	copied.Get("/account")
	b := open(t, site)
	b.signIn("Carol", true)
	b.enterAdmin()
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
	b := everywhere(t)
	desktop := chromedp.EmulateViewport(960, 640)
	phone := chromedp.EmulateViewport(390, 760, chromedp.EmulateScale(1.5), chromedp.EmulateMobile)
	for _, shot := range []struct {
		name, path, text string
		screen           chromedp.Action[chromedp.Void]
	}{
		{"sessions-desktop", "/account/sessions", "Firefox on Windows", desktop},
		{"sessions-phone", "/account/sessions", "Firefox on Windows", phone},
		{"events-desktop", "/admin/events", "Live", desktop},
	} {
		b.do(shot.screen)
		for _, scheme := range []string{"light", "dark"} {
			b.prefer(scheme)
			b.visit(shot.path)
			b.until(shot.text)
			picture := run(b, chromedp.CaptureScreenshot())
			file := shot.name + "-" + scheme + ".png"
			assert.Less(t, len(picture), maxSize, file)
			require.NoError(t, os.WriteFile(filepath.Join(folder, file), picture, 0o644))
		}
	}
}

// No page needs scrolling to the side, on the narrowest phone (WCAG 1.4.10).
func TestNarrowScreen(t *testing.T) {
	t.Parallel()
	b := everywhere(t)
	b.do(chromedp.EmulateViewport(320, 568, chromedp.EmulateMobile))
	for _, path := range []string{
		"/", "/counter", "/account", "/account/sessions", "/account/password", "/admin/enter", "/admin", "/admin/events", "/missing",
	} {
		b.visit(path)
		assert.Equal(t, path, b.path())
		assert.LessOrEqual(t, eval[int](b, `document.documentElement.scrollWidth`), 320, path)
	}
}
