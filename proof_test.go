package session_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
)

// oddBackend breaks the contract as storage systems do that are set up in another way.
type oddBackend struct {
	*mapBackend
	odd  string
	down atomic.Bool
}

func (b *oddBackend) is(odd string) bool { return b.odd == odd }

func (b *oddBackend) Load(ctx context.Context, id string) (session.Record, error) {
	if b.down.Load() {
		return session.Record{}, errDown
	}
	r, err := b.mapBackend.Load(ctx, id)
	switch {
	case b.is("Load fails") && err == nil:
		return r, errors.New("permission denied")
	case b.is("Load panics"):
		panic("aah")
	case b.is("Load answers nothing") && errors.Is(err, session.ErrNotFound):
		return r, nil
	}
	return r, err
}

func (b *oddBackend) Create(ctx context.Context, id string, r session.Record) error {
	switch {
	case b.down.Load():
		return errDown
	case b.is("keys are padded"):
		id += "\x00"
	case b.is("bytes are text"):
		r.Data = bytes.ToValidUTF8(r.Data, []byte("?"))
	case b.is("bytes are cut"):
		r.Data = r.Data[:min(len(r.Data), 4096)]
	case b.is("expiries are dates"):
		r.Expiry = r.Expiry.Truncate(24 * time.Hour)
	case b.is("another time zone"):
		r.Expiry = r.Expiry.Add(2 * time.Hour)
	case b.is("Create overwrites"):
		_ = b.Delete(ctx, id)
	}
	return b.mapBackend.Create(ctx, id, r)
}

func (b *oddBackend) Replace(ctx context.Context, id string, old, r session.Record) error {
	now, err := b.mapBackend.Load(ctx, id)
	switch {
	case b.is("Replace does nothing"):
		return nil
	case b.is("Replace keeps the expiry") && err == nil:
		r.Expiry = now.Expiry.Add(-time.Hour)
	case b.is("Replace ignores old"), b.is("comparison as text") && bytes.EqualFold(now.Data, old.Data):
		old = now
	}
	return b.mapBackend.Replace(ctx, id, old, r)
}

func (b *oddBackend) Touch(ctx context.Context, id string, old session.Record, expiry time.Time) error {
	switch {
	case b.is("Touch does nothing"):
		return nil
	case b.is("Touch ignores old"):
		old, _ = b.mapBackend.Load(ctx, id)
	}
	return b.mapBackend.Touch(ctx, id, old, expiry)
}

func (b *oddBackend) Move(ctx context.Context, id, newID string, old, r session.Record) error {
	switch {
	case b.is("Move copies"):
		if err := b.Replace(ctx, id, old, r); err != nil {
			return err
		}
		return b.Create(ctx, newID, r)
	case b.is("Move is forbidden"):
		return errors.New("permission denied")
	}
	return b.mapBackend.Move(ctx, id, newID, old, r)
}

func (b *oddBackend) Delete(ctx context.Context, id string) error {
	if b.is("Delete does nothing") {
		return nil
	}
	return b.mapBackend.Delete(ctx, id)
}

// LoadMany implements session.ManyLoader.
func (b *oddBackend) LoadMany(ctx context.Context, ids []string) (map[string]session.Record, error) {
	found := make(map[string]session.Record)
	for _, id := range ids {
		if r, err := b.Load(ctx, id); err == nil && !b.is("LoadMany finds nothing") {
			found[id] = r
		}
	}
	return found, nil
}

// TestProof starts with storage systems that lose sessions, or that fail for good.
func TestProof(t *testing.T) {
	for odd, want := range map[string]string{
		"keys are padded": "is not there", "bytes are text": "has kept others", "bytes are cut": "has kept others",
		"expiries are dates": "an expiry comes back", "another time zone": "an expiry comes back",
		"Create overwrites": "refuse an ID that is taken", "Load fails": "permission denied", "Load panics": "aah", "Load answers nothing": "it succeeds",
		"Replace does nothing": "load what it has replaced", "Replace keeps the expiry": "an expiry comes back",
		"Replace ignores old": "leave a record that has changed alone", "comparison as text": "leave a record that has changed alone",
		"Touch does nothing": "leave a record that has changed alone", "Touch ignores old": "leave a record that has changed alone",
		"Move copies": "load what it has moved", "Move is forbidden": "permission denied",
		"Delete does nothing": "where a record was deleted", "LoadMany finds nothing": "load several records", "": "",
	} {
		for _, hash := range []bool{false, true} {
			b := &oddBackend{mapBackend: newMapBackend(), odd: odd}
			m, err := session.NewManager(session.Options{Initer: initer(b, session.StoreConfig{}), HashIDs: hash})
			if odd == "" {
				require.NoError(t, err)
				require.NoError(t, m.Close(t.Context()))
			} else {
				require.ErrorContains(t, err, "session: Options.Config: ", odd)
				assert.ErrorContains(t, err, want, odd)
			}
			if odd != "keys are padded" && odd != "Delete does nothing" {
				assert.Empty(t, b.records, odd)
			}
		}
	}
}

// TestProofOwed starts while the storage cannot be reached.
func TestProofOwed(t *testing.T) {
	for _, odd := range []string{"", "Move is forbidden"} {
		b := &oddBackend{mapBackend: newMapBackend(), odd: odd}
		b.down.Store(true)
		a := newUserApp(t, nil, func(o *session.Options) { o.Initer = initer(b, session.StoreConfig{}) })
		a.Get("/plain", func() string { return "page" })
		assert.ErrorIs(t, a.errs.last(), session.ErrUnavailable)
		for range 2 {
			assert.Equal(t, http.StatusInternalServerError, a.ask("/set").Code)
			assert.Equal(t, "page", a.ask("/plain").Body.String())
		}
		b.down.Store(false)
		// It is tried again after a while, and not by each request.
		require.Eventually(t, func() bool {
			code := a.ask("/set").Code
			return code == http.StatusOK || !errors.Is(a.errs.last(), session.ErrUnavailable)
		}, 10*time.Second, 10*time.Millisecond)
		if odd == "" {
			assert.Len(t, b.records, 1)
			continue
		}
		assert.ErrorContains(t, a.errs.last(), "Options.Config")
		assert.Empty(t, b.records)
	}
}

// TestProofHangs has the first call that pays the proof hang. Others wait for it no longer than
// StoreTimeout, and so do they fail (G14).
func TestProofHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFaultyBackend()
		b.fail.Store(true)
		a := newUserApp(t, b)
		a.Get("/plain", func() string { return "page" })
		b.fail.Store(false)
		b.around = func(ctx context.Context, _, _ string, _ func() error) error { <-ctx.Done(); return ctx.Err() }
		time.Sleep(time.Minute)
		var wg sync.WaitGroup
		for i := range 3 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 2 * time.Second)
				begin := time.Now()
				assert.Equal(t, http.StatusInternalServerError, a.ask("/set").Code)
				assert.LessOrEqual(t, time.Since(begin), 5*time.Second)
			})
		}
		wg.Wait()
		assert.NoError(t, a.m.Close(t.Context()))
	})
}
