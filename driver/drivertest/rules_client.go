package drivertest

import (
	"net/http"
	"strings"
)

// weaker is what becomes of a rule where clients keep the sessions: a test of
// what still holds, or none, and why the rule itself cannot.
type weaker struct {
	test func(rule, *fleet)
	why  string
}

const (
	wholeSessions = "a response carries the whole session, and of several the last one that arrives is kept"
	copiesAreGood = "the server cannot take back a copy that somebody has kept"
)

var inClient = map[string]weaker{
	"G2_Streaming":               {clientStreaming, "after the first byte there is no header any more that could carry the change"},
	"G3_AcknowledgedMeansStored": {clientAcknowledged, "there is no store that could be too slow, but a cookie can be too small"},
	"G4_DifferentKeys":           {nil, wholeSessions},
	"G4_AcrossServers":           {nil, wholeSessions},
	"G4_Update":                  {nil, wholeSessions},
	"G4_Edit":                    {clientEdits, "there is nothing on the server that could be changed"},
	"G4_LongRequest":             {nil, "a request cannot know that others have kept the session alive"},
	"G5_FlashOnce":               {clientFlash, "requests that come at the same time bring the same flash"},
	"G5_AddFlash":                {clientAddsFlashes, "requests that come at the same time bring the same flashes, and the last response is kept"},
	"G5_TakesFlash":              {clientTakesFlash, "of requests that come at the same time, the last response is kept"},
	"G5_Take":                    {clientTakes, copiesAreGood},
	"G6_Edit":                    {clientEdits, "there is nothing on the server that could be changed"},
	"G6_Refresh":                 {clientRefreshes, "there is nothing on the server that could be loaded"},
	"G9_Edit":                    {clientEdits, "there is nothing on the server that could be changed"},
	"G9_Refresh":                 {clientRefreshes, "there is nothing on the server that could be loaded"},
	"G6_EndedStaysEnded":         {clientEnded, copiesAreGood},
	"G6_StoreDestroy":            {clientStoreDestroy, copiesAreGood},
	"G6_FreshAfterDestroy":       {clientFresh, copiesAreGood},
	"G6_SignOutDuringRotation":   {nil, copiesAreGood},
	"G7_RotationMoves":           {clientRotation, copiesAreGood},
	"G7_RotationMerges":          {nil, wholeSessions},
	"G7_Reminder":                {nil, wholeSessions},
	"G9_TouchKeepsDecision":      {nil, wholeSessions},
	"G9_ExpiredInStore":          {nil, "there is no record that its Store could change"},
	"G10_IDIsStored":             {clientID, "the ID is within the cookie, and is not the way to the session"},
	"G12_ClientGone":             {clientHangsUp, "who does not take the response does not take the session"},
	"G13_CorruptRecord":          {clientTampered, "the record is the cookie"},
	"G14_Outage":                 {nil, "there is no store that could be down"},
}

func clientStreaming(r rule, f *fleet) {
	a, b := f.start(nil), f.start(nil)
	v := newVisitor(f.t)
	v.ok(r, a, "/set", "k", "late", "v", "before")
	v.ok(r, a, "/stream", "v", "1")
	v.want(r, b, "1", "/read", "k", "early")
	v.want(r, b, "before", "/read", "k", "late")
	if len(a.errs.all()) == 0 {
		r.broken(f.t, "ErrorFunc did not hear of the change that came too late")
	}
	// Commit says so itself.
	res := v.get(a, "/stream", "v", "2", "commit", "1")
	if !strings.Contains(res.body, "after the response had started") {
		r.broken(f.t, "Commit after the first byte: %q", res.body)
	}
	// Nor can the session be ended any more.
	n := len(a.errs.all())
	v.do(f, a, func(c call) {
		_, _ = c.ctx.ResponseWriter().Write([]byte("started"))
		destroyAndSet(c)
	})
	if len(a.errs.all()) == n {
		r.broken(f.t, "ErrorFunc did not hear of the end that came too late")
	}
	v.want(r, b, "2", "/read", "k", "early")
}

func clientAcknowledged(r rule, f *fleet) {
	a := f.start(nil)
	v := newVisitor(f.t)
	v.ok(r, a, "/set", "k", "k", "v", "kept")
	before := v.id(a)
	for _, page := range []string{"/set", "/signin", "/flash"} {
		res := v.get(a, page, "k", "k", "v", strings.Repeat("x", 5000))
		if res.status != http.StatusInternalServerError || res.header.Get("Set-Cookie") != "" || res.header.Get("Location") != "" {
			r.broken(f.t, "%s with more than a cookie holds: status %d, header %v", page, res.status, res.header)
		}
	}
	if v.id(a) != before {
		r.broken(f.t, "a failure took the old cookie away")
	}
	v.want(r, a, "kept", "/read", "k", "k")
	if len(a.errs.all()) == 0 {
		r.broken(f.t, "ErrorFunc heard of nothing")
	}
}

func clientFlash(r rule, f *fleet) {
	a, b := f.start(nil), f.start(nil)
	v := newVisitor(f.t)
	v.ok(r, a, "/flash", "v", "saved")
	v.want(r, b, "saved", "/take")
	v.want(r, a, "nothing", "/take")
	// It comes with the next request, even if that one does not ask.
	v.ok(r, a, "/flash", "v", "seen?")
	v.ok(r, b, "/untouched")
	v.want(r, a, "nothing", "/take")
}

// gone checks that the visitor has no session any more.
func (v *visitor) gone(r rule, s *server, key string) {
	v.t.Helper()
	if v.id(s) != "" {
		r.broken(v.t, "the cookie is still there")
	}
	v.want(r, s, "nothing", "/read", "k", key)
}

func clientEnded(r rule, f *fleet) {
	a, b := f.start(nil), f.start(nil)
	v := newVisitor(f.t)
	v.ok(r, a, "/set", "k", "user", "v", "1")
	res := v.ok(r, b, "/destroy")
	if !strings.Contains(res.header.Get("Set-Cookie"), "Max-Age=0") {
		r.broken(f.t, "Destroy does not remove the cookie")
	}
	v.gone(r, a, "user")
}

func clientStoreDestroy(r rule, f *fleet) {
	a := f.start(nil)
	v := newVisitor(f.t)
	v.ok(r, a, "/set", "k", "user", "v", "1")
	v.ok(r, a, "/logout")
	v.gone(r, a, "user")
	if res := newVisitor(f.t).ok(r, a, "/logout"); res.cookie() != "" {
		r.broken(f.t, "signing out made a session")
	}
}

func clientFresh(r rule, f *fleet) {
	a := f.start(nil)
	v := newVisitor(f.t)
	v.ok(r, a, "/set", "k", "old", "v", "1")
	id := v.ok(r, a, "/id").body
	v.do(f, a, destroyAndSet)
	if v.ok(r, a, "/id").body == id {
		r.broken(f.t, "after Destroy and Set the ID is the old one")
	}
	v.want(r, a, "1", "/read", "k", "new")
	v.want(r, a, "nothing", "/read", "k", "old")
}

// clientRotation signs in with a cookie that somebody else has planted, or has a
// copy of. That one stays what it was, and learns nothing.
func clientRotation(r rule, f *fleet) {
	a, b := f.start(nil), f.start(nil)
	v := newVisitor(f.t)
	v.ok(r, a, "/set", "k", "user", "v", "guest")
	thief := v.twin(a)
	before := v.ok(r, a, "/id").body
	v.get(a, "/signin", "v", "member")
	v.want(r, b, "member", "/read", "k", "user")
	if v.ok(r, b, "/id").body == before {
		r.broken(f.t, "the ID did not change")
	}
	thief.want(r, b, "guest", "/read", "k", "user")
	thief.want(r, b, before, "/id")
}

func clientID(r rule, f *fleet) {
	a, b := f.start(nil), f.start(nil)
	v := newVisitor(f.t)
	id := v.ok(r, a, "/id").body
	if strings.Contains(v.id(a), id) {
		r.broken(f.t, "the cookie shows the ID")
	}
	v.want(r, b, id, "/id")
	v.ok(r, b, "/set", "k", "k", "v", "v")
	v.want(r, a, id, "/id")
}

// clientHangsUp is only that nothing breaks.
func clientHangsUp(r rule, f *fleet) {
	clientGoes(r, f, func(a *server, v *visitor) bool {
		return v.get(a, "/read", "k", "k").body == "before" && len(a.errs.all()) == 0
	})
}

func clientTampered(r rule, f *fleet) {
	a := f.start(nil)
	v := newVisitor(f.t)
	v.ok(r, a, "/set", "k", "k", "v", "v")
	value := []byte(v.id(a))
	for _, at := range []int{0, len(value) / 2, len(value) - 1} {
		bad := string(value[:at]) + string("BA"[value[at]&1]) + string(value[at+1:])
		if bad == string(value) {
			continue
		}
		w := stranger(f.t, a, bad)
		w.want(r, a, "nothing", "/read", "k", "k")
		w.ok(r, a, "/set", "k", "k", "v", "new")
		w.want(r, a, "new", "/read", "k", "k")
	}
	if errs := a.errs.all(); len(errs) != 0 {
		r.broken(f.t, "anybody can fill the log: %v", errs)
	}
	v.want(r, a, "v", "/read", "k", "k")
}
