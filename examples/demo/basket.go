package main

import (
	"encoding/gob"
	"net/http"
	"slices"

	"github.com/flamego/flamego"

	"github.com/flamego/session"
)

// goods are what there is to buy.
type goods struct {
	ID, Name string
	Cents    int
}

var shelf = []goods{{"tea", "Tea", 450}, {"honey", "Honey", 620}, {"bread", "Bread", 380}}

// keyBasket, with the goods' ID behind it, has a line of the basket. Each line is under a key
// of its own, so that those who change one leave the others as they are, whatever version of
// the program has stored them.
const keyBasket = "basket/"

// line is one of the basket. Version 2 of the program has added gifts.
type line interface {
	price() int
	isGift() bool
}

type (
	line1 struct{ Cents int }
	line2 struct {
		Cents int
		Gift  bool
	}
)

func (l line1) price() int   { return l.Cents }
func (line1) isGift() bool   { return false }
func (l line2) price() int   { return l.Cents }
func (l line2) isGift() bool { return l.Gift }

// release is the version of the program, 1 or 2.
type release int

// register must come before the first session. Both versions give the type the same name: a
// real program has just one, whose fields change.
func (r release) register() { gob.RegisterName("demo.line", r.line(0, false)) }

func (r release) line(cents int, gift bool) line {
	if r == 1 {
		return line1{cents}
	}
	return line2{cents, gift}
}

func (r release) other() release { return 3 - r }

// HasGifts is what is new in version 2.
func (r release) HasGifts() bool { return r > 1 }

// shelfLine is what home.html shows of one of the goods.
type shelfLine struct {
	goods
	InBasket, Gift bool
	Paid           int // the price when it was put in
}

func readBasket(s session.Session) (lines []shelfLine) {
	for _, g := range shelf {
		l := shelfLine{goods: g}
		if stored, ok := session.Get[line](s, keyBasket+g.ID); ok {
			l.InBasket, l.Gift, l.Paid = true, stored.isGift(), stored.price()
		}
		lines = append(lines, l)
	}
	return lines
}

// changeBasket puts something in, or takes it out.
func changeBasket(c flamego.Context, s session.Session, r release) {
	form := c.Request().PostFormValue
	i := slices.IndexFunc(shelf, func(g goods) bool { return g.ID == form("item") })
	if i < 0 {
		session.AddFlash(s, bad("There is no such thing here."))
		c.Redirect("/", http.StatusSeeOther)
		return
	}
	g := shelf[i]
	if form("do") == "take out" {
		s.Delete(keyBasket + g.ID)
		session.AddFlash(s, good(g.Name+" is out of the basket."))
	} else {
		s.Set(keyBasket+g.ID, r.line(g.Cents, r.HasGifts() && form("do") == "gift"))
		session.AddFlash(s, good(g.Name+" is in the basket."))
	}
	c.Redirect("/", http.StatusSeeOther)
}
