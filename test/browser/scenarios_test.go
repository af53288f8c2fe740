package browser

import (
	"fmt"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session/internal/wait"
)

// Two browsers of one user: one ends the other.
func TestEndedElsewhere(t *testing.T) {
	t.Parallel()
	site := serveOne(t)
	here, there := open(t, site), open(t, site)
	there.signIn("Ann", false)
	there.visit("/account")
	here.signIn("Ann", false)
	assert.Contains(t, here.notices(), "You are also signed in on Chrome on Linux. Is that you?")

	here.visit("/account/sessions")
	assert.Equal(t, 2, eval[int](here, `document.querySelectorAll(".rows > li").length`))
	here.click(".rows .stop")
	assert.Equal(t, []string{"That session has ended. Its next click leads to the sign-in page."}, here.notices())
	assert.Equal(t, 1, eval[int](here, `document.querySelectorAll(".rows > li").length`))

	there.click(`nav a[href="/account"]`)
	assert.Equal(t, "/signin", there.path())
	assert.True(t, here.signedIn())
}

// A flash is shown once, on the page where the redirects end.
func TestFlashAcrossRedirects(t *testing.T) {
	t.Parallel()
	b := open(t, serveOne(t))
	b.visit("/account")
	assert.Equal(t, []string{"Please sign in to see that page."}, b.notices())
	b.fill("Carol", false)
	assert.Equal(t, "/account", b.path())
	assert.Equal(t, []string{"Welcome, Carol."}, b.notices())
	b.do(chromedp.Reload())
	assert.Empty(t, b.notices())
}

// Two tabs ask at the same time: one of them shows the flash.
func TestFlashInTwoTabs(t *testing.T) {
	t.Parallel()
	a := open(t, serveOne(t))
	a.visit("/")
	a.click("#count")
	b := a.another()
	for range 5 {
		a.visit("/")
		loaded := make(chan error, 1)
		go func() { loaded <- chromedp.Do(b.ctx, chromedp.Navigate(b.site+"/")) }()
		a.click("button.quiet")
		require.NoError(t, <-loaded)
		shown := append(a.notices(), b.notices()...)
		b.visit("/")
		assert.Equal(t, []string{"The counter is back at zero."}, append(shown, b.notices()...))
	}
}

func TestScriptsDoNotSeeTheSession(t *testing.T) {
	t.Parallel()
	b := open(t, serveOne(t))
	b.signIn("Carol", true)
	require.Contains(t, b.cookies(), "demo_session")
	assert.True(t, b.cookies()["demo_session"].HTTPOnly)
	assert.Empty(t, eval[string](b, `document.cookie`))
}

// The browser is closed and started again, with the same profile.
func TestRestart(t *testing.T) {
	t.Parallel()
	site := serveOne(t)
	for name, remember := range map[string]bool{"remembered": true, "plain": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProfile(t, site)
			b, quit := p.start()
			b.signIn("Ann", remember)
			require.True(t, b.signedIn())
			quit()
			b, _ = p.start()
			assert.Equal(t, remember, b.signedIn())
		})
	}
}

// The Back button shows no private page after signing out.
func TestBack(t *testing.T) {
	t.Parallel()
	b := open(t, serveOne(t))
	b.signIn("Ann", false)
	b.visit("/account")
	b.click(`a[href="/account/sessions"]`)
	b.click("header button")
	require.Equal(t, []string{"You are signed out."}, b.notices())
	for range 2 {
		b.do(chromedp.NavigateBack())
		b.until("Sign in")
		assert.NotContains(t, b.text(), "Your account")
		assert.NotContains(t, b.text(), "Sign out")
	}
}

// One page asks for others all the time while a sign-in gives the session a new ID. Answers to
// requests with the old ID come late, and must not take the cookie.
func TestParallelRequests(t *testing.T) {
	t.Parallel()
	b := open(t, serveOne(t))
	run(b, call(page.SetBypassCSP, page.SetBypassCSPParams{Enabled: true})) // The page's own policy allows no requests of scripts.
	for range 3 {
		b.visit("/")
		b.click("#count")
		id := b.cookies()["demo_session"].Value
		requests := eval[int](b, `(async () => {
			const form = new URLSearchParams({name: "Ann", password: "`+password+`"});
			let changed = false, requests = 0;
			const ask = async () => { do { await fetch("/account?" + requests++); } while (!changed); };
			const asking = [ask(), ask(), ask(), ask(), ask()];
			await fetch("/signin", {method: "POST", body: form});
			changed = true;
			await Promise.all(asking);
			return requests;
		})()`)
		assert.Greater(t, requests, 5)
		assert.True(t, b.signedIn(), "signed out by a late answer")
		assert.NotEqual(t, id, b.cookies()["demo_session"].Value)
		b.click("header button")
	}
}

// No page of a server needs a script.
func TestWithoutScripts(t *testing.T) {
	t.Parallel()
	b := open(t, serveOne(t))
	run(b, call(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}))
	b.visit("/account/sessions")
	b.fill("Carol", false)
	assert.Contains(t, b.text(), "Signed in just now")
}

// Everything can be reached and used with the keyboard alone.
func TestKeyboard(t *testing.T) {
	t.Parallel()
	b := open(t, serveOne(t))
	b.visit("/")
	focused := func() string { return eval[string](b, `document.activeElement.innerText`) }
	b.do(chromedp.KeyEvent(kb.Tab))
	assert.Equal(t, "Skip to content", focused())
	assert.Equal(t, "3px", eval[string](b, `getComputedStyle(document.activeElement).outlineWidth`))
	b.do(chromedp.KeyEvent(kb.Enter), chromedp.KeyEvent(kb.Tab))
	assert.Equal(t, "Count one up", focused(), "the first button of the content")

	b.visit("/signin")
	require.NoError(t, wait.Until(patience, func() error { // Chromium sets it when the page has been drawn.
		if id := eval[string](b, `document.activeElement.id`); id != "name" {
			return fmt.Errorf("the focus is on %q", id)
		}
		return nil
	}))
	b.do(chromedp.KeyEvent("Ann" + kb.Tab + password))
	b.follow(chromedp.KeyEvent(kb.Enter))
	assert.Contains(t, b.notices(), "Welcome, Ann.")
}
