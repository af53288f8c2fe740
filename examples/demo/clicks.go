package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flamego/flamego"

	"github.com/flamego/session"
)

// clicksEach is how many clicks each server gets at once.
const clicksEach = 20

// click counts on both servers at the same time, as that many tabs of the browser would.
func (st *stage) click(c flamego.Context, s session.Session) error {
	ctx, cancel := context.WithTimeout(c.Request().Context(), 30*time.Second)
	defer cancel()
	// Makes a session for a new visitor, whose first requests would make one each.
	before := session.Update(s, keyCounter, func(n int) int { return n })
	if err := session.Commit(ctx, s); err != nil {
		return err
	}
	counted := st.clickAll(ctx, s.ID())
	if err := session.Refresh(ctx, s); err != nil {
		return err
	}
	sum := 0
	for i, srv := range st.servers {
		sum += counted[i]
		message := info(fmt.Sprintf("Server %s counted %d clicks.", srv.name, counted[i]))
		if counted[i] == 0 {
			message = bad("Server " + srv.name + " counted none.")
		}
		session.AddFlash(s, message)
	}
	after, _ := session.Get[int](s, keyCounter)
	result := fmt.Sprintf("The counter went from %d to %d: ", before, after)
	if after-before < sum {
		session.AddFlash(s, bad(result+"clicks are lost, unless somebody has set it back to zero."))
	} else {
		session.AddFlash(s, good(result+"none is lost."))
	}
	c.Redirect("/", http.StatusSeeOther)
	return nil
}

// clickAll returns how many clicks each server has counted.
func (st *stage) clickAll(ctx context.Context, id string) []int {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	counted := make([]int, len(st.servers))
	var all sync.WaitGroup
	for i, srv := range st.servers {
		all.Go(func() {
			site := srv.state().Site
			var each sync.WaitGroup
			var n atomic.Int64
			for range clicksEach {
				each.Go(func() {
					if clickOnce(ctx, transport, site, id) {
						n.Add(1)
					}
				})
			}
			each.Wait()
			counted[i] = int(n.Load())
		})
	}
	all.Wait()
	return counted
}

// clickOnce reports whether the server has counted: it answers when that is stored.
func clickOnce(ctx context.Context, transport http.RoundTripper, site, id string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, site+"/counter", nil)
	if err != nil {
		return false
	}
	req.AddCookie(&http.Cookie{Name: cookieName, Value: id})
	res, err := transport.RoundTrip(req) // Which does not follow the redirect.
	if err != nil {
		return false
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode == http.StatusSeeOther
}
