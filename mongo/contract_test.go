package mongo

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/bson/primitive"

	"github.com/flamego/session"
)

func TestContract(t *testing.T) {
	s, _ := start(t)
	b, ctx := newBackend(t, s.config()), t.Context()

	_, err := b.Load(ctx, "aaa")
	require.ErrorIs(t, err, session.ErrNotFound)
	require.ErrorIs(t, b.Touch(ctx, "aaa", later), session.ErrNotFound)
	require.ErrorIs(t, b.Replace(ctx, "aaa", nil, record("x")), session.ErrConflict)
	require.ErrorIs(t, b.Move(ctx, "aaa", "bbb", nil, record("x")), session.ErrConflict)
	require.NoError(t, b.Delete(ctx, "aaa"))

	require.NoError(t, b.Create(ctx, "aaa", record("1\x00\xff")))
	require.ErrorIs(t, b.Create(ctx, "aaa", record("2")), session.ErrExists)
	r, err := b.Load(ctx, "aaa")
	require.NoError(t, err)
	assert.Equal(t, "1\x00\xff", string(r.Data))
	assert.True(t, later.Equal(r.Expiry), "%v, stored as %v", later, r.Expiry)

	require.ErrorIs(t, b.Replace(ctx, "aaa", []byte("1"), record("2")), session.ErrConflict)
	require.NoError(t, b.Replace(ctx, "aaa", []byte("1\x00\xff"), record("2")))
	assert.Equal(t, "2", loadData(t, b, "aaa"))
	require.NoError(t, b.Replace(ctx, "aaa", []byte("2"), record("2")), "what changes nothing is no conflict")

	require.NoError(t, b.Create(ctx, "bbb", record("other")))
	require.ErrorIs(t, b.Move(ctx, "aaa", "bbb", []byte("2"), record("3")), session.ErrExists)
	assert.Equal(t, "other", loadData(t, b, "bbb"), "a move took an ID that was taken")
	require.ErrorIs(t, b.Move(ctx, "aaa", "ccc", []byte("1"), record("3")), session.ErrConflict)
	assert.Equal(t, "2", loadData(t, b, "aaa"), "a move that failed changed the record")
	require.NoError(t, b.Move(ctx, "aaa", "ccc", []byte("2"), record("3")))
	assert.Equal(t, "3", loadData(t, b, "ccc"))
	_, err = b.Load(ctx, "aaa")
	require.ErrorIs(t, err, session.ErrNotFound, "the old ID outlived the move")

	at := time.Now().Add(90*time.Minute + 1700*time.Microsecond)
	require.NoError(t, b.Touch(ctx, "ccc", at))
	require.NoError(t, b.Touch(ctx, "ccc", at), "what changes nothing is not missing")
	r, err = b.Load(ctx, "ccc")
	require.NoError(t, err)
	assert.Equal(t, "3", string(r.Data))
	assert.False(t, r.Expiry.After(at), "the expiry became later")
	assert.WithinDuration(t, at, r.Expiry, time.Millisecond)

	require.NoError(t, b.Delete(ctx, "ccc"))
	require.ErrorIs(t, b.Replace(ctx, "ccc", []byte("3"), record("4")), session.ErrConflict, "a write revived what was deleted")
	require.ErrorIs(t, b.Touch(ctx, "ccc", later), session.ErrNotFound)
}

func TestEmptyData(t *testing.T) {
	s, _ := start(t)
	b, ctx := newBackend(t, s.config()), t.Context()
	require.NoError(t, b.Create(ctx, "aaa", session.Record{Expiry: later}))
	assert.Empty(t, loadData(t, b, "aaa"))
	require.NoError(t, b.Replace(ctx, "aaa", nil, session.Record{Data: []byte{}, Expiry: later}))
	require.NoError(t, b.Replace(ctx, "aaa", []byte{}, record("x")))
	require.NoError(t, b.Move(ctx, "aaa", "bbb", []byte("x"), session.Record{Expiry: later}))
	assert.Empty(t, loadData(t, b, "bbb"))
	require.NoError(t, b.Replace(ctx, "bbb", nil, record("x")))
}

func TestCompareAndSwap(t *testing.T) {
	s, _ := start(t)
	b, ctx := newBackend(t, s.config()), t.Context()
	require.NoError(t, b.Create(ctx, "counter", record("0")))
	var wg sync.WaitGroup
	errs := make([]error, 16)
	for i := range errs {
		wg.Go(func() {
			for done := 0; done < 20; {
				r, err := b.Load(ctx, "counter")
				if err != nil {
					errs[i] = err
					return
				}
				var n int
				_, _ = fmt.Sscan(string(r.Data), &n)
				switch err := b.Replace(ctx, "counter", r.Data, record(fmt.Sprint(n+1))); {
				case err == nil:
					done++
				case !errors.Is(err, session.ErrConflict):
					errs[i] = err
					return
				}
			}
		})
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
	assert.Equal(t, "320", loadData(t, b, "counter"))

	// Of many that come with one ID, one gets it.
	var created, moved int
	var mu sync.Mutex
	for i := range 16 {
		require.NoError(t, b.Create(ctx, fmt.Sprint("from", i), record("x")))
	}
	for i := range 16 {
		wg.Go(func() {
			create, move := b.Create(ctx, "target", record("x")), b.Move(ctx, fmt.Sprint("from", i), "goal", []byte("x"), record("y"))
			mu.Lock()
			defer mu.Unlock()
			if create == nil {
				created++
			} else {
				assert.ErrorIs(t, create, session.ErrExists)
			}
			if move == nil {
				moved++
			} else {
				assert.ErrorIs(t, move, session.ErrExists)
			}
		})
	}
	wg.Wait()
	assert.Equal(t, 1, created)
	assert.Equal(t, 1, moved)
}

func TestDeleteExpired(t *testing.T) {
	s, _ := start(t)
	b, ctx, admin := newBackend(t, s.config()), t.Context(), s.admin(t)
	// In the future, or the server would remove them by itself.
	now := later
	for i := range 25 {
		require.NoError(t, b.Create(ctx, fmt.Sprintf("old%d", i), session.Record{Expiry: now.Add(-time.Duration(i) * time.Millisecond)}))
	}
	require.NoError(t, b.Create(ctx, "new", session.Record{Expiry: now.Add(time.Millisecond)}))
	for _, want := range []int{10, 10, 5, 0} {
		n, err := b.DeleteExpired(ctx, now, 10)
		require.NoError(t, err)
		assert.Equal(t, want, n)
	}
	left, err := admin.CountDocuments(ctx, bson.D{})
	require.NoError(t, err)
	assert.EqualValues(t, 1, left)
}

// Documents with other types than this library and v1.6.6 write are no sessions.
func TestForeignDocuments(t *testing.T) {
	s, _ := start(t)
	b, ctx, admin := newBackend(t, s.config()), t.Context(), s.admin(t)
	data, at := primitive.Binary{Data: []byte("x")}, milliseconds(later)
	for name, doc := range map[string]bson.D{
		"text":           {{Key: "data", Value: "x"}, {Key: "expired_at", Value: at}},
		"null":           {{Key: "data", Value: nil}, {Key: "expired_at", Value: at}},
		"subtype":        {{Key: "data", Value: primitive.Binary{Subtype: 0x80, Data: []byte("x")}}, {Key: "expired_at", Value: at}},
		"nodata":         {{Key: "expired_at", Value: at}},
		"notime":         {{Key: "data", Value: data}},
		"nulltime":       {{Key: "data", Value: data}, {Key: "expired_at", Value: nil}},
		"texttime":       {{Key: "data", Value: data}, {Key: "expired_at", Value: "2030-01-01"}},
		"secondstime":    {{Key: "data", Value: data}, {Key: "expired_at", Value: int64(4102444800)}},
		"embedded":       {{Key: "data", Value: bson.D{{Key: "a", Value: 1}}}, {Key: "expired_at", Value: bson.A{at}}},
		"nothing":        {},
		"right and more": {{Key: "data", Value: data}, {Key: "expired_at", Value: at}, {Key: "extra", Value: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := admin.InsertOne(ctx, append(key(name), doc...))
			require.NoError(t, err)
			r, err := b.Load(ctx, name)
			if name == "right and more" {
				require.NoError(t, err)
				assert.Equal(t, "x", string(r.Data))
				require.NoError(t, b.Replace(ctx, name, []byte("x"), record("y")))
				return
			}
			require.ErrorIs(t, err, session.ErrNotFound)
			require.ErrorIs(t, b.Create(ctx, name, record("x")), session.ErrExists, "a document was overwritten")
			require.NoError(t, b.Delete(ctx, name))
		})
	}
}

// calls are all that a Backend has to do, on a record "aaa" that holds "1".
func calls(b session.Backend) map[string]func(ctx context.Context) error {
	return map[string]func(ctx context.Context) error{
		"Load":          func(ctx context.Context) error { _, err := b.Load(ctx, "aaa"); return err },
		"Create":        func(ctx context.Context) error { return b.Create(ctx, "new", record("2")) },
		"Replace":       func(ctx context.Context) error { return b.Replace(ctx, "aaa", []byte("1"), record("2")) },
		"Move":          func(ctx context.Context) error { return b.Move(ctx, "aaa", "bbb", []byte("1"), record("2")) },
		"Touch":         func(ctx context.Context) error { return b.Touch(ctx, "aaa", later.Add(time.Hour)) },
		"Delete":        func(ctx context.Context) error { return b.Delete(ctx, "aaa") },
		"DeleteExpired": func(ctx context.Context) error { _, err := b.DeleteExpired(ctx, later, 10); return err },
		"Count":         func(ctx context.Context) error { _, err := b.(session.Counter).Count(ctx, time.Now()); return err },
	}
}

func TestEndedContext(t *testing.T) {
	s, _ := start(t)
	b := newBackend(t, s.config())
	require.NoError(t, b.Create(t.Context(), "aaa", record("1")))
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	for name, call := range calls(b) {
		require.ErrorIs(t, call(cancelled), context.Canceled, name)
		require.ErrorIs(t, call(late), context.DeadlineExceeded, name)
	}
	assert.Equal(t, "1", loadData(t, b, "aaa"))
	for _, id := range []string{"new", "bbb"} {
		_, err := b.Load(t.Context(), id)
		require.ErrorIs(t, err, session.ErrNotFound)
	}
}

func TestErrorsHideIDs(t *testing.T) {
	err := fail("move", errors.New(`E11000 dup key: { key: "one" } two`), "one", "two")
	assert.EqualError(t, err, `mongo: move: E11000 dup key: { key: "…" } …`)
	require.ErrorIs(t, fail("load", context.Canceled, "one"), context.Canceled)
}
