package drivertest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/flamego/session"
)

// Backend tests that a session.Backend keeps its promises, one call at a time and with
// calls that race. Run it first on a new backend: a Suite tests what the library makes of
// the backend, and notices fewer mistakes.
//
// open is called for each subtest. It prepares an empty key space, and returns a function
// that is called twice; each time it returns an instance on that key space, as another
// server would have. It may return the same instance twice if the storage belongs to one
// instance only. Clean up with t.Cleanup. The test makes up the IDs.
//
// The calls that race do so for half a second in each subtest, a tenth of a second with
// -short, and their timing is random: a failure now and then is a fault of the backend.
func Backend(t *testing.T, open func(t *testing.T) func() session.Backend) {
	t.Helper()
	for _, r := range contractRules {
		t.Run(r.name, func(t *testing.T) {
			instance := open(t)
			r.test(&contract{T: t, why: r.why, a: instance(), b: instance(), begin: time.Now()})
		})
	}
}

// contractRule is one thing that a Backend promises.
type contractRule struct {
	name string
	why  string
	test func(*contract)
}

var contractRules = []contractRule{
	{"Missing", "What is not there is no session: it can't be changed into one, and ending it is no error.", missing},
	{"Create", "A new session must not take an ID that another one has.", create},
	{"Replace", "A version is stored only on top of the one that was seen, or changes of other requests are lost.", replace},
	{"Touch", "Only the expiry slides, and only that of the version that was seen: another request may have decided how long the session lasts.", touch},
	{"Move", "After a sign-in the new ID holds the session and the old one nothing. A move that fails leaves all as it was.", move},
	{"Delete", "An ended session stays ended.", remove},
	{"Stale", "What Load returned is good for a write until somebody else has written.", stale},
	{"Instances", "The next request may come to another server: it must find what was stored. Reading from replicas breaks this.", instances},
	{"Expiry", "An expiry keeps its milliseconds and never gets later, or sessions outlive their lifetime.", expiryKept},
	{"FarExpiry", "Sessions may last a hundred years.", farExpiry},
	{"Expired", "An expired record may be there or not, but nothing may fail over it.", expired},
	{"EmptyData", "No data is data as well, nil or not.", emptyData},
	{"AnyData", "Encoded and encrypted sessions hold any bytes, and a single one that differs is another version.", anyData},
	{"LargeData", "A session of a megabyte is a bad idea, but must not be cut off.", largeData},
	{"IDs", "IDs are 3 to 128 characters, and each is another session.", idsDiffer},
	{"Buffers", "Byte slices belong to the caller, who may reuse them.", buffers},
	{"EndedContext", "When a request is over, nothing may be done in its name.", endedContext},
	{"DeleteExpired", "Expired records go, live ones stay, and no call removes more than it may.", deleteExpired},

	{"CreateMeetsCreate", "Of several that come with one ID, one gets it.", createMeetsCreate},
	{"CreateMeetsMove", "Of several that come with one ID, one gets it, also by a move.", createMeetsMove},
	{"ReplaceMeetsReplace", "Of several that have seen the same version, one stores the next.", replaceMeetsReplace},
	{"ReplaceMeetsDelete", "A slow write must not bring an ended session back.", replaceMeetsDelete},
	{"TouchMeetsReplace", "A request that slides the expiry must not undo what another one stores: data or lifetime.", touchMeetsReplace},
	{"TouchMeetsTouch", "Several requests slide the expiry at once, and the session keeps its data.", touchMeetsTouch},
	{"TouchMeetsDelete", "Sliding the expiry must not bring an ended session back.", touchMeetsDelete},
	{"TouchMeetsMove", "Sliding the expiry must not bring the old ID back.", touchMeetsMove},
	{"MoveMeetsReplace", "Either the move or the write is first, and the other one hears of it: nothing is lost, and there is one session.", moveMeetsReplace},
	{"MoveMeetsMove", "Of two rotations of one session one comes to pass, and leaves one session.", moveMeetsMove},
	{"MoveMeetsMoveTarget", "Of two sessions that move to one ID, one gets it, and the other one stays.", moveMeetsMoveTarget},
	{"MoveMeetsDelete", "A session that ends while it moves is gone, or was moved before.", moveMeetsDelete},
	{"MoveUndoneMeetsEnd", "A move that fails removes what it has stored, and nothing else: who ends a session leaves something under its new ID that keeps it from coming back.", moveUndoneMeetsEnd},
	{"MoveUndoneMeetsReplace", "A move that fails removes what it has stored, and nothing else: not what another request has stored instead.", moveUndoneMeetsReplace},
	{"MoveUndoneLate", "ErrConflict promises that nothing is left under the new ID, also if time was up before the move could be undone.", moveUndoneLate},
	{"DeleteExpiredMeetsTouch", "A session that is used at the last moment stays.", deleteExpiredMeetsTouch},
	{"DeleteExpiredMeetsReplace", "A session that is written at the last moment stays.", deleteExpiredMeetsReplace},
	{"Counting", "A counter that loses counts is no counter.", counting},
	{"LoadMany", "The list of a user's sessions must have all of them, and nothing else.", loadMany},
	{"ListIDs", "When everybody's sessions have to end, the one that is left out is that of the thief.", listIDs},
}

// contract is a Backend under test, as two servers have it.
type contract struct {
	*testing.T
	why   string
	a, b  session.Backend
	begin time.Time
	ids   int
	took  time.Duration // by the last calls that met, about
}

func (c *contract) broken(format string, args ...any) {
	c.Helper()
	c.Errorf("%s\n\tcontract of session.Backend: %s", fmt.Sprintf(format, args...), c.why)
}

// id is one that was not used before.
func (c *contract) id() string {
	c.ids++
	return fmt.Sprintf("session%025d", c.ids)
}

// hour is an expiry that is far enough away for a test, with a fraction.
var hour = time.Now().UTC().Truncate(time.Second).Add(time.Hour + 987*time.Millisecond)

// record has data, and an expiry so much after hour.
func record(data string, after ...time.Duration) session.Record {
	r := session.Record{Data: []byte(data), Expiry: hour}
	for _, d := range after {
		r.Expiry = r.Expiry.Add(d)
	}
	return r
}

// ok wants a call to succeed.
func (c *contract) ok(err error, call string) {
	c.Helper()
	if err != nil {
		c.broken("%s: %v", call, err)
		c.FailNow()
	}
}

// refused wants one of the sentinels.
func (c *contract) refused(err, want error, call string) {
	c.Helper()
	if !errors.Is(err, want) {
		c.broken("%s: %v, want %v", call, err, want)
	}
}

// done tells whether a call succeeded, and lets it fail in the given ways only.
func (c *contract) done(err error, call string, or ...error) bool {
	c.Helper()
	if err == nil {
		return true
	}
	for _, e := range or {
		if errors.Is(err, e) {
			return false
		}
	}
	c.broken("%s: %v, want success or %v", call, err, or)
	return false
}

// put makes a record, and returns its ID.
func (c *contract) put(r session.Record) string {
	c.Helper()
	id := c.id()
	c.ok(c.a.Create(c.Context(), id, r), "Create")
	return id
}

// load returns the record that must be there.
func (c *contract) load(id string) session.Record {
	c.Helper()
	r, err := c.b.Load(c.Context(), id)
	c.ok(err, "Load")
	return r
}

// holds wants the record to be under the ID: exactly the data, and the expiry.
func (c *contract) holds(id string, want session.Record, what string) {
	c.Helper()
	r, err := c.b.Load(c.Context(), id)
	switch {
	case err != nil:
		c.broken("%s: Load: %v, want a record with %.40q", what, err, want.Data)
	case string(r.Data) != string(want.Data):
		c.broken("%s: the record holds %d bytes, %.40q, want %d, %.40q", what, len(r.Data), r.Data, len(want.Data), want.Data)
	case !c.sameTime(id, r.Expiry, want.Expiry):
		c.broken("%s: the expiry is %v, %v from what it should be", what, r.Expiry, r.Expiry.Sub(want.Expiry))
	}
}

// sameTime allows an expiry to be off by what calls take: there are systems that are
// told what is left of it, and tell that. A machine that is busy gets another chance.
func (c *contract) sameTime(id string, got, want time.Time) bool {
	for range 3 {
		if got.Sub(want) > time.Since(c.begin)+time.Millisecond {
			return false
		}
		if want.Sub(got) < 500*time.Millisecond {
			return true
		}
		r, err := c.b.Load(c.Context(), id)
		if err != nil {
			return false
		}
		got = r.Expiry
	}
	return false
}

// none wants nothing to be under the ID.
func (c *contract) none(id, what string) {
	c.Helper()
	if r, err := c.b.Load(c.Context(), id); !errors.Is(err, session.ErrNotFound) {
		c.broken("%s: Load: %.40q, %v, want %v", what, r.Data, err, session.ErrNotFound)
	}
}

// rounds repeats what is a matter of chance.
func (c *contract) rounds(round func()) {
	c.Helper()
	limit, least := 500*time.Millisecond, 20
	if few() {
		limit, least = limit/5, 5
	}
	n := 0
	for begin := time.Now(); !c.Failed() && (n < least || time.Since(begin) < limit) && time.Since(begin) < 20*limit; n++ {
		round()
	}
	if c.Failed() {
		c.Logf("in round %d", n)
	}
}

// meet runs calls at the same time, and in half of the rounds a little one after
// the other, since it takes some distance for one to fall into the middle of another.
func (c *contract) meet(calls ...func() error) []error {
	errs := make([]error, len(calls))
	wait := make([]time.Duration, len(calls))
	if rand.N(2) == 0 {
		for i := range wait {
			wait[i] = rand.N(c.took + time.Microsecond)
		}
	}
	begin := time.Now()
	together(len(calls), func(i int) {
		begin := time.Now()
		for left := wait[i]; left > 0; left = wait[i] - time.Since(begin) {
			if left > time.Millisecond {
				time.Sleep(left / 2)
			} else {
				runtime.Gosched()
			}
		}
		errs[i] = calls[i]()
	})
	// Half, or waits would make for longer and longer ones.
	c.took = min(time.Since(begin), 20*time.Millisecond) / 2
	return errs
}
