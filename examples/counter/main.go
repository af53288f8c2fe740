// Command counter counts visits, and starts over six minutes after a visitor's first,
// however often the page is requested: once by an option, and once by hand, in case you
// want to do something else at that moment.
package main

import (
	"html/template"
	"time"

	"github.com/flamego/flamego"

	"github.com/flamego/session"
)

const limit = 360 * time.Second

var page = template.Must(template.New("page").Parse(`<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>Counter</title>
<p>This is visit {{.}}.</p>
`))

func main() {
	byOption, err := session.NewManager(optionsWithLimit())
	if err != nil {
		panic(err)
	}
	byHand, err := session.NewManager(optionsWithout())
	if err != nil {
		panic(err)
	}
	newApp(byOption, byHand, time.Now).Run()
}

func optionsWithLimit() session.Options {
	return session.Options{AbsoluteLifetime: limit}
}

func optionsWithout() session.Options {
	return session.Options{Cookie: session.CookieOptions{Name: "by_hand"}}
}

// newApp gives each counter its own sessions.
func newApp(byOption, byHand *session.Manager, now func() time.Time) *flamego.Flame {
	f := flamego.Classic()
	f.Get("/", byOption.Sessioner(), count)
	f.Get("/by-hand", byHand.Sessioner(), startAnew(now), count)
	return f
}

// count may run for many requests of a visitor at once: Update loses no count.
func count(c flamego.Context, s session.Session) error {
	n := session.Update(s, "countnum", func(n int) int { return n + 1 })
	return page.Execute(c.ResponseWriter(), n)
}

// startAnew does what AbsoluteLifetime does, by hand.
func startAnew(now func() time.Time) flamego.Handler {
	return func(s session.Session) {
		created, ok := session.Get[time.Time](s, "createtime")
		switch {
		case !ok:
			s.Set("createtime", now())
		case now().Sub(created) >= limit:
			// The old session ends. What is set from here on goes into a new one.
			session.Destroy(s)
			s.Set("createtime", now())
		}
	}
}
