package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session/examples/internal/exampletest"
	"github.com/flamego/session/internal/wait"
)

// pair is the program with both servers, and a browser.
type pair struct {
	t     *testing.T
	stage program
	*exampletest.Browser
}

func startPair(t *testing.T, exe string, args ...string) *pair {
	t.Helper()
	p := program{Process: exampletest.Start(t, t.TempDir(), exe, nil, append([]string{"-addr", "127.0.0.1:0"}, args...)...)}
	p.waitSite()
	return &pair{t: t, stage: p, Browser: exampletest.NewBrowser(t, p.site)}
}

// on asks a server, by its name, instead of the page with both.
func (p *pair) on(name string) *pair {
	p.t.Helper()
	p.Visit(p.stage.site)
	part := find(p.t, p.Get("/"), `(?s)id="server-`+name+`"(.*?)</section>`)
	site := regexp.MustCompile(`<iframe src="([^"]+)/"`).FindStringSubmatch(part)
	require.NotNil(p.t, site, "server %s does not run: %s", name, part)
	p.Visit(site[1])
	return p
}

// change presses a button of a server, and returns the messages.
func (p *pair) change(name, do string) string {
	p.t.Helper()
	p.Visit(p.stage.site)
	return flash(p.t, p.Post("/server", url.Values{"name": {name}, "do": {do}}))
}

// look returns what is stored under a key, as the page with both shows it.
func (p *pair) look(key string) string {
	p.t.Helper()
	p.Visit(p.stage.site)
	return find(p.t, p.Get(lookPath), `<dt>`+key+`</dt><dd>([^<]*)</dd>`)
}

func (p *pair) put(item, do string) exampletest.Page {
	p.t.Helper()
	return p.Post("/basket", url.Values{"item": {item}, "do": {do}})
}

func TestSideBySide(t *testing.T) {
	exe := filepath.Join(exampletest.Build(t, "."), "demo")
	for _, backend := range []string{"sqlite", "file"} {
		for name, test := range map[string]func(*pair){
			"page": testStagePage, "kill": testKill, "clicks": testClicks, "deploy": testDeploy,
		} {
			t.Run(backend+" "+name, func(t *testing.T) {
				t.Parallel()
				p := startPair(t, exe, "-backend", backend)
				test(p)
				require.Zero(t, p.stage.Stop(), "the program must end well when it is asked to")
			})
		}
	}
}

func testStagePage(p *pair) {
	t := p.t
	page := p.Get("/")
	assert.Empty(t, p.Cookies(), "a visitor who only looks got a cookie")
	assert.Contains(t, page.Body, "There is none, and no cookie either")
	assert.Equal(t, 2, strings.Count(page.Body, "<iframe "))
	for _, part := range []string{"<h1>", `<main id="main"`, `role="status"`, "<script"} {
		assert.Equal(t, 1, strings.Count(page.Body, part), part)
	}
	assert.NotContains(t, page.Body, "ZgotmplZ")
	policy := page.Header.Get("Content-Security-Policy")
	assert.Contains(t, policy, "default-src 'none'")
	assert.Contains(t, policy, "frame-ancestors 'none'")
	for _, name := range []string{"One", "Two"} {
		frame := p.on(name).Get("/").Header.Get("Content-Security-Policy")
		assert.True(t, strings.HasSuffix(frame, "frame-ancestors "+p.stage.site), frame)
	}

	// Whoever is signed in on a server is seen here, with what the session holds.
	p.on("One").Post("/signin", signInAs("Ann"))
	assert.Equal(t, "/account", p.on("Two").Get("/account").Path, "not signed in on the other server")
	assert.Equal(t, "1", p.look("visits"))
	page = p.Get(lookPath)
	assert.Contains(t, page.Body, "this browser")
	assert.Contains(t, page.Body, "<h4>Bob</h4>\n  <p class=\"soft\">nowhere</p>")

	require.NoError(t, wait.Until(time.Minute, func() error { // What a server prints takes a moment to get here.
		if page := p.Get(lookPath); !strings.Contains(page.Body, "Server One · ann: a session began") {
			return errors.New(page.Body)
		}
		return nil
	}))

	req := p.Request(http.MethodPost, "/server", url.Values{"name": {"One"}, "do": {"kill"}})
	req.Header.Set("Sec-Fetch-Site", "same-site") // Another port, such as a page in one of the frames.
	assert.Equal(t, http.StatusForbidden, p.Do(req).Status)
	p.on("One")
}

// What a killed server has stored is on the other one, and nobody is signed out.
func testKill(p *pair) {
	t := p.t
	p.on("One").Post("/signin", signInAs("Ann"))
	p.Post("/counter", nil)
	assert.Contains(t, p.change("One", "kill"), "Server One is dead")
	assert.Equal(t, 1, strings.Count(p.Get("/").Body, "<iframe "))
	assert.Contains(t, p.change("One", "kill"), "Server One is dead", "it was before")

	assert.Equal(t, "2", counter(t, p.on("Two").Post("/counter", nil)))
	assert.Equal(t, "/account", p.Get("/account").Path, "signed out by the kill")
	p.Visit(p.stage.site)
	assert.Equal(t, "Server One counted none.\nServer Two counted 20 clicks.\nThe counter went from 2 to 22: none is lost.",
		flash(t, p.Post("/clicks", nil)))

	assert.Contains(t, p.change("One", "start"), "Server One runs version 1")
	assert.Equal(t, "23", counter(t, p.on("One").Post("/counter", nil)))

	// In the middle of the clicks. Which of the two pages shows the messages is anybody's guess.
	p.Visit(p.stage.site)
	var clicked exampletest.Page
	var both sync.WaitGroup
	both.Go(func() { clicked = p.Post("/clicks", nil) })
	killed := p.Post("/server", url.Values{"name": {"One"}, "do": {"kill"}})
	both.Wait()
	assert.Contains(t, clicked.Body+killed.Body+p.Get("/").Body, "none is lost")
}

// Requests on both servers count at the same time.
func testClicks(p *pair) {
	t := p.t
	assert.Equal(t, "Server One counted 20 clicks.\nServer Two counted 20 clicks.\nThe counter went from 0 to 40: none is lost.",
		flash(t, p.Post("/clicks", nil)))
	assert.Equal(t, "40", p.look("counter"))

	var all sync.WaitGroup
	for range 5 { // Five tabs press the button at the same time.
		all.Go(func() { p.Post("/clicks", nil) })
	}
	all.Wait()
	assert.Equal(t, "240", p.look("counter"))
}

// The field that version 2 has more survives what version 1 stores, and what version 1 stores
// can be read by version 2.
func testDeploy(p *pair) {
	t := p.t
	p.on("One").Post("/signin", signInAs("Ann"))
	assert.NotContains(t, p.put("bread", "put in").Body, "As a gift", "version 1 knows no gifts")
	assert.Contains(t, p.change("Two", "deploy"), "Server Two runs version 2")
	assert.Contains(t, p.on("Two").put("tea", "gift").Body, "in the basket, as a gift")
	assert.Equal(t, "{Cents:450 Gift:true}", p.look("basket/tea"))
	assert.Equal(t, "{Cents:380 Gift:false}", p.look("basket/bread"))

	page := p.on("One").put("honey", "put in") // It reads the tea for its page, too.
	assert.Equal(t, 3, strings.Count(page.Body, "in the basket<"), "version 1 cannot read what version 2 has stored")
	assert.Equal(t, "{Cents:450 Gift:true}", p.look("basket/tea"), "version 1 has dropped a field that it does not know")
	page = p.on("Two").Get("/")
	assert.Contains(t, page.Body, "in the basket, as a gift")
	assert.Equal(t, 2, strings.Count(page.Body, "in the basket<"), "version 2 cannot read what version 1 has stored")

	assert.Contains(t, p.change("Two", "deploy"), "Server Two runs version 1")
	for i, name := range []string{"One", "Two"} {
		page = p.on(name).Post("/counter", nil)
		assert.Equal(t, fmt.Sprint(i+1), counter(t, page), "signed out, or started anew")
	}
	assert.Equal(t, "{Cents:450 Gift:true}", p.look("basket/tea"))
}
