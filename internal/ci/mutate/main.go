// Command mutate checks the checks: in a copy of the module it breaks one line
// for each guarantee, and expects the guarantee's own test to fail.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// mutant is one line broken on purpose.
type mutant struct {
	rule     string // the subtest that has to fail
	file     string
	old, new string
	test     string // the package and the test it is in; default is the suite on SQLite
}

const (
	explorer = "./internal/explore TestExplore"
	owners   = "./internal/explore TestExploreOwners"
	steps    = "./internal/explore TestExploreSteps"
)

var mutants = []mutant{
	{"G1_RoundTrip", "internal/txn/changes.go", "pairs = append(pairs, Pair{Key: ch.key, Value: ch.val})", "pairs = append(pairs, Pair{Key: ch.key})", ""},
	{"G1_UnencodableValue", "internal/codec/codec.go", "txn.KeyName(p.Key), p.Value, c.remedy(p, oneErr), oneErr)", "\"\", p.Value, \"\", oneErr)", ""},
	{"G2_ReadYourWrites", "exchange.go", "	x.slot.Set(x)\n", "", ""},
	{"G2_Streaming", "exchange.go", "\tif x.begun.Load() {\n", "\tif x.begun.Load() {\n\t\treturn\n", ""},
	{"G3_AcknowledgedMeansStored", "exchange.go", "\t\tx.fail(x.inner, func(w http.ResponseWriter) { x.render(w) })\n\t\treturn\n", "\t\tx.unseen = nil\n", ""},
	{"G3_LateChangeIsReported", "internal/txn/plan.go", "\t\treturn ErrLate\n", "\t\treturn nil\n", ""},
	{"G4_DifferentKeys", "internal/txn/run.go", "\t\tfresh, err := turn.next(ctx, s.store, at.ID)\n", "\t\tfresh, err := turn.next(ctx, s.store, at.ID)\n\t\tif err == nil {\n\t\t\treturn fresh, nil\n\t\t}\n", ""},
	{"G4_AcrossServers", "internal/sqlstore/sqlstore.go", "WHERE {key} = ? AND {match}\")\n\tb.move", "WHERE {key} = ? AND ({match} OR 1)\")\n\tb.move", ""},
	{"G4_Update", "internal/txn/changes.go", "\treturn rebased, nil\n", "\treturn c, nil\n", ""},
	{"TestTypesComeBack", "internal/codec/codec.go", "\t\t\terr = comeBack(v.Pairs)\n", "", "./internal/codec TestTypesComeBack"},
	{"TestCommitOfDroppedChanges", "internal/txn/plan.go", " || l.id != \"\" || s.untold {", " || l.id != \"\" {", ". TestCommitOfDroppedChanges"},
	{"TestAbsoluteLifetimeToTheMillisecond", "internal/txn/terms.go", "s.deadline(t, now).Add(time.Second)", "s.deadline(t, now)", ". TestAbsoluteLifetimeToTheMillisecond"},
	{"G4_LongRequest", "internal/txn/run.go", "\tfresh, err := s.store.Find(ctx, at.ID)\n", "\tfresh, err := at, error(driver.ErrNotFound)\n", ""},
	{"G4_LastSetWins", "internal/txn/changes.go", "\t\t} else if ch.val != nil {", "\t\t} else if false {", ""},
	{"G4_OutlivesIdleTimeout", "internal/txn/run.go", "errors.Is(err, ErrExpired) && s.outlives(found)", "errors.Is(err, ErrExpired) && false", ""},
	{"G4_OutlivesIdleTimeout", "request.go", " && !errors.Is(err, txn.ErrOutlived) {", " {", ""},
	{"G5_FlashOnce", "internal/txn/store.go", "\t\t\tv, err = turn.next(ctx, s, v.ID)\n", "\t\t\treturn v, flash, true, nil\n", ""},
	{"G5_NoFlash", "handler.go", "c.Set(q.as.flash, q.as.noFlash)", "c.MapTo(nil, (*Flash)(nil))", ""},
	{"G6_EndedStaysEnded", "internal/txn/run.go", "\t\tfresh, err := turn.next(ctx, s.store, at.ID)\n", "\t\tfresh, err := turn.next(ctx, s.store, at.ID)\n\t\tif errors.Is(err, driver.ErrNotFound) {\n\t\t\treturn s.store.create(ctx, at.ID, ch, s.expiry(now, at, ch))\n\t\t}\n", ""},
	{"G6_StoreDestroy", "handler.go", "\t\tb.live.txn.DestroyKeepingChanges()\n", "", ""},
	{"G6_FreshAfterDestroy", "internal/txn/session.go", "\tl := s.startLife(unsaved)\n", "\tl := s.startLife(unsaved)\n\tl.id = old.id\n", ""},
	{"G7_RotationMoves", "internal/sqlstore/sqlstore.go", "expired_at = ?, {key} = ? WHERE {key} = ? AND {match}", "expired_at = ?, data = coalesce(data, ?) WHERE {key} = ? AND {match}", ""},
	{"G7_RotationMerges", "internal/txn/run.go", "\t\tv, err = s.store.move(ctx, at, next, ch, expiry)\n", "\t\tv, err = s.store.create(ctx, next, ch, expiry)\n\t\t\t_ = s.store.Engine.Delete(ctx, at.ID)\n", ""},
	{"G7_FailureAfterCommit", "request.go", "; l != noLine {", "; l != noLine && !q.x.closed.Load() {", ""},
	{"G7_Reminder", "request.go", "\tq.state, err = q.live.txn.Seal(ctx, tells && q.due, tells && q.renew)\n", "\tq.state, err = q.live.txn.Seal(ctx, tells && q.due, tells && q.renew)\n\tif err != nil {\n\t\tq.state = txn.State{Token: q.has.token, Refreshed: tells}\n\t}\n", ""},
	{"G8_StrictIDs", "transport.go", "\tq.live.txn.Stale(f)\n", "\tq.live.txn.Adopt(f.ID)\n", ""},
	{"G8_Entropy", "internal/sessionid/sessionid.go", "b[i] = letters[b[i]&31]", "b[i] = letters[b[i]&1]", ""},
	{"G9_TimelyExpiry", "internal/txn/terms.go", "return !now.Before(v.Record.Expiry) || ", "return ", ""},
	{"G9_ExpiredInStore", "store.go", "\tv, err := s.core.Find(ctx, sid)\n\tif err == nil {\n", "\tv, err := s.core.Engine.Load(ctx, sid)\n\tif err == nil {\n", ""},
	{"G9_AccessSlides", "internal/txn/store.go", "\tif v.due {", "\tif false {", ""},
	{"G9_AbsoluteLifetime", "internal/txn/terms.go", "\t\tnow = time.UnixMilli(t.created)\n", "\t\t_ = 0\n", ""},
	{"G9_AbsoluteLifetimeLater", "internal/txn/commit.go", "\t\treturn !s.store.hasCreated(l.at.terms)\n", "\t\treturn false\n", ""},
	{"G9_SetAbsoluteLifetime", "request.go", "c.MaxAge(age) > left {", "c.MaxAge(age) < left {", ""},
	{"G17_OwnerOf", "internal/txn/adopt.go", "\t\tch.Set(handleKey, string(c.Handle))\n", "", ""},
	{"Count", "internal/memstore/memstore.go", "s.expiry > at && !driver.OwnID(id)", "s.expiry > at && id != \"\"", "./driver/drivertest TestMemory/Count"},
	{"Count", "internal/filestore/sweep.go", "if driver.OwnID(name) {", "if false {", ". TestFileSuite/Count"},
	{"Count", "internal/sqlstore/sqlstore.go", " AND NOT ({key} LIKE '%s%%' AND LENGTH({key}) = %d)", " AND NOT ({key} LIKE '%s%%' AND LENGTH({key}) = %d AND 1 = 0)", ""},
	{"G9_SetLifetime", "internal/txn/terms.go", "return name != \"\" && name != FlashKey }", "return name == \"-\" }", ""},
	{"G9_TouchKeepsDecision", "internal/sqlstore/sqlstore.go", "SET expired_at = ? WHERE {key} = ? AND {match}", "SET expired_at = ? WHERE {key} = ? AND ({match} OR 1)", ""},
	{"G9_Remember", "request.go", "(o.newToken || o.maxAge != c.age)", "o.newToken", ""},
	{"G9_RememberedStay", "internal/txn/terms.go", "time.Duration(seconds) * time.Second / 20", "time.Duration(seconds) * time.Second", ""},
	{"G9_Sweep", "sqlite/dialect.go", "WHERE expired_at <= ? LIMIT ?", "WHERE expired_at >= ? LIMIT ?", ""},
	{"G9_Sweep", "internal/sqlstore/backend.go", "b.exec(ctx, b.sweep, b.time(now), limit)", "b.exec(ctx, b.sweep, b.time(time.Time{}), limit)", ""},
	{"G10_UntouchedVisitor", "session.go", "\treturn l.txn.Get(key)\n", "\tl.txn.ID()\n\treturn l.txn.Get(key)\n", ""},
	{"G10_IDIsStored", "internal/txn/session.go", "\t\tl.phase = exposed\n\t}\n\treturn l.id", "\t}\n\treturn l.id", ""},
	{"G11_PanicChangesNothing", "exchange.go", "\t\t\tx.closed.Store(true)\n\t\t\tx.abandon()\n", "\t\t\t_ = 0\n", ""},
	{"G12_ClientGone", "request.go", "\tctx, cancel := q.beyond()\n\tdefer cancel()\n\tvar err error", "\tctx, cancel := q.m.deadline(q.x.r.Context())\n\tdefer cancel()\n\tvar err error", ""},
	{"G13_HostileCookies", "transport.go", "\t\t\tcase !q.m.core.Engine.Valid(value, q.m.leastID):\n", "\t\t\tcase value == \"\":\n", ""},
	{"G13_CorruptRecord", "transport.go", "\tcase errors.Is(f.Err, driver.ErrUnreadable):", "\tcase f.Err == driver.ErrUnreadable:", ""},
	{"G13_CorruptRecord", "transport.go", "\t\tq.reportRecord(f.Err)\n", "\t\tq.reportRecord(f.Err)\n\t\t_ = q.m.core.Engine.Delete(within.context(), f.ID)\n", ""},
	{"G14_Outage", "store.go", "\treturn context.WithTimeout(ctx, timeout)", "\treturn context.WithCancel(ctx)", ""},
	{"G15_Kill", "exchange.go", "	if x.settle(); x.closed.Load() && !given {", "	if func() { go x.settle() }(); x.closed.Load() && !given {", "./sqlite TestProcesses"},
	{"TestNewerFieldsSurvive", "internal/gobstream/raw.go", "if val, changed := r.Changed(); changed {", "if val, _ := r.Value(); true {", ". TestNewerFieldsSurvive"},
	{"TestValueThatCannotBeDecoded", "internal/txn/verbs.go", "\t\t\ts.refuse(fmt.Errorf(\"session: update: %w\", err))\n\t\t\treturn nil\n", "", ". TestValueThatCannotBeDecoded"},
	{"TestFlashThatCannotBeDecoded", "internal/txn/store.go", "if !ok || err != nil { //", "if !ok { //", ". TestFlashThatCannotBeDecoded"},
	{"in_an_interface", "internal/gobstream/skip.go", "if p.into != nil && t == skipped {", "if false {", "./internal/gobstream TestFieldsThatAreGone"},
	{"TestNumbersClash", "internal/gobstream/group.go", "if g.first < other.first+other.types &&", "if false &&", "./internal/gobstream TestNumbersClash"},
	{"TestMovedAndDead", "internal/txn/session.go", "dead.next = s.stale", "dead.next = nil", ". TestMovedAndDead"},
	{"TestMovedAndDead", "internal/txn/session.go", "\ts.stale = nil\n", "", ". TestMovedAndDead"},
	{"TestTwoIDsOfOneSession", "transport.go", "found.ID == v.ID && !q.m", "false && !q.m", ". TestTwoIDsOfOneSession"},
	{"TestLoadFailsAfterEarlyHints", "failure.go", "\t\treturn x.slot.Get()\n", "\t\treturn c.ResponseWriter()\n", ". TestLoadFailsAfterEarlyHints"},
	{"TestHijackAfterFailure", "exchange.go", "\tcase x.unseen != nil:\n", "\tcase false:\n", ". TestHijackAfterFailure"},
	{"TestWriteIDFuncPanics", "exchange.go", "x.settled = x.render(x.inner)", "x.settled = x.render(x.inner) || true", ". TestWriteIDFuncPanics"},
	{"TestForeignLoadFails", "request.go", "\t\tif q.leave != nil {\n\t\t\tq.leave()\n\t\t}\n\t\treturn nil, fmt", "\t\treturn nil, fmt", ". TestForeignLoadFails"},
	{"TestEditIsBounded", "session.go", "\t\tctx, cancel := l.store.deadline(ctx)\n\t\tdefer", "\t\tctx, cancel := context.WithCancel(ctx)\n\t\tdefer", ". TestEditIsBounded"},
	{"TestSignInAgainThenCommit", "internal/txn/plan.go", "\tif ch.owner != nil {", "\tif false {", ". TestSignInAgainThenCommit"},
	{"TestManagersShareAStore", "store.go", "\tif s.place == (place{}) {\n\t\treturn s\n", "\tif true {\n\t\treturn s\n", ". TestManagersShareAStore"},
	{"TestMovesToItsHash", "internal/recordstore/hashed.go", "\tif errors.Is(err, driver.ErrNotFound) {", "\tif false {", ". TestMovesToItsHash"},
	{"TestExpiredMakesRoom", "internal/owners/owners.go", "return slices.Contains(found.expired, id)", "return false", ". TestExpiredMakesRoom"},
	{"TestUnreadableStaysListed", "internal/owners/owners.go", "ok || found.unread[e.Handle]", "ok", ". TestUnreadableStaysListed"},
	{"TestEndAllUnreadable", "internal/owners/end.go", "!ok || s.Unreadable || try > 1", "!ok || try > 1", ". TestEndAllUnreadable"},
	{"TestUnreadableKeepsNobodyOut", "internal/owners/owners.go", "\t\t\toldest = slices", "\t\t\toldest = -1 + 0*slices", ". TestUnreadableKeepsNobodyOut"},
	{"TestUnreadableKeepsNobodyOut", "internal/owners/owners.go", "f.unread[e.Handle] || !s.Expired", "true", ". TestUnreadableKeepsNobodyOut"},
	{"TestFlashAtTheEndOfTheList", "internal/txn/store.go", "\t\t_, v.due = s.listUntil", "\t\t_, _ = s.listUntil", ". TestFlashAtTheEndOfTheList"},
	{"TestRememberedByAnother", "internal/txn/plan.go", "\t\tch.Delete(resendKey)", "\t\t_ = resendKey", ". TestRememberedByAnother"},
	{"TestLongerMaxAge", "internal/txn/plan.go", "Add(resendAfter(seconds))", "Add(0 * resendAfter(seconds))", ". TestLongerMaxAge"},
	{"G4_Edit", "owner.go", "\tif err := fn(l); err != nil {\n", "\tif err := fn(l); err != nil && id == \"\" {\n", ""},
	{"G5_AddFlash", "internal/txn/flash.go", "return Join(FlashList(old), tail)", "return Join(nil, tail)", ""},
	{"G5_FlashVerbs", "internal/codec/flashes.go", "cmp.Compare(flashAt(a), flashAt(b))", "cmp.Compare(a.Key.(string), b.Key.(string))", ""},
	{"G5_FlashVerbs", "flash.go", "Join(txn.FlashList(got), txn.FlashList(old))", "Join(txn.FlashList(old), txn.FlashList(got))", ""},
	{"G5_TakesFlash", "internal/txn/store.go", "\tif takesFlash && v.terms.flash {", "\tif v.terms.flash {", ""},
	{"G5_Take", "internal/txn/take.go", "\t\tif taken = nil; old == nil", "\t\tif old == nil", ""},
	{"G6_Edit", "owner.go", "\tl.txn.Abandon() //", "\t//", ""},
	{"G6_Refresh", "internal/txn/still.go", "\t\ts.settle(&plan{life: l}, nil, ErrEnded)\n\t\treturn ErrEnded\n", "\t\treturn nil\n", ""},
	{"G6_Refresh", "internal/txn/still.go", "\tcase phase == ended:\n\t\treturn ErrEnded\n", "\tcase phase == ended:\n\t\treturn nil\n", ""},
	{"G6_Refresh", "internal/txn/still.go", "pending, err = pending.Rebase(v.View)", "_, err = pending.Rebase(v.View)", ""},
	{"G9_Edit", "owner.go", "\tl.txn.Still()\n", "", ""},
	{"G9_Edit", "internal/txn/still.go", " && s.store.idle(t) == s.store.idle(at.terms)", "", ""},
	{"G9_Passive", "request.go", "\t\tq.live.txn.Still()\n", "", ""},
	{"G9_Passive", "request.go", "q.due = !passive && ", "q.due = ", ""},
	{"G9_Refresh", "internal/txn/still.go", "\tif err == nil && !s.still {", "\tif s.still {", ""},
	{"G9_Expires", "internal/txn/still.go", "\tcase l.phase == moving || !ch.Empty():\n", "\tcase l.phase == moving:\n", ""},
	{"Count", "internal/sqlstore/sqlstore.go", "FROM {table} WHERE expired_at > ?", "FROM {table} WHERE expired_at > '' OR ?", ""},
	{"G16_CleanEnd", "manager.go", "\t\tm.stop()\n", "\t\tclose(m.stopped)\n", ""},

	{"G17_Listing", "internal/txn/owned.go", "return v.text(LabelKey)", "return \"\"", ""},
	{"G17_End", "internal/owners/end.go", "return h == handle", "return true", ""},
	{"G17_End", "owner.go", "err == nil && !listed", "err == nil && !listed && handle == \"\"", ""},
	{"G17_EndAll", "internal/owners/end.go", "return !slices.Contains(except, h)", "return !slices.Contains(except[:0], h)", ""},
	{"G17_EndedStoresNothing", "internal/txn/run.go", "\tif errors.Is(err, driver.ErrNotFound) {\n\t\treturn found, ch, s.gone(at)\n", "\tif errors.Is(err, driver.ErrNotFound) {\n\t\treturn found, ch, err\n", ""},
	{"G9_AbsoluteAtSignIn", "internal/txn/claim.go", "if l.at.terms.created != 0 {", "if false {", ""},
	{"G17_EndEverybody", "internal/txn/everybody.go", "v.Place() != \"\" && v.Place() != place", "false", ""},
	{"G17_EndEverybody", "internal/txn/everybody.go", "for owner := range owners {", "for owner := range map[string]bool{} {", ""},
	{"G17_EndEverybody", "internal/txn/everybody.go", "for range 2 {", "for range 1 {", ". TestFileSuite"},
	{"G17_SignInMeetsEndAll", "internal/owners/end.go", "\t\terr = l.Records.PutTombstone(ctx, id, l.Now().Add(SettleFor))\n", "\t\terr = nil\n", ""},
	{"G17_SignInBeforeEndAll", "internal/owners/list.go", "return g.now == \"\" || ", "return true || ", ""},
	{"G17_SignInBeforeEndAll", "internal/owners/list.go", "slices.Contains(g.except, handle)", "handle == \"\"", ""},
	{"G17_SignInBeforeEndAll", "internal/owners/list.go", "generation{sessionid.New(generationLength), g.before, except}", "generation{sessionid.New(generationLength), g.now, except}", ""},
	{"out_just_before", "internal/txn/forward.go", "if was == nil && s.movesInSteps() {", "if false {", ". TestEndedStaysEndedInSteps"},
	{"TestMoveInDoubt", "internal/txn/forward.go", "\t\tcase !isLost(err):\n\t\t\treturn nowhere, err\n", "", ". TestMoveInDoubt"},
	{"TestIs", "internal/outage/outage.go", " && !isFile", " && (!isFile || true)", "./internal/outage TestIs"},
	{"G17 what was there", "internal/txn/forward.go", "\t_, err := s.load(ctx, id)\n\tif errors.Is(err, driver.ErrNotFound) {\n\t\treturn driver.ErrConflict\n", "\t_, err := s.load(ctx, id)\n\tif errors.Is(err, driver.ErrNotFound) {\n\t\treturn nil\n", steps},
	{"TestHashIDsInSteps", "internal/recordstore/hashed.go", "\t\t\treturn driver.ErrConflict // Another", "\t\t\treturn err // Another", ". TestHashIDsInSteps"},
	{"Replace", "internal/recordstore/recordstore.go", "\tdefer caught(&err)\n\treturn v, do(v.Record)\n", "\treturn v, do(v.Record)\n", ". TestPanicAfterStoring"},
	{"count", "internal/txn/run.go", "\t\tagain = s.store.reenter(ctx, at, expiry)\n", "", ". TestListIsEvicted"},
	{"who", "internal/txn/store.go", "c := s.reenter(ctx, v, expiry)", "c := v.claim(expiry)\n\tc = nil", ". TestListIsEvicted"},
	{"G17_RotationKeepsListing", "internal/txn/claim.go", "p.leaves(id), p.next)", "p.leaves(id), \"\")", ""},
	{"G17_RotationMeetsEndAll", "internal/owners/end.go", "\t\tfor _, id := range e.ids {\n\t\t\tif err := l.endAt(", "\t\tfor _, id := range e.ids[:1] {\n\t\t\tif err := l.endAt(", ""},
	{"G17_Expired", "internal/owners/owners.go", "\t\t\tcase s.Expired:\n", "\t\t\tcase false:\n", ""},
	{"G17_LeavesTheList", "internal/txn/claim.go", "p.at.terms.listed != 0 && (", "p.at.terms.listed == 1 && (", ""},
	{"G17_Weeks", "internal/txn/store.go", "t); due { // The owner's", "t); due && v.text(LabelKey) != \"\" { // The owner's", ""},
	{"G17_LifetimeAfterSignIn", "internal/txn/terms.go", "expiry.Add(owners.Slack), expiry.After(time.UnixMilli(t.listed))", "expiry.Add(owners.Slack), t.listed == 1", ""},
	{"G17_MaxPerOwner", "internal/owners/owners.go", "len(list) >= l.MaxPerOwner {", "len(list) > l.MaxPerOwner {", ""},
	{"G17_RefuseOverMax", "internal/txn/commit.go", "\t\t\tl.phase, l.next, l.pending = stored, \"\", nil\n\t\t\ts.edits++\n\t\t}\n\tcase p.dropOnFailure", "\t\t\ts.startLife(ended)\n\t\t}\n\tcase p.dropOnFailure", ""},
	{"G17_MaxOfMany", "internal/txn/notes.go", "\t\tif !errors.Is(err, driver.ErrExists) && !errors.Is(err, driver.ErrConflict) {\n", "\t\tif errors.Is(err, driver.ErrConflict) {\n\t\t\treturn nil\n\t\t}\n\t\tif !errors.Is(err, driver.ErrExists) {\n", ""},
	{"G17_SetOwnerFails", "owner.go", "\tcase moves && l.txn.State().Token != \"\":\n", "\tcase false:\n", ""},
	{"G17_ListIsNoSession", "internal/txn/run.go", "\tif old.terms.isNote {\n", "\tif false {\n", ""},
	{"G17_ListIsNoSession", "internal/sessionid/sessionid.go", " && !IsKey(id)", "", ""},
	{"EndAll", "internal/owners/end.go", "ok || nowhere {", "ok || nowhere && false {", ". TestEndTriedAgainInSteps"},
	{"MaxPerOwner", "internal/owners/owners.go", "\t\t*evicted = append(*evicted, list[oldest].Handle)\n", "", ". TestEndTriedAgainInSteps"},
	{"TestLeavesAnEvictedList", "internal/txn/run.go", "p.claim == nil && at.terms.with(ch).listed != 0 {", "p.claim == nil {", ". TestLeavesAnEvictedList"},
	{"a_sign-in", "internal/owners/owners.go", "if err == nil && len(missing) > 0 {", "if false {", ". TestMovesBetweenTwoLoads"},
	{"G17 the list", "internal/owners/owners.go", "if err == nil && len(missing) > 0 {", "if false {", owners},
	{"with_a_cart", "internal/txn/claim.go", "took > owners.SettleFor/2 {", "took > 100*owners.SettleFor {", ". TestSlowSignIn"},
	{"TestManySignIns", "internal/owners/owners.go", "l.MaxPerOwner == 0 && n&(n-1) != 0", "n < 0", ". TestManySignIns"},
	{"TestReminderAndCDN", "internal/carry/carry.go", "case name == \"Cache-Control\", isForCDNs(name):", "case name == \"Cache-Control\":", ". TestReminderAndCDN"},
	{"TestReminderAndCDN", "request.go", "\t\t\tcarry.Reserve(w.Header(), &q.cache)\n", "", ". TestReminderAndCDN"},

	{"TestReportsOfOneClient", "event.go", "\t\tu.n++\n\t\treturn err, false\n", "\t\tu.n++\n\t\treturn err, true\n", ". TestReportsOfOneClient"},
	{"TestFlood", "internal/txn/find.go", "\tif _, ok := s.Engine.(ManyLoader); !ok {\n", "\tif true {\n", ". TestFlood"},
	{"TestCookiesOfTheSameName", "transport.go", "value != \"\" && !malformed", "value != \"\" && (true || malformed)", ". TestCookiesOfTheSameName"},
	{"G17_Places", "internal/owners/list.go", "Own(\"owner \" + place + ", "Own(\"owner \" + ", ""},
	{"LoadMany", "internal/sqlstore/backend.go", "slices.Chunk(ids, manyIDs)", "slices.Chunk(ids[:min(len(ids), manyIDs)], manyIDs)", "./sqlite TestContract$/^file"},
	{"EndedContext", "internal/sqlstore/backend.go", "\terr := ctx.Err()\n", "\tvar err error\n", "./sqlite TestContract$/^file"},

	// The explorer, too: lines of the core and of what tells the client.
	{"G6 an ended", "internal/txn/forward.go", "\t\t\treturn err\n\t\t}\n\t\tt.Follow(f)\n", "\t\t\treturn err\n\t\t}\n\t\t_ = f\n", explorer},
	{"G6 an ended", "internal/txn/commit.go", "\t\tif err := s.store.end(ctx, s.host.Place(), v); err != nil {", "\t\tif err := s.store.Engine.Delete(ctx, v.ID); err != nil {", explorer},
	{"G6 an ended", "internal/txn/commit.go", "\t\tif err := s.store.end(ctx, s.host.Place(), v); err != nil {", "\t\tif err := error(nil); err != nil {", explorer},
	{"G6 an ended", "internal/txn/run.go", "\t\t\tprepared = at.ID\n", "\t\t\tprepared = at.ID\n\t\t\t_ = s.store.Engine.Delete(ctx, s.store.forwardID(at.ID))\n", explorer},
	{"G6 an ended", "internal/txn/run.go", "\t\tfresh, err := turn.next(ctx, s.store, at.ID)\n", "\t\tfresh, err := turn.next(ctx, s.store, at.ID)\n\t\tif errors.Is(err, driver.ErrNotFound) {\n\t\t\treturn s.store.create(ctx, at.ID, &Changes{list: append([]change{{key: \"base\", val: \"base\"}}, ch.list...)}, s.expiry(now, at, ch))\n\t\t}\n", explorer},
	{"G7 the session", "internal/txn/run.go", "\t\tif moved {\n", "\t\tif moved && err != nil {\n", explorer},
	{"G7 the session", "internal/forward/forward.go", "> For-recentFor", "> For", explorer},
	{"G7 the session", "internal/txn/run.go", "\t\tcase where == nowhere:\n\t\t\treturn v, nil\n", "\t\tcase where == nowhere:\n\t\t\t_ = v\n\t\t\treturn nil, driver.ErrNotFound\n", explorer},
	{"G7 the session", "request.go", "\t\tq.live.txn.Ended()\n", "", explorer},
	{"G7 the session", "internal/txn/commit.go", "\t\ts.startLife(ended)\n\t\ts.lost = true\n", "\t\ts.startLife(unsaved)\n\t\ts.lost = true\n", explorer},
	{"G7 the session", "transport.go", "\tq.live.txn.Stale(f)\n", "", explorer},
	{"G7 the session", "internal/txn/commit.go", "\t\tl.at, l.id = at, at.ID\n", "\t\tl.id = at.ID\n", explorer},
	{"G7 the session", "request.go", "\t\tq.write(w, q.carrier())\n\t\tif st.Rotated", "\t\tif st.Rotated", explorer},
	{"G7 the session", "request.go", "kept: st.Lost || st.Undeleted", "kept: st.Undeleted", explorer},
	{"G7 rotation", "internal/txn/run.go", "\t\tv, err = s.store.move(ctx, at, next, ch, expiry)\n", "\t\tv, err = s.store.create(ctx, next, ch, expiry)\n", explorer},
	{"G4 no lost", "internal/txn/run.go", "\treturn rebased, nil\n", "\treturn ch, nil\n", explorer},
	{"G4 no lost", "internal/txn/changes.go", "\t\tfor _, fn := range ch.updates {\n\t\t\tch.val = fn(ch.val)\n\t\t}\n", "\t\tch.val = ch.updates[0](nil)\n", explorer},
	{"G4 no lost", "internal/txn/run.go", "(ch == nil || !ch.updates()) {", "(ch == nil || true) {", explorer},
	{"G5 a flash", "internal/txn/store.go", "\t\tnext, err := s.replace(ctx, v, TakeFlash, s.expiry(s.Now(), v.terms))\n", "\t\tnext, err := v, error(nil)\n", explorer},
	{"G5 a flash", "internal/txn/flash.go", "return c.key == FlashKey && c.val != nil", "return false", explorer},
	{"G5 a flash", "internal/txn/run.go", "\t\t\ts.dropFlashes(p) // An AddFlash", "\t\t\t// An AddFlash", explorer},
	{"G5 an added", "internal/txn/flash.go", "return Join(FlashList(old), tail)", "return Join(nil, tail)", explorer},
	{"G5 one gets", "internal/txn/take.go", "\t\tif taken = nil; old == nil", "\t\tif old == nil", explorer},
	{"G5 one gets", "internal/txn/run.go", "(ch == nil || !ch.updates()) {", "(ch == nil || true) {", explorer},
	{"Refresh sees", "internal/txn/still.go", "\t\t\tl.at, l.id, l.pending, l.rebased = v, v.ID, pending, false\n", "\t\t\tl.pending, l.rebased = pending, false\n", explorer},
	{"an outage", "internal/txn/still.go", "\tif errors.Is(err, driver.ErrNotFound) {\n", "\tif err != nil || errors.Is(err, driver.ErrNotFound) {\n", explorer},
	{"no record", "internal/txn/run.go", "\t\t\t\ts.store.discard(ctx, v) // It may be there all the same, and nobody knows of it.\n", "", explorer},
	{"no record", "internal/txn/run.go", "\t\ts.store.discard(ctx, tried) // A copy that nobody has been told of.\n", "", explorer},
	{"G3 G11 a failure", "exchange.go", "\t\t\tx.closed.Store(true)\n\t\t\tx.abandon()\n", "\t\t\tx.finish()\n", explorer},

	// What a store that loses its answers shows.
	{"TestTakeInDoubt", "internal/txn/commit.go", "\tcase p.dropOnFailure:\n", "", ". TestTakeInDoubt"},

	// Owners, in every order of sign-ins, rotations and ends.
	{"G17 what lives", "internal/owners/end.go", "\t\terr = l.Records.PutTombstone(ctx, id, l.Now().Add(SettleFor))\n", "\t\terr = nil\n", owners},
	{"G17 what was there", "internal/txn/claim.go", "p.leaves(id), p.next)", "p.leaves(id), \"\")", owners},
	{"G17 what lives", "internal/txn/run.go", "\tif !s.Traits.OwnRecords {\n\t\t_ = s.delete(ctx, tried.ID)\n", "\tif true {\n\t\t_ = s.delete(ctx, tried.ID)\n", owners},
	{"G17 what lives", "internal/owners/owners.go", "\t\tlist[i].add(id, next)\n", "\t\tlist[i].ids = nil\n\t\tlist[i].add(\"\", next)\n", owners},
	{"G17 nobody else", "internal/owners/end.go", "\t\tcase err == nil && (s.is(owner, e.Handle) || s.is(owner, \"\")), errors.Is(err, driver.ErrUnreadable):\n", "\t\tcase err == nil && s.Version != nil:\n", owners},
	{"G17 no more", "internal/owners/owners.go", "\t\tif err := l.end(ctx, true, c.Owner, list[oldest]); err != nil {\n\t\t\treturn nil, err\n\t\t}\n", "", owners},
	{"G17 what lives", "internal/owners/owners.go", "range found.expired {", "range found.expired[:0] {", owners},
	{"G17 what lives", "internal/owners/list.go", "\tcase id == \"\":\n", "\tcase id == \"\":\n\t\tids = ids[max(slices.Index(l.ids, next), 0):]\n", owners},
	{"G17 what lives", "internal/owners/list.go", "\t\tids = append(ids, next)\n", "\t\tat := slices.Index(l.ids, next)\n\t\tif at < 0 || at > len(ids) {\n\t\t\tat = len(ids)\n\t\t}\n\t\tids = slices.Insert(ids, at, next)\n", owners},
	{"G17 what its owner", "internal/txn/claim.go", "\t\t\tl.changes().owner = owner // If", "\t\t\t_ = owner // If", owners},
	{"G17 the list", "internal/owners/owners.go", "err == nil && text == read {", "err == nil || read != \"\" {", owners},
	{"G17 a failed", "internal/txn/run.go", "\t\tif p.claim != nil && err != nil && ", "\t\tif false && ", owners},
	{"G17 a failed", "internal/txn/claim.go", "s.store.withdraw(ctx, p.claim, p.at.ID, p.next)", "s.store.withdraw(ctx, p.claim, p.leaves(p.at.ID), p.next)", owners},
	{"G17 a failed", "internal/txn/claim.go", " || p.claim.IsNew && !errors.Is(err, ErrTooMany)", "", owners},
	{"G17 a failed", "internal/txn/claim.go", "\t\treturn !at.isOf(p.claim)\n", "\t\treturn false\n", owners},
	{"G17 a failed", "internal/txn/forward.go", "\t\t\ts.leaveList(ctx, place, was)\n", "\t\t\t_ = was\n", owners},
	{"G17 a sign-in that began", "internal/owners/list.go", "return g.now == \"\" || ", "return true || ", owners},
	{"G6 an ended", "internal/txn/forward.go", "\treturn s.addToForward(ctx, id, forward.EndMark)\n", "\treturn nil\n", steps},
	{"G7 the session", "internal/txn/run.go", "where == here && try == settleTries:", "where == here:", steps},
	{"no record", "internal/txn/forward.go", "min(here+i, beyond)", "here", steps},
	{"TestNoIDInTheStorage", "internal/txn/forward.go", "ID: s.ref(newID)", "ID: newID", ". TestNoIDInTheStorage"},
	{"TestNoIDInTheStorage", "internal/txn/owned.go", "Enter(ctx, c, s.ref(id), s.ref(next))", "Enter(ctx, c, id, next)", ". TestNoIDInTheStorage"},
	{"TestNoIDInTheStorage", "internal/sessionid/sessionid.go", " && !IsKey(id)", "", ". TestNoIDInTheStorage"},
	{"TestNoIDInTheStorage", "store.go", "\tcase !s.core.Engine.Valid(sid, driver.MinIDLength):\n\t\treturn nil\n", "", ". TestNoIDInTheStorage"},
	{"TestHashIDsLongIDs", "internal/sessionid/sessionid.go", "keyPrefix = \"z\"", "keyPrefix = \"h\"", ". TestHashIDsLongIDs"},
	{"TestHashIDsLater", "internal/recordstore/hashed.go", "\tif !sessionid.IsKey(id) {\n", "\tif false {\n", ". TestHashIDsLater"},
	{"TestCopiedRecord", "internal/recordstore/recordstore.go", " && at != e.boundTo(e.Ref(id))", " && false", ". TestCopiedRecord"},
	{"TestRenewEvery", "internal/txn/forward.go", "if to.Salt == \"\" || s.Now()", "if to.Salt == \"\" || false && s.Now()", ". TestRenewEvery"},
	{"TestCookieNamesAreExact", "internal/carry/cookie.go", "strings.Trim(part, whitespace)", "strings.TrimSpace(part)", ". TestCookieNamesAreExact"},
	{"TestIDsOfOneManager", "transport.go", "return place{\"query\", first.name}", "return place{\"cookie\", o.Cookie.Name}", ". TestIDsOfOneManager"},
	{"TestIDsOfOneManager", "transport.go", "return place == q.m.at || place", "return !q.placed || place == q.m.at || place", ". TestIDsOfOneManager"},
	{"TestIDsOfOneManager", "setup.go", "m.at != o.at:", "false:", ". TestIDsOfOneManager"},
	{"TestKeysAreNoIDs", "internal/sessionid/sessionid.go", " && !IsKey(id)", "", ". TestKeysAreNoIDs"},
	{"TestForgedNotes", "internal/forward/forward.go", "(!renewed || driver.ValidID(salt))", "(!renewed || true)", ". TestForgedNotes"},
	{"TestCopiedRecord", "internal/recordstore/recordstore.go", "\"stored at \" + e.name", "\"stored at \"", ". TestCopiedRecord"},
	{"TestURLsWithIDs", "failure.go", "func(w http.ResponseWriter) { m.protectURL(w, r) }", "func(http.ResponseWriter) {}", ". TestURLsWithIDs"},
	{"net/http_GET/written", "internal/carry/failure.go", "\tclear(h)\n", "", ". TestFailureKeepsWhatWasBefore"},
	{"net/http_GET/written", "exchange.go", "\tx.note()\n\treturn x.inner.Header()\n", "\treturn x.inner.Header()\n", ". TestFailureKeepsWhatWasBefore"},
	{"TestFailureBehindCompression", "internal/carry/failure.go", "\tcase before[\"Content-Encoding\"] != nil:\n", "\tcase false:\n", ". TestFailureBehindCompression"},
	{"TestFailureBehindCompression", "internal/carry/failure.go", "\t\tdelete(h, \"Content-Encoding\")\n", "", ". TestFailureBehindCompression"},
	{"page/written", "internal/carry/failure.go", "\td.WriteHeader(http.StatusInternalServerError)\n", "\td.WriteHeader(http.StatusOK)\n", ". TestFailureFunc"},
	{"JSON/written", "internal/carry/failure.go", "\tNoStore(h, new(Room))\n\tswitch", "\tswitch", ". TestFailureFunc"},
	{"panic_half-way/written", "failure.go", "\t\t\td = nil\n", "", ". TestFailureFunc"},
	{"TestReportOfAValue", "request.go", "{ return q.x.r.Context() }", "{ return context.Background() }", ". TestReportOfAValue"},
	{"TestDomainOfAnotherHost", "setup.go", "\".\"+domain", "domain", ". TestDomainOfAnotherHost"},
	{"TestTwoApplicationsOnOneHost", "setup.go", "o.outer.Exist(ctx, token) && ", "ctx != nil && ", ". TestTwoApplicationsOnOneHost"},
	{"TestLinkToSignIn", "request.go", "\t\t\t\t\tq.write(w, c)\n", "", ". TestLinkToSignIn"},
	{"TestMaxSize", "internal/txn/size.go", "size <= s.MaxSize", "size <= 2*s.MaxSize", ". TestMaxSize"},
	{"TestProof", "internal/recordstore/proof.go", "early > 2*time.Second", "early > 200*time.Hour", ". TestProof$"},
	{"TestProofOwed", "internal/recordstore/proof.go", "\tp.owed.Store(p.err != nil)\n", "\tp.owed.Store(false)\n", ". TestProofOwed"},
	{"TestOthers", "internal/private/private.go", "ok && uid != own", "ok && false", "./internal/filestore TestOthers"},
	{"TestOthers", "internal/private/private.go", "mode.Perm()&others == 0,", "mode.Perm()&0o007 == 0,", "./internal/filestore TestOthers"},
	{"TestForgedNotes", "internal/forward/forward.go", "if t.seen[to.ID] < 2 {", "if true {", ". TestForgedNotes"},
	{"TestRenewEvery", "request.go", "\t\tq.has.token = v.Token() // Another", "\t\t_ = v.Token() // Another", ". TestRenewEvery"},
	{"G4 no lost", "internal/txn/run.go", "\t\t\tnext = \"\" // Another request has renewed it.\n", "", "./internal/explore TestExploreRenewals"},

	{"TestShared", "internal/share/share.go", "\tif !s.gathering && s.trips < s.most {\n", "\tif true {\n", "./internal/share TestShared"},
	{"TestShared", "internal/share/share.go", "\t\tcalls[i].answer, ", "\t\tcalls[0].answer, ", "./internal/share TestShared"},
	{"TestGathered", "internal/share/share.go", "!s.gathering && ", "", "./internal/share TestGathered"},
	{"TestGathered", "internal/share/share.go", "\tif !alone {\n\t\ts.yield()\n", "\tif false {\n\t\ts.yield()\n", "./internal/share TestGathered"},
	{"TestGathered", "internal/share/share.go", "\tb.timer.Stop()\n\treturn b, b.add(question, until)", "\tb.timer.Stop()\n\tb.calls = nil\n\treturn b, b.add(question, until)", "./internal/share TestGathered"},
	{"TestQuiet", "internal/share/share.go", "s.trips == 0 && !s.met", "s.trips == 0", "./internal/share TestQuiet"},
	{"TestQuiet", "internal/share/share.go", "s.trips == 0 && !s.met", "false", "./internal/share TestQuiet"},
	{"TestSize", "internal/share/share.go", " && len(s.waiting[n-1].calls) < size", "", "./internal/share TestSize"},
	{"TestGatheredInVain", "internal/share/share.go", "if !b.called && s.detach(b) {", "if s.detach(b) {", "./internal/share TestGatheredInVain"},
	{"TestAllGiveUp", "internal/share/share.go", "\tif b.called {\n\t\ts.end()\n", "\tif b.called {\n", "./internal/share TestAllGiveUp"},
	{"TestAllGiveUp", "internal/share/share.go", "s.gathering && !b.called\n", "s.gathering\n", "./internal/share TestAllGiveUp"},
	{"TestTooLong", "internal/yield/yield.go", "&& begin.Before(*next)", "&& false", "./internal/yield TestTooLong"},
	{"TestTooLong", "internal/yield/yield.go", "> tooLong {", "> 0 {", "./internal/yield TestTooLong"},
	{"TestTooLong", "internal/yield/yield.go", "share * end.Sub(begin)", "end.Sub(begin)", "./internal/yield TestTooLong"},
	{"TestNotUnderWay", "internal/share/share.go", "\t\t\ts.depart(b)\n", "\t\t\ts.gathering = false\n", "./internal/share TestNotUnderWay"},
	{"TestHangs", "internal/share/share.go", "time.AfterFunc(patience, ", "time.AfterFunc(time.Hour, ", "./internal/share TestHangs"},
	{"TestHangs", "internal/share/share.go", " || s.trips > s.most", "", "./internal/share TestHangs"},
	{"TestContext", "internal/share/share.go", "\tcase <-ctx.Done():\n\t\ts.giveUp(b, c)\n\t\treturn ctx.Err()\n", "", "./internal/share TestContext"},
	{"TestContext", "internal/share/share.go", "\tc.gone = true\n", "", "./internal/share TestContext"},
	{"TestTurn", "internal/share/share.go", "\t\tif err := ctx.Err(); err != nil {\n", "\t\tif err := ctx.Err(); false {\n", "./internal/share TestTurn"},
	{"TestPanic", "internal/share/share.go", "\tdefer close(b.done)\n\tquestions", "\tquestions", "./internal/share TestPanic"},
	{"TestPanic", "internal/share/share.go", "\t\tif p != nil {\n", "\t\tif p == \"\" {\n", "./internal/share TestPanic"},
	{"TestLittleTimeLeft", "internal/share/share.go", "last.Sub(own) <= time.Until(last)/16", "last.Sub(own) <= time.Until(last)", "./internal/share TestLittleTimeLeft"},
	{"TestLittleTimeLeft", "internal/share/share.go", "context.WithoutCancel(ctx), last)", "context.WithoutCancel(ctx), last.Add(24*time.Hour))", "./internal/share TestLittleTimeLeft"},
	{"TestNoAnswer", "internal/share/share.go", "\tif !c.answered {\n", "\tif false {\n", "./internal/share TestNoAnswer"},
	{"TestTogether", "internal/recordstore/loads.go", "all[i].record, all[i].found = records[id]", "all[i].record, all[i].found = records[min(id, ids[0])]", "./internal/recordstore TestTogether"},
	{"TestTogether", "internal/recordstore/loads.go", " || !one.found && one.err == nil:", ":", "./internal/recordstore TestTogether"},
	{"TestTogetherFailure", "internal/recordstore/loads.go", "\tif err != nil {\n\t\treturn nil\n", "\tif err != nil {\n\t\treturn []loaded{{err: err}, {err: err}}\n", "./internal/recordstore TestTogetherFailure"},
	{"all_kinds", "sqlite/group.go", "if len(all) < 2 || !c.transact(all) {", "if c.transact(all); true {", "./sqlite TestGroup"},
	{"all_kinds", "sqlite/group.go", "if len(all) < 2 || !c.transact(all) {", "if true {", "./sqlite TestGroup"},
	{"all_kinds", "sqlite/group.go", "class(w.err) != sqlstore.Exists {", "class(w.err) != sqlstore.Busy {", "./sqlite TestGroup"},
	{"one_fails", "sqlite/group.go", "class(w.err) != sqlstore.Exists {", "class(w.err) == sqlstore.Busy {", "./sqlite TestGroup"},
	{"all_are_rolled_back", "sqlite/group.go", ` || strings.Contains(stays.Error(), "no transaction is active")`, ` || strings.Contains(stays.Error(), "never")`, "./sqlite TestGroup"},
	{"TestGroupOfMany", "sqlite/group.go", "min(len(g.waiting), groupSize)", "len(g.waiting)", "./sqlite TestGroupOfMany"},
	{"TestGroupOfOne", "sqlite/group.go", "if len(all) < 2 || !c.transact(all) {", "if !c.transact(all) {", "./sqlite TestGroupOfOne"},
	{"reader", "sqlite/group.go", "		_, err = c.exec(commit, nil)\n", "		_, _ = c.exec(commit, nil)\n", "./sqlite TestGroupLocked"},
	{"TestGroupLeft", "sqlite/group.go", "			if p.group.leave(w) {\n				return 0, ctx.Err()\n", "			if len(p.group.waiting) > 0 {\n				return 0, ctx.Err()\n", "./sqlite TestGroupLeft"},
	{"TestGroupPanic", "sqlite/group.go", "		if panicking { //", "		if panicking && len(all) == 0 { //", "./sqlite TestGroupPanic"},
	{"TestGroupPanic", "sqlite/group.go", "errors.Join(errPanicked, c.close())", "errPanicked", "./sqlite TestGroupPanic"},
	{"TestGroupStuck", "sqlite/group.go", "stays == nil || ", "stays != nil || ", "./sqlite TestGroupStuck"},
	{"TestGroupStuck", "sqlite/group.go", "stays, c.close())", "stays)", "./sqlite TestGroupStuck"},

	{"path", "sqlite/file.go", "!os.SameFile(now, f.is)", "now == nil", "./sqlite TestFileGone"},
	{"path", "sqlite/file.go", "	now, err := os.Stat(f.path)\n", "	now, err := f.is, error(nil)\n", "./sqlite TestFileGone"},
	{"TestIndexNames", "sqlite/dialect.go", "field.seqno = 0 AND", "field.seqno = 1 AND", "./sqlite TestIndexNames"},
	{"TestIndexNames", "sqlite/dialect.go", `t.Qualify(t.Index()+"2")`, "t.Qualify(t.Index())", "./sqlite TestIndexNames"},
	{"TestIs", "internal/outage/outage.go", `op.Op == "remote error"`, "false", "./internal/outage TestIs"},
	{"TestIs", "internal/outage/outage.go", " || errors.As(err, &address)", "&& errors.As(err, &address)", "./internal/outage TestIs"},
	{"TestLazy", "internal/sqlstore/sqlstore.go", "&& outage.Is(b.mark(err))", "&& (true || outage.Is(b.mark(err)))", "./internal/sqlstore TestLazy"},
	{"TestMaxData", "internal/sqlstore/backend.go", "len(r.Data) > b.maxData", "len(r.Data) > 2*b.maxData", "./internal/sqlstore TestMaxData"},

	{"TestEveryCallFails", "internal/txn/run.go", "\t\tif err == nil && p.salt", "\t\tif p.salt", "./internal/txn TestEveryCallFails"},
	{"TestEveryCallFails", "internal/txn/forward.go", "\t\t\tcase !errors.Is(err, driver.ErrNotFound):\n\t\t\t\treturn nil, err\n\t\t\t}\n", "\t\t\t}\n", "./internal/txn TestEveryCallFails"},

	// What only several goroutines of one handler can meet.
	{"create", "internal/txn/commit.go", "\t\t\ts.deleteLater(at)\n", "", "./internal/txn TestDestroyBetweenTheSteps"},
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
}

func run() error {
	dir, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := os.CopyFS(dir, os.DirFS(".")); err != nil {
		return err
	}
	only := regexp.MustCompile(strings.Join(os.Args[1:], "|"))
	survivors := 0
	for _, m := range mutants {
		if !only.MatchString(m.rule) {
			continue
		}
		killed, out, err := m.try(dir)
		if err != nil {
			return fmt.Errorf("%s: %w", m.rule, err)
		}
		if killed {
			fmt.Printf("%-28s fails when %s has %q\n", m.rule, m.file, oneLine(m.new))
			continue
		}
		survivors++
		fmt.Printf("%-28s SURVIVES %s with %q\n%s\n", m.rule, m.file, oneLine(m.new), out)
	}
	if survivors > 0 {
		return fmt.Errorf("%d broken lines were not noticed", survivors)
	}
	return nil
}

// try breaks the line, runs the test, and mends the line.
func (m mutant) try(dir string) (killed bool, out string, err error) {
	path := filepath.Join(dir, m.file)
	before, err := os.ReadFile(path)
	if err != nil {
		return false, "", err
	}
	if n := strings.Count(string(before), m.old); n != 1 {
		return false, "", fmt.Errorf("%s has the line %d times: %q", m.file, n, m.old)
	}
	broken := strings.Replace(string(before), m.old, m.new, 1)
	if err := os.WriteFile(path, []byte(broken), 0o600); err != nil {
		return false, "", err
	}
	defer func() {
		if e := os.WriteFile(path, before, 0o600); err == nil {
			err = e
		}
	}()
	pkg, test, _ := strings.Cut(m.test, " ")
	if m.test == "" {
		pkg, test = "./sqlite", "TestConformance"
	}
	cmd := exec.Command("go", "test", "-vet=off", "-count=1", "-short", "-timeout", "5m", "-run", "^"+test+"$/^"+m.rule+"$", pkg)
	cmd.Dir = dir
	text, err := cmd.CombinedOutput()
	if strings.Contains(string(text), "[build failed]") || strings.Contains(string(text), "[setup failed]") {
		return false, "", fmt.Errorf("the broken line does not compile:\n%s", text)
	}
	// The rule itself must have failed, or the test process been brought down.
	return err != nil && (strings.Contains(string(text), m.rule) || strings.Contains(string(text), "panic:")), string(text), nil
}

func oneLine(s string) string {
	return strings.Join(strings.Fields(s), " ")
}
