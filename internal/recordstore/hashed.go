package recordstore

import (
	"context"
	"errors"
	"time"

	"github.com/flamego/session/driver"
	"github.com/flamego/session/internal/sessionid"
)

// hashed is a Backend that gets hashes instead of IDs. A leaked dump has no ID that a
// client could present. An ID has at least 128 random bits, so a plain SHA-256 of it
// cannot be reversed by guessing.
//
// Records from before, under the IDs themselves, are found as well, and move when they
// are written.
type hashed struct{ driver.Backend }

// plain marks a record under the ID itself.
type plain struct{ version any }

// unmark returns the record as the backend knows it, and whether it is a plain one.
func unmark(r driver.Record) (driver.Record, bool) {
	p, ok := r.Version.(plain)
	if ok {
		r.Version = p.version
	}
	return r, ok
}

func (h hashed) Load(ctx context.Context, id string) (driver.Record, error) {
	r, err := h.Backend.Load(ctx, sessionid.KeyOf(id))
	if sessionid.IsKey(id) || !errors.Is(err, driver.ErrNotFound) {
		return r, err
	}
	r, err = h.Backend.Load(ctx, id)
	if errors.Is(err, driver.ErrNotFound) { // It may have moved between the two.
		return h.Backend.Load(ctx, sessionid.KeyOf(id))
	}
	r.Version = plain{r.Version}
	return r, err
}

// SharesLoads implements driver.LoadSharer, for a backend that does.
func (h hashed) SharesLoads() bool { return h.Backend.(driver.LoadSharer).SharesLoads() }

// LoadMany implements driver.ManyLoader, for a backend that does.
func (h hashed) LoadMany(ctx context.Context, ids []string) (map[string]driver.Record, error) {
	keys := make([]string, 0, 2*len(ids))
	for _, id := range ids {
		if keys = append(keys, sessionid.KeyOf(id)); !sessionid.IsKey(id) {
			keys = append(keys, id)
		}
	}
	records, err := h.Backend.(driver.ManyLoader).LoadMany(ctx, keys)
	found := make(map[string]driver.Record, len(records))
	for _, id := range ids {
		r, ok := records[sessionid.KeyOf(id)]
		if !ok {
			if r, ok = records[id]; !ok {
				continue
			}
			r.Version = plain{r.Version}
		}
		found[id] = r
	}
	return found, err
}

// again looks once more for what LoadMany did not find: it may have moved meanwhile.
func (h hashed) again(ctx context.Context, ids []string, found map[string]driver.Record) error {
	var missing []string
	for _, id := range ids {
		if _, ok := found[id]; !ok && !sessionid.IsKey(id) {
			missing = append(missing, sessionid.KeyOf(id))
		}
	}
	if len(missing) == 0 {
		return nil
	}
	records, err := h.Backend.(driver.ManyLoader).LoadMany(ctx, missing)
	for _, id := range ids {
		if r, ok := records[sessionid.KeyOf(id)]; ok {
			found[id] = r
		}
	}
	return err
}

func (h hashed) Create(ctx context.Context, id string, r driver.Record) error {
	return h.Backend.Create(ctx, sessionid.KeyOf(id), r)
}

func (h hashed) Replace(ctx context.Context, id string, old, r driver.Record) error {
	old, ok := unmark(old)
	if ok {
		err := h.Backend.Move(ctx, id, sessionid.KeyOf(id), old, r)
		if errors.Is(err, driver.ErrExists) {
			return driver.ErrConflict // Another request is moving it, or has done so.
		}
		return err
	}
	return h.Backend.Replace(ctx, sessionid.KeyOf(id), old, r)
}

func (h hashed) Move(ctx context.Context, id, newID string, old, r driver.Record) error {
	old, ok := unmark(old)
	if !ok {
		id = sessionid.KeyOf(id)
	}
	return h.Backend.Move(ctx, id, sessionid.KeyOf(newID), old, r)
}

func (h hashed) Touch(ctx context.Context, id string, old driver.Record, expiry time.Time) error {
	old, ok := unmark(old)
	if !ok {
		id = sessionid.KeyOf(id)
	}
	return h.Backend.Touch(ctx, id, old, expiry)
}

// Delete deletes the plain record first: Replace may be moving it.
func (h hashed) Delete(ctx context.Context, id string) error {
	if !sessionid.IsKey(id) {
		if err := h.Backend.Delete(ctx, id); err != nil {
			return err
		}
	}
	return h.Backend.Delete(ctx, sessionid.KeyOf(id))
}
