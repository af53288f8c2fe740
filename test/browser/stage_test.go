package browser

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session/internal/wait"
)

// frame is what a person sees of a server, on the page that shows two.
type frame struct {
	*tab
	name string
}

func (b *tab) frame(name string) frame { return frame{b, name} }

func (f frame) section() string { return `section[aria-labelledby="server-` + f.name + `"]` }

// press presses a button of the server: to kill it, to start it, to replace it.
func (f frame) press(button string) {
	f.t.Helper()
	f.click(f.section() + ` button[value="` + button + `"]`)
}

// eval runs a script in the frame. An error may pass by itself: while the frame goes to
// another page.
func (f frame) eval(script string) (string, error) {
	src := eval[string](f.tab, `document.querySelector('`+f.section()+` iframe')?.src ?? ""`)
	if src == "" {
		return "", fmt.Errorf("server %s has no frame", f.name)
	}
	ctx, cancel := context.WithTimeout(f.ctx, patience)
	defer cancel()
	tree, err := chromedp.Run(ctx, call(page.GetFrameTree, cdp.Empty{}))
	if err != nil {
		return "", err
	}
	for _, child := range tree.FrameTree.ChildFrames {
		if !strings.HasPrefix(child.Frame.URL, src) {
			continue
		}
		world, err := chromedp.Run(ctx, call(page.CreateIsolatedWorld, page.CreateIsolatedWorldParams{FrameID: child.Frame.ID}))
		if err != nil {
			return "", err
		}
		return chromedp.Run(ctx, chromedp.Evaluate[string](script, func(p *runtime.EvaluateParams) { p.ContextID = world.ExecutionContextID }))
	}
	return "", fmt.Errorf("the frame of server %s is not there yet", f.name)
}

// until waits until the frame has a text.
func (f frame) until(text string) {
	f.t.Helper()
	require.NoError(f.t, wait.Until(patience, func() error {
		shown, err := f.eval(`document.readyState === "complete" ? document.title + "\n" + document.body.innerText : ""`)
		shown = strings.Join(strings.Fields(shown), " ")
		if err == nil && !strings.Contains(shown, text) {
			err = fmt.Errorf("no %q in:\n%s", text, shown)
		}
		return err
	}))
}

// click clicks on something in the frame, once it is there.
func (f frame) do(selector string) {
	f.t.Helper()
	f.until("Server " + f.name)
	require.NoError(f.t, wait.Until(patience, func() error {
		clicked, err := f.eval(`(() => {
			const e = document.readyState === "complete" && document.querySelector('` + selector + `');
			if (!e) return "";
			e.click();
			return "clicked";
		})()`)
		if err == nil && clicked == "" {
			err = errors.New("there is no " + selector)
		}
		return err
	}))
}

// One server is killed, and the visitor goes on with the other.
func TestKill(t *testing.T) {
	t.Parallel()
	b := open(t, serve(t))
	one, two := b.frame("One"), b.frame("Two")
	b.visit("/")
	assert.Contains(t, b.text(), "There is none, and no cookie either")
	one.do("#count")
	one.until("The counter is at 1")
	b.until("counter\n1") // The look into the store is live.
	two.do("#count")
	two.until("The counter is at 2")
	two.do(`a[href="/account"]`)
	two.until("Please sign in to see that page.")
	_, err := two.eval(`document.querySelector("#name").value = "Ann"; document.querySelector("#password").value = "` + password + `"`)
	require.NoError(t, err)
	two.do("main button")
	two.until("Welcome, Ann.")
	b.until("this browser")

	one.press("kill")
	assert.Equal(t, []string{"Server One is dead, by kill -9. Go on with the other one."}, b.notices())
	assert.Contains(t, b.text(), "Nobody answers here.")
	two.do("#count")
	two.until("The counter is at 3")
	two.until("Ann")
	one.press("start")
	one.until("The counter is at 3")
	one.do(`a[href="/account"]`)
	one.until("after 1 hour without a visit")
}

// Clicks on both servers at the same time: all are counted, and three messages tell so.
func TestClicks(t *testing.T) {
	t.Parallel()
	b := open(t, serve(t))
	b.visit("/")
	for _, count := range []string{"40", "80"} {
		b.click(".all button")
		notices := b.notices()
		require.Len(t, notices, 3)
		assert.Equal(t, "Server One counted 20 clicks.", notices[0])
		assert.Contains(t, notices[2], "to "+count+": none is lost.")
		b.frame("One").until("The counter is at " + count)
		b.frame("Two").until("The counter is at " + count)
	}
	b.visit("/")
	assert.Empty(t, b.notices())
}

// One server becomes version 2, and the other stays version 1.
func TestDeploy(t *testing.T) {
	t.Parallel()
	b := open(t, serve(t))
	one, two := b.frame("One"), b.frame("Two")
	b.visit("/")
	two.press("deploy")
	assert.Equal(t, []string{"Server Two runs version 2."}, b.notices())
	two.until("version 2")
	two.do(`form:has([value=tea]) [value=gift]`)
	two.until("in the basket, as a gift")
	one.do(`form:has([value=honey]) [value="put in"]`)
	one.until("Honey is in the basket.")
	b.until("{Cents:620 Gift:false}")
	b.until("{Cents:450 Gift:true}")
	two.press("deploy")
	two.until("version 1")
	two.press("deploy")
	two.until("in the basket, as a gift")
}

// The page works without scripts, but for the look into the store being live.
func TestStageWithoutScripts(t *testing.T) {
	t.Parallel()
	b := open(t, serve(t))
	run(b, call(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}))
	b.visit("/")
	b.click(".all button")
	assert.Contains(t, b.text(), "The counter went from 0 to 40")
	b.frame("One").press("kill")
	b.click("noscript a")
	assert.Contains(t, b.text(), "Nobody answers here.")
	assert.Contains(t, b.text(), "counter\n40")
}
