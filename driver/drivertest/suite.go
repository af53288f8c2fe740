package drivertest

import (
	"fmt"
	"testing"

	"github.com/flamego/session"
)

// Suite tests the library's guarantees on one store. Its fields say what the store is
// like.
type Suite struct {
	// Open prepares an empty store, and returns a function that returns the options
	// for one more server on it. Open is called for each subtest, the function for each
	// server. The options must leave Lifetime at its default of an hour. Clean up with
	// t.Cleanup. Open is required.
	Open func(t *testing.T) func() session.Options
	// Corrupt damages the stored record of a session, so that it can no longer be
	// decoded. Without it, the rule about such records is skipped, and the log says so.
	Corrupt func(t *testing.T, id string)
	// OwnClock is for a storage system that removes expired records by itself, by its own
	// clock, so that Manager.Count includes sessions that have expired by the test's clock
	// alone. Without it, Count must be exact. A Backend that is no session.Counter is not
	// tested for it, and the log says so.
	OwnClock bool
	// ForeignStore is for an Initer that returns a Store of its own, rather than one of
	// session.NewStore. Such a Store promises less, as docs/writing-a-backend.md says:
	// what needs compare-and-swap across servers or the test's clock is skipped.
	ForeignStore bool
	// ClientSide is for sessions that are kept by their clients, as with package cookie.
	// What they cannot promise is skipped or tested in a weaker form, and the log says
	// why.
	ClientSide bool

	// The library's own memory store encodes nothing, never waits, and belongs to a
	// single Manager.
	inProcess bool
}

// Run runs the suite, with one subtest for each guarantee.
func (s Suite) Run(t *testing.T) {
	t.Helper()
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			if r.swap && s.ForeignStore {
				t.Skip("a Store without compare-and-swap can't promise this")
			}
			if r.timed && s.ForeignStore {
				t.Skip("the clock of this Store is not the test's")
			}
			if w, ok := inClient[r.name]; ok && s.ClientSide {
				if w.test == nil {
					t.Skip("where clients keep the sessions this can't be promised: " + w.why)
				}
				t.Log("in a weaker form, where clients keep the sessions: " + w.why)
				r.test = w.test
			} else if r.outage && (s.inProcess || s.ForeignStore) {
				t.Skip("this store can't be made too slow")
			}
			f := &fleet{t: t, clock: new(clock), suite: s}
			f.open = s.Open(t)
			r.test(r, f)
		})
	}
}

// rule is a guarantee with its test.
type rule struct {
	name   string // as in "G4_NoLostUpdate"
	why    string
	test   func(rule, *fleet)
	swap   bool // needs compare-and-swap across servers
	timed  bool // needs the fake clock
	outage bool // needs a store that can be too slow
}

// broken fails the test with what was seen, and with the rule.
func (r rule) broken(t *testing.T, format string, args ...any) {
	t.Helper()
	t.Errorf("%s\n\trule %s: %s", fmt.Sprintf(format, args...), r.name, r.why)
}

// rules are all guarantees, in their order. Concurrency and crashes of whole
// processes are in Processes.
var rules = []rule{
	{name: "G1_RoundTrip", test: roundTrip, why: "What one request sets, the next gets: without that there is no session."},
	{name: "G1_ManyVisitors", test: manyVisitors, why: "However many come at the same time, nobody must get somebody else's session, or miss the own one."},
	{name: "G1_UnencodableValue", test: unencodable, why: "A value that can't be stored must not be lost in silence: the error names key, type and remedy."},
	{name: "G2_ReadYourWrites", test: readYourWrites, why: "A browser follows a redirect the instant the header arrives, maybe to another server: it must find what was set."},
	{name: "G2_Streaming", test: streaming, why: "What a streaming handler sets late must be stored when it returns, or at once with Commit."},
	{name: "G3_AcknowledgedMeansStored", test: acknowledged, outage: true, why: "A success that was not stored is a lie: a signed-in page for somebody who is not signed in."},
	{name: "G3_LateChangeIsReported", test: lateChange, why: "What can't be stored after the first byte must at least be heard of."},
	{name: "G4_DifferentKeys", test: differentKeys, why: "Requests of one page run at the same time: each one's change must survive the others."},
	{name: "G4_AcrossServers", test: acrossServers, swap: true, why: "Changes made on different servers merge, key by key."},
	{name: "G4_Update", test: updates, swap: true, why: "A counter that loses counts is no counter."},
	{name: "G4_Edit", test: edits, why: "What is changed from outside of a request merges with what requests change, as they do with each other."},
	{name: "G4_LongRequest", test: longRequest, timed: true, why: "A request may take longer than its session would idle: what counts is whether the session lives."},
	{name: "G4_OutlivesIdleTimeout", test: outlived, timed: true, why: "An upload or a form that took too long is not lost in silence: what a request began in time is stored, unless somebody has ended the session."},
	{name: "G4_LastSetWins", test: lastSetWins, why: "Of two values for one key one must win, whole."},
	{name: "G5_FlashOnce", test: flashOnce, swap: true, why: "A message that shows twice, or a confirmation that runs twice, confuses; one that never shows is lost."},
	{name: "G5_AddFlash", test: addFlashes, why: "Messages that requests leave at the same time must all show, and each once."},
	{name: "G5_FlashVerbs", test: flashVerbs, why: "A message must show on the page that it is meant for, in the order in which it was left, and no more than that."},
	{name: "G5_TakesFlash", test: takesFlash, why: "A message is for a person: what a person does not see must not use it up."},
	{name: "G5_Take", test: takes, why: "A code that is good once must be good once, however many requests bring it at the same time."},
	{name: "G5_NoFlash", test: noFlash, why: "Without a flash the handler gets nil, not some other service."},
	{name: "G6_EndedStaysEnded", test: staysEnded, why: "A slow request must not bring a signed-out user back (OWASP ASVS 5.0 7.4.1)."},
	{name: "G6_Edit", test: editsEnd, why: "A change from outside the request must neither bring a session back nor create one, and has to say which session it changed."},
	{name: "G6_Refresh", test: refreshed, why: "A connection that stays open for hours must hear that its visitor has signed out, and not lose what it has to store."},
	{name: "G6_StoreDestroy", test: storeDestroy, why: "Signing out through the injected Store, as since v1.6.6, is as final as Destroy."},
	{name: "G6_FreshAfterDestroy", test: freshAfterDestroy, why: "What is set after Destroy belongs to a new session with a new ID."},
	{name: "G6_SignOutDuringRotation", test: signOutDuringRotation, swap: true, why: "A user who signs out is signed out, whatever ID the session has by then (OWASP ASVS 5.0 7.4.1)."},
	{name: "G7_RotationMoves", test: rotation, why: "An attacker who planted or stole the old ID must be left with nothing (OWASP ASVS 5.0 7.2.4)."},
	{name: "G7_RotationMerges", test: rotationMerges, swap: true, why: "A change that another request made during the rotation must move along."},
	{name: "G7_FailureAfterCommit", test: failedAfterCommit, why: "When the old ID is dead, the client must hear of the new one, whatever fails after."},
	{name: "G7_Reminder", test: reminded, timed: true, why: "A slow response must not overwrite the cookie of the session that has moved on."},
	{name: "G8_StrictIDs", test: strictIDs, why: "Adopting an ID that the server did not give out is session fixation."},
	{name: "G8_Entropy", test: entropy, why: "An ID needs 128 random bits to be beyond guessing (OWASP ASVS 5.0 7.2.3)."},
	{name: "G8_HashIDs", test: hashedIDs, why: "A leaked dump of the storage must sign nobody in."},
	{name: "G7_Renewal", test: renewal, timed: true, why: "A stolen ID of a long session must not last, and no request of the visitor's own may notice."},
	{name: "G9_TimelyExpiry", test: expiry, timed: true, why: "An idle session lives its lifetime, and ends then, whether or not anything was swept (OWASP ASVS 5.0 7.3.1)."},
	{name: "G9_ExpiredInStore", test: expiredInStore, timed: true, why: "An expired record is none, also before it is swept: no way into the Store brings it back."},
	{name: "G9_AccessSlides", test: slides, timed: true, why: "An active visitor must keep the session, and its cookie."},
	{name: "G9_Edit", test: editsStill, timed: true, why: "An administrator's change must not make a session look used that its visitor has left."},
	{name: "G9_Passive", test: passively, timed: true, why: "A page that polls must not keep a visitor signed in who has left, nor take the message that is meant for the next page."},
	{name: "G9_Refresh", test: refreshedLives, timed: true, why: "A visitor on a WebSocket is active."},
	{name: "G9_Expires", test: expires, timed: true, why: "A page that warns its visitor of the end must know when it is."},
	{name: "G9_AbsoluteLifetime", test: absolute, timed: true, why: "A stolen session must end some day, however busy the thief keeps it (OWASP ASVS 5.0 7.3.2)."},
	{name: "G9_AbsoluteAtSignIn", test: owning(absoluteAtSignIn), timed: true, why: "A user who signs in must get the full time that was promised, however much of it the visit has used up before."},
	{name: "G9_AbsoluteLifetimeLater", test: absoluteLater, timed: true, why: "Turning the limit on must reach the sessions that are there already."},
	{name: "G9_SetAbsoluteLifetime", test: ownAbsolute, timed: true, why: "A user who asked for a month must not be signed out after a day without a word, and no cookie may promise more than the session has."},
	{name: "G9_SetLifetime", test: ownLifetime, timed: true, why: "A session's own lifetime holds on every server, whatever else is done to it."},
	{name: "G9_TouchKeepsDecision", test: touchKeepsDecision, swap: true, timed: true, why: "A page that merely slides the expiry must not undo what another has just decided: to stay signed in, or to be signed out soon."},
	{name: "G9_Remember", test: remember, timed: true, why: "Users who asked to stay signed in must stay signed in, and nobody else."},
	{name: "G9_RememberedStay", test: stays, timed: true, why: "A user who comes back every day must not be signed out on the thirtieth, whatever moved the expiry in between."},
	{name: "G9_Sweep", test: sweep, timed: true, why: "Expired records must not fill the store, live ones must survive the sweep."},
	{name: "G10_UntouchedVisitor", test: untouched, why: "Bots and first-time visitors are most of the traffic: they get no cookie and no record."},
	{name: "G10_IDIsStored", test: idIsStored, why: "Applications hand out the ID as a token: once asked for it is final, and good."},
	{name: "G11_PanicChangesNothing", test: panics, why: "A handler that failed half-way must not leave half its changes."},
	{name: "G12_ClientGone", test: clientGone, why: "What the server did for a client that hung up has still been done."},
	{name: "G13_HostileCookies", test: hostile, why: "A cookie is anybody's input: it must not reach the store, or cause an error."},
	{name: "G13_CorruptRecord", test: corrupt, why: "One bad record must cost one session, not answer 500 until the visitor clears the cookies."},
	{name: "G14_Outage", test: outage, outage: true, why: "While the store is down, who needs it gets 500 soon, who does not is served, and no session is given up."},
	{name: "G16_CleanEnd", test: cleanEnd, why: "What is left running after Close adds up, in tests and in graceful restarts."},
	{name: "G17_Listing", test: owning(listing), why: "Where am I signed in? All of it, nothing else, and nothing that signs in whoever sees the page."},
	{name: "G17_End", test: owning(endOne), why: "A user who ends a session on another device ends that one, and only their own (OWASP ASVS 5.0 7.5.2)."},
	{name: "G17_EndAll", test: owning(endAll), why: "After a change of password, whoever was signed in elsewhere must not stay (OWASP ASVS 5.0 7.4.3)."},
	{name: "G17_EndEverybody", test: owning(endEverybody), why: "After a leak nobody may stay signed in (OWASP ASVS 5.0 7.4.5), and nobody else's visitors go."},
	{name: "G17_EndedStoresNothing", test: owning(ownerEndedStoresNothing), why: "A slow request must not bring back a session that was ended from elsewhere."},
	{name: "G17_SignInMeetsEndAll", test: owning(signInMeetsEndAll), why: "A thief who signs in at the very moment must not be the one who stays."},
	{name: "G17_SignInBeforeEndAll", test: owning(signInBeforeEndAll), why: "A sign-in with the old password must not stand after the password was changed."},
	{name: "G17_RotationKeepsListing", test: owning(ownerRotates), why: "The page that lists the sessions must work whatever IDs they have by then."},
	{name: "G17_RotationMeetsEndAll", test: owning(rotationMeetsEndAll), why: "A session that is just getting a new ID must not escape."},
	{name: "G17_Expired", test: owning(ownerExpires), why: "What has expired is no session, whether or not anybody swept."},
	{name: "G17_LeavesTheList", test: owning(leavesTheList), why: "A session that has ended, or that belongs to another user now, must be off the list."},
	{name: "G17_Weeks", test: owning(usedForWeeks), why: "A session that is used for weeks must be found when it is to be ended."},
	{name: "G17_LifetimeAfterSignIn", test: owning(lifetimeAfterSignIn), why: "The sessions that last longest are those that one wants to see."},
	{name: "G17_MaxPerOwner", test: owning(mostPerOwner), why: "The sign-in counts, and the oldest session makes room for it."},
	{name: "G17_RefuseOverMax", test: owning(refusedBeyond), why: "A sign-in that is refused must leave everything as it was, and the handler must be able to say so."},
	{name: "G17_MaxOfMany", test: owning(mostOfMany), why: "A limit that concurrent sign-ins can pass is none."},
	{name: "G17_OwnerOf", test: owning(adopted), why: "Sessions from before there were owners must be found by who signs out everywhere, without a page that fails."},
	{name: "G17_OwnerOfMeetsEndAll", test: owning(adoptedMeetsEndAll), swap: true, why: "What is just being put on the list must not escape."},
	{name: "G17_OwnerOfNobody", test: owning(namesNobody), why: "What the application does not know, or gets wrong, must not cost what was to be stored."},
	{name: "G17_OwnerOfCounts", test: owning(adoptedCount), why: "A limit that sessions from before do not count for is none."},
	{name: "G17_SetOwnerFails", test: owning(setOwnerFails), why: "A sign-in of which the client can't be told must be an error, not a session that nobody has."},
	{name: "G17_ListIsNoSession", test: owning(listIsNoSession), why: "The ID of a list can be worked out: it must be worth nothing."},
	{name: "G17_Places", test: owning(placesApart), why: "The owner of a session on the site and of one among the administrators may have the same name."},
	{name: "Count", test: count, timed: true, why: "How many people are online is what an operator looks at: ended and expired sessions are nobody."},
}
