package browser

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/storage"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session/internal/testserver"
	"github.com/flamego/session/internal/wait"
)

// patience is how long one step may take; two cores may be busy.
const patience = 30 * time.Second

// profile is what a person's browser keeps on the disk, from one start to the next.
type profile struct {
	t    *testing.T
	site string
	dir  string
}

func newProfile(t *testing.T, site string) *profile {
	return &profile{t: t, site: site, dir: filepath.Join(t.TempDir(), "profile")}
}

// tab is an open page of a browser. Its methods fail the test when something does not
// happen in time.
type tab struct {
	t    *testing.T
	site string
	ctx  context.Context
}

// start starts the browser with one tab. The function closes it, as a person does.
func (p *profile) start() (*tab, func()) {
	p.t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(testserver.Chromium(p.t)),
		chromedp.UserDataDir(p.dir),
		chromedp.WSURLReadTimeout(2*patience),
	)
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	p.t.Cleanup(cancel)
	b := &tab{t: p.t, site: p.site}
	b.ctx, _ = chromedp.NewContext(ctx)
	require.NoError(p.t, chromedp.Do(b.ctx), "the browser does not start")
	return b, func() {
		p.t.Helper()
		ctx, cancel := context.WithTimeout(b.ctx, patience)
		defer cancel()
		// It stores its cookies before it ends.
		require.NoError(p.t, chromedp.Cancel(ctx))
	}
}

// open starts a browser that is closed at the end of the test.
func open(t *testing.T, site string) *tab {
	t.Helper()
	b, _ := newProfile(t, site).start()
	return b
}

// another opens a second tab of the same browser.
func (b *tab) another() *tab {
	b.t.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx)
	b.t.Cleanup(cancel)
	require.NoError(b.t, chromedp.Do(ctx))
	return &tab{t: b.t, site: b.site, ctx: ctx}
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	run(b, chromedp.Steps(steps...))
}

// run runs what has a value.
func run[T any](b *tab, a chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, a)
	if err != nil {
		b.t.Fatalf("%v\n%s", err, b.shows())
	}
	return value
}

// call is a command of the protocol.
func call[P, R any](c cdp.Command[P, R], params P) chromedp.Action[R] {
	return func(ctx context.Context, t *chromedp.Target) (R, error) { return cdp.Call(ctx, t, c, params) }
}

// shows describes the page for a failure.
func (b *tab) shows() string {
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	text, _ := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href + "\n" + document.body.innerText`))
	return text
}

// visit types an address.
func (b *tab) visit(path string) { b.t.Helper(); b.do(chromedp.Navigate(b.site + path)) }

// follow does what leads to another page, and waits for that.
func (b *tab) follow(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if _, err := chromedp.RunResponse(ctx, steps...); err != nil {
		b.t.Fatalf("%v\n%s", err, b.shows())
	}
}

// click clicks on a link or a button.
func (b *tab) click(selector string) {
	b.t.Helper()
	b.follow(chromedp.Click(chromedp.CSS(selector)))
}

// eval returns what a script in the page does.
func eval[T any](b *tab, script string) T {
	b.t.Helper()
	yes := true
	return run(b, chromedp.Evaluate[T](script, func(p *runtime.EvaluateParams) { p.AwaitPromise = &yes }))
}

// path is where the tab is.
func (b *tab) path() string { b.t.Helper(); return eval[string](b, `location.pathname`) }

// text is what a person reads on the page.
func (b *tab) text() string { b.t.Helper(); return eval[string](b, `document.body.innerText`) }

// notices are the flashes on the page.
func (b *tab) notices() []string {
	b.t.Helper()
	return eval[[]string](b, `[...document.querySelectorAll(".notice")].map(e => e.innerText)`)
}

// until waits until the page has a text.
func (b *tab) until(text string) {
	b.t.Helper()
	err := wait.Until(patience, func() error {
		if !strings.Contains(b.text(), text) {
			return os.ErrNotExist
		}
		return nil
	})
	if err != nil {
		b.t.Fatalf("the page does not show %q\n%s", text, b.shows())
	}
}

// signIn signs in by the form.
func (b *tab) signIn(name string, remember bool) {
	b.t.Helper()
	b.visit("/signin")
	b.fill(name, remember)
	require.Contains(b.t, b.notices(), "Welcome, "+name+".")
}

// fill fills in the form for signing in, and sends it.
func (b *tab) fill(name string, remember bool) {
	b.t.Helper()
	b.write("#name", name)
	b.write("#password", password)
	if remember {
		b.do(chromedp.Click(chromedp.CSS("[name=remember]")))
	}
	b.click("main button")
}

// write types into a field.
func (b *tab) write(selector, text string) {
	b.t.Helper()
	b.do(chromedp.SendKeys(chromedp.CSS(selector), text))
}

// signedIn asks for a private page.
func (b *tab) signedIn() bool {
	b.t.Helper()
	b.visit("/account")
	return b.path() == "/account"
}

// cookies are those that the browser has, also those that no script sees.
func (b *tab) cookies() map[string]*network.Cookie {
	b.t.Helper()
	byName := make(map[string]*network.Cookie)
	for _, c := range run(b, call(storage.GetCookies, storage.GetCookiesParams{})).Cookies {
		byName[c.Name] = c
	}
	return byName
}
