package browser

import (
	"flag"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var screenshots = flag.String("screenshots", "", "the `folder` for the screenshots; otherwise they are taken and thrown away")

// maxSize keeps the repository small.
const maxSize = 150 << 10

const (
	phoneAgent  = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1"
	laptopAgent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
)

// signInFrom is a sign-in by another browser.
func signInFrom(t *testing.T, site, userAgent, name string) {
	t.Helper()
	jar, _ := cookiejar.New(nil) // Never fails.
	client := &http.Client{Jar: jar}
	form := url.Values{"name": {name}, "password": {password}, "remember": {"yes"}}
	req, err := http.NewRequest(http.MethodPost, site+"/signin", strings.NewReader(form.Encode()))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("User-Agent", userAgent)
	res, err := client.Do(req)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, "/", res.Request.URL.Path)
}

// everywhere signs Carol in with several browsers, and returns the one that is driven, in
// the admin area.
func everywhere(t *testing.T) *tab {
	t.Helper()
	site := serve(t)
	signInFrom(t, site, phoneAgent, "Carol")
	signInFrom(t, site, laptopAgent, "Carol")
	signInFrom(t, site, laptopAgent, "Ann")
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
	folder := *screenshots
	if folder == "" {
		folder = t.TempDir()
	}
	require.NoError(t, os.MkdirAll(folder, 0o755))
	b := everywhere(t)
	for name, screen := range map[string]chromedp.Action[chromedp.Void]{
		"desktop": chromedp.EmulateViewport(960, 640),
		"phone":   chromedp.EmulateViewport(390, 780, chromedp.EmulateScale(2), chromedp.EmulateMobile),
	} {
		b.do(screen)
		for _, scheme := range []string{"light", "dark"} {
			b.prefer(scheme)
			for _, page := range pages {
				b.visit(page.path)
				if page.name == "events" {
					b.until("Live")
				}
				picture := run(b, chromedp.CaptureScreenshot())
				file := page.name + "-" + name + "-" + scheme + ".png"
				assert.Less(t, len(picture), maxSize, file)
				if page.kept || *screenshots == "" || os.Getenv("ALL") != "" {
					require.NoError(t, os.WriteFile(filepath.Join(folder, file), picture, 0o644))
				}
			}
		}
	}
}

// pages are those of the site; kept are those whose pictures are shown in the README.
var pages = []struct {
	name, path string
	kept       bool
}{
	{"home", "/", false},
	{"counter", "/counter", false},
	{"account", "/account", false},
	{"sessions", "/account/sessions", true},
	{"password", "/account/password", false},
	{"enter", "/admin/enter", false},
	{"admin", "/admin", false},
	{"events", "/admin/events", true},
	{"missing", "/missing", false},
}

// No page needs scrolling to the side, on the narrowest phone (WCAG 1.4.10).
func TestNarrowScreen(t *testing.T) {
	b := everywhere(t)
	b.do(chromedp.EmulateViewport(320, 568, chromedp.EmulateMobile))
	for _, page := range pages {
		b.visit(page.path)
		assert.LessOrEqual(t, eval[int](b, `document.documentElement.scrollWidth`), 320, page.path)
	}
}
